//! How the lab is shown: what the page around it, its address and its state say. One table of names for all three.

use crate::format;
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
/// The page around the lab keeps its runs, for a frame that is loaded anew.
pub const KEEPS: &str = "keeps";
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

/// Whether an option can have a value.
type Takes = fn(&str) -> bool;

/// The options that take certain values only, each with its test.
const CHECKED: [(&str, Takes); 7] = [
    (LANGUAGE, |text| {
        let tag = text.split(['-', '_']).next().unwrap_or_default();
        ["en", "zh"].contains(&tag.to_ascii_lowercase().as_str())
    }),
    (THEME, |text| ["auto", "light", "dark"].contains(&text)),
    (DEVICE, |text| ["auto", "gpu", "cpu", "replay"].contains(&text)),
    (OFFSCREEN, |text| ["pause", "run"].contains(&text)),
    (MAX_STEPS, |text| text.parse::<u64>().is_ok_and(|number| number > 0)),
    (MAX_SECONDS, |text| text.parse::<u64>().is_ok_and(|number| number > 0)),
    (SEED, |text| text.parse::<u64>().is_ok()),
];

/// Options by name. A state's entries come on top of an address's.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    values: Map<String, Value>,
    /// The state: its own entries, and those that nobody here knows.
    pub state: PageQuery,
    /// What cannot be used, of the state or of the address: key, value.
    pub unusable: Vec<(String, String)>,
}

impl Options {
    /// Of the object that `lab_page.js` makes of the address or of the page's attributes.
    pub fn read(values: Value) -> Self {
        let mut options = Self {
            values: match values {
                Value::Object(values) => values,
                _ => Map::new(),
            },
            ..Self::default()
        };
        let state = options.text("state").unwrap_or_default();
        if !state.is_empty() {
            match PageQuery::parse(&state) {
                Ok(query) => options.state = query,
                Err(_) => options.unusable.push(("state".into(), state)),
            }
        }
        for (name, fits) in CHECKED {
            while let Some(text) = options.text(name).filter(|text| !fits(text)) {
                if options.state.get(name).is_some() {
                    options.state.set(name, None);
                } else {
                    options.values.remove(name);
                }
                options.unusable.push((name.to_owned(), text));
            }
        }
        options
    }

    /// The same of JSON text.
    #[cfg(test)]
    pub fn parse(json: &str) -> Self {
        Self::read(serde_json::from_str(json).expect("options are JSON"))
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
        const OF_PAGE: [&str; 5] = [LOCKED, MAX_STEPS, MAX_SECONDS, KEEPS, START];
        if let Some(value) = self.state.get(name).filter(|_| !OF_PAGE.contains(&name)) {
            return Some(value.to_owned());
        }
        match self.values.get(name)? {
            Value::Bool(false) => None,
            value => Some(plain_text(value)).filter(|text| !text.is_empty()),
        }
    }

    /// The address and the name of the lesson, as far as they are given.
    pub fn lesson(&self) -> (Option<String>, Option<String>) {
        (self.text(SOURCE), self.text(LESSON))
    }

    /// A whole number.
    pub fn number(&self, name: &str) -> Option<u64> {
        self.text(name)?.parse().ok()
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

/// A value as a field shows it: a text or a number as it is; nothing of what has several.
pub fn plain_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => match (number.as_u64(), number.as_f64()) {
            (Some(whole), _) => whole.to_string(),
            (None, Some(number)) => format::plain(number),
            (None, None) => String::new(),
        },
        Value::Null | Value::Array(_) | Value::Object(_) => String::new(),
    }
}

/// An attribute's way to write a knob: `learning-rate` and `rank` for `learning_rate` and `lora_r`.
pub fn knob_name(name: &str) -> String {
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
    fn values_that_an_option_does_not_take_are_named_and_left_out() {
        let text = r#"{"theme":"blue","device":"cpu","offscreen":"stop","max-steps":"0","max-seconds":20,"seed":"-1","lang":"fr",
                       "state":"lab=1&device=tpu&other=x"}"#;
        let options = Options::parse(text);
        let named: Vec<&str> = options.unusable.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(named, ["lang", "theme", "device", "offscreen", "max-steps", "seed"]);
        assert_eq!(options.unusable[2].1, "tpu");
        assert_eq!(
            options.text(DEVICE).as_deref(),
            Some("cpu"),
            "the address has one that can be used"
        );
        assert_eq!((options.text(THEME), options.number(MAX_STEPS)), (None, None));
        assert_eq!(
            (options.number(MAX_SECONDS), options.state.get("other")),
            (Some(20), Some("x"))
        );
    }

    #[test]
    fn a_state_is_read_with_its_escapes_and_named_where_they_are_wrong() {
        let options = Options::parse(r#"{"state":"lab=1&lesson=l%6Fss&note=%E4%B8%AD%"}"#);
        assert_eq!(options.text(LESSON).as_deref(), Some("loss"));
        assert_eq!(options.state.get("note"), Some("中%"));
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
