//! The main way of a run, from top to bottom: a front end's commands come in, events go out.
//!
//! [`Session`] keeps what is loaded from one command to the next; [`Session::handle`] serves a command; `train` and `Run`
//! are the loop itself. Everything that computes lives elsewhere: files in [`crate::formats`], examples in [`crate::data`],
//! the model in [`crate::models`], one step in [`crate::train::step`]. The loop waits for the device without blocking and
//! gives the host a breath between micro-batches, so that a browser's worker hears 'pause' while it trains.

use crate::baseline::comparison::Direction;
use crate::config::{FinetuningType, Plan, RunConfig, SMALL_MODELS};
use crate::data::{self, Batch, Columns, Cursor, Dataset, Example};
use crate::device;
use crate::error::{Error, Result};
use crate::estimate::estimate;
use crate::formats::{ModelFiles, peft::Adapter};
use crate::metrics::answers::direction;
use crate::models::{Model, read, small};
use crate::protocol::{
    Command, DeviceChoice, DeviceInfo, EvalInfo, Event, GenerateOptions, Message, Predictions, Prompt, RunInfo,
    RunSummary, Stage, StepInfo,
};
use crate::quant::Base;
use crate::store::{self, MemoryFile, Sink, Source};
use crate::task::Task;
use crate::tokenizer::Tokenizer;
use crate::train::assignment::Assignment;
use crate::train::checkpoint::{self, Best, Checkpoint, Progress};
pub use crate::train::control::{Control, Host};
use crate::train::evaluation::{HeldOut, Scored, answer, collate};
use crate::train::loaded::{Loaded, adapter_config, companions};
use crate::train::optim::AdamW;
use crate::train::outlook::preview;
use crate::train::own_head::OwnHead;
use crate::train::pace::Speed;
use crate::train::report::{baseline_of_texts, predictions, report, report_of_texts};
use crate::train::schedule::Schedule;
use crate::train::step::{StepSettings, train_step};
use crate::train::typed::answer_typed;
use crate::train::untuned::{Untuned, untuned};
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::json;
use std::rc::Rc;

/// Where events go; the bytes are an exported file's.
pub type Emit<'a> = &'a mut dyn FnMut(Event, Option<Vec<u8>>);

/// Samples in the middle of a run, and how far apart they are at least: they cost as much as a step or two.
const SAMPLES: usize = 10;
const LEAST_STEPS_BETWEEN_SAMPLES: usize = 5;

/// Tokens of a sample in the middle of a run.
const SAMPLE_TOKENS: usize = 48;
/// How freely they are drawn.
const SAMPLE_TEMPERATURE: f64 = 0.7;
const SAMPLE_TOP_P: f64 = 0.9;

/// The longest config.json that is read.
const MOST_CONFIG_BYTES: u64 = 16 << 20;

/// What is loaded, from one command to the next.
pub struct Session {
    /// Place for checkpoints and results; without one they stay in memory.
    pub sink: Option<Rc<dyn Sink>>,
    /// Where the next run goes on from.
    pub resume: Option<Checkpoint>,
    host: Host,
    control: Control,
    device: Option<(Device, DeviceInfo)>,
    model: Option<Loaded>,
    data: Option<Dataset>,
    validation: Option<Dataset>,
    adapter: Option<Adapter>,
}

impl Session {
    /// A session with nothing loaded.
    pub fn new(host: Host) -> Self {
        Self {
            sink: None,
            resume: None,
            host,
            control: Control::default(),
            device: None,
            model: None,
            data: None,
            validation: None,
            adapter: None,
        }
    }

    /// The handle that works while a command is under way.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves one command; `files` travelled with it. What goes wrong becomes [`Event::Failed`].
    pub async fn handle(&mut self, command: Command, files: Vec<Source>, emit: Emit<'_>) {
        if let Err(error) = self.serve(command, files, emit).await {
            emit(Event::Failed(error), None);
        }
    }

    async fn serve(&mut self, command: Command, files: Vec<Source>, emit: Emit<'_>) -> Result<()> {
        match command {
            Command::Open { device } => self.open(device, emit).await,
            Command::LoadModel { name, config, .. } => {
                let base = config.as_deref().map(Base::from).unwrap_or_default();
                self.load_model(name, base, files, emit).await
            }
            Command::LoadData { .. } => {
                let dataset = read_data(files).await?;
                emit(Event::Data(dataset.info()), None);
                self.data = Some(dataset);
                Ok(())
            }
            Command::Preview { config } => {
                self.suit_model(&config, emit).await?;
                let loaded = self.model.as_ref().ok_or_else(no_model)?;
                let dataset = self.data.as_ref().ok_or_else(no_data)?;
                emit(preview(loaded, dataset, &config)?, None);
                Ok(())
            }
            Command::Predict { config, texts } => {
                let loaded = self.model.as_ref().ok_or_else(no_model)?;
                emit(answer_typed(loaded, &config, &texts, self.host).await?, None);
                Ok(())
            }
            Command::Estimate { config } => {
                let loaded = self.model.as_ref().ok_or_else(no_model)?;
                let device = loaded.model.device();
                let adapter = self.adapter.as_ref().map(|adapter| &adapter.config);
                let largest = device::largest_buffer_bytes(device);
                let memory = estimate(&loaded.files, &config, adapter, largest).await?;
                let available_bytes = device::available_bytes(device);
                emit(
                    Event::Estimate {
                        memory,
                        available_bytes,
                    },
                    None,
                );
                Ok(())
            }
            Command::Train { config, sample_prompt } => self.train(*config, sample_prompt, emit).await,
            Command::Pause => {
                self.control.pause();
                Ok(())
            }
            Command::Resume => {
                self.control.resume();
                Ok(())
            }
            Command::Stop => {
                self.control.stop();
                Ok(())
            }
            Command::CancelGenerate => {
                self.control.cancel_generate();
                Ok(())
            }
            Command::Generate { .. } | Command::ExportAdapter => {
                let loaded = self.model.as_ref().ok_or_else(no_model)?;
                loaded.answer(command, self.host, &self.control, emit).await
            }
        }
    }

    async fn open(&mut self, choice: DeviceChoice, emit: Emit<'_>) -> Result<()> {
        let opened = device::open(choice).await?;
        emit(Event::Device(opened.1.clone()), None);
        // What lives on another device is of no use any more.
        if self.device.as_ref().is_some_and(|old| old.1 != opened.1) {
            self.model = None;
        }
        self.device = Some(opened);
        Ok(())
    }

    async fn load_model(&mut self, name: String, base: Base, files: Vec<Source>, emit: Emit<'_>) -> Result<()> {
        if self.device.is_none() {
            self.open(DeviceChoice::Auto, emit).await?;
        }
        // The old model goes first: two may not fit.
        self.model = None;
        let companions = companions(&files);
        let mut files = match files.is_empty() && SMALL_MODELS.contains(&name.as_str()) {
            true => ModelFiles::from_config(name.as_str(), json!({ "model_type": name })),
            false => ModelFiles::open(files).await?,
        };
        if !name.is_empty() {
            files.name = name;
        }
        let own = files.config.clone();
        if is_open(&files) {
            small::fit(&mut files.config, &RunConfig::default(), None)?;
        }
        if files.entries().is_empty() {
            let message = "There are no weights among the model's files, so it starts from fresh ones, which know \
                           nothing yet: train it with finetuning_type: full.";
            emit(
                Event::Warning {
                    message: message.into(),
                },
                None,
            );
        }
        let model = self.read_model(&files, (false, base), 0, emit).await?;
        emit(Event::Model(model.info.clone()), None);
        self.adapter = None;
        self.model = Some(Loaded {
            own: OwnHead::of(&model, &own),
            files,
            model,
            full: false,
            base,
            companions,
        });
        Ok(())
    }

    async fn read_model(&self, files: &ModelFiles, kind: (bool, Base), seed: u64, emit: Emit<'_>) -> Result<Model> {
        let (device, _) = self
            .device
            .as_ref()
            .ok_or_else(|| Error::internal("no device is open"))?;
        let mut progress = |done, total| {
            emit(
                Event::Progress {
                    stage: Stage::LoadModel,
                    done,
                    total,
                },
                None,
            )
        };
        Model::load_base(files, kind, seed, device, &mut progress).await
    }

    /// Takes validation data that is in a file of its own (of images in the IDX format, two), for the next run.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub async fn load_validation(&mut self, files: Vec<Source>) -> Result<()> {
        self.validation = Some(read_data(files).await?);
        Ok(())
    }

    /// Puts a saved adapter on the loaded model; the next LoRA run goes on from it.
    ///
    /// # Errors
    /// No model is loaded, or the adapter does not fit it.
    pub fn load_adapter(&mut self, adapter: Adapter) -> Result<()> {
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        loaded.model.load_adapter(&adapter)?;
        self.adapter = Some(adapter);
        Ok(())
    }

    /// The same from an adapter's files, among them config.json where the adapter brings a head of its own: the model is then
    /// read again with that head.
    ///
    /// # Errors
    /// As [`Session::load_adapter`]; files that cannot be read.
    pub async fn load_adapter_files(&mut self, files: Vec<Source>, emit: Emit<'_>) -> Result<()> {
        let config = files.iter().find(|file| file.name() == "config.json");
        let config = match config {
            Some(file) => {
                let bytes = store::read_all(file.as_ref(), MOST_CONFIG_BYTES).await?;
                let broken = |error: serde_json::Error| Error::format(error.to_string()).file("config.json");
                Some(serde_json::from_slice::<serde_json::Value>(&bytes).map_err(broken)?)
            }
            None => None,
        };
        let adapter = Adapter::open(files).await?;
        if let Some(config) = config
            && crate::models::head::of_run(&config).is_some()
        {
            let loaded = self.model.as_mut().ok_or_else(no_model)?;
            loaded.own = loaded.own.with(&config);
            let (wanted, full, base) = (loaded.own.config.clone(), loaded.full, loaded.base);
            self.read_again(wanted, (full, base), 0, emit).await?;
        }
        self.load_adapter(adapter)
    }

    /// Scores the loaded model, with its adapter if it has one: on the validation data where there is some, on the whole of
    /// the data else.
    ///
    /// # Errors
    /// Nothing loaded, data without a target token, a lost device.
    pub async fn evaluate(&mut self, config: &RunConfig, emit: Emit<'_>) -> Result<EvalInfo> {
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let dataset = self.validation.as_ref().or(self.data.as_ref()).ok_or_else(no_data)?;
        let assignment = Assignment::of_head(config, loaded, dataset)?;
        let mut examples = assignment.examples(loaded, dataset, config, false, emit)?;
        assignment
            .refer(config, &loaded.model, &mut examples, self.host)
            .await?;
        check_numbers(&loaded.model, &examples, dataset)?;
        let held_out = assignment.held_out(examples, config, &loaded.model);
        let stopped = || self.control.is_stopped();
        let scored = held_out
            .score(&loaded.model, &assignment, 0, self.host, &stopped, emit)
            .await?;
        let scored = scored.ok_or_else(|| Error::config("the scoring was stopped"))?;
        Ok(scored.info)
    }

    /// What the loaded model, with its adapter if it has one, answers to each row of the data, and its score where the data
    /// has labels: then the worst errors come first.
    ///
    /// # Errors
    /// Nothing loaded, a model without a trained head, data without the task's text.
    pub async fn predict(&mut self, config: &RunConfig, emit: Emit<'_>) -> Result<(Predictions, Option<EvalInfo>)> {
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let dataset = self.data.as_ref().ok_or_else(no_data)?;
        let assignment = Assignment::of_head(config, loaded, dataset)?;
        if assignment.task() == Task::Generation {
            return Err(
                Error::config("a model that continues texts answers to prompts, not to rows")
                    .remedy("Use `lorakeet generate`, or give the adapter of a trained classifier."),
            );
        }
        let mut examples = assignment.examples(loaded, dataset, config, true, emit)?;
        assignment
            .refer(config, &loaded.model, &mut examples, self.host)
            .await?;
        check_numbers(&loaded.model, &examples, dataset)?;
        let right = assignment.knows_answers(dataset);
        let held_out = assignment.held_out(examples, config, &loaded.model);
        let stopped = || self.control.is_stopped();
        let (answers, info) = if right {
            let scored = held_out
                .score(&loaded.model, &assignment, 0, self.host, &stopped, emit)
                .await?;
            let scored = scored.ok_or_else(|| Error::config("the scoring was stopped"))?;
            (scored.answers, Some(scored.info))
        } else {
            let (outputs, width) = answer(&loaded.model, &assignment.objective, &held_out.batches, self.host).await?;
            (assignment.answers(&held_out.examples, &outputs, width), None)
        };
        let answers =
            answers.ok_or_else(|| Error::config(format!("{} has no answers row by row", assignment.task())))?;
        let labels = assignment.answer.as_ref();
        let tokenizer = loaded.files.tokenizer.as_ref();
        let table = predictions(labels, &answers, right, &held_out.examples, tokenizer)?;
        Ok((table, info))
    }

    /// The main way. See the comments.
    async fn train(&mut self, config: RunConfig, sample_prompt: Option<String>, emit: Emit<'_>) -> Result<()> {
        self.control.begin_run();
        let started_ms = (self.host.now_ms)();

        // What is to be done, then rows → examples → a seeded split.
        self.suit_model(&config, emit).await?;
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let dataset = self.data.as_ref().ok_or_else(no_data)?;
        let mut assignment = Assignment::of_run(&config, loaded, dataset)?;
        for message in assignment.notes.drain(..) {
            emit(Event::Warning { message }, None);
        }
        let conversational = dataset.form != data::Form::Text;
        let mut examples = assignment.examples(loaded, dataset, &config, false, emit)?;
        examples.truncate(config.max_samples.unwrap_or(usize::MAX));
        let data_seed = config.data_seed.unwrap_or(config.seed);
        let mut held_out = match &self.validation {
            Some(validation) => assignment.examples(loaded, validation, &config, false, emit)?,
            None => {
                let (train, held_out) = assignment.split(examples, config.val_size, data_seed)?;
                examples = train;
                held_out
            }
        };
        assignment.scale(&config, &mut examples, &mut held_out);

        // The model: its head, and a fresh adapter, a given one, or every weight.
        self.prepare_model(&config, &assignment, emit).await?;
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        let dataset = self.data.as_ref().ok_or_else(no_data)?;
        check_numbers(&loaded.model, &examples, dataset)?;
        assignment
            .refer(&config, &loaded.model, &mut examples, self.host)
            .await?;
        assignment
            .refer(&config, &loaded.model, &mut held_out, self.host)
            .await?;
        let held_out = HeldOut::new(held_out, &config, &loaded.model);

        // What can be had without training, from the weights that the run starts from.
        let stopped = || self.control.is_stopped();
        let plan = config.plan(examples.len());
        let untuned = untuned(
            &loaded.model,
            &assignment,
            (&examples, config.planned_rows(&plan)),
            &held_out,
            self.host,
            &stopped,
            emit,
        )
        .await?;
        let mut run = Run {
            schedule: Schedule::new(&config, &plan),
            optimizer: AdamW::new(&loaded.model.parameters, &config),
            held_out,
            progress: Progress::default(),
            cursor: Cursor::default(),
            order: Vec::new(),
            speed: Speed::default(),
            best: None,
            data_seed,
            host: self.host,
            control: self.control.clone(),
            sink: self.sink.clone(),
            loaded,
            assignment,
            untuned,
            before: match &self.adapter {
                Some(_) => "model before this run",
                None => "untouched model",
            },
            examples,
            sample_prompt,
            conversational,
            plan,
            config,
        };
        if let Some(checkpoint) = self.resume.take() {
            run.resume(checkpoint)?;
        }
        let all_parameters = match run.config.finetuning_type {
            FinetuningType::Lora => run.loaded.model.info.parameters + run.loaded.model.parameters.weights(),
            FinetuningType::Full => run.loaded.model.info.parameters,
        };
        emit(
            Event::Started(RunInfo {
                max_steps: run.plan.max_steps,
                train_examples: run.examples.len(),
                eval_examples: run.held_out.examples.len(),
                trainable_parameters: run.loaded.model.parameters.weights(),
                all_parameters,
                task: run.assignment.task(),
                loss: run.assignment.objective.loss.to_string(),
            }),
            None,
        );
        if !run.untuned.is_empty() {
            let scores = run.untuned.iter().map(|one| one.scores(run.assignment.task()));
            let scores = scores.collect();
            emit(Event::Baseline { scores }, None);
        }

        // The untouched model first, then step after step. What was learnt is kept even where a step fails.
        let outcome = run.train(emit).await;
        self.control.end_run();
        let finished = outcome?;
        let seconds = ((self.host.now_ms)() - started_ms) / 1000.0;
        emit(Event::Done(RunSummary { seconds, ..finished }), None);
        Ok(())
    }

    /// Has a small model whose inputs are open read what the data have: numbers, or texts byte by byte.
    async fn suit_model(&mut self, config: &RunConfig, emit: Emit<'_>) -> Result<()> {
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let dataset = self.data.as_ref().ok_or_else(no_data)?;
        let is_patched = matches!(loaded.model.info.model_type.as_str(), "small_vit" | "small_series");
        let has_inputs = ["input_size", "vocab_size"]
            .iter()
            .any(|key| !loaded.own.config[*key].is_null());
        if !is_open(&loaded.files) || is_patched || has_inputs {
            return Ok(());
        }
        let has_numbers = dataset.form == data::Form::Numbers || dataset.numeric(&Columns::of(config)).is_ok();
        if loaded.model.numbers().is_some() == has_numbers {
            return Ok(());
        }
        let (mut wanted, base) = (loaded.own.config.clone(), loaded.base);
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        (loaded.files.tokenizer, loaded.companions) = (None, Vec::new());
        if !has_numbers {
            let tokenizer = Tokenizer::of_bytes()?;
            wanted["vocab_size"] = json!(tokenizer.vocab_size());
            let file = MemoryFile::source("tokenizer.json", tokenizer.to_json()?.into_bytes());
            (loaded.files.tokenizer, loaded.companions) = (Some(tokenizer), vec![file]);
        }
        small::fit(&mut wanted, config, None)?;
        self.read_again(wanted, (false, base), config.seed, emit).await
    }

    /// Makes the loaded model trainable: the task's head, and every weight, an adapter that was given, or a fresh one.
    async fn prepare_model(&mut self, config: &RunConfig, assignment: &Assignment, emit: Emit<'_>) -> Result<()> {
        let full = config.finetuning_type == FinetuningType::Full;
        let base = Base::from(config);
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let mut wanted = assignment.model_config(&loaded.own, &loaded.model.info.model_type);
        if is_open(&loaded.files) {
            if !full {
                let error = Error::config("lora leaves the weights as they are, and these are fresh");
                return Err(error.field("finetuning_type").remedy("Set finetuning_type: full."));
            }
            if let (None, Some(tokenizer)) = (assignment.shape, &loaded.files.tokenizer) {
                wanted["vocab_size"] = json!(tokenizer.vocab_size());
            }
            small::fit(&mut wanted, config, assignment.shape)?;
        } else {
            small::check(&wanted, config)?;
        }
        if full || loaded.full || loaded.base != base || loaded.files.config != wanted {
            // Read again: a model is either frozen, in one format, or trained throughout.
            self.read_again(wanted, (full, base), config.seed, emit).await?;
        }
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        match &self.adapter {
            _ if full => Ok(()),
            Some(adapter) => loaded.model.load_adapter(adapter),
            None => loaded
                .model
                .attach_lora(&adapter_config(config, &loaded.model.info), config.seed),
        }
    }

    /// Reads the loaded model's files again, with `config` for their config.json. The old model goes first, two may not fit.
    async fn read_again(
        &mut self,
        config: serde_json::Value,
        kind: (bool, Base),
        seed: u64,
        emit: Emit<'_>,
    ) -> Result<()> {
        let Loaded {
            mut files,
            companions,
            own,
            ..
        } = self.model.take().ok_or_else(no_model)?;
        files.config = config;
        let model = self.read_model(&files, kind, seed, emit).await?;
        emit(Event::Model(model.info.clone()), None);
        let (full, base) = kind;
        self.model = Some(Loaded {
            files,
            model,
            full,
            base,
            companions,
            own,
        });
        Ok(())
    }
}

/// A run under way.
struct Run<'a> {
    config: RunConfig,
    plan: Plan,
    schedule: Schedule,
    loaded: &'a mut Loaded,
    optimizer: AdamW,
    /// What is to be done.
    assignment: Assignment,
    /// What can be had without training.
    untuned: Vec<Untuned>,
    /// What the weights are called that it starts from.
    before: &'static str,
    examples: Vec<Example>,
    held_out: HeldOut,
    /// The weights that scored best, where they are to be kept.
    best: Option<Best>,
    sample_prompt: Option<String>,
    /// Whether the data are conversations, so that the prompt is a question.
    conversational: bool,
    progress: Progress,
    /// Where the next micro-batch starts, and the order of its epoch.
    cursor: Cursor,
    order: Vec<usize>,
    data_seed: u64,
    speed: Speed,
    host: Host,
    control: Control,
    sink: Option<Rc<dyn Sink>>,
}

impl Run<'_> {
    /// All steps that are left; gives the summary without its time.
    async fn train(&mut self, emit: Emit<'_>) -> Result<RunSummary> {
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
            emit(Event::Baseline { scores }, None);
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
            emit(Event::Warning { message }, None);
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
    async fn step(&mut self, emit: Emit<'_>) -> Result<()> {
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
            emit(Event::Step(info), None);
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
    async fn hold(&mut self, emit: Emit<'_>) -> bool {
        let mut paused = false;
        loop {
            (self.host.yield_now)().await;
            while let Some(command) = self.control.next_request() {
                if let Err(error) = self.loaded.answer(command, self.host, &self.control, emit).await {
                    emit(Event::Failed(error), None);
                }
            }
            let holds = self.control.is_paused() && !self.control.is_stopped();
            match (paused, holds) {
                (false, true) => emit(
                    Event::Paused {
                        step: self.progress.step,
                    },
                    None,
                ),
                (true, false) => emit(Event::Resumed, None),
                _ => {}
            }
            paused = holds;
            if !paused {
                return self.control.is_stopped();
            }
        }
    }

    /// Scores the validation split, if there is one, and keeps the weights where they are the best so far.
    async fn evaluate(&mut self, emit: Emit<'_>) -> Result<Option<Scored>> {
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
        emit(Event::Eval(info.clone()), None);
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

    async fn score(&self, step: usize, emit: Emit<'_>) -> Result<Option<Scored>> {
        if self.held_out.batches.is_empty() {
            return Ok(None);
        }
        // A stop that comes now ends the scoring; one that ended the run does not forbid its last score.
        let was_stopped = self.control.is_stopped();
        let stopped = || !was_stopped && self.control.is_stopped();
        let (model, assignment) = (&self.loaded.model, &self.assignment);
        self.held_out
            .score(model, assignment, step, self.host, &stopped, emit)
            .await
    }

    /// Puts the weights that scored best back, where they are not the last ones, and scores them.
    async fn keep_best(&mut self, emit: Emit<'_>) -> Result<Option<Scored>> {
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
        emit(Event::Warning { message }, None);
        self.score(step, emit).await
    }

    /// Says what the run came to, and hands over the answers row by row.
    async fn report(&self, scored: &Scored, emit: Emit<'_>) -> Result<()> {
        if self.assignment.task() == Task::Generation {
            let before = self.progress.texts_before.as_ref();
            let report = report_of_texts(before, &scored.texts, self.before, self.config.seed);
            emit(Event::Report(Box::new(report)), None);
            return Ok(());
        }
        let Some(answers) = &scored.answers else { return Ok(()) };
        if let Some(report) = report(&self.assignment, &self.untuned, scored, self.config.seed) {
            emit(Event::Report(Box::new(report)), None);
        }
        let labels = self.assignment.answer.as_ref();
        let examples = &self.held_out.examples;
        let table = predictions(labels, answers, true, examples, self.loaded.files.tokenizer.as_ref())?;
        if let Some(sink) = &self.sink {
            sink.write("predictions.csv", table.to_csv().as_bytes()).await?;
        }
        emit(Event::Predictions(table), None);
        Ok(())
    }

    /// Continues the sample prompt, if there is one: drawn with one seed throughout the run, so that what differs between two
    /// samples was learnt. (The likeliest continuation of a small model soon goes round in circles.)
    async fn sample(&self, emit: Emit<'_>) -> Result<()> {
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
        emit(
            Event::Sample {
                step: self.progress.step,
                prompt: prompt.clone(),
                text: generated.text,
            },
            None,
        );
        Ok(())
    }

    /// Writes `checkpoint-N`, and then removes what is beyond save_total_limit.
    async fn save_checkpoint(&mut self, emit: Emit<'_>) -> Result<()> {
        let Some(sink) = self.sink.clone() else { return Ok(()) };
        let step = self.progress.step;
        let folder = checkpoint::folder(step);
        let epoch = step as f64 / self.plan.steps_per_epoch as f64;
        let plan = (self.plan.max_steps, epoch);
        let mut files = self.loaded.export().await?;
        let progress = (&self.progress, self.best.as_ref());
        let state = checkpoint::state_files(&self.loaded.model, &self.optimizer, progress, plan, &self.config).await?;
        files.extend(state);
        for (name, bytes) in &files {
            sink.write(&format!("{folder}/{name}"), bytes).await?;
        }
        emit(
            Event::Checkpoint {
                step,
                path: format!("{}/{folder}", self.config.output_dir),
            },
            None,
        );
        // The new one is safe; an old one too many is no reason to end a run.
        if let Err(error) = self.drop_old_checkpoints(sink.as_ref()).await {
            let message = error.to_string();
            emit(Event::Warning { message }, None);
        }
        Ok(())
    }

    /// Removes the oldest checkpoints beyond save_total_limit, those of an interrupted run that this one goes on from
    /// included. Checkpoints of later steps are another run's and stay.
    async fn drop_old_checkpoints(&self, sink: &dyn Sink) -> Result<()> {
        let Some(limit) = self.config.save_total_limit else {
            return Ok(());
        };
        let mut steps: Vec<usize> = sink
            .folders()
            .await?
            .iter()
            .filter_map(|name| checkpoint::step_of(name))
            .filter(|step| *step <= self.progress.step)
            .collect();
        steps.sort_unstable_by(|a, b| b.cmp(a));
        for step in steps.into_iter().skip(limit) {
            sink.remove_folder(&checkpoint::folder(step)).await?;
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
    fn resume(&mut self, checkpoint: Checkpoint) -> Result<()> {
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

async fn read_data(files: Vec<Source>) -> Result<Dataset> {
    for file in &files {
        data::check_size(file.name(), file.len_bytes())?;
    }
    let read = async |file: &Source| store::read_all(file.as_ref(), data::MAX_FILE_BYTES).await;
    match files.as_slice() {
        [file] => Dataset::parse(file.name(), &read(file).await?),
        [one, other] => Dataset::parse_images((one.name(), &read(one).await?), (other.name(), &read(other).await?)),
        _ => {
            let what = format!(
                "training data is one file, or images with their labels, got {}",
                files.len()
            );
            Err(Error::data(what))
        }
    }
}

/// Whether it is a small model without weights, whose sizes a run may choose.
fn is_open(files: &ModelFiles) -> bool {
    let kind = files.config["model_type"].as_str();
    files.entries().is_empty() && kind.is_some_and(|kind| SMALL_MODELS.contains(&kind))
}

/// Refuses rows of numbers that do not fit the model; all have one length.
fn check_numbers(model: &Model, examples: &[Example], dataset: &Dataset) -> Result<()> {
    let first = examples.first().filter(|_| model.numbers().is_some());
    first.map_or(Ok(()), |example| {
        let checked = model.check_numbers(example.numbers.len());
        checked.map_err(|error| error.file(&dataset.name).row(example.row))
    })
}

fn no_model() -> Error {
    Error::config("no model is loaded").remedy("Load a GGUF file, or a folder with config.json and safetensors.")
}

fn no_data() -> Error {
    Error::config("no training data is loaded").remedy("Load a txt, csv, json or jsonl file.")
}
