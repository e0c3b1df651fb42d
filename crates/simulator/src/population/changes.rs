//! What changes in a customer's life, in either model: telephones, journeys, passwords, limits, questions.

use holdfast_values::{Micros, time};

use super::agents::Device;
use super::money;
use super::odds;
use super::person::Stratum;
use super::rhythm;
use super::scene::Scene;
use crate::format::{Body, KeyScope, SecurityKind};

/// Customers who write to support, in 1/1000 a month.
pub(super) const SUPPORT: f64 = 12.0;
/// Journeys of a customer, in 1/1000 a month.
pub(super) const JOURNEYS: f64 = 90.0;
/// Customers who lower their limits, in 1/1000 a month.
pub(super) const LOWERED: f64 = 1.0;
/// Customers who take an address out of their book, in 1/1000 a month.
pub(super) const REMOVED: f64 = 4.0;
/// Frequent customers who make a key for a program that trades, in 1/1000 a month.
pub(super) const NEW_KEYS: f64 = 10.0;
/// The most keys of a customer.
const KEYS_MAX: usize = 8;

const fn daily(permille_a_month: f64) -> f64 {
    permille_a_month / 30_000.0
}

const ABOUT: [&str; 5] = ["withdrawal_pending", "verification", "login", "fees", "deposit_missing"];

/// Account and credential that come into being today; the instant since when the account is there, if it is.
pub(super) fn begin(scene: &mut Scene<'_>) -> Option<Micros> {
    let begins = scene.world.begins;
    let end = begins.plus(time::DAY);
    if scene.person.opened_at >= end {
        return None;
    }
    let mut since = 0;
    let account = scene.person.account();
    if scene.person.opened_at >= begins {
        since = scene.person.opened_at.since(begins);
        let tier = scene.person.tier.name().into();
        scene.write(since, Body::OpenAccount { account: account.clone(), tier });
        let soon = scene.minutes(0.2, 2.0);
        since = since.saturating_add(soon);
        scene.sign_in(since);
        for nth in 0..scene.person.keys.len().min(KEYS_MAX) {
            since = since.saturating_add(time::SECOND);
            put_key(scene, since, u8::try_from(nth).unwrap_or(0), true);
        }
    }
    let enrolled = scene.person.credential_at.filter(|at| (begins..end).contains(at));
    if let Some(credential) = enrolled.and_then(|at| scene.person.credential(at)) {
        let at = scene.person.credential_at.map_or(0, |at| at.since(begins));
        if at > since {
            scene.sign_in(at.saturating_sub(2 * time::MINUTE).max(since));
        }
        scene.write(at.max(since), Body::AddCredential { account, credential, approved_by: None });
    }
    Some(since)
}

/// Everything that may change on any day.
pub(super) fn change(scene: &mut Scene<'_>, since: Micros) {
    let sweep = scene.world.settings.sweep;
    replace_devices(scene, daily(f64::from(sweep.device_changes)));
    travel(scene);
    if scene.chance(daily(f64::from(sweep.resets))) {
        reset(scene, since);
    }
    if scene.chance(daily(LOWERED)) {
        let at = later(scene, since);
        let usd = scene.person.tier.usd_24h() / 2;
        let lower = Body::LowerLimits {
            account: scene.person.account(),
            usd_24h: money::dollars(usd * 100),
            usd_30d: money::dollars(usd * 1_000),
        };
        scene.sign_in(at);
        scene.write(at.saturating_add(time::MINUTE), lower);
        // From now on the customer keeps to what is left.
        scene.person.spent.lower();
    }
    if scene.chance(daily(REMOVED)) {
        remove(scene, since);
    }
    let is_frequent = matches!(scene.person.stratum, Stratum::Daily | Stratum::Heavy);
    if is_frequent && scene.chance(daily(NEW_KEYS)) && scene.person.credential_at.is_none() {
        make_key(scene, since);
    }
    if !scene.world.is_thinned && scene.chance(daily(SUPPORT)) {
        let at = later(scene, since);
        ask_support(scene, at);
    }
}

fn later(scene: &mut Scene<'_>, since: Micros) -> Micros {
    rhythm::instant(&mut scene.draw).max(since)
}

fn replace_devices(scene: &mut Scene<'_>, p: f64) {
    for slot in 0..3 {
        if !scene.chance(p) {
            continue;
        }
        let keeps = scene.chance(0.8);
        let Some(Some(device)) = scene.person.devices.get_mut(slot) else { continue };
        // A family's device is replaced by the family, not by one of them.
        if slot == 2 && scene.world.settings.model == super::Model::Habits {
            continue;
        }
        *device = if keeps {
            device.renewed()
        } else {
            Device::new(&mut scene.draw, Some(device.is_mobile()), device.renewed().serial)
        };
    }
}

fn travel(scene: &mut Scene<'_>) {
    let today = scene.world.day16();
    let leaves = scene.chance(daily(JOURNEYS));
    match scene.person.away {
        Some((until, _)) if until <= today => scene.person.away = None,
        None if leaves => {
            let days = 2 + odds::whole(odds::exponential(&mut scene.draw) * 5.0).min(40);
            let country = scene.world.networks.country(&mut scene.draw);
            scene.person.away = Some((today.saturating_add(u16::try_from(days).unwrap_or(7)), country));
        }
        Some(_) | None => {}
    }
}

fn reset(scene: &mut Scene<'_>, since: Micros) {
    let kind = match odds::below(&mut scene.draw, 100) {
        0..62 => SecurityKind::Password,
        62..86 => SecurityKind::SecondFactor,
        86..96 => SecurityKind::Contact,
        _ => SecurityKind::Recovery,
    };
    let at = later(scene, since);
    let account = scene.person.account();
    scene.write(at, Body::SecurityChange { account, kind });
    let soon = scene.minutes(0.3, 4.0);
    scene.sign_in(at.saturating_add(soon));
    if !scene.world.is_thinned && scene.chance(0.3) {
        let wait = scene.minutes(2.0, 60.0);
        ask_support(scene, at.saturating_add(wait));
    }
}

fn ask_support(scene: &mut Scene<'_>, at: Micros) {
    let nth = odds::below(&mut scene.draw, 5) as usize;
    let about = ABOUT.get(nth).copied().unwrap_or("login").into();
    let account = scene.person.account();
    scene.write(at, Body::Support { account, about });
}

/// Takes something out of the book that was put into it, and is not about to be paid.
fn remove(scene: &mut Scene<'_>, since: Micros) {
    let planned = scene.person.planned.map(|(_, serial)| serial);
    let fits = |payee: &super::person::Payee| payee.is_booked && Some(payee.serial) != planned;
    if scene.person.book.iter().filter(|payee| fits(payee)).count() < 3 {
        return;
    }
    let Some(place) = scene.person.book.iter().position(fits) else { return };
    let payee = scene.person.book.remove(place);
    let to = super::scene::destination(scene.world.seed, scene.person.number, payee);
    let at = later(scene, since);
    scene.sign_in(at);
    let account = scene.person.account();
    scene.write(at.saturating_add(time::MINUTE), Body::RemoveAddress { account, to });
}

fn make_key(scene: &mut Scene<'_>, since: Micros) {
    if scene.person.keys.len() >= KEYS_MAX {
        return;
    }
    let places = if scene.chance(0.5) { 1 } else { 0 };
    let nth = u8::try_from(scene.person.keys.len()).unwrap_or(0);
    scene.person.keys.push(super::person::Key { withdraws: false, places });
    let at = later(scene, since);
    put_key(scene, at, nth, false);
}

/// Makes a key known; of a customer who sits at a screen, with the session that made it.
fn put_key(scene: &mut Scene<'_>, at: Micros, nth: u8, is_opening: bool) {
    let Some(key) = scene.person.keys.get(usize::from(nth)).copied() else { return };
    let session = (!is_opening).then(|| scene.sign_in(at.saturating_sub(time::MINUTE)));
    let body = Body::PutApiKey {
        account: scene.person.account(),
        key: scene.person.key_id(scene.world.seed, nth),
        scopes: key.scopes(),
        ip_allowlist: (0..key.places)
            .map(|place| super::scene::server(scene.world, scene.person, nth, place).ip())
            .collect(),
        asymmetric: key.withdraws,
        session,
    };
    scene.write(at, body);
}

impl super::person::Key {
    /// What the key may do.
    pub(super) fn scopes(self) -> Vec<KeyScope> {
        if self.withdraws {
            vec![KeyScope::Read, KeyScope::Withdraw]
        } else {
            vec![KeyScope::Read, KeyScope::Trade]
        }
    }
}
