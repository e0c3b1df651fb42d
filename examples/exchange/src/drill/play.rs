//! Plays what ordinary customers planned, each at its time, and the ordinary day as a whole.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use holdfast_values::{Timestamp, time};
use serde::{Deserialize, Serialize};

use super::client::{Asked, Client, Clock, Order};
use super::measure::{self, Delays, Tally};
use super::open::{self, Accesses};
use super::plan::{Channel, Plan, Planned};
use super::prices;
use super::progress::{Counter, Progress};

/// How many customers are served at once.
const AT_ONCE: usize = 12;
/// After the last withdrawal of the day, so that what dwells for ten minutes has gone.
pub(crate) const SETTLE: u64 = 16 * time::MINUTE;

/// How playing went, apart from what Holdfast decided.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Played {
    /// Signed requests that grew older than their window on the way, and were signed again.
    pub(crate) signed_again: u64,
    /// Requests without any answer.
    pub(crate) lost: Vec<String>,
}

/// What came of the ordinary day.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Day {
    pub(crate) customers: usize,
    pub(crate) hours: u64,
    pub(crate) within: Tally,
    pub(crate) beyond: Tally,
    /// Seconds from request to approval of those within limits.
    pub(crate) delays: Delays,
    /// Why withdrawals within limits did not simply go.
    pub(crate) reasons: std::collections::BTreeMap<String, u64>,
    pub(crate) played: Played,
}

/// Plays `part`, which begins at `start`.
pub(crate) fn play(
    client: &Client,
    plan: &Plan,
    accesses: &Accesses,
    (name, part): (&str, &[Planned]),
    (clock, start, rate): (Clock, Timestamp, u32),
    counter: &Counter,
) -> Played {
    let next = AtomicUsize::new(0);
    let played = Mutex::new(Played::default());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(planned) = part.get(number) else { return };
                    clock.sleep_until(start.plus(planned.after));
                    let mut signed_again = 0;
                    let asked = ask(
                        client,
                        plan,
                        accesses,
                        planned,
                        &format!("{name}-{number}"),
                        rate,
                        &mut signed_again,
                    );
                    counter.add();
                    let mut played = played.lock().unwrap_or_else(PoisonError::into_inner);
                    played.signed_again = played.signed_again.saturating_add(signed_again);
                    if let Asked::Lost(error) = asked {
                        played.lost.push(error);
                    }
                }
            });
        }
    });
    played.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn ask(
    client: &Client,
    plan: &Plan,
    accesses: &Accesses,
    planned: &Planned,
    id: &str,
    rate: u32,
    signed_again: &mut u64,
) -> Asked {
    let Some(customer) = plan.customers.get(planned.customer) else { return Asked::Lost("nobody".into()) };
    let Some(access) = accesses.get(&customer.account) else { return Asked::Lost("no way in".into()) };
    let order = Order { coin: planned.coin, address: &planned.address, amount: &planned.amount, id };
    if planned.saves_address
        && let Err(error) = client.save_address(access, planned.coin, &planned.address)
    {
        return Asked::Lost(error);
    }
    match planned.channel {
        Channel::Session => client.ask_on_page(&customer.account, access, order, None),
        Channel::Api => client.ask_by_api(access, order, rate, signed_again),
    }
}

/// Plays the day on all stacks side by side and writes down what came of it.
pub(crate) fn day(clients: &[Client], plan: &Plan, hours: u64, rate: u32) -> Result<(), String> {
    let counters: Vec<Arc<Counter>> = clients.iter().map(|client| Counter::new(&client.stack.name)).collect();
    clients.iter().try_for_each(|client| client.set_rate(rate))?;
    prices::report(clients)?;
    let clocks = clients.iter().map(|client| client.clock(rate)).collect::<Result<Vec<_>, _>>()?;
    let Some(clock) = clocks.first().copied() else { return Ok(()) };
    let start = clock.now();
    let span = hours.saturating_mul(time::HOUR).saturating_add(SETTLE);
    let progress = Progress::show("ordinary day", clock, start, span, counters.clone());
    let done: Vec<Result<(), String>> = std::thread::scope(|scope| {
        let threads: Vec<_> = clients
            .iter()
            .zip(clocks)
            .zip(&counters)
            .map(|((client, clock), counter)| {
                scope.spawn(move || one_day(client, plan, hours, (clock, clock.now(), rate), counter))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread failed".into())))
            .collect()
    });
    drop(progress);
    done.into_iter().collect()
}

fn one_day(
    client: &Client,
    plan: &Plan,
    hours: u64,
    (clock, start, rate): (Clock, Timestamp, u32),
    counter: &Counter,
) -> Result<(), String> {
    let accesses = open::read(client)?;
    let played = play(client, plan, &accesses, ("day", &plan.day), (clock, start, rate), counter);
    clock.sleep_until(start.plus(hours.saturating_mul(time::HOUR)).plus(SETTLE));
    let rows = client.withdrawals()?;
    let found = measure::match_rows(plan, &plan.day, &rows);
    let mut day = Day {
        customers: plan.customers.len(),
        hours,
        within: Tally::default(),
        beyond: Tally::default(),
        delays: Delays::default(),
        reasons: std::collections::BTreeMap::new(),
        played,
    };
    let mut delays = Vec::new();
    for (planned, row) in plan.day.iter().zip(found) {
        let Some(row) = row else {
            day.played.lost.push(format!("Holdfast never heard of {} {}", planned.amount, planned.address));
            continue;
        };
        let tally = if planned.fits { &mut day.within } else { &mut day.beyond };
        tally.add(row);
        if !planned.fits {
            continue;
        }
        match measure::delay(row) {
            Some(delay) => delays.push(delay),
            None => {
                for code in measure::codes(row) {
                    let count = day.reasons.entry(code).or_insert(0);
                    *count = count.saturating_add(1);
                }
            }
        }
    }
    day.delays = Delays::of(delays);
    measure::keep(client, "day.json", &day)
}
