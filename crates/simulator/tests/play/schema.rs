//! A validator of the part of JSON Schema (draft 2020-12) that the schema of events uses: written apart from the parser that
//! it is compared with.

#![expect(clippy::expect_used, clippy::panic, reason = "a failure is a failed test")]

use regex::Regex;
use serde_json::Value;

/// True if `value` is valid by `schema`. A word that is not known here is a mistake of the schema.
pub(crate) fn accepts(schema: &Value, value: &Value) -> bool {
    let rules = schema.as_object().expect("a schema is an object");
    rules.iter().all(|(rule, said)| holds(rules, rule, said, value))
}

fn number(value: &Value) -> usize {
    usize::try_from(value.as_u64().expect("a size")).expect("a size")
}

fn matches(pattern: &Value, text: &str) -> bool {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    thread_local!(static KNOWN: RefCell<BTreeMap<String, Regex>> = const { RefCell::new(BTreeMap::new()) });
    let pattern = pattern.as_str().expect("a pattern");
    KNOWN.with_borrow_mut(|known| {
        let known =
            known.entry(pattern.to_owned()).or_insert_with(|| Regex::new(pattern).expect("a pattern"));
        known.is_match(text)
    })
}

fn holds(rules: &serde_json::Map<String, Value>, rule: &str, said: &Value, value: &Value) -> bool {
    match rule {
        "$schema" | "title" | "description" => true,
        "type" => match said.as_str().expect("a type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            other => panic!("type {other}"),
        },
        "const" => said == value,
        "enum" => said.as_array().expect("a list").contains(value),
        "oneOf" => said.as_array().expect("a list").iter().filter(|one| accepts(one, value)).count() == 1,
        "pattern" => value.as_str().is_none_or(|text| matches(said, text)),
        "minLength" => value.as_str().is_none_or(|text| text.chars().count() >= number(said)),
        "maxLength" => value.as_str().is_none_or(|text| text.chars().count() <= number(said)),
        "minimum" => value.as_i64().is_none_or(|given| given >= said.as_i64().expect("a number")),
        "maximum" => value.as_i64().is_none_or(|given| given <= said.as_i64().expect("a number")),
        "items" => value.as_array().is_none_or(|list| list.iter().all(|one| accepts(said, one))),
        "maxItems" => value.as_array().is_none_or(|list| list.len() <= number(said)),
        "minProperties" => value.as_object().is_none_or(|map| map.len() >= number(said)),
        "maxProperties" => value.as_object().is_none_or(|map| map.len() <= number(said)),
        "required" => value.as_object().is_none_or(|map| {
            said.as_array()
                .expect("a list")
                .iter()
                .all(|name| map.contains_key(name.as_str().expect("a name")))
        }),
        "propertyNames" => value
            .as_object()
            .is_none_or(|map| map.keys().all(|name| accepts(said, &Value::String(name.clone())))),
        "properties" => value.as_object().is_none_or(|map| {
            said.as_object()
                .expect("a map")
                .iter()
                .all(|(name, rule)| map.get(name).is_none_or(|value| accepts(rule, value)))
        }),
        "additionalProperties" => value.as_object().is_none_or(|map| {
            let named = rules.get("properties").and_then(Value::as_object);
            map.iter()
                .filter(|(name, _)| named.is_none_or(|named| !named.contains_key(*name)))
                .all(|(_, value)| said.as_bool().unwrap_or_else(|| accepts(said, value)))
        }),
        other => panic!("the validator does not know {other}"),
    }
}
