//! From a customer's key to the real signer: what reaches it, and what root at the server cannot make it do.

use holdfast_authn::encoding::{base64, to_base64url};
use holdfast_authn::release::{Kind, Release, open};
use holdfast_authn::webauthn::Algorithm;
use holdfast_server::config::Config;
use holdfast_server::data::DataDir;
use holdfast_server::vault::Vault;
use holdfast_signer::system_clock;
use ring::signature::Ed25519KeyPair;
use serde_json::{Value, json};

use super::authenticator::{APP_ID, ORIGIN, RP_ID, sha256};
use super::customer::{
    Format, POLICY, SecurityKey, aged_key, approved, later, parties, register, registration,
};
use super::evidence::{IP, base64 as padded, pem};
use super::harbor::{ETH, Hot, PAYEE, config, payment, propose, release};
use super::server::{Answer, Exchange, Server, holdfast};

/// 51,000 US dollars: only its owner's key moves it.
const LARGE: u128 = 300;

fn exchange() -> Exchange {
    Exchange::new(&format!("{}{}", config(&["harbor-hot"]), parties()), Some(POLICY), &["--simulated-clock"])
}

fn ready(exchange: &Exchange) -> Server {
    let server = super::customer::ready(exchange);
    price(&server);
    server
}

fn price(server: &Server) {
    let body = json!({ "prices": [{ "asset": "ETH", "usd": "170.00" }] }).to_string();
    assert_eq!(server.call("PUT", "/v1/prices", &[], body.as_bytes()).status, 200);
}

fn wait(exchange: &Exchange, server: Server, hours: u64) -> Server {
    let server = later(exchange, server, hours);
    price(&server);
    server
}

/// The real signer: one ether without anybody's word, 1,000 with it. Its time is what it was told, as the server's is
/// simulated; what its own clock refuses is in its own tests.
struct Vouching(Hot);

impl Vouching {
    fn new(exchange: &Exchange) -> Self {
        let edit = |pins: String| {
            let approval = format!(
                "[approval]\nrp_id = \"{RP_ID}\"\norigins = [\"{ORIGIN}\"]\napp_id = \"{APP_ID}\"\n\
                 enrolments_per_day = 100\nuser_verification = \"optional\"\n[[wallets]]"
            );
            format!("simulated_clock = true\n{pins}")
                .replacen("[[wallets]]", &approval, 1)
                .replace("decimals = 18\n", "decimals = 18\ncredential_cap = \"5000\"\n")
                .replace(
                    r#"unvouched = { size = "1000", refill_per_hour = "0" }"#,
                    r#"unvouched = { size = "1", refill_per_hour = "0" }"#,
                )
        };
        Self(Hot::with(exchange, edit, system_clock()))
    }

    /// Gives it what the server tells; the codes of refusals.
    fn listen(&mut self, server: &Server) -> Vec<String> {
        let sequence = server.get("/health").body["sequence"].clone();
        let told = server.get(&format!("/v1/enrolments?min-sequence={sequence}"));
        assert_eq!(told.status, 200, "{}", told.body);
        assert_eq!(told.body["more"], false);
        let mut codes = Vec::new();
        for document in told.body["documents"].as_array().unwrap() {
            let bytes = base64(document["document"].as_str().unwrap().as_bytes()).unwrap();
            let done = match document["kind"].as_str().unwrap() {
                "enrolment" => self.0.0.enrol(&bytes).map(drop),
                _ => self.0.0.remove(&bytes),
            };
            codes.push(done.map_or_else(|refused| refused.code().to_owned(), |()| "taken".to_owned()));
        }
        codes
    }

    fn authorise(&mut self, answer: &Answer, transaction: &[u8]) -> Result<(), String> {
        self.0.authorise(answer, transaction).map(drop).map_err(|refused| refused.code().to_owned())
    }
}

fn body(account: &str, amount: &str, channel: &Value) -> Value {
    json!({ "account": account, "asset": "ETH", "network": "ethereum", "address": PAYEE, "amount": amount,
            "channel": channel })
}

/// A large withdrawal, approved by a key; its id.
fn vouched(server: &Server, key: &mut SecurityKey, number: &str, amount: u128) -> String {
    let session = json!({ "session": { "one_time_code": true } });
    let asked = server.withdraw(number, &body("ac_1", &amount.to_string(), &session));
    assert_eq!(asked.body["status"], "awaiting_approval", "{}", asked.body);
    let id = asked.body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/withdrawals/{id}/approval");
    let text = server.get(&path).body["text"].as_str().unwrap().to_owned();
    let done = server.post(&path, &json!({ "account": "ac_1", "assertion": key.approve(&text) }));
    assert_eq!(done.body["status"], "approved", "{}", done.body);
    id
}

#[test]
fn a_release_carries_the_owners_assertion_and_the_signer_goes_by_it() {
    let exchange = exchange();
    let mut signer = Vouching::new(&exchange);
    let server = ready(&exchange);
    let mut key = SecurityKey::new(Algorithm::Es256);
    assert_eq!(register(&server, "ac_1", &key, "approve").status, 201);
    let login = SecurityKey::login();
    assert_eq!(signer.listen(&server), ["taken"]);
    let server = wait(&exchange, server, 73);
    // What only signs in is no signer's business.
    let path = "/v1/accounts/ac_1/credentials";
    let spec = registration(&server, "ac_1", &login, "login", Format::None);
    assert_eq!(approved(&server, "POST", path, &spec, &mut key).status, 201);
    let mut second = SecurityKey::new(Algorithm::EdDsa);
    let spec = registration(&server, "ac_1", &second, "approve", Format::PackedSelf);
    assert_eq!(approved(&server, "POST", path, &spec, &mut key).status, 201);
    assert_eq!(signer.listen(&server), ["taken", "taken"], "the second on the first one's word");

    // Three ether are more than leaves without anybody's word: two are too many.
    let session = json!({ "session": {} });
    let plain = server.withdraw("plain", &body("ac_1", "3", &session));
    assert_eq!(plain.body["status"], "approved", "{}", plain.body);
    let transaction = payment(0, PAYEE, 3 * ETH);
    let answer = propose(&server, &transaction, &[plain.body["id"].as_str().unwrap()]);
    assert_eq!(signer.authorise(&answer, &transaction), Err("bucket_empty".to_owned()));

    for (nonce, key) in [(1, &mut key), (2, &mut second)] {
        let id = vouched(&server, key, &format!("large-{nonce}"), LARGE);
        let transaction = payment(nonce, PAYEE, LARGE * ETH);
        let answer = propose(&server, &transaction, &[&id]);
        let public = holdfast(&["release-key", "--data", exchange.data().to_str().unwrap()]);
        let public = holdfast_authn::parse_operator_key(public.trim()).unwrap();
        let (payload, _) = open(Kind::Release, &release(&answer), &[public]).unwrap();
        let said = Release::parse(&payload).unwrap();
        let assertion = said.payments[0].assertion.as_ref().unwrap();
        assert_eq!(assertion.credential_id, key.id);
        assert_eq!(signer.authorise(&answer, &transaction), Ok(()));
    }

    // Removed by the other: what it says counts nowhere any more.
    let first = server.get(path).body[0]["fingerprint"].as_str().unwrap().to_owned();
    let removed = approved(&server, "POST", &format!("{path}/{first}/remove"), &json!({}), &mut second);
    assert_eq!(removed.status, 200, "{}", removed.body);
    assert_eq!(signer.listen(&server).last().unwrap(), "taken");
    let known = signer.0.0.credentials(&"ac_1".parse().unwrap()).unwrap();
    assert_eq!(known.iter().filter(|status| status.credential.removed.is_some()).count(), 1);
}

#[test]
fn without_its_owners_word_a_withdrawal_is_released_and_the_signer_goes_by_its_unvouched_bucket() {
    let exchange = exchange();
    let mut signer = Vouching::new(&exchange);
    let server = ready(&exchange);
    let key = SecurityKey::new(Algorithm::Es256);
    assert_eq!(register(&server, "ac_1", &key, "approve").status, 201);
    let server = wait(&exchange, server, 73);
    let mut key = key;
    // The signer was never told of the key.
    let id = vouched(&server, &mut key, "large", LARGE);
    let transaction = payment(0, PAYEE, LARGE * ETH);
    let ask = |without: &Value| {
        server.post(
            "/v1/transactions",
            &json!({ "signer": "harbor-hot", "wallet": "eth-hot", "network": "ethereum",
                "transaction": padded(&transaction), "withdrawals": [id], "without_word": without }),
        )
    };
    let answer = ask(&json!([]));
    let refused = signer.0.authorise(&answer, &transaction).map(drop).unwrap_err();
    assert_eq!((refused.code(), refused.withdrawal()), ("credential_unknown", Some(id.parse().unwrap())));

    let other = "wd_00000000000000000000000001";
    for without in [json!([other]), json!([id, other]), json!(["nonsense"])] {
        let answer = ask(&without);
        assert_eq!(answer.status, 422, "{without}: {}", answer.body);
    }
    assert_eq!(ask(&json!([other])).code(), "withdrawal_not_named");

    let answer = ask(&json!([id]));
    assert_eq!(answer.body["status"], "released", "{}", answer.body);
    let public = holdfast(&["release-key", "--data", exchange.data().to_str().unwrap()]);
    let public = holdfast_authn::parse_operator_key(public.trim()).unwrap();
    let (payload, _) = open(Kind::Release, &release(&answer), &[public]).unwrap();
    let said = Release::parse(&payload).unwrap();
    assert_eq!((&said.payments[0].assertion, &said.payments[0].mandate), (&None, &None));
    let refused = signer.0.authorise(&answer, &transaction).map(drop).unwrap_err();
    assert!(refused.to_string().contains("unvouched ETH on ethereum holds"), "{refused}");
    assert_eq!(refused.withdrawal(), Some(id.parse().unwrap()));
}

#[test]
fn a_mandate_and_the_programs_own_request_reach_the_signer() {
    let exchange = exchange();
    let mut signer = Vouching::new(&exchange);
    let server = ready(&exchange);
    let bot = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let spec = json!({ "scopes": ["withdraw"], "ip_allowlist": [IP], "algorithm": "ed25519",
                       "public_key": pem(&bot) });
    let path = "/v1/accounts/ac_1/api-keys/bot";
    assert_eq!(server.call("PUT", path, &[], spec.to_string().as_bytes()).status, 200);
    let key = SecurityKey::new(Algorithm::Es256);
    assert_eq!(register(&server, "ac_1", &key, "approve").status, 201);
    assert_eq!(signer.listen(&server), ["taken"]);
    let server = wait(&exchange, server, 73);
    let mut key = key;
    let terms = json!({ "api_key": "bot", "asset": "ETH", "network": "ethereum",
        "destinations": [{ "address": PAYEE }], "amount_max": "400", "day_max": "700", "days": 30 });
    let offered = server.post("/v1/accounts/ac_1/mandates/text", &terms).body;
    let approval = key.approval(offered["text"].as_str().unwrap());
    let granted = server.post("/v1/accounts/ac_1/mandates", &json!({ "approval": approval }));
    assert_eq!(granted.status, 201, "{}", granted.body);

    for (nonce, amount) in [(0u64, 300u128), (1, 310)] {
        let ms = server.now().0 / 1_000;
        let query =
            format!("coin=ETH&network=ETH&address={PAYEE}&amount={amount}&timestamp={ms}&recvWindow=60000");
        let signature = padded(bot.sign(query.as_bytes()).as_ref());
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let request = json!({ "api_request": { "dialect": "binance", "method": "POST",
            "path": "/sapi/v1/capital/withdraw/apply", "query": format!("{query}&signature={signature}"),
            "headers": [["X-MBX-APIKEY", "bot"]], "client_ip": IP } });
        let asked = server.withdraw(&format!("bot-{nonce}"), &body("ac_1", &amount.to_string(), &request));
        assert_eq!(asked.body["status"], "approved", "{}", asked.body);
        assert_eq!(asked.body["outcome"]["class"], "bound");
        let transaction = payment(nonce, PAYEE, amount * ETH);
        let answer = propose(&server, &transaction, &[asked.body["id"].as_str().unwrap()]);
        assert_eq!(signer.authorise(&answer, &transaction), Ok(()), "without a person");
    }
}

/// What root writes into the vault as a credential's key.
fn write_key(exchange: &Exchange, credential: &str, id: &[u8], key: &SecurityKey) {
    let dir = DataDir::new(exchange.data());
    let kek = Config::default().kek(&dir).load().unwrap();
    let vault = Vault::open(&dir.vault(), &kek).unwrap();
    let stored = json!({ "id": to_base64url(id), "key": to_base64url(&key.key.public_key().to_cose()),
                         "transports": [], "label": "" });
    let account = "ac_1".parse().unwrap();
    vault.put_secret(&account, &format!("credential/{credential}"), stored.to_string().as_bytes()).unwrap();
}

#[test]
fn a_key_swapped_in_the_vault_verifies_nothing_and_the_signer_keeps_the_old_one() {
    let exchange = exchange();
    let mut signer = Vouching::new(&exchange);
    let server = ready(&exchange);
    let key = SecurityKey::new(Algorithm::Es256);
    assert_eq!(register(&server, "ac_1", &key, "approve").status, 201);
    assert_eq!(signer.listen(&server), ["taken"]);
    let server = wait(&exchange, server, 73);
    let mut key = key;
    let credential =
        server.get("/v1/accounts/ac_1/credentials").body[0]["fingerprint"].as_str().unwrap().to_owned();
    let token = server.token.clone();
    assert_eq!(server.stop(), Some(0));

    // Root has the key-encryption key, and so the vault.
    let mut thief = SecurityKey::new(Algorithm::Es256);
    thief.id.clone_from(&key.id);
    write_key(&exchange, &credential, &key.id, &thief);
    let mut server = exchange.serve(&["--clock-rate", "1"]);
    server.token = token;
    let session = json!({ "session": { "one_time_code": true } });
    let asked = server.withdraw("theft", &body("ac_1", &LARGE.to_string(), &session));
    let id = asked.body["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/withdrawals/{id}/approval");
    let text = server.get(&path).body["text"].as_str().unwrap().to_owned();
    let answer = server.post(&path, &json!({ "account": "ac_1", "assertion": thief.approve(&text) }));
    assert_eq!((answer.status, answer.code()), (409, "credential_differs"), "{}", answer.body);
    assert_eq!(signer.listen(&server), ["credential_differs"], "nor does the signer take it");

    // The owner's own key put back, all is as before.
    let token = server.token.clone();
    assert_eq!(server.stop(), Some(0));
    write_key(&exchange, &credential, &key.id, &key);
    let mut server = exchange.serve(&["--clock-rate", "1"]);
    server.token = token;
    let done = server.post(&path, &json!({ "account": "ac_1", "assertion": key.approve(&text) }));
    assert_eq!(done.body["status"], "approved", "{}", done.body);
    let transaction = payment(0, PAYEE, LARGE * ETH);
    let answer = propose(&server, &transaction, &[&id]);
    assert_eq!(signer.authorise(&answer, &transaction), Ok(()));
}

#[test]
fn a_journal_that_root_edits_does_not_verify() {
    let exchange = exchange();
    let server = ready(&exchange);
    let (server, key) = aged_key(&exchange, server, "ac_1");
    assert_eq!(server.stop(), Some(0));
    let data = exchange.data();
    let verify = || {
        let args = ["journal", "verify", "--data", data.to_str().unwrap()];
        let output = std::process::Command::new(super::server::HOLDFAST).args(args).output().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(verify().0);
    // The key's digest, where the command that enrolled it names it, becomes the thief's.
    let (own, thief) = (sha256(&key.key.public_key().to_cose()), [0x66; 32]);
    let connection = rusqlite::Connection::open(data.join("journal.db")).unwrap();
    connection.execute_batch("DROP TRIGGER record_keeps").unwrap();
    let mut edited = 0;
    for column in ["command", "events"] {
        let mut rows: Vec<(i64, Vec<u8>)> = connection
            .prepare(&format!("SELECT sequence, {column} FROM record"))
            .unwrap()
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        for (sequence, bytes) in &mut rows {
            if let Some(at) = bytes.windows(32).position(|window| window == own) {
                bytes[at..at + 32].copy_from_slice(&thief);
                let update = format!("UPDATE record SET {column} = ?1 WHERE sequence = ?2");
                edited += connection.execute(&update, rusqlite::params![&*bytes, &*sequence]).unwrap();
            }
        }
    }
    drop(connection);
    assert_eq!(edited, 2, "in its command and in what came of it");
    let (intact, said) = verify();
    assert!(!intact, "{said}");
    let args = ["replay", "--data", data.to_str().unwrap()];
    let output = std::process::Command::new(super::server::HOLDFAST).args(args).output().unwrap();
    assert!(!output.status.success());
}

#[test]
fn a_server_with_a_forged_history_gets_nothing_from_the_signer_with_customers_keys() {
    let exchange = exchange();
    let mut signer = Vouching::new(&exchange);
    let server = ready(&exchange);
    assert_eq!(register(&server, "ac_1", &SecurityKey::new(Algorithm::Es256), "approve").status, 201);
    assert_eq!(signer.listen(&server), ["taken"]);
    assert_eq!(server.stop(), Some(0));

    // Root writes a history of its own, under the same release key: the thief's key was there all along.
    let forged = self::exchange();
    let (from, to) = (DataDir::new(exchange.data()), DataDir::new(forged.data()));
    std::fs::copy(from.release_key(), to.release_key()).unwrap();
    let server = ready(&forged);
    let mut thief = SecurityKey::new(Algorithm::Es256);
    assert_eq!(register(&server, "ac_1", &thief, "approve").status, 201);
    let server = wait(&forged, server, 73);
    assert_eq!(signer.listen(&server), ["account_has_credentials"], "an account has a first key once");
    let id = vouched(&server, &mut thief, "theft", LARGE);
    let transaction = payment(0, PAYEE, LARGE * ETH);
    let answer = propose(&server, &transaction, &[&id]);
    assert_eq!(answer.body["status"], "released", "the forged server says yes: {}", answer.body);
    assert_eq!(signer.authorise(&answer, &transaction), Err("credential_unknown".to_owned()));
}
