//! A Bitcoin chain in memory: `ledger` holds blocks, unspent outputs and the mempool, and checks what it is given;
//! `rpc` answers as Bitcoin Core does. Nothing here mines for work or talks to a network.

pub(crate) mod ledger;
pub(crate) mod rpc;
