//! Text to tokens and back, by Hugging Face's `tokenizers`.
//!
//! A tokenizer comes from tokenizer.json or, by [`crate::formats`], from a GGUF file's metadata. Chat layouts are not here but
//! in [`crate::chat`].

mod structure;

pub(crate) use structure::{CHARSMAP, MOST_MERGES, check_charsmap};

use crate::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::{formats, text as msg};
use serde_json::{Value, json};
use std::ops::Range;

/// A tokenizer: tokenizer.json, or what a GGUF file's metadata says.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    pub(crate) inner: tokenizers::Tokenizer,
    pub(crate) bos_token_id: Option<u32>,
    pub(crate) eos_token_ids: Vec<u32>,
    pub(crate) pad_token_id: Option<u32>,
    notes: Vec<Message>,
}

impl Tokenizer {
    /// Reads tokenizer.json. Its truncation and padding are switched off: rows are cut and filled up elsewhere. So is BPE's
    /// dropout, since a run is to be the same each time.
    ///
    /// # Errors
    /// It breaks its format, or has parts that the library which reads it does not survive.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let mut json: Value = serde_json::from_slice(bytes)
            .map_err(|error| Error::format(formats::NotJson { error }).remedy(formats::DownloadAgain))?;
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
                let token = format!("{content:?}");
                let error = match got {
                    Some(got) => Error::format(msg::GetsAnotherId { token, id, got }),
                    None => Error::format(msg::GetsNoId { token, id }),
                };
                return Err(error.field("added_tokens").remedy(msg::FillIdGaps));
            }
        }
        Ok(())
    }

    /// What was changed of a tokenizer.json, as sentences.
    pub fn notes(&self) -> &[Message] {
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
        json.map_err(|error| Error::internal(msg::NoTokenizerJson { error }))
    }

    pub(crate) fn from_value(json: &Value) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_bytes(json.to_string())
            .map_err(|error| Error::format(formats::NotATokenizer { error }).remedy(msg::UseModelsTokenizer))?;
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
            let found = self.token_id(token).map(Some);
            found.ok_or_else(|| {
                let token = format!("{token:?}");
                Error::format(msg::NamesUnknownToken { token }).field(key)
            })
        };
        let (bos, eos, pad) = (id("bos_token")?, id("eos_token")?, id("pad_token")?);
        self.bos_token_id = self.bos_token_id.or(bos);
        self.pad_token_id = self.pad_token_id.or(pad);
        if self.eos_token_ids.is_empty() {
            self.eos_token_ids.extend(eos);
        }
        Ok(())
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
    Error::model(msg::TokenizerRefuses { error })
}
