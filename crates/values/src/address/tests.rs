//! Published vectors of every network, and what must hold of any text.

use proptest::prelude::*;

use super::*;

fn kind(network: Network, address: &str) -> Result<&'static str, AddressError> {
    examine(network, address, None).map(|e| e.written_as.code())
}

fn check(network: Network, table: &[(&str, Result<&'static str, AddressError>)]) {
    for (address, expected) in table {
        assert_eq!(kind(network, address), *expected, "{network} {address}");
    }
}

fn canonical(network: Network, address: &str) -> String {
    Destination::parse(network, address, None).unwrap().address().to_owned()
}

#[test]
fn bitcoin_addresses_are_told_apart_by_network() {
    // Bitcoin Core, src/test/data/key_io_valid.json (earlier base58_keys_valid.json).
    check(
        Network::Bitcoin,
        &[
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Ok("p2pkh")),
            ("3CMNFxN1oHBc4R1EpboAL5yzHGgE611Xou", Ok("p2sh")),
            ("mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs", Err(AddressError::Network)),
            ("2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br", Err(AddressError::Network)),
            ("LUxXFcwXFPpRZdMv4aYu6bDwPdC2skQ5YW", Err(AddressError::Network)),
            ("5Kd3NBUAdUnhyzenEwVLy9pBKxSwXvE9FMPyR4UKZvpe6E3AgLr", Err(AddressError::PrivateKey)),
            ("Kz6UJmQACJmLtaQj5A3JAge4kVTNQ8gbvXuwbmCj7bsaabudb3RD", Err(AddressError::PrivateKey)),
            ("cTpB4YiyKiBcPxnefsDpbnDxFDffjqJob8wGCEDXxgQ7zQoMXJdH", Err(AddressError::PrivateKey)),
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62j", Err(AddressError::Checksum)),
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62", Err(AddressError::Checksum)),
            (" 1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Encoding)),
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i\n", Err(AddressError::Encoding)),
            ("bitcoin:1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Encoding)),
            ("", Err(AddressError::Empty)),
            ("1", Err(AddressError::Length)),
            // bitcoinjs: a sound checksum over 20 and over 23 bytes.
            ("7SeEnXWPaCCALbVrTnszCVGfRU8cGfx", Err(AddressError::Length)),
            ("j9ywUkWg2fTQrouxxh5rSZhRvrjMkEUfuiKe", Err(AddressError::Length)),
        ],
    );
    for network in [Network::BitcoinTestnet, Network::BitcoinSignet, Network::BitcoinRegtest] {
        check(
            network,
            &[
                ("mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs", Ok("p2pkh")),
                ("2N2JD6wb56AfK4tfmM6PwdVmoYk2dCKf4Br", Ok("p2sh")),
                ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Network)),
            ],
        );
    }
    let regtest = "bcrt1qjh3dnrafy8f2zszh5sdqn6c3ycfljh930yza9nt72v30dkw8mlvscn82zx";
    check(Network::BitcoinRegtest, &[(regtest, Ok("p2wsh"))]);
    check(Network::BitcoinTestnet, &[(regtest, Err(AddressError::Network))]);
    let longest = "x".repeat(ADDRESS_LEN_MAX + 1);
    check(Network::Bitcoin, &[(&longest, Err(AddressError::Length))]);
}

#[test]
fn bip_350_valid_addresses_are_valid() {
    // BIP-350, Test vectors for v0-v16 native segregated witness addresses.
    check(
        Network::Bitcoin,
        &[
            ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", Ok("p2wpkh")),
            (
                "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
                Ok("witness_unknown"),
            ),
            ("BC1SW50QGDZ25J", Ok("witness_unknown")),
            ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", Ok("witness_unknown")),
            ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", Ok("p2tr")),
        ],
    );
    check(
        Network::BitcoinTestnet,
        &[
            ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", Ok("p2wsh")),
            ("tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy", Ok("p2wsh")),
            ("tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", Ok("p2tr")),
            ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", Err(AddressError::Network)),
        ],
    );
}

#[test]
fn bip_173_and_bip_350_invalid_addresses_are_refused() {
    use AddressError::{Checksum, Encoding, Length, MixedCase, Padding, Version};
    let table = [
        // BIP-350.
        ("tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut", Encoding),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", Checksum),
        ("tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf", Checksum),
        ("BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", Checksum),
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", Checksum),
        ("tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", Checksum),
        ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", Encoding),
        ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", Version),
        ("bc1pw5dgrnzv", Length),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav", Length),
        ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", Length),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", MixedCase),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", Padding),
        ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", Padding),
        ("bc1gmk9yu", Checksum),
        // BIP-173, and its once valid addresses of version 1 and later.
        ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", Checksum),
        ("BC13W508D6QEJXTDG4Y5R3ZARVARY0C5XW7KN40WF2", Version),
        ("bc1rw5uspcuh", Checksum),
        ("bc10w508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kw5rljs90", Checksum),
        ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sL5k7", MixedCase),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvqyzf3du", Checksum),
        ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3pjxtptv", Padding),
        ("bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7k7grplx", Checksum),
        ("BC1SW50QA3JX3S", Checksum),
        ("bc1zw508d6qejxtdg4y5r3zarvaryvg6kdaj", Checksum),
    ];
    for (address, expected) in table {
        let network = if address.starts_with("tb") { Network::BitcoinTestnet } else { Network::Bitcoin };
        assert_eq!(kind(network, address), Err(expected), "{address}");
    }
}

#[test]
fn unspendable_programs_are_no_destinations() {
    for address in ["BC1SW50QGDZ25J", "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "bc1pfeessrawgf"] {
        assert_eq!(kind(Network::Bitcoin, address), Ok("witness_unknown"));
        assert_eq!(Destination::parse(Network::Bitcoin, address, None), Err(AddressError::NotPayable));
    }
    // Sound checksums over x-coordinates that are none: x = 2²⁵⁶ - 1 (bitcoinjs-lib, address.json), and x = 5.
    let mut five = [0; 32];
    five[31] = 5;
    for program in [[0xff; 32], five] {
        let off_curve = bech32::segwit::encode_v1(bech32::Hrp::parse("bc").unwrap(), &program).unwrap();
        assert_eq!(kind(Network::Bitcoin, &off_curve), Err(AddressError::NotPayable));
    }
}

#[test]
fn litecoin_and_dogecoin() {
    check(
        Network::Litecoin,
        &[
            // bitcoinjs-lib, test/fixtures/address.json; multicoin-address-validator.
            ("LUxXFcwXFPpRZdMv4aYu6bDwPdC2skQ5YW", Ok("p2pkh")),
            ("MCZjFcwYJwwYqXAbd3bbnxaCVGs81cp43Z", Ok("p2sh")),
            ("LVg2kJoFNg45Nbpy53h7Fe1wKyeXVRhMH9", Ok("p2pkh")),
            ("3NJZLcZEEYBpxYEUGewU4knsQRn1WM5Fkt", Ok("p2sh")),
            ("ltc1qg42tkwuuxefutzxezdkdel39gfstuap288mfea", Ok("p2wpkh")),
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Network)),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", Err(AddressError::Network)),
        ],
    );
    check(
        Network::Dogecoin,
        &[
            ("DPpJVPpvPNP6i6tMj4rTycAGh8wReTqaSU", Ok("p2pkh")),
            ("DNzLUN6MyYVS5zf4Xc2yK69V3dXs6Mxia5", Ok("p2pkh")),
            ("A7JjzK9k9x5b2MkkQzqt91WZsuu7wTu6iS", Ok("p2sh")),
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Network)),
            ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", Err(AddressError::Network)),
        ],
    );
    // The same script in both spellings is one destination.
    let old = "3NJZLcZEEYBpxYEUGewU4knsQRn1WM5Fkt";
    let new = canonical(Network::Litecoin, old);
    assert!(new.starts_with('M'));
    assert_eq!(
        Destination::parse(Network::Litecoin, old, None),
        Destination::parse(Network::Litecoin, &new, None)
    );
    assert_eq!(kind(Network::Bitcoin, &new), Err(AddressError::Network));
}

#[test]
fn bitcoin_cash_has_one_spelling_for_each_script() {
    // bitcoincash.org, spec/cashaddr.md, examples of address translation.
    for (old, new) in [
        ("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
        ("1KXrWXciRDZUpQwQmuM1DbwsKDLYAYsVLR", "bitcoincash:qr95sy3j9xwd2ap32xkykttr4cvcu7as4y0qverfuy"),
        ("16w1D5WRVKJuZUsSRzdLp9w3YGcgoxDXb", "bitcoincash:qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r"),
        ("3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC", "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq"),
        ("3LDsS579y7sruadqu11beEJoTjdFiFCdX4", "bitcoincash:pr95sy3j9xwd2ap32xkykttr4cvcu7as4yc93ky28e"),
        ("31nwvkZwyPdgzjBJZXfDmSWsC4ZLKpYyUw", "bitcoincash:pqq3728yw0y47sqn6l2na30mcw6zm78dzq5ucqzc37"),
    ] {
        let bare = new.split_once(':').unwrap().1;
        for text in [old, new, bare, &new.to_uppercase(), &bare.to_uppercase()] {
            assert_eq!(canonical(Network::BitcoinCash, text), new, "{text}");
        }
        let expected =
            if bare.starts_with('q') { ("p2pkh", "cashaddr_p2pkh") } else { ("p2sh", "cashaddr_p2sh") };
        assert_eq!(kind(Network::BitcoinCash, old), Ok(expected.0));
        assert_eq!(kind(Network::BitcoinCash, new), Ok(expected.1));
    }
    // A token-aware address (CHIP-2022-02 CashTokens) names the same script.
    assert_eq!(
        canonical(Network::BitcoinCash, "bitcoincash:zpm2qsznhks23z7629mms6s4cwef74vcwvrqekrq9w"),
        "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"
    );
    check(
        Network::BitcoinCash,
        &[
            // The same document, larger vectors: what the chain has no script for is refused.
            ("bitcoincash:qr6m7j9njldwwzlg9v7v53unlr4jkmx6eylep8ekg2", Ok("cashaddr_p2pkh")),
            ("bchtest:pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t", Err(AddressError::Network)),
            ("pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t", Err(AddressError::Network)),
            ("pref:pr6m7j9njldwwzlg9v7v53unlr4jkmx6ey65nvtks5", Err(AddressError::Network)),
            ("bitcoincash:q9adhakpwzztepkpwp5z0dq62m6u5v5xtyj7j3h2ws4mr9g0", Err(AddressError::Length)),
            (
                "bitcoincash:qvch8mmxy0rtfrlarg7ucrxxfzds5pamg73h7370aa87d80gyhqxq5nlegake",
                Err(AddressError::Length),
            ),
            ("bitcoincash:qpzry9x8gf2tvdw0s3jn54khce6mua7lcw20ayyn", Err(AddressError::Length)),
            ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6b", Err(AddressError::Encoding)),
            ("bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx66", Err(AddressError::Checksum)),
            ("bitcoincash:QPM2QSZNHKS23Z7629MMS6S4CWEF74VCWVY22GDX6A", Err(AddressError::MixedCase)),
            ("qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6A", Err(AddressError::MixedCase)),
            (
                "bitcoincash:bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a",
                Err(AddressError::Encoding),
            ),
            ("bitcoincash:1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", Err(AddressError::MixedCase)),
            ("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggv", Err(AddressError::Checksum)),
            ("mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs", Err(AddressError::Network)),
            ("bitcoincash:", Err(AddressError::Checksum)),
            ("Kz6UJmQACJmLtaQj5A3JAge4kVTNQ8gbvXuwbmCj7bsaabudb3RD", Err(AddressError::PrivateKey)),
        ],
    );
}

#[test]
fn evm_addresses_keep_eip_55() {
    // EIP-55, test cases: all caps, all lower, normal.
    for address in [
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
        "0xde709f2102306220921060314715629080e2fb77",
        "0x27b1fdb04752bbc536007a920d24acb045561c26",
        "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
        "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
        "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
        "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
    ] {
        for network in Network::ALL.into_iter().filter(|n| n.chain_id().is_some()) {
            assert_eq!(canonical(network, address), address);
            assert_eq!(canonical(network, &address.to_lowercase()), address);
            assert_eq!(canonical(network, &format!("0x{}", address[2..].to_uppercase())), address);
        }
        let flips = address.char_indices().skip(2).filter(|(_, c)| c.is_ascii_alphabetic());
        let cased =
            address[2..].to_uppercase() != address[2..] && address[2..].to_lowercase() != address[2..];
        for (at, c) in flips.filter(|_| cased) {
            let other = if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
            let text = format!("{}{other}{}", &address[..at], &address[at + 1..]);
            assert_eq!(kind(Network::Ethereum, &text), Err(AddressError::Checksum), "{text}");
        }
    }
    check(
        Network::Ethereum,
        &[
            ("5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Err(AddressError::Encoding)),
            ("0X5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Err(AddressError::Encoding)),
            ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", Err(AddressError::Length)),
            ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAedd", Err(AddressError::Length)),
            ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeg", Err(AddressError::Encoding)),
            ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", Err(AddressError::Checksum)),
            ("0x0000000000000000000000000000000000000000", Err(AddressError::NotPayable)),
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Encoding)),
        ],
    );
}

#[test]
fn tron_and_solana() {
    check(
        Network::Tron,
        &[
            // developers.tron.network, Account, and the USDT contract.
            ("TJRabPrwbZy45sbavfcjinPJC18kjpRTv8", Ok("tron")),
            ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t", Ok("tron")),
            ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6u", Err(AddressError::Checksum)),
            ("41a614f803b6fd780986a42c78ec9c7f77e6ded13c", Err(AddressError::Encoding)),
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Network)),
        ],
    );
    assert_eq!(kind(Network::Bitcoin, "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"), Err(AddressError::Network));
    check(
        Network::Solana,
        &[
            // The token program, USDC's mint (solana.com/docs), and an associated (off-curve) account.
            ("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", Ok("solana")),
            ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", Ok("solana")),
            ("4fYNw3dojWmQ4dXtSGE9epjRGy9pFSx62YypT7avPYvA", Ok("solana")),
            ("11111111111111111111111111111111", Err(AddressError::NotPayable)),
            ("1111111111111111111111111111111", Err(AddressError::Length)),
            ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v1", Err(AddressError::Length)),
            ("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt10", Err(AddressError::Encoding)),
            ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", Err(AddressError::Encoding)),
        ],
    );
}

#[test]
fn xrp_addresses_and_tags() {
    check(
        Network::Xrp,
        &[
            // ripple-address-codec, test/xrp-codec.test.ts.
            ("rJrRMgiRgrU6hDF4pgu5DXQdWyPbY35ErN", Ok("xrp_classic")),
            ("rU6K7V3Po4snVhBBaU29sesqs2qTQJWDw1", Ok("xrp_classic")),
            ("rLUEXYuLiQptky37CqLcm9USQpPiz5rkpD", Ok("xrp_classic")),
            ("rU6K7V3Po4snVhBBaU29sesqs2qTQJWDw2", Err(AddressError::Checksum)),
            ("rnaC7gW34M77Kneb78s", Err(AddressError::Length)),
            ("n9MXXueo837zYH36DvMc13BwHcqtfAWNJY5czWVbp7uYTj7x17TH", Err(AddressError::Version)),
            ("sn259rEFXrQrWyx3Q7XneWcwV6dfL", Err(AddressError::PrivateKey)),
            ("sEdTM1uX8pu2do5XvTnutH6HsouMaM2", Err(AddressError::PrivateKey)),
            ("rrrrrrrrrrrrrrrrrrrrrhoLvTp", Err(AddressError::NotPayable)),
            ("rrrrrrrrrrrrrrrrrrrrBZbvji", Err(AddressError::NotPayable)),
            // test/index.test.ts: X-addresses with a bad checksum, a bad prefix, a 64-bit tag, and of the test network.
            ("XVLhHMPHU98es4dbozjVtdWzVrDjtV5fdx1mHp98tDMoQXa", Err(AddressError::Checksum)),
            ("dGzKGt8CVpWoa8aWL1k18tAdy9Won3PxynvbbpkAqp3V47g", Err(AddressError::Version)),
            ("XVLhHMPHU98es4dbozjVtdWzVrDjtV18pX8zeUygYrCgrPh", Err(AddressError::Version)),
            ("TVE26TYGhfLC7tQDno7G8dGtxSkYQn49b3qD26PK7FcGSKE", Err(AddressError::Network)),
            ("1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i", Err(AddressError::Checksum)),
        ],
    );
    // test/index.test.ts.
    for (address, tag, x_address) in [
        ("r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk59", None, "X7AcgcsBL6XDcUb289X4mJ8djcdyKaB5hJDWMArnXr61cqZ"),
        ("r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk59", Some("1"), "X7AcgcsBL6XDcUb289X4mJ8djcdyKaGZMhc9YTE92ehJ2Fu"),
        (
            "r9cZA1mLK5R5Am25ArfXFmqgNwjZgnfk59",
            Some("11747"),
            "X7AcgcsBL6XDcUb289X4mJ8djcdyKaLFuhLRuNXPrDeJd9A",
        ),
        ("rLczgQHxPhWtjkaQqn3Q6UM8AbRbbRvs5K", None, "XVZVpQj8YSVpNyiwXYSqvQoQqgBttTxAZwMcuJd4xteQHyt"),
        ("rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf", Some("0"), "XVLhHMPHU98es4dbozjVtdWzVrDjtV8AqEL4xcZj5whKbmc"),
        (
            "rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf",
            Some("16781933"),
            "XVLhHMPHU98es4dbozjVtdWzVrDjtVqrDUk2vDpkTjPsY73",
        ),
        (
            "rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf",
            Some("4294967295"),
            "XVLhHMPHU98es4dbozjVtdWzVrDjtV18pX8yuPT7y4xaEHi",
        ),
        (
            "rPEPPER7kfTD9w2To4CQk6UCfuHM9c6GDY",
            Some("13371337"),
            "XV5sbjUmgPpvXv4ixFWZ5ptAYZ6PD2qwGkhgc48zzcx6Gkr",
        ),
    ] {
        let plain = Destination::parse(Network::Xrp, address, tag).unwrap();
        assert_eq!((plain.address(), plain.memo()), (address, tag));
        assert_eq!(Destination::parse(Network::Xrp, x_address, None).as_ref(), Ok(&plain));
        assert_eq!(kind(Network::Xrp, x_address), Ok("xrp_x_address"));
        if tag.is_some() {
            assert_eq!(Destination::parse(Network::Xrp, x_address, tag), Ok(plain));
        }
        assert_eq!(Destination::parse(Network::Xrp, x_address, Some("5")), Err(AddressError::MemoConflict));
    }
    for tag in ["4294967296", "-1", "+1", "01", "1.0", "abc", "", " 1"] {
        let error =
            Destination::parse(Network::Xrp, "rGWrZyQqhTp9Xu7G5Pkayo7bXjH4k4QYpf", Some(tag)).unwrap_err();
        assert_eq!(error.code(), "memo_invalid", "{tag:?}");
    }
}

const STELLAR: &str = "GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ";

#[test]
fn stellar_strkeys() {
    use AddressError::{Checksum, Encoding, Length, Padding, PrivateKey, Version};
    check(
        Network::Stellar,
        &[
            // SEP-23, valid and invalid test cases.
            (STELLAR, Ok("stellar_account")),
            ("MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ", Ok("stellar_muxed")),
            ("MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVAAAAAAAAAAAAAJLK", Ok("stellar_muxed")),
            ("CA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUWDA", Err(Version)),
            ("LA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUPJN", Err(Version)),
            ("BAAD6DBUX6J22DMZOHIEZTEQ64CVCHEDRKWZONFEUL5Q26QD7R76RGR4TU", Err(Version)),
            ("GAAAAAAAACGC6", Err(Length)),
            ("MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUR", Err(Padding)),
            ("GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZA", Err(Length)),
            ("GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUACUSI", Err(Length)),
            ("G47QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVP2I", Err(Version)),
            ("MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVAAAAAAAAAAAAAJLKA", Err(Length)),
            ("MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVAAAAAAAAAAAAAAV75I", Err(Length)),
            ("M47QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ", Err(Checksum)),
            ("MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUK===", Err(Encoding)),
            ("MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUO", Err(Checksum)),
            ("BAAD6DBUX6J22DMZOHIEZTEQ64CVCHEDRKWZONFEUL5Q26QD7R76RGR4TV", Err(Padding)),
            // stellar-base, test/unit/strkey_test.js: a secret seed.
            ("SBGWKM3CD4IL47QN6X54N6Y33T3JDNVI6AIJ6CD5IM47HG3IG4O36XCU", Err(PrivateKey)),
            (&STELLAR.to_lowercase(), Err(Encoding)),
        ],
    );
}

#[test]
fn stellar_memos_have_one_spelling() {
    let hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let upper = hash.to_uppercase();
    for (memo, expected) in [
        ("text:hello", Some("text:hello".to_owned())),
        ("hello", Some("text:hello".to_owned())),
        ("12345", Some("text:12345".to_owned())),
        ("text:a b", Some("text:a b".to_owned())),
        ("text:id:7", Some("text:id:7".to_owned())),
        ("text:1234567890123456789012345678", Some("text:1234567890123456789012345678".to_owned())),
        ("text:12345678901234567890123456789", None),
        ("text:", None),
        ("text: a", None),
        ("a ", None),
        ("ä", None),
        ("a\nb", None),
        ("", None),
        ("id:0", Some("id:0".to_owned())),
        ("id:18446744073709551615", Some("id:18446744073709551615".to_owned())),
        ("id:18446744073709551616", None),
        ("id:007", None),
        ("id:+7", None),
        ("id:", None),
        (&format!("hash:{hash}"), Some(format!("hash:{hash}"))),
        (&format!("return:{upper}"), Some(format!("return:{hash}"))),
        ("hash:12", None),
        (&format!("hash:{hash}0"), None),
    ] {
        let found = Destination::parse(Network::Stellar, STELLAR, Some(memo));
        let found_memo = found.as_ref().ok().and_then(Destination::memo);
        assert_eq!(found_memo, expected.as_deref(), "{memo:?}");
        if let Err(error) = found {
            assert_eq!(error.code(), "memo_invalid", "{memo:?}");
        }
    }
    let muxed = "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ";
    assert_eq!(
        Destination::parse(Network::Stellar, muxed, Some("id:0")),
        Err(AddressError::MemoNotSupported)
    );
}

/// One sound address of every sort that carries a checksum, in its canonical spelling, and the others.
const SOUND: [(Network, &str); 21] = [
    (Network::Bitcoin, "1AGNa15ZQXAZUgFiqJ2i7Z2DPU2J6hW62i"),
    (Network::Bitcoin, "3CMNFxN1oHBc4R1EpboAL5yzHGgE611Xou"),
    (Network::Bitcoin, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
    (Network::Bitcoin, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
    (Network::BitcoinTestnet, "mo9ncXisMeAoXwqcV5EWuyncbmCcQN4rVs"),
    (Network::BitcoinTestnet, "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7"),
    (Network::BitcoinRegtest, "bcrt1qjh3dnrafy8f2zszh5sdqn6c3ycfljh930yza9nt72v30dkw8mlvscn82zx"),
    (Network::Litecoin, "LUxXFcwXFPpRZdMv4aYu6bDwPdC2skQ5YW"),
    (Network::Litecoin, "MCZjFcwYJwwYqXAbd3bbnxaCVGs81cp43Z"),
    (Network::Litecoin, "ltc1qg42tkwuuxefutzxezdkdel39gfstuap288mfea"),
    (Network::Dogecoin, "DPpJVPpvPNP6i6tMj4rTycAGh8wReTqaSU"),
    (Network::Dogecoin, "A7JjzK9k9x5b2MkkQzqt91WZsuu7wTu6iS"),
    (Network::BitcoinCash, "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
    (Network::BitcoinCash, "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq"),
    (Network::Tron, "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"),
    (Network::Xrp, "rJrRMgiRgrU6hDF4pgu5DXQdWyPbY35ErN"),
    (Network::Stellar, STELLAR),
    (Network::Stellar, "MA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJUAAAAAAAAAAAACJUQ"),
    (Network::Xrp, "XVLhHMPHU98es4dbozjVtdWzVrDjtV5fdx1mHp98tDMoQXb"),
    (Network::Ethereum, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"),
    (Network::Solana, "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"),
];

#[test]
fn every_change_of_one_character_is_refused_or_names_the_same_destination() {
    for (network, address) in SOUND {
        let sound = Destination::parse(network, address, None).unwrap();
        let (mut tried, mut missed) = (0, 0);
        let mut try_text = |text: String| {
            tried += 1;
            if let Ok(found) = Destination::parse(network, &text, None) {
                missed += u32::from(found != sound);
            }
        };
        for at in 0..address.len() {
            let (head, tail) = (&address[..at], &address[at + 1..]);
            try_text(format!("{head}{tail}"));
            for c in '!'..='~' {
                try_text(format!("{head}{c}{tail}"));
                try_text(format!("{head}{c}{}", &address[at..]));
            }
            if at > 0 {
                let (front, last) = head.split_at(at - 1);
                try_text(format!("{front}{}{last}{tail}", &address[at..=at]));
            }
        }
        match network {
            // No checksum at all, and one of 15 bits.
            Network::Solana => assert!(missed > 0),
            Network::Ethereum => assert!(missed * 500 < tried, "{missed} of {tried}"),
            _ => assert_eq!(missed, 0, "{address}: {missed} of {tried}"),
        }
    }
}

#[test]
fn canonical_bytes_tell_every_destination_apart() {
    let with = |memo| Destination::parse(Network::Xrp, "rJrRMgiRgrU6hDF4pgu5DXQdWyPbY35ErN", memo).unwrap();
    assert_ne!(with(None).canonical_bytes(), with(Some("0")).canonical_bytes());
    let on =
        |network| Destination::parse(network, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", None).unwrap();
    assert_ne!(on(Network::Ethereum).canonical_bytes(), on(Network::Bsc).canonical_bytes());
    assert_eq!(
        with(Some("7")).canonical_bytes(),
        b"\x11\x00\x22rJrRMgiRgrU6hDF4pgu5DXQdWyPbY35ErN\x01\x00\x017"
    );
}

#[test]
fn records_keep_destinations() {
    for (network, address) in SOUND {
        let destination = Destination::parse(network, address, None).unwrap();
        assert_eq!(
            minicbor::decode::<Destination>(&minicbor::to_vec(&destination).unwrap()).unwrap(),
            destination
        );
        assert_eq!(
            Destination::parse(network, destination.address(), destination.memo()).as_ref(),
            Ok(&destination)
        );
        if destination.kind() != AddressKind::XrpClassic || address.starts_with('r') {
            assert_eq!(destination.address(), address, "SOUND is canonical");
        }
    }
}

proptest! {
    #[test]
    fn never_panics_and_prints_what_it_parses(
        address in prop_oneof![".{0,140}", "(bc1|tb1|ltc1|bcrt1|bitcoincash:|0x|[13LMDA9TrXGMS])[0-9A-Za-z]{0,90}"],
        memo in proptest::option::of(".{0,100}"),
        at in 0..Network::ALL.len(),
    ) {
        if let Ok(found) = Destination::parse(Network::ALL[at], &address, memo.as_deref()) {
            prop_assert_eq!(Destination::parse(found.network(), found.address(), found.memo()), Ok(found.clone()));
        }
    }

    #[test]
    fn every_account_has_one_spelling_on_each_network(hash in any::<[u8; 20]>(), key in any::<[u8; 32]>()) {
        let check = |version: u8, alphabet| {
            let payload: Vec<u8> = [version].into_iter().chain(hash).collect();
            base58::encode_check(&payload, alphabet)
        };
        let bitcoin = bs58::Alphabet::BITCOIN;
        let texts = [
            (Network::Bitcoin, check(0x00, bitcoin)),
            (Network::BitcoinCash, check(0x00, bitcoin)),
            (Network::BitcoinCash, check(0x05, bitcoin)),
            (Network::Litecoin, check(0x05, bitcoin)),
            (Network::Dogecoin, check(0x1e, bitcoin)),
            (Network::Tron, check(0x41, bitcoin)),
            (Network::Xrp, check(0x00, bs58::Alphabet::RIPPLE)),
            (Network::Polygon, format!("0x{}", crate::hex::encode(&hash))),
            (Network::Solana, bs58::encode(key).into_string()),
        ];
        for (network, text) in texts {
            let found = Destination::parse(network, &text, None).unwrap();
            prop_assert_eq!(Destination::parse(network, found.address(), None), Ok(found));
        }
    }
}
