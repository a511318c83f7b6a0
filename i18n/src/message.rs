//! A message: a key and named fields, worded only where somebody reads it.

use crate::language::Language;
use crate::messages::common::AndMore;
use crate::messages::template;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Display;

/// Something to say, in no language yet. The types of [`crate::messages`] turn into it.
///
/// It crosses the worker's boundary as `{"key": "data.TooManyFields", "fields": [["row", "3"]]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Message(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Parts {
    key: Cow<'static, str>,
    fields: Vec<(Cow<'static, str>, Field)>,
}

/// What a message has in one of its places.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Field {
    /// A name or a number, the same in every language.
    Text(String),
    /// Several, with commas between.
    List(Vec<Field>),
    /// A part of the sentence that is worded itself.
    Message(Message),
}

/// The key of a text that comes from elsewhere: an operating system, a browser, a driver.
const VERBATIM: &str = "verbatim";

impl Message {
    pub(crate) fn new(key: &'static str, fields: Vec<(&'static str, Field)>) -> Self {
        Self(Box::new(Parts {
            key: key.into(),
            fields: fields.into_iter().map(|(name, field)| (name.into(), field)).collect(),
        }))
    }

    /// A text that is not ours and cannot be translated: what an operating system, a browser, a driver or a library says. It
    /// loses its full stop, since it becomes a part of sentences.
    pub fn verbatim(text: impl AsRef<str>) -> Self {
        let text = text.as_ref().trim_end().trim_end_matches('.');
        Self::new(VERBATIM, vec![("text", Field::Text(text.to_owned()))])
    }

    /// Which message it is, such as `data.TooManyFields`.
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// The message in a language.
    pub fn text(&self, language: Language) -> String {
        let Some(wording) = template(&self.0.key, language) else {
            // A text from elsewhere, or a message of another version: what it has is shown as it is.
            let fields: Vec<String> = self.0.fields.iter().map(|(_, field)| field.text(language)).collect();
            return fields.join(language.comma());
        };
        self.fill(wording, language)
    }

    fn fill(&self, wording: &str, language: Language) -> String {
        let mut text = String::with_capacity(wording.len());
        let mut rest = wording;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            rest = &rest[at + 1..];
            // As in Rust's own formats, a doubled brace is a brace.
            if let Some(after) = rest.strip_prefix(brace) {
                text.push_str(brace);
                rest = after;
            } else if let Some((name, after)) = rest.split_once('}') {
                let field = self.0.fields.iter().find(|(known, _)| known == name);
                text.extend(field.map(|(_, field)| field.text(language)));
                rest = after;
            }
        }
        text + rest
    }

    /// The message in English, for logs and tests.
    pub fn english(&self) -> String {
        self.text(Language::English)
    }
}

impl Field {
    /// Several, with commas between.
    pub fn list<T: Into<Field>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::List(items.into_iter().map(Into::into).collect())
    }

    /// The first `most` of them, with commas between, and how many more there are.
    pub fn first<T: Into<Field>>(most: usize, items: impl ExactSizeIterator<Item = T>) -> Self {
        let more = items.len().saturating_sub(most);
        let names = Self::list(items.take(most));
        match more {
            0 => names,
            more => AndMore { names, more }.into(),
        }
    }

    /// In a language.
    pub fn text(&self, language: Language) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.text(language)).collect();
                items.join(language.comma())
            }
            Self::Message(message) => message.text(language),
        }
    }
}

impl<T: Display> From<T> for Field {
    fn from(shown: T) -> Self {
        Self::Text(shown.to_string())
    }
}

impl From<Message> for Field {
    fn from(message: Message) -> Self {
        Self::Message(message)
    }
}

/// Declares messages: each a type whose fields are all public and take what [`Field`] can be made of, its wording in English,
/// and its wording in Chinese. Rust's own formatting macros check that both wordings have exactly these fields.
macro_rules! messages {
    ($area:literal; $($name:ident $({ $($field:ident),+ $(,)? })? = $english:literal, $chinese:literal;)*) => {
        $(messages!(@type $area $name { $($($field)+)? } $english $chinese);)*

        /// Key, and wording in each language in the order of [`crate::Language::ALL`].
        pub(super) static TEXTS: &[(&str, [&str; 2])] =
            &[$((concat!($area, ".", stringify!($name)), [$english, $chinese]),)*];
    };
    (@type $area:literal $name:ident {} $english:literal $chinese:literal) => {
        #[doc = $english]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name;

        impl From<$name> for crate::Message {
            fn from(_: $name) -> Self {
                Self::new(concat!($area, ".", stringify!($name)), Vec::new())
            }
        }

        messages!(@both $name {} $english $chinese);
    };
    (@type $area:literal $name:ident { $($field:ident)+ } $english:literal $chinese:literal) => {
        #[doc = $english]
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[allow(non_camel_case_types, reason = "each field's type is a parameter of the field's name")]
        pub struct $name<$($field),+> {
            $(#[doc = concat!("What stands at `{", stringify!($field), "}`.")] pub $field: $field,)+
        }

        #[allow(non_camel_case_types, reason = "as above")]
        impl<$($field: Into<crate::Field>),+> From<$name<$($field),+>> for crate::Message {
            fn from(message: $name<$($field),+>) -> Self {
                let fields = vec![$((stringify!($field), message.$field.into())),+];
                Self::new(concat!($area, ".", stringify!($name)), fields)
            }
        }

        messages!(@both $name { $($field)+ } $english $chinese);
    };
    (@both $name:ident { $($field:ident)* } $english:literal $chinese:literal) => {
        #[allow(non_camel_case_types, reason = "as above")]
        impl<$($field: Into<crate::Field>),*> From<$name<$($field),*>> for crate::Field {
            fn from(message: $name<$($field),*>) -> Self {
                Self::Message(message.into())
            }
        }

        const _: () = {
            #[allow(dead_code, reason = "compiled to check the wordings against the fields, never called")]
            fn check() {
                let _ = format_args!($english $(, $field = "")*);
                let _ = format_args!($chinese $(, $field = "")*);
            }
        };
    };
}
pub(crate) use messages;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::AREAS;

    messages! { "test";
        Plain = "nothing {{here}}", "没有";
        Placed { row, names } = "row {row}: {names}", "{names}在第 {row} 行";
    }

    fn worded(message: impl Into<Message>, wording: &str, language: Language) -> String {
        message.into().fill(wording, language)
    }

    #[test]
    fn fields_stand_where_a_language_puts_them() {
        let message = || Placed {
            row: 3,
            names: Field::list(["a", "b"]),
        };
        let [english, chinese] = TEXTS[1].1;
        assert_eq!(worded(message(), english, Language::English), "row 3: a, b");
        assert_eq!(worded(message(), chinese, Language::Chinese), "a、b在第 3 行");
        assert_eq!(worded(Plain, TEXTS[0].1[0], Language::English), "nothing {here}");
    }

    #[test]
    fn of_many_names_the_first_are_listed_and_the_rest_is_counted() {
        let first = |most| Field::first(most, ["a", "b", "c"].iter());
        assert_eq!(first(3).text(Language::English), "a, b, c");
        assert_eq!(first(2).text(Language::English), "a, b and 1 more");
        assert_eq!(first(2).text(Language::Chinese), "a、b等，另有 1 个");
    }

    #[test]
    fn a_text_from_elsewhere_is_shown_as_it_is() {
        let message = Message::verbatim("disk {full}");
        assert_eq!(message.text(Language::Chinese), "disk {full}");
        assert_eq!(Message::from(Plain).key(), "test.Plain");
    }

    /// Names, and places with signs between them.
    fn has_no_words(wording: &str) -> bool {
        let mut in_place = false;
        let mut words = wording.chars().filter(|letter| {
            in_place = *letter == '{' || in_place && *letter != '}';
            !in_place && letter.is_ascii_lowercase()
        });
        words.next().is_none()
    }

    #[test]
    fn chinese_is_chinese() {
        let is_chinese = |letter: char| ('\u{4e00}'..='\u{9fff}').contains(&letter);
        let mut faults = Vec::new();
        for (key, [english, chinese]) in AREAS.iter().flat_map(|(_, texts)| texts.iter()) {
            if !chinese.contains(is_chinese) && !has_no_words(chinese) {
                faults.push(format!("{key} is not in Chinese: {chinese}"));
            }
            for (sign, full) in [(", ", '，'), (". ", '。'), ("; ", '；'), (": ", '：'), (" (", '（')] {
                let follows = |(at, _): (usize, &str)| chinese[..at].ends_with(is_chinese);
                if chinese.match_indices(sign).any(follows) {
                    faults.push(format!("{key} has {sign:?} for {full}: {chinese}"));
                }
            }
            // A remedy or a note is a sentence in both, what is wrong a clause in both.
            let ends = (english.ends_with(['.', '?']), chinese.ends_with(['。', '？']));
            if ends.0 != ends.1 && !english.ends_with('}') {
                faults.push(format!("{key} is a sentence in one language: {english} | {chinese}"));
            }
        }
        assert!(faults.is_empty(), "{}", faults.join("\n"));
    }

    #[test]
    fn the_messages_of_the_workers_first_lines_are_there() {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/engine.js");
        let script = std::fs::read_to_string(script).expect("it is in the repository");
        let keys: Vec<&str> = script.split('"').filter(|text| text.starts_with("page.")).collect();
        assert!(keys.len() >= 4, "{keys:?}");
        for key in keys {
            let wording = template(key, Language::English).unwrap_or_else(|| panic!("there is no {key}"));
            assert!(wording.contains("{error}"), "{wording}");
        }
    }

    #[test]
    fn every_message_is_found_by_its_key_and_has_plain_places() {
        for (key, wordings) in AREAS.iter().flat_map(|(_, texts)| texts.iter()) {
            for (language, wording) in Language::ALL.into_iter().zip(wordings) {
                assert_eq!(template(key, language), Some(*wording), "{key} is there twice");
                let places = wording.replace("{{", "");
                let mut places = places.split('{').skip(1).filter_map(|place| place.split('}').next());
                assert!(
                    places.all(|name| !name.contains(':')),
                    "{key}: a place is a name and no more"
                );
            }
        }
    }
}
