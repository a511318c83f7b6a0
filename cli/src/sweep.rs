//! `lorakeet sweep`: a run with several values of some settings, each in a folder of its own as any run. `lorakeet_core::sweep`
//! decides which is trained next, and how far. Where a sweep stands is read from its runs' folders alone, so the same command goes on
//! with one that was interrupted.

mod candidates;

use crate::Sweep;
use crate::commands::{EventSink, HOST, INTERRUPTED, data_sources, now_ms, read_run_file, unwritable, with_data_sets};
use crate::compare::{final_scores, shown};
use crate::interrupt::on_interrupt;
use crate::json;
use crate::runs::{Found, begun, table};
use crate::screen::{Screen, hand_out, hand_out_json, say, say_note};
use crate::train::train_in_folder;
use candidates::{Candidate, Candidates};
use lorakeet_core::config::{RunConfig, Source};
use lorakeet_core::error::{Error, Kind, Result};
use lorakeet_core::host::Control;
use lorakeet_core::protocol::{DeviceChoice, Event, RunState};
use lorakeet_core::session::Session;
use lorakeet_core::store::{DirectorySink, sha256_of};
use lorakeet_core::sweep::{Halving, Progress, Standing as Place};
use lorakeet_core::train::checkpoint;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::tuning as msg;
use serde_json::{Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

/// Why a run came to its end, or why no further one is started.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Run,
    Budget,
    Interrupt,
}

/// What the runs of a sweep share.
struct Ground<'a> {
    run: &'a Path,
    device: DeviceChoice,
    /// The control of the run under way.
    current: Arc<Mutex<Option<Control>>>,
    interrupted: &'a dyn Fn() -> bool,
    /// When the budget is over, on the command's clock.
    until_ms: f64,
}

/// Trains what is still to be trained, and shows what it came to.
pub async fn run(wish: Sweep, device: DeviceChoice, events: &mut EventSink) -> Result<ExitCode> {
    let until_ms = match &wish.budget {
        Some(text) => now_ms() + milliseconds(text)?,
        None => f64::INFINITY,
    };
    let file = &wish.run.run;
    let (resolved, named) = RunConfig::parse_sweep(&read_run_file(file)?, &file.display().to_string())?;
    let base = with_data_sets(resolved, &wish.run.set)?;
    base.config.require_paths()?;
    if named.is_empty() && wish.knobs.is_empty() {
        let error = Error::config(msg::NothingToSweep).field("--knob");
        return Err(error.remedy(msg::KnobsForExample));
    }
    let candidates = Candidates::of(&base, (&named, &wish.knobs), wish.random, wish.no_halving)?;
    for message in base.warnings {
        events.take(&Event::Warning { message });
    }
    let current: Arc<Mutex<Option<Control>>> = Arc::default();
    let of_handler = current.clone();
    let interrupted = on_interrupt(move || {
        say("\nstopping after this step, then saving; the same command continues the sweep");
        if let Some(control) = of_handler.lock().ok().and_then(|control| control.clone()) {
            control.stop();
            control.cancel_download();
        }
    })?;
    let ground = Ground {
        run: &wish.run.run,
        device,
        current,
        interrupted: &interrupted,
        until_ms,
    };
    let is_json = events.is_json();
    if !is_json {
        say(&format!(
            "sweep    {} runs in {}",
            candidates.all.len(),
            candidates.folder.display()
        ));
    }
    for candidate in &candidates.all {
        check_data(candidate).await?;
    }
    let ended = train_all(&candidates, &ground).await?;
    let mut standings = Vec::new();
    for candidate in &candidates.all {
        standings.push((candidate, begun(&candidate.folder).await?));
    }
    sort(&mut standings);
    match is_json {
        true => hand_out_json(&json::line(&told(&candidates, &standings)).map_err(unwritable)?)?,
        false => hand_out(&text(&candidates, &standings))?,
    }
    if ended == Ended::Budget {
        say_note(msg::BudgetOver);
    }
    Ok(match ended {
        Ended::Interrupt => ExitCode::from(INTERRUPTED),
        Ended::Run | Ended::Budget => ExitCode::SUCCESS,
    })
}

/// Refuses a run that was begun on other data than there are now.
async fn check_data(candidate: &Candidate) -> Result<()> {
    let Some(found) = begun(&candidate.folder).await? else {
        return Ok(());
    };
    let config = &candidate.resolved.config;
    let files = [
        ("train_file", Some(&config.train_file)),
        ("validation_file", config.validation_file.as_ref()),
    ];
    for (knob, file) in files {
        let (Some(file), Some(digest)) = (file, found.record.inputs.get(knob)) else {
            continue;
        };
        // Of images and their labels there is one digest of both.
        let sources = data_sources(file)?;
        if let [only] = &sources[..]
            && sha256_of(only).await? != *digest
        {
            let folder = candidate.folder.display();
            return Err(Error::config(msg::SweptData { folder, file })
                .field(knob)
                .remedy(msg::NewSweep));
        }
    }
    Ok(())
}

/// Run after run, as far as each is to come.
async fn train_all(candidates: &Candidates, ground: &Ground<'_>) -> Result<Ended> {
    let mut runs = Vec::new();
    let mut has_begun = false;
    for candidate in &candidates.all {
        let found = begun(&candidate.folder).await?;
        has_begun |= found.is_some();
        runs.push(progress(found.as_ref(), candidates.halving));
    }
    while let Some(turn) = candidates.halving.next(&runs) {
        if (ground.interrupted)() {
            return Ok(Ended::Interrupt);
        }
        if now_ms() >= ground.until_ms {
            return Ok(Ended::Budget);
        }
        let candidate = &candidates.all[turn.run];
        let found = begun(&candidate.folder).await?;
        let outcome = train_until(candidate, found.as_ref(), turn.parts, ground).await;
        let ended = match outcome {
            // What does not fit the model, other settings may; where none has begun, it is the sweep's own mistake.
            Err(error) if error.kind == Kind::Config && found.is_none() && has_begun => {
                say_out(candidate, &error);
                Ended::Run
            }
            outcome => outcome?,
        };
        let found = begun(&candidate.folder).await?;
        has_begun |= found.is_some();
        if let Some(found) = &found {
            say(&line(candidates, candidate, found));
        }
        if ended != Ended::Run {
            return Ok(ended);
        }
        let reached = progress(found.as_ref(), candidates.halving);
        // One that did not come so far will not do so the next time, either.
        let is_out = reached.is_out || reached.loss_after(turn.parts).is_none();
        runs[turn.run] = Progress { is_out, ..reached };
    }
    Ok(Ended::Run)
}

/// How far a run has come.
fn progress(found: Option<&Found>, halving: Halving) -> Progress {
    let Some(found) = found else {
        return Progress::default();
    };
    let losses = halving.rungs().iter();
    Progress {
        losses: losses
            .filter_map(|&parts| Some((parts, loss_after(found, parts)?)))
            .collect(),
        is_out: has_failed(found),
    }
}

/// Whether the run diverged, does not fit or was refused, which it would do again.
fn has_failed(found: &Found) -> bool {
    let kind = found.record.failure.as_ref().map(|failure| failure.kind);
    matches!(kind, Some(Kind::Diverged | Kind::OutOfMemory | Kind::Config))
}

/// The held-out loss of a run after so many parts of it; none where it has not come so far. One that its scores ended early has come
/// to its end.
fn loss_after(found: &Found, parts: usize) -> Option<f64> {
    let is_finished = found.record.state == RunState::Finished;
    let at_end = found.record.summary.as_ref().filter(|_| is_finished);
    let at_end = at_end.and_then(|summary| summary.eval_loss_after);
    let step = Halving::step_after(parts, found.record.max_steps?);
    if parts == Halving::PARTS {
        return at_end;
    }
    let mut evals = found.events.iter().rev().filter(|event| event["type"] == "eval");
    let at_step = evals
        .find(|event| event["step"] == step)
        .and_then(|event| event["loss"].as_f64());
    at_step.or(at_end)
}

/// Trains a candidate to the end of so many parts, from its newest checkpoint where it has one.
async fn train_until(candidate: &Candidate, found: Option<&Found>, parts: usize, ground: &Ground<'_>) -> Result<Ended> {
    let mut resolved = candidate.resolved.clone();
    let has_checkpoint = match found {
        Some(_) => !checkpoint::steps(&DirectorySink::new(&candidate.folder))
            .await?
            .is_empty(),
        None => false,
    };
    let start = match has_checkpoint {
        true => ("resume_from_checkpoint", "true"),
        // What a run left that was cut off before its first checkpoint is of no use.
        false => ("overwrite_output_dir", "true"),
    };
    resolved.overlay([start], &Source::Flag)?;

    let mut session = Session::new(HOST);
    let control = session.control();
    if let Ok(mut current) = ground.current.lock() {
        *current = Some(control.clone());
    }
    // An interrupt that came before had no run to end.
    if (ground.interrupted)() {
        return Ok(Ended::Interrupt);
    }
    let is_budget_over = Rc::new(Cell::new(false));
    let mut events = EventSink::new(Screen::quiet());
    let (over, until_ms) = (is_budget_over.clone(), ground.until_ms);
    let steps = Cell::new(usize::MAX);
    events.watch = Some(Box::new(move |event: &Event| match event {
        Event::Started(info) => steps.set(info.max_steps),
        Event::Eval(eval) if (Halving::step_after(parts, steps.get())..steps.get()).contains(&eval.step) => {
            control.stop()
        }
        Event::Step(_) if now_ms() >= until_ms => {
            over.set(true);
            control.stop();
        }
        _ => {}
    }));
    let outcome = train_in_folder(&mut session, resolved, (ground.run, None), ground.device, &mut events).await;
    if let Ok(mut current) = ground.current.lock() {
        *current = None;
    }
    match outcome.flatten() {
        Ok(()) => {}
        Err(error) if matches!(error.kind, Kind::Diverged | Kind::OutOfMemory) => say_out(candidate, &error),
        Err(error) if error.kind == Kind::Stopped => {}
        Err(error) => return Err(error),
    }
    Ok(match ((ground.interrupted)(), is_budget_over.get()) {
        (true, _) => Ended::Interrupt,
        (_, true) => Ended::Budget,
        _ => Ended::Run,
    })
}

/// Says that a run is out of the sweep, and why.
fn say_out(candidate: &Candidate, error: &Error) {
    let (run, why) = (candidate.name.as_str(), error.message());
    say_note(msg::OutOfSweep { run, why });
}

/// `run-03   learning_rate 0.001  lora_r 8: step 12/48, held-out loss 0.4312`.
fn line(candidates: &Candidates, candidate: &Candidate, found: &Found) -> String {
    let knobs = candidates.knobs.iter().zip(&candidate.values);
    let settings: Vec<String> = knobs
        .map(|(knob, value)| format!("{knob} {}", shown(Some(value))))
        .collect();
    let loss = last_loss(found).map_or("–".to_owned(), |loss| format!("{loss:.4}"));
    format!(
        "{:<9}{}: step {}, held-out loss {loss}",
        candidate.name,
        settings.join("  "),
        steps(found)
    )
}

fn steps(found: &Found) -> String {
    match found.record.max_steps {
        Some(steps) => format!("{}/{steps}", found.step()),
        None => found.step().to_string(),
    }
}

/// The newest held-out loss.
fn last_loss(found: &Found) -> Option<f64> {
    let scores = final_scores(found);
    scores
        .iter()
        .find(|(name, _)| name == "eval_loss")
        .map(|(_, loss)| *loss)
}

/// The metric by which a run is judged, and its value.
fn judged(found: &Found) -> Option<(String, f64)> {
    let metric = found.last("report")?["metric"].as_str()?.to_owned();
    let value = final_scores(found).into_iter().find(|(name, _)| *name == metric)?.1;
    Some((metric, value))
}

/// Where a run of the sweep stands.
type Standing<'a> = (&'a Candidate, Option<Found>);

/// Where a run stands beside the others.
fn standing(found: &Found) -> Place {
    Place {
        is_finished: found.record.state == RunState::Finished,
        step: usize::try_from(found.step()).unwrap_or(usize::MAX),
        score: judged(found),
        loss: last_loss(found),
    }
}

/// The best first.
fn sort(standings: &mut [Standing<'_>]) {
    standings.sort_by(|(_, a), (_, b)| {
        let [a, b] = [a, b].map(|found| found.as_ref().map(standing));
        Place::compare(a.as_ref(), b.as_ref())
    });
}

/// The number of runs that were scored, and of rows that they were scored on.
fn tried(standings: &[Standing<'_>]) -> (usize, u64) {
    let found = || standings.iter().filter_map(|(_, found)| found.as_ref());
    let rows = found().find_map(|found| found.last("started")?["eval_examples"].as_u64());
    (
        found().filter(|found| last_loss(found).is_some()).count(),
        rows.unwrap_or(0),
    )
}

fn told(candidates: &Candidates, standings: &[Standing<'_>]) -> Value {
    let runs = standings.iter().map(|(candidate, found)| {
        let settings = candidates.knobs.iter().zip(&candidate.values);
        let settings: BTreeMap<&str, &Value> = settings.map(|(knob, value)| (*knob, value)).collect();
        let found = found.as_ref();
        json!({
            "folder": candidate.folder.display().to_string(),
            "settings": settings,
            "state": found.map(Found::state),
            "step": found.map(Found::step),
            "max_steps": found.and_then(|found| found.record.max_steps),
            "scores": found.map(|found| final_scores(found).into_iter().collect::<BTreeMap<_, _>>()),
            "metric": found.and_then(judged).map(|(metric, _)| metric),
        })
    });
    let runs: Vec<Value> = runs.collect();
    let (tried, rows) = tried(standings);
    json!({
        "type": "sweep", "folder": candidates.folder.display().to_string(), "runs": runs, "tried": tried,
        "held_out": rows,
    })
}

fn text(candidates: &Candidates, standings: &[Standing<'_>]) -> String {
    let head = std::iter::once("run").chain(candidates.knobs.iter().copied());
    let head = head.chain(["steps", "state", "held-out metric", "held-out loss"]);
    let mut rows: Vec<Vec<String>> = vec![head.map(str::to_owned).collect()];
    for (candidate, found) in standings {
        let mut row = vec![candidate.name.clone()];
        row.extend(candidate.values.iter().map(|value| shown(Some(value))));
        row.extend(match found {
            None => ["–", "not begun", "–", "–"].map(str::to_owned),
            Some(found) => [
                steps(found),
                found.state().to_owned(),
                judged(found).map_or("–".to_owned(), |(metric, value)| format!("{metric} {value:.4}")),
                last_loss(found).map_or("–".to_owned(), |loss| format!("{loss:.4}")),
            ],
        });
        rows.push(row);
    }
    let mut text = table(&rows);
    let (runs, rows) = tried(standings);
    // One alone was not picked from among others.
    if runs > 1 {
        text.push_str(&format!("{}\n", Message::from(msg::TriedMany { runs, rows }).english()));
    }
    text
}

/// `30m`, `2h`, `90s`; a number alone is minutes.
fn milliseconds(text: &str) -> Result<f64> {
    let wrong = || {
        let got = format!("{text:?}");
        Error::config(msg::BudgetForm { got }).field("--budget")
    };
    let number = text.trim_end_matches(['s', 'm', 'h']);
    let seconds = match &text[number.len()..] {
        "s" => 1.0,
        "m" | "" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = number.parse().map_err(|_| wrong())?;
    match number > 0.0 && number.is_finite() {
        true => Ok(1000.0 * seconds * number),
        false => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_has_a_unit() {
        for (text, wanted) in [
            ("90s", 90_000.0),
            ("30m", 1_800_000.0),
            ("30", 1_800_000.0),
            ("1.5h", 5_400_000.0),
        ] {
            assert_eq!(milliseconds(text).expect(text), wanted);
        }
        for text in ["", "m", "-1m", "10d", "1mm", "nan", "inf"] {
            assert!(milliseconds(text).is_err(), "{text}");
        }
    }
}
