//! The solver: a process that is asked one question, under limits, and ended. Nothing here knows what is asked.
//!
//! Whatever it does (hang, die, print rubbish or for ever, answer *unknown*) becomes a [`Failure`]: a thing that is not
//! proved. It is never taken for an answer.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use cedar_policy_symcc::err::Error as SymccError;
use cedar_policy_symcc::solver::{Decision, DecisionWithModel, Solver as Ask, SolverError};
use cedar_policy_symcc::{CedarSymCompiler, Env, SmtLibScript as _, WellFormedAsserts};
use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader, BufWriter,
};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::runtime::Runtime;

use crate::pack::STACK;

/// Where the solver is looked for before `PATH`.
pub const SOLVER_VARIABLE: &str = "HOLDFAST_CVC5";
/// The most questions that are asked at the same time.
pub const JOBS_MAX: usize = 2;
/// The longest that a question may take.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3_600);
/// The most bytes that are read of an answer: a model of every fact has a few thousand.
const ANSWER_MAX: usize = 4 << 20;
/// How often a running question looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(25);

/// Why nothing was proved, nor refuted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// There is no such program, or it cannot be run.
    #[error(
        "no solver: {program} cannot be run ({error}); install it (apt install cvc5), or name it with {SOLVER_VARIABLE}"
    )]
    Missing {
        /// What was run.
        program: String,
        /// What the system said.
        error: String,
    },
    /// It ended, or closed its end, before it had answered.
    #[error("the solver ended without an answer: try it by hand, or another version")]
    Died,
    /// It took longer than it may.
    #[error("the solver took longer than {0:?}: give it more time (--timeout), or split the rule")]
    TimedOut(Duration),
    /// It answered that it does not know.
    #[error("the solver answered unknown: give it more time, or write the rule with less arithmetic")]
    Unknown,
    /// It said something that is no answer.
    #[error("the solver's answer makes no sense ({0}): try another version")]
    Garbled(String),
    /// It fails on a question whose answer is known.
    #[error("the solver is wrong about a question whose answer is known ({0}): use another version")]
    Wrong(&'static str),
    /// Its counter-example is none.
    #[error("the solver's counter-example is none: {0}")]
    Unconfirmed(String),
    /// It was told to stop.
    #[error("stopped before it was answered")]
    Stopped,
    /// The question cannot be put.
    #[error("cannot be asked: {0}")]
    Unaskable(String),
}

impl Failure {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "solver_missing",
            Self::Died => "solver_died",
            Self::TimedOut(_) => "solver_timeout",
            Self::Unknown => "solver_unknown",
            Self::Garbled(_) => "solver_garbled",
            Self::Wrong(_) => "solver_wrong",
            Self::Unconfirmed(_) => "solver_unconfirmed",
            Self::Stopped => "stopped",
            Self::Unaskable(_) => "not_askable",
        }
    }

    /// Whether every further question would fail alike.
    pub(crate) const fn ends_all(&self) -> bool {
        matches!(self, Self::Missing { .. } | Self::Wrong(_) | Self::Stopped)
    }
}

/// Which solver is asked, and under what limits.
#[derive(Clone, Debug)]
pub struct Solver {
    program: PathBuf,
    timeout: Duration,
    jobs: usize,
    stop: Arc<AtomicBool>,
    /// What it says it is, once it has answered the questions whose answers are known.
    tested: Arc<OnceLock<String>>,
}

impl Default for Solver {
    fn default() -> Self {
        Self::find()
    }
}

impl Solver {
    /// The cvc5 that [`SOLVER_VARIABLE`] names, or the one on `PATH`. Whether there is one is found out when it is asked.
    pub fn find() -> Self {
        let named = std::env::var_os(SOLVER_VARIABLE).filter(|name| !name.is_empty());
        Self::at(named.unwrap_or_else(|| "cvc5".into()))
    }

    /// The solver at a path: 30 s a question, two at a time.
    pub fn at(program: impl AsRef<OsStr>) -> Self {
        Self {
            program: PathBuf::from(program.as_ref()),
            timeout: Duration::from_secs(30),
            jobs: JOBS_MAX,
            stop: Arc::default(),
            tested: Arc::default(),
        }
    }

    /// How long one question may take, at most [`TIMEOUT_MAX`].
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.clamp(Duration::from_millis(1), TIMEOUT_MAX), ..self }
    }

    /// How many questions are asked at the same time: 1 to [`JOBS_MAX`].
    #[must_use]
    pub fn jobs(self, jobs: usize) -> Self {
        Self { jobs: jobs.clamp(1, JOBS_MAX), ..self }
    }

    /// Ends every question once the flag is set, and the solver with it.
    #[must_use]
    pub fn stopped_by(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// The program that is run.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// What the solver says it is, if it passed its test.
    pub fn tested(&self) -> Option<&str> {
        self.tested.get().map(String::as_str)
    }

    pub(crate) fn passed_its_test(&self, version: String) {
        drop(self.tested.set(version));
    }

    /// The first line that the solver prints about itself.
    ///
    /// # Errors
    /// If it cannot be run, or does not say within the time limit.
    pub(crate) fn version(&self) -> Result<String, Failure> {
        let runtime = runtime()?;
        runtime.block_on(self.limited(async {
            let mut child = self.spawn(&["--version"])?;
            let mut said = Vec::new();
            let output = child.stdout.take().ok_or(Failure::Died)?;
            let read = output.take(4_096).read_to_end(&mut said).await;
            read.map_err(|_| Failure::Died)?;
            let text = String::from_utf8_lossy(&said);
            let line = text.lines().next().unwrap_or_default();
            let line: String = line.chars().filter(|c| !c.is_control()).take(80).collect();
            Ok(line.trim().trim_start_matches("This is ").to_owned())
        }))
    }

    /// Does the work for each item, on as many threads as questions may be asked at the same time, and answers in the
    /// order of the items. What panics is a failure, and ends nothing else.
    pub(crate) fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        done: &(dyn Fn(usize) + Sync),
        work: impl Fn(&Session<'_>, &T) -> Result<R, Failure> + Sync,
    ) -> Vec<Result<R, Failure>> {
        let next = AtomicUsize::new(0);
        let ended = Mutex::new(None::<Failure>);
        let answers: Vec<Mutex<Option<Result<R, Failure>>>> =
            items.iter().map(|_| Mutex::new(None)).collect();
        let one = || {
            let session = match runtime() {
                Ok(runtime) => Session { solver: self, runtime },
                Err(failure) => {
                    *held(&ended) = Some(failure);
                    return;
                }
            };
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let (Some(item), Some(answer)) = (items.get(at), answers.get(at)) else { return };
                if held(&ended).is_some() {
                    return;
                }
                let found = std::panic::catch_unwind(AssertUnwindSafe(|| work(&session, item)));
                let found =
                    found.unwrap_or_else(|_| Err(Failure::Garbled("its reader gave up on it".to_owned())));
                if let Err(failure) = &found
                    && failure.ends_all()
                {
                    *held(&ended) = Some(failure.clone());
                }
                *held(answer) = Some(found);
                done(at);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.jobs.min(items.len()) {
                let thread = std::thread::Builder::new().name("prove".to_owned()).stack_size(STACK);
                if let Err(error) = thread.spawn_scoped(scope, one) {
                    *held(&ended) = Some(Failure::Unaskable(format!("no thread ({error})")));
                }
            }
        });
        let left = ended.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(Failure::Stopped);
        let taken =
            answers.into_iter().map(|answer| answer.into_inner().unwrap_or_else(PoisonError::into_inner));
        taken.map(|answer| answer.unwrap_or_else(|| Err(left.clone()))).collect()
    }

    fn spawn(&self, arguments: &[&str]) -> Result<Child, Failure> {
        let command = &mut Command::new(&self.program);
        command.args(arguments).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map_err(|error| Failure::Missing {
            program: self.program.display().to_string(),
            error: error.to_string(),
        })
    }

    /// The work, unless it takes too long or is told to stop.
    async fn limited<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let stopped = async {
            while !self.stop.load(Ordering::Relaxed) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            biased;
            () = stopped => Err(Failure::Stopped),
            answer = tokio::time::timeout(self.timeout, work) => answer.unwrap_or(Err(Failure::TimedOut(self.timeout))),
        }
    }
}

fn held<T>(lock: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Unaskable(format!("nothing to run the solver on ({error})")))
}

/// What one thread asks with.
pub(crate) struct Session<'s> {
    solver: &'s Solver,
    runtime: Runtime,
}

impl Session<'_> {
    /// An example that satisfies the assertions, or that there is none.
    pub(crate) fn example(&self, asserts: &WellFormedAsserts<'_>) -> Result<Option<Env>, Failure> {
        self.runtime.block_on(self.solver.limited(async {
            // The limit is the solver's own as well: one that outlives this process ends by itself.
            let limit = format!("--tlimit={}", self.solver.timeout.as_millis());
            let child = self.solver.spawn(&["--lang", "smt", &limit])?;
            let mut compiler =
                CedarSymCompiler::new(Process::new(child)?).map_err(|error| garbled(&error))?;
            let answer = compiler.check_sat(asserts).await;
            let failure = compiler.solver_mut().failure.take();
            answer.map_err(|error| failure.unwrap_or_else(|| failure_of(&error)))
        }))
    }
}

fn failure_of(error: &SymccError) -> Failure {
    match error {
        SymccError::SolverUnknown => Failure::Unknown,
        // Nobody reads at the other end.
        SymccError::SolverError(SolverError::Io(_)) | SymccError::EncodeError(_) => Failure::Died,
        SymccError::CompileError(error) => Failure::Unaskable(error.to_string()),
        error => garbled(error),
    }
}

fn garbled(error: &dyn core::fmt::Display) -> Failure {
    Failure::Garbled(clip(&error.to_string()))
}

fn clip(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(160).collect()
}

/// A running solver. It is killed when this is dropped.
struct Process {
    child: Child,
    input: BufWriter<ChildStdin>,
    output: BufReader<ChildStdout>,
    read: usize,
    /// What went wrong, better known here than above.
    failure: Option<Failure>,
}

impl Process {
    fn new(mut child: Child) -> Result<Self, Failure> {
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Self {
                child,
                input: BufWriter::new(input),
                output: BufReader::new(output),
                read: 0,
                failure: None,
            }),
            _ => Err(Failure::Died),
        }
    }

    fn fail(&mut self, failure: Failure) -> SolverError {
        let text = failure.to_string();
        self.failure = Some(failure);
        drop(self.child.start_kill());
        SolverError::Solver(text)
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String, SolverError> {
        let room = ANSWER_MAX.saturating_sub(self.read);
        let mut line = Vec::new();
        let mut limited = (&mut self.output).take(room as u64);
        let read = limited.read_until(b'\n', &mut line).await?;
        self.read = self.read.saturating_add(read);
        if line.last() != Some(&b'\n') {
            let full = self.read >= ANSWER_MAX;
            let failure = if full { Failure::Garbled("it is too long".to_owned()) } else { Failure::Died };
            return Err(self.fail(failure));
        }
        match String::from_utf8(line) {
            Ok(line) => Ok(line.trim_end().to_owned()),
            Err(_) => Err(self.fail(Failure::Garbled("it is not UTF-8".to_owned()))),
        }
    }
}

impl Ask for Process {
    fn smtlib_input(&mut self) -> &mut (dyn AsyncWrite + Unpin + Send) {
        &mut self.input
    }

    async fn enable_models(&mut self) -> Result<(), SolverError> {
        Ok(self.input.set_option("produce-models", "true").await?)
    }

    async fn check_sat(&mut self) -> Result<Decision, SolverError> {
        self.input.check_sat().await?;
        self.input.flush().await?;
        match self.line().await?.as_str() {
            "sat" => Ok(Decision::Sat),
            "unsat" => Ok(Decision::Unsat),
            "unknown" => Ok(Decision::Unknown),
            // What the solver says when its own time limit strikes.
            other if other.contains("interrupted by timeout") => Err(self.fail(Failure::Unknown)),
            other => Err(self.fail(Failure::Garbled(clip(other)))),
        }
    }

    async fn check_sat_with_model(&mut self) -> Result<DecisionWithModel, SolverError> {
        match self.check_sat().await? {
            Decision::Unsat => return Ok(DecisionWithModel::Unsat),
            Decision::Unknown => return Ok(DecisionWithModel::Unknown),
            Decision::Sat => {}
        }
        self.input.get_model().await?;
        self.input.flush().await?;
        let first = self.line().await?;
        if first != "(" {
            return Err(self.fail(Failure::Garbled(clip(&first))));
        }
        let mut model = String::from("(\n");
        loop {
            let line = self.line().await?;
            model.push_str(&line);
            model.push('\n');
            if line == ")" {
                return Ok(DecisionWithModel::Sat { model });
            }
        }
    }
}
