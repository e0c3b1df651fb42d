//! The store: made once, held by one process, found out when it was copied or rolled back; and what operators may do to it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use holdfast_signer::{Signer, SignerAct};
use holdfast_values::time;

use crate::exchange::{BTC, CUSTOMER, Exchange, START};

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn code(exchange: &Exchange) -> &'static str {
    match exchange.open() {
        Ok(_) => "opened",
        Err(error) => error.code(),
    }
}

#[test]
fn a_store_is_made_once_and_never_over_another() {
    let exchange = Exchange::new();
    let init = |pins: &Path| Signer::init(pins, &exchange.store_path(), 1).unwrap_err().code();
    assert_eq!(init(&exchange.pins_path()), "store_already_pinned");
    let pins = fs::read_to_string(exchange.pins_path()).unwrap();
    let without: Vec<&str> = pins.lines().filter(|line| !line.starts_with("store")).collect();
    exchange.write_pins(&without.join("\n"));
    assert_eq!(init(&exchange.pins_path()), "store_exists");
    assert_eq!(code(&exchange), "store_unpinned");
}

#[test]
fn a_deleted_or_exchanged_store_is_refused() {
    let exchange = Exchange::new();
    drop(exchange.signer());
    let kept = exchange.folder.join("kept.db");
    fs::rename(exchange.store_path(), &kept).unwrap();
    assert_eq!(code(&exchange), "store_missing");
    fs::write(exchange.store_path(), b"").unwrap();
    assert_eq!(code(&exchange), "store_malformed");
    let another = Exchange::new();
    fs::rename(another.store_path(), exchange.store_path()).unwrap();
    assert_eq!(code(&exchange), "store_unknown");
    fs::rename(&kept, exchange.store_path()).unwrap();
    assert_eq!(code(&exchange), "opened");
}

#[test]
fn a_second_process_on_the_same_store_is_refused() {
    let exchange = Exchange::new();
    let signer = exchange.signer();
    assert_eq!(code(&exchange), "store_in_use");
    drop(signer);
    assert_eq!(code(&exchange), "opened");
}

#[test]
fn a_copied_or_restored_store_is_refused_until_operators_adopt_it() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    exchange.pay(&mut signer, BTC).unwrap();
    let store: String = signer.status().unwrap().store.iter().map(|byte| format!("{byte:02x}")).collect();
    drop(signer);
    let backup = exchange.folder.join("backup.db");
    fs::copy(exchange.store_path(), &backup).unwrap();
    fs::remove_file(exchange.store_path()).unwrap();
    fs::copy(&backup, exchange.store_path()).unwrap();
    assert_eq!(code(&exchange), "store_moved");

    let mut moved = Signer::open_for_acts(exchange.pins(), &exchange.store_path(), exchange.clock()).unwrap();
    assert_eq!(exchange.pay(&mut moved, BTC).unwrap_err().code(), "store_moved");
    assert_eq!(moved.void(holdfast_values::WithdrawalId(7)).unwrap_err().code(), "store_moved");
    let resume = exchange.act("resume_signer", "signer:harbor-hot", "-", &["alice", "bob"]);
    assert_eq!(moved.act(&resume).unwrap_err().code(), "store_moved");
    let mut adopt = |detail: &str, by: &[&str]| {
        let signed = exchange.act("adopt_store", "signer:harbor-hot", detail, by);
        moved.act(&signed).map(SignerAct::name).map_err(|error| error.code())
    };
    let (right, both) = (format!("store={store} counter=1"), ["alice", "bob"]);
    assert_eq!(adopt(&right, &["alice"]), Err("signatures_missing"));
    assert_eq!(adopt(&format!("store={store} counter=0"), &both), Err("counter_differs"));
    assert_eq!(adopt(&format!("store={} counter=1", "0".repeat(32)), &both), Err("act_target"));
    assert_eq!(adopt(&right, &both), Ok("adopt_store"));
    drop(moved);
    assert_eq!(code(&exchange), "opened");
}

#[test]
fn a_store_that_was_rolled_back_in_place_is_found_by_the_receipts_that_holdfast_has_seen() {
    let exchange = Exchange::new();
    let last_night = fs::read(exchange.store_path()).unwrap();
    let mut signer = exchange.signer();
    let receipt = exchange.pay(&mut signer, BTC).unwrap().receipt;
    drop(signer);
    // Same file, same place, older content.
    fs::write(exchange.store_path(), last_night).unwrap();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let mut release = exchange.release(&psbt, &[exchange.intent(CUSTOMER, BTC)]);
    release.receipts_seen = exchange.receipt(&receipt).counter;
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "store_rolled_back");
}

#[test]
fn files_that_others_could_have_written_are_refused() {
    let exchange = Exchange::new();
    let key = exchange.folder.join("receipt.key");
    for (path, bad, good) in [
        (exchange.store_path(), 0o620, 0o600),
        (exchange.store_path(), 0o602, 0o600),
        (key.clone(), 0o640, 0o600),
        (key, 0o604, 0o600),
        (exchange.folder.clone(), 0o770, 0o700),
        (exchange.folder.clone(), 0o702, 0o700),
    ] {
        let pins = exchange.pins();
        mode(&path, bad);
        let refused = Signer::open(pins, &exchange.store_path(), exchange.clock()).unwrap_err();
        assert_eq!(refused.code(), "file_mode", "{} {bad:o}", path.display());
        mode(&path, good);
    }
    for bad in [0o660, 0o606] {
        mode(&exchange.pins_path(), bad);
        let refused = holdfast_signer::Pins::load(&exchange.pins_path()).unwrap_err();
        assert_eq!(refused.code(), "file_mode", "{bad:o}");
    }
    mode(&exchange.pins_path(), 0o600);
    assert_eq!(code(&exchange), "opened");
}

#[test]
fn a_clock_set_back_signs_nothing_and_refills_nothing() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    exchange.wait(time::HOUR);
    exchange.pay(&mut signer, 2 * BTC).unwrap();
    exchange.set_clock(START.plus(59 * time::MINUTE));
    assert_eq!(exchange.pay(&mut signer, 5_000).unwrap_err().code(), "clock_behind");
    drop(signer);
    let mut signer = exchange.signer();
    assert_eq!(exchange.pay(&mut signer, 5_000).unwrap_err().code(), "clock_behind", "nor after a new start");
    exchange.set_clock(START.plus(time::HOUR));
    assert_eq!(exchange.pay(&mut signer, 5_000).unwrap_err().code(), "bucket_empty");
}

#[test]
fn a_clock_that_was_ahead_once_is_set_right_by_operators() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    exchange.set_clock(START.plus(365 * time::DAY));
    exchange.pay(&mut signer, 2 * BTC).unwrap();
    exchange.set_clock(START);
    assert_eq!(exchange.pay(&mut signer, 5_000).unwrap_err().code(), "clock_behind");
    let store: String = signer.status().unwrap().store.iter().map(|byte| format!("{byte:02x}")).collect();
    let detail = format!("store={store} counter=1");
    signer.act(&exchange.act("adopt_store", "signer:harbor-hot", &detail, &["alice", "bob"])).unwrap();
    assert_eq!(exchange.pay(&mut signer, 5_000).unwrap_err().code(), "bucket_empty", "it refilled nothing");
    exchange.wait(time::HOUR);
    exchange.pay(&mut signer, BTC).unwrap();
    assert_eq!(exchange.pay(&mut signer, 5_000).unwrap_err().code(), "bucket_empty");
}

#[test]
fn a_halted_signer_signs_nothing_until_two_operators_resume_it() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let psbt = exchange.psbt(&[(CUSTOMER, BTC)]);
    let release = exchange.release(&psbt, &[exchange.intent(CUSTOMER, BTC)]);
    exchange.ask(&mut signer, &release, &psbt).unwrap();
    signer.halt().unwrap();
    assert_eq!(exchange.refusal(&mut signer, &release, &psbt), "halted", "not even what it signed before");
    drop(signer);
    let mut signer = exchange.signer();
    assert_eq!(exchange.pay(&mut signer, BTC).unwrap_err().code(), "halted", "nor after a new start");
    assert!(signer.void(holdfast_values::WithdrawalId(7)).is_ok(), "it still tightens");
    let mut resume = |target: &str, by: &[&str]| {
        let signed = exchange.act("resume_signer", target, "-", by);
        signer.act(&signed).map(SignerAct::name).map_err(|error| error.code())
    };
    let here = "signer:harbor-hot";
    assert_eq!(resume(here, &[]), Err("signatures_missing"));
    assert_eq!(resume(here, &["alice"]), Err("signatures_missing"));
    assert_eq!(resume(here, &["alice", "alice"]), Err("signatures_missing"));
    assert_eq!(resume("signer:harbor-warm", &["alice", "bob"]), Err("act_target"));
    assert_eq!(resume(here, &["alice", "bob"]), Ok("resume_signer"));
    assert!(exchange.ask(&mut signer, &release, &psbt).unwrap().repeated);
}

#[test]
fn one_operator_halts_and_a_text_is_used_once() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let halt = exchange.act("halt", "signer:harbor-hot", "-", &["carol"]);
    let resume = exchange.act("resume_signer", "signer:harbor-hot", "-", &["bob", "carol"]);
    signer.act(&halt).unwrap();
    assert!(signer.status().unwrap().halted);
    signer.act(&resume).unwrap();
    assert!(!signer.status().unwrap().halted);
    assert_eq!(signer.act(&halt).unwrap_err().code(), "act_used");
    signer.halt().unwrap();
    assert_eq!(signer.act(&resume).unwrap_err().code(), "act_used", "an old resume resumes nothing");
    let late = exchange.act("resume_signer", "signer:harbor-hot", "-", &["bob", "carol"]);
    exchange.wait(time::DAY + 1);
    assert_eq!(signer.act(&late).unwrap_err().code(), "act_not_now");
    let mut elsewhere = exchange.act_text("resume_signer", "signer:harbor-hot", "-");
    elsewhere.exchange = "other.example".parse().unwrap();
    let elsewhere = exchange.sign(&elsewhere.to_string(), &["bob", "carol"]);
    assert_eq!(signer.act(&elsewhere).unwrap_err().code(), "act_target");
    let unknown = exchange.act("resume", "overall", "-", &["bob", "carol"]);
    assert_eq!(signer.act(&unknown).unwrap_err().code(), "act_unknown");
    let mut torn = exchange.act("halt", "signer:harbor-hot", "-", &["carol"]);
    torn.text.pop();
    assert_eq!(signer.act(&torn).unwrap_err().code(), "text_unterminated");
}

#[test]
fn an_epoch_begins_only_on_operators_word_about_this_store_as_it_is_now() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    exchange.sequence.store(5_000, std::sync::atomic::Ordering::Relaxed);
    exchange.pay(&mut signer, BTC).unwrap();
    let store: String = signer.status().unwrap().store.iter().map(|byte| format!("{byte:02x}")).collect();
    let begin = |epoch: u64, counter: u64, by: &[&str]| {
        exchange.act(
            "begin_epoch",
            &format!("epoch:{epoch}"),
            &format!("store={store} counter={counter}"),
            by,
        )
    };
    let both = ["alice", "bob"];
    // Last night's backup is served again: its sequences are lower.
    exchange.sequence.store(3_000, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(exchange.pay(&mut signer, 5_000).unwrap_err().code(), "sequence_old");
    let psbt = exchange.psbt(&[(CUSTOMER, 5_000)]);
    let ask = |signer: &mut Signer, epochs| {
        let mut release = exchange.release(&psbt, &[exchange.intent(CUSTOMER, 5_000)]);
        release.epoch = 2;
        release.receipts_seen = 1;
        release.epochs = epochs;
        exchange.ask(signer, &release, &psbt).map_or_else(|error| error.code(), |_| "signed")
    };
    assert_eq!(ask(&mut signer, vec![]), "epoch_unknown");
    assert_eq!(ask(&mut signer, vec![begin(2, 1, &["alice"])]), "signatures_missing");
    assert_eq!(ask(&mut signer, vec![begin(2, 0, &both)]), "counter_differs", "not all of it was merged");
    assert_eq!(ask(&mut signer, vec![begin(3, 1, &both)]), "epoch_unknown");
    assert_eq!(signer.act(&begin(1, 1, &both)).unwrap_err().code(), "epoch_not_next");
    // The text travels in the release, beside one for another signer's store.
    let another =
        exchange.act("begin_epoch", "epoch:2", &format!("store={} counter=9", "1".repeat(32)), &both);
    assert_eq!(ask(&mut signer, vec![another, begin(2, 1, &both)]), "signed");
    assert_eq!(signer.status().unwrap().epoch, 2);
    assert_eq!(exchange.pay(&mut signer, 5_000).unwrap_err().code(), "epoch_old");
    // Or it is given to the signer directly.
    assert_eq!(signer.act(&begin(4, 2, &both)).map(SignerAct::name), Ok("begin_epoch"));
    assert_eq!(signer.status().unwrap().seen, None);
}

#[test]
fn pinned_files_with_anything_odd_are_refused_and_the_place_is_named() {
    let exchange = Exchange::new();
    let good = fs::read_to_string(exchange.pins_path()).unwrap();
    let say = |from: &str, to: &str| {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        holdfast_signer::Pins::parse(&text, Path::new("signer.toml")).unwrap_err().to_string()
    };
    let table = [
        ("simulated_clock", "simulated_clocks", "unknown field `simulated_clocks`"),
        ("threshold = 2", "threshold = 1", "operators.threshold: at least 2"),
        (
            "threshold = 2",
            "threshold = 4",
            "operators.threshold: at least 2, and no more than there are keys (3)",
        ),
        ("release_lifetime_max = \"10m\"", "release_lifetime_max = \"11m\"", "release_lifetime_max: "),
        ("exchange = \"harbor.example\"", "exchange = \"Harbor\"", "exchange: "),
        ("fee_max = \"0.001\"", "fee_max = \"0.000000001\"", "wallets[0].fee_max: "),
        ("fee_max = \"0.001\"\n", "", "wallets[0]: give fee_max, fee_rate_max and fee_bucket"),
        ("name = \"btc-cold\"", "name = \"btc-hot\"", "wallets[1].name: btc-hot on bitcoin is pinned twice"),
        ("network = \"ethereum\"\naddress", "network = \"bitcoin\"\naddress", "wallets[2]: give descriptors"),
        ("network = \"ethereum\"\naddress", "network = \"solana\"\naddress", "wallets[2].network: "),
        ("decimals = 8", "decimals = 7", "assets[0].decimals: the coin of bitcoin has 8"),
        ("symbol = \"USDT\"", "symbol = \"ETH\"", "assets[2]: ETH, or what it stands for, is pinned twice"),
        ("size = \"20\"", "size = \"-20\"", "assets[0].buckets.vouched.size: "),
        ("size = \"20\"", "size = \"90000000000000000000000000000000\"", "assets[0].buckets.vouched.size: "),
        ("size = \"20\"", "size = \"2000000000000000000000000000\"", "assets[0].buckets.vouched: too large"),
    ];
    for (from, to, expected) in table {
        let said = say(from, to);
        assert!(said.contains(expected), "{from} -> {to}: {said}");
    }
    let alice = good.split("alice = \"").nth(1).unwrap()[..43].to_owned();
    let bob = good.split("bob = \"").nth(1).unwrap()[..43].to_owned();
    assert!(say(&bob, &alice).contains("operators.keys.bob: another operator has this key"));
    let release = good.split("release_keys = [\"").nth(1).unwrap()[..43].to_owned();
    assert!(say(&bob, &release).contains("operators.keys.bob: this is a release key"));
    let none = say(&format!("release_keys = [\"{release}\"]"), "release_keys = []");
    assert!(none.contains("release_keys: pin 1 to 16 keys"), "{none}");
    let cold = good.split("descriptors = [\"").nth(2).unwrap().split('"').next().unwrap().to_owned();
    let hot = good.split("descriptors = [\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(say(&cold, &hot).contains("wallets[1]: another wallet on this network has these keys"));
}
