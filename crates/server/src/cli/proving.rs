//! What the commands that ask a solver share: its limits, Ctrl-C, and a line of progress on a terminal.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdfast_cedar::prove::{Progress, Solver, Watch};

use super::progress::Bar;

/// How the solver is asked.
#[derive(clap::Args, Debug)]
pub(super) struct Asking {
    /// The most seconds that one question may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
    /// How many questions are asked at the same time.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=2))]
    jobs: u8,
    /// The solver; else $HOLDFAST_CVC5, else cvc5 on PATH.
    #[arg(long, value_name = "PROGRAM")]
    solver: Option<PathBuf>,
}

/// Asks, with a line of progress. Ctrl-C ends the solver; what it had not answered is not proved then.
pub(super) fn ask<R>(asking: &Asking, work: impl FnOnce(&Solver, Watch<'_>) -> R) -> R {
    let solver = asking.solver.as_ref().map_or_else(Solver::find, Solver::at);
    let stop = Arc::new(AtomicBool::new(false));
    stop_on_interrupt(stop.clone());
    let solver =
        solver.timeout(Duration::from_secs(asking.timeout)).jobs(usize::from(asking.jobs)).stopped_by(stop);
    let bar = Mutex::new(Bar::new("questions"));
    let show = |progress: Progress<'_>| {
        let (done, total) = (progress.done as u64, progress.total as u64);
        bar.lock().unwrap_or_else(PoisonError::into_inner).show(done, total);
    };
    let answer = work(&solver, &show);
    bar.lock().unwrap_or_else(PoisonError::into_inner).clear();
    answer
}

/// The first interrupt is noted. Where that cannot be had, an interrupt ends the process, and its solvers with it.
fn stop_on_interrupt(stop: Arc<AtomicBool>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    let wait = move || {
        if runtime.block_on(tokio::signal::ctrl_c()).is_ok() {
            stop.store(true, Ordering::Relaxed);
        }
    };
    drop(std::thread::Builder::new().name("interrupt".to_owned()).spawn(wait));
}
