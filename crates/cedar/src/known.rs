//! Words that a pack compares with facts whose values the exchange's configuration gives: its assets, networks and tiers. The
//! schema lets every text stand there, and a misspelt one is a rule that never matches.
//!
//! What the configuration is, the caller knows; nothing here reads one.

use std::collections::BTreeSet;

use holdfast_policy::{Comparison, Expr, Fact};

use crate::cases::nearest_of;
use crate::pack::CompiledPack;
use crate::problem::{PackError, Problem};
use crate::scan::{Statement, statements};

/// The most words that a help lists.
const LISTED_MAX: usize = 12;

/// What an exchange has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Symbols of its assets.
    pub assets: BTreeSet<String>,
    /// Names of the networks that they leave by.
    pub networks: BTreeSet<String>,
    /// Names of its tiers.
    pub tiers: BTreeSet<String>,
}

impl Known {
    /// What a fact can be, and what that is called.
    const fn of(&self, fact: Fact) -> Option<(&BTreeSet<String>, &'static str)> {
        match fact {
            Fact::Asset => Some((&self.assets, "asset")),
            Fact::Network => Some((&self.networks, "network")),
            Fact::Tier => Some((&self.tiers, "tier")),
            _ => None,
        }
    }
}

/// Checks that the pack compares assets, networks and tiers with such as there are.
///
/// # Errors
/// `policy_word_unknown`, with the place of each that is not there.
pub fn check_words(pack: &CompiledPack, known: &Known) -> Result<(), PackError> {
    let mut places = Vec::new();
    for (name, text) in &pack.files {
        places.extend(statements(name, text)?.into_iter().map(|place| (name, text, place)));
    }
    let mut problems = Vec::new();
    // Policies stand in the program as they do in the files, one after the other.
    for (policy, (name, text, place)) in pack.program.policies().iter().zip(places) {
        let mut compared = Vec::new();
        walk(&policy.condition, &mut compared);
        let mut told = BTreeSet::new();
        for (fact, word) in compared {
            let Some((words, what)) = known.of(fact).filter(|(words, _)| !words.contains(word)) else {
                continue;
            };
            if !told.insert((what, word)) {
                continue;
            }
            let span = find(text, place, word).unwrap_or((place.offset, 1));
            let message = format!("the exchange's configuration has no {what} {word:?}");
            problems.push(
                Problem::at("policy_word_unknown", (name, text), span, message)
                    .help(help(word, words, what))
                    .policy(Some(&policy.meta.id)),
            );
        }
    }
    PackError::unless_empty(problems)
}

fn help(word: &str, words: &BTreeSet<String>, what: &str) -> String {
    let listed: Vec<&str> = words.iter().map(String::as_str).take(LISTED_MAX).collect();
    let more = if words.len() > LISTED_MAX { ", ..." } else { "" };
    let list = format!("its {what}s are {}{more}", listed.join(", "));
    // Most often it is the case of the letters.
    let same = words.iter().find(|known| known.eq_ignore_ascii_case(word)).map(String::as_str);
    match same.or_else(|| nearest_of(word, words.iter().map(String::as_str))) {
        Some(near) => format!("did you mean {near:?}? {list}"),
        None => list,
    }
}

/// Every text that is compared with a fact.
fn walk<'e>(expr: &'e Expr, found: &mut Vec<(Fact, &'e str)>) {
    match expr {
        Expr::Not(inner) | Expr::Negate(inner) => walk(inner, found),
        Expr::All(parts) | Expr::Any(parts) => parts.iter().for_each(|part| walk(part, found)),
        Expr::If(parts) => parts.iter().for_each(|part| walk(part, found)),
        Expr::Arithmetic(_, pair) => pair.iter().for_each(|part| walk(part, found)),
        Expr::Compare(comparison, pair) => {
            pair.iter().for_each(|part| walk(part, found));
            if matches!(comparison, Comparison::Equal | Comparison::NotEqual) {
                compare(pair.iter(), found);
            }
        }
        Expr::Among(value, literals) => {
            walk(value, found);
            compare(core::iter::once(&**value).chain(literals.iter()), found);
        }
        Expr::Bool(_) | Expr::Long(_) | Expr::Text(_) | Expr::Member(..) | Expr::Fact(_) => {}
    }
}

fn compare<'e>(sides: impl Iterator<Item = &'e Expr>, found: &mut Vec<(Fact, &'e str)>) {
    let (mut facts, mut texts) = (Vec::new(), Vec::new());
    sides.for_each(|side| values(side, &mut facts, &mut texts));
    for fact in facts {
        found.extend(texts.iter().map(|text| (fact, *text)));
    }
}

/// What a side of a comparison may turn out to be.
fn values<'e>(expr: &'e Expr, facts: &mut Vec<Fact>, texts: &mut Vec<&'e str>) {
    match expr {
        Expr::Fact(fact) => facts.push(*fact),
        Expr::Text(text) => texts.push(text),
        Expr::If(parts) => parts.iter().skip(1).for_each(|part| values(part, facts, texts)),
        _ => {}
    }
}

/// Where a text stands in a policy's condition, quotes included; nothing if it is written with escapes.
fn find(text: &str, place: Statement, word: &str) -> Option<(usize, usize)> {
    let statement = text.get(place.offset..place.offset.checked_add(place.length)?)?;
    let mut rest = statement;
    let mut in_condition = false;
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            let inner = string(rest);
            if in_condition && rest.get(1..inner.saturating_add(1)) == Some(word) {
                let at = statement.len().saturating_sub(rest.len());
                return Some((place.offset.saturating_add(at), inner.saturating_add(2)));
            }
            inner.saturating_add(2)
        } else {
            in_condition |= first == '{';
            first.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    None
}

/// How many bytes stand between the quote that the text begins with and the one that ends the string.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let inside = text.bytes().skip(1).take_while(|byte| {
        let ends = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        !ends
    });
    inside.count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile_pack;

    fn known() -> Known {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Known {
            assets: words(&["BTC", "ETH", "USDT"]),
            networks: words(&["bitcoin", "ethereum"]),
            tiers: words(&["basic", "vip400"]),
        }
    }

    fn said(condition: &str) -> Option<String> {
        let text = format!(
            "@id(\"BTCC\")\n// \"BTCC\"\npermit (principal, action == Action::\"withdraw\", resource)\nwhen {{ {condition} }};\n"
        );
        let pack = compile_pack(&[("a.cedar".to_owned(), text)]).unwrap();
        check_words(&pack, &known()).err().map(|error| error.to_string())
    }

    #[test]
    fn words_that_the_exchange_has_may_stand_and_others_are_shown_with_the_nearest() {
        for condition in [
            "context.asset == \"BTC\"",
            "\"ETH\" != context.asset",
            "[\"BTC\", \"USDT\"].contains(context.asset)",
            "context.network == (if context.amount_usd_cents > 5 then \"bitcoin\" else \"ethereum\")",
            "context.tier == \"vip400\" && context.class == Class::\"bound\"",
            "context.amount_usd_cents > 5",
        ] {
            assert_eq!(said(condition), None, "{condition}");
        }
        let table = [
            ("context.asset == \"BTCC\"", "4:25", "no asset \"BTCC\"", "did you mean \"BTC\"?", "^^^^^^"),
            ("\"btc\" != context.asset", "4:8", "no asset \"btc\"", "did you mean \"BTC\"?", "^^^^^"),
            (
                "context.tier != \"vip400\" || [\"ethereum\", \"bitconi\"].contains(context.network)",
                "4:49",
                "no network \"bitconi\"",
                "did you mean \"bitcoin\"?",
                "^^^^^^^^^",
            ),
            (
                "!(context.amount_usd_cents > 5 && context.tier == \"platinum\")",
                "4:58",
                "no tier \"platinum\"",
                "its tiers are basic, vip400",
                "^^^^^^^^^^",
            ),
            (
                "context.network == (if context.amount_usd_cents > 5 then \"bitcoin\" else \"etherum\")",
                "4:80",
                "no network \"etherum\"",
                "did you mean \"ethereum\"?",
                "^^^^^^^^^",
            ),
        ];
        for (condition, place, what, help, caret) in table {
            let said = said(condition).unwrap();
            for part in
                ["error[policy_word_unknown]", &format!("a.cedar:{place}"), what, help, caret, "policy BTCC"]
            {
                assert!(said.contains(part), "{part}: {said}");
            }
        }
    }

    #[test]
    fn each_word_is_shown_once_a_policy_and_words_with_escapes_at_its_beginning() {
        let twice = said("context.asset == \"X\" || context.asset == \"X\"").unwrap();
        assert_eq!(twice.matches("error[").count(), 1, "{twice}");
        let escaped = said("context.asset == \"\\u{42}TCC\"").unwrap();
        assert!(escaped.contains("no asset \"BTCC\"") && escaped.contains("a.cedar:1:1"), "{escaped}");
    }
}
