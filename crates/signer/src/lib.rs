//! The last word beside the wallet's keys: verifies a release, compares the transaction, spends it once.
//!
//! A signer trusts nobody's database. Its pinned file ([`pins`]) says whose word counts and how much may leave; its own
//! store remembers everything that it ever authorised. [`Signer`] puts both together; [`serve`] offers it on a Unix
//! socket and [`Client`] asks it there. Nothing here is asynchronous, and nothing but that socket is a network.

#![forbid(unsafe_code)]

pub mod acts;
pub mod approve;
pub mod audit;
pub mod cli;
pub mod client;
pub mod examine;
pub mod files;
mod json;
pub mod key;
pub mod pins;
pub mod policy;
pub mod refused;
pub mod registry;
pub mod serve;
pub mod signer;
mod spend;
pub mod store;
pub mod wire;

pub use acts::SignerAct;
pub use client::{Client, ClientError};
pub use pins::Pins;
pub use policy::{Introduced, PolicyStatus};
pub use refused::{BucketName, Refused};
pub use registry::Enrolled;
pub use signer::{Authorised, Clock, OpenError, Sighashes, Signer, Status, system_clock};
pub use store::policy::{Followed, PolicyLink, StepKind};
pub use store::registry::{Credential, CredentialCounts, CredentialStatus, Origin};
