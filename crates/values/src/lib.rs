//! What Holdfast talks about: amounts, assets, checked destinations, timestamps, ids and the texts people sign.
//!
//! Nothing here decides anything, reads a clock, draws randomness or does IO. Every type has one spelling, parses it
//! strictly and prints it back unchanged. The `minicbor` representations are part of the journal's record format.

pub mod address;
pub mod amount;
pub mod asset;
pub mod bucket;
pub mod conflict;
pub mod fingerprint;
mod hex;
pub mod id;
pub mod network;
pub mod operator;
pub mod pack;
pub mod texts;
pub mod tightening;
pub mod time;

pub use address::{AddressError, AddressKind, Destination};
pub use amount::{Amount, AmountError, UsdCents};
pub use asset::{AssetError, AssetNetwork, AssetSpec};
pub use conflict::{ConflictKey, ConflictKeyError};
pub use fingerprint::Fingerprint;
pub use id::{AccountId, AssetSymbol, CaseId, IdError, MandateId, Name, ReleaseId, TransferId, WithdrawalId};
pub use network::{Family, Network};
pub use operator::{OperatorProof, OperatorPublicKey, PasskeyAssertion};
pub use pack::pack_hash;
pub use texts::{
    ChangeText, ExternalPayment, MandateText, OperatorText, Purpose, SignedText, TextDigest, TextError,
    TransferText, WithdrawalText,
};
pub use time::{Micros, TimeError, Timestamp};
