//! Why bytes are no transaction that can be signed, and why a text is no wallet. No error repeats what it refuses.

use holdfast_values::AddressError;

use crate::wallet::{DESCRIPTOR_LEN_MAX, DESCRIPTORS_MAX};
use crate::{EVM_BYTES_MAX, INPUTS_MAX, OUTPUTS_MAX, PSBT_BYTES_MAX};

macro_rules! errors {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident $( { $($field:ident : $type:ty),* } )? $code:literal $text:literal),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum $name {
            $( $(#[$doc])* #[error($text)] $variant $( {
                $(
                    #[doc = concat!("The ", stringify!($field), " that it is about.")]
                    $field: $type
                ),*
            } )? ),*
        }

        impl $name {
            /// The stable code of this refusal.
            pub const fn code(self) -> &'static str {
                match self { $( Self::$variant { .. } => $code ),* }
            }
        }
    };
}

errors!(
    /// Why bytes are not signed.
    TransactionError {
        /// The paying wallet is not among the known.
        PayerUnknown "payer_unknown" "the paying wallet is not among the known wallets",
        /// Longer than anything that is read.
        TooLong "transaction_too_long" "the transaction is too long: a PSBT has at most {PSBT_BYTES_MAX} bytes, an EVM transaction {EVM_BYTES_MAX}",
        /// Bytes after the end.
        TrailingBytes "trailing_bytes" "bytes follow the end of the transaction: send exactly its bytes",

        /// Not a PSBT.
        PsbtMalformed "psbt_malformed" "the bytes are no partially signed Bitcoin transaction (BIP-174), raw, not in base64",
        /// Version 2, or another.
        PsbtVersion "psbt_version" "only version 0 of PSBT is understood (BIP-174): convert it first",
        /// A transaction version without meaning.
        TransactionVersion "transaction_version" "the transaction must have version 1 or 2",
        /// Nothing is spent.
        NoInputs "no_inputs" "the transaction spends nothing",
        /// Nothing is paid.
        NoOutputs "no_outputs" "the transaction pays nothing but a fee",
        /// Too many inputs.
        TooManyInputs "too_many_inputs" "the transaction has more than {INPUTS_MAX} inputs: split it",
        /// Too many outputs.
        TooManyOutputs "too_many_outputs" "the transaction has more than {OUTPUTS_MAX} outputs: split it",
        /// More derivation hints than a single key has.
        TooManyHints "too_many_hints" "an input or output names more derivations than a wallet with single keys has: leave the foreign ones out",
        /// More fields than any PSBT of this size needs.
        TooManyFields "too_many_fields" "the PSBT has too many fields: leave out what signing does not need",
        /// One coin spent twice.
        InputDuplicate { input: u32 } "input_duplicate" "input {input} spends the same output as one before it",
        /// A signature is there already.
        InputSigned { input: u32 } "input_signed" "input {input} carries a signature already: send the PSBT as it was before signing",
        /// The previous transaction is missing.
        PreviousMissing { input: u32 } "previous_transaction_missing" "input {input} needs its whole previous transaction (non_witness_utxo): without it the amount is only a claim",
        /// The previous transaction has another id.
        PreviousTxid { input: u32 } "previous_transaction_txid" "the previous transaction of input {input} has another id than the one that the input spends",
        /// The previous transaction has no such output.
        PreviousOutput { input: u32 } "previous_transaction_output" "the previous transaction of input {input} has no output of that number",
        /// The spent output is not given.
        UtxoMissing { input: u32 } "utxo_missing" "input {input} needs the output that it spends (witness_utxo for taproot, otherwise non_witness_utxo)",
        /// Two different claims about the spent output.
        WitnessUtxoDiffers { input: u32 } "witness_utxo_differs" "the witness_utxo of input {input} differs from the output in its previous transaction",
        /// Not a coin of the paying wallet.
        InputForeign { input: u32 } "input_foreign" "input {input} is not derived from the descriptors of the paying wallet at the index that its derivation names",
        /// Another sighash type than ALL or DEFAULT.
        SighashType { input: u32 } "sighash_type" "input {input} asks for another sighash type than ALL (or DEFAULT, for taproot)",
        /// An amount that cannot exist.
        AmountRange "amount_range" "an input or output has more than 21 million bitcoin",
        /// More is paid than spent.
        OutputsExceedInputs "outputs_exceed_inputs" "the outputs are worth more than the inputs",
        /// An output that is no address.
        OutputScript { output: u32 } "output_script" "output {output} pays no address that can be paid (OP_RETURN, bare script, unknown witness version)",

        /// Not an EIP-1559 transaction.
        EvmType "evm_type" "the first byte must be 0x02: only EIP-1559 transactions are understood",
        /// Not what the encoding of such a transaction gives.
        EvmMalformed "evm_malformed" "the bytes are no unsigned EIP-1559 transaction in canonical RLP",
        /// Another chain.
        ChainId "chain_id" "the chain id is not that of the paying wallet's network",
        /// No recipient.
        Creation "contract_creation" "the transaction creates a contract, which is never released",
        /// Storage is accessed in advance.
        AccessList "access_list" "the access list must be empty",
        /// The tip is more than the whole.
        FeeOrder "fee_order" "the priority fee per gas is more than the maximum fee per gas",
        /// Gas out of bounds.
        GasLimit "gas_limit" "the gas limit must lie between 21,000 and 30,000,000",
        /// A nonce that no transaction can have.
        NonceRange "nonce_range" "the nonce is over the largest that an account can use (EIP-2681)",
        /// A fee that cannot be represented.
        FeeRange "fee_range" "the fee does not fit 128 bits",
        /// A value or amount that cannot be represented.
        ValueRange "value_range" "the value or token amount does not fit 128 bits",
        /// Nothing paid to somebody else.
        ValueZero "value_zero" "a payment of nothing may only go to the paying address itself, to cancel a nonce",
        /// A token payment that also moves coins.
        ValueWithCalldata "value_with_calldata" "a token payment must have the value 0",
        /// Calldata that is not exactly a token transfer.
        CalldataUnknown "calldata_unknown" "the calldata is not exactly transfer(address,uint256): nothing else is understood",
        /// Nobody is at the address.
        DestinationInvalid "destination_invalid" "the recipient or the token contract is no address that can be paid",
        /// A signature that nobody can have made, or one with high s.
        SignatureInvalid "signature_invalid" "the signature is malformed, has high s, or belongs to no key",
    }
);

errors!(
    /// Why a wallet is not accepted.
    WalletError {
        /// Another family of networks.
        Network "wallet_network" "the wallet's network must be a Bitcoin network for descriptors, an EVM network for an address",
        /// None or too many.
        Count "descriptor_count" "a wallet has between 1 and {DESCRIPTORS_MAX} descriptors",
        /// Longer than anything that is read.
        DescriptorLength "descriptor_length" "a descriptor has at most {DESCRIPTOR_LEN_MAX} characters",
        /// Private keys.
        DescriptorPrivate "descriptor_private" "the descriptor holds a private key: write it with the extended public key, and treat this key as exposed",
        /// Not a descriptor, or its checksum does not fit.
        DescriptorMalformed "descriptor_malformed" "the text is no output descriptor, or its checksum does not fit",
        /// A form that is not supported.
        DescriptorKind "descriptor_kind" "a descriptor must be wpkh(KEY), tr(KEY) without scripts, or pkh(KEY)",
        /// A key that is no range.
        DescriptorRange "descriptor_range" "the key must be an extended public key that ends in /*, without hardened steps behind it; write one descriptor for each branch instead of <0;1>",
        /// Keys of another network.
        DescriptorNetwork "descriptor_network" "the extended public key is of another network: xpub on bitcoin, tpub on its test networks",
        /// The same descriptor twice.
        DescriptorDuplicate "descriptor_duplicate" "the wallet has this descriptor already",
        /// Not an address.
        Address { error: AddressError } "wallet_address" "{error}",
    }
);
