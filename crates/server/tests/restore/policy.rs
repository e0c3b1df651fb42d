//! The policy, with the real signer: it follows what operators signed and let ripen, and nothing that a journal says alone.

use holdfast_authn::encoding::base64;
use serde_json::{Value, json};

use crate::harbor::{ETH, Hot, PAYEE, approved, config, payment, propose, ready};
use crate::server::{Exchange, Server};

/// Carries what signers are to be told, as the wallet's service does; how many steps of the policy there were.
fn carry(server: &Server, signer: &mut Hot, after: &mut u64) -> usize {
    // The views follow the journal.
    let sequence = server.get("/health").body["sequence"].as_u64().unwrap_or_default();
    let answer = server.get(&format!("/v1/enrolments?after={after}&min-sequence={sequence}"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let documents = answer.body["documents"].as_array().unwrap();
    for document in documents {
        assert_eq!((&document["kind"], &document["account"]), (&json!("policy"), &Value::Null));
        let sealed = base64(document["document"].as_str().unwrap().as_bytes()).unwrap();
        signer.0.introduce_policy(&sealed).unwrap();
        *after = document["number"].as_u64().unwrap();
    }
    documents.len()
}

/// Pays one ether under the policy of the moment: the code with which the signer refuses.
fn pay(server: &Server, signer: &mut Hot, number: u64) -> Option<&'static str> {
    let withdrawal = approved(server, &number.to_string(), PAYEE, "1");
    let transaction = payment(number, PAYEE, ETH);
    let answer = propose(server, &transaction, &[&withdrawal]);
    signer.authorise(&answer, &transaction).err().map(|error| error.code())
}

#[test]
fn a_journal_that_root_wrote_under_a_policy_of_his_own_releases_nothing() {
    // All is his: database, journal, release key. What he lacks is the word of the operators whom the signer pins.
    let exchange = Exchange::open_with(&config(&["harbor-hot"]));
    std::fs::write(exchange.dir.path().join("policy.hash"), "5e".repeat(32)).unwrap();
    let mut signer = Hot::new(&exchange);
    let server = ready(&exchange);
    let mut after = 0;
    assert_eq!(carry(&server, &mut signer, &mut after), 0);
    assert_eq!(pay(&server, &mut signer, 0), Some("policy_not_approved"));
}
