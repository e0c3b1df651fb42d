//! The end of the way: attacks that go round or through Holdfast and end at the real signer, with its store, real
//! transactions and real releases. What is left is what that signer authorised.
//!
//! Only the two incidents that need it come here; the played exchange has the signer's buckets alone.

mod rig;

use holdfast_signer::{Refused, Signer};
use holdfast_values::texts::{Purpose, TransferText};
use holdfast_values::{Amount, Network, Timestamp, WithdrawalText, time};

use super::coins::Coins;
use super::reach::{Attacker, Reach};
use crate::exchange::Exchange;
use crate::log::{Line, What};

pub use rig::VaultError;
use rig::{ETH_HOT, ETH_VAULT, Rig};

/// What happens at the signer, in order. `id` names each event.
pub(super) type Beside =
    fn(&Exchange, Timestamp, &mut dyn FnMut() -> Box<str>) -> Result<Vec<Line>, VaultError>;

/// Nobody acts on the exchange itself.
pub(super) struct Nobody;

impl Attacker for Nobody {
    fn wakes(&self) -> Option<Timestamp> {
        None
    }

    fn act(&mut self, _: Timestamp, _: &mut dyn Reach) {}
}

/// What the vault of 21 February 2025 held.
const VAULT: Coins = Coins(40_134_700_000_000);
/// What was to be moved that day, as everybody's screen said.
const SHOWN: Coins = Coins::whole(30_000);
/// The function that a Safe runs for its owners, `execTransaction`: by it the code that was called took the whole Safe over.
const EXEC_TRANSACTION: [u8; 4] = [0x6a, 0x76, 0x12, 0x02];

/// Lines, as they come about.
struct Story<'a> {
    lines: Vec<Line>,
    id: &'a mut dyn FnMut() -> Box<str>,
    alarmed: Option<Timestamp>,
}

impl<'a> Story<'a> {
    fn new(id: &'a mut dyn FnMut() -> Box<str>) -> Self {
        Self { lines: Vec::new(), id, alarmed: None }
    }

    /// The signer said no: whoever watches it hears of it.
    fn refused(&mut self, at: Timestamp, refused: &Refused) {
        let event = (self.id)();
        let code = refused.code().into();
        self.lines.push(Line { at, what: What::SignerRefused { event: event.clone(), code } });
        if self.alarmed.is_none() {
            self.alarmed = Some(at);
            self.lines.push(Line { at, what: What::Alarm { kind: "signer_refused".into(), event } });
        }
    }

    fn left(&mut self, at: Timestamp, bucket: &str, asset: &str, amount: Coins, usd: u64) {
        let what = What::Left {
            event: (self.id)(),
            class: "unvouched".into(),
            bucket: bucket.into(),
            asset: asset.into(),
            amount: amount.text(),
            usd_cents: amount.cents(usd.saturating_mul(100)),
        };
        self.lines.push(Line { at, what });
    }
}

/// `bybit-2025`: the transaction is swapped under the signers; then also the release, by a Holdfast that was fooled as well.
pub(super) fn swapped(
    exchange: &Exchange,
    at: Timestamp,
    id: &mut dyn FnMut() -> Box<str>,
) -> Result<Vec<Line>, VaultError> {
    let mut rig = Rig::new(exchange, at)?;
    let mut signer = rig.signer()?;
    let mut story = Story::new(id);
    let wei = |coins: Coins| u128::from(coins.0).saturating_mul(10_000_000_000);
    let text = TransferText {
        exchange: rig.name()?,
        transfer: rig.transfer_id(),
        wallet: ETH_VAULT.0.parse().map_err(rig::wrong)?,
        network: Network::Ethereum,
        purpose: Purpose::Refill,
        asset: "ETH".parse().map_err(rig::wrong)?,
        external: None,
        fee_max: Amount::from_base_units(20_000_000_000_000_000),
        not_after: rig.until(time::DAY),
        nonce: rig.nonce(),
    };
    let shown = rig.ether(ETH_HOT.1, wei(SHOWN), Vec::new())?;
    // What took the Safe: its own function, and code of somebody else's to run inside it.
    let mut calldata = EXEC_TRANSACTION.to_vec();
    calldata.extend([0xee; 68]);
    let call = rig.ether(ETH_VAULT.1, 0, calldata)?;
    let drain = rig.ether(rig.thief_ether(), wei(VAULT), Vec::new())?;
    let shown_release = rig.transfer(&shown, &text)?;
    // The release that everybody saw, with other bytes.
    for swapped in [&call, &drain] {
        rig.wait(time::SECOND);
        match rig.ask(&mut signer, &shown_release, swapped) {
            Ok(()) => story.left(rig.now(), "vouched", "ETH", VAULT, exchange.usd_per_eth),
            Err(refused) => story.refused(rig.now(), &refused),
        }
    }
    // Holdfast's own screens lied as well: a release for those very bytes, under the text that operators saw.
    for swapped in [&call, &drain] {
        rig.wait(time::SECOND);
        let release = rig.transfer(swapped, &text)?;
        match rig.ask(&mut signer, &release, swapped) {
            Ok(()) => story.left(rig.now(), "vouched", "ETH", VAULT, exchange.usd_per_eth),
            Err(refused) => story.refused(rig.now(), &refused),
        }
    }
    // What was shown is signed all the same, so nothing but the swap was wrong with it. It stays in the house.
    rig.wait(time::SECOND);
    let release = rig.transfer(&shown, &text)?;
    rig.ask(&mut signer, &release, &shown).map_err(|refused| VaultError::Control(refused.code()))?;
    Ok(story.lines)
}

/// `bigone-2025`: whoever has Holdfast has its release key, and its word for whatever it likes. He takes what the signer
/// gives for that, as fast as it comes, until somebody who heard the signer say no has halted it.
pub(super) fn lying(
    exchange: &Exchange,
    at: Timestamp,
    id: &mut dyn FnMut() -> Box<str>,
) -> Result<Vec<Line>, VaultError> {
    let mut rig = Rig::new(exchange, at)?;
    let mut signer = rig.signer()?;
    let mut story = Story::new(id);
    let heard = exchange.analyst_delay.saturating_add(exchange.halt_delay);
    let ends = at.plus(6 * time::HOUR);
    let wallets =
        [("BTC", Coins::whole(exchange.hot_wallet_btc)), ("ETH", Coins::whole(exchange.hot_wallet_eth))];
    let mut has = wallets.map(|(asset, has)| (asset, has, has));
    let mut halted = false;
    while rig.now() < ends && !halted {
        if story.alarmed.is_some_and(|alarmed| rig.now() >= alarmed.plus(heard)) {
            signer.halt().map_err(|refused| VaultError::Control(refused.code()))?;
            halted = true;
            story
                .lines
                .push(Line { at: rig.now(), what: What::Staff { did: "halt".into(), to: "signer".into() } });
        }
        for (asset, has, ask) in &mut has {
            drain(&mut rig, &mut signer, &mut story, exchange, (*asset, has, ask))?;
        }
        rig.wait(5 * time::MINUTE);
    }
    Ok(story.lines)
}

/// As much of an asset as passes: all of it, then half, and half again.
fn drain(
    rig: &mut Rig,
    signer: &mut Signer,
    story: &mut Story<'_>,
    exchange: &Exchange,
    (asset, has, ask): (&'static str, &mut Coins, &mut Coins),
) -> Result<(), VaultError> {
    let (usd, floor) = if asset == "BTC" {
        (exchange.usd_per_btc, Coins::whole(1))
    } else {
        (exchange.usd_per_eth, Coins::whole(30))
    };
    let mut amount = (*ask).min(*has);
    for _ in 0..24 {
        if amount < floor {
            break;
        }
        rig.wait(time::SECOND);
        let (intent, transaction) = payment(rig, asset, amount)?;
        let release = rig.release(&transaction, &intent)?;
        match rig.ask(signer, &release, &transaction) {
            Ok(()) => {
                story.left(rig.now(), "unvouched", asset, amount, usd);
                if asset == "BTC" {
                    // He burns what he can as well: nobody gains by it, and it is gone all the same.
                    story.left(rig.now(), "fee", asset, rig::FEE, usd);
                }
                *has = has.less(amount);
                *ask = amount;
                amount = amount.min(*has);
            }
            Err(refused) => {
                story.refused(rig.now(), &refused);
                if matches!(refused, Refused::Halted { .. }) {
                    break;
                }
                amount = Coins(amount.0 / 2);
            }
        }
    }
    // The next time a little more than nothing has come back: he begins where he got something.
    *ask = (*ask).min(*has);
    Ok(())
}

/// One payment to the thief, with whatever a lying Holdfast can say for it.
fn payment(
    rig: &mut Rig,
    asset: &'static str,
    amount: Coins,
) -> Result<(WithdrawalText, Vec<u8>), VaultError> {
    if asset == "BTC" {
        let intent = rig.intent("BTC", Network::Bitcoin, &rig.thief_bitcoin(), 8, u128::from(amount.0))?;
        let transaction = rig.psbt(amount)?;
        Ok((intent, transaction))
    } else {
        let wei = u128::from(amount.0).saturating_mul(10_000_000_000);
        let intent = rig.intent("ETH", Network::Ethereum, rig.thief_ether(), 18, wei)?;
        let transaction = rig.ether_hot(rig.thief_ether(), wei)?;
        Ok((intent, transaction))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(beside: Beside) -> Vec<Line> {
        let mut next = 0;
        let mut id = || {
            next += 1;
            format!("e{next}").into()
        };
        beside(&Exchange::default(), Timestamp(1_772_532_815_000_000), &mut id).unwrap()
    }

    fn left(lines: &[Line], of: &str, with: impl Fn(&str) -> bool) -> Coins {
        let amount = |line: &Line| match &line.what {
            What::Left { asset, bucket, amount, .. } if **asset == *of && with(bucket) => {
                Coins::parse(amount)
            }
            _ => None,
        };
        lines.iter().filter_map(amount).fold(Coins(0), Coins::plus)
    }

    fn codes(lines: &[Line]) -> std::collections::BTreeSet<&str> {
        let mut codes = std::collections::BTreeSet::new();
        for line in lines {
            if let What::SignerRefused { code, .. } = &line.what {
                codes.insert(&**code);
            }
        }
        codes
    }

    #[test]
    fn a_swapped_transaction_is_not_signed_and_the_one_that_was_shown_is() {
        let lines = play(swapped);
        assert_eq!(left(&lines, "ETH", |_| true), Coins(0));
        let codes = codes(&lines);
        for code in ["digest_differs", "calldata_unknown", "output_unexplained"] {
            assert!(codes.contains(code), "{code}: {codes:?}");
        }
    }

    #[test]
    fn a_lying_holdfast_gets_the_unvouched_and_the_fee_bucket_and_is_heard() {
        let exchange = Exchange::default();
        let lines = play(lying);
        let halt = lines.iter().find(|line| matches!(line.what, What::Staff { .. })).expect("halted");
        let began = lines.first().expect("lines").at;
        let hours_micro = u128::from(halt.at.since(began));
        for (asset, wallet) in [("BTC", exchange.hot_wallet_btc), ("ETH", exchange.hot_wallet_eth)] {
            let size = Coins::whole(wallet).permille(exchange.signer_permille.unvouched);
            let refill = u128::from(size.0) * hours_micro / u128::from(time::HOUR);
            let bound = size.plus(Coins(u64::try_from(refill).unwrap()));
            let got = left(&lines, asset, |bucket| bucket == "unvouched");
            assert!(got <= bound, "{asset}: {} of {}", got.text(), bound.text());
            assert!(
                got.0 * 10 > size.0 * 8,
                "{asset}: he gets most of the bucket, {} of {}",
                got.text(),
                size.text()
            );
        }
        assert!(left(&lines, "BTC", |bucket| bucket == "fee") <= rig::FEE_BUCKET.plus(rig::FEE_BUCKET));
        assert!(left(&lines, "BTC", |bucket| bucket == "vouched").0 == 0);
        assert!(codes(&lines).contains("bucket_empty"));
        assert!(lines.iter().all(|line| !matches!(line.what, What::Left { .. }) || line.at <= halt.at));
    }
}
