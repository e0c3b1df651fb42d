//! What left a large exchange on 7 May 2019 at 17:15:24 UTC: 7,074 BTC in one transaction with 44 outputs, of which 21
//! to bech32 addresses carried 99.97 %. How many accounts were used was never published: here it is 21, one for each
//! large output, and the small ones are theirs too.

use std::path::Path;

use super::coin::SATS;
use super::draw::Draw;
use super::plan;

/// When it happened.
pub(crate) const AT: &str = "2019-05-07T17:15:24Z";
/// The large outputs, and in this drill the accounts.
pub(crate) const ACCOUNTS: usize = 21;
/// All outputs.
const OUTPUTS: usize = 44;
/// Everything that left.
pub(crate) const TOTAL_SATS: u64 = 7_074 * SATS;
/// What the small outputs carried together: 0.03 %.
const SMALL_SATS: u64 = TOTAL_SATS / 10_000 * 3;

/// One output.
pub(crate) struct Output {
    pub(crate) address: String,
    pub(crate) sats: u64,
}

/// The outputs, the large ones first, and whether their addresses are the real ones.
pub(crate) fn outputs(data: Option<&Path>) -> (Vec<Output>, bool) {
    let real = data.and_then(|dir| std::fs::read_to_string(dir.join("hack_output_addresses.csv")).ok());
    let (large, small) = real.as_deref().and_then(addresses).unwrap_or_else(invented);
    let is_real = real.is_some_and(|text| addresses(&text).is_some());
    let share = |addresses: Vec<String>, total: u64| {
        let count = u64::try_from(addresses.len()).unwrap_or(1).max(1);
        let each = total / count;
        // What does not divide goes with the first.
        let rest = total.saturating_sub(each.saturating_mul(count));
        addresses.into_iter().enumerate().map(move |(place, address)| Output {
            address,
            sats: if place == 0 { each.saturating_add(rest) } else { each },
        })
    };
    let outputs = share(large, TOTAL_SATS.saturating_sub(SMALL_SATS)).chain(share(small, SMALL_SATS));
    (outputs.collect(), is_real)
}

/// The file's first column, bech32 apart from the rest; nothing if it is not that file.
fn addresses(text: &str) -> Option<(Vec<String>, Vec<String>)> {
    let rows = text.lines().skip(1).filter_map(|line| line.split(',').next()).map(ToOwned::to_owned);
    let (large, small): (Vec<String>, Vec<String>) = rows.partition(|address| address.starts_with("bc1"));
    (large.len() == ACCOUNTS && large.len().saturating_add(small.len()) == OUTPUTS).then_some((large, small))
}

fn invented() -> (Vec<String>, Vec<String>) {
    let mut draw = Draw::new(2_019, "outputs");
    let large = (0..ACCOUNTS).map(|_| plan::bitcoin_address(&mut draw)).collect();
    (large, (ACCOUNTS..OUTPUTS).map(|_| plan::bitcoin_address(&mut draw)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outputs_add_up() {
        let (outputs, is_real) = outputs(None);
        assert!(!is_real);
        assert_eq!((outputs.len(), outputs.iter().map(|o| o.sats).sum::<u64>()), (OUTPUTS, TOTAL_SATS));
        let large: u64 = outputs.iter().take(ACCOUNTS).map(|o| o.sats).sum();
        assert_eq!(large * 10_000 / TOTAL_SATS, 9_997, "99.97 % in the 21 large ones");
        assert!((336 * SATS..337 * SATS).contains(&outputs[1].sats));
    }

    #[test]
    fn another_file_is_not_believed() {
        assert!(addresses("address,type\nbc1qx,p2wpkh\n").is_none());
    }
}
