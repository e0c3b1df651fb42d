//! Following an EVM account, without IO.

use holdfast_connectors::evm::{Account, Follower};
use holdfast_connectors::{Answer, Call, Doubt, NodeRefusal, Observation};
use holdfast_values::Network;
use serde_json::{Value, json};

use crate::evm_node::{Node, OWN, SHOP, TOKEN, Tx, pay};

fn follower(start: u64) -> Follower {
    let account = Account::new(Network::Ethereum, [0x11; 20]).unwrap();
    Follower::new(account, start, 3, Default::default())
}

fn poll_with(follower: &mut Follower, mut answer: impl FnMut(&Call) -> Answer) -> Result<(), Doubt> {
    loop {
        follower.begin();
        loop {
            let calls = follower.calls();
            let [call] = &calls[..] else { break };
            if let Err(doubt) = follower.answers(vec![answer(call)]) {
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

/// `NONCE status confirmations@height`.
fn lines(news: &[Observation]) -> Vec<String> {
    let line = |seen: &Observation| {
        let [key] = &seen.spends[..] else { panic!("one nonce") };
        let key = key.to_string();
        let nonce = key.strip_prefix(&format!("1:{OWN}:")).unwrap();
        match seen.height {
            Some(height) => format!("{nonce} {} {}@{height}", seen.status.name(), seen.confirmations),
            None => format!("{nonce} {}", seen.status.name()),
        }
    };
    news.iter().map(line).collect()
}

struct Story {
    node: Node,
    follower: Follower,
}

impl Story {
    fn new() -> Self {
        let mut story = Self { node: Node::new(), follower: follower(100) };
        story.expect(&[]);
        story
    }

    fn expect(&mut self, wanted: &[&str]) {
        poll(&mut self.follower, &self.node).unwrap();
        assert_eq!(lines(&self.follower.report()), wanted);
    }
}

#[test]
fn each_transaction_of_the_account_is_told_with_each_confirmation_up_to_finality() {
    let mut story = Story::new();
    let failing = Tx { works: false, ..pay(2) };
    let foreign = Tx { from: SHOP, ..pay(7) };
    story.node.mine(&[&pay(1), &foreign, &failing]);
    story.expect(&["1 included 1@101", "2 failed 1@101"]);
    story.expect(&[]);
    story.node.mine(&[]);
    story.expect(&["1 included 2@101", "2 failed 2@101"]);
    (0..5).for_each(|_| story.node.mine(&[]));
    story.expect(&["1 included 7@101", "2 failed 7@101"]);
    story.node.mine(&[]);
    story.expect(&[]);
}

#[test]
fn what_is_paid_is_said_exactly() {
    let word = |text: &str| format!("{text:0>64}");
    let shop = word(&SHOP[2..]);
    let transfer = format!("0xa9059cbb{shop}{}", word("64"));
    // Whom, in which contract's token, how much.
    type Paid = &'static [(&'static str, &'static str, &'static str)];
    let cases: [(&str, Tx, Paid); 12] = [
        ("native", pay(1), &[(SHOP, "-", "1")]),
        ("to itself", Tx { to: Some(OWN), value: 0, ..pay(1) }, &[(OWN, "-", "0")]),
        (
            "token",
            Tx { to: Some(TOKEN), value: 0, input: transfer.clone(), ..pay(1) },
            &[(SHOP, TOKEN, "100")],
        ),
        (
            "token and value",
            Tx { to: Some(TOKEN), input: transfer.clone(), ..pay(1) },
            &[(TOKEN, "-", "1"), (SHOP, TOKEN, "100")],
        ),
        (
            "a byte more",
            Tx { to: Some(TOKEN), input: transfer.clone() + "00", ..pay(1) },
            &[(TOKEN, "-", "1"), ("-", "-", "0")],
        ),
        (
            "dirty recipient",
            Tx { to: Some(TOKEN), input: transfer.replace("0xa9059cbb0", "0xa9059cbb1"), ..pay(1) },
            &[(TOKEN, "-", "1"), ("-", "-", "0")],
        ),
        (
            "more than 128 bits",
            Tx { to: Some(TOKEN), input: format!("0xa9059cbb{shop}1{}", &word("1")[1..]), ..pay(1) },
            &[(TOKEN, "-", "1"), ("-", "-", "0")],
        ),
        ("another call", Tx { input: "0x095ea7b3".into(), ..pay(1) }, &[(SHOP, "-", "1"), ("-", "-", "0")]),
        ("a creation", Tx { to: None, input: "0x60".into(), ..pay(1) }, &[("-", "-", "1"), ("-", "-", "0")]),
        ("an authorisation", Tx { kind: 4, ..pay(1) }, &[(SHOP, "-", "1"), ("-", "-", "0")]),
        ("legacy", Tx { kind: 0, ..pay(1) }, &[(SHOP, "-", "1")]),
        (
            "to nobody",
            Tx { to: Some("0x0000000000000000000000000000000000000000"), ..pay(1) },
            &[("-", "-", "1")],
        ),
    ];
    for (name, tx, wanted) in cases {
        let mut story = Story::new();
        story.node.mine(&[&tx]);
        poll(&mut story.follower, &story.node).unwrap();
        let [seen] = &story.follower.report()[..] else { panic!("{name}: one") };
        let shown: Vec<_> =
            seen.outputs.iter().map(|o| (o.address.clone(), o.contract.clone(), o.amount)).collect();
        let text = |text: &str| (text != "-").then(|| text.to_owned());
        let wanted: Vec<_> = wanted.iter().map(|(a, c, n)| (text(a), text(c), n.parse().unwrap())).collect();
        assert_eq!(shown, wanted, "{name}");
    }
}

#[test]
fn a_reorganisation_is_told_for_everything_that_it_moved() {
    let mut story = Story::new();
    let replacement = Tx { hash: format!("0x{:064x}", 0xeeee), value: 9, ..pay(4) };
    story.node.mine(&[&pay(1)]);
    story.node.mine(&[&pay(2)]);
    story.node.mine(&[&pay(3), &pay(4)]);
    story.expect(&["1 included 3@101", "2 included 2@102", "3 included 1@103", "4 included 1@103"]);
    story.node.disconnect(2);
    (0..2).for_each(|_| story.node.mine(&[]));
    story.node.mine(&[&pay(2), &replacement]);
    story.node.pool = vec![pay(3)];
    story.expect(&["4 vanished", "2 included 1@104", "4 included 1@104", "3 pending"]);
    story.node.pool.clear();
    story.expect(&["3 vanished"]);
    story.node.mine(&[&pay(3)]);
    story.expect(&["2 included 2@104", "4 included 2@104", "3 included 1@105"]);
}

#[test]
fn a_long_way_is_taken_in_steps_and_a_fork_deeper_than_remembered_waits() {
    let mut story = Story::new();
    story.node.mine(&[&pay(1)]);
    (0..300).for_each(|_| story.node.mine(&[]));
    story.expect(&["1 included 301@101"]);
    assert_eq!(story.follower.height(), Some(401));
    let before = story.node.clone();
    story.node.disconnect(200);
    (0..210).for_each(|_| story.node.mine(&[]));
    assert_eq!(poll(&mut story.follower, &story.node), Err(Doubt::TooDeep));
    assert_eq!(story.follower.report(), []);
    story.node = before;
    story.node.disconnect(199);
    (0..210).for_each(|_| story.node.mine(&[]));
    story.expect(&[]);

    let mut story = Story::new();
    story.node.mine(&[&pay(1)]);
    story.expect(&["1 included 1@101"]);
    story.node.disconnect(20);
    (0..30).for_each(|_| story.node.mine(&[]));
    story.expect(&["1 vanished"]);
}

#[test]
fn a_node_that_lies_or_lags_is_not_repeated() {
    type Lie = fn(&Node, &Call) -> Option<Answer>;
    fn change(node: &Node, call: &Call, method: &str, change: fn(&mut Value)) -> Option<Answer> {
        let mut answer = node.answer(call.method, &call.params).unwrap();
        (call.method == method).then(|| {
            change(&mut answer);
            Ok(answer)
        })
    }
    const BLOCK: &str = "eth_getBlockByNumber";
    const RECEIPT: &str = "eth_getTransactionReceipt";
    let lies: [(&str, &str, Lie); 17] = [
        ("another chain", "node_wrong_network", |n, c| change(n, c, "eth_chainId", |v| *v = json!("0x2"))),
        ("no chain", "node_answer_invalid", |n, c| change(n, c, "eth_chainId", |v| *v = json!(1))),
        ("a lower height", "node_behind", |n, c| change(n, c, "eth_blockNumber", |v| *v = json!("0x5"))),
        ("an absurd height", "node_chain_moved", |n, c| {
            change(n, c, "eth_blockNumber", |v| *v = json!("0xffffffffffffffff"))
        }),
        ("no height", "node_answer_invalid", |n, c| change(n, c, "eth_blockNumber", |v| *v = json!("0x"))),
        ("no block", "node_chain_moved", |n, c| change(n, c, BLOCK, |v| *v = Value::Null)),
        ("another block", "node_answer_invalid", |n, c| change(n, c, BLOCK, |v| v["number"] = json!("0x7"))),
        ("another parent", "node_chain_moved", |n, c| {
            change(n, c, BLOCK, |v| v["parentHash"] = json!(format!("0x{:064x}", 1)))
        }),
        ("no hash", "node_answer_invalid", |n, c| change(n, c, BLOCK, |v| v["hash"] = Value::Null)),
        ("no transactions", "node_answer_invalid", |n, c| {
            change(n, c, BLOCK, |v| v["transactions"] = Value::Null)
        }),
        ("ids alone", "node_answer_invalid", |n, c| {
            change(n, c, BLOCK, |v| v["transactions"] = json!(["0x1"]))
        }),
        ("another block's transaction", "node_answer_invalid", |n, c| {
            change(n, c, BLOCK, |v| {
                if v["transactions"][0].is_object() {
                    v["transactions"][0]["blockHash"] = json!(format!("0x{:064x}", 1));
                }
            })
        }),
        ("too much value", "node_answer_invalid", |n, c| {
            change(n, c, BLOCK, |v| {
                if v["transactions"][0].is_object() {
                    v["transactions"][0]["value"] = json!(format!("0x1{:032x}", 1));
                }
            })
        }),
        ("no receipt", "node_chain_moved", |n, c| change(n, c, RECEIPT, |v| *v = Value::Null)),
        ("a receipt from another block", "node_chain_moved", |n, c| {
            change(n, c, RECEIPT, |v| v["blockHash"] = json!(format!("0x{:064x}", 1)))
        }),
        ("an odd status", "node_answer_invalid", |n, c| {
            change(n, c, RECEIPT, |v| v["status"] = json!("0x2"))
        }),
        ("a refusal", "node_refused", |_, c| {
            (c.method == RECEIPT)
                .then(|| Err(NodeRefusal { code: -32000, message: "too many requests".into() }))
        }),
    ];
    for (name, code, lie) in lies {
        let mut story = Story::new();
        story.node.mine(&[&pay(1)]);
        story.expect(&["1 included 1@101"]);
        story.node.mine(&[&pay(2)]);
        let node = story.node.clone();
        let doubt = poll_with(&mut story.follower, |call| {
            lie(&node, call).unwrap_or_else(|| node.answer(call.method, &call.params))
        });
        assert_eq!(doubt.map_err(|doubt| doubt.code()), Err(code), "{name}");
        let told = lines(&story.follower.report());
        let honest = ["1 included 2@101", "2 included 1@102"];
        assert!(told.is_empty() || told == honest, "{name}: nothing is made up: {told:?}");
        story.expect(if told.is_empty() { &honest } else { &[] });
    }
}

#[test]
fn any_answer_whatever_ends_in_doubt_or_the_truth() {
    let values = [
        json!(null),
        json!(-1),
        json!("0x"),
        json!("0x0"),
        json!("0xff"),
        json!([]),
        json!({}),
        json!([[null]]),
    ];
    let mut seed = 7u64;
    for round in 0..2_000 {
        let mut story = Story::new();
        story.node.mine(&[&pay(1)]);
        let node = story.node.clone();
        let doubt = poll_with(&mut story.follower, |call| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if (seed >> 33).is_multiple_of(4) {
                return Ok(values[(seed >> 40) as usize % values.len()].clone());
            }
            node.answer(call.method, &call.params)
        });
        let news = lines(&story.follower.report());
        assert!(news.is_empty() || news == ["1 included 1@101"], "round {round}: {news:?} after {doubt:?}");
        story.expect(if news.is_empty() { &["1 included 1@101"] } else { &[] });
    }
}
