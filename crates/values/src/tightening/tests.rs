//! What is a tightening, and what only looks like one.

use proptest::prelude::*;

use super::*;

const BASE: &str = r#"// Large and unvouched: a person looks.
@id("large")
@outcome("hold") @reason("large_amount")
@tighter("amount_usd_cents lower, account.age_hours higher")
forbid (principal, action == Action::"withdraw", resource)
when { context.amount_usd_cents > 10000000 && (context.account.age_hours < 720 || context.risk >= 90) }
unless { context.approval.bound };

@id("slow")
@outcome("dwell") @for("1h") @reason("new_destination")
forbid (principal, action == Action::"withdraw", resource)
when { !context.destination.known };

@id("open")
permit (principal, action == Action::"withdraw", resource)
when { context.tier != "closed" && context.amount_usd_cents <= 500 };
"#;

const OVERLAY: &str = r#"// Since this morning.
@id("stop-minors") @outcome("deny") @reason("sanctions")
forbid (principal, action == Action::"withdraw", resource)
when { context.destination.risk >= 40 && context.account.country == "XX" }
unless { context.tier == "internal" };
"#;

fn pack(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn check_texts(from: &str, to: &str) -> Result<(), &'static str> {
    check(&pack(&[("a.cedar", from)]), &pack(&[("a.cedar", to)])).map_err(|loosens| loosens.code())
}

fn with_overlay(overlay: &str) -> Result<(), &'static str> {
    let to = pack(&[("a.cedar", BASE), ("now.cedar", overlay)]);
    check(&pack(&[("a.cedar", BASE)]), &to).map_err(|loosens| loosens.code())
}

/// The base with one place changed.
fn changed(from: &str, to: &str) -> Result<(), &'static str> {
    assert_eq!(BASE.matches(from).count(), 1, "{from} stands once");
    check_texts(BASE, &BASE.replace(from, to))
}

#[test]
fn what_is_plainly_tighter_passes() {
    for (from, to) in [
        ("> 10000000", "> 9999999"),
        ("> 10000000", "> 0"),
        ("< 720", "< 8760"),
        ("\"1h\"", "\"1h30m\""),
        ("\"1h\"", "\"2d\""),
        ("// Large and unvouched: a person looks.", "// Större än så: någon tittar. /* */ \" permit"),
        ("\nwhen { !context", "\n\twhen // since May\n { !context"),
    ] {
        assert_eq!(changed(from, to), Ok(()), "{from} -> {to}");
    }
    assert_eq!(check_texts(BASE, BASE), Ok(()));
    assert_eq!(with_overlay(OVERLAY), Ok(()));
    assert_eq!(with_overlay("// nothing yet\n"), Ok(()));
    assert_eq!(with_overlay("forbid (principal, action, resource);"), Ok(()), "everything stops");
}

#[test]
fn what_loosens_under_another_name_is_refused() {
    for (from, to, code) in [
        // Numbers.
        ("> 10000000", "> 10000001", "tightening_number_wrong_way"),
        ("< 720", "< 719", "tightening_number_wrong_way"),
        ("< 720", "< 0720", "tightening_number_undeclared"),
        ("< 720", "< 99999999999999999999", "tightening_number_undeclared"),
        ("< 720", "< 9223372036854775808", "tightening_number_undeclared"),
        (">= 90", ">= 40", "tightening_number_undeclared"),
        ("<= 500", "<= 400", "tightening_number_undeclared"),
        ("> 10000000", ">= 10000000", "tightening_changed"),
        ("> 10000000", "> -1", "tightening_changed"),
        ("10000000", "10000000 * 2", "tightening_changed"),
        // Strings and annotations.
        ("\"closed\"", "\"Closed\"", "tightening_changed"),
        ("\"hold\"", "\"dwell\"", "tightening_changed"),
        ("\"large_amount\"", "\"large\"", "tightening_changed"),
        ("lower, account", "higher, account", "tightening_changed"),
        ("\"1h\"", "\"59m\"", "tightening_span_shorter"),
        ("\"1h\"", "\"0h\"", "tightening_changed"),
        ("\"1h\"", "\"1h \"", "tightening_changed"),
        ("\"1h\"", "\"1h\\u{0}\"", "tightening_changed"),
        // Words and signs.
        (
            "forbid (principal, action == Action::\"withdraw\", resource)\nwhen { !context",
            "permit (principal, action == Action::\"withdraw\", resource)\nwhen { !context",
            "tightening_changed",
        ),
        ("context.risk >= 90", "context.amount_usd_cents >= 90", "tightening_changed"),
        ("|| context.risk", "&& context.risk", "tightening_changed"),
        ("when { !context", "unless { !context", "tightening_changed"),
        // Less, and more.
        ("unless { context.approval.bound };", ";", "tightening_changed"),
        (
            "when { !context.destination.known };",
            "when { !context.destination.known } unless { true };",
            "tightening_changed",
        ),
        (
            "when { !context.destination.known };",
            "when { !context.destination.known && false };",
            "tightening_changed",
        ),
        // Comments.
        ("// Large and unvouched: a person looks.", "/* Large */", "tightening_block_comment"),
        ("// Large and unvouched: a person looks.\n", "// Large\r", "tightening_carriage_return"),
        (
            "// Large and unvouched: a person looks.\n@id(\"large\")",
            "// Large @id(\"large\")",
            "tightening_changed",
        ),
        ("when { !context.destination.known };", "when { !context.destination.known // };\n };", "x"),
        // Characters that some read as spaces.
        ("when { !context", "when\u{a0}{ !context", "tightening_character"),
        ("when { !context", "when\u{b}{ !context", "tightening_character"),
        ("when { !context", "when\u{2028}{ !context", "tightening_character"),
        ("when { !context", "when\u{200b}{ !context", "tightening_character"),
        ("context.tier", "cоntext.tier", "tightening_character"),
        ("\"closed\"", "\"closed", "tightening_string_unterminated"),
        ("\"1h\"", "'1h'", "tightening_character"),
        ("!= \"closed\"", "= \"closed\"", "tightening_character"),
        ("720", "720x", "tightening_malformed"),
    ] {
        let answer = changed(from, to);
        if code == "x" {
            // The comment hides nothing: the same tokens stand outside it.
            assert_eq!(answer, Ok(()), "{from} -> {to}");
        } else {
            assert_eq!(answer, Err(code), "{from} -> {to}");
        }
    }
    assert_eq!(check_texts(BASE, ""), Err("tightening_length"));
    let without_slow: String = {
        let start = BASE.find("@id(\"slow\")").unwrap();
        let end = BASE.find("@id(\"open\")").unwrap();
        format!("{}{}", &BASE[..start], &BASE[end..])
    };
    assert!(check_texts(BASE, &without_slow).is_err(), "a forbid was removed");
    assert_eq!(check_texts(&without_slow, BASE).map_err(|_| ()), Err(()), "even one added belongs elsewhere");
    assert_eq!(check_texts(BASE, &format!("{BASE}{OVERLAY}")), Err("tightening_length"));
}

#[test]
fn a_new_file_holds_forbids_and_nothing_else() {
    for (overlay, code) in [
        ("permit (principal, action, resource);", "tightening_not_forbid"),
        ("forbid (principal, action, resource) when { context.permit };", "tightening_not_forbid"),
        ("@permit(\"x\") forbid (principal, action, resource);", "tightening_not_forbid"),
        ("// forbid\npermit(principal, action, resource);", "tightening_not_forbid"),
        (
            "//\u{2028}\nforbid (principal, action, resource);permit(principal,action,resource);",
            "tightening_not_forbid",
        ),
        ("@reason(\"a\\\"b\") forbid (principal, action, resource);", "tightening_escape"),
        (
            "@id(\"x\") forbid (principal, action, resource) when { context.s == \"\\u{70}\" };",
            "tightening_escape",
        ),
        ("/* */ forbid (principal, action, resource);", "tightening_block_comment"),
        ("forbid (principal, action, resource)", "tightening_malformed"),
        ("forbid (principal, action, resource) when { ( };", "tightening_malformed"),
        ("forbid (principal, action, resource) when { } ; }", "tightening_malformed"),
        ("forbid", "tightening_malformed"),
        ("@id(\"x\")", "tightening_malformed"),
        ("namespace A { }", "tightening_malformed"),
        ("forbid (principal == ?principal, action, resource);", "tightening_character"),
        (
            "forbid (principal, action, resource);\r\npermit (principal, action, resource);",
            "tightening_carriage_return",
        ),
        ("@id(\"x) forbid (principal, action, resource);", "tightening_string_unterminated"),
    ] {
        assert_eq!(with_overlay(overlay), Err(code), "{overlay}");
    }
}

#[test]
fn files_are_compared_by_name() {
    let base = pack(&[("a.cedar", BASE)]);
    let code = |to: &[(&str, &str)]| check(&base, &pack(to)).map_err(|loosens| loosens.code());
    assert_eq!(code(&[("b.cedar", BASE)]), Err("tightening_file_missing"));
    assert_eq!(code(&[]), Err("tightening_file_missing"));
    assert_eq!(code(&[("a.cedar", BASE), ("a.cedar", OVERLAY)]), Err("tightening_file_twice"));
    let extra = [("a.cedar", BASE), ("b.cedar", "permit (principal, action, resource);")];
    assert_eq!(code(&extra), Err("tightening_not_forbid"));
    // A tightened pack is itself what the next tightening starts from.
    let now = pack(&[("a.cedar", BASE), ("now.cedar", OVERLAY)]);
    assert_eq!(check(&now, &base).map_err(|loosens| loosens.code()), Err("tightening_file_missing"));
}

#[test]
fn a_number_moves_only_where_its_comparison_decides_alone_which_way_is_tighter() {
    let forbid = |tighter: &str, clauses: &str| {
        format!("@id(\"x\") @tighter(\"{tighter}\") forbid (principal, action, resource) {clauses};")
    };
    let moves = |tighter: &str, clauses: &str| {
        let text = forbid(tighter, clauses);
        movable("a.cedar", &text)
            .unwrap()
            .into_iter()
            .map(|one| (one.path, one.direction, one.value))
            .collect::<Vec<_>>()
    };
    let lower = |value| vec![("n".to_owned(), Direction::Lower, value)];
    let higher = |value| vec![("n".to_owned(), Direction::Higher, value)];
    assert_eq!(moves("n lower", "when { context.n > 5 }"), lower(5));
    assert_eq!(moves("n higher", "when { context.n <= 5 }"), higher(5));
    assert_eq!(moves("n higher", "unless { context.n > 5 }"), higher(5));
    assert_eq!(moves("n lower", "when { ((context.a || (context.n >= 5))) }"), lower(5));
    for (tighter, clauses) in [
        ("n higher", "when { context.n > 5 }"),
        ("n lower", "when { context.n < 5 }"),
        ("n lower", "unless { context.n > 5 }"),
        ("n lower", "when { !(context.n > 5) }"),
        ("n lower", "when { (context.n > 5) == false }"),
        ("n lower", "when { false == (context.n > 5) }"),
        ("n lower", "when { context.n > 5 * context.m }"),
        ("n lower", "when { context.n > 5 + 1 }"),
        ("n lower", "when { context.m - context.n > 5 }"),
        ("n lower", "when { context.m.n > 5 }"),
        ("n lower", "when { principal.context.n > 5 }"),
        ("n lower", "when { if context.n > 5 then false else true }"),
        ("n lower", "when { if context.a && context.n > 5 && context.b then false else true }"),
        ("n lower", "when { [context.n > 5].contains(false) }"),
        ("n lower", "when { {a: context.n > 5}.a == false }"),
        ("n lower", "when { context.f(context.n > 5) }"),
        ("n lower", "when { context.n == 5 }"),
        ("n lower", "when { 5 < context.n }"),
        ("n lower", "when { context.n > -5 }"),
        // What overflows is a hold; a dwell whose number moved could keep it from being read.
        ("n lower", "when { context.n > 5 || context.m * 1000000 > 7 }"),
        ("n lower", "when { context.n > 5 } unless { context.m - 1 > 7 }"),
        ("n higher", "unless { context.n > 5 && context.m + context.l > 7 }"),
        ("m lower", "when { context.n > 5 }"),
        ("n  down", "when { context.n > 5 }"),
        ("n lower, n higher", "when { context.n > 5 }"),
    ] {
        assert_eq!(moves(tighter, clauses), [], "{tighter}: {clauses}");
    }
    let permit =
        "@id(\"x\") @tighter(\"n lower\") permit (principal, action, resource) when { context.n > 5 };";
    assert_eq!(movable("a.cedar", permit).unwrap(), []);
    let twice = "@tighter(\"n lower\") @tighter(\"n lower\") forbid (principal, action, resource) when { context.n > 5 };";
    assert_eq!(movable("a.cedar", twice).unwrap(), []);
}

#[test]
fn what_is_wrong_is_named_with_file_line_and_policy() {
    let to = BASE.replace("< 720", "< 700");
    let loosens = check(&pack(&[("a.cedar", BASE)]), &pack(&[("a.cedar", &to)])).unwrap_err();
    assert_eq!(loosens.to_string(), "a.cedar:6 (large): 720 became 700, and only higher is tighter here");
    let to = BASE.replace("\"1h\"", "\"1m\"");
    let loosens = check(&pack(&[("a.cedar", BASE)]), &pack(&[("a.cedar", &to)])).unwrap_err();
    assert_eq!(
        loosens.to_string(),
        "a.cedar:10 (slow): @for(\"1h\") became @for(\"1m\"): a span may only grow"
    );
}

#[test]
fn declarations_are_read_in_one_way() {
    let read = |text| declarations(text);
    assert_eq!(read("a.b lower"), Some(vec![("a.b".to_owned(), Direction::Lower)]));
    assert_eq!(read("a lower, b higher").map(|list| list.len()), Some(2));
    for wrong in [
        "",
        "a",
        "a lower,",
        "a. lower",
        ".a lower",
        "a-b lower",
        "a Lower",
        "a lower higher",
        "a lower, a lower",
    ] {
        assert_eq!(read(wrong), None, "{wrong:?}");
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_answered(from in "\\PC*", to in "\\PC*") {
        let _answer = check_texts(&from, &to);
        let _numbers = movable("a.cedar", &from);
    }

    #[test]
    fn whatever_is_changed_in_place_passes_only_as_a_number_or_a_span(at in 0..BASE.len(), byte in 0u8..128) {
        let mut bytes = BASE.as_bytes().to_vec();
        bytes[at] = byte;
        let to = String::from_utf8(bytes).unwrap();
        if check_texts(BASE, &to).is_ok() {
            let tokens = |text: &str| {
                let read = token::tokens(text).ok().unwrap();
                read.iter().map(|token| (token.kind, token.text.to_owned())).collect::<Vec<_>>()
            };
            for ((kind, was), (_, is)) in tokens(BASE).into_iter().zip(tokens(&to)) {
                let is_same = was == is;
                let is_number = kind == Kind::Integer && ["10000000", "720"].contains(&was.as_str());
                let is_span = was == "\"1h\"";
                prop_assert!(is_same || is_number || is_span, "{was} -> {is}");
            }
        }
    }
}
