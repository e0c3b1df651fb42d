//! What protects an account: its credentials, codes, keys' fences, mandates, devices and its Settings Lock; and the words
//! of commands and events that change it.
//!
//! A *change* is one row of [`Change`]; what each needs is said in one place (`protect.rs`). Ids of credentials, devices
//! and addresses are keyed fingerprints made at the edge; what identifies a person lies sealed under the account's key.

use holdfast_values::{
    Amount, AssetSymbol, Fingerprint, MandateId, Micros, Timestamp, UsdCents, WithdrawalId,
};
use minicbor::{Decode, Encode};

use crate::acts::Digest;
use crate::command::Scopes;

/// The most credentials of one account, removed ones included.
pub const CREDENTIALS_MAX: usize = 32;
/// The most mandates of one account that are in force.
pub const MANDATES_MAX: usize = 64;
/// The most destinations of one mandate.
pub const MANDATE_DESTINATIONS_MAX: usize = 16;
/// The most withdrawals under one mandate in 24 hours.
pub const MANDATE_USES_MAX: usize = 1_024;
/// The most devices that are remembered of one account. Of those that it has known for less than a day, else of all, the
/// one unseen for longest is forgotten first, and those that a credential signed in on last.
pub const DEVICES_MAX: usize = 64;
/// The most places that are remembered of one account, forgotten like devices.
pub const PLACES_MAX: usize = 32;
/// The most destinations that one API key may be fenced to.
pub const KEY_DESTINATIONS_MAX: usize = 64;
/// The longest Settings Lock, in days.
pub const LOCK_DAYS_MAX: u8 = 30;
/// The most texts of changes and mandates that one account approves in a day: each nonce is remembered for as long as its
/// text is good.
pub const TEXTS_A_DAY_MAX: u32 = 256;
/// The most keys in one report of what they were used for.
pub const KEY_USES_MAX: usize = 10_000;

/// A text that a customer's credential approved: the verdict on the assertion, for `decide` to judge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BoundApproval {
    /// Keyed fingerprint of the credential's id.
    #[n(0)]
    pub credential: Fingerprint,
    /// SHA-256 of the text: the challenge that was signed.
    #[n(1)]
    pub text: Digest,
    /// The authenticator's counter.
    #[n(2)]
    pub counter: u32,
    /// What else it said.
    #[n(3)]
    pub flags: ApprovalFlags,
    /// Which verifier said so.
    #[n(4)]
    pub verifier: u16,
    /// The assertion as it came, sealed under the account's data key.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// What an authenticator said. Bits: 1 user verified, 2 backup eligible, 4 backed up, 8 by legacy AppID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct ApprovalFlags(#[n(0)] pub u8);

impl ApprovalFlags {
    /// The user was verified, by PIN or by body.
    pub const USER_VERIFIED: Self = Self(1);
    /// The credential may be copied between devices.
    pub const BACKUP_ELIGIBLE: Self = Self(2);
    /// It is.
    pub const BACKED_UP: Self = Self(4);
    /// It was made under legacy U2F, and answered for the AppID.
    pub const BY_APP_ID: Self = Self(8);

    /// True if every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With `other` too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A text and the approval of it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ApprovedText {
    /// `holdfast-change/v1` or, for a mandate, `holdfast-mandate/v1`, to the letter.
    #[n(0)]
    pub text: String,
    /// The approval of exactly this text.
    #[n(1)]
    pub by: BoundApproval,
}

/// A change of an account's protection. The text of a change names it by [`Change::name`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// A further passkey or security key.
    #[n(0)]
    AddCredential(#[n(0)] Box<NewCredential>),
    /// One fewer, for ever.
    #[n(1)]
    RemoveCredential {
        /// Keyed fingerprint of its id.
        #[n(0)]
        credential: Fingerprint,
    },
    /// A generator of one-time codes, new or replaced; its first code was right.
    #[n(2)]
    EnrolCodes {
        /// The step of the code that proved it: spent.
        #[n(0)]
        step: u64,
    },
    /// No one-time codes any more.
    #[n(3)]
    RemoveCodes,
    /// A new set of recovery codes; the old ones are void.
    #[n(4)]
    PutRecoveryCodes {
        /// How many; at most 32.
        #[n(0)]
        count: u8,
    },
    /// An API key, or a new revision of one.
    #[n(5)]
    PutApiKey(#[n(0)] Box<ApiKeySpec>),
    /// Freeze all security settings.
    #[n(6)]
    LockSettings {
        /// For how long an unlocking waits: 1 to [`LOCK_DAYS_MAX`] days.
        #[n(0)]
        days: u8,
    },
    /// Open them again: at once with a master key, else after the lock's full time.
    #[n(7)]
    UnlockSettings,
    /// End the freeze that the owner asked for.
    #[n(8)]
    Unfreeze,
    /// Make an API key's requests within it bound. Approved over the mandate's own text.
    #[n(9)]
    GrantMandate(#[n(0)] Box<NewMandate>),
    /// End it.
    #[n(10)]
    RevokeMandate {
        /// Which.
        #[n(0)]
        mandate: MandateId,
    },
    /// The owner cannot show any factor: cooling-off begins, everyone who can be told is told.
    #[n(11)]
    BeginRecovery,
    /// Somebody who still has a factor says no.
    #[n(12)]
    StopRecovery,
    /// A device is not the owner's any more.
    #[n(13)]
    ForgetDevice {
        /// Which.
        #[n(0)]
        device: Fingerprint,
    },
}

impl Change {
    /// As texts, webhooks and people call it.
    pub const fn name(&self) -> &'static str {
        match self {
            // What a key is for is part of what is approved.
            Self::AddCredential(new) => match new.used_for {
                CredentialUse::Approve => "add_credential",
                CredentialUse::Master => "add_master_credential",
                CredentialUse::Login => "add_login_credential",
            },
            Self::RemoveCredential { .. } => "remove_credential",
            Self::EnrolCodes { .. } => "enrol_codes",
            Self::RemoveCodes => "remove_codes",
            Self::PutRecoveryCodes { .. } => "put_recovery_codes",
            Self::PutApiKey(_) => "put_api_key",
            Self::LockSettings { .. } => "lock_settings",
            Self::UnlockSettings => "unlock_settings",
            Self::Unfreeze => "unfreeze",
            Self::GrantMandate(_) => "grant_mandate",
            Self::RevokeMandate { .. } => "revoke_mandate",
            Self::BeginRecovery => "begin_recovery",
            Self::StopRecovery => "stop_recovery",
            Self::ForgetDevice { .. } => "forget_device",
        }
    }
}

/// A credential as its registration was verified.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NewCredential {
    /// Keyed fingerprint of its id.
    #[n(0)]
    pub credential: Fingerprint,
    /// SHA-256 of its id, as texts name it.
    #[n(1)]
    pub id: Digest,
    /// SHA-256 of its public key in canonical COSE, as texts name it.
    #[n(2)]
    pub key: Digest,
    /// Made under legacy U2F: it answers for the AppID.
    #[n(3)]
    pub legacy_u2f: bool,
    /// What it is for.
    #[n(4)]
    pub used_for: CredentialUse,
    /// The authenticator's counter.
    #[n(5)]
    pub counter: u32,
    /// What else it said.
    #[n(6)]
    pub flags: ApprovalFlags,
    /// Id, public key, transports and the owner's name for it, sealed under the account's data key.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// What a credential is for. Each is registered at the party that it is used at, and good for nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum CredentialUse {
    /// Approves withdrawals, changes and mandates, over their texts.
    #[n(0)]
    Approve,
    /// A master key: opens the Settings Lock at once, and approves nothing else.
    #[n(1)]
    Master,
    /// Signs in, over a random challenge, and approves nothing.
    #[n(2)]
    Login,
}

/// On whose word a credential came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum Basis {
    /// The account had none: a session's word. Counts after its ageing.
    #[n(0)]
    First,
    /// A credential that counted approved it: counts at once.
    #[n(1)]
    Rotation,
    /// The account is being recovered: waits for operators, then for its ageing.
    #[n(2)]
    Recovery,
}

/// An API key as its owner wants it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ApiKeySpec {
    /// Keyed fingerprint of its id.
    #[n(0)]
    pub key: Fingerprint,
    /// What it may do.
    #[n(1)]
    pub scopes: Scopes,
    /// Keyed fingerprints of the addresses and networks (CIDR) it may be used from. The edge says in its evidence which of
    /// them an address lies in.
    #[n(2)]
    pub ip_allowlist: Vec<Fingerprint>,
    /// What makes a key more than its scopes and addresses.
    #[n(3)]
    pub fence: KeyFence,
    /// Its secret or public half is another than before: to whoever has it, it is a new key.
    #[n(4)]
    pub new_material: bool,
}

/// What bounds an API key beside scopes and addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct KeyFence {
    /// Only to these destinations, if any are named.
    #[n(0)]
    pub destinations: Option<Vec<Fingerprint>>,
    /// At most this much in any 24 hours.
    #[n(1)]
    pub usd_cents_24h: Option<UsdCents>,
    /// Not from then on.
    #[n(2)]
    pub expires_at: Option<Timestamp>,
    /// Only the customer has the private half: Ed25519 or RSA. Only such keys can have mandates.
    #[n(3)]
    pub asymmetric: bool,
    /// The autonomous system that it was made from, if the edge knows.
    #[n(4)]
    pub asn: Option<u32>,
}

/// A mandate as its text says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NewMandate {
    /// Minted at the edge.
    #[n(0)]
    pub mandate: MandateId,
    /// Keyed fingerprint of the API key's id.
    #[n(1)]
    pub key: Fingerprint,
    /// The key's revision whose public half the text names.
    #[n(2)]
    pub revision: u32,
    /// Of what.
    #[n(3)]
    pub asset: AssetSymbol,
    /// Keyed fingerprints of where to.
    #[n(4)]
    pub destinations: Vec<Fingerprint>,
    /// Per withdrawal, in base units of the asset.
    #[n(5)]
    pub amount_max: Amount,
    /// In any 24 hours.
    #[n(6)]
    pub day_max: Amount,
    /// Not before.
    #[n(7)]
    pub not_before: Timestamp,
    /// Not after.
    #[n(8)]
    pub not_after: Timestamp,
}

/// Asks for a change.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ChangeProtection {
    /// Whose protection.
    #[n(0)]
    pub account: holdfast_values::AccountId,
    /// What changes.
    #[n(1)]
    pub change: Change,
    /// The owner's approval, where one is needed. The edge has compared target and detail of the text with the change.
    #[n(2)]
    pub approval: Option<Box<ApprovedText>>,
    /// A right one-time or recovery code came with it.
    #[n(3)]
    pub code: Option<Box<CodeProof>>,
    /// From which device.
    #[n(4)]
    pub device: Option<Fingerprint>,
}

/// What a code was compared with. The secrets lie in the vault; State knows revisions and what is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CodeProof {
    /// It is the generator's code of this step.
    #[n(0)]
    OneTime {
        /// Which generator.
        #[n(0)]
        revision: u32,
        /// Which step.
        #[n(1)]
        step: u64,
    },
    /// It is this one of the recovery codes.
    #[n(1)]
    Recovery {
        /// Which set.
        #[n(0)]
        revision: u32,
        /// Which of them.
        #[n(1)]
        nth: u8,
    },
    /// It is none.
    #[n(2)]
    Wrong,
}

/// A code was shown.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PresentCode {
    /// Whose.
    #[n(0)]
    pub account: holdfast_values::AccountId,
    /// What for.
    #[n(1)]
    pub purpose: CodePurpose,
    /// What it was compared with.
    #[n(2)]
    pub proof: CodeProof,
    /// Keyed fingerprint of the network that it came from: failures are counted by it.
    #[n(3)]
    pub source: Fingerprint,
    /// The device, if it is one that the edge recognised.
    #[n(4)]
    pub device: Option<Fingerprint>,
}

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum CodePurpose {
    /// Signing in.
    #[n(0)]
    Login,
    /// A withdrawal that asks for a one-time code.
    #[n(1)]
    Withdrawal(#[n(0)] WithdrawalId),
}

/// A session of the customer's, as the exchange's edge reports it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecordSession {
    /// Whose.
    #[n(0)]
    pub account: holdfast_values::AccountId,
    /// What the edge knows about it.
    #[n(1)]
    pub facts: SessionFacts,
    /// The credential that signed in, with its counter, if one did.
    #[n(2)]
    pub credential: Option<(Fingerprint, u32)>,
    /// Agent, address and the rest as they came, sealed under the account's data key.
    #[cbor(n(3), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// What is known of where and from what a customer acts: keyed fingerprints and derived facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct SessionFacts {
    /// The device's own cookie or key.
    #[n(0)]
    pub device: Option<Fingerprint>,
    /// The address.
    #[n(1)]
    pub ip: Option<Fingerprint>,
    /// The user agent.
    #[n(2)]
    pub agent: Option<Fingerprint>,
    /// The TLS fingerprint.
    #[n(3)]
    pub tls: Option<Fingerprint>,
    /// Country and autonomous system.
    #[n(4)]
    pub place: Option<Place>,
}

/// Where an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Place {
    /// ISO 3166-1 alpha-2, in capitals.
    #[cbor(n(0), with = "minicbor::bytes")]
    pub country: [u8; 2],
    /// Autonomous system; zero if unknown.
    #[n(1)]
    pub asn: u32,
}

/// Which API keys to take out of use; every condition that is given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct KeyCohort {
    /// Made from then on.
    #[n(0)]
    pub made_from: Option<Timestamp>,
    /// Made before then.
    #[n(1)]
    pub made_until: Option<Timestamp>,
    /// Made from this autonomous system.
    #[n(2)]
    pub asn: Option<u32>,
    /// In use at some time from then on: every key that is not revoked is in use until now.
    #[n(3)]
    pub exposed_from: Option<Timestamp>,
    /// In use at some time before then: made before it.
    #[n(4)]
    pub exposed_until: Option<Timestamp>,
    /// Of this account alone.
    #[n(5)]
    pub account: Option<holdfast_values::AccountId>,
}

/// What the gate saw of one key since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct KeyUse {
    /// Which key.
    #[n(0)]
    pub key: Fingerprint,
    /// Requests that passed.
    #[n(1)]
    pub allowed: u32,
    /// Requests that were refused.
    #[n(2)]
    pub refused: u32,
    /// When the last one passed.
    #[n(3)]
    pub last_used: Timestamp,
}

/// What State remembers of an account's protection; nothing for an account that has only a password and the backend.
#[derive(Clone, Debug, Default, Encode, Decode)]
pub struct Protection {
    /// In the order of their enrolment.
    #[n(0)]
    pub credentials: Vec<Credential>,
    /// The generator of one-time codes.
    #[n(1)]
    pub codes: Option<CodesRecord>,
    /// The set of recovery codes.
    #[n(2)]
    pub recovery_codes: Option<RecoveryCodesRecord>,
    /// The Settings Lock.
    #[n(3)]
    pub lock: Option<SettingsLock>,
    /// In force, or ended less than a day ago.
    #[n(4)]
    pub mandates: Vec<Mandate>,
    /// By when they were seen last.
    #[n(5)]
    pub devices: Vec<Device>,
    /// Where the account was used from.
    #[n(6)]
    pub places: Vec<KnownPlace>,
    /// A recovery that is under way.
    #[n(7)]
    pub recovery: Option<Recovery>,
    /// Wrong codes of late.
    #[n(8)]
    pub failures: Vec<CodeFailures>,
    /// Texts of changes and mandates that were approved of late.
    #[n(9)]
    pub texts: Option<TextsApproved>,
}

/// How many texts were approved in a day.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct TextsApproved {
    /// When the first of them was.
    #[n(0)]
    pub since: Timestamp,
    /// How many.
    #[n(1)]
    pub count: u32,
}

/// A credential.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Credential {
    /// Keyed fingerprint of its id.
    #[n(0)]
    pub credential: Fingerprint,
    /// SHA-256 of its id.
    #[n(1)]
    pub id: Digest,
    /// SHA-256 of its public key.
    #[n(2)]
    pub key: Digest,
    /// See [`NewCredential::legacy_u2f`].
    #[n(3)]
    pub legacy_u2f: bool,
    /// What it is for.
    #[n(4)]
    pub used_for: CredentialUse,
    /// On whose word it came.
    #[n(5)]
    pub basis: Basis,
    /// When; its age counts from here.
    #[n(6)]
    pub enrolled_at: Timestamp,
    /// In which record.
    #[n(7)]
    pub sequence: u64,
    /// The highest counter seen.
    #[n(8)]
    pub counter: u32,
    /// It counts no more, for ever.
    #[n(9)]
    pub is_removed: bool,
    /// It waits for operators, because the account is being recovered.
    #[n(10)]
    pub is_pending: bool,
}

/// A generator of one-time codes.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct CodesRecord {
    /// Counts from 1; removed ones are counted.
    #[n(0)]
    pub revision: u32,
    /// The last step that was spent.
    #[n(1)]
    pub last_step: u64,
    /// It is out of use.
    #[n(2)]
    pub is_removed: bool,
}

/// A set of recovery codes.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct RecoveryCodesRecord {
    /// Counts from 1.
    #[n(0)]
    pub revision: u32,
    /// Those that are left, one bit each.
    #[n(1)]
    pub left: u32,
}

/// The Settings Lock.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct SettingsLock {
    /// How long an unlocking waits.
    #[n(0)]
    pub wait: Micros,
    /// When the owner asked to unlock.
    #[n(1)]
    pub unlocking_since: Option<Timestamp>,
}

/// A mandate in force.
#[derive(Clone, Debug, Encode, Decode)]
pub struct Mandate {
    /// What its text says.
    #[n(0)]
    pub terms: NewMandate,
    /// The credential that approved it: once that is removed, the mandate is void.
    #[n(1)]
    pub credential: Fingerprint,
    /// SHA-256 of its text.
    #[n(2)]
    pub text: Digest,
    /// The record that granted it: text and assertion lie there.
    #[n(3)]
    pub sequence: u64,
    /// What was asked for under it in the last 24 hours.
    #[n(4)]
    pub used: Vec<(Timestamp, Amount)>,
    /// Ended by its owner.
    #[n(5)]
    pub is_revoked: bool,
}

/// A device.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Device {
    /// Keyed fingerprint.
    #[n(0)]
    pub device: Fingerprint,
    /// When it was first seen.
    #[n(1)]
    pub first_seen: Timestamp,
    /// When it was last seen.
    #[n(2)]
    pub last_seen: Timestamp,
    /// The credential that signed in on it, if one did.
    #[n(3)]
    pub credential: Option<Fingerprint>,
}

/// A place that an account was used from.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct KnownPlace {
    /// Where.
    #[n(0)]
    pub place: Place,
    /// When it was first seen.
    #[n(1)]
    pub first_seen: Timestamp,
    /// When it was last seen.
    #[n(2)]
    pub last_seen: Timestamp,
}

/// A recovery that is under way.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct Recovery {
    /// Since when.
    #[n(0)]
    pub begun_at: Timestamp,
    /// In which record.
    #[n(1)]
    pub sequence: u64,
}

/// Wrong codes from one source.
#[derive(Clone, Copy, Debug, Encode, Decode)]
pub struct CodeFailures {
    /// A device that the account knows, or nothing: all others together.
    #[n(0)]
    pub device: Option<Fingerprint>,
    /// How many since the last right one.
    #[n(1)]
    pub count: u32,
    /// The last one.
    #[n(2)]
    pub last: Timestamp,
}
