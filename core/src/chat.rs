//! Conversations as a model's own chat template lays them out.

use crate::protocol::Message;
use crate::{Error, Result};
use std::ops::Range;

/// A chat template (Jinja, as Hugging Face's tokenizer_config.json carries it).
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
}

/// A conversation laid out, and which parts of it are the assistant's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Byte ranges of `text` that the assistant said, each with the token that ends its turn.
    pub generation_spans: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// A template; `bos_token` and `eos_token` are what it may refer to.
    ///
    /// # Errors
    /// It is not Jinja.
    pub fn new(source: &str, bos_token: Option<&str>, eos_token: Option<&str>) -> Result<Self> {
        let _ = (bos_token, eos_token);
        Ok(Self {
            source: source.to_string(),
        })
    }

    /// The template's own text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The conversation as text; `add_generation_prompt` opens the assistant's next turn.
    ///
    /// # Errors
    /// The template refuses the conversation, or does not end.
    pub fn apply(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let _ = (messages, add_generation_prompt);
        Err(Error::internal("chat templates cannot be rendered yet"))
    }

    /// The conversation as text, with the spans that belong to the assistant's answers.
    ///
    /// # Errors
    /// As [`ChatTemplate::apply`]; and the answers cannot be told from the rest.
    pub fn apply_with_spans(&self, messages: &[Message]) -> Result<Rendered> {
        let _ = messages;
        Err(Error::internal("chat templates cannot be rendered yet"))
    }
}
