//! A real Holdfast, a real Harbor and a real ccxt, for one test: everything in a directory that goes with the value.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::envoy;
use holdfast_values::Timestamp;
use serde_json::{Value, json};

const HARBOR: &str = env!("CARGO_BIN_EXE_harbor");
/// In every customer's address book, past its ageing. BIP-173's own example.
pub(crate) const OWN: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
/// In nobody's.
pub(crate) const NEW: &str = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";
/// How fast the simulated clock runs while customers ask: a dwell of a minute takes 6 s.
pub(crate) const RATE: u32 = 10;
/// How old keys and addresses are made: past every week that the baseline policy counts.
const AGE: u64 = 8 * 24 * 3_600 * 1_000_000;
/// From whence a request comes if it carries this header: the tests have one address only.
pub(crate) const FROM: &str = "x-test-client-ip";

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The binary `holdfast` next to `harbor`; built if it is missing.
pub(crate) fn holdfast() -> &'static Path {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        let path = Path::new(HARBOR).with_file_name("holdfast");
        if !path.exists() {
            let target = path.parent().unwrap().parent().unwrap();
            let status = Command::new(env!("CARGO"))
                .args(["build", "--quiet", "-p", "holdfast-server", "--bin", "holdfast", "--target-dir"])
                .arg(target)
                .current_dir(repository(""))
                .status();
            assert!(status.unwrap().success(), "holdfast does not build");
        }
        path
    })
}

/// Whether the real ccxt is here; says loudly if it is not.
pub(crate) fn has_ccxt() -> bool {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    let why = if !node.is_ok_and(|status| status.success()) {
        "node is not installed"
    } else if !repository("tests/client/node_modules/ccxt").exists() {
        "tests/client/node_modules/ccxt is missing: run `npm ci --prefix tests/client`"
    } else {
        return true;
    };
    println!("skipped: {why}");
    false
}

/// A process that ends with the value.
pub(crate) struct Process(Child);

impl Process {
    fn stop(mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// A directory that goes with the value.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("holdfast-ccxt-{}-{number}", std::process::id()));
        std::fs::create_dir_all(path.join("harbor")).unwrap();
        Self(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// What it says and with which status: `(422, "account_unknown")`.
    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// Binance's code.
    pub(crate) fn number(&self) -> (u16, i64) {
        (self.status, self.body["code"].as_i64().unwrap_or_default())
    }

    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }
}

/// An HTTP client that any thread may use.
#[derive(Clone)]
pub(crate) struct Http(ureq::Agent);

impl Http {
    pub(crate) fn new() -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        Self(config.timeout_global(Some(Duration::from_secs(30))).build().into())
    }

    pub(crate) fn send(
        &self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = self.0.run(request.body(body.to_owned())?)?;
        let text = response.body_mut().read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status: response.status().as_u16(), body })
    }

    pub(crate) fn json(&self, method: &str, url: &str, token: &str, body: &Value) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.send(method, url, &headers, &body).unwrap()
    }
}

/// How a customer's key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Hmac,
    Ed25519,
    Rsa,
    /// In another dialect than Binance's; from any address of this machine.
    Dialect(&'static str),
}

/// What goes with the secret in the dialects that want it.
pub(crate) const PASSPHRASE: &str = "open sesame";

/// A customer, as the customer's own program knows it.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) api_key: String,
    /// The HMAC secret, or the private key in PEM.
    pub(crate) secret: String,
}

/// What differs between stands.
pub(crate) struct Setup<'a> {
    /// So many times as fast as this machine's runs Holdfast's clock; at 1 it is about a second ahead, so that clients
    /// need not ask what time it is.
    pub(crate) rate: u32,
    /// The exchange's configuration, if it is not the sample's.
    pub(crate) config: Option<String>,
    /// Done while everything is new, a week before the rest.
    pub(crate) young: &'a mut dyn FnMut(&Stand),
    /// Envoy and the gate stand before Harbor.
    pub(crate) gate: bool,
}

/// Both servers, two operators, and customers whose keys and addresses are of age.
pub(crate) struct Stand {
    pub(crate) http: Http,
    /// Where Holdfast listens.
    pub(crate) holdfast: String,
    /// Where Harbor listens for customers.
    pub(crate) harbor: String,
    staff: String,
    admin_token: String,
    /// Of Harbor's token at Holdfast.
    pub(crate) service: String,
    pub(crate) prices: String,
    /// The token that `init` printed: reads and halts.
    pub(crate) init: String,
    /// The hash of the policy with which it begins.
    pub(crate) policy: String,
    pub(crate) customers: BTreeMap<&'static str, Customer>,
    // In this order: processes end before their directory goes.
    feeder: Option<Feeder>,
    envoy: Option<(String, Process)>,
    _exchange: Process,
    server: Option<Process>,
    dir: Temporary,
}

fn wall_clock() -> Timestamp {
    let micros = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros();
    Timestamp(u64::try_from(micros).unwrap())
}

pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn run(program: &Path, args: &[&str], token: &str) -> String {
    let output = Command::new(program).args(args).env("HOLDFAST_TOKEN", token).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn spawn(program: &str, args: &[&str], log: &Path) -> Process {
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Process(command.spawn().unwrap())
}

/// Waits for it, a minute at most.
pub(crate) fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn time(http: &Http, url: &str) -> Option<Timestamp> {
    let answer = http.send("GET", &format!("{url}/health"), &[], "").ok()?;
    Timestamp::parse(answer.body["time"].as_str()?).ok()
}

impl Stand {
    /// Starts everything under the baseline policy; a customer has 20 BTC, 100,000 USDT, one key, and [`OWN`] in the book.
    pub(crate) fn new(customers: &[(&'static str, &str, Kind)]) -> Self {
        Self::at_rate(customers, RATE)
    }

    /// The same at another rate.
    pub(crate) fn at_rate(customers: &[(&'static str, &str, Kind)], rate: u32) -> Self {
        Self::of(customers, Setup { rate, config: None, young: &mut |_| {}, gate: false })
    }

    pub(crate) fn of(customers: &[(&'static str, &str, Kind)], setup: Setup<'_>) -> Self {
        let rate = setup.rate;
        let dir = Temporary::new();
        let path = |name: &str| dir.0.join(name).display().to_string();
        let http = Http::new();
        let begin = wall_clock().minus(AGE + 2 * 24 * 3_600 * 1_000_000).floor_second();

        for name in ["alice", "bob"] {
            run(holdfast(), &["operator", "keygen", "--out", &path(name)], "");
        }
        let config = setup.config.map_or_else(
            || repository("examples/harbor.toml").display().to_string(),
            |text| {
                std::fs::write(path("exchange.toml"), text).unwrap();
                path("exchange.toml")
            },
        );
        let policy = repository("policies/baseline").display().to_string();
        let (alice, bob) = (format!("alice={}", path("alice.pub")), format!("bob={}", path("bob.pub")));
        let data = path("data");
        let start = begin.to_string();
        let args = ["init", "--data", &data, "--config", &config, "--policy", &policy, "--json"];
        let more = ["--operator", &alice, "--operator", &bob, "--simulated-clock", "--clock-start", &start];
        let made: Value = serde_json::from_str(&run(holdfast(), &[&args[..], &more].concat(), "")).unwrap();
        let init = made["token"].as_str().unwrap().to_owned();

        let gate = setup.gate.then(|| envoy::configure_gate(&dir.0));
        let listen = free_address();
        let url = format!("http://{listen}");
        let server = serve(&dir.0, &listen, begin, 1);
        until("holdfast serves", || time(&http, &url).is_some());
        let service = issue(&dir.0, &url, &init, "harbor", "service");
        let prices = issue(&dir.0, &url, &init, "feed", "prices");

        let (customers_at, staff_at) = (free_address(), free_address());
        let mut config: Value = serde_json::from_str(
            &std::fs::read_to_string(repository("examples/exchange/harbor.example.json")).unwrap(),
        )
        .unwrap();
        config["listen"] = json!(customers_at);
        config["admin_listen"] = json!(staff_at);
        config["client_ip_header"] = json!(FROM);
        config["holdfast"] = json!({ "url": url, "token_file": "token", "poll_ms": 100, "clock_rate": rate });
        let admin_token = "the-director";
        for (name, text) in [
            ("harbor.json", config.to_string()),
            ("token", service.clone()),
            ("admin.token", admin_token.to_owned()),
        ] {
            std::fs::write(dir.0.join("harbor").join(name), text).unwrap();
        }
        let exchange = spawn(HARBOR, &["--config", &path("harbor/harbor.json")], &dir.0.join("log"));
        let harbor = format!("http://{customers_at}");
        let envoy = gate.map(|gate| envoy::start(&dir.0, &customers_at, &gate));
        until("harbor serves", || http.send("GET", &format!("{harbor}/api/v3/ping"), &[], "").is_ok());

        let mut stand = Self {
            http,
            holdfast: url,
            harbor,
            staff: format!("http://{staff_at}"),
            admin_token: admin_token.to_owned(),
            service,
            prices,
            init,
            policy: made["policy"].as_str().unwrap().to_owned(),
            customers: BTreeMap::new(),
            feeder: None,
            envoy,
            _exchange: exchange,
            server: Some(server),
            dir,
        };
        for (name, tier, kind) in customers {
            let customer = stand.open(name, tier, *kind);
            stand.customers.insert(name, customer);
        }
        (setup.young)(&stand);
        // A week passes in a second.
        stand.restart(begin, 7 * 24 * 3_600);
        until("everything is of age", || stand.time().since(begin) > AGE);
        let ahead = if rate == 1 { 1_000_000 } else { 0 };
        stand.restart(wall_clock().plus(ahead), rate);
        stand.staff("PUT", "/clock-rate", &json!({ "rate": rate })).ok();
        stand.feeder = Some(Feeder::start(stand.http.clone(), &stand.holdfast, &stand.prices));
        stand
    }

    /// Where customers ask: Envoy, where it stands before Harbor.
    pub(crate) fn front(&self) -> &str {
        self.envoy.as_ref().map_or(&self.harbor, |(url, _)| url)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.0.join(name)
    }

    /// A token for one more client.
    pub(crate) fn token(&self, client: &str, scopes: &str) -> String {
        issue(&self.dir.0, &self.holdfast, &self.init, client, scopes)
    }

    /// The public half of the key that signs releases.
    pub(crate) fn release_key(&self) -> String {
        let data = self.file("data").display().to_string();
        run(holdfast(), &["release-key", "--data", &data], "").trim().to_owned()
    }

    /// Holdfast's time.
    pub(crate) fn time(&self) -> Timestamp {
        time(&self.http, &self.holdfast).unwrap()
    }

    /// Stops Holdfast and starts it over the same journal, at a later time and another rate.
    fn restart(&mut self, start: Timestamp, rate: u32) {
        self.server.take().unwrap().stop();
        let listen = self.holdfast.strip_prefix("http://").unwrap();
        self.server = Some(serve(&self.dir.0, listen, start, rate));
        until("holdfast serves again", || time(&self.http, &self.holdfast).is_some());
    }

    fn open(&self, name: &str, tier: &str, kind: Kind) -> Customer {
        self.staff("POST", "/customers", &json!({ "account": name, "tier": tier })).ok();
        for (asset, amount) in [("BTC", "20"), ("USDT", "100000")] {
            let deposit = json!({ "asset": asset, "amount": amount });
            self.staff("POST", &format!("/customers/{name}/deposits"), &deposit).ok();
        }
        let customer = self.open_key(name, kind, true);
        let session = self.staff("POST", &format!("/customers/{name}/sessions"), &json!({})).ok();
        let session = session["session"].as_str().unwrap().to_owned();
        let own = json!({ "network": "bitcoin", "address": OWN });
        self.http.json("POST", &format!("{}/addresses", self.harbor), &session, &own).ok();
        customer
    }

    /// One more API key of a customer.
    pub(crate) fn open_key(&self, name: &str, kind: Kind, withdraw: bool) -> Customer {
        let mut key = json!({ "withdraw": withdraw, "ips": ["127.0.0.1"] });
        if let Kind::Dialect(dialect) = kind {
            key["dialect"] = json!(dialect);
            key["ips"] = json!(["127.0.0.0/8"]);
            if matches!(dialect, "okx" | "kucoin") {
                key["passphrase"] = json!(PASSPHRASE);
            }
        }
        let pair = key_pair(kind);
        if let Some((_, public)) = &pair {
            key["public_key"] = json!(public);
        }
        let made = self.staff("POST", &format!("/customers/{name}/api-keys"), &key).ok();
        let secret = pair.map(|(private, _)| private);
        Customer {
            api_key: made["api_key"].as_str().unwrap().to_owned(),
            secret: secret.unwrap_or_else(|| made["secret"].as_str().unwrap().to_owned()),
        }
    }

    /// The records of the journal, as `holdfast journal export` prints them.
    pub(crate) fn journal(&self) -> Vec<Value> {
        let data = self.dir.0.join("data").display().to_string();
        let text = run(holdfast(), &["journal", "export", "--jsonl", "--data", &data], "");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asks Harbor's staff interface.
    pub(crate) fn staff(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.http.json(method, &format!("{}{path}", self.staff), &self.admin_token, body)
    }

    /// Asks Holdfast with a token.
    pub(crate) fn ask(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        self.http.json(method, &format!("{}{path}", self.holdfast), token, body)
    }

    /// What a customer has at Harbor of BTC: free and locked.
    pub(crate) fn balance(&self, account: &str) -> (String, String) {
        let customer = self.http.json(
            "GET",
            &format!("{}/customers/{account}", self.staff),
            &self.admin_token,
            &Value::Null,
        );
        let btc = customer.ok()["balances"]["BTC"].clone();
        let text = |name: &str| btc[name].as_str().unwrap().to_owned();
        (text("free"), text("locked"))
    }

    /// All withdrawals of an account that Holdfast's views have, newest first.
    pub(crate) fn decided(&self, account: &str) -> Vec<Value> {
        self.list(&format!("/v1/withdrawals?account={account}&limit=200"))
    }

    /// Every decision about a withdrawal, the first one first.
    pub(crate) fn decisions(&self, id: &str) -> Vec<Value> {
        let mut rows = self.list(&format!("/v1/withdrawals/{id}/decisions?limit=200"));
        rows.sort_by_key(|row| row["sequence"].as_u64());
        rows
    }

    fn list(&self, path: &str) -> Vec<Value> {
        let (mut rows, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.ask("GET", &format!("{path}{cursor}"), &self.init, &Value::Null).ok();
            rows.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return rows,
            }
        }
    }

    /// A text of `holdfast`'s, signed by these operators: what `/v1/operator-acts` takes.
    pub(crate) fn signed(&self, act: &[&str], signers: &[&str]) -> Value {
        let path = self.dir.0.join("act.text").display().to_string();
        let args = ["operator", "text", "--url", &self.holdfast, "--out", &path];
        run(holdfast(), &[&args[..], act].concat(), "");
        let signatures: Vec<Value> = signers
            .iter()
            .map(|name| json!({ "operator": name, "signature": signature(&self.dir.0, name, &path) }))
            .collect();
        json!({ "text": std::fs::read_to_string(&path).unwrap(), "signatures": signatures })
    }
}

fn serve(dir: &Path, listen: &str, start: Timestamp, rate: u32) -> Process {
    let (program, data) = (holdfast().display().to_string(), dir.join("data").display().to_string());
    let (start, rate) = (start.to_string(), rate.to_string());
    let mut args =
        vec!["serve", "--data", &data, "--listen", listen, "--clock-start", &start, "--clock-rate", &rate];
    let config = dir.join(envoy::GATE_CONFIG);
    let config = config.exists().then(|| config.display().to_string());
    if let Some(config) = &config {
        args.extend(["--config", config]);
    }
    spawn(&program, &args, &dir.join("log"))
}

fn signature(dir: &Path, operator: &str, text: &str) -> String {
    let key = dir.join(operator).display().to_string();
    run(holdfast(), &["operator", "sign", "--key", &key, text], "").trim().to_owned()
}

/// A token for a client, put into use by two operators.
fn issue(dir: &Path, url: &str, init: &str, client: &str, scopes: &str) -> String {
    let text = dir.join("token.text").display().to_string();
    let args =
        ["token", "new", "--client", client, "--scopes", scopes, "--out", &text, "--url", url, "--json"];
    let made: Value = serde_json::from_str(&run(holdfast(), &args, "")).unwrap();
    let signed = |name: &str| format!("{name}={}", signature(dir, name, &text));
    let (alice, bob) = (signed("alice"), signed("bob"));
    let args = ["operator", "send", &text, "--signature", &alice, "--signature", &bob, "--url", url];
    run(holdfast(), &args, init);
    made["token"].as_str().unwrap().to_owned()
}

/// A private and a public key in PEM, made by node; none for HMAC.
fn key_pair(kind: Kind) -> Option<(String, String)> {
    let what = match kind {
        Kind::Ed25519 | Kind::Dialect("rfc9421") => "'ed25519'",
        Kind::Rsa => "'rsa', {modulusLength: 2048}",
        Kind::Hmac | Kind::Dialect(_) => return None,
    };
    let script = format!(
        "const pair = require('crypto').generateKeyPairSync({what});
         console.log(JSON.stringify([pair.privateKey.export({{type: 'pkcs8', format: 'pem'}}),
                                     pair.publicKey.export({{type: 'spki', format: 'pem'}})]))"
    );
    Some(serde_json::from_str(&run(Path::new("node"), &["-e", &script], "")).unwrap())
}

/// Reports prices, so that they never grow stale.
struct Feeder {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    fn start(http: Http, url: &str, token: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, url, token) = (Arc::clone(&stop), format!("{url}/v1/prices"), token.to_owned());
        let prices =
            json!({ "prices": [{ "asset": "BTC", "usd": "5900.00" }, { "asset": "USDT", "usd": "1.00" }] });
        http.json("PUT", &url, &token, &prices).ok();
        let thread = std::thread::spawn(move || {
            for round in 1_u32.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
                if round.is_multiple_of(100) {
                    http.json("PUT", &url, &token, &prices).ok();
                }
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// The real ccxt: `tests/client/drive.mjs` in Binance's dialect, or `drive.mjs` beside this file in the others.
pub(crate) struct Ccxt {
    _process: Process,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Ccxt {
    pub(crate) fn start() -> Self {
        Self::run(&repository("tests/client/drive.mjs"))
    }

    pub(crate) fn of_dialects() -> Self {
        Self::run(&repository("examples/exchange/tests/ccxt/drive.mjs"))
    }

    fn run(script: &Path) -> Self {
        let mut command = Command::new("node");
        let mut child = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (ask, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { _process: Process(child), ask, answers: BufReader::new(answers) }
    }

    pub(crate) fn say(&mut self, what: &Value) -> Value {
        writeln!(self.ask, "{what}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    /// A ccxt client for a customer, under the customer's name.
    pub(crate) fn open(&mut self, stand: &Stand, name: &str, customer: &Customer) {
        let answer = self.say(&json!({
            "do": "open", "as": name, "url": stand.front(), "apiKey": customer.api_key, "secret": customer.secret,
        }));
        assert!(answer["ok"].as_array().is_some_and(|coins| coins.contains(&json!("BTC"))), "{answer}");
    }

    /// `withdraw()`.
    pub(crate) fn withdraw(
        &mut self,
        name: &str,
        coin: &str,
        amount: &str,
        address: &str,
        params: Value,
    ) -> Value {
        self.say(&json!({
            "do": "withdraw", "as": name, "coin": coin, "amount": amount, "address": address, "params": params,
        }))
    }

    /// `fetchWithdrawals()`.
    pub(crate) fn withdrawals(&mut self, name: &str) -> Vec<Value> {
        let answer = self.say(&json!({ "do": "withdrawals", "as": name }));
        answer["ok"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
    }
}
