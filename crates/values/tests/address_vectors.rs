//! Bitcoin Core's, bitcoinjs-lib's and BIP-341's vectors, read in place where they lie beside the repository.

use std::path::PathBuf;

use holdfast_values::address::{AddressError, examine};
use holdfast_values::{AddressKind, Destination, Network};
use serde_json::Value;

#[expect(clippy::unwrap_used, reason = "a broken vector file should stop the test")]
fn load(name: &str) -> Option<Value> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/address-vectors");
    match std::fs::read_to_string(folder.join(name)) {
        Ok(text) => Some(serde_json::from_str(&text).unwrap()),
        Err(_) => {
            eprintln!("skipped: ../shared/data/address-vectors/{name} is not here");
            None
        }
    }
}

#[expect(clippy::unwrap_used, reason = "a vector file of another shape should stop the test")]
fn rows(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

#[test]
fn core_valid_keys_are_told_apart() {
    let Some(vectors) = load("core__base58_keys_valid.json") else { return };
    let mut seen = 0;
    for row in rows(&vectors) {
        let (text, about) = (row[0].as_str().unwrap(), &row[2]);
        let (here, there) = match about["isTestnet"].as_bool().unwrap() {
            true => (Network::BitcoinTestnet, Network::Bitcoin),
            false => (Network::Bitcoin, Network::BitcoinTestnet),
        };
        let expected = match about["addrType"].as_str() {
            Some("pubkey") => Ok(AddressKind::P2pkh),
            Some("script") => Ok(AddressKind::P2sh),
            _ => Err(AddressError::PrivateKey),
        };
        assert_eq!(examine(here, text, None).map(|e| e.written_as), expected, "{text}");
        let elsewhere = if expected.is_ok() { AddressError::Network } else { AddressError::PrivateKey };
        assert_eq!(examine(there, text, None), Err(elsewhere), "{text}");
        seen += 1;
    }
    assert!(seen >= 40, "{seen} vectors");
}

#[test]
fn core_invalid_keys_are_refused_everywhere() {
    let Some(vectors) = load("core__base58_keys_invalid.json") else { return };
    for row in rows(&vectors) {
        let text = row[0].as_str().unwrap();
        for network in Network::ALL {
            assert!(examine(network, text, None).is_err(), "{network} {text}");
        }
    }
}

#[test]
fn bitcoinjs_addresses_are_told_apart() {
    let Some(vectors) = load("address.json") else { return };
    for row in rows(&vectors["standard"]) {
        let text = row["base58check"].as_str().or(row["bech32"].as_str()).unwrap();
        let network = match row["network"].as_str().unwrap() {
            "testnet" => Network::BitcoinTestnet,
            "regtest" => Network::BitcoinRegtest,
            name => name.parse().unwrap(),
        };
        let kind = examine(network, text, None).unwrap().written_as;
        let script = row["script"].as_str().unwrap();
        let expected = match (script.split(' ').next().unwrap(), row["data"].as_str().map_or(0, str::len)) {
            ("OP_DUP", _) => AddressKind::P2pkh,
            ("OP_HASH160", _) => AddressKind::P2sh,
            ("OP_0", 40) => AddressKind::P2wpkh,
            ("OP_0", _) => AddressKind::P2wsh,
            ("OP_1", 64) => AddressKind::P2tr,
            _ => AddressKind::WitnessUnknown,
        };
        assert_eq!(kind, expected, "{text}");
    }
    for list in ["bech32", "fromBase58Check", "toOutputScript"] {
        for row in rows(&vectors["invalid"][list]) {
            let text = row["address"].as_str().unwrap();
            // One row is invalid only for an invented network.
            if row["network"]["bech32"] == "foo" {
                continue;
            }
            for network in Network::ALL {
                assert!(examine(network, text, None).is_err(), "{network} {text}");
            }
        }
    }
}

#[test]
fn bip_341_addresses_are_taproot() {
    let Some(vectors) = load("bip-0341__wallet-test-vectors.json") else { return };
    for row in rows(&vectors["scriptPubKey"]) {
        let text = row["expected"]["bip350Address"].as_str().unwrap();
        let destination = Destination::parse(Network::Bitcoin, text, None).unwrap();
        assert_eq!((destination.kind(), destination.address()), (AddressKind::P2tr, text));
    }
}
