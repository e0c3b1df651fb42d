//! The policy in the read model: what signers are to be told of it, in the same order as customers' credentials.
//!
//! A step is told once its text is accepted: an approval when it is scheduled, or made where there is no delay; what
//! tightens or goes back when it is made. It is told again if it is stopped, or lapses.

use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::event::{PolicyMove, PolicyMoveKind, ProposalOpened, ScheduledAct};
use holdfast_values::{Name, OperatorText};
use rusqlite::{OptionalExtension as _, params};

use super::fold::{FoldError, Writer};
use super::time::fixed;
use crate::record::hex;

impl Writer<'_> {
    /// A pack decides from this record on: its files are there.
    pub(super) fn policy_pack(&self, hash: &[u8; 32]) -> Result<(), FoldError> {
        self.run("INSERT OR REPLACE INTO policy_packs VALUES (?1, ?2)", params![hex(hash), self.sequence()])?;
        Ok(())
    }

    pub(super) fn policy_proposed(&self, opened: &ProposalOpened) -> Result<(), FoldError> {
        let (hash, before) = (hex(&opened.proposal.source.hash), hex(&opened.proposal.from));
        self.run(
            "INSERT OR REPLACE INTO policy_proposals VALUES (?1, ?2, ?3, ?4)",
            params![hash, before, opened.author.as_str(), self.sequence()],
        )?;
        Ok(())
    }

    pub(super) fn act_scheduled(&self, scheduled: &ScheduledAct) -> Result<(), FoldError> {
        match &scheduled.act {
            Act::ApprovePolicy { hash, from, author } => {
                let before = self.proposal(hash, from, author)?;
                self.tell_step(&scheduled.nonce.0, self.sequence(), before, false)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn policy_moved(&self, moved: &PolicyMove) -> Result<(), FoldError> {
        let text = OperatorText::parse(moved.approval.text.as_bytes());
        let nonce = text.map_err(|_| FoldError::Unknown("operators' text"))?.nonce.0;
        if self.step(&nonce)?.is_some() {
            return Ok(());
        }
        let before = match (moved.how, &moved.author) {
            (PolicyMoveKind::Approved, Some(author)) => self.proposal(&moved.hash, &moved.from, author)?,
            (PolicyMoveKind::Tightened, _) => self
                .connection
                .prepare_cached("SELECT sequence FROM policy_packs WHERE hash = ?1")?
                .query_row([hex(&moved.from)], |row| row.get(0))
                .optional()?,
            _ => None,
        };
        self.tell_step(&nonce, self.sequence(), before, false)
    }

    pub(super) fn act_stopped(&self, nonce: &Digest) -> Result<(), FoldError> {
        match self.step(&nonce.0)? {
            Some((source, before)) => self.tell_step(&nonce.0, source, before, true),
            None => Ok(()),
        }
    }

    fn proposal(&self, hash: &[u8; 32], from: &[u8; 32], author: &Name) -> Result<Option<i64>, FoldError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT sequence FROM policy_proposals WHERE hash = ?1 AND before = ?2 AND author = ?3",
            )?
            .query_row(params![hex(hash), hex(from), author.as_str()], |row| row.get(0))
            .optional()?)
    }

    /// Where the text of a step is that was told, and its proposal.
    fn step(&self, nonce: &[u8; 32]) -> Result<Option<(i64, Option<i64>)>, FoldError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT step_source, step_before FROM enrolments
                 WHERE account = '' AND credential = ?1 AND step_source IS NOT NULL LIMIT 1",
            )?
            .query_row([hex(nonce)], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?)
    }

    fn tell_step(
        &self,
        nonce: &[u8; 32],
        source: i64,
        before: Option<i64>,
        is_stopped: bool,
    ) -> Result<(), FoldError> {
        self.run(
            "INSERT INTO enrolments (sequence, at, account, credential, legacy_u2f, is_removal, step_source, step_before) \
             VALUES (?1, ?2, '', ?3, 0, ?4, ?5, ?6)",
            params![self.sequence(), fixed(self.record.at), hex(nonce), is_stopped, source, before],
        )?;
        Ok(())
    }
}
