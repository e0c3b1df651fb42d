//! The table, and whether what was promised holds.

use holdfast_values::time;

use super::attack::{Attack, Kind, Notice};
use super::client::{Client, text};
use super::coin::{btc, thousands};
use super::incident;
use super::measure::{self, Cell, Delays, Tally};
use super::plan::Plan;
use super::play::Day;

/// Of ordinary withdrawals within limits, so many of a thousand must go without a person.
const WITHOUT_PERSON_PERMILLE: u64 = 970;
/// And half of them within so many seconds.
const MEDIAN_SECONDS_MAX: u64 = 600;
/// The pack that is judged; the other is there to compare.
const JUDGED: &str = "baseline";

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
        Ok(Self {
            name: client.stack.name.clone(),
            buckets: client.stack.buckets.clone(),
            day: measure::kept(client, "day.json")?,
            attack: measure::kept(client, Kind::AsItWas.file())?,
            slices: measure::kept(client, Kind::InSlices.file())?,
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
        let mut text = format!("\n{}: {}\n\n  {:<11}", self.name, self.buckets, "");
        for (head, _) in columns {
            text.push_str(&format!("{head:>18}"));
        }
        text.push_str(&format!("\n  {:<11}", ""));
        for _ in columns {
            text.push_str(&format!("{:>18}", "count      BTC"));
        }
        type Row = (&'static str, fn(&Tally) -> Cell);
        let rows: [Row; 6] = [
            ("asked", |tally| tally.asked),
            ("approved", |tally| tally.approved),
            ("waiting", |tally| tally.waiting),
            ("to confirm", |tally| tally.to_confirm),
            ("held", |tally| tally.held),
            ("denied", |tally| tally.denied),
        ];
        for (name, cell) in rows {
            text.push_str(&format!("\n  {name:<11}"));
            for (_, tally) in columns {
                let Cell { count, sats } = cell(tally);
                text.push_str(&format!("{:>9}{:>9}", thousands(count), btc(sats)));
            }
        }
        text.push_str("\n\n");
        text.push_str(&self.ordinary());
        text.push_str(&told("attack as it was", &self.attack));
        text.push_str(&told("attack in slices", &self.slices));
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
        if self.name != JUDGED {
            return conditions;
        }
        for (name, attack) in [("attack as it was", &self.attack), ("attack in slices", &self.slices)] {
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

fn told(name: &str, attack: &Attack) -> String {
    let mut text = format!("  {name}: {} BTC got out", btc(attack.tally.approved.sats));
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
        "halted by nobody; watched until it had gone on for"
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
        }
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
