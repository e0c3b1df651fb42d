//! The dialects of signed API requests: what ccxt sends verifies and says what was asked; what was changed does not.
//!
//! The samples are requests that the real ccxt made with throwaway keys and a clock that stood still
//! (`tests/ccxt/withdraw.mjs`).

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail")]

mod bybit;
mod coinbase;
mod every;
mod http_signature;
mod kraken;
mod kucoin;
mod okx;
mod refusals;
mod sample;
