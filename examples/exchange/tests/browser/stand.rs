//! Everything that a customer's key meets: Chromium, Harbor's two hosts over TLS, a real Holdfast with a simulated clock, the
//! signer with its own registry of keys, the wallet and a chain; in a folder that goes with the value.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use holdfast_authn::encoding::{to_base64, to_base64url};
use holdfast_signer::serve::{Stop, serve};
use holdfast_signer::{Pins, Signer, system_clock};
use holdfast_transactions::Wallet;
use holdfast_values::{Network, Timestamp};
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};

const HARBOR: &str = env!("CARGO_BIN_EXE_harbor");
const WALLET: &str = env!("CARGO_BIN_EXE_harbor-wallet");
const CHROMIUM: &str = "/usr/bin/chromium";
/// How fast the simulated clock runs while customers act: a dwell of a minute takes 3 s.
const RATE: u32 = 20;
/// And while time is to pass: a day in a second.
const FAST: u32 = 24 * 3_600;
pub(crate) const HOUR: u64 = 3_600 * 1_000_000;
/// What U2F keys were registered under, before there was an approve host.
pub(crate) const APP_ID: &str = "https://harbor.example/u2f.json";
/// In nobody's address book.
pub(crate) const NEW: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";
pub(crate) const THIEF: &str = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Whether a program of the npm packages is here; says loudly if it is not.
pub(crate) fn has_npm(package: &str) -> bool {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    if !node.is_ok_and(|status| status.success()) {
        println!("skipped: node is not installed");
        return false;
    }
    let here = repository("tests/client/node_modules").join(package).exists();
    if !here {
        println!(
            "skipped: tests/client/node_modules/{package} is missing: run `npm ci --prefix tests/client`"
        );
    }
    here
}

/// Whether there is a browser to drive.
pub(crate) fn has_browser() -> bool {
    if !Path::new(CHROMIUM).exists() {
        println!("skipped: {CHROMIUM} is missing: install the Debian package chromium");
        return false;
    }
    has_npm("playwright-core")
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

/// A folder that goes with the value.
pub(crate) struct Temporary(pub(crate) PathBuf);

impl Temporary {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("holdfast-browser-{}-{number}", std::process::id()));
        for part in ["", "harbor", "wallet", "profile"] {
            fs::create_dir_all(path.join(part)).unwrap();
            fs::set_permissions(path.join(part), fs::Permissions::from_mode(0o700)).unwrap();
        }
        Self(path)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if std::env::var_os("KEEP_STAND").is_none() {
            let _best_effort = fs::remove_dir_all(&self.0);
        }
    }
}

pub(crate) fn run(program: &Path, args: &[&str], token: &str) -> String {
    let output = Command::new(program).args(args).env("HOLDFAST_TOKEN", token).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Waits for it, a minute at most.
pub(crate) fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A status and a body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    /// What it says and with which status.
    pub(crate) fn code(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }
}

#[derive(Clone)]
struct Http(ureq::Agent);

impl Http {
    fn new() -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        Self(config.timeout_global(Some(Duration::from_secs(30))).build().into())
    }

    fn json(&self, method: &str, url: &str, token: &str, body: &Value) -> Result<Answer, ureq::Error> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = self.0.run(request.body(body)?)?;
        let text = response.body_mut().read_to_string()?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status: response.status().as_u16(), body })
    }
}

/// Everything.
pub(crate) struct Stand {
    http: Http,
    url: String,
    staff: String,
    nodes: String,
    control: String,
    token: String,
    pub(crate) browser: Browser,
    notices: Notices,
    feeder: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
    signer: Option<(Stop, JoinHandle<()>)>,
    _wallet: [Process; 2],
    _harbor: Process,
    _chain: Process,
    server: Option<Process>,
    // Last: it goes when everything in it has ended.
    dir: Temporary,
}

impl Drop for Stand {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.feeder.take() {
            stop.store(true, Ordering::Relaxed);
            let _ended = thread.join();
        }
        if let Some((stop, thread)) = self.signer.take() {
            stop.stop();
            let _ended = thread.join();
        }
    }
}

const SCOPES: &str = "read,service,wallet,prices";

impl Stand {
    pub(crate) fn new() -> Self {
        let dir = Temporary::new();
        let http = Http::new();
        for name in ["alice", "bob"] {
            run(holdfast(), &["operator", "keygen", "--out", &dir.text(name)], "");
        }
        let (chain, nodes, control) = chain(&dir);
        let descriptors = wallet_keys(&dir);
        let operators = ["alice", "bob"].map(|name| {
            let key = fs::read_to_string(dir.0.join(format!("{name}.pub"))).unwrap();
            format!("{name} = \"{}\"", key.trim())
        });
        let pins = |release_keys: &str, policy: &str| {
            pins(release_keys, &operators.join(", "), policy, &descriptors)
        };
        dir.write("wallet/signer.toml", &pins("", &"0".repeat(64)));
        let (pinned, store) = (dir.0.join("wallet/signer.toml"), dir.0.join("wallet/signer.db"));
        let made = Signer::init(&pinned, &store, 1).unwrap();

        dir.write("exchange.toml", &exchange(&descriptors, &made.receipt_key));
        let notices = Notices::serve();
        let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";
        dir.write("hook", secret);
        dir.write(
            "server.toml",
            &format!("[[webhooks]]\nname = \"mail\"\nurl = \"{}\"\nsecret_file = \"hook\"\n", notices.url),
        );
        let start = now();
        let text = start.to_string();
        let (alice, bob) =
            (format!("alice={}", dir.text("alice.pub")), format!("bob={}", dir.text("bob.pub")));
        let policy = repository("policies/baseline").display().to_string();
        let (data, config) = (dir.text("data"), dir.text("exchange.toml"));
        let args = ["init", "--data", &data, "--config", &config, "--policy", &policy, "--json"];
        let more = ["--operator", &alice, "--operator", &bob, "--simulated-clock", "--clock-start", &text];
        let init: Value = serde_json::from_str(&run(holdfast(), &[&args[..], &more].concat(), "")).unwrap();
        let release_key = run(holdfast(), &["release-key", "--data", &data], "");
        let store_id: String = made.store.iter().map(|byte| format!("{byte:02x}")).collect();
        let pinned_policy = init["policy"].as_str().unwrap();
        let text = pins(&format!("\"{}\"", release_key.trim()), pinned_policy);
        let text = format!("store = \"{store_id}\"\n{text}");
        dir.write("wallet/signer.toml", &text);
        let signer = Signer::open(Pins::load(&pinned).unwrap(), &store, system_clock()).unwrap();
        let stop = Stop::new(&dir.0.join("wallet/s"));
        let server = stop.clone();
        let signing = std::thread::spawn(move || serve(signer, &server).unwrap());
        until("the signer listens", || dir.0.join("wallet/s").exists());

        let listen = free_address();
        let url = format!("http://{listen}");
        let server = serve_holdfast(&dir, &listen, start, 1);
        until("holdfast serves", || time(&http, &url).is_some());
        let token = issue(&dir, &url, init["token"].as_str().unwrap());

        let (harbor, web, staff) = harbor(&dir, &url, &token);
        let wallet = wallet(&dir, &url, &token, &nodes, &descriptors);
        let browser = Browser::start(&dir, &web.0, &web.1);
        let mut stand = Self {
            http,
            url,
            staff,
            nodes,
            control,
            token,
            browser,
            notices,
            feeder: None,
            signer: Some((stop, signing)),
            _wallet: wallet,
            _harbor: harbor,
            _chain: chain,
            server: Some(server),
            dir,
        };
        stand.feed();
        let fund = json!([{ "address": receive(&descriptors), "amount": "2000000000" }]);
        stand.chain("fund", &json!({ "to": fund, "count": 6 }));
        stand
    }

    /// Reports prices for as long as the stand stands.
    fn feed(&mut self) {
        let (http, url, token) = (self.http.clone(), format!("{}/v1/prices", self.url), self.token.clone());
        let prices = json!({ "prices": [{ "asset": "BTC", "usd": "5900.00" }] });
        http.json("PUT", &url, &token, &prices).unwrap().ok();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(200));
                // Holdfast may be starting again.
                let _again_soon = http.json("PUT", &url, &token, &prices);
            }
        });
        self.feeder = Some((stop, thread));
    }

    /// Holdfast's time.
    pub(crate) fn time(&self) -> Timestamp {
        time(&self.http, &self.url).unwrap()
    }

    /// Lets simulated time pass, with everything running.
    pub(crate) fn pass(&mut self, hours: u64) {
        let begin = self.time();
        self.restart(begin, FAST);
        until("time has passed", || self.time().since(begin) > hours * HOUR);
        let end = self.time();
        self.restart(end, RATE);
        // A price of the fast days is stale now.
        self.ask("PUT", "/v1/prices", &json!({ "prices": [{ "asset": "BTC", "usd": "5900.00" }] })).ok();
    }

    fn restart(&mut self, start: Timestamp, rate: u32) {
        self.server.take().unwrap().stop();
        let listen = self.url.strip_prefix("http://").unwrap();
        self.server = Some(serve_holdfast(&self.dir, listen, start, rate));
        until("holdfast serves again", || time(&self.http, &self.url).is_some());
    }

    /// A customer with 20 BTC and a password; a bearer session.
    pub(crate) fn open(&self, name: &str) {
        let new = json!({ "account": name, "tier": "full", "password": "hunter2" });
        self.staff("POST", "/customers", &new).ok();
        let deposit = json!({ "asset": "BTC", "amount": "20" });
        self.staff("POST", &format!("/customers/{name}/deposits"), &deposit).ok();
    }

    /// The code that a customer's phone shows.
    pub(crate) fn code(&self, name: &str) -> String {
        let code = self.staff("GET", &format!("/customers/{name}/code"), &Value::Null).ok();
        code["code"].as_str().unwrap().to_owned()
    }

    /// The same after two codes were used a moment ago: the third counts from the next half minute on.
    pub(crate) fn fresh_code(&self, name: &str) -> String {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() % 30_000;
        std::thread::sleep(Duration::from_millis(30_100 - u64::try_from(since).unwrap()));
        self.code(name)
    }

    /// Signs a customer in, in a window of the same name.
    pub(crate) fn sign_in(&mut self, name: &str) {
        let code = self.code(name);
        let form =
            json!({ "do": "sign-in", "as": name, "account": name, "password": "hunter2", "code": code });
        self.browser.ok(&form);
    }

    pub(crate) fn staff(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.http.json(method, &format!("{}{path}", self.staff), "the-director", body).unwrap()
    }

    /// Asks Holdfast with Harbor's token.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.http.json(method, &format!("{}{path}", self.url), &self.token, body).unwrap()
    }

    /// The id and status of an account's newest withdrawal at Holdfast.
    pub(crate) fn newest(&self, account: &str) -> (String, String) {
        let known = self.staff("GET", &format!("/customers/{account}"), &Value::Null).ok();
        let id = known["withdrawals"][0]["holdfast_id"].as_str().unwrap().to_owned();
        let now = self.ask("GET", &format!("/v1/withdrawals/{id}"), &Value::Null).ok();
        (id, now["status"].as_str().unwrap().to_owned())
    }

    pub(crate) fn chain(&self, act: &str, body: &Value) -> Value {
        self.http
            .json("POST", &format!("http://{}/control/bitcoin/{act}", self.control), "", body)
            .unwrap()
            .ok()
    }

    /// How many transactions wait to be mined.
    pub(crate) fn pool(&self) -> usize {
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "getrawmempool", "params": [] });
        let reply = self.http.json("POST", &format!("{}/bitcoin", self.nodes), "", &body).unwrap().ok();
        reply["result"].as_array().unwrap().len()
    }

    /// Satoshi that arrived at an address.
    pub(crate) fn paid(&self, address: &str) -> u64 {
        let paid = self.chain("paid", &json!({ "to": [address] }));
        let rows = paid["paid"].as_array().unwrap().iter();
        rows.map(|row| row["amount"].as_str().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// The signer's own registry.
    pub(crate) fn registered(&self, account: &str) -> usize {
        let mut signer = holdfast_signer::Client::connect(&self.dir.0.join("wallet/s")).unwrap();
        signer.credentials(&account.parse().unwrap()).unwrap().len()
    }

    /// Changes of protection that an account's owner was told of: their names.
    pub(crate) fn told(&self, account: &str) -> Vec<String> {
        let told = self.notices.told.lock().unwrap();
        let own = told
            .iter()
            .filter(|body| body["type"] == "notice.protection_changed" && body["data"]["account"] == account);
        own.map(|body| body["data"]["change"].as_str().unwrap_or_default().to_owned()).collect()
    }
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp(u64::try_from(since.as_micros()).unwrap()).floor_second()
}

fn time(http: &Http, url: &str) -> Option<Timestamp> {
    let answer = http.json("GET", &format!("{url}/health"), "", &Value::Null).ok()?;
    Timestamp::parse(answer.body["time"].as_str()?).ok()
}

pub(crate) fn spawn(program: &Path, args: &[&str], folder: &Path, log: &Path) -> Process {
    let log = fs::File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Process(command.spawn().unwrap())
}

pub(crate) fn serve_holdfast(dir: &Temporary, listen: &str, start: Timestamp, rate: u32) -> Process {
    let (start, rate) = (start.to_string(), rate.to_string());
    let args = ["serve", "--data", "data", "--config", "server.toml", "--listen", listen];
    let more = ["--clock-start", &start, "--clock-rate", &rate];
    spawn(holdfast(), &[&args[..], &more].concat(), &dir.0, &dir.0.join("holdfast.log"))
}

/// A token with all the scopes that are needed here, put into use by two operators.
fn issue(dir: &Temporary, url: &str, init: &str) -> String {
    let text = dir.text("token.text");
    let args =
        ["token", "new", "--client", "all", "--scopes", SCOPES, "--out", &text, "--url", url, "--json"];
    let made: Value = serde_json::from_str(&run(holdfast(), &args, "")).unwrap();
    let signed = |name: &str| {
        let signature = run(holdfast(), &["operator", "sign", "--key", &dir.text(name), &text], "");
        format!("{name}={}", signature.trim())
    };
    let (alice, bob) = (signed("alice"), signed("bob"));
    let args = ["operator", "send", &text, "--signature", &alice, "--signature", &bob, "--url", url];
    run(holdfast(), &args, init);
    made["token"].as_str().unwrap().to_owned()
}

/// The exchange's configuration: the sample's, with the wallet, the signer and the approve host.
fn exchange(descriptors: &[String], receipt_key: &[u8; 32]) -> String {
    let sample = fs::read_to_string(repository("examples/harbor.toml")).unwrap();
    let head = "[[wallets]]\nname = \"btc-hot\"\n";
    assert!(sample.contains(head));
    let chain = format!(
        "{head}[[wallets.chains]]\nnetwork = \"bitcoin\"\ndescriptors = {descriptors:?}\nfee_max = \"0.01\"\n\
         fee_bucket = {{ size = \"1\", refill_per_hour = \"1\" }}\nconfirmations_final = 3\n"
    );
    format!(
        "{}\n[[signers]]\nname = \"harbor-hot\"\nreceipt_key = \"{}\"\n[approve]\nrp_id = \"approve.harbor.example\"\n\
         origins = [\"https://approve.harbor.example\"]\napp_id = \"{APP_ID}\"\n",
        sample.replacen(head, &chain, 1),
        to_base64url(receipt_key),
    )
}

/// What the signer goes by: without a customer's own key next to nothing leaves.
fn pins(release_keys: &str, operators: &str, policy: &str, descriptors: &[String]) -> String {
    format!(
        r#"exchange = "harbor.example"
name = "harbor-hot"
simulated_clock = true
release_keys = [{release_keys}]
receipt_key_file = "receipt.key"
release_lifetime_max = "10m"
[operators]
threshold = 2
keys = {{ {operators} }}
[policy]
initial = "{policy}"
[approval]
rp_id = "approve.harbor.example"
origins = ["https://approve.harbor.example"]
app_id = "{APP_ID}"
enrolments_per_day = 10
user_verification = "optional"
[[wallets]]
name = "btc-hot"
network = "bitcoin"
descriptors = {descriptors:?}
fee_max = "0.01"
fee_rate_max = "400"
fee_bucket = {{ size = "1", refill_per_hour = "0" }}
[[assets]]
symbol = "BTC"
network = "bitcoin"
decimals = 8
credential_cap = "5"
buckets = {{ vouched = {{ size = "20", refill_per_hour = "0" }}, unvouched = {{ size = "0.2", refill_per_hour = "0" }} }}
"#
    )
}

/// Makes the wallet's seed; its descriptors.
fn wallet_keys(dir: &Temporary) -> Vec<String> {
    dir.write(
        "wallet/keys.toml",
        "socket = \"k\"\nsigner_socket = \"s\"\nkey_file = \"hot.keys\"\n[[wallets]]\nname = \"btc-hot\"\n\
         network = \"bitcoin\"\n",
    );
    let public = run(Path::new(WALLET), &["init", "--config", &dir.text("wallet/keys.toml")], "");
    let public: toml::Table = public.parse().unwrap();
    public["wallets"][0]["descriptors"].clone().try_into().unwrap()
}

fn receive(descriptors: &[String]) -> String {
    let wallet = Wallet::bitcoin(Network::Bitcoin, descriptors).unwrap();
    wallet.address_at(0, 0).unwrap().address().to_owned()
}

fn wallet(dir: &Temporary, url: &str, token: &str, nodes: &str, descriptors: &[String]) -> [Process; 2] {
    dir.write("wallet/token", token);
    dir.write(
        "wallet/wallet.toml",
        &format!(
            r#"exchange = "harbor.example"
signer = "harbor-hot"
holdfast_url = "{url}"
token_file = "token"
keys_socket = "k"
signer_socket = "s"
state = "state"
poll_ms = 100
[[wallets]]
name = "btc-hot"
network = "bitcoin"
rpc = "{nodes}/bitcoin"
descriptors = {descriptors:?}
fee_max = "0.01"
"#
        ),
    );
    let folder = dir.0.join("wallet");
    let start = |args: &[&str]| spawn(Path::new(WALLET), args, &folder, &dir.0.join("wallet.log"));
    let keys = start(&["keys", "--config", "keys.toml"]);
    until("the keys listen", || folder.join("k").exists());
    [keys, start(&["run", "--config", "wallet.toml"])]
}

/// Harbor; where its web hosts are and by which key they are known, and where its staff is.
fn harbor(dir: &Temporary, url: &str, token: &str) -> (Process, (String, String), String) {
    let hosts = ["app.harbor.example", "approve.harbor.example"].map(ToOwned::to_owned);
    let made = rcgen::generate_simple_self_signed(hosts).unwrap();
    let spki = ring::digest::digest(&ring::digest::SHA256, &made.signing_key.subject_public_key_info());
    dir.write("harbor/tls.crt", &made.cert.pem());
    dir.write("harbor/tls.key", &made.signing_key.serialize_pem());
    let (customers, web, staff) = (free_address(), free_address(), free_address());
    let sample = fs::read_to_string(repository("examples/exchange/harbor.example.json")).unwrap();
    let mut config: Value = serde_json::from_str(&sample).unwrap();
    config["listen"] = json!(customers);
    config["admin_listen"] = json!(staff);
    config["holdfast"] = json!({ "url": url, "token_file": "token", "poll_ms": 100, "clock_rate": RATE });
    config["web"] = json!({
        "listen": web, "certificate_file": "tls.crt", "key_file": "tls.key", "app_host": "app.harbor.example",
        "approve_host": "approve.harbor.example", "approve_folder": repository("approve"),
    });
    dir.write("harbor/harbor.json", &config.to_string());
    dir.write("harbor/token", token);
    dir.write("harbor/admin.token", "the-director");
    let process =
        spawn(Path::new(HARBOR), &["--config", "harbor/harbor.json"], &dir.0, &dir.0.join("harbor.log"));
    until("harbor serves", || TcpStream::connect(&web).is_ok());
    let port = web.rsplit(':').next().unwrap().to_owned();
    (process, (port, to_base64(spki.as_ref())), format!("http://{staff}"))
}

/// The chain stand-in: its process, nodes and control.
fn chain(dir: &Temporary) -> (Process, String, String) {
    let log = fs::File::create(dir.0.join("chain.log")).unwrap();
    let mut process = Command::new(env!("CARGO_BIN_EXE_harbor-chain"))
        .args(["--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--network", "bitcoin"])
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    let text = |name: &str| ready[name].as_str().unwrap().to_owned();
    (Process(process), format!("http://{}", text("listen")), text("control"))
}

/// What Holdfast tells the systems that write mail.
struct Notices {
    url: String,
    told: Arc<Mutex<Vec<Value>>>,
}

impl Notices {
    fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let heard = Arc::clone(&heard);
                std::thread::spawn(move || hear(stream, &heard));
            }
        });
        Self { url, told }
    }
}

fn hear(mut stream: TcpStream, heard: &Mutex<Vec<Value>>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let line = line.trim().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        heard.lock().unwrap().push(serde_json::from_slice(&body).ok()?);
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").ok()?;
    }
}

/// Chromium, and nothing else.
pub(crate) struct Alone {
    pub(crate) browser: Browser,
    _dir: Temporary,
}

impl Alone {
    pub(crate) fn new() -> Self {
        let dir = Temporary::new();
        Self { browser: Browser::start(&dir, "1", ""), _dir: dir }
    }
}

/// `drive.mjs`: Chromium.
pub(crate) struct Browser {
    process: Process,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Browser {
    pub(crate) fn start(dir: &Temporary, port: &str, spki: &str) -> Self {
        let settings = json!({
            "client": repository("tests/client"), "chromium": CHROMIUM, "port": port, "spki": spki,
            "folder": dir.0.join("profile"),
        });
        let log = fs::File::create(dir.0.join("browser.log")).unwrap();
        let mut child = Command::new("node")
            .arg(repository("examples/exchange/tests/browser/drive.mjs"))
            .env("BROWSER", settings.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let (ask, answers) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { process: Process(child), ask, answers: BufReader::new(answers) }
    }

    /// One act of `drive.mjs`, which must succeed.
    pub(crate) fn ok(&mut self, act: &Value) -> Value {
        writeln!(self.ask, "{act}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{act}: {error}: {line:?}"));
        assert!(answer["error"].is_null(), "{act}: {}", answer["error"].as_str().unwrap_or_default());
        answer["ok"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to end, the driver takes Chromium with it.
        let _gone = writeln!(self.ask, "{}", json!({ "do": "end" }));
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.process.0.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
