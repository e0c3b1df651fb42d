//! A million accounts: memory, snapshot, restart from a cold cache, events folded a second.
//!
//! Each measurement runs in a process of its own, so that one's memory is not another's; the data directory goes from the
//! process that writes it to the one that starts from it.

use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use holdfast_decision::command::Command;
use holdfast_decision::event::{Event, Events};
use holdfast_decision::lookup::Slab;
use holdfast_decision::window::Window;
use holdfast_decision::{State, fold};
use holdfast_journal::{Draft, Journal, LocalJournal, LocalReader, Snapshots};
use holdfast_values::{Fingerprint, Timestamp, UsdCents, time};

use crate::report::{Report, grouped, per_second, ratio, reached, tenths};
use crate::world::{self, Random, START};
use crate::{Failure, Options, cpu, progress};

/// Accounts in one part of the import: its record must stay under 1 MiB.
const PART: u64 = 2_000;
/// Records a group while the directory is made.
const GROUP: usize = 256;
/// Records read and decoded at once, as the server's recovery does.
const BATCH: usize = 4_096;

/// How large: accounts, how many of them ask for withdrawals, records after the snapshot.
struct Scale {
    accounts: u64,
    asking: u64,
    tail: u64,
}

impl Scale {
    const fn of(options: &Options) -> Self {
        if options.quick {
            Self { accounts: 100_000, asking: 20_000, tail: 50_000 }
        } else {
            Self { accounts: 1_000_000, asking: 200_000, tail: 500_000 }
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let scale = Scale::of(options);
    let dir = options.directory("size")?;
    let mut report = Report::new("size");
    let made = child(options, "size-make", &dir)?;
    let windows = child(options, "size-windows", &dir)?;
    let cache = drop_cache(&dir);
    let restarted = child(options, "size-restart", &dir)?;
    std::fs::remove_dir_all(&dir)?;

    let number = |values: &serde_json::Value, name: &str| {
        values.get(name).and_then(serde_json::Value::as_u64).unwrap_or(0)
    };
    let account = ratio(u128::from(number(&made, "import_rss")), u128::from(scale.accounts));
    let destination = ratio(u128::from(number(&windows, "rss")), u128::from(number(&windows, "count")));
    let whole = account + world::ADDRESSES * destination;
    let open = ratio(u128::from(number(&made, "tail_rss")), u128::from(number(&made, "opened")));
    let restart = number(&restarted, "total_ms");
    let folded = per_second(number(&restarted, "events"), number(&restarted, "tail_ms") * 1_000_000);
    let alone = per_second(number(&restarted, "events"), number(&restarted, "fold_nanos"));

    report.table(&["at this size", "measured", "aim", "reached"]);
    let mut line = |what: &str, measured: String, aim: &str, met: Option<bool>| {
        report.row(&[what, &measured, aim, met.map_or("-", reached)]);
    };
    let bytes = |value: u64| format!("{} bytes", grouped(value));
    line("accounts", grouped(scale.accounts), "-", None);
    line(
        "memory per account: 1 key, 3 addresses, 8 withdrawals",
        bytes(account),
        "under 1,000",
        Some(account < 1_000),
    );
    line(
        "the same, with a window for each of its 3 destinations",
        bytes(whole),
        "under 1,000",
        Some(whole < 1_000),
    );
    line("memory per destination's window", bytes(destination), "-", None);
    line("memory per open withdrawal, its windows and keys included", bytes(open), "-", None);
    line("snapshot", format!("{} MB", grouped(number(&made, "snapshot_bytes") / 1_000_000)), "-", None);
    line(
        "encoding and hashing it (the writer stands still)",
        format!("{} ms", grouped(number(&made, "encode_ms"))),
        "-",
        None,
    );
    line(
        "writing and syncing it (beside the writer)",
        format!("{} ms", grouped(number(&made, "write_ms"))),
        "-",
        None,
    );
    line("records after the snapshot", grouped(number(&restarted, "records")), "-", None);
    line("restart, cold cache", format!("{} s", tenths(restart)), "under 10 s", Some(restart < 10_000));
    line("  of it opening the journal", format!("{} ms", grouped(number(&restarted, "open_ms"))), "-", None);
    line("  of it loading the snapshot", format!("{} ms", grouped(number(&restarted, "load_ms"))), "-", None);
    line(
        "  of it folding the records after it",
        format!("{} ms", grouped(number(&restarted, "tail_ms"))),
        "-",
        None,
    );
    line(
        "events folded a second, read and decoded meanwhile",
        grouped(folded),
        "200,000",
        Some(folded >= 200_000),
    );
    line(
        "events folded a second of the folding thread's CPU",
        grouped(alone),
        "200,000",
        Some(alone >= 200_000),
    );
    for (name, value) in [
        ("account_bytes", account),
        ("destination_bytes", destination),
        ("account_with_destinations_bytes", whole),
        ("open_withdrawal_bytes", open),
        ("snapshot_bytes", number(&made, "snapshot_bytes")),
        ("restart_ms", restart),
        ("events_per_second", folded),
        ("events_per_second_folding_alone", alone),
    ] {
        report.value(name, value);
    }
    report.note(format!(
        "What was done: {} accounts through `ImportChunk` commands of {} each, every one with 1 key (an allowlist of one), 3 \
         addresses and 8 past withdrawals spread over 29 days; then a snapshot; then {} records of ordinary traffic \
         (`RequestWithdrawal` under baseline, 40 % to new addresses, ticks, prices) from {} of the accounts. Memory is the \
         growth of the resident set over the import, over the traffic, and, for destinations' windows, over {} windows \
         with 3 withdrawals each, made alone. An import brings no windows of destinations: only requests do.",
        grouped(scale.accounts),
        grouped(PART),
        grouped(number(&restarted, "records")),
        grouped(scale.asking),
        grouped(number(&windows, "count")),
    ));
    report.note(format!("The page cache was dropped before the restart: {cache}. The state hash after it equals the one before."));
    Ok(report)
}

/// Runs another process of this program and reads what it measured.
fn child(options: &Options, mode: &str, dir: &Path) -> Result<serde_json::Value, Failure> {
    let mut process = Process::new(std::env::current_exe()?);
    process.arg("--child").arg(mode).arg(dir).stderr(Stdio::inherit());
    if options.quick {
        process.arg("--quick");
    }
    let output = process.output()?;
    if !output.status.success() {
        return Err(format!("{mode} failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Resident bytes of this process.
fn resident() -> Result<u64, Failure> {
    let text = std::fs::read_to_string("/proc/self/statm")?;
    let pages: u64 = text.split_whitespace().nth(1).ok_or("/proc/self/statm has no second field")?.parse()?;
    Ok(pages * 4_096)
}

fn drop_cache(dir: &Path) -> &'static str {
    // What is dirty cannot be dropped.
    drop(Process::new("sync").status());
    if std::fs::write("/proc/sys/vm/drop_caches", "1").is_ok() {
        return "all of it, by /proc/sys/vm/drop_caches";
    }
    let mut paths = vec![dir.to_owned()];
    let mut all = true;
    while let Some(path) = paths.pop() {
        if path.is_dir() {
            paths.extend(std::fs::read_dir(&path).into_iter().flatten().flatten().map(|entry| entry.path()));
        } else {
            // With nothing to copy, dd advises the kernel that the whole file is not needed.
            let source = format!("if={}", path.display());
            let status =
                Process::new("dd").args([&source, "iflag=nocache", "count=0", "status=none"]).status();
            all &= status.is_ok_and(|status| status.success());
        }
    }
    if all { "the directory's files, by posix_fadvise" } else { "NOT: neither drop_caches nor dd works here" }
}

/// The processes behind this part.
pub(crate) fn as_child(options: &Options, mode: &str, dir: &Path) -> Result<serde_json::Value, Failure> {
    match mode {
        "size-make" => make(options, dir),
        "size-windows" => windows(&Scale::of(options)),
        "size-restart" => restart(dir),
        _ => Err(format!("there is no process `{mode}`").into()),
    }
}

/// A journal and what it is filled with.
struct Filling {
    state: State,
    journal: LocalJournal,
    group: Vec<Draft>,
    events: Events,
}

impl Filling {
    fn put(&mut self, at: Timestamp, command: &Command) -> Result<(), Failure> {
        self.group.extend(world::record(&mut self.state, at, command, &mut self.events)?);
        if self.group.len() >= GROUP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.journal.append(&self.group)?;
        self.group.clear();
        Ok(())
    }
}

fn make(options: &Options, dir: &Path) -> Result<serde_json::Value, Failure> {
    let scale = Scale::of(options);
    let policy = world::policy(Some(&options.pack()))?;
    let journal = LocalJournal::create(dir)?;
    let mut filling = Filling { state: State::new(), journal, group: Vec::new(), events: Events::new() };
    filling.put(START, &world::initialise(policy)?)?;
    filling.put(START, &world::prices()?)?;
    let parts = scale.accounts.div_ceil(PART);
    let digest = |part: u64| *blake3::hash(&part.to_be_bytes()).as_bytes();
    filling.put(START, &world::authorise_import((0..parts).map(digest).collect(), START)?)?;
    filling.flush()?;
    let before = resident()?;
    for part in 0..parts {
        if part.is_multiple_of(parts.div_ceil(5)) {
            progress(&format!(
                "size: importing, {} of {} accounts",
                grouped(part * PART),
                grouped(scale.accounts)
            ));
        }
        let numbers = part * PART..((part + 1) * PART).min(scale.accounts);
        let accounts = numbers.map(|number| world::imported(number, number < scale.asking));
        let command =
            Command::ImportChunk { digest: digest(part), accounts: accounts.collect::<Result<_, _>>()? };
        filling.put(START, &command)?;
        filling.flush()?;
    }
    let import_rss = resident()?.saturating_sub(before);

    progress("size: snapshot");
    let began = Instant::now();
    let mut bytes = Vec::new();
    filling.state.encode(&mut bytes);
    let state_hash = *blake3::hash(&bytes).as_bytes();
    let encode = began.elapsed();
    let head = filling.journal.head();
    let began = Instant::now();
    Snapshots::new(dir).write(head, &bytes)?;
    let write = began.elapsed();
    let snapshot_bytes = bytes.len();
    drop(bytes);
    filling.put(START, &Command::RecordSnapshot { sequence: head.sequence, state_hash })?;

    let before = resident()?;
    let (mut number, from) = (0, filling.state.sequence());
    while filling.state.sequence() < from + scale.tail {
        if number % (scale.tail / 5).max(1) == 0 {
            progress(&format!(
                "size: traffic, {} of {} records",
                grouped(filling.state.sequence() - from),
                grouped(scale.tail)
            ));
        }
        for (at, command) in world::requests(number..number + 1, scale.asking)? {
            while world::is_due(&filling.state, at) {
                filling.put(at, &Command::Tick)?;
            }
            filling.put(at, &command)?;
        }
        number += 1;
    }
    filling.flush()?;
    let tail_rss = resident()?.saturating_sub(before);
    let state_hash = filling.state.hash();
    std::fs::write(dir.join("state-hash"), state_hash)?;
    let opened = filling.state.withdrawals().count();
    filling.journal.close()?;
    Ok(serde_json::json!({
        "import_rss": import_rss,
        "tail_rss": tail_rss,
        "opened": opened,
        "snapshot_bytes": snapshot_bytes,
        "encode_ms": millis(encode),
        "write_ms": millis(write),
    }))
}

/// What State keeps for a destination; its own type is not public.
struct Shared(Window);

impl Default for Shared {
    fn default() -> Self {
        Self(Window::in_slots())
    }
}

/// As many windows as all accounts have destinations, with 3 withdrawals in 30 days each.
fn windows(scale: &Scale) -> Result<serde_json::Value, Failure> {
    let count = scale.accounts * world::ADDRESSES;
    progress(&format!("size: {} windows of destinations", grouped(count)));
    let mut slab: Slab<Fingerprint, Shared> = Slab::default();
    let mut random = Random(7);
    let before = resident()?;
    for number in 0..count {
        let key = world::fingerprint("nothing", &number.to_be_bytes());
        let mut times: [u64; 3] = std::array::from_fn(|_| random.below(29 * time::DAY));
        times.sort_unstable();
        if let Some(window) = slab.get_or_default(key) {
            for ago in times.into_iter().rev() {
                let at = START.minus(ago);
                window.0.add(at, at, UsdCents(1_000 + random.below(100_000)));
            }
        }
    }
    let rss = resident()?.saturating_sub(before);
    let len = slab.len();
    Ok(serde_json::json!({ "rss": rss, "count": len }))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

type Decoded = (u64, Timestamp, Vec<Event>);

/// What the server does when it starts: the newest snapshot, checked against the journal, and the records after it, one
/// thread reading and decoding, one folding.
fn restart(dir: &Path) -> Result<serde_json::Value, Failure> {
    progress("size: restart");
    let began = Instant::now();
    let journal = LocalJournal::open(dir, None)?;
    let (reader, head) = (journal.reader()?, journal.head());
    let opened = began.elapsed();
    let snapshots = Snapshots::new(dir);
    let sequence = snapshots.list()?.last().copied().ok_or("there is no snapshot")?;
    let snapshot = snapshots.load(sequence)?;
    let vouched = reader.read(sequence, 2)?;
    let record = vouched.first().ok_or("the snapshot's record is not there")?;
    if record.hash != snapshot.record_hash {
        return Err("the snapshot is of another journal".into());
    }
    let mut state = State::decode(&snapshot.body)?;
    drop(snapshot);
    let loaded = began.elapsed();
    let from = state.sequence() + 1;
    let (mut events, before) = (0, cpu::nanos()?);
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel::<Vec<Decoded>>(4);
        let reading = scope.spawn(move || -> Result<(), Failure> {
            let mut next = from;
            while next <= head.sequence {
                let batch = decoded(&reader, next)?;
                next = batch.last().ok_or("the journal ends early")?.0 + 1;
                sender.send(batch).map_err(|_| "nobody folds")?;
            }
            Ok(())
        });
        for batch in receiver {
            for (sequence, at, happened) in batch {
                events += happened.len();
                fold(&mut state, sequence, at, &happened);
            }
        }
        reading.join().map_err(|_| "the reading thread failed")?
    })?;
    let (total, folding) = (began.elapsed(), cpu::nanos()?.saturating_sub(before));
    if state.hash().as_slice() != std::fs::read(dir.join("state-hash"))? {
        return Err("the state after the restart is not the state before".into());
    }
    Ok(serde_json::json!({
        "total_ms": millis(total),
        "open_ms": millis(opened),
        "load_ms": millis(loaded.saturating_sub(opened)),
        "tail_ms": millis(total.saturating_sub(loaded)),
        "fold_nanos": folding,
        "events": events,
        "records": head.sequence + 1 - from,
    }))
}

fn decoded(reader: &LocalReader, from: u64) -> Result<Vec<Decoded>, Failure> {
    let records = reader.read(from, BATCH)?;
    let decoded = records.iter().map(|record| {
        Ok::<_, Failure>((record.sequence, Timestamp(record.time), minicbor::decode(&record.events)?))
    });
    decoded.collect()
}
