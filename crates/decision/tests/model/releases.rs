//! May this transaction be signed? One row a refusal, one test a rule.

use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{ChainStatus, Command, ProposeTransaction, Scope};
use holdfast_decision::event::{Dropped, Event, Standing, WalletIndex};
use holdfast_decision::reason::Drop;
use holdfast_decision::{Class, Configuration, Status};
use holdfast_values::texts::{Purpose, TransferText};
use holdfast_values::{OperatorPublicKey, WithdrawalId, time};

use crate::coins::{
    approval, external, keys, observe, output, payment, propose, sealed, seen, text, transfer, units,
};
use crate::harbor::{
    BTC, ETH, ETHER, TENTH, approved, ask, dropped, exchange, left, on_its_way, refused, released, standing,
    status,
};
use crate::play::{Run, is_refused};
use crate::world::{
    SIGNERS, START, account, configuration, destination, name, other_configuration, place, usual_prices,
};

/// A way to spoil a good transaction that pays two withdrawals.
type Spoil = fn(&mut ProposeTransaction);

#[test]
fn a_batch_is_refused_for_everything_that_its_withdrawals_do_not_say() {
    let rows: [(&str, Spoil, &str); 25] = [
        ("an output is missing", |made| drop(made.outputs.remove(0)), "output_missing"),
        ("an output is too much", |made| made.outputs.push(output(BTC, 90, 1_000)), "output_extra"),
        ("an output is there twice", |made| made.outputs.push(made.outputs[0].clone()), "output_extra"),
        (
            "an output is split",
            |made| {
                made.outputs[0].amount = units(TENTH / 2);
                made.outputs.push(made.outputs[0].clone());
            },
            "output",
        ),
        (
            "two outputs are merged",
            |made| {
                made.outputs[0].amount = units(2 * TENTH);
                made.outputs.remove(1);
            },
            "output",
        ),
        ("an output goes elsewhere", |made| made.outputs[0].destination = destination(BTC, 90), "output"),
        ("an output pays a unit less", |made| made.outputs[0].amount = units(TENTH - 1), "output"),
        ("an output pays a unit more", |made| made.outputs[0].amount = units(TENTH + 1), "output"),
        (
            "the output of another contract",
            |made| made.outputs[0].contract = Some("0xdAC17F958D2ee523a2206206994597C13D831ec7".into()),
            "output",
        ),
        ("an output on another network", |made| made.outputs[2] = output(ETH, 3, 12_345), "output_extra"),
        ("change to nobody we know", |made| made.outputs[2].own = None, "output_extra"),
        ("change to another wallet", |made| made.outputs[2].own = Some(name("hot-evm")), "output_extra"),
        ("a withdrawal is named twice", |made| made.withdrawals.push(made.withdrawals[0]), "batch_duplicate"),
        ("a withdrawal is not named", |made| made.withdrawals.truncate(1), "output_extra"),
        ("nothing is named", |made| made.withdrawals.clear(), "batch_empty"),
        (
            "it claims to be a transfer too",
            |made| {
                let said = text(BTC, 1, Purpose::Consolidation, START);
                made.transfer = approval(&said, &[]);
            },
            "batch_empty",
        ),
        ("too many are named", |made| made.withdrawals = (0..1_001).map(WithdrawalId).collect(), "too_many"),
        (
            "another wallet pays",
            |made| (made.wallet, made.network) = (name("hot-evm"), ETH),
            "wallet_differs",
        ),
        ("an unknown wallet pays", |made| made.wallet = name("cold"), "wallet_unknown"),
        ("a wallet that is not there", |made| made.network = ETH, "wallet_chain_unknown"),
        ("a wallet without chains", |made| made.wallet = name("hot-pol"), "wallet_chain_unknown"),
        ("an unknown signer", |made| made.signer = name("signer-three"), "signer_unknown"),
        ("the fee is above the bound", |made| made.fee = units(100_001), "fee_too_high"),
        ("the fee is half of it all", |made| made.fee = units(TENTH), "fee_too_high"),
        ("the fee is as large as can be", |made| made.fee = units(u128::MAX), "fee_too_high"),
    ];
    let mut run = exchange();
    let ids = approved(&mut run, 2);
    let before = run.state.hash();
    for (what, spoil, code) in rows {
        let mut made = payment(&run.state, BTC, &ids, &[1]);
        spoil(&mut made);
        let made = sealed(made);
        let mut events = Vec::new();
        holdfast_decision::decide(&run.state, run.now, &propose(&made), &mut events);
        let [Event::Refused { refusal, detail }] = &events[..] else { panic!("{what}: {events:?}") };
        let is_it = refusal.code() == code || refusal.code().split('_').next() == Some(code);
        assert!(is_it && !detail.is_empty(), "{what}: {refusal}: {detail}");
    }
    assert_eq!(run.state.hash(), before);
    let made = payment(&run.state, BTC, &ids, &[1]);
    released(&mut run, &made);
    assert!(ids.iter().all(|id| status(&run, *id) == Some(Status::Released)));
}

#[test]
fn outputs_that_are_swapped_between_two_withdrawals_pay_neither() {
    let mut run = exchange();
    let one = ask(&mut run, 0, ("BTC", BTC), TENTH, 40);
    let two = ask(&mut run, 1, ("BTC", BTC), 2 * TENTH, 41);
    let mut made = payment(&run.state, BTC, &[one, two], &[1]);
    let first = made.outputs[0].amount;
    made.outputs[0].amount = made.outputs[1].amount;
    made.outputs[1].amount = first;
    let code = refused(&mut run, propose(&sealed(made)));
    assert!(code.starts_with("output_"), "{code}");
    // The order of outputs says nothing.
    let mut made = payment(&run.state, BTC, &[one, two], &[1]);
    made.outputs.reverse();
    released(&mut run, &sealed(made));
}

#[test]
fn two_withdrawals_of_one_amount_to_one_place_need_two_outputs() {
    let mut run = exchange();
    let ids: Vec<_> = (0..2).map(|from| ask(&mut run, from, ("BTC", BTC), TENTH, 40)).collect();
    let mut made = payment(&run.state, BTC, &ids, &[1]);
    made.outputs.remove(0);
    assert_eq!(refused(&mut run, propose(&sealed(made))), "output_missing");
    let made = payment(&run.state, BTC, &ids, &[1]);
    released(&mut run, &made);
}

#[test]
fn tokens_are_paid_by_their_contract_and_the_networks_coin_by_none() {
    let mut run = exchange();
    let token = ask(&mut run, 0, ("USDX", ETH), 1_000_000_000, 40);
    let coin = ask(&mut run, 1, ("ETH", ETH), ETHER, 41);
    for id in [token, coin] {
        let good = payment(&run.state, ETH, &[id], &[1]);
        let mut made = good.clone();
        made.outputs[0].contract = match made.outputs[0].contract {
            Some(_) => None,
            None => Some("0xdAC17F958D2ee523a2206206994597C13D831ec7".into()),
        };
        let code = refused(&mut run, propose(&sealed(made)));
        assert!(code.starts_with("output_"), "{code}");
        released(&mut run, &good);
    }
}

#[test]
fn what_is_closed_not_approved_decided_again_or_stopped_is_left_out() {
    let mut run = exchange();
    let closed = ask(&mut run, 0, ("BTC", BTC), TENTH, 40);
    run.say(Command::CancelWithdrawal { account: account(0), withdrawal: closed });
    let good = ask(&mut run, 1, ("BTC", BTC), TENTH, 41);
    let large = ask(&mut run, 2, ("BTC", BTC), 100 * TENTH, 42);
    assert_eq!(status(&run, large), Some(Status::Held));
    let frozen = ask(&mut run, 3, ("BTC", BTC), TENTH, 43);
    let mut made = payment(&run.state, BTC, &[good, large, frozen], &[1]);
    // The freeze is known, and no tick has come to this withdrawal yet.
    run.say(Command::FreezeAccount { account: account(3), by: name("dora") });
    let row = |withdrawal, why| Dropped { withdrawal, why };
    let expected = [row(large, Drop::NotApproved), row(frozen, Drop::DecidedAgain)];
    assert_eq!(dropped(&mut run, &made), expected);
    assert_eq!(status(&run, frozen), Some(Status::Held), "what was decided stays decided");
    assert_eq!(status(&run, good), Some(Status::Approved), "the others go with the next");
    made.withdrawals.push(closed);
    assert_eq!(dropped(&mut run, &made)[0], row(closed, Drop::Closed));

    let made = payment(&run.state, BTC, &[good], &[1]);
    released(&mut run, &made);
    run.say(Command::FreezeAccount { account: account(1), by: name("dora") });
    let mut bump = made.clone();
    bump.fee = units(20_000);
    assert_eq!(dropped(&mut run, &sealed(bump)), [row(good, Drop::Stopped)]);
    assert_eq!(dropped(&mut run, &made), [row(good, Drop::Stopped)], "nor is the same released again");
    assert_eq!(status(&run, good), Some(Status::Released));
}

#[test]
fn an_approved_withdrawal_past_its_text_lapses_instead_of_being_released() {
    let mut run = exchange();
    let id = approved(&mut run, 1)[0];
    let made = payment(&run.state, BTC, &[id], &[1]);
    run.now = run.now.plus(3 * time::DAY);
    let events = run.say(propose(&made));
    assert!(matches!(events[..], [Event::IntentLapsed { .. }, Event::ReleaseDropped { .. }]), "{events:?}");
    assert_eq!(status(&run, id), Some(Status::AwaitingApproval));
    let row = Dropped { withdrawal: id, why: Drop::NotApproved };
    assert_eq!(dropped(&mut run, &made), [row]);
}

#[test]
fn a_batch_takes_no_bucket_twice_when_several_need_another_place() {
    // The first has 0.4 BTC of aged value, and then nothing is aged any more: the unvouched bucket holds one of them.
    let mut run = exchange();
    for from in 0..2 {
        let destination = place(BTC, 40 + from as u64);
        run.say(Command::AddAddress { account: account(from), destination });
        run.say(Command::RecordNoticeDelivered { account: account(from), destination });
    }
    run.wait(25 * time::HOUR);
    run.say(usual_prices());
    let ids: Vec<_> =
        (0..2).map(|from| ask(&mut run, from, ("BTC", BTC), 3 * TENTH, 40 + from as u64)).collect();
    assert!(ids.iter().all(|id| run.state.withdrawal(*id).unwrap().reserved == Some(Class::Aged)));
    let mut other = configuration();
    other.parameters.address_ageing = 200 * time::DAY;
    other.assets[0].buckets.unvouched.size = units(5 * TENTH);
    other.parameters.small_reserve_permille = 1;
    other.parameters.account_share_permille = 1_000;
    run.act(Act::Configure(Box::new(other)), &["alice", "bob"]);
    let made = payment(&run.state, BTC, &ids, &[1]);
    assert_eq!(dropped(&mut run, &made).len(), 2);
    let reserved = |run: &Run, id| run.state.withdrawal(id).unwrap().reserved;
    assert_eq!(reserved(&run, ids[0]), Some(Class::Unvouched));
    assert_eq!(reserved(&run, ids[1]), Some(Class::Aged), "its turn comes with the next proposal");
    assert_eq!(left(&run, Class::Unvouched)[0], 2 * TENTH);
    assert_eq!(dropped(&mut run, &made).len(), 1);
    assert_eq!(status(&run, ids[1]), Some(Status::Dwelling), "and then it waits for its bucket");
}

#[test]
fn a_halt_or_a_clock_under_suspicion_stops_every_release_but_a_cancellation() {
    let halts: [fn(&mut Run); 4] = [
        |run| drop(run.say(Command::Halt { scope: Scope::Overall, by: name("dora") })),
        |run| drop(run.say(Command::Halt { scope: Scope::Asset("BTC".parse().unwrap()), by: name("dora") })),
        |run| drop(run.say(Command::Halt { scope: Scope::Wallet(name("hot-btc")), by: name("dora") })),
        |run| drop(run.say(Command::SuspectClock { step: time::MINUTE })),
    ];
    for stop in halts {
        let mut run = exchange();
        let ids = approved(&mut run, 2);
        let first = payment(&run.state, BTC, &ids[..1], &[1]);
        released(&mut run, &first);
        let second = payment(&run.state, BTC, &ids[1..], &[2]);
        stop(&mut run);
        let mut bump = first.clone();
        bump.fee = units(11_000);
        assert_eq!(refused(&mut run, propose(&sealed(bump))), "halted_now");
        assert_eq!(dropped(&mut run, &second)[0].why, Drop::DecidedAgain);
        assert_eq!(status(&run, ids[1]), Some(Status::Dwelling));
        assert_eq!(status(&run, ids[0]), Some(Status::Released));
        let sweep = transfer(&text(BTC, 1, Purpose::Sweep, run.now), &[3], &[]);
        assert_eq!(refused(&mut run, propose(&sweep)), "halted_now");
        let cancel = transfer(&text(BTC, 2, Purpose::Cancel, run.now), &[1], &[]);
        released(&mut run, &cancel);
    }
}

#[test]
fn a_halt_of_one_account_stops_its_fee_bump_alone() {
    let mut run = exchange();
    let ids = approved(&mut run, 2);
    let made = payment(&run.state, BTC, &ids, &[1]);
    released(&mut run, &made);
    run.say(Command::Halt { scope: Scope::Account(account(0)), by: name("dora") });
    let mut bump = made;
    bump.fee = units(11_000);
    let row = Dropped { withdrawal: ids[0], why: Drop::Stopped };
    assert_eq!(dropped(&mut run, &sealed(bump)), [row]);
}

#[test]
fn fees_spend_a_bucket_that_time_fills_and_the_same_transaction_pays_once() {
    let mut run = exchange();
    let ids = approved(&mut run, 3);
    let wallet = WalletIndex(0);
    let fees = |run: &Run| run.state.fees_left(wallet, BTC, run.now).unwrap().base_units();
    assert_eq!(fees(&run), 150_000);
    let make = |run: &Run, which: usize| {
        let mut made = payment(&run.state, BTC, &ids[which..=which], &[which as u64]);
        made.fee = units(60_000);
        sealed(made)
    };
    let first = make(&run, 0);
    released(&mut run, &first);
    released(&mut run, &first);
    assert_eq!(fees(&run), 90_000, "asked again it costs nothing more");
    let second = make(&run, 1);
    released(&mut run, &second);
    let third = make(&run, 2);
    assert_eq!(refused(&mut run, propose(&third)), "fee_bucket_spent");
    assert_eq!(status(&run, ids[2]), Some(Status::Approved));
    released(&mut run, &first);
    run.wait(50 * time::MINUTE);
    released(&mut run, &third);
    assert_eq!(fees(&run), 0);
}

#[test]
fn another_transaction_for_a_withdrawal_must_conflict_with_every_live_one() {
    let mut run = exchange();
    let id = approved(&mut run, 1)[0];
    let make = |run: &Run, spends: &[u64], fee| {
        let mut made = payment(&run.state, BTC, &[id], spends);
        made.fee = units(fee);
        sealed(made)
    };
    let first = make(&run, &[1, 2], 1_000);
    released(&mut run, &first);
    let other = make(&run, &[3], 1_000);
    assert_eq!(refused(&mut run, propose(&other)), "not_conflicting");
    let second = make(&run, &[2, 3], 2_000);
    released(&mut run, &second);
    let third = make(&run, &[1], 3_000);
    assert_eq!(refused(&mut run, propose(&third)), "not_conflicting", "with the first alone");
    let third = make(&run, &[1, 3], 3_000);
    released(&mut run, &third);
    // Once a coin of a transaction is spent for good, nothing need conflict with it any more.
    let sweep = transfer(&text(BTC, 1, Purpose::Consolidation, run.now), &[1], &[]);
    released(&mut run, &sweep);
    run.say(observe(seen(&sweep, ChainStatus::Included, 3)));
    assert_eq!(standing(&run, &first), Some(Standing::Dead));
    assert_eq!(standing(&run, &third), Some(Standing::Dead));
    assert_eq!(status(&run, id), Some(Status::Released), "the second may still pay it");
    let fourth = make(&run, &[3], 4_000);
    released(&mut run, &fourth);
}

#[test]
fn a_transaction_is_released_again_only_as_the_same() {
    let mut run = exchange();
    let one = ask(&mut run, 0, ("BTC", BTC), TENTH, 40);
    let twin = ask(&mut run, 1, ("BTC", BTC), TENTH, 40);
    let made = payment(&run.state, BTC, &[one], &[1]);
    released(&mut run, &made);
    let mut other = made.clone();
    other.withdrawals = vec![twin];
    assert_eq!(refused(&mut run, propose(&other)), "release_differs", "one output pays one withdrawal");
    let mut other = made.clone();
    other.signer = name(SIGNERS[1]);
    assert_eq!(
        refused(&mut run, propose(&other)),
        "release_differs",
        "the first signer could vouch against it"
    );
    let mut other = made.clone();
    other.spends = keys(BTC, &[1, 2]);
    assert_eq!(refused(&mut run, propose(&other)), "release_differs");
    let mut other = made.clone();
    (other.withdrawals, other.transfer) =
        (Vec::new(), approval(&text(BTC, 5, Purpose::Sweep, run.now), &["alice", "bob"]));
    assert_eq!(refused(&mut run, propose(&other)), "release_differs");
    released(&mut run, &made);
    assert_eq!(status(&run, twin), Some(Status::Approved));
}

#[test]
fn a_transfer_does_what_its_text_says_and_pays_strangers_only_under_two_signatures() {
    type Change = fn(&mut Run, &mut ProposeTransaction);
    fn said(made: &ProposeTransaction) -> TransferText {
        let text = &made.transfer.as_ref().unwrap().text;
        TransferText::parse(text.as_bytes()).unwrap()
    }
    fn say(made: &mut ProposeTransaction, edit: impl Fn(&mut TransferText)) {
        let mut text = said(made);
        edit(&mut text);
        made.transfer.as_mut().unwrap().text = text.to_string();
    }
    // The good one pays 0.02 BTC to place 77 under the signatures of alice and bob.
    let rows: [(&str, Change, &str); 20] = [
        (
            "one signature",
            |_, made| drop(made.transfer.as_mut().unwrap().signatures.pop()),
            "signatures_insufficient",
        ),
        (
            "the same operator twice",
            |_, made| {
                let signatures = &mut made.transfer.as_mut().unwrap().signatures;
                signatures[1] = signatures[0].clone();
            },
            "signatures_insufficient",
        ),
        (
            "a key that is not the operator's",
            |_, made| {
                made.transfer.as_mut().unwrap().signatures[1].operator.public_key =
                    OperatorPublicKey::Ed25519([9; 32])
            },
            "signatures_insufficient",
        ),
        (
            "another destination",
            |_, made| made.outputs[1].destination = destination(BTC, 78),
            "transfer_differs",
        ),
        ("a unit more", |_, made| made.outputs[1].amount = units(2_000_001), "transfer_differs"),
        (
            "a token",
            |_, made| made.outputs[1].contract = Some("0xdAC17F958D2ee523a2206206994597C13D831ec7".into()),
            "transfer_differs",
        ),
        (
            "an own output of a token",
            |_, made| made.outputs[0].contract = Some("0xdAC17F958D2ee523a2206206994597C13D831ec7".into()),
            "transfer_differs",
        ),
        ("no payment", |_, made| drop(made.outputs.pop()), "transfer_differs"),
        ("a second stranger", |_, made| made.outputs.push(output(BTC, 79, 5)), "transfer_foreign"),
        (
            "a payment that its text does not name",
            |_, made| say(made, |text| text.external = None),
            "transfer_foreign",
        ),
        (
            // The text reads 0.02, and with twelve decimals that is ten thousand times as much.
            "other decimals",
            |_, made| {
                say(made, |text| text.external.as_mut().unwrap().decimals = 12);
            },
            "transfer_differs",
        ),
        (
            "another wallet in its text",
            |_, made| say(made, |text| text.wallet = name("hot-evm")),
            "transfer_differs",
        ),
        (
            "another network in its text",
            |_, made| {
                say(made, |text| (text.network, text.external, text.fee_max) = (ETH, None, units(50_000)));
            },
            "transfer_differs",
        ),
        (
            "another exchange",
            |_, made| say(made, |text| text.exchange = "other.example".parse().unwrap()),
            "text_exchange",
        ),
        ("a fee above its text's", |_, made| made.fee = units(50_001), "transfer_differs"),
        (
            "an unknown asset",
            |_, made| say(made, |text| text.asset = "DOGE".parse().unwrap()),
            "asset_unknown",
        ),
        (
            "an asset that is not there",
            |_, made| say(made, |text| text.asset = "ETH".parse().unwrap()),
            "network_not_configured",
        ),
        ("a text that is none", |_, made| made.transfer.as_mut().unwrap().text.push('x'), "transfer_differs"),
        ("past its text", |run, _| run.now = run.now.plus(time::HOUR), "text_not_now"),
        (
            "more than the bound buckets hold",
            |_, made| {
                say(made, |text| text.external.as_mut().unwrap().amount = units(21 * 100_000_000));
                made.outputs[1].amount = units(21 * 100_000_000);
            },
            "transfer_foreign",
        ),
    ];
    let good = |run: &Run| {
        let mut said = text(BTC, 1, Purpose::Refill, run.now);
        said.external = Some(external(BTC, 77, 2_000_000));
        transfer(&said, &[1], &["alice", "bob"])
    };
    for (what, spoil, code) in rows {
        let mut run = exchange();
        let mut made = good(&run);
        spoil(&mut run, &mut made);
        assert_eq!(refused(&mut run, propose(&sealed(made))), code, "{what}");
    }
    let mut run = exchange();
    let before = left(&run, Class::Bound);
    let made = good(&run);
    released(&mut run, &made);
    let after = left(&run, Class::Bound);
    assert_eq!([0, 1, 2].map(|n| before[n] - after[n]), [2_000_000, 100_000, 100_000], "1,000 USD");
    released(&mut run, &made);
    assert_eq!(left(&run, Class::Bound), after, "asked again it costs nothing more");
}

#[test]
fn a_transfer_between_own_wallets_needs_no_signature_and_its_text_is_for_one_transaction() {
    let mut run = exchange();
    let said = text(BTC, 1, Purpose::Consolidation, run.now);
    let made = transfer(&said, &[1, 2], &[]);
    released(&mut run, &made);
    let again = transfer(&said, &[3], &[]);
    assert_eq!(refused(&mut run, propose(&again)), "not_conflicting");
    let mut bump = transfer(&said, &[2, 3], &[]);
    bump.fee = units(20_000);
    let bump = sealed(bump);
    released(&mut run, &bump);
    run.say(observe(seen(&bump, ChainStatus::Included, 3)));
    assert_eq!(refused(&mut run, propose(&transfer(&said, &[3, 4], &[]))), "coin_spent");
    let again = transfer(&said, &[4, 5], &[]);
    assert_eq!(refused(&mut run, propose(&again)), "not_conflicting", "it was paid for good");
    assert_eq!(refused(&mut run, propose(&bump)), "release_differs");
}

#[test]
fn a_cancellation_cancels_something() {
    let mut run = exchange();
    let id = approved(&mut run, 1)[0];
    let cancel = transfer(&text(BTC, 1, Purpose::Cancel, run.now), &[1], &[]);
    assert_eq!(refused(&mut run, propose(&cancel)), "not_conflicting");
    let made = payment(&run.state, BTC, &[id], &[1]);
    released(&mut run, &made);
    released(&mut run, &cancel);
    released(&mut run, &cancel);
    run.say(observe(seen(&cancel, ChainStatus::Included, 2)));
    assert_eq!(status(&run, id), Some(Status::Released));
    run.say(observe(seen(&cancel, ChainStatus::Included, 3)));
    assert_eq!(status(&run, id), None);
    assert_eq!(left(&run, Class::Unvouched), [200_000_000, 9_000_000, 14_000_000]);
}

#[test]
fn operators_approve_the_text_of_a_withdrawal_and_no_other() {
    let mut run = exchange();
    let id = ask(&mut run, 0, ("BTC", BTC), 50 * TENTH, 40);
    let digest = Digest(run.state.text_of(id).unwrap().digest().0);
    let approve = |text| Act::ApproveWithdrawal { withdrawal: id, text };
    assert!(is_refused(&run.act(approve(Digest([1; 32])), &["alice", "bob"])));
    assert!(is_refused(&run.act(approve(digest), &["alice"])));
    assert_eq!(status(&run, id), Some(Status::Held));
    let events = run.act(approve(digest), &["alice", "bob"]);
    let signed = events.iter().find_map(|event| match event {
        Event::WithdrawalApproved { approval, .. } => Some(approval.signatures.len()),
        _ => None,
    });
    assert_eq!((signed, status(&run, id)), (Some(2), Some(Status::Approved)));
    assert!(run.state.withdrawal(id).unwrap().approval.is_some(), "it travels in the release");
    assert_eq!(left(&run, Class::Bound)[0], 2_000_000_000 - 50 * TENTH);
}

#[test]
fn another_configuration_changes_the_fee_bucket_without_a_jump() {
    let (mut run, _, _) = on_its_way();
    let fees = |run: &Run| run.state.fees_left(WalletIndex(0), BTC, run.now).unwrap().base_units();
    assert_eq!(fees(&run), 140_000);
    let configure = |run: &mut Run, next: Configuration| {
        run.act(Act::Configure(Box::new(next)), &["alice", "bob", "carol"])
    };
    configure(&mut run, other_configuration());
    assert_eq!(fees(&run), 100_000);
    configure(&mut run, configuration());
    assert_eq!(fees(&run), 100_000);
}
