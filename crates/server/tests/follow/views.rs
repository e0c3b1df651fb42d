//! The views follow, answer page by page, survive being thrown away, and notice a journal that was cut.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use holdfast_decision::Status;
use holdfast_journal::{Draft, Journal as _, LocalJournal};
use holdfast_server::views::{
    AuditFilter, CaseFilter, Follower, Signal, Views, ViewsError, WithdrawalFilter, known_head, rebuild,
};
use holdfast_values::time;

use crate::fixture::{Books, Dir};
use crate::world::account;

/// Follows until the views have seen everything.
pub(crate) async fn follow(books: &Books) -> (Follower, Arc<Views>, Signal) {
    let signal = Signal::new();
    let (follower, views) =
        Follower::start(books.path(), books.journal.reader().unwrap(), signal.clone()).unwrap();
    views.wait_for(books.head(), Duration::from_secs(10)).await.unwrap();
    (follower, views, signal)
}

#[tokio::test]
async fn tells_what_became_of_every_withdrawal() {
    let mut books = Books::new();
    books.ordinary_day();
    let (_follower, views, _) = follow(&books).await;
    let status = |label: &str| {
        let found = views.withdrawal(books.id(label)).unwrap();
        assert_eq!(found.as_of, books.head());
        found.row.map(|row| row.status)
    };
    for (label, expected) in [
        ("small", Some("expired")),
        ("dwells", Some("expired")),
        ("code", Some("expired")),
        ("held", Some("expired")),
        ("refused", Some("denied")),
        ("huge", Some("denied")),
        ("unknown", None),
        ("taken-back", Some("cancelled")),
        ("halted", Some("expired")),
    ] {
        assert_eq!(status(label).as_deref(), expected, "{label}");
    }
    let row = views.withdrawal(books.id("dwells")).unwrap().row.unwrap();
    assert_eq!(
        (row.amount.as_str(), row.asset.as_str(), row.wallet.as_str()),
        ("0.02000000", "BTC", "hot-btc")
    );
    assert_eq!((row.account.as_str(), row.channel.as_str()), ("ac_1", "session"));
    assert!(row.address.starts_with("bc1q") && row.closed_at.is_some() && row.reserved.is_none(), "{row:?}");
}

#[tokio::test]
async fn a_lapsed_text_takes_back_what_was_said_for_it() {
    let mut books = Books::new();
    books.until_texts_lapse();
    let (_follower, views, _) = follow(&books).await;
    for label in ["small", "dwells", "code", "held", "halted"] {
        let row = views.withdrawal(books.id(label)).unwrap().row.unwrap();
        let open = books.world.state.withdrawal(books.id(label)).unwrap();
        assert_eq!((row.status.as_str(), row.outcome.as_str()), ("awaiting_approval", "step_up"), "{label}");
        assert_eq!(row.status, open.status().name(), "{label}: as State has it");
        assert!(row.factors.is_empty() && row.closed_at.is_none(), "{label}: {row:?}");
    }
}

#[tokio::test]
async fn lists_decisions_with_their_reasons() {
    let mut books = Books::new();
    books.ordinary_day();
    let (_follower, views, _) = follow(&books).await;
    let page = views.decisions(books.id("held"), None, 10).unwrap();
    let statuses: Vec<&str> = page.rows.iter().rev().map(|row| row.status.as_str()).collect();
    assert_eq!(statuses.first(), Some(&"held"));
    assert!(statuses.contains(&"awaiting_approval") || statuses.contains(&"approved"), "{statuses:?}");
    let first = page.rows.last().unwrap();
    let codes: Vec<&str> =
        first.reasons.as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"large_amount"), "{codes:?}");
}

#[tokio::test]
async fn opens_and_closes_cases() {
    let mut books = Books::new();
    books.ordinary_day();
    books.world.withdraw("still-held", "ac_1", "BTC", "8", "old");
    books.world.say(holdfast_decision::Command::SetPrices {
        prices: vec![holdfast_decision::command::Price {
            asset: "BTC".parse().unwrap(),
            micro_usd: 5_900_000_000,
        }],
    });
    books.world.withdraw("held-too", "ac_1", "BTC", "8", "old");
    books.write();
    let (_follower, views, _) = follow(&books).await;
    let open = views.cases(CaseFilter { open: Some(true) }, None, 10).unwrap().rows;
    let held: Vec<&str> = open.iter().map(|case| case.withdrawal.as_str()).collect();
    assert!(held.contains(&books.id("still-held").to_string().as_str()), "{held:?}");
    let closed = views.cases(CaseFilter { open: Some(false) }, None, 10).unwrap().rows;
    let mut results: Vec<(String, String)> =
        closed.into_iter().map(|case| (case.withdrawal, case.result.unwrap())).collect();
    results.sort();
    let mut expected = vec![
        (books.id("held").to_string(), "approved".to_owned()),
        (books.id("refused").to_string(), "denied".to_owned()),
    ];
    expected.sort();
    assert_eq!(results, expected);
}

#[tokio::test]
async fn pages_go_through_everything_once() {
    let mut books = Books::new();
    books.traffic(5, 300);
    let (_follower, views, _) = follow(&books).await;
    let all = views.withdrawals(&WithdrawalFilter::default(), None, 500).unwrap();
    assert!(all.next.is_none() && all.rows.len() > 30, "{}", all.rows.len());
    for limit in [1, 7, 100] {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let page = views.withdrawals(&WithdrawalFilter::default(), cursor.as_deref(), limit).unwrap();
            rows.extend(page.rows);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(rows, all.rows, "limit {limit}");
    }
    assert!(all.rows.is_sorted_by(|a, b| a.sequence > b.sequence), "newest first");

    let of = WithdrawalFilter { account: Some(account("ac_1")), ..WithdrawalFilter::default() };
    let rows = views.withdrawals(&of, None, 500).unwrap().rows;
    let expected: Vec<_> = all.rows.iter().filter(|row| row.account == "ac_1").cloned().collect();
    assert_eq!(rows, expected);

    let denied = WithdrawalFilter { status: Some(Status::Cancelled), ..WithdrawalFilter::default() };
    let rows = views.withdrawals(&denied, None, 500).unwrap().rows;
    assert_eq!(rows.len(), all.rows.iter().filter(|row| row.status == "cancelled").count());

    let middle = all.rows[all.rows.len() / 2].requested_at.clone();
    let at = holdfast_values::Timestamp::parse(&middle).unwrap();
    let from = WithdrawalFilter { from: Some(at), ..WithdrawalFilter::default() };
    let to = WithdrawalFilter { to: Some(at), ..WithdrawalFilter::default() };
    let (from, to) =
        (views.withdrawals(&from, None, 500).unwrap(), views.withdrawals(&to, None, 500).unwrap());
    assert_eq!([from.rows, to.rows].concat(), all.rows);
    let none = WithdrawalFilter { from: Some(at.plus(1000 * time::DAY)), ..WithdrawalFilter::default() };
    assert!(views.withdrawals(&none, None, 500).unwrap().rows.is_empty());
}

#[tokio::test]
async fn a_cursor_of_another_list_or_filter_is_refused() {
    let mut books = Books::new();
    books.traffic(5, 100);
    let (_follower, views, _) = follow(&books).await;
    let cursor = views.withdrawals(&WithdrawalFilter::default(), None, 1).unwrap().next.unwrap();
    let other = WithdrawalFilter { account: Some(account("ac_1")), ..WithdrawalFilter::default() };
    assert_eq!(views.withdrawals(&other, Some(&cursor), 1).unwrap_err(), ViewsError::Cursor);
    assert_eq!(views.accounts(Some(&cursor), 1).unwrap_err(), ViewsError::Cursor);
    let mut forged = cursor.clone();
    forged.replace_range(4..6, "00");
    for text in ["", "x", "0", &cursor[2..], &forged, &cursor.to_uppercase(), "\u{661}"] {
        let found = views.withdrawals(&WithdrawalFilter::default(), Some(text), 1);
        if text != cursor {
            assert_eq!(found.unwrap_err(), ViewsError::Cursor, "{text:?}");
        }
    }
}

#[tokio::test]
async fn lists_accounts_addresses_and_who_did_what() {
    let mut books = Books::new();
    books.ordinary_day();
    let (_follower, views, _) = follow(&books).await;
    let accounts = views.accounts(None, 10).unwrap().rows;
    let ids: Vec<&str> = accounts.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids, ["ac_2", "ac_1"]);
    let frozen = views.account(&account("ac_2")).unwrap().row.unwrap();
    assert!(frozen.frozen, "one signature does not unfreeze");
    assert!(frozen.security_changed_at.is_some());
    let book = views.addresses(&account("ac_2"), 50).unwrap().rows;
    assert!(book.iter().any(|row| row.notice_delivered_at.is_some()), "{book:?}");

    let audit = views.audit(&AuditFilter::default(), None, 500).unwrap().rows;
    assert_eq!(audit.len() as u64, books.head());
    let halt = audit.iter().find(|row| row.command == "halt").unwrap();
    assert_eq!((halt.by.as_deref(), halt.subject.as_deref()), (Some("desk"), Some("overall")));
    let refused = AuditFilter { refused: Some(true), ..AuditFilter::default() };
    let refused = views.audit(&refused, None, 500).unwrap().rows;
    let codes: Vec<&str> = refused.iter().filter_map(|row| row.refusal.as_deref()).collect();
    assert!(codes.contains(&"account_unknown") && codes.contains(&"signatures_insufficient"), "{codes:?}");
}

#[tokio::test]
async fn wakes_on_the_signal_and_says_when_it_is_behind() {
    let mut books = Books::new();
    let (_follower, views, signal) = follow(&books).await;
    let wanted = books.head() + 1;
    let error = views.wait_for(wanted, Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(error, ViewsError::Behind { position: books.head(), wanted });
    books.customer("ac_1");
    books.write();
    signal.raise();
    views.wait_for(wanted, Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn rebuilt_views_say_the_same() {
    let mut books = Books::new();
    books.traffic(7, 200);
    {
        let (_follower, _views, _) = follow(&books).await;
    }
    let before = dump(books.path());
    let Books { dir, journal, .. } = books;
    journal.close().unwrap();
    rebuild(dir.path(), false, |_, _| {}).unwrap();
    assert_eq!(dump(dir.path()), before);
    fs::write(dir.path().join("views.db"), b"not a database at all, but long enough to be looked at")
        .unwrap();
    rebuild(dir.path(), false, |_, _| {}).unwrap();
    assert_eq!(dump(dir.path()), before);
}

/// Everything in the views, as text.
pub(crate) fn dump(dir: &std::path::Path) -> String {
    let connection = rusqlite::Connection::open(dir.join("views.db")).unwrap();
    let mut text = String::new();
    let tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(tables.len() >= 14, "{tables:?}");
    for table in &tables {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            text.push_str(table);
            for column in 0..columns {
                text.push_str(&format!("|{:?}", row.get::<_, rusqlite::types::Value>(column).unwrap()));
            }
            text.push('\n');
        }
    }
    text
}

/// The first `records` records of a journal, in a journal of their own id: a copy that was cut can only be this.
fn cut(books: &Books, records: usize) -> Dir {
    let dir = Dir::new();
    let mut journal = LocalJournal::create(dir.path()).unwrap();
    for record in books.journal.reader().unwrap().records(1).take(records) {
        let record = record.unwrap();
        let (command, events) = (record.command, record.events);
        let draft = Draft { time: record.time, rules: record.rules, policy: record.policy, command, events };
        journal.append(&[draft]).unwrap();
    }
    journal.close().unwrap();
    dir
}

#[tokio::test]
async fn refuses_to_follow_a_journal_that_lacks_what_it_has_seen() {
    let mut books = Books::new();
    books.traffic(7, 50);
    // A copy of the directory as it was, before more was written and seen.
    let old = Dir::new();
    for entry in fs::read_dir(books.path()).unwrap() {
        let file = entry.unwrap().path();
        if file.is_file() {
            fs::copy(&file, old.path().join(file.file_name().unwrap())).unwrap();
        }
    }
    let earlier = books.head();
    books.traffic(8, 50);
    {
        let (_follower, _views, _) = follow(&books).await;
    }
    let (_, head) = known_head(books.path()).unwrap().unwrap();
    assert_eq!(head.sequence, books.head());

    // The journal of before, with the views of after.
    for file in ["views.db", "views.db-wal", "views.db-shm"] {
        if books.path().join(file).exists() {
            fs::copy(books.path().join(file), old.path().join(file)).unwrap();
        }
    }
    let journal = LocalJournal::open(old.path(), None).unwrap();
    let error = Follower::start(old.path(), journal.reader().unwrap(), Signal::new()).unwrap_err();
    assert_eq!(error.code(), "journal_cut", "{error}");
    assert!(error.to_string().contains(&format!("ends at {earlier}")), "{error}");
    journal.close().unwrap();
    assert!(
        LocalJournal::open(old.path(), Some(head)).is_err(),
        "the journal itself refuses the views' head"
    );
    assert_eq!(rebuild(old.path(), false, |_, _| {}).unwrap_err().code(), "journal_cut");
    rebuild(old.path(), true, |_, _| {}).unwrap();

    // Another journal with the same records is another journal.
    let other = cut(&books, 5);
    fs::copy(books.path().join("views.db"), other.path().join("views.db")).unwrap();
    let journal = LocalJournal::open(other.path(), None).unwrap();
    let error = Follower::start(other.path(), journal.reader().unwrap(), Signal::new()).unwrap_err();
    assert_eq!(error.code(), "journal_cut", "{error}");
}
