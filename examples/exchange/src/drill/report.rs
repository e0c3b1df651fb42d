//! The table, and whether what was promised holds.

use holdfast_values::{Timestamp, time};
use serde_json::Value;

use super::attack::{Attack, Kind, Notice};
use super::client::{Client, text};
use super::coin::{btc, thousands};
use super::incident;
use super::measure::{self, Cell, Delays, Tally};
use super::paid::{self, Book, Matched};
use super::plan::Plan;
use super::play::Day;

/// Of ordinary withdrawals within limits, so many of a thousand must go without a person.
const WITHOUT_PERSON_PERMILLE: u64 = 970;
/// And half of them within so many seconds.
const MEDIAN_SECONDS_MAX: u64 = 600;
/// The pack that is judged; the other is there to compare.
const JUDGED: &str = "baseline";
/// Of what was stolen in 2019, so many of a thousand must be gone under the other: else there was nothing to stop.
const GONE_PERMILLE: u64 = 900;
/// Of what ordinary customers were approved, so many of a thousand must have moved.
const MOVED_PERMILLE: u64 = 970;

/// What is known of one pack.
struct Found {
    name: String,
    buckets: String,
    day: Day,
    attack: Attack,
    slices: Attack,
    /// Ordinary customers while the attacks went on, as they stand now.
    meanwhile: Tally,
    meanwhile_delays: Delays,
    unheard: u64,
    moved: Moved,
}

/// What moved on the chain, by the columns of the table.
struct Moved {
    columns: [Cell; 5],
    /// What the signer's bucket allows in each of the two attacks.
    allowed: [u64; 2],
    outputs: usize,
    unexplained: usize,
    /// Transactions, and for how many of them the wallet kept the release and the bytes.
    transactions: usize,
    kept: usize,
}

/// Prints the table; the conditions that failed, if any did.
pub(crate) fn report(clients: &[Client], plan: &Plan) -> Result<(String, Vec<String>), String> {
    let mut text = String::new();
    let mut failed = Vec::new();
    let mut judged = String::new();
    for client in clients {
        let found = Found::read(client, plan)?;
        text.push_str(&found.table());
        for (condition, holds) in found.conditions() {
            let word = if holds { "holds " } else { "FAILED" };
            judged.push_str(&format!("  {word}  {}: {condition}\n", found.name));
            if !holds {
                failed.push(format!("{}: {condition}", found.name));
            }
        }
    }
    Ok((format!("{text}\n{judged}"), failed))
}

impl Found {
    fn read(client: &Client, plan: &Plan) -> Result<Self, String> {
        // The chain first: whatever it shows was released before, and stands in the list that is read after it.
        let book = Book::read(client)?;
        let rows = client.withdrawals()?;
        let mut meanwhile = Tally::default();
        let (mut unheard, mut delays) = (0u64, Vec::new());
        for kind in [Kind::AsItWas, Kind::InSlices] {
            for row in measure::match_rows(plan, kind.meanwhile(plan), &rows) {
                match row {
                    Some(row) => {
                        meanwhile.add(row);
                        // A halt takes approvals back for its time: the first one counts, as at a wallet.
                        let decisions = client.decisions(text(row, "id"))?;
                        let first = decisions.iter().find(|decision| text(decision, "status") == "approved");
                        delays.extend(first.map(|decision| {
                            measure::instant(decision, "at").since(measure::instant(row, "requested_at"))
                                / time::SECOND
                        }));
                    }
                    None => unheard = unheard.saturating_add(1),
                }
            }
        }
        let health = client.holdfast("GET", "/health", None)?;
        let now = Timestamp::parse(text(&health, "time")).map_err(|error| error.to_string())?;
        let read = |kind: Kind| {
            let mut attack: Attack = measure::kept(client, kind.file())?;
            if !attack.halted {
                // It goes on: what waited for its bucket goes when that has refilled.
                attack.count(client, kind.victims(plan), now)?;
            }
            Ok::<_, String>(attack)
        };
        let (attack, slices) = (read(Kind::AsItWas)?, read(Kind::InSlices)?);
        Ok(Self {
            moved: Moved::read(client, plan, (&book, &rows), [&attack, &slices])?,
            name: client.stack.name.clone(),
            buckets: client.stack.buckets.clone(),
            day: measure::kept(client, "day.json")?,
            attack,
            slices,
            meanwhile,
            meanwhile_delays: Delays::of(delays),
            unheard,
        })
    }

    fn table(&self) -> String {
        let columns: [(&str, &Tally); 5] = [
            ("ordinary day", &self.day.within),
            ("beyond limits", &self.day.beyond),
            ("in the attacks", &self.meanwhile),
            ("attack as it was", &self.attack.tally),
            ("attack in slices", &self.slices.tally),
        ];
        const NAME: usize = 14;
        let mut text = format!("\n{}: {}\n\n  {:<NAME$}", self.name, self.buckets, "");
        for (head, _) in columns {
            text.push_str(&format!("{head:>18}"));
        }
        text.push_str(&format!("\n  {:<NAME$}", ""));
        for _ in columns {
            text.push_str(&format!("{:>18}", "count      BTC"));
        }
        type Row = (&'static str, fn(&Tally, Cell) -> Cell);
        let rows: [Row; 8] = [
            ("asked", |tally, _| tally.asked),
            ("approved", |tally, _| tally.approved),
            ("moved on chain", |_, moved| moved),
            ("  not moved", |tally, moved| Cell {
                count: tally.approved.count.saturating_sub(moved.count),
                sats: tally.approved.sats.saturating_sub(moved.sats),
            }),
            ("waiting", |tally, _| tally.waiting),
            ("to confirm", |tally, _| tally.to_confirm),
            ("held", |tally, _| tally.held),
            ("denied", |tally, _| tally.denied),
        ];
        for (name, cell) in rows {
            text.push_str(&format!("\n  {name:<NAME$}"));
            for ((_, tally), moved) in columns.iter().zip(self.moved.columns) {
                let Cell { count, sats } = cell(tally, moved);
                text.push_str(&format!("{:>9}{:>9}", thousands(count), btc(sats)));
            }
        }
        text.push_str("\n\n");
        text.push_str(&self.ordinary());
        let [.., as_it_was, in_slices] = self.moved.columns;
        let [first, second] = self.moved.allowed;
        text.push_str(&told("attack as it was", &self.attack, as_it_was, first));
        text.push_str(&told("attack in slices", &self.slices, in_slices, second));
        text.push_str(&format!(
            "  ordinary customers in the attacks: delay median {}, p95 {}, halts included\n",
            span(self.meanwhile_delays.median),
            span(self.meanwhile_delays.p95)
        ));
        text
    }

    fn ordinary(&self) -> String {
        let Day { customers, hours, within, delays, .. } = &self.day;
        let mut text = format!(
            "  ordinary day: {} customers, {hours} h; of what is within their limits {} went without a person, {} denied;\n    \
             delay: median {}, p95 {}\n",
            thousands(u64::try_from(*customers).unwrap_or(0)),
            percent(permille(within.approved.count, within.asked.count)),
            within.denied.count,
            span(delays.median),
            span(delays.p95),
        );
        if !self.day.reasons.is_empty() {
            let reasons: Vec<String> =
                self.day.reasons.iter().map(|(code, count)| format!("{code} {count}")).collect();
            text.push_str(&format!("    the others: {}\n", reasons.join(", ")));
        }
        let again = self.day.played.signed_again;
        if again > 0 {
            text.push_str(&format!(
                "    {again} signed requests were too old when they came, as time runs this fast, and were signed again\n"
            ));
        }
        text
    }

    fn conditions(&self) -> Vec<(String, bool)> {
        let lost = [&self.day.played, &self.attack.played, &self.slices.played];
        let lost: usize = lost.iter().map(|played| played.lost.len()).sum();
        let lost = u64::try_from(lost).unwrap_or(u64::MAX).saturating_add(self.unheard);
        let mut conditions = vec![(format!("every request was answered ({lost} were not)"), lost == 0)];
        let Moved { columns, allowed: at_signer, outputs, unexplained, transactions, kept } = &self.moved;
        let [within, beyond, meanwhile, as_it_was, in_slices] = *columns;
        conditions.push((
            format!(
                "each of {} outputs that left the wallets pays one released withdrawal, once: {unexplained} do not",
                thousands(u64::try_from(*outputs).unwrap_or(u64::MAX))
            ),
            *unexplained == 0 && *outputs > 0,
        ));
        conditions.push((
            format!("the wallet has the release and the bytes of each transaction on the chain: {kept} of {transactions}"),
            kept == transactions && *kept > 0,
        ));
        if self.name != JUDGED {
            let gone = permille(as_it_was.sats, incident::TOTAL_SATS);
            conditions.push((
                format!(
                    "more than 90 % of the 7,074 BTC are gone: {} BTC moved on the chain",
                    btc(as_it_was.sats)
                ),
                gone > GONE_PERMILLE,
            ));
            return conditions;
        }
        let attacks = [("attack as it was", &self.attack), ("attack in slices", &self.slices)];
        for ((name, _), (moved, most)) in attacks.iter().zip([as_it_was, in_slices].iter().zip(at_signer)) {
            conditions.push((
                format!(
                    "the {name} moves at most what the signer's bucket lets out: {} of {} BTC",
                    btc(moved.sats),
                    btc(*most)
                ),
                moved.sats <= *most,
            ));
        }
        let [approved, moved] = [
            [self.day.within.approved, self.day.beyond.approved, self.meanwhile.approved]
                .map(|cell| cell.count),
            [within, beyond, meanwhile].map(|cell| cell.count),
        ]
        .map(|counts| counts.into_iter().fold(0, u64::saturating_add));
        conditions.push((
            format!("what ordinary customers were approved has moved: {moved} of {approved}"),
            permille(moved, approved) >= MOVED_PERMILLE && moved > 0,
        ));
        for (name, attack) in attacks {
            conditions.push((
                format!(
                    "the {name} gets at most what the buckets say: {} of {} BTC",
                    btc(attack.tally.approved.sats),
                    btc(allowed(attack))
                ),
                is_bounded(attack),
            ));
        }
        let Day { within, delays, .. } = &self.day;
        let share = permille(within.approved.count, within.asked.count);
        conditions.push((
            format!(
                "at least 97 % of ordinary withdrawals within limits go without a person: {}",
                percent(share)
            ),
            share >= WITHOUT_PERSON_PERMILLE && within.asked.count > 0,
        ));
        conditions
            .push((format!("none of them is denied: {}", within.denied.count), within.denied.count == 0));
        conditions.push((
            format!("their median delay is at most 10 min: {}", span(delays.median)),
            delays.median <= MEDIAN_SECONDS_MAX,
        ));
        conditions
    }
}

impl Moved {
    fn read(
        client: &Client,
        plan: &Plan,
        (book, rows): (&Book, &[Value]),
        attacks: [&Attack; 2],
    ) -> Result<Self, String> {
        let Matched { paid, outputs, unexplained } = book.matched(rows);
        let mut ordinary = [Cell::default(); 3];
        let [within, beyond, meanwhile] = &mut ordinary;
        let add = |cell: &mut Cell, row: Option<&Value>| {
            if let Some(row) = row.filter(|row| paid.contains(text(row, "id"))) {
                cell.add(measure::worth(row));
            }
        };
        for (planned, row) in plan.day.iter().zip(measure::match_rows(plan, &plan.day, rows)) {
            add(if planned.fits { within } else { beyond }, row);
        }
        for kind in [Kind::AsItWas, Kind::InSlices] {
            measure::match_rows(plan, kind.meanwhile(plan), rows)
                .into_iter()
                .for_each(|row| add(meanwhile, row));
        }
        // What a halt stopped, nobody releases any more: the accounts are frozen.
        let allowed = attacks.map(|attack| paid::allowed(&client.stack.signer_btc, attack.seconds));
        let [first, second] = allowed;
        let (kept, transactions) = book.keep(client)?;
        let [within, beyond, meanwhile] = ordinary;
        let [as_it_was, in_slices] = attacks.map(|attack| book.to(&attack.addresses));
        Ok(Self {
            columns: [within, beyond, meanwhile, as_it_was, in_slices],
            allowed: [first?, second?],
            outputs,
            unexplained,
            transactions,
            kept,
        })
    }
}

/// What the buckets of the classes that the attackers reached allow; of the class for strangers, if they reached none.
fn allowed(attack: &Attack) -> u64 {
    let reached = |class: &str, count: u64| class == "unvouched" || count > 0;
    let bounds = attack.bounds.iter().filter(|bound| reached(&bound.class, bound.approved.count));
    bounds.fold(0, |sum, bound| sum.saturating_add(bound.allowed))
}

/// Each class within its own bucket, and all that was approved in some class.
fn is_bounded(attack: &Attack) -> bool {
    let all: u64 = attack.bounds.iter().map(|bound| bound.approved.sats).sum();
    attack.bounds.iter().all(|bound| bound.approved.sats <= bound.allowed)
        && all == attack.tally.approved.sats
}

fn told(name: &str, attack: &Attack, moved: Cell, at_signer: u64) -> String {
    let mut text = format!("  {name}: {} BTC moved to the attackers on the chain", btc(moved.sats));
    text.push_str(&format!(" ({} outputs)", thousands(moved.count)));
    if at_signer <= incident::TOTAL_SATS {
        text.push_str(&format!("; the signer's own bucket lets out {} at most", btc(at_signer)));
    }
    text.push_str(&format!("\n    approved: {} BTC", btc(attack.tally.approved.sats)));
    match attack.bounds.iter().find(|bound| bound.class == "unvouched") {
        Some(bound) if bound.size > incident::TOTAL_SATS => text.push_str("; no bucket bounds it"),
        Some(bound) => text.push_str(&format!(
            "; the buckets allow {} ({} and {} an hour, for {})",
            btc(allowed(attack)),
            btc(bound.size),
            btc(bound.refill_per_hour),
            span(attack.seconds)
        )),
        None => {}
    }
    text.push('\n');
    match &attack.alarm {
        Some(alarm) => text.push_str(&format!("    first alarm {}\n", noticed(alarm))),
        None => text.push_str("    first alarm: never\n"),
    }
    if let Some(queued) = &attack.queued {
        text.push_str(&format!("    first made to wait by a spent bucket {}\n", noticed(queued)));
    }
    let end = if attack.halted {
        "halted by the analyst"
    } else {
        "halted by nobody; looked at when it had gone on for"
    };
    let after = if attack.halted { "after " } else { "" };
    text.push_str(&format!("    {end} {after}{}\n", span(attack.seconds)));
    text
}

fn noticed(notice: &Notice) -> String {
    format!(
        "after {}, at withdrawal {} ({}: {})",
        span(notice.seconds),
        notice.asked,
        notice.outcome,
        notice.codes.join(", ")
    )
}

fn permille(part: u64, whole: u64) -> u64 {
    part.saturating_mul(1_000).checked_div(whole).unwrap_or(0)
}

fn percent(permille: u64) -> String {
    format!("{}.{} %", permille / 10, permille % 10)
}

fn span(seconds: u64) -> String {
    match (seconds / 3_600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::attack::Bound;
    use super::super::coin::SATS;
    use super::super::play::Played;
    use super::*;

    fn attack(approved: u64, class: &str) -> Attack {
        let bound = |name: &str| Bound {
            class: name.to_owned(),
            size: 70 * SATS,
            refill_per_hour: 70 * SATS,
            allowed: 105 * SATS,
            approved: Cell {
                count: u64::from(name == class),
                sats: if name == class { approved } else { 0 },
            },
        };
        Attack {
            real_addresses: true,
            tally: Tally { approved: Cell { count: 1, sats: approved }, ..Tally::default() },
            seconds: 1_800,
            halted: true,
            alarm: None,
            queued: None,
            bounds: ["bound", "aged", "unvouched"].map(bound).into(),
            played: Played::default(),
            at: String::new(),
            addresses: Vec::new(),
        }
    }

    #[test]
    fn what_moved_is_told_beside_what_was_approved() {
        let text =
            told("attack", &attack(80 * SATS, "unvouched"), Cell { count: 2, sats: 70 * SATS }, 424 * SATS);
        let first = "  attack: 70.00 BTC moved to the attackers on the chain (2 outputs); the signer's own bucket lets out 424.00 at most\n    approved: 80.00 BTC; the buckets allow";
        assert!(text.starts_with(first), "{text}");
    }

    #[test]
    fn a_loss_is_measured_against_the_buckets_that_were_reached() {
        assert!(is_bounded(&attack(105 * SATS, "unvouched")));
        assert!(!is_bounded(&attack(105 * SATS + 1, "unvouched")));
        assert!(!is_bounded(&attack(1, "no class")), "what is in no bucket is in no bound");
        assert_eq!(allowed(&attack(SATS, "aged")), 210 * SATS);
        assert_eq!(allowed(&attack(0, "none")), 105 * SATS);
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(percent(permille(446, 450)), "99.1 %");
        assert_eq!([0, 59, 600, 605, 5_400].map(span), ["0 s", "59 s", "10 min", "10 min 5 s", "1 h 30 min"]);
    }
}
