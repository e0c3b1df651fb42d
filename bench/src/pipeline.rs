//! Commands a second through intake, decision and journal, beside a bare append + fdatasync loop of the same bytes.
//!
//! The shape is the server's: one thread owns State, decides, folds and encodes; a committer appends group after group;
//! while one group is being synced the next one is decided, and no further. The threads here are of this crate, since
//! the server's own committer comes with all of the server.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use holdfast_decision::command::Command;
use holdfast_decision::event::{Event, Events};
use holdfast_decision::{State, decide, fold};
use holdfast_journal::{Draft, Journal as _, LocalJournal, Record, record_hash};
use holdfast_server::shadow::{Candidate, Shadow};

use crate::report::{Report, grouped, median, per_second, percent, permille, ratio, reached, tenths};
use crate::world::{self, Timed};
use crate::{Failure, Options, progress};

/// Interleaved runs of each kind.
const RUNS: usize = 5;

/// Group size, how many groups a run has, how many in a quick run, and the aim in 1/1000 of the bare loop.
const GROUPS: [(usize, usize, usize, Option<u64>); 3] =
    [(1, 4_000, 500, Some(600)), (16, 1_500, 150, Some(500)), (256, 300, 30, None)];

pub(crate) fn run(options: &Options) -> Result<Report, Failure> {
    let mut report = Report::new("pipeline");
    let pinned = pin("0");
    let (accounts, warm) = if options.quick { (5_000, 5_000) } else { (50_000, 70_000) };
    report.table(&[
        "policy and group",
        "commands/s",
        "p50 of a group",
        "p99",
        "bare loop/s",
        "of bare",
        "aim",
        "reached",
        "journal alone/s",
    ]);
    let mut stations = Vec::new();
    let mut shadow_note = None;
    for (name, pack) in [("empty pack", None), ("baseline", Some(options.pack()))] {
        progress(&format!("pipeline, {name}: {accounts} accounts, {warm} requests before the first"));
        let mut state = world::warm_state(world::policy(pack.as_deref())?, accounts, warm)?;
        let mut snapshot = Vec::new();
        state.encode(&mut snapshot);
        drop(std::mem::take(&mut state));
        let most =
            GROUPS.iter().map(|(size, full, quick, _)| size * if options.quick { *quick } else { *full });
        let most = u64::try_from(most.max().unwrap_or(0))?;
        let commands = world::requests(warm..warm + most, accounts)?;
        let mut costs = None;
        for (size, full, quick, aim) in GROUPS {
            let count = if options.quick { quick } else { full };
            let mut dry = Dry::new(State::decode(&snapshot)?);
            dry.run(&commands, size, count)?;
            let groups = std::mem::take(&mut dry.groups);
            costs = Some(dry);
            let measured = interleaved(options, (&snapshot, None), &commands, &groups)?;
            let records = u64::try_from(size * count)?;
            let [pipeline, bare, journal] = measured.nanos.map(|runs| per_second(records, median(runs)));
            let share = permille(pipeline, bare);
            let met = aim.map(|aim| reached(share >= aim)).unwrap_or("-");
            report.row(&[
                &format!("{name}, groups of {size}"),
                &grouped(pipeline),
                &micros(measured.p50),
                &micros(measured.p99),
                &grouped(bare),
                &percent(share),
                &aim.map_or("-".to_owned(), percent),
                met,
                &grouped(journal),
            ]);
            let key = format!("{}_{size}", name.replace(' ', "_"));
            report.value(format!("{key}_per_second"), pipeline);
            report.value(format!("{key}_bare_per_second"), bare);
            report.value(format!("{key}_journal_per_second"), journal);
            report.value(format!("{key}_permille_of_bare"), share);
            // A candidate that disagrees often, beside the group that a busy exchange has.
            if let (16, Some(live)) = (size, &pack) {
                let candidate = candidate(live)?;
                let measured = interleaved(options, (&snapshot, Some(&candidate)), &commands, &groups)?;
                let [pipeline, bare, journal] = measured.nanos.map(|runs| per_second(records, median(runs)));
                let share = permille(pipeline, bare);
                report.row(&[
                    &format!("{name}, groups of {size}, with a shadow"),
                    &grouped(pipeline),
                    &micros(measured.p50),
                    &micros(measured.p99),
                    &grouped(bare),
                    &percent(share),
                    "-",
                    "-",
                    &grouped(journal),
                ]);
                report.value(format!("{key}_shadow_per_second"), pipeline);
                let (each, dropped) = handing_over(options, &snapshot, &candidate, &commands, (size, count))?;
                report.value(format!("{key}_shadow_nanos"), each);
                shadow_note = Some(format!(
                    "With a shadow the writer hands over what the live policy was asked: {} us a record on its own thread (one \
                     run without a disk, {} of {} not compared because the queue was full). In the row with a shadow the \
                     comparing thread has the same one core as all others.",
                    tenths(each),
                    grouped(dropped),
                    grouped(records),
                ));
            }
        }
        if let Some(costs) = costs {
            stations.push((name, costs));
        }
    }
    report.table(&["station (CPU, one thread)", "empty pack", "share", "baseline", "share"]);
    let totals: Vec<u64> = stations.iter().map(|(_, dry)| dry.nanos().iter().map(|(_, n)| n).sum()).collect();
    let names: Vec<&str> =
        stations.first().map(|(_, dry)| dry.nanos().map(|(n, _)| n)).into_iter().flatten().collect();
    for (place, name) in names.into_iter().enumerate() {
        let mut cells = vec![name.to_owned()];
        for ((pack, dry), total) in stations.iter().zip(&totals) {
            let nanos = dry.nanos().get(place).map_or(0, |(_, nanos)| *nanos);
            let each = ratio(u128::from(nanos), u128::from(dry.records));
            cells.push(format!("{} us", tenths(each)));
            cells.push(percent(permille(nanos, *total)));
            report.value(format!("{}_{}_nanos", pack.replace(' ', "_"), name.replace(' ', "_")), each);
        }
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        report.row(&cells);
    }
    for (name, dry) in &stations {
        report.note(format!(
            "{name}: {} bytes a record on average (command {}, events {}); {} of {} records were ticks.",
            ratio(u128::from(dry.bytes), u128::from(dry.records)),
            ratio(u128::from(dry.command_bytes), u128::from(dry.records)),
            ratio(u128::from(dry.bytes - dry.command_bytes), u128::from(dry.records)),
            dry.ticks,
            dry.records,
        ));
    }
    if let Some(note) = shadow_note {
        report.note(note);
    }
    report.note(if pinned {
        "All threads of a loop ran on one core (taskset)."
    } else {
        "NOT on one core: there is no taskset here."
    });
    pin("0-1023");
    Ok(report)
}

/// Binds this process, and the threads that it starts from now on, to these cores; false if that cannot be done.
fn pin(cores: &str) -> bool {
    let mut process = std::process::Command::new("taskset");
    process.args(["-a", "-p", "-c", cores, &std::process::id().to_string()]);
    process.stdout(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
}

fn micros(nanos: u64) -> String {
    format!("{} us", grouped(nanos / 1_000))
}

struct Measured {
    /// Of the pipeline, the bare loop and the journal alone, a run each.
    nanos: [Vec<u64>; 3],
    p50: u64,
    p99: u64,
}

fn interleaved(
    options: &Options,
    (snapshot, candidate): (&[u8], Option<&Candidate>),
    commands: &[Timed],
    groups: &[Vec<Draft>],
) -> Result<Measured, Failure> {
    let mut nanos = [const { Vec::new() }; 3];
    let mut latencies = Vec::new();
    let size = groups.first().map_or(1, Vec::len);
    for number in 0..RUNS {
        progress(&format!("  groups of {size}: run {} of {RUNS}", number + 1));
        let state = State::decode(snapshot)?;
        let [pipeline, bare, journal] = &mut nanos;
        let took = in_directory(options, |dir| {
            pipelined(dir, (state, candidate), commands, (size, groups.len()), &mut latencies)
        })?;
        pipeline.push(took);
        bare.push(in_directory(options, |dir| bare_loop(dir, groups))?);
        journal.push(in_directory(options, |dir| journal_alone(dir, groups))?);
    }
    latencies.sort_unstable();
    let at = |place: usize| latencies.get(place).copied().unwrap_or(0);
    Ok(Measured { nanos, p50: at(latencies.len() / 2), p99: at(latencies.len() * 99 / 100) })
}

fn in_directory(
    options: &Options,
    work: impl FnOnce(&Path) -> Result<Duration, Failure>,
) -> Result<u64, Failure> {
    let dir = options.directory("pipeline")?;
    let took = work(&dir);
    std::fs::remove_dir_all(&dir)?;
    Ok(u64::try_from(took?.as_nanos())?)
}

/// What arrives: requests in order, and ticks before them when deadlines have come.
struct Inbox<'c> {
    commands: std::iter::Peekable<std::slice::Iter<'c, Timed>>,
}

static TICK: Command = Command::Tick;

impl<'c> Inbox<'c> {
    fn new(commands: &'c [Timed]) -> Self {
        Self { commands: commands.iter().peekable() }
    }

    fn next(&mut self, state: &State) -> Result<(holdfast_values::Timestamp, &'c Command), Failure> {
        match self.commands.peek() {
            Some((at, _)) if world::is_due(state, *at) => Ok((*at, &TICK)),
            Some(_) => self.commands.next().map(|(at, command)| (*at, command)).ok_or_else(ran_out),
            None => Err(ran_out()),
        }
    }
}

fn ran_out() -> Failure {
    Failure::from("the commands ran out")
}

/// One group, decided, folded and encoded.
fn fill(
    (state, shadow): (&mut State, Option<&Shadow>),
    inbox: &mut Inbox<'_>,
    size: usize,
    events: &mut Events,
) -> Result<Vec<Draft>, Failure> {
    let mut group = Vec::with_capacity(size);
    while group.len() < size {
        let (at, command) = inbox.next(state)?;
        let see = |state: &State, events: &[Event]| {
            if let Some(shadow) = shadow {
                shadow.see(state, at, command, events);
            }
        };
        group.extend(world::record_seen(state, at, command, events, see)?);
    }
    Ok(group)
}

/// The live pack with a hold that two in five more meet.
fn candidate(live: &Path) -> Result<Candidate, Failure> {
    let live = holdfast_cedar::load_dir(live).map_err(|error| error.to_string())?;
    let overlay = "@id(\"bench-new\") @outcome(\"hold\") @reason(\"new_destination\")\n\
                   forbid (principal, action == Action::\"withdraw\", resource) when { !context.destination.known };\n";
    let mut files = live.files;
    files.push(("overlay.cedar".to_owned(), overlay.to_owned()));
    let pack = holdfast_cedar::compile_pack(&files).map_err(|error| error.to_string())?;
    Ok(Candidate {
        hash: pack.hash,
        files: pack.files.into_iter().collect(),
        program: pack.program,
        by: "bench".parse()?,
        since: world::START,
    })
}

fn shadowed(dir: &Path, candidate: &Candidate) -> Result<Shadow, Failure> {
    std::fs::create_dir_all(dir)?;
    let shadow = Shadow::open(dir);
    shadow.start(candidate.clone())?;
    Ok(shadow)
}

/// What handing over costs the writer, in nanoseconds a record, and how many were not compared.
fn handing_over(
    options: &Options,
    snapshot: &[u8],
    candidate: &Candidate,
    commands: &[Timed],
    (size, groups): (usize, usize),
) -> Result<(u64, u64), Failure> {
    let dir = options.directory("pipeline")?;
    let shadow = shadowed(&dir, candidate)?;
    let mut state = State::decode(snapshot)?;
    let (mut inbox, mut events) = (Inbox::new(commands), Events::new());
    let mut spent = Duration::ZERO;
    for _ in 0..size * groups {
        let (at, command) = inbox.next(&state)?;
        let see = |state: &State, events: &[Event]| {
            let began = Instant::now();
            shadow.see(state, at, command, events);
            spent += began.elapsed();
        };
        world::record_seen(&mut state, at, command, &mut events, see)?;
    }
    let dropped = shadow.status().map_or(0, |status| status.dropped);
    shadow.close();
    std::fs::remove_dir_all(&dir)?;
    Ok((ratio(spent.as_nanos(), (size * groups) as u128), dropped))
}

/// The server's shape: decides the next group while the last one syncs. `latencies` gets, for each group, the time from
/// the first command's decision to its durability.
fn pipelined(
    dir: &Path,
    (mut state, candidate): (State, Option<&Candidate>),
    commands: &[Timed],
    (size, groups): (usize, usize),
    latencies: &mut Vec<u64>,
) -> Result<Duration, Failure> {
    let mut journal = LocalJournal::create(dir)?;
    let shadow = candidate.map(|candidate| shadowed(dir, candidate)).transpose()?;
    let (batches, receiver) = mpsc::sync_channel::<Vec<Draft>>(1);
    let (done, durable) = mpsc::channel::<Instant>();
    std::thread::scope(|scope| {
        let committer = scope.spawn(move || -> Result<(), Failure> {
            while let Ok(group) = receiver.recv() {
                journal.append(&group)?;
                done.send(Instant::now())?;
            }
            Ok(())
        });
        let mut inbox = Inbox::new(commands);
        let mut events = Events::new();
        let mut in_flight: Option<Instant> = None;
        let lost = || Failure::from("the committer ended");
        let mut acknowledge = |began: Instant, ended: Instant| {
            latencies.push(u64::try_from(ended.duration_since(began).as_nanos()).unwrap_or(u64::MAX));
        };
        let started = Instant::now();
        for _ in 0..groups {
            let began = Instant::now();
            let group = fill((&mut state, shadow.as_ref()), &mut inbox, size, &mut events)?;
            if let Some(before) = in_flight.replace(began) {
                acknowledge(before, durable.recv().map_err(|_| lost())?);
            }
            batches.send(group).map_err(|_| lost())?;
        }
        if let Some(before) = in_flight {
            acknowledge(before, durable.recv().map_err(|_| lost())?);
        }
        let took = started.elapsed();
        drop(batches);
        if let Some(shadow) = &shadow {
            shadow.close();
        }
        committer.join().map_err(|_| lost())??;
        Ok(took)
    })
}

fn bare_loop(dir: &Path, groups: &[Vec<Draft>]) -> Result<Duration, Failure> {
    std::fs::create_dir_all(dir)?;
    let mut file = File::options().append(true).create(true).open(dir.join("bare"))?;
    let mut bytes = Vec::new();
    let started = Instant::now();
    for group in groups {
        bytes.clear();
        for draft in group {
            bytes.extend_from_slice(&draft.command);
            bytes.extend_from_slice(&draft.events);
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
    }
    Ok(started.elapsed())
}

fn journal_alone(dir: &Path, groups: &[Vec<Draft>]) -> Result<Duration, Failure> {
    let mut journal = LocalJournal::create(dir)?;
    let started = Instant::now();
    for group in groups {
        journal.append(group)?;
    }
    Ok(started.elapsed())
}

/// The same commands without a disk: what each station costs, and the groups for the other loops.
struct Dry {
    state: State,
    groups: Vec<Vec<Draft>>,
    decide: Duration,
    fold: Duration,
    encode: Duration,
    hash: Duration,
    records: u64,
    ticks: u64,
    bytes: u64,
    command_bytes: u64,
}

impl Dry {
    fn new(state: State) -> Self {
        let zero = Duration::ZERO;
        let (decide, fold, encode, hash) = (zero, zero, zero, zero);
        Self {
            state,
            groups: Vec::new(),
            decide,
            fold,
            encode,
            hash,
            records: 0,
            ticks: 0,
            bytes: 0,
            command_bytes: 0,
        }
    }

    fn nanos(&self) -> [(&'static str, u64); 4] {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        [
            ("decide", nanos(self.decide)),
            ("fold", nanos(self.fold)),
            ("encode", nanos(self.encode)),
            ("hash", nanos(self.hash)),
        ]
    }

    fn run(&mut self, commands: &[Timed], size: usize, groups: usize) -> Result<(), Failure> {
        let mut inbox = Inbox::new(commands);
        let mut events = Events::new();
        let mut previous = [0; 32];
        for _ in 0..groups {
            let mut group = Vec::with_capacity(size);
            for _ in 0..size {
                let (at, command) = inbox.next(&self.state)?;
                let sequence = self.state.sequence().saturating_add(1);
                let (rules, policy) = (self.state.rules(), self.state.policy_hash());
                let zero = Instant::now();
                decide(&self.state, at, command, &mut events);
                let one = Instant::now();
                fold(&mut self.state, sequence, at, &events);
                let two = Instant::now();
                let (command_bytes, event_bytes) = (minicbor::to_vec(command)?, minicbor::to_vec(&events)?);
                let three = Instant::now();
                let mut record = Record {
                    sequence,
                    time: at.0,
                    rules,
                    policy,
                    command: command_bytes,
                    events: event_bytes,
                    previous,
                    hash: [0; 32],
                };
                previous = record_hash(&record);
                record.hash = previous;
                let four = Instant::now();
                let draft =
                    Draft { time: at.0, rules, policy, command: record.command, events: record.events };
                self.decide += one - zero;
                self.fold += two - one;
                self.encode += three - two;
                self.hash += four - three;
                self.records += 1;
                self.ticks += u64::from(matches!(command, Command::Tick));
                self.command_bytes += draft.command.len() as u64;
                self.bytes += (draft.command.len() + draft.events.len()) as u64;
                group.push(draft);
            }
            self.groups.push(group);
        }
        Ok(())
    }
}
