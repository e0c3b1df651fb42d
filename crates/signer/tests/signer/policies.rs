//! Under which policy Holdfast may release: whoever controls it, its database and its release key, moves nothing without
//! the operators' words, their delay and their stops, by this signer's own clock.

use holdfast_authn::release::{self, Kind, PolicyStep, SignedAct};
use holdfast_signer::{Introduced, Refused, Signer, StepKind};
use holdfast_values::pack::pack_hash;
use holdfast_values::{OperatorText, Timestamp, time};

use crate::exchange::{CUSTOMER, Exchange, POLICY, START, hex};

type Files = Vec<(String, String)>;

const A: [u8; 32] = POLICY;
const B: [u8; 32] = [0xb; 32];
const C: [u8; 32] = [0xc; 32];

fn text(exchange: &Exchange, act: &str, from: [u8; 32], to: [u8; 32], more: &str) -> OperatorText {
    let mut text = exchange.act_text(act, &hex(&to), &format!("from={}{more}", hex(&from)));
    text.payload = matches!(act, "propose_policy" | "tighten_policy").then_some([0x9a; 32]);
    text
}

fn step(exchange: &Exchange, act: SignedAct) -> PolicyStep {
    PolicyStep {
        exchange: "harbor.example".parse().unwrap(),
        sequence: 50,
        at: exchange.now(),
        act,
        proposal: None,
        files: vec![],
        from_files: vec![],
        stopped: false,
    }
}

/// Proposed by `author`, approved by others.
fn approval(exchange: &Exchange, from: [u8; 32], to: [u8; 32], author: &str, by: &[&str]) -> PolicyStep {
    let proposed = text(exchange, "propose_policy", from, to, "").to_string();
    let approved = text(exchange, "approve_policy", from, to, &format!(" author={author}")).to_string();
    let proposal = Some(exchange.sign(&proposed, &[author]));
    PolicyStep { proposal, ..step(exchange, exchange.sign(&approved, by)) }
}

fn restore(exchange: &Exchange, from: [u8; 32], to: [u8; 32], by: &[&str]) -> PolicyStep {
    step(exchange, exchange.sign(&text(exchange, "restore_policy", from, to, "").to_string(), by))
}

fn hash_of(files: &Files) -> [u8; 32] {
    pack_hash(files.iter().map(|(name, text)| (name.as_str(), text.as_str())))
}

fn files(texts: &[(&str, &str)]) -> Files {
    texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn tightening(exchange: &Exchange, from: &Files, to: &Files, by: &[&str]) -> PolicyStep {
    let act = text(exchange, "tighten_policy", hash_of(from), hash_of(to), "").to_string();
    let (files, from_files) = (to.clone(), from.clone());
    PolicyStep { files, from_files, ..step(exchange, exchange.sign(&act, by)) }
}

fn introduce(exchange: &Exchange, signer: &mut Signer, step: &PolicyStep) -> Result<Introduced, Refused> {
    signer.introduce_policy(&release::seal(Kind::Policy, &step.to_bytes(), &exchange.release_key))
}

fn refused(exchange: &Exchange, signer: &mut Signer, step: &PolicyStep) -> &'static str {
    introduce(exchange, signer, step).unwrap_err().code()
}

/// A release under a policy: nothing, or the code of its refusal.
fn pay(exchange: &Exchange, signer: &mut Signer, policy: [u8; 32]) -> Option<&'static str> {
    let intent = exchange.intent(CUSTOMER, 1_000);
    let transaction = exchange.psbt(&[(CUSTOMER, 1_000)]);
    let mut release = exchange.release(&transaction, &[intent]);
    release.policy = policy;
    exchange.ask(signer, &release, &transaction).err().map(|error| error.code())
}

fn followed(signer: &mut Signer) -> Vec<[u8; 32]> {
    signer.policy().unwrap().path.iter().rev().map(|followed| followed.hash).collect()
}

#[test]
fn a_policy_that_root_activated_in_the_database_releases_nothing() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_not_approved"));
    assert_eq!(pay(&exchange, &mut signer, A), None);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_not_approved"));
    exchange.wait(90 * time::DAY);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_not_approved"), "time alone approves nothing");
    assert_eq!(followed(&mut signer), [A]);
    assert_eq!(signer.status().unwrap().policy, Some(A));
}

#[test]
fn an_approved_policy_counts_after_the_delay_by_the_signers_clock_and_ends_the_one_before() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let approved = approval(&exchange, A, B, "carol", &["alice", "bob"]);
    let first = introduce(&exchange, &mut signer, &approved).unwrap();
    assert_eq!((first.to, first.repeated), (B, false));
    assert_eq!(first.counts_from, START.plus(time::DAY));
    exchange.wait(time::DAY - 1);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_too_young"));
    assert_eq!(pay(&exchange, &mut signer, A), None, "the one before goes on until then");
    let again = introduce(&exchange, &mut signer, &approved).unwrap();
    assert_eq!(again, Introduced { repeated: true, ..first }, "showing it again changes no date");
    exchange.wait(1);
    assert_eq!(
        pay(&exchange, &mut signer, A),
        None,
        "a release in flight, before the first under the new one"
    );
    assert_eq!(pay(&exchange, &mut signer, B), None);
    assert_eq!(pay(&exchange, &mut signer, A), Some("policy_superseded"));
    assert_eq!(pay(&exchange, &mut signer, B), None);
    assert_eq!(followed(&mut signer), [A, B]);
    let status = signer.policy().unwrap();
    assert_eq!(status.links[0].spent, Some(exchange.now()));
    assert_eq!(status.path[1].until, Some(exchange.now()));
}

#[test]
fn what_holdfast_says_of_the_time_shortens_no_delay() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let mut approved = approval(&exchange, A, B, "carol", &["alice", "bob"]);
    // A record of long ago, and one of the future: the signer saw it now.
    for at in [Timestamp(1), START.plus(40 * time::DAY)] {
        approved.at = at;
        let introduced = introduce(&exchange, &mut signer, &approved).unwrap();
        assert_eq!(introduced.counts_from, START.plus(time::DAY));
    }
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_too_young"));
    let intent = exchange.intent(CUSTOMER, 1_000);
    let transaction = exchange.psbt(&[(CUSTOMER, 1_000)]);
    let mut release = exchange.release(&transaction, &[intent]);
    release.policy = B;
    release.not_before = START.plus(2 * time::DAY);
    release.expires = release.not_before.plus(time::MINUTE);
    assert_eq!(exchange.refusal(&mut signer, &release, &transaction), "not_yet_valid");
}

#[test]
fn an_approval_takes_the_threshold_of_pinned_operators_besides_its_author() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let forged = |by: &[&str], names: &[&str]| {
        let mut approved = approval(&exchange, A, B, "carol", by);
        for (signature, name) in approved.act.signatures.iter_mut().zip(names) {
            signature.operator = name.parse().unwrap();
        }
        approved
    };
    for (step, why) in [
        (forged(&[], &[]), "nobody"),
        (forged(&["alice"], &["alice"]), "one"),
        (forged(&["alice", "alice"], &["alice", "alice"]), "one operator twice"),
        (forged(&["alice", "alice"], &["alice", "bob"]), "one operator under two names"),
        (forged(&["alice", "carol"], &["alice", "carol"]), "the author's own as the second"),
        (forged(&["alice", "bob"], &["alice", "mallory"]), "a key that is not pinned"),
    ] {
        assert_eq!(refused(&exchange, &mut signer, &step), "signatures_missing", "{why}");
    }
    // Somebody who signs the approval of his own change says that it was another's: then that other one's proposal lacks.
    let mut own = approval(&exchange, A, B, "carol", &["alice", "bob"]);
    own.proposal = Some(exchange.sign(&text(&exchange, "propose_policy", A, B, "").to_string(), &["alice"]));
    assert_eq!(refused(&exchange, &mut signer, &own), "policy_proposal_differs");
    own.proposal = None;
    assert_eq!(refused(&exchange, &mut signer, &own), "policy_proposal_differs");
    for other in [
        text(&exchange, "propose_policy", A, C, ""),
        text(&exchange, "propose_policy", C, B, ""),
        text(&exchange, "approve_policy", A, B, " author=carol"),
        OperatorText {
            exchange: "pier.example".parse().unwrap(),
            ..text(&exchange, "propose_policy", A, B, "")
        },
        OperatorText { payload: None, ..text(&exchange, "propose_policy", A, B, "") },
    ] {
        own.proposal = Some(exchange.sign(&other.to_string(), &["carol"]));
        assert_eq!(refused(&exchange, &mut signer, &own), "policy_proposal_differs", "{other}");
    }
    exchange.wait(2 * time::DAY);
    assert_eq!(
        pay(&exchange, &mut signer, B),
        Some("policy_not_approved"),
        "none of it left anything behind"
    );
}

#[test]
fn texts_that_say_something_else_are_no_steps() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let good = || text(&exchange, "approve_policy", A, B, " author=carol");
    let detail = |detail: String| OperatorText { detail: detail.parse().unwrap(), ..good() };
    let target = |target: String| OperatorText { target: target.parse().unwrap(), ..good() };
    let (from, to) = (hex(&A), hex(&B));
    for wrong in [
        OperatorText { exchange: "pier.example".parse().unwrap(), ..good() },
        OperatorText { act: "activate_policy".parse().unwrap(), ..good() },
        OperatorText { payload: Some([1; 32]), ..good() },
        target(to.to_uppercase()),
        target(to[2..].to_owned()),
        target(from.clone()),
        detail(format!("from={from}")),
        detail(format!("from={from} author=carol,bob")),
        detail(format!("from={} author=carol", from.to_uppercase().replace('0', "A"))),
        detail(format!("author=carol from={from}")),
        OperatorText { payload: None, ..text(&exchange, "tighten_policy", A, B, "") },
        text(&exchange, "restore_policy", A, B, " author=carol"),
    ] {
        let mut step = approval(&exchange, A, B, "carol", &["alice", "bob"]);
        step.act = exchange.sign(&wrong.to_string(), &["alice", "bob"]);
        assert_eq!(refused(&exchange, &mut signer, &step), "policy_step_differs", "{wrong}");
    }
    let mut elsewhere = approval(&exchange, A, B, "carol", &["alice", "bob"]);
    elsewhere.exchange = "pier.example".parse().unwrap();
    assert_eq!(refused(&exchange, &mut signer, &elsewhere), "exchange_differs");
    let approved = approval(&exchange, A, B, "carol", &["alice", "bob"]);
    let other_key = release::SigningKey::from_seed(&[7; 32]);
    let sealed = release::seal(Kind::Policy, &approved.to_bytes(), &other_key);
    assert_eq!(signer.introduce_policy(&sealed).unwrap_err().code(), "policy_step_key_unknown");
    let sealed = release::seal(Kind::Release, &approved.to_bytes(), &exchange.release_key);
    assert_eq!(signer.introduce_policy(&sealed).unwrap_err().code(), "policy_step_signature");
    // Another text under a nonce that was used; and one that is long over.
    introduce(&exchange, &mut signer, &approved).unwrap();
    let nonce = OperatorText::parse(approved.act.text.as_bytes()).unwrap().nonce;
    let mut other = approval(&exchange, A, C, "carol", &["alice", "bob"]);
    let again = OperatorText { nonce, ..text(&exchange, "approve_policy", A, C, " author=carol") };
    other.act = exchange.sign(&again.to_string(), &["alice", "bob"]);
    assert_eq!(refused(&exchange, &mut signer, &other), "act_used");
    let late = approval(&exchange, A, C, "carol", &["alice", "bob"]);
    exchange.wait(9 * time::DAY);
    assert_eq!(refused(&exchange, &mut signer, &late), "act_not_now");
}

#[test]
fn a_step_from_a_policy_that_does_not_count_leads_nowhere() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    introduce(&exchange, &mut signer, &approval(&exchange, C, B, "carol", &["alice", "bob"])).unwrap();
    exchange.wait(2 * time::DAY);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_not_approved"));
    // Once there is a way to it, both are walked at once, as by a signer that nobody asked for a while.
    introduce(&exchange, &mut signer, &approval(&exchange, A, C, "alice", &["carol", "bob"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_too_young"));
    exchange.wait(time::DAY);
    assert_eq!(pay(&exchange, &mut signer, B), None);
    assert_eq!(followed(&mut signer), [A, C, B]);
}

#[test]
fn a_step_that_was_stopped_never_counts() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    let approved = approval(&exchange, A, B, "carol", &["alice", "bob"]);
    let stopped = PolicyStep { stopped: true, ..approved.clone() };
    introduce(&exchange, &mut signer, &approved).unwrap();
    assert!(introduce(&exchange, &mut signer, &stopped).unwrap().stopped);
    assert!(introduce(&exchange, &mut signer, &approved).unwrap().stopped, "shown again it stays stopped");
    exchange.wait(2 * time::DAY);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_stopped"));
    // In the other order, and beside this signer without Holdfast.
    let approved = approval(&exchange, A, C, "carol", &["alice", "bob"]);
    introduce(&exchange, &mut signer, &PolicyStep { stopped: true, ..approved.clone() }).unwrap();
    assert!(introduce(&exchange, &mut signer, &approved).unwrap().stopped);
    exchange.wait(2 * time::DAY);
    assert_eq!(pay(&exchange, &mut signer, C), Some("policy_stopped"));
    let third = approval(&exchange, A, B, "carol", &["alice", "bob"]);
    introduce(&exchange, &mut signer, &third).unwrap();
    let nonce = OperatorText::parse(third.act.text.as_bytes()).unwrap().nonce.0;
    signer.stop_policy(&nonce).unwrap();
    assert_eq!(signer.stop_policy(&[1; 32]).unwrap_err().code(), "policy_step_unknown");
    exchange.wait(2 * time::DAY);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_stopped"));
    assert_eq!(followed(&mut signer), [A]);
    // What was stopped can be approved anew.
    introduce(&exchange, &mut signer, &approval(&exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    exchange.wait(time::DAY);
    assert_eq!(pay(&exchange, &mut signer, B), None);
}

/// A signer at B, which was approved after A, an hour ago.
fn at_b(exchange: &Exchange) -> Signer {
    let mut signer = exchange.signer();
    introduce(exchange, &mut signer, &approval(exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    exchange.wait(time::DAY);
    assert_eq!(pay(exchange, &mut signer, B), None);
    exchange.wait(time::HOUR);
    signer
}

#[test]
fn going_back_takes_two_operators_within_three_days_of_leaving() {
    let exchange = Exchange::new();
    let mut signer = at_b(&exchange);
    assert_eq!(pay(&exchange, &mut signer, A), Some("policy_superseded"));
    let alone = restore(&exchange, B, A, &["alice"]);
    assert_eq!(refused(&exchange, &mut signer, &alone), "signatures_missing");
    let twice = restore(&exchange, B, A, &["alice", "alice"]);
    assert_eq!(refused(&exchange, &mut signer, &twice), "signatures_missing");
    introduce(&exchange, &mut signer, &restore(&exchange, B, A, &["alice", "carol"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, A), None, "at once");
    assert_eq!(
        pay(&exchange, &mut signer, B),
        Some("policy_superseded"),
        "what led there is not taken again"
    );
    assert_eq!(followed(&mut signer), [A, B, A]);

    let exchange = Exchange::new();
    let mut signer = at_b(&exchange);
    exchange.wait(71 * time::HOUR);
    introduce(&exchange, &mut signer, &restore(&exchange, B, A, &["alice", "carol"])).unwrap();
    exchange.wait(time::DAY);
    assert_eq!(pay(&exchange, &mut signer, A), None, "it was in time when it came");

    let exchange = Exchange::new();
    let mut signer = at_b(&exchange);
    exchange.wait(71 * time::HOUR + 1);
    introduce(&exchange, &mut signer, &restore(&exchange, B, A, &["alice", "carol"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, A), Some("policy_superseded"), "72 hours are over");
}

#[test]
fn nobody_goes_back_to_what_was_never_a_base() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    introduce(&exchange, &mut signer, &restore(&exchange, A, C, &["alice", "bob"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, C), Some("policy_not_approved"), "it never counted here");
    // Nor to a tightening, which one operator alone made.
    drop(signer);
    let exchange = Exchange::new();
    let (base, tight) = packs();
    let mut signer = at_base(&exchange, &base);
    let (from, to) = (hash_of(&base), hash_of(&tight));
    introduce(&exchange, &mut signer, &tightening(&exchange, &base, &tight, &["alice"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, to), None);
    introduce(&exchange, &mut signer, &restore(&exchange, to, from, &["alice", "bob"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, from), None);
    introduce(&exchange, &mut signer, &restore(&exchange, from, to, &["alice", "bob"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, to), Some("policy_superseded"));
}

#[test]
fn of_two_approvals_from_one_policy_the_first_that_is_followed_ends_the_other() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    introduce(&exchange, &mut signer, &approval(&exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    introduce(&exchange, &mut signer, &approval(&exchange, A, C, "carol", &["alice", "bob"])).unwrap();
    exchange.wait(time::DAY);
    assert_eq!(pay(&exchange, &mut signer, B), None);
    assert_eq!(pay(&exchange, &mut signer, C), Some("policy_not_approved"));
    introduce(&exchange, &mut signer, &restore(&exchange, B, A, &["alice", "bob"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, A), None);
    for gone in [B, C] {
        assert!(pay(&exchange, &mut signer, gone).is_some(), "back at A, neither leads on");
    }
}

#[test]
fn a_policy_that_came_and_went_unseen_is_not_brought_back() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    introduce(&exchange, &mut signer, &approval(&exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    exchange.wait(2 * time::DAY);
    // Holdfast was at B and went back, and no release came while it was there.
    introduce(&exchange, &mut signer, &restore(&exchange, B, A, &["alice", "bob"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, A), None);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_not_approved"));
    assert_eq!(followed(&mut signer), [A]);
}

const BASE: &str = "@id(\"allow\")\npermit (principal, action, resource);\n@id(\"large\")\n\
    @tighter(\"amount_usd_cents lower\")\nforbid (principal, action, resource) when { context.amount_usd_cents > 1000000 };\n";

/// A pack, and one that tightens it.
fn packs() -> (Files, Files) {
    let overlay =
        "@id(\"stop\")\nforbid (principal, action, resource) when { context.amount_usd_cents > 5000 };\n";
    (files(&[("base.cedar", BASE)]), files(&[("base.cedar", BASE), ("overlay.cedar", overlay)]))
}

/// A signer that begins with a pack.
fn at_base(exchange: &Exchange, base: &Files) -> Signer {
    let pins = std::fs::read_to_string(exchange.pins_path()).unwrap();
    exchange.write_pins(&pins.replace(&hex(&POLICY), &hex(&hash_of(base))));
    exchange.signer()
}

#[test]
fn one_operator_tightens_at_once() {
    let exchange = Exchange::new();
    let (base, tight) = packs();
    let mut signer = at_base(&exchange, &base);
    let lower = files(&[("base.cedar", &BASE.replace("1000000", "900000"))]);
    let step = tightening(&exchange, &base, &tight, &["bob"]);
    assert_eq!(introduce(&exchange, &mut signer, &step).unwrap().counts_from, exchange.now());
    assert_eq!(pay(&exchange, &mut signer, hash_of(&tight)), None);
    assert_eq!(
        pay(&exchange, &mut signer, hash_of(&base)),
        Some("policy_superseded"),
        "the looser one is over"
    );
    introduce(
        &exchange,
        &mut signer,
        &restore(&exchange, hash_of(&tight), hash_of(&base), &["alice", "bob"]),
    )
    .unwrap();
    introduce(&exchange, &mut signer, &tightening(&exchange, &base, &lower, &["carol"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, hash_of(&lower)), None, "a number in its declared direction");
    assert_eq!(followed(&mut signer), [hash_of(&base), hash_of(&tight), hash_of(&base), hash_of(&lower)]);
}

#[test]
fn an_insiders_loosening_that_is_called_tightening_is_refused() {
    let exchange = Exchange::new();
    let (base, tight) = packs();
    let mut signer = at_base(&exchange, &base);
    let overlay = |text: &str| files(&[("base.cedar", BASE), ("overlay.cedar", text)]);
    let based = |text: &str| files(&[("base.cedar", text)]);
    let large = "forbid (principal, action, resource) when { context.amount_usd_cents > 1000000 };";
    for (loose, why) in [
        (overlay("@id(\"x\")\npermit (principal, action, resource);\n"), "a permit in an overlay"),
        (
            overlay(
                "forbid (principal, action, resource) when { false };\npermit(principal, action, resource);",
            ),
            "behind one",
        ),
        (overlay("/* */ permit (principal, action, resource);"), "behind a comment"),
        (overlay("// x\rpermit (principal, action, resource);\n"), "behind a carriage return"),
        (based(&BASE.replace("1000000", "1000001")), "a number the wrong way"),
        (based(&BASE.replace("> 1000000", ">= 1000000").replace("> 1", "< 1")), "another operator"),
        (
            based(&BASE.replace("\"amount_usd_cents lower\"", "\"amount_usd_cents higher\"")),
            "another direction",
        ),
        (based(&BASE.replace(large, "")), "without a forbid"),
        (based(&BASE.replace(large, &format!("// {large}"))), "a forbid in a comment"),
        (files(&[("other.cedar", BASE)]), "another file"),
        (vec![], "nothing"),
    ] {
        let step = tightening(&exchange, &base, &loose, &["alice"]);
        assert_eq!(refused(&exchange, &mut signer, &step), "policy_loosens", "{why}");
        let all = tightening(&exchange, &base, &loose, &["alice", "bob", "carol"]);
        assert_eq!(refused(&exchange, &mut signer, &all), "policy_loosens", "{why}, whoever signs");
        assert_eq!(pay(&exchange, &mut signer, hash_of(&loose)), Some("policy_not_approved"), "{why}");
    }
    // Packs of other hashes than the text names: harmless ones beside a text that leads elsewhere.
    let honest = tightening(&exchange, &base, &tight, &["alice"]);
    let elsewhere = text(&exchange, "tighten_policy", hash_of(&base), C, "").to_string();
    let from_elsewhere = text(&exchange, "tighten_policy", C, hash_of(&tight), "").to_string();
    for act in [elsewhere, from_elsewhere] {
        let step = PolicyStep { act: exchange.sign(&act, &["alice"]), ..honest.clone() };
        assert_eq!(refused(&exchange, &mut signer, &step), "policy_step_differs");
    }
    let unsigned = tightening(&exchange, &base, &tight, &[]);
    assert_eq!(refused(&exchange, &mut signer, &unsigned), "signatures_missing");
    let bare = PolicyStep { files: vec![], from_files: vec![], ..honest.clone() };
    assert_eq!(refused(&exchange, &mut signer, &bare), "policy_step_differs");
    let stopped = PolicyStep { stopped: true, ..honest };
    assert_eq!(refused(&exchange, &mut signer, &stopped), "policy_step_differs");
    assert_eq!(signer.policy().unwrap().links, []);
}

#[test]
fn a_clock_that_steps_back_shortens_no_delay_and_takes_nothing_in() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    introduce(&exchange, &mut signer, &approval(&exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    exchange.set_clock(START.minus(time::HOUR));
    assert_eq!(pay(&exchange, &mut signer, A), Some("clock_behind"));
    let other = approval(&exchange, A, C, "carol", &["alice", "bob"]);
    assert_eq!(refused(&exchange, &mut signer, &other), "clock_behind");
    // It was ahead all the time, operators say: what was seen then was seen now, and waits its whole delay from now on.
    let status = signer.status().unwrap();
    let detail = format!("store={} counter={}", hex(&status.store), status.counter);
    signer.act(&exchange.act("adopt_store", "signer:harbor-hot", &detail, &["alice", "bob"])).unwrap();
    let link = &signer.policy().unwrap().links[0];
    assert_eq!((link.seen, link.counts_from), (exchange.now(), exchange.now().plus(time::DAY)));
    exchange.wait(time::DAY - 1);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_too_young"));
    exchange.wait(1);
    assert_eq!(pay(&exchange, &mut signer, B), None);
}

#[test]
fn steps_and_path_survive_a_restart() {
    let exchange = Exchange::new();
    let approved = approval(&exchange, A, B, "carol", &["alice", "bob"]);
    introduce(&exchange, &mut exchange.signer(), &approved).unwrap();
    exchange.wait(time::HOUR);
    let again = introduce(&exchange, &mut exchange.signer(), &approved).unwrap();
    assert_eq!((again.repeated, again.seen), (true, START));
    exchange.wait(23 * time::HOUR);
    assert_eq!(pay(&exchange, &mut exchange.signer(), B), None);
    assert_eq!(pay(&exchange, &mut exchange.signer(), A), Some("policy_superseded"));
    assert_eq!(followed(&mut exchange.signer()), [A, B]);
}

#[test]
fn what_is_refused_or_only_asked_moves_nothing() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    introduce(&exchange, &mut signer, &approval(&exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    exchange.wait(time::DAY);
    let intent = exchange.intent(CUSTOMER, 1_000);
    let transaction = exchange.psbt(&[(CUSTOMER, 1_000)]);
    let mut release = exchange.release(&transaction, &[intent]);
    release.policy = B;
    signer.would_authorise(&exchange.seal(&release), &transaction).unwrap();
    assert_eq!(followed(&mut signer), [A]);
    let much = exchange.intent(CUSTOMER, 50 * crate::exchange::BTC);
    let transaction = exchange.psbt(&[(CUSTOMER, 50 * crate::exchange::BTC)]);
    let mut release = exchange.release(&transaction, &[much]);
    release.policy = B;
    assert_eq!(exchange.refusal(&mut signer, &release, &transaction), "bucket_empty");
    assert_eq!(followed(&mut signer), [A]);
    assert_eq!(pay(&exchange, &mut signer, A), None);
}

#[test]
fn a_flood_of_steps_is_bounded_and_keeps_nobody_else_out() {
    let exchange = Exchange::new();
    let (base, tight) = packs();
    let mut signer = at_base(&exchange, &base);
    let numbered = |n: u32| {
        files(&[("base.cedar", BASE), ("o.cedar", &format!("// {n}\nforbid (principal, action, resource);"))])
    };
    for n in 0..40 {
        let step = tightening(&exchange, &base, &numbered(n), &["alice"]);
        let taken = introduce(&exchange, &mut signer, &step).map(drop).map_err(|error| error.code());
        assert_eq!(taken, if n < 16 { Ok(()) } else { Err("policy_steps_many") });
    }
    for n in 0..70u8 {
        let step = approval(&exchange, [n; 32], [n + 1; 32], "alice", &["bob", "carol"]);
        let taken = introduce(&exchange, &mut signer, &step).map(drop).map_err(|error| error.code());
        assert_eq!(taken, if n < 64 { Ok(()) } else { Err("policy_steps_many") });
    }
    introduce(&exchange, &mut signer, &tightening(&exchange, &base, &tight, &["bob"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, hash_of(&tight)), None);
    assert_eq!(signer.policy().unwrap().links.len(), 81);
}

#[test]
fn tightenings_that_no_release_followed_give_their_place_back_after_a_day_and_still_count() {
    let exchange = Exchange::new();
    let (base, _) = packs();
    let mut signer = at_base(&exchange, &base);
    // One forbid more with each.
    let pack = |n: usize| {
        let names: Vec<String> = (0..n).map(|file| format!("o{file:02}.cedar")).collect();
        let mut all = vec![("base.cedar", BASE)];
        all.extend(names.iter().map(|name| (name.as_str(), "forbid (principal, action, resource);")));
        files(&all)
    };
    let steps: Vec<_> = (0..70).map(|n| tightening(&exchange, &pack(n), &pack(n + 1), &["alice"])).collect();
    let mut taken = 0;
    for day in 0..5 {
        for (n, step) in steps.iter().enumerate().skip(taken) {
            match introduce(&exchange, &mut signer, step).map(drop).map_err(|error| error.code()) {
                Ok(()) => taken = n + 1,
                Err(code) => {
                    assert_eq!(code, "policy_steps_many", "day {day}");
                    break;
                }
            }
        }
        assert_eq!(taken, 64.min(16 * (day + 1)), "16 a day, and 64 in all");
        exchange.wait(time::DAY);
    }
    assert_eq!(pay(&exchange, &mut signer, hash_of(&pack(64))), None, "all of them lead there");
    introduce(&exchange, &mut signer, &steps[64]).unwrap();
}

#[test]
fn a_new_store_is_set_up_without_delay_for_as_long_as_is_pinned() {
    let exchange = Exchange::with(|pins| pins.replace("setup = \"0s\"", "setup = \"1h\"\ndelay = \"7d\""));
    let mut signer = exchange.signer();
    signer.begin().unwrap();
    exchange.wait(time::HOUR - 1);
    introduce(&exchange, &mut signer, &approval(&exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    assert_eq!(pay(&exchange, &mut signer, B), None, "signatures suffice");
    let alone = approval(&exchange, B, C, "carol", &["alice"]);
    assert_eq!(refused(&exchange, &mut signer, &alone), "signatures_missing", "but none less");
    exchange.wait(1);
    let late =
        introduce(&exchange, &mut signer, &approval(&exchange, B, C, "carol", &["alice", "bob"])).unwrap();
    assert_eq!(late.counts_from, exchange.now().plus(7 * time::DAY));
    assert_eq!(pay(&exchange, &mut signer, C), Some("policy_too_young"));
}

#[test]
fn whoever_pins_another_policy_begins_anew_with_it() {
    let exchange = Exchange::new();
    let mut signer = at_b(&exchange);
    drop(signer.policy().unwrap());
    drop(signer);
    let pins = std::fs::read_to_string(exchange.pins_path()).unwrap();
    exchange.write_pins(&pins.replace(&hex(&A), &hex(&C)));
    let mut signer = exchange.signer();
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_superseded"), "what counted is over");
    assert_eq!(pay(&exchange, &mut signer, C), None);
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_superseded"));
    assert_eq!(followed(&mut signer), [A, B, C]);
}

#[test]
fn a_halted_signer_takes_steps_in_and_signs_nothing() {
    let exchange = Exchange::new();
    let mut signer = exchange.signer();
    signer.halt().unwrap();
    let introduced =
        introduce(&exchange, &mut signer, &approval(&exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    assert_eq!(introduced.counts_from, START.plus(time::DAY));
    assert_eq!(signer.policy().unwrap().links[0].kind, StepKind::Approved);
    assert_eq!(pay(&exchange, &mut signer, A), Some("halted"));
}

#[test]
fn the_section_policy_is_checked() {
    let exchange = Exchange::new();
    let pinned = std::fs::read_to_string(exchange.pins_path()).unwrap();
    let section = format!("[policy]\ninitial = \"{}\"\nsetup = \"0s\"\n", hex(&A));
    let parse = |text: &str| holdfast_signer::Pins::parse(text, std::path::Path::new("signer.toml"));
    let said = |with: &str| parse(&pinned.replace(&section, with)).unwrap_err().to_string();
    assert!(said("").starts_with("policy: "), "{}", said(""));
    let (good, zero) = (hex(&A), "0".repeat(63));
    for (text, place) in [
        (format!("[policy]\ninitial = \"{zero}\"\n"), "policy.initial: "),
        (format!("[policy]\ninitial = \"{}\"\n", "AB".repeat(32)), "policy.initial: "),
        (format!("[policy]\ninitial = \"{good}\"\ndelay = \"0s\"\n"), "policy.delay: "),
        (format!("[policy]\ninitial = \"{good}\"\ndelay = \"31d\"\n"), "policy.delay: "),
        (format!("[policy]\ninitial = \"{good}\"\nsetup = \"8d\"\n"), "policy.setup: "),
    ] {
        assert!(said(&text).starts_with(place), "{text}: {}", said(&text));
    }
    let usual = parse(&pinned.replace(&section, &format!("[policy]\ninitial = \"{good}\"\n")))
        .unwrap()
        .policy
        .unwrap();
    assert_eq!((usual.delay, usual.setup), (time::DAY, time::HOUR));
    // Before its store there is, a signer need not know the policy.
    let (_, unpinned) = pinned.split_once('\n').unwrap();
    assert!(parse(&unpinned.replace(&section, "")).unwrap().policy.is_none());
}

#[test]
fn a_store_from_before_the_policy_was_followed_begins_with_the_pinned_one_and_has_no_time_to_be_set_up() {
    let exchange = Exchange::with(|pins| pins.replace("setup = \"0s\"", "setup = \"7d\""));
    drop(exchange.signer());
    let db = rusqlite::Connection::open(exchange.store_path()).unwrap();
    db.execute_batch("drop table policy; drop table policy_path; drop table policy_links").unwrap();
    db.execute_batch("pragma user_version = 2; update signer set schema = 2").unwrap();
    db.close().unwrap();
    let mut signer = exchange.signer();
    let introduced =
        introduce(&exchange, &mut signer, &approval(&exchange, A, B, "carol", &["alice", "bob"])).unwrap();
    assert_eq!(introduced.counts_from, START.plus(time::DAY));
    assert_eq!(pay(&exchange, &mut signer, B), Some("policy_too_young"));
    assert_eq!(pay(&exchange, &mut signer, A), None);
}
