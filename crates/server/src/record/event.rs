//! Events as JSON.

use holdfast_decision::acts::scope_text;
use holdfast_decision::event::{
    AccountIndex, Decision, Event, Lane, TierIndex, WalletIndex, WithdrawalRequested,
};
use holdfast_decision::reason::Reason;
use serde_json::Value;

use super::chain;
use super::governance;
use super::json::{self, Object, hex};
use super::names::Names;
use super::protection;

/// The stable name of an event.
pub const fn event_name(event: &Event) -> &'static str {
    match event {
        Event::Initialised(_) => "initialised",
        Event::DowntimeRecorded { .. } => "downtime_recorded",
        Event::ClockSuspected => "clock_suspected",
        Event::ClockConfirmed => "clock_confirmed",
        Event::SnapshotRecorded { .. } => "snapshot_recorded",
        Event::AccountOpened { .. } => "account_opened",
        Event::AccountImported { .. } => "account_imported",
        Event::AccountFrozen(_) => "account_frozen",
        Event::AccountUnfrozen(_) => "account_unfrozen",
        Event::TierSet { .. } => "tier_set",
        Event::LimitsSet { .. } => "limits_set",
        Event::SecurityChanged { .. } => "security_changed",
        Event::ApiKeyPut { .. } => "api_key_put",
        Event::ApiKeyRevoked { .. } => "api_key_revoked",
        Event::AddressRecorded { .. } => "address_recorded",
        Event::AddressRemoved { .. } => "address_removed",
        Event::NoticeDelivered { .. } => "notice_delivered",
        Event::PricesSet { .. } => "prices_set",
        Event::WithdrawalRequested(_) => "withdrawal_requested",
        Event::WithdrawalDecided { .. } => "withdrawal_decided",
        Event::FactorDischarged { .. } => "factor_discharged",
        Event::CaseApproved { .. } => "case_approved",
        Event::Reserved { .. } => "reserved",
        Event::ReservationReturned { .. } => "reservation_returned",
        Event::Queued { .. } => "queued",
        Event::Unqueued { .. } => "unqueued",
        Event::LaneScheduled { .. } => "lane_scheduled",
        Event::WithdrawalCancelled { .. } => "withdrawal_cancelled",
        Event::WithdrawalExpired { .. } => "withdrawal_expired",
        Event::Halted { .. } => "halted",
        Event::Resumed { .. } => "resumed",
        Event::ActAccepted { .. } => "act_accepted",
        Event::Configured(_) => "configured",
        Event::OperatorEnrolled(_) => "operator_enrolled",
        Event::OperatorRevoked(_) => "operator_revoked",
        Event::PolicyActivated(_) => "policy_activated",
        Event::RulesActivated(_) => "rules_activated",
        Event::ImportAuthorised(_) => "import_authorised",
        Event::ImportDone(_) => "import_done",
        Event::TokenIssued(_) => "token_issued",
        Event::TokenRevoked(_) => "token_revoked",
        Event::Refused { .. } => "refused",
        Event::Repeated { .. } => "repeated",
        Event::Trimmed { .. } => "trimmed",
        Event::WithdrawalApproved { .. } => "withdrawal_approved",
        Event::TransactionReleased(_) => "transaction_released",
        Event::ReleaseDropped { .. } => "release_dropped",
        Event::WithdrawalMoved { .. } => "withdrawal_moved",
        Event::WithdrawalPaid { .. } => "withdrawal_paid",
        Event::TransactionObserved { .. } => "transaction_observed",
        Event::ChainAlarm { .. } => "chain_alarm",
        Event::ReceiptRecorded { .. } => "receipt_recorded",
        Event::EpochBegun { .. } => "epoch_begun",
        Event::SpendRecovered(_) => "spend_recovered",
        Event::IntentApproved { .. } => "intent_approved",
        Event::ProtectionChanged { .. } => "protection_changed",
        Event::UnlockBegun { .. } => "unlock_begun",
        Event::CodeAccepted { .. } => "code_accepted",
        Event::CodeFailed { .. } => "code_failed",
        Event::SessionSeen { .. } => "session_seen",
        Event::ApiKeysRevoked { .. } => "api_keys_revoked",
        Event::ApiKeysUsed { .. } => "api_keys_used",
        Event::ApiKeyWoke { .. } => "api_key_woke",
        Event::IntentLapsed { .. } => "intent_lapsed",
        Event::IntentRenewed { .. } => "intent_renewed",
        Event::MandateUsed { .. } => "mandate_used",
        Event::AccountRecovered { .. } => "account_recovered",
        Event::OwnerFroze { .. } => "owner_froze",
        Event::PolicyProposed(_) => "policy_proposed",
        Event::ProposalClosed { .. } => "proposal_closed",
        Event::ActScheduled(_) => "act_scheduled",
        Event::ActStopped { .. } => "act_stopped",
        Event::ActLapsed { .. } => "act_lapsed",
        Event::PolicyMoved(_) => "policy_moved",
        Event::ActTookEffect { .. } => "act_took_effect",
    }
}

/// An event as JSON: `type` is its name, the other keys are its fields. Where an index has a name, both are printed.
pub fn event_json(event: &Event, names: &dyn Names) -> Value {
    let name = event_name(event);
    let object = Object::of(name);
    match event {
        Event::Initialised(initialise) => json::initialise(initialise).put("type", name),
        Event::DowntimeRecorded { from } => object.put("from", from.to_string()),
        Event::ClockSuspected | Event::ClockConfirmed => object,
        Event::SnapshotRecorded { sequence, state_hash } => {
            object.put("sequence", *sequence).put("state_hash", hex(state_hash))
        }
        Event::AccountOpened { account, tier } => {
            put_tier(object.put("account", account.as_str()), *tier, names)
        }
        Event::AccountImported { account, tier } => {
            object.put("account", json::imported_account(account)).put("tier_index", tier.0)
        }
        Event::AccountFrozen(account) | Event::AccountUnfrozen(account) | Event::OwnerFroze { account } => {
            put_account(object, *account, names)
        }
        Event::TierSet { account, tier } => put_tier(put_account(object, *account, names), *tier, names),
        Event::LimitsSet { account, usd_cents_24h, usd_cents_30d } => put_account(object, *account, names)
            .put("usd_cents_24h", usd_cents_24h.map(|cents| cents.0))
            .put("usd_cents_30d", usd_cents_30d.map(|cents| cents.0)),
        Event::SecurityChanged { account, kind } => {
            put_account(object, *account, names).put("kind", json::security_change_name(*kind))
        }
        Event::ApiKeyPut { account, key, revision, scopes, ip_allowlist } => {
            put_account(object, *account, names)
                .put("key", key.to_string())
                .put("revision", *revision)
                .put("scopes", json::key_scopes(*scopes))
                .put("ip_allowlist", json::fingerprints(ip_allowlist))
        }
        Event::ApiKeyRevoked { account, key } => {
            put_account(object, *account, names).put("key", key.to_string())
        }
        Event::AddressRecorded { account, destination }
        | Event::AddressRemoved { account, destination }
        | Event::NoticeDelivered { account, destination } => {
            put_account(object, *account, names).put("destination", destination.to_string())
        }
        Event::PricesSet { prices } => {
            let prices: Vec<Value> = prices
                .iter()
                .map(|(asset, micro_usd)| {
                    Object::new()
                        .put("asset_index", asset.0)
                        .maybe("asset", names.asset(*asset).map(|(symbol, _)| symbol.as_str()))
                        .put("micro_usd", *micro_usd)
                        .into()
                })
                .collect();
            object.put("prices", prices)
        }
        Event::WithdrawalRequested(requested) => withdrawal_requested(object, requested, names),
        Event::WithdrawalDecided { withdrawal, decision } => {
            object.put("withdrawal", withdrawal.to_string()).put("decision", decision_json(decision))
        }
        Event::FactorDischarged { withdrawal, factor } => {
            object.put("withdrawal", withdrawal.to_string()).put("factor", factor.name())
        }
        Event::CaseApproved { withdrawal, operators } => {
            object.put("withdrawal", withdrawal.to_string()).put("operators", *operators)
        }
        Event::Reserved { withdrawal, class } => {
            object.put("withdrawal", withdrawal.to_string()).put("class", class.name())
        }
        Event::ReservationReturned { withdrawal }
        | Event::Unqueued { withdrawal }
        | Event::WithdrawalCancelled { withdrawal }
        | Event::WithdrawalExpired { withdrawal } => object.put("withdrawal", withdrawal.to_string()),
        Event::Queued { withdrawal, lane, turn } => object
            .put("withdrawal", withdrawal.to_string())
            .put("lane", lane_json(lane, names))
            .put("turn", *turn),
        Event::LaneScheduled { lane, at } => {
            object.put("lane", lane_json(lane, names)).put("at", at.to_string())
        }
        Event::Halted { scope } | Event::Resumed { scope } => object.put("scope", scope_text(scope)),
        Event::ActAccepted { nonce, not_after } => {
            object.put("nonce", hex(nonce)).put("not_after", not_after.to_string())
        }
        Event::Configured(configuration) => object.put("configuration", json::configuration(configuration)),
        Event::OperatorEnrolled(operator) => object.put("operator", json::operator_key(operator)),
        Event::OperatorRevoked(operator) => object.put("operator", operator.as_str()),
        Event::PolicyActivated(policy) => object.put("policy", json::policy(policy)),
        Event::RulesActivated(version) => object.put("version", *version),
        Event::ImportAuthorised(digests) => object.put("digests", json::digests(digests)),
        Event::ImportDone(digest) => object.put("digest", hex(&digest.0)),
        Event::TokenIssued(token) => object.put("token", json::token(token)),
        Event::TokenRevoked(client) => object.put("client", client.as_str()),
        Event::Refused { refusal, detail } => object
            .put("refusal", refusal.code())
            .put("sentence", refusal.sentence())
            .put("detail", detail.as_str()),
        Event::Repeated { sequence } => object.put("sequence", *sequence),
        Event::Trimmed { until } => object.put("until", until.to_string()),
        Event::WithdrawalApproved { withdrawal, operators, approval } => object
            .put("withdrawal", withdrawal.to_string())
            .put("operators", *operators)
            .put("approval", chain::approval(approval)),
        Event::TransactionReleased(released) => chain::released(object, released, names),
        Event::ReleaseDropped { dropped } => object.put("dropped", chain::dropped(dropped)),
        Event::WithdrawalMoved { withdrawal, status, transaction } => object
            .put("withdrawal", withdrawal.to_string())
            .put("status", status.name())
            .put("transaction", transaction.as_ref().map(|digest| hex(&digest.0))),
        Event::WithdrawalPaid { withdrawal, transaction } => {
            object.put("withdrawal", withdrawal.to_string()).put("transaction", hex(&transaction.0))
        }
        Event::TransactionObserved { transaction, standing, confirmations, chain_id } => object
            .put("transaction", hex(&transaction.0))
            .put("standing", standing.name())
            .put("confirmations", *confirmations)
            .put("chain_id_bytes", chain::seen_id(chain_id).map(|id| hex(id)))
            .maybe(
                "chain_id",
                chain::seen_id(chain_id)
                    .and_then(|id| Some(chain::id_on_chain(id, names.network_of(transaction)?))),
            ),
        Event::ChainAlarm { alarm, wallet, network, transaction, spends } => {
            put_wallet(object.put("alarm", alarm.name()), *wallet, names)
                .put("network", network.name())
                .put("transaction", chain::alarm_subject(*alarm, transaction, *network))
                .put("spends", chain::spends(spends))
        }
        Event::ReceiptRecorded { signer, counter, transaction } => object
            .put("signer", signer.as_str())
            .put("counter", *counter)
            .put("transaction", transaction.as_ref().map(|digest| hex(&digest.0))),
        Event::EpochBegun { epoch, signer, counter } => {
            object.put("epoch", *epoch).put("signer", signer.as_str()).put("counter", *counter)
        }
        Event::SpendRecovered(spend) => chain::spend_recovered(object, spend, names),
        Event::IntentApproved { withdrawal, approval } => object
            .put("withdrawal", withdrawal.to_string())
            .put("approval", protection::bound_approval(approval)),
        Event::ProtectionChanged { account, change, basis, approval } => put_account(object, *account, names)
            .put("change", protection::change(change))
            .put("basis", basis.map(protection::basis_name))
            .put("approval", approval.as_deref().map(protection::approved_text)),
        Event::UnlockBegun { account } => put_account(object, *account, names),
        Event::CodeAccepted { account, proof, device } => put_account(object, *account, names)
            .put("proof", protection::code_proof(proof))
            .put("device", device.map(|device| device.to_string())),
        Event::CodeFailed { account, device } => {
            put_account(object, *account, names).put("device", device.map(|device| device.to_string()))
        }
        Event::SessionSeen { account, facts, credential, new_device, new_place } => {
            put_account(object, *account, names)
                .put("facts", protection::facts(facts))
                .put("credential", protection::credential_used(credential))
                .put("new_device", *new_device)
                .put("new_place", *new_place)
        }
        Event::ApiKeysRevoked { cohort, count } => {
            object.put("cohort", protection::cohort(cohort)).put("count", *count)
        }
        Event::ApiKeysUsed { keys } => object.put("keys", protection::key_uses(keys)),
        Event::ApiKeyWoke { account, key, idle_days } => {
            put_account(object, *account, names).put("key", key.to_string()).put("idle_days", *idle_days)
        }
        Event::IntentLapsed { withdrawal } => object.put("withdrawal", withdrawal.to_string()),
        Event::IntentRenewed { withdrawal, nonce, not_after } => object
            .put("withdrawal", withdrawal.to_string())
            .put("nonce", hex(nonce))
            .put("not_after", not_after.to_string()),
        Event::MandateUsed { withdrawal, mandate } => {
            object.put("withdrawal", withdrawal.to_string()).put("mandate", mandate.to_string())
        }
        Event::AccountRecovered { account, credential, approval } => put_account(object, *account, names)
            .put("credential", credential.to_string())
            .put("approval", chain::approval(approval)),
        Event::PolicyProposed(opened) => governance::opened(object, opened),
        Event::ProposalClosed { nonce, why } => object.put("nonce", hex(&nonce.0)).put("why", why.name()),
        Event::ActScheduled(scheduled) => governance::scheduled(object, scheduled, names),
        Event::ActStopped { nonce, by } => object.put("nonce", hex(&nonce.0)).put("by", by.as_str()),
        Event::ActLapsed { nonce, refusal } => {
            object.put("nonce", hex(&nonce.0)).put("refusal", refusal.code())
        }
        Event::PolicyMoved(moved) => governance::moved(object, moved),
        Event::ActTookEffect { nonce } => object.put("nonce", hex(&nonce.0)),
    }
    .into()
}

fn put_account(object: Object, account: AccountIndex, names: &dyn Names) -> Object {
    object.put("account_index", account.0).maybe("account", names.account(account))
}

fn put_tier(object: Object, tier: TierIndex, names: &dyn Names) -> Object {
    object.put("tier_index", tier.0).maybe("tier", names.tier(tier))
}

fn put_wallet(object: Object, wallet: WalletIndex, names: &dyn Names) -> Object {
    object.put("wallet_index", wallet.0).maybe("wallet", names.wallet(wallet))
}

fn withdrawal_requested(object: Object, requested: &WithdrawalRequested, names: &dyn Names) -> Object {
    let asset = names.asset(requested.asset);
    let decimals = asset.map(|(_, decimals)| decimals);
    put_account(object.put("withdrawal", requested.withdrawal.to_string()), requested.account, names)
        .put("asset_index", requested.asset.0)
        .maybe("asset", asset.map(|(symbol, _)| symbol.as_str()))
        .put("wallet_index", requested.wallet.0)
        .maybe("wallet", names.wallet(requested.wallet))
        .put("destination", json::destination(&requested.destination))
        .put("fingerprint", requested.fingerprint.to_string())
        .amount("amount", requested.amount, decimals)
        .amount("fee_max", requested.fee_max, decimals)
        .put("usd_cents", requested.usd_cents.0)
        .put("nonce", hex(&requested.nonce))
        .put("not_after", requested.not_after.to_string())
        .put("evidence", json::evidence(&requested.evidence))
        .put("idempotency", json::idempotency(&requested.idempotency))
}

/// A decision as JSON.
pub fn decision_json(decision: &Decision) -> Value {
    let reasons: Vec<Value> = decision.reasons.iter().map(reason_json).collect();
    Object::new()
        .put("severity", decision.severity.name())
        .put("status", decision.status.name())
        .put("class", decision.class.name())
        .put("dwell_until", decision.dwell_until.to_string())
        .put("factors", json::factor_names(decision.factors))
        .put("usd_cents", decision.usd_cents.0)
        .put("reasons", reasons)
        .into()
}

/// A reason as JSON.
pub fn reason_json(reason: &Reason) -> Value {
    Object::new()
        .put("code", reason.code.as_str())
        .put("severity", reason.severity.name())
        .put("observed", reason.observed.as_str())
        .put("expected", reason.expected.as_str())
        .put("weight", reason.weight)
        .put("policy", reason.policy.as_deref())
        .put("until", reason.until.map(|until| until.to_string()))
        .put("events", reason.events.clone())
        .into()
}

fn lane_json(lane: &Lane, names: &dyn Names) -> Value {
    Object::new()
        .put("asset_index", lane.asset.0)
        .maybe("asset", names.asset(lane.asset).map(|(symbol, _)| symbol.as_str()))
        .put("wallet_index", lane.wallet.0)
        .maybe("wallet", names.wallet(lane.wallet))
        .put("class", lane.class.name())
        .put("small", lane.small)
        .into()
}
