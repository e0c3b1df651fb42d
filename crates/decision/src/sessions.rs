//! Sessions: which devices and places an account is known to be used from.
//!
//! What is known for a day outlives what is new: whoever got in cannot push the owner's devices out by showing many.

use holdfast_values::{Fingerprint, Micros, Timestamp, time};

use crate::account::Account;
use crate::event::{Event, Events};
use crate::protection::{
    CredentialUse, DEVICES_MAX, Device, KnownPlace, PLACES_MAX, Place, Protection, RecordSession,
};
use crate::reason::Refusal;
use crate::refuse::Answer;
use crate::state::State;

/// How long ago a device or a place was first seen, for it to be the owner's and not a guest's.
pub const KNOWN_AFTER: Micros = time::DAY;

pub(crate) fn record(state: &State, _at: Timestamp, session: &RecordSession, out: &mut Events) -> Answer {
    let index = state.account_index(&session.account).ok_or(Refusal::AccountUnknown)?;
    let account = state.account_at(index).ok_or(Refusal::AccountUnknown)?;
    let protection = account.protection.as_deref();
    if let Some((credential, counter)) = session.credential {
        let mut credentials = protection.map(|known| known.credentials.as_slice()).unwrap_or_default().iter();
        let known = credentials
            .find(|known| known.credential == credential && !known.is_removed)
            .ok_or(Refusal::CredentialUnknown)?;
        if known.used_for != CredentialUse::Login || known.is_pending {
            return Err(Refusal::CredentialNotCounting.into());
        }
        // An authenticator that does not count says zero, always.
        let is_plausible = counter > known.counter || (counter == 0 && known.counter == 0);
        if !is_plausible {
            return Err(Refusal::CounterWentBack.into());
        }
    }
    let facts = session.facts;
    let is_new_device = |device: Fingerprint| device_of(account, &device).is_none();
    let is_new_place = |place: Place| place_of(account, place).is_none();
    out.push(Event::SessionSeen {
        account: index,
        facts,
        credential: session.credential,
        new_device: facts.device.is_some_and(is_new_device),
        new_place: facts.place.is_some_and(is_new_place),
    });
    Ok(())
}

fn device_of<'a>(account: &'a Account, device: &Fingerprint) -> Option<&'a Device> {
    account.protection.as_deref()?.devices.iter().find(|known| known.device == *device)
}

fn place_of(account: &Account, place: Place) -> Option<&KnownPlace> {
    account.protection.as_deref()?.places.iter().find(|known| known.place == place)
}

/// For how long an account has known a device at `at`; zero if it never saw it.
pub(crate) fn device_age(state: &State, at: Timestamp, account: &Account, device: &Fingerprint) -> Micros {
    device_of(account, device).map_or(0, |known| state.steady.age(known.first_seen, at))
}

/// True if an account has known a device for a day.
pub(crate) fn is_known_device(state: &State, at: Timestamp, account: &Account, device: &Fingerprint) -> bool {
    device_age(state, at, account, device) >= KNOWN_AFTER
}

/// True if an account has known a place for a day.
pub(crate) fn is_known_place(state: &State, at: Timestamp, account: &Account, place: Place) -> bool {
    place_of(account, place).is_some_and(|known| state.steady.age(known.first_seen, at) >= KNOWN_AFTER)
}

impl State {
    pub(crate) fn evolve_session(&mut self, at: Timestamp, event: &Event) {
        let Event::SessionSeen { account, facts, credential, .. } = event else { return };
        self.edit_account(*account, |account| {
            let protection = account.protection.get_or_insert_default();
            if let Some((id, counter)) = credential
                && let Some(known) = protection.credentials.iter_mut().find(|known| known.credential == *id)
            {
                known.counter = known.counter.max(*counter);
            }
            if let Some(device) = facts.device {
                saw_device(protection, at, device, credential.map(|(id, _)| id));
            }
            if let Some(place) = facts.place {
                saw_place(protection, at, place);
            }
        });
    }
}

fn saw_device(
    protection: &mut Protection,
    at: Timestamp,
    device: Fingerprint,
    credential: Option<Fingerprint>,
) {
    let devices = &mut protection.devices;
    if let Some(known) = devices.iter_mut().find(|known| known.device == device) {
        known.last_seen = at;
        known.credential = credential.or(known.credential);
        return;
    }
    if devices.len() >= DEVICES_MAX {
        let worth = |known: &Device| {
            (at.since(known.first_seen) >= KNOWN_AFTER, known.credential.is_some(), known.last_seen)
        };
        forget_least(devices, worth);
    }
    devices.push(Device { device, first_seen: at, last_seen: at, credential });
}

fn saw_place(protection: &mut Protection, at: Timestamp, place: Place) {
    let places = &mut protection.places;
    if let Some(known) = places.iter_mut().find(|known| known.place == place) {
        known.last_seen = at;
        return;
    }
    if places.len() >= PLACES_MAX {
        forget_least(places, |known| (at.since(known.first_seen) >= KNOWN_AFTER, known.last_seen));
    }
    places.push(KnownPlace { place, first_seen: at, last_seen: at });
}

fn forget_least<T, W: Ord>(all: &mut Vec<T>, worth: impl Fn(&T) -> W) {
    let least = all.iter().enumerate().min_by_key(|(_, one)| worth(one)).map(|(place, _)| place);
    if let Some(place) = least {
        all.remove(place);
    }
}
