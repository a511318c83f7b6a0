//! What each subcommand does: paths become commands to a [`Session`], its events go to the screen and the log.

use crate::advise;
use crate::ask;
use crate::audit;
use crate::baselines;
use crate::cluster;
use crate::compare;
use crate::convert;
use crate::data_sets;
use crate::devices;
use crate::export;
use crate::find_rate;
use crate::hub::{self, Located};
use crate::inspect;
use crate::interrupt::on_interrupt;
use crate::json;
use crate::log::{Log, cannot_read};
use crate::report;
use crate::runs;
use crate::screen::{Screen, count, hand_out, hand_out_json, size};
use crate::sweep;
use crate::train;
use crate::{Action, Check, Cli, Exported, Info, RunFile};
use lorakeet_core::config::{FinetuningType, Resolved, RunConfig, SMALL_MODELS, Source as From, named};
use lorakeet_core::data::{self, Choice, labels_of};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::estimate::estimate_with_work;
use lorakeet_core::export::Form;
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::formats::sentence::module_files;
use lorakeet_core::host::{Control, Host};
use lorakeet_core::models::notes;
use lorakeet_core::protocol::{Command, DeviceChoice, Event};
use lorakeet_core::session::Session;
use lorakeet_core::store::{DiskFile, MemoryFile, Source};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::command as msg;
use std::collections::BTreeMap;
use std::fs;
use std::future::Future;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

/// Status of a process that was interrupted: 128 + SIGINT.
pub const INTERRUPTED: u8 = 130;

/// Runs one subcommand.
pub fn run(cli: Cli) -> Result<ExitCode> {
    let mut events = EventSink::new(Screen::new(cli.json));
    let device = cli.device.into();
    match cli.command {
        Action::Train(train) => block_on(train::run(train, device, &mut events)),
        Action::Check(wish) => check(wish),
        Action::Advise(wish) => block_on(advise::run(wish, device, &mut events)),
        Action::Baselines(wish) => block_on(baselines::run(wish, device, &mut events)),
        Action::FindRate(wish) => block_on(find_rate::run(wish, device, &mut events)),
        Action::Audit(wish) => block_on(audit::run(wish, cli.json, &mut |event| events.take(event))),
        Action::Eval(eval) => block_on(ask::score(eval, device, &mut events)),
        Action::Predict(predict) => block_on(ask::answer(predict, device, &mut events)),
        Action::Generate(generate) => block_on(ask::write_text(generate, device, &mut events)),
        Action::Export(wish) => match Exported::from(wish.to) {
            Exported::Weights(form) => {
                let wish = export::Wish::of_run(wish.run, form, wish.target);
                block_on(export::run(wish, (device, cli.json), &mut |event| events.take(event)))
            }
            Exported::Script => block_on(cluster::write_script(wish, (device, cli.json), &mut events)),
            Exported::RunFile(trainer) => block_on(cluster::write_run_file(wish, trainer, cli.json)),
        },
        Action::Merge(wish) => {
            let wish = export::Wish::of_run(wish.run, Form::Merged, wish.target);
            block_on(export::run(wish, (device, cli.json), &mut |event| events.take(event)))
        }
        Action::Quantize(wish) => {
            let to = (device, cli.json);
            block_on(convert::quantize(wish, to, &mut |event| events.take(event)))
        }
        Action::Convert(wish) => {
            let to = (device, cli.json);
            block_on(convert::convert(wish, to, &mut |event| events.take(event)))
        }
        Action::Runs { folder } => block_on(runs::list(&folder, cli.json)),
        Action::Show { run } => block_on(runs::show(&run, cli.json)),
        Action::Report(wish) => block_on(report::run(wish, cli.json)),
        Action::Sweep(wish) => block_on(sweep::run(wish, device, &mut events)),
        Action::Compare { runs } => block_on(compare::run(&runs, cli.json)),
        Action::Info(task) => block_on(info(task, device, &mut events)),
        Action::Inspect(wish) => block_on(inspect::run(wish, cli.json, &mut |event| events.take(event))),
        Action::Diff(wish) => block_on(inspect::diff(wish, cli.json, &mut |event| events.take(event))),
        Action::Devices { no_probe } => block_on(devices::list(device, !no_probe, cli.json)),
    }
}

/// Who looks at every event.
pub type Watch = Box<dyn FnMut(&Event)>;

/// Where events arrive.
pub struct EventSink {
    pub screen: Screen,
    pub log: Option<Log>,
    /// Notes from before there was a log.
    pub early: Vec<Event>,
    /// Who else hears of them.
    pub watch: Option<Watch>,
}

impl EventSink {
    /// Without a log and without anyone else who hears.
    pub fn new(screen: Screen) -> Self {
        Self {
            screen,
            log: None,
            early: Vec::new(),
            watch: None,
        }
    }

    /// Whether standard output has JSON.
    pub fn is_json(&self) -> bool {
        self.screen.is_json()
    }

    pub fn take(&mut self, event: &Event) {
        match &mut self.log {
            Some(log) => log.add(event),
            None if matches!(event, Event::Warning { .. }) => self.early.push(event.clone()),
            None => {}
        }
        if let Some(watch) = &mut self.watch {
            watch(event);
        }
        self.screen.show(event);
    }

    /// Has `session` serve a command; the first failure is an error.
    pub async fn ask(&mut self, session: &mut Session, command: Command, files: Vec<Source>) -> Result<()> {
        session.handle(command, files, &mut |event, _| self.take(&event)).await;
        self.screen.failed.take().map_or(Ok(()), Err)
    }
}

fn check(wish: Check) -> Result<ExitCode> {
    let Check { run, set, explain } = wish;
    if let Some(name) = explain {
        hand_out(&named(&name)?.explain())?;
        return Ok(ExitCode::SUCCESS);
    }
    let resolved = resolve(&RunFile {
        // Without a knob to explain, the arguments have a file.
        run: run.unwrap_or_default(),
        set,
    })?;
    hand_out(&resolved.explain())?;
    resolved.config.require_paths()?;
    Ok(ExitCode::SUCCESS)
}

async fn info(task: Info, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let config = resolve_any(task.run, task.set)?.config;
    let found = hub::located(&task.model, &Control::default(), &mut |event| events.take(event)).await?;
    let mut files = ModelFiles::open_path(&found.path).await?;
    if found.path != task.model {
        files.name = found.name;
    }
    // A model that cannot be trained is described all the same.
    let (memory, work) = match estimate_with_work(&files, &config, None, u64::MAX).await {
        Ok((memory, work)) => (Ok(memory), work),
        Err(error) => (Err(error), None),
    };
    // Nothing is measured for a run that is not known.
    let timed = match work.filter(|_| task.time) {
        Some(work) => Some(devices::time(device, &work).await?),
        None => None,
    };
    let notes = notes(&files).await.unwrap_or_default();
    let weights: u64 = files.entries().iter().map(|entry| entry.elements() as u64).sum();
    let mut formats: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in files.entries() {
        *formats.entry(entry.storage.name()).or_default() += entry.bytes;
    }
    let stored: u64 = formats.values().sum();
    let key = |key: &str| files.config.get(key).filter(|value| !value.is_null()).cloned();
    if events.screen.is_json() {
        let value = serde_json::json!({
            "name": files.name, "config": files.config, "parameters": weights, "formats": formats,
            "file_bytes": stored, "memory": memory.ok(), "notes": notes,
            "tokenizer": files.tokenizer.is_some(), "chat_template": files.chat_template.is_some(), "time": timed,
        });
        hand_out_json(&json::line(&value).map_err(unwritable)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name:<26}{value}\n"));
    line("name", files.name.clone());
    for name in [
        "model_type",
        "num_hidden_layers",
        "n_layer",
        "hidden_size",
        "n_embd",
        "intermediate_size",
        "num_attention_heads",
        "n_head",
        "num_key_value_heads",
        "vocab_size",
        "max_position_embeddings",
        "n_positions",
        "tie_word_embeddings",
    ] {
        if let Some(value) = key(name) {
            line(name, value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
    }
    line("parameters", count(weights));
    for (format, bytes) in &formats {
        line(&format!("stored as {format}"), size(*bytes));
    }
    match memory {
        Ok(memory) => {
            let per_parameter = memory.bytes_per_parameter();
            line(
                "base on the device",
                format!("{} ({per_parameter:.2} bytes a parameter)", size(memory.base_bytes)),
            );
            let kind = match config.finetuning_type {
                FinetuningType::Full => "all weights trained".to_owned(),
                FinetuningType::Lora => format!("rank {}", config.lora_r),
            };
            let (rows, tokens) = (config.per_device_train_batch_size, config.cutoff_len);
            line(
                "a run at its peak",
                match memory.peak_bytes.map(size) {
                    Some(peak) => format!("about {peak}, with {rows} rows of {tokens} tokens at a time, {kind}"),
                    None => "not known for this run".to_owned(),
                },
            );
            for (part, bytes) in [
                ("adapters", Some(memory.adapter_bytes)),
                ("optimizer state", Some(memory.optimizer_bytes)),
                ("gradients, at most", Some(memory.gradient_bytes)),
                ("activations, at most", memory.activation_bytes),
            ] {
                let bytes = bytes.map_or_else(|| "not known".to_owned(), size);
                line(&format!("  {part}"), bytes);
            }
        }
        Err(error) => line("memory of a run", format!("unknown: {error}")),
    }
    match timed {
        Some(timed) => line("a step", timed.words()),
        None if task.time => line("a step", "not known for this run".to_owned()),
        None => {}
    }
    line("tokenizer", yes_or_no(files.tokenizer.is_some()));
    line("chat template", yes_or_no(files.chat_template.is_some()));
    for note in notes {
        line("note", note.english());
    }
    hand_out(&text)?;
    Ok(ExitCode::SUCCESS)
}

pub fn unwritable(error: serde_json::Error) -> Error {
    Error::internal(Message::verbatim(error.to_string()))
}

/// A session with a run's model and data, for a command that writes nothing, and the run's settings. An interrupt stops it.
pub async fn loaded(resolved: Resolved, device: DeviceChoice, events: &mut EventSink) -> Result<(Session, RunConfig)> {
    let config = resolved.config;
    config.require_paths()?;
    for message in resolved.warnings {
        events.take(&Event::Warning { message });
    }
    let mut session = Session::new(HOST);
    let control = session.control();
    let _interrupted = on_interrupt(move || {
        control.stop();
        control.cancel_download();
    })?;
    load(&mut session, &config, device, events).await?;
    Ok((session, config))
}

/// Opens the device and loads model, adapter and data.
pub async fn load(
    session: &mut Session,
    config: &RunConfig,
    device: DeviceChoice,
    events: &mut EventSink,
) -> Result<()> {
    // A missing data file should not cost a model's loading time.
    let data = data_sources(&config.train_file)?;
    let validation = config
        .validation_file
        .as_ref()
        .map(|path| data_sources(path))
        .transpose()?;
    let adapter = config.adapter_name_or_path.as_ref().map(Path::new);
    let path = Path::new(&config.model_name_or_path);
    load_model(session, (path, Some(config)), adapter, device, events).await?;
    let read_as = Command::ReadAs {
        config: Box::new(config.clone()),
    };
    events.ask(session, read_as, Vec::new()).await?;
    events
        .ask(
            session,
            Command::LoadData {
                file: config.train_file.clone(),
            },
            data,
        )
        .await?;
    if let Some(files) = validation {
        let file = config.validation_file.clone();
        events.ask(session, Command::LoadValidation { file }, files).await?;
    }
    Ok(())
}

/// Opens the device and loads a model, packed as the run has it, and an adapter on it.
pub async fn load_model(
    session: &mut Session,
    (path, config): (&Path, Option<&RunConfig>),
    adapter: Option<&Path>,
    device: DeviceChoice,
    events: &mut EventSink,
) -> Result<()> {
    let is_small = SMALL_MODELS.iter().any(|name| Path::new(name) == path) && !path.exists();
    let control = session.control();
    let (name, files) = match is_small {
        true => (name_of(path), Vec::new()),
        false => {
            let Located { path, name } = hub::located(path, &control, &mut |event| events.take(event)).await?;
            (name, sources(&path)?)
        }
    };
    let adapter = match adapter {
        Some(path) => {
            let found = hub::located(path, &control, &mut |event| events.take(event)).await?;
            Some(sources(&found.path)?)
        }
        None => None,
    };
    events.ask(session, Command::Open { device }, Vec::new()).await?;
    let names = files.iter().map(|file| file.name().to_owned()).collect();
    events
        .ask(
            session,
            Command::LoadModel {
                files: names,
                name,
                config: config.map(|config| Box::new(config.clone())),
            },
            files,
        )
        .await?;
    match adapter {
        Some(files) => {
            session
                .load_adapter_files(files, &mut |event, _| events.take(&event))
                .await
        }
        None => Ok(()),
    }
}

/// The data among the files of a folder, as one file: the one table, or all texts.
fn data_folder(path: &Path) -> Result<Source> {
    let unreadable = |error: std::io::Error| cannot_read(path, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if entry.path().is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    let shown = path.display().to_string();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let Choice { places, notes } = data::chosen(&names).map_err(|error| error.file(&shown))?;
    let (mut files, mut length) = (Vec::with_capacity(places.len()), 0);
    for place in places {
        let file = path.join(names[place]);
        length += fs::metadata(&file).map_err(|error| cannot_read(&file, &error))?.len();
        data::check_size(&shown, length.max(1))?;
        let bytes = fs::read(&file).map_err(|error| cannot_read(&file, &error))?;
        files.push((names[place].to_owned(), bytes));
    }
    Ok(MemoryFile::source(&shown, data::joined(&shown, files, notes)?))
}

/// A data file, or a folder of texts or with one table; behind IDX images their labels, where they lie beside.
pub fn data_sources(path: &str) -> Result<Vec<Source>> {
    let path = Path::new(path);
    if path.is_dir() {
        return Ok(vec![data_folder(path)?]);
    }
    let mut files: Vec<Source> = vec![DiskFile::source(path)?];
    let labels = labels_of(files[0].name()).map(|name| path.with_file_name(name));
    if let Some(labels) = labels.filter(|labels| labels.is_file()) {
        files.push(DiskFile::source(labels)?);
    }
    Ok(files)
}

/// One file, or all files of a folder, with the settings of sentence-transformers' modules in it.
pub fn sources(path: &Path) -> Result<Vec<Source>> {
    if !path.is_dir() {
        return Ok(vec![DiskFile::source(path)?]);
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(|error| cannot_read(path, &error))? {
        let path = entry.map_err(|error| cannot_read(path, &error))?.path();
        if path.is_file() {
            paths.push(path);
        }
    }
    paths.extend(module_files(path));
    paths.sort();
    paths.into_iter().map(DiskFile::source).collect()
}

/// The settings of a run file, with flags on top.
pub fn resolve(run: &RunFile) -> Result<Resolved> {
    let text = read_run_file(&run.run)?;
    with_data_sets(RunConfig::parse(&text, &run.run.display().to_string())?, &run.set)
}

/// The text of a run file.
pub fn read_run_file(path: &Path) -> Result<String> {
    let unreadable = |error: std::io::Error| cannot_read(path, &error);
    // One byte more than a run file may have is enough to see that it is none; a device may never end.
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    file.take(RunConfig::MOST_BYTES as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    match bytes.len() > RunConfig::MOST_BYTES {
        true => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        false => String::from_utf8(bytes).map_err(|error| unreadable(std::io::Error::other(error.utf8_error()))),
    }
}

/// Settings with flags on top, and with the files of the data sets that they name.
pub fn with_data_sets(resolved: Resolved, set: &[String]) -> Result<Resolved> {
    let mut resolved = with_flags(resolved, set)?;
    data_sets::look_up(&mut resolved)?;
    Ok(resolved)
}

/// A run file with flags on top, or flags alone.
pub fn resolve_any(run: Option<PathBuf>, set: Vec<String>) -> Result<Resolved> {
    match run {
        Some(run) => resolve(&RunFile { run, set }),
        None => with_flags(RunConfig::parse("", "")?, &set),
    }
}

/// Settings with flags on top.
pub fn with_flags(mut resolved: Resolved, set: &[String]) -> Result<Resolved> {
    let pairs = set.iter().map(|pair| {
        pair.split_once('=')
            .map(|(key, value)| (key.trim(), value.trim()))
            .ok_or_else(|| {
                let got = format!("{pair:?}");
                Error::config(msg::KeyValue { got })
                    .field("--set")
                    .remedy(msg::ForExample)
            })
    });
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    resolved.overlay(pairs, &From::Flag)?;
    Ok(resolved)
}

/// The last part of a path.
pub fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn yes_or_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

/// The command's clock; it has nobody to give way to.
pub const HOST: Host = Host {
    now_ms,
    yield_now: || Box::pin(std::future::ready(())),
};

pub fn now_ms() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_secs_f64() * 1000.0
}

/// Runs a future to its end on this thread, which sleeps while the device works.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Thread(std::thread::Thread);
    impl Wake for Thread {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Thread(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}
