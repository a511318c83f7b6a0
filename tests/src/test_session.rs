//! A session that tests talk to: commands go in, and what was said is kept.

use crate::{golden::block_on, tiny};
use lorakeet_core::{
    Error, Result,
    config::RunConfig,
    data::{Dataset, Examples, Settings},
    host::{Control, Emit, Host},
    protocol::{
        Command, DeviceChoice, EvalInfo, Event, Metric, Picture, PictureRequest, Report, RunInfo, RunSummary, Stage,
        StepInfo,
    },
    session::Session,
    store::{MemoryFile, MemorySink, Source},
    tokenizer::Tokenizer,
    train::checkpoint::Checkpoint,
};
use std::collections::BTreeMap;

/// A host whose clock stands still, so that runs can be compared, and who has nobody to give way to.
pub const HOST: Host = Host {
    now_ms: || 0.0,
    yield_now: || Box::pin(std::future::ready(())),
};

/// The examples of a data set of texts.
///
/// # Errors
/// As [`lorakeet_core::data::examples`].
pub fn examples(data: &Dataset, tokenizer: &Tokenizer, settings: &Settings) -> Result<Examples> {
    let mut unheard = |_, _| ();
    let mut emit = Emit::new(&mut unheard, HOST, Control::default());
    let turns = &mut emit.turns(Stage::Tokenize);
    block_on(lorakeet_core::data::examples(data, tokenizer, None, settings, turns))
}

/// A session with model and data, and what it said so far.
pub struct TestSession {
    /// The engine's session.
    pub inner: Session,
    /// What interrupts it.
    pub control: Control,
    /// All events but progress.
    pub events: Vec<Event>,
    /// The files that it handed over.
    pub exported: BTreeMap<String, Vec<u8>>,
}

impl TestSession {
    /// A session on the CPU with the tiny model and its rows.
    pub fn open() -> Self {
        Self::with(DeviceChoice::Cpu, tiny::model_files(), tiny::data_file())
    }

    /// The same on a host of the test's own.
    pub fn open_on(host: Host) -> Self {
        Self::loaded(
            host,
            DeviceChoice::Cpu,
            ("", tiny::model_files()),
            vec![tiny::data_file()],
        )
    }

    /// A session with this model and this data.
    pub fn with(device: DeviceChoice, model: Vec<Source>, data: Source) -> Self {
        Self::loaded(HOST, device, ("", model), vec![data])
    }

    /// A session on the CPU with a small model that is known by its name, and this data.
    pub fn small(name: &str, data: Vec<Source>) -> Self {
        Self::loaded(HOST, DeviceChoice::Cpu, (name, Vec::new()), data)
    }

    /// A session with nothing loaded.
    pub fn empty() -> Self {
        Self::on(HOST)
    }

    fn on(host: Host) -> Self {
        let inner = Session::new(host);
        let control = inner.control();
        Self {
            inner,
            control,
            events: Vec::new(),
            exported: BTreeMap::new(),
        }
    }

    fn loaded(host: Host, device: DeviceChoice, (name, model): (&str, Vec<Source>), data: Vec<Source>) -> Self {
        let mut session = Self::on(host);
        session.ask(Command::Open { device }, Vec::new());
        let (files, name) = (Vec::new(), name.to_owned());
        session.ask(
            Command::LoadModel {
                files,
                name,
                config: None,
            },
            model,
        );
        let file = data.first().map(|file| file.name().to_owned()).unwrap_or_default();
        session.ask(Command::LoadData { file }, data);
        session
    }

    /// Has a command served.
    pub fn ask(&mut self, command: Command, files: Vec<Source>) {
        self.ask_and(command, files, &mut |_, _| ());
    }

    /// `watch` sees each event as it comes, with the handle that interrupts.
    pub fn ask_and(&mut self, command: Command, files: Vec<Source>, watch: &mut dyn FnMut(&Event, &Control)) {
        let Self {
            inner,
            control,
            events,
            exported,
        } = self;
        block_on(inner.handle(command, files, &mut |event, bytes| {
            watch(&event, control);
            if let (Event::File { name, .. } | Event::CheckpointFile { name, .. }, Some(bytes)) = (&event, bytes) {
                exported.insert(name.clone(), bytes);
            }
            if !matches!(event, Event::Progress { .. }) {
                events.push(event);
            }
        }));
    }

    /// Trains, and has `say a` continued on the way.
    pub fn train(&mut self, config: RunConfig) {
        self.train_watching(config, Vec::new());
    }

    /// The same with pictures drawn on the way.
    pub fn train_watching(&mut self, config: RunConfig, watch: Vec<PictureRequest>) {
        let command = Command::Train {
            config: Box::new(config),
            sample_prompt: Some("say a".into()),
            watch,
            keep: None,
        };
        self.ask(command, Vec::new());
    }

    /// A picture of the model as it is.
    ///
    /// # Panics
    /// If it was refused.
    pub fn picture(&mut self, request: PictureRequest) -> Picture {
        self.ask(Command::Picture { id: 5, request }, Vec::new());
        match self.events.last() {
            Some(Event::Picture {
                id: Some(5),
                step: None,
                picture,
            }) => picture.clone(),
            other => panic!("it was not drawn: {other:?}"),
        }
    }

    /// The pictures that a run drew unasked, with their steps.
    pub fn watched(&self) -> Vec<(usize, Picture)> {
        let drawn = self.events.iter().filter_map(|event| match event {
            Event::Picture {
                id: None,
                step: Some(step),
                picture,
            } => Some((*step, picture.clone())),
            _ => None,
        });
        drawn.collect()
    }

    /// The steps reported so far.
    pub fn steps(&self) -> Vec<StepInfo> {
        let steps = self.events.iter().filter_map(|event| match event {
            Event::Step(step) => Some(step.clone()),
            _ => None,
        });
        steps.collect()
    }

    /// What must be the same whenever a run is repeated: losses, rates and norms, to the bit.
    pub fn numbers(&self) -> Vec<(usize, u64, u64, u64)> {
        let bits = |step: StepInfo| {
            (
                step.step,
                step.loss.to_bits(),
                step.learning_rate.to_bits(),
                step.grad_norm.to_bits(),
            )
        };
        self.steps().into_iter().map(bits).collect()
    }

    /// The scores so far.
    pub fn evals(&self) -> Vec<EvalInfo> {
        let evals = self.events.iter().filter_map(|event| match event {
            Event::Eval(eval) => Some(eval.clone()),
            _ => None,
        });
        evals.collect()
    }

    /// How the last run ended.
    ///
    /// # Panics
    /// If it did not end well.
    pub fn summary(&self) -> RunSummary {
        match self.events.last() {
            Some(Event::Done(summary)) => summary.clone(),
            other => panic!("the run did not end well: {other:?}"),
        }
    }
}

/// The last of what was said that `of` takes.
///
/// # Panics
/// If there is none.
pub fn find<T>(session: &TestSession, of: impl Fn(&Event) -> Option<T>) -> T {
    let found = session.events.iter().rev().find_map(of);
    found.unwrap_or_else(|| panic!("it was not said: {:?}", session.events.last()))
}

/// What the last command was refused with.
///
/// # Panics
/// If it was not refused.
pub fn failure(session: &TestSession) -> Error {
    match session.events.last() {
        Some(Event::Failed(error)) => error.clone(),
        other => panic!("it should have been refused: {other:?}"),
    }
}

/// The checkpoint that a run left at a step.
///
/// # Panics
/// If there is none.
pub fn checkpoint(sink: &MemorySink, step: usize) -> Checkpoint {
    let folder = format!("checkpoint-{step}/");
    let files = sink.files();
    let saved = files.iter().filter_map(|(path, bytes)| {
        let name = path.strip_prefix(&folder)?;
        Some(MemoryFile::source(name, bytes.clone()))
    });
    block_on(Checkpoint::open(&saved.collect::<Vec<_>>())).expect("a checkpoint")
}

/// What the last run came to.
///
/// # Panics
/// If it came to nothing.
pub fn report(session: &TestSession) -> Report {
    find(session, |event| match event {
        Event::Report(report) => Some(report.as_ref().clone()),
        _ => None,
    })
}

/// How the last run began.
///
/// # Panics
/// If none did.
pub fn started(session: &TestSession) -> RunInfo {
    find(session, |event| match event {
        Event::Started(info) => Some(info.clone()),
        _ => None,
    })
}

/// A metric of a score by its name.
///
/// # Panics
/// If the score lacks it.
pub fn metric(eval: &EvalInfo, name: &str) -> f64 {
    value(&eval.metrics, name)
}

/// A metric by its name.
///
/// # Panics
/// If it is not among them.
pub fn value(metrics: &[Metric], name: &str) -> f64 {
    let found = metrics.iter().find(|metric| metric.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {metrics:?}")).value
}
