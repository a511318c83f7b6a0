//! `lorakeet train`: a run in a folder of its own, from its settings to what it leaves there. A sweep trains each of its runs so.

use crate::Train;
use crate::commands::{EventSink, HOST, INTERRUPTED, load, resolve};
use crate::interrupt::stop_on_interrupt;
use crate::log::Log;
use crate::output::Output;
use crate::screen::say;
use lorakeet_core::config::{Resolved, Source};
use lorakeet_core::error::{Kind, Result};
use lorakeet_core::protocol::{Command, DeviceChoice, Event};
use lorakeet_core::session::Session;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::command as msg;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

/// Trains, and says how it ended.
pub async fn run(train: Train, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let mut resolved = resolve(&train.run)?;
    if let Some(from) = &train.resume_from_checkpoint {
        resolved.overlay([("resume_from_checkpoint", from.as_str())], &Source::Flag)?;
    }
    resolved.config.require_paths()?;
    let mut session = Session::new(HOST);
    let interrupted = stop_on_interrupt(session.control())?;
    let start = (train.run.run.as_path(), train.prompt);
    let outcome = train_in_folder(&mut session, resolved, start, device, events).await?;
    if let Err(error) = events.screen.written() {
        say(&format!("note     {error}"));
    }
    match outcome {
        Err(error) if error.kind == Kind::Stopped => say(&format!("{}: nothing was trained", error.what.english())),
        outcome => outcome?,
    }
    let stopped = interrupted() || events.screen.summary.as_ref().is_some_and(|summary| !summary.finished);
    Ok(if stopped {
        ExitCode::from(INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    })
}

/// Trains as `resolved` says, in its output_dir; `run` is the file that describes the run. Gives how the run itself ended.
///
/// # Errors
/// What keeps the run from being started.
pub async fn train_in_folder(
    session: &mut Session,
    resolved: Resolved,
    (run, prompt): (&Path, Option<String>),
    device: DeviceChoice,
    events: &mut EventSink,
) -> Result<Result<()>> {
    let config = resolved.config;
    let output = Output::of(&config, run)?;
    for message in resolved.warnings {
        events.take(&Event::Warning { message });
    }
    // A folder that cannot be used should not cost a model's loading time; a new one is made when there is something to write.
    let early = match output.exists() {
        true => Some(output.claim().await?),
        false => None,
    };
    let mut note = |message: Message| events.take(&Event::Warning { message });
    session.resume = output.resumed(&mut note).await?;
    let resumed = session.resume.as_ref().map(|checkpoint| checkpoint.progress.step);
    if let (Some(step), Some(from)) = (resumed, &config.resume_from_checkpoint) {
        note(msg::GoesOn { step, from }.into());
    }
    load(session, &config, device, events).await?;

    let sink = match early {
        Some(sink) => sink,
        None => output.claim().await?,
    };
    output.prepare(&sink).await?;
    if resumed.is_none() {
        output.write_settings(&sink).await?;
    }
    events.log = Some(Log::open(Path::new(&config.output_dir), resumed)?);
    for event in events.early.drain(..) {
        if let Some(log) = &mut events.log {
            log.add(&event);
        }
    }
    session.sink = Some(Rc::new(sink.clone()));
    let mut note = |message: Message| events.take(&Event::Warning { message });
    session.record = Some(output.record(prompt.as_deref(), &mut note).await);
    let command = Command::Estimate {
        config: Box::new(config.clone()),
    };
    // The run itself says what keeps it from being estimated.
    let told = &mut |event: Event, _| {
        if !matches!(event, Event::Failed(_)) {
            events.take(&event);
        }
    };
    session.handle(command, Vec::new(), told).await;
    let command = Command::Train {
        config: Box::new(config.clone()),
        sample_prompt: prompt,
        watch: Vec::new(),
        keep: None,
    };
    let outcome = events.ask(session, command, Vec::new()).await;
    let has_begun = events.log.take().is_some_and(|log| log.has_begun);
    // A run that is not the one of its checkpoint was refused, and the settings of that one stay.
    if resumed.is_some() && has_begun {
        output.write_settings(&sink).await?;
    }
    Ok(outcome)
}
