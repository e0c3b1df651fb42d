//! What every signed text promises: one spelling, and a refusal with its line for everything else.

use proptest::prelude::*;

use super::*;
use crate::address::Destination;
use crate::amount::{Amount, DECIMALS_MAX};
use crate::id::{MandateId, TransferId, WithdrawalId};
use crate::network::Network;
use crate::time::{SECOND, Timestamp};

fn withdrawal() -> WithdrawalText {
    WithdrawalText {
        exchange: "harbor.example".parse().unwrap(),
        account: "ac_1".parse().unwrap(),
        withdrawal: WithdrawalId(7),
        asset: "BTC".parse().unwrap(),
        destination: Destination::parse(Network::Bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", None)
            .unwrap(),
        decimals: 8,
        amount: Amount::from_base_units(75_000_000),
        fee_max: Amount::from_base_units(10_000),
        not_after: Seconds::floor(Timestamp::parse("2026-11-29T12:00:00Z").unwrap()),
        nonce: Nonce([0xa5; 32]),
    }
}

fn operator() -> OperatorText {
    let second = |text| Seconds::floor(Timestamp::parse(text).unwrap());
    OperatorText {
        exchange: "harbor.example".parse().unwrap(),
        act: "set_tier".parse().unwrap(),
        target: "ac_1".parse().unwrap(),
        detail: "tier=vip until=2027-01-01T00:00:00Z".parse().unwrap(),
        payload: Some([0x0f; 32]),
        window: Window::new(second("2026-11-22T12:00:00Z"), second("2026-11-29T12:00:00Z")).unwrap(),
        nonce: Nonce([0; 32]),
    }
}

fn transfer() -> TransferText {
    TransferText {
        exchange: "harbor.example".parse().unwrap(),
        transfer: TransferId(7),
        wallet: "btc-hot".parse().unwrap(),
        network: Network::Bitcoin,
        purpose: Purpose::Refill,
        asset: "BTC".parse().unwrap(),
        external: Some(ExternalPayment {
            destination: withdrawal().destination,
            decimals: 8,
            amount: Amount::from_base_units(75_000_000),
        }),
        fee_max: Amount::from_base_units(50_000),
        not_after: Seconds::floor(Timestamp::parse("2026-11-29T12:00:00Z").unwrap()),
        nonce: Nonce([0xa5; 32]),
    }
}

fn change() -> ChangeText {
    ChangeText {
        exchange: "harbor.example".parse().unwrap(),
        account: "ac_1".parse().unwrap(),
        change: "add_credential".parse().unwrap(),
        target: format!("credential:{}", "0f".repeat(32)).parse().unwrap(),
        detail: format!("key={}", "1e".repeat(32)).parse().unwrap(),
        not_after: Seconds::floor(Timestamp::parse("2026-11-22T12:00:00Z").unwrap()),
        nonce: Nonce([0xa5; 32]),
    }
}

fn bitcoin(address: &str) -> Destination {
    Destination::parse(Network::Bitcoin, address, None).unwrap()
}

const LEGACY: &str = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2";
const SEGWIT: &str = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4";

fn mandate() -> MandateText {
    let second = |text| Seconds::floor(Timestamp::parse(text).unwrap());
    MandateText {
        exchange: "harbor.example".parse().unwrap(),
        account: "ac_1".parse().unwrap(),
        mandate: MandateId(7),
        api_key: "maker-1".parse().unwrap(),
        key: [0x0f; 32],
        asset: "BTC".parse().unwrap(),
        destinations: Destinations::new(vec![bitcoin(SEGWIT), bitcoin(LEGACY)]).unwrap(),
        decimals: 8,
        amount_max: Amount::from_base_units(50_000_000),
        day_max: Amount::from_base_units(200_000_000),
        window: Window::new(second("2026-11-22T12:00:00Z"), second("2027-02-20T12:00:00Z")).unwrap(),
        nonce: Nonce([0xa5; 32]),
    }
}

fn refused(text: &str, from: &str, to: &str) -> (usize, &'static str) {
    assert!(text.contains(from), "{from:?}");
    let error = SignedText::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
    (error.line, error.reason.code())
}

#[test]
fn a_withdrawal_has_one_spelling() {
    let text = withdrawal().to_string();
    assert_eq!(WithdrawalText::parse(text.as_bytes()), Ok(withdrawal()));
    for (from, to, expected) in [
        ("/v1", "/v2", (1, "text_header")),
        ("harbor.example", "Harbor.example", (2, "text_exchange")),
        ("harbor.example", "harbor", (2, "text_exchange")),
        ("harbor.example", "-harbor.example", (2, "text_exchange")),
        ("harbor.example", "harbor..example", (2, "text_exchange")),
        ("exchange: ", "exchange:", (2, "text_expected")),
        ("exchange: ", "exchange:  ", (2, "text_exchange")),
        ("exchange: ", "Exchange: ", (2, "text_expected")),
        ("harbor.example\n", "harbor.example \n", (2, "text_exchange")),
        ("harbor.example\n", "harbor.example\r\n", (2, "text_character")),
        ("harbor.example\n", "harbor.example\n\n", (3, "text_expected")),
        ("harbor.example", "h\u{e4}rbor.example", (2, "text_character")),
        ("ac_1", "", (3, "text_expected")),
        ("ac_1", "a c", (3, "text_id")),
        ("wd_0000000000000000000000000", "wd_O000000000000000000000000", (4, "text_id")),
        ("BTC", "btc", (5, "text_id")),
        ("network: bitcoin", "network: Bitcoin", (6, "text_network")),
        ("network: bitcoin", "network: litecoin", (7, "address_network")),
        ("bc1qw", "bc1qx", (7, "address_checksum")),
        (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            (7, "text_spelling"),
        ),
        ("memo: -", "memo: 5", (8, "memo_not_supported")),
        ("memo: -", "memo:", (8, "text_expected")),
        ("amount: 0.75000000", "amount: 0.7500000", (10, "text_decimals")),
        ("amount: 0.75000000", "amount: 00.75000000", (9, "text_amount")),
        ("amount: 0.75000000", "amount: .75000000", (9, "text_amount")),
        ("amount: 0.75000000", "amount: 1e8", (9, "text_amount")),
        ("amount: 0.75000000", "amount: 0.7500000000000000000000000", (9, "text_decimals")),
        ("fee-max: 0.00010000", "fee-max: -0.00010000", (10, "text_amount")),
        ("2026-11-29T12:00:00Z", "2026-11-29T12:00:00.5Z", (11, "text_second")),
        ("2026-11-29T12:00:00Z", "2026-11-29T12:00:00.000000Z", (11, "text_second")),
        ("2026-11-29T12:00:00Z", "2026-11-29T12:00:00+00:00", (11, "text_time")),
        ("2026-11-29T12:00:00Z", "2026-11-31T12:00:00Z", (11, "text_time")),
        ("nonce: paWl", "nonce: paW", (12, "text_nonce")),
        ("nonce: paWl", "nonce: pa+l", (12, "text_nonce")),
        ("paU\n", "paV\n", (12, "text_nonce")),
        ("paU\n", "paU=\n", (12, "text_nonce")),
        ("paU\n", "paU", (12, "text_unterminated")),
        ("paU\n", "paU\n\n", (13, "text_extra")),
        ("paU\n", "paU\nmemo: -\n", (13, "text_extra")),
    ] {
        assert_eq!(refused(&text, from, to), expected, "{from:?} -> {to:?}");
    }
    let nonce = text.lines().last().unwrap();
    assert_eq!(refused(&text, &format!("{nonce}\n"), ""), (12, "text_missing"));
    assert_eq!(refused(&text, "account: ac_1\n", ""), (3, "text_expected"));
}

#[test]
fn memos_keep_their_one_spelling() {
    let address = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";
    let destination = Destination::parse(Network::Stellar, address, Some("deposit 7")).unwrap();
    let text = WithdrawalText { destination, decimals: 7, ..withdrawal() };
    let printed = text.to_string();
    assert!(printed.contains("\nmemo: text:deposit 7\n"));
    assert_eq!(WithdrawalText::parse(printed.as_bytes()), Ok(text));
    assert_eq!(refused(&printed, "memo: text:deposit 7", "memo: deposit 7"), (8, "text_spelling"));
    assert_eq!(refused(&printed, "memo: text:deposit 7", "memo: id:x"), (8, "memo_invalid"));
    let x_address = "XVLhHMPHU98es4dbozjVtdWzVrDjtV8xvjGQTYPiAx6gwDC";
    let to_xrp = printed.replace("network: stellar", "network: xrp").replace(address, x_address);
    let error = SignedText::parse(to_xrp.as_bytes()).unwrap_err();
    assert_eq!((error.line, error.reason), (7, TextReason::Spelling));
}

#[test]
fn an_operators_act_has_one_spelling() {
    let text = operator().to_string();
    assert_eq!(OperatorText::parse(text.as_bytes()), Ok(operator()));
    let payload = "0f".repeat(32);
    for (from, to, expected) in [
        ("set_tier", "set-tier", (3, "text_act")),
        ("set_tier", &"a".repeat(41), (3, "text_act")),
        ("target: ac_1", "target: ac 1", (4, "text_target")),
        ("target: ac_1", &format!("target: {}", "a".repeat(161)), (4, "text_target")),
        ("vip until", "vip  until", (5, "text_detail")),
        ("00Z\npayload", "00Z \npayload", (5, "text_detail")),
        ("tier=vip", &"a".repeat(400), (5, "text_detail")),
        ("payload: 0f", "payload: 0F", (6, "text_payload")),
        ("payload: 0f", "payload: 0", (6, "text_payload")),
        (payload.as_str(), "none", (6, "text_payload")),
        ("not-after: 2026-11-29", "not-after: 2026-11-22", (8, "text_window")),
        ("not-after: 2026-11-29", "not-after: 2026-11-21", (8, "text_window")),
        ("not-before: 2026-11-22", "not-before: 2026-11-22x", (7, "text_time")),
    ] {
        assert_eq!(refused(&text, from, to), expected, "{from:?} -> {to:?}");
    }
    let bare = OperatorText {
        payload: None,
        detail: "-".parse().unwrap(),
        target: "-".parse().unwrap(),
        ..operator()
    };
    assert_eq!(OperatorText::parse(bare.to_string().as_bytes()), Ok(bare));
}

#[test]
fn a_transfer_has_one_spelling() {
    let text = transfer().to_string();
    assert_eq!(TransferText::parse(text.as_bytes()), Ok(transfer()));
    for (from, to, expected) in [
        ("transfer/v1", "transfer/v2", (1, "text_header")),
        ("harbor.example", "harbor", (2, "text_exchange")),
        ("tr_0000000000000000000000000", "tr_O000000000000000000000000", (3, "text_id")),
        ("tr_", "TR_", (3, "text_id")),
        ("wallet: btc-hot", "wallet: btc hot", (4, "text_id")),
        ("network: bitcoin", "network: Bitcoin", (5, "text_network")),
        ("network: bitcoin", "network: litecoin", (5, "text_not_releasable")),
        ("network: bitcoin", "network: tron", (5, "text_not_releasable")),
        ("network: bitcoin", "network: bitcoin-regtest", (8, "address_network")),
        ("purpose: refill", "purpose: Refill", (6, "text_purpose")),
        ("purpose: refill", "purpose: child_pays", (6, "text_purpose")),
        ("purpose: refill", "purpose: -", (6, "text_purpose")),
        ("asset: BTC", "asset: btc", (7, "text_id")),
        ("address: bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "address: -", (9, "text_external")),
        (
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
            (8, "text_spelling"),
        ),
        ("amount: 0.75000000", "amount: -", (9, "text_external")),
        ("amount: 0.75000000", "amount: -0.75000000", (9, "text_amount")),
        ("amount: 0.75000000", "amount: 0.0000000000000000000000001", (9, "text_decimals")),
        ("fee-max: 0.00050000", "fee-max: 0.0005000", (10, "text_fee_decimals")),
        ("fee-max: 0.00050000", "fee-max: -", (10, "text_amount")),
        ("not-after: 2026", "not-after: 1969", (11, "text_time")),
        ("paU\n", "paV\n", (12, "text_nonce")),
        ("paU\n", "paU\n\n", (13, "text_extra")),
        ("paU\n", "paU", (12, "text_unterminated")),
    ] {
        assert_eq!(refused(&text, from, to), expected, "{from:?} -> {to:?}");
    }
    let bare = TransferText { external: None, ..transfer() };
    assert!(bare.to_string().contains("address: -\namount: -\n"));
    assert_eq!(TransferText::parse(bare.to_string().as_bytes()), Ok(bare));
}

#[test]
fn a_change_has_one_spelling() {
    let text = change().to_string();
    assert_eq!(ChangeText::parse(text.as_bytes()), Ok(change()));
    for (from, to, expected) in [
        ("change/v1", "change/v2", (1, "text_header")),
        ("harbor.example", "harbor.example.", (2, "text_exchange")),
        ("account: ac_1", "account: ac.1", (3, "text_id")),
        ("account: ac_1\n", "", (3, "text_expected")),
        ("add_credential", "add-credential", (4, "text_act")),
        ("add_credential", "Add_credential", (4, "text_act")),
        ("change: add_credential", "act: add_credential", (4, "text_expected")),
        ("credential:", "credential: ", (5, "text_target")),
        ("detail: key=", "detail:  key=", (6, "text_detail")),
        ("00Z\nnonce", "00.0Z\nnonce", (7, "text_second")),
        ("paU\n", "paV\n", (8, "text_nonce")),
        ("paU\n", "paU\nnonce: -\n", (9, "text_extra")),
    ] {
        assert_eq!(refused(&text, from, to), expected, "{from:?} -> {to:?}");
    }
    let bare = ChangeText { target: "-".parse().unwrap(), detail: "-".parse().unwrap(), ..change() };
    assert_eq!(ChangeText::parse(bare.to_string().as_bytes()), Ok(bare));
}

#[test]
fn a_mandate_has_one_spelling() {
    let text = mandate().to_string();
    assert_eq!(MandateText::parse(text.as_bytes()), Ok(mandate()));
    assert_eq!(mandate().network(), Network::Bitcoin);
    let (first, second) = (format!("destination: {LEGACY} -\n"), format!("destination: {SEGWIT} -\n"));
    let both = format!("{first}{second}");
    for (from, to, expected) in [
        ("mandate/v1", "mandate/v2", (1, "text_header")),
        ("mandate: md_", "mandate: wd_", (4, "text_id")),
        ("api-key: maker-1", "api-key: maker 1", (5, "text_id")),
        ("\nkey: 0f", "\nkey: 0F", (6, "text_key")),
        ("\nkey: 0f", "\nkey: 0", (6, "text_key")),
        ("asset: BTC", "asset: btc", (7, "text_id")),
        ("network: bitcoin", "network: xrp", (8, "text_not_releasable")),
        ("network: bitcoin", "network: ethereum", (9, "address_encoding")),
        (first.as_str(), "", (9, "ok")),
        (second.as_str(), "", (9, "ok")),
        (both.as_str(), "", (9, "text_expected")),
        (both.as_str(), &format!("{second}{first}"), (10, "text_destinations")),
        (both.as_str(), &format!("{first}{first}{second}"), (10, "text_destinations")),
        (SEGWIT, &SEGWIT.to_uppercase(), (10, "text_spelling")),
        (&both, &format!("destination: {} -\n", SEGWIT.to_uppercase()), (9, "text_spelling")),
        (&format!("{SEGWIT} -"), SEGWIT, (10, "text_destinations")),
        (&format!("{SEGWIT} -"), &format!("{SEGWIT}  -"), (10, "memo_not_supported")),
        (&format!("{SEGWIT} -"), &format!("{SEGWIT} - "), (10, "memo_not_supported")),
        (&format!("{SEGWIT} -"), &format!("{SEGWIT} 7"), (10, "memo_not_supported")),
        (&format!("{SEGWIT} -"), &format!("{SEGWIT} "), (10, "memo_invalid")),
        (&format!("{SEGWIT} -"), &format!(" {SEGWIT} -"), (10, "address_empty")),
        ("amount-max: 0.50000000", "amount-max: 0.00000000", (11, "text_limits")),
        ("amount-max: 0.50000000", "amount-max: 2.00000001", (12, "text_limits")),
        ("amount-max: 0.50000000", "amount-max: 0.5000000", (12, "text_decimals")),
        ("day-max: 2.00000000", "day-max: 0.49999999", (12, "text_limits")),
        ("day-max: 2.00000000", "day-max: 2.0000000", (12, "text_decimals")),
        ("not-before: 2026-11-22T12:00:00Z", "not-before: 2026-11-22T11:59:59Z", (14, "text_mandate_time")),
        ("not-after: 2027-02-20T12:00:00Z", "not-after: 2027-02-20T12:00:01Z", (14, "text_mandate_time")),
        ("not-after: 2027-02-20T12:00:00Z", "not-after: 2026-11-22T12:00:00Z", (14, "text_window")),
        ("paU\n", "paV\n", (15, "text_nonce")),
        ("paU\n", "paU\n\n", (16, "text_extra")),
    ] {
        if expected.1 == "ok" {
            let one = MandateText::parse(text.replacen(from, to, 1).as_bytes()).unwrap();
            assert_eq!(one.destinations.len(), 1, "{from:?}");
            continue;
        }
        assert_eq!(refused(&text, from, to), expected, "{from:?} -> {to:?}");
    }
    let all_at_once = MandateText { amount_max: mandate().day_max, ..mandate() };
    assert_eq!(MandateText::parse(all_at_once.to_string().as_bytes()), Ok(all_at_once));
}

fn many(count: u8, network: Network) -> Vec<Destination> {
    let address = |place: u8| format!("0x{place:040}");
    (1..=count).map(|place| Destination::parse(network, &address(place), None).unwrap()).collect()
}

#[test]
fn a_mandates_destinations_are_ordered_and_few() {
    let mut given = many(16, Network::Ethereum);
    let ordered = Destinations::new(given.clone()).unwrap();
    given.reverse();
    given.extend(many(16, Network::Ethereum));
    assert_eq!(Destinations::new(given.clone()), Ok(ordered.clone()), "in one order, each once");
    assert_eq!((ordered.len(), ordered.as_slice()), (16, &many(16, Network::Ethereum)[..]));
    let text = MandateText { destinations: ordered, ..mandate() };
    let printed = text.to_string();
    assert_eq!(MandateText::parse(printed.as_bytes()).as_ref(), Ok(&text));
    let one_more = format!("\ndestination: 0x{} -\namount-max", "9".repeat(40));
    assert_eq!(refused(&printed, "\namount-max", &one_more), (25, "text_destinations"));

    assert_eq!(Destinations::new(many(17, Network::Ethereum)), Err(FieldError::Destinations));
    assert_eq!(Destinations::new(vec![]), Err(FieldError::Destinations));
    let two_networks = [many(1, Network::Ethereum), many(1, Network::Base)].concat();
    assert_eq!(Destinations::new(two_networks), Err(FieldError::Destinations));
    let xrp = Destination::parse(Network::Xrp, "rJrRMgiRgrU6hDF4pgu5DXQdWyPbY35ErN", Some("7")).unwrap();
    assert_eq!(Destinations::new(vec![xrp]), Err(FieldError::NotReleasable));
}

#[test]
fn the_longest_mandate_fits() {
    let long = MandateText {
        exchange: format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61)).parse().unwrap(),
        account: "a".repeat(64).parse().unwrap(),
        api_key: "a".repeat(128).parse().unwrap(),
        asset: "A".repeat(16).parse().unwrap(),
        decimals: DECIMALS_MAX,
        amount_max: Amount::from_base_units(u128::MAX),
        day_max: Amount::from_base_units(u128::MAX),
        ..mandate()
    };
    let printed = long.to_string();
    assert_eq!(MandateText::parse(printed.as_bytes()), Ok(long));
    // The longest address that is released to has 64 characters.
    let line = "destination: ".len() + 64 + " -\n".len();
    assert!(printed.len() + MANDATE_DESTINATIONS_MAX * line <= TEXT_BYTES_MAX);
}

#[test]
fn purposes_have_one_name_and_a_stable_number() {
    for (number, purpose) in Purpose::ALL.into_iter().enumerate() {
        assert_eq!(purpose.to_string().parse(), Ok(purpose));
        let bytes = minicbor::to_vec(purpose).unwrap();
        assert_eq!(bytes, minicbor::to_vec(number).unwrap(), "one small integer in a record");
        assert_eq!(decode::<Purpose>(&bytes).unwrap(), purpose);
    }
}

#[test]
fn kinds_are_not_taken_for_each_other() {
    let (one, other) = (withdrawal().to_string(), operator().to_string());
    assert!(OperatorText::parse(one.as_bytes()).is_err());
    assert!(WithdrawalText::parse(other.as_bytes()).is_err());
    assert_eq!(SignedText::parse(one.as_bytes()), Ok(SignedText::Withdrawal(withdrawal())));
    let third = transfer().to_string();
    assert_eq!(SignedText::parse(third.as_bytes()), Ok(SignedText::Transfer(transfer())));
    assert_eq!(SignedText::parse(third.as_bytes()).unwrap().digest(), transfer().digest());
    for text in [&one, &other] {
        assert!(TransferText::parse(text.as_bytes()).is_err());
    }
    let (fourth, fifth) = (change().to_string(), mandate().to_string());
    assert_eq!(SignedText::parse(fourth.as_bytes()), Ok(SignedText::Change(change())));
    assert_eq!(SignedText::parse(fifth.as_bytes()), Ok(SignedText::Mandate(mandate())));
    assert_eq!(SignedText::parse(fifth.as_bytes()).unwrap().digest(), mandate().digest());
    assert_eq!(SignedText::parse(fourth.as_bytes()).unwrap().digest(), change().digest());
    for text in [&one, &other, &third, &fifth] {
        assert!(ChangeText::parse(text.as_bytes()).is_err());
    }
    for text in [&one, &other, &third, &fourth] {
        assert!(MandateText::parse(text.as_bytes()).is_err());
    }
    let signed = SignedText::parse(other.as_bytes()).unwrap();
    assert_eq!(signed.to_string(), other);
    assert_eq!(signed.digest(), operator().digest());
    assert_eq!(signed.digest(), TextDigest::of(other.as_bytes()));
}

#[test]
fn size_is_limited_and_empty_texts_are_refused() {
    let code = |bytes: &[u8]| SignedText::parse(bytes).unwrap_err().reason.code();
    assert_eq!(code(b""), "text_unterminated");
    assert_eq!(code(b"\n"), "text_header");
    assert_eq!(code(&vec![b'\n'; TEXT_BYTES_MAX]), "text_header");
    assert_eq!(code(&vec![b'\n'; TEXT_BYTES_MAX + 1]), "text_too_long");
    assert_eq!(code(b"holdfast-operator/v1\n"), "text_missing");
    // The longest text that fields allow fits.
    let long = OperatorText {
        exchange: format!("{0}.{0}.{0}.{1}", "a".repeat(63), "a".repeat(61)).parse().unwrap(),
        act: "a".repeat(40).parse().unwrap(),
        target: "a".repeat(160).parse().unwrap(),
        detail: "a".repeat(400).parse().unwrap(),
        ..operator()
    };
    assert_eq!(OperatorText::parse(long.to_string().as_bytes()), Ok(long));
}

#[test]
fn windows_contain_both_their_ends() {
    let window = operator().window;
    let (first, last) = (window.not_before().timestamp(), window.not_after().timestamp());
    assert!(window.contains(first) && window.contains(last));
    assert!(!window.contains(first.minus(1)) && !window.contains(last.plus(1)));
    assert_eq!(Seconds::floor(Timestamp(u64::MAX)).to_string(), "9999-12-31T23:59:59Z");
}

proptest! {
    #[test]
    fn withdrawals_parse_what_they_print(
        units in any::<u128>(), fee in any::<u64>(), decimals in 0..=DECIMALS_MAX,
        time in any::<u64>(), nonce in any::<[u8; 32]>(), id in any::<u128>(), tag in any::<Option<u32>>(),
    ) {
        let tag = tag.map(|t| t.to_string());
        let text = WithdrawalText {
            withdrawal: WithdrawalId(id),
            destination: Destination::parse(
                Network::Xrp, "rJrRMgiRgrU6hDF4pgu5DXQdWyPbY35ErN", tag.as_deref()).unwrap(),
            decimals,
            amount: Amount::from_base_units(units),
            fee_max: Amount::from_base_units(u128::from(fee)),
            not_after: Seconds::floor(Timestamp(time)),
            nonce: Nonce(nonce),
            ..withdrawal()
        };
        prop_assert_eq!(WithdrawalText::parse(text.to_string().as_bytes()), Ok(text));
        prop_assert_eq!(decode::<Nonce>(&minicbor::to_vec(Nonce(nonce)).unwrap()).unwrap(), Nonce(nonce));
    }

    #[test]
    fn transfers_parse_what_they_print(
        units in any::<u128>(), fee in any::<u128>(), decimals in 0..=DECIMALS_MAX, id in any::<u128>(),
        time in any::<u64>(), nonce in any::<[u8; 32]>(), purpose in 0..6usize, pays in any::<bool>(),
    ) {
        let external = ExternalPayment { decimals, amount: Amount::from_base_units(units), ..transfer().external.unwrap() };
        let text = TransferText {
            transfer: TransferId(id),
            purpose: Purpose::ALL[purpose],
            external: pays.then_some(external),
            fee_max: Amount::from_base_units(fee),
            not_after: Seconds::floor(Timestamp(time)),
            nonce: Nonce(nonce),
            ..transfer()
        };
        prop_assert_eq!(TransferText::parse(text.to_string().as_bytes()), Ok(text));
    }

    #[test]
    fn changes_parse_what_they_print(
        what in "[a-z_]{1,40}", target in "[!-~]{1,160}", detail in "[!-~]{1,40}( [!-~]{1,40}){0,7}",
        time in any::<u64>(), nonce in any::<[u8; 32]>(),
    ) {
        let text = ChangeText {
            change: what.parse().unwrap(),
            target: target.parse().unwrap(),
            detail: detail.parse().unwrap(),
            not_after: Seconds::floor(Timestamp(time)),
            nonce: Nonce(nonce),
            ..change()
        };
        prop_assert_eq!(ChangeText::parse(text.to_string().as_bytes()), Ok(text));
    }

    #[test]
    fn mandates_parse_what_they_print(
        places in proptest::collection::vec(1..200u8, 1..=16), once in 1..=u128::MAX, more in any::<u128>(),
        decimals in 0..=DECIMALS_MAX, id in any::<u128>(), nonce in any::<[u8; 32]>(), key in any::<[u8; 32]>(),
        from in 0..200_000_000_000u64, seconds in 1..=(MANDATE_TIME_MAX / SECOND),
    ) {
        let from = Timestamp(from * SECOND);
        let known = many(200, Network::Arbitrum);
        let text = MandateText {
            mandate: MandateId(id),
            key,
            destinations: Destinations::new(
                places.iter().map(|place| known[usize::from(*place)].clone()).collect()).unwrap(),
            decimals,
            amount_max: Amount::from_base_units(once),
            day_max: Amount::from_base_units(once.saturating_add(more)),
            window: Window::new(Seconds::floor(from), Seconds::floor(from.plus(seconds * SECOND))).unwrap(),
            nonce: Nonce(nonce),
            ..mandate()
        };
        prop_assert_eq!(MandateText::parse(text.to_string().as_bytes()), Ok(text));
    }

    #[test]
    fn whatever_parses_prints_the_same_bytes(at in 0usize..700, byte in any::<u8>(), insert in any::<bool>()) {
        for text in [
            withdrawal().to_string(), operator().to_string(), transfer().to_string(), change().to_string(),
            mandate().to_string(),
        ] {
            let mut bytes = text.into_bytes();
            let at = at % bytes.len();
            if insert { bytes.insert(at, byte) } else { bytes[at] = byte }
            if let Ok(parsed) = SignedText::parse(&bytes) {
                prop_assert_eq!(parsed.to_string().into_bytes(), bytes);
            }
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = SignedText::parse(&bytes);
    }
}
