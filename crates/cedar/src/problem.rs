//! What is wrong with a pack, said so that its author can mend it: file, line, the line itself, and what to do.

use core::fmt;

use miette::Diagnostic;

/// The most problems that are reported at once.
pub const PROBLEMS_MAX: usize = 50;
/// The longest part of a line that is shown.
const SNIPPET_MAX: usize = 160;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The stable code, in snake_case.
    pub code: &'static str,
    /// The file; empty if it is the pack as a whole.
    pub file: String,
    /// The line, from 1; 0 if it is the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The id of the policy, if it has one.
    pub policy: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The line of the file, and how many characters are meant.
    pub snippet: Option<(String, usize)>,
}

impl Problem {
    /// A problem of the pack as a whole.
    pub(crate) fn of_pack(code: &'static str, message: impl Into<String>) -> Self {
        Self::of_file(code, "", message)
    }

    /// A problem of a file as a whole.
    pub(crate) fn of_file(code: &'static str, file: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            file: file.to_owned(),
            line: 0,
            column: 0,
            policy: None,
            message: message.into(),
            help: None,
            snippet: None,
        }
    }

    /// A problem at `length` bytes from `offset` of the file's text.
    pub(crate) fn at(
        code: &'static str,
        (file, text): (&str, &str),
        (offset, length): (usize, usize),
        message: impl Into<String>,
    ) -> Self {
        let offset = (0..=offset.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let (before, after) = text.split_at(offset);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let head = before.get(line_start..).unwrap_or_default();
        let tail = after.split('\n').next().unwrap_or_default();
        let marked = tail.char_indices().take_while(|(at, _)| *at < length).count().max(1);
        let column = head.chars().count() + 1;
        let line: String = head.chars().chain(tail.chars()).collect();
        let shown = line.chars().count() <= SNIPPET_MAX;
        Self {
            line: before.matches('\n').count() + 1,
            column,
            snippet: shown.then(|| (line.trim_end().to_owned(), marked)),
            ..Self::of_file(code, file, message)
        }
    }

    /// A problem that Cedar reports about a file.
    pub(crate) fn of_cedar(code: &'static str, source: (&str, &str), error: &dyn Diagnostic) -> Self {
        let label = error.labels().and_then(|mut labels| labels.next());
        let span = label.as_ref().map(|label| (label.offset(), label.len()));
        let message = error.to_string();
        let mut problem = match span {
            Some(span) => Self::at(code, source, span, message),
            None => Self::of_file(code, source.0, message),
        };
        if let Some(label) = label.as_ref().and_then(|label| label.label()) {
            problem.message = format!("{}: {label}", problem.message);
        }
        problem.help = error.help().map(|help| help.to_string());
        problem
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(crate) fn policy(mut self, id: Option<&str>) -> Self {
        self.policy = id.map(str::to_owned);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error[{}]: {}", self.code, self.message)?;
        if !self.file.is_empty() {
            write!(f, "\n  --> {}", self.file)?;
            if self.line > 0 {
                write!(f, ":{}:{}", self.line, self.column)?;
            }
            if let Some(policy) = &self.policy {
                write!(f, " (policy {policy})")?;
            }
        }
        if let Some((line, marked)) = &self.snippet {
            let number = self.line.to_string();
            let margin = " ".repeat(number.len());
            let lead: String = line
                .chars()
                .take(self.column.saturating_sub(1))
                .map(|c| if c == '\t' { c } else { ' ' })
                .collect();
            write!(f, "\n {margin} |\n {number} | {line}\n {margin} | {lead}{}", "^".repeat(*marked))?;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  = help: {help}")?;
        }
        Ok(())
    }
}

/// A pack that was refused, and every reason found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackError {
    /// What is wrong, in the order of files and lines; never empty.
    pub problems: Vec<Problem>,
}

impl From<Problem> for PackError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl PackError {
    /// `Ok` if nothing is wrong.
    pub(crate) fn unless_empty(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        if problems.len() > PROBLEMS_MAX {
            let more = problems.len() - PROBLEMS_MAX;
            problems.truncate(PROBLEMS_MAX);
            problems.push(Problem::of_pack("more_problems", format!("and {more} more")));
        }
        Err(Self { problems })
    }

    /// The stable code of the first problem.
    pub fn code(&self) -> &'static str {
        self.problems.first().map_or("policy_invalid", |problem| problem.code)
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, problem) in self.problems.iter().enumerate() {
            if place > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl core::error::Error for PackError {}
