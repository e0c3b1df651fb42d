//! What the server reads by itself: codes and secrets that customers type, Envoy's questions, references to PKCS#11 keys.

use std::net::IpAddr;
use std::sync::OnceLock;

use argon2::{Argon2, Params, Version};
use holdfast_authn::encoding::to_base64url;
use holdfast_server::codes::{Algorithm, StoredCodes, TotpKey, TotpSettings};
use holdfast_server::grpc::{Proxied, question};
use holdfast_server::vault::{Pkcs11Uri, URI_BYTES_MAX};
use holdfast_values::{Timestamp, time};

/// When codes are shown: 2026-11-22T12:00:00Z.
const NOON: Timestamp = Timestamp(1_795_348_800 * time::SECOND);
/// The house's recovery code, as it was printed.
const RECOVERY: &str = "0123-4567-89AB-CDEF";
/// Its bytes: five bits a digit.
const RECOVERY_BYTES: [u8; 10] = [0x00, 0x44, 0x32, 0x14, 0xc7, 0x42, 0x54, 0xb6, 0x35, 0xcf];

/// A line that a customer types or an exchange imports: a secret in base 32, a one-time code, a recovery code.
pub(super) fn codes(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let read = [secret(text), one_time(text), recovery(text)];
    read.contains(&true)
}

fn secret(text: &str) -> bool {
    let mut read = false;
    for (algorithm, digits, period) in
        [(Algorithm::Sha1, 6, 30), (Algorithm::Sha256, 8, 60), (Algorithm::Sha512, 6, 15)]
    {
        let Ok(settings) = TotpSettings::new(algorithm, digits, period) else { return false };
        let Ok(key) = TotpKey::from_base32(text, settings) else { continue };
        read = true;
        let canonical = text.trim_end_matches('=').to_ascii_uppercase();
        assert_eq!(*key.to_base32(), canonical, "the secret is what was typed");
        let step = key.step(NOON);
        let code = key.code_at(step);
        assert!(code.len() == usize::from(digits) && code.bytes().all(|digit| digit.is_ascii_digit()));
        let found = key.matching_step(NOON, &code, 0);
        assert_eq!(found, Some(step), "its own code, now");
    }
    read
}

fn one_time(text: &str) -> bool {
    let settings = TotpSettings::new(Algorithm::Sha1, 6, 30);
    let Some(key) = settings.ok().and_then(|settings| TotpKey::from_bytes(&[0x5a; 20], settings).ok()) else {
        return false;
    };
    let Some(step) = key.matching_step(NOON, text, 1) else { return false };
    assert_eq!(*key.code_at(step), text, "a code has one spelling");
    assert!(step.abs_diff(key.step(NOON)) <= 1, "of now, or next to it");
    true
}

/// A set of one code, hashed at the least cost that is read.
fn stored() -> Option<&'static StoredCodes> {
    static STORED: OnceLock<Option<StoredCodes>> = OnceLock::new();
    let make = || {
        let (salt, mut hash) = ([7; 16], [0; 32]);
        let params = Params::new(Params::MIN_M_COST, Params::MIN_T_COST, 1, Some(hash.len())).ok()?;
        let argon2 = Argon2::new(argon2::Algorithm::Argon2id, Version::V0x13, params);
        argon2.hash_password_into(&RECOVERY_BYTES, &salt, &mut hash).ok()?;
        let json = format!(
            r#"{{"argon2id":"v=19","memory_kib":{},"passes":{},"salt":"{}","hashes":["{}"]}}"#,
            Params::MIN_M_COST,
            Params::MIN_T_COST,
            to_base64url(&salt),
            to_base64url(&hash)
        );
        serde_json::from_str(&json).ok()
    };
    STORED.get_or_init(make).as_ref()
}

fn recovery(text: &str) -> bool {
    let Some(found) = stored().map(|stored| stored.matches(text)) else { return false };
    let plain: String = text
        .chars()
        .filter(|letter| !matches!(letter, ' ' | '-'))
        .map(|letter| match letter.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            letter => letter,
        })
        .collect();
    let is_it = plain == RECOVERY.replace('-', "") && text.len() <= 64;
    assert_eq!(found, Ok(is_it.then_some(0)), "the code, however it is typed, and no other");
    is_it
}

/// A reference to a key in a PKCS#11 token.
pub(super) fn token_uri(bytes: &[u8]) -> bool {
    let Ok(text) = core::str::from_utf8(bytes) else { return false };
    let Ok(uri) = Pkcs11Uri::parse(text) else { return false };
    assert!(Pkcs11Uri::is_one(text) && text.len() <= URI_BYTES_MAX);
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let mut parts = path.trim_start_matches("pkcs11:").split(';').chain(query.split('&'));
    assert!(!parts.any(|part| part.starts_with("pin-value=")), "no PIN stands in it");
    let printed = uri.to_string();
    // What is printed escapes more than was escaped.
    if printed.len() <= URI_BYTES_MAX {
        assert_eq!(Pkcs11Uri::parse(&printed).ok().as_ref(), Some(&uri), "{printed}");
    }
    true
}

/// A frame of gRPC with Envoy's question about a request.
pub(super) fn ext_authz(bytes: &[u8]) -> bool {
    let Some(asked) = question(bytes) else { return false };
    assert!(!asked.path.contains('?'), "the query is apart");
    assert!(asked.headers.iter().all(|(name, _)| !name.starts_with(':')));
    assert!(question(&[bytes, &[0]].concat()).is_none(), "a byte behind");
    let shorter = bytes.split_last().map(|(_, rest)| rest).unwrap_or_default();
    assert!(question(shorter).is_none(), "cut off");

    // Written in order by another writer, it asks the same.
    let again = question(&frame(&asked));
    assert_eq!(again.as_ref(), Some(&asked), "one meaning");
    true
}

fn frame(asked: &Proxied) -> Vec<u8> {
    let target = if asked.query.is_empty() {
        asked.path.clone().into_bytes()
    } else {
        [asked.path.as_bytes(), b"?", &asked.query].concat()
    };
    let headers: Vec<u8> = asked
        .headers
        .iter()
        .flat_map(|(name, value)| field(1, &[field(1, name.as_bytes()), field(3, value.as_bytes())].concat()))
        .collect();
    let length = u64::try_from(asked.body.len()).unwrap_or_default();
    let size = length.saturating_add(u64::from(asked.body_truncated));
    let http = [
        field(2, asked.method.as_bytes()),
        field(4, &target),
        [&[9 << 3][..], &varint(size)].concat(),
        field(12, &asked.body),
        field(13, &headers),
    ]
    .concat();
    let ip: IpAddr = asked.ip;
    let source = field(1, &field(1, &field(2, ip.to_string().as_bytes())));
    let message = field(1, &[field(1, &source), field(4, &field(2, &http))].concat());
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0][..], &length.to_be_bytes(), &message].concat()
}

/// A field of Protocol Buffers with bytes in it.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u64::try_from(bytes.len()).unwrap_or_default();
    [&[(number << 3) | 2][..], &varint(length), bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}
