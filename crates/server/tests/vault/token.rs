//! The key-encryption key in a PKCS#11 token.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use rusqlite::Connection;

use crate::server::{Exchange, Server, holdfast};
use crate::softhsm::{PIN, Token};

/// Wraps an existing vault's keys under a new key in the token.
pub(crate) fn rotate(token: &Token, exchange: &Exchange, object: &str) -> String {
    let (uri, data) = (token.uri(object), exchange.data().display().to_string());
    let (ok, text) = token.run(&["vault", "make-key", &uri]);
    assert!(ok, "{text}");
    let (ok, text) = token.run(&["vault", "rotate", "--data", &data, "--to", &uri]);
    assert!(ok, "{text}");
    assert!(text.contains(&format!("pkcs11 = \"{uri}\"")), "{text}");
    uri
}

fn put_key(server: &Server, account: &str) -> u16 {
    let body = serde_json::json!({ "scopes": ["withdraw"], "ip_allowlist": ["203.0.113.7"],
        "algorithm": "hmac_sha256", "secret": "a secret that is long enough" });
    let path = format!("/v1/accounts/{account}/api-keys/key-of-{account}");
    server.call("PUT", &path, &[], body.to_string().as_bytes()).status
}

#[test]
fn a_server_goes_over_to_a_token_and_starts_from_it() {
    let Some(token) = Token::new() else { return };
    let exchange = Exchange::open(&[]);
    let serve = || Server::start(&token.command(&exchange.serve_command(crate::server::HOLDFAST, &[])), "");
    let mut server =
        Server::start(&token.command(&exchange.serve_command(crate::server::HOLDFAST, &[])), &exchange.token);
    server.token = exchange.issue(&server, "backend", 15);
    for account in ["ac_1", "ac_2"] {
        let body = serde_json::json!({ "account": account, "tier": "full" });
        assert_eq!(server.post("/v1/accounts", &body).status, 201);
    }
    assert_eq!(put_key(&server, "ac_1"), 200);

    let uri = rotate(&token, &exchange, "kek-1");
    assert_eq!((put_key(&server, "ac_1"), put_key(&server, "ac_2")), (200, 200));
    let backend = server.token.clone();
    assert_eq!(server.stop(), Some(0));

    // From the configuration, with the file gone.
    std::fs::write(exchange.data().join("holdfast.toml"), format!("[kek]\npkcs11 = '{uri}'\n")).unwrap();
    std::fs::remove_file(exchange.data().join("keys/kek")).unwrap();
    let mut server = serve();
    server.token.clone_from(&backend);
    assert_eq!((put_key(&server, "ac_1"), put_key(&server, "ac_2")), (200, 200));
    assert!(!server.log().contains("\"ERROR\""), "{}", server.log());
    let data = exchange.data().display().to_string();
    let backup = exchange.dir.path().join("backup").display().to_string();
    let noted = holdfast(&["backup", "--data", &data, "--out", &backup]);
    assert!(noted.contains("never leaves its token"), "{noted}");
    server.kill();

    // From token to token.
    let second = token.uri("kek-2");
    assert!(token.run(&["vault", "make-key", &second]).0);
    let (ok, text) = token.run(&["vault", "rotate", "--data", &data, "--to", &second]);
    assert!(ok, "{text}");
    let mut server = serve();
    server.token = backend;
    assert_eq!(
        put_key(&server, "ac_1"),
        200,
        "the configuration names the key before, which vouches for this one"
    );
    assert!(server.log().contains("retired"), "{}", server.log());
}

#[test]
fn a_wrapped_key_is_bound_to_its_account_and_unaltered() {
    let Some(token) = Token::new() else { return };
    let exchange = Exchange::open(&[]);
    let path = exchange.data().join("vault.db");
    let kek = holdfast_server::vault::Kek::from_file(&exchange.data().join("keys/kek")).unwrap();
    let vault = holdfast_server::vault::Vault::open(&path, &kek).unwrap();
    let accounts = ["ac_1", "ac_2", "ac_3"].map(crate::files::account);
    vault.ensure_keys(&accounts).unwrap();
    drop(vault);
    let uri = rotate(&token, &exchange, "kek");
    std::fs::write(exchange.data().join("holdfast.toml"), format!("[kek]\npkcs11 = '{uri}'\n")).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch(
            "UPDATE data_keys SET wrapped = (SELECT wrapped FROM data_keys WHERE account = 'ac_1')
              WHERE account = 'ac_2';
             UPDATE data_keys SET wrapped = CAST(substr(wrapped, 1, 59) || x'00' AS BLOB) WHERE account = 'ac_3'",
        )
        .unwrap();
    let mut server =
        Server::start(&token.command(&exchange.serve_command(crate::server::HOLDFAST, &[])), &exchange.token);
    server.token = exchange.issue(&server, "backend", 15);
    for account in ["ac_1", "ac_2", "ac_3"] {
        let body = serde_json::json!({ "account": account, "tier": "full" });
        assert_eq!(server.post("/v1/accounts", &body).status, 201);
    }
    assert_eq!(put_key(&server, "ac_1"), 200);
    assert_eq!((put_key(&server, "ac_2"), put_key(&server, "ac_3")), (503, 503));
    // What is logged is written by a thread of its own, maybe after the answer.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !server.log().contains("sealed_not_authentic") {
        assert!(std::time::Instant::now() < deadline, "{}", server.log());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert_eq!(put_key(&server, "ac_1"), 200, "and it goes on");
}

#[test]
fn keys_that_a_token_gives_away_and_wrong_pins_are_refused() {
    let Some(token) = Token::new() else { return };
    let exchange = Exchange::open(&[]);
    let data = exchange.data().display().to_string();
    let refused = |args: &[&str], code: &str| {
        let (ok, text) = token.run(args);
        assert!(!ok && text.starts_with(&format!("error: {code}: ")), "{code}: {text}");
        assert!(!text.contains(PIN), "{text}");
    };
    let uri = token.uri("kek");
    refused(&["vault", "rotate", "--data", &data, "--to", &uri], "pkcs11_key_missing");
    assert!(token.run(&["vault", "make-key", &uri]).0);
    refused(&["vault", "make-key", &uri], "pkcs11_key_exists");
    let absent = uri.replace("token=holdfast", "token=other");
    refused(&["vault", "make-key", &absent], "pkcs11_token_missing");
    let module = uri.replace("libsofthsm2.so", "libnone.so");
    refused(&["vault", "make-key", &module], "pkcs11_module");

    // An AES key that may be read, of the same kind otherwise.
    let path = uri.split("module-path=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "token::makes_a_readable_key", "--nocapture"])
        .env("SOFTHSM2_CONF", token.conf())
        .env("HOLDFAST_TEST_MODULE", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    refused(&["vault", "rotate", "--data", &data, "--to", &token.uri("readable")], "pkcs11_key_readable");

    token.write_pin("another");
    refused(&["vault", "rotate", "--data", &data, "--to", &uri], "pkcs11_pin");
    std::fs::remove_file(token.path("pin")).unwrap();
    refused(&["vault", "rotate", "--data", &data, "--to", &uri], "pkcs11_pin");
    let (ok, text) = token.run(&["vault", "status", "--data", &data]);
    assert!(ok && text.lines().count() == 1, "nothing was registered: {text}");
}

/// Not a test: a step of the one above, which runs it in a process of its own, where the token's configuration is in the
/// environment before the module is loaded. Alone it has nothing to do.
#[test]
fn makes_a_readable_key() {
    let Ok(module) = std::env::var("HOLDFAST_TEST_MODULE") else { return };
    let module = Pkcs11::new(module).unwrap();
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::User, Some(&AuthPin::new(PIN.into()))).unwrap();
    let template = [
        Attribute::Token(true),
        Attribute::Sensitive(false),
        Attribute::Extractable(true),
        Attribute::ValueLen(32.into()),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Label(b"readable".to_vec()),
    ];
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}
