//! What ccxt really sends: for `binance.withdraw()` recorded by `ccxt/capture.mjs` with throwaway keys, and in every
//! dialect as the ccxt that is installed sends it now (`ccxt/withdraw.mjs`).

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "helpers of tests may fail, and say what they skip"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use holdfast_authn::dialect::Dialect;
use holdfast_authn::{
    GateRefusal, KeyMaterial, RawRequest, RequestError, encoding, parse, verify, verify_signature,
};
use serde_json::Value;

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap()
}

#[test]
fn every_recorded_request_verifies_and_says_what_was_asked() {
    let file: Value = serde_json::from_str(include_str!("ccxt/requests.json")).unwrap();
    let requests = file["requests"].as_array().unwrap();
    assert_eq!(requests.len(), 14);
    for request in requests {
        let name = text(request, "name");
        let headers: Vec<(&str, &str)> = request["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| (header[0].as_str().unwrap(), header[1].as_str().unwrap()))
            .collect();
        let key = match text(request, "key") {
            pem if pem.starts_with("-----") => KeyMaterial::from_public_key_pem(pem),
            secret => KeyMaterial::hmac_sha256(secret.as_bytes()),
        };
        let raw = RawRequest {
            method: text(request, "method"),
            path: text(request, "path"),
            raw_query: text(request, "query").as_bytes(),
            raw_body: text(request, "body").as_bytes(),
            headers: &headers,
        };
        let signed = parse(Dialect::Binance, &raw);
        if name == "injection through the name" {
            // ccxt signs what it is given: the second address is in the signed bytes, and is refused all the same.
            assert_eq!(signed.unwrap_err().code(), "duplicate_parameter");
            continue;
        }
        let verified =
            verify(&signed.unwrap(), &key.unwrap()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(verified.api_key.as_str(), "throwaway-key-1");
        let said = (
            verified.asset.as_str(),
            verified.network_text.unwrap(),
            verified.address.as_deref().unwrap(),
            &*verified.amount_text,
        );
        match name.split_once(' ').unwrap().1 {
            "btc without network" | "with space and umlaut" => {
                assert_eq!(said, ("BTC", "BTC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "0.75"));
            }
            "usdt on ethereum" => {
                assert_eq!(said, ("USDT", "ETH", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "1234.5"));
                assert_eq!(verified.client_order_id.as_deref(), Some("order-1"));
            }
            "xrp with tag" => {
                assert_eq!(said, ("XRP", "XRP", "rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY", "20"));
                assert_eq!(verified.tag.as_deref(), Some("12345"));
                assert_eq!(verified.window, 59_999_000);
            }
            other => panic!("{other}"),
        }

        // The same bytes with one digit of the amount changed.
        let body = text(request, "body").replacen("amount=", "amount=9", 1);
        let forged = parse(Dialect::Binance, &RawRequest { raw_body: body.as_bytes(), ..raw }).unwrap();
        let key = match text(request, "key") {
            pem if pem.starts_with("-----") => KeyMaterial::from_public_key_pem(pem),
            secret => KeyMaterial::hmac_sha256(secret.as_bytes()),
        };
        assert_eq!(verify(&forged, &key.unwrap()), Err(RequestError::SignatureInvalid), "{name}");
    }
}

const SECRET: &str = "a-throwaway-secret-of-a-test-that-opens-nothing-0000";

/// A request as it came over the wire.
struct Captured {
    method: String,
    path: String,
    query: Vec<u8>,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Captured {
    fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
                let mut lines = head.split("\r\n");
                let mut line = lines.next().unwrap().split(' ');
                let (method, target) = (line.next().unwrap(), line.next().unwrap());
                let (path, query) = target.split_once('?').unwrap_or((target, ""));
                let headers: Vec<(String, String)> = lines
                    .map(|line| line.split_once(": ").unwrap())
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
                let length: usize = length.map_or(0, |(_, value)| value.parse().unwrap());
                if bytes.len() >= end + 4 + length {
                    let body = bytes[end + 4..].to_vec();
                    return Some(Self {
                        method: method.into(),
                        path: path.into(),
                        query: query.into(),
                        headers,
                        body,
                    });
                }
            }
            match stream.read(&mut buffer).unwrap() {
                0 => return None,
                count => bytes.extend(&buffer[..count]),
            }
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// As read in `dialect`, with `body` in the place of its own.
    fn check(&self, dialect: Dialect, body: &[u8], withdraws: bool) -> Result<String, RequestError> {
        let headers: Vec<(&str, &str)> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let raw = RawRequest {
            method: &self.method,
            path: &self.path,
            raw_query: &self.query,
            raw_body: body,
            headers: &headers,
        };
        let request = parse(dialect, &raw)?;
        let passphrase = matches!(dialect, Dialect::Okx | Dialect::Kucoin).then_some("open sesame");
        let key = match (self.header("X-Public-Key"), dialect) {
            (Some(pem), _) => {
                let pem = String::from_utf8(encoding::base64(pem.as_bytes()).unwrap()).unwrap();
                KeyMaterial::from_public_key_pem(&pem)
            }
            (None, Dialect::Kraken) => {
                KeyMaterial::shared(dialect, &encoding::to_base64(SECRET.as_bytes()), None)
            }
            (None, _) => KeyMaterial::shared(dialect, SECRET, passphrase),
        };
        let key = key.unwrap();
        if !withdraws {
            return verify_signature(&request, &key).map(|()| "genuine".to_owned());
        }
        let verified = verify(&request, &key)?;
        let to = verified.address.as_deref().unwrap_or("-");
        let more = [verified.tag, verified.destination_name, verified.client_order_id];
        let network = verified.network.map_or("-", |network| network.name());
        let more: Vec<_> = more.iter().flatten().map(|text| &**text).collect();
        Ok(format!("{} {network} {to} {} {}", verified.asset, verified.amount_text, more.join(" ")))
    }
}

/// Listens until ccxt has said everything.
fn capture() -> Option<Vec<Captured>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !here.join("../../tests/client/node_modules/ccxt").exists() {
        println!("skipped: no ccxt (npm ci --prefix tests/client)");
        return None;
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let client = Command::new("node").arg(here.join("tests/ccxt/withdraw.mjs")).arg(&url).spawn();
    let Ok(mut client) = client else {
        println!("skipped: no node");
        return None;
    };
    let address = listener.local_addr().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&over);
    let ended = std::thread::spawn(move || {
        let status = client.wait();
        tell.store(true, Ordering::SeqCst);
        // Wakes the listener.
        drop(TcpStream::connect(address));
        status
    });
    let mut captured = Vec::new();
    loop {
        let (mut stream, _) = listener.accept().unwrap();
        match Captured::read(&mut stream) {
            Some(request) => captured.push(request),
            None if over.load(Ordering::SeqCst) => break,
            None => continue,
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).unwrap();
    }
    assert!(ended.join().unwrap().unwrap().success());
    Some(captured)
}

#[test]
fn the_installed_ccxt_is_understood_in_every_dialect() {
    const BTC: &str = "BTC bitcoin bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 0.75 ";
    const USDT: &str = "USDT ethereum 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 1234.5 ";
    const XRP: &str = "XRP xrp rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY 20 12345";
    let Some(captured) = capture() else { return };
    let mut cases: BTreeMap<String, &Captured> = BTreeMap::new();
    for request in &captured {
        let name = request.header("X-Case").unwrap();
        assert!(cases.insert(name.to_owned(), request).is_none(), "{name} was sent twice");
    }
    let usdt_with = |order: &str| format!("{USDT}{order}");
    for (name, expected) in [
        ("binance btc", BTC.to_owned()),
        ("binance balance", "genuine".to_owned()),
        ("kraken btc", "BTC - bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 0.75 my cold wallet".to_owned()),
        ("kraken saved", "BTC - - 0.75 cold".to_owned()),
        ("kraken balance", "genuine".to_owned()),
        ("kraken json", "genuine".to_owned()),
        ("okx btc", BTC.to_owned()),
        ("okx usdt", usdt_with("order1")),
        ("okx xrp", XRP.to_owned()),
        ("okx balance", "genuine".to_owned()),
        ("okx batch", "genuine".to_owned()),
        ("bybit btc", BTC.to_owned()),
        ("bybit usdt", usdt_with("order-1")),
        ("bybit xrp", XRP.to_owned()),
        ("bybit rsa", BTC.to_owned()),
        ("bybit balance", "genuine".to_owned()),
        ("bybit nothing", "genuine".to_owned()),
        ("kucoin btc", BTC.to_owned()),
        ("kucoin usdt", USDT.to_owned()),
        ("kucoin xrp", XRP.to_owned()),
        ("kucoin exponent", "parameter_invalid".to_owned()),
        ("kucoin accounts", "genuine".to_owned()),
        ("coinbase btc", BTC.to_owned()),
        ("coinbase usdt", usdt_with("order-1")),
        ("coinbase xrp", XRP.to_owned()),
        ("coinbase v2", "genuine".to_owned()),
        ("coinbase v3", "genuine".to_owned()),
        ("coinbase jwt", "bearer_token_refused".to_owned()),
    ] {
        let request = cases.remove(name).unwrap_or_else(|| panic!("ccxt did not send: {name}"));
        let dialect = Dialect::from_name(name.split(' ').next().unwrap()).unwrap();
        let said = request.check(dialect, &request.body, expected != "genuine");
        assert_eq!(said.unwrap_or_else(|error| error.code().to_owned()), expected, "{name}");
        // Another amount under the same signature.
        let other = String::from_utf8(request.body.clone()).unwrap().replacen("0.75", "0.76", 1).into_bytes();
        assert!(other == request.body || request.check(dialect, &other, true).is_err(), "{name}");
    }
    assert!(cases.is_empty(), "{:?}", cases.keys());
}

#[test]
fn the_installed_ccxt_throws_what_each_refusal_means() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !here.join("../../tests/client/node_modules/ccxt").exists() {
        println!("skipped: no ccxt (npm ci --prefix tests/client)");
        return;
    }
    let script = here.join("tests/ccxt/refusals.mjs");
    let client = Command::new("node").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let Ok(mut client) = client else {
        println!("skipped: no node");
        return;
    };
    // ccxt's words, by the order of `dialects`.
    let dialects =
        [Dialect::Binance, Dialect::Kraken, Dialect::Okx, Dialect::Bybit, Dialect::Kucoin, Dialect::Coinbase];
    let table: [(GateRefusal, &str); 15] = [
        (
            GateRefusal::Signature,
            "Authentication Exchange Authentication Authentication Authentication Authentication",
        ),
        (
            GateRefusal::KeyUnknown,
            "Authentication Authentication Authentication Authentication Authentication Authentication",
        ),
        (
            GateRefusal::KeyRevoked,
            "Authentication Authentication Authentication Authentication Authentication Authentication",
        ),
        (
            GateRefusal::KeyExpired,
            "Authentication Authentication Authentication Authentication Authentication Authentication",
        ),
        (
            GateRefusal::Scope,
            "Authentication PermissionDenied Authentication PermissionDenied Authentication Authentication",
        ),
        (
            GateRefusal::Ip,
            "Authentication PermissionDenied PermissionDenied PermissionDenied Authentication PermissionDenied",
        ),
        (
            GateRefusal::Timestamp,
            "InvalidNonce InvalidNonce InvalidNonce InvalidNonce InvalidNonce InvalidNonce",
        ),
        (
            GateRefusal::Replay,
            "OperationRejected InvalidNonce InvalidNonce BadRequest InvalidNonce InvalidNonce",
        ),
        (
            GateRefusal::NonceOld,
            "InvalidNonce InvalidNonce InvalidNonce InvalidNonce InvalidNonce InvalidNonce",
        ),
        (
            GateRefusal::RateLimit { retry_after_seconds: 7 },
            "DDoSProtection DDoSProtection RateLimitExceeded RateLimitExceeded RateLimitExceeded RateLimitExceeded",
        ),
        (GateRefusal::Malformed, "BadRequest BadRequest BadRequest BadRequest BadRequest Exchange"),
        (GateRefusal::TooLarge, "BadRequest BadRequest BadRequest BadRequest BadRequest Exchange"),
        (
            GateRefusal::Passphrase,
            "Authentication Authentication Authentication Authentication Authentication Authentication",
        ),
        (
            GateRefusal::Frozen,
            "Authentication AccountSuspended AccountSuspended AccountSuspended AccountSuspended PermissionDenied",
        ),
        (
            GateRefusal::Unavailable,
            "OperationFailed ExchangeNotAvailable ExchangeNotAvailable Exchange ExchangeNotAvailable Exchange",
        ),
    ];
    let mut input = client.stdin.take().unwrap();
    for (refusal, _) in table {
        for dialect in dialects {
            for detail in ["", "Ask support, and say: 1 < 2 & \u{fc}."] {
                let (status, _, body) = dialect.error_body(refusal, detail);
                let line = serde_json::json!({ "id": dialect.as_str(), "status": status, "body": body });
                writeln!(input, "{line}").unwrap();
            }
        }
    }
    drop(input);
    let said = String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap();
    let mut said = said.lines();
    for (refusal, expected) in table {
        for (dialect, expected) in dialects.into_iter().zip(expected.split(' ')) {
            for _ in 0..2 {
                let said = said.next().unwrap();
                assert_eq!(said.strip_suffix("Error").unwrap_or(said), expected, "{dialect:?} {refusal:?}");
            }
        }
    }
}
