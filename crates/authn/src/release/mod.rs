//! What Holdfast and the signer beside the wallet's keys tell each other, each word signed: a *release* (Holdfast: this
//! transaction may be signed), a *receipt* (signer: I authorised, or voided, this), a *statement* of all spends,
//! *enrolments* and *removals* of customers' credentials (Holdfast), and *steps* of the policy (Holdfast).
//!
//! [`envelope`] proves who said it, [`payload`], [`receipt`], [`spends`], [`enrolment`] and [`policy`] what was said,
//! [`acts`] which operators, [`evidence`] which customer stands behind a text inside. Bytes in, values out: whether a
//! release is fresh, in order or already spent is the signer's to judge, and what a text inside asks for is parsed by `holdfast_values::texts`. `docs/release-format.md` describes
//! every byte.

pub mod acts;
pub mod enrolment;
pub mod envelope;
pub mod evidence;
pub mod payload;
pub mod policy;
pub mod receipt;
pub mod spends;
pub mod wire;

pub use acts::{OperatorSignature, SignedAct, SignedTransfer, verify_act};
pub use enrolment::{Basis, Enrolment, Removal};
pub use envelope::{EnvelopeError, Kind, SigningKey, key_id, open, seal, seal_with};
pub use evidence::{BoundAssertion, MandateUse, SignedHttpRequest};
pub use payload::{Payment, Release};
pub use policy::PolicyStep;
pub use receipt::{Outcome, Receipt};
pub use spends::{Spend, Spends, SpentTransaction, SpentTransfer};
pub use wire::{Fault, PayloadError};
