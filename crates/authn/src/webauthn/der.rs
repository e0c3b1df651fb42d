//! A small strict reader of DER, and of what attestation needs of an X.509 certificate. No chain is verified here.

use super::WebAuthnError;
use super::key::PublicKey;

const BOOLEAN: u8 = 0x01;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const UTF8_STRING: u8 = 0x0c;
const PRINTABLE_STRING: u8 = 0x13;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const ISSUER_UNIQUE_ID: u8 = 0x81;
const SUBJECT_UNIQUE_ID: u8 = 0x82;
const EXTENSIONS: u8 = 0xa3;

/// The contents of AlgorithmIdentifiers: id-ecPublicKey with prime256v1, id-Ed25519, rsaEncryption with NULL.
pub(super) const P256_ALGORITHM: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
pub(super) const ED25519_ALGORITHM: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
pub(super) const RSA_ALGORITHM: &[u8] =
    &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const COUNTRY: &[u8] = &[0x55, 0x04, 0x06];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];
const ORGANISATION_UNIT: &[u8] = &[0x55, 0x04, 0x0b];
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
/// id-fido-gen-ce-aaguid, 1.3.6.1.4.1.45724.1.1.4.
const AAGUID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xe5, 0x1c, 0x01, 0x01, 0x04];

/// Most attributes of a name and most extensions that are looked at.
const PARTS_MAX: usize = 32;

/// Tag, contents, and what follows. Lengths must be minimal; tags have one byte.
fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, length, rest) = match input {
        [tag, length @ 0..=0x7f, rest @ ..] => (*tag, usize::from(*length), rest),
        [tag, 0x81, length @ 0x80..=0xff, rest @ ..] => (*tag, usize::from(*length), rest),
        [tag, 0x82, high @ 1..=0xff, low, rest @ ..] => {
            (*tag, usize::from(u16::from_be_bytes([*high, *low])), rest)
        }
        _ => return None,
    };
    if tag & 0x1f == 0x1f {
        return None;
    }
    let (contents, rest) = rest.split_at_checked(length)?;
    Some((tag, contents, rest))
}

/// The contents of a first element of this tag, and what follows.
fn take(input: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    match element(input)? {
        (tag, contents, rest) if tag == wanted => Some((contents, rest)),
        _ => None,
    }
}

/// The contents of the one element of this tag that these bytes are.
fn only(input: &[u8], wanted: u8) -> Option<&[u8]> {
    match take(input, wanted)? {
        (contents, []) => Some(contents),
        _ => None,
    }
}

/// The magnitude of a positive integer in its only spelling, and what follows it.
fn unsigned(input: &[u8]) -> Option<(&[u8], &[u8])> {
    match take(input, INTEGER)? {
        ([0, magnitude @ ..], rest) if matches!(magnitude, [0x80..=0xff, ..]) => Some((magnitude, rest)),
        (magnitude @ [1..=0x7f, ..], rest) => Some((magnitude, rest)),
        _ => None,
    }
}

/// Contents of the AlgorithmIdentifier and the key's bytes of a SubjectPublicKeyInfo.
pub(super) fn spki(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (algorithm, rest) = take(only(input, SEQUENCE)?, SEQUENCE)?;
    match only(rest, BIT_STRING)? {
        [0, bits @ ..] => Some((algorithm, bits)),
        _ => None,
    }
}

/// Modulus and exponent of an `RSAPublicKey`.
pub(super) fn rsa_key(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (modulus, rest) = unsigned(only(input, SEQUENCE)?)?;
    match unsigned(rest)? {
        (exponent, []) => Some((modulus, exponent)),
        _ => None,
    }
}

/// A certificate in parts. What attestation does not ask for is passed over.
pub(super) struct Certificate<'a> {
    /// 3 is written as 2.
    version: u8,
    subject: &'a [u8],
    spki: &'a [u8],
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    pub(super) fn read(der: &'a [u8]) -> Result<Self, WebAuthnError> {
        Self::parts(der).ok_or(WebAuthnError::AttestationCertificate)
    }

    fn parts(der: &'a [u8]) -> Option<Self> {
        let (to_be_signed, rest) = take(only(der, SEQUENCE)?, SEQUENCE)?;
        let (_algorithm, rest) = take(rest, SEQUENCE)?;
        only(rest, BIT_STRING)?;

        let (version, rest) = match take(to_be_signed, VERSION) {
            Some((version, rest)) => match only(version, INTEGER)? {
                [version] => (*version, rest),
                _ => return None,
            },
            None => (0, to_be_signed),
        };
        let (_serial, rest) = take(rest, INTEGER)?;
        let (_algorithm, rest) = take(rest, SEQUENCE)?;
        let (_issuer, rest) = take(rest, SEQUENCE)?;
        let (_validity, rest) = take(rest, SEQUENCE)?;
        let (subject, rest) = take(rest, SEQUENCE)?;
        let spki = rest;
        let (_, rest) = take(rest, SEQUENCE)?;
        let spki = spki.get(..spki.len().checked_sub(rest.len())?)?;
        let rest = take(rest, ISSUER_UNIQUE_ID).map_or(rest, |(_, rest)| rest);
        let rest = take(rest, SUBJECT_UNIQUE_ID).map_or(rest, |(_, rest)| rest);
        let extensions = match rest {
            [] => rest,
            _ => only(only(rest, EXTENSIONS)?, SEQUENCE)?,
        };
        Some(Self { version, subject, spki, extensions })
    }

    /// The key that it certifies.
    pub(super) fn public_key(&self) -> Result<PublicKey, WebAuthnError> {
        PublicKey::from_spki(self.spki).map_err(|error| match error {
            WebAuthnError::KeyAlgorithm => WebAuthnError::AttestationAlgorithm,
            _ => WebAuthnError::AttestationCertificate,
        })
    }

    /// WebAuthn section 8.2.1: the certificate of a packed attestation, for authenticators of this AAGUID.
    pub(super) fn check_packed(&self, aaguid: &[u8; 16]) -> Result<(), WebAuthnError> {
        let extensions = self.read_extensions().ok_or(WebAuthnError::AttestationCertificate)?;
        let is_named = self.is_subject_of_authenticator() == Some(true);
        if self.version != 2 || !is_named || extensions.is_ca != Some(false) {
            return Err(WebAuthnError::AttestationCertificate);
        }
        match extensions.aaguid {
            Some(certified) if certified != aaguid => Err(WebAuthnError::AttestationAaguid),
            _ => Ok(()),
        }
    }

    /// Country, organisation and common name are there; the unit is "Authenticator Attestation" and nothing else.
    fn is_subject_of_authenticator(&self) -> Option<bool> {
        let (mut country, mut organisation, mut unit, mut name) = (false, false, false, false);
        let mut rest = self.subject;
        for _ in 0..PARTS_MAX {
            if rest.is_empty() {
                return Some(country && organisation && unit && name);
            }
            let (attributes, after) = take(rest, SET)?;
            rest = after;
            let (kind, value) = take(only(attributes, SEQUENCE)?, OBJECT_ID)?;
            let value = match element(value)? {
                (UTF8_STRING | PRINTABLE_STRING, text, []) => text,
                _ => return None,
            };
            match kind {
                COUNTRY => country = matches!(value, [b'A'..=b'Z', b'A'..=b'Z']),
                ORGANISATION => organisation = !value.is_empty(),
                ORGANISATION_UNIT if value != b"Authenticator Attestation" => return Some(false),
                ORGANISATION_UNIT => unit = true,
                COMMON_NAME => name = !value.is_empty(),
                _ => {}
            }
        }
        None
    }

    fn read_extensions(&self) -> Option<Extensions<'a>> {
        let mut found = Extensions { is_ca: None, aaguid: None };
        let mut rest = self.extensions;
        for _ in 0..PARTS_MAX {
            if rest.is_empty() {
                return Some(found);
            }
            let (extension, after) = take(rest, SEQUENCE)?;
            rest = after;
            let (kind, extension) = take(extension, OBJECT_ID)?;
            let (is_critical, value) = match take(extension, BOOLEAN) {
                Some(([0xff], value)) => (true, value),
                Some(_) => return None,
                None => (false, extension),
            };
            let value = only(value, OCTET_STRING)?;
            match kind {
                BASIC_CONSTRAINTS if found.is_ca.is_some() => return None,
                BASIC_CONSTRAINTS => {
                    found.is_ca = Some(matches!(take(only(value, SEQUENCE)?, BOOLEAN), Some(([0xff], _))));
                }
                AAGUID if found.aaguid.is_some() || is_critical => return None,
                AAGUID => found.aaguid = Some(only(value, OCTET_STRING)?.try_into().ok()?),
                _ => {}
            }
        }
        None
    }
}

struct Extensions<'a> {
    is_ca: Option<bool>,
    aaguid: Option<&'a [u8; 16]>,
}
