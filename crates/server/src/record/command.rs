//! Commands as JSON.

use holdfast_decision::acts::scope_text;
use holdfast_decision::command::{Command, OperatorAct, RequestWithdrawal};
use serde_json::Value;

use super::chain;
use super::json::{self, Object, hex};
use super::names::Names;
use super::protection;

/// The stable name of a command.
pub const fn command_name(command: &Command) -> &'static str {
    match command {
        Command::Initialise(_) => "initialise",
        Command::Start => "start",
        Command::Tick => "tick",
        Command::SuspectClock { .. } => "suspect_clock",
        Command::RecordSnapshot { .. } => "record_snapshot",
        Command::OpenAccount { .. } => "open_account",
        Command::FreezeAccount { .. } => "freeze_account",
        Command::LowerLimits { .. } => "lower_limits",
        Command::RecordSecurityChange { .. } => "record_security_change",
        Command::PutApiKey { .. } => "put_api_key",
        Command::RevokeApiKey { .. } => "revoke_api_key",
        Command::AddAddress { .. } => "add_address",
        Command::RemoveAddress { .. } => "remove_address",
        Command::RecordNoticeDelivered { .. } => "record_notice_delivered",
        Command::SetPrices { .. } => "set_prices",
        Command::RequestWithdrawal(_) => "request_withdrawal",
        Command::CancelWithdrawal { .. } => "cancel_withdrawal",
        Command::ReportOneTimeCode { .. } => "report_one_time_code",
        Command::Halt { .. } => "halt",
        Command::DenyWithdrawal { .. } => "deny_withdrawal",
        Command::OperatorAct(_) => "operator_act",
        Command::ImportChunk { .. } => "import_chunk",
        Command::RevokeToken { .. } => "revoke_token",
        Command::ProposeTransaction(_) => "propose_transaction",
        Command::RecordReceipt(_) => "record_receipt",
        Command::RecordObservation(_) => "record_observation",
        Command::ApproveIntent { .. } => "approve_intent",
        Command::ChangeProtection(_) => "change_protection",
        Command::PresentCode(_) => "present_code",
        Command::RecordSession(_) => "record_session",
        Command::RevokeApiKeys { .. } => "revoke_api_keys",
        Command::RecordKeyUse { .. } => "record_key_use",
        Command::RenewIntent { .. } => "renew_intent",
        Command::StopAct { .. } => "stop_act",
    }
}

/// A command as JSON: `type` is its name, the other keys are its fields.
pub fn command_json(command: &Command, names: &dyn Names) -> Value {
    let object = Object::of(command_name(command));
    match command {
        Command::Initialise(initialise) => {
            return json::initialise(initialise).put("type", command_name(command)).into();
        }
        Command::Start | Command::Tick => object,
        Command::SuspectClock { step } => object.put("step_micros", *step),
        Command::RecordSnapshot { sequence, state_hash } => {
            object.put("sequence", *sequence).put("state_hash", hex(state_hash))
        }
        Command::OpenAccount { account, tier } => {
            object.put("account", account.as_str()).put("tier", tier.as_str())
        }
        Command::FreezeAccount { account, by } => {
            object.put("account", account.as_str()).put("by", by.as_str())
        }
        Command::LowerLimits { account, usd_cents_24h, usd_cents_30d } => object
            .put("account", account.as_str())
            .put("usd_cents_24h", usd_cents_24h.0)
            .put("usd_cents_30d", usd_cents_30d.0),
        Command::RecordSecurityChange { account, kind } => {
            object.put("account", account.as_str()).put("kind", json::security_change_name(*kind))
        }
        Command::PutApiKey { account, key, scopes, ip_allowlist } => object
            .put("account", account.as_str())
            .put("key", key.to_string())
            .put("scopes", json::key_scopes(*scopes))
            .put("ip_allowlist", json::fingerprints(ip_allowlist)),
        Command::RevokeApiKey { account, key } => {
            object.put("account", account.as_str()).put("key", key.to_string())
        }
        Command::AddAddress { account, destination }
        | Command::RemoveAddress { account, destination }
        | Command::RecordNoticeDelivered { account, destination } => {
            object.put("account", account.as_str()).put("destination", destination.to_string())
        }
        Command::SetPrices { prices } => {
            let prices: Vec<Value> = prices
                .iter()
                .map(|price| {
                    Object::new().put("asset", price.asset.as_str()).put("micro_usd", price.micro_usd).into()
                })
                .collect();
            object.put("prices", prices)
        }
        Command::RequestWithdrawal(request) => request_withdrawal(object, request, names),
        Command::CancelWithdrawal { account, withdrawal }
        | Command::ReportOneTimeCode { account, withdrawal } => {
            object.put("account", account.as_str()).put("withdrawal", withdrawal.to_string())
        }
        Command::Halt { scope, by } => object.put("scope", scope_text(scope)).put("by", by.as_str()),
        Command::DenyWithdrawal { withdrawal, by } => {
            object.put("withdrawal", withdrawal.to_string()).put("by", by.as_str())
        }
        Command::OperatorAct(act) => operator_act(object, act, names),
        Command::ImportChunk { digest, accounts } => {
            let accounts: Vec<Value> =
                accounts.iter().map(|account| json::imported_account(account).into()).collect();
            object.put("digest", hex(digest)).put("accounts", accounts)
        }
        Command::RevokeToken { client, by } => object.put("client", client.as_str()).put("by", by.as_str()),
        Command::ProposeTransaction(proposed) => chain::proposed(object, proposed, names),
        Command::RecordReceipt(receipt) => chain::receipt(object, receipt),
        Command::RecordObservation(observation) => chain::observation(object, observation),
        Command::ApproveIntent { account, withdrawal, approval } => object
            .put("account", account.as_str())
            .put("withdrawal", withdrawal.to_string())
            .put("approval", protection::bound_approval(approval)),
        Command::ChangeProtection(asked) => protection::change_protection(object, asked),
        Command::PresentCode(shown) => protection::present_code(object, shown),
        Command::RecordSession(session) => protection::session(object, session),
        Command::RevokeApiKeys { cohort, by } => {
            object.put("cohort", protection::cohort(cohort)).put("by", by.as_str())
        }
        Command::RecordKeyUse { keys } => object.put("keys", protection::key_uses(keys)),
        Command::RenewIntent { account, withdrawal, nonce } => object
            .put("account", account.as_str())
            .put("withdrawal", withdrawal.to_string())
            .put("nonce", hex(nonce)),
        Command::StopAct { act, by } => object.put("act", hex(&act.0)).put("by", by.as_str()),
    }
    .into()
}

fn request_withdrawal(object: Object, request: &RequestWithdrawal, names: &dyn Names) -> Object {
    let decimals = names.decimals(&request.asset);
    object
        .put("withdrawal", request.withdrawal.to_string())
        .put("account", request.account.as_str())
        .put("asset", request.asset.as_str())
        .put("destination", json::destination(&request.destination))
        .put("fingerprint", request.fingerprint.to_string())
        .amount("amount", request.amount, decimals)
        .amount("fee_max", request.fee_max, decimals)
        .put("nonce", hex(&request.nonce))
        .put("evidence", json::evidence(&request.evidence))
        .put("idempotency", json::idempotency(&request.idempotency))
}

fn operator_act(object: Object, act: &OperatorAct, names: &dyn Names) -> Object {
    object
        .put("text", act.text.as_str())
        .put("signatures", chain::signatures(&act.signatures))
        .put("act", json::act(&act.act, names))
}
