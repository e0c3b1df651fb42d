//! How fast what follows the journal is: `HOLDFAST_MEASURE=60000 cargo test -p holdfast-server --test follow speed -- --nocapture`
//! prints it; without the variable a small journal goes the same way.

use std::time::{Duration, Instant};

use holdfast_server::replay::replay;
use holdfast_server::views::rebuild;
use holdfast_server::why::why;

use crate::fixture::Books;

fn say(what: &str, records: u64, took: Duration) {
    let per_second = u128::from(records) * 1_000_000 / took.as_micros().max(1);
    eprintln!("{what}: {records} records in {took:?}: {per_second}/s");
}

#[test]
fn rebuild_replay_and_why_go_through_a_long_journal() {
    let measure = std::env::var("HOLDFAST_MEASURE").ok().and_then(|count| count.parse().ok());
    let count: u64 = measure.unwrap_or(2_000);
    let mut books = Books::new();
    for number in 0..50 {
        books.customer(&format!("ac_{number}"));
    }
    for number in 0..count {
        if number % 100 == 0 {
            books.world.wait(30_000_000);
            books.world.say(holdfast_decision::Command::SetPrices {
                prices: vec![holdfast_decision::command::Price {
                    asset: "BTC".parse().unwrap(),
                    micro_usd: 5_900_000_000,
                }],
            });
        }
        let account = format!("ac_{}", number % 50);
        books.world.withdraw(&format!("w{number}"), &account, "BTC", "0.001", "old");
        if number % 10 == 0 {
            books.world.say(holdfast_decision::Command::CancelWithdrawal {
                account: account.parse().unwrap(),
                withdrawal: books.world.ids[&format!("w{number}")],
            });
        }
    }
    books.write();
    let head = books.head();
    let id = books.id(&format!("w{}", count - 1));
    let reader = books.journal.reader().unwrap();
    let started = Instant::now();
    let report = replay(&reader, 1, &mut |_, _| {}).unwrap();
    assert_eq!(report.difference, None);
    say("replay, with the search for snapshots", head, started.elapsed());
    say("replay", head, report.elapsed);
    let started = Instant::now();
    why(&reader, id).unwrap();
    say("why, about the last", head, started.elapsed());
    drop(reader);
    let Books { dir, journal, .. } = books;
    journal.close().unwrap();
    let started = Instant::now();
    rebuild(dir.path(), false, |_, _| {}).unwrap();
    say("rebuild of the views", head, started.elapsed());
    let bytes = std::fs::metadata(dir.path().join("views.db")).unwrap().len();
    eprintln!("views.db: {} bytes a record", bytes / head);
}
