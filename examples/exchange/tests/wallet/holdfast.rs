//! A Holdfast that releases what it is told to: real releases, signed, for transactions that it decodes as the real one does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use holdfast_authn::encoding::{base64, to_base64};
use holdfast_authn::release::{
    BoundAssertion, Kind, Payment, Receipt, Release, SignedAct, SigningKey, open, seal,
};
use holdfast_transactions::{PaidAsset, Wallet, decode};
use holdfast_values::texts::{Nonce, Seconds};
use holdfast_values::{
    Amount, Destination, Network, ReleaseId, Timestamp, WithdrawalId, WithdrawalText, time,
};
use serde_json::{Value, json};

/// What it knows and what it does.
pub(crate) struct Fake {
    pub(crate) key: SigningKey,
    pub(crate) wallets: Vec<(String, Wallet)>,
    pub(crate) receipt_key: [u8; 32],
    intents: BTreeMap<String, (String, String, WithdrawalText, &'static str)>,
    /// To be left out.
    pub(crate) drop: BTreeSet<String>,
    /// Whose releases carry an owner's word, which is none that a signer takes.
    pub(crate) worded: BTreeSet<String>,
    /// What was asked for without it, release by release.
    pub(crate) without: Vec<Vec<String>>,
    /// It takes no receipts.
    pub(crate) receipts_down: bool,
    /// It answers nothing about transactions.
    pub(crate) down: bool,
    pub(crate) receipts: Vec<Receipt>,
    /// Digests in the order of their releases, and whom they pay.
    pub(crate) released: Vec<([u8; 32], Vec<String>)>,
    sequence: u64,
}

pub(crate) type Shared = Arc<Mutex<Fake>>;

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_micros()).unwrap())
}

impl Fake {
    pub(crate) fn new() -> Self {
        Self {
            key: SigningKey::from_seed(&[1; 32]),
            wallets: Vec::new(),
            receipt_key: [0; 32],
            intents: BTreeMap::new(),
            drop: BTreeSet::new(),
            worded: BTreeSet::new(),
            without: Vec::new(),
            receipts_down: false,
            down: false,
            receipts: Vec::new(),
            released: Vec::new(),
            sequence: 10,
        }
    }

    /// A withdrawal that is approved; its id.
    pub(crate) fn approve(
        &mut self,
        wallet: &str,
        asset: &str,
        to: &Destination,
        decimals: u8,
        units: u128,
    ) -> String {
        let number = u128::try_from(self.intents.len()).unwrap() + 1;
        let withdrawal = WithdrawalId(number);
        let mut nonce = [7; 32];
        nonce[..16].copy_from_slice(&number.to_be_bytes());
        let text = WithdrawalText {
            exchange: "harbor.example".parse().unwrap(),
            account: "ac_1".parse().unwrap(),
            withdrawal,
            asset: asset.parse().unwrap(),
            destination: to.clone(),
            decimals,
            amount: Amount::from_base_units(units),
            fee_max: Amount::from_base_units(1_000),
            not_after: Seconds::floor(now().plus(7 * time::DAY)),
            nonce: Nonce(nonce),
        };
        let id = withdrawal.to_string();
        self.intents.insert(id.clone(), (wallet.to_owned(), asset.to_owned(), text, "approved"));
        id
    }

    fn approved(&self) -> Value {
        let rows = self.intents.iter().rev().filter(|(_, (.., status))| *status == "approved");
        let items = rows.map(|(id, (wallet, asset, text, status))| {
            json!({
                "id": id, "wallet": wallet, "asset": asset, "network": text.destination.network().name(),
                "address": text.destination.address(), "amount": text.amount.to_fixed(text.decimals), "status": status,
            })
        });
        json!({ "items": items.collect::<Vec<_>>(), "next_cursor": null, "as_of": self.sequence })
    }

    fn propose(&mut self, body: &Value) -> (StatusCode, Value) {
        if self.down {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({ "code": "journal_unavailable", "title": "Wait." }),
            );
        }
        let refuse = |code: &str| (StatusCode::UNPROCESSABLE_ENTITY, json!({ "code": code, "title": "No." }));
        let text = |name: &str| body[name].as_str().unwrap();
        let network: Network = text("network").parse().unwrap();
        let here = self.wallets.iter().filter(|(_, wallet)| wallet.network() == network);
        let (names, known): (Vec<&str>, Vec<Wallet>) =
            here.map(|(name, w)| (name.as_str(), w.clone())).unzip();
        let payer = names.iter().position(|name| *name == text("wallet")).unwrap();
        let bytes = base64(text("transaction").as_bytes()).unwrap();
        let decoded = match decode(&bytes, payer, &known) {
            Ok(decoded) => decoded,
            Err(error) => return refuse(error.code()),
        };
        let ids: Vec<String> = serde_json::from_value(body["withdrawals"].clone()).unwrap();
        let dropped: Vec<&String> = ids.iter().filter(|id| self.drop.contains(*id)).collect();
        if !dropped.is_empty() {
            let drop = dropped
                .iter()
                .map(|id| json!({ "withdrawal": id, "why": "decided_again", "status": "held" }));
            let reply =
                json!({ "status": "dropped", "drop": drop.collect::<Vec<_>>(), "sequence": self.sequence });
            for id in dropped.into_iter().cloned().collect::<Vec<_>>() {
                self.intents.get_mut(&id).unwrap().3 = "held";
            }
            return (StatusCode::OK, reply);
        }
        let mut owed: Vec<_> = ids.iter().map(|id| self.owed(id)).collect();
        let external = decoded.outputs.iter().filter(|output| output.own != Some(payer));
        let mut paid: Vec<_> = external
            .map(|output| {
                let token = matches!(output.asset, PaidAsset::Contract(_));
                (output.destination.address().to_owned(), token, output.amount.base_units())
            })
            .collect();
        owed.sort();
        paid.sort();
        let transfer = body["transfer"]["text"].as_str();
        if owed != paid && transfer.is_none() {
            return refuse("output_extra");
        }
        for id in &ids {
            self.intents.get_mut(id).unwrap().3 = "released";
        }
        self.sequence += 1;
        let without: Vec<String> = serde_json::from_value(body["without_word"].clone()).unwrap();
        let word = |id: &String| {
            let is_sent = self.worded.contains(id) && !without.contains(id);
            is_sent.then(|| BoundAssertion {
                credential_id: vec![1; 16],
                client_data_json: b"{}".to_vec(),
                authenticator_data: vec![0; 37],
                signature: vec![2; 64],
            })
        };
        let release = Release {
            id: ReleaseId(u128::from(self.sequence)),
            exchange: "harbor.example".parse().unwrap(),
            audience: text("signer").parse().unwrap(),
            epoch: 1,
            sequence: self.sequence,
            head: [u8::try_from(self.sequence % 251).unwrap(); 32],
            policy: [9; 32],
            simulated: false,
            not_before: now(),
            expires: now().plus(time::MINUTE),
            network,
            wallet: text("wallet").parse().unwrap(),
            transaction: decoded.digest,
            receipts_seen: 0,
            payments: ids
                .iter()
                .map(|id| Payment {
                    intent: self.intents[id].2.to_string(),
                    approvals: vec![],
                    assertion: word(id),
                    mandate: None,
                })
                .collect(),
            transfer: transfer.map(|text| SignedAct { text: text.to_owned(), signatures: vec![] }),
            epochs: vec![],
        };
        self.released.push((decoded.digest, ids));
        self.without.push(without);
        let sealed = to_base64(&seal(Kind::Release, &release.to_bytes(), &self.key));
        (
            StatusCode::OK,
            json!({ "status": "released", "release": sealed, "drop": [], "sequence": self.sequence }),
        )
    }

    fn owed(&self, id: &str) -> (String, bool, u128) {
        let (_, asset, text, _) = &self.intents[id];
        (text.destination.address().to_owned(), asset == "USDT", text.amount.base_units())
    }

    fn receipt(&mut self, body: &Value) -> (StatusCode, Value) {
        if self.receipts_down {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                json!({ "code": "journal_unavailable", "title": "Wait." }),
            );
        }
        let bytes = base64(body["receipt"].as_str().unwrap().as_bytes()).unwrap();
        let (payload, _) = open(Kind::Receipt, &bytes, &[self.receipt_key]).unwrap();
        let receipt = Receipt::parse(&payload).unwrap();
        let counter = receipt.counter;
        self.receipts.push(receipt);
        (StatusCode::OK, json!({ "kind": "authorised", "counter": counter, "sequence": self.sequence }))
    }
}

fn lock(fake: &Shared) -> MutexGuard<'_, Fake> {
    fake.lock().unwrap()
}

/// Serves until the test ends; its address.
pub(crate) fn serve(fake: Shared) -> String {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let app = Router::new()
                .route("/health", get(async || Json(json!({ "time": now().to_string() }))))
                .route(
                    "/v1/withdrawals",
                    get(async |State(fake): State<Shared>| Json(lock(&fake).approved())),
                )
                .route(
                    "/v1/transactions",
                    post(async |State(fake): State<Shared>, Json(body): Json<Value>| {
                        let (status, reply) = lock(&fake).propose(&body);
                        (status, Json(reply))
                    }),
                )
                .route(
                    "/v1/transactions/receipts",
                    post(async |State(fake): State<Shared>, Json(body): Json<Value>| {
                        let (status, reply) = lock(&fake).receipt(&body);
                        (status, Json(reply))
                    }),
                )
                .layer(axum::extract::DefaultBodyLimit::max(16 << 20))
                .with_state(fake);
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            tell.send(listener.local_addr().unwrap()).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    format!("http://{}", told.recv().unwrap())
}
