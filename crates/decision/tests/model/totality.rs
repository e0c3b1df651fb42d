//! Whatever bytes come, there is an answer: an error where they are decoded, or events. Never a panic.

use holdfast_decision::command::Command;
use holdfast_decision::event::{Event, Events};
use holdfast_decision::{State, decide, fold};
use holdfast_values::Timestamp;

use crate::play::{Play, random_run};
use crate::random::{Announce, Random, seeds};

/// Changes a few bytes: flips, cuts, repeats, puts in numbers that are as large as can be.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(3) {
        let place = random.below(bytes.len().max(1) as u64) as usize;
        match random.below(6) {
            0 => bytes.truncate(place),
            1 => bytes.extend_from_within(place.min(bytes.len())..),
            2 => {
                let end = (place + 9).min(bytes.len());
                let _ = bytes.splice(place.min(end)..end, [0x1b, 255, 255, 255, 255, 255, 255, 255, 255]);
            }
            3 if place < bytes.len() => bytes[place] = random.next() as u8,
            _ if place < bytes.len() => bytes[place] ^= 1 << random.below(8),
            _ => bytes.push(random.next() as u8),
        }
    }
}

#[test]
fn every_command_that_decodes_is_decided_and_folded() {
    let mut decoded = 0;
    for seed in seeds(20) {
        let _announce = Announce(seed);
        let mut random = Random::new(seed);
        let run = random_run(Play::new(seed, false), 150);
        let mut state = run.state;
        let mut events = Events::new();
        for round in 0..2_000u64 {
            let mut bytes = if round % 20 == 0 {
                (0..random.below(200)).map(|_| random.next() as u8).collect()
            } else {
                let number = random.below(run.records.len() as u64) as usize;
                minicbor::to_vec(&run.records[number].command).unwrap()
            };
            damage(&mut random, &mut bytes);
            let Ok(command) = minicbor::decode::<Command>(&bytes) else { continue };
            decoded += 1;
            let at = match random.below(10) {
                0 => Timestamp(0),
                1 => Timestamp(u64::MAX),
                2 => Timestamp(random.next()),
                _ => run.now.plus(round * 1_000_000),
            };
            decide(&state, at, &command, &mut events);
            // Time runs on only as far as it would at intake, or the rest of the run would say nothing.
            if at >= state.time()
                && at.since(run.now) < 1 << 50
                && !matches!(events[..], [Event::Repeated { .. }])
            {
                let sequence = state.sequence() + 1;
                fold(&mut state, sequence, at, &events);
            }
        }
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        assert_eq!(State::decode(&bytes).unwrap().hash(), state.hash());
    }
    assert!(decoded > 5_000, "{decoded} commands decoded");
}

#[test]
fn events_and_states_that_are_damaged_are_errors_or_values() {
    for seed in seeds(4) {
        let _announce = Announce(seed);
        let mut random = Random::new(seed);
        let run = random_run(Play::new(seed, false), 60);
        let mut whole = Vec::new();
        run.state.encode(&mut whole);
        for _ in 0..1_000 {
            let number = random.below(run.records.len() as u64) as usize;
            let mut bytes = minicbor::to_vec(&run.records[number].events).unwrap();
            damage(&mut random, &mut bytes);
            if let Ok(events) = minicbor::decode::<Vec<Event>>(&bytes) {
                let again = minicbor::to_vec(&events).unwrap();
                assert_eq!(minicbor::decode::<Vec<Event>>(&again).unwrap(), events);
            }
            let mut bytes = whole.clone();
            damage(&mut random, &mut bytes);
            if let Ok(state) = State::decode(&bytes) {
                let _hash = state.hash();
            }
        }
    }
}

#[test]
fn nothing_is_decided_before_the_first_record() {
    let run = random_run(Play::new(1, false), 60);
    let state = State::new();
    let mut events = Events::new();
    for record in run.records.iter().filter(|record| !matches!(record.command, Command::Initialise(_))) {
        decide(&state, record.at, &record.command, &mut events);
        let [Event::Refused { refusal, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(refusal.code(), "not_initialised");
    }
}
