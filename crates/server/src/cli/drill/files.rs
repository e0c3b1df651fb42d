//! What a drill can leave besides its report: the events, the truth and the decisions of one attack, and its journal. It is
//! played once more for this, from the very beginning and unforked.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use holdfast_simulator::drill::{Plan, Sink, Watcher};
use holdfast_simulator::format::{Entry, write_head};
use holdfast_simulator::log::{self, Line};
use holdfast_simulator::score::Window;
use holdfast_simulator::score::files::Header;
use holdfast_simulator::truth::Truth;

use crate::cli::Failure;
use crate::played::PlayedJournal;

/// Files of one attack, played against what is tested by the first seed.
#[derive(clap::Args, Debug)]
pub(super) struct FileArgs {
    /// Write the events of the attack and of everybody else (docs/events.md). Needs the name of one attack.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Write which events and accounts were the attacker's.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write what was decided and what left, as `holdfast score` reads it.
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Record every command in a journal in this new directory, for `holdfast replay`.
    #[arg(long, value_name = "DIR")]
    journal: Option<PathBuf>,
}

impl FileArgs {
    fn any(&self) -> bool {
        self.events.is_some() || self.truth.is_some() || self.decisions.is_some() || self.journal.is_some()
    }
}

/// A file that is written a line at a time; the first failure is kept.
struct Lines(Option<BufWriter<File>>, Option<(PathBuf, io::Error)>, PathBuf);

impl Lines {
    fn create(path: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = path else { return Ok(Self(None, None, PathBuf::new())) };
        let file = File::create(path)
            .map_err(|error| Failure::new("out_unwritable", format!("{}: {error}", path.display())))?;
        Ok(Self(Some(BufWriter::with_capacity(1 << 20, file)), None, path.to_owned()))
    }

    fn put(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) {
        if let Some(file) = &mut self.0
            && let Err(error) = write(file)
        {
            self.1.get_or_insert((self.2.clone(), error));
        }
    }

    fn line(&mut self, value: &impl serde::Serialize) {
        self.put(|file| {
            serde_json::to_writer(&mut *file, value).map_err(io::Error::from)?;
            file.write_all(b"\n")
        });
    }

    fn end(mut self) -> Result<(), Failure> {
        let flushed = self.0.as_mut().map_or(Ok(()), Write::flush);
        let failed = self.1.or_else(|| flushed.err().map(|error| (self.2, error)));
        match failed {
            None => Ok(()),
            Some((path, error)) => {
                Err(Failure::new("out_unwritable", format!("{}: {error}", path.display())))
            }
        }
    }
}

struct Files {
    events: Lines,
    truth: Lines,
    decisions: Lines,
    seed: u64,
}

impl Sink for Files {
    fn entry(&mut self, entry: &Entry) {
        self.events.put(|file| entry.write(file));
    }

    fn line(&mut self, line: &Line) {
        self.decisions.line(line);
    }

    fn truth(&mut self, truth: &Truth, window: &Window) {
        self.truth.line(&Header::of(self.seed, window));
        truth.marks.iter().for_each(|mark| self.truth.line(mark));
    }
}

/// Writes what was asked for.
pub(super) fn write(args: &FileArgs, plan: &Plan, watcher: &Watcher) -> Result<(), Failure> {
    if !args.any() || watcher.stop.load(std::sync::atomic::Ordering::Relaxed) {
        return Ok(());
    }
    let ([_], Some(&seed)) = (plan.attacks.as_slice(), plan.seeds.first()) else {
        let message = "files are written of one attack: name one (`holdfast drill list`)";
        return Err(Failure::new("attack_needed", message));
    };
    let mut files = Files {
        events: Lines::create(args.events.as_deref())?,
        truth: Lines::create(args.truth.as_deref())?,
        decisions: Lines::create(args.decisions.as_deref())?,
        seed,
    };
    files.events.put(write_head);
    files.decisions.line(&serde_json::json!({ "format": log::FORMAT }));
    let journal = args.journal.as_deref().map(PlayedJournal::create).transpose();
    let journal = journal.map_err(|error| Failure::new(error.code(), error))?;
    let recorder = journal.as_ref().map(PlayedJournal::recorder);
    plan.straight(seed, 0, recorder, &mut files, watcher)
        .map_err(|error| Failure::new(error.code(), error))?;
    if let Some(journal) = journal {
        journal.close().map_err(|error| Failure::new(error.code(), error))?;
    }
    files.events.end()?;
    files.truth.end()?;
    files.decisions.end()
}
