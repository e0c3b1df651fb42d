//! A request that can be changed, and what becomes of it.

use holdfast_authn::{
    Dialect, KeyMaterial, RawRequest, RequestError, SignedRequest, Verified, parse, verify, verify_signature,
};
use ring::{digest, hmac};

/// The secret of the samples; for kraken it is what the base64 stands for.
pub(crate) const SECRET: &str = "a-throwaway-secret-of-a-test-that-opens-nothing-0000";
pub(crate) const KRAKEN_SECRET: &str =
    "YS10aHJvd2F3YXktc2VjcmV0LW9mLWEtdGVzdC10aGF0LW9wZW5zLW5vdGhpbmctMDAwMA==";
pub(crate) const PASSPHRASE: &str = "open sesame";
/// When the samples were signed: 2026-11-22T13:16:53.562Z.
pub(crate) const SIGNED_AT_MICROS: u64 = 1_795_353_413_562_000;

pub(crate) const BTC_ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
pub(crate) const EVM_ADDRESS: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
pub(crate) const XRP_ADDRESS: &str = "rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY";

#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) dialect: Dialect,
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) headers: Vec<(String, String)>,
}

impl Sample {
    /// From `POST /path?query`.
    pub(crate) fn new(dialect: Dialect, line: &str, headers: &[(&str, &str)], body: &str) -> Self {
        let (method, target) = line.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            dialect,
            method: method.into(),
            path: path.into(),
            query: query.into(),
            body: body.into(),
            headers: headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
        }
    }

    pub(crate) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    /// With one text in the body put for another, which must be there.
    pub(crate) fn with_body(&self, from: &str, to: &str) -> Self {
        self.with(|sample| {
            let body = String::from_utf8(sample.body.clone()).unwrap();
            assert!(body.contains(from), "{from}");
            sample.body = body.replacen(from, to, 1).into();
        })
    }

    pub(crate) fn get(&self, header: &str) -> &str {
        self.headers
            .iter()
            .find(|(name, _)| name == header)
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    }

    pub(crate) fn set(&mut self, header: &str, value: &str) {
        self.headers.retain(|(name, _)| name != header);
        self.headers.push((header.into(), value.into()));
    }

    pub(crate) fn setting(&self, header: &str, value: &str) -> Self {
        self.with(|sample| sample.set(header, value))
    }

    pub(crate) fn read(&self) -> Result<SignedRequest, RequestError> {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        parse(
            self.dialect,
            &RawRequest {
                method: &self.method,
                path: &self.path,
                raw_query: &self.query,
                raw_body: &self.body,
                headers: &headers,
            },
        )
    }

    pub(crate) fn verify(&self, key: &KeyMaterial) -> Result<Verified, RequestError> {
        verify(&self.read()?, key)
    }

    /// What becomes of it as a withdrawal.
    pub(crate) fn code(&self, key: &KeyMaterial) -> &'static str {
        self.verify(key).map_or_else(|error| error.code(), |_| "verified")
    }

    /// What becomes of it at a gate.
    pub(crate) fn gate(&self, key: &KeyMaterial) -> &'static str {
        let checked = self.read().and_then(|request| verify_signature(&request, key));
        checked.map_or_else(|error| error.code(), |()| "genuine")
    }
}

/// What every dialect that signs by headers refuses; `signature` is the header that carries it.
pub(crate) fn refuses_what_was_changed(
    sample: &Sample,
    key: &KeyMaterial,
    signature: &str,
    required: &[&str],
) {
    assert_eq!(sample.code(key), "verified");
    let genuine = sample.verify(key).unwrap();
    let invalid = |changed: &Sample, what: &str| {
        assert!(
            ["signature_invalid", "header_malformed"].contains(&changed.gate(key)),
            "{what}: {}",
            changed.gate(key)
        );
        assert!(changed.verify(key).is_err(), "{what}");
    };
    // The signature: another character, one less, one more, another alphabet, upper case, white space, nothing.
    let text = sample.get(signature).to_owned();
    let other = if text.starts_with('a') { "b" } else { "a" };
    for (what, changed) in [
        ("another first character", format!("{other}{}", &text[1..])),
        ("one less", text[..text.len() - 1].to_owned()),
        ("one more", format!("{text}A")),
        ("a space before", format!(" {text}")),
        ("a space behind", format!("{text} ")),
        ("padding", format!("{text}=")),
        ("nothing", String::new()),
        ("not ASCII", "\u{fc}".repeat(text.len() / 2)),
        ("twice", format!("{text}{text}")),
    ] {
        invalid(&sample.setting(signature, &changed), what);
    }
    // Headers: absent, twice.
    for header in required {
        let absent = sample.with(|sample| sample.headers.retain(|(name, _)| name != header));
        let code = absent.gate(key);
        assert!(
            ["header_missing", "api_key_missing", "key_version_unsupported"].contains(&code),
            "{header}: {code}"
        );
        let twice = sample.with(|sample| {
            let value = sample.get(header).to_owned();
            sample.headers.push((header.to_lowercase(), value));
        });
        let code = twice.gate(key);
        assert!(["header_repeated", "api_key_repeated"].contains(&code), "{header}: {code}");
        // Names of headers are of any case.
        let lower = sample.with(|sample| {
            let value = sample.get(header).to_owned();
            sample.headers.retain(|(name, _)| name != header);
            sample.headers.push((header.to_lowercase(), value));
        });
        assert_eq!(lower.verify(key), Ok(genuine.clone()), "{header}");
    }
    // Another key, of the same and of other algorithms.
    let wrong = "b-throwaway-secret-of-a-test-that-opens-nothing-0000";
    for other in [
        KeyMaterial::hmac_sha256(wrong.as_bytes()).unwrap(),
        KeyMaterial::shared(Dialect::Okx, wrong, Some(PASSPHRASE)).unwrap(),
        KeyMaterial::HmacSha512(holdfast_authn::HmacSecret::sha512(wrong.as_bytes()).unwrap()),
        KeyMaterial::ed25519([9; 32]).unwrap(),
    ] {
        assert_eq!(sample.gate(&other), "signature_invalid", "{other:?}");
    }
    // The body: any byte of it.
    for at in 0..sample.body.len() {
        let changed =
            sample.with(|sample| sample.body.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1));
        assert!(changed.verify(key).is_err(), "byte {at}");
    }
    // Sizes.
    let large = sample.with(|sample| sample.body = vec![b' '; 64 * 1024 + 1]);
    assert_eq!(large.gate(key), "request_too_large");
    let large = sample.with(|sample| sample.query = vec![b'a'; 8 * 1024 + 1]);
    assert_eq!(large.gate(key), "request_too_large");
    let large = sample.setting(signature, &"a".repeat(8 * 1024 + 1));
    assert_eq!(large.gate(key), "request_too_large");
    // Paths that an edge could normalise.
    for path in ["", "x", "//", "/a//b", "/a/../b", "/a/./b", "/a%2fb", "/a;b", "/a?b", "/a\\b"] {
        let changed = sample.with(|sample| sample.path = path.into());
        assert_eq!(changed.gate(key), "path_malformed", "{path}");
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn hmac_sha256(payload: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), payload).as_ref().to_vec()
}

pub(crate) fn hmac_sha512(payload: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, SECRET.as_bytes()), payload).as_ref().to_vec()
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}
