//! From a judgement to what happens: the buckets, the waiting lines, the status.

use holdfast_values::{Amount, Micros, Timestamp, UsdCents, time};

use crate::bucket::{Fit, Taker};
use crate::configuration::Class;
use crate::event::{Decision, Event, Events, Lane, Status};
use crate::judge::{Judgement, Subject};
use crate::reason::{Cause, Reason, Severity};
use crate::state::State;

/// How many of a waiting line are looked at in one step.
const SCAN_MAX: usize = 1_024;
/// Two lines may wait for one bucket: how long at most until a line is looked at again.
const LOOK_AGAIN_MAX: Micros = time::HOUR;

/// Says what happens to a withdrawal that was judged; `is_its_turn` if its waiting line has come to it.
pub(crate) fn settle(
    state: &State,
    at: Timestamp,
    subject: &Subject<'_>,
    judgement: Judgement,
    is_its_turn: bool,
    out: &mut Events,
) {
    let mut judgement = judgement;
    let start = out.len();
    if judgement.must_deny {
        // Closing gives back whatever it had.
        return decided(subject, judgement, Status::Denied, out);
    }
    if judgement.must_hold || !judgement.factors.is_empty() {
        let status = if judgement.must_hold { Status::Held } else { Status::AwaitingApproval };
        let_go(subject, out);
        return decided(subject, judgement, status, out);
    }
    let waits = match seat(state, at, subject, &mut judgement, is_its_turn, out) {
        Seat::Reserved => false,
        Seat::Waits => true,
        Seat::None => {
            let_go(subject, out);
            return decided(subject, judgement, Status::Held, out);
        }
    };
    let status = if waits || judgement.must_wait || judgement.dwell_until > at {
        Status::Dwelling
    } else {
        Status::Approved
    };
    decided(subject, judgement, status, out);
    if subject.is_open
        && !subject.is_counted
        && let Some(own) = out.get_mut(start..)
    {
        // This decision gives it the value that buckets count: it comes before what spends them.
        own.rotate_right(1);
    }
}

/// Gives up what a withdrawal holds while a person or its owner is asked.
fn let_go(subject: &Subject<'_>, out: &mut Events) {
    if subject.queued.is_some() {
        out.push(Event::Unqueued { withdrawal: subject.id });
    }
    if subject.reserved.is_some() {
        out.push(Event::ReservationReturned { withdrawal: subject.id });
    }
}

fn decided(subject: &Subject<'_>, judgement: Judgement, status: Status, out: &mut Events) {
    // What is discharged stays among the reasons; the severity is that of what is still asked for.
    let severity = match status {
        Status::Approved => Severity::Allow,
        Status::Dwelling => Severity::Dwell,
        Status::AwaitingApproval => Severity::StepUp,
        Status::Held => Severity::Hold,
        _ => Severity::Deny,
    };
    let decision = Decision {
        severity,
        status,
        class: judgement.class,
        dwell_until: judgement.dwell_until,
        factors: judgement.factors,
        usd_cents: subject.usd_cents,
        reasons: judgement.reasons,
    };
    out.push(Event::WithdrawalDecided { withdrawal: subject.id, decision: Box::new(decision) });
}

enum Seat {
    /// Its buckets hold its value.
    Reserved,
    /// It waits in line.
    Waits,
    /// No bucket can ever hold it, or it waited too long.
    None,
}

/// Finds a withdrawal its place in the buckets of its class.
fn seat(
    state: &State,
    at: Timestamp,
    subject: &Subject<'_>,
    judgement: &mut Judgement,
    is_its_turn: bool,
    out: &mut Events,
) -> Seat {
    let withdrawal = subject.id;
    // What is reserved in this class, or in one that is trusted less, stays where it is.
    if let Some(reserved) = subject.reserved.filter(|reserved| *reserved >= judgement.class) {
        judgement.class = reserved;
        return Seat::Reserved;
    }
    let class = judgement.class;
    let lane = lane(state, at, subject, class);
    let fit = fit(state, at, subject, class, lane.small);
    let Some(wait) = fit.wait() else {
        judgement.must_hold = true;
        judgement.reasons.push(never(state, subject, class));
        return Seat::None;
    };
    let line = state.lanes.get(&lane);
    if fit == Fit::Now && (is_its_turn || line.is_none()) {
        let_go(subject, out);
        out.push(Event::Reserved { withdrawal, class });
        return Seat::Reserved;
    }

    let patience = state.configuration().parameters.queue_hold_after;
    if let Some(turn) = subject.queued.filter(|turn| at.since(turn.since) >= patience) {
        judgement.must_hold = true;
        let observed = format!("waiting since {}", turn.since);
        let expected = format!("at most {} s", patience / time::SECOND);
        judgement.reasons.push(Reason::new(Cause::QueuedTooLong, Severity::Hold, observed, expected));
        return Seat::None;
    }
    let until = at.plus(wait.max(wait_in_line(state, lane, subject.amount)));
    let observed = format!("{} left of the {} bucket", left(state, at, subject, class), class.name());
    let mut reason =
        Reason::new(Cause::BucketQueued, Severity::Dwell, observed, "enough for this withdrawal");
    reason.until = Some(until);
    judgement.reasons.push(reason);
    if subject.queued.is_none_or(|turn| turn.lane != lane) {
        let_go(subject, out);
        out.push(Event::Queued { withdrawal, lane, turn: turn_of(state, subject, lane) });
        let due = at.plus(wait.min(LOOK_AGAIN_MAX));
        if line.is_none_or(|line| due < line.wake) {
            out.push(Event::LaneScheduled { lane, at: due });
        }
    }
    Seat::Waits
}

fn lane(state: &State, at: Timestamp, subject: &Subject<'_>, class: Class) -> Lane {
    let parameters = &state.configuration().parameters;
    let small = subject.usd_cents < parameters.small_usd_cents
        && state.steady.age(subject.account.opened_at, at) >= parameters.small_account_age;
    Lane { asset: subject.asset, wallet: subject.wallet, class, small }
}

fn fit(state: &State, at: Timestamp, subject: &Subject<'_>, class: Class, small: bool) -> Fit {
    let now = state.refill_time(at);
    let parameters = &state.configuration().parameters;
    let unshared = subject.is_approved_by_operators(state);
    let taker = Taker { account: subject.account_index, small, unshared };
    // What has no value yet fits nowhere.
    if subject.usd_cents == UsdCents::MAX {
        return Fit::Never;
    }
    let usd = Amount::from_base_units(u128::from(subject.usd_cents.0));
    let (Some(asset), Some(wallet)) =
        (state.asset_buckets(subject.asset), state.wallet_buckets(subject.wallet))
    else {
        return Fit::Never;
    };
    asset
        .of(class)
        .fit(subject.amount, taker, now, parameters)
        .and(wallet.of(class).fit(usd, taker, now, parameters))
        .and(state.overall_buckets().of(class).fit(usd, taker, now, parameters))
}

/// Why no bucket can ever hold it.
fn never(state: &State, subject: &Subject<'_>, class: Class) -> Reason {
    let sizes = [
        state.asset_buckets(subject.asset).map(|buckets| buckets.of(class).spec().size),
        state.wallet_buckets(subject.wallet).map(|buckets| buckets.of(class).spec().size),
        Some(state.overall_buckets().of(class).spec().size),
    ];
    if sizes.iter().any(|size| size.is_none_or(Amount::is_zero)) {
        let observed = format!("no {} bucket", class.name());
        return Reason::new(
            Cause::BucketMissing,
            Severity::Hold,
            observed,
            "a bucket for asset, wallet and overall",
        );
    }
    let permille = state.configuration().parameters.account_share_permille;
    let observed = format!("{} cents in the {} class", subject.usd_cents.0, class.name());
    let expected = format!("at most {permille}/1000 of each bucket");
    Reason::new(Cause::BucketShare, Severity::Hold, observed, expected)
}

fn left(state: &State, at: Timestamp, subject: &Subject<'_>, class: Class) -> String {
    let now = state.refill_time(at);
    let available = state.asset_buckets(subject.asset).map(|buckets| buckets.of(class).available(now));
    let asset = state.configuration().assets.get(usize::from(subject.asset.0));
    match (available, asset) {
        (Some(amount), Some(asset)) => {
            format!("{} {}", amount.to_short(asset.spec.decimals), asset.spec.symbol)
        }
        _ => "nothing".to_owned(),
    }
}

/// How long what waits before, and this, take to flow in.
fn wait_in_line(state: &State, lane: Lane, amount: Amount) -> Micros {
    let Some(line) = state.lanes.get(&lane) else { return 0 };
    let refill =
        state.asset_buckets(lane.asset).map_or(0, |b| b.of(lane.class).spec().refill_per_hour.base_units());
    let units = line.waiting.saturating_add(amount).base_units();
    let seconds = units.saturating_mul(3_600).checked_div(refill).unwrap_or(u128::MAX);
    u64::try_from(seconds).unwrap_or(u64::MAX).saturating_mul(time::SECOND)
}

/// Its turn: after what its account has in this line already, and not before the turn that the line is at.
fn turn_of(state: &State, subject: &Subject<'_>, lane: Lane) -> u32 {
    let own = state
        .open_by_account
        .of(subject.account_index)
        .iter()
        .filter_map(|id| state.withdrawal(*id)?.queued)
        .filter(|turn| turn.lane == lane)
        .map(|turn| turn.turn.saturating_add(1))
        .max();
    let line = state.lanes.get(&lane).and_then(|line| line.queue.first()).map_or(0, |(turn, _, _)| *turn);
    own.unwrap_or(0).max(line)
}

/// Serves a waiting line: the first of it that can have its value now, in order of turns. One that its own account's
/// share keeps back lets others pass; one that the bucket keeps back does not, or large ones would wait for ever.
pub(crate) fn serve(state: &State, at: Timestamp, lane: Lane, out: &mut Events) {
    let Some(line) = state.lanes.get(&lane) else { return };
    let mut wake: Option<Micros> = None;
    for (_, _, id) in line.queue.iter().take(SCAN_MAX) {
        let Some(withdrawal) = state.withdrawal(*id) else { continue };
        let Some(subject) = Subject::open(state, at, withdrawal) else { continue };
        let judgement = crate::judge::judge(state, at, &subject);
        let moves_on = judgement.must_deny || judgement.must_hold || !judgement.factors.is_empty();
        let fit = fit(state, at, &subject, judgement.class, lane.small);
        let changes_lane = judgement.class != lane.class;
        if moves_on || changes_lane || matches!(fit, Fit::Now | Fit::Never) {
            settle(state, at, &subject, judgement, !changes_lane, out);
            out.push(Event::LaneScheduled { lane, at });
            return;
        }
        let wait = fit.wait().unwrap_or(LOOK_AGAIN_MAX);
        wake = Some(wake.map_or(wait, |soonest| soonest.min(wait)));
        if matches!(fit, Fit::After { share: 0, .. }) {
            break;
        }
    }
    let wait = wake.unwrap_or(LOOK_AGAIN_MAX).clamp(time::SECOND, LOOK_AGAIN_MAX);
    out.push(Event::LaneScheduled { lane, at: at.plus(wait) });
}
