//! What came of a drive: counts for people, and the decisions as lines that `holdfast score` reads.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_simulator::format::{Body, Entry};
use holdfast_simulator::log::{Line, Upon, What, Why};
use holdfast_values::{Amount, Timestamp};
use serde_json::{Value, json};

use super::clock::{Spans, Times};
use super::hands::{Did, Withdrawal};

/// Refusals that are kept as lines; further ones are counted.
const REFUSED_LINES_MAX: usize = 1_000_000;

/// Counts by a name.
type Counts = BTreeMap<Box<str>, u64>;

/// What came of a drive.
#[derive(Default)]
pub(super) struct Found {
    pub(super) events: u64,
    pub(super) span: Option<(Timestamp, Timestamp)>,
    taken: u64,
    context: Counts,
    not_driven: BTreeMap<&'static str, u64>,
    refused: Counts,
    lost: Vec<Box<str>>,
    asked: Counts,
    customers: Counts,
    /// What customers would still have done.
    undone: u64,
    late: Spans,
    /// Sequences of what owners and staff did, by which decisions are told apart.
    approvals: BTreeSet<u64>,
    acts: BTreeSet<u64>,
    /// Of the server's time.
    lines: Vec<Line>,
    /// When an owner took a withdrawal back, or staff denied it.
    ended_at: BTreeMap<Box<str>, Timestamp>,
    standing: Counts,
    pub(super) left: u64,
    pub(super) interrupted: bool,
}

fn count(counts: &mut Counts, what: &str) {
    let count = counts.entry(what.into()).or_default();
    *count = count.saturating_add(1);
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn time(value: &Value, key: &str) -> Option<Timestamp> {
    Timestamp::parse(text(value, key)).ok()
}

fn number(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or_default()
}

fn texts(value: &Value, key: &str) -> Vec<Box<str>> {
    let all = value.get(key).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).map(Into::into).collect()
}

/// US dollars as cents; what does not read is nothing.
fn cents(value: &Value, key: &str) -> u64 {
    let cents = Amount::parse(text(value, key), 2).map(|cents| cents.base_units()).unwrap_or_default();
    u64::try_from(cents).unwrap_or(u64::MAX)
}

impl Found {
    /// An event goes out.
    pub(super) fn sent(&mut self, entry: &Entry) {
        self.events = self.events.saturating_add(1);
        let (from, _) = self.span.unwrap_or((entry.at, entry.at));
        self.span = Some((from, entry.at));
    }

    /// By how much it was late, here.
    pub(super) fn late(&mut self, late: Duration) {
        self.late.add(late);
    }

    /// How an event ended, and when by the server's clock.
    pub(super) fn ended(&mut self, at: Timestamp, entry: &Entry, did: &Did) {
        match did {
            Did::Taken(reply, sequence) => {
                self.taken = self.taken.saturating_add(1);
                self.did(at, entry, reply, *sequence);
            }
            Did::Context => count(&mut self.context, type_of(&entry.body)),
            Did::NotDriven(why) => {
                let times = self.not_driven.entry(*why).or_default();
                *times = times.saturating_add(1);
            }
            Did::Lost(error) => {
                self.lost.push(format!("{}: {error}", entry.id).into());
            }
            Did::Refused(code, detail) => {
                count(&mut self.refused, code);
                if self.lines.len() < REFUSED_LINES_MAX {
                    let what = What::Refused {
                        event: entry.id.clone(),
                        code: code.as_str().into(),
                        detail: detail.as_str().into(),
                    };
                    self.lines.push(Line { at, what });
                }
            }
        }
    }

    fn did(&mut self, at: Timestamp, entry: &Entry, reply: &Value, sequence: u64) {
        match &entry.body {
            Body::RequestWithdrawal { .. } => {
                let severity = reply.get("outcome").map(|outcome| text(outcome, "severity"));
                count(&mut self.asked, severity.unwrap_or_default());
            }
            Body::ApproveWithdrawal { .. } | Body::OneTimeCode { .. } => {
                self.approvals.insert(sequence);
            }
            Body::CancelWithdrawal { withdrawal, .. } | Body::DenyWithdrawal { withdrawal, .. } => {
                self.acts.insert(sequence);
                self.ended_at.entry(withdrawal.clone()).or_insert(at);
            }
            _ => {
                self.acts.insert(sequence);
            }
        }
    }

    /// What a customer did of his own, about the withdrawal of an event.
    pub(super) fn customer(&mut self, event: Option<&str>, did: &Did) {
        match did {
            Did::Taken(_, sequence) => {
                count(&mut self.customers, if event.is_some() { "answers" } else { "notices" });
                self.approvals.insert(*sequence);
            }
            Did::Refused(code, _) => count(&mut self.customers, code),
            Did::Lost(_) => count(&mut self.customers, "lost"),
            Did::NotDriven(_) | Did::Context => {}
        }
    }

    pub(super) fn undone(&mut self, todos: u64) {
        self.undone = self.undone.saturating_add(todos);
    }

    /// What became of a withdrawal: its decisions, and its end.
    pub(super) fn became(&mut self, event: &str, rows: &[Value], now: &Value) {
        let mut last = None;
        for (place, row) in rows.iter().enumerate() {
            let Some(at) = time(row, "at") else { continue };
            last = Some(at);
            let sequence = number(row, "sequence");
            let upon = match () {
                () if place == 0 => Upon::Request,
                () if self.approvals.contains(&sequence) => Upon::Approval,
                () if self.acts.contains(&sequence) => Upon::Act,
                () => Upon::Time,
            };
            let reasons = row.get("reasons").and_then(Value::as_array).into_iter().flatten();
            let reasons = reasons.map(|why| Why {
                code: text(why, "code").into(),
                severity: text(why, "severity").into(),
                observed: text(why, "observed").into(),
                expected: text(why, "expected").into(),
            });
            let what = What::Decided {
                event: event.into(),
                upon,
                outcome: text(row, "outcome").into(),
                status: text(row, "status").into(),
                class: text(row, "class").into(),
                dwell_until: time(row, "dwell_until").filter(|until| *until > at),
                factors: texts(row, "factors"),
                usd_cents: cents(row, "usd"),
                reasons: reasons.collect(),
            };
            self.lines.push(Line { at, what });
        }
        let status = text(now, "status");
        count(&mut self.standing, status);
        let closed = |at| Line { at, what: What::Closed { event: event.into(), status: status.into() } };
        let asked = time(now, "requested_at").unwrap_or_default();
        let last = last.unwrap_or(asked);
        match status {
            "cancelled" | "denied" => {
                self.lines.push(closed(self.ended_at.get(event).copied().unwrap_or(last)));
            }
            "expired" => self.lines.push(closed(time(now, "not_after").unwrap_or(last))),
            "broadcast" | "confirmed" => {
                self.left = self.left.saturating_add(1);
                let class = now.get("outcome").map(|outcome| text(outcome, "class")).unwrap_or_default();
                let what = What::Left {
                    event: event.into(),
                    class: class.into(),
                    // Which of its buckets a signer took is not told over HTTP.
                    bucket: "unknown".into(),
                    asset: text(now, "asset").into(),
                    amount: text(now, "amount").into(),
                    usd_cents: cents(now, "usd"),
                };
                self.lines.push(Line { at: time(now, "paid_at").unwrap_or(last), what });
            }
            _ => {}
        }
    }

    /// The lines, in order, at the times of the file.
    pub(super) fn take_lines(&mut self, times: Option<&Times>) -> Vec<Line> {
        let mut lines = std::mem::take(&mut self.lines);
        lines.sort_by_key(|line| line.at);
        if let Some(times) = times {
            for line in &mut lines {
                line.at = times.told(line.at);
                if let What::Decided { dwell_until: Some(until), .. } = &mut line.what {
                    *until = times.told(*until);
                }
            }
        }
        lines
    }

    /// That every event was taken, or was context.
    pub(super) fn is_whole(&self) -> bool {
        self.lost.is_empty() && !self.interrupted
    }

    pub(super) fn lost(&self) -> &[Box<str>] {
        &self.lost
    }

    pub(super) fn json(&self, answered: &Spans) -> Value {
        let spans = |spans: &Spans| json!({ "p50_us": spans.within(500), "p99_us": spans.within(990), "max_us": spans.longest() });
        json!({
            "events": self.events,
            "taken": self.taken,
            "context": self.context,
            "not_driven": self.not_driven,
            "refused": self.refused,
            "lost": self.lost.len(),
            "asked": self.asked,
            "withdrawals": self.standing,
            "left": self.left,
            "customers": self.customers,
            "customers_undone": self.undone,
            "late": spans(&self.late),
            "answered": spans(answered),
            "from": self.span.map(|(from, _)| from.to_string()),
            "to": self.span.map(|(_, to)| to.to_string()),
            "interrupted": self.interrupted,
        })
    }

    pub(super) fn text(&self, answered: &Spans) -> String {
        let mut text = String::new();
        if self.interrupted {
            text.push_str("interrupted: this is what was driven so far\n");
        }
        match self.span {
            Some((from, to)) => text.push_str(&format!("{} events from {from} to {to}\n", self.events)),
            None => text.push_str("no events\n"),
        }
        let refused: u64 = self.refused.values().sum();
        text.push_str(&format!(
            "taken: {}; context that no route takes: {}; refused: {refused}{}; without an answer: {}\n",
            self.taken,
            list(&self.context),
            if refused == 0 { String::new() } else { format!(" ({})", list(&self.refused)) },
            self.lost.len(),
        ));
        for (why, times) in &self.not_driven {
            text.push_str(&format!("not driven: {times}: {why}\n"));
        }
        let withdrawals: u64 = self.asked.values().sum();
        text.push_str(&format!("{withdrawals} withdrawals: {}\n", list(&self.asked)));
        text.push_str(&format!("where they stand: {}\n", list(&self.standing)));
        if withdrawals > 0 && self.left == 0 {
            text.push_str("no money left: no wallet asked for the release of what is approved\n");
        }
        text.push_str(&format!("customers: {}; undone at the end: {}\n", list(&self.customers), self.undone));
        text.push_str(&format!("late: {}\nanswered: {}\n", spans(&self.late), spans(answered)));
        text
    }
}

fn list(counts: &Counts) -> String {
    let all = counts.iter().map(|(name, count)| format!("{count} {name}"));
    let all = all.collect::<Vec<_>>().join(", ");
    if all.is_empty() { "none".to_owned() } else { all }
}

fn spans(spans: &Spans) -> String {
    let milli = |micros: u64| format!("{}.{:03} ms", micros / 1_000, micros % 1_000);
    format!(
        "half within {}, 99 % within {}, at most {}",
        milli(spans.within(500)),
        milli(spans.within(990)),
        milli(spans.longest())
    )
}

/// The name of a type that is context.
const fn type_of(body: &Body) -> &'static str {
    match body {
        Body::Deposit { .. } => "deposit",
        Body::Trade { .. } => "trade",
        _ => "support",
    }
}

/// What became of each withdrawal is asked for when it is over.
pub(super) fn gather(
    found: &mut Found,
    withdrawals: &BTreeMap<Box<str>, Withdrawal>,
    mut ask: impl FnMut(&Withdrawal) -> Result<(Vec<Value>, Value), crate::cli::Failure>,
) -> Result<(), crate::cli::Failure> {
    for (event, known) in withdrawals {
        let (rows, now) = ask(known)?;
        found.became(event, &rows, &now);
    }
    Ok(())
}
