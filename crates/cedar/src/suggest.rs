//! What to do about a problem that came without advice: the nearest word where one was misspelt, else where to look.

use holdfast_policy::Enumeration;

use crate::cases::{nearest, nearest_of};
use crate::problem::{PackError, Problem};

/// The words of policies.
const WORDS: [&str; 17] = [
    "permit",
    "forbid",
    "when",
    "unless",
    "principal",
    "action",
    "resource",
    "context",
    "if",
    "then",
    "else",
    "in",
    "true",
    "false",
    "contains",
    "Class",
    "Channel",
];

/// Gives every problem advice.
pub(crate) fn complete(mut error: PackError) -> PackError {
    for problem in &mut error.problems {
        let near = match problem.code {
            "policy_syntax" => word_at(problem).and_then(misspelt).map(str::to_owned),
            "policy_type" => member(problem),
            _ => None,
        };
        let lead = near.map(|near| format!("did you mean `{near}`?"));
        problem.help = match (lead, problem.help.take()) {
            // It was here before.
            (Some(lead), Some(help)) if help.starts_with(&lead) => Some(help),
            (Some(lead), Some(help)) => Some(format!("{lead} {help}")),
            (Some(lead), None) => Some(lead),
            (None, Some(help)) => Some(help),
            (None, None) => advice(problem),
        };
    }
    error
}

fn advice(problem: &Problem) -> Option<String> {
    let said = match problem.code {
        "policy_syntax" => "docs/policy.md shows the form of a rule; each ends with a semicolon",
        "policy_type" => match path(problem) {
            Some(near) => return Some(near),
            None => {
                "docs/facts.md lists the facts with their types: both sides of a comparison have the same"
            }
        },
        "policy_suspicious" => {
            "a condition that can never hold, or look-alike characters: mend it, or take it out"
        }
        "too_many_policies" => "generalise the rules, with [..].contains(..) for instance, or split the pack",
        "file_too_large" | "pack_too_large" => "split the file, or generalise the rules",
        "file_name_duplicate" => "rename one of them",
        "policy_compiler_failed" => "nothing was changed: try again, and report it with the pack if it stays",
        "pack_unreadable" => "name a directory of plain UTF-8 files that you may read",
        "more_problems" => return None,
        _ => "docs/policy.md says what a pack may be",
    };
    Some(said.to_owned())
}

/// The word that the problem points at.
fn word_at(problem: &Problem) -> Option<String> {
    let (line, _) = problem.snippet.as_ref()?;
    let rest: String = line.chars().skip(problem.column.saturating_sub(1)).collect();
    let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (word.len() > 2).then_some(word)
}

fn misspelt(word: String) -> Option<&'static str> {
    nearest_of(&word, WORDS.into_iter()).filter(|near| *near != word)
}

/// The word that may have been meant by `Class::"unvuoched"`, or by another that its enumeration lacks.
fn member(problem: &Problem) -> Option<String> {
    for enumeration in Enumeration::ALL {
        let lead = format!("{}::\"", enumeration.name());
        let Some((_, rest)) = problem.message.split_once(&lead) else { continue };
        let given = rest.split('"').next().unwrap_or_default();
        if enumeration.members().contains(&given) {
            continue;
        }
        let near = nearest_of(given, enumeration.members().iter().copied());
        return near.map(|near| format!("{}::{near:?}", enumeration.name()));
    }
    None
}

/// The fact that the first misspelt path of the marked line may have meant.
fn path(problem: &Problem) -> Option<String> {
    let (line, _) = problem.snippet.as_ref()?;
    line.split("context.").skip(1).find_map(|rest| {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '.').unwrap_or(rest.len());
        let given = rest.get(..end)?;
        nearest(given).filter(|near| *near != given).map(|near| format!("did you mean `context.{near}`?"))
    })
}
