//! What one evaluation of the baseline pack costs: by the compiled program, by a match written by hand, by Cedar's
//! authorizer. All three must answer the same on the same facts.

use std::hint::black_box;
use std::time::Instant;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, EntityId, EntityUid, PolicySet, Request, RestrictedExpression,
};
use holdfast_policy::{Action, Enumeration, FACTS, Fact, FactType, Facts, Findings, Program, Value};

use crate::report::{Report, grouped, median, ratio, reached, tenths};
use crate::world::Random;
use crate::{Failure, Options, progress};

const RUNS: usize = 5;
/// Sets of facts, evaluated again and again.
const FACT_SETS: usize = 1_024;
/// The aim for one evaluation.
const AIM_NANOS: u64 = 1_000;

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let pack = holdfast_cedar::load_dir(options.pack()).map_err(|error| Failure::from(error.to_string()))?;
    let program = &pack.program;
    let (rounds, cedar_requests) = if options.quick { (200, 500) } else { (2_000, 5_000) };
    let mut random = Random(1);
    let facts: Vec<Facts<'static>> = (0..FACT_SETS).map(|_| drawn(&mut random)).collect();
    let natives: Vec<Native> = facts.iter().map(Native::of).collect();
    let numbers = Numbers::of(program)?;
    let cedar = Cedar::new(&pack.files)?;

    progress("evaluator: that all three answer the same");
    let mut findings = Findings::new();
    let mut by_hand = Findings::new();
    let mut matches = 0;
    for (facts, native) in facts.iter().zip(&natives) {
        program.evaluate(Action::Withdraw, facts, &mut findings);
        native.evaluate(&numbers, &mut by_hand);
        if findings != by_hand {
            return Err(format!("by hand {by_hand:?}, the program {findings:?}, on {facts:?}").into());
        }
        let denies = !findings.permitted || !findings.matched.is_empty();
        if (cedar.ask(&cedar.request(facts)?) == Decision::Deny) != denies {
            return Err(format!("Cedar answers otherwise on {facts:?}").into());
        }
        matches += findings.matched.len();
    }

    let mut costs: [Vec<u64>; 6] = Default::default();
    for number in 0..RUNS {
        progress(&format!("evaluator: run {} of {RUNS}", number + 1));
        let [compiled, hand, building, both, asking, whole] = &mut costs;
        compiled.push(each(rounds * FACT_SETS, || {
            for _ in 0..rounds {
                for facts in &facts {
                    program.evaluate(Action::Withdraw, black_box(facts), &mut findings);
                    black_box(&findings);
                }
            }
        })?);
        whole.push(each(rounds * FACT_SETS, || {
            for _ in 0..rounds {
                for facts in &facts {
                    program.evaluate_unsliced(Action::Withdraw, black_box(facts), &mut findings);
                    black_box(&findings);
                }
            }
        })?);
        hand.push(each(rounds * FACT_SETS, || {
            for _ in 0..rounds {
                for native in &natives {
                    black_box(native).evaluate(&numbers, &mut by_hand);
                    black_box(&by_hand);
                }
            }
        })?);
        let of: Vec<&Facts<'_>> = facts.iter().cycle().take(cedar_requests).collect();
        let mut requests = Vec::with_capacity(cedar_requests);
        building.push(each(cedar_requests, || requests.extend(of.iter().map(|facts| cedar.request(facts))))?);
        let requests: Vec<Request> = requests.into_iter().collect::<Result<_, _>>()?;
        asking.push(each(cedar_requests, || {
            for request in &requests {
                black_box(cedar.ask(request));
            }
        })?);
        both.push(building.last().copied().unwrap_or(0) + asking.last().copied().unwrap_or(0));
    }
    let [compiled, hand, building, both, asking, whole] = costs.map(median);

    let mut report = Report::new("evaluator");
    report.table(&["one evaluation of baseline", "median", "aim", "reached"]);
    report.row(&["compiled program", &picos(compiled), "under 1 us", reached(compiled < AIM_NANOS * 1_000)]);
    report.row(&["compiled program, policy by policy", &picos(whole), "-", "-"]);
    report.row(&["the same rules as a match written by hand", &picos(hand), "-", "-"]);
    report.row(&["Cedar's authorizer, request built beforehand", &picos(asking), "-", "-"]);
    report.row(&["Cedar's authorizer, building the request included", &picos(both), "-", "-"]);
    report.note(format!(
        "{} policies, {FACT_SETS} sets of facts drawn around the policies' literals ({} matches a set on average), each \
         evaluated {} times a run, {} requests a run by Cedar over all {} facts; all three gave equal answers on all sets. \
         The match by hand reads a plain struct that was filled before.",
        program.len(),
        tenths(ratio(matches as u128 * 1_000, FACT_SETS as u128)),
        grouped(rounds as u64),
        grouped(cedar_requests as u64),
        FACTS.len(),
    ));
    report.value("compiled_picos", compiled);
    report.value("unsliced_picos", whole);
    report.value("by_hand_picos", hand);
    report.value("cedar_asking_picos", asking);
    report.value("cedar_building_picos", building);
    Ok(report)
}

/// Picoseconds in words.
pub(crate) fn picos(value: u64) -> String {
    if value < 10_000_000 { format!("{} ns", tenths(value)) } else { format!("{} us", tenths(value / 1_000)) }
}

/// Picoseconds for each of `count`.
pub(crate) fn each(count: usize, work: impl FnOnce()) -> Result<u64, Failure> {
    let began = Instant::now();
    work();
    Ok(ratio(began.elapsed().as_nanos() * 1_000, u128::try_from(count)?))
}

/// Values that the pack compares with, and what lies around them.
const NUMBERS: [i64; 10] = [10, 20, 24, 40, 168, 100_000, 2_500_000, 5_000_000, 25_000_000, 1_000_000_000];

/// A set of facts, all of them known: mostly ordinary, each one strange now and then.
fn drawn(random: &mut Random) -> Facts<'static> {
    let mut facts = Facts::new();
    for spec in FACTS {
        let strange = random.below(4) == 0;
        match spec.ty {
            FactType::Bool => facts.set_bool(spec.fact, strange && random.below(2) == 0),
            FactType::Long => {
                let pick = usize::try_from(random.below(NUMBERS.len() as u64)).unwrap_or(0);
                let near = NUMBERS.get(pick).copied().unwrap_or(0);
                let off = i64::try_from(random.below(3)).unwrap_or(0) - 1;
                facts.set_long(spec.fact, if strange { near + off } else { 5 });
            }
            FactType::Text => facts.set_text(spec.fact, if strange { "ETH" } else { "BTC" }),
            FactType::Enum(enumeration) => {
                let members = enumeration.members();
                let pick = usize::try_from(random.below(members.len() as u64)).unwrap_or(0);
                facts.set_text(spec.fact, members.get(pick).copied().unwrap_or_default());
            }
        }
    }
    facts
}

/// The program's numbers of the policies, in the order in which they are written down below.
struct Numbers([u16; 24]);

/// The ids of baseline's policies as `Native::evaluate` asks for them.
const IDS: [&str; 24] = [
    "cooling-off",
    "changed-this-week",
    "new-account",
    "burst-hour",
    "burst-day",
    "young-api-key",
    "api-without-key",
    "api-unvouched-large",
    "first-small",
    "first-large",
    "unaged-small",
    "unaged-large",
    "unvouched-very-large",
    "unvouched-slices",
    "aged-very-large",
    "collecting-often",
    "collecting-much",
    "stale-price",
    "moved-price",
    "unusual-hour",
    "over-daily-limit",
    "over-monthly-limit",
    "owner-has-key",
    "guest",
];

impl Numbers {
    fn of(program: &Program) -> Result<Self, Failure> {
        let mut numbers = [0; IDS.len()];
        for (number, id) in numbers.iter_mut().zip(IDS) {
            let place = program.policies().iter().position(|policy| *policy.meta.id == *id);
            *number = u16::try_from(place.ok_or_else(|| format!("baseline has no policy {id}"))?)?;
        }
        // The one policy that is not a forbid opens always.
        if program.len() != IDS.len() + 1 || !numbers.is_sorted() {
            return Err("baseline has changed: write its rules down in bench/src/evaluator.rs again".into());
        }
        Ok(Self(numbers))
    }
}

/// The facts that baseline reads, as one would write them by hand.
#[derive(Clone, Copy, Debug)]
struct Native {
    unvouched: bool,
    aged: bool,
    api: bool,
    cooling_off: bool,
    bound: bool,
    key_present: bool,
    known: bool,
    stale: bool,
    moved: bool,
    over_24h: bool,
    over_30d: bool,
    amount: i64,
    hours_since_change: i64,
    age_hours: i64,
    withdrawals_1h: i64,
    withdrawals_24h: i64,
    usd_24h: i64,
    key_age_hours: i64,
    to_withdrawals_24h: i64,
    to_usd_24h: i64,
    overall_usd_1h: i64,
    has_credential: bool,
    new_place: bool,
    device_age_hours: i64,
}

impl Native {
    fn of(facts: &Facts<'_>) -> Self {
        let truth = |fact| facts.get(fact) == Value::Bool(true);
        let long = |fact| match facts.get(fact) {
            Value::Long(value) => value,
            _ => 0,
        };
        Self {
            unvouched: facts.get(Fact::Class) == Value::Text("unvouched"),
            aged: facts.get(Fact::Class) == Value::Text("aged"),
            api: facts.get(Fact::Channel) == Value::Text("api"),
            cooling_off: truth(Fact::AccountCoolingOff),
            bound: truth(Fact::ApprovalBound),
            key_present: truth(Fact::ApiKeyPresent),
            known: truth(Fact::DestinationKnown),
            stale: truth(Fact::PriceStale),
            moved: truth(Fact::PriceMoved),
            over_24h: truth(Fact::AccountOverLimit24h),
            over_30d: truth(Fact::AccountOverLimit30d),
            amount: long(Fact::AmountUsdCents),
            hours_since_change: long(Fact::AccountHoursSinceSecurityChange),
            age_hours: long(Fact::AccountAgeHours),
            withdrawals_1h: long(Fact::AccountWithdrawals1h),
            withdrawals_24h: long(Fact::AccountWithdrawals24h),
            usd_24h: long(Fact::AccountUsdCents24h),
            key_age_hours: long(Fact::ApiKeyAgeHours),
            to_withdrawals_24h: long(Fact::DestinationWithdrawals24h),
            to_usd_24h: long(Fact::DestinationUsdCents24h),
            overall_usd_1h: long(Fact::OverallUsdCents1h),
            has_credential: truth(Fact::AccountHasCredential),
            new_place: truth(Fact::SessionNewPlace),
            device_age_hours: long(Fact::SessionDeviceAgeHours),
        }
    }

    #[inline(never)]
    fn evaluate(&self, numbers: &Numbers, findings: &mut Findings) {
        findings.permitted = true;
        findings.matched.clear();
        findings.errored.clear();
        let Self { unvouched, amount, known, .. } = *self;
        let large = amount >= 100_000;
        let rules = [
            self.cooling_off && !self.bound,
            unvouched && !self.cooling_off && self.hours_since_change < 168 && large,
            unvouched && self.age_hours < 24 && large,
            unvouched && self.withdrawals_1h > 10,
            unvouched && self.withdrawals_24h > 40,
            self.api && self.key_age_hours < 24 && !self.bound,
            self.api && !self.key_present,
            self.api && unvouched && amount > 2_500_000,
            unvouched && !known && !large,
            unvouched && !known && large,
            unvouched && known && !large,
            unvouched && known && large,
            unvouched && amount > 5_000_000,
            unvouched && amount <= 5_000_000 && self.usd_24h > 5_000_000,
            self.aged && amount > 25_000_000,
            unvouched && !known && self.to_withdrawals_24h - self.withdrawals_24h >= 20,
            unvouched && !known && self.to_usd_24h - self.usd_24h > 10_000_000,
            self.stale,
            self.moved,
            unvouched && self.overall_usd_1h > 1_000_000_000 && large,
            self.over_24h,
            self.over_30d,
            unvouched && self.has_credential && (large || self.usd_24h >= 100_000),
            !self.api && unvouched && large && (self.device_age_hours < 24 || self.new_place),
        ];
        for (matches, number) in rules.into_iter().zip(numbers.0) {
            if matches {
                findings.matched.push(number);
            }
        }
    }
}

/// Cedar's own authorizer over the pack's text.
pub(crate) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    principal: EntityUid,
    action: EntityUid,
    resource: EntityUid,
}

impl Cedar {
    pub(crate) fn new(files: &[(String, String)]) -> Result<Self, Failure> {
        let text: Vec<&str> = files.iter().map(|(_, text)| text.as_str()).collect();
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: text.join("\n").parse()?,
            entities: Entities::empty(),
            principal: uid("Account", "a")?,
            action: uid("Action", Action::Withdraw.name())?,
            resource: uid("Exchange", "x")?,
        })
    }

    pub(crate) fn request(&self, facts: &Facts<'_>) -> Result<Request, Failure> {
        let mut groups: std::collections::BTreeMap<&str, Vec<(String, RestrictedExpression)>> =
            Default::default();
        let mut pairs = Vec::new();
        for spec in FACTS {
            let value = match (facts.get(spec.fact), spec.ty) {
                (Value::Bool(value), _) => RestrictedExpression::new_bool(value),
                (Value::Long(value), _) => RestrictedExpression::new_long(value),
                (Value::Text(word), FactType::Enum(enumeration)) => member(enumeration, word)?,
                (Value::Text(text), _) => RestrictedExpression::new_string(text.to_owned()),
                (Value::Unset, _) => continue,
            };
            match spec.path.split_once('.') {
                Some((group, name)) => groups.entry(group).or_default().push((name.to_owned(), value)),
                None => pairs.push((spec.path.to_owned(), value)),
            }
        }
        for (group, fields) in groups {
            pairs.push((group.to_owned(), RestrictedExpression::new_record(fields)?));
        }
        let (principal, action, resource) = (&self.principal, &self.action, &self.resource);
        let context = Context::from_pairs(pairs)?;
        Ok(Request::new(principal.clone(), action.clone(), resource.clone(), context, None)?)
    }

    pub(crate) fn ask(&self, request: &Request) -> Decision {
        self.authorizer.is_authorized(request, &self.policies, &self.entities).decision()
    }
}

fn uid(kind: &str, id: &str) -> Result<EntityUid, Failure> {
    Ok(EntityUid::from_type_name_and_id(kind.parse()?, EntityId::new(id)))
}

fn member(enumeration: Enumeration, word: &str) -> Result<RestrictedExpression, Failure> {
    Ok(RestrictedExpression::new_entity_uid(uid(enumeration.name(), word)?))
}
