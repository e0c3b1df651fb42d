//! Releases, receipts and statements of spends: envelope, payloads, the document that describes them, and the
//! verifier in another language.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests may fail")]

mod acts;
mod document;
mod envelope;
mod independent;
mod payloads;
mod samples;
