//! API keys: what their fences refuse, what is remembered of their use, and taking many out of use at once.

use std::collections::BTreeMap;

use holdfast_decision::account::ApiKey;
use holdfast_decision::command::{ApiEvidence, Command, Evidence, RequestWithdrawal, Scopes};
use holdfast_decision::event::Event;
use holdfast_decision::keys::{IDLE_AFTER, KEY_SPENT_MAX, SLEEPS_AFTER, barred, widens};
use holdfast_decision::protection::{
    ApiKeySpec, Change, ChangeProtection, KEY_USES_MAX, KeyCohort, KeyFence, KeyUse,
};
use holdfast_decision::{Cause, Refusal, State, Status};
use holdfast_values::{Fingerprint, Network, Timestamp, UsdCents, time};

use crate::play::Run;
use crate::world::{account, configuration, fingerprint, imported, name, permit_all, place, request};

const BITCOIN: (&str, Network) = ("BTC", Network::Bitcoin);
/// Worth 500 USD.
const UNITS: u128 = 1_000_000;

fn key(number: u64) -> Fingerprint {
    fingerprint("key", number)
}

fn opened() -> Run {
    let mut run = Run::new(configuration(), permit_all());
    for number in 0..3 {
        run.say(Command::OpenAccount { account: account(number), tier: name("full") });
    }
    run
}

/// A key that may do everything from one address.
fn spec(number: u64, fence: KeyFence) -> ApiKeySpec {
    ApiKeySpec {
        key: key(number),
        scopes: Scopes(7),
        ip_allowlist: vec![fingerprint("ip", 0)],
        fence,
        new_material: false,
    }
}

#[track_caller]
fn put(run: &mut Run, owner: usize, spec: ApiKeySpec) {
    let events = run.say(Command::ChangeProtection(Box::new(ChangeProtection {
        account: account(owner),
        change: Change::PutApiKey(Box::new(spec)),
        approval: None,
        code: None,
        device: None,
    })));
    assert!(matches!(events[0], Event::ProtectionChanged { .. }), "{events:?}");
}

fn known(run: &Run, owner: usize, number: u64) -> &ApiKey {
    run.state.account(&account(owner)).unwrap().api_key(&key(number)).unwrap()
}

fn signed(run: &Run, number: u64, by: u64, revision: u32, to: u64) -> RequestWithdrawal {
    let mut made = request(run.now, number, 0, BITCOIN, UNITS, to);
    made.evidence = Evidence::ApiRequest(Box::new(ApiEvidence {
        key: key(by),
        revision,
        signed_at: run.now,
        window: 5 * time::SECOND,
        request: fingerprint("request", number),
        ip: fingerprint("ip", 0),
        differs: 0,
        verifier: 1,
        sealed: Vec::new(),
    }));
    made
}

/// Where a withdrawal by a key stands at once, and why.
fn ask(run: &mut Run, number: u64, by: u64, to: u64) -> (Status, String) {
    let made = signed(run, number, by, 1, to);
    outcome(&run.say(Command::RequestWithdrawal(Box::new(made))))
}

fn outcome(events: &[Event]) -> (Status, String) {
    let decided = events.iter().find_map(|event| match event {
        Event::WithdrawalDecided { decision, .. } => Some(decision),
        _ => None,
    });
    let decided = decided.unwrap_or_else(|| panic!("no decision: {events:?}"));
    let codes: Vec<_> = decided.reasons.iter().map(|reason| reason.code.as_str()).collect();
    (decided.status, codes.join(" "))
}

#[track_caller]
fn denied(got: (Status, String), cause: Cause) {
    assert_eq!(got, (Status::Denied, cause.code().to_owned()));
}

#[track_caller]
fn goes(got: (Status, String)) {
    assert_eq!(got, (Status::Approved, String::new()));
}

fn usd(dollars: u64) -> UsdCents {
    UsdCents(dollars * 100)
}

#[test]
fn a_key_pays_only_the_destinations_that_its_owner_named() {
    let mut run = opened();
    let here = |to| place(Network::Bitcoin, to);
    put(&mut run, 0, spec(1, KeyFence { destinations: Some(vec![here(5), here(6)]), ..KeyFence::default() }));
    put(&mut run, 0, spec(2, KeyFence { destinations: Some(Vec::new()), ..KeyFence::default() }));
    put(&mut run, 0, spec(3, KeyFence::default()));
    goes(ask(&mut run, 1, 1, 5));
    goes(ask(&mut run, 2, 1, 6));
    denied(ask(&mut run, 3, 1, 7), Cause::ApiDestinationNotAllowed);
    // An empty list names nobody; no list names everybody.
    denied(ask(&mut run, 4, 2, 5), Cause::ApiDestinationNotAllowed);
    goes(ask(&mut run, 5, 3, 7));
}

#[test]
fn a_key_past_its_time_is_refused_and_what_it_asked_for_before_goes_on() {
    let mut run = opened();
    let end = run.now.plus(time::HOUR);
    put(&mut run, 0, spec(1, KeyFence { expires_at: Some(end), ..KeyFence::default() }));
    run.now = end.minus(1);
    goes(ask(&mut run, 1, 1, 5));
    run.now = end;
    denied(ask(&mut run, 2, 1, 5), Cause::ApiKeyExpired);
    assert_eq!(barred(&run.state, known(&run, 0, 1), run.now), Some(Cause::ApiKeyExpired));
    run.say(Command::RecordSecurityChange {
        account: account(0),
        kind: holdfast_decision::command::SecurityChange::Password,
    });
    run.wait(time::MINUTE);
    let open: Vec<_> = run.state.withdrawals().map(|(_, open)| open.status()).collect();
    assert_eq!(open, [Status::Approved]);
}

#[test]
fn a_keys_own_limit_counts_any_24_hours() {
    let mut run = opened();
    put(&mut run, 0, spec(1, KeyFence { usd_cents_24h: Some(usd(1_200)), ..KeyFence::default() }));
    put(&mut run, 0, spec(2, KeyFence::default()));
    goes(ask(&mut run, 1, 1, 5));
    run.wait(time::HOUR);
    goes(ask(&mut run, 2, 1, 5));
    denied(ask(&mut run, 3, 1, 5), Cause::ApiKeyOverLimit);
    assert_eq!(known(&run, 0, 1).spent(run.now), usd(1_000), "what is denied counts for nothing");
    goes(ask(&mut run, 4, 2, 5));
    // Who cancels does not get it back: a thief would ask and cancel to learn what passes.
    let second = run.state.withdrawals().map(|(id, _)| *id).nth(1).unwrap();
    run.say(Command::CancelWithdrawal { account: account(0), withdrawal: second });
    denied(ask(&mut run, 5, 1, 5), Cause::ApiKeyOverLimit);
    run.wait(23 * time::HOUR - 1);
    denied(ask(&mut run, 6, 1, 5), Cause::ApiKeyOverLimit);
    run.wait(1);
    goes(ask(&mut run, 7, 1, 5));
}

#[test]
fn what_a_key_asks_for_in_parallel_counts_together() {
    let mut run = opened();
    put(&mut run, 0, spec(1, KeyFence { usd_cents_24h: Some(usd(5_000)), ..KeyFence::default() }));
    let all: Vec<_> = (0..30).map(|number| ask(&mut run, number, 1, 5)).collect();
    assert_eq!(all.iter().filter(|(status, _)| *status == Status::Approved).count(), 10);
}

#[test]
fn a_keys_sums_are_bounded_and_never_too_small() {
    let mut run = opened();
    put(&mut run, 0, spec(1, KeyFence { usd_cents_24h: Some(usd(1_000_000)), ..KeyFence::default() }));
    let count = 2 * KEY_SPENT_MAX as u64;
    for number in 0..count {
        let mut made = signed(&run, number, 1, 1, 5);
        made.amount = holdfast_values::Amount::from_base_units(20_000);
        run.say(Command::RequestWithdrawal(Box::new(made)));
        run.now = run.now.plus(time::MINUTE);
    }
    let fenced = known(&run, 0, 1).fenced.as_ref().unwrap();
    assert_eq!(fenced.spent.len(), KEY_SPENT_MAX);
    assert_eq!(known(&run, 0, 1).spent(run.now), UsdCents(count * 1_000));
}

#[test]
fn an_amount_without_a_price_fits_no_limit() {
    let mut run = opened();
    put(&mut run, 0, spec(1, KeyFence { usd_cents_24h: Some(usd(1_000)), ..KeyFence::default() }));
    run.wait(2 * time::DAY);
    denied(ask(&mut run, 1, 1, 5), Cause::ApiKeyOverLimit);
}

#[test]
fn an_older_way_of_putting_a_key_leaves_its_fence() {
    let mut run = opened();
    let fence = KeyFence { usd_cents_24h: Some(usd(1)), asn: Some(7), ..KeyFence::default() };
    put(&mut run, 0, spec(1, fence.clone()));
    let made_at = run.now;
    run.wait(time::DAY);
    run.say(Command::PutApiKey {
        account: account(0),
        key: key(1),
        scopes: Scopes(7),
        ip_allowlist: vec![fingerprint("ip", 0)],
    });
    let key = known(&run, 0, 1);
    assert_eq!((key.revision, key.put_at, key.made_at()), (2, run.now, made_at));
    assert_eq!(key.fenced.as_ref().unwrap().fence, fence);
    let made = signed(&run, 1, 1, 2, 5);
    denied(outcome(&run.say(Command::RequestWithdrawal(Box::new(made)))), Cause::ApiKeyOverLimit);
}

#[test]
fn widening_is_whatever_lets_a_key_do_more() {
    let fence = KeyFence {
        destinations: Some(vec![fingerprint("to", 1), fingerprint("to", 2)]),
        usd_cents_24h: Some(usd(100)),
        expires_at: Some(Timestamp(1_000)),
        asymmetric: true,
        asn: Some(1),
    };
    let mut run = opened();
    let base = ApiKeySpec {
        ip_allowlist: vec![fingerprint("ip", 0), fingerprint("ip", 1)],
        scopes: Scopes(5),
        ..spec(1, fence)
    };
    put(&mut run, 0, base.clone());
    put(
        &mut run,
        0,
        ApiKeySpec { ip_allowlist: Vec::new(), scopes: Scopes(1), ..spec(2, KeyFence::default()) },
    );
    let (bound, free) = (known(&run, 0, 1), known(&run, 0, 2));
    let widens_to = |change: fn(&mut ApiKeySpec)| {
        let mut new = base.clone();
        change(&mut new);
        widens(bound, &new)
    };
    let wider: [fn(&mut ApiKeySpec); 12] = [
        |new| new.new_material = true,
        |new| new.scopes = Scopes(7),
        |new| new.scopes = Scopes(2),
        |new| new.ip_allowlist.push(fingerprint("ip", 2)),
        |new| new.ip_allowlist = vec![fingerprint("ip", 9)],
        |new| new.ip_allowlist = Vec::new(),
        |new| new.fence.destinations = None,
        |new| new.fence.destinations = Some(vec![fingerprint("to", 3)]),
        |new| new.fence.usd_cents_24h = None,
        |new| new.fence.usd_cents_24h = Some(usd(101)),
        |new| new.fence.expires_at = None,
        |new| new.fence.asymmetric = false,
    ];
    let narrower: [fn(&mut ApiKeySpec); 7] = [
        |_| {},
        |new| new.scopes = Scopes(4),
        |new| new.ip_allowlist.truncate(1),
        |new| new.fence.destinations = Some(vec![fingerprint("to", 2)]),
        |new| new.fence.usd_cents_24h = Some(usd(99)),
        |new| new.fence.expires_at = Some(Timestamp(999)),
        |new| new.fence.asn = Some(2),
    ];
    assert_eq!(wider.map(widens_to), [true; 12]);
    assert_eq!(narrower.map(widens_to), [false; 7]);
    // From anywhere before: any list of addresses or destinations is narrower.
    let listed = ApiKeySpec {
        ip_allowlist: vec![fingerprint("ip", 0)],
        scopes: Scopes(1),
        ..spec(2, KeyFence { destinations: Some(vec![fingerprint("to", 1)]), ..KeyFence::default() })
    };
    assert!(!widens(free, &listed));
}

fn report(number: u64, allowed: u32, last_used: Timestamp) -> KeyUse {
    KeyUse { key: key(number), allowed, refused: 3, last_used }
}

#[test]
fn a_report_says_when_keys_were_used_and_which_woke() {
    let mut run = opened();
    put(&mut run, 0, spec(1, KeyFence::default()));
    run.say(Command::PutApiKey {
        account: account(1),
        key: key(2),
        scopes: Scopes(1),
        ip_allowlist: Vec::new(),
    });
    run.wait(SLEEPS_AFTER);
    let (seen, ahead) = (run.now.minus(time::MINUTE), run.now.plus(time::DAY));
    // Key 9 is nobody's, key 2 was never tracked, key 1 has slept since it was made, and was used a minute ago.
    let keys = vec![report(1, 2, seen), report(2, 1, ahead), report(9, 4, seen), report(1, 1, run.now)];
    let events = run.say(Command::RecordKeyUse { keys });
    let [Event::ApiKeysUsed { keys }, Event::ApiKeyWoke { key: woken, idle_days, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(keys.len(), 3);
    assert_eq!((*woken, *idle_days), (key(1), 30));
    assert_eq!(known(&run, 0, 1).last_used(), Some(run.now));
    assert_eq!(known(&run, 1, 2).last_used(), Some(run.now), "nothing is used in the future");

    // Refused requests are no use, and a later report of an earlier use changes nothing.
    run.wait(time::HOUR);
    run.say(Command::RecordKeyUse { keys: vec![report(1, 0, run.now), report(2, 1, seen)] });
    let before = run.now.minus(time::HOUR);
    assert_eq!(known(&run, 0, 1).last_used(), Some(before));
    assert_eq!(known(&run, 1, 2).last_used(), Some(before));
    assert!(run.say(Command::RecordKeyUse { keys: vec![report(9, 1, seen)] }).is_empty());
    let many = vec![report(1, 1, run.now); KEY_USES_MAX + 1];
    let events = run.say(Command::RecordKeyUse { keys: many });
    assert!(matches!(events[..], [Event::Refused { refusal: Refusal::TooMany, .. }]));
}

#[test]
fn a_withdrawal_is_a_use_and_wakes_a_key_unless_it_is_denied() {
    let mut run = opened();
    let only = KeyFence { destinations: Some(vec![place(Network::Bitcoin, 5)]), ..KeyFence::default() };
    put(&mut run, 0, spec(1, only));
    run.wait(SLEEPS_AFTER + 3 * time::DAY);
    run.say(crate::world::usual_prices());
    let woke = |events: &[Event]| {
        events.iter().find_map(|event| match event {
            Event::ApiKeyWoke { idle_days, .. } => Some(*idle_days),
            _ => None,
        })
    };
    let bad = signed(&run, 1, 1, 1, 6);
    let events = run.say(Command::RequestWithdrawal(Box::new(bad)));
    denied(outcome(&events), Cause::ApiDestinationNotAllowed);
    assert_eq!((woke(&events), known(&run, 0, 1).last_used()), (None, None));
    let good = signed(&run, 2, 1, 1, 5);
    let events = run.say(Command::RequestWithdrawal(Box::new(good)));
    assert_eq!((woke(&events), known(&run, 0, 1).last_used()), (Some(33), Some(run.now)));
    let again = signed(&run, 3, 1, 1, 5);
    assert_eq!(woke(&run.say(Command::RequestWithdrawal(Box::new(again)))), None);
}

#[test]
fn a_key_that_is_bound_to_no_address_idles() {
    let mut run = opened();
    let anywhere = |number| ApiKeySpec {
        scopes: Scopes(3),
        ip_allowlist: Vec::new(),
        ..spec(number, KeyFence::default())
    };
    put(&mut run, 0, anywhere(1));
    put(&mut run, 0, anywhere(2));
    put(&mut run, 0, spec(3, KeyFence::default()));
    run.say(Command::PutApiKey {
        account: account(0),
        key: key(4),
        scopes: Scopes(3),
        ip_allowlist: Vec::new(),
    });
    run.wait(IDLE_AFTER - 1);
    run.say(Command::RecordKeyUse { keys: vec![report(2, 1, run.now)] });
    let idle = |run: &Run| [1, 2, 3, 4].map(|number| barred(&run.state, known(run, 0, number), run.now));
    assert_eq!(idle(&run), [None; 4]);
    run.wait(1);
    assert_eq!(idle(&run), [Some(Cause::ApiKeyIdle), None, None, None]);
    // Key 4 was put without a fence: what its use was is not known, and nothing is said of it.
    run.wait(IDLE_AFTER);
    assert_eq!(idle(&run), [Some(Cause::ApiKeyIdle), Some(Cause::ApiKeyIdle), None, None]);
    run.say(crate::world::usual_prices());
    denied(ask(&mut run, 1, 1, 5), Cause::ApiKeyIdle);
    // Its owner puts it anew.
    put(&mut run, 0, anywhere(1));
    assert_eq!(barred(&run.state, known(&run, 0, 1), run.now), None);
}

/// Keys made an hour apart: 1 to 6 of accounts 0 and 1 in turn, from systems 10 and 20 in threes.
fn crowd() -> (Run, Timestamp) {
    let mut run = opened();
    let start = run.now;
    for number in 1..=6 {
        let asn = Some(if number <= 3 { 10 } else { 20 });
        put(&mut run, (number % 2) as usize, spec(number, KeyFence { asn, ..KeyFence::default() }));
        run.now = run.now.plus(time::HOUR);
    }
    (run, start)
}

/// Which of the crowd a cohort takes out of use.
fn taken(run: &mut Run, cohort: KeyCohort) -> Vec<u64> {
    let standing = |run: &Run| {
        let revoked = |number: u64| known(run, (number % 2) as usize, number).is_revoked;
        (1..=6).map(|number| (number, revoked(number))).collect::<BTreeMap<_, _>>()
    };
    let before = standing(run);
    let events = run.say(Command::RevokeApiKeys { cohort: Box::new(cohort), by: name("dora") });
    let count = match events[..] {
        [Event::ApiKeysRevoked { count, .. }] => count,
        [] => 0,
        _ => panic!("{events:?}"),
    };
    let changed: Vec<_> =
        standing(run).into_iter().filter(|(number, gone)| *gone && !before[number]).map(|(n, _)| n).collect();
    assert_eq!(usize::try_from(count).unwrap(), changed.len());
    changed
}

#[test]
fn a_cohort_is_of_a_window_a_system_an_account_or_all() {
    let hour = |start: Timestamp, hours: u64| Some(start.plus(hours * time::HOUR));
    let none = KeyCohort::default;
    let (mut run, start) = crowd();
    let window = KeyCohort { made_from: hour(start, 1), made_until: hour(start, 3), ..none() };
    assert_eq!(taken(&mut run, window.clone()), [2, 3]);
    assert_eq!(taken(&mut run, window), [0u64; 0], "what is revoked is revoked once");

    let (mut run, start) = crowd();
    // A new revision within the window is as suspect as a new key.
    put(&mut run, 1, spec(1, KeyFence::default()));
    let since = KeyCohort { made_from: hour(start, 5), ..none() };
    assert_eq!(taken(&mut run, since), [1, 6]);

    let (mut run, _) = crowd();
    assert_eq!(taken(&mut run, KeyCohort { asn: Some(20), ..none() }), [4, 5, 6]);

    let (mut run, _) = crowd();
    let both = KeyCohort { asn: Some(20), account: Some(account(1)), ..none() };
    assert_eq!(taken(&mut run, both), [5]);
    let unknown = KeyCohort { account: Some(account(77)), ..none() };
    let events = run.say(Command::RevokeApiKeys { cohort: Box::new(unknown), by: name("dora") });
    assert!(matches!(events[..], [Event::Refused { refusal: Refusal::AccountUnknown, .. }]));
    assert_eq!(taken(&mut run, none()), [1, 2, 3, 4, 6]);
}

#[test]
fn a_key_that_is_not_revoked_is_exposed_from_its_making_until_now_used_or_not() {
    let (mut run, start) = crowd();
    let hour = |hours: u64| start.plus(hours * time::HOUR);
    // Keys 1 and 2 were used, long before the leak; whoever copied them may be waiting.
    run.say(Command::RecordKeyUse { keys: vec![report(1, 1, hour(2)), report(2, 1, hour(5))] });
    let between = |from, until| KeyCohort {
        exposed_from: Some(from),
        exposed_until: Some(hour(until)),
        ..KeyCohort::default()
    };
    let ahead = run.now.plus(1);
    assert!(taken(&mut run, between(ahead, 7)).is_empty(), "nobody knows what is exposed tomorrow");
    // Key 4 was made at hour 3, so that an interval that ends there does not meet it.
    assert_eq!(taken(&mut run, between(hour(3), 3)), [1, 2, 3]);
    assert_eq!(taken(&mut run, between(hour(2), 4)), [4]);
    assert_eq!(taken(&mut run, between(hour(6), 7)), [5, 6]);
}

#[test]
fn a_revoked_cohort_is_refused_from_the_very_next_command_on() {
    let mut run = opened();
    put(&mut run, 0, spec(1, KeyFence::default()));
    goes(ask(&mut run, 1, 1, 5));
    let events = run.say(Command::RevokeApiKeys { cohort: Box::new(KeyCohort::default()), by: name("dora") });
    assert!(matches!(events[..], [Event::ApiKeysRevoked { count: 1, .. }]));
    // No time has passed.
    denied(ask(&mut run, 2, 1, 5), Cause::ApiKeyRevoked);
    assert_eq!(barred(&run.state, known(&run, 0, 1), run.now), Some(Cause::ApiKeyRevoked));
    // What was under way goes nowhere either.
    let events = run.wait(time::SECOND).concat();
    denied(outcome(&events), Cause::ApiKeyRevoked);
}

#[test]
fn imported_keys_are_in_cohorts_by_the_history_that_operators_vouched_for() {
    let mut run = opened();
    let digest = holdfast_decision::acts::Digest([5; 32]);
    let old = run.now.minus(40 * time::DAY);
    run.act(holdfast_decision::Act::Import(vec![digest]), &["alice", "bob"]);
    let accounts = vec![imported(7, "full", old, 0)];
    run.say(Command::ImportChunk { digest: digest.0, accounts });
    put(&mut run, 0, spec(1, KeyFence::default()));
    let cohort = KeyCohort { made_until: Some(old.plus(1)), ..KeyCohort::default() };
    run.say(Command::RevokeApiKeys { cohort: Box::new(cohort), by: name("dora") });
    let gone = run.state.account(&account(7)).unwrap().api_key(&key(7)).unwrap();
    assert!(gone.is_revoked && !known(&run, 0, 1).is_revoked);
}

#[test]
fn fences_and_use_stand_in_a_snapshot() {
    let mut run = opened();
    put(&mut run, 0, spec(1, KeyFence { usd_cents_24h: Some(usd(800)), ..KeyFence::default() }));
    goes(ask(&mut run, 1, 1, 5));
    let mut bytes = Vec::new();
    run.state.encode(&mut bytes);
    run.state = State::decode(&bytes).unwrap();
    assert_eq!(known(&run, 0, 1).last_used(), Some(run.now));
    denied(ask(&mut run, 2, 1, 5), Cause::ApiKeyOverLimit);
}
