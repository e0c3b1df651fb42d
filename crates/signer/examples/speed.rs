//! How long a signer takes for batches of 1, 50 and 200 withdrawals, durable: `cargo run --release -p holdfast-signer
//! --example speed`. Everything that it needs is what the tests use.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a measurement for people"
)]

#[path = "../tests/signer/exchange.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod exchange;
#[path = "../tests/signer/house.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod house;

use std::time::{Duration, Instant};

use exchange::{CUSTOMER, Exchange};
use holdfast_signer::examine::examine;

fn main() {
    let exchange = Exchange::with(|pins| {
        let pins =
            pins.replace("size = \"20\"", "size = \"2000\"").replace("size = \"2\"", "size = \"2000\"");
        pins.replace("fee_bucket = { size = \"0.002\"", "fee_bucket = { size = \"1\"")
    });
    let pins = exchange.pins();
    let mut signer = exchange.signer();
    println!("outputs inputs vouched | median of 15: whole, of which without store | again");
    for (outputs, inputs, vouched) in
        [(1, 1, false), (50, 20, false), (50, 20, true), (200, 60, false), (200, 60, true), (200, 200, true)]
    {
        let (mut whole, mut pure, mut again) = (vec![], vec![], vec![]);
        for _ in 0..15 {
            let intents: Vec<_> = (0..outputs).map(|_| exchange.intent(CUSTOMER, 20_000)).collect();
            let coins: Vec<_> = (0..inputs).map(|_| exchange.coin(20_000 * outputs + 50_000)).collect();
            let paid: Vec<_> = intents.iter().map(|_| (CUSTOMER, 20_000)).collect();
            let psbt = exchange.house.pay(&coins, &paid, 10_000 + 400 * outputs).serialize();
            let mut release = exchange.release(&psbt, &intents);
            if vouched {
                for (payment, intent) in release.payments.iter_mut().zip(&intents) {
                    payment.approvals = vec![exchange.approval(intent, &["alice", "bob"])];
                }
            }
            let sealed = exchange.seal(&release);
            let time = |into: &mut Vec<Duration>, work: &mut dyn FnMut()| {
                let start = Instant::now();
                work();
                into.push(start.elapsed());
            };
            time(&mut pure, &mut || drop(examine(&pins, &sealed, &psbt).unwrap()));
            time(&mut whole, &mut || assert!(!signer.authorise(&sealed, &psbt).unwrap().repeated));
            time(&mut again, &mut || assert!(signer.authorise(&sealed, &psbt).unwrap().repeated));
        }
        let median = |times: &mut Vec<Duration>| {
            times.sort_unstable();
            times[times.len() / 2].as_micros()
        };
        let (whole, pure, again) = (median(&mut whole), median(&mut pure), median(&mut again));
        println!("{outputs:7} {inputs:6} {vouched:7} | {whole:6} us, {pure:6} us | {again:6} us");
    }
}
