//! A whole block of real transactions: 574200 of Bitcoin's main network, May 2019.

use bitcoin::consensus::{deserialize, encode::Encodable};
use bitcoin::hashes::{Hash as _, sha256d};
use bitcoin::{Block, Transaction, TxMerkleNode};
use holdfast_values::{AddressKind, Network};

use super::support::script;

/// The id by its definition: double SHA-256 of version, inputs, outputs and lock time.
fn txid(transaction: &Transaction) -> sha256d::Hash {
    let mut bytes = Vec::new();
    transaction.version.consensus_encode(&mut bytes).unwrap();
    transaction.input.consensus_encode(&mut bytes).unwrap();
    transaction.output.consensus_encode(&mut bytes).unwrap();
    transaction.lock_time.consensus_encode(&mut bytes).unwrap();
    sha256d::Hash::hash(&bytes)
}

#[test]
fn addresses_of_a_real_block_are_read_and_lead_back_to_their_scripts() {
    let name = "../shared/data/blocks/bitcoin-574200.blk";
    let path = format!("{}/../../{name}", env!("CARGO_MANIFEST_DIR"));
    let Ok(bytes) = std::fs::read(path) else {
        eprintln!("skipped: {name} is not here");
        return;
    };
    let block: Block = deserialize(&bytes).unwrap();
    assert_eq!(block.txdata.len(), 3_315);
    let ids = block.txdata.iter().map(|transaction| {
        assert_eq!(transaction.compute_txid().to_byte_array(), txid(transaction).to_byte_array());
        txid(transaction)
    });
    let root = bitcoin::merkle_tree::calculate_root(ids).unwrap();
    assert_eq!(
        TxMerkleNode::from_raw_hash(root),
        block.header.merkle_root,
        "the ids are those that were mined"
    );
    let (mut paid, mut other) = (std::collections::BTreeMap::<AddressKind, u32>::new(), 0);
    for output in block.txdata.iter().flat_map(|transaction| &transaction.output) {
        match crate::bitcoin::destination(Network::Bitcoin, &output.script_pubkey) {
            Some(destination) => {
                assert_eq!(script(destination.address()), output.script_pubkey);
                *paid.entry(destination.kind()).or_default() += 1;
            }
            None => {
                let script = &output.script_pubkey;
                assert!(script.is_op_return() || script.is_p2pk() || script.is_multisig(), "{script:?}");
                other += 1;
            }
        }
    }
    assert!(
        paid.len() >= 4 && paid.values().sum::<u32>() > 5_000 && other > 0,
        "{paid:?}, without address: {other}"
    );
}
