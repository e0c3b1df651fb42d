//! The section `[approval]`: on whose pages customers' keys approve, and how far they are trusted. Checked here, applied
//! in [`crate::registry`] and [`crate::approve`].

use holdfast_authn::webauthn::RelyingParty;
use holdfast_values::{Micros, time};

use super::{PinsError, document, span, value};

/// The shortest ageing, which is also the usual one: what is sudden must be seen before it counts.
pub const AGEING_MIN: Micros = 72 * time::HOUR;
/// The longest.
pub const AGEING_MAX: Micros = 90 * time::DAY;
/// Most first credentials a day that may be pinned.
const ENROLMENTS_MAX: u32 = 1_000_000;
/// Most origins.
const ORIGINS_MAX: usize = 8;
/// Longest domain, and longest AppID.
const NAME_BYTES_MAX: usize = 253;

/// How customers' keys approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Keys that were registered with WebAuthn.
    party: RelyingParty,
    /// Keys that were registered under U2F.
    legacy_party: RelyingParty,
    /// How long the signer must have known a first credential before it counts.
    pub ageing: Micros,
    /// Most first credentials that are taken in 24 hours.
    pub enrolments_per_day: u32,
    /// Whether a key must know its owner (PIN, finger), and not only that somebody touched it.
    pub user_verification: bool,
}

impl Approval {
    /// For whom a key signs.
    pub const fn party(&self, legacy_u2f: bool) -> &RelyingParty {
        if legacy_u2f { &self.legacy_party } else { &self.party }
    }
}

pub(super) fn check(document: &document::Approval) -> Result<Approval, PinsError> {
    let party = party("approval", &document.rp_id, &document.origins)?;
    if let Some(app_id) = &document.app_id
        && !(app_id.starts_with("https://") && app_id.len() <= NAME_BYTES_MAX && is_plain(app_id))
    {
        return Err(value("approval.app_id", "write the https:// URL under which U2F keys were registered"));
    }
    let ageing = match &document.ageing {
        None => AGEING_MIN,
        Some(text) => span(text)
            .filter(|ageing| (AGEING_MIN..=AGEING_MAX).contains(ageing))
            .ok_or_else(|| value("approval.ageing", "write 72h to 90d, such as 72h or 7d"))?,
    };
    if document.enrolments_per_day > ENROLMENTS_MAX {
        return Err(value("approval.enrolments_per_day", format!("at most {ENROLMENTS_MAX}")));
    }
    let user_verification = match document.user_verification.as_str() {
        "required" => true,
        "optional" => false,
        _ => return Err(value("approval.user_verification", "write required or optional")),
    };
    let app_id = document.app_id.as_deref().map(Into::into);
    Ok(Approval {
        legacy_party: RelyingParty { app_id, ..party.clone() },
        party,
        ageing,
        enrolments_per_day: document.enrolments_per_day,
        user_verification,
    })
}

/// The relying party of a section, without U2F.
pub(super) fn party(section: &str, rp_id: &str, origins: &[String]) -> Result<RelyingParty, PinsError> {
    if !is_domain(rp_id) {
        let message = "write a domain in lower case, such as approve.harbor.example";
        return Err(value(format!("{section}.rp_id"), message));
    }
    if !(1..=ORIGINS_MAX).contains(&origins.len()) {
        return Err(value(format!("{section}.origins"), format!("pin 1 to {ORIGINS_MAX} origins")));
    }
    for (index, origin) in origins.iter().enumerate() {
        if !is_origin_of(origin, rp_id) {
            let message =
                format!("write an origin on {rp_id} as browsers do, such as https://{rp_id}, without a path");
            return Err(value(format!("{section}.origins[{index}]"), message));
        }
    }
    Ok(RelyingParty {
        rp_id: rp_id.into(),
        origins: origins.iter().map(|origin| origin.as_str().into()).collect(),
        app_id: None,
    })
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_domain(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= NAME_BYTES_MAX && text.contains('.') && text.split('.').all(label)
}

/// `https://`, the domain or one below it, and a port unless it is the usual one.
fn is_origin_of(origin: &str, rp_id: &str) -> bool {
    let Some(rest) = origin.strip_prefix("https://") else { return false };
    let (host, port) = match rest.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (rest, None),
    };
    let usual = |port: &str| {
        port.parse::<u16>().is_ok_and(|number| number.to_string() == port && number != 0 && number != 443)
    };
    let under = host.strip_suffix(rp_id).is_some_and(|left| left.is_empty() || left.ends_with('.'));
    is_domain(host) && under && port.is_none_or(usual)
}
