//! Transactions over HTTP: what is released, what is refused, and what chains and signers show afterwards.

use holdfast_authn::encoding::{base64, to_base64};
use holdfast_authn::release::{Kind, Outcome, Receipt, Release, SigningKey, open, seal};
use holdfast_transactions::{EvmFields, Wallet, decode, evm_unsigned};
use holdfast_values::{Network, TextDigest, Timestamp};
use serde_json::{Value, json};

use crate::server::{Answer, Exchange, OPEN, Server, holdfast};

const HOT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const PAYEE: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
const OTHER: &str = "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB";
const TOKEN: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
const GWEI: u128 = 1_000_000_000;

/// The signer's receipts are signed with this.
fn receipt_key() -> SigningKey {
    SigningKey::from_seed(&[9; 32])
}

fn exchange() -> Exchange {
    let key = holdfast_authn::print_operator_key(&receipt_key().public_key());
    let ethereum = format!(
        r#"
[[signers]]
name = "harbor-hot"
receipt_key = "{key}"
[[assets]]
symbol = "ETH"
decimals = 18
networks = [{{ network = "ethereum", wallet = "eth-hot" }}]
[assets.buckets]
bound = {{ size = "1000000", refill_per_hour = "0" }}
aged = {{ size = "1000000", refill_per_hour = "0" }}
unvouched = {{ size = "1000000", refill_per_hour = "0" }}
[[assets]]
symbol = "USDT"
decimals = 6
networks = [{{ network = "ethereum", wallet = "eth-hot", contract = "{TOKEN}" }}]
[assets.buckets]
bound = {{ size = "1000000", refill_per_hour = "0" }}
aged = {{ size = "1000000", refill_per_hour = "0" }}
unvouched = {{ size = "1000000", refill_per_hour = "0" }}
"#
    );
    let wallet = format!(
        r#"
[[wallets]]
name = "eth-hot"
[wallets.buckets]
bound = {{ size = "1000000000000.00", refill_per_hour = "0" }}
aged = {{ size = "1000000000000.00", refill_per_hour = "0" }}
unvouched = {{ size = "1000000000000.00", refill_per_hour = "0" }}
[[wallets.chains]]
network = "ethereum"
address = "{HOT}"
fee_max = "0.01"
fee_bucket = {{ size = "0.02", refill_per_hour = "0" }}
confirmations_final = 3
[[assets]]"#
    );
    Exchange::open_with(&(OPEN.replacen("[[assets]]", &wallet, 1) + &ethereum))
}

/// A server with every scope, prices and an account.
fn ready(exchange: &Exchange) -> Server {
    let mut server = exchange.serve(&[]);
    server.token = exchange.issue(&server, "everything", 63);
    let prices: Vec<Value> = [("BTC", "5900.00"), ("ETH", "170.00"), ("USDT", "1.00")]
        .map(|(asset, usd)| json!({ "asset": asset, "usd": usd }))
        .into();
    let body = json!({ "prices": prices }).to_string();
    assert_eq!(server.call("PUT", "/v1/prices", &[], body.as_bytes()).status, 200);
    assert_eq!(server.post("/v1/accounts", &json!({ "account": "ac_1", "tier": "full" })).status, 201);
    server
}

fn withdraw(server: &Server, key: &str, asset: &str, address: &str, amount: &str) -> String {
    let body = json!({ "account": "ac_1", "asset": asset, "network": "ethereum", "address": address, "amount": amount,
                       "channel": { "session": { "one_time_code": true } } });
    let answer = server.withdraw(key, &body);
    assert_eq!(answer.body["status"], "approved", "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

fn address(text: &str) -> [u8; 20] {
    holdfast_authn::encoding::hex(&text.as_bytes()[2..]).unwrap()
}

/// A payment of so much wei with this nonce.
fn payment(nonce: u64, to: &str, value: u128) -> EvmFields {
    EvmFields {
        chain_id: 1,
        nonce,
        max_priority_fee_per_gas: GWEI,
        max_fee_per_gas: 30 * GWEI,
        gas_limit: 21_000,
        to: address(to),
        value,
        data: Vec::new(),
    }
}

fn propose(server: &Server, transaction: &EvmFields, withdrawals: &[&str]) -> Answer {
    server.post(
        "/v1/transactions",
        &json!({ "signer": "harbor-hot", "wallet": "eth-hot", "network": "ethereum",
                 "transaction": to_base64(&evm_unsigned(transaction)), "withdrawals": withdrawals }),
    )
}

const ETH: u128 = 1_000_000_000_000_000_000;

fn observe(
    server: &Server,
    hash: u8,
    nonce: u64,
    to: &str,
    amount: u128,
    status: &str,
    depth: u32,
) -> Answer {
    let hot = HOT.to_lowercase();
    server.post(
        "/v1/chain/observations",
        &json!({ "network": "ethereum", "wallet": "eth-hot", "observations": [{
            "transaction": format!("0x{}", format!("{hash:02x}").repeat(32)),
            "spends": [format!("1:{hot}:{nonce}")],
            "outputs": [{ "address": to, "contract": null, "amount": amount.to_string() }],
            "status": status, "confirmations": depth }] }),
    )
}

#[test]
fn a_release_says_what_was_decided_and_names_its_record() {
    let exchange = exchange();
    let server = ready(&exchange);
    let id = withdraw(&server, "1", "ETH", PAYEE, "1.5");
    let transaction = payment(0, PAYEE, ETH + ETH / 2);
    let answer = propose(&server, &transaction, &[&id]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.body["status"], "released", "{}", answer.body);

    let key = holdfast(&["release-key", "--data", exchange.data().to_str().unwrap()]);
    let key = holdfast_authn::parse_operator_key(key.trim()).unwrap();
    let sealed = base64(answer.body["release"].as_str().unwrap().as_bytes()).unwrap();
    let (payload, _) = open(Kind::Release, &sealed, &[key]).unwrap();
    let release = Release::parse(&payload).unwrap();
    let wallet = Wallet::evm(Network::Ethereum, HOT).unwrap();
    let decoded = decode(&evm_unsigned(&transaction), 0, &[wallet]).unwrap();
    assert_eq!(release.transaction, decoded.digest);
    assert_eq!(release.audience.as_str(), "harbor-hot");
    assert_eq!((release.epoch, release.receipts_seen), (1, 0));
    assert_eq!(Some(release.sequence), answer.body["sequence"].as_u64());
    assert_eq!(release.expires.since(release.not_before), 60_000_000, "60 s by default");
    let text = server.get(&format!("/v1/withdrawals/{id}/text"));
    assert_eq!(release.payments[0].intent, text.text, "the intent, to the letter");
    let export = holdfast(&["journal", "export", "--data", exchange.data().to_str().unwrap(), "--jsonl"]);
    let record = export.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let record = record.into_iter().find(|record| record["sequence"] == answer.body["sequence"]).unwrap();
    assert_eq!(record["hash"].as_str().unwrap(), hex(&release.head), "the head is that record's hash");

    let standing = server.get(&format!("/v1/transactions/{}", answer.body["digest"].as_str().unwrap()));
    assert_eq!(standing.body["standing"], "unseen", "{}", standing.body);
    assert_eq!(server.get(&format!("/v1/withdrawals/{id}")).body["status"], "released");
    let again = propose(&server, &transaction, &[&id]);
    assert_eq!(again.body["status"], "released", "the same bytes may be asked for again");
    assert_ne!(again.body["release_id"], answer.body["release_id"]);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_transaction_that_is_not_what_was_decided_is_refused_by_name() {
    let exchange = exchange();
    let server = ready(&exchange);
    let id = withdraw(&server, "1", "ETH", PAYEE, "1");
    let usdt = withdraw(&server, "2", "USDT", PAYEE, "250.5");
    let erc20 = |to: &str, amount: u128| {
        let mut data = vec![0xa9, 0x05, 0x9c, 0xbb];
        data.extend([0; 12]);
        data.extend(address(to));
        data.extend([0; 16]);
        data.extend(amount.to_be_bytes());
        EvmFields { to: address(TOKEN), value: 0, gas_limit: 65_000, data, ..payment(7, TOKEN, 0) }
    };
    let plain = payment(7, PAYEE, ETH);
    let longer = {
        let mut longer = erc20(PAYEE, 250_500_000);
        longer.data.push(0);
        longer
    };
    let cases: Vec<(&str, EvmFields, Vec<&str>, &str)> = vec![
        ("another amount", payment(7, PAYEE, ETH - 1), vec![&id], "output_"),
        ("another address", payment(7, OTHER, ETH), vec![&id], "output_"),
        ("another asset", payment(7, PAYEE, 250_500_000), vec![&usdt], "output_"),
        (
            "another contract",
            EvmFields { to: address(OTHER), ..erc20(PAYEE, 250_500_000) },
            vec![&usdt],
            "output_",
        ),
        ("nobody in the batch", plain.clone(), vec![], "batch_empty"),
        ("one named twice", plain.clone(), vec![&id, &id], "batch_duplicate"),
        ("one output for two", plain.clone(), vec![&id, &usdt], "output_"),
        (
            "a fee above the bound",
            EvmFields { max_fee_per_gas: 600 * GWEI, ..plain.clone() },
            vec![&id],
            "fee_too_high",
        ),
        ("another chain", EvmFields { chain_id: 56, ..plain.clone() }, vec![&id], "chain_id"),
        (
            "value beside a token",
            EvmFields { value: 1, ..erc20(PAYEE, 250_500_000) },
            vec![&usdt],
            "value_with_calldata",
        ),
        ("calldata one byte longer", longer, vec![&usdt], "calldata_unknown"),
    ];
    for (what, transaction, withdrawals, code) in cases {
        let answer = propose(&server, &transaction, &withdrawals);
        // Which of two differences is named first is nobody's business: one is missing, another is extra.
        assert!(answer.status >= 400 && answer.code().starts_with(code), "{what}: {}", answer.body);
        assert!(answer.body["release"].is_null());
    }
    for body in [
        json!({ "signer": "another", "wallet": "eth-hot", "network": "ethereum",
                "transaction": to_base64(&evm_unsigned(&plain)), "withdrawals": [id] }),
        json!({ "signer": "harbor-hot", "wallet": "hot", "network": "ethereum",
                "transaction": to_base64(&evm_unsigned(&plain)), "withdrawals": [id] }),
        json!({ "signer": "harbor-hot", "wallet": "eth-hot", "network": "ethereum", "transaction": "AA==", "withdrawals": [id] }),
        json!({ "signer": "harbor-hot", "wallet": "eth-hot", "network": "ethereum", "transaction": "*", "withdrawals": [id] }),
    ] {
        let answer = server.post("/v1/transactions", &body);
        assert_eq!(answer.status, 422, "{}", answer.body);
    }
    assert_eq!(propose(&server, &plain, &[&id]).body["status"], "released", "and the right one is released");
    assert_eq!(propose(&server, &EvmFields { nonce: 8, ..plain }, &[&id]).code(), "not_conflicting");
    assert_eq!(propose(&server, &erc20(PAYEE, 250_500_000), &[&usdt]).body["status"], "released");
}

#[test]
fn what_was_stopped_since_its_approval_is_left_out_with_its_reasons() {
    let exchange = exchange();
    let server = ready(&exchange);
    let id = withdraw(&server, "1", "ETH", PAYEE, "1");
    assert_eq!(server.post("/v1/halts", &json!({ "scope": "wallet:eth-hot" })).status, 200);
    let answer = propose(&server, &payment(0, PAYEE, ETH), &[&id]);
    assert_eq!(answer.body["status"], "dropped", "{}", answer.body);
    let dropped = &answer.body["drop"][0];
    assert_eq!(dropped["withdrawal"], id.as_str());
    assert!(["not_approved", "decided_again"].contains(&dropped["why"].as_str().unwrap()), "{dropped}");
    assert!(dropped["reasons"].to_string().contains("halted"), "{dropped}");
    let cancel = server.post(&format!("/v1/withdrawals/{id}/cancel"), &json!({ "account": "ac_1" }));
    assert_eq!(cancel.status, 200, "{}", cancel.body);
    let answer = propose(&server, &payment(0, PAYEE, ETH), &[&id]);
    assert_eq!(answer.body["drop"][0]["why"], "closed", "{}", answer.body);
}

#[test]
fn a_chain_moves_a_withdrawal_along_and_an_unknown_spend_halts_its_wallet_once() {
    let exchange = exchange();
    let server = ready(&exchange);
    let id = withdraw(&server, "1", "ETH", PAYEE, "1");
    assert_eq!(propose(&server, &payment(0, PAYEE, ETH), &[&id]).body["status"], "released");
    let effect = |answer: Answer| answer.body["results"][0]["effect"].as_str().unwrap_or_default().to_owned();
    let status = || server.get(&format!("/v1/withdrawals/{id}")).body["status"].as_str().unwrap().to_owned();
    for (seen, depth, expected, then) in [
        ("pending", 0, "broadcast", "broadcast"),
        ("included", 1, "confirmed", "confirmed"),
        ("included", 1, "nothing", "confirmed"),
        ("vanished", 0, "reorganised", "broadcast"),
        ("included", 2, "confirmed", "confirmed"),
    ] {
        assert_eq!(effect(observe(&server, 1, 0, PAYEE, ETH, seen, depth)), expected);
        assert_eq!(status(), then);
    }
    let cancel = server.post(&format!("/v1/withdrawals/{id}/cancel"), &json!({ "account": "ac_1" }));
    assert_eq!(cancel.code(), "already_released");
    assert_eq!(effect(observe(&server, 1, 0, PAYEE, ETH, "included", 3)), "final");
    assert_eq!(effect(observe(&server, 1, 0, PAYEE, ETH, "included", 4)), "nothing", "an old acquaintance");

    let paid = server.get(&format!("/v1/withdrawals/{id}?")).body;
    assert!(paid["paid_at"].is_string() && paid["transactions"].as_array().unwrap().len() == 1, "{paid}");
    let sequence = server.get("/health").body["sequence"].as_u64().unwrap();
    let listed = format!("/v1/transactions?withdrawal={id}&standing=final&min-sequence={sequence}");
    let listed = server.get(&listed).body;
    assert_eq!(listed["items"][0]["digest"], paid["transactions"][0], "{listed}");

    assert_eq!(effect(observe(&server, 2, 1, OTHER, ETH, "pending", 0)), "unknown_spend");
    assert_eq!(effect(observe(&server, 2, 1, OTHER, ETH, "included", 1)), "nothing", "it alarms once");
    let halts = server.get("/v1/halts");
    assert!(halts.body["halts"].to_string().contains("wallet:eth-hot"), "{}", halts.body);
    let sequence = server.get("/health").body["sequence"].as_u64().unwrap();
    let alarms = server.get(&format!("/v1/chain/alarms?min-sequence={sequence}")).body;
    assert_eq!(alarms["items"].as_array().unwrap().len(), 1, "{alarms}");
}

#[test]
fn receipts_count_and_a_voided_withdrawal_gives_its_value_back() {
    let exchange = exchange();
    let server = ready(&exchange);
    let id = withdraw(&server, "1", "ETH", PAYEE, "1");
    let bucket = || server.get("/v1/buckets").body.to_string();
    let taken = bucket();
    assert_eq!(propose(&server, &payment(0, PAYEE, ETH), &[&id]).body["status"], "released");
    let receipt = |key: &SigningKey, exchange: &str| {
        let receipt = Receipt {
            signer: "harbor-hot".parse().unwrap(),
            exchange: exchange.parse().unwrap(),
            store: [1; 16],
            counter: 5,
            at: Timestamp(1),
            epoch: 1,
            what: Outcome::Voided { withdrawal: id.parse().unwrap() },
        };
        json!({ "receipt": to_base64(&seal(Kind::Receipt, &receipt.to_bytes(), key)) })
    };
    let post = |body: &Value| server.post("/v1/transactions/receipts", body);
    assert_eq!(post(&receipt(&SigningKey::from_seed(&[8; 32]), "harbor.example")).code(), "receipt_invalid");
    assert_eq!(post(&receipt(&receipt_key(), "other.example")).code(), "receipt_stale");
    assert_eq!(bucket(), taken, "after a release nothing comes back by itself");
    let answer = post(&receipt(&receipt_key(), "harbor.example"));
    assert_eq!((answer.status, answer.body["kind"].as_str()), (200, Some("voided")), "{}", answer.body);
    server.wait_for(&id, "voided");
    assert_ne!(bucket(), taken, "its signer vouches: its value is back");
    let next = withdraw(&server, "2", "ETH", PAYEE, "1");
    let voided = payment(0, PAYEE, ETH);
    assert_eq!(propose(&server, &voided, &[&next]).code(), "release_differs", "those bytes are dead");
    let answer = propose(&server, &EvmFields { gas_limit: 22_000, ..voided }, &[&next]);
    assert_eq!(answer.body["status"], "released", "{}", answer.body);
}

#[test]
fn a_held_case_is_approved_over_its_text_and_the_release_carries_the_signatures() {
    let exchange = exchange();
    let server = ready(&exchange);
    assert_eq!(server.post("/v1/accounts", &json!({ "account": "ac_2", "tier": "full" })).status, 201);
    let body = json!({ "account": "ac_2", "asset": "ETH", "network": "ethereum", "address": PAYEE, "amount": "1",
                       "channel": { "session": { "one_time_code": true } } });
    let answer = server.withdraw("1", &body);
    let id = answer.body["id"].as_str().unwrap().to_owned();
    assert_eq!(server.post("/v1/accounts/ac_2/freeze", &json!({})).status, 200);
    server.wait_for(&id, "held");
    let text = exchange.text(server.now(), "unfreeze_account", "ac_2", "-", None);
    assert_eq!(
        server.post("/v1/operator-acts", &exchange.signed(&text, &["alice", "bob"], None)).status,
        200
    );
    let approve = |detail: &str, signers: &[&str]| {
        let text = exchange.text(server.now(), "approve_withdrawal", &id, detail, None);
        server.post("/v1/operator-acts", &exchange.signed(&text, signers, None))
    };
    let said = server.get(&format!("/v1/withdrawals/{id}/text")).text;
    let digest = hex(&TextDigest::of(said.as_bytes()).0);
    assert_eq!(approve(&format!("text={}", "00".repeat(32)), &["alice", "bob"]).code(), "text_differs");
    assert_eq!(approve(&format!("text={digest}"), &["alice"]).code(), "signatures_insufficient");
    let approved = approve(&format!("text={digest}"), &["alice", "bob"]);
    assert_eq!(approved.status, 200, "{}", approved.body);
    server.wait_for(&id, "approved");
    let answer = propose(&server, &payment(0, PAYEE, ETH), &[&id]);
    let sealed = base64(answer.body["release"].as_str().unwrap().as_bytes()).unwrap();
    let key = holdfast(&["release-key", "--data", exchange.data().to_str().unwrap()]);
    let key = holdfast_authn::parse_operator_key(key.trim()).unwrap();
    let release = Release::parse(&open(Kind::Release, &sealed, &[key]).unwrap().0).unwrap();
    let approval = &release.payments[0].approvals[0];
    assert_eq!(approval.signatures.len(), 2);
    assert!(approval.text.contains(&digest));
}
