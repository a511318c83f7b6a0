//! The lessons beside the page, and recordings of their runs: the engine trains each on the CPU, and what it says is
//! rounded and thinned until it is small enough to be sent to a device that cannot train.
//!
//! `cargo xtask record-lessons` calls it. The same seed gives the same recording but for times and speeds.

use crate::golden::block_on;
use anyhow::{Context, Result, bail, ensure};
use lorakeet_core::error::Kind;
use lorakeet_core::host::Host;
use lorakeet_core::lesson::{At, BUNDLED_MODEL, Lesson, LessonRun, ListedLesson, Recording, Results};
use lorakeet_core::protocol::{Command, DeviceChoice, Event};
use lorakeet_core::session::Session;
use lorakeet_core::store::{DiskFile, Source};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The files of the bundled model, beside the page.
const MODEL_FILES: [&str; 4] = [
    "model/config.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "model/model.safetensors",
];

/// What the runs of the part 'train' may take together, so that they are over in a browser in half a minute.
const MOST_SECONDS: f64 = 5.0;

/// How many steps and samples of a run are kept: as many as fit.
const KEPT: [(usize, usize); 4] = [(Recording::MOST_STEPS, 12), (40, 6), (25, 3), (15, 2)];

/// Digits of a number that are kept.
const DIGITS: usize = 4;

/// The page's own folder in the repository.
pub fn page_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../public")
}

/// The ids of the lessons beside a page, in order.
///
/// # Errors
/// The folder cannot be listed.
pub fn lesson_ids(page: &Path) -> Result<Vec<String>> {
    let folder = page.join("lessons");
    let mut ids = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let id = name
            .strip_suffix(".json")
            .filter(|id| !id.contains('.') && *id != "index");
        ids.extend(id.map(str::to_owned));
    }
    ids.sort();
    Ok(ids)
}

/// A text beside a page.
///
/// # Errors
/// It cannot be read.
pub fn text(page: &Path, name: &str) -> Result<String> {
    let path = page.join(name);
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

/// A lesson beside a page.
///
/// # Errors
/// It cannot be read, or is none.
pub fn lesson(page: &Path, id: &str) -> Result<Lesson> {
    let name = format!("lessons/{id}.json");
    Ok(Lesson::parse(&text(page, &name)?, &name)?)
}

/// SHA-256 of what decides a lesson's numbers: the inputs of its runs and the files that they name. Its words can be
/// changed without recording it anew.
///
/// # Errors
/// A file cannot be read.
pub fn digest(page: &Path, lesson: &Lesson) -> Result<String> {
    let mut sha = Sha256::new();
    let mut files = BTreeSet::new();
    for (name, run) in &lesson.runs {
        sha.update(format!("{name} {}\n", run.inputs()?));
        files.extend(std::iter::once(run.data.as_str()).chain(run.validation.as_deref()));
        if run.model == BUNDLED_MODEL {
            files.extend(MODEL_FILES);
        }
    }
    for file in files {
        let bytes = std::fs::read(page.join(file)).with_context(|| format!("cannot read {file}"))?;
        sha.update(format!("{file} {:x}\n", Sha256::digest(bytes)));
    }
    Ok(format!("{:x}", sha.finalize()))
}

/// Trains every run of a lesson on the CPU and writes what was said as a recording. `say` hears of each run.
///
/// # Errors
/// A run that breaks off for another reason than diverging, an outcome that is none of the lesson's choices, a
/// recording that would be too large.
pub fn record(page: &Path, lesson: &Lesson, date: &str, host: Host, say: &mut dyn FnMut(&str)) -> Result<String> {
    let mut recorder = Recorder {
        page,
        host,
        device: String::new(),
    };
    let (mut runs, mut results) = (BTreeMap::new(), Results::new());
    for name in lesson.order() {
        let events = recorder
            .train(&lesson.runs[name])
            .with_context(|| format!("the run {name}"))?;
        say(&summary(name, &events));
        results.insert(name.to_owned(), events.iter().collect());
        runs.insert(name.to_owned(), events);
    }
    let seconds = |name: &String| results[name].value("seconds", At::End).unwrap_or_default();
    let seconds: f64 = lesson.train.runs.iter().map(seconds).sum();
    say(&format!(
        "train: {seconds:.1} s, and a browser takes several times as long"
    ));
    if seconds > MOST_SECONDS {
        say(&format!(
            "train: more than {MOST_SECONDS} s; take fewer steps, rows or tokens if nothing else ran meanwhile"
        ));
    }
    let outcome = outcome(lesson, &results)?;
    say(&format!("outcome: {outcome}"));
    let head = json!({
        "recording": Recording::FORMAT,
        "lesson": lesson.id,
        "digest": digest(page, lesson)?,
        "device": recorder.device,
        "date": date,
    });
    let text = smallest(&head, &runs, Recording::MOST_BYTES)?;
    let replayed = Recording::parse(&text, "the recording")?.results();
    ensure!(
        self::outcome(lesson, &replayed)? == outcome,
        "the outcome is {outcome} by what was measured and another by what is kept of it: the runs are too near each other"
    );
    Ok(text)
}

/// The outcome of a lesson in words: the choice that holds, or the number that was to be estimated.
///
/// # Errors
/// Not exactly one choice holds, or the number was not measured; the error has the values.
pub fn outcome(lesson: &Lesson, results: &Results) -> Result<String> {
    if let Some(number) = &lesson.predict.number {
        let value = number
            .of
            .of(results)
            .with_context(|| format!("{} was not measured", number.of))?;
        ensure!(
            (number.from..=number.to).contains(&value),
            "{} is {value}, outside of what can be given",
            number.of
        );
        return Ok(number.of.to_string());
    }
    if let Some(choice) = lesson.outcome(results) {
        return Ok(format!("choice {choice}, {}", lesson.predict.choices[choice].text.en));
    }
    let mut measured = BTreeMap::new();
    for condition in lesson.predict.choices.iter().flat_map(|choice| &choice.when) {
        for value in condition.values() {
            measured.insert(value.to_string(), value.of(results));
        }
    }
    bail!("not exactly one of the choices holds of {measured:?}")
}

/// The list of lessons as it has to be: those of `old` first, in their order, then new ones, each with title and minutes.
///
/// # Errors
/// A lesson cannot be read, or the old list is none.
pub fn index(page: &Path, old: &str) -> Result<String> {
    let ids = lesson_ids(page)?;
    let old = serde_json::from_str(old).context("lessons/index.json is not JSON")?;
    let old = ListedLesson::list(&old).context("lessons/index.json is no list of lessons")?;
    let known = old.iter().map(|listed| &listed.id).filter(|id| ids.contains(id));
    let is_new = |id: &&String| old.iter().all(|listed| listed.id != **id);
    let order = known.chain(ids.iter().filter(is_new));
    let listed = order.map(|id| {
        let Lesson { id, title, minutes, .. } = lesson(page, id)?;
        Ok(ListedLesson { id, title, minutes })
    });
    let listed: Vec<ListedLesson> = listed.collect::<Result<_>>()?;
    Ok(serde_json::to_string_pretty(&listed)? + "\n")
}

struct Recorder<'a> {
    page: &'a Path,
    host: Host,
    device: String,
}

impl Recorder<'_> {
    /// The events of a run that are kept.
    fn train(&mut self, run: &LessonRun) -> Result<Vec<Event>> {
        let config = Box::new(run.config()?);
        let mut session = Session::new(self.host);
        let open = |path: &str| -> Result<Source> { Ok(DiskFile::source(self.page.join(path))?) };
        let opened = ask(
            &mut session,
            Command::Open {
                device: DeviceChoice::Cpu,
            },
            Vec::new(),
        )?;
        for event in opened {
            if let Event::Device(device) = event {
                self.device = format!("{} ({})", device.name, std::env::consts::ARCH);
            }
        }
        let (name, files) = match run.model == BUNDLED_MODEL {
            true => ("", MODEL_FILES.into_iter().map(open).collect::<Result<_>>()?),
            false => (run.model.as_str(), Vec::new()),
        };
        let load = Command::LoadModel {
            files: Vec::new(),
            name: name.to_owned(),
            config: Some(config.clone()),
        };
        let mut model = ask(&mut session, load, files)?;
        model.retain(|event| matches!(event, Event::Model(_)));
        let file = run.data.clone();
        ask(&mut session, Command::LoadData { file }, vec![open(&run.data)?])?;
        if let Some(path) = &run.validation {
            let file = Some(path.clone());
            ask(&mut session, Command::LoadValidation { file }, vec![open(path)?])?;
        }
        let train = Command::Train {
            config,
            sample_prompt: run.prompt.clone(),
            watch: run.requests()?,
            keep: None,
        };
        let mut events = ask(&mut session, train, Vec::new())?;
        // Where the run read the model again, that one counts.
        if !events.iter().any(|event| matches!(event, Event::Model(_))) {
            events.splice(0..0, model);
        }
        events.retain(is_kept);
        Ok(events)
    }
}

/// Has a command served; one that fails is an error, unless a run diverged.
fn ask(session: &mut Session, command: Command, files: Vec<Source>) -> Result<Vec<Event>> {
    let mut events = Vec::new();
    block_on(session.handle(command, files, &mut |event, _| events.push(event)));
    match events.last() {
        Some(Event::Failed(error)) if error.kind != Kind::Diverged => bail!("{error}"),
        _ => Ok(events),
    }
}

fn is_kept(event: &Event) -> bool {
    matches!(
        event,
        Event::Model(_)
            | Event::Started(_)
            | Event::Baseline { .. }
            | Event::Step(_)
            | Event::Eval(_)
            | Event::Sample { .. }
            | Event::Picture { .. }
            | Event::Report(_)
            | Event::Warning { .. }
            | Event::Done(_)
            | Event::Failed(_)
    )
}

fn summary(name: &str, events: &[Event]) -> String {
    match events.last() {
        Some(Event::Done(done)) => {
            let (steps, seconds) = (done.steps, done.seconds);
            let loss = match (done.eval_loss_before, done.eval_loss_after) {
                (Some(before), Some(after)) => format!("validation loss {before:.3} → {after:.3}"),
                _ => format!("mean training loss {:.3}", done.train_loss),
            };
            format!("{name}: {steps} steps in {seconds:.1} s, {loss}")
        }
        Some(Event::Failed(error)) => format!("{name}: {error}"),
        _ => format!("{name}: did not end"),
    }
}

/// The recording with as many steps and samples as fit into so many bytes.
fn smallest(head: &Value, runs: &BTreeMap<String, Vec<Event>>, most: usize) -> Result<String> {
    let mut parts = BTreeMap::new();
    for (steps, samples) in KEPT {
        parts.clear();
        for (name, events) in runs {
            parts.insert(name, lines(events, steps, samples)?);
        }
        let text = written(head, &parts)?;
        if text.len() <= most {
            return Ok(text);
        }
    }
    let bytes = |lines: &[String]| lines.iter().map(String::len).sum::<usize>();
    let largest = parts.iter().max_by_key(|(_, lines)| bytes(lines));
    let (name, lines) = largest.context("a lesson without runs")?;
    let line = lines.iter().max_by_key(|line| line.len()).map_or("", String::as_str);
    let line: String = line.chars().take(80).collect();
    bail!(
        "the recording has {} bytes and may have {most}; the largest run is {name} with {}, its longest event {line}…: ask \
         for smaller pictures, fewer scores or fewer runs",
        written(head, &parts)?.len(),
        bytes(lines)
    )
}

/// One event a line.
fn written(head: &Value, runs: &BTreeMap<&String, Vec<String>>) -> Result<String> {
    let mut text = serde_json::to_string_pretty(head)?;
    text.truncate(text.trim_end_matches(['}', '\n']).len());
    text += ",\n  \"runs\": {";
    for (place, (name, lines)) in runs.iter().enumerate() {
        let comma = if place == 0 { "" } else { "," };
        text += &format!("{comma}\n{}: [\n{}\n]", Value::from(name.as_str()), lines.join(",\n"));
    }
    text += "\n}}\n";
    Ok(text)
}

/// The events as JSON, rounded: of the steps and of the samples so many, evenly spaced, and of the pictures the last
/// of each kind. A kept step has the mean loss of the steps since the kept one before it, and no time: the lab plays
/// them at a pace of its own.
fn lines(events: &[Event], steps: usize, samples: usize) -> Result<Vec<String>> {
    let mut values = Vec::new();
    for event in events {
        values.push(serde_json::to_value(event)?);
    }
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, value) in values.iter().enumerate() {
        let kind = value["type"].as_str().unwrap_or_default();
        let of = value["picture"]["kind"].as_str().unwrap_or_default();
        groups.entry(format!("{kind} {of}")).or_default().push(place);
    }
    let mut kept = BTreeSet::new();
    for (kind, places) in groups {
        let most = match kind.split(' ').next() {
            Some("step") => steps,
            Some("sample") => samples,
            // A front end shows the newest of each kind.
            Some("picture") => {
                kept.extend(places.last());
                continue;
            }
            _ => usize::MAX,
        };
        let chosen = evenly(&places, most);
        if kind.starts_with("step ") {
            average(&mut values, &places, &chosen);
        }
        kept.extend(chosen);
    }
    let line = |place: usize| {
        let value = &mut values[place];
        if let (true, Some(fields)) = (value["type"] == "step", value.as_object_mut()) {
            fields.remove("seconds");
        }
        shorten(value);
        value.to_string()
    };
    Ok(kept.into_iter().map(line).collect())
}

/// Gives each chosen step the mean loss of the steps since the chosen one before it. Losses that are not finite are
/// strings, and stay what they are.
fn average(values: &mut [Value], steps: &[usize], chosen: &[usize]) {
    let losses: Vec<Option<f64>> = steps.iter().map(|&place| values[place]["loss"].as_f64()).collect();
    let mut first = 0;
    for &place in chosen {
        let end = steps.partition_point(|&step| step <= place);
        let group: Option<Vec<f64>> = losses[first..end].iter().copied().collect();
        if let Some(group) = group {
            values[place]["loss"] = (group.iter().sum::<f64>() / group.len() as f64).into();
        }
        first = end;
    }
}

/// At most so many of the items, from two on, with the first and the last.
fn evenly(items: &[usize], most: usize) -> Vec<usize> {
    let last = items.len().saturating_sub(1);
    match items.len() <= most {
        true => items.to_vec(),
        false => (0..most)
            .map(|i| items[(i * last + (most - 1) / 2) / (most - 1)])
            .collect(),
    }
}

/// Rounds numbers that are not whole, and takes out what is not known.
fn shorten(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            let rounded = number.as_f64().map(|number| format!("{number:.*e}", DIGITS - 1));
            if let Some(rounded) = rounded.and_then(|text| text.parse::<f64>().ok()) {
                *value = rounded.into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        Value::Object(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.values_mut().for_each(shorten);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::protocol::{Picture, StepInfo};

    fn step(step: usize) -> Event {
        Event::Step(StepInfo {
            step,
            epoch: step as f64 / 7.0,
            loss: 1.0 / step as f64,
            learning_rate: 2e-4,
            grad_norm: f64::INFINITY,
            tokens_per_second: 123_456.789,
            num_input_tokens_seen: 123_456,
            eta_seconds: 0.0,
            seconds: 12.5,
            device_bytes: None,
        })
    }

    #[test]
    fn first_and_last_of_many_steps_are_kept() {
        let steps: Vec<Event> = (1..=1000).map(step).collect();
        let lines = lines(&steps, 60, 3).expect("steps are JSON");
        assert_eq!(lines.len(), 60);
        assert!(lines[0].contains("\"step\":1,") && lines[59].contains("\"step\":1000,"));
        assert!(lines.iter().all(|line| !line.contains("\"seconds\"")));
        let short: Vec<Event> = (1..=59).map(step).collect();
        assert_eq!(super::lines(&short, 60, 3).expect("steps are JSON").len(), 59);
    }

    #[test]
    fn a_kept_step_has_the_mean_loss_of_those_left_out() {
        let losses = [1.0, 2.0, 4.0, 6.0, f64::INFINITY, 8.0, 9.0];
        let of = |(place, loss): (usize, &f64)| match step(place + 1) {
            Event::Step(info) => Event::Step(StepInfo { loss: *loss, ..info }),
            other => other,
        };
        let events: Vec<Event> = losses.iter().enumerate().map(of).collect();
        let kept = |most| -> Vec<(usize, f64)> {
            let lines = lines(&events, most, 3).expect("steps are JSON");
            let read = |line: &String| match serde_json::from_str(line).expect("an event") {
                Event::Step(info) => (info.step, info.loss),
                other => panic!("{other:?}"),
            };
            lines.iter().map(read).collect()
        };
        assert_eq!(
            kept(3),
            [(1, 1.0), (4, 4.0), (7, 9.0)],
            "a group with a loss that is not finite keeps its own"
        );
        let all: Vec<(usize, f64)> = (1..).zip(losses).collect();
        assert_eq!(kept(7), all);
    }

    #[test]
    fn the_last_picture_of_each_kind_is_kept() {
        let tokens = Picture::Tokens { tokens: Vec::new() };
        let attention = Picture::Attention {
            layer: 0,
            head: 0,
            layers: 1,
            heads: 1,
            tokens: Vec::new(),
            weights: vec![1.0 / 3.0],
        };
        let picture = |(step, picture): (usize, &Picture)| Event::Picture {
            id: None,
            step: Some(step),
            picture: picture.clone(),
        };
        let pictures = (0..5)
            .flat_map(|step| [(step, &tokens), (step, &attention)])
            .map(picture);
        let lines = lines(&pictures.collect::<Vec<_>>(), 60, 3).expect("pictures are JSON");
        let has = |kind: &str, step: usize| {
            let (kind, step) = (format!("\"kind\":\"{kind}\""), format!("\"step\":{step},"));
            lines.iter().any(|line| line.contains(&kind) && line.contains(&step))
        };
        assert_eq!(lines.len(), 2, "{lines:?}");
        for kind in ["tokens", "attention"] {
            assert!(has(kind, 4), "{lines:?}");
        }
        assert!(lines.iter().any(|line| line.contains("[0.3333]")), "{lines:?}");
    }

    #[test]
    fn numbers_keep_four_digits_and_counts_all() {
        let line = &lines(&[step(3)], 60, 3).expect("a step is JSON")[0];
        for part in ["\"epoch\":0.4286", "\"loss\":0.3333", "123500.0", ":123456,", "\"inf\""] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("device_bytes"), "{line}");
        let event: Event = serde_json::from_str(line).expect("an event");
        assert!(matches!(event, Event::Step(step) if step.grad_norm == f64::INFINITY));
    }

    #[test]
    fn a_recording_is_thinned_before_it_is_refused_for_its_size() {
        let head = json!({ "recording": 1 });
        let runs: BTreeMap<String, Vec<Event>> = [("short", 5), ("long", 60)]
            .map(|(name, steps)| (name.to_owned(), (1..=steps).map(step).collect()))
            .into();
        let text = |most| smallest(&head, &runs, most);
        let whole = text(60_000).expect("it fits");
        let thinned = text(whole.len() - 1).expect("it fits with fewer steps");
        let of = |text: &str| text.matches("\"step\"").count() / 2;
        assert_eq!((of(&whole), of(&thinned)), (65, 45));
        let error = text(1000).expect_err("it does not fit").to_string();
        assert!(error.contains("largest run is long"), "{error}");
    }
}
