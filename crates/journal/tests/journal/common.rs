//! What the journal's tests share: a directory that removes itself, seeded numbers and drafts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use holdfast_journal::Draft;

/// A fresh directory, removed when dropped.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("holdfast-journal-{name}-{}-{n}", std::process::id()));
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A seeded sequence of numbers (splitmix64).
pub(crate) struct Seeded(pub(crate) u64);

impl Seeded {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// A draft whose every field depends on `n`.
pub(crate) fn draft(n: u64) -> Draft {
    let mut seeded = Seeded(n);
    let (command, events) = (90 + seeded.below(60), 60 + seeded.below(90));
    Draft {
        time: 1_700_000_000_000_000 + n,
        rules: 1 + (n / 100) as u32,
        policy: [n.to_le_bytes()[0]; 32],
        command: seeded.bytes(command as usize),
        events: seeded.bytes(events as usize),
    }
}

/// `count` drafts from `first` on.
pub(crate) fn drafts(first: u64, count: u64) -> Vec<Draft> {
    (first..first + count).map(draft).collect()
}
