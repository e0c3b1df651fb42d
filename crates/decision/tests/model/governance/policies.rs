//! Policies: proposed and approved, tightened, restored.

use holdfast_decision::Refusal;
use holdfast_decision::acts::{Act, PolicyProposal};
use holdfast_decision::command::{Command, OperatorKey};
use holdfast_decision::event::{Event, PolicyMoveKind, ProposalEnd, Status};
use holdfast_decision::governance::{PROPOSALS_MAX, PROPOSALS_OF_ONE_MAX};
use holdfast_decision::{Act as AnyAct, State};
use holdfast_values::{Network, time};

use super::{
    BASE, STOP, approve, base, compiled, does, house, lapses, looser, propose, refuses, restore, scheduled,
    stop, stopping, tighten,
};
use crate::approvals::{refusal, sure};
use crate::play::Run;
use crate::world::{Signing, account, name, operator, request, usual_prices};

const OTHERS: [&str; 2] = ["bob", "carol"];

fn proposed() -> Run {
    let mut run = house();
    does(&mut run, propose(looser(), &base()), &["alice"]);
    run
}

#[test]
fn a_looser_policy_takes_its_author_two_others_and_a_day() {
    let mut run = proposed();
    assert_eq!(run.state.policy_hash(), base().hash, "a proposal decides nothing");
    let events = does(&mut run, approve(&looser(), &base(), "alice"), &OTHERS);
    assert!(matches!(events[..], [Event::ActAccepted { .. }, Event::ActScheduled(_)]), "{events:?}");
    run.wait(time::DAY - time::SECOND);
    assert_eq!(run.state.policy_hash(), base().hash);
    let ticks = run.wait(time::SECOND);
    let done = ticks.iter().find(|events| matches!(events[0], Event::ActTookEffect { .. })).unwrap();
    let [_, Event::PolicyMoved(moved), Event::PolicyActivated(now), Event::ProposalClosed { why, .. }] =
        &done[..]
    else {
        panic!("{done:?}")
    };
    assert_eq!((moved.how, moved.from, moved.hash), (PolicyMoveKind::Approved, base().hash, looser().hash));
    assert_eq!(moved.author, Some(name("alice")));
    assert_eq!(moved.approval.signatures.len(), 2, "the approvals stand in the journal");
    assert_eq!((now.hash, *why), (looser().hash, ProposalEnd::Activated));
    assert_eq!(run.state.policy_hash(), looser().hash);
    assert_eq!(run.state.policy_base_hash(), looser().hash);
    assert_eq!(run.state.policy_from(), Some(base().hash));
    assert_eq!(run.state.proposals().count() + run.state.scheduled_acts().count(), 0);
}

#[test]
fn who_proposes_does_not_approve() {
    for signers in
        [&["alice", "bob"][..], &["alice", "carol"], &["bob"], &["bob", "bob"], &["alice", "alice"]]
    {
        let mut run = proposed();
        let answer = refuses(&mut run, approve(&looser(), &base(), "alice"), signers);
        assert_eq!(answer, Some(Refusal::SignaturesInsufficient), "{signers:?}");
    }
    let mut run = proposed();
    does(&mut run, approve(&looser(), &base(), "alice"), &["alice", "bob", "carol"]);
}

#[test]
fn who_proposes_does_not_approve_under_a_second_name_of_the_same_key() {
    let mut run = proposed();
    does(&mut run, Act::RevokeOperator(name("alice")), &OTHERS);
    let again = OperatorKey { name: name("alina"), public_key: operator("alice").public_key };
    does(&mut run, Act::EnrolOperator(again.clone()), &OTHERS);
    run.wait(time::DAY);
    assert!(run.state.operators().any(|(known, _)| *known == again.name));
    run.wait(2 * time::DAY);
    let act = approve(&looser(), &base(), "alice");
    let mut signing = Signing::new(run.now, 77, &["bob"]);
    signing.signers.push(again);
    let events = run.say(signing.sign(act.clone()));
    assert_eq!(refusal(&events), Some(Refusal::SignaturesInsufficient));
    does(&mut run, act, &OTHERS);
}

#[test]
fn an_operator_counts_for_no_policy_before_the_ageing() {
    let mut run = house();
    does(&mut run, Act::EnrolOperator(operator("dave")), &["alice", "bob"]);
    run.wait(time::DAY + time::HOUR);
    assert!(run.state.operators().any(|(known, _)| *known == name("dave")));
    for act in [propose(looser(), &base()), tighten(stopping(), &base())] {
        assert_eq!(refuses(&mut run, act, &["dave"]), Some(Refusal::SignaturesInsufficient));
    }
    does(&mut run, propose(looser(), &base()), &["alice"]);
    let act = approve(&looser(), &base(), "alice");
    assert_eq!(refuses(&mut run, act.clone(), &["bob", "dave"]), Some(Refusal::SignaturesInsufficient));
    run.wait(time::DAY);
    does(&mut run, act, &["bob", "dave"]);
}

#[test]
fn an_approval_is_of_one_hash_after_one_hash_by_one_author() {
    let mut run = proposed();
    let other = compiled(&[("base.cedar", &BASE.replace("> 10000000", "> 80000000"))]);
    for (act, answer) in [
        (approve(&other, &base(), "alice"), Refusal::ProposalUnknown),
        (approve(&looser(), &other, "alice"), Refusal::PolicySuperseded),
        (approve(&looser(), &base(), "dora"), Refusal::ProposalUnknown),
        (Act::ActivatePolicy(Box::new(looser())), Refusal::ActReplaced),
    ] {
        assert_eq!(refuses(&mut run, act, &OTHERS), Some(answer));
    }
    let act = approve(&looser(), &base(), "alice");
    let text = Signing::new(run.now, 9, &OTHERS).text(&approve(&other, &base(), "alice"));
    let events = run.say(Signing::new(run.now, 9, &OTHERS).sign_text(act, text));
    assert_eq!(refusal(&events), Some(Refusal::TextDiffers));
}

#[test]
fn a_proposal_is_whole_and_has_one_author() {
    let mut run = house();
    let proposal = |reason: String, report: String, source, from| {
        Act::ProposePolicy(Box::new(PolicyProposal { source, from, reason, report }))
    };
    let (ok, from) = (|text: &str| text.to_owned(), base().hash);
    let mut swapped = looser();
    swapped.files = base().files;
    let mut foreign = looser();
    foreign.program = base().program;
    for (act, answer) in [
        (proposal(String::new(), ok("{}"), looser(), from), Refusal::ProposalInvalid),
        (proposal("x".repeat(1_025), ok("{}"), looser(), from), Refusal::ProposalInvalid),
        (proposal(ok("x"), "x".repeat(65_537), looser(), from), Refusal::ProposalInvalid),
        (proposal(ok("x"), ok("{}"), base(), from), Refusal::ProposalInvalid),
        (proposal(ok("x"), ok("{}"), looser(), looser().hash), Refusal::PolicySuperseded),
        (proposal(ok("x"), ok("{}"), swapped, from), Refusal::PolicyInvalid),
        (proposal(ok("x"), ok("{}"), foreign, from), Refusal::PolicyInvalid),
    ] {
        assert_eq!(refuses(&mut run, act, &["alice"]), Some(answer));
    }
    let good = propose(looser(), &base());
    assert_eq!(refuses(&mut run, good.clone(), &["alice", "bob"]), Some(Refusal::ProposalInvalid));
    does(&mut run, good.clone(), &["alice"]);
    assert_eq!(refuses(&mut run, good.clone(), &["alice"]), Some(Refusal::ProposalExists));
    does(&mut run, good, &["bob"]);
}

#[test]
fn of_two_proposals_that_race_the_first_wins_and_the_second_is_made_again() {
    let mut run = proposed();
    let second = compiled(&[("base.cedar", &BASE.replace("> 10000000", "> 80000000"))]);
    does(&mut run, propose(second.clone(), &base()), &["bob"]);
    does(&mut run, approve(&looser(), &base(), "alice"), &OTHERS);
    run.wait(time::HOUR);
    does(&mut run, approve(&second, &base(), "bob"), &["alice", "carol"]);
    let ticks = run.wait(time::DAY - time::HOUR);
    let closed: Vec<_> = ticks
        .iter()
        .flatten()
        .filter_map(|event| match event {
            Event::ProposalClosed { why, .. } => Some(*why),
            _ => None,
        })
        .collect();
    assert_eq!(closed.len(), 2);
    assert!(closed.contains(&ProposalEnd::Activated) && closed.contains(&ProposalEnd::Superseded));
    assert_eq!(lapses(&run.wait(time::HOUR)), [Refusal::PolicySuperseded]);
    assert_eq!(run.state.policy_hash(), looser().hash);
    let late = propose(second, &base());
    assert_eq!(refuses(&mut run, late, &["bob"]), Some(Refusal::PolicySuperseded));
}

#[test]
fn a_tightening_supersedes_what_waits() {
    let mut run = proposed();
    does(&mut run, approve(&looser(), &base(), "alice"), &OTHERS);
    run.wait(time::HOUR);
    let events = does(&mut run, tighten(stopping(), &base()), &["carol"]);
    assert!(matches!(&events[1..3], [Event::PolicyMoved(_), Event::PolicyActivated(_)]), "{events:?}");
    assert_eq!(lapses(&run.wait(time::DAY)), [Refusal::PolicySuperseded]);
    assert_eq!(run.state.policy_hash(), stopping().hash);
}

#[test]
fn tightening_is_at_once_by_one_operator() {
    let mut run = house();
    let from = run.now;
    does(&mut run, tighten(stopping(), &base()), &["carol"]);
    assert_eq!((run.state.policy_hash(), run.now), (stopping().hash, from), "no time passed");
    assert_eq!(run.state.policy_base_hash(), base().hash, "the quorum approved the base alone");
    let more = compiled(&[
        ("base.cedar", &BASE.replace("> 10000000", "> 5000000").replace("\"10m\"", "\"1h\"")),
        ("now.cedar", STOP),
    ]);
    does(&mut run, tighten(more.clone(), &stopping()), &["bob"]);
    assert_eq!((run.state.policy_hash(), run.state.policy_base_hash()), (more.hash, base().hash));
}

#[test]
fn no_loosening_passes_as_a_tightening() {
    let permit = "@id(\"p\") permit (principal, action == Action::\"withdraw\", resource);";
    let without_large = {
        let (start, end) = (BASE.find("@id(\"large\")").unwrap(), BASE.find("@id(\"wait\")").unwrap());
        format!("{}{}", &BASE[..start], &BASE[end..])
    };
    let edited = |from: &str, to: &str| {
        assert_eq!(BASE.matches(from).count(), 1, "{from}");
        vec![("base.cedar".to_owned(), BASE.replace(from, to))]
    };
    let overlay = |text: &str| {
        vec![("base.cedar".to_owned(), BASE.to_owned()), ("now.cedar".to_owned(), text.to_owned())]
    };
    for (what, files) in [
        ("a number the wrong way", edited("> 10000000", "> 10000001")),
        ("a number that nobody declared", edited("> 100 ", "> 99 ")),
        ("a string", edited("\"large_amount\"", "\"large\"")),
        ("an outcome", edited("@outcome(\"hold\") @reason", "@outcome(\"deny\") @reason")),
        ("a forbid less", vec![("base.cedar".to_owned(), without_large)]),
        ("an unless", edited("> 10000000 };", "> 10000000 } unless { context.approval.bound };")),
        ("a shorter dwell", edited("\"10m\"", "\"9m\"")),
        (
            "another condition",
            edited(
                "when { context.amount_usd_cents > 10000000 };",
                "when { context.amount_usd_cents > 10000000 && context.account.cooling_off };",
            ),
        ),
        ("a carriage return", edited("@id(\"large\")", "// x\r@id(\"large\")")),
        ("a permit in the overlay", overlay(permit)),
        ("a permit after a forbid", overlay(&format!("{STOP}{permit}"))),
        ("a base under another name", vec![("other.cedar".to_owned(), BASE.to_owned())]),
    ] {
        let files: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let mut run = house();
        let answer = refuses(&mut run, tighten(compiled(&files), &base()), &["alice"]);
        assert_eq!(answer, Some(Refusal::PolicyNotTighter), "{what}");
        // The hand of all does not make it one either: it is proposed, or it is not.
        let all = ["alice", "bob", "carol"];
        let answer = refuses(&mut run, tighten(compiled(&files), &base()), &all);
        assert_eq!(answer, Some(Refusal::PolicyNotTighter), "{what}");
    }
    let mut run = house();
    let mut lie = stopping();
    lie.program = looser().program;
    assert_eq!(refuses(&mut run, tighten(lie, &base()), &["alice"]), Some(Refusal::PolicyInvalid));
    let mut lie = looser();
    lie.files = stopping().files;
    assert_eq!(refuses(&mut run, tighten(lie, &base()), &["alice"]), Some(Refusal::PolicyInvalid));
    assert_eq!(refuses(&mut run, tighten(base(), &base()), &["alice"]), Some(Refusal::NothingToChange));
    assert_eq!(
        refuses(&mut run, tighten(stopping(), &looser()), &["alice"]),
        Some(Refusal::PolicySuperseded)
    );
}

#[test]
fn a_forbid_by_mistake_is_undone_by_two_at_once_within_72_hours_and_not_after() {
    let mut run = house();
    does(&mut run, tighten(stopping(), &base()), &["alice"]);
    let back = restore(&base(), &stopping());
    assert_eq!(refuses(&mut run, back.clone(), &["alice"]), Some(Refusal::SignaturesInsufficient));
    run.wait(72 * time::HOUR);
    let events = does(&mut run, back.clone(), &["alice", "bob"]);
    assert!(
        matches!(&events[..], [Event::ActAccepted { .. }, Event::PolicyMoved(moved), Event::PolicyActivated(_)]
            if moved.how == PolicyMoveKind::Restored),
        "{events:?}"
    );
    assert_eq!(run.state.policy_hash(), base().hash);
    does(&mut run, tighten(stopping(), &base()), &["alice"]);
    run.wait(72 * time::HOUR + time::SECOND);
    assert_eq!(refuses(&mut run, back, &["alice", "bob", "carol"]), Some(Refusal::BaseUnknown));
}

#[test]
fn two_restore_whatever_loosening_takes() {
    let mut configuration = super::slow();
    configuration.parameters.loosening_signatures = 3;
    let mut run = Run::new(configuration, base());
    does(&mut run, tighten(stopping(), &base()), &["alice"]);
    does(&mut run, restore(&base(), &stopping()), &["alice", "bob"]);
}

#[test]
fn only_what_the_quorum_approved_is_restored() {
    let mut run = house();
    does(&mut run, tighten(stopping(), &base()), &["alice"]);
    let tighter = compiled(&[("base.cedar", &BASE.replace("> 10000000", "> 5")), ("now.cedar", STOP)]);
    does(&mut run, tighten(tighter.clone(), &stopping()), &["alice"]);
    let all = ["alice", "bob", "carol"];
    for (target, answer) in [
        (stopping(), Refusal::BaseUnknown),
        (looser(), Refusal::BaseUnknown),
        (tighter.clone(), Refusal::BaseUnknown),
    ] {
        assert_eq!(refuses(&mut run, restore(&target, &tighter), &all), Some(answer));
    }
    assert_eq!(refuses(&mut run, restore(&base(), &stopping()), &all), Some(Refusal::PolicySuperseded));
    does(&mut run, restore(&base(), &tighter), &["carol", "bob"]);
}

#[test]
fn the_last_four_bases_are_kept() {
    let mut run = house();
    let limit = |number: u64| {
        compiled(&[("base.cedar", &BASE.replace("> 10000000", &format!("> {}", 20_000_000 + number)))])
    };
    let mut packs = vec![base()];
    for number in 0..5 {
        let (from, next) = (packs.last().unwrap().clone(), limit(number));
        does(&mut run, propose(next.clone(), &from), &["alice"]);
        // Each is approved while the one before is still waiting to be forgotten.
        let mut quick = run.state.configuration().clone();
        quick.parameters.loosening_delay = Some(time::HOUR);
        if number == 0 {
            does(&mut run, Act::Configure(Box::new(quick)), &OTHERS);
            run.wait(time::DAY);
        }
        does(&mut run, approve(&next, &from, "alice"), &OTHERS);
        run.wait(time::HOUR);
        assert_eq!(run.state.policy_hash(), next.hash);
        packs.push(next);
    }
    let kept: Vec<_> = run.state.bases_left().map(|left| left.source.hash).collect();
    assert_eq!(kept, packs[1..5].iter().map(|pack| pack.hash).collect::<Vec<_>>());
    assert_eq!(refuses(&mut run, restore(&packs[0], &packs[5]), &OTHERS), Some(Refusal::BaseUnknown));
    let before = size(&run.state);
    run.wait(80 * time::HOUR);
    assert_eq!(run.state.bases_left().count(), 0, "what cannot be gone back to is forgotten");
    assert!(size(&run.state) < before);
}

#[test]
fn a_proposal_is_taken_back_with_its_approval_and_closes_by_itself_after_a_week() {
    let mut run = proposed();
    let nonce = run.state.proposals().next().unwrap().opened.nonce;
    does(&mut run, approve(&looser(), &base(), "alice"), &OTHERS);
    let events = sure(&mut run, stop(nonce));
    assert!(
        matches!(
            events[..],
            [Event::ProposalClosed { why: ProposalEnd::Withdrawn, .. }, Event::ActStopped { .. }]
        ),
        "{events:?}"
    );
    assert_eq!(lapses(&run.wait(2 * time::DAY)), []);
    assert_eq!(run.state.policy_hash(), base().hash);
    assert_eq!(refusal(&run.say(stop(nonce))), Some(Refusal::ActUnknown));

    does(&mut run, propose(looser(), &base()), &["alice"]);
    run.wait(7 * time::DAY - time::SECOND);
    assert_eq!(run.state.proposals().count(), 1);
    run.wait(time::SECOND);
    assert_eq!(run.state.proposals().count(), 0);
    assert_eq!(
        refuses(&mut run, approve(&looser(), &base(), "alice"), &OTHERS),
        Some(Refusal::ProposalUnknown)
    );
}

#[test]
fn no_text_takes_the_place_of_an_open_proposal_or_of_what_waits_by_its_nonce() {
    let mut run = house();
    let text = |run: &Run, nonce, signers: &[&str], act| Signing::new(run.now, nonce, signers).sign(act);
    let first = text(&run, 5, &["alice"], propose(looser(), &base()));
    sure(&mut run, first);
    let approval = text(&run, 6, &OTHERS, approve(&looser(), &base(), "alice"));
    sure(&mut run, approval);
    // Both texts end, and are forgotten; the proposal is open and the approval waits.
    run.wait(20 * time::HOUR);
    let other = compiled(&[("base.cedar", &BASE.replace("> 10000000", "> 80000000"))]);
    for nonce in [5, 6] {
        let taken = text(&run, nonce, &["bob"], propose(other.clone(), &base()));
        assert_eq!(refusal(&run.say(taken)), Some(Refusal::TextUsed), "{nonce}");
        let again = text(&run, nonce, &OTHERS, approve(&looser(), &base(), "alice"));
        assert_eq!(refusal(&run.say(again)), Some(Refusal::TextUsed), "{nonce}");
    }
    run.wait(4 * time::HOUR);
    assert_eq!(run.state.policy_hash(), looser().hash);
}

#[test]
fn a_proposal_that_was_approved_stays_until_its_approval_has_had_its_time() {
    let mut run = proposed();
    run.wait(7 * time::DAY - time::HOUR);
    does(&mut run, approve(&looser(), &base(), "alice"), &OTHERS);
    run.wait(time::DAY);
    assert_eq!(run.state.policy_hash(), looser().hash);
}

#[test]
fn proposals_are_bounded_in_number_by_author_and_in_bytes() {
    let mut run = house();
    let numbered = |number: usize, filling: usize| {
        let text = format!("{}// {}\n", BASE, "x".repeat(filling));
        compiled(&[("base.cedar", &text.replace("> 10000000", &format!("> {}", 20_000_000 + number)))])
    };
    for number in 0..PROPOSALS_OF_ONE_MAX {
        does(&mut run, propose(numbered(number, 0), &base()), &["alice"]);
    }
    assert_eq!(refuses(&mut run, propose(numbered(50, 0), &base()), &["alice"]), Some(Refusal::TooMany));
    does(&mut run, propose(numbered(50, 0), &base()), &["bob"]);
    assert!(run.state.proposals().count() < PROPOSALS_MAX);
    // A pack that fills its share: 8 files of 256 KiB.
    let mut run = house();
    let big = |number: usize| {
        let comment = format!("// {}\n", "x".repeat(255 * 1_024));
        let names: Vec<String> = (0..7).map(|file| format!("f{file}.cedar")).collect();
        let main = BASE.replace("> 10000000", &format!("> {}", 20_000_000 + number));
        let mut files = vec![("base.cedar", main.as_str())];
        files.extend(names.iter().map(|name| (name.as_str(), comment.as_str())));
        compiled(&files)
    };
    let mut opened = 0;
    let mut last = None;
    for number in 0..3 {
        for author in ["alice", "bob", "carol"] {
            last = refuses(&mut run, propose(big(number * 3), &base()), &[author]);
            opened += usize::from(last.is_none());
        }
    }
    assert_eq!((opened, last), (9, None));
    assert!(size(&run.state) < 33 << 20, "{}", size(&run.state));
}

#[test]
fn a_snapshot_holds_proposals_and_what_waits() {
    let mut run = proposed();
    does(&mut run, approve(&looser(), &base(), "alice"), &OTHERS);
    does(&mut run, tighten(stopping(), &base()), &["alice"]);
    does(&mut run, propose(looser(), &stopping()), &["alice"]);
    let mut bytes = Vec::new();
    run.state.encode(&mut bytes);
    let mut again = State::decode(&bytes).unwrap();
    assert_eq!(again.hash(), run.state.hash());
    std::mem::swap(&mut again, &mut run.state);
    assert_eq!(lapses(&run.wait(2 * time::DAY)), [Refusal::PolicySuperseded]);
    does(&mut run, restore(&base(), &stopping()), &OTHERS);
}

#[test]
fn what_is_under_way_is_decided_by_the_policy_of_its_own_moment() {
    let mut run = house();
    sure(&mut run, usual_prices());
    sure(&mut run, Command::OpenAccount { account: account(0), tier: name("full") });
    let made = request(run.now, 1, 0, ("BTC", Network::Bitcoin), 1_000_000, 7);
    let id = made.withdrawal;
    let events = sure(&mut run, Command::RequestWithdrawal(Box::new(made)));
    assert!(
        events.iter().any(|event| matches!(event,
        Event::WithdrawalDecided { decision, .. } if decision.status == Status::Dwelling)),
        "{events:?}"
    );
    let events = does(&mut run, tighten(stopping(), &base()), &["carol"]);
    let decided = |event: &Event| matches!(event, Event::WithdrawalDecided { .. });
    assert!(!events.iter().any(decided), "one command is decided by one policy: {events:?}");
    let ticks = run.wait(10 * time::MINUTE);
    let denied = |event: &Event| {
        matches!(event,
        Event::WithdrawalDecided { withdrawal, decision } if *withdrawal == id && decision.status == Status::Denied)
    };
    assert!(ticks.iter().flatten().any(denied), "{ticks:?}");
}

#[test]
fn a_stopped_approval_is_signed_anew_or_never() {
    let mut run = proposed();
    let nonce = scheduled(&does(&mut run, approve(&looser(), &base(), "alice"), &OTHERS));
    let events = does(&mut run, AnyAct::StopAct(nonce), &["alice"]);
    assert!(
        matches!(&events[..], [Event::ActAccepted { .. }, Event::ActStopped { by, .. }] if *by == name("alice")),
        "{events:?}"
    );
    run.wait(2 * time::DAY);
    assert_eq!(run.state.policy_hash(), base().hash);
    assert_eq!(run.state.proposals().count(), 1, "the proposal itself was not taken back");
    does(&mut run, approve(&looser(), &base(), "alice"), &OTHERS);
}

fn size(state: &State) -> usize {
    let mut bytes = Vec::new();
    state.encode(&mut bytes);
    bytes.len()
}
