//! Random challenges that registrations and sign-ins answer: each good once, for one account and purpose, for minutes.
//!
//! They live in memory alone: after a restart a customer asks for another.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdfast_values::AccountId;

/// How long a challenge is good.
pub const CHALLENGE_LIFETIME: Duration = Duration::from_secs(300);
/// The most challenges of one account at once; the oldest makes room.
const PER_ACCOUNT_MAX: usize = 8;
/// The most challenges at once: past it none are given until some have ended.
const ALL_MAX: usize = 100_000;

/// What a challenge is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Registering a credential that approves.
    Approve,
    /// Registering a master key.
    Master,
    /// Registering a credential that signs in.
    Login,
    /// Signing in.
    SignIn,
}

#[derive(Debug)]
struct Given {
    challenge: [u8; 32],
    purpose: Purpose,
    until: Instant,
}

/// The challenges that are waiting for their answer.
#[derive(Debug, Default)]
pub struct Challenges(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    by_account: BTreeMap<AccountId, Vec<Given>>,
    count: usize,
}

impl Waiting {
    fn forget_old(&mut self, now: Instant) {
        self.by_account.retain(|_, given| {
            given.retain(|given| given.until > now);
            !given.is_empty()
        });
        self.count = self.by_account.values().map(Vec::len).sum();
    }
}

impl Challenges {
    /// Remembers a random challenge; false if too many wait already.
    pub fn give(&self, account: &AccountId, purpose: Purpose, challenge: [u8; 32], now: Instant) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.count >= ALL_MAX {
            waiting.forget_old(now);
            if waiting.count >= ALL_MAX {
                return false;
            }
        }
        let given = waiting.by_account.entry(account.clone()).or_default();
        let before = given.len();
        given.retain(|given| given.until > now);
        if given.len() >= PER_ACCOUNT_MAX {
            given.remove(0);
        }
        given.push(Given { challenge, purpose, until: now + CHALLENGE_LIFETIME });
        let after = given.len();
        waiting.count = waiting.count.saturating_sub(before).saturating_add(after);
        true
    }

    /// The challenges that an answer for this purpose may be to.
    pub fn waiting(&self, account: &AccountId, purpose: Purpose, now: Instant) -> Vec<[u8; 32]> {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let given = waiting.by_account.get(account).map(Vec::as_slice).unwrap_or_default();
        let good = given.iter().filter(|given| given.until > now && given.purpose == purpose);
        good.map(|given| given.challenge).collect()
    }

    /// Takes a challenge out of use; false if it was not there any more: another answer was faster.
    pub fn take(&self, account: &AccountId, challenge: &[u8; 32]) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(given) = waiting.by_account.get_mut(account) else { return false };
        let Some(place) = given.iter().position(|given| given.challenge == *challenge) else { return false };
        given.remove(place);
        if given.is_empty() {
            waiting.by_account.remove(account);
        }
        waiting.count = waiting.count.saturating_sub(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_good_once_for_one_account_and_one_purpose() {
        let (challenges, now) = (Challenges::default(), Instant::now());
        let (alice, bob): (AccountId, AccountId) = ("ac_1".parse().unwrap(), "ac_2".parse().unwrap());
        assert!(challenges.give(&alice, Purpose::SignIn, [1; 32], now));
        assert_eq!(challenges.waiting(&bob, Purpose::SignIn, now), Vec::<[u8; 32]>::new());
        assert_eq!(challenges.waiting(&alice, Purpose::Approve, now), Vec::<[u8; 32]>::new());
        assert_eq!(challenges.waiting(&alice, Purpose::SignIn, now), vec![[1; 32]]);
        assert!(!challenges.take(&bob, &[1; 32]));
        assert!(challenges.take(&alice, &[1; 32]));
        assert!(!challenges.take(&alice, &[1; 32]), "once");
        assert!(challenges.waiting(&alice, Purpose::SignIn, now).is_empty());
    }

    #[test]
    fn challenges_end_and_one_account_cannot_have_many() {
        let (challenges, now) = (Challenges::default(), Instant::now());
        let alice: AccountId = "ac_1".parse().unwrap();
        for nth in 0..20 {
            assert!(challenges.give(&alice, Purpose::Login, [nth; 32], now));
        }
        let waiting = challenges.waiting(&alice, Purpose::Login, now);
        assert_eq!(waiting, (12..20).map(|nth| [nth; 32]).collect::<Vec<_>>(), "the oldest made room");
        assert!(challenges.waiting(&alice, Purpose::Login, now + CHALLENGE_LIFETIME).is_empty());
    }
}
