//! What the core reads back from disk: snapshots, records, compiled programs.

use holdfast_decision::{Command, Events, State, next_deadline};
use holdfast_policy::{Action, FACTS, Fact, FactType, Facts, Findings, Program};
use minicbor::{Decode, Encode};

pub(super) fn state(bytes: &[u8]) -> bool {
    let Ok(state) = State::decode(bytes) else { return false };
    let mut encoded = Vec::new();
    state.encode(&mut encoded);
    let again = State::decode(&encoded);
    assert!(again.is_ok(), "what is written can be read: {:?}", again.err());
    let Ok(again) = again else { return false };
    let mut second = Vec::new();
    again.encode(&mut second);
    assert!(encoded == second, "is written in one way");
    assert_eq!(state.hash(), again.hash());
    assert_eq!(next_deadline(&state), next_deadline(&again), "what is derived is derived again");
    true
}

pub(super) fn record(bytes: &[u8]) -> bool {
    // Both, so that neither is starved of inputs by the other.
    let command = settles::<Command>(bytes);
    settles::<Events>(bytes) || command
}

/// What is read is written as something that reads as itself and is written no other way.
fn settles<T>(bytes: &[u8]) -> bool
where
    T: for<'b> Decode<'b, ()> + Encode<()> + PartialEq + core::fmt::Debug,
{
    let Ok(value) = minicbor::decode::<T>(bytes) else { return false };
    let encoded = minicbor::to_vec(&value).unwrap_or_default();
    let again = minicbor::decode::<T>(&encoded);
    assert_eq!(again.as_ref().ok(), Some(&value), "reads as itself");
    assert!(
        again.ok().and_then(|again| minicbor::to_vec(again).ok()) == Some(encoded),
        "is written in one way"
    );
    true
}

pub(super) fn program(bytes: &[u8]) -> bool {
    let Ok(program) = Program::from_bytes(bytes) else { return false };
    assert_eq!(program.to_bytes(), bytes, "has one spelling");
    let mut findings = Findings::new();
    for number in [i64::MIN, -1, 0, 1, i64::MAX] {
        program.evaluate(Action::Withdraw, &facts(number), &mut findings);
        let worst = findings.most_severe(&program);
        assert!(worst.is_some() || findings.permitted, "what nothing permits is denied");
        assert!(worst.is_some() || findings.errored.is_empty(), "what cannot be evaluated holds");
    }
    true
}

/// All facts set, as far as one number goes.
fn facts(number: i64) -> Facts<'static> {
    let mut facts = Facts::new();
    for fact in (0..).map_while(Fact::from_code).take(FACTS.len()) {
        match fact.ty() {
            FactType::Bool => facts.set_bool(fact, number > 0),
            FactType::Long => facts.set_long(fact, number),
            FactType::Text => facts.set_text(fact, if number > 0 { "BTC" } else { "" }),
            FactType::Enum(words) => {
                facts.set_text(fact, words.members().first().copied().unwrap_or_default())
            }
        }
    }
    facts
}
