//! Scoring: examples through the model, loss and answers out.

use crate::config::RunConfig;
use crate::data::{Batch, Example};
use crate::device::{Pass, make_room};
use crate::error::{Error, Kind, Result};
use crate::host::Emit;
use crate::loaded_model::LoadedModel;
use crate::loss::IGNORE_INDEX;
use crate::metrics::answers::Predictions;
use crate::metrics::generation::{TextScore, TextScores};
use crate::models::{Leaves, Model, Waits, read};
use crate::protocol::{EvalInfo, Stage};
use crate::tasks::{Objective, Question, TaskSpec, collate};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::run as msg;

/// Questions of a run where it does not say how many: each costs as many passes as its answer has tokens.
pub(crate) const QUESTIONS: usize = 32;

/// What scoring came to.
#[derive(Debug, Clone)]
pub(crate) struct Scored {
    pub(crate) info: EvalInfo,
    /// None of generation.
    pub(crate) answers: Option<Predictions>,
    /// Of generation, the scores of each text.
    pub(crate) texts: TextScores,
}

impl Scored {
    /// The same as the score of the weights after `step` steps.
    pub(crate) fn after(mut self, step: usize) -> Self {
        self.info.step = step;
        self
    }

    /// A metric by its name.
    pub(crate) fn value(&self, metric: &str) -> f64 {
        match metric {
            "loss" => self.info.loss,
            _ => match &self.answers {
                Some(answers) => answers.value(metric),
                None => self.texts.value(metric),
            },
        }
    }
}

/// The examples of a run that are scored, and their batches.
pub(crate) struct HeldOut {
    pub(crate) examples: Vec<Example>,
    pub(crate) batches: Vec<Batch>,
    /// Those that the model answers in writing.
    pub(crate) questions: Vec<Question>,
    /// The strength of the adapter that is scored.
    pub(crate) strength: f64,
}

impl HeldOut {
    pub(crate) fn new(examples: Vec<Example>, config: &RunConfig, model: &Model) -> Self {
        let rows = examples.chunks(config.per_device_eval_batch_size);
        let batches = rows
            .map(|rows| collate(&rows.iter().collect::<Vec<_>>(), model))
            .collect();
        let questions = Vec::new();
        Self {
            examples,
            batches,
            questions,
            strength: 1.0,
        }
    }

    /// Has the model answer the first questions among the examples in writing whenever it is scored, where the run wants it.
    ///
    /// # Errors
    /// There is none among them, or the tokenizer refuses its tokens.
    pub(crate) fn ask(&mut self, config: &RunConfig, loaded: &LoadedModel, most: usize) -> Result<()> {
        if !config.predict_with_generate || self.examples.is_empty() || !loaded.model.generates() {
            return Ok(());
        }
        let most = config.max_predict_samples.unwrap_or(most);
        self.questions = Question::all(&self.examples, loaded.tokenizer()?, most)?;
        if self.questions.is_empty() {
            let error = Error::config(msg::NoQuestion).field("predict_with_generate");
            return Err(error.remedy(msg::PredictWithGenerateNeeds));
        }
        Ok(())
    }

    /// The rows that are scored, and their batches.
    pub(crate) fn scored(&self) -> (&[Example], &[Batch]) {
        (&self.examples, &self.batches)
    }

    /// Loss and answers; `None` where `stopped` said so on the way.
    pub(crate) async fn score(
        &self,
        model: &LoadedModel,
        spec: &TaskSpec,
        config: &RunConfig,
        stopped: &dyn Fn() -> bool,
        emit: &mut Emit<'_>,
    ) -> Result<Option<Scored>> {
        let total = (self.batches.len() + self.questions.len()) as u64;
        let scored = (&model.model, &model.leaves(self.strength)?);
        let found = outputs(scored, &spec.objective, &self.batches, stopped, total, emit).await?;
        let Some(mut outputs) = found else { return Ok(None) };
        let loss = outputs.loss;
        if !loss.is_finite() {
            return Err(Error::new(Kind::Diverged, msg::ValidationDiverged { loss }).remedy(msg::LowerRateOrBroken));
        }
        for (i, question) in self.questions.iter().enumerate() {
            let asked = (model, self.strength);
            let written = question.answered(asked, config, emit.host, stopped).await?;
            if stopped() {
                return Ok(None);
            }
            outputs.texts.written.push(written);
            let done = self.batches.len() + i + 1;
            emit.progress(Stage::Evaluate, done as u64, total);
        }
        let answers = spec.answers(&self.examples, &outputs.values, outputs.width);
        let mut metrics = match &answers {
            Some(answers) => answers.metrics(spec.task()),
            None => outputs.texts.metrics(),
        };
        metrics.retain(|metric| !matches!(metric.name.as_str(), "loss" | "perplexity"));
        Ok(Some(Scored {
            info: EvalInfo {
                step: 0,
                loss,
                perplexity: loss.exp(),
                tokens: outputs.tokens,
                metrics,
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
    pub(crate) texts: TextScores,
}

/// The loss, a mean over all batches whatever their sizes, and what it was made from.
async fn outputs(
    (model, leaves): (&Model, &Leaves),
    objective: &Objective,
    batches: &[Batch],
    stopped: &dyn Fn() -> bool,
    total: u64,
    emit: &mut Emit<'_>,
) -> Result<Option<Outputs>> {
    let tokens: usize = batches.iter().map(|batch| batch.target_tokens).sum();
    if tokens == 0 {
        return Err(Error::data(msg::NothingToScore).remedy(msg::RaiseCutoff));
    }
    let counts = objective.total(model, batches)?;
    let mut found = Outputs {
        loss: 0.0,
        tokens: tokens as u64,
        values: Vec::new(),
        width: 1,
        texts: TextScores::default(),
    };
    let mut waits = Waits::new(&emit.host);
    for (i, batch) in batches.iter().enumerate() {
        if stopped() {
            return Ok(None);
        }
        score_batch((model, objective, leaves), batch, &counts, &mut waits, &mut found).await?;
        emit.progress(Stage::Evaluate, i as u64 + 1, total);
        (emit.host.yield_now)().await;
    }
    Ok(Some(found))
}

async fn score_batch(
    (model, objective, leaves): (&Model, &Objective, &Leaves),
    batch: &Batch,
    counts: &[f64],
    waits: &mut Waits,
    found: &mut Outputs,
) -> Result<()> {
    make_room(model.device(), Pass::over(batch, false));
    if objective.learns_texts() {
        let (weight, targets) = objective.of_target(counts);
        let mut texts = vec![TextScore::default(); batch.rows];
        for target in model.target_scores(leaves, batch, waits).await? {
            let text = &mut texts[target.row];
            text.loss += f64::from(target.loss);
            text.hits += u64::from(target.hit);
            text.targets += 1;
        }
        let sum: f64 = texts.iter().map(|text| text.loss).sum();
        found.loss += weight * sum / targets;
        found.texts.texts.extend(texts);
        return Ok(());
    }
    let leaves = &model.through_layers(leaves, batch, true, waits).await?;
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
    if !objective.is_of_tokens() {
        kept.extend_from_slice(values);
        return;
    }
    for (token, label) in values.chunks(width).zip(&batch.labels) {
        if *label != IGNORE_INDEX {
            kept.extend_from_slice(token);
        }
    }
}

/// What the model answers to rows without labels.
pub(crate) async fn answer(
    (model, leaves): (&Model, &Leaves),
    objective: &Objective,
    batches: &[Batch],
    emit: &Emit<'_>,
) -> Result<(Vec<f32>, usize)> {
    let (mut values, mut width) = (Vec::new(), 1);
    let mut waits = Waits::new(&emit.host);
    for batch in batches {
        make_room(model.device(), Pass::over(batch, false));
        let leaves = &model.through_layers(leaves, batch, true, &mut waits).await?;
        let outputs = objective.outputs(model, leaves, batch, None)?;
        let [rows, found] = outputs.dims();
        width = found;
        let numbers = read(outputs.reshape([rows * found])).await?;
        keep(&numbers, width, objective, batch, &mut values);
        emit.yield_or_stop(msg::StoppedAnsweringRows).await?;
    }
    Ok((values, width))
}
