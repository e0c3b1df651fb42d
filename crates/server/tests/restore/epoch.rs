//! What `holdfast recover` takes for a signer's word, and what not; several signers; what was settled before.

use holdfast_authn::release::SpentTransfer;
use holdfast_journal::LocalReader;

use crate::harbor::{
    OTHER, PAYEE, Places, approved, arguments, borrowed, exchange, json_of, ready, refused, sealed, serve,
    spend, spends,
};
use crate::server::{Exchange, holdfast};

/// A stopped exchange, backed up, with the text of one approved withdrawal.
fn backed_up(signers: &[&str]) -> (Exchange, String) {
    let exchange = exchange(signers);
    let server = ready(&exchange);
    let id = approved(&server, "1", PAYEE, "1");
    let text = server.get(&format!("/v1/withdrawals/{id}/text")).text;
    assert_eq!(server.stop(), Some(0));
    Places(&exchange).backup("backup", &[]);
    Places(&exchange).restore("backup", "restored");
    (exchange, text)
}

#[test]
fn only_the_signers_own_word_about_this_journal_is_taken() {
    let (exchange, intent) = backed_up(&["harbor-hot"]);
    let places = Places(&exchange);
    let data = places.text("restored");
    let plan = |file: &str, code: &str| {
        refused(&arguments(&data, &[file], &["--plan"]), code);
    };
    let good = spends("harbor-hot", 1);
    refused(&["recover", "--data", &data, "--plan"], "statement_missing");
    plan(&places.file("empty", []), "envelope_untagged");
    plan(&places.file("foreign", sealed(&good, 5)), "spends_key_unknown");
    let mut altered = sealed(&good, 0);
    let last = altered.len() - 1;
    altered[last] ^= 1;
    plan(&places.file("altered", altered), "spends_signature");
    plan(&places.file("stranger", sealed(&spends("harbor-cold", 1), 0)), "statement_signer");
    let mut other = good.clone();
    other.exchange = "other.example".parse().unwrap();
    plan(&places.file("other", sealed(&other, 0)), "statement_exchange");
    let mut unread = good.clone();
    unread.spends = vec![spend("pay whatever you like", "eth-hot", 1)];
    plan(&places.file("unread", sealed(&unread, 0)), "statement_text");

    // The signer remembers which journal it followed.
    let reader = LocalReader::open(&places.path("restored")).unwrap();
    let record = reader.read(3, 1).unwrap().remove(0);
    drop(reader);
    let mut followed = good.clone();
    (followed.sequence, followed.head) = (3, record.hash);
    let file = places.file("followed", sealed(&followed, 0));
    assert_eq!(places.plan("restored", &[&file])["epoch"], 2);
    followed.head[0] ^= 1;
    plan(&places.file("branched", sealed(&followed, 0)), "head_differs");
    // Beyond the journal's end there is nothing to compare: that much is lost.
    let head: u64 = places.plan("restored", &[&file])["sequence"].as_u64().unwrap();
    followed.sequence = head + 25;
    let ahead = places.file("ahead", sealed(&followed, 0));
    assert_eq!(places.plan("restored", &[&ahead])["signers"][0]["lost_records"], 25);

    // What a wallet paid that was configured only after the backup.
    let mut newer = good.clone();
    newer.spends = vec![spend(&intent, "eth-new", 1)];
    let newer = places.file("newer", sealed(&newer, 0));
    plan(&newer, "statement_wallet_unknown");
    let left = json_of(&arguments(&data, &[&newer], &["--without-wallet", "eth-new", "--plan", "--json"]));
    assert_eq!(left["signers"][0]["left_out"][0]["wallet"], "eth-new", "{left}");
    let twice = arguments(&data, &[&file, &file], &["--plan"]);
    refused(&twice, "statement_repeated");
    assert!(places.path("restored/restored").exists());
}

#[test]
fn what_is_signed_must_name_the_statement_and_the_epoch() {
    let (exchange, intent) = backed_up(&["harbor-hot"]);
    let places = Places(&exchange);
    let data = places.text("restored");
    let mut said = spends("harbor-hot", 1);
    said.spends = vec![spend(&intent, "eth-hot", 1)];
    let transfer = spend(&intent, "eth-hot", 9).transactions;
    said.transfers =
        vec![SpentTransfer { text: "holdfast-transfer/v1\n".to_owned(), transactions: transfer }];
    let statement = places.file("statement", sealed(&said, 0));
    let plan = places.plan("restored", &[&statement])["signers"][0].clone();
    assert_eq!(plan["unknown_transfers"].as_array().unwrap().len(), 1);
    let attempt = |plan: &serde_json::Value, operators: &[&str], code: &str| {
        let (args, _) = places.signed(plan, "text.txt", operators);
        refused(&arguments(&data, &[&statement], &borrowed(&args)), code);
    };
    let both = ["alice", "bob"];
    let with = |field: &str, value: &str| {
        let mut plan = plan.clone();
        plan[field] = value.into();
        plan
    };
    attempt(&with("target", "epoch:3"), &both, "text_epoch");
    attempt(&with("target", "epoch:02"), &both, "text_epoch");
    let detail = plan["detail"].as_str().unwrap();
    attempt(&with("detail", &detail.replace("counter=3", "counter=4")), &both, "statement_differs");
    attempt(&with("detail", "-"), &both, "statement_differs");
    attempt(&plan, &["alice"], "signatures_insufficient");
    attempt(&plan, &["alice", "alice"], "operator_signature_repeated");
    let (mut forged, _) = places.signed(&plan, "text.txt", &both);
    forged[3] = forged[3].replace("alice=", "carol=");
    refused(&arguments(&data, &[&statement], &borrowed(&forged)), "operator_signature_invalid");
    forged[3] = forged[3].replace("carol=", "mallory=");
    refused(&arguments(&data, &[&statement], &borrowed(&forged)), "operator_unknown");
    refused(&arguments(&data, &[&statement], &[]), "text_missing");

    let (args, _) = places.signed(&plan, "text.txt", &both);
    let done = json_of(&[&arguments(&data, &[&statement], &borrowed(&args))[..], &["--json"]].concat());
    assert_eq!((&done["servable"], &done["epoch"]), (&true.into(), &2.into()), "{done}");
    assert_eq!(done["released"].as_array().unwrap().len(), 1);
    // Once is enough; what comes after is another epoch.
    refused(&arguments(&data, &[&statement], &borrowed(&args)), "text_epoch");
}

#[test]
fn nothing_is_served_until_every_signer_is_in() {
    let (exchange, _) = backed_up(&["harbor-hot", "harbor-vault"]);
    let places = Places(&exchange);
    let data = places.text("restored");
    let hot = places.file("hot", sealed(&spends("harbor-hot", 1), 0));
    let mut said = spends("harbor-vault", 4);
    said.store = [6; 16];
    let vault = places.file("vault", sealed(&said, 1));
    refused(&arguments(&data, &[&hot], &["--plan"]), "statement_missing");
    let plan = places.plan("restored", &[&hot, &vault]);
    assert_eq!(plan["epoch"], 5, "later than every epoch that a signer has followed: {plan}");
    let (first, _) = places.signed(&plan["signers"][0], "first.txt", &["alice", "bob"]);
    let done = holdfast(&arguments(&data, &[&hot, &vault], &borrowed(&first)));
    assert!(done.contains("Still missing, each with an act of its own: harbor-vault"), "{done}");
    assert!(serve(&places.path("restored"), "").err().unwrap().contains("restored_not_recovered"));

    let mark = std::fs::read(places.path("restored/restored")).unwrap();
    let plan = places.plan("restored", &[&vault]);
    assert_eq!((&plan["epoch"], plan["signers"].as_array().unwrap().len()), (&5.into(), 1), "{plan}");
    let (second, _) = places.signed(&plan["signers"][0], "second.txt", &["bob", "carol"]);
    holdfast(&arguments(&data, &[&vault], &borrowed(&second)));
    // A crash before the mark was taken away: the records are in, and nobody has to sign again.
    std::fs::write(places.path("restored/restored"), mark).unwrap();
    assert!(serve(&places.path("restored"), "").err().unwrap().contains("restored_not_recovered"));
    let done = holdfast(&["recover", "--data", &data]);
    assert!(done.contains("All signers' records are in epoch 5"), "{done}");
    drop(serve(&places.path("restored"), "").unwrap());
    assert!(holdfast(&["replay", "--data", &data]).contains("equal"));
}

#[test]
fn what_the_journal_settled_itself_is_not_taken_in_again() {
    let exchange = exchange(&["harbor-hot"]);
    let places = Places(&exchange);
    let server = ready(&exchange);
    let final_id = approved(&server, "1", PAYEE, "1");
    let open_id = approved(&server, "2", OTHER, "2");
    let text = |id: &str| server.get(&format!("/v1/withdrawals/{id}/text")).text;
    let (final_text, open_text) = (text(&final_id), text(&open_id));
    let bytes = crate::harbor::payment(0, PAYEE, crate::harbor::ETH);
    let proposed = crate::harbor::propose(&server, &bytes, &[&final_id]);
    let digest = proposed.body["digest"].as_str().unwrap().to_owned();
    let hot = crate::harbor::HOT.to_lowercase();
    let seen = server.post(
        "/v1/chain/observations",
        &serde_json::json!({ "network": "ethereum", "wallet": "eth-hot", "observations": [{
            "transaction": format!("0x{}", "ab".repeat(32)), "spends": [format!("1:{hot}:0")],
            "outputs": [{ "address": PAYEE, "contract": null, "amount": crate::harbor::ETH.to_string() }],
            "status": "included", "confirmations": 3 }] }),
    );
    assert_eq!(seen.body["results"][0]["effect"], "final", "{}", seen.body);
    server.kill();
    places.backup("backup", &[]);
    places.restore("backup", "restored");

    let mut said = spends("harbor-hot", 1);
    let mut paid = spend(&final_text, "eth-hot", 0);
    paid.transactions[0].digest = holdfast_server::record::unhex(&digest).unwrap();
    // One that the journal never heard of: made of a text that it has.
    let lost_text =
        open_text.replace(&open_id, &final_id.replace(&final_id[3..], "00000000000000000000000001"));
    said.spends = vec![paid, spend(&open_text, "eth-hot", 1), spend(&lost_text, "eth-hot", 2)];
    let statement = places.file("statement", sealed(&said, 0));
    let plan = places.plan("restored", &[&statement])["signers"][0].clone();
    assert_eq!(plan["settled"], 1, "{plan}");
    assert_eq!(plan["released"][0]["withdrawal"], open_id);
    assert_eq!(plan["lost"].as_array().unwrap().len(), 1);
    let (args, _) = places.signed(&plan, "text.txt", &["alice", "bob"]);
    holdfast(&arguments(&places.text("restored"), &[&statement], &borrowed(&args)));

    // A backup of the new epoch, restored: what was lost the first time has been reckoned with.
    let data = places.path("restored");
    let second = places.text("backup2");
    holdfast(&["backup", "--data", data.to_str().unwrap(), "--out", &second]);
    places.restore("backup2", "restored2");
    said.epoch = 2;
    let newer = places.file("newer", sealed(&said, 0));
    let plan = places.plan("restored2", &[&newer]);
    assert_eq!((&plan["epoch"], &plan["signers"][0]["settled"]), (&3.into(), &2.into()), "{plan}");
    assert!(plan["signers"][0]["lost"].as_array().unwrap().is_empty());
}

#[test]
fn a_whole_day_of_lost_payments_comes_in_at_once() {
    let (exchange, intent) = backed_up(&["harbor-hot"]);
    let places = Places(&exchange);
    let data = places.text("restored");
    let id = intent.lines().find_map(|line| line.strip_prefix("withdrawal: ")).unwrap();
    let mut said = spends("harbor-hot", 1);
    for number in 1..=3_000_u32 {
        let text = intent.replace(id, &format!("{}{number:08}", &id[..id.len() - 8]));
        // Batches of 250: what a transaction spends is said once.
        let mut spend = spend(&text, "eth-hot", (number / 250) as u8);
        let keys = (0..50).map(|input| format!("1:{}:{input}", crate::harbor::HOT.to_lowercase()));
        spend.transactions[0].conflict_keys = keys.map(|key| key.parse().unwrap()).collect();
        said.spends.push(spend);
    }
    let statement = places.file("statement", sealed(&said, 0));
    let plan = places.plan("restored", &[&statement])["signers"][0].clone();
    assert_eq!(plan["lost"].as_array().unwrap().len(), 3_000);
    let (args, _) = places.signed(&plan, "text.txt", &["alice", "bob"]);
    holdfast(&arguments(&data, &[&statement], &borrowed(&args)));
    assert!(holdfast(&["journal", "verify", "--data", &data]).contains("intact"));
    let server = serve(&places.path("restored"), &exchange.token).unwrap();
    assert_eq!(server.get("/health").status, 200);
    assert_eq!(server.stop(), Some(0));
}
