//! Maps of a lesson, in which no key stands twice, and errors of values on their way through serde.

use crate::error::Error;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::lesson as msg;
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

/// A map by name; serde's own would keep the last of two values without a word.
pub(super) fn deserialize<'de, D, V>(deserializer: D) -> Result<BTreeMap<String, V>, D::Error>
where
    D: Deserializer<'de>,
    V: Deserialize<'de>,
{
    struct Unique<V>(PhantomData<V>);

    impl<'de, V: Deserialize<'de>> Visitor<'de> for Unique<V> {
        type Value = BTreeMap<String, V>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
            let mut map = BTreeMap::new();
            while let Some(key) = access.next_key::<String>()? {
                if map.contains_key(&key) {
                    return Err(through_serde(&Error::config(msg::StandsTwice).field(key)));
                }
                let value = access.next_value()?;
                map.insert(key, value);
            }
            Ok(map)
        }
    }

    deserializer.deserialize_map(Unique(PhantomData))
}

/// An error as serde takes it; [`from_json`] gets it back whole. (Writing it fails for none. Worded here, it would bring every
/// wording of the engine into the lab's program.)
pub(super) fn through_serde<E: de::Error>(error: &Error) -> E {
    E::custom(serde_json::to_string(error).unwrap_or_default())
}

/// What serde says of a text, with the line: an error that came [`through_serde`], else serde's words.
pub(super) fn from_json(json: &serde_json::Error) -> Error {
    let (text, line) = (json.to_string(), json.line());
    let place = format!(" at line {line} column {}", json.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    let error = serde_json::from_str::<Error>(what).unwrap_or_else(|_| {
        let error = Message::verbatim(what);
        Error::config(msg::NotUnderstood { error })
    });
    match line {
        0 => error,
        line => error.row(line),
    }
}
