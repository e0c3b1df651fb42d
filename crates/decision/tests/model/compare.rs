//! Core and model take the same commands and are compared after every one.

use std::collections::{BTreeMap, BTreeSet};

use holdfast_decision::command::{Command, RequestWithdrawal};
use holdfast_decision::event::{self, AccountIndex, AssetIndex, Event, ProposalEnd, WalletIndex};
use holdfast_decision::governance::RESTORE_SPAN;
use holdfast_decision::weigh::{self, Weighed};
use holdfast_decision::{Cause, Class, RULES_LATEST, State, next_deadline};
use holdfast_policy::{Fact, Factor, Value};
use holdfast_values::{Network, Timestamp, UsdCents, WithdrawalId, time};

use crate::play::{Play, Run, is_journaled};
use crate::random::{Announce, seeds};
use crate::reference::{
    Answer, Counts, Model, ModelTransaction, Outcome, Row, Shown, Stage, Standing, Told, Whose,
};
use crate::world::{SIGNERS, name};

/// What the core's explanations say of windows, on the State before a decision.
struct FromCore<'s> {
    state: &'s State,
    at: Timestamp,
}

impl Told for FromCore<'_> {
    fn of_request(&self, request: &RequestWithdrawal) -> Option<Counts> {
        counts(&weigh::request(self.state, self.at, request)?)
    }

    fn of_open(&self, id: WithdrawalId) -> Option<Counts> {
        counts(&weigh::open(self.state, self.at, id)?)
    }
}

fn counts(weighed: &Weighed<'_>) -> Option<Counts> {
    let number = |fact: Fact| match weighed.facts.get(fact) {
        Value::Long(number) => Some(number as u64),
        _ => None,
    };
    let mut rows = [Row::default(); 4];
    for (row, first) in rows.iter_mut().zip([
        Fact::AccountWithdrawals1h,
        Fact::DestinationWithdrawals1h,
        Fact::AssetTotalWithdrawals1h,
        Fact::OverallWithdrawals1h,
    ]) {
        for place in 0..3u16 {
            row.count[usize::from(place)] = number(Fact::from_code(first.code() + place)?)?;
            row.usd_cents[usize::from(place)] = number(Fact::from_code(first.code() + 3 + place)?)?;
        }
    }
    Some(Counts(rows))
}

/// The core's answer in the model's words.
fn answer(events: &[Event]) -> Answer {
    let mut outcomes = Vec::new();
    let plain = Outcome::plain;
    for event in events {
        match event {
            Event::Refused { refusal, .. } => return Answer::Refused(refusal.code().to_owned()),
            Event::Repeated { sequence } => return Answer::Repeated(*sequence),
            Event::WithdrawalDecided { withdrawal, decision } => {
                let reasons: Vec<_> = decision.reasons.iter().map(|reason| reason.code.clone()).collect();
                if reasons == ["denied_by_staff"] {
                    outcomes.push(Outcome { reasons, ..plain(*withdrawal, "denied") });
                    continue;
                }
                outcomes.push(Outcome {
                    id: *withdrawal,
                    status: decision.status.name(),
                    class: decision.class,
                    dwell_until: decision.dwell_until,
                    factors: (
                        decision.factors.contains(Factor::OneTimeCode),
                        decision.factors.contains(Factor::Passkey),
                    ),
                    usd_cents: (decision.usd_cents != UsdCents::MAX).then_some(decision.usd_cents.0),
                    reasons,
                });
            }
            Event::WithdrawalCancelled { withdrawal } => outcomes.push(plain(*withdrawal, "cancelled")),
            Event::WithdrawalExpired { withdrawal } => outcomes.push(plain(*withdrawal, "expired")),
            Event::IntentLapsed { withdrawal } => outcomes.push(plain(*withdrawal, "lapsed")),
            Event::WithdrawalMoved { withdrawal, status, .. } => {
                outcomes.push(plain(*withdrawal, status.name()));
            }
            Event::WithdrawalPaid { withdrawal, .. } => outcomes.push(plain(*withdrawal, "paid")),
            Event::ReleaseDropped { dropped } => {
                outcomes.extend(dropped.iter().map(|one| plain(one.withdrawal, one.why.code())));
            }
            Event::ActLapsed { refusal, .. } => outcomes.push(plain(WithdrawalId(0), refusal.code())),
            Event::ChainAlarm { alarm, .. } => outcomes.push(plain(WithdrawalId(0), alarm.name())),
            _ => {}
        }
    }
    Answer::Done(outcomes)
}

fn standings(state: &State) -> Vec<Standing> {
    let standing = |(id, open): (&WithdrawalId, &holdfast_decision::Withdrawal)| Standing {
        id: *id,
        status: open.status().name(),
        reserved: open.reserved,
        queued: open.queued.map(|turn| (turn.lane, turn.turn)),
        next_check: open.next_check,
        usd_cents: (open.usd_cents() != UsdCents::MAX).then_some(open.usd_cents().0),
        operators: open.operators,
    };
    state.withdrawals().map(standing).collect()
}

/// Whose word counts, as both see it; by account.
fn words(state: &State, at: Timestamp) -> Vec<Shown> {
    let all = (0..).map_while(|place| state.account_at(AccountIndex(place)));
    let shown = |account: &holdfast_decision::account::Account| {
        let protection = account.protection.as_deref().cloned().unwrap_or_default();
        let credentials = protection.credentials.iter().map(|known| {
            let counts = state.credential_counts(at, known, known.used_for);
            (known.credential, known.counter, known.is_removed, known.is_pending, counts)
        });
        let live = protection
            .mandates
            .iter()
            .filter(|known| !known.is_revoked && at.since(known.terms.not_after) <= time::DAY);
        Shown {
            credentials: credentials.collect(),
            mandates: live.map(|known| known.terms.mandate).collect(),
            codes: protection
                .codes
                .map_or((0, 0, false), |codes| (codes.revision, codes.last_step, !codes.is_removed)),
            recovery_codes: protection.recovery_codes.map_or((0, 0), |codes| (codes.revision, codes.left)),
            is_locked: state.settings_locked(at, account),
            recovering: protection.recovery.map(|recovery| recovery.begun_at),
            keys: account.api_keys.iter().map(|key| (key.key, key.revision, key.is_revoked)).collect(),
        }
    };
    all.map(shown).collect()
}

/// What was released, as both see it; in order of digests.
fn transactions(state: &State) -> Vec<ModelTransaction> {
    let stage = |standing| match standing {
        event::Standing::Unseen => Stage::Unseen,
        event::Standing::Pending => Stage::Pending,
        event::Standing::Included => Stage::Included,
        event::Standing::Failed => Stage::Failed,
        event::Standing::Vanished => Stage::Vanished,
        event::Standing::Final => Stage::Final,
        event::Standing::Dead => Stage::Dead,
    };
    let all = state.transactions().map(|(digest, known)| ModelTransaction {
        digest: *digest,
        signer: known.signer.clone(),
        wallet: usize::from(known.wallet.0),
        network: known.network,
        spends: known.spends.clone(),
        outputs: known.outputs,
        withdrawals: known.withdrawals.clone(),
        transfer: known.transfer,
        is_signed: known.is_signed,
        stage: stage(known.standing),
        confirmations: known.confirmations,
        chain_id: known.chain_id.map(|id| id.0),
        over_since: known.over_at,
    });
    all.collect()
}

/// Core and model side by side.
pub(crate) struct Pair {
    pub(crate) run: Run,
    model: Model,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self { run: Run::empty(), model: Model::new() }
    }

    pub(crate) fn say(&mut self, command: Command) {
        let at = self.run.now;
        let told = FromCore { state: &self.run.state, at };
        let due = next_deadline(&self.run.state);
        let sequence = self.run.state.sequence() + 1;
        let before = format!("{sequence}: {command:?} at {at}");
        let expected = if command == Command::Tick && due.is_some_and(|due| due <= at) && {
            self.model.next_deadline().is_none_or(|own| Some(own) > due)
        } {
            // The core's memory is due before anything that the model knows of.
            let events = self.run.say(command);
            let [Event::Trimmed { until }] = events[..] else { panic!("{before}: {events:?}") };
            self.model.recorded(at);
            return self.model.forget(until);
        } else {
            self.model.say(at, sequence, &command, &told)
        };
        let is_told_at_once = matches!(
            command,
            Command::RecordObservation(_) | Command::RecordReceipt(_) | Command::OperatorAct(_)
        );
        let events = self.run.say(command);
        let in_order = |answer: Answer| match answer {
            // What one observation moves has no order among its withdrawals.
            Answer::Done(mut outcomes) if is_told_at_once => {
                outcomes.sort_by_key(|outcome| (outcome.id, outcome.status));
                Answer::Done(outcomes)
            }
            answer => answer,
        };
        assert_eq!(in_order(answer(&events)), in_order(expected), "{before}\ncore: {events:#?}");
        for event in &events {
            match event {
                Event::LaneScheduled { lane, at: when } => self.model.will_look(at, *lane, *when),
                Event::AccountOpened { account, .. } => {
                    assert_eq!(self.model.account_number(account), self.run.state.account_index(account));
                }
                _ => {}
            }
        }
        if is_journaled(&events) {
            self.model.recorded(at);
            self.compare(&before);
        }
    }

    fn compare(&self, before: &str) {
        let (state, at) = (&self.run.state, self.run.now);
        assert_eq!(standings(state), self.model.standings(), "{before}");
        assert!(state.halts().eq(&self.model.halts), "{before}");
        if !state.is_clock_suspect() {
            let waiting = state.scheduled_acts().map(|waiting| (waiting.scheduled.nonce.0, waiting.due));
            assert_eq!(waiting.collect::<Vec<_>>(), self.model.waiting(), "{before}");
            let proposals = state.proposals().map(|open| {
                let opened = &open.opened;
                let (hash, from) = (opened.proposal.source.hash, opened.proposal.from);
                (opened.nonce.0, opened.author.clone(), hash, from, open.expires)
            });
            assert_eq!(proposals.collect::<Vec<_>>(), self.model.proposals(), "{before}");
        }
        if state.rules() >= RULES_LATEST {
            let recent = state.bases_left().filter(|base| at.since(base.left) <= RESTORE_SPAN);
            let bases: Vec<_> = recent.map(|base| (base.source.hash, base.left)).collect();
            let policies = (state.policy_hash(), state.policy_base_hash(), state.policy_from(), bases);
            assert_eq!(policies, self.model.policies(at), "{before}");
        }
        assert_eq!(state.is_clock_suspect(), self.model.suspect_since.is_some(), "{before}");
        self.model.check_lines();
        let mut own = self.model.transactions.clone();
        own.sort_by_key(|one| one.digest);
        assert_eq!(transactions(state), own, "{before}");
        assert_eq!(state.epoch(), self.model.epoch, "{before}");
        assert_eq!(words(state, at), self.model.shown(at), "{before}");
        for signer in SIGNERS.map(name) {
            let own = self.model.counters.get(&signer).copied().unwrap_or(0);
            assert_eq!(state.receipts_seen(&signer), own, "{before}");
        }
        for (place, network) in [(0, Network::Bitcoin), (1, Network::Ethereum), (2, Network::Polygon)] {
            let left = state.fees_left(WalletIndex(place), network, at).map(|left| left.base_units());
            assert_eq!(left, self.model.fees_left(usize::from(place), network, at), "{before}");
        }
        if let (Some(own), false) = (self.model.next_deadline(), state.is_clock_suspect()) {
            assert!(next_deadline(state).is_some_and(|due| due <= own), "{before}: a deadline is forgotten");
        }
        let now = state.refill_time(at);
        for class in Class::ALL {
            let mut levels = vec![(Whose::Overall, state.overall_buckets())];
            for place in 0..state.configuration().assets.len() {
                levels.push((Whose::Asset(place), state.asset_buckets(AssetIndex(place as u16)).unwrap()));
            }
            for place in 0..state.configuration().wallets.len() {
                levels.push((Whose::Wallet(place), state.wallet_buckets(WalletIndex(place as u16)).unwrap()));
            }
            for (whose, buckets) in levels {
                let left = buckets.of(class).available(now).base_units();
                assert_eq!(left, self.model.left(whose, class, at), "{before}: {whose:?} {class:?}");
            }
        }
    }

    pub(crate) fn wait(&mut self, span: u64) {
        let end = self.run.now.plus(span);
        let mut ticks = 0;
        while let Some(due) = next_deadline(&self.run.state).filter(|due| *due <= end) {
            self.run.now = self.run.now.max(due);
            self.say(Command::Tick);
            ticks += 1;
            assert!(ticks < 10_000, "deadlines without end");
        }
        self.run.now = end;
    }
}

/// How many commands a run has, ticks not counted.
const STEPS: usize = 300;

#[test]
fn model_and_core_agree_at_every_step() {
    let seeds = seeds(440);
    let mut met = BTreeSet::<&str>::new();
    let mut times = BTreeMap::<&str, u32>::new();
    for seed in &seeds {
        let _announce = Announce(*seed);
        let mut play = Play::new(*seed, true);
        let mut pair = Pair::new();
        for command in play.opening() {
            pair.say(command);
        }
        for _ in 0..STEPS {
            let gap = play.gap();
            pair.wait(gap);
            let command = play.next(&pair.run.state, pair.run.now);
            pair.say(command);
        }
        for event in pair.run.records.iter().flat_map(|record| &record.events) {
            *times.entry(told(event)).or_default() += 1;
            let Event::WithdrawalDecided { decision, .. } = event else { continue };
            let causes = Cause::ALL.iter().map(|cause| cause.code());
            met.extend(causes.filter(|code| decision.reasons.iter().any(|reason| reason.code == *code)));
        }
    }
    // What was never met was never compared.
    let seldom = [Cause::ApiKeyIdle];
    let missed = Cause::ALL.iter().filter(|cause| !met.contains(cause.code()) && !seldom.contains(cause));
    let missed: Vec<_> = missed.collect();
    assert!(missed.is_empty() || seeds.len() < 400, "{missed:?} never came up");
    let often = RELEASES.iter().map(|what| (what, 10)).chain(WORDS.iter().map(|what| (what, 5)));
    let few = often.filter(|(what, least)| times.get(*what).is_none_or(|times| times < least));
    let few: Vec<_> = few.map(|(what, _)| (what, times.get(what))).collect();
    assert!(few.is_empty() || seeds.len() < 400, "{few:?} came up too seldom");
}

/// What an event says, in one word.
pub(crate) fn told(event: &Event) -> &'static str {
    match event {
        Event::Refused { refusal, .. } => refusal.code(),
        Event::ReleaseDropped { dropped } => dropped.last().map_or("nothing", |last| last.why.code()),
        Event::TransactionReleased(released) if released.transfer.is_some() => "transfer",
        Event::TransactionReleased(_) => "batch",
        Event::WithdrawalMoved { status, .. } => status.name(),
        Event::WithdrawalPaid { .. } => "paid",
        Event::TransactionObserved { standing, .. } => standing.name(),
        Event::ChainAlarm { alarm, .. } => alarm.name(),
        Event::ReceiptRecorded { .. } => "receipt",
        Event::EpochBegun { .. } => "epoch",
        Event::SpendRecovered(spend) if spend.is_lost => "lost",
        Event::SpendRecovered(_) => "recovered",
        Event::WithdrawalApproved { .. } => "approved by its text",
        Event::IntentApproved { .. } => "approved by its owner",
        Event::IntentLapsed { .. } => "lapsed",
        Event::IntentRenewed { .. } => "renewed",
        Event::MandateUsed { .. } => "by mandate",
        Event::WithdrawalExpired { .. } => "expired",
        Event::UnlockBegun { .. } => "unlock begun",
        Event::AccountRecovered { .. } => "account recovered",
        Event::ActScheduled(_) => "scheduled",
        Event::PolicyProposed(_) => "proposed",
        Event::PolicyMoved(moved) => moved.how.name(),
        Event::ProposalClosed { why: ProposalEnd::Withdrawn, .. } => "taken back",
        Event::ProposalClosed { why: ProposalEnd::Expired, .. } => "closed by itself",
        Event::ProposalClosed { why, .. } => why.name(),
        Event::ActStopped { .. } => "act stopped",
        Event::ActTookEffect { .. } => "took effect",
        Event::ActLapsed { refusal, .. } => refusal.code(),
        Event::CodeAccepted { .. } => "code right",
        Event::CodeFailed { .. } => "code wrong",
        Event::SessionSeen { .. } => "session",
        Event::ApiKeysRevoked { .. } => "cohort",
        Event::ProtectionChanged { change, .. } => change.name(),
        _ => "other",
    }
}

/// What must have been compared often, of whose word it is.
const WORDS: [&str; 57] = [
    "scheduled",
    "act stopped",
    "took effect",
    "act_unknown",
    "act_replaced",
    "rules_older",
    "approved by its owner",
    "lapsed",
    "renewed",
    "by mandate",
    "expired",
    "unlock begun",
    "account recovered",
    "code right",
    "code wrong",
    "session",
    "cohort",
    "add_credential",
    "add_master_credential",
    "add_login_credential",
    "remove_credential",
    "enrol_codes",
    "remove_codes",
    "put_recovery_codes",
    "put_api_key",
    "lock_settings",
    "unlock_settings",
    "unfreeze",
    "grant_mandate",
    "revoke_mandate",
    "begin_recovery",
    "stop_recovery",
    "forget_device",
    "approval_required",
    "credential_unknown",
    "credential_not_counting",
    "counter_went_back",
    "text_lapsed",
    "text_not_lapsed",
    "settings_locked",
    "nothing_to_change",
    "account_frozen",
    "code_needed",
    "credential_exists",
    "recovery_under_way",
    "recovery_not_begun",
    "recovery_waits",
    "mandate_unknown",
    "change_invalid",
    "code_locked",
    "code_used",
    "codes_unknown",
    "text_used",
    "api_key_unknown",
    "api_key_revoked",
    "api_key_foreign",
    "rules_unknown",
];

/// What must have been compared often.
const RELEASES: [&str; 54] = [
    "batch",
    "transfer",
    "receipt",
    "epoch",
    "lost",
    "recovered",
    "approved by its text",
    "paid",
    "broadcast",
    "confirmed",
    "voided",
    "replaced",
    "failed",
    "pending",
    "included",
    "vanished",
    "final",
    "dead",
    "unknown_spend",
    "deep_reorganisation",
    "unknown_authorisation",
    "closed",
    "not_approved",
    "decided_again",
    "stopped",
    "already_released",
    "signer_unknown",
    "signer_not_recovered",
    "wallet_chain_unknown",
    "wallet_unknown",
    "batch_empty",
    "batch_duplicate",
    "wallet_differs",
    "output_missing",
    "output_extra",
    "fee_too_high",
    "fee_bucket_spent",
    "not_conflicting",
    "release_differs",
    "coin_spent",
    "transfer_differs",
    "transfer_foreign",
    "halted_now",
    "receipt_stale",
    "epoch_invalid",
    "text_exchange",
    "text_not_now",
    "text_differs",
    "asset_unknown",
    "network_not_configured",
    "signatures_insufficient",
    "withdrawal_unknown",
    "case_unknown",
    "withdrawal_foreign",
];
