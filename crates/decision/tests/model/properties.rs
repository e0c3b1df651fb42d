//! What holds of every run, whatever is asked.

use std::collections::BTreeMap;

use holdfast_decision::acts::Act;
use holdfast_decision::command::{Command, Evidence, Scope};
use holdfast_decision::event::{AccountIndex, AssetIndex, Change, Event, WalletIndex};
use holdfast_decision::protection::CredentialUse;
use holdfast_decision::state::Buckets;
use holdfast_decision::{Class, Severity, State, Status, Withdrawal, decide, evolve, fold};
use holdfast_values::{Amount, CaseId, Network, OperatorPublicKey, Timestamp, WithdrawalId, time};

use crate::play::{Play, Record, Run, is_refused, random_run};
use crate::random::{Announce, seeds};
use crate::world::{
    OPERATORS, SYMBOLS, Signing, account, configuration, imported, initialise, name, operator, permit_all,
    place, policy, prices, request, symbol, usual_prices,
};

const BTC: (&str, Network) = ("BTC", Network::Bitcoin);
const BITCOIN: u128 = 100_000_000;

/// One bucket of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Asset(u16),
    Wallet(u16),
    Overall,
}

fn buckets(state: &State, whose: Whose) -> &Buckets {
    match whose {
        Whose::Asset(asset) => state.asset_buckets(AssetIndex(asset)).unwrap(),
        Whose::Wallet(wallet) => state.wallet_buckets(WalletIndex(wallet)).unwrap(),
        Whose::Overall => state.overall_buckets(),
    }
}

fn all_buckets() -> Vec<Whose> {
    let assets = (0..SYMBOLS.len() as u16).map(Whose::Asset);
    assets.chain((0..2).map(Whose::Wallet)).chain([Whose::Overall]).collect()
}

/// What a withdrawal spends of each bucket.
fn spends(open: &Withdrawal) -> [(Whose, u128); 3] {
    let cents = u128::from(open.usd_cents().0);
    [
        (Whose::Asset(open.request.asset.0), open.request.amount.base_units()),
        (Whose::Wallet(open.request.wallet.0), cents),
        (Whose::Overall, cents),
    ]
}

/// The most that went out net in any interval, beyond what flowed in during it: never more than the size, or the share.
#[derive(Debug, Default)]
struct Interval {
    out: i128,
    refilled: i128,
    lowest: i128,
    most: i128,
}

impl Interval {
    /// `units` go out (or come back, if negative) when time has refilled so much since the beginning, all in 1/3.6e9.
    fn moves(&mut self, units: i128, refilled: i128) {
        self.refilled = refilled;
        self.lowest = self.lowest.min(self.out - refilled);
        self.out += units * 3_600_000_000;
        self.most = self.most.max(self.out - refilled - self.lowest);
    }
}

/// Plays records again and tells of each reservation that is made or given back. What was released is held until it is
/// paid, and then for good.
fn reservations(
    records: &[Record],
    mut tell: impl FnMut(&State, &Record, &Withdrawal, Class, bool),
) -> State {
    let mut state = State::new();
    for record in records {
        let held = |state: &State| -> BTreeMap<WithdrawalId, (Class, Withdrawal)> {
            let class = |open: &Withdrawal| {
                open.reserved.or_else(|| open.released.as_ref().and_then(|all| all.class))
            };
            let open = state.withdrawals().filter_map(|(id, open)| Some((*id, (class(open)?, open.clone()))));
            open.collect()
        };
        let is_paid = |id: &WithdrawalId| {
            let paid =
                |event: &Event| matches!(event, Event::WithdrawalPaid { withdrawal, .. } if withdrawal == id);
            record.events.iter().any(paid)
        };
        let before = held(&state);
        fold(&mut state, record.sequence, record.at, &record.events);
        let after = held(&state);
        for (id, (class, open)) in &before {
            if after.get(id).is_none_or(|(now, _)| now != class) && !is_paid(id) {
                tell(&state, record, open, *class, false);
            }
        }
        for (id, (class, open)) in &after {
            if before.get(id).is_none_or(|(was, _)| was != class) {
                tell(&state, record, open, *class, true);
            }
        }
    }
    state
}

fn settled(seed: u64) -> Play {
    let mut play = Play::new(seed, false);
    play.is_settled = true;
    play
}

#[test]
fn random_traffic_takes_no_more_than_size_and_refill_from_any_bucket_over_any_interval() {
    for seed in seeds(60) {
        let _announce = Announce(seed);
        let run = random_run(settled(seed), 400);
        let start = run.records[0].at;
        let mut intervals = BTreeMap::<(Whose, Class), Interval>::new();
        let mut own = BTreeMap::<(Whose, Class, AccountIndex), Interval>::new();
        let parameters = configuration().parameters;
        reservations(&run.records, |state, record, open, class, taken| {
            let passed = i128::from(state.refill_time(record.at).since(start));
            let sign = if taken { 1 } else { -1 };
            for (whose, units) in spends(open) {
                let spec = buckets(state, whose).of(class).spec();
                let refill = spec.refill_per_hour.base_units() as i128;
                let (units, size) = (sign * units as i128, spec.size.base_units() as i128 * 3_600_000_000);
                let interval = intervals.entry((whose, class)).or_default();
                interval.moves(units, refill * passed);
                assert!(interval.most <= size, "{whose:?} {class:?}: {interval:?}");

                let permille = i128::from(parameters.account_share_permille);
                if u32::from(open.operators) < parameters.loosening_signatures {
                    let interval = own.entry((whose, class, open.request.account)).or_default();
                    interval.moves(units, refill * passed * permille / 1_000);
                    assert!(interval.most <= size * permille / 1_000, "{whose:?} {class:?}: {interval:?}");
                    let kept = spec.size.base_units() * u128::from(parameters.small_reserve_permille) / 1_000;
                    let left = buckets(state, whose).of(class).available(state.refill_time(record.at));
                    let small = open.usd_cents() < parameters.small_usd_cents;
                    assert!(
                        !taken || small || left.base_units() >= kept,
                        "what is kept for small ones was taken"
                    );
                }
            }
        });
    }
}

#[test]
fn reservations_balance_and_come_back_once() {
    for seed in seeds(60) {
        let _announce = Announce(seed);
        let mut run = random_run(settled(seed), 300);
        let mut held = BTreeMap::new();
        for record in &run.records {
            for event in &record.events {
                match event {
                    Event::Reserved { withdrawal, class } => {
                        assert_eq!(held.insert(*withdrawal, *class), None, "reserved twice");
                    }
                    Event::ReservationReturned { withdrawal } => {
                        assert!(held.remove(withdrawal).is_some(), "returned what was not reserved");
                    }
                    Event::WithdrawalCancelled { withdrawal } | Event::WithdrawalExpired { withdrawal } => {
                        held.remove(withdrawal);
                    }
                    Event::WithdrawalDecided { withdrawal, decision } if decision.status.is_final() => {
                        held.remove(withdrawal);
                    }
                    Event::WithdrawalMoved { withdrawal, status, .. } if status.is_final() => {
                        held.remove(withdrawal);
                    }
                    // What is released is spent; whether it comes back is a matter of chains and signers.
                    Event::TransactionReleased(released) => {
                        for id in &released.withdrawals {
                            held.remove(id);
                        }
                    }
                    Event::SpendRecovered(spend) => drop(held.remove(&spend.withdrawal)),
                    _ => {}
                }
            }
        }
        let live = run.state.withdrawals().filter_map(|(id, open)| Some((*id, open.reserved?)));
        assert_eq!(held, live.collect(), "what events say is what State says");

        // Everything is closed at this very instant: what was reserved is back, to the brim and no further.
        let now = run.state.refill_time(run.now);
        let is_released = |open: &Withdrawal| open.status().is_released();
        let open = run.state.withdrawals().filter(|(_, open)| !is_released(open));
        let open: Vec<_> = open.map(|(id, open)| (*id, open.clone())).collect();
        let mut expected = BTreeMap::new();
        for whose in all_buckets() {
            for class in Class::ALL {
                let bucket = buckets(&run.state, whose).of(class);
                let reserved = open.iter().filter(|(_, open)| open.reserved == Some(class));
                let back: u128 =
                    reserved.flat_map(|(_, open)| spends(open)).filter(|s| s.0 == whose).map(|s| s.1).sum();
                let left = bucket.available(now).base_units() + back;
                expected.insert((whose, class), left.min(bucket.spec().size.base_units()));
            }
        }
        for (id, _) in &open {
            run.say(Command::DenyWithdrawal { withdrawal: *id, by: name("dora") });
        }
        for ((whose, class), left) in expected {
            let available = buckets(&run.state, whose).of(class).available(now);
            // Parts of a unit may flow together.
            assert!(available.base_units().abs_diff(left) <= open.len() as u128, "{whose:?} {class:?}");
        }
        assert!(run.state.withdrawals().all(|(_, open)| is_released(open)));
        if !run.state.is_clock_suspect() {
            run.wait(24 * time::HOUR);
            for whose in all_buckets() {
                for class in Class::ALL {
                    let bucket = buckets(&run.state, whose).of(class);
                    assert_eq!(bucket.available(run.state.refill_time(run.now)), bucket.spec().size);
                }
            }
        }
    }
}

#[test]
fn nothing_is_approved_that_is_frozen_halted_held_or_undischarged() {
    let mut approvals = 0;
    for seed in seeds(60) {
        let _announce = Announce(seed);
        let run = random_run(Play::new(seed, false), 400);
        let mut state = State::new();
        for record in &run.records {
            fold(&mut state, record.sequence, record.at, &record.events);
            for event in &record.events {
                let Event::WithdrawalDecided { withdrawal, decision } = event else { continue };
                if decision.status != Status::Approved {
                    continue;
                }
                approvals += 1;
                let open = state.withdrawal(*withdrawal).unwrap();
                let account = state.account_at(open.request.account).unwrap();
                let symbol = &state.configuration().assets[usize::from(open.request.asset.0)].spec.symbol;
                let wallet = &state.configuration().wallets[usize::from(open.request.wallet.0)].name;
                let halted = state.halts().any(|scope| match scope {
                    Scope::Overall => true,
                    Scope::Asset(halted) => halted == symbol,
                    Scope::Wallet(halted) => halted == wallet,
                    Scope::Account(halted) => *halted == account.id,
                });
                let by_operators =
                    u32::from(open.operators) >= state.configuration().parameters.loosening_signatures;
                assert!(!account.is_frozen && !halted && !state.is_clock_suspect());
                assert!(decision.factors.is_empty() && decision.dwell_until <= record.at);
                assert_eq!(open.reserved, Some(decision.class), "approved value is reserved");
                assert!(open.queued.is_none());
                for reason in &decision.reasons {
                    assert!(reason.severity < Severity::Deny, "{reason:?}");
                    assert!(reason.severity < Severity::Hold || by_operators, "{reason:?}");
                }
                let by_owner = open.bound.as_ref().is_some_and(|by| {
                    let known = account.credential(&by.credential);
                    known.is_some_and(|one| state.credential_counts(record.at, one, CredentialUse::Approve))
                });
                let by_mandate = open.mandate.is_some_and(|mandate| {
                    account.mandate(mandate).is_some_and(|mandate| !mandate.is_revoked)
                });
                let is_bound = by_operators || by_owner || by_mandate;
                assert!(decision.class != Class::Bound || is_bound, "nobody said so");
            }
        }
        // Between deadlines nothing stays approved that was frozen or halted since.
        for (_, open) in run.state.withdrawals().filter(|(_, open)| open.status() == Status::Approved) {
            let account = run.state.account_at(open.request.account).unwrap();
            let overall = run.state.halts().any(|scope| *scope == Scope::Overall);
            let is_due = open.next_check <= run.now;
            assert!(is_due || !account.is_frozen && !overall);
        }
    }
    assert!(approvals > 1_000, "{approvals} approvals were looked at");
}

#[test]
fn mandates_let_no_more_through_than_their_day_whoever_asks_how_often() {
    let mut uses = 0;
    for seed in seeds(60) {
        let _announce = Announce(seed);
        let run = random_run(Play::new(seed, false), 400);
        let mut terms = BTreeMap::new();
        let mut used = BTreeMap::<_, Vec<(Timestamp, u128)>>::new();
        for record in &run.records {
            let amount = record.events.iter().find_map(|event| match event {
                Event::WithdrawalRequested(request) => Some((request.amount, request.fingerprint)),
                _ => None,
            });
            for event in &record.events {
                match event {
                    Event::ProtectionChanged { change, .. } => {
                        if let Change::GrantMandate(granted) = &**change {
                            terms.insert(granted.mandate, granted.clone());
                        }
                    }
                    Event::MandateUsed { mandate, .. } => {
                        let (terms, (amount, place)) = (&terms[mandate], amount.unwrap());
                        assert!(amount <= terms.amount_max && terms.destinations.contains(&place));
                        assert!((terms.not_before..=terms.not_after).contains(&record.at));
                        let used = used.entry(*mandate).or_default();
                        used.push((record.at, amount.base_units()));
                        let day = used.iter().filter(|entry| record.at.since(entry.0) <= time::DAY);
                        assert!(day.map(|entry| entry.1).sum::<u128>() <= terms.day_max.base_units());
                        uses += 1;
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(uses > 100, "{uses} requests under mandates were looked at");
}

#[test]
fn a_snapshot_decides_on_as_the_state_it_was_taken_of() {
    for seed in seeds(40) {
        let _announce = Announce(seed);
        let run = random_run(Play::new(seed, false), 250);
        let mut straight = State::new();
        let mut restored: Option<State> = None;
        for (number, record) in run.records.iter().enumerate() {
            for state in [Some(&mut straight), restored.as_mut()].into_iter().flatten() {
                let mut events = Vec::new();
                decide(state, record.at, &record.command, &mut events);
                assert_eq!(events, record.events, "record {}", record.sequence);
                fold(state, record.sequence, record.at, &events);
            }
            if (number + seed as usize).is_multiple_of(37) {
                let mut bytes = Vec::new();
                straight.encode(&mut bytes);
                let decoded = State::decode(&bytes).unwrap();
                let mut again = Vec::new();
                decoded.encode(&mut again);
                assert!(bytes == again, "what is read is written the same");
                if let Some(restored) = &restored {
                    assert_eq!(restored.hash(), straight.hash(), "record {}", record.sequence);
                }
                restored = Some(decoded);
            }
        }
        assert_eq!(restored.unwrap().hash(), run.state.hash());
        assert_eq!(straight.hash(), run.state.hash());
    }
}

#[test]
fn events_alone_fold_to_the_same_state() {
    for seed in seeds(40) {
        let _announce = Announce(seed);
        let run = random_run(Play::new(seed, false), 250);
        let folded = reservations(&run.records, |_, _, _, _, _| {});
        assert_eq!(folded.hash(), run.state.hash());
    }
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut refusals = 0;
    for seed in seeds(20) {
        let _announce = Announce(seed);
        let run = random_run(Play::new(seed, false), 250);
        let mut state = State::new();
        for record in &run.records {
            if is_refused(&record.events) {
                let before = state.hash();
                record.events.iter().for_each(|event| evolve(&mut state, record.at, event));
                assert_eq!(state.hash(), before);
                refusals += 1;
            }
            fold(&mut state, record.sequence, record.at, &record.events);
        }
    }
    assert!(refusals > 500, "{refusals} refusals were looked at");
}

/// An exchange without rules of its own: only the core's apply.
fn plain(accounts: usize) -> Run {
    let mut run = Run::new(configuration(), permit_all());
    for number in 0..accounts {
        run.say(Command::OpenAccount { account: account(number), tier: name("full") });
    }
    run
}

fn ask(run: &mut Run, number: u64, from: usize, units: u128) -> WithdrawalId {
    let made = request(run.now, number, from, BTC, units, 7);
    let id = made.withdrawal;
    let events = run.say(Command::RequestWithdrawal(Box::new(made)));
    assert!(!is_refused(&events), "{events:?}");
    id
}

fn status(run: &Run, id: WithdrawalId) -> Option<Status> {
    run.state.withdrawal(id).map(Withdrawal::status)
}

#[test]
fn no_account_starves_another() {
    let mut run = plain(10);
    // Two bitcoin in the bucket, 30 % of them kept: four accounts with their shares leave nothing for large ones.
    for from in 0..4 {
        ask(&mut run, from as u64, from, 35 * BITCOIN / 100);
    }
    let many: Vec<_> = (0..30).map(|n| ask(&mut run, 100 + n, 8, 3 * BITCOIN / 100)).collect();
    let one = ask(&mut run, 200, 9, 3 * BITCOIN / 100);
    assert!(many.iter().chain([&one]).all(|id| status(&run, *id) == Some(Status::Dwelling)), "all wait");
    let mut before = 0;
    while status(&run, one) == Some(Status::Dwelling) {
        let approved =
            |run: &Run| many.iter().filter(|id| status(run, **id) == Some(Status::Approved)).count();
        run.wait(10 * time::SECOND);
        before = approved(&run);
    }
    assert_eq!(status(&run, one), Some(Status::Approved));
    assert!(before <= 2, "the one that came last went after {before} of those that came first");
}

#[test]
fn what_waits_is_served_as_soon_as_it_fits_even_behind_one_that_waits_for_its_share() {
    let mut run = plain(8);
    // Account 0 has used up its share and waits for it, long; then others empty the bucket, and one of them waits.
    let full = 35 * BITCOIN / 100;
    ask(&mut run, 0, 0, full);
    let far = ask(&mut run, 1, 0, full);
    assert_eq!(status(&run, far), Some(Status::Dwelling));
    for from in 1..4 {
        ask(&mut run, 10 + from, from as usize, 30 * BITCOIN / 100);
    }
    let near = ask(&mut run, 20, 5, 5 * BITCOIN / 100);
    assert_eq!(status(&run, near), Some(Status::Dwelling), "behind the line");
    run.wait(4 * time::MINUTE);
    assert_eq!(status(&run, near), Some(Status::Approved), "a bitcoin flows in an hour");
    assert_eq!(status(&run, far), Some(Status::Dwelling));
}

#[test]
fn a_withdrawal_without_a_price_is_valued_before_its_value_is_reserved() {
    let mut run = Run::empty();
    run.say(initialise(configuration(), permit_all()));
    run.say(Command::OpenAccount { account: account(0), tier: name("full") });
    let id = ask(&mut run, 1, 0, BITCOIN / 10);
    assert_eq!(status(&run, id), Some(Status::Held));
    run.say(usual_prices());
    run.act(Act::ApproveCase(CaseId(id.0)), &["alice", "bob"]);
    assert_eq!(status(&run, id), Some(Status::Approved));
    let left = run.state.overall_buckets().bound.available(run.now);
    assert_eq!(left, Amount::from_base_units(140_000_000 - 500_000), "5,000 USD were reserved");
}

#[test]
fn the_same_idempotency_key_gives_the_same_answer_or_a_conflict_for_a_day() {
    let mut run = plain(1);
    let first = request(run.now, 1, 0, BTC, 1_000, 7);
    run.say(Command::RequestWithdrawal(Box::new(first.clone())));
    let sequence = run.state.sequence();
    let mut again = first.clone();
    again.withdrawal = WithdrawalId(99);
    run.wait(time::DAY - 1);
    let hash = run.state.hash();
    let events = run.say(Command::RequestWithdrawal(Box::new(again.clone())));
    assert_eq!(events, [Event::Repeated { sequence }]);
    assert_eq!(run.state.hash(), hash, "an answer that is repeated changes nothing");
    let mut other = again.clone();
    other.idempotency.body = place(Network::Bitcoin, 0);
    assert_refused(&mut run, Command::RequestWithdrawal(Box::new(other)), "idempotency_conflict");
    run.wait(1);
    let events = run.say(Command::RequestWithdrawal(Box::new(again)));
    assert!(
        matches!(events[..], [Event::WithdrawalRequested(_), ..]),
        "after a day it is a new request: {events:?}"
    );
}

/// The command is refused with this code, and what it says changes nothing.
fn assert_refused(run: &mut Run, command: Command, code: &str) {
    let mut events = Vec::new();
    decide(&run.state, run.now, &command, &mut events);
    let [Event::Refused { refusal, detail }] = &events[..] else { panic!("not refused: {events:?}") };
    assert_eq!(refusal.code(), code);
    assert!(!detail.is_empty());
    let before = run.state.hash();
    events.iter().for_each(|event| evolve(&mut run.state, run.now, event));
    assert_eq!(run.state.hash(), before, "{code}");
}

#[test]
fn an_act_needs_enough_different_operators_with_keys_of_their_own_past_their_ageing() {
    let mut run = plain(1);
    run.say(Command::Halt { scope: Scope::Overall, by: name("dora") });
    run.act(Act::EnrolOperator(operator("dave")), &["alice", "bob"]);
    let resume = || Act::Resume(Scope::Overall);
    let at = run.now;
    let text = |signers: &[&str]| Signing::new(at, 500, signers);
    let mut wrong_key = text(&["alice", "bob"]);
    wrong_key.signers[1].public_key = OperatorPublicKey::Ed25519([9; 32]);
    let mut wrong_kind = text(&["alice", "bob"]);
    wrong_kind.signers[1].public_key = OperatorPublicKey::Passkey(*wrong_kind.signers[1].public_key.bytes());
    let mut foreign = text(&["alice", "bob"]);
    foreign.exchange = "other.example";
    let mut early = text(&["alice", "bob"]);
    early.from = early.from.plus(time::SECOND);
    let mut late = text(&["alice", "bob"]);
    (late.from, late.until) = (late.from.minus(time::HOUR), late.from.minus(time::SECOND));
    let mut long = text(&["alice", "bob"]);
    long.until = long.from.plus(7 * time::DAY + time::SECOND);
    for (signing, code) in [
        (text(&[]), "signatures_insufficient"),
        (text(&["alice"]), "signatures_insufficient"),
        (text(&["alice", "alice"]), "signatures_insufficient"),
        (text(&["alice", "mallory"]), "signatures_insufficient"),
        (text(&["alice", "dave"]), "signatures_insufficient"),
        (wrong_key, "signatures_insufficient"),
        (wrong_kind, "signatures_insufficient"),
        (foreign, "text_exchange"),
        (early, "text_not_now"),
        (late, "text_not_now"),
        (long, "text_not_now"),
    ] {
        assert_refused(&mut run, signing.sign(resume()), code);
    }
    // Another act under the signatures of this one, and a text that is none.
    let signing = text(&["alice", "bob"]);
    let halted = signing.text(&resume());
    let other = Act::Resume(Scope::Asset(symbol("BTC")));
    assert_refused(&mut run, signing.sign_text(other, halted), "text_differs");
    assert_refused(&mut run, signing.sign_text(resume(), "hello".to_owned()), "text_differs");
    // A revocation tightens: one is enough, but those that remain must be able to sign.
    let one = Signing::new(at, 501, &["carol"]).sign(Act::RevokeOperator(name("dave")));
    assert!(!is_refused(&run.say(one)));
    let one = Signing::new(at, 502, &["carol"]).sign(Act::RevokeOperator(name("bob")));
    assert_refused(&mut run, one, "signatures_insufficient");
    let two = Signing::new(at, 502, &["alice", "carol"]).sign(Act::RevokeOperator(name("bob")));
    assert!(!is_refused(&run.say(two)));
    let last = Signing::new(at, 503, &["alice", "carol"]).sign(Act::RevokeOperator(name("alice")));
    assert_refused(&mut run, last, "operators_too_few");
    assert_refused(&mut run, text(&["alice", "bob"]).sign(resume()), "signatures_insufficient");
    assert!(!is_refused(&run.say(text(&["alice", "carol"]).sign(resume()))));
}

#[test]
fn a_new_operator_counts_after_the_ageing_and_lost_time_does_not_count() {
    let mut run = plain(1);
    run.act(Act::EnrolOperator(operator("dave")), &["alice", "bob"]);
    run.say(Command::Halt { scope: Scope::Overall, by: name("dora") });
    run.wait(12 * time::HOUR);
    run.say(Command::Tick);
    run.say(Command::RecordSnapshot { sequence: 1, state_hash: [0; 32] });
    // Nobody listened for two hours: they make nobody an operator.
    run.now = run.now.plus(2 * time::HOUR);
    run.say(Command::Start);
    run.wait(12 * time::HOUR - 1);
    let resume = |run: &Run| Signing::new(run.now, 500, &["alice", "dave"]).sign(Act::Resume(Scope::Overall));
    let early = resume(&run);
    assert_refused(&mut run, early, "signatures_insufficient");
    run.wait(1);
    let now = resume(&run);
    assert!(!is_refused(&run.say(now)));
}

#[test]
fn a_text_is_used_once() {
    let mut run = plain(1);
    let halt = || Command::Halt { scope: Scope::Overall, by: name("dora") };
    run.say(halt());
    let text = Signing::new(run.now, 500, &OPERATORS).sign(Act::Resume(Scope::Overall));
    assert!(!is_refused(&run.say(text.clone())));
    run.say(halt());
    assert_refused(&mut run, text.clone(), "text_used");
    run.wait(time::HOUR);
    assert_refused(&mut run, text.clone(), "text_used");
    // Its memory may go when its validity does.
    run.wait(2 * time::HOUR);
    assert_refused(&mut run, text, "text_not_now");
}

#[test]
fn a_signed_request_is_good_once_and_in_its_window_only() {
    let mut run = plain(1);
    let evidence = |at, number| holdfast_decision::command::ApiEvidence {
        key: crate::world::fingerprint("key", 1),
        revision: 1,
        signed_at: at,
        window: 5 * time::SECOND,
        request: crate::world::fingerprint("request", number),
        ip: crate::world::fingerprint("ip", 0),
        differs: 0,
        verifier: 1,
        sealed: vec![0x5e; 300],
    };
    run.say(Command::PutApiKey {
        account: account(0),
        key: crate::world::fingerprint("key", 1),
        scopes: holdfast_decision::command::Scopes(4),
        ip_allowlist: vec![crate::world::fingerprint("ip", 0)],
    });
    let signed_at = run.now;
    let mut number = 10;
    let mut send = |run: &mut Run, evidence| {
        number += 1;
        let mut made = request(run.now, number, 0, BTC, 1_000, 7);
        made.evidence = Evidence::ApiRequest(Box::new(evidence));
        let events = run.say(Command::RequestWithdrawal(Box::new(made)));
        let Some(Event::WithdrawalDecided { decision, .. }) = events.last() else { panic!("{events:?}") };
        (decision.status, decision.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default())
    };
    let denied = |code: &str| (Status::Denied, code.to_owned());
    let good = (Status::Approved, String::new());
    assert_eq!(send(&mut run, evidence(signed_at, 1)), good);
    assert_eq!(send(&mut run, evidence(signed_at, 1)), denied("api_replayed"));
    assert_eq!(send(&mut run, evidence(signed_at.plus(time::SECOND), 2)), good, "clocks differ by a second");
    assert_eq!(send(&mut run, evidence(signed_at.plus(time::SECOND + 1), 3)), denied("api_timestamp"));
    run.wait(5 * time::SECOND);
    assert_eq!(send(&mut run, evidence(signed_at, 4)), good, "to the end of its window");
    assert_eq!(send(&mut run, evidence(signed_at, 4)), denied("api_replayed"));
    run.wait(1);
    assert_eq!(send(&mut run, evidence(signed_at, 5)), denied("api_timestamp"));
    run.say(Command::RevokeApiKey { account: account(0), key: crate::world::fingerprint("key", 1) });
    let now = run.now;
    assert_eq!(send(&mut run, evidence(now, 6)), denied("api_key_revoked"));
    let still_approved =
        run.state.withdrawals().filter(|(_, open)| open.status() == Status::Approved).count();
    assert_eq!(still_approved, 3);
    let mut bytes = Vec::new();
    run.state.encode(&mut bytes);
    assert!(
        !bytes.windows(16).any(|window| window == [0x5e; 16]),
        "the sealed original stays in the journal alone"
    );
    run.wait(0);
    assert_eq!(run.state.withdrawals().count(), 0, "what the key asked for is looked at again at once");
}

#[test]
fn a_class_is_trusted_only_after_ageing_notice_and_veto() {
    let mut run = plain(1);
    let destination = place(Network::Bitcoin, 7);
    run.say(Command::AddAddress { account: account(0), destination });
    let class = |run: &mut Run, number| {
        run.say(usual_prices());
        let id = ask(run, number, 0, 1_000);
        run.state.withdrawal(id).unwrap().reserved
    };
    run.wait(25 * time::HOUR);
    assert_eq!(class(&mut run, 1), Some(Class::Unvouched), "old, but nobody was told");
    run.say(Command::RecordNoticeDelivered { account: account(0), destination });
    run.wait(12 * time::HOUR - 1);
    assert_eq!(class(&mut run, 2), Some(Class::Unvouched), "its owner may still object");
    run.wait(1);
    assert_eq!(class(&mut run, 3), Some(Class::Aged));
    run.say(Command::RemoveAddress { account: account(0), destination });
    assert_eq!(class(&mut run, 4), Some(Class::Unvouched), "forgotten, it is new");
    run.wait(0);
    let classes: Vec<_> = run.state.withdrawals().map(|(_, open)| open.reserved).collect();
    assert_eq!(classes, [Some(Class::Unvouched); 4], "and what waits is trusted as little");
}

#[test]
fn history_enters_once_and_under_two_signatures() {
    let mut run = plain(1);
    let digest = [4; 32];
    let old = run.now.minus(20 * time::DAY);
    let chunk = |number| Command::ImportChunk { digest, accounts: vec![imported(number, "full", old, 3)] };
    assert_refused(&mut run, chunk(5), "import_unknown");
    let manifest = Act::Import(vec![holdfast_decision::acts::Digest(digest)]);
    let one = Signing::new(run.now, 600, &["alice"]).sign(manifest.clone());
    assert_refused(&mut run, one, "signatures_insufficient");
    run.act(manifest, &["alice", "bob"]);
    assert_refused(&mut run, chunk(0), "account_exists");
    let late = vec![imported(5, "full", run.now, 3)];
    assert_refused(&mut run, Command::ImportChunk { digest, accounts: late }, "import_time");
    assert!(!is_refused(&run.say(chunk(5))));
    assert_refused(&mut run, chunk(6), "import_unknown");
}

#[test]
fn prices_that_age_or_jump_are_noticed_and_the_high_counts() {
    let mut run = Run::new(configuration(), policy());
    run.say(Command::OpenAccount { account: account(0), tier: name("full") });
    run.say(prices(&[("BTC", 52_000_000_000)]));
    run.say(prices(&[("BTC", 50_000_000_000)]));
    let id = ask(&mut run, 1, 0, BITCOIN / 10);
    assert_eq!(run.state.withdrawal(id).unwrap().usd_cents().0, 520_000, "valued at the high");
    run.wait(2 * time::HOUR);
    let reasons = |run: &Run, id| {
        let open = run.state.withdrawal(id).unwrap();
        open.decision.reasons.iter().map(|reason| reason.code.clone()).collect::<Vec<_>>()
    };
    let fresh = ask(&mut run, 2, 0, 1_000);
    assert!(!reasons(&run, fresh).contains(&"price_stale".to_owned()));
    run.wait(1);
    let stale = ask(&mut run, 3, 0, 1_000);
    assert!(reasons(&run, stale).contains(&"price_stale".to_owned()));
    run.say(prices(&[("BTC", 61_000_000_000)]));
    let moved = ask(&mut run, 4, 0, 1_000);
    assert!(reasons(&run, moved).contains(&"price_moved".to_owned()));
}

#[test]
fn a_passkey_is_enrolled_and_kept_only_with_a_party_to_use_it_at() {
    let mut next = configuration();
    next.operate = None;
    // A founder's, at the beginning.
    let mut run = Run::empty();
    assert_refused(&mut run, initialise(next.clone(), permit_all()), "party_not_configured");

    // carol has a passkey: its party stays.
    let mut run = plain(1);
    let signed = |run: &Run, number, act: Act| Signing::new(run.now, number, &["alice", "bob"]).sign(act);
    let mut elsewhere = configuration();
    let party = elsewhere.operate.as_mut().unwrap();
    (party.rp_id, party.origins) = ("ops.harbor.example".into(), vec!["https://ops.harbor.example".into()]);
    for (number, configuration) in [(600, &next), (601, &elsewhere)] {
        let act = signed(&run, number, Act::Configure(Box::new(configuration.clone())));
        assert_refused(&mut run, act, "configuration_invalid");
    }
    let mut pages = configuration();
    pages.operate.as_mut().unwrap().origins.push("https://operate.harbor.example:8443".into());
    let act = signed(&run, 602, Act::Configure(Box::new(pages)));
    assert!(!is_refused(&run.say(act)), "its pages may change");

    // Nobody has one: the party may go, and then none is enrolled.
    let revoked = signed(&run, 603, Act::RevokeOperator(name("carol")));
    assert!(!is_refused(&run.say(revoked)));
    let gone = signed(&run, 604, Act::Configure(Box::new(next)));
    assert!(!is_refused(&run.say(gone)));
    let again = signed(&run, 605, Act::EnrolOperator(operator("carol")));
    assert_refused(&mut run, again, "party_not_configured");
    let plain_key = signed(&run, 606, Act::EnrolOperator(operator("erin")));
    assert!(!is_refused(&run.say(plain_key)));
    // The same 32 bytes as a key of the other kind are another key, and nobody's signature.
    let mut other = Signing::new(run.now, 607, &["alice", "bob"]);
    other.signers[0].public_key = OperatorPublicKey::Passkey(*other.signers[0].public_key.bytes());
    let act = other.sign(Act::RevokeOperator(name("erin")));
    assert_refused(&mut run, act, "signatures_insufficient");
    let both = signed(&run, 608, Act::RevokeOperator(name("erin")));
    assert!(!is_refused(&run.say(both)));
}
