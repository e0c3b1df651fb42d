//! What the core is asked to do. Commands are imperative; whoever sends one has already been authenticated at the edge,
//! and everything that could be malformed has been refused there.
//!
//! Commands are journaled: a variant or a field number is never reused, and a changed meaning gets a new variant.
//! No secret and nothing that identifies a person may stand in a command, except sealed under the account's data key.

use holdfast_values::{
    AccountId, Amount, AssetSymbol, ConflictKey, Destination, Fingerprint, Micros, Name, Network, ReleaseId,
    Timestamp, UsdCents, WithdrawalId,
};
use minicbor::{Decode, Encode};

use crate::acts::{Act, Digest};
use crate::configuration::Configuration;
use crate::event::Approval;

pub use crate::protection::{
    BoundApproval, ChangeProtection, KeyCohort, KeyUse, PresentCode, RecordSession, SessionFacts,
};
pub use crate::subject::{OperatorKey, OperatorSignature, PolicySource, Scope, TokenScopes, TokenSpec};

/// One thing the core is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Command {
    /// The first record of a journal.
    #[n(0)]
    Initialise(#[n(0)] Box<Initialise>),
    /// The process has started: time since the last record was downtime.
    #[n(1)]
    Start,
    /// Deadlines of State have come.
    #[n(2)]
    Tick,
    /// The wall clock moved against the monotonic clock: deadlines and refills stop.
    #[n(3)]
    SuspectClock {
        /// By how much, in microseconds (absolute value).
        #[n(0)]
        step: Micros,
    },
    /// A snapshot of State was taken: a snapshot file loads only if its hash stands here.
    #[n(4)]
    RecordSnapshot {
        /// The last record that the snapshot contains.
        #[n(0)]
        sequence: u64,
        /// BLAKE3 of State in canonical order.
        #[cbor(n(1), with = "minicbor::bytes")]
        state_hash: [u8; 32],
    },
    /// A customer's account, from now on known to Holdfast.
    #[n(5)]
    OpenAccount {
        /// The exchange's id.
        #[n(0)]
        account: AccountId,
        /// Name of a configured tier.
        #[n(1)]
        tier: Name,
    },
    /// Stop everything of one account.
    #[n(6)]
    FreezeAccount {
        /// Which.
        #[n(0)]
        account: AccountId,
        /// Who asked, for the record.
        #[n(1)]
        by: Name,
    },
    /// Lower what an account may withdraw. Raising it is an operator's act.
    #[n(7)]
    LowerLimits {
        /// Which account.
        #[n(0)]
        account: AccountId,
        /// At most this much in 24 hours.
        #[n(1)]
        usd_cents_24h: UsdCents,
        /// At most this much in 30 days.
        #[n(2)]
        usd_cents_30d: UsdCents,
    },
    /// The account's protection changed (password, second factor, e-mail, recovery): cooling-off begins.
    #[n(8)]
    RecordSecurityChange {
        /// Which account.
        #[n(0)]
        account: AccountId,
        /// What changed.
        #[n(1)]
        kind: SecurityChange,
    },
    /// An API key, or a new revision of one. Its age counts from this record.
    #[n(9)]
    PutApiKey {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// Keyed fingerprint of the key's id.
        #[n(1)]
        key: Fingerprint,
        /// What it may do.
        #[n(2)]
        scopes: Scopes,
        /// Keyed fingerprints of the addresses it may be used from; empty: from anywhere, and never to withdraw.
        #[n(3)]
        ip_allowlist: Vec<Fingerprint>,
    },
    /// Take an API key out of use, from the next request on.
    #[n(10)]
    RevokeApiKey {
        /// Whose.
        #[n(0)]
        account: AccountId,
        /// Keyed fingerprint of the key's id.
        #[n(1)]
        key: Fingerprint,
    },
    /// A destination for the account's address book. Its age counts from this record.
    #[n(11)]
    AddAddress {
        /// Whose book.
        #[n(0)]
        account: AccountId,
        /// Keyed fingerprint of the destination's canonical bytes.
        #[n(1)]
        destination: Fingerprint,
    },
    /// Forget a destination: it is new again if it returns. Also the owner's veto.
    #[n(12)]
    RemoveAddress {
        /// Whose book.
        #[n(0)]
        account: AccountId,
        /// Which destination.
        #[n(1)]
        destination: Fingerprint,
    },
    /// The notice about a destination reached its owner: the veto window begins.
    #[n(13)]
    RecordNoticeDelivered {
        /// Whose notice.
        #[n(0)]
        account: AccountId,
        /// About which destination.
        #[n(1)]
        destination: Fingerprint,
    },
    /// Prices, under a token of their own.
    #[n(14)]
    SetPrices {
        /// Micro-USD per whole unit.
        #[n(0)]
        prices: Vec<Price>,
    },
    /// May this leave?
    #[n(15)]
    RequestWithdrawal(#[n(0)] Box<RequestWithdrawal>),
    /// The owner takes a withdrawal back.
    #[n(16)]
    CancelWithdrawal {
        /// Whose; must be the withdrawal's account.
        #[n(0)]
        account: AccountId,
        /// Which.
        #[n(1)]
        withdrawal: WithdrawalId,
    },
    /// The backend says that the owner presented a one-time code for this withdrawal.
    #[n(17)]
    ReportOneTimeCode {
        /// Whose; must be the withdrawal's account.
        #[n(0)]
        account: AccountId,
        /// Which.
        #[n(1)]
        withdrawal: WithdrawalId,
    },
    /// Stop. Anyone trusted may.
    #[n(18)]
    Halt {
        /// What stops.
        #[n(0)]
        scope: Scope,
        /// Who asked.
        #[n(1)]
        by: Name,
    },
    /// Refuse a held withdrawal. Tightening: anyone trusted may.
    #[n(19)]
    DenyWithdrawal {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// Who asked.
        #[n(1)]
        by: Name,
    },
    /// An act of the exchange's staff, with the signatures that were verified at the edge.
    #[n(20)]
    OperatorAct(#[n(0)] Box<OperatorAct>),
    /// One part of an import that operators have signed.
    #[n(21)]
    ImportChunk {
        /// SHA-256 of the part, as the signed manifest lists it; compared with the bytes at the edge.
        #[cbor(n(0), with = "minicbor::bytes")]
        digest: [u8; 32],
        /// What it holds.
        #[n(1)]
        accounts: Vec<ImportedAccount>,
    },
    /// Take a client's token out of use.
    #[n(22)]
    RevokeToken {
        /// The client's name.
        #[n(0)]
        client: Name,
        /// Who asked.
        #[n(1)]
        by: Name,
    },
    /// May this transaction be signed?
    #[n(23)]
    ProposeTransaction(#[n(0)] Box<ProposeTransaction>),
    /// What a signer vouches for, verified at the edge.
    #[n(24)]
    RecordReceipt(#[n(0)] Box<RecordReceipt>),
    /// What a chain shows, under a token of its own.
    #[n(25)]
    RecordObservation(#[n(0)] Box<Observation>),
    /// The owner's credential approves a withdrawal, over its text.
    #[n(26)]
    ApproveIntent {
        /// Whose; must be the withdrawal's account.
        #[n(0)]
        account: AccountId,
        /// Which.
        #[n(1)]
        withdrawal: WithdrawalId,
        /// The verdict on the assertion.
        #[n(2)]
        approval: Box<BoundApproval>,
    },
    /// The account's protection is to change.
    #[n(27)]
    ChangeProtection(#[n(0)] Box<ChangeProtection>),
    /// A one-time or recovery code was shown and compared at the edge.
    #[n(28)]
    PresentCode(#[n(0)] Box<PresentCode>),
    /// A customer signed in, or goes on from elsewhere.
    #[n(29)]
    RecordSession(#[n(0)] Box<RecordSession>),
    /// Take many API keys out of use at once.
    #[n(30)]
    RevokeApiKeys {
        /// Which.
        #[n(0)]
        cohort: Box<KeyCohort>,
        /// Who asked.
        #[n(1)]
        by: Name,
    },
    /// What the gate saw, in sum.
    #[n(31)]
    RecordKeyUse {
        /// By key.
        #[n(0)]
        keys: Vec<KeyUse>,
    },
    /// Write a withdrawal's text anew, whose time has passed.
    #[n(32)]
    RenewIntent {
        /// Whose; must be the withdrawal's account.
        #[n(0)]
        account: AccountId,
        /// Which.
        #[n(1)]
        withdrawal: WithdrawalId,
        /// Minted at intake.
        #[cbor(n(2), with = "minicbor::bytes")]
        nonce: [u8; 32],
    },
    /// Stop an act that waits for its time, or take a proposal back. Tightening: anyone trusted may.
    #[n(33)]
    StopAct {
        /// The nonce of its text.
        #[n(0)]
        act: Digest,
        /// Who asked.
        #[n(1)]
        by: Name,
    },
}

/// A transaction as it would be signed, read at the edge from its final bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProposeTransaction {
    /// Minted at intake.
    #[n(0)]
    pub release: ReleaseId,
    /// Who is to sign.
    #[n(1)]
    pub signer: Name,
    /// Whose coins.
    #[n(2)]
    pub wallet: Name,
    /// Where.
    #[n(3)]
    pub network: Network,
    /// The transaction's digest.
    #[n(4)]
    pub transaction: Digest,
    /// What it spends, in order.
    #[n(5)]
    pub spends: Vec<ConflictKey>,
    /// Everything that it pays, in order.
    #[n(6)]
    pub outputs: Vec<ProposedOutput>,
    /// Digest of the outputs, as observations carry it.
    #[n(7)]
    pub outputs_digest: Digest,
    /// What it costs at most, in the network's own units.
    #[n(8)]
    pub fee: Amount,
    /// The withdrawals that it claims to pay.
    #[n(9)]
    pub withdrawals: Vec<WithdrawalId>,
    /// The internal transfer that it claims to be instead.
    #[n(10)]
    pub transfer: Option<Box<Approval>>,
    /// Which reader read the bytes.
    #[n(11)]
    pub reader: u16,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ProposedOutput {
    /// Who is paid.
    #[n(0)]
    pub destination: Destination,
    /// The configured wallet whose own address that is.
    #[n(1)]
    pub own: Option<Name>,
    /// The token's contract; `None`: the network's own coin.
    #[n(2)]
    pub contract: Option<Box<str>>,
    /// In the network's own units.
    #[n(3)]
    pub amount: Amount,
}

/// A signer's receipt.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecordReceipt {
    /// Who signed it.
    #[n(0)]
    pub signer: Name,
    /// For which exchange.
    #[n(1)]
    pub exchange: String,
    /// In which epoch.
    #[n(2)]
    pub epoch: u64,
    /// How much the signer has authorised and voided so far.
    #[n(3)]
    pub counter: u64,
    /// What it says.
    #[n(4)]
    pub what: ReceiptOutcome,
    /// The receipt itself, as evidence.
    #[cbor(n(5), with = "minicbor::bytes")]
    pub receipt: Vec<u8>,
}

/// What a receipt says.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum ReceiptOutcome {
    /// The sighashes of this transaction were handed out.
    #[n(0)]
    Authorised {
        /// Whose coins.
        #[n(0)]
        wallet: Name,
        /// Where.
        #[n(1)]
        network: Network,
        /// Which.
        #[n(2)]
        transaction: Digest,
        /// What it spends.
        #[n(3)]
        spends: Vec<ConflictKey>,
    },
    /// This withdrawal was never authorised and never will be.
    #[n(1)]
    Voided {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
    },
}

/// A transaction that spends a watched wallet's coins, as a node shows it.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Observation {
    /// Whose coins.
    #[n(0)]
    pub wallet: Name,
    /// Where.
    #[n(1)]
    pub network: Network,
    /// Its id on the chain, for people; nothing is matched by it alone.
    #[cbor(n(2), with = "minicbor::bytes")]
    pub chain_id: [u8; 32],
    /// What it spends of the wallet, in order.
    #[n(3)]
    pub spends: Vec<ConflictKey>,
    /// Digest of its outputs.
    #[n(4)]
    pub outputs: Digest,
    /// Where it stands.
    #[n(5)]
    pub status: ChainStatus,
    /// How many blocks deep; zero unless included or failed.
    #[n(6)]
    pub confirmations: u32,
}

/// What a node says of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum ChainStatus {
    /// It waits for a block.
    #[n(0)]
    Pending,
    /// A block holds it.
    #[n(1)]
    Included,
    /// A block holds it, and it failed.
    #[n(2)]
    Failed,
    /// It was seen before and is gone.
    #[n(3)]
    Vanished,
}

/// The first record: who may say what, what there is, and the policy.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Initialise {
    /// The exchange's DNS name, as signed texts carry it.
    #[n(0)]
    pub exchange: String,
    /// Made with `--simulated-clock`: never to be trusted with real coins.
    #[n(1)]
    pub simulated_clock: bool,
    /// The first operators; they count at once.
    #[n(2)]
    pub operators: Vec<OperatorKey>,
    /// Assets, wallets, tiers, buckets, parameters.
    #[n(3)]
    pub configuration: Configuration,
    /// The first policy.
    #[n(4)]
    pub policy: PolicySource,
    /// The token that `init` prints: it can read and halt.
    #[n(5)]
    pub token: TokenSpec,
    /// The version of the rules that decides from here on; absent in the oldest journals, which began with the first.
    #[n(6)]
    pub rules: Option<u32>,
}

/// What weakened, or may have weakened, an account's protection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
pub enum SecurityChange {
    /// The password was changed or reset.
    #[n(0)]
    Password,
    /// A second factor was added, removed or reset.
    #[n(1)]
    SecondFactor,
    /// The e-mail address or telephone number changed.
    #[n(2)]
    Contact,
    /// The account went through recovery.
    #[n(3)]
    Recovery,
}

/// What an API key may do. Bits: 1 read, 2 trade, 4 withdraw, 8 transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
#[cbor(transparent)]
pub struct Scopes(#[n(0)] pub u8);

impl Scopes {
    /// Read balances and history.
    pub const READ: Self = Self(1);
    /// Place and cancel orders.
    pub const TRADE: Self = Self(2);
    /// Withdraw.
    pub const WITHDRAW: Self = Self(4);
    /// Move between own sub-accounts.
    pub const TRANSFER: Self = Self(8);

    /// True if every bit of `other` is set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A price.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Price {
    /// Of what.
    #[n(0)]
    pub asset: AssetSymbol,
    /// Micro-USD per whole unit; never zero.
    #[n(1)]
    pub micro_usd: u64,
}

/// A withdrawal as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RequestWithdrawal {
    /// Minted at intake.
    #[n(0)]
    pub withdrawal: WithdrawalId,
    /// Whose money.
    #[n(1)]
    pub account: AccountId,
    /// What.
    #[n(2)]
    pub asset: AssetSymbol,
    /// Where to; its network is the withdrawal's.
    #[n(3)]
    pub destination: Destination,
    /// Keyed fingerprint of the destination's canonical bytes.
    #[n(4)]
    pub fingerprint: Fingerprint,
    /// What arrives, in base units of the asset.
    #[n(5)]
    pub amount: Amount,
    /// What the customer is charged on top at most.
    #[n(6)]
    pub fee_max: Amount,
    /// 32 random bytes for the text that may be signed.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// How it came in.
    #[n(8)]
    pub evidence: Evidence,
    /// The client's idempotency key.
    #[n(9)]
    pub idempotency: Idempotency,
}

/// (client, key) and what the body was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Idempotency {
    /// Keyed fingerprint of client name and key.
    #[n(0)]
    pub key: Fingerprint,
    /// Keyed fingerprint of the request body.
    #[n(1)]
    pub body: Fingerprint,
}

/// What came with a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Evidence {
    /// A web or app session; the backend vouches for it.
    #[n(0)]
    Session {
        /// The backend says that a one-time code was presented. It proves nothing about what it approves.
        #[n(0)]
        one_time_code: bool,
    },
    /// The customer's own signed API request, whose signature was verified at the edge.
    #[n(1)]
    ApiRequest(#[n(0)] Box<ApiEvidence>),
    /// A session of which the backend reports more.
    #[n(2)]
    Device {
        /// The backend says that a one-time code was presented.
        #[n(0)]
        one_time_code: bool,
        /// What is known of it.
        #[n(1)]
        facts: SessionFacts,
    },
}

/// The verdict on a signed API request: what `authn` proved, for `decide` to judge.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ApiEvidence {
    /// Keyed fingerprint of the key's id.
    #[n(0)]
    pub key: Fingerprint,
    /// The revision of the key whose secret verified the signature.
    #[n(1)]
    pub revision: u32,
    /// The time that was signed.
    #[n(2)]
    pub signed_at: Timestamp,
    /// For how long the customer wanted it to be good.
    #[n(3)]
    pub window: Micros,
    /// Keyed fingerprint of the signed payload's digest.
    #[n(4)]
    pub request: Fingerprint,
    /// Keyed fingerprint of the client's address.
    #[n(5)]
    pub ip: Fingerprint,
    /// The fields in which the signed request says something else than the withdrawal. Bits: 1 asset, 2 network,
    /// 4 address, 8 amount, 16 memo. Zero is a match.
    #[n(6)]
    pub differs: u8,
    /// Which verifier said so.
    #[n(7)]
    pub verifier: u16,
    /// The request as it came, sealed under the account's data key.
    #[cbor(n(8), with = "minicbor::bytes")]
    pub sealed: Vec<u8>,
}

/// A signed act.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct OperatorAct {
    /// The `holdfast-operator/v1` text that was signed, to the letter.
    #[n(0)]
    pub text: String,
    /// The signatures over its SHA-256 that verified.
    #[n(1)]
    pub signatures: Vec<OperatorSignature>,
    /// What the text and its payload say, typed.
    #[n(2)]
    pub act: Act,
}

/// An account with the history that the exchange's staff vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ImportedAccount {
    /// The exchange's id.
    #[n(0)]
    pub account: AccountId,
    /// Name of a configured tier.
    #[n(1)]
    pub tier: Name,
    /// When it was opened.
    #[n(2)]
    pub opened_at: Timestamp,
    /// Its keys.
    #[n(3)]
    pub api_keys: Vec<ImportedApiKey>,
    /// Destinations that it has used or saved before.
    #[n(4)]
    pub addresses: Vec<ImportedAddress>,
    /// What it withdrew in the last 30 days, oldest first.
    #[n(5)]
    pub withdrawals: Vec<ImportedWithdrawal>,
}

/// A key with its history.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ImportedApiKey {
    /// Keyed fingerprint of the key's id.
    #[n(0)]
    pub key: Fingerprint,
    /// What it may do.
    #[n(1)]
    pub scopes: Scopes,
    /// From where.
    #[n(2)]
    pub ip_allowlist: Vec<Fingerprint>,
    /// Since when.
    #[n(3)]
    pub created_at: Timestamp,
}

/// A destination with its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ImportedAddress {
    /// Keyed fingerprint of the destination.
    #[n(0)]
    pub destination: Fingerprint,
    /// When the exchange first recorded it.
    #[n(1)]
    pub first_recorded_at: Timestamp,
}

/// A past withdrawal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct ImportedWithdrawal {
    /// When.
    #[n(0)]
    pub at: Timestamp,
    /// Its value then.
    #[n(1)]
    pub usd_cents: UsdCents,
}
