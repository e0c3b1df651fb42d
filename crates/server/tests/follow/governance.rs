//! Samples of what changes the rules of the house: proposals, acts that wait, moves of the policy.

use holdfast_decision::acts::{Act, Digest, PolicyProposal, PolicyTightening};
use holdfast_decision::command::{Command, OperatorAct};
use holdfast_decision::event::{
    Approval, Event, PolicyMove, PolicyMoveKind, ProposalEnd, ProposalOpened, ScheduledAct,
};
use holdfast_decision::reason::Refusal;
use holdfast_values::time;

use crate::world::{self, START, name};

const NONCE: Digest = Digest([0x3c; 32]);
const FROM: [u8; 32] = [0x1a; 32];

fn approval() -> Approval {
    let signature = world::signature(&world::operator("bob"));
    Approval { text: "holdfast-operator/v1\n".to_owned(), signatures: vec![signature] }
}

fn proposal() -> PolicyProposal {
    PolicyProposal {
        source: world::permit_all(),
        from: FROM,
        reason: "Batch payers meet no limit.".to_owned(),
        report: "{\"looser\":[\"large\"]}".to_owned(),
    }
}

fn approve() -> Act {
    Act::ApprovePolicy { hash: world::permit_all().hash, from: FROM, author: name("alice") }
}

/// The commands of their own.
pub(crate) fn commands() -> Vec<Command> {
    vec![Command::StopAct { act: NONCE, by: name("desk") }]
}

/// The acts.
pub(crate) fn further_commands() -> Vec<Command> {
    let acts = [
        Act::ProposePolicy(Box::new(proposal())),
        approve(),
        Act::TightenPolicy(Box::new(PolicyTightening { source: world::permit_all(), from: FROM })),
        Act::RestorePolicy { hash: world::permit_all().hash, from: FROM },
        Act::StopAct(NONCE),
    ];
    let command = |act: Act| {
        let text = world::act_text(&act, START, 1);
        Command::OperatorAct(Box::new(OperatorAct { text, signatures: Vec::new(), act }))
    };
    acts.into_iter().map(command).collect()
}

/// One of each event.
pub(crate) fn events() -> Vec<Event> {
    let author = name("alice");
    let due = START.plus(time::DAY);
    vec![
        Event::PolicyProposed(Box::new(ProposalOpened {
            nonce: NONCE,
            author: author.clone(),
            proposal: proposal(),
            approval: approval(),
        })),
        Event::ProposalClosed { nonce: NONCE, why: ProposalEnd::Superseded },
        Event::ActScheduled(Box::new(ScheduledAct {
            nonce: NONCE,
            act: approve(),
            approval: approval(),
            operators: 2,
            due,
        })),
        Event::ActStopped { nonce: NONCE, by: name("desk") },
        Event::ActLapsed { nonce: NONCE, refusal: Refusal::PolicySuperseded },
        Event::PolicyMoved(Box::new(PolicyMove {
            how: PolicyMoveKind::Approved,
            from: FROM,
            hash: world::permit_all().hash,
            approval: approval(),
            author: Some(author),
            reason: Some("Batch payers meet no limit.".to_owned()),
        })),
        Event::ActTookEffect { nonce: NONCE },
    ]
}
