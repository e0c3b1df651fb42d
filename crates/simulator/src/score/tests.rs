//! Small logs, and what they must come to.

use holdfast_values::{Timestamp, time};

use super::figure::Unit;
use super::layer::Layer;
use super::*;
use crate::log::Why;

const BEGIN: Timestamp = Timestamp(1_772_409_600_000_000);

fn at(minutes: u64) -> Timestamp {
    BEGIN.plus(minutes * time::MINUTE)
}

fn decided(minutes: u64, event: &str, upon: Upon, status: &str, reasons: &[(&str, &str)]) -> Line {
    let why = |(code, severity): &(&str, &str)| Why {
        code: (*code).into(),
        severity: (*severity).into(),
        observed: "".into(),
        expected: "".into(),
    };
    let outcome = reasons.last().map_or("allow", |(_, severity)| severity);
    Line {
        at: at(minutes),
        what: What::Decided {
            event: event.into(),
            upon,
            outcome: outcome.into(),
            status: status.into(),
            class: "unvouched".into(),
            dwell_until: None,
            factors: Vec::new(),
            usd_cents: 590_000,
            reasons: reasons.iter().map(why).collect(),
        },
    }
}

fn left(minutes: u64, event: &str, amount: &str) -> Line {
    let what = What::Left {
        event: event.into(),
        class: "unvouched".into(),
        bucket: "unvouched".into(),
        asset: "BTC".into(),
        amount: amount.into(),
        usd_cents: 590_000,
    };
    Line { at: at(minutes), what }
}

fn scored(marks: &[Mark], lines: &[Line]) -> Scores {
    let window = Window::new(&Exchange::default(), BEGIN, at(24 * 60), Some(100));
    let mut scorer = Scorer::new(window);
    marks.iter().for_each(|mark| scorer.mark(mark));
    lines.iter().for_each(|line| scorer.line(line));
    scorer.finish()
}

fn drain(id: &str) -> Mark {
    Mark::Event { id: id.into(), attack: "x".into(), role: Role::Drain }
}

fn text(figures: &[Figure], name: &str) -> Option<String> {
    let figure = figures.iter().find(|figure| figure.name == name).unwrap();
    figure.value.map(|value| figure.unit.text(value))
}

#[test]
fn an_attack_is_scored_by_what_left_and_by_when_somebody_noticed() {
    let dwell = [("first_withdrawal_to_address", "dwell")];
    let lines = [
        decided(0, "a1", Upon::Request, "dwelling", &dwell),
        decided(1, "o1", Upon::Request, "approved", &[]),
        left(2, "o1", "0.5"),
        decided(10, "a1", Upon::Time, "approved", &dwell),
        left(11, "a1", "1.25"),
        decided(12, "a2", Upon::Request, "held", &[("withdrawal_burst", "hold")]),
        Line { at: at(13), what: What::Alarm { kind: "owner".into(), event: "a2".into() } },
        decided(14, "a3", Upon::Request, "dwelling", &dwell),
        Line { at: at(15), what: What::Staff { did: "halt".into(), to: "overall".into() } },
        decided(15, "a3", Upon::Act, "dwelling", &[dwell[0], ("halted", "dwell")]),
        decided(20, "a3", Upon::Act, "denied", &[dwell[0], ("denied_by_staff", "deny")]),
    ];
    let scores = scored(&[drain("a1"), drain("a2"), drain("a3")], &lines);
    let attack = |name| text(&scores.attack, name);
    assert_eq!(attack("left_btc").as_deref(), Some("1.25000000"));
    assert_eq!(attack("left_unvouched_btc").as_deref(), Some("1.25000000"));
    assert_eq!(attack("asked_btc").as_deref(), Some("3.25000000"));
    assert_eq!(attack("first_alarm_seconds").as_deref(), Some("780"));
    assert_eq!(attack("first_alarm_events").as_deref(), Some("2.00"));
    assert_eq!(attack("containment_seconds").as_deref(), Some("900"));
    assert_eq!(attack("containment_events").as_deref(), Some("3.00"));
    let stopped = |layer: Layer| scores.layers[layer.index()].stopped_satoshi;
    assert_eq!(stopped(Layer::Hold), 100_000_000);
    assert_eq!(stopped(Layer::Dwell), 100_000_000, "the halt found it waiting: the dwell gave the time");
    assert_eq!(stopped(Layer::Halt), 0);
    assert_eq!(text(&scores.ordinary, "without_person_share").as_deref(), Some("1.000000"));
    assert_eq!(scores.hours[0].ordinary_cents, 590_000);
}

#[test]
fn ordinary_customers_are_scored_by_what_they_waited_for() {
    let dwell = [("first_withdrawal_to_address", "dwell")];
    let both = [dwell[0], ("bucket_queued", "dwell")];
    let mut queued = decided(0, "o1", Upon::Request, "dwelling", &both);
    if let What::Decided { dwell_until, .. } = &mut queued.what {
        *dwell_until = Some(at(10));
    }
    let lines = [
        queued,
        decided(30, "o1", Upon::Time, "approved", &dwell),
        left(31, "o1", "1"),
        decided(0, "o2", Upon::Request, "held", &[("recent_security_change", "hold")]),
        decided(60, "o2", Upon::Act, "approved", &[]),
        left(61, "o2", "1"),
        decided(5, "o3", Upon::Request, "denied", &[("over_daily_limit", "deny")]),
        decided(6, "o4", Upon::Request, "denied", &[("not_permitted", "deny")]),
    ];
    let scores = scored(&[], &lines);
    let ordinary = |name| text(&scores.ordinary, name);
    assert!(scores.attack.is_empty());
    assert_eq!(ordinary("withdrawals").as_deref(), Some("4.00"));
    assert_eq!(ordinary("fitting").as_deref(), Some("3.00"), "one was over its account's limit");
    assert_eq!(ordinary("without_person_share").as_deref(), Some("0.333333"), "one of three");
    assert_eq!(ordinary("denied").as_deref(), Some("2.00"));
    assert_eq!(ordinary("denied_fitting").as_deref(), Some("1.00"));
    assert_eq!(ordinary("delay_median_seconds").as_deref(), Some("1860"));
    assert_eq!(ordinary("hold_minutes_per_withdrawal").as_deref(), Some("15.00"));
    // 60 minutes by 100 customers in a day: 18 in a month of theirs.
    assert_eq!(ordinary("hold_minutes_per_user_month").as_deref(), Some("18.00"));
    assert_eq!(ordinary("holds_per_user_month").as_deref(), Some("0.300000"));
    let waited = |layer: Layer| Unit::Minutes.text(i128::from(scores.layers[layer.index()].waited));
    assert_eq!(waited(Layer::Dwell), "10.00");
    assert_eq!(waited(Layer::Buckets), "20.00");
    assert_eq!(waited(Layer::Hold), "60.00");
    assert_eq!(waited(Layer::Wallet), "2.00");
}

#[test]
fn what_nobody_asked_for_counts_when_it_leaves_and_when_the_signer_refuses_it() {
    let refused = What::SignerRefused { event: "swap".into(), code: "output_missing".into() };
    let lines = [Line { at: at(0), what: refused }, left(3, "fee", "0.1")];
    let scores = scored(&[drain("swap"), drain("fee")], &lines);
    assert_eq!(text(&scores.attack, "left_btc").as_deref(), Some("0.10000000"));
    assert_eq!(scores.layers[Layer::Signer.index()].stopped, 1);
    assert_eq!(text(&scores.attack, "first_alarm_seconds"), None, "nobody noticed");
}
