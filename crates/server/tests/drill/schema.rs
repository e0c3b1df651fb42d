//! As much of JSON Schema as the schemas of this repository use.

use serde_json::Value;

/// What of a value is not as the schema says, with its place.
pub(crate) fn problems(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, value, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, place: &str, found: &mut Vec<String>) {
    let mut wrong = |text: String| found.push(format!("{place}: {text}"));
    if schema.as_bool() == Some(true) {
        return;
    }
    if schema.as_bool() == Some(false) {
        return wrong("may not be here".to_owned());
    }
    for keyword in schema.as_object().unwrap().keys() {
        let known = [
            "$schema",
            "$id",
            "$defs",
            "$ref",
            "title",
            "description",
            "type",
            "properties",
            "required",
            "additionalProperties",
            "items",
            "enum",
            "const",
            "pattern",
            "anyOf",
            "minItems",
            "maxItems",
            "minimum",
        ];
        assert!(known.contains(&keyword.as_str()), "this validator does not know {keyword}");
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        return check(root, target, value, place, found);
    }
    if let Some(kind) = schema["type"].as_str() {
        let is = match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            other => panic!("{other}"),
        };
        if !is {
            return wrong(format!("is no {kind}: {value}"));
        }
    }
    if let Some(constant) = schema.get("const").filter(|constant| *constant != value) {
        wrong(format!("is {value}, not {constant}"));
    }
    if let Some(of) = schema["enum"].as_array().filter(|of| !of.contains(value)) {
        wrong(format!("{value} is none of {of:?}"));
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_i64(), value.as_i64())
        && number < least
    {
        wrong(format!("{number} is below {least}"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let matches = match pattern {
            r"^-?[0-9]+(\.[0-9]+)?$" => {
                let text = text.strip_prefix('-').unwrap_or(text);
                text.split_once('.')
                    .map_or_else(|| digits(text), |(whole, part)| digits(whole) && digits(part))
            }
            "^[0-9a-f]{64}$" => {
                text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
            }
            other => panic!("{other}"),
        };
        if !matches {
            wrong(format!("{text:?} does not match {pattern}"));
        }
    }
    if let Some(any) = schema["anyOf"].as_array() {
        let all: Vec<Vec<String>> = any
            .iter()
            .map(|one| {
                let mut found = Vec::new();
                check(root, one, value, place, &mut found);
                found
            })
            .collect();
        if all.iter().all(|problems| !problems.is_empty()) {
            wrong(format!("is none of {} forms: {:?}", any.len(), all.first()));
        }
    }
    if let Some(items) = value.as_array() {
        let count = items.len() as u64;
        if schema["minItems"].as_u64().is_some_and(|least| count < least)
            || schema["maxItems"].as_u64().is_some_and(|most| count > most)
        {
            wrong(format!("has {count} items"));
        }
        if let Some(of) = schema.get("items") {
            for (nth, item) in items.iter().enumerate() {
                check(root, of, item, &format!("{place}/{nth}"), found);
            }
        }
    }
    if let Some(fields) = value.as_object() {
        for name in schema["required"].as_array().into_iter().flatten() {
            if !fields.contains_key(name.as_str().unwrap()) {
                found.push(format!("{place}: lacks {name}"));
            }
        }
        for (name, field) in fields {
            let of = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
            if let Some(of) = of {
                check(root, of, field, &format!("{place}/{name}"), found);
            }
        }
    }
}
