//! What was released and what became of it, in the views, in messages, in the story of a withdrawal, and replayed.

use std::collections::BTreeSet;

use holdfast_decision::acts::Act;
use holdfast_decision::command::{ChainStatus, Command, Scope};
use holdfast_decision::event::{Event, Standing};
use holdfast_server::replay::replay;
use holdfast_server::views::{TransactionFilter, Views, ViewsError, WithdrawalRow, rebuild};
use holdfast_server::why::why;
use holdfast_values::{Network, WithdrawalId};

use crate::fixture::Books;
use crate::payments::{Spend, is_released};
use crate::views::{dump, follow};
use crate::world::name;

const FIRST: Spend = Spend { number: 1, coin: 1 };
/// Spends the same coin.
const BUMP: Spend = Spend { number: 2, coin: 1 };
const OTHER: Spend = Spend { number: 3, coin: 3 };
const FOREIGN: Spend = Spend { number: 9, coin: 1 };

fn row(views: &Views, id: WithdrawalId) -> WithdrawalRow {
    views.withdrawal(id).unwrap().row.unwrap()
}

fn transaction(views: &Views, spend: Spend) -> holdfast_server::views::TransactionDetail {
    views.transaction(&spend.digest()).unwrap().row.unwrap()
}

#[tokio::test]
async fn a_withdrawal_shows_the_transaction_that_pays_it() {
    let mut books = Books::paying();
    let id = books.approved("w", "0.01");
    let other = books.approved("o", "0.02");
    assert!(is_released(&books.propose(FIRST, &[id, other])));
    assert!(is_released(&books.propose(BUMP, &[id, other])));
    books.authorised(1, FIRST);
    books.write();
    let (_follower, views, signal) = follow(&books).await;
    let shown = row(&views, id);
    assert_eq!((shown.status.as_str(), shown.reserved), ("released", None));
    let paying = shown.transaction.unwrap();
    assert_eq!(paying.digest, "02".repeat(32), "of equals the newest");
    assert_eq!((paying.standing.as_str(), paying.chain_id), ("unseen", None));

    let look = |books: &mut Books, spend: Spend, status, confirmations| {
        books.observe(spend, status, confirmations);
        books.write();
        signal.raise();
    };
    look(&mut books, FIRST, ChainStatus::Included, 2);
    views.wait_for(books.head(), std::time::Duration::from_secs(5)).await.unwrap();
    let shown = row(&views, id);
    assert_eq!((shown.status.as_str(), shown.closed_at), ("confirmed", None));
    let paying = shown.transaction.unwrap();
    assert_eq!(paying.digest, "01".repeat(32), "the one that came furthest");
    assert_eq!(paying.confirmations, 2);
    assert_eq!(paying.chain_id, Some(FIRST.chain_id_text()), "as explorers write it");

    look(&mut books, FIRST, ChainStatus::Vanished, 0);
    look(&mut books, BUMP, ChainStatus::Pending, 0);
    views.wait_for(books.head(), std::time::Duration::from_secs(5)).await.unwrap();
    let shown = row(&views, id);
    assert_eq!(shown.status, "broadcast");
    assert_eq!(shown.transaction.unwrap().digest, "02".repeat(32));

    look(&mut books, BUMP, ChainStatus::Included, 6);
    views.wait_for(books.head(), std::time::Duration::from_secs(5)).await.unwrap();
    let shown = row(&views, id);
    assert_eq!(shown.status, "confirmed");
    assert!(shown.closed_at.is_some() && shown.paid_at == shown.closed_at, "{shown:?}");
    let whole = transaction(&views, BUMP);
    assert_eq!(whole.transaction.standing, "final");
    assert!(whole.transaction.over_at.is_some() && !whole.transaction.is_signed);
    let mut both = vec![id.to_string(), other.to_string()];
    both.sort_unstable();
    assert_eq!(whole.payments, both);
    assert_eq!(whole.withdrawals.len(), 2);
    let first = transaction(&views, FIRST).transaction;
    assert_eq!((first.standing.as_str(), first.is_signed), ("dead", true));
    assert_eq!(
        (first.fee.as_deref(), first.fee_network_units.as_deref()),
        (Some("0.00002820"), Some("2820"))
    );
    assert_eq!(first.spends, [format!("{}:0", "01".repeat(32))]);
    assert_eq!(views.transaction(&OTHER.digest()).unwrap().row, None);
}

#[tokio::test]
async fn ends_without_payment_give_everything_back() {
    let mut books = Books::paying();
    let [voided, replaced, failed] = ["v", "r", "f"].map(|label| books.approved(label, "0.01"));
    assert!(is_released(&books.propose(OTHER, &[voided])));
    books.voided(1, voided);
    assert!(is_released(&books.propose(FIRST, &[replaced])));
    let alarm = books.observe(FOREIGN, ChainStatus::Included, 1);
    assert!(alarm.iter().any(|event| matches!(event, Event::ChainAlarm { .. })));
    books.observe(FOREIGN, ChainStatus::Included, 6);
    books.world.act(Act::Resume(Scope::Wallet(name("hot-btc"))), &["alice", "bob"]);
    let third = Spend { number: 4, coin: 4 };
    assert!(is_released(&books.propose(third, &[failed])));
    books.observe(third, ChainStatus::Failed, 6);
    books.write();
    let (_follower, views, _) = follow(&books).await;
    for (id, status, standing) in
        [(voided, "voided", "dead"), (replaced, "replaced", "dead"), (failed, "failed", "final")]
    {
        let shown = row(&views, id);
        assert_eq!(shown.status, status);
        assert!(
            shown.closed_at.is_some() && shown.paid_at.is_none() && shown.reserved.is_none(),
            "{shown:?}"
        );
        assert_eq!(shown.transaction.unwrap().standing, standing);
    }
    let alarms = views.alarms(None, 10).unwrap().rows;
    assert_eq!(alarms.len(), 1, "the same stranger alarms once");
    assert_eq!((alarms[0].alarm.as_str(), alarms[0].wallet.as_str()), ("unknown_spend", "hot-btc"));
    assert_eq!(alarms[0].transaction, FOREIGN.chain_id_text());
}

#[tokio::test]
async fn transactions_are_listed_newest_first_and_by_what_they_are() {
    let mut books = Books::paying();
    books.payments(3, 900);
    let (_follower, views, _) = follow(&books).await;
    let all = views.transactions(&TransactionFilter::default(), None, 500).unwrap();
    assert!(all.next.is_none() && all.rows.len() > 20, "{}", all.rows.len());
    assert!(all.rows.is_sorted_by(|a, b| a.sequence >= b.sequence));
    let mut paged = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = views.transactions(&TransactionFilter::default(), cursor.as_deref(), 7).unwrap();
        paged.extend(page.rows);
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(paged, all.rows);
    for standing in [Standing::Unseen, Standing::Final, Standing::Dead] {
        let filter = TransactionFilter { standing: Some(standing), ..TransactionFilter::default() };
        let rows = views.transactions(&filter, None, 500).unwrap().rows;
        assert!(!rows.is_empty(), "{}", standing.name());
        assert_eq!(rows.len(), all.rows.iter().filter(|row| row.standing == standing.name()).count());
    }
    let of = TransactionFilter {
        wallet: Some(name("hot-btc")),
        network: Some(Network::Bitcoin),
        ..TransactionFilter::default()
    };
    assert_eq!(views.transactions(&of, None, 500).unwrap().rows, all.rows);
    let none = TransactionFilter { network: Some(Network::Ethereum), ..of.clone() };
    assert!(views.transactions(&none, None, 500).unwrap().rows.is_empty());
    let cursor = views.transactions(&of, None, 1).unwrap().next.unwrap();
    assert_eq!(views.transactions(&none, Some(&cursor), 1).unwrap_err(), ViewsError::Cursor);
    let transfers: Vec<_> = all.rows.iter().filter(|row| row.transfer.is_some()).collect();
    assert!(
        transfers.iter().all(|row| row.transfer_text.as_ref().unwrap().contains("purpose: consolidation"))
    );
    assert!(!transfers.is_empty());

    // Of one withdrawal, and the other way round.
    let paid: BTreeSet<String> =
        all.rows.iter().flat_map(|row| transaction_of(&views, &row.digest).payments).collect();
    for id in paid.iter().filter_map(|id| id.parse::<WithdrawalId>().ok()) {
        let filter = TransactionFilter { withdrawal: Some(id), ..TransactionFilter::default() };
        let rows = views.transactions(&filter, None, 500).unwrap().rows;
        assert!(!rows.is_empty());
        for row in rows {
            assert!(transaction_of(&views, &row.digest).payments.contains(&id.to_string()));
        }
    }
}

fn transaction_of(views: &Views, digest: &str) -> holdfast_server::views::TransactionDetail {
    let digest = holdfast_decision::acts::Digest(holdfast_server::record::unhex(digest).unwrap());
    views.transaction(&digest).unwrap().row.unwrap()
}

/// The views say what folding the events says: of every open withdrawal and every transaction that State remembers.
async fn compare(books: &Books) -> (usize, usize) {
    let (_follower, views, _) = follow(books).await;
    let state = &books.world.state;
    let mut compared = (0, 0);
    for id in books.world.ids.values() {
        let (Some(open), shown) = (state.withdrawal(*id), views.withdrawal(*id).unwrap().row) else {
            continue;
        };
        let shown = shown.unwrap();
        assert_eq!(shown.status, open.status().name(), "{id}");
        assert_eq!(shown.reserved.as_deref(), open.reserved.map(|class| class.name()), "{id}");
        assert_eq!(shown.queued_turn, open.queued.map(|turn| turn.turn), "{id}");
        assert!(shown.closed_at.is_none(), "{id}");
        let filter = TransactionFilter { withdrawal: Some(*id), ..TransactionFilter::default() };
        let mut digests: Vec<String> =
            views.transactions(&filter, None, 500).unwrap().rows.into_iter().map(|row| row.digest).collect();
        digests.sort_unstable();
        let mut expected: Vec<String> = open
            .released
            .iter()
            .flat_map(|releases| &releases.transactions)
            .map(|digest| holdfast_server::record::hex(&digest.0))
            .collect();
        expected.sort_unstable();
        assert_eq!(digests, expected, "{id}");
        compared.0 += 1;
    }
    for (digest, known) in state.transactions() {
        let shown = views.transaction(digest).unwrap().row.unwrap();
        let row = shown.transaction;
        assert_eq!(row.standing, known.standing.name());
        assert_eq!((row.confirmations, row.is_signed), (known.confirmations, known.is_signed));
        assert_eq!(row.release_id.is_some(), known.release.0 != 0);
        assert_eq!(row.chain_id.is_some(), known.chain_id.is_some());
        assert_eq!(row.over_at, known.over_at.map(|at| at.to_string()));
        let spends: Vec<String> = known.spends.iter().map(ToString::to_string).collect();
        assert_eq!(row.spends, spends);
        let mut payments: Vec<String> = known.withdrawals.iter().map(ToString::to_string).collect();
        payments.sort_unstable();
        assert_eq!(shown.payments, payments);
        compared.1 += 1;
    }
    compared
}

#[tokio::test]
async fn the_views_equal_a_fold_after_random_payments() {
    let mut kinds = BTreeSet::new();
    let mut total = (0, 0);
    for seed in 1..=6 {
        let mut books = Books::paying();
        books.payments(seed, 400);
        let (open, transactions) = compare(&books).await;
        total = (total.0 + open, total.1 + transactions);
        let before = dump(books.path());
        let report = replay(&books.journal.reader().unwrap(), 1, &mut |_, _| {}).unwrap();
        assert_eq!(report.difference, None, "seed {seed}");
        assert_eq!(report.equal, books.head(), "seed {seed}");
        for (_, _, events) in &books.world.records {
            kinds.extend(events.iter().map(holdfast_server::record::event_name));
        }
        let Books { dir, journal, .. } = books;
        journal.close().unwrap();
        rebuild(dir.path(), false, |_, _| {}).unwrap();
        assert_eq!(dump(dir.path()), before, "seed {seed}");
    }
    assert!(total.0 > 100 && total.1 > 60, "{total:?}");
    for kind in [
        "transaction_released",
        "release_dropped",
        "withdrawal_moved",
        "withdrawal_paid",
        "transaction_observed",
        "chain_alarm",
        "receipt_recorded",
        "epoch_begun",
        "spend_recovered",
    ] {
        assert!(kinds.contains(kind), "{kind} never happened: {kinds:?}");
    }
}

#[tokio::test]
async fn what_a_signer_remembers_is_in_the_views() {
    let mut books = Books::paying();
    let id = books.approved("w", "0.01");
    let voided = books.approved("v", "0.01");
    let lost = WithdrawalId(77);
    let events = books.begin_epoch(&[(id, FIRST), (lost, OTHER)], &[voided]);
    assert!(events.iter().any(|event| matches!(event, Event::SpendRecovered(_))), "{events:?}");
    books.write();
    let (_follower, views, _) = follow(&books).await;
    assert_eq!(row(&views, id).status, "released");
    assert_eq!(row(&views, voided).status, "voided");
    let recovered = views.recovered(None, 10).unwrap().rows;
    let lost_ones: Vec<bool> = recovered.iter().map(|row| row.is_lost).collect();
    assert_eq!(lost_ones, [true, false], "newest first");
    assert!(recovered[0].intent.starts_with("holdfast-withdrawal/v1\n"));
    let orphan = transaction(&views, OTHER);
    assert_eq!((orphan.payments, orphan.withdrawals.len()), (vec![lost.to_string()], 0));
    assert_eq!((orphan.transaction.release_id, orphan.transaction.fee), (None, None));
    compare(&books).await;
}

#[tokio::test]
async fn views_of_an_earlier_release_are_folded_anew_unless_the_journal_was_cut() {
    let mut books = Books::paying();
    books.payments(4, 60);
    {
        let (_follower, _views, _) = follow(&books).await;
    }
    let before = dump(books.path());
    // The tables of the first format, as far as anybody reads them: what stands in `meta` is the same.
    let age = || {
        let connection = rusqlite::Connection::open(books.path().join("views.db")).unwrap();
        connection
            .execute_batch("DROP VIEW withdrawals_on_chain; DROP TABLE transactions; PRAGMA user_version = 1")
            .unwrap();
    };
    age();
    let (_, head) = holdfast_server::views::known_head(books.path()).unwrap().unwrap();
    assert_eq!(head.sequence, books.head(), "evidence all the same");
    {
        let (_follower, _views, _) = follow(&books).await;
    }
    assert_eq!(dump(books.path()), before);
    age();
    let sql = "UPDATE meta SET value = x'00000000000fffff' WHERE key = 'position'";
    rusqlite::Connection::open(books.path().join("views.db")).unwrap().execute(sql, []).unwrap();
    let error = holdfast_server::views::Follower::start(
        books.path(),
        books.journal.reader().unwrap(),
        holdfast_server::views::Signal::new(),
    )
    .unwrap_err();
    assert_eq!(error.code(), "journal_cut", "{error}");
}

#[test]
fn tells_releases_drops_observations_and_the_end() {
    let mut books = Books::paying();
    let id = books.approved("w", "0.01");
    let held = books.approved("h", "0.02");
    books.world.say(Command::FreezeAccount { account: "ac_1".parse().unwrap(), by: name("desk") });
    let dropped = books.propose(FIRST, &[id]);
    assert!(matches!(dropped.last(), Some(Event::ReleaseDropped { .. })), "{dropped:?}");
    books.world.act(Act::UnfreezeAccount("ac_1".parse().unwrap()), &["alice", "bob"]);
    let text = books.world.state.text_of(id).unwrap();
    let digest = holdfast_decision::acts::Digest(text.digest().0);
    books.world.act(Act::ApproveWithdrawal { withdrawal: id, text: digest }, &["alice", "bob"]);
    assert_eq!(books.world.status("w"), Some(holdfast_decision::Status::Approved));
    assert!(is_released(&books.propose(FIRST, &[id])));
    books.authorised(1, FIRST);
    books.observe(FIRST, ChainStatus::Included, 1);
    books.observe(FIRST, ChainStatus::Vanished, 0);
    books.observe(BUMP, ChainStatus::Pending, 0);
    books.observe(FIRST, ChainStatus::Included, 6);
    books.write();
    let reader = books.journal.reader().unwrap();
    let story = why(&reader, id).unwrap();
    let kinds: Vec<&str> = story
        .chapters
        .iter()
        .flat_map(|chapter| &chapter.events)
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    let told = [
        "release_dropped",
        "withdrawal_approved",
        "transaction_released",
        "receipt_recorded",
        "transaction_observed",
        "withdrawal_moved",
        "transaction_observed",
        "withdrawal_moved",
        "transaction_observed",
        "withdrawal_moved",
        "withdrawal_paid",
    ];
    let mut rest = kinds.iter();
    assert!(told.iter().all(|kind| rest.any(|found| found == kind)), "{kinds:?}");
    assert_eq!(kinds.last(), Some(&"withdrawal_paid"));
    let chain_id = FIRST.chain_id_text();
    let text = story.text();
    for part in [
        "release_dropped why=decided_again (It was decided again, whole, and is not approved any more.)",
        "withdrawal_approved operators=2",
        "transaction_released withdrawals=1",
        "signer=harbor-hot",
        "withdrawal_moved status=confirmed",
        "withdrawal_moved status=broadcast",
        &format!("chain_id={chain_id}"),
        "standing=final",
        "withdrawal_paid transaction=0101",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let other = why(&reader, held).unwrap().text();
    assert!(!other.contains("transaction_released"), "{other}");
}

#[test]
fn tells_of_proposals_that_were_refused_and_of_a_void() {
    let mut books = Books::paying();
    let id = books.approved("w", "0.01");
    books.world.say(Command::Halt { scope: Scope::Overall, by: name("desk") });
    assert!(matches!(books.propose(FIRST, &[id]).last(), Some(Event::ReleaseDropped { .. })));
    books.world.act(Act::Resume(Scope::Overall), &["alice", "bob"]);
    books.world.wait(holdfast_values::time::SECOND);
    let refused = books.propose(FIRST, &[id, id]);
    assert!(matches!(refused.last(), Some(Event::Refused { .. })), "{refused:?}");
    books.voided(1, id);
    books.write();
    let text = why(&books.journal.reader().unwrap(), id).unwrap().text();
    for part in [
        "propose_transaction",
        "refused",
        "batch_duplicate",
        "record_receipt",
        "withdrawal_moved status=voided",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}
