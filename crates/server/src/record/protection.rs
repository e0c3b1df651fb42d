//! An account's protection as JSON: credentials, approvals, changes, codes, sessions, fenced keys.
//!
//! What is sealed is told by its length alone.

use holdfast_decision::command::{ChangeProtection, PresentCode, RecordSession, SessionFacts};
use holdfast_decision::protection::{
    ApiKeySpec, ApprovalFlags, ApprovedText, Basis, BoundApproval, Change, CodeProof, CodePurpose,
    CredentialUse, KeyCohort, KeyUse, NewCredential, NewMandate,
};
use serde_json::Value;

use super::json::{self, Object, hex};

pub(super) fn bound_approval(approval: &BoundApproval) -> Value {
    Object::new()
        .put("credential", approval.credential.to_string())
        .put("text", hex(&approval.text.0))
        .put("counter", approval.counter)
        .put("flags", flags(approval.flags))
        .put("verifier", approval.verifier)
        .put("sealed_bytes", approval.sealed.len())
        .into()
}

fn flags(flags: ApprovalFlags) -> Vec<Value> {
    json::bits(flags.0, &["user_verified", "backup_eligible", "backed_up", "by_app_id"])
}

pub(super) fn approved_text(approved: &ApprovedText) -> Value {
    Object::new().put("text", approved.text.as_str()).put("by", bound_approval(&approved.by)).into()
}

/// What a credential is for, as answers and records carry it.
pub(crate) const fn use_name(used_for: CredentialUse) -> &'static str {
    match used_for {
        CredentialUse::Approve => "approve",
        CredentialUse::Master => "master",
        CredentialUse::Login => "login",
    }
}

/// On whose word a credential came, as answers and records carry it.
pub(crate) const fn basis_name(basis: Basis) -> &'static str {
    match basis {
        Basis::First => "first",
        Basis::Rotation => "rotation",
        Basis::Recovery => "recovery",
    }
}

fn new_credential(object: Object, new: &NewCredential) -> Object {
    object
        .put("credential", new.credential.to_string())
        .put("id_digest", hex(&new.id.0))
        .put("key_digest", hex(&new.key.0))
        .put("legacy_u2f", new.legacy_u2f)
        .put("used_for", use_name(new.used_for))
        .put("counter", new.counter)
        .put("flags", flags(new.flags))
        .put("sealed_bytes", new.sealed.len())
}

fn key_spec(object: Object, spec: &ApiKeySpec) -> Object {
    object
        .put("key", spec.key.to_string())
        .put("scopes", json::key_scopes(spec.scopes))
        .put("ip_allowlist", json::fingerprints(&spec.ip_allowlist))
        .put("destinations", spec.fence.destinations.as_deref().map(json::fingerprints))
        .put("usd_cents_24h", spec.fence.usd_cents_24h.map(|cents| cents.0))
        .put("expires_at", spec.fence.expires_at.map(|at| at.to_string()))
        .put("asymmetric", spec.fence.asymmetric)
        .put("asn", spec.fence.asn)
}

fn mandate(object: Object, new: &NewMandate) -> Object {
    object
        .put("mandate", new.mandate.to_string())
        .put("key", new.key.to_string())
        .put("revision", new.revision)
        .put("asset", new.asset.as_str())
        .put("destinations", json::fingerprints(&new.destinations))
        .put("amount_max_base_units", new.amount_max.base_units().to_string())
        .put("day_max_base_units", new.day_max.base_units().to_string())
        .put("not_before", new.not_before.to_string())
        .put("not_after", new.not_after.to_string())
}

/// A change: `change` is its name, the other keys are its fields.
pub(crate) fn change(change: &Change) -> Value {
    let object = Object::new().put("change", change.name());
    match change {
        Change::AddCredential(new) => new_credential(object, new),
        Change::RemoveCredential { credential } => object.put("credential", credential.to_string()),
        Change::EnrolCodes { step } => object.put("step", *step),
        Change::PutRecoveryCodes { count } => object.put("count", *count),
        Change::PutApiKey(spec) => key_spec(object, spec),
        Change::LockSettings { days } => object.put("days", *days),
        Change::GrantMandate(new) => mandate(object, new),
        Change::RevokeMandate { mandate } => object.put("mandate", mandate.to_string()),
        Change::ForgetDevice { device } => object.put("device", device.to_string()),
        Change::RemoveCodes
        | Change::UnlockSettings
        | Change::Unfreeze
        | Change::BeginRecovery
        | Change::StopRecovery => object,
    }
    .into()
}

pub(super) fn code_proof(proof: &CodeProof) -> Value {
    match proof {
        CodeProof::OneTime { revision, step } => {
            Object::of("one_time").put("revision", *revision).put("step", *step)
        }
        CodeProof::Recovery { revision, nth } => {
            Object::of("recovery").put("revision", *revision).put("nth", *nth)
        }
        CodeProof::Wrong => Object::of("wrong"),
    }
    .into()
}

pub(crate) fn facts(facts: &SessionFacts) -> Value {
    let place = facts.place.map(|place| {
        Object::new()
            .put("country", String::from_utf8_lossy(&place.country).into_owned())
            .put("asn", place.asn)
    });
    Object::new()
        .put("device", facts.device.map(|device| device.to_string()))
        .put("ip", facts.ip.map(|ip| ip.to_string()))
        .put("agent", facts.agent.map(|agent| agent.to_string()))
        .put("tls", facts.tls.map(|tls| tls.to_string()))
        .put("place", place.map(Value::from))
        .into()
}

pub(super) fn credential_used(used: &Option<(holdfast_values::Fingerprint, u32)>) -> Value {
    used.map_or(Value::Null, |(credential, counter)| {
        Object::new().put("credential", credential.to_string()).put("counter", counter).into()
    })
}

pub(crate) fn cohort(cohort: &KeyCohort) -> Value {
    Object::new()
        .put("made_from", cohort.made_from.map(|at| at.to_string()))
        .put("made_until", cohort.made_until.map(|at| at.to_string()))
        .put("asn", cohort.asn)
        .put("exposed_from", cohort.exposed_from.map(|at| at.to_string()))
        .put("exposed_until", cohort.exposed_until.map(|at| at.to_string()))
        .put("account", cohort.account.as_ref().map(|account| account.as_str()))
        .into()
}

pub(super) fn key_uses(keys: &[KeyUse]) -> Vec<Value> {
    keys.iter()
        .map(|used| {
            Object::new()
                .put("key", used.key.to_string())
                .put("allowed", used.allowed)
                .put("refused", used.refused)
                .put("last_used", used.last_used.to_string())
                .into()
        })
        .collect()
}

pub(super) fn change_protection(object: Object, asked: &ChangeProtection) -> Object {
    object
        .put("account", asked.account.as_str())
        .put("change", change(&asked.change))
        .put("approval", asked.approval.as_deref().map(approved_text))
        .put("code", asked.code.as_deref().map(code_proof))
        .put("device", asked.device.map(|device| device.to_string()))
}

pub(super) fn present_code(object: Object, shown: &PresentCode) -> Object {
    let object = object.put("account", shown.account.as_str());
    let object = match shown.purpose {
        CodePurpose::Login => object.put("purpose", "login"),
        CodePurpose::Withdrawal(withdrawal) => {
            object.put("purpose", "withdrawal").put("withdrawal", withdrawal.to_string())
        }
    };
    object
        .put("proof", code_proof(&shown.proof))
        .put("source", shown.source.to_string())
        .put("device", shown.device.map(|device| device.to_string()))
}

pub(super) fn session(object: Object, session: &RecordSession) -> Object {
    object
        .put("account", session.account.as_str())
        .put("facts", facts(&session.facts))
        .put("credential", credential_used(&session.credential))
        .put("sealed_bytes", session.sealed.len())
}
