//! Attacks on PSBTs, and proof that what is to be signed is what the network verifies.

use bitcoin::hashes::Hash as _;
use bitcoin::psbt::{Psbt, PsbtSighashType};
use bitcoin::{Amount, ScriptBuf, TxOut};
use holdfast_values::ConflictKey;

use super::support::{COLD, CUSTOMER, House, OTHER, PKH, TR, WPKH, WPKH_CHANGE, output, print_hex, script};
use crate::{Decoded, Output, PaidAsset, Scheme, decode};

fn paid(decoded: &Decoded) -> Vec<(&str, u128, Option<usize>)> {
    let line = |output: &Output| {
        assert_eq!(output.asset, PaidAsset::Native);
        (output.amount.base_units(), output.own)
    };
    let outputs = decoded.outputs.iter();
    outputs.map(|output| (output.destination.address(), line(output).0, line(output).1)).collect()
}

#[test]
fn everything_that_a_payment_does_is_said() {
    let house = House::new();
    let psbt = house.payment();
    let decoded = house.decode(&psbt).unwrap();
    let change = house.known()[1].address_at(1, 9).unwrap();
    assert_eq!(paid(&decoded), [(CUSTOMER, 700_000, None), (change.address(), 290_000, Some(1))]);
    assert_eq!(decoded.fee.base_units(), 10_000);
    let outpoint = psbt.unsigned_tx.input[0].previous_output;
    let key = ConflictKey::Outpoint { txid: outpoint.txid.to_byte_array(), vout: 1 };
    assert_eq!(decoded.conflict_keys, [key]);
    assert_eq!(key.to_string(), outpoint.to_string());
    let sighash = decoded.sighashes[0];
    assert_eq!((sighash.descriptor, sighash.index, sighash.scheme), (0, 5, Scheme::EcdsaAll));
}

#[test]
fn a_changed_swapped_or_added_output_shows() {
    let house = House::new();
    let honest = house.decode(&house.payment()).unwrap();
    let changed = |change: &dyn Fn(&mut Vec<TxOut>)| {
        let mut psbt = house.payment();
        change(&mut psbt.unsigned_tx.output);
        psbt.outputs.resize(psbt.unsigned_tx.output.len(), Default::default());
        house.decode(&psbt).unwrap()
    };
    let to_thief = changed(&|outputs| outputs[0].script_pubkey = script(OTHER));
    assert_eq!(paid(&to_thief)[0], (OTHER, 700_000, None));
    let more = changed(&|outputs| outputs[0].value = Amount::from_sat(700_001));
    assert_eq!((paid(&more)[0].1, more.fee.base_units()), (700_001, 9_999));
    let extra = changed(&|outputs| outputs.push(output(OTHER, 1)));
    assert_eq!(paid(&extra)[2], (OTHER, 1, None));
    let swapped = changed(&|outputs| outputs.swap(0, 1));
    assert_eq!(paid(&swapped)[1].0, CUSTOMER);
    // The hints did not move along: what is change is no longer shown as the wallet's own, never the other way round.
    assert!(swapped.outputs.iter().all(|output| output.own.is_none()));
    let digests = [honest, to_thief, more, extra, swapped].map(|decoded| decoded.digest);
    assert!((1..5).all(|last| !digests[..last].contains(&digests[last])), "each has a digest of its own");
}

#[test]
fn change_is_recognised_by_derivation_and_never_by_a_lying_hint() {
    let house = House::new();
    let coins = [house.coin(WPKH, 0, 1_000_000)];
    let own =
        |branch, index| TxOut { value: Amount::from_sat(1_000), script_pubkey: house.script(branch, index) };
    let outputs =
        [own(COLD, 4), own(TR, 2), own(PKH, 3), own(WPKH, 6), output(CUSTOMER, 1_000), own(WPKH, 7)];
    let hints = [(0, COLD, 4), (1, TR, 2), (2, PKH, 3), (3, WPKH, 6), (4, WPKH, 6), (5, WPKH, 8)];
    let decoded = house.decode(&house.psbt(&coins, &outputs, &hints)).unwrap();
    let own: Vec<_> = decoded.outputs.iter().map(|output| output.own).collect();
    assert_eq!(own, [Some(0), Some(1), Some(1), Some(1), None, None]);
    // A wallet that is not known is foreign, whatever the hints say.
    let only_hot = [house.known().remove(1)];
    let psbt = house.psbt(&coins, &outputs, &hints).serialize();
    assert_eq!(decode(&psbt, 0, &only_hot).unwrap().outputs[0].own, None);
}

#[test]
fn only_signatures_over_everything_are_asked_for() {
    let house = House::new();
    for branch in [WPKH, PKH, TR] {
        let coins = [house.coin(branch, 1, 1_000_000)];
        let mut psbt = house.psbt(&coins, &[output(CUSTOMER, 900_000)], &[]);
        // NONE, SINGLE, each with ANYONECANPAY, ANYONECANPAY alone, and numbers that mean nothing or only look like ALL.
        for kind in [2, 3, 0x81, 0x82, 0x83, 0x80, 4, 0x101, 0x0100_0000, u32::MAX] {
            psbt.inputs[0].sighash_type = Some(PsbtSighashType::from_u32(kind));
            assert_eq!(house.refusal(&psbt), "sighash_type", "{branch} {kind:#x}");
        }
        psbt.inputs[0].sighash_type = Some(PsbtSighashType::from_u32(0));
        assert_eq!(house.decode(&psbt).is_ok(), branch == TR, "DEFAULT is taproot's");
        psbt.inputs[0].sighash_type = Some(PsbtSighashType::from_u32(1));
        let scheme = if branch == TR { Scheme::SchnorrAll } else { Scheme::EcdsaAll };
        assert_eq!(house.decode(&psbt).unwrap().sighashes[0].scheme, scheme);
    }
}

#[test]
fn amounts_are_proved_by_the_previous_transaction() {
    let house = House::new();
    let changed = |branch, change: &dyn Fn(&mut Psbt)| {
        let mut psbt = house.psbt(&[house.coin(branch, 1, 1_000_000)], &[output(CUSTOMER, 900_000)], &[]);
        change(&mut psbt);
        house.refusal(&psbt)
    };
    let without = |psbt: &mut Psbt| psbt.inputs[0].non_witness_utxo = None;
    assert_eq!(changed(WPKH, &without), "previous_transaction_missing");
    assert_eq!(changed(PKH, &without), "utxo_missing");
    // A legacy coin with a witness_utxo instead of its previous transaction.
    let only_claimed = |psbt: &mut Psbt| {
        let previous = psbt.inputs[0].non_witness_utxo.take().unwrap();
        psbt.inputs[0].witness_utxo = Some(previous.output[1].clone());
    };
    assert_eq!(changed(PKH, &only_claimed), "previous_transaction_missing");
    let none = |psbt: &mut Psbt| psbt.inputs[0].witness_utxo = None;
    assert_eq!(changed(TR, &none), "utxo_missing");
    // The fee attack on segwit v0: a witness_utxo that claims less than there is, so that the fee looks small.
    let lying = |psbt: &mut Psbt| {
        psbt.inputs[0].witness_utxo.as_mut().unwrap().value = Amount::from_sat(901_000);
    };
    assert_eq!(changed(WPKH, &lying), "witness_utxo_differs");
    let other_script = |psbt: &mut Psbt| {
        psbt.inputs[0].witness_utxo.as_mut().unwrap().script_pubkey = house.script(WPKH, 2);
    };
    assert_eq!(changed(WPKH, &other_script), "witness_utxo_differs");
    // A taproot coin whose previous transaction stands beside it is held to it as well.
    let both = |psbt: &mut Psbt| {
        let coin = house.coin(TR, 1, 1_000_000);
        psbt.inputs[0].non_witness_utxo = Some(coin.previous);
        psbt.inputs[0].witness_utxo.as_mut().unwrap().value = Amount::from_sat(1);
    };
    assert_eq!(changed(TR, &both), "witness_utxo_differs");
    // The previous transaction itself is forged.
    let forged = |psbt: &mut Psbt| {
        psbt.inputs[0].witness_utxo = None;
        psbt.inputs[0].non_witness_utxo.as_mut().unwrap().output[1].value = Amount::from_sat(901_000);
    };
    assert_eq!(changed(WPKH, &forged), "previous_transaction_txid");
    assert_eq!(changed(PKH, &forged), "previous_transaction_txid");
    let beyond = |psbt: &mut Psbt| psbt.unsigned_tx.input[0].previous_output.vout = 2;
    assert_eq!(changed(WPKH, &beyond), "previous_transaction_output");
    let beyond = |psbt: &mut Psbt| psbt.unsigned_tx.input[0].previous_output.vout = u32::MAX;
    assert_eq!(changed(PKH, &beyond), "previous_transaction_output");
}

#[test]
fn a_lie_about_a_taproot_amount_gives_a_signature_that_the_network_refuses() {
    let house = House::new();
    let coins = [house.coin(TR, 1, 1_000_000), house.coin(WPKH, 2, 1_000_000)];
    let mut psbt = house.psbt(&coins, &[output(CUSTOMER, 900_000)], &[]);
    psbt.inputs[0].witness_utxo.as_mut().unwrap().value = Amount::from_sat(10_000);
    let decoded = house.decode(&psbt).unwrap();
    let finished = house.sign(&psbt.unsigned_tx, &decoded.sighashes);
    assert_eq!(verify(&finished, &coins.map(|coin| coin.previous.output[1].clone())), [false, true]);
}

/// Whether Bitcoin Core's own code accepts each input.
fn verify(finished: &bitcoin::Transaction, spent: &[TxOut]) -> Vec<bool> {
    let bytes = bitcoin::consensus::serialize(finished);
    let utxos: Vec<_> = spent
        .iter()
        .map(|spent| bitcoinconsensus::Utxo {
            script_pubkey: spent.script_pubkey.as_bytes().as_ptr(),
            script_pubkey_len: spent.script_pubkey.len() as u32,
            value: spent.value.to_sat() as i64,
        })
        .collect();
    let flags = bitcoinconsensus::VERIFY_ALL_PRE_TAPROOT | bitcoinconsensus::VERIFY_TAPROOT;
    let each = spent.iter().enumerate().map(|(input, spent)| {
        let (script, value) = (spent.script_pubkey.as_bytes(), spent.value.to_sat());
        bitcoinconsensus::verify_with_flags(script, value, &bytes, Some(&utxos), input, flags).is_ok()
    });
    each.collect()
}

#[test]
fn what_is_to_be_signed_is_what_the_network_verifies() {
    let house = House::new();
    let coins = [
        house.coin(WPKH, 5, 1_000_000),
        house.coin(TR, 0, 2_000_000),
        house.coin(PKH, 77, 3_000_000),
        house.coin(WPKH_CHANGE, 2_147_483_647, 4_000_000),
        house.coin(TR, 3, 5_000_000),
    ];
    let outputs = [output(CUSTOMER, 9_000_000), output(OTHER, 5_990_000)];
    let mut psbt = house.psbt(&coins, &outputs, &[]);
    psbt.inputs[1].sighash_type = Some(PsbtSighashType::from_u32(1));
    psbt.inputs[3].sighash_type = Some(PsbtSighashType::from_u32(1));
    let decoded = house.decode(&psbt).unwrap();
    let finished = house.sign(&psbt.unsigned_tx, &decoded.sighashes);
    let spent = coins.map(|coin| coin.previous.output[1].clone());
    assert_eq!(verify(&finished, &spent), [true; 5]);
    // The check can fail: with one output changed after signing, no input verifies.
    let mut stolen = finished.clone();
    stolen.output[0].script_pubkey = script(OTHER);
    assert_eq!(verify(&stolen, &spent), [false; 5]);
    // The estimated size is an upper bound, and a tight one: signatures are up to two bytes shorter.
    let estimated = (decoded.fee.base_units() * 1_000).div_ceil(finished.vsize() as u128);
    let rate = u128::from(decoded.fee_rate);
    assert!(rate <= estimated && rate * 102 / 100 >= estimated, "{rate} {estimated}");
    for (branch, index) in [(WPKH, 1), (TR, 1), (PKH, 1)] {
        let coins = [house.coin(branch, index, 1_000_000)];
        let psbt = house.psbt(&coins, &[output(CUSTOMER, 900_000)], &[]);
        let decoded = house.decode(&psbt).unwrap();
        let finished = house.sign(&psbt.unsigned_tx, &decoded.sighashes);
        assert_eq!(verify(&finished, &coins.map(|coin| coin.previous.output[1].clone())), [true], "{branch}");
        let estimated = (100_000_u64 * 1_000).div_ceil(finished.vsize() as u64);
        assert!(decoded.fee_rate <= estimated && decoded.fee_rate * 103 / 100 >= estimated, "{branch}");
    }
}

#[test]
fn coins_of_others_are_not_spent() {
    let house = House::new();
    // Another wallet of the house pays with its own coins only.
    let psbt = house.psbt(&[house.coin(COLD, 1, 1_000_000)], &[output(CUSTOMER, 900_000)], &[]);
    assert_eq!(house.refusal(&psbt), "input_foreign");
    assert!(decode(&psbt.serialize(), 0, &house.known()).is_ok());
    assert_eq!(decode(&psbt.serialize(), 2, &house.known()).unwrap_err().code(), "payer_unknown");
    // The hint is missing, or names another index.
    let coins = [house.coin(WPKH, 1, 1_000_000)];
    let mut psbt = house.psbt(&coins, &[output(CUSTOMER, 900_000)], &[]);
    let right = psbt.inputs[0].bip32_derivation.clone();
    psbt.inputs[0].bip32_derivation.clear();
    assert_eq!(house.refusal(&psbt), "input_foreign");
    psbt.inputs[0].bip32_derivation =
        house.psbt(&[house.coin(WPKH, 2, 5_000)], &[output(OTHER, 1)], &[]).inputs[0]
            .bip32_derivation
            .clone();
    assert_eq!(house.refusal(&psbt), "input_foreign");
    psbt.inputs[0].bip32_derivation.extend(right);
    assert!(house.decode(&psbt).is_ok(), "foreign hints beside the right one do no harm");
    for index in 3..9 {
        let other = house.psbt(&[house.coin(WPKH, index, 5_000)], &[output(OTHER, 1)], &[]);
        psbt.inputs[0].bip32_derivation.extend(other.inputs[0].bip32_derivation.clone());
    }
    assert_eq!(house.refusal(&psbt), "too_many_hints");
    // A script that no descriptor here can give.
    let mut coin = house.coin(WPKH, 1, 1_000_000);
    coin.previous.output[1].script_pubkey = script(OTHER);
    assert_eq!(house.refusal(&house.psbt(&[coin], &[output(CUSTOMER, 900_000)], &[])), "input_foreign");
}

#[test]
fn coins_are_spent_once() {
    let house = House::new();
    let (one, two) = (house.coin(WPKH, 1, 1_000_000), house.coin(TR, 2, 1_000_000));
    let psbt = house.psbt(&[one.clone(), two.clone(), one.clone()], &[output(CUSTOMER, 2_900_000)], &[]);
    assert_eq!(house.refusal(&psbt), "input_duplicate");
    let forwards = house.psbt(&[one.clone(), two.clone()], &[output(CUSTOMER, 1_000)], &[]);
    let backwards = house.psbt(&[two, one], &[output(CUSTOMER, 1_000)], &[]);
    let keys = [forwards, backwards].map(|psbt| house.decode(&psbt).unwrap().conflict_keys);
    assert_eq!(keys[0], keys[1]);
    assert!(keys[0].is_sorted());
}

#[test]
fn more_is_not_paid_than_spent() {
    let house = House::new();
    let pays = |values: &[u64]| {
        let outputs: Vec<_> = values.iter().map(|sats| output(CUSTOMER, *sats)).collect();
        house.psbt(&[house.coin(WPKH, 1, 1_000_000)], &outputs, &[])
    };
    assert_eq!(house.decode(&pays(&[1_000_000])).unwrap().fee.base_units(), 0);
    assert_eq!(house.refusal(&pays(&[1_000_001])), "outputs_exceed_inputs");
    assert_eq!(house.refusal(&pays(&[500_000, 500_001])), "outputs_exceed_inputs");
    assert_eq!(house.refusal(&pays(&[u64::MAX, 2])), "amount_range");
    assert_eq!(house.refusal(&pays(&[2_100_000_000_000_001])), "amount_range");
    let rich = [house.coin(TR, 1, 2_100_000_000_000_001)];
    assert_eq!(house.refusal(&house.psbt(&rich, &[output(CUSTOMER, 1)], &[])), "amount_range");
}

#[test]
fn only_addresses_are_paid() {
    let house = House::new();
    let key = [&[0x21, 2][..], &[0x11; 32], &[0xac]].concat();
    let unspendable = [&[0x51, 0x20][..], &[0xff; 32]].concat();
    for (name, bytes) in [
        ("OP_RETURN", vec![0x6a, 0x01, 0x00]),
        ("empty", vec![]),
        ("pay to public key", key),
        ("bare multisig", [&[0x51, 0x21, 2][..], &[0x11; 32], &[0x51, 0xae]].concat()),
        ("taproot key that is no point", unspendable),
        ("witness version 2", [&[0x52, 0x20][..], &[0x11; 32]].concat()),
        ("pay to anchor", vec![0x51, 0x02, 0x4e, 0x73]),
    ] {
        let outputs = [
            output(CUSTOMER, 1_000),
            TxOut { value: Amount::from_sat(0), script_pubkey: ScriptBuf::from(bytes) },
        ];
        let psbt = house.psbt(&[house.coin(WPKH, 1, 1_000_000)], &outputs, &[]);
        assert_eq!(house.refusal(&psbt), "output_script", "{name}");
    }
}

#[test]
fn what_is_signed_already_is_not_signed_again() {
    let house = House::new();
    let changed = |change: &dyn Fn(&mut bitcoin::psbt::Input)| {
        let mut psbt = house.payment();
        change(&mut psbt.inputs[0]);
        house.refusal(&psbt)
    };
    let key = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
        .parse::<bitcoin::PublicKey>()
        .unwrap();
    let ecdsa =
        bitcoin::ecdsa::Signature::from_slice(&[&[0x30, 6, 2, 1, 1, 2, 1, 1][..], &[1]].concat()).unwrap();
    let schnorr = bitcoin::taproot::Signature::from_slice(&[1; 64]).unwrap();
    let leaf = bitcoin::taproot::TapLeafHash::from_byte_array([1; 32]);
    assert_eq!(changed(&|input| input.partial_sigs.extend([(key, ecdsa)])), "input_signed");
    assert_eq!(changed(&|input| input.final_script_sig = Some(ScriptBuf::new())), "input_signed");
    assert_eq!(changed(&|input| input.final_script_witness = Some(Default::default())), "input_signed");
    assert_eq!(changed(&|input| input.tap_key_sig = Some(schnorr)), "input_signed");
    assert_eq!(
        changed(&|input| input.tap_script_sigs.extend([((key.inner.into(), leaf), schnorr)])),
        "input_signed"
    );
}

#[test]
fn fields_that_nothing_needs_change_nothing() {
    let house = House::new();
    let plain = house.decode(&house.payment()).unwrap();
    let mut psbt = house.payment();
    let (key, (_, path)) = psbt.inputs[0].bip32_derivation.pop_first().unwrap();
    psbt.inputs[0].bip32_derivation.insert(key, (Default::default(), path.clone()));
    let master = bitcoin::bip32::Xpriv::new_master(bitcoin::NetworkKind::Main, &[1; 32]).unwrap();
    let xpub = bitcoin::bip32::Xpub::from_priv(&bitcoin::secp256k1::Secp256k1::new(), &master);
    psbt.xpub.insert(xpub, (Default::default(), path));
    let unknown = |kind, key: &[u8]| bitcoin::psbt::raw::Key { type_value: kind, key: key.to_vec() };
    psbt.unknown.insert(unknown(0x4f, b"x"), vec![0; 9]);
    psbt.inputs[0].unknown.insert(unknown(0xf0, b""), vec![1; 300]);
    psbt.inputs[0].redeem_script = Some(ScriptBuf::from(vec![0x51]));
    psbt.outputs[0].unknown.insert(unknown(0xf0, b""), vec![]);
    assert_eq!(house.decode(&psbt).unwrap(), plain);
    assert_eq!(print_hex(&plain.digest).len(), 64);
}
