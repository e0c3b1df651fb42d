//! Watchers of chains: each looks at one node on behalf of one wallet, and what it sees re-enters Holdfast as observations.
//!
//! [`bitcoin::Follower`] and [`evm::Follower`] do no IO: they say what to ask the node, take its answers, and give
//! [`Observation`]s. [`Watcher`] is the small loop around them: it asks, keeps its place in a file, and delivers. What a
//! watcher cannot make sense of it does not report: it says so in the log and waits. `docs/connectors.md` has the
//! guarantees.

pub mod bitcoin;
mod config;
mod deliver;
mod doubt;
pub mod evm;
mod follower;
mod hash;
mod http;
mod ledger;
mod place;
mod rpc;
mod trail;
mod watcher;

pub use config::{ConfigError, WatchConfig};
pub use deliver::DeliveryError;
pub use doubt::Doubt;
pub use follower::{Followed, Follower};
pub use hash::Hash;
pub use ledger::{Observation, ObservedOutput, Status};
pub use place::PlaceError;
pub use rpc::{Answer, Call, NodeRefusal, RpcError};
pub use trail::TRAIL_BLOCKS;
pub use watcher::{Polled, WatchError, Watcher};
