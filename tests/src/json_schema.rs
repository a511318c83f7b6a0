//! JSON Schema (draft 2020-12) as far as the schema of lessons goes: whether a document keeps to it. A keyword that is
//! not known here is an error, so that no part of a schema is passed over.

use regex::Regex;
use serde_json::Value;

/// What tells people something and restricts nothing.
const ANNOTATIONS: [&str; 6] = ["$schema", "$id", "$defs", "title", "description", "default"];

/// Where and how `document` breaks `schema`; empty where it keeps to it.
///
/// # Panics
/// If the schema has a keyword or a form that is not known here.
pub fn faults(schema: &Value, document: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, schema, document, "", &mut faults);
    faults
}

fn check(root: &Value, schema: &Value, value: &Value, place: &str, faults: &mut Vec<String>) {
    let keywords = schema.as_object().expect("a schema is an object");
    for (keyword, wanted) in keywords {
        let mut wrong = |what: String| faults.push(format!("{place}: {what}"));
        match keyword.as_str() {
            known if ANNOTATIONS.contains(&known) => {}
            "$ref" => {
                let pointer = wanted.as_str().and_then(|reference| reference.strip_prefix('#'));
                let target = pointer.and_then(|pointer| root.pointer(pointer));
                check(
                    root,
                    target.expect("a reference within the schema"),
                    value,
                    place,
                    faults,
                );
            }
            "type" => {
                let types = wanted.as_array().map_or(std::slice::from_ref(wanted), Vec::as_slice);
                if !types.iter().any(|name| is_of_type(name, value)) {
                    wrong(format!("{value} is not of the type {wanted}"));
                }
            }
            "const" if value != wanted => wrong(format!("{value} is not {wanted}")),
            "enum" if !list(wanted).contains(value) => wrong(format!("{value} is none of {wanted}")),
            "const" | "enum" => {}
            "oneOf" => {
                let holds = |schema: &&Value| {
                    let mut faults = Vec::new();
                    check(root, schema, value, place, &mut faults);
                    faults.is_empty()
                };
                match list(wanted).iter().filter(holds).count() {
                    1 => {}
                    count => wrong(format!("{count} alternatives fit, not one")),
                }
            }
            "minimum" | "maximum" | "exclusiveMinimum" => {
                let bound = wanted.as_f64().expect("a bound is a number");
                let is_within = |number: f64| match keyword.as_str() {
                    "minimum" => number >= bound,
                    "maximum" => number <= bound,
                    _ => number > bound,
                };
                if value.as_f64().is_some_and(|number| !is_within(number)) {
                    wrong(format!("{value} is beyond the {keyword} {bound}"));
                }
            }
            "minLength" | "minItems" => {
                let length = match value {
                    Value::String(text) if keyword == "minLength" => text.chars().count(),
                    Value::Array(items) if keyword == "minItems" => items.len(),
                    _ => continue,
                };
                if (length as u64) < wanted.as_u64().expect("a length is a number") {
                    wrong(format!("is shorter than {wanted}"));
                }
            }
            "pattern" => {
                let pattern = Regex::new(wanted.as_str().expect("a pattern is text")).expect("a pattern");
                if value.as_str().is_some_and(|text| !pattern.is_match(text)) {
                    wrong(format!("{value} does not match {wanted}"));
                }
            }
            "items" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, wanted, item, &format!("{place}/{i}"), faults);
                }
            }
            "required" => {
                let lacks = |name: &&Value| value.is_object() && value.get(name.as_str().unwrap_or_default()).is_none();
                let missing = list(wanted).iter().filter(lacks);
                missing.for_each(|name| wrong(format!("{name} is missing")));
            }
            "properties" => {
                for (name, schema) in wanted.as_object().expect("properties are an object") {
                    if let Some(value) = value.get(name) {
                        check(root, schema, value, &format!("{place}/{name}"), faults);
                    }
                }
            }
            "propertyNames" => {
                for name in value.as_object().into_iter().flat_map(|entries| entries.keys()) {
                    check(
                        root,
                        wanted,
                        &Value::from(name.as_str()),
                        &format!("{place}/{name}"),
                        faults,
                    );
                }
            }
            "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    if schema["properties"].get(name).is_some() {
                        continue;
                    }
                    match wanted {
                        Value::Bool(false) => faults.push(format!("{place}/{name}: there is no such field")),
                        _ => check(root, wanted, value, &format!("{place}/{name}"), faults),
                    }
                }
            }
            other => panic!("the schema has the keyword {other}, which is not known here"),
        }
    }
}

fn is_of_type(name: &Value, value: &Value) -> bool {
    match name.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        other => panic!("the schema has the type {other:?}, which is not known here"),
    }
}

fn list(value: &Value) -> &Vec<Value> {
    value.as_array().expect("a list")
}
