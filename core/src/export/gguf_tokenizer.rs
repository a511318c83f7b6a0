//! `tokenizer.ggml.*`, written from a tokenizer.json: the inverse of [`crate::formats::gguf_tokenizer`].
//!
//! Reference: `convert_hf_to_gguf.py` and `gguf-py/gguf/vocab.py` of ggml-org/llama.cpp.

use super::merged::Merged;
use crate::error::{Error, Result};
use crate::formats::gguf_tokenizer::{LLAMA3_PIECES, QWEN2_PIECES};
use crate::formats::gguf_writer::GgufWriter;
use crate::tokenizer::{CHARSMAP, Tokenizer};
use base64::prelude::{BASE64_STANDARD, Engine};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;
use serde_json::Value;
use std::collections::HashMap;

/// Kinds of tokens (`enum llama_token_type`).
const NORMAL: i32 = 1;
const UNKNOWN: i32 = 2;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;
const BYTE: i32 = 6;

/// What stands for a space.
const SPACE: char = '\u{2581}';

/// The tokens of a model, by number.
struct Tokens {
    texts: Vec<String>,
    kinds: Vec<i32>,
    scores: Vec<f32>,
}

impl Tokens {
    /// So many unused ones.
    fn new(count: usize) -> Self {
        Self {
            texts: (0..count).map(|id| format!("[PAD{id}]")).collect(),
            kinds: vec![UNUSED; count],
            scores: vec![-1000.0; count],
        }
    }

    fn set(&mut self, id: u64, text: &str, kind: i32) {
        if let Some(place) = usize::try_from(id).ok().filter(|id| *id < self.texts.len()) {
            self.texts[place] = text.to_owned();
            self.kinds[place] = kind;
        }
    }
}

/// Writes the tokenizer and the chat template.
///
/// # Errors
/// There is no tokenizer, or one that llama.cpp has no name for.
pub(super) fn write(writer: &mut GgufWriter, merged: &Merged<'_>) -> Result<()> {
    let files = &merged.files;
    let missing = || {
        Error::model(msg::NoTokenizerForGguf)
            .file(&files.name)
            .remedy(msg::AddTokenizer)
    };
    let tokenizer = files.tokenizer.as_ref().ok_or_else(missing)?;
    let located = |error: Error| error.file("tokenizer.json");
    let json: Value = serde_json::from_str(&tokenizer.to_json()?)
        .map_err(|error| located(Error::internal(Message::verbatim(error.to_string()))))?;
    let model = &json["model"];
    let vocabulary = merged.config["vocab_size"].as_u64().unwrap_or(0) as usize;
    let mut tokens = Tokens::new(vocabulary.max(tokenizer.vocab_size()));
    let kind = match model["type"].as_str() {
        Some("BPE") if model["byte_fallback"] == true => sentencepiece(writer, &json, &mut tokens),
        Some("BPE") => byte_level(writer, &json, &mut tokens),
        Some("WordPiece") => wordpiece(writer, &json, &mut tokens),
        Some("Unigram") => unigram(writer, &json, &mut tokens),
        other => Err(no_name(other.unwrap_or_default(), "model")),
    };
    let kind = kind.map_err(located)?;
    for added in json["added_tokens"].as_array().into_iter().flatten() {
        if let (Some(id), Some(text)) = (added["id"].as_u64(), added["content"].as_str()) {
            let is_unknown = usize::try_from(id).is_ok_and(|id| tokens.kinds.get(id) == Some(&UNKNOWN));
            match added["special"] == true {
                _ if is_unknown => {}
                true => tokens.set(id, text, CONTROL),
                false => tokens.set(id, text, USER_DEFINED),
            }
        }
    }
    writer.text("tokenizer.ggml.model", kind);
    writer.texts("tokenizer.ggml.tokens", &tokens.texts);
    writer.i32s("tokenizer.ggml.token_type", &tokens.kinds);
    if matches!(kind, "llama" | "t5") {
        writer.f32s("tokenizer.ggml.scores", &tokens.scores);
    }
    special_tokens(writer, merged, tokenizer)?;
    if let Some(template) = &files.chat_template {
        writer.text("tokenizer.chat_template", template.source());
    }
    Ok(())
}

fn no_name(found: &str, field: &'static str) -> Error {
    let error = Error::model(msg::NoTokenizerName { found }).field(field);
    error.remedy(msg::ExportMergedModel)
}

/// Numbers of special tokens, and which of them stand around each text.
fn special_tokens(writer: &mut GgufWriter, merged: &Merged<'_>, tokenizer: &Tokenizer) -> Result<()> {
    let config = |key: &str| merged.config[key].as_u64().and_then(|id| u32::try_from(id).ok());
    let bos = tokenizer.bos_token_id().or(config("bos_token_id"));
    let eos = tokenizer
        .eos_token_ids()
        .first()
        .or(merged.files.eos_token_ids.first())
        .copied();
    let pad = tokenizer.pad_token_id().or(config("pad_token_id"));
    for (name, id) in [("bos", bos), ("eos", eos), ("padding", pad)] {
        if let Some(id) = id {
            writer.u32(&format!("tokenizer.ggml.{name}_token_id"), id);
        }
    }
    let (plain, framed) = (tokenizer.encode("a", false)?, tokenizer.encode("a", true)?);
    let is_framed = framed.len() > plain.len();
    let begins = is_framed && framed.first().copied() == bos && bos.is_some();
    let ends = is_framed && framed.last().copied() == eos && eos.is_some();
    writer.bool("tokenizer.ggml.add_bos_token", begins);
    writer.bool("tokenizer.ggml.add_eos_token", ends);
    Ok(())
}

/// The vocabulary of a model that is a map from tokens to numbers.
fn vocabulary(model: &Value) -> impl Iterator<Item = (&str, u64)> {
    let entries = model["vocab"].as_object().into_iter().flatten();
    entries.filter_map(|(token, id)| Some((token.as_str(), id.as_u64()?)))
}

/// The merges as `left right`.
fn merges(model: &Value) -> impl Iterator<Item = (&str, &str)> {
    let merges = model["merges"].as_array().into_iter().flatten();
    merges.filter_map(|merge| match merge {
        Value::String(merge) => merge.split_once(' '),
        merge => Some((merge[0].as_str()?, merge[1].as_str()?)),
    })
}

/// Byte-level BPE.
fn byte_level(writer: &mut GgufWriter, json: &Value, tokens: &mut Tokens) -> Result<&'static str> {
    let pre = &json["pre_tokenizer"];
    let parts: Vec<&Value> = match pre["type"].as_str() {
        Some("Sequence") => pre["pretokenizers"].as_array().into_iter().flatten().collect(),
        _ => vec![pre],
    };
    let kind = |part: &Value| part["type"].as_str().unwrap_or_default().to_owned();
    let kinds: Vec<String> = parts.iter().map(|part| kind(part)).collect();
    let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
    let has_prefix = parts.iter().any(|part| part["add_prefix_space"] == true);
    let name = match kinds.as_slice() {
        _ if has_prefix => None,
        ["ByteLevel"] if parts[0]["use_regex"] != false => Some("gpt-2"),
        ["Digits", "ByteLevel"] if parts[0]["individual_digits"] == true && parts[1]["use_regex"] != false => {
            Some("smollm")
        }
        ["Split", "ByteLevel"] => match parts[0]["pattern"]["Regex"].as_str() {
            Some(LLAMA3_PIECES) => Some("llama-bpe"),
            Some(QWEN2_PIECES) => Some("qwen2"),
            _ => None,
        },
        _ => None,
    };
    let shown: String = pre.to_string().chars().take(80).collect();
    writer.text(
        "tokenizer.ggml.pre",
        name.ok_or_else(|| no_name(&shown, "pre_tokenizer"))?,
    );
    let model = &json["model"];
    for (token, id) in vocabulary(model) {
        tokens.set(id, token, NORMAL);
    }
    let merges: Vec<String> = merges(model).map(|(left, right)| format!("{left} {right}")).collect();
    writer.texts("tokenizer.ggml.merges", &merges);
    Ok("gpt2")
}

/// SentencePiece's BPE. llama.cpp joins the neighbours whose union scores best: a token's score is minus the place of the first
/// merge that makes it.
fn sentencepiece(writer: &mut GgufWriter, json: &Value, tokens: &mut Tokens) -> Result<&'static str> {
    let model = &json["model"];
    let unknown = model["unk_token"].as_str();
    let mut ranks: HashMap<String, usize> = HashMap::new();
    for (rank, (left, right)) in merges(model).enumerate() {
        ranks.entry(format!("{left}{right}")).or_insert(rank);
    }
    let last = ranks.len();
    for (token, id) in vocabulary(model) {
        let is_byte = token.len() == 6 && token.starts_with("<0x") && token.ends_with('>');
        let kind = match Some(token) == unknown {
            true => UNKNOWN,
            false if is_byte => BYTE,
            false => NORMAL,
        };
        tokens.set(id, token, kind);
        if let Some(score) = tokens.scores.get_mut(id as usize) {
            *score = match kind {
                NORMAL => -(ranks.get(token).copied().unwrap_or(last) as f32),
                _ => 0.0,
            };
        }
        if kind == UNKNOWN {
            writer.u32("tokenizer.ggml.unknown_token_id", id as u32);
        }
    }
    writer.text("tokenizer.ggml.pre", "default");
    let normalizer = json["normalizer"].to_string();
    let pre = &json["pre_tokenizer"];
    let prepends = normalizer.contains("\"Prepend\"") || pre["type"] == "Metaspace" && pre["prepend_scheme"] != "never";
    writer.bool("tokenizer.ggml.add_space_prefix", prepends);
    Ok("llama")
}

/// BERT's WordPiece, written as SentencePiece would: `▁` before what begins a word, nothing before the rest.
fn wordpiece(writer: &mut GgufWriter, json: &Value, tokens: &mut Tokens) -> Result<&'static str> {
    let model = &json["model"];
    let prefix = model["continuing_subword_prefix"].as_str().unwrap_or("##");
    for (token, id) in vocabulary(model) {
        let piece = match token.strip_prefix(prefix) {
            Some(rest) => rest.to_owned(),
            None => format!("{SPACE}{token}"),
        };
        tokens.set(id, &piece, NORMAL);
    }
    let ids: HashMap<&str, u64> = vocabulary(model).collect();
    for (name, text) in [
        ("unknown", model["unk_token"].as_str().unwrap_or("[UNK]")),
        ("seperator", "[SEP]"),
        ("padding", "[PAD]"),
        ("cls", "[CLS]"),
        ("mask", "[MASK]"),
        ("bos", "[CLS]"),
        ("eos", "[SEP]"),
    ] {
        if let Some(id) = ids.get(text) {
            writer.u32(&format!("tokenizer.ggml.{name}_token_id"), *id as u32);
            tokens.set(*id, text, CONTROL);
        }
    }
    let normalizer = &json["normalizer"];
    writer.text("tokenizer.ggml.pre", "default");
    writer.bool("tokenizer.ggml.normalizer.lowercase", normalizer["lowercase"] == true);
    if let Some(strips) = normalizer["strip_accents"].as_bool() {
        writer.bool("tokenizer.ggml.normalizer.strip_accents", strips);
    }
    Ok("bert")
}

/// SentencePiece's unigrams.
fn unigram(writer: &mut GgufWriter, json: &Value, tokens: &mut Tokens) -> Result<&'static str> {
    let model = &json["model"];
    let unknown = model["unk_id"].as_u64();
    for (id, entry) in model["vocab"].as_array().into_iter().flatten().enumerate() {
        let (Some(token), Some(score)) = (entry[0].as_str(), entry[1].as_f64()) else {
            continue;
        };
        let kind = if unknown == Some(id as u64) { UNKNOWN } else { NORMAL };
        tokens.set(id as u64, token, kind);
        tokens.scores[id] = score as f32;
    }
    if let Some(unknown) = unknown {
        writer.u32("tokenizer.ggml.unknown_token_id", unknown as u32);
    }
    writer.text("tokenizer.ggml.pre", "default");
    let pre = json["pre_tokenizer"].to_string();
    writer.bool("tokenizer.ggml.add_space_prefix", !pre.contains("\"never\""));
    writer.bool(
        "tokenizer.ggml.remove_extra_whitespaces",
        pre.contains("WhitespaceSplit"),
    );
    let parts: Vec<&Value> = match json["normalizer"]["normalizers"].as_array() {
        Some(parts) => parts.iter().collect(),
        None => vec![&json["normalizer"]],
    };
    let map = parts.into_iter().find_map(|part| part[CHARSMAP].as_str());
    if let Some(bytes) = map.and_then(|map| BASE64_STANDARD.decode(map).ok()) {
        writer.bytes("tokenizer.ggml.precompiled_charsmap", &bytes);
    }
    Ok("t5")
}
