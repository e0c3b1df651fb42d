//! The recount: what a policy took to decide, found out again from the journal by this page's own reading of the rules.
//!
//! It shares no code with the core but the comparison of two packs. It may be more lenient than the core where that needs
//! all of State (a text used twice is refused there for longer than it is remembered here), and never stricter: what it
//! objects to did not come about by the rules.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_authn::webauthn::RelyingParty;
use holdfast_authn::{print_operator_public_key, verify_operator};
use holdfast_decision::acts::Act;
use holdfast_decision::command::{Command, Initialise, PolicySource};
use holdfast_decision::configuration::{Configuration, Parameters};
use holdfast_decision::event::{Approval, Event, PolicyMove, PolicyMoveKind};
use holdfast_values::{
    Micros, Name, OperatorPublicKey, OperatorText, TextDigest, Timestamp, pack_hash, tightening, time,
};

use crate::exchange::relying_party;
use crate::record::{Decoded, hex};

use super::{Era, Signed};

/// The rules that govern policies.
const GOVERNED: u32 = 3;
/// How long after it was left an approved policy is gone back to.
const RESTORE: Micros = 72 * time::HOUR;

type Key = OperatorPublicKey;
type Hash = [u8; 32];
type Nonce = [u8; 32];

#[derive(Clone, Debug)]
struct Operator {
    key: Key,
    since: Timestamp,
    is_founder: bool,
}

/// A proposal, as its author signed it.
#[derive(Clone, Debug)]
struct Proposed {
    hash: Hash,
    from: Hash,
    author: Name,
    key: Key,
    is_good: bool,
}

/// An approval that waits.
#[derive(Clone, Debug)]
struct Waiting {
    at: Timestamp,
    text: String,
    /// How long it has to, by the configuration of then.
    delay: Micros,
}

/// What the journal has told so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Recount {
    exchange: String,
    rules: u32,
    parameters: Parameters,
    /// When a journal began that began under the rules that govern.
    began: Option<Timestamp>,
    operators: BTreeMap<Name, Operator>,
    /// Every relying party that operators' passkeys ever signed for.
    parties: Vec<RelyingParty>,
    suspect: Option<Timestamp>,
    lost: Vec<(Timestamp, Timestamp)>,
    proposed: BTreeMap<Nonce, Proposed>,
    waiting: BTreeMap<Nonce, Waiting>,
    used: BTreeSet<Nonce>,
    policy: Hash,
    files: Vec<(String, String)>,
    /// The last one that was approved.
    base: Hash,
    /// Approved ones that were left, and when.
    left: BTreeMap<Hash, Timestamp>,
}

impl Recount {
    /// The policy that decides.
    pub(super) const fn policy(&self) -> Hash {
        self.policy
    }

    /// The first record.
    pub(super) fn begin(&mut self, decoded: &Decoded, first: &Initialise, era: &mut Era) {
        if decoded.sequence != 1 {
            era.problems.push("the journal begins a second time".to_owned());
        }
        self.exchange = first.exchange.to_string();
        self.rules = first.rules.unwrap_or(1);
        self.began = (self.rules >= GOVERNED).then_some(decoded.at);
        self.configured(&first.configuration);
        for key in &first.operators {
            let operator = Operator { key: key.public_key, since: decoded.at, is_founder: true };
            self.operators.insert(key.name.clone(), operator);
        }
        self.check_files(&first.policy, era);
        self.policy = first.policy.hash;
        self.files.clone_from(&first.policy.files);
        self.base = first.policy.hash;
    }

    fn configured(&mut self, configuration: &Configuration) {
        self.parameters = configuration.parameters;
        let party = configuration.operate.as_deref().map(relying_party);
        self.parties.extend(party.filter(|party| !self.parties.contains(party)));
    }

    /// What is neither the beginning nor another policy.
    pub(super) fn take(&mut self, decoded: &Decoded, event: &Event) {
        let at = decoded.at;
        match event {
            Event::DowntimeRecorded { from } => self.lost.push((*from, at)),
            Event::ClockSuspected => {
                self.suspect.get_or_insert(at);
            }
            Event::ClockConfirmed => self.lost.extend(self.suspect.take().map(|since| (since, at))),
            Event::Configured(new) => self.configured(new),
            Event::RulesActivated(version) => self.rules = *version,
            Event::OperatorEnrolled(key) => {
                let operator = Operator { key: key.public_key, since: at, is_founder: false };
                self.operators.insert(key.name.clone(), operator);
            }
            Event::OperatorRevoked(name) => drop(self.operators.remove(name)),
            Event::PolicyProposed(opened) => {
                let signature = opened.approval.signatures.first().filter(|first| {
                    opened.approval.signatures.len() == 1 && first.operator.name == opened.author
                });
                let Some(signature) = signature else { return };
                let wanted = Wanted {
                    act: "propose_policy",
                    hash: opened.proposal.source.hash,
                    detail: format!("from={}", hex(&opened.proposal.from)),
                };
                let says_so = self.reads(&opened.approval.text, &wanted).is_ok();
                let valid = self.signed(&opened.approval).first().is_some_and(|signed| signed.valid);
                let proposed = Proposed {
                    hash: opened.proposal.source.hash,
                    from: opened.proposal.from,
                    author: opened.author.clone(),
                    key: signature.operator.public_key,
                    is_good: says_so && valid,
                };
                self.proposed.insert(opened.nonce.0, proposed);
            }
            Event::ProposalClosed { nonce, .. } => drop(self.proposed.remove(&nonce.0)),
            Event::ActScheduled(scheduled) if matches!(scheduled.act, Act::ApprovePolicy { .. }) => {
                let (text, delay) = (scheduled.approval.text.clone(), self.parameters.loosening_delay());
                self.waiting.insert(scheduled.nonce.0, Waiting { at, text, delay });
            }
            Event::ActStopped { nonce, .. } | Event::ActLapsed { nonce, .. } => {
                self.waiting.remove(&nonce.0);
            }
            _ => {}
        }
    }

    /// Another policy decides from this record on: what is wrong with that goes into `era`.
    pub(super) fn moves(
        &mut self,
        decoded: &Decoded,
        moved: Option<&PolicyMove>,
        source: &PolicySource,
        era: &mut Era,
    ) {
        self.check_files(source, era);
        let mut is_approved = true;
        match moved {
            Some(moved) => {
                if moved.hash != source.hash || moved.from != self.policy {
                    era.problems.push("it is another step than the one that is told".to_owned());
                }
                is_approved = moved.how != PolicyMoveKind::Tightened;
                self.governed(decoded, moved, source, era);
            }
            None => self.activated(decoded, source, era),
        }
        if self.policy == self.base {
            self.left.insert(self.base, decoded.at);
        }
        if is_approved {
            self.base = source.hash;
        }
        self.policy = source.hash;
        self.files.clone_from(&source.files);
    }

    fn governed(&mut self, decoded: &Decoded, moved: &PolicyMove, source: &PolicySource, era: &mut Era) {
        let from = format!("from={}", hex(&moved.from));
        let (act, needed, detail) = match (moved.how, &moved.author) {
            (PolicyMoveKind::Approved, Some(author)) => {
                ("approve_policy", self.needed(), format!("{from} author={author}"))
            }
            (PolicyMoveKind::Approved, None) => ("approve_policy", self.needed(), from),
            (PolicyMoveKind::Tightened, _) => ("tighten_policy", 1, from),
            (PolicyMoveKind::Restored, _) => ("restore_policy", 2, from),
        };
        if self.rules < GOVERNED {
            era.problems.push(format!("the rules of then, version {}, know no such step", self.rules));
        }
        let wanted = Wanted { act, hash: source.hash, detail };
        let nonce = self.read(&moved.approval, &wanted, era);
        let accepted = self.accepted(decoded, nonce, moved, era);
        let author = match moved.how {
            PolicyMoveKind::Approved => self.author(moved, source, era),
            PolicyMoveKind::Tightened => {
                if let Err(loosens) = tightening::check(&self.files, &source.files) {
                    era.problems.push(format!("it does not tighten: {loosens}"));
                }
                None
            }
            PolicyMoveKind::Restored => {
                let is_recent = |left: &Timestamp| decoded.at.since(*left) <= RESTORE;
                if !self.left.get(&source.hash).is_some_and(is_recent) {
                    let text = "no approved policy of this hash was left in the 72 hours before";
                    era.problems.push(text.to_owned());
                }
                None
            }
        };
        era.accepted = Some(accepted.to_string());
        self.count(decoded.at, &moved.approval, (author, needed), era);
    }

    /// By rules before version 3: at once, on several operators' word.
    fn activated(&mut self, decoded: &Decoded, source: &PolicySource, era: &mut Era) {
        if self.rules >= GOVERNED {
            era.problems.push("nothing tells by which step it came, as these rules ask".to_owned());
        }
        let Command::OperatorAct(signed) = &decoded.command else {
            era.problems.push("no operator signed for it".to_owned());
            return;
        };
        let approval = Approval { text: signed.text.clone(), signatures: signed.signatures.clone() };
        let wanted = Wanted { act: "activate_policy", hash: source.hash, detail: "-".to_owned() };
        self.read(&approval, &wanted, era);
        let needed = self.needed();
        era.accepted = Some(decoded.at.to_string());
        self.count(decoded.at, &approval, (None, needed), era);
    }

    fn needed(&self) -> u32 {
        self.parameters.loosening_signatures.max(2)
    }

    fn check_files(&self, source: &PolicySource, era: &mut Era) {
        let files = source.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        // A house of before these rules may have begun with a program alone.
        let is_bare = source.files.is_empty() && self.rules < GOVERNED;
        if is_bare {
            return;
        }
        if pack_hash(files) != source.hash {
            era.problems.push("its files have another hash".to_owned());
        }
        check_program(source, era);
    }

    /// Whether a text says exactly this; its nonce.
    fn reads(&self, text: &str, wanted: &Wanted) -> Result<OperatorText, String> {
        let text = OperatorText::parse(text.as_bytes()).map_err(|error| format!("its text: {error}"))?;
        let lines = [
            ("exchange", text.exchange.to_string(), self.exchange.clone()),
            ("act", text.act.to_string(), wanted.act.to_owned()),
            ("target", text.target.to_string(), hex(&wanted.hash)),
            ("detail", text.detail.to_string(), wanted.detail.clone()),
        ];
        match lines.into_iter().find(|(_, is, wanted)| is != wanted) {
            Some((line, is, wanted)) => Err(format!("its text has `{line}: {is}`, not `{wanted}`")),
            None => Ok(text),
        }
    }

    fn read(&mut self, approval: &Approval, wanted: &Wanted, era: &mut Era) -> Option<Nonce> {
        era.text = Some(approval.text.clone());
        match self.reads(&approval.text, wanted) {
            Err(error) => {
                era.problems.push(error);
                None
            }
            Ok(text) => {
                if !self.used.insert(text.nonce.0) {
                    era.problems.push("its text was used before".to_owned());
                }
                Some(text.nonce.0)
            }
        }
    }

    /// When its text was accepted, which is now unless it waited; and whether it waited long enough.
    fn accepted(
        &mut self,
        decoded: &Decoded,
        nonce: Option<Nonce>,
        moved: &PolicyMove,
        era: &mut Era,
    ) -> Timestamp {
        let waited = nonce.and_then(|nonce| self.waiting.remove(&nonce));
        let at = waited.as_ref().map_or(decoded.at, |waiting| waiting.at);
        let is_approval = moved.how == PolicyMoveKind::Approved;
        match waited {
            Some(waiting) if waiting.text == moved.approval.text => {
                let (age, delay) = (self.age(waiting.at, decoded.at), waiting.delay);
                if age < delay {
                    let (age, delay) = (age / time::SECOND, delay / time::SECOND);
                    era.problems.push(format!("it waited {age} s, not the {delay} s that were configured"));
                }
            }
            Some(_) => era.problems.push("another text than this one waited".to_owned()),
            None => {
                let is_sent = matches!(&decoded.command, Command::OperatorAct(signed)
                    if signed.text == moved.approval.text && signed.signatures == moved.approval.signatures);
                if !is_sent {
                    era.problems.push("its text was not accepted by any record, or was stopped".to_owned());
                } else if is_approval && self.parameters.loosening_delay() > 0 && !self.is_set_up_at(at) {
                    era.problems.push("it did not wait at all".to_owned());
                }
            }
        }
        let window = moved.approval.text.as_bytes();
        if let Ok(text) = OperatorText::parse(window)
            && (at < text.window.not_before().timestamp() || at > text.window.not_after().timestamp())
        {
            era.problems.push("it was accepted outside of its text's time".to_owned());
        }
        at
    }

    fn is_set_up_at(&self, at: Timestamp) -> bool {
        let window = self.parameters.setup_window();
        self.suspect.is_none() && self.began.is_some_and(|began| at < began.plus(window))
    }

    /// Who proposed it, and his key.
    fn author(
        &self,
        moved: &PolicyMove,
        source: &PolicySource,
        era: &mut Era,
    ) -> Option<(Name, Option<Key>)> {
        let open = self.proposed.values().find(|known| {
            known.hash == source.hash
                && known.from == moved.from
                && Some(&known.author) == moved.author.as_ref()
        });
        match open {
            None => era.problems.push("no open proposal of its author has this hash".to_owned()),
            Some(open) if !open.is_good => {
                era.problems.push("the signature under its proposal is not good".to_owned());
            }
            Some(_) => {}
        }
        moved.author.clone().map(|author| (author, open.map(|open| open.key)))
    }

    /// Signatures, each verified again.
    fn signed(&self, approval: &Approval) -> Vec<Signed> {
        let digest = TextDigest::of(approval.text.as_bytes());
        let signatures = approval.signatures.iter().map(|signature| {
            let key = &signature.operator;
            // Its pages may have changed since it was signed.
            let is_good = core::iter::once(None).chain(self.parties.iter().map(Some)).any(|party| {
                verify_operator(&key.public_key, party, &digest.0, &signature.signature).is_ok()
            });
            let is_known = self.operators.get(&key.name).is_some_and(|known| known.key == key.public_key);
            Signed {
                operator: key.name.to_string(),
                public_key: print_operator_public_key(&key.public_key),
                valid: is_good && is_known,
                counts: false,
            }
        });
        signatures.collect()
    }

    fn count(
        &self,
        at: Timestamp,
        approval: &Approval,
        (author, needed): (Option<(Name, Option<Key>)>, u32),
        era: &mut Era,
    ) {
        era.approvals = self.signed(approval);
        let mut hands: BTreeSet<Key> = BTreeSet::new();
        for (signed, signature) in era.approvals.iter_mut().zip(&approval.signatures) {
            let key = &signature.operator;
            let is_authors = author
                .as_ref()
                .is_some_and(|(name, known)| *name == key.name || *known == Some(key.public_key));
            let is_aged = self.operators.get(&key.name).is_some_and(|known| {
                known.is_founder || self.age(known.since, at) >= self.parameters.operator_ageing
            });
            signed.counts = signed.valid && is_aged && !is_authors && hands.insert(key.public_key);
            if !signed.valid {
                era.problems.push(format!("the signature of {} is not good", key.name));
            }
        }
        era.counted = u32::try_from(hands.len()).unwrap_or(u32::MAX);
        era.needed = needed;
        if era.counted < needed {
            era.problems.push(format!("{} of {needed} operators counted", era.counted));
        }
    }

    /// How long ago something was, less the time that counts towards no age.
    fn age(&self, from: Timestamp, at: Timestamp) -> Micros {
        let running = self.suspect.map(|since| (since, at));
        let mut reached = from;
        let mut lost: Vec<_> = self.lost.iter().copied().chain(running).collect();
        lost.sort_unstable();
        lost.into_iter().fold(at.since(from), |age, (start, end)| {
            let start = start.max(reached);
            reached = reached.max(end);
            age.saturating_sub(end.min(at).since(start))
        })
    }
}

/// Compiles the files anew. What decided was the recorded program, so that it must be theirs: whoever rewrites records could
/// leave the text that everybody signed and exchange the program. Another version of the compiler may make another program
/// of the same text, and its own is not to be told from a forged one here.
fn check_program(source: &PolicySource, era: &mut Era) {
    era.compiler = source.compiler;
    let compiled = holdfast_cedar::compile_pack(&source.files);
    let is_same = compiled.as_ref().is_ok_and(|pack| pack.program.to_bytes() == source.program);
    let is_ours = source.compiler == Some(holdfast_cedar::COMPILER);
    let says = match (is_same, is_ours) {
        (true, _) => "same",
        (false, true) => "other",
        (false, false) => "other_compiler",
    };
    says.clone_into(&mut era.program);
    if says == "other" {
        era.problems.push(match compiled {
            Ok(_) => "its program is not what its files compile to".to_owned(),
            Err(error) => format!("its files do not compile: {error}"),
        });
    }
}

/// What a text must say.
struct Wanted {
    act: &'static str,
    hash: Hash,
    detail: String,
}
