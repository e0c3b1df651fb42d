//! A customer: security keys in software, what they register and sign, and the waiting that makes them count.

use std::time::Duration;

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::webauthn::Algorithm;
use holdfast_values::{Timestamp, time};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::authenticator::{
    APP_ID, AT, Key, ORIGIN, RP_ID, UP, UV, attestation_object, attested, authenticator_data, cbor_array,
    cbor_bytes, cbor_int, cbor_map, cbor_text, client_data, sha256,
};
use crate::certificate::Certificate;
use crate::server::{Answer, Exchange, OPEN, Server};

const LOGIN_RP_ID: &str = "harbor.example";
const LOGIN_ORIGIN: &str = "https://harbor.example";

/// The pages on which customers' keys are asked, for a configuration.
pub(crate) fn parties() -> String {
    format!(
        "[approve]\nrp_id = \"{RP_ID}\"\norigins = [\"{ORIGIN}\"]\napp_id = \"{APP_ID}\"\n\
         [login]\nrp_id = \"{LOGIN_RP_ID}\"\norigins = [\"{LOGIN_ORIGIN}\"]\n"
    )
}

/// What is worth less than 50,000 US dollars may leave at once, and the rest by its owner's key.
pub(crate) const POLICY: &str = r#"
@id("all") permit (principal, action, resource);
@id("large") @outcome("step_up") @factor("passkey") @reason("large")
forbid (principal, action, resource) when { context.amount_usd_cents >= 5000000 };
"#;

/// Little is in the way; customers have keys; time can be passed with [`later`].
pub(crate) fn open() -> Exchange {
    Exchange::new(&format!("{OPEN}{}", parties()), Some(POLICY), &["--simulated-clock"])
}

/// Harbor under the baseline policy, with keys.
pub(crate) fn baseline() -> Exchange {
    let harbor = std::fs::read_to_string(crate::server::repository("examples/harbor.toml")).unwrap();
    let harbor = if harbor.contains("\n[approve]") { harbor } else { format!("{harbor}{}", parties()) };
    Exchange::new(&harbor, None, &["--simulated-clock"])
}

/// A server with a token of all scopes, a price and the account `ac_1`, on a clock that [`later`] moves.
pub(crate) fn ready(exchange: &Exchange) -> Server {
    let mut server = exchange.serve(&["--clock-rate", "1"]);
    server.token = exchange.issue(&server, "everything", 63);
    server.price("5900.00");
    open_account(&server, "ac_1");
    server
}

pub(crate) fn open_account(server: &Server, account: &str) {
    let opened = server.post("/v1/accounts", &json!({ "account": account, "tier": "full" }));
    assert_eq!(opened.status, 201, "{}", opened.body);
}

/// The same exchange so many hours later: time runs fast for a moment, with the server there.
pub(crate) fn later(exchange: &Exchange, server: Server, hours: u64) -> Server {
    let token = server.token.clone();
    assert_eq!(server.stop(), Some(0));
    let rate = (hours * 3_600).to_string();
    let fast = exchange.serve(&["--clock-rate", &rate]);
    // Ages count only while the server is there: what passed while it started is none of it.
    let until: Timestamp = fast.now().plus(hours * time::HOUR);
    while fast.now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(fast.stop(), Some(0));
    let mut server = exchange.serve(&["--clock-rate", "1"]);
    server.token = token;
    server.price("5900.00");
    server
}

/// How a registration is signed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    None,
    PackedSelf,
    FidoU2f,
}

/// What is signed, to be spoiled.
#[derive(Clone)]
pub(crate) struct Said {
    pub(crate) kind: &'static str,
    pub(crate) challenge: Vec<u8>,
    pub(crate) origin: String,
    pub(crate) more: String,
    pub(crate) rp_id: String,
    pub(crate) flags: u8,
    pub(crate) counter: u32,
}

/// A security key with one credential.
pub(crate) struct SecurityKey {
    pub(crate) key: Key,
    pub(crate) id: Vec<u8>,
    /// How often it has signed.
    pub(crate) counter: u32,
    rp_id: &'static str,
    origin: &'static str,
}

impl SecurityKey {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let key = Key::new(algorithm);
        let id = sha256(key.public());
        Self { key, id, counter: 1, rp_id: RP_ID, origin: ORIGIN }
    }

    /// One that signs in.
    pub(crate) fn login() -> Self {
        Self { rp_id: LOGIN_RP_ID, origin: LOGIN_ORIGIN, ..Self::new(Algorithm::Es256) }
    }

    pub(crate) fn said(&self, kind: &'static str, challenge: &[u8]) -> Said {
        Said {
            kind,
            challenge: challenge.to_vec(),
            origin: self.origin.to_owned(),
            more: r#","crossOrigin":false"#.to_owned(),
            rp_id: self.rp_id.to_owned(),
            flags: UP | UV,
            counter: self.counter,
        }
    }

    /// An assertion over whatever is said.
    pub(crate) fn sign(&self, said: &Said) -> Value {
        let client = client_data(said.kind, &said.challenge, &said.origin, &said.more);
        let data = authenticator_data(&said.rp_id, said.flags, said.counter, &[]);
        let signature = self.key.sign(&[&data[..], &sha256(&client)].concat());
        json!({
            "credential_id": to_base64url(&self.id), "client_data_json": to_base64url(&client),
            "authenticator_data": to_base64url(&data), "signature": to_base64url(&signature),
        })
    }

    /// A good assertion over a challenge.
    pub(crate) fn assert(&mut self, challenge: &[u8]) -> Value {
        self.counter += 1;
        self.sign(&self.said("webauthn.get", challenge))
    }

    /// A good assertion over a text.
    pub(crate) fn approve(&mut self, text: &str) -> Value {
        self.assert(&Sha256::digest(text.as_bytes()))
    }

    /// An approval of a text, as changes take it.
    pub(crate) fn approval(&mut self, text: &str) -> Value {
        json!({ "text": text, "assertion": self.approve(text) })
    }

    /// A registration for a challenge.
    pub(crate) fn registration(&self, challenge: &[u8], format: Format) -> Value {
        let client = client_data("webauthn.create", challenge, self.origin, r#","crossOrigin":false"#);
        let flags = if matches!(format, Format::FidoU2f) { UP | AT } else { UP | UV | AT };
        let counter = if matches!(format, Format::FidoU2f) { 0 } else { self.counter };
        let data =
            authenticator_data(self.rp_id, flags, counter, &attested([0; 16], &self.id, &self.key.cose()));
        let object = match format {
            Format::None => attestation_object("none", &[0xa0], &data),
            Format::PackedSelf => {
                let signature = self.key.sign(&[&data[..], &sha256(&client)].concat());
                let statement = cbor_map(&[
                    (cbor_text("alg"), cbor_int(self.key.algorithm().cose())),
                    (cbor_text("sig"), cbor_bytes(&signature)),
                ]);
                attestation_object("packed", &statement, &data)
            }
            Format::FidoU2f => {
                let by = Key::new(Algorithm::Es256);
                let message =
                    [&[0][..], &sha256(self.rp_id.as_bytes()), &sha256(&client), &self.id, self.key.public()]
                        .concat();
                let chain = cbor_array(&[cbor_bytes(&Certificate::good().of(&by))]);
                let statement = cbor_map(&[
                    (cbor_text("sig"), cbor_bytes(&by.sign(&message))),
                    (cbor_text("x5c"), chain),
                ]);
                attestation_object("fido-u2f", &statement, &data)
            }
        };
        json!({ "client_data_json": to_base64url(&client), "attestation_object": to_base64url(&object) })
    }
}

/// Bytes of a challenge as an answer gives it.
pub(crate) fn challenge(options: &Answer) -> Vec<u8> {
    assert_eq!(options.status, 200, "{}", options.body);
    holdfast_authn::encoding::base64url(options.body["challenge"].as_str().unwrap().as_bytes()).unwrap()
}

/// The body of a registration for a fresh challenge.
pub(crate) fn registration(
    server: &Server,
    account: &str,
    key: &SecurityKey,
    used_for: &str,
    format: Format,
) -> Value {
    let path = format!("/v1/accounts/{account}/credentials/options");
    let options = server.post(&path, &json!({ "used_for": used_for }));
    let mut body = key.registration(&challenge(&options), format);
    body["used_for"] = json!(used_for);
    body["label"] = json!("the blue one from Valletta");
    body
}

/// Registers a key; the answer.
pub(crate) fn register(server: &Server, account: &str, key: &SecurityKey, used_for: &str) -> Answer {
    let body = registration(server, account, key, used_for, Format::None);
    server.post(&format!("/v1/accounts/{account}/credentials"), &body)
}

/// Registers an account's first key and lets it age.
pub(crate) fn aged_key(exchange: &Exchange, server: Server, account: &str) -> (Server, SecurityKey) {
    let key = SecurityKey::new(Algorithm::Es256);
    let answer = register(&server, account, &key, "approve");
    assert_eq!(answer.status, 201, "{}", answer.body);
    (later(exchange, server, 73), key)
}

/// Sends a request that needs an approval, and again with the approval of a key.
pub(crate) fn approved(
    server: &Server,
    method: &str,
    path: &str,
    body: &Value,
    key: &mut SecurityKey,
) -> Answer {
    let asked = server.call(method, path, &[], body.to_string().as_bytes());
    let body = with_approval(&asked, body, key);
    server.call(method, path, &[], body.to_string().as_bytes())
}

/// The body with the approval that an answer asks for.
pub(crate) fn with_approval(asked: &Answer, body: &Value, key: &mut SecurityKey) -> Value {
    assert_eq!(asked.code(), "approval_required", "{}", asked.body);
    let text = asked.body["approval"]["text"].as_str().unwrap();
    let mut body = body.clone();
    body["approval"] = key.approval(text);
    body
}

/// Sends a change of an account's protection.
pub(crate) fn change(server: &Server, account: &str, change: &Value) -> Answer {
    server.post(&format!("/v1/accounts/{account}/changes"), &json!({ "change": change }))
}

/// The code of a WebAuthn error within a problem.
pub(crate) fn why(answer: &Answer) -> &str {
    let detail = answer.body["detail"].as_str().unwrap_or_default();
    detail.split(':').next().unwrap_or_default()
}
