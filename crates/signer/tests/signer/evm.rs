//! The bytes pay exactly what the texts say, or they are refused: EVM networks.

use holdfast_signer::Signer;
use holdfast_transactions::EvmFields;
use holdfast_values::{Destination, Network, WithdrawalText};

use crate::exchange::{EVM_CUSTOMER, EVM_HOT, Exchange, USDC, USDT, evm, evm_bytes, token_fields};

fn tether(exchange: &Exchange, units: u128) -> WithdrawalText {
    let to = Destination::parse(Network::Ethereum, EVM_CUSTOMER, None).unwrap();
    exchange.intent_of("USDT", to, 6, units)
}

fn ask(
    exchange: &Exchange,
    signer: &mut Signer,
    intent: &WithdrawalText,
    fields: &EvmFields,
) -> &'static str {
    let transaction = evm(fields);
    let release = exchange.release_on(Network::Ethereum, "eth-hot", &transaction, &[intent.clone()]);
    exchange.ask(signer, &release, &transaction).map_or_else(|error| error.code(), |_| "signed")
}

#[test]
fn a_token_payment_is_exactly_a_transfer_of_the_pinned_contract() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intent = tether(&exchange, 5_000_000);
    let good = token_fields(1, USDT, EVM_CUSTOMER, 5_000_000);
    let mut refused = |change: &dyn Fn(&mut EvmFields)| {
        let mut fields = good.clone();
        change(&mut fields);
        ask(&exchange, &mut signer, &intent, &fields)
    };
    assert_eq!(refused(&|fields| fields.to = evm_bytes(USDC)), "payment_missing", "another contract");
    assert_eq!(refused(&|fields| fields.value = 1), "value_with_calldata");
    assert_eq!(refused(&|fields| fields.data.push(0)), "calldata_unknown", "one byte longer");
    assert_eq!(refused(&|fields| fields.data.truncate(67)), "calldata_unknown", "one byte shorter");
    assert_eq!(refused(&|fields| fields.data[4] = 1), "calldata_unknown", "dirt above the address");
    assert_eq!(
        refused(&|fields| fields.data[..4].copy_from_slice(&[0x09, 0x5e, 0xa7, 0xb3])),
        "calldata_unknown",
        "approve"
    );
    assert_eq!(refused(&|fields| fields.data[36] = 1), "value_range", "over 128 bits");
    assert_eq!(refused(&|fields| fields.chain_id = 56), "chain_id");
    assert_eq!(refused(&|fields| fields.gas_limit = 1_900_000), "fee_over_bound", "0.057 ETH");
    assert_eq!(refused(&|fields| fields.max_fee_per_gas = 500_000_000_001), "fee_over_bound");
    assert_eq!(
        refused(&|fields| (fields.max_fee_per_gas, fields.gas_limit) = (500_000_000_001, 60_000)),
        "fee_rate_over_bound"
    );
    assert_eq!(refused(&|fields| fields.data[67] ^= 1), "payment_missing", "another amount");
    assert_eq!(refused(&|fields| fields.data[35] ^= 1), "payment_missing", "another receiver");
    assert_eq!(ask(&exchange, &mut signer, &intent, &good), "signed");
}

#[test]
fn an_asset_that_the_text_names_wrongly_is_refused() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let to = Destination::parse(Network::Ethereum, EVM_CUSTOMER, None).unwrap();
    let coin = exchange.intent_of("ETH", to.clone(), 18, 5_000_000);
    let token = token_fields(1, USDT, EVM_CUSTOMER, 5_000_000);
    assert_eq!(ask(&exchange, &mut signer, &coin, &token), "payment_missing", "a token is no ether");
    let scam = exchange.intent_of("USDC", to.clone(), 6, 5_000_000);
    assert_eq!(ask(&exchange, &mut signer, &scam, &token), "asset_unpinned");
    let finer = exchange.intent_of("USDT", to, 18, 5_000_000);
    assert_eq!(ask(&exchange, &mut signer, &finer, &token), "decimals_differ");
}

#[test]
fn a_nonce_is_replaced_but_not_doubled() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let intent = tether(&exchange, 5_000_000);
    let first = token_fields(7, USDT, EVM_CUSTOMER, 5_000_000);
    assert_eq!(ask(&exchange, &mut signer, &intent, &first), "signed");
    let elsewhere = token_fields(8, USDT, EVM_CUSTOMER, 5_000_000);
    assert_eq!(
        ask(&exchange, &mut signer, &intent, &elsewhere),
        "conflict_missing",
        "another nonce pays twice"
    );
    let mut faster = first.clone();
    faster.max_fee_per_gas *= 2;
    assert_eq!(ask(&exchange, &mut signer, &intent, &faster), "signed");
    // The nonce is used up by a payment of nothing to the wallet itself.
    let cancel = EvmFields { to: evm_bytes(EVM_HOT), data: vec![], gas_limit: 21_000, ..faster };
    let mut text = exchange.transfer(None);
    text.wallet = "eth-hot".parse().unwrap();
    text.network = Network::Ethereum;
    text.asset = "ETH".parse().unwrap();
    text.purpose = holdfast_values::texts::Purpose::Cancel;
    text.fee_max = holdfast_values::Amount::from_base_units(2_000_000_000_000_000);
    let cancel = evm(&cancel);
    let release = exchange.transfer_release(&cancel, &text, &[]);
    assert!(exchange.ask(&mut signer, &release, &cancel).is_ok());
}
