//! The policy, governed, through the real processes: Holdfast, the signer with its own files, the wallet in its two and the
//! chain. What operators signed and let ripen is paid; what a journal, a server or one insider says alone is not.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failure is a failed test")]

mod attacks;
mod follows;
mod forge;
mod stand;
