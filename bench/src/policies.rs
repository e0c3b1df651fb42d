//! What evaluating a pack of a thousand policies costs: sliced, one by one, by a loop written by hand, by Cedar's
//! authorizer. All must find the same on the same facts.

use std::fmt::Write as _;
use std::hint::black_box;

use holdfast_cedar::CompiledPack;
use holdfast_policy::{Action, FACTS, Fact, FactType, Facts, Findings, Value};

use crate::evaluator::{Cedar, each, picos};
use crate::report::{Report, grouped, median, ratio, reached, tenths};
use crate::world::Random;
use crate::{Failure, Options, progress};

const RUNS: usize = 5;
const FACT_SETS: usize = 512;
/// Policies of the pack, the one that opens included.
const POLICIES: usize = 1_000;
/// The aim for one evaluation.
const AIM_NANOS: u64 = 30_000;

const CLASSES: [&str; 3] = ["bound", "aged", "unvouched"];
const CHANNELS: [&str; 2] = ["session", "api"];
const TIERS: [&str; 4] = ["basic", "standard", "professional", "institution"];
const ASSETS: [&str; 20] = [
    "BTC", "ETH", "USDT", "USDC", "SOL", "XRP", "ADA", "DOGE", "TRX", "LTC", "DOT", "AVAX", "LINK", "MATIC",
    "BCH", "XLM", "ATOM", "UNI", "ETC", "FIL",
];
/// Borders of the bands of amounts, in US cents.
const BANDS: [i64; 9] =
    [0, 50_000, 100_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 25_000_000, 1_000_000_000_000];
const HOURS: [i64; 4] = [1, 24, 72, 168];

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let rules: Vec<Rule> = (0..POLICIES - 1).map(Rule::of).collect();
    let pack = holdfast_cedar::compile_pack(&texts(&rules)).map_err(|error| error.to_string())?;
    let program = &pack.program;
    let (rounds, requests) = if options.quick { (20, 20) } else { (200, 200) };
    let mut random = Random(1);
    let facts: Vec<Facts<'static>> = (0..FACT_SETS).map(|_| drawn(&mut random)).collect();
    let natives: Vec<Native> = facts.iter().map(Native::of).collect();
    let cedar = Cedar::new(&pack.files)?;

    progress("policy: that all four find the same");
    let (mut sliced, mut whole, mut by_hand) = (Findings::new(), Findings::new(), Findings::new());
    let mut matches = 0;
    for (place, (facts, native)) in facts.iter().zip(&natives).enumerate() {
        program.evaluate(Action::Withdraw, facts, &mut sliced);
        program.evaluate_unsliced(Action::Withdraw, facts, &mut whole);
        native.evaluate(&rules, &mut by_hand);
        if sliced != whole || sliced != by_hand {
            return Err(
                format!("sliced {sliced:?}, whole {whole:?}, by hand {by_hand:?}, on {facts:?}").into()
            );
        }
        let denies = !sliced.permitted || !sliced.matched.is_empty();
        if place < requests && (cedar.ask(&cedar.request(facts)?) == cedar_policy::Decision::Deny) != denies {
            return Err(format!("Cedar answers otherwise on {facts:?}").into());
        }
        matches += sliced.matched.len();
    }

    let mut costs: [Vec<u64>; 4] = Default::default();
    for number in 0..RUNS {
        progress(&format!("policy: run {} of {RUNS}", number + 1));
        let [of_sliced, of_whole, of_hand, of_cedar] = &mut costs;
        of_sliced.push(each(rounds * FACT_SETS, || {
            for _ in 0..rounds {
                for facts in &facts {
                    program.evaluate(Action::Withdraw, black_box(facts), &mut sliced);
                    black_box(&sliced);
                }
            }
        })?);
        of_whole.push(each(rounds * FACT_SETS, || {
            for _ in 0..rounds {
                for facts in &facts {
                    program.evaluate_unsliced(Action::Withdraw, black_box(facts), &mut whole);
                    black_box(&whole);
                }
            }
        })?);
        of_hand.push(each(rounds * FACT_SETS, || {
            for _ in 0..rounds {
                for native in &natives {
                    black_box(native).evaluate(black_box(&rules), &mut by_hand);
                    black_box(&by_hand);
                }
            }
        })?);
        let asked: Vec<_> =
            facts.iter().take(requests).map(|facts| cedar.request(facts)).collect::<Result<_, _>>()?;
        of_cedar.push(each(asked.len(), || {
            for request in &asked {
                black_box(cedar.ask(request));
            }
        })?);
    }
    let [of_sliced, of_whole, of_hand, of_cedar] = costs.map(median);

    let mut report = Report::new("policy");
    report.table(&["one evaluation of a pack of 1,000", "median", "aim", "reached"]);
    let fast = reached(of_sliced < AIM_NANOS * 1_000);
    report.row(&["compiled program, sliced by the fact asked first", &picos(of_sliced), "under 30 us", fast]);
    report.row(&["compiled program, policy by policy", &picos(of_whole), "-", "-"]);
    report.row(&["the same rules as a loop written by hand", &picos(of_hand), "-", "-"]);
    report.row(&["Cedar's authorizer, request built beforehand", &picos(of_cedar), "-", "-"]);
    report.note(format!(
        "{} policies by class, channel, asset, tier and bands of amounts, made by code; {FACT_SETS} sets of facts ({} matches \
         a set on average), each evaluated {rounds} times a run, {} requests a run by Cedar; all four gave equal answers. The \
         loop by hand goes over plain structs whose texts are numbers.",
        grouped(program.len() as u64),
        tenths(ratio(matches as u128 * 1_000, FACT_SETS as u128)),
        grouped(requests as u64),
    ));
    report.value("sliced_picos", of_sliced);
    report.value("unsliced_picos", of_whole);
    report.value("by_hand_picos", of_hand);
    report.value("cedar_asking_picos", of_cedar);
    Ok(report)
}

/// A rule of the pack, in numbers: places in the lists above.
#[derive(Clone, Copy, Debug)]
struct Rule {
    kind: usize,
    class: usize,
    channel: usize,
    tier: usize,
    asset: usize,
    low: i64,
    high: i64,
    hours: i64,
}

impl Rule {
    /// The rule of a number: the kinds in turn, everything else as the number falls.
    fn of(number: usize) -> Self {
        let n = number / 5;
        let band = (n / 3) % (BANDS.len() - 1);
        let border = |at: usize| BANDS.get(at).copied().unwrap_or_default();
        Self {
            kind: number % 5,
            class: n % CLASSES.len(),
            channel: n % CHANNELS.len(),
            tier: (n / 2) % TIERS.len(),
            asset: n % ASSETS.len(),
            low: border(band),
            high: border(band + 1),
            hours: HOURS.get(n % HOURS.len()).copied().unwrap_or_default(),
        }
    }

    fn condition(&self) -> String {
        let word = |of: &[&'static str], at: usize| of.get(at).copied().unwrap_or_default();
        let class = format!("context.class == Class::{:?}", word(&CLASSES, self.class));
        let channel = format!("context.channel == Channel::{:?}", word(&CHANNELS, self.channel));
        let tier = format!("context.tier == {:?}", word(&TIERS, self.tier));
        let asset = format!("context.asset == {:?}", word(&ASSETS, self.asset));
        let band =
            format!("context.amount_usd_cents >= {} && context.amount_usd_cents < {}", self.low, self.high);
        match self.kind {
            0 => format!("{asset} && {class} && {band}"),
            1 => format!("{class} && {channel} && {tier} && context.account.usd_cents_24h > {}", self.low),
            2 => format!("{tier} && {asset} && context.amount_usd_cents >= {}", self.low),
            3 => format!("{band} && {class} && !context.destination.known"),
            _ => format!("{channel} && context.api_key.age_hours < {} && {asset}", self.hours),
        }
    }

    fn text(&self, number: usize, text: &mut String) {
        let _ = writeln!(
            text,
            "@id(\"r{number}\") @outcome(\"dwell\") @for(\"10m\") @reason(\"kind_{}\") \
             forbid (principal, action == Action::\"withdraw\", resource) when {{ {} }};",
            self.kind,
            self.condition()
        );
    }
}

/// A pack of so many policies without the rule of some number; and the conditions of its rules.
pub(crate) fn made(policies: usize, without: Option<usize>) -> Result<(CompiledPack, Vec<String>), Failure> {
    let rules: Vec<Rule> =
        (0..policies.saturating_sub(1)).filter(|number| Some(*number) != without).map(Rule::of).collect();
    let pack = holdfast_cedar::compile_pack(&texts(&rules)).map_err(|error| error.to_string())?;
    Ok((pack, rules.iter().map(Rule::condition).collect()))
}

/// The pack: files of 200 rules, and the one that opens.
fn texts(rules: &[Rule]) -> Vec<(String, String)> {
    let open = "@id(\"open\") permit (principal, action == Action::\"withdraw\", resource);\n";
    let mut files = vec![("z.cedar".to_owned(), open.to_owned())];
    for (file, some) in rules.chunks(200).enumerate() {
        let mut text = String::new();
        some.iter().enumerate().for_each(|(place, rule)| rule.text(file * 200 + place, &mut text));
        files.push((format!("rules-{file}.cedar"), text));
    }
    files
}

/// A set of facts: everything known, amounts even over the bands.
fn drawn(random: &mut Random) -> Facts<'static> {
    let mut facts = Facts::new();
    for spec in FACTS {
        let words: &[&'static str] = match spec.fact {
            Fact::Asset => &ASSETS,
            Fact::Tier => &TIERS,
            _ => &["bitcoin"],
        };
        match spec.ty {
            FactType::Bool => facts.set_bool(spec.fact, random.below(3) == 0),
            FactType::Long if spec.path.ends_with("hours") => {
                facts.set_long(spec.fact, i64::try_from(random.below(400)).unwrap_or_default());
            }
            FactType::Long => {
                let band = picked(random, BANDS.get(..BANDS.len() - 1).unwrap_or_default());
                let within = i64::try_from(random.below(40_000)).unwrap_or_default();
                facts.set_long(spec.fact, band + within);
            }
            FactType::Text => facts.set_text(spec.fact, picked(random, words)),
            FactType::Enum(enumeration) => facts.set_text(spec.fact, picked(random, enumeration.members())),
        }
    }
    facts
}

fn picked<T: Copy + Default>(random: &mut Random, of: &[T]) -> T {
    usize::try_from(random.below(of.len() as u64)).ok().and_then(|at| of.get(at).copied()).unwrap_or_default()
}

/// The facts that the rules read, as one would write them by hand.
#[derive(Clone, Copy, Debug)]
struct Native {
    class: usize,
    channel: usize,
    tier: usize,
    asset: usize,
    amount: i64,
    day: i64,
    key_hours: i64,
    known: bool,
}

impl Native {
    fn of(facts: &Facts<'_>) -> Self {
        let place = |fact, words: &[&str]| match facts.get(fact) {
            Value::Text(text) => words.iter().position(|word| *word == text).unwrap_or(usize::MAX),
            _ => usize::MAX,
        };
        let long = |fact| if let Value::Long(value) = facts.get(fact) { value } else { 0 };
        Self {
            class: place(Fact::Class, &CLASSES),
            channel: place(Fact::Channel, &CHANNELS),
            tier: place(Fact::Tier, &TIERS),
            asset: place(Fact::Asset, &ASSETS),
            amount: long(Fact::AmountUsdCents),
            day: long(Fact::AccountUsdCents24h),
            key_hours: long(Fact::ApiKeyAgeHours),
            known: facts.get(Fact::DestinationKnown) == Value::Bool(true),
        }
    }

    #[inline(never)]
    fn evaluate(&self, rules: &[Rule], findings: &mut Findings) {
        findings.permitted = true;
        findings.matched.clear();
        findings.errored.clear();
        for (number, rule) in (0u16..).zip(rules) {
            let asset = self.asset == rule.asset;
            let class = self.class == rule.class;
            let tier = self.tier == rule.tier;
            let channel = self.channel == rule.channel;
            let band = self.amount >= rule.low && self.amount < rule.high;
            let matches = match rule.kind {
                0 => asset && class && band,
                1 => class && channel && tier && self.day > rule.low,
                2 => tier && asset && self.amount >= rule.low,
                3 => band && class && !self.known,
                _ => channel && self.key_hours < rule.hours && asset,
            };
            if matches {
                findings.matched.push(number);
            }
        }
    }
}
