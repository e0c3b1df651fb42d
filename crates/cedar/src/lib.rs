//! From Cedar text to a checked and compiled policy program, and the proof by comparison that both mean the same.
//!
//! Heavy (Cedar is 130 crates) and therefore used by the server's activation path and the tools only: deciding needs
//! `holdfast-policy` alone. Nothing here decides about a withdrawal; IO is on the directories of packs alone.

pub mod cases;
pub mod compare;
mod compile;
pub mod docs;
pub mod fmt;
pub mod judge;
pub mod known;
mod lint;
mod load;
pub mod new;
pub mod pack;
pub mod problem;
pub mod prove;
pub mod reasons;
pub mod report;
mod scan;
pub mod schema;
pub mod second;
mod suggest;
mod tighter;

pub use load::{INVARIANTS_FILE, load_dir, read_dir};
pub use pack::{COMPILER, COMPILER_FAILED, CompiledPack, compile_pack};
pub use problem::{PackError, Problem};
