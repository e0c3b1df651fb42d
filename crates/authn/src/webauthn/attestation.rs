//! Attestation objects and statements (WebAuthn sections 6.5 and 8): `none`, `packed` and `fido-u2f`.
//!
//! A signature here says that the statement belongs to this registration. Who vouches for the certificate nobody asks:
//! no trust anchors are configured.

use super::authenticator::{AuthenticatorData, NewCredential};
use super::cbor::{self, Reader};
use super::der::Certificate;
use super::key::{Algorithm, PublicKey};
use super::{Attestation, WebAuthnError};

/// Longest attestation object.
pub const ATTESTATION_OBJECT_BYTES_MAX: usize = 16_384;
/// Most certificates of a statement.
const CERTIFICATES_MAX: u64 = 8;

/// An attestation object, its parts not yet judged.
pub(super) struct AttestationObject<'a> {
    format: Format,
    statement: Reader<'a>,
    pub(super) authenticator_data: &'a [u8],
}

#[derive(Clone, Copy)]
enum Format {
    None,
    Packed,
    FidoU2f,
}

impl<'a> AttestationObject<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, WebAuthnError> {
        if bytes.len() > ATTESTATION_OBJECT_BYTES_MAX {
            return Err(WebAuthnError::AttestationObjectSize);
        }
        let (format, statement, authenticator_data) =
            parts(cbor::only(bytes)?).ok_or(WebAuthnError::AttestationObjectMalformed)?;
        let format = match format {
            "none" => Format::None,
            "packed" => Format::Packed,
            "fido-u2f" => Format::FidoU2f,
            _ => return Err(WebAuthnError::AttestationFormat),
        };
        Ok(Self { format, statement: Reader::new(statement), authenticator_data })
    }

    /// Verifies the statement over the authenticator data and the hash of the client data.
    pub(super) fn verify(
        &self,
        data: &AuthenticatorData<'_>,
        credential: &NewCredential<'_>,
        client_data_hash: &[u8; 32],
    ) -> Result<Attestation, WebAuthnError> {
        match self.format {
            Format::None => none(self.statement),
            Format::Packed => {
                let signed = [self.authenticator_data, client_data_hash].concat();
                packed(self.statement, credential, &signed)
            }
            Format::FidoU2f => fido_u2f(self.statement, data, credential, client_data_hash),
        }
    }
}

/// `{"fmt": format, "attStmt": statement, "authData": bytes}`: in canonical form there is no other order.
fn parts(mut reader: Reader<'_>) -> Option<(&str, &[u8], &[u8])> {
    (reader.map()? == 3 && reader.text()? == "fmt").then_some(())?;
    let format = reader.text()?;
    (reader.text()? == "attStmt").then_some(())?;
    let statement = reader.item()?;
    (reader.text()? == "authData").then_some(())?;
    Some((format, statement, reader.bytes()?))
}

/// Section 8.7: an empty map.
fn none(mut statement: Reader<'_>) -> Result<Attestation, WebAuthnError> {
    match statement.map() {
        Some(0) => Ok(Attestation::None),
        _ => Err(WebAuthnError::AttestationStatement),
    }
}

/// Section 8.2: by an attestation key with a certificate, or by the credential's own key.
fn packed(
    statement: Reader<'_>,
    credential: &NewCredential<'_>,
    signed: &[u8],
) -> Result<Attestation, WebAuthnError> {
    let (algorithm, signature, leaf) = packed_parts(statement).ok_or(WebAuthnError::AttestationStatement)?;
    let algorithm = Algorithm::from_cose(algorithm).ok_or(WebAuthnError::AttestationAlgorithm)?;
    let certified;
    let key = match leaf {
        Some(leaf) => {
            let certificate = Certificate::read(leaf)?;
            certificate.check_packed(&credential.aaguid)?;
            certified = certificate.public_key()?;
            &certified
        }
        None => &credential.public_key,
    };
    if key.algorithm() != algorithm {
        return Err(WebAuthnError::AttestationAlgorithm);
    }
    require(key, signed, signature)?;
    Ok(Attestation::Packed { self_attested: leaf.is_none() })
}

/// Algorithm, signature and leaf certificate.
type Packed<'a> = (i64, &'a [u8], Option<&'a [u8]>);

/// `{"alg": number, "sig": bytes}`, or with `"x5c": [leaf, ...]`.
fn packed_parts(mut statement: Reader<'_>) -> Option<Packed<'_>> {
    let members = statement.map()?;
    (statement.text()? == "alg").then_some(())?;
    let algorithm = statement.integer()?;
    (statement.text()? == "sig").then_some(())?;
    let signature = statement.bytes()?;
    match members {
        2 => Some((algorithm, signature, None)),
        3 => Some((algorithm, signature, Some(chain(&mut statement)?.0))),
        _ => None,
    }
}

/// `"x5c": [leaf, ...]`: the leaf, and how many there are.
fn chain<'a>(statement: &mut Reader<'a>) -> Option<(&'a [u8], u64)> {
    (statement.text()? == "x5c").then_some(())?;
    let certificates = statement.array()?;
    (1..=CERTIFICATES_MAX).contains(&certificates).then_some(())?;
    let leaf = statement.bytes()?;
    (1..certificates).try_for_each(|_| statement.bytes().map(drop))?;
    statement.is_at_end().then_some((leaf, certificates))
}

/// Section 8.6: the registration message of U2F, by the P-256 key of the one certificate.
fn fido_u2f(
    statement: Reader<'_>,
    data: &AuthenticatorData<'_>,
    credential: &NewCredential<'_>,
    client_data_hash: &[u8; 32],
) -> Result<Attestation, WebAuthnError> {
    let (signature, leaf) = u2f_parts(statement).ok_or(WebAuthnError::AttestationStatement)?;
    let point = credential.public_key.to_sec1().ok_or(WebAuthnError::AttestationAlgorithm)?;
    let certified = Certificate::read(leaf)?.public_key()?;
    if certified.algorithm() != Algorithm::Es256 {
        return Err(WebAuthnError::AttestationAlgorithm);
    }
    let signed = [&[0][..], data.rp_id_hash, client_data_hash, credential.id, point].concat();
    require(&certified, &signed, signature)?;
    Ok(Attestation::FidoU2f)
}

/// `{"sig": bytes, "x5c": [certificate]}`.
fn u2f_parts(mut statement: Reader<'_>) -> Option<(&[u8], &[u8])> {
    (statement.map()? == 2 && statement.text()? == "sig").then_some(())?;
    let signature = statement.bytes()?;
    match chain(&mut statement)? {
        (leaf, 1) => Some((signature, leaf)),
        _ => None,
    }
}

fn require(key: &PublicKey, signed: &[u8], signature: &[u8]) -> Result<(), WebAuthnError> {
    if key.verifies(signed, signature) { Ok(()) } else { Err(WebAuthnError::AttestationSignature) }
}
