//! Why: everything that was decided about one withdrawal, with the facts as the policy saw them.
//!
//! Reads only, beside a running server too. The journal is folded up to each record that speaks of the withdrawal, and
//! the facts are computed again on the state before it; nothing is stored for this.

use std::collections::BTreeSet;

use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{Command, ReceiptOutcome};
use holdfast_decision::event::Event;
use holdfast_decision::weigh::{self, Weighed};
use holdfast_decision::{State, evolve, fold};
use holdfast_journal::{Head, JournalError, LocalReader};
use holdfast_policy::{Action, Effect, FACTS, explain};
use holdfast_values::WithdrawalId;
use serde_json::{Value, json};

use crate::record::{self, Decoded, RecordError, command_name, decision_json, event_json, hex};

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WhyError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// No record speaks of it.
    #[error("no record up to sequence {head} speaks of {withdrawal}: check the id and the data directory")]
    Unknown {
        /// The id.
        withdrawal: WithdrawalId,
        /// How far the journal was read.
        head: u64,
    },
}

impl WhyError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Record(error) => error.code(),
            Self::Unknown { .. } => "withdrawal_not_found",
        }
    }
}

/// Everything about one withdrawal.
#[derive(Clone, Debug, PartialEq)]
pub struct Why {
    /// The withdrawal.
    pub withdrawal: WithdrawalId,
    /// How far the journal was read.
    pub head: Head,
    /// The records that speak of it, in order.
    pub chapters: Vec<Chapter>,
}

/// One record that speaks of the withdrawal.
#[derive(Clone, Debug, PartialEq)]
pub struct Chapter {
    /// The record.
    pub sequence: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The command's name.
    pub command: &'static str,
    /// The version of the rules.
    pub rules: u32,
    /// The policy's hash.
    pub policy: String,
    /// What the policy saw and found, if it was asked.
    pub weighed: Option<WeighedText>,
    /// The decision, if there is one.
    pub decision: Option<Value>,
    /// The events about the withdrawal, as JSON.
    pub events: Vec<Value>,
}

/// What a policy saw and found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeighedText {
    /// Paths and values with units, in the order of the table of facts.
    pub facts: Vec<(&'static str, String)>,
    /// Whether a permit matched.
    pub permitted: bool,
    /// The policies that matched or failed.
    pub policies: Vec<PolicyText>,
}

/// One policy that took part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyText {
    /// Its id.
    pub id: String,
    /// `permit`, or what a forbid asks for.
    pub effect: String,
    /// A forbid's reason.
    pub reason: Option<String>,
    /// Why it could not be evaluated.
    pub error: Option<String>,
    /// The parts of its condition that decided it, with what was observed.
    pub grounds: Vec<String>,
}

/// Explains a withdrawal.
///
/// # Errors
/// [`WhyError`].
pub fn why(reader: &LocalReader, withdrawal: WithdrawalId) -> Result<Why, WhyError> {
    let mut state = State::new();
    let mut head = reader.head()?;
    let end = head.sequence;
    let mut chapters = Vec::new();
    let mut about = About { withdrawal, transactions: BTreeSet::new() };
    for record in reader.records(1) {
        let record = record?;
        if record.sequence > end {
            break;
        }
        head = record.head();
        let decoded = record::decode(&record)?;
        decoded.events.iter().for_each(|event| about.learn(event));
        if decoded.events.iter().any(|event| about.event(event)) || about.command(&decoded.command) {
            chapters.push(chapter(&mut state, &decoded, &about));
        }
        fold(&mut state, decoded.sequence, decoded.at, &decoded.events);
    }
    if chapters.is_empty() {
        return Err(WhyError::Unknown { withdrawal, head: head.sequence });
    }
    Ok(Why { withdrawal, head, chapters })
}

/// `state` is the one before the record.
fn chapter(state: &mut State, decoded: &Decoded, about: &About) -> Chapter {
    let withdrawal = about.withdrawal;
    let asked = about.command(&decoded.command);
    let mut weighed = None;
    let mut decision = None;
    for event in &decoded.events {
        match event {
            // These go before the decision that they lead to, and taking them in again changes nothing.
            Event::FactorDischarged { withdrawal: id, .. }
            | Event::CaseApproved { withdrawal: id, .. }
            | Event::WithdrawalApproved { withdrawal: id, .. }
                if *id == withdrawal =>
            {
                evolve(state, decoded.at, event);
            }
            Event::WithdrawalDecided { withdrawal: id, decision: decided } if *id == withdrawal => {
                let found = match &decoded.command {
                    Command::RequestWithdrawal(request) => weigh::request(state, decoded.at, request),
                    _ => weigh::open(state, decoded.at, withdrawal),
                };
                weighed = found.map(|found| weighed_text(state, &found));
                decision = Some(decision_json(decided));
            }
            _ => {}
        }
    }
    let events = decoded
        .events
        .iter()
        .filter(|event| about.event(event) || asked && is_answer(event))
        .map(|event| event_json(event, state))
        .collect();
    Chapter {
        sequence: decoded.sequence,
        at: decoded.at.to_string(),
        command: command_name(&decoded.command),
        rules: decoded.rules,
        policy: hex(&decoded.policy),
        weighed,
        decision,
        events,
    }
}

/// What a command about the withdrawal was answered with, without naming it.
const fn is_answer(event: &Event) -> bool {
    matches!(event, Event::Refused { .. } | Event::ReceiptRecorded { .. })
}

fn weighed_text(state: &State, weighed: &Weighed<'_>) -> WeighedText {
    let facts = FACTS.iter().map(|spec| (spec.path, explain::observed(spec.fact, &weighed.facts))).collect();
    let parts = state.program().map(|program| explain::explain(program, Action::Withdraw, &weighed.facts));
    let policies = parts
        .unwrap_or_default()
        .into_iter()
        .map(|part| PolicyText {
            id: part.policy.id.to_string(),
            effect: match &part.policy.effect {
                Effect::Permit => "permit".to_owned(),
                Effect::Forbid { degree, .. } => degree.to_string(),
            },
            reason: part.policy.reason().map(ToOwned::to_owned),
            error: part.error.map(|error| error.to_string()),
            grounds: part.grounds.iter().map(ToString::to_string).collect(),
        })
        .collect();
    WeighedText { facts, permitted: weighed.findings.permitted, policies }
}

/// What a withdrawal's story is told from: its own records, and those of the transactions that may pay it.
struct About {
    withdrawal: WithdrawalId,
    transactions: BTreeSet<Digest>,
}

impl About {
    /// Takes in the transactions that an event makes pay the withdrawal.
    fn learn(&mut self, event: &Event) {
        match event {
            Event::TransactionReleased(released) if released.withdrawals.contains(&self.withdrawal) => {
                self.transactions.insert(released.transaction);
            }
            Event::SpendRecovered(spend) if spend.withdrawal == self.withdrawal => {
                self.transactions.extend(spend.transactions.iter().map(|known| known.transaction));
            }
            _ => {}
        }
    }

    fn command(&self, command: &Command) -> bool {
        let own = self.withdrawal;
        match command {
            Command::RequestWithdrawal(request) => request.withdrawal == own,
            Command::CancelWithdrawal { withdrawal, .. }
            | Command::ReportOneTimeCode { withdrawal, .. }
            | Command::DenyWithdrawal { withdrawal, .. } => *withdrawal == own,
            Command::OperatorAct(signed) => match &signed.act {
                Act::ApproveWithdrawal { withdrawal, .. } => *withdrawal == own,
                Act::ApproveCase(case) => case.0 == own.0,
                _ => false,
            },
            Command::ApproveIntent { withdrawal, .. } | Command::RenewIntent { withdrawal, .. } => {
                *withdrawal == own
            }
            Command::ProposeTransaction(proposed) => proposed.withdrawals.contains(&own),
            Command::RecordReceipt(receipt) => match &receipt.what {
                ReceiptOutcome::Authorised { transaction, .. } => self.transactions.contains(transaction),
                ReceiptOutcome::Voided { withdrawal } => *withdrawal == own,
            },
            _ => false,
        }
    }

    fn event(&self, event: &Event) -> bool {
        match event {
            Event::WithdrawalRequested(requested) => requested.withdrawal == self.withdrawal,
            Event::WithdrawalDecided { withdrawal, .. }
            | Event::FactorDischarged { withdrawal, .. }
            | Event::CaseApproved { withdrawal, .. }
            | Event::WithdrawalApproved { withdrawal, .. }
            | Event::Reserved { withdrawal, .. }
            | Event::ReservationReturned { withdrawal }
            | Event::Queued { withdrawal, .. }
            | Event::Unqueued { withdrawal }
            | Event::WithdrawalCancelled { withdrawal }
            | Event::WithdrawalExpired { withdrawal }
            | Event::IntentApproved { withdrawal, .. }
            | Event::IntentLapsed { withdrawal }
            | Event::IntentRenewed { withdrawal, .. }
            | Event::MandateUsed { withdrawal, .. }
            | Event::WithdrawalMoved { withdrawal, .. }
            | Event::WithdrawalPaid { withdrawal, .. } => *withdrawal == self.withdrawal,
            Event::TransactionReleased(released) => released.withdrawals.contains(&self.withdrawal),
            Event::ReleaseDropped { dropped } => {
                dropped.iter().any(|dropped| dropped.withdrawal == self.withdrawal)
            }
            Event::SpendRecovered(spend) => spend.withdrawal == self.withdrawal,
            Event::TransactionObserved { transaction, .. } => self.transactions.contains(transaction),
            Event::ReceiptRecorded { transaction: Some(transaction), .. } => {
                self.transactions.contains(transaction)
            }
            _ => false,
        }
    }
}

impl Why {
    /// As one JSON object.
    pub fn json(&self) -> Value {
        let chapters: Vec<Value> = self.chapters.iter().map(Chapter::json).collect();
        json!({
            "withdrawal": self.withdrawal.to_string(),
            "as_of": self.head.sequence,
            "head": hex(&self.head.hash),
            "records": chapters,
        })
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = format!("{} as of sequence {}\n", self.withdrawal, self.head.sequence);
        for chapter in &self.chapters {
            text.push_str(&chapter.text(self.withdrawal));
        }
        text
    }
}

impl Chapter {
    fn json(&self) -> Value {
        let weighed = self.weighed.as_ref().map(|weighed| {
            let facts: serde_json::Map<String, Value> =
                weighed.facts.iter().map(|(path, value)| ((*path).to_owned(), json!(value))).collect();
            let policies: Vec<Value> = weighed
                .policies
                .iter()
                .map(|policy| {
                    json!({
                        "id": policy.id,
                        "effect": policy.effect,
                        "reason": policy.reason,
                        "error": policy.error,
                        "grounds": policy.grounds,
                    })
                })
                .collect();
            json!({"facts": facts, "permitted": weighed.permitted, "policies": policies})
        });
        json!({
            "sequence": self.sequence,
            "time": self.at,
            "command": self.command,
            "rules": self.rules,
            "policy": self.policy,
            "weighed": weighed,
            "decision": self.decision,
            "events": self.events,
        })
    }

    fn text(&self, withdrawal: WithdrawalId) -> String {
        let policy = self.policy.get(..12).unwrap_or_default();
        let mut text = format!(
            "\n#{} {} {} (rules {}, policy {policy})\n",
            self.sequence, self.at, self.command, self.rules
        );
        if let Some(decision) = &self.decision {
            text.push_str(&decision_text(decision));
        }
        if let Some(weighed) = &self.weighed {
            text.push_str("  policies\n");
            if !weighed.permitted {
                text.push_str("    no permit matched\n");
            }
            for policy in &weighed.policies {
                let reason =
                    policy.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                text.push_str(&format!("    {}: {}{reason}\n", policy.id, policy.effect));
                if let Some(error) = &policy.error {
                    text.push_str(&format!("      could not be evaluated: {error}\n"));
                }
                for ground in &policy.grounds {
                    text.push_str(&format!("      {ground}\n"));
                }
            }
            text.push_str("  facts\n");
            for (path, value) in &weighed.facts {
                text.push_str(&format!("    {path} = {value}\n"));
            }
        }
        text.push_str("  events\n");
        for event in &self.events {
            text.push_str(&format!("    {}\n", event_text(event, withdrawal)));
        }
        text
    }
}

fn field<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or("-")
}

/// Obligations and reasons of a decision, from its JSON.
fn decision_text(decision: &Value) -> String {
    let mut text = format!(
        "  {} -> {}; class {}; dwell until {}",
        field(decision, "severity"),
        field(decision, "status"),
        field(decision, "class"),
        field(decision, "dwell_until")
    );
    let factors: Vec<&str> = decision
        .get("factors")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !factors.is_empty() {
        text.push_str(&format!("; asked for {}", factors.join(", ")));
    }
    text.push('\n');
    for reason in decision.get("reasons").and_then(Value::as_array).into_iter().flatten() {
        text.push_str(&format!(
            "    {} {}: observed {}; expected {}\n",
            field(reason, "severity"),
            field(reason, "code"),
            field(reason, "observed"),
            field(reason, "expected")
        ));
    }
    text
}

/// The event's name and its flat fields, how many withdrawals share it, and why this one was dropped.
fn event_text(event: &Value, withdrawal: WithdrawalId) -> String {
    let mut text = field(event, "type").to_owned();
    let items = |key: &str| event.get(key).and_then(Value::as_array).into_iter().flatten();
    let own = withdrawal.to_string();
    for dropped in items("dropped").filter(|dropped| field(dropped, "withdrawal") == own) {
        text.push_str(&format!(" why={} ({})", field(dropped, "why"), field(dropped, "sentence")));
    }
    if event.get("withdrawals").is_some() {
        text.push_str(&format!(" withdrawals={}", items("withdrawals").count()));
    }
    for (key, value) in event.as_object().into_iter().flatten() {
        let shown = match value {
            _ if key == "type" || key == "withdrawal" => continue,
            Value::String(value) => value.clone(),
            Value::Number(value) => value.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Null | Value::Array(_) | Value::Object(_) => continue,
        };
        text.push_str(&format!(" {key}={shown}"));
    }
    text
}
