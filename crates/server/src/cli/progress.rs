//! What the commands that read a journal share: a line of progress on a terminal, and how they end.

use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A line of progress on standard error, if that is a terminal.
pub(super) struct Bar {
    name: &'static str,
    watched: bool,
    shown: Option<Instant>,
}

/// Often enough to see that something happens.
const SHOW_EVERY: Duration = Duration::from_millis(200);

impl Bar {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, watched: io::stderr().is_terminal(), shown: None }
    }

    pub(super) fn show(&mut self, at: u64, end: u64) {
        if !self.watched || self.shown.is_some_and(|shown| shown.elapsed() < SHOW_EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let percent = at.saturating_mul(100).checked_div(end).unwrap_or(100);
        let _unseen = write!(io::stderr(), "\r{}: {at} of {end} ({percent} %)\x1b[K", self.name);
    }

    /// Goes on with something else.
    pub(super) const fn name(&mut self, name: &'static str) {
        self.name = name;
    }

    pub(super) fn clear(&mut self) {
        if self.shown.take().is_some() {
            let _unseen = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// Becomes true with the first Ctrl-C, so that a long command can end with what it has; the second one ends the process.
pub(super) fn interrupted() -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&asked);
    let listen = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        // Without a runtime Ctrl-C does what it always does.
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            if tokio::signal::ctrl_c().await.is_ok() {
                told.store(true, Ordering::Relaxed);
                if tokio::signal::ctrl_c().await.is_ok() {
                    std::process::exit(130);
                }
            }
        });
    };
    let _without_it = std::thread::Builder::new().name("interrupt".to_owned()).spawn(listen);
    asked
}

/// Says on standard error why nothing could be done: exit code 2.
pub(super) fn fail(code: &str, error: &dyn std::fmt::Display) -> ExitCode {
    let _unseen = writeln!(io::stderr(), "error: {code}: {error}");
    ExitCode::from(2)
}

/// Ends a command: 0 if all is well, 1 if not; 2 if the answer could not be written. A reader that left early is no error.
pub(super) fn finish(written: io::Result<()>, well: bool) -> ExitCode {
    match written {
        Ok(()) if well => ExitCode::SUCCESS,
        Ok(()) => ExitCode::from(1),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail("output", &error),
    }
}
