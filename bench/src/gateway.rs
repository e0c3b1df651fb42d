//! What the gate adds to a request that goes through Envoy: time, and CPU of Holdfast and of Envoy.
//!
//! Two real Envoys with one worker each stand before the same trivial upstream, both configured by
//! `examples/gateway/envoy.yaml`; from one of them the filter that asks the gate is taken out. What that one does at most is
//! found first; then both get half of that, and a quarter, by turns, at a steady pace: client, Envoy, Holdfast and upstream
//! share the machine, so at half of it there may be no room for a second server. A request's time runs from when it is due, unless
//! the client woke late for it: waiting behind the request before counts, the client's own sleep does not.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use ring::hmac;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::gate::ROUTES;
use crate::http::load;
use crate::report::{Report, busy, grouped, median, ratio, reached, tenths};
use crate::server::{Caller, Server, cpu_millis};
use crate::signer::quantile;
use crate::{Failure, Options, peers, progress};

const RUNS: usize = 5;
/// Connections to Envoy.
const CONNECTIONS: usize = 32;
/// API keys that take turns, each an account's own.
const KEYS: u64 = 100;
/// Requests that find the maximum, and in a quick run.
const FIND: [u64; 2] = [40_000, 8_000];
/// Seconds at half of it, and in a quick run.
const SECONDS: [u64; 2] = [6, 2];
/// The shares of the maximum that are measured at.
const SHARES: [(u64, &str); 2] = [(2, "half"), (4, "a quarter")];
/// The aim for the p99 that is added, in microseconds.
const AIM: u64 = 2_000;
/// How long anything may take to start.
const PATIENCE: Duration = Duration::from_secs(60);
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
/// The two places in Envoy's configuration between which the filter stands.
const FILTER: &str = "- name: envoy.filters.http.ext_authz";
const ROUTER: &str = "- name: envoy.filters.http.router";

/// A running Envoy; ends with its value.
struct Envoy {
    child: Child,
    address: String,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Beside the tests' Python, or on the path.
fn envoy() -> Option<PathBuf> {
    [peers::python().with_file_name("envoy"), PathBuf::from("envoy")].into_iter().find(|program| {
        let version =
            Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    })
}

/// An address that nobody listens on yet.
fn free() -> Result<String, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string())
}

impl Envoy {
    fn start(
        program: &Path,
        dir: &Path,
        template: &str,
        upstream: &str,
        gate: &str,
        name: &str,
    ) -> Result<Self, Failure> {
        let address = free()?;
        let mut text = template.to_owned();
        for (place, address) in [("LISTEN", address.as_str()), ("EXCHANGE", upstream), ("GATE", gate)] {
            let (host, port) = address.rsplit_once(':').ok_or("an address without a port")?;
            text =
                text.replace(&format!("@{place}_ADDRESS@"), host).replace(&format!("@{place}_PORT@"), port);
        }
        let file = dir.join(format!("{name}.yaml"));
        std::fs::write(&file, text)?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&file)
            .args(["--concurrency", "1", "--use-dynamic-base-id", "--log-level", "error"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let envoy = Self { child, address };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(&envoy.address).is_err() {
            if Instant::now() > deadline {
                return Err("envoy does not listen".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(envoy)
    }
}

/// A server that answers 200 to everything without a body, on a thread of its own.
fn upstream() -> Result<String, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        runtime.block_on(async move {
            let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    drop(stream.set_nodelay(true));
                    let mut buffer = Vec::with_capacity(4_096);
                    while stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                        while let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                            buffer.drain(..end + 4);
                            if stream.write_all(ANSWER).await.is_err() {
                                return;
                            }
                        }
                    }
                });
            }
        });
    });
    Ok(address)
}

fn secret(key: u64) -> String {
    format!("the secret of key {key}, sixty-four letters or more, known to nobody else")
}

/// Signed orders, each another one.
#[derive(Default)]
struct Orders {
    next: u64,
}

impl Orders {
    /// So many, signed now.
    fn sign(&mut self, count: u64) -> Result<Vec<Vec<u8>>, Failure> {
        let keys: Vec<hmac::Key> =
            (0..KEYS).map(|key| hmac::Key::new(hmac::HMAC_SHA256, secret(key).as_bytes())).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        let first = self.next;
        self.next = self.next.saturating_add(count);
        let orders = (first..self.next).zip(keys.iter().enumerate().cycle()).map(|(number, (name, key))| {
            let payload = format!(
                "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.{number:08}&price=97123.45&\
                 newClientOrderId=x-{number:016}&recvWindow=60000&timestamp={now}"
            );
            let tag = hmac::sign(key, payload.as_bytes());
            let tag: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
            format!(
                "POST /api/v3/order?{payload}&signature={tag} HTTP/1.1\r\nhost: api.harbor.example\r\n\
                 user-agent: ccxt\r\naccept: */*\r\nx-mbx-apikey: key-{name}\r\ncontent-length: 0\r\n\r\n"
            )
            .into_bytes()
        });
        Ok(orders.collect())
    }
}

/// Sends the requests at this rate; each one's time in nanoseconds.
fn paced(address: &str, rate: u64, requests: &[Vec<u8>]) -> Result<Vec<u64>, Failure> {
    // Every connection begins when all are there.
    let began = Instant::now() + Duration::from_millis(200);
    let part = |first: usize| -> Result<Vec<u64>, Failure> {
        let mut caller = Caller::connect(address)?;
        let mut times = Vec::with_capacity(requests.len() / CONNECTIONS + 1);
        for (number, request) in requests.iter().enumerate().skip(first).step_by(CONNECTIONS) {
            let due = began + Duration::from_nanos(ratio(number as u128 * 1_000_000_000, rate.into()));
            let early = due.saturating_duration_since(Instant::now());
            let started = if early.is_zero() {
                due
            } else {
                std::thread::sleep(early);
                Instant::now()
            };
            caller.send(request)?;
            times.push(u64::try_from(started.elapsed().as_nanos())?);
        }
        Ok(times)
    };
    let part = &part;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS).map(|first| scope.spawn(move || part(first))).collect();
        let mut times = Vec::with_capacity(requests.len());
        for thread in threads {
            times.extend(thread.join().map_err(|_| Failure::from("a connection broke off"))??);
        }
        Ok(times)
    })
}

/// Holdfast with a gate that has the keys.
fn holdfast(options: &Options, dir: &Path, gate: &str) -> Result<Server, Failure> {
    std::fs::create_dir_all(dir)?;
    let routes = "dialect = 'binance'\n[limits]\nkey_weight_per_minute = 1000000000\n\
                  address_weight_per_minute = 1000000000\nremembered_max = 10000000\n";
    std::fs::write(dir.join("routes.toml"), format!("{routes}{ROUTES}"))?;
    let serve = dir.join("holdfast.toml");
    std::fs::write(&serve, format!("[gate]\nroutes = 'routes.toml'\ngrpc = '{gate}'\n"))?;
    let config = options.root().join("examples/harbor.toml");
    let server = Server::start_with(dir, &config, &options.pack(), "service", Some(&serve))?;
    server.open_accounts(KEYS)?;
    server.each(KEYS, |key| {
        let body = json!({
            "algorithm": "hmac_sha256", "secret": secret(key), "scopes": ["read", "trade"],
            "ip_allowlist": ["127.0.0.1"],
        });
        let path = format!("/v1/accounts/ac_{key}/api-keys/key-{key}");
        Ok(server.request("PUT", &path, "", &body.to_string()))
    })?;
    Ok(server)
}

/// Whether a connection of its own is answered with 200.
fn passes(address: &str, request: &[u8]) -> bool {
    let Ok(mut stream) = TcpStream::connect(address) else { return false };
    let mut start = [0; 12];
    let set = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let asked = set.and_then(|()| stream.write_all(request)).and_then(|()| stream.read_exact(&mut start));
    asked.is_ok() && &start == b"HTTP/1.1 200"
}

/// What was measured on one of the two.
#[derive(Debug, Default)]
struct Side {
    p50: Vec<u64>,
    p99: Vec<u64>,
    /// Nanoseconds of CPU a request: Envoy's.
    envoy: Vec<u64>,
}

impl Side {
    fn run(&mut self, envoy: &Envoy, rate: u64, requests: &[Vec<u8>]) -> Result<(), Failure> {
        let before = cpu_millis(&envoy.child)?;
        let times = paced(&envoy.address, rate, requests)?;
        let used = cpu_millis(&envoy.child)?.saturating_sub(before);
        self.p50.push(quantile(&times, 500) / 1_000);
        self.p99.push(quantile(&times, 990) / 1_000);
        self.envoy.push(each(used, requests.len()));
        Ok(())
    }
}

/// Nanoseconds each, of milliseconds for all.
fn each(millis: u64, count: usize) -> u64 {
    ratio(u128::from(millis) * 1_000_000, count as u128)
}

fn micros(nanos: u64) -> String {
    format!("{} us", tenths(nanos))
}

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = Report::new("gateway");
    let Some(program) = envoy() else {
        report.note(
            "Not measured: there is no envoy beside the tests' Python and none on the path; install \
             tests/requirements.txt, or run cargo xtask test once.",
        );
        return Ok(report);
    };
    let dir = options.directory("gateway")?;
    let gate = free()?;
    let server = holdfast(options, &dir, &gate)?;
    let upstream = upstream()?;
    let template = std::fs::read_to_string(options.root().join("examples/gateway/envoy.yaml"))?;
    let lacks = || Failure::from("examples/gateway/envoy.yaml has no filter that asks the gate");
    let (before, rest) = template.split_once(FILTER).ok_or_else(lacks)?;
    let (_, router) = rest.split_once(ROUTER).ok_or_else(lacks)?;
    let without = format!("{before}{ROUTER}{router}");
    let plain = Envoy::start(&program, &dir, &without, &upstream, &gate, "plain")?;
    let gated = Envoy::start(&program, &dir, &template, &upstream, &gate, "gated")?;

    let mut orders = Orders::default();
    // What is signed in the first second after its start the gate does not believe.
    let deadline = Instant::now() + PATIENCE;
    for envoy in [&gated, &plain] {
        while !orders.sign(1)?.iter().all(|order| passes(&envoy.address, order)) {
            if Instant::now() > deadline {
                return Err("no request passes".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    let refused = orders.sign(1)?.concat();
    let refused = String::from_utf8(refused)?.replace("side=BUY", "side=SELL");
    if passes(&gated.address, refused.as_bytes()) || !passes(&plain.address, refused.as_bytes()) {
        return Err("the filter is not where it should be".into());
    }

    let pick = |[full, quick]: [u64; 2]| if options.quick { quick } else { full };
    let (find, seconds) = (pick(FIND), pick(SECONDS));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut most = |envoy: &Envoy| -> Result<u64, Failure> {
        let requests = orders.sign(find)?;
        let ask = |number: u64| {
            let request = usize::try_from(number).ok().and_then(|number| requests.get(number));
            request.cloned().ok_or_else(|| Failure::from("a request is missing"))
        };
        let mut times = Histogram::<u64>::new(3)?;
        runtime.block_on(load(&envoy.address, CONNECTIONS, find, ask, &mut times))
    };
    let (mut plain_most, mut gated_most) = (Vec::new(), Vec::new());
    for number in 0..3 {
        progress(&format!("gateway: the maximum, run {} of 3", number + 1));
        plain_most.push(most(&plain)?);
        gated_most.push(most(&gated)?);
    }
    let (plain_most, gated_most) = (median(plain_most), median(gated_most));

    report.table(&["through Envoy", "at most a second", "p50", "p99", "Envoy's CPU", "Holdfast's CPU"]);
    let mut verdicts = Vec::new();
    for (share, name) in SHARES {
        let slug = name.trim_start_matches("a ");
        let rate = plain_most / share;
        let count = rate.saturating_mul(seconds).max(1_000);
        let (mut without, mut with, mut server_cpu, mut added) =
            (Side::default(), Side::default(), Vec::new(), Vec::new());
        for number in 0..RUNS {
            progress(&format!("gateway: {name} of it, run {} of {RUNS}", number + 1));
            without.run(&plain, rate, &orders.sign(count)?)?;
            let requests = orders.sign(count)?;
            let before = server.cpu_millis()?;
            with.run(&gated, rate, &requests)?;
            server_cpu.push(each(server.cpu_millis()?.saturating_sub(before), requests.len()));
            let last = |side: &Side| side.p99.last().copied().unwrap_or_default();
            added.push(last(&with).saturating_sub(last(&without)));
        }
        let (added, noise, server_cpu) = (median(added), median(without.p99.clone()), median(server_cpu));
        for (gate, key, most, side, holdfast) in [
            ("without the gate", "plain", plain_most, without, None),
            ("with the gate", "gated", gated_most, with, Some(server_cpu)),
        ] {
            let (p50, p99, envoy) = (median(side.p50), median(side.p99), median(side.envoy));
            report.row(&[
                &format!("{gate}, at {name}"),
                &grouped(most),
                &format!("{} us", grouped(p50)),
                &format!("{} us", grouped(p99)),
                &micros(envoy),
                &holdfast.map_or_else(|| "-".to_owned(), micros),
            ]);
            report.value(format!("{key}_{slug}_max_per_second"), most);
            report.value(format!("{key}_{slug}_p50_micros"), p50);
            report.value(format!("{key}_{slug}_p99_micros"), p99);
            report.value(format!("{key}_{slug}_envoy_cpu_nanos"), envoy);
        }
        report.value(format!("{slug}_rate_per_second"), rate);
        report.value(format!("{slug}_holdfast_cpu_nanos_per_check"), server_cpu);
        // Where requests wait that long without any gate, the difference says nothing about the gate.
        verdicts.push(if noise < AIM {
            report.value(format!("{slug}_added_p99_micros"), added);
            (name, rate, format!("{} us", grouped(added)), reached(added < AIM))
        } else {
            (name, rate, "lost in the machine's own".to_owned(), "not known")
        });
    }
    let threads = server.threads()?;
    drop((plain, gated, server));
    std::fs::remove_dir_all(&dir)?;

    report.table(&["the gate adds to p99", "requests a second", "measured", "aim", "reached"]);
    for (name, rate, measured, verdict) in verdicts {
        let name = format!("at {name} of the maximum without the gate");
        report.row(&[&name, &grouped(rate), &measured, "under 2,000 us", verdict]);
    }
    report.note(format!(
        "{seconds} s a run, median of {RUNS} interleaved runs; what is added is the median of the runs' differences. \
         {CONNECTIONS} connections, {KEYS} keys, every request signed with HMAC-SHA256 and new; one worker thread an \
         Envoy. CPU is of the whole process, user and system, a request. Client, Envoy, Holdfast and upstream share the cores.",
    ));
    report.note(format!("CPU of Holdfast's threads: {threads}."));
    report.note(busy()?);
    Ok(report)
}
