//! Authenticator data (WebAuthn section 6.1): who it is for, its flags and counter, the new credential, extensions.

use super::client_data::Ceremony;
use super::key::{PublicKey, sha256};
use super::{RelyingParty, WebAuthnError, cbor};

/// Longest authenticator data: a credential id of 1023 bytes, an RSA key of 8192 bits, and extensions.
pub const AUTHENTICATOR_DATA_BYTES_MAX: usize = 4_096;
/// How long credential ids are.
pub const CREDENTIAL_ID_BYTES: core::ops::RangeInclusive<usize> = 1..=1_023;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const HAS_CREDENTIAL: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;

/// Authenticator data, checked but for whose signature is over it.
pub(super) struct AuthenticatorData<'a> {
    pub(super) rp_id_hash: &'a [u8; 32],
    pub(super) by_app_id: bool,
    pub(super) user_verified: bool,
    pub(super) backup_eligible: bool,
    pub(super) backed_up: bool,
    pub(super) counter: u32,
    pub(super) credential: Option<NewCredential<'a>>,
}

/// A credential that was just made.
pub(super) struct NewCredential<'a> {
    pub(super) aaguid: [u8; 16],
    pub(super) id: &'a [u8],
    pub(super) public_key: PublicKey,
}

/// Reads and checks authenticator data to the last byte.
pub(super) fn check<'a>(
    bytes: &'a [u8],
    ceremony: Ceremony,
    party: &RelyingParty,
) -> Result<AuthenticatorData<'a>, WebAuthnError> {
    if bytes.len() > AUTHENTICATOR_DATA_BYTES_MAX {
        return Err(WebAuthnError::AuthenticatorDataSize);
    }
    let (rp_id_hash, rest) = bytes.split_first_chunk().ok_or(WebAuthnError::AuthenticatorDataMalformed)?;
    let ([flags, counter @ ..], rest) =
        rest.split_first_chunk::<5>().ok_or(WebAuthnError::AuthenticatorDataMalformed)?;
    let has = |flag: u8| flags & flag != 0;

    let by_app_id = if *rp_id_hash == sha256(party.rp_id.as_bytes()) {
        false
    } else {
        // Keys that were registered under U2F know an AppID; no new one is ever made for it.
        let app_id = party.app_id.as_deref().filter(|_| ceremony == Ceremony::Get);
        match app_id.map(|app_id| sha256(app_id.as_bytes())) {
            Some(hash) if hash == *rp_id_hash => true,
            _ => return Err(WebAuthnError::RpIdMismatch),
        }
    };
    if !has(USER_PRESENT) {
        return Err(WebAuthnError::UserNotPresent);
    }
    if has(BACKED_UP) && !has(BACKUP_ELIGIBLE) {
        return Err(WebAuthnError::BackupFlags);
    }
    let (credential, rest) = match (ceremony, has(HAS_CREDENTIAL)) {
        (Ceremony::Create, true) => {
            let (credential, rest) = new_credential(rest)?;
            (Some(credential), rest)
        }
        (Ceremony::Create, false) => return Err(WebAuthnError::CredentialMissing),
        (Ceremony::Get, true) => return Err(WebAuthnError::CredentialUnexpected),
        (Ceremony::Get, false) => (None, rest),
    };
    let rest = if has(HAS_EXTENSIONS) {
        let (extensions, rest) = cbor::split(rest)?;
        if !cbor::is_map_of_texts(extensions) {
            return Err(WebAuthnError::ExtensionsMalformed);
        }
        rest
    } else {
        rest
    };
    if !rest.is_empty() {
        return Err(WebAuthnError::AuthenticatorDataMalformed);
    }
    Ok(AuthenticatorData {
        rp_id_hash,
        by_app_id,
        user_verified: has(USER_VERIFIED),
        backup_eligible: has(BACKUP_ELIGIBLE),
        backed_up: has(BACKED_UP),
        counter: u32::from_be_bytes(*counter),
        credential,
    })
}

fn new_credential(bytes: &[u8]) -> Result<(NewCredential<'_>, &[u8]), WebAuthnError> {
    let (aaguid, rest) = bytes.split_first_chunk().ok_or(WebAuthnError::AuthenticatorDataMalformed)?;
    let (length, rest) = rest.split_first_chunk().ok_or(WebAuthnError::AuthenticatorDataMalformed)?;
    let length = usize::from(u16::from_be_bytes(*length));
    if !CREDENTIAL_ID_BYTES.contains(&length) {
        return Err(WebAuthnError::CredentialIdLength);
    }
    let (id, rest) = rest.split_at_checked(length).ok_or(WebAuthnError::AuthenticatorDataMalformed)?;
    let (key, rest) = cbor::split(rest)?;
    Ok((NewCredential { aaguid: *aaguid, id, public_key: PublicKey::from_cose(key)? }, rest))
}
