//! Programs as child processes: started with a log file of their own, asked whether they are ready, ended gracefully.
//! None outlives what holds it, nor this process if it is told to end.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::error::{Error, Result};

/// How long a server may take to answer, and to end.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// What a shell gives a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

type Shared = Arc<Mutex<Child>>;

/// Everything that was started, for the moment in which this process is told to end.
static STARTED: Mutex<Vec<Weak<Mutex<Child>>>> = Mutex::new(Vec::new());

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A thread that panicked cannot have left a list or a child half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, Ctrl-C and its like end every process that was started, and then this one.
pub(super) fn end_all_on_signals() -> Result<()> {
    let signals = Signals::new([SIGHUP, SIGINT, SIGTERM]);
    let mut signals = signals.map_err(|source| Error::File { path: "signals".into(), source })?;
    std::thread::spawn(move || {
        if signals.forever().next().is_some() {
            // Held to the end: nothing is started any more.
            let started = locked(&STARTED);
            let children: Vec<Shared> = started.iter().filter_map(Weak::upgrade).collect();
            children.iter().for_each(tell);
            let asked = Instant::now();
            while children.iter().any(runs) && asked.elapsed() < PATIENCE {
                std::thread::sleep(LOOK_EVERY);
            }
            for child in &children {
                drop(locked(child).kill());
            }
            std::process::exit(INTERRUPTED);
        }
    });
    Ok(())
}

fn runs(child: &Shared) -> bool {
    locked(child).try_wait().is_ok_and(|status| status.is_none())
}

/// Asks a child to end.
fn tell(child: &Shared) {
    let mut child = locked(child);
    if child.try_wait().is_ok_and(|status| status.is_some()) {
        return;
    }
    // The standard library only knows the signal that cannot be caught.
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).stderr(Stdio::null()).status();
    if !told.is_ok_and(|status| status.success()) {
        drop(child.kill());
    }
}

/// A child process with its log.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    log: PathBuf,
    child: Shared,
}

impl Process {
    /// Starts a program in a folder; what it says goes to `log`, behind what an earlier one said there.
    pub(super) fn start(
        name: &str,
        log: &Path,
        folder: &Path,
        program: &Path,
        arguments: &[&str],
    ) -> Result<Self> {
        let file = |source| Error::File { path: log.to_owned(), source };
        let out = File::options().create(true).append(true).open(log).map_err(file)?;
        let again = out.try_clone().map_err(file)?;
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(again).stderr(out);
        Self::spawn(name, log, command)
    }

    fn spawn(name: &str, log: &Path, mut command: Command) -> Result<Self> {
        let mut started = locked(&STARTED);
        let program = PathBuf::from(command.get_program());
        let child = command.spawn().map_err(|source| Error::File { path: program, source })?;
        let child = Arc::new(Mutex::new(child));
        started.retain(|child| child.strong_count() > 0);
        started.push(Arc::downgrade(&child));
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// Runs a program to its end; it speaks for itself.
    pub(super) fn run(name: &str, command: Command) -> Result<ExitStatus> {
        Self::spawn(name, Path::new(name), command)?.wait()
    }

    /// Waits until `path` answers at `port`, and gives the answer's body.
    pub(super) fn ready(&mut self, port: u16, path: &str) -> Result<String> {
        self.until(|| get(port, path))
    }

    /// Waits until somebody listens on a Unix socket.
    pub(super) fn listens(&mut self, socket: &Path) -> Result<()> {
        self.until(|| UnixStream::connect(socket).ok()).map(drop)
    }

    /// Waits until a line of its log has these words.
    pub(super) fn says(&mut self, words: &str) -> Result<()> {
        let log = self.log.clone();
        self.until(|| std::fs::read_to_string(&log).ok().filter(|text| text.contains(words))).map(drop)
    }

    fn until<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> Result<T> {
        let started = Instant::now();
        loop {
            self.alive()?;
            if let Some(found) = look() {
                return Ok(found);
            }
            if started.elapsed() > PATIENCE {
                return Err(self.failed("does not answer"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// An error with its last words if it has ended.
    pub(super) fn alive(&self) -> Result<()> {
        let status = locked(&self.child).try_wait().ok().flatten();
        status.map_or(Ok(()), |status| Err(self.failed(&format!("ended ({status})"))))
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
        tell(&self.child);
        let started = Instant::now();
        while runs(&self.child) {
            if started.elapsed() > PATIENCE {
                let mut child = locked(&self.child);
                drop(child.kill());
                drop(child.wait());
                drop(child);
                return Err(self.failed("did not end when asked to"));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    pub(super) fn wait(&mut self) -> Result<ExitStatus> {
        loop {
            let status = locked(&self.child).try_wait();
            match status.map_err(|source| Error::File { path: self.log.clone(), source })? {
                Some(status) => return Ok(status),
                None => std::thread::sleep(LOOK_EVERY),
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.stop());
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
        let program = Path::new("/bin/sh");
        let mut process =
            Process::start("a server", &log, Path::new("/"), program, &["-c", "echo no port; exit 3"])
                .unwrap();
        let port = free_port().unwrap();
        let error = process.ready(port, "/").unwrap_err().to_string();
        assert!(error.contains("a server") && error.contains("no port"), "{error}");
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_process_ends_when_asked_to() {
        let sleep = Path::new("/bin/sleep");
        let mut process =
            Process::start("sleep", Path::new("/dev/null"), Path::new("/"), sleep, &["60"]).unwrap();
        process.alive().unwrap();
        process.stop().unwrap();
        assert!(process.alive().unwrap_err().to_string().contains("ended"));
    }
}
