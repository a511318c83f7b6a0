//! How a field of a run's settings becomes a JSON value and comes back: the typed end of the table of knobs.
//!
//! Values that arrive here have passed the knob's own check; `None` means that the two disagree, which is a defect.

use super::{TargetModules, TokenIndices};
use crate::task::Task;
use serde_json::{Map, Number, Value};

/// A type that a knob's value has in [`super::RunConfig`].
pub(super) trait Setting: Sized {
    fn to_value(&self) -> Value;
    fn from_value(value: Value) -> Option<Self>;
}

impl Setting for String {
    fn to_value(&self) -> Value {
        Value::String(self.clone())
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }
}

impl Setting for bool {
    fn to_value(&self) -> Value {
        Value::Bool(*self)
    }
    fn from_value(value: Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Setting for f64 {
    /// Whole numbers stay whole, so that an alpha of 32 is written as 32.
    fn to_value(&self) -> Value {
        if self.fract() == 0.0 && self.abs() < 1e15 {
            return Value::from(*self as i64);
        }
        Number::from_f64(*self).map_or(Value::Null, Value::Number)
    }
    fn from_value(value: Value) -> Option<Self> {
        value.as_f64()
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => { $(
        impl Setting for $type {
            fn to_value(&self) -> Value {
                Value::from(*self)
            }
            fn from_value(value: Value) -> Option<Self> {
                match &value {
                    // A choice among numbers (4 or 8 bits) arrives as the word that was chosen.
                    Value::String(word) => word.parse().ok(),
                    _ => value.as_i64().and_then(|number| number.try_into().ok()),
                }
            }
        }
    )* };
}
whole_numbers!(u8, usize, u64, i64);

impl<T: Setting> Setting for Option<T> {
    fn to_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::to_value)
    }
    fn from_value(value: Value) -> Option<Self> {
        if value.is_null() {
            Some(None)
        } else {
            T::from_value(value).map(Some)
        }
    }
}

impl Setting for Vec<usize> {
    fn to_value(&self) -> Value {
        self.iter().copied().map(Value::from).collect()
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Array(items) => items.into_iter().map(usize::from_value).collect(),
            _ => None,
        }
    }
}

impl Setting for Vec<String> {
    fn to_value(&self) -> Value {
        self.iter().map(String::as_str).collect()
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Array(items) => items.into_iter().map(String::from_value).collect(),
            _ => None,
        }
    }
}

impl<T: Setting> Setting for Vec<(String, T)> {
    fn to_value(&self) -> Value {
        let entries = self.iter().map(|(pattern, value)| (pattern.clone(), value.to_value()));
        Value::Object(entries.collect::<Map<_, _>>())
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::Object(entries) => entries
                .into_iter()
                .map(|(pattern, value)| Some((pattern, T::from_value(value)?)))
                .collect(),
            _ => None,
        }
    }
}

impl Setting for TargetModules {
    fn to_value(&self) -> Value {
        match self {
            Self::Pattern(pattern) => pattern.to_value(),
            Self::Names(names) => names.iter().map(String::as_str).collect(),
        }
    }
    fn from_value(value: Value) -> Option<Self> {
        match value {
            Value::String(pattern) => Some(Self::Pattern(pattern)),
            Value::Array(names) => {
                let names = names.into_iter().map(String::from_value);
                names.collect::<Option<_>>().map(Self::Names)
            }
            _ => None,
        }
    }
}

impl Setting for TokenIndices {
    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
    fn from_value(value: Value) -> Option<Self> {
        serde_json::from_value(value).ok()
    }
}

impl Setting for Task {
    fn to_value(&self) -> Value {
        Value::from(self.name())
    }
    fn from_value(value: Value) -> Option<Self> {
        let word = value.as_str()?;
        Self::ALL.into_iter().find(|task| task.name() == word)
    }
}
