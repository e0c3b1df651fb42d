//! The signer against everything that it must withstand. One program, so that it links once.

mod buckets;
mod evm;
mod exchange;
mod house;
mod payments;
mod process;
mod releases;
mod root;
mod store;
