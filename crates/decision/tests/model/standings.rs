//! What chains and signers show of what was released, and of what was never released: one test a rule.

use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{ChainStatus, Command, Observation, ProposeTransaction, Scope};
use holdfast_decision::event::{Alarm, Event, Standing};
use holdfast_decision::{Class, Status};
use holdfast_values::texts::Purpose;
use holdfast_values::time;

use crate::coins::{
    authorised, bare, chain_id, key, keys, observe, output, own, payment, propose, record, sealed, seen,
    text, transfer, units, voided,
};
use crate::harbor::{
    BTC, ETH, ETHER, TENTH, alarms, approved, ask, ends, exchange, is_halted, left, on_its_way, refused,
    released, standing, status,
};
use crate::play::Run;
use crate::world::{EXCHANGE, SIGNERS, account, destination, name, place, usual_prices};

#[test]
fn a_withdrawal_follows_its_transaction_to_the_end() {
    let (mut run, id, made) = on_its_way();
    let steps = [
        (ChainStatus::Pending, 0, Status::Broadcast),
        (ChainStatus::Included, 1, Status::Confirmed),
        (ChainStatus::Included, 2, Status::Confirmed),
        (ChainStatus::Pending, 0, Status::Broadcast),
        (ChainStatus::Included, 1, Status::Confirmed),
        (ChainStatus::Vanished, 0, Status::Broadcast),
        (ChainStatus::Failed, 1, Status::Broadcast),
        (ChainStatus::Included, 2, Status::Confirmed),
    ];
    for (shown, confirmations, expected) in steps {
        let events = run.say(observe(seen(&made, shown, confirmations)));
        assert!(alarms(&events).is_empty());
        assert_eq!(status(&run, id), Some(expected), "{shown:?} {confirmations}");
        assert!(run.say(observe(seen(&made, shown, confirmations))).is_empty(), "said twice");
    }
    let before = left(&run, Class::Unvouched);
    let events = run.say(observe(seen(&made, ChainStatus::Included, 3)));
    assert!(events.iter().any(|event| matches!(event, Event::WithdrawalPaid { .. })));
    assert_eq!((status(&run, id), ends(&run, id)), (None, 1));
    assert_eq!(left(&run, Class::Unvouched), before, "what was paid stays spent");
    assert!(run.say(observe(seen(&made, ChainStatus::Included, 4))).is_empty());
    assert_eq!((standing(&run, &made), ends(&run, id)), (Some(Standing::Final), 1));
}

#[test]
fn a_transaction_that_fails_for_good_gives_its_value_back_once() {
    let mut run = exchange();
    let full = left(&run, Class::Unvouched)[2];
    let id = ask(&mut run, 0, ("ETH", ETH), ETHER, 40);
    let made = payment(&run.state, ETH, &[id], &[1]);
    released(&mut run, &made);
    run.say(observe(seen(&made, ChainStatus::Failed, 3)));
    assert_eq!(status(&run, id), Some(Status::Broadcast));
    assert!(left(&run, Class::Unvouched)[2] < full);
    run.say(observe(seen(&made, ChainStatus::Failed, 4)));
    assert_eq!((status(&run, id), ends(&run, id)), (None, 1));
    assert_eq!(left(&run, Class::Unvouched)[2], full);
    run.say(observe(seen(&made, ChainStatus::Failed, 5)));
    assert_eq!((left(&run, Class::Unvouched)[2], ends(&run, id)), (full, 1));
}

#[test]
fn a_final_conflicting_transaction_gives_value_back_once_and_only_what_it_made_impossible() {
    let mut run = exchange();
    let full = left(&run, Class::Unvouched);
    let ids = approved(&mut run, 2);
    let both = payment(&run.state, BTC, &ids, &[1, 2]);
    released(&mut run, &both);
    let second = payment(&run.state, BTC, &ids[1..], &[2, 3]);
    released(&mut run, &second);
    let sweep = transfer(&text(BTC, 1, Purpose::Consolidation, run.now), &[1], &[]);
    released(&mut run, &sweep);
    run.say(observe(seen(&sweep, ChainStatus::Included, 3)));
    assert_eq!((status(&run, ids[0]), ends(&run, ids[0])), (None, 1), "replaced");
    assert_eq!(status(&run, ids[1]), Some(Status::Released), "the second transaction may still pay it");
    assert_eq!(full[0] - left(&run, Class::Unvouched)[0], TENTH);
    run.say(observe(seen(&second, ChainStatus::Included, 3)));
    assert_eq!((status(&run, ids[1]), ends(&run, ids[1])), (None, 1), "paid");
    assert_eq!(full[0] - left(&run, Class::Unvouched)[0], TENTH);
}

#[test]
fn a_spend_that_nobody_released_stops_its_wallet_once_and_only_once() {
    let (mut run, id, made) = on_its_way();
    let mut theft = bare(BTC, &[8], vec![output(BTC, 90, 5 * TENTH)]);
    let events = run.say(observe(seen(&theft, ChainStatus::Pending, 0)));
    assert_eq!(alarms(&events), [Alarm::UnknownSpend]);
    assert!(is_halted(&run, "hot-btc") && !is_halted(&run, "hot-evm"));
    run.act(Act::Resume(Scope::Wallet(name("hot-btc"))), &["alice", "bob"]);
    for confirmations in 0..5 {
        let events = run.say(observe(seen(&theft, ChainStatus::Included, confirmations)));
        assert!(alarms(&events).is_empty() && !is_halted(&run, "hot-btc"), "{events:?}");
    }
    assert!(run.say(observe(seen(&theft, ChainStatus::Vanished, 0))).is_empty());
    // The same transaction spends another wallet's coins too: that wallet stops as well.
    (theft.wallet, theft.network, theft.spends) = (name("hot-evm"), ETH, keys(ETH, &[8]));
    let events = run.say(observe(seen(&theft, ChainStatus::Pending, 0)));
    assert_eq!(alarms(&events), [Alarm::UnknownSpend]);
    assert!(is_halted(&run, "hot-evm"));
    assert_eq!(status(&run, id), Some(Status::Released));
    assert_eq!(standing(&run, &made), Some(Standing::Unseen));
}

#[test]
fn a_transaction_is_recognised_by_all_that_it_spends_and_pays() {
    type Change = fn(&mut ProposeTransaction);
    let rows: [(&str, Change); 4] = [
        ("it pays somebody else", |made| made.outputs[0].destination = destination(BTC, 90)),
        ("it pays more", |made| made.outputs[0].amount = units(TENTH + 1)),
        ("it spends another coin too", |made| made.spends = keys(BTC, &[1, 2])),
        ("it spends another coin", |made| made.spends = keys(BTC, &[2])),
    ];
    for (what, change) in rows {
        let (mut run, id, made) = on_its_way();
        let mut other = made.clone();
        change(&mut other);
        let mut shown = seen(&sealed(other), ChainStatus::Included, 1);
        // Its id says nothing.
        shown.chain_id = chain_id(&made.transaction);
        assert_eq!(alarms(&run.say(observe(shown))), [Alarm::UnknownSpend], "{what}");
        assert_eq!(
            (status(&run, id), standing(&run, &made)),
            (Some(Status::Released), Some(Standing::Unseen))
        );
    }
    // And under another id it is the same.
    let (mut run, id, made) = on_its_way();
    let mut shown = seen(&made, ChainStatus::Included, 1);
    shown.chain_id = [9; 32];
    assert!(alarms(&run.say(observe(shown))).is_empty());
    assert_eq!(status(&run, id), Some(Status::Confirmed));
}

#[test]
fn a_theft_that_is_final_ends_what_it_made_impossible() {
    let (mut run, id, _) = on_its_way();
    let theft = bare(BTC, &[1], vec![output(BTC, 90, 5 * TENTH)]);
    run.say(observe(seen(&theft, ChainStatus::Included, 2)));
    assert_eq!(status(&run, id), Some(Status::Released));
    run.say(observe(seen(&theft, ChainStatus::Included, 3)));
    assert_eq!((status(&run, id), ends(&run, id)), (None, 1), "replaced");
    assert_eq!(left(&run, Class::Unvouched)[0], 200_000_000);
}

#[test]
fn a_reorganisation_of_what_is_final_alarms_once() {
    let rows: [fn(&ProposeTransaction) -> Observation; 2] =
        [|made| seen(made, ChainStatus::Pending, 0), |made| seen(made, ChainStatus::Vanished, 0)];
    for shown in rows {
        let (mut run, id, made) = on_its_way();
        run.say(observe(seen(&made, ChainStatus::Included, 3)));
        let events = run.say(observe(shown(&made)));
        assert_eq!(alarms(&events), [Alarm::DeepReorganisation]);
        assert!(is_halted(&run, "hot-btc"));
        run.act(Act::Resume(Scope::Wallet(name("hot-btc"))), &["alice", "bob"]);
        assert!(run.say(observe(shown(&made))).is_empty());
        assert_eq!(ends(&run, id), 1);
    }
    // What can never be is in a block after all.
    let (mut run, id, made) = on_its_way();
    let cancel = transfer(&text(BTC, 1, Purpose::Cancel, run.now), &[1], &[]);
    released(&mut run, &cancel);
    run.say(observe(seen(&cancel, ChainStatus::Included, 3)));
    assert!(run.say(observe(seen(&made, ChainStatus::Pending, 0))).is_empty(), "a node that lags behind");
    assert!(run.say(observe(seen(&made, ChainStatus::Vanished, 0))).is_empty());
    let events = run.say(observe(seen(&made, ChainStatus::Included, 1)));
    assert_eq!((alarms(&events), ends(&run, id)), (vec![Alarm::DeepReorganisation], 1));
}

#[test]
fn a_price_bump_that_does_the_same_is_no_reorganisation() {
    // Two transactions of one nonce that pay the same at another price: a node forgets the first when the second is in.
    let mut run = exchange();
    let id = ask(&mut run, 0, ("ETH", ETH), ETHER, 40);
    let first = payment(&run.state, ETH, &[id], &[1]);
    let mut second = first.clone();
    second.fee = units(20_000);
    let second = sealed(second);
    released(&mut run, &first);
    run.say(observe(seen(&first, ChainStatus::Pending, 0)));
    released(&mut run, &second);
    run.say(observe(seen(&second, ChainStatus::Pending, 0)));
    run.say(observe(seen(&second, ChainStatus::Included, 1)));
    run.say(observe(seen(&first, ChainStatus::Vanished, 0)));
    assert_eq!(status(&run, id), Some(Status::Confirmed), "the one that is in a block counts");
    run.say(observe(seen(&second, ChainStatus::Included, 4)));
    assert_eq!(
        (standing(&run, &first), standing(&run, &second)),
        (Some(Standing::Dead), Some(Standing::Final))
    );
    for late in [&first, &second] {
        let mut shown = seen(late, ChainStatus::Vanished, 0);
        shown.chain_id = chain_id(&first.transaction);
        assert!(run.say(observe(shown)).is_empty());
    }
    assert_eq!(ends(&run, id), 1);

    // Signed twice it has two ids, and one transaction.
    let (mut run, id, made) = on_its_way();
    let mut again = seen(&made, ChainStatus::Pending, 0);
    again.chain_id = [9; 32];
    run.say(observe(again.clone()));
    run.say(observe(seen(&made, ChainStatus::Included, 3)));
    again.status = ChainStatus::Vanished;
    assert!(run.say(observe(again)).is_empty());
    assert_eq!((ends(&run, id), is_halted(&run, "hot-btc")), (1, false));
}

#[test]
fn time_gives_nothing_back_after_a_release_and_nobody_but_chain_and_signer_moves_it() {
    let (mut run, id, made) = on_its_way();
    run.say(observe(seen(&made, ChainStatus::Pending, 0)));
    run.say(Command::FreezeAccount { account: account(0), by: name("dora") });
    run.say(Command::RemoveAddress { account: account(0), destination: place(BTC, 40) });
    run.say(Command::Halt { scope: Scope::Overall, by: name("dora") });
    let own = |withdrawal| Command::CancelWithdrawal { account: account(0), withdrawal };
    assert_eq!(refused(&mut run, own(id)), "already_released");
    let deny = Command::DenyWithdrawal { withdrawal: id, by: name("dora") };
    assert_eq!(refused(&mut run, deny), "already_released");
    run.wait(20 * time::DAY);
    let open = run.state.withdrawal(id).unwrap();
    assert_eq!((open.status(), ends(&run, id)), (Status::Broadcast, 0));
    assert_eq!(standing(&run, &made), Some(Standing::Pending));
    run.say(observe(seen(&made, ChainStatus::Included, 3)));
    assert_eq!(ends(&run, id), 1);
}

#[test]
fn a_receipt_of_what_was_released_is_recorded_and_of_anything_else_alarms() {
    let (mut run, id, made) = on_its_way();
    let events = run.say(record(authorised(&made, 1, 1)));
    assert!(matches!(events[..], [Event::ReceiptRecorded { transaction: Some(_), .. }]), "{events:?}");
    assert!(run.state.transaction(&made.transaction).unwrap().is_signed);
    assert_eq!(run.state.receipts_seen(&made.signer), 1);
    assert!(run.say(record(authorised(&made, 1, 1))).is_empty(), "said twice");

    let mut stale = authorised(&made, 2, 2);
    assert_eq!(refused(&mut run, record(stale.clone())), "receipt_stale");
    (stale.epoch, stale.exchange) = (1, "other.example".to_owned());
    assert_eq!(refused(&mut run, record(stale.clone())), "receipt_stale");
    (stale.signer, stale.exchange) = (name("signer-three"), EXCHANGE.to_owned());
    assert_eq!(refused(&mut run, record(stale)), "signer_unknown");

    type Change = fn(&mut ProposeTransaction);
    let rows: [(&str, Change); 4] = [
        ("never released", |made| made.transaction = Digest([9; 32])),
        ("released to another signer", |made| made.signer = name(SIGNERS[1])),
        ("released for another wallet", |made| (made.wallet, made.network) = (name("hot-evm"), ETH)),
        ("it spends another coin", |made| made.spends = keys(BTC, &[9])),
    ];
    for (what, change) in rows {
        let (mut run, id, mut other) = on_its_way();
        change(&mut other);
        let events = run.say(record(authorised(&other, 1, 3)));
        assert_eq!(alarms(&events), [Alarm::UnknownAuthorisation], "{what}");
        assert!(is_halted(&run, other.wallet.as_str()), "{what}");
        assert!(run.say(record(authorised(&other, 1, 3))).is_empty(), "{what}: said twice");
        assert_eq!((status(&run, id), run.state.receipts_seen(&other.signer)), (Some(Status::Released), 3));
        let known = run.state.transactions().next().unwrap().1;
        assert!(!known.is_signed, "{what}");
    }
    assert_eq!(status(&run, id), Some(Status::Released));
}

#[test]
fn a_withdrawal_that_its_signer_voids_gets_its_value_back_once() {
    let mut run = exchange();
    let full = left(&run, Class::Unvouched);
    let ids = approved(&mut run, 2);
    let made = payment(&run.state, BTC, &ids, &[1]);
    released(&mut run, &made);
    run.say(record(voided(SIGNERS[0], 1, ids[0], 1)));
    assert_eq!((status(&run, ids[0]), ends(&run, ids[0])), (None, 1));
    assert_eq!(full[0] - left(&run, Class::Unvouched)[0], TENTH);
    assert_eq!(refused(&mut run, record(voided(SIGNERS[0], 1, ids[0], 1))), "withdrawal_unknown");
    // The other goes on with another transaction, for which the dead one is no rival.
    assert_eq!((status(&run, ids[1]), standing(&run, &made)), (Some(Status::Released), Some(Standing::Dead)));
    assert_eq!(refused(&mut run, propose(&made)), "release_differs");
    // Even long after.
    run.wait(20 * time::DAY);
    run.say(usual_prices());
    let other = payment(&run.state, BTC, &ids[1..], &[2]);
    released(&mut run, &other);
    run.say(observe(seen(&other, ChainStatus::Included, 3)));
    assert_eq!(ends(&run, ids[1]), 1);
}

#[test]
fn what_was_not_released_can_be_voided_too() {
    let mut run = exchange();
    let full = left(&run, Class::Unvouched);
    let id = approved(&mut run, 1)[0];
    run.say(record(voided(SIGNERS[0], 1, id, 1)));
    assert_eq!((status(&run, id), left(&run, Class::Unvouched)), (None, full));
}

#[test]
fn what_two_signers_were_asked_for_both_must_void() {
    let (mut run, id, made) = on_its_way();
    let mut bump = made.clone();
    (bump.fee, bump.signer) = (units(20_000), name(SIGNERS[1]));
    let bump = sealed(bump);
    released(&mut run, &bump);
    run.say(record(voided(SIGNERS[0], 1, id, 1)));
    assert_eq!((status(&run, id), ends(&run, id)), (Some(Status::Released), 0));
    assert_eq!(
        (standing(&run, &made), standing(&run, &bump)),
        (Some(Standing::Dead), Some(Standing::Unseen))
    );
    assert_eq!(refused(&mut run, record(voided(SIGNERS[0], 1, id, 1))), "receipt_stale", "it has said so");
    run.say(record(voided(SIGNERS[1], 1, id, 1)));
    assert_eq!((status(&run, id), ends(&run, id)), (None, 1));
}

#[test]
fn a_signer_voids_nothing_that_it_or_another_may_have_signed() {
    type Before = fn(&mut Run, &ProposeTransaction);
    let rows: [(&str, &str, Before); 3] = [
        ("it has signed it", SIGNERS[0], |run, made| drop(run.say(record(authorised(made, 1, 1))))),
        ("a node shows it", SIGNERS[0], |run, made| {
            drop(run.say(observe(seen(made, ChainStatus::Pending, 0))))
        }),
        ("another was asked", SIGNERS[1], |_, _| {}),
    ];
    for (what, signer, before) in rows {
        let (mut run, id, made) = on_its_way();
        before(&mut run, &made);
        assert_eq!(refused(&mut run, record(voided(signer, 1, id, 2))), "receipt_stale", "{what}");
        assert!(status(&run, id).is_some_and(Status::is_released), "{what}");
    }
}

#[test]
fn an_observation_names_what_is_spent_and_a_wallet_that_is_there() {
    let (mut run, _, made) = on_its_way();
    let mut shown = seen(&made, ChainStatus::Pending, 0);
    shown.spends.clear();
    assert_eq!(refused(&mut run, observe(shown)), "batch_empty");
    let mut shown = seen(&made, ChainStatus::Pending, 0);
    shown.wallet = name("cold");
    assert_eq!(refused(&mut run, observe(shown)), "wallet_unknown");
    let mut shown = seen(&made, ChainStatus::Pending, 0);
    shown.network = ETH;
    assert_eq!(refused(&mut run, observe(shown)), "wallet_chain_unknown");
    assert!(key(BTC, 1) != key(ETH, 1));
    assert!(own(BTC, "hot-btc", 1).own.is_some());
}
