//! Signatures, over nothing but [`Sighashes`]: only the signer makes those, and only for what it authorised and recorded.

use bitcoin::hashes::Hash as _;
use bitcoin::key::{Keypair, TapTweak as _};
use bitcoin::secp256k1::Message;
use bitcoin::{CompressedPublicKey, Psbt, TapSighash, TapSighashType, Witness};
use holdfast_signer::Sighashes;
use holdfast_transactions::{Scheme, Sighash, evm_signed};
use holdfast_values::network::Family;

use super::config::KeyWallet;
use super::secret::Secret;

/// Why nothing was signed, although the signer said yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SignError {
    #[error("the transaction's bytes do not fit what the signer authorised")]
    Bytes,
    #[error("the signer asks for a key that this wallet does not have")]
    Key,
    #[error("no signature fits: ask again")]
    Signature,
}

/// The final transaction: `bytes` as the signer saw them, with a signature for each of its sighashes.
///
/// The bytes are not believed: whatever else they say, a signature is worth something only for what the signer hashed.
pub(crate) fn sign(
    secret: &Secret,
    wallet: &KeyWallet,
    sighashes: &Sighashes,
    bytes: &[u8],
) -> Result<Vec<u8>, SignError> {
    if wallet.network.family() == Family::Evm {
        evm(secret, wallet, sighashes, bytes)
    } else {
        bitcoin(secret, wallet, sighashes, bytes)
    }
}

fn evm(
    secret: &Secret,
    wallet: &KeyWallet,
    sighashes: &Sighashes,
    bytes: &[u8],
) -> Result<Vec<u8>, SignError> {
    let [Sighash { message, scheme: Scheme::Evm, .. }] = sighashes.each() else {
        return Err(SignError::Bytes);
    };
    let key = secret.evm(wallet).ok_or(SignError::Key)?;
    let signature = secret.secp().sign_ecdsa_recoverable(&Message::from_digest(*message), &key);
    let (id, compact) = signature.serialize_compact();
    let halves = compact.split_first_chunk::<32>().and_then(|(r, s)| Some((*r, *s.first_chunk::<32>()?)));
    let (r, s) = halves.ok_or(SignError::Signature)?;
    evm_signed(bytes, id.to_i32() == 1, r, s).ok_or(SignError::Bytes)
}

fn bitcoin(
    secret: &Secret,
    wallet: &KeyWallet,
    sighashes: &Sighashes,
    bytes: &[u8],
) -> Result<Vec<u8>, SignError> {
    let psbt = Psbt::deserialize(bytes).map_err(|_| SignError::Bytes)?;
    let mut transaction = psbt.unsigned_tx;
    if transaction.input.len() != sighashes.each().len() {
        return Err(SignError::Bytes);
    }
    for sighash in sighashes.each() {
        let key = secret.bitcoin(wallet, sighash.descriptor, sighash.index).ok_or(SignError::Key)?;
        let message = Message::from_digest(sighash.message);
        let witness = match sighash.scheme {
            Scheme::EcdsaAll => {
                let signature = secret.secp().sign_ecdsa(&message, &key);
                let public = CompressedPublicKey(key.public_key(secret.secp()));
                Witness::p2wpkh(&bitcoin::ecdsa::Signature::sighash_all(signature), &public.0)
            }
            Scheme::SchnorrDefault | Scheme::SchnorrAll => {
                let pair = Keypair::from_secret_key(secret.secp(), &key).tap_tweak(secret.secp(), None);
                let message = Message::from(TapSighash::from_byte_array(sighash.message));
                // Without fresh randomness, so that the same transaction is signed the same.
                let signature = secret.secp().sign_schnorr_no_aux_rand(&message, &pair.to_keypair());
                let all = sighash.scheme == Scheme::SchnorrAll;
                let sighash_type = if all { TapSighashType::All } else { TapSighashType::Default };
                Witness::p2tr_key_spend(&bitcoin::taproot::Signature { signature, sighash_type })
            }
            Scheme::Evm => return Err(SignError::Bytes),
        };
        let input = usize::try_from(sighash.input).ok().and_then(|input| transaction.input.get_mut(input));
        input.ok_or(SignError::Bytes)?.witness = witness;
    }
    Ok(bitcoin::consensus::encode::serialize(&transaction))
}
