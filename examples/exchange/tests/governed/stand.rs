//! Holdfast, the signer, the wallet's two processes and a chain, each a process of its own, in a folder that goes with the
//! value; and operators who write, sign and send by the command line.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use holdfast_authn::release::{Kind, Release, SigningKey, open};
use serde_json::{Value, json};

const HARBOR: &str = env!("CARGO_BIN_EXE_harbor");
const WALLET: &str = env!("CARGO_BIN_EXE_harbor-wallet");
const CHAIN: &str = env!("CARGO_BIN_EXE_harbor-chain");
/// What is approved waits as long at Holdfast as at the signer, and nothing is being set up.
const DELAY: &str = "3s";
/// Whoever has the release key has Holdfast's voice: the test has one that the signer takes too.
const STOLEN: [u8; 32] = [0x5e; 32];
pub(crate) const PAYEE: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// Everything up to a thousand dollars.
pub(crate) const BASE: &str = "@id(\"all\") permit (principal, action, resource);\n\
    @id(\"large\") @outcome(\"deny\") @reason(\"large\")\n\
    forbid (principal, action == Action::\"withdraw\", resource) when { context.amount_usd_cents > 100000 };\n";

/// The same up to ninety million.
pub(crate) fn loose() -> String {
    BASE.replace("100000", "9000000000")
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// A program of another package, next to `harbor`: built if it is missing.
fn program(package: &str, name: &str) -> PathBuf {
    static BUILDS: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDS.lock().unwrap();
    let path = Path::new(HARBOR).with_file_name(name);
    if !path.exists() {
        let target = path.parent().unwrap().parent().unwrap();
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", package, "--bin", name, "--target-dir"])
            .arg(target)
            .current_dir(repository(""))
            .status();
        assert!(status.unwrap().success(), "{name} does not build");
    }
    path
}

fn holdfast() -> PathBuf {
    program("holdfast-server", "holdfast")
}

fn signer() -> PathBuf {
    program("holdfast-signer", "holdfast-signer")
}

/// How a program ended, and what it said on both outputs.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) went: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn ok(self) -> String {
        assert!(self.went, "{self:?}");
        self.out
    }

    /// The code of a program that must refuse.
    #[track_caller]
    pub(crate) fn refused(&self, code: &str) {
        assert!(!self.went && self.err.contains(code), "expected {code}: {self:?}");
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}

fn run(program: &Path, args: &[&str], token: &str) -> Said {
    let output = Command::new(program).args(args).env("HOLDFAST_TOKEN", token).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { went: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

/// A process that ends with the value.
struct Process(Child);

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

struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        if std::env::var_os("KEEP_STAND").is_none() {
            let _best_effort = fs::remove_dir_all(&self.0);
        }
    }
}

/// Waits for it, a minute at most.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Everything.
pub(crate) struct Stand {
    agent: ureq::Agent,
    url: String,
    control: String,
    token: String,
    /// The policy that decides first.
    pub(crate) initial: String,
    release_key: [u8; 32],
    server: Option<Process>,
    _others: [Process; 4],
    // Last: it goes when everything in it has ended.
    dir: Temporary,
}

impl Stand {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Short: a socket's path has little room.
        let dir = std::env::temp_dir().join(format!("hf-gov-{}-{number}", std::process::id()));
        let dir = Temporary(dir);
        for part in ["", "wallet", "signer", "base"] {
            fs::create_dir_all(dir.0.join(part)).unwrap();
            fs::set_permissions(dir.0.join(part), fs::Permissions::from_mode(0o700)).unwrap();
        }
        let place = |name: &str| dir.0.join(name).display().to_string();
        let write = |name: &str, text: &str| {
            fs::write(dir.0.join(name), text).unwrap();
            fs::set_permissions(dir.0.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        };
        for name in ["alice", "bob", "carol"] {
            run(&holdfast(), &["operator", "keygen", "--out", &place(name)], "").ok();
        }
        write("base/all.cedar", BASE);
        write("wallet/keys.toml", &keys_toml(&place("signer/s")));
        let public = run(Path::new(WALLET), &["init", "--config", &place("wallet/keys.toml")], "").ok();
        let public: toml::Table = public.parse().unwrap();
        let descriptors: Vec<String> = public["wallets"][0]["descriptors"].clone().try_into().unwrap();

        // The signer and Holdfast each pin what the other one made.
        let pins = |store: &str, release_keys: &str, policy: &str| {
            let text = pins_toml(&dir.0, &descriptors, release_keys, policy);
            write("signer/signer.toml", &format!("{store}{text}"));
        };
        pins("", "", &"0".repeat(64));
        let (pinned, store) = (place("signer/signer.toml"), place("signer/signer.db"));
        let made = run(&signer(), &["init", "--pins", &pinned, "--store", &store, "--json"], "").ok();
        let made: Value = serde_json::from_str(&made).unwrap();
        write("exchange.toml", &exchange_toml(&descriptors, made["receipt_key"].as_str().unwrap()));
        let keys: Vec<String> =
            ["alice", "bob", "carol"].map(|name| format!("{name}={}", place(&format!("{name}.pub")))).into();
        let (data, config, policy) = (place("data"), place("exchange.toml"), place("base"));
        let mut args = vec!["init", "--data", &data, "--config", &config, "--policy", &policy, "--json"];
        keys.iter().for_each(|key| args.extend(["--operator", key]));
        let init: Value = serde_json::from_str(&run(&holdfast(), &args, "").ok()).unwrap();
        let release_key = run(&holdfast(), &["release-key", "--data", &data], "").ok();
        let initial = init["policy"].as_str().unwrap().to_owned();
        let stolen = holdfast_authn::encoding::to_base64url(&SigningKey::from_seed(&STOLEN).public_key());
        pins(
            &format!("store = \"{}\"\n", made["store"].as_str().unwrap()),
            &format!("\"{}\", \"{stolen}\"", release_key.trim()),
            &initial,
        );

        let (chain, nodes, control) = chain(&dir.0);
        let line = ["serve", "--pins", "signer.toml", "--store", "signer.db", "--socket", "s"];
        let signing = spawn(&signer(), &line, &dir.0.join("signer"), &dir.0.join("signer.log"));
        until("the signer listens", || dir.0.join("signer/s").exists());
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let url = format!("http://{listen}");
        let server = serve(&dir.0, &listen);
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        until("holdfast serves", || ureq::get(format!("{url}/health")).call().is_ok());
        let token = token(&dir.0, &url, init["token"].as_str().unwrap());
        write("wallet/token", &token);
        write("wallet/wallet.toml", &wallet_toml(&url, &nodes, &place("signer/s"), &descriptors));
        let (folder, log) = (dir.0.join("wallet"), dir.0.join("wallet.log"));
        let keys = spawn(Path::new(WALLET), &["keys", "--config", "keys.toml"], &folder, &log);
        until("the keys listen", || folder.join("k").exists());
        let wallet = spawn(Path::new(WALLET), &["run", "--config", "wallet.toml"], &folder, &log);
        let release_key = holdfast_authn::parse_operator_key(release_key.trim()).unwrap();
        let others = [chain, signing, keys, wallet];
        let stand = Self {
            agent,
            url,
            control,
            token,
            initial,
            release_key,
            server: Some(server),
            _others: others,
            dir,
        };
        until("the token counts", || stand.ask("GET", "/v1/policy", &Value::Null).0 == 200);
        stand.price();
        assert_eq!(stand.ask("POST", "/v1/accounts", &json!({ "account": "ac_1", "tier": "full" })).0, 201);
        let wallet =
            holdfast_transactions::Wallet::bitcoin("bitcoin".parse().unwrap(), &descriptors).unwrap();
        let receive = wallet.address_at(0, 0).unwrap().address().to_owned();
        stand.chain("fund", &json!({ "to": [{ "address": receive, "amount": "2000000000" }], "count": 6 }));
        stand
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.0.join(name)
    }

    pub(crate) fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Asks Holdfast: the status and the body.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        static KEY: AtomicU32 = AtomicU32::new(0);
        let key = KEY.fetch_add(1, Ordering::Relaxed).to_string();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("idempotency-key", key)
            .header("content-type", "application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = self.agent.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        (response.status().as_u16(), serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    pub(crate) fn price(&self) {
        let prices = json!({ "prices": [{ "asset": "BTC", "usd": "5900.00" }] });
        assert_eq!(self.ask("PUT", "/v1/prices", &prices).0, 200);
    }

    /// Asks for a withdrawal: its id and what is decided.
    pub(crate) fn withdraw(&self, amount: &str) -> (String, String) {
        let body = json!({ "account": "ac_1", "asset": "BTC", "network": "bitcoin", "address": PAYEE,
                           "amount": amount, "channel": { "session": { "one_time_code": true } } });
        let (status, answer) = self.ask("POST", "/v1/withdrawals", &body);
        assert_eq!(status, 201, "{answer}");
        let text = |name: &str| answer[name].as_str().unwrap().to_owned();
        (text("id"), text("status"))
    }

    /// The policy that decides.
    pub(crate) fn active(&self) -> String {
        self.ask("GET", "/v1/policy", &Value::Null).1["hash"].as_str().unwrap().to_owned()
    }

    pub(crate) fn chain(&self, act: &str, body: &Value) -> Value {
        let mut reply = self
            .agent
            .post(format!("http://{}/control/bitcoin/{act}", self.control))
            .header("content-type", "application/json")
            .send(body.to_string())
            .unwrap();
        serde_json::from_str(&reply.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Satoshi that arrived at the payee's address.
    pub(crate) fn paid(&self) -> u64 {
        self.chain("mine", &json!({ "blocks": 1 }));
        let paid = self.chain("paid", &json!({ "to": [PAYEE] }));
        let rows = paid["paid"].as_array().unwrap().iter();
        rows.map(|row| row["amount"].as_str().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// The policies of all releases by which the signer signed.
    pub(crate) fn released_under(&self) -> BTreeSet<String> {
        let Ok(folder) = fs::read_dir(self.path("wallet/state/released")) else { return BTreeSet::new() };
        let files = folder.map(|entry| entry.unwrap().path());
        files
            .filter(|path| path.extension().is_some_and(|kind| kind == "release"))
            .map(|path| {
                let (payload, _) =
                    open(Kind::Release, &fs::read(path).unwrap(), &[self.release_key]).unwrap();
                hex(&Release::parse(&payload).unwrap().policy)
            })
            .collect()
    }

    /// `holdfast` with this token and server.
    pub(crate) fn holdfast(&self, args: &[&str]) -> Said {
        run(&holdfast(), args, &self.token)
    }

    /// `holdfast-signer`, asked on its socket; its answer as JSON.
    pub(crate) fn signer(&self, args: &[&str]) -> Said {
        let socket = self.place("signer/s");
        run(&signer(), &[args, &["--socket", &socket, "--json"]].concat(), "")
    }

    /// The policies that the signer came through, the newest first.
    pub(crate) fn followed(&self) -> Vec<String> {
        let listed = self.signer(&["policy", "list"]).json();
        let policies = listed["policies"].as_array().unwrap().iter();
        policies.map(|policy| policy["policy"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether a process has said this.
    pub(crate) fn logged(&self, process: &str, words: &[&str]) -> bool {
        let log = fs::read_to_string(self.path(&format!("{process}.log"))).unwrap();
        log.lines().any(|line| words.iter().all(|word| line.contains(word)))
    }

    /// A text, signed by these operators: the arguments that send it.
    pub(crate) fn signatures(&self, text: &str, signers: &[&str]) -> Vec<String> {
        let sign = |name: &&str| {
            let signed = self.holdfast(&["operator", "sign", "--key", &self.place(name), text]).ok();
            ["--signature".to_owned(), format!("{name}={}", signed.trim())]
        };
        signers.iter().flat_map(sign).collect()
    }

    /// Sends what these operators signed.
    pub(crate) fn send(&self, text: &str, payload: Option<&str>, signers: &[&str]) -> Said {
        let signatures = self.signatures(text, signers);
        let mut args = vec!["operator", "send", text, "--url", &self.url];
        args.extend(signatures.iter().map(String::as_str));
        args.extend(payload.into_iter().flat_map(|payload| ["--payload", payload]));
        self.holdfast(&args)
    }

    /// Writes a pack; its folder.
    pub(crate) fn pack(&self, name: &str, files: &[(&str, &str)]) -> String {
        fs::create_dir_all(self.path(name)).unwrap();
        for (file, text) in files {
            fs::write(self.path(name).join(file), text).unwrap();
        }
        self.place(name)
    }

    /// Alice proposes a pack; its hash.
    pub(crate) fn propose(&self, pack: &str) -> String {
        let (text, payload) = (self.place("propose.text"), self.place("propose.json"));
        let line =
            ["policy", "propose", pack, "--reason", "More.", "--payload-out", &payload, "--out", &text];
        let said = self.holdfast(&[&line[..], &["--url", &self.url]].concat()).ok();
        self.send(&text, Some(&payload), &["alice"]).ok();
        said.lines().next().unwrap().to_owned()
    }

    /// The text that approves what Alice proposed.
    pub(crate) fn approval(&self, hash: &str) -> String {
        let text = self.place("approve.text");
        let line = ["policy", "approve", hash, "--author", "alice", "--out", &text, "--url", &self.url];
        self.holdfast(&line).ok();
        text
    }

    /// The text and the payload that make a pack decide as a tightening, whatever it is.
    pub(crate) fn tightening(&self, pack: &str) -> (String, String) {
        let (text, payload) = (self.place("tighten.text"), self.place("tighten.json"));
        let line = ["policy", "tighten", pack, "--payload-out", &payload, "--out", &text, "--url", &self.url];
        self.holdfast(&line).ok();
        (text, payload)
    }

    /// Something said to the signer in Holdfast's voice.
    pub(crate) fn whisper(&self, kind: Kind, payload: &[u8]) -> Said {
        let sealed = holdfast_authn::release::seal(kind, payload, &SigningKey::from_seed(&STOLEN));
        fs::write(self.path("whisper"), sealed).unwrap();
        self.signer(&["policy", "introduce", &self.place("whisper")])
    }

    /// Ends Holdfast; where its data is.
    pub(crate) fn stop(&mut self) -> PathBuf {
        self.server.take().unwrap().stop();
        self.path("data")
    }

    /// What Holdfast says when it does not start.
    pub(crate) fn does_not_start(&self) -> Said {
        self.holdfast(&["serve", "--data", &self.place("data"), "--listen", "127.0.0.1:0"])
    }

    /// Starts Holdfast again.
    pub(crate) fn start(&mut self) {
        self.server = Some(serve(&self.dir.0, self.url.strip_prefix("http://").unwrap()));
        until("holdfast serves again", || ureq::get(format!("{}/health", self.url)).call().is_ok());
        self.price();
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn spawn(program: &Path, args: &[&str], folder: &Path, log: &Path) -> Process {
    let log = fs::File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(program);
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    Process(command.spawn().unwrap())
}

fn serve(dir: &Path, listen: &str) -> Process {
    spawn(&holdfast(), &["serve", "--data", "data", "--listen", listen], dir, &dir.join("holdfast.log"))
}

/// The chain stand-in: its process, nodes and control.
fn chain(dir: &Path) -> (Process, String, String) {
    let log = fs::File::create(dir.join("chain.log")).unwrap();
    let mut process = Command::new(CHAIN)
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

/// A token with all the scopes that are needed here, signed by two operators.
fn token(dir: &Path, url: &str, init: &str) -> String {
    let place = |name: &str| dir.join(name).display().to_string();
    let text = place("token.text");
    let scopes = "read,service,wallet,prices";
    let args =
        ["token", "new", "--client", "all", "--scopes", scopes, "--out", &text, "--url", url, "--json"];
    let made = run(&holdfast(), &args, "").json();
    let signed = |name: &str| {
        let signature = run(&holdfast(), &["operator", "sign", "--key", &place(name), &text], "").ok();
        format!("{name}={}", signature.trim())
    };
    let (alice, bob) = (signed("alice"), signed("bob"));
    let args = ["operator", "send", &text, "--signature", &alice, "--signature", &bob, "--url", url];
    run(&holdfast(), &args, init).ok();
    made["token"].as_str().unwrap().to_owned()
}

fn exchange_toml(descriptors: &[String], receipt_key: &str) -> String {
    let buckets = |size: &str| {
        let bucket = format!("{{ size = \"{size}\", refill_per_hour = \"0\" }}");
        format!("bound = {bucket}\naged = {bucket}\nunvouched = {bucket}\n")
    };
    let (money, coins) = (buckets("1000000000000.00"), buckets("1000000"));
    format!(
        "[parameters]\naccount_share_permille = 1000\nsmall_reserve_permille = 1\nloosening_delay = \"{DELAY}\"\n\
         setup_window = \"0s\"\n[[tiers]]\nname = \"full\"\nusd_24h = \"1000000000000.00\"\n\
         usd_30d = \"1000000000000.00\"\n[[wallets]]\nname = \"btc-hot\"\n[wallets.buckets]\n{money}\
         [[wallets.chains]]\nnetwork = \"bitcoin\"\ndescriptors = {descriptors:?}\nfee_max = \"0.01\"\n\
         fee_bucket = {{ size = \"1\", refill_per_hour = \"0\" }}\nconfirmations_final = 3\n\
         [[assets]]\nsymbol = \"BTC\"\ndecimals = 8\n\
         networks = [{{ network = \"bitcoin\", wallet = \"btc-hot\" }}]\n[assets.buckets]\n{coins}\
         [overall]\n{money}[[signers]]\nname = \"harbor-hot\"\nreceipt_key = \"{receipt_key}\"\n"
    )
}

fn pins_toml(dir: &Path, descriptors: &[String], release_keys: &str, policy: &str) -> String {
    let keys = ["alice", "bob", "carol"].map(|name| {
        let key = fs::read_to_string(dir.join(format!("{name}.pub"))).unwrap();
        format!("{name} = \"{}\"", key.trim())
    });
    let bucket = "{ size = \"20\", refill_per_hour = \"0\" }";
    format!(
        "exchange = \"harbor.example\"\nname = \"harbor-hot\"\nrelease_keys = [{release_keys}]\n\
         receipt_key_file = \"receipt.key\"\nrelease_lifetime_max = \"10m\"\n\
         [operators]\nthreshold = 2\nkeys = {{ {} }}\n\
         [policy]\ninitial = \"{policy}\"\ndelay = \"{DELAY}\"\nsetup = \"0s\"\n\
         [[wallets]]\nname = \"btc-hot\"\nnetwork = \"bitcoin\"\ndescriptors = {descriptors:?}\n\
         fee_max = \"0.01\"\nfee_rate_max = \"400\"\nfee_bucket = {{ size = \"1\", refill_per_hour = \"0\" }}\n\
         [[assets]]\nsymbol = \"BTC\"\nnetwork = \"bitcoin\"\ndecimals = 8\n\
         buckets = {{ vouched = {bucket}, unvouched = {bucket} }}\n",
        keys.join(", "),
    )
}

fn keys_toml(signer: &str) -> String {
    format!(
        "socket = \"k\"\nsigner_socket = \"{signer}\"\nkey_file = \"hot.keys\"\n\
         [[wallets]]\nname = \"btc-hot\"\nnetwork = \"bitcoin\"\n"
    )
}

fn wallet_toml(url: &str, nodes: &str, signer: &str, descriptors: &[String]) -> String {
    format!(
        "exchange = \"harbor.example\"\nsigner = \"harbor-hot\"\nholdfast_url = \"{url}\"\n\
         token_file = \"token\"\nkeys_socket = \"k\"\nsigner_socket = \"{signer}\"\nstate = \"state\"\n\
         poll_ms = 50\n[[wallets]]\nname = \"btc-hot\"\nnetwork = \"bitcoin\"\nrpc = \"{nodes}/bitcoin\"\n\
         descriptors = {descriptors:?}\nfee_max = \"0.01\"\n"
    )
}
