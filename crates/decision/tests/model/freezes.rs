//! Freezes: whose they are, who ends them, and what may change meanwhile.

use holdfast_decision::acts::Act;
use holdfast_decision::command::Command;
use holdfast_decision::event::{Change, Event};
use holdfast_decision::protection::CredentialUse;
use holdfast_decision::{OWNER_FREEZE, Refusal};
use holdfast_values::time;

use crate::approvals::{exchange, exchange_by_rules, refusal, sure, with_key};
use crate::owner::{asymmetric, changes, plainly, session};
use crate::play::Run;
use crate::protection::{add, by_word, plain, refuses, remove, surely};
use crate::world::{account, fingerprint, name, permit_all};

fn freeze(by: &str) -> Command {
    Command::FreezeAccount { account: account(0), by: name(by) }
}

fn is_frozen(run: &Run) -> bool {
    run.state.account(&account(0)).unwrap().is_frozen
}

#[test]
fn a_frozen_account_may_only_tighten_and_its_owners_credential_ends_the_owners_freeze() {
    let mut run = exchange(permit_all());
    refuses(&mut run, Change::Unfreeze, Refusal::NotFrozen);
    with_key(&mut run, 1, CredentialUse::Approve);
    surely(&mut run, add(2, CredentialUse::Approve), 1);
    sure(&mut run, session(0, 1));
    let events = sure(&mut run, freeze(OWNER_FREEZE));
    assert!(matches!(events[..], [Event::OwnerFroze { .. }]), "{events:?}");
    assert!(sure(&mut run, freeze(OWNER_FREEZE)).is_empty());
    for change in [
        add(3, CredentialUse::Approve),
        Change::EnrolCodes { step: 1 },
        Change::PutApiKey(Box::new(asymmetric(0))),
        Change::LockSettings { days: 1 },
        Change::UnlockSettings,
    ] {
        assert_eq!(refusal(&by_word(&mut run, change, 1)), Some(Refusal::AccountFrozen));
    }
    refuses(&mut run, remove(2), Refusal::ApprovalNeeded);
    surely(&mut run, remove(2), 1);
    sure(&mut run, changes(plainly(0, Change::ForgetDevice { device: fingerprint("device", 1) })));
    refuses(&mut run, Change::ForgetDevice { device: fingerprint("device", 1) }, Refusal::NothingToChange);
    refuses(&mut run, Change::Unfreeze, Refusal::ApprovalNeeded);
    let events = by_word(&mut run, Change::Unfreeze, 1);
    assert!(events.iter().any(|event| matches!(event, Event::AccountUnfrozen(_))), "{events:?}");
    assert!(!is_frozen(&run));
}

#[test]
fn a_strangers_first_key_does_not_come_of_age_while_its_owners_freeze_stands() {
    let mut run = exchange(permit_all());
    sure(&mut run, changes(plainly(0, add(66, CredentialUse::Approve))));
    run.wait(71 * time::HOUR);
    sure(&mut run, freeze(OWNER_FREEZE));
    run.wait(72 * time::HOUR);
    for change in [Change::Unfreeze, Change::BeginRecovery] {
        assert_eq!(refusal(&by_word(&mut run, change, 66)), Some(Refusal::CredentialNotCounting));
    }
    assert!(is_frozen(&run));
    // And whoever has a session of the owner's takes it out.
    sure(&mut run, changes(plainly(0, remove(66))));
}

#[test]
fn what_staff_froze_no_key_of_the_customers_gives_back() {
    for by in ["fraud-team", "shop-backend"] {
        let mut run = exchange(permit_all());
        with_key(&mut run, 1, CredentialUse::Approve);
        sure(&mut run, freeze(by));
        assert_eq!(refusal(&by_word(&mut run, Change::Unfreeze, 1)), Some(Refusal::AccountFrozen));
        assert!(sure(&mut run, freeze(OWNER_FREEZE)).is_empty(), "the link takes nothing from staff");
        assert_eq!(refusal(&by_word(&mut run, Change::Unfreeze, 1)), Some(Refusal::AccountFrozen));
        run.act(Act::UnfreezeAccount(account(0)), &["alice", "bob"]);
        assert!(!is_frozen(&run));
        // What comes after is the owner's own again.
        sure(&mut run, freeze(OWNER_FREEZE));
        surely(&mut run, Change::Unfreeze, 1);
    }
}

#[test]
fn a_freeze_by_staff_on_top_of_the_owners_is_staffs() {
    let mut run = exchange(permit_all());
    with_key(&mut run, 1, CredentialUse::Approve);
    sure(&mut run, freeze(OWNER_FREEZE));
    let events = sure(&mut run, freeze("fraud-team"));
    assert!(matches!(events[..], [Event::AccountFrozen(_)]), "{events:?}");
    assert!(sure(&mut run, freeze("fraud-team")).is_empty());
    assert_eq!(refusal(&by_word(&mut run, Change::Unfreeze, 1)), Some(Refusal::AccountFrozen));
}

#[test]
fn a_frozen_account_can_be_recovered() {
    for by in [OWNER_FREEZE, "fraud-team"] {
        let mut run = exchange(permit_all());
        with_key(&mut run, 1, CredentialUse::Approve);
        sure(&mut run, freeze(by));
        sure(&mut run, changes(plainly(0, Change::BeginRecovery)));
        sure(&mut run, changes(plainly(0, add(5, CredentialUse::Approve))));
        run.wait(72 * time::HOUR);
        let new = crate::owner::new_credential(5, CredentialUse::Approve);
        let act = Act::RecoverAccount { account: account(0), credential: new.id, key: new.key };
        assert_eq!(refusal(&run.act(act, &["alice", "bob"])), None);
        run.wait(72 * time::HOUR);
        assert!(is_frozen(&run), "operators end that too");
        assert!(refusal(&by_word(&mut run, Change::Unfreeze, 5)).is_some());
    }
}

#[test]
fn by_the_first_rules_every_freeze_is_staffs() {
    let mut run = exchange_by_rules(1, permit_all());
    let events = sure(&mut run, freeze(OWNER_FREEZE));
    assert!(matches!(events[..], [Event::AccountFrozen(_)]), "{events:?}");
    assert_eq!(refusal(&plain(&mut run, Change::Unfreeze)), Some(Refusal::AccountFrozen));
}
