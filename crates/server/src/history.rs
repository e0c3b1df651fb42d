//! History: every policy that ever decided, since when, on whose word, read from the journal. Reads only.
//!
//! Each signature that a policy came in by is verified again here, over the text that the journal keeps.

use std::collections::BTreeSet;

use holdfast_authn::webauthn::RelyingParty;
use holdfast_authn::{print_operator_public_key, verify_operator};
use holdfast_decision::command::{Command, OperatorAct};
use holdfast_decision::configuration::Configuration;
use holdfast_decision::event::{Approval, Event, PolicyMove};
use holdfast_journal::{JournalError, Record};
use holdfast_values::{Name, OperatorPublicKey, OperatorText, TextDigest};
use minicbor::Decoder;
use serde::Serialize;
use utoipa::ToSchema;

use crate::exchange::relying_party;
use crate::record::{self, Decoded, RecordError, hex};

/// Commands that may bring another policy or another operator: their numbers in records. `Initialise`, `Tick` (an act's time
/// may have come), `OperatorAct`.
const TELLING: [u32; 3] = [0, 2, 20];

/// Why the history cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl HistoryError {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Journal(error) => error.code(),
            Self::Record(error) => error.code(),
        }
    }
}

/// A policy while it decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Era {
    /// The pack's hash.
    pub hash: String,
    /// `initial`, `approved`, `tightened`, `restored`; `activated` by rules before version 3.
    pub how: String,
    /// From when it decided.
    pub since: String,
    /// Until when; nothing for the one that decides.
    pub until: Option<String>,
    /// The record that made it decide.
    pub sequence: u64,
    /// The pack before.
    pub from: Option<String>,
    /// Who proposed it.
    pub author: Option<String>,
    /// Why, as its author says.
    pub reason: Option<String>,
    /// What operators signed.
    pub text: Option<String>,
    /// Who signed, each verified again.
    pub approvals: Vec<Signed>,
    /// Every signature is good, by an operator who was enrolled with that key, over a text that names this pack. True of the
    /// initial policy, which nobody signs.
    pub verified: bool,
}

/// A signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Signed {
    /// Whose.
    pub operator: String,
    /// Ed25519 in base64url, or `passkey:` and the SHA-256 of the passkey's public key.
    pub public_key: String,
    /// The signature is good, and the operator had been enrolled with that key.
    pub valid: bool,
}

/// Every policy so far; goes on where it stopped.
#[derive(Clone, Debug, Default)]
pub struct History {
    last: u64,
    eras: Vec<Era>,
    /// Every operator's key that was ever enrolled.
    enrolled: BTreeSet<(Name, OperatorPublicKey)>,
    /// Every relying party that operators' passkeys ever signed for.
    parties: Vec<RelyingParty>,
}

impl History {
    /// The record that it has read last.
    #[must_use]
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// The policies, oldest first.
    #[must_use]
    pub fn eras(&self) -> &[Era] {
        &self.eras
    }

    /// Takes in the next record.
    ///
    /// # Errors
    /// [`HistoryError::Record`].
    pub fn take(&mut self, record: &Record) -> Result<(), HistoryError> {
        let mut decoder = Decoder::new(&record.command);
        let variant = decoder.array().ok().and_then(|_| decoder.u32().ok());
        if variant.is_none_or(|variant| TELLING.contains(&variant)) {
            self.tell(&record::decode(record)?);
        }
        self.last = record.sequence;
        Ok(())
    }

    fn tell(&mut self, decoded: &Decoded) {
        let mut moved: Option<&PolicyMove> = None;
        for event in &decoded.events {
            match event {
                Event::Configured(configuration) => self.configured(configuration),
                Event::Initialised(first) => {
                    self.configured(&first.configuration);
                    self.enrolled
                        .extend(first.operators.iter().map(|key| (key.name.clone(), key.public_key)));
                    let mut era = era(decoded, &first.policy.hash, "initial");
                    era.verified = true;
                    self.eras.push(era);
                }
                Event::OperatorEnrolled(key) => {
                    self.enrolled.insert((key.name.clone(), key.public_key));
                }
                Event::PolicyMoved(told) => moved = Some(told),
                Event::PolicyActivated(source) => {
                    let how = moved.map_or("activated", |moved| moved.how.name());
                    let mut era = era(decoded, &source.hash, how);
                    if let Some(last) = self.eras.last_mut() {
                        last.until = Some(era.since.clone());
                        era.from = Some(last.hash.clone());
                    }
                    era.author = moved.and_then(|moved| moved.author.as_ref()).map(ToString::to_string);
                    era.reason = moved.and_then(|moved| moved.reason.clone());
                    let signed = match (moved.take(), &decoded.command) {
                        (Some(moved), _) => Some(moved.approval.clone()),
                        (None, Command::OperatorAct(signed)) => Some(approval(signed)),
                        (None, _) => None,
                    };
                    if let Some(signed) = signed {
                        self.verify(&mut era, &signed);
                    }
                    self.eras.push(era);
                }
                _ => {}
            }
        }
    }

    fn configured(&mut self, configuration: &Configuration) {
        let party = configuration.operate.as_deref().map(relying_party);
        self.parties.extend(party.filter(|party| !self.parties.contains(party)));
    }

    fn verify(&self, era: &mut Era, signed: &Approval) {
        let digest = TextDigest::of(signed.text.as_bytes());
        era.approvals = signed
            .signatures
            .iter()
            .map(|signature| {
                let key = &signature.operator;
                // Its pages may have changed since it was signed.
                let is_good = core::iter::once(None).chain(self.parties.iter().map(Some)).any(|party| {
                    verify_operator(&key.public_key, party, &digest.0, &signature.signature).is_ok()
                });
                let is_known = self.enrolled.contains(&(key.name.clone(), key.public_key));
                Signed {
                    operator: key.name.to_string(),
                    public_key: print_operator_public_key(&key.public_key),
                    valid: is_good && is_known,
                }
            })
            .collect();
        let names_it = OperatorText::parse(signed.text.as_bytes())
            .is_ok_and(|text| text.act.as_str().ends_with("_policy") && text.target.as_str() == era.hash);
        let all = era.approvals.iter().all(|approval| approval.valid);
        era.verified = names_it && all && !era.approvals.is_empty();
        era.text = Some(signed.text.clone());
    }
}

fn era(decoded: &Decoded, hash: &[u8; 32], how: &str) -> Era {
    Era {
        hash: hex(hash),
        how: how.to_owned(),
        since: decoded.at.to_string(),
        until: None,
        sequence: decoded.sequence,
        from: None,
        author: None,
        reason: None,
        text: None,
        approvals: Vec::new(),
        verified: false,
    }
}

fn approval(signed: &OperatorAct) -> Approval {
    Approval { text: signed.text.clone(), signatures: signed.signatures.clone() }
}
