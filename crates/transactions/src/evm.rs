//! EVM networks: unsigned EIP-1559 transactions that pay the network's coin or an ERC-20 token, and nothing else.
//!
//! Fields are read leniently, checked by name, and then printed again: bytes that are not exactly what printing gives are
//! no transaction here. So there is one spelling, whatever the decoder of the library would let through.

use alloy_rlp::{Decodable, Encodable, Header};
use bitcoin::secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use bitcoin::secp256k1::{Message, Secp256k1};
use holdfast_values::{Amount, ConflictKey, Destination, Network};
use sha3::{Digest as _, Keccak256};

use crate::TransactionError::{self, *};
use crate::wallet::EvmWallet;
use crate::{Decoded, EVM_BYTES_MAX, Output, PaidAsset, Scheme, Sighash, Wallet};

/// EIP-2718's number of EIP-1559 transactions.
const TYPE: u8 = 2;
/// `transfer(address,uint256)`.
const TRANSFER: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];
/// What a transaction costs at least, and more than a payment of a token ever needs.
const GAS_LIMITS: core::ops::RangeInclusive<u64> = 21_000..=30_000_000;

/// An EIP-1559 transaction without its (empty) access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvmFields {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The sender's nonce.
    pub nonce: u64,
    /// The tip, in wei per gas.
    pub max_priority_fee_per_gas: u128,
    /// The most that is paid, tip included, in wei per gas.
    pub max_fee_per_gas: u128,
    /// The most gas.
    pub gas_limit: u64,
    /// Who is paid or called.
    pub to: [u8; 20],
    /// Wei.
    pub value: u128,
    /// Calldata.
    pub data: Vec<u8>,
}

impl EvmFields {
    fn encode_to(&self, payload: &mut Vec<u8>) {
        self.chain_id.encode(payload);
        self.nonce.encode(payload);
        self.max_priority_fee_per_gas.encode(payload);
        self.max_fee_per_gas.encode(payload);
        self.gas_limit.encode(payload);
        self.to.as_slice().encode(payload);
        self.value.encode(payload);
        self.data.as_slice().encode(payload);
        Header { list: true, payload_length: 0 }.encode(payload);
    }

    /// Reads the fields and leaves what stands behind the access list.
    fn decode_from(rest: &mut &[u8]) -> Result<Self, TransactionError> {
        fn read<T: Decodable>(rest: &mut &[u8]) -> Result<T, TransactionError> {
            T::decode(rest).map_err(|_| EvmMalformed)
        }
        let chain_id = read(rest)?;
        let nonce = read(rest)?;
        let max_priority_fee_per_gas = read(rest)?;
        let max_fee_per_gas = read(rest)?;
        let gas_limit = read(rest)?;
        let to = match bytes(rest)? {
            [] => return Err(Creation),
            to => to.try_into().map_err(|_| EvmMalformed)?,
        };
        let value = number(bytes(rest)?)?;
        let data = bytes(rest)?.to_vec();
        let list = Header::decode(rest).map_err(|_| EvmMalformed)?;
        match list {
            Header { list: true, payload_length: 0 } => {}
            Header { list: true, .. } => return Err(AccessList),
            _ => return Err(EvmMalformed),
        }
        Ok(Self { chain_id, nonce, max_priority_fee_per_gas, max_fee_per_gas, gas_limit, to, value, data })
    }
}

fn bytes<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], TransactionError> {
    Header::decode_bytes(rest, false).map_err(|_| EvmMalformed)
}

/// A number of up to 256 bits that must fit 128.
fn number(bytes: &[u8]) -> Result<u128, TransactionError> {
    if bytes.len() > 32 || bytes.first() == Some(&0) {
        return Err(EvmMalformed);
    }
    let mut words = [0; 16];
    let place = words.len().checked_sub(bytes.len()).ok_or(ValueRange)?;
    words.iter_mut().skip(place).zip(bytes).for_each(|(word, byte)| *word = *byte);
    Ok(u128::from_be_bytes(words))
}

/// The payload of the one list that follows the type byte.
fn list(transaction: &[u8]) -> Result<&[u8], TransactionError> {
    if transaction.len() > EVM_BYTES_MAX {
        return Err(TooLong);
    }
    let Some((&TYPE, mut rest)) = transaction.split_first() else { return Err(EvmType) };
    let payload = match Header::decode(&mut rest) {
        Ok(Header { list: true, payload_length }) => rest.split_at_checked(payload_length),
        _ => None,
    };
    match payload {
        Some((payload, [])) => Ok(payload),
        Some(_) => Err(TrailingBytes),
        None => Err(EvmMalformed),
    }
}

fn with_type(payload: &[u8]) -> Vec<u8> {
    let mut transaction = vec![TYPE];
    Header { list: true, payload_length: payload.len() }.encode(&mut transaction);
    transaction.extend_from_slice(payload);
    transaction
}

/// The bytes that are hashed and signed: 0x02 and the RLP of all fields with an empty access list.
pub fn evm_unsigned(fields: &EvmFields) -> Vec<u8> {
    let mut payload = Vec::new();
    fields.encode_to(&mut payload);
    with_type(&payload)
}

fn parse_unsigned(transaction: &[u8]) -> Result<EvmFields, TransactionError> {
    let mut rest = list(transaction)?;
    let fields = EvmFields::decode_from(&mut rest)?;
    if evm_unsigned(&fields) == transaction { Ok(fields) } else { Err(EvmMalformed) }
}

fn print_signed(fields: &EvmFields, y_parity: bool, [r, s]: [[u8; 32]; 2]) -> Vec<u8> {
    let mut payload = Vec::new();
    fields.encode_to(&mut payload);
    y_parity.encode(&mut payload);
    for number in [r, s] {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        number.get(zeros..).unwrap_or_default().encode(&mut payload);
    }
    with_type(&payload)
}

/// The final bytes of an unsigned transaction and a signature; `None` if the transaction is none, or the signature has high
/// s or belongs to no key.
pub fn evm_signed(unsigned: &[u8], y_parity: bool, r: [u8; 32], s: [u8; 32]) -> Option<Vec<u8>> {
    let signed = print_signed(&parse_unsigned(unsigned).ok()?, y_parity, [r, s]);
    evm_parse_signed(&signed).ok().map(|_| signed)
}

/// What was signed (the bytes that [`evm_unsigned`] gives), whose signature it is, and the transaction's hash.
pub type SignedParts = (Vec<u8>, [u8; 20], [u8; 32]);

/// Takes a signed transaction apart: the bytes that were signed, whose signature it is, and the hash by which a chain knows it.
/// Signatures with high s are refused (EIP-2).
pub fn evm_parse_signed(transaction: &[u8]) -> Result<SignedParts, TransactionError> {
    let mut rest = list(transaction)?;
    let fields = EvmFields::decode_from(&mut rest)?;
    let y_parity = bool::decode(&mut rest).map_err(|_| EvmMalformed)?;
    let [r, s] = [signature_number(&mut rest)?, signature_number(&mut rest)?];
    if print_signed(&fields, y_parity, [r, s]) != transaction {
        return Err(EvmMalformed);
    }
    let unsigned = evm_unsigned(&fields);
    let sender = recover(keccak(&unsigned), y_parity, [r, s]).ok_or(SignatureInvalid)?;
    Ok((unsigned, sender, keccak(transaction)))
}

fn signature_number(rest: &mut &[u8]) -> Result<[u8; 32], TransactionError> {
    let bytes = bytes(rest)?;
    let mut number = [0; 32];
    let place = number.len().checked_sub(bytes.len()).ok_or(SignatureInvalid)?;
    number.iter_mut().skip(place).zip(bytes).for_each(|(word, byte)| *word = *byte);
    Ok(number)
}

fn recover(message: [u8; 32], y_parity: bool, [r, s]: [[u8; 32]; 2]) -> Option<[u8; 20]> {
    let id = RecoveryId::from_i32(i32::from(y_parity)).ok()?;
    let signature = RecoverableSignature::from_compact([r, s].as_flattened(), id).ok()?;
    let standard = signature.to_standard();
    let mut low = standard;
    low.normalize_s();
    if low != standard {
        return None;
    }
    let key =
        Secp256k1::verification_only().recover_ecdsa(&Message::from_digest(message), &signature).ok()?;
    let [_, point @ ..] = key.serialize_uncompressed();
    keccak(&point).last_chunk().copied()
}

fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

/// The 20 bytes of an EVM destination.
pub(crate) fn address_bytes(destination: &Destination) -> Option<[u8; 20]> {
    let digits = destination.address().strip_prefix("0x")?.as_bytes();
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let mut bytes = [0; 20];
    if pairs.len() != bytes.len() {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let digit = |letter: u8| char::from(letter).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn destination(network: Network, address: [u8; 20]) -> Result<Destination, TransactionError> {
    let digits: String = address.iter().map(|byte| format!("{byte:02x}")).collect();
    Destination::parse(network, &format!("0x{digits}"), None).map_err(|_| DestinationInvalid)
}

pub(crate) fn decode(
    transaction: &[u8],
    payer: &EvmWallet,
    known: &[Wallet],
) -> Result<Decoded, TransactionError> {
    let fields = parse_unsigned(transaction)?;
    let network = payer.destination.network();
    if fields.chain_id != payer.chain_id {
        return Err(ChainId);
    }
    if fields.nonce == u64::MAX {
        return Err(NonceRange);
    }
    if fields.max_priority_fee_per_gas > fields.max_fee_per_gas {
        return Err(FeeOrder);
    }
    if !GAS_LIMITS.contains(&fields.gas_limit) {
        return Err(GasLimit);
    }
    let fee = fields.max_fee_per_gas.checked_mul(u128::from(fields.gas_limit)).ok_or(FeeRange)?;
    let (receiver, asset, amount) = payment(&fields, payer)?;
    let own = known.iter().position(|wallet| match wallet {
        Wallet::Evm(wallet) => wallet.destination.network() == network && wallet.address == receiver,
        Wallet::Bitcoin(_) => false,
    });
    let destination = destination(network, receiver)?;
    let (chain, sender, nonce) = (fields.chain_id, payer.address, fields.nonce);
    let message = keccak(transaction);
    Ok(Decoded {
        network,
        digest: message,
        conflict_keys: vec![ConflictKey::Nonce { chain, sender, nonce }],
        outputs: vec![Output { destination, own, asset, amount: Amount::from_base_units(amount) }],
        fee: Amount::from_base_units(fee),
        fee_rate: u64::try_from(fields.max_fee_per_gas).unwrap_or(u64::MAX),
        sighashes: vec![Sighash { input: 0, message, scheme: Scheme::Evm, descriptor: 0, index: 0 }],
    })
}

/// Who gets how much of what.
fn payment(fields: &EvmFields, payer: &EvmWallet) -> Result<([u8; 20], PaidAsset, u128), TransactionError> {
    let Some((selector, arguments)) = fields.data.split_first_chunk() else {
        // One to three bytes call the fallback of a contract: that is no payment either.
        return match fields.data.is_empty() {
            true if fields.value == 0 && fields.to != payer.address => Err(ValueZero),
            true => Ok((fields.to, PaidAsset::Native, fields.value)),
            false => Err(CalldataUnknown),
        };
    };
    let arguments: &[u8; 64] = arguments.try_into().map_err(|_| CalldataUnknown)?;
    let (receiver, amount) = arguments.split_at(32);
    let (padding, receiver) = receiver.split_last_chunk::<20>().ok_or(CalldataUnknown)?;
    if *selector != TRANSFER || padding.iter().any(|byte| *byte != 0) {
        return Err(CalldataUnknown);
    }
    if fields.value != 0 {
        return Err(ValueWithCalldata);
    }
    let (high, low) = amount.split_last_chunk::<16>().ok_or(CalldataUnknown)?;
    if high.iter().any(|byte| *byte != 0) {
        return Err(ValueRange);
    }
    let contract = destination(payer.destination.network(), fields.to)?;
    Ok((*receiver, PaidAsset::Contract(contract.address().into()), u128::from_be_bytes(*low)))
}
