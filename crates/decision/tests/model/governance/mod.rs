//! What changes the rules of the house: who may, how long it waits, who can stop it, and what no trick gets past.

mod agree;
mod configure;
mod policies;
mod waits;

use holdfast_decision::acts::{Act, Digest, PolicyProposal, PolicyTightening};
use holdfast_decision::command::{Command, PolicySource};
use holdfast_decision::event::Event;
use holdfast_decision::{Configuration, Refusal};
use holdfast_policy::expr::Expr;
use holdfast_policy::facts::Action;
use holdfast_policy::outcome::Degree;
use holdfast_policy::program::{Effect, Policy, PolicyMeta, Program};
use holdfast_values::{pack_hash, time};

use crate::approvals::refusal;
use crate::play::Run;
use crate::world::{configuration, name};

pub(crate) const BASE: &str = r#"@id("open")
permit (principal, action == Action::"withdraw", resource);

@id("large")
@outcome("hold") @reason("large_amount")
@tighter("amount_usd_cents lower")
forbid (principal, action == Action::"withdraw", resource)
when { context.amount_usd_cents > 10000000 };

@id("wait")
@outcome("dwell") @for("10m") @reason("short_look")
forbid (principal, action == Action::"withdraw", resource)
when { context.amount_usd_cents > 100 };
"#;

/// Nothing leaves.
pub(crate) const STOP: &str = r#"@id("stop")
@outcome("deny") @reason("stopped")
forbid (principal, action == Action::"withdraw", resource);
"#;

/// A pack with a program. The core takes the edge's word that one was compiled from the other, and so do these tests: the
/// program waits and stops where the text does, and knows nothing else of it.
pub(crate) fn compiled(files: &[(&str, &str)]) -> PolicySource {
    let rule = |id: &str, effect: Effect| Policy {
        meta: PolicyMeta { id: id.into(), effect, actions: Action::Withdraw.bit() },
        condition: Expr::Bool(true),
    };
    let forbid = |degree: Degree, reason: &str| Effect::Forbid { degree, reason: reason.into() };
    let says = |what: &str| files.iter().any(|(_, text)| text.contains(what));
    let mut policies = vec![rule("open", Effect::Permit)];
    if says("@id(\"wait\")") {
        policies.push(rule("wait", forbid(Degree::Dwell(10 * time::MINUTE), "short_look")));
    }
    if says("@id(\"stop\")") {
        policies.push(rule("stop", forbid(Degree::Deny, "stopped")));
    }
    let hash = pack_hash(files.iter().copied());
    let program = Program::new(hash, policies).unwrap().to_bytes();
    let files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    PolicySource { hash, files, program, compiler: Some(1) }
}

pub(crate) fn base() -> PolicySource {
    compiled(&[("base.cedar", BASE)])
}

/// Looser than the base in one number.
fn looser() -> PolicySource {
    compiled(&[("base.cedar", &BASE.replace("> 10000000", "> 90000000"))])
}

pub(crate) fn stopping() -> PolicySource {
    compiled(&[("base.cedar", BASE), ("now.cedar", STOP)])
}

/// The usual delays: a day for what loosens, ten minutes for the end of a halt.
pub(crate) fn slow() -> Configuration {
    let mut configuration = configuration();
    configuration.parameters.loosening_delay = None;
    configuration.parameters.resume_delay = None;
    configuration
}

/// An exchange that has been set up; its operators have been there from the first day.
pub(crate) fn house() -> Run {
    let mut run = Run::new(slow(), base());
    run.wait(2 * time::HOUR);
    run
}

pub(crate) fn propose(source: PolicySource, from: &PolicySource) -> Act {
    let (reason, report) = ("Batch payers meet no limit.".to_owned(), "{}".to_owned());
    Act::ProposePolicy(Box::new(PolicyProposal { source, from: from.hash, reason, report }))
}

pub(crate) fn approve(source: &PolicySource, from: &PolicySource, author: &str) -> Act {
    Act::ApprovePolicy { hash: source.hash, from: from.hash, author: name(author) }
}

pub(crate) fn tighten(source: PolicySource, from: &PolicySource) -> Act {
    Act::TightenPolicy(Box::new(PolicyTightening { source, from: from.hash }))
}

pub(crate) fn restore(source: &PolicySource, from: &PolicySource) -> Act {
    Act::RestorePolicy { hash: source.hash, from: from.hash }
}

/// An act that must not be refused.
pub(crate) fn does(run: &mut Run, act: Act, signers: &[&str]) -> Vec<Event> {
    let events = run.act(act, signers);
    assert_eq!(refusal(&events), None, "{events:?}");
    events
}

fn refuses(run: &mut Run, act: Act, signers: &[&str]) -> Option<Refusal> {
    let before = run.state.hash();
    let events = run.act(act, signers);
    let refused = refusal(&events);
    if refused.is_some() {
        assert_ne!(run.state.hash(), before, "the attempt is in the journal, and the sequence moved on");
    }
    refused
}

/// The nonce of the act that these events put off.
pub(crate) fn scheduled(events: &[Event]) -> Digest {
    let found = events.iter().find_map(|event| match event {
        Event::ActScheduled(scheduled) => Some(scheduled.nonce),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("nothing waits: {events:?}"))
}

fn stop(nonce: Digest) -> Command {
    Command::StopAct { act: nonce, by: name("dora") }
}

/// What became of acts that waited.
fn lapses(ticks: &[Vec<Event>]) -> Vec<Refusal> {
    let events = ticks.iter().flatten();
    let lapsed = events.filter_map(|event| match event {
        Event::ActLapsed { refusal, .. } => Some(*refusal),
        _ => None,
    });
    lapsed.collect()
}
