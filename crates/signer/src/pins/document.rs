//! The pinned file as TOML writes it, before any value is looked at. Unknown keys are refused here.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    pub exchange: String,
    pub name: String,
    #[serde(default)]
    pub simulated_clock: bool,
    pub store: Option<String>,
    pub release_keys: Vec<String>,
    pub receipt_key_file: String,
    pub release_lifetime_max: String,
    pub operators: Operators,
    pub policy: Option<Policy>,
    pub approval: Option<Approval>,
    pub wallets: Vec<Wallet>,
    pub assets: Vec<Asset>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Operators {
    pub threshold: usize,
    pub keys: BTreeMap<String, String>,
    pub passkeys: Option<Passkeys>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Passkeys {
    pub rp_id: String,
    pub origins: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    pub initial: String,
    pub delay: Option<String>,
    pub setup: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    pub rp_id: String,
    pub origins: Vec<String>,
    pub app_id: Option<String>,
    pub ageing: Option<String>,
    pub enrolments_per_day: u32,
    pub user_verification: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wallet {
    pub name: String,
    pub network: String,
    pub descriptors: Option<Vec<String>>,
    pub address: Option<String>,
    pub fee_max: Option<String>,
    pub fee_rate_max: Option<String>,
    pub fee_bucket: Option<Bucket>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asset {
    pub symbol: String,
    pub network: String,
    pub decimals: u8,
    pub contract: Option<String>,
    pub credential_cap: Option<String>,
    pub buckets: Buckets,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Buckets {
    pub vouched: Bucket,
    pub unvouched: Bucket,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bucket {
    pub size: String,
    pub refill_per_hour: String,
}
