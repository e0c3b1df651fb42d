//! What `holdfast policy check` and `holdfast policy explain` say, as text for people and as JSON for machines.

use core::fmt::Write as _;
use std::path::Path;

use holdfast_policy::explain::{Part, explain};
use holdfast_policy::{Action, Effect, Program};
use serde_json::{Value as Json, json};

use crate::cases::{Outcome, ordinary, parse_fact, set};
use crate::judge::{EXTENSION, run_cases_of_dir};
use crate::load::{load_dir, read_limited};
use crate::problem::{PackError, Problem};
use crate::suggest;

/// A report in both forms.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Whether all is well.
    pub ok: bool,
    /// For people.
    pub text: String,
    /// For machines.
    pub json: Json,
}

/// Parses, validates, lints and compiles the pack in the directory and runs the cases beside it.
pub fn check_dir(path: &Path) -> Report {
    let pack = match load_dir(path) {
        Ok(pack) => pack,
        Err(error) => return refused(&error),
    };
    let hash = hex(&pack.hash);
    let cases = match run_cases_of_dir(&pack.program, path) {
        Ok(cases) => cases,
        Err(error) => return refused(&error),
    };
    let (policies, files) = (pack.program.len(), pack.files.len());
    let mut text = format!(
        "{}: {policies} {} in {files} {}, {}\nhash {hash}\n",
        path.display(),
        if policies == 1 { "policy" } else { "policies" },
        if files == 1 { "file" } else { "files" },
        match cases {
            0 => format!("no cases (put some into a file NAME.{EXTENSION})"),
            1 => "1 case".to_owned(),
            many => format!("{many} cases"),
        }
    );
    for policy in pack.program.policies() {
        let _ = writeln!(text, "  {:24} {}", policy.meta.id, effect_text(&policy.meta.effect));
    }
    let listed: Vec<Json> = pack
        .program
        .policies()
        .iter()
        .map(|policy| effect_json(&policy.meta.id, &policy.meta.effect))
        .collect();
    Report {
        ok: true,
        text,
        json: json!({ "ok": true, "hash": hash, "policies": listed, "cases": cases, "problems": [] }),
    }
}

/// Says what the pack in the directory makes of an ordinary withdrawal with the given facts changed (`path=value`), and
/// why. Facts of the file come first: a line each as in a case, or what `--json` prints of one.
pub fn explain_dir(path: &Path, file: Option<&Path>, given: &[String]) -> Report {
    let mut all = Vec::new();
    if let Some(file) = file {
        match read_limited(file) {
            Ok(text) => all.extend(facts_in(&text)),
            Err(error) => {
                let message = format!("cannot read {}: {error}", file.display());
                let problem = Problem::of_pack("facts_unreadable", message);
                return refused(&problem.help("name a file with a path=value on each line").into());
            }
        }
    }
    all.extend_from_slice(given);
    match load_dir(path) {
        Ok(pack) => explain_program(&pack.program, &all),
        Err(error) => refused(&error),
    }
}

/// The facts in a text: of JSON, the object itself or its `facts`; else every word before a `->` or `#`.
fn facts_in(text: &str) -> Vec<String> {
    if let Ok(json) = serde_json::from_str::<Json>(text) {
        let of = json.get("facts").unwrap_or(&json).as_object();
        return of
            .into_iter()
            .flatten()
            .map(|(path, value)| match value {
                Json::Null => format!("{path}=unset"),
                Json::String(text) => format!("{path}={text}"),
                other => format!("{path}={other}"),
            })
            .collect();
    }
    let before = |line: &'_ str, sign: &str| line.split(sign).next().unwrap_or_default().trim().to_owned();
    text.lines()
        .map(|line| before(&before(line, "#"), "->"))
        .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// As [`explain_dir`], for a program that stands.
pub fn explain_program(program: &Program, given: &[String]) -> Report {
    let mut facts = ordinary();
    let mut problems = Vec::new();
    for one in given {
        match parse_fact(one) {
            Ok((fact, value)) => set(&mut facts, fact, value),
            Err(error) => problems.push(
                Problem::of_pack("fact_invalid", error.to_string())
                    .help("give path=value, such as amount_usd_cents=5_000: docs/facts.md lists the facts"),
            ),
        }
    }
    if let Err(error) = PackError::unless_empty(problems) {
        return refused(&error);
    }
    let outcome = Outcome::of(program, Action::Withdraw, &facts);
    let parts = explain(program, Action::Withdraw, &facts);
    let degree = outcome.degree.map_or_else(|| "allow".to_owned(), |degree| degree.to_string());
    let mut text = format!("outcome: {degree}\n");
    if !outcome.reasons.is_empty() {
        let _ = writeln!(text, "reasons: {}", outcome.reasons.join(" "));
    }
    for Part { policy, error, grounds } in &parts {
        let _ = writeln!(text, "\n{}: {}", policy.id, effect_text(&policy.effect));
        if let Some(error) = error {
            let _ = writeln!(text, "  cannot be evaluated: {error}");
        }
        for ground in grounds {
            let _ = writeln!(text, "  {ground}");
        }
    }
    let told: Vec<Json> = parts
        .iter()
        .map(|part| {
            let mut told = effect_json(&part.policy.id, &part.policy.effect);
            let grounds: Vec<Json> = part
                .grounds
                .iter()
                .map(|ground| {
                    let observed: serde_json::Map<String, Json> = ground
                        .observed
                        .iter()
                        .map(|(fact, value)| (fact.path().to_owned(), json!(value)))
                        .collect();
                    json!({ "holds": ground.holds, "observed": observed })
                })
                .collect();
            if let Some(fields) = told.as_object_mut() {
                fields.insert("error".to_owned(), json!(part.error.map(|error| error.to_string())));
                fields.insert("grounds".to_owned(), json!(grounds));
            }
            told
        })
        .collect();
    let json = json!({ "ok": true, "outcome": degree, "reasons": outcome.reasons, "policies": told, "hash": hex(&program.hash()) });
    Report { ok: true, text, json }
}

pub(crate) fn refused(error: &PackError) -> Report {
    let error = &suggest::complete(error.clone());
    let problems: Vec<Json> = error.problems.iter().map(problem_json).collect();
    let count = error.problems.len();
    let text = format!("{error}\n\n{count} {}\n", if count == 1 { "problem" } else { "problems" });
    Report { ok: false, text, json: json!({ "ok": false, "problems": problems }) }
}

fn problem_json(problem: &Problem) -> Json {
    json!({
        "code": problem.code,
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "policy": problem.policy,
        "message": problem.message,
        "help": problem.help,
    })
}

fn effect_text(effect: &Effect) -> String {
    match effect {
        Effect::Permit => "permit".to_owned(),
        Effect::Forbid { degree, reason } => format!("{degree}, {reason}"),
    }
}

fn effect_json(id: &str, effect: &Effect) -> Json {
    match effect {
        Effect::Permit => json!({ "id": id, "effect": "permit" }),
        Effect::Forbid { degree, reason } => {
            json!({ "id": id, "effect": "forbid", "outcome": degree.to_string(), "reason": &**reason })
        }
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read_from_lines_cases_and_json() {
        let listed = ["price.stale=true".to_owned(), "asset=ETH".to_owned()];
        for text in [
            "# why\nprice.stale=true\r\n\n asset=ETH # x\n",
            "price.stale=true asset=ETH -> hold price_stale",
            r#"{"asset": "ETH", "price.stale": true}"#,
            r#"{"line": 3, "facts": {"price.stale": true, "asset": "ETH"}}"#,
        ] {
            let mut found = facts_in(text);
            found.sort_by(|a, b| b.cmp(a));
            assert_eq!(found, listed, "{text}");
        }
        assert_eq!(facts_in(r#"{"price.stale": null}"#), ["price.stale=unset"]);
        let report = explain_program(&Program::permit_all(), &facts_in("price.stal=true\nrubbish"));
        assert!(!report.ok && report.text.contains("did you mean price.stale?"), "{}", report.text);
        assert!(report.text.contains("is not path=value"), "{}", report.text);
    }
}
