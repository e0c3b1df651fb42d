//! A drill's report: what is said of its results, in one file for programs and one for people. Same drill, same bytes: no
//! time of running and no number of threads is in it.

mod chart;
pub mod condition;
mod html;
mod table;

use std::collections::BTreeMap;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::drill::controls::{Controls, controls};
use crate::drill::{EVALUATION_SEEDS, Key, Outcome, Plan, Results, What, arm};
use crate::exchange::Exchange;
use crate::population::{Extreme, Model, Sweep};
use crate::score::figure::{Of, Stat, Unit, divide_round};
use crate::score::layer::Layer;
use crate::score::{Hour, LayerRow, ReasonRow};

pub use html::html;
pub use table::table;

/// The name and version that a report carries.
pub const FORMAT: &str = "holdfast-drill/1";

/// Baselines that belong beside those that are played, and that do not exist yet.
const NOT_BUILT: [&str; 1] = [
    "a detector on the likelihood ratios of a session's features (address, network, country, browser) alone, after Freeman \
     and others, 2016: Holdfast has no such layer yet, and nothing here says how it would do",
];

/// Everything that is said of a drill.
#[derive(Debug, Serialize)]
pub struct Report {
    /// [`FORMAT`].
    pub format: &'static str,
    /// The version of Holdfast that played it.
    pub holdfast: &'static str,
    /// What was drilled: an attack's name, or `all`.
    pub drill: String,
    /// It was told to end before all was done.
    pub partial: bool,
    /// In a sentence.
    pub verdict: String,
    /// What went wrong, worst first.
    pub misses: Vec<String>,
    /// Customers, days, events.
    pub population: PopulationFacts,
    /// Seeds.
    pub seeds: Seeds,
    /// The exchange that was played.
    pub exchange: Exchange,
    /// What cannot have been changed after the seeds were seen, by hash.
    pub frozen: Frozen,
    /// The defences; the first one is what was tested.
    pub arms: Vec<ArmFacts>,
    /// Baselines that belong here and that nobody has built.
    pub not_built: Vec<&'static str>,
    /// Months without an attack.
    pub attack_free: Vec<Free>,
    /// The attacks.
    pub attacks: Vec<AttackReport>,
    /// Which layer stopped what, over all attacks, and what ordinary customers paid for it.
    pub layers: Vec<LayerReport>,
    /// The benign extremes, each on its day, against what was tested.
    pub extremes: Vec<ExtremeReport>,
    /// What nobody publishes, at its ends, against what was tested.
    pub sweep: Vec<SweepReport>,
    /// How this could fool its makers, and whether it does.
    pub controls: Controls,
}

/// Customers, days, events.
#[derive(Debug, Serialize)]
pub struct PopulationFacts {
    /// The generator.
    pub model: Model,
    /// Accounts.
    pub accounts: u32,
    /// Days of which sign-ins, changes and withdrawals are told.
    pub thinned_days: u32,
    /// Full days.
    pub days: u32,
    /// Events of one attack-free run, opening excluded; mean over the seeds.
    pub events: u64,
    /// Ordinary withdrawals of one attack-free run; mean over the seeds.
    pub ordinary_withdrawals: u64,
    /// Runs that were finished.
    pub runs: u64,
    /// Events of all runs together.
    pub events_played: u64,
}

/// Seeds.
#[derive(Debug, Serialize)]
pub struct Seeds {
    /// `evaluation`, `development` or `mixed`.
    pub set: &'static str,
    /// Development seeds are below.
    pub evaluation_from: u64,
    /// Those of this drill.
    pub used: Vec<u64>,
}

/// Hashes.
#[derive(Debug, Serialize)]
pub struct Frozen {
    /// BLAKE3 of the stated exchange, as the report states it.
    pub exchange: String,
    /// BLAKE3 over the policies' hashes, in the order of the defences.
    pub policies: String,
}

/// A defence.
#[derive(Debug, Serialize)]
pub struct ArmFacts {
    /// Its name.
    pub name: Box<str>,
    /// As tables say it.
    pub title: Box<str>,
    /// Why it was played.
    pub role: arm::Role,
    /// The policy's hash, as `holdfast policy check` prints it.
    pub policy: String,
    /// Its buckets, in 1/1000 of the hot wallet; 2,000 are none.
    pub bucket_permille: crate::exchange::Buckets,
    /// The signer's.
    pub signer_permille: crate::exchange::SignerBuckets,
    /// Customers with a key, in 1/1000.
    pub customers_with_key_permille: u32,
}

/// Months without an attack.
#[derive(Debug, Serialize)]
pub struct Free {
    /// The defence's place in the list.
    pub arm: usize,
    /// Of ordinary customers.
    #[serde(serialize_with = "by_name")]
    pub ordinary: Vec<Stat>,
    /// By reason; means over the seeds.
    pub reasons: Vec<ReasonReport>,
    /// By hour, over the evaluated days, of the first seed.
    pub hours: Vec<Hour>,
}

/// An attack.
#[derive(Debug, Serialize)]
pub struct AttackReport {
    /// Its name.
    pub name: &'static str,
    /// As tables say it.
    pub title: &'static str,
    /// T1 to T8, or the incident.
    pub group: &'static str,
    /// Each defence, in their order.
    pub against: Vec<Against>,
}

/// An attack against a defence.
#[derive(Debug, Serialize)]
pub struct Against {
    /// The defence's place in the list.
    pub arm: usize,
    /// What the attack came to.
    #[serde(serialize_with = "by_name")]
    pub attack: Vec<Stat>,
    /// What ordinary customers met in the evaluated days.
    #[serde(serialize_with = "by_name")]
    pub ordinary: Vec<Stat>,
    /// What each layer stopped; means over the seeds.
    pub stopped: Vec<StoppedReport>,
    /// By reason; means over the seeds.
    pub reasons: Vec<ReasonReport>,
    /// The seed in which most left.
    pub worst_seed: u64,
    /// That run in time, from the attack's beginning.
    pub worst: Vec<MomentReport>,
    /// That run by hour, over the evaluated days; of the defence that is tested alone.
    pub hours: Vec<Hour>,
}

/// What a layer stopped of one attack.
#[derive(Debug, Serialize)]
pub struct StoppedReport {
    /// The layer.
    pub layer: &'static str,
    /// The attacker's withdrawals.
    pub withdrawals: String,
    /// Their value: what is asked for again counts again.
    pub btc: String,
    #[serde(skip)]
    pub(crate) satoshi: i128,
}

/// A reason's row.
#[derive(Debug, Serialize)]
pub struct ReasonReport {
    /// Its code.
    pub code: Box<str>,
    /// Ordinary withdrawals that had it.
    pub ordinary: String,
    /// The attacker's.
    pub attacker: String,
    /// What it stopped.
    pub stopped_btc: String,
}

/// A moment of a run.
#[derive(Clone, Debug, Serialize)]
pub struct MomentReport {
    /// Seconds since the attack began; before it, below zero.
    pub seconds: i64,
    /// `left`, `alarm`, `halt`, `resume`.
    pub what: &'static str,
    /// What had left by then.
    pub left_btc: String,
    #[serde(skip)]
    pub(crate) satoshi: i128,
}

/// A layer, against what it costs.
#[derive(Debug, Serialize)]
pub struct LayerReport {
    /// The defence's place in the list.
    pub arm: usize,
    /// The layer.
    pub layer: &'static str,
    /// As people read it.
    pub title: &'static str,
    /// Attackers' money that it stopped, over all attacks; mean over the seeds.
    pub stopped_btc: String,
    /// Attackers' withdrawals that it stopped, over all attacks; mean over the seeds.
    pub stopped: String,
    /// Ordinary withdrawals that waited for it or were stopped by it, in the attack-free months; mean over the seeds.
    pub ordinary_touched: String,
    /// Of them, those that never left.
    pub ordinary_stopped: String,
    /// Minutes that they waited, together.
    pub ordinary_minutes: String,
    /// The same for each ordinary withdrawal.
    pub ordinary_minutes_per_withdrawal: String,
}

/// A benign extreme.
#[derive(Debug, Serialize)]
pub struct ExtremeReport {
    /// Which.
    pub extreme: Extreme,
    /// Of ordinary customers on its day.
    #[serde(serialize_with = "by_name")]
    pub ordinary: Vec<Stat>,
}

/// An end of what nobody publishes.
#[derive(Debug, Serialize)]
pub struct SweepReport {
    /// Which.
    pub name: &'static str,
    /// The rates.
    pub rates: Sweep,
    /// Of ordinary customers.
    #[serde(serialize_with = "by_name")]
    pub ordinary: Vec<Stat>,
}

fn by_name<S: Serializer>(stats: &[Stat], to: S) -> Result<S::Ok, S::Error> {
    let mut map = to.serialize_map(Some(stats.len()))?;
    for stat in stats {
        map.serialize_entry(stat.name, stat)?;
    }
    map.end()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Finds one figure's statistics.
pub(crate) fn stat<'s>(stats: &'s [Stat], name: &str) -> Option<&'s Stat> {
    stats.iter().find(|stat| stat.name == name)
}

pub(crate) fn value(stats: &[Stat], name: &str, of: Of) -> Option<i128> {
    stat(stats, name)?.get(of)
}

impl Report {
    /// Says what results come to.
    pub fn of(drill: &str, plan: &Plan, results: &Results) -> Self {
        let runs = |what: What, arm: usize| -> Vec<&Outcome> {
            let wanted = |key: &Key| key.what == what && key.arm == arm && !key.other_model;
            results.outcomes.iter().filter(|(key, _)| wanted(key)).map(|(_, outcome)| outcome).collect()
        };
        let free: Vec<Free> = (0..plan.arms.len())
            .filter_map(|arm| {
                let runs = runs(What::Free, arm);
                let hours = runs.first()?.hours.clone();
                Some(Free { arm, ordinary: ordinary(&runs), reasons: reasons(&runs), hours })
            })
            .collect();
        let attacks: Vec<AttackReport> = plan
            .attacks
            .iter()
            .enumerate()
            .map(|(nth, attack)| AttackReport {
                name: attack.name,
                title: attack.title,
                group: attack.group(),
                against: (0..plan.arms.len())
                    .filter_map(|arm| {
                        let past = if attack.wants_run { What::Extremes } else { What::Free };
                        against(arm, &runs(What::Attack(nth), arm), &runs(past, arm))
                    })
                    .collect(),
            })
            .filter(|attack| !attack.against.is_empty())
            .collect();
        let mut layers = Vec::new();
        for arm in 0..plan.arms.len() {
            let attacked: Vec<Vec<&Outcome>> =
                (0..plan.attacks.len()).map(|nth| runs(What::Attack(nth), arm)).collect();
            layers.extend(layer_reports(arm, &attacked, &runs(What::Free, arm)));
        }
        let extremes = extremes(&runs(What::Extremes, 0));
        let sweep = Sweep::all()
            .into_iter()
            .enumerate()
            .filter_map(|(nth, (name, rates))| {
                let what = if nth == 0 { What::Free } else { What::Sweep(nth) };
                let all = runs(what, 0);
                // One seed is swept: the first.
                let first = all.into_iter().take(1).collect::<Vec<_>>();
                (plan.sweep && !first.is_empty()).then(|| SweepReport {
                    name,
                    rates,
                    ordinary: ordinary(&first),
                })
            })
            .collect();
        let mut report = Self {
            format: FORMAT,
            holdfast: env!("CARGO_PKG_VERSION"),
            drill: drill.to_owned(),
            partial: results.is_partial,
            verdict: String::new(),
            misses: Vec::new(),
            population: population(plan, results),
            seeds: seeds(&plan.seeds),
            exchange: plan.settings.exchange.clone(),
            frozen: frozen(plan),
            arms: plan.arms.iter().map(arm_facts).collect(),
            not_built: NOT_BUILT.to_vec(),
            attack_free: free,
            attacks,
            layers,
            extremes,
            sweep,
            controls: controls(plan, results),
        };
        report.misses = misses(&report);
        report.verdict = verdict(&report);
        report
    }

    /// The bytes of report.json.
    pub fn json(&self) -> String {
        // Nothing in it can fail to be written: strings, integers, and maps with strings for keys.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// What is tested.
    pub fn tested(&self) -> &str {
        self.arms.first().map_or("", |arm| &arm.name)
    }

    pub(crate) fn free_of(&self, arm: usize) -> Option<&Free> {
        self.attack_free.iter().find(|free| free.arm == arm)
    }
}

impl AttackReport {
    pub(crate) fn by(&self, arm: usize) -> Option<&Against> {
        self.against.iter().find(|one| one.arm == arm)
    }
}

fn ordinary(runs: &[&Outcome]) -> Vec<Stat> {
    Stat::gather(&runs.iter().map(|run| run.ordinary.clone()).collect::<Vec<_>>())
}

fn against(arm: usize, runs: &[&Outcome], past: &[&Outcome]) -> Option<Against> {
    let attack = Stat::gather(&runs.iter().map(|run| run.attack.clone()).collect::<Vec<_>>());
    let left = |run: &&&Outcome| {
        let left = run.attack.iter().find(|figure| figure.name == "left_btc").and_then(|figure| figure.value);
        (left, std::cmp::Reverse(run.key.seed))
    };
    let worst = runs.iter().max_by_key(left)?;
    let count = i128::try_from(runs.len()).unwrap_or(1);
    let stopped = Layer::ALL.iter().filter_map(|layer| {
        let rows = runs.iter().filter_map(|run| run.layers.get(layer.index()));
        let (number, satoshi) = rows.fold((0i128, 0i128), |(number, satoshi), row| {
            (number + i128::from(row.stopped), satoshi + i128::from(row.stopped_satoshi))
        });
        let satoshi = divide_round(satoshi, count);
        (number > 0).then(|| StoppedReport {
            layer: layer.name(),
            withdrawals: Unit::Count.text(divide_round(number * 100, count)),
            btc: Unit::Btc.text(satoshi),
            satoshi,
        })
    });
    Some(Against {
        arm,
        stopped: stopped.collect(),
        attack,
        ordinary: ordinary(runs),
        reasons: reasons(runs),
        worst_seed: worst.key.seed,
        worst: moments(worst),
        hours: if arm == 0 { with_past(worst, past) } else { Vec::new() },
    })
}

/// A run's hours, and before its fork those of the past that it forked off.
fn with_past(run: &Outcome, past: &[&Outcome]) -> Vec<Hour> {
    let past = past.iter().find(|past| past.key.seed == run.key.seed).map_or(&[][..], |past| &past.hours);
    let shared = past.get(..run.past_hours).unwrap_or(past);
    shared.iter().chain(&run.hours).copied().collect()
}

fn moments(run: &Outcome) -> Vec<MomentReport> {
    let began = run.began.map_or(0, |began| began.0);
    let mut left = 0i128;
    let seconds = |at: u64| {
        let micros = i128::from(at) - i128::from(began);
        i64::try_from(micros.div_euclid(1_000_000)).unwrap_or(0)
    };
    // A payment a second is more than a picture can show: what left in one is told at its end.
    let mut told: Vec<MomentReport> = Vec::new();
    for moment in &run.moments {
        left += i128::from(moment.satoshi);
        let next = MomentReport {
            seconds: seconds(moment.at.0),
            what: moment.what,
            left_btc: Unit::Btc.text(left),
            satoshi: left,
        };
        match told.last_mut() {
            Some(last)
                if last.what == "left" && next.what == "left" && next.seconds / 60 == last.seconds / 60 =>
            {
                *last = next;
            }
            _ => told.push(next),
        }
    }
    told
}

fn reasons(runs: &[&Outcome]) -> Vec<ReasonReport> {
    let mut rows: BTreeMap<&str, ReasonRow> = BTreeMap::new();
    for row in runs.iter().flat_map(|run| &run.reasons) {
        let sum = rows.entry(&row.code).or_default();
        sum.ordinary = sum.ordinary.saturating_add(row.ordinary);
        sum.attacker = sum.attacker.saturating_add(row.attacker);
        sum.stopped_satoshi = sum.stopped_satoshi.saturating_add(row.stopped_satoshi);
    }
    let count = i128::try_from(runs.len()).unwrap_or(1);
    let mean = |number: u64| Unit::Count.text(divide_round(i128::from(number) * 100, count));
    rows.into_iter()
        .map(|(code, row)| ReasonReport {
            code: code.into(),
            ordinary: mean(row.ordinary),
            attacker: mean(row.attacker),
            stopped_btc: Unit::Btc.text(divide_round(i128::from(row.stopped_satoshi), count)),
        })
        .collect()
}

fn layer_reports(arm: usize, attacked: &[Vec<&Outcome>], free: &[&Outcome]) -> Vec<LayerReport> {
    let of = |runs: &[&Outcome], layer: Layer, what: &dyn Fn(&LayerRow) -> u64| -> i128 {
        let rows = runs.iter().filter_map(|run| run.layers.get(layer.index()));
        let sum: i128 = rows.map(|row| i128::from(what(row)) * 100).sum();
        divide_round(sum, i128::try_from(runs.len()).unwrap_or(1))
    };
    let withdrawals = free
        .iter()
        .filter_map(|run| run.ordinary.iter().find(|one| one.name == "withdrawals")?.value)
        .sum::<i128>()
        .checked_div(i128::try_from(free.len()).unwrap_or(1))
        .unwrap_or(0);
    let reports = Layer::ALL.into_iter().map(|layer| {
        let sum = |what: &dyn Fn(&LayerRow) -> u64| -> i128 {
            attacked.iter().map(|runs| of(runs, layer, what)).sum()
        };
        let waited = divide_round(of(free, layer, &|row| row.waited), 100);
        LayerReport {
            arm,
            layer: layer.name(),
            title: layer.title(),
            stopped_btc: Unit::Btc.text(divide_round(sum(&|row| row.stopped_satoshi), 100)),
            stopped: Unit::Count.text(sum(&|row| row.stopped)),
            ordinary_touched: Unit::Count.text(of(free, layer, &|row| row.touched)),
            ordinary_stopped: Unit::Count.text(of(free, layer, &|row| row.refused)),
            ordinary_minutes: Unit::Minutes.text(waited),
            ordinary_minutes_per_withdrawal: Unit::Minutes.text(divide_round(waited * 100, withdrawals)),
        }
    });
    reports.collect()
}

fn extremes(runs: &[&Outcome]) -> Vec<ExtremeReport> {
    let one = |extreme: Extreme| {
        let figures = runs.iter().filter_map(|run| run.extremes.iter().find(|(one, _)| *one == extreme));
        let figures: Vec<_> = figures.map(|(_, figures)| figures.clone()).collect();
        (!figures.is_empty()).then(|| ExtremeReport { extreme, ordinary: Stat::gather(&figures) })
    };
    Extreme::ALL.into_iter().filter_map(one).collect()
}

fn population(plan: &Plan, results: &Results) -> PopulationFacts {
    let free: Vec<&Outcome> = results
        .outcomes
        .iter()
        .filter(|(key, _)| key.what == What::Free && key.arm == 0 && !key.other_model)
        .map(|(_, outcome)| outcome)
        .collect();
    let count = u64::try_from(free.len()).unwrap_or(1).max(1);
    let withdrawals = |run: &&&Outcome| {
        let figure = run.ordinary.iter().find(|one| one.name == "withdrawals");
        figure.and_then(|figure| u64::try_from(figure.value? / 100).ok()).unwrap_or(0)
    };
    PopulationFacts {
        model: plan.settings.model,
        accounts: plan.settings.accounts,
        thinned_days: plan.settings.thinned_days,
        days: plan.settings.days,
        events: free.iter().map(|run| run.entries).sum::<u64>() / count,
        ordinary_withdrawals: free.iter().map(|run| withdrawals(&run)).sum::<u64>() / count,
        runs: u64::try_from(results.outcomes.len()).unwrap_or(0),
        events_played: results.outcomes.values().map(|run| run.entries).sum(),
    }
}

fn seeds(used: &[u64]) -> Seeds {
    let evaluation = used.iter().filter(|seed| **seed >= EVALUATION_SEEDS).count();
    let set = match evaluation {
        0 => "development",
        all if all == used.len() => "evaluation",
        _ => "mixed",
    };
    Seeds { set, evaluation_from: EVALUATION_SEEDS, used: used.to_vec() }
}

fn frozen(plan: &Plan) -> Frozen {
    let exchange = serde_json::to_vec(&plan.settings.exchange).unwrap_or_default();
    let mut policies = blake3::Hasher::new();
    for arm in &plan.arms {
        policies.update(&arm.policy.hash);
    }
    Frozen {
        exchange: blake3::hash(&exchange).to_hex().to_string(),
        policies: policies.finalize().to_hex().to_string(),
    }
}

fn arm_facts(arm: &arm::Arm) -> ArmFacts {
    ArmFacts {
        name: arm.name.clone(),
        title: arm.title.clone(),
        role: arm.role,
        policy: hex(&arm.policy.hash),
        bucket_permille: arm.exchange.bucket_permille,
        signer_permille: arm.exchange.signer_permille,
        customers_with_key_permille: arm.exchange.customers_with_key_permille,
    }
}

/// Less than a hundredth of a bitcoin is in the tables, not among the misses.
const MISS_MIN: i128 = 1_000_000;
/// Ordinary withdrawals that fit their limits should leave without a person, at least so many, in millionths ...
const ALONE_MIN: i128 = 970_000;
/// ... within ten minutes, half of them.
const DELAY_MAX: i128 = 600_000_000;

/// What went wrong, worst first: money, then people, then the instrument.
fn misses(report: &Report) -> Vec<String> {
    let mut lost: Vec<(i128, String)> = Vec::new();
    for attack in &report.attacks {
        let Some(by) = attack.by(0) else { continue };
        if value(&by.attack, "requests", Of::Max).unwrap_or(0) == 0 {
            lost.push((
                -1,
                format!("{}: the attacker asked for nothing: it tests nothing here", attack.name),
            ));
            continue;
        }
        let left = value(&by.attack, "left_btc", Of::Max).unwrap_or(0);
        if left < MISS_MIN {
            continue;
        }
        let alarm = match stat(&by.attack, "first_alarm_seconds") {
            Some(stat) if stat.is_never() => "nobody noticed".to_owned(),
            Some(stat) if stat.get(Of::Max).is_none() => "in some seeds nobody noticed".to_owned(),
            Some(stat) => {
                format!("first alarm after {} at the latest", table::span(stat.get(Of::Max).unwrap_or(0)))
            }
            None => String::new(),
        };
        let mean = value(&by.attack, "left_btc", Of::Mean).unwrap_or(0);
        let text =
            format!("{}: {} BTC left at most, {} on average; {alarm}", attack.name, btc(left), btc(mean));
        lost.push((left, text));
        let within = value(&by.attack, "ceiling_btc", Of::Max).unwrap_or(0);
        let loose = ["left_unvouched_btc", "left_aged_btc"].iter();
        let loose: i128 = loose.map(|name| value(&by.attack, name, Of::Max).unwrap_or(0)).sum();
        if loose > within {
            lost.push((
                i128::MAX,
                format!("{}: more left than the buckets say: a bound was broken", attack.name),
            ));
        }
    }
    lost.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let mut misses: Vec<String> = lost.into_iter().map(|(_, text)| text).collect();
    if let Some(free) = report.free_of(0) {
        let share = value(&free.ordinary, "without_person_share", Of::Min).unwrap_or(0);
        if share < ALONE_MIN {
            misses.push(format!(
                "ordinary: only {} of the withdrawals within limits left without a person",
                table::percent(share)
            ));
        }
        if let Some(delay) =
            value(&free.ordinary, "delay_median_seconds", Of::Max).filter(|delay| *delay > DELAY_MAX)
        {
            misses.push(format!("ordinary: a median delay of {}", table::span(delay)));
        }
        let denied = value(&free.ordinary, "denied_fitting", Of::Max).unwrap_or(0);
        if denied > 0 {
            misses.push(format!(
                "ordinary: {} withdrawals within limits were denied by a rule",
                Unit::Count.text(denied)
            ));
        }
    }
    misses.extend(report.controls.misses());
    misses
}

/// Bitcoins for people: two decimals, thousands set apart.
pub(crate) fn btc(satoshi: i128) -> String {
    let text = crate::score::figure::decimal(satoshi, 100_000_000, 2);
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    format!("{}.{part}", thousands(whole))
}

/// Digits, with thousands set apart.
pub(crate) fn thousands(digits: &str) -> String {
    let mut text = String::new();
    for (nth, digit) in digits.chars().enumerate() {
        let to_go = digits.len() - nth;
        if nth > 0 && to_go.is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn verdict(report: &Report) -> String {
    let worst = report.attacks.iter().filter_map(|attack| {
        Some((value(&attack.by(0)?.attack, "left_btc", Of::Max)?, std::cmp::Reverse(attack.name)))
    });
    let Some((left, name)) = worst.max() else { return "No attack was played to its end.".to_owned() };
    let exchange = &report.exchange;
    let ether = u128::from(exchange.hot_wallet_eth) * u128::from(exchange.usd_per_eth);
    let of = u128::from(exchange.hot_wallet_btc) + ether / u128::from(exchange.usd_per_btc.max(1));
    let seeds = report.seeds.used.len();
    let many = if seeds == 1 { "one seed".to_owned() } else { format!("the worst of {seeds} seeds") };
    let mut text = if left == 0 {
        format!(
            "Under {}, nothing left to an attacker in {} and {many}.",
            report.tested(),
            attacks(report.attacks.len())
        )
    } else {
        format!(
            "Under {}, the worst of {} ({}) took {} BTC in {many}, of a hot wallet worth {}.",
            report.tested(),
            attacks(report.attacks.len()),
            name.0,
            btc(left),
            thousands(&of.to_string())
        )
    };
    let baseline = report.arms.iter().position(|arm| arm.role == arm::Role::Baseline);
    if let Some(baseline) = baseline
        && let Some(arm) = report.arms.get(baseline)
    {
        let most = report
            .attacks
            .iter()
            .filter_map(|attack| value(&attack.by(baseline)?.attack, "left_btc", Of::Max));
        text.push_str(&format!(" Under {} the worst took {}.", arm.name, btc(most.max().unwrap_or(0))));
    }
    if let Some(free) = report.free_of(0) {
        let share = value(&free.ordinary, "without_person_share", Of::Mean).unwrap_or(0);
        let delay = value(&free.ordinary, "delay_median_seconds", Of::Mean).unwrap_or(0);
        text.push_str(&format!(
            " {} of ordinary withdrawals within limits left without a person, half of them within {}.",
            table::percent(share),
            table::span(delay)
        ));
    }
    text
}

fn attacks(count: usize) -> String {
    if count == 1 { "one attack".to_owned() } else { format!("{count} attacks") }
}
