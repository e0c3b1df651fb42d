//! What cases and explanations are written in: facts as `path=value`, outcomes, and the facts of an ordinary withdrawal
//! that they start from.

use core::fmt;

use holdfast_policy::outcome::Span;
use holdfast_policy::{Action, Degree, FACTS, Fact, FactType, Factor, Facts, Findings, Program, Value};

/// The facts of an ordinary withdrawal: 300 USD in bitcoin, by session, from an account of a year to an address it has
/// paid for a month. What a case or `holdfast policy explain` does not say is as here.
pub const ORDINARY: [(Fact, Value<'static>); FACTS.len()] = [
    (Fact::Asset, Value::Text("BTC")),
    (Fact::Network, Value::Text("bitcoin")),
    (Fact::Tier, Value::Text("standard")),
    (Fact::Class, Value::Text("aged")),
    (Fact::Channel, Value::Text("session")),
    (Fact::AmountUsdCents, Value::Long(30_000)),
    (Fact::AccountAgeHours, Value::Long(8_760)),
    (Fact::AccountHoursSinceSecurityChange, Value::Long(1_000_000)),
    (Fact::AccountWithdrawals1h, Value::Long(1)),
    (Fact::AccountWithdrawals24h, Value::Long(1)),
    (Fact::AccountWithdrawals30d, Value::Long(4)),
    (Fact::AccountUsdCents1h, Value::Long(30_000)),
    (Fact::AccountUsdCents24h, Value::Long(30_000)),
    (Fact::AccountUsdCents30d, Value::Long(120_000)),
    (Fact::AccountLimitUsdCents24h, Value::Long(1_000_000)),
    (Fact::AccountLimitUsdCents30d, Value::Long(10_000_000)),
    (Fact::AccountOverLimit24h, Value::Bool(false)),
    (Fact::AccountOverLimit30d, Value::Bool(false)),
    (Fact::AccountCoolingOff, Value::Bool(false)),
    (Fact::DestinationKnown, Value::Bool(true)),
    (Fact::DestinationAged, Value::Bool(true)),
    (Fact::DestinationAgeHours, Value::Long(720)),
    (Fact::DestinationWithdrawals1h, Value::Long(1)),
    (Fact::DestinationWithdrawals24h, Value::Long(1)),
    (Fact::DestinationWithdrawals30d, Value::Long(3)),
    (Fact::DestinationUsdCents1h, Value::Long(30_000)),
    (Fact::DestinationUsdCents24h, Value::Long(30_000)),
    (Fact::DestinationUsdCents30d, Value::Long(90_000)),
    (Fact::AssetTotalWithdrawals1h, Value::Long(100)),
    (Fact::AssetTotalWithdrawals24h, Value::Long(1_500)),
    (Fact::AssetTotalWithdrawals30d, Value::Long(40_000)),
    (Fact::AssetTotalUsdCents1h, Value::Long(10_000_000)),
    (Fact::AssetTotalUsdCents24h, Value::Long(150_000_000)),
    (Fact::AssetTotalUsdCents30d, Value::Long(4_000_000_000)),
    (Fact::OverallWithdrawals1h, Value::Long(300)),
    (Fact::OverallWithdrawals24h, Value::Long(4_500)),
    (Fact::OverallWithdrawals30d, Value::Long(120_000)),
    (Fact::OverallUsdCents1h, Value::Long(30_000_000)),
    (Fact::OverallUsdCents24h, Value::Long(450_000_000)),
    (Fact::OverallUsdCents30d, Value::Long(12_000_000_000)),
    (Fact::ApiKeyPresent, Value::Bool(false)),
    (Fact::ApiKeyAgeHours, Value::Long(1_000_000)),
    (Fact::ApprovalBound, Value::Bool(false)),
    (Fact::ApprovalOneTimeCode, Value::Bool(false)),
    (Fact::ApprovalOperators, Value::Long(0)),
    (Fact::PriceStale, Value::Bool(false)),
    (Fact::PriceMoved, Value::Bool(false)),
    (Fact::ApprovalUserVerified, Value::Bool(false)),
    (Fact::ApprovalMandate, Value::Bool(false)),
    (Fact::AccountHasCredential, Value::Bool(false)),
    (Fact::AccountSettingsLocked, Value::Bool(false)),
    (Fact::SessionDeviceAgeHours, Value::Long(2_000)),
    (Fact::SessionNewPlace, Value::Bool(false)),
    (Fact::ApiKeyAsymmetric, Value::Bool(false)),
];

/// The facts of an ordinary withdrawal.
pub fn ordinary() -> Facts<'static> {
    let mut facts = Facts::new();
    for (fact, value) in ORDINARY {
        set(&mut facts, fact, value);
    }
    facts
}

/// Sets a slot to a value of whatever type; [`Value::Unset`] forgets it.
pub fn set<'a>(facts: &mut Facts<'a>, fact: Fact, value: Value<'a>) {
    match value {
        Value::Unset => facts.unset(fact),
        Value::Bool(value) => facts.set_bool(fact, value),
        Value::Long(value) => facts.set_long(fact, value),
        Value::Text(value) => facts.set_text(fact, value),
    }
}

/// Why a text is not `path=value`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FactError {
    /// No `=`.
    #[error("{0:?} is not path=value, such as amount_usd_cents=5000")]
    Shape(String),
    /// No such fact.
    #[error("there is no fact {path:?}{}", .nearest.map(|near| format!(": did you mean {near}?")).unwrap_or_default())]
    Unknown {
        /// The path.
        path: String,
        /// The fact whose path is most like it.
        nearest: Option<&'static str>,
    },
    /// A value of another type.
    #[error("{path} takes {takes}, not {value:?}")]
    Type {
        /// The fact.
        path: &'static str,
        /// What it takes.
        takes: String,
        /// What was given.
        value: String,
    },
}

/// Reads `path=value`: `true`, `5_000` (underscores as you like), a text, a word of the enumeration, or `unset`.
pub fn parse_fact(text: &str) -> Result<(Fact, Value<'_>), FactError> {
    let (path, value) = text.split_once('=').ok_or_else(|| FactError::Shape(clip(text)))?;
    let path = path.strip_prefix("context.").unwrap_or(path);
    let Some(fact) = Fact::from_path(path) else {
        return Err(FactError::Unknown { path: clip(path), nearest: nearest(path) });
    };
    let wrong = |takes: String| FactError::Type { path: fact.path(), takes, value: clip(value) };
    let value = match (fact.ty(), value) {
        (_, "unset") => Value::Unset,
        (FactType::Bool, "true") => Value::Bool(true),
        (FactType::Bool, "false") => Value::Bool(false),
        (FactType::Bool, _) => return Err(wrong("true or false".to_owned())),
        (FactType::Long, digits) => {
            let plain = digits.len() <= 40 && !digits.starts_with(['_', '+']) && !digits.ends_with('_');
            let number = digits.replace('_', "").parse().ok().filter(|_| plain);
            Value::Long(number.ok_or_else(|| wrong("a 64-bit integer".to_owned()))?)
        }
        (FactType::Text, text) => Value::Text(text),
        (FactType::Enum(enumeration), word) if enumeration.members().contains(&word) => Value::Text(word),
        (FactType::Enum(enumeration), _) => return Err(wrong(enumeration.members().join(", "))),
    };
    Ok((fact, value))
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

/// The path most like the given one, if any is at all.
pub(crate) fn nearest(path: &str) -> Option<&'static str> {
    nearest_of(path, FACTS.iter().map(|spec| spec.path))
}

/// The word most like the given one, if any is at all.
pub(crate) fn nearest_of<'w>(given: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    if given.len() > 80 {
        return None;
    }
    let near = words.map(|word| (distance(given, word), word)).min()?;
    (near.0 <= 2 + given.len() / 5 && near.0 < given.len().max(1)).then_some(near.1)
}

/// How many letters must be put in, taken out or changed.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, above) in b.bytes().zip(row.iter().skip(1)) {
            left = (corner + usize::from(x != y)).min(left + 1).min(above + 1);
            corner = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

/// What came out, or must: the most severe degree (`None` allows) and the reasons, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The most severe degree.
    pub degree: Option<Degree>,
    /// The reasons, sorted, each once.
    pub reasons: Vec<String>,
}

impl Outcome {
    /// What the program says about these facts.
    pub fn of(program: &Program, action: Action, facts: &Facts<'_>) -> Self {
        let mut findings = Findings::new();
        program.evaluate(action, facts, &mut findings);
        let reasons = findings.reasons(program).into_iter().map(str::to_owned).collect();
        Self { degree: findings.most_severe(program), reasons }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.degree {
            None => f.write_str("allow")?,
            Some(degree) => degree.fmt(f)?,
        }
        self.reasons.iter().try_for_each(|reason| write!(f, " {reason}"))
    }
}

/// Reads `allow`, `dwell 10m REASON..`, `step_up passkey REASON..`, `hold REASON..`, `deny REASON..`.
pub(crate) fn parse_outcome(text: &str) -> Option<Outcome> {
    let mut words = text.split_whitespace();
    let degree = match words.next()? {
        "allow" => None,
        "dwell" => Some(Degree::Dwell(Span::parse(words.next()?)?.0)),
        "step_up" => Some(Degree::StepUp(Factor::from_name(words.next()?)?)),
        "hold" => Some(Degree::Hold),
        "deny" => Some(Degree::Deny),
        _ => return None,
    };
    let mut reasons: Vec<String> = words.map(str::to_owned).collect();
    reasons.sort_unstable();
    Some(Outcome { degree, reasons })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_withdrawal_says_every_fact() {
        let facts = ordinary();
        for (spec, (fact, value)) in FACTS.iter().zip(ORDINARY) {
            assert_eq!(spec.fact, fact, "the order is that of the table");
            assert_eq!(facts.get(fact), value, "{}", spec.path);
        }
    }

    #[test]
    fn facts_are_read_strictly_and_misspelt_ones_named() {
        assert_eq!(parse_fact("amount_usd_cents=5_000"), Ok((Fact::AmountUsdCents, Value::Long(5_000))));
        assert_eq!(parse_fact("context.class=bound"), Ok((Fact::Class, Value::Text("bound"))));
        assert_eq!(parse_fact("price.stale=unset"), Ok((Fact::PriceStale, Value::Unset)));
        for (text, said) in [
            ("amount", "is not path=value"),
            ("amount_usd_cent=5", "did you mean amount_usd_cents?"),
            ("acount.cooling_of=true", "did you mean account.cooling_off?"),
            ("xyz=5", "there is no fact \"xyz\""),
            ("class=unvuoched", "bound, aged, unvouched"),
            ("price.stale=yes", "true or false"),
            ("amount_usd_cents=9223372036854775808", "64-bit"),
            ("amount_usd_cents=1.5", "64-bit"),
            ("amount_usd_cents=_5", "64-bit"),
        ] {
            let error = parse_fact(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
