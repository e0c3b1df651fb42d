//! What every decoder promises: all of it or a refusal by name, and never a panic.

mod bitcoin;
mod block;
mod evm;
mod psbt;
mod random;
mod support;
mod vectors;
mod wallets;
