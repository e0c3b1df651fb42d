//! What happened. Events are facts; State is what they add up to, and recovery needs nothing else.
//!
//! Events are journaled: a variant or a field number is never reused, and a changed meaning gets a new variant.

use holdfast_policy::Factor;
use holdfast_values::{
    AccountId, Amount, ConflictKey, Destination, Fingerprint, MandateId, Name, Network, Timestamp, UsdCents,
    WithdrawalId,
};
use minicbor::{Decode, Encode};

use crate::acts::Digest;
use crate::command::{
    Evidence, Idempotency, ImportedAccount, Initialise, OperatorKey, PolicySource, Scope, Scopes,
    SecurityChange, TokenSpec,
};
use crate::configuration::{Class, Configuration};
use crate::reason::Refusal;

pub use crate::governance::{PolicyMove, PolicyMoveKind, ProposalEnd, ProposalOpened, ScheduledAct};
pub use crate::outcome::{Decision, Factors, Lane, Status};
pub use crate::protection::{
    ApprovedText, Basis, BoundApproval, Change, CodeProof, KeyCohort, KeyUse, SessionFacts,
};
pub use crate::released::{
    Alarm, Approval, Dropped, RecoveredTransaction, SpendRecovered, Standing, TransactionReleased,
    TransferReleased,
};

/// An account's dense number inside State: accounts are numbered in the order of their first record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct AccountIndex(#[n(0)] pub u32);

/// An asset's place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct AssetIndex(#[n(0)] pub u16);

/// A wallet's place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct WalletIndex(#[n(0)] pub u16);

/// A tier's place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct TierIndex(#[n(0)] pub u16);

/// What a command led to, in order.
pub type Events = Vec<Event>;

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Event {
    /// The journal began.
    #[n(0)]
    Initialised(#[n(0)] Box<Initialise>),
    /// Nobody was listening between `from` and now: that time counts towards no ageing.
    #[n(1)]
    DowntimeRecorded {
        /// The last instant known to be good.
        #[n(0)]
        from: Timestamp,
    },
    /// The clock is under suspicion: deadlines and refills stand still.
    #[n(2)]
    ClockSuspected,
    /// Operators confirmed the clock.
    #[n(3)]
    ClockConfirmed,
    /// A snapshot was taken.
    #[n(4)]
    SnapshotRecorded {
        /// The last record in it.
        #[n(0)]
        sequence: u64,
        /// BLAKE3 of State in canonical order.
        #[cbor(n(1), with = "minicbor::bytes")]
        state_hash: [u8; 32],
    },
    /// An account, numbered next.
    #[n(5)]
    AccountOpened {
        /// The exchange's id.
        #[n(0)]
        account: AccountId,
        /// Its tier.
        #[n(1)]
        tier: TierIndex,
    },
    /// An account with history, numbered next.
    #[n(6)]
    AccountImported {
        /// What operators vouched for.
        #[n(0)]
        account: Box<ImportedAccount>,
        /// Its tier.
        #[n(1)]
        tier: TierIndex,
    },
    /// An account stands still. Only operators end it.
    #[n(7)]
    AccountFrozen(#[n(0)] AccountIndex),
    /// It may move again.
    #[n(8)]
    AccountUnfrozen(#[n(0)] AccountIndex),
    /// An account's tier.
    #[n(9)]
    TierSet {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// Which.
        #[n(1)]
        tier: TierIndex,
    },
    /// An account's own limits; `None` is the tier's.
    #[n(10)]
    LimitsSet {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// In any 24 hours.
        #[n(1)]
        usd_cents_24h: Option<UsdCents>,
        /// In any 30 days.
        #[n(2)]
        usd_cents_30d: Option<UsdCents>,
    },
    /// Cooling-off begins.
    #[n(11)]
    SecurityChanged {
        /// Whose protection.
        #[n(0)]
        account: AccountIndex,
        /// What changed.
        #[n(1)]
        kind: SecurityChange,
    },
    /// A key, or a new revision of one.
    #[n(12)]
    ApiKeyPut {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// Which.
        #[n(1)]
        key: Fingerprint,
        /// Counts from 1.
        #[n(2)]
        revision: u32,
        /// What it may do.
        #[n(3)]
        scopes: Scopes,
        /// From where.
        #[n(4)]
        ip_allowlist: Vec<Fingerprint>,
    },
    /// A key is out of use.
    #[n(13)]
    ApiKeyRevoked {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// Which.
        #[n(1)]
        key: Fingerprint,
    },
    /// A destination was recorded; its owner is to be told.
    #[n(14)]
    AddressRecorded {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// Which.
        #[n(1)]
        destination: Fingerprint,
    },
    /// A destination was forgotten.
    #[n(15)]
    AddressRemoved {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// Which.
        #[n(1)]
        destination: Fingerprint,
    },
    /// The owner was told about a destination.
    #[n(16)]
    NoticeDelivered {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// Which.
        #[n(1)]
        destination: Fingerprint,
    },
    /// Prices in micro-USD per whole unit.
    #[n(17)]
    PricesSet {
        /// By asset.
        #[n(0)]
        prices: Vec<(AssetIndex, u64)>,
    },
    /// A withdrawal was asked for: it enters the windows.
    #[n(18)]
    WithdrawalRequested(#[n(0)] Box<WithdrawalRequested>),
    /// What was decided about it, now or again.
    #[n(19)]
    WithdrawalDecided {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// What.
        #[n(1)]
        decision: Box<Decision>,
    },
    /// Its owner showed a factor.
    #[n(20)]
    FactorDischarged {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// Which factor.
        #[n(1)]
        factor: Factor,
    },
    /// Operators let it go on; the case is closed.
    #[n(21)]
    CaseApproved {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// How many operators signed.
        #[n(1)]
        operators: u8,
    },
    /// Its value was taken from the buckets of its class.
    #[n(22)]
    Reserved {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// From which buckets.
        #[n(1)]
        class: Class,
    },
    /// Its value went back to the buckets it came from.
    #[n(23)]
    ReservationReturned {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
    },
    /// It waits for its bucket.
    #[n(24)]
    Queued {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// Where.
        #[n(1)]
        lane: Lane,
        /// Its turn: how many of the same account wait before it in this lane.
        #[n(2)]
        turn: u32,
    },
    /// It waits no longer.
    #[n(25)]
    Unqueued {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
    },
    /// When a lane is looked at again.
    #[n(26)]
    LaneScheduled {
        /// Which.
        #[n(0)]
        lane: Lane,
        /// When.
        #[n(1)]
        at: Timestamp,
    },
    /// Its owner took it back.
    #[n(27)]
    WithdrawalCancelled {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
    },
    /// It was not released in time.
    #[n(28)]
    WithdrawalExpired {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
    },
    /// Something stops.
    #[n(29)]
    Halted {
        /// What.
        #[n(0)]
        scope: Scope,
    },
    /// It goes on.
    #[n(30)]
    Resumed {
        /// What.
        #[n(0)]
        scope: Scope,
    },
    /// A text with this nonce was used.
    #[n(31)]
    ActAccepted {
        /// The text's nonce.
        #[cbor(n(0), with = "minicbor::bytes")]
        nonce: [u8; 32],
        /// Until when it must be remembered.
        #[n(1)]
        not_after: Timestamp,
    },
    /// The configuration.
    #[n(32)]
    Configured(#[n(0)] Box<Configuration>),
    /// A further operator.
    #[n(33)]
    OperatorEnrolled(#[n(0)] OperatorKey),
    /// One fewer.
    #[n(34)]
    OperatorRevoked(#[n(0)] Name),
    /// The policy.
    #[n(35)]
    PolicyActivated(#[n(0)] Box<PolicySource>),
    /// The rules version.
    #[n(36)]
    RulesActivated(#[n(0)] u32),
    /// Parts that may be imported.
    #[n(37)]
    ImportAuthorised(#[n(0)] Vec<Digest>),
    /// A part that was.
    #[n(38)]
    ImportDone(#[n(0)] Digest),
    /// A client's token.
    #[n(39)]
    TokenIssued(#[n(0)] TokenSpec),
    /// It is out of use.
    #[n(40)]
    TokenRevoked(#[n(0)] Name),
    /// Nothing changed.
    #[n(41)]
    Refused {
        /// Why.
        #[n(0)]
        refusal: Refusal,
        /// What exactly, for people.
        #[n(1)]
        detail: String,
    },
    /// The answer is that of an earlier record. Never journaled.
    #[n(42)]
    Repeated {
        /// Which record.
        #[n(0)]
        sequence: u64,
    },
    /// Deadlines that needed nothing but forgetting were passed; memory of old requests was trimmed.
    #[n(43)]
    Trimmed {
        /// Everything that was to be remembered until then is forgotten.
        #[n(0)]
        until: Timestamp,
    },
    /// Operators let this very text go on; their signatures travel in its release.
    #[n(44)]
    WithdrawalApproved {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// How many operators signed.
        #[n(1)]
        operators: u8,
        /// What they signed, and their signatures.
        #[n(2)]
        approval: Box<Approval>,
    },
    /// A signer may sign this transaction, once.
    #[n(45)]
    TransactionReleased(#[n(0)] Box<TransactionReleased>),
    /// A proposed transaction was not released: these must be left out of the next.
    #[n(46)]
    ReleaseDropped {
        /// Which, and why.
        #[n(0)]
        dropped: Vec<Dropped>,
    },
    /// Where a released withdrawal stands on its way.
    #[n(47)]
    WithdrawalMoved {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// Where it stands now.
        #[n(1)]
        status: Status,
        /// Through which transaction, if through one.
        #[n(2)]
        transaction: Option<Digest>,
    },
    /// Its transaction is final: it arrived, and is done with.
    #[n(48)]
    WithdrawalPaid {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// By which transaction.
        #[n(1)]
        transaction: Digest,
    },
    /// What a chain shows of a released transaction.
    #[n(49)]
    TransactionObserved {
        /// Which.
        #[n(0)]
        transaction: Digest,
        /// Where it stands.
        #[n(1)]
        standing: Standing,
        /// How many blocks deep.
        #[n(2)]
        confirmations: u32,
        /// Its id on the chain.
        #[cbor(n(3), with = "minicbor::bytes")]
        chain_id: [u8; 32],
    },
    /// A chain shows what cannot be: the wallet stops.
    #[n(50)]
    ChainAlarm {
        /// What.
        #[n(0)]
        alarm: Alarm,
        /// Whose coins.
        #[n(1)]
        wallet: WalletIndex,
        /// Where.
        #[n(2)]
        network: Network,
        /// The transaction's id on the chain, or the digest that a receipt names.
        #[cbor(n(3), with = "minicbor::bytes")]
        transaction: [u8; 32],
        /// What it spends.
        #[n(4)]
        spends: Vec<ConflictKey>,
    },
    /// A signer said what it did.
    #[n(51)]
    ReceiptRecorded {
        /// Which signer.
        #[n(0)]
        signer: Name,
        /// How much it has authorised and voided so far.
        #[n(1)]
        counter: u64,
        /// The transaction that it authorised.
        #[n(2)]
        transaction: Option<Digest>,
    },
    /// A restored journal goes on, after a signer's spend records were taken in.
    #[n(52)]
    EpochBegun {
        /// Which.
        #[n(0)]
        epoch: u64,
        /// Whose records.
        #[n(1)]
        signer: Name,
        /// The signer's counter in them.
        #[n(2)]
        counter: u64,
    },
    /// A signer's record of a payment that this journal does not know as released.
    #[n(53)]
    SpendRecovered(#[n(0)] Box<SpendRecovered>),
    /// The owner's credential approved this very text; the assertion travels in its release.
    #[n(54)]
    IntentApproved {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// By which credential.
        #[n(1)]
        approval: Box<BoundApproval>,
    },
    /// An account's protection changed; its owner is to be told.
    #[n(55)]
    ProtectionChanged {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// What.
        #[n(1)]
        change: Box<Change>,
        /// On whose word, for a credential.
        #[n(2)]
        basis: Option<Basis>,
        /// The approval, where one was needed.
        #[n(3)]
        approval: Option<Box<ApprovedText>>,
    },
    /// The owner asked to unlock the settings: the lock's time runs.
    #[n(56)]
    UnlockBegun {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
    },
    /// A code was right, and is spent.
    #[n(57)]
    CodeAccepted {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// Which.
        #[n(1)]
        proof: CodeProof,
        /// From which known device.
        #[n(2)]
        device: Option<Fingerprint>,
    },
    /// A code was wrong.
    #[n(58)]
    CodeFailed {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// From which known device; nothing: from any other.
        #[n(1)]
        device: Option<Fingerprint>,
    },
    /// A customer acts from a device and a place.
    #[n(59)]
    SessionSeen {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// What is known of it.
        #[n(1)]
        facts: SessionFacts,
        /// The credential that signed in, with its counter.
        #[n(2)]
        credential: Option<(Fingerprint, u32)>,
        /// The account was never seen on this device.
        #[n(3)]
        new_device: bool,
        /// The account was never seen in this place.
        #[n(4)]
        new_place: bool,
    },
    /// Every API key of a cohort is out of use.
    #[n(60)]
    ApiKeysRevoked {
        /// Which.
        #[n(0)]
        cohort: Box<KeyCohort>,
        /// How many there were.
        #[n(1)]
        count: u32,
    },
    /// When keys were used last.
    #[n(61)]
    ApiKeysUsed {
        /// By key.
        #[n(0)]
        keys: Vec<KeyUse>,
    },
    /// A key that had slept was used.
    #[n(62)]
    ApiKeyWoke {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// Which.
        #[n(1)]
        key: Fingerprint,
        /// For how many days it had not been used.
        #[n(2)]
        idle_days: u32,
    },
    /// A withdrawal's text is past its time: it goes back to its owner, its reservation kept.
    #[n(63)]
    IntentLapsed {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
    },
    /// It has a text again.
    #[n(64)]
    IntentRenewed {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// The text's nonce.
        #[cbor(n(1), with = "minicbor::bytes")]
        nonce: [u8; 32],
        /// The text's not-after.
        #[n(2)]
        not_after: Timestamp,
    },
    /// A withdrawal was asked for under a mandate.
    #[n(65)]
    MandateUsed {
        /// Which withdrawal.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// Under which mandate.
        #[n(1)]
        mandate: MandateId,
    },
    /// Operators gave an account back to its owner: only the credential that waited for them counts from here.
    #[n(66)]
    AccountRecovered {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
        /// The credential.
        #[n(1)]
        credential: Fingerprint,
        /// What operators signed.
        #[n(2)]
        approval: Box<Approval>,
    },
    /// An account stands still on its owner's own wish: a credential of the owner's that counted then may end it.
    #[n(67)]
    OwnerFroze {
        /// Whose.
        #[n(0)]
        account: AccountIndex,
    },
    /// A policy was proposed.
    #[n(68)]
    PolicyProposed(#[n(0)] Box<ProposalOpened>),
    /// A proposal is open no more.
    #[n(69)]
    ProposalClosed {
        /// The nonce of its text.
        #[n(0)]
        nonce: Digest,
        /// Why.
        #[n(1)]
        why: ProposalEnd,
    },
    /// An act has its signatures, and waits for its time.
    #[n(70)]
    ActScheduled(#[n(0)] Box<ScheduledAct>),
    /// A waiting act was stopped.
    #[n(71)]
    ActStopped {
        /// The nonce of its text.
        #[n(0)]
        nonce: Digest,
        /// Who stopped it.
        #[n(1)]
        by: Name,
    },
    /// A waiting act's time came, and it could not take effect any more.
    #[n(72)]
    ActLapsed {
        /// The nonce of its text.
        #[n(0)]
        nonce: Digest,
        /// Why.
        #[n(1)]
        refusal: Refusal,
    },
    /// Why the policy changes that the next event names.
    #[n(73)]
    PolicyMoved(#[n(0)] Box<PolicyMove>),
    /// A waiting act's time came: what it does follows.
    #[n(74)]
    ActTookEffect {
        /// The nonce of its text.
        #[n(0)]
        nonce: Digest,
    },
}

/// The facts of a new withdrawal.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WithdrawalRequested {
    /// Its id.
    #[n(0)]
    pub withdrawal: WithdrawalId,
    /// Whose.
    #[n(1)]
    pub account: AccountIndex,
    /// What.
    #[n(2)]
    pub asset: AssetIndex,
    /// Who pays.
    #[n(3)]
    pub wallet: WalletIndex,
    /// Where to.
    #[n(4)]
    pub destination: Destination,
    /// The same, as a key.
    #[n(5)]
    pub fingerprint: Fingerprint,
    /// In base units.
    #[n(6)]
    pub amount: Amount,
    /// In base units.
    #[n(7)]
    pub fee_max: Amount,
    /// At the 24 h high, rounded up.
    #[n(8)]
    pub usd_cents: UsdCents,
    /// For the text that may be signed.
    #[cbor(n(9), with = "minicbor::bytes")]
    pub nonce: [u8; 32],
    /// The text's not-after.
    #[n(10)]
    pub not_after: Timestamp,
    /// How it came.
    #[n(11)]
    pub evidence: Evidence,
    /// Under which idempotency key.
    #[n(12)]
    pub idempotency: Idempotency,
}
