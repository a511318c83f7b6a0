//! The main way of a run, from top to bottom: a front end's commands come in, events go out.
//!
//! [`Session`] keeps what is loaded from one command to the next, and [`Session::handle`] serves a command; its `train` is the
//! way of a run, whose loop stands in `train/run.rs`. Everything that computes lives elsewhere: files in [`crate::formats`],
//! examples in [`crate::data`], the model in [`crate::models`], one step in [`crate::train::step`]. The loop waits for the
//! device without blocking and gives the host a breath between micro-batches, so that a browser's worker hears 'pause' while
//! it trains.

use crate::config::{FinetuningType, RunConfig, SMALL_MODELS};
use crate::data::{self, Columns, Cursor, Dataset, Example};
use crate::device;
use crate::error::{Error, Result};
use crate::estimate::estimate;
use crate::formats::{ModelFiles, peft::Adapter};
pub use crate::host::{Control, Emit, Host, Receiver};
use crate::models::{Model, small};
use crate::protocol::{Command, DeviceChoice, DeviceInfo, EvalInfo, Event, Predictions, RunInfo, RunSummary, Stage};
use crate::quant::Base;
use crate::store::{self, MemoryFile, Sink, Source};
use crate::task::Task;
use crate::tokenizer::Tokenizer;
use crate::train::assignment::Assignment;
use crate::train::checkpoint::{Checkpoint, Progress};
use crate::train::evaluation::{HeldOut, answer};
use crate::train::fingerprint::{Fingerprint, sha256};
use crate::train::loaded::{Loaded, adapter_config, companions};
use crate::train::optim::AdamW;
use crate::train::outlook::preview;
use crate::train::own_head::OwnHead;
use crate::train::pace::Speed;
use crate::train::report::{predictions, written_answers};
use crate::train::run::Run;
use crate::train::schedule::Schedule;
use crate::train::typed::answer_typed;
use crate::train::untuned::untuned;
use crate::train::written::QUESTIONS;
use burn::tensor::Device;
use serde_json::json;
use std::rc::Rc;

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
    /// SHA-256 of the two files.
    data_digest: Option<String>,
    validation_digest: Option<String>,
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
            data_digest: None,
            validation_digest: None,
            adapter: None,
        }
    }

    fn emit<'a>(&self, receiver: Receiver<'a>) -> Emit<'a> {
        Emit::new(receiver, self.host, self.control.clone())
    }

    /// The handle that works while a command is under way.
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// Serves one command; `files` travelled with it. What goes wrong becomes [`Event::Failed`].
    pub async fn handle(&mut self, command: Command, files: Vec<Source>, receiver: Receiver<'_>) {
        let emit = &mut self.emit(receiver);
        if let Err(error) = self.serve(command, files, emit).await {
            emit.event(Event::Failed(error));
        }
    }

    async fn serve(&mut self, command: Command, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
        match command {
            Command::Open { device } => self.open(device, emit).await,
            Command::LoadModel { name, config, .. } => {
                let base = config.as_deref().map(Base::from).unwrap_or_default();
                self.load_model(name, base, files, emit).await
            }
            Command::LoadData { .. } => {
                let (dataset, digest) = read_data(files).await?;
                emit.event(Event::Data(dataset.info()));
                (self.data, self.data_digest) = (Some(dataset), Some(digest));
                Ok(())
            }
            Command::LoadValidation { file } => {
                // What took its place and cannot be read leaves none, not the old one under a new name.
                (self.validation, self.validation_digest) = (None, None);
                if file.is_some() {
                    self.load_validation(files).await?;
                }
                let data = self.validation.as_ref().map(Dataset::info);
                emit.event(Event::Validation { data });
                Ok(())
            }
            Command::Preview { config } => {
                self.suit_model(&config, emit).await?;
                let loaded = self.model.as_ref().ok_or_else(no_model)?;
                let dataset = self.data.as_ref().ok_or_else(no_data)?;
                let shown = preview(loaded, dataset, self.validation.as_ref(), &config, emit).await?;
                emit.event(shown);
                Ok(())
            }
            Command::Predict { config, texts } => {
                let loaded = self.model.as_ref().ok_or_else(no_model)?;
                let answered = answer_typed(loaded, &config, &texts, emit).await?;
                emit.event(answered);
                Ok(())
            }
            Command::Estimate { config } => {
                let loaded = self.model.as_ref().ok_or_else(no_model)?;
                let device = loaded.model.device();
                let adapter = self.adapter.as_ref().map(|adapter| &adapter.config);
                let largest = device::largest_buffer_bytes(device);
                let memory = estimate(&loaded.files, &config, adapter, largest).await?;
                let available_bytes = device::available_bytes(device);
                emit.event(Event::Estimate {
                    memory,
                    available_bytes,
                });
                Ok(())
            }
            Command::Train { config, sample_prompt } => {
                let outcome = self.train(*config, sample_prompt, emit).await;
                self.control.end_run();
                outcome
            }
            // Commands are served one after the other, so nothing is under way; what is, hears of it by [`Control`].
            Command::Pause | Command::Resume | Command::Stop | Command::CancelGenerate => Ok(()),
            Command::Generate { .. } | Command::ExportAdapter => {
                let loaded = self.model.as_ref().ok_or_else(no_model)?;
                loaded.answer(command, self.host, &self.control, emit).await
            }
        }
    }

    async fn open(&mut self, choice: DeviceChoice, emit: &mut Emit<'_>) -> Result<()> {
        let opened = device::open(choice).await?;
        emit.event(Event::Device(opened.1.clone()));
        // What lives on another device is of no use any more.
        if self.device.as_ref().is_some_and(|old| old.1 != opened.1) {
            self.model = None;
        }
        self.device = Some(opened);
        Ok(())
    }

    async fn load_model(&mut self, name: String, base: Base, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
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
            emit.warn(message);
        }
        let model = self.read_model(&files, (false, base), 0, emit).await?;
        emit.event(Event::Model(model.info.clone()));
        let of_tokenizer = files.tokenizer.iter().flat_map(|tokenizer| tokenizer.notes());
        for message in model.notes.iter().chain(of_tokenizer).cloned() {
            emit.warn(message);
        }
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

    async fn read_model(
        &self,
        files: &ModelFiles,
        kind: (bool, Base),
        seed: u64,
        emit: &mut Emit<'_>,
    ) -> Result<Model> {
        let (device, _) = self
            .device
            .as_ref()
            .ok_or_else(|| Error::internal("no device is open"))?;
        let mut progress = |done, total| emit.progress(Stage::LoadModel, done, total);
        Model::load_base(files, kind, seed, device, &mut progress).await
    }

    /// Takes validation data that is in a file of its own (of images in the IDX format, two), for the next run.
    ///
    /// # Errors
    /// The file cannot be read or understood.
    pub async fn load_validation(&mut self, files: Vec<Source>) -> Result<()> {
        let (dataset, digest) = read_data(files).await?;
        (self.validation, self.validation_digest) = (Some(dataset), Some(digest));
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
    pub async fn load_adapter_files(&mut self, files: Vec<Source>, receiver: Receiver<'_>) -> Result<()> {
        let emit = &mut self.emit(receiver);
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
    pub async fn evaluate(&mut self, config: &RunConfig, receiver: Receiver<'_>) -> Result<EvalInfo> {
        let emit = &mut self.emit(receiver);
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let dataset = self.validation.as_ref().or(self.data.as_ref()).ok_or_else(no_data)?;
        let mut assignment = Assignment::of_head(config, loaded, dataset)?;
        assignment.tell_notes(emit);
        let mut examples = assignment.examples(loaded, dataset, config, false, emit).await?;
        assignment
            .refer(config, &loaded.model, &mut examples, self.host)
            .await?;
        check_numbers(&loaded.model, &examples, dataset)?;
        let mut held_out = assignment.held_out(examples, config, &loaded.model);
        held_out.ask(config, loaded, QUESTIONS)?;
        let stopped = || self.control.is_stopped();
        let scored = held_out
            .score(loaded, (&assignment, config), 0, self.host, &stopped, emit)
            .await?;
        let scored = scored.ok_or_else(|| Error::stopped("while the rows were scored"))?;
        Ok(scored.info)
    }

    /// What the loaded model, with its adapter if it has one, answers to each row of the data, and its score where the data
    /// has labels: then the worst errors come first. A model that continues texts writes its answers.
    ///
    /// # Errors
    /// Nothing loaded, a model without a trained head, data without the task's text.
    pub async fn predict(
        &mut self,
        config: &RunConfig,
        receiver: Receiver<'_>,
    ) -> Result<(Predictions, Option<EvalInfo>)> {
        let emit = &mut self.emit(receiver);
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let dataset = self.data.as_ref().ok_or_else(no_data)?;
        let mut assignment = Assignment::of_head(config, loaded, dataset)?;
        assignment.tell_notes(emit);
        let writes = assignment.task() == Task::Generation;
        let config = &RunConfig {
            predict_with_generate: writes,
            ..config.clone()
        };
        let mut examples = assignment.examples(loaded, dataset, config, true, emit).await?;
        assignment
            .refer(config, &loaded.model, &mut examples, self.host)
            .await?;
        check_numbers(&loaded.model, &examples, dataset)?;
        let right = assignment.knows_answers(dataset);
        let mut held_out = assignment.held_out(examples, config, &loaded.model);
        held_out.ask(config, loaded, usize::MAX)?;
        let stopped = || self.control.is_stopped();
        let (answers, info) = if right || writes {
            let scored = held_out
                .score(loaded, (&assignment, config), 0, self.host, &stopped, emit)
                .await?;
            let scored = scored.ok_or_else(|| Error::stopped("while the rows were scored"))?;
            if writes {
                let table = written_answers(&held_out.questions, &scored.texts.written);
                return Ok((table, Some(scored.info)));
            }
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
    async fn train(&mut self, config: RunConfig, sample_prompt: Option<String>, emit: &mut Emit<'_>) -> Result<()> {
        self.control.begin_run();
        let started_ms = (self.host.now_ms)();

        // What is to be done, then rows → examples → a seeded split.
        self.suit_model(&config, emit).await?;
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        let dataset = self.data.as_ref().ok_or_else(no_data)?;
        let mut assignment = Assignment::of_run(&config, loaded, dataset)?;
        let cut = loaded.model.limits().cutoff_note(config.cutoff_len);
        let cut = cut.filter(|_| assignment.shape.is_none());
        assignment.notes.extend(cut);
        assignment.tell_notes(emit);
        let conversational = dataset.form != data::Form::Text;
        let mut examples = assignment.examples(loaded, dataset, &config, false, emit).await?;
        examples.truncate(config.max_samples.unwrap_or(usize::MAX));
        let data_seed = config.data_seed.unwrap_or(config.seed);
        let mut held_out = match &self.validation {
            Some(validation) => assignment.examples(loaded, validation, &config, false, emit).await?,
            None => {
                let (train, held_out) = assignment.split(examples, config.val_size, data_seed)?;
                examples = train;
                held_out
            }
        };
        assignment.scale(&config, &mut examples, &mut held_out);

        // The model: its head, and a fresh adapter, a given one, or every weight.
        self.prepare_model(&config, &assignment, emit).await?;
        let fingerprint = self.fingerprint(&config, [&examples, &held_out]).await?;
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        let dataset = self.data.as_ref().ok_or_else(no_data)?;
        check_numbers(&loaded.model, &examples, dataset)?;
        let plan = config.plan(examples.len());
        let resume = self.resume.take();
        match &resume {
            Some(checkpoint) => {
                fingerprint.check(&checkpoint.fingerprint)?;
                if checkpoint.max_steps != plan.max_steps {
                    let message = format!(
                        "The run has {} steps now, and had {} when its checkpoint was written: from here on the learning rate \
                         follows the new length.",
                        plan.max_steps, checkpoint.max_steps
                    );
                    emit.warn(message);
                }
            }
            None if config.resume_from_checkpoint.is_some() => {
                let message =
                    "resume_from_checkpoint has no effect here: no checkpoint was opened, and the run starts anew.";
                emit.warn(message);
            }
            None => {}
        }
        assignment
            .refer(&config, &loaded.model, &mut examples, self.host)
            .await?;
        assignment
            .refer(&config, &loaded.model, &mut held_out, self.host)
            .await?;
        let mut held_out = HeldOut::new(held_out, &config, &loaded.model);
        held_out.ask(&config, loaded, QUESTIONS)?;

        // What can be had without training, from the weights that the run starts from.
        let stopped = || self.control.is_stopped();
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
            fingerprint,
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
        if let Some(checkpoint) = resume {
            run.resume(checkpoint)?;
        }
        let all_parameters = match run.config.finetuning_type {
            FinetuningType::Lora => run.loaded.model.info.parameters + run.loaded.model.parameters.weights(),
            FinetuningType::Full => run.loaded.model.info.parameters,
        };
        emit.event(Event::Started(RunInfo {
            max_steps: run.plan.max_steps,
            train_examples: run.examples.len(),
            eval_examples: run.held_out.examples.len(),
            trainable_parameters: run.loaded.model.parameters.weights(),
            all_parameters,
            task: run.assignment.task(),
            loss: run.assignment.objective.loss.to_string(),
        }));
        if !run.untuned.is_empty() {
            let scores = run.untuned.iter().map(|one| one.scores(run.assignment.task()));
            let scores = scores.collect();
            emit.event(Event::Baseline { scores });
        }

        // The untouched model first, then step after step. What was learnt is kept even where a step fails.
        let finished = run.train(emit).await?;
        let seconds = ((self.host.now_ms)() - started_ms) / 1000.0;
        emit.event(Event::Done(RunSummary { seconds, ..finished }));
        Ok(())
    }

    /// By what the checkpoints of a run on `rows`, the trained ones and those held out, know it again. It takes a look at the
    /// model's files, so it is made only where there are checkpoints.
    async fn fingerprint(&self, config: &RunConfig, rows: [&[Example]; 2]) -> Result<Fingerprint> {
        let mut fingerprint = Fingerprint::of(config);
        if self.sink.is_none() && self.resume.is_none() {
            return Ok(fingerprint);
        }
        let loaded = self.model.as_ref().ok_or_else(no_model)?;
        fingerprint.add_model(&loaded.files, &loaded.own.config).await?;
        if let Some(adapter) = &self.adapter {
            fingerprint.add_adapter(adapter)?;
        }
        fingerprint.add("train_file", self.data_digest.clone());
        fingerprint.add("validation_file", self.validation_digest.clone());
        fingerprint.add_rows(rows);
        Ok(fingerprint)
    }

    /// Has a small model whose inputs are open read what the data have: numbers, or texts byte by byte.
    async fn suit_model(&mut self, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
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
    async fn prepare_model(&mut self, config: &RunConfig, assignment: &Assignment, emit: &mut Emit<'_>) -> Result<()> {
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
            None => {
                let wanted = adapter_config(config, &loaded.model.info);
                loaded.model.check_adapter_names(&wanted)?;
                loaded.model.attach_lora(&wanted, config.seed)
            }
        }
    }

    /// Reads the loaded model's files again, with `config` for their config.json. The old model goes first, two may not fit.
    async fn read_again(
        &mut self,
        config: serde_json::Value,
        kind: (bool, Base),
        seed: u64,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        let Loaded {
            mut files,
            companions,
            own,
            ..
        } = self.model.take().ok_or_else(no_model)?;
        files.config = config;
        let model = self.read_model(&files, kind, seed, emit).await?;
        emit.event(Event::Model(model.info.clone()));
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

/// The data in a file, or in two of images, and the SHA-256 of what was read.
async fn read_data(files: Vec<Source>) -> Result<(Dataset, String)> {
    for file in &files {
        data::check_size(file.name(), file.len_bytes())?;
    }
    let read = async |file: &Source| store::read_all(file.as_ref(), data::MAX_FILE_BYTES).await;
    match files.as_slice() {
        [file] => {
            let bytes = read(file).await?;
            Ok((Dataset::parse(file.name(), &bytes)?, sha256(&bytes)))
        }
        [one, other] => {
            let (first, second) = (read(one).await?, read(other).await?);
            let digests = [sha256(&first), sha256(&second)].concat();
            let images = Dataset::parse_images((one.name(), &first), (other.name(), &second))?;
            Ok((images, sha256(digests.as_bytes())))
        }
        _ => {
            let what = format!(
                "the data is one file, or images with their labels, got {} files",
                files.len()
            );
            Err(Error::data(what).remedy("Give one file of rows, or two in the IDX format."))
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
