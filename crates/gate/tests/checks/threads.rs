//! Many threads at once, and arbitrary bytes.

use std::net::IpAddr;

use holdfast_gate::{CheckRequest, Verdict};
use proptest::prelude::*;

use crate::house::*;

#[test]
fn of_parallel_copies_one_is_let_through_and_no_budget_is_exceeded() {
    let gate = gate();
    let sent: Vec<Sent> = (0..40).map(|n| order("bob", NOON.plus(n * 1_000))).collect();
    let allowed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let allowed = |sent: &&Sent| matches!(sent.check(&gate, NOON), Verdict::Allow(_));
                    sent.iter().filter(allowed).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!((1..=20).contains(&allowed), "{allowed}");
    let gate = self::gate();
    let nonces = NOON.0 / 1_000;
    let sent: Vec<Sent> = (0..10).map(|n| kraken("/0/private/Balance", "kay", "", nonces + n)).collect();
    let allowed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    sent.iter().filter(|sent| matches!(sent.check(&gate, NOON), Verdict::Allow(_))).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!((1..=10).contains(&allowed), "{allowed}");
}

proptest! {
    #[test]
    fn arbitrary_requests_have_a_verdict_and_none_has_a_signer(
        method in "[A-Z]{3,6}|\\PC{0,4}",
        path in "(/api/v3/(order|account|time))|(/[a-zA-Z0-9%./;]{0,30})|\\PC{0,20}",
        query in prop::collection::vec(any::<u8>(), 0..100),
        name in "[a-zA-Z-]{0,20}|\\PC{0,10}",
        value in "\\PC{0,40}",
        body in prop::collection::vec(any::<u8>(), 0..100),
        ip in any::<[u8; 16]>(),
        truncated in any::<bool>(),
    ) {
        let headers = [("x-mbx-apikey", "alice"), (name.as_str(), value.as_str())];
        let request = CheckRequest {
            method: &method,
            path: &path,
            query: &query,
            headers: &headers,
            body: &body,
            ip: IpAddr::from(ip),
            body_truncated: truncated,
        };
        if let Verdict::Allow(allowed) = gate().check(NOON, &request) {
            prop_assert!(allowed.signer.is_none());
        }
    }
}
