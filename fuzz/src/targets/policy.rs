//! Policies drawn from bytes, within the language: what is compiled means what Cedar's own authorizer says.
//!
//! The text is well-typed by construction, so that nearly all of it compiles and what is compared is meaning, not parsing.

use core::fmt::Write as _;

use holdfast_cedar::compare::compare;
use holdfast_cedar::{compile_pack, fmt};
use holdfast_policy::{Enumeration, FACTS, Fact, FactType};

/// Requests around the literals of each pack; half of them are aimed at the policies in turn.
const REQUESTS: u64 = 16;
/// The most policies of a pack.
const POLICIES: usize = 4;
/// How deep conditions nest.
const DEPTH: usize = 4;
/// Refusals that a well-typed text may meet: a condition of literals alone that is always or never true, for instance.
const FAIR: [&str; 3] = ["policy_suspicious", "policy_too_long", "policy_not_compilable"];

const TEXTS: [&str; 6] = ["", "BTC", "bitcoin", "standard", r#"a\"b"#, r"\u{e9}\n"];
const NUMBERS: [i64; 12] =
    [0, 1, -1, 2, 24, 168, 100_000, 5_000_000, i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1];

pub(super) fn policy_agreement(bytes: &[u8]) -> bool {
    let mut draw = Draw(bytes);
    let mut text = String::new();
    for number in 0..=draw.below(POLICIES) {
        draw.policy(number, &mut text);
    }
    let files = [("drawn.cedar".to_owned(), text)];
    let [(_, text)] = &files;
    let pack = match compile_pack(&files) {
        Ok(pack) => pack,
        Err(error) => {
            assert!(error.problems.iter().all(|problem| FAIR.contains(&problem.code)), "{error}\n{text}");
            return false;
        }
    };
    let compared = compare(&pack, &pack.program, bytes.len() as u64, REQUESTS);
    assert!(
        compared.is_ok(),
        "{}\n{text}",
        compared.err().map(|error| error.to_string()).unwrap_or_default()
    );
    let laid = fmt::format_text("drawn.cedar", text);
    assert!(laid.is_ok(), "{laid:?}\n{text}");
    let again = compile_pack(&[("drawn.cedar".to_owned(), laid.unwrap_or_default())]);
    let again = again.map(|again| again.program.policies().to_vec());
    assert_eq!(again.ok().as_deref(), Some(pack.program.policies()), "layout changes nothing: {text}");
    true
}

/// Choices out of bytes; when they end, the first of everything, which ends what is drawn.
struct Draw<'b>(&'b [u8]);

impl Draw<'_> {
    fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first).checked_rem(count).unwrap_or_default()
    }

    fn pick<T: Copy>(&mut self, of: &[T], otherwise: T) -> T {
        of.get(self.below(of.len())).copied().unwrap_or(otherwise)
    }

    fn fact(&mut self, is: fn(FactType) -> bool, otherwise: Fact) -> Fact {
        let fitting: Vec<Fact> = FACTS.iter().filter(|spec| is(spec.ty)).map(|spec| spec.fact).collect();
        self.pick(&fitting, otherwise)
    }

    fn policy(&mut self, number: usize, text: &mut String) {
        let annotations = match self.below(5) {
            0 => "permit",
            1 => "@outcome(\"hold\") @reason(\"r\") forbid",
            2 => "@outcome(\"deny\") @reason(\"r\") forbid",
            3 => "@outcome(\"dwell\") @for(\"10m\") @reason(\"r\") forbid",
            _ => "@outcome(\"step_up\") @factor(\"passkey\") @reason(\"r\") forbid",
        };
        let action = self.pick(
            &["action", "action == Action::\"withdraw\"", "action in [Action::\"withdraw\"]"],
            "action",
        );
        let _ = write!(text, "@id(\"p{number}\") {annotations} (principal, {action}, resource)");
        for _ in 0..self.below(3) {
            let word = self.pick(&["when", "unless"], "when");
            let condition = self.truth(DEPTH);
            let _ = write!(text, " {word} {{ {condition} }}");
        }
        text.push_str(";\n");
    }

    fn truth(&mut self, depth: usize) -> String {
        let depth = depth.saturating_sub(1);
        let kinds = if depth == 0 { 5 } else { 12 };
        match self.below(kinds) {
            0 => format!("context.{}", self.fact(|ty| ty == FactType::Bool, Fact::PriceStale).path()),
            1 => {
                let fact = self.fact(|ty| ty == FactType::Long, Fact::AmountUsdCents);
                let sign = self.pick(&["<", "<=", ">", ">=", "==", "!="], "<");
                format!("context.{} {sign} {}", fact.path(), self.literal())
            }
            2 => {
                let fact = self.fact(|ty| ty == FactType::Text, Fact::Asset);
                let sign = self.pick(&["==", "!="], "==");
                format!("context.{} {sign} \"{}\"", fact.path(), self.pick(&TEXTS, ""))
            }
            3 => self.word(),
            4 => self.among(),
            5 => format!("!({})", self.truth(depth)),
            6 | 7 => self.chain("&&", depth),
            8 => self.chain("||", depth),
            9 => {
                let (condition, then) = (self.truth(depth), self.truth(depth));
                format!("(if {condition} then {then} else {})", self.truth(depth))
            }
            10 => {
                let sign = self.pick(&["<", "<=", ">", ">=", "==", "!="], "<");
                format!("({}) {sign} ({})", self.number(depth), self.number(depth))
            }
            _ => {
                let sign = self.pick(&["==", "!="], "==");
                format!("({}) {sign} ({})", self.truth(depth), self.truth(depth))
            }
        }
    }

    fn chain(&mut self, sign: &str, depth: usize) -> String {
        let parts: Vec<String> = (0..2 + self.below(3)).map(|_| format!("({})", self.truth(depth))).collect();
        parts.join(&format!(" {sign} "))
    }

    fn word(&mut self) -> String {
        let (fact, words) = match self.below(2) {
            0 => (Fact::Class, Enumeration::Class),
            _ => (Fact::Channel, Enumeration::Channel),
        };
        let path = fact.path();
        let mut word = || format!("{}::\"{}\"", words.name(), self.pick(words.members(), "api"));
        let (one, other) = (word(), word());
        match self.below(4) {
            0 => format!("context.{path} == {one}"),
            1 => format!("{one} != context.{path}"),
            2 => format!("context.{path} in [{one}, {other}]"),
            _ => format!("[{one}, {other}].contains(context.{path})"),
        }
    }

    fn among(&mut self) -> String {
        if self.below(2) == 0 {
            let fact = self.fact(|ty| ty == FactType::Text, Fact::Asset);
            let set = [self.pick(&TEXTS, ""), self.pick(&TEXTS, "")];
            return format!("[\"{}\"].contains(context.{})", set.join("\", \""), fact.path());
        }
        let fact = self.fact(|ty| ty == FactType::Long, Fact::AmountUsdCents);
        let set: Vec<String> = (0..=self.below(3)).map(|_| self.literal()).collect();
        format!("[{}].contains(context.{})", set.join(", "), fact.path())
    }

    fn number(&mut self, depth: usize) -> String {
        let depth = depth.saturating_sub(1);
        let kinds = if depth == 0 { 2 } else { 7 };
        match self.below(kinds) {
            0 => format!("context.{}", self.fact(|ty| ty == FactType::Long, Fact::AmountUsdCents).path()),
            1 => self.literal(),
            2 => format!("-({})", self.number(depth)),
            3 => {
                let condition = self.truth(depth);
                format!("(if {condition} then {} else {})", self.number(depth), self.number(depth))
            }
            kind => {
                let sign = if kind == 4 { "+" } else { self.pick(&["-", "*"], "-") };
                format!("({}) {sign} ({})", self.number(depth), self.number(depth))
            }
        }
    }

    fn literal(&mut self) -> String {
        match self.below(3) {
            0 => i64::try_from(self.below(256)).unwrap_or_default().to_string(),
            _ => self.pick(&NUMBERS, 0).to_string(),
        }
    }
}
