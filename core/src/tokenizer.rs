//! Text to tokens and back, by Hugging Face's `tokenizers`.
//!
//! A tokenizer comes from tokenizer.json or from a GGUF file's metadata; the latter is first written as a
//! tokenizer.json, so that one library does all the work. Chat layouts are not here but in [`crate::chat`].

mod structure;

use crate::formats::gguf::Metadata;
use crate::{Error, Result};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::ops::Range;
use tokenizers::AddedToken;
use tokenizers::models::bpe::{BPE, Vocab};

/// Merges for each token of a SentencePiece vocabulary; sound ones have two to three.
const MOST_MERGES: usize = 16;

/// A tokenizer: tokenizer.json, or what a GGUF file's metadata says.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos_token_id: Option<u32>,
    eos_token_ids: Vec<u32>,
    pad_token_id: Option<u32>,
    notes: Vec<String>,
}

impl Tokenizer {
    /// Reads tokenizer.json. Its truncation and padding are switched off: rows are cut and filled up elsewhere. So is BPE's
    /// dropout, since a run is to be the same each time.
    ///
    /// # Errors
    /// It breaks its format, or has parts that the library which reads it does not survive.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let mut json: Value = serde_json::from_slice(bytes)
            .map_err(|error| Error::format(format!("is not JSON: {error}")).remedy("Download or copy it again."))?;
        if let Some(object) = json.as_object_mut() {
            object.insert("truncation".into(), Value::Null);
            object.insert("padding".into(), Value::Null);
        }
        let notes = structure::check(&mut json)?;
        let read = Self::from_value(&json)?;
        read.check_added_tokens(&json)?;
        Ok(Self { notes, ..read })
    }

    /// Refuses added tokens of other ids than they get: the tokenizers crate numbers those that the vocabulary lacks one after
    /// the other, whatever the file says, and the model's rows are those of the file.
    fn check_added_tokens(&self, json: &Value) -> Result<()> {
        for added in json["added_tokens"].as_array().into_iter().flatten() {
            let (Some(content), Some(id)) = (added["content"].as_str(), added["id"].as_u64()) else {
                continue;
            };
            let got = self.inner.token_to_id(content).map(u64::from);
            if got != Some(id) {
                let got = got.map_or("none".to_owned(), |got| got.to_string());
                let what = format!("the token {content:?} has the id {id}, but in this order of tokens it gets {got}");
                return Err(Error::format(what).field("added_tokens").remedy(
                    "Ids of added tokens follow those of the vocabulary without a gap: put the missing ones in, or save the \
                     tokenizer again with transformers.",
                ));
            }
        }
        Ok(())
    }

    /// What was changed of a tokenizer.json, as sentences.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A token of each byte, for models that start from nothing.
    ///
    /// # Errors
    /// It cannot be made: a defect.
    pub fn of_bytes() -> Result<Self> {
        // GPT-2 writes bytes that are no visible letter as those from 256 on.
        let mut hidden = 256..;
        let letter = |byte: u8| match byte {
            b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => Some(char::from(byte)),
            _ => hidden.next().and_then(char::from_u32),
        };
        let letters = (0..=u8::MAX).filter_map(letter).enumerate();
        let vocabulary: serde_json::Map<String, Value> =
            letters.map(|(id, letter)| (letter.to_string(), json!(id))).collect();
        let bytes = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false});
        let model = json!({"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []});
        Self::from_value(
            &json!({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [],
            "normalizer": null, "pre_tokenizer": bytes, "post_processor": null, "decoder": bytes, "model": model}),
        )
    }

    /// Writes tokenizer.json, also of a tokenizer that came from a GGUF file.
    ///
    /// # Errors
    /// It cannot be written down: a defect.
    pub fn to_json(&self) -> Result<String> {
        let json = self.inner.to_string(false);
        json.map_err(|error| Error::internal(format!("the tokenizer is no JSON: {error}")))
    }

    fn from_value(json: &Value) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_bytes(json.to_string()).map_err(|error| {
            Error::format(format!("is not a tokenizer: {error}"))
                .remedy("Use the tokenizer.json that belongs to the model.")
        })?;
        Ok(Self {
            inner,
            bos_token_id: None,
            eos_token_ids: Vec::new(),
            pad_token_id: None,
            notes: Vec::new(),
        })
    }

    /// Takes over which tokens begin, end and fill up texts from tokenizer_config.json or special_tokens_map.json. What
    /// is known already stays.
    ///
    /// # Errors
    /// A token that is named there is not in the vocabulary.
    pub fn name_special_tokens(&mut self, settings: &Value) -> Result<()> {
        let id = |key: &str| {
            let named = settings
                .get(key)
                .and_then(|named| named.get("content").unwrap_or(named).as_str());
            let Some(token) = named.filter(|token| !token.is_empty()) else {
                return Ok(None);
            };
            let found = self.token_id(token);
            found
                .map(Some)
                .ok_or_else(|| Error::format(format!("names {token:?}, which is not in tokenizer.json")).field(key))
        };
        let (bos, eos, pad) = (id("bos_token")?, id("eos_token")?, id("pad_token")?);
        self.bos_token_id = self.bos_token_id.or(bos);
        self.pad_token_id = self.pad_token_id.or(pad);
        if self.eos_token_ids.is_empty() {
            self.eos_token_ids.extend(eos);
        }
        Ok(())
    }

    /// The tokenizer that a GGUF file's metadata describes (`tokenizer.ggml.*`).
    ///
    /// Byte-level BPE (`gpt2`) is read with the pre-tokenizers of GPT-2, SmolLM, Qwen 2 and 3 and Llama 3, SentencePiece BPE
    /// (`llama`, which Gemma has too) by deriving its merges from the scores, BERT's WordPiece (`bert`) and SentencePiece's
    /// unigrams (`t5`) as they lie.
    ///
    /// # Errors
    /// The kind of tokenizer or its pre-tokenizer is not known, or parts are missing.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self> {
        let mut tokenizer = match metadata.text("tokenizer.ggml.model") {
            Some("gpt2") => Self::from_value(&byte_level_json(metadata)?)?,
            Some("llama") => sentencepiece(metadata)?,
            Some("bert") => Self::from_value(&wordpiece_json(metadata)?)?,
            Some("t5") => Self::from_value(&unigram_json(metadata)?)?,
            other => {
                let what = format!("is {:?}, which is not supported", other.unwrap_or("missing"));
                return Err(Error::model(what)
                    .field("tokenizer.ggml.model")
                    .remedy("Use the model's safetensors and tokenizer.json instead."));
            }
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

    /// The tokens of `text`; `add_special_tokens` puts the model's own frame around it (`[CLS] … [SEP]`, `<s>`).
    ///
    /// # Errors
    /// The tokenizer's model refuses the text.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, add_special_tokens).map_err(refused)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The tokens of `text`, and which bytes of it each one covers; a frame's tokens cover none. Several tokens that
    /// share a character all cover it.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_with_offsets(&self, text: &str, add_special_tokens: bool) -> Result<(Vec<u32>, Vec<Range<usize>>)> {
        let encoding = self.inner.encode(text, add_special_tokens).map_err(refused)?;
        let offsets = encoding.get_offsets().iter().map(|(start, end)| *start..*end);
        Ok((encoding.get_ids().to_vec(), offsets.collect()))
    }

    /// The tokens of two texts that belong together, framed as the model wants them, and the number (0 or 1) of each
    /// token's segment.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_pair(&self, first: &str, second: &str) -> Result<(Vec<u32>, Vec<u32>)> {
        let encoding = self.inner.encode_fast((first, second), true).map_err(refused)?;
        Ok((encoding.get_ids().to_vec(), encoding.get_type_ids().to_vec()))
    }

    /// The text of tokens.
    ///
    /// # Errors
    /// The tokenizer's decoder refuses them.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        self.inner.decode(ids, skip_special_tokens).map_err(refused)
    }

    /// One token as it stands in the vocabulary (`Ġthe`).
    pub fn token_text(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The number of a token that stands in the vocabulary.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Tokens in the vocabulary, added ones included.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The token that begins a text.
    pub fn bos_token_id(&self) -> Option<u32> {
        self.bos_token_id
    }

    /// The tokens that end a text; the first is the tokenizer's own.
    pub fn eos_token_ids(&self) -> &[u32] {
        &self.eos_token_ids
    }

    /// The token that fills rows up.
    pub fn pad_token_id(&self) -> Option<u32> {
        self.pad_token_id
    }

    /// The text of the token that begins a text.
    pub fn bos_token(&self) -> Option<String> {
        self.bos_token_id.and_then(|id| self.token_text(id))
    }

    /// The text of the token that ends a text.
    pub fn eos_token(&self) -> Option<String> {
        self.eos_token_ids.first().and_then(|id| self.token_text(*id))
    }

    /// A decoder for tokens that come one by one.
    pub fn stream_decoder(&self, skip_special_tokens: bool) -> StreamDecoder<'_> {
        StreamDecoder {
            tokenizer: self,
            skip_special_tokens,
            ids: Vec::new(),
            settled: 0,
            shown: String::new(),
        }
    }
}

/// Text from tokens that come one by one; never half a character.
///
/// A token's text can depend on the one before it (spaces, bytes of one character), so a few tokens are decoded
/// together and the part that was given out already is taken off.
#[derive(Debug)]
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    skip_special_tokens: bool,
    /// Tokens that are decoded together: `settled` ones that ended on a whole character, then new ones.
    ids: Vec<u32>,
    settled: usize,
    /// The text of `ids` that is out.
    shown: String,
}

/// So many tokens without the end of a character are not text; they are given out as `�` to keep the window short.
const MOST_WAITING: usize = 64;

impl StreamDecoder<'_> {
    /// The text that `id` completes; `None` where a character is still under way.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids, self.skip_special_tokens)?;
        let is_waiting = text.ends_with('\u{fffd}') && self.ids.len() - self.settled <= MOST_WAITING;
        let new = self.give(if is_waiting {
            text.trim_end_matches('\u{fffd}')
        } else {
            &text
        });
        if !is_waiting {
            self.ids.drain(..self.settled);
            self.settled = self.ids.len();
            self.shown = self.tokenizer.decode(&self.ids, self.skip_special_tokens)?;
        }
        Ok(new)
    }

    /// What is left when no more tokens come; bytes that never became a character come out as `�`.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn finish(&mut self) -> Result<Option<String>> {
        let text = self.tokenizer.decode(&self.ids, self.skip_special_tokens)?;
        Ok(self.give(&text))
    }

    /// The part of `text` that is not out yet.
    fn give(&mut self, text: &str) -> Option<String> {
        let same = text
            .chars()
            .zip(self.shown.chars())
            .take_while(|(left, right)| left == right);
        let same_bytes: usize = same.map(|(character, _)| character.len_utf8()).sum();
        let new = &text[same_bytes..];
        if new.is_empty() {
            return None;
        }
        self.shown = text.to_string();
        Some(new.to_string())
    }
}

fn refused(error: tokenizers::Error) -> Error {
    Error::model(format!("the tokenizer refuses: {error}"))
}

/// How Qwen 2 and 3 cut a text into pieces before merging: contractions, words, single digits, signs, white space.
const QWEN2_PIECES: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// The same, but up to three digits stay together.
const LLAMA3_PIECES: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The texts of the vocabulary, each with its number; the first of two equal ones counts.
fn vocabulary(metadata: &Metadata) -> Result<(&[String], HashMap<&str, u32>)> {
    let key = "tokenizer.ggml.tokens";
    let tokens = metadata
        .texts(key)
        .ok_or_else(|| Error::format("is missing").field(key))?;
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
        .ok_or_else(|| Error::format("is missing").field(key))?;
    let mut pairs = Vec::with_capacity(merges.len());
    for (row, merge) in merges.iter().enumerate() {
        let known = merge.split_once(' ').filter(|(left, right)| {
            let joined = format!("{left}{right}");
            [*left, *right, joined.as_str()]
                .iter()
                .all(|part| numbers.contains_key(part))
        });
        let (left, right) = known.ok_or_else(|| {
            Error::format(format!(
                "has a merge of tokens that are not in the vocabulary: {merge:?}"
            ))
            .row(row + 1)
            .field(key)
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
        other => {
            let what = format!("is {:?}, which is not supported", other.unwrap_or("missing"));
            return Err(Error::model(what)
                .field("tokenizer.ggml.pre")
                .remedy("Use the model's safetensors and tokenizer.json instead."));
        }
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
    let scores = scores.ok_or_else(|| Error::format("is missing, or has not one score a token").field(key))?;
    match scores.iter().position(|score| !score.is_finite()) {
        None => Ok(scores),
        Some(row) => Err(Error::format("has a score that is no number").row(row + 1).field(key)),
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
            let what = format!("can be merged in more than {MOST_MERGES} ways a token");
            return Err(Error::format(what)
                .field("tokenizer.ggml.tokens")
                .remedy("Use the model's own file."));
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
    let unusable = |error| Error::format(format!("is not a tokenizer: {error}")).field("tokenizer.ggml.tokens");
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
        let missing = || Error::format(format!("has no {text}")).field("tokenizer.ggml.tokens");
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

/// The key of SentencePiece's table in tokenizer.json.
const CHARSMAP: &str = "precompiled_charsmap";

/// Refuses a table of SentencePiece's normalizer that leads out of itself: its reader follows it without looking. The length of
/// its longest replacement, in characters.
///
/// The table is the length of a double-array trie in bytes, the trie's units of 32 bits, and the replacements that its leaves
/// point into. Reference: `normalizer.cc` of google/sentencepiece, `darts.h` of s-yata/darts-clone.
fn check_charsmap(bytes: &[u8]) -> Result<usize> {
    let wrong = || Error::format("is not a table of SentencePiece's normalizer");
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
        assert_eq!(error.field.as_deref(), Some(CHARSMAP));
        let inside = json!({"type": "Sequence", "normalizers": [{"type": "NFKC"}, alone]});
        assert_eq!(refused(inside), Some(error));
        assert!(refused(json!({"type": "Precompiled", CHARSMAP: "=!"})).is_some());
        assert_eq!(refused(Value::Null), None);
    }
}
