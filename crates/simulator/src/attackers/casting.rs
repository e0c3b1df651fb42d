//! One attack, cast: the attacker, the accounts that come into his hands, and what is privately known of both. A drill asks
//! it when it wakes and lets it act between the ordinary entries.

use std::collections::VecDeque;

use holdfast_values::Timestamp;

use super::agenda::next_due;
use super::catalogue::Attack;
use super::hands::{Hands, Spent};
use super::reach::Attacker;
use super::vault::{Beside, VaultError};
use crate::exchange::Exchange;
use crate::format::Entry;
use crate::log::Line;
use crate::play::{Answer, Play, Seen};
use crate::truth::Truth;

/// The exchange, as far as an attack touches it. `Play` is one; tests have smaller ones.
pub trait Stage {
    /// Advances to the entry's time and takes it.
    fn submit(&mut self, entry: &Entry) -> Answer;
    /// How a withdrawal stands, as its owner is shown it.
    fn seen(&self, event: &str) -> Option<Seen>;
    /// That event will be the attacker's. Private to owners and analysts.
    fn mark_event(&mut self, event: &str);
    /// That account is in the attacker's hands, or his own. Private to owners and analysts.
    fn mark_account(&mut self, account: &str, mule: bool);
    /// US cents for a whole coin.
    fn price(&self, asset: &str) -> Option<u64>;
}

impl Stage for Play {
    fn submit(&mut self, entry: &Entry) -> Answer {
        Self::submit(self, entry)
    }

    fn seen(&self, event: &str) -> Option<Seen> {
        Self::seen(self, event)
    }

    fn mark_event(&mut self, event: &str) {
        self.mark_attacker_event(event);
    }

    fn mark_account(&mut self, account: &str, mule: bool) {
        if mule {
            self.mark_mule(account);
        } else {
            self.mark_attacker_account(account);
        }
    }

    fn price(&self, asset: &str) -> Option<u64> {
        let state = self.state();
        let index = state.asset_index(&asset.parse().ok()?)?;
        let decimals = state.configuration().assets.get(usize::from(index.0))?.spec.decimals;
        let coin = holdfast_values::Amount::from_base_units(10u128.checked_pow(decimals.into())?);
        state.value(index, coin, state.time()).map(|cents| cents.0)
    }
}

/// An attack that is ready to be played, from [`super::cast`].
pub struct Casting {
    pub(super) attack: &'static Attack,
    pub(super) attacker: Box<dyn Attacker>,
    pub(super) hands: Hands,
    /// Ordinary entries that the drill needs: months before, victims were given what there was to steal.
    pub(super) before: VecDeque<Entry>,
    /// What happens at a signer of its own, and when.
    pub(super) beside: Option<(Timestamp, Beside)>,
    pub(super) exchange: Exchange,
    pub(super) broken: Option<VaultError>,
}

impl Casting {
    /// Which attack.
    pub fn attack(&self) -> &'static Attack {
        self.attack
    }

    /// When it next does something: a drill lets it act at that time, after what is ordinary of that instant. The first
    /// answer is the earliest time at which a fork must stand.
    pub fn wakes(&self) -> Option<Timestamp> {
        let before = self.before.front().map(|entry| entry.at);
        let attacker = self.attacker.wakes().filter(|_| !self.hands.is_over());
        let beside = self.beside.as_ref().map(|(at, _)| *at);
        let letters = self.hands.letters.first_key_value().map(|((at, _), _)| *at);
        before.into_iter().chain(attacker).chain(beside).chain(letters).min()
    }

    /// Acts at `at`, which is when it [wakes](Self::wakes), or later.
    pub fn act(&mut self, at: Timestamp, stage: &mut dyn Stage) {
        while let Some(entry) = next_due(&mut self.before, |entry| entry.at <= at) {
            stage.submit(&entry);
            self.hands.entries.push(entry);
        }
        while let Some(letter) = self.hands.letters.first_entry().filter(|letter| letter.key().0 <= at) {
            let body = letter.remove();
            let entry = Entry { at, id: self.hands.id(), body };
            stage.submit(&entry);
            self.hands.entries.push(entry);
        }
        if let Some((begins, beside)) = self.beside.take_if(|(begins, _)| *begins <= at) {
            let hands = &mut self.hands;
            match beside(&self.exchange, begins, &mut || hands.id()) {
                Ok(lines) => hands.tell(lines),
                Err(error) => self.broken = Some(error),
            }
        }
        if self.attacker.wakes().is_some_and(|wakes| wakes <= at) {
            self.attacker.act(at, &mut self.hands.reach(at, stage));
        }
    }

    /// Everything that is privately known of it, so far.
    pub fn truth(&self) -> &Truth {
        &self.hands.truth
    }

    /// What it has spent of its budget.
    pub fn spent(&self) -> Spent {
        self.hands.spent
    }

    /// Takes everything that it has put into the stream, in order.
    pub fn take_entries(&mut self) -> Vec<Entry> {
        core::mem::take(&mut self.hands.entries)
    }

    /// Why a part of it could not be played, if so: what was scored then says nothing.
    pub fn broken(&self) -> Option<&VaultError> {
        self.broken.as_ref()
    }

    /// Takes the lines of what happened beside the played exchange: at a signer of its own (`vault`).
    pub fn take_lines(&mut self) -> Vec<Line> {
        core::mem::take(&mut self.hands.lines)
    }
}
