//! Attacks on EVM transactions, and hashes that another implementation computed.

use holdfast_values::{ConflictKey, Network};

use super::support::{hex, print_hex};
use crate::{
    Decoded, EvmFields, PaidAsset, Scheme, TransactionError, Wallet, decode, evm_parse_signed, evm_signed,
    evm_unsigned,
};

/// The account of the private key 0x46 x 32.
const SENDER: &str = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
const CUSTOMER: &str = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
const TETHER: &str = "0xdAC17F958D2ee523a2206206994597C13D831ec7";

fn account(text: &str) -> [u8; 20] {
    hex(&text[2..].to_lowercase()).try_into().unwrap()
}

fn known() -> Vec<Wallet> {
    let evm = |network, text| Wallet::evm(network, text).unwrap();
    vec![
        evm(Network::Bsc, CUSTOMER),
        evm(Network::Ethereum, SENDER),
        evm(Network::Ethereum, "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"),
    ]
}

fn native() -> EvmFields {
    EvmFields {
        chain_id: 1,
        nonce: 7,
        max_priority_fee_per_gas: 2_000_000_000,
        max_fee_per_gas: 40_000_000_000,
        gas_limit: 21_000,
        to: account(CUSTOMER),
        value: 1_500_000_000_000_000_000,
        data: vec![],
    }
}

fn transfer(to: &str, amount: u128) -> Vec<u8> {
    hex(&format!("a9059cbb{}{}{amount:064x}", "0".repeat(24), to[2..].to_lowercase()))
}

fn token() -> EvmFields {
    EvmFields {
        nonce: 8,
        max_priority_fee_per_gas: 1_000_000_000,
        max_fee_per_gas: 30_000_000_000,
        gas_limit: 65_000,
        to: account(TETHER),
        value: 0,
        data: transfer(CUSTOMER, 1_250_000_001),
        ..native()
    }
}

fn read(bytes: &[u8]) -> Result<Decoded, TransactionError> {
    decode(bytes, 1, &known())
}

fn code(bytes: &[u8]) -> &'static str {
    read(bytes).map_or_else(TransactionError::code, |_| "accepted")
}

fn refusal(fields: &EvmFields) -> &'static str {
    code(&evm_unsigned(fields))
}

#[test]
fn everything_that_a_payment_does_is_said() {
    let decoded = read(&evm_unsigned(&native())).unwrap();
    // The signing hash that eth-account 0.13 computes.
    assert_eq!(
        print_hex(&decoded.digest),
        "4966c1d280d0cf67a538a59e6c61983e12673e7d53359a789ed1d85cc90ddbe3"
    );
    assert_eq!(decoded.outputs.len(), 1);
    let paid = &decoded.outputs[0];
    assert_eq!((paid.destination.address(), paid.own, &paid.asset), (CUSTOMER, None, &PaidAsset::Native));
    assert_eq!(paid.amount.base_units(), 1_500_000_000_000_000_000);
    assert_eq!((decoded.fee.base_units(), decoded.fee_rate), (840_000_000_000_000, 40_000_000_000));
    let key = ConflictKey::Nonce { chain: 1, sender: account(SENDER), nonce: 7 };
    assert_eq!((decoded.network, decoded.conflict_keys), (Network::Ethereum, vec![key]));
    assert_eq!((decoded.sighashes[0].message, decoded.sighashes[0].scheme), (decoded.digest, Scheme::Evm));

    let decoded = read(&evm_unsigned(&token())).unwrap();
    assert_eq!(
        print_hex(&decoded.digest),
        "9fc594d9f8399ab9b63da1c3383ba39a7d27494717bf7bab9bbe67a075861a51"
    );
    let paid = &decoded.outputs[0];
    assert_eq!(paid.asset, PaidAsset::Contract(TETHER.into()));
    assert_eq!((paid.destination.address(), paid.amount.base_units()), (CUSTOMER, 1_250_000_001));
}

#[test]
fn payments_within_the_house_are_recognised_on_their_network_only() {
    let own = |fields: &EvmFields| read(&evm_unsigned(fields)).unwrap().outputs[0].own;
    let cold = "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359";
    assert_eq!(own(&EvmFields { to: account(cold), ..native() }), Some(2));
    assert_eq!(own(&EvmFields { data: transfer(cold, 5), ..token() }), Some(2));
    assert_eq!(own(&native()), None, "the same account is known on another chain");
    assert_eq!(own(&EvmFields { to: account(SENDER), value: 0, ..native() }), Some(1), "a cancelled nonce");
}

#[test]
fn signed_transactions_are_those_that_others_make() {
    for (fields, raw, hash) in [
        (
            native(),
            "02f873010784773594008509502f9000825208945aaeb6053f3e94c9b9a09f33669435e7ef1beaed8814d1120d7b16000080c001a08d1b58b398e300fdba9dff5cef8039a6b28e000afc3605d8e627b1f6ccc8e978a011875a9e1d5db32ec2d794989740ec4f755c67fac57459115f9a994aa7f2966b",
            "55ec9a918d6988cbe9b0aacbd37e56a64b37c398bee2918e46f3633d7caa234c",
        ),
        (
            token(),
            "02f8b00108843b9aca008506fc23ac0082fde894dac17f958d2ee523a2206206994597c13d831ec780b844a9059cbb0000000000000000000000005aaeb6053f3e94c9b9a09f33669435e7ef1beaed000000000000000000000000000000000000000000000000000000004a817c81c080a03f1ea11c9b6ce47df711cc45c478aaa707169fa2bf4b71969bb675232fba7660a0668de04fca15a9daf1551ddaea947499a6c0eb4bb7d96ee74a99ac2e5fae085c",
            "2a0a26ebd8c24584a98c3f87032672e2c637e42f9610fee01064a27df607490c",
        ),
    ] {
        let (raw, unsigned) = (hex(raw), evm_unsigned(&fields));
        let (found, sender, found_hash) = evm_parse_signed(&raw).unwrap();
        assert_eq!(
            (found, sender, print_hex(&found_hash)),
            (unsigned.clone(), account(SENDER), hash.to_owned())
        );
        let [r, s] =
            [raw.len() - 65, raw.len() - 32].map(|at| <[u8; 32]>::try_from(&raw[at..at + 32]).unwrap());
        let parity = raw[raw.len() - 67] == 1;
        assert_eq!(evm_signed(&unsigned, parity, r, s), Some(raw.clone()));
        assert_eq!(code(&raw), "evm_malformed", "a signed transaction is not signed again");
        // The twin signature with high s, a signature of nothing, and no transaction.
        let order = hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");
        let high = subtract(order.try_into().unwrap(), s);
        assert_eq!(evm_signed(&unsigned, !parity, r, high), None);
        assert_eq!(evm_signed(&unsigned, parity, [0; 32], s), None);
        assert_eq!(evm_signed(&unsigned, parity, r, [0; 32]), None);
        assert_eq!(evm_signed(&unsigned, parity, [0xff; 32], s), None);
        assert_eq!(evm_signed(&unsigned[1..], parity, r, s), None);
        // Another transaction under the same signature has another sender, or none.
        let other = evm_unsigned(&EvmFields { nonce: 9, ..fields });
        let moved = evm_signed(&other, parity, r, s).map(|bytes| evm_parse_signed(&bytes).unwrap().1);
        assert_ne!(moved, Some(account(SENDER)));
        for length in 0..raw.len() {
            assert!(evm_parse_signed(&raw[..length]).is_err());
        }
        assert_eq!(evm_parse_signed(&[&raw[..], &[0]].concat()), Err(TransactionError::TrailingBytes));
        assert_eq!(evm_parse_signed(&unsigned), Err(TransactionError::EvmMalformed));
    }
}

fn subtract(mut from: [u8; 32], number: [u8; 32]) -> [u8; 32] {
    let mut borrow = 0;
    for (digit, less) in from.iter_mut().zip(number).rev() {
        let difference = i16::from(*digit) - i16::from(less) - borrow;
        borrow = i16::from(difference < 0);
        *digit = difference.rem_euclid(256) as u8;
    }
    from
}

#[test]
fn fields_out_of_bounds_are_refused_by_name() {
    for (fields, expected) in [
        (EvmFields { chain_id: 56, ..native() }, "chain_id"),
        (EvmFields { chain_id: 0, ..native() }, "chain_id"),
        (EvmFields { nonce: u64::MAX, ..native() }, "nonce_range"),
        (EvmFields { nonce: u64::MAX - 1, ..native() }, "accepted"),
        (EvmFields { max_priority_fee_per_gas: 40_000_000_001, ..native() }, "fee_order"),
        (EvmFields { max_priority_fee_per_gas: 40_000_000_000, ..native() }, "accepted"),
        (EvmFields { gas_limit: 20_999, ..native() }, "gas_limit"),
        (EvmFields { gas_limit: 30_000_000, ..native() }, "accepted"),
        (EvmFields { gas_limit: 30_000_001, ..native() }, "gas_limit"),
        (EvmFields { max_fee_per_gas: u128::MAX, ..native() }, "fee_range"),
        (EvmFields { value: 0, ..native() }, "value_zero"),
        (EvmFields { value: u128::MAX, ..native() }, "accepted"),
        (EvmFields { to: [0; 20], ..native() }, "destination_invalid"),
        (EvmFields { to: [0; 20], ..token() }, "destination_invalid"),
        (
            EvmFields { data: transfer("0x0000000000000000000000000000000000000000", 5), ..token() },
            "destination_invalid",
        ),
    ] {
        assert_eq!(refusal(&fields), expected, "{fields:?}");
    }
    let over =
        EvmFields { max_fee_per_gas: u128::from(u64::MAX) * 2, max_priority_fee_per_gas: 0, ..native() };
    assert_eq!(
        read(&evm_unsigned(&over)).unwrap().fee_rate,
        u64::MAX,
        "the rate saturates, the fee does not"
    );
}

#[test]
fn calldata_is_exactly_a_token_transfer() {
    let good = transfer(CUSTOMER, 1_250_000_001);
    let with = |data: Vec<u8>| refusal(&EvmFields { data, ..token() });
    let changed = |at: usize, byte: u8| {
        let mut data = good.clone();
        data[at] = byte;
        data
    };
    assert_eq!(with(good.clone()), "accepted");
    assert_eq!(with([&good[..], &[0]].concat()), "calldata_unknown");
    for length in 1..good.len() {
        assert_eq!(with(good[..length].to_vec()), "calldata_unknown", "cut to {length}");
    }
    assert_eq!(with(vec![0; 68]), "calldata_unknown");
    // approve, transferFrom, execute(address,uint256), increaseAllowance, burn, and transfer with dirty padding.
    for selector in ["095ea7b3", "23b872dd", "b61d27f6", "39509351", "42966c68"] {
        assert_eq!(with([hex(selector), good[4..].to_vec()].concat()), "calldata_unknown", "{selector}");
    }
    for at in 4..16 {
        assert_eq!(with(changed(at, 1)), "calldata_unknown");
    }
    for at in 36..52 {
        assert_eq!(with(changed(at, 1)), "value_range");
    }
    let with_value = EvmFields { value: 1, ..token() };
    assert_eq!(refusal(&with_value), "value_with_calldata");
    let fallback = EvmFields { data: vec![0], ..native() };
    assert_eq!(refusal(&fallback), "calldata_unknown");
}

/// The RLP of a list of items that are encoded already.
fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let payload = items.concat();
    let length = payload.len();
    let head = if length < 56 { vec![0xc0 + length as u8] } else { vec![0xf8, length as u8] };
    [head, payload].concat()
}

fn item(bytes: &[u8]) -> Vec<u8> {
    match bytes {
        [byte] if *byte < 0x80 => vec![*byte],
        bytes if bytes.len() < 56 => [&[0x80 + bytes.len() as u8], bytes].concat(),
        bytes => [&[0xb8, bytes.len() as u8], bytes].concat(),
    }
}

/// The payment's items, one of them exchanged.
fn with_item(place: usize, encoded: Vec<u8>) -> Vec<u8> {
    let number = |n: u128| item(n.to_be_bytes().split_at(n.leading_zeros() as usize / 8).1);
    let fields = native();
    let mut items = vec![
        number(1),
        number(7),
        number(fields.max_priority_fee_per_gas),
        number(fields.max_fee_per_gas),
        number(21_000),
        item(&fields.to),
        number(fields.value),
        item(&[]),
        list(&[]),
    ];
    if place < items.len() {
        items[place] = encoded
    } else {
        items.push(encoded)
    }
    [vec![2], list(&items)].concat()
}

#[test]
fn shapes_that_are_not_released_are_refused_by_name() {
    assert_eq!(with_item(0, item(&[1])), evm_unsigned(&native()), "this test encodes as the crate does");
    assert_eq!(code(&with_item(5, item(&[]))), "contract_creation");
    assert_eq!(code(&with_item(5, item(&[1; 19]))), "evm_malformed");
    assert_eq!(code(&with_item(5, item(&[1; 21]))), "evm_malformed");
    let access = list(&[list(&[item(&account(TETHER)), list(&[item(&[0; 32])])])]);
    assert_eq!(code(&with_item(8, access)), "access_list");
    assert_eq!(code(&with_item(8, item(&[]))), "evm_malformed");
    assert_eq!(code(&with_item(6, item(&[1; 17]))), "value_range");
    assert_eq!(code(&with_item(6, item(&[1; 32]))), "value_range");
    assert_eq!(code(&with_item(6, item(&[1; 33]))), "evm_malformed");
    assert_eq!(code(&with_item(9, item(&[1]))), "evm_malformed", "one field too many");
    assert_eq!(code(&with_item(1, item(&[1; 9]))), "evm_malformed", "a nonce over 64 bits");
    let good = evm_unsigned(&native());
    for kind in [0, 1, 3, 4, 0x7f, 0xf8] {
        assert_eq!(code(&[&[kind], &good[1..]].concat()), "evm_type", "{kind}");
    }
    assert_eq!(code(&good[1..]), "evm_type");
    assert_eq!(code(&[]), "evm_type");
    assert_eq!(code(&[2]), "evm_malformed");
    assert_eq!(code(&[2, 0xc0]), "evm_malformed");
    assert_eq!(code(&[2; 4_097]), "transaction_too_long");
}

#[test]
fn one_transaction_has_one_spelling() {
    let good = evm_unsigned(&native());
    assert_eq!(code(&[&good[..], &[0]].concat()), "trailing_bytes");
    for length in 1..good.len() {
        assert_eq!(code(&good[..length]), "evm_malformed", "cut to {length}");
    }
    // Zeros in front, a byte for the number 0, a small byte with a length, a long form where the short one fits.
    for place in [0, 1, 2, 3, 4, 6] {
        assert_eq!(code(&with_item(place, vec![0x82, 0, 1])), "evm_malformed", "{place}");
        assert_eq!(code(&with_item(place, vec![0])), "evm_malformed", "{place}");
        assert_eq!(code(&with_item(place, vec![0x81, 1])), "evm_malformed", "{place}");
        assert_eq!(code(&with_item(place, vec![0xb8, 1, 0x80])), "evm_malformed", "{place}");
    }
    assert_eq!(code(&with_item(7, vec![0xb8, 0])), "evm_malformed");
    assert_eq!(code(&with_item(8, vec![0xf8, 0])), "evm_malformed");
    let long = [&[2, 0xf8, good.len() as u8 - 2][..], &good[2..]].concat();
    assert_eq!((good[1], code(&long)), (0xc0 + good.len() as u8 - 2, "evm_malformed"));
}
