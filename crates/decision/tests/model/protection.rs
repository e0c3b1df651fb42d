//! Changes of an account's protection, one by one: credentials, texts, codes, keys, the Settings Lock, a freeze.

use holdfast_decision::command::{Command, Scopes, SecurityChange};
use holdfast_decision::event::{Basis, Change, CodeProof, Event};
use holdfast_decision::protection::{
    CREDENTIALS_MAX, ChangeProtection, CredentialUse, KEY_DESTINATIONS_MAX, TEXTS_A_DAY_MAX,
};
use holdfast_decision::{Configuration, Refusal, Status};
use holdfast_values::texts::Seconds;
use holdfast_values::{MandateId, Network, Timestamp, time};

use crate::approvals::{exchange, refusal, sure, with_key};
use crate::owner::{
    approval, approved, approves, asymmetric, change_text, changes, credential, mandate_text, new_credential,
    plainly, session, terms,
};
use crate::play::Run;
use crate::world::{account, configuration, fingerprint, name, permit_all, place, request, usual_prices};

pub(crate) const BTC: (&str, Network) = ("BTC", Network::Bitcoin);

pub(crate) fn add(number: u64, used_for: CredentialUse) -> Change {
    Change::AddCredential(Box::new(new_credential(number, used_for)))
}

pub(crate) fn remove(number: u64) -> Change {
    Change::RemoveCredential { credential: credential(number) }
}

pub(crate) fn plain(run: &mut Run, change: Change) -> Vec<Event> {
    run.say(changes(plainly(0, change)))
}

pub(crate) fn refuses(run: &mut Run, change: Change, expected: Refusal) {
    let events = plain(run, change.clone());
    assert_eq!(refusal(&events), Some(expected), "{change:?}: {events:?}");
}

/// The same, approved by a credential over its text.
pub(crate) fn with_word(run: &Run, change: Change, by: u64) -> ChangeProtection {
    let nonce = run.state.sequence() + 1_000;
    let text = change_text(&account(0), &change, run.now, nonce).to_string();
    let mut asked = plainly(0, change);
    asked.approval = Some(approved(&text, by, 0));
    asked
}

pub(crate) fn by_word(run: &mut Run, change: Change, by: u64) -> Vec<Event> {
    let asked = with_word(run, change, by);
    run.say(changes(asked))
}

pub(crate) fn surely(run: &mut Run, change: Change, by: u64) {
    let events = by_word(run, change, by);
    assert_eq!(refusal(&events), None, "{events:?}");
}

pub(crate) fn protection(run: &Run) -> holdfast_decision::protection::Protection {
    let account = run.state.account(&account(0)).unwrap();
    account.protection.as_deref().cloned().unwrap_or_default()
}

pub(crate) fn counts(run: &Run, number: u64) -> bool {
    let account = run.state.account(&account(0)).unwrap();
    let known = account.credential(&credential(number));
    known.is_some_and(|known| run.state.credential_counts(run.now, known, known.used_for))
}

pub(crate) fn cooled(events: &[Event]) -> Option<SecurityChange> {
    events.iter().find_map(|event| match event {
        Event::SecurityChanged { kind, .. } => Some(*kind),
        _ => None,
    })
}

// Credentials.

#[test]
fn a_further_credential_needs_one_that_counts_and_then_counts_at_once() {
    let mut run = exchange(permit_all());
    sure(&mut run, changes(plainly(0, add(1, CredentialUse::Approve))));
    refuses(&mut run, add(2, CredentialUse::Approve), Refusal::ApprovalNeeded);
    assert_eq!(
        refusal(&by_word(&mut run, add(2, CredentialUse::Approve), 1)),
        Some(Refusal::CredentialNotCounting)
    );
    run.wait(72 * time::HOUR);
    refuses(&mut run, add(2, CredentialUse::Approve), Refusal::ApprovalNeeded);
    let events = by_word(&mut run, add(2, CredentialUse::Approve), 1);
    assert!(matches!(
        events[..],
        [
            Event::ActAccepted { .. },
            Event::ProtectionChanged { basis: Some(Basis::Rotation), approval: Some(_), .. },
            Event::SecurityChanged { kind: SecurityChange::SecondFactor, .. }
        ]
    ));
    assert!(counts(&run, 2));
}

#[test]
fn a_master_key_never_comes_first_and_approves_no_other_key() {
    let mut run = exchange(permit_all());
    refuses(&mut run, add(2, CredentialUse::Master), Refusal::ApprovalNeeded);
    sure(&mut run, changes(plainly(0, add(1, CredentialUse::Approve))));
    refuses(&mut run, add(2, CredentialUse::Master), Refusal::ApprovalNeeded);
    let events = by_word(&mut run, add(2, CredentialUse::Master), 1);
    assert_eq!(refusal(&events), Some(Refusal::CredentialNotCounting));
    run.wait(72 * time::HOUR);
    surely(&mut run, add(2, CredentialUse::Master), 1);
    let events = by_word(&mut run, add(3, CredentialUse::Approve), 2);
    assert_eq!(refusal(&events), Some(Refusal::CredentialNotCounting));
    refuses(&mut run, remove(2), Refusal::ApprovalNeeded);
    refuses(&mut run, add(4, CredentialUse::Login), Refusal::ApprovalNeeded);
}

#[test]
fn after_a_credential_that_counted_the_next_one_comes_by_approval_or_recovery() {
    let mut run = exchange(permit_all());
    with_key(&mut run, 1, CredentialUse::Approve);
    surely(&mut run, remove(1), 1);
    for used_for in [CredentialUse::Approve, CredentialUse::Master, CredentialUse::Login] {
        refuses(&mut run, add(2, used_for), Refusal::ApprovalNeeded);
    }
    sure(&mut run, changes(plainly(0, Change::BeginRecovery)));
    let events = sure(&mut run, changes(plainly(0, add(2, CredentialUse::Approve))));
    assert!(matches!(events[0], Event::ProtectionChanged { basis: Some(Basis::Recovery), .. }), "{events:?}");
    run.wait(72 * time::HOUR);
    assert!(!counts(&run, 2), "time alone lets it in no more");
}

#[test]
fn a_credential_that_does_not_count_goes_on_a_sessions_word_and_leaves_no_trace() {
    let mut run = exchange(permit_all());
    // A thief with a session cannot fill the account up: its owner takes the place back, as often as it takes.
    for number in 0..CREDENTIALS_MAX as u64 + 8 {
        sure(&mut run, changes(plainly(0, add(number, CredentialUse::Approve))));
        let events = sure(&mut run, changes(plainly(0, remove(number))));
        assert_eq!(cooled(&events), None, "nothing that counted is gone");
    }
    assert!(protection(&run).credentials.is_empty());
}

#[test]
fn a_credential_that_counts_goes_by_approval_alone_and_never_comes_back() {
    let mut run = exchange(permit_all());
    with_key(&mut run, 1, CredentialUse::Approve);
    refuses(&mut run, remove(1), Refusal::ApprovalNeeded);
    refuses(&mut run, remove(9), Refusal::CredentialUnknown);
    let events = by_word(&mut run, remove(1), 1);
    assert_eq!(cooled(&events), Some(SecurityChange::SecondFactor));
    assert!(!counts(&run, 1) && protection(&run).credentials[0].is_removed);
    refuses(&mut run, remove(1), Refusal::NothingToChange);
    refuses(&mut run, add(1, CredentialUse::Approve), Refusal::CredentialExists);
    assert_eq!(refusal(&by_word(&mut run, Change::RemoveCodes, 1)), Some(Refusal::NothingToChange));
    assert_eq!(
        refusal(&by_word(&mut run, add(2, CredentialUse::Approve), 1)),
        Some(Refusal::CredentialNotCounting)
    );
}

#[test]
fn an_account_has_so_many_credentials() {
    let mut run = exchange(permit_all());
    with_key(&mut run, 0, CredentialUse::Approve);
    for number in 1..CREDENTIALS_MAX as u64 {
        surely(&mut run, add(number, CredentialUse::Approve), 0);
    }
    assert_eq!(refusal(&by_word(&mut run, add(99, CredentialUse::Approve), 0)), Some(Refusal::TooMany));
}

#[test]
fn credentials_need_a_party_to_be_used_at() {
    for (edit, used_for) in [
        ((|next: &mut Configuration| next.parties = None) as fn(&mut Configuration), CredentialUse::Approve),
        (|next| next.parties.as_mut().unwrap().login = None, CredentialUse::Login),
    ] {
        let mut next = configuration();
        edit(&mut next);
        let mut run = Run::new(next, permit_all());
        run.say(Command::OpenAccount { account: account(0), tier: name("full") });
        refuses(&mut run, add(1, used_for), Refusal::PartyMissing);
    }
}

// Texts.

#[test]
fn a_changes_text_must_say_the_change_now_here_and_once() {
    let mut run = exchange(permit_all());
    with_key(&mut run, 1, CredentialUse::Approve);
    let change = add(2, CredentialUse::Approve);
    let good = change_text(&account(0), &change, run.now, 5);
    let mut refused = |text: &str, expected| {
        let mut asked = plainly(0, change.clone());
        asked.approval = Some(approved(text, 1, 0));
        assert_eq!(refusal(&run.say(changes(asked))), Some(expected), "{text}");
    };
    let mut other = good.clone();
    other.account = account(1);
    refused(&other.to_string(), Refusal::TextDiffers);
    other = good.clone();
    other.change = "add_master_credential".parse().unwrap();
    refused(&other.to_string(), Refusal::TextDiffers);
    other = good.clone();
    other.exchange = "other.example".parse().unwrap();
    refused(&other.to_string(), Refusal::TextExchange);
    other = good.clone();
    other.not_after = Seconds::floor(START_OF_ALL);
    refused(&other.to_string(), Refusal::TextNotNow);
    other.not_after = Seconds::floor(good.not_after.timestamp().plus(24 * time::HOUR));
    refused(&other.to_string(), Refusal::TextNotNow);
    refused("holdfast-change/v2\n", Refusal::TextDiffers);

    let mut asked = plainly(0, change.clone());
    asked.approval = Some(approved(&good.to_string(), 1, 0));
    asked.approval.as_mut().unwrap().by.text = holdfast_decision::acts::Digest([1; 32]);
    assert_eq!(refusal(&run.say(changes(asked.clone()))), Some(Refusal::TextDiffers), "it approved another");
    asked.approval = Some(approved(&good.to_string(), 1, 0));
    sure(&mut run, changes(asked));
    let mut again = plainly(0, add(3, CredentialUse::Approve));
    again.approval = Some(approved(&good.to_string(), 1, 0));
    assert_eq!(refusal(&run.say(changes(again))), Some(Refusal::TextUsed));
}

const START_OF_ALL: Timestamp = Timestamp(0);

#[test]
fn an_assertion_that_was_used_is_refused_by_its_counter() {
    let mut run = exchange(permit_all());
    with_key(&mut run, 1, CredentialUse::Approve);
    let mut asked = with_word(&run, add(2, CredentialUse::Approve), 1);
    asked.approval.as_mut().unwrap().by.counter = 5;
    sure(&mut run, changes(asked));
    let mut asked = with_word(&run, add(3, CredentialUse::Approve), 1);
    asked.approval.as_mut().unwrap().by.counter = 5;
    assert_eq!(refusal(&run.say(changes(asked))), Some(Refusal::CounterWentBack));
}

// Codes.

pub(crate) fn enrol(run: &mut Run, step: u64) {
    sure(run, changes(plainly(0, Change::EnrolCodes { step })));
}

pub(crate) fn with_code(change: Change, proof: CodeProof) -> Command {
    let mut asked = plainly(0, change);
    asked.code = Some(Box::new(proof));
    changes(asked)
}

#[test]
fn whoever_has_no_credential_shows_an_old_code_to_change_codes() {
    let mut run = exchange(permit_all());
    refuses(&mut run, Change::RemoveCodes, Refusal::NothingToChange);
    enrol(&mut run, 10);
    for change in
        [Change::EnrolCodes { step: 12 }, Change::RemoveCodes, Change::PutRecoveryCodes { count: 8 }]
    {
        refuses(&mut run, change.clone(), Refusal::CodeNeeded);
        let used = with_code(change.clone(), CodeProof::OneTime { revision: 1, step: 10 });
        assert_eq!(refusal(&run.say(used)), Some(Refusal::CodeUsed));
        let events = run.say(with_code(change, CodeProof::Wrong));
        assert!(matches!(events[..], [Event::CodeFailed { .. }]), "counted, and nothing changes: {events:?}");
    }
    let right =
        with_code(Change::PutRecoveryCodes { count: 8 }, CodeProof::OneTime { revision: 1, step: 11 });
    let events = sure(&mut run, right);
    assert!(matches!(
        events[..],
        [Event::CodeAccepted { .. }, Event::ProtectionChanged { .. }, Event::SecurityChanged { .. }]
    ));
    assert_eq!(protection(&run).recovery_codes.unwrap().left, 0xff);
    // A recovery code is good for it too, once.
    let recovery = CodeProof::Recovery { revision: 1, nth: 3 };
    sure(&mut run, with_code(Change::RemoveCodes, recovery));
    refuses(&mut run, Change::EnrolCodes { step: 1 }, Refusal::CodeNeeded);
    let again = with_code(Change::EnrolCodes { step: 1 }, recovery);
    assert_eq!(refusal(&run.say(again)), Some(Refusal::CodeUsed));
    sure(&mut run, with_code(Change::EnrolCodes { step: 1 }, CodeProof::Recovery { revision: 1, nth: 4 }));
    assert_eq!(protection(&run).codes.unwrap().revision, 2);
}

#[test]
fn guessing_at_a_change_is_slow_too() {
    let mut run = exchange(permit_all());
    enrol(&mut run, 10);
    for _ in 0..5 {
        sure(&mut run, with_code(Change::RemoveCodes, CodeProof::Wrong));
    }
    let right = with_code(Change::RemoveCodes, CodeProof::OneTime { revision: 1, step: 11 });
    assert_eq!(refusal(&run.say(right)), Some(Refusal::CodeLocked));
}

#[test]
fn where_a_credential_counts_no_code_changes_codes() {
    let mut run = exchange(permit_all());
    enrol(&mut run, 10);
    with_key(&mut run, 1, CredentialUse::Approve);
    let right = with_code(Change::RemoveCodes, CodeProof::OneTime { revision: 1, step: 11 });
    assert_eq!(refusal(&run.say(right)), Some(Refusal::ApprovalNeeded));
    surely(&mut run, Change::RemoveCodes, 1);
}

#[test]
fn a_set_of_recovery_codes_has_1_to_32() {
    for (count, left) in [(0, None), (1, Some(1)), (32, Some(u32::MAX)), (33, None)] {
        let mut run = exchange(permit_all());
        let events = plain(&mut run, Change::PutRecoveryCodes { count });
        assert_eq!(refusal(&events), left.is_none().then_some(Refusal::ChangeInvalid));
        assert_eq!(protection(&run).recovery_codes.map(|codes| codes.left), left);
    }
}

// Keys.

#[test]
fn creating_and_widening_an_api_key_needs_a_word_where_a_credential_counts_and_the_old_command_is_no_way_round()
 {
    let mut run = exchange(permit_all());
    let put = |spec: &holdfast_decision::protection::ApiKeySpec| Change::PutApiKey(Box::new(spec.clone()));
    let mut spec = asymmetric(0);
    sure(&mut run, changes(plainly(0, put(&spec))));
    with_key(&mut run, 1, CredentialUse::Approve);
    refuses(&mut run, put(&asymmetric(1)), Refusal::ApprovalNeeded);
    let plain_put = |key: u64, scopes, ips: &[u64]| Command::PutApiKey {
        account: account(0),
        key: fingerprint("key", key),
        scopes: Scopes(scopes),
        ip_allowlist: ips.iter().map(|ip| fingerprint("ip", *ip)).collect(),
    };
    assert_eq!(refusal(&run.say(plain_put(1, 1, &[]))), Some(Refusal::ApprovalNeeded));
    assert_eq!(refusal(&run.say(plain_put(0, 7, &[0, 1]))), Some(Refusal::ApprovalNeeded));
    spec.scopes = Scopes(5);
    sure(&mut run, changes(plainly(0, put(&spec))));
    spec.scopes = Scopes(7);
    refuses(&mut run, put(&spec), Refusal::ApprovalNeeded);
    surely(&mut run, put(&spec), 1);
    sure(&mut run, plain_put(0, 5, &[0]));
    let key = run.state.account(&account(0)).unwrap().api_key(&fingerprint("key", 0)).unwrap().clone();
    assert_eq!((key.revision, key.scopes), (4, Scopes(5)));
    assert!(key.fenced.unwrap().fence.asymmetric, "what bounds it stays");
}

#[test]
fn keys_are_within_limits_however_they_are_put() {
    let mut run = exchange(permit_all());
    let mut is = |edit: &dyn Fn(&mut holdfast_decision::protection::ApiKeySpec), expected| {
        let mut spec = asymmetric(0);
        edit(&mut spec);
        refuses(&mut run, Change::PutApiKey(Box::new(spec)), expected);
    };
    is(&|spec| spec.ip_allowlist.clear(), Refusal::AllowlistRequired);
    is(&|spec| spec.ip_allowlist = vec![fingerprint("ip", 0); 33], Refusal::TooMany);
    is(
        &|spec| spec.fence.destinations = Some(vec![fingerprint("x", 0); KEY_DESTINATIONS_MAX + 1]),
        Refusal::TooMany,
    );
    sure(&mut run, changes(plainly(1, Change::PutApiKey(Box::new(asymmetric(0))))));
    refuses(&mut run, Change::PutApiKey(Box::new(asymmetric(0))), Refusal::ApiKeyForeign);
    for number in 1..65 {
        sure(&mut run, changes(plainly(0, Change::PutApiKey(Box::new(asymmetric(number))))));
    }
    refuses(&mut run, Change::PutApiKey(Box::new(asymmetric(65))), Refusal::TooMany);
    sure(&mut run, Command::RevokeApiKey { account: account(0), key: fingerprint("key", 5) });
    refuses(&mut run, Change::PutApiKey(Box::new(asymmetric(5))), Refusal::ApiKeyRevoked);
}

// The Settings Lock.

pub(crate) fn locked(days: u8) -> Run {
    let mut run = exchange(permit_all());
    with_key(&mut run, 1, CredentialUse::Approve);
    surely(&mut run, add(2, CredentialUse::Master), 1);
    surely(&mut run, Change::PutApiKey(Box::new(asymmetric(0))), 1);
    let granted = terms(1, (0, 1), BTC, &[7], (10, 20), run.now);
    let said = mandate_text(&account(0), &granted, (BTC.1, 8), &[7], 1).to_string();
    let mut asked = plainly(0, Change::GrantMandate(Box::new(granted)));
    asked.approval = Some(approved(&said, 1, 0));
    sure(&mut run, changes(asked));
    sure(&mut run, session(0, 1));
    sure(&mut run, changes(plainly(0, Change::LockSettings { days })));
    run
}

#[test]
fn locked_settings_let_nothing_loosen_whoever_approves() {
    let mut run = locked(7);
    let refused = [
        add(3, CredentialUse::Approve),
        remove(1),
        Change::EnrolCodes { step: 1 },
        Change::RemoveCodes,
        Change::PutRecoveryCodes { count: 8 },
        Change::PutApiKey(Box::new(asymmetric(0))),
        Change::GrantMandate(Box::new(terms(9, (0, 1), BTC, &[7], (1, 2), run.now))),
        Change::Unfreeze,
    ];
    for change in refused {
        refuses(&mut run, change.clone(), Refusal::SettingsLocked);
        let events = by_word(&mut run, change, 1);
        assert_eq!(refusal(&events), Some(Refusal::SettingsLocked));
    }
    let key = Command::PutApiKey {
        account: account(0),
        key: fingerprint("key", 0),
        scopes: Scopes(1),
        ip_allowlist: Vec::new(),
    };
    assert_eq!(refusal(&run.say(key)), Some(Refusal::SettingsLocked));
    let destination = place(BTC.1, 7);
    let address = Command::AddAddress { account: account(0), destination };
    assert_eq!(refusal(&run.say(address)), Some(Refusal::SettingsLocked));
    for change in [
        Change::RevokeMandate { mandate: MandateId(1) },
        Change::ForgetDevice { device: fingerprint("device", 1) },
        Change::BeginRecovery,
    ] {
        sure(&mut run, changes(plainly(0, change)));
    }
    surely(&mut run, Change::StopRecovery, 1);
}

#[test]
fn a_lock_keeps_no_strangers_young_key_in_and_no_recovery_out() {
    let mut run = exchange(permit_all());
    sure(&mut run, changes(plainly(0, add(66, CredentialUse::Approve))));
    sure(&mut run, changes(plainly(0, Change::LockSettings { days: 30 })));
    refuses(&mut run, add(7, CredentialUse::Approve), Refusal::SettingsLocked);
    sure(&mut run, changes(plainly(0, Change::BeginRecovery)));
    let events = sure(&mut run, changes(plainly(0, add(7, CredentialUse::Approve))));
    assert!(matches!(events[0], Event::ProtectionChanged { basis: Some(Basis::Recovery), .. }), "{events:?}");
    refuses(&mut run, add(8, CredentialUse::Login), Refusal::SettingsLocked);
    sure(&mut run, changes(plainly(0, remove(66))));
    run.wait(72 * time::HOUR);
    assert!(!counts(&run, 66) && !counts(&run, 7));
}

#[test]
fn an_account_approves_so_many_texts_a_day() {
    let mut run = exchange(permit_all());
    with_key(&mut run, 1, CredentialUse::Approve);
    for step in 0..u64::from(TEXTS_A_DAY_MAX) {
        surely(&mut run, Change::EnrolCodes { step }, 1);
    }
    let events = by_word(&mut run, Change::EnrolCodes { step: 900 }, 1);
    assert_eq!(refusal(&events), Some(Refusal::TooMany));
    run.wait(time::DAY);
    surely(&mut run, Change::EnrolCodes { step: 900 }, 1);
}

#[test]
fn with_settings_locked_money_goes_only_where_it_went_before() {
    let mut run = exchange(permit_all());
    sure(&mut run, Command::AddAddress { account: account(0), destination: place(BTC.1, 7) });
    sure(&mut run, changes(plainly(0, Change::LockSettings { days: 1 })));
    let ask = |run: &mut Run, number, to| {
        let made = request(run.now, number, 0, BTC, 1_000, to);
        let id = made.withdrawal;
        (id, sure(run, Command::RequestWithdrawal(Box::new(made))))
    };
    let (_, events) = ask(&mut run, 1, 8);
    let denied = events.iter().any(|event| match event {
        Event::WithdrawalDecided { decision, .. } => {
            decision.status == Status::Denied && decision.reasons[0].code == "settings_locked"
        }
        _ => false,
    });
    assert!(denied, "{events:?}");
    assert!(run.state.account(&account(0)).unwrap().address(&place(BTC.1, 8)).is_none());
    let (id, _) = ask(&mut run, 2, 7);
    assert_eq!(run.state.withdrawal(id).unwrap().status(), Status::Approved);
}

#[test]
fn unlocking_waits_the_full_time_and_a_master_key_opens_at_once() {
    let mut run = locked(2);
    let events = plain(&mut run, Change::UnlockSettings);
    assert!(matches!(events[..], [Event::UnlockBegun { .. }]));
    assert!(plain(&mut run, Change::UnlockSettings).is_empty(), "the time runs already");
    run.wait(48 * time::HOUR - time::SECOND);
    refuses(&mut run, add(3, CredentialUse::Approve), Refusal::SettingsLocked);
    run.wait(time::SECOND);
    surely(&mut run, add(3, CredentialUse::Approve), 1);
    refuses(&mut run, Change::UnlockSettings, Refusal::NothingToChange);

    let mut run = locked(30);
    let events = by_word(&mut run, Change::UnlockSettings, 1);
    assert_eq!(
        refusal(&events),
        Some(Refusal::CredentialNotCounting),
        "a key for approvals is no master key"
    );
    surely(&mut run, Change::UnlockSettings, 2);
    surely(&mut run, add(3, CredentialUse::Approve), 1);
}

#[test]
fn downtime_unlocks_nothing() {
    let mut run = locked(1);
    plain(&mut run, Change::UnlockSettings);
    run.now = run.now.plus(48 * time::HOUR);
    run.say(Command::Start);
    refuses(&mut run, add(3, CredentialUse::Approve), Refusal::SettingsLocked);
    run.wait(24 * time::HOUR);
    surely(&mut run, add(3, CredentialUse::Approve), 1);
}

#[test]
fn a_lock_is_never_shortened_and_locking_again_ends_an_unlocking() {
    let mut run = locked(7);
    refuses(&mut run, Change::LockSettings { days: 6 }, Refusal::SettingsLocked);
    refuses(&mut run, Change::LockSettings { days: 7 }, Refusal::NothingToChange);
    refuses(&mut run, Change::LockSettings { days: 31 }, Refusal::ChangeInvalid);
    refuses(&mut run, Change::LockSettings { days: 0 }, Refusal::ChangeInvalid);
    plain(&mut run, Change::UnlockSettings);
    run.wait(6 * time::DAY);
    sure(&mut run, changes(plainly(0, Change::LockSettings { days: 7 })));
    run.wait(2 * time::DAY);
    refuses(&mut run, add(3, CredentialUse::Approve), Refusal::SettingsLocked);
    sure(&mut run, changes(plainly(0, Change::LockSettings { days: 9 })));
}

#[test]
fn a_master_key_approves_nothing_but_the_opening_of_the_lock() {
    let mut run = locked(1);
    surely(&mut run, Change::UnlockSettings, 2);
    for change in [add(3, CredentialUse::Approve), remove(1), Change::EnrolCodes { step: 1 }] {
        let events = by_word(&mut run, change, 2);
        assert_eq!(refusal(&events), Some(Refusal::CredentialNotCounting));
    }
    let made = request(run.now, 1, 0, BTC, 1_000, 7);
    let id = made.withdrawal;
    sure(&mut run, usual_prices());
    sure(&mut run, Command::RequestWithdrawal(Box::new(made)));
    let text = holdfast_decision::acts::Digest(run.state.text_of(id).unwrap().digest().0);
    let events = run.say(approves(0, id, approval(2, text, 0)));
    assert_eq!(refusal(&events), Some(Refusal::CredentialNotCounting));
}
