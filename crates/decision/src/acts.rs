//! Acts of the exchange's staff that loosen something: what they are called, what their text says, what they need.

use holdfast_values::{AccountId, CaseId, Name, UsdCents, WithdrawalId};
use minicbor::{Decode, Encode};

use crate::configuration::Configuration;
use crate::event::SpendRecovered;
use crate::subject::{OperatorKey, PolicySource, Scope, TokenScopes, TokenSpec};

/// One act. Its text's `act`, `target` and `detail` lines are exactly what [`Act::lines`] gives.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Act {
    /// End a halt.
    #[n(0)]
    Resume(#[n(0)] Scope),
    /// Let a held withdrawal go on; it then spends the bound bucket. Only in journals of before
    /// [`Act::ApproveWithdrawal`], whose text says what is approved: no new text can say this.
    #[n(1)]
    ApproveCase(#[n(0)] CaseId),
    /// End the freeze of an account.
    #[n(2)]
    UnfreezeAccount(#[n(0)] AccountId),
    /// Move an account to another tier.
    #[n(3)]
    SetTier {
        /// Which account.
        #[n(0)]
        account: AccountId,
        /// Name of a configured tier.
        #[n(1)]
        tier: Name,
    },
    /// Give an account limits of its own; `None` is the tier's.
    #[n(4)]
    SetLimits {
        /// Which account.
        #[n(0)]
        account: AccountId,
        /// In any 24 hours.
        #[n(1)]
        usd_cents_24h: Option<UsdCents>,
        /// In any 30 days.
        #[n(2)]
        usd_cents_30d: Option<UsdCents>,
    },
    /// Replace the configuration; the payload is its document.
    #[n(5)]
    Configure(#[n(0)] Box<Configuration>),
    /// A further operator, who counts after the operators' ageing.
    #[n(6)]
    EnrolOperator(#[n(0)] OperatorKey),
    /// An operator's signature no longer counts.
    #[n(7)]
    RevokeOperator(#[n(0)] Name),
    /// Decide by another policy; the payload is the pack.
    #[n(8)]
    ActivatePolicy(#[n(0)] Box<PolicySource>),
    /// Accept history; the payload is a manifest of SHA-256 digests, one a line.
    #[n(9)]
    Import(#[n(0)] Vec<Digest>),
    /// Give a client a token.
    #[n(10)]
    IssueToken(#[n(0)] TokenSpec),
    /// The clock is right after all: deadlines and refills go on.
    #[n(11)]
    ConfirmClock,
    /// Decide by another version of the rules in the code.
    #[n(12)]
    ActivateRules(#[n(0)] u32),
    /// Let a held withdrawal go on, exactly as its text says; it then spends the bound bucket, here and at the signer.
    #[n(13)]
    ApproveWithdrawal {
        /// Which.
        #[n(0)]
        withdrawal: WithdrawalId,
        /// SHA-256 of its text.
        #[n(1)]
        text: Digest,
    },
    /// Let a restored journal go on, with a signer's spend records taken in.
    #[n(14)]
    BeginEpoch(#[n(0)] Box<EpochStart>),
    /// Give an account back to its owner, whom no factor of the account vouches for any more: only the credential that
    /// waited for this counts from here, after its ageing.
    #[n(15)]
    RecoverAccount {
        /// Which account.
        #[n(0)]
        account: AccountId,
        /// SHA-256 of the credential's id.
        #[n(1)]
        credential: Digest,
        /// SHA-256 of its public key in canonical COSE.
        #[n(2)]
        key: Digest,
    },
    /// Put a policy before the others; the payload is the pack with its reason and report.
    #[n(16)]
    ProposePolicy(#[n(0)] Box<PolicyProposal>),
    /// Let a proposed policy decide; its author's own signature does not count.
    #[n(17)]
    ApprovePolicy {
        /// The pack's hash.
        #[cbor(n(0), with = "minicbor::bytes")]
        hash: [u8; 32],
        /// The hash of the pack that it follows.
        #[cbor(n(1), with = "minicbor::bytes")]
        from: [u8; 32],
        /// Whose proposal.
        #[n(2)]
        author: Name,
    },
    /// Decide by the active policy made tighter, as its text shows; the payload is the whole pack.
    #[n(18)]
    TightenPolicy(#[n(0)] Box<PolicyTightening>),
    /// Go back to a policy that was approved and left not long ago.
    #[n(19)]
    RestorePolicy {
        /// The pack's hash.
        #[cbor(n(0), with = "minicbor::bytes")]
        hash: [u8; 32],
        /// The hash of the pack that decides now.
        #[cbor(n(1), with = "minicbor::bytes")]
        from: [u8; 32],
    },
    /// Stop an act that waits for its time, or take a proposal back.
    #[n(20)]
    StopAct(#[n(0)] Digest),
}

/// A policy, and why it should decide.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PolicyProposal {
    /// The pack.
    #[n(0)]
    pub source: PolicySource,
    /// The hash of the pack that it follows.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub from: [u8; 32],
    /// Why; at most [`REASON_BYTES_MAX`].
    #[n(2)]
    pub reason: String,
    /// What its author found out about it (difference, proofs, back-test), as JSON; at most [`REPORT_BYTES_MAX`].
    #[n(3)]
    pub report: String,
}

/// The active policy, made tighter.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PolicyTightening {
    /// The whole pack.
    #[n(0)]
    pub source: PolicySource,
    /// The hash of the pack that it follows.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub from: [u8; 32],
}

/// The longest reason of a proposal.
pub const REASON_BYTES_MAX: usize = 1_024;
/// The longest report of a proposal.
pub const REPORT_BYTES_MAX: usize = 65_536;

/// A new epoch, and what one signer remembers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EpochStart {
    /// The epoch that begins.
    #[n(0)]
    pub epoch: u64,
    /// The signer's store.
    #[cbor(n(1), with = "minicbor::bytes")]
    pub store: [u8; 16],
    /// The signer's counter.
    #[n(2)]
    pub counter: u64,
    /// The signer.
    #[n(3)]
    pub signer: Name,
    /// What it authorised and this journal does not know as paid, from its signed statement.
    #[n(4)]
    pub spends: Vec<SpendRecovered>,
    /// What it will never authorise.
    #[n(5)]
    pub voided: Vec<WithdrawalId>,
}

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Digest(#[cbor(n(0), with = "minicbor::bytes")] pub [u8; 32]);

/// The lines of an operator's text that name an act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActLines {
    /// The act's name.
    pub act: &'static str,
    /// What it is about, or `-`.
    pub target: String,
    /// Its parameters, or `-`.
    pub detail: String,
    /// True if the text must carry the digest of a payload.
    pub payload: bool,
}

/// How many signatures an act needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Required {
    /// It tightens: one operator is enough.
    One,
    /// It undoes what one alone did: two, whatever the configuration says.
    Two,
    /// It loosens: as many as the configuration says, and never fewer than two.
    Several,
}

impl Required {
    /// As `docs/operator-acts.md` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
            Self::Several => "several",
        }
    }
}

/// How long an act waits between its signatures and its effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// Not at all.
    No,
    /// The configured `resume_delay`.
    Resume,
    /// The configured `loosening_delay`.
    Loosening,
}

impl Waits {
    /// As `docs/operator-acts.md` says it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Resume => "`resume_delay`",
            Self::Loosening => "`loosening_delay`",
        }
    }
}

/// A row of the table of `docs/operator-acts.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActRow {
    /// The act's name.
    pub name: &'static str,
    /// Whose signatures, unless it only tightens.
    pub required: Required,
    /// How long it waits, unless it only tightens.
    pub waits: Waits,
    /// What it does, and what its text says.
    pub what: &'static str,
}

macro_rules! acts {
    ($($name:literal $required:ident $waits:ident $what:literal;)*) => {
        /// All acts that a new text can name.
        pub const ACTS: &[ActRow] =
            &[$(ActRow { name: $name, required: Required::$required, waits: Waits::$waits, what: $what },)*];
    };
}

acts! {
    "resume" Several Resume "end a halt: target `overall`, `asset:X`, `wallet:X` or `account:X`; a new halt of the same stops it";
    "approve_withdrawal" Several No "let a held withdrawal go on: target the withdrawal, detail `text=HEX`, the SHA-256 of its text";
    "unfreeze_account" Several No "end an account's freeze: target the account";
    "set_tier" Several Loosening "target the account, detail `tier=NAME`";
    "set_limits" Several Loosening "target the account, detail `usd-cents-24h=N usd-cents-30d=N`, or `tier` for N; where neither rises, one signature and no wait";
    "configure" Several Loosening "replace the configuration: the payload is the document; where it only tightens, one signature and no wait";
    "enrol_operator" Several Loosening "target the name, detail `key=HEX`, or `key=passkey:HEX` with the SHA-256 of the public key of a passkey; counts after the operators' ageing";
    "revoke_operator" One No "target the name; several where those who are left could not do without one more of them";
    "activate_policy" Several No "before rules version 3 alone: target the pack's hash; the payload is the pack";
    "import" Several Loosening "the payload is the manifest: SHA-256 digests, one a line";
    "issue_token" Several Loosening "target the client, detail `scopes=N hash=HEX`; a token that can only read and halt does not wait";
    "confirm_clock" Several No "the clock is right: deadlines and refills go on";
    "activate_rules" Several Loosening "detail `version=N`; never an older one";
    "begin_epoch" Several No "let a restored journal go on: target `epoch:N`, detail `store=HEX counter=N`, those of a signer's statement";
    "recover_account" Several No "give an account back to its owner: target the account, detail `credential=HEX key=HEX`, the SHA-256 of the waiting credential's id and of its key; once the recovery has waited `recovery_wait` (72 h), by a text whose not-before is after its beginning";
    "propose_policy" One No "put a policy before the others: target the pack's hash, detail `from=HEX`, the hash of the active pack; the payload is the pack with its reason and report";
    "approve_policy" Several Loosening "let a proposed policy decide: target the pack's hash, detail `from=HEX author=NAME`; its author's own signature does not count";
    "tighten_policy" One No "make the active policy tighter, as its text alone shows: target the new pack's hash, detail `from=HEX`; the payload is the whole new pack";
    "restore_policy" Two No "go back to a policy that was approved and left at most 72 h ago: target its hash, detail `from=HEX`";
    "stop_act" One No "stop an act that waits, or take a proposal back: target `act:HEX`, the nonce of its text";
}

impl Act {
    /// What this act needs, unless State shows that it only tightens.
    pub const fn required(&self) -> Required {
        match self {
            Self::RevokeOperator(_) | Self::ProposePolicy(_) | Self::TightenPolicy(_) | Self::StopAct(_) => {
                Required::One
            }
            Self::RestorePolicy { .. } => Required::Two,
            _ => Required::Several,
        }
    }

    /// How long this act waits, unless State shows that it only tightens.
    pub fn waits(&self) -> Waits {
        let halts_and_reads = TokenScopes::READ.with(TokenScopes::HALT);
        match self {
            Self::Resume(_) => Waits::Resume,
            Self::IssueToken(token) if halts_and_reads.contains(token.scopes) => Waits::No,
            Self::SetTier { .. }
            | Self::SetLimits { .. }
            | Self::Configure(_)
            | Self::EnrolOperator(_)
            | Self::Import(_)
            | Self::IssueToken(_)
            | Self::ActivateRules(_)
            | Self::ApprovePolicy { .. } => Waits::Loosening,
            _ => Waits::No,
        }
    }

    /// How the signed text must name this act.
    pub fn lines(&self) -> ActLines {
        let none = || "-".to_owned();
        let (act, target, detail, payload) = match self {
            Self::Resume(scope) => ("resume", scope_text(scope), none(), false),
            Self::ApproveCase(case) => ("approve_case", case.to_string(), none(), false),
            Self::UnfreezeAccount(account) => ("unfreeze_account", account.to_string(), none(), false),
            Self::SetTier { account, tier } => {
                ("set_tier", account.to_string(), format!("tier={tier}"), false)
            }
            Self::SetLimits { account, usd_cents_24h, usd_cents_30d } => {
                let text = |limit: &Option<UsdCents>| match limit {
                    Some(cents) => cents.0.to_string(),
                    None => "tier".to_owned(),
                };
                let detail =
                    format!("usd-cents-24h={} usd-cents-30d={}", text(usd_cents_24h), text(usd_cents_30d));
                ("set_limits", account.to_string(), detail, false)
            }
            Self::Configure(_) => ("configure", none(), none(), true),
            Self::EnrolOperator(operator) => {
                let detail = format!("key={}", operator.public_key);
                ("enrol_operator", operator.name.to_string(), detail, false)
            }
            Self::RevokeOperator(name) => ("revoke_operator", name.to_string(), none(), false),
            Self::ActivatePolicy(policy) => ("activate_policy", hex(&policy.hash), none(), true),
            Self::Import(_) => ("import", none(), none(), true),
            Self::IssueToken(token) => {
                let detail = format!("scopes={} hash={}", token.scopes.0, hex(&token.token_hash));
                ("issue_token", token.client.to_string(), detail, false)
            }
            Self::ConfirmClock => ("confirm_clock", none(), none(), false),
            Self::ActivateRules(version) => ("activate_rules", none(), format!("version={version}"), false),
            Self::ApproveWithdrawal { withdrawal, text } => {
                ("approve_withdrawal", withdrawal.to_string(), format!("text={}", hex(&text.0)), false)
            }
            Self::BeginEpoch(start) => {
                let detail = format!("store={} counter={}", hex(&start.store), start.counter);
                ("begin_epoch", format!("epoch:{}", start.epoch), detail, false)
            }
            Self::RecoverAccount { account, credential, key } => {
                let detail = format!("credential={} key={}", hex(&credential.0), hex(&key.0));
                ("recover_account", account.to_string(), detail, false)
            }
            Self::ProposePolicy(proposal) => {
                ("propose_policy", hex(&proposal.source.hash), from_text(&proposal.from), true)
            }
            Self::ApprovePolicy { hash, from, author } => {
                let detail = format!("{} author={author}", from_text(from));
                ("approve_policy", hex(hash), detail, false)
            }
            Self::TightenPolicy(tightening) => {
                ("tighten_policy", hex(&tightening.source.hash), from_text(&tightening.from), true)
            }
            Self::RestorePolicy { hash, from } => ("restore_policy", hex(hash), from_text(from), false),
            Self::StopAct(nonce) => ("stop_act", format!("act:{}", hex(&nonce.0)), none(), false),
        };
        ActLines { act, target, detail, payload }
    }

    /// Reads an act without payload back from the lines of its text; `None` if they are not exactly such lines.
    pub fn parse(act: &str, target: &str, detail: &str) -> Option<Self> {
        let parsed = match act {
            "resume" => Self::Resume(parse_scope(target)?),
            "approve_withdrawal" => Self::ApproveWithdrawal {
                withdrawal: target.parse().ok()?,
                text: Digest(unhex(detail.strip_prefix("text=")?)?),
            },
            "unfreeze_account" => Self::UnfreezeAccount(target.parse().ok()?),
            "set_tier" => Self::SetTier {
                account: target.parse().ok()?,
                tier: detail.strip_prefix("tier=")?.parse().ok()?,
            },
            "set_limits" => {
                let (day, month) = detail.split_once(' ')?;
                let limit = |text: &str| match text {
                    "tier" => Some(None),
                    cents => cents.parse().ok().map(|cents| Some(UsdCents(cents))),
                };
                Self::SetLimits {
                    account: target.parse().ok()?,
                    usd_cents_24h: limit(day.strip_prefix("usd-cents-24h=")?)?,
                    usd_cents_30d: limit(month.strip_prefix("usd-cents-30d=")?)?,
                }
            }
            "enrol_operator" => Self::EnrolOperator(OperatorKey {
                name: target.parse().ok()?,
                public_key: detail.strip_prefix("key=")?.parse().ok()?,
            }),
            "revoke_operator" => Self::RevokeOperator(target.parse().ok()?),
            "issue_token" => {
                let (scopes, hash) = detail.split_once(' ')?;
                Self::IssueToken(TokenSpec {
                    client: target.parse().ok()?,
                    token_hash: unhex(hash.strip_prefix("hash=")?)?,
                    scopes: TokenScopes(scopes.strip_prefix("scopes=")?.parse().ok()?),
                })
            }
            "confirm_clock" => Self::ConfirmClock,
            "recover_account" => {
                let (credential, key) = detail.split_once(' ')?;
                Self::RecoverAccount {
                    account: target.parse().ok()?,
                    credential: Digest(unhex(credential.strip_prefix("credential=")?)?),
                    key: Digest(unhex(key.strip_prefix("key=")?)?),
                }
            }
            "approve_policy" => {
                let (from, author) = detail.split_once(' ')?;
                Self::ApprovePolicy {
                    hash: unhex(target)?,
                    from: parse_from(from)?,
                    author: author.strip_prefix("author=")?.parse().ok()?,
                }
            }
            "restore_policy" => Self::RestorePolicy { hash: unhex(target)?, from: parse_from(detail)? },
            "stop_act" => Self::StopAct(Digest(unhex(target.strip_prefix("act:")?)?)),
            "activate_rules" => Self::ActivateRules(detail.strip_prefix("version=")?.parse().ok()?),
            _ => return None,
        };
        // One spelling: what does not print back as it came is not this act.
        let lines = parsed.lines();
        (lines.target == target && lines.detail == detail).then_some(parsed)
    }
}

/// A halt's scope as texts and people write it.
pub fn scope_text(scope: &Scope) -> String {
    match scope {
        Scope::Overall => "overall".to_owned(),
        Scope::Asset(asset) => format!("asset:{asset}"),
        Scope::Wallet(wallet) => format!("wallet:{wallet}"),
        Scope::Account(account) => format!("account:{account}"),
    }
}

/// Reads what [`scope_text`] prints.
pub fn parse_scope(text: &str) -> Option<Scope> {
    if text == "overall" {
        return Some(Scope::Overall);
    }
    match text.split_once(':')? {
        ("asset", asset) => Some(Scope::Asset(asset.parse().ok()?)),
        ("wallet", wallet) => Some(Scope::Wallet(wallet.parse().ok()?)),
        ("account", account) => Some(Scope::Account(account.parse().ok()?)),
        _ => None,
    }
}

/// How a text names the pack that another follows.
fn from_text(from: &[u8; 32]) -> String {
    format!("from={}", hex(from))
}

/// Reads the `from=HEX` of a policy act's detail.
pub fn parse_from(detail: &str) -> Option<[u8; 32]> {
    unhex(detail.strip_prefix("from=")?)
}

fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 64 {
        return None;
    }
    let mut bytes = [0u8; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use holdfast_values::OperatorPublicKey;

    #[test]
    fn acts_print_and_parse_one_way() {
        let name: Name = "alice".parse().unwrap();
        let account: AccountId = "ac_1".parse().unwrap();
        let acts = [
            Act::Resume(Scope::Overall),
            Act::Resume(Scope::Asset("BTC".parse().unwrap())),
            Act::Resume(Scope::Wallet(name.clone())),
            Act::Resume(Scope::Account(account.clone())),
            Act::ApproveWithdrawal { withdrawal: WithdrawalId(7), text: Digest([7; 32]) },
            Act::UnfreezeAccount(account.clone()),
            Act::SetTier { account: account.clone(), tier: name.clone() },
            Act::RecoverAccount {
                account: account.clone(),
                credential: Digest([3; 32]),
                key: Digest([4; 32]),
            },
            Act::SetLimits { account, usd_cents_24h: Some(UsdCents(5)), usd_cents_30d: None },
            Act::EnrolOperator(OperatorKey {
                name: name.clone(),
                public_key: OperatorPublicKey::Ed25519([0xab; 32]),
            }),
            Act::EnrolOperator(OperatorKey {
                name: name.clone(),
                public_key: OperatorPublicKey::Passkey([0xab; 32]),
            }),
            Act::RevokeOperator(name.clone()),
            Act::IssueToken(TokenSpec { client: name.clone(), token_hash: [1; 32], scopes: TokenScopes(3) }),
            Act::ApprovePolicy { hash: [5; 32], from: [6; 32], author: name },
            Act::RestorePolicy { hash: [5; 32], from: [6; 32] },
            Act::StopAct(Digest([8; 32])),
            Act::ConfirmClock,
            Act::ActivateRules(2),
        ];
        for act in acts {
            let lines = act.lines();
            assert_eq!(Act::parse(lines.act, &lines.target, &lines.detail), Some(act.clone()), "{act:?}");
            let row = ACTS.iter().find(|row| row.name == lines.act).expect("every act stands in the table");
            assert_eq!((row.required, row.waits), (act.required(), act.waits()));
        }
        assert_eq!(Act::parse("activate_rules", "-", "version=02"), None, "another spelling");
        assert_eq!(Act::parse("confirm_clock", "x", "-"), None);
        assert_eq!(Act::parse("grant_everything", "-", "-"), None);
    }

    #[test]
    fn the_documented_acts_are_those_of_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operator-acts.md");
        let documented = std::fs::read_to_string(path).unwrap();
        let rows: Vec<&str> = documented.lines().filter(|line| line.starts_with("| `")).collect();
        let table: Vec<String> = ACTS
            .iter()
            .map(|row| {
                format!("| `{}` | {} | {} | {} |", row.name, row.required.name(), row.waits.name(), row.what)
            })
            .collect();
        assert_eq!(rows, table);
    }
}
