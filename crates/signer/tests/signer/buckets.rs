//! Over random sequences of everything that can be asked: no bucket gives more than its size and refill, and no withdrawal
//! is ever authorised in two transactions that could both be mined.

use std::collections::BTreeMap;

use holdfast_authn::release::{Outcome, Release};
use holdfast_signer::Signer;
use holdfast_values::{ConflictKey, Timestamp, WithdrawalId, WithdrawalText, time};
use proptest::prelude::*;

use crate::exchange::{BTC, CUSTOMER, Exchange, FEES, START, UNVOUCHED, VOUCHED};
use crate::house::{COLD, Coin};

#[derive(Clone, Debug)]
enum Step {
    /// A new withdrawal, vouched for or not.
    Pay { sats: u64, fee: u64, vouched: bool },
    /// An earlier one again: from its own coin, from another one, or from both; as it was, or for more.
    Again { which: usize, fee: u64, own: bool, other: bool, more: u64 },
    /// An internal transaction.
    Move { sats: u64, fee: u64 },
    /// An earlier or a new withdrawal is voided.
    Void { which: usize },
    /// The same question again, however old.
    Repeat { which: usize },
    /// Time passes.
    Wait { seconds: u64 },
    /// The signer ends and is opened again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (5_000..BTC, 200u64..60_000, any::<bool>())
            .prop_map(|(sats, fee, vouched)| Step::Pay { sats: if vouched { sats * 5 } else { sats }, fee, vouched }),
        3 => (any::<usize>(), 200u64..60_000, any::<bool>(), any::<bool>(), prop_oneof![9 => Just(0), 1 => 1u64..BTC])
            .prop_map(|(which, fee, own, other, more)| Step::Again { which, fee, own, other, more }),
        1 => (5_000..BTC, 200u64..60_000).prop_map(|(sats, fee)| Step::Move { sats, fee }),
        1 => any::<usize>().prop_map(|which| Step::Void { which }),
        1 => any::<usize>().prop_map(|which| Step::Repeat { which }),
        2 => (1u64..4_000).prop_map(|seconds| Step::Wait { seconds }),
        1 => Just(Step::Restart),
    ]
}

#[derive(Default)]
struct Model {
    /// Everything asked for: text, its first coin, whether it was vouched for.
    asked: Vec<(WithdrawalText, Coin, bool)>,
    questions: Vec<(Release, Vec<u8>, u64)>,
    /// Conflict keys of what was authorised, by withdrawal.
    authorised: BTreeMap<WithdrawalId, Vec<Vec<ConflictKey>>>,
    voided: Vec<WithdrawalId>,
    unvouched: u64,
    vouched: u64,
    fees: u64,
    counter: u64,
}

impl Model {
    fn ask(&mut self, exchange: &Exchange, signer: &mut Signer, release: Release, psbt: Vec<u8>, fee: u64) {
        let answer = exchange.ask(signer, &release, &psbt);
        self.questions.push((release, psbt, fee));
        let Ok(answer) = answer else { return };
        let receipt = exchange.receipt(&answer.receipt);
        if answer.repeated {
            assert!(receipt.counter <= self.counter);
            return;
        }
        self.counter += 1;
        assert_eq!(receipt.counter, self.counter);
        self.fees += fee;
        let Outcome::Authorised { conflict_keys, withdrawals, .. } = receipt.what else { panic!() };
        for withdrawal in withdrawals {
            assert!(!self.voided.contains(&withdrawal), "paid after it was voided");
            let before = self.authorised.entry(withdrawal).or_default();
            for earlier in before.iter() {
                assert!(earlier.iter().any(|key| conflict_keys.contains(key)), "both could be mined");
            }
            if before.is_empty() {
                let (text, _, vouched) =
                    self.asked.iter().find(|(text, ..)| text.withdrawal == withdrawal).unwrap();
                let sats: u64 = text.amount.base_units().try_into().unwrap();
                *(if *vouched { &mut self.vouched } else { &mut self.unvouched }) += sats;
            }
            before.push(conflict_keys.clone());
        }
    }

    fn check(&self, now: Timestamp) {
        // In 128 bits: five coins an hour over a day of microseconds are more than 64 hold.
        let elapsed = u128::from(now.since(START));
        let bound = |size: u64, per_hour: u64| {
            u128::from(size) + u128::from(per_hour) * elapsed / u128::from(time::HOUR)
        };
        assert!(u128::from(self.unvouched) <= bound(UNVOUCHED, BTC), "unvouched");
        assert!(u128::from(self.vouched) <= bound(VOUCHED, 5 * BTC), "vouched");
        assert!(u128::from(self.fees) <= bound(FEES, 100_000), "fees");
    }
}

fn run(steps: &[Step]) {
    let exchange = Exchange::new();
    let mut signer = Some(exchange.signer());
    let mut model = Model::default();
    for step in steps {
        let open = signer.as_mut().unwrap();
        match step.clone() {
            Step::Pay { sats, fee, vouched } => {
                let (intent, coin) = (exchange.intent(CUSTOMER, sats), exchange.coin(sats + fee));
                let psbt = exchange.house.pay(&[coin.clone()], &[(CUSTOMER, sats)], fee).serialize();
                let mut release = exchange.release(&psbt, &[intent.clone()]);
                if vouched {
                    release.payments[0].approvals = vec![exchange.approval(&intent, &["alice", "carol"])];
                }
                model.asked.push((intent, coin, vouched));
                model.ask(&exchange, open, release, psbt, fee);
            }
            Step::Again { which, fee, own, other, more } => {
                let Some((intent, coin, vouched)) = pick(&model.asked, which) else { continue };
                let sats = u64::try_from(intent.amount.base_units()).unwrap() + more;
                let mut coins = vec![];
                coins.extend(own.then_some(coin));
                coins.extend((other || !own || more > 0).then(|| exchange.coin(sats + fee)));
                let spent: u64 = coins.iter().map(|coin| coin.previous.output[0].value.to_sat()).sum();
                let fee = fee.min(spent.saturating_sub(sats));
                let mut text = intent;
                text.amount = holdfast_values::Amount::from_base_units(sats.into());
                let psbt = exchange.house.pay(&coins, &[(CUSTOMER, sats)], fee).serialize();
                let mut release = exchange.release(&psbt, &[text.clone()]);
                if vouched {
                    release.payments[0].approvals = vec![exchange.approval(&text, &["alice", "carol"])];
                }
                // If the first try was refused, the model charges what is paid now.
                if !model.authorised.contains_key(&text.withdrawal)
                    && let Some(entry) =
                        model.asked.iter_mut().find(|(known, ..)| known.withdrawal == text.withdrawal)
                {
                    entry.0 = text;
                }
                model.ask(&exchange, open, release, psbt, fee);
            }
            Step::Move { sats, fee } => {
                let script_pubkey = exchange.house.script(COLD, 8);
                let output = bitcoin::TxOut { value: bitcoin::Amount::from_sat(sats), script_pubkey };
                let coins = [exchange.coin(sats + fee)];
                let psbt = exchange.house.psbt(&coins, &[output], &[(0, COLD, 8)]).serialize();
                let release = exchange.transfer_release(&psbt, &exchange.transfer(None), &[]);
                model.ask(&exchange, open, release, psbt, fee);
            }
            Step::Void { which } => {
                let withdrawal = match pick(&model.asked, which) {
                    Some((text, ..)) if which % 3 > 0 => text.withdrawal,
                    _ => WithdrawalId(u128::MAX >> (which % 64)),
                };
                if open.void(withdrawal).is_ok() && !model.voided.contains(&withdrawal) {
                    assert!(!model.authorised.contains_key(&withdrawal), "voided after it was paid");
                    model.voided.push(withdrawal);
                    model.counter += 1;
                }
            }
            Step::Repeat { which } => {
                // One that was refused before may be answered now, while it is fresh.
                if let Some((release, psbt, fee)) = pick(&model.questions, which) {
                    model.ask(&exchange, open, release, psbt, fee);
                }
            }
            Step::Wait { seconds } => exchange.wait(seconds * time::SECOND),
            Step::Restart => {
                drop(signer.take());
                signer = Some(exchange.signer());
            }
        }
        model.check(exchange.now());
    }
    let status = signer.unwrap().status().unwrap();
    assert_eq!(status.counter, model.counter, "receipts are numbered without gaps");
}

fn pick<T: Clone>(from: &[T], which: usize) -> Option<T> {
    from.get(which.checked_rem(from.len())?).cloned()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_bucket_gives_too_much_and_no_withdrawal_is_paid_twice(steps in prop::collection::vec(step(), 1..60)) {
        run(&steps);
    }
}
