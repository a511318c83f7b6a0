//! Numbers that may be none: JSON knows only finite ones, and serde_json would write the others as null, which it then
//! refuses to read. They are written as `"nan"`, `"inf"` and `"-inf"`, which Python's `float` reads as well.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Finite(f64),
    Other(Other),
}

#[derive(Serialize, Deserialize)]
enum Other {
    #[serde(rename = "nan")]
    NotANumber,
    #[serde(rename = "inf")]
    Infinite,
    #[serde(rename = "-inf")]
    NegativeInfinite,
}

impl From<f64> for Written {
    fn from(number: f64) -> Self {
        if number.is_finite() {
            Self::Finite(number)
        } else if number.is_nan() {
            Self::Other(Other::NotANumber)
        } else if number > 0.0 {
            Self::Other(Other::Infinite)
        } else {
            Self::Other(Other::NegativeInfinite)
        }
    }
}

impl From<Written> for f64 {
    fn from(written: Written) -> Self {
        match written {
            Written::Finite(number) => number,
            Written::Other(Other::NotANumber) => Self::NAN,
            Written::Other(Other::Infinite) => Self::INFINITY,
            Written::Other(Other::NegativeInfinite) => Self::NEG_INFINITY,
        }
    }
}

pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Written::from(*number).serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Written::deserialize(deserializer).map(f64::from)
}

/// The same for a number that may be missing.
pub mod optional {
    use super::Written;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        number.map(Written::from).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Written>::deserialize(deserializer)?.map(f64::from))
    }
}
