//! A market maker's program under a mandate: approved once by its owner's key, it withdraws with ccxt above the sum for which
//! a person would be asked, and the signer, which believes nobody, checks mandate and request itself.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use holdfast_authn::encoding::{base64, hex, to_base64, to_base64url};
use holdfast_authn::release::SigningKey;
use holdfast_signer::{Pins, Signer};
use holdfast_transactions::{EvmFields, evm_unsigned};
use holdfast_values::Timestamp;
use serde_json::{Value, json};

use crate::authenticator::{Authenticator, ORIGIN, RP_ID};
use crate::stand::{Ccxt, Kind, Setup, Stand, has_ccxt, repository};

const BOT: &str = "maker";
const HOT: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
/// In nobody's book.
const DESK: &str = "0x52908400098527886E0F7030069857D2E4169EE7";
const USDT: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";
const GWEI: u128 = 1_000_000_000;
const APPROVED: &str = "Approved: the wallet sends it.";

/// A signer beside its own folder, with a clock that a test sets.
struct Beside {
    folder: PathBuf,
    clock: Arc<AtomicU64>,
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _best_effort = std::fs::remove_dir_all(&self.folder);
    }
}

impl Beside {
    /// Its folder, its store, and the key of its receipts.
    fn new(name: &str) -> (Self, String) {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = format!("mandate-{name}-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        let beside = Self { folder, clock: Arc::new(AtomicU64::new(0)) };
        // Holdfast's release key is not made yet: another one until it is.
        let nobody = to_base64url(&SigningKey::from_seed(&[1; 32]).public_key());
        beside.pin("", &nobody, &"0".repeat(64));
        let made = Signer::init(&beside.pins(), &beside.folder.join("signer.db"), 1).unwrap();
        let store: String = made.store.iter().map(|byte| format!("{byte:02x}")).collect();
        std::fs::write(beside.folder.join("store"), &store).unwrap();
        let key = holdfast_authn::print_operator_key(&made.receipt_key);
        (beside, key)
    }

    fn pins(&self) -> PathBuf {
        self.folder.join("signer.toml")
    }

    fn pin(&self, store: &str, release_key: &str, policy: &str) {
        use std::os::unix::fs::PermissionsExt as _;
        let [alice, bob] = [2, 3].map(|seed| to_base64url(&SigningKey::from_seed(&[seed; 32]).public_key()));
        let text = format!(
            r#"{store}exchange = "harbor.example"
name = "harbor-hot"
simulated_clock = true
release_keys = ["{release_key}"]
receipt_key_file = "receipt.key"
release_lifetime_max = "10m"
[operators]
threshold = 2
keys = {{ alice = "{alice}", bob = "{bob}" }}
[policy]
initial = "{policy}"
[approval]
rp_id = "{RP_ID}"
origins = ["{ORIGIN}"]
ageing = "72h"
enrolments_per_day = 10
user_verification = "optional"
[[wallets]]
name = "eth-hot"
network = "ethereum"
address = "{HOT}"
fee_max = "0.05"
fee_rate_max = "500"
fee_bucket = {{ size = "0.2", refill_per_hour = "0" }}
[[assets]]
symbol = "USDT"
network = "ethereum"
decimals = 6
contract = "{USDT}"
credential_cap = "100000"
buckets = {{ vouched = {{ size = "1000000", refill_per_hour = "0" }}, unvouched = {{ size = "10000", refill_per_hour = "0" }} }}
"#
        );
        std::fs::write(self.pins(), text).unwrap();
        std::fs::set_permissions(self.pins(), std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Opens it, with Holdfast's release key pinned.
    fn open(&self, stand: &Stand) -> Signer {
        let store = std::fs::read_to_string(self.folder.join("store")).unwrap();
        self.pin(&format!("store = \"{store}\"\n"), &stand.release_key(), &stand.policy);
        let clock = Arc::clone(&self.clock);
        self.set(stand);
        let clock = Arc::new(move || Timestamp(clock.load(Ordering::SeqCst)));
        Signer::open(Pins::load(&self.pins()).unwrap(), &self.folder.join("signer.db"), clock).unwrap()
    }

    /// It is now as late as at Holdfast.
    fn set(&self, stand: &Stand) {
        self.clock.store(stand.time().0, Ordering::SeqCst);
    }
}

/// The sample's configuration with the page of approvals, the hot wallet's address, and a signer.
fn configuration(receipt_key: &str) -> String {
    let sample = std::fs::read_to_string(repository("examples/harbor.toml")).unwrap();
    let chain = format!(
        "[[wallets.chains]]\nnetwork = \"ethereum\"\naddress = \"{HOT}\"\nfee_max = \"0.05\"\n\
         fee_bucket = {{ size = \"1\", refill_per_hour = \"0\" }}\n\n[[assets]]"
    );
    let more = format!(
        "\n[[signers]]\nname = \"harbor-hot\"\nreceipt_key = \"{receipt_key}\"\n\
         [approve]\nrp_id = \"{RP_ID}\"\norigins = [\"{ORIGIN}\"]\n"
    );
    sample.replacen("[[assets]]", &chain, 1) + &more
}

/// A transfer of so many units of the token, unsigned.
fn transfer(nonce: u64, units: u128) -> Vec<u8> {
    let address = |text: &str| hex::<20>(&text.as_bytes()[2..]).unwrap();
    let data = [&[0xa9, 0x05, 0x9c, 0xbb][..], &[0; 12], &address(DESK), &[0; 16], &units.to_be_bytes()];
    evm_unsigned(&EvmFields {
        chain_id: 1,
        nonce,
        max_priority_fee_per_gas: GWEI,
        max_fee_per_gas: 30 * GWEI,
        gas_limit: 100_000,
        to: address(USDT),
        value: 0,
        data: data.concat(),
    })
}

/// A withdrawal with ccxt; what the customer is told, and Holdfast's id of it.
fn withdraw(ccxt: &mut Ccxt, stand: &Stand, amount: &str) -> (String, String) {
    let said = ccxt.withdraw(BOT, "USDT", amount, DESK, json!({ "network": "ERC20" }));
    let info = said["ok"]["info"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned();
    let newest = stand.decided(BOT).swap_remove(0);
    (info, newest["id"].as_str().unwrap().to_owned())
}

/// The release for a payment of an approved withdrawal.
fn release(stand: &Stand, token: &str, transaction: &[u8], withdrawal: &str) -> Vec<u8> {
    let body = json!({
        "signer": "harbor-hot", "wallet": "eth-hot", "network": "ethereum", "transaction": to_base64(transaction),
        "withdrawals": [withdrawal],
    });
    let answer = stand.ask("POST", "/v1/transactions", token, &body).ok();
    base64(answer["release"].as_str().unwrap_or_else(|| panic!("{answer}")).as_bytes()).unwrap()
}

/// What is left for payments that their owners vouch for, and for the others.
fn left(signer: &mut Signer) -> [u128; 2] {
    let status = signer.status().unwrap();
    [status.buckets[0].available.base_units(), status.buckets[1].available.base_units()]
}

#[test]
fn a_bot_under_a_mandate_withdraws_without_a_person() {
    if !has_ccxt() {
        return;
    }
    let key = Authenticator::new();
    let (beside, receipt_key) = Beside::new("signer");
    // One that never heard of the owner's key.
    let (stranger, _) = Beside::new("stranger");
    let (mut signer, mut token) = (None, String::new());
    let mut young = |stand: &Stand| {
        let path = format!("/v1/accounts/{BOT}/credentials");
        let options = stand.ask("POST", &format!("{path}/options"), &stand.service, &json!({})).ok();
        let registered = key.register(options["challenge"].as_str().unwrap());
        stand.ask("POST", &path, &stand.service, &registered).ok();
        // The wallet service carries the documents to the signer, which counts their age by its own clock.
        token = stand.token("wallet", "wallet");
        let documents = stand.ask("GET", "/v1/enrolments?min-sequence=1", &token, &Value::Null).ok();
        let document = documents["documents"][0]["document"].as_str().unwrap();
        let mut opened = beside.open(stand);
        opened.enrol(&base64(document.as_bytes()).unwrap()).unwrap();
        signer = Some(opened);
    };
    let config = Some(configuration(&receipt_key));
    let stand =
        Stand::of(&[(BOT, "full", Kind::Ed25519)], Setup { rate: 1, config, young: &mut young, gate: false });
    let mut signer = signer.unwrap();
    let mut ccxt = Ccxt::start();
    ccxt.open(&stand, BOT, &stand.customers[BOT]);

    // Without a mandate a person is asked.
    let (info, _) = withdraw(&mut ccxt, &stand, "26000");
    assert!(info.starts_with("Confirm it with: passkey"), "{info}");

    // The owner grants one: 30,000 at a time, 60,000 a day, to one address.
    let terms = json!({
        "api_key": stand.customers[BOT].api_key, "asset": "USDT", "network": "ethereum",
        "destinations": [{ "address": DESK }], "amount_max": "30000", "day_max": "60000", "days": 30,
    });
    let path = format!("/v1/accounts/{BOT}/mandates");
    let offer = stand.ask("POST", &format!("{path}/text"), &stand.service, &terms).ok();
    let approval = key.approve(offer["text"].as_str().unwrap());
    stand.ask("POST", &path, &stand.service, &json!({ "approval": approval })).ok();

    // The same now leaves on the program's word alone: approved, released, and authorised by the signer.
    let (info, id) = withdraw(&mut ccxt, &stand, "30000");
    assert_eq!(info, APPROVED);
    let transaction = transfer(0, 30_000_000_000);
    let released = release(&stand, &token, &transaction, &id);
    let refused = stranger.open(&stand).authorise(&released, &transaction).unwrap_err();
    assert_eq!(refused.code(), "credential_unknown");
    beside.set(&stand);
    // Another payment than the one that was released is not signed.
    assert!(signer.authorise(&released, &transfer(0, 30_000_000_001)).is_err());
    signer.authorise(&released, &transaction).unwrap();
    assert_eq!(left(&mut signer), [970_000_000_000, 10_000_000_000], "it was vouched for");

    // Four at once, of which the owner's sum for the day covers three.
    let told = at_once(&stand, 4);
    let approved = told.iter().filter(|info| *info == APPROVED).count();
    assert_eq!(approved, 3, "{told:?}");
    assert!(told.iter().any(|info| info.starts_with("Confirm it with: passkey")), "{told:?}");
    let rows = stand.decided(BOT);
    let rows = rows.iter().filter(|row| row["status"] == "approved");
    let ids: Vec<&str> = rows.map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 3);
    for (nonce, id) in (1..).zip(ids) {
        let transaction = transfer(nonce, 10_000_000_000);
        let released = release(&stand, &token, &transaction, id);
        beside.set(&stand);
        signer.authorise(&released, &transaction).unwrap();
    }
    assert_eq!(left(&mut signer), [940_000_000_000, 10_000_000_000]);
}

/// What as many programs are told that withdraw 10,000 at the same time.
fn at_once(stand: &Stand, programs: u32) -> Vec<String> {
    let ready = Barrier::new(usize::try_from(programs).unwrap());
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..programs)
            .map(|number| {
                let ready = &ready;
                scope.spawn(move || {
                    let mut ccxt = Ccxt::start();
                    ccxt.open(stand, BOT, &stand.customers[BOT]);
                    ready.wait();
                    let own = json!({ "network": "ERC20", "withdrawOrderId": format!("slice-{number}") });
                    let said = ccxt.withdraw(BOT, "USDT", "10000", DESK, own);
                    said["ok"]["info"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}
