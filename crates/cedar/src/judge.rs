//! Cases: readable tables beside a pack (`*.cases`) that say what must come out of it, and their verdicts.
//!
//! A line is `path=value .. -> outcome reason ..`; what it does not say is as in an ordinary withdrawal. Where many lines
//! give the same facts, `columns: path path ..` names them once, and the lines after it give the values alone.

use std::fs;
use std::path::Path;

use holdfast_policy::{Action, Fact, Facts, Program, Value, explain};
use serde_json::{Value as Json, json};

use crate::cases::{Outcome, ordinary, parse_fact, parse_outcome, set};
use crate::load::{load_dir, read_limited};
use crate::problem::{PackError, Problem};
use crate::report::{Report, refused};

/// How the names of files with cases end.
pub const EXTENSION: &str = "cases";
/// The most cases of a pack.
pub const CASES_MAX: usize = 10_000;
/// The most files with cases.
const FILES_MAX: usize = 256;
/// What these files were called before a pack could have several.
const FORMER: &str = "cases.txt";
/// Begins the line that names columns.
const COLUMNS: &str = "columns:";
/// In a column: as in an ordinary withdrawal.
const AS_ORDINARY: &str = "_";

/// A case, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its line, from 1.
    pub line: usize,
    /// The facts that it gives, as `path=value`.
    pub given: Vec<String>,
    /// What must come out.
    pub expected: Outcome,
    /// What comes out.
    pub found: Outcome,
    /// The policies that take part in what comes out, permits that open among them.
    pub policies: Vec<String>,
}

impl Case {
    /// Whether it comes out as it must.
    pub fn holds(&self) -> bool {
        self.expected == self.found
    }
}

/// Judges every case in the text of a file.
///
/// # Errors
/// Every line that is no case.
pub fn judge(program: &Program, file: &str, text: &str) -> Result<Vec<Case>, PackError> {
    let (mut problems, mut cases, mut offset) = (Vec::new(), Vec::new(), 0usize);
    let mut columns: Vec<Fact> = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let content = line.split('#').next().unwrap_or_default();
        let start = offset + content.len() - content.trim_start().len();
        offset += line.len();
        let content = content.trim();
        if line.trim().is_empty() {
            // A table ends with an empty line.
            columns.clear();
        }
        if content.is_empty() {
            continue;
        }
        let wrong = |message: String| {
            let help = "write `path=value .. -> outcome reason ..`, or values below `columns: path ..`";
            Problem::at("case_syntax", (file, text), (start, content.len()), message).help(help)
        };
        if let Some(paths) = content.strip_prefix(COLUMNS) {
            match paths.split_whitespace().map(column).collect() {
                Ok(named) => columns = named,
                Err(message) => problems.push(wrong(message)),
            }
            continue;
        }
        match case(program, number, content, &columns) {
            Ok(case) => cases.push(case),
            Err(message) => problems.push(wrong(message)),
        }
        if cases.len() + problems.len() > CASES_MAX {
            let message = format!("more than {CASES_MAX} cases");
            return Err(Problem::of_file("cases_too_many", file, message).help("split the pack").into());
        }
    }
    PackError::unless_empty(problems).map(|()| cases)
}

fn column(path: &str) -> Result<Fact, String> {
    match Fact::from_path(path) {
        Some(fact) => Ok(fact),
        // Says which fact may have been meant.
        None => {
            Err(parse_fact(&format!("{path}=")).map_or_else(|error| error.to_string(), |_| String::new()))
        }
    }
}

fn case(program: &Program, line: usize, content: &str, columns: &[Fact]) -> Result<Case, String> {
    let (given, expected) =
        content.split_once("->").ok_or_else(|| "a case has `->` before its outcome".to_owned())?;
    let expected = parse_outcome(expected).ok_or_else(|| {
        "the outcome is allow, dwell SPAN, step_up FACTOR, hold or deny, then its reasons".to_owned()
    })?;
    let (mut words, mut values) = (Vec::new(), 0usize);
    for word in given.split_whitespace() {
        if word.contains('=') {
            words.push(word.to_owned());
            continue;
        }
        let column = match columns.get(values) {
            Some(column) => column,
            None if columns.is_empty() => return Err(format!("{word:?} is not path=value")),
            None => return Err(format!("{word:?} is one value more than there are columns")),
        };
        values += 1;
        if word != AS_ORDINARY {
            words.push(format!("{}={word}", column.path()));
        }
    }
    if values < columns.len() {
        return Err(format!("{values} values for {} columns: `_` is as usual", columns.len()));
    }
    let mut facts = ordinary();
    for word in &words {
        let (fact, value) = parse_fact(word).map_err(|error| error.to_string())?;
        set(&mut facts, fact, value);
    }
    let found = Outcome::of(program, Action::Withdraw, &facts);
    let policies = taking_part(program, &facts);
    Ok(Case { line, given: words, expected, found, policies })
}

fn taking_part(program: &Program, facts: &Facts<'_>) -> Vec<String> {
    explain::explain(program, Action::Withdraw, facts)
        .iter()
        .map(|part| match part.error {
            Some(error) => format!("{} ({error})", part.policy.id),
            None => part.policy.id.to_string(),
        })
        .collect()
}

/// Runs the cases in the text against the program. Answers how many there are; every failure is a problem.
///
/// # Errors
/// Every line that is no case, or, if all are, every case that does not hold.
pub fn run_cases(program: &Program, file: &str, text: &str) -> Result<usize, PackError> {
    let cases = judge(program, file, text)?;
    let problems = cases.iter().filter(|case| !case.holds()).map(|case| {
        let (offset, length) = place(text, case.line);
        let message = format!("expected `{}`, but the pack says `{}`", case.expected, case.found);
        let help = match &*case.policies {
            [] => "no policy takes part in it".to_owned(),
            policies => format!("these policies take part: {}", policies.join(", ")),
        };
        Problem::at("case_failed", (file, text), (offset, length), message).help(help)
    });
    PackError::unless_empty(problems.collect()).map(|()| cases.len())
}

/// Where the content of a line stands.
fn place(text: &str, line: usize) -> (usize, usize) {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let content = text.get(before..).and_then(|rest| rest.lines().next()).unwrap_or_default().trim_end();
    let indent = content.len() - content.trim_start().len();
    (before + indent, content.len() - indent)
}

/// The files with cases beside a pack, sorted by name.
///
/// # Errors
/// If one cannot be read, or there are too many.
pub fn case_files(path: &Path) -> Result<Vec<(String, String)>, PackError> {
    let unreadable = |what: &Path, error: &dyn core::fmt::Display| {
        let message = format!("cannot read {}: {error}", what.display());
        Problem::of_pack("pack_unreadable", message).help("name the directory of a pack")
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| unreadable(path, &error))? {
        let file = entry.map_err(|error| unreadable(path, &error))?.path();
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if name == FORMER {
            let message =
                format!("{FORMER} is not read: cases are in files whose names end with .{EXTENSION}");
            return Err(Problem::of_file("cases_misnamed", FORMER, message)
                .help(format!("rename it, to pack.{EXTENSION} for instance"))
                .into());
        }
        if file.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        if files.len() == FILES_MAX {
            let message = format!("more than {FILES_MAX} files with cases");
            return Err(Problem::of_pack("cases_too_many", message).help("join some of them").into());
        }
        let text = read_limited(&file).map_err(|error| unreadable(&file, &error))?;
        files.push((name, text));
    }
    files.sort();
    Ok(files)
}

/// Runs the cases beside a pack; a pack without any has 0.
///
/// # Errors
/// As [`run_cases`], over all files, and [`case_files`].
pub fn run_cases_of_dir(program: &Program, path: &Path) -> Result<usize, PackError> {
    let (mut count, mut problems) = (0usize, Vec::new());
    for (name, text) in case_files(path)? {
        match run_cases(program, &name, &text) {
            Ok(some) => count = count.saturating_add(some),
            Err(mut error) => problems.append(&mut error.problems),
        }
    }
    PackError::unless_empty(problems).map(|()| count)
}

/// `holdfast policy test`: the cases beside a pack alone, with a table of those that fail.
pub fn test_dir(path: &Path) -> Report {
    let judged = load_dir(path).and_then(|pack| {
        let files = case_files(path)?;
        files.into_iter().map(|(name, text)| Ok((judge(&pack.program, &name, &text)?, name))).collect()
    });
    let judged: Vec<(Vec<Case>, String)> = match judged {
        Ok(judged) => judged,
        Err(error) => return refused(&error),
    };
    let (mut text, mut failures, mut count) = (String::new(), Vec::new(), 0usize);
    for (cases, file) in &judged {
        count = count.saturating_add(cases.len());
        for case in cases.iter().filter(|case| !case.holds()) {
            let facts =
                if case.given.is_empty() { "an ordinary withdrawal".into() } else { case.given.join(" ") };
            text.push_str(&format!(
                "{file}:{}\n  facts     {facts}\n  expected  {}\n  found     {}\n  policies  {}\n\n",
                case.line,
                case.expected,
                case.found,
                case.policies.join(", ")
            ));
            failures.push(failure_json(file, case));
        }
    }
    let ok = failures.is_empty() && count > 0;
    text.push_str(&match (failures.len(), count) {
        (_, 0) => format!("no cases: put some into a file NAME.{EXTENSION} beside the pack\n"),
        (0, 1) => "the one case holds\n".to_owned(),
        (0, count) => format!("all {count} cases hold\n"),
        (failed, count) => format!("{failed} of {count} cases failed\n"),
    });
    Report { ok, text, json: json!({ "ok": ok, "cases": count, "failures": failures }) }
}

fn failure_json(file: &str, case: &Case) -> Json {
    let facts: serde_json::Map<String, Json> = case
        .given
        .iter()
        .filter_map(|word| parse_fact(word).ok())
        .map(|(fact, value)| (fact.path().to_owned(), value_json(value)))
        .collect();
    let outcome = |outcome: &Outcome| {
        let degree = outcome.degree.map_or_else(|| "allow".to_owned(), |degree| degree.to_string());
        json!({ "outcome": degree, "reasons": outcome.reasons })
    };
    json!({
        "file": file,
        "line": case.line,
        "facts": facts,
        "expected": outcome(&case.expected),
        "found": outcome(&case.found),
        "policies": case.policies,
    })
}

fn value_json(value: Value<'_>) -> Json {
    match value {
        Value::Unset => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Long(value) => json!(value),
        Value::Text(value) => json!(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_fails_names_its_line_both_outcomes_and_who_took_part() {
        let program = Program::permit_all();
        assert_eq!(run_cases(&program, "a.cases", "# x\n\n-> allow # y\n"), Ok(1));
        let text = "-> allow\n  price.stale=true -> hold price_stale\n";
        let error = run_cases(&program, "a.cases", text).unwrap_err();
        let problem = &error.problems[0];
        assert_eq!((problem.line, problem.column, problem.code), (2, 3, "case_failed"));
        for said in ["expected `hold price_stale`, but the pack says `allow`", "take part: permit-all"] {
            assert!(error.to_string().contains(said), "{error}");
        }
        for bad in ["allow", "-> maybe", "-> dwell", "x=1 -> allow", "true -> allow", "-> step_up pigeon"] {
            let error = run_cases(&program, "a.cases", bad).unwrap_err();
            assert_eq!((error.code(), error.problems[0].help.is_some()), ("case_syntax", true), "{bad}");
        }
    }

    #[test]
    fn columns_name_facts_once_until_an_empty_line() {
        let program = Program::permit_all();
        let text = "columns: price.stale  class # two\n true aged -> allow\n _ bound asset=ETH -> hold x\n";
        let cases = judge(&program, "a", text).unwrap();
        assert_eq!(cases[0].given, ["price.stale=true", "class=aged"]);
        assert_eq!(
            (cases[1].line, &*cases[1].given),
            (3, &["class=bound".to_owned(), "asset=ETH".to_owned()][..])
        );
        assert_eq!(cases.iter().map(Case::holds).collect::<Vec<_>>(), [true, false]);
        for (bad, said) in [
            ("columns: price.stale\ntrue false -> allow", "one value more"),
            ("columns: price.stale class\ntrue -> allow", "1 values for 2 columns"),
            ("columns: price.stal\n", "did you mean price.stale?"),
            ("columns: price.stale\nyes -> allow", "takes true or false"),
            ("columns: price.stale\n\ntrue -> allow", "is not path=value"),
        ] {
            let error = judge(&program, "a", bad).unwrap_err().to_string();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }
}
