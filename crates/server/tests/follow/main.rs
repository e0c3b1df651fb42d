//! What follows the journal, tested on real directories: records as JSON, views, webhooks, replay, why.

mod fixture;
mod record;
mod replay;
mod views;
mod webhooks;
mod why;
#[path = "../../../decision/tests/support/mod.rs"]
mod world;
