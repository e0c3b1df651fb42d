//! The player of the demonstration: ordinary customers and attackers, who reach Harbor over HTTP as anybody does, and
//! the staff who watch Holdfast. It decides nothing and knows no more than they would; what came of it is read from
//! Holdfast's own lists, and what really moved from the chain's. `cargo xtask demo` starts the servers and calls this.
//!
//! - `draw`, `coin`, `incident`, `plan`: who there is and what they will ask for, from a seed.
//! - `client`: over HTTP. `open`: everybody gets in. `prices`: the market.
//! - `play`: the ordinary day. `attack`: the two attacks and the analyst.
//! - `paid`: the coins that the wallets begin with, and where they went.
//! - `measure`, `report`: what Holdfast says came of it, as a table and as conditions.

pub(crate) mod attack;
pub(crate) mod client;
pub(crate) mod coin;
pub(crate) mod draw;
pub(crate) mod incident;
pub(crate) mod measure;
pub(crate) mod open;
pub(crate) mod paid;
pub(crate) mod plan;
pub(crate) mod play;
pub(crate) mod prices;
pub(crate) mod progress;
pub(crate) mod report;

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}
