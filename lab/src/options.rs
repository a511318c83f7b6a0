//! How the lab is shown: what the page around it, its address and its state say. One table of names for all three.

use lorakeet_core::config::PageQuery;
use serde_json::{Map, Value};

/// An option's name as an attribute and in the address.
pub const LESSON: &str = "lesson";
/// The address of a lesson.
pub const SOURCE: &str = "src";
/// Knobs that are shown.
pub const CONTROLS: &str = "controls";
/// Language.
pub const LANGUAGE: &str = "lang";
/// Light or dark.
pub const THEME: &str = "theme";
/// The device.
pub const DEVICE: &str = "device";
/// The most steps of a run.
pub const MAX_STEPS: &str = "max-steps";
/// The most seconds of a run.
pub const MAX_SECONDS: &str = "max-seconds";
/// The seed of every run.
pub const SEED: &str = "seed";
/// What happens out of view.
pub const OFFSCREEN: &str = "offscreen";
/// Nothing can be changed.
pub const LOCKED: &str = "locked";
/// The lab is a document of its own: its title is the document's first heading.
pub const FRAMED: &str = "framed";
/// Whether Start was pressed already.
pub const START: &str = "start";
/// In a state: the part that is shown, from 1.
pub const PART: &str = "part";
/// In a state: the answers.
pub const BEFORE: &str = "before";
/// In a state.
pub const PREDICTED: &str = "predicted";
/// In a state.
pub const AFTER: &str = "after";

/// Options by name. A state's entries come on top of an address's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    values: Map<String, Value>,
    /// The state: its own entries, and those that nobody here knows.
    pub state: PageQuery,
    /// What of the state cannot be used: key, value.
    pub unusable: Vec<(String, String)>,
}

impl Options {
    /// Of the JSON object that `lab_page.js` makes of the address or of the page's attributes.
    pub fn parse(json: &str) -> Self {
        let values: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
        let mut options = Self {
            values,
            ..Self::default()
        };
        let state = options.text("state").unwrap_or_default();
        if !state.is_empty() {
            match PageQuery::parse(&state) {
                Ok(query) => options.state = query,
                Err(_) => options.unusable.push(("state".into(), state)),
            }
        }
        options
    }

    /// Whether a state was given.
    pub fn has_state(&self) -> bool {
        self.values
            .get("state")
            .and_then(Value::as_str)
            .is_some_and(|state| !state.is_empty())
    }

    /// An option; of the state, where it is there and not the page's alone. An empty text is none.
    pub fn text(&self, name: &str) -> Option<String> {
        const OF_PAGE: [&str; 4] = [LOCKED, MAX_STEPS, MAX_SECONDS, START];
        if let Some(value) = self.state.get(name).filter(|_| !OF_PAGE.contains(&name)) {
            return Some(value.to_owned());
        }
        match self.values.get(name)? {
            Value::Null | Value::Bool(false) => None,
            Value::String(text) => Some(text.clone()).filter(|text| !text.is_empty()),
            other => Some(other.to_string()),
        }
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.trim().parse().ok()
    }

    /// Whether an option without a value is given.
    pub fn is_set(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text != "false")
    }

    /// The knobs to show where the page chose them: none at all, or these; `None` leaves it to the lesson.
    pub fn controls(&self) -> Option<Vec<String>> {
        let text = self.text(CONTROLS)?;
        match text.trim() {
            "all" | "" => None,
            "none" => Some(Vec::new()),
            names => Some(
                names
                    .split([' ', ','])
                    .filter(|name| !name.is_empty())
                    .map(knob_name)
                    .collect(),
            ),
        }
    }
}

/// An attribute's way to write a knob: `learning-rate` and `rank` for `learning_rate` and `lora_r`.
fn knob_name(name: &str) -> String {
    match name.replace('-', "_").as_str() {
        "rank" => "lora_r".into(),
        "alpha" => "lora_alpha".into(),
        "dropout" => "lora_dropout".into(),
        "epochs" => "num_train_epochs".into(),
        "batch_size" => "per_device_train_batch_size".into(),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_comes_on_top_of_an_address() {
        let options = Options::parse(r#"{"lesson":"loss","max-steps":20,"state":"lab=1&lesson=lora&other=x"}"#);
        assert_eq!(options.text(LESSON).as_deref(), Some("lora"));
        assert_eq!(options.number(MAX_STEPS), Some(20));
        assert_eq!(options.state.get("other"), Some("x"));
    }

    #[test]
    fn a_state_lifts_no_cap_and_no_lock() {
        let options = Options::parse(r#"{"locked":true,"max-steps":20,"state":"lab=1&locked=false&max-steps=900"}"#);
        assert!(options.is_set(LOCKED));
        assert_eq!(options.number(MAX_STEPS), Some(20));
    }

    #[test]
    fn a_state_that_is_none_is_named() {
        let options = Options::parse(r#"{"state":"nonsense"}"#);
        assert_eq!(options.unusable, [("state".to_owned(), "nonsense".to_owned())]);
    }

    #[test]
    fn controls_are_written_as_attributes_are() {
        let of = |text: &str| Options::parse(&format!(r#"{{"controls":"{text}"}}"#)).controls();
        assert_eq!(
            of("rank learning-rate"),
            Some(vec!["lora_r".into(), "learning_rate".into()])
        );
        assert_eq!((of("none"), of("all")), (Some(Vec::new()), None));
    }
}
