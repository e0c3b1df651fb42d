//! Bad days of the disk: it is full, or may not be written. Writes are refused with a clear error, reads go on, and
//! recovery is clean.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::server::{Exchange, HOLDFAST, Server, holdfast, withdrawal};

/// A shell in a mount namespace of its own, with a small file system over `at`.
struct SmallDisk {
    shell: Child,
    at: String,
}

fn may_mount() -> bool {
    let script = "mount -t tmpfs -o size=1m tmpfs /mnt";
    let output = Command::new("unshare").args(["-m", "sh", "-c", script]).output();
    output.is_ok_and(|output| output.status.success())
}

impl SmallDisk {
    /// Mounts a file system of that size over the data directory, with a copy of what was there.
    fn over(data: &Path, size: &str) -> Self {
        let at = data.display().to_string();
        let copy = format!("{at}.copy");
        let status = Command::new("cp").args(["-a", &at, &copy]).status().unwrap();
        assert!(status.success());
        let shell = Command::new("unshare")
            .args(["-m", "sh"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut disk = Self { shell, at };
        let script = format!(
            "mount -t tmpfs -o size={size} tmpfs {at} && cp -a {copy}/. {at}/ && touch {copy}/mounted",
            at = disk.at
        );
        disk.run(&script);
        disk.wait_until(|| Path::new(&format!("{copy}/mounted")).exists());
        disk
    }

    fn run(&mut self, script: &str) {
        writeln!(self.shell.stdin.as_mut().unwrap(), "{script}").unwrap();
    }

    fn wait_until(&self, mut done: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !done() {
            assert!(Instant::now() < deadline, "it took too long");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A command that runs inside the namespace.
    fn inside(&self, command: &[String]) -> Vec<String> {
        let pid = self.shell.id().to_string();
        let enter = ["nsenter", "-t", &pid, "-m", "--"].map(ToOwned::to_owned);
        enter.into_iter().chain(command.iter().cloned()).collect()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ended_already = self.shell.kill();
        let _reaped = self.shell.wait();
    }
}

#[test]
fn full_disk_refuses_writes_and_recovers_by_itself() {
    if !may_mount() {
        eprintln!("SKIPPED: no mount namespace may be made here");
        return;
    }
    let exchange = Exchange::open(&[]);
    let server = exchange.ready(&[]);
    let token = server.token.clone();
    let first = server.withdraw("first", &withdrawal("1"));
    assert_eq!(first.status, 201);
    assert_eq!(server.stop(), Some(0));

    let mut disk = SmallDisk::over(&exchange.data(), "6m");
    let mut server = Server::start(&disk.inside(&exchange.serve_command(HOLDFAST, &[])), &token);
    server.token = token;
    assert_eq!(server.withdraw("before", &withdrawal("1")).status, 201);
    let at = disk.at.clone();
    disk.run(&format!("dd if=/dev/zero of={at}/fill bs=4k 2>/dev/null; touch {at}.copy/filled"));
    disk.wait_until(|| Path::new(&format!("{at}.copy/filled")).exists());

    // Some writes may still fit into space that the journal has already; then it is over.
    let (mut acknowledged, mut refused) = (Vec::new(), None);
    for number in 0..20_000 {
        let key = format!("full-{number}");
        let answer = server.withdraw(&key, &withdrawal("1"));
        match answer.status {
            201 => acknowledged.push(answer.body["id"].as_str().unwrap().to_owned()),
            // The account has only so many.
            422 => panic!("{}", answer.body),
            _ => {
                refused = Some((key, answer));
                break;
            }
        }
        let id = acknowledged.last().unwrap();
        let cancel =
            server.post(&format!("/v1/withdrawals/{id}/cancel"), &serde_json::json!({ "account": "ac_1" }));
        if cancel.status != 200 {
            refused = Some((String::new(), cancel));
            break;
        }
    }
    let (key, refused) = refused.expect("the disk was full");
    assert_eq!((refused.status, refused.code()), (503, "journal_unavailable"), "{}", refused.body);
    assert!(refused.header("retry-after").is_some());
    assert!(refused.body["detail"].as_str().unwrap().contains("no space left"), "{}", refused.body);
    let again = server.withdraw("again", &withdrawal("1"));
    assert_eq!((again.status, again.code()), (503, "journal_unavailable"), "{}", again.body);
    assert_eq!(server.get("/ready").status, 503);
    let health = server.get("/health");
    assert_eq!((health.status, health.body["status"].as_str()), (200, Some("read_only")));
    // Reads go on, from the views.
    let list = server.get("/v1/withdrawals?limit=500");
    assert_eq!(list.status, 200, "{}", list.body);
    let id = first.body["id"].as_str().unwrap();
    assert_eq!(server.get(&format!("/v1/withdrawals/{id}")).body["status"], "approved");

    disk.run(&format!("rm {at}/fill"));
    disk.wait_until(|| server.get("/ready").status == 200);
    for id in &acknowledged {
        assert_eq!(server.get(&format!("/v1/withdrawals/{id}")).status, 200, "{id} was acknowledged");
    }
    if !key.is_empty() {
        // Whether the refused request had reached the disk or not: asked again, it is decided once.
        let retried = server.withdraw(&key, &withdrawal("1"));
        assert_eq!(retried.status, 201, "{}", retried.body);
        assert_eq!(server.withdraw(&key, &withdrawal("1")).text, retried.text);
    }
    assert_eq!(server.withdraw("after", &withdrawal("1")).status, 201);
    // And what is there is sound. (`nsenter` is the child: it passes no signal on.)
    disk.run(&format!("cp -a {at}/. {at}.copy/ ; touch {at}.copy/copied"));
    disk.wait_until(|| Path::new(&format!("{at}.copy/copied")).exists());
    server.kill();
    let copy = format!("{at}.copy");
    assert!(holdfast(&["journal", "verify", "--data", &copy]).contains("intact"));
    holdfast(&["replay", "--data", &copy]);
}

#[test]
fn read_only_directory_is_refused_with_a_clear_error() {
    if !may_mount() {
        eprintln!("SKIPPED: no mount namespace may be made here");
        return;
    }
    let exchange = Exchange::open(&[]);
    assert_eq!(exchange.ready(&[]).stop(), Some(0));
    let mut disk = SmallDisk::over(&exchange.data(), "16m");
    let at = disk.at.clone();
    disk.run(&format!("mount -o remount,ro {at} && touch {at}.copy/read-only"));
    disk.wait_until(|| Path::new(&format!("{at}.copy/read-only")).exists());
    let log = Server::try_start(&disk.inside(&exchange.serve_command(HOLDFAST, &[])), "")
        .err()
        .expect("nothing is served from a directory that cannot be written");
    assert!(log.contains("journal_read_only") && log.contains("mount it writable"), "{log}");
}
