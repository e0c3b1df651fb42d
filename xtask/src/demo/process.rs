//! Servers as child processes: started with a log file of their own, asked whether they are ready, ended gracefully.
//! None outlives what holds it.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long a server may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A child process with its log.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a program; what it says goes to `log`, behind what an earlier one said there.
    pub(super) fn start(name: &str, log: &Path, program: &Path, arguments: &[&str]) -> Result<Self> {
        let file = |source| Error::File { path: log.to_owned(), source };
        let out = File::options().create(true).append(true).open(log).map_err(file)?;
        let again = out.try_clone().map_err(file)?;
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(again)
            .stderr(out)
            .spawn()
            .map_err(|source| Error::File { path: program.to_owned(), source })?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// Waits until `path` answers at `port`, and gives the answer's body.
    pub(super) fn ready(&mut self, port: u16, path: &str) -> Result<String> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().ok().flatten() {
                return Err(self.failed(&format!("ended at once ({status})")));
            }
            if let Some(body) = get(port, path) {
                return Ok(body);
            }
            if started.elapsed() > PATIENCE {
                return Err(self.failed("does not answer"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    fn failed(&self, what: &str) -> Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let last: Vec<&str> = log.lines().rev().take(3).collect();
        let last = last.into_iter().rev().collect::<Vec<_>>().join("\n");
        Error::Failed {
            command: self.name.clone(),
            detail: format!("{what}; {}:\n{last}", self.log.display()),
        }
    }

    /// Asks it to end and waits until it has.
    pub(super) fn stop(&mut self) -> Result<()> {
        let id = self.child.id().to_string();
        // The standard library only knows the signal that cannot be caught.
        let told = Command::new("kill").args(["-TERM", &id]).stderr(Stdio::null()).status();
        if !told.is_ok_and(|status| status.success()) {
            drop(self.child.kill());
        }
        let started = Instant::now();
        while self.child.try_wait().ok().flatten().is_none() {
            if started.elapsed() > PATIENCE {
                drop(self.child.kill());
                drop(self.child.wait());
                return Err(self.failed("did not end when asked to"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    pub(super) fn wait(&mut self) -> Result<ExitStatus> {
        self.child.wait().map_err(|source| Error::File { path: self.log.clone(), source })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            drop(self.stop());
        }
    }
}

/// A port on this machine that nobody listens at.
pub(super) fn free_port() -> Result<u16> {
    let found = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    found.map(|address| address.port()).map_err(|error| Error::Unexpected {
        what: "127.0.0.1".to_owned(),
        found: format!("no free port: {error}"),
    })
}

/// The body of a plain HTTP GET on this machine, if its status is 200.
pub(super) fn get(port: u16, path: &str) -> Option<String> {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.take(1 << 20).read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    head.starts_with("HTTP/1.1 200").then(|| body.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ends_at_once_is_told_with_its_last_words() {
        let log = std::env::temp_dir().join(format!("holdfast-demo-{}.log", std::process::id()));
        let mut process =
            Process::start("a server", &log, Path::new("/bin/sh"), &["-c", "echo no port; exit 3"]).unwrap();
        let port = free_port().unwrap();
        let error = process.ready(port, "/").unwrap_err().to_string();
        assert!(error.contains("a server") && error.contains("no port"), "{error}");
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_process_ends_when_asked_to() {
        let mut process =
            Process::start("sleep", Path::new("/dev/null"), Path::new("/bin/sleep"), &["60"]).unwrap();
        let started = Instant::now();
        process.stop().unwrap();
        assert!(started.elapsed() < Duration::from_secs(30));
    }
}
