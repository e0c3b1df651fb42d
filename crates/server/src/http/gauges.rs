//! What of State a monitor should watch: how full the buckets are, what waits, what is halted. Asked of the core at each
//! scrape; while the journal cannot be written there is nothing to say, and `holdfast_journal_writable` is 0.

use std::fmt::Write as _;

use holdfast_decision::state::Buckets;
use holdfast_decision::{Class, Status};

use crate::intake::Desk;

/// The Prometheus text.
pub(super) fn text(desk: &mut Desk<'_>) -> String {
    let core = desk.state();
    let at = core.refill_time(desk.time());
    let mut out = String::from(
        "# HELP holdfast_bucket_available_permille What is left of a bucket, in thousandths of its size.\n\
         # TYPE holdfast_bucket_available_permille gauge\n",
    );
    let mut put = |scope: &str, buckets: &Buckets| {
        for class in Class::ALL {
            let bucket = buckets.of(class);
            let size = bucket.spec().size.base_units();
            let left = bucket.available(at).base_units().saturating_mul(1_000).checked_div(size).unwrap_or(0);
            let class = class.name();
            let _infallible = writeln!(
                out,
                "holdfast_bucket_available_permille{{scope=\"{scope}\",class=\"{class}\"}} {left}"
            );
        }
    };
    for asset in &core.configuration().assets {
        let symbol = &asset.spec.symbol;
        if let Some(buckets) = core.asset_index(symbol).and_then(|index| core.asset_buckets(index)) {
            put(&format!("asset:{symbol}"), buckets);
        }
    }
    for wallet in &core.configuration().wallets {
        if let Some(buckets) = core.wallet_index(&wallet.name).and_then(|index| core.wallet_buckets(index)) {
            put(&format!("wallet:{}", wallet.name), buckets);
        }
    }
    put("overall", core.overall_buckets());

    out.push_str(
        "# HELP holdfast_withdrawals_open Withdrawals that are not closed, by status.\n\
         # TYPE holdfast_withdrawals_open gauge\n",
    );
    for status in Status::ALL.into_iter().filter(|status| !status.is_final()) {
        let count = core.withdrawals().filter(|(_, withdrawal)| withdrawal.status() == status).count();
        let _infallible = writeln!(out, "holdfast_withdrawals_open{{status=\"{}\"}} {count}", status.name());
    }
    let queued = core.withdrawals().filter(|(_, withdrawal)| withdrawal.queued.is_some()).count();
    for (name, help, value) in [
        ("withdrawals_queued", "Withdrawals that wait for a spent bucket.", queued),
        ("halts", "Halts in force.", core.halts().count()),
        ("clock_suspect", "1 while deadlines and refills stand still.", usize::from(core.is_clock_suspect())),
    ] {
        let _infallible = writeln!(
            out,
            "# HELP holdfast_{name} {help}\n# TYPE holdfast_{name} gauge\nholdfast_{name} {value}"
        );
    }
    out
}
