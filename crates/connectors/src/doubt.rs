//! Why a follower does not go on: what the node said makes no sense, or not yet. Nothing is reported of what it doubts.

use crate::rpc::NodeRefusal;
use crate::trail::TRAIL_BLOCKS;

/// Why a follower waits instead of reporting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// An answer that is not what was asked for.
    #[error(
        "the node's answer to {method} cannot be believed: {what}; check that it is a sound node of this network"
    )]
    Answer {
        /// What was asked.
        method: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// The node refused to answer.
    #[error("the node refused {method}: {refusal}")]
    Refused {
        /// What was asked.
        method: &'static str,
        /// Its words.
        refusal: NodeRefusal,
    },
    /// The node is on another chain.
    #[error(
        "the node is on chain {node}, this watcher is configured for {wanted}: correct node.url or network"
    )]
    WrongNetwork {
        /// What the node says.
        node: String,
        /// What the configuration wants.
        wanted: String,
    },
    /// The node still downloads the chain, or loads its memory pool.
    #[error("the node is still catching up: waiting for it")]
    Syncing,
    /// The node's chain is shorter than what was seen before.
    #[error("the node is at height {node}, and {own} was seen before: waiting for it to catch up")]
    Behind {
        /// The node's height.
        node: u64,
        /// The watcher's.
        own: u64,
    },
    /// The first block to look at does not exist yet.
    #[error(
        "the node is at height {node}, below start_height {start}: waiting; if this lasts, correct start_height"
    )]
    BeforeStart {
        /// The node's height.
        node: u64,
        /// The configured start.
        start: u64,
    },
    /// The chain changed between two questions.
    #[error("the node's chain changed while it was read: reading again")]
    Moved,
    /// No common block is left.
    #[error(
        "the node's chain left the watched one more than {TRAIL_BLOCKS} blocks ago: find out which chain is right; to accept \
         the node's, move the state file away and set start_height below the fork"
    )]
    TooDeep,
    /// More to watch than the watcher holds.
    #[error("more than {max} {what} to watch: split the wallet")]
    Full {
        /// Of what.
        what: &'static str,
        /// How many are held.
        max: usize,
    },
}

impl Doubt {
    /// The stable code of this doubt.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Answer { .. } => "node_answer_invalid",
            Self::Refused { .. } => "node_refused",
            Self::WrongNetwork { .. } => "node_wrong_network",
            Self::Syncing => "node_syncing",
            Self::Behind { .. } => "node_behind",
            Self::BeforeStart { .. } => "start_height_ahead",
            Self::Moved => "node_chain_moved",
            Self::TooDeep => "reorganisation_too_deep",
            Self::Full { .. } => "watch_limit",
        }
    }
}
