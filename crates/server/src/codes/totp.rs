//! Codes that follow the clock (RFC 6238): keys, codes, and at which step a code is right.
//!
//! Pure but for [`TotpKey::generate`]. Whether a step was used before is asked elsewhere: a code is right here as often as
//! it is shown.

use core::fmt;

use holdfast_values::Timestamp;
use holdfast_values::texts::ExchangeName;
use holdfast_values::time::SECOND;
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use zeroize::Zeroizing;

/// The shortest and longest secret in bytes. RFC 4226 wants at least 128 bits; no hash here takes more than it digests.
pub const SECRET_BYTES: core::ops::RangeInclusive<usize> = 16..=64;
/// The shortest and longest time that one code is for, in seconds.
pub const PERIOD_SECONDS: core::ops::RangeInclusive<u16> = 15..=120;
/// The most steps that a device's clock may be off, either way.
pub const DRIFT_STEPS_MAX: u64 = 2;
/// The longest label of an account in an authenticator app, in characters.
pub const LABEL_CHARACTERS_MAX: usize = 64;

/// Why something is no key for one-time codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TotpError {
    /// Too short to be safe, or longer than any hash can use.
    #[error("the secret of a one-time code has 16 to 64 bytes")]
    SecretLength,
    /// Not base 32.
    #[error("the secret must be in base 32 (RFC 4648): A to Z and 2 to 7, without spaces")]
    SecretSpelling,
    /// A number of digits that authenticator apps do not show.
    #[error("a one-time code has 6 or 8 digits")]
    Digits,
    /// A period out of bounds.
    #[error("a one-time code is for 15 to 120 seconds; apps expect 30")]
    Period,
    /// Not a label.
    #[error("the label has 1 to 64 characters, without colons and control characters")]
    Label,
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes: no secret was made")]
    NoRandomness,
}

impl TotpError {
    /// The stable code of this refusal.
    pub const fn code(self) -> &'static str {
        match self {
            Self::SecretLength => "totp_secret_length",
            Self::SecretSpelling => "totp_secret_spelling",
            Self::Digits => "totp_digits",
            Self::Period => "totp_period",
            Self::Label => "totp_label",
            Self::NoRandomness => "totp_no_randomness",
        }
    }
}

/// The hash under a code's HMAC. Many apps ignore which one is asked for and use SHA-1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// SHA-1, what every app knows. Its collisions do not matter under HMAC.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// Its name in a provisioning URI.
    const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }

    fn hmac(self) -> hmac::Algorithm {
        match self {
            Self::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => hmac::HMAC_SHA256,
            Self::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// As many bytes as the hash has, which is what RFC 6238 uses.
    const fn secret_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

/// What device and verifier must agree on besides the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TotpSettings {
    algorithm: Algorithm,
    digits: u8,
    period: u16,
}

impl Default for TotpSettings {
    /// SHA-1, 6 digits, 30 seconds: all that some apps can do.
    fn default() -> Self {
        Self { algorithm: Algorithm::Sha1, digits: 6, period: 30 }
    }
}

impl TotpSettings {
    /// Settings, if `digits` is 6 or 8 and `period` within [`PERIOD_SECONDS`].
    pub fn new(algorithm: Algorithm, digits: u8, period: u16) -> Result<Self, TotpError> {
        if !matches!(digits, 6 | 8) {
            return Err(TotpError::Digits);
        }
        if !PERIOD_SECONDS.contains(&period) {
            return Err(TotpError::Period);
        }
        Ok(Self { algorithm, digits, period })
    }

    /// The hash.
    pub const fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// How many digits a code has.
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// For how many seconds a code is.
    pub const fn period(self) -> u16 {
        self.period
    }
}

/// A secret that a device shares, wiped when dropped, with what its codes look like.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct TotpKey {
    secret: Zeroizing<Vec<u8>>,
    settings: TotpSettings,
}

/// How a key lies in the vault.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    secret: Zeroizing<String>,
    algorithm: Algorithm,
    digits: u8,
    period: u16,
}

impl From<TotpKey> for Stored {
    fn from(key: TotpKey) -> Self {
        let TotpSettings { algorithm, digits, period } = key.settings;
        Self { secret: key.to_base32(), algorithm, digits, period }
    }
}

impl TryFrom<Stored> for TotpKey {
    type Error = TotpError;
    fn try_from(stored: Stored) -> Result<Self, TotpError> {
        let settings = TotpSettings::new(stored.algorithm, stored.digits, stored.period)?;
        Self::from_base32(&stored.secret, settings)
    }
}

impl fmt::Debug for TotpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TotpKey").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl TotpKey {
    /// A new key for these settings: as many random bytes as the hash has.
    pub fn generate(random: &SystemRandom, settings: TotpSettings) -> Result<Self, TotpError> {
        let mut secret = Zeroizing::new(vec![0; settings.algorithm.secret_bytes()]);
        random.fill(&mut secret).map_err(|_| TotpError::NoRandomness)?;
        Ok(Self { secret, settings })
    }

    /// A key with this secret.
    pub fn from_bytes(secret: &[u8], settings: TotpSettings) -> Result<Self, TotpError> {
        if !SECRET_BYTES.contains(&secret.len()) {
            return Err(TotpError::SecretLength);
        }
        Ok(Self { secret: Zeroizing::new(secret.to_vec()), settings })
    }

    /// A key with this secret in base 32, as other systems export it: either case, with or without padding.
    pub fn from_base32(text: &str, settings: TotpSettings) -> Result<Self, TotpError> {
        let digits = text.trim_end_matches('=');
        // The longest secret has 103 digits and one `=`; whatever is longer is not read.
        if text.len() > SECRET_BYTES.end().div_ceil(5) * 8 {
            return Err(TotpError::SecretLength);
        }
        if text.len() != digits.len() && !text.len().is_multiple_of(8) {
            return Err(TotpError::SecretSpelling);
        }
        let mut secret = Zeroizing::new(Vec::with_capacity(digits.len() * 5 / 8));
        let (mut buffer, mut bits) = (Zeroizing::new(0u16), 0u8);
        for letter in digits.bytes() {
            let value = match letter {
                b'A'..=b'Z' => letter - b'A',
                b'a'..=b'z' => letter - b'a',
                b'2'..=b'7' => letter - b'2' + 26,
                _ => return Err(TotpError::SecretSpelling),
            };
            *buffer = (*buffer << 5) | u16::from(value);
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                let [_, byte] = (*buffer >> bits).to_be_bytes();
                secret.push(byte);
                *buffer &= (1 << bits) - 1;
            }
        }
        // A whole digit too many, or bits that belong to no byte: something was cut off.
        if bits >= 5 || *buffer != 0 {
            return Err(TotpError::SecretSpelling);
        }
        Self::from_bytes(&secret, settings)
    }

    /// The secret in base 32, in capitals and without padding: what a customer types where no picture can be scanned.
    pub fn to_base32(&self) -> Zeroizing<String> {
        const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut out = Zeroizing::new(String::with_capacity((self.secret.len() * 8).div_ceil(5)));
        for chunk in self.secret.chunks(5) {
            let value = chunk.iter().fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
            let letters = (chunk.len() * 8).div_ceil(5);
            let value = value << (letters * 5 - chunk.len() * 8);
            for place in (0..letters).rev() {
                let digit = usize::try_from((value >> (place * 5)) & 31).unwrap_or_default();
                out.push(DIGITS.get(digit).copied().map_or('A', char::from));
            }
        }
        out
    }

    /// What its codes look like.
    pub const fn settings(&self) -> TotpSettings {
        self.settings
    }

    /// The step that `at` lies in: periods since 1970.
    pub fn step(&self, at: Timestamp) -> u64 {
        (at.0 / SECOND).checked_div(u64::from(self.settings.period)).unwrap_or_default()
    }

    /// The code of one step.
    pub fn code_at(&self, step: u64) -> Zeroizing<String> {
        let (value, digits) = (self.value_at(&self.hmac_key(), step), usize::from(self.settings.digits));
        Zeroizing::new(format!("{value:0digits$}"))
    }

    /// The step whose code this is, if it is one of the steps that are at most `drift` (at most [`DRIFT_STEPS_MAX`]) away
    /// from `at`; the caller accepts it only if no such step or later one was used before.
    ///
    /// Every step is tried, and compared in constant time: how long it takes tells nothing. Should two steps have the same
    /// code, it is the later one's, so that it cannot be shown once for each.
    pub fn matching_step(&self, at: Timestamp, code: &str, drift: u64) -> Option<u64> {
        let shown = self.parse_code(code)?;
        let (now, drift) = (self.step(at), drift.min(DRIFT_STEPS_MAX));
        let key = self.hmac_key();
        let (mut found, mut which) = (subtle::Choice::from(0), 0u64);
        for step in now.saturating_sub(drift)..=now.saturating_add(drift) {
            let right = self.value_at(&key, step).ct_eq(&shown);
            which.conditional_assign(&step, right);
            found |= right;
        }
        bool::from(found).then_some(which)
    }

    /// What authenticator apps read from the picture: `otpauth://totp/...`. It holds the secret.
    ///
    /// `label` is how the customer knows the account; without a colon, since apps split there.
    pub fn provisioning_uri(
        &self,
        exchange: &ExchangeName,
        label: &str,
    ) -> Result<Zeroizing<String>, TotpError> {
        if !(1..=LABEL_CHARACTERS_MAX).contains(&label.chars().count())
            || label.chars().any(|letter| letter == ':' || letter.is_control())
        {
            return Err(TotpError::Label);
        }
        let (issuer, label, secret) = (escaped(exchange.as_str()), escaped(label), self.to_base32());
        let TotpSettings { algorithm, digits, period } = self.settings;
        let algorithm = algorithm.name();
        Ok(Zeroizing::new(format!(
            "otpauth://totp/{issuer}:{label}?secret={}&issuer={issuer}&algorithm={algorithm}&digits={digits}&period={period}",
            *secret
        )))
    }

    fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(self.settings.algorithm.hmac(), &self.secret)
    }

    /// RFC 4226, section 5.3: four bytes of the HMAC, from where its last half byte says, as a number.
    fn value_at(&self, key: &hmac::Key, step: u64) -> u32 {
        let tag = hmac::sign(key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0x0f);
        let bytes = tag.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or_default();
        let value = u32::from_be_bytes(bytes) & 0x7fff_ffff;
        if self.settings.digits == 8 { value % 100_000_000 } else { value % 1_000_000 }
    }

    /// Exactly as many ASCII digits as a code has.
    fn parse_code(&self, code: &str) -> Option<u32> {
        if code.len() != usize::from(self.settings.digits) || !code.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        code.parse().ok()
    }
}

/// Percent-encodes all but what RFC 3986 leaves unreserved.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
#[path = "totp_tests.rs"]
mod tests;
