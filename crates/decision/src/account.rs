//! Accounts, their keys and their address books.

use holdfast_values::{AccountId, Fingerprint, Timestamp, UsdCents};
use minicbor::{Decode, Encode};

use crate::command::{Scopes, SecurityChange};
use crate::configuration::Configuration;
use crate::event::TierIndex;
use crate::protection::{KeyFence, Protection};
use crate::window::Window;

/// The most keys of one account, revoked ones included.
pub const API_KEYS_MAX: usize = 64;
/// The most destinations that an account's book remembers; beyond it a destination stays unvouched.
pub const ADDRESSES_MAX: usize = 256;
/// The most addresses on a key's allowlist.
pub const ALLOWLIST_MAX: usize = 32;

/// One account.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Account {
    /// The exchange's id.
    #[n(0)]
    pub id: AccountId,
    /// When Holdfast, or the import, first knew it.
    #[n(1)]
    pub opened_at: Timestamp,
    /// Its tier.
    #[n(2)]
    pub tier: TierIndex,
    /// It stands still.
    #[n(3)]
    pub is_frozen: bool,
    /// Its own limit for any 24 hours.
    #[n(4)]
    pub usd_cents_24h: Option<UsdCents>,
    /// Its own limit for any 30 days.
    #[n(5)]
    pub usd_cents_30d: Option<UsdCents>,
    /// The last change of its protection.
    #[n(6)]
    pub security_change: Option<SecurityChangeRecord>,
    /// Its keys.
    #[n(7)]
    pub api_keys: Vec<ApiKey>,
    /// Its destinations, in the order of their first record.
    #[n(8)]
    pub addresses: Vec<Address>,
    /// What it withdrew or is about to.
    #[n(9)]
    pub window: Window,
    /// Credentials, codes, mandates, devices, lock; nothing as long as there is none of them.
    #[n(10)]
    pub protection: Option<Box<Protection>>,
    /// Since when it stands still on its owner's own wish. Nothing: staff froze it, or it is not frozen.
    #[n(11)]
    pub owner_froze: Option<Timestamp>,
}

/// When protection changed, and by which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SecurityChangeRecord {
    /// When.
    #[n(0)]
    pub at: Timestamp,
    /// What.
    #[n(1)]
    pub kind: SecurityChange,
    /// In which record.
    #[n(2)]
    pub sequence: u64,
}

/// An API key.
#[derive(Clone, Debug, Encode, Decode)]
pub struct ApiKey {
    /// Keyed fingerprint of its id.
    #[n(0)]
    pub key: Fingerprint,
    /// Counts from 1; its age counts from the last one.
    #[n(1)]
    pub revision: u32,
    /// When this revision was recorded.
    #[n(2)]
    pub put_at: Timestamp,
    /// What it may do.
    #[n(3)]
    pub scopes: Scopes,
    /// It is out of use, for ever.
    #[n(4)]
    pub is_revoked: bool,
    /// From where it may be used.
    #[n(5)]
    pub ip_allowlist: Box<[Fingerprint]>,
    /// What else bounds it, and what is known of its use.
    #[n(6)]
    pub fenced: Option<Box<FencedKey>>,
}

/// What bounds an API key, and what is known of its use.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct FencedKey {
    /// As its owner wants it.
    #[n(0)]
    pub fence: KeyFence,
    /// When its first revision was recorded.
    #[n(1)]
    pub made_at: Timestamp,
    /// When a request of it passed last.
    #[n(2)]
    pub last_used: Option<Timestamp>,
    /// What was asked for with it in the last 24 hours, if it has a limit.
    #[n(3)]
    pub spent: Vec<(Timestamp, UsdCents)>,
}

/// A destination in an account's book.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Address {
    /// Keyed fingerprint of the destination.
    #[n(0)]
    pub destination: Fingerprint,
    /// Holdfast's own first record of it.
    #[n(1)]
    pub recorded_at: Timestamp,
    /// When its owner was told.
    #[n(2)]
    pub notice_at: Option<Timestamp>,
}

impl Account {
    /// A new account.
    pub fn new(id: AccountId, opened_at: Timestamp, tier: TierIndex) -> Self {
        Self {
            id,
            opened_at,
            tier,
            is_frozen: false,
            usd_cents_24h: None,
            usd_cents_30d: None,
            security_change: None,
            api_keys: Vec::new(),
            addresses: Vec::new(),
            window: Window::default(),
            protection: None,
            owner_froze: None,
        }
    }

    /// The entry of a destination.
    pub fn address(&self, destination: &Fingerprint) -> Option<&Address> {
        self.addresses.iter().find(|address| address.destination == *destination)
    }

    /// A key.
    pub fn api_key(&self, key: &Fingerprint) -> Option<&ApiKey> {
        self.api_keys.iter().find(|known| known.key == *key)
    }

    /// What it may withdraw in 24 hours and in 30 days: its own limits, else its tier's.
    pub fn limits(&self, configuration: &Configuration) -> (UsdCents, UsdCents) {
        let tier = configuration.tiers.get(usize::from(self.tier.0));
        let day = self.usd_cents_24h.or(tier.map(|tier| tier.usd_cents_24h)).unwrap_or_default();
        let month = self.usd_cents_30d.or(tier.map(|tier| tier.usd_cents_30d)).unwrap_or_default();
        (day, month)
    }
}
