//! Following a Bitcoin wallet, without IO.

use bitcoin::{OutPoint, ScriptBuf, Transaction};
use holdfast_connectors::bitcoin::{Follower, Scripts};
use holdfast_connectors::{Answer, Call, Doubt, Observation};
use holdfast_values::{Destination, Network};
use serde_json::json;

use crate::bitcoin_node::{Node, address, out, script, spend};

const NETWORK: Network = Network::BitcoinRegtest;

/// The wallet's own script, and somebody else's.
const OWN: u8 = 1;
const FOREIGN: u8 = 9;

fn follower(start: u64) -> Follower {
    let own = Destination::parse(NETWORK, &address(OWN), None).unwrap();
    let scripts = Scripts::fixed(NETWORK, &[own]).unwrap();
    Follower::new(scripts, start, 3, Default::default())
}

/// A poll in which the node may answer as it likes.
fn poll_with(follower: &mut Follower, mut answer: impl FnMut(&Call) -> Answer) -> Result<(), Doubt> {
    loop {
        follower.begin();
        loop {
            let calls = follower.calls();
            if calls.is_empty() {
                break;
            }
            assert!(calls.len() <= 200);
            let answers = calls.iter().map(&mut answer).collect();
            if let Err(doubt) = follower.answers(answers) {
                follower.abandon();
                return Err(doubt);
            }
        }
        if !follower.has_more() {
            return Ok(());
        }
    }
}

fn poll(follower: &mut Follower, node: &Node) -> Result<(), Doubt> {
    poll_with(follower, |call| node.answer(call.method, &call.params))
}

/// `NAME status confirmations@height`, for every observation.
fn lines(news: &[Observation], names: &[(&str, &Transaction)]) -> Vec<String> {
    let name = |seen: &Observation| {
        let of = |tx: &Transaction| tx.compute_txid().to_string() == seen.transaction.to_string();
        names.iter().find(|(_, tx)| of(tx)).map_or("?", |(name, _)| name).to_owned()
    };
    let line = |seen: &Observation| match seen.height {
        Some(height) => format!("{} {} {}@{height}", name(seen), seen.status.name(), seen.confirmations),
        None => format!("{} {}", name(seen), seen.status.name()),
    };
    news.iter().map(line).collect()
}

struct Story {
    node: Node,
    follower: Follower,
    coin: OutPoint,
}

impl Story {
    /// A coin of the wallet at height 101, watched from 101 on.
    fn new() -> Self {
        let mut node = Node::new();
        let deposit = spend(&[OutPoint { vout: 7, ..OutPoint::null() }], &[(script(OWN), 1_000)]);
        node.mine(&[&deposit]);
        let mut story = Self { node, follower: follower(101), coin: out(&deposit, 0) };
        story.expect(&[], &[]);
        story
    }

    fn expect(&mut self, names: &[(&str, &Transaction)], wanted: &[&str]) {
        poll(&mut self.follower, &self.node).unwrap();
        let mut seen = lines(&self.follower.report(), names);
        // Among those that stand alike, ids decide, which are as good as random.
        for alike in
            seen.chunk_by_mut(|a, b| a.split_once(' ').map(|a| a.1) == b.split_once(' ').map(|b| b.1))
        {
            alike.sort();
        }
        assert_eq!(seen, wanted);
    }
}

fn pay(coin: OutPoint, sats: u64) -> Transaction {
    spend(&[coin], &[(script(FOREIGN), sats), (script(OWN), 900 - sats)])
}

#[test]
fn a_spend_is_told_pending_then_with_each_confirmation_up_to_finality() {
    let mut story = Story::new();
    let a = pay(story.coin, 100);
    let names = [("A", &a)];
    story.node.accept(&a);
    story.expect(&names, &["A pending"]);
    story.expect(&names, &[]);
    story.node.mine(&[&a]);
    story.expect(&names, &["A included 1@102"]);
    story.expect(&names, &[]);
    story.node.mine(&[]);
    story.expect(&names, &["A included 2@102"]);
    story.node.mine(&[]);
    story.expect(&names, &["A included 3@102"]);
    story.node.mine(&[]);
    story.expect(&names, &[]);
}

#[test]
fn an_observation_says_all_that_is_spent_and_paid() {
    let mut story = Story::new();
    let foreign = OutPoint { vout: 3, ..OutPoint::null() };
    let data = ScriptBuf::new_op_return([7; 4]);
    let a = spend(&[foreign, story.coin], &[(script(FOREIGN), 100), (data, 0), (script(OWN), 5)]);
    story.node.mine(&[&a]);
    poll(&mut story.follower, &story.node).unwrap();
    let [seen] = &story.follower.report()[..] else { panic!("one") };
    let spends: Vec<String> = seen.spends.iter().map(ToString::to_string).collect();
    let mut wanted = [foreign.to_string(), story.coin.to_string()];
    wanted.sort_by_key(|key| key.split(':').next().unwrap().chars().rev().collect::<String>());
    assert_eq!(spends.len(), 2);
    assert!(wanted.iter().all(|key| spends.contains(key)), "{spends:?}");
    let outputs: Vec<_> = seen.outputs.iter().map(|o| (o.address.clone(), o.amount)).collect();
    assert_eq!(outputs, [(Some(address(FOREIGN)), 100), (None, 0), (Some(address(OWN)), 5)]);
    assert_eq!(seen.block.unwrap().to_string(), story.node.blocks[102].block_hash().to_string());
}

#[test]
fn a_replacement_is_told_as_one_gone_and_one_pending() {
    let mut story = Story::new();
    let (a, b) = (pay(story.coin, 100), pay(story.coin, 101));
    let names = [("A", &a), ("B", &b)];
    story.node.accept(&a);
    story.expect(&names, &["A pending"]);
    story.node.accept(&b);
    story.expect(&names, &["A vanished", "B pending"]);
    story.node.accept(&a);
    story.expect(&names, &["B vanished", "A pending"]);
    story.node.mine(&[&b]);
    story.expect(&names, &["A vanished", "B included 1@102"]);
}

#[test]
fn a_reorganisation_is_told_for_everything_that_it_moved() {
    let mut story = Story::new();
    let a = pay(story.coin, 100);
    let b = pay(out(&a, 1), 50);
    let c = pay(out(&b, 1), 20);
    let names = [("A", &a), ("B", &b), ("C", &c)];
    story.node.mine(&[&a]);
    story.node.mine(&[&b]);
    story.node.mine(&[&c]);
    story.expect(&names, &["A included 3@102", "B included 2@103", "C included 1@104"]);
    // A stays, though it was final; B comes again two blocks later; C is back in the pool.
    story.node.disconnect(2);
    story.node.mine(&[]);
    story.node.mine(&[]);
    story.node.mine(&[&b]);
    story.node.accept(&c);
    story.expect(&names, &["B included 1@105", "C pending"]);
    // Below A, and nothing comes back.
    story.node.pool.clear();
    story.node.disconnect(4);
    (0..5).for_each(|_| story.node.mine(&[]));
    story.expect(&names, &["A vanished", "B vanished", "C vanished"]);
    // Its coins are still known.
    story.node.mine(&[&a, &b]);
    story.expect(&names, &["A included 1@107", "B included 1@107"]);
}

#[test]
fn a_reorganisation_below_the_start_begins_again_and_a_deeper_one_than_remembered_waits() {
    let mut story = Story::new();
    let a = pay(story.coin, 100);
    story.node.mine(&[&a]);
    story.expect(&[("A", &a)], &["A included 1@102"]);
    let mut other = Node::new();
    other.disconnect(50);
    (0..60).for_each(|_| other.mine(&[]));
    story.node = other;
    story.expect(&[("A", &a)], &["A vanished"]);

    (0..250).for_each(|_| story.node.mine(&[]));
    story.expect(&[], &[]);
    story.node.disconnect(201);
    (0..210).for_each(|_| story.node.mine(&[]));
    assert_eq!(poll(&mut story.follower, &story.node), Err(Doubt::TooDeep));
    assert_eq!(story.follower.report(), []);
}

#[test]
fn unconfirmed_change_is_watched_in_whatever_order_the_pool_lists_it() {
    // Ids decide the order in which the pool is read; so try many.
    for sats in 0..40 {
        let mut story = Story::new();
        let a = pay(story.coin, 100 + sats);
        let b = pay(out(&a, 1), 50);
        let c = pay(out(&b, 1), 20);
        let names = [("A", &a), ("B", &b), ("C", &c)];
        [&a, &b, &c].into_iter().for_each(|tx| story.node.accept(tx));
        poll(&mut story.follower, &story.node).unwrap();
        let mut seen = lines(&story.follower.report(), &names);
        seen.sort();
        assert_eq!(seen, ["A pending", "B pending", "C pending"], "{sats}");
    }
}

#[test]
fn a_deposit_alone_is_not_told() {
    let mut story = Story::new();
    let deposit = spend(&[OutPoint { vout: 8, ..OutPoint::null() }], &[(script(OWN), 5)]);
    story.node.accept(&deposit);
    story.expect(&[], &[]);
    story.node.mine(&[&deposit]);
    story.expect(&[], &[]);
    let a = pay(out(&deposit, 0), 1);
    story.node.accept(&a);
    story.expect(&[("A", &a)], &["A pending"]);
}

#[test]
fn a_transaction_that_a_block_takes_between_two_questions_has_not_vanished() {
    let mut story = Story::new();
    let a = pay(story.coin, 100);
    let names = [("A", &a)];
    story.node.accept(&a);
    story.expect(&names, &["A pending"]);
    let mut node = story.node.clone();
    let doubt = poll_with(&mut story.follower, |call| {
        if call.method == "getrawmempool" {
            node.mine(&[&a]);
        }
        node.answer(call.method, &call.params)
    });
    assert_eq!(doubt, Err(Doubt::Moved));
    assert_eq!(story.follower.report(), []);
    story.node = node;
    story.expect(&names, &["A included 1@102"]);
}

#[test]
fn a_node_that_lies_or_lags_is_not_repeated() {
    type Lie = fn(&mut Node, &Call, &Transaction) -> Option<Answer>;
    let lies: [(&str, &str, Lie); 13] = [
        ("another chain", "node_wrong_network", |node, _, _| {
            node.chain = "main";
            None
        }),
        ("a shorter chain", "node_behind", |node, call, _| {
            if call.method == "getblockchaininfo" {
                node.disconnect(2);
            }
            None
        }),
        ("a pool not loaded", "node_syncing", |node, _, _| {
            node.loaded = false;
            None
        }),
        ("an absurd height", "node_answer_invalid", |_, call, _| {
            let answer = json!({ "chain": "regtest", "blocks": u64::MAX, "initialblockdownload": false });
            (call.method == "getblockchaininfo").then_some(Ok(answer))
        }),
        ("no object", "node_answer_invalid", |_, call, _| {
            (call.method == "getblockchaininfo").then(|| Ok(json!([1, 2])))
        }),
        ("no hash", "node_answer_invalid", |_, call, _| {
            (call.method == "getblockhash").then(|| Ok(json!("zz")))
        }),
        ("another block", "node_answer_invalid", |node, call, _| {
            let other = bitcoin::consensus::encode::serialize_hex(&node.blocks[50]);
            (call.method == "getblock").then_some(Ok(json!(other)))
        }),
        ("a block with a payment put in", "node_answer_invalid", |node, call, forged| {
            let mut block = node.blocks.last().unwrap().clone();
            block.txdata.push(forged.clone());
            let text = bitcoin::consensus::encode::serialize_hex(&block);
            (call.method == "getblock").then_some(Ok(json!(text)))
        }),
        ("half a block", "node_answer_invalid", |node, call, _| {
            let text = bitcoin::consensus::encode::serialize_hex(node.blocks.last().unwrap());
            (call.method == "getblock").then(|| Ok(json!(&text[..text.len() - 2])))
        }),
        ("another transaction", "node_answer_invalid", |_, call, forged| {
            let text = bitcoin::consensus::encode::serialize_hex(forged);
            (call.method == "getrawtransaction").then_some(Ok(json!(text)))
        }),
        ("a pool of numbers", "node_answer_invalid", |_, call, _| {
            (call.method == "getrawmempool").then(|| Ok(json!([1])))
        }),
        ("a node that starts", "node_syncing", |_, _, _| {
            Some(Err(holdfast_connectors::NodeRefusal { code: -28, message: "Loading".into() }))
        }),
        ("no such method", "node_refused", |_, call, _| {
            let refusal = holdfast_connectors::NodeRefusal { code: -32601, message: "no".into() };
            (call.method == "getrawmempool").then_some(Err(refusal))
        }),
    ];
    for (name, code, lie) in lies {
        let mut story = Story::new();
        let (a, b, forged) = (pay(story.coin, 100), pay(story.coin, 101), pay(story.coin, 102));
        story.node.accept(&a);
        story.expect(&[("A", &a)], &["A pending"]);
        story.node.mine(&[]);
        story.node.accept(&b);
        let mut node = story.node.clone();
        let doubt = poll_with(&mut story.follower, |call| {
            let lie = lie(&mut node, call, &forged);
            lie.unwrap_or_else(|| node.answer(call.method, &call.params))
        });
        assert_eq!(doubt.map_err(|doubt| doubt.code()), Err(code), "{name}");
        assert_eq!(story.follower.report(), [], "{name}: nothing is made up");
        story.expect(&[("A", &a), ("B", &b)], &["A vanished", "B pending"]);
    }
}

#[test]
fn any_answer_whatever_ends_in_doubt_or_nothing() {
    let values =
        [json!(null), json!(-1), json!(1.5), json!(""), json!("00"), json!([]), json!({}), json!([[null]])];
    let mut seed = 7u64;
    for round in 0..2_000 {
        let mut story = Story::new();
        let a = pay(story.coin, 100);
        story.node.accept(&a);
        let node = story.node.clone();
        let doubt = poll_with(&mut story.follower, |call| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (seed >> 33).is_multiple_of(4) {
                return Ok(values[(seed >> 40) as usize % values.len()].clone());
            }
            node.answer(call.method, &call.params)
        });
        let news = lines(&story.follower.report(), &[("A", &a)]);
        assert!(news.is_empty() || news == ["A pending"], "round {round}: {news:?} after {doubt:?}");
        story.expect(&[("A", &a)], if news.is_empty() { &["A pending"] } else { &[] });
    }
}

#[test]
fn a_spend_of_many_parts_is_cut_and_marked() {
    let mut story = Story::new();
    let coins: Vec<OutPoint> =
        (0..1_500).map(|vout| OutPoint { vout, ..OutPoint::null() }).chain([story.coin]).collect();
    let outputs: Vec<_> = (0..1_500).map(|_| (script(FOREIGN), 1)).collect();
    let a = spend(&coins, &outputs);
    story.node.mine(&[&a]);
    poll(&mut story.follower, &story.node).unwrap();
    let [seen] = &story.follower.report()[..] else { panic!("one") };
    assert_eq!((seen.spends.len(), seen.outputs.len()), (1_000, 1_000));
    assert!(
        seen.spends.iter().any(|key| key.to_string() == story.coin.to_string()),
        "the wallet's own is named"
    );
    assert_eq!(seen.outputs.last().unwrap().address, None);
}

#[test]
fn what_is_deep_is_forgotten() {
    let mut story = Story::new();
    let a = pay(story.coin, 100);
    story.node.mine(&[&a]);
    story.expect(&[("A", &a)], &["A included 1@102"]);
    assert!(saved(&mut story.follower).contains(&a.compute_txid().to_string()));
    (0..200).for_each(|_| story.node.mine(&[]));
    story.expect(&[("A", &a)], &["A included 201@102"]);
    let text = saved(&mut story.follower);
    assert!(!text.contains(&story.coin.to_string()), "the spent coin");
    assert!(text.contains(&out(&a, 1).to_string()), "the change");
    let read: holdfast_connectors::Followed = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&read).unwrap(), text);
}

fn saved(follower: &mut Follower) -> String {
    serde_json::to_string(&follower.changed().unwrap()).unwrap()
}

#[test]
fn descriptors_are_watched_some_way_ahead_of_the_last_address_used() {
    use bitcoin::bip32::{Xpriv, Xpub};
    let secp = bitcoin::secp256k1::Secp256k1::new();
    let master = Xpriv::new_master(bitcoin::Network::Regtest, &[5; 32]).unwrap();
    let descriptor = format!("wpkh({}/0/*)", Xpub::from_priv(&secp, &master));
    let wallet = holdfast_transactions::Wallet::bitcoin(NETWORK, &[descriptor]).unwrap();
    let at = |index| {
        let address = wallet.address_at(0, index).unwrap();
        let address: bitcoin::Address<_> = address.address().parse().unwrap();
        address.assume_checked().script_pubkey()
    };
    let mut node = Node::new();
    let deposit = |index: u32| spend(&[OutPoint { vout: index, ..OutPoint::null() }], &[(at(index), 1_000)]);
    let deposits: Vec<_> = [9, 18, 40].into_iter().map(deposit).collect();
    let spends: Vec<_> = deposits.iter().map(|deposit| pay(out(deposit, 0), 1)).collect();
    let names = [("A", &spends[0]), ("B", &spends[1]), ("C", &spends[2])];
    node.mine(&[&deposits[0], &deposits[1], &deposits[2]]);
    node.mine(&[names[0].1, names[1].1, names[2].1]);
    for used in [&[][..], &[31]] {
        let scripts = Scripts::derived(wallet.clone(), 10, used).unwrap();
        let mut follower = Follower::new(scripts, 101, 3, Default::default());
        poll(&mut follower, &node).unwrap();
        let mut seen = lines(&follower.report(), &names);
        seen.sort();
        let far = used.iter().map(|_| "C included 1@102");
        assert_eq!(seen, ["A included 1@102", "B included 1@102"].into_iter().chain(far).collect::<Vec<_>>());
        let followed = follower.changed().unwrap();
        assert_eq!(followed.used(), if used.is_empty() { [19] } else { [41] });
    }
}
