//! Holdfast's server: everything that is asynchronous, reads clocks and files, and talks to people and programs.
//!
//! Rooms: `intake` (the one writer), `http`, `views` (lists), `vault` (secrets), `outbox` (webhooks), `record` (records
//! for people), `recovery` (backups and what follows them), `cli` (the binary's commands), and the configurations. No rule about a withdrawal lives here.

pub mod backtest;
pub mod challenges;
pub mod cli;
pub mod clock;
pub mod codes;
pub mod config;
pub mod data;
pub mod exchange;
pub mod fingerprint;
pub mod gate;
pub mod geo;
pub mod grpc;
pub mod history;
pub mod http;
pub mod intake;
pub mod metrics;
pub mod outbox;
pub mod played;
pub mod problem;
pub mod record;
pub mod recovery;
pub mod replay;
pub mod shadow;
pub mod vault;
pub mod views;
pub mod why;
