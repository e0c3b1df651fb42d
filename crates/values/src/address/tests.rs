//! Published vectors of every network, and what must hold of any text.

use super::*;

fn kind(network: Network, address: &str) -> Result<&'static str, AddressError> {
    examine(network, address, None).map(|e| e.written_as.code())
}

#[test]
fn bitcoin_addresses_are_told_apart_by_network() {
    use Network::{Bitcoin, BitcoinTestnet};
    // Bitcoin Core, src/test/data/key_io_valid.json; BIP-350.
    for (network, address, expected) in [
        (Bitcoin, "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Ok("p2pkh")),
        (Bitcoin, "3CMNFxN1oHBc4R1EpboAL5yzHGgE611Xou", Ok("p2sh")),
        (BitcoinTestnet, "mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs", Ok("p2pkh")),
        (BitcoinTestnet, "2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br", Ok("p2sh")),
        (Bitcoin, "mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs", Err(AddressError::Network)),
        (BitcoinTestnet, "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Network)),
        (Bitcoin, "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", Ok("p2wpkh")),
        (BitcoinTestnet, "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Ok("p2wpkh")),
        (Bitcoin, "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", Err(AddressError::Network)),
        (Bitcoin, "Kz6UJmQACJmLtaQj5A3JAge4kVTNQ8gbvXuwbmCj7bsaabudb3RD", Err(AddressError::PrivateKey)),
        (Bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", Err(AddressError::Checksum)),
        (Bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kV8f3t4", Err(AddressError::MixedCase)),
        (Bitcoin, "", Err(AddressError::Empty)),
    ] {
        assert_eq!(kind(network, address), expected, "{network} {address}");
    }
    let upper = Destination::parse(Bitcoin, "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", None).unwrap();
    let lower = Destination::parse(Bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", None).unwrap();
    assert_eq!(upper, lower);
    assert_eq!(Destination::parse(Bitcoin, lower.address(), Some("1")), Err(AddressError::MemoNotSupported));
}
