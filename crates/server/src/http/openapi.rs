//! The interface as an OpenAPI 3.1 document, made from the handlers. `api/openapi.json` is a copy that a test compares.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{
    accounts, acts, approvals, chain, changes, codes, controls, credentials, enrolments, gate, governance,
    history, keys, lists, mandates, meta, panic, sessions, shadow, transactions, withdrawals,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Holdfast",
        description = "May this withdrawal leave now, and on whose word? Amounts are decimal texts, times RFC 3339 in \
                       UTC, refusals application/problem+json with the codes of docs/problems.md."
    ),
    paths(
        withdrawals::create, lists::withdrawals, withdrawals::get, withdrawals::cancel, withdrawals::one_time_code,
        withdrawals::deny, withdrawals::text, lists::decisions, accounts::open, accounts::get, accounts::freeze,
        accounts::lower_limits, accounts::security_change, accounts::add_address, accounts::remove_address,
        accounts::notice_delivered, keys::put, keys::revoke, controls::set_prices, controls::halt, controls::halts,
        lists::cases, acts::operator_act, governance::list, governance::stop, acts::import, controls::operators, controls::policy, history::history, shadow::start, shadow::status, shadow::stop, controls::buckets,
        controls::revoke_token, transactions::propose, lists::transactions, transactions::receipt, transactions::get,
        approvals::ask, approvals::approve, approvals::renew, keys::revoke_cohort, changes::plain,
        credentials::registration_options, credentials::register, credentials::list, credentials::remove,
        credentials::sign_in_options, credentials::sign_in, mandates::offer, mandates::grant, mandates::list, codes::begin,
        codes::confirm, codes::recovery_codes, codes::present, sessions::report, sessions::devices, panic::link,
        panic::show, panic::freeze, enrolments::list,
        gate::check, chain::observe, lists::alarms, lists::recovered_spends, meta::health, meta::ready, meta::metrics, meta::openapi,
    ),
    modifiers(&Token),
    security(("token" = [])),
    tags(
        (name = "withdrawals", description = "What may leave."),
        (name = "accounts", description = "Whose money it is, and how it is protected."),
        (name = "protection", description = "Keys, codes, mandates, devices: on whose word an account moves."),
        (name = "gate", description = "Requests to the exchange's own API, judged before they reach it."),
        (name = "controls", description = "Prices, halts, operators' acts, and what decides at the moment."),
        (name = "meta", description = "The server itself."),
    ),
)]
struct Interface;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("hf_...").build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// The document.
#[must_use]
pub fn document() -> String {
    let mut text = Interface::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
