//! WebAuthn and U2F: what a browser and a key give, good and spoiled in every way, against the verifier, the
//! specification's vectors and verifiers in other languages.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests may fail")]

mod assertion;
mod authenticator;
mod certificate;
mod documents;
mod keys;
mod operators;
mod options;
mod peers;
mod registration;
mod vectors;
