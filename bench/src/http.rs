//! Durable withdrawals a second over HTTP, beside the same server's `/health`: what the network and the parser cost is
//! in both, what deciding and syncing cost is in one.
//!
//! The server is the binary `holdfast`, run as anybody would run it, on the loopback interface; the client is raw
//! HTTP/1.1 on kept connections, so that it takes as little of the two cores as it can. Every count is bounded.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Output, Stdio};
use std::rc::Rc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::report::{Report, grouped, median, per_second, percent, permille, reached};
use crate::{Failure, Options, progress};

/// Interleaved runs of each kind.
const RUNS: usize = 3;
/// Connections, withdrawals a run, in a quick run.
const LOADS: [(usize, u64, u64); 2] = [(1, 2_000, 150), (64, 30_000, 3_000)];
/// Accounts: none may have more than 1,000 open withdrawals.
const ACCOUNTS: u64 = 4_000;
/// The aim, in 1/1000 of `/health`.
const AIM: u64 = 500;
/// The longest answer that is read.
const ANSWER_MAX: usize = 1 << 20;

/// Nothing but the buckets' size is in the way, and they are large.
const EXCHANGE: &str = r#"
[parameters]
account_share_permille = 1000
small_reserve_permille = 1
[[tiers]]
name = "full"
usd_24h = "1000000000000.00"
usd_30d = "1000000000000.00"
[[wallets]]
name = "hot"
buckets = { bound = { size = "1000000000000.00", refill_per_hour = "0" }, aged = { size = "1000000000000.00", refill_per_hour = "0" }, unvouched = { size = "1000000000000.00", refill_per_hour = "0" } }
[[assets]]
symbol = "BTC"
decimals = 8
networks = [{ network = "bitcoin", wallet = "hot" }]
buckets = { bound = { size = "1000000", refill_per_hour = "0" }, aged = { size = "1000000", refill_per_hour = "0" }, unvouched = { size = "1000000", refill_per_hour = "0" } }
[overall]
bound = { size = "1000000000000.00", refill_per_hour = "0" }
aged = { size = "1000000000000.00", refill_per_hour = "0" }
unvouched = { size = "1000000000000.00", refill_per_hour = "0" }
"#;
/// The empty pack: the engine's own rules alone.
const PERMIT: &str = "@id(\"all\") permit (principal, action, resource);\n";

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = Report::new("http");
    report.table(&[
        "policy, connections",
        "withdrawals/s",
        "p50",
        "p99",
        "p99.9",
        "/health/s",
        "p50",
        "p99",
        "of /health",
        "aim",
        "reached",
    ]);
    let dir = options.directory("http")?;
    std::fs::create_dir_all(dir.join("pack"))?;
    std::fs::write(dir.join("pack/all.cedar"), PERMIT)?;
    std::fs::write(dir.join("exchange.toml"), EXCHANGE)?;
    for (name, pack, aim) in [("empty pack", dir.join("pack"), true), ("baseline", options.pack(), false)] {
        let server = Server::start(&dir.join(name.replace(' ', "-")), &dir.join("exchange.toml"), &pack)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut used = 0;
        for (connections, full, quick) in LOADS {
            let count = if options.quick { quick } else { full };
            let mut rates = [Vec::new(), Vec::new()];
            let mut times = [Histogram::<u64>::new(3)?, Histogram::new(3)?];
            for run in 0..RUNS {
                progress(&format!("http, {name}, {connections} connections: run {} of {RUNS}", run + 1));
                server.price()?;
                let [health_rates, rates] = &mut rates;
                let [health_times, times] = &mut times;
                let ask = |number: u64| server.withdrawal(used + number);
                rates.push(runtime.block_on(load(&server.address, connections, count, ask, times))?);
                used += count;
                let ask = |_| server.health();
                health_rates.push(runtime.block_on(load(
                    &server.address,
                    connections,
                    count,
                    ask,
                    health_times,
                ))?);
            }
            let [health, rate] = rates.map(median);
            let [health_times, times] = times;
            let share = permille(rate, health);
            let micros = |times: &Histogram<u64>, permille: u64| {
                let place = match permille {
                    500 => times.value_at_quantile(0.5),
                    990 => times.value_at_quantile(0.99),
                    _ => times.value_at_quantile(0.999),
                };
                format!("{} us", grouped(place))
            };
            report.row(&[
                &format!("{name}, {connections}"),
                &grouped(rate),
                &micros(&times, 500),
                &micros(&times, 990),
                &micros(&times, 999),
                &grouped(health),
                &micros(&health_times, 500),
                &micros(&health_times, 990),
                &percent(share),
                if aim { "50.0 %" } else { "-" },
                if aim { reached(share >= AIM) } else { "-" },
            ]);
            let key = format!("{}_{connections}", name.replace(' ', "_"));
            report.value(format!("{key}_withdrawals_per_second"), rate);
            report.value(format!("{key}_health_per_second"), health);
            report.value(format!("{key}_permille_of_health"), share);
        }
        report.note(format!("CPU of the server's threads, {name}: {}.", server.threads()?));
        drop(server);
    }
    let sync = sync_micros(&dir)?;
    std::fs::remove_dir_all(&dir)?;
    report.note(format!(
        "A bare append of 600 bytes + fdatasync takes {} us here (median, same run): one connection, which waits for each \
         answer, cannot see more than {} durable answers a second, whatever serves it; /health touches no disk.",
        grouped(sync),
        grouped(1_000_000u64.checked_div(sync).unwrap_or(0)),
    ));
    report.value("bare_sync_micros", sync);
    report.note(format!(
        "Median of {RUNS} interleaved runs; {} and {} withdrawals a run, as many requests to /health; {} accounts, \
         sessions, each withdrawal to an address of its own. Client and server share the machine's cores.",
        grouped(LOADS.first().map_or(0, |(_, full, quick)| if options.quick { *quick } else { *full })),
        grouped(LOADS.last().map_or(0, |(_, full, quick)| if options.quick { *quick } else { *full })),
        grouped(ACCOUNTS),
    ));
    Ok(report)
}

/// What making one small record durable takes without any of Holdfast.
fn sync_micros(dir: &Path) -> Result<u64, Failure> {
    let mut file = File::options().append(true).create(true).open(dir.join("bare"))?;
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let began = Instant::now();
        file.write_all(&[7; 600])?;
        file.sync_data()?;
        times.push(u64::try_from(began.elapsed().as_micros())?);
    }
    Ok(median(times))
}

/// The binary beside this one.
fn holdfast() -> Result<PathBuf, Failure> {
    let binary = std::env::current_exe()?.with_file_name("holdfast");
    if binary.is_file() { Ok(binary) } else { Err(format!("{} is not built", binary.display()).into()) }
}

fn called(process: &mut Process) -> Result<Output, Failure> {
    let output = process.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output);
    }
    Err(format!("{process:?}: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
}

/// A running server with a token of all scopes, a price and accounts; ends with its value.
struct Server {
    child: Child,
    address: String,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to be kept: a kill ends it sooner than a snapshot would.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Server {
    fn start(dir: &Path, config: &Path, pack: &Path) -> Result<Self, Failure> {
        let binary = holdfast()?;
        std::fs::create_dir_all(dir)?;
        let data = dir.join("data");
        let mut init = Process::new(&binary);
        init.arg("init").arg("--data").arg(&data).arg("--config").arg(config).arg("--policy").arg(pack);
        for name in ["alice", "bob"] {
            let key = dir.join(name);
            called(Process::new(&binary).args(["operator", "keygen", "--out"]).arg(&key))?;
            init.arg("--operator").arg(format!("{name}={}", key.with_extension("pub").display()));
        }
        let made: Value = serde_json::from_slice(&called(init.arg("--json"))?.stdout)?;
        let first = made.get("token").and_then(Value::as_str).ok_or("no first token was printed")?.to_owned();
        let mut child = Process::new(&binary)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(&data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = child.stderr.take().ok_or("the server has no log")?;
        let (found, address) = mpsc::channel();
        // Reads on for as long as the server writes, so that it never waits for its log.
        std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                if let Some(address) = listening(&line) {
                    drop(found.send(address));
                }
            }
        });
        let mut server = Self { child, address: String::new(), token: String::new() };
        server.address =
            address.recv_timeout(Duration::from_secs(60)).map_err(|_| "the server does not listen")?;
        server.issue_token(&binary, dir, &first)?;
        server.price()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let open = |number| {
            server.post("/v1/accounts", &format!("{{\"account\":\"ac_{number}\",\"tier\":\"full\"}}"))
        };
        let mut times = Histogram::new(3)?;
        runtime.block_on(load(&server.address, 8, ACCOUNTS, open, &mut times))?;
        Ok(server)
    }

    fn issue_token(&mut self, binary: &Path, dir: &Path, first: &str) -> Result<(), Failure> {
        let url = format!("http://{}", self.address);
        let text = dir.join("token.txt");
        let minted = called(
            Process::new(binary)
                .args(["token", "new", "--client", "bench", "--scopes", "read,service,prices,halt", "--json"])
                .args(["--url", &url, "--out"])
                .arg(&text),
        )?;
        let minted: Value = serde_json::from_slice(&minted.stdout)?;
        self.token = minted.get("token").and_then(Value::as_str).ok_or("no token was printed")?.to_owned();
        let mut send = Process::new(binary);
        send.args(["operator", "send"]).arg(&text).args(["--url", &url]).env("HOLDFAST_TOKEN", first);
        for name in ["alice", "bob"] {
            let signed = called(
                Process::new(binary)
                    .args(["operator", "sign", "--json", "--key"])
                    .arg(dir.join(name))
                    .arg(&text),
            )?;
            let signed: Value = serde_json::from_slice(&signed.stdout)?;
            let signature =
                signed.get("signature").and_then(Value::as_str).ok_or("no signature was printed")?;
            send.arg("--signature").arg(format!("{name}={signature}"));
        }
        called(&mut send)?;
        Ok(())
    }

    /// Which threads the process's time went to.
    fn threads(&self) -> Result<String, Failure> {
        let mut ticks = std::collections::BTreeMap::<String, u64>::new();
        for task in std::fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            let stat = std::fs::read_to_string(task?.path().join("stat"))?;
            let (head, rest) = stat.rsplit_once(") ").ok_or("/proc/PID/task/TID/stat has no name")?;
            let name = head.split_once('(').map_or(head, |(_, name)| name).to_owned();
            // Fields 14 and 15 of proc(5): user and system time.
            let times =
                rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
            *ticks.entry(name).or_default() += times.sum::<u64>();
        }
        let total = ticks.values().sum();
        let mut shares: Vec<_> =
            ticks.into_iter().map(|(name, ticks)| (permille(ticks, total), name)).collect();
        shares.sort_unstable_by(|a, b| b.cmp(a));
        let shares = shares.into_iter().filter(|(share, _)| *share >= 10);
        Ok(shares.map(|(share, name)| format!("{name} {}", percent(share))).collect::<Vec<_>>().join(", "))
    }

    fn request(&self, method: &str, path: &str, more: &str, body: &str) -> Vec<u8> {
        let (address, token, length) = (&self.address, &self.token, body.len());
        format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\n{more}content-length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn post(&self, path: &str, body: &str) -> Result<Vec<u8>, Failure> {
        Ok(self.request("POST", path, "", body))
    }

    fn health(&self) -> Result<Vec<u8>, Failure> {
        Ok(self.request("GET", "/health", "", ""))
    }

    fn withdrawal(&self, number: u64) -> Result<Vec<u8>, Failure> {
        let hash = blake3::hash(&number.to_be_bytes());
        let program = hash.as_bytes().get(..20).unwrap_or_default();
        let address =
            bech32::segwit::encode_v0(bech32::hrp::BC, program).map_err(|error| error.to_string())?;
        let account = number % ACCOUNTS;
        let body = format!(
            "{{\"account\":\"ac_{account}\",\"asset\":\"BTC\",\"network\":\"bitcoin\",\"address\":\"{address}\",\
             \"amount\":\"0.001\",\"channel\":{{\"session\":{{\"one_time_code\":true}}}}}}"
        );
        Ok(self.request("POST", "/v1/withdrawals", &format!("idempotency-key: bench-{number}\r\n"), &body))
    }

    fn price(&self) -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let body = "{\"prices\":[{\"asset\":\"BTC\",\"usd\":\"5900.00\"}]}";
        let put = |_| Ok(self.request("PUT", "/v1/prices", "", body));
        runtime.block_on(load(&self.address, 1, 1, put, &mut Histogram::new(3)?))?;
        Ok(())
    }
}

fn listening(line: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let fields = line.get("fields")?;
    let url = fields.get("url").and_then(Value::as_str)?;
    (fields.get("message")? == "listening")
        .then(|| url.trim_start_matches("http://").trim_end_matches('/').to_owned())
}

/// Sends `count` requests over so many connections, each waiting for its answer; requests a second, and each one's time
/// in microseconds. The requests are made beforehand.
async fn load(
    address: &str,
    connections: usize,
    count: u64,
    ask: impl Fn(u64) -> Result<Vec<u8>, Failure>,
    times: &mut Histogram<u64>,
) -> Result<u64, Failure> {
    let requests: Vec<Vec<u8>> = (0..count).map(ask).collect::<Result<_, _>>()?;
    let requests = Rc::new(requests);
    let next = Rc::new(std::cell::Cell::new(0));
    let local = tokio::task::LocalSet::new();
    let (nanos, micros) = local
        .run_until(async {
            let mut streams = Vec::new();
            for _ in 0..connections {
                let stream = TcpStream::connect(address).await?;
                stream.set_nodelay(true)?;
                streams.push(stream);
            }
            let began = Instant::now();
            let tasks: Vec<_> = streams
                .into_iter()
                .map(|stream| {
                    tokio::task::spawn_local(converse(stream, Rc::clone(&requests), Rc::clone(&next)))
                })
                .collect();
            let mut all = Vec::new();
            for task in tasks {
                all.extend(task.await??);
            }
            Ok::<_, Failure>((began.elapsed().as_nanos(), all))
        })
        .await?;
    for micros in micros {
        times.record(micros)?;
    }
    Ok(per_second(count, u64::try_from(nanos)?))
}

async fn converse(
    mut stream: TcpStream,
    requests: Rc<Vec<Vec<u8>>>,
    next: Rc<std::cell::Cell<usize>>,
) -> Result<Vec<u64>, Failure> {
    let mut times = Vec::new();
    let mut buffer = Vec::with_capacity(4_096);
    while let Some(request) = requests.get(next.replace(next.get() + 1)) {
        let began = Instant::now();
        stream.write_all(request).await?;
        buffer.clear();
        let end = loop {
            if stream.read_buf(&mut buffer).await? == 0 || buffer.len() > ANSWER_MAX {
                return Err("the server closed the connection".into());
            }
            if let Some(end) = end_of_answer(&buffer)? {
                break end;
            }
        };
        times.push(u64::try_from(began.elapsed().as_micros())?.max(1));
        if buffer.len() != end {
            return Err("the server said more than it was asked".into());
        }
    }
    Ok(times)
}

/// Where the answer ends, once all of it is there; an error unless it is a 2xx.
fn end_of_answer(buffer: &[u8]) -> Result<Option<usize>, Failure> {
    let Some(head) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(buffer.get(..head).unwrap_or_default())?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let end = head + 4 + length.ok_or("an answer without a length")?;
    if buffer.len() < end {
        return Ok(None);
    }
    if !text.starts_with("HTTP/1.1 2") {
        return Err(format!("not a success: {}", String::from_utf8_lossy(buffer)).into());
    }
    Ok(Some(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_length_says() {
        let answer = b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(end_of_answer(answer).unwrap(), Some(answer.len()));
        assert_eq!(end_of_answer(&answer[..answer.len() - 1]).unwrap(), None);
        assert_eq!(end_of_answer(b"HTTP/1.1 201 Cr").unwrap(), None);
        assert!(end_of_answer(b"HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n").is_err());
    }
}
