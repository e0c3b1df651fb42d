//! The opaque cursors of the lists: where the next page begins, bound to the list and the filter that gave them.
//!
//! A cursor is no secret and grants nothing; its check value only keeps a cursor of one list, or of another filter,
//! from being read as one of this.

use super::ViewsError;
use crate::record::{hex, unhex};

/// Raised when the meaning of a cursor's key changes.
const VERSION: u8 = 1;

/// Where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    key: i64,
}

/// Version, key and check value.
const BYTES: usize = 1 + 8 + 8;

impl Cursor {
    pub(super) const fn at(key: i64) -> Self {
        Self { key }
    }

    pub(super) const fn key(self) -> i64 {
        self.key
    }

    /// The text that a client sends back. `list` names the list and its filter.
    pub(super) fn print(self, list: &str) -> String {
        let mut bytes = Vec::with_capacity(BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.key.to_be_bytes());
        bytes.extend_from_slice(&check(&bytes, list));
        hex(&bytes)
    }

    /// Reads what [`Cursor::print`] gave for the same list and filter.
    pub(super) fn parse(text: &str, list: &str) -> Result<Self, ViewsError> {
        let bytes: [u8; BYTES] = unhex(text).ok_or(ViewsError::Cursor)?;
        let (head, found) = bytes.split_at(1 + 8);
        let (Some(&version), Some(key)) = (head.first(), head.get(1..).and_then(|key| key.try_into().ok()))
        else {
            return Err(ViewsError::Cursor);
        };
        if version != VERSION || found != check(head, list) {
            return Err(ViewsError::Cursor);
        }
        Ok(Self { key: i64::from_be_bytes(key) })
    }
}

fn check(head: &[u8], list: &str) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"holdfast-cursor/v1\n").update(head).update(list.as_bytes());
    let mut check = [0; 8];
    hasher.finalize_xof().fill(&mut check);
    check
}
