//! EVM transactions: one payment each, with the fees of the moment.

use holdfast_transactions::{EvmFields, evm_parse_signed, evm_unsigned};

use super::book::Payment;
use super::coins::BuildError;
use super::config::Evm;
use super::{hex, unhex};

/// Gas of a plain transfer.
const PLAIN_GAS: u64 = 21_000;

/// Wei for each gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fees {
    /// The most, tip included.
    pub(crate) most: u128,
    /// On top of the base fee.
    pub(crate) tip: u128,
}

impl Fees {
    /// Enough for the base fee to double.
    pub(crate) const fn of(base: u128, tip: u128) -> Self {
        Self { most: base.saturating_mul(2).saturating_add(tip), tip }
    }

    /// Enough to replace a transaction with `old`: a quarter more of both, where nodes want a tenth.
    pub(crate) fn over(self, old: Self) -> Self {
        let quarter = |fee: u128| fee.saturating_add(fee.div_ceil(4)).saturating_add(1);
        Self { most: self.most.max(quarter(old.most)), tip: self.tip.max(quarter(old.tip)) }
    }
}

/// Unsigned bytes, and what they may cost. Without a payment the account pays itself nothing: that cancels a nonce.
pub(crate) fn build(
    wallet: &Evm,
    nonce: u64,
    payment: Option<&Payment>,
    fees: Fees,
    fee_max: u128,
) -> Result<(Vec<u8>, u128), BuildError> {
    let account = |text: &str| -> Result<[u8; 20], BuildError> {
        let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
        bytes.ok_or_else(|| BuildError::Address(text.to_owned()))
    };
    let (to, value, data, gas_limit) = match payment {
        None => (account(wallet.address.address())?, 0, Vec::new(), PLAIN_GAS),
        Some(Payment { contract: None, address, amount, .. }) => {
            (account(address)?, *amount, Vec::new(), PLAIN_GAS)
        }
        Some(Payment { contract: Some(contract), address, amount, .. }) => {
            let mut data = vec![0xa9, 0x05, 0x9c, 0xbb];
            data.extend_from_slice(&[0; 12]);
            data.extend_from_slice(&account(address)?);
            data.extend_from_slice(&[0; 16]);
            data.extend_from_slice(&amount.to_be_bytes());
            (account(contract)?, 0, data, wallet.token_gas)
        }
    };
    let fee = fees.most.saturating_mul(u128::from(gas_limit));
    if fee > fee_max {
        return Err(BuildError::FeeMax { fee, max: fee_max });
    }
    let fields = EvmFields {
        chain_id: wallet.chain_id,
        nonce,
        max_priority_fee_per_gas: fees.tip,
        max_fee_per_gas: fees.most,
        gas_limit,
        to,
        value,
        data,
    };
    Ok((evm_unsigned(&fields), fee))
}

/// The hash that a signed transaction has on the chain.
pub(crate) fn id_of(signed: &[u8]) -> Option<String> {
    evm_parse_signed(signed).ok().map(|(_, _, hash)| format!("0x{}", hex(&hash)))
}
