//! Reading what is scored: a truth file and a decisions file, a line at a time, with errors that name the line.

use std::io::{BufRead, Read as _};

use holdfast_values::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Scorer, Scores, Window};
use crate::exchange::Exchange;
use crate::log::{self, Line};
use crate::truth::{self, Mark};

/// The longest line that is read.
const LINE_MAX: usize = 1 << 20;
/// The most lines of a truth file: it is kept in memory.
const MARKS_MAX: usize = 10_000_000;

/// The first line of a truth file. What is absent is taken from the decisions, or is that of the stated exchange.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Header {
    /// [`truth::FORMAT`].
    pub format: Box<str>,
    /// The seed of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Ordinary withdrawals are scored from then on, RFC 3339 ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Box<str>>,
    /// ... and before then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Box<str>>,
    /// Customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<u32>,
    /// US cents a bitcoin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cents_per_btc: Option<u64>,
    /// Satoshi that a whole coin is worth, by asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub satoshi_per_coin: Option<std::collections::BTreeMap<Box<str>, u64>>,
}

impl Header {
    /// Of a run.
    pub fn of(seed: u64, window: &Window) -> Self {
        Self {
            format: truth::FORMAT.into(),
            seed: Some(seed),
            from: Some(window.from.to_string().into()),
            until: Some(window.until.to_string().into()),
            accounts: window.accounts,
            cents_per_btc: Some(window.cents_per_btc),
            satoshi_per_coin: Some(window.satoshi_per_coin.clone()),
        }
    }
}

/// Why files cannot be scored.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// A file cannot be read.
    #[error("cannot read the {file}: {error}")]
    Unreadable {
        /// Truth or decisions.
        file: &'static str,
        /// Why.
        error: std::io::Error,
    },
    /// The first line is not what it must be.
    #[error("{file}, line 1: it must be {expected:?} in \"format\"")]
    Format {
        /// Truth or decisions.
        file: &'static str,
        /// What would be right.
        expected: &'static str,
    },
    /// A line is wrong.
    #[error("{file}, line {line}: {problem}")]
    Line {
        /// Truth or decisions.
        file: &'static str,
        /// Which, counted from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A truth of more lines than are kept.
    #[error("the truth has more than {MARKS_MAX} lines")]
    TooMany,
}

impl FileError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::Format { .. } => "format_missing",
            Self::Line { .. } => "line_invalid",
            Self::TooMany => "too_many",
        }
    }
}

/// The lines of a file after its first, which is given apart.
fn read(
    file: &'static str,
    from: &mut dyn BufRead,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let mut number = 0u64;
    let mut line = Vec::new();
    loop {
        line.clear();
        number = number.saturating_add(1);
        let limited = &mut from.take(LINE_MAX as u64 + 1);
        let count =
            limited.read_until(b'\n', &mut line).map_err(|error| FileError::Unreadable { file, error })?;
        if count == 0 {
            return Ok(());
        }
        let problem = |problem: &str| FileError::Line { file, line: number, problem: problem.to_owned() };
        match line.pop() {
            Some(b'\n') => {}
            _ if line.len() >= LINE_MAX => return Err(problem("longer than 1 MiB")),
            _ => return Err(problem("it is cut off: the last line ends without a line feed")),
        }
        take(number, &line)?;
    }
}

fn json<'l, T: Deserialize<'l>>(file: &'static str, line: u64, text: &'l [u8]) -> Result<T, FileError> {
    serde_json::from_slice(text).map_err(|error| FileError::Line { file, line, problem: error.to_string() })
}

/// Reads a truth file.
///
/// # Errors
/// [`FileError`].
pub fn read_truth(from: &mut dyn BufRead) -> Result<(Header, Vec<Mark>), FileError> {
    const FILE: &str = "truth";
    let (mut header, mut marks) = (None, Vec::new());
    read(FILE, from, |number, line| {
        if number == 1 {
            let first: Option<Header> = serde_json::from_slice(line).ok();
            header = first.filter(|header| &*header.format == truth::FORMAT);
            return if header.is_some() {
                Ok(())
            } else {
                Err(FileError::Format { file: FILE, expected: truth::FORMAT })
            };
        }
        if marks.len() >= MARKS_MAX {
            return Err(FileError::TooMany);
        }
        marks.push(json(FILE, number, line)?);
        Ok(())
    })?;
    let header = header.ok_or(FileError::Format { file: FILE, expected: truth::FORMAT })?;
    Ok((header, marks))
}

/// Gives each line of a decisions file, in order.
///
/// # Errors
/// [`FileError`].
pub fn read_decisions(from: &mut dyn BufRead, mut take: impl FnMut(Line)) -> Result<(), FileError> {
    const FILE: &str = "decisions";
    #[derive(Deserialize)]
    struct First {
        format: Box<str>,
    }
    let (mut is_first, mut last) = (true, Timestamp::ZERO);
    read(FILE, from, |number, line| {
        if std::mem::take(&mut is_first) {
            let first: Option<First> = serde_json::from_slice(line).ok();
            let good = first.is_some_and(|first| &*first.format == log::FORMAT);
            return if good { Ok(()) } else { Err(FileError::Format { file: FILE, expected: log::FORMAT }) };
        }
        let line: Line = json(FILE, number, line)?;
        if line.at < last {
            let problem = format!("its time {} is before that of the line before", line.at);
            return Err(FileError::Line { file: FILE, line: number, problem });
        }
        last = line.at;
        take(line);
        Ok(())
    })?;
    if is_first { Err(FileError::Format { file: FILE, expected: log::FORMAT }) } else { Ok(()) }
}

/// Scores a decisions file by a truth; `decisions` opens the file, twice if the truth does not say from when to when.
///
/// # Errors
/// [`FileError`].
pub fn score(
    header: &Header,
    marks: &[Mark],
    decisions: &mut dyn FnMut() -> Result<Box<dyn BufRead>, FileError>,
) -> Result<Scores, FileError> {
    let time = |text: &Option<Box<str>>| match text {
        None => Ok(None),
        Some(text) => Timestamp::parse(text).map(Some).map_err(|error| FileError::Line {
            file: "truth",
            line: 1,
            problem: format!("{text:?}: {error}"),
        }),
    };
    let (from, until) = match (time(&header.from)?, time(&header.until)?) {
        (Some(from), Some(until)) => (from, until),
        (from, until) => {
            let (mut first, mut last) = (None, Timestamp::ZERO);
            read_decisions(&mut *decisions()?, |line| {
                first = first.or(Some(line.at));
                last = line.at.plus(1);
            })?;
            (from.or(first).unwrap_or(Timestamp::ZERO), until.unwrap_or(last))
        }
    };
    let mut window = Window::new(&Exchange::default(), from, until, header.accounts);
    window.cents_per_btc = header.cents_per_btc.unwrap_or(window.cents_per_btc);
    window.satoshi_per_coin = header.satoshi_per_coin.clone().unwrap_or(window.satoshi_per_coin);
    let mut scorer = Scorer::new(window);
    marks.iter().for_each(|mark| scorer.mark(mark));
    read_decisions(&mut *decisions()?, |line| scorer.line(&line))?;
    Ok(scorer.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth_of(text: &str) -> Result<(Header, Vec<Mark>), FileError> {
        read_truth(&mut text.as_bytes())
    }

    #[test]
    fn bad_files_are_refused_with_their_line() {
        let first = "{\"format\":\"holdfast-truth/1\",\"seed\":1}\n";
        let mark = "{\"is\":\"event\",\"id\":\"e1\",\"attack\":\"x\",\"role\":\"drain\"}\n";
        assert_eq!(truth_of(&format!("{first}{mark}")).unwrap().1.len(), 1);
        for (text, code, says) in [
            (String::new(), "format_missing", "line 1"),
            (mark.to_owned(), "format_missing", "line 1"),
            (format!("{first}{mark}{{\"is\":\"what\"}}\n"), "line_invalid", "line 3"),
            (format!("{first}{}", mark.trim_end()), "line_invalid", "line 2: it is cut off"),
            (format!("{first}{}\n", "x".repeat(LINE_MAX + 1)), "line_invalid", "line 2: longer"),
        ] {
            let error = truth_of(&text).unwrap_err();
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains(says), "{error}");
        }
        let at = |minute: u8| {
            format!(
                "{{\"at\":\"2026-03-02T00:0{minute}:00Z\",\"line\":\"alarm\",\"kind\":\"held\",\"event\":\"e1\"}}\n"
            )
        };
        let decisions = format!("{{\"format\":\"holdfast-decisions/1\"}}\n{}{}", at(2), at(1));
        let error = read_decisions(&mut decisions.as_bytes(), |_| {}).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
