//! Which customers' keys count, and from when on: what is enrolled on whose word, and whether an assertion is one by a key
//! that counts now. By the signer's own clock and its own store; everything is changed in the caller's one transaction.
//!
//! Holdfast can offer an account's first key and nothing more: such a key counts after its ageing. Every other one comes
//! by the word of a key that counts, or of operators.

use holdfast_authn::release::{Basis, BoundAssertion, Enrolment, Removal, SignedAct, verify_act};
use holdfast_authn::webauthn::{Assertion, PublicKey, verify_assertion};
use holdfast_values::texts::{ChangeText, OperatorText};
use holdfast_values::{AccountId, Micros, TextDigest, Timestamp, time};

use crate::acts::APPROVAL_GRACE;
use crate::pins::{Approval, Pins};
use crate::refused::Refused;
use crate::store::records::Records;
use crate::store::registry::{Credential, Origin};

/// How long after a higher counter was seen a lower one may still come. Payments are authorised in another order than they
/// were approved in, since some wait longer than others.
const COUNTER_GRACE: Micros = 7 * time::DAY;

/// Which counters an assertion may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counters {
    /// None that is far behind another.
    Recent,
    /// Any that stands beside no other text.
    Any,
}

/// The change of a rotation.
const ADD_CREDENTIAL: &str = "add_credential";
/// The act of a recovery.
const RECOVER_ACCOUNT: &str = "recover_account";

/// What an enrolment led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enrolled {
    /// When this signer saw the credential first.
    pub seen: Timestamp,
    /// From when on it counts.
    pub counts_from: Timestamp,
    /// It was known before.
    pub repeated: bool,
}

/// Takes a credential, or says why not. `payload` is what was signed, kept as evidence.
pub(crate) fn enrol(
    pins: &Pins,
    records: &Records<'_>,
    enrolment: &Enrolment,
    payload: &[u8],
    now: Timestamp,
) -> Result<Enrolled, Refused> {
    let approval = pins.approval.as_ref().ok_or(Refused::ApprovalsNotPinned)?;
    let account = &enrolment.account;
    let key = PublicKey::from_cose(&enrolment.public_key).map_err(Refused::CredentialKey)?;
    if records.removed(&enrolment.credential_id)?.is_some() {
        return Err(Refused::CredentialRemoved { account: account.clone() });
    }
    if let Some(known) = records.credential(&enrolment.credential_id)? {
        return again(pins, &known, enrolment);
    }
    let own = || enrolment.credential_id.clone();
    let (origin, lineage) = match &enrolment.basis {
        Basis::First => {
            check_first(pins, approval, records, enrolment, now)?;
            (Origin::First, own())
        }
        Basis::Rotation { text, by } => {
            (Origin::Rotation, rotation(pins, records, enrolment, &key, (text, by), now)?)
        }
        Basis::Recovery { act } => {
            recovery(pins, records, enrolment, &key, act, now)?;
            (Origin::Recovery, own())
        }
    };
    let new = Credential {
        id: own(),
        account: account.clone(),
        public_key: enrolment.public_key.clone(),
        legacy_u2f: enrolment.legacy_u2f,
        master: enrolment.master,
        origin,
        lineage,
        seen: now,
        removed: None,
    };
    records.add_credential(&new, payload)?;
    Ok(Enrolled { seen: now, counts_from: new.counts_from(pins), repeated: false })
}

/// The credential never counts again, known or not: so an enrolment that comes late finds it removed.
pub(crate) fn remove(records: &Records<'_>, removal: &Removal, now: Timestamp) -> Result<(), Refused> {
    match records.credential(&removal.credential_id)? {
        Some(known) if known.account != removal.account => Err(Refused::CredentialTaken),
        _ => Ok(records.add_removal(&removal.credential_id, &removal.account, now)?),
    }
}

/// The answer for a credential that is known, if it is the same one.
fn again(pins: &Pins, known: &Credential, enrolment: &Enrolment) -> Result<Enrolled, Refused> {
    if known.account != enrolment.account {
        return Err(Refused::CredentialTaken);
    }
    let same = known.public_key == enrolment.public_key
        && known.legacy_u2f == enrolment.legacy_u2f
        && known.master == enrolment.master;
    if same {
        Ok(Enrolled { seen: known.seen, counts_from: known.counts_from(pins), repeated: true })
    } else {
        Err(Refused::CredentialDiffers)
    }
}

fn check_first(
    pins: &Pins,
    approval: &Approval,
    records: &Records<'_>,
    enrolment: &Enrolment,
    now: Timestamp,
) -> Result<(), Refused> {
    let account = &enrolment.account;
    if enrolment.master {
        return Err(Refused::CredentialMaster { account: account.clone() });
    }
    // One that was removed before it ever counted has never had a say: whoever slipped it in must not shut its account's
    // owner out for ever. It still stands in the day's count.
    let had_a_say = |known: &Credential| known.removed.is_none_or(|at| at >= known.counts_from(pins));
    if records.credentials(account)?.iter().any(had_a_say) {
        return Err(Refused::AccountHasCredentials { account: account.clone() });
    }
    let (taken, oldest) = records.firsts_since(now.minus(time::DAY))?;
    if taken >= u64::from(approval.enrolments_per_day) {
        let again = oldest.unwrap_or(now).plus(time::DAY);
        return Err(Refused::EnrolmentsExhausted { max: approval.enrolments_per_day, again });
    }
    Ok(())
}

/// The lineage of the credential that brings this one in.
fn rotation(
    pins: &Pins,
    records: &Records<'_>,
    enrolment: &Enrolment,
    key: &PublicKey,
    (text, by): (&str, &BoundAssertion),
    now: Timestamp,
) -> Result<Vec<u8>, Refused> {
    let change = ChangeText::parse(text.as_bytes()).map_err(Refused::ChangeMalformed)?;
    let target = format!("credential:{}", TextDigest::of(&enrolment.credential_id));
    let detail = format!("key={}", TextDigest(key.digest()));
    let differs = [
        ("exchange", change.exchange != pins.exchange),
        ("account", change.account != enrolment.account),
        ("change", change.change.as_str() != ADD_CREDENTIAL),
        ("target", change.target.as_str() != target),
        ("detail", change.detail.as_str() != detail),
    ];
    if let Some((field, _)) = differs.into_iter().find(|(_, differs)| *differs) {
        return Err(Refused::ChangeDiffers { field });
    }
    let not_after = change.not_after.timestamp();
    if now > not_after.plus(APPROVAL_GRACE) {
        return Err(Refused::ChangeExpired { not_after });
    }
    let credential = counting(pins, records, &enrolment.account, by, now)?;
    // A key that may not vouch for payments brings in none that may.
    if credential.master && !enrolment.master {
        return Err(Refused::CredentialMaster { account: enrolment.account.clone() });
    }
    assert_text(pins, records, &credential, (text, by), Counters::Recent, now)?;
    Ok(credential.lineage)
}

fn recovery(
    pins: &Pins,
    records: &Records<'_>,
    enrolment: &Enrolment,
    key: &PublicKey,
    act: &SignedAct,
    now: Timestamp,
) -> Result<(), Refused> {
    let text = OperatorText::parse(act.text.as_bytes()).map_err(Refused::ActMalformed)?;
    let detail =
        format!("credential={} key={}", TextDigest::of(&enrolment.credential_id), TextDigest(key.digest()));
    let differs = [
        ("exchange", text.exchange != pins.exchange),
        ("act", text.act.as_str() != RECOVER_ACCOUNT),
        ("target", text.target.as_str() != enrolment.account.as_str()),
        ("detail", text.detail.as_str() != detail),
        ("payload", text.payload.is_some()),
    ];
    if let Some((field, _)) = differs.into_iter().find(|(_, differs)| *differs) {
        return Err(Refused::RecoveryDiffers { field });
    }
    let begun = text.window.not_before().timestamp() <= now;
    if !begun || now > text.window.not_after().timestamp().plus(APPROVAL_GRACE) {
        return Err(Refused::ActNotNow);
    }
    let (needed, valid) = (pins.threshold, verify_act(act, &pins.operators).len());
    if valid < needed {
        return Err(Refused::SignaturesMissing { needed, valid });
    }
    if records.use_nonce(&text.nonce.0, RECOVER_ACCOUNT, now)? { Ok(()) } else { Err(Refused::ActUsed) }
}

/// The credential that asserts, if it is the account's and counts now.
pub(crate) fn counting(
    pins: &Pins,
    records: &Records<'_>,
    account: &AccountId,
    by: &BoundAssertion,
    now: Timestamp,
) -> Result<Credential, Refused> {
    let account = || account.clone();
    let credential = match records.credential(&by.credential_id)? {
        Some(credential) if credential.account == account() => credential,
        _ => return Err(Refused::CredentialUnknown { account: account() }),
    };
    if credential.removed.is_some() {
        return Err(Refused::CredentialRemoved { account: account() });
    }
    let from = credential.counts_from(pins);
    if now < from {
        return Err(Refused::CredentialTooYoung { account: account(), from });
    }
    Ok(credential)
}

/// Whether this is the credential's assertion over exactly this text, its counter plausible.
pub(crate) fn assert_text(
    pins: &Pins,
    records: &Records<'_>,
    credential: &Credential,
    (text, by): (&str, &BoundAssertion),
    counters: Counters,
    now: Timestamp,
) -> Result<(), Refused> {
    let approval = pins.approval.as_ref().ok_or(Refused::ApprovalsNotPinned)?;
    let key = PublicKey::from_cose(&credential.public_key).map_err(Refused::CredentialKey)?;
    let challenge = TextDigest::of(text.as_bytes()).0;
    let assertion = Assertion {
        client_data_json: &by.client_data_json,
        authenticator_data: &by.authenticator_data,
        signature: &by.signature,
    };
    let accepted = verify_assertion(approval.party(credential.legacy_u2f), &key, &challenge, &assertion)
        .map_err(Refused::AssertionInvalid)?;
    if approval.user_verification && !accepted.user_verified {
        return Err(Refused::AssertionUserUnverified);
    }
    see_counter(records, &credential.id, accepted.counter, &challenge, counters, now)
}

/// No counter stands beside two texts, and none is far behind another.
fn see_counter(
    records: &Records<'_>,
    id: &[u8],
    counter: u32,
    text: &[u8; 32],
    counters: Counters,
    now: Timestamp,
) -> Result<(), Refused> {
    if counter == 0 {
        // Some keys do not count; none stops counting.
        return if records.highest_counter(id)? == 0 { Ok(()) } else { Err(Refused::CounterBack) };
    }
    match records.text_of_counter(id, counter)? {
        Some(before) if before == *text => Ok(()),
        Some(_) => Err(Refused::CounterBack),
        None => {
            let behind = now.minus(COUNTER_GRACE);
            if counters == Counters::Recent && records.higher_counter_before(id, counter, behind)? {
                return Err(Refused::CounterBack);
            }
            Ok(records.add_counter(id, counter, text, now)?)
        }
    }
}
