//! A run's settings on their way to and from a front end.

use super::{KNOBS, RunConfig, find};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Map;

impl Serialize for RunConfig {
    /// One entry a knob, in table order.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(KNOBS.len()))?;
        for knob in KNOBS {
            map.serialize_entry(knob.name, &(knob.read)(self))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RunConfig {
    /// As [`RunConfig::set`] for each entry, then [`RunConfig::validate`]: what crosses the worker's boundary is valid.
    /// Missing knobs have their defaults.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut config = Self::default();
        for (key, value) in Map::deserialize(deserializer)? {
            let knob = find(&key);
            // A path that is not given is written as empty text, which no file may give.
            if value.as_str() == Some("") && knob.is_some_and(|knob| knob.kind.is_text()) {
                continue;
            }
            config.set(&key, &value).map_err(de::Error::custom)?;
        }
        config.validate().map_err(de::Error::custom)?;
        Ok(config)
    }
}
