//! What the store says and is told about the policy: with which one it began, where it stands, and the steps that lead on.
//! Nothing here judges.

use holdfast_values::{Name, Timestamp};
use rusqlite::{Row, params};

use super::records::{Records, Sql, signed, unsigned, unusable};

/// What stands behind a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// Operators other than its author approved it.
    Approved,
    /// One operator tightened.
    Tightened,
    /// Two operators went back.
    Restored,
}

impl StepKind {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Tightened => "tightened",
            Self::Restored => "restored",
        }
    }

    /// Its number in the store and on the socket.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Approved => 0,
            Self::Tightened => 1,
            Self::Restored => 2,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Self::Approved, Self::Tightened, Self::Restored].into_iter().find(|kind| kind.number() == number)
    }
}

/// A step from one policy to another, as this signer knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLink {
    /// Of its text.
    pub nonce: [u8; 32],
    /// What stands behind it.
    pub kind: StepKind,
    /// The policy before.
    pub from: [u8; 32],
    /// The policy that begins.
    pub to: [u8; 32],
    /// Who proposed it, of an approval.
    pub author: Option<Name>,
    /// The first, by name, of the operators whose signatures count.
    pub signer: Name,
    /// When this signer saw it first.
    pub seen: Timestamp,
    /// From when on it counts.
    pub counts_from: Timestamp,
    /// When it was stopped.
    pub stopped: Option<Timestamp>,
    /// When a release followed it, or another in its place.
    pub spent: Option<Timestamp>,
}

/// A policy that was followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Its hash.
    pub hash: [u8; 32],
    /// Pinned, or approved by the threshold.
    pub base: bool,
    /// From when on.
    pub since: Timestamp,
    /// Until when; nothing for the one that counts.
    pub until: Option<Timestamp>,
}

/// With what the path begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beginning {
    pub(crate) initial: Option<[u8; 32]>,
    pub(crate) begun: Option<Timestamp>,
}

const LINK: &str =
    "select nonce, kind, source, target, author, signer, seen, counts, stopped, spent from policy_links";

impl Records<'_> {
    pub(crate) fn policy_beginning(&self) -> Sql<Beginning> {
        let found = self.maybe("select initial, begun from policy", [], |row| {
            Ok(Beginning { initial: row.get(0)?, begun: time(row, 1)? })
        })?;
        Ok(found.unwrap_or_default())
    }

    pub(crate) fn set_policy_beginning(&self, beginning: Beginning) -> Sql<()> {
        let begun = beginning.begun.map(|at| signed(at.0)).transpose()?;
        self.run("insert or replace into policy values (1, ?1, ?2)", params![beginning.initial, begun])
    }

    /// The policy that counts.
    pub(crate) fn policy(&self) -> Sql<Option<Followed>> {
        self.maybe(
            "select hash, base, since, until from policy_path order by number desc limit 1",
            [],
            followed,
        )
    }

    /// The last policies that were followed, the newest first.
    pub(crate) fn policy_path(&self, most: u32) -> Sql<Vec<Followed>> {
        self.all(
            "select hash, base, since, until from policy_path order by number desc limit ?1",
            [most],
            followed,
        )
    }

    /// Follows another policy from now on.
    pub(crate) fn follow_policy(&self, hash: &[u8; 32], base: bool, at: Timestamp) -> Sql<()> {
        let now = signed(at.0)?;
        self.run("update policy_path set until = ?1 where until is null", [now])?;
        self.run(
            "insert into policy_path (hash, base, since, until) values (?1, ?2, ?3, null)",
            params![hash, base, now],
        )
    }

    /// Whether this policy was ever followed.
    pub(crate) fn policy_was_followed(&self, hash: &[u8; 32]) -> Sql<bool> {
        self.one("select exists (select 1 from policy_path where hash = ?1)", [hash], |row| row.get(0))
    }

    /// When a base was left last.
    pub(crate) fn base_left(&self, hash: &[u8; 32]) -> Sql<Option<Timestamp>> {
        self.one("select max(until) from policy_path where hash = ?1 and base = 1", [hash], |row| {
            time(row, 0)
        })
    }

    pub(crate) fn policy_link(&self, nonce: &[u8; 32]) -> Sql<Option<PolicyLink>> {
        self.maybe(&format!("{LINK} where nonce = ?1"), [nonce], link)
    }

    /// The text of a step.
    pub(crate) fn policy_text(&self, nonce: &[u8; 32]) -> Sql<Option<String>> {
        self.maybe("select text from policy_links where nonce = ?1", [nonce], |row| row.get(0))
    }

    /// The steps that nothing has stopped and no release has followed, the oldest first.
    pub(crate) fn open_policy_links(&self) -> Sql<Vec<PolicyLink>> {
        let open = format!("{LINK} where stopped is null and spent is null order by seen, nonce");
        self.all(&open, [], link)
    }

    /// The last steps, the newest first.
    pub(crate) fn policy_links(&self, most: u32) -> Sql<Vec<PolicyLink>> {
        self.all(&format!("{LINK} order by seen desc, nonce limit ?1"), [most], link)
    }

    pub(crate) fn add_policy_link(&self, link: &PolicyLink, text: &str) -> Sql<()> {
        self.run(
            "insert into policy_links values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, null)",
            params![
                link.nonce,
                link.kind.number(),
                link.from,
                link.to,
                link.author.as_ref().map(Name::as_str),
                link.signer.as_str(),
                signed(link.seen.0)?,
                signed(link.counts_from.0)?,
                text,
                link.stopped.map(|at| signed(at.0)).transpose()?,
            ],
        )
    }

    pub(crate) fn stop_policy_link(&self, nonce: &[u8; 32], at: Timestamp) -> Sql<()> {
        self.run(
            "update policy_links set stopped = ?2 where nonce = ?1 and stopped is null",
            params![nonce, signed(at.0)?],
        )
    }

    pub(crate) fn spend_policy_link(&self, nonce: &[u8; 32], at: Timestamp) -> Sql<()> {
        self.run(
            "update policy_links set spent = ?2 where nonce = ?1 and spent is null",
            params![nonce, signed(at.0)?],
        )
    }

    /// No step that begins at this policy is followed any more.
    pub(crate) fn spend_policy_links_from(&self, from: &[u8; 32], at: Timestamp) -> Sql<()> {
        self.run(
            "update policy_links set spent = ?2 where source = ?1 and stopped is null and spent is null",
            params![from, signed(at.0)?],
        )
    }

    /// After a clock that was ahead: what was seen then is seen now, its delay begins anew, and nothing counts as set up.
    pub(crate) fn pull_policy_back(&self, at: Timestamp) -> Sql<()> {
        let now = signed(at.0)?;
        self.run("update policy_links set counts = ?1 + (counts - seen), seen = ?1 where seen > ?1", [now])?;
        self.run("update policy_path set since = ?1 where since > ?1", [now])?;
        self.run("update policy_path set until = ?1 where until > ?1", [now])?;
        self.run("update policy set begun = 0 where begun > ?1", [now])
    }
}

fn time(row: &Row<'_>, column: usize) -> Sql<Option<Timestamp>> {
    let at: Option<i64> = row.get(column)?;
    Ok(at.map(|at| Timestamp(at.cast_unsigned())))
}

fn followed(row: &Row<'_>) -> Sql<Followed> {
    Ok(Followed {
        hash: row.get(0)?,
        base: row.get(1)?,
        since: Timestamp(unsigned(row, 2)?),
        until: time(row, 3)?,
    })
}

fn link(row: &Row<'_>) -> Sql<PolicyLink> {
    let (kind, author, signer): (u8, Option<String>, String) = (row.get(1)?, row.get(4)?, row.get(5)?);
    let name = |text: String| -> Sql<Name> {
        text.parse().map_err(|_| unusable(format!("no operator has the name {text:?}")))
    };
    Ok(PolicyLink {
        nonce: row.get(0)?,
        kind: StepKind::from_number(kind)
            .ok_or_else(|| unusable(format!("no step has the number {kind}")))?,
        from: row.get(2)?,
        to: row.get(3)?,
        author: author.map(name).transpose()?,
        signer: name(signer)?,
        seen: Timestamp(unsigned(row, 6)?),
        counts_from: Timestamp(unsigned(row, 7)?),
        stopped: time(row, 8)?,
        spent: time(row, 9)?,
    })
}
