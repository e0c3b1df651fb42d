//! What ordinary customers paid for their safety.

use holdfast_values::{Micros, time};

use super::figure::{Figure, Unit, divide_round, quantile, share};
use super::{Case, Scorer};

/// A month of thirty days.
const MONTH: Micros = 30 * time::DAY;

impl Scorer {
    pub(super) fn ordinary_figures(&self) -> Vec<Figure> {
        let all: Vec<&Case> = self.of(false).collect();
        let fitting: Vec<&&Case> = all.iter().filter(|case| !case.over_limit).collect();
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let of = |chosen: &dyn Fn(&Case) -> bool| count(all.iter().filter(|case| chosen(case)).count());
        let fit = |chosen: &dyn Fn(&Case) -> bool| count(fitting.iter().filter(|case| chosen(case)).count());
        let (withdrawals, fits) = (count(all.len()), count(fitting.len()));
        let alone = fit(&|case| case.left.is_some() && !case.was_held);
        let left = fit(&|case| case.left.is_some());
        let mut delays: Vec<Micros> =
            fitting.iter().filter_map(|case| Some(case.left.as_ref()?.at.since(case.requested_at))).collect();
        delays.sort_unstable();
        let delay = |permille| quantile(&delays, permille).map(i128::from);
        let step_ups = of(&|case| case.asked_passkey || case.asked_code);
        let passkeys = of(&|case| case.asked_passkey);
        let holds = of(&|case| case.was_held);
        let held: Micros = all.iter().fold(0, |sum, case| sum.saturating_add(case.held));
        let span = self.window.until.since(self.window.from);
        let user_months =
            self.window.accounts.map(|accounts| u128::from(accounts).saturating_mul(u128::from(span)));
        // A count for each user and month, in hundredths.
        let per_month = |name, unit, kept: u128| {
            let kept = user_months.map(|months| {
                let kept = kept.saturating_mul(u128::from(MONTH));
                i128::try_from(kept.checked_div(months).unwrap_or(0)).unwrap_or(i128::MAX)
            });
            Figure::maybe(name, unit, kept)
        };
        let days = i128::from(span / time::DAY).max(1);
        let per_day = |name, number: u64| {
            Figure::of(name, Unit::Count, divide_round(i128::from(number).saturating_mul(100), days))
        };
        vec![
            Figure::count("withdrawals", withdrawals),
            Figure::count("fitting", fits),
            share_of("without_person_share", alone, fits),
            share_of("left_share", left, fits),
            Figure::maybe("delay_median_seconds", Unit::Seconds, delay(500)),
            Figure::maybe("delay_p95_seconds", Unit::Seconds, delay(950)),
            Figure::maybe("delay_max_seconds", Unit::Seconds, delay(1_000)),
            Figure::count("denied", of(&|case| case.denied)),
            Figure::count("denied_fitting", fit(&|case| case.denied && !case.denied_by_staff)),
            Figure::count("denied_by_staff", fit(&|case| case.denied_by_staff)),
            Figure::count("step_ups", step_ups),
            share_of("step_up_share", step_ups, withdrawals),
            Figure::count("passkey_step_ups", passkeys),
            Figure::count("holds", holds),
            share_of("hold_share", holds, withdrawals),
            Figure::of(
                "hold_minutes_per_withdrawal",
                Unit::Minutes,
                divide_round(i128::from(held), i128::from(withdrawals.max(1))),
            ),
            per_month(
                "withdrawals_per_user_month",
                Unit::Share,
                u128::from(withdrawals).saturating_mul(1_000_000),
            ),
            per_month("step_ups_per_user_month", Unit::Share, u128::from(step_ups).saturating_mul(1_000_000)),
            per_month("holds_per_user_month", Unit::Share, u128::from(holds).saturating_mul(1_000_000)),
            per_month("hold_minutes_per_user_month", Unit::Minutes, u128::from(held)),
            per_day("alerts_per_day", self.alarms),
            per_day("false_alerts_per_day", self.false_alarms),
            Figure::count("halts", self.halts),
            Figure::of("halted_minutes", Unit::Minutes, i128::from(self.halted)),
        ]
    }
}

fn share_of(name: &'static str, part: u64, whole: u64) -> Figure {
    Figure::of(name, Unit::Share, share(u128::from(part), u128::from(whole)))
}
