//! What was released and what chains show of it, into tables: transactions, what they pay, alarms, receipts, epochs.
//!
//! Follows the core's ledger step by step, and forgets nothing.

use holdfast_decision::command::{Command, ReceiptOutcome};
use holdfast_decision::event::{
    Alarm, Dropped, Event, RecoveredTransaction, SpendRecovered, Standing, Status, TransactionReleased,
    WalletIndex,
};
use holdfast_values::{ConflictKey, Name, Network, WithdrawalId};
use rusqlite::params;
use serde_json::{Value, json};

use super::fold::{FoldError, Writer, integer, network_of};
use super::time::fixed;
use crate::record::chain::{alarm_subject, id_on_chain, seen_id, spends};
use crate::record::hex;

impl Writer<'_> {
    /// Folds the events of this module; the others are nothing to it.
    pub(super) fn ledger(&self, event: &Event) -> Result<(), FoldError> {
        match event {
            Event::TransactionReleased(released) => self.release(released),
            Event::ReleaseDropped { dropped } => self.dropped(dropped),
            Event::WithdrawalMoved { withdrawal, status, .. } => self.moved(*withdrawal, *status),
            Event::WithdrawalPaid { withdrawal, .. } => self.paid(*withdrawal),
            Event::TransactionObserved { transaction, standing, confirmations, chain_id } => {
                self.observed(&transaction.0, *standing, *confirmations, chain_id)
            }
            Event::ChainAlarm { alarm, wallet, network, transaction, spends } => {
                self.alarm(*alarm, *wallet, *network, transaction, spends)
            }
            Event::ReceiptRecorded { signer, counter, transaction } => {
                self.receipt(signer, *counter, transaction.as_ref().map(|digest| &digest.0))
            }
            Event::EpochBegun { epoch, signer, counter } => self.epoch(*epoch, signer, *counter),
            Event::SpendRecovered(spend) => self.recovered(spend),
            _ => Ok(()),
        }
    }

    fn wallet(&self, wallet: WalletIndex) -> Result<&str, FoldError> {
        let wallets = self.configuration.as_ref().map(|configuration| configuration.wallets.as_slice());
        let wallet = wallets
            .and_then(|wallets| wallets.get(usize::from(wallet.0)))
            .ok_or(FoldError::Unknown("wallet"))?;
        Ok(wallet.name.as_str())
    }

    fn release(&self, released: &TransactionReleased) -> Result<(), FoldError> {
        let digest = hex(&released.transaction.0);
        let known = self.run(
            "UPDATE transactions SET release_id = ?3, expires = ?4, outputs = ?5, updated_sequence = ?2 WHERE digest = ?1",
            params![
                digest,
                self.sequence(),
                released.release.to_string(),
                fixed(released.expires),
                hex(&released.outputs.0)
            ],
        )?;
        if known == 0 {
            self.new_release(&digest, released)?;
        }
        for withdrawal in &released.withdrawals {
            self.pays(&digest, *withdrawal)?;
            self.may_be_paid(*withdrawal)?;
        }
        Ok(())
    }

    fn new_release(&self, digest: &str, released: &TransactionReleased) -> Result<(), FoldError> {
        let transfer = released.transfer.as_deref();
        let external = transfer.and_then(|transfer| transfer.external);
        let external = match external {
            Some((asset, amount, usd)) => {
                let assets = self.configuration.as_ref().map(|configuration| configuration.assets.as_slice());
                let spec = assets
                    .and_then(|assets| assets.get(usize::from(asset.0)))
                    .map(|asset| &asset.spec)
                    .ok_or(FoldError::Unknown("asset"))?;
                let amount = amount.to_fixed(spec.decimals);
                Some(json!({"asset": spec.symbol.as_str(), "amount": amount, "usd": usd.to_string()}))
            }
            None => None,
        };
        let fee = released.network.native_decimals().map(|decimals| released.fee.to_fixed(decimals));
        self.run(
            "INSERT INTO transactions (digest, release_id, signer, wallet, network, spends, outputs, fee, \
             fee_network_units, transfer, transfer_text, external, standing, confirmations, is_signed, released_at, \
             expires, sequence, updated_sequence) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 0, 0, ?14, ?15, ?16, ?16)",
            params![
                digest,
                released.release.to_string(),
                released.signer.as_str(),
                self.wallet(released.wallet)?,
                released.network.name(),
                Value::from(spends(&released.spends)).to_string(),
                hex(&released.outputs.0),
                fee,
                released.fee.base_units().to_string(),
                transfer.map(|transfer| transfer.transfer.to_string()),
                transfer.map(|transfer| transfer.approval.text.as_str()),
                external.map(|external| external.to_string()),
                Standing::Unseen.name(),
                fixed(self.record.at),
                fixed(released.expires),
                self.sequence(),
            ],
        )?;
        Ok(())
    }

    fn pays(&self, digest: &str, withdrawal: WithdrawalId) -> Result<(), FoldError> {
        self.run("INSERT OR IGNORE INTO payments VALUES (?1, ?2)", params![digest, withdrawal.to_string()])?;
        Ok(())
    }

    /// From here on a transaction may pay it: it holds and waits for nothing any more.
    fn may_be_paid(&self, withdrawal: WithdrawalId) -> Result<(), FoldError> {
        let rows = self.run(
            "UPDATE withdrawals SET status = CASE WHEN status IN ('broadcast', 'confirmed') THEN status ELSE 'released' END, \
             reserved = NULL, queued_turn = NULL, updated_sequence = ?2 WHERE id = ?1",
            params![withdrawal.to_string(), self.sequence()],
        )?;
        if rows == 1 { Ok(()) } else { Err(FoldError::Unknown("withdrawal")) }
    }

    fn dropped(&self, dropped: &[Dropped]) -> Result<(), FoldError> {
        for dropped in dropped {
            self.run(
                "INSERT OR REPLACE INTO drops VALUES (?1, ?2, ?3, ?4)",
                params![
                    self.sequence(),
                    dropped.withdrawal.to_string(),
                    fixed(self.record.at),
                    dropped.why.code()
                ],
            )?;
        }
        Ok(())
    }

    fn moved(&self, withdrawal: WithdrawalId, status: Status) -> Result<(), FoldError> {
        if status.is_final() {
            return self.close(withdrawal, status);
        }
        self.withdrawal(withdrawal, "status", Some(status.name().to_owned()))
    }

    fn paid(&self, withdrawal: WithdrawalId) -> Result<(), FoldError> {
        self.withdrawal(withdrawal, "paid_at", Some(fixed(self.record.at)))?;
        self.end(withdrawal)
    }

    fn observed(
        &self,
        digest: &[u8; 32],
        standing: Standing,
        confirmations: u32,
        on_chain: &[u8; 32],
    ) -> Result<(), FoldError> {
        let at = fixed(self.record.at);
        let digest = hex(digest);
        let network = network_of(self.connection, &digest)?.ok_or(FoldError::Unknown("transaction"))?;
        let chain_id = seen_id(on_chain).map(|id| id_on_chain(id, network));
        self.run(
            "UPDATE transactions SET standing = ?3, confirmations = ?4, chain_id = coalesce(?5, chain_id), \
             seen_at = CASE WHEN ?5 IS NULL THEN seen_at ELSE coalesce(seen_at, ?6) END, over_at = ?7, \
             updated_sequence = ?2 WHERE digest = ?1",
            params![
                digest,
                self.sequence(),
                standing.name(),
                confirmations,
                chain_id,
                at,
                standing.is_over().then_some(&at),
            ],
        )?;
        Ok(())
    }

    fn alarm(
        &self,
        alarm: Alarm,
        wallet: WalletIndex,
        network: Network,
        transaction: &[u8; 32],
        keys: &[ConflictKey],
    ) -> Result<(), FoldError> {
        self.run(
            "INSERT INTO alarms (sequence, at, alarm, wallet, network, transaction_id, spends) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                self.sequence(),
                fixed(self.record.at),
                alarm.name(),
                self.wallet(wallet)?,
                network.name(),
                alarm_subject(alarm, transaction, network),
                Value::from(spends(keys)).to_string(),
            ],
        )?;
        Ok(())
    }

    fn receipt(&self, signer: &Name, counter: u64, digest: Option<&[u8; 32]>) -> Result<(), FoldError> {
        let digest = digest.map(|digest| hex(digest));
        // The event names a transaction only if it was released; the receipt says which one it means.
        let (authorised, voided) = match &self.record.command {
            Command::RecordReceipt(receipt) => match &receipt.what {
                ReceiptOutcome::Authorised { transaction, .. } => (Some(hex(&transaction.0)), None),
                ReceiptOutcome::Voided { withdrawal } => (None, Some(withdrawal.to_string())),
            },
            _ => (digest.clone(), None),
        };
        self.run(
            "INSERT INTO receipts VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                self.sequence(),
                fixed(self.record.at),
                signer.as_str(),
                integer(counter),
                authorised,
                voided
            ],
        )?;
        self.run(
            "UPDATE transactions SET is_signed = 1, updated_sequence = ?2 WHERE digest = ?1",
            params![digest, self.sequence()],
        )?;
        Ok(())
    }

    fn epoch(&self, epoch: u64, signer: &Name, counter: u64) -> Result<(), FoldError> {
        self.run(
            "INSERT INTO epochs (epoch, sequence, at, signer, counter) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                integer(epoch),
                self.sequence(),
                fixed(self.record.at),
                signer.as_str(),
                integer(counter)
            ],
        )?;
        Ok(())
    }

    fn recovered(&self, spend: &SpendRecovered) -> Result<(), FoldError> {
        let digests: Vec<String> = spend.transactions.iter().map(|known| hex(&known.transaction.0)).collect();
        self.run(
            "INSERT INTO recovered_spends (sequence, at, withdrawal, signer, wallet, network, transactions, is_lost, intent) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                self.sequence(),
                fixed(self.record.at),
                spend.withdrawal.to_string(),
                spend.signer.as_str(),
                self.wallet(spend.wallet)?,
                spend.network.name(),
                Value::from(digests.clone()).to_string(),
                spend.is_lost,
                spend.intent,
            ],
        )?;
        for (digest, recovered) in digests.iter().zip(&spend.transactions) {
            self.remember(digest, spend, recovered)?;
        }
        if spend.is_lost {
            return Ok(());
        }
        self.close_case(spend.withdrawal, "recovered")?;
        if digests.is_empty() { Ok(()) } else { self.may_be_paid(spend.withdrawal) }
    }

    fn remember(
        &self,
        digest: &str,
        spend: &SpendRecovered,
        recovered: &RecoveredTransaction,
    ) -> Result<(), FoldError> {
        let known = self.run(
            "UPDATE transactions SET is_signed = 1, updated_sequence = ?2 WHERE digest = ?1",
            params![digest, self.sequence()],
        )?;
        if known == 0 {
            self.run(
                "INSERT INTO transactions (digest, signer, wallet, network, spends, outputs, standing, confirmations, \
                 is_signed, released_at, sequence, updated_sequence) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 1, ?8, ?9, ?9)",
                params![
                    digest,
                    spend.signer.as_str(),
                    self.wallet(spend.wallet)?,
                    spend.network.name(),
                    Value::from(spends(&recovered.spends)).to_string(),
                    recovered.outputs.as_ref().map(|outputs| hex(&outputs.0)),
                    Standing::Unseen.name(),
                    fixed(self.record.at),
                    self.sequence(),
                ],
            )?;
        }
        self.pays(digest, spend.withdrawal)
    }
}
