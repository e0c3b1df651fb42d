//! The section `[policy]`: which policy this signer begins with, and how slowly it follows another. Checked here, applied in
//! [`crate::policy`].

use holdfast_authn::encoding;
use holdfast_values::{Micros, time};

use super::{PinsError, document, span, value};

/// How long an approved policy is known before it counts, unless pinned otherwise.
pub(super) const DELAY: Micros = time::DAY;
/// The longest delay.
pub(super) const DELAY_MAX: Micros = 30 * time::DAY;
/// For how long a new store follows without delay, unless pinned otherwise.
pub(super) const SETUP: Micros = time::HOUR;
/// The longest such time.
pub(super) const SETUP_MAX: Micros = 7 * time::DAY;

/// How this signer follows the policy of the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The hash of the policy that it begins with.
    pub initial: [u8; 32],
    /// How long it must have known an approval before it follows it.
    pub delay: Micros,
    /// For how long after its store first ran approvals need no delay.
    pub setup: Micros,
}

pub(super) fn check(document: &document::Policy) -> Result<Policy, PinsError> {
    let lower = !document.initial.bytes().any(|byte| byte.is_ascii_uppercase());
    let initial = encoding::hex::<32>(document.initial.as_bytes()).filter(|_| lower).ok_or_else(|| {
        value("policy.initial", "write the 64 digits that holdfast init or holdfast policy check prints")
    })?;
    let within =
        |text: &Option<String>, usual: Micros, least: Micros, most: Micros, place: &str, what: &str| {
            let Some(text) = text else { return Ok(usual) };
            let found = if text == "0s" { Some(0) } else { span(text) };
            found.filter(|found| (least..=most).contains(found)).ok_or_else(|| value(place, what))
        };
    let delay = within(
        &document.delay,
        DELAY,
        time::SECOND,
        DELAY_MAX,
        "policy.delay",
        "write 1s to 30d, such as 24h: as long as anybody may need to stop it",
    )?;
    let setup = within(&document.setup, SETUP, 0, SETUP_MAX, "policy.setup", "write 0s to 7d, such as 1h")?;
    Ok(Policy { initial, delay, setup })
}
