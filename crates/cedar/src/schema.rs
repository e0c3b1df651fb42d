//! Cedar's schema, generated from the table of facts.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use cedar_policy::{Schema, Validator};
use holdfast_policy::facts::{Action, Enumeration, FACTS, FactSpec, Unit, Window};

use crate::problem::{PackError, Problem};

/// The remark on a fact that schema and documentation share: its sentence, unit, window and what it includes.
pub(crate) fn remark(spec: &FactSpec) -> String {
    let mut text = spec.doc.to_owned();
    if spec.unit != Unit::None {
        let _ = write!(text, " In {}.", spec.unit);
    }
    if spec.window != Window::Now {
        let _ = write!(text, " Over {}.", spec.window);
    }
    if spec.included && spec.window != Window::Now {
        text.push_str(" Includes this withdrawal and live reservations.");
    }
    text
}

/// The schema as text.
pub fn schema_text() -> String {
    let mut groups: BTreeMap<&str, Vec<(&str, &FactSpec)>> = BTreeMap::new();
    let mut plain = Vec::new();
    for spec in &FACTS {
        match spec.path.split_once('.') {
            Some((group, name)) => groups.entry(group).or_default().push((name, spec)),
            None => plain.push((spec.path, spec)),
        }
    }
    let mut text = String::from("// Generated from the table of facts: see docs/facts.md.\n\n");
    text.push_str("entity Account;\nentity Exchange;\n");
    for enumeration in Enumeration::ALL {
        let members: Vec<String> = enumeration.members().iter().map(|word| format!("{word:?}")).collect();
        let _ = writeln!(text, "entity {} enum [{}];", enumeration.name(), members.join(", "));
    }
    let row = |text: &mut String, indent: &str, name: &str, spec: &FactSpec| {
        let _ = writeln!(text, "{indent}@doc({:?})\n{indent}{name}: {},", remark(spec), spec.ty.cedar_name());
    };
    text.push_str("\ntype Facts = {\n");
    for (name, spec) in plain {
        row(&mut text, "  ", name, spec);
    }
    for (group, rows) in groups {
        let _ = writeln!(text, "  {group}: {{");
        for (name, spec) in rows {
            row(&mut text, "    ", name, spec);
        }
        text.push_str("  },\n");
    }
    text.push_str("};\n");
    for action in Action::ALL {
        let _ = writeln!(
            text,
            "\naction {:?} appliesTo {{\n  principal: [Account],\n  resource: [Exchange],\n  context: Facts,\n}};",
            action.name()
        );
    }
    text
}

/// The schema, parsed.
pub fn schema() -> Result<Schema, PackError> {
    let text = schema_text();
    match Schema::from_cedarschema_str(&text) {
        Ok((schema, _)) => Ok(schema),
        Err(error) => Err(Problem::of_cedar("schema_invalid", ("schema", &text), &error).into()),
    }
}

/// What validates policies against the schema: made once, since it takes longer than most packs.
pub(crate) fn validator() -> Result<&'static Validator, PackError> {
    static VALIDATOR: OnceLock<Validator> = OnceLock::new();
    if let Some(validator) = VALIDATOR.get() {
        return Ok(validator);
    }
    let schema = schema()?;
    Ok(VALIDATOR.get_or_init(|| Validator::new(schema)))
}
