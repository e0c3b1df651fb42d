//! Durable withdrawals a second over HTTP, beside the same server's `/health`: what the network and the parser cost is
//! in both, what deciding and syncing cost is in one.
//!
//! The server is the binary `holdfast`, run as anybody would run it, on the loopback interface; the client is raw
//! HTTP/1.1 on kept connections, so that it takes as little of the two cores as it can. Every count is bounded.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::report::{Report, grouped, median, per_second, percent, permille, reached};
use crate::server::{ANSWER_MAX, Server, end_of_answer};
use crate::{Failure, Options, progress};

/// Interleaved runs of each kind.
const RUNS: usize = 3;
/// Connections, withdrawals a run, in a quick run.
const LOADS: [(usize, u64, u64); 2] = [(1, 2_000, 150), (64, 30_000, 3_000)];
/// Accounts: none may have more than 1,000 open withdrawals.
const ACCOUNTS: u64 = 4_000;
/// The aim, in 1/1000 of `/health`.
const AIM: u64 = 500;

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
        let server = Server::start(
            &dir.join(name.replace(' ', "-")),
            &dir.join("exchange.toml"),
            &pack,
            "read,service,prices,halt",
        )?;
        server.open_accounts(ACCOUNTS)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut used = 0;
        for (connections, full, quick) in LOADS {
            let count = if options.quick { quick } else { full };
            let mut rates = [Vec::new(), Vec::new()];
            let mut times = [Histogram::<u64>::new(3)?, Histogram::new(3)?];
            for run in 0..RUNS {
                progress(&format!("http, {name}, {connections} connections: run {} of {RUNS}", run + 1));
                server.price(&[("BTC", "5900.00")])?;
                let [health_rates, rates] = &mut rates;
                let [health_times, times] = &mut times;
                let ask = |number: u64| withdrawal(&server, used + number);
                rates.push(runtime.block_on(load(&server.address, connections, count, ask, times))?);
                used += count;
                let ask = |_| Ok(health(&server));
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

/// One withdrawal as JSON; its address is of this number alone.
fn withdrawal(server: &Server, number: u64) -> Result<Vec<u8>, Failure> {
    let hash = blake3::hash(&number.to_be_bytes());
    let program = hash.as_bytes().get(..20).unwrap_or_default();
    let address = bech32::segwit::encode_v0(bech32::hrp::BC, program).map_err(|error| error.to_string())?;
    let account = number % ACCOUNTS;
    let body = format!(
        "{{\"account\":\"ac_{account}\",\"asset\":\"BTC\",\"network\":\"bitcoin\",\"address\":\"{address}\",\
         \"amount\":\"0.001\",\"channel\":{{\"session\":{{\"one_time_code\":true}}}}}}"
    );
    Ok(server.request("POST", "/v1/withdrawals", &format!("idempotency-key: bench-{number}\r\n"), &body))
}

fn health(server: &Server) -> Vec<u8> {
    server.request("GET", "/health", "", "")
}

/// Sends `count` requests over so many connections, each waiting for its answer; requests a second, and each one's time
/// in microseconds. The requests are made beforehand.
pub(crate) async fn load(
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
