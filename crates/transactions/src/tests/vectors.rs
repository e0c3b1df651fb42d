//! `docs/release.md` and the code say the same.

use super::support::{CUSTOMER, House, OTHER, TR, WPKH, WPKH_CHANGE, hex, output, print_hex};
use crate::{Decoded, PaidAsset, TransactionError, Wallet, WalletError, decode, outputs_digest};

const DOCUMENT: &str = include_str!("../../../../docs/release.md");

/// What a vector says behind its input.
fn render(decoded: &Decoded) -> String {
    let mut text = format!("digest: {}\n", print_hex(&decoded.digest));
    for key in &decoded.conflict_keys {
        text += &format!("conflict: {key}\n");
    }
    for output in &decoded.outputs {
        let contract = match &output.asset {
            PaidAsset::Native => "-",
            PaidAsset::Contract(contract) => contract,
        };
        let own = if output.own.is_some() { "own" } else { "foreign" };
        let address = output.destination.address();
        text += &format!("output: {address} {contract} {} {own}\n", output.amount.base_units());
    }
    let paid = decoded.outputs.iter().map(|output| (Some(&output.destination), &output.asset, output.amount));
    text += &format!("outputs-digest: {}\n", print_hex(&outputs_digest(paid)));
    text += &format!("fee: {}\nfee-rate: {}\n", decoded.fee.base_units(), decoded.fee_rate);
    for sighash in &decoded.sighashes {
        let (input, scheme, message) = (sighash.input, sighash.scheme, print_hex(&sighash.message));
        text += &format!("sighash: {input} {scheme:?} {}/{} {message}\n", sighash.descriptor, sighash.index);
    }
    text
}

#[test]
fn vectors_are_decoded_as_documented() {
    let mut seen = 0;
    for part in DOCUMENT.split("```transaction-vector\n").skip(1) {
        let (vector, _) = part.split_once("```").unwrap();
        let (wallets, rest) = vector.split_once("bytes: ").unwrap();
        let (bytes, expected) = rest.split_once('\n').unwrap();
        let field = |name: &'static str| wallets.lines().filter_map(move |line| line.strip_prefix(name));
        let network = field("network: ").next().unwrap().parse().unwrap();
        let descriptors: Vec<String> = field("descriptor: ").map(str::to_owned).collect();
        let wallet = match field("address: ").next() {
            Some(address) => Wallet::evm(network, address),
            None => Wallet::bitcoin(network, &descriptors),
        };
        let decoded = decode(&hex(bytes), 0, &[wallet.unwrap()]).unwrap();
        assert_eq!(render(&decoded), expected, "{vector}");
        seen += 1;
    }
    assert_eq!(seen, 3);
}

#[test]
fn the_bitcoin_vector_is_an_ordinary_psbt() {
    let house = House::new();
    let coins = [house.coin(WPKH, 5, 1_000_000), house.coin(TR, 6, 2_000_000)];
    let mut change = output(CUSTOMER, 1_290_000);
    change.script_pubkey = house.script(WPKH_CHANGE, 9);
    let outputs = [output(OTHER, 700_000), output(CUSTOMER, 1_000_000), change];
    let psbt = house.psbt(&coins, &outputs, &[(2, WPKH_CHANGE, 9)]).serialize();
    for branch in [WPKH, WPKH_CHANGE, TR] {
        let descriptor = format!("descriptor: {}\n", house.descriptor(branch));
        assert!(DOCUMENT.contains(&descriptor), "{descriptor}");
    }
    let bytes = format!("bytes: {}\n", print_hex(&psbt));
    assert!(DOCUMENT.contains(&bytes), "{bytes}");
}

#[test]
fn observations_of_outputs_have_the_same_digest_and_differ_with_each_field() {
    let address =
        |text| holdfast_values::Destination::parse(holdfast_values::Network::Bitcoin, text, None).unwrap();
    let (one, two) = (address(CUSTOMER), address(OTHER));
    let amount = holdfast_values::Amount::from_base_units;
    let token = PaidAsset::Contract("0xdAC17F958D2ee523a2206206994597C13D831ec7".into());
    let native = &PaidAsset::Native;
    let all = [
        vec![],
        vec![(Some(&one), native, amount(1))],
        vec![(Some(&two), native, amount(1))],
        vec![(None, native, amount(1))],
        vec![(Some(&one), native, amount(u128::MAX))],
        vec![(Some(&one), &token, amount(1))],
        vec![(Some(&one), native, amount(1)), (Some(&two), native, amount(1))],
        vec![(Some(&two), native, amount(1)), (Some(&one), native, amount(1))],
    ];
    let digests: std::collections::BTreeSet<_> =
        all.iter().map(|each| outputs_digest(each.iter().copied())).collect();
    assert_eq!(digests.len(), all.len());
}

#[test]
fn the_document_lists_every_refusal() {
    let source = include_str!("../error.rs");
    let mut codes = 0;
    for line in source.lines().map(str::trim).filter(|line| line.ends_with("\",")) {
        let code = line.split('"').nth(1).unwrap();
        assert!(DOCUMENT.contains(&format!("`{code}`")), "{code}");
        codes += 1;
    }
    assert!(codes > 40, "{codes}");
    assert_eq!(TransactionError::SighashType { input: 3 }.code(), "sighash_type");
    assert!(TransactionError::SighashType { input: 3 }.to_string().starts_with("input 3 asks for"));
    let private = WalletError::DescriptorPrivate;
    assert_eq!((private.code(), private.to_string().contains("exposed")), ("descriptor_private", true));
}
