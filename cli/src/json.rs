//! What the command writes as JSON: the engine's messages are English sentences there.

use lorakeet_i18n::Message;
use serde::Serialize;
use serde_json::Value;

/// One line of JSON, with every [`Message`] in it worded in English.
pub fn line(value: &impl Serialize) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(value)?;
    word(&mut value);
    serde_json::to_string(&value)
}

fn word(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(word),
        Value::Object(fields) if fields.len() == 2 && fields.contains_key("key") && fields.contains_key("fields") => {
            if let Ok(message) = serde_json::from_value::<Message>(value.clone()) {
                *value = Value::String(message.english());
            }
        }
        Value::Object(fields) => fields.values_mut().for_each(word),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use lorakeet_core::Error;
    use lorakeet_i18n::messages::{common, run as msg};

    #[test]
    fn messages_are_sentences() {
        let error = Error::config(msg::NoSuchMetric {
            task: "ranking",
            metric: "x",
        })
        .remedy(common::DidYouMean { name: "mrr" });
        let line = super::line(&[error]).expect("JSON");
        assert!(line.contains(r#""what":"a ranking run has no metric x""#), "{line}");
        assert!(line.contains(r#""remedy":"Did you mean mrr?""#), "{line}");
    }
}
