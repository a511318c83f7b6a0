//! Numbers that may be none: JSON knows only finite ones, and serde_json would write the others as null, which it then
//! refuses to read. They are written as `"nan"`, `"inf"` and `"-inf"`, which Python's `float` reads as well.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written<N> {
    Finite(N),
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

impl<N: Copy + Into<f64>> Written<N> {
    fn of(number: N) -> Self {
        let value: f64 = number.into();
        if value.is_finite() {
            Self::Finite(number)
        } else if value.is_nan() {
            Self::Other(Other::NotANumber)
        } else if value > 0.0 {
            Self::Other(Other::Infinite)
        } else {
            Self::Other(Other::NegativeInfinite)
        }
    }
}

impl<N: From<f32>> Written<N> {
    fn number(self) -> N {
        match self {
            Self::Finite(number) => number,
            Self::Other(Other::NotANumber) => f32::NAN.into(),
            Self::Other(Other::Infinite) => f32::INFINITY.into(),
            Self::Other(Other::NegativeInfinite) => f32::NEG_INFINITY.into(),
        }
    }
}

pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    Written::of(*number).serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Written::deserialize(deserializer).map(Written::number)
}

/// No number: what stands for one that was not written.
pub fn unknown() -> f64 {
    f64::NAN
}

/// The same for a number that may be missing.
pub mod optional {
    use super::Written;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        number.map(Written::of).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Written<f64>>::deserialize(deserializer)?.map(Written::number))
    }
}

/// The same for a list of numbers. They are f32, which JSON writes with half the digits.
pub mod list {
    use super::Written;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(numbers: &[f32], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().map(|&number| Written::of(number)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f32>, D::Error> {
        let written = Vec::<Written<f32>>::deserialize(deserializer)?;
        Ok(written.into_iter().map(Written::number).collect())
    }
}

/// The same for lists of them.
pub mod lists {
    use super::Written;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(lists: &[Vec<f32>], serializer: S) -> Result<S::Ok, S::Error> {
        let written = |numbers: &Vec<f32>| numbers.iter().map(|&number| Written::of(number)).collect::<Vec<_>>();
        serializer.collect_seq(lists.iter().map(written))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Vec<f32>>, D::Error> {
        let written = Vec::<Vec<Written<f32>>>::deserialize(deserializer)?;
        let list = |numbers: Vec<Written<f32>>| numbers.into_iter().map(Written::number).collect();
        Ok(written.into_iter().map(list).collect())
    }
}

/// The same for places of three numbers.
pub mod path {
    use super::Written;
    use serde::{Deserialize, Deserializer, Serializer};

    type Place = (f64, f64, f64);

    pub fn serialize<S: Serializer>(places: &[Place], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(places.iter().map(|&(x, y, z)| [x, y, z].map(Written::of)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Place>, D::Error> {
        let written = Vec::<[Written<f64>; 3]>::deserialize(deserializer)?;
        let places = written.into_iter().map(|place| place.map(Written::number));
        Ok(places.map(|[x, y, z]| (x, y, z)).collect())
    }
}
