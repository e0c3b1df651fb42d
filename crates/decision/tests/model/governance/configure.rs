//! Configurations: what tightens, what loosens, and what one operator cannot do to the others.

use holdfast_decision::acts::Act;
use holdfast_decision::configuration::Parameters;
use holdfast_decision::event::Event;
use holdfast_decision::{Configuration, Refusal};
use holdfast_values::{Amount, UsdCents, time};

use super::{does, house, lapses, refuses, scheduled, slow, stop};
use crate::approvals::sure;
use crate::play::Run;
use crate::world::name;

const TWO: [&str; 2] = ["alice", "bob"];

fn configure(edit: impl FnOnce(&mut Configuration)) -> Act {
    let mut new = slow();
    edit(&mut new);
    Act::Configure(Box::new(new))
}

fn parameters(edit: impl FnOnce(&mut Parameters)) -> Act {
    configure(|new| edit(&mut new.parameters))
}

fn is_at_once(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Configured(_)))
}

type Edit = fn(&mut Configuration);

const LESS: fn(&mut Amount) = |amount| *amount = Amount::from_base_units(amount.base_units() - 1);
const MORE: fn(&mut Amount) = |amount| *amount = Amount::from_base_units(amount.base_units() + 1);

/// Each is tighter one way and looser the other.
const NUMBERS: [(&str, Edit, Edit); 22] = [
    (
        "asset size",
        |c| LESS(&mut c.assets[0].buckets.aged.size),
        |c| MORE(&mut c.assets[0].buckets.aged.size),
    ),
    (
        "asset refill",
        |c| LESS(&mut c.assets[1].buckets.bound.refill_per_hour),
        |c| MORE(&mut c.assets[1].buckets.bound.refill_per_hour),
    ),
    (
        "wallet size",
        |c| LESS(&mut c.wallets[0].buckets.unvouched.size),
        |c| MORE(&mut c.wallets[0].buckets.unvouched.size),
    ),
    ("overall", |c| LESS(&mut c.overall.bound.size), |c| MORE(&mut c.overall.bound.size)),
    (
        "fee",
        |c| LESS(&mut c.wallets[0].chains.as_mut().unwrap()[0].fee_max),
        |c| MORE(&mut c.wallets[0].chains.as_mut().unwrap()[0].fee_max),
    ),
    ("tier", |c| c.tiers[0].usd_cents_24h.0 -= 1, |c| c.tiers[0].usd_cents_24h.0 += 1),
    ("tier month", |c| c.tiers[1].usd_cents_30d.0 -= 1, |c| c.tiers[1].usd_cents_30d.0 += 1),
    ("address_ageing", |c| c.parameters.address_ageing += 1, |c| c.parameters.address_ageing -= 1),
    ("veto_window", |c| c.parameters.veto_window += 1, |c| c.parameters.veto_window -= 1),
    ("cooling_off", |c| c.parameters.cooling_off += 1, |c| c.parameters.cooling_off -= 1),
    ("queue_hold_after", |c| c.parameters.queue_hold_after -= 1, |c| c.parameters.queue_hold_after += 1),
    (
        "withdrawal_lifetime",
        |c| c.parameters.withdrawal_lifetime -= 1,
        |c| c.parameters.withdrawal_lifetime += 1,
    ),
    ("price_stale_after", |c| c.parameters.price_stale_after -= 1, |c| c.parameters.price_stale_after += 1),
    ("price_move", |c| c.parameters.price_move_permille -= 1, |c| c.parameters.price_move_permille += 1),
    ("share", |c| c.parameters.account_share_permille -= 1, |c| c.parameters.account_share_permille += 1),
    ("reserve", |c| c.parameters.small_reserve_permille += 1, |c| c.parameters.small_reserve_permille -= 1),
    ("small", |c| c.parameters.small_usd_cents.0 -= 1, |c| c.parameters.small_usd_cents.0 += 1),
    ("small age", |c| c.parameters.small_account_age += 1, |c| c.parameters.small_account_age -= 1),
    (
        "release_lifetime",
        |c| c.parameters.release_lifetime = Some(59 * time::SECOND),
        |c| c.parameters.release_lifetime = Some(61 * time::SECOND),
    ),
    (
        "credential_ageing",
        |c| c.parameters.credential_ageing = Some(73 * time::HOUR),
        |c| c.parameters.credential_ageing = Some(time::SECOND),
    ),
    (
        "loosening_delay",
        |c| c.parameters.loosening_delay = Some(25 * time::HOUR),
        |c| c.parameters.loosening_delay = Some(23 * time::HOUR),
    ),
    (
        "resume_delay",
        |c| c.parameters.resume_delay = Some(11 * time::MINUTE),
        |c| c.parameters.resume_delay = Some(9 * time::MINUTE),
    ),
];

/// What has no tighter side.
const STRUCTURE: [(&str, Edit); 9] = [
    ("another tier", |c| {
        let mut tier = c.tiers[0].clone();
        tier.name = name("further");
        c.tiers.push(tier);
    }),
    ("another wallet", |c| {
        let mut wallet = c.wallets[0].clone();
        (wallet.name, wallet.chains) = (name("further"), None);
        c.wallets.push(wallet);
    }),
    ("no signer", |c| c.signers = None),
    ("other pages", |c| c.parties.as_mut().unwrap().approve.origins[0].push_str(":444")),
    ("other pages of operators", |c| c.operate.as_mut().unwrap().origins[0].push_str(":444")),
    ("a wallet's coins", |c| {
        c.wallets[0].chains.as_mut().unwrap()[0].source =
            holdfast_decision::configuration::WalletSource::Descriptors(vec!["wpkh(x)".to_owned()]);
    }),
    ("deeper", |c| c.wallets[0].chains.as_mut().unwrap()[0].confirmations_final += 1),
    ("a longer set-up", |c| c.parameters.setup_window = Some(2 * time::HOUR)),
    ("a shorter set-up", |c| c.parameters.setup_window = Some(0)),
];

#[test]
fn every_number_is_tightened_by_one_at_once_and_loosened_by_two_in_a_day() {
    for (what, tighter, looser) in NUMBERS {
        let mut run = house();
        assert!(is_at_once(&does(&mut run, configure(tighter), &["alice"])), "{what}");
        let mut run = house();
        let act = configure(looser);
        assert_eq!(
            refuses(&mut run, act.clone(), &["alice"]),
            Some(Refusal::SignaturesInsufficient),
            "{what}"
        );
        assert!(!is_at_once(&does(&mut run, act, &TWO)), "{what}");
        assert!(run.wait(time::DAY).iter().any(|events| is_at_once(events)), "{what}");
    }
}

#[test]
fn what_loosens_anywhere_loosens_and_so_does_what_has_no_direction() {
    let both = NUMBERS.iter().flat_map(|(what, tighter, _)| {
        let others = NUMBERS.iter().filter(move |other| other.0 != *what);
        others.map(move |(other, _, looser)| (format!("{what}, {other}"), vec![*tighter, *looser]))
    });
    let structure = STRUCTURE.iter().map(|(what, edit)| ((*what).to_owned(), vec![*edit]));
    let mut run = house();
    for (what, edits) in both.step_by(7).chain(structure) {
        let act = configure(|new| edits.iter().for_each(|edit| edit(new)));
        assert_eq!(
            refuses(&mut run, act.clone(), &["alice"]),
            Some(Refusal::SignaturesInsufficient),
            "{what}"
        );
        let nonce = scheduled(&does(&mut run, act, &TWO));
        sure(&mut run, stop(nonce));
    }
}

#[test]
fn an_insufficient_configuration_says_what_would_loosen() {
    let mut run = house();
    let events = run.act(parameters(|new| new.veto_window = time::HOUR), &["alice"]);
    let [Event::Refused { detail, .. }] = &events[..] else { panic!("{events:?}") };
    assert!(detail.ends_with("not only tighter: parameters.veto_window"), "{detail}");
}

#[test]
fn fewer_signatures_or_a_shorter_delay_are_a_loosening() {
    let mut careful = slow();
    careful.parameters.loosening_signatures = 3;
    let mut run = Run::new(careful, crate::world::permit_all());
    run.wait(2 * time::HOUR);
    assert_eq!(refuses(&mut run, configure(|_| ()), &TWO), Some(Refusal::SignaturesInsufficient));
    scheduled(&does(&mut run, configure(|_| ()), &["alice", "bob", "carol"]));
}

#[test]
fn one_operator_cannot_make_himself_indispensable() {
    let mut run = house();
    let all = parameters(|new| new.loosening_signatures = 3);
    assert_eq!(refuses(&mut run, all.clone(), &["alice"]), Some(Refusal::SignaturesInsufficient));
    assert!(is_at_once(&does(&mut run, all, &TWO)), "two who agree need not wait to be more careful");

    let mut run = house();
    let ageing = parameters(|new| new.operator_ageing = 300 * time::DAY);
    assert!(is_at_once(&does(&mut run, ageing, &["alice"])), "founders count at once: nobody counts less");
}

/// Three who were there from the first day, and these.
fn with(others: &[&str]) -> Run {
    let mut run = house();
    for new in others {
        does(&mut run, Act::EnrolOperator(crate::world::operator(new)), &TWO);
    }
    run.wait(60 * time::HOUR);
    assert_eq!(run.state.operators().count(), 3 + others.len());
    run
}

#[test]
fn what_one_operator_makes_harder_the_others_undo_also_when_one_of_them_lost_his_key() {
    let raised = |needed| parameters(|new| new.loosening_signatures = needed);
    for (others, most) in [(&["dave"][..], 2), (&["dave", "erin"], 3), (&["dave", "erin", "frank"], 4)] {
        for needed in 3..=3 + others.len() as u32 {
            let mut run = with(others);
            if needed > most {
                let events = run.act(raised(needed), &["alice"]);
                let [Event::Refused { refusal, detail, .. }] = &events[..] else { panic!("{events:?}") };
                assert_eq!(*refusal, Refusal::SignaturesInsufficient, "{needed} with {others:?}");
                assert!(detail.ends_with("without a hand to spare"), "{detail}");
                assert!(is_at_once(&does(&mut run, raised(needed), &["alice", "bob"])), "several may");
                continue;
            }
            assert!(is_at_once(&does(&mut run, raised(needed), &["alice"])), "{needed} with {others:?}");
            // He goes on: nobody is revoked by one where the others would need each other.
            let revoke = |of: &str| Act::RevokeOperator(name(of));
            if 3 + others.len() < needed as usize + 3 {
                assert_eq!(
                    refuses(&mut run, revoke("bob"), &["alice"]),
                    Some(Refusal::SignaturesInsufficient)
                );
            }
            // Bob's key is lost. The others take him out, and set the number back at once.
            let left: Vec<&str> = ["carol"].iter().chain(others).copied().collect();
            does(&mut run, revoke("alice"), &left);
            assert!(is_at_once(&does(&mut run, configure(|_| ()), &left)), "{needed} with {others:?}");
        }
    }

    // A longer ageing takes hands away too.
    let longer = parameters(|new| new.operator_ageing = 300 * time::DAY);
    let mut run = with(&["dave", "erin"]);
    assert_eq!(refuses(&mut run, longer.clone(), &["alice"]), Some(Refusal::SignaturesInsufficient));
    assert!(is_at_once(&does(&mut run, longer, &TWO)));
}

#[test]
fn a_configuration_that_waited_does_not_undo_what_came_since() {
    let mut run = house();
    does(&mut run, configure(|new| new.tiers[0].usd_cents_24h = UsdCents(800_000_000)), &TWO);
    run.wait(time::HOUR);
    does(&mut run, configure(|new| new.overall.bound.size = Amount::from_base_units(1)), &["carol"]);
    assert_eq!(lapses(&run.wait(time::DAY)), [Refusal::ConfigurationSuperseded]);
    assert_eq!(run.state.configuration().overall.bound.size, Amount::from_base_units(1));
}

#[test]
fn a_tightening_by_mistake_is_undone_by_two_at_once_within_72_hours() {
    let nothing = |new: &mut Configuration| new.overall.bound.size = Amount::ZERO;
    let less = |new: &mut Configuration| {
        new.overall.bound.size = Amount::ZERO;
        new.overall.aged.size = Amount::ZERO;
    };
    let mut run = house();
    does(&mut run, configure(nothing), &["alice"]);
    run.wait(time::HOUR);
    does(&mut run, configure(less), &["alice"]);
    assert_eq!(refuses(&mut run, configure(|_| ()), &["alice"]), Some(Refusal::SignaturesInsufficient));
    scheduled(&does(&mut run, configure(nothing), &TWO));
    assert!(is_at_once(&does(&mut run, configure(|_| ()), &TWO)), "what the quorum set last");

    let mut run = house();
    does(&mut run, configure(nothing), &["alice"]);
    run.wait(73 * time::HOUR);
    scheduled(&does(&mut run, configure(|_| ()), &TWO));
}

#[test]
fn no_delay_is_longer_than_its_bound() {
    let mut run = house();
    for act in [
        parameters(|new| new.loosening_delay = Some(30 * time::DAY + 1)),
        parameters(|new| new.resume_delay = Some(time::DAY + 1)),
        parameters(|new| new.setup_window = Some(7 * time::DAY + 1)),
    ] {
        assert_eq!(refuses(&mut run, act, &TWO), Some(Refusal::ConfigurationInvalid));
    }
}
