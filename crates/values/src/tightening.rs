//! When is one policy pack a tightening of another? A question of syntax alone, so that two programs which share nothing
//! but this page (the core, which decides, and the signer, which believes it nothing) answer it alike, without a parser of
//! Cedar, a solver or an opinion.
//!
//! `to` tightens `from` if every file of `from` is in `to` with the same tokens, except numbers that moved as their forbid
//! declares with `@tighter` and spans of `@for` that grew; and if every further file holds forbids and nothing else. All
//! that is not plainly so is refused: a wrong "no" costs a second signature, a wrong "yes" a wallet.
//!
//! Nothing here decides who may ask.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

mod statement;
mod token;

pub use statement::{Direction, Movable};

use statement::Statement;
use token::{Kind, Token};

/// A pack as it is compared: names and texts.
type Files = [(String, String)];

/// Why a pack is no tightening of another, and where that shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loosens {
    /// The file.
    pub file: String,
    /// The line, from 1; nothing if it is about the file as a whole.
    pub line: Option<usize>,
    /// The `@id` of the statement, where there is one.
    pub statement: Option<String>,
    /// What is wrong.
    pub why: Why,
}

/// What keeps a pack from being a tightening.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Carriage returns end a comment for some readers and not for others.
    #[error("a carriage return: end lines with a line feed alone")]
    CarriageReturn,
    /// Outside comments and strings only plain characters are read.
    #[error("the character {0:?} stands outside comments and strings")]
    Character(char),
    /// Cedar has none.
    #[error("a block comment: write // on each line")]
    BlockComment,
    /// A string runs to the end of the file.
    #[error("a string that does not end")]
    StringUnterminated,
    /// The file is no list of policies.
    #[error("no policy can be read here: {0}")]
    Malformed(&'static str),
    /// One name, two texts.
    #[error("the pack has two files of this name")]
    FileTwice,
    /// A file is gone.
    #[error("the file is missing: what was approved stays, and forbids are added in files of their own")]
    FileMissing,
    /// A token is another one.
    #[error(
        "{is} stands where {was} was approved: only numbers that their forbid declares with @tighter may move"
    )]
    Changed {
        /// What was there.
        was: String,
        /// What is there.
        is: String,
    },
    /// There is less or more than there was.
    #[error("{0}: what was approved stays as it is, and forbids are added in files of their own")]
    Length(&'static str),
    /// A number moved that may not move.
    #[error("{was} became {is}, and no @tighter of its forbid lets this number move")]
    NumberUndeclared {
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// A number moved the wrong way.
    #[error("{was} became {is}, and only {direction} is tighter here")]
    NumberWrongWay {
        /// What it was.
        was: String,
        /// What it is.
        is: String,
        /// Which way is tighter.
        direction: Direction,
    },
    /// A dwell became shorter.
    #[error("@for({was}) became @for({is}): a span may only grow")]
    SpanShorter {
        /// What it was.
        was: String,
        /// What it is.
        is: String,
    },
    /// A new file permits something.
    #[error("a new file holds forbids and nothing else, and the word permit nowhere")]
    NotForbid,
    /// A string with an escape in a new file.
    #[error("a backslash in a new forbid: write strings without escapes")]
    Escape,
}

impl Why {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::CarriageReturn => "tightening_carriage_return",
            Self::Character(_) => "tightening_character",
            Self::BlockComment => "tightening_block_comment",
            Self::StringUnterminated => "tightening_string_unterminated",
            Self::Malformed(_) => "tightening_malformed",
            Self::FileTwice => "tightening_file_twice",
            Self::FileMissing => "tightening_file_missing",
            Self::Changed { .. } => "tightening_changed",
            Self::Length(_) => "tightening_length",
            Self::NumberUndeclared { .. } => "tightening_number_undeclared",
            Self::NumberWrongWay { .. } => "tightening_number_wrong_way",
            Self::SpanShorter { .. } => "tightening_span_shorter",
            Self::NotForbid => "tightening_not_forbid",
            Self::Escape => "tightening_escape",
        }
    }
}

impl Loosens {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        self.why.code()
    }
}

impl fmt::Display for Loosens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(statement) = &self.statement {
            write!(f, " ({statement})")?;
        }
        write!(f, ": {}", self.why)
    }
}

impl core::error::Error for Loosens {}

/// What is wrong, and at which byte.
struct Fault {
    offset: usize,
    why: Why,
}

impl Fault {
    fn of(self, (file, text): (&str, &str), statements: &[Statement<'_>]) -> Loosens {
        let before = text.get(..self.offset).unwrap_or(text);
        let inside = statements.iter().find(|statement| statement.span.contains(&self.offset));
        Loosens {
            file: file.to_owned(),
            line: Some(before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1)),
            statement: inside.and_then(Statement::id).map(ToOwned::to_owned),
            why: self.why,
        }
    }
}

/// Checks that `to` is a tightening of `from`, by syntax alone.
///
/// # Errors
/// [`Loosens`], naming the first place that is not plainly tighter.
pub fn check(from: &Files, to: &Files) -> Result<(), Loosens> {
    let of_file = |file: &str, why: Why| Loosens { file: file.to_owned(), line: None, statement: None, why };
    let (old, new) = (by_name(from, of_file)?, by_name(to, of_file)?);
    for (name, was) in &old {
        let is = new.get(name).ok_or_else(|| of_file(name, Why::FileMissing))?;
        same_but_tighter(name, was, is)?;
    }
    let old: BTreeSet<&str> = old.into_keys().collect();
    for (name, text) in new.into_iter().filter(|(name, _)| !old.contains(name)) {
        only_forbids(name, text)?;
    }
    Ok(())
}

/// The numbers of a file of policies that may move as their forbid declares, in order.
///
/// # Errors
/// [`Loosens`] if the text is no list of policies, in the grammar that this module reads.
pub fn movable(file: &str, text: &str) -> Result<Vec<Movable>, Loosens> {
    let tokens = token::tokens(text).map_err(|fault| fault.of((file, text), &[]))?;
    let statements = statement::statements(&tokens).map_err(|fault| fault.of((file, text), &[]))?;
    let found = statements.iter().flat_map(|statement| statement.movable(&tokens));
    Ok(found.map(|(_, movable)| movable).collect())
}

/// What an `@tighter` declares: `amount_usd_cents lower, account.age_hours higher`. `None` if it is not spelt so.
pub fn declarations(annotation: &str) -> Option<Vec<(String, Direction)>> {
    statement::declarations(annotation)
}

fn by_name(files: &Files, of_file: impl Fn(&str, Why) -> Loosens) -> Result<BTreeMap<&str, &str>, Loosens> {
    let mut found = BTreeMap::new();
    for (name, text) in files {
        if found.insert(name.as_str(), text.as_str()).is_some() {
            return Err(of_file(name, Why::FileTwice));
        }
    }
    Ok(found)
}

fn same_but_tighter(file: &str, was: &str, is: &str) -> Result<(), Loosens> {
    let old = token::tokens(was).map_err(|fault| fault.of((file, was), &[]))?;
    let new = token::tokens(is).map_err(|fault| fault.of((file, is), &[]))?;
    let mut differences = Vec::new();
    for (place, (one, other)) in old.iter().zip(&new).enumerate() {
        if one.same(other) {
            continue;
        }
        if one.kind != other.kind || !matches!(one.kind, Kind::Integer | Kind::String) {
            let statements = statement::statements(&new).unwrap_or_default();
            let why = Why::Changed { was: one.shown(), is: other.shown() };
            return Err(Fault { offset: other.offset, why }.of((file, is), &statements));
        }
        differences.push(place);
    }
    if old.len() != new.len() {
        let offset = new.get(old.len()).map_or(is.len(), |first| first.offset);
        let why = if new.len() > old.len() { "something was added" } else { "something is missing" };
        return Err(Fault { offset, why: Why::Length(why) }.of((file, is), &[]));
    }
    if differences.is_empty() {
        return Ok(());
    }
    // The tokens before and after are of the same kinds in the same places: what is read from the old ones holds for both.
    let statements = statement::statements(&old).map_err(|fault| fault.of((file, was), &[]))?;
    let numbers: BTreeMap<usize, Direction> = statements
        .iter()
        .flat_map(|statement| statement.movable(&old))
        .map(|(place, movable)| (place, movable.direction))
        .collect();
    let spans: BTreeSet<usize> = statements.iter().filter_map(Statement::dwell).collect();
    for place in differences {
        let (Some(old), Some(new)) = (old.get(place), new.get(place)) else { continue };
        let moved = if old.kind == Kind::Integer {
            moved(old, new, numbers.get(&place).copied())
        } else {
            grew(old, new, spans.contains(&place))
        };
        if let Err(why) = moved {
            // Statements stand at the same places of both token lists, and at other bytes.
            let inside = statements.iter().find(|statement| statement.tokens.contains(&place));
            let mut loosens = Fault { offset: new.offset, why }.of((file, is), &[]);
            loosens.statement = inside.and_then(Statement::id).map(ToOwned::to_owned);
            return Err(loosens);
        }
    }
    Ok(())
}

fn moved(old: &Token<'_>, new: &Token<'_>, direction: Option<Direction>) -> Result<(), Why> {
    let (was, is) = (old.shown(), new.shown());
    let (Some(direction), Some(from), Some(to)) = (direction, old.integer(), new.integer()) else {
        return Err(Why::NumberUndeclared { was, is });
    };
    let is_tighter = match direction {
        Direction::Lower => to <= from,
        Direction::Higher => to >= from,
    };
    if is_tighter { Ok(()) } else { Err(Why::NumberWrongWay { was, is, direction }) }
}

fn grew(old: &Token<'_>, new: &Token<'_>, is_dwell: bool) -> Result<(), Why> {
    let (was, is) = (old.shown(), new.shown());
    let spans = if is_dwell { old.span().zip(new.span()) } else { None };
    match spans {
        Some((from, to)) if to >= from => Ok(()),
        Some(_) => Err(Why::SpanShorter { was, is }),
        None => Err(Why::Changed { was, is }),
    }
}

/// A file of forbids: no other effect, no escape, and the word `permit` nowhere outside strings and comments.
fn only_forbids(file: &str, text: &str) -> Result<(), Loosens> {
    let tokens = token::tokens(text).map_err(|fault| fault.of((file, text), &[]))?;
    let fault = tokens.iter().find_map(|token| match token.kind {
        Kind::Word if token.text == "permit" => Some((token, Why::NotForbid)),
        Kind::String if token.text.contains('\\') => Some((token, Why::Escape)),
        _ => None,
    });
    let statements = statement::statements(&tokens).map_err(|fault| fault.of((file, text), &[]))?;
    if let Some((token, why)) = fault {
        return Err(Fault { offset: token.offset, why }.of((file, text), &statements));
    }
    let other = statements.iter().find(|statement| !statement.is_forbid);
    other.map_or(Ok(()), |statement| {
        let offset = statement.span.start;
        Err(Fault { offset, why: Why::NotForbid }.of((file, text), &statements))
    })
}

#[cfg(test)]
mod tests;
