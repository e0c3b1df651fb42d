//! The report as a page: one file, without a script and without anything from elsewhere, in light and dark and on paper.

use std::fmt::Write as _;

use super::chart::{self, escape};
use super::table::{ORDINARY, cell, percent, span, when};
use super::{Against, AttackReport, Report, btc, stat, thousands, value};
use crate::drill::controls::Told;
use crate::score::figure::{Of, Stat, Unit};

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn html(report: &Report) -> String {
    let mut page = String::with_capacity(1 << 18);
    let title = format!("Fire drill: {}", report.tested());
    let _infallible = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n",
        escape(&title)
    );
    head(&mut page, report);
    misses(&mut page, report);
    money(&mut page, report);
    course(&mut page, report);
    layers(&mut page, report);
    customers(&mut page, report);
    controls(&mut page, report);
    stated(&mut page, report);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn p(page: &mut String, class: &str, text: &str) {
    let _infallible = writeln!(page, "<p class=\"{class}\">{}</p>", unbroken(text));
}

/// Escaped, with no line's end between a number and its unit.
fn unbroken(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for word in escape(text).split(' ') {
        let is_unit =
            ["s", "min", "h", "d", "%", "BTC", "USD"].contains(&word.trim_end_matches([',', '.', ';', ':']));
        if !line.is_empty() {
            line.push(if is_unit && line.ends_with(|last: char| last.is_ascii_digit()) {
                '\u{a0}'
            } else {
                ' '
            });
        }
        line.push_str(word);
    }
    line
}

/// A decimal number of the report as people read it: a whole one without its zeros, thousands set apart.
fn plain(text: &str) -> String {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = part.trim_end_matches('0');
    let whole = thousands(whole);
    if part.is_empty() { whole } else { format!("{whole}.{:0<2}", part) }
}

/// A share of the report, as a decimal text, in per cent.
fn share(text: &str) -> String {
    percent(Unit::Share.parse(text).unwrap_or(0))
}

fn h2(page: &mut String, text: &str) {
    let _infallible = writeln!(page, "<h2>{}</h2>", escape(text));
}

/// A table: heads, then rows; a cell that begins with `!` is hot, a row whose first cell begins with `~` belongs to the one
/// above. Those columns named in `texts` stand to the left.
fn table(page: &mut String, heads: &[&str], rows: &[Vec<String>], texts: &[usize]) {
    grouped(page, &[], heads, rows, texts);
}

/// The same, with heads over so many columns each above the heads.
fn grouped(
    page: &mut String,
    groups: &[(&str, usize)],
    heads: &[&str],
    rows: &[Vec<String>],
    texts: &[usize],
) {
    page.push_str("<div class=\"wide\"><table>\n<thead>");
    if !groups.is_empty() {
        page.push_str("<tr class=\"group\">");
        for (name, columns) in groups {
            let _infallible = write!(page, "<th colspan=\"{columns}\">{}</th>", escape(name));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("<tr>");
    let class = |column: usize| if texts.contains(&column) { " class=\"text wrap\"" } else { "" };
    for (column, head) in heads.iter().enumerate() {
        let _infallible = write!(page, "<th scope=\"col\"{}>{}</th>", class(column), escape(head));
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        let sub = row.first().is_some_and(|first| first.starts_with('~'));
        page.push_str(if sub { "<tr class=\"sub\">" } else { "<tr>" });
        for (column, text) in row.iter().enumerate() {
            let text = if column == 0 { text.strip_prefix('~').unwrap_or(text) } else { text };
            let (class, text) = match text.strip_prefix('!') {
                Some(text) => (" class=\"hot\"", text),
                None => (class(column), text),
            };
            let _infallible = write!(page, "<td{class}>{}</td>", escape(text));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</tbody>\n</table></div>\n");
}

fn head(page: &mut String, report: &Report) {
    p(page, "over", "Holdfast fire drill");
    let what = match report.attacks.as_slice() {
        [one] => one.title.to_owned(),
        all => format!("{} attacks", all.len()),
    };
    let _infallible = writeln!(page, "<h1>{} against {}</h1>", escape(&what), escape(report.tested()));
    p(page, "verdict", &report.verdict);
    if report.partial {
        p(page, "note", "Partial: the drill was told to end; what was not finished is missing.");
    }
    let most = |arm: usize| {
        let all =
            report.attacks.iter().filter_map(|attack| value(&attack.by(arm)?.attack, "left_btc", Of::Max));
        all.max().unwrap_or(0)
    };
    let mut tiles = vec![(
        if most(0) == 0 { "good" } else { "bad" },
        format!("{} BTC", btc(most(0))),
        "left at most, worst attack and seed".to_owned(),
    )];
    if let Some(other) = report.arms.get(1) {
        tiles.push(("", format!("{} BTC", btc(most(1))), format!("the same under {}", other.name)));
    }
    if let Some(free) = report.free_of(0) {
        // The edge's colour says no more than the words do.
        let met = |is_met: bool| if is_met { ("good", "met") } else { ("bad", "missed") };
        let share = value(&free.ordinary, "without_person_share", Of::Min).unwrap_or(0);
        let (class, is) = met(share >= super::ALONE_MIN);
        let aim = percent(super::ALONE_MIN);
        let text = format!(
            "of ordinary withdrawals within limits left without a person, worst seed; aim {aim}: {is}"
        );
        tiles.push((class, percent(share), text));
        let delay = value(&free.ordinary, "delay_median_seconds", Of::Max).unwrap_or(0);
        let (class, is) = met(delay <= super::DELAY_MAX);
        let denied = plain(&cell(&free.ordinary, "denied_fitting", Of::Max));
        let aim = span(super::DELAY_MAX);
        let text = format!("median delay, worst seed; aim {aim}: {is}. {denied} denied by a rule");
        tiles.push((class, span(delay), text));
    }
    page.push_str("<div class=\"tiles\">\n");
    for (class, number, text) in tiles {
        let _infallible = writeln!(
            page,
            "<div class=\"tile {class}\"><b>{}</b><span>{}</span></div>",
            unbroken(&number),
            unbroken(&text)
        );
    }
    page.push_str("</div>\n");
    let facts = &report.population;
    p(
        page,
        "note",
        &format!(
            "{} accounts, {} thinned and {} full days; {} events and {} ordinary withdrawals a seed; {} runs of {} events in \
             all; {} seeds ({}): {}.",
            thousands(&facts.accounts.to_string()),
            facts.thinned_days,
            facts.days,
            thousands(&facts.events.to_string()),
            thousands(&facts.ordinary_withdrawals.to_string()),
            facts.runs,
            thousands(&facts.events_played.to_string()),
            report.seeds.used.len(),
            report.seeds.set,
            report.seeds.used.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        ),
    );
}

fn misses(page: &mut String, report: &Report) {
    h2(page, "What went wrong");
    let (money, others): (Vec<&String>, Vec<&String>) = report
        .misses
        .iter()
        .partition(|miss| !miss.starts_with("control:") && !miss.starts_with("ordinary:"));
    let mut list = |class: &str, misses: &[&String]| {
        let _infallible = writeln!(page, "<ul class=\"misses {class}\">");
        for miss in misses {
            let (head, text) = miss.split_once(": ").unwrap_or(("", miss));
            let _infallible = writeln!(page, "<li><b>{}</b> {}</li>", escape(head), unbroken(text));
        }
        page.push_str("</ul>\n");
    };
    if !money.is_empty() {
        list("two", &money);
    }
    if !others.is_empty() {
        list("", &others);
    }
    if report.misses.is_empty() {
        page.push_str(
            "<ul class=\"misses\"><li class=\"none\">Nothing that this drill looks for.</li></ul>\n",
        );
    }
}

fn money(page: &mut String, report: &Report) {
    h2(page, "Money that left");
    p(
        page,
        "note",
        "What the signer would have signed for the attacker. A dot is a seed. The mark is what the buckets for what nobody \
         vouches for (unvouched and aged) let out at most, from the attack's first request to its last payment.",
    );
    page.push_str(&chart::left(report));
    compared(page, report);
    let heads = [
        "attack",
        "against",
        "mean BTC",
        "p95",
        "max",
        "max USD",
        "first alarm",
        "after requests",
        "contained",
        "requests",
        "paid",
    ];
    let mut rows = Vec::new();
    let mut recalls = Vec::new();
    for attack in &report.attacks {
        for by in &attack.against {
            let figure = |name, of| value(&by.attack, name, of).map_or_else(|| "-".to_owned(), btc);
            let most = figure("left_btc", Of::Max);
            let is_lost = by.arm == 0 && value(&by.attack, "left_btc", Of::Max).unwrap_or(0) > 0;
            let name = if by.arm == 0 { attack.name.to_owned() } else { "~".to_owned() };
            rows.push(vec![
                name,
                report.arms.get(by.arm).map_or_else(String::new, |arm| arm.name.to_string()),
                figure("left_btc", Of::Mean),
                figure("left_btc", Of::P95),
                if is_lost { format!("!{most}") } else { most },
                thousands(&(value(&by.attack, "left_usd", Of::Max).unwrap_or(0) / 100).to_string()),
                when(&by.attack, "first_alarm_seconds", Of::Max),
                stat(&by.attack, "first_alarm_events").map_or_else(String::new, |stat| whole(stat, Of::Max)),
                when(&by.attack, "containment_seconds", Of::Max),
                stat(&by.attack, "requests")
                    .map_or_else(String::new, |stat| thousands(&whole(stat, Of::Mean))),
                stat(&by.attack, "paid").map_or_else(String::new, |stat| thousands(&whole(stat, Of::Mean))),
            ]);
        }
        let recall = |arm: usize, name: &str| {
            attack.by(arm).map_or_else(|| "-".to_owned(), |by| cell(&by.attack, name, Of::Mean))
        };
        let arms = (0..report.arms.len().min(3)).flat_map(|arm| {
            ["recall_at_0_1_percent", "recall_at_0_5_percent", "recall_at_1_percent"]
                .map(|name| recall(arm, name))
        });
        recalls.push(std::iter::once(attack.name.to_owned()).chain(arms).collect::<Vec<String>>());
    }
    table(page, &heads, &rows, &[]);
    p(page, "note", "Alarm and containment: the latest over the seeds, never if a seed never saw it.");
    page.push_str("<h3>Recall of the attacker's money, were so many ordinary withdrawals troubled</h3>\n");
    p(
        page,
        "note",
        "All withdrawals ranked by severity, number of reasons and value: how much of the attacker's money is above the line, \
         if 0.1, 0.5 or 1 % of the ordinary ones may be.",
    );
    let arms = || report.arms.iter().take(3);
    let groups: Vec<(&str, usize)> =
        std::iter::once(("", 1)).chain(arms().map(|arm| (&*arm.name, 3))).collect();
    let heads: Vec<&str> =
        std::iter::once("attack").chain(arms().flat_map(|_| ["0.1 %", "0.5 %", "1 %"])).collect();
    grouped(page, &groups, &heads, &recalls, &[]);
}

fn whole(stat: &Stat, of: Of) -> String {
    stat.get(of).map_or_else(|| "-".to_owned(), |value| ((value + 50) / 100).to_string())
}

/// What it is compared with, and what it should be and is not.
fn compared(page: &mut String, report: &Report) {
    page.push_str("<h3>Compared with</h3>\n<ul>\n");
    for arm in report.arms.iter().filter(|arm| arm.role == crate::drill::arm::Role::Baseline) {
        let _infallible = writeln!(page, "<li><b>{}</b>: {}</li>", escape(&arm.name), escape(&arm.title));
    }
    for one in &report.not_built {
        let _infallible = writeln!(page, "<li><b>Not built, so not compared with</b>: {}</li>", escape(one));
    }
    page.push_str("</ul>\n");
}

/// So many of the worst attacks have their course drawn.
const COURSES: usize = 3;

fn course(page: &mut String, report: &Report) {
    let mut worst: Vec<(i128, &AttackReport, &Against)> = report
        .attacks
        .iter()
        .filter_map(|attack| {
            let by = attack.by(0)?;
            Some((value(&by.attack, "left_btc", Of::Max)?, attack, by))
        })
        .collect();
    worst.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.name.cmp(b.1.name)));
    let Some((_, first, tested)) = worst.first() else { return };
    h2(page, if worst.len() == 1 { "The course of the attack" } else { "The course of the worst" });
    for (_, attack, by) in worst.iter().take(COURSES) {
        let _infallible = writeln!(page, "<h3>{}</h3>", escape(attack.title));
        let other = report.arms.get(1).and_then(|arm| Some((&*arm.name, attack.by(1)?)));
        page.push_str(&chart::course((report.tested(), by), other));
    }
    let _infallible =
        writeln!(page, "<h3>{}, seed {}, hour by hour</h3>", escape(first.title), tested.worst_seed);
    page.push_str(&chart::days(&tested.hours, "The evaluated days with the attack, by hour"));
    if let Some(free) = report.free_of(0) {
        page.push_str("<h3>The same days without an attack, first seed</h3>\n");
        page.push_str(&chart::days(&free.hours, "The evaluated days without an attack, by hour"));
    }
}

fn layers(page: &mut String, report: &Report) {
    h2(page, "Which layer stopped what, and what ordinary customers paid for it");
    p(
        page,
        "note",
        "A withdrawal of the attacker's is credited to what made it wait when it was stopped: what a halt or a person finds in \
         its dwell was stopped by the dwell. Minutes are those that ordinary withdrawals waited for that layer in the \
         attack-free months, all together.",
    );
    page.push_str(&chart::stopped(report, 0));
    let heads = [
        "layer",
        "attackers' BTC stopped",
        "withdrawals stopped",
        "ordinary touched",
        "of them never left",
        "minutes",
        "min for each ordinary withdrawal",
    ];
    for (arm, facts) in report.arms.iter().enumerate() {
        let _infallible = writeln!(page, "<h3>{}: {}</h3>", escape(&facts.name), escape(&facts.title));
        let of = report.layers.iter().filter(|layer| layer.arm == arm);
        let rows: Vec<Vec<String>> = of
            .map(|layer| {
                vec![
                    layer.title.to_owned(),
                    Unit::Btc.parse(&layer.stopped_btc).map_or_else(String::new, btc),
                    plain(&layer.stopped),
                    plain(&layer.ordinary_touched),
                    plain(&layer.ordinary_stopped),
                    plain(&layer.ordinary_minutes),
                    layer.ordinary_minutes_per_withdrawal.clone(),
                ]
            })
            .collect();
        table(page, &heads, &rows, &[]);
    }
    page.push_str("<h3>By reason, under what is tested</h3>\n");
    let mut rows: std::collections::BTreeMap<&str, (i128, i128, i128)> = std::collections::BTreeMap::new();
    let parse = |unit: Unit, text: &str| unit.parse(text).unwrap_or(0);
    for reason in report.free_of(0).into_iter().flat_map(|free| &free.reasons) {
        rows.entry(&reason.code).or_default().0 += parse(Unit::Count, &reason.ordinary);
    }
    for reason in report.attacks.iter().filter_map(|attack| attack.by(0)).flat_map(|by| &by.reasons) {
        let row = rows.entry(&reason.code).or_default();
        row.1 += parse(Unit::Count, &reason.attacker);
        row.2 += parse(Unit::Btc, &reason.stopped_btc);
    }
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(code, (ordinary, attacker, satoshi))| {
            vec![
                code.to_owned(),
                btc(satoshi),
                plain(&Unit::Count.text(attacker)),
                plain(&Unit::Count.text(ordinary)),
            ]
        })
        .collect();
    table(
        page,
        &["reason", "attackers' BTC that it stopped", "attackers' withdrawals", "ordinary withdrawals"],
        &rows,
        &[],
    );
}

fn ordinary_cells(stats: &[Stat]) -> impl Iterator<Item = String> {
    ORDINARY.iter().map(|(score, _, of)| {
        let text = cell(stats, score, *of);
        // What has no unit of its own is a number.
        let text =
            if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') { plain(&text) } else { text };
        let found = value(stats, score, *of);
        let is_bad = match *score {
            "without_person_share" => found.is_some_and(|value| value < super::ALONE_MIN),
            "delay_median_seconds" => found.is_none_or(|value| value > super::DELAY_MAX),
            "denied_fitting" => found.is_some_and(|value| value > 0),
            _ => false,
        };
        if is_bad { format!("!{text}") } else { text }
    })
}

fn ordinary_table(page: &mut String, first: &str, rows: &[(&str, &[Stat])]) {
    let heads: Vec<&str> = std::iter::once(first).chain(ORDINARY.iter().map(|(_, head, _)| *head)).collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, stats)| std::iter::once((*name).to_owned()).chain(ordinary_cells(stats)).collect())
        .collect();
    table(page, &heads, &rows, &[]);
}

fn customers(page: &mut String, report: &Report) {
    h2(page, "What ordinary customers paid");
    p(
        page,
        "note",
        "Withdrawals that fit their account's limits, in the months without an attack: at least 97 % should leave without a \
         person, half of them within ten minutes, none denied. Shares are the worst seed's.",
    );
    let rows: Vec<(&str, &[Stat])> = report
        .attack_free
        .iter()
        .map(|free| (report.arms.get(free.arm).map_or("", |arm| &*arm.name), free.ordinary.as_slice()))
        .collect();
    ordinary_table(page, "attack-free months", &rows);
    let heads = ["", "step-ups", "holds", "hold min", "withdrawals", "alerts a day", "false", "halts"];
    let names = [
        "step_ups_per_user_month",
        "holds_per_user_month",
        "hold_minutes_per_user_month",
        "withdrawals_per_user_month",
        "alerts_per_day",
        "false_alerts_per_day",
        "halts",
    ];
    let mean = |stats: &[Stat], name: &str| {
        let Some(text) = stat(stats, name).map(|stat| stat.text(Of::Mean)) else { return "-".to_owned() };
        // Six decimals are for programs.
        text.split_once('.').map_or_else(|| text.clone(), |(whole, part)| format!("{whole}.{:.4}", part))
    };
    let per: Vec<Vec<String>> = rows
        .iter()
        .map(|(name, stats)| {
            std::iter::once((*name).to_owned()).chain(names.map(|one| mean(stats, one))).collect()
        })
        .collect();
    page.push_str("<h3>For each customer and month, and for the staff each day</h3>\n");
    table(page, &heads, &per, &[]);
    let under: Vec<(&str, &[Stat])> = report
        .attacks
        .iter()
        .filter_map(|attack| Some((attack.name, attack.by(0)?.ordinary.as_slice())))
        .collect();
    page.push_str("<h3>In the evaluated days, while attacked</h3>\n");
    ordinary_table(page, "attack", &under);
    if !report.extremes.is_empty() {
        page.push_str("<h3>Benign extremes, each on its day</h3>\n");
        let rows: Vec<(&str, &[Stat])> =
            report.extremes.iter().map(|one| (one.extreme.name(), one.ordinary.as_slice())).collect();
        ordinary_table(page, "extreme", &rows);
    }
    if !report.sweep.is_empty() {
        page.push_str("<h3>What nobody publishes, at its ends</h3>\n");
        let rows: Vec<(&str, &[Stat])> =
            report.sweep.iter().map(|one| (one.name, one.ordinary.as_slice())).collect();
        ordinary_table(page, "rates", &rows);
    }
}

fn controls(page: &mut String, report: &Report) {
    let controls = &report.controls;
    h2(page, "Controls: could these numbers flatter?");
    page.push_str("<h3>One feature alone</h3>\n");
    p(
        page,
        "note",
        "If one raw thing about an event told attackers from customers, the generator would leak and every score be worthless. \
         Traces (networks, browsers, ids, timing, form) must stay near one half on the accounts that the rule was not chosen \
         on. What belongs to the crime may separate: a thief signs in from a device of his own and pays an address of his own. \
         Where an attacker has fewer than ten accounts in a half, there is nothing to say.",
    );
    let cells = |told: Option<&Told>| {
        told.map_or_else(
            || ["-".to_owned(), "-".to_owned()],
            |told| {
                let kind = format!("{:?}", told.kind).to_lowercase();
                [
                    format!("{kind}: {} {}", told.feature, told.rule),
                    format!("{} / {}", short(&told.train), short(&told.test)),
                ]
            },
        )
    };
    let mut rows = Vec::new();
    for one in &controls.one_feature {
        let ([trace, trace_is], [crime, crime_is]) = (cells(one.trace.as_ref()), cells(one.crime.as_ref()));
        rows.push(vec![one.attack.to_owned(), one.events.to_string(), trace, trace_is, crime, crime_is]);
        if one.design.is_some() {
            let [design, design_is] = cells(one.design.as_ref());
            let by = "~\u{2003}shared by design".to_owned();
            rows.push(vec![by, String::new(), design, design_is, String::new(), String::new()]);
        }
    }
    if let Some(lot) = &controls.one_feature_shuffled {
        let [rule, is] = cells(Some(lot));
        rows.push(vec![
            "ordinary, by lot".to_owned(),
            format!("{} accounts", lot.accounts.0 + lot.accounts.1),
            rule,
            is,
            String::new(),
            String::new(),
        ]);
    }
    let heads =
        ["attack", "events", "worst trace", "chosen / tried", "most telling of the crime", "chosen / tried"];
    table(page, &heads, &rows, &[2, 4]);
    if !controls.shuffled_labels.is_empty() {
        page.push_str("<h3>Shuffled labels</h3>\n");
        p(
            page,
            "note",
            "With the attackers' labels dealt out by lot, recall by number must fall to the friction itself.",
        );
        let rows: Vec<Vec<String>> = controls
            .shuffled_labels
            .iter()
            .map(|one| {
                [&one.friction, &one.true_by_money, &one.by_number, &one.by_money]
                    .map(|text| share(text))
                    .into()
            })
            .collect();
        table(
            page,
            &["friction", "true labels, by money", "shuffled, by number", "shuffled, by money"],
            &rows,
            &[],
        );
    }
    if let Some(one) = &controls.equal_friction {
        page.push_str("<h3>Equal friction</h3>\n");
        p(
            page,
            "",
            &format!(
                "{} holds or denies {} of the ordinary withdrawals. A limit on amounts that troubles as many lies at {} USD and \
                 would have let {} BTC go in the worst attack, had the attacker not adapted to it; {} let {} BTC go.",
                report.tested(),
                share(&one.friction),
                plain(&one.limit_usd),
                Unit::Btc.parse(&one.left_btc).map_or_else(String::new, btc),
                report.tested(),
                Unit::Btc.parse(&one.tested_left_btc).map_or_else(String::new, btc),
            ),
        );
    }
    if !controls.cross.is_empty() {
        page.push_str("<h3>Chosen on one generator, tried on the other</h3>\n");
        p(
            page,
            "note",
            "The simplest detector, a limit on amounts, over what left under the simple baseline.",
        );
        let rows: Vec<Vec<String>> = controls
            .cross
            .iter()
            .map(|one| {
                let model = |model| format!("{model:?}").to_lowercase();
                vec![
                    model(one.chosen_on),
                    model(one.tried_on),
                    share(&one.friction),
                    plain(&one.limit_usd),
                    share(&one.troubled),
                    share(&one.stopped),
                ]
            })
            .collect();
        table(
            page,
            &["chosen on", "tried on", "friction wanted", "limit, USD", "friction met", "money stopped"],
            &rows,
            &[1],
        );
    }
    if !controls.other_generator.is_empty() {
        page.push_str("<h3>Among the customers of the other generator</h3>\n");
        let rows: Vec<Vec<String>> = controls
            .other_generator
            .iter()
            .map(|one| {
                let sum = |text: &str| Unit::Btc.parse(text).map_or_else(String::new, btc);
                vec![one.attack.to_owned(), sum(&one.left_btc), sum(&one.own_left_btc)]
            })
            .collect();
        table(page, &["attack", "BTC left there", "BTC left here, same seed"], &rows, &[]);
        let none = || "-".to_owned();
        let rows: Vec<Vec<String>> = controls
            .other_generator_ordinary
            .iter()
            .map(|one| {
                vec![
                    one.score.to_owned(),
                    one.other.clone().unwrap_or_else(none),
                    one.own.clone().unwrap_or_else(none),
                ]
            })
            .collect();
        table(page, &["ordinary customers, attack-free", "there", "here, same seed"], &rows, &[]);
    }
}

fn short(share: &str) -> &str {
    share.get(..4).unwrap_or(share)
}

fn stated(page: &mut String, report: &Report) {
    h2(page, "The stated exchange, and what is frozen");
    let exchange = &report.exchange;
    let permille = |value: u32| percent(i128::from(value) * 1_000);
    let minutes = |micros: u64| span(i128::from(micros));
    let none =
        |value: u32| if value >= crate::drill::arm::NO_BUCKET { "none".to_owned() } else { permille(value) };
    let rows: Vec<Vec<String>> = [
        (
            "hot wallet",
            format!(
                "{} BTC, {} ETH",
                thousands(&exchange.hot_wallet_btc.to_string()),
                thousands(&exchange.hot_wallet_eth.to_string())
            ),
        ),
        (
            "prices",
            format!(
                "{} USD a bitcoin, {} USD an ether",
                thousands(&exchange.usd_per_btc.to_string()),
                thousands(&exchange.usd_per_eth.to_string())
            ),
        ),
        ("ordinary withdrawals to new addresses", permille(exchange.new_address_permille)),
        ("customers with a key that approves", permille(exchange.customers_with_key_permille)),
        (
            "analysts",
            format!(
                "median {} to a verdict, {} wrong, {} cases an hour",
                minutes(exchange.analyst_delay),
                permille(exchange.analyst_error_permille),
                exchange.analyst_cases_an_hour
            ),
        ),
        ("from a right verdict to the halt", minutes(exchange.halt_delay)),
        (
            "owners who act upon a notice",
            format!(
                "{}, median {}",
                permille(exchange.owners_who_notice_permille),
                minutes(exchange.owner_delay)
            ),
        ),
        ("the wallet asks for a batch every", minutes(exchange.batch_every)),
    ]
    .map(|(name, text)| vec![name.to_owned(), text])
    .into();
    table(page, &["the exchange", ""], &rows, &[1]);
    let rows: Vec<Vec<String>> = report
        .arms
        .iter()
        .map(|arm| {
            let buckets = arm.bucket_permille;
            vec![
                arm.name.to_string(),
                format!("{:?}", arm.role).to_lowercase(),
                format!("{} / {} / {}", none(buckets.unvouched), none(buckets.aged), none(buckets.bound)),
                format!(
                    "{} / {} / {}",
                    none(arm.signer_permille.unvouched),
                    none(arm.signer_permille.vouched),
                    none(arm.signer_permille.credential)
                ),
                permille(arm.customers_with_key_permille),
            ]
        })
        .collect();
    let heads = [
        "defence",
        "role",
        "buckets: unvouched / aged / bound, of the hot wallet, and each hour again",
        "signer: unvouched / vouched / a credential in 30 days",
        "with a key",
    ];
    table(page, &heads, &rows, &[1, 2]);
    page.push_str("<p class=\"note\">Frozen by hash before the seeds were played: exchange <code>");
    page.push_str(&report.frozen.exchange);
    page.push_str("</code>; policies <code>");
    page.push_str(&report.frozen.policies);
    page.push_str("</code>");
    for arm in &report.arms {
        let _infallible = write!(page, "; {} <code>{}</code>", escape(&arm.name), arm.policy);
    }
    let _infallible = writeln!(
        page,
        ". Seeds below {} are for development; {} is the set of this drill. Holdfast {}.</p>",
        report.seeds.evaluation_from,
        report.seeds.set,
        escape(report.holdfast)
    );
}
