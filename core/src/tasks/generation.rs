//! The next token: continued pretraining, instructions, chat, and answers of an encoder-decoder; and the questions among the
//! validation rows that the model answers in writing, for the metrics that compare texts.

use super::baselines::Probed;
use super::{Rows, Rules, TaskSpec};
use crate::config::RunConfig;
use crate::data::{self, Batch, Dataset, Example, Settings, Target};
use crate::error::{Error, Result};
use crate::host::{Emit, Host};
use crate::loaded_model::{LoadedModel, PretrainedHead};
use crate::loss::{Compared, WeightedSum};
use crate::metrics::answers::Predictions;
use crate::metrics::generation::GeneratedAnswer;
use crate::models::{self, Leaves, Model, registry::names_for};
use crate::protocol::{BaselineKind, GenerateOptions, Stage};
use crate::task::Task;
use crate::tokenizer::Tokenizer;
use burn::tensor::Tensor;
use lorakeet_i18n::messages::run as msg;

pub(crate) struct Generation;

impl Rules for Generation {
    const LEARNS_TEXTS: bool = true;
    const CONTINUES_TEXTS: bool = true;

    fn check_model(task: Task, head: &PretrainedHead, model: &Model) -> Result<()> {
        if matches!(head.task, models::HeadKind::CausalLm | models::HeadKind::Seq2SeqLm) {
            return Ok(());
        }
        let (model_type, names) = (&model.info.model_type, names_for(task));
        Err(Error::model(msg::DoesNotPredict { model_type }).remedy(msg::LoadGenerator { names }))
    }

    async fn examples(_spec: &TaskSpec, rows: &Rows<'_>, emit: &mut Emit<'_>) -> Result<Vec<Example>> {
        if rows.model.head.task != models::HeadKind::Seq2SeqLm {
            return rows.model.examples((rows.dataset, rows.most), rows.config, emit).await;
        }
        let settings = Settings::new(rows.config, rows.dataset, rows.cutoff());
        let turns = &mut emit.turns(Stage::Tokenize);
        data::seq2seq_examples(rows.dataset, rows.model.tokenizer()?, &settings, turns).await
    }

    fn knows_answers(_spec: &TaskSpec, _dataset: &Dataset) -> bool {
        true
    }

    fn outputs(_model: &Model, _leaves: &Leaves, _batch: &Batch, _seed: Option<u64>) -> Option<Tensor<2>> {
        None
    }

    fn compared<'b>(_loss: &WeightedSum, _outputs: Tensor<2>, _batch: &'b Batch) -> Result<Compared<'b>> {
        Err(Error::internal(msg::VocabularyLoss))
    }

    fn answers(_spec: &TaskSpec, _examples: &[Example], _outputs: &[f32], _width: usize) -> Option<Predictions> {
        None
    }

    async fn baselines(_probed: Probed<'_>, _emit: &mut Emit<'_>) -> Result<Vec<(BaselineKind, Predictions)>> {
        Ok(Vec::new())
    }
}

/// A prompt and the reference answer of a row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Question {
    pub(crate) row: usize,
    /// Of a decoder, all in front of the row's last answer; of an encoder-decoder, what goes into the encoder.
    prompt: Vec<u32>,
    pub(crate) text: String,
    reference: String,
}

impl Question {
    /// The question of an example; `None` of a text without a prompt, and of one whose answer was truncated.
    fn of(example: &Example, tokenizer: &Tokenizer) -> Result<Option<Self>> {
        let (prompt, answer) = match &example.target {
            Target::Answer(answer) => (example.input_ids.as_slice(), answer.as_slice()),
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
        // Of a packed row, each of its examples asks its own.
        let questions = examples.iter().flat_map(Example::apart);
        let questions = questions.map(|example| Self::of(&example, tokenizer));
        questions.filter_map(Result::transpose).take(most).collect()
    }

    /// The likeliest answer, token by token, beside the row's, of a model with its adapter at a strength.
    ///
    /// # Errors
    /// A lost device, weights that give no numbers.
    pub(crate) async fn answered(
        &self,
        (model, strength): (&LoadedModel, f64),
        config: &RunConfig,
        host: Host,
        stopped: &dyn Fn() -> bool,
    ) -> Result<GeneratedAnswer> {
        let options = GenerateOptions {
            max_new_tokens: config.max_new_tokens,
            adapter_strength: strength,
            ..GenerateOptions::default()
        };
        let made = model
            .continued(&self.prompt, &options, true, host, stopped, &mut |_| ())
            .await?;
        Ok(GeneratedAnswer::new(self.reference.clone(), made.text))
    }
}
