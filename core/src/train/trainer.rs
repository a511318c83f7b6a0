//! A run under way: its next step, its scores, samples and checkpoints, and what it comes to. [`crate::finetune`] is the loop.

mod reading;
mod rehearsing;
mod saved;
mod stepping;
mod watched;

use super::checkpoint::{Best, Progress};
use super::compiling::Compiling;
use super::evaluation::{HeldOut, Scored};
use super::fingerprint::Fingerprint;
use super::judgement::{Known, judgement, judgement_of_texts};
use super::optim::AdamW;
use super::record::RecordFile;
use super::report::{baseline_of_texts, predictions, report, report_of_texts, written_answers};
use super::schedule::Schedule;
use super::step::Unread;
use super::throughput::{Pace, Throughput};
use crate::config::{FinetuningType, Plan, RunConfig};
use crate::data::{Cursor, Example, FewValues};
use crate::device;
use crate::error::Result;
use crate::host::Emit;
use crate::loaded_model::LoadedModel;
use crate::metrics::answers::direction;
use crate::metrics::bootstrap::Direction;
use crate::models::read_all;
use crate::pictures::OptimizerPath;
use crate::protocol::{
    BaselineKind, Command, Event, GenerateOptions, Metric, PictureRequest, PredictionTable, Prompt, RunInfo, RunSample,
    RunSummary,
};
use crate::store::Sink;
use crate::tasks::{Baseline, TaskSpec};
use burn::tensor::{Tensor, TensorData};
use lorakeet_i18n::messages::run as msg;
use reading::Asked;
use std::cell::Cell;
use std::rc::Rc;

/// Samples in the middle of a run, and how far apart they are at least: they cost as much as a step or two.
const SAMPLES: usize = 10;
const LEAST_STEPS_BETWEEN_SAMPLES: usize = 5;

/// Tokens of a sample in the middle of a run.
const SAMPLE_TOKENS: usize = 48;
/// How freely they are drawn.
const SAMPLE_TEMPERATURE: f64 = 0.7;
const SAMPLE_TOP_P: f64 = 0.9;

/// A run under way.
pub(crate) struct Trainer<'a> {
    config: &'a RunConfig,
    plan: Plan,
    schedule: Schedule,
    model: &'a mut LoadedModel,
    optimizer: AdamW,
    /// What is learnt.
    spec: TaskSpec,
    train: Vec<Example>,
    held_out: HeldOut,
    /// Scores without training.
    pub(crate) baselines: Vec<Baseline>,
    /// What the weights are called that it starts from.
    pub(crate) before: BaselineKind,
    /// What the model continues now and then.
    pub(crate) sample_prompt: Option<Prompt>,
    /// What stands in the data beside the texts and labels of the rows held out.
    pub(crate) columns: Vec<FewValues>,
    /// Pictures that are drawn with the samples.
    pub(crate) watch: Vec<PictureRequest>,
    /// Place for checkpoints and results.
    pub(crate) sink: Option<Rc<dyn Sink>>,
    /// Of a run that is kept in case it is interrupted: milliseconds between two checkpoints. Storage that refuses does not end it.
    pub(crate) save_interval_ms: Option<f64>,
    /// When the last one was written, or the run began.
    saved_ms: f64,
    /// When the run would have begun if it had never been interrupted, by the host's clock.
    zero_ms: f64,
    /// Whether storage has refused, which is told once.
    pub(crate) is_refused: bool,
    /// What is written down of it beside.
    pub(crate) record: Option<Rc<RecordFile>>,
    /// The checkpoint to go back to, by its step, once the run went wrong.
    good: Option<usize>,
    /// By what its checkpoints know it again.
    pub(crate) fingerprint: Fingerprint,
    progress: Progress,
    /// The last score, and the weights that scored best where they are to be kept.
    last: Option<Scored>,
    best: Option<Best>,
    /// Where the next micro-batch starts, and the order of its epoch.
    cursor: Cursor,
    order: Vec<usize>,
    /// Rows that go through the model at a time: fewer than the run's batch where the device's memory was full.
    rows_at_a_time: usize,
    throughput: Throughput,
    compiling: Compiling,
    /// Steps whose numbers were not read yet: those numbers, and what else is known of them.
    unread: Unread,
    asked: Vec<Asked>,
    /// Steps whose numbers are read at once.
    steps_a_read: usize,
    /// The most tokens, padding counted, of a micro-batch that is known to fit.
    fits: usize,
    /// Whether a picture has gradients in it: then those of the steps are looked at, after which it is drawn.
    shows_gradients: Cell<bool>,
    /// Where the weights stood after each step, of a run with two of them.
    path: OptimizerPath,
}

impl<'a> Trainer<'a> {
    /// A run of `plan` that has not begun.
    pub(crate) fn new(
        config: &'a RunConfig,
        plan: Plan,
        model: &'a mut LoadedModel,
        spec: TaskSpec,
        train: Vec<Example>,
        held_out: HeldOut,
    ) -> Self {
        Self {
            schedule: Schedule::new(config, &plan),
            optimizer: AdamW::new(&model.model.parameters, config),
            baselines: Vec::new(),
            before: BaselineKind::BaseModel,
            sample_prompt: None,
            columns: Vec::new(),
            watch: Vec::new(),
            sink: None,
            save_interval_ms: None,
            saved_ms: 0.0,
            zero_ms: 0.0,
            is_refused: false,
            record: None,
            good: None,
            fingerprint: Fingerprint::default(),
            progress: Progress::default(),
            last: None,
            best: None,
            cursor: Cursor::default(),
            order: Vec::new(),
            rows_at_a_time: config.per_device_train_batch_size,
            throughput: Throughput::default(),
            compiling: Compiling::new(model.model.device()),
            unread: Unread::default(),
            shows_gradients: Cell::new(false),
            asked: Vec::new(),
            steps_a_read: 1,
            fits: 0,
            path: OptimizerPath::default(),
            config,
            plan,
            model,
            spec,
            train,
            held_out,
        }
    }

    /// Says what the run is, and scores what it starts from.
    pub(crate) async fn start(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        self.saved_ms = (emit.host.now_ms)();
        let trainable = self.model.model.parameters.weights();
        let of_model = self.model.model.info.parameters;
        emit.event(Event::Started(RunInfo {
            max_steps: self.plan.max_steps,
            train_examples: self.train.len(),
            eval_examples: self.held_out.examples.len(),
            trainable_parameters: trainable,
            all_parameters: match self.config.finetuning_type {
                FinetuningType::Lora => of_model + trainable,
                FinetuningType::Full => of_model,
            },
            task: self.spec.task(),
            loss: self.spec.objective.loss.to_string(),
        }));
        let (steps, evals) = self.progress.history();
        if let Some(record) = &self.record {
            // A checkpoint of an earlier release does not know its time.
            self.progress.seconds = self.progress.seconds.max(record.go_on(&steps, &evals));
        }
        self.zero_ms = self.saved_ms - 1000.0 * self.progress.seconds;
        if self.progress.step > 0 {
            let step = self.progress.step;
            let samples = self.record.as_ref().map(|record| record.samples()).unwrap_or_default();
            emit.event(Event::Continued {
                step,
                steps,
                evals,
                samples,
            });
        }
        if !self.baselines.is_empty() {
            let scores = self.baselines.iter().map(|one| one.scores(self.spec.task()));
            let scores = scores.collect();
            emit.event(Event::Baseline { scores });
        }
        let is_new = self.progress.step == 0;
        if is_new {
            self.evaluate(emit).await?;
            self.progress.eval_loss_before = self.last.as_ref().map(|eval| eval.info.loss);
            if self.spec.objective.learns_texts() {
                self.progress.texts_before = self.last.as_ref().map(|eval| eval.texts.clone());
            }
        }
        if let Some(texts) = &self.progress.texts_before {
            let scores = vec![baseline_of_texts(texts, self.before)];
            emit.event(Event::Baseline { scores });
        }
        if is_new {
            self.sample(emit).await?;
        }
        self.path.add(&self.model.model).await?;
        self.draw_first(emit).await
    }

    /// Whether the run is over: its steps are done, its scores get no better, or a stop is asked for. Before it says so it serves
    /// what was asked for meanwhile, and holds while the run is paused.
    ///
    /// # Errors
    /// Of steps whose numbers were not read before.
    pub(crate) async fn is_done(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        Ok(self.is_finished() || self.poll_control(emit).await?)
    }

    fn is_finished(&self) -> bool {
        self.progress.step >= self.plan.max_steps || self.patience_exhausted()
    }

    /// Whether the validation rows are due to be scored after this step.
    pub(crate) fn evaluates(&self) -> bool {
        self.config.evaluates_at(self.progress.step, &self.plan)
    }

    /// Whether a sample is due after this step; the last step's comes with the result.
    pub(crate) fn samples(&self) -> bool {
        self.samples_at(self.progress.step)
    }

    fn samples_at(&self, step: usize) -> bool {
        let rhythm = self.plan.max_steps.div_ceil(SAMPLES).max(LEAST_STEPS_BETWEEN_SAMPLES);
        step < self.plan.max_steps && step.is_multiple_of(rhythm)
    }

    /// What its last steps took.
    pub(crate) fn pace(&self) -> Option<Pace> {
        let held_bytes = device::reserved_of_gpu(self.model.model.device());
        self.throughput.pace(held_bytes)
    }

    /// Scores, samples and saves what came of it; gives the summary without its time, the step whose weights were kept, and their
    /// metrics.
    pub(crate) async fn finish(mut self, emit: &mut Emit<'_>) -> Result<(RunSummary, usize, Vec<Metric>)> {
        let (step, finished) = (self.progress.step, self.is_finished());
        if self.patience_exhausted() {
            let (scores, metric) = (self.config.early_stopping_patience, &self.spec.metric);
            emit.warn(msg::EndsEarly { step, scores, metric });
        }
        if !finished {
            self.save_checkpoint(emit).await?;
        }
        if self.last.as_ref().is_none_or(|eval| eval.info.step != step) {
            self.evaluate(emit).await?;
        }
        let kept = self.keep_best(emit).await?;
        if step > 0 {
            self.sample(emit).await?;
        }
        let saved = self.save_result().await;
        self.unless_kept(saved, emit)?;
        if step > 0 {
            self.draw_watched(true, emit).await;
        }
        let last = self.last.take();
        if let Some(scored) = &last {
            self.report(scored, emit).await?;
        }
        let summary = RunSummary {
            finished,
            steps: step,
            train_loss: self.progress.loss_sum / step.max(1) as f64,
            eval_loss_before: self.progress.eval_loss_before,
            eval_loss_after: last.as_ref().map(|eval| eval.info.loss),
            seconds: 0.0,
        };
        let metrics = last.map(|eval| eval.info.metrics);
        Ok((summary, kept, metrics.unwrap_or_default()))
    }

    /// Seconds since the run began, without those in which it did not run.
    fn seconds(&self, emit: &Emit<'_>) -> f64 {
        (((emit.host.now_ms)() - self.zero_ms) / 1000.0).max(0.0)
    }

    /// Serves what was asked for meanwhile, holds while the run is paused, and tells whether it is to end.
    async fn poll_control(&mut self, emit: &mut Emit<'_>) -> Result<bool> {
        let mut paused = false;
        loop {
            (emit.host.yield_now)().await;
            if emit.control.is_paused() || emit.control.is_stopped() || emit.control.is_asked() {
                self.read_unread(emit).await?;
            }
            while let Some(command) = emit.control.next_request() {
                let answered = match command {
                    Command::Picture { id, request } => self.draw(Some(id), &request, emit).await,
                    Command::SaveRun => self.save_checkpoint(emit).await,
                    Command::HandOver => self.hand_over_checkpoint(emit).await,
                    command => self.model.answer(command, emit).await,
                };
                if let Err(error) = answered {
                    emit.event(Event::Failed(error));
                }
            }
            let holds = emit.control.is_paused() && !emit.control.is_stopped();
            match (paused, holds) {
                (false, true) => emit.event(Event::Paused {
                    step: self.progress.step,
                }),
                (true, false) => emit.event(Event::Resumed),
                _ => {}
            }
            paused = holds;
            if !paused {
                return Ok(emit.control.is_stopped());
            }
            emit.control.wait().await;
        }
    }

    /// Scores the validation split, if there is one, and keeps the weights where they are the best so far.
    pub(crate) async fn evaluate(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let Some(scored) = self.score(self.progress.step, emit).await? else {
            self.last = None;
            return Ok(());
        };
        self.compiling.all_ready();
        self.progress.seconds = self.seconds(emit);
        let info = &scored.info;
        let metrics: Vec<(String, f64)> = std::iter::once(("eval_loss".to_owned(), info.loss))
            .chain(
                info.metrics
                    .iter()
                    .map(|metric| (format!("eval_{}", metric.name), metric.value)),
            )
            .collect();
        let numbers: Vec<(&str, f64)> = metrics.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        let epoch = self.progress.step as f64 / self.plan.steps_per_epoch as f64;
        self.progress.log(epoch, &numbers);
        self.write_down_score(info);
        emit.event(Event::Eval(info.clone()));
        let value = scored.value(&self.spec.metric);
        let better = |old: f64| match direction(&self.spec.metric) {
            Direction::HigherIsBetter => value > old,
            Direction::LowerIsBetter => value < old,
        };
        if self.config.early_stopping_patience > 0 && value.is_finite() {
            // As transformers' EarlyStoppingCallback: any better score is the best, but only one better by enough is patient.
            let enough = |old: f64| better(old) && (value - old).abs() > self.config.early_stopping_threshold;
            self.progress.patience = Some(match self.progress.patience {
                None => (value, 0),
                Some((best, stale)) => (
                    if better(best) { value } else { best },
                    if enough(best) { 0 } else { stale + 1 },
                ),
            });
        }
        let is_best = || self.progress.best.is_none_or(|(_, old)| better(old));
        if self.config.load_best_model_at_end && value.is_finite() && is_best() {
            self.progress.best = Some((self.progress.step, value));
            let parameters = self.model.model.parameters.iter();
            self.best = Some(read_all(parameters.map(|parameter| parameter.value.clone())).await?);
        }
        self.last = Some(scored);
        Ok(())
    }

    /// Whether too many scores in a row brought nothing better.
    fn patience_exhausted(&self) -> bool {
        let (patience, stale) = (self.config.early_stopping_patience, self.progress.patience);
        patience > 0 && stale.is_some_and(|(_, stale)| stale >= patience)
    }

    async fn score(&self, step: usize, emit: &mut Emit<'_>) -> Result<Option<Scored>> {
        if self.held_out.batches.is_empty() {
            return Ok(None);
        }
        // A stop that comes now ends the scoring; one that ended the run does not forbid its last score.
        let stopped = emit.control.stops_from_now_on();
        let scored = self
            .held_out
            .score(self.model, &self.spec, self.config, &stopped, emit)
            .await?;
        Ok(scored.map(|scored| scored.after(step)))
    }

    /// Puts the weights that scored best back, where they are not the last ones, and scores them; gives the step of those that
    /// are there now.
    async fn keep_best(&mut self, emit: &mut Emit<'_>) -> Result<usize> {
        let (Some((step, _)), Some(best)) = (self.progress.best, self.best.take()) else {
            return Ok(self.progress.step);
        };
        if step == self.progress.step {
            return Ok(step);
        }
        let device = self.model.model.device().clone();
        for (i, values) in best.into_iter().enumerate() {
            let length = values.len();
            let value = Tensor::from_data(TensorData::new(values, [length]), &device);
            self.model.model.parameters.set(i, value);
        }
        let metric = &self.spec.metric;
        emit.warn(msg::BestKept { step, metric });
        if let Some(scored) = self.score(step, emit).await? {
            self.last = Some(scored);
        }
        Ok(step)
    }

    /// Says what the run came to, and hands over the answers row by row.
    async fn report(&mut self, scored: &Scored, emit: &mut Emit<'_>) -> Result<()> {
        if self.spec.objective.learns_texts() {
            let (metric, before) = (self.spec.judged_by(), self.progress.texts_before.as_ref());
            let report = report_of_texts(metric, before, &scored.texts, self.before, self.config.seed);
            let before = before.filter(|_| !report.baselines.is_empty());
            let looked = judgement_of_texts(metric, before, &scored.texts, self.known());
            emit.event(Event::Report(Box::new(report)));
            if !scored.texts.written.is_empty() {
                let table = written_answers(&self.held_out.questions, &scored.texts.written);
                self.hand_over(table, emit).await?;
            }
            emit.event(Event::Judgement(Box::new(looked)));
            return Ok(());
        }
        let Some(answers) = &scored.answers else { return Ok(()) };
        let has_adapter = self.before == BaselineKind::ModelBefore;
        let instead = self.spec.instead_of_tuning(self.config, self.model, has_adapter);
        if let Some(report) = report(&self.spec, &self.baselines, scored, (self.config.seed, instead)) {
            emit.event(Event::Report(Box::new(report)));
        }
        let labels = self.spec.answer.as_ref();
        let examples = &self.held_out.examples;
        let (table, order) = predictions(labels, answers, true, examples, self.model.files.tokenizer.as_ref())?;
        self.hand_over(table, emit).await?;
        let looked = judgement(&self.spec, (&self.baselines, answers), &order, self.known());
        emit.event(Event::Judgement(Box::new(looked)));
        Ok(())
    }

    /// What is known of the rows held out.
    fn known(&self) -> Known<'_> {
        Known {
            examples: &self.held_out.examples,
            questions: &self.held_out.questions,
            columns: &self.columns,
            seed: self.config.seed,
        }
    }

    async fn hand_over(&mut self, table: PredictionTable, emit: &mut Emit<'_>) -> Result<()> {
        if let Some(sink) = self.sink.clone() {
            let written = sink.write("predictions.csv", table.to_csv().as_bytes()).await;
            self.unless_kept(written, emit)?;
        }
        emit.event(Event::Predictions(table));
        Ok(())
    }

    /// Continues the sample prompt, if there is one: drawn with one seed throughout the run, so that what differs between two
    /// samples was learnt. (The likeliest continuation of a small model soon goes round in circles.)
    pub(crate) async fn sample(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let Some(prompt) = self.sample_prompt.as_ref().filter(|_| self.model.model.generates()) else {
            return Ok(());
        };
        let options = GenerateOptions {
            max_new_tokens: SAMPLE_TOKENS,
            do_sample: true,
            temperature: SAMPLE_TEMPERATURE,
            top_p: SAMPLE_TOP_P,
            seed: self.config.seed,
            ..GenerateOptions::default()
        };
        // As with the score.
        let stopped = emit.control.stops_from_now_on();
        let generated = self
            .model
            .generate(prompt, &options, true, emit.host, &stopped, &mut |_| {})
            .await?;
        self.compiling.all_ready();
        let sample = RunSample {
            step: self.progress.step,
            prompt: text_of(prompt),
            text: generated.text,
        };
        let RunSample { step, prompt, text } = sample.clone();
        emit.event(Event::Sample { step, prompt, text });
        self.write_down(sample, emit).await
    }
}

/// What is asked, as text.
fn text_of(prompt: &Prompt) -> String {
    match prompt {
        Prompt::Text(text) => text.clone(),
        Prompt::Messages(messages) => messages
            .last()
            .map(|message| message.content.clone())
            .unwrap_or_default(),
    }
}
