//! Destinations that nobody has: valid, drawn, and good for nothing else.

use holdfast_values::Network;
use rand::RngExt as _;

use crate::draw::Draw;
use crate::format::To;

/// A destination on bitcoin (three of four pay a key, the others a script) or on ethereum (half with checksum letters,
/// half in lower case); any other network gives one on ethereum.
pub fn drawn(draw: &mut Draw, network: Network) -> To {
    match network {
        Network::Bitcoin => bitcoin(draw),
        _ => ethereum(draw),
    }
}

fn bitcoin(draw: &mut Draw) -> To {
    let program: [u8; 32] = draw.random();
    let program = if draw.random_ratio(3, 4) { program.get(..20).unwrap_or(&program) } else { &program };
    // The prefix and the lengths are right, so that nothing can fail here.
    let address = bech32::segwit::encode_v0(bech32::hrp::BC, program).unwrap_or_default();
    To { network: Network::Bitcoin.name().into(), address: address.into(), memo: None }
}

fn ethereum(draw: &mut Draw) -> To {
    let bytes: [u8; 20] = draw.random();
    let mut address = String::with_capacity(42);
    address.push_str("0x");
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            address.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    To { network: Network::Ethereum.name().into(), address: address.into(), memo: None }
}
