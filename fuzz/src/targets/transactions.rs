//! Transactions and wallets, held against other readers of the same bytes.

use std::collections::BTreeSet;

use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::SecretKey;
use bitcoin::sighash::SighashCache;
use bitcoin::{Address, Transaction, TxIn, TxOut, consensus};
use holdfast_transactions::{
    Decoded, EvmFields, PaidAsset, Scheme, Wallet, decode, evm_parse_signed, evm_signed, evm_unsigned,
};
use holdfast_values::{ConflictKey, Network};
use miniscript::{Descriptor, DescriptorPublicKey};

use crate::house::{self, COLD, ELSEWHERE, HOT};
use crate::rlp;

pub(super) fn psbt(bytes: &[u8]) -> bool {
    let known = house::bitcoin_wallets();
    let decoded = decode(bytes, HOT, known);
    assert_eq!(decoded, decode(bytes, HOT, known), "means the same twice");
    let Ok(decoded) = decoded else { return false };
    assert!(decode(bytes, COLD, known).is_err(), "no coin belongs to two wallets");
    assert_eq!(decoded.network, Network::Bitcoin);
    assert_eq!(decoded.sighashes.len(), decoded.conflict_keys.len(), "each coin is signed for");
    // The library reads every field, also those that nothing needs, and so refuses more.
    if let Ok(psbt) = Psbt::deserialize(bytes) {
        agrees(&decoded, &psbt);
        assert_eq!(decode(&psbt.serialize(), HOT, known).as_ref(), Ok(&decoded), "means the same in order");
    }
    true
}

/// Everything that was decoded, found again in the library's view of the same bytes.
fn agrees(decoded: &Decoded, psbt: &Psbt) {
    let transaction = &psbt.unsigned_tx;
    let outpoints: BTreeSet<ConflictKey> = transaction
        .input
        .iter()
        .map(|input| input.previous_output)
        .map(|spent| ConflictKey::Outpoint { txid: spent.txid.to_byte_array(), vout: spent.vout })
        .collect();
    assert!(outpoints.iter().eq(&decoded.conflict_keys), "spends exactly these coins");

    assert_eq!(transaction.output.len(), decoded.outputs.len());
    for (place, (paid, output)) in transaction.output.iter().zip(&decoded.outputs).enumerate() {
        let address = Address::from_script(&paid.script_pubkey, bitcoin::Network::Bitcoin);
        assert_eq!(
            address.ok().map(|address| address.to_string()).as_deref(),
            Some(output.destination.address())
        );
        assert_eq!(u128::from(paid.value.to_sat()), output.amount.base_units());
        assert_eq!(output.asset, PaidAsset::Native);
        if let Some(own) = output.own {
            let hints = psbt.outputs.get(place).into_iter().flat_map(|hints| {
                let keys = hints.bip32_derivation.values();
                let sources = keys.chain(hints.tap_key_origins.values().map(|(_, source)| source));
                // A path may be empty: then the index is read out of the fingerprint before it.
                sources.map(|(print, path)| match path.into_iter().last() {
                    Some(step) => u32::from(*step),
                    None => u32::from_le_bytes(print.to_bytes()),
                })
            });
            let wallet = house::bitcoin_wallets().get(own);
            let is_own = |index| {
                (0..4).any(|branch| {
                    wallet.and_then(|wallet| wallet.address_at(branch, index)).as_ref()
                        == Some(&output.destination)
                })
            };
            assert!(hints.into_iter().any(is_own), "what is own is derived");
        }
    }

    let spent: Vec<TxOut> = transaction
        .input
        .iter()
        .zip(&psbt.inputs)
        .filter_map(|(input, map)| {
            let kind = map.sighash_type.map(|kind| kind.to_u32());
            assert!(matches!(kind, None | Some(0 | 1)), "only what is signed as a whole: {kind:?}");
            let proved = map.non_witness_utxo.as_ref().map(|previous| {
                assert_eq!(previous.compute_txid(), input.previous_output.txid, "the amount is proved");
                previous.tx_out(usize::try_from(input.previous_output.vout).ok()?).ok()
            });
            proved.unwrap_or(map.witness_utxo.as_ref()).cloned()
        })
        .collect();
    assert_eq!(spent.len(), transaction.input.len(), "each coin is known");
    let sum =
        |outputs: &[TxOut]| outputs.iter().map(|output| u128::from(output.value.to_sat())).sum::<u128>();
    assert_eq!(
        sum(&transaction.output).checked_add(decoded.fee.base_units()),
        Some(sum(&spent)),
        "nothing is lost"
    );
    assert_eq!(decoded.fee.is_zero(), decoded.fee_rate == 0);

    let mut cache = SighashCache::new(transaction);
    let mut digested = b"holdfast/bitcoin-transaction/v1\n".to_vec();
    digested.extend(consensus::serialize(transaction));
    for (place, (sighash, coin)) in decoded.sighashes.iter().zip(&spent).enumerate() {
        assert_eq!(usize::try_from(sighash.input), Ok(place));
        let message = match sighash.scheme {
            Scheme::EcdsaAll => {
                psbt.sighash_ecdsa(place, &mut cache).ok().map(|(message, _)| *message.as_ref())
            }
            Scheme::SchnorrDefault => Some(taproot(transaction, &spent, sighash.input, 0)),
            Scheme::SchnorrAll => Some(taproot(transaction, &spent, sighash.input, 1)),
            Scheme::Evm => None,
        };
        assert_eq!(message, Some(sighash.message), "what is signed");
        digested.extend(consensus::serialize(coin));
        digested.extend(u32::from(sighash.scheme != Scheme::SchnorrDefault).to_le_bytes());
    }
    assert_eq!(sha256::Hash::hash(&digested).to_byte_array(), decoded.digest, "as the document says");
}

/// The message of a spend by the key path, as BIP-341 writes it down.
fn taproot(transaction: &Transaction, spent: &[TxOut], input: u32, kind: u8) -> [u8; 32] {
    let hash = |parts: Vec<Vec<u8>>| sha256::Hash::hash(&parts.concat()).to_byte_array();
    let coins = |part: fn(&TxOut) -> Vec<u8>| hash(spent.iter().map(part).collect());
    let inputs = |part: fn(&TxIn) -> Vec<u8>| hash(transaction.input.iter().map(part).collect());
    let tag = sha256::Hash::hash(b"TapSighash").to_byte_array();
    let message = [
        &[tag, tag].concat(),
        &[0, kind][..],
        &transaction.version.0.to_le_bytes(),
        &transaction.lock_time.to_consensus_u32().to_le_bytes(),
        &inputs(|input| consensus::serialize(&input.previous_output)),
        &coins(|coin| coin.value.to_sat().to_le_bytes().to_vec()),
        &coins(|coin| consensus::serialize(&coin.script_pubkey)),
        &inputs(|input| input.sequence.0.to_le_bytes().to_vec()),
        &hash(transaction.output.iter().map(consensus::serialize).collect()),
        &[0],
        &input.to_le_bytes(),
    ];
    sha256::Hash::hash(&message.concat()).to_byte_array()
}

pub(super) fn evm(bytes: &[u8]) -> bool {
    let known = house::evm_wallets();
    let decoded = decode(bytes, HOT, known);
    assert_eq!(decoded, decode(bytes, HOT, known), "means the same twice");
    let Ok(decoded) = decoded else { return false };
    assert!(decode(bytes, ELSEWHERE, known).is_err(), "no transaction is for two chains");
    let items = rlp::list(bytes.get(1..).unwrap_or_default()).unwrap_or_default();
    assert_eq!(items.len(), 9, "nine fields");
    let fields = fields(&items);
    assert_eq!(fields.as_ref().map(evm_unsigned).as_deref(), Some(bytes), "is in its one spelling");
    let Some(fields) = fields else { return false };

    assert_eq!(fields.chain_id, 1);
    assert!(fields.max_priority_fee_per_gas <= fields.max_fee_per_gas);
    let fee = fields.max_fee_per_gas.checked_mul(u128::from(fields.gas_limit));
    assert_eq!(fee, Some(decoded.fee.base_units()), "the most that it can cost");
    let key = ConflictKey::Nonce { chain: 1, sender: house::HOT_ACCOUNT, nonce: fields.nonce };
    assert_eq!(decoded.conflict_keys, [key]);
    let [output] = &*decoded.outputs else { return false };
    let (receiver, amount) = match (&output.asset, fields.data.get(16..36), fields.data.get(36..68)) {
        (PaidAsset::Native, None, None) => (fields.to.to_vec(), fields.value),
        (PaidAsset::Contract(contract), Some(receiver), Some(amount)) => {
            assert_eq!((fields.data.len(), fields.value), (68, 0), "a token payment and nothing else");
            let head = fields.data.get(..16).unwrap_or_default();
            assert!(
                head.starts_with(&[0xa9, 0x05, 0x9c, 0xbb]) && head.ends_with(&[0; 12]),
                "transfer(address,..)"
            );
            assert_eq!(contract.to_lowercase(), house::address(fields.to));
            let (high, low) = amount.split_last_chunk::<16>().unwrap_or((&[1], &[0; 16]));
            assert!(high.iter().all(|byte| *byte == 0));
            (receiver.to_vec(), u128::from_be_bytes(*low))
        }
        other => unreachable!("pays something else: {other:?}"),
    };
    let receiver: [u8; 20] = receiver.try_into().unwrap_or_default();
    assert_eq!(output.destination.address().to_lowercase(), house::address(receiver));
    assert_eq!(output.amount.base_units(), amount);
    let own = [house::COLD_ACCOUNT, house::HOT_ACCOUNT].into_iter().position(|account| account == receiver);
    assert_eq!(output.own, own);

    // Any point of the curve will do for R: the signature is then somebody's.
    let (r, mut s) = (GENERATOR_X, [0; 32]);
    s[31] = 7;
    let signed = evm_signed(bytes, true, r, s).unwrap_or_default();
    let parts = evm_parse_signed(&signed);
    assert_eq!(parts.map(|(unsigned, ..)| unsigned).as_deref(), Ok(bytes), "is what was signed");
    true
}

/// The x coordinate of the curve's generator.
const GENERATOR_X: [u8; 32] = bitcoin::secp256k1::constants::GENERATOR_X;

fn fields(items: &[rlp::Item<'_>]) -> Option<EvmFields> {
    let [chain, nonce, tip, fee, gas, to, value, data, (true, []), ..] = items else { return None };
    let small = |item| u64::try_from(rlp::number(item)?).ok();
    Some(EvmFields {
        chain_id: small(*chain)?,
        nonce: small(*nonce)?,
        max_priority_fee_per_gas: rlp::number(*tip)?,
        max_fee_per_gas: rlp::number(*fee)?,
        gas_limit: small(*gas)?,
        to: to.1.try_into().ok()?,
        value: rlp::number(*value)?,
        data: data.1.to_vec(),
    })
}

pub(super) fn evm_signed_transaction(bytes: &[u8]) -> bool {
    let parts = evm_parse_signed(bytes);
    assert_eq!(parts, evm_parse_signed(bytes), "means the same twice");
    let Ok((unsigned, sender, _)) = parts else { return false };
    let items = rlp::list(bytes.get(1..).unwrap_or_default()).unwrap_or_default();
    assert_eq!(items.len(), 12, "nine fields and a signature");
    assert_eq!(fields(&items).as_ref().map(evm_unsigned), Some(unsigned.clone()), "the fields were signed");
    let [.., parity, r, s] = &*items else { return false };
    let parity = rlp::number(*parity);
    let word = |digits: &[u8]| {
        let mut word = [0; 32];
        word.iter_mut().rev().zip(digits.iter().rev()).for_each(|(to, from)| *to = *from);
        word
    };
    let (is_odd, r, s) = (parity == Some(1), word(r.1), word(s.1));
    assert!(matches!(parity, Some(0 | 1)));
    assert_eq!(evm_signed(&unsigned, is_odd, r, s).as_deref(), Some(bytes), "comes together again");

    // The same signature with the other parity is another's, and with the other s it is nobody's.
    if let Some(other) = evm_signed(&unsigned, !is_odd, r, s) {
        assert_ne!(evm_parse_signed(&other).map(|(_, sender, _)| sender), Ok(sender));
    }
    if let Ok(low) = SecretKey::from_slice(&s) {
        assert_eq!(evm_signed(&unsigned, !is_odd, r, low.negate().secret_bytes()), None, "high s");
    }
    true
}

/// The first byte chooses the network; then one descriptor a line.
pub(super) fn descriptors(bytes: &[u8]) -> bool {
    const NETWORKS: [(Network, bitcoin::Network); 4] = [
        (Network::Bitcoin, bitcoin::Network::Bitcoin),
        (Network::BitcoinTestnet, bitcoin::Network::Testnet),
        (Network::BitcoinSignet, bitcoin::Network::Signet),
        (Network::BitcoinRegtest, bitcoin::Network::Regtest),
    ];
    let Some((which, rest)) = bytes.split_first() else { return false };
    let Some((network, theirs)) = NETWORKS.get(usize::from(which % 4)) else { return false };
    let Ok(text) = core::str::from_utf8(rest) else { return false };
    let texts: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let Ok(wallet) = Wallet::bitcoin(*network, &texts) else { return false };
    let mut seen = BTreeSet::new();
    for (branch, text) in (0u8..).zip(&texts) {
        let descriptor: Option<Descriptor<DescriptorPublicKey>> = text.parse().ok();
        for index in [0, 1, 0x7fff_ffff] {
            let ours = wallet.address_at(branch, index).map(|found| found.address().to_owned());
            let definite = descriptor.as_ref().and_then(|text| text.at_derivation_index(index).ok());
            let expected = definite.and_then(|definite| definite.address(*theirs).ok());
            assert_eq!(ours, expected.map(|address| address.to_string()), "{branch}/{index}");
            assert!(ours.is_none_or(|address| seen.insert(address)), "no address belongs to two branches");
        }
        assert_eq!(wallet.address_at(branch, 0x8000_0000), None, "nothing is hardened");
    }
    assert_eq!(u8::try_from(texts.len()).ok().and_then(|next| wallet.address_at(next, 0)), None);
    assert_eq!((wallet.network(), wallet.evm_address()), (*network, None));
    true
}
