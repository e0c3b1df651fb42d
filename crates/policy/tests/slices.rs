//! What the index leaves out is false: an evaluation through it finds what an evaluation of every policy finds, in the
//! same order, whatever the program and the facts.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use holdfast_policy::expr::Arithmetic;
use holdfast_policy::program::POLICIES_MAX;
use holdfast_policy::{
    Action, Comparison, Degree, Effect, Enumeration, Expr, Fact, Facts, Findings, Policy, PolicyMeta, Program,
};
use proptest::prelude::*;

const LONGS: [Fact; 2] = [Fact::AmountUsdCents, Fact::AccountAgeHours];
const BOOLS: [Fact; 2] = [Fact::PriceStale, Fact::ApprovalBound];
const TEXTS: [&str; 5] = ["", "BTC", "ETH", "eth", "bitcoin"];
const NUMBERS: [i64; 9] = [i64::MIN, i64::MIN + 1, -1, 0, 1, 2, 100, i64::MAX - 1, i64::MAX];

fn number() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        3 => prop::sample::select(&LONGS[..]).prop_map(Expr::Fact),
        3 => prop::sample::select(&NUMBERS[..]).prop_map(Expr::Long),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            (prop::sample::select(&Arithmetic::ALL[..]), inner.clone(), inner.clone())
                .prop_map(|(operation, a, b)| Expr::Arithmetic(operation, Box::new([a, b]))),
            inner.clone().prop_map(|a| Expr::Negate(Box::new(a))),
            (truth_of(prop::sample::select(&BOOLS[..])), inner.clone(), inner)
                .prop_map(|(c, a, b)| Expr::If(Box::new([c, a, b]))),
        ]
    })
}

fn truth_of(facts: impl Strategy<Value = Fact>) -> impl Strategy<Value = Expr> {
    facts.prop_map(Expr::Fact)
}

fn word() -> impl Strategy<Value = Expr> {
    prop::sample::select(Enumeration::Class.members())
        .prop_map(|w| Expr::Member(Enumeration::Class, w.into()))
}

fn text() -> impl Strategy<Value = Expr> {
    prop::sample::select(&TEXTS[..]).prop_map(|text| Expr::Text(text.into()))
}

fn literal_number() -> impl Strategy<Value = Expr> {
    prop::sample::select(&NUMBERS[..]).prop_map(Expr::Long)
}

fn set(literal: impl Strategy<Value = Expr>) -> impl Strategy<Value = Box<[Expr]>> {
    prop::collection::vec(literal, 1..4).prop_map(Vec::into_boxed_slice)
}

fn condition() -> impl Strategy<Value = Expr> {
    let either = prop::sample::select(&Comparison::ALL[..2]);
    let flipped = (any::<bool>(), prop::sample::select(&Comparison::ALL[..]), literal_number());
    let leaf = prop_oneof![
        4 => truth_of(prop::sample::select(&BOOLS[..])),
        1 => any::<bool>().prop_map(Expr::Bool),
        4 => (either.clone(), word()).prop_map(|(c, w)| Expr::Compare(c, Box::new([Expr::Fact(Fact::Class), w]))),
        3 => (either, text()).prop_map(|(c, t)| Expr::Compare(c, Box::new([t, Expr::Fact(Fact::Asset)]))),
        2 => set(word()).prop_map(|set| Expr::Among(Box::new(Expr::Fact(Fact::Class)), set)),
        2 => set(text()).prop_map(|set| Expr::Among(Box::new(Expr::Fact(Fact::Asset)), set)),
        2 => set(literal_number()).prop_map(|set| Expr::Among(Box::new(Expr::Fact(Fact::AmountUsdCents)), set)),
        4 => flipped.prop_map(|(turned, comparison, number)| {
            let mut pair = [Expr::Fact(Fact::AmountUsdCents), number];
            if turned {
                pair.reverse();
            }
            Expr::Compare(comparison, Box::new(pair))
        }),
        1 => Just(Expr::Compare(
            Comparison::LessOrEqual,
            Box::new([Expr::Fact(Fact::AccountAgeHours), Expr::Fact(Fact::AccountAgeHours)])
        )),
        3 => (prop::sample::select(&Comparison::ALL[..]), number(), number())
            .prop_map(|(comparison, a, b)| Expr::Compare(comparison, Box::new([a, b]))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            1 => inner.clone().prop_map(|part| Expr::Not(Box::new(part))),
            3 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| Expr::All(parts.into())),
            1 => prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| Expr::Any(parts.into())),
            1 => [inner.clone(), inner.clone(), inner.clone()].prop_map(|parts| Expr::If(Box::new(parts))),
            1 => (inner.clone(), inner).prop_map(|(a, b)| Expr::Compare(Comparison::Equal, Box::new([a, b]))),
        ]
    })
}

fn program(conditions: Vec<(bool, Expr)>) -> Program {
    let policies = conditions.into_iter().enumerate().map(|(number, (permit, condition))| {
        let forbid = Effect::Forbid { degree: Degree::Hold, reason: "r".into() };
        let meta = PolicyMeta {
            id: number.to_string().into(),
            effect: if permit { Effect::Permit } else { forbid },
            actions: if number % 3 == 0 { u64::MAX } else { Action::Withdraw.bit() },
        };
        Policy { meta, condition }
    });
    Program::new([0; 32], policies.collect()).unwrap()
}

fn facts() -> impl Strategy<Value = Facts<'static>> {
    let long = || prop::option::weighted(0.9, prop::sample::select(&NUMBERS[..]));
    let truth = || prop::option::weighted(0.9, any::<bool>());
    let text =
        || prop::option::weighted(0.9, prop::sample::select(&["", "BTC", "ETH", "other", "bitcoin"][..]));
    let class = || prop::option::weighted(0.9, prop::sample::select(Enumeration::Class.members()));
    ((long(), long()), (truth(), truth()), text(), class()).prop_map(|(longs, bools, text, class)| {
        let mut facts = Facts::new();
        for (fact, value) in LONGS.into_iter().zip([longs.0, longs.1]) {
            value.into_iter().for_each(|value| facts.set_long(fact, value));
        }
        for (fact, value) in BOOLS.into_iter().zip([bools.0, bools.1]) {
            value.into_iter().for_each(|value| facts.set_bool(fact, value));
        }
        text.into_iter().for_each(|value| facts.set_text(Fact::Asset, value));
        class.into_iter().for_each(|value| facts.set_text(Fact::Class, value));
        facts
    })
}

fn both(program: &Program, facts: &Facts<'_>) -> (Findings, Findings) {
    let (mut sliced, mut whole) = (Findings::new(), Findings::new());
    program.evaluate(Action::Withdraw, facts, &mut sliced);
    program.evaluate_unsliced(Action::Withdraw, facts, &mut whole);
    (sliced, whole)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_sliced_evaluation_finds_what_an_evaluation_of_all_finds(
        conditions in prop::collection::vec((prop::bool::weighted(0.2), condition()), 1..90),
        facts in prop::collection::vec(facts(), 16),
    ) {
        let program = program(conditions);
        for facts in facts {
            let (sliced, whole) = both(&program, &facts);
            prop_assert_eq!(sliced, whole);
        }
    }
}

/// As many policies as there may be, with more literals than an index keeps borders for.
#[test]
fn the_largest_program_is_indexed_within_bounds_and_right() {
    let over = |limit| {
        let first = Expr::Compare(
            Comparison::Greater,
            Box::new([Expr::Fact(Fact::AmountUsdCents), Expr::Long(limit)]),
        );
        (false, Expr::All(Box::new([first, Expr::Not(Box::new(Expr::Fact(Fact::PriceStale)))])))
    };
    let asset = |number: i64| {
        let text = Expr::Text(format!("A{number}").into());
        (false, Expr::Compare(Comparison::NotEqual, Box::new([Expr::Fact(Fact::Asset), text])))
    };
    let half = i64::try_from(POLICIES_MAX / 2).unwrap();
    let program = program((0..half).map(over).chain((0..half).map(asset)).collect());
    for amount in
        [None, Some(i64::MIN), Some(0), Some(100), Some(127), Some(128), Some(1_000), Some(i64::MAX)]
    {
        for (asset, stale) in [("A0", false), ("A1500", true), ("B", false)] {
            let mut facts = Facts::new();
            facts.set_text(Fact::Asset, asset);
            facts.set_bool(Fact::PriceStale, stale);
            amount.into_iter().for_each(|amount| facts.set_long(Fact::AmountUsdCents, amount));
            let (sliced, whole) = both(&program, &facts);
            assert_eq!(sliced, whole, "{amount:?} {asset} {stale}");
        }
    }
}
