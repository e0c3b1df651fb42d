//! A plan, then the taking: what most attackers are made of.

use holdfast_values::Timestamp;

use super::agenda::Agenda;
use super::reach::{Attacker, Reach};
use super::taker::{Manner, Purse, Taker};

/// First what is planned, and from each account's time on the taking.
#[derive(Debug)]
pub(super) struct Raid {
    pub(super) agenda: Agenda,
    pub(super) taker: Taker,
}

impl Raid {
    pub(super) fn new(agenda: Agenda, manner: Manner, purses: Vec<Purse>) -> Self {
        Self { agenda, taker: Taker::new(manner, purses) }
    }
}

impl Attacker for Raid {
    fn wakes(&self) -> Option<Timestamp> {
        self.agenda.wakes().into_iter().chain(self.taker.wakes()).min()
    }

    fn act(&mut self, at: Timestamp, reach: &mut dyn Reach) {
        self.agenda.act(at, reach);
        self.taker.act(at, reach);
    }
}
