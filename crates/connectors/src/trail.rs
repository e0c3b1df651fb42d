//! The last blocks that a follower took: enough of the way back to find where another chain forked off.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::hash::Hash;

/// How many blocks are remembered, and so how deep a reorganisation is followed.
pub const TRAIL_BLOCKS: usize = 200;

/// A block by height and hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    pub(crate) height: u64,
    pub(crate) hash: Hash,
}

/// The last blocks, oldest first, each the parent of the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Trail(VecDeque<Block>);

impl Trail {
    pub(crate) fn tip(&self) -> Option<Block> {
        self.0.back().copied()
    }

    pub(crate) fn first(&self) -> Option<Block> {
        self.0.front().copied()
    }

    pub(crate) fn push(&mut self, block: Block) {
        if self.0.len() >= TRAIL_BLOCKS {
            self.0.pop_front();
        }
        self.0.push_back(block);
    }

    /// Newest first.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = Block> + '_ {
        self.0.iter().rev().copied()
    }

    /// Forgets every block above `height`.
    pub(crate) fn cut(&mut self, height: Option<u64>) {
        while self.0.back().is_some_and(|block| height.is_none_or(|height| block.height > height)) {
            self.0.pop_back();
        }
    }

    /// True if the heights follow each other, as they do unless somebody edited the file that they were read from.
    pub(crate) fn is_sound(&self) -> bool {
        self.0.len() <= TRAIL_BLOCKS
            && self
                .0
                .iter()
                .zip(self.0.iter().skip(1))
                .all(|(a, b)| a.height.checked_add(1) == Some(b.height))
    }
}
