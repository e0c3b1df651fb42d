//! `drill`: the customers and attackers of `cargo xtask demo`. See the module `drill`.

#[path = "../drill/mod.rs"]
mod drill;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use holdfast_values::{Timestamp, time};

use crate::drill::attack::{Kind, Terms};
use crate::drill::client::{Client, Stack};
use crate::drill::plan::{Plan, Size};
use crate::drill::{attack, open, paid, play, prices, report};

/// Customers and attackers for a demonstration, over HTTP.
#[derive(Parser)]
#[command(name = "drill", version)]
struct Arguments {
    /// What chance draws from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many ordinary customers there are.
    #[arg(long, default_value_t = 300)]
    customers: usize,
    /// How long the ordinary day is.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=24))]
    hours: u64,
    /// The hour of the day (UTC) at which it begins.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(0..=23))]
    first_hour: u64,
    /// A file for each pack's servers.
    #[arg(long = "stack")]
    stacks: Vec<PathBuf>,
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    /// Write the accounts' history, as `holdfast import prepare` reads it.
    History {
        /// Now, at the exchange.
        #[arg(long)]
        now: String,
        /// Where to.
        #[arg(long)]
        out: PathBuf,
    },
    /// Make accounts, balances, sessions and keys at Harbor, and give the wallets their coins.
    Open,
    /// Report prices until ended.
    Prices {
        /// Real milliseconds between two reports.
        #[arg(long, default_value_t = 60)]
        every_ms: u64,
    },
    /// Play the ordinary day.
    Day {
        /// Of the exchange's clock.
        #[arg(long)]
        rate: u32,
    },
    /// Play the attack of 7 May 2019.
    Attack(AttackArguments),
    /// Play it in slices that fit the buckets.
    Slices(AttackArguments),
    /// Wait until what is approved is paid.
    Settle,
    /// Fill the hot wallet up to what it began with.
    Refill,
    /// Print the table; ends with 1 if a promise does not hold.
    Report,
}

#[derive(clap::Args)]
struct AttackArguments {
    /// Of the exchange's clock.
    #[arg(long)]
    rate: u32,
    /// From the first alarm to the halt, in minutes of the exchange's time.
    #[arg(long, default_value_t = 20)]
    analyst_minutes: u64,
    /// Until the end if there is no alarm.
    #[arg(long, default_value_t = 40)]
    longest_minutes: u64,
    /// The directory with the incident's addresses; without it they are invented.
    #[arg(long)]
    data: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            let _unseen = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let stacks = arguments.stacks.iter().map(|path| Stack::read(path)).collect::<Result<Vec<_>, _>>()?;
    let clients: Vec<Client> = stacks.into_iter().map(Client::new).collect();
    let plan = Plan::draw(Size {
        seed: arguments.seed,
        customers: arguments.customers,
        hours: arguments.hours,
        first_hour: arguments.first_hour,
    });
    match &arguments.part {
        Part::History { now, out } => {
            let now = Timestamp::parse(now).map_err(|error| error.to_string())?;
            open::write(out, &plan.history(now))?;
        }
        Part::Open => {
            let opened: Vec<Result<(), String>> = std::thread::scope(|scope| {
                let threads: Vec<_> =
                    clients.iter().map(|client| scope.spawn(|| open::open(client, &plan))).collect();
                threads
                    .into_iter()
                    .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread failed".to_owned())))
                    .collect()
            });
            opened.into_iter().collect::<Result<(), String>>()?;
        }
        Part::Prices { every_ms } => prices::feed(&clients, arguments.seed, Duration::from_millis(*every_ms)),
        Part::Day { rate } => play::day(&clients, &plan, arguments.hours, *rate)?,
        Part::Attack(terms) => attack(&clients, &plan, Kind::AsItWas, terms)?,
        Part::Slices(terms) => attack(&clients, &plan, Kind::InSlices, terms)?,
        Part::Settle => paid::settle(&clients)?,
        Part::Refill => clients.iter().try_for_each(paid::refill)?,
        Part::Report => {
            let (table, failed) = report::report(&clients, &plan)?;
            let _unseen = std::io::stdout().lock().write_all(table.as_bytes());
            return Ok(if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn attack(clients: &[Client], plan: &Plan, kind: Kind, given: &AttackArguments) -> Result<(), String> {
    let terms = Terms {
        rate: given.rate,
        analyst: given.analyst_minutes.saturating_mul(time::MINUTE),
        longest: given.longest_minutes.saturating_mul(time::MINUTE),
    };
    attack::attack(clients, plan, kind, terms, given.data.as_deref())
}
