//! `docs/webhooks.md`, printed from the code: every message with an example made by the code that makes real ones.

use core::fmt::Write as _;

use holdfast_decision::Severity;
use holdfast_decision::acts::{Act, Digest, PolicyProposal};
use holdfast_decision::command::{
    Command, OperatorAct, OperatorKey, OperatorSignature, PolicySource, Scope, Scopes, SecurityChange,
    TokenScopes, TokenSpec,
};
use holdfast_decision::configuration::{Class, Configuration};
use holdfast_decision::event::{
    AccountIndex, Alarm, Approval, Decision, Event, Factors, PolicyMove, PolicyMoveKind, ProposalEnd,
    ProposalOpened, RecoveredTransaction, ScheduledAct, SpendRecovered, Standing, Status, TierIndex,
    TransactionReleased, WalletIndex,
};
use holdfast_decision::protection::{
    ApprovalFlags, Basis, Change, CredentialUse, KeyCohort, NewCredential, Place, SessionFacts,
};
use holdfast_decision::reason::{Reason, Refusal};
use holdfast_policy::Factor;
use holdfast_values::{
    Amount, ConflictKey, Fingerprint, Name, Network, OperatorProof, OperatorPublicKey, ReleaseId, Timestamp,
    UsdCents, WithdrawalId, time,
};

use super::MESSAGES;
use super::message::{Lookup, of_record};
use crate::record::{Decoded, Names};
use crate::views::WithdrawalNames;

const HEAD: &str = "\
# Webhooks

Holdfast tells your systems what happened, by [Standard Webhooks](https://www.standardwebhooks.com): an HTTP POST of one
JSON object with the headers `webhook-id`, `webhook-timestamp` and `webhook-signature`.

This page is printed from the code; a test compares the two.

## Receiving

Endpoints stand in the server's configuration:

    [[webhooks]]
    name = \"backend\"
    url = \"https://backend.example/holdfast\"
    secret_file = \"backend.whsec\"
    events = [\"withdrawal.approved\", \"withdrawal.held\"]

- The secret is `whsec_` and the base64 of 24 to 64 random bytes. The signature is `v1,` and the base64 of HMAC-SHA256,
  under those bytes, over `ID.TIMESTAMP.BODY` with the body as it came. Verify it before anything else, and refuse
  timestamps more than five minutes off. Any Standard Webhooks library does both.
- Without `events`, everything is sent; an endpoint that wants everything must accept types that it does not know.
- Without TLS only this machine can be told (`localhost`, `127.0.0.1`, `::1`). Redirects are not followed.
- Answer any 2xx within 15 seconds; do the work afterwards. Anything else is tried again after 1, 2, 4 ... seconds, at most
  5 minutes, for as long as it takes, and later messages wait: order is kept. An endpoint that does not answer holds up
  nothing but itself; `/ready` and `/metrics` tell of it.
- Delivery is at least once. `webhook-id` never changes for one message: forget what you have seen by it. It reads
  `msg_SEQUENCE_PLACE_RECORD`, the last being the beginning of the record's hash; nothing else should be read into it.
- A new endpoint is told of what happens from then on. One that comes back is told everything since it left.
- A message tells of a record that is durable: what it says has happened, and a read by its `sequence`
  (`min-sequence=`) sees it.

Every body has `type`, `timestamp` (the record's time) and `data`; `data` always has `sequence`. Destinations and API keys
are named by their keyed fingerprints, in hex. Amounts are decimal texts in whole units of the asset, values US dollars.

## Messages

";

/// The page.
pub fn webhooks_markdown() -> String {
    let mut page = HEAD.to_owned();
    let samples = samples();
    for kind in MESSAGES {
        let _infallible = write!(page, "### `{}`\n\n{}\n\n", kind.name, kind.doc);
        let example = samples
            .iter()
            .flat_map(|record| of_record(record, &Sample))
            .find(|message| message.kind == kind.name);
        if let Some(example) = example {
            let pretty = pretty(&example.body());
            let _infallible = write!(page, "`webhook-id: {}`\n\n```json\n{pretty}\n```\n\n", example.id());
        }
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

/// Indented, keys in alphabetical order whatever the build.
fn pretty(body: &str) -> String {
    fn sorted(value: serde_json::Value) -> serde_json::Value {
        match value {
            serde_json::Value::Object(map) => {
                let ordered: std::collections::BTreeMap<_, _> =
                    map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
                serde_json::Value::Object(ordered.into_iter().collect())
            }
            serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
            value => value,
        }
    }
    let value = serde_json::from_str(body).map(sorted).unwrap_or_default();
    serde_json::to_string_pretty(&value).unwrap_or_default()
}

/// 12:00 on some day.
const AT: Timestamp = Timestamp(1_795_348_800 * time::SECOND);
const SEQUENCE: u64 = 4_711;
const ID: WithdrawalId = WithdrawalId(0x0001_9f5c_1a2b_3c4d_5e6f_7081_92a3_b4c5);

/// Names for the examples.
struct Sample;

impl Names for Sample {
    fn account(&self, _: AccountIndex) -> Option<String> {
        Some("ac_1024".to_owned())
    }

    fn configuration(&self) -> Option<&Configuration> {
        None
    }

    fn network_of(&self, _: &Digest) -> Option<Network> {
        Some(Network::Bitcoin)
    }

    fn wallet(&self, _: WalletIndex) -> Option<&str> {
        Some("btc-hot")
    }

    fn tier(&self, _: TierIndex) -> Option<&str> {
        Some("full")
    }
}

impl Lookup for Sample {
    fn withdrawal(&self, _: WithdrawalId) -> Option<WithdrawalNames> {
        Some(WithdrawalNames {
            account: "ac_1024".to_owned(),
            asset: "BTC".to_owned(),
            network: "bitcoin".to_owned(),
            amount: "0.75000000".to_owned(),
        })
    }

    fn opened_case(&self, _: WithdrawalId, _: u64) -> bool {
        true
    }
}

fn decision(severity: Severity, status: Status, reason: Option<(&str, &str)>) -> Event {
    let factors = if status == Status::AwaitingApproval {
        Factors::default().with(Factor::OneTimeCode)
    } else {
        Factors::default()
    };
    let reasons = reason
        .into_iter()
        .map(|(code, policy)| Reason {
            code: code.to_owned(),
            severity,
            observed: "amount_usd_cents=442500".to_owned(),
            expected: severity.name().to_owned(),
            weight: 0,
            policy: Some(policy.to_owned()),
            until: None,
            events: Vec::new(),
        })
        .collect();
    let decision = Decision {
        severity,
        status,
        class: Class::Unvouched,
        dwell_until: AT.plus(10 * time::MINUTE),
        factors,
        usd_cents: UsdCents(442_500),
        reasons,
    };
    Event::WithdrawalDecided { withdrawal: ID, decision: Box::new(decision) }
}

/// Records that between them lead to every message.
fn samples() -> Vec<Decoded> {
    let name = |text: &str| text.parse::<Name>().ok();
    let (Some(desk), Some(shop), Some(dora), Some(hot)) =
        (name("desk"), name("shop"), name("dora"), name("harbor-hot"))
    else {
        return Vec::new();
    };
    let account = AccountIndex(0);
    let destination = Fingerprint([0xd5; 16]);
    let key = Fingerprint([0x4e; 16]);
    let halt = Command::Halt { scope: Scope::Overall, by: desk.clone() };
    let policy = PolicySource { hash: [0x8c; 32], files: Vec::new(), program: Vec::new(), compiler: None };
    let token = TokenSpec { client: shop.clone(), token_hash: [0; 32], scopes: TokenScopes::SERVICE };
    let told: Vec<(Command, Event)> = vec![
        (Command::Tick, decision(Severity::Allow, Status::Approved, None)),
        (
            Command::Tick,
            decision(Severity::StepUp, Status::AwaitingApproval, Some(("large_amount", "large"))),
        ),
        (Command::Tick, decision(Severity::Hold, Status::Held, Some(("very_large_amount", "very-large")))),
        (Command::Tick, decision(Severity::Deny, Status::Denied, Some(("over_daily_limit", "daily-limit")))),
        (Command::Tick, Event::WithdrawalCancelled { withdrawal: ID }),
        (Command::Tick, Event::WithdrawalExpired { withdrawal: ID }),
        (Command::Tick, released(&hot)),
        (Command::Tick, moved(Status::Voided, None)),
        (Command::Tick, moved(Status::Replaced, None)),
        (Command::Tick, Event::CaseApproved { withdrawal: ID, operators: 2 }),
        (
            Command::Tick,
            Event::ChainAlarm {
                alarm: Alarm::UnknownSpend,
                wallet: WalletIndex(0),
                network: Network::Bitcoin,
                transaction: [0x7e; 32],
                spends: vec![ConflictKey::Outpoint { txid: [0x3c; 32], vout: 1 }],
            },
        ),
        (Command::Tick, Event::EpochBegun { epoch: 2, signer: hot.clone(), counter: 4_096 }),
        (Command::Tick, recovered(&hot)),
        (Command::Tick, Event::AddressRecorded { account, destination }),
        (Command::Tick, Event::AddressRemoved { account, destination }),
        (
            Command::Tick,
            Event::ApiKeyPut { account, key, revision: 1, scopes: Scopes(5), ip_allowlist: Vec::new() },
        ),
        (Command::Tick, Event::ApiKeyRevoked { account, key }),
        (Command::Tick, Event::SecurityChanged { account, kind: SecurityChange::Password }),
        (
            Command::Tick,
            Event::ProtectionChanged {
                account,
                change: Box::new(Change::AddCredential(Box::new(NewCredential {
                    credential: key,
                    id: Digest([0x1d; 32]),
                    key: Digest([0x5e; 32]),
                    legacy_u2f: false,
                    used_for: CredentialUse::Approve,
                    counter: 0,
                    flags: ApprovalFlags::USER_VERIFIED,
                    sealed: Vec::new(),
                }))),
                basis: Some(Basis::First),
                approval: None,
            },
        ),
        (Command::Tick, Event::UnlockBegun { account }),
        (
            Command::Tick,
            Event::SessionSeen {
                account,
                facts: SessionFacts {
                    device: Some(key),
                    place: Some(Place { country: *b"MT", asn: 64_500 }),
                    ..SessionFacts::default()
                },
                credential: None,
                new_device: true,
                new_place: true,
            },
        ),
        (Command::Tick, Event::ApiKeyWoke { account, key, idle_days: 45 }),
        (
            Command::Tick,
            Event::AccountRecovered {
                account,
                credential: key,
                approval: Box::new(Approval { text: String::new(), signatures: Vec::new() }),
            },
        ),
        (
            Command::RevokeApiKeys { cohort: Box::default(), by: desk.clone() },
            Event::ApiKeysRevoked {
                cohort: Box::new(KeyCohort { asn: Some(64_500), ..KeyCohort::default() }),
                count: 12,
            },
        ),
        (Command::Tick, Event::IntentLapsed { withdrawal: ID }),
        (
            Command::Tick,
            Event::IntentRenewed { withdrawal: ID, nonce: [0; 32], not_after: AT.plus(7 * time::DAY) },
        ),
        (halt.clone(), Event::AccountFrozen(account)),
        (halt.clone(), Event::OwnerFroze { account }),
        (Command::Tick, Event::AccountUnfrozen(account)),
        (Command::Tick, Event::TierSet { account, tier: TierIndex(0) }),
        (
            Command::Tick,
            Event::LimitsSet { account, usd_cents_24h: Some(UsdCents(500_000)), usd_cents_30d: None },
        ),
        (halt, Event::Halted { scope: Scope::Overall }),
        (Command::Tick, Event::Resumed { scope: Scope::Overall }),
        (Command::Tick, Event::ClockSuspected),
        (Command::Tick, Event::ClockConfirmed),
        (
            Command::StopAct { act: TEXT, by: desk.clone() },
            Event::ActStopped { nonce: TEXT, by: desk.clone() },
        ),
        (Command::Tick, Event::ActLapsed { nonce: TEXT, refusal: Refusal::SignaturesInsufficient }),
        (Command::Tick, Event::ActTookEffect { nonce: TEXT }),
        (Command::Tick, Event::ProposalClosed { nonce: TEXT, why: ProposalEnd::Activated }),
        (Command::Tick, Event::PolicyActivated(Box::new(policy.clone()))),
        (Command::Tick, Event::Configured(Box::default())),
        (Command::Tick, Event::RulesActivated(2)),
        (
            Command::Tick,
            Event::OperatorEnrolled(OperatorKey {
                name: dora.clone(),
                public_key: OperatorPublicKey::Ed25519([0; 32]),
            }),
        ),
        (Command::Tick, Event::OperatorRevoked(dora)),
        (Command::Tick, Event::TokenIssued(token)),
        (Command::RevokeToken { client: shop.clone(), by: desk }, Event::TokenRevoked(shop)),
    ];
    let paid = Event::WithdrawalPaid { withdrawal: ID, transaction: TRANSACTION };
    let seen = [
        (Standing::Pending, 0, moved(Status::Broadcast, Some(TRANSACTION))),
        (Standing::Included, 1, moved(Status::Confirmed, Some(TRANSACTION))),
        (Standing::Final, 6, paid),
        (Standing::Final, 6, moved(Status::Failed, Some(TRANSACTION))),
    ];
    let seen = seen.into_iter().map(|(standing, confirmations, event)| {
        let chain_id = [0x51; 32];
        let transaction = TRANSACTION;
        vec![Event::TransactionObserved { transaction, standing, confirmations, chain_id }, event]
    });
    let seen = seen.map(|events| (Command::Tick, events));
    told.into_iter()
        .chain(governed(&policy))
        .map(|(command, event)| (command, vec![event]))
        .chain(seen)
        .map(|(command, events)| Decoded {
            sequence: SEQUENCE,
            at: AT,
            rules: 1,
            policy: [0; 32],
            hash: [0; 32],
            command,
            events,
        })
        .collect()
}

/// The nonce of some text.
const TEXT: Digest = Digest([0x3c; 32]);

/// A policy on its way, and an act that was refused.
fn governed(policy: &PolicySource) -> Vec<(Command, Event)> {
    let (Ok(alice), Ok(bob), Ok(carol)) =
        ("alice".parse::<Name>(), "bob".parse::<Name>(), "carol".parse::<Name>())
    else {
        return Vec::new();
    };
    let signed = |act: &Act, names: &[&Name]| {
        let signature = |name: &&Name| OperatorSignature {
            operator: OperatorKey { name: (*name).clone(), public_key: OperatorPublicKey::Ed25519([0; 32]) },
            signature: OperatorProof::Ed25519([0; 64]),
        };
        let signatures: Vec<_> = names.iter().map(signature).collect();
        let command = OperatorAct { text: String::new(), signatures, act: act.clone() };
        (
            Command::OperatorAct(Box::new(command.clone())),
            Approval { text: String::new(), signatures: command.signatures },
        )
    };
    let (from, hash) = ([0x1a; 32], policy.hash);
    let proposal = PolicyProposal {
        source: policy.clone(),
        from,
        reason: "Batch payers meet no burst limit.".to_owned(),
        report: "{}".to_owned(),
    };
    let propose = Act::ProposePolicy(Box::new(proposal.clone()));
    let (proposing, approval) = signed(&propose, &[&alice]);
    let opened = ProposalOpened { nonce: TEXT, author: alice.clone(), proposal, approval };
    let approve = Act::ApprovePolicy { hash, from, author: alice.clone() };
    let (approving, approval) = signed(&approve, &[&bob, &carol]);
    let due = AT.plus(time::DAY);
    let scheduled = ScheduledAct { nonce: TEXT, act: approve, approval: approval.clone(), operators: 2, due };
    let moved = PolicyMove {
        how: PolicyMoveKind::Approved,
        from,
        hash,
        approval,
        author: Some(alice.clone()),
        reason: Some("Batch payers meet no burst limit.".to_owned()),
    };
    let (alone, _) = signed(&Act::Configure(Box::default()), &[&alice]);
    let refused = Event::Refused {
        refusal: Refusal::SignaturesInsufficient,
        detail: "1 of 2 signatures count: different operators, past their ageing, are needed".to_owned(),
    };
    vec![
        (proposing, Event::PolicyProposed(Box::new(opened))),
        (approving, Event::ActScheduled(Box::new(scheduled))),
        (Command::Tick, Event::PolicyMoved(Box::new(moved))),
        (alone, refused),
    ]
}

const TRANSACTION: Digest = Digest([0x9d; 32]);

const fn moved(status: Status, transaction: Option<Digest>) -> Event {
    Event::WithdrawalMoved { withdrawal: ID, status, transaction }
}

fn released(signer: &Name) -> Event {
    Event::TransactionReleased(Box::new(TransactionReleased {
        release: ReleaseId(ID.0.wrapping_add(1)),
        signer: signer.clone(),
        wallet: WalletIndex(0),
        network: Network::Bitcoin,
        transaction: TRANSACTION,
        spends: Vec::new(),
        outputs: Digest([0; 32]),
        fee: Amount::from_base_units(2_820),
        withdrawals: vec![ID],
        transfer: None,
        not_before: AT,
        expires: AT.plus(time::MINUTE),
    }))
}

fn recovered(signer: &Name) -> Event {
    let spent = RecoveredTransaction { transaction: TRANSACTION, spends: Vec::new(), outputs: None };
    Event::SpendRecovered(Box::new(SpendRecovered {
        withdrawal: ID,
        intent: String::new(),
        fingerprint: Fingerprint([0; 16]),
        signer: signer.clone(),
        wallet: WalletIndex(0),
        network: Network::Bitcoin,
        transactions: vec![spent],
        is_lost: false,
    }))
}
