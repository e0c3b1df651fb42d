//! Transactions that spend from the wallet: where each stands, and what Holdfast has been told of it.

use std::collections::BTreeMap;

use holdfast_values::ConflictKey;
use serde::{Deserialize, Serialize};

use crate::hash::Hash;
use crate::trail::{Block, TRAIL_BLOCKS};

/// Most transactions that are followed at once: those not final, and those of the last blocks.
pub(crate) const TRANSACTIONS_MAX: usize = 50_000;
/// Most conflict keys, and most outputs, that are reported of one transaction. Holdfast decodes none that is larger, so none
/// that is larger can be one of its own.
pub(crate) const PARTS_MAX: usize = 1_000;

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// In the node's memory pool.
    Pending,
    /// In a block.
    Included,
    /// In a block, and without effect but for its fee.
    Failed,
    /// In no block of the node's chain, and not in its memory pool.
    Vanished,
}

impl Status {
    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Included => "included",
            Self::Failed => "failed",
            Self::Vanished => "vanished",
        }
    }
}

/// What one output pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedOutput {
    /// Whom, in the canonical spelling; `None` for what is no payment to an address.
    pub address: Option<String>,
    /// The token's contract; `None` for the network's own coin.
    pub contract: Option<String>,
    /// How much, in the network's base units.
    #[serde(with = "as_text")]
    pub amount: u128,
}

impl ObservedOutput {
    /// Marks what is no payment: a transaction with such an output is like none that Holdfast released.
    pub(crate) const NO_PAYMENT: Self = Self { address: None, contract: None, amount: 0 };
}

/// One thing seen: a transaction that spends from the wallet, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Its id.
    pub transaction: Hash,
    /// What it spends, sorted: all of it, not only what is the wallet's.
    #[serde(with = "as_texts")]
    pub spends: Vec<ConflictKey>,
    /// What it pays, in order.
    pub outputs: Vec<ObservedOutput>,
    /// Where it stands.
    pub status: Status,
    /// Blocks on top of and including its own; 0 outside a block.
    pub confirmations: u64,
    /// Its block's height.
    pub height: Option<u64>,
    /// Its block's hash.
    pub block: Option<Hash>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// Its block is gone and nothing else is known yet: said to nobody.
    Unknown,
    Pending,
    Included {
        block: Block,
        failed: bool,
    },
    Gone,
}

/// What Holdfast was told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    place: Place,
    confirmations: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tracked {
    #[serde(with = "as_texts")]
    spends: Vec<ConflictKey>,
    outputs: Vec<ObservedOutput>,
    place: Place,
    told: Option<Told>,
}

impl Tracked {
    /// Keeps at most [`PARTS_MAX`] of each; what is cut off leaves a mark, so that the rest is taken for nothing whole.
    pub(crate) fn new(mut spends: Vec<ConflictKey>, mut outputs: Vec<ObservedOutput>, place: Place) -> Self {
        if spends.len() > PARTS_MAX || outputs.len() > PARTS_MAX {
            spends.truncate(PARTS_MAX);
            outputs.truncate(PARTS_MAX - 1);
            outputs.push(ObservedOutput::NO_PAYMENT);
        }
        spends.sort_unstable();
        Self { spends, outputs, place, told: None }
    }
}

/// Everything followed, by transaction id.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Ledger(BTreeMap<Hash, Tracked>);

impl Ledger {
    pub(crate) fn contains(&self, id: Hash) -> bool {
        self.0.contains_key(&id)
    }

    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= TRANSACTIONS_MAX
    }

    /// A transaction that is new, or where a known one stands now.
    pub(crate) fn place(&mut self, id: Hash, tracked: Tracked) {
        match self.0.get_mut(&id) {
            Some(known) => known.place = tracked.place,
            None => {
                self.0.insert(id, tracked);
            }
        }
    }

    /// Where a known transaction stands now; true if that is new.
    pub(crate) fn stands(&mut self, id: Hash, place: Place) -> bool {
        let Some(tracked) = self.0.get_mut(&id) else { return false };
        core::mem::replace(&mut tracked.place, place) != place
    }

    /// Those in no block, as far as is known.
    pub(crate) fn loose(&self) -> Vec<Hash> {
        let loose = self.0.iter().filter(|(_, t)| matches!(t.place, Place::Unknown | Place::Pending));
        loose.map(|(id, _)| *id).collect()
    }

    /// Blocks above `height` are no more.
    pub(crate) fn cut(&mut self, height: Option<u64>) {
        for tracked in self.0.values_mut() {
            if let Place::Included { block, .. } = tracked.place
                && height.is_none_or(|height| block.height > height)
            {
                tracked.place = Place::Unknown;
            }
        }
    }

    /// What Holdfast does not know yet, as of `tip`; it counts as told from here on. First what is gone, then what is in
    /// blocks, lowest first, then what is pending.
    pub(crate) fn report(&mut self, tip: u64, confirmations_final: u64) -> Vec<Observation> {
        let mut news = Vec::new();
        for (id, tracked) in &mut self.0 {
            let (status, confirmations, block) = match tracked.place {
                Place::Unknown => continue,
                Place::Pending => (Status::Pending, 0, None),
                Place::Gone => (Status::Vanished, 0, None),
                Place::Included { block, failed } => {
                    let status = if failed { Status::Failed } else { Status::Included };
                    (status, tip.saturating_sub(block.height).saturating_add(1), Some(block))
                }
            };
            let now = Told { place: tracked.place, confirmations: confirmations.min(confirmations_final) };
            let known = tracked.told.replace(now);
            if known == Some(now) || (known.is_none() && status == Status::Vanished) {
                continue;
            }
            news.push(Observation {
                transaction: *id,
                spends: tracked.spends.clone(),
                outputs: tracked.outputs.clone(),
                status,
                confirmations,
                height: block.map(|block| block.height),
                block: block.map(|block| block.hash),
            });
        }
        news.sort_by_key(|seen| match (seen.status, seen.height) {
            (Status::Vanished, _) => (0, 0),
            (_, Some(height)) => (1, height),
            (_, None) => (2, 0),
        });
        news
    }

    /// Forgets what no reorganisation that is followed can change any more, and what is gone and was told; returns what the
    /// former spent.
    pub(crate) fn forget(&mut self, tip: u64) -> Vec<ConflictKey> {
        let mut spent = Vec::new();
        self.0.retain(|_, tracked| match tracked.place {
            Place::Included { block, .. } if tip.saturating_sub(block.height) >= TRAIL_BLOCKS as u64 => {
                spent.append(&mut tracked.spends);
                false
            }
            Place::Gone => false,
            _ => true,
        });
        spent
    }
}

pub(crate) mod as_text {
    //! A number as decimal text: JSON readers disagree about large ones.
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(amount: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(amount)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

mod as_texts {
    //! Conflict keys in their one spelling.
    use holdfast_values::ConflictKey;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(keys: &[ConflictKey], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(keys.iter().map(ToString::to_string))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<ConflictKey>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts.iter().map(|text| text.parse().map_err(de::Error::custom)).collect()
    }
}
