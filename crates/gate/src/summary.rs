//! What flows from the gate to the core: counts and anomalies by API key, never single requests.

use holdfast_values::{AccountId, Name, Timestamp};

/// What was seen of some keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// When it was taken.
    pub at: Timestamp,
    /// Keys that were used or refused since they were last told of, by name.
    pub keys: Vec<KeyUse>,
    /// How many more keys there are to tell of.
    pub waiting: usize,
}

/// What was seen of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Whose it is.
    pub account: AccountId,
    /// Its id.
    pub key: Name,
    /// Its revision now.
    pub revision: u32,
    /// Requests that were let through.
    pub allowed: u32,
    /// Requests with a good signature that were refused.
    pub refused: u32,
    /// Requests that named it with a bad signature. Strangers make these: they say nothing about the key's owner.
    pub unproven: u32,
    /// When one was last let through, since the gate knows the key.
    pub last_used: Option<Timestamp>,
    /// What was odd.
    pub anomalies: Anomalies,
    /// Over how many neighbourhoods (/24 of IPv4, /48 of IPv6) its good signatures came, at least; at most 64.
    pub places: u8,
}

/// Odd things, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Anomalies(pub u16);

impl Anomalies {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// A bad signature.
    pub const SIGNATURE: Self = Self(1);
    /// A good signature from an address where the key may not be used: whoever signs has the key, and is elsewhere.
    pub const ADDRESS: Self = Self(1 << 1);
    /// A good signature of a revoked key.
    pub const REVOKED: Self = Self(1 << 2);
    /// A good signature of an expired key.
    pub const EXPIRED: Self = Self(1 << 3);
    /// A good signature for something that the key may not do.
    pub const SCOPE: Self = Self(1 << 4);
    /// A request that came again.
    pub const REPLAY: Self = Self(1 << 5);
    /// A nonce that did not rise.
    pub const NONCE: Self = Self(1 << 6);
    /// A signature that is too old or from the future.
    pub const TIME: Self = Self(1 << 7);
    /// A minute's budget that did not suffice.
    pub const BUDGET: Self = Self(1 << 8);
    /// A good signature of a key of a frozen account.
    pub const FROZEN: Self = Self(1 << 9);

    const NAMES: [(Self, &'static str); 10] = [
        (Self::SIGNATURE, "signature"),
        (Self::ADDRESS, "address"),
        (Self::REVOKED, "revoked"),
        (Self::EXPIRED, "expired"),
        (Self::SCOPE, "scope"),
        (Self::REPLAY, "replay"),
        (Self::NONCE, "nonce"),
        (Self::TIME, "time"),
        (Self::BUDGET, "budget"),
        (Self::FROZEN, "frozen"),
    ];

    /// Whether all of `other` is among them.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Their stable names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bit, _)| self.contains(*bit)).map(|(_, name)| name)
    }
}
