//! Holdfast's core: may this happen now, and on whose word?
//!
//! [`decide`] says what a [`Command`] leads to, [`evolve`] takes each [`Event`] into [`State`]; both are total and pure.
//! No clock, no randomness, no IO, no floats and no map-iteration order: time and verdicts arrive in the command, so that
//! any record of the journal can be decided again, bit for bit, years later.

pub mod account;
pub mod acts;
mod approve;
pub mod bucket;
pub mod codes;
pub mod command;
pub mod configuration;
mod decide;
pub mod event;
mod evolve;
mod govern;
pub mod governance;
mod judge;
pub mod keys;
pub mod ledger;
pub mod lookup;
mod observe;
mod operate;
pub mod outcome;
pub mod price;
mod protect;
pub mod protection;
pub mod reason;
mod refuse;
mod release;
pub mod released;
pub mod sessions;
mod settle;
pub mod state;
pub mod steady;
pub mod subject;
pub mod weigh;
pub mod window;
pub mod withdrawal;

pub use acts::Act;
pub use approve::LAPSES_MAX;
pub use command::Command;
pub use configuration::{Class, Configuration};
pub use decide::{IMPORT_MAX, OPEN_MAX, OWNER_FREEZE, decide, next_deadline};
pub use event::{Decision, Event, Events, Status};
pub use evolve::{evolve, fold};
pub use operate::TEXT_SPAN_MAX;
pub use protect::{CHANGE_SPAN_MAX, Need, VETO_DEVICE_AGE};
pub use reason::{Cause, Reason, Refusal, Severity};
pub use release::BATCH_MAX;
pub use state::State;
pub use withdrawal::Withdrawal;

/// The versions of the rules that this code contains. A rule that changes its answers gets a new version, and the old one
/// stays for as long as a journal may hold it.
pub const RULES: &[u32] = &[1, 2, 3];
/// The version that a new journal begins with.
pub const RULES_LATEST: u32 = 3;
/// The version of a journal whose first record names none.
pub(crate) const RULES_FIRST: u32 = 1;
/// From this version on a text past its time goes back to its owner, who may renew it; before, its withdrawal expired.
pub(crate) const RULES_LAPSE: u32 = 2;
/// From this version on what loosens waits, and policies are proposed, approved, tightened and restored.
pub(crate) const RULES_GOVERNED: u32 = 3;
