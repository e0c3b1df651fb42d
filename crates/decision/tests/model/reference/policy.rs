//! What the model has to say of one withdrawal: the ladder, and by hand the rules of the tests' policy.

use holdfast_decision::Class;
use holdfast_decision::command::{ApiEvidence, Evidence};
use holdfast_values::Timestamp;

use super::{DAY, Model};

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Numbers and values of withdrawals in 1 h, 24 h and 30 d, this one included: of the account, to the destination, of the
/// asset, over everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counts(pub(crate) [Row; 4]);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) count: [u64; 3],
    pub(crate) usd_cents: [u64; 3],
}

impl Row {
    /// What lies in windows that are longer by `more` than they should be.
    fn exactly(entries: &[(Timestamp, u64)], at: Timestamp, more: [u64; 3]) -> Self {
        let mut row = Self::default();
        for (place, span) in [HOUR, DAY, 30 * DAY].into_iter().enumerate() {
            let inside = entries.iter().filter(|entry| at.since(entry.0) <= span + more[place]);
            for (_, cents) in inside {
                row.count[place] += 1;
                row.usd_cents[place] = row.usd_cents[place].saturating_add(*cents).min(i64::MAX as u64);
            }
        }
        row
    }

    fn is_within(&self, least: &Self, most: &Self) -> bool {
        (0..3).all(|n| {
            (least.count[n]..=most.count[n]).contains(&self.count[n])
                && (least.usd_cents[n]..=most.usd_cents[n]).contains(&self.usd_cents[n])
        })
    }
}

/// What is to be said of a withdrawal before the buckets are asked.
pub(super) struct Verdict {
    pub(super) class: Class,
    pub(super) dwell_until: Timestamp,
    pub(super) factors: (bool, bool),
    pub(super) hold: bool,
    pub(super) deny: bool,
    pub(super) wait: bool,
    pub(super) reasons: Vec<String>,
}

enum Asks {
    Dwell(u64),
    Code,
    Key,
    Hold,
    Deny,
}

impl Model {
    /// Enough operators have approved it.
    pub(super) fn is_approved(&self, which: usize) -> bool {
        u32::from(self.withdrawals[which].operators) >= self.configuration.parameters.loosening_signatures
    }

    pub(super) fn judge(&self, at: Timestamp, which: usize, told: Option<Counts>) -> Verdict {
        let withdrawal = &self.withdrawals[which];
        let approved = self.is_approved(which);
        let class = if approved || self.is_vouched(at, which) {
            Class::Bound
        } else if self.is_aged(withdrawal.account, withdrawal.place, at) {
            Class::Aged
        } else {
            Class::Unvouched
        };
        let mut verdict = Verdict {
            class,
            dwell_until: withdrawal.requested_at,
            factors: (false, false),
            hold: false,
            deny: false,
            wait: false,
            reasons: Vec::new(),
        };
        let frozen = self.accounts[withdrawal.account].is_frozen;
        if let Some((code, denies)) = self.ladder(at, which) {
            verdict.reasons.push(code.to_owned());
            if denies || !approved {
                verdict.deny = denies;
                verdict.hold = !denies;
                return verdict;
            }
            // Operators may pass over a missing price, not over a freeze.
            verdict.hold = frozen;
        }
        self.ask_policy(at, which, told, &mut verdict);
        if approved {
            verdict.reasons.push("approved_by_operators".to_owned());
        }
        if self.halts.iter().any(|scope| self.covers(scope, withdrawal)) {
            verdict.wait = true;
            verdict.reasons.push("halted".to_owned());
        }
        if self.suspect_since.is_some() {
            verdict.wait = true;
            verdict.reasons.push("clock_suspect".to_owned());
        }
        verdict
    }

    /// The first rung that applies, and whether it denies rather than holds.
    fn ladder(&self, at: Timestamp, which: usize) -> Option<(&'static str, bool)> {
        let withdrawal = &self.withdrawals[which];
        if self.accounts[withdrawal.account].is_frozen {
            return Some(("account_frozen", !withdrawal.is_open()));
        }
        if let Evidence::ApiRequest(evidence) = &withdrawal.evidence
            && let Some(code) = self.api_ladder(at, which, evidence)
        {
            return Some((code, true));
        }
        let book = &self.accounts[withdrawal.account].book;
        let is_new = book.iter().all(|entry| entry.0 != withdrawal.place);
        if !withdrawal.is_open() && is_new && self.is_locked(at, withdrawal.account) {
            return Some(("settings_locked", true));
        }
        if withdrawal.is_open() && book.len() < 256 && book.iter().all(|entry| entry.0 != withdrawal.place) {
            return Some(("destination_removed", false));
        }
        let symbol = &self.configuration.assets[withdrawal.asset].spec.symbol;
        let is_lost = self.lost_payments.iter().any(|lost| {
            (&lost.account, &lost.symbol, lost.place, lost.units)
                == (&self.accounts[withdrawal.account].id, symbol, withdrawal.place, withdrawal.units)
        });
        if is_lost {
            return Some(("may_be_paid", false));
        }
        self.quote(withdrawal.asset, at).is_none().then_some(("price_unknown", false))
    }

    fn api_ladder(&self, at: Timestamp, which: usize, evidence: &ApiEvidence) -> Option<&'static str> {
        let withdrawal = &self.withdrawals[which];
        let keys = &self.accounts[withdrawal.account].keys;
        let Some(key) = keys.iter().find(|key| key.key == evidence.key) else {
            return Some("api_key_unknown");
        };
        let late = at.since(evidence.signed_at) > evidence.window;
        let early = evidence.signed_at.since(at) > SECOND;
        let seen = self.requests.iter().any(|row| row.0 == evidence.request && row.1 >= at);
        let fresh = !withdrawal.is_open();
        let fenced = key.fenced.as_ref();
        let expired = fenced.and_then(|fenced| fenced.expires_at).is_some_and(|end| at >= end);
        let sign = fenced.map(|fenced| fenced.last_used.map_or(key.put_at, |used| used.max(key.put_at)));
        let idle = key.ips.is_empty() && sign.is_some_and(|sign| self.age(sign, at) >= 14 * DAY);
        let places = fenced.and_then(|fenced| fenced.places.as_ref());
        let elsewhere = places.is_some_and(|places| !places.contains(&withdrawal.place));
        let over = fenced.and_then(|fenced| Some((fenced, fenced.limit?))).is_some_and(|(fenced, limit)| {
            let recent = fenced.spent.iter().filter(|spent| at.since(spent.0) < DAY);
            let sum = recent.map(|spent| spent.1).fold(0u64, u64::saturating_add);
            self.value_of(which, at).is_none_or(|value| sum.saturating_add(value) > limit)
        });
        [
            (key.is_revoked, "api_key_revoked"),
            (fresh && expired, "api_key_expired"),
            (fresh && idle, "api_key_idle"),
            (key.revision != evidence.revision, "api_key_revision"),
            (!key.may_withdraw, "api_key_scope"),
            (!key.ips.contains(&evidence.ip), "api_ip_not_allowed"),
            (fresh && (late || early), "api_timestamp"),
            (fresh && seen, "api_replayed"),
            (fresh && evidence.differs != 0, "api_mismatch"),
            (fresh && elsewhere, "api_destination_not_allowed"),
            (fresh && over, "api_key_over_limit"),
        ]
        .into_iter()
        .find_map(|(applies, code)| applies.then_some(code))
    }

    /// What windows say, which the core may over-count within its grains, and never under.
    fn counts(&self, at: Timestamp, which: usize, told: &Counts) -> Counts {
        let withdrawal = &self.withdrawals[which];
        let account = &self.accounts[withdrawal.account];
        let counted = withdrawal.is_open() && withdrawal.usd_cents.is_some();
        let since = if counted { withdrawal.requested_at } else { at };
        let value = self.value_of(which, at).unwrap_or(u64::MAX);
        let of = |entries: Vec<(Timestamp, u64)>| {
            let entries: Vec<_> = entries.into_iter().chain([(since, value)]).collect();
            let grains = [2 * 5 * MINUTE, 2 * HOUR, 2 * DAY];
            (Row::exactly(&entries, at, [0; 3]), Row::exactly(&entries, at, grains))
        };
        let mut own = self.entries(which, |other| other.account == withdrawal.account);
        own.extend(account.history.iter().copied());
        let all = [
            of(own),
            of(self.entries(which, |other| other.place == withdrawal.place)),
            of(self.entries(which, |other| other.asset == withdrawal.asset)),
            of(self.entries(which, |_| true)),
        ];
        for ((least, most), row) in all.iter().zip(&told.0) {
            assert!(row.is_within(least, most), "windows: {row:?} is not within {least:?} and {most:?}");
        }
        if !account.is_inexact {
            assert_eq!(told.0[0], all[0].0, "up to 64 entries an account's windows are exact");
        }
        told.clone()
    }

    fn ask_policy(&self, at: Timestamp, which: usize, told: Option<Counts>, verdict: &mut Verdict) {
        let withdrawal = &self.withdrawals[which];
        let account = &self.accounts[withdrawal.account];
        let quote = self.quote(withdrawal.asset, at);
        assert_eq!(quote.is_some(), told.is_some(), "dollars can be counted if there is a price");
        let counts = told.map(|told| self.counts(at, which, &told));
        let parameters = &self.configuration.parameters;

        let unvouched = verdict.class == Class::Unvouched;
        let now = self.value(withdrawal.asset, withdrawal.units, at).unwrap_or(u64::MAX);
        let value = self.value_of(which, at).unwrap_or(u64::MAX);
        let amount = quote.is_some().then(|| i64::try_from(now.max(value)).unwrap_or(i64::MAX));
        let booked = self.booked(withdrawal.account, withdrawal.place);
        let known = booked.is_some_and(|(since, _)| !withdrawal.is_open() || since < withdrawal.requested_at);
        let (code, key) = match &withdrawal.evidence {
            Evidence::Session { one_time_code } | Evidence::Device { one_time_code, .. } => {
                ((*one_time_code && withdrawal.lapses == 0) || withdrawal.code_shown, None)
            }
            Evidence::ApiRequest(evidence) => {
                (withdrawal.code_shown, account.keys.iter().find(|key| key.key == evidence.key))
            }
        };
        let vouched = self.is_vouched(at, which);
        let key_hours = key.map(|key| self.age(key.put_at, at) / HOUR);
        let cooling =
            account.security_change.is_some_and(|since| self.age(since, at) < parameters.cooling_off);
        let (day, month) = self.limits(withdrawal.account);
        let window = |row: usize| counts.as_ref().map(|counts| counts.0[row]);
        let over = |place: usize, limit: u64| window(0).map(|row| row.usd_cents[place] > limit);

        // Unknown makes a rule an error, but only if the rule looks at it.
        let and = |left: bool, right: Option<bool>| if left { right } else { Some(false) };
        let dwell = "unvouched_destination";
        let mut rules = vec![
            (and(unvouched, amount.map(|a| a >= 100_000)), Asks::Dwell(10 * MINUTE), dwell),
            (and(unvouched, amount.map(|a| a < 100_000)), Asks::Dwell(MINUTE), dwell),
            (Some(!known && !code), Asks::Code, "new_destination"),
            (amount.map(|a| a > 3_000_000 && !vouched), Asks::Key, "large_amount"),
            (Some(cooling), Asks::Hold, "recent_security_change"),
            (over(1, day), Asks::Deny, "over_daily_limit"),
            (over(2, month), Asks::Hold, "over_monthly_limit"),
            (quote.as_ref().map(|quote| quote.stale), Asks::Hold, "price_stale"),
            (quote.as_ref().map(|quote| quote.moved), Asks::Hold, "price_moved"),
            (amount.and_then(|a| a.checked_mul(1_500_000_000_000)).map(|_| false), Asks::Hold, "never"),
            (window(3).map(|row| row.count[0] > 10), Asks::Dwell(5 * MINUTE), "busy_hour"),
            (window(1).map(|row| row.count[1] > 6), Asks::Hold, "popular_destination"),
            (Some(key_hours.is_some_and(|hours| hours < 2)), Asks::Hold, "young_api_key"),
            (window(0).map(|row| row.count[0] > 5 && !code), Asks::Code, "many_withdrawals"),
        ];
        let (limit, slow) = self.pack_asks();
        let looked_at = limit.map(|limit| amount.map(|a| u64::try_from(a).is_ok_and(|a| a > limit)));
        rules.extend(looked_at.map(|over| (over, Asks::Hold, "over_the_limit")));
        rules.extend(slow.then_some((Some(true), Asks::Dwell(20 * MINUTE), "slowed")));
        let approved = self.is_approved(which);
        if self.configuration.tiers[account.tier].name.as_str() == "closed" {
            verdict.deny = true;
            verdict.reasons.push("not_permitted".to_owned());
        }
        for _ in rules.iter().filter(|rule| rule.0.is_none()) {
            verdict.hold |= !approved;
            verdict.reasons.push("policy_error".to_owned());
        }
        for (_, asks, code) in rules.iter().filter(|rule| rule.0 == Some(true)) {
            verdict.reasons.push((*code).to_owned());
            match asks {
                Asks::Dwell(span) => {
                    verdict.dwell_until = verdict.dwell_until.max(withdrawal.requested_at.plus(*span));
                }
                Asks::Code => verdict.factors.0 |= !withdrawal.code_shown,
                Asks::Key => verdict.factors.1 = true,
                Asks::Hold => verdict.hold |= !approved,
                Asks::Deny => verdict.deny = true,
            }
        }
    }
}
