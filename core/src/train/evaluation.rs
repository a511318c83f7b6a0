//! Scoring: examples through the model, loss and answers out.

use super::assignment::Assignment;
use super::objective::Objective;
use crate::config::RunConfig;
use crate::data::{self, Batch, Example, IGNORE, PaddingSide};
use crate::error::{Error, Kind, Result};
use crate::finetune::{Emit, Host};
use crate::metrics::answers::Answers;
use crate::models::{Leaves, Model, read};
use crate::protocol::{EvalInfo, Event, Stage};
use crate::task::Task;
use burn::tensor::Tensor;

/// Rows are filled up to a multiple of this many tokens: few shapes, so few first-shape costs on a GPU.
pub(crate) const PAD_TO_MULTIPLE_OF: usize = 8;

/// What scoring came to.
#[derive(Debug, Clone)]
pub(crate) struct Scored {
    pub(crate) info: EvalInfo,
    /// None of generation.
    pub(crate) answers: Option<Answers>,
    /// Of generation, what each example adds to the loss.
    pub(crate) texts: TextLosses,
}

/// The cross-entropy of each text's targets, summed, in nats, and how many they are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TextLosses(pub Vec<(f64, u64)>);

impl TextLosses {
    /// The mean over the targets of such texts; NaN where they have none.
    pub(crate) fn mean(&self, texts: &[usize]) -> f64 {
        let chosen = texts.iter().map(|text| self.0[*text]);
        let (loss, targets) = chosen.fold((0.0, 0), |sum, text| (sum.0 + text.0, sum.1 + text.1));
        loss / targets as f64
    }

    pub(crate) fn mean_of_all(&self) -> f64 {
        self.mean(&(0..self.0.len()).collect::<Vec<_>>())
    }
}

impl Scored {
    /// A metric by its name.
    pub(crate) fn value(&self, metric: &str) -> f64 {
        match metric {
            "loss" => self.info.loss,
            _ => self.answers.as_ref().map_or(f64::NAN, |answers| answers.value(metric)),
        }
    }
}

/// The examples of a run that are scored, and their batches.
pub(crate) struct HeldOut {
    pub(crate) examples: Vec<Example>,
    pub(crate) batches: Vec<Batch>,
}

impl HeldOut {
    pub(crate) fn new(examples: Vec<Example>, config: &RunConfig, model: &Model) -> Self {
        let rows = examples.chunks(config.per_device_eval_batch_size);
        let batches = rows
            .map(|rows| collate(&rows.iter().collect::<Vec<_>>(), model))
            .collect();
        Self { examples, batches }
    }

    /// Loss and answers; `None` where `stopped` said so on the way.
    pub(crate) async fn score(
        &self,
        model: &Model,
        assignment: &Assignment,
        step: usize,
        host: Host,
        stopped: &dyn Fn() -> bool,
        emit: Emit<'_>,
    ) -> Result<Option<Scored>> {
        let Some(outputs) = outputs(model, &assignment.objective, &self.batches, host, stopped, emit).await? else {
            return Ok(None);
        };
        let loss = outputs.loss;
        if !loss.is_finite() {
            return Err(Error::new(Kind::Diverged, format!("the validation loss is {loss}"))
                .remedy("Lower learning_rate; if the untouched model already gives this, its weights are broken."));
        }
        let answers = assignment.answers(&self.examples, &outputs.values, outputs.width);
        let metrics = answers.as_ref().map(|answers| answers.metrics(assignment.task()));
        Ok(Some(Scored {
            info: EvalInfo {
                step,
                loss,
                perplexity: loss.exp(),
                tokens: outputs.tokens,
                metrics: metrics.unwrap_or_default(),
            },
            answers,
            texts: outputs.texts,
        }))
    }
}

/// What the model gave for all batches: `width` numbers a row; of token classification, a labelled token.
pub(crate) struct Outputs {
    pub(crate) loss: f64,
    pub(crate) tokens: u64,
    pub(crate) values: Vec<f32>,
    pub(crate) width: usize,
    pub(crate) texts: TextLosses,
}

/// The loss, a mean over all batches whatever their sizes, and what it was made from.
async fn outputs(
    model: &Model,
    objective: &Objective,
    batches: &[Batch],
    host: Host,
    stopped: &dyn Fn() -> bool,
    emit: Emit<'_>,
) -> Result<Option<Outputs>> {
    let tokens: usize = batches.iter().map(|batch| batch.target_tokens).sum();
    if tokens == 0 {
        return Err(Error::data("the validation data has no token to score")
            .remedy("Raise cutoff_len, or hold out more examples with val_size."));
    }
    let counts = objective.total(model, batches)?;
    let leaves = model.parameters.plain();
    let mut found = Outputs {
        loss: 0.0,
        tokens: tokens as u64,
        values: Vec::new(),
        width: 1,
        texts: TextLosses::default(),
    };
    for (i, batch) in batches.iter().enumerate() {
        if stopped() {
            return Ok(None);
        }
        score_batch(model, objective, &leaves, batch, &counts, &mut found).await?;
        emit(
            Event::Progress {
                stage: Stage::Evaluate,
                done: i as u64 + 1,
                total: batches.len() as u64,
            },
            None,
        );
        (host.yield_now)().await;
    }
    Ok(Some(found))
}

async fn score_batch(
    model: &Model,
    objective: &Objective,
    leaves: &Leaves,
    batch: &Batch,
    counts: &[f64],
    found: &mut Outputs,
) -> Result<()> {
    if objective.task == Task::Generation {
        let (weight, targets) = objective.of_target(counts);
        let mut texts = vec![(0.0, 0); batch.rows];
        for (text, loss) in model.target_losses(leaves, batch).await? {
            texts[text].0 += f64::from(loss);
            texts[text].1 += 1;
        }
        let sum: f64 = texts.iter().map(|text| text.0).sum();
        found.loss += weight * sum / targets;
        found.texts.0.extend(texts);
        return Ok(());
    }
    let outputs = objective.outputs(model, leaves, batch, None)?;
    let [rows, width] = outputs.dims();
    let loss = objective.value(outputs.clone(), batch, counts)?;
    let numbers = read(Tensor::cat(vec![loss, outputs.reshape([rows * width])], 0)).await?;
    found.loss += numbers.first().copied().map_or(0.0, f64::from);
    found.width = width;
    keep(
        numbers.get(1..).unwrap_or_default(),
        width,
        objective,
        batch,
        &mut found.values,
    );
    Ok(())
}

/// Takes what counts of a batch's outputs: of token classification, the words' first tokens.
fn keep(values: &[f32], width: usize, objective: &Objective, batch: &Batch, kept: &mut Vec<f32>) {
    if objective.task != Task::TokenClassification {
        kept.extend_from_slice(values);
        return;
    }
    for (token, label) in values.chunks(width).zip(&batch.labels) {
        if *label != IGNORE {
            kept.extend_from_slice(token);
        }
    }
}

/// What the model answers to rows without labels.
pub(crate) async fn answer(
    model: &Model,
    objective: &Objective,
    batches: &[Batch],
    host: Host,
) -> Result<(Vec<f32>, usize)> {
    let leaves = model.parameters.plain();
    let (mut values, mut width) = (Vec::new(), 1);
    for batch in batches {
        let outputs = objective.outputs(model, &leaves, batch, None)?;
        let [rows, found] = outputs.dims();
        width = found;
        let numbers = read(outputs.reshape([rows * found])).await?;
        keep(&numbers, width, objective, batch, &mut values);
        (host.yield_now)().await;
    }
    Ok((values, width))
}

/// Rows as a batch for `model`.
pub(crate) fn collate(rows: &[&Example], model: &Model) -> Batch {
    data::collate(rows, model.pad_token_id(), PaddingSide::Right, PAD_TO_MULTIPLE_OF)
}
