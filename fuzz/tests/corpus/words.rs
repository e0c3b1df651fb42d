//! Seeds of signed texts, of releases and what answers them, of the signer's file and frames, and of customers' requests.

use holdfast_authn::encoding::to_base64url;
use holdfast_authn::release::{
    Kind, OperatorSignature, Outcome, Payment, PolicyStep, Receipt, Release, SignedAct, Spend, Spends,
    SpentTransaction, SpentTransfer, seal, verify_act,
};
use holdfast_fuzz::house::operators as operators_known;
use holdfast_fuzz::house::{
    API_SECRET, COLD_DESCRIPTOR, DORA, HOT_ACCOUNT, HOT_DESCRIPTORS, OPERATE_ORIGIN, OPERATE_RP_ID,
    OPERATORS, TWIN, address, release_key,
};
use holdfast_signer::wire::{Act, Answer, Request, write_frame};
use holdfast_values::{ConflictKey, Name, Network, OperatorProof, TextDigest, Timestamp};
use minicbor::Encoder;
use ring::hmac;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::customers;
use crate::seeds::{Seed, bad, good};

const WITHDRAWAL: &str = "holdfast-withdrawal/v1
exchange: harbor.example
account: ac_1
withdrawal: wd_01kaxjq8800000000000000007
asset: BTC
network: bitcoin
address: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4
memo: -
amount: 0.75000000
fee-max: 0.00010000
not-after: 2026-11-29T12:00:00Z
nonce: paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU
";
const TRANSFER: &str = "holdfast-transfer/v1
exchange: harbor.example
transfer: tr_01kaxjq8800000000000000007
wallet: btc-hot
network: bitcoin
purpose: consolidation
asset: BTC
address: -
amount: -
fee-max: 0.00050000
not-after: 2026-11-29T12:00:00Z
nonce: paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU
";
const OPERATOR: &str = "holdfast-operator/v1
exchange: harbor.example
act: approve_withdrawal
target: wd_01kaxjq8800000000000000007
detail: text=TEXT
payload: -
not-before: 2026-11-22T12:00:00Z
not-after: 2026-11-29T12:00:00Z
nonce: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8
";

const CHANGE: &str = "holdfast-change/v1
exchange: harbor.example
account: ac_1
change: add_credential
target: credential:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
detail: key=1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e
not-after: 2026-11-22T13:00:00Z
nonce: paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU
";
const MANDATE: &str = "holdfast-mandate/v1
exchange: harbor.example
account: ac_1
mandate: md_01kaxjq8800000000000000007
api-key: maker-1
key: 0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f
asset: BTC
network: bitcoin
destination: 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 -
destination: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 -
amount-max: 0.50000000
day-max: 2.00000000
not-before: 2026-11-22T12:00:00Z
not-after: 2027-02-20T12:00:00Z
nonce: paWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaU
";

/// The section of a signer's file about where customers approve.
const APPROVES: &str =
    "\n[approval]\nrp_id = \"approve.harbor.example\"\norigins = [\"https://approve.harbor.example\"]\n";
/// The address in [`WITHDRAWAL`].
const CUSTOMER: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

/// A text with some of it replaced, each of which must be there.
fn with(text: &str, changes: &[(&str, &str)]) -> String {
    changes.iter().fold(text.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old}");
        text.replacen(old, new, 1)
    })
}

pub(crate) fn withdrawals() -> Vec<Seed> {
    let evm = [
        ("ac_1", "Desk-7_b"),
        ("BTC", "USDT"),
        ("bitcoin", "ethereum"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        ("0.75000000", "1250.000001"),
        ("0.00010000", "0.000000"),
    ];
    let stellar = [
        ("BTC", "XLM"),
        ("bitcoin", "stellar"),
        (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ",
        ),
        ("memo: -", "memo: text:deposit 7"),
        ("0.75000000", "1.0000000"),
        ("0.00010000", "0.0000000"),
    ];
    vec![
        good("bitcoin", WITHDRAWAL),
        good("ethereum", with(WITHDRAWAL, &evm)),
        good("memo", with(WITHDRAWAL, &stellar)),
        bad("spelling", with(WITHDRAWAL, &[("0.75000000", "00.75000000")])),
        bad(
            "lower-case",
            with(WITHDRAWAL, &evm)
                .replace("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", &address([0x5a; 20])),
        ),
        bad("another-kind", OPERATOR),
    ]
}

pub(crate) fn transfers() -> Vec<Seed> {
    let paid = [(
        "address: -\namount: -",
        "address: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4\namount: 0.10000000",
    )];
    let gas = [
        ("btc-hot", "eth-hot"),
        ("bitcoin", "arbitrum"),
        ("consolidation", "gas"),
        ("BTC", "ETH"),
        ("0.00050000", "0.000500000000000000"),
    ];
    vec![
        good("inside", TRANSFER),
        good("outside", with(TRANSFER, &paid)),
        good("evm", with(TRANSFER, &gas)),
        bad("upper-case", with(TRANSFER, &paid).replace(CUSTOMER, &CUSTOMER.to_uppercase())),
        bad("half-a-payment", with(TRANSFER, &[("amount: -", "amount: 1.00000000")])),
        bad("not-releasable", with(TRANSFER, &[("bitcoin", "stellar")])),
    ]
}

/// The text by which operators approve [`WITHDRAWAL`].
fn approval() -> String {
    with(OPERATOR, &[("TEXT", &TextDigest::of(WITHDRAWAL.as_bytes()).to_string())])
}

pub(crate) fn operators() -> Vec<Seed> {
    let detail = format!("key=passkey:{}", passkey_digest());
    let enrol = [
        ("approve_withdrawal", "enrol_operator"),
        ("wd_01kaxjq8800000000000000007", DORA),
        ("text=TEXT", detail.as_str()),
    ];
    let policy = [
        ("approve_withdrawal", "activate_policy"),
        ("wd_01kaxjq8800000000000000007", "baseline"),
        ("text=TEXT", "tier=vip until=2027-01-01T00:00:00Z"),
        ("payload: -", "payload: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ];
    vec![
        good("approval", approval()),
        good("policy", with(OPERATOR, &policy)),
        good("passkey", with(OPERATOR, &enrol)),
        bad("two-spaces", with(OPERATOR, &[("text=TEXT", "a  b")])),
        bad("no-end", OPERATOR.trim_end()),
    ]
}

pub(crate) fn changes() -> Vec<Seed> {
    let lock = [
        ("add_credential", "unlock_settings"),
        ("credential:0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f", "-"),
        ("key=1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e", "-"),
    ];
    vec![
        good("credential", CHANGE),
        good("nothing-in-particular", with(CHANGE, &lock)),
        bad("space-in-target", with(CHANGE, &[("credential:", "credential: ")])),
        bad("act", with(CHANGE, &[("change: ", "act: ")])),
    ]
}

pub(crate) fn mandates() -> Vec<Seed> {
    let token = [
        ("BTC", "USDT"),
        ("bitcoin", "arbitrum"),
        ("1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"),
        ("0.50000000", "1250.000001"),
        ("2.00000000", "1250.000001"),
    ];
    let again = "destination: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4 -\n";
    vec![
        good("bitcoin", MANDATE),
        good("token", with(MANDATE, &token)),
        good("one-destination", with(MANDATE, &[(again, "")])),
        bad(
            "no-destination",
            with(MANDATE, &[(again, ""), ("destination: 1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2 -\n", "")]),
        ),
        bad("twice", with(MANDATE, &[(again, &again.repeat(2))])),
        bad("less-in-a-day", with(MANDATE, &[("2.00000000", "0.40000000")])),
        bad("too-long", with(MANDATE, &[("2027-02-20T12:00:00Z", "2027-02-20T12:00:01Z")])),
    ]
}

fn conflict() -> [ConflictKey; 2] {
    let txid = core::array::from_fn(|place| place as u8);
    [
        ConflictKey::Outpoint { txid, vout: 7 },
        ConflictKey::Nonce { chain: 42_161, sender: HOT_ACCOUNT, nonce: u64::MAX },
    ]
}

pub(crate) fn conflict_keys() -> Vec<Seed> {
    let [outpoint, nonce] = conflict();
    vec![
        good("outpoint", outpoint.to_string()),
        good("nonce", nonce.to_string()),
        bad("leading-zero", outpoint.to_string().replace(":7", ":07")),
        bad("outpoint-record", minicbor::to_vec(outpoint).unwrap()),
        bad("nonce-record", minicbor::to_vec(nonce).unwrap()),
    ]
}

pub(crate) fn addresses() -> Vec<Seed> {
    let on = |network: Network, text: &str| [&[network.number()], text.as_bytes()].concat();
    let known = [
        ("segwit", Network::Bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        ("base58", Network::Bitcoin, "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"),
        ("dogecoin", Network::Dogecoin, "DPpJVPpvPNP6i6tMj4rTycAGh8wReTqaSU"),
        ("cashaddr", Network::BitcoinCash, "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
        ("evm", Network::Polygon, &address(HOT_ACCOUNT)),
        ("tron", Network::Tron, "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8"),
        ("solana", Network::Solana, "4fYNw3dojWmQ4dXtSGE9epjRGy9pFSx62YypT7avPYvA"),
        ("xrp", Network::Xrp, "rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf\n4294967295"),
        ("xrp-x", Network::Xrp, "XV5sbjUmgPpvXv4ixFWZ5ptAYZ6PD2qwGkhgc48zzcx6Gkr"),
        ("stellar", Network::Stellar, "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ\nid:7"),
        ("muxed", Network::Stellar, "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ"),
    ];
    let mut seeds: Vec<Seed> =
        known.into_iter().map(|(name, network, text)| good(name, on(network, text))).collect();
    seeds.push(bad("other-network", on(Network::Litecoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")));
    seeds
}

fn pair(operator: usize) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&OPERATORS[operator].1).unwrap()
}

fn passkey_digest() -> TextDigest {
    TextDigest::of(&customers::passkey("", OPERATE_ORIGIN).public_key)
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// A text with the signatures of the first few operators.
fn act(text: String, operators: usize) -> SignedAct {
    let digest = TextDigest::of(text.as_bytes()).0;
    let sign = |operator: usize| OperatorSignature {
        operator: name(OPERATORS[operator].0),
        signature: OperatorProof::Ed25519(pair(operator).sign(&digest).as_ref().try_into().unwrap()),
    };
    SignedAct { signatures: (0..operators).map(sign).collect(), text }
}

/// The same with the first signature once more, under the second name of its key.
fn act_with_twin(text: String, operators: usize) -> SignedAct {
    let mut act = act(text, operators);
    act.signatures.push(OperatorSignature { operator: name(TWIN), ..act.signatures[0].clone() });
    act
}

/// The first operator's signature, and that of a passkey.
fn act_with_passkey(text: String) -> SignedAct {
    let mut act = act(text, 1);
    let by = customers::passkey(&act.text, OPERATE_ORIGIN);
    let signature = OperatorProof::Passkey(Box::new(by));
    act.signatures.push(OperatorSignature { operator: name(DORA), signature });
    assert_eq!(verify_act(&act, operators_known()).len(), 2, "both count");
    act
}

fn release() -> Release {
    Release {
        id: "rl_01kaxjq8800000000000000007".parse().unwrap(),
        exchange: "harbor.example".parse().unwrap(),
        audience: name("harbor-hot"),
        epoch: 1,
        sequence: 4_711,
        head: [0x21; 32],
        policy: [0x22; 32],
        simulated: false,
        not_before: Timestamp(1_795_348_800_000_000),
        expires: Timestamp(1_795_348_860_000_000),
        network: Network::Bitcoin,
        wallet: name("btc-hot"),
        transaction: [0x23; 32],
        receipts_seen: 24,
        payments: vec![Payment {
            intent: WITHDRAWAL.to_owned(),
            approvals: vec![act_with_twin(approval(), 2)],
            assertion: None,
            mandate: None,
        }],
        transfer: None,
        epochs: vec![],
    }
}

pub(crate) fn releases() -> Vec<Seed> {
    let epoch = [
        ("approve_withdrawal", "begin_epoch"),
        ("wd_01kaxjq8800000000000000007", "epoch:2"),
        ("text=TEXT", "store=00000000000000000000000000000000 counter=24"),
    ];
    let transfer = Release {
        payments: vec![],
        transfer: Some(act(TRANSFER.to_owned(), 0)),
        epochs: vec![act(with(OPERATOR, &epoch), 3)],
        simulated: true,
        ..release()
    };
    let empty = Release { payments: vec![], ..release() };
    let long = [&empty.to_bytes()[..], &[0]].concat();
    let mut words = release();
    words.payments.push(words.payments[0].clone());
    words.payments[0].assertion = Some(customers::assertion(WITHDRAWAL));
    words.payments[1].approvals.clear();
    words.payments[1].mandate = Some(customers::mandate(MANDATE));
    let mut by_passkey = release();
    by_passkey.payments[0].approvals = vec![act_with_passkey(approval())];
    vec![
        good("words", words.to_bytes()),
        good("payment", release().to_bytes()),
        good("transfer", transfer.to_bytes()),
        good("empty", empty.to_bytes()),
        good("passkey", by_passkey.to_bytes()),
        bad("trailing-byte", long),
    ]
}

pub(crate) fn enrolments() -> Vec<Seed> {
    let recovery = [
        ("approve_withdrawal", "recover_account"),
        ("wd_01kaxjq8800000000000000007", "ac_1"),
        ("text=TEXT", "credential=AA key=BB"),
    ];
    customers::enrolments(CHANGE, act_with_twin(with(OPERATOR, &recovery), 2))
}

pub(crate) fn policy_steps() -> Vec<Seed> {
    let word = |name: &str, detail: &str| {
        let changes =
            [("approve_withdrawal", name), ("wd_01kaxjq8800000000000000007", "0a0a"), ("text=TEXT", detail)];
        with(OPERATOR, &changes)
    };
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let step = PolicyStep {
        exchange: "harbor.example".parse().unwrap(),
        sequence: 4_800,
        at: Timestamp(1_795_348_000_000_000),
        act: act_with_twin(word("approve_policy", "from=0f0f author=carol"), 2),
        proposal: Some(act(word("propose_policy", "from=0f0f"), 1)),
        files: vec![],
        from_files: vec![],
        stopped: false,
    };
    let base = file("base.cedar", "permit (principal, action, resource);\n");
    let tightened = PolicyStep {
        act: act(word("tighten_policy", "from=0f0f"), 1),
        proposal: None,
        files: vec![base.clone(), file("stop.cedar", "forbid (principal, action, resource);\n")],
        from_files: vec![base.clone()],
        ..step.clone()
    };
    let restored = PolicyStep {
        act: act(word("restore_policy", "from=0f0f"), 2),
        proposal: None,
        stopped: true,
        ..step.clone()
    };
    let by_passkey = PolicyStep { act: act_with_passkey(restored.act.text.clone()), ..restored.clone() };
    let twice = PolicyStep { files: vec![base.clone(), base], ..tightened.clone() };
    vec![
        good("approved", step.to_bytes()),
        good("tightened", tightened.to_bytes()),
        good("stopped", restored.to_bytes()),
        good("passkey", by_passkey.to_bytes()),
        bad("twice", twice.to_bytes()),
        bad("trailing", [&step.to_bytes()[..], &[0xf6]].concat()),
    ]
}

fn receipt(what: Outcome) -> Vec<u8> {
    Receipt {
        signer: name("harbor-hot"),
        exchange: "harbor.example".parse().unwrap(),
        store: [7; 16],
        counter: 25,
        at: Timestamp(1_795_348_801_000_000),
        epoch: 1,
        what,
    }
    .to_bytes()
}

pub(crate) fn receipts() -> Vec<Seed> {
    let withdrawal = "wd_01kaxjq8800000000000000007".parse().unwrap();
    let authorised = |transfer: Option<&str>| Outcome::Authorised {
        release: release().id,
        network: Network::Bitcoin,
        wallet: name("btc-hot"),
        transaction: [0x23; 32],
        conflict_keys: conflict().to_vec(),
        withdrawals: if transfer.is_some() { vec![] } else { vec![withdrawal] },
        transfer: transfer.map(|id| id.parse().unwrap()),
    };
    let voided = receipt(Outcome::Voided { withdrawal });
    vec![
        bad("cut-short", &voided[..voided.len() - 1]),
        good("voided", voided),
        good("authorised", receipt(authorised(None))),
        good("transfer", receipt(authorised(Some("tr_01kaxjq8800000000000000007")))),
    ]
}

fn statement() -> Spends {
    let transaction = |digest: u8| SpentTransaction {
        digest: [digest; 32],
        conflict_keys: conflict().to_vec(),
        at: Timestamp(1_795_348_801_000_000),
        outputs: [digest + 1; 32],
    };
    Spends {
        signer: name("harbor-hot"),
        exchange: "harbor.example".parse().unwrap(),
        store: [7; 16],
        counter: 25,
        at: Timestamp(1_795_348_802_000_000),
        epoch: 1,
        sequence: 4_711,
        head: [0x21; 32],
        spends: vec![Spend {
            intent: WITHDRAWAL.to_owned(),
            at: Timestamp(1_795_348_801_000_000),
            network: Network::Bitcoin,
            wallet: name("btc-hot"),
            transactions: vec![transaction(1), transaction(2)],
        }],
        transfers: vec![SpentTransfer { text: TRANSFER.to_owned(), transactions: vec![transaction(3)] }],
        voided: vec!["wd_01kaxjq8800000000000000008".parse().unwrap()],
    }
}

pub(crate) fn statements() -> Vec<Seed> {
    let empty = Spends { spends: vec![], transfers: vec![], voided: vec![], ..statement() };
    let mut long = empty.to_bytes();
    // The last list, of no elements, in two bytes.
    long.pop();
    long.extend([0x98, 0]);
    vec![good("full", statement().to_bytes()), good("empty", empty.to_bytes()), bad("long-length", long)]
}

pub(crate) fn envelopes() -> Vec<Seed> {
    let key = release_key();
    let sealed = seal(Kind::Release, &release().to_bytes(), key);
    let mut broken = sealed.clone();
    broken[40] ^= 1;
    // The length of the payload, 18, in a byte of its own.
    let short = seal(Kind::Receipt, b"what a signer says", key);
    let head = short.len() - 64 - 2 - 18 - 1;
    assert_eq!(short[head], 0x52);
    let long = [&short[..head], &[0x58, 18], &short[head + 1..]].concat();
    let script = |which: u8, how: u8, at: u16, value: u8| {
        [&[which, how][..], &at.to_be_bytes(), &[value], b"what a signer says"].concat()
    };
    vec![
        good("release", sealed),
        good("receipt", seal(Kind::Receipt, b"what a signer says", key)),
        good("spends", seal(Kind::Spends, &[], key)),
        bad("one-bit", broken),
        bad("long-length", long),
        bad("script-byte", script(0, 0, 30, 1)),
        bad("script-longer", script(1, 2, 17, 0)),
        bad("script-insert", script(1, 3, 20, 0)),
        bad("script-remove", script(2, 4, 50, 0)),
        bad("script-cut", script(0, 5, 90, 0)),
        bad("script-behind", script(1, 6, 0, 0)),
        bad("script-enrolment", script(3, 0, 30, 1)),
        bad("script-removal", script(4, 1, 60, 7)),
        bad("script-policy", script(5, 4, 40, 7)),
    ]
}

pub(crate) fn pins() -> Vec<Seed> {
    let keys: Vec<String> = (0..OPERATORS.len())
        .map(|place| {
            format!("{} = \"{}\"", OPERATORS[place].0, to_base64url(pair(place).public_key().as_ref()))
        })
        .collect();
    let hot = HOT_DESCRIPTORS[..2].join("\", \"");
    let text = format!(
        r#"exchange = "harbor.example"
name = "harbor-hot"
store = "07070707070707070707070707070707"
release_keys = ["{}"]
receipt_key_file = "receipt.key"
release_lifetime_max = "60s"

[operators]
threshold = 2
keys = {{ {} }}

[policy]
initial = "0909090909090909090909090909090909090909090909090909090909090909"
delay = "12h"
setup = "0s"

[[wallets]]
name = "btc-hot"
network = "bitcoin"
descriptors = ["{hot}"]
fee_max = "0.001"
fee_rate_max = "400"
fee_bucket = {{ size = "0.02", refill_per_hour = "0.01" }}

[[wallets]]
name = "btc-cold"
network = "bitcoin"
descriptors = ["{COLD_DESCRIPTOR}"]

[[wallets]]
name = "eth-hot"
network = "ethereum"
address = "{}"
fee_max = "0.05"
fee_rate_max = "500"
fee_bucket = {{ size = "0.5", refill_per_hour = "0.25" }}

[[assets]]
symbol = "BTC"
network = "bitcoin"
decimals = 8
buckets = {{ vouched = {{ size = "100", refill_per_hour = "25" }}, unvouched = {{ size = "5", refill_per_hour = "2.5" }} }}

[[assets]]
symbol = "USDX"
network = "ethereum"
decimals = 6
contract = "{}"
buckets = {{ vouched = {{ size = "1000000", refill_per_hour = "0" }}, unvouched = {{ size = "50000", refill_per_hour = "25000" }} }}
"#,
        to_base64url(&release_key().public_key()),
        keys.join(", "),
        address(HOT_ACCOUNT),
        address([0xda; 20]),
    );
    let approval = "[approval]\nrp_id = \"approve.harbor.example\"\norigins = [\"https://approve.harbor.example\"]\n\
         app_id = \"https://harbor.example/app-id.json\"\nageing = \"7d\"\nenrolments_per_day = 200\n\
         user_verification = \"required\"\n\n[[wallets]]";
    let approvals = with(
        &text,
        &[
            ("[[wallets]]", approval),
            ("decimals = 8\n", "decimals = 8\ncredential_cap = \"2.5\"\n"),
            ("decimals = 6\n", "decimals = 6\ncredential_cap = \"0\"\n"),
        ],
    );
    let passkeys = format!(
        ", {DORA} = \"passkey:{}\" }}\n\n[operators.passkeys]\nrp_id = \"{OPERATE_RP_ID}\"\norigins = [\"{OPERATE_ORIGIN}\"]\n\n[policy]",
        passkey_digest()
    );
    let with_dora = with(&text, &[(" }\n\n[policy]", passkeys.as_str())]);
    let shorter = with(
        &text,
        &[
            ("store = \"07070707070707070707070707070707\"\n", "simulated_clock = true\n"),
            ("threshold = 2", "threshold = 3"),
            ("\"60s\"", "\"10m\""),
        ],
    );
    vec![
        bad("one-operator", with(&text, &[("threshold = 2", "threshold = 1")])),
        bad("unknown-key", with(&text, &[("threshold = 2", "threshold = 2\nquorum = 2")])),
        bad("policy-unpinned", with(&text, &[("initial = \"", "inital = \"")])),
        bad("policy-at-once", with(&text, &[("\"12h\"", "\"0s\"")])),
        bad("sudden", with(&approvals, &[("7d", "71h")])),
        good("approvals", approvals),
        bad("passkey-nowhere", with(&with_dora, &[("[operators.passkeys]", "[operators.elsewhere]")])),
        bad(
            "passkey-shared",
            with_dora.replace("operate.harbor.example", "approve.harbor.example") + APPROVES,
        ),
        good("passkey", with_dora),
        good("whole", text),
        good("before-init", shorter),
    ]
}

fn frame(message: &impl minicbor::Encode<()>) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(&mut bytes, message).unwrap();
    bytes
}

/// What a signer answers that only a signer can make, written by hand.
fn answer(
    write: impl FnOnce(&mut Encoder<Vec<u8>>) -> Result<(), minicbor::encode::Error<core::convert::Infallible>>,
) -> Vec<u8> {
    let mut encoder = Encoder::new(vec![]);
    write(&mut encoder).unwrap();
    let message = encoder.into_writer();
    [&(message.len() as u32).to_be_bytes()[..], &message].concat()
}

pub(crate) fn frames() -> Vec<Seed> {
    let halt = with(OPERATOR, &[("approve_withdrawal", "halt"), ("text=TEXT", "-")]);
    let authorise = Request::Authorise { release: vec![0xd2, 0x84], transaction: b"psbt\xff".to_vec() };
    let refused =
        Answer::Refused { code: "signer_halted".to_owned(), text: "halted".to_owned(), withdrawal: None };
    let short = [frame(&Request::Status), frame(&Request::Halt), frame(&Request::Spends)].concat();
    let authorised = answer(|e| {
        e.array(2)?.u8(1)?.array(1)?.array(6)?.str("btc-hot")?.encode(Network::Bitcoin)?.bytes(&[7; 32])?;
        e.array(1)?.array(5)?.u32(0)?.bytes(&[8; 32])?.u8(2)?.u8(3)?.u32(70_000)?;
        e.bytes(b"receipt")?.bool(true)?.ok()
    });
    let status = answer(|e| {
        e.array(2)?.u8(3)?.array(1)?.array(12)?.str("harbor-hot")?.str("harbor.example")?.bytes(&[1; 32])?;
        e.bytes(&[2; 16])?
            .u64(25)?
            .u64(1)?
            .array(2)?
            .u64(4_711)?
            .bytes(&[3; 32])?
            .u64(1_795_348_800_000_000)?;
        e.bool(false)?
            .bool(false)?
            .array(1)?
            .array(6)?
            .u8(2)?
            .str("btc-hot")?
            .encode(Network::Bitcoin)?
            .u8(8)?;
        e.encode(holdfast_values::Amount::from_base_units(1 << 70))?.u32(5)?;
        e.array(3)?.u64(12)?.u64(2)?.u64(1)?.ok()
    });
    let enrolled = answer(|e| {
        e.array(2)?.u8(5)?.array(1)?.array(3)?.u64(1_795_348_800_000_000)?.u64(0)?.bool(true)?.ok()
    });
    let credentials = answer(|e| {
        e.array(2)?.u8(6)?.array(1)?.array(1)?.array(11)?.bytes(&[7; 20])?.str("ac_1")?.bytes(&[8; 42])?;
        e.bool(true)?.bool(false)?.u8(2)?.bytes(&[7; 20])?.u64(1_795_348_800_000_000)?.null()?;
        e.u64(1_795_608_000_000_000)?.u64(41)?.ok()
    });
    vec![
        good("authorise", frame(&authorise)),
        good("void", frame(&Request::Void("wd_01kaxjq8800000000000000007".parse().unwrap()))),
        good("three", short),
        good("act", frame(&Request::Act(Act::from(&act(halt.clone(), 2))))),
        good("act-by-passkey", frame(&Request::Act(Act::from(&act_with_passkey(halt))))),
        good("refused", frame(&refused)),
        good("authorised", authorised),
        good("status", status),
        good("enrol", frame(&Request::Enrol(vec![0xd2, 0x84]))),
        good("remove", frame(&Request::Remove(vec![0xd2, 0x84]))),
        good("ask-credentials", frame(&Request::Credentials("ac_1".parse().unwrap()))),
        good("enrolled", enrolled),
        good("credentials", credentials),
        good("done", frame(&Answer::Done("halt".to_owned()))),
        bad("too-long", [&[0xff; 4], &[0; 40][..]].concat()),
    ]
}

pub(crate) fn requests() -> Vec<Seed> {
    const QUERY: &str = "coin=XRP&network=XRP&address=rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf&addressTag=7";
    const BODY: &str =
        "amount=20.5&withdrawOrderId=order-1&name=my+own&timestamp=1795353581581&recvWindow=10000";
    let sent = |query: &str, body: &str| [b"key-1\xff", query.as_bytes(), b"\xff", body.as_bytes()].concat();
    let all = format!("{QUERY}&{BODY}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, API_SECRET);
    let tag: String =
        hmac::sign(&key, all.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA2h5WmzJcAQHd1YbD6ojGlNNco4Z2/NAbR8b5nS+Feb8=\n-----END PUBLIC KEY-----\n";
    vec![
        good("query", sent(&all, "")),
        good("body", sent("", &all)),
        good("split", sent(QUERY, &format!("&{BODY}").replace("&amount", "amount"))),
        good("escaped", sent("", &all.replace("rGWr", "%72GWr").replace("name=my+own&", "name=%C3%A4&"))),
        good("signed", sent(&format!("{all}&signature={tag}"), "")),
        bad("repeated", sent(QUERY, &all)),
        bad("unknown", sent("", &format!("{all}&foo=1"))),
        bad("pem", pem),
        bad("operator-key", to_base64url(pair(0).public_key().as_ref())),
    ]
}
