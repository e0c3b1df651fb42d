//! Small pieces that commands and events share: an object in one expression, and one spelling for each kind of value.

use holdfast_decision::acts::{Act, Digest};
use holdfast_decision::command::{
    ApiEvidence, Evidence, Idempotency, ImportedAccount, Initialise, OperatorKey, PolicySource, Scopes,
    SecurityChange, TokenScopes, TokenSpec,
};
use holdfast_decision::configuration::{BucketSpec, BucketSpecs, Configuration, Parties, Party};
use holdfast_decision::event::Factors;
use holdfast_policy::Factor;
use holdfast_values::asset::AssetNetwork;
use holdfast_values::{Amount, Destination, Fingerprint};
use serde_json::{Map, Value};

use super::{Names, chain, governance, protection};

/// A JSON object under construction.
#[derive(Debug, Default)]
pub(crate) struct Object(Map<String, Value>);

impl Object {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// An object whose `type` says what it is.
    pub(crate) fn of(kind: &str) -> Self {
        Self::new().put("type", kind)
    }

    #[must_use]
    pub(crate) fn put(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.to_owned(), value.into());
        self
    }

    /// Leaves the key out if there is no value.
    #[must_use]
    pub(crate) fn maybe(self, key: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.put(key, value),
            None => self,
        }
    }

    /// Base units always, the decimal text where the asset's decimals are known.
    #[must_use]
    pub(crate) fn amount(self, key: &str, amount: Amount, decimals: Option<u8>) -> Self {
        self.put(&format!("{key}_base_units"), amount.base_units().to_string())
            .maybe(key, decimals.map(|decimals| amount.to_fixed(decimals)))
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::Object(object.0)
    }
}

/// Lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    use core::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len().saturating_mul(2)), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Reads what [`hex`] prints, of exactly `N` bytes.
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => byte.checked_sub(b'0'),
        b'a'..=b'f' => byte.checked_sub(b'a').and_then(|digit| digit.checked_add(10)),
        _ => None,
    };
    let mut bytes = [0_u8; N];
    if text.len() != N.checked_mul(2)? {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = *pair else { return None };
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    Some(bytes)
}

pub(super) fn fingerprints(list: &[Fingerprint]) -> Vec<Value> {
    list.iter().map(|fingerprint| fingerprint.to_string().into()).collect()
}

/// Names of set bits; a bit without a name prints as `bit_N`, so that nothing is hidden.
pub(super) fn bits(value: u8, names: &[&str]) -> Vec<Value> {
    (0..8_usize)
        .filter(|bit| value >> bit & 1 == 1)
        .map(|bit| names.get(bit).map_or_else(|| format!("bit_{bit}"), |name| (*name).to_owned()).into())
        .collect()
}

pub(crate) fn key_scopes(scopes: Scopes) -> Vec<Value> {
    bits(scopes.0, &["read", "trade", "withdraw", "transfer"])
}

pub(super) fn token_scopes(scopes: TokenScopes) -> Vec<Value> {
    bits(scopes.0, &["read", "service", "prices", "halt", "wallet", "chain"])
}

/// The names of factors, in the order of their strength.
pub(crate) fn factor_names(factors: Factors) -> Vec<&'static str> {
    Factor::ALL.into_iter().filter(|factor| factors.contains(*factor)).map(Factor::name).collect()
}

/// What changed, as answers and records carry it.
pub(crate) const fn security_change_name(kind: SecurityChange) -> &'static str {
    match kind {
        SecurityChange::Password => "password",
        SecurityChange::SecondFactor => "second_factor",
        SecurityChange::Contact => "contact",
        SecurityChange::Recovery => "recovery",
    }
}

pub(super) fn destination(destination: &Destination) -> Value {
    Object::new()
        .put("network", destination.network().name())
        .put("kind", destination.kind().code())
        .put("address", destination.address())
        .put("memo", destination.memo())
        .into()
}

pub(super) fn idempotency(idempotency: &Idempotency) -> Value {
    Object::new().put("key", idempotency.key.to_string()).put("body", idempotency.body.to_string()).into()
}

pub(super) fn evidence(evidence: &Evidence) -> Value {
    match evidence {
        Evidence::Session { one_time_code } => {
            Object::of("session").put("one_time_code", *one_time_code).into()
        }
        Evidence::ApiRequest(api) => api_evidence(api),
        Evidence::Device { one_time_code, facts } => Object::of("session")
            .put("one_time_code", *one_time_code)
            .put("facts", protection::facts(facts))
            .into(),
    }
}

fn api_evidence(api: &ApiEvidence) -> Value {
    Object::of("api_request")
        .put("key", api.key.to_string())
        .put("revision", api.revision)
        .put("signed_at", api.signed_at.to_string())
        .put("window_micros", api.window)
        .put("request", api.request.to_string())
        .put("ip", api.ip.to_string())
        .put("differs", bits(api.differs, &["asset", "network", "address", "amount", "memo"]))
        .put("verifier", api.verifier)
        .put("sealed_bytes", api.sealed.len())
        .into()
}

pub(super) fn operator_key(operator: &OperatorKey) -> Value {
    Object::new()
        .put("name", operator.name.as_str())
        .put("public_key", operator.public_key.to_string())
        .into()
}

pub(super) fn token(token: &TokenSpec) -> Value {
    Object::new()
        .put("client", token.client.as_str())
        .put("token_hash", hex(&token.token_hash))
        .put("scopes", token_scopes(token.scopes))
        .into()
}

pub(super) fn policy(policy: &PolicySource) -> Value {
    let files: Vec<Value> = policy
        .files
        .iter()
        .map(|(name, text)| Object::new().put("name", name.as_str()).put("text", text.as_str()).into())
        .collect();
    Object::new()
        .put("hash", hex(&policy.hash))
        .put("files", files)
        .put("program_bytes", policy.program.len())
        .maybe("compiler", policy.compiler)
        .into()
}

pub(super) fn initialise(initialise: &Initialise) -> Object {
    let operators: Vec<Value> = initialise.operators.iter().map(operator_key).collect();
    Object::new()
        .put("exchange", initialise.exchange.as_str())
        .put("simulated_clock", initialise.simulated_clock)
        .put("operators", operators)
        .put("configuration", configuration(&initialise.configuration))
        .put("policy", policy(&initialise.policy))
        .put("token", token(&initialise.token))
        .maybe("rules", initialise.rules)
}

fn bucket(spec: BucketSpec, decimals: u8) -> Value {
    Object::new()
        .amount("size", spec.size, Some(decimals))
        .amount("refill_per_hour", spec.refill_per_hour, Some(decimals))
        .into()
}

fn buckets(specs: &BucketSpecs, decimals: u8) -> Value {
    Object::new()
        .put("bound", bucket(specs.bound, decimals))
        .put("aged", bucket(specs.aged, decimals))
        .put("unvouched", bucket(specs.unvouched, decimals))
        .into()
}

/// US dollar buckets are kept in cents.
const USD_DECIMALS: u8 = 2;

pub(super) fn configuration(configuration: &Configuration) -> Value {
    let assets: Vec<Value> = configuration
        .assets
        .iter()
        .map(|asset| {
            let networks: Vec<Value> = asset.spec.networks.iter().map(asset_network).collect();
            let wallets: Vec<Value> = asset
                .wallets
                .iter()
                .map(|(network, wallet)| {
                    Object::new().put("network", network.name()).put("wallet", wallet.as_str()).into()
                })
                .collect();
            Object::new()
                .put("symbol", asset.spec.symbol.as_str())
                .put("decimals", asset.spec.decimals)
                .put("networks", networks)
                .put("wallets", wallets)
                .put("buckets", buckets(&asset.buckets, asset.spec.decimals))
                .into()
        })
        .collect();
    let wallets: Vec<Value> = configuration
        .wallets
        .iter()
        .map(|wallet| {
            Object::new()
                .put("name", wallet.name.as_str())
                .put("buckets", buckets(&wallet.buckets, USD_DECIMALS))
                .maybe("chains", wallet.chains.as_deref().map(chain::wallet_chains))
                .into()
        })
        .collect();
    let tiers: Vec<Value> = configuration
        .tiers
        .iter()
        .map(|tier| {
            Object::new()
                .put("name", tier.name.as_str())
                .put("usd_cents_24h", tier.usd_cents_24h.0)
                .put("usd_cents_30d", tier.usd_cents_30d.0)
                .into()
        })
        .collect();
    Object::new()
        .put("assets", assets)
        .put("wallets", wallets)
        .put("tiers", tiers)
        .put("overall", buckets(&configuration.overall, USD_DECIMALS))
        .put("parameters", parameters(configuration))
        .maybe("signers", chain::signers(configuration))
        .maybe("parties", configuration.parties.as_deref().map(parties))
        .maybe("operate", configuration.operate.as_deref().map(|operate| Value::from(party(operate))))
        .into()
}

fn party(party: &Party) -> Object {
    Object::new()
        .put("rp_id", party.rp_id.as_str())
        .put("origins", party.origins.clone())
        .put("app_id", party.app_id.as_deref())
}

fn parties(parties: &Parties) -> Value {
    Object::new()
        .put("approve", party(&parties.approve))
        .put("login", parties.login.as_ref().map(|login| Value::from(party(login))))
        .into()
}

fn asset_network(network: &AssetNetwork) -> Value {
    Object::new()
        .put("network", network.network.name())
        .put("decimals", network.decimals)
        .put("contract", network.contract.as_deref())
        .into()
}

fn parameters(configuration: &Configuration) -> Value {
    let parameters = &configuration.parameters;
    Object::new()
        .put("address_ageing_micros", parameters.address_ageing)
        .put("veto_window_micros", parameters.veto_window)
        .put("cooling_off_micros", parameters.cooling_off)
        .put("operator_ageing_micros", parameters.operator_ageing)
        .put("queue_hold_after_micros", parameters.queue_hold_after)
        .put("withdrawal_lifetime_micros", parameters.withdrawal_lifetime)
        .put("price_stale_after_micros", parameters.price_stale_after)
        .put("price_move_permille", parameters.price_move_permille)
        .put("account_share_permille", parameters.account_share_permille)
        .put("small_reserve_permille", parameters.small_reserve_permille)
        .put("small_usd_cents", parameters.small_usd_cents.0)
        .put("small_account_age_micros", parameters.small_account_age)
        .put("loosening_signatures", parameters.loosening_signatures)
        .maybe("release_lifetime_micros", parameters.release_lifetime)
        .maybe("credential_ageing_micros", parameters.credential_ageing)
        .maybe("recovery_wait_micros", parameters.recovery_wait)
        .maybe("loosening_delay_micros", parameters.loosening_delay)
        .maybe("resume_delay_micros", parameters.resume_delay)
        .maybe("setup_window_micros", parameters.setup_window)
        .into()
}

pub(super) fn imported_account(account: &ImportedAccount) -> Object {
    let api_keys: Vec<Value> = account
        .api_keys
        .iter()
        .map(|key| {
            Object::new()
                .put("key", key.key.to_string())
                .put("scopes", key_scopes(key.scopes))
                .put("ip_allowlist", fingerprints(&key.ip_allowlist))
                .put("created_at", key.created_at.to_string())
                .into()
        })
        .collect();
    let addresses: Vec<Value> = account
        .addresses
        .iter()
        .map(|address| {
            Object::new()
                .put("destination", address.destination.to_string())
                .put("first_recorded_at", address.first_recorded_at.to_string())
                .into()
        })
        .collect();
    let withdrawals: Vec<Value> = account
        .withdrawals
        .iter()
        .map(|past| Object::new().put("at", past.at.to_string()).put("usd_cents", past.usd_cents.0).into())
        .collect();
    Object::new()
        .put("account", account.account.as_str())
        .put("tier", account.tier.as_str())
        .put("opened_at", account.opened_at.to_string())
        .put("api_keys", api_keys)
        .put("addresses", addresses)
        .put("withdrawals", withdrawals)
}

pub(super) fn digests(digests: &[Digest]) -> Vec<Value> {
    digests.iter().map(|digest| hex(&digest.0).into()).collect()
}

/// An act's typed content, beside the lines that its text carries.
pub(super) fn act(act: &Act, names: &dyn Names) -> Value {
    let lines = act.lines();
    let object = Object::of(lines.act).put("target", lines.target).put("detail", lines.detail);
    match act {
        Act::Configure(document) => object.put("configuration", configuration(document)),
        Act::ActivatePolicy(source) => object.put("policy", policy(source)),
        Act::Import(manifest) => object.put("digests", digests(manifest)),
        Act::EnrolOperator(operator) => object.put("operator", operator_key(operator)),
        Act::BeginEpoch(start) => object.put("start", chain::epoch_start(start, names)),
        Act::IssueToken(spec) => object.put("token", token(spec)),
        Act::ProposePolicy(proposal) => governance::proposal(object, proposal),
        Act::TightenPolicy(tightening) => governance::tightening(object, tightening),
        Act::Resume(_)
        | Act::ApproveCase(_)
        | Act::UnfreezeAccount(_)
        | Act::SetTier { .. }
        | Act::SetLimits { .. }
        | Act::RevokeOperator(_)
        | Act::ConfirmClock
        | Act::ActivateRules(_)
        | Act::ApproveWithdrawal { .. }
        | Act::RecoverAccount { .. }
        | Act::ApprovePolicy { .. }
        | Act::RestorePolicy { .. }
        | Act::StopAct(_) => object,
    }
    .into()
}
