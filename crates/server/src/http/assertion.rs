//! Assertions of customers' keys: reading them, finding the key, verifying, and what of them enters the journal.
//!
//! The public key comes from the vault, and State's own digest of it is compared: a vault that somebody edited verifies
//! nothing.

use holdfast_authn::encoding;
use holdfast_authn::release::BoundAssertion;
use holdfast_authn::webauthn::{Accepted, Assertion, PublicKey, RelyingParty, verify_assertion};
use holdfast_decision::State as Core;
use holdfast_decision::acts::Digest;
use holdfast_decision::configuration::Party;
use holdfast_decision::protection::{ApprovalFlags, ApprovedText, BoundApproval, Credential, CredentialUse};
use holdfast_decision::reason::Refusal;
use holdfast_values::{AccountId, Fingerprint};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use crate::exchange::relying_party;
use crate::problem::Problem;
use crate::vault::{Vault, VaultError};

use super::Shared;

/// Which verifier of WebAuthn this is: goes up when the same bytes could be judged differently.
pub(super) const VERIFIER: u16 = 1;
/// What sealed assertions are bound to.
pub(super) const PURPOSE: &str = "assertion";

/// What a browser gives for `navigator.credentials.get`, each part in base64url without padding.
#[derive(Clone, Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AssertionBody {
    /// The credential's id.
    pub(super) credential_id: String,
    /// `response.clientDataJSON`.
    pub(super) client_data_json: String,
    /// `response.authenticatorData`.
    pub(super) authenticator_data: String,
    /// `response.signature`.
    pub(super) signature: String,
}

/// A text that the owner's key approved.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApprovalBody {
    /// The text, byte for byte: its SHA-256 is the challenge.
    pub(super) text: String,
    /// The key's assertion.
    pub(super) assertion: AssertionBody,
}

/// A credential as the vault keeps it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StoredCredential {
    /// The id, base64url.
    pub(super) id: String,
    /// The public key in canonical COSE, base64url.
    pub(super) key: String,
    /// How it can be reached, as the browser said.
    #[serde(default)]
    pub(super) transports: Vec<String>,
    /// The owner's name for it.
    #[serde(default)]
    pub(super) label: String,
}

impl StoredCredential {
    fn name(credential: &Fingerprint) -> String {
        format!("credential/{credential}")
    }

    /// What the vault holds. Blocks.
    pub(super) fn read(
        vault: &Vault,
        account: &AccountId,
        credential: &Fingerprint,
    ) -> Result<Option<Self>, Problem> {
        match vault.get_secret(account, &Self::name(credential)) {
            Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|_| Problem::new("internal")),
            Err(VaultError::SecretMissing | VaultError::UnknownAccount | VaultError::Destroyed) => Ok(None),
            Err(error) => Err(super::evidence::vault_problem(&error)),
        }
    }

    /// Forgets it. Blocks.
    pub(super) fn forget(
        vault: &Vault,
        account: &AccountId,
        credential: &Fingerprint,
    ) -> Result<(), Problem> {
        let forgotten = vault.delete_secret(account, &Self::name(credential));
        forgotten.map(drop).map_err(|error| super::evidence::vault_problem(&error))
    }

    /// Keeps it, durably. Blocks.
    pub(super) fn write(
        &self,
        vault: &Vault,
        account: &AccountId,
        credential: &Fingerprint,
    ) -> Result<(), Problem> {
        let bytes = serde_json::to_vec(self).map_err(|_| Problem::new("internal"))?;
        vault
            .put_secret(account, &Self::name(credential), &bytes)
            .map_err(|error| super::evidence::vault_problem(&error))
    }
}

/// The challenge that client data names, of those that wait; else any of them, over which the verifier will say what is
/// wrong. Nothing is believed of it here.
pub(super) fn answered(client_data_json: &[u8], waiting: &[[u8; 32]]) -> Option<[u8; 32]> {
    let names = |challenge: &[u8; 32]| {
        let spelled = encoding::to_base64url(challenge);
        client_data_json.windows(spelled.len()).any(|window| window == spelled.as_bytes())
    };
    waiting.iter().find(|challenge| names(challenge)).or(waiting.last()).copied()
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The party at which a credential of this use is registered and used.
pub(super) fn party_of(core: &Core, used_for: CredentialUse) -> Result<Party, Problem> {
    let missing = || Problem::new("parties_not_configured");
    let parties = core.configuration().parties.as_deref().ok_or_else(missing)?;
    match used_for {
        CredentialUse::Approve | CredentialUse::Master => Ok(parties.approve.clone()),
        CredentialUse::Login => parties.login.clone().ok_or_else(missing),
    }
}

/// Bytes in base64url.
pub(super) fn base64url(field: &str, text: &str) -> Result<Vec<u8>, Problem> {
    encoding::base64url(text.as_bytes()).ok_or_else(|| {
        Problem::new("base64url_invalid")
            .field(field)
            .detail("base64url without padding (RFC 4648 section 5)")
    })
}

/// An assertion, read, with the key that it says it is of.
pub(super) struct Shown {
    pub(super) credential: Fingerprint,
    id: Vec<u8>,
    client_data_json: Vec<u8>,
    authenticator_data: Vec<u8>,
    signature: Vec<u8>,
}

impl Shown {
    pub(super) fn read(app: &Shared, field: &str, body: &AssertionBody) -> Result<Self, Problem> {
        let part = |name: &str, text: &str| base64url(&format!("{field}.{name}"), text);
        let id = part("credential_id", &body.credential_id)?;
        Ok(Self {
            credential: app.fingerprints.credential(&id),
            id,
            client_data_json: part("client_data_json", &body.client_data_json)?,
            authenticator_data: part("authenticator_data", &body.authenticator_data)?,
            signature: part("signature", &body.signature)?,
        })
    }

    /// Verifies it over a challenge, at a party, with the key whose digest State knows. Blocks: the vault is a file.
    pub(super) fn verify(
        &self,
        app: &Shared,
        account: &AccountId,
        party: &Party,
        known: &Credential,
        challenge: &[u8],
    ) -> Result<Accepted, Problem> {
        let stored = StoredCredential::read(&app.vault, account, &self.credential)?
            .ok_or(Problem::new("credential_not_stored"))?;
        let key = base64url("credential", &stored.key)?;
        if sha256(&key) != known.key.0 || sha256(&self.id) != known.id.0 {
            tracing::error!(%account, credential = %self.credential, "the vault holds another key than the journal");
            return Err(Problem::new("credential_differs"));
        }
        let key = PublicKey::from_cose(&key).map_err(|_| Problem::new("credential_differs"))?;
        let party = RelyingParty {
            // Only a key that was made under U2F answers for the AppID.
            app_id: relying_party(party).app_id.filter(|_| known.legacy_u2f),
            ..relying_party(party)
        };
        let assertion = Assertion {
            client_data_json: &self.client_data_json,
            authenticator_data: &self.authenticator_data,
            signature: &self.signature,
        };
        verify_assertion(&party, &key, challenge, &assertion).map_err(|error| {
            app.metrics.evidence_refused.increment();
            Problem::new("assertion_invalid").field("assertion").detail(format!("{}: {error}", error.code()))
        })
    }

    /// The challenge that it answers, of those that wait.
    pub(super) fn answers(&self, waiting: &[[u8; 32]]) -> Option<[u8; 32]> {
        answered(&self.client_data_json, waiting)
    }

    /// What releases and enrolments carry of it.
    pub(super) fn to_bound(&self) -> BoundAssertion {
        BoundAssertion {
            credential_id: self.id.clone(),
            client_data_json: self.client_data_json.clone(),
            authenticator_data: self.authenticator_data.clone(),
            signature: self.signature.clone(),
        }
    }
}

/// The flags of an accepted assertion.
pub(super) fn flags(accepted: &Accepted) -> ApprovalFlags {
    [
        (accepted.user_verified, ApprovalFlags::USER_VERIFIED),
        (accepted.backup_eligible, ApprovalFlags::BACKUP_ELIGIBLE),
        (accepted.backed_up, ApprovalFlags::BACKED_UP),
        (accepted.by_app_id, ApprovalFlags::BY_APP_ID),
    ]
    .into_iter()
    .filter(|(said, _)| *said)
    .fold(ApprovalFlags::default(), |all, (_, flag)| all.with(flag))
}

/// Seals an assertion, so that it can travel in a release, and be shown to an auditor, years later.
pub(super) fn seal(app: &Shared, account: &AccountId, body: &AssertionBody) -> Result<Vec<u8>, Problem> {
    let bytes = serde_json::to_vec(body).map_err(|_| Problem::new("internal"))?;
    app.vault.seal(account, PURPOSE, &bytes).map_err(|error| super::evidence::vault_problem(&error))
}

/// Opens what [`seal`] made. Blocks.
pub(super) fn unseal(app: &Shared, account: &AccountId, sealed: &[u8]) -> Result<BoundAssertion, Problem> {
    let bytes =
        app.vault.unseal(account, PURPOSE, sealed).map_err(|error| super::evidence::vault_problem(&error))?;
    let body: AssertionBody = serde_json::from_slice(&bytes).map_err(|_| Problem::new("internal"))?;
    Ok(Shown::read(app, "assertion", &body)?.to_bound())
}

/// Verifies an approval of a text by any credential of the account that is for this use. Whether the credential counts, and
/// whether the text is the right one, is the core's to judge.
pub(super) async fn approve(
    app: &Shared,
    account: &AccountId,
    text: &[u8],
    assertion: AssertionBody,
) -> Result<BoundApproval, Problem> {
    let shown = Shown::read(app, "assertion", &assertion)?;
    let (asked, credential) = (account.clone(), shown.credential);
    let found = app
        .intake
        .ask(move |desk| {
            let core = desk.state();
            let protection = core.account(&asked)?.protection.as_deref()?;
            let known = protection.credentials.iter().find(|known| known.credential == credential)?;
            Some(party_of(core, known.used_for).map(|party| (*known, party)))
        })
        .await?
        .value;
    let (known, party) =
        found.ok_or(Problem::refused(Refusal::CredentialUnknown, "").field("assertion"))??;
    let digest = sha256(text);
    let (owned, owner) = (std::sync::Arc::clone(app), account.clone());
    let verify = move || {
        let accepted = shown.verify(&owned, &owner, &party, &known, &digest)?;
        let sealed = seal(&owned, &owner, &assertion)?;
        Ok(BoundApproval {
            credential: shown.credential,
            text: Digest(digest),
            counter: accepted.counter,
            flags: flags(&accepted),
            verifier: VERIFIER,
            sealed,
        })
    };
    tokio::task::spawn_blocking(verify).await.map_err(|_| Problem::new("internal"))?
}

/// Verifies an approval as it came with a change.
pub(super) async fn approved_text(
    app: &Shared,
    account: &AccountId,
    body: Option<ApprovalBody>,
) -> Result<Option<Box<ApprovedText>>, Problem> {
    let Some(body) = body else { return Ok(None) };
    if body.text.len() > holdfast_values::texts::TEXT_BYTES_MAX {
        return Err(Problem::new("change_text_malformed").field("approval.text"));
    }
    let by = approve(app, account, body.text.as_bytes(), body.assertion).await?;
    Ok(Some(Box::new(ApprovedText { text: body.text, by })))
}

/// The credentials that may answer, as `allowCredentials` takes them.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AllowedReply {
    /// The id, base64url.
    pub(super) id: String,
    /// How it can be reached.
    pub(super) transports: Vec<String>,
}

/// Which credentials of an account may answer for a use. Blocks.
pub(super) fn allowed(
    app: &Shared,
    account: &AccountId,
    credentials: &[Credential],
) -> Result<Vec<AllowedReply>, Problem> {
    let mut allowed = Vec::new();
    for known in credentials {
        if let Some(stored) = StoredCredential::read(&app.vault, account, &known.credential)? {
            allowed.push(AllowedReply { id: stored.id, transports: stored.transports });
        }
    }
    Ok(allowed)
}
