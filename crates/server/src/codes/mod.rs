//! One-time codes: what an authenticator app shows (`totp`), the picture that it is enrolled with (`qr`), and the codes
//! that a customer keeps on paper (`recovery`). What each is worth is described in `docs/one-time-codes.md`.
//!
//! No clock and no storage here: the time is given, secrets come from and go to the vault, and which steps and codes have
//! been used is remembered in the ordered state. A code proves nothing about *what* it approves.

pub mod qr;
pub mod recovery;
pub mod totp;

pub use qr::qr_svg;
pub use recovery::{CODES, NewCodes, RecoveryError, StoredCodes};
pub use totp::{Algorithm, TotpKey, TotpSettings};
