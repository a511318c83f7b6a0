//! JSON by the browser's own reader and writer, to and from serde_json's values. (serde_json's reader and writer would be 30 kB of
//! the lab's program, more than half of that tables for numbers.)

use js_sys::{Array, JSON, Object, Reflect};
use serde_json::{Map, Value};
use wasm_bindgen::prelude::*;

/// Whole numbers up to here are the same as a float of 64 bits.
const MOST_WHOLE: f64 = 9_007_199_254_740_991.0;

/// The value of a text; null where it is no JSON.
pub fn parse(text: &str) -> Value {
    JSON::parse(text).map_or(Value::Null, |value| from_js(&value))
}

/// A value as JSON text.
pub fn text(value: &Value) -> String {
    JSON::stringify(&to_js(value)).map_or(String::new(), String::from)
}

/// A value as the browser has it.
pub fn to_js(value: &Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        Value::Bool(flag) => JsValue::from_bool(*flag),
        Value::Number(number) => number.as_f64().into(),
        Value::String(text) => text.into(),
        Value::Array(items) => items.iter().map(to_js).collect::<Array>().into(),
        Value::Object(map) => {
            let object = Object::new();
            for (key, value) in map {
                // A plain object takes every key.
                let _ = Reflect::set(&object, &key.into(), &to_js(value));
            }
            object.into()
        }
    }
}

/// A value that the browser has; null where JSON has none.
pub fn from_js(value: &JsValue) -> Value {
    if let Some(number) = value.as_f64() {
        return match number.fract() == 0.0 && number.abs() <= MOST_WHOLE {
            true if number >= 0.0 => (number as u64).into(),
            true => (number as i64).into(),
            false => number.into(),
        };
    }
    if let Some(text) = value.as_string() {
        return text.into();
    }
    if let Some(flag) = value.as_bool() {
        return flag.into();
    }
    if let Some(items) = value.dyn_ref::<Array>() {
        return items.iter().map(|item| from_js(&item)).collect();
    }
    if let Some(object) = value.dyn_ref::<Object>() {
        let pair = |pair: JsValue| {
            let pair: Array = pair.unchecked_into();
            (pair.get(0).as_string().unwrap_or_default(), from_js(&pair.get(1)))
        };
        return Value::Object(Object::entries(object).iter().map(pair).collect::<Map<_, _>>());
    }
    Value::Null
}
