//! Bitcoin: a PSBT (BIP-174, version 0) whose every input is a coin of the paying wallet.
//!
//! What a PSBT claims is believed only where something binds it: amounts of inputs by the id of the previous transaction
//! (or, for taproot, by the signature itself, which covers all amounts), ownership by deriving the script again. A
//! derivation in the PSBT only says where to look.

use bitcoin::consensus::encode::{deserialize, serialize};
use bitcoin::hashes::Hash as _;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{EcdsaSighashType, OutPoint, Script, TapSighashType, Transaction, TxOut};
use holdfast_values::{Amount, ConflictKey, Destination, Network};
use std::collections::BTreeSet;

use crate::TransactionError::{self, *};
use crate::psbt::{Map, Psbt};
use crate::wallet::{BitcoinWallet, ScriptKind};
use crate::{Decoded, Output, PaidAsset, Scheme, Sighash, Wallet, digest};

/// Most indexes that the derivations of one input or output may name.
const HINTS_MAX: usize = 4;

/// Types of fields in the maps of inputs and outputs (BIP-174, BIP-371).
mod field {
    pub(super) const NON_WITNESS_UTXO: u8 = 0x00;
    pub(super) const WITNESS_UTXO: u8 = 0x01;
    pub(super) const SIGHASH_TYPE: u8 = 0x03;
    pub(super) const DERIVATION: u8 = 0x06;
    pub(super) const TAP_DERIVATION: u8 = 0x16;
    pub(super) const OUTPUT_DERIVATION: u8 = 0x02;
    pub(super) const OUTPUT_TAP_DERIVATION: u8 = 0x07;
    /// Partial signature, final script, final witness, taproot key and script signatures.
    pub(super) const SIGNATURES: [u8; 5] = [0x02, 0x07, 0x08, 0x13, 0x14];
}

/// The address that a script pays, if there is one that can be paid.
pub(crate) fn destination(network: Network, script: &Script) -> Option<Destination> {
    let params = match network {
        Network::Bitcoin => bitcoin::Network::Bitcoin,
        Network::BitcoinTestnet => bitcoin::Network::Testnet,
        Network::BitcoinSignet => bitcoin::Network::Signet,
        Network::BitcoinRegtest => bitcoin::Network::Regtest,
        _ => return None,
    };
    let address = bitcoin::Address::from_script(script, params).ok()?;
    Destination::parse(network, &address.to_string(), None).ok()
}

/// A coin that is spent, and whose key spends it how.
struct Coin {
    spent: TxOut,
    scheme: Scheme,
    descriptor: u8,
    index: u32,
}

pub(crate) fn decode(
    bytes: &[u8],
    payer: &BitcoinWallet,
    known: &[Wallet],
) -> Result<Decoded, TransactionError> {
    let psbt = Psbt::read(bytes)?;
    let transaction = &psbt.transaction;
    if !matches!(transaction.version.0, 1 | 2) {
        return Err(TransactionVersion);
    }
    let conflict_keys = conflict_keys(transaction)?;
    let coins: Vec<Coin> = (0u32..)
        .zip(transaction.input.iter().zip(&psbt.inputs))
        .map(|(input, (spending, map))| {
            let signed = field::SIGNATURES.into_iter().any(|kind| map.all(kind).next().is_some());
            if signed || !spending.script_sig.is_empty() {
                return Err(InputSigned { input });
            }
            coin(input, spending.previous_output, map, payer)
        })
        .collect::<Result<_, _>>()?;
    let outputs: Vec<Output> = (0u32..)
        .zip(transaction.output.iter().zip(&psbt.outputs))
        .map(|(output, (paid, map))| {
            let destination =
                destination(payer.network(), &paid.script_pubkey).ok_or(OutputScript { output })?;
            let own = owner(&paid.script_pubkey, map, payer.network(), known)?;
            let amount = Amount::from_base_units(u128::from(sats(paid)?));
            Ok(Output { destination, own, asset: PaidAsset::Native, amount })
        })
        .collect::<Result<_, _>>()?;
    let spent = coins.iter().try_fold(0, |sum: u64, coin| sum.checked_add(sats(&coin.spent).ok()?));
    let paid = transaction.output.iter().try_fold(0, |sum: u64, paid| sum.checked_add(sats(paid).ok()?));
    let (spent, paid) = spent.zip(paid).ok_or(AmountRange)?;
    let fee = spent.checked_sub(paid).ok_or(OutputsExceedInputs)?;
    Ok(Decoded {
        network: payer.network(),
        digest: transaction_digest(transaction, &coins),
        conflict_keys,
        outputs,
        fee: Amount::from_base_units(u128::from(fee)),
        fee_rate: fee_rate(fee, transaction, &coins),
        sighashes: sighashes(transaction, &coins)?,
    })
}

/// The spent outpoints, sorted; each only once.
fn conflict_keys(transaction: &Transaction) -> Result<Vec<ConflictKey>, TransactionError> {
    let mut keys = BTreeSet::new();
    for (input, spending) in (0u32..).zip(&transaction.input) {
        let OutPoint { txid, vout } = spending.previous_output;
        if !keys.insert(ConflictKey::Outpoint { txid: txid.to_byte_array(), vout }) {
            return Err(InputDuplicate { input });
        }
    }
    Ok(keys.into_iter().collect())
}

fn coin(
    input: u32,
    outpoint: OutPoint,
    map: &Map<'_>,
    payer: &BitcoinWallet,
) -> Result<Coin, TransactionError> {
    let claimed = map.single(field::WITNESS_UTXO)?;
    let claimed = claimed.map(deserialize::<TxOut>).transpose().map_err(|_| PsbtMalformed)?;
    let proved = match map.single(field::NON_WITNESS_UTXO)? {
        Some(previous) => Some(previous_output(input, outpoint, previous)?),
        None => None,
    };
    let spent = match (proved, claimed) {
        (Some(proved), Some(claimed)) if proved != claimed => return Err(WitnessUtxoDiffers { input }),
        (Some(proved), _) => proved,
        // A taproot signature covers the amounts and scripts of all inputs: under a false claim it is worth nothing.
        (None, Some(claimed)) if claimed.script_pubkey.is_p2tr() => claimed,
        (None, Some(_)) => return Err(PreviousMissing { input }),
        (None, None) => return Err(UtxoMissing { input }),
    };
    let kind = ScriptKind::of(&spent.script_pubkey).ok_or(InputForeign { input })?;
    if kind == ScriptKind::Tr && map.single(field::WITNESS_UTXO)?.is_none() {
        return Err(UtxoMissing { input });
    }
    let scheme = scheme(kind, map.single(field::SIGHASH_TYPE)?).ok_or(SighashType { input })?;
    let hints = hints(map, [field::DERIVATION, field::TAP_DERIVATION])?;
    let found = hints.into_iter().find_map(|index| Some((payer.find(&spent.script_pubkey, index)?, index)));
    let (descriptor, index) = found.ok_or(InputForeign { input })?;
    Ok(Coin { spent, scheme, descriptor, index })
}

/// The output that is spent, out of the whole transaction that made it.
fn previous_output(input: u32, outpoint: OutPoint, bytes: &[u8]) -> Result<TxOut, TransactionError> {
    let previous: Transaction = deserialize(bytes).map_err(|_| PsbtMalformed)?;
    if previous.compute_txid() != outpoint.txid {
        return Err(PreviousTxid { input });
    }
    let output = usize::try_from(outpoint.vout).ok().and_then(|vout| previous.output.into_iter().nth(vout));
    output.ok_or(PreviousOutput { input })
}

/// Only a signature over everything will do; with any other, outputs or inputs could be exchanged after it.
fn scheme(kind: ScriptKind, sighash_type: Option<&[u8]>) -> Option<Scheme> {
    match (kind, sighash_type) {
        (ScriptKind::Tr, None | Some([0, 0, 0, 0])) => Some(Scheme::SchnorrDefault),
        (ScriptKind::Tr, Some([1, 0, 0, 0])) => Some(Scheme::SchnorrAll),
        (ScriptKind::Pkh | ScriptKind::Wpkh, None | Some([1, 0, 0, 0])) => Some(Scheme::EcdsaAll),
        _ => None,
    }
}

/// The last steps of the derivations that a map names: the value of such a field ends with the index.
fn hints(map: &Map<'_>, kinds: [u8; 2]) -> Result<BTreeSet<u32>, TransactionError> {
    let fields = kinds.into_iter().flat_map(|kind| map.all(kind));
    let indexes = fields.filter_map(|(_, path)| path.last_chunk().copied().map(u32::from_le_bytes));
    let indexes: BTreeSet<u32> = indexes.collect();
    if indexes.len() > HINTS_MAX { Err(TooManyHints) } else { Ok(indexes) }
}

/// The known wallet that a script belongs to.
fn owner(
    script: &Script,
    map: &Map<'_>,
    network: Network,
    known: &[Wallet],
) -> Result<Option<usize>, TransactionError> {
    let hints = hints(map, [field::OUTPUT_DERIVATION, field::OUTPUT_TAP_DERIVATION])?;
    Ok(known.iter().position(|wallet| match wallet {
        Wallet::Bitcoin(wallet) if wallet.network() == network => {
            hints.iter().any(|index| wallet.find(script, *index).is_some())
        }
        _ => false,
    }))
}

fn sats(output: &TxOut) -> Result<u64, TransactionError> {
    if output.value > bitcoin::Amount::MAX_MONEY { Err(AmountRange) } else { Ok(output.value.to_sat()) }
}

fn transaction_digest(transaction: &Transaction, coins: &[Coin]) -> [u8; 32] {
    let spent = coins.iter().map(|coin| {
        let sighash_type: u32 = match coin.scheme {
            Scheme::SchnorrDefault => 0,
            Scheme::EcdsaAll | Scheme::SchnorrAll | Scheme::Evm => 1,
        };
        let mut bytes = serialize(&coin.spent);
        bytes.extend_from_slice(&sighash_type.to_le_bytes());
        bytes
    });
    digest::bitcoin_transaction(&serialize(transaction), spent)
}

/// Satoshi per 1,000 virtual bytes, rounded up, at the largest size that signatures can give the transaction.
fn fee_rate(fee: u64, transaction: &Transaction, coins: &[Coin]) -> u64 {
    let segwit = coins.iter().any(|coin| !coin.spent.script_pubkey.is_p2pkh());
    let signatures: usize = coins.iter().map(|coin| signature_weight(coin, segwit)).sum();
    let weight = transaction.base_size() * 4 + signatures + if segwit { 2 } else { 0 };
    let vsize = u128::try_from(weight.div_ceil(4)).unwrap_or(u128::MAX).max(1);
    u64::try_from((u128::from(fee) * 1_000).div_ceil(vsize)).unwrap_or(u64::MAX)
}

/// Weight units that a coin's signature adds: an ECDSA signature has up to 72 bytes with its type, a compressed key 33.
fn signature_weight(coin: &Coin, segwit: bool) -> usize {
    match coin.scheme {
        Scheme::SchnorrDefault => 1 + 1 + 64,
        Scheme::SchnorrAll => 1 + 1 + 65,
        Scheme::EcdsaAll | Scheme::Evm if coin.spent.script_pubkey.is_p2pkh() => {
            (1 + 72 + 1 + 33) * 4 + usize::from(segwit)
        }
        Scheme::EcdsaAll | Scheme::Evm => 1 + 1 + 72 + 1 + 33,
    }
}

fn sighashes(transaction: &Transaction, coins: &[Coin]) -> Result<Vec<Sighash>, TransactionError> {
    let spent: Vec<&TxOut> = coins.iter().map(|coin| &coin.spent).collect();
    let mut cache = SighashCache::new(transaction);
    let mut sighash = |place: usize, coin: &Coin| {
        let (script, value) = (&coin.spent.script_pubkey, coin.spent.value);
        let all = EcdsaSighashType::All;
        match coin.scheme {
            Scheme::SchnorrDefault | Scheme::SchnorrAll => {
                let kind = if coin.scheme == Scheme::SchnorrAll {
                    TapSighashType::All
                } else {
                    TapSighashType::Default
                };
                let hash = cache.taproot_key_spend_signature_hash(place, &Prevouts::All(&spent), kind);
                hash.ok().map(|hash| hash.to_byte_array())
            }
            Scheme::EcdsaAll | Scheme::Evm if script.is_p2pkh() => {
                let hash = cache.legacy_signature_hash(place, script, all.to_u32());
                hash.ok().map(|hash| hash.to_byte_array())
            }
            Scheme::EcdsaAll | Scheme::Evm => {
                let hash = cache.p2wpkh_signature_hash(place, script, value, all);
                hash.ok().map(|hash| hash.to_byte_array())
            }
        }
    };
    let mut each = (0u32..).zip(coins.iter().enumerate());
    each.try_fold(Vec::with_capacity(coins.len()), |mut list, (input, (place, coin))| {
        // The library fails only for an input that does not exist or a script of another kind; neither gets here.
        let message = sighash(place, coin).ok_or(PsbtMalformed)?;
        let Coin { scheme, descriptor, index, .. } = *coin;
        list.push(Sighash { input, message, scheme, descriptor, index });
        Ok(list)
    })
}
