//! What a pack is refused for, and that its author is told where and what to do.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "helpers of tests may fail loudly")]

use holdfast_cedar::{PackError, Problem, compile_pack};

fn refuse(text: &str) -> PackError {
    compile_pack(&[("a.cedar".to_owned(), text.to_owned())]).map(|pack| pack.program).unwrap_err()
}

fn first(text: &str) -> Problem {
    refuse(text).problems[0].clone()
}

/// A hold with this condition.
fn hold(condition: &str) -> String {
    format!(
        "@id(\"p\") @outcome(\"hold\") @reason(\"r\")\nforbid (principal, action, resource)\nwhen {{ {condition} }};\n"
    )
}

#[test]
fn a_misspelt_attribute_is_pointed_at_with_a_suggestion() {
    let error = refuse(&hold("context.account.age_hour < 3"));
    let said = error.to_string();
    assert_eq!(error.problems.len(), 1, "{said}");
    assert_eq!(error.code(), "policy_type");
    assert!(said.contains("--> a.cedar:3:8 (policy p)"), "{said}");
    assert!(said.contains("| when { context.account.age_hour < 3 }"), "{said}");
    assert!(said.contains("^^^^"), "{said}");
    assert!(said.contains("did you mean") && said.contains("age_hours"), "{said}");
}

#[test]
fn a_misspelt_word_of_an_enumeration_is_refused() {
    let problem = first(&hold("context.class == Class::\"unvuoched\""));
    assert_eq!((problem.code, problem.line), ("policy_type", 3));
    assert!(problem.message.starts_with("entity `Class::\"unvuoched\"`"), "{problem}");
}

#[test]
fn a_comparison_of_different_types_is_refused() {
    for condition in [
        "context.class == \"unvouched\"",
        "context.asset == 3",
        "context.asset < \"b\"",
        "context.price.stale > 1",
        "context.amount_usd_cents",
        "[1, \"a\"].contains(context.amount_usd_cents)",
        "[\"a\"].contains(context.amount_usd_cents)",
        "if context.price.stale then 1 else \"a\"",
    ] {
        assert_eq!(first(&hold(condition)).code, "policy_type", "{condition}");
    }
}

#[test]
fn syntax_errors_have_a_place() {
    let problem = first("@id(\"a\")\npermit (principal, action resource);");
    assert_eq!((problem.code, problem.line, problem.column), ("policy_syntax", 2, 27), "{problem}");
    for text in
        ["permit", "}", "\"", "@id(\"x\")", "permit (principal, action, resource)", "\u{0}", "\u{feff}x"]
    {
        assert_eq!(first(text).code, "policy_syntax", "{text:?}");
    }
}

#[test]
fn annotations_are_exactly_what_the_effect_needs() {
    for (annotations, effect, code) in [
        ("", "permit", "policy_id_invalid"),
        ("@id(\"\")", "permit", "policy_id_invalid"),
        ("@id(\"a b\")", "permit", "policy_id_invalid"),
        ("@id(\"a\") @reason(\"r\")", "permit", "annotation_unknown"),
        ("@id(\"a\") @note(\"r\")", "permit", "annotation_unknown"),
        ("@id(\"a\")", "forbid", "policy_reason_invalid"),
        ("@id(\"a\") @outcome(\"hold\")", "forbid", "policy_reason_invalid"),
        ("@id(\"a\") @reason(\"r\")", "forbid", "policy_outcome_invalid"),
        ("@id(\"a\") @outcome(\"block\") @reason(\"r\")", "forbid", "policy_outcome_invalid"),
        ("@id(\"a\") @outcome(\"hold\") @reason(\"Not Snake\")", "forbid", "policy_reason_invalid"),
        ("@id(\"a\") @outcome(\"hold\") @reason(\"r\") @for(\"1m\")", "forbid", "annotation_unknown"),
        ("@id(\"a\") @outcome(\"dwell\") @reason(\"r\")", "forbid", "policy_dwell_invalid"),
        (
            "@id(\"a\") @outcome(\"dwell\") @reason(\"r\") @for(\"ten minutes\")",
            "forbid",
            "policy_dwell_invalid",
        ),
        ("@id(\"a\") @outcome(\"dwell\") @reason(\"r\") @for(\"0m\")", "forbid", "policy_dwell_invalid"),
        ("@id(\"a\") @outcome(\"step_up\") @reason(\"r\")", "forbid", "policy_factor_invalid"),
        (
            "@id(\"a\") @outcome(\"step_up\") @reason(\"r\") @factor(\"sms\")",
            "forbid",
            "policy_factor_invalid",
        ),
        (
            "@id(\"a\") @outcome(\"step_up\") @reason(\"r\") @factor(\"passkey\") @for(\"1m\")",
            "forbid",
            "annotation_unknown",
        ),
        ("@id(\"a\") @id(\"b\")", "permit", "policy_syntax"),
    ] {
        let problem = first(&format!("{annotations} {effect} (principal, action, resource);"));
        assert_eq!(problem.code, code, "{annotations} {effect}: {problem}");
        assert!(problem.help.is_some() || code == "policy_syntax", "{problem}");
    }
}

#[test]
fn constructs_without_a_counterpart_are_refused_by_name() {
    for (condition, named) in [
        ("context has asset", "`has`"),
        ("context.asset like \"B*\"", "`like`"),
        ("principal == Account::\"a\"", "scope"),
        ("principal is Account", "`is`"),
        ("context.class is Class", "`is`"),
        ("[\"BTC\"].containsAny([context.asset])", "this operator"),
        ("[context.network].contains(context.asset)", "anything but literals"),
        ("context.account == context.account", "a whole record"),
        ("[1].isEmpty()", "function"),
    ] {
        let error = refuse(&hold(condition));
        let problem = error.problems.iter().find(|problem| problem.code == "policy_not_compilable");
        let problem = problem.unwrap_or_else(|| panic!("{condition}: {error}"));
        assert!(problem.message.contains(named), "{condition}: {problem}");
        assert_eq!(problem.policy.as_deref(), Some("p"));
        assert!(problem.help.is_some() && problem.line == 1, "{problem}");
    }
    for scope in
        ["principal == Account::\"a\", action, resource", "principal, action, resource == Exchange::\"x\""]
    {
        let error = refuse(&format!("@id(\"p\") permit ({scope});"));
        assert!(error.to_string().contains("a scope that names a"), "{error}");
    }
    assert!(
        refuse("@id(\"p\") permit (principal == ?principal, action, resource);")
            .to_string()
            .contains("template")
    );
    assert!(
        refuse("@id(\"p\") permit (principal, action == Action::\"login\", resource);")
            .to_string()
            .contains("login")
    );
}

#[test]
fn what_can_never_match_is_suspicious() {
    assert_eq!(first(&hold("false")).code, "policy_suspicious");
    assert_eq!(first(&hold("context.price.stale && !true")).code, "policy_suspicious");
}

#[test]
fn ids_are_unique_across_files() {
    let file = |name: &str| (name.to_owned(), "@id(\"a\") permit (principal, action, resource);".to_owned());
    let error = compile_pack(&[file("a.cedar"), file("b.cedar")]).map(|pack| pack.program).unwrap_err();
    assert_eq!(error.code(), "policy_id_duplicate");
    assert!(error.to_string().contains("the other in a.cedar"), "{error}");
}

#[test]
fn packs_are_bounded() {
    let one = || "@id(\"a\") permit (principal, action, resource);".to_owned();
    let code = |files: &[(String, String)]| compile_pack(files).map(|pack| pack.program).unwrap_err().code();
    assert_eq!(code(&[]), "pack_empty");
    assert_eq!(code(&[("a.cedar".into(), "// nothing".into())]), "pack_empty");
    for name in ["a.txt", "../a.cedar", ".cedar", "ä.cedar", "a b.cedar", "invariants.cedar"] {
        assert_eq!(code(&[(name.into(), one())]), "file_name_invalid", "{name}");
    }
    assert_eq!(code(&[("a.cedar".into(), one()), ("a.cedar".into(), one())]), "file_name_duplicate");
    assert_eq!(code(&[("a.cedar".into(), " ".repeat(300_000))]), "file_too_large");
    let many: Vec<_> = (0..300).map(|n| (format!("{n}.cedar"), String::new())).collect();
    assert_eq!(code(&many), "pack_too_large");
    let rules: String =
        (0..5_000).map(|n| format!("@id(\"{n}\")permit(principal,action,resource);")).collect();
    assert_eq!(code(&[("a.cedar".into(), rules)]), "too_many_policies");
}

/// Whatever nests is refused or compiled, and never overflows a stack.
#[test]
fn deep_texts_are_survived() {
    for condition in [
        format!("{}true{}", "(".repeat(60), ")".repeat(60)),
        format!("{}true", "!".repeat(7_900)),
        format!("{}true{}", "(".repeat(3_000), ")".repeat(3_000)),
        format!("{}true{}", "!(".repeat(60), ")".repeat(60)),
        format!("true{}", "&&true".repeat(90)),
        format!("1{} > 0", "+1".repeat(90)),
        format!("context{}", ".a".repeat(4_000)),
        format!("1{} > 0", "+1".repeat(4_000)),
        format!("true{}", "&&true".repeat(1_300)),
        format!("true{}", "||!true".repeat(1_100)),
        format!("{}true", "if true then false else ".repeat(320)),
        format!("[{}].contains(1)", "1,".repeat(3_900)),
        format!("{}1 > 0", "-".repeat(7_900)),
    ] {
        let files = [("a.cedar".to_owned(), hold(&condition))];
        match compile_pack(&files) {
            Ok(pack) => assert_eq!(pack.program.len(), 1),
            Err(error) => assert_ne!(error.code(), "policy_compiler_failed", "{error}"),
        }
    }
}

#[test]
fn every_problem_of_a_pack_is_reported_at_once_and_no_more_than_fifty() {
    let bad: String =
        (0..60).map(|n| format!("@id(\"p{n}\") forbid (principal, action, resource);\n")).collect();
    let error = refuse(&bad);
    assert_eq!(error.problems.len(), 51);
    assert!(error.to_string().ends_with("error[more_problems]: and 70 more"), "{error}");
}

#[test]
fn what_may_move_is_a_number_and_moves_only_so_that_the_rule_matches_more() {
    let policy = |tighter: &str, condition: &str| {
        let text = hold(condition).replace("@reason", &format!("@tighter(\"{tighter}\") @reason"));
        compile_pack(&[("a.cedar".to_owned(), text)])
    };
    for (tighter, condition) in [
        ("amount_usd_cents lower", "context.amount_usd_cents > 5"),
        ("amount_usd_cents higher", "!(context.amount_usd_cents >= 5)"),
        ("account.age_hours higher", "context.price.stale || context.account.age_hours < 5"),
        (
            "account.usd_cents_1h lower,amount_usd_cents lower",
            "context.account.usd_cents_1h > 5 && context.amount_usd_cents > 5",
        ),
    ] {
        assert!(
            policy(tighter, condition).is_ok(),
            "{tighter}: {condition}: {:?}",
            policy(tighter, condition)
        );
    }
    for (tighter, condition, said) in [
        ("", "context.amount_usd_cents > 5", "is not a fact and a direction"),
        ("amount_usd_cent lower", "context.amount_usd_cents > 5", "did you mean amount_usd_cents?"),
        ("asset lower", "context.amount_usd_cents > 5", "asset is no number"),
        ("amount_usd_cents lowr", "context.amount_usd_cents > 5", "did you mean lower?"),
        ("amount_usd_cents lower, amount_usd_cents lower", "context.amount_usd_cents > 5", "twice"),
        ("account.age_hours lower", "context.amount_usd_cents > 5", "does not compare account.age_hours"),
        (
            "account.withdrawals_1h lower",
            "context.account.withdrawals_24h - context.account.withdrawals_1h >= 5",
            "no number moves in a rule that calculates",
        ),
        ("amount_usd_cents lower", "5 < context.amount_usd_cents", "does not compare amount_usd_cents"),
        ("amount_usd_cents lower", "context.amount_usd_cents == 5", "does not compare amount_usd_cents"),
        ("amount_usd_cents higher", "context.amount_usd_cents > 5", "unless amount_usd_cents moves lower"),
        ("amount_usd_cents lower", "!(context.amount_usd_cents > 5)", "unless amount_usd_cents moves higher"),
        (
            "amount_usd_cents lower",
            "context.amount_usd_cents > 5 && context.amount_usd_cents < 9",
            "moves higher",
        ),
        (
            "amount_usd_cents lower",
            "(context.amount_usd_cents > 5) == context.price.stale",
            "does not only widen",
        ),
        (
            "amount_usd_cents lower",
            "if context.amount_usd_cents > 5 then context.price.stale else true",
            "does not only widen",
        ),
        (
            "amount_usd_cents lower",
            "context.amount_usd_cents > 5 * context.account.age_hours",
            "no number moves in a rule that calculates",
        ),
        (
            "amount_usd_cents lower",
            "context.amount_usd_cents > 5 || context.account.usd_cents_24h + context.amount_usd_cents > 9",
            "no number moves in a rule that calculates",
        ),
        (
            "amount_usd_cents lower",
            "context.amount_usd_cents > 5 && context.account.age_hours > -1",
            "no number moves in a rule that calculates",
        ),
    ] {
        let error = policy(tighter, condition).map(|pack| pack.program).unwrap_err();
        let problem = &error.problems[0];
        assert_eq!((problem.code, problem.help.is_some()), ("policy_tighter_invalid", true), "{problem}");
        assert!(problem.message.contains(said), "{tighter}: {condition}: {problem}");
    }
    assert_eq!(
        first("@id(\"a\") @tighter(\"amount_usd_cents lower\") permit (principal, action, resource);").code,
        "annotation_unknown"
    );
}

#[test]
fn every_problem_comes_with_advice_and_the_nearest_word() {
    for (text, said) in [
        ("@id(\"a\") permitt (principal, action, resource);".to_owned(), "did you mean `permit`?"),
        ("@id(\"a\") permit (principal, actoin, resource);".to_owned(), "did you mean `action`?"),
        (
            "@id(\"a\") permit (principal, action, resource) unles { true };".to_owned(),
            "did you mean `unless`?",
        ),
        ("@id(\"a\") permit (principal, action, resource)".to_owned(), "semicolon"),
        (
            "@id(\"a\") @reson(\"r\") @outcome(\"hold\") forbid (principal, action, resource);".to_owned(),
            "did you mean @reason?",
        ),
        (
            "@id(\"a\") @reason(\"r\") @outcome(\"holt\") forbid (principal, action, resource);".to_owned(),
            "did you mean @outcome(\"hold\")?",
        ),
        (hold("context.class == Class::\"unvuoched\""), "did you mean `Class::\"unvouched\"`?"),
        (hold("context.class == Class::\"zebra\""), "aged"),
        (hold("context.acount.age_hours < 3"), "account"),
        (hold("context.amount_usd_cnts < 3"), "amount_usd_cents"),
        (hold("context.asset == 3"), "both operands to a `==`"),
        (hold("false"), "mend it"),
    ] {
        let error = refuse(&text);
        assert!(error.problems.iter().all(|problem| problem.help.is_some()), "{error}");
        assert!(
            error.problems.iter().all(|problem| problem.line > 0 && !problem.to_string().contains("p#0")),
            "{error}"
        );
        assert!(
            error.problems.iter().any(|problem| problem.help.as_ref().unwrap().contains(said)),
            "{said}: {error}"
        );
    }
}

#[test]
fn ten_thousand_rules_are_refused() {
    let rule = |n: usize| format!("@id(\"{n}\")permit(principal,action,resource);");
    let files: Vec<(String, String)> = (0..4)
        .map(|file| (format!("{file}.cedar"), (0..2_500).map(|n| rule(file * 10_000 + n)).collect()))
        .collect();
    let error = compile_pack(&files).map(|pack| pack.program).unwrap_err();
    assert_eq!(error.code(), "too_many_policies");
    assert!(error.to_string().contains("10000 policies in one pack, and 4096 at most"), "{error}");
}

/// Texts that were policies, with bytes changed, doubled and cut: whatever they are now, they are refused or compiled.
#[test]
fn no_text_makes_the_compiler_or_the_layout_fail() {
    let text = format!(
        "// a\n{}{}",
        hold("[\"BTC\"].contains(context.asset) && -context.amount_usd_cents < 5"),
        "@id(\"o\") permit (principal, action, resource);"
    );
    let signs = [
        "\"",
        "\\",
        "(",
        ")",
        "{",
        "}",
        "//",
        "@",
        ";",
        "::",
        "-",
        "!",
        "\u{0}",
        "é",
        "9223372036854775808",
        "context.",
        "\n",
        "?principal",
    ];
    let mut seed = 7u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..400 {
        let mut broken = text.clone();
        for _ in 0..=random(3) {
            let at = (0..=random(broken.len())).rev().find(|at| broken.is_char_boundary(*at)).unwrap();
            match random(3) {
                0 => broken.insert_str(at, signs[random(signs.len())]),
                1 => {
                    broken = broken[..at].to_owned()
                        + &broken[broken[at..].char_indices().nth(1).map_or(broken.len(), |(n, _)| at + n)..]
                }
                _ => broken = broken[at..].to_owned() + &broken[..at],
            }
        }
        let compiled = compile_pack(&[("a.cedar".to_owned(), broken.clone())]);
        let laid = holdfast_cedar::fmt::format_text("a.cedar", &broken);
        let codes = [compiled.as_ref().err().map(PackError::code), laid.as_ref().err().map(PackError::code)];
        assert!(!codes.contains(&Some("policy_compiler_failed")), "{broken:?}");
        assert_eq!(
            codes[0] == Some("policy_syntax"),
            codes[1] == Some("policy_syntax"),
            "{broken:?} {codes:?}"
        );
        if let (Ok(pack), Ok(laid)) = (compiled, laid) {
            let again = compile_pack(&[("a.cedar".to_owned(), laid)]).unwrap();
            assert_eq!(again.program.policies(), pack.program.policies());
        }
    }
}
