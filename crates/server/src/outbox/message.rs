//! Which events become which messages, and what they say.

use holdfast_decision::acts::{Digest, scope_text};
use holdfast_decision::command::Command;
use holdfast_decision::event::{AccountIndex, Decision, Event, SpendRecovered, Status, TransactionReleased};
use holdfast_decision::reason::Refusal;
use holdfast_values::{CaseId, Timestamp, WithdrawalId, WithdrawalText};
use serde_json::Value;

use super::store::Mark;
use crate::record::chain::{alarm_subject, id_on_chain, seen_id, spends};
use crate::record::json::{Object, factor_names, key_scopes, security_change_name};
use crate::record::protection::{
    basis_name, change as change_json, cohort as cohort_json, facts as facts_json,
};
use crate::record::{Decoded, Names, hex, reason_json};
use crate::views::{DbNames, WithdrawalNames, case_of};

/// A type of message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageKind {
    /// Its `type`.
    pub name: &'static str,
    /// When it is sent, in a sentence.
    pub doc: &'static str,
}

macro_rules! messages {
    ($($constant:ident $name:literal $doc:literal;)*) => {
        $(pub(super) const $constant: &str = $name;)*
        /// Every type of message, as `docs/webhooks.md` lists them.
        pub const MESSAGES: &[MessageKind] = &[$(MessageKind { name: $name, doc: $doc },)*];
    };
}

messages! {
    WITHDRAWAL_DECIDED "withdrawal.decided" "A withdrawal was decided, at its request or again. One of the next five follows where the status has one.";
    WITHDRAWAL_AWAITING "withdrawal.awaiting_approval" "Its owner is asked for the factors listed.";
    WITHDRAWAL_HELD "withdrawal.held" "A person at the exchange must look at it.";
    WITHDRAWAL_APPROVED "withdrawal.approved" "It may be released.";
    WITHDRAWAL_DENIED "withdrawal.denied" "It does not go.";
    WITHDRAWAL_CANCELLED "withdrawal.cancelled" "Its owner took it back.";
    WITHDRAWAL_EXPIRED "withdrawal.expired" "It was not released in time.";
    WITHDRAWAL_RELEASED "withdrawal.released" "A signer may sign a transaction that pays it; again for each transaction that may replace it. Time alone gives nothing back from here on.";
    WITHDRAWAL_BROADCAST "withdrawal.broadcast" "A node of its network knows a transaction that pays it; also when a reorganisation took it out of its block again.";
    WITHDRAWAL_CONFIRMED "withdrawal.confirmed" "A block holds a transaction that pays it. It is not final yet: wait for `withdrawal.paid`.";
    WITHDRAWAL_PAID "withdrawal.paid" "The transaction that pays it is final. Nothing follows.";
    WITHDRAWAL_VOIDED "withdrawal.voided" "Its signer vouches that it never authorised it and never will: it was not paid, and its value is free again. Nothing follows.";
    WITHDRAWAL_REPLACED "withdrawal.replaced" "A transaction that does not pay it and leaves no room for one that does is final: it was not paid. Nothing follows.";
    WITHDRAWAL_FAILED "withdrawal.failed" "The transaction that was to pay it is final, and failed: it was not paid. Nothing follows.";
    TRANSACTION_RELEASED "transaction.released" "A signer may sign this transaction, until its release expires: a batch of withdrawals, each of which has its `withdrawal.released`, or an internal transfer.";
    CHAIN_ALARM "chain.alarm" "A chain or a signer shows what cannot be, and the wallet is halted. `unknown_spend`: its coins were spent by a transaction that was never released. `deep_reorganisation`: a final transaction is final no more. `unknown_authorisation`: a signer authorised a transaction that was never released; `transaction` is then its digest, otherwise its id on the chain.";
    EPOCH_BEGUN "epoch.begun" "A restored journal goes on, with a signer's spend records taken in.";
    SPEND_RECOVERED "spend.recovered" "A signer remembers a payment that the restored journal did not know as released. An open withdrawal counts as released from here on; one with `is_lost` is not among the open ones: check your own books.";
    CASE_OPENED "case.opened" "A held withdrawal became a case; operators decide it.";
    CASE_APPROVED "case.approved" "Operators let a held withdrawal go on.";
    NOTICE_ADDRESS "notice.address_recorded" "Tell the account's owner that a destination was recorded, and report the delivery: the veto window begins then.";
    NOTICE_ADDRESS_REMOVED "notice.address_removed" "A destination was removed from the account's address book.";
    NOTICE_KEY "notice.api_key_put" "Tell the account's owner that an API key was made or changed.";
    NOTICE_KEY_REVOKED "notice.api_key_revoked" "An API key was taken out of use.";
    NOTICE_SECURITY "notice.security_changed" "Tell the account's owner that its protection changed; cooling-off began.";
    NOTICE_PROTECTION "notice.protection_changed" "Tell the account's owner what changed in its protection: a key, codes, an API key's fence, a mandate, the Settings Lock, a recovery. `change` names it; whoever did not ask for it must be able to say so.";
    NOTICE_UNLOCK "notice.unlock_begun" "Tell the account's owner that somebody asked to open the Settings Lock; it opens when its time has passed.";
    NOTICE_SESSION "notice.session_new" "Tell the account's owner that it was used on a new device or from a new place.";
    NOTICE_KEY_WOKE "notice.api_key_woke" "Tell the account's owner that an API key which had slept was used.";
    NOTICE_RECOVERED "notice.account_recovered" "Operators gave the account back to its owner: its old credentials and codes are out of use.";
    KEYS_REVOKED "api_keys.revoked" "Every API key of a cohort is out of use.";
    WITHDRAWAL_LAPSED "withdrawal.lapsed" "Its text is past its time: nobody may release it until it is renewed and approved again. Its value stays reserved for as long again.";
    WITHDRAWAL_RENEWED "withdrawal.renewed" "It has a text again; earlier approvals do not count for it.";
    ACCOUNT_FROZEN "account.frozen" "An account stands still.";
    ACCOUNT_UNFROZEN "account.unfrozen" "Operators ended an account's freeze.";
    ACCOUNT_TIER "account.tier_set" "Operators moved an account to another tier.";
    ACCOUNT_LIMITS "account.limits_set" "An account's own limits changed.";
    HALT_STARTED "halt.started" "Withdrawals of this scope are halted; they wait and lose nothing.";
    HALT_ENDED "halt.ended" "Operators ended a halt.";
    CLOCK_SUSPECTED "clock.suspected" "The clock moved against itself: deadlines and refills stand still until operators confirm it.";
    CLOCK_CONFIRMED "clock.confirmed" "Operators confirmed the clock.";
    ACT_REFUSED "operator_act.refused" "Somebody sent an act with operators' signatures, and it was refused: an alarm, unless a colleague made a mistake. `by` are those whose signatures were right.";
    ACT_SCHEDULED "operator_act.scheduled" "An act has its signatures and waits until `due`: anyone trusted can stop it before, by its `nonce`. Nobody here asked for it? Stop it.";
    ACT_STOPPED "operator_act.stopped" "A waiting act was stopped: it will not take effect.";
    ACT_LAPSED "operator_act.lapsed" "A waiting act's time came, and it could not take effect any more.";
    ACT_TOOK_EFFECT "operator_act.took_effect" "A waiting act's time came: what it did is told by the messages that follow.";
    POLICY_PROPOSED "policy.proposed" "An operator proposes a policy; others may approve it.";
    PROPOSAL_CLOSED "policy.proposal_closed" "A proposal is open no more: `activated`, `superseded`, `withdrawn` or `expired`.";
    POLICY_MOVED "policy.moved" "Why and on whose word another policy decides: `approved`, `tightened` or `restored`. `policy.activated` follows.";
    POLICY_ACTIVATED "policy.activated" "Another policy decides from now on.";
    CONFIGURATION_CHANGED "configuration.changed" "Operators replaced the configuration.";
    RULES_ACTIVATED "rules.activated" "Another version of the rules decides from now on.";
    OPERATOR_ENROLLED "operator.enrolled" "A further operator was enrolled.";
    OPERATOR_REVOKED "operator.revoked" "An operator's signature no longer counts.";
    TOKEN_ISSUED "token.issued" "A client was given a token.";
    TOKEN_REVOKED "token.revoked" "A client's token is out of use.";
}

/// One message of one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The record that it tells of.
    pub sequence: u64,
    /// Its place among what the record can say.
    pub index: u32,
    /// The beginning of the record's hash: after a restore the same sequence is another record.
    pub record: [u8; 4],
    /// Its type.
    pub kind: &'static str,
    /// When the record was ordered.
    pub at: Timestamp,
    /// What it says.
    pub data: Value,
}

impl Message {
    /// The id that never changes, for receivers to recognise what they have seen.
    pub fn id(&self) -> String {
        format!("msg_{}_{}_{}", self.sequence, self.index, hex(&self.record))
    }

    /// The body that is signed and sent.
    pub fn body(&self) -> String {
        let body: Value = Object::new()
            .put("type", self.kind)
            .put("timestamp", self.at.to_string())
            .put("data", self.data.clone())
            .into();
        body.to_string()
    }

    pub(super) const fn mark(&self) -> Mark {
        Mark { sequence: self.sequence, index: self.index }
    }
}

/// What messages say besides their event.
pub(super) trait Lookup: Names {
    /// What never changes about a withdrawal.
    fn withdrawal(&self, withdrawal: WithdrawalId) -> Option<WithdrawalNames>;
    /// True if this record opened the case about it.
    fn opened_case(&self, withdrawal: WithdrawalId, sequence: u64) -> bool;
}

impl Lookup for DbNames {
    fn withdrawal(&self, withdrawal: WithdrawalId) -> Option<WithdrawalNames> {
        Self::withdrawal(self, withdrawal)
    }

    fn opened_case(&self, withdrawal: WithdrawalId, sequence: u64) -> bool {
        Self::opened_case(self, withdrawal, sequence)
    }
}

/// Places that one event takes at least: messages keep their ids when a later version adds one to another event. An
/// event that says more, such as the release of a batch, moves those after it.
const PLACES: u32 = 4;

/// The messages of a record, in order.
pub(super) fn of_record(record: &Decoded, names: &dyn Lookup) -> Vec<Message> {
    let [a, b, c, d, ..] = record.hash;
    let mut messages = Vec::new();
    let mut free = 0;
    for event in &record.events {
        let first: u32 = free;
        free = first.saturating_add(PLACES);
        for (index, (kind, data)) in (first..).zip(of_event(record, event, names)) {
            free = free.max(index.saturating_add(1));
            messages.push(Message {
                sequence: record.sequence,
                index,
                record: [a, b, c, d],
                kind,
                at: record.at,
                data: data.put("sequence", record.sequence).into(),
            });
        }
    }
    messages
}

type Said = Vec<(&'static str, Object)>;

fn of_event(record: &Decoded, event: &Event, names: &dyn Lookup) -> Said {
    let one = |kind: &'static str, data: Object| vec![(kind, data)];
    let withdrawal = |id: WithdrawalId| about_withdrawal(id, names);
    match event {
        Event::WithdrawalDecided { withdrawal, decision } => decided(record, *withdrawal, decision, names),
        Event::WithdrawalCancelled { withdrawal: id } => one(WITHDRAWAL_CANCELLED, withdrawal(*id)),
        Event::WithdrawalExpired { withdrawal: id } => one(WITHDRAWAL_EXPIRED, withdrawal(*id)),
        Event::CaseApproved { withdrawal: id, operators }
        | Event::WithdrawalApproved { withdrawal: id, operators, .. } => {
            one(CASE_APPROVED, put_case(withdrawal(*id), *id).put("operators", *operators))
        }
        Event::TransactionReleased(released) => transaction_released(released, names),
        Event::WithdrawalMoved { withdrawal: id, status, transaction } => moved_kind(*status)
            .map(|kind| {
                let data = withdrawal(*id).put("status", status.name());
                (kind, put_transaction(data, record, transaction.as_ref(), names))
            })
            .into_iter()
            .collect(),
        Event::WithdrawalPaid { withdrawal: id, transaction } => {
            let data = withdrawal(*id).put("status", Status::Confirmed.name());
            one(WITHDRAWAL_PAID, put_transaction(data, record, Some(transaction), names))
        }
        Event::ChainAlarm { alarm, wallet, network, transaction, spends: keys } => one(
            CHAIN_ALARM,
            Object::new()
                .put("alarm", alarm.name())
                .put("wallet", names.wallet(*wallet))
                .put("network", network.name())
                .put("transaction", alarm_subject(*alarm, transaction, *network))
                .put("spends", spends(keys)),
        ),
        Event::EpochBegun { epoch, signer, counter } => one(
            EPOCH_BEGUN,
            Object::new()
                .put("epoch", *epoch)
                .put("signer", signer.as_str())
                .put("counter", *counter)
                .maybe("by", by(record)),
        ),
        Event::SpendRecovered(spend) => one(SPEND_RECOVERED, spend_recovered(spend, names)),
        Event::AddressRecorded { account, destination } => {
            one(NOTICE_ADDRESS, about_account(*account, names).put("destination", destination.to_string()))
        }
        Event::AddressRemoved { account, destination } => one(
            NOTICE_ADDRESS_REMOVED,
            about_account(*account, names).put("destination", destination.to_string()),
        ),
        Event::ApiKeyPut { account, key, revision, scopes, .. } => one(
            NOTICE_KEY,
            about_account(*account, names)
                .put("key", key.to_string())
                .put("revision", *revision)
                .put("scopes", key_scopes(*scopes)),
        ),
        Event::ApiKeyRevoked { account, key } => {
            one(NOTICE_KEY_REVOKED, about_account(*account, names).put("key", key.to_string()))
        }
        Event::ProtectionChanged { account, change, basis, .. } => one(
            NOTICE_PROTECTION,
            about_account(*account, names)
                .put("change", change.name())
                .put("what", change_json(change))
                .maybe("basis", basis.map(basis_name)),
        ),
        Event::UnlockBegun { account } => one(NOTICE_UNLOCK, about_account(*account, names)),
        Event::SessionSeen { account, new_device, new_place, facts, .. } if *new_device || *new_place => one(
            NOTICE_SESSION,
            about_account(*account, names)
                .put("new_device", *new_device)
                .put("new_place", *new_place)
                .put("facts", facts_json(facts)),
        ),
        Event::ApiKeyWoke { account, key, idle_days } => one(
            NOTICE_KEY_WOKE,
            about_account(*account, names).put("key", key.to_string()).put("idle_days", *idle_days),
        ),
        Event::AccountRecovered { account, credential, .. } => one(
            NOTICE_RECOVERED,
            about_account(*account, names).put("credential", credential.to_string()).maybe("by", by(record)),
        ),
        Event::ApiKeysRevoked { cohort, count } => one(
            KEYS_REVOKED,
            Object::new().put("cohort", cohort_json(cohort)).put("count", *count).maybe("by", by(record)),
        ),
        Event::IntentLapsed { withdrawal: id } => one(WITHDRAWAL_LAPSED, withdrawal(*id)),
        Event::IntentRenewed { withdrawal: id, not_after, .. } => {
            one(WITHDRAWAL_RENEWED, withdrawal(*id).put("not_after", not_after.to_string()))
        }
        Event::SecurityChanged { account, kind } => {
            one(NOTICE_SECURITY, about_account(*account, names).put("kind", security_change_name(*kind)))
        }
        Event::AccountFrozen(account) | Event::OwnerFroze { account } => {
            one(ACCOUNT_FROZEN, about_account(*account, names).maybe("by", by(record)))
        }
        Event::AccountUnfrozen(account) => {
            one(ACCOUNT_UNFROZEN, about_account(*account, names).maybe("by", by(record)))
        }
        Event::TierSet { account, tier } => {
            one(ACCOUNT_TIER, about_account(*account, names).maybe("tier", names.tier(*tier)))
        }
        Event::LimitsSet { account, usd_cents_24h, usd_cents_30d } => one(
            ACCOUNT_LIMITS,
            about_account(*account, names)
                .put("usd_24h", usd_cents_24h.map(|cents| cents.to_string()))
                .put("usd_30d", usd_cents_30d.map(|cents| cents.to_string())),
        ),
        Event::Halted { scope } => {
            one(HALT_STARTED, Object::new().put("scope", scope_text(scope)).maybe("by", by(record)))
        }
        Event::Resumed { scope } => {
            one(HALT_ENDED, Object::new().put("scope", scope_text(scope)).maybe("by", by(record)))
        }
        Event::ClockSuspected => one(CLOCK_SUSPECTED, Object::new()),
        Event::ClockConfirmed => one(CLOCK_CONFIRMED, Object::new().maybe("by", by(record))),
        Event::Refused { refusal, detail } => refused_act(record, *refusal, detail),
        Event::ActScheduled(scheduled) => {
            let lines = scheduled.act.lines();
            let data = Object::new()
                .put("nonce", hex(&scheduled.nonce.0))
                .put("act", lines.act)
                .put("target", lines.target)
                .put("detail", lines.detail)
                .put("operators", scheduled.operators)
                .put("due", scheduled.due.to_string());
            one(ACT_SCHEDULED, data.maybe("by", by(record)))
        }
        Event::ActStopped { nonce, by } => {
            one(ACT_STOPPED, Object::new().put("nonce", hex(&nonce.0)).put("by", vec![by.to_string()]))
        }
        Event::ActLapsed { nonce, refusal } => {
            let data = Object::new().put("nonce", hex(&nonce.0)).put("code", refusal.code());
            one(ACT_LAPSED, data.put("detail", refusal.sentence()))
        }
        Event::ActTookEffect { nonce } => one(ACT_TOOK_EFFECT, Object::new().put("nonce", hex(&nonce.0))),
        Event::PolicyProposed(opened) => one(
            POLICY_PROPOSED,
            Object::new()
                .put("nonce", hex(&opened.nonce.0))
                .put("policy", hex(&opened.proposal.source.hash))
                .put("from", hex(&opened.proposal.from))
                .put("author", opened.author.as_str())
                .put("reason", opened.proposal.reason.as_str()),
        ),
        Event::ProposalClosed { nonce, why } => {
            one(PROPOSAL_CLOSED, Object::new().put("nonce", hex(&nonce.0)).put("why", why.name()))
        }
        Event::PolicyMoved(moved) => {
            let signers = moved.approval.signatures.iter();
            let by: Vec<String> = signers.map(|signature| signature.operator.name.to_string()).collect();
            one(
                POLICY_MOVED,
                Object::new()
                    .put("how", moved.how.name())
                    .put("from", hex(&moved.from))
                    .put("policy", hex(&moved.hash))
                    .put("author", moved.author.as_ref().map(ToString::to_string))
                    .put("reason", moved.reason.as_deref())
                    .put("by", by),
            )
        }
        Event::PolicyActivated(policy) => {
            one(POLICY_ACTIVATED, Object::new().put("policy", hex(&policy.hash)).maybe("by", by(record)))
        }
        Event::Configured(_) => one(CONFIGURATION_CHANGED, Object::new().maybe("by", by(record))),
        Event::RulesActivated(version) => {
            one(RULES_ACTIVATED, Object::new().put("version", *version).maybe("by", by(record)))
        }
        Event::OperatorEnrolled(operator) => one(
            OPERATOR_ENROLLED,
            Object::new().put("operator", operator.name.as_str()).maybe("by", by(record)),
        ),
        Event::OperatorRevoked(operator) => {
            one(OPERATOR_REVOKED, Object::new().put("operator", operator.as_str()).maybe("by", by(record)))
        }
        Event::TokenIssued(token) => {
            one(TOKEN_ISSUED, Object::new().put("client", token.client.as_str()).maybe("by", by(record)))
        }
        Event::TokenRevoked(client) => {
            one(TOKEN_REVOKED, Object::new().put("client", client.as_str()).maybe("by", by(record)))
        }
        Event::Initialised(_)
        | Event::DowntimeRecorded { .. }
        | Event::SnapshotRecorded { .. }
        | Event::AccountOpened { .. }
        | Event::AccountImported { .. }
        | Event::NoticeDelivered { .. }
        | Event::PricesSet { .. }
        | Event::WithdrawalRequested(_)
        | Event::FactorDischarged { .. }
        | Event::Reserved { .. }
        | Event::ReservationReturned { .. }
        | Event::Queued { .. }
        | Event::Unqueued { .. }
        | Event::LaneScheduled { .. }
        | Event::ActAccepted { .. }
        | Event::ImportAuthorised(_)
        | Event::ImportDone(_)
        | Event::Repeated { .. }
        | Event::Trimmed { .. }
        | Event::ReleaseDropped { .. }
        | Event::TransactionObserved { .. }
        | Event::ReceiptRecorded { .. }
        | Event::IntentApproved { .. }
        | Event::CodeAccepted { .. }
        | Event::CodeFailed { .. }
        | Event::SessionSeen { .. }
        | Event::ApiKeysUsed { .. }
        | Event::MandateUsed { .. } => Vec::new(),
    }
}

/// A refused act of operators is told; other refusals are the asker's own business.
fn refused_act(record: &Decoded, refusal: Refusal, detail: &str) -> Said {
    let Command::OperatorAct(signed) = &record.command else { return Vec::new() };
    let lines = signed.act.lines();
    let data = Object::new()
        .put("act", lines.act)
        .put("target", lines.target)
        .put("detail", lines.detail)
        .put("code", refusal.code())
        .put("why", detail)
        .maybe("by", by(record));
    vec![(ACT_REFUSED, data)]
}

fn decided(record: &Decoded, id: WithdrawalId, decision: &Decision, names: &dyn Lookup) -> Said {
    let data = || put_decision(about_withdrawal(id, names), decision);
    let mut said = vec![(WITHDRAWAL_DECIDED, data())];
    match decision.status {
        Status::AwaitingApproval => said.push((WITHDRAWAL_AWAITING, data())),
        Status::Held => {
            said.push((WITHDRAWAL_HELD, data()));
            if names.opened_case(id, record.sequence) {
                said.push((CASE_OPENED, put_case(data(), id)));
            }
        }
        Status::Approved => said.push((WITHDRAWAL_APPROVED, data())),
        Status::Denied => said.push((WITHDRAWAL_DENIED, data())),
        Status::Dwelling
        | Status::Cancelled
        | Status::Expired
        | Status::Released
        | Status::Broadcast
        | Status::Confirmed
        | Status::Voided
        | Status::Replaced
        | Status::Failed => {}
    }
    said
}

/// One message about the transaction, then one for each withdrawal that it pays.
fn transaction_released(released: &TransactionReleased, names: &dyn Lookup) -> Said {
    let digest = hex(&released.transaction.0);
    let ids: Vec<String> = released.withdrawals.iter().map(ToString::to_string).collect();
    let fee = released.network.native_decimals().map(|decimals| released.fee.to_fixed(decimals));
    let whole = Object::new()
        .put("transaction", digest.as_str())
        .put("release", released.release.to_string())
        .put("signer", released.signer.as_str())
        .put("wallet", names.wallet(released.wallet))
        .put("network", released.network.name())
        .put("fee", fee)
        .put("withdrawals", ids)
        .put("transfer", released.transfer.as_ref().map(|transfer| transfer.transfer.to_string()))
        .put("not_before", released.not_before.to_string())
        .put("expires", released.expires.to_string());
    let each = released.withdrawals.iter().map(|id| {
        let data = about_withdrawal(*id, names)
            .put("status", Status::Released.name())
            .put("transaction", digest.as_str())
            .put("release", released.release.to_string());
        (WITHDRAWAL_RELEASED, data)
    });
    core::iter::once((TRANSACTION_RELEASED, whole)).chain(each).collect()
}

const fn moved_kind(status: Status) -> Option<&'static str> {
    match status {
        Status::Released => Some(WITHDRAWAL_RELEASED),
        Status::Broadcast => Some(WITHDRAWAL_BROADCAST),
        Status::Confirmed => Some(WITHDRAWAL_CONFIRMED),
        Status::Voided => Some(WITHDRAWAL_VOIDED),
        Status::Replaced => Some(WITHDRAWAL_REPLACED),
        Status::Failed => Some(WITHDRAWAL_FAILED),
        Status::AwaitingApproval
        | Status::Dwelling
        | Status::Held
        | Status::Approved
        | Status::Denied
        | Status::Cancelled
        | Status::Expired => None,
    }
}

/// The transaction, and what the same record says of it.
fn put_transaction(
    object: Object,
    record: &Decoded,
    transaction: Option<&Digest>,
    names: &dyn Lookup,
) -> Object {
    let object = object.put("transaction", transaction.map(|digest| hex(&digest.0)));
    let seen = record.events.iter().find_map(|event| match event {
        Event::TransactionObserved { transaction: seen, confirmations, chain_id: id, .. }
            if Some(seen) == transaction =>
        {
            let network = names.network_of(seen);
            let id = seen_id(id).zip(network).map(|(id, network)| id_on_chain(id, network));
            Some((*confirmations, id))
        }
        _ => None,
    });
    match seen {
        Some((confirmations, id)) => object.put("confirmations", confirmations).put("chain_id", id),
        None => object,
    }
}

fn spend_recovered(spend: &SpendRecovered, names: &dyn Lookup) -> Object {
    let object = match WithdrawalText::parse(spend.intent.as_bytes()) {
        // What was lost has nothing but its text.
        Ok(text) if names.withdrawal(spend.withdrawal).is_none() => Object::new()
            .put("withdrawal", spend.withdrawal.to_string())
            .put("account", text.account.to_string())
            .put("asset", text.asset.to_string())
            .put("network", text.destination.network().name())
            .put("amount", text.amount.to_fixed(text.decimals)),
        _ => about_withdrawal(spend.withdrawal, names),
    };
    let transactions: Vec<String> =
        spend.transactions.iter().map(|known| hex(&known.transaction.0)).collect();
    object
        .put("signer", spend.signer.as_str())
        .put("wallet", names.wallet(spend.wallet))
        .put("transactions", transactions)
        .put("is_lost", spend.is_lost)
}

fn about_account(account: AccountIndex, names: &dyn Lookup) -> Object {
    Object::new().put("account", names.account(account))
}

fn about_withdrawal(id: WithdrawalId, names: &dyn Lookup) -> Object {
    let object = Object::new().put("withdrawal", id.to_string());
    match names.withdrawal(id) {
        Some(known) => object
            .put("account", known.account)
            .put("asset", known.asset)
            .put("network", known.network)
            .put("amount", known.amount),
        None => object,
    }
}

fn put_case(object: Object, withdrawal: WithdrawalId) -> Object {
    let case: CaseId = case_of(withdrawal);
    object.put("case", case.to_string())
}

fn put_decision(object: Object, decision: &Decision) -> Object {
    let reasons: Vec<Value> = decision.reasons.iter().map(reason_json).collect();
    object
        .put("status", decision.status.name())
        .put("outcome", decision.severity.name())
        .put("class", decision.class.name())
        .put("dwell_until", decision.dwell_until.to_string())
        .put("factors", factor_names(decision.factors))
        .put("usd", decision.usd_cents.to_string())
        .put("reasons", reasons)
}

/// Who asked, where the command says so.
fn by(record: &Decoded) -> Option<Vec<String>> {
    match &record.command {
        Command::FreezeAccount { by, .. }
        | Command::Halt { by, .. }
        | Command::RevokeToken { by, .. }
        | Command::StopAct { by, .. }
        | Command::RevokeApiKeys { by, .. } => Some(vec![by.to_string()]),
        Command::OperatorAct(act) => {
            Some(act.signatures.iter().map(|signature| signature.operator.name.to_string()).collect())
        }
        _ => None,
    }
}
