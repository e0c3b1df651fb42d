//! What a customer says: credentials, texts of changes and mandates, and approvals of them.

use holdfast_decision::acts::Digest;
use holdfast_decision::command::Command;
use holdfast_decision::command::Scopes;
use holdfast_decision::event::{ApprovedText, BoundApproval, Change};
use holdfast_decision::protection::{
    ApiKeySpec, ApprovalFlags, ChangeProtection, CodeProof, CodePurpose, CredentialUse, KeyFence,
    NewCredential, NewMandate, PresentCode, RecordSession, SessionFacts,
};
use holdfast_values::texts::{ChangeText, Destinations, MandateText, Nonce, Seconds, TextDigest, Window};
use holdfast_values::{
    AccountId, Amount, AssetSymbol, Fingerprint, MandateId, Network, Timestamp, WithdrawalId, time,
};

use crate::world::{EXCHANGE, account, destination, fingerprint, name, place};

/// The digest of something that a number names.
pub(crate) fn digest(kind: &str, number: u64) -> Digest {
    Digest(*blake3::hash(format!("{kind}/{number}").as_bytes()).as_bytes())
}

pub(crate) fn credential(number: u64) -> Fingerprint {
    fingerprint("credential", number)
}

pub(crate) fn new_credential(number: u64, used_for: CredentialUse) -> NewCredential {
    NewCredential {
        credential: credential(number),
        id: digest("credential id", number),
        key: digest("credential key", number),
        legacy_u2f: false,
        used_for,
        counter: 0,
        flags: ApprovalFlags::USER_VERIFIED,
        sealed: vec![1, 2, 3],
    }
}

/// A credential's approval of a text.
pub(crate) fn approval(number: u64, text: Digest, counter: u32) -> BoundApproval {
    BoundApproval {
        credential: credential(number),
        text,
        counter,
        flags: ApprovalFlags::USER_VERIFIED,
        verifier: 1,
        sealed: vec![4, 5, 6],
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0xab; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Nonce(bytes)
}

/// The text of a change, good for an hour.
pub(crate) fn change_text(of: &AccountId, change: &Change, now: Timestamp, number: u64) -> ChangeText {
    ChangeText {
        exchange: EXCHANGE.parse().unwrap(),
        account: of.clone(),
        change: change.name().parse().unwrap(),
        target: "-".parse().unwrap(),
        detail: "-".parse().unwrap(),
        not_after: Seconds::floor(now.plus(time::HOUR)),
        nonce: nonce(number),
    }
}

/// A text, approved.
pub(crate) fn approved(text: &str, by: u64, counter: u32) -> Box<ApprovedText> {
    let digest = Digest(TextDigest::of(text.as_bytes()).0);
    Box::new(ApprovedText { text: text.to_owned(), by: approval(by, digest, counter) })
}

/// A change that nothing came with.
pub(crate) fn plainly(of: usize, change: Change) -> ChangeProtection {
    ChangeProtection { account: account(of), change, approval: None, code: None, device: None }
}

pub(crate) fn changes(asked: ChangeProtection) -> Command {
    Command::ChangeProtection(Box::new(asked))
}

pub(crate) fn shows(of: usize, purpose: CodePurpose, proof: CodeProof, device: Option<u64>) -> Command {
    Command::PresentCode(Box::new(PresentCode {
        account: account(of),
        purpose,
        proof,
        source: fingerprint("network", 1),
        device: device.map(|number| fingerprint("device", number)),
    }))
}

pub(crate) fn session(of: usize, device: u64) -> Command {
    let facts = SessionFacts { device: Some(fingerprint("device", device)), ..SessionFacts::default() };
    let sealed = vec![7];
    Command::RecordSession(Box::new(RecordSession { account: account(of), facts, credential: None, sealed }))
}

pub(crate) fn approves(of: usize, withdrawal: WithdrawalId, approval: BoundApproval) -> Command {
    Command::ApproveIntent { account: account(of), withdrawal, approval: Box::new(approval) }
}

/// A key that may withdraw from one address, whose private half the customer alone has.
pub(crate) fn asymmetric(key: u64) -> ApiKeySpec {
    ApiKeySpec {
        key: fingerprint("key", key),
        scopes: Scopes(7),
        ip_allowlist: vec![fingerprint("ip", 0)],
        fence: KeyFence { asymmetric: true, ..KeyFence::default() },
        new_material: false,
    }
}

/// Terms for a key: one asset to some places of one network.
pub(crate) fn terms(
    number: u64,
    (key, revision): (u64, u32),
    (asset, network): (&str, Network),
    places: &[u64],
    (amount_max, day_max): (u128, u128),
    now: Timestamp,
) -> NewMandate {
    let from = now.floor_second();
    let asset: AssetSymbol = asset.parse().unwrap();
    NewMandate {
        mandate: MandateId(u128::from(number)),
        key: fingerprint("key", key),
        revision,
        asset,
        destinations: places.iter().map(|number| place(network, *number)).collect(),
        amount_max: Amount::from_base_units(amount_max),
        day_max: Amount::from_base_units(day_max),
        not_before: from,
        not_after: from.plus(30 * time::DAY),
    }
}

/// The text that says these terms.
pub(crate) fn mandate_text(
    of: &AccountId,
    terms: &NewMandate,
    (network, decimals): (Network, u8),
    places: &[u64],
    number: u64,
) -> MandateText {
    let places = places.iter().map(|number| destination(network, *number)).collect();
    let window = Window::new(Seconds::floor(terms.not_before), Seconds::floor(terms.not_after)).unwrap();
    MandateText {
        exchange: EXCHANGE.parse().unwrap(),
        account: of.clone(),
        mandate: terms.mandate,
        api_key: name("key-one"),
        key: [5; 32],
        asset: terms.asset.clone(),
        destinations: Destinations::new(places).unwrap(),
        decimals,
        amount_max: terms.amount_max,
        day_max: terms.day_max,
        window,
        nonce: nonce(number),
    }
}
