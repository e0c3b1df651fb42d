//! Recovery: operators and time give an account back, and whoever still has a factor says no.

use holdfast_decision::Refusal;
use holdfast_decision::acts::Act;
use holdfast_decision::command::{Command, SecurityChange};
use holdfast_decision::event::{Basis, Change, CodeProof, Event};
use holdfast_decision::protection::CredentialUse;
use holdfast_values::{MandateId, time};

use crate::approvals::{exchange, refusal, sure, with_key};
use crate::owner::{approved, asymmetric, changes, mandate_text, new_credential, plainly, session, terms};
use crate::play::Run;
use crate::world::{account, fingerprint, permit_all};

use crate::protection::{BTC, add, by_word, cooled, counts, enrol, protection, refuses, surely, with_code};

/// An account that is being recovered, with a new credential waiting.
pub(crate) fn recovering() -> Run {
    let mut run = exchange(permit_all());
    enrol(&mut run, 10);
    with_key(&mut run, 1, CredentialUse::Approve);
    sure(&mut run, session(0, 1));
    run.wait(24 * time::HOUR);
    let events = sure(&mut run, changes(plainly(0, Change::BeginRecovery)));
    assert_eq!(cooled(&events), Some(SecurityChange::Recovery));
    let events = sure(&mut run, changes(plainly(0, add(5, CredentialUse::Approve))));
    assert!(matches!(events[0], Event::ProtectionChanged { basis: Some(Basis::Recovery), .. }));
    run
}

fn recover(run: &mut Run, number: u64, signers: &[&str]) -> Vec<Event> {
    let new = new_credential(number, CredentialUse::Approve);
    let act = Act::RecoverAccount { account: account(0), credential: new.id, key: new.key };
    run.act(act, signers)
}

#[test]
fn a_recovery_needs_operators_and_time_and_leaves_only_what_it_brought() {
    let mut run = recovering();
    assert_eq!(refusal(&recover(&mut run, 5, &["alice"])), Some(Refusal::SignaturesInsufficient));
    run.wait(71 * time::HOUR);
    assert_eq!(refusal(&recover(&mut run, 5, &["alice", "bob"])), Some(Refusal::RecoveryWaits));
    run.wait(time::HOUR);
    assert_eq!(refusal(&recover(&mut run, 6, &["alice", "bob"])), Some(Refusal::RecoveryNotBegun));
    let events = recover(&mut run, 5, &["alice", "bob"]);
    assert!(matches!(
        events[..],
        [
            Event::ActAccepted { .. },
            Event::AccountRecovered { .. },
            Event::SecurityChanged { kind: SecurityChange::Recovery, .. }
        ]
    ));
    assert!(!counts(&run, 1) && !counts(&run, 5), "the old one counts no more, the new one not yet");
    assert!(protection(&run).codes.unwrap().is_removed);
    run.wait(72 * time::HOUR - time::SECOND);
    assert!(!counts(&run, 5));
    run.wait(time::SECOND);
    assert!(counts(&run, 5) && !counts(&run, 1));
}

#[test]
fn downtime_counts_towards_no_recovery() {
    let mut run = recovering();
    run.now = run.now.plus(80 * time::HOUR);
    run.say(Command::Start);
    assert_eq!(refusal(&recover(&mut run, 5, &["alice", "bob"])), Some(Refusal::RecoveryWaits));
}

#[test]
fn whoever_still_has_a_factor_stops_a_recovery() {
    type Stops = fn(&mut Run) -> Vec<Event>;
    let ways: [Stops; 3] = [
        |run| by_word(run, Change::StopRecovery, 1),
        |run| run.say(with_code(Change::StopRecovery, CodeProof::OneTime { revision: 1, step: 11 })),
        |run| {
            let mut asked = plainly(0, Change::StopRecovery);
            asked.device = Some(fingerprint("device", 1));
            run.say(changes(asked))
        },
    ];
    for stops in ways {
        let mut run = recovering();
        refuses(&mut run, Change::StopRecovery, Refusal::CodeNeeded);
        run.wait(71 * time::HOUR);
        let events = stops(&mut run);
        assert_eq!(cooled(&events), Some(SecurityChange::Recovery), "{events:?}");
        run.wait(2 * time::HOUR);
        assert_eq!(refusal(&recover(&mut run, 5, &["alice", "bob"])), Some(Refusal::RecoveryNotBegun));
        assert!(counts(&run, 1) && protection(&run).credentials.len() == 1, "what waited is gone");
    }
}

#[test]
fn a_device_that_came_with_the_recovery_stops_nothing() {
    let mut run = recovering();
    sure(&mut run, session(0, 2));
    run.wait(48 * time::HOUR);
    for device in [2, 9] {
        let mut asked = plainly(0, Change::StopRecovery);
        asked.device = Some(fingerprint("device", device));
        assert_eq!(refusal(&run.say(changes(asked))), Some(Refusal::CodeNeeded));
    }
}

#[test]
fn a_second_recovery_is_refused_while_one_is_under_way_and_waits_anew_after_it() {
    let mut run = recovering();
    refuses(&mut run, Change::BeginRecovery, Refusal::RecoveryUnderWay);
    run.wait(71 * time::HOUR);
    surely(&mut run, Change::StopRecovery, 1);
    refuses(&mut run, Change::StopRecovery, Refusal::RecoveryNotBegun);
    sure(&mut run, changes(plainly(0, Change::BeginRecovery)));
    sure(&mut run, changes(plainly(0, add(5, CredentialUse::Approve))));
    run.wait(71 * time::HOUR);
    assert_eq!(refusal(&recover(&mut run, 5, &["alice", "bob"])), Some(Refusal::RecoveryWaits));
    run.wait(time::HOUR);
    assert_eq!(refusal(&recover(&mut run, 5, &["alice", "bob"])), None);
    // And another, which the credential of the first can stop once it counts.
    sure(&mut run, changes(plainly(0, Change::BeginRecovery)));
    assert_eq!(refusal(&by_word(&mut run, Change::StopRecovery, 5)), Some(Refusal::CredentialNotCounting));
    run.wait(72 * time::HOUR);
    assert_eq!(refusal(&by_word(&mut run, Change::StopRecovery, 1)), Some(Refusal::CredentialNotCounting));
    surely(&mut run, Change::StopRecovery, 5);
}

#[test]
fn an_account_without_any_factor_has_nothing_to_recover() {
    let mut run = exchange(permit_all());
    refuses(&mut run, Change::BeginRecovery, Refusal::NothingToChange);
    refuses(&mut run, Change::StopRecovery, Refusal::RecoveryNotBegun);
    assert_eq!(refusal(&recover(&mut run, 5, &["alice", "bob"])), Some(Refusal::RecoveryNotBegun));
}

#[test]
fn a_recovery_voids_mandates() {
    let mut run = recovering();
    run.wait(time::HOUR);
    surely(&mut run, Change::PutApiKey(Box::new(asymmetric(0))), 1);
    let granted = terms(1, (0, 1), BTC, &[7], (10, 20), run.now);
    let said = mandate_text(&account(0), &granted, (BTC.1, 8), &[7], 1).to_string();
    let mut asked = plainly(0, Change::GrantMandate(Box::new(granted)));
    asked.approval = Some(approved(&said, 1, 0));
    sure(&mut run, changes(asked));
    run.wait(72 * time::HOUR);
    assert_eq!(refusal(&recover(&mut run, 5, &["alice", "bob"])), None);
    assert!(protection(&run).mandates.iter().all(|mandate| mandate.is_revoked));
    refuses(&mut run, Change::RevokeMandate { mandate: MandateId(1) }, Refusal::MandateUnknown);
    refuses(&mut run, Change::RevokeMandate { mandate: MandateId(2) }, Refusal::MandateUnknown);
}

#[test]
fn signatures_for_a_recovery_that_was_stopped_serve_no_later_one() {
    let mut run = recovering();
    let new = new_credential(5, CredentialUse::Approve);
    let mut signing = crate::world::Signing::new(run.now.plus(71 * time::HOUR), 4_242, &["alice", "bob"]);
    signing.until = signing.from.plus(7 * time::DAY);
    let act = signing.sign(Act::RecoverAccount { account: account(0), credential: new.id, key: new.key });
    run.wait(71 * time::HOUR);
    surely(&mut run, Change::StopRecovery, 1);
    sure(&mut run, changes(plainly(0, Change::BeginRecovery)));
    sure(&mut run, changes(plainly(0, add(5, CredentialUse::Approve))));
    run.wait(72 * time::HOUR);
    assert_eq!(refusal(&run.say(act)), Some(Refusal::TextNotNow));
    assert_eq!(refusal(&recover(&mut run, 5, &["alice", "bob"])), None);
}

// Devices that may say no.

fn forget(number: u64) -> Change {
    Change::ForgetDevice { device: fingerprint("device", number) }
}

fn on_device(run: &mut Run, change: Change, from: u64) -> Vec<Event> {
    let mut asked = plainly(0, change);
    asked.device = Some(fingerprint("device", from));
    run.say(changes(asked))
}

#[test]
fn a_device_that_was_known_before_the_recovery_cannot_be_forgotten_out_of_its_veto() {
    let mut run = recovering();
    run.wait(time::SECOND);
    for number in [1, 2] {
        sure(&mut run, session(0, number));
    }
    refuses(&mut run, forget(1), Refusal::RecoveryUnderWay);
    assert_eq!(refusal(&by_word(&mut run, forget(1), 1)), Some(Refusal::RecoveryUnderWay));
    sure(&mut run, changes(plainly(0, forget(2))));
    assert_eq!(refusal(&on_device(&mut run, Change::StopRecovery, 1)), None);
}

#[test]
fn a_known_device_is_forgotten_from_another_one_or_by_code_or_approval() {
    type Forgets = fn(&mut Run) -> Vec<Event>;
    let ways: [Forgets; 3] = [
        |run| on_device(run, forget(1), 3),
        |run| run.say(with_code(forget(1), CodeProof::OneTime { revision: 1, step: 11 })),
        |run| by_word(run, forget(1), 1),
    ];
    for forgets in ways {
        let mut run = exchange(permit_all());
        enrol(&mut run, 10);
        with_key(&mut run, 1, CredentialUse::Approve);
        sure(&mut run, session(0, 1));
        sure(&mut run, session(0, 3));
        sure(&mut run, changes(plainly(0, forget(1))));
        sure(&mut run, session(0, 1));
        run.wait(time::DAY);
        sure(&mut run, session(0, 2));
        for from in [1, 2, 9] {
            let events = on_device(&mut run, forget(1), from);
            assert_eq!(refusal(&events), Some(Refusal::CodeNeeded), "a guest's, or itself: {from}");
        }
        let guess = run.say(with_code(forget(1), CodeProof::Wrong));
        assert!(matches!(guess[..], [Event::CodeFailed { .. }]), "{guess:?}");
        assert_eq!(refusal(&forgets(&mut run)), None);
        assert!(protection(&run).devices.iter().all(|known| known.device != fingerprint("device", 1)));
    }
}
