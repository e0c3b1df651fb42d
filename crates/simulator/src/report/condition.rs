//! `--fail-if`: a condition over the scores of a report, for CI. The grammar is in docs/drill-report.md.

use super::Report;
use crate::score::figure::{Of, Stat};

/// `[ARM:][ATTACK.|ordinary.]SCORE[.STAT] OP NUMBER`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    text: String,
    arm: Option<String>,
    of: Option<String>,
    score: String,
    stat: Of,
    compares: Compares,
    number: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Compares {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Why a condition cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It does not read as one.
    #[error("{0:?} is no condition: write it as 'left_btc.max > 250' (docs/drill-report.md)")]
    Syntax(String),
    /// It names something that the report does not have.
    #[error("{text:?}: the report has no {what} {name:?}: {known}")]
    Unknown {
        /// The condition.
        text: String,
        /// Arm, attack, score.
        what: &'static str,
        /// Its name.
        name: String,
        /// What there is.
        known: String,
    },
}

impl ConditionError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Syntax(_) => "condition_invalid",
            Self::Unknown { .. } => "condition_unknown",
        }
    }
}

/// The scores of the attack-free months.
const ORDINARY: &str = "ordinary";

impl Condition {
    /// Reads one.
    ///
    /// # Errors
    /// [`ConditionError::Syntax`].
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let wrong = || ConditionError::Syntax(text.to_owned());
        // The longer signs first: `>=` holds a `>`.
        let signs = [
            (">=", Compares::AtLeast),
            ("<=", Compares::AtMost),
            (">", Compares::Above),
            ("<", Compares::Below),
        ];
        let split = signs.iter().find_map(|(sign, compares)| Some((text.split_once(sign)?, *compares)));
        let ((left, number), compares) = split.filter(|_| text.len() <= 200).ok_or_else(wrong)?;
        let (left, number) = (left.trim(), number.trim());
        let (arm, path) = match left.split_once(':') {
            Some((arm, path)) => (Some(arm.to_owned()), path),
            None => (None, left),
        };
        let mut parts: Vec<&str> = path.split('.').collect();
        let last = parts.last().copied().unwrap_or_default();
        let stat = Of::ALL.iter().find(|(name, _)| *name == last).map(|(_, stat)| *stat);
        if stat.is_some() {
            parts.pop();
        }
        let (of, score) = match *parts.as_slice() {
            [score] => (None, score),
            [of, score] => (Some(of.to_owned()), score),
            _ => return Err(wrong()),
        };
        let word = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
        };
        let named = [arm.as_deref(), of.as_deref(), Some(score)].into_iter().flatten().all(word);
        // Any unit reads the same numbers.
        if !named || crate::score::figure::Unit::Count.parse(number).is_none() {
            return Err(wrong());
        }
        Ok(Self {
            text: text.to_owned(),
            arm,
            of,
            score: score.to_owned(),
            stat: stat.unwrap_or(Of::Max),
            compares,
            number: number.to_owned(),
        })
    }

    /// Whether it can be asked of a drill, before that is played.
    ///
    /// # Errors
    /// [`ConditionError::Unknown`] if the drill will have nothing of that name.
    pub fn check(&self, plan: &crate::drill::Plan) -> Result<(), ConditionError> {
        let unknown = |what, name: &str, known: Vec<&str>| {
            let known = known.join(", ");
            Err(ConditionError::Unknown { text: self.text.clone(), what, name: name.to_owned(), known })
        };
        let arms: Vec<&str> = plan.arms.iter().map(|arm| &*arm.name).collect();
        if let Some(arm) = self.arm.as_deref().filter(|arm| !arms.contains(arm)) {
            return unknown("defence", arm, arms);
        }
        let attacks: Vec<&str> = plan.attacks.iter().map(|attack| attack.name).chain([ORDINARY]).collect();
        if let Some(of) = self.of.as_deref().filter(|of| !attacks.contains(of)) {
            return unknown("attack", of, attacks);
        }
        let (attack, ordinary) = crate::score::names();
        let scores = if self.of.as_deref() == Some(ORDINARY) { ordinary } else { attack };
        if self.score != "ceiling_btc" && !scores.contains(&self.score.as_str()) {
            return unknown("score", &self.score, scores);
        }
        Ok(())
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it holds, and of what; nothing if it does not. Where no attack is named, one that makes it hold is enough. A
    /// number that is missing, because it never came to that, is more than any.
    ///
    /// # Errors
    /// [`ConditionError::Unknown`] if the report has nothing of that name.
    pub fn holds(&self, report: &Report) -> Result<Option<String>, ConditionError> {
        let unknown = |what, name: &str, known: Vec<&str>| ConditionError::Unknown {
            text: self.text.clone(),
            what,
            name: name.to_owned(),
            known: if known.is_empty() { "there is none".to_owned() } else { known.join(", ") },
        };
        let arms: Vec<&str> = report.arms.iter().map(|arm| &*arm.name).collect();
        let arm = match &self.arm {
            None => 0,
            Some(name) => arms
                .iter()
                .position(|one| one == name)
                .ok_or_else(|| unknown("defence", name, arms.clone()))?,
        };
        let mut places: Vec<(&str, &[Stat])> = Vec::new();
        if self.of.as_deref() == Some(ORDINARY) {
            let free = report.attack_free.iter().filter(|free| free.arm == arm);
            places.extend(free.map(|free| (ORDINARY, free.ordinary.as_slice())));
        } else {
            for attack in &report.attacks {
                if self.of.as_deref().is_none_or(|of| of == attack.name) {
                    let against = attack.against.iter().filter(|one| one.arm == arm);
                    places.extend(against.map(|one| (attack.name, one.attack.as_slice())));
                }
            }
        }
        if places.is_empty() {
            let name = self.of.as_deref().unwrap_or(&self.score);
            let known = report.attacks.iter().map(|attack| attack.name).chain([ORDINARY]).collect();
            return Err(unknown("attack", name, known));
        }
        let mut holds = None;
        for (place, stats) in places {
            let Some(stat) = stats.iter().find(|stat| stat.name == self.score) else {
                let known = stats.iter().map(|stat| stat.name).collect();
                return Err(unknown("score", &self.score, known));
            };
            if self.compare(stat) {
                let text = stat.text(self.stat);
                holds = holds.or_else(|| Some(format!("{place}: {} is {text}", self.score)));
            }
        }
        Ok(holds)
    }

    fn compare(&self, stat: &Stat) -> bool {
        let Some(number) = stat.unit.parse(&self.number) else { return false };
        match (stat.get(self.stat), self.compares) {
            (None, Compares::Above | Compares::AtLeast) => true,
            (None, Compares::Below | Compares::AtMost) => false,
            (Some(value), Compares::Above) => value > number,
            (Some(value), Compares::AtLeast) => value >= number,
            (Some(value), Compares::Below) => value < number,
            (Some(value), Compares::AtMost) => value <= number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_and_others_are_refused() {
        let read = Condition::parse("limits-2019:binance-2019.left_btc.mean <= 250.5").unwrap();
        assert_eq!((read.arm.as_deref(), read.of.as_deref()), (Some("limits-2019"), Some("binance-2019")));
        assert_eq!((read.score.as_str(), read.stat, read.compares), ("left_btc", Of::Mean, Compares::AtMost));
        let read = Condition::parse("left_btc>1").unwrap();
        assert_eq!((read.of, read.stat, read.compares), (None, Of::Max, Compares::Above));
        for text in [
            "",
            "left_btc",
            "left_btc > ",
            "> 1",
            "a.b.c.max > 1",
            "left_btc == 1",
            "left btc > 1",
            "x > 1e3",
            "x:y:z > 1",
        ] {
            assert_eq!(Condition::parse(text).unwrap_err().code(), "condition_invalid", "{text}");
        }
    }
}
