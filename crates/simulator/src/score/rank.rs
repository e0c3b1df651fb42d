//! How well a policy ranks: if people may be troubled with so many ordinary withdrawals, how much of the attacker's money
//! is among what they are shown?

use rand::RngExt as _;

use super::figure::{Figure, Unit, share};
use crate::draw::draw;

/// A withdrawal, as its first decision ranks it: by severity, then by the number of reasons, then by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// 0 allow, 1 dwell, 2 step-up, 3 hold, 4 deny.
    pub severity: u8,
    /// How many reasons.
    pub reasons: u8,
    /// Value.
    pub usd_cents: u64,
    /// Whose.
    pub is_attacker: bool,
}

impl Ranked {
    const fn key(&self) -> (u8, u8, u64) {
        (self.severity, self.reasons, self.usd_cents)
    }
}

/// Friction: which share of ordinary withdrawals may be troubled, in 1/1000.
pub const FRICTION_PERMILLE: [(u64, &str); 3] =
    [(1, "recall_at_0_1_percent"), (5, "recall_at_0_5_percent"), (10, "recall_at_1_percent")];

/// What is caught, by money and by number, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recall {
    /// Of the attacker's money.
    pub by_money: i128,
    /// Of his withdrawals.
    pub by_number: i128,
}

/// What is caught when the top of the ranking is looked at, down to where more than `permille` of the ordinary withdrawals
/// would be troubled. What ranks equal is looked at whole or not at all.
pub fn recall(ranked: &[Ranked], permille: u64) -> Recall {
    let mut sorted: Vec<&Ranked> = ranked.iter().collect();
    sorted.sort_by_key(|one| std::cmp::Reverse(one.key()));
    let ordinary = ranked.iter().filter(|one| !one.is_attacker).count();
    let allowed = u64::try_from(ordinary).unwrap_or(u64::MAX).saturating_mul(permille) / 1_000;
    let worth = |ones: &[&Ranked]| -> (u128, u128) {
        let his = ones.iter().filter(|one| one.is_attacker);
        his.fold((0, 0), |(money, number), one| (money + u128::from(one.usd_cents), number + 1))
    };
    let (mut troubled, mut caught) = (0u64, (0u128, 0u128));
    for group in sorted.chunk_by(|a, b| a.key() == b.key()) {
        let more = group.iter().filter(|one| !one.is_attacker).count();
        troubled = troubled.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
        if troubled > allowed {
            break;
        }
        let (money, number) = worth(group);
        caught = (caught.0 + money, caught.1 + number);
    }
    let all = worth(&sorted);
    Recall { by_money: part(caught.0, all.0), by_number: part(caught.1, all.1) }
}

fn part(caught: u128, all: u128) -> i128 {
    if all == 0 { 0 } else { share(caught, all) }
}

pub(super) fn figures(ranked: &[Ranked]) -> Vec<Figure> {
    let any = ranked.iter().any(|one| one.is_attacker);
    let one = |(permille, name): (u64, &'static str)| {
        Figure::maybe(name, Unit::Share, any.then(|| recall(ranked, permille).by_money))
    };
    FRICTION_PERMILLE.into_iter().map(one).collect()
}

/// The same, were others the attacker's: as many, drawn at random, twenty times over. By number this must come to the
/// friction itself; by money it says what the value alone would rank.
pub fn shuffled(ranked: &[Ranked], permille: u64, seed: u64) -> Recall {
    const TIMES: u64 = 20;
    let his = ranked.iter().filter(|one| one.is_attacker).count();
    let (mut money, mut number) = (0i128, 0i128);
    for time in 0..TIMES {
        let mut draw = draw(seed, "shuffled labels", &[time, permille]);
        let mut mixed = ranked.to_vec();
        let (mut left, mut to_go) = (his, mixed.len());
        for one in &mut mixed {
            // Each of those to go is as likely as any other.
            one.is_attacker = to_go > 0 && draw.random_range(0..to_go) < left;
            left = left.saturating_sub(usize::from(one.is_attacker));
            to_go = to_go.saturating_sub(1);
        }
        let recall = recall(&mixed, permille);
        money = money.saturating_add(recall.by_money);
        number = number.saturating_add(recall.by_number);
    }
    Recall { by_money: money / i128::from(TIMES), by_number: number / i128::from(TIMES) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(severity: u8, usd_cents: u64, is_attacker: bool) -> Ranked {
        Ranked { severity, reasons: 0, usd_cents, is_attacker }
    }

    #[test]
    fn money_above_the_friction_is_caught_and_below_it_is_not() {
        // 1,000 ordinary ones of 1 to 1,000 cents without severity; 1 % are ten of them.
        let mut ranked: Vec<Ranked> = (1..=1_000).map(|cents| one(0, cents, false)).collect();
        ranked.extend([one(3, 5, true), one(0, 995, true), one(0, 985, true)]);
        let at = |permille| recall(&ranked, permille);
        assert_eq!(at(10).by_number, 666_667, "the held one, and the one above the tenth");
        assert_eq!(at(10).by_money, share(1_000, 1_985));
        assert_eq!(at(1).by_money, share(5, 1_985), "one ordinary withdrawal is above the others");
        assert_eq!(recall(&[one(0, 1, false)], 10).by_money, 0, "there is nothing to catch");
    }

    #[test]
    fn what_ranks_equal_is_looked_at_whole_or_not_at_all() {
        let mut ranked = vec![one(1, 100, false); 100];
        ranked.extend(vec![one(1, 100, true); 3]);
        assert_eq!(recall(&ranked, 10).by_number, 0);
    }

    #[test]
    fn shuffled_labels_are_caught_by_chance() {
        let mut ranked: Vec<Ranked> = (1..=5_000).map(|cents| one(0, cents, false)).collect();
        ranked.extend(vec![one(4, 10_000, true); 50]);
        assert_eq!(recall(&ranked, 10).by_number, 1_000_000);
        let chance = shuffled(&ranked, 10, 7).by_number;
        assert!((2_000..40_000).contains(&chance), "about one in a hundred: {chance}");
    }
}
