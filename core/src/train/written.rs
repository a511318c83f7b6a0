//! Answers that the model writes to the questions among the validation rows, for the metrics that compare texts.

use super::loaded::Loaded;
use crate::config::RunConfig;
use crate::data::{Aim, Example};
use crate::error::Result;
use crate::host::Host;
use crate::metrics::generation::Written;
use crate::protocol::GenerateOptions;
use crate::tokenizer::Tokenizer;

/// Questions of a run where it does not say how many: each costs as many passes as its answer has tokens.
pub(crate) const QUESTIONS: usize = 32;

/// What the model is asked, and how a row answers it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    pub(crate) row: usize,
    /// Of a decoder, all in front of the row's last answer; of an encoder-decoder, what goes into the encoder.
    prompt: Vec<u32>,
    pub(crate) text: String,
    reference: String,
}

impl Question {
    /// The question of an example; `None` of a text that is learnt from its start, and of one whose answer was cut.
    fn of(example: &Example, tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let (prompt, answer) = match &example.aim {
            Aim::Answer(answer) => (example.input_ids.as_slice(), answer.as_slice()),
            _ => {
                let end = example
                    .labels
                    .iter()
                    .rposition(|&label| label >= 0)
                    .map_or(0, |last| last + 1);
                let start = example.labels[..end]
                    .iter()
                    .rposition(|&label| label < 0)
                    .map_or(0, |last| last + 1);
                (&example.input_ids[..start], &example.labels[start..end])
            }
        };
        if prompt.is_empty() || answer.is_empty() || example.truncated {
            return Ok(None);
        }
        let answer: Vec<u32> = answer.iter().filter_map(|&id| u32::try_from(id).ok()).collect();
        Ok(Some(Self {
            row: example.row,
            prompt: prompt.to_vec(),
            text: tokenizer.decode(prompt, true)?,
            reference: tokenizer.decode(&answer, true)?,
        }))
    }

    /// The first `most` of `examples`.
    ///
    /// # Errors
    /// The tokenizer refuses a row's tokens.
    pub(crate) fn all(examples: &[Example], tokenizer: &Tokenizer, most: usize) -> Result<Vec<Self>> {
        let questions = examples.iter().map(|example| Self::of(example, tokenizer));
        questions.filter_map(Result::transpose).take(most).collect()
    }

    /// The likeliest answer, token by token, beside the row's.
    ///
    /// # Errors
    /// A lost device, weights that give no numbers.
    pub(crate) async fn answered(
        &self,
        loaded: &Loaded,
        config: &RunConfig,
        host: Host,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Written> {
        let options = GenerateOptions {
            max_new_tokens: config.max_new_tokens,
            ..GenerateOptions::default()
        };
        let made = loaded
            .continued(&self.prompt, &options, true, host, stopped, &mut |_| ())
            .await?;
        Ok(Written::new(self.reference.clone(), made.text))
    }
}
