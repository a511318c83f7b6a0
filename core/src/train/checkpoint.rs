//! What a run leaves behind on its way: a folder that PEFT reads as an adapter, and that a later run goes on from exactly.
//!
//! | file | content |
//! | --- | --- |
//! | `adapter_config.json`, `adapter_model.safetensors` (full training: `model.safetensors`, `config.json`, `tokenizer.json`) | the weights |
//! | `optimizer.safetensors` | `exp_avg.NAME` and `exp_avg_sq.NAME` of each trained tensor |
//! | | for moments of eight bits, as bitsandbytes names them, `state1`, `absmax1`, `state2` and `absmax2` instead |
//! | `best.safetensors` | the weights that scored best so far, under `load_best_model_at_end` |
//! | `trainer_state.json` | transformers' TrainerState; what it has no place for stands under `stateful_callbacks.Lorakeet` |
//! | `manifest.json` | length and SHA-256 of each of these files |
//!
//! It is written into `checkpoint-N.part`, which gets its name when all of it is on disk; what had the name before goes out of
//! the way first. So a folder `checkpoint-N` is whole, and [`Checkpoint::open`] compares it with its manifest all the same.
//!
//! The order of the data and the dropout masks are functions of (seed, step), so the step's number is the data cursor and
//! the random state.

use super::fingerprint::{Fingerprint, sha256, sha256_of};
use super::optim::{AdamW, Moments};
use crate::config::{Plan, RunConfig};
use crate::error::{Error, Result};
use crate::formats::{
    blocks,
    safetensors::{self, Numbers},
};
use crate::host::Emit;
use crate::metrics::generation::{TextScore, TextScores, Written};
use crate::models::Model;
use crate::quant::{Block, Blockwise, Map};
use crate::store::{Sink, Source, read_all};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Name, shape and numbers of each tensor of a file.
type Tensors = Vec<(String, Vec<usize>, Numbers)>;

/// The longest `trainer_state.json` that is read: a report a step for millions of steps.
const MOST_STATE_BYTES: u64 = 1 << 30;

/// The longest manifest that is read.
const MOST_MANIFEST_BYTES: u64 = 1 << 20;

/// The run's past.
const STATE: &str = "trainer_state.json";
/// The moments.
const OPTIMIZER: &str = "optimizer.safetensors";
/// The weights that scored best.
const BEST: &str = "best.safetensors";
/// What the other files hold.
const MANIFEST: &str = "manifest.json";

/// What follows the name of a checkpoint that is being written.
const PART: &str = ".part";
/// What follows the name of one that makes way for it.
const OLD: &str = ".old.part";
/// What follows the name of one that is being removed.
const GONE: &str = ".gone.part";

/// The folder of the checkpoint after `step` optimizer steps, as transformers calls it.
pub fn folder(step: usize) -> String {
    format!("checkpoint-{step}")
}

/// The step of the checkpoint in a folder of this name; `None` where it is no checkpoint's.
pub fn step_of(name: &str) -> Option<usize> {
    let step = name.strip_prefix("checkpoint-")?.parse().ok()?;
    (folder(step) == name).then_some(step)
}

/// Whether a folder of this name is a checkpoint that was not finished, made way or is being removed.
fn is_left_over(name: &str) -> bool {
    let mut folders = [OLD, GONE, PART].iter().filter_map(|suffix| name.strip_suffix(suffix));
    folders.any(|folder| step_of(folder).is_some())
}

/// Writes the checkpoint after `step` optimizer steps: all of it, or what was there under its name stays.
///
/// # Errors
/// Storage refuses.
pub async fn write(sink: &dyn Sink, step: usize, files: &[(String, Vec<u8>)]) -> Result<()> {
    let folder = folder(step);
    let (part, old) = (format!("{folder}{PART}"), format!("{folder}{OLD}"));
    let mut there = sink.folders().await?;
    if restores(sink, &folder, &there).await? {
        there = sink.folders().await?;
    }
    for left_over in [&part, &old] {
        if there.contains(left_over) {
            sink.remove_folder(left_over).await?;
        }
    }
    let manifest = Manifest::of(
        files
            .iter()
            .map(|(name, bytes)| (name.clone(), Listed::of(bytes)))
            .collect(),
    );
    let manifest = (MANIFEST.to_owned(), manifest.text()?.into_bytes());
    for (name, bytes) in files.iter().chain([&manifest]) {
        if let Err(error) = sink.write(&format!("{part}/{name}"), bytes).await {
            // Its own error is the one to report; on a full disk the space is needed.
            let _ = sink.remove_folder(&part).await;
            return Err(error);
        }
    }
    let replaces = there.contains(&folder);
    if replaces {
        sink.rename_folder(&folder, &old).await?;
    }
    if let Err(error) = sink.rename_folder(&part, &folder).await {
        if replaces {
            // As above.
            let _ = sink.rename_folder(&old, &folder).await;
        }
        return Err(error);
    }
    Ok(())
}

/// Removes the checkpoint after `step` optimizer steps; none that is half there is left under its name.
///
/// # Errors
/// There is none, or storage refuses.
pub async fn remove(sink: &dyn Sink, step: usize) -> Result<()> {
    let folder = folder(step);
    let gone = format!("{folder}{GONE}");
    if sink.folders().await?.contains(&gone) {
        sink.remove_folder(&gone).await?;
    }
    sink.rename_folder(&folder, &gone).await?;
    sink.remove_folder(&gone).await
}

/// Puts back what [`write()`] had made way, where nothing took its place, and removes all else that it and [`remove`] did not
/// bring to an end.
///
/// # Errors
/// Storage refuses.
pub async fn sweep(sink: &dyn Sink) -> Result<()> {
    let there = sink.folders().await?;
    for name in there.iter().filter(|name| is_left_over(name)) {
        let restored = match name.strip_suffix(OLD) {
            Some(folder) => restores(sink, folder, &there).await?,
            None => false,
        };
        if !restored {
            sink.remove_folder(name).await?;
        }
    }
    Ok(())
}

/// Whether the checkpoint that made way for another one of its name is put back, because that one never came.
async fn restores(sink: &dyn Sink, folder: &str, there: &[String]) -> Result<bool> {
    let old = format!("{folder}{OLD}");
    let is_missed = there.contains(&old) && !there.iter().any(|name| name == folder);
    if is_missed {
        sink.rename_folder(&old, folder).await?;
    }
    Ok(is_missed)
}

/// The steps of the checkpoints in a place, the newest first.
///
/// # Errors
/// Storage refuses.
pub async fn steps(sink: &dyn Sink) -> Result<Vec<usize>> {
    let folders = sink.folders().await?;
    let mut steps: Vec<usize> = folders.iter().filter_map(|name| step_of(name)).collect();
    steps.sort_unstable_by(|a, b| b.cmp(a));
    Ok(steps)
}

/// `manifest.json`.
#[derive(Serialize, Deserialize)]
struct Manifest {
    /// Every other file of the folder.
    files: BTreeMap<String, Listed>,
    /// SHA-256 of `files` as JSON without spaces.
    sha256: String,
}

/// What a file holds.
#[derive(Serialize, Deserialize)]
struct Listed {
    bytes: u64,
    sha256: String,
}

impl Listed {
    fn of(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.len() as u64,
            sha256: sha256(bytes),
        }
    }

    /// Refuses a file that holds anything else.
    async fn check(&self, source: &Source) -> Result<()> {
        let found = source.len_bytes();
        let what = if found != self.bytes {
            format!("is {found} bytes long, and {} were written", self.bytes)
        } else if sha256_of(source).await? != self.sha256 {
            "does not hold what was written into it".to_owned()
        } else {
            return Ok(());
        };
        Err(torn(what).file(source.name()))
    }
}

impl Manifest {
    fn of(files: BTreeMap<String, Listed>) -> Self {
        let listed = serde_json::to_string(&files).unwrap_or_default();
        Self {
            files,
            sha256: sha256(listed.as_bytes()),
        }
    }

    fn text(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n")
            .map_err(|error| Error::internal(format!("{MANIFEST}: {error}")))
    }

    /// Reads the manifest back, to the last bit.
    fn read(bytes: &[u8]) -> Result<Self> {
        let broken = |_| torn("is not the manifest that was written");
        let read: Self = serde_json::from_slice(bytes).map_err(broken)?;
        let whole = Self::of(read.files);
        match whole.sha256 == read.sha256 && whole.text()?.as_bytes() == bytes {
            true => Ok(whole),
            false => Err(torn("is not the manifest that was written")),
        }
    }
}

/// The error for a checkpoint that is not whole.
fn torn(what: impl Into<String>) -> Error {
    Error::format(what).remedy(
        "Name a folder checkpoint-N that is whole, or set resume_from_checkpoint: true, which takes the newest whole one.",
    )
}

/// What a run knows of its past; all that the next step depends on besides weights, moments, configuration and data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Optimizer steps done.
    pub step: usize,
    /// Target-weighted losses so far, summed over the steps.
    pub loss_sum: f64,
    /// Tokens seen, padding not counted.
    pub tokens_seen: u64,
    /// Losses since the last report: their sum and number.
    pub since_last_log: (f64, usize),
    /// Validation loss of the base model.
    pub eval_loss_before: Option<f64>,
    /// Reports so far, as transformers logs them.
    pub log_history: Vec<BTreeMap<String, Value>>,
    /// The best score so far by the run's metric, and its step; where the best weights are kept.
    pub best: Option<(usize, f64)>,
    /// The best score so far by the run's metric, and how many scores since then were not better by enough, where that may
    /// end the run.
    pub patience: Option<(f64, usize)>,
    /// Of generation, how the base model did on each validation text.
    pub texts_before: Option<TextScores>,
}

/// The part of [`Progress`] that transformers has no place for, as it is written.
#[derive(Serialize, Deserialize)]
struct Own {
    step: usize,
    tokens_seen: u64,
    loss_sum: Exact,
    unreported_sum: Exact,
    unreported_count: usize,
    eval_loss_before: Option<Exact>,
    #[serde(default)]
    best: Option<(usize, Exact)>,
    #[serde(default)]
    patience: Option<(Exact, usize)>,
    #[serde(default)]
    scores_before: Option<Vec<(Exact, u64, u64)>>,
    /// What the base model wrote: the right answer, its own.
    #[serde(default)]
    written_before: Vec<(String, String)>,
    /// Whose past this is.
    fingerprint: Fingerprint,
}

/// A number as text that reads back to the last bit, which JSON readers do not promise of numbers.
#[derive(Serialize, Deserialize)]
struct Exact(String);

impl From<f64> for Exact {
    fn from(number: f64) -> Self {
        Self(number.to_string())
    }
}

impl Exact {
    fn number(&self) -> Result<f64> {
        self.0
            .parse()
            .map_err(|_| Error::format(format!("{:?} is not a number", self.0)))
    }
}

impl Progress {
    /// Appends a report: step, epoch and `numbers`.
    pub fn log(&mut self, epoch: f64, numbers: &[(&str, f64)]) {
        let mut entry = BTreeMap::from([
            ("step".to_owned(), json!(self.step)),
            ("epoch".to_owned(), json!(epoch)),
        ]);
        entry.extend(numbers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        self.log_history.push(entry);
    }
}

/// A checkpoint read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// The run's past.
    pub progress: Progress,
    /// What the run was.
    pub fingerprint: Fingerprint,
    /// How many steps it had in all.
    pub max_steps: usize,
    weights: Tensors,
    optimizer: Tensors,
    best: Option<Tensors>,
}

/// The weights that scored best so far, in the parameters' order.
pub type Best = Vec<Vec<f32>>;

/// The state's own files: `optimizer.safetensors`, `trainer_state.json` and, where the best weights are kept,
/// `best.safetensors`. The weights' files come from the exporter.
///
/// # Errors
/// A lost device.
pub async fn state_files(
    model: &Model,
    optimizer: &AdamW,
    (progress, best): (&Progress, Option<&Best>),
    plan: &Plan,
    config: &RunConfig,
    fingerprint: &Fingerprint,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut tensors = Vec::with_capacity(2 * model.parameters.len());
    for (parameter, moments) in model.parameters.iter().zip(optimizer.moments().await?) {
        let mut add = |kind: &str, shape: &[usize], numbers| {
            tensors.push((format!("{kind}.{}", parameter.name), shape.to_vec(), numbers));
        };
        match moments {
            Moments::Floats { m, v } => {
                add("exp_avg", &parameter.shape, Numbers::Floats(m));
                add("exp_avg_sq", &parameter.shape, Numbers::Floats(v));
            }
            Moments::EightBits { m, v } => {
                for (i, moment) in [(1, m), (2, v)] {
                    let absmax = moment.absmax().to_vec();
                    add(&format!("absmax{i}"), &[absmax.len()], Numbers::Floats(absmax));
                    let codes = moment.codes().to_vec();
                    add(&format!("state{i}"), &parameter.shape, Numbers::Bytes(codes));
                }
            }
        }
    }
    let mut files = vec![
        (OPTIMIZER.to_owned(), safetensors::write_numbers(&tensors)?),
        (
            STATE.to_owned(),
            trainer_state(progress, plan, config, fingerprint)?.into_bytes(),
        ),
    ];
    if let Some(best) = best {
        let named = model.parameters.iter().zip(best);
        let named = named.map(|(parameter, values)| (parameter.name.clone(), parameter.shape.clone(), values.clone()));
        files.push((BEST.to_owned(), safetensors::write_f32(&named.collect::<Vec<_>>())?));
    }
    Ok(files)
}

/// transformers' `trainer_state.json`: sorted keys, two spaces.
fn trainer_state(progress: &Progress, plan: &Plan, config: &RunConfig, fingerprint: &Fingerprint) -> Result<String> {
    let broken = |error: serde_json::Error| Error::internal(format!("{STATE}: {error}"));
    let epoch = progress.step as f64 / plan.steps_per_epoch.max(1) as f64;
    let lowest = progress
        .log_history
        .iter()
        .filter_map(|entry| Some((entry.get("eval_loss")?.as_f64()?, entry.get("step")?.as_u64()?)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let best = progress.best.map(|(step, score)| (score, step as u64)).or(lowest);
    let own = Own {
        step: progress.step,
        tokens_seen: progress.tokens_seen,
        loss_sum: progress.loss_sum.into(),
        unreported_sum: progress.since_last_log.0.into(),
        unreported_count: progress.since_last_log.1,
        eval_loss_before: progress.eval_loss_before.map(Exact::from),
        best: progress.best.map(|(step, score)| (step, score.into())),
        patience: progress.patience.map(|(best, stale)| (best.into(), stale)),
        scores_before: progress.texts_before.as_ref().map(|before| {
            let texts = before.texts.iter();
            texts.map(|text| (text.loss.into(), text.hits, text.targets)).collect()
        }),
        written_before: progress
            .texts_before
            .iter()
            .flat_map(|before| &before.written)
            .map(|written| (written.reference.clone(), written.text.clone()))
            .collect(),
        fingerprint: fingerprint.clone(),
    };
    let own = serde_json::to_value(own).map_err(broken)?;
    let state: BTreeMap<&str, Value> = BTreeMap::from([
        ("best_global_step", json!(best.map(|best| best.1))),
        ("best_metric", json!(best.map(|best| best.0))),
        ("best_model_checkpoint", Value::Null),
        ("epoch", json!(epoch)),
        ("eval_steps", json!(plan.every(config.eval_steps))),
        ("global_step", json!(progress.step)),
        ("is_hyper_param_search", json!(false)),
        ("is_local_process_zero", json!(true)),
        ("is_world_process_zero", json!(true)),
        ("log_history", json!(progress.log_history)),
        ("logging_steps", json!(plan.every(config.logging_steps))),
        ("max_steps", json!(plan.max_steps)),
        ("num_input_tokens_seen", json!(progress.tokens_seen)),
        ("num_train_epochs", json!(config.num_train_epochs)),
        ("save_steps", json!(plan.every(config.save_steps))),
        ("stateful_callbacks", json!({ "Lorakeet": own })),
        ("total_flos", json!(0.0)),
        ("train_batch_size", json!(config.per_device_train_batch_size)),
        ("trial_name", Value::Null),
        ("trial_params", Value::Null),
    ]);
    serde_json::to_string_pretty(&state)
        .map(|text| text + "\n")
        .map_err(broken)
}

/// Refuses a checkpoint of another run, and says what goes on otherwise than its run began.
///
/// # Errors
/// The names of what differs.
pub(crate) fn check(
    resume: Option<&Checkpoint>,
    config: &RunConfig,
    plan: &Plan,
    fingerprint: &Fingerprint,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let Some(checkpoint) = resume else {
        if config.resume_from_checkpoint.is_some() {
            emit.warn("resume_from_checkpoint has no effect here: no checkpoint was opened, and the run starts anew.");
        }
        return Ok(());
    };
    fingerprint.check(&checkpoint.fingerprint)?;
    if checkpoint.max_steps != plan.max_steps {
        emit.warn(format!(
            "The run has {} steps now, and had {} when its checkpoint was written: from here on the learning rate follows the \
             new length.",
            plan.max_steps, checkpoint.max_steps
        ));
    }
    Ok(())
}

impl Checkpoint {
    /// Reads a checkpoint from the files of its folder.
    ///
    /// # Errors
    /// A file is missing, or does not hold what was written into it.
    pub async fn open(files: &[Source]) -> Result<Self> {
        let file = |name: &str| {
            let found = files.iter().find(|file| file.name() == name);
            found.ok_or_else(|| torn("this file of the checkpoint is missing").file(name))
        };
        let manifest = read_all(file(MANIFEST)?.as_ref(), MOST_MANIFEST_BYTES).await?;
        let manifest = Manifest::read(&manifest).map_err(|error| error.file(MANIFEST))?;
        for (name, listed) in &manifest.files {
            listed.check(file(name)?).await?;
        }
        // What the manifest does not list was not written with the rest.
        let written = |name: &str| match manifest.files.contains_key(name) {
            true => file(name),
            false => Err(torn("this file of the checkpoint is missing").file(name)),
        };
        let weights = written("adapter_model.safetensors").or_else(|_| written("model.safetensors"))?;
        let optimizer = written(OPTIMIZER)?;
        let state = read_all(written(STATE)?.as_ref(), MOST_STATE_BYTES).await?;
        let (progress, fingerprint, max_steps) = read_state(&state).map_err(|error| error.file(STATE))?;
        let best = match progress.best {
            Some(_) => Some(read_tensors(written(BEST)?).await?),
            None => None,
        };
        Ok(Self {
            progress,
            fingerprint,
            max_steps,
            weights: read_tensors(weights).await?,
            optimizer: read_tensors(optimizer).await?,
            best,
        })
    }

    /// Puts the saved weights and moments into `model` and `optimizer`.
    ///
    /// # Errors
    /// A tensor is missing or has another size: the checkpoint belongs to another run.
    pub fn restore(&self, model: &mut Model, optimizer: &mut AdamW) -> Result<()> {
        let device = model.device().clone();
        let mut moments = Vec::with_capacity(model.parameters.len());
        let mut values = Vec::with_capacity(model.parameters.len());
        for parameter in model.parameters.iter() {
            let name = &parameter.name;
            values.push(floats(&self.weights, name, &parameter.shape)?);
            moments.push(self.moments(name, &parameter.shape)?);
        }
        for (i, values) in values.into_iter().enumerate() {
            let length = values.len();
            model
                .parameters
                .set(i, Tensor::from_data(TensorData::new(values, [length]), &device));
        }
        optimizer.restore(self.progress.step, moments, &device)
    }

    /// The weights that scored best, where they were kept.
    ///
    /// # Errors
    /// As [`Checkpoint::restore`].
    pub fn best(&self, model: &Model) -> Result<Option<Best>> {
        let Some(best) = &self.best else { return Ok(None) };
        let values = model
            .parameters
            .iter()
            .map(|parameter| floats(best, &parameter.name, &parameter.shape));
        values.collect::<Result<_>>().map(Some)
    }

    /// The moments of the tensor `name`, in the bits that they were saved in.
    fn moments(&self, name: &str, shape: &[usize]) -> Result<Moments> {
        let saved = &self.optimizer;
        let state = format!("state1.{name}");
        if !saved.iter().any(|(known, ..)| *known == state) {
            return Ok(Moments::Floats {
                m: floats(saved, &format!("exp_avg.{name}"), shape)?,
                v: floats(saved, &format!("exp_avg_sq.{name}"), shape)?,
            });
        }
        let blocks = Block::Of256.count(shape.iter().product());
        let moment = |i: usize, map| {
            let codes = bytes(saved, &format!("state{i}.{name}"), shape)?;
            let absmax = floats(saved, &format!("absmax{i}.{name}"), &[blocks])?;
            Blockwise::new(map, Block::Of256, codes, absmax).map_err(|error| error.field(format!("absmax{i}.{name}")))
        };
        Ok(Moments::EightBits {
            m: moment(1, Map::Signed)?,
            v: moment(2, Map::Unsigned)?,
        })
    }
}

/// Past, fingerprint and length of a run, from its `trainer_state.json`.
fn read_state(bytes: &[u8]) -> Result<(Progress, Fingerprint, usize)> {
    let unusable = |what: String| {
        Error::format(format!("is not a state that a run can go on from: {what}"))
            .remedy("Name a folder checkpoint-N that a run of this program wrote.")
    };
    let broken = |error: serde_json::Error| unusable(error.to_string());
    let mut state: Value = serde_json::from_slice(bytes).map_err(broken)?;
    let own = state["stateful_callbacks"]["Lorakeet"].take();
    let own: Own = serde_json::from_value(own).map_err(broken)?;
    let count = |name: &str| {
        let number = state[name].as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| unusable(format!("{name} is {}", state[name])))
    };
    let (step, max_steps) = (count("global_step")?, count("max_steps")?);
    if step != own.step {
        return Err(unusable(format!(
            "global_step is {step}, and the run's own count {}",
            own.step
        )));
    }
    let progress = Progress {
        step,
        loss_sum: own.loss_sum.number()?,
        tokens_seen: own.tokens_seen,
        since_last_log: (own.unreported_sum.number()?, own.unreported_count),
        eval_loss_before: own.eval_loss_before.map(|loss| loss.number()).transpose()?,
        log_history: serde_json::from_value(state["log_history"].take()).map_err(broken)?,
        best: match own.best {
            Some((step, score)) => Some((step, score.number()?)),
            None => None,
        },
        patience: match own.patience {
            Some((best, stale)) => Some((best.number()?, stale)),
            None => None,
        },
        texts_before: match own.scores_before {
            Some(texts) => {
                let text = |(loss, hits, targets): (Exact, u64, u64)| {
                    let loss = loss.number()?;
                    Ok(TextScore { loss, hits, targets })
                };
                let written = own.written_before.into_iter();
                Some(TextScores {
                    texts: texts.into_iter().map(text).collect::<Result<_>>()?,
                    written: written.map(|(reference, text)| Written::new(reference, text)).collect(),
                })
            }
            None => None,
        },
    };
    Ok((progress, own.fingerprint, max_steps))
}

async fn read_tensors(source: &Source) -> Result<Tensors> {
    let mut tensors = Vec::new();
    for placed in safetensors::read_header(source).await? {
        let located = |error: Error| error.file(source.name()).field(&placed.name);
        let length = usize::try_from(placed.bytes).map_err(|_| located(Error::io("is too large for this machine")))?;
        let bytes = source.read_at(placed.offset, length).await.map_err(located)?;
        let numbers = match placed.storage.name() {
            "U8" => Numbers::Bytes(bytes),
            _ => Numbers::Floats(blocks::decode(placed.storage, &bytes).map_err(located)?),
        };
        tensors.push((placed.name, placed.shape, numbers));
    }
    Ok(tensors)
}

/// The floats of the tensor `name`.
fn floats(tensors: &Tensors, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
    match find(tensors, name, shape)? {
        Numbers::Floats(values) => Ok(values.clone()),
        Numbers::Bytes(_) => Err(of_another_run("holds bytes, the run needs floats", name)),
    }
}

/// The bytes of the tensor `name`.
fn bytes(tensors: &Tensors, name: &str, shape: &[usize]) -> Result<Vec<u8>> {
    match find(tensors, name, shape)? {
        Numbers::Bytes(bytes) => Ok(bytes.clone()),
        Numbers::Floats(_) => Err(of_another_run("holds floats, the run needs bytes", name)),
    }
}

fn find<'a>(tensors: &'a Tensors, name: &str, shape: &[usize]) -> Result<&'a Numbers> {
    match tensors.iter().find(|(known, ..)| known == name) {
        None => Err(of_another_run("the checkpoint lacks this tensor", name)),
        Some((_, found, _)) if found != shape => {
            let what = format!("has shape {found:?}, the run needs {shape:?}");
            Err(of_another_run(what, name))
        }
        Some((.., numbers)) => Ok(numbers),
    }
}

fn of_another_run(what: impl Into<String>, name: &str) -> Error {
    Error::format(what)
        .field(name)
        .remedy("Resume with the run file and the model that wrote the checkpoint.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_has_the_keys_of_transformers_in_order_and_reads_back() {
        let mut progress = Progress {
            step: 4,
            loss_sum: 0.1 + 0.2,
            tokens_seen: 512,
            ..Default::default()
        };
        progress.log(0.5, &[("loss", 2.25), ("learning_rate", 1e-4), ("grad_norm", 1.5)]);
        progress.log(0.5, &[("eval_loss", 2.5)]);
        let config = RunConfig {
            save_steps: 0.25,
            ..RunConfig::default()
        };
        let plan = Plan {
            steps_per_epoch: 8,
            max_steps: 10,
            warmup_steps: 0,
        };
        let fingerprint = Fingerprint::of(&config);
        let text = trainer_state(&progress, &plan, &config, &fingerprint).expect("text");
        assert!(text.contains("\"epoch\": 0.5,"), "{text}");
        assert!(
            text.contains("\"save_steps\": 3,"),
            "a share of ten steps, in steps: {text}"
        );
        let keys: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("  \""))
            .filter_map(|line| line.split('"').next())
            .collect();
        let want = "best_global_step best_metric best_model_checkpoint epoch eval_steps global_step \
            is_hyper_param_search is_local_process_zero is_world_process_zero log_history logging_steps max_steps \
            num_input_tokens_seen num_train_epochs save_steps stateful_callbacks total_flos train_batch_size \
            trial_name trial_params";
        assert_eq!(keys, want.split_whitespace().collect::<Vec<_>>());
        assert_eq!(read_state(text.as_bytes()), Ok((progress, fingerprint, 10)));
        let torn = text.replace("\"global_step\": 4", "\"global_step\": 5");
        assert!(read_state(torn.as_bytes()).is_err(), "two counts of the same steps");
    }

    #[test]
    fn only_a_checkpoints_own_name_is_one() {
        assert_eq!(step_of(&folder(500)), Some(500));
        for other in [
            "checkpoint-",
            "checkpoint-007",
            "checkpoint-+7",
            "checkpoint-7b",
            "my-checkpoint-7",
            "runs",
        ] {
            assert_eq!(step_of(other), None, "{other}");
        }
    }

    #[test]
    fn what_was_not_finished_is_known_by_its_name() {
        for name in ["checkpoint-5.part", "checkpoint-5.old.part", "checkpoint-5.gone.part"] {
            assert!(is_left_over(name) && step_of(name).is_none(), "{name}");
        }
        for other in [
            "checkpoint-5",
            "checkpoint-x.part",
            "films.part",
            "checkpoint-5.old",
            "checkpoint-x.old.part",
        ] {
            assert!(!is_left_over(other), "{other}");
        }
    }

    #[test]
    fn a_state_that_transformers_wrote_is_refused() {
        let error = read_state(b"{\"global_step\": 3, \"stateful_callbacks\": {}}").expect_err("ours is not there");
        assert!(error.remedy.is_some());
    }
}
