//! What a command prints: the same answer as lines for people, or as JSON.

use std::fmt::Write as _;

/// A value of an answer.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Number(u64),
    Bool(bool),
    Nothing,
    List(Vec<Value>),
    Map(Report),
}

/// Named values in order.
pub(super) type Report = Vec<(&'static str, Value)>;

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

/// The answer as one line of JSON.
pub(super) fn json(report: &Report) -> String {
    let mut out = String::new();
    map_json(report, &mut out);
    out.push('\n');
    out
}

fn map_json(report: &Report, out: &mut String) {
    out.push('{');
    for (index, (name, value)) in report.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        text_json(name, out);
        out.push(':');
        value_json(value, out);
    }
    out.push('}');
}

fn value_json(value: &Value, out: &mut String) {
    match value {
        Value::Text(text) => text_json(text, out),
        // Writing to a String cannot fail.
        Value::Number(number) => drop(write!(out, "{number}")),
        Value::Bool(value) => drop(write!(out, "{value}")),
        Value::Nothing => out.push_str("null"),
        Value::List(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                value_json(value, out);
            }
            out.push(']');
        }
        Value::Map(report) => map_json(report, out),
    }
}

fn text_json(text: &str, out: &mut String) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            control if control < ' ' => drop(write!(out, "\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
    }
    out.push('"');
}

/// The answer as lines for people.
pub(super) fn lines(report: &Report) -> String {
    let mut out = String::new();
    map_lines(report, 0, &mut out);
    out
}

fn map_lines(report: &Report, depth: usize, out: &mut String) {
    let indent = "  ".repeat(depth);
    for (name, value) in report {
        let name = name.replace('_', " ");
        match value {
            Value::Nothing => drop(writeln!(out, "{indent}{name}: -")),
            Value::Text(text) => drop(writeln!(out, "{indent}{name}: {text}")),
            Value::Number(number) => drop(writeln!(out, "{indent}{name}: {number}")),
            Value::Bool(value) => {
                let _ = writeln!(out, "{indent}{name}: {}", if *value { "yes" } else { "no" });
            }
            Value::List(values) if values.is_empty() => drop(writeln!(out, "{indent}{name}: none")),
            Value::List(values) => {
                let _ = writeln!(out, "{indent}{name}:");
                for value in values {
                    match value {
                        Value::Map(report) => {
                            let line: Vec<String> = report.iter().map(short).collect();
                            let _ = writeln!(out, "{indent}  {}", line.join("  "));
                        }
                        other => drop(writeln!(out, "{indent}  {}", short(&("", other.clone())))),
                    }
                }
            }
            Value::Map(inner) => {
                let _ = writeln!(out, "{indent}{name}:");
                map_lines(inner, depth + 1, out);
            }
        }
    }
}

/// One value within a line.
fn short((name, value): &(&'static str, Value)) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => format!("{name} {number}"),
        Value::Bool(value) => format!("{name} {}", if *value { "yes" } else { "no" }),
        Value::Nothing => format!("{name} -"),
        Value::List(values) => {
            let values: Vec<String> = values.iter().map(|value| short(&("", value.clone()))).collect();
            format!("{name} {}", if values.is_empty() { "-".to_owned() } else { values.join(", ") })
        }
        Value::Map(report) => report.iter().map(short).collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_the_same_for_people_and_for_programs() {
        let report: Report = vec![
            ("ok", true.into()),
            ("said_by", "a \"b\"\n".into()),
            ("paid", Value::List(vec![Value::Map(vec![("to", "x".into()), ("place", 3.into())])])),
            ("transfer", Value::Nothing),
            ("standing", Value::Map(vec![("epoch", 1.into())])),
        ];
        assert_eq!(
            json(&report),
            "{\"ok\":true,\"said_by\":\"a \\\"b\\\"\\n\",\"paid\":[{\"to\":\"x\",\"place\":3}],\"transfer\":null,\
             \"standing\":{\"epoch\":1}}\n"
        );
        assert_eq!(
            lines(&report),
            "ok: yes\nsaid by: a \"b\"\n\npaid:\n  x  place 3\ntransfer: -\nstanding:\n  epoch: 1\n"
        );
    }
}
