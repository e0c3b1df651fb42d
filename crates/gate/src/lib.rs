//! The gate: every request to an exchange's API, checked before it reaches the exchange.
//!
//! A proxy shows each request and gets a [`Verdict`]. Lives here: routes, canonical paths, headers, the table of keys,
//! signatures over the exact bytes (by `holdfast-authn`), addresses, time, replay, budgets, and counts of what was
//! seen. May not: a clock (time is an argument), IO, a runtime, a journal. The gate holds read state only; what it has
//! seen flows to the core as a [`Summary`]. `docs/gate.md` is for those who run it.

mod answer;
mod budget;
mod code;
mod gate;
mod headers;
mod keys;
mod net;
mod path;
mod replay;
mod route;
mod summary;

pub use answer::{
    ACCOUNT_HEADER, Allowed, Denied, KEY_HEADER, REVISION_HEADER, SCOPE_HEADER, Signer, Verdict,
};
pub use code::Code;
pub use gate::{CheckRequest, Gate, Stats};
pub use keys::{ALLOW_MAX, KeyEntry, PutError};
pub use net::{IpNet, NetError};
pub use route::{
    DOCUMENT_BYTES_MAX, Limits, Place, ROUTES_MAX, Route, RouteError, Routes, Scope, Unknown, WEIGHT_MAX,
};
pub use summary::{Anomalies, KeyUse, Summary};
