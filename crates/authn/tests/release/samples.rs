//! The example of `docs/release-format.md`, and any other release, receipt and statement.

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::release::{
    Basis, BoundAssertion, Enrolment, MandateUse, OperatorSignature, Outcome, Payment, PolicyStep, Receipt,
    Release, Removal, SignedAct, SignedHttpRequest, SigningKey, Spend, Spends, SpentTransaction,
    SpentTransfer,
};
use holdfast_values::texts::{ExchangeName, Nonce, Window};
use holdfast_values::{
    AccountId, Amount, ConflictKey, Destination, Name, Network, OperatorProof, OperatorText,
    PasskeyAssertion, ReleaseId, TextDigest, Timestamp, TransferId, WithdrawalId, WithdrawalText,
};
use proptest::collection::vec;
use proptest::prelude::*;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

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
            let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
            let signature = OperatorProof::Ed25519(pair.sign(&digest).as_ref().try_into().unwrap());
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

fn text_lines(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// A customer's security key; the first one is of the seed of 32 times `55`.
fn security_key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    TextDigest::of(bytes).0
}

/// What the key asserts of a text.
pub(crate) fn assertion(counter: u8, text: &str) -> BoundAssertion {
    let challenge = to_base64url(&sha256(text.as_bytes()));
    let client_data_json = format!(
        "{{\"type\":\"webauthn.get\",\"challenge\":\"{challenge}\",\"origin\":\"https://approve.harbor.example\",\
         \"crossOrigin\":false}}"
    )
    .into_bytes();
    let authenticator_data = [&sha256(b"approve.harbor.example")[..], &[0x05, 0, 0, 0, counter]].concat();
    let signed = [&authenticator_data[..], &sha256(&client_data_json)].concat();
    BoundAssertion {
        credential_id: vec![0xc1; 16],
        client_data_json,
        authenticator_data,
        signature: security_key(0x55).sign(&signed).as_ref().to_vec(),
    }
}

/// A security key's public half.
fn public_key(seed: u8) -> Vec<u8> {
    [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32][..], security_key(seed).public_key().as_ref()].concat()
}

/// The public half of the API key, of the seed of 32 times `66`.
fn api_key() -> Vec<u8> {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[0x66; 32]).unwrap();
    [&[0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0][..], pair.public_key().as_ref()].concat()
}

/// A mandate, and a request under it.
pub(crate) fn mandate() -> MandateUse {
    let text = text_lines(&[
        "holdfast-mandate/v1",
        "exchange: harbor.example",
        "account: ac_4821",
        "mandate: md_00000000000000000000000005",
        "api-key: maker-1",
        &format!("key: {}", TextDigest::of(&api_key())),
        "asset: BTC",
        "network: bitcoin",
        "destination: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 -",
        "amount-max: 0.75000000",
        "day-max: 2.00000000",
        "not-before: 2026-11-22T00:00:00Z",
        "not-after: 2026-12-22T00:00:00Z",
        "nonce: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]);
    MandateUse {
        assertion: assertion(8, &text),
        text,
        key: api_key(),
        request: SignedHttpRequest {
            dialect: "binance".to_owned(),
            method: "POST".to_owned(),
            path: "/sapi/v1/capital/withdraw/apply".to_owned(),
            query: b"coin=BTC".to_vec(),
            body: vec![],
            headers: vec![("X-MBX-APIKEY".to_owned(), "maker-1".to_owned())],
        },
    }
}

/// The release with everything that customers say: an assertion for the one withdrawal, a mandate for another.
pub(crate) fn release_with_words() -> Release {
    let mut release = release();
    let mut other = release.payments[0].clone();
    other.approvals.clear();
    other.intent = other.intent.replace("wd_01jddqv700000g40r40m30e209", "wd_01jddqv700000g40r40m30e20a");
    other.mandate = Some(mandate());
    release.payments[0].assertion = Some(assertion(7, &release.payments[0].intent));
    release.payments.push(other);
    release
}

/// Enrolments on the word of nobody, of another key, of operators.
pub(crate) fn enrolments() -> [Enrolment; 3] {
    let first = Enrolment {
        exchange: exchange(),
        sequence: 48_000,
        at: at("2026-11-22T10:00:00Z"),
        account: "ac_4821".parse().unwrap(),
        credential_id: vec![0xc1; 16],
        public_key: public_key(0x55),
        legacy_u2f: false,
        master: false,
        basis: Basis::First,
    };
    let text = text_lines(&[
        "holdfast-change/v1",
        "exchange: harbor.example",
        "account: ac_4821",
        "change: add_credential",
        &format!("target: credential:{}", TextDigest::of(&[0xc2; 16])),
        &format!("detail: key={}", TextDigest::of(&public_key(0x56))),
        "not-after: 2026-11-22T11:00:00Z",
        "nonce: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ]);
    let credential_id = vec![0xc2; 16];
    let rotation = Enrolment {
        credential_id: credential_id.clone(),
        public_key: public_key(0x56),
        basis: Basis::Rotation { by: assertion(9, &text), text },
        ..first.clone()
    };
    let act = OperatorText {
        exchange: exchange(),
        act: "recover_account".parse().unwrap(),
        target: "ac_4821".parse().unwrap(),
        detail: format!(
            "credential={} key={}",
            TextDigest::of(&credential_id),
            TextDigest::of(&public_key(0x56))
        )
        .parse()
        .unwrap(),
        payload: None,
        window: Window::new("2026-11-22T09:30:00Z".parse().unwrap(), "2026-11-22T11:30:00Z".parse().unwrap())
            .unwrap(),
        nonce: Nonce([0x5b; 32]),
    };
    let recovery = Enrolment {
        basis: Basis::Recovery { act: sign(&act.to_string(), &["alice", "bob"]) },
        ..rotation.clone()
    };
    [first, rotation, recovery]
}

/// The removal of the credential of [`enrolments`].
pub(crate) fn removal() -> Removal {
    Removal {
        exchange: exchange(),
        sequence: 48_300,
        account: "ac_4821".parse().unwrap(),
        credential_id: vec![0xc1; 16],
    }
}

/// The text of an act about the policy, from one hash to another.
fn policy_act(act: &str, to: [u8; 32], detail: &str, payload: bool) -> String {
    OperatorText {
        exchange: exchange(),
        act: act.parse().unwrap(),
        target: hex(&to).parse().unwrap(),
        detail: format!("from={}{detail}", hex(&[0x0f; 32])).parse().unwrap(),
        payload: payload.then_some([0x9a; 32]),
        window: Window::new("2026-11-22T09:30:00Z".parse().unwrap(), "2026-11-22T11:30:00Z".parse().unwrap())
            .unwrap(),
        nonce: Nonce([0x5c; 32]),
    }
    .to_string()
}

/// Steps of the policy: one that others than its author approved, and one that tightens.
pub(crate) fn policy_steps() -> [PolicyStep; 2] {
    let proposed = policy_act("propose_policy", [0x0a; 32], "", true);
    let approved = policy_act("approve_policy", [0x0a; 32], " author=carol", false);
    let step = PolicyStep {
        exchange: exchange(),
        sequence: 48_100,
        at: at("2026-11-22T11:00:00Z"),
        act: sign(&approved, &["alice", "bob"]),
        proposal: Some(sign(&proposed, &["carol"])),
        files: Vec::new(),
        from_files: Vec::new(),
        stopped: false,
    };
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let base = file("base.cedar", "permit (principal, action, resource);\n");
    let tightened = PolicyStep {
        act: sign(&policy_act("tighten_policy", [0x0b; 32], "", true), &["alice"]),
        proposal: None,
        files: vec![base.clone(), file("stop.cedar", "forbid (principal, action, resource);\n")],
        from_files: vec![base],
        ..step.clone()
    };
    [step, tightened]
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
    let ed25519 = (any::<[u8; 32]>(), any::<[u8; 32]>()).prop_map(|(r, s)| {
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(&r);
        signature[32..].copy_from_slice(&s);
        OperatorProof::Ed25519(signature)
    });
    let part = || vec(any::<u8>(), 1..200);
    let passkey = (part(), part(), part(), part()).prop_map(|(key, client_data, data, signature)| {
        OperatorProof::Passkey(Box::new(PasskeyAssertion {
            public_key: key,
            client_data_json: client_data,
            authenticator_data: data,
            signature,
        }))
    });
    let signature = (any_name(), prop_oneof![ed25519, passkey])
        .prop_map(|(operator, signature)| OperatorSignature { operator, signature });
    (any_text(), vec(signature, 0..4)).prop_map(|(text, signatures)| SignedAct { text, signatures })
}

fn some_bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..most)
}

fn any_assertion() -> impl Strategy<Value = BoundAssertion> {
    (some_bytes(40), some_bytes(300), some_bytes(100), some_bytes(300)).prop_map(
        |(credential_id, client_data_json, authenticator_data, signature)| BoundAssertion {
            credential_id,
            client_data_json,
            authenticator_data,
            signature,
        },
    )
}

fn any_mandate() -> impl Strategy<Value = MandateUse> {
    let headers = vec(("[A-Za-z-]{1,20}", "[ -~]{0,60}"), 0..4);
    let parts = (vec(any::<u8>(), 0..300), vec(any::<u8>(), 0..300));
    let request = ("[a-z0-9]{1,12}", "[A-Z]{3,6}", "/[a-z/]{0,30}", parts, headers).prop_map(
        |(dialect, method, path, (query, body), headers)| SignedHttpRequest {
            dialect,
            method,
            path,
            query,
            body,
            headers,
        },
    );
    (any_text(), any_assertion(), some_bytes(100), request)
        .prop_map(|(text, assertion, key, request)| MandateUse { text, assertion, key, request })
}

pub(crate) fn any_enrolment() -> impl Strategy<Value = Enrolment> {
    let basis = prop_oneof![
        Just(Basis::First),
        (any_text(), any_assertion()).prop_map(|(text, by)| Basis::Rotation { text, by }),
        any_act().prop_map(|act| Basis::Recovery { act }),
    ];
    let marks = (any::<bool>(), any::<bool>());
    (any_integer(), any_time(), "[A-Za-z0-9_-]{1,64}", some_bytes(1_024), some_bytes(2_049), marks, basis)
        .prop_map(|(sequence, at, account, credential_id, public_key, (legacy_u2f, master), basis)| {
            Enrolment {
                exchange: exchange(),
                sequence,
                at,
                account: account.parse().unwrap(),
                credential_id,
                public_key,
                legacy_u2f,
                master,
                basis,
            }
        })
}

pub(crate) fn any_policy_step() -> impl Strategy<Value = PolicyStep> {
    let files = || {
        proptest::collection::btree_map("[a-z.]{1,64}", any_text(), 0..4)
            .prop_map(|files| files.into_iter().collect::<Vec<_>>())
    };
    let acts = (any_act(), proptest::option::of(any_act()));
    (any_integer(), any_time(), acts, files(), files(), any::<bool>()).prop_map(
        |(sequence, at, (act, proposal), files, from_files, stopped)| PolicyStep {
            exchange: exchange(),
            sequence,
            at,
            act,
            proposal,
            files,
            from_files,
            stopped,
        },
    )
}

fn any_conflict_key() -> impl Strategy<Value = ConflictKey> {
    prop_oneof![
        (any::<[u8; 32]>(), any::<u32>()).prop_map(|(txid, vout)| ConflictKey::Outpoint { txid, vout }),
        (any::<u64>(), any::<[u8; 20]>(), any::<u64>())
            .prop_map(|(chain, sender, nonce)| ConflictKey::Nonce { chain, sender, nonce }),
    ]
}

pub(crate) fn any_release() -> impl Strategy<Value = Release> {
    let words = (proptest::option::of(any_assertion()), proptest::option::of(any_mandate()));
    let payment =
        (any_text(), vec(any_act(), 0..3), words).prop_map(|(intent, approvals, (assertion, mandate))| {
            Payment { intent, approvals, assertion, mandate }
        });
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
