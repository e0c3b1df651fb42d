//! Samples of what commands and events say of an account's protection.

use holdfast_decision::acts::Digest;
use holdfast_decision::command::{
    BoundApproval, ChangeProtection, Command, KeyCohort, KeyUse, PresentCode, RecordSession, Scopes,
    SessionFacts,
};
use holdfast_decision::event::{AccountIndex, Event};
use holdfast_decision::protection::{
    ApiKeySpec, ApprovalFlags, ApprovedText, Basis, Change, CodeProof, CodePurpose, CredentialUse, KeyFence,
    NewCredential, NewMandate, Place,
};
use holdfast_values::{AccountId, Amount, Fingerprint, MandateId, UsdCents, WithdrawalId, time};

use crate::world::{self, START, account, name};

const ID: WithdrawalId = WithdrawalId(7 << 80);
const KEY: Fingerprint = Fingerprint([0xab; 16]);
const MANDATE: MandateId = MandateId(9 << 80);

fn who() -> AccountId {
    account("ac_1")
}

fn approval() -> BoundApproval {
    BoundApproval {
        credential: KEY,
        text: Digest([0x7e; 32]),
        counter: 41,
        flags: ApprovalFlags::USER_VERIFIED.with(ApprovalFlags::BACKED_UP),
        verifier: 1,
        sealed: b"sealed bytes that must not appear".to_vec(),
    }
}

fn approved() -> Box<ApprovedText> {
    Box::new(ApprovedText { text: "holdfast-change/v1\n".to_owned(), by: approval() })
}

fn facts() -> SessionFacts {
    SessionFacts {
        device: Some(KEY),
        ip: Some(Fingerprint([3; 16])),
        agent: Some(Fingerprint([4; 16])),
        tls: None,
        place: Some(Place { country: *b"MT", asn: 64_500 }),
    }
}

fn credential(used_for: CredentialUse) -> Change {
    Change::AddCredential(Box::new(NewCredential {
        credential: KEY,
        id: Digest([1; 32]),
        key: Digest([2; 32]),
        legacy_u2f: true,
        used_for,
        counter: 3,
        flags: ApprovalFlags::default(),
        sealed: b"sealed bytes that must not appear".to_vec(),
    }))
}

/// Every change there is.
fn changes() -> Vec<Change> {
    vec![
        credential(CredentialUse::Approve),
        credential(CredentialUse::Master),
        credential(CredentialUse::Login),
        Change::RemoveCredential { credential: KEY },
        Change::EnrolCodes { step: 51_000_000 },
        Change::RemoveCodes,
        Change::PutRecoveryCodes { count: 10 },
        Change::PutApiKey(Box::new(ApiKeySpec {
            key: KEY,
            scopes: Scopes(5),
            ip_allowlist: vec![Fingerprint([3; 16])],
            fence: KeyFence {
                destinations: Some(vec![Fingerprint([5; 16])]),
                usd_cents_24h: Some(UsdCents(1_000_000)),
                expires_at: Some(START.plus(90 * time::DAY)),
                asymmetric: true,
                asn: Some(64_500),
            },
            new_material: true,
        })),
        Change::LockSettings { days: 7 },
        Change::UnlockSettings,
        Change::Unfreeze,
        Change::GrantMandate(Box::new(NewMandate {
            mandate: MANDATE,
            key: KEY,
            revision: 2,
            asset: "BTC".parse().unwrap(),
            destinations: vec![Fingerprint([5; 16])],
            amount_max: Amount::from_base_units(50_000_000),
            day_max: Amount::from_base_units(200_000_000),
            not_before: START,
            not_after: START.plus(90 * time::DAY),
        })),
        Change::RevokeMandate { mandate: MANDATE },
        Change::BeginRecovery,
        Change::StopRecovery,
        Change::ForgetDevice { device: KEY },
    ]
}

fn asked(change: Change) -> Command {
    Command::ChangeProtection(Box::new(ChangeProtection {
        account: who(),
        change,
        approval: Some(approved()),
        code: Some(Box::new(CodeProof::Recovery { revision: 1, nth: 4 })),
        device: Some(KEY),
    }))
}

fn shown(purpose: CodePurpose, proof: CodeProof) -> Command {
    Command::PresentCode(Box::new(PresentCode {
        account: who(),
        purpose,
        proof,
        source: Fingerprint([3; 16]),
        device: None,
    }))
}

fn cohort() -> Box<KeyCohort> {
    Box::new(KeyCohort {
        made_from: Some(START),
        asn: Some(64_500),
        exposed_until: Some(START.plus(time::DAY)),
        ..KeyCohort::default()
    })
}

fn uses() -> Vec<KeyUse> {
    vec![KeyUse { key: KEY, allowed: 900, refused: 2, last_used: START }]
}

/// One of each variant, in order.
pub(crate) fn commands() -> Vec<Command> {
    vec![
        Command::ApproveIntent { account: who(), withdrawal: ID, approval: Box::new(approval()) },
        asked(credential(CredentialUse::Approve)),
        shown(CodePurpose::Withdrawal(ID), CodeProof::OneTime { revision: 1, step: 51_000_001 }),
        Command::RecordSession(Box::new(RecordSession {
            account: who(),
            facts: facts(),
            credential: Some((KEY, 42)),
            sealed: b"sealed bytes that must not appear".to_vec(),
        })),
        Command::RevokeApiKeys { cohort: cohort(), by: name("desk") },
        Command::RecordKeyUse { keys: uses() },
        Command::RenewIntent { account: who(), withdrawal: ID, nonce: [8; 32] },
    ]
}

/// What one variant says in several ways.
pub(crate) fn further_commands() -> Vec<Command> {
    let codes = [shown(CodePurpose::Login, CodeProof::Wrong)];
    let mut request = world::World::new(world::permit_all()).request("w", "ac_1", "BTC", "0.75", "somewhere");
    request.withdrawal = ID;
    request.evidence = holdfast_decision::command::Evidence::Device { one_time_code: true, facts: facts() };
    changes()
        .into_iter()
        .skip(1)
        .map(asked)
        .chain(codes)
        .chain([Command::RequestWithdrawal(Box::new(request))])
        .collect()
}

/// One of each variant, in order.
pub(crate) fn events() -> Vec<Event> {
    let account = AccountIndex(0);
    vec![
        Event::IntentApproved { withdrawal: ID, approval: Box::new(approval()) },
        Event::ProtectionChanged {
            account,
            change: Box::new(credential(CredentialUse::Approve)),
            basis: Some(Basis::Rotation),
            approval: Some(approved()),
        },
        Event::UnlockBegun { account },
        Event::CodeAccepted {
            account,
            proof: CodeProof::OneTime { revision: 1, step: 51_000_001 },
            device: Some(KEY),
        },
        Event::CodeFailed { account, device: None },
        Event::SessionSeen {
            account,
            facts: facts(),
            credential: Some((KEY, 42)),
            new_device: true,
            new_place: false,
        },
        Event::ApiKeysRevoked { cohort: cohort(), count: 12 },
        Event::ApiKeysUsed { keys: uses() },
        Event::ApiKeyWoke { account, key: KEY, idle_days: 45 },
        Event::IntentLapsed { withdrawal: ID },
        Event::IntentRenewed { withdrawal: ID, nonce: [8; 32], not_after: START.plus(7 * time::DAY) },
        Event::MandateUsed { withdrawal: ID, mandate: MANDATE },
        Event::AccountRecovered { account, credential: KEY, approval: Box::new(crate::record::approval()) },
        Event::OwnerFroze { account },
    ]
}

/// What one variant says in several ways.
pub(crate) fn further_events() -> Vec<Event> {
    changes()
        .into_iter()
        .skip(1)
        .map(|change| Event::ProtectionChanged {
            account: AccountIndex(0),
            change: Box::new(change),
            basis: None,
            approval: None,
        })
        .collect()
}
