//! The tokenizer that a GGUF file's metadata describes (`tokenizer.ggml.*`), written as a tokenizer.json first, so that one
//! library does all the work.
//!
//! Reference: `gguf-py/gguf/vocab.py` and `src/llama-vocab.cpp` of ggml-org/llama.cpp.

use super::gguf::Metadata;
use crate::tokenizer::{CHARSMAP, MOST_MERGES, Tokenizer, check_charsmap};
use crate::{Error, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::formats as msg;
use serde_json::{Value, json};
use std::collections::HashMap;
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, Vocab};

/// The tokenizer that a GGUF file's metadata describes (`tokenizer.ggml.*`).
///
/// Byte-level BPE (`gpt2`) is read with the pre-tokenizers of GPT-2, SmolLM, Qwen 2 and 3 and Llama 3, SentencePiece BPE
/// (`llama`, which Gemma has too) by deriving its merges from the scores, BERT's WordPiece (`bert`) and SentencePiece's
/// unigrams (`t5`) as they lie.
///
/// # Errors
/// The kind of tokenizer or its pre-tokenizer is not known, or parts are missing.
pub fn tokenizer(metadata: &Metadata) -> Result<Tokenizer> {
    let mut tokenizer = match metadata.text("tokenizer.ggml.model") {
        Some("gpt2") => Tokenizer::from_value(&byte_level_json(metadata)?)?,
        Some("llama") => sentencepiece(metadata)?,
        Some("bert") => Tokenizer::from_value(&wordpiece_json(metadata)?)?,
        Some("t5") => Tokenizer::from_value(&unigram_json(metadata)?)?,
        other => return Err(unsupported(other, "tokenizer.ggml.model")),
    };
    let vocabulary = tokenizer.inner.get_vocab_size(true) as u64;
    let id = |name: &str| {
        let id = metadata.integer(&format!("tokenizer.ggml.{name}_token_id"));
        id.filter(|id| *id < vocabulary).map(|id| id as u32)
    };
    tokenizer.bos_token_id = id("bos");
    tokenizer.pad_token_id = id("padding");
    for eos in [id("eos"), id("eot"), id("eom")].into_iter().flatten() {
        if !tokenizer.eos_token_ids.contains(&eos) {
            tokenizer.eos_token_ids.push(eos);
        }
    }
    Ok(tokenizer)
}

/// The error for a kind of tokenizer that is not read here, or for none at `key`.
fn unsupported(kind: Option<&str>, key: &str) -> Error {
    let error = match kind {
        Some(kind) => {
            let found = format!("{kind:?}");
            Error::model(msg::IsNotSupported { found })
        }
        None => Error::model(msg::KindMissing),
    };
    error.field(key).remedy(msg::UseSafetensors)
}

/// How Qwen 2 and 3 cut a text into pieces before merging: contractions, words, single digits, signs, white space.
pub(crate) const QWEN2_PIECES: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same, but up to three digits stay together.
pub(crate) const LLAMA3_PIECES: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The texts of the vocabulary, each with its number; the first of two equal ones counts.
fn vocabulary(metadata: &Metadata) -> Result<(&[String], HashMap<&str, u32>)> {
    let key = "tokenizer.ggml.tokens";
    let tokens = metadata
        .texts(key)
        .ok_or_else(|| Error::format(common::IsMissing).field(key))?;
    let mut numbers = HashMap::with_capacity(tokens.len());
    for (id, token) in tokens.iter().enumerate() {
        numbers.entry(token.as_str()).or_insert(id as u32);
    }
    Ok((tokens, numbers))
}

/// Tokens that are found in a text before anything else: control tokens (type 3), and those the model's makers added
/// (4).
fn added_tokens(metadata: &Metadata, tokens: &[String]) -> Vec<Value> {
    let kinds = metadata.integers("tokenizer.ggml.token_type").unwrap_or_default();
    let added = tokens
        .iter()
        .zip(kinds)
        .enumerate()
        .filter(|(_, (_, kind))| matches!(kind, 3 | 4));
    let entry = |(id, (token, kind)): (usize, (&String, &i64))| {
        json!({"id": id, "content": token, "special": *kind == 3, "normalized": false,
               "single_word": false, "lstrip": false, "rstrip": false})
    };
    added.filter(|(_, (token, _))| !token.is_empty()).map(entry).collect()
}

/// A post-processor that puts the first and last token around a text, where the metadata asks for it.
fn frame(metadata: &Metadata, tokens: &[String], (bos_by_default, eos_by_default): (bool, bool)) -> Option<Value> {
    let token = |name: &str, default: bool| {
        if !metadata
            .bool(&format!("tokenizer.ggml.add_{name}_token"))
            .unwrap_or(default)
        {
            return None;
        }
        let id = metadata.integer(&format!("tokenizer.ggml.{name}_token_id"))? as usize;
        Some((id, tokens.get(id)?))
    };
    let (bos, eos) = (token("bos", bos_by_default), token("eos", eos_by_default));
    if bos.is_none() && eos.is_none() {
        return None;
    }
    let mut special = serde_json::Map::new();
    for (id, text) in [bos, eos].into_iter().flatten() {
        special.insert(text.clone(), json!({"id": text, "ids": [id], "tokens": [text]}));
    }
    let piece = |sequence: &str, kind: usize| {
        let special = |found: Option<(usize, &String)>| {
            found.map(|(_, text)| json!({"SpecialToken": {"id": text, "type_id": kind}}))
        };
        let sequence = json!({"Sequence": {"id": sequence, "type_id": kind}});
        [special(bos), Some(sequence), special(eos)]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    let pair = [piece("A", 0), piece("B", 1)].concat();
    Some(json!({"type": "TemplateProcessing", "single": piece("A", 0), "pair": pair, "special_tokens": special}))
}

/// tokenizer.json of byte-level BPE.
fn byte_level_json(metadata: &Metadata) -> Result<Value> {
    let (tokens, numbers) = vocabulary(metadata)?;
    let key = "tokenizer.ggml.merges";
    let merges = metadata
        .texts(key)
        .ok_or_else(|| Error::format(common::IsMissing).field(key))?;
    let mut pairs = Vec::with_capacity(merges.len());
    for (row, merge) in merges.iter().enumerate() {
        let known = merge.split_once(' ').filter(|(left, right)| {
            let joined = format!("{left}{right}");
            [*left, *right, joined.as_str()]
                .iter()
                .all(|part| numbers.contains_key(part))
        });
        let (left, right) = known.ok_or_else(|| {
            let merge = format!("{merge:?}");
            Error::format(msg::UnknownMerge { merge }).row(row + 1).field(key)
        })?;
        pairs.push([left, right]);
    }
    let bytes = |use_regex: bool| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex});
    let split = |pattern: &str| {
        let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        json!({"type": "Sequence", "pretokenizers": [split, bytes(false)]})
    };
    let architecture = metadata.text("general.architecture");
    let named = metadata
        .text("tokenizer.ggml.pre")
        .or(architecture.filter(|name| *name == "gpt2"));
    let (pre_tokenizer, normalizer, is_llama3) = match named {
        Some("gpt-2" | "gpt2") => (bytes(true), Value::Null, false),
        Some("smollm") => {
            let digits = json!({"type": "Digits", "individual_digits": true});
            (
                json!({"type": "Sequence", "pretokenizers": [digits, bytes(true)]}),
                Value::Null,
                false,
            )
        }
        Some("qwen2" | "deepseek-r1-qwen") => (split(QWEN2_PIECES), json!({"type": "NFC"}), false),
        Some("llama-bpe" | "llama3" | "llama-v3") => (split(LLAMA3_PIECES), Value::Null, true),
        other => return Err(unsupported(other, "tokenizer.ggml.pre")),
    };
    let model = json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
        "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": is_llama3,
        "vocab": numbers, "merges": pairs});
    Ok(
        json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added_tokens(metadata, tokens),
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": frame(metadata, tokens, (is_llama3, false)),
        "decoder": bytes(true), "model": model}),
    )
}

/// The score of each of `count` tokens.
fn scores(metadata: &Metadata, count: usize) -> Result<&[f64]> {
    let key = "tokenizer.ggml.scores";
    let scores = metadata.floats(key).filter(|scores| scores.len() == count);
    let scores = scores.ok_or_else(|| Error::format(msg::ScoresMissing).field(key))?;
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(scores),
        Some(row) => Err(Error::format(msg::ScoreIsNoNumber).row(row + 1).field(key)),
    }
}

/// SentencePiece's BPE (Llama 1 and 2, Mistral, Gemma): spaces are `▁`, unknown characters fall back to bytes.
///
/// SentencePiece joins the neighbours whose union scores best; so each way to split a token into two tokens is a merge,
/// ranked by the token's score. There are too many of them to be written as JSON and read again.
fn sentencepiece(metadata: &Metadata) -> Result<Tokenizer> {
    let (tokens, numbers) = vocabulary(metadata)?;
    let scores = scores(metadata, tokens.len())?;
    let kinds = metadata.integers("tokenizer.ggml.token_type").unwrap_or_default();
    let mut merges = Vec::new();
    for (id, (token, score)) in tokens.iter().zip(scores).enumerate() {
        let is_normal = kinds.get(id).is_none_or(|kind| *kind == 1);
        // No sound piece is this long; without the bound a hostile one costs the square of its length.
        if !is_normal || token.len() > 512 {
            continue;
        }
        let cuts = token.char_indices().skip(1).map(|(at, _)| token.split_at(at));
        let parts = cuts.filter(|(left, right)| numbers.contains_key(left) && numbers.contains_key(right));
        merges.extend(parts.map(|(left, right)| (*score, left, right)));
        if merges.len() > MOST_MERGES.saturating_mul(tokens.len()) {
            return Err(Error::format(msg::TooManyMergeWays { most: MOST_MERGES })
                .field("tokenizer.ggml.tokens")
                .remedy(msg::UseModelsOwnFile));
        }
    }
    merges.sort_by(|a, b| b.0.total_cmp(&a.0).then(numbers[a.1].cmp(&numbers[b.1])));
    let space = "\u{2581}";
    let replace = json!({"type": "Replace", "pattern": {"String": " "}, "content": space});
    let prefixed = metadata.bool("tokenizer.ggml.add_space_prefix").unwrap_or(true);
    let normalizers = if prefixed {
        json!([{"type": "Prepend", "prepend": space}, replace])
    } else {
        json!([replace])
    };
    let back = json!({"type": "Replace", "pattern": {"String": space}, "content": " "});
    let mut decoders = vec![back, json!({"type": "ByteFallback"}), json!({"type": "Fuse"})];
    if prefixed {
        decoders.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    // Added tokens take their numbers from the model, which comes behind the parts around it.
    let empty = json!({"type": "BPE", "vocab": {}, "merges": []});
    let mut tokenizer = Tokenizer::from_value(
        &json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
        "normalizer": {"type": "Sequence", "normalizers": normalizers}, "pre_tokenizer": null,
        "post_processor": frame(metadata, tokens, (true, false)), "decoder": {"type": "Sequence", "decoders": decoders},
        "model": empty}),
    )?;
    let unknown = metadata.integer("tokenizer.ggml.unknown_token_id").unwrap_or(0);
    let unknown = usize::try_from(unknown).ok().and_then(|id| tokens.get(id));
    let vocabulary = numbers.iter().map(|(token, id)| (token.to_string(), *id));
    let merges = merges
        .into_iter()
        .map(|(_, left, right)| (left.to_string(), right.to_string()));
    let builder = BPE::builder()
        .vocab_and_merges(vocabulary.collect::<Vocab>(), merges.collect())
        .fuse_unk(true)
        .byte_fallback(true);
    let builder = match unknown {
        Some(token) => builder.unk_token(token.clone()),
        None => builder,
    };
    let unusable = |error| Error::format(msg::NotATokenizer { error }).field("tokenizer.ggml.tokens");
    tokenizer.inner.with_model(builder.build().map_err(unusable)?);
    let kind = |id: usize| kinds.get(id).copied().unwrap_or(1);
    let added = tokens
        .iter()
        .enumerate()
        .filter(|(id, token)| matches!(kind(*id), 3 | 4) && !token.is_empty());
    let added = added.map(|(id, token)| AddedToken::from(token.clone(), kind(id) == 3).normalized(false));
    tokenizer.inner.add_tokens(added).map_err(unusable)?;
    Ok(tokenizer)
}

/// tokenizer.json of BERT's WordPiece.
///
/// GGUF writes pieces as SentencePiece would: `▁` before one that begins a word, which has no mark with BERT, and no `##`
/// before the others; control tokens are as they are.
fn wordpiece_json(metadata: &Metadata) -> Result<Value> {
    let (tokens, _) = vocabulary(metadata)?;
    let kinds = metadata.integers("tokenizer.ggml.token_type").unwrap_or_default();
    let is_normal = |id: usize| kinds.get(id).is_none_or(|kind| *kind == 1);
    let piece = |(id, token): (usize, &String)| match token.strip_prefix('\u{2581}') {
        Some(word) => word.to_owned(),
        None if is_normal(id) => format!("##{token}"),
        None => token.clone(),
    };
    let pieces: Vec<String> = tokens.iter().enumerate().map(piece).collect();
    let id = |name: &str, text: &str| {
        let stated = metadata.integer(&format!("tokenizer.ggml.{name}_token_id"));
        let stated = stated
            .and_then(|id| usize::try_from(id).ok())
            .filter(|id| *id < pieces.len());
        stated.or_else(|| pieces.iter().position(|piece| piece == text))
    };
    let token = |name: &str, text: &str| {
        let missing = || Error::format(msg::LacksToken { token: text }).field("tokenizer.ggml.tokens");
        id(name, text).map(|id| (id, &pieces[id])).ok_or_else(missing)
    };
    let unknown = token("unknown", "[UNK]")?.1;
    // So llama.cpp spells it.
    let (begin, end) = (token("cls", "[CLS]")?, token("seperator", "[SEP]")?);
    // Older files do not say whether letters keep their case: a vocabulary that was made of small letters has no capital
    // but in names like [unused1].
    let has_capital = |piece: &String| !piece.starts_with('[') && piece.chars().any(|c| c.is_ascii_uppercase());
    let lowercase = metadata.bool("tokenizer.ggml.normalizer.lowercase");
    let lowercase = lowercase.unwrap_or_else(|| !pieces.iter().any(has_capital));
    let strip_accents = metadata.bool("tokenizer.ggml.normalizer.strip_accents");
    let special = |(_, text): (usize, &String), kind: usize| json!({"SpecialToken": {"id": text, "type_id": kind}});
    let text = |id: &str, kind: usize| json!({"Sequence": {"id": id, "type_id": kind}});
    let single = [special(begin, 0), text("A", 0), special(end, 0)];
    let pair = [&single[..], &[text("B", 1), special(end, 1)]].concat();
    let named = [begin, end].map(|(id, text)| (text.clone(), json!({"id": text, "ids": [id], "tokens": [text]})));
    let vocab: HashMap<&String, usize> = pieces.iter().enumerate().rev().map(|(id, piece)| (piece, id)).collect();
    Ok(
        json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added_tokens(metadata, &pieces),
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
            "strip_accents": strip_accents, "lowercase": lowercase},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair,
            "special_tokens": serde_json::Map::from_iter(named)},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": unknown, "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocab}}),
    )
}

/// tokenizer.json of SentencePiece's unigrams (T5): of all ways to cut a text into pieces, the one of the highest score.
fn unigram_json(metadata: &Metadata) -> Result<Value> {
    let (tokens, _) = vocabulary(metadata)?;
    let scores = scores(metadata, tokens.len())?;
    let vocab: Vec<(&String, f64)> = tokens.iter().zip(scores.iter().copied()).collect();
    let flag = |name: &str| metadata.bool(&format!("tokenizer.ggml.{name}")).unwrap_or(true);
    let space = "\u{2581}";
    let prepend = if flag("add_space_prefix") { "always" } else { "never" };
    let spaces = json!({"type": "Metaspace", "replacement": space, "prepend_scheme": prepend, "split": true});
    let pre_tokenizer = match flag("remove_extra_whitespaces") {
        true => json!({"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, spaces]}),
        false => spaces.clone(),
    };
    let key = "tokenizer.ggml.precompiled_charsmap";
    let normalizer = match metadata.integers(key) {
        None => Value::Null,
        Some(bytes) => {
            // Bytes may have been written as signed.
            let bytes: Vec<u8> = bytes.iter().map(|byte| *byte as u8).collect();
            check_charsmap(&bytes).map_err(|error| error.field(key))?;
            json!({"type": "Precompiled", CHARSMAP: BASE64_STANDARD.encode(&bytes)})
        }
    };
    let unknown = metadata.integer("tokenizer.ggml.unknown_token_id").unwrap_or(2);
    let model = json!({"type": "Unigram", "unk_id": unknown, "vocab": vocab, "byte_fallback": false});
    Ok(
        json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": added_tokens(metadata, tokens),
        "normalizer": normalizer, "pre_tokenizer": pre_tokenizer,
        "post_processor": frame(metadata, tokens, (false, true)), "decoder": spaces, "model": model}),
    )
}
