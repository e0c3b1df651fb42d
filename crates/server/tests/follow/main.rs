//! What follows the journal, tested on real directories: records as JSON, views, webhooks, replay, why.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure is a failed test"
)]

mod backtest;
mod commands;
mod decide;
mod fixture;
mod governance;
mod history;
mod payments;
mod protection;
mod record;
mod releases;
mod replay;
mod speed;
mod views;
mod webhooks;
mod why;
#[path = "../../../decision/tests/support/mod.rs"]
mod world;
