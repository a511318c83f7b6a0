//! What a front end talks to: commands come in, events go out. [`Session`] keeps what is loaded from one command to the next;
//! a run itself is `finetune.rs`.

pub mod audit;
mod cut;
mod export;
mod facts;
mod files;
mod find_rate;
mod history;
mod hub;
mod opened;
mod predict;
mod prepared;
mod preview;
mod reading;
mod runs;
mod score_file;
mod sweeps;

pub use predict::References;

use crate::config::{RunConfig, find};
use crate::data::audit::Reading;
use crate::data::{self, Columns, Data};
use crate::device;
use crate::error::{Error, Kind, Result};
use crate::estimate::LastPace;
use crate::finetune::{Job, finetune};
use crate::formats::{ModelFiles, peft::Adapter};
use crate::head_spec::HeadRecord;
use crate::host::{Control, Emit, Host, Receiver};
use crate::hub::{Fetch, Origin};
use crate::loaded_model::{
    LoadedModel, PretrainedHead, Weights, companions, fit_inputs_to_data, has_unset_sizes, loaded, no_model,
    read_again, read_weights,
};
use crate::models::small;
use crate::pictures::{self, Scene};
use crate::probe::probe;
use crate::protocol::{Command, DeviceChoice, DeviceInfo, Event, Keep, KnobInfo, PictureRequest, Probe, RunRecord};
use crate::quant::BaseFormat;
use crate::store::{self, Shelf, Sink, Source};
use crate::train::checkpoint::Checkpoint;
use crate::train::fingerprint::MOST_WHOLE_BYTES;
use crate::train::record::{Heard, RecordFile};
use burn::tensor::Device;
use lorakeet_i18n::messages::run as msg;
use lorakeet_i18n::{Language, Message};
use runs::KeptRun;
use serde_json::json;
use std::cell::RefCell;
use std::rc::Rc;

/// Half a minute of training is the most that an interruption costs.
const SAVE_INTERVAL_MS: f64 = 30_000.0;

/// The longest config.json that is read.
const MOST_CONFIG_BYTES: u64 = 16 << 20;

/// What is loaded, from one command to the next.
pub struct Session {
    /// Place for checkpoints and results; without one they stay in memory.
    pub sink: Option<Rc<dyn Sink>>,
    /// What is written down of the next run, as `run.json` in [`Session::sink`].
    pub record: Option<RunRecord>,
    /// Where the next run goes on from.
    pub resume: Option<Checkpoint>,
    /// Place for runs that outlive the program, of front ends that ask for them ([`Command::Runs`]).
    pub shelf: Option<Rc<dyn Shelf>>,
    /// The network, for models from a hub ([`Command::Hub`]).
    pub fetch: Option<Rc<dyn Fetch>>,
    /// Milliseconds between two checkpoints of a run that is kept there.
    pub save_interval_ms: f64,
    /// Of how large a model every weight is looked at when a run is to be known again; of a larger one it is a sample. In a browser
    /// that is a gigabyte, natively any.
    pub most_whole_bytes: u64,
    /// Whether the front end asks for checkpoints of runs that are kept nowhere ([`Command::HandOver`]): such a run looks at what
    /// it reads, so that it is known again.
    pub hands_over: bool,
    host: Host,
    control: Control,
    device: Option<(Device, DeviceInfo)>,
    /// What was measured on it.
    probe: Option<Probe>,
    model: Option<LoadedModel>,
    data: Option<Data>,
    validation: Option<Data>,
    adapter: Option<Adapter>,
    inputs: Inputs,
    /// How data files are read that are still to come, where [`Command::ReadAs`] said it.
    reading: Reading,
    /// Where the model comes from, where that is a hub.
    origin: Option<Origin>,
    /// The run that the model's weights come from.
    trained: Option<export::LastRun>,
    /// What advice knows of the rows.
    measured: Option<facts::Measured>,
    /// What the last run on the model and the device took.
    pace: Option<LastPace>,
    /// Models that were fetched where there is no shelf.
    in_memory: Vec<hub::InMemory>,
    /// The sweep under way.
    held: Option<sweeps::Held>,
}

/// The files that model, data and adapter were read from.
#[derive(Default)]
struct Inputs {
    model: Vec<Source>,
    data: Vec<Source>,
    validation: Vec<Source>,
    adapter: Vec<Source>,
    /// SHA-256 of those that were copied.
    digests: RefCell<Vec<(Source, String)>>,
}

impl Session {
    /// A session with nothing loaded.
    pub fn new(host: Host) -> Self {
        Self {
            sink: None,
            record: None,
            resume: None,
            shelf: None,
            fetch: None,
            origin: None,
            trained: None,
            measured: None,
            pace: None,
            in_memory: Vec::new(),
            held: None,
            save_interval_ms: SAVE_INTERVAL_MS,
            most_whole_bytes: MOST_WHOLE_BYTES,
            hands_over: false,
            inputs: Inputs::default(),
            reading: Reading::default(),
            host,
            control: Control::default(),
            device: None,
            probe: None,
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

    fn emit<'a>(&self, receiver: Receiver<'a>) -> Emit<'a> {
        Emit::new(receiver, self.host, self.control.clone())
    }

    /// Serves one command; `files` travelled with it. What goes wrong becomes [`Event::Failed`].
    pub async fn handle(&mut self, command: Command, files: Vec<Source>, receiver: Receiver<'_>) {
        let emit = &mut self.emit(receiver);
        if let Err(error) = self.serve(command, files, emit).await {
            emit.event(Event::Failed(error));
        }
        if let Some((device, _)) = &self.device {
            device::trim(device);
        }
    }

    async fn serve(&mut self, command: Command, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
        match command {
            Command::Open { device } => self.open(device, emit).await,
            Command::Probe => self.measure(emit).await,
            Command::LoadModel { name, config, .. } => {
                let base = config.as_deref().map(BaseFormat::from).unwrap_or_default();
                self.load_model(name, base, files, emit).await?;
                if let Some((model, config)) = self.model.as_mut().zip(config) {
                    model.lay_out_by(&config);
                }
                Ok(())
            }
            Command::LoadData { .. } => {
                self.load_data(files).await?;
                emit.event(Event::Data(self.data.as_ref().ok_or_else(no_data)?.rows.info()));
                Ok(())
            }
            Command::LoadValidation { file } => {
                // What took its place and cannot be read leaves none, not the old one under a new name.
                self.validation = None;
                self.inputs.validation = files.clone();
                if file.is_some()
                    && let Err(error) = self.load_validation(files).await
                {
                    // No audit is to look at what no run scores on.
                    self.inputs.validation.clear();
                    return Err(error);
                }
                let data = self.validation.as_ref().map(|data| data.rows.info());
                emit.event(Event::Validation { data });
                Ok(())
            }
            Command::ReadAs { config } => {
                self.reading = Reading::of(&config);
                Ok(())
            }
            Command::Preview { config, after } => {
                loaded(&self.model)?;
                self.read_as(&config, emit).await?;
                let data = self.data.as_ref().ok_or_else(no_data)?;
                fit_inputs_to_data(&mut self.model, &data.rows, &config, emit).await?;
                let validation = self.validation.as_ref().map(|data| &data.rows);
                let shown =
                    preview::preview(loaded(&self.model)?, (&data.rows, after), validation, &config, emit).await?;
                emit.event(shown);
                Ok(())
            }
            Command::Predict {
                config,
                texts,
                strength,
            } => predict::answer_texts(&mut self.model, &config, (&texts[..], strength), emit).await,
            Command::Files(command) => self.serve_files(command, files, emit).await,
            Command::WriteReport(request) => export::write_report(&request, emit),
            Command::ScoreFile { .. } => self.score_file(files, emit).await,
            Command::Audit { config } => self.answer_audit(&config, files, emit).await,
            Command::KeptRows { config } => self.hand_over_kept_rows(&config, emit).await,
            Command::Estimate { config } => self.estimate(&config, emit).await,
            Command::Advise { config } => self.answer_advice(&config, emit).await,
            Command::FindRate { config } => self.answer_rate(&config, emit).await,
            Command::Train {
                config,
                sample_prompt,
                watch,
                keep,
            } => {
                let outcome = self.train(*config, (sample_prompt, watch), keep, files, emit).await;
                self.control.end_run();
                self.answer_left_over(emit).await;
                outcome
            }
            Command::Runs => self.tell_runs(emit).await,
            Command::ForgetRun { id } => {
                if let Some(shelf) = &self.shelf {
                    runs::forget(shelf, id.as_deref()).await?;
                    if id.is_none() {
                        sweeps::forget_all(shelf).await?;
                    }
                }
                self.tell_runs(emit).await
            }
            Command::ForgetCopy { copy } => {
                if let Some(shelf) = &self.shelf {
                    runs::forget_copy(shelf, &copy).await?;
                }
                self.tell_runs(emit).await
            }
            Command::LabelRun { id, labels } => self.label_run(&id, labels, emit).await,
            Command::RunCurves { ids } => self.tell_curves(ids, emit).await,
            Command::OpenRun { id, weights } => self.open_run(&id, weights, emit).await,
            Command::Sweep(command) => self.serve_sweep(command, emit).await,
            Command::Hub(command) => self.serve_hub(command, emit).await,
            Command::Export(command) => self.serve_export(command, files, emit).await,
            // Commands are served one after the other, so nothing is under way; what is, hears of it by [`Control`].
            Command::Pause
            | Command::Resume
            | Command::Stop
            | Command::CancelGenerate
            | Command::SaveRun
            | Command::HandOver => Ok(()),
            Command::Generate { .. } | Command::ExportAdapter => loaded(&self.model)?.answer(command, emit).await,
            Command::Knobs { names, language } => {
                let language = Language::from_tag(&language);
                let knobs = names.iter().filter_map(|name| find(name));
                let knobs = knobs.map(|knob| KnobInfo::new(knob, language)).collect();
                emit.event(Event::Knobs { knobs });
                Ok(())
            }
            Command::Picture { id, request } => self.draw(id, &request, emit).await,
        }
    }

    async fn open(&mut self, choice: DeviceChoice, emit: &mut Emit<'_>) -> Result<()> {
        let opened = device::open(choice).await?;
        emit.event(Event::Device(opened.1.clone()));
        // What lives on another device is of no use any more.
        if self.device.as_ref().is_some_and(|old| old.1 != opened.1) {
            self.model = None;
            self.probe = None;
        }
        self.device = Some(opened);
        Ok(())
    }

    /// Opens the best device, unless one is open.
    async fn open_any(&mut self, emit: &mut Emit<'_>) -> Result<&Device> {
        if self.device.is_none() {
            self.open(DeviceChoice::Auto, emit).await?;
        }
        let (device, _) = self.device.as_ref().ok_or_else(|| Error::internal(msg::NoDevice))?;
        Ok(device)
    }

    async fn measure(&mut self, emit: &mut Emit<'_>) -> Result<()> {
        let host = self.host;
        let device = self.open_any(emit).await?;
        let measured = probe(device, &host).await?;
        crate::estimate::expect_rate(device, &measured);
        self.probe = Some(measured);
        emit.event(Event::Probe(measured));
        Ok(())
    }

    async fn load_model(
        &mut self,
        name: String,
        base: BaseFormat,
        files: Vec<Source>,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        let device = self.open_any(emit).await?.clone();
        // The old model goes first: two may not fit.
        self.model = None;
        (self.trained, self.measured) = (None, None);
        (self.origin, self.pace) = (None, None);
        self.inputs.model = files.clone();
        self.inputs.adapter.clear();
        device::release(&device);
        let companions = companions(&files);
        let mut files = match files.is_empty() && crate::config::SMALL_MODELS.contains(&name.as_str()) {
            true => ModelFiles::from_config(name.as_str(), json!({ "model_type": name })),
            false => ModelFiles::open(files).await?,
        };
        if !name.is_empty() {
            files.name = name;
        }
        let own = files.config.clone();
        if has_unset_sizes(&files) {
            small::fit(&mut files.config, &RunConfig::default(), None)?;
        }
        if files.entries().is_empty() {
            emit.warn(msg::FreshWeights);
        }
        let weights = Weights {
            full: false,
            base,
            seed: 0,
        };
        let model = read_weights(&files, weights, &device, emit).await?;
        emit.event(Event::Model(model.info.clone()));
        let of_tokenizer = files.tokenizer.iter().flat_map(|tokenizer| tokenizer.notes());
        emit.warn_all(model.notes.iter().chain(of_tokenizer).cloned());
        self.adapter = None;
        self.model = Some(LoadedModel {
            head: PretrainedHead::of(&model, &own)?,
            files,
            model,
            full: weights.full,
            base,
            companions,
            digest: RefCell::default(),
        });
        Ok(())
    }

    /// Puts a saved adapter on the loaded model; the next LoRA run goes on from it.
    ///
    /// # Errors
    /// No model is loaded, or the adapter does not fit it.
    pub fn load_adapter(&mut self, adapter: Adapter) -> Result<()> {
        let loaded = self.model.as_mut().ok_or_else(no_model)?;
        loaded.model.load_adapter(&adapter)?;
        self.trained = None;
        self.adapter = Some(adapter);
        Ok(())
    }

    /// The same from an adapter's files, of PEFT, llama.cpp or mlx-lm, among them config.json where the adapter brings a head of its
    /// own: the model is then read again with that head.
    ///
    /// # Errors
    /// As [`Session::load_adapter`]; files that cannot be read.
    pub async fn load_adapter_files(&mut self, files: Vec<Source>, receiver: Receiver<'_>) -> Result<()> {
        let emit = &mut self.emit(receiver);
        self.put_on(files, emit).await
    }

    async fn put_on(&mut self, files: Vec<Source>, emit: &mut Emit<'_>) -> Result<()> {
        let config = files.iter().find(|file| file.name() == "config.json");
        let config = match config {
            Some(file) => {
                let bytes = store::read_all(file.as_ref(), MOST_CONFIG_BYTES).await?;
                let broken =
                    |error: serde_json::Error| Error::format(Message::verbatim(error.to_string())).file("config.json");
                Some(serde_json::from_slice::<serde_json::Value>(&bytes).map_err(broken)?)
            }
            None => None,
        };
        let adapter = loaded(&self.model)?.files.open_adapter(files).await?;
        if let Some(config) = config
            && HeadRecord::is_in(&config)
        {
            let loaded = self.model.as_mut().ok_or_else(no_model)?;
            loaded.head = loaded.head.with(&config)?;
            let weights = Weights {
                full: loaded.full,
                base: loaded.base,
                seed: 0,
            };
            let wanted = loaded.head.config.clone();
            read_again(&mut self.model, (wanted, None), weights, emit).await?;
        }
        self.load_adapter(adapter)
    }

    /// Answers what was asked for while a run ended.
    async fn answer_left_over(&self, emit: &mut Emit<'_>) {
        while let Some(command) = self.control.next_request() {
            let answered = match (command, loaded(&self.model)) {
                // Of a run that has ended, all that it came to is written.
                (Command::SaveRun | Command::HandOver, _) => Ok(()),
                (_, Err(error)) => Err(error),
                (Command::Picture { id, request }, Ok(_)) => self.draw(id, &request, emit).await,
                (command, Ok(model)) => model.answer(command, emit).await,
            };
            if let Err(error) = answered {
                emit.event(Event::Failed(error));
            }
        }
    }

    /// A picture of the model outside of a run. Units are drawn over the range of the loaded data.
    async fn draw(&self, id: u32, request: &PictureRequest, emit: &mut Emit<'_>) -> Result<()> {
        let model = loaded(&self.model)?;
        let rows = || {
            let (head, data) = (model.current_head().ok()?, &self.data.as_ref()?.rows);
            let columns = head.columns(Columns::default(), data);
            data::numeric_examples(&data.numeric(&columns).ok()?, None).ok()
        };
        let examples = match (request, model.model.input_features()) {
            (PictureRequest::Units { .. }, Some(inputs)) => {
                rows().filter(|rows| rows.iter().all(|row| row.features.len() == inputs))
            }
            _ => None,
        };
        let scene = Scene {
            examples: examples.as_deref().unwrap_or_default(),
            run: None,
            host: emit.host,
        };
        let picture = pictures::draw(request, model, &scene).await?;
        emit.event(Event::Picture {
            id: Some(id),
            step: None,
            picture,
        });
        Ok(())
    }

    async fn train(
        &mut self,
        config: RunConfig,
        (sample_prompt, watch): (Option<String>, Vec<PictureRequest>),
        keep: Option<Keep>,
        checkpoint: Vec<Source>,
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        self.control.begin_run();
        loaded(&self.model)?;
        let heard = Heard::default();
        let (host, control) = (emit.host, emit.control.clone());
        let mut listen = |event: Event, bytes| {
            heard.take(&event);
            emit.pass_on(event, bytes);
        };
        let emit = &mut Emit::new(&mut listen, host, control);
        self.read_as(&config, emit).await?;
        self.trained = None;
        if !checkpoint.is_empty() {
            self.resume = Some(Checkpoint::open(&checkpoint).await?);
        }
        let kept = match keep {
            Some(keep) => self.keep(keep, &config, emit).await?,
            None => None,
        };
        let sink = match &kept {
            Some(run) => Some(run.sink.clone() as Rc<dyn Sink>),
            None => self.sink.clone(),
        };
        let record = match (&kept, self.record.take().zip(sink.clone())) {
            (Some(run), _) => Some(run.file.clone()),
            (None, of_sink) => of_sink.map(|(record, sink)| Rc::new(RecordFile::new(sink, record))),
        };
        if let Some(record) = &record {
            heard.is_of(record.clone());
        }
        let free_bytes = match &kept {
            Some(run) => run.free_bytes().await,
            None => None,
        };
        let job = Job {
            config: &config,
            model: &mut self.model,
            data: self.data.as_ref().ok_or_else(no_data)?,
            validation: self.validation.as_ref(),
            adapter: self.adapter.as_ref(),
            sample_prompt,
            watch,
            sink,
            record: record.clone(),
            save_interval_ms: kept.as_ref().map(|_| self.save_interval_ms),
            free_bytes,
            most_whole_bytes: self.most_whole_bytes,
            hands_over: self.hands_over,
            resume: &mut self.resume,
        };
        let outcome = finetune(job, emit).await;
        if let Some(pace) = outcome.as_ref().ok().and_then(|finished| finished.pace) {
            self.keep_pace(pace, &config).await;
        }
        let outcome = outcome.map(|finished| {
            let data = [self.data.as_ref(), self.validation.as_ref()];
            self.trained = Some(export::LastRun::new(&config, &finished, export::digests(data)));
            heard.outcome.borrow_mut().kept = finished.kept;
            finished.summary
        });
        let written = match (&record, &outcome) {
            (Some(record), Ok(_)) => record.write_outcome(heard.outcome.take()).await,
            _ => Ok(()),
        };
        let ended = match (kept, record) {
            (Some(run), _) => run.end(&outcome).await,
            (None, Some(record)) => record.end(&outcome).await,
            (None, None) => Ok(()),
        };
        // What refuses the one refuses the other: it is said once.
        if let Err(error) = written.and(ended) {
            emit.warn(error.message());
        }
        emit.event(Event::Done(outcome?));
        Ok(())
    }

    /// Opens the folder of a run that is kept. A new one that cannot be kept trains all the same, and it is said so; one that is to
    /// go on and has nothing to go on from says that it starts anew before it does.
    async fn keep(&mut self, keep: Keep, config: &RunConfig, emit: &mut Emit<'_>) -> Result<Option<KeptRun>> {
        let Some(shelf) = self.shelf.clone() else {
            match keep {
                Keep::New(_) => emit.warn(msg::NoStore),
                Keep::GoOn(_) => emit.warn(msg::NoStoreToGoOn),
                Keep::GoBack { .. } => {
                    let learning_rate = format!("{:e}", config.learning_rate);
                    let error = Error::config(msg::NoStoreToGoBack);
                    return Err(error.remedy(msg::StartWithLowerRate { learning_rate }));
                }
            }
            return Ok(None);
        };
        let is_new = matches!(keep, Keep::New(_));
        match KeptRun::open(&shelf, keep, config, &self.inputs, emit).await {
            Ok((run, checkpoint)) => {
                if !is_new && checkpoint.is_none() {
                    emit.warn(msg::StartsAnew);
                }
                self.resume = checkpoint;
                Ok(Some(run))
            }
            Err(error) if is_new && error.kind == Kind::File => {
                let why = error.message();
                emit.warn(msg::NotKept { why });
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn tell_runs(&self, emit: &mut Emit<'_>) -> Result<()> {
        let (runs, is_partial, copies) = match &self.shelf {
            Some(shelf) => {
                let (runs, is_partial) = runs::list(shelf, emit).await?;
                let copies = runs::copies(shelf, &runs).await?;
                (runs, is_partial, copies)
            }
            None => Default::default(),
        };
        let has_store = self.shelf.is_some();
        emit.event(Event::Runs {
            runs,
            copies,
            has_store,
            is_partial,
        });
        Ok(())
    }
}

fn no_data() -> Error {
    Error::config(msg::NoData).remedy(msg::LoadData)
}
