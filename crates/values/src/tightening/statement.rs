//! The statements of a file: their annotations, their effect, and the numbers in them that may move.

use core::fmt;
use core::ops::Range;
use std::collections::BTreeMap;

use super::token::{Kind, Token};
use super::{Fault, Why};

/// Which way a number moves when a policy becomes tighter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Down.
    Lower,
    /// Up.
    Higher,
}

impl Direction {
    /// As `@tighter` writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Higher => "higher",
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A number that may move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movable {
    /// The `@id` of its forbid.
    pub statement: Option<String>,
    /// The fact that it is compared with, without `context.`.
    pub path: String,
    /// Which way is tighter.
    pub direction: Direction,
    /// What it is now.
    pub value: u64,
}

/// One policy.
pub(super) struct Statement<'t> {
    /// Name and value, and where the value stands.
    annotations: Vec<(&'t str, Option<(usize, Token<'t>)>)>,
    pub(super) is_forbid: bool,
    /// `true` for `when`, and the tokens between its braces, these included.
    clauses: Vec<(bool, Range<usize>)>,
    pub(super) tokens: Range<usize>,
    /// Its bytes.
    pub(super) span: Range<usize>,
}

/// What an `@tighter` declares.
pub(super) fn declarations(annotation: &str) -> Option<Vec<(String, Direction)>> {
    let is_word = |word: &str| {
        let starts = word.bytes().next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_');
        starts && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let mut found: Vec<(String, Direction)> = Vec::new();
    for one in annotation.split(',') {
        let mut words = one.split_ascii_whitespace();
        let (path, direction) = (words.next()?, words.next()?);
        if words.next().is_some() {
            return None;
        }
        let direction = match direction {
            "lower" => Direction::Lower,
            "higher" => Direction::Higher,
            _ => return None,
        };
        if !path.split('.').all(is_word) || found.iter().any(|(known, _)| known == path) {
            return None;
        }
        found.push((path.to_owned(), direction));
    }
    Some(found)
}

/// Reads `@a("..") forbid (..) when {..} unless {..};`, over and over.
pub(super) fn statements<'t>(tokens: &'t [Token<'t>]) -> Result<Vec<Statement<'t>>, Fault> {
    let mut found = Vec::new();
    let mut reader = Reader { tokens, place: 0 };
    while reader.place < tokens.len() {
        found.push(reader.statement()?);
    }
    Ok(found)
}

struct Reader<'t> {
    tokens: &'t [Token<'t>],
    place: usize,
}

impl<'t> Reader<'t> {
    fn peek(&self) -> Option<&'t Token<'t>> {
        self.tokens.get(self.place)
    }

    fn fault(&self, why: &'static str) -> Fault {
        let last = self.tokens.last().map_or(0, |last| last.offset);
        Fault { offset: self.peek().map_or(last, |token| token.offset), why: Why::Malformed(why) }
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_it = self.peek().is_some_and(|token| token.is(text));
        if is_it {
            self.place = self.place.saturating_add(1);
        }
        is_it
    }

    fn kind(&mut self, kind: Kind) -> Option<(usize, Token<'t>)> {
        let found = self.peek().filter(|token| token.kind == kind).map(|token| (self.place, *token))?;
        self.place = self.place.saturating_add(1);
        Some(found)
    }

    fn statement(&mut self) -> Result<Statement<'t>, Fault> {
        let start = self.place;
        let first = self.peek().map_or(0, |token| token.offset);
        let mut annotations = Vec::new();
        while self.takes("@") {
            let (_, name) = self.kind(Kind::Word).ok_or_else(|| self.fault("@ is followed by a name"))?;
            let mut value = None;
            if self.takes("(") {
                value = Some(
                    self.kind(Kind::String).ok_or_else(|| self.fault("an annotation takes one string"))?,
                );
                if !self.takes(")") {
                    return Err(self.fault("an annotation takes one string"));
                }
            }
            annotations.push((name.text, value));
        }
        let is_forbid = self.takes("forbid");
        if !is_forbid && !self.takes("permit") {
            return Err(self.fault("a policy says permit or forbid"));
        }
        if !self.peek().is_some_and(|token| token.is("(")) {
            return Err(self.fault("the scope stands in brackets"));
        }
        self.brackets()?;
        let mut clauses = Vec::new();
        while !self.takes(";") {
            let is_when = self.takes("when");
            if !is_when && !self.takes("unless") {
                return Err(self.fault("a policy goes on with when, unless or ;"));
            }
            if !self.peek().is_some_and(|token| token.is("{")) {
                return Err(self.fault("a condition stands in braces"));
            }
            clauses.push((is_when, self.brackets()?));
        }
        let end = self.place.checked_sub(1).and_then(|last| self.tokens.get(last));
        let end = end.map_or(first, |last| last.offset.saturating_add(last.text.len()));
        Ok(Statement { annotations, is_forbid, clauses, tokens: start..self.place, span: first..end })
    }

    /// Everything from an opening bracket to the one that closes it.
    fn brackets(&mut self) -> Result<Range<usize>, Fault> {
        let start = self.place;
        let mut open: Vec<&str> = Vec::new();
        loop {
            let Some(token) = self.peek() else { return Err(self.fault("a bracket is not closed")) };
            let text = if token.kind == Kind::Sign { token.text } else { "" };
            match text {
                "(" => open.push(")"),
                "[" => open.push("]"),
                "{" => open.push("}"),
                ")" | "]" | "}" if open.pop() != Some(text) => {
                    return Err(self.fault("a bracket closes what was not opened"));
                }
                _ => {}
            }
            self.place = self.place.saturating_add(1);
            if open.is_empty() {
                return Ok(start..self.place);
            }
        }
    }
}

impl Statement<'_> {
    fn annotation(&self, name: &str) -> Option<(usize, &Token<'_>)> {
        let mut values = self.annotations.iter().filter(|(known, _)| *known == name);
        let first = values.next()?;
        // Of two nobody knows which one counts.
        let place = first.1.as_ref().filter(|_| values.next().is_none())?;
        Some((place.0, &place.1))
    }

    /// What its `@id` says.
    pub(super) fn id(&self) -> Option<&str> {
        self.annotation("id").and_then(|(_, value)| value.plain())
    }

    /// Where the span of its dwell stands.
    pub(super) fn dwell(&self) -> Option<usize> {
        let (place, _) = self.annotation("for").filter(|_| self.is_forbid)?;
        Some(place)
    }

    /// The numbers that may move, with their places.
    ///
    /// A number is compared with a fact, directly: `context.PATH OP NUMBER`, joined to the rest of its clause by `&&`, `||`
    /// and brackets alone, in a clause without `if`. So the comparison can only make the clause as a whole more or less
    /// true with it, and which way is tighter follows from the operator. What the forbid declares must say the same. A
    /// forbid that calculates has no such numbers: what overflows is held, and another number could keep a part that
    /// overflows from being read.
    pub(super) fn movable(&self, tokens: &[Token<'_>]) -> Vec<(usize, Movable)> {
        let declared = self.annotation("tighter").and_then(|(_, value)| declarations(value.plain()?));
        let Some(declared) = declared.filter(|_| self.is_forbid) else { return Vec::new() };
        let declared: BTreeMap<String, Direction> = declared.into_iter().collect();
        let mut found = Vec::new();
        let mut conditions = self.clauses.iter().flat_map(|(_, clause)| tokens.get(clause.clone()));
        if conditions
            .any(|inside| inside.iter().any(|token| ["+", "-", "*"].iter().any(|sign| token.is(sign))))
        {
            return found;
        }
        for (is_when, clause) in &self.clauses {
            let Some(inside) = tokens.get(clause.clone()) else { continue };
            if inside.iter().any(|token| token.is("if")) {
                continue;
            }
            let plain = plain_groups(inside);
            for (place, number) in inside.iter().enumerate() {
                let is_plain = plain.get(place).is_some_and(|plain| *plain);
                if number.kind != Kind::Integer || !is_plain || !after_atom(inside, place) {
                    continue;
                }
                let Some((path, operator)) = compared_with(inside, place) else { continue };
                let is_upper = matches!(operator, ">" | ">=");
                let tighter = if is_upper == *is_when { Direction::Lower } else { Direction::Higher };
                let value = number.integer();
                if let (Some(value), Some(direction)) = (value, declared.get(&path))
                    && *direction == tighter
                {
                    let statement = self.id().map(ToOwned::to_owned);
                    let movable = Movable { statement, path, direction: tighter, value };
                    found.push((clause.start.saturating_add(place), movable));
                }
            }
        }
        found
    }
}

/// What may stand before a whole comparison.
fn before_atom(tokens: &[Token<'_>], place: usize) -> bool {
    let before = place.checked_sub(1).and_then(|before| tokens.get(before));
    before.is_some_and(|token| ["{", "(", "&&", "||"].iter().any(|sign| token.is(sign)))
}

/// What may stand after it.
fn after_atom(tokens: &[Token<'_>], place: usize) -> bool {
    let after = tokens.get(place.saturating_add(1));
    after.is_some_and(|token| ["}", ")", "&&", "||"].iter().any(|sign| token.is(sign)))
}

/// For each token of a clause: does everything around it, up to the clause's braces, only group?
fn plain_groups(tokens: &[Token<'_>]) -> Vec<bool> {
    let mut closes = BTreeMap::new();
    let mut open = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        if ["(", "[", "{"].iter().any(|sign| token.is(sign)) {
            open.push(place);
        } else if [")", "]", "}"].iter().any(|sign| token.is(sign))
            && let Some(opened) = open.pop()
        {
            closes.insert(opened, place);
        }
    }
    let mut plain = Vec::with_capacity(tokens.len());
    let mut around: Vec<bool> = Vec::new();
    for (place, token) in tokens.iter().enumerate() {
        if let Some(end) = closes.get(&place) {
            let is_first = around.is_empty();
            let only_groups = token.is("(") && before_atom(tokens, place) && after_atom(tokens, *end);
            around.push(is_first || (only_groups && around.last().is_some_and(|plain| *plain)));
        }
        plain.push(around.last().is_some_and(|plain| *plain));
        if [")", "]", "}"].iter().any(|sign| token.is(sign)) {
            around.pop();
        }
    }
    plain
}

/// The fact and the operator that stand directly left of a number.
fn compared_with<'t>(tokens: &[Token<'t>], number: usize) -> Option<(String, &'t str)> {
    let mut place = number.checked_sub(1)?;
    let operator = tokens
        .get(place)
        .filter(|token| token.kind == Kind::Sign && [">", ">=", "<", "<="].contains(&token.text))?;
    let mut words = Vec::new();
    loop {
        place = place.checked_sub(1)?;
        let word = tokens.get(place).filter(|token| token.kind == Kind::Word)?;
        if word.text == "context" && before_atom(tokens, place) {
            break;
        }
        words.push(word.text);
        place = place.checked_sub(1)?;
        tokens.get(place).filter(|token| token.is("."))?;
    }
    words.reverse();
    (!words.is_empty()).then(|| (words.join("."), operator.text))
}
