//! A journal that was restored, and what its signers remember.

use holdfast_decision::acts::{Act, Digest, EpochStart};
use holdfast_decision::command::{ChainStatus, Command, ProposeTransaction};
use holdfast_decision::event::{Event, RecoveredTransaction, SpendRecovered, Standing};
use holdfast_decision::{Class, State, Status};
use holdfast_values::texts::Purpose;
use holdfast_values::{WithdrawalId, time};

use crate::coins::{authorised, observe, payment, propose, record, seen, text, transfer, voided};
use crate::harbor::{
    BTC, TENTH, alarms, approved, ask, ends, exchange, left, on_its_way, refused, released, standing, status,
};
use crate::play::{Run, is_refused};
use crate::world::{SIGNERS, START, Signing, name, usual_prices};

/// What a signer remembers of a withdrawal of this journal or of one that was lost from it.
fn spend(state: &State, id: WithdrawalId, made: &ProposeTransaction) -> SpendRecovered {
    let open = state.withdrawal(id).unwrap();
    SpendRecovered {
        withdrawal: id,
        intent: state.text_of(id).unwrap().to_string(),
        fingerprint: open.request.fingerprint,
        signer: made.signer.clone(),
        wallet: open.request.wallet,
        network: made.network,
        transactions: vec![RecoveredTransaction {
            transaction: made.transaction,
            spends: made.spends.clone(),
            outputs: None,
        }],
        is_lost: false,
    }
}

fn epoch(
    run: &mut Run,
    epoch: u64,
    signer: &str,
    spends: Vec<SpendRecovered>,
    voided: Vec<WithdrawalId>,
) -> Vec<Event> {
    let start = EpochStart { epoch, store: [5; 16], counter: 9, signer: name(signer), spends, voided };
    run.act(Act::BeginEpoch(Box::new(start)), &["alice", "bob"])
}

/// A journal as it was before its last records.
fn restored(run: &Run, records: usize) -> Run {
    let mut old = Run::empty();
    for record in &run.records[..records] {
        holdfast_decision::fold(&mut old.state, record.sequence, record.at, &record.events);
        old.records.push(record.clone());
    }
    old.now = run.now;
    old
}

#[test]
fn a_restored_journal_goes_on_after_every_signer_told_what_it_remembers() {
    let mut run = exchange();
    let ids = approved(&mut run, 2);
    let backup = run.records.len();
    let made = payment(&run.state, BTC, &ids[..1], &[1]);
    released(&mut run, &made);
    let spends = vec![spend(&run.state, ids[0], &made)];

    let mut run = restored(&run, backup);
    assert_eq!(status(&run, ids[0]), Some(Status::Approved));
    assert_eq!(refused(&mut run, act(1_002, SIGNERS[0])), "epoch_invalid");
    assert_eq!(refused(&mut run, act(1, SIGNERS[0])), "epoch_invalid");
    assert_eq!(refused(&mut run, act(2, "signer-three")), "signer_unknown");
    assert!(!is_refused(&epoch(&mut run, 2, SIGNERS[0], spends.clone(), Vec::new())));
    assert_eq!((run.state.epoch(), run.state.receipts_seen(&name(SIGNERS[0]))), (2, 9));
    assert_eq!(status(&run, ids[0]), Some(Status::Released), "the signer may have paid it");
    let other = payment(&run.state, BTC, &ids[1..], &[2]);
    let code = refused(&mut run, propose(&other));
    assert_eq!(code, "signer_not_recovered", "the second may have paid it");
    assert_eq!(refused(&mut run, act(2, SIGNERS[0])), "epoch_invalid", "told once");
    assert!(!is_refused(&epoch(&mut run, 2, SIGNERS[1], Vec::new(), Vec::new())));
    released(&mut run, &other);
    // Another transaction for the first must replace what the signer remembers.
    let rival = payment(&run.state, BTC, &ids[..1], &[3]);
    assert_eq!(refused(&mut run, propose(&rival)), "not_conflicting");
    released(&mut run, &made);
    assert_eq!(refused(&mut run, record(authorised(&made, 1, 10))), "receipt_stale", "of before the restore");
    run.say(observe(seen(&made, ChainStatus::Included, 3)));
    assert_eq!(ends(&run, ids[0]), 1);
}

fn act(epoch: u64, signer: &str) -> Command {
    let (spends, voided) = (Vec::new(), Vec::new());
    let start = EpochStart { epoch, store: [5; 16], counter: 9, signer: name(signer), spends, voided };
    Signing::new(START, 4_000_000, &["alice", "bob"]).sign(Act::BeginEpoch(Box::new(start)))
}

#[test]
fn a_payment_that_the_journal_lost_makes_the_same_request_a_hold() {
    let mut run = exchange();
    let backup = run.records.len();
    let id = ask(&mut run, 0, ("BTC", BTC), TENTH, 40);
    let made = payment(&run.state, BTC, &[id], &[1]);
    released(&mut run, &made);
    let spends = vec![spend(&run.state, id, &made), spend(&run.state, id, &made)];
    let after = left(&run, Class::Unvouched);

    let mut run = restored(&run, backup);
    for signer in SIGNERS {
        epoch(&mut run, 2, signer, spends.clone(), Vec::new());
    }
    assert_eq!(left(&run, Class::Unvouched), after, "what was paid is spent, once");
    let events = run.say(observe(seen(&made, ChainStatus::Included, 3)));
    assert!(alarms(&events).is_empty(), "it is no theft");
    let again = ask(&mut run, 0, ("BTC", BTC), TENTH, 40);
    assert_eq!(status(&run, again), Some(Status::Held));
    let reasons = &run.state.withdrawal(again).unwrap().decision.reasons;
    assert_eq!(reasons[0].code, "may_be_paid");
    let others = [
        ask(&mut run, 0, ("BTC", BTC), TENTH + 1, 40),
        ask(&mut run, 0, ("BTC", BTC), TENTH, 41),
        ask(&mut run, 1, ("BTC", BTC), TENTH, 40),
    ];
    assert!(others.iter().all(|id| status(&run, *id) == Some(Status::Approved)), "another is another");
    // Operators who looked let it go on; a month later nobody remembers.
    let digest = run.state.text_of(again).unwrap().digest();
    run.act(Act::ApproveWithdrawal { withdrawal: again, text: Digest(digest.0) }, &["alice", "bob"]);
    assert_eq!(status(&run, again), Some(Status::Approved));
    run.wait(31 * time::DAY);
    run.say(usual_prices());
    let late = ask(&mut run, 0, ("BTC", BTC), TENTH, 40);
    assert_eq!(status(&run, late), Some(Status::Approved));
}

#[test]
fn a_new_epoch_takes_nothing_for_lost_that_this_journal_has_closed() {
    let (mut run, id, made) = on_its_way();
    let spends = vec![spend(&run.state, id, &made)];
    run.say(observe(seen(&made, ChainStatus::Included, 3)));
    let before = left(&run, Class::Unvouched);
    epoch(&mut run, 2, SIGNERS[0], spends, Vec::new());
    assert_eq!(left(&run, Class::Unvouched), before);
    epoch(&mut run, 2, SIGNERS[1], Vec::new(), Vec::new());
    let again = ask(&mut run, 0, ("BTC", BTC), TENTH, 40);
    assert_eq!(status(&run, again), Some(Status::Approved));
}

#[test]
fn what_a_signer_paid_without_a_reservation_creates_no_value_when_it_is_replaced() {
    let mut run = exchange();
    let id = ask(&mut run, 0, ("BTC", BTC), 100 * TENTH, 40);
    assert_eq!((status(&run, id), run.state.withdrawal(id).unwrap().reserved), (Some(Status::Held), None));
    let made = payment(&run.state, BTC, &[id], &[1]);
    let spends = vec![spend(&run.state, id, &made)];
    epoch(&mut run, 2, SIGNERS[0], spends, Vec::new());
    epoch(&mut run, 2, SIGNERS[1], Vec::new(), Vec::new());
    assert_eq!(status(&run, id), Some(Status::Released));
    let empty = [0, 0, 0];
    assert_eq!(left(&run, Class::Unvouched), empty, "it was more than there was");
    let sweep = transfer(&text(BTC, 1, Purpose::Cancel, run.now), &[1], &[]);
    released(&mut run, &sweep);
    let events = run.say(observe(seen(&sweep, ChainStatus::Included, 3)));
    let is_replaced =
        |event: &Event| matches!(event, Event::WithdrawalMoved { status: Status::Replaced, .. });
    assert!(events.iter().any(is_replaced), "{events:?}");
    assert_eq!((status(&run, id), ends(&run, id)), (None, 1));
    assert_eq!(left(&run, Class::Unvouched), empty, "and what was not taken does not come back");
}

#[test]
fn a_signer_that_voided_before_the_restore_ends_what_the_journal_has_as_released() {
    let (mut run, id, made) = on_its_way();
    let full = [200_000_000, 9_000_000, 14_000_000];
    epoch(&mut run, 2, SIGNERS[1], Vec::new(), Vec::new());
    epoch(&mut run, 2, SIGNERS[0], Vec::new(), vec![id, id]);
    assert_eq!((status(&run, id), standing(&run, &made)), (None, Some(Standing::Dead)));
    assert_eq!((left(&run, Class::Unvouched), ends(&run, id)), (full, 1));
    // While another may have signed what this journal has lost, what it had asked of the one will never be; no more.
    let (mut run, id, made) = on_its_way();
    epoch(&mut run, 2, SIGNERS[0], Vec::new(), vec![id]);
    assert_eq!((status(&run, id), standing(&run, &made)), (Some(Status::Released), Some(Standing::Dead)));
    assert_eq!(refused(&mut run, record(voided(SIGNERS[0], 2, id, 10))), "receipt_stale");
    epoch(&mut run, 2, SIGNERS[1], Vec::new(), Vec::new());
    run.say(record(voided(SIGNERS[0], 2, id, 10)));
    assert_eq!((status(&run, id), left(&run, Class::Unvouched)), (None, full));
    // Not what it also paid, nor what another signer was asked for.
    let (mut run, id, made) = on_its_way();
    let spends = vec![spend(&run.state, id, &made)];
    epoch(&mut run, 2, SIGNERS[0], spends, vec![id]);
    assert_eq!(status(&run, id), Some(Status::Released));
    let (mut run, id, _) = on_its_way();
    epoch(&mut run, 2, SIGNERS[1], Vec::new(), vec![id]);
    assert_eq!(status(&run, id), Some(Status::Released));
}

#[test]
fn a_journal_restored_twice_goes_on_in_an_epoch_that_no_signer_has_followed_yet() {
    let mut run = exchange();
    let ids = approved(&mut run, 1);
    let backup = run.records.len();
    let mut once = restored(&run, backup);
    assert!(!is_refused(&epoch(&mut once, 2, SIGNERS[0], Vec::new(), Vec::new())));

    // The signer is in epoch 2 now and takes it from nobody else: the second restore must be able to pass it by.
    let mut twice = restored(&run, backup);
    assert!(!is_refused(&epoch(&mut twice, 3, SIGNERS[0], Vec::new(), Vec::new())));
    assert!(!is_refused(&epoch(&mut twice, 3, SIGNERS[1], Vec::new(), Vec::new())));
    assert_eq!(twice.state.epoch(), 3);
    let made = payment(&twice.state, BTC, &ids, &[1]);
    released(&mut twice, &made);
}
