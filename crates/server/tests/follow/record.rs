//! Every command and every event has one stable spelling in JSON.

use holdfast_decision::acts::{Act, Digest, EpochStart};
use holdfast_decision::command::{
    ApiEvidence, ChainStatus, Command, Evidence, ImportedAccount, ImportedAddress, ImportedApiKey,
    ImportedWithdrawal, Observation, OperatorAct, Price, ProposeTransaction, ProposedOutput, ReceiptOutcome,
    RecordReceipt, Scope, Scopes, SecurityChange, TokenScopes, TokenSpec,
};
use holdfast_decision::configuration::Class;
use holdfast_decision::event::{
    AccountIndex, Alarm, Approval, AssetIndex, Decision, Dropped, Event, Factors, Lane, RecoveredTransaction,
    SpendRecovered, Standing, Status, TierIndex, TransactionReleased, TransferReleased, WalletIndex,
    WithdrawalRequested,
};
use holdfast_decision::reason::{Cause, Drop, Reason};
use holdfast_decision::{Refusal, Severity};
use holdfast_policy::Factor;
use holdfast_server::record::{Names as _, NoNames, Seen, command_json, decode, event_json};
use holdfast_values::{
    Amount, ConflictKey, Fingerprint, Network, ReleaseId, Timestamp, TransferId, UsdCents, WithdrawalId, time,
};
use serde_json::Value;

use crate::governance;
use crate::payments::chains;
use crate::protection;
use crate::world::{self, START, World, account, name};

const ID: WithdrawalId = WithdrawalId(7);
const KEY: Fingerprint = Fingerprint([0xab; 16]);
const DIGEST: Digest = Digest([0x9d; 32]);
const RELEASE: ReleaseId = ReleaseId(5);
/// The id's first byte on the wire is the last that explorers show.
const CHAIN_ID: [u8; 32] = {
    let mut id = [0x51; 32];
    id[0] = 0xff;
    id
};
const OUTPOINT: ConflictKey = ConflictKey::Outpoint { txid: CHAIN_ID, vout: 1 };
const NONCE: ConflictKey = ConflictKey::Nonce { chain: 1, sender: [0xee; 20], nonce: 7 };

fn imported() -> ImportedAccount {
    ImportedAccount {
        account: account("ac_2"),
        tier: name("full"),
        opened_at: START,
        api_keys: vec![ImportedApiKey {
            key: KEY,
            scopes: Scopes(5),
            ip_allowlist: vec![Fingerprint([1; 16])],
            created_at: START,
        }],
        addresses: vec![ImportedAddress { destination: KEY, first_recorded_at: START }],
        withdrawals: vec![ImportedWithdrawal { at: START, usd_cents: UsdCents(12_345) }],
    }
}

fn api_evidence() -> Evidence {
    Evidence::ApiRequest(Box::new(ApiEvidence {
        key: KEY,
        revision: 2,
        signed_at: START,
        window: 5 * time::SECOND,
        request: Fingerprint([2; 16]),
        ip: Fingerprint([3; 16]),
        differs: 9,
        verifier: 1,
        sealed: b"sealed bytes that must not appear".to_vec(),
    }))
}

fn commands() -> Vec<Command> {
    let who = || account("ac_1");
    let mut world = World::new(world::permit_all());
    let mut request = world.request("w", "ac_1", "BTC", "0.75", "somewhere");
    request.withdrawal = ID;
    request.evidence = api_evidence();
    let act = Act::SetTier { account: who(), tier: name("full") };
    vec![
        world::initialise(crate::fixture::policy()),
        Command::Start,
        Command::Tick,
        Command::SuspectClock { step: 6 * time::SECOND },
        Command::RecordSnapshot { sequence: 9, state_hash: [4; 32] },
        Command::OpenAccount { account: who(), tier: name("basic") },
        Command::FreezeAccount { account: who(), by: name("desk") },
        Command::LowerLimits { account: who(), usd_cents_24h: UsdCents(1), usd_cents_30d: UsdCents(2) },
        Command::RecordSecurityChange { account: who(), kind: SecurityChange::SecondFactor },
        Command::PutApiKey { account: who(), key: KEY, scopes: Scopes(7), ip_allowlist: vec![KEY] },
        Command::RevokeApiKey { account: who(), key: KEY },
        Command::AddAddress { account: who(), destination: KEY },
        Command::RemoveAddress { account: who(), destination: KEY },
        Command::RecordNoticeDelivered { account: who(), destination: KEY },
        Command::SetPrices {
            prices: vec![Price { asset: "BTC".parse().unwrap(), micro_usd: 5_900_000_000 }],
        },
        Command::RequestWithdrawal(Box::new(request)),
        Command::CancelWithdrawal { account: who(), withdrawal: ID },
        Command::ReportOneTimeCode { account: who(), withdrawal: ID },
        Command::Halt { scope: Scope::Wallet(name("hot-btc")), by: name("desk") },
        Command::DenyWithdrawal { withdrawal: ID, by: name("desk") },
        Command::OperatorAct(Box::new(OperatorAct {
            text: world::act_text(&act, START, 1),
            signatures: vec![world::signature(&world::operator("alice"))],
            act,
        })),
        Command::ImportChunk { digest: [6; 32], accounts: vec![imported()] },
        Command::RevokeToken { client: name("shop"), by: name("desk") },
        Command::ProposeTransaction(Box::new(proposed())),
        Command::RecordReceipt(Box::new(RecordReceipt {
            signer: name("harbor-hot"),
            exchange: world::EXCHANGE.to_owned(),
            epoch: 2,
            counter: 17,
            what: ReceiptOutcome::Authorised {
                wallet: name("hot-btc"),
                network: Network::Bitcoin,
                transaction: DIGEST,
                spends: vec![OUTPOINT],
            },
            receipt: vec![0xd2, 0x84],
        })),
        Command::RecordObservation(Box::new(Observation {
            wallet: name("hot-eth"),
            network: Network::Ethereum,
            chain_id: [0x5e; 32],
            spends: vec![NONCE],
            outputs: Digest([0x0f; 32]),
            status: ChainStatus::Included,
            confirmations: 3,
        })),
    ]
    .into_iter()
    .chain(protection::commands())
    .chain(governance::commands())
    .collect()
}

/// Commands and acts that one variant says in several ways.
fn further_commands() -> Vec<Command> {
    let voided = RecordReceipt {
        signer: name("harbor-hot"),
        exchange: world::EXCHANGE.to_owned(),
        epoch: 1,
        counter: 18,
        what: ReceiptOutcome::Voided { withdrawal: ID },
        receipt: Vec::new(),
    };
    let transfer = ProposeTransaction {
        withdrawals: Vec::new(),
        transfer: Some(Box::new(approval())),
        network: Network::Ethereum,
        wallet: name("hot-eth"),
        spends: vec![NONCE],
        fee: Amount::from_base_units(630_000_000_000_000),
        outputs: vec![ProposedOutput {
            destination: world::destination(Network::Ethereum, "cold"),
            own: Some(name("hot-eth")),
            contract: None,
            amount: Amount::from_base_units(1),
        }],
        ..proposed()
    };
    let acts = [
        Act::ApproveWithdrawal { withdrawal: ID, text: DIGEST },
        Act::BeginEpoch(Box::new(EpochStart {
            epoch: 2,
            store: [0xcd; 16],
            counter: 40,
            signer: name("harbor-hot"),
            spends: vec![recovered()],
            voided: vec![ID],
        })),
    ];
    let acts = acts.map(|act| {
        let text = world::act_text(&act, START, 1);
        Command::OperatorAct(Box::new(OperatorAct { text, signatures: Vec::new(), act }))
    });
    let told = [Command::RecordReceipt(Box::new(voided)), Command::ProposeTransaction(Box::new(transfer))];
    told.into_iter().chain(acts).collect()
}

fn proposed() -> ProposeTransaction {
    ProposeTransaction {
        release: RELEASE,
        signer: name("harbor-hot"),
        wallet: name("hot-btc"),
        network: Network::Bitcoin,
        transaction: DIGEST,
        spends: vec![OUTPOINT],
        outputs: vec![ProposedOutput {
            destination: world::destination(Network::Bitcoin, "somewhere"),
            own: None,
            contract: None,
            amount: Amount::from_base_units(75_000_000),
        }],
        outputs_digest: Digest([0x0f; 32]),
        fee: Amount::from_base_units(2_820),
        withdrawals: vec![ID],
        transfer: None,
        reader: 1,
    }
}

pub(crate) fn approval() -> Approval {
    Approval {
        text: "a text\n".to_owned(),
        signatures: ["alice", "carol"].map(|who| world::signature(&world::operator(who))).into(),
    }
}

fn recovered() -> SpendRecovered {
    SpendRecovered {
        withdrawal: ID,
        intent: "holdfast-withdrawal/v1\n".to_owned(),
        fingerprint: KEY,
        signer: name("harbor-hot"),
        wallet: WalletIndex(0),
        network: Network::Bitcoin,
        transactions: vec![RecoveredTransaction {
            transaction: Digest([0x9e; 32]),
            spends: vec![OUTPOINT],
            outputs: None,
        }],
        is_lost: true,
    }
}

fn released() -> TransactionReleased {
    TransactionReleased {
        release: RELEASE,
        signer: name("harbor-hot"),
        wallet: WalletIndex(0),
        network: Network::Bitcoin,
        transaction: DIGEST,
        spends: vec![OUTPOINT],
        outputs: Digest([0x0f; 32]),
        fee: Amount::from_base_units(2_820),
        withdrawals: vec![ID],
        transfer: None,
        not_before: START,
        expires: START.plus(time::MINUTE),
    }
}

/// Events that one variant says in several ways.
fn further_events() -> Vec<Event> {
    let transfer = TransferReleased {
        transfer: TransferId(3),
        approval: approval(),
        external: Some((AssetIndex(0), Amount::from_base_units(100_000_000), UsdCents(5_900_000))),
    };
    let transfer = Some(Box::new(transfer));
    let dead = Event::TransactionObserved {
        transaction: DIGEST,
        standing: Standing::Dead,
        confirmations: 0,
        chain_id: [0; 32],
    };
    let unknown = Event::TransactionObserved {
        transaction: Digest([1; 32]),
        standing: Standing::Pending,
        confirmations: 0,
        chain_id: [2; 32],
    };
    vec![
        Event::TransactionReleased(Box::new(TransactionReleased {
            withdrawals: Vec::new(),
            transfer,
            ..released()
        })),
        Event::WithdrawalMoved { withdrawal: ID, status: Status::Voided, transaction: None },
        dead,
        unknown,
        Event::ChainAlarm {
            alarm: Alarm::UnknownAuthorisation,
            wallet: WalletIndex(1),
            network: Network::Ethereum,
            transaction: DIGEST.0,
            spends: vec![NONCE],
        },
        Event::ReceiptRecorded { signer: name("harbor-hot"), counter: 18, transaction: None },
    ]
}

fn events() -> Vec<Event> {
    let who = AccountIndex(0);
    let lane = Lane { asset: AssetIndex(0), wallet: WalletIndex(0), class: Class::Aged, small: true };
    let Command::Initialise(first) = world::initialise(world::permit_all()) else { panic!() };
    let mut world = World::new(world::permit_all());
    let request = world.request("w", "ac_1", "BTC", "0.75", "somewhere");
    let mut reason = Reason::new(Cause::BucketQueued, Severity::Dwell, "0.5 BTC left", "0.75 BTC");
    reason.policy = Some("large".to_owned());
    reason.until = Some(START);
    reason.events = vec![3, 4];
    vec![
        Event::Initialised(first.clone()),
        Event::DowntimeRecorded { from: START },
        Event::ClockSuspected,
        Event::ClockConfirmed,
        Event::SnapshotRecorded { sequence: 9, state_hash: [4; 32] },
        Event::AccountOpened { account: account("ac_1"), tier: TierIndex(0) },
        Event::AccountImported { account: Box::new(imported()), tier: TierIndex(1) },
        Event::AccountFrozen(who),
        Event::AccountUnfrozen(who),
        Event::TierSet { account: who, tier: TierIndex(1) },
        Event::LimitsSet { account: who, usd_cents_24h: Some(UsdCents(1)), usd_cents_30d: None },
        Event::SecurityChanged { account: who, kind: SecurityChange::Recovery },
        Event::ApiKeyPut {
            account: who,
            key: KEY,
            revision: 1,
            scopes: Scopes(0x85),
            ip_allowlist: vec![KEY],
        },
        Event::ApiKeyRevoked { account: who, key: KEY },
        Event::AddressRecorded { account: who, destination: KEY },
        Event::AddressRemoved { account: who, destination: KEY },
        Event::NoticeDelivered { account: who, destination: KEY },
        Event::PricesSet { prices: vec![(AssetIndex(0), 5_900_000_000), (AssetIndex(9), 1)] },
        Event::WithdrawalRequested(Box::new(WithdrawalRequested {
            withdrawal: ID,
            account: who,
            asset: AssetIndex(0),
            wallet: WalletIndex(0),
            destination: request.destination,
            fingerprint: request.fingerprint,
            amount: request.amount,
            fee_max: Amount::from_base_units(1_000),
            usd_cents: UsdCents(442_500),
            nonce: [8; 32],
            not_after: START.plus(time::DAY),
            evidence: Evidence::Session { one_time_code: true },
            idempotency: request.idempotency,
        })),
        Event::WithdrawalDecided {
            withdrawal: ID,
            decision: Box::new(Decision {
                severity: Severity::StepUp,
                status: Status::AwaitingApproval,
                class: Class::Unvouched,
                dwell_until: START,
                factors: Factors::default().with(Factor::OneTimeCode).with(Factor::Passkey),
                usd_cents: UsdCents(442_500),
                reasons: vec![reason],
            }),
        },
        Event::FactorDischarged { withdrawal: ID, factor: Factor::OneTimeCode },
        Event::CaseApproved { withdrawal: ID, operators: 2 },
        Event::Reserved { withdrawal: ID, class: Class::Bound },
        Event::ReservationReturned { withdrawal: ID },
        Event::Queued { withdrawal: ID, lane, turn: 3 },
        Event::Unqueued { withdrawal: ID },
        Event::LaneScheduled { lane, at: START },
        Event::WithdrawalCancelled { withdrawal: ID },
        Event::WithdrawalExpired { withdrawal: ID },
        Event::Halted { scope: Scope::Asset("BTC".parse().unwrap()) },
        Event::Resumed { scope: Scope::Overall },
        Event::ActAccepted { nonce: [9; 32], not_after: START },
        Event::Configured(Box::new(first.configuration.clone())),
        Event::OperatorEnrolled(world::operator("dora")),
        Event::OperatorRevoked(name("dora")),
        Event::PolicyActivated(Box::new(world::permit_all())),
        Event::RulesActivated(2),
        Event::ImportAuthorised(vec![Digest([6; 32])]),
        Event::ImportDone(Digest([6; 32])),
        Event::TokenIssued(TokenSpec {
            client: name("shop"),
            token_hash: [7; 32],
            scopes: TokenScopes(0x83),
        }),
        Event::TokenRevoked(name("shop")),
        Event::Refused { refusal: Refusal::AmountZero, detail: "nothing".to_owned() },
        Event::Repeated { sequence: 4 },
        Event::Trimmed { until: START },
        Event::WithdrawalApproved { withdrawal: ID, operators: 2, approval: Box::new(approval()) },
        Event::TransactionReleased(Box::new(released())),
        Event::ReleaseDropped { dropped: vec![Dropped { withdrawal: ID, why: Drop::DecidedAgain }] },
        Event::WithdrawalMoved { withdrawal: ID, status: Status::Broadcast, transaction: Some(DIGEST) },
        Event::WithdrawalPaid { withdrawal: ID, transaction: DIGEST },
        Event::TransactionObserved {
            transaction: DIGEST,
            standing: Standing::Included,
            confirmations: 2,
            chain_id: CHAIN_ID,
        },
        Event::ChainAlarm {
            alarm: Alarm::UnknownSpend,
            wallet: WalletIndex(0),
            network: Network::Bitcoin,
            transaction: CHAIN_ID,
            spends: vec![OUTPOINT],
        },
        Event::ReceiptRecorded { signer: name("harbor-hot"), counter: 17, transaction: Some(DIGEST) },
        Event::EpochBegun { epoch: 2, signer: name("harbor-hot"), counter: 40 },
        Event::SpendRecovered(Box::new(recovered())),
    ]
    .into_iter()
    .chain(protection::events())
    .chain(governance::events())
    .collect()
}

fn names() -> Seen {
    let mut names = Seen::default();
    let events = events();
    events.iter().for_each(|event| names.learn(event));
    assert_eq!(names.account(AccountIndex(0)).as_deref(), Some("ac_1"));
    names
}

/// One line each, keys in alphabetical order.
fn lines(values: impl Iterator<Item = Value>) -> String {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(map) => {
                let ordered: std::collections::BTreeMap<String, Value> =
                    map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
                Value::Object(ordered.into_iter().collect())
            }
            Value::Array(items) => items.into_iter().map(sorted).collect(),
            value => value,
        }
    }
    fn sorted_line(value: Value) -> String {
        sorted(value).to_string() + "\n"
    }
    values.map(sorted_line).collect()
}

#[test]
fn every_command_has_its_json() {
    let names = names();
    let all = commands()
        .into_iter()
        .chain(further_commands())
        .chain(protection::further_commands())
        .chain(governance::further_commands());
    let text = lines(all.map(|command| command_json(&command, &names)));
    assert!(!text.contains("sealed bytes"), "sealed blobs are told by their length alone");
    insta::assert_snapshot!("commands", text);
}

#[test]
fn every_event_has_its_json() {
    let names = names();
    let all = events().into_iter().chain(further_events()).chain(protection::further_events());
    insta::assert_snapshot!("events", lines(all.map(|event| event_json(&event, &names))));
}

#[test]
fn a_configuration_with_signers_prints_them() {
    let text = lines([event_json(&Event::Configured(Box::new(chains())), &NoNames)].into_iter());
    insta::assert_snapshot!("configuration", text);
}

/// The number of a variant, as records have it.
fn number(bytes: &[u8]) -> u32 {
    let mut decoder = minicbor::Decoder::new(bytes);
    decoder.array().unwrap();
    decoder.u32().unwrap()
}

/// True if the type has no variant of that number.
fn is_unknown<T: for<'b> minicbor::Decode<'b, ()>>(number: u32) -> bool {
    let mut bytes = Vec::new();
    minicbor::Encoder::new(&mut bytes).array(2).unwrap().u32(number).unwrap().array(0).unwrap();
    minicbor::decode::<T>(&bytes).err().is_some_and(|error| error.is_unknown_variant())
}

#[test]
fn the_samples_leave_no_variant_out() {
    let numbers: Vec<u32> =
        commands().iter().map(|command| number(&minicbor::to_vec(command).unwrap())).collect();
    assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
    assert!(is_unknown::<Command>(numbers.len() as u32), "a new command needs a sample and a name");
    let numbers: Vec<u32> = events().iter().map(|event| number(&minicbor::to_vec(event).unwrap())).collect();
    assert_eq!(numbers, (0..numbers.len() as u32).collect::<Vec<_>>());
    assert!(is_unknown::<Event>(numbers.len() as u32), "a new event needs a sample and a name");
}

#[test]
fn what_cannot_be_read_names_its_record() {
    let record = |command: Vec<u8>, events: Vec<u8>| holdfast_journal::Record {
        sequence: 17,
        time: START.0,
        rules: 1,
        policy: [0; 32],
        command,
        events,
        previous: [0; 32],
        hash: [0; 32],
    };
    let command = minicbor::to_vec(Command::Tick).unwrap();
    let events = minicbor::to_vec(events()).unwrap();
    let decoded = decode(&record(command.clone(), events.clone())).unwrap();
    assert_eq!((decoded.at, decoded.events.len()), (Timestamp(START.0), self::events().len()));
    let unknown = vec![0x81, 0x82, 0x18, 99, 0x80];
    let longer = [command.as_slice(), &[0]].concat();
    for (command, events, part) in [
        (command.clone(), unknown, "its events"),
        (longer, events.clone(), "its command"),
        (Vec::new(), events, "its command"),
        (command, vec![0xff; 9], "its events"),
    ] {
        let error = decode(&record(command, events)).unwrap_err();
        assert!(error.to_string().starts_with(&format!("record 17: {part} cannot be read")), "{error}");
    }
}
