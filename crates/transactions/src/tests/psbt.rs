//! Framing: what is no PSBT of version 0, to the last byte, is refused, and limits hold before anything is allocated.

use bitcoin::TxIn;
use bitcoin::consensus::serialize;
use bitcoin::transaction::Version;

use super::support::{CUSTOMER, House, output, transaction};
use crate::{PSBT_BYTES_MAX, TransactionError, decode};

fn code(bytes: &[u8]) -> &'static str {
    decode(bytes, 1, &House::new().known()).map_or_else(TransactionError::code, |_| "accepted")
}

/// A PSBT of one global field and no more maps than given.
fn framed(unsigned: &[u8], maps: &[u8]) -> Vec<u8> {
    let length = bitcoin::consensus::encode::VarInt::from(unsigned.len());
    [b"psbt\xff\x01\x00", serialize(&length).as_slice(), unsigned, &[0], maps].concat()
}

#[test]
fn only_exactly_a_psbt_is_read() {
    let house = House::new();
    let good = house.payment().serialize();
    assert_eq!(code(&good), "accepted");
    assert_eq!(code(&[&good[..], &[0]].concat()), "trailing_bytes");
    assert_eq!(code(&[&good[..], &good[..]].concat()), "trailing_bytes");
    for length in 0..good.len() {
        assert_eq!(code(&good[..length]), "psbt_malformed", "cut to {length}");
    }
    assert_eq!(code(b"cHNidP8BAHECAAAA"), "psbt_malformed");
    assert_eq!(code(&vec![0; PSBT_BYTES_MAX + 1]), "transaction_too_long");
    let unsigned = serialize(&house.payment().unsigned_tx);
    assert_eq!(code(&framed(&unsigned, &[])), "psbt_malformed");
    assert_eq!(code(&framed(&unsigned, &[0, 0, 0])), "utxo_missing");
    assert_eq!(code(&framed(&unsigned, &[0, 0, 0, 0])), "trailing_bytes");
    assert_eq!(code(&framed(&[&unsigned[..], &[0]].concat(), &[0, 0, 0])), "psbt_malformed");
    let mut scripted = house.payment().unsigned_tx;
    scripted.input[0].script_sig = bitcoin::ScriptBuf::from(vec![0x51]);
    assert_eq!(code(&framed(&serialize(&scripted), &[0, 0, 0])), "input_signed");
    // A field twice, a key with more behind its type, a length that is not in its shortest form.
    assert_eq!(code(&framed(&unsigned, &[1, 9, 0, 1, 9, 0, 0, 0, 0])), "psbt_malformed");
    assert_eq!(code(&framed(&unsigned, &[2, 1, 9, 0, 0, 0, 0])), "psbt_malformed");
    assert_eq!(code(&framed(&unsigned, &[0xfd, 1, 0, 9, 0, 0, 0, 0])), "psbt_malformed");
}

#[test]
fn later_versions_are_refused_by_name() {
    let unsigned = serialize(&House::new().payment().unsigned_tx);
    let versioned = |version: &[u8]| {
        let field = [&[1, 0xfb, version.len() as u8][..], version].concat();
        [&b"psbt\xff"[..], &field, &framed(&unsigned, &[0, 0, 0])[5..]].concat()
    };
    assert_eq!(code(&versioned(&[0, 0, 0, 0])), "utxo_missing");
    assert_eq!(code(&versioned(&[2, 0, 0, 0])), "psbt_version");
    assert_eq!(code(&versioned(&[1, 0, 0, 0])), "psbt_version");
    assert_eq!(code(&versioned(&[0])), "psbt_version");
    // A PSBT of version 2 has no unsigned transaction.
    assert_eq!(code(b"psbt\xff\x01\xfb\x04\x02\0\0\0\0"), "psbt_version");
    let mut psbt = House::new().payment();
    for (version, expected) in [
        (1, "accepted"),
        (2, "accepted"),
        (0, "transaction_version"),
        (3, "transaction_version"),
        (-1, "transaction_version"),
    ] {
        psbt.unsigned_tx.version = Version(version);
        assert_eq!(code(&psbt.serialize()), expected, "{version}");
    }
}

#[test]
fn counts_are_limited_before_anything_is_allocated() {
    let payment = House::new().payment().unsigned_tx;
    let with = |inputs: usize, outputs: usize| {
        let input = (0..inputs).map(|n| TxIn {
            previous_output: bitcoin::OutPoint { vout: n as u32, ..payment.input[0].previous_output },
            ..TxIn::default()
        });
        let unsigned = transaction(input.collect(), vec![output(CUSTOMER, 1); outputs]);
        framed(&serialize(&unsigned), &vec![0; inputs + outputs])
    };
    assert_eq!(code(&with(1_000, 1_000)), "utxo_missing");
    assert_eq!(code(&with(1_001, 1)), "too_many_inputs");
    assert_eq!(code(&with(1, 1_001)), "too_many_outputs");
    assert_eq!(code(&with(1, 0)), "no_outputs");
    assert_eq!(code(&framed(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0], &[])), "no_inputs");
    assert_eq!(code(&framed(&[&[2, 0, 0, 0, 0][..], &serialize(&payment)[5..]].concat(), &[])), "no_inputs");
    let absurd = [&[2, 0, 0, 0, 0xff][..], &[0xff; 8]].concat();
    assert_eq!(code(&framed(&absurd, &[])), "too_many_inputs");
    // More fields than any PSBT needs.
    let fields: Vec<u8> =
        (0..60_001u32).flat_map(|n| [&[5, 9][..], &n.to_le_bytes(), &[0]].concat()).collect();
    assert_eq!(code(&framed(&serialize(&payment), &fields)), "too_many_fields");
}
