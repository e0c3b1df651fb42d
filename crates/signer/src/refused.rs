//! Why the signer says no: each refusal has a stable code, and a sentence that says what to do.

use holdfast_authn::RequestError;
use holdfast_authn::release::spends::TRANSACTIONS_MAX;
use holdfast_authn::release::{EnvelopeError, PayloadError};
use holdfast_authn::webauthn::WebAuthnError;
use holdfast_transactions::TransactionError;
use holdfast_values::texts::TextError;
use holdfast_values::tightening::Loosens;
use holdfast_values::{
    AccountId, Amount, AssetSymbol, MandateId, Name, Network, Timestamp, TransferId, WithdrawalId,
};

/// Which bucket is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BucketName {
    /// Payments of an asset that pinned operators or their own customers vouch for.
    Vouched(AssetSymbol, Network),
    /// All other payments of it.
    Unvouched(AssetSymbol, Network),
    /// Network fees of a wallet.
    Fee(Name, Network),
}

impl std::fmt::Display for BucketName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Vouched(symbol, network) => write!(f, "vouched {symbol} on {network}"),
            Self::Unvouched(symbol, network) => write!(f, "unvouched {symbol} on {network}"),
            Self::Fee(wallet, network) => write!(f, "fees of {wallet} on {network}"),
        }
    }
}

/// A refusal. Nothing was recorded, unless the text says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's text, which people read, says what it is")]
pub enum Refused {
    #[error("the signer is halted: {threshold} operators resume it with a signed resume_signer text")]
    Halted { threshold: usize },

    #[error("these are no words of a pinned release key: {0}")]
    Envelope(EnvelopeError),
    #[error("what was signed cannot be read: {0}")]
    Release(PayloadError),
    #[error("this is for another exchange")]
    ExchangeDiffers,
    #[error("the release is for the signer {audience}: ask Holdfast for one for this signer")]
    AudienceDiffers { audience: Name },
    #[error("the release was made under a simulated clock, and this signer is not pinned as simulated")]
    ClockSimulated,
    #[error("this signer is pinned as simulated, and the release was made under a real clock")]
    ClockReal,
    #[error("{wallet} on {network} is not pinned here")]
    WalletUnpinned { wallet: Name, network: Network },
    #[error("{wallet} on {network} is pinned without fee bounds: it only receives")]
    WalletReceivesOnly { wallet: Name, network: Network },

    #[error("the transaction is refused: {0}")]
    Transaction(TransactionError),
    #[error("the release is for another transaction than these bytes")]
    DigestDiffers,
    #[error("the network fee of {} base units is over the bound of {}", fee.base_units(), max.base_units())]
    FeeOverBound { fee: Amount, max: Amount },
    #[error(
        "the fee rate of {rate} is over the bound of {max} (satoshi per 1,000 virtual bytes, or wei per gas)"
    )]
    FeeRateOverBound { rate: u64, max: u64 },

    #[error("the release pays no withdrawal and carries no transfer")]
    ReleaseEmpty,
    #[error("a release pays withdrawals or carries a transfer, never both")]
    ReleaseMixed,
    #[error("text {place} of the release cannot be read: {error}")]
    TextMalformed { place: usize, error: TextError },
    #[error("a text of the release is for another exchange")]
    TextExchangeDiffers,
    #[error("a text of the release is for another network or wallet than the release")]
    TextNetworkDiffers,
    #[error("{symbol} on {network} is not pinned here")]
    AssetUnpinned { symbol: AssetSymbol, network: Network },
    #[error("a text writes {symbol} with {found} decimals, and {pinned} are pinned")]
    DecimalsDiffer { symbol: AssetSymbol, found: u8, pinned: u8 },
    #[error("{withdrawal} stands in the release twice")]
    WithdrawalTwice { withdrawal: WithdrawalId },
    #[error("no output pays {withdrawal} its exact amount in its asset to its address")]
    PaymentMissing { withdrawal: WithdrawalId },
    #[error(
        "output {place} pays {} base units to {address}, which nothing in the release explains",
        amount.base_units()
    )]
    OutputUnexplained { place: usize, address: String, amount: Amount },
    #[error("output {place} pays another pinned wallet: only a transfer may do that")]
    OutputOtherWallet { place: usize },
    #[error("output {place} moves another asset than the transfer's text says")]
    TransferAssetDiffers { place: usize },
    #[error("the transfer's text names a payment that no output makes")]
    TransferPaymentMissing,
    #[error(
        "the network fee of {} base units is over the transfer's fee-max of {}",
        fee.base_units(),
        max.base_units()
    )]
    TransferFee { fee: Amount, max: Amount },
    #[error(
        "a transfer that pays outside the pinned wallets needs {needed} operators' signatures, and {valid} are valid"
    )]
    TransferUnsigned { needed: usize, valid: usize },

    #[error("{withdrawal} was voided: it is never paid")]
    Voided { withdrawal: WithdrawalId },
    #[error("the text of {withdrawal} ended at {not_after}: ask its owner again")]
    IntentExpired { withdrawal: WithdrawalId, not_after: Timestamp },
    #[error("{withdrawal} was authorised with another text: only that one may be paid")]
    IntentChanged { withdrawal: WithdrawalId },
    #[error("the text of {transfer} ended at {not_after}: sign a new one")]
    TransferExpired { transfer: TransferId, not_after: Timestamp },
    #[error("{transfer} was authorised with another text")]
    TransferChanged { transfer: TransferId },
    #[error("this transaction was authorised for other withdrawals: one output pays one withdrawal")]
    TransactionClaimed,

    #[error("the clock says {now}, and {highest} was seen before: set it right")]
    ClockBehind { now: Timestamp, highest: Timestamp },
    #[error("the release is valid from {not_before} on, and it is {now}: compare the clocks")]
    NotYetValid { not_before: Timestamp, now: Timestamp },
    #[error("the release ended at {expires}, and it is {now}: ask for another")]
    Expired { expires: Timestamp, now: Timestamp },
    #[error("the release is valid for longer than pinned ({max_seconds} s), or ends before it begins")]
    LifetimeTooLong { max_seconds: u64 },
    #[error("the release is from epoch {epoch}, and epoch {current} has begun")]
    EpochOld { epoch: u64, current: u64 },
    #[error(
        "the release is from epoch {epoch}, and this is epoch {current}: operators begin an epoch with a signed begin_epoch text"
    )]
    EpochUnknown { epoch: u64, current: u64 },
    #[error("the release is from sequence {sequence}, and {highest} was seen: Holdfast's journal went back")]
    SequenceOld { sequence: u64, highest: u64 },
    #[error("the release has another head at sequence {sequence} than one before: Holdfast's journal forked")]
    HeadDiffers { sequence: u64 },
    #[error("Holdfast has seen receipt {seen}, and this store is at {counter}: the store was rolled back")]
    StoreRolledBack { seen: u64, counter: u64 },

    #[error(
        "{withdrawal} was authorised in a transaction that this one does not conflict with: both could be mined"
    )]
    ConflictMissing { withdrawal: WithdrawalId },
    #[error(
        "{transfer} was authorised in a transaction that this one does not conflict with: both could be mined"
    )]
    TransferConflictMissing { transfer: TransferId },
    #[error("this was replaced {TRANSACTIONS_MAX} times: no more")]
    ReplacedTooOften,
    #[error(
        "the bucket {bucket} holds {} base units, and {} are needed",
        available.base_units(),
        needed.base_units()
    )]
    BucketEmpty { bucket: BucketName, available: Amount, needed: Amount },

    #[error("no policy is pinned: add a section [policy] to the pinned file")]
    PolicyUnpinned,
    #[error(
        "the release is under the policy {policy}, and no operators' words that are known here lead to it: find out who made it the \
         exchange's"
    )]
    PolicyNotApproved { policy: String },
    #[error(
        "the policy of the release counts from {from} on: until then Holdfast must decide under the one before"
    )]
    PolicyTooYoung { from: Timestamp },
    #[error("the policy of the release was stopped: propose it again")]
    PolicyStopped,
    #[error(
        "the policy of the release was left: ask Holdfast for another release, or go back with a restore_policy text"
    )]
    PolicySuperseded,
    #[error("the operators' text is no step of this exchange's policy: its {field} differs")]
    PolicyStepDiffers { field: &'static str },
    #[error("an approval comes with the proposal of its author, who is pinned: its {field} differs")]
    PolicyProposalDiffers { field: &'static str },
    #[error("the policy does not only tighten, so others must approve it: {0}")]
    PolicyLoosens(Box<Loosens>),
    #[error("{max} such steps wait here already: let them be followed, or stop some")]
    PolicyStepsMany { max: usize },
    #[error("no step with this nonce is known here")]
    PolicyStepUnknown,

    #[error("{withdrawal}: {why}")]
    Payment { withdrawal: WithdrawalId, why: Box<Refused> },
    #[error("no customer's key approves anything here: pin a section [approval], or ask without the word")]
    ApprovalsNotPinned,
    #[error(
        "a payment has the word of its owner once, by an assertion or by a mandate: {withdrawal} has both"
    )]
    ApprovedTwice { withdrawal: WithdrawalId },
    #[error("{account} has no such credential here: enrol it, and let it age")]
    CredentialUnknown { account: AccountId },
    #[error("the credential of {account} counts from {from} on: wait, or let operators vouch")]
    CredentialTooYoung { account: AccountId, from: Timestamp },
    #[error("the credential of {account} was removed: it never counts again")]
    CredentialRemoved { account: AccountId },
    #[error("the credential of {account} is a master key: it never vouches for payments")]
    CredentialMaster { account: AccountId },
    #[error(
        "the credential of {account} still vouches for {} base units of {asset} on {network} in these 30 days, and {} are needed: \
         wait, or let operators vouch",
        available.base_units(),
        needed.base_units()
    )]
    CredentialCap {
        account: AccountId,
        asset: AssetSymbol,
        network: Network,
        available: Amount,
        needed: Amount,
    },
    #[error("the assertion is refused ({code}): {0}", code = .0.code())]
    AssertionInvalid(WebAuthnError),
    #[error(
        "the key does not say that it knew its owner, which is pinned as required: ask with user verification"
    )]
    AssertionUserUnverified,
    #[error(
        "the key's counter went back: two devices may hold this credential. Remove it, and recover the account"
    )]
    CounterBack,

    #[error("the mandate's text cannot be read: {0}")]
    MandateMalformed(TextError),
    #[error("the mandate is not for this withdrawal: its {field} differs")]
    MandateDiffers { field: &'static str },
    #[error(
        "the mandate is valid from {not_before} to {not_after}, and it is {now}: ask its owner for a new one"
    )]
    MandateNotNow { not_before: Timestamp, not_after: Timestamp, now: Timestamp },
    #[error("{mandate} was used with another text: one id has one text")]
    MandateChanged { mandate: MandateId },
    #[error("the key is not the one whose SHA-256 the mandate names, or is neither Ed25519 nor RSA")]
    MandateKey,
    #[error("the request under the mandate is refused ({code}): {0}", code = .0.code())]
    MandateRequest(RequestError),
    #[error("the request under the mandate is of a dialect that this signer does not know")]
    MandateDialect,
    #[error(
        "the request under the mandate asks for something else: its {field} differs from the withdrawal's text"
    )]
    MandateRequestDiffers { field: &'static str },
    #[error("the request under the mandate was used for {withdrawal}: one request pays one withdrawal")]
    MandateRequestUsed { withdrawal: WithdrawalId },
    #[error("the mandate does not name this destination")]
    MandateDestination,
    #[error("the mandate permits {} base units at once, and {} are asked for", max.base_units(), needed.base_units())]
    MandateAmount { max: Amount, needed: Amount },
    #[error(
        "the mandate has {} base units left for these 24 hours, and {} are needed",
        available.base_units(),
        needed.base_units()
    )]
    MandateDay { available: Amount, needed: Amount },

    #[error("the credential's public key is refused ({code}): {0}", code = .0.code())]
    CredentialKey(WebAuthnError),
    #[error("{max} first credentials were taken in 24 hours, as many as are pinned: come again at {again}")]
    EnrolmentsExhausted { max: u32, again: Timestamp },
    #[error(
        "{account} has, or had, a credential that came to count, or will: another one comes by the word of one that counts, or of operators"
    )]
    AccountHasCredentials { account: AccountId },
    #[error("this credential id is known as another account's")]
    CredentialTaken,
    #[error("this credential id is known with another key, or otherwise marked: make a new credential")]
    CredentialDiffers,
    #[error("the change's text cannot be read: {0}")]
    ChangeMalformed(TextError),
    #[error("the change's text is not about this credential: its {field} differs")]
    ChangeDiffers { field: &'static str },
    #[error("the change's text ended at {not_after}: ask the account's owner again")]
    ChangeExpired { not_after: Timestamp },
    #[error("the operators' text is not about this credential: its {field} differs")]
    RecoveryDiffers { field: &'static str },

    #[error("{withdrawal} was authorised before: it cannot be voided")]
    Spent { withdrawal: WithdrawalId },

    #[error("the operators' text cannot be read: {0}")]
    ActMalformed(TextError),
    #[error("the operators' text is for another exchange, signer or store")]
    ActTarget,
    #[error("the signer does no such act: halt, resume_signer, begin_epoch or adopt_store")]
    ActUnknown,
    #[error("the operators' text is not valid now: write a new one")]
    ActNotNow,
    #[error("the operators' text was used before: write one with a new nonce")]
    ActUsed,
    #[error("this act needs the signatures of {needed} pinned operators, and {valid} are valid")]
    SignaturesMissing { needed: usize, valid: usize },
    #[error("the next epoch must be above {current}")]
    EpochNotNext { current: u64 },
    #[error("the text names receipt {named}, and this store is at {counter}: merge its spend records again")]
    CounterDiffers { named: u64, counter: u64 },
    #[error("the store was copied or restored: operators adopt it with a signed adopt_store text")]
    StoreMoved,

    #[error("the request cannot be read")]
    RequestMalformed,
    #[error("the store failed, so nothing is signed until the signer is started again: {0}")]
    StoreFailed(String),
}

impl Refused {
    /// The same about one payment of a release: who asks knows which to ask about in another way, or to leave out.
    pub(crate) fn of(self, withdrawal: WithdrawalId) -> Self {
        match self {
            // A broken store says nothing about a payment.
            Self::StoreFailed(_) | Self::Payment { .. } => self,
            why => Self::Payment { withdrawal, why: Box::new(why) },
        }
    }

    /// The one payment that is refused, where the others of the release are not.
    pub const fn withdrawal(&self) -> Option<WithdrawalId> {
        match self {
            Self::Payment { withdrawal, .. }
            | Self::Voided { withdrawal }
            | Self::IntentExpired { withdrawal, .. }
            | Self::IntentChanged { withdrawal } => Some(*withdrawal),
            _ => None,
        }
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Halted { .. } => "halted",
            Self::Envelope(error) => error.code(),
            Self::Release(error) => error.code(),
            Self::ExchangeDiffers => "exchange_differs",
            Self::AudienceDiffers { .. } => "audience_differs",
            Self::ClockSimulated => "clock_simulated",
            Self::ClockReal => "clock_real",
            Self::WalletUnpinned { .. } => "wallet_unpinned",
            Self::WalletReceivesOnly { .. } => "wallet_receives_only",
            Self::Transaction(error) => error.code(),
            Self::DigestDiffers => "digest_differs",
            Self::FeeOverBound { .. } => "fee_over_bound",
            Self::FeeRateOverBound { .. } => "fee_rate_over_bound",
            Self::ReleaseEmpty => "release_empty",
            Self::ReleaseMixed => "release_mixed",
            Self::TextMalformed { error, .. }
            | Self::ActMalformed(error)
            | Self::ChangeMalformed(error)
            | Self::MandateMalformed(error) => error.reason.code(),
            Self::TextExchangeDiffers => "text_exchange_differs",
            Self::TextNetworkDiffers => "text_network_differs",
            Self::AssetUnpinned { .. } => "asset_unpinned",
            Self::DecimalsDiffer { .. } => "decimals_differ",
            Self::WithdrawalTwice { .. } => "withdrawal_twice",
            Self::PaymentMissing { .. } => "payment_missing",
            Self::OutputUnexplained { .. } => "output_unexplained",
            Self::OutputOtherWallet { .. } => "output_other_wallet",
            Self::TransferAssetDiffers { .. } => "transfer_asset_differs",
            Self::TransferPaymentMissing => "transfer_payment_missing",
            Self::TransferFee { .. } => "transfer_fee",
            Self::TransferUnsigned { .. } => "transfer_unsigned",
            Self::Voided { .. } => "voided",
            Self::IntentExpired { .. } => "intent_expired",
            Self::IntentChanged { .. } => "intent_changed",
            Self::TransferExpired { .. } => "transfer_expired",
            Self::TransferChanged { .. } => "transfer_changed",
            Self::TransactionClaimed => "transaction_claimed",
            Self::ClockBehind { .. } => "clock_behind",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Expired { .. } => "expired",
            Self::LifetimeTooLong { .. } => "lifetime_too_long",
            Self::EpochOld { .. } => "epoch_old",
            Self::EpochUnknown { .. } => "epoch_unknown",
            Self::SequenceOld { .. } => "sequence_old",
            Self::HeadDiffers { .. } => "head_differs",
            Self::StoreRolledBack { .. } => "store_rolled_back",
            Self::ReplacedTooOften => "replaced_too_often",
            Self::ConflictMissing { .. } => "conflict_missing",
            Self::TransferConflictMissing { .. } => "transfer_conflict_missing",
            Self::BucketEmpty { .. } => "bucket_empty",
            Self::PolicyUnpinned => "policy_unpinned",
            Self::PolicyNotApproved { .. } => "policy_not_approved",
            Self::PolicyTooYoung { .. } => "policy_too_young",
            Self::PolicyStopped => "policy_stopped",
            Self::PolicySuperseded => "policy_superseded",
            Self::PolicyStepDiffers { .. } => "policy_step_differs",
            Self::PolicyProposalDiffers { .. } => "policy_proposal_differs",
            Self::PolicyLoosens(_) => "policy_loosens",
            Self::PolicyStepsMany { .. } => "policy_steps_many",
            Self::PolicyStepUnknown => "policy_step_unknown",
            Self::Payment { why, .. } => why.code(),
            Self::ApprovalsNotPinned => "approvals_not_pinned",
            Self::ApprovedTwice { .. } => "approved_twice",
            Self::CredentialUnknown { .. } => "credential_unknown",
            Self::CredentialTooYoung { .. } => "credential_too_young",
            Self::CredentialRemoved { .. } => "credential_removed",
            Self::CredentialMaster { .. } => "credential_master",
            Self::CredentialCap { .. } => "credential_cap",
            Self::AssertionInvalid(_) => "assertion_invalid",
            Self::AssertionUserUnverified => "assertion_user_unverified",
            Self::CounterBack => "counter_back",
            Self::MandateDiffers { .. } => "mandate_differs",
            Self::MandateNotNow { .. } => "mandate_not_now",
            Self::MandateChanged { .. } => "mandate_changed",
            Self::MandateKey => "mandate_key",
            Self::MandateRequest(_) => "mandate_request_invalid",
            Self::MandateDialect => "mandate_dialect",
            Self::MandateRequestDiffers { .. } => "mandate_request_differs",
            Self::MandateRequestUsed { .. } => "mandate_request_used",
            Self::MandateDestination => "mandate_destination",
            Self::MandateAmount { .. } => "mandate_amount",
            Self::MandateDay { .. } => "mandate_day",
            Self::CredentialKey(_) => "credential_key_invalid",
            Self::EnrolmentsExhausted { .. } => "enrolments_exhausted",
            Self::AccountHasCredentials { .. } => "account_has_credentials",
            Self::CredentialTaken => "credential_taken",
            Self::CredentialDiffers => "credential_differs",
            Self::ChangeDiffers { .. } => "change_differs",
            Self::ChangeExpired { .. } => "change_expired",
            Self::RecoveryDiffers { .. } => "recovery_differs",
            Self::Spent { .. } => "spent",
            Self::ActTarget => "act_target",
            Self::ActUnknown => "act_unknown",
            Self::ActNotNow => "act_not_now",
            Self::ActUsed => "act_used",
            Self::SignaturesMissing { .. } => "signatures_missing",
            Self::EpochNotNext { .. } => "epoch_not_next",
            Self::CounterDiffers { .. } => "counter_differs",
            Self::StoreMoved => "store_moved",
            Self::RequestMalformed => "request_malformed",
            Self::StoreFailed(_) => "store_failed",
        }
    }
}

impl From<EnvelopeError> for Refused {
    fn from(error: EnvelopeError) -> Self {
        Self::Envelope(error)
    }
}

impl From<PayloadError> for Refused {
    fn from(error: PayloadError) -> Self {
        Self::Release(error)
    }
}

impl From<TransactionError> for Refused {
    fn from(error: TransactionError) -> Self {
        Self::Transaction(error)
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::StoreFailed(error.to_string())
    }
}
