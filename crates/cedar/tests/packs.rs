//! The shipped packs: frozen by hash, compiled, and judged by the cases beside them.

#![expect(clippy::panic, reason = "helpers of tests may fail loudly")]

use std::path::PathBuf;

use holdfast_cedar::judge::{case_files, run_cases_of_dir};
use holdfast_cedar::{CompiledPack, compile_pack, docs, fmt, load_dir};
use holdfast_policy::Program;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn pack(name: &str) -> CompiledPack {
    load_dir(root().join("policies").join(name)).unwrap_or_else(|error| panic!("{error}"))
}

/// What the drills and the demo judge is the very text that this names. Who changes a pack changes its hash here, and
/// looks again at whatever was judged by it.
#[test]
fn the_packs_are_frozen_by_hash() {
    for (name, hash) in [("baseline", BASELINE), ("limits-2019", LIMITS_2019), ("limits-24h", LIMITS_24H)] {
        let found: String = pack(name).hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, hash, "policies/{name} has changed");
    }
}

const BASELINE: &str = "5cb973a8ed0a777cff221553df0da9a03948fcc32b38a705c3a2604a95331d1e";
const LIMITS_2019: &str = "f697e24a3b1977ce2895be0033b9299ef8535fc26552deb088f31a0ed030bf38";
const LIMITS_24H: &str = "320f6189ddc8d4cbb205d95abcf1eb18b1a81e4f4b83319bcb6015576d57268b";

#[test]
fn every_case_beside_a_pack_comes_out_as_it_says() {
    for (name, at_least) in [("baseline", 40), ("limits-2019", 8), ("limits-24h", 12)] {
        let count = run_cases_of_dir(&pack(name).program, &root().join("policies").join(name));
        assert!(count.clone().unwrap_or_else(|error| panic!("{error}")) >= at_least, "{name}: {count:?}");
    }
}

#[test]
fn every_reason_of_a_pack_is_expected_by_a_case_and_every_file_says_what_it_is_for() {
    for name in ["baseline", "limits-2019", "limits-24h"] {
        let pack = pack(name);
        let cases: String = case_files(&root().join("policies").join(name))
            .unwrap()
            .into_iter()
            .map(|(_, text)| text)
            .collect();
        for policy in pack.program.policies() {
            if let Some(reason) = policy.meta.reason() {
                assert!(cases.contains(reason), "{name}: no case expects {reason}");
            }
        }
        assert!(pack.files.iter().all(|(_, text)| text.starts_with("// ")), "{name}");
    }
}

#[test]
fn compiled_packs_survive_their_bytes() {
    for name in ["baseline", "limits-2019", "limits-24h"] {
        let program = pack(name).program;
        assert_eq!(Program::from_bytes(&program.to_bytes()), Ok(program));
    }
}

#[test]
fn the_documented_facts_are_those_of_the_table() {
    let written = std::fs::read_to_string(root().join("docs/facts.md")).unwrap_or_default();
    assert!(written == docs::facts_markdown(), "run: holdfast policy schema --markdown > docs/facts.md");
}

#[test]
fn the_shipped_packs_stand_in_their_layout() {
    for name in ["baseline", "limits-2019", "limits-24h"] {
        let report = fmt::format_dir(&root().join("policies").join(name), true);
        assert!(report.ok, "{name}: {}", report.text);
    }
}

/// What compiles, one of each kind, in one pack that stays as it is.
const ONE_OF_EACH: &str = r#"@id("open")
permit (principal, action, resource);

@id("dwell") @outcome("dwell") @for("1h30m") @reason("a")
forbid (principal, action == Action::"withdraw", resource)
when { context.class == Class::"unvouched" && (context.amount_usd_cents >= 100000 || !context.destination.known) }
unless { context.approval.bound };

@id("code") @outcome("step_up") @factor("one_time_code") @reason("b")
@tighter("amount_usd_cents lower")
forbid (principal, action in [Action::"withdraw"], resource)
when { context.class in [Class::"aged", Class::"bound"] && context.amount_usd_cents > 5000 };

@id("hold") @outcome("hold") @reason("c")
forbid (principal, action == Action::"withdraw", resource)
when { ["BTC", "ETH"].contains(context.asset) && -context.amount_usd_cents + 3 * context.account.age_hours - 7 < 0 };

@id("deny") @outcome("deny") @reason("d")
forbid (principal, action == Action::"withdraw", resource)
when { if context.api_key.present then context.api_key.age_hours <= 2 else context.tier != "full" };
"#;

#[test]
fn packs_compile_to_the_same_bytes_for_as_long_as_the_compilers_version_stays() {
    let pack = compile_pack(&[("all.cedar".to_owned(), ONE_OF_EACH.to_owned())]).unwrap();
    let bytes: String = pack.program.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let name = holdfast_policy::pack::pack_hash([("program", bytes.as_str())]);
    let name: String = name.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        (holdfast_cedar::COMPILER, name.as_str()),
        (1, "ef875a635906803a"),
        "another program of the same text: give COMPILER the next number, and this test what comes out by it"
    );
}
