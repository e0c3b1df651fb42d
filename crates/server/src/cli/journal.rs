//! `holdfast journal`: verify, checkpoint and export. Reads only; what a record means is known by `crate::record`.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdfast_journal::{Checkpoint, JournalError, LocalReader, VerifyReport};
use serde_json::{Value, json};

use super::progress::{Bar, fail, finish};
use crate::record::{self, RecordError, Seen, hex, record_json};

/// Work with the journal; a server may be running on it.
#[derive(clap::Args, Debug)]
pub struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(clap::Subcommand, Debug)]
enum JournalCommand {
    /// Check every record against its hash and its predecessor.
    ///
    /// Exits 0 if the journal is intact, 1 if it is not, 2 if it could not be read at all.
    Verify(VerifyArgs),
    /// Print a checkpoint: keep it elsewhere, and `verify --checkpoint` will tell if the journal was cut since.
    Checkpoint(DataArgs),
    /// Print records as JSON, one a line.
    Export(ExportArgs),
}

#[derive(clap::Args, Debug)]
struct DataArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
}

#[derive(clap::Args, Debug)]
struct VerifyArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// A checkpoint that the journal must contain.
    #[arg(long)]
    checkpoint: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args, Debug)]
struct ExportArgs {
    /// The data directory.
    #[arg(long)]
    data: PathBuf,
    /// One JSON object a line, the only format there is.
    #[arg(long, required = true)]
    jsonl: bool,
    /// The first record.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// The last record.
    #[arg(long, default_value_t = u64::MAX)]
    to: u64,
}

/// Runs the command.
pub fn run(args: JournalArgs) -> ExitCode {
    match args.command {
        JournalCommand::Verify(args) => verify(&args),
        JournalCommand::Checkpoint(args) => checkpoint(&args.data),
        JournalCommand::Export(args) => export(&args),
    }
}

fn verify(args: &VerifyArgs) -> ExitCode {
    let checkpoint = match args.checkpoint.as_deref().map(Checkpoint::read).transpose() {
        Ok(checkpoint) => checkpoint,
        Err(error) => return fail(error.code(), &error),
    };
    let report = match holdfast_journal::verify(&args.data, checkpoint.as_ref()) {
        Ok(report) => report,
        Err(error) => return fail(error.code(), &error),
    };
    let text = if args.json { format!("{}\n", verify_json(&report)) } else { verify_text(&report) };
    finish(io::stdout().lock().write_all(text.as_bytes()), report.is_intact())
}

fn verify_json(report: &VerifyReport) -> Value {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            json!({
                "code": finding.code,
                "file": finding.file.display().to_string(),
                "sequence": finding.sequence,
                "what": finding.what,
            })
        })
        .collect();
    json!({
        "intact": report.is_intact(),
        "journal": report.journal.map(|id| id.to_string()),
        "records": report.records,
        "sequence": report.head.map(|head| head.sequence),
        "head": report.head.map(|head| hex(&head.hash)),
        "findings": findings,
        "notes": report.notes,
    })
}

fn verify_text(report: &VerifyReport) -> String {
    let mut text = match (report.is_intact(), report.head) {
        (true, Some(head)) => format!("intact: {} records, head {head}\n", report.records),
        (true, None) => format!("intact: {} records\n", report.records),
        (false, _) => format!("NOT INTACT: {} records read as they were written\n", report.records),
    };
    for finding in &report.findings {
        text.push_str(&format!("  {finding}\n"));
    }
    for note in &report.notes {
        text.push_str(&format!("  note: {note}\n"));
    }
    text
}

fn checkpoint(data: &Path) -> ExitCode {
    let head = LocalReader::open(data).and_then(|reader| Ok((reader.id(), reader.head()?)));
    match head {
        Ok((journal, head)) => {
            let text = Checkpoint { journal, head }.to_string();
            finish(io::stdout().lock().write_all(text.as_bytes()), true)
        }
        Err(error) => fail(error.code(), &error),
    }
}

/// Why an export ends early.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Output(#[from] io::Error),
}

fn export(args: &ExportArgs) -> ExitCode {
    let mut bar = Bar::new("export");
    let out = BufWriter::new(io::stdout().lock());
    let done = export_to(args, out, &mut |at, end| bar.show(at, end));
    bar.clear();
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(ExportError::Journal(error)) => fail(error.code(), &error),
        Err(ExportError::Record(error)) => fail(error.code(), &error),
        Err(ExportError::Output(error)) => finish(Err(error), true),
    }
}

/// Streams records. Those before the first one asked for are read for the names that they introduce.
fn export_to(
    args: &ExportArgs,
    mut out: impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ExportError> {
    let reader = LocalReader::open(&args.data)?;
    let end = reader.head()?.sequence.min(args.to);
    let mut names = Seen::default();
    for record in reader.records(1) {
        let record = record?;
        if record.sequence > end {
            break;
        }
        let decoded = record::decode(&record)?;
        for event in &decoded.events {
            names.learn(event);
        }
        if record.sequence >= args.from {
            serde_json::to_writer(&mut out, &record_json(&decoded, &names)).map_err(io::Error::from)?;
            out.write_all(b"\n")?;
        }
        if record.sequence.is_multiple_of(1_024) {
            progress(record.sequence, end);
        }
    }
    out.flush()?;
    Ok(())
}
