//! Exact numbers of a score: scaled integers with a unit, their decimal text, and what comes of several seeds.

use serde::{Serialize, Serializer};

/// What a figure counts, and how many decimals its text has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Things. Whole for one run, two decimals for a mean: kept in hundredths.
    Count,
    /// Seconds, kept in microseconds, shown in whole seconds.
    Seconds,
    /// Minutes, kept in microseconds, shown with two decimals.
    Minutes,
    /// Bitcoins, kept in satoshi.
    Btc,
    /// US dollars, kept in cents.
    Usd,
    /// A share of one, kept in millionths.
    Share,
}

impl Unit {
    /// As tables write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Count => "",
            Self::Seconds => "s",
            Self::Minutes => "min",
            Self::Btc => "BTC",
            Self::Usd => "USD",
            Self::Share => "",
        }
    }

    /// How many kept units make one, and how many decimals the text has.
    const fn scale(self) -> (i128, u32) {
        match self {
            Self::Count | Self::Usd => (100, 2),
            Self::Seconds => (1_000_000, 0),
            Self::Minutes => (60_000_000, 2),
            Self::Btc => (100_000_000, 8),
            Self::Share => (1_000_000, 6),
        }
    }

    /// The decimal text of a kept value, with this unit's decimals, rounded half away from zero.
    pub fn text(self, kept: i128) -> String {
        let (one, decimals) = self.scale();
        decimal(kept, one, decimals)
    }

    /// A kept value of decimal text; nothing if it is no number or too large.
    pub fn parse(self, text: &str) -> Option<i128> {
        let (one, _) = self.scale();
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || text.ends_with('.') || !digits(whole) || !digits(part) || text.len() > 30 {
            return None;
        }
        let places = u32::try_from(part.len()).ok()?;
        let all: i128 = format!("{whole}{part}").parse().ok()?;
        let kept = all.checked_mul(one)?.checked_div(10i128.checked_pow(places)?)?;
        Some(if negative { -kept } else { kept })
    }
}

/// `kept / one` with so many decimals.
pub fn decimal(kept: i128, one: i128, decimals: u32) -> String {
    let tens = 10i128.saturating_pow(decimals);
    let scaled = divide_round(kept.saturating_mul(tens), one);
    let sign = if scaled < 0 { "-" } else { "" };
    let scaled = scaled.unsigned_abs();
    let tens = tens.unsigned_abs();
    if decimals == 0 {
        return format!("{sign}{scaled}");
    }
    let (whole, part) = (scaled / tens, scaled % tens);
    format!("{sign}{whole}.{part:0width$}", width = decimals as usize)
}

/// Rounded half away from zero; zero for a division by zero.
pub const fn divide_round(value: i128, by: i128) -> i128 {
    if by == 0 {
        return 0;
    }
    let half = by / 2;
    let shifted = if value < 0 { value.saturating_sub(half) } else { value.saturating_add(half) };
    match shifted.checked_div(by) {
        Some(rounded) => rounded,
        None => 0,
    }
}

/// `part` of `whole` in millionths; all of nothing is one.
pub fn share(part: u128, whole: u128) -> i128 {
    if whole == 0 {
        return 1_000_000;
    }
    let millionths = part.saturating_mul(1_000_000).saturating_add(whole / 2) / whole;
    i128::try_from(millionths).unwrap_or(i128::MAX)
}

/// One number of one run: its name, its unit, and nothing where there is no such number (no alarm was ever raised).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Stable: reports and `--fail-if` name it so.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Kept, as [`Unit`] says.
    pub value: Option<i128>,
}

impl Figure {
    /// A number.
    pub const fn of(name: &'static str, unit: Unit, value: i128) -> Self {
        Self { name, unit, value: Some(value) }
    }

    /// A number that there may not be.
    pub const fn maybe(name: &'static str, unit: Unit, value: Option<i128>) -> Self {
        Self { name, unit, value }
    }

    /// So many things.
    pub fn count(name: &'static str, count: u64) -> Self {
        Self::of(name, Unit::Count, i128::from(count).saturating_mul(100))
    }
}

/// What several seeds gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The figure's name.
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// In the order of the seeds; nothing where a seed has no such number.
    pub seeds: Vec<Option<i128>>,
}

/// One of the numbers of a [`Stat`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// Over the seeds that have the number.
    Mean,
    /// 95 of 100, by nearest rank; a seed without the number counts as more than any.
    P95,
    /// The most; a seed without the number counts as more than any.
    Max,
    /// The least.
    Min,
}

impl Of {
    /// As reports and `--fail-if` write it.
    pub const ALL: [(&'static str, Self); 4] =
        [("mean", Self::Mean), ("p95", Self::P95), ("max", Self::Max), ("min", Self::Min)];
}

impl Stat {
    /// Over all seeds, of figures of one name.
    pub fn gather(runs: &[Vec<Figure>]) -> Vec<Self> {
        let Some(first) = runs.first() else { return Vec::new() };
        let one = |figure: &Figure| {
            let seeds = runs.iter().map(|run| run.iter().find(|other| other.name == figure.name)?.value);
            Self { name: figure.name, unit: figure.unit, seeds: seeds.collect() }
        };
        first.iter().map(one).collect()
    }

    /// Whether every seed has no such number.
    pub fn is_never(&self) -> bool {
        self.seeds.iter().all(Option::is_none)
    }

    /// One number; nothing where there is none, which is more than any.
    pub fn get(&self, of: Of) -> Option<i128> {
        let known: Vec<i128> = self.seeds.iter().flatten().copied().collect();
        match of {
            Of::Mean => {
                let sum: i128 = known.iter().fold(0, |sum, one| sum.saturating_add(*one));
                let count = i128::try_from(known.len()).unwrap_or(i128::MAX);
                (!known.is_empty()).then(|| divide_round(sum, count))
            }
            Of::Min => known.into_iter().min(),
            Of::Max => self.at_rank(self.seeds.len()),
            Of::P95 => self.at_rank(self.seeds.len().saturating_mul(95).div_ceil(100)),
        }
    }

    /// The value at a rank, counted from 1; those without a number last.
    fn at_rank(&self, rank: usize) -> Option<i128> {
        let mut sorted: Vec<(bool, i128)> =
            self.seeds.iter().map(|one| (one.is_none(), one.unwrap_or_default())).collect();
        sorted.sort_unstable();
        sorted.get(rank.saturating_sub(1)).filter(|(is_none, _)| !is_none).map(|(_, value)| *value)
    }

    /// The text of one number, `-` where there is none.
    pub fn text(&self, of: Of) -> String {
        self.get(of).map_or_else(|| "-".to_owned(), |value| self.unit.text(value))
    }
}

impl Serialize for Stat {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire {
            unit: Unit,
            mean: Option<String>,
            p95: Option<String>,
            max: Option<String>,
            min: Option<String>,
            seeds: Vec<Option<String>>,
        }
        let text = |value: Option<i128>| value.map(|value| self.unit.text(value));
        Wire {
            unit: self.unit,
            mean: text(self.get(Of::Mean)),
            p95: text(self.get(Of::P95)),
            max: text(self.get(Of::Max)),
            min: text(self.get(Of::Min)),
            seeds: self.seeds.iter().map(|one| text(*one)).collect(),
        }
        .serialize(to)
    }
}

/// The value at a share (in 1/1000) of sorted values, by nearest rank.
pub fn quantile(sorted: &[u64], permille: usize) -> Option<u64> {
    let rank = sorted.len().saturating_mul(permille).div_ceil(1_000).max(1);
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_exact_and_read_back() {
        for (unit, kept, text) in [
            (Unit::Btc, 13_260_000_000, "132.60000000"),
            (Unit::Btc, -1, "-0.00000001"),
            (Unit::Usd, 5, "0.05"),
            (Unit::Share, 970_000, "0.970000"),
            (Unit::Count, 320, "3.20"),
        ] {
            assert_eq!(unit.text(kept), text);
            assert_eq!(unit.parse(text), Some(kept), "{text}");
        }
        assert_eq!(Unit::Seconds.text(1_499_999), "1");
        assert_eq!(Unit::Seconds.text(1_500_000), "2");
        assert_eq!(Unit::Minutes.text(90_000_000), "1.50");
        for text in ["", ".", "1.", "1e3", "--1", "1.2.3", "0x1", "+1"] {
            assert_eq!(Unit::Btc.parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_number_that_is_missing_is_more_than_any() {
        let stat = Stat { name: "x", unit: Unit::Count, seeds: vec![Some(300), None, Some(100)] };
        assert_eq!(stat.get(Of::Max), None);
        assert_eq!(stat.get(Of::P95), None);
        assert_eq!(stat.get(Of::Min), Some(100));
        assert_eq!(stat.get(Of::Mean), Some(200), "over those that have it");
        let stat =
            Stat { name: "x", unit: Unit::Count, seeds: (1..=20).map(|one| Some(one * 100)).collect() };
        assert_eq!((stat.get(Of::P95), stat.get(Of::Max)), (Some(1_900), Some(2_000)));
    }

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let sorted: Vec<u64> = (1..=10).collect();
        assert_eq!(quantile(&sorted, 500), Some(5));
        assert_eq!(quantile(&sorted, 950), Some(10));
        assert_eq!(quantile(&[], 500), None);
        assert_eq!(quantile(&[7], 1), Some(7));
    }
}
