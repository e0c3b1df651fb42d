//! Why: the codes that answers carry, and the reasons behind an outcome.

use core::fmt;

use holdfast_values::Timestamp;
use minicbor::{Decode, Encode};

/// Declares an enum of stable codes: the variant, its number in the journal, its code and its sentence.
macro_rules! codes {
    ($(#[$meta:meta])* $name:ident { $($number:literal $variant:ident $code:literal $sentence:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
        #[cbor(index_only)]
        pub enum $name {
            $(#[doc = $sentence] #[n($number)] $variant,)*
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable code, as answers and policies carry it.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What it means and what to do.
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }
    };
}

codes! {
    /// Why a command changed nothing.
    Refusal {
        0 AccountUnknown "account_unknown" "Holdfast does not know this account: open it first.",
        1 AccountExists "account_exists" "The account is open already.",
        2 TierUnknown "tier_unknown" "No tier of this name is configured.",
        3 AssetUnknown "asset_unknown" "No asset of this symbol is configured.",
        4 NetworkNotConfigured "network_not_configured" "The asset is not configured on this network.",
        5 NetworkNotReleasable "network_not_releasable" "Holdfast cannot decode this network's transactions, so nothing on it may be released.",
        6 AmountZero "amount_zero" "The amount is zero.",
        7 IdempotencyConflict "idempotency_conflict" "The idempotency key was used with another body within 24 hours: use a new key.",
        8 WithdrawalUnknown "withdrawal_unknown" "No open withdrawal has this id.",
        9 WithdrawalForeign "withdrawal_foreign" "The withdrawal belongs to another account.",
        10 WithdrawalExists "withdrawal_exists" "A withdrawal of this id exists already.",
        11 NotAwaitingFactor "not_awaiting_factor" "The withdrawal does not wait for a one-time code.",
        12 ApiKeyUnknown "api_key_unknown" "The account has no such API key.",
        13 ApiKeyForeign "api_key_foreign" "An API key of this id belongs to another account.",
        14 AllowlistRequired "ip_allowlist_required" "A key that may withdraw needs an IP allowlist.",
        15 TooMany "too_many" "A limit on how many of these there may be is reached.",
        16 AddressUnknown "address_unknown" "The destination is not in the account's address book.",
        17 NotTighter "not_tighter" "This would loosen; loosening is an act of operators.",
        18 CaseUnknown "case_unknown" "No open case has this id.",
        19 TextExchange "text_exchange" "The signed text names another exchange.",
        20 TextNotNow "text_not_now" "The signed text is not valid now: see its not-before and not-after (at most 7 days apart).",
        21 TextUsed "text_used" "A text with this nonce was used before: sign a new one.",
        22 TextDiffers "text_differs" "The signed text does not say what is asked.",
        23 SignaturesInsufficient "signatures_insufficient" "Not enough different operators, enrolled long enough, have signed.",
        24 OperatorUnknown "operator_unknown" "No operator of this name is enrolled.",
        25 OperatorExists "operator_exists" "An operator of this name or key is enrolled already.",
        26 OperatorsTooFew "operators_too_few" "Too few operators would remain to sign anything.",
        27 ConfigurationInvalid "configuration_invalid" "The configuration cannot be used.",
        28 PolicyInvalid "policy_invalid" "The compiled policy cannot be used.",
        29 NotHalted "not_halted" "This is not halted.",
        30 NotFrozen "not_frozen" "The account is not frozen.",
        31 TokenExists "token_exists" "A client of this name has a token already.",
        32 TokenUnknown "token_unknown" "No client of this name has a token.",
        33 ImportUnknown "import_unknown" "No signed manifest lists this part, or it was imported before.",
        34 ClockNotSuspect "clock_not_suspect" "The clock is not under suspicion.",
        35 RulesUnknown "rules_unknown" "This binary does not contain that version of the rules.",
        36 AlreadyInitialised "already_initialised" "The journal has its first record already.",
        37 NotInitialised "not_initialised" "The journal has no first record: run holdfast init.",
        38 InitialiseInvalid "initialise_invalid" "The first record needs at least as many operators as loosening needs signatures, with different names and keys.",
        39 WalletUnknown "wallet_unknown" "No wallet of this name is configured.",
        40 ImportTime "import_time" "History lies in the past, and withdrawals come oldest first.",
        41 ApiKeyRevoked "api_key_revoked" "This API key was revoked, for ever: make another.",
        42 HaltScopeUnknown "halt_scope_unknown" "There is no such asset, wallet or account to halt.",
        43 AlreadyReleased "already_released" "A signer may have signed for this withdrawal: only a chain or the signer's receipt takes it back.",
        44 SignerUnknown "signer_unknown" "No signer of this name is configured.",
        45 SignerNotRecovered "signer_not_recovered" "After a restore this signer's spend records were not taken in yet: run holdfast recover.",
        46 WalletChainUnknown "wallet_chain_unknown" "The wallet has no descriptors or address on this network: configure its chains.",
        47 BatchEmpty "batch_empty" "A transaction pays withdrawals or is an internal transfer, one of the two.",
        48 BatchDuplicate "batch_duplicate" "The batch names a withdrawal twice.",
        49 WalletDiffers "wallet_differs" "The withdrawal is paid by another wallet or on another network.",
        50 OutputMissing "output_missing" "A withdrawal of the batch has no output of exactly its destination, asset and amount.",
        51 OutputExtra "output_extra" "An output pays nobody in the batch and is no change of the paying wallet.",
        52 FeeTooHigh "fee_too_high" "The fee is above the wallet's bound for one transaction.",
        53 FeeBucketSpent "fee_bucket_spent" "The wallet's fee bucket does not hold this fee now: wait, or lower it.",
        54 NotConflicting "not_conflicting" "An earlier transaction may pay this withdrawal: another must spend one of its inputs or its nonce.",
        55 TransferDiffers "transfer_differs" "The transaction does not do what the transfer's text says.",
        56 TransferForeign "transfer_foreign" "An internal transfer pays only the exchange's own wallets, unless operators signed its text.",
        57 HaltedNow "halted_now" "This is halted, or the clock is under suspicion: nothing is released.",
        58 ReceiptStale "receipt_stale" "The receipt belongs to another exchange, epoch or signer.",
        59 EpochInvalid "epoch_invalid" "The epoch is not a later one (by 1,000 at most), or this signer's records were taken in already.",
        60 StatementDiffers "statement_differs" "The signer's statement is not the one that the signed text names.",
        61 ReleaseDiffers "release_differs" "This very transaction was released before, for another signer, wallet, transfer or other withdrawals, or it can never be taken any more.",
        62 CoinSpent "coin_spent" "An input or nonce of the transaction is spent for good by another: nothing could ever replace it, so build it from others.",
        63 ApprovalNeeded "approval_required" "This needs the approval of a credential of the account that counts, over the text of exactly this.",
        64 CredentialUnknown "credential_unknown" "The account has no such credential.",
        65 CredentialNotCounting "credential_not_counting" "The credential does not count for this: it was removed, waits for operators, is for something else, or is younger than its ageing.",
        66 CounterWentBack "counter_went_back" "The authenticator's counter did not rise: the assertion was used before, or the key was copied.",
        67 TextLapsed "text_lapsed" "The withdrawal's text is past its time: renew it, and approve the new one.",
        68 TextNotLapsed "text_not_lapsed" "The withdrawal has a text that is good: there is nothing to renew.",
        69 SettingsLocked "settings_locked" "The account's settings are locked: unlock them first, and wait, or show the master key.",
        70 NothingToChange "nothing_to_change" "What this would change is not there, or is so already.",
        71 AccountFrozen "account_frozen" "The account is frozen: only what tightens may change. Its owner's credential ends its owner's own freeze, and operators end any.",
        72 CodeNeeded "code_needed" "This needs a right one-time or recovery code of the account.",
        73 CredentialExists "credential_exists" "The account has this credential already, or had it.",
        74 PartyMissing "party_not_configured" "No relying party is configured where this credential could be used.",
        75 RecoveryUnderWay "recovery_under_way" "A recovery of the account is under way already.",
        76 RecoveryNotBegun "recovery_not_begun" "No recovery of the account is under way, or this credential does not wait for it.",
        77 RecoveryWaits "recovery_waits" "The recovery has not waited long enough for somebody to object.",
        78 MandateUnknown "mandate_unknown" "The account has no such mandate in force.",
        79 ChangeInvalid "change_invalid" "The change asks for something that cannot be.",
        80 CodeLocked "code_locked" "Too many wrong codes came from there: wait until the time that is named. Devices that the account has known for a day are counted apart.",
        81 CodeUsed "code_used" "This code was used before: each is good once.",
        82 CodesUnknown "codes_unknown" "The account has no such codes, or newer ones by now.",
        83 CodeNotHere "code_not_here" "A recovery code signs in and changes an account's protection; it approves no withdrawal.",
        84 ActReplaced "act_replaced" "This act was replaced: propose the policy, then approve it.",
        85 PolicySuperseded "policy_superseded" "Another policy decides than the one that this would follow: propose it again, for that one.",
        86 ProposalUnknown "proposal_unknown" "No open proposal of this author has this policy and follows the active one.",
        87 ProposalExists "proposal_exists" "The author has an open proposal of this very policy already.",
        88 ProposalInvalid "proposal_invalid" "A proposal changes something, has a reason of 1 to 1024 bytes and a report of at most 65536, and one author signs it alone.",
        89 PolicyNotTighter "policy_not_tighter" "By its text alone this policy is not plainly tighter than the active one: propose it, and let others approve it.",
        90 BaseUnknown "base_unknown" "No approved policy of this hash was left in the last 72 hours: propose it again.",
        91 ActUnknown "act_unknown" "No scheduled act and no open proposal has this nonce.",
        92 RulesTooOld "rules_too_old" "This needs a later version of the rules: activate it first.",
        93 RulesOlder "rules_older" "The rules never go back to an older version.",
        94 ConfigurationSuperseded "configuration_superseded" "The configuration changed since this one was accepted: sign it again, on top of that change.",
        95 LimitsSuperseded "limits_superseded" "The account's limits were set anew since this was accepted: sign it again, if it is still meant.",
    }
}

codes! {
    /// Why a withdrawal does not simply go.
    Cause {
        0 AccountFrozen "account_frozen" "The account is frozen.",
        1 ApiKeyUnknown "api_key_unknown" "The account has no such API key.",
        2 ApiKeyRevoked "api_key_revoked" "The API key was revoked.",
        3 ApiKeyRevision "api_key_revision" "The request was verified against an older revision of the key.",
        4 ApiKeyScope "api_key_scope" "The API key may not withdraw.",
        5 ApiIpNotAllowed "api_ip_not_allowed" "The request came from an address that is not on the key's allowlist.",
        6 ApiTimestamp "api_timestamp" "The request was signed outside its time window.",
        7 ApiReplayed "api_replayed" "This signed request was seen before.",
        8 ApiMismatch "api_mismatch" "The signed request says something else than the withdrawal.",
        9 NotPermitted "not_permitted" "No permit of the policy matches.",
        10 PolicyError "policy_error" "A policy could not be evaluated.",
        11 PriceUnknown "price_unknown" "There is no price for the asset.",
        12 Halted "halted" "Withdrawals are halted here; they wait and lose nothing.",
        13 BucketQueued "bucket_queued" "The bucket is spent for now: the withdrawal waits for its turn.",
        14 BucketShare "exceeds_bucket_share" "The amount is more than one account may take from the bucket.",
        15 BucketMissing "bucket_not_configured" "No bucket is configured for this outflow.",
        16 QueuedTooLong "queued_too_long" "The withdrawal waited for its bucket longer than configured.",
        17 ClockSuspect "clock_suspect" "The clock moved; deadlines stop until operators confirm it.",
        18 ApprovedByOperators "approved_by_operators" "Operators approved this withdrawal.",
        19 DeniedByStaff "denied_by_staff" "The exchange's staff denied this withdrawal.",
        20 DestinationRemoved "destination_removed" "The owner took the destination out of the address book while the withdrawal was under way.",
        21 MayBePaid "may_be_paid" "A signer paid the same before the journal was restored: a person looks before it is paid again.",
        22 SettingsLocked "settings_locked" "The account's settings are locked, and the destination is not in its address book.",
        23 ApiKeyExpired "api_key_expired" "The API key is past the time that its owner gave it.",
        24 ApiKeyIdle "api_key_idle" "The API key is bound to no address and was not used for 14 days: put it anew.",
        25 ApiDestinationNotAllowed "api_destination_not_allowed" "The API key may pay only the destinations that its owner named.",
        26 ApiKeyOverLimit "api_key_over_limit" "The API key's own limit for any 24 hours would be passed.",
    }
}

codes! {
    /// Why a withdrawal was left out of a transaction.
    Drop {
        0 Closed "closed" "It is not open: cancelled, denied, expired, paid or unknown.",
        1 NotApproved "not_approved" "It is open but not approved.",
        2 DecidedAgain "decided_again" "It was decided again, whole, and is not approved any more.",
        3 Stopped "stopped" "It was released before; a halt or a freeze stops another release.",
    }
}

/// How much an answer asks for, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum Severity {
    /// It may go.
    #[n(0)]
    Allow,
    /// It waits.
    #[n(1)]
    Dwell,
    /// Its owner is asked for a factor.
    #[n(2)]
    StepUp,
    /// A person looks at it.
    #[n(3)]
    Hold,
    /// It does not go.
    #[n(4)]
    Deny,
}

impl Severity {
    /// As answers carry it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Dwell => "dwell",
            Self::StepUp => "step_up",
            Self::Hold => "hold",
            Self::Deny => "deny",
        }
    }
}

/// One reason of an outcome.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Reason {
    /// A [`Cause`]'s code, or the `@reason` of a policy.
    #[n(0)]
    pub code: String,
    /// What this reason alone asks for.
    #[n(1)]
    pub severity: Severity,
    /// What was observed.
    #[n(2)]
    pub observed: String,
    /// What was expected instead.
    #[n(3)]
    pub expected: String,
    /// Log-evidence in 1/1024 nat; zero for a rule that does not weigh.
    #[n(4)]
    pub weight: u32,
    /// The policy that says so, if one does.
    #[n(5)]
    pub policy: Option<String>,
    /// Until when, for a dwell or a queue.
    #[n(6)]
    pub until: Option<Timestamp>,
    /// The journal's sequence numbers of the events behind it.
    #[n(7)]
    pub events: Vec<u64>,
}

impl Reason {
    /// A reason from the ladder or the buckets.
    pub fn new(
        cause: Cause,
        severity: Severity,
        observed: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            code: cause.code().to_owned(),
            severity,
            observed: observed.into(),
            expected: expected.into(),
            weight: 0,
            policy: None,
            until: None,
            events: Vec::new(),
        }
    }
}
