//! The example of `docs/release-format.md`, and any other release, receipt and statement.

use holdfast_authn::release::{
    OperatorSignature, Outcome, Payment, Receipt, Release, SignedAct, SigningKey, Spend, Spends,
    SpentTransaction, SpentTransfer,
};
use holdfast_values::texts::{ExchangeName, Nonce, Window};
use holdfast_values::{
    AccountId, Amount, ConflictKey, Destination, Name, Network, OperatorText, ReleaseId, TextDigest,
    Timestamp, TransferId, WithdrawalId, WithdrawalText,
};
use proptest::collection::vec;
use proptest::prelude::*;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The key of Holdfast in the document's example.
pub(crate) fn release_key() -> SigningKey {
    SigningKey::from_seed(&std::array::from_fn(|n| n as u8))
}

/// The key of the signer in the document's example.
pub(crate) fn receipt_key() -> SigningKey {
    SigningKey::from_seed(&[0x33; 32])
}

pub(crate) fn operator_key(name: &str) -> SigningKey {
    SigningKey::from_seed(&match name {
        "alice" => [0x11; 32],
        "bob" => [0x22; 32],
        _ => [0x44; 32],
    })
}

/// Operators sign the SHA-256 of a text and nothing else.
pub(crate) fn sign(text: &str, operators: &[&str]) -> SignedAct {
    let digest = TextDigest::of(text.as_bytes()).0;
    let signatures = operators
        .iter()
        .map(|operator| {
            let seed = match *operator {
                "alice" => [0x11; 32],
                "bob" => [0x22; 32],
                _ => [0x44; 32],
            };
            let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
            let signature = pair.sign(&digest).as_ref().try_into().unwrap();
            OperatorSignature { operator: name(operator), signature }
        })
        .collect();
    SignedAct { text: text.to_owned(), signatures }
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub(crate) fn exchange() -> ExchangeName {
    "harbor.example".parse().unwrap()
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

const WITHDRAWAL: WithdrawalId = WithdrawalId(0x0193_5b7d_9c00_0001_0203_0405_0607_0809);

pub(crate) fn intent() -> String {
    WithdrawalText {
        exchange: exchange(),
        account: "ac_4821".parse::<AccountId>().unwrap(),
        withdrawal: WITHDRAWAL,
        asset: "BTC".parse().unwrap(),
        destination: Destination::parse(Network::Bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", None)
            .unwrap(),
        decimals: 8,
        amount: Amount::parse("0.75000000", 8).unwrap(),
        fee_max: Amount::parse("0.00010000", 8).unwrap(),
        not_after: "2026-11-29T12:00:00Z".parse().unwrap(),
        nonce: Nonce([0xa5; 32]),
    }
    .to_string()
}

/// The release of the document.
pub(crate) fn release() -> Release {
    let intent = intent();
    let approval = OperatorText {
        exchange: exchange(),
        act: "approve_withdrawal".parse().unwrap(),
        target: WITHDRAWAL.to_string().parse().unwrap(),
        detail: format!("text={}", TextDigest::of(intent.as_bytes())).parse().unwrap(),
        payload: None,
        window: Window::new("2026-11-22T11:30:00Z".parse().unwrap(), "2026-11-22T13:30:00Z".parse().unwrap())
            .unwrap(),
        nonce: Nonce([0x5a; 32]),
    };
    Release {
        id: ReleaseId(0x0193_5b7e_1d20_0001_0203_0405_0607_0809),
        exchange: exchange(),
        audience: name("harbor-hot"),
        epoch: 1,
        sequence: 48_213,
        head: [0x0e; 32],
        policy: [0x0f; 32],
        simulated: false,
        not_before: at("2026-11-22T12:00:00Z"),
        expires: at("2026-11-22T12:01:00Z"),
        network: Network::Bitcoin,
        wallet: name("btc-hot"),
        transaction: [0xd1; 32],
        receipts_seen: 17,
        payments: vec![Payment {
            intent,
            approvals: vec![sign(&approval.to_string(), &["alice", "bob"])],
            assertion: None,
            mandate: None,
        }],
        transfer: None,
        epochs: Vec::new(),
    }
}

fn conflict_key() -> ConflictKey {
    ConflictKey::Outpoint { txid: [0xc0; 32], vout: 1 }
}

/// The receipt of the document.
pub(crate) fn receipt() -> Receipt {
    Receipt {
        signer: name("harbor-hot"),
        exchange: exchange(),
        store: [0x5e; 16],
        counter: 18,
        at: at("2026-11-22T12:00:01.5Z"),
        epoch: 1,
        what: Outcome::Authorised {
            release: release().id,
            network: Network::Bitcoin,
            wallet: name("btc-hot"),
            transaction: [0xd1; 32],
            conflict_keys: vec![conflict_key()],
            withdrawals: vec![WITHDRAWAL],
            transfer: None,
        },
    }
}

/// The statement of the document.
pub(crate) fn spends() -> Spends {
    let at = at("2026-11-22T12:00:01.5Z");
    Spends {
        signer: name("harbor-hot"),
        exchange: exchange(),
        store: [0x5e; 16],
        counter: 18,
        at,
        epoch: 1,
        sequence: 48_213,
        head: [0x0e; 32],
        spends: vec![Spend {
            intent: intent(),
            at,
            network: Network::Bitcoin,
            wallet: name("btc-hot"),
            transactions: vec![SpentTransaction {
                digest: [0xd1; 32],
                conflict_keys: vec![conflict_key()],
                at,
                outputs: [0xe1; 32],
            }],
        }],
        transfers: Vec::new(),
        voided: vec![WithdrawalId(7)],
    }
}

fn any_name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9_.-]{1,128}".prop_map(|text| name(&text))
}

fn any_time() -> impl Strategy<Value = Timestamp> {
    (0..=i64::MAX as u64).prop_map(Timestamp)
}

fn any_integer() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..300, 0..=i64::MAX as u64]
}

fn any_network() -> impl Strategy<Value = Network> {
    proptest::sample::select(Network::ALL.to_vec())
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~\n]{0,300}", "\\PC{0,40}"]
}

fn any_act() -> impl Strategy<Value = SignedAct> {
    let signature = (any_name(), any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(operator, r, s)| {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(&s);
        OperatorSignature { operator, signature }
    });
    (any_text(), vec(signature, 0..4)).prop_map(|(text, signatures)| SignedAct { text, signatures })
}

fn any_conflict_key() -> impl Strategy<Value = ConflictKey> {
    prop_oneof![
        (any::<[u8; 32]>(), any::<u32>()).prop_map(|(txid, vout)| ConflictKey::Outpoint { txid, vout }),
        (any::<u64>(), any::<[u8; 20]>(), any::<u64>())
            .prop_map(|(chain, sender, nonce)| ConflictKey::Nonce { chain, sender, nonce }),
    ]
}

pub(crate) fn any_release() -> impl Strategy<Value = Release> {
    let payment =
        (any_text(), vec(any_act(), 0..3)).prop_map(|(intent, approvals)| Payment { intent, approvals, assertion: None, mandate: None });
    (
        (any::<u128>(), any_name(), any_integer(), any_integer(), any::<[u8; 32]>(), any::<[u8; 32]>()),
        (any::<bool>(), any_time(), any_time(), any_network(), any_name(), any::<[u8; 32]>(), any_integer()),
        (vec(payment, 0..4), proptest::option::of(any_act()), vec(any_act(), 0..3)),
    )
        .prop_map(|(first, second, third)| {
            let (id, audience, epoch, sequence, head, policy) = first;
            let (simulated, not_before, expires, network, wallet, transaction, receipts_seen) = second;
            let (payments, transfer, epochs) = third;
            Release {
                id: ReleaseId(id),
                exchange: exchange(),
                audience,
                epoch,
                sequence,
                head,
                policy,
                simulated,
                not_before,
                expires,
                network,
                wallet,
                transaction,
                receipts_seen,
                payments,
                transfer,
                epochs,
            }
        })
}

pub(crate) fn any_receipt() -> impl Strategy<Value = Receipt> {
    let authorised = (
        any::<u128>(),
        any_network(),
        any_name(),
        any::<[u8; 32]>(),
        vec(any_conflict_key(), 0..4),
        vec(any::<u128>(), 0..4),
        proptest::option::of(any::<u128>()),
    )
        .prop_map(|(release, network, wallet, transaction, conflict_keys, withdrawals, transfer)| {
            Outcome::Authorised {
                release: ReleaseId(release),
                network,
                wallet,
                transaction,
                conflict_keys,
                withdrawals: withdrawals.into_iter().map(WithdrawalId).collect(),
                transfer: transfer.map(TransferId),
            }
        });
    let voided = any::<u128>().prop_map(|id| Outcome::Voided { withdrawal: WithdrawalId(id) });
    (any_name(), any::<[u8; 16]>(), any_integer(), any_time(), any_integer(), prop_oneof![authorised, voided])
        .prop_map(|(signer, store, counter, at, epoch, what)| Receipt {
            signer,
            exchange: exchange(),
            store,
            counter,
            at,
            epoch,
            what,
        })
}

fn any_transactions() -> impl Strategy<Value = Vec<SpentTransaction>> {
    let transaction =
        (any::<[u8; 32]>(), vec(any_conflict_key(), 0..4), any_time(), any::<[u8; 32]>()).prop_map(
            |(digest, conflict_keys, at, outputs)| SpentTransaction { digest, conflict_keys, at, outputs },
        );
    vec(transaction, 0..3)
}

pub(crate) fn any_spends() -> impl Strategy<Value = Spends> {
    let spend = (any_text(), any_time(), any_network(), any_name(), any_transactions()).prop_map(
        |(intent, at, network, wallet, transactions)| Spend { intent, at, network, wallet, transactions },
    );
    let transfer = (any_text(), any_transactions())
        .prop_map(|(text, transactions)| SpentTransfer { text, transactions });
    (
        (any_name(), any::<[u8; 16]>(), any_integer(), any_time(), any_integer(), any_integer()),
        (any::<[u8; 32]>(), vec(spend, 0..3), vec(transfer, 0..3), vec(any::<u128>(), 0..4)),
    )
        .prop_map(|(first, second)| {
            let (signer, store, counter, at, epoch, sequence) = first;
            let (head, spends, transfers, voided) = second;
            Spends {
                signer,
                exchange: exchange(),
                store,
                counter,
                at,
                epoch,
                sequence,
                head,
                spends,
                transfers,
                voided: voided.into_iter().map(WithdrawalId).collect(),
            }
        })
}
