//! An exchange that does not exist, its customers, its attackers, and the scores: what Holdfast's decisions are measured by.
//!
//! Everything here is seeded and deterministic: the same seed gives the same bytes, on any number of threads. Floats are
//! used to draw what people do, never to decide; what decides is `holdfast-decision`, as it is.
//!
//! The way through: a [`population`] makes a stream of [`format::Entry`]s; [`play`] puts them, in order of time, to
//! Holdfast's core and plays the rest of the exchange (wallet, signer's buckets, customers who answer, an analyst);
//! [`attackers`] act in between, seeing what they would see; what happened is a [`log`] of lines, which [`score`] compares
//! with the [`truth`], and [`report`] shows.

#![expect(
    clippy::float_arithmetic,
    reason = "what people do is drawn from distributions; nothing is decided with a float"
)]

pub mod attackers;
pub mod decide;
pub mod draw;
pub mod drill;
pub mod exchange;
pub mod format;
pub mod log;
pub mod play;
pub mod population;
pub mod report;
pub mod score;
pub mod truth;
