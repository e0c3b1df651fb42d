//! One-time codes as customers' phones show them: RFC 6238 with SHA-1, six digits, 30 seconds.

use ring::hmac;

/// Seconds that one code is shown.
pub(crate) const STEP_SECONDS: u64 = 30;

/// The code of a time step.
pub(crate) fn code_at(secret: &[u8], step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let offset = usize::from(tag.as_ref().last().copied().unwrap_or_default() & 15);
    let word =
        tag.as_ref().iter().skip(offset).take(4).fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

/// The step that `code` belongs to, if it is this one or a neighbour, and later than `last_used`.
pub(crate) fn matching_step(secret: &[u8], code: &str, seconds: u64, last_used: u64) -> Option<u64> {
    let now = seconds / STEP_SECONDS;
    (now.saturating_sub(1)..=now.saturating_add(1))
        .find(|step| *step > last_used && code_at(secret, *step) == code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_agree_with_rfc_6238() {
        let secret = b"12345678901234567890";
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (20_000_000_000, "353130")] {
            assert_eq!(code_at(secret, seconds / STEP_SECONDS), code);
        }
        assert_eq!(matching_step(secret, "287082", 59, 0), Some(1));
        assert_eq!(matching_step(secret, "287082", 89, 0), Some(1), "the last one still counts");
        assert_eq!(matching_step(secret, "287082", 120, 0), None);
        assert_eq!(matching_step(secret, "287082", 59, 1), None, "once");
    }
}
