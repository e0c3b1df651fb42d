//! The release key in a PKCS#11 token.

use holdfast_authn::encoding::{base64, to_base64};
use holdfast_authn::release::{Kind, Release, open};
use holdfast_authn::{parse_operator_key, print_operator_key};
use holdfast_transactions::{EvmFields, evm_unsigned};
use serde_json::{Value, json};

use crate::server::{Exchange, HOLDFAST, OPEN, Server};
use crate::softhsm::Token;

const HOT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const PAYEE: &str = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";

fn exchange() -> Exchange {
    let receipt = holdfast_authn::release::SigningKey::from_seed(&[9; 32]).public_key();
    let buckets = |size: &str| {
        ["bound", "aged", "unvouched"]
            .map(|class| format!("{class} = {{ size = \"{size}\", refill_per_hour = \"0\" }}\n"))
            .concat()
    };
    let chain = format!(
        "[[wallets]]\nname = \"eth-hot\"\n[wallets.buckets]\n{}[[wallets.chains]]\nnetwork = \"ethereum\"\n\
         address = \"{HOT}\"\nfee_max = \"0.01\"\nfee_bucket = {{ size = \"0.02\", refill_per_hour = \"0\" }}\n\
         confirmations_final = 3\n[[assets]]",
        buckets("1000000000000.00")
    );
    let asset = format!(
        "\n[[signers]]\nname = \"harbor-hot\"\nreceipt_key = \"{}\"\n[[assets]]\nsymbol = \"ETH\"\ndecimals = 18\n\
         networks = [{{ network = \"ethereum\", wallet = \"eth-hot\" }}]\n[assets.buckets]\n{}",
        print_operator_key(&receipt),
        buckets("1000000")
    );
    Exchange::open_with(&(OPEN.replacen("[[assets]]", &chain, 1) + &asset))
}

#[test]
fn releases_are_signed_inside_the_token() {
    let Some(token) = Token::new() else { return };
    let exchange = exchange();
    let (data, uri) = (exchange.data().display().to_string(), token.uri("release"));
    let set = ["release-key", "--data", &data, "--make", "--pkcs11", &uri];
    let (ok, text) = token.run(&set);
    assert!(!ok && text.starts_with("error: release_key_exists: "), "{text}");
    std::fs::remove_file(exchange.data().join("keys/release.key")).unwrap();
    let (ok, public) = token.run(&set);
    assert!(ok, "{public}");
    assert_eq!(token.run(&["release-key", "--data", &data]), (true, public.clone()));
    let public = parse_operator_key(public.trim()).unwrap();

    // The key-encryption key in the same token: neither may end the other's session.
    let kek = crate::token::rotate(&token, &exchange, "kek");
    std::fs::write(exchange.data().join("holdfast.toml"), format!("[kek]\npkcs11 = '{kek}'\n")).unwrap();
    let serve = token.command(&exchange.serve_command(HOLDFAST, &[]));
    let mut server = Server::start(&serve, &exchange.token);
    server.token = exchange.issue(&server, "everything", 63);
    let body = json!({ "prices": [{ "asset": "ETH", "usd": "170.00" }] }).to_string();
    assert_eq!(server.call("PUT", "/v1/prices", &[], body.as_bytes()).status, 200);
    assert_eq!(server.post("/v1/accounts", &json!({ "account": "ac_1", "tier": "full" })).status, 201);
    let ask = |server: &Server, nonce: u64| {
        let asked = server.withdraw(
            &nonce.to_string(),
            &json!({ "account": "ac_1", "asset": "ETH", "network": "ethereum", "address": PAYEE, "amount": "1.5",
                     "channel": { "session": { "one_time_code": true } } }),
        );
        assert_eq!(asked.body["status"], "approved", "{}", asked.body);
        let transaction = EvmFields {
            chain_id: 1,
            nonce,
            max_priority_fee_per_gas: 1_000_000_000,
            max_fee_per_gas: 30_000_000_000,
            gas_limit: 21_000,
            to: holdfast_authn::encoding::hex(&PAYEE.as_bytes()[2..]).unwrap(),
            value: 1_500_000_000_000_000_000,
            data: Vec::new(),
        };
        json!({ "signer": "harbor-hot", "wallet": "eth-hot", "network": "ethereum",
                "transaction": to_base64(&evm_unsigned(&transaction)), "withdrawals": [asked.body["id"]] })
    };
    let released = |server: &Server, proposal: &Value| {
        let answer = server.post("/v1/transactions", proposal);
        assert_eq!(answer.body["status"], "released", "{}", answer.body);
        let envelope = base64(answer.body["release"].as_str().unwrap().as_bytes()).unwrap();
        let (payload, by) = open(Kind::Release, &envelope, &[public]).unwrap();
        assert_eq!(by, public);
        assert_eq!(Release::parse(&payload).unwrap().payments.len(), 1);
    };
    released(&server, &ask(&server, 0));

    // The token is pulled: no signature, and decisions go on. It is back (softhsm2 sees that only in a new process): the
    // same proposal is signed.
    let (there, away) = (token.path("tokens"), token.path("away"));
    let proposal = ask(&server, 1);
    std::fs::rename(&there, &away).unwrap();
    let refused = server.post("/v1/transactions", &proposal);
    assert_eq!((refused.status, refused.code()), (503, "release_key_unavailable"), "{}", refused.body);
    std::fs::rename(&away, &there).unwrap();
    let last = ask(&server, 2);
    let everything = server.token.clone();
    server.kill();
    let server = Server::start(&serve, &everything);
    released(&server, &proposal);
    released(&server, &last);
    assert_eq!(server.stop(), Some(0));

    // Without its token nothing is served that could not release.
    token.write_pin("another");
    let log = Server::try_start(&serve, &exchange.token).err().unwrap();
    assert!(log.contains("release_key") && log.contains("PIN"), "{log}");
}
