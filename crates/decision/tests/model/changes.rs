//! What each change of an account's protection needs, printed into `docs/changes.md`; and where credentials may be used.
//!
//! `HOLDFAST_BLESS=1 cargo test -p holdfast-decision --test model changes` writes the document anew.

use std::path::Path;

use holdfast_decision::command::Command;
use holdfast_decision::configuration::{Parties, Party};
use holdfast_decision::event::Change;
use holdfast_decision::protection::CredentialUse;
use holdfast_decision::{OWNER_FREEZE, Refusal, State};
use holdfast_values::{MandateId, Timestamp};

use crate::approvals::{exchange, refusal, sure, with_key};
use crate::owner::{asymmetric, changes, plainly, terms};
use crate::play::Run;
use crate::world::{account, configuration, fingerprint, name, parties, permit_all};

use crate::protection::{BTC, add, enrol, locked, plain, remove, surely};
use crate::recovery::recovering;

// The configuration.

#[test]
fn parties_are_apart_from_one_another_and_named_in_one_way() {
    let check = |edit: &dyn Fn(&mut Parties)| {
        let mut next = configuration();
        let mut changed = parties();
        edit(&mut changed);
        next.parties = Some(Box::new(changed));
        next.validate()
    };
    let origins = |approve: &mut Party, all: &[&str]| {
        approve.origins = all.iter().map(|origin| (*origin).to_owned()).collect();
    };
    assert_eq!(check(&|_| {}), Ok(()));
    assert_eq!(check(&|all| all.login = None), Ok(()));
    assert_eq!(
        check(&|all| origins(&mut all.approve, &["https://approve.harbor.example:8443"])),
        Ok(()),
        "a port of its own"
    );
    for wrong in ["Approve.harbor.example", "", "approve..example", "-a.example", "10.0.0.1", "a_b.example"] {
        assert!(check(&|all| all.approve.rp_id = wrong.to_owned()).is_err(), "{wrong}");
    }
    for wrong in [
        "http://approve.harbor.example",
        "https://approve.harbor.example/",
        "https://approve.harbor.example:443",
        "https://approve.harbor.example:0",
        "https://approve.harbor.example:08",
        "https://approve.harbor.example:99999",
        "https://x.approve.harbor.example",
        "https://harbor.example",
        "https://approve.harbor.example.evil.example",
        "https://user@approve.harbor.example",
    ] {
        assert!(check(&|all| origins(&mut all.approve, &[wrong])).is_err(), "{wrong}");
    }
    assert!(check(&|all| origins(&mut all.approve, &[])).is_err());
    assert!(check(&|all| origins(&mut all.approve, &["https://approve.harbor.example"; 9])).is_err());
    assert!(check(&|all| all.approve.app_id = Some("http://x".to_owned())).is_err());
    let login = |all: &mut Parties, edit: &dyn Fn(&mut Party)| edit(all.login.as_mut().unwrap());
    assert!(check(&|all| login(all, &|one| one.rp_id = "approve.harbor.example".to_owned())).is_err());
    let served = "https://approve.harbor.example";
    assert!(check(&|all| login(all, &|one| one.origins.push(served.to_owned()))).is_err());
    assert!(
        check(&|all| login(all, &|one| one.origins.push("https://notharbor.example".to_owned()))).is_err()
    );
    let operate = |edit: &dyn Fn(&mut Party)| {
        let mut next = configuration();
        edit(next.operate.as_mut().unwrap());
        next.validate()
    };
    assert_eq!(operate(&|one| origins(one, &["https://operate.harbor.example:8443"])), Ok(()));
    for wrong in
        ["https://x.operate.harbor.example", "http://operate.harbor.example", "https://harbor.example"]
    {
        assert!(operate(&|one| origins(one, &[wrong])).is_err(), "{wrong}");
    }
    assert!(operate(&|one| one.app_id = Some("https://harbor.example".to_owned())).is_err());
    for theirs in ["approve.harbor.example", "harbor.example", "app.harbor.example"] {
        let at = |one: &mut Party| {
            one.rp_id = theirs.to_owned();
            one.origins = vec![format!("https://{theirs}")];
        };
        assert!(operate(&at).is_err(), "{theirs} is the customers'");
    }
    let mut next = configuration();
    next.parameters.credential_ageing = Some(0);
    assert!(next.validate().is_err());
}

// What each change needs.

type Situation = (&'static str, fn() -> Run);

const SITUATIONS: [Situation; 9] = [
    ("nothing enrolled", || exchange(permit_all())),
    ("one-time codes", || {
        let mut run = exchange(permit_all());
        enrol(&mut run, 10);
        run
    }),
    ("a first credential, young", || {
        let mut run = exchange(permit_all());
        sure(&mut run, changes(plainly(0, add(1, CredentialUse::Approve))));
        run
    }),
    ("a credential that counts", || {
        let mut run = exchange(permit_all());
        with_key(&mut run, 1, CredentialUse::Approve);
        run
    }),
    ("a master key alone, its approver removed", || {
        let mut run = exchange(permit_all());
        with_key(&mut run, 8, CredentialUse::Approve);
        surely(&mut run, add(1, CredentialUse::Master), 8);
        surely(&mut run, remove(8), 8);
        run
    }),
    ("being recovered", recovering),
    ("settings locked", || locked(1)),
    ("frozen by its owner", || frozen(OWNER_FREEZE)),
    ("frozen by staff", || frozen("desk")),
];

fn frozen(by: &str) -> Run {
    let mut run = exchange(permit_all());
    with_key(&mut run, 1, CredentialUse::Approve);
    sure(&mut run, Command::FreezeAccount { account: account(0), by: name(by) });
    run
}

fn all_changes(now: Timestamp) -> Vec<(&'static str, Change)> {
    vec![
        ("`add_credential`", add(9, CredentialUse::Approve)),
        ("`add_master_credential`", add(9, CredentialUse::Master)),
        ("`add_login_credential`", add(9, CredentialUse::Login)),
        ("`remove_credential`", remove(1)),
        ("`enrol_codes`", Change::EnrolCodes { step: 1 }),
        ("`remove_codes`", Change::RemoveCodes),
        ("`put_recovery_codes`", Change::PutRecoveryCodes { count: 8 }),
        ("`put_api_key`, a new one", Change::PutApiKey(Box::new(asymmetric(9)))),
        ("`lock_settings`", Change::LockSettings { days: 1 }),
        ("`unlock_settings`", Change::UnlockSettings),
        ("`unfreeze`", Change::Unfreeze),
        ("`grant_mandate`", Change::GrantMandate(Box::new(terms(9, (9, 1), BTC, &[7], (1, 2), now)))),
        ("`revoke_mandate`", Change::RevokeMandate { mandate: MandateId(1) }),
        ("`begin_recovery`", Change::BeginRecovery),
        ("`stop_recovery`", Change::StopRecovery),
        ("`forget_device`", Change::ForgetDevice { device: fingerprint("device", 1) }),
    ]
}

fn cell(state: &State, now: Timestamp, change: &Change) -> String {
    match state.change_needs(now, &account(0), change) {
        Ok(need) => need.name().replace('_', " "),
        Err(refusal) => format!("`{refusal}`"),
    }
}

fn document() -> String {
    let mut text = String::from(
        "# Changes of an account's protection\n\n\
         What each change needs beside the session that asks for it, by what protects the account. A code in `backticks` is \
         a refusal whatever comes along.\n\n\
         - *approval*: a credential of the account that counts signs the text of exactly this change \
         (`holdfast-change/v1`, good for at most a day). A credential counts once it is 72 hours old, or at once if one that \
         counted approved it.\n\
         - *mandate approval*: the same, over the mandate's own text (`holdfast-mandate/v1`).\n\
         - *code*: a right one-time code, or a recovery code.\n\
         - *master or time*: a master key that counts opens the lock at once; without it, the lock's full time runs.\n\
         - *veto*: an approval, a right code, or a device that the account had known for a day when the recovery began.\n\
         - *device*: an approval, a right code, or another device that the account has known for a day.\n\n\
         Printed from the code by a test, which also compares it: `HOLDFAST_BLESS=1 cargo test -p holdfast-decision --test \
         model changes` writes it anew.\n\n| change |",
    );
    let runs: Vec<Run> = SITUATIONS.iter().map(|(_, situation)| situation()).collect();
    SITUATIONS.iter().for_each(|(name, _)| text.push_str(&format!(" {name} |")));
    text.push_str("\n|---|");
    SITUATIONS.iter().for_each(|_| text.push_str("---|"));
    for (what, change) in all_changes(runs[0].now) {
        text.push_str(&format!("\n| {what} |"));
        runs.iter().for_each(|run| text.push_str(&format!(" {} |", cell(&run.state, run.now, &change))));
    }
    text.push_str(
        "\n\nA credential that does not count yet is removed on a session's word, also while settings are locked or the account \
         is frozen, and leaves no trace. One that counted is remembered: from then on no session lets a new one in, only an \
         approval or a recovery does. A master key never comes first. An API key that may do no more than before needs \
         nothing. While an account is being recovered, a new credential for approvals waits for the operators \
         (`recover_account`, [operator-acts.md](operator-acts.md)), who sign after the recovery began, and needs nobody else; \
         no device that was known before is forgotten. A device that has not been known for a day is forgotten on a session's \
         word. Settings that are locked may be locked for as long or longer, which ends an unlocking.\n\n\
         A freeze by way of the panic link is the owner's: a credential that counted when the account was frozen ends it, and \
         none comes of age meanwhile. Every other freeze, also one on top of the owner's, is ended by operators alone \
         (`unfreeze_account`). An account approves at most 256 texts of changes and mandates a day.\n\n\
         Every change of credentials and codes, and the beginning and end of a recovery, begins the cooling-off \
         (`SecurityChanged`); its owner is told of every change.\n",
    );
    text
}

#[test]
fn the_document_of_changes_is_what_the_code_asks_for() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/changes.md");
    let printed = document();
    if std::env::var_os("HOLDFAST_BLESS").is_some() {
        std::fs::write(&path, &printed).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(printed == written, "docs/changes.md differs; the code says:\n{printed}");
}

#[test]
fn what_needs_a_word_is_refused_without_it_and_what_needs_none_is_not() {
    let words = [Refusal::ApprovalNeeded, Refusal::CodeNeeded];
    for (name, situation) in SITUATIONS {
        for (what, change) in all_changes(situation().now) {
            let mut run = situation();
            let need = run.state.change_needs(run.now, &account(0), &change);
            let refused = refusal(&plain(&mut run, change));
            match need {
                Err(expected) => assert_eq!(refused, Some(expected), "{name}: {what}"),
                Ok(holdfast_decision::Need::Nothing | holdfast_decision::Need::MasterOrTime) => {
                    assert!(refused.is_none_or(|refused| !words.contains(&refused)), "{name}: {what}");
                }
                // Or there is nothing that could change.
                Ok(_) => assert!(refused.is_some(), "{name}: {what}"),
            }
        }
    }
}
