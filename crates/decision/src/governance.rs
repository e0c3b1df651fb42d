//! What changes the rules of the house, as State remembers it: proposals, acts that wait for their time, policies that were
//! left not long ago.
//!
//! From rules version 3 on. What may be done about it is decided in `govern`; nothing here decides.

use std::collections::BTreeMap;

use holdfast_values::{Micros, Name, Timestamp, time};
use minicbor::{Decode, Encode};

use crate::acts::{Act, Digest, PolicyProposal};
use crate::configuration::{Configuration, only_tightens};
use crate::event::Event;
use crate::released::Approval;
use crate::state::State;
use crate::steady::Steady;
use crate::subject::PolicySource;

/// The most acts that wait at once.
pub const SCHEDULED_MAX: usize = 64;
/// The most open proposals.
pub const PROPOSALS_MAX: usize = 16;
/// The most open proposals of one author: one operator alone does not fill the table.
pub const PROPOSALS_OF_ONE_MAX: usize = 4;
/// The most bytes of all open proposals together: each is a pack with its program, and State holds them.
pub const PROPOSALS_BYTES_MAX: usize = 32 << 20;
/// How long a proposal stays open.
pub const PROPOSAL_SPAN: Micros = 7 * time::DAY;
/// How long after it was left an approved policy can be gone back to.
pub const RESTORE_SPAN: Micros = 72 * time::HOUR;
/// The most policies that are kept to go back to.
pub const BASES_MAX: usize = 4;

/// A proposal, as it was opened.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProposalOpened {
    /// The nonce of its text.
    #[n(0)]
    pub nonce: Digest,
    /// The operator who signed it.
    #[n(1)]
    pub author: Name,
    /// What it says.
    #[n(2)]
    pub proposal: PolicyProposal,
    /// What was signed.
    #[n(3)]
    pub approval: Approval,
}

/// Why a proposal is open no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ProposalEnd {
    /// Somebody took it back.
    #[n(0)]
    Withdrawn,
    /// Nobody approved it in time.
    #[n(1)]
    Expired,
    /// Another policy was activated: this one follows one that decides no more.
    #[n(2)]
    Superseded,
    /// It decides.
    #[n(3)]
    Activated,
}

impl ProposalEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Withdrawn, Self::Expired, Self::Superseded, Self::Activated];

    /// As answers carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Withdrawn => "withdrawn",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
            Self::Activated => "activated",
        }
    }
}

/// An act that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ScheduledAct {
    /// The nonce of its text.
    #[n(0)]
    pub nonce: Digest,
    /// What it does.
    #[n(1)]
    pub act: Act,
    /// What was signed.
    #[n(2)]
    pub approval: Approval,
    /// How many signatures counted.
    #[n(3)]
    pub operators: u32,
    /// When it takes effect, unless time is lost before.
    #[n(4)]
    pub due: Timestamp,
}

/// How another policy came to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum PolicyMoveKind {
    /// It was proposed, and others approved it.
    #[n(0)]
    Approved,
    /// It is the one before, made tighter.
    #[n(1)]
    Tightened,
    /// It was approved before, and left not long ago.
    #[n(2)]
    Restored,
}

impl PolicyMoveKind {
    /// As answers carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Tightened => "tightened",
            Self::Restored => "restored",
        }
    }
}

/// From one policy to another, and on whose word.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PolicyMove {
    /// How.
    #[n(0)]
    pub how: PolicyMoveKind,
    /// The hash of the pack before.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub from: [u8; 32],
    /// The hash of the pack after.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub hash: [u8; 32],
    /// What was signed.
    #[n(3)]
    pub approval: Approval,
    /// Who proposed it.
    #[n(4)]
    pub author: Option<Name>,
    /// Why, as its author says.
    #[n(5)]
    pub reason: Option<String>,
}

/// An open proposal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OpenProposal {
    /// As it was opened.
    #[n(0)]
    pub opened: Box<ProposalOpened>,
    /// When.
    #[n(1)]
    pub at: Timestamp,
    /// When it closes by itself, unless time is lost before.
    #[n(2)]
    pub expires: Timestamp,
    /// How long it stays open: longer than others while an approval of it waits.
    #[n(3)]
    span: Micros,
}

impl OpenProposal {
    /// What State holds of it.
    pub(crate) fn bytes(&self) -> usize {
        proposal_bytes(&self.opened.proposal)
    }
}

/// The size of a proposal.
pub(crate) fn proposal_bytes(proposal: &PolicyProposal) -> usize {
    let files = proposal.source.files.iter().map(|(name, text)| name.len().saturating_add(text.len()));
    let parts = [proposal.source.program.len(), proposal.reason.len(), proposal.report.len()];
    files.chain(parts).fold(0, usize::saturating_add)
}

/// An act that waits.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WaitingAct {
    /// As it was accepted; its `due` is as of then.
    #[n(0)]
    pub scheduled: Box<ScheduledAct>,
    /// When it was accepted.
    #[n(1)]
    pub since: Timestamp,
    /// When it takes effect, as things stand.
    #[n(2)]
    pub due: Timestamp,
    /// The record in which it was accepted.
    #[n(3)]
    pub sequence: u64,
    /// How long it waits.
    #[n(4)]
    delay: Micros,
}

/// An approved policy that decides no more.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BaseLeft {
    /// The pack.
    #[n(0)]
    pub source: PolicySource,
    /// Since when.
    #[n(1)]
    pub left: Timestamp,
}

/// What one operator's tightening replaced.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub(crate) struct ConfigurationLeft {
    #[n(0)]
    pub(crate) configuration: Configuration,
    #[n(1)]
    pub(crate) left: Timestamp,
}

/// All of it; absent before rules version 3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Governance {
    /// When the journal began, if it began under these rules: an older house is not being set up.
    #[n(0)]
    pub(crate) began: Option<Timestamp>,
    /// The last policy that the quorum approved, if another was tightened from it since.
    #[n(1)]
    pub(crate) base: Option<Digest>,
    #[n(2)]
    pub(crate) bases: Vec<BaseLeft>,
    #[n(3)]
    pub(crate) proposals: BTreeMap<Digest, OpenProposal>,
    #[n(4)]
    pub(crate) scheduled: BTreeMap<Digest, WaitingAct>,
    /// The record of the last configuration.
    #[n(5)]
    pub(crate) configured: u64,
    #[n(6)]
    pub(crate) configuration_left: Option<Box<ConfigurationLeft>>,
    /// The policy before the active one.
    #[n(7)]
    pub(crate) policy_from: Option<Digest>,
}

/// What of it has its time next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    Act(Digest),
    Proposal(Digest),
}

/// When `span` will have passed since `since`, if no more time is lost: `now` is the latest that is known of.
fn due(steady: &Steady, since: Timestamp, span: Micros, now: Timestamp) -> Timestamp {
    match span.checked_sub(steady.age(since, now)) {
        Some(left) => now.plus(left),
        None => now,
    }
}

impl Governance {
    /// What comes next, and when.
    pub(crate) fn next(&self) -> Option<(Timestamp, Turn)> {
        let acts = self.scheduled.iter().map(|(nonce, waiting)| (waiting.due, Turn::Act(*nonce)));
        let proposals = self.proposals.iter().map(|(nonce, open)| (open.expires, Turn::Proposal(*nonce)));
        acts.chain(proposals).min_by_key(|(due, _)| *due)
    }

    /// True if time will make it forget something.
    pub(crate) const fn has_memory(&self) -> bool {
        !self.bases.is_empty() || self.configuration_left.is_some()
    }

    fn trim(&mut self, until: Timestamp) {
        self.bases.retain(|base| until.since(base.left) <= RESTORE_SPAN);
        if self.configuration_left.as_ref().is_some_and(|left| until.since(left.left) > RESTORE_SPAN) {
            self.configuration_left = None;
        }
    }

    /// Time was lost: everything that waits, waits as much longer.
    fn put_off(&mut self, steady: &Steady, at: Timestamp) {
        for waiting in self.scheduled.values_mut() {
            waiting.due = due(steady, waiting.since, waiting.delay, at);
        }
        for open in self.proposals.values_mut() {
            open.expires = due(steady, open.at, open.span, at);
        }
    }

    /// The open proposal of this author, of this policy, that follows that one.
    pub(crate) fn proposal(&self, hash: &[u8; 32], from: &[u8; 32], author: &Name) -> Option<&OpenProposal> {
        self.proposals.values().find(|open| {
            let ProposalOpened { author: known, proposal, .. } = &*open.opened;
            known == author && proposal.source.hash == *hash && proposal.from == *from
        })
    }

    fn schedule(&mut self, steady: &Steady, at: Timestamp, sequence: u64, scheduled: &ScheduledAct) {
        let delay = scheduled.due.since(at);
        if let Act::ApprovePolicy { hash, from, author } = &scheduled.act {
            let meant = |open: &&mut OpenProposal| {
                let ProposalOpened { author: known, proposal, .. } = &*open.opened;
                known == author && proposal.source.hash == *hash && proposal.from == *from
            };
            // It must be there when its approval's time comes.
            if let Some(open) = self.proposals.values_mut().find(meant) {
                let needed = steady.age(open.at, at).saturating_add(delay).saturating_add(time::HOUR);
                open.span = open.span.max(needed);
                open.expires = due(steady, open.at, open.span, at);
            }
        }
        let scheduled = Box::new(scheduled.clone());
        let nonce = scheduled.nonce;
        self.scheduled.insert(
            nonce,
            WaitingAct { since: at, due: due(steady, at, delay, at), sequence, delay, scheduled },
        );
    }
}

impl State {
    /// Acts that wait for their time, by nonce.
    pub fn scheduled_acts(&self) -> impl Iterator<Item = &WaitingAct> {
        self.governance.iter().flat_map(|governance| governance.scheduled.values())
    }

    /// Open proposals, by nonce.
    pub fn proposals(&self) -> impl Iterator<Item = &OpenProposal> {
        self.governance.iter().flat_map(|governance| governance.proposals.values())
    }

    /// Approved policies that can be gone back to, oldest first.
    pub fn bases_left(&self) -> impl Iterator<Item = &BaseLeft> {
        self.governance.iter().flat_map(|governance| governance.bases.iter())
    }

    /// The hash of the last policy that the quorum approved: the active one, or the one that it was tightened from.
    pub fn policy_base_hash(&self) -> [u8; 32] {
        let base = self.governance.as_ref().and_then(|governance| governance.base);
        base.map_or(self.policy.hash, |base| base.0)
    }

    /// The hash of the policy before the active one, if it was left under these rules.
    pub fn policy_from(&self) -> Option<[u8; 32]> {
        self.governance.as_ref()?.policy_from.map(|from| from.0)
    }

    /// Until when nothing waits, while the house is being set up; `None` once that is over.
    pub fn setup_until(&self, at: Timestamp) -> Option<Timestamp> {
        let began = self.governance.as_ref()?.began?;
        let until = began.plus(self.configuration.parameters.setup_window());
        (!self.is_clock_suspect() && at < until).then_some(until)
    }

    /// Governance begins with the rules that know of it.
    pub(crate) fn begin_governance(&mut self, began: Option<Timestamp>) {
        if self.rules >= crate::RULES_GOVERNED && self.governance.is_none() {
            self.governance = Some(Box::new(Governance { began, ..Governance::default() }));
        }
    }

    pub(crate) fn trim_governance(&mut self, until: Timestamp) {
        if let Some(governance) = &mut self.governance {
            governance.trim(until);
        }
    }

    pub(crate) fn put_off_governance(&mut self, at: Timestamp) {
        if let Some(governance) = &mut self.governance {
            governance.put_off(&self.steady, at);
        }
    }

    /// A configuration is replaced: what was approved last is remembered while it was only tightened since.
    pub(crate) fn configuration_moves(&mut self, at: Timestamp, new: &Configuration) {
        let Some(governance) = &mut self.governance else { return };
        governance.configured = self.sequence;
        let known = governance.configuration_left.take();
        if only_tightens(&self.configuration, new).is_ok() {
            let here = || ConfigurationLeft { configuration: self.configuration.clone(), left: at };
            let left = known.unwrap_or_else(|| Box::new(here()));
            governance.configuration_left = (left.configuration != *new).then_some(left);
        }
    }

    pub(crate) fn evolve_governance(&mut self, at: Timestamp, event: &Event) {
        let Some(governance) = &mut self.governance else { return };
        match event {
            Event::PolicyProposed(opened) => {
                let opened = opened.clone();
                let expires = due(&self.steady, at, PROPOSAL_SPAN, at);
                let open = OpenProposal { at, expires, span: PROPOSAL_SPAN, opened };
                governance.proposals.insert(open.opened.nonce, open);
            }
            Event::ProposalClosed { nonce, .. } => {
                governance.proposals.remove(nonce);
            }
            Event::ActScheduled(scheduled) => governance.schedule(&self.steady, at, self.sequence, scheduled),
            Event::ActStopped { nonce, .. }
            | Event::ActLapsed { nonce, .. }
            | Event::ActTookEffect { nonce } => {
                governance.scheduled.remove(nonce);
            }
            Event::PolicyMoved(moved) => {
                let base = governance.base.map_or(self.policy.hash, |base| base.0);
                governance.trim(at);
                governance.bases.retain(|left| left.source.hash != moved.hash);
                if self.policy.hash == base {
                    governance.bases.push(BaseLeft { source: self.policy.clone(), left: at });
                }
                if governance.bases.len() > BASES_MAX {
                    governance.bases.remove(0);
                }
                let is_tightened = moved.how == PolicyMoveKind::Tightened;
                governance.base = is_tightened.then_some(Digest(base));
                governance.policy_from = Some(Digest(moved.from));
            }
            _ => {}
        }
    }
}
