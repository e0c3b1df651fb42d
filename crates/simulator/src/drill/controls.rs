//! The controls: what would show that the numbers flatter. They are computed in every drill and go into every report.

use std::collections::BTreeMap;

use serde::Serialize;

use super::features::{Kind, Separation, Side, Tallies};
use super::{Key, Outcome, Plan, Results, What, other};
use crate::attackers::{Incident, Kind as AttackKind, Shared};
use crate::population::Model;
use crate::score::figure::{Of, Stat, Unit, divide_round, share};
use crate::score::rank::FRICTION_PERMILLE;

/// All controls of a drill.
#[derive(Debug, Default, Serialize)]
pub struct Controls {
    /// For each attack the raw feature that tells most of the attacker's events.
    pub one_feature: Vec<OneFeature>,
    /// The same where ordinary accounts were called an attacker's by lot: what chance alone finds.
    pub one_feature_shuffled: Option<Told>,
    /// Recall with shuffled labels: by number it must come to the friction itself.
    pub shuffled_labels: Vec<Shuffled>,
    /// A limit on amounts, chosen on one generator and tried on the other.
    pub cross: Vec<Cross>,
    /// A limit on amounts that troubles as many ordinary withdrawals as what is tested.
    pub equal_friction: Option<EqualFriction>,
    /// The attacks among the customers of the other generator.
    pub other_generator: Vec<OtherGenerator>,
    /// Ordinary customers of the other generator, in the attack-free months.
    pub other_generator_ordinary: Vec<NamedStat>,
}

/// One attack's.
#[derive(Debug, Serialize)]
pub struct OneFeature {
    /// The attack.
    pub attack: &'static str,
    /// The attacker's events that were compared, over all seeds.
    pub events: u64,
    /// Of networks, ids, timing and form: if this separates, the generator leaks.
    pub trace: Option<Told>,
    /// Of what belongs to the crime: a stranger's device, a new address, a large share. It may separate.
    pub crime: Option<Told>,
    /// Of what this variant's accounts share by its definition. It may separate.
    pub design: Option<Told>,
}

/// A rule over one feature.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// Of which events.
    pub kind: Kind,
    /// Which feature.
    pub feature: &'static str,
    /// The rule.
    pub rule: Box<str>,
    /// Balanced accuracy where it was chosen; a half is chance.
    pub train: String,
    /// On the other half of the accounts.
    pub test: String,
    /// The attacker's accounts in the two halves.
    pub accounts: (usize, usize),
    /// It is what this variant of the attack is: accounts that share a network are told by it.
    pub by_design: bool,
    #[serde(skip)]
    both: i128,
}

impl Told {
    fn of(one: &Separation, by_design: bool) -> Self {
        Self {
            kind: one.kind,
            feature: one.feature,
            rule: one.rule.clone(),
            train: Unit::Share.text(one.train),
            test: Unit::Share.text(one.test),
            accounts: one.accounts,
            by_design,
            both: one.train.min(one.test),
        }
    }
}

/// Recall with shuffled labels.
#[derive(Debug, Serialize)]
pub struct Shuffled {
    /// The friction.
    pub friction: String,
    /// By number, mean over attacks and seeds.
    pub by_number: String,
    /// By money: what ranking by value alone gives.
    pub by_money: String,
    /// By money with the true labels.
    pub true_by_money: String,
    #[serde(skip)]
    number: i128,
    #[serde(skip)]
    permille: u64,
}

/// A limit on amounts, from one generator to another.
#[derive(Debug, Serialize)]
pub struct Cross {
    /// Where the limit was chosen.
    pub chosen_on: Model,
    /// Where it was tried.
    pub tried_on: Model,
    /// The share of ordinary withdrawals that it was to trouble.
    pub friction: String,
    /// The limit.
    pub limit_usd: String,
    /// The share that it troubled.
    pub troubled: String,
    /// The share of the attackers' money that it would have stopped, under the simple baseline.
    pub stopped: String,
}

/// A limit as troublesome as what is tested.
#[derive(Debug, Serialize)]
pub struct EqualFriction {
    /// The share of ordinary withdrawals that what is tested holds for a person or denies.
    pub friction: String,
    /// The limit that troubles as many.
    pub limit_usd: String,
    /// Of what left under the simple baseline, what that limit would have let go: the largest attack, in the worst seed. The
    /// attacker does not adapt to it here, which flatters the limit.
    pub left_btc: String,
    /// What left under what is tested: the largest attack, in the worst seed.
    pub tested_left_btc: String,
}

/// An attack among other customers.
#[derive(Debug, Serialize)]
pub struct OtherGenerator {
    /// The attack.
    pub attack: &'static str,
    /// What left, of one seed.
    pub left_btc: String,
    /// The same seed's among the drill's own customers.
    pub own_left_btc: String,
}

/// A statistic with its name.
#[derive(Debug, Serialize)]
pub struct NamedStat {
    /// The score's name.
    pub score: &'static str,
    /// Among the other generator's customers.
    pub other: Option<String>,
    /// Among the drill's own, same seed.
    pub own: Option<String>,
}

/// Whether an attack is defined by this: by what its accounts share, or by its very amounts.
fn is_design(kind: AttackKind, feature: &str) -> bool {
    let network = matches!(feature, "asn" | "ip_8" | "ip_16" | "country");
    let device = matches!(feature, "user_agent" | "tls" | "device_length" | "device_is_told");
    // Amounts as they were published, or as close to a line as can be.
    let amount = feature == "amount_digits";
    match kind {
        AttackKind::JustUnder
        | AttackKind::Incident(Incident::Binance2019 | Incident::CryptoCom2022 | Incident::Poisoning2024) => {
            amount
        }
        AttackKind::Patient(Shared::Everything) => network || device,
        AttackKind::Patient(Shared::Partly) => network,
        _ => false,
    }
}

/// From this balanced accuracy on, in both halves, a trace is called a leak.
const LEAK: i128 = 700_000;

impl Controls {
    /// What the controls found fault with.
    pub fn misses(&self) -> Vec<String> {
        let mut leaks: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for one in &self.one_feature {
            if let Some(told) = one.trace.as_ref().filter(|told| told.both >= LEAK) {
                let text = format!("{} {}", one.attack, told.test.get(..4).unwrap_or(&told.test));
                leaks.entry((told.kind.name(), told.feature)).or_default().push(text);
            }
        }
        let leaks = leaks.into_iter().map(|((kind, feature), attacks)| {
            format!(
                "control: the generator leaks in {feature} of {kind} events, by which alone an attacker is told (balanced \
                 accuracy): {}",
                attacks.join(", ")
            )
        });
        let shuffled =
            self.shuffled_labels.iter().filter(|one| one.number > i128::from(one.permille) * 3_000);
        let shuffled = shuffled.map(|one| {
            format!(
                "control: with shuffled labels {} are caught at a friction of {}",
                one.by_number, one.friction
            )
        });
        leaks.chain(shuffled).collect()
    }
}

/// Computes all controls that the results allow.
pub fn controls(plan: &Plan, results: &Results) -> Controls {
    let runs = |chosen: &dyn Fn(&Key) -> bool| -> Vec<&Outcome> {
        results.outcomes.iter().filter(|(key, _)| chosen(key)).map(|(_, outcome)| outcome).collect()
    };
    let free = runs(&|key| key.what == What::Free && key.arm == 0 && !key.other_model);
    let mut ordinary = Tallies::default();
    let mut by_lot = Tallies::default();
    for run in &free {
        run.tallies.iter().for_each(|tallies| ordinary.add(tallies));
        run.shuffled_tallies.iter().for_each(|tallies| by_lot.add(tallies));
    }
    let one_feature = plan.attacks.iter().enumerate().filter_map(|(nth, attack)| {
        let attacked = runs(&|key| key.what == What::Attack(nth) && key.arm == 0 && !key.other_model);
        let mut his = Tallies::default();
        attacked.iter().flat_map(|run| &run.tallies).for_each(|tallies| his.add(tallies));
        let events = attacked.iter().map(|run| run.attacker_entries).sum();
        let found = ordinary.separations(&his);
        // What accounts share by the attack's own definition is told apart.
        let told = |side: Side| found.iter().filter(move |one| one.side == side);
        let trace = told(Side::Trace).find(|one| !is_design(attack.kind, one.feature));
        (!attacked.is_empty()).then(|| OneFeature {
            attack: attack.name,
            events,
            trace: trace.map(|one| Told::of(one, false)),
            crime: told(Side::Crime).next().map(|one| Told::of(one, false)),
            design: told(Side::Trace)
                .find(|one| is_design(attack.kind, one.feature))
                .map(|one| Told::of(one, true)),
        })
    });
    let lot = ordinary.separations(&by_lot);
    let baseline = plan.arms.iter().position(|arm| arm.role == super::arm::Role::Baseline);
    Controls {
        one_feature: one_feature.collect(),
        one_feature_shuffled: lot.first().map(|one| Told::of(one, false)),
        shuffled_labels: shuffled_labels(&runs(&|key| {
            matches!(key.what, What::Attack(_)) && key.arm == 0 && !key.other_model
        })),
        cross: cross(plan, results, baseline.unwrap_or(0)),
        equal_friction: baseline.and_then(|baseline| equal_friction(plan, results, baseline)),
        other_generator: other_generator(plan, results),
        other_generator_ordinary: other_ordinary(plan, results),
    }
}

fn shuffled_labels(attacked: &[&Outcome]) -> Vec<Shuffled> {
    let some: Vec<&&Outcome> = attacked.iter().filter(|run| !run.shuffled.is_empty()).collect();
    let count = i128::try_from(some.len()).unwrap_or(1);
    let one = |(nth, (permille, name)): (usize, &(u64, &'static str))| {
        let of = some.iter().filter_map(|run| run.shuffled.get(nth));
        let (number, money) =
            of.fold((0, 0), |(number, money), one| (number + one.by_number, money + one.by_money));
        let real = some
            .iter()
            .filter_map(|run| run.attack.iter().find(|one| one.name == *name)?.value)
            .sum::<i128>();
        let number = divide_round(number, count);
        Shuffled {
            friction: Unit::Share.text(i128::from(*permille) * 1_000),
            by_number: Unit::Share.text(number),
            by_money: Unit::Share.text(divide_round(money, count)),
            true_by_money: Unit::Share.text(divide_round(real, count)),
            number,
            permille: *permille,
        }
    };
    if some.is_empty() { Vec::new() } else { FRICTION_PERMILLE.iter().enumerate().map(one).collect() }
}

/// Ordinary values and what attackers took, of one generator under one defence.
struct Sample {
    values: Vec<u64>,
    taken: Vec<u64>,
}

fn sample(results: &Results, arm: usize, other_model: bool) -> Sample {
    let of = results.outcomes.iter().filter(|(key, _)| key.arm == arm && key.other_model == other_model);
    let (mut values, mut taken) = (Vec::new(), Vec::new());
    for (key, run) in of {
        match key.what {
            What::Free => values.extend(run.values.iter().map(|(value, _)| *value)),
            What::Attack(_) => taken.extend(run.taken.iter().map(|(cents, _)| *cents)),
            What::Extremes | What::Sweep(_) => {}
        }
    }
    values.sort_unstable();
    Sample { values, taken }
}

/// The least limit above which no more than `millionths` of the sorted values lie.
fn limit(values: &[u64], millionths: i128) -> Option<u64> {
    let count = u128::try_from(values.len()).unwrap_or(0);
    let above = count.saturating_mul(u128::try_from(millionths).unwrap_or(0)) / 1_000_000;
    let above = usize::try_from(above).unwrap_or(0).min(values.len().saturating_sub(1));
    values.get(values.len().checked_sub(1)?.saturating_sub(above)).copied()
}

fn above(values: &[u64], limit: u64) -> (u128, u128) {
    let (mut number, mut money) = (0u128, 0u128);
    for value in values.iter().filter(|value| **value > limit) {
        number = number.saturating_add(1);
        money = money.saturating_add(u128::from(*value));
    }
    (number, money)
}

fn cross(plan: &Plan, results: &Results, arm: usize) -> Vec<Cross> {
    let own = plan.settings.model;
    let samples = [(own, sample(results, arm, false)), (other(own), sample(results, arm, true))];
    let mut rows = Vec::new();
    for (chosen_on, chosen) in &samples {
        for (tried_on, tried) in &samples {
            for (permille, _) in FRICTION_PERMILLE {
                let friction = i128::from(permille) * 1_000;
                let Some(limit) = limit(&chosen.values, friction) else { continue };
                if tried.values.is_empty() {
                    continue;
                }
                let all = u128::try_from(tried.values.len()).unwrap_or(0);
                let money: u128 = tried.taken.iter().map(|cents| u128::from(*cents)).sum();
                rows.push(Cross {
                    chosen_on: *chosen_on,
                    tried_on: *tried_on,
                    friction: Unit::Share.text(friction),
                    limit_usd: Unit::Usd.text(i128::from(limit)),
                    troubled: Unit::Share.text(share(above(&tried.values, limit).0, all)),
                    stopped: Unit::Share.text(if money == 0 {
                        0
                    } else {
                        share(above(&tried.taken, limit).1, money)
                    }),
                });
            }
        }
    }
    rows
}

fn equal_friction(plan: &Plan, results: &Results, baseline: usize) -> Option<EqualFriction> {
    let own = |key: &Key, arm: usize| key.arm == arm && !key.other_model;
    let tested = results.outcomes.iter().filter(|(key, _)| key.what == What::Free && own(key, 0));
    let troubled: Vec<bool> =
        tested.flat_map(|(_, run)| run.values.iter().map(|(_, troubled)| *troubled)).collect();
    let number = troubled.iter().filter(|troubled| **troubled).count();
    let friction =
        share(u128::try_from(number).ok()?, u128::try_from(troubled.len()).ok().filter(|all| *all > 0)?);
    let limit = limit(&sample(results, baseline, false).values, friction)?;
    let attacked = |arm: usize| {
        results.outcomes.iter().filter(move |(key, _)| matches!(key.what, What::Attack(_)) && own(key, arm))
    };
    let let_go = attacked(baseline).map(|(_, run)| {
        run.taken
            .iter()
            .filter(|(cents, _)| *cents <= limit)
            .map(|(_, satoshi)| i128::from(*satoshi))
            .sum::<i128>()
    });
    let left =
        attacked(0).map(|(_, run)| run.taken.iter().map(|(_, satoshi)| i128::from(*satoshi)).sum::<i128>());
    let _all_arms = plan;
    Some(EqualFriction {
        friction: Unit::Share.text(friction),
        limit_usd: Unit::Usd.text(i128::from(limit)),
        left_btc: Unit::Btc.text(let_go.max()?),
        tested_left_btc: Unit::Btc.text(left.max()?),
    })
}

fn pair(results: &Results, what: What) -> Option<(&Outcome, &Outcome)> {
    let (key, outcome) =
        results.outcomes.iter().find(|(key, _)| key.what == what && key.arm == 0 && key.other_model)?;
    Some((outcome, results.outcomes.get(&Key { other_model: false, ..*key })?))
}

fn other_generator(plan: &Plan, results: &Results) -> Vec<OtherGenerator> {
    let left = |run: &Outcome| {
        let figure = run.attack.iter().find(|figure| figure.name == "left_btc");
        Unit::Btc.text(figure.and_then(|figure| figure.value).unwrap_or(0))
    };
    let one = |(nth, attack): (usize, &&'static crate::attackers::Attack)| {
        let (other, own) = pair(results, What::Attack(nth))?;
        Some(OtherGenerator { attack: attack.name, left_btc: left(other), own_left_btc: left(own) })
    };
    plan.attacks.iter().enumerate().filter_map(one).collect()
}

fn other_ordinary(_: &Plan, results: &Results) -> Vec<NamedStat> {
    let Some((other, own)) = pair(results, What::Free) else { return Vec::new() };
    let of = |run: &Outcome, name: &str| {
        let stats = Stat::gather(std::slice::from_ref(&run.ordinary));
        let stat = stats.into_iter().find(|stat| stat.name == name)?;
        stat.get(Of::Mean).map(|value| stat.unit.text(value))
    };
    ["withdrawals", "without_person_share", "delay_median_seconds", "hold_share", "denied_fitting"]
        .map(|score| NamedStat { score, other: of(other, score), own: of(own, score) })
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_troubles_as_many_as_it_may() {
        let values: Vec<u64> = (1..=1_000).collect();
        for (millionths, many) in [(1_000, 1), (10_000, 10), (0, 0)] {
            let limit = limit(&values, millionths).unwrap();
            assert_eq!(above(&values, limit).0, many, "{millionths}");
        }
        assert_eq!(limit(&[], 1_000), None);
    }
}
