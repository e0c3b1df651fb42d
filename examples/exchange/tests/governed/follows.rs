//! What operators signed and let ripen.

use serde_json::{Value, json};

use crate::stand::{Stand, loose, until};

#[test]
fn a_loosening_that_two_approved_and_that_waited_is_in_the_next_release_and_the_money_moves() {
    let stand = Stand::new();
    let base = stand.initial.clone();
    assert_eq!(stand.withdraw("0.1").1, "approved");
    assert_eq!(stand.withdraw("1").1, "denied");
    until("the small one is paid", || stand.paid() == 10_000_000);
    assert_eq!(stand.released_under(), [base.clone()].into());

    // Alice proposes; her own hand does not count among the two.
    let hash = stand.propose(&stand.pack("loose", &[("all.cedar", &loose())]));
    let text = stand.approval(&hash);
    stand.send(&text, None, &["alice", "bob"]).refused("signatures_insufficient");
    stand.send(&text, None, &["bob", "carol"]).ok();
    let waiting = stand.ask("GET", "/v1/operator-acts", &Value::Null).1;
    assert_eq!(waiting["scheduled"][0]["act"], "approve_policy", "{waiting}");
    assert_eq!((stand.active(), stand.withdraw("1").1), (base.clone(), "denied".to_owned()), "not yet");
    let listed = |stand: &Stand| stand.signer(&["policy", "list"]).json();
    until("the courier has told the signer", || listed(&stand)["steps"] != json!([]));
    assert_eq!(stand.followed(), [base.as_str()], "it has heard, and follows nothing yet");

    until("the policy decides", || stand.active() == hash);
    let (_, status) = stand.withdraw("1");
    assert_eq!(status, "approved");
    until("the large one is paid", || stand.paid() == 110_000_000);
    assert_eq!(stand.released_under(), [base.clone(), hash.clone()].into());
    assert_eq!(stand.followed(), [hash.as_str(), base.as_str()]);
    let log = stand.holdfast(&["policy", "log", "--data", &stand.place("data"), "--json"]);
    assert!(log.went, "{log:?}");
}
