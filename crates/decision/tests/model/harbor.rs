//! An exchange without rules of its own, told step by step what is released and what becomes of it.

use holdfast_decision::command::{Command, ProposeTransaction, Scope};
use holdfast_decision::event::{Alarm, AssetIndex, Dropped, Event, Standing, WalletIndex};
use holdfast_decision::{Class, Status, Withdrawal};
use holdfast_values::{Network, WithdrawalId};

use crate::coins::{payment, propose};
use crate::play::{Run, is_refused};
use crate::world::{account, configuration, name, permit_all, request};

pub(crate) const BTC: Network = Network::Bitcoin;
pub(crate) const ETH: Network = Network::Ethereum;
pub(crate) const TENTH: u128 = 10_000_000;
pub(crate) const ETHER: u128 = 10u128.pow(18);

/// An exchange without rules of its own, so that whatever fits its buckets is approved at once.
pub(crate) fn exchange() -> Run {
    let mut run = Run::new(configuration(), permit_all());
    for number in 0..6 {
        run.say(Command::OpenAccount { account: account(number), tier: name("full") });
    }
    run
}

pub(crate) fn ask(run: &mut Run, from: usize, asset: (&str, Network), amount: u128, to: u64) -> WithdrawalId {
    let number = run.records.len() as u64;
    let made = request(run.now, number, from, asset, amount, to);
    let id = made.withdrawal;
    let events = run.say(Command::RequestWithdrawal(Box::new(made)));
    assert!(!is_refused(&events), "{events:?}");
    id
}

/// So many approved withdrawals of a tenth of a bitcoin, each of another account to another destination.
pub(crate) fn approved(run: &mut Run, many: usize) -> Vec<WithdrawalId> {
    let ask = |from| ask(run, from, ("BTC", BTC), TENTH, 40 + from as u64);
    let ids: Vec<_> = (0..many).map(ask).collect();
    assert!(ids.iter().all(|id| status(run, *id) == Some(Status::Approved)));
    ids
}

pub(crate) fn status(run: &Run, id: WithdrawalId) -> Option<Status> {
    run.state.withdrawal(id).map(Withdrawal::status)
}

pub(crate) fn standing(run: &Run, made: &ProposeTransaction) -> Option<Standing> {
    run.state.transaction(&made.transaction).map(|known| known.standing)
}

pub(crate) fn released(run: &mut Run, made: &ProposeTransaction) {
    let events = run.say(propose(made));
    assert!(matches!(events.last(), Some(Event::TransactionReleased(_))), "{events:?}");
}

pub(crate) fn refused(run: &mut Run, command: Command) -> String {
    match &run.say(command)[..] {
        [Event::Refused { refusal, detail }] => {
            assert!(!detail.is_empty());
            refusal.code().to_owned()
        }
        events => panic!("not refused: {events:?}"),
    }
}

pub(crate) fn dropped(run: &mut Run, made: &ProposeTransaction) -> Vec<Dropped> {
    let events = run.say(propose(made));
    match events.last() {
        Some(Event::ReleaseDropped { dropped }) => dropped.clone(),
        _ => panic!("nothing was dropped: {events:?}"),
    }
}

pub(crate) fn alarms(events: &[Event]) -> Vec<Alarm> {
    let alarm = |event: &Event| match event {
        Event::ChainAlarm { alarm, .. } => Some(*alarm),
        _ => None,
    };
    events.iter().filter_map(alarm).collect()
}

pub(crate) fn is_halted(run: &Run, wallet: &str) -> bool {
    run.state.halts().any(|scope| *scope == Scope::Wallet(name(wallet)))
}

/// What is left of the buckets of a class that a withdrawal of BTC spends.
pub(crate) fn left(run: &Run, class: Class) -> [u128; 3] {
    let now = run.state.refill_time(run.now);
    let of = |buckets: &holdfast_decision::state::Buckets| buckets.of(class).available(now).base_units();
    [
        of(run.state.asset_buckets(AssetIndex(0)).unwrap()),
        of(run.state.wallet_buckets(WalletIndex(0)).unwrap()),
        of(run.state.overall_buckets()),
    ]
}

/// Events that end a withdrawal: paid, moved to a final status, expired, cancelled, denied.
pub(crate) fn ends(run: &Run, id: WithdrawalId) -> usize {
    let events = run.records.iter().flat_map(|record| &record.events);
    events
        .filter(|event| match event {
            Event::WithdrawalPaid { withdrawal, .. }
            | Event::WithdrawalExpired { withdrawal }
            | Event::WithdrawalCancelled { withdrawal } => *withdrawal == id,
            Event::WithdrawalMoved { withdrawal, status, .. } => *withdrawal == id && status.is_final(),
            Event::WithdrawalDecided { withdrawal, decision } => {
                *withdrawal == id && decision.status.is_final()
            }
            _ => false,
        })
        .count()
}

/// A withdrawal on its way, and its transaction.
pub(crate) fn on_its_way() -> (Run, WithdrawalId, ProposeTransaction) {
    let mut run = exchange();
    let id = approved(&mut run, 1)[0];
    let made = payment(&run.state, BTC, &[id], &[1]);
    released(&mut run, &made);
    (run, id, made)
}
