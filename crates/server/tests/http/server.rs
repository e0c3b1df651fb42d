//! A data directory, a running server, a client, and operators who sign.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use holdfast_authn::encoding::to_base64url;
use holdfast_values::Timestamp;
use holdfast_values::texts::{Nonce, OperatorText, Seconds, Window};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const HOLDFAST: &str = env!("CARGO_BIN_EXE_holdfast");
/// BIP-173's own example.
pub(crate) const ADDRESS: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// A configuration under which nothing but the buckets' size is in the way. Nothing flows back into them.
pub(crate) const OPEN: &str = r#"
[parameters]
account_share_permille = 1000
small_reserve_permille = 1
[[tiers]]
name = "full"
usd_24h = "1000000000000.00"
usd_30d = "1000000000000.00"
[[wallets]]
name = "hot"
[wallets.buckets]
bound = { size = "1000000000000.00", refill_per_hour = "0" }
aged = { size = "1000000000000.00", refill_per_hour = "0" }
unvouched = { size = "1000000000000.00", refill_per_hour = "0" }
[[assets]]
symbol = "BTC"
decimals = 8
networks = [{ network = "bitcoin", wallet = "hot" }]
[assets.buckets]
bound = { size = "1000000", refill_per_hour = "0" }
aged = { size = "1000000", refill_per_hour = "0" }
unvouched = { size = "1000000", refill_per_hour = "0" }
[overall]
bound = { size = "1000000000000.00", refill_per_hour = "0" }
aged = { size = "1000000000000.00", refill_per_hour = "0" }
unvouched = { size = "1000000000000.00", refill_per_hour = "0" }
"#;

/// A temporary directory, gone with the value.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("holdfast-http-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.0);
    }
}

/// An exchange: its data directory, its operators, its first token.
pub(crate) struct Exchange {
    pub(crate) dir: Temporary,
    pub(crate) token: String,
    operators: Vec<(String, Ed25519KeyPair)>,
}

pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

impl Exchange {
    /// Harbor under the baseline policy.
    pub(crate) fn baseline(extra: &[&str]) -> Self {
        Self::new(&std::fs::read_to_string(repository("examples/harbor.toml")).unwrap(), None, extra)
    }

    /// Whatever is asked may leave at once, as long as the buckets last.
    pub(crate) fn open(extra: &[&str]) -> Self {
        Self::new(OPEN, Some("@id(\"all\") permit (principal, action, resource);"), extra)
    }

    /// The same under this configuration.
    pub(crate) fn open_with(config: &str) -> Self {
        Self::new(config, Some("@id(\"all\") permit (principal, action, resource);"), &[])
    }

    pub(crate) fn new(config: &str, policy: Option<&str>, extra: &[&str]) -> Self {
        let dir = Temporary::new();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("exchange.toml"), config).unwrap();
        let pack = match policy {
            None => repository("policies/baseline"),
            Some(text) => {
                std::fs::create_dir(path("pack")).unwrap();
                std::fs::write(path("pack/all.cedar"), text).unwrap();
                path("pack")
            }
        };
        let mut init = Command::new(HOLDFAST);
        init.arg("init").arg("--data").arg(path("data")).arg("--config").arg(path("exchange.toml"));
        init.arg("--policy").arg(pack).arg("--json").args(extra);
        let mut operators = Vec::new();
        for (number, name) in [(1u8, "alice"), (2, "bob"), (3, "carol")] {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[number; 32]).unwrap();
            let file = path(&format!("{name}.pub"));
            std::fs::write(&file, to_base64url(pair.public_key().as_ref())).unwrap();
            init.arg("--operator").arg(format!("{name}={}", file.display()));
            operators.push((name.to_owned(), pair));
        }
        let output = init.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let made: Value = serde_json::from_slice(&output.stdout).unwrap();
        std::fs::write(path("policy.hash"), made["policy"].as_str().unwrap()).unwrap();
        Self { token: made["token"].as_str().unwrap().to_owned(), dir, operators }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// The command that serves.
    pub(crate) fn serve_command(&self, binary: &str, extra: &[&str]) -> Vec<String> {
        let data = self.data().display().to_string();
        let mut command: Vec<String> =
            [binary, "serve", "--data", &data, "--listen", "127.0.0.1:0"].map(ToOwned::to_owned).into();
        command.extend(extra.iter().map(|arg| (*arg).to_owned()));
        command
    }

    /// Serves.
    pub(crate) fn serve(&self, extra: &[&str]) -> Server {
        Server::start(&self.serve_command(HOLDFAST, extra), &self.token)
    }

    /// An operator's text of an act, valid from now for an hour.
    pub(crate) fn text(
        &self,
        now: Timestamp,
        act: &str,
        target: &str,
        detail: &str,
        payload: Option<&str>,
    ) -> String {
        static NONCE: AtomicU32 = AtomicU32::new(0);
        let mut nonce = [0; 32];
        nonce[..4].copy_from_slice(&NONCE.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        nonce[4..8].copy_from_slice(&std::process::id().to_be_bytes());
        nonce[8..16].copy_from_slice(&now.0.to_be_bytes());
        let from = Seconds::floor(now);
        OperatorText {
            exchange: "harbor.example".parse().unwrap(),
            act: act.parse().unwrap(),
            target: target.parse().unwrap(),
            detail: detail.parse().unwrap(),
            payload: payload.map(|payload| Sha256::digest(payload.as_bytes()).into()),
            window: Window::new(from, Seconds::floor(from.timestamp().plus(3_600_000_000))).unwrap(),
            nonce: Nonce(nonce),
        }
        .to_string()
    }

    /// The body of an act that these operators sign.
    pub(crate) fn signed(&self, text: &str, signers: &[&str], payload: Option<&str>) -> Value {
        let digest = Sha256::digest(text.as_bytes());
        let signatures: Vec<Value> = signers
            .iter()
            .map(|name| {
                let (_, pair) = self.operators.iter().find(|(known, _)| known == name).unwrap();
                json!({ "operator": name, "signature": to_base64url(pair.sign(&digest).as_ref()) })
            })
            .collect();
        let mut body = json!({ "text": text, "signatures": signatures });
        if let Some(payload) = payload {
            body["payload"] = json!(payload);
        }
        body
    }

    /// A token with these scopes, issued by two operators.
    pub(crate) fn issue(&self, server: &Server, client: &str, scopes: u8) -> String {
        let token = format!("hf_test-{client}-{}", self.token);
        let hash = blake3::hash(token.as_bytes()).to_hex().to_string();
        let text =
            self.text(server.now(), "issue_token", client, &format!("scopes={scopes} hash={hash}"), None);
        let answer = server.post("/v1/operator-acts", &self.signed(&text, &["alice", "bob"], None));
        assert_eq!(answer.status, 200, "{}", answer.body);
        token
    }

    /// A server that serves, with a token of all scopes, a price and the account `ac_1` of tier `full`.
    pub(crate) fn ready(&self, extra: &[&str]) -> Server {
        let mut server = self.serve(extra);
        server.token = self.issue(&server, "backend", 15);
        server.price("5900.00");
        let opened = server.post("/v1/accounts", &json!({ "account": "ac_1", "tier": "full" }));
        assert_eq!(opened.status, 201, "{}", opened.body);
        server
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

/// A running server.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) url: String,
    pub(crate) token: String,
    pub(crate) log: Arc<Mutex<Vec<String>>>,
    agent: ureq::Agent,
}

/// A client that may be used by any thread.
pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
}

/// Sends one request; an error if no answer came.
pub(crate) fn send(
    agent: &ureq::Agent,
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<Answer, ureq::Error> {
    let mut request = ureq::http::Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = agent.run(request.body(body)?)?;
    let text = response.body_mut().read_to_string()?;
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), text, body })
}

impl Server {
    /// Starts a command that ends up serving, and waits until it listens.
    pub(crate) fn start(command: &[String], token: &str) -> Self {
        Self::try_start(command, token).unwrap_or_else(|log| panic!("the server did not start:\n{log}"))
    }

    pub(crate) fn try_start(command: &[String], token: &str) -> Result<Self, String> {
        let mut child = Command::new(&command[0])
            .args(&command[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (lines, stderr) = (Arc::clone(&log), child.stderr.take().unwrap());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let url = log.lock().unwrap().iter().find_map(|line| listening(line));
            if let Some(url) = url {
                return Ok(Self { child, url, token: token.to_owned(), log, agent: agent() });
            }
            if child.try_wait().unwrap().is_some() || Instant::now() > deadline {
                let _ended = child.kill();
                let _reaped = child.wait();
                let _read = reader.join();
                return Err(log.lock().unwrap().join("\n"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn call(&self, method: &str, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let mut headers: Vec<(&str, &str)> = vec![("authorization", &authorization)];
        if !more.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", "application/json"));
        }
        headers.extend_from_slice(more);
        send(&self.agent, method, &format!("{}{path}", self.url), &headers, body).unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.call("GET", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.call("POST", path, &[], body.to_string().as_bytes())
    }

    /// Posts nothing, where nothing is taken: a body that nobody reads can cost the connection.
    pub(crate) fn poke(&self, path: &str) -> Answer {
        self.call("POST", path, &[], b"")
    }

    pub(crate) fn price(&self, usd: &str) {
        let answer = self.call(
            "PUT",
            "/v1/prices",
            &[],
            json!({ "prices": [{ "asset": "BTC", "usd": usd }] }).to_string().as_bytes(),
        );
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Asks for a withdrawal.
    pub(crate) fn withdraw(&self, key: &str, body: &Value) -> Answer {
        self.call("POST", "/v1/withdrawals", &[("idempotency-key", key)], body.to_string().as_bytes())
    }

    /// What time it is at the server.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::parse(self.get("/health").body["time"].as_str().unwrap()).unwrap()
    }

    /// Waits until a withdrawal stands there.
    pub(crate) fn wait_for(&self, id: &str, status: &str) -> Answer {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.get(&format!("/v1/withdrawals/{id}"));
            if answer.body["status"] == status || Instant::now() > deadline {
                assert_eq!(answer.body["status"], status, "{}", answer.body);
                return answer;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: &str) {
        signal_process(self.child.id(), signal);
    }

    /// Stops it gracefully; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        self.child.wait().unwrap().code()
    }

    /// kill -9.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// kill -9 of a server that runs under strace: killing strace itself would let the server live on.
    pub(crate) fn kill_traced(mut self) {
        let strace = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{strace}/task/{strace}/children")).unwrap();
        let traced: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert!(!traced.is_empty(), "strace runs a server");
        for pid in traced {
            signal_process(pid, "KILL");
        }
        self.child.wait().unwrap();
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _reaped = self.child.wait();
    }
}

pub(crate) fn signal_process(pid: u32, signal: &str) {
    let status = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status().unwrap();
    assert!(status.success());
}

fn listening(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["fields"]["message"] == "listening").then(|| line["fields"]["url"].as_str().unwrap().to_owned())
}

/// A withdrawal of `ac_1` to a new address, from a session.
pub(crate) fn withdrawal(amount: &str) -> Value {
    json!({
        "account": "ac_1", "asset": "BTC", "network": "bitcoin", "address": ADDRESS, "amount": amount,
        "channel": { "session": { "one_time_code": true } },
    })
}

/// Runs `holdfast` and gives its standard output; it must succeed.
pub(crate) fn holdfast(args: &[&str]) -> String {
    let output = Command::new(HOLDFAST).args(args).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "holdfast {args:?}: {out}{err}");
    out.into_owned()
}
