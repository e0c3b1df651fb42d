//! Customers' credentials in the read model: what signers are to be told of them, in order.
//!
//! Master keys and keys that only sign in are no signer's business. One that waits for operators, because its account is
//! being recovered, is told once they have signed.

use holdfast_decision::event::{AccountIndex, Change};
use holdfast_decision::protection::{Basis, CredentialUse};
use holdfast_values::Fingerprint;
use rusqlite::{OptionalExtension as _, params};

use super::fold::{FoldError, Writer};
use super::time::fixed;

impl Writer<'_> {
    fn account_name(&self, account: AccountIndex) -> Result<String, FoldError> {
        self.connection
            .prepare_cached("SELECT id FROM accounts WHERE number = ?1")?
            .query_row([account.0], |row| row.get(0))
            .optional()?
            .ok_or(FoldError::Unknown("account"))
    }

    /// Takes in a change that adds or removes a credential.
    pub(super) fn credential(
        &self,
        account: AccountIndex,
        change: &Change,
        basis: Option<Basis>,
    ) -> Result<(), FoldError> {
        match change {
            Change::AddCredential(new) if new.used_for == CredentialUse::Approve => {
                let account = self.account_name(account)?;
                if basis == Some(Basis::Recovery) {
                    self.run(
                        "INSERT OR REPLACE INTO pending_credentials VALUES (?1, ?2, ?3)",
                        params![account, new.credential.to_string(), new.legacy_u2f],
                    )?;
                    return Ok(());
                }
                self.tell(&account, &new.credential.to_string(), new.legacy_u2f, false)
            }
            Change::RemoveCredential { credential } => {
                let account = self.account_name(account)?;
                let credential = credential.to_string();
                self.run(
                    "DELETE FROM pending_credentials WHERE account = ?1 AND credential = ?2",
                    params![account, credential],
                )?;
                match self.told(&account, &credential)? {
                    Some(legacy_u2f) => self.tell(&account, &credential, legacy_u2f, true),
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    /// Whether signers know a credential, and whether it was made under U2F.
    fn told(&self, account: &str, credential: &str) -> Result<Option<bool>, FoldError> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT legacy_u2f FROM enrolments WHERE account = ?1 AND credential = ?2 LIMIT 1",
            )?
            .query_row([account, credential], |row| row.get(0))
            .optional()?)
    }

    /// Operators gave an account back: its credentials end, but for the one that waited for them.
    pub(super) fn recovered_account(
        &self,
        account: AccountIndex,
        credential: &Fingerprint,
    ) -> Result<(), FoldError> {
        let account = self.account_name(account)?;
        let old: Vec<(String, bool)> = self
            .connection
            .prepare_cached(
                "SELECT credential, legacy_u2f FROM enrolments WHERE account = ?1 GROUP BY credential \
                 HAVING max(is_removal) = 0 ORDER BY min(number)",
            )?
            .query_map([&account], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        for (credential, legacy_u2f) in old {
            self.tell(&account, &credential, legacy_u2f, true)?;
        }
        let credential = credential.to_string();
        let legacy_u2f: bool = self
            .connection
            .prepare_cached(
                "SELECT legacy_u2f FROM pending_credentials WHERE account = ?1 AND credential = ?2",
            )?
            .query_row([&account, &credential], |row| row.get(0))
            .optional()?
            .ok_or(FoldError::Unknown("credential"))?;
        self.run("DELETE FROM pending_credentials WHERE account = ?1", params![account])?;
        self.tell(&account, &credential, legacy_u2f, false)
    }

    fn tell(
        &self,
        account: &str,
        credential: &str,
        legacy_u2f: bool,
        is_removal: bool,
    ) -> Result<(), FoldError> {
        self.run(
            "INSERT INTO enrolments (sequence, at, account, credential, legacy_u2f, is_removal) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![self.sequence(), fixed(self.record.at), account, credential, legacy_u2f, is_removal],
        )?;
        Ok(())
    }
}
