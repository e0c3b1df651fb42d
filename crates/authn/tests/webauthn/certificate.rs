//! Attestation certificates, written by hand so that each part can be wrong.

use holdfast_authn::webauthn::Algorithm;

use crate::authenticator::{AAGUID, Key};

/// A certificate in the making.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) version: u8,
    /// Object identifier's last byte, string's tag, and text.
    pub(crate) subject: Vec<(u8, u8, &'static str)>,
    pub(crate) is_ca: Option<bool>,
    pub(crate) aaguid: Option<[u8; 16]>,
    pub(crate) aaguid_critical: bool,
}

impl Certificate {
    /// As section 8.2.1 wants it.
    pub(crate) fn good() -> Self {
        Self {
            version: 2,
            subject: vec![
                (6, 0x13, "SE"),
                (10, 0x0c, "Harbor Tests"),
                (11, 0x0c, "Authenticator Attestation"),
                (3, 0x0c, "Harbor Test Authenticator"),
            ],
            is_ca: Some(false),
            aaguid: Some(AAGUID),
            aaguid_critical: false,
        }
    }

    /// Signed by its own key.
    pub(crate) fn of(&self, key: &Key) -> Vec<u8> {
        let name = |parts: &[(u8, u8, &str)]| {
            let parts: Vec<Vec<u8>> = parts
                .iter()
                .map(|(kind, tag, text)| {
                    let attribute = [der(0x06, &[0x55, 0x04, *kind]), der(*tag, text.as_bytes())].concat();
                    der(0x31, &der(0x30, &attribute))
                })
                .collect();
            der(0x30, &parts.concat())
        };
        let (algorithm, signature_algorithm): (&[u8], &[u8]) = match key.algorithm() {
            Algorithm::Es256 => (P256, ECDSA_SHA256),
            Algorithm::EdDsa => (ED25519, ED25519),
            Algorithm::Rs256 => (RSA, RSA_SHA256),
        };
        let spki = der(0x30, &[der(0x30, algorithm), der(0x03, &[&[0], key.public()].concat())].concat());
        let to_be_signed = [
            der(0xa0, &der(0x02, &[self.version])),
            der(0x02, &[0x11, 0x22, 0x33]),
            der(0x30, signature_algorithm),
            name(&[(3, 0x0c, "Harbor Test Maker")]),
            der(0x30, &[der(0x17, b"240101000000Z"), der(0x17, b"490101000000Z")].concat()),
            name(&self.subject),
            spki,
            self.extensions(),
        ];
        let to_be_signed = der(0x30, &to_be_signed.concat());
        let signature = key.sign(&to_be_signed);
        let parts =
            [to_be_signed, der(0x30, signature_algorithm), der(0x03, &[&[0], &signature[..]].concat())];
        der(0x30, &parts.concat())
    }

    fn extensions(&self) -> Vec<u8> {
        let critical = |is: bool| if is { der(0x01, &[0xff]) } else { vec![] };
        let mut extensions = Vec::new();
        if let Some(is_ca) = self.is_ca {
            let value = der(0x30, &critical(is_ca));
            let parts = [der(0x06, &[0x55, 0x1d, 0x13]), critical(true), der(0x04, &value)];
            extensions.push(der(0x30, &parts.concat()));
        }
        if let Some(aaguid) = self.aaguid {
            let kind = der(0x06, &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0xe5, 0x1c, 0x01, 0x01, 0x04]);
            let parts = [kind, critical(self.aaguid_critical), der(0x04, &der(0x04, &aaguid))];
            extensions.push(der(0x30, &parts.concat()));
        }
        if extensions.is_empty() { vec![] } else { der(0xa3, &der(0x30, &extensions.concat())) }
    }
}

pub(crate) const P256: &[u8] = &[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
const ECDSA_SHA256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
const ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const RSA_SHA256: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00];

/// An element.
pub(crate) fn der(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let head = match length {
        0..=0x7f => vec![tag, length as u8],
        0x80..=0xff => vec![tag, 0x81, length as u8],
        _ => [&[tag, 0x82][..], &(length as u16).to_be_bytes()].concat(),
    };
    [&head[..], contents].concat()
}
