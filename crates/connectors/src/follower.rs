//! What both followers have in common for the loop that drives them, and what is kept of them in a file.

use std::collections::BTreeMap;

use holdfast_values::ConflictKey;
use serde::{Deserialize, Serialize};

use crate::doubt::Doubt;
use crate::ledger::{Ledger, Observation};
use crate::rpc::{Answer, Call};
use crate::trail::Trail;
use crate::{bitcoin, evm};

/// How far a follower came: all that it needs to go on after a restart.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Followed {
    pub(crate) trail: Trail,
    pub(crate) transactions: Ledger,
    /// Bitcoin: what pays to the wallet, with the height of its block.
    #[serde(default, with = "coins", skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) coins: BTreeMap<ConflictKey, Option<u64>>,
    /// Bitcoin: how many of each descriptor's scripts were used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) used: Vec<u32>,
    /// EVM: the nonce that is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nonce: Option<u64>,
}

impl Followed {
    /// How many of each descriptor's scripts were used.
    pub fn used(&self) -> &[u32] {
        &self.used
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.trail.is_sound()
    }
}

/// A follower of either kind. The loop is the same: [`Self::begin`]; then, while [`Self::calls`] has any, ask them and give
/// the [`Self::answers`]; then [`Self::report`].
#[derive(Debug)]
pub enum Follower {
    /// Of a Bitcoin wallet.
    Bitcoin(Box<bitcoin::Follower>),
    /// Of an EVM account.
    Evm(Box<evm::Follower>),
}

macro_rules! each {
    ($self:ident, $follower:ident => $body:expr) => {
        match $self {
            Follower::Bitcoin($follower) => $body,
            Follower::Evm($follower) => $body,
        }
    };
}

impl Follower {
    /// Starts a poll.
    pub fn begin(&mut self) {
        each!(self, follower => follower.begin());
    }

    /// What to ask the node now, in one batch; nothing when the poll is over.
    pub fn calls(&self) -> Vec<Call> {
        each!(self, follower => follower.calls())
    }

    /// Takes the answers to [`Self::calls`].
    pub fn answers(&mut self, answers: Vec<Answer>) -> Result<(), Doubt> {
        each!(self, follower => follower.answers(answers))
    }

    /// Ends a poll whose question got no answer.
    pub fn abandon(&mut self) {
        each!(self, follower => follower.abandon());
    }

    /// True if the next poll should follow at once.
    pub fn has_more(&self) -> bool {
        each!(self, follower => follower.has_more())
    }

    /// The height up to which blocks were taken.
    pub fn height(&self) -> Option<u64> {
        each!(self, follower => follower.height())
    }

    /// What Holdfast does not know yet. It counts as told from here on: keep it until it is delivered.
    pub fn report(&mut self) -> Vec<Observation> {
        each!(self, follower => follower.report())
    }

    /// Everything to go on from, if it changed since it was last asked for.
    pub fn changed(&mut self) -> Option<Followed> {
        each!(self, follower => follower.changed())
    }
}

mod coins {
    //! Coins as `TXID:VOUT` and height.
    use std::collections::BTreeMap;

    use holdfast_values::ConflictKey;
    use serde::{Deserialize, Deserializer, Serializer, de};

    type Coins = BTreeMap<ConflictKey, Option<u64>>;

    pub(super) fn serialize<S: Serializer>(coins: &Coins, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(coins.iter().map(|(key, height)| (key.to_string(), height)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Coins, D::Error> {
        let texts = BTreeMap::<String, Option<u64>>::deserialize(deserializer)?;
        texts.iter().map(|(key, height)| Ok((key.parse().map_err(de::Error::custom)?, *height))).collect()
    }
}
