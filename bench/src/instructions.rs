//! Instruction counts of a few fixed workloads, by callgrind: the same on a busy machine as on an idle one. The committed
//! counts are in `bench/instructions.txt`; whoever moves one by 5 % says why.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use holdfast_decision::event::Events;
use holdfast_decision::{State, decide, fold};
use holdfast_journal::{Record, record_hash};
use holdfast_policy::{Action, Findings, Program};
use holdfast_values::Timestamp;

use crate::report::{Report, grouped, permille};
use crate::world::{self, Timed};
use crate::{Failure, Options, progress};

/// What is counted.
const WORKLOADS: [(&str, &str); 5] = [
    ("decide", "decide a session's withdrawal under baseline"),
    ("fold", "fold it"),
    ("encode", "encode its record"),
    ("hash", "hash its record"),
    ("evaluate", "evaluate baseline on its facts"),
];

/// How often: the difference of the two is divided, so that setting up is not counted.
const TIMES: [u64; 2] = [200, 1_200];
/// Accounts of the little exchange.
const ACCOUNTS: u64 = 400;
/// A difference of this much, in 1/1000, is to be explained.
const TOLERANCE: u64 = 50;
/// The committed counts, from the root.
const COMMITTED: &str = "bench/instructions.txt";

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let program = options.directory("program")?;
    std::fs::create_dir_all(&program)?;
    let policy = world::policy(Some(&options.pack()))?;
    std::fs::write(program.join("program"), &policy.program)?;
    std::fs::write(program.join("hash"), policy.hash)?;
    let path = options.root().join(COMMITTED);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let mut report = Report::new("instructions");
    report.table(&["workload", "instructions", "committed", "difference"]);
    let mut text = format!(
        "# Instructions of one pass through fixed workloads, counted by callgrind in a release build.\n\
         # `cargo xtask bench instructions` compares; with --write it writes this file. A difference of 5 % says why.\n\
         # {}\n",
        compiler(),
    );
    let mut moved = Vec::new();
    for (name, about) in WORKLOADS {
        progress(&format!("instructions: {name}"));
        let [few, many] = TIMES.map(|times| counted(name, times, &program));
        let [less, more] = TIMES;
        let each = many?.saturating_sub(few?) / (more - less);
        let before = committed.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok());
        let difference = before.map(|before| (permille(each.abs_diff(before), before), each < before));
        let shown = match difference {
            None => "-".to_owned(),
            Some((by, fewer)) => format!("{}{}.{} %", if fewer { '-' } else { '+' }, by / 10, by % 10),
        };
        if difference.is_none_or(|(by, _)| by > TOLERANCE) {
            moved.push(name);
        }
        report.row(&[about, &grouped(each), &before.map_or("-".to_owned(), grouped), &shown]);
        report.value(name, each);
        let _infallible = writeln!(text, "{name} {each}");
    }
    std::fs::remove_dir_all(&program)?;
    report.note(if moved.is_empty() {
        "All within 5 % of the committed counts.".to_owned()
    } else {
        format!("MOVED by more than 5 %, or new: {}. Say why, and run with --write.", moved.join(", "))
    });
    if options.is_writing() {
        std::fs::write(path, text)?;
    }
    Ok(report)
}

fn compiler() -> String {
    let output = Process::new("rustc").arg("--version").output();
    let text =
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if text.is_empty() { "an unknown compiler".to_owned() } else { text }
}

/// Instructions of a process that does a workload so many times.
fn counted(name: &str, times: u64, program: &Path) -> Result<u64, Failure> {
    let output = Process::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .arg("--child")
        .arg(format!("workload-{name}-{times}"))
        .arg(program)
        .stdout(Stdio::null())
        .output()
        .map_err(|error| format!("valgrind: {error}; install it to count instructions"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok());
    count.ok_or_else(|| format!("callgrind counted nothing: {}", said.trim()).into())
}

/// The process behind a count.
pub(crate) fn workload(mode: &str, dir: &Path) -> Result<serde_json::Value, Failure> {
    let (name, times) = mode.rsplit_once('-').ok_or("a workload has a name and a number")?;
    let times = times.parse()?;
    let policy = holdfast_decision::command::PolicySource {
        hash: std::fs::read(dir.join("hash"))?.try_into().map_err(|_| "a hash has 32 bytes")?,
        files: Vec::new(),
        program: std::fs::read(dir.join("program"))?,
        compiler: None,
    };
    let program = Program::from_bytes(&policy.program)?;
    let mut state = world::warm_state(policy, ACCOUNTS, ACCOUNTS)?;
    let commands = session_requests()?;
    let mut events = Events::new();
    let mut passes = commands.iter().cycle();
    let mut next = || passes.next().ok_or("there are no commands");
    match name {
        "decide" => {
            for _ in 0..times {
                let (at, command) = next()?;
                decide(&state, *at, black_box(command), &mut events);
                black_box(&events);
            }
        }
        "fold" => folds(&mut state, times)?,
        "encode" => {
            let (at, command) = next()?;
            decide(&state, *at, command, &mut events);
            for _ in 0..times {
                black_box(minicbor::to_vec(black_box(command))?);
                black_box(minicbor::to_vec(black_box(&events))?);
            }
        }
        "hash" => {
            let (at, command) = next()?;
            decide(&state, *at, command, &mut events);
            let record = Record {
                sequence: 1,
                time: at.0,
                rules: 1,
                policy: program.hash(),
                command: minicbor::to_vec(command)?,
                events: minicbor::to_vec(&events)?,
                previous: [1; 32],
                hash: [0; 32],
            };
            for _ in 0..times {
                black_box(record_hash(black_box(&record)));
            }
        }
        "evaluate" => {
            let facts = holdfast_cedar::cases::ordinary();
            let mut findings = Findings::new();
            for _ in 0..times {
                program.evaluate(Action::Withdraw, black_box(&facts), &mut findings);
                black_box(&findings);
            }
        }
        _ => return Err(format!("there is no workload `{name}`").into()),
    }
    Ok(serde_json::json!({ "times": times }))
}

/// Withdrawals that sessions ask for, after those that State has seen.
fn session_requests() -> Result<Vec<Timed>, Failure> {
    let all = world::requests(ACCOUNTS..ACCOUNTS * 2, ACCOUNTS)?;
    let is_session = |(_, command): &Timed| {
        use holdfast_decision::command::{Command, Evidence};
        matches!(command, Command::RequestWithdrawal(request) if matches!(request.evidence, Evidence::Session { .. }))
    };
    Ok(all.into_iter().filter(is_session).take(64).collect())
}

/// Folds withdrawals that were decided one after another. Deciding them is not counted: for each one folded, the
/// few and the many runs decide as many, since the latter prepare all of theirs first.
fn folds(state: &mut State, times: u64) -> Result<(), Failure> {
    let mut twin_bytes = Vec::new();
    state.encode(&mut twin_bytes);
    let mut prepared: Vec<(Timestamp, Events)> = Vec::new();
    let most = TIMES.into_iter().max().unwrap_or(times);
    let mut twin = State::decode(&twin_bytes)?;
    for (at, command) in world::requests(ACCOUNTS..ACCOUNTS + most, ACCOUNTS)? {
        let mut events = Events::new();
        decide(&twin, at, &command, &mut events);
        let sequence = twin.sequence() + 1;
        fold(&mut twin, sequence, at, &events);
        prepared.push((at, events));
    }
    let times = usize::try_from(times)?;
    for (at, events) in prepared.iter().take(times) {
        let sequence = state.sequence() + 1;
        fold(state, sequence, *at, black_box(events));
    }
    Ok(())
}
