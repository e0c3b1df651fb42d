//! `POST /v1/transactions`, and the whole way of a batch: asked of Holdfast, released, authorised by the signer, its
//! receipt recorded by Holdfast. Both are the binaries, run as anybody would run them, each in a process of its own.
//!
//! The withdrawals were asked for and approved under baseline before; building and signing transactions is the wallet's
//! work and is not in the times. Beside each batch, by turns: `/health`, and a bare file that is synced as often as the
//! way of a batch has to be.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use holdfast_authn::encoding::{base64, to_base64, to_base64url};
use holdfast_authn::release::SigningKey;
use holdfast_signer::Client;
use serde_json::{Value, json};

use crate::house::{EVM_HOT, House, Kind, SIGNER, TOKEN, address};
use crate::report::{Report, busy, grouped, median, per_second, percent, permille, reached};
use crate::server::{Caller, Server, SignerProcess, make_signer};
use crate::signer::{millis, quantile};
use crate::{Failure, Options, progress};

/// Rounds, and in a quick run.
const ROUNDS: [u64; 2] = [100, 10];
/// The first rounds are not counted: nothing is in any cache.
const WARM: u64 = 3;
/// Baseline holds an account's eleventh withdrawal of an hour to a new address.
const WITHDRAWALS_PER_ACCOUNT: u64 = 8;
/// How long baseline and the queue may take to approve everything: new addresses dwell for a minute.
const APPROVAL: Duration = Duration::from_secs(180);
/// The aim for a batch of 200, end to end.
const AIM: Duration = Duration::from_millis(50);
/// The seed of the signer's key.
const RECEIPT_SEED: [u8; 32] = [9; 32];
/// What is durable on the way of a batch, one after the other: the release's record, the signer's, the receipt's.
const SYNCS: u32 = 3;

/// After each batch: so long the read model gets to follow before the next one begins, or its CPU would count there.
const SETTLE: Duration = Duration::from_millis(20);

#[derive(Clone, Copy, Debug)]
struct Case {
    name: &'static str,
    key: &'static str,
    kind: Kind,
    coins: usize,
    outputs: u64,
}

const CASES: [Case; 4] = [
    Case { name: "wpkh, 1 output, 1 input", key: "wpkh_1", kind: Kind::Wpkh, coins: 1, outputs: 1 },
    Case { name: "wpkh, 50 outputs, 5 inputs", key: "wpkh_50", kind: Kind::Wpkh, coins: 5, outputs: 50 },
    Case { name: "wpkh, 200 outputs, 20 inputs", key: "wpkh_200", kind: Kind::Wpkh, coins: 20, outputs: 200 },
    Case { name: "ERC-20 transfer", key: "token_1", kind: Kind::Token, coins: 0, outputs: 1 },
];

/// Times in nanoseconds, one for each round.
#[derive(Debug, Default)]
struct Times {
    post: Vec<u64>,
    signer: Vec<u64>,
    receipt: Vec<u64>,
    whole: Vec<u64>,
    health: Vec<u64>,
    bare: Vec<u64>,
    /// Milliseconds of CPU of the server and of the signer, all rounds together.
    cpu: [u64; 2],
}

/// A withdrawal that was asked for.
#[derive(Debug)]
struct Asked {
    payment: u64,
    id: String,
}

struct Stand {
    house: House,
    server: Server,
    caller: Caller,
    signer: SignerProcess,
    client: Client,
    bare: File,
}

/// Nothing but the buckets' size is in the way, and they are large.
fn exchange(house: &House) -> String {
    let bucket = |size: &str| format!("{{ size = \"{size}\", refill_per_hour = \"0\" }}");
    let buckets = |size: &str| format!("{{ bound = {0}, aged = {0}, unvouched = {0} }}", bucket(size));
    let receipt_key = holdfast_authn::print_operator_key(&SigningKey::from_seed(&RECEIPT_SEED).public_key());
    format!(
        r#"
[parameters]
account_share_permille = 1000
small_reserve_permille = 1
[[tiers]]
name = "full"
usd_24h = "1000000000000.00"
usd_30d = "1000000000000.00"
[[signers]]
name = "{SIGNER}"
receipt_key = "{receipt_key}"
[[wallets]]
name = "btc-hot"
buckets = {dollars}
chains = [{{ network = "bitcoin", descriptors = {descriptors}, fee_max = "0.01", fee_bucket = {fees} }}]
[[wallets]]
name = "eth-hot"
buckets = {dollars}
chains = [{{ network = "ethereum", address = "{EVM_HOT}", fee_max = "0.05", fee_bucket = {fees} }}]
[[assets]]
symbol = "BTC"
decimals = 8
networks = [{{ network = "bitcoin", wallet = "btc-hot" }}]
buckets = {units}
[[assets]]
symbol = "USDT"
decimals = 6
networks = [{{ network = "ethereum", wallet = "eth-hot", contract = "{TOKEN}" }}]
buckets = {units}
[overall]
bound = {overall}
aged = {overall}
unvouched = {overall}
"#,
        dollars = buckets("1000000000000.00"),
        descriptors = house.descriptors(),
        fees = bucket("100000"),
        units = buckets("1000000000"),
        overall = bucket("1000000000000.00"),
    )
}

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let [full, quick] = ROUNDS;
    let rounds = if options.quick { quick } else { full };
    let dir = options.directory("transactions")?;
    std::fs::create_dir_all(&dir)?;
    let house = House::new()?;
    std::fs::write(dir.join("exchange.toml"), exchange(&house))?;
    let scopes = "read,service,prices,halt,wallet";
    let server = Server::start(&dir.join("server"), &dir.join("exchange.toml"), &options.pack(), scopes)?;
    let folder = dir.join("signer");
    receipt_key(&folder)?;
    make_signer(&folder, &house.pins(&server.release_key))?;
    let signer = SignerProcess::start(&folder)?;
    price(&server)?;
    let mut asked = ask(&server, rounds.saturating_add(WARM))?;
    let mut stand = Stand {
        caller: server.caller()?,
        client: signer.client()?,
        signer,
        bare: File::options().append(true).create(true).open(dir.join("bare"))?,
        house,
        server,
    };
    let mut all: Vec<Times> = CASES.iter().map(|_| Times::default()).collect();
    for round in 0..rounds.saturating_add(WARM) {
        if round % 20 == 0 {
            progress(&format!("transactions: round {round} of {rounds}"));
            price(&stand.server)?;
        }
        for ((case, times), asked) in CASES.iter().zip(&mut all).zip(&mut asked) {
            let batch = asked.split_off(asked.len().saturating_sub(usize::try_from(case.outputs)?));
            let mut warm = Times::default();
            let times = if round < WARM { &mut warm } else { times };
            let before = stand.cpu()?;
            stand.measure(*case, &batch, times)?;
            for ((sum, before), after) in times.cpu.iter_mut().zip(before).zip(stand.cpu()?) {
                *sum += after.saturating_sub(before);
            }
        }
    }
    let mut report = report(&all)?;
    report.note(format!(
        "CPU of the server's threads, making the withdrawals included: {}.",
        stand.server.threads()?
    ));
    report.note(busy()?);
    report.note(format!(
        "{} rounds over all rows in turn, three before them uncounted; {} withdrawals, each to an address of its own, \
         were asked for and approved before. Bench, server and signer share the machine's cores.",
        grouped(rounds),
        grouped(withdrawals(rounds.saturating_add(WARM))),
    ));
    drop(stand);
    std::fs::remove_dir_all(&dir)?;
    Ok(report)
}

fn withdrawals(rounds: u64) -> u64 {
    rounds.saturating_mul(CASES.iter().map(|case| case.outputs).sum())
}

/// The signer's key is there before the exchange is made, which names its public half.
fn receipt_key(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir_all(folder)?;
    let file = folder.join("receipt.key");
    std::fs::write(&file, format!("{}\n", to_base64url(&RECEIPT_SEED)))?;
    Ok(std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600))?)
}

fn price(server: &Server) -> Result<(), Failure> {
    server.price(&[("BTC", "5900.00"), ("USDT", "1.00")])
}

/// Asks for the withdrawals of every round and waits until all are approved; those of each case.
fn ask(server: &Server, rounds: u64) -> Result<Vec<Vec<Asked>>, Failure> {
    let accounts = withdrawals(rounds).div_ceil(WITHDRAWALS_PER_ACCOUNT);
    progress(&format!("transactions: {} withdrawals", grouped(withdrawals(rounds))));
    server.open_accounts(accounts)?;
    let (mut first, mut all) = (0, Vec::new());
    for case in CASES {
        let withdrawal = |number: u64| -> Result<Vec<u8>, Failure> {
            let payment = first + number;
            let body = json!({
                "account": format!("ac_{}", payment % accounts), "asset": case.kind.asset(),
                "network": case.kind.network().name(), "address": address(case.kind, payment)?,
                "amount": case.kind.amount(), "channel": { "session": { "one_time_code": true } } });
            let key = format!("idempotency-key: bench-{payment}\r\n");
            Ok(server.request("POST", "/v1/withdrawals", &key, &body.to_string()))
        };
        let count = rounds.saturating_mul(case.outputs);
        let answers = server.each(count, withdrawal)?;
        let asked = |(payment, answer): (u64, Value)| -> Result<Asked, Failure> {
            let id = answer.get("id").and_then(Value::as_str).ok_or("a withdrawal without an id")?.to_owned();
            Ok(Asked { payment, id })
        };
        all.push((first..).zip(answers).map(asked).collect::<Result<Vec<_>, _>>()?);
        first += count;
    }
    progress("transactions: waiting for their approval");
    let deadline = Instant::now() + APPROVAL;
    let mut caller = server.caller()?;
    for asked in &all {
        // The last was asked for last; what is held would be dropped below, by name.
        let Some(last) = asked.last() else { continue };
        let path = format!("/v1/withdrawals/{}", last.id);
        loop {
            let answer = caller.call(&server.request("GET", &path, "", ""))?;
            match answer.get("status").and_then(Value::as_str) {
                Some("approved") => break,
                Some("dwelling" | "queued") if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(500));
                }
                _ => return Err(format!("a withdrawal is not approved: {answer}").into()),
            }
        }
    }
    Ok(all)
}

impl Stand {
    fn cpu(&self) -> Result<[u64; 2], Failure> {
        Ok([self.server.cpu_millis()?, self.signer.cpu_millis()?])
    }

    fn measure(&mut self, case: Case, batch: &[Asked], times: &mut Times) -> Result<(), Failure> {
        let payments: Vec<u64> = batch.iter().map(|asked| asked.payment).collect();
        let ids: Vec<&str> = batch.iter().map(|asked| asked.id.as_str()).collect();
        let transaction = self.house.transaction(case.kind, case.coins, &payments)?;
        let body = json!({
            "signer": SIGNER, "wallet": case.kind.wallet(), "network": case.kind.network().name(),
            "transaction": to_base64(&transaction), "withdrawals": ids });
        let request = self.server.request("POST", "/v1/transactions", "", &body.to_string());
        let health = self.server.request("GET", "/health", "", "");
        let began = Instant::now();
        self.caller.send(&health)?;
        push(&mut times.health, began.elapsed())?;

        let began = Instant::now();
        let answer = self.caller.call(&request)?;
        let Some(release) = answer.get("release").and_then(Value::as_str) else {
            return Err(format!("not released: {answer}").into());
        };
        let release = base64(release.as_bytes()).ok_or("the release is no base64")?;
        let posted = began.elapsed();
        let authorised = self.client.authorise(&release, &transaction)?;
        let signed = began.elapsed();
        let body = json!({ "receipt": to_base64(&authorised.receipt) }).to_string();
        self.caller.call(&self.server.request("POST", "/v1/transactions/receipts", "", &body))?;
        let whole = began.elapsed();
        push(&mut times.post, posted)?;
        push(&mut times.signer, signed.saturating_sub(posted))?;
        push(&mut times.receipt, whole.saturating_sub(signed))?;
        push(&mut times.whole, whole)?;

        // As many bytes as the release has, which the store and the journal write in one form or another.
        let began = Instant::now();
        for _ in 0..SYNCS {
            self.bare.write_all(&release)?;
            self.bare.sync_data()?;
        }
        push(&mut times.bare, began.elapsed())?;
        std::thread::sleep(SETTLE);
        Ok(())
    }
}

fn push(times: &mut Vec<u64>, took: Duration) -> Result<(), Failure> {
    times.push(u64::try_from(took.as_nanos())?);
    Ok(())
}

fn report(all: &[Times]) -> Result<Report, Failure> {
    let mut report = Report::new("transactions");
    report.table(&[
        "POST /v1/transactions",
        "p50",
        "p99",
        "a second",
        "outputs a second",
        "/health p50",
        "server CPU",
        "signer CPU",
    ]);
    for (case, times) in CASES.iter().zip(all) {
        let rounds = times.post.len().try_into()?;
        let rate = per_second(rounds, times.post.iter().sum());
        let [server, signer] = times.cpu;
        let each = |sum: u64| millis(sum.saturating_mul(1_000_000).checked_div(rounds).unwrap_or(0));
        report.row(&[
            case.name,
            &millis(median(times.post.clone())),
            &millis(quantile(&times.post, 990)),
            &grouped(rate),
            &grouped(rate.saturating_mul(case.outputs)),
            &millis(median(times.health.clone())),
            &each(server),
            &each(signer),
        ]);
        report.value(format!("{}_post_micros", case.key), median(times.post.clone()) / 1_000);
    }
    report.table(&[
        "end to end",
        "released p50",
        "authorised p50",
        "receipt p50",
        "all p50",
        "p99",
        "three bare syncs",
        "of the time",
        "aim",
        "reached",
    ]);
    let aim = u64::try_from(AIM.as_nanos())?;
    for (case, times) in CASES.iter().zip(all) {
        let (whole, bare) = (median(times.whole.clone()), median(times.bare.clone()));
        let aimed = case.outputs == 200;
        report.row(&[
            case.name,
            &millis(median(times.post.clone())),
            &millis(median(times.signer.clone())),
            &millis(median(times.receipt.clone())),
            &millis(whole),
            &millis(quantile(&times.whole, 990)),
            &millis(bare),
            &percent(permille(bare, whole)),
            if aimed { "under 50 ms" } else { "-" },
            if aimed { reached(whole < aim) } else { "-" },
        ]);
        report.value(format!("{}_whole_micros", case.key), whole / 1_000);
        report.value(format!("{}_whole_p99_micros", case.key), quantile(&times.whole, 990) / 1_000);
    }
    Ok(report)
}
