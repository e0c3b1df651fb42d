//! The binaries `holdfast` and `holdfast-signer` as anybody would run them, each in a directory of its own, and connections
//! to them that wait for each answer. What is measured of it is another module's business.

use std::fs::Permissions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use holdfast_signer::{Client, Signer};
use serde_json::{Value, json};

use crate::Failure;
use crate::report::{percent, permille};

/// The longest answer that is read.
pub(crate) const ANSWER_MAX: usize = 4 << 20;
/// Connections of [`Server::each`].
const CONNECTIONS: u64 = 8;
/// The names of a signer's files in its folder.
pub(crate) const PINS: &str = "signer.toml";
pub(crate) const STORE: &str = "signer.db";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The binary of that name beside this one.
pub(crate) fn binary(name: &str) -> Result<PathBuf, Failure> {
    let binary = std::env::current_exe()?.with_file_name(name);
    if binary.is_file() { Ok(binary) } else { Err(format!("{} is not built", binary.display()).into()) }
}

/// What a command printed, if it succeeded.
pub(crate) fn called(process: &mut Process) -> Result<Output, Failure> {
    let output = process.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{process:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

/// A running server with a token; ends with its value.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// The public half of its release key.
    pub(crate) release_key: String,
    /// Where it listens.
    pub(crate) address: String,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to be kept: a kill ends it sooner than a snapshot would.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    /// Makes it in `dir` and starts it; its token has these scopes.
    pub(crate) fn start(dir: &Path, config: &Path, pack: &Path, scopes: &str) -> Result<Self, Failure> {
        Self::start_with(dir, config, pack, scopes, None)
    }

    /// The same with a configuration of the server's own.
    pub(crate) fn start_with(
        dir: &Path,
        config: &Path,
        pack: &Path,
        scopes: &str,
        serve: Option<&Path>,
    ) -> Result<Self, Failure> {
        let binary = binary("holdfast")?;
        std::fs::create_dir_all(dir)?;
        let data = dir.join("data");
        let mut init = Process::new(&binary);
        init.arg("init").arg("--data").arg(&data).arg("--config").arg(config).arg("--policy").arg(pack);
        for name in ["alice", "bob"] {
            let key = dir.join(name);
            called(Process::new(&binary).args(["operator", "keygen", "--out"]).arg(&key))?;
            init.arg("--operator").arg(format!("{name}={}", key.with_extension("pub").display()));
        }
        let made: Value = serde_json::from_slice(&called(init.arg("--json"))?.stdout)?;
        let first = made.get("token").and_then(Value::as_str).ok_or("no first token was printed")?.to_owned();
        let mut process = Process::new(&binary);
        process.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
        if let Some(serve) = serve {
            process.arg("--config").arg(serve);
        }
        let mut child = process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let log = child.stderr.take().ok_or("the server has no log")?;
        let (found, address) = mpsc::channel();
        // Reads on for as long as the server writes, so that it never waits for its log.
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    drop(found.send(address));
                }
            }
        });
        let key =
            made.pointer("/pin/release_key").and_then(Value::as_str).ok_or("no release key was printed")?;
        let mut server =
            Self { child, release_key: key.to_owned(), address: String::new(), token: String::new() };
        server.address =
            address.recv_timeout(Duration::from_secs(60)).map_err(|_| "the server does not listen")?;
        server.issue_token(&binary, dir, &first, scopes)?;
        Ok(server)
    }

    fn issue_token(&mut self, binary: &Path, dir: &Path, first: &str, scopes: &str) -> Result<(), Failure> {
        let url = format!("http://{}", self.address);
        let text = dir.join("token.txt");
        let minted = called(
            Process::new(binary)
                .args(["token", "new", "--client", "bench", "--scopes", scopes, "--json"])
                .args(["--url", &url, "--out"])
                .arg(&text),
        )?;
        let minted: Value = serde_json::from_slice(&minted.stdout)?;
        self.token = minted.get("token").and_then(Value::as_str).ok_or("no token was printed")?.to_owned();
        let mut send = Process::new(binary);
        send.args(["operator", "send"]).arg(&text).args(["--url", &url]).env("HOLDFAST_TOKEN", first);
        for name in ["alice", "bob"] {
            let signed = called(
                Process::new(binary)
                    .args(["operator", "sign", "--json", "--key"])
                    .arg(dir.join(name))
                    .arg(&text),
            )?;
            let signed: Value = serde_json::from_slice(&signed.stdout)?;
            let signature =
                signed.get("signature").and_then(Value::as_str).ok_or("no signature was printed")?;
            send.arg("--signature").arg(format!("{name}={signature}"));
        }
        called(&mut send)?;
        Ok(())
    }

    /// Which threads the process's time went to.
    pub(crate) fn threads(&self) -> Result<String, Failure> {
        let mut ticks = std::collections::BTreeMap::<String, u64>::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = std::fs::read_to_string(task?.path().join("stat"))?;
            let (name, used) = used_ticks(&stat)?;
            *ticks.entry(name.to_owned()).or_default() += used;
        }
        let total = ticks.values().sum();
        let mut shares: Vec<_> =
            ticks.into_iter().map(|(name, ticks)| (permille(ticks, total), name)).collect();
        shares.sort_unstable_by(|a, b| b.cmp(a));
        let shares = shares.into_iter().filter(|(share, _)| *share >= 10);
        Ok(shares.map(|(share, name)| format!("{name} {}", percent(share))).collect::<Vec<_>>().join(", "))
    }

    /// Milliseconds that the process was on a CPU so far, threads that have ended included.
    pub(crate) fn cpu_millis(&self) -> Result<u64, Failure> {
        cpu_millis(&self.child)
    }

    /// A request's bytes.
    pub(crate) fn request(&self, method: &str, path: &str, more: &str, body: &str) -> Vec<u8> {
        let (address, token, length) = (&self.address, &self.token, body.len());
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n{more}content-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    /// A new connection to it, which waits for each answer.
    pub(crate) fn caller(&self) -> Result<Caller, Failure> {
        Caller::connect(&self.address)
    }

    /// Prices of now, as `(asset, usd)`.
    pub(crate) fn price(&self, prices: &[(&str, &str)]) -> Result<(), Failure> {
        let prices: Vec<Value> =
            prices.iter().map(|(asset, usd)| json!({ "asset": asset, "usd": usd })).collect();
        let body = json!({ "prices": prices }).to_string();
        self.caller()?.call(&self.request("PUT", "/v1/prices", "", &body))?;
        Ok(())
    }

    /// Opens the accounts `ac_0` and so on.
    pub(crate) fn open_accounts(&self, count: u64) -> Result<(), Failure> {
        self.each(count, |number| {
            let body = format!("{{\"account\":\"ac_{number}\",\"tier\":\"full\"}}");
            Ok(self.request("POST", "/v1/accounts", "", &body))
        })?;
        Ok(())
    }

    /// Sends requests `0..count` over a few connections; what was answered, in their order.
    pub(crate) fn each(
        &self,
        count: u64,
        ask: impl Fn(u64) -> Result<Vec<u8>, Failure> + Sync,
    ) -> Result<Vec<Value>, Failure> {
        let ask = &ask;
        let part = |first: u64| -> Result<Vec<Value>, Failure> {
            let mut caller = self.caller()?;
            let numbers = (first..count).step_by(usize::try_from(CONNECTIONS)?);
            numbers.map(|number| caller.call(&ask(number)?)).collect()
        };
        let parts = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..CONNECTIONS).map(|first| scope.spawn(move || part(first))).collect();
            let join = |thread: std::thread::ScopedJoinHandle<'_, _>| {
                thread.join().map_err(|_| Failure::from("a connection broke off"))?
            };
            threads.into_iter().map(join).collect::<Result<Vec<Vec<Value>>, Failure>>()
        })?;
        let mut parts: Vec<_> = parts.into_iter().map(Vec::into_iter).collect();
        let mut answers = Vec::new();
        for number in 0..count {
            let part = parts.get_mut(usize::try_from(number % CONNECTIONS)?);
            answers.push(part.and_then(Iterator::next).ok_or("an answer is missing")?);
        }
        Ok(answers)
    }
}

/// A running signer; ends with its value.
#[derive(Debug)]
pub(crate) struct SignerProcess {
    child: Child,
    socket: PathBuf,
}

impl Drop for SignerProcess {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl SignerProcess {
    /// Starts the binary `holdfast-signer` over a store that [`make_signer`] made.
    pub(crate) fn start(dir: &Path) -> Result<Self, Failure> {
        let socket = dir.join("socket");
        let child = Process::new(binary("holdfast-signer")?)
            .arg("serve")
            .arg("--pins")
            .arg(dir.join(PINS))
            .arg("--store")
            .arg(dir.join(STORE))
            .arg("--socket")
            .arg(&socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()?;
        let signer = Self { child, socket };
        let deadline = Instant::now() + PATIENCE;
        while signer.client().is_err() {
            if Instant::now() > deadline {
                return Err("the signer does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(signer)
    }

    /// Milliseconds that the process was on a CPU so far.
    pub(crate) fn cpu_millis(&self) -> Result<u64, Failure> {
        cpu_millis(&self.child)
    }

    pub(crate) fn client(&self) -> Result<Client, Failure> {
        Ok(Client::connect(&self.socket)?)
    }
}

/// Makes a signer's folder, key and store, and pins the store; the public half of its key.
pub(crate) fn make_signer(dir: &Path, pins: &str) -> Result<[u8; 32], Failure> {
    std::fs::create_dir_all(dir)?;
    std::fs::set_permissions(dir, Permissions::from_mode(0o700))?;
    let file = dir.join(PINS);
    write_pins(&file, pins)?;
    let made = Signer::init(&file, &dir.join(STORE), 1)?;
    let store: String = made.store.iter().map(|byte| format!("{byte:02x}")).collect();
    write_pins(&file, &format!("store = \"{store}\"\n{pins}"))?;
    Ok(made.receipt_key)
}

fn write_pins(file: &Path, text: &str) -> Result<(), Failure> {
    std::fs::write(file, text)?;
    Ok(std::fs::set_permissions(file, Permissions::from_mode(0o600))?)
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) fn connect(address: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, buffer: Vec::with_capacity(4_096) })
    }

    /// Sends a request and reads its answer, which must be a 2xx.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<&[u8], Failure> {
        self.stream.write_all(request)?;
        self.buffer.clear();
        let mut chunk = [0; 65_536];
        let end = loop {
            let read = self.stream.read(&mut chunk)?;
            self.buffer.extend_from_slice(chunk.get(..read).unwrap_or_default());
            if read == 0 || self.buffer.len() > ANSWER_MAX {
                return Err("the server closed the connection".into());
            }
            if let Some(end) = end_of_answer(&self.buffer)? {
                break end;
            }
        };
        let head = self.buffer.windows(4).position(|four| four == b"\r\n\r\n").unwrap_or_default();
        Ok(self.buffer.get(head.saturating_add(4)..end).unwrap_or_default())
    }

    /// Sends a request; the body of its answer as JSON.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<Value, Failure> {
        Ok(serde_json::from_slice(self.send(request)?)?)
    }
}

/// The name in a `stat` file of proc(5), and fields 14 and 15: user and system time, in hundredths of a second.
fn used_ticks(stat: &str) -> Result<(&str, u64), Failure> {
    let (head, rest) = stat.rsplit_once(") ").ok_or("there is no name in /proc/PID/stat")?;
    let name = head.split_once('(').map_or(head, |(_, name)| name);
    let times = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    Ok((name, times.sum()))
}

pub(crate) fn cpu_millis(child: &Child) -> Result<u64, Failure> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id()))?;
    Ok(used_ticks(&stat)?.1.saturating_mul(10))
}

fn listening(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields")?;
    let url = fields.get("url").and_then(Value::as_str)?;
    (fields.get("message")? == "listening")
        .then(|| url.trim_start_matches("http://").trim_end_matches('/').to_owned())
}

/// Where the answer ends, once all of it is there; an error unless it is a 2xx.
pub(crate) fn end_of_answer(buffer: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let end = head + 4 + length.ok_or("an answer without a length")?;
    if buffer.len() < end {
        return Ok(None);
    }
    if !text.starts_with("HTTP/1.1 2") {
        return Err(format!("not a success: {}", String::from_utf8_lossy(buffer)).into());
    }
    Ok(Some(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(end_of_answer(answer).unwrap(), Some(answer.len()));
        assert_eq!(end_of_answer(&answer[..answer.len() - 1]).unwrap(), None);
        assert_eq!(end_of_answer(b"HTTP/1.1 201 Cr").unwrap(), None);
        assert!(end_of_answer(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
