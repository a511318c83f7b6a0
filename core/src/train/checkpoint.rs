//! What a run leaves behind on its way: a folder that PEFT reads as an adapter, and that a later run goes on from exactly.
//!
//! | file | content |
//! | --- | --- |
//! | `adapter_config.json`, `adapter_model.safetensors` (full training: `model.safetensors`, `config.json`, `tokenizer.json`) | the weights |
//! | `optimizer.safetensors` | `exp_avg.NAME` and `exp_avg_sq.NAME` of each trained tensor |
//! | | for moments of eight bits, as bitsandbytes names them, `state1`, `absmax1`, `state2` and `absmax2` instead |
//! | `best.safetensors` | the weights that scored best so far, under `load_best_model_at_end` |
//! | `trainer_state.json` | transformers' TrainerState; what it has no place for stands under `stateful_callbacks.Lorakeet` |
//!
//! The order of the data and the dropout masks are functions of (seed, step), so the step's number is the data cursor and
//! the random state.

use super::optim::{AdamW, Moments};
use crate::config::RunConfig;
use crate::error::{Error, Result};
use crate::formats::{
    blocks,
    safetensors::{self, Numbers},
};
use crate::metrics::generation::{TextScore, TextScores, Written};
use crate::models::Model;
use crate::quant::{Block, Blockwise, Map};
use crate::store::{Source, read_all};
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Name, shape and numbers of each tensor of a file.
type Tensors = Vec<(String, Vec<usize>, Numbers)>;

/// The longest `trainer_state.json` that is read: a report a step for millions of steps.
const MOST_STATE_BYTES: u64 = 1 << 30;

/// The weights that scored best.
const BEST: &str = "best.safetensors";

/// The folder of the checkpoint after `step` optimizer steps, as transformers calls it.
pub fn folder(step: usize) -> String {
    format!("checkpoint-{step}")
}

/// The step of the checkpoint in a folder of this name; `None` where it is no checkpoint's.
pub fn step_of(name: &str) -> Option<usize> {
    let step = name.strip_prefix("checkpoint-")?.parse().ok()?;
    (folder(step) == name).then_some(step)
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
    pub unreported: (f64, usize),
    /// Validation loss of the untouched model.
    pub eval_loss_before: Option<f64>,
    /// Reports so far, as transformers logs them.
    pub log_history: Vec<BTreeMap<String, Value>>,
    /// The best score so far by the run's metric, and its step; where the best weights are kept.
    pub best: Option<(usize, f64)>,
    /// The best score so far by the run's metric, and how many scores since then were not better by enough, where that may
    /// end the run.
    pub patience: Option<(f64, usize)>,
    /// Of generation, how the untouched model did on each validation text.
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
    /// What the untouched model wrote: the right answer, its own.
    #[serde(default)]
    written_before: Vec<(String, String)>,
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
    plan: (usize, f64),
    config: &RunConfig,
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
        (
            "optimizer.safetensors".to_owned(),
            safetensors::write_numbers(&tensors)?,
        ),
        (
            "trainer_state.json".to_owned(),
            trainer_state(progress, plan, config)?.into_bytes(),
        ),
    ];
    if let Some(best) = best {
        let named = model.parameters.iter().zip(best);
        let named = named.map(|(parameter, values)| (parameter.name.clone(), parameter.shape.clone(), values.clone()));
        files.push((BEST.to_owned(), safetensors::write_f32(&named.collect::<Vec<_>>())?));
    }
    Ok(files)
}

/// transformers' `trainer_state.json`: sorted keys, two spaces. `plan` is (steps in all, epochs done).
fn trainer_state(progress: &Progress, plan: (usize, f64), config: &RunConfig) -> Result<String> {
    let broken = |error: serde_json::Error| Error::internal(format!("trainer_state.json: {error}"));
    let (max_steps, epoch) = plan;
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
        unreported_sum: progress.unreported.0.into(),
        unreported_count: progress.unreported.1,
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
    };
    let own = serde_json::to_value(own).map_err(broken)?;
    let state: BTreeMap<&str, Value> = BTreeMap::from([
        ("best_global_step", json!(best.map(|best| best.1))),
        ("best_metric", json!(best.map(|best| best.0))),
        ("best_model_checkpoint", Value::Null),
        ("epoch", json!(epoch)),
        ("eval_steps", json!(config.eval_steps)),
        ("global_step", json!(progress.step)),
        ("is_hyper_param_search", json!(false)),
        ("is_local_process_zero", json!(true)),
        ("is_world_process_zero", json!(true)),
        ("log_history", json!(progress.log_history)),
        ("logging_steps", json!(config.logging_steps)),
        ("max_steps", json!(max_steps)),
        ("num_input_tokens_seen", json!(progress.tokens_seen)),
        ("num_train_epochs", json!(config.num_train_epochs)),
        ("save_steps", json!(config.save_steps)),
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

impl Checkpoint {
    /// Reads a checkpoint from the files of its folder.
    ///
    /// # Errors
    /// A file is missing or broken.
    pub async fn open(files: &[Source]) -> Result<Self> {
        let file = |name: &str| files.iter().find(|file| file.name() == name);
        let missing = |name: &str| {
            Error::io("this file of the checkpoint is missing")
                .file(name)
                .remedy("Name a folder checkpoint-N that a run of this program wrote.")
        };
        let state = file("trainer_state.json").ok_or_else(|| missing("trainer_state.json"))?;
        let optimizer = file("optimizer.safetensors").ok_or_else(|| missing("optimizer.safetensors"))?;
        let weights = file("adapter_model.safetensors").or_else(|| file("model.safetensors"));
        let weights = weights.ok_or_else(|| missing("adapter_model.safetensors"))?;
        let progress = read_progress(&read_all(state.as_ref(), MOST_STATE_BYTES).await?);
        Ok(Self {
            progress: progress.map_err(|error| error.file(state.name()))?,
            weights: read_tensors(weights).await?,
            optimizer: read_tensors(optimizer).await?,
            best: match file(BEST) {
                Some(best) => Some(read_tensors(best).await?),
                None => None,
            },
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

fn read_progress(bytes: &[u8]) -> Result<Progress> {
    let broken = |error: serde_json::Error| {
        Error::format(format!("is not a state that a run can go on from: {error}"))
            .remedy("Name a folder checkpoint-N that a run of this program wrote.")
    };
    let mut state: Value = serde_json::from_slice(bytes).map_err(broken)?;
    let own = state["stateful_callbacks"]["Lorakeet"].take();
    let own: Own = serde_json::from_value(own).map_err(broken)?;
    Ok(Progress {
        step: own.step,
        loss_sum: own.loss_sum.number()?,
        tokens_seen: own.tokens_seen,
        unreported: (own.unreported_sum.number()?, own.unreported_count),
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
    })
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
        let text = trainer_state(&progress, (8, 0.5), &RunConfig::default()).expect("text");
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
        assert_eq!(read_progress(text.as_bytes()).expect("progress"), progress);
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
    fn a_state_that_transformers_wrote_is_refused() {
        let error = read_progress(b"{\"global_step\": 3, \"stateful_callbacks\": {}}").expect_err("ours is not there");
        assert!(error.remedy.is_some());
    }
}
