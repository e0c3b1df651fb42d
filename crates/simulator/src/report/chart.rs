//! The pictures of a report: SVG text, in whole units and with `libm`'s logarithm alone, so that the same drill draws the
//! same bytes everywhere. Colours come from the page's classes, so that they follow light and dark. No colour means anything
//! by itself: shape, place or a word says the same.

use std::fmt::Write as _;

use super::{Against, MomentReport, Report, btc, stat};
use crate::score::Hour;
use crate::score::layer::Layer;

/// How wide every picture is.
const WIDTH: i64 = 960;
/// Where rows' names end and the plot begins.
const LEFT: i64 = 190;
/// Where the plot ends.
const RIGHT: i64 = 930;

/// Text for a page: nothing in it can be read as markup.
pub(super) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}

struct Svg(String);

impl Svg {
    fn new(height: i64, title: &str) -> Self {
        let title = escape(title);
        Self(format!(
            "<div class=\"wide\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\"><title>{title}</title>\n"
        ))
    }

    fn text(&mut self, (x, y): (i64, i64), class: &str, anchor: &str, text: &str) {
        let text = escape(text);
        let _infallible = writeln!(
            self.0,
            "<text x=\"{x}\" y=\"{y}\" class=\"{class}\" text-anchor=\"{anchor}\">{text}</text>"
        );
    }

    fn line(&mut self, (x1, y1): (i64, i64), (x2, y2): (i64, i64), class: &str) {
        let _infallible =
            writeln!(self.0, "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" class=\"{class}\"/>");
    }

    fn rect(&mut self, (x, y): (i64, i64), (width, height): (i64, i64), class: &str, title: &str) {
        let title = escape(title);
        let _infallible = writeln!(
            self.0,
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" class=\"{class}\"><title>{title}</title></rect>"
        );
    }

    fn dot(&mut self, (x, y): (i64, i64), class: &str, title: &str) {
        let title = escape(title);
        let _infallible = writeln!(
            self.0,
            "<circle cx=\"{x}\" cy=\"{y}\" r=\"4\" class=\"{class}\"><title>{title}</title></circle>"
        );
    }

    /// A seed's mark: whose it is, its shape says as well.
    fn seed(&mut self, (x, y): (i64, i64), arm: usize, title: &str) {
        match arm {
            0 => self.dot((x, y), "dot tested", title),
            1 => self.dot((x, y), "dot other", title),
            _ => self.rect((x - 4, y - 4), (8, 8), "dot third", title),
        }
    }

    fn path(&mut self, points: &[(i64, i64)], class: &str) {
        let mut d = String::new();
        for (nth, (x, y)) in points.iter().enumerate() {
            let _infallible = write!(d, "{}{x} {y}", if nth == 0 { "M" } else { "L" });
        }
        let _infallible = writeln!(self.0, "<path d=\"{d}\" class=\"{class}\"/>");
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg></div>\n");
        self.0
    }
}

/// The ticks of the axis of bitcoins: equal steps, each ten times the last.
const TICKS: [(i128, &str); 7] = [
    (0, "0"),
    (1_000_000, "0.01"),
    (10_000_000, "0.1"),
    (100_000_000, "1"),
    (1_000_000_000, "10"),
    (10_000_000_000, "100"),
    (100_000_000_000, "1,000"),
];
/// The end of the axis.
const MOST: i128 = 1_000_000_000_000;

/// Where a sum lies on the axis: by its logarithm from the first bound on, and evenly below it, where there is none.
fn place(satoshi: i128) -> i64 {
    let step = (RIGHT - LEFT) / i64::try_from(TICKS.len()).unwrap_or(1);
    let mut bounds = TICKS.iter().map(|(bound, _)| *bound).chain([MOST]);
    let mut low = bounds.next().unwrap_or(0);
    let mut x = LEFT;
    for high in bounds {
        if satoshi < high {
            let part = match low {
                0 => satoshi.max(0) as f64 / high as f64,
                _ => libm::log10(satoshi as f64 / low as f64),
            };
            return x + libm::round(part * step as f64) as i64;
        }
        (low, x) = (high, x + step);
    }
    x
}

/// What left in each seed, against each defence, one row an attack.
pub(super) fn left(report: &Report) -> String {
    let row = 28;
    let rows = i64::try_from(report.attacks.len()).unwrap_or(0);
    let bottom = 34 + rows * row;
    let mut svg = Svg::new(bottom + 44, "Bitcoins that left, by attack and seed");
    svg.seed((LEFT, 12), 0, "");
    let tested = format!("{}: a dot a seed", report.tested());
    svg.text((LEFT + 10, 16), "label", "start", &tested);
    let mut x = LEFT + 30 + width(&tested);
    for (arm, facts) in report.arms.iter().enumerate().skip(1).filter(|(arm, _)| *arm <= 2) {
        svg.seed((x, 12), arm, "");
        svg.text((x + 10, 16), "label", "start", &facts.name);
        x += 30 + width(&facts.name);
    }
    svg.line((x, 5), (x, 19), "bound");
    svg.text((x + 8, 16), "label", "start", "most that the buckets let out meanwhile");
    for (value, name) in TICKS {
        let x = place(value);
        svg.line((x, 28), (x, bottom), "grid");
        svg.text((x, bottom + 16), "tick", "middle", name);
    }
    svg.line((RIGHT, 28), (RIGHT, bottom), "grid");
    svg.text((RIGHT, bottom + 16), "tick", "middle", "10,000");
    svg.text((RIGHT, bottom + 36), "label", "end", "BTC, each step ten times the last");
    for (nth, attack) in report.attacks.iter().enumerate() {
        let y = 34 + i64::try_from(nth).unwrap_or(0) * row + row / 2;
        svg.text((LEFT - 14, y + 4), "name", "end", attack.name);
        svg.line((LEFT, y), (RIGHT, y), "rule");
        for by in attack.against.iter().filter(|by| by.arm <= 2).rev() {
            // Side by side, since they often lie at the same place.
            let y = match by.arm {
                0 => y,
                1 => y - 6,
                _ => y + 6,
            };
            if by.arm == 0
                && let Some(bound) =
                    stat(&by.attack, "ceiling_btc").and_then(|stat| stat.get(crate::score::figure::Of::Max))
                && bound < MOST
            {
                let x = place(bound);
                svg.line((x, y - 9), (x, y + 9), "bound");
            }
            let Some(stat) = stat(&by.attack, "left_btc") else { continue };
            for (value, seed) in stat.seeds.iter().zip(&report.seeds.used) {
                let value = value.unwrap_or(0);
                let name = report.arms.get(by.arm).map_or("", |arm| &arm.name);
                svg.seed((place(value), y), by.arm, &format!("{name}, seed {seed}: {} BTC", btc(value)));
            }
        }
    }
    svg.end()
}

/// About how wide a text is, in a label's type.
fn width(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(0) * 13 / 2
}

/// What became of the money that was asked for, one row an attack: left, or stopped by which layer.
pub(super) fn stopped(report: &Report, arm: usize) -> String {
    let shown: Vec<_> =
        report.attacks.iter().filter_map(|attack| Some((attack.name, attack.by(arm)?))).collect();
    let used: Vec<Layer> = Layer::ALL
        .into_iter()
        .filter(|layer| {
            shown
                .iter()
                .any(|(_, by)| by.stopped.iter().any(|one| one.layer == layer.name() && one.satoshi > 0))
        })
        .collect();
    let legend_rows = 1 + i64::try_from(used.len()).unwrap_or(0) / 4;
    let top = 24 + legend_rows * 20;
    let row = 26;
    let bottom = top + i64::try_from(shown.len()).unwrap_or(0) * row;
    let mut svg = Svg::new(bottom + 44, "What became of the money that attackers asked for");
    let legend =
        std::iter::once(("left", "left")).chain(used.iter().map(|layer| (layer.name(), layer.title())));
    for (nth, (class, title)) in legend.enumerate() {
        let nth = i64::try_from(nth).unwrap_or(0);
        let (x, y) = (LEFT + nth % 4 * 180, 8 + nth / 4 * 20);
        svg.rect((x, y), (12, 12), &format!("l-{class}"), title);
        svg.text((x + 18, y + 10), "label", "start", title);
    }
    for percent in [0, 25, 50, 75, 100] {
        let x = LEFT + (RIGHT - 60 - LEFT) * percent / 100;
        svg.line((x, top), (x, bottom), "grid");
        svg.text((x, bottom + 16), "tick", "middle", &format!("{percent} %"));
    }
    svg.text(
        (RIGHT - 60, bottom + 36),
        "label",
        "end",
        "of what was asked for, mean over the seeds; asked again counts again",
    );
    svg.text((RIGHT, top - 6), "tick", "end", "asked, BTC");
    for (nth, (name, by)) in shown.iter().enumerate() {
        let y = top + i64::try_from(nth).unwrap_or(0) * row + 4;
        svg.text((LEFT - 14, y + 14), "name", "end", name);
        let left = super::value(&by.attack, "left_btc", crate::score::figure::Of::Mean).unwrap_or(0);
        let parts = std::iter::once(("left", "left", left)).chain(used.iter().map(|layer| {
            let one = by.stopped.iter().find(|one| one.layer == layer.name());
            (layer.name(), layer.title(), one.map_or(0, |one| one.satoshi))
        }));
        let parts: Vec<_> = parts.collect();
        let all: i128 = parts.iter().map(|(_, _, satoshi)| *satoshi).sum();
        let (mut so_far, full) = (0i128, i128::from(RIGHT - 60 - LEFT));
        for (class, title, satoshi) in parts {
            let at = |sum: i128| LEFT + i64::try_from(sum * full / all.max(1)).unwrap_or(0);
            let (from, to) = (at(so_far), at(so_far + satoshi));
            so_far += satoshi;
            if to > from {
                svg.rect(
                    (from, y),
                    (to - from, 18),
                    &format!("l-{class}"),
                    &format!("{name}: {} BTC {title}", btc(satoshi)),
                );
                // Where there is room, the part says by itself what it is.
                if to - from > width(title) {
                    svg.text(((from + to) / 2, y + 13), "part", "middle", title);
                }
            }
        }
        if all == 0 {
            svg.text(
                (LEFT + 6, y + 14),
                "label",
                "start",
                "nothing left; what was refused has no stated value",
            );
        }
        svg.text((RIGHT, y + 14), "tick", "end", &btc(all));
    }
    svg.end()
}

/// A round number that is not less.
fn round_up(value: i128) -> i128 {
    let mut round = 1i128;
    while round < value {
        for times in [2, 5, 10] {
            if round * times >= value {
                return round * times;
            }
        }
        round *= 10;
    }
    round
}

/// The money of one attack over time, in the worst seed, against what is tested and against a baseline.
pub(super) fn course(tested: (&str, &Against), other: Option<(&str, &Against)>) -> String {
    let (top, bottom) = (34, 250);
    let mut svg = Svg::new(300, "The course of the attack");
    let all = || std::iter::once(tested).chain(other);
    let most = all().flat_map(|(_, by)| by.worst.iter().map(|one| one.satoshi)).max().unwrap_or(0);
    let most = round_up(most.max(100_000_000));
    // Until the last payment; of what the tested defence did, at least until the first halt.
    let halted =
        tested.1.worst.iter().find(|one| one.what == "halt" && one.seconds >= 0).map(|one| one.seconds);
    let paid =
        all().flat_map(|(_, by)| by.worst.iter()).filter(|one| one.what == "left").map(|one| one.seconds);
    let ends = paid.chain(halted).max().unwrap_or(0);
    let hours = i64::try_from(round_up(i128::from(ends / 3_600 + 1))).unwrap_or(1);
    let x = |seconds: i64| LEFT + (RIGHT - LEFT) * seconds.clamp(0, hours * 3_600) / (hours * 3_600);
    let y = |satoshi: i128| bottom - i64::try_from(satoshi * i128::from(bottom - top) / most).unwrap_or(0);
    for quarter in 0..=4 {
        let value = most * i128::from(quarter) / 4;
        svg.line((LEFT, y(value)), (RIGHT, y(value)), "grid");
        svg.text((LEFT - 10, y(value) + 4), "tick", "end", &btc(value));
        let hour = hours * 3_600 * quarter / 4;
        svg.text((x(hour), bottom + 18), "tick", "middle", &after(hour));
    }
    svg.text((LEFT - 10, 16), "label", "end", "BTC left, sum");
    svg.text((RIGHT, bottom + 38), "label", "end", "after the attacker's first request");
    let mut legend = LEFT;
    for (nth, (name, by)) in all().enumerate() {
        let class = if nth == 0 { "course tested" } else { "course other" };
        svg.line((legend, 12), (legend + 24, 12), class);
        let title = format!("{name}, seed {}", by.worst_seed);
        svg.text((legend + 30, 16), "label", "start", &title);
        legend += 50 + width(&title);
        svg.path(&steps(&by.worst, x, y, hours * 3_600), class);
    }
    let marks = tested.1.worst.iter().filter(|one| one.what == "alarm" || one.what == "halt");
    for one in marks.filter(|one| one.seconds <= hours * 3_600) {
        let class = if one.what == "halt" { "mark halt" } else { "mark alarm" };
        svg.line((x(one.seconds), top), (x(one.seconds), bottom), class);
    }
    for (class, name) in [("mark alarm", "first alarm (dotted)"), ("mark halt", "halt (solid)")] {
        svg.line((legend, 5), (legend, 19), class);
        svg.text((legend + 8, 16), "label", "start", name);
        legend += 30 + width(name);
    }
    svg.end()
}

fn after(seconds: i64) -> String {
    if seconds % 3_600 == 0 { format!("{} h", seconds / 3_600) } else { format!("{} min", seconds / 60) }
}

fn steps(
    moments: &[MomentReport],
    x: impl Fn(i64) -> i64,
    y: impl Fn(i128) -> i64,
    ends: i64,
) -> Vec<(i64, i64)> {
    let (mut points, mut level) = (vec![(x(0), y(0))], 0i128);
    for one in moments.iter().filter(|one| one.what == "left") {
        points.push((x(one.seconds), y(level)));
        level = one.satoshi;
        points.push((x(one.seconds), y(level)));
    }
    points.push((x(ends), y(level)));
    points.dedup();
    points
}

/// The evaluated days by hour: what left, what was held, what alarmed. The attacker's money has a panel of its own, if he took
/// any.
pub(super) fn days(hours: &[Hour], title: &str) -> String {
    type Read = fn(&Hour) -> i128;
    let ordinary: Read = |hour| i128::from(hour.ordinary_cents / 100);
    let attacker: Read = |hour| i128::from(hour.attacker_cents / 100);
    let panels: [(&[&str], &str, i64, Read); 4] = [
        (&["customers took,", "USD an hour"], "outflow", 90, ordinary),
        (&["the attacker took,", "USD an hour"], "l-left", 90, attacker),
        (&["held for a person,", "an hour"], "holds", 50, |hour| i128::from(hour.holds)),
        (&["alarms, an hour"], "alarms", 50, |hour| i128::from(hour.alarms)),
    ];
    let robbed = hours.iter().any(|hour| attacker(hour) > 0);
    let shown = || panels.iter().filter(|(_, class, ..)| robbed || *class != "l-left");
    let gap = 26;
    let bottom: i64 = shown().map(|(_, _, high, _)| gap + high).sum();
    let mut svg = Svg::new(bottom + 44, title);
    let count = i64::try_from(hours.len()).unwrap_or(1).max(1);
    let x = |hour: i64| LEFT + (RIGHT - LEFT) * hour / count;
    let mut top = gap;
    for (names, class, high, of) in shown() {
        let low = top + high;
        let most = round_up(hours.iter().map(of).max().unwrap_or(0).max(1));
        for (nth, name) in names.iter().enumerate() {
            let down = i64::try_from(nth).unwrap_or(0) * 15;
            svg.text((LEFT - 14, (top + low) / 2 + down), "label", "end", name);
        }
        svg.line((LEFT, low), (RIGHT, low), "rule");
        svg.line((LEFT, top), (RIGHT, top), "grid");
        svg.text((RIGHT, top - 4), "tick", "end", &short(most));
        svg.text((RIGHT + 4, low + 4), "tick", "start", "0");
        for (nth, hour) in hours.iter().enumerate() {
            let (nth, value) = (i64::try_from(nth).unwrap_or(0), of(hour));
            let tall = i64::try_from(value * i128::from(*high) / most).unwrap_or(0);
            // What is there is seen, however little it is.
            let tall = if value > 0 { tall.max(1) } else { 0 };
            if tall > 0 {
                let wide = (x(nth + 1) - x(nth)).max(1);
                let number = super::thousands(&value.to_string());
                svg.rect((x(nth), low - tall), (wide, tall), class, &format!("hour {nth}: {number}"));
            }
        }
        top = low + gap;
    }
    for day in 0..=count / 24 {
        svg.line((x(day * 24), gap), (x(day * 24), bottom), "grid");
        if day * 24 < count {
            svg.text((x(day * 24) + 3, bottom + 16), "tick", "start", &format!("day {}", day + 1));
        }
    }
    svg.text((RIGHT, bottom + 36), "label", "end", "evaluated days, and what was paid after them");
    svg.end()
}

fn short(value: i128) -> String {
    match value {
        ..1_000 => value.to_string(),
        1_000..1_000_000 => format!("{}k", value / 1_000),
        _ => format!("{}M", value / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_lie_in_order_on_the_axis() {
        let sums = [0, 500_000, 1_000_000, 100_000_000, 13_260_000_000, 707_400_000_000, MOST, MOST * 10];
        let places: Vec<i64> = sums.iter().map(|sum| place(*sum)).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert_eq!(places[0], LEFT);
        // Twice as much lies as far away wherever it is; half of a step of ten is 3.16 times as much, not 5.5.
        let (ten, hundred) = (place(1_000_000_000), place(10_000_000_000));
        assert!((place(3_162_277_660) - (ten + hundred) / 2).abs() <= 1);
        assert!(
            ((place(4_000_000_000) - place(2_000_000_000)) - (place(40_000_000) - place(20_000_000))).abs()
                <= 1
        );
        assert!(places.iter().all(|x| (LEFT..=RIGHT).contains(x)), "{places:?}");
        assert_eq!(round_up(132), 200);
        assert_eq!(round_up(7_074), 10_000);
        assert_eq!(round_up(1), 1);
    }

    #[test]
    fn names_cannot_be_read_as_markup() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
