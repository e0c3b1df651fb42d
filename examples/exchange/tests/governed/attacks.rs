//! What a journal, a server or one insider says alone.

use holdfast_authn::release::{Kind, OperatorSignature, PolicyStep, SignedAct};
use holdfast_values::Timestamp;

use crate::forge::{acknowledge, approve_in_place};
use crate::stand::{BASE, Stand, loose, until};

#[test]
fn a_policy_that_root_wrote_into_the_journal_in_place_is_refused_by_the_signer_and_nothing_is_paid() {
    let mut stand = Stand::new();
    stand.withdraw("0.1");
    until("the small one is paid", || stand.paid() == 10_000_000);
    let hash = stand.propose(&stand.pack("loose", &[("all.cedar", &loose())]));
    let text = std::fs::read_to_string(stand.approval(&hash)).unwrap();

    let data = stand.stop();
    approve_in_place(&data, &text, ["bob", "carol"]);
    // Holdfast knows what it acknowledged. Root writes that anew as well, and then it believes its journal: the chain of
    // hashes is whole.
    stand.does_not_start().refused("journal_behind_checkpoint");
    acknowledge(&data);
    stand.start();
    let data = stand.place("data");
    assert!(stand.holdfast(&["journal", "verify", "--data", &data]).went);
    assert_eq!(stand.active(), hash);
    let (id, status) = stand.withdraw("1");
    assert_eq!(status, "approved");
    // The signer believes neither: not the approval that nobody signed, not the policy.
    let refused = ["the signer refuses", "policy_not_approved"];
    until("the wallet is told why", || stand.logged("wallet", &refused));
    until("nor what it was told", || {
        stand.logged("wallet", &["refuses what it is told", "signatures_missing"])
    });
    assert_eq!(stand.followed(), [stand.initial.as_str()]);
    assert_eq!(stand.paid(), 10_000_000, "{id} is not paid");
    assert_eq!(stand.released_under(), [stand.initial.clone()].into());
    // Whoever asks the journal itself finds it out as well.
    assert!(!stand.holdfast(&["replay", "--data", &data]).went);
    let log = stand.holdfast(&["policy", "log", "--data", &data, "--json"]);
    assert!(!log.went, "{log:?}");
}

#[test]
fn an_insiders_loosening_that_is_called_a_tightening_is_refused_by_holdfast_and_by_the_signer() {
    let stand = Stand::new();
    let more = "@id(\"more\") permit (principal, action, resource);";
    let loose = loose();
    let packs = [
        ("raised", vec![("all.cedar", loose.as_str())], "all.cedar:3 (large)"),
        ("added", vec![("all.cedar", BASE), ("more.cedar", more)], "more.cedar:1"),
        ("renamed", vec![("others.cedar", BASE)], "all.cedar: the file is missing"),
    ];
    for (name, files, place) in packs {
        let (text, payload) = stand.tightening(&stand.pack(name, &files));
        let said = stand.send(&text, Some(&payload), &["carol"]);
        said.refused("policy_not_tighter");
        said.refused(place);

        // Holdfast says otherwise: the very text, well signed, and either the packs as they are, ...
        let signed = signed(&stand, &text);
        let owned = |files: &[(&str, &str)]| -> Vec<(String, String)> {
            files.iter().map(|(file, text)| ((*file).to_owned(), (*text).to_owned())).collect()
        };
        let mut step = PolicyStep {
            exchange: "harbor.example".parse().unwrap(),
            sequence: 9,
            at: Timestamp(0),
            act: signed,
            proposal: None,
            files: owned(&files),
            from_files: owned(&[("all.cedar", BASE)]),
            stopped: false,
        };
        stand.whisper(Kind::Policy, &step.to_bytes()).refused("policy_loosens");
        // ... or a pack before that is looser already, or one after that is not what was signed.
        step.from_files = step.files.clone();
        stand.whisper(Kind::Policy, &step.to_bytes()).refused("policy_step_differs");
        step.from_files = owned(&[("all.cedar", BASE)]);
        step.files = step.from_files.clone();
        stand.whisper(Kind::Policy, &step.to_bytes()).refused("policy_step_differs");
    }
    let listed = stand.signer(&["policy", "list"]).json();
    assert_eq!(listed["steps"], serde_json::json!([]), "{listed}");
    assert_eq!((stand.active(), stand.followed()), (stand.initial.clone(), vec![stand.initial.clone()]));
    assert_eq!(stand.withdraw("1").1, "denied");
}

/// The text as Carol signed it.
fn signed(stand: &Stand, text: &str) -> SignedAct {
    let signatures = stand.signatures(text, &["carol"]);
    let (_, signature) = signatures[1].split_once('=').unwrap();
    SignedAct {
        text: std::fs::read_to_string(text).unwrap(),
        signatures: vec![OperatorSignature {
            operator: "carol".parse().unwrap(),
            signature: holdfast_authn::parse_operator_proof(signature).unwrap(),
        }],
    }
}
