//! The order of the ladder of refusals, pinned: a request that violates everything is mended one thing at a time, and
//! each time the next rung speaks, and only that.

use holdfast_decision::acts::Act;
use holdfast_decision::command::{
    ApiEvidence, Command, Evidence, RequestWithdrawal, Scope, Scopes, SecurityChange,
};
use holdfast_decision::event::Event;
use holdfast_decision::{OPEN_MAX, decide};
use holdfast_values::{Network, Timestamp, UsdCents, WithdrawalId, time};

use crate::play::{Run, is_refused};
use crate::world::{
    account, configuration, destination, fingerprint, initialise, name, place, policy, prices, request,
    symbol, usual_prices,
};

/// What would be said now: the code of a refusal, or the status and all codes of the decision.
fn answer(run: &Run, made: &RequestWithdrawal) -> String {
    let mut events = Vec::new();
    decide(&run.state, run.now, &Command::RequestWithdrawal(Box::new(made.clone())), &mut events);
    for event in &events {
        match event {
            Event::Refused { refusal, .. } => return format!("refused: {refusal}"),
            Event::WithdrawalDecided { decision, .. } => {
                let codes: Vec<_> = decision.reasons.iter().map(|reason| reason.code.as_str()).collect();
                return format!("{}: {}", decision.status.name(), codes.join(" "));
            }
            _ => {}
        }
    }
    panic!("no answer: {events:?}")
}

fn send(run: &mut Run, made: RequestWithdrawal) {
    let events = run.say(Command::RequestWithdrawal(Box::new(made)));
    assert!(!is_refused(&events), "{events:?}");
}

/// Everything is wrong with this request, and with the account that it speaks for once it names it.
fn everything_wrong(run: &mut Run) -> RequestWithdrawal {
    let (who, key) = (account(0), |number| fingerprint("key", number));
    let ip_allowlist = vec![fingerprint("ip", 0)];
    run.say(Command::OpenAccount { account: who.clone(), tier: name("closed") });
    run.say(Command::OpenAccount { account: account(1), tier: name("full") });
    // Key 1 is revoked, key 2 may only read and has been put twice, key 3 is good.
    for (number, scopes) in [(1, 7), (2, 1), (2, 1), (3, 7)] {
        let ip_allowlist = ip_allowlist.clone();
        run.say(Command::PutApiKey {
            account: who.clone(),
            key: key(number),
            scopes: Scopes(scopes),
            ip_allowlist,
        });
    }
    run.say(Command::RevokeApiKey { account: who.clone(), key: key(1) });
    run.say(prices(&[("BTC", 50_000_000_000), ("USDX", 1_000_000)]));
    // The signed request was seen: it is remembered for a long time, and denied only for its key.
    let mut seen = request(run.now, 1, 0, ("BTC", Network::Bitcoin), 1_000, 7);
    seen.evidence = Evidence::ApiRequest(Box::new(evidence(9, 1, run.now, time::DAY)));
    send(run, seen);
    for number in 0..OPEN_MAX as u64 {
        send(run, request(run.now, 100 + number, 1, ("BTC", Network::Bitcoin), 1_000, 7));
    }
    // The one whose id and idempotency key will be used again.
    let first = request(run.now, 2, 1, ("BTC", Network::Bitcoin), 1_000, 7);
    run.say(Command::CancelWithdrawal { account: account(1), withdrawal: crate::world::id(run.now, 100) });
    send(run, first.clone());
    run.say(Command::FreezeAccount { account: who.clone(), by: name("dora") });
    run.say(Command::FreezeAccount { account: account(1), by: name("dora") });
    run.say(Command::RecordSecurityChange { account: who.clone(), kind: SecurityChange::Password });
    run.say(Command::LowerLimits { account: who, usd_cents_24h: UsdCents(1), usd_cents_30d: UsdCents(1) });
    run.say(Command::Halt { scope: Scope::Overall, by: name("dora") });

    let mut made = request(run.now, 2, 99, ("DOGE", Network::Litecoin), 0, 8);
    made.idempotency.body = fingerprint("body", 99);
    made.evidence =
        Evidence::ApiRequest(Box::new(evidence(9, 1, run.now.minus(time::MINUTE), 5 * time::SECOND)));
    made
}

/// A signed request by a key, from an address that is on no list, about something else.
fn evidence(key: u64, revision: u32, signed_at: Timestamp, window: u64) -> ApiEvidence {
    ApiEvidence {
        key: fingerprint("key", key),
        revision,
        signed_at,
        window,
        request: fingerprint("request", 1),
        ip: fingerprint("ip", 5),
        differs: 31,
        verifier: 1,
        sealed: Vec::new(),
    }
}

#[test]
fn the_first_rung_that_applies_speaks() {
    let mut run = Run::empty();
    let nothing = request(run.now, 1, 0, ("BTC", Network::Bitcoin), 1, 7);
    assert_eq!(answer(&run, &nothing), "refused: not_initialised");
    run.say(initialise(configuration(), policy()));
    let mut made = everything_wrong(&mut run);

    // What is malformed is refused, and nothing is remembered of it.
    assert_eq!(answer(&run, &made), "refused: idempotency_conflict");
    made.idempotency.key = fingerprint("idempotency", 5_000);
    assert_eq!(answer(&run, &made), "refused: withdrawal_exists");
    made.withdrawal = WithdrawalId(5_000);
    assert_eq!(answer(&run, &made), "refused: account_unknown");
    made.account = account(1);
    assert_eq!(answer(&run, &made), "refused: network_not_releasable");
    (made.destination, made.fingerprint) = (destination(Network::Base, 8), place(Network::Base, 8));
    assert_eq!(answer(&run, &made), "refused: asset_unknown");
    made.asset = symbol("ETH");
    assert_eq!(answer(&run, &made), "refused: network_not_configured");
    (made.destination, made.fingerprint) = (destination(Network::Ethereum, 8), place(Network::Ethereum, 8));
    assert_eq!(answer(&run, &made), "refused: amount_zero");
    made.amount = holdfast_values::Amount::from_base_units(100 * 10u128.pow(18));
    assert_eq!(answer(&run, &made), "refused: too_many");

    // The ladder: each rung speaks alone.
    run.say(Command::CancelWithdrawal { account: account(1), withdrawal: crate::world::id(run.now, 101) });
    assert_eq!(answer(&run, &made), "denied: account_frozen");
    made.account = account(0);
    assert_eq!(answer(&run, &made), "denied: account_frozen");
    run.act(Act::UnfreezeAccount(account(0)), &["alice", "bob"]);
    assert_eq!(answer(&run, &made), "denied: api_key_unknown");
    let mend = |made: &mut RequestWithdrawal, mend: &dyn Fn(&mut ApiEvidence)| {
        if let Evidence::ApiRequest(evidence) = &mut made.evidence {
            mend(evidence);
        }
    };
    mend(&mut made, &|evidence| (evidence.key, evidence.revision) = (fingerprint("key", 1), 9));
    assert_eq!(answer(&run, &made), "denied: api_key_revoked");
    mend(&mut made, &|evidence| evidence.key = fingerprint("key", 2));
    assert_eq!(answer(&run, &made), "denied: api_key_revision");
    mend(&mut made, &|evidence| evidence.revision = 2);
    assert_eq!(answer(&run, &made), "denied: api_key_scope");
    mend(&mut made, &|evidence| (evidence.key, evidence.revision) = (fingerprint("key", 3), 1));
    assert_eq!(answer(&run, &made), "denied: api_ip_not_allowed");
    mend(&mut made, &|evidence| evidence.ip = fingerprint("ip", 0));
    assert_eq!(answer(&run, &made), "denied: api_timestamp");
    let now = run.now;
    mend(&mut made, &|evidence| evidence.signed_at = now);
    assert_eq!(answer(&run, &made), "denied: api_replayed");
    mend(&mut made, &|evidence| evidence.request = fingerprint("request", 2));
    assert_eq!(answer(&run, &made), "denied: api_mismatch");
    mend(&mut made, &|evidence| evidence.differs = 0);
    assert_eq!(answer(&run, &made), "held: price_unknown");

    // The policy: whatever matches is a reason, the most severe wins; then what makes everybody wait.
    run.say(usual_prices());
    let halted = "busy_hour young_api_key halted";
    let limits = "over_daily_limit over_monthly_limit";
    let rest = format!("new_destination large_amount recent_security_change {limits} {halted}");
    assert_eq!(
        answer(&run, &made),
        format!("denied: not_permitted policy_error unvouched_destination {rest}")
    );
    run.act(Act::SetTier { account: account(0), tier: name("full") }, &["alice", "bob"]);
    assert_eq!(answer(&run, &made), format!("denied: policy_error unvouched_destination {rest}"));
    let raise = Act::SetLimits { account: account(0), usd_cents_24h: None, usd_cents_30d: None };
    run.act(raise, &["alice", "bob"]);
    let rest = "new_destination large_amount recent_security_change";
    assert_eq!(answer(&run, &made), format!("held: policy_error unvouched_destination {rest} {halted}"));
    made.amount = holdfast_values::Amount::from_base_units(20 * 10u128.pow(18));
    assert_eq!(answer(&run, &made), format!("held: unvouched_destination {rest} {halted}"));
    run.wait(7 * time::HOUR);
    run.say(usual_prices());
    let now = run.now;
    mend(&mut made, &|evidence| evidence.signed_at = now);
    assert_eq!(
        answer(&run, &made),
        "awaiting_approval: unvouched_destination new_destination large_amount halted"
    );

    // The buckets come last, and only for what nothing else keeps back.
    made.evidence = Evidence::Session { one_time_code: true };
    made.amount = holdfast_values::Amount::from_base_units(9 * 10u128.pow(18));
    assert_eq!(answer(&run, &made), "held: unvouched_destination halted exceeds_bucket_share");
    (made.asset, made.destination) = (symbol("USDX"), destination(Network::Polygon, 8));
    made.fingerprint = place(Network::Polygon, 8);
    made.amount = holdfast_values::Amount::from_base_units(9_000_000);
    assert_eq!(answer(&run, &made), "held: unvouched_destination halted bucket_not_configured");
    (made.asset, made.destination) = (symbol("ETH"), destination(Network::Ethereum, 8));
    made.fingerprint = place(Network::Ethereum, 8);
    made.amount = holdfast_values::Amount::from_base_units(10u128.pow(18));
    assert_eq!(answer(&run, &made), "dwelling: unvouched_destination halted");
    run.act(Act::Resume(Scope::Overall), &["alice", "bob"]);
    assert_eq!(answer(&run, &made), "dwelling: unvouched_destination");
    run.say(Command::AddAddress { account: account(0), destination: made.fingerprint });
    run.say(Command::RecordNoticeDelivered { account: account(0), destination: made.fingerprint });
    run.wait(25 * time::HOUR);
    run.say(usual_prices());
    assert_eq!(answer(&run, &made), "approved: ");
}
