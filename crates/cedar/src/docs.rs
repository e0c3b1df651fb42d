//! The documentation that is generated from the table of facts: `docs/facts.md`.

use core::fmt::Write as _;

use holdfast_policy::facts::{Action, Enumeration, FACTS, Unit, Window};

use crate::cases::ORDINARY;

/// The text of `docs/facts.md`.
pub fn facts_markdown() -> String {
    let mut text = String::from(
        "# Facts\n\n\
         Generated from the table in `crates/policy/src/facts.rs` by `holdfast policy schema --markdown`; a test compares.\n\n\
         What a policy may ask about a withdrawal, each under `context`. A fact that the engine cannot give makes every\n\
         policy that reads it an error, and an error is a hold (`policy_error`). Windows end at the decision; those that\n\
         include count this withdrawal and every live reservation. `ordinary` is what a case or `holdfast policy explain`\n\
         takes where it says nothing.\n\n",
    );
    for action in Action::ALL {
        let _ = writeln!(text, "Action: `Action::{:?}`.\n", action.name());
    }
    for enumeration in Enumeration::ALL {
        let members: Vec<String> =
            enumeration.members().iter().map(|word| format!("`{}::{word:?}`", enumeration.name())).collect();
        let _ = writeln!(text, "`{}`: {}.\n", enumeration.name(), members.join(", "));
    }
    text.push_str(
        "| fact | type | unit | window | includes this | ordinary | says |\n|---|---|---|---|---|---|---|\n",
    );
    for (spec, (_, ordinary)) in FACTS.iter().zip(ORDINARY) {
        let unit = if spec.unit == Unit::None { String::new() } else { spec.unit.to_string() };
        let window = if spec.window == Window::Now { String::new() } else { spec.window.to_string() };
        let _ = writeln!(
            text,
            "| `{}` | {} | {unit} | {window} | {} | `{}` | {} |",
            spec.path,
            spec.ty.cedar_name(),
            if spec.included { "yes" } else { "" },
            ordinary,
            spec.doc
        );
    }
    text
}
