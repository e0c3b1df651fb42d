//! Policies in the model: what is proposed, which one decides, what can be gone back to, counted anew from all that happened.

use holdfast_decision::acts::Act;
use holdfast_decision::command::{OperatorKey, PolicySource};
use holdfast_values::{Name, OperatorPublicKey, Timestamp};

use super::{DAY, Model};

const HOUR: u64 = 3_600 * 1_000_000;

/// A policy as the model reads it: the hash that it goes by, and its files.
#[derive(Clone, Debug, Default)]
pub(super) struct Pack {
    hash: [u8; 32],
    files: Vec<(String, String)>,
}

/// Another policy began to decide.
#[derive(Clone, Debug)]
struct Move {
    at: Timestamp,
    from: [u8; 32],
    /// The one before had been approved.
    left_base: bool,
    to: [u8; 32],
}

/// An open proposal.
#[derive(Clone, Debug)]
struct Proposal {
    nonce: [u8; 32],
    author: OperatorKey,
    pack: Pack,
    from: [u8; 32],
    at: Timestamp,
    span: u64,
}

/// What can be seen of a proposal: nonce, author, what it would bring, what it follows, when it closes.
pub(crate) type Open = ([u8; 32], Name, [u8; 32], [u8; 32], Timestamp);

#[derive(Clone, Debug, Default)]
pub(super) struct Packs {
    active: Pack,
    base: [u8; 32],
    moves: Vec<Move>,
    proposals: Vec<Proposal>,
}

impl Pack {
    pub(super) fn of(source: &PolicySource) -> Self {
        Self { hash: source.hash, files: source.files.clone() }
    }

    fn file(&self, name: &str) -> Option<&str> {
        self.files.iter().find(|file| file.0 == name).map(|file| file.1.as_str())
    }

    /// The one number that may move, if the pack is one of those that have it.
    fn limit(&self) -> Option<u64> {
        let (_, rest) = self.file("base.cedar")?.split_once("context.amount_usd_cents > ")?;
        rest.split_once(' ')?.0.parse().ok()
    }

    /// What stays when that number is taken out.
    fn rest(&self) -> Option<String> {
        Some(self.file("base.cedar")?.replace(&format!("> {} ", self.limit()?), "> N "))
    }

    fn tightens(&self, old: &Self) -> bool {
        let (Some(limit), Some(before)) = (self.limit(), old.limit()) else { return false };
        let stays =
            old.files.iter().all(|(name, text)| name == "base.cedar" || self.file(name) == Some(text));
        let mut new = self.files.iter().filter(|(name, _)| old.file(name).is_none());
        limit <= before && self.rest() == old.rest() && stays && new.all(|(_, text)| !text.contains("permit"))
    }
}

impl Packs {
    pub(super) fn begin(source: &PolicySource) -> Self {
        Self { active: Pack::of(source), base: source.hash, ..Self::default() }
    }

    /// What was approved and left in the 72 hours before, the last four of them.
    fn bases(&self, at: Timestamp) -> Vec<([u8; 32], Timestamp)> {
        let mut left: Vec<([u8; 32], Timestamp)> = Vec::new();
        for moved in &self.moves {
            left.retain(|base| moved.at.since(base.1) <= 3 * DAY && base.0 != moved.to);
            if moved.left_base {
                left.push((moved.from, moved.at));
            }
            left.drain(..left.len().saturating_sub(4));
        }
        left.retain(|base| at.since(base.1) <= 3 * DAY);
        left
    }

    fn known(&self, hash: [u8; 32]) -> Pack {
        let proposed = self.proposals.iter().map(|open| &open.pack).find(|pack| pack.hash == hash);
        proposed.cloned().unwrap_or(Pack { hash, files: Vec::new() })
    }

    fn place(&self, hash: &[u8; 32], from: &[u8; 32], author: &Name) -> Option<usize> {
        self.proposals
            .iter()
            .position(|open| (open.pack.hash, open.from) == (*hash, *from) && open.author.name == *author)
    }

    fn follow(&mut self, at: Timestamp, pack: Pack, is_base: bool) {
        let (from, to) = (self.active.hash, pack.hash);
        self.moves.push(Move { at, from, left_base: from == self.base, to });
        if is_base {
            self.base = to;
        }
        self.active = pack;
        self.proposals.clear();
    }
}

/// The core takes the edge's word for the program, not for the hash.
fn is_sound(source: &PolicySource) -> bool {
    holdfast_values::pack_hash(source.files.iter().map(|(name, text)| (name.as_str(), text.as_str())))
        == source.hash
}

impl Model {
    /// Whose hands do not count under an act: its author's, by name and by the key that he proposed with.
    pub(super) fn barred(&self, act: &Act) -> Option<(Name, Option<OperatorPublicKey>)> {
        let Act::ApprovePolicy { hash, from, author } = act else { return None };
        let open = self.packs.place(hash, from, author).map(|place| &self.packs.proposals[place]);
        Some((author.clone(), open.map(|open| open.author.public_key)))
    }

    /// Whether an act on policies can be done now.
    pub(super) fn allows_of_policy(
        &self,
        at: Timestamp,
        act: &Act,
        keys: &[OperatorKey],
    ) -> Result<(), &'static str> {
        let packs = &self.packs;
        let follows = |from: &[u8; 32]| {
            if *from == packs.active.hash { Ok(()) } else { Err("policy_superseded") }
        };
        match act {
            Act::ProposePolicy(new) => {
                follows(&new.from)?;
                if keys.len() != 1 || new.source.hash == new.from || new.reason.is_empty() {
                    return Err("proposal_invalid");
                }
                if !is_sound(&new.source) {
                    return Err("policy_invalid");
                }
                if packs.place(&new.source.hash, &new.from, &keys[0].name).is_some() {
                    return Err("proposal_exists");
                }
                let own = packs.proposals.iter().filter(|open| open.author.name == keys[0].name);
                if packs.proposals.len() >= 16 || own.count() >= 4 {
                    return Err("too_many");
                }
            }
            Act::ApprovePolicy { hash, from, author } => {
                follows(from)?;
                packs.place(hash, from, author).ok_or("proposal_unknown")?;
            }
            Act::TightenPolicy(new) => {
                follows(&new.from)?;
                if new.source.hash == new.from {
                    return Err("nothing_to_change");
                }
                if !is_sound(&new.source) {
                    return Err("policy_invalid");
                }
                if !Pack::of(&new.source).tightens(&packs.active) {
                    return Err("policy_not_tighter");
                }
            }
            Act::RestorePolicy { hash, from } => {
                follows(from)?;
                if packs.bases(at).iter().all(|base| base.0 != *hash) {
                    return Err("base_unknown");
                }
            }
            Act::StopAct(nonce) => {
                let waits = self.waiting.iter().any(|waiting| waiting.nonce == nonce.0);
                if !waits && packs.proposals.iter().all(|open| open.nonce != nonce.0) {
                    return Err("act_unknown");
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Something of this name waits, or is proposed.
    pub(super) fn holds(&self, nonce: &[u8; 32]) -> bool {
        let waits = self.waiting.iter().any(|waiting| waiting.nonce == *nonce);
        waits || self.packs.proposals.iter().any(|open| open.nonce == *nonce)
    }

    /// Does it.
    pub(super) fn perform_of_policy(
        &mut self,
        at: Timestamp,
        act: &Act,
        nonce: [u8; 32],
        keys: &[OperatorKey],
    ) {
        match act {
            Act::ProposePolicy(new) => self.packs.proposals.push(Proposal {
                nonce,
                author: keys[0].clone(),
                pack: Pack::of(&new.source),
                from: new.from,
                at,
                span: 7 * DAY,
            }),
            Act::ApprovePolicy { hash, .. } => {
                let pack = self.packs.known(*hash);
                self.packs.follow(at, pack, true);
            }
            Act::TightenPolicy(new) => self.packs.follow(at, Pack::of(&new.source), false),
            Act::RestorePolicy { hash, .. } => {
                let pack = self.packs_ever.iter().find(|pack| pack.hash == *hash).cloned().unwrap();
                self.packs.follow(at, pack, true);
            }
            Act::StopAct(nonce) => {
                self.stop(nonce.0).unwrap();
            }
            _ => {}
        }
        self.packs_ever.push(self.packs.active.clone());
    }

    /// Stops what waits, or takes a proposal back with what was approved of it.
    pub(super) fn stop(&mut self, nonce: [u8; 32]) -> Result<(), &'static str> {
        if let Some(place) = self.waiting.iter().position(|waiting| waiting.nonce == nonce) {
            self.waiting.remove(place);
            return Ok(());
        }
        let place = self.packs.proposals.iter().position(|open| open.nonce == nonce).ok_or("act_unknown")?;
        let open = self.packs.proposals.remove(place);
        self.waiting.retain(|waiting| match &waiting.act {
            Act::ApprovePolicy { hash, from, author } => {
                (*hash, *from, author) != (open.pack.hash, open.from, &open.author.name)
            }
            _ => true,
        });
        Ok(())
    }

    /// An approval waits: its proposal stays until it has had its time.
    pub(super) fn keep_proposal(&mut self, at: Timestamp, act: &Act, delay: u64) {
        let Act::ApprovePolicy { hash, from, author } = act else { return };
        let Some(place) = self.packs.place(hash, from, author) else { return };
        let age = self.age(self.packs.proposals[place].at, at);
        let open = &mut self.packs.proposals[place];
        open.span = open.span.max(age + delay + HOUR);
    }

    fn expiry(&self, open: &Proposal) -> Timestamp {
        self.time.plus(open.span.saturating_sub(self.age(open.at, self.time)))
    }

    /// The proposal that closes first.
    pub(super) fn first_proposal(&self) -> Option<(Timestamp, usize)> {
        let all = self.packs.proposals.iter().enumerate();
        let first = all.map(|(place, open)| (self.expiry(open), open.nonce, place)).min();
        first.map(|(due, _, place)| (due, place))
    }

    pub(super) fn close_proposal(&mut self, place: usize) {
        self.packs.proposals.remove(place);
    }

    /// What the active pack asks beyond what every pack of the tests does: above which value a person looks, and whether
    /// everything waits a while.
    pub(super) fn pack_asks(&self) -> (Option<u64>, bool) {
        (self.packs.active.limit(), self.packs.active.file("slow.cedar").is_some())
    }

    /// Open proposals, by nonce.
    pub(crate) fn proposals(&self) -> Vec<Open> {
        let seen = |open: &Proposal| {
            (open.nonce, open.author.name.clone(), open.pack.hash, open.from, self.expiry(open))
        };
        let mut all: Vec<_> = self.packs.proposals.iter().map(seen).collect();
        all.sort();
        all
    }

    /// The active policy, the last one that was approved, the one before the active one, and what can be gone back to.
    #[expect(clippy::type_complexity, reason = "four things that are compared at once")]
    pub(crate) fn policies(
        &self,
        at: Timestamp,
    ) -> ([u8; 32], [u8; 32], Option<[u8; 32]>, Vec<([u8; 32], Timestamp)>) {
        let packs = &self.packs;
        (packs.active.hash, packs.base, packs.moves.last().map(|last| last.from), packs.bases(at))
    }
}
