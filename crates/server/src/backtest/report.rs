//! What a back-test found: counts, money, delay, customers, the worst cases; as a table and as JSON.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use holdfast_decision::event::Decision;
use holdfast_decision::reason::Severity;
use holdfast_values::{Amount, Timestamp, UsdCents, WithdrawalId};
use serde_json::{Value, json};

use crate::record::hex;

use super::Range;
use super::compare::{Outcome, Way};

/// How many cases are kept each way.
pub const WORST_MAX: usize = 10;
/// How many customers are listed.
const CUSTOMERS_MAX: usize = 100;
/// How many of them in the table.
const CUSTOMERS_SHOWN: usize = 10;
/// What the numbers mean.
const ONE_STEP: &str = "each recorded decision again, on the state it was made on; what came after it is as it happened, so that \
                        the effect of a change on later decisions is not in these numbers";

/// One decision that would have been another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The record.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// What was asked.
    pub command: &'static str,
    /// Which withdrawal.
    pub withdrawal: WithdrawalId,
    /// Whose.
    pub account: String,
    /// Of what.
    pub asset: String,
    /// How much, in base units.
    pub amount: Amount,
    /// The asset's decimals.
    pub decimals: u8,
    /// What it is worth; `UsdCents::MAX` without a price.
    pub usd_cents: UsdCents,
    /// Which way.
    pub way: Way,
    /// What was decided.
    pub old: Outcome,
    /// What the candidate would have decided.
    pub new: Outcome,
}

/// The same, borrowed: copied only if it is among the worst.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) sequence: u64,
    pub(super) at: Timestamp,
    pub(super) command: &'static str,
    pub(super) withdrawal: WithdrawalId,
    pub(super) account: &'a str,
    pub(super) asset: &'a str,
    pub(super) amount: Amount,
    pub(super) decimals: u8,
    pub(super) way: Way,
    pub(super) old: &'a Decision,
    pub(super) new: &'a Decision,
}

impl Change<'_> {
    fn is_priced(&self) -> bool {
        self.new.usd_cents != UsdCents::MAX
    }

    fn case(&self) -> Case {
        Case {
            sequence: self.sequence,
            at: self.at,
            command: self.command,
            withdrawal: self.withdrawal,
            account: self.account.to_owned(),
            asset: self.asset.to_owned(),
            amount: self.amount,
            decimals: self.decimals,
            usd_cents: self.new.usd_cents,
            way: self.way,
            old: Outcome::of(self.old),
            new: Outcome::of(self.new),
        }
    }
}

impl Case {
    fn is_priced(&self) -> bool {
        self.usd_cents != UsdCents::MAX
    }

    fn json(&self) -> Value {
        json!({
            "sequence": self.sequence,
            "time": self.at.to_string(),
            "command": self.command,
            "withdrawal": self.withdrawal.to_string(),
            "account": self.account,
            "asset": self.asset,
            "amount": self.amount.to_short(self.decimals),
            "usd_cents": self.is_priced().then_some(self.usd_cents.0),
            "old": self.old.json(),
            "new": self.new.json(),
        })
    }

    fn text(&self) -> String {
        let usd =
            if self.is_priced() { dollars(u128::from(self.usd_cents.0)) } else { "no price".to_owned() };
        format!(
            "  #{} {} {} {} {} ({usd}): {} -> {}",
            self.sequence,
            self.withdrawal,
            self.account,
            self.amount.to_short(self.decimals),
            self.asset,
            self.old.text(),
            self.new.text()
        )
    }
}

/// Changes the entry of this name, which is copied only the first time.
fn update<V: Default>(map: &mut BTreeMap<String, V>, name: &str, change: impl FnOnce(&mut V)) {
    if let Some(value) = map.get_mut(name) {
        change(value);
    } else {
        let mut value = V::default();
        change(&mut value);
        map.insert(name.to_owned(), value);
    }
}

/// Withdrawals and their value, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Money {
    /// How many.
    pub withdrawals: u64,
    /// What they are worth.
    pub usd_cents: u128,
    /// How many of them have no price.
    pub unpriced: u64,
    /// By asset: how many, how much in base units, and the asset's decimals.
    pub assets: BTreeMap<String, (u64, Amount, u8)>,
}

impl Money {
    fn add(&mut self, change: &Change<'_>) {
        self.withdrawals = self.withdrawals.saturating_add(1);
        if change.is_priced() {
            self.usd_cents = self.usd_cents.saturating_add(u128::from(change.new.usd_cents.0));
        } else {
            self.unpriced = self.unpriced.saturating_add(1);
        }
        update(&mut self.assets, change.asset, |(count, sum, decimals): &mut (u64, Amount, u8)| {
            *count = count.saturating_add(1);
            *sum = sum.saturating_add(change.amount);
            *decimals = change.decimals;
        });
    }

    fn json(&self) -> Value {
        let assets: Vec<Value> = self
            .assets
            .iter()
            .map(|(asset, (count, sum, decimals))| {
                json!({"asset": asset, "withdrawals": count, "amount": sum.to_short(*decimals)})
            })
            .collect();
        json!({
            "withdrawals": self.withdrawals,
            "usd_cents": self.usd_cents.to_string(),
            "unpriced": self.unpriced,
            "assets": assets,
        })
    }
}

/// One direction of change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Decisions that change this way.
    pub decisions: u64,
    /// The withdrawals of them.
    pub money: Money,
    /// By how many seconds dwells end later, or earlier, summed over those withdrawals.
    pub dwell_seconds: u64,
    /// Holds more, or fewer.
    pub holds: u64,
    /// Questions to the owner more, or fewer.
    pub step_ups: u64,
    /// Denials more, or fewer.
    pub denials: u64,
    /// The largest by value.
    pub worst: Vec<Case>,
    seen: BTreeSet<WithdrawalId>,
}

impl Side {
    fn take(&mut self, change: &Change<'_>) -> bool {
        self.decisions = self.decisions.saturating_add(1);
        // The more severe outcome of the two: a hold more is a hold that the other side lacks.
        let (more, less) = match change.way {
            Way::Looser => (change.old, change.new),
            _ => (change.new, change.old),
        };
        let counter = match more.severity {
            _ if more.severity == less.severity => None,
            Severity::Deny => Some(&mut self.denials),
            Severity::Hold => Some(&mut self.holds),
            Severity::StepUp => Some(&mut self.step_ups),
            _ => None,
        };
        if let Some(counter) = counter {
            *counter = counter.saturating_add(1);
        }
        if !self.seen.insert(change.withdrawal) {
            return false;
        }
        self.money.add(change);
        if more.severity != Severity::Deny && less.severity != Severity::Deny {
            let seconds = more.dwell_until.since(less.dwell_until) / holdfast_values::time::SECOND;
            self.dwell_seconds = self.dwell_seconds.saturating_add(seconds);
        }
        // Largest first; what has no price might be worth anything.
        let place = self.worst.partition_point(|known| known.usd_cents >= change.new.usd_cents);
        if place < WORST_MAX {
            self.worst.insert(place, change.case());
            self.worst.truncate(WORST_MAX);
        }
        true
    }

    fn delay_json(&self) -> Value {
        json!({
            "dwell_seconds": self.dwell_seconds,
            "step_ups": self.step_ups,
            "holds": self.holds,
            "denials": self.denials,
        })
    }
}

/// What changes for one customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Customer {
    /// Withdrawals that would have been treated more strictly, and their value.
    pub tighter: (u64, u128),
    /// Those that would have been treated less strictly.
    pub looser: (u64, u128),
}

impl Customer {
    const fn value(&self) -> u128 {
        self.tighter.1.saturating_add(self.looser.1)
    }
}

/// What a back-test found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The candidate's hash.
    pub candidate: [u8; 32],
    /// The policy that was active at the end of the range.
    pub active: [u8; 32],
    /// Which records counted.
    pub range: Range,
    /// Records read, and the last of them.
    pub records: u64,
    /// The sequence of the last record that was read.
    pub last: u64,
    /// It was ended before it was done.
    pub is_partial: bool,
    /// Decisions compared.
    pub decisions: u64,
    /// Tighter decisions.
    pub tighter: Side,
    /// Looser ones.
    pub looser: Side,
    /// More of one thing and less of another.
    pub mixed: u64,
    /// The same outcome with other reasons.
    pub reasons_only: u64,
    /// Waiting lines that the candidate would have served in another order.
    pub displaced: u64,
    /// How many decisions go from one degree to another.
    pub transitions: BTreeMap<(Severity, Severity), u64>,
    /// Changes by customer.
    pub customers: BTreeMap<String, Customer>,
    /// Rules versions that this binary lacks, with the records that they decided and that were left out.
    pub lacking: BTreeMap<u32, u64>,
    /// Records that this very policy decided, and how many of them came out equal.
    pub same_policy: (u64, u64),
    /// The first that did not.
    pub first_difference: Option<u64>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    pub(super) fn new(range: Range) -> Self {
        Self { range, ..Self::default() }
    }

    pub(super) fn reproduced(&mut self, sequence: u64, is_equal: bool) {
        let (records, equal) = &mut self.same_policy;
        *records = records.saturating_add(1);
        if is_equal {
            *equal = equal.saturating_add(1);
        } else {
            self.first_difference.get_or_insert(sequence);
        }
    }

    pub(super) fn changed(&mut self, change: &Change<'_>) {
        let side = match change.way {
            Way::Tighter => &mut self.tighter,
            Way::Looser => &mut self.looser,
            Way::Mixed => {
                self.mixed = self.mixed.saturating_add(1);
                return;
            }
            Way::Reasons => {
                self.reasons_only = self.reasons_only.saturating_add(1);
                return;
            }
        };
        let degrees = (change.old.severity, change.new.severity);
        let count = self.transitions.entry(degrees).or_default();
        *count = count.saturating_add(1);
        if !side.take(change) {
            return;
        }
        update(&mut self.customers, change.account, |customer| {
            let (count, sum) =
                if change.way == Way::Tighter { &mut customer.tighter } else { &mut customer.looser };
            *count = count.saturating_add(1);
            if change.is_priced() {
                *sum = sum.saturating_add(u128::from(change.new.usd_cents.0));
            }
        });
    }

    /// Decisions that come out otherwise, reasons included.
    pub const fn changes(&self) -> u64 {
        self.tighter
            .decisions
            .saturating_add(self.looser.decisions)
            .saturating_add(self.mixed)
            .saturating_add(self.reasons_only)
    }

    /// Decisions a second.
    pub fn per_second(&self) -> u64 {
        let micros = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(self.decisions).saturating_mul(1_000_000) / micros).unwrap_or(u64::MAX)
    }

    /// Every decision of this very policy came out as it is recorded.
    pub const fn is_reproduced(&self) -> bool {
        self.first_difference.is_none()
    }

    /// Customers, those with the most value first.
    fn customers_by_value(&self) -> Vec<(&String, &Customer)> {
        let mut customers: Vec<_> = self.customers.iter().collect();
        customers.sort_by_key(|(name, customer)| (core::cmp::Reverse(customer.value()), *name));
        customers
    }

    /// As one JSON object.
    pub fn json(&self) -> Value {
        let transitions: Vec<Value> = self
            .transitions
            .iter()
            .map(|((old, new), count)| {
                let way = match old.cmp(new) {
                    core::cmp::Ordering::Less => Way::Tighter.name(),
                    core::cmp::Ordering::Greater => Way::Looser.name(),
                    core::cmp::Ordering::Equal => "same_degree",
                };
                json!({"old": old.name(), "new": new.name(), "way": way, "decisions": count})
            })
            .collect();
        let customers: Vec<Value> = self
            .customers_by_value()
            .into_iter()
            .take(CUSTOMERS_MAX)
            .map(|(account, customer)| {
                let side = |(count, sum): (u64, u128)| json!({"withdrawals": count, "usd_cents": sum.to_string()});
                json!({"account": account, "tighter": side(customer.tighter), "looser": side(customer.looser)})
            })
            .collect();
        let lacking: BTreeMap<String, u64> =
            self.lacking.iter().map(|(rules, records)| (rules.to_string(), *records)).collect();
        let worst = |side: &Side| -> Value { side.worst.iter().map(Case::json).collect() };
        let (records, equal) = self.same_policy;
        json!({
            "candidate": hex(&self.candidate),
            "active": hex(&self.active),
            "method": ONE_STEP,
            "partial": self.is_partial,
            "from": self.range.from.map(|at| at.to_string()),
            "to": self.range.to.map(|at| at.to_string()),
            "records": self.records,
            "last_sequence": self.last,
            "decisions": self.decisions,
            "changed": self.changes(),
            "tighter": self.tighter.decisions,
            "looser": self.looser.decisions,
            "mixed": self.mixed,
            "reasons_only": self.reasons_only,
            "served_in_another_order": self.displaced,
            "transitions": transitions,
            "money": {"tighter": self.tighter.money.json(), "looser": self.looser.money.json()},
            "delay": {"tighter": self.tighter.delay_json(), "looser": self.looser.delay_json()},
            "customers": {"count": self.customers.len(), "listed": customers},
            "worst": {"tighter": worst(&self.tighter), "looser": worst(&self.looser)},
            "rules_lacking": lacking,
            "same_policy": {"records": records, "equal": equal, "first_difference": self.first_difference},
            "elapsed_ms": u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
            "decisions_per_second": self.per_second(),
        })
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |args: core::fmt::Arguments<'_>| {
            let _infallible = writeln!(text, "{args}");
        };
        if self.is_partial {
            line(format_args!("PARTIAL: ended at record {}", self.last));
        }
        line(format_args!(
            "{} decisions of {} records; {} change: {} tighter, {} looser, {} mixed, {} in their reasons alone; {} decisions/s",
            self.decisions,
            self.records,
            self.changes(),
            self.tighter.decisions,
            self.looser.decisions,
            self.mixed,
            self.reasons_only,
            self.per_second()
        ));
        line(format_args!("{ONE_STEP}"));
        if self.displaced > 0 {
            line(format_args!(
                "{} turns of waiting lines would have gone to another withdrawal first; that one is compared instead",
                self.displaced
            ));
        }
        for (rules, records) in &self.lacking {
            line(format_args!(
                "{records} records were decided by version {rules} of the rules, which this binary lacks: not compared"
            ));
        }
        let (records, equal) = self.same_policy;
        if records > 0 {
            line(format_args!("{records} records were decided by this very policy; {equal} come out equal"));
        }
        if let Some(sequence) = self.first_difference {
            line(format_args!(
                "record {sequence} does not come out as it is recorded: run holdfast replay before trusting this"
            ));
        }
        if self.changes() > 0 {
            line(format_args!("\n{:<22}{:>18}{:>18}", "", "tighter", "looser"));
            let mut row = |name: &str, of: &dyn Fn(&Side) -> String| {
                line(format_args!("{name:<22}{:>18}{:>18}", of(&self.tighter), of(&self.looser)));
            };
            row("decisions", &|side| side.decisions.to_string());
            row("withdrawals", &|side| side.money.withdrawals.to_string());
            row("value in USD", &|side| dollars(side.money.usd_cents));
            row("without a price", &|side| side.money.unpriced.to_string());
            row("dwell", &|side| {
                holdfast_policy::outcome::Span(
                    side.dwell_seconds.saturating_mul(holdfast_values::time::SECOND),
                )
                .to_string()
            });
            row("step-ups", &|side| side.step_ups.to_string());
            row("holds", &|side| side.holds.to_string());
            row("denials", &|side| side.denials.to_string());
            let both = (&self.tighter.money.assets, &self.looser.money.assets);
            let assets: BTreeSet<&String> = both.0.keys().chain(both.1.keys()).collect();
            for asset in assets {
                row(asset, &|side| {
                    let known = side.money.assets.get(asset);
                    known.map_or_else(|| "0".to_owned(), |(_, sum, decimals)| sum.to_short(*decimals))
                });
            }
            line(format_args!("\nfrom -> to: decisions"));
            for ((old, new), count) in &self.transitions {
                line(format_args!("  {} -> {}: {count}", old.name(), new.name()));
            }
        }
        for (name, side) in [("tighter", &self.tighter), ("looser", &self.looser)] {
            if !side.worst.is_empty() {
                line(format_args!("\nlargest {name}"));
            }
            for case in &side.worst {
                line(format_args!("{}", case.text()));
            }
        }
        if !self.customers.is_empty() {
            line(format_args!("\ncustomers: {}", self.customers.len()));
        }
        for (account, customer) in self.customers_by_value().into_iter().take(CUSTOMERS_SHOWN) {
            line(format_args!(
                "  {account}: {} tighter ({}), {} looser ({})",
                customer.tighter.0,
                dollars(customer.tighter.1),
                customer.looser.0,
                dollars(customer.looser.1)
            ));
        }
        text
    }
}

/// Cents as dollars.
fn dollars(cents: u128) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}
