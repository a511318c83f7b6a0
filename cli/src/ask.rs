//! `lorakeet eval`, `predict` and `generate`: a model is scored, answers rows, writes. A run's folder says all of it.

use crate::commands::{EventSink, HOST, INTERRUPTED, load, load_model, resolve_any, with_flags};
use crate::interrupt::on_interrupt;
use crate::log::cannot_write;
use crate::output::refuse_table;
use crate::screen::{say, scores_line};
use crate::trained;
use clap::Args;
use lorakeet_core::config::{RunConfig, Source};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::{ChatMessage, Command, DeviceChoice, Event, GenerateOptions, Prompt};
use lorakeet_core::session::Session;
use lorakeet_i18n::messages::command as msg;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Args)]
pub struct Eval {
    /// A run's output_dir: weights, task, settings and data are taken from its record. Or a run file: its model, adapter, data and
    /// column settings are used.
    #[arg(required_unless_present_all = ["model", "data"])]
    run: Option<PathBuf>,
    /// Override a key of the run; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// The model, instead of the run's; a path, or ORG/NAME on a hub.
    #[arg(long)]
    model: Option<PathBuf>,
    /// The data, instead of the run's; all rows are used, including those that drop_rows would exclude.
    #[arg(long)]
    data: Option<PathBuf>,
    /// An adapter of PEFT, llama.cpp (a GGUF file) or mlx-lm: its folder or file, or ORG/NAME on a hub.
    #[arg(long)]
    adapter: Option<PathBuf>,
}

#[derive(Args)]
pub struct Predict {
    #[command(flatten)]
    eval: Eval,
    /// The file for the table; default: standard output.
    #[arg(long, value_name = "FILE.csv")]
    output: Option<PathBuf>,
}

#[derive(Args)]
pub struct Generate {
    /// The text to continue.
    prompt: String,
    /// A run's output_dir, a folder in Hugging Face's layout, a GGUF file, or a model on a hub: ORG/NAME, optionally with @REVISION
    /// and :FILE. For a run, its base is loaded with the trained weights.
    #[arg(long)]
    model: PathBuf,
    /// An adapter of PEFT, llama.cpp (a GGUF file) or mlx-lm: its folder or file, or ORG/NAME on a hub.
    #[arg(long)]
    adapter: Option<PathBuf>,
    /// Use the model's chat template, with the prompt as the user's message.
    #[arg(long)]
    chat: bool,
    /// A system message; implies --chat.
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Maximum number of tokens to generate.
    #[arg(long, default_value_t = 128)]
    max_new_tokens: usize,
    /// Sample instead of taking the most likely token; implied by temperature, top-k and top-p.
    #[arg(long)]
    do_sample: bool,
    /// Sampling temperature, above 0; lower is more deterministic.
    #[arg(long)]
    temperature: Option<f64>,
    /// Sample from the k most likely tokens; 0: from all.
    #[arg(long)]
    top_k: Option<usize>,
    /// Sample from the most likely tokens whose probabilities add up to this.
    #[arg(long)]
    top_p: Option<f64>,
    /// Seed of the sampler.
    #[arg(long, default_value_t = 42)]
    seed: u64,
    /// Stop generating at this text; may be repeated.
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
}

impl Generate {
    /// How it is to be written.
    pub fn options(&self) -> GenerateOptions {
        let default = GenerateOptions::default();
        let asked = self.temperature.is_some() || self.top_k.is_some() || self.top_p.is_some();
        GenerateOptions {
            max_new_tokens: self.max_new_tokens,
            do_sample: self.do_sample || asked,
            temperature: self.temperature.unwrap_or(default.temperature),
            top_k: self.top_k.unwrap_or(default.top_k),
            top_p: self.top_p.unwrap_or(default.top_p),
            seed: self.seed,
            stop: self.stop.clone(),
            adapter_strength: default.adapter_strength,
        }
    }
}

/// What is scored or answers.
struct Subject {
    /// Settings that name the model, the adapter and the data.
    config: RunConfig,
    /// Whether the data are those of a run's folder, of which the run held some out.
    has_own_rows: bool,
    /// The folder of what the run file has trained, where its model is asked without it.
    trained: Option<PathBuf>,
}

impl Subject {
    /// A session with the model, the adapter and the data that the settings name.
    async fn open(&self, device: DeviceChoice, events: &mut EventSink) -> Result<Session> {
        if let Some(folder) = &self.trained {
            let folder = folder.display();
            let message = msg::WithoutWhatWasTrained { folder }.into();
            events.take(&Event::Warning { message });
        }
        let mut session = Session::new(HOST);
        load(&mut session, &self.config, device, events).await?;
        Ok(session)
    }
}

impl Eval {
    /// What the run's folder or the run file says, with the flags on top.
    async fn subject(self) -> Result<Subject> {
        let text = |path: PathBuf| path.display().to_string();
        let is_folder = self.run.as_deref().is_some_and(Path::is_dir);
        let is_file_alone = self.run.is_some() && !is_folder && self.model.is_none();
        let resolved = match self.run {
            Some(folder) if is_folder => with_flags(trained::settings_of(&folder).await?, &self.set)?,
            run => resolve_any(run, self.set)?,
        };
        let names_drops = matches!(resolved.source("drop_rows"), Source::Flag);
        let mut config = resolved.config;
        let has_own_rows = is_folder && self.data.is_none();
        if let Some(model) = self.model {
            config.model_name_or_path = text(model);
        }
        if let Some(data) = self.data {
            config.train_file = text(data);
            config.validation_file = None;
            // What a run leaves out was found in its own rows.
            if !names_drops {
                config.drop_rows = Vec::new();
            }
        }
        config.adapter_name_or_path = self.adapter.map(text).or(config.adapter_name_or_path);
        config.require_paths()?;
        if has_own_rows {
            refuse_missing(&config)?;
        }
        let trained = PathBuf::from(&config.output_dir);
        let is_left = is_file_alone && config.adapter_name_or_path.is_none() && trained::is_folder_of_run(&trained);
        Ok(Subject {
            config,
            has_own_rows,
            trained: is_left.then_some(trained),
        })
    }
}

/// Refuses data of a run that are not where its record has them.
fn refuse_missing(config: &RunConfig) -> Result<()> {
    let files = [
        ("train_file", Some(&config.train_file)),
        ("validation_file", config.validation_file.as_ref()),
    ];
    for (knob, file) in files {
        if let Some(file) = file.filter(|file| !Path::new(file).exists()) {
            let error = Error::config(msg::RunsDataNotThere).file(file).field(knob);
            return Err(error.remedy(msg::NameRunsData));
        }
    }
    Ok(())
}

/// Scores a model on data.
pub async fn score(eval: Eval, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let subject = eval.subject().await?;
    let mut session = subject.open(device, events).await?;
    let Subject {
        config, has_own_rows, ..
    } = subject;
    let take = &mut |event: Event, _: Option<Vec<u8>>| events.take(&event);
    // Of a run's own rows those that it was not trained on tell something.
    let held_out = match has_own_rows {
        true => session.evaluate_held_out(&config, take).await?,
        false => None,
    };
    let scored = match held_out {
        Some(scored) => scored,
        None => {
            if has_own_rows {
                let message = msg::NothingHeldOutByRun.into();
                take(Event::Warning { message }, None);
            }
            session.evaluate(&config, take).await?
        }
    };
    events.take(&Event::Eval(scored));
    events.screen.written()?;
    Ok(ExitCode::SUCCESS)
}

/// Answers rows.
pub async fn answer(predict: Predict, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let Predict { eval, output } = predict;
    let mut subject = eval.subject().await?;
    let config = &mut subject.config;
    if let Some(path) = &output {
        refuse_table(path, config)?;
    }
    // Of a run's own rows those of its validation file, where it has one.
    let held_out = config.validation_file.take_if(|_| subject.has_own_rows);
    let answers_trained_rows = subject.has_own_rows && held_out.is_none();
    if let Some(held_out) = held_out {
        config.train_file = held_out;
    }
    let mut session = subject.open(device, events).await?;
    if answers_trained_rows {
        let message = msg::AnswersTrainedRows.into();
        events.take(&Event::Warning { message });
    }
    let (table, scored) = session
        .predict(&subject.config, &mut |event, _| events.take(&event))
        .await?;
    match scored {
        Some(scored) if events.is_json() => events.take(&Event::Eval(scored)),
        // Standard output has the rows alone.
        Some(scored) => say(&format!("scores   {}", scores_line(&scored))),
        None => {}
    }
    if let Some(path) = output {
        fs::write(&path, table.to_csv()).map_err(|error| cannot_write(&path, &error))?;
        return Ok(ExitCode::SUCCESS);
    }
    events.screen.show_table(table);
    events.screen.written()?;
    Ok(ExitCode::SUCCESS)
}

/// Continues a text.
pub async fn write_text(generate: Generate, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let options = generate.options();
    let mut session = Session::new(HOST);
    let control = session.control();
    let interrupted = on_interrupt(move || {
        control.cancel_generate();
        control.cancel_download();
    })?;
    let of_run = match trained::is_folder_of_run(&generate.model) {
        true => Some(trained::settings_of(&generate.model).await?.config),
        false => None,
    };
    let model = of_run
        .as_ref()
        .map_or(generate.model, |run| PathBuf::from(&run.model_name_or_path));
    let adapter = of_run.as_ref().and_then(|run| run.adapter_name_or_path.as_ref());
    let adapter = generate.adapter.or(adapter.map(PathBuf::from));
    load_model(
        &mut session,
        (&model, of_run.as_ref()),
        adapter.as_deref(),
        device,
        events,
    )
    .await?;
    let message = |role: &str, content: String| ChatMessage {
        role: role.into(),
        content,
    };
    let prompt = match (generate.chat, generate.system) {
        (false, None) => Prompt::Text(generate.prompt),
        (_, system) => {
            let system = system.map(|text| message("system", text));
            Prompt::Messages(system.into_iter().chain([message("user", generate.prompt)]).collect())
        }
    };
    let command = Command::Generate {
        id: 0,
        prompt,
        options,
        adapter: adapter.is_some(),
    };
    events.ask(&mut session, command, Vec::new()).await?;
    events.screen.written()?;
    Ok(if interrupted() {
        ExitCode::from(INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    })
}
