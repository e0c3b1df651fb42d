//! The ordinary stream of a seed: kept whole where it is small, made again from where a fork stands where it is not.

use std::sync::Arc;

use crate::format::Entry;
use crate::population::{Population, Settings};

/// Days in turn. A clone goes on from the same day, on its own.
#[derive(Clone)]
pub(super) enum Stream {
    /// All of it, shared.
    Kept(Arc<Vec<Vec<Entry>>>),
    /// Made a day at a time.
    Made(Box<Population>),
}

/// As many days of an account are kept as come to about a million entries; a full day has fifteen times as many as a
/// thinned one.
const KEPT_MAX: u64 = 1_000_000;

impl Stream {
    /// Of a population whose opening was told.
    pub(super) fn of(mut population: Population) -> Self {
        let settings = population.settings().clone();
        if !is_small(&settings) {
            return Self::Made(Box::new(population));
        }
        Self::Kept(Arc::new((0..settings.days_total()).map(|day| population.day(day)).collect()))
    }

    /// What happens on a day, given away an entry at a time.
    pub(super) fn each(&mut self, day: u32, mut take: impl FnMut(&Entry)) {
        match self {
            Self::Kept(days) => days.get(day as usize).into_iter().flatten().for_each(take),
            Self::Made(population) => population.day(day).iter().for_each(&mut take),
        }
    }
}

fn is_small(settings: &Settings) -> bool {
    let days = u64::from(settings.thinned_days).saturating_add(u64::from(settings.days).saturating_mul(15));
    u64::from(settings.accounts).saturating_mul(days) <= KEPT_MAX
}
