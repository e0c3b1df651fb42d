//! Cedar's lexical grammar, strictly: what has one reading is read, everything else is refused.

use super::{Fault, Why};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An identifier or a keyword.
    Word,
    /// Decimal digits.
    Integer,
    /// A string with its quotes.
    String,
    /// A bracket, a separator or an operator.
    Sign,
}

/// One token, as it stands in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'t> {
    pub(super) kind: Kind,
    pub(super) text: &'t str,
    /// Its first byte's place in the text.
    pub(super) offset: usize,
}

/// The operators of two characters: they are read before those of one.
const PAIRS: [&str; 7] = ["==", "!=", "<=", ">=", "&&", "||", "::"];
/// All others. A lone `=`, `&`, `|`, `/` or `%` is none, and Cedar's `?` belongs to templates, which no pack has.
const SIGNS: &str = "@.,;:(){}[]<>!+-*";

impl<'t> Token<'t> {
    /// The same in another place.
    pub(super) fn same(&self, other: &Token<'_>) -> bool {
        self.kind == other.kind && self.text == other.text
    }

    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Sign | Kind::Word) && self.text == text
    }

    /// Its beginning, for people.
    pub(super) fn shown(&self) -> String {
        const SHOWN_MAX: usize = 64;
        self.text.chars().take(SHOWN_MAX).collect()
    }

    /// The number, in its one spelling, if Cedar can hold it.
    pub(super) fn integer(&self) -> Option<u64> {
        let has_one_spelling = self.text == "0" || !self.text.starts_with('0');
        let number: u64 = self.text.parse().ok().filter(|_| has_one_spelling)?;
        (number <= i64::MAX.unsigned_abs()).then_some(number)
    }

    /// What stands between the quotes, if no escape does.
    pub(super) fn plain(&self) -> Option<&'t str> {
        let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
        (!inner.contains('\\')).then_some(inner)
    }

    /// A span of time as `@for` takes it, in seconds: `10m`, `1h30m`, units in falling order, each at most once.
    pub(super) fn span(&self) -> Option<u64> {
        const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];
        const LONGEST: usize = 16;
        let text = self.plain().filter(|text| text.len() <= LONGEST)?;
        let (mut rest, mut seconds) = (text, 0u64);
        for (letter, scale) in UNITS {
            let Some((count, after)) = rest.split_once(letter) else { continue };
            let is_number =
                !count.is_empty() && !count.starts_with('0') && count.bytes().all(|b| b.is_ascii_digit());
            let count: u64 = if is_number { count.parse().ok()? } else { return None };
            seconds = seconds.checked_add(count.checked_mul(scale)?)?;
            rest = after;
        }
        (rest.is_empty() && seconds > 0).then_some(seconds)
    }
}

/// The tokens of a text.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    // Cedar ends a comment at a carriage return, people and most editors do not.
    if let Some(offset) = text.find('\r') {
        return Err(Fault { offset, why: Why::CarriageReturn });
    }
    let mut found = Vec::new();
    let mut offset = 0;
    while let Some(rest) = text.get(offset..).filter(|rest| !rest.is_empty()) {
        let taken = if let Some(comment) = rest.strip_prefix("//") {
            comment.find('\n').map_or(rest.len(), |end| end.saturating_add(2))
        } else if rest.starts_with([' ', '\t', '\n']) {
            1
        } else {
            let (kind, length) = one(rest).map_err(|why| Fault { offset, why })?;
            let text = rest.get(..length).unwrap_or(rest);
            found.push(Token { kind, text, offset });
            length
        };
        offset = offset.saturating_add(taken);
    }
    Ok(found)
}

/// The first token of a text that begins with one: its kind and its length.
fn one(rest: &str) -> Result<(Kind, usize), Why> {
    let run = |is_part: fn(u8) -> bool| rest.bytes().take_while(|byte| is_part(*byte)).count();
    let Some(first) = rest.chars().next() else { return Err(Why::Malformed("the text ends")) };
    match first {
        'a'..='z' | 'A'..='Z' | '_' => {
            Ok((Kind::Word, run(|byte| byte.is_ascii_alphanumeric() || byte == b'_')))
        }
        '0'..='9' => {
            let digits = run(|byte| byte.is_ascii_digit());
            let next = rest.as_bytes().get(digits).copied().unwrap_or(b' ');
            if next.is_ascii_alphabetic() || next == b'_' {
                return Err(Why::Malformed("a letter directly after a number"));
            }
            Ok((Kind::Integer, digits))
        }
        '"' => string(rest).map(|length| (Kind::String, length)),
        '/' if rest.starts_with("/*") => Err(Why::BlockComment),
        _ if PAIRS.iter().any(|pair| rest.starts_with(pair)) => Ok((Kind::Sign, 2)),
        _ if SIGNS.contains(first) => Ok((Kind::Sign, 1)),
        _ => Err(Why::Character(first)),
    }
}

/// The length of a string with its quotes.
fn string(rest: &str) -> Result<usize, Why> {
    let mut escaped = false;
    for (place, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            // Cedar's escapes do not reach over the end of a line.
            b'\n' if escaped => return Err(Why::StringUnterminated),
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Ok(place.saturating_add(1)),
            _ => {}
        }
    }
    Err(Why::StringUnterminated)
}
