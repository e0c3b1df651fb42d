//! The fire drill: every attack against every defence, over several seeds, each past played once and forked.
//!
//! A task is a seed, a defence and a generator. Its ordinary days are played once without any attack; where an attack
//! begins, the exchange and its stream are cloned and go on with the attacker among the customers. So the past is shared,
//! and two exchanges at most are in memory for each task.

pub mod arm;
pub mod controls;
pub mod features;
mod run;
mod stream;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use holdfast_values::Timestamp;

use crate::attackers::{self, Attack, Casting};
use crate::play::{Play, PlayError, Recorder};
use crate::population::{Extreme, Model, Population, Settings, Sweep};
use crate::score::figure::Figure;
use crate::score::rank::Recall;
use crate::score::{Hour, LayerRow, Moment, ReasonRow, Scorer, Window};

use arm::Arm;
use features::{Tallies, Watch};
use run::{Ordinary, SETTLE, Stand};

pub use run::{Sink, Watcher};

/// Seeds below are for development; what is reported is evaluated from here on.
pub const EVALUATION_SEEDS: u64 = 1_000;

/// A drill.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Customers and days.
    pub settings: Settings,
    /// Which attacks.
    pub attacks: Vec<&'static Attack>,
    /// Against what; the first one is what is tested.
    pub arms: Vec<Arm>,
    /// Which seeds.
    pub seeds: Vec<u64>,
    /// Threads. The results do not depend on it.
    pub jobs: usize,
    /// Also the other generator and the benign extremes.
    pub controls: bool,
    /// Also the ends of what nobody publishes.
    pub sweep: bool,
}

/// What was played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// Months without an attack.
    Free,
    /// The same with all benign extremes.
    Extremes,
    /// The same with another guess at what nobody publishes: its place in [`Sweep::all`].
    Sweep(usize),
    /// An attack: its place in the plan.
    Attack(usize),
}

/// Which run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// What was played.
    pub what: What,
    /// Against which defence.
    pub arm: usize,
    /// Whether among customers of the other generator.
    pub other_model: bool,
    /// By which seed.
    pub seed: u64,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Which run.
    pub key: Key,
    /// Of the attack; empty without one.
    pub attack: Vec<Figure>,
    /// Of ordinary customers.
    pub ordinary: Vec<Figure>,
    /// By layer.
    pub layers: Vec<LayerRow>,
    /// By reason.
    pub reasons: Vec<ReasonRow>,
    /// By hour, of the evaluated days; of an attack, from its fork on.
    pub hours: Vec<Hour>,
    /// Hours of the evaluated days before the fork.
    pub past_hours: usize,
    /// The attack in time.
    pub moments: Vec<Moment>,
    /// When it began to take money.
    pub began: Option<Timestamp>,
    /// Recall with shuffled labels, at each friction.
    pub shuffled: Vec<Recall>,
    /// Without an attack: ordinary withdrawals in US cents, sorted, and whether a person or a refusal stood in their way.
    pub values: Vec<(u64, bool)>,
    /// What left to the attacker: US cents and satoshi of each payment.
    pub taken: Vec<(u64, u64)>,
    /// Features of the attacker's events, or of all ordinary ones.
    pub tallies: Option<Tallies>,
    /// Without an attack: features of the accounts that shuffled labels call an attacker's.
    pub shuffled_tallies: Option<Tallies>,
    /// With extremes: the figures of each one's own day.
    pub extremes: Vec<(Extreme, Vec<Figure>)>,
    /// Entries played.
    pub entries: u64,
    /// The attacker's, of them.
    pub attacker_entries: u64,
    /// Commands decided.
    pub commands: u64,
    /// How long it took: goes to no report, since it differs from run to run.
    pub elapsed: Duration,
}

/// Everything that was finished, in a fixed order.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// By key.
    pub outcomes: BTreeMap<Key, Outcome>,
    /// It was told to end before all was done.
    pub is_partial: bool,
}

/// One past, and everything that forks off it.
#[derive(Clone, Copy, Debug)]
struct Task {
    seed: u64,
    arm: usize,
    model: Model,
    past: Past,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Past {
    Plain,
    Extremes,
    Sweep(usize),
}

impl Plan {
    fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        let wants_run = self.attacks.iter().any(|attack| attack.wants_run);
        for &seed in &self.seeds {
            for arm in 0..self.arms.len() {
                tasks.push(Task { seed, arm, model: self.settings.model, past: Past::Plain });
                if wants_run || (self.controls && arm == 0) {
                    tasks.push(Task { seed, arm, model: self.settings.model, past: Past::Extremes });
                }
            }
        }
        if let (true, Some(&seed)) = (self.controls, self.seeds.first()) {
            let model = other(self.settings.model);
            for arm in 0..self.arms.len().min(2) {
                tasks.push(Task { seed, arm, model, past: Past::Plain });
            }
        }
        if let (true, Some(&seed)) = (self.sweep, self.seeds.first()) {
            // The first of the sweep is what is played anyway.
            for nth in 1..Sweep::all().len() {
                tasks.push(Task { seed, arm: 0, model: self.settings.model, past: Past::Sweep(nth) });
            }
        }
        tasks
    }

    /// The attacks that fork off a past.
    fn attacks_of(&self, past: Past) -> impl Iterator<Item = (usize, &'static Attack)> {
        let wanted = move |attack: &Attack| match past {
            Past::Plain => !attack.wants_run,
            Past::Extremes => attack.wants_run,
            Past::Sweep(_) => false,
        };
        self.attacks.iter().copied().enumerate().filter(move |(_, attack)| wanted(attack))
    }

    fn settings_of(&self, task: &Task) -> Settings {
        let mut settings = Settings {
            model: task.model,
            exchange: self
                .arms
                .get(task.arm)
                .map_or_else(|| self.settings.exchange.clone(), |arm| arm.exchange.clone()),
            ..self.settings.clone()
        };
        match task.past {
            Past::Plain => {}
            Past::Extremes => settings.extremes = Extreme::ALL.to_vec(),
            Past::Sweep(nth) => {
                if let Some((_, sweep)) = Sweep::all().get(nth) {
                    settings.sweep = *sweep;
                }
            }
        }
        settings
    }

    /// About how many days will be played, all runs together.
    pub fn days(&self) -> u64 {
        let days = |task: &Task| {
            let whole = u64::from(self.settings.days_total());
            let forks = self.attacks_of(task.past).map(|(_, attack)| {
                u64::from(
                    self.settings.days.saturating_add(attack.days_before.min(self.settings.thinned_days)),
                )
            });
            whole.saturating_add(forks.sum())
        };
        self.tasks().iter().map(days).sum()
    }

    /// Plays it all.
    ///
    /// # Errors
    /// [`PlayError`] if an exchange cannot be played by its policy.
    pub fn run(&self, watcher: &Watcher) -> Result<Results, PlayError> {
        for arm in &self.arms {
            Play::new(&arm.exchange, arm.policy.clone(), 0)?;
        }
        let tasks = self.tasks();
        let (next, outcomes) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let work = || {
            while let Some(task) = tasks.get(next.fetch_add(1, Ordering::Relaxed)) {
                if watcher.stop.load(Ordering::Relaxed) {
                    return Ok(());
                }
                let keep = |outcome: Outcome| {
                    let mut outcomes = outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    outcomes.insert(outcome.key, outcome);
                };
                self.play(task, watcher, &keep)?;
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (1..self.jobs.clamp(1, 64)).map(|_| scope.spawn(work)).collect();
            let mine = work();
            // A thread that panicked took its task with it; a drill without it would look complete.
            let theirs = threads.into_iter().map(|thread| match thread.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            theirs.chain([mine]).collect::<Result<Vec<()>, PlayError>>()
        })?;
        let outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        let is_partial = watcher.stop.load(Ordering::Relaxed);
        Ok(Results { outcomes, is_partial })
    }

    /// One past, and its forks.
    fn play(&self, task: &Task, watcher: &Watcher, keep: &dyn Fn(Outcome)) -> Result<(), PlayError> {
        let Some(arm) = self.arms.get(task.arm) else { return Ok(()) };
        let began = std::time::Instant::now();
        let settings = self.settings_of(task);
        let key = |what| Key {
            what,
            arm: task.arm,
            other_model: task.model != self.settings.model,
            seed: task.seed,
        };
        let watched = task.past == Past::Plain && task.arm == 0 && task.model == self.settings.model;
        let (mut stand, base) = begin(arm, &settings, task.seed, watched, None)?;
        let mut forks = self.forks(task, &base, &settings);
        drop(base);
        let months = Window::new(
            &arm.exchange,
            settings.begins(0),
            settings.begins(settings.days_total()),
            Some(settings.accounts),
        );
        let mut counts = Ordinary { scorers: vec![Scorer::new(months)], ..Ordinary::default() };
        if task.past == Past::Extremes {
            counts.scorers.extend(Extreme::ALL.map(|extreme| {
                let day = extreme.day(&settings);
                let (from, until) = (settings.begins(day), settings.begins(day.saturating_add(1)));
                Scorer::new(Window::new(&arm.exchange, from, until, Some(settings.accounts)))
                    .of_its_window_alone()
            }));
        }
        for day in 0..settings.days_total() {
            while let Some((_, nth, casting)) = forks.pop_if(|(from, _, _)| *from <= day) {
                let key = key(What::Attack(nth));
                match run::attack(key, arm, &settings, stand.clone(), day, casting, watcher, None) {
                    Some(outcome) => keep(outcome),
                    None => return Ok(()),
                }
            }
            run::ordinary_day(&mut stand, &mut counts, task.seed);
            if !watcher.day() {
                return Ok(());
            }
        }
        stand.play.advance(settings.begins(settings.days_total()).plus(SETTLE));
        let lines = stand.play.take_log();
        let mut scored = counts.scorers.into_iter().map(|mut scorer| {
            lines.iter().for_each(|line| scorer.line(line));
            scorer.finish()
        });
        let what = match task.past {
            Past::Plain => What::Free,
            Past::Extremes => What::Extremes,
            Past::Sweep(nth) => What::Sweep(nth),
        };
        let mut outcome = Outcome::of(key(what), scored.next().unwrap_or_default());
        let evaluated = usize::try_from(u64::from(settings.thinned_days).saturating_mul(24)).unwrap_or(0);
        outcome.hours = outcome.hours.split_off(evaluated.min(outcome.hours.len()));
        outcome.extremes = Extreme::ALL.into_iter().zip(scored.map(|scores| scores.ordinary)).collect();
        outcome.entries = counts.entries;
        outcome.commands = stand.play.commands();
        if watched {
            outcome.tallies = Some(counts.tallies);
            outcome.shuffled_tallies = Some(counts.shuffled);
        }
        outcome.elapsed = began.elapsed();
        keep(outcome);
        Ok(())
    }

    /// Where each attack forks off; the first one last, to be popped.
    fn forks(&self, task: &Task, base: &Population, settings: &Settings) -> Vec<(u32, usize, Casting)> {
        let mut forks: Vec<(u32, usize, Casting)> = self
            .attacks_of(task.past)
            .map(|(nth, attack)| {
                let casting = attackers::cast(attack, base, task.seed);
                (fork_day(&casting, settings), nth, casting)
            })
            .collect();
        forks.sort_by_key(|(day, nth, _)| std::cmp::Reverse((*day, *nth)));
        forks
    }

    /// Plays one attack of the plan against what is tested, from the very beginning and unforked: for files and journals.
    ///
    /// # Errors
    /// [`PlayError`] if the exchange cannot be played by its policy.
    pub fn straight(
        &self,
        seed: u64,
        nth: usize,
        recorder: Option<Box<dyn Recorder + Send>>,
        sink: &mut dyn Sink,
        watcher: &Watcher,
    ) -> Result<Option<Outcome>, PlayError> {
        let (Some(arm), Some(attack)) = (self.arms.first(), self.attacks.get(nth)) else { return Ok(None) };
        let past = if attack.wants_run { Past::Extremes } else { Past::Plain };
        let task = Task { seed, arm: 0, model: self.settings.model, past };
        let settings = self.settings_of(&task);
        let (stand, base) = begin(arm, &settings, seed, past == Past::Plain, Some((recorder, &mut *sink)))?;
        let casting = attackers::cast(attack, &base, seed);
        let fork = fork_day(&casting, &settings);
        let key = Key { what: What::Attack(nth), arm: 0, other_model: false, seed };
        Ok(run::attack(key, arm, &settings, stand, fork, casting, watcher, Some(sink)))
    }
}

/// The other generator.
pub const fn other(model: Model) -> Model {
    match model {
        Model::Strata => Model::Habits,
        Model::Habits => Model::Strata,
    }
}

/// The day at whose beginning the past of an attack must fork off.
fn fork_day(casting: &Casting, settings: &Settings) -> u32 {
    let Some(wakes) = casting.wakes() else { return settings.thinned_days };
    let first = settings.begins(0);
    let day = wakes.since(first) / holdfast_values::time::DAY;
    u32::try_from(day).unwrap_or(0).min(settings.days_total().saturating_sub(1))
}

type Recording<'s> = (Option<Box<dyn Recorder + Send>>, &'s mut dyn Sink);

/// An exchange whose opening has been played, and its population as it stood then.
fn begin(
    arm: &Arm,
    settings: &Settings,
    seed: u64,
    watched: bool,
    recording: Option<Recording<'_>>,
) -> Result<(Stand, Population), PlayError> {
    let mut play = Play::new(&arm.exchange, arm.policy.clone(), seed)?;
    let mut sink = None;
    if let Some((recorder, to)) = recording {
        if let Some(recorder) = recorder {
            play.record_to(recorder);
        }
        sink = Some(to);
    }
    let mut population = Population::new(settings, seed);
    let mut watch = watched.then(|| Watch::new(seed));
    for entry in population.opening() {
        play.submit(&entry);
        if let Some(watch) = &mut watch {
            watch.see(&entry);
        }
        if let Some(sink) = &mut sink {
            sink.entry(&entry);
        }
    }
    drop(play.take_log());
    let base = population.clone();
    let stand = Stand { play, stream: stream::Stream::of(population), watch, day: 0 };
    Ok((stand, base))
}
