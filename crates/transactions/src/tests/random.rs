//! Random and damaged bytes: never a panic, and whatever is still accepted says honestly what it has become.

use proptest::prelude::*;

use super::support::{House, hex};
use crate::{Decoded, EvmFields, Wallet, decode, evm_parse_signed, evm_unsigned};

fn evm() -> (Vec<Wallet>, Vec<u8>, Vec<u8>) {
    let sender = "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F";
    let known = vec![Wallet::evm(holdfast_values::Network::Ethereum, sender).unwrap()];
    let native = EvmFields {
        chain_id: 1,
        nonce: 300,
        max_priority_fee_per_gas: 2_000_000_000,
        max_fee_per_gas: 40_000_000_000,
        gas_limit: 65_000,
        to: [0x5a; 20],
        value: 1 << 70,
        data: vec![],
    };
    let data = hex(&format!("a9059cbb{}{}{:064x}", "0".repeat(24), "ab".repeat(20), 77));
    let token = EvmFields { value: 0, data, ..native.clone() };
    (known, evm_unsigned(&native), evm_unsigned(&token))
}

/// Equal but for what only hints say: which outputs are recognised.
fn without_hints(mut decoded: Decoded) -> Decoded {
    decoded.outputs.iter_mut().for_each(|output| output.own = None);
    decoded
}

fn damage(bytes: &mut Vec<u8>, at: usize, byte: u8, how: u8) {
    let at = at % bytes.len();
    match how % 4 {
        0 => bytes[at] ^= 1 << (byte % 8),
        1 => bytes[at] = byte,
        2 => bytes.insert(at, byte),
        _ => bytes.truncate(at),
    }
}

#[test]
fn every_bit_of_a_psbt_is_worth_nothing_or_changes_the_digest() {
    let house = House::new();
    let (bytes, known) = (house.payment().serialize(), house.known());
    let honest = house.decode(&house.payment()).unwrap();
    let mut accepted = 0;
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(decoded) = decode(&damaged, 1, &known) {
            accepted += 1;
            for (place, output) in decoded.outputs.iter().enumerate() {
                let change = output.destination == honest.outputs[1].destination;
                assert!(output.own.is_none() || change && output.own == Some(1), "bit {bit}, output {place}");
            }
            if decoded.digest == honest.digest {
                assert_eq!(without_hints(decoded), without_hints(honest.clone()), "bit {bit}");
            }
        }
    }
    assert!(accepted > 100, "{accepted}: hints, sequences, lock time and values may change");
}

#[test]
fn every_bit_of_an_evm_transaction_changes_the_digest() {
    let (known, native, token) = evm();
    for bytes in [native, token] {
        let honest = decode(&bytes, 0, &known).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(decoded) = decode(&damaged, 0, &known) {
                assert_ne!(decoded.digest, honest.digest, "bit {bit}");
                assert_ne!(without_hints(decoded), without_hints(honest.clone()), "bit {bit}");
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let (known, ..) = evm();
        let house = House::new().known();
        for head in [&b""[..], b"psbt\xff", b"psbt\xff\x01\x00", b"\x02", b"\x02\xf8"] {
            let bytes = [head, &bytes].concat();
            let _ = decode(&bytes, 1, &house);
            let _ = decode(&bytes, 0, &known);
            let _ = evm_parse_signed(&bytes);
        }
        if let Ok(text) = core::str::from_utf8(&bytes) {
            let _ = Wallet::bitcoin(holdfast_values::Network::Bitcoin, &[text.to_owned()]);
        }
    }

    #[test]
    fn no_damage_makes_it_panic_or_lie(
        blows in proptest::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 1..4),
    ) {
        let house = House::new();
        let (evm_known, native, token) = evm();
        let house_known = house.known();
        for (mut bytes, payer, known) in
            [(house.payment().serialize(), 1, &house_known), (native, 0, &evm_known), (token, 0, &evm_known)]
        {
            let honest = decode(&bytes, payer, known).unwrap();
            for (at, byte, how) in &blows {
                if !bytes.is_empty() {
                    damage(&mut bytes, *at, *byte, *how);
                }
            }
            if let Ok(decoded) = decode(&bytes, payer, known)
                && decoded.digest == honest.digest
            {
                prop_assert_eq!(without_hints(decoded), without_hints(honest));
            }
        }
    }
}
