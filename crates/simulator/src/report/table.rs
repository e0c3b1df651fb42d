//! The report as a terminal shows it.

use std::fmt::Write as _;

use super::{Report, btc, stat, value};
use crate::score::figure::{Of, Stat, Unit};

/// A span of time for people, of microseconds.
pub(crate) fn span(micros: i128) -> String {
    let seconds = (micros + 500_000) / 1_000_000;
    match seconds {
        ..100 => format!("{seconds} s"),
        100..7_200 => format!("{} min", (seconds + 30) / 60),
        7_200..172_800 => format!("{} h", (seconds + 1_800) / 3_600),
        _ => format!("{} d", (seconds + 43_200) / 86_400),
    }
}

/// A share of millionths as per cent.
pub(crate) fn percent(millionths: i128) -> String {
    format!("{} %", crate::score::figure::decimal(millionths, 10_000, 1))
}

/// A moment that there may never be.
pub(crate) fn when(stats: &[Stat], name: &str, of: Of) -> String {
    stat(stats, name).map_or_else(String::new, |stat| stat.get(of).map_or_else(|| "never".to_owned(), span))
}

/// Rows of columns, the first to the left, the others to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width.saturating_sub(cell.chars().count()));
            let _infallible =
                if column == 0 { write!(line, "{cell}{pad}") } else { write!(line, "  {pad}{cell}") };
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// The whole report.
pub fn table(report: &Report) -> String {
    let mut text = String::new();
    let facts = &report.population;
    let _infallible = writeln!(
        text,
        "{}\n\n{} accounts, {} thinned and {} full days, {} events and {} ordinary withdrawals a seed; {} seeds ({}): {}",
        report.verdict,
        facts.accounts,
        facts.thinned_days,
        facts.days,
        facts.events,
        facts.ordinary_withdrawals,
        report.seeds.used.len(),
        report.seeds.set,
        report.seeds.used.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    );
    if report.partial {
        text.push_str("PARTIAL: it was told to end; what was not finished is missing\n");
    }
    text.push_str("\nmisses first\n");
    if report.misses.is_empty() {
        text.push_str("  none\n");
    }
    for miss in &report.misses {
        let _infallible = writeln!(text, "  {miss}");
    }
    text.push_str("\nwhat left, BTC\n");
    text.push_str(&columns(&attacks(report)));
    for one in &report.not_built {
        let _infallible = writeln!(text, "  not built, so not compared with: {one}");
    }
    text.push_str("\nordinary customers, in the months without an attack\n");
    text.push_str(&columns(&ordinary(report)));
    for (arm, facts) in report.arms.iter().enumerate() {
        let _infallible = writeln!(
            text,
            "\nwhich layer stopped what, and what ordinary customers paid for it: {}",
            facts.name
        );
        text.push_str(&columns(&layers(report, arm)));
    }
    if !report.extremes.is_empty() {
        text.push_str("\nbenign extremes, each on its day, under what is tested\n");
        text.push_str(&columns(&extremes(report)));
    }
    if !report.sweep.is_empty() {
        text.push_str("\nwhat nobody publishes, at its ends, under what is tested\n");
        text.push_str(&columns(&sweep(report)));
    }
    text.push_str("\ncontrols\n");
    text.push_str(&controls(report));
    text
}

fn attacks(report: &Report) -> Vec<Vec<String>> {
    let mut rows =
        vec![row(&["attack", "against", "mean", "p95", "max", "bound", "alarm", "contained", "requests"])];
    for attack in &report.attacks {
        for by in &attack.against {
            let figure = |name, of| value(&by.attack, name, of).map_or_else(|| "-".to_owned(), btc);
            rows.push(vec![
                attack.name.to_owned(),
                report.arms.get(by.arm).map_or_else(String::new, |arm| arm.name.to_string()),
                figure("left_btc", Of::Mean),
                figure("left_btc", Of::P95),
                figure("left_btc", Of::Max),
                figure("ceiling_btc", Of::Max),
                when(&by.attack, "first_alarm_seconds", Of::Max),
                when(&by.attack, "containment_seconds", Of::Max),
                stat(&by.attack, "requests").map_or_else(String::new, |stat| stat.text(Of::Mean)),
            ]);
        }
    }
    rows
}

/// The scores of ordinary customers that every table shows: name, head, statistic.
pub(crate) const ORDINARY: [(&str, &str, Of); 10] = [
    ("fitting", "within limits", Of::Mean),
    ("without_person_share", "no person", Of::Min),
    ("delay_median_seconds", "median", Of::Max),
    ("delay_p95_seconds", "p95", Of::Max),
    ("denied_fitting", "denied", Of::Max),
    ("denied_by_staff", "denied by mistake", Of::Max),
    ("step_up_share", "step-ups", Of::Mean),
    ("hold_share", "holds", Of::Mean),
    ("hold_minutes_per_withdrawal", "hold min each", Of::Mean),
    ("alerts_per_day", "alerts a day", Of::Mean),
];

pub(crate) fn cell(stats: &[Stat], name: &str, of: Of) -> String {
    let Some(stat) = stat(stats, name) else { return "-".to_owned() };
    let Some(value) = stat.get(of) else { return "-".to_owned() };
    match stat.unit {
        Unit::Share => percent(value),
        Unit::Seconds => span(value),
        unit => unit.text(value),
    }
}

fn ordinary_row(name: &str, stats: &[Stat]) -> Vec<String> {
    let cells = ORDINARY.iter().map(|(score, _, of)| cell(stats, score, *of));
    std::iter::once(name.to_owned()).chain(cells).collect()
}

fn ordinary_head(first: &str) -> Vec<String> {
    std::iter::once(first).chain(ORDINARY.iter().map(|(_, head, _)| *head)).map(ToOwned::to_owned).collect()
}

fn ordinary(report: &Report) -> Vec<Vec<String>> {
    let mut rows = vec![ordinary_head("")];
    for free in &report.attack_free {
        let name = report.arms.get(free.arm).map_or("", |arm| &arm.name);
        rows.push(ordinary_row(name, &free.ordinary));
    }
    rows
}

fn layers(report: &Report, arm: usize) -> Vec<Vec<String>> {
    let head = [
        "layer",
        "attackers' BTC stopped",
        "withdrawals",
        "ordinary touched",
        "of them never left",
        "minutes",
        "minutes each",
    ];
    let mut rows = vec![row(&head)];
    for layer in report.layers.iter().filter(|layer| layer.arm == arm) {
        rows.push(vec![
            layer.title.to_owned(),
            Unit::Btc.parse(&layer.stopped_btc).map_or_else(String::new, btc),
            layer.stopped.clone(),
            layer.ordinary_touched.clone(),
            layer.ordinary_stopped.clone(),
            layer.ordinary_minutes.clone(),
            layer.ordinary_minutes_per_withdrawal.clone(),
        ]);
    }
    rows
}

fn extremes(report: &Report) -> Vec<Vec<String>> {
    let rows = report.extremes.iter().map(|one| ordinary_row(one.extreme.name(), &one.ordinary));
    std::iter::once(ordinary_head("")).chain(rows).collect()
}

fn sweep(report: &Report) -> Vec<Vec<String>> {
    let rows = report.sweep.iter().map(|one| ordinary_row(one.name, &one.ordinary));
    std::iter::once(ordinary_head("")).chain(rows).collect()
}

fn controls(report: &Report) -> String {
    let mut text = String::new();
    let controls = &report.controls;
    let told = |told: &crate::drill::controls::Told| {
        format!(
            "{:?} {} {} ({} where chosen, {} on the other half)",
            told.kind, told.feature, told.rule, told.train, told.test
        )
    };
    let worst = controls.one_feature.iter().filter_map(|one| Some((one, one.trace.as_ref()?)));
    match worst.max_by(|a, b| a.1.test.cmp(&b.1.test)) {
        Some((one, found)) => {
            let _infallible = writeln!(
                text,
                "  one feature, traces, worst of all attacks ({}): {}",
                one.attack,
                told(found)
            );
        }
        None => text.push_str("  one feature: too few accounts of an attacker's to say\n"),
    }
    if let Some(found) = &controls.one_feature_shuffled {
        let _infallible = writeln!(text, "  one feature, shuffled labels: {}", told(found));
    }
    for one in &controls.shuffled_labels {
        let _infallible = writeln!(
            text,
            "  recall at friction {}: {} of the money; with shuffled labels {} by number, {} by money",
            one.friction, one.true_by_money, one.by_number, one.by_money
        );
    }
    if let Some(one) = &controls.equal_friction {
        let _infallible = writeln!(
            text,
            "  equal friction ({}): a limit of {} USD would have let {} BTC go, what is tested let {}",
            one.friction, one.limit_usd, one.left_btc, one.tested_left_btc
        );
    }
    for one in &controls.cross {
        let _infallible = writeln!(
            text,
            "  limit at friction {} chosen on {:?}, tried on {:?}: {} USD, troubles {}, stops {} of the money",
            one.friction, one.chosen_on, one.tried_on, one.limit_usd, one.troubled, one.stopped
        );
    }
    for one in &controls.other_generator {
        let _infallible = writeln!(
            text,
            "  other generator, {}: {} BTC left (own: {})",
            one.attack, one.left_btc, one.own_left_btc
        );
    }
    let _infallible = writeln!(
        text,
        "  frozen: exchange {}, policies {}; development seeds are below {}",
        report.frozen.exchange, report.frozen.policies, report.seeds.evaluation_from
    );
    text
}
