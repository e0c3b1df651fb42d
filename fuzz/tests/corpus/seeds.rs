//! The seeds of every target, made by code alone.

use std::collections::BTreeMap;
use std::path::Path;

use holdfast_decision::command::OperatorSignature;
use holdfast_decision::event::Event;
use holdfast_decision::{Command, Events, State, fold};
use holdfast_policy::Program;
use holdfast_values::{OperatorProof, Timestamp};
use minicbor::{Decode, Encode};

use crate::{customers, dialects, gate, keys, money, server, words};

/// Bytes that a target begins with.
pub(crate) struct Seed {
    pub(crate) name: String,
    pub(crate) bytes: Vec<u8>,
    /// Whether the target accepts them.
    pub(crate) accepted: bool,
}

/// Bytes that are accepted.
pub(crate) fn good(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Seed {
    Seed { name: name.into(), bytes: bytes.into(), accepted: true }
}

/// Bytes that are refused for one reason alone.
pub(crate) fn bad(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Seed {
    Seed { name: name.into(), bytes: bytes.into(), accepted: false }
}

/// The seeds of a target.
pub(crate) fn of(target: &str) -> Vec<Seed> {
    match target {
        "psbt" => money::psbts(),
        "evm" => money::evm(),
        "evm_signed" => money::evm_signed(),
        "descriptors" => money::descriptors(),
        "release" => words::releases(),
        "receipt" => words::receipts(),
        "spends" => words::statements(),
        "enrolment" => words::enrolments(),
        "policy_step" => words::policy_steps(),
        "envelope" => words::envelopes(),
        "withdrawal_text" => words::withdrawals(),
        "transfer_text" => words::transfers(),
        "operator_text" => words::operators(),
        "change_text" => words::changes(),
        "mandate_text" => words::mandates(),
        "conflict_key" => words::conflict_keys(),
        "address" => words::addresses(),
        "pins" => words::pins(),
        "assertions" => customers::files(),
        "wire" => words::frames(),
        "request" => words::requests().into_iter().chain(dialects::requests()).collect(),
        "gate" => gate::gate(),
        "ext_authz" => server::questions(),
        "codes" => server::codes(),
        "token_uri" => server::token_uris(),
        "assertion" => keys::assertions(),
        "registration" => keys::registrations(),
        "state" => states(),
        "record" => records(),
        "program" => programs(),
        "policy_agreement" => policies(),
        other => panic!("no seeds for {other}"),
    }
}

/// A golden journal of the core, as its tests keep it.
#[derive(Encode, Decode)]
struct Golden {
    #[n(0)]
    records: Vec<Record>,
    #[cbor(n(1), with = "minicbor::bytes")]
    state_hash: [u8; 32],
}

#[derive(Encode, Decode)]
struct Record {
    #[n(0)]
    sequence: u64,
    #[n(1)]
    at: Timestamp,
    #[n(2)]
    command: Command,
    #[n(3)]
    events: Events,
}

fn journal(name: &str) -> Vec<Record> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/decision/tests/golden");
    let bytes = std::fs::read(folder.join(name)).unwrap();
    minicbor::decode::<Golden>(&bytes).unwrap().records
}

fn state_after(records: &[Record]) -> State {
    let mut state = State::new();
    for record in records {
        fold(&mut state, record.sequence, record.at, &record.events);
    }
    state
}

fn states() -> Vec<Seed> {
    let [two, three] = [journal("kinds-2.cbor"), journal("kinds-3.cbor")];
    let encoded = |records: &[Record]| {
        let mut bytes = Vec::new();
        state_after(records).encode(&mut bytes);
        bytes
    };
    vec![
        good("new", encoded(&[])),
        good("first", encoded(&two[..1])),
        good("some", encoded(&two[..40])),
        good("released", encoded(&three[..60])),
    ]
}

/// What a variant begins with: its number.
fn number(encoded: &[u8]) -> u64 {
    let mut decoder = minicbor::Decoder::new(encoded);
    decoder.array().unwrap();
    decoder.u64().unwrap()
}

/// The shortest acts that a passkey signed, and the shortest event with such a signature.
fn by_passkeys() -> Vec<Seed> {
    let records = journal("passkeys-1.cbor");
    let is_passkey = |signatures: &[OperatorSignature]| {
        signatures.iter().any(|one| matches!(one.signature, OperatorProof::Passkey(_)))
    };
    let acts = records
        .iter()
        .filter(|record| matches!(&record.command, Command::OperatorAct(act) if is_passkey(&act.signatures)));
    let acts = acts.map(|record| minicbor::to_vec(&record.command).unwrap());
    let moved = records
        .iter()
        .flat_map(|record| &record.events)
        .filter(|event| matches!(event, Event::PolicyMoved(moved) if is_passkey(&moved.approval.signatures)));
    let moved = moved.map(|event| minicbor::to_vec(vec![event]).unwrap());
    let shortest =
        |all: Vec<Vec<u8>>| all.into_iter().min_by_key(|bytes| (bytes.len(), bytes.clone())).unwrap();
    vec![
        good("command-by-passkey", shortest(acts.collect())),
        good("events-by-passkey", shortest(moved.collect())),
    ]
}

/// The shortest command of every kind, and the shortest events of every kind, a few kinds in a list.
fn records() -> Vec<Seed> {
    let records: Vec<Record> =
        ["kinds-1.cbor", "kinds-2.cbor", "kinds-3.cbor"].into_iter().flat_map(journal).collect();
    let shortest = |all: Vec<Vec<u8>>| {
        let mut kinds: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for encoded in all {
            let best = kinds.entry(number(&encoded)).or_insert_with(|| encoded.clone());
            if (encoded.len(), &encoded) < (best.len(), best) {
                *best = encoded;
            }
        }
        kinds.into_values().filter(|encoded| encoded.len() <= 2_000).collect::<Vec<_>>()
    };
    let commands =
        shortest(records.iter().map(|record| minicbor::to_vec(&record.command).unwrap()).collect());
    let events = records.iter().flat_map(|record| &record.events);
    let events = shortest(events.map(|event| minicbor::to_vec(event).unwrap()).collect());
    let lists = events.chunks(6).map(|events| [&[0x80 | events.len() as u8][..], &events.concat()].concat());
    let name = |kind: &str, bytes: &[u8]| format!("{kind}-{}", number(bytes));
    let commands = commands.into_iter().map(|bytes| good(name("command", &bytes), bytes));
    let lists = lists.enumerate().map(|(place, bytes)| good(format!("events-{place}"), bytes));
    commands.chain(lists).chain(by_passkeys()).collect()
}

fn programs() -> Vec<Seed> {
    let state = state_after(&journal("kinds-1.cbor")[..1]);
    let real = state.program().unwrap().to_bytes();
    let mut sets = real.clone();
    *sets.last_mut().unwrap() ^= 0x40;
    vec![good("permit-all", Program::permit_all().to_bytes()), good("house", real), bad("last-byte", sets)]
}

/// Choices for packs of policies: as they come, by a few strides.
fn policies() -> Vec<Seed> {
    let strided = |stride: usize, count: usize| -> Vec<u8> {
        (0..count).map(|n| (n * stride + n * n / 7) as u8).collect()
    };
    vec![
        good("one", Vec::new()),
        good("short", strided(37, 60)),
        good("long", strided(101, 200)),
        good("sums", strided(53, 120)),
    ]
}
