//! What a tokenizer.json may be made of, checked before the library that reads it: parts of known types, whose settings neither
//! lead it out of its tables nor let a text grow without measure.

use crate::{Error, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::text as msg;
use serde_json::Value;

/// Merges for each token of a SentencePiece vocabulary; sound ones have two to three.
pub(crate) const MOST_MERGES: usize = 16;

/// Ids that tokens may have, from 0: the largest vocabularies have some hundred thousand, and whoever writes one down goes through all
/// ids up to the largest.
const MOST_IDS: u64 = 1 << 22;

/// How many times longer the normalizer and pre-tokenizer may make a text, and the decoder a token.
const MOST_GROWTH: usize = 16;
/// Parts in sequences, and sequences in sequences.
const MOST_PARTS: usize = 64;
const MOST_NESTED: usize = 8;
/// Pieces of a template around a text, and tokens in each.
const MOST_PIECES: usize = 64;
/// The longest text that is put in front of each piece.
const MOST_PREPENDED: usize = 16;
/// The longest text that SentencePiece's own tables make of one character (U+FDFA under NFKC).
const LONGEST_REPLACEMENT: usize = 18;

/// A part of a tokenizer.json.
struct Part {
    key: &'static str,
    /// Where a sequence has its parts.
    parts: &'static str,
    types: &'static [&'static str],
}

const PARTS: [Part; 4] = [
    Part {
        key: "normalizer",
        parts: "normalizers",
        types: &[
            "BertNormalizer",
            "ByteLevel",
            "Lowercase",
            "NFC",
            "NFD",
            "NFKC",
            "NFKD",
            "Nmt",
            "Precompiled",
            "Prepend",
            "Replace",
            "Strip",
            "StripAccents",
        ],
    },
    Part {
        key: "pre_tokenizer",
        parts: "pretokenizers",
        types: &[
            "BertPreTokenizer",
            "ByteLevel",
            "CharDelimiterSplit",
            "Delimiter",
            "Digits",
            "FixedLength",
            "Metaspace",
            "Punctuation",
            "Split",
            "UnicodeScripts",
            "Whitespace",
            "WhitespaceSplit",
        ],
    },
    Part {
        key: "post_processor",
        parts: "processors",
        types: &["BertProcessing", "ByteLevel", "RobertaProcessing", "TemplateProcessing"],
    },
    Part {
        key: "decoder",
        parts: "decoders",
        types: &[
            "BPEDecoder",
            "ByteFallback",
            "ByteLevel",
            "CTC",
            "Fuse",
            "Metaspace",
            "Replace",
            "Strip",
            "WordPiece",
        ],
    },
];

fn wrong(what: impl Into<Message>, place: &str) -> Error {
    Error::format(what).field(place).remedy(msg::UseModelsTokenizer)
}

/// Checks a tokenizer.json and takes out what makes runs differ; says what that was.
///
/// # Errors
/// A part is of no known type, or has settings that its reader does not survive.
pub(super) fn check(json: &mut Value) -> Result<Vec<Message>> {
    if !json.is_object() {
        return Err(Error::format(msg::TokenizerIsNoObject).remedy(msg::UseModelsTokenizer));
    }
    let mut texts = Growth::default();
    let mut tokens = Growth::default();
    for part in &PARTS {
        let growth = if part.key == "decoder" { &mut tokens } else { &mut texts };
        walk(&json[part.key], part, part.key, 0, growth)?;
    }
    check_model(json)
}

/// What the parts do to the length of a text.
#[derive(Debug)]
struct Growth {
    times: usize,
    parts: usize,
}

impl Default for Growth {
    fn default() -> Self {
        Self { times: 1, parts: 0 }
    }
}

fn walk(value: &Value, part: &Part, place: &str, depth: usize, growth: &mut Growth) -> Result<()> {
    let object = match value {
        Value::Null => return Ok(()),
        Value::Object(object) => object,
        _ => return Err(wrong(msg::NotAnObjectWithType, place)),
    };
    let Some(kind) = object.get("type").and_then(Value::as_str) else {
        return Err(wrong(msg::HasNoType, place));
    };
    growth.parts += 1;
    if growth.parts > MOST_PARTS || depth > MOST_NESTED {
        return Err(wrong(msg::TooManyParts { most: MOST_PARTS }, place));
    }
    if kind == "Sequence" {
        let Some(parts) = object.get(part.parts).and_then(Value::as_array) else {
            return Err(wrong(msg::SequenceWithoutList { parts: part.parts }, place));
        };
        for (index, inner) in parts.iter().enumerate() {
            if inner.is_null() {
                return Err(wrong(msg::IsNull, &format!("{place}.{}[{index}]", part.parts)));
            }
            walk(
                inner,
                part,
                &format!("{place}.{}[{index}]", part.parts),
                depth + 1,
                growth,
            )?;
        }
        return Ok(());
    }
    if !part.types.contains(&kind) {
        let kind = format!("{kind:?}");
        return Err(wrong(msg::UnknownType { kind }, place));
    }
    let times = check_part(value, kind, place)?;
    growth.times = growth.times.saturating_mul(times);
    match growth.times <= MOST_GROWTH {
        true => Ok(()),
        false => Err(wrong(msg::GrowsTooMuch { most: MOST_GROWTH }, place)),
    }
}

/// Checks the settings of one part; how many times longer it may make a text.
fn check_part(value: &Value, kind: &str, place: &str) -> Result<usize> {
    let number = |key: &str| value[key].as_u64();
    let length = |key: &str| value[key].as_str().map(|text| text.chars().count());
    // The library tries other types where one does not fit, and this key alone makes the part one.
    let table = value.get(CHARSMAP);
    if kind == "Precompiled" || table.is_some() {
        let longest = table
            .and_then(Value::as_str)
            .and_then(|text| BASE64_STANDARD.decode(text).ok());
        let bytes = longest.ok_or_else(|| wrong(msg::NotBase64, CHARSMAP))?;
        let longest = check_charsmap(&bytes).map_err(|error| error.field(CHARSMAP).remedy(msg::UseModelsTokenizer))?;
        return Ok(longest.div_ceil(LONGEST_REPLACEMENT).max(1));
    }
    match kind {
        "FixedLength" if value.get("length").is_some() && number("length").is_none_or(|length| length == 0) => {
            Err(wrong(msg::NotAboveZero, &format!("{place}.length")))
        }
        "Prepend" if length("prepend").is_none_or(|length| length > MOST_PREPENDED) => {
            let most = MOST_PREPENDED;
            Err(wrong(msg::NotAShortText { most }, &format!("{place}.prepend")))
        }
        // A token that is shorter than what is to be cut off its end is not expected there.
        "Strip" if number("stop").is_some_and(|stop| stop > 0) => Err(wrong(msg::CutsEnds, &format!("{place}.stop"))),
        "Replace" => {
            let content = length("content").ok_or_else(|| wrong(common::IsMissing, &format!("{place}.content")))?;
            let pattern = &value["pattern"];
            let at = format!("{place}.pattern");
            match (pattern["String"].as_str(), pattern["Regex"].as_str()) {
                (Some(""), _) => Err(wrong(msg::MustNotBeEmpty, &at)),
                (Some(text), _) => Ok(content.div_ceil(text.chars().count()).max(1)),
                // Matches between two characters lead the reader out of its text.
                (_, Some(regex)) if may_match_nothing(regex) => Err(wrong(msg::MightMatchNothing, &at)),
                (_, Some(_)) => Ok(content.max(1)),
                _ => Err(wrong(msg::NotAPattern, &at)),
            }
        }
        // A character of two bytes becomes two.
        "ByteLevel" if place.starts_with("normalizer") => Ok(2),
        "TemplateProcessing" => check_template(value, place).map(|()| 1),
        _ => Ok(1),
    }
}

/// Checks the pieces around a text: not many, and of special tokens that are there.
fn check_template(template: &Value, place: &str) -> Result<()> {
    let tokens = &template["special_tokens"];
    for key in ["single", "pair"] {
        let Some(pieces) = template[key].as_array() else {
            continue;
        };
        if pieces.len() > MOST_PIECES {
            let most = MOST_PIECES;
            return Err(wrong(msg::TooManyPieces { most }, &format!("{place}.{key}")));
        }
        // An id that is none is refused by the reader itself.
        let ids = pieces.iter().filter_map(|piece| piece["SpecialToken"]["id"].as_str());
        if let Some(id) = ids.into_iter().find(|id| tokens.get(id).is_none()) {
            let token = format!("{id:?}");
            return Err(wrong(msg::UnknownSpecialToken { token }, &format!("{place}.{key}")));
        }
    }
    let has_many = |(_, token): &(&String, &Value)| token["ids"].as_array().is_some_and(|ids| ids.len() > MOST_PIECES);
    match tokens.as_object().into_iter().flatten().find(has_many) {
        Some((id, _)) => {
            let (most, token) = (MOST_PIECES, format!("{id:?}"));
            Err(wrong(msg::TooManyTokens { most, token }, place))
        }
        None => Ok(()),
    }
}

/// Whether a pattern might match between two characters. One without signs that allow it does not; of others, that are simple
/// enough, texts tell.
fn may_match_nothing(regex: &str) -> bool {
    const TEXTS: [&str; 8] = [
        "",
        "a",
        " ",
        "aa  a",
        "A1 b.\n",
        "\u{2581}é你🙂",
        "'s ``x''",
        "\t\r\n-_/",
    ];
    let signs = ['?', '*', '^', '$', '|'];
    let escapes = ["\\b", "\\B", "\\A", "\\z", "\\Z", "\\G", "\\K", "{0", "{,"];
    if !regex.is_empty() && !regex.contains(signs) && !escapes.iter().any(|escape| regex.contains(escape)) {
        return false;
    }
    let Ok(compiled) = regex::Regex::new(regex) else {
        return true;
    };
    TEXTS
        .iter()
        .any(|text| compiled.find_iter(text).any(|found| found.is_empty()))
}

/// Checks the model, and makes it give the same tokens of a text each time.
fn check_model(json: &mut Value) -> Result<Vec<Message>> {
    const TYPES: [&str; 4] = ["BPE", "Unigram", "WordLevel", "WordPiece"];
    let Some(model) = json.get_mut("model").and_then(Value::as_object_mut) else {
        return Err(wrong(msg::NotAnObject, "model"));
    };
    match model.get("type") {
        // GPT-2's file has no type.
        None => {}
        Some(Value::String(kind)) if TYPES.contains(&kind.as_str()) => {}
        Some(found) => return Err(wrong(msg::IsUnknown { found }, "model.type")),
    }
    let mut notes = Vec::new();
    if model
        .get("dropout")
        .and_then(Value::as_f64)
        .is_some_and(|dropout| dropout > 0.0)
    {
        notes.push(msg::DropoutOff.into());
    }
    if model.contains_key("dropout") {
        model.insert("dropout".into(), Value::Null);
    }
    let tokens = match model.get("vocab") {
        Some(Value::Object(tokens)) => {
            let is_beyond = |(_, id): &(&String, &Value)| id.as_u64().is_some_and(|id| id >= MOST_IDS);
            if let Some((token, id)) = tokens.iter().find(is_beyond) {
                let (token, most) = (format!("{token:?}"), MOST_IDS);
                return Err(wrong(msg::IdTooLarge { token, id, most }, "model.vocab"));
            }
            tokens.len()
        }
        Some(Value::Array(tokens)) => tokens.len(),
        _ => return Err(wrong(common::IsMissing, "model.vocab")),
    };
    let Some(merges) = model.get("merges").and_then(Value::as_array) else {
        return Ok(notes);
    };
    if merges.len() > MOST_MERGES.saturating_mul(tokens) {
        let merges = merges.len();
        return Err(wrong(msg::TooManyMerges { merges, tokens }, "model.merges"));
    }
    let prefix = model
        .get("continuing_subword_prefix")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let right = |merge: &Value| match merge {
        Value::String(merge) => merge.split_once(' ').map(|(_, right)| right.to_string()),
        merge => merge[1].as_str().map(str::to_string),
    };
    // Its bytes are cut off without a look at them.
    let lacks_prefix = |merge: &Value| right(merge).is_some_and(|right| !right.starts_with(prefix));
    match merges.iter().position(lacks_prefix) {
        Some(merge) => {
            let prefix = format!("{prefix:?}");
            Err(wrong(msg::MergeLacksPrefix { prefix }, "model.merges").row(merge + 1))
        }
        None => Ok(notes),
    }
}

/// The key of SentencePiece's table in tokenizer.json.
pub(crate) const CHARSMAP: &str = "precompiled_charsmap";

/// Refuses a table of SentencePiece's normalizer that leads out of itself: its reader follows it without looking. The length of
/// its longest replacement, in characters.
///
/// The table is the length of a double-array trie in bytes, the trie's units of 32 bits, and the replacements that its leaves
/// point into. Reference: `normalizer.cc` of google/sentencepiece, `darts.h` of s-yata/darts-clone.
pub(crate) fn check_charsmap(bytes: &[u8]) -> Result<usize> {
    let wrong = || Error::format(msg::NotACharsmap);
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(wrong)?;
    let length = u32::from_le_bytes(*length) as usize / 4 * 4;
    let (trie, replacements) = rest.split_at_checked(length).ok_or_else(wrong)?;
    let replacements = std::str::from_utf8(replacements).map_err(|_| wrong())?;
    let units: Vec<usize> = trie
        .as_chunks::<4>()
        .0
        .iter()
        .map(|unit| u32::from_le_bytes(*unit) as usize)
        .collect();
    const IS_VALUE: usize = 1 << 31;
    let is_sound = |(at, unit): (usize, &usize)| {
        // No letter leads to a value.
        if unit & IS_VALUE != 0 && at > 0 {
            return true;
        }
        let first = at ^ ((unit >> 10) << ((unit & (1 << 9)) >> 6));
        let has_leaf = unit & (1 << 8) != 0;
        let leaf = units.get(first).map(|leaf| leaf & (IS_VALUE - 1));
        // Any of 256 letters may come next.
        (first | 0xff) < units.len() && (!has_leaf || leaf.is_some_and(|start| replacements.is_char_boundary(start)))
    };
    match !units.is_empty() && units.iter().enumerate().all(is_sound) {
        true => {
            let lengths = replacements.split('\0').map(|text| text.chars().count());
            Ok(lengths.max().unwrap_or(0))
        }
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::Tokenizer;
    use serde_json::json;

    #[test]
    fn tables_that_lead_out_of_themselves_are_refused() {
        let table = |units: &[u32], replacements: &[u8]| {
            let trie = units.iter().flat_map(|unit| unit.to_le_bytes());
            let length = (4 * units.len() as u32).to_le_bytes();
            let bytes: Vec<u8> = length
                .into_iter()
                .chain(trie)
                .chain(replacements.iter().copied())
                .collect();
            check_charsmap(&bytes).is_ok()
        };
        let sound = vec![0; 256];
        assert!(table(&sound, b"a\0"));
        assert!(!table(&sound[1..], b"a\0"));
        assert!(!table(&[], b"a\0"));
        assert!(!table(&sound, b"\xff"));
        let far = |unit: u32| [&[unit][..], &sound[1..]].concat();
        assert!(!table(&far(300 << 10), b""));
        // A leaf at 7 that points behind the replacements, and into a letter.
        let leaf = |start: u32| {
            let mut units = far(7 << 10 | 1 << 8);
            units[7] = 1 << 31 | start;
            units
        };
        assert!(table(&leaf(2), "é\0".as_bytes()));
        assert!(!table(&leaf(1), "é\0".as_bytes()));
        assert!(!table(&leaf(9), "é\0".as_bytes()));
        assert!(check_charsmap(&[9, 0, 0, 0, 1]).is_err() && check_charsmap(&[1]).is_err());
    }

    #[test]
    fn a_tokenizer_with_such_a_table_is_refused_before_a_text_is_read() {
        let model =
            json!({"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a", -1.0]], "byte_fallback": false});
        let refused = |normalizer: Value| {
            let json = json!({"version": "1.0", "added_tokens": [], "normalizer": normalizer, "pre_tokenizer": null,
                              "post_processor": null, "decoder": null, "model": model});
            Tokenizer::from_json(json.to_string().as_bytes()).err()
        };
        // A trie of one unit, whose first letter leads behind its end.
        let table = BASE64_STANDARD.encode([4, 0, 0, 0, 0, 0, 4, 0]);
        let alone = json!({"type": "Precompiled", CHARSMAP: table});
        let error = refused(alone.clone()).expect("it leads out of itself");
        assert_eq!(error.field_name(), Some(CHARSMAP));
        let inside = json!({"type": "Sequence", "normalizers": [{"type": "NFKC"}, alone]});
        assert_eq!(refused(inside), Some(error));
        assert!(refused(json!({"type": "Precompiled", CHARSMAP: "=!"})).is_some());
        assert_eq!(refused(Value::Null), None);
    }
}
