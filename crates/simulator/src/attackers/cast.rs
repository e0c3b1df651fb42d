//! Who is robbed, and what they hold: victims drawn from a run's customers as the attack would find them.

use std::collections::VecDeque;

use holdfast_values::{Timestamp, time};

use super::casting::Casting;
use super::catalogue::Attack;
use super::hands::Hands;
use super::reach::{Attacker, Reach};
use crate::population::{FIRST_FULL_DAY, Population};

pub(super) fn cast(attack: &'static Attack, population: &Population, seed: u64) -> Casting {
    let days = population.settings().days;
    let ends = FIRST_FULL_DAY.plus(u64::from(days).saturating_mul(time::DAY));
    let hands = Hands::new(attack, seed, ends);
    Casting { attack, attacker: Box::new(Nobody), hands, before: VecDeque::new() }
}

struct Nobody;

impl Attacker for Nobody {
    fn wakes(&self) -> Option<Timestamp> {
        None
    }

    fn act(&mut self, _: Timestamp, _: &mut dyn Reach) {}
}
