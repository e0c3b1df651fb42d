//! Transactions, releases and what chains and signers show of them, as JSON.
//!
//! Amounts of a network are integers of its own units, as decimal texts; ids on a chain are spelt as explorers do.

use holdfast_decision::acts::EpochStart;
use holdfast_decision::command::{
    ChainStatus, Observation, OperatorSignature, ProposeTransaction, ProposedOutput, ReceiptOutcome,
    RecordReceipt,
};
use holdfast_decision::configuration::{Configuration, SignerConfiguration, WalletChain, WalletSource};
use holdfast_decision::event::{
    Alarm, Approval, Dropped, RecoveredTransaction, SpendRecovered, TransactionReleased, TransferReleased,
};
use holdfast_values::{Amount, ConflictKey, Network, OperatorProof, WithdrawalId};
use serde_json::Value;

use super::json::{self, Object, hex};
use super::names::Names;

impl Object {
    /// An amount in a network's own units.
    #[must_use]
    pub(crate) fn units(self, key: &str, amount: Amount) -> Self {
        self.put(&format!("{key}_network_units"), amount.base_units().to_string())
    }

    /// An amount of a network's own coin: its units always, the decimal text where its decimals are known.
    #[must_use]
    pub(crate) fn coin(self, key: &str, amount: Amount, network: Network) -> Self {
        self.units(key, amount)
            .maybe(key, network.native_decimals().map(|decimals| amount.to_fixed(decimals)))
    }
}

/// A transaction's id on its chain as explorers write it: on Bitcoin with its bytes reversed, on EVM networks with `0x`.
pub(crate) fn id_on_chain(id: &[u8; 32], network: Network) -> String {
    if network.chain_id().is_some() {
        return format!("0x{}", hex(id));
    }
    let mut reversed = *id;
    reversed.reverse();
    hex(&reversed)
}

/// An observation that no node made, of a transaction that can never be, has no id.
pub(crate) fn seen_id(id: &[u8; 32]) -> Option<&[u8; 32]> {
    (*id != [0; 32]).then_some(id)
}

/// What an alarm speaks of: a signer knows a transaction's digest, a chain its id there.
pub(crate) fn alarm_subject(alarm: Alarm, transaction: &[u8; 32], network: Network) -> String {
    match alarm {
        Alarm::UnknownAuthorisation => hex(transaction),
        Alarm::UnknownSpend | Alarm::DeepReorganisation => id_on_chain(transaction, network),
    }
}

/// What a transaction spends, one text each.
pub(crate) fn spends(keys: &[ConflictKey]) -> Vec<String> {
    keys.iter().map(ToString::to_string).collect()
}

pub(super) fn withdrawals(ids: &[WithdrawalId]) -> Vec<String> {
    ids.iter().map(ToString::to_string).collect()
}

pub(super) fn signatures(signatures: &[OperatorSignature]) -> Vec<Value> {
    signatures
        .iter()
        .map(|signature| {
            Object::new()
                .put("operator", signature.operator.name.as_str())
                .put("public_key", signature.operator.public_key.to_string())
                .put("signature", proof(&signature.signature))
                .into()
        })
        .collect()
}

fn proof(proof: &OperatorProof) -> Value {
    match proof {
        OperatorProof::Ed25519(signature) => hex(signature).into(),
        OperatorProof::Passkey(by) => Object::new()
            .put("public_key", hex(&by.public_key))
            .put("client_data_json", hex(&by.client_data_json))
            .put("authenticator_data", hex(&by.authenticator_data))
            .put("signature", hex(&by.signature))
            .into(),
    }
}

pub(super) fn approval(approval: &Approval) -> Value {
    Object::new()
        .put("text", approval.text.as_str())
        .put("signatures", signatures(&approval.signatures))
        .into()
}

pub(super) fn proposed(object: Object, proposed: &ProposeTransaction, names: &dyn Names) -> Object {
    let outputs: Vec<Value> =
        proposed.outputs.iter().map(|output| proposed_output(output, proposed.network, names)).collect();
    object
        .put("release", proposed.release.to_string())
        .put("signer", proposed.signer.as_str())
        .put("wallet", proposed.wallet.as_str())
        .put("network", proposed.network.name())
        .put("transaction", hex(&proposed.transaction.0))
        .put("spends", spends(&proposed.spends))
        .put("outputs", outputs)
        .put("outputs_digest", hex(&proposed.outputs_digest.0))
        .coin("fee", proposed.fee, proposed.network)
        .put("withdrawals", withdrawals(&proposed.withdrawals))
        .put("transfer", proposed.transfer.as_deref().map(approval))
        .put("reader", proposed.reader)
}

fn proposed_output(output: &ProposedOutput, network: Network, names: &dyn Names) -> Value {
    let asset = names.asset_on(network, output.contract.as_deref());
    Object::new()
        .put("destination", json::destination(&output.destination))
        .put("own", output.own.as_ref().map(|wallet| wallet.as_str()))
        .put("contract", output.contract.as_deref())
        .maybe("asset", asset.map(|symbol| symbol.as_str()))
        .units("amount", output.amount)
        .into()
}

pub(super) fn receipt(object: Object, receipt: &RecordReceipt) -> Object {
    let what: Object = match &receipt.what {
        ReceiptOutcome::Authorised { wallet, network, transaction, spends: keys } => Object::of("authorised")
            .put("wallet", wallet.as_str())
            .put("network", network.name())
            .put("transaction", hex(&transaction.0))
            .put("spends", spends(keys)),
        ReceiptOutcome::Voided { withdrawal } => {
            Object::of("voided").put("withdrawal", withdrawal.to_string())
        }
    };
    object
        .put("signer", receipt.signer.as_str())
        .put("exchange", receipt.exchange.as_str())
        .put("epoch", receipt.epoch)
        .put("counter", receipt.counter)
        .put("what", Value::from(what))
        .put("receipt", hex(&receipt.receipt))
}

/// What a node says of a transaction, as reports carry it.
pub(crate) const fn chain_status_name(status: ChainStatus) -> &'static str {
    match status {
        ChainStatus::Pending => "pending",
        ChainStatus::Included => "included",
        ChainStatus::Failed => "failed",
        ChainStatus::Vanished => "vanished",
    }
}

pub(super) fn observation(object: Object, seen: &Observation) -> Object {
    object
        .put("wallet", seen.wallet.as_str())
        .put("network", seen.network.name())
        .put("chain_id", id_on_chain(&seen.chain_id, seen.network))
        .put("spends", spends(&seen.spends))
        .put("outputs", hex(&seen.outputs.0))
        .put("status", chain_status_name(seen.status))
        .put("confirmations", seen.confirmations)
}

pub(super) fn released(object: Object, released: &TransactionReleased, names: &dyn Names) -> Object {
    let transfer = released.transfer.as_deref().map(|transfer| transfer_released(transfer, names));
    object
        .put("release", released.release.to_string())
        .put("signer", released.signer.as_str())
        .put("wallet_index", released.wallet.0)
        .maybe("wallet", names.wallet(released.wallet))
        .put("network", released.network.name())
        .put("transaction", hex(&released.transaction.0))
        .put("spends", spends(&released.spends))
        .put("outputs", hex(&released.outputs.0))
        .coin("fee", released.fee, released.network)
        .put("withdrawals", withdrawals(&released.withdrawals))
        .put("transfer", transfer)
        .put("not_before", released.not_before.to_string())
        .put("expires", released.expires.to_string())
}

fn transfer_released(transfer: &TransferReleased, names: &dyn Names) -> Value {
    let external = transfer.external.map(|(asset, amount, usd)| {
        let known = names.asset(asset);
        Value::from(
            Object::new()
                .put("asset_index", asset.0)
                .maybe("asset", known.map(|(symbol, _)| symbol.as_str()))
                .amount("amount", amount, known.map(|(_, decimals)| decimals))
                .put("usd_cents", usd.0),
        )
    });
    Object::new()
        .put("transfer", transfer.transfer.to_string())
        .put("approval", approval(&transfer.approval))
        .put("external", external)
        .into()
}

pub(crate) fn dropped(dropped: &[Dropped]) -> Vec<Value> {
    dropped
        .iter()
        .map(|dropped| {
            Object::new()
                .put("withdrawal", dropped.withdrawal.to_string())
                .put("why", dropped.why.code())
                .put("sentence", dropped.why.sentence())
                .into()
        })
        .collect()
}

pub(super) fn spend_recovered(object: Object, spend: &SpendRecovered, names: &dyn Names) -> Object {
    let transactions: Vec<Value> = spend.transactions.iter().map(recovered_transaction).collect();
    object
        .put("withdrawal", spend.withdrawal.to_string())
        .put("intent", spend.intent.as_str())
        .put("fingerprint", spend.fingerprint.to_string())
        .put("signer", spend.signer.as_str())
        .put("wallet_index", spend.wallet.0)
        .maybe("wallet", names.wallet(spend.wallet))
        .put("network", spend.network.name())
        .put("transactions", transactions)
        .put("is_lost", spend.is_lost)
}

fn recovered_transaction(recovered: &RecoveredTransaction) -> Value {
    Object::new()
        .put("transaction", hex(&recovered.transaction.0))
        .put("spends", spends(&recovered.spends))
        .put("outputs", recovered.outputs.as_ref().map(|outputs| hex(&outputs.0)))
        .into()
}

pub(super) fn epoch_start(start: &EpochStart, names: &dyn Names) -> Value {
    let spends: Vec<Value> =
        start.spends.iter().map(|spend| spend_recovered(Object::new(), spend, names).into()).collect();
    Object::new()
        .put("epoch", start.epoch)
        .put("store", hex(&start.store))
        .put("counter", start.counter)
        .put("signer", start.signer.as_str())
        .put("spends", spends)
        .put("voided", withdrawals(&start.voided))
        .into()
}

/// A wallet's `chains`, absent from configurations of before there were any.
pub(super) fn wallet_chains(chains: &[WalletChain]) -> Vec<Value> {
    chains
        .iter()
        .map(|chain| {
            let source = match &chain.source {
                WalletSource::Descriptors(list) => Object::new().put("descriptors", list.clone()),
                WalletSource::Address(address) => Object::new().put("address", address.as_str()),
            };
            let bucket = Object::new().coin("size", chain.fee_bucket.size, chain.network).coin(
                "refill_per_hour",
                chain.fee_bucket.refill_per_hour,
                chain.network,
            );
            source
                .put("network", chain.network.name())
                .coin("fee_max", chain.fee_max, chain.network)
                .put("fee_bucket", Value::from(bucket))
                .put("confirmations_final", chain.confirmations_final)
                .into()
        })
        .collect()
}

/// The `signers`, absent from configurations of before there were any.
pub(super) fn signers(configuration: &Configuration) -> Option<Vec<Value>> {
    let signer = |signer: &SignerConfiguration| {
        Object::new().put("name", signer.name.as_str()).put("receipt_key", hex(&signer.receipt_key)).into()
    };
    configuration.signers.as_ref().map(|signers| signers.iter().map(signer).collect())
}
