//! What a file's customers hold: security keys in software, and API keys that sign their requests. Made here, used for one
//! run, kept nowhere.

use holdfast_authn::encoding::{base64url, to_base64, to_base64url};
use minicbor::Encoder;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use ring::{digest, hmac};
use serde_json::{Value, json};

use crate::cli::Failure;

/// The user was there, and was verified by the key.
const PRESENT_AND_VERIFIED: u8 = 0x05;
/// The key's data follow.
const ATTESTED: u8 = 0x40;
/// What `ring` gives for an Ed25519 public half, in PEM (RFC 8410), begins with this.
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// For how long a signed request is good, in seconds; no longer one is taken.
const WINDOW: u64 = 60;

fn unusable(what: &'static str) -> impl Fn() -> Failure {
    move || Failure::new("key_unusable", what)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

/// A security key with one credential (ES256).
pub(super) struct SecurityKey {
    pair: EcdsaKeyPair,
    id: Vec<u8>,
    origin: String,
    counter: u32,
}

impl SecurityKey {
    pub(super) fn new(origin: &str) -> Result<Self, Failure> {
        let failed = unusable("no key can be made: the system gives no randomness");
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
        let pkcs8 = pkcs8.map_err(|_| failed())?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
        let pair = pair.map_err(|_| failed())?;
        let id = sha256(pair.public_key().as_ref());
        Ok(Self { pair, id, origin: origin.to_owned(), counter: 1 })
    }

    /// Its credential's id, as options and approvals name it.
    pub(super) fn id(&self) -> String {
        to_base64url(&self.id)
    }

    fn client_data(&self, kind: &str, challenge: &[u8]) -> Vec<u8> {
        let (challenge, origin) = (to_base64url(challenge), &self.origin);
        json!({ "type": kind, "challenge": challenge, "origin": origin, "crossOrigin": false })
            .to_string()
            .into_bytes()
    }

    fn authenticator_data(&self, rp_id: &str, flags: u8, more: &[u8]) -> Vec<u8> {
        [&sha256(rp_id.as_bytes()), &[flags][..], &self.counter.to_be_bytes(), more].concat()
    }

    /// What a browser sends when the key is registered; without an attestation.
    pub(super) fn register(&self, options: &Value) -> Result<Value, Failure> {
        let text = |key: &str| options.get(key).and_then(Value::as_str).unwrap_or_default();
        let unread = unusable("the server's options for a registration cannot be read");
        let challenge = base64url(text("challenge").as_bytes()).ok_or_else(&unread)?;
        let client = self.client_data("webauthn.create", &challenge);
        let length = u16::try_from(self.id.len()).unwrap_or_default().to_be_bytes();
        let cose = self.cose().map_err(|_| unread())?;
        let attested = [&[0; 16][..], &length, &self.id, &cose].concat();
        let data = self.authenticator_data(text("rp_id"), PRESENT_AND_VERIFIED | ATTESTED, &attested);
        let mut object = Encoder::new(Vec::new());
        let written = object.map(3).and_then(|e| e.str("fmt")?.str("none")?.str("attStmt")?.map(0));
        written.and_then(|e| e.str("authData")?.bytes(&data)).map_err(|_| unread())?;
        Ok(json!({
            "used_for": "approve", "label": "in software",
            "client_data_json": to_base64url(&client), "attestation_object": to_base64url(object.writer()),
        }))
    }

    /// The public half as COSE writes it (RFC 9053).
    fn cose(&self) -> Result<Vec<u8>, minicbor::encode::Error<core::convert::Infallible>> {
        let point = self.pair.public_key().as_ref();
        // An uncompressed point: 4, x, y.
        let (x, y) = point.get(1..).unwrap_or_default().split_at_checked(32).unwrap_or_default();
        let mut e = Encoder::new(Vec::new());
        e.map(5)?.u8(1)?.u8(2)?.u8(3)?.i8(-7)?.i8(-1)?.u8(1)?;
        e.i8(-2)?.bytes(x)?.i8(-3)?.bytes(y)?;
        Ok(e.into_writer())
    }

    /// An assertion over the SHA-256 of a text.
    pub(super) fn approve(&mut self, rp_id: &str, text: &str) -> Result<Value, Failure> {
        self.counter = self.counter.saturating_add(1);
        let client = self.client_data("webauthn.get", &sha256(text.as_bytes()));
        let data = self.authenticator_data(rp_id, PRESENT_AND_VERIFIED, &[]);
        let message = [&data[..], &sha256(&client)].concat();
        let signature = self.pair.sign(&SystemRandom::new(), &message);
        let signature = signature.map_err(|_| unusable("the system gives no randomness")())?;
        Ok(json!({
            "credential_id": self.id(), "client_data_json": to_base64url(&client),
            "authenticator_data": to_base64url(&data), "signature": to_base64url(signature.as_ref()),
        }))
    }
}

/// How a customer's program signs (RFC 9421).
pub(super) enum ApiKey {
    /// With a secret that the server made.
    Shared(hmac::Key),
    /// With a key whose public half the server has.
    Own(Ed25519KeyPair),
}

impl ApiKey {
    /// What signs is the text of the secret, not what it may encode.
    pub(super) fn shared(secret: &str) -> Self {
        Self::Shared(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    pub(super) fn own() -> Result<Self, Failure> {
        let failed = unusable("no key can be made: the system gives no randomness");
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| failed())?;
        Ok(Self::Own(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(|_| failed())?))
    }

    /// The public half in PEM, of one that has one.
    pub(super) fn public_pem(&self) -> Option<String> {
        let Self::Own(pair) = self else { return None };
        let spki = to_base64(&[&ED25519_SPKI, pair.public_key().as_ref()].concat());
        Some(format!("-----BEGIN PUBLIC KEY-----\n{spki}\n-----END PUBLIC KEY-----\n"))
    }

    fn sign(&self, base: &[u8]) -> String {
        match self {
            Self::Shared(key) => to_base64(hmac::sign(key, base).as_ref()),
            Self::Own(pair) => to_base64(pair.sign(base).as_ref()),
        }
    }

    /// A signed request for a withdrawal, as the exchange passes it on. `created`: seconds since 1970.
    pub(super) fn request(&self, name: &str, body: &str, created: u64, ip: &str) -> Value {
        let digest = format!("sha-256=:{}:", to_base64(&sha256(body.as_bytes())));
        let algorithm = match self {
            Self::Shared(_) => "hmac-sha256",
            Self::Own(_) => "ed25519",
        };
        let parameters = format!(
            "(\"@method\" \"@path\" \"content-digest\");created={created};expires={};keyid=\"{name}\";alg=\"{algorithm}\"",
            created.saturating_add(WINDOW)
        );
        let base = format!(
            "\"@method\": POST\n\"@path\": /v1/withdrawals\n\"content-digest\": {digest}\n\"@signature-params\": {parameters}"
        );
        let signature = self.sign(base.as_bytes());
        json!({ "api_request": {
            "dialect": "rfc9421", "method": "POST", "path": "/v1/withdrawals", "body": body,
            "headers": [
                ["Content-Type", "application/json"], ["Content-Digest", digest],
                ["Signature-Input", format!("sig1={parameters}")], ["Signature", format!("sig1=:{signature}:")],
            ],
            "client_ip": ip,
        } })
    }
}
