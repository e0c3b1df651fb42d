//! A back-test decides every recorded decision again: the same policy changes nothing, another changes what it says.

use holdfast_decision::command::Command;
use holdfast_decision::event::Event;
use holdfast_journal::LocalReader;
use holdfast_policy::Program;
use holdfast_server::backtest::{BacktestError, Range, Report, backtest};
use holdfast_values::{Timestamp, time};

use crate::fixture::{Books, policy};

/// The fixture's pack with something in its text replaced.
fn candidate(change: &[(&str, &str)]) -> Program {
    let mut files = policy().files;
    for (from, to) in change {
        assert!(files[0].1.contains(from), "{from}");
        files[0].1 = files[0].1.replace(from, to);
    }
    holdfast_cedar::compile_pack(&files).unwrap().program
}

fn run(books: &Books, candidate: Program, range: Range) -> Result<Report, BacktestError> {
    let reader = LocalReader::open(books.path()).or_else(|_| books.journal.reader()).unwrap();
    backtest(&reader, candidate, range, &mut |_, _| true)
}

fn all(books: &Books, program: Program) -> Report {
    run(books, program, Range::default()).unwrap()
}

#[test]
fn the_policy_that_decided_changes_nothing() {
    let mut books = Books::new();
    books.ordinary_day();
    for seed in 1..=4 {
        books.traffic(seed, 400);
    }
    books.write();
    let report = all(&books, candidate(&[]));
    assert!(report.decisions > 300, "{}", report.decisions);
    assert_eq!((report.changes(), report.displaced, report.first_difference), (0, 0, None));
    let (records, equal) = report.same_policy;
    assert!(records >= report.decisions && records == equal, "{records} {equal}");
    assert_eq!(report.json()["changed"], 0);
    assert!(report.is_reproduced() && report.text().contains("0 change"));
}

#[test]
fn a_lower_threshold_holds_what_went_and_says_how_much() {
    let mut books = Books::new();
    books.customer("ac_1");
    books.world.withdraw("small", "ac_1", "BTC", "0.01", "old");
    books.world.withdraw("larger", "ac_1", "BTC", "0.1", "old");
    books.world.withdraw("fresh", "ac_1", "BTC", "0.2", "fresh");
    books.write();
    let report = all(&books, candidate(&[("> 5000000", "> 30000")]));
    // 0.1 BTC is 590 USD in this world; the third would hold rather than dwell.
    assert_eq!((report.tighter.decisions, report.looser.decisions), (2, 0), "{}", report.text());
    assert_eq!((report.tighter.holds, report.tighter.step_ups, report.tighter.denials), (2, 0, 0));
    let json = report.json();
    let worst = &json["worst"]["tighter"];
    assert_eq!(worst[0]["withdrawal"], books.id("fresh").to_string());
    assert_eq!(
        (worst[0]["old"]["outcome"].as_str(), worst[0]["new"]["outcome"].as_str()),
        (Some("dwell"), Some("hold"))
    );
    assert_eq!((&worst[1]["amount"], &worst[1]["asset"]), (&"0.1".into(), &"BTC".into()));
    assert_eq!(worst[1]["new"]["reasons"][0]["code"], "large_amount");
    assert_eq!(json["money"]["tighter"]["assets"][0]["amount"], "0.3");
    assert_eq!(json["customers"]["listed"][0]["account"], "ac_1");
    assert_eq!(json["customers"]["listed"][0]["tighter"]["withdrawals"], 2);
    let cents: u64 = json["money"]["tighter"]["usd_cents"].as_str().unwrap().parse().unwrap();
    let each = |at: usize| worst[at]["usd_cents"].as_u64().unwrap();
    assert_eq!(cents, each(0) + each(1));
}

#[test]
fn what_is_loosened_is_counted_the_other_way_with_its_delay() {
    let mut books = Books::new();
    books.customer("ac_1");
    books.world.withdraw("fresh", "ac_1", "BTC", "0.01", "fresh");
    books.world.withdraw("held", "ac_1", "BTC", "9", "old");
    books.write();
    let report = all(&books, candidate(&[("\"10m\"", "\"4m\""), ("> 5000000", "> 500000000")]));
    assert_eq!((report.tighter.decisions, report.looser.decisions), (0, 2), "{}", report.text());
    assert_eq!((report.looser.dwell_seconds, report.looser.holds), (360, 1));
    // The dwell stays a dwell: a change within a degree.
    assert!(report.json()["transitions"].as_array().unwrap().iter().any(|row| row["way"] == "same_degree"));
    assert!(report.text().contains("largest looser"));
}

#[test]
fn what_is_decided_again_when_its_dwell_ends_is_compared_too() {
    let mut books = Books::new();
    books.customer("ac_1");
    books.world.withdraw("fresh", "ac_1", "BTC", "0.01", "fresh");
    books.world.wait(11 * time::MINUTE);
    books.write();
    let report = all(&books, candidate(&[("\"10m\"", "\"20m\"")]));
    // Ten minutes more at the request, and not yet over when ten minutes were.
    assert_eq!(report.tighter.decisions, 2, "{}", report.text());
    assert_eq!((report.tighter.money.withdrawals, report.tighter.dwell_seconds), (1, 600));
}

#[test]
fn another_reason_for_the_same_outcome_is_no_tightening() {
    let mut books = Books::new();
    books.customer("ac_1");
    books.world.withdraw("held", "ac_1", "BTC", "9", "old");
    books.write();
    let report = all(&books, candidate(&[("\"large_amount\"", "\"very_large\"")]));
    assert_eq!((report.changes(), report.reasons_only), (1, 1));
}

#[test]
fn a_range_counts_its_own_decisions_and_one_outside_is_refused() {
    let mut books = Books::new();
    books.ordinary_day();
    let whole = all(&books, candidate(&[]));
    let reader = books.journal.reader().unwrap();
    let times: Vec<Timestamp> = reader.records(1).map(|record| Timestamp(record.unwrap().time)).collect();
    let (first, last) = (times[0], *times.last().unwrap());
    let middle = first.plus(time::MINUTE);
    let part = |from, to| run(&books, candidate(&[]), Range { from, to });
    let (early, late) = (part(None, Some(middle)).unwrap(), part(Some(middle), None).unwrap());
    assert!(early.decisions > 0 && late.decisions > 0);
    assert_eq!(early.decisions + late.decisions, whole.decisions);
    for (from, to) in [(Some(last.plus(1)), None), (None, Some(first)), (Some(middle), Some(middle))] {
        assert_eq!(part(from, to).unwrap_err().code(), "range_outside");
    }
}

#[test]
fn an_interruption_leaves_what_was_counted_and_says_so() {
    let mut books = Books::new();
    for seed in 1..=6 {
        books.traffic(seed, 400);
    }
    books.write();
    assert!(books.head() > 1_024);
    let reader = books.journal.reader().unwrap();
    let report = backtest(&reader, candidate(&[]), Range::default(), &mut |_, _| false).unwrap();
    assert!(report.is_partial && report.last == 1_024 && report.decisions > 0);
    assert!(report.text().starts_with("PARTIAL") && report.json()["partial"] == true);
}

#[test]
fn a_policy_that_errs_is_a_hold_in_the_comparison() {
    let mut books = Books::new();
    books.customer("ac_1");
    books.world.withdraw("small", "ac_1", "BTC", "0.01", "old");
    books.write();
    let overflow = "context.amount_usd_cents * 9223372036854775807 > 5000000";
    let report = all(&books, candidate(&[("context.amount_usd_cents > 5000000", overflow)]));
    assert_eq!(report.tighter.holds, 1, "{}", report.text());
    assert_eq!(report.json()["worst"]["tighter"][0]["new"]["reasons"][0]["code"], "policy_error");
}

#[test]
fn every_decision_by_a_policy_is_among_those_that_are_asked_again() {
    let mut books = Books::new();
    books.ordinary_day();
    books.traffic(5, 600);
    books.write();
    for (_, command, events) in &books.world.records {
        let decides = events.iter().any(|event| matches!(event, Event::WithdrawalDecided { .. }));
        let asks = holdfast_decision::weigh::asks_policy(command);
        assert!(!decides || asks || matches!(command, Command::DenyWithdrawal { .. }), "{command:?}");
    }
}
