//! Measures group appends against a bare append + fdatasync loop of the same bytes, in the same run.
//!
//! `cargo run -p holdfast-journal --example append [DIR]`: medians of five interleaved runs, in records a second.
#![expect(clippy::print_stdout, reason = "a measurement prints what it measured")]

use std::error::Error;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use holdfast_journal::{Draft, Journal, LocalJournal};

const RUNS: usize = 5;
/// Group sizes and how many groups a run appends.
const GROUPS: [(usize, usize); 3] = [(1, 3000), (16, 2000), (256, 600)];
/// Command and events together, of each record.
const RECORD_BYTES: usize = 300;

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = root.join(format!("holdfast-append-{}", std::process::id()));
    for (size, groups) in GROUPS {
        let group = group(size);
        let (mut bare, mut journal) = (Vec::new(), Vec::new());
        for _ in 0..RUNS {
            bare.push(run(&dir, &group, groups, append_bare)?);
            journal.push(run(&dir, &group, groups, append_journal)?);
        }
        let ((bare, bare_p99, _), (journal, p99, worst)) = (median(bare), median(journal));
        println!(
            "groups of {size:3}: bare {bare:8} records/s (p99 {bare_p99} us), journal {journal:8} records/s \
             (p99 {p99} us, worst {worst} us), {} %",
            (journal * 100).checked_div(bare).unwrap_or(0),
        );
    }
    println!("reading back, checked: {} records/s", read_back(&dir)?);
    Ok(())
}

/// Records a second that a reader hands out, hashes and chain checked, without other work.
fn read_back(dir: &Path) -> Result<u128, Box<dyn Error>> {
    fs::create_dir_all(dir)?;
    let mut journal = LocalJournal::create(dir)?;
    for _ in 0..400 {
        journal.append(&group(256))?;
    }
    let reader = journal.reader()?;
    let start = Instant::now();
    let mut count = 0_u128;
    for record in reader.records(1) {
        record?;
        count += 1;
    }
    let rate = (count * 1_000_000).checked_div(start.elapsed().as_micros()).unwrap_or(0);
    fs::remove_dir_all(dir)?;
    Ok(rate)
}

fn group(size: usize) -> Vec<Draft> {
    let part = |n: usize| (0..RECORD_BYTES / 2).map(|i| (i * 31 + n * 7).to_le_bytes()[0]).collect();
    (0..size)
        .map(|n| Draft {
            time: 1_700_000_000_000_000,
            rules: 1,
            policy: [9; 32],
            command: part(n),
            events: part(n + 1),
        })
        .collect()
}

/// Records a second, 99th percentile and worst of a group in microseconds.
type Measured = (u64, u128, u128);
type Append = fn(&Path, &[Draft], usize) -> Result<Vec<Duration>, Box<dyn Error>>;

fn run(dir: &Path, group: &[Draft], groups: usize, append: Append) -> Result<Measured, Box<dyn Error>> {
    fs::create_dir_all(dir)?;
    let mut times = append(dir, group, groups)?;
    fs::remove_dir_all(dir)?;
    let total: Duration = times.iter().sum();
    times.sort_unstable();
    let at = |n: usize| times.get(n.min(times.len().saturating_sub(1))).map_or(0, Duration::as_micros);
    let records = (group.len() * groups) as u128 * 1_000_000;
    let rate = u64::try_from(records.checked_div(total.as_micros()).unwrap_or(0))?;
    Ok((rate, at(times.len() * 99 / 100), at(times.len())))
}

fn append_bare(dir: &Path, group: &[Draft], groups: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut file = File::options().append(true).create(true).open(dir.join("bare"))?;
    let mut times = Vec::with_capacity(groups);
    for _ in 0..groups {
        let start = Instant::now();
        let mut bytes = Vec::new();
        for draft in group {
            bytes.extend_from_slice(&draft.command);
            bytes.extend_from_slice(&draft.events);
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    Ok(times)
}

fn append_journal(dir: &Path, group: &[Draft], groups: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut journal = LocalJournal::create(dir)?;
    let mut times = Vec::with_capacity(groups);
    for _ in 0..groups {
        let start = Instant::now();
        journal.append(group)?;
        times.push(start.elapsed());
    }
    Ok(times)
}

/// The run whose rate is the median.
fn median(mut runs: Vec<Measured>) -> Measured {
    runs.sort_unstable();
    runs.get(runs.len() / 2).copied().unwrap_or_default()
}
