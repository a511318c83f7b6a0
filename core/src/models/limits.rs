//! The limits of a model's inputs: how many tokens, and which ids its tables have rows for.
//!
//! The kernels give rows of zeros for ids beyond a table, so a wrong id causes wrong numbers and no error. Ids are therefore
//! checked here, on the host, once for all examples of a file and for every prompt.

use super::Model;
use crate::data::{Example, Target};
use crate::error::{Error, Result};
use crate::loss::IGNORE_INDEX;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::{Message, messages::models as msg};

/// The sizes of a model's tables; see [`Model::limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Tokens that have a position: the longest row, prompt and answer together. `usize::MAX` where positions are relative.
    pub tokens: usize,
    /// Rows of the word embedding.
    pub vocabulary: usize,
    /// Rows of the table of token types; `None` where the model has no such table and types are not read.
    pub token_types: Option<usize>,
}

impl Model {
    /// The limits of its inputs.
    pub fn limits(&self) -> Limits {
        self.body.limits()
    }
}

impl Limits {
    /// Tokens of a row at most: a run's `cutoff_len`, limited by the model's positions.
    pub fn cutoff(&self, cutoff_len: usize) -> usize {
        cutoff_len.min(self.tokens)
    }

    /// The note on a `cutoff_len` that the model cannot use in full.
    pub fn cutoff_note(&self, cutoff_len: usize) -> Option<Message> {
        let tokens = self.tokens;
        (cutoff_len > tokens).then(|| msg::CutAtPositions { cutoff_len, tokens }.into())
    }

    /// The padded length of rows of at most `longest` tokens: a multiple of `step`, limited by the model's positions.
    pub fn padded(&self, longest: usize, step: usize) -> usize {
        longest.next_multiple_of(step.max(1)).min(self.tokens.max(longest))
    }

    /// Refuses examples with an id that the model has no row for. A model with a single token type reads all tokens as that
    /// one, as RoBERTa's tokenizers in transformers give no types at all.
    ///
    /// `classes` is how many classes tokens can have.
    ///
    /// # Errors
    /// The first such id, with its row.
    pub fn admit(&self, examples: &mut [Example], tokenizer: &Tokenizer, classes: usize) -> Result<()> {
        for example in examples {
            let row = example.row;
            self.admit_one(example, tokenizer, classes)
                .map_err(|error| error.row(row))?;
        }
        Ok(())
    }

    fn admit_one(&self, example: &mut Example, tokenizer: &Tokenizer, classes: usize) -> Result<()> {
        self.check_tokens(&example.input_ids, tokenizer)?;
        match self.token_types {
            None | Some(1) => example.token_type_ids.clear(),
            Some(types) => check_types(&example.token_type_ids, types)?,
        }
        match &example.target {
            Target::Answer(labels) => {
                let ids: Vec<u32> = labels
                    .iter()
                    .filter(|&&id| id != IGNORE_INDEX)
                    .map(|&id| id as u32)
                    .collect();
                self.check_tokens(&ids, tokenizer)?;
            }
            Target::Tokens(labels) => {
                let beyond =
                    |&&label: &&i32| label != IGNORE_INDEX && usize::try_from(label).map_or(true, |at| at >= classes);
                if let Some(label) = labels.iter().find(beyond) {
                    return Err(Error::data(msg::ClassBeyond { label, classes }));
                }
            }
            Target::NextTokens | Target::Row(_) => {}
        }
        for other in &mut example.others {
            self.admit_one(other, tokenizer, classes)?;
        }
        Ok(())
    }

    /// Refuses a token that has no row in the word embedding.
    ///
    /// # Errors
    /// Its text, its id and the number of rows.
    pub fn check_tokens(&self, ids: &[u32], tokenizer: &Tokenizer) -> Result<()> {
        let Some(id) = ids.iter().find(|&&id| id as usize >= self.vocabulary) else {
            return Ok(());
        };
        let token = tokenizer.token_text(*id).unwrap_or_default();
        let what = msg::TokenBeyond {
            token: format!("{token:?}"),
            id,
            rows: self.vocabulary,
        };
        Err(Error::data(what).remedy(msg::TakeTokenizerOrResize))
    }
}

fn check_types(ids: &[u32], types: usize) -> Result<()> {
    match ids.iter().find(|&&id| id as usize >= types) {
        None => Ok(()),
        Some(id) => Err(Error::data(msg::TypeBeyond { id, rows: types }).remedy(msg::TakeTokenizer)),
    }
}
