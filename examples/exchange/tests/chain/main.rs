//! `harbor-chain` as a process, over HTTP: it takes what is signed right, refuses the rest, and forgets when told to.

mod evm;
mod stand;
mod utxo;
