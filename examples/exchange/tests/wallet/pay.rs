//! What is paid, and what is not.

use std::collections::BTreeSet;
use std::time::Duration;

use holdfast_values::{Destination, Network};
use serde_json::json;

use crate::stand::{BTC, Stand, wait};

fn receiver(number: usize) -> Destination {
    let address = [
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    ][number];
    Destination::parse(Network::Bitcoin, address, None).unwrap()
}

fn evm_receiver() -> Destination {
    Destination::parse(Network::Ethereum, "0x52908400098527886E0F7030069857D2E4169EE7", None).unwrap()
}

#[test]
fn a_batch_on_bitcoin_and_payments_on_ethereum_arrive_to_the_unit() {
    let stand = Stand::ready();
    for (number, sats) in [(0, 12_345_678), (1, 25_000_000), (2, 1_234)] {
        stand.approve_btc(&receiver(number), sats);
    }
    let mut fake = stand.fake.lock().unwrap();
    fake.approve("eth-hot", "USDT", &evm_receiver(), 6, 123_456_789);
    let native =
        Destination::parse(Network::Ethereum, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", None).unwrap();
    fake.approve("eth-hot", "ETH", &native, 18, 1_000_000_000_000_000_001);
    drop(fake);
    let _keys = stand.keys();
    let run = stand.run(&[]);
    wait("all is sent", || stand.stages() == ["sent", "sent", "sent"]);
    assert_eq!(stand.pool().len(), 1, "three payments in one transaction");
    stand.mine("bitcoin", 1);
    stand.mine("ethereum", 1);
    assert_eq!(stand.paid("bitcoin", &receiver(0)), (12_345_678, 1));
    assert_eq!(stand.paid("bitcoin", &receiver(1)), (25_000_000, 1));
    assert_eq!(stand.paid("bitcoin", &receiver(2)), (1_234, 1));
    assert_eq!(stand.paid("ethereum", &evm_receiver()), (123_456_789, 1));
    assert_eq!(stand.paid("ethereum", &native), (1_000_000_000_000_000_001, 1));
    assert_eq!(stand.fake.lock().unwrap().receipts.len(), 3, "Holdfast has the signer's word for each");
    stand.mine("bitcoin", 5);
    stand.mine("ethereum", 2);
    wait("what is final is forgotten", || stand.status().is_empty());
    run.kill();
    assert_eq!(stand.fake.lock().unwrap().released.len(), 3, "each was released once");
}

#[test]
fn two_hundred_payments_go_in_one_transaction() {
    let stand = Stand::ready();
    for number in 0..201 {
        stand.approve_btc(&receiver(number % 3), 1_000 + u64::try_from(number).unwrap());
    }
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("all is sent", || stand.stages() == ["sent", "sent"]);
    stand.mine("bitcoin", 1);
    let paid = [0, 1, 2].map(|number| stand.paid("bitcoin", &receiver(number)).0);
    assert_eq!(paid.iter().sum::<u128>(), 201 * 1_000 + 201 * 100);
    let batches: Vec<usize> = stand.fake.lock().unwrap().released.iter().map(|(_, ids)| ids.len()).collect();
    assert_eq!(batches, [200, 1]);
}

#[test]
fn killed_between_release_and_signature_it_pays_once() {
    let stand = Stand::ready();
    stand.approve_btc(&receiver(0), 5_000_000);
    let run = stand.run(&[]);
    wait("it is released", || stand.stages() == ["released"]);
    run.kill();
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("it is sent", || stand.stages() == ["sent"]);
    stand.mine("bitcoin", 1);
    assert_eq!(stand.paid("bitcoin", &receiver(0)), (5_000_000, 1));
    let digests: BTreeSet<_> =
        stand.fake.lock().unwrap().released.iter().map(|(digest, _)| *digest).collect();
    assert_eq!(digests.len(), 1, "the same transaction");
}

#[test]
fn killed_between_signature_and_broadcast_it_pays_once() {
    let stand = Stand::ready();
    let to = receiver(0);
    stand.approve_btc(&to, 5_000_000);
    stand.fake.lock().unwrap().approve("eth-hot", "USDT", &evm_receiver(), 6, 7_000_000);
    stand.fake.lock().unwrap().receipts_down = true;
    let _keys = stand.keys();
    let run = stand.run(&[]);
    wait("both are signed", || stand.stages() == ["signed", "signed"]);
    assert!(stand.pool().is_empty(), "nothing is sent before Holdfast has the receipt");
    run.kill();
    stand.fake.lock().unwrap().receipts_down = false;
    let run = stand.run(&[]);
    wait("both are sent", || stand.stages() == ["sent", "sent"]);
    run.kill();
    // Once more, with nothing left to do.
    let _run = stand.run(&[]);
    stand.mine("bitcoin", 1);
    stand.mine("ethereum", 1);
    std::thread::sleep(Duration::from_millis(200));
    stand.mine("bitcoin", 1);
    assert_eq!(stand.paid("bitcoin", &to), (5_000_000, 1));
    assert_eq!(stand.paid("ethereum", &evm_receiver()), (7_000_000, 1));
}

#[test]
fn killed_anywhere_again_and_again_it_pays_each_once() {
    let stand = Stand::ready();
    let _keys = stand.keys();
    let mut owed = [0u128; 3];
    for round in 0..12u64 {
        let number = usize::try_from(round % 3).unwrap();
        let sats = 100_000 + round;
        owed[number] += u128::from(sats);
        stand.approve_btc(&receiver(number), sats);
        stand.fake.lock().unwrap().approve("eth-hot", "USDT", &evm_receiver(), 6, 1_000 + u128::from(round));
        let run = stand.run(&[]);
        std::thread::sleep(Duration::from_millis(13 + round * 11));
        run.kill();
        stand.mine("bitcoin", 1);
        stand.mine("ethereum", 1);
    }
    let _run = stand.run(&[]);
    let tokens: u128 = (0..12).map(|round| 1_000 + round).sum();
    wait("all is paid", || {
        stand.mine("bitcoin", 1);
        stand.mine("ethereum", 1);
        let paid = [0, 1, 2].map(|number| stand.paid("bitcoin", &receiver(number)).0);
        (paid, stand.paid("ethereum", &evm_receiver()).0) == (owed, tokens)
    });
    wait("nothing is left", || {
        stand.mine("bitcoin", 6);
        stand.mine("ethereum", 3);
        stand.status().is_empty()
    });
    let paid = [0, 1, 2].map(|number| stand.paid("bitcoin", &receiver(number)).0);
    assert_eq!((paid, stand.paid("ethereum", &evm_receiver())), (owed, (tokens, 12)));
}

#[test]
fn what_holdfast_drops_is_left_out() {
    let stand = Stand::ready();
    let stopped = stand.approve_btc(&receiver(0), 3_000_000);
    stand.approve_btc(&receiver(1), 4_000_000);
    let gone = stand.fake.lock().unwrap().approve("eth-hot", "USDT", &evm_receiver(), 6, 5_000_000);
    stand.fake.lock().unwrap().drop = BTreeSet::from([stopped, gone]);
    let native =
        Destination::parse(Network::Ethereum, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", None).unwrap();
    stand.fake.lock().unwrap().approve("eth-hot", "ETH", &native, 18, 77);
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("the others are sent", || stand.stages() == ["sent", "sent"]);
    stand.mine("bitcoin", 1);
    stand.mine("ethereum", 1);
    assert_eq!(stand.paid("bitcoin", &receiver(0)), (0, 0));
    assert_eq!(stand.paid("bitcoin", &receiver(1)), (4_000_000, 1));
    assert_eq!(stand.paid("ethereum", &evm_receiver()), (0, 0));
    assert_eq!(stand.paid("ethereum", &native), (77, 1), "the nonce of the dropped one is used");
}

#[test]
fn without_the_signer_nothing_is_signed() {
    let mut stand = Stand::ready();
    stand.stop_signer();
    stand.approve_btc(&receiver(0), 5_000_000);
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("it is released", || stand.stages() == ["released"]);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!((stand.stages(), stand.pool().len()), (vec!["released".to_owned()], 0));
    stand.start_signer();
    wait("it is sent", || stand.stages() == ["sent"]);
}

#[test]
fn what_the_signer_refuses_waits() {
    let stand = Stand::ready();
    // The signer's bucket holds 2 BTC, and the wallet has less: so a fund first.
    stand.control(
        "bitcoin",
        "fund",
        json!({ "to": [{ "address": stand.receive[0], "amount": (5 * BTC).to_string() }] }),
    );
    stand.approve_btc(&receiver(0), 3 * BTC);
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("it was released", || !stand.fake.lock().unwrap().released.is_empty());
    std::thread::sleep(Duration::from_millis(500));
    stand.mine("bitcoin", 1);
    assert_eq!(stand.paid("bitcoin", &receiver(0)), (0, 0));
    assert_ne!(stand.stages(), ["sent"]);
}

#[test]
fn what_the_signer_refuses_for_its_owners_word_is_asked_for_without_once() {
    let stand = Stand::ready();
    let ids = [0, 1, 2].map(|number| stand.approve_btc(&receiver(number), 3_000_000));
    // This signer pins no customers' keys: it takes nobody's word.
    stand.fake.lock().unwrap().worded = BTreeSet::from([ids[0].clone(), ids[2].clone()]);
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("all are sent", || stand.stages() == ["sent"]);
    stand.mine("bitcoin", 1);
    let paid = [0, 1, 2].map(|number| stand.paid("bitcoin", &receiver(number)));
    assert_eq!(paid, [(3_000_000, 1); 3]);
    let fake = stand.fake.lock().unwrap();
    let digests: BTreeSet<_> = fake.released.iter().map(|(digest, _)| digest).collect();
    assert_eq!(digests.len(), 1, "the same bytes throughout");
    let [first, _, third] = ids;
    assert_eq!(fake.without, [vec![], vec![first.clone()], vec![first, third]]);
}

#[test]
fn what_the_signer_has_no_bucket_for_is_left_out_and_the_others_are_paid() {
    let stand = Stand::ready();
    stand.control(
        "bitcoin",
        "fund",
        json!({ "to": [{ "address": stand.receive[0], "amount": (5 * BTC).to_string() }] }),
    );
    stand.approve_btc(&receiver(0), 3_000_000);
    // More than the bucket of 2 BTC, with the owner's word and without.
    let large = stand.approve_btc(&receiver(1), 3 * BTC);
    stand.approve_btc(&receiver(2), 4_000_000);
    stand.fake.lock().unwrap().worded = BTreeSet::from([large.clone()]);
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("the others are sent", || stand.stages() == ["released", "sent"]);
    stand.mine("bitcoin", 1);
    let paid = [0, 1, 2].map(|number| stand.paid("bitcoin", &receiver(number)).0);
    assert_eq!(paid, [3_000_000, 0, 4_000_000]);
    let fake = stand.fake.lock().unwrap();
    assert_eq!(fake.without, [vec![], vec![large], vec![]], "with it, without it, and without the payment");
}

#[test]
fn a_silent_holdfast_and_an_empty_wallet_make_it_wait() {
    let mut stand = Stand::new();
    stand.start_signer();
    stand.fake.lock().unwrap().down = true;
    stand.approve_btc(&receiver(0), 5_000_000);
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    std::thread::sleep(Duration::from_millis(300));
    assert!(stand.status().is_empty(), "there are no coins");
    stand.control(
        "bitcoin",
        "fund",
        json!({ "to": [{ "address": stand.receive[1], "amount": "20000000" }] }),
    );
    wait("it is proposed", || stand.stages() == ["proposed"]);
    stand.fake.lock().unwrap().down = false;
    wait("it is sent", || stand.stages() == ["sent"]);
}

#[test]
fn what_does_not_confirm_is_replaced_for_more() {
    let stand = Stand::ready();
    stand.control("bitcoin", "fees", json!({ "least": "9000" }));
    stand.control("ethereum", "fees", json!({ "least": "1000000000" }));
    let config = std::fs::read_to_string(stand.folder.join("wallet.toml")).unwrap();
    let config = config.replace("fee_max = \"0.001\"", "fee_rate = 2000\nfee_max = \"0.001\"");
    std::fs::write(stand.folder.join("wallet.toml"), config).unwrap();
    stand.approve_btc(&receiver(0), 5_000_000);
    stand.fake.lock().unwrap().approve("eth-hot", "USDT", &evm_receiver(), 6, 7_000_000);
    let _keys = stand.keys();
    let run = stand.run(&[]);
    wait("both are sent", || stand.stages() == ["sent", "sent"]);
    stand.control("ethereum", "fees", json!({ "least": "5000000000" }));
    stand.mine("bitcoin", 1);
    stand.mine("ethereum", 1);
    assert_eq!(
        stand.paid("bitcoin", &receiver(0)).1 + stand.paid("ethereum", &evm_receiver()).1,
        0,
        "too little"
    );
    run.kill();
    let _run = stand.run(&["--bump-after", "0"]);
    wait("enough is paid for both", || {
        stand.mine("bitcoin", 1);
        stand.mine("ethereum", 1);
        stand.paid("bitcoin", &receiver(0)).1 == 1 && stand.paid("ethereum", &evm_receiver()).1 == 1
    });
    assert_eq!(stand.paid("bitcoin", &receiver(0)), (5_000_000, 1));
    assert_eq!(stand.paid("ethereum", &evm_receiver()), (7_000_000, 1));
}

#[test]
fn a_replacement_that_the_signer_refuses_leaves_the_first_in_place() {
    let stand = Stand::ready();
    stand.control("bitcoin", "fees", json!({ "least": "350000" }));
    let config = std::fs::read_to_string(stand.folder.join("wallet.toml")).unwrap();
    let rates = "fee_rate = 300000\nfee_rate_max = 900000\nfee_max = \"0.001\"";
    std::fs::write(stand.folder.join("wallet.toml"), config.replace("fee_max = \"0.001\"", rates)).unwrap();
    stand.approve_btc(&receiver(0), 5_000_000);
    let _keys = stand.keys();
    let _run = stand.run(&["--bump-after", "1"]);
    // The signer allows 400 satoshi a byte, and the replacement would pay 450.
    wait("a replacement was released", || stand.fake.lock().unwrap().released.len() > 1);
    wait("it was given up", || stand.stages() == ["sent"]);
    assert_eq!(stand.pool().len(), 1);
    stand.control("bitcoin", "fees", json!({ "least": "1000" }));
    stand.mine("bitcoin", 1);
    assert_eq!(stand.paid("bitcoin", &receiver(0)), (5_000_000, 1));
}

#[test]
fn what_a_reorganisation_drops_is_sent_again() {
    let stand = Stand::ready();
    stand.approve_btc(&receiver(0), 5_000_000);
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("it is sent", || stand.stages() == ["sent"]);
    let id = stand.pool()[0].clone();
    stand.mine("bitcoin", 2);
    stand.control("bitcoin", "reorganise", json!({ "depth": 2, "drop": [id] }));
    wait("it is there again", || stand.pool() == [id.clone()]);
    stand.mine("bitcoin", 1);
    assert_eq!(stand.paid("bitcoin", &receiver(0)), (5_000_000, 1));
}

#[test]
fn an_ordered_consolidation_makes_one_coin_of_many() {
    let stand = Stand::ready();
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    let order = ["transfer", "--wallet", "btc-hot", "--network", "bitcoin", "--purpose", "consolidation"];
    let said = stand.ask(&[order.as_slice(), &["--asset", "BTC", "--fee-max", "0.0005"]].concat()).unwrap();
    assert!(said.contains("is ordered"), "{said}");
    wait("it is sent", || stand.stages() == ["sent"]);
    let id = stand.pool()[0].clone();
    stand.mine("bitcoin", 1);
    let made = stand.rpc("bitcoin", "getrawtransaction", json!([id, true]));
    let count = |name: &str| made[name].as_array().unwrap().len();
    assert_eq!((count("vin"), count("vout")), (6, 1));
}

#[test]
fn an_ordered_cancellation_takes_the_place_of_a_payment() {
    let stand = Stand::ready();
    stand.control("bitcoin", "fees", json!({ "least": "100000" }));
    let config = std::fs::read_to_string(stand.folder.join("wallet.toml")).unwrap();
    let config = config.replace("fee_max = \"0.001\"", "fee_rate = 2000\nfee_max = \"0.001\"");
    std::fs::write(stand.folder.join("wallet.toml"), config).unwrap();
    stand.approve_btc(&receiver(0), 5_000_000);
    stand.fake.lock().unwrap().approve("eth-hot", "USDT", &evm_receiver(), 6, 7_000_000);
    let _keys = stand.keys();
    let _run = stand.run(&[]);
    wait("both are sent", || stand.stages() == ["sent", "sent"]);
    for slot in stand.status() {
        let (wallet, network) = (slot["wallet"].as_str().unwrap(), slot["network"].as_str().unwrap());
        let (asset, fee_max) = if network == "bitcoin" { ("BTC", "0.0005") } else { ("ETH", "0.01") };
        let id = slot["attempts"][0]["id"].as_str().unwrap();
        let order = ["transfer", "--wallet", wallet, "--network", network, "--purpose", "cancel"];
        let more = ["--asset", asset, "--fee-max", fee_max, "--cancel", id];
        stand.ask(&[order.as_slice(), &more].concat()).unwrap();
    }
    wait("both are replaced", || stand.stages() == ["sent", "sent", "sent", "sent"]);
    stand.control("bitcoin", "fees", json!({ "least": "1000" }));
    stand.mine("bitcoin", 6);
    stand.mine("ethereum", 3);
    wait("the slots are closed", || stand.status().is_empty());
    assert_eq!(stand.paid("bitcoin", &receiver(0)).1 + stand.paid("ethereum", &evm_receiver()).1, 0);
}

#[test]
fn a_second_wallet_in_the_same_state_does_not_start() {
    let stand = Stand::ready();
    let _run = stand.run(&[]);
    wait("the first has the state", || stand.folder.join("state/lock").exists());
    std::thread::sleep(Duration::from_millis(100));
    let error = stand.ask(&["run", "--once"]).unwrap_err();
    assert!(error.contains("another harbor-wallet works in"), "{error}");
}

#[test]
fn keys_that_others_can_read_are_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let stand = Stand::new();
    let file = stand.folder.join("hot.keys");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    let show = std::process::Command::new(env!("CARGO_BIN_EXE_harbor-wallet"))
        .args(["show", "--config"])
        .arg(stand.folder.join("keys.toml"))
        .output()
        .unwrap();
    assert!(!show.status.success() && show.stdout.is_empty());
}
