//! `cargo xtask demo`: Holdfast and the sample exchange under two policy packs side by side, an ordinary day, and the
//! attack of May 2019, with coins that move on a stand-in for the chains. It builds, starts and ends processes and shows where to look; who the customers and attackers are
//! and what the table says is the player's business (`examples/exchange/src/drill`).

mod process;
mod purse;
mod stack;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::shell::Shell;
use crate::ui::Terminal;
use process::Process;
use stack::{PACKS, Programs, Stack};

/// Where the incident's addresses lie, if they are there.
const INCIDENT: &str = "../shared/data/binance-hack-2019";
/// The programs that are built.
const PACKAGES: [&str; 3] = ["holdfast-server", "holdfast-signer", "holdfast-example-exchange"];
/// What is started.
const PROGRAMS: [&str; 6] =
    ["holdfast", "holdfast-signer", "harbor", "harbor-chain", "harbor-wallet", "drill"];
/// Releases that are verified at once.
const VERIFIED_AT_ONCE: usize = 2;

/// How time runs.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// When the journal begins.
    begin: &'static str,
    /// Before the day: time that only passes, so that keys are older than a day; its rate, and when it ends.
    quiet_rate: u32,
    quiet_until: &'static str,
    /// When the day begins.
    day: &'static str,
    hours: u32,
    first_hour: u32,
    day_rate: u32,
    /// Slower: a signed request is good for 60 seconds of the exchange's time.
    attack_rate: u32,
    /// Until an attack that nobody notices is left alone, in minutes: as it was, in slices.
    longest_minutes: [u32; 2],
}

const FULL: Pace = Pace {
    begin: "2019-05-05T12:00:00Z",
    quiet_rate: 20_000,
    quiet_until: "2019-05-06T14:00:00Z",
    day: "2019-05-06T16:00:00Z",
    hours: 24,
    first_hour: 16,
    day_rate: 1_800,
    attack_rate: 150,
    longest_minutes: [40, 60],
};

const QUICK: Pace = Pace {
    begin: "2019-05-06T10:00:00Z",
    quiet_rate: 20_000,
    quiet_until: "2019-05-07T13:00:00Z",
    day: "2019-05-07T15:00:00Z",
    hours: 1,
    first_hour: 15,
    day_rate: 1_800,
    attack_rate: 300,
    longest_minutes: [30, 40],
};

/// A minute before the attack.
const ATTACK: &str = "2019-05-07T17:14:00Z";
/// From the first alarm to the analyst's halt.
const ANALYST_MINUTES: u32 = 20;
/// After the last resumption, so that what waited has gone.
const SETTLE_MINUTES: u32 = 15;

/// What was asked on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Options {
    exit: bool,
    quick: bool,
    build: bool,
    seed: u64,
    customers: u32,
}

const USAGE: &str = "cargo xtask demo [--exit] [--seed N] [--customers N] [--quick] [--no-build]";

impl Options {
    fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self { exit: false, quick: false, build: true, seed: 1, customers: 300 };
        let mut customers = None;
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut number = |max: u64| {
                let given = rest.next().and_then(|text| text.parse::<u64>().ok()).filter(|n| *n <= max);
                given.ok_or_else(|| Error::Usage(format!("{argument} needs a number up to {max}: {USAGE}")))
            };
            match argument.as_str() {
                "--exit" => options.exit = true,
                "--quick" => options.quick = true,
                "--no-build" => options.build = false,
                "--seed" => options.seed = number(u64::MAX)?,
                "--customers" => customers = Some(number(5_000)?),
                other => return Err(Error::Usage(format!("`{other}` means nothing here: {USAGE}"))),
            }
        }
        let usual = if options.quick { 30 } else { 300 };
        options.customers = customers.and_then(|n| u32::try_from(n).ok()).unwrap_or(usual).max(1);
        Ok(options)
    }
}

/// Runs the command.
pub fn demo(terminal: Terminal, arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let shell = Shell::new()?;
    let started = Instant::now();
    if options.build {
        crate::install::compiler(&shell, terminal);
        terminal.begin("build", &PROGRAMS.join(", "));
        let mut line = vec!["cargo", "build", "--locked", "--bins"];
        PACKAGES.iter().for_each(|package| line.extend(["--package", package]));
        shell.run(&line)?;
    }
    let built = started.elapsed();
    let programs = Programs { root: shell.root().to_owned(), folder: folder_of_programs()? };
    for name in PROGRAMS {
        if !programs.path(name).is_file() {
            let advice = "leave out --no-build".to_owned();
            return Err(Error::Missing { program: programs.path(name).display().to_string(), advice });
        }
    }
    process::end_all_on_signals()?;
    let mut show = Show::open(terminal, programs, &options)?;
    let holds = show.play()?;
    show.stop()?;
    let sound = show.check()?;
    terminal.note(&format!(
        "{:.0?}, after a build of {:.0?}",
        started.elapsed().saturating_sub(built),
        built
    ));
    show.close(options.exit)?;
    if holds && sound { Ok(()) } else { Err(Error::Findings(usize::from(!holds) + usize::from(!sound))) }
}

/// Cargo puts the programs beside this one.
fn folder_of_programs() -> Result<PathBuf> {
    let own = std::env::current_exe().map_err(|source| Error::File { path: "xtask".into(), source })?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_owned())
}

/// The demonstration under way.
struct Show {
    terminal: Terminal,
    programs: Programs,
    pace: Pace,
    /// What every call of the player begins with.
    drill: Vec<String>,
    incident: Option<PathBuf>,
    stacks: Vec<Stack>,
    prices: Option<Process>,
}

impl Show {
    /// Prepares both packs and lets everybody in.
    fn open(terminal: Terminal, programs: Programs, options: &Options) -> Result<Self> {
        let pace = if options.quick { QUICK } else { FULL };
        let incident = Some(programs.root.join(INCIDENT)).filter(|path| path.is_dir());
        if incident.is_none() {
            terminal.note(&format!("{INCIDENT} is not there: the attackers' addresses are invented"));
        }
        let numbers = [
            ("--seed", options.seed.to_string()),
            ("--customers", options.customers.to_string()),
            ("--hours", pace.hours.to_string()),
            ("--first-hour", pace.first_hour.to_string()),
        ];
        let drill = numbers.into_iter().flat_map(|(name, number)| [name.to_owned(), number]).collect();
        let mut show = Self { terminal, programs, pace, drill, incident, stacks: Vec::new(), prices: None };
        let what =
            "wallets, signers, data directories, operators, tokens by two signatures, history, accounts";
        terminal.begin("prepare", what);
        let folder = show.programs.folder.parent().unwrap_or(Path::new(".")).join(if options.quick {
            "demo-quick"
        } else {
            "demo"
        });
        for pack in PACKS {
            let mut stack = Stack::prepare(&show.programs, pack, &folder.join(pack.name), pace.begin)?;
            let words: Vec<&str> = show.drill.iter().map(String::as_str).collect();
            stack.furnish(&words)?;
            show.stacks.push(stack);
        }
        show.feed(60, &folder)?;
        show.drill(&["open"])?;
        Ok(show)
    }

    /// Starts the feed of prices, for all stacks or, at the end, for the one that stays.
    fn feed(&mut self, every_ms: u32, folder: &Path) -> Result<()> {
        self.prices = None;
        let mut line = self.drill_line();
        line.extend(["prices".to_owned(), "--every-ms".to_owned(), every_ms.to_string()]);
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        let log = folder.join("prices.log");
        let program = self.programs.path("drill");
        self.prices = Some(Process::start("prices", &log, folder, &program, &line)?);
        Ok(())
    }

    fn drill_line(&self) -> Vec<String> {
        let stacks =
            self.stacks.iter().flat_map(|stack| ["--stack".to_owned(), stack.file().display().to_string()]);
        self.drill.iter().cloned().chain(stacks).collect()
    }

    /// Lets the player do its part; true unless it says that a promise does not hold.
    fn drill(&self, words: &[&str]) -> Result<bool> {
        self.stacks.iter().try_for_each(Stack::alive)?;
        let mut command = Command::new(self.programs.path("drill"));
        command.args(self.drill_line()).args(words);
        let status = Process::run("drill", command)?;
        match status.code() {
            Some(0) => Ok(true),
            Some(1) => Ok(false),
            _ => Err(Error::Failed {
                command: format!("drill {}", words.join(" ")),
                detail: status.to_string(),
            }),
        }
    }

    fn all_again(&mut self, rate: u32, start: Option<&str>) -> Result<()> {
        self.stacks.iter_mut().try_for_each(|stack| stack.serve_again(rate, start))
    }

    /// Plays all of it; true if every promise holds.
    fn play(&mut self) -> Result<bool> {
        let pace = self.pace;
        let what = format!(
            "a day in which nothing happens, so that keys are older: {} times as fast",
            pace.quiet_rate
        );
        self.terminal.begin("quiet", &what);
        self.all_again(pace.quiet_rate, None)?;
        for stack in &self.stacks {
            // RFC 3339 in UTC: the order of the texts is that of the times.
            while stack.now()?.as_str() < pace.quiet_until {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        let what =
            format!("{} h, {} times as fast as here, both packs side by side", pace.hours, pace.day_rate);
        self.terminal.begin("day", &what);
        self.all_again(pace.day_rate, Some(pace.day))?;
        self.drill(&["day", "--rate", &pace.day_rate.to_string()])?;
        // Time stands nearly still, so that what is approved is paid before the attack.
        self.all_again(1, None)?;
        self.drill(&["settle"])?;
        self.drill(&["refill"])?;

        let what = format!(
            "7 May 2019, 17:15:24 UTC, {} times as fast; Holdfast was ended and started again on the same journal",
            pace.attack_rate
        );
        self.terminal.begin("attack", &what);
        for line in [
            "21 accounts of a tier of 400 BTC a day (an assumption), each with an API key older than a day,",
            "used through the customer's own proxy, which is on the key's list, and with phished codes",
        ] {
            self.terminal.note(line);
        }
        self.all_again(pace.attack_rate, Some(ATTACK))?;
        let [as_it_was, in_slices] = pace.longest_minutes;
        self.attack("attack", as_it_was)?;
        self.resume("attack.json", 1)?;
        self.drill(&["refill"])?;
        self.terminal.begin(
            "slices",
            "21 other accounts, 3.4 BTC at a time and the next when that has gone: below every account's share",
        );
        self.attack("slices", in_slices)?;
        self.resume("slices.json", 2)?;
        std::thread::sleep(Duration::from_secs(u64::from(SETTLE_MINUTES * 60 / pace.attack_rate) + 1));
        self.drill(&["settle"])?;
        self.drill(&["report"])
    }

    fn attack(&self, part: &str, longest_minutes: u32) -> Result<()> {
        let (rate, analyst) = (self.pace.attack_rate.to_string(), ANALYST_MINUTES.to_string());
        let longest = longest_minutes.to_string();
        let mut words =
            vec![part, "--rate", &rate, "--analyst-minutes", &analyst, "--longest-minutes", &longest];
        let incident = self.incident.as_ref().map(|path| path.display().to_string());
        if let Some(incident) = &incident {
            words.extend(["--data", incident]);
        }
        self.drill(&words).map(drop)
    }

    /// Where the analyst halted, two operators sign the resumption.
    fn resume(&self, result: &str, number: u32) -> Result<()> {
        for stack in &self.stacks {
            if stack.result(result).get("halted").and_then(serde_json::Value::as_bool) == Some(true) {
                stack.resume(number)?;
                self.terminal.note(&format!("{}: halted, and resumed by two operators", stack.pack.name));
            }
        }
        Ok(())
    }

    /// Verifies the release of every transaction, decides every record again and verifies both journals; true if all is
    /// well.
    fn check(&self) -> Result<bool> {
        self.terminal.begin("check", "holdfast-signer verify, holdfast replay, holdfast journal verify");
        let mut all_well = true;
        for stack in &self.stacks {
            all_well &= self.verify(stack);
            for words in [&["replay"][..], &["journal", "verify"]] {
                let (well, said) = stack.check(words)?;
                let name = format!("{} holdfast {}:", stack.pack.name, words.join(" "));
                self.terminal.result(&format!("  {name:<38} {said}"));
                all_well &= well;
            }
        }
        Ok(all_well)
    }

    /// Has the release of every transaction that moved coins checked, offline.
    fn verify(&self, stack: &Stack) -> bool {
        let moved = moved(stack);
        let share = moved.len().div_ceil(VERIFIED_AT_ONCE).max(1);
        let wrong: Vec<String> = std::thread::scope(|scope| {
            let threads: Vec<_> = moved
                .chunks(share)
                .map(|part| {
                    scope.spawn(|| {
                        part.iter().filter_map(|id| stack.purse.verify(id).err()).collect::<Vec<_>>()
                    })
                })
                .collect();
            let ended = threads.into_iter().map(|thread| thread.join());
            ended.flat_map(|found| found.unwrap_or_else(|_| vec!["a thread failed".to_owned()])).collect()
        });
        let name = format!("{} holdfast-signer verify:", stack.pack.name);
        let (all, well) = (moved.len(), moved.len().saturating_sub(wrong.len()));
        self.terminal.result(&format!(
            "  {name:<38} {well} of {all} transactions that moved coins have a release that verifies offline"
        ));
        if let Some(first) = wrong.first() {
            self.terminal.result(&format!("  {first}"));
        }
        all > 0 && wrong.is_empty()
    }

    /// Ends everything that would write, but Harbor and the chain.
    fn stop(&mut self) -> Result<()> {
        self.stacks.iter().try_for_each(Stack::alive)?;
        if let Some(mut prices) = self.prices.take() {
            prices.stop()?;
        }
        for stack in &mut self.stacks {
            stack.purse.stop_paying()?;
            stack.stop_holdfast()?;
        }
        Ok(())
    }

    /// Starts the judged pack's servers again at the pace of this machine's clock and waits until they are ended,
    /// unless that is not wanted.
    fn close(mut self, exit: bool) -> Result<()> {
        let Some(mut last) = self.stacks.pop() else { return Ok(()) };
        if exit {
            self.look(&last, false);
            return last.stop();
        }
        for stack in &mut self.stacks {
            stack.stop()?;
        }
        self.stacks.clear();
        last.serve(1, ATTACK)?;
        last.purse.start_paying()?;
        let folder = last.folder.clone();
        self.stacks.push(last);
        self.feed(30_000, &folder)?;
        let Some(last) = self.stacks.last() else { return Ok(()) };
        self.look(last, true);
        self.stacks.last_mut().map_or(Ok(()), Stack::wait)
    }

    fn look(&self, stack: &Stack, runs: bool) {
        let holdfast = self.programs.path("holdfast");
        let (holdfast, data) = (holdfast.display(), stack.data());
        let (data, url, token) = (data.display(), stack.url(), &stack.token);
        let attack = stack.result("attack.json");
        let example =
            attack.pointer("/alarm/withdrawal").and_then(serde_json::Value::as_str).unwrap_or("wd_...");
        let say = |text: &str| self.terminal.result(text);
        say(&format!("\nWhere to look next ({}; the other pack lies beside it):", stack.pack.name));
        say(&format!("  {holdfast} why {example} --data {data}"));
        say(&format!("  {holdfast} replay --data {data}"));
        say(&format!("  {holdfast} journal verify --data {data}"));
        say(&format!(
            "  sqlite3 {data}/views.db \"select status, count(*) from withdrawals group by status\""
        ));
        let signer = self.programs.path("holdfast-signer");
        let (signer, pins) = (signer.display(), stack.purse.pins());
        let pins = pins.display();
        if let Some(id) = moved(stack).last() {
            let kept = stack.purse.kept().join(id);
            let kept = kept.display();
            say(&format!("  {signer} verify {kept}.release {kept}.unsigned --pins {pins}"));
        }
        if !runs {
            let store = stack.purse.store_file();
            say(&format!("  {signer} status --pins {pins} --store {}", store.display()));
        }
        say(&format!("  logs, one for each process: {}", stack.folder.join("*.log").display()));
        if runs {
            say(&format!("  {signer} status --socket {}", stack.purse.signer_socket().display()));
            say(&format!("  curl {}/bitcoin/paid", stack.purse.chain_url()));
            for path in ["/v1/cases?open=true", "/v1/withdrawals?status=held", "/v1/buckets", "/v1/policy"] {
                say(&format!("  curl -H 'Authorization: Bearer {token}' '{url}{path}'"));
            }
            say(&format!("  {url}/health and {url}/openapi.json need no token"));
            say(
                "\nHoldfast, Harbor, its wallet and the chain go on, at the pace of this machine's clock. Ctrl-C ends them.",
            );
        }
    }
}

/// The transactions that moved coins, as the player read them from the chain.
fn moved(stack: &Stack) -> Vec<String> {
    let moved = stack.result("moved.json");
    let ids = moved.as_array().into_iter().flatten();
    ids.filter_map(|id| id.as_str().map(ToOwned::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let arguments: Vec<String> = line.split_whitespace().map(ToOwned::to_owned).collect();
        Options::parse(&arguments)
    }

    #[test]
    fn options_are_read_and_nothing_else() {
        let options = parse("--exit --seed 7 --customers 40").unwrap();
        assert_eq!((options.exit, options.seed, options.customers, options.build), (true, 7, 40, true));
        assert_eq!(parse("--quick --no-build").unwrap().customers, 30);
        for wrong in ["--seed", "--seed x", "--customers 5001", "--fast", "7"] {
            assert!(matches!(parse(wrong), Err(Error::Usage(_))), "{wrong}");
        }
    }
}
