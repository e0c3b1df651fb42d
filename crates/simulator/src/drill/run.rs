//! One run: an exchange played through its ordinary days, or an attack from where its past forks off.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use holdfast_values::{Timestamp, time};

use super::arm::Arm;
use super::features::{Tallies, Watch, Whose, is_shuffled};
use super::stream::Stream;
use super::{Key, Outcome};
use crate::attackers::Casting;
use crate::format::Entry;
use crate::log::Line;
use crate::play::Play;
use crate::population::Settings;
use crate::score::figure::{Figure, Unit};
use crate::score::rank::{self, FRICTION_PERMILLE};
use crate::score::{Scorer, Scores, Window};
use crate::truth::Truth;

/// What was asked for at the end has time to be paid.
pub(super) const SETTLE: u64 = 3 * time::DAY;

/// How far it is, and whether it should stop.
#[derive(Debug, Default)]
pub struct Watcher {
    /// Days played, of all runs together.
    pub days: AtomicU64,
    /// Somebody wants it to end.
    pub stop: AtomicBool,
}

impl Watcher {
    pub(super) fn day(&self) -> bool {
        self.days.fetch_add(1, Ordering::Relaxed);
        !self.stop.load(Ordering::Relaxed)
    }
}

/// Takes everything of a run that a file may want.
pub trait Sink {
    /// An entry, in the order in which it was played.
    fn entry(&mut self, entry: &Entry);
    /// A line of what happened.
    fn line(&mut self, line: &Line);
    /// What is privately known, once, at the end.
    fn truth(&mut self, truth: &Truth, window: &Window);
}

/// Where a run stands when it goes on.
#[derive(Clone)]
pub(super) struct Stand {
    pub(super) play: Play,
    pub(super) stream: Stream,
    pub(super) watch: Option<Watch>,
    pub(super) day: u32,
}

/// The window of the evaluated days.
pub(super) fn evaluated(settings: &Settings, arm: &Arm) -> Window {
    let (from, until) = (settings.begins(settings.thinned_days), settings.begins(settings.days_total()));
    Window::new(&arm.exchange, from, until, Some(settings.accounts))
}

/// An attack, from a fork to its end. Nothing, if it was told to stop. What stands before the day `fork` is played first and
/// not scored, so that it comes to the same as if it had been forked there.
#[expect(
    clippy::too_many_arguments,
    reason = "what is played, from where, and who looks on: each is one thing"
)]
pub(super) fn attack(
    key: Key,
    arm: &Arm,
    settings: &Settings,
    mut stand: Stand,
    fork: u32,
    mut casting: Casting,
    watcher: &Watcher,
    mut sink: Option<&mut dyn Sink>,
) -> Option<Outcome> {
    let began = std::time::Instant::now();
    let mut window = evaluated(settings, arm);
    let past_hours = settings.begins(fork).since(window.from) / time::HOUR;
    window.from = window.from.max(settings.begins(fork));
    let mut scorer = Scorer::new(window.clone());
    let mut tallies = stand.watch.is_some().then(Tallies::default);
    let (mut marked, mut entries, mut his) = (0, 0u64, 0u64);
    drop(stand.play.take_log());
    let commands = stand.play.commands();
    let ends = settings.begins(settings.days_total()).plus(SETTLE);
    // What the attacker put into the stream since the last look: into the file, the counts, the scores.
    let mut gather = |casting: &mut Casting, watch: &mut Option<Watch>, sink: &mut Option<&mut dyn Sink>| {
        for entry in casting.take_entries() {
            his = his.saturating_add(1);
            let is_his = casting.truth().marks.iter().rev().any(|mark| is_about(mark, &entry.id));
            if let Some(watch) = watch {
                match &mut tallies {
                    Some(tallies) if is_his => watch.count(&entry, Whose::Attacker, tallies),
                    _ => watch.see(&entry),
                }
            }
            if let Some(sink) = sink {
                sink.entry(&entry);
            }
        }
    };
    let mut drain = |play: &mut Play, casting: &mut Casting, sink: &mut Option<&mut dyn Sink>| {
        let marks = casting.truth().marks.get(marked..).unwrap_or_default();
        marked = marked.saturating_add(marks.len());
        marks.iter().for_each(|mark| scorer.mark(mark));
        for line in play.take_log().iter().chain(&casting.take_lines()) {
            scorer.line(line);
            if let Some(sink) = sink {
                sink.line(line);
            }
        }
    };
    let Stand { play, stream, watch, day } = &mut stand;
    for day in *day..settings.days_total() {
        stream.each(day, |entry| {
            while let Some(at) = casting.wakes().filter(|at| *at < entry.at) {
                play.advance(at);
                casting.act(at, play);
                gather(&mut casting, watch, &mut sink);
            }
            play.submit(entry);
            entries = entries.saturating_add(1);
            if let Some(watch) = watch {
                watch.see(entry);
            }
            if let Some(sink) = &mut sink {
                sink.entry(entry);
            }
        });
        if day < fork {
            drop(play.take_log());
        } else {
            drain(play, &mut casting, &mut sink);
        }
        if !watcher.day() {
            return None;
        }
    }
    while let Some(at) = casting.wakes().filter(|at| *at < ends) {
        play.advance(at);
        casting.act(at, play);
        gather(&mut casting, watch, &mut sink);
        drain(play, &mut casting, &mut sink);
    }
    play.advance(ends);
    drain(play, &mut casting, &mut sink);
    if let Some(sink) = sink {
        sink.truth(casting.truth(), &window);
    }
    let scores = scorer.finish();
    let ceiling = ceiling(&scores, arm);
    let mut outcome = Outcome::of(key, scores);
    outcome.attack.push(ceiling);
    outcome.tallies = tallies;
    outcome.past_hours = usize::try_from(past_hours).unwrap_or(0);
    outcome.entries = entries.saturating_add(his);
    outcome.attacker_entries = his;
    outcome.commands = play.commands().saturating_sub(commands);
    outcome.elapsed = began.elapsed();
    Some(outcome)
}

fn is_about(mark: &crate::truth::Mark, event: &str) -> bool {
    matches!(mark, crate::truth::Mark::Event { id, .. } if **id == *event)
}

/// The most that the buckets for what nobody vouches for let out from the attack's first request to its last payment: of each
/// asset that left, the size of *unvouched* and *aged*, and what flowed back meanwhile.
fn ceiling(scores: &Scores, arm: &Arm) -> Figure {
    let exchange = &arm.exchange;
    let permille = exchange.bucket_permille.unvouched.saturating_add(exchange.bucket_permille.aged);
    let hot = |asset: &str| {
        let btc = u128::from(exchange.hot_wallet_btc).saturating_mul(100_000_000);
        let eth = u128::from(exchange.hot_wallet_eth)
            .saturating_mul(u128::from(exchange.usd_per_eth))
            .saturating_mul(100_000_000)
            / u128::from(exchange.usd_per_btc.max(1));
        if asset == "ETH" { eth } else { btc }
    };
    let most = |asset: &str, last: Timestamp| {
        let elapsed = scores.began.map_or(0, |began| last.since(began));
        let size = hot(asset).saturating_mul(u128::from(permille)) / 1_000;
        size.saturating_add(size.saturating_mul(u128::from(elapsed)) / u128::from(time::HOUR))
    };
    let sum = scores
        .left_by_asset
        .iter()
        .fold(0u128, |sum, (asset, (_, last))| sum.saturating_add(most(asset, *last)));
    let sum = if sum == 0 { most("BTC", Timestamp::ZERO) } else { sum };
    Figure::of("ceiling_btc", Unit::Btc, i128::try_from(sum).unwrap_or(i128::MAX))
}

/// An ordinary day, played.
pub(super) fn ordinary_day(stand: &mut Stand, counts: &mut Ordinary, seed: u64) {
    let Stand { play, stream, watch, day } = stand;
    stream.each(*day, |entry| {
        play.submit(entry);
        counts.entries = counts.entries.saturating_add(1);
        if let Some(watch) = watch {
            let shuffled = entry.body.account().is_some_and(|one| is_shuffled(seed, one, SHUFFLED_ONE_OF));
            // Shuffled labels have a table of their own: the ordinary counts stay whole.
            let (whose, tallies) = if shuffled {
                (Whose::Attacker, &mut counts.shuffled)
            } else {
                (Whose::Ordinary, &mut counts.tallies)
            };
            watch.count(entry, whose, tallies);
        }
    });
    *day = day.saturating_add(1);
    let lines = play.take_log();
    for scorer in &mut counts.scorers {
        lines.iter().for_each(|line| scorer.line(line));
    }
}

/// One account in forty is called an attacker's where labels are shuffled: about as many as an attack uses.
pub(super) const SHUFFLED_ONE_OF: u64 = 40;

/// What is counted of the ordinary days.
#[derive(Default)]
pub(super) struct Ordinary {
    pub(super) entries: u64,
    pub(super) tallies: Tallies,
    pub(super) shuffled: Tallies,
    pub(super) scorers: Vec<Scorer>,
}

impl Outcome {
    /// Of scores; what the ranking says is kept, the ranking is not.
    pub(super) fn of(key: Key, scores: Scores) -> Self {
        let shuffled = if scores.attack.is_empty() {
            Vec::new()
        } else {
            FRICTION_PERMILLE
                .iter()
                .map(|(permille, _)| rank::shuffled(&scores.ranked, *permille, key.seed))
                .collect()
        };
        let ordinary = scores.ranked.iter().filter(|one| !one.is_attacker);
        let mut values: Vec<(u64, bool)> = ordinary.map(|one| (one.usd_cents, one.severity >= 3)).collect();
        values.sort_unstable();
        Self {
            key,
            attack: scores.attack,
            ordinary: scores.ordinary,
            layers: scores.layers,
            reasons: scores.reasons,
            hours: scores.hours,
            past_hours: 0,
            moments: scores.moments,
            began: scores.began,
            shuffled,
            values: if scores.taken.is_empty() && shuffled_is_free(&key) { values } else { Vec::new() },
            taken: scores.taken,
            tallies: None,
            shuffled_tallies: None,
            extremes: Vec::new(),
            entries: 0,
            attacker_entries: 0,
            commands: 0,
            elapsed: std::time::Duration::ZERO,
        }
    }
}

const fn shuffled_is_free(key: &Key) -> bool {
    matches!(key.what, super::What::Free)
}
