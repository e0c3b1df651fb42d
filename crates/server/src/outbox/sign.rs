//! The signature of Standard Webhooks: HMAC-SHA256 over `ID.TIMESTAMP.BODY`, in base64 after `v1,`.

use holdfast_authn::encoding;
use ring::hmac;

/// Carries the message's id.
pub(super) const HEADER_ID: &str = "webhook-id";
/// Carries when it was sent, in seconds since 1970.
pub(super) const HEADER_TIMESTAMP: &str = "webhook-timestamp";
/// Carries the signature.
pub(super) const HEADER_SIGNATURE: &str = "webhook-signature";

/// The shortest secret, in bytes: what Standard Webhooks asks for.
pub(super) const SECRET_BYTES_MIN: usize = 24;
/// The longest secret, in bytes.
pub(super) const SECRET_BYTES_MAX: usize = 64;

/// An endpoint's secret. It is never printed.
pub(super) struct Secret(hmac::Key);

impl Secret {
    /// Reads `whsec_` and the base64 of 24 to 64 bytes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = encoding::base64(text.trim().strip_prefix("whsec_")?.as_bytes())?;
        let fits = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&bytes.len());
        fits.then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }

    /// The value of the signature's header.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(format!("{id}.{timestamp}.").as_bytes());
        context.update(body);
        format!("v1,{}", base64(context.sign().as_ref()))
    }
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    // The two alphabets differ in their last two letters.
    let mut text = encoding::to_base64url(bytes).replace('-', "+").replace('_', "/");
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_as_other_libraries_do() {
        // The values of the example in the standard's own libraries.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn secrets_have_one_spelling_and_enough_bytes() {
        for text in [
            "",
            "whsec_",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2La",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!",
        ] {
            assert!(Secret::parse(text).is_none(), "{text:?}");
        }
        assert!(Secret::parse(&format!("whsec_{}", "A".repeat(88))).is_none(), "66 bytes");
    }
}
