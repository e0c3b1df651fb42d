//! What it costs to verify an assertion of a security key: `verify_assertion`, which server, signer and auditors share.
//! Beside it, by turns, the bare signature check of the same library over the same bytes, and two libraries in other
//! languages on the same assertions. All in time on a CPU, so that other programs are in no number.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::webauthn::{Algorithm, Assertion, PublicKey, RelyingParty, verify_assertion};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use serde_json::{Value, json};

use crate::peers::Peer;
use crate::report::{Report, busy, grouped, median, per_second, percent, permille, reached, tenths};
use crate::{Failure, Options, cpu, progress};

const RUNS: usize = 7;
/// Different assertions of each key.
const ASSERTIONS: u64 = 64;
/// How often each is verified in a run, here and by the peers; and in a quick run.
const ROUNDS: [u64; 2] = [40, 8];
const PEER_ROUNDS: [u64; 2] = [10, 2];
/// The aim, in 1/1000 of the bare signature check.
const AIM: u64 = 800;

const RP_ID: &str = "approve.harbor.example";
const ORIGIN: &str = "https://approve.harbor.example";
const CREDENTIAL_ID: [u8; 32] = [7; 32];
/// User present and verified.
const FLAGS: u8 = 0x05;
/// ring makes no RSA keys: this one is the tests', of 2048 bits.
const RSA_KEY: &str = "crates/authn/tests/webauthn/throwaway-rsa.der";

/// Whether this message has this signature.
type Check<'a> = Box<dyn Fn(&[u8], &[u8]) -> bool + 'a>;

/// A key pair, as an authenticator has it.
enum Pair {
    Es256(EcdsaKeyPair),
    EdDsa(Ed25519KeyPair),
    Rs256(RsaKeyPair),
}

impl Pair {
    fn new(algorithm: Algorithm, root: &Path) -> Result<Self, Failure> {
        let random = SystemRandom::new();
        let failed = |error: &dyn std::fmt::Display| Failure::from(format!("no key: {error}"));
        Ok(match algorithm {
            Algorithm::Es256 => {
                let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random);
                let pkcs8 = pkcs8.map_err(|error| failed(&error))?;
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref(), &random);
                Self::Es256(pair.map_err(|error| failed(&error))?)
            }
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_seed_unchecked(&[9; 32]);
                Self::EdDsa(pair.map_err(|error| failed(&error))?)
            }
            Algorithm::Rs256 => {
                let pair = RsaKeyPair::from_pkcs8(&std::fs::read(root.join(RSA_KEY))?);
                Self::Rs256(pair.map_err(|error| failed(&error))?)
            }
        })
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(pair) => match pair.sign(&random, message) {
                Ok(signature) => Ok(signature.as_ref().to_vec()),
                Err(_) => Err("ES256 does not sign".into()),
            },
            Self::EdDsa(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let signed = pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature);
                signed.map_err(|_| "RS256 does not sign")?;
                Ok(signature)
            }
        }
    }

    /// The public half as authenticators give it.
    fn cose(&self) -> Result<Vec<u8>, Failure> {
        let mut out = Vec::new();
        let mut encoder = minicbor::Encoder::new(&mut out);
        match self {
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).and_then(|point| point.split_at_checked(32)).ok_or("no point")?;
                encoder.map(5)?.i8(1)?.i8(2)?.i8(3)?.i8(-7)?.i8(-1)?.i8(1)?;
                encoder.i8(-2)?.bytes(x)?.i8(-3)?.bytes(y)?;
            }
            Self::EdDsa(pair) => {
                encoder.map(4)?.i8(1)?.i8(1)?.i8(3)?.i8(-8)?.i8(-1)?.i8(6)?;
                encoder.i8(-2)?.bytes(pair.public_key().as_ref())?;
            }
            Self::Rs256(pair) => {
                let parts = rsa::PublicKeyComponents::<Vec<u8>>::from(pair.public());
                encoder.map(4)?.i8(1)?.i8(3)?.i8(3)?.i16(-257)?;
                encoder.i8(-1)?.bytes(&parts.n)?.i8(-2)?.bytes(&parts.e)?;
            }
        }
        Ok(out)
    }

    /// The check of the library alone, with a key that is ready.
    fn bare(&self) -> Check<'_> {
        match self {
            Self::Es256(pair) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pair.public_key().as_ref());
                Box::new(move |message, signature| key.verify(message, signature).is_ok())
            }
            Self::EdDsa(pair) => {
                let key = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
                Box::new(move |message, signature| key.verify(message, signature).is_ok())
            }
            Self::Rs256(pair) => {
                let key: RsaPublicKeyComponents<Vec<u8>> = pair.public().into();
                Box::new(move |message, signature| {
                    key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
                })
            }
        }
    }
}

/// What a browser gave, and what the key signed of it.
#[derive(Clone)]
struct Signed {
    challenge: Vec<u8>,
    client_data: Vec<u8>,
    authenticator_data: Vec<u8>,
    message: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    fn new(pair: &Pair, number: u64) -> Result<Self, Failure> {
        let challenge = blake3::hash(&number.to_be_bytes()).as_bytes().to_vec();
        let client_data = format!(
            r#"{{"type":"webauthn.get","challenge":"{}","origin":"{ORIGIN}","crossOrigin":false}}"#,
            to_base64url(&challenge)
        )
        .into_bytes();
        let mut authenticator_data = digest(&SHA256, RP_ID.as_bytes()).as_ref().to_vec();
        authenticator_data.push(FLAGS);
        authenticator_data.extend(u32::try_from(number)?.saturating_add(1).to_be_bytes());
        let message = [&authenticator_data, digest(&SHA256, &client_data).as_ref()].concat();
        let signature = pair.sign(&message)?;
        Ok(Self { challenge, client_data, authenticator_data, message, signature })
    }

    fn json(&self) -> Value {
        json!({
            "challenge": to_base64url(&self.challenge), "client_data": to_base64url(&self.client_data),
            "authenticator_data": to_base64url(&self.authenticator_data),
            "signature": to_base64url(&self.signature),
        })
    }
}

/// All about one algorithm.
struct Subject {
    algorithm: Algorithm,
    pair: Pair,
    key: PublicKey,
    assertions: Vec<Signed>,
}

impl Subject {
    fn new(algorithm: Algorithm, root: &Path) -> Result<Self, Failure> {
        let pair = Pair::new(algorithm, root)?;
        let key = PublicKey::from_cose(&pair.cose()?)?;
        let assertions =
            (0..ASSERTIONS).map(|number| Signed::new(&pair, number)).collect::<Result<_, _>>()?;
        Ok(Self { algorithm, pair, key, assertions })
    }

    /// For the peers; with one that must be refused.
    fn json(&self) -> Result<Value, Failure> {
        let mut forged = self.assertions.first().ok_or("there is no assertion")?.clone();
        // Another counter than was signed.
        *forged.authenticator_data.last_mut().ok_or("there is no authenticator data")? ^= 0x80;
        let cases: Vec<Value> = self.assertions.iter().map(Signed::json).collect();
        Ok(json!({
            "origin": ORIGIN, "rp_id": RP_ID, "id": to_base64url(&CREDENTIAL_ID),
            "public_key": to_base64url(&self.key.to_cose()), "cases": cases, "forged": forged.json(),
        }))
    }

    /// Nanoseconds for all rounds of Holdfast's verifier.
    fn verified(&self, rounds: u64) -> Result<u64, Failure> {
        let party = RelyingParty { rp_id: RP_ID.into(), origins: vec![ORIGIN.into()], app_id: None };
        cpu::timed(|| {
            for signed in (0..rounds).flat_map(|_| &self.assertions) {
                let assertion = Assertion {
                    client_data_json: &signed.client_data,
                    authenticator_data: &signed.authenticator_data,
                    signature: &signed.signature,
                };
                black_box(verify_assertion(&party, &self.key, &signed.challenge, black_box(&assertion)))?;
            }
            Ok(())
        })
    }

    /// The same of the signature alone.
    fn bare(&self, rounds: u64) -> Result<u64, Failure> {
        let check = self.pair.bare();
        cpu::timed(|| {
            for signed in (0..rounds).flat_map(|_| &self.assertions) {
                if !black_box(check(black_box(&signed.message), &signed.signature)) {
                    return Err("a signature does not fit".into());
                }
            }
            Ok(())
        })
    }
}

const fn name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "ES256",
        Algorithm::EdDsa => "EdDSA (Ed25519)",
        Algorithm::Rs256 => "RS256 (2048 bits)",
    }
}

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = Report::new("assertions");
    let subjects = Algorithm::ALL.map(|algorithm| Subject::new(algorithm, options.root()));
    let subjects: Vec<Subject> = subjects.into_iter().collect::<Result<_, _>>()?;
    let groups = subjects.iter().map(|subject| Ok((subject.algorithm.as_str().to_owned(), subject.json()?)));
    let groups = Value::Object(groups.collect::<Result<_, Failure>>()?);
    let peers = [
        Peer::python(options, "python-fido2", "fido2", "fido2_rate.py"),
        Peer::node(options, "@simplewebauthn/server", "@simplewebauthn/server", "simplewebauthn_rate.mjs"),
    ];
    let [rounds, peer_rounds] =
        [ROUNDS, PEER_ROUNDS].map(|[full, quick]| if options.quick { quick } else { full });

    let mut verified: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut bare: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut theirs: BTreeMap<(&str, String), Vec<u64>> = BTreeMap::new();
    for number in 0..RUNS {
        progress(&format!("assertions: run {} of {RUNS}", number + 1));
        for subject in &subjects {
            let key = subject.algorithm.as_str();
            let count = rounds.saturating_mul(ASSERTIONS);
            verified.entry(key).or_default().push(per_second(count, subject.verified(rounds)?));
            bare.entry(key).or_default().push(per_second(count, subject.bare(rounds)?));
        }
        for peer in peers.iter().flatten() {
            for (group, rate) in peer.rates(peer_rounds, &groups)? {
                theirs.entry((peer.name, group)).or_default().push(rate);
            }
        }
    }

    report.table(&[
        "assertions verified",
        "a second of CPU",
        "us each",
        "bare signature",
        "of bare",
        "aim",
        "reached",
        "python-fido2",
        "@simplewebauthn/server",
    ]);
    for subject in &subjects {
        let key = subject.algorithm.as_str();
        let of = |rates: &BTreeMap<&str, Vec<u64>>| rates.get(key).cloned().map(median).unwrap_or_default();
        let (verified, bare) = (of(&verified), of(&bare));
        let share = permille(verified, bare);
        let peer = |name: &'static str| theirs.get(&(name, key.to_owned())).cloned().map(median);
        let shown = |rate: Option<u64>| rate.map_or_else(|| "-".to_owned(), grouped);
        let (python, node) = (peer("python-fido2"), peer("@simplewebauthn/server"));
        report.row(&[
            name(subject.algorithm),
            &grouped(verified),
            &tenths(per_second(1, verified)),
            &grouped(bare),
            &percent(share),
            &percent(AIM),
            reached(share >= AIM),
            &shown(python),
            &shown(node),
        ]);
        report.value(format!("{key}_per_cpu_second"), verified);
        report.value(format!("{key}_bare_per_cpu_second"), bare);
        report.value(format!("{key}_permille_of_bare"), share);
        for (name, rate) in [("python_fido2", python), ("simplewebauthn", node)] {
            if let Some(rate) = rate {
                report.value(format!("{key}_{name}_per_cpu_second"), rate);
            }
        }
    }
    for missing in peers.iter().filter_map(|peer| peer.as_ref().err()) {
        report.note(missing.clone());
    }
    report.note(format!(
        "Median of {RUNS} interleaved runs; {ASSERTIONS} assertions of each key, each verified {rounds} times a run, and \
         {peer_rounds} times by the peers.",
    ));
    report.note(busy()?);
    Ok(report)
}
