//! Transactions as the edge would read them: what pays withdrawals, what moves coins, what chains and signers say of it.
//!
//! A digest is that of everything that a transaction does, so that the same content has the same digest.

use holdfast_decision::State;
use holdfast_decision::acts::Digest;
use holdfast_decision::command::{
    ChainStatus, Command, Observation, ProposeTransaction, ProposedOutput, ReceiptOutcome, RecordReceipt,
};
use holdfast_decision::event::Approval;
use holdfast_values::texts::{ExternalPayment, Nonce, Purpose, Seconds, TransferText};
use holdfast_values::{Amount, ConflictKey, Network, ReleaseId, Timestamp, TransferId, WithdrawalId, time};

use crate::world::{EXCHANGE, SIGNERS, destination, name, operator, signature, symbol};

/// The places of the wallets' own addresses: no customer's.
const OWN: u64 = 7_000_000;

pub(crate) fn units(units: u128) -> Amount {
    Amount::from_base_units(units)
}

/// A coin or a nonce of a wallet, by number.
pub(crate) fn key(network: Network, number: u64) -> ConflictKey {
    match network {
        Network::Bitcoin => ConflictKey::Outpoint {
            txid: *blake3::hash(&number.to_be_bytes()).as_bytes(),
            vout: number as u32,
        },
        _ => ConflictKey::Nonce { chain: 1, sender: [0xab; 20], nonce: number },
    }
}

pub(crate) fn keys(network: Network, numbers: &[u64]) -> Vec<ConflictKey> {
    let mut keys: Vec<_> = numbers.iter().map(|number| key(network, *number)).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

pub(crate) fn wallet_on(network: Network) -> &'static str {
    match network {
        Network::Bitcoin => "hot-btc",
        Network::Polygon => "hot-pol",
        _ => "hot-evm",
    }
}

/// An output to an own address of a wallet.
pub(crate) fn own(network: Network, wallet: &str, amount: u128) -> ProposedOutput {
    ProposedOutput {
        destination: destination(network, OWN),
        own: Some(name(wallet)),
        contract: None,
        amount: units(amount),
    }
}

/// An output to somebody.
pub(crate) fn output(network: Network, to: u64, amount: u128) -> ProposedOutput {
    ProposedOutput { destination: destination(network, to), own: None, contract: None, amount: units(amount) }
}

/// What an open withdrawal is owed. (In the tests' world a network counts as its asset does.)
pub(crate) fn owed(state: &State, id: WithdrawalId) -> Option<ProposedOutput> {
    let request = &state.withdrawal(id)?.request;
    let asset = &state.configuration().assets[usize::from(request.asset.0)];
    let on = asset.spec.on(request.destination.network())?;
    Some(ProposedOutput {
        destination: request.destination.clone(),
        own: None,
        contract: on.contract.clone(),
        amount: request.amount,
    })
}

/// A transaction that pays these withdrawals, with change where there is such a thing.
pub(crate) fn payment(
    state: &State,
    network: Network,
    ids: &[WithdrawalId],
    spends: &[u64],
) -> ProposeTransaction {
    let mut outputs: Vec<_> = ids.iter().filter_map(|id| owed(state, *id)).collect();
    if network == Network::Bitcoin {
        outputs.push(own(network, wallet_on(network), 12_345));
    }
    let mut made = bare(network, spends, outputs);
    made.withdrawals = ids.to_vec();
    made
}

/// A transaction that claims nothing yet.
pub(crate) fn bare(network: Network, spends: &[u64], outputs: Vec<ProposedOutput>) -> ProposeTransaction {
    let made = ProposeTransaction {
        release: ReleaseId(1),
        signer: name(SIGNERS[0]),
        wallet: name(wallet_on(network)),
        network,
        transaction: Digest([0; 32]),
        spends: keys(network, spends),
        outputs,
        outputs_digest: Digest([0; 32]),
        fee: units(10_000),
        withdrawals: Vec::new(),
        transfer: None,
        reader: 1,
    };
    sealed(made)
}

/// The digests of what it now does.
pub(crate) fn sealed(mut made: ProposeTransaction) -> ProposeTransaction {
    let outputs = minicbor::to_vec(&made.outputs).unwrap();
    made.outputs_digest = Digest(*blake3::hash(&outputs).as_bytes());
    let whole = minicbor::to_vec((&made.spends, &made.outputs, made.fee, made.network)).unwrap();
    made.transaction = Digest(*blake3::hash(&whole).as_bytes());
    made
}

/// The text of a transfer; what it pays outside is of BTC on Bitcoin and ETH elsewhere.
pub(crate) fn text(network: Network, number: u64, purpose: Purpose, at: Timestamp) -> TransferText {
    TransferText {
        exchange: EXCHANGE.parse().unwrap(),
        transfer: TransferId(u128::from(number)),
        wallet: name(wallet_on(network)),
        network,
        purpose,
        asset: symbol(if network == Network::Bitcoin { "BTC" } else { "ETH" }),
        external: None,
        fee_max: units(50_000),
        not_after: Seconds::floor(at.plus(time::HOUR)),
        nonce: Nonce([number as u8; 32]),
    }
}

pub(crate) fn external(network: Network, to: u64, amount: u128) -> ExternalPayment {
    let decimals = if network == Network::Bitcoin { 8 } else { 18 };
    ExternalPayment { destination: destination(network, to), decimals, amount: units(amount) }
}

/// A transfer's text with the signatures of these operators.
pub(crate) fn approval(text: &TransferText, signers: &[&str]) -> Option<Box<Approval>> {
    let signatures = signers.iter().map(|signer| signature(&operator(signer))).collect();
    Some(Box::new(Approval { text: text.to_string(), signatures }))
}

/// A transfer that does what its text says.
pub(crate) fn transfer(text: &TransferText, spends: &[u64], signers: &[&str]) -> ProposeTransaction {
    let network = text.network;
    let mut outputs = vec![own(network, text.wallet.as_str(), 500)];
    if let Some(said) = &text.external {
        outputs.push(ProposedOutput {
            destination: said.destination.clone(),
            own: None,
            contract: None,
            amount: said.amount,
        });
    }
    let mut made = bare(network, spends, outputs);
    made.transfer = approval(text, signers);
    made
}

pub(crate) fn propose(made: &ProposeTransaction) -> Command {
    Command::ProposeTransaction(Box::new(made.clone()))
}

/// Its id on the chain: another word for it than its digest.
pub(crate) fn chain_id(transaction: &Digest) -> [u8; 32] {
    *blake3::hash(&transaction.0).as_bytes()
}

pub(crate) fn seen(made: &ProposeTransaction, status: ChainStatus, confirmations: u32) -> Observation {
    Observation {
        wallet: made.wallet.clone(),
        network: made.network,
        chain_id: chain_id(&made.transaction),
        spends: made.spends.clone(),
        outputs: made.outputs_digest,
        status,
        confirmations,
    }
}

pub(crate) fn observe(observation: Observation) -> Command {
    Command::RecordObservation(Box::new(observation))
}

fn receipt(signer: &str, epoch: u64, counter: u64, what: ReceiptOutcome) -> RecordReceipt {
    RecordReceipt {
        signer: name(signer),
        exchange: EXCHANGE.to_owned(),
        epoch,
        counter,
        what,
        receipt: vec![7; 9],
    }
}

pub(crate) fn authorised(made: &ProposeTransaction, epoch: u64, counter: u64) -> RecordReceipt {
    let what = ReceiptOutcome::Authorised {
        wallet: made.wallet.clone(),
        network: made.network,
        transaction: made.transaction,
        spends: made.spends.clone(),
    };
    receipt(made.signer.as_str(), epoch, counter, what)
}

pub(crate) fn voided(signer: &str, epoch: u64, id: WithdrawalId, counter: u64) -> RecordReceipt {
    receipt(signer, epoch, counter, ReceiptOutcome::Voided { withdrawal: id })
}

pub(crate) fn record(receipt: RecordReceipt) -> Command {
    Command::RecordReceipt(Box::new(receipt))
}
