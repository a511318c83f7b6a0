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

mod folder;
mod history;
mod state;

pub use folder::{folder, manifest, remove, step_of, steps, sweep, write};
pub use state::Progress;

use super::fingerprint::Fingerprint;
use super::optim::{AdamW, Moments};
use super::resume::check_length;
use crate::config::{Plan, RunConfig};
use crate::data::Data;
use crate::error::{Error, Result};
use crate::formats::{
    blocks,
    safetensors::{self, Numbers},
};
use crate::host::Emit;
use crate::models::Model;
use crate::protocol::{RateChange, RunCurve};
use crate::quant::{Block, Blockwise, Map};
use crate::store::{Source, read_all};
use burn::tensor::{Tensor, TensorData};
use folder::{MANIFEST, MOST_MANIFEST_BYTES, Manifest, torn};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::run as msg;
pub(crate) use state::STATE;
use state::{read_state, trainer_state};

/// Name, shape and numbers of each tensor of a file.
type Tensors = Vec<(String, Vec<usize>, Numbers)>;

/// The longest `trainer_state.json` that is read: a report a step for millions of steps.
const MOST_STATE_BYTES: u64 = 1 << 30;

/// The moments.
const OPTIMIZER: &str = "optimizer.safetensors";
/// The weights that scored best.
const BEST: &str = "best.safetensors";
/// The knob that may change where a run went wrong.
pub(crate) const RATE: &str = "learning_rate";
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

/// How many steps a run was to have, by a checkpoint's `trainer_state.json`.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn max_steps(state: &Source) -> Result<usize> {
    let state = read_all(state.as_ref(), MOST_STATE_BYTES).await?;
    Ok(read_state(&state)?.2)
}

/// What a run had reported by the step of a checkpoint, by its `trainer_state.json`.
///
/// # Errors
/// It cannot be read.
pub(crate) async fn history(state: &Source) -> Result<RunCurve> {
    let state = read_all(state.as_ref(), MOST_STATE_BYTES).await?;
    let (steps, evals) = read_state(&state)?.0.history();
    Ok(RunCurve::of_reports(&steps, &evals))
}

/// Refuses a checkpoint of another run, and says what goes on otherwise than its run began ([`super::resume`] has the rules). A run
/// that went wrong goes on from a step up to that of `back` at the rate there, which is the one change of a step that is allowed.
///
/// # Errors
/// The names of what differs.
pub(crate) fn check(
    resume: Option<&Checkpoint>,
    config: &RunConfig,
    plan: &Plan,
    (fingerprint, data): (&Fingerprint, [Option<&Data>; 2]),
    back: Option<RateChange>,
    emit: &mut Emit<'_>,
) -> Result<()> {
    let Some(checkpoint) = resume else {
        if config.resume_from_checkpoint.is_some() {
            emit.warn(msg::ResumeWithoutEffect);
        }
        return Ok(());
    };
    let saved = &checkpoint.fingerprint;
    let step = checkpoint.progress.step;
    let back = back.filter(|back| step <= back.step && back.learning_rate == config.learning_rate);
    let changed = fingerprint.check(saved, back.map(|_| RATE), data)?;
    if let Some(RateChange {
        before, learning_rate, ..
    }) = back
        && saved.setting(RATE) != fingerprint.setting(RATE)
    {
        let [before, learning_rate] = [before, learning_rate].map(|rate| format!("{rate:e}"));
        emit.warn(msg::WentBack {
            step,
            before,
            learning_rate,
        });
    }
    let length = check_length(config, plan, checkpoint.max_steps, checkpoint.progress.step)?;
    emit.warn_all(changed.into_iter().chain(length));
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
            found.ok_or_else(|| torn(msg::FileMissing).file(name))
        };
        let manifest = read_all(file(MANIFEST)?.as_ref(), MOST_MANIFEST_BYTES).await?;
        let manifest = Manifest::read(&manifest).map_err(|error| error.file(MANIFEST))?;
        for (name, listed) in &manifest.files {
            listed.check(file(name)?).await?;
        }
        // What the manifest does not list was not written with the rest.
        let written = |name: &str| match manifest.files.contains_key(name) {
            true => file(name),
            false => Err(torn(msg::FileMissing).file(name)),
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
        put(model, values);
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

/// Puts the weights of a file that a run left after full training into the model, all of whose weights are trained.
///
/// # Errors
/// As [`Checkpoint::restore`]; the file cannot be read.
pub(crate) async fn put_weights(source: &Source, model: &mut Model) -> Result<()> {
    let tensors = read_tensors(source).await?;
    let values = model.parameters.iter();
    let values = values.map(|parameter| floats(&tensors, &parameter.name, &parameter.shape));
    let values = values.collect::<Result<Vec<_>>>()?;
    put(model, values);
    Ok(())
}

/// Gives all trained tensors of a model their values.
fn put(model: &mut Model, values: Vec<Vec<f32>>) {
    let device = model.device().clone();
    for (i, values) in values.into_iter().enumerate() {
        let length = values.len();
        let tensor = Tensor::from_data(TensorData::new(values, [length]), &device);
        model.parameters.set(i, tensor);
    }
}

async fn read_tensors(source: &Source) -> Result<Tensors> {
    let mut tensors = Vec::new();
    for placed in safetensors::read_header(source).await? {
        let located = |error: Error| error.file(source.name()).field(&placed.name);
        let length = usize::try_from(placed.bytes).map_err(|_| located(Error::io(common::TooLargeForMachine)))?;
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
        Numbers::Bytes(_) => Err(of_another_run(msg::HoldsBytes, name)),
    }
}

/// The bytes of the tensor `name`.
fn bytes(tensors: &Tensors, name: &str, shape: &[usize]) -> Result<Vec<u8>> {
    match find(tensors, name, shape)? {
        Numbers::Bytes(bytes) => Ok(bytes.clone()),
        Numbers::Floats(_) => Err(of_another_run(msg::HoldsFloats, name)),
    }
}

fn find<'a>(tensors: &'a Tensors, name: &str, shape: &[usize]) -> Result<&'a Numbers> {
    match tensors.iter().find(|(known, ..)| known == name) {
        None => Err(of_another_run(msg::LacksTensor, name)),
        Some((_, found, _)) if found != shape => {
            let (found, needed) = (format!("{found:?}"), format!("{shape:?}"));
            Err(of_another_run(msg::WrongShape { found, needed }, name))
        }
        Some((.., numbers)) => Ok(numbers),
    }
}

fn of_another_run(what: impl Into<Message>, name: &str) -> Error {
    Error::format(what).field(name).remedy(msg::ResumeSameRun)
}
