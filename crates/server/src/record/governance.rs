//! Proposals, acts that wait, and moves of the policy as JSON.

use holdfast_decision::acts::{PolicyProposal, PolicyTightening};
use holdfast_decision::event::{PolicyMove, ProposalOpened, ScheduledAct};
use serde_json::Value;

use super::json::{self, Object, hex};
use super::{Names, chain};

pub(super) fn proposal(object: Object, proposal: &PolicyProposal) -> Object {
    object
        .put("policy", json::policy(&proposal.source))
        .put("from", hex(&proposal.from))
        .put("reason", proposal.reason.as_str())
        .put("report", report(&proposal.report))
}

/// A report is JSON; what is none is shown as it is.
fn report(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

pub(super) fn tightening(object: Object, tightening: &PolicyTightening) -> Object {
    object.put("policy", json::policy(&tightening.source)).put("from", hex(&tightening.from))
}

pub(super) fn opened(object: Object, opened: &ProposalOpened) -> Object {
    let object = object.put("nonce", hex(&opened.nonce.0)).put("author", opened.author.as_str());
    proposal(object, &opened.proposal).put("approval", chain::approval(&opened.approval))
}

pub(super) fn scheduled(object: Object, scheduled: &ScheduledAct, names: &dyn Names) -> Object {
    object
        .put("nonce", hex(&scheduled.nonce.0))
        .put("act", json::act(&scheduled.act, names))
        .put("approval", chain::approval(&scheduled.approval))
        .put("operators", scheduled.operators)
        .put("due", scheduled.due.to_string())
}

pub(super) fn moved(object: Object, moved: &PolicyMove) -> Object {
    object
        .put("how", moved.how.name())
        .put("from", hex(&moved.from))
        .put("hash", hex(&moved.hash))
        .put("approval", chain::approval(&moved.approval))
        .put("author", moved.author.as_ref().map(holdfast_values::Name::as_str))
        .put("reason", moved.reason.as_deref())
}
