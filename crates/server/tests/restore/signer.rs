//! The whole way, with the real signer: it paid what the journal has lost, and nothing is paid twice.

use holdfast_authn::release::{Kind, Release, open};

use crate::harbor::{
    ETH, HOT, Hot, OTHER, PAYEE, Places, approved, arguments, ask, borrowed, exchange, id, payment, propose,
    ready, refused, release, serve,
};
use crate::server::holdfast;

#[test]
fn after_a_restore_nothing_that_the_signer_paid_is_paid_again() {
    let exchange = exchange(&["harbor-hot"]);
    let places = Places(&exchange);
    let mut signer = Hot::new(&exchange);
    let server = ready(&exchange);
    let known = approved(&server, "1", PAYEE, "1");
    let stopped = approved(&server, "2", PAYEE, "2");
    let early = approved(&server, "3", OTHER, "3");
    let paid_early = payment(0, OTHER, 3 * ETH);
    signer.authorise(&propose(&server, &paid_early, &[&early]), &paid_early).unwrap();

    let backup = places.backup("backup", &[]);
    assert_eq!(backup["epoch"], 1);

    // Then the night that will be lost: one payment of a withdrawal that the backup knows, one of which it knows nothing.
    let paid = payment(1, PAYEE, ETH);
    let answer = propose(&server, &paid, &[&known]);
    let old_release = release(&answer);
    signer.authorise(&answer, &paid).unwrap();
    let lost = approved(&server, "4", OTHER, "0.25");
    let paid_lost = payment(2, OTHER, ETH / 4);
    signer.authorise(&propose(&server, &paid_lost, &[&lost]), &paid_lost).unwrap();
    signer.0.void(id(&stopped)).unwrap();
    let token = server.token.clone();
    server.kill();

    places.restore("backup", "restored");
    let data = places.text("restored");
    signer.0.halt().unwrap();
    let statement = signer.statement(&places, "hot.statement");
    let plan = places.plan("restored", &[&statement]);
    let merge = &plan["signers"][0];
    assert_eq!((&plan["epoch"], &plan["signatures"]), (&2.into(), &2.into()), "{plan}");
    assert_eq!(merge["target"], "epoch:2");
    assert_eq!(merge["counter"], 4, "three payments and one void");
    let ids = |list: &str| -> Vec<&str> {
        merge[list].as_array().unwrap().iter().map(|it| it["withdrawal"].as_str().unwrap()).collect()
    };
    assert_eq!(ids("released"), [&known, &early]);
    assert_eq!(ids("lost"), [&lost]);
    assert_eq!(merge["lost"][0]["amount"], "0.250000000000000000", "{merge}");
    assert_eq!(merge["lost"][0]["address"], OTHER);
    assert_eq!(merge["voided"][0], stopped);
    assert!(merge["lost_records"].as_u64().unwrap() > 0);
    let text = holdfast(&arguments(&data, &[&statement], &["--plan"]));
    assert!(text.contains("LOST from this journal") && text.contains("Nothing was changed"), "{text}");
    assert!(text.contains("holdfast operator text begin_epoch epoch:2 --detail \"store="), "{text}");

    // One operator is not enough; nothing happened, and nothing serves.
    let before = holdfast(&["journal", "checkpoint", "--data", &data]);
    let (one, _) = places.signed(merge, "one.txt", &["alice"]);
    refused(&arguments(&data, &[&statement], &borrowed(&one)), "signatures_insufficient");
    assert_eq!(holdfast(&["journal", "checkpoint", "--data", &data]), before);
    assert!(serve(&places.path("restored"), &token).err().unwrap().contains("restored_not_recovered"));

    let (two, act) = places.signed(merge, "two.txt", &["alice", "bob"]);
    let done = holdfast(&arguments(&data, &[&statement], &borrowed(&two)));
    assert!(done.contains("Epoch 2 begins") && done.contains("may be served from"), "{done}");
    assert!(!places.path("restored/restored").exists(), "the mark is gone");
    assert_eq!(signer.0.act(&act).unwrap().name(), "begin_epoch");
    let resume =
        exchange.text(holdfast_values::Timestamp(wall()), "resume_signer", "signer:harbor-hot", "-", None);
    signer.0.act(&signed(&exchange, resume)).unwrap();
    assert!(holdfast(&["journal", "verify", "--data", &data]).contains("intact"));
    let replayed = holdfast(&["replay", "--data", &data, "--json"]);
    assert!(replayed.contains("\"equal\": true") || replayed.contains("\"equal\":true"), "{replayed}");

    let server = serve(&places.path("restored"), &token).unwrap();
    let status = |id: &str| server.get(&format!("/v1/withdrawals/{id}")).body["status"].clone();
    assert_eq!(
        (status(&known), status(&early), status(&stopped)),
        ("released".into(), "released".into(), "voided".into())
    );
    // What the signer paid is out of reach of any transaction that could be mined beside it.
    let second = propose(&server, &payment(7, PAYEE, ETH), &[&known]);
    assert_eq!(second.code(), "not_conflicting", "{}", second.body);
    // The payment that the journal has lost is not repeated without a person.
    let again = ask(&server, "4", OTHER, "0.25");
    assert_eq!(
        (&again["status"], &again["reasons"][0]["code"]),
        (&"held".into(), &"may_be_paid".into()),
        "{again}"
    );
    let other = approved(&server, "5", OTHER, "0.26");

    // Releases are of the new epoch, and the signer goes on with them alone.
    let fresh = payment(3, OTHER, ETH / 100 * 26);
    let answer = propose(&server, &fresh, &[&other]);
    let key = holdfast(&["release-key", "--data", &data]);
    let key = holdfast_authn::parse_operator_key(key.trim()).unwrap();
    let (payload, _) = open(Kind::Release, &release(&answer), &[key]).unwrap();
    let said = Release::parse(&payload).unwrap();
    assert_eq!((said.epoch, said.receipts_seen), (2, 4));
    assert!(!signer.authorise(&answer, &fresh).unwrap().repeated);
    let same = signer.0.authorise(&old_release, &paid).unwrap();
    assert!(same.repeated, "what it authorised stays authorised, and spends nothing more");

    // A chain's report is told by its outputs too: the lost payment is an old acquaintance, a theft of its like is not.
    let seen = |nonce: u64, to: &str, amount: u128| {
        let observation = serde_json::json!({
            "transaction": format!("0x{}", format!("{:02x}", nonce + 1).repeat(32)),
            "spends": [format!("1:{}:{nonce}", HOT.to_lowercase())],
            "outputs": [{ "address": to, "contract": null, "amount": amount.to_string() }],
            "status": "pending", "confirmations": 0 });
        let body =
            serde_json::json!({ "network": "ethereum", "wallet": "eth-hot", "observations": [observation] });
        let answer = server.post("/v1/chain/observations", &body).body;
        answer["results"][0]["effect"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(seen(2, OTHER, ETH / 4), "broadcast");
    assert_eq!(seen(1, OTHER, ETH), "unknown_spend");
    assert_eq!(server.stop(), Some(0));

    // The same backup once more. The signer is in epoch 2 and takes no journal there a second time.
    places.restore("backup", "restored2");
    let again = places.text("restored2");
    refused(
        &arguments(&again, &[&statement], &borrowed(&two_of_old(&places, merge))),
        "signatures_insufficient",
    );
    let (old, old_act) = places.signed(merge, "old.txt", &["alice", "bob"]);
    holdfast(&arguments(&again, &[&statement], &borrowed(&old)));
    assert_eq!(
        signer.0.act(&old_act).unwrap_err().code(),
        "epoch_not_next",
        "a statement of before is no use"
    );
    places.restore("backup", "restored3");
    let again = places.text("restored3");
    let newer = signer.statement(&places, "newer.statement");
    refused(&arguments(&again, &[&newer], &borrowed(&old)), "text_epoch");
    let plan = places.plan("restored3", &[&newer]);
    assert_eq!(plan["signers"][0]["target"], "epoch:3", "{plan}");
    assert_eq!(plan["signers"][0]["lost"].as_array().unwrap().len(), 2, "with what epoch 2 paid");
    let (args, act) = places.signed(&plan["signers"][0], "third.txt", &["alice", "bob"]);
    holdfast(&arguments(&again, &[&newer], &borrowed(&args)));
    signer.0.act(&act).unwrap();
    assert_eq!(signer.0.status().unwrap().epoch, 3);
}

/// The old statement under one operator's signature.
fn two_of_old(places: &Places<'_>, merge: &serde_json::Value) -> Vec<String> {
    places.signed(merge, "lone.txt", &["bob"]).0
}

fn wall() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_micros()).unwrap()
}

fn signed(exchange: &crate::server::Exchange, text: String) -> holdfast_authn::release::SignedAct {
    let body = exchange.signed(&text, &["alice", "bob"], None);
    let signatures = body["signatures"].as_array().unwrap().iter().map(|signature| {
        holdfast_authn::release::OperatorSignature {
            operator: signature["operator"].as_str().unwrap().parse().unwrap(),
            signature: holdfast_authn::parse_operator_proof(signature["signature"].as_str().unwrap())
                .unwrap(),
        }
    });
    holdfast_authn::release::SignedAct { signatures: signatures.collect(), text }
}
