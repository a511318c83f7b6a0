//! The loop of a run: step after step, scored, sampled and saved on the way, held where somebody asks for it.

use super::assignment::Assignment;
use super::checkpoint::{self, Best, Checkpoint, Progress};
use super::evaluation::{HeldOut, Scored, collate};
use super::fingerprint::Fingerprint;
use super::loaded::Loaded;
use super::optim::AdamW;
use super::pace::Speed;
use super::report::{baseline_of_texts, predictions, report, report_of_texts, written_answers};
use super::schedule::Schedule;
use super::step::{StepSettings, train_step};
use super::untuned::Untuned;
use crate::config::{Plan, RunConfig};
use crate::data::{self, Batch, Cursor, Example};
use crate::device;
use crate::error::{Error, Result};
use crate::host::{Control, Emit, Host};
use crate::metrics::answers::direction;
use crate::metrics::bootstrap::Direction;
use crate::models::read;
use crate::protocol::{Event, GenerateOptions, Message, Predictions, Prompt, RunSummary, StepInfo};
use crate::store::Sink;
use crate::task::Task;
use burn::tensor::{Tensor, TensorData};
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
pub(crate) struct Run<'a> {
    pub(crate) config: RunConfig,
    pub(crate) plan: Plan,
    pub(crate) schedule: Schedule,
    pub(crate) loaded: &'a mut Loaded,
    pub(crate) optimizer: AdamW,
    /// What is to be done.
    pub(crate) assignment: Assignment,
    /// What can be had without training.
    pub(crate) untuned: Vec<Untuned>,
    /// What the weights are called that it starts from.
    pub(crate) before: &'static str,
    pub(crate) examples: Vec<Example>,
    pub(crate) held_out: HeldOut,
    /// The weights that scored best, where they are to be kept.
    pub(crate) best: Option<Best>,
    pub(crate) sample_prompt: Option<String>,
    /// Whether the data are conversations, so that the prompt is a question.
    pub(crate) conversational: bool,
    pub(crate) progress: Progress,
    /// By what its checkpoints know it again.
    pub(crate) fingerprint: Fingerprint,
    /// Where the next micro-batch starts, and the order of its epoch.
    pub(crate) cursor: Cursor,
    pub(crate) order: Vec<usize>,
    pub(crate) data_seed: u64,
    pub(crate) speed: Speed,
    pub(crate) host: Host,
    pub(crate) control: Control,
    pub(crate) sink: Option<Rc<dyn Sink>>,
}

impl Run<'_> {
    /// All steps that are left; gives the summary without its time.
    pub(crate) async fn train(&mut self, emit: &mut Emit<'_>) -> Result<RunSummary> {
        let mut last_evaluation = None;
        if self.progress.step == 0 {
            last_evaluation = self.evaluate(emit).await?;
            self.progress.eval_loss_before = last_evaluation.as_ref().map(|eval| eval.info.loss);
            if self.assignment.task() == Task::Generation {
                self.progress.texts_before = last_evaluation.as_ref().map(|eval| eval.texts.clone());
            }
        }
        if let Some(texts) = &self.progress.texts_before {
            let scores = vec![baseline_of_texts(texts, self.before)];
            emit.event(Event::Baseline { scores });
        }
        if self.progress.step == 0 {
            self.sample(emit).await?;
        }
        while self.progress.step < self.plan.max_steps && !self.is_stale() && !self.hold(emit).await {
            if let Err(error) = self.step(emit).await {
                // The step changed nothing: what was learnt before it is worth keeping.
                self.save_result().await?;
                return Err(error);
            }
            let step = self.progress.step;
            if self.config.evaluates_at(step, &self.plan) {
                last_evaluation = self.evaluate(emit).await?;
            }
            let rhythm = self.plan.max_steps.div_ceil(SAMPLES).max(LEAST_STEPS_BETWEEN_SAMPLES);
            if step < self.plan.max_steps && step.is_multiple_of(rhythm) {
                self.sample(emit).await?;
            }
            if self.config.saves_at(step, &self.plan) {
                self.save_checkpoint(emit).await?;
            }
        }
        let finished = self.progress.step == self.plan.max_steps || self.is_stale();
        if self.is_stale() {
            let (step, scores, metric) = (
                self.progress.step,
                self.config.early_stopping_patience,
                &self.assignment.metric,
            );
            let message = format!("The run ends early, after step {step}: {scores} scores brought no better {metric}.");
            emit.warn(message);
        }
        if !finished {
            self.save_checkpoint(emit).await?;
        }
        if last_evaluation
            .as_ref()
            .is_none_or(|eval| eval.info.step != self.progress.step)
        {
            last_evaluation = self.evaluate(emit).await?;
        }
        if let Some(best) = self.keep_best(emit).await? {
            last_evaluation = Some(best);
        }
        if self.progress.step > 0 {
            self.sample(emit).await?;
        }
        self.save_result().await?;
        if let Some(scored) = &last_evaluation {
            self.report(scored, emit).await?;
        }
        Ok(RunSummary {
            finished,
            steps: self.progress.step,
            train_loss: self.progress.loss_sum / self.progress.step.max(1) as f64,
            eval_loss_before: self.progress.eval_loss_before,
            eval_loss_after: last_evaluation.map(|eval| eval.info.loss),
            seconds: 0.0,
        })
    }

    /// One optimizer step, counted and reported.
    async fn step(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let started_ms = (self.host.now_ms)();
        let step = self.progress.step + 1;
        let cursor = self.cursor;
        let batches = self.next_batches();
        let settings = StepSettings {
            step,
            learning_rate: self.schedule.learning_rate(step - 1),
            max_grad_norm: self.config.max_grad_norm,
            dropout_seed: (self.config.lora_dropout > 0.0 || self.loaded.model.dropout() > 0.0)
                .then_some(self.config.seed),
        };
        let result = train_step(
            &mut self.loaded.model,
            &mut self.optimizer,
            &self.assignment.objective,
            &batches,
            settings,
            &self.host,
        )
        .await;
        let result = result.inspect_err(|_| self.cursor = cursor)?;
        let tokens: usize = batches.iter().map(|batch| batch.input_tokens).sum();
        self.speed
            .add(((self.host.now_ms)() - started_ms) / 1000.0, tokens as u64);
        let progress = &mut self.progress;
        progress.step = step;
        progress.loss_sum += result.loss;
        progress.tokens_seen += tokens as u64;
        progress.unreported.0 += result.loss;
        progress.unreported.1 += 1;
        if self.config.logs_at(step, &self.plan) {
            let (sum, count) = std::mem::take(&mut progress.unreported);
            let epoch = step as f64 / self.plan.steps_per_epoch as f64;
            let info = StepInfo {
                step,
                epoch,
                loss: sum / count as f64,
                learning_rate: settings.learning_rate,
                grad_norm: result.grad_norm,
                tokens_per_second: self.speed.tokens_per_second(),
                num_input_tokens_seen: progress.tokens_seen,
                eta_seconds: self.speed.eta_seconds(self.plan.max_steps - step),
                device_bytes: device::memory_bytes(self.loaded.model.device()),
            };
            let numbers = [
                ("loss", info.loss),
                ("learning_rate", info.learning_rate),
                ("grad_norm", info.grad_norm),
            ];
            progress.log(epoch, &numbers);
            emit.event(Event::Step(info));
        }
        Ok(())
    }

    /// The micro-batches of the next step: as many as accumulate, fewer where the epoch ends.
    fn next_batches(&mut self) -> Vec<Batch> {
        let mut batches = Vec::with_capacity(self.config.gradient_accumulation_steps);
        let epoch = self.cursor.epoch;
        if self.order.is_empty() || self.cursor.position == 0 {
            self.order = data::order(self.examples.len(), self.data_seed, epoch);
        }
        while batches.len() < self.config.gradient_accumulation_steps && self.cursor.epoch == epoch {
            let rows = self.cursor.take(&self.order, self.config.per_device_train_batch_size);
            let rows: Vec<&Example> = rows.iter().map(|&i| &self.examples[i]).collect();
            batches.push(collate(&rows, &self.loaded.model));
        }
        batches
    }

    /// Serves what was asked for meanwhile, holds while the run is paused, and tells whether it is to end.
    async fn hold(&mut self, emit: &mut Emit<'_>) -> bool {
        let mut paused = false;
        loop {
            (self.host.yield_now)().await;
            while let Some(command) = self.control.next_request() {
                if let Err(error) = self.loaded.answer(command, self.host, &self.control, emit).await {
                    emit.event(Event::Failed(error));
                }
            }
            let holds = self.control.is_paused() && !self.control.is_stopped();
            match (paused, holds) {
                (false, true) => emit.event(Event::Paused {
                    step: self.progress.step,
                }),
                (true, false) => emit.event(Event::Resumed),
                _ => {}
            }
            paused = holds;
            if !paused {
                return self.control.is_stopped();
            }
            self.control.wait().await;
        }
    }

    /// Scores the validation split, if there is one, and keeps the weights where they are the best so far.
    async fn evaluate(&mut self, emit: &mut Emit<'_>) -> Result<Option<Scored>> {
        let Some(scored) = self.score(self.progress.step, emit).await? else {
            return Ok(None);
        };
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
        emit.event(Event::Eval(info.clone()));
        let value = scored.value(&self.assignment.metric);
        let better = |old: f64| match direction(&self.assignment.metric) {
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
            let mut weights = Vec::with_capacity(self.loaded.model.parameters.len());
            for parameter in self.loaded.model.parameters.iter() {
                weights.push(read(parameter.value.clone()).await?);
            }
            self.best = Some(weights);
        }
        Ok(Some(scored))
    }

    /// Whether too many scores in a row brought nothing better.
    fn is_stale(&self) -> bool {
        let (patience, stale) = (self.config.early_stopping_patience, self.progress.patience);
        patience > 0 && stale.is_some_and(|(_, stale)| stale >= patience)
    }

    async fn score(&self, step: usize, emit: &mut Emit<'_>) -> Result<Option<Scored>> {
        if self.held_out.batches.is_empty() {
            return Ok(None);
        }
        // A stop that comes now ends the scoring; one that ended the run does not forbid its last score.
        let was_stopped = self.control.is_stopped();
        let stopped = || !was_stopped && self.control.is_stopped();
        let task = (&self.assignment, &self.config);
        self.held_out
            .score(self.loaded, task, step, self.host, &stopped, emit)
            .await
    }

    /// Puts the weights that scored best back, where they are not the last ones, and scores them.
    async fn keep_best(&mut self, emit: &mut Emit<'_>) -> Result<Option<Scored>> {
        let (Some((step, _)), Some(best)) = (self.progress.best, self.best.take()) else {
            return Ok(None);
        };
        if step == self.progress.step {
            return Ok(None);
        }
        let device = self.loaded.model.device().clone();
        for (i, values) in best.into_iter().enumerate() {
            let length = values.len();
            let value = Tensor::from_data(TensorData::new(values, [length]), &device);
            self.loaded.model.parameters.set(i, value);
        }
        let metric = &self.assignment.metric;
        let message = format!("The weights of step {step} are kept: they have the best {metric}.");
        emit.warn(message);
        self.score(step, emit).await
    }

    /// Says what the run came to, and hands over the answers row by row.
    async fn report(&self, scored: &Scored, emit: &mut Emit<'_>) -> Result<()> {
        if self.assignment.task() == Task::Generation {
            let (metric, before) = (self.assignment.judged_by(), self.progress.texts_before.as_ref());
            let report = report_of_texts(metric, before, &scored.texts, self.before, self.config.seed);
            emit.event(Event::Report(Box::new(report)));
            return match scored.texts.written.as_slice() {
                [] => Ok(()),
                written => {
                    self.hand_over(written_answers(&self.held_out.questions, written), emit)
                        .await
                }
            };
        }
        let Some(answers) = &scored.answers else { return Ok(()) };
        if let Some(report) = report(&self.assignment, &self.untuned, scored, self.config.seed) {
            emit.event(Event::Report(Box::new(report)));
        }
        let labels = self.assignment.answer.as_ref();
        let examples = &self.held_out.examples;
        let table = predictions(labels, answers, true, examples, self.loaded.files.tokenizer.as_ref())?;
        self.hand_over(table, emit).await
    }

    async fn hand_over(&self, table: Predictions, emit: &mut Emit<'_>) -> Result<()> {
        if let Some(sink) = &self.sink {
            sink.write("predictions.csv", table.to_csv().as_bytes()).await?;
        }
        emit.event(Event::Predictions(table));
        Ok(())
    }

    /// Continues the sample prompt, if there is one: drawn with one seed throughout the run, so that what differs between two
    /// samples was learnt. (The likeliest continuation of a small model soon goes round in circles.)
    async fn sample(&self, emit: &mut Emit<'_>) -> Result<()> {
        let Some(prompt) = self.sample_prompt.as_ref().filter(|_| self.loaded.model.generates()) else {
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
        let was_stopped = self.control.is_stopped();
        let stopped = || !was_stopped && self.control.is_stopped();
        let asked = match (self.conversational, self.loaded.files.chat_template.is_some()) {
            (true, true) => Prompt::Messages(vec![Message {
                role: "user".into(),
                content: prompt.clone(),
            }]),
            _ => Prompt::Text(prompt.clone()),
        };
        let generated = self
            .loaded
            .generate(&asked, &options, true, self.host, &stopped, &mut |_| {})
            .await?;
        emit.event(Event::Sample {
            step: self.progress.step,
            prompt: prompt.clone(),
            text: generated.text,
        });
        Ok(())
    }

    /// Writes `checkpoint-N`, and then removes what is beyond save_total_limit.
    async fn save_checkpoint(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let Some(sink) = self.sink.clone() else { return Ok(()) };
        let step = self.progress.step;
        let folder = checkpoint::folder(step);
        let mut files = self.loaded.export().await?;
        let state = checkpoint::state_files(
            &self.loaded.model,
            &self.optimizer,
            (&self.progress, self.best.as_ref()),
            &self.plan,
            &self.config,
            &self.fingerprint,
        );
        files.extend(state.await?);
        checkpoint::write(sink.as_ref(), step, &files).await?;
        emit.event(Event::Checkpoint {
            step,
            path: format!("{}/{folder}", self.config.output_dir),
        });
        // The new one is safe; an old one too many is no reason to end a run.
        if let Err(error) = self.drop_old_checkpoints(sink.as_ref()).await {
            let message = error.to_string();
            emit.warn(message);
        }
        Ok(())
    }

    /// Removes the oldest checkpoints beyond save_total_limit, those of an interrupted run that this one goes on from
    /// included. Checkpoints of later steps are another run's and stay.
    async fn drop_old_checkpoints(&self, sink: &dyn Sink) -> Result<()> {
        checkpoint::sweep(sink).await?;
        let Some(limit) = self.config.save_total_limit else {
            return Ok(());
        };
        let steps = checkpoint::steps(sink).await?;
        let own = steps.into_iter().filter(|step| *step <= self.progress.step);
        for step in own.skip(limit) {
            checkpoint::remove(sink, step).await?;
        }
        Ok(())
    }

    /// Writes what was learnt.
    async fn save_result(&mut self) -> Result<()> {
        let Some(sink) = self.sink.clone() else { return Ok(()) };
        for (name, bytes) in self.loaded.export().await? {
            sink.write(&name, &bytes).await?;
        }
        Ok(())
    }

    /// Goes to where `checkpoint` was written.
    pub(crate) fn resume(&mut self, checkpoint: Checkpoint) -> Result<()> {
        checkpoint.restore(&mut self.loaded.model, &mut self.optimizer)?;
        self.best = checkpoint.best(&self.loaded.model)?;
        self.progress = checkpoint.progress;
        if self.progress.step > self.plan.max_steps {
            let (step, steps) = (self.progress.step, self.plan.max_steps);
            return Err(Error::config(format!(
                "the checkpoint has done {step} steps, the run has only {steps}"
            ))
            .remedy("Raise max_steps or num_train_epochs."));
        }
        let rows = self.config.per_device_train_batch_size * self.config.gradient_accumulation_steps;
        let steps_per_epoch = self.plan.steps_per_epoch;
        self.cursor = Cursor {
            epoch: self.progress.step / steps_per_epoch,
            position: self.progress.step % steps_per_epoch * rows,
        };
        Ok(())
    }
}
