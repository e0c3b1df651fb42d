//! Security keys and passkeys: WebAuthn registrations and assertions, U2F keys included, from bytes to verdicts.
//!
//! One verifier for server, signer and auditors. It knows no clock, no storage and no randomness: which challenge was
//! given out, whether a counter went back, whether the user must be verified and whether a credential is known is the
//! caller's to judge. What is verified, and from which specification, is in `docs/webauthn.md`.

mod attestation;
mod authenticator;
mod cbor;
mod client_data;
mod der;
mod error;
mod key;
mod options;

pub use attestation::ATTESTATION_OBJECT_BYTES_MAX;
pub use authenticator::{AUTHENTICATOR_DATA_BYTES_MAX, CREDENTIAL_ID_BYTES};
pub use client_data::CLIENT_DATA_BYTES_MAX;
pub use error::WebAuthnError;
pub use key::{Algorithm, PublicKey};
pub use options::{CreationOptions, RequestOptions, UserVerification};

use attestation::AttestationObject;
use client_data::Ceremony;
pub(crate) use client_data::flat_object;
use key::sha256;

/// How long a challenge may be: shorter ones are not unique, and none is longer.
pub const CHALLENGE_BYTES: core::ops::RangeInclusive<usize> = 16..=1_024;

/// For whom keys are registered, and where they may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// The domain that credentials belong to.
    pub rp_id: Box<str>,
    /// The origins whose pages may ask, as browsers spell them: compared byte for byte.
    pub origins: Vec<Box<str>>,
    /// The AppID of keys that were registered under U2F. Assertions for it count as assertions for `rp_id`.
    pub app_id: Option<Box<str>>,
}

/// What a browser gives for `navigator.credentials.get`.
#[derive(Clone, Copy, Debug)]
pub struct Assertion<'a> {
    /// As the browser wrote it.
    pub client_data_json: &'a [u8],
    /// As the key wrote it.
    pub authenticator_data: &'a [u8],
    /// Over the authenticator data and the SHA-256 of the client data.
    pub signature: &'a [u8],
}

/// What an assertion that verifies says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The key knew its owner (PIN, finger), and not only that somebody was there.
    pub user_verified: bool,
    /// The credential can be on more than one device.
    pub backup_eligible: bool,
    /// It is.
    pub backed_up: bool,
    /// How often the key has signed, as far as it counts: for [`counter_is_plausible`].
    pub counter: u32,
    /// Signed for the AppID, not for the rpId.
    pub by_app_id: bool,
}

/// Whether this is `key`'s assertion over exactly this challenge, for this party, on one of its pages.
///
/// User presence is demanded; whether user verification is too is the caller's to judge.
pub fn verify_assertion(
    party: &RelyingParty,
    key: &PublicKey,
    challenge: &[u8],
    assertion: &Assertion<'_>,
) -> Result<Accepted, WebAuthnError> {
    check_challenge(challenge)?;
    client_data::check(assertion.client_data_json, Ceremony::Get, party, challenge)?;
    let data = authenticator::check(assertion.authenticator_data, Ceremony::Get, party)?;
    let signed = [assertion.authenticator_data, &sha256(assertion.client_data_json)].concat();
    if !key.verifies(&signed, assertion.signature) {
        return Err(WebAuthnError::SignatureInvalid);
    }
    Ok(Accepted {
        user_verified: data.user_verified,
        backup_eligible: data.backup_eligible,
        backed_up: data.backed_up,
        counter: data.counter,
        by_app_id: data.by_app_id,
    })
}

/// What a browser gives for `navigator.credentials.create`.
#[derive(Clone, Copy, Debug)]
pub struct Registration<'a> {
    /// As the browser wrote it.
    pub client_data_json: &'a [u8],
    /// As the browser wrote it.
    pub attestation_object: &'a [u8],
}

/// A credential whose registration verifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    /// By what the key knows it.
    pub credential_id: Vec<u8>,
    /// What its assertions are verified with.
    pub public_key: PublicKey,
    /// How often the key has signed, as far as it counts.
    pub counter: u32,
    /// The key knew its owner.
    pub user_verified: bool,
    /// The credential can be on more than one device.
    pub backup_eligible: bool,
    /// It is.
    pub backed_up: bool,
    /// The model, if the key says so. Believe it no more than the attestation; U2F keys have none, so it is zero.
    pub aaguid: [u8; 16],
    /// What vouches for the key.
    pub attestation: Attestation,
}

/// What a key's registration is signed with. No certificate is traced to a maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attestation {
    /// Nothing.
    None,
    /// The packed format.
    Packed {
        /// By the credential itself, without a certificate.
        self_attested: bool,
    },
    /// The format of U2F, by a certificate's key.
    FidoU2f,
}

impl Attestation {
    /// The stable name: `none`, `packed_self`, `packed`, `fido_u2f`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Packed { self_attested: true } => "packed_self",
            Self::Packed { self_attested: false } => "packed",
            Self::FidoU2f => "fido_u2f",
        }
    }
}

/// Whether this registers a new credential, for exactly this challenge and party, on one of its pages.
///
/// Whether the credential id is new, and whether the user must be verified, is the caller's to judge.
pub fn verify_registration(
    party: &RelyingParty,
    challenge: &[u8],
    registration: &Registration<'_>,
) -> Result<Registered, WebAuthnError> {
    check_challenge(challenge)?;
    client_data::check(registration.client_data_json, Ceremony::Create, party, challenge)?;
    let object = AttestationObject::read(registration.attestation_object)?;
    let data = authenticator::check(object.authenticator_data, Ceremony::Create, party)?;
    let credential = data.credential.as_ref().ok_or(WebAuthnError::CredentialMissing)?;
    let attestation = object.verify(&data, credential, &sha256(registration.client_data_json))?;
    // The signature of U2F does not cover the AAGUID: whatever stands there, nobody said it.
    let aaguid = if attestation == Attestation::FidoU2f { [0; 16] } else { credential.aaguid };
    Ok(Registered {
        credential_id: credential.id.to_vec(),
        public_key: credential.public_key.clone(),
        counter: data.counter,
        user_verified: data.user_verified,
        backup_eligible: data.backup_eligible,
        backed_up: data.backed_up,
        aaguid,
        attestation,
    })
}

/// Whether a key that last gave `stored` can give `presented`: keys that do not count always give 0, all others rise.
/// Where this says no, two devices may hold the same credential.
pub const fn counter_is_plausible(stored: u32, presented: u32) -> bool {
    (stored == 0 && presented == 0) || presented > stored
}

fn check_challenge(challenge: &[u8]) -> Result<(), WebAuthnError> {
    if CHALLENGE_BYTES.contains(&challenge.len()) { Ok(()) } else { Err(WebAuthnError::ChallengeLength) }
}
