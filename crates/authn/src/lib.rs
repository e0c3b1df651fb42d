//! Whose word a message is: customers' signed API requests, operators' signatures, and the releases, receipts and
//! statements that Holdfast and the signer give each other, from raw bytes to verdicts.
//!
//! This crate proves bytes and nothing else. It reads no clock, draws no randomness and does no IO; whether a
//! timestamp is fresh, a key revoked, an address of origin permitted or a digest already seen is judged by the core,
//! in order, with its own State. The arithmetic is `ring`'s; the parsers are here, strict and small.

pub mod dialect;
pub mod encoding;
pub mod key;
pub mod operator;
pub mod release;
pub mod request;
pub mod webauthn;

pub use dialect::{
    Dialect, GateRefusal, SignedRequest, VERIFIER_VERSION, Verified, parse, verify, verify_signature,
};
pub use key::{HmacSecret, KeyError, KeyKind, KeyMaterial, RsaPublicKey};
pub use operator::{
    OperatorError, Operators, parse_operator_key, parse_operator_proof, parse_operator_public_key,
    print_operator_key, print_operator_public_key, verify_operator,
};
pub use request::{RawRequest, RequestError};
