//! Customers: their security keys, as the browser gives what these sign, and their programs' API keys.

use std::cell::Cell;

use holdfast_authn::encoding::{to_base64, to_base64url};
use holdfast_authn::release::{
    self, Basis, BoundAssertion, Enrolment, Kind, MandateUse, Release, Removal, SignedHttpRequest,
};
use holdfast_signer::{Enrolled, Refused, Signer};
use holdfast_values::texts::{ChangeText, Destinations, MandateText, Seconds, Window};
use holdfast_values::{Amount, Destination, MandateId, Network, TextDigest, WithdrawalText, time};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

use crate::exchange::{BTC, CUSTOMER, Exchange};

pub(crate) const RP_ID: &str = "approve.harbor.example";
pub(crate) const ORIGIN: &str = "https://approve.harbor.example";
pub(crate) const APP_ID: &str = "https://harbor.example/app-id.json";
/// What one lineage vouches for in 30 days, and first credentials in a day, as these tests pin them.
pub(crate) const CAP: u64 = 4 * BTC;
pub(crate) const FIRSTS: u32 = 5;

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    digest::digest(&digest::SHA256, bytes).as_ref().to_vec()
}

pub(crate) enum Pair {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// A security key with one credential.
pub(crate) struct Key {
    pub(crate) id: Vec<u8>,
    pub(crate) pair: Pair,
    /// What the next assertion shows; `None` for a key that does not count.
    pub(crate) counter: Cell<Option<u32>>,
    pub(crate) flags: u8,
    /// For whom it signs.
    pub(crate) scope: &'static str,
}

impl Key {
    /// A passkey that knows its owner and does not count.
    pub(crate) fn passkey(seed: u8) -> Self {
        let pair = Pair::Ed25519(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap());
        let id = vec![seed; 20];
        Self { id, pair, counter: Cell::new(None), flags: 0x05, scope: RP_ID }
    }

    /// A key that counts.
    pub(crate) fn counting(seed: u8) -> Self {
        Self { counter: Cell::new(Some(1)), ..Self::passkey(seed) }
    }

    /// An old U2F key: P-256, registered for the AppID, no user verification.
    pub(crate) fn u2f(name: &str) -> Self {
        let random = SystemRandom::new();
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, document.as_ref(), &random).unwrap();
        Self {
            id: name.as_bytes().to_vec(),
            pair: Pair::P256(pair),
            counter: Cell::new(Some(1)),
            flags: 0x01,
            scope: APP_ID,
        }
    }

    pub(crate) fn cose(&self) -> Vec<u8> {
        match &self.pair {
            Pair::Ed25519(pair) => {
                [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32][..], pair.public_key().as_ref()].concat()
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                [
                    &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32][..],
                    &point[1..33],
                    &[0x22, 0x58, 32],
                    &point[33..],
                ]
                .concat()
            }
        }
    }

    /// The uncompressed point of a P-256 key.
    pub(crate) fn sec1(&self) -> Vec<u8> {
        match &self.pair {
            Pair::P256(pair) => pair.public_key().as_ref().to_vec(),
            Pair::Ed25519(_) => panic!("no point"),
        }
    }

    /// An assertion over a text, on the page it is made for.
    pub(crate) fn assert(&self, text: &str) -> BoundAssertion {
        self.assert_on(text, &format!("\"origin\":\"{ORIGIN}\",\"crossOrigin\":false"))
    }

    /// The same with other members after type and challenge.
    pub(crate) fn assert_on(&self, text: &str, rest: &str) -> BoundAssertion {
        let challenge = to_base64url(&sha256(text.as_bytes()));
        let client_data =
            format!("{{\"type\":\"webauthn.get\",\"challenge\":\"{challenge}\",{rest}}}").into_bytes();
        let counter = self.counter.get().unwrap_or(0);
        self.counter.set(self.counter.get().map(|counter| counter + 1));
        let authenticator_data =
            [&sha256(self.scope.as_bytes())[..], &[self.flags], &counter.to_be_bytes()].concat();
        let signed = [&authenticator_data[..], &sha256(&client_data)].concat();
        let signature = match &self.pair {
            Pair::Ed25519(pair) => pair.sign(&signed).as_ref().to_vec(),
            Pair::P256(pair) => pair.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec(),
        };
        BoundAssertion {
            credential_id: self.id.clone(),
            client_data_json: client_data,
            authenticator_data,
            signature,
        }
    }
}

/// A program's API key.
pub(crate) struct ApiKey(Ed25519KeyPair);

impl ApiKey {
    pub(crate) fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    pub(crate) fn spki(&self) -> Vec<u8> {
        let head = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
        [&head[..], self.0.public_key().as_ref()].concat()
    }

    /// A signed request with these parameters.
    pub(crate) fn request(&self, parameters: &str) -> SignedHttpRequest {
        let signature = to_base64(self.0.sign(parameters.as_bytes()).as_ref());
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        SignedHttpRequest {
            dialect: "binance".to_owned(),
            method: "POST".to_owned(),
            path: "/sapi/v1/capital/withdraw/apply".to_owned(),
            query: format!("{parameters}&signature={signature}").into_bytes(),
            body: vec![],
            headers: vec![("X-MBX-APIKEY".to_owned(), "maker-1".to_owned())],
        }
    }
}

impl Exchange {
    pub(crate) fn enrolment(&self, account: &str, key: &Key, basis: Basis) -> Enrolment {
        Enrolment {
            exchange: "harbor.example".parse().unwrap(),
            sequence: 1,
            at: self.now(),
            account: account.parse().unwrap(),
            credential_id: key.id.clone(),
            public_key: key.cose(),
            legacy_u2f: key.scope == APP_ID,
            master: false,
            basis,
        }
    }

    pub(crate) fn seal_enrolment(&self, enrolment: &Enrolment) -> Vec<u8> {
        release::seal(Kind::Enrolment, &enrolment.to_bytes(), &self.release_key)
    }

    pub(crate) fn enrol(
        &self,
        signer: &mut Signer,
        account: &str,
        key: &Key,
        basis: Basis,
    ) -> Result<Enrolled, Refused> {
        signer.enrol(&self.seal_enrolment(&self.enrolment(account, key, basis)))
    }

    /// A credential of `ac_1` that counts.
    pub(crate) fn aged(&self, signer: &mut Signer, key: &Key) {
        self.enrol(signer, "ac_1", key, Basis::First).unwrap();
        self.wait(72 * time::HOUR);
    }

    pub(crate) fn seal_removal(&self, account: &str, key: &Key) -> Vec<u8> {
        let removal = Removal {
            exchange: "harbor.example".parse().unwrap(),
            sequence: 2,
            account: account.parse().unwrap(),
            credential_id: key.id.clone(),
        };
        release::seal(Kind::Removal, &removal.to_bytes(), &self.release_key)
    }

    pub(crate) fn change(&self, account: &str, new: &Key) -> ChangeText {
        ChangeText {
            exchange: "harbor.example".parse().unwrap(),
            account: account.parse().unwrap(),
            change: "add_credential".parse().unwrap(),
            target: format!("credential:{}", TextDigest::of(&new.id)).parse().unwrap(),
            detail: format!("key={}", TextDigest::of(&new.cose())).parse().unwrap(),
            not_after: Seconds::floor(self.now().plus(time::HOUR)),
            nonce: self.nonce(),
        }
    }

    pub(crate) fn rotation(&self, account: &str, new: &Key, by: &Key) -> Basis {
        let text = self.change(account, new).to_string();
        Basis::Rotation { by: by.assert(&text), text }
    }

    pub(crate) fn recovery(&self, account: &str, new: &Key, by: &[&str]) -> Basis {
        let detail = format!("credential={} key={}", TextDigest::of(&new.id), TextDigest::of(&new.cose()));
        Basis::Recovery { act: self.act("recover_account", account, &detail, by) }
    }

    /// A withdrawal of bitcoin with its transaction and release; the word for it is still to be given.
    pub(crate) fn payment(&self, sats: u64) -> (WithdrawalText, Vec<u8>, Release) {
        let intent = self.intent(CUSTOMER, sats);
        let psbt = self.house.pay(&[self.coin(sats + 1_000)], &[(CUSTOMER, sats)], 200).serialize();
        let release = self.release(&psbt, &[intent.clone()]);
        (intent, psbt, release)
    }

    /// Pays by an assertion; the code if it is refused.
    pub(crate) fn pay_by(&self, signer: &mut Signer, key: &Key, sats: u64) -> Result<(), &'static str> {
        let (intent, psbt, mut release) = self.payment(sats);
        release.payments[0].assertion = Some(key.assert(&intent.to_string()));
        self.ask(signer, &release, &psbt).map(drop).map_err(|error| error.code())
    }

    /// A mandate of `ac_1` for an hour's work: half a bitcoin at once, two a day, to one address.
    pub(crate) fn mandate(&self, number: u128, api_key: &ApiKey) -> MandateText {
        let destination = Destination::parse(Network::Bitcoin, CUSTOMER, None).unwrap();
        MandateText {
            exchange: "harbor.example".parse().unwrap(),
            account: "ac_1".parse().unwrap(),
            mandate: MandateId(number),
            api_key: "maker-1".parse().unwrap(),
            key: sha256(&api_key.spki()).try_into().unwrap(),
            asset: "BTC".parse().unwrap(),
            destinations: Destinations::new(vec![destination]).unwrap(),
            decimals: 8,
            amount_max: Amount::from_base_units(u128::from(BTC / 2)),
            day_max: Amount::from_base_units(u128::from(2 * BTC)),
            window: Window::new(Seconds::floor(self.now()), Seconds::floor(self.now().plus(30 * time::DAY)))
                .unwrap(),
            nonce: self.nonce(),
        }
    }

    /// The parameters by which a program asks for `sats`; no two are alike.
    pub(crate) fn parameters(&self, sats: u64) -> String {
        let amount = Amount::from_base_units(sats.into()).to_short(8);
        let milliseconds = self.now().0 / 1_000;
        format!(
            "coin=BTC&network=BTC&address={CUSTOMER}&amount={amount}&withdrawOrderId=o{}&timestamp={milliseconds}",
            self.number()
        )
    }

    pub(crate) fn mandate_use(
        &self,
        mandate: &MandateText,
        key: &Key,
        api_key: &ApiKey,
        sats: u64,
    ) -> MandateUse {
        let text = mandate.to_string();
        MandateUse {
            assertion: key.assert(&text),
            text,
            key: api_key.spki(),
            request: api_key.request(&self.parameters(sats)),
        }
    }

    /// Pays under a mandate; the code if it is refused.
    pub(crate) fn pay_under(
        &self,
        signer: &mut Signer,
        mandate: &MandateUse,
        sats: u64,
    ) -> Result<(), &'static str> {
        let (_, psbt, mut release) = self.payment(sats);
        release.payments[0].mandate = Some(mandate.clone());
        self.ask(signer, &release, &psbt).map(drop).map_err(|error| error.code())
    }
}
