//! The JSON Schema of a line (draft 2020-12), printed from the table that the parser checks by.

use holdfast_values::Network;
use serde_json::{Map, Value, json};

use super::FORMAT;
use super::table::{Field, ID, KINDS, Shape, TIME};

/// The schema of every line of an events file.
pub fn schema() -> Value {
    let head = json!({
        "title": "The first line",
        "type": "object",
        "properties": { "format": { "const": FORMAT }, "about": { "type": "string", "maxLength": 1000 } },
        "required": ["format"],
        "additionalProperties": false,
    });
    let mut all = vec![head];
    for kind in KINDS {
        let mut properties = Map::new();
        properties.insert("at".to_owned(), shape(&Shape::Text(TIME)));
        properties.insert("id".to_owned(), shape(&Shape::Text(ID)));
        properties.insert("type".to_owned(), json!({ "const": kind.name }));
        let mut required = vec![json!("at"), json!("id"), json!("type")];
        fill(kind.fields, &mut properties, &mut required);
        all.push(json!({
            "title": kind.what,
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        }));
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of a holdfast-events/1 file",
        "description": "docs/events.md is the page of this format. What a line says beside its shape (that its id is its own, its time not before the line before, its account opened earlier, a day of the month that exists) no schema can.",
        "oneOf": all,
    })
}

fn fill(fields: &[Field], properties: &mut Map<String, Value>, required: &mut Vec<Value>) {
    for field in fields {
        properties.insert(field.name.to_owned(), shape(&field.shape));
        if field.required {
            required.push(json!(field.name));
        }
    }
}

fn object(fields: &[Field]) -> Value {
    let (mut properties, mut required) = (Map::new(), Vec::new());
    fill(fields, &mut properties, &mut required);
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if let (false, Some(map)) = (required.is_empty(), schema.as_object_mut()) {
        map.insert("required".to_owned(), Value::Array(required));
    }
    schema
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Text(text) => json!({ "type": "string", "pattern": text.pattern }),
        Shape::Free(max) => json!({ "type": "string", "minLength": 1, "maxLength": max }),
        Shape::Number(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::OneOf(words) => json!({ "enum": words }),
        Shape::Network => json!({ "enum": Network::ALL.map(Network::name) }),
        Shape::List(each, max) => json!({ "type": "array", "items": shape(each), "maxItems": max }),
        Shape::Object(fields) => object(fields),
        Shape::Either(fields) => {
            let mut schema = object(fields);
            if let Some(map) = schema.as_object_mut() {
                map.insert("minProperties".to_owned(), json!(1));
                map.insert("maxProperties".to_owned(), json!(1));
            }
            schema
        }
        Shape::Map(name, value, max) => json!({
            "type": "object",
            "propertyNames": { "pattern": name.pattern },
            "additionalProperties": { "type": "string", "pattern": value.pattern },
            "minProperties": 1,
            "maxProperties": max,
        }),
    }
}
