//! From a verdict to what happens in the model: buckets, waiting lines, deadlines.

use holdfast_decision::Class;
use holdfast_decision::event::{AccountIndex, AssetIndex, Lane, WalletIndex};
use holdfast_values::Timestamp;

use super::policy::Verdict;
use super::rules::Room;
use super::{Model, ModelTurn, Outcome, Spent, Told};

/// How many of a waiting line are looked at in one go.
const LOOKED_AT: usize = 1_024;

/// The earliest deadlines: of a withdrawal, of a line.
struct Due {
    check: Option<(Timestamp, usize)>,
    lane: Option<(Timestamp, Lane)>,
}

enum Seat {
    Reserved,
    Waits,
    None,
}

impl Model {
    pub(super) fn settle(
        &mut self,
        at: Timestamp,
        sequence: u64,
        which: usize,
        mut verdict: Verdict,
        its_turn: bool,
    ) -> Outcome {
        let value = self.value_of(which, at);
        let status = if verdict.deny {
            "denied"
        } else if verdict.hold || verdict.factors != (false, false) {
            if verdict.hold { "held" } else { "awaiting_approval" }
        } else {
            match self.seat(at, sequence, which, &mut verdict, its_turn) {
                Seat::None => "held",
                Seat::Reserved if !verdict.wait && verdict.dwell_until <= at => "approved",
                Seat::Reserved | Seat::Waits => "dwelling",
            }
        };
        if ["denied", "held", "awaiting_approval"].contains(&status) {
            self.let_go(at, which);
        }
        let patience = self.configuration.parameters.queue_hold_after;
        let first_value = self.withdrawals[which].usd_cents.is_none() && value.is_some();
        let withdrawal = &mut self.withdrawals[which];
        withdrawal.status = status;
        withdrawal.asked = verdict.factors;
        withdrawal.usd_cents = value;
        withdrawal.next_check = withdrawal.not_after;
        if status == "dwelling" {
            let turn = withdrawal.queued.map(|turn| turn.since.plus(patience));
            let later = [Some(verdict.dwell_until), turn].into_iter().flatten().filter(|due| *due > at);
            withdrawal.next_check = later.chain([withdrawal.not_after]).min().unwrap();
        }
        let account = withdrawal.account;
        self.key_decided(which, status == "denied");
        if first_value && status != "denied" {
            self.entered(at, account);
        }
        Outcome {
            id: self.withdrawals[which].id,
            status,
            class: verdict.class,
            dwell_until: verdict.dwell_until,
            factors: verdict.factors,
            usd_cents: value,
            reasons: verdict.reasons,
        }
    }

    /// Ends a withdrawal without asking anybody anything.
    pub(super) fn close_plainly(&mut self, at: Timestamp, which: usize, status: &'static str) -> Outcome {
        self.let_go(at, which);
        let withdrawal = &mut self.withdrawals[which];
        withdrawal.status = status;
        Outcome::plain(withdrawal.id, status)
    }

    /// Gives back what it holds: its place in line and its reservation.
    pub(super) fn let_go(&mut self, at: Timestamp, which: usize) {
        self.leave_line(which);
        self.give_back(at, which);
    }

    fn give_back(&mut self, at: Timestamp, which: usize) {
        if let Some(class) = self.withdrawals[which].reserved.take() {
            let now = self.running(at);
            self.spent.push((now, Spent::Returned { class, withdrawal: which }));
            self.wake_all(at);
        }
    }

    pub(super) fn leave_line(&mut self, which: usize) {
        if let Some(turn) = self.withdrawals[which].queued.take()
            && self.line(turn.lane).is_empty()
        {
            self.wakes.retain(|wake| wake.0 != turn.lane);
        }
    }

    /// Something became free: every line is looked at now.
    pub(super) fn wake_all(&mut self, at: Timestamp) {
        for wake in &mut self.wakes {
            wake.1 = wake.1.min(at);
        }
    }

    /// Who waits in a line, in order.
    fn line(&self, lane: Lane) -> Vec<usize> {
        let queued = (0..self.withdrawals.len())
            .filter(|which| self.withdrawals[*which].queued.is_some_and(|turn| turn.lane == lane));
        let mut line: Vec<_> = queued.collect();
        line.sort_by_key(|which| {
            let withdrawal = &self.withdrawals[*which];
            let turn = withdrawal.queued.unwrap();
            (turn.turn, turn.order, withdrawal.id)
        });
        line
    }

    fn lane(&self, which: usize, class: Class, at: Timestamp) -> Lane {
        let withdrawal = &self.withdrawals[which];
        Lane {
            asset: AssetIndex(withdrawal.asset as u16),
            wallet: WalletIndex(withdrawal.wallet as u16),
            class,
            small: self.is_small(which, at),
        }
    }

    fn seat(
        &mut self,
        at: Timestamp,
        sequence: u64,
        which: usize,
        verdict: &mut Verdict,
        its_turn: bool,
    ) -> Seat {
        if let Some(reserved) = self.withdrawals[which].reserved {
            // Classes are ordered by trust; value stays where it is unless it is trusted less now.
            if reserved >= verdict.class {
                verdict.class = reserved;
                return Seat::Reserved;
            }
            self.give_back(at, which);
        }
        let lane = self.lane(which, verdict.class, at);
        let room = self.room(which, verdict.class, lane.small, at);
        if room == Room::Never {
            let missing = [
                self.configuration.assets[self.withdrawals[which].asset].buckets,
                self.configuration.wallets[self.withdrawals[which].wallet].buckets,
                self.configuration.overall,
            ]
            .iter()
            .any(|specs| specs.of(verdict.class).size.is_zero());
            let code = if missing { "bucket_not_configured" } else { "exceeds_bucket_share" };
            verdict.reasons.push(code.to_owned());
            return Seat::None;
        }
        let line = self.line(lane);
        if room == Room::Now && (its_turn || line.is_empty()) {
            self.leave_line(which);
            // What had no value until now has one from now on.
            self.withdrawals[which].usd_cents = self.value_of(which, at);
            let now = self.running(at);
            self.spent.push((now, Spent::Taken { class: verdict.class, withdrawal: which }));
            self.withdrawals[which].reserved = Some(verdict.class);
            return Seat::Reserved;
        }
        let patience = self.configuration.parameters.queue_hold_after;
        if self.withdrawals[which].queued.is_some_and(|turn| at.since(turn.since) >= patience) {
            verdict.reasons.push("queued_too_long".to_owned());
            return Seat::None;
        }
        verdict.reasons.push("bucket_queued".to_owned());
        if self.withdrawals[which].queued.is_none_or(|turn| turn.lane != lane) {
            self.leave_line(which);
            let account = self.withdrawals[which].account;
            let own = line.iter().filter(|other| self.withdrawals[**other].account == account);
            let own = own.map(|other| self.withdrawals[*other].queued.unwrap().turn + 1).max().unwrap_or(0);
            let at_turn = line.first().map_or(0, |first| self.withdrawals[*first].queued.unwrap().turn);
            let turn = own.max(at_turn);
            self.withdrawals[which].queued = Some(ModelTurn { lane, turn, since: at, order: sequence });
        }
        Seat::Waits
    }

    /// The earliest deadlines.
    fn due(&self) -> Due {
        let open = (0..self.withdrawals.len()).filter(|which| {
            let withdrawal = &self.withdrawals[*which];
            withdrawal.is_open() && !withdrawal.is_released()
        });
        let check =
            open.map(|which| (self.withdrawals[which].next_check, self.withdrawals[which].id, which)).min();
        let lane = self.wakes.iter().map(|(lane, wake)| (*wake, *lane)).min();
        Due { check: check.map(|(due, _, which)| (due, which)), lane }
    }

    /// When a tick has something to do, apart from forgetting.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let Due { check, lane } = self.due();
        let waiting = self.first_waiting().map(|due| due.0);
        let proposal = self.first_proposal().map(|due| due.0);
        [waiting, proposal, check.map(|due| due.0), lane.map(|due| due.0)].into_iter().flatten().min()
    }

    /// The earliest deadline, if it has come; of equal ones a withdrawal before a line.
    pub(super) fn tick(&mut self, at: Timestamp, sequence: u64, told: &dyn Told) -> Vec<Outcome> {
        let due = self.next_deadline().filter(|due| *due <= at && self.suspect_since.is_none());
        let (Some(due), Due { check, lane }) = (due, self.due()) else { return Vec::new() };
        if let Some((when, place)) = self.first_waiting()
            && when == due
        {
            return self.take_effect(at, sequence, place, told);
        }
        if let Some((when, place)) = self.first_proposal()
            && when == due
        {
            self.close_proposal(place);
            return Vec::new();
        }
        match (check, lane) {
            (Some((when, which)), _) if when == due => {
                let withdrawal = &self.withdrawals[which];
                if withdrawal.is_lapsed || withdrawal.not_after <= at {
                    vec![self.past_its_time(at, which)]
                } else {
                    vec![self.decide_again(at, sequence, which, told)]
                }
            }
            (_, Some((_, lane))) => self.serve(at, sequence, lane, told),
            _ => Vec::new(),
        }
    }

    /// The first of a line that something is to be said of. Whom only its own share keeps back is passed by.
    fn serve(&mut self, at: Timestamp, sequence: u64, lane: Lane, told: &dyn Told) -> Vec<Outcome> {
        for which in self.line(lane).into_iter().take(LOOKED_AT) {
            let verdict = self.judge(at, which, told.of_open(self.withdrawals[which].id));
            let moves_on = verdict.deny || verdict.hold || verdict.factors != (false, false);
            let leaves = verdict.class != lane.class;
            let room = self.room(which, verdict.class, lane.small, at);
            if moves_on || leaves || matches!(room, Room::Now | Room::Never) {
                return vec![self.settle(at, sequence, which, verdict, !leaves)];
            }
            if room == Room::Level {
                break;
            }
        }
        Vec::new()
    }

    /// Takes in when the core looks at a line again, which may be soon and never late.
    pub(crate) fn will_look(&mut self, at: Timestamp, lane: Lane, when: Timestamp) {
        assert!(at <= when && when <= at.plus(3_600_000_000), "a line is looked at within the hour: {when}");
        if self.line(lane).is_empty() {
            return;
        }
        self.wakes.retain(|wake| wake.0 != lane);
        self.wakes.push((lane, when));
    }

    /// Every line has a time at which it is looked at again.
    pub(crate) fn check_lines(&self) {
        for withdrawal in &self.withdrawals {
            if let Some(turn) = withdrawal.queued {
                assert!(self.wakes.iter().any(|wake| wake.0 == turn.lane), "a line that nobody looks at");
            }
        }
    }

    /// The account's number in the core: they are numbered alike.
    pub(crate) fn account_number(&self, id: &holdfast_values::AccountId) -> Option<AccountIndex> {
        self.account(id).ok().map(|place| AccountIndex(place as u32))
    }
}
