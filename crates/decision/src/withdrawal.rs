//! A withdrawal while it is open. Closed ones leave State; the views remember them.

use holdfast_values::{MandateId, Timestamp, UsdCents};
use minicbor::{Decode, Encode};

use crate::acts::Digest;
use crate::configuration::Class;
use crate::event::{Approval, Decision, Factors, Lane, Status, WithdrawalRequested};
use crate::protection::BoundApproval;

/// One open withdrawal.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Withdrawal {
    /// What was asked for.
    #[n(0)]
    pub request: WithdrawalRequested,
    /// When.
    #[n(1)]
    pub requested_at: Timestamp,
    /// In which record.
    #[n(2)]
    pub sequence: u64,
    /// What was decided last.
    #[n(3)]
    pub decision: Decision,
    /// Factors that its owner has shown for this very text.
    #[n(4)]
    pub discharged: Factors,
    /// How many operators approved it.
    #[n(5)]
    pub operators: u8,
    /// The class of buckets that hold its value, if any do.
    #[n(6)]
    pub reserved: Option<Class>,
    /// Where it waits for its bucket.
    #[n(7)]
    pub queued: Option<Turn>,
    /// When it is looked at again.
    #[n(8)]
    pub next_check: Timestamp,
    /// What operators signed about this very text.
    #[n(9)]
    pub approval: Option<Box<Approval>>,
    /// The transactions that may pay it.
    #[n(10)]
    pub released: Option<Box<Releases>>,
    /// Its owner's approval of this very text.
    #[n(11)]
    pub bound: Option<Box<BoundApproval>>,
    /// The mandate that it was asked for under.
    #[n(12)]
    pub mandate: Option<MandateId>,
    /// How often its text's time has passed; nothing for never.
    #[n(13)]
    pub lapse: Option<Lapse>,
}

/// A text whose time has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Lapse {
    /// How often.
    #[n(0)]
    pub count: u8,
    /// It has no text now: until it is renewed it can only expire.
    #[n(1)]
    pub is_waiting: bool,
}

/// What was released to pay a withdrawal. Any two of its live transactions conflict: a chain takes at most one.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Releases {
    /// Since when.
    #[n(0)]
    pub since: Timestamp,
    /// From which buckets it was paid: they get it back if it is never paid. `None`: a signer paid it before this journal
    /// had reserved anything, so that there is nothing to get back.
    #[n(1)]
    pub class: Option<Class>,
    /// The transactions, oldest first.
    #[n(2)]
    pub transactions: Vec<Digest>,
}

/// A place in a waiting line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Turn {
    /// Which line.
    #[n(0)]
    pub lane: Lane,
    /// How many of the same account waited before it.
    #[n(1)]
    pub turn: u32,
    /// Since when.
    #[n(2)]
    pub since: Timestamp,
    /// In which record it began to wait: the order among equal turns.
    #[n(3)]
    pub order: u64,
}

impl Withdrawal {
    /// Where it stands.
    pub const fn status(&self) -> Status {
        self.decision.status
    }

    /// True while it has no text that is good: until its owner renews it, it can only expire.
    pub fn is_lapsed(&self) -> bool {
        self.lapse.is_some_and(|lapse| lapse.is_waiting)
    }

    /// The value that its windows and buckets count.
    pub const fn usd_cents(&self) -> UsdCents {
        self.request.usd_cents
    }
}
