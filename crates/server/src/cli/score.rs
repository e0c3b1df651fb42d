//! `holdfast score`: what a file of decisions comes to, by a file of truth. The scores are the simulator's.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use holdfast_simulator::score::Scores;
use holdfast_simulator::score::figure::{Figure, Unit};
use holdfast_simulator::score::files::{FileError, read_truth, score};
use serde_json::{Map, Value, json};

use super::progress::{fail, finish};

/// Score a file of decisions by a file of truth.
///
/// The decisions are what `holdfast decide` or `holdfast drill --decisions` wrote; the truth says which events and accounts
/// were an attacker's (docs/drill-report.md). Exits 0, or 2 if a file cannot be read or a line of it is wrong.
#[derive(clap::Args, Debug)]
pub struct ScoreArgs {
    /// The decisions, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    decisions: PathBuf,
    /// The truth, one JSON object a line.
    #[arg(long, value_name = "FILE")]
    truth: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: &ScoreArgs) -> ExitCode {
    let scores = match scored(args) {
        Ok(scores) => scores,
        Err(error) => return fail(error.code(), &error),
    };
    let text = if args.json { format!("{:#}\n", as_json(&scores)) } else { text(&scores) };
    finish(io::stdout().lock().write_all(text.as_bytes()), true)
}

fn open(file: &'static str, path: &Path) -> Result<Box<dyn BufRead>, FileError> {
    let opened = File::open(path).map_err(|error| FileError::Unreadable { file, error })?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, opened)))
}

fn scored(args: &ScoreArgs) -> Result<Scores, FileError> {
    let (header, marks) = read_truth(&mut *open("truth", &args.truth)?)?;
    score(&header, &marks, &mut || open("decisions", &args.decisions))
}

fn value(figure: &Figure) -> Option<String> {
    figure.value.map(|value| figure.unit.text(value))
}

fn by_name(figures: &[Figure]) -> Value {
    let one = |figure: &Figure| (figure.name.to_owned(), json!(value(figure)));
    Value::Object(figures.iter().map(one).collect::<Map<String, Value>>())
}

fn as_json(scores: &Scores) -> Value {
    let layers = scores.layers.iter().map(|row| {
        json!({
            "layer": row.layer.name(),
            "stopped": row.stopped,
            "stopped_btc": Unit::Btc.text(row.stopped_satoshi.into()),
            "ordinary_touched": row.touched,
            "ordinary_stopped": row.refused,
            "ordinary_minutes": Unit::Minutes.text(row.waited.into()),
        })
    });
    let reasons = scores.reasons.iter().map(|row| {
        json!({
            "code": row.code,
            "ordinary": row.ordinary,
            "attacker": row.attacker,
            "stopped_btc": Unit::Btc.text(row.stopped_satoshi.into()),
        })
    });
    json!({
        "format": "holdfast-score/1",
        "attack": by_name(&scores.attack),
        "ordinary": by_name(&scores.ordinary),
        "layers": layers.collect::<Vec<_>>(),
        "reasons": reasons.collect::<Vec<_>>(),
    })
}

fn text(scores: &Scores) -> String {
    let mut text = String::new();
    for (title, figures) in [("attack", &scores.attack), ("ordinary customers", &scores.ordinary)] {
        if figures.is_empty() {
            text.push_str(&format!("{title}: none\n"));
            continue;
        }
        text.push_str(&format!("{title}\n"));
        for figure in figures {
            let value = value(figure).unwrap_or_else(|| "never".to_owned());
            text.push_str(&format!("  {:28}  {value:>16} {}\n", figure.name, figure.unit.name()));
        }
    }
    text.push_str("layers                          stopped BTC    ordinary touched  minutes\n");
    for row in &scores.layers {
        text.push_str(&format!(
            "  {:24}  {:>16}  {:>18}  {:>7}\n",
            row.layer.title(),
            Unit::Btc.text(row.stopped_satoshi.into()),
            row.touched,
            Unit::Minutes.text(row.waited.into())
        ));
    }
    text
}
