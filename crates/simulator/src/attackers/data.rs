//! Real addresses, read in place where they lie beside the project; none of them is part of it. Without them the drills
//! invent some, and play the same.

use std::path::Path;

/// Relative to where a drill is started: the project's root.
const FOLDER: &str = "../shared/data";

const OUTPUTS: &str = "binance-hack-2019/hack_output_addresses.csv";
const POISONED: &str = "address-poisoning/ethereum.csv";

type Addresses = Vec<Box<str>>;

/// An address that somebody meant, and the one that they paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) intended: Box<str>,
    pub(super) alike: Box<str>,
}

/// The addresses of 7 May 2019: the 21 large outputs, then the 23 small ones.
pub(super) fn binance_2019() -> Option<(Addresses, Addresses)> {
    outputs(&read(Path::new(FOLDER), OUTPUTS)?)
}

fn read(folder: &Path, file: &str) -> Option<String> {
    std::fs::read_to_string(folder.join(file)).ok()
}

/// The file's first column, bech32 apart from the rest; nothing if it is not that file.
fn outputs(text: &str) -> Option<(Addresses, Addresses)> {
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for address in text.lines().skip(1).filter_map(|line| line.split(',').next()) {
        if address.starts_with("bc1") { &mut large } else { &mut small }.push(address.into());
    }
    (large.len() == 21 && small.len() == 23).then_some((large, small))
}

/// Pairs of addresses of which one was paid for the other; none where there is no such file.
pub(super) fn poisoning() -> Vec<Pair> {
    read(Path::new(FOLDER), POISONED).map(|text| pairs(&text)).unwrap_or_default()
}

fn pairs(text: &str) -> Vec<Pair> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let column = |name: &str| header.iter().position(|has| *has == name);
    let (Some(alike), Some(intended)) = (column("topics_to_addr"), column("intended_addr")) else {
        return Vec::new();
    };
    let valid = |address: &&str| address.len() == 42 && address.starts_with("0x");
    lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split(',').collect();
            let get = |place: usize| fields.get(place).copied().map(str::trim).filter(valid);
            let lower = |address: &str| address.to_lowercase().into();
            Some(Pair { intended: lower(get(intended)?), alike: lower(get(alike)?) })
        })
        .filter(|pair: &Pair| pair.intended != pair.alike)
        .collect()
}

#[cfg(test)]
mod tests {
    use holdfast_values::{Destination, Network};

    use super::*;

    #[test]
    fn real_addresses_can_be_paid() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
        let (Some(hack), Some(poisoned)) = (read(&folder, OUTPUTS), read(&folder, POISONED)) else {
            eprintln!("skipped: ../shared/data is absent");
            return;
        };
        let (large, small) = outputs(&hack).expect("21 and 23 outputs");
        for address in large.iter().chain(&small) {
            Destination::parse(Network::Bitcoin, address, None).expect(address);
        }
        let pairs = pairs(&poisoned);
        assert!(pairs.len() > 1_000, "{} pairs", pairs.len());
        for Pair { intended, alike } in &pairs {
            for address in [intended, alike] {
                Destination::parse(Network::Ethereum, address, None).expect(address);
            }
        }
    }

    #[test]
    fn another_file_is_not_believed() {
        assert_eq!(outputs("address,type\nbc1qx,p2wpkh\n"), None);
        assert!(pairs("a,b\n0x1,0x2\n").is_empty());
        let row = format!("x,0x{},0x{}\n", "a".repeat(40), "b".repeat(40));
        assert_eq!(pairs(&format!("n,topics_to_addr,intended_addr\n{row}short,0x1,0x2\n")).len(), 1);
    }
}
