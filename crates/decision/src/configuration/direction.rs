//! Which way a configuration becomes tighter: a direction for every number, and for everything else none.
//!
//! What only tightens needs one operator and no delay, so whatever is in doubt here is a loosening.

use holdfast_values::UsdCents;

use super::{
    AssetConfiguration, BucketSpec, BucketSpecs, CREDENTIAL_AGEING, Class, Configuration, Parameters,
    RECOVERY_WAIT, RELEASE_LIFETIME, TierConfiguration, WalletChain, WalletConfiguration,
};

/// Which way a number moves when a configuration becomes tighter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Less is tighter.
    Lower,
    /// More is tighter.
    Higher,
    /// Neither way is.
    Neither,
}

impl Direction {
    const fn allows(self, old: u128, new: u128) -> bool {
        match self {
            Self::Lower => new <= old,
            Self::Higher => new >= old,
            Self::Neither => new == old,
        }
    }
}

/// What would loosen, by its place in the document.
type Loosens = String;

/// Checks that `new` is nowhere looser than `old`.
pub(crate) fn only_tightens(old: &Configuration, new: &Configuration) -> Result<(), Loosens> {
    let Configuration { assets, wallets, tiers, overall, parameters, signers, parties, operate } = old;
    let same = |is_same: bool, what: &str| if is_same { Ok(()) } else { Err(what.to_owned()) };
    same(assets.len() == new.assets.len(), "assets")?;
    for (old, new) in assets.iter().zip(&new.assets) {
        asset(old, new)?;
    }
    same(wallets.len() == new.wallets.len(), "wallets")?;
    for (old, new) in wallets.iter().zip(&new.wallets) {
        wallet(old, new)?;
    }
    same(tiers.len() == new.tiers.len(), "tiers")?;
    for (old, new) in tiers.iter().zip(&new.tiers) {
        tier(old, new)?;
    }
    buckets("overall", overall, &new.overall)?;
    same(*signers == new.signers, "signers")?;
    same(*parties == new.parties, "approve or login")?;
    same(*operate == new.operate, "operate")?;
    for ((name, direction, old), (_, _, new)) in numbers(parameters).into_iter().zip(numbers(&new.parameters))
    {
        same(direction.allows(old.into(), new.into()), &format!("parameters.{name}"))?;
    }
    Ok(())
}

fn asset(old: &AssetConfiguration, new: &AssetConfiguration) -> Result<(), Loosens> {
    let AssetConfiguration { spec, wallets, buckets: sizes } = old;
    let place = format!("asset {}", spec.symbol);
    if *spec != new.spec || *wallets != new.wallets {
        return Err(place);
    }
    buckets(&place, sizes, &new.buckets)
}

fn wallet(old: &WalletConfiguration, new: &WalletConfiguration) -> Result<(), Loosens> {
    let WalletConfiguration { name, buckets: sizes, chains } = old;
    let place = format!("wallet {name}");
    if *name != new.name || chains.as_ref().map(Vec::len) != new.chains.as_ref().map(Vec::len) {
        return Err(place);
    }
    for (old, new) in chains.iter().flatten().zip(new.chains.iter().flatten()) {
        let WalletChain { network, source, fee_max, fee_bucket, confirmations_final } = old;
        // How deep is final has no tighter side: deeper keeps money reserved, and tells of a reorganisation later.
        let is_same = *network == new.network
            && *source == new.source
            && *confirmations_final == new.confirmations_final;
        if !is_same || new.fee_max > *fee_max || !is_smaller(*fee_bucket, new.fee_bucket) {
            return Err(format!("{place} on {network}"));
        }
    }
    buckets(&place, sizes, &new.buckets)
}

fn tier(old: &TierConfiguration, new: &TierConfiguration) -> Result<(), Loosens> {
    let TierConfiguration { name, usd_cents_24h, usd_cents_30d } = old;
    let is_tighter =
        *name == new.name && new.usd_cents_24h <= *usd_cents_24h && new.usd_cents_30d <= *usd_cents_30d;
    if is_tighter { Ok(()) } else { Err(format!("tier {name}")) }
}

fn buckets(place: &str, old: &BucketSpecs, new: &BucketSpecs) -> Result<(), Loosens> {
    let larger = Class::ALL.into_iter().find(|class| !is_smaller(old.of(*class), new.of(*class)));
    larger.map_or(Ok(()), |class| Err(format!("{place}: buckets.{}", class.name())))
}

fn is_smaller(old: BucketSpec, new: BucketSpec) -> bool {
    let BucketSpec { size, refill_per_hour } = old;
    new.size <= size && new.refill_per_hour <= refill_per_hour
}

/// Every parameter with its direction. A new one does not compile until it has a place here.
fn numbers(parameters: &Parameters) -> [(&'static str, Direction, u64); 19] {
    let Parameters {
        address_ageing,
        veto_window,
        cooling_off,
        operator_ageing,
        queue_hold_after,
        withdrawal_lifetime,
        price_stale_after,
        price_move_permille,
        account_share_permille,
        small_reserve_permille,
        small_usd_cents: UsdCents(small_usd_cents),
        small_account_age,
        loosening_signatures,
        release_lifetime,
        credential_ageing,
        recovery_wait,
        loosening_delay: _,
        resume_delay: _,
        setup_window: _,
    } = *parameters;
    use Direction::{Higher, Lower, Neither};
    [
        ("address_ageing", Higher, address_ageing),
        ("veto_window", Higher, veto_window),
        ("cooling_off", Higher, cooling_off),
        ("operator_ageing", Higher, operator_ageing),
        ("queue_hold_after", Lower, queue_hold_after),
        ("withdrawal_lifetime", Lower, withdrawal_lifetime),
        ("price_stale_after", Lower, price_stale_after),
        ("price_move_permille", Lower, price_move_permille.into()),
        ("account_share_permille", Lower, account_share_permille.into()),
        // More is kept for small withdrawals: less is left for the others.
        ("small_reserve_permille", Higher, small_reserve_permille.into()),
        ("small_usd", Lower, small_usd_cents),
        ("small_account_age", Higher, small_account_age),
        ("loosening_signatures", Higher, loosening_signatures.into()),
        ("release_lifetime", Lower, release_lifetime.unwrap_or(RELEASE_LIFETIME)),
        ("credential_ageing", Higher, credential_ageing.unwrap_or(CREDENTIAL_AGEING)),
        ("recovery_wait", Higher, recovery_wait.unwrap_or(RECOVERY_WAIT)),
        ("loosening_delay", Higher, parameters.loosening_delay()),
        ("resume_delay", Higher, parameters.resume_delay()),
        // A window that opens again is worse than any that was forgotten open: it moves with the quorum alone.
        ("setup_window", Neither, parameters.setup_window()),
    ]
}
