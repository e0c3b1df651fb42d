//! Those who are after the money: eight kinds of attacker and eight incidents that happened, each a module of its own. An
//! [`Attacker`] sees and does what its [`Reach`] lets it, within a budget, and nothing else: no State, no reasons, no other
//! customer's page. `docs/drills/` has a page for each.

mod agenda;
mod burst;
mod cast;
mod casting;
mod catalogue;
pub mod coins;
mod data;
mod hands;
mod incidents;
mod insider;
mod just_under;
mod key_leak;
mod mimicry;
mod mules;
mod patient;
mod raid;
mod reach;
mod relay;
mod stuffing;
mod taker;
mod vault;

#[cfg(test)]
mod tests;

pub use casting::{Casting, Stage};
pub use catalogue::{Attack, Incident, Inside, Kind, Shared, all, named};
pub use hands::Spent;
pub use reach::{Attacker, Budget, Cross, Insider, Loot, Reach, Sent, StolenKey};
pub use vault::VaultError;

use crate::population::Population;

/// Casts an attack over a run's customers: victims, what they hold, what was stolen from them, and who is after it. The
/// population may be at any day; `seed` is the run's.
pub fn cast(attack: &'static Attack, population: &Population, seed: u64) -> Casting {
    cast::cast(attack, population, seed)
}
