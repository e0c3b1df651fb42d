//! The policy, with the real signer: it follows what operators signed and let ripen, and nothing that a journal says alone.

use std::time::{Duration, Instant};

use holdfast_authn::encoding::base64;
use holdfast_signer::system_clock;
use serde_json::{Value, json};

use crate::harbor::{ETH, Hot, PAYEE, approved, config, payment, propose, ready};
use crate::server::{Answer, Exchange, Server};

const BASE: &str = "@id(\"all\") permit (principal, action, resource);";
const OVERLAY: &str = "@id(\"huge\") @outcome(\"deny\") @reason(\"huge\")\n\
                       forbid (principal, action == Action::\"withdraw\", resource)\n\
                       when { context.amount_usd_cents > 100000000000000 };\n";
/// Both delays, of Holdfast and of the signer.
const DELAY: &str = "4s";

fn act(
    (exchange, server): (&Exchange, &Server),
    (name, target, detail): (&str, &str, &str),
    payload: Option<&Value>,
    signers: &[&str],
) -> Answer {
    let payload = payload.map(Value::to_string);
    let text = exchange.text(server.now(), name, target, detail, payload.as_deref());
    let answer = server.post("/v1/operator-acts", &exchange.signed(&text, signers, payload.as_deref()));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer
}

fn hash_of(files: &Value) -> String {
    let files = files.as_object().unwrap().iter();
    let texts: Vec<(&str, &str)> =
        files.map(|(name, text)| (name.as_str(), text.as_str().unwrap())).collect();
    holdfast_server::record::hex(&holdfast_values::pack_hash(texts))
}

fn until(what: &str, mut ready: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ready() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

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
fn what_operators_signed_and_let_ripen_is_followed_by_the_signer_at_once_and_without_delay_only_what_tightens()
 {
    let settings = format!("[parameters]\nloosening_delay = \"{DELAY}\"\nsetup_window = \"6s\"\n");
    let exchange = Exchange::open_with(&config(&["harbor-hot"]).replacen("[parameters]\n", &settings, 1));
    let delays = format!("[policy]\ndelay = \"{DELAY}\"\nsetup = \"0s\"\n");
    let mut signer = Hot::with(&exchange, |pins| pins.replace("[policy]\n", &delays), system_clock());
    let server = ready(&exchange);
    let here = (&exchange, &server);
    let active = || server.get("/v1/policy").body["hash"].as_str().unwrap().to_owned();
    let base = active();
    let mut after = 0;
    assert_eq!(pay(&server, &mut signer, 0), None);
    until("the set-up is over", || server.get("/v1/operator-acts").body["setup_until"].is_null());

    // Loosened: proposed by one, approved by two others, and only then, after the delay, in releases.
    let loose = json!({ "all.cedar": BASE.replace("all", "wide") });
    let (wide, from) = (hash_of(&loose), format!("from={base}"));
    let proposal = json!({ "files": loose, "reason": "Another name.", "report": {} });
    act(here, ("propose_policy", &wide, &from), Some(&proposal), &["alice"]);
    let approval =
        act(here, ("approve_policy", &wide, &format!("{from} author=alice")), None, &["bob", "carol"]);
    assert_eq!(approval.body["in_effect"], false, "{}", approval.body);
    until("the step is told", || carry(&server, &mut signer, &mut after) == 1);
    assert_eq!(active(), base);
    assert_eq!(pay(&server, &mut signer, 1), None, "the one before goes on");
    until("the policy decides", || active() == wide);
    until("the signer's own delay is over", || pay_again(&server, &mut signer) != Some("policy_too_young"));
    let followed = signer.0.policy().unwrap().path;
    assert_eq!(holdfast_server::record::hex(&followed[0].hash), wide);

    // Tightened by one, at once; and back by two.
    let tight = json!({ "all.cedar": BASE.replace("all", "wide"), "huge.cedar": OVERLAY });
    let (tight_hash, from) = (hash_of(&tight), format!("from={wide}"));
    act(here, ("tighten_policy", &tight_hash, &from), Some(&tight), &["carol"]);
    assert_eq!(active(), tight_hash);
    assert_eq!(pay(&server, &mut signer, 20), Some("policy_not_approved"), "not before it is told");
    until("the step is told", || carry(&server, &mut signer, &mut after) >= 1);
    assert_eq!(pay(&server, &mut signer, 21), None);
    act(here, ("restore_policy", &wide, &format!("from={tight_hash}")), None, &["alice", "bob"]);
    until("the step is told", || carry(&server, &mut signer, &mut after) >= 1);
    assert_eq!(pay(&server, &mut signer, 22), None);
    assert_eq!(carry(&server, &mut signer, &mut after), 0, "each is told once");
}

/// Pays with a number of its own.
fn pay_again(server: &Server, signer: &mut Hot) -> Option<&'static str> {
    static NUMBER: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(100);
    pay(server, signer, NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
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
