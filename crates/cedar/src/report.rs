//! What `holdfast policy check` and `holdfast policy explain` say, as text for people and as JSON for machines.

use core::fmt::Write as _;
use std::path::Path;

use holdfast_policy::explain::{Part, explain};
use holdfast_policy::{Action, Effect, Program};
use serde_json::{Value as Json, json};

use crate::cases::{Outcome, ordinary, parse_fact, set};
use crate::judge::{EXTENSION, run_cases_of_dir};
use crate::load::load_dir;
use crate::problem::{PackError, Problem};

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
/// why.
pub fn explain_dir(path: &Path, given: &[String]) -> Report {
    match load_dir(path) {
        Ok(pack) => explain_program(&pack.program, given),
        Err(error) => refused(&error),
    }
}

/// As [`explain_dir`], for a program that stands.
pub fn explain_program(program: &Program, given: &[String]) -> Report {
    let mut facts = ordinary();
    let mut problems = Vec::new();
    for one in given {
        match parse_fact(one) {
            Ok((fact, value)) => set(&mut facts, fact, value),
            Err(error) => problems.push(Problem::of_pack("fact_invalid", error.to_string())),
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
fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
