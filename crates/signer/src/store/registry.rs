//! What the store says and is told about customers' keys and mandates. Nothing here judges.

use holdfast_values::{AccountId, Amount, AssetSymbol, MandateId, Network, Timestamp, WithdrawalId, time};
use rusqlite::{Row, params};

use super::records::{Records, Sql, id, signed, unsigned, unusable};
use crate::pins::Pins;

/// What stood behind a credential when it was seen first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nothing: its account's first.
    First,
    /// Another credential of its account.
    Rotation,
    /// Operators.
    Recovery,
}

impl Origin {
    /// Every origin, at the place of its number.
    pub(crate) const ALL: [Self; 3] = [Self::First, Self::Rotation, Self::Recovery];

    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Rotation => "rotation",
            Self::Recovery => "recovery",
        }
    }

    /// Its number in the store and on the socket.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::First => 0,
            Self::Rotation => 1,
            Self::Recovery => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.number() == number)
    }
}

/// A credential as this signer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// By what its key knows it.
    pub id: Vec<u8>,
    /// Whose it is.
    pub account: AccountId,
    /// COSE_Key.
    pub public_key: Vec<u8>,
    /// Registered under legacy U2F.
    pub legacy_u2f: bool,
    /// It never vouches for payments.
    pub master: bool,
    /// What stood behind it.
    pub origin: Origin,
    /// The credential whose cap it shares.
    pub lineage: Vec<u8>,
    /// When this signer saw it first.
    pub seen: Timestamp,
    /// When it was removed.
    pub removed: Option<Timestamp>,
}

impl Credential {
    /// From when on it counts, unless it is removed.
    pub fn counts_from(&self, pins: &Pins) -> Timestamp {
        match (self.origin, &pins.approval) {
            (Origin::First | Origin::Recovery, Some(approval)) => self.seen.plus(approval.ageing),
            (Origin::First | Origin::Recovery, None) => Timestamp(u64::MAX),
            // Whoever brought it in counted then.
            (Origin::Rotation, _) => self.seen,
        }
    }
}

/// How a credential stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialStatus {
    /// The credential.
    pub credential: Credential,
    /// From when on it counts, unless it is removed.
    pub counts_from: Timestamp,
    /// The highest counter that it showed here.
    pub counter: u64,
}

/// How many credentials there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CredentialCounts {
    /// Ever seen.
    pub seen: u64,
    /// Of these, removed.
    pub removed: u64,
    /// First credentials of the last 24 hours.
    pub first_today: u64,
}

const COLUMNS: &str =
    "select c.credential, c.account, c.public_key, c.legacy_u2f, c.master, c.basis, c.lineage, c.seen,
    r.at from credentials c left join removals r using (credential)";

impl Records<'_> {
    pub(crate) fn credential(&self, credential: &[u8]) -> Sql<Option<Credential>> {
        self.maybe(&format!("{COLUMNS} where c.credential = ?1"), [credential], read)
    }

    /// Every credential that an account ever had, in the order in which they were seen.
    pub(crate) fn credentials(&self, account: &AccountId) -> Sql<Vec<Credential>> {
        self.all(
            &format!("{COLUMNS} where c.account = ?1 order by c.seen, c.credential"),
            [account.as_str()],
            read,
        )
    }

    /// How many first credentials were seen after `since`, and when the oldest of them was.
    pub(crate) fn firsts_since(&self, since: Timestamp) -> Sql<(u64, Option<Timestamp>)> {
        self.one(
            "select count(*), min(seen) from credentials where basis = 0 and seen > ?1",
            [signed(since.0)?],
            |row| {
                let oldest: Option<i64> = row.get(1)?;
                Ok((unsigned(row, 0)?, oldest.map(|at| Timestamp(at.cast_unsigned()))))
            },
        )
    }

    pub(crate) fn credential_counts(&self, now: Timestamp) -> Sql<CredentialCounts> {
        let (first_today, _) = self.firsts_since(now.minus(time::DAY))?;
        self.one(
            "select (select count(*) from credentials), (select count(*) from credentials join removals using (credential))",
            [],
            |row| Ok(CredentialCounts { seen: unsigned(row, 0)?, removed: unsigned(row, 1)?, first_today }),
        )
    }

    pub(crate) fn add_credential(&self, new: &Credential, enrolment: &[u8]) -> Sql<()> {
        self.run(
            "insert into credentials values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                new.id,
                new.account.as_str(),
                new.public_key,
                new.legacy_u2f,
                new.master,
                new.origin.number(),
                new.lineage,
                signed(new.seen.0)?,
                enrolment
            ],
        )
    }

    /// When a credential was removed, whether or not it was ever seen.
    pub(crate) fn removed(&self, credential: &[u8]) -> Sql<Option<Timestamp>> {
        self.maybe("select at from removals where credential = ?1", [credential], |row| {
            unsigned(row, 0).map(Timestamp)
        })
    }

    pub(crate) fn add_removal(&self, credential: &[u8], account: &AccountId, at: Timestamp) -> Sql<()> {
        self.run(
            "insert into removals values (?1, ?2, ?3) on conflict do nothing",
            params![credential, account.as_str(), signed(at.0)?],
        )
    }

    /// The highest counter that a credential ever showed.
    pub(crate) fn highest_counter(&self, credential: &[u8]) -> Sql<u64> {
        self.one(
            "select coalesce(max(counter), 0) from assertions where credential = ?1",
            [credential],
            |row| unsigned(row, 0),
        )
    }

    /// The text beside which a counter stood.
    pub(crate) fn text_of_counter(&self, credential: &[u8], counter: u32) -> Sql<Option<[u8; 32]>> {
        self.maybe(
            "select text from assertions where credential = ?1 and counter = ?2",
            params![credential, counter],
            |row| row.get(0),
        )
    }

    /// Whether a counter above this one was seen before `at`.
    pub(crate) fn higher_counter_before(&self, credential: &[u8], counter: u32, at: Timestamp) -> Sql<bool> {
        self.one(
            "select exists (select 1 from assertions where credential = ?1 and counter > ?2 and at < ?3)",
            params![credential, counter, signed(at.0)?],
            |row| row.get(0),
        )
    }

    pub(crate) fn add_counter(
        &self,
        credential: &[u8],
        counter: u32,
        text: &[u8; 32],
        at: Timestamp,
    ) -> Sql<()> {
        self.run(
            "insert into assertions values (?1, ?2, ?3, ?4)",
            params![credential, counter, text, signed(at.0)?],
        )
    }

    /// What a lineage vouched for of an asset in the hours from `since` on.
    pub(crate) fn vouched_since(
        &self,
        lineage: &[u8],
        asset: &AssetSymbol,
        network: Network,
        since: Timestamp,
    ) -> Sql<Amount> {
        let amounts = self.all(
            "select amount from vouched where lineage = ?1 and asset = ?2 and network = ?3 and hour >= ?4",
            params![lineage, asset.as_str(), network.number(), signed(since.0 / time::HOUR)?],
            |row| amount(row, 0),
        )?;
        Ok(sum(amounts))
    }

    pub(crate) fn add_vouched(
        &self,
        lineage: &[u8],
        asset: &AssetSymbol,
        network: Network,
        at: Timestamp,
        more: Amount,
    ) -> Sql<()> {
        self.add_at_hour(lineage, asset.as_str(), network.number(), signed(at.0 / time::HOUR)?, more)
    }

    /// The text that a mandate was used with.
    pub(crate) fn mandate_text(&self, mandate: MandateId) -> Sql<Option<String>> {
        self.maybe("select text from mandates where mandate = ?1", [id(mandate.0)], |row| row.get(0))
    }

    pub(crate) fn add_mandate(&self, mandate: MandateId, text: &str, at: Timestamp) -> Sql<()> {
        self.run("insert into mandates values (?1, ?2, ?3)", params![id(mandate.0), text, signed(at.0)?])
    }

    /// What a mandate paid in the minutes from `since` on.
    pub(crate) fn mandate_paid_since(&self, mandate: MandateId, since: Timestamp) -> Sql<Amount> {
        let amounts = self.all(
            "select amount from mandate_sums where mandate = ?1 and minute >= ?2",
            params![id(mandate.0), signed(since.0 / time::MINUTE)?],
            |row| amount(row, 0),
        )?;
        Ok(sum(amounts))
    }

    pub(crate) fn add_mandate_paid(&self, mandate: MandateId, at: Timestamp, more: Amount) -> Sql<()> {
        let minute = signed(at.0 / time::MINUTE)?;
        let before = self.maybe(
            "select amount from mandate_sums where mandate = ?1 and minute = ?2",
            params![id(mandate.0), minute],
            |row| amount(row, 0),
        )?;
        self.run(
            "insert or replace into mandate_sums values (?1, ?2, ?3)",
            params![id(mandate.0), minute, blob(before, more)],
        )
    }

    /// The withdrawal that a signed request asked for.
    pub(crate) fn withdrawal_of_request(&self, request: &[u8; 32]) -> Sql<Option<WithdrawalId>> {
        self.maybe("select withdrawal from requests where request = ?1", [request], |row| {
            Ok(WithdrawalId(u128::from_be_bytes(row.get(0)?)))
        })
    }

    pub(crate) fn add_request(&self, request: &[u8; 32], withdrawal: WithdrawalId, at: Timestamp) -> Sql<()> {
        self.run(
            "insert into requests values (?1, ?2, ?3)",
            params![request, id(withdrawal.0), signed(at.0)?],
        )
    }

    /// After a clock that was ahead: what was seen or paid then is seen or paid now. No ageing and no sum ends the sooner
    /// for it.
    pub(crate) fn pull_registry_back(&self, at: Timestamp) -> Sql<()> {
        let now = signed(at.0)?;
        self.run("update credentials set seen = ?1 where seen > ?1", [now])?;
        self.run("update assertions set at = ?1 where at > ?1", [now])?;
        let hour = signed(at.0 / time::HOUR)?;
        let ahead = self.all(
            "select lineage, asset, network, amount from vouched where hour > ?1",
            [hour],
            |row| -> Sql<(Vec<u8>, String, u8, Amount)> {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, amount(row, 3)?))
            },
        )?;
        self.run("delete from vouched where hour > ?1", [hour])?;
        for (lineage, asset, network, more) in ahead {
            self.add_at_hour(&lineage, &asset, network, hour, more)?;
        }
        let ahead = self.all(
            "select mandate, amount from mandate_sums where minute > ?1",
            [signed(at.0 / time::MINUTE)?],
            |row| Ok((MandateId(u128::from_be_bytes(row.get(0)?)), amount(row, 1)?)),
        )?;
        self.run("delete from mandate_sums where minute > ?1", [signed(at.0 / time::MINUTE)?])?;
        ahead.into_iter().try_for_each(|(mandate, more)| self.add_mandate_paid(mandate, at, more))
    }

    fn add_at_hour(&self, lineage: &[u8], asset: &str, network: u8, hour: i64, more: Amount) -> Sql<()> {
        let before = self.maybe(
            "select amount from vouched where lineage = ?1 and asset = ?2 and network = ?3 and hour = ?4",
            params![lineage, asset, network, hour],
            |row| amount(row, 0),
        )?;
        self.run(
            "insert or replace into vouched values (?1, ?2, ?3, ?4, ?5)",
            params![lineage, asset, network, hour, blob(before, more)],
        )
    }
}

fn read(row: &Row<'_>) -> Sql<Credential> {
    let account: String = row.get(1)?;
    let origin: u8 = row.get(5)?;
    let removed: Option<i64> = row.get(8)?;
    Ok(Credential {
        id: row.get(0)?,
        account: account.parse().map_err(|_| unusable(format!("no account has the id {account:?}")))?,
        public_key: row.get(2)?,
        legacy_u2f: row.get(3)?,
        master: row.get(4)?,
        origin: Origin::from_number(origin)
            .ok_or_else(|| unusable(format!("no basis has the number {origin}")))?,
        lineage: row.get(6)?,
        seen: Timestamp(unsigned(row, 7)?),
        removed: removed.map(|at| Timestamp(at.cast_unsigned())),
    })
}

fn amount(row: &Row<'_>, column: usize) -> Sql<Amount> {
    Ok(Amount::from_base_units(u128::from_be_bytes(row.get(column)?)))
}

fn blob(before: Option<Amount>, more: Amount) -> [u8; 16] {
    before.unwrap_or(Amount::ZERO).saturating_add(more).base_units().to_be_bytes()
}

fn sum(amounts: Vec<Amount>) -> Amount {
    amounts.into_iter().fold(Amount::ZERO, Amount::saturating_add)
}
