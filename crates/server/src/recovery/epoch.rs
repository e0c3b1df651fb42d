//! The new epoch of a restored journal: which one, what it takes in, and the records that begin it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use holdfast_authn::verify_operator;
use holdfast_decision::acts::ActLines;
use holdfast_decision::command::{Command, OperatorAct, OperatorKey, OperatorSignature};
use holdfast_decision::event::{Event, Status};
use holdfast_decision::{State, decide, fold};
use holdfast_journal::{Draft, Head, Journal as _, LocalJournal, LocalReader};
use holdfast_values::{Name, OperatorProof, OperatorText, Timestamp};

use super::marker::Marker;
use super::scan::{Known, Wanted, scan};
use super::statement::{Merge, Statement};
use super::{RecoveryError, manifest};
use crate::data::DataDir;
use crate::exchange::relying_party;
use crate::fingerprint::Fingerprinter;
use crate::record::hex;
use crate::{clock, intake};

/// A restored journal with what its signers say: nothing is changed yet.
#[derive(Debug)]
pub struct Recovery {
    dir: DataDir,
    marker: Option<Marker>,
    state: State,
    head: Head,
    /// Open for appending, unless this only plans.
    journal: Option<LocalJournal>,
    known: Known,
    epoch: u64,
    merges: Vec<Merge>,
}

/// What operators signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The `holdfast-operator/v1` text, to the letter.
    pub text: Vec<u8>,
    /// Who signed it.
    pub signatures: Vec<(Name, OperatorProof)>,
}

/// What was taken in.
#[derive(Debug)]
pub struct Begun {
    /// What was merged; of what the signer voided, only what is voided now.
    pub merge: Merge,
    /// The record that says so.
    pub sequence: u64,
    /// Signers whose records are still missing; none if the directory may be served from.
    pub waiting: Vec<Name>,
}

impl Recovery {
    /// Reads everything and works out what each signer's statement brings. Without `write` nothing in the directory is
    /// touched; with it the journal is opened for appending, which fails while a server runs.
    ///
    /// # Errors
    /// [`RecoveryError`]; nothing was changed.
    pub fn prepare(
        dir: &DataDir,
        statements: &[PathBuf],
        without_wallets: &[Name],
        write: bool,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, RecoveryError> {
        if dir.path().join(manifest::NAME).exists() {
            return Err(RecoveryError::IsBackup(dir.path().to_owned()));
        }
        let marker = Marker::read(dir)?;
        let (state, reader, journal) = if write {
            let recovered = intake::recover(dir.path())?;
            (recovered.state, recovered.journal.reader()?, Some(recovered.journal))
        } else {
            let reader = LocalReader::open(dir.path())?;
            let (state, _) =
                intake::recover_state(dir.path(), LocalReader::open(dir.path())?, reader.head()?)?;
            (state, reader, None)
        };
        let head = reader.head()?;
        if state.configuration().signers.iter().flatten().next().is_none() {
            return Err(RecoveryError::NoSigner(Marker::path(dir)));
        }
        let statements = read_statements(statements, &state)?;
        let mut wanted = Wanted::default();
        statements.values().for_each(|statement| statement.wants(&mut wanted));
        let known = scan(&reader, head.sequence, &wanted, progress)?;
        let epoch = next_epoch(marker.as_ref(), &state, &known, &statements);
        let mut recovery =
            Self { dir: dir.clone(), marker, state, head, journal, known, epoch, merges: Vec::new() };
        let waiting = recovery.waiting();
        if !waiting.is_empty() {
            let fingerprints = Fingerprinter::new(dir.read_fingerprint_key()?);
            for signer in waiting {
                let statement =
                    statements.get(&signer).ok_or(RecoveryError::StatementMissing(signer.to_string()))?;
                let lost_records = recovery.check(statement, &reader)?;
                let of = (epoch, lost_records);
                let (state, known) = (&recovery.state, &recovery.known);
                let merge = Merge::of(statement, state, known, &fingerprints, without_wallets, of)?;
                recovery.merges.push(merge);
            }
        }
        Ok(recovery)
    }

    /// The exchange, as the text must name it.
    #[must_use]
    pub fn exchange(&self) -> &str {
        self.state.exchange()
    }

    /// Where the journal ends.
    #[must_use]
    pub const fn head(&self) -> Head {
        self.head
    }

    /// The epoch that begins, or that has begun without all signers.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How many operators must sign.
    #[must_use]
    pub fn signatures(&self) -> u32 {
        self.state.configuration().parameters.loosening_signatures.max(2)
    }

    /// What is still to be taken in, one act a signer. None if all are in.
    #[must_use]
    pub fn merges(&self) -> &[Merge] {
        &self.merges
    }

    /// Signers whose records are not in this epoch yet.
    fn waiting(&self) -> Vec<Name> {
        let signers = self.state.configuration().signers.iter().flatten();
        let missing = signers.filter(|signer| self.known.merged.get(&signer.name) != Some(&self.epoch));
        missing.map(|signer| signer.name.clone()).collect()
    }

    /// Holds a statement against the journal. The signer remembers the highest record that it has seen: if the journal
    /// has one of that number, it must be that very record. Gives how many records it has seen beyond the journal's end.
    fn check(&self, statement: &Statement, reader: &LocalReader) -> Result<u64, RecoveryError> {
        let said = &statement.spends;
        let refused = |code: &'static str, what: String| {
            Err(RecoveryError::Statement { code, path: statement.path.clone(), what })
        };
        if said.epoch >= self.epoch {
            let what = format!(
                "{} is in epoch {} already, and follows no journal into the same epoch twice: restore the backup again \
                 and recover it with new statements",
                said.signer, said.epoch
            );
            return refused("statement_epoch", what);
        }
        let (epoch, last) = match &self.marker {
            Some(marker) => (marker.epoch, marker.sequence),
            None => (self.state.epoch(), self.head.sequence),
        };
        if said.epoch != epoch || said.sequence == 0 {
            return Ok(0);
        }
        if said.sequence > last {
            return Ok(said.sequence.saturating_sub(last));
        }
        if reader.read(said.sequence, 1)?.first().map(|record| record.hash) == Some(said.head) {
            return Ok(0);
        }
        let what = format!(
            "{} has seen the record {} with the hash {}, and this journal has another there: it is not the journal that \
             the signer followed, or it was altered; recover nothing from it",
            said.signer,
            said.sequence,
            hex(&said.head)
        );
        refused("head_differs", what)
    }

    /// Takes the marker away if there is nothing left to take in; true if it was there.
    ///
    /// # Errors
    /// What the system says.
    pub fn finish(self) -> Result<bool, RecoveryError> {
        if self.merges.is_empty() && self.marker.is_some() {
            Marker::remove(&self.dir)?;
            return Ok(true);
        }
        Ok(false)
    }

    /// Begins the epoch with the statement that the signed text names, durably, and takes the marker away once no signer's
    /// records are missing.
    ///
    /// # Errors
    /// [`RecoveryError`]; nothing was changed, unless the journal itself failed.
    pub fn begin(mut self, signed: &Signed) -> Result<Begun, RecoveryError> {
        let text = OperatorText::parse(&signed.text)
            .map_err(|error| RecoveryError::Text { code: "text_malformed", what: error.to_string() })?;
        let place = self.named(&text)?;
        let mut merge = self.merges.remove(place);
        let command = Command::OperatorAct(Box::new(OperatorAct {
            text: text.to_string(),
            signatures: verify(&self.state, &text, &signed.signatures)?,
            act: merge.act(),
        }));
        let at = self.time(&text);
        let before = self.state.epoch().min(merge.epoch.saturating_sub(1));
        let mut drafts = Vec::new();
        // As at every start: nobody was listening until now, and that time counts towards nothing.
        self.decide(at, &Command::Start, &mut drafts)?;
        let events = self.decide(at, &command, &mut drafts)?;
        let waiting: Vec<Name> = self.merges.iter().map(|merge| merge.signer.clone()).collect();
        if !waiting.is_empty() && self.marker.is_none() {
            // From the next record on this journal must not serve until all are in.
            Marker::new(self.head.sequence, hex(&self.head.hash), before, None).write(self.dir.path())?;
        }
        let Some(mut journal) = self.journal.take() else {
            return Err(RecoveryError::Text { code: "plan_only", what: "this only plans".to_owned() });
        };
        let head = journal.append(&drafts)?;
        journal.close()?;
        if waiting.is_empty() && Marker::read(&self.dir)?.is_some() {
            Marker::remove(&self.dir)?;
        }
        let voided = events.iter().filter_map(|event| match event {
            Event::WithdrawalMoved { withdrawal, status: Status::Voided, .. } => Some(*withdrawal),
            _ => None,
        });
        merge.voided = voided.collect();
        Ok(Begun { merge, sequence: head.sequence, waiting })
    }

    /// Which of the merges the text names.
    fn named(&self, text: &OperatorText) -> Result<usize, RecoveryError> {
        let refused = |code: &'static str, what: String| Err(RecoveryError::Text { code, what });
        let lines: Vec<ActLines> = self.merges.iter().map(Merge::lines).collect();
        let Some(first) = lines.first() else {
            return refused(
                "epoch_begun",
                format!("all signers' records are in epoch {} already", self.epoch),
            );
        };
        if text.act.as_str() != first.act {
            return refused(
                "text_differs",
                format!("the text is of the act {}, not {}", text.act, first.act),
            );
        }
        if text.target.as_str() != first.target {
            let what =
                format!("the text says `target: {}`; the epoch to begin is {}", text.target, first.target);
            return refused("text_epoch", what);
        }
        match lines.iter().position(|lines| lines.detail == text.detail.as_str()) {
            Some(place) => Ok(place),
            None => {
                let expected: Vec<&str> = lines.iter().map(|lines| lines.detail.as_str()).collect();
                let what = format!(
                    "the text says `detail: {}`, and the statements say `{}`: if the signer has gone on since, halt it, \
                     take a new statement and have that signed",
                    text.detail,
                    expected.join("` or `")
                );
                refused("statement_differs", what)
            }
        }
    }

    /// The wall clock, never behind the journal. A simulated clock stands still; the text alone says that time has passed.
    fn time(&self, text: &OperatorText) -> Timestamp {
        let now = match self.state.is_simulated() {
            true => text.window.not_before().timestamp(),
            false => clock::wall_now(),
        };
        self.state.time().max(now)
    }

    /// Decides one command, folds what happens and drafts its record.
    fn decide(
        &mut self,
        at: Timestamp,
        command: &Command,
        drafts: &mut Vec<Draft>,
    ) -> Result<Vec<Event>, RecoveryError> {
        let mut events = Vec::new();
        decide(&self.state, at, command, &mut events);
        if let Some(Event::Refused { refusal, detail }) = events.first() {
            let what = if detail.is_empty() { refusal.sentence().to_owned() } else { detail.clone() };
            return Err(RecoveryError::Refused { code: refusal.code(), what });
        }
        if events.is_empty() {
            return Ok(events);
        }
        let draft = intake::draft_of(&self.state, at, command, &events).map_err(|problem| {
            let what = format!(
                "{}: what the journal has lost does not fit one record; restore a later backup",
                problem.message()
            );
            RecoveryError::Refused { code: "statement_too_large", what }
        })?;
        drafts.push(draft);
        let sequence = self.state.sequence().saturating_add(1);
        fold(&mut self.state, sequence, at, &events);
        Ok(events)
    }
}

/// The statements by signer, one each.
fn read_statements(paths: &[PathBuf], state: &State) -> Result<BTreeMap<Name, Statement>, RecoveryError> {
    let mut statements = BTreeMap::new();
    for path in paths {
        let statement = Statement::read(path, state)?;
        let signer = statement.spends.signer.clone();
        if statements.insert(signer.clone(), statement).is_some() {
            let what = format!("{signer} has a statement already: give the newest alone");
            let (code, path) = ("statement_repeated", path.clone());
            return Err(RecoveryError::Statement { code, path, what });
        }
    }
    Ok(statements)
}

/// The epoch that a journal must go on in: the current one while some of its signers are not in, and otherwise the first
/// that is later than the journal's own and than every one that a signer has followed.
fn next_epoch(
    marker: Option<&Marker>,
    state: &State,
    known: &Known,
    statements: &BTreeMap<Name, Statement>,
) -> u64 {
    let current = state.epoch();
    let mut signers = state.configuration().signers.iter().flatten();
    let has_begun = match marker {
        Some(marker) => marker.epoch < current,
        None => current > 1 && signers.any(|signer| known.merged.get(&signer.name) != Some(&current)),
    };
    let mut waiting = statements.iter().filter(|(signer, _)| known.merged.get(*signer) != Some(&current));
    if has_begun && waiting.all(|(_, statement)| statement.spends.epoch < current) {
        return current;
    }
    let later = statements.values().map(|statement| statement.spends.epoch.saturating_add(1));
    later.fold(current.saturating_add(1), u64::max)
}

/// The signatures, each by a different operator of this journal over this text.
fn verify(
    state: &State,
    text: &OperatorText,
    given: &[(Name, OperatorProof)],
) -> Result<Vec<OperatorSignature>, RecoveryError> {
    let digest = text.digest();
    let party = state.configuration().operate.as_deref().map(relying_party);
    let mut names = BTreeSet::new();
    let mut signatures = Vec::with_capacity(given.len());
    for (name, signature) in given {
        let refused =
            |code: &'static str, what: String| RecoveryError::Text { code, what: format!("{name}: {what}") };
        let (_, operator) = state.operators().find(|(known, _)| *known == name).ok_or_else(|| {
            refused("operator_unknown", "no operator of this name in the restored journal".to_owned())
        })?;
        let public_key = operator.public_key;
        verify_operator(&public_key, party.as_ref(), &digest.0, signature)
            .map_err(|error| refused(error.code(), error.to_string()))?;
        if !names.insert(name) {
            return Err(refused("operator_signature_repeated", "has signed twice".to_owned()));
        }
        let operator = OperatorKey { name: name.clone(), public_key };
        signatures.push(OperatorSignature { operator, signature: signature.clone() });
    }
    Ok(signatures)
}
