//! What Holdfast and the signer beside the wallet's keys tell each other, each word signed: a *release* (Holdfast: this
//! transaction may be signed), a *receipt* (signer: I authorised, or voided, this) and a *statement* of all spends.
//!
//! [`envelope`] proves who said it, [`payload`], [`receipt`] and [`spends`] what was said, [`acts`] which operators stand
//! behind a text inside. Bytes in, values out: whether a release is fresh, in order or already spent is the signer's
//! to judge, and what a text inside asks for is parsed by `holdfast_values::texts`. `docs/release-format.md` describes
//! every byte.

pub mod acts;
pub mod envelope;
pub mod payload;
pub mod receipt;
pub mod spends;
pub mod wire;

pub use acts::{OperatorSignature, SignedAct, SignedTransfer, verify_act};
pub use envelope::{EnvelopeError, Kind, SigningKey, key_id, open, seal, seal_with};
pub use payload::{Payment, Release};
pub use receipt::{Outcome, Receipt};
pub use spends::{Spend, Spends, SpentTransaction, SpentTransfer};
pub use wire::{Fault, PayloadError};
