//! What a value means as a label: the name of a class, several names, a flag, a number.

use super::form::is_blank;
use super::numeric::comma;
use super::parse::{Record, kind, start};
use super::value::{Value, list_in};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::data as msg;

/// A class's name: a text, a number or a truth value. `1`, `1.0` and "1" are one class.
pub(super) fn class_name(value: &Value) -> Result<String> {
    match value {
        Value::Null => Err(missing()),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::Number(text) => {
            let whole = value
                .as_f64()
                .filter(|number| number.fract() == 0.0 && number.abs() < 1e15);
            // Adding 0 takes the sign from -0.
            Ok(whole.map_or_else(|| text.to_string(), |whole| format!("{:.0}", whole + 0.0)))
        }
        Value::String(text) => Ok(canonical(text)),
        Value::Array(_) | Value::Object(_) => {
            let (kind, value) = (kind(value), shown(value));
            Err(Error::data(msg::NotOneClass { kind, value }).remedy(msg::GiveOneClass))
        }
    }
}

/// The same of a row, which cannot go without one.
pub(super) fn class(value: &Value) -> Result<String> {
    let name = class_name(value)?;
    if name == IGNORED {
        return Err(ignored());
    }
    if name.starts_with('[') && name.ends_with(']') && name.contains(',') {
        return Err(no_list(&name));
    }
    Ok(name)
}

/// A text as a class's name: 1.0, as tables have it that were floats for a while, is 1.
pub(super) fn canonical(text: &str) -> String {
    let text = text.trim();
    let (whole, zeros) = text.split_once('.').unwrap_or((text, "x"));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match is_whole && zeros.bytes().all(|byte| byte == b'0') {
        true => whole.to_owned(),
        false => text.to_owned(),
    }
}

pub(super) fn is_truth(name: &str) -> bool {
    name.eq_ignore_ascii_case("true") || name.eq_ignore_ascii_case("false")
}

/// What a name means as a number or a truth value: two names of one meaning are hardly two classes.
pub(super) fn meaning(name: &str) -> Option<u64> {
    let number = match name.parse::<f64>() {
        Ok(number) => number,
        Err(_) if is_truth(name) => f64::from(u8::from(name.eq_ignore_ascii_case("true"))),
        Err(_) => return None,
    };
    number.is_finite().then(|| (number + 0.0).to_bits())
}

/// The mark of what is not learnt (torch's `ignore_index`) among labels.
pub(super) const IGNORED: &str = "-100";

pub(super) fn is_ignored(value: &Value) -> bool {
    !value.is_null() && class_name(value).is_ok_and(|name| name == IGNORED)
}

pub(super) fn ignored() -> Error {
    Error::data(msg::IgnoredAsClass).remedy(msg::DeleteOrGiveClass)
}

/// What stands in a label column, where lists that a table can only hold as text are lists; nothing where it is blank.
pub(super) fn of_record(record: &Record, column: &str) -> Value {
    let value = record.fields.get(column).filter(|value| !is_blank(value));
    let list = match value {
        Some(Value::String(text)) => list_in(text).map(Value::Array),
        _ => None,
    };
    let value = list.or_else(|| value.cloned());
    value.filter(|value| !is_blank(value)).unwrap_or(Value::Null)
}

/// Several labels in one field: a list, or a text with commas, semicolons or bars between.
pub(super) fn several(value: &Value) -> Result<Vec<String>> {
    match value {
        // A row to which nothing applies is one.
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => items.iter().map(class).collect(),
        Value::String(text) if text.trim().starts_with('[') => Err(no_list(text)),
        Value::String(text) => {
            let parts = text.split([',', ';', '|']).map(str::trim);
            Ok(parts.filter(|part| !part.is_empty()).map(canonical).collect())
        }
        other => class(other).map(|class| vec![class]),
    }
}

fn no_list(text: &str) -> Error {
    Error::data(msg::NoListThough { text: start(text) }).remedy(msg::WriteLabels)
}

/// Whether these are numbers 0 and 1, or truth values.
pub(super) fn are_flags(items: &[Value]) -> bool {
    let is_flag = |item: &Value| matches!(item, Value::Number(_) | Value::Bool(_)) && flag(item).is_some();
    items.iter().all(is_flag)
}

/// Whether it is a whole number from 0.
pub(super) fn is_whole(value: &Value) -> bool {
    matches!(value, Value::Number(_)) && number(value).is_some_and(|number| number.fract() == 0.0 && number >= 0.0)
}

pub(super) fn number(value: &Value) -> Option<f64> {
    written(value).filter(|number| number.is_finite())
}

fn written(value: &Value) -> Option<f64> {
    match value {
        Value::Number(text) => text.parse().ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A target as models have it.
pub(super) fn number_or_error(value: &Value) -> Result<f32> {
    if value.is_null() {
        return Err(missing());
    }
    let number = written(value).filter(|number| !number.is_nan()).ok_or_else(|| {
        let comma = match value {
            Value::String(text) => comma(text.trim()),
            _ => None,
        };
        let error = Error::data(msg::NoNumber { got: shown(value) });
        error.remedy(comma.unwrap_or_else(|| msg::CorrectOrClassify.into()))
    })?;
    if (number as f32).is_finite() {
        return Ok(number as f32);
    }
    Err(Error::data(msg::TooLarge { value: shown(value) }).remedy(msg::OtherUnit))
}

pub(super) fn flag(value: &Value) -> Option<f32> {
    match value {
        Value::Bool(truth) => Some(f32::from(u8::from(*truth))),
        Value::String(word) if word.eq_ignore_ascii_case("true") => Some(1.0),
        Value::String(word) if word.eq_ignore_ascii_case("false") => Some(0.0),
        other => number(other).filter(|n| *n == 0.0 || *n == 1.0).map(|n| n as f32),
    }
}

pub(super) fn missing() -> Error {
    Error::data(msg::LabelMissing).remedy(msg::FillIn)
}

pub(super) fn shown(value: &Value) -> String {
    value.to_string().chars().take(40).collect()
}
