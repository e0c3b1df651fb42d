//! Harbor's wallet: two processes that hold Harbor's coins between them.
//!
//! `harbor-wallet keys` (`serve`) alone holds the hot keys (`secret`). It signs (`sign`) nothing but what the signer gives back for a
//! release, and knows neither Holdfast nor a chain. `harbor-wallet run` holds no key: it asks Holdfast what is approved
//! (`holdfast`), builds transactions (`coins` for Bitcoin, `gas` for EVM networks), has them released, hands them to the
//! keys (`frame` is what the two say to each other), and sends them to the chain (`node`). What it has under way is in a file
//! (`book`), so that however it ends it goes on with the same transactions. `flow` opens new ones, `step` moves each a
//! step further. `order` is what operators ask of it. `enrol` carries word of customers' keys to the signer.

pub(crate) mod book;
pub(crate) mod coins;
pub(crate) mod config;
pub(crate) mod enrol;
pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod gas;
pub(crate) mod holdfast;
pub(crate) mod node;
pub(crate) mod order;
pub(crate) mod secret;
pub(crate) mod serve;
pub(crate) mod sign;
pub(crate) mod step;

/// Lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use bitcoin::hex::DisplayHex as _;
    bytes.to_lower_hex_string()
}

/// The bytes of such a text.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    bitcoin::hex::FromHex::from_hex(text.strip_prefix("0x").unwrap_or(text)).ok()
}
