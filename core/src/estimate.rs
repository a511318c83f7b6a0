//! What a run takes on the device, before it is started: the base to the byte, the peak of a step within a few percent.
//!
//! A step's memory is, in bytes of which a number takes 4,
//!
//! peak = base + tables + adapter + moments + max over a step of (gradients + activations + working)
//!
//! - base: the model's weights, packed as the run wants them; the very number that `ModelInfo::weight_bytes` has after
//!   loading. Full training holds them in 32 bits.
//! - tables: sines and cosines of rotary embeddings, 2 · positions · D/2 numbers.
//! - adapter: Σ R·(in + out) numbers over the chosen linears, and those of a classifier's head, which is trained whole; none
//!   in full training.
//! - moments: AdamW's two, twice the numbers that are trained; about half of one of them with `optim: adamw_8bit`.
//! - gradients: as many numbers as are trained, once a micro-batch is through; a second micro-batch's come on top of the
//!   first's sum.
//! - activations: what the operations keep for their backward pass. For a layer of Llama with adapters on all linears that
//!   is N·(4·C + 2·H·D + 2·K·D + H + 3·I + Σ R) numbers, I the width of the MLP, N = B·T; for one of GPT-2
//!   N·(8·C + 2·I + Σ R). A packed linear without an adapter keeps nothing, a dense one its input.
//! - working: what lives inside one operation; the largest are a chunk of logits and its gradient (2 · 32 MiB at most), and
//!   the gradients of the MLP (3·N·I). Attention makes no matrix of its scores.
//!
//! The last three do not peak together, so they are not added up: the model's own forward pass and its backward pass run once
//! with sizes instead of tensors (`models/memory.rs`). Rows are taken to be as long as `cutoff_len`, answers of an
//! encoder-decoder too, and all of their tokens to be targets: shorter texts take less.
//!
//! With `gradient_checkpointing` the layers are such passes of their own (`models/memory/in_parts.rs`): what is kept is N·C
//! numbers a layer, and the rest is one layer's at a time.
//!
//! Without a head, with adapters on embeddings or with DoRA, and of a recurrent network on numbers, the last two and the peak
//! are not told.
//!
//! `check` refuses a run whose passes make a tensor that the device cannot give a kernel in one buffer, or that takes more
//! memory than the host allows.
//!
//! The same passes count what there is to compute ([`StepWork`]); with what a device was measured to do, that gives about the
//! time of a step.
//!
//! After a run, what its steps took scales the forecasts for the same model and device (`estimate/learnt.rs`).
//!
//! Left out are what the allocator reserves beyond what is in use, sampling, and whatever other programs hold.

mod learnt;
mod work;

pub(crate) use learnt::LastPace;
pub use work::StepWork;

use crate::{
    config::{FinetuningType, RunConfig},
    device,
    error::{Error, Kind, Result},
    formats::{
        ModelFiles,
        peft::{AdapterConfig, chosen_modules},
    },
    loaded_model::adapter_config,
    models::{
        ModelSkeleton, has_trained_copy,
        memory::{Adapters, Buffer, DryRun, GradientPlaces, LargestTensor, MemoryLedger},
    },
    protocol::{MemoryEstimate, Probe},
    quant::BaseFormat,
    tasks::length_step,
    train::optim::{group_sizes, is_grouped, moments_bytes},
};
use burn::tensor::Device;
use lorakeet_i18n::{Message, messages::device as msg};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Bytes of a number.
const F32: u64 = 4;
/// Gradients whose squares one kernel sums.
const SQUARES_AT_A_TIME: usize = 7;
/// What the optimizer writes of a weight: it, and its two moments.
const WRITTEN_A_WEIGHT: u64 = 3 * F32;

/// What the run `config` on the model `files` takes on a device with buffers of `largest_buffer_bytes` at most
/// ([`crate::device::largest_buffer_bytes`]), with fresh adapters or those of an `adapter` that was given.
///
/// # Errors
/// An architecture that is not supported, a missing or misshapen tensor, names of adapters' modules that match nothing.
pub async fn estimate(
    files: &ModelFiles,
    config: &RunConfig,
    adapter: Option<&AdapterConfig>,
    largest_buffer_bytes: u64,
) -> Result<MemoryEstimate> {
    Ok(forecast(files, config, adapter, largest_buffer_bytes).await?.memory)
}

/// The same, and what there is to do in a step, where the run's passes are known.
///
/// # Errors
/// As of [`estimate`].
pub async fn estimate_with_work(
    files: &ModelFiles,
    config: &RunConfig,
    adapter: Option<&AdapterConfig>,
    largest_buffer_bytes: u64,
) -> Result<(MemoryEstimate, Option<StepWork>)> {
    let forecast = forecast(files, config, adapter, largest_buffer_bytes).await?;
    Ok((forecast.memory, forecast.work))
}

/// Refuses the run `config` where `device` cannot take it: where a tensor of its passes is larger than what a kernel can be
/// given in one buffer, or the run than [`device::memory_limit`]. Gives what the run takes at its peak, where that is known;
/// where neither is limited, nothing is estimated.
///
/// # Errors
/// [`Kind::OutOfMemory`] with the tensor's name and the settings that would fit; as of [`estimate`].
pub(crate) async fn check(
    files: &ModelFiles,
    config: &RunConfig,
    adapter: Option<&AdapterConfig>,
    device: &Device,
) -> Result<Option<u64>> {
    let (limit, memory_limit) = (device::largest_buffer_bytes(device), device::memory_limit());
    if limit == u64::MAX && memory_limit.is_none() {
        return Ok(None);
    }
    let forecast = forecast(files, config, adapter, limit).await?;
    for (largest, knob, rows) in forecast.largest_tensors(config) {
        if largest.bytes > limit {
            return Err(too_large(largest, limit, (knob, rows), forecast.tokens));
        }
    }
    let memory = forecast.memory;
    let lasting_bytes = memory.base_bytes + memory.adapter_bytes + memory.optimizer_bytes;
    let bytes = memory.peak_bytes.unwrap_or(lasting_bytes);
    match memory_limit.filter(|&limit| bytes > limit) {
        None => Ok(memory.peak_bytes),
        Some(limit) => {
            let what = msg::RunTooLarge {
                size: bytes >> 20,
                limit: limit >> 20,
            };
            let less = with_less(files, config, adapter, device).await?;
            let remedy: Message = match less.filter(|&bytes| bytes <= limit) {
                Some(bytes) => msg::KeepLess { size: bytes >> 20 }.into(),
                None => msg::LowerRun.into(),
            };
            Err(Error::new(Kind::OutOfMemory, what).remedy(remedy))
        }
    }
}

/// What the run would take with `gradient_checkpointing`, where it is without and would take less with it.
///
/// # Errors
/// As of [`estimate`].
pub(crate) async fn with_less(
    files: &ModelFiles,
    config: &RunConfig,
    adapter: Option<&AdapterConfig>,
    device: &Device,
) -> Result<Option<u64>> {
    if config.gradient_checkpointing {
        return Ok(None);
    }
    let limit = device::largest_buffer_bytes(device);
    let today = forecast(files, config, adapter, limit).await?.memory.peak_bytes;
    let config = RunConfig {
        gradient_checkpointing: true,
        ..config.clone()
    };
    let bytes = forecast(files, &config, adapter, limit).await?.memory.peak_bytes;
    Ok(bytes.filter(|&bytes| today.is_some_and(|today| bytes < today)))
}

/// The refusal of a tensor, with the most rows and tokens for which it would fit.
fn too_large(tensor: &LargestTensor, limit: u64, (knob, rows): (&'static str, usize), tokens: Option<usize>) -> Error {
    let share = limit as f64 / tensor.bytes as f64;
    let shape = format!("{:?}", tensor.shape);
    let rows = (rows as f64 * share) as usize;
    let tokens = tokens.map_or(0, |tokens| (tokens as f64 * share) as usize);
    // Only a GPU has such limits.
    let step = length_step(tokens, true);
    let tokens = tokens / step * step;
    let remedy: Message = match (rows, tokens) {
        (0, 0) => msg::LowerRun.into(),
        (rows, 0) => msg::LowerRows { knob, rows }.into(),
        (0, tokens) => msg::LowerTokens { tokens }.into(),
        (rows, tokens) => msg::LowerRowsOrTokens { knob, rows, tokens }.into(),
    };
    let what = msg::TensorTooLarge {
        size: tensor.bytes.div_ceil(1 << 20),
        limit: limit >> 20,
    };
    Error::new(Kind::OutOfMemory, what)
        .field(Message::from(msg::Activations { shape }))
        .remedy(remedy)
}

/// What `device` is expected to do, from what was measured on it.
pub(crate) fn expect_rate(device: &Device, probe: &Probe) {
    if device::is_gpu(device) {
        device::expect_rate(work::SHARE_OF_PRODUCTS * probe.gflops * 1e6, probe.await_ms);
    }
}

/// What is known of a run before it is started.
struct Forecast {
    memory: MemoryEstimate,
    work: Option<StepWork>,
    /// The largest tensors of a score and of a step, where they are known.
    largest_of_score: Option<LargestTensor>,
    largest_of_step: Option<LargestTensor>,
    /// Tokens of a row, where rows hold tokens.
    tokens: Option<usize>,
}

impl Forecast {
    /// The largest tensor of each pass, with the knob that sets its rows and that knob's value.
    fn largest_tensors(&self, config: &RunConfig) -> impl Iterator<Item = (&LargestTensor, &'static str, usize)> {
        let of_step = ("per_device_train_batch_size", config.per_device_train_batch_size);
        let of_score = ("per_device_eval_batch_size", config.per_device_eval_batch_size);
        [(&self.largest_of_step, of_step), (&self.largest_of_score, of_score)]
            .into_iter()
            .filter_map(|(largest, (knob, rows))| Some((largest.as_ref()?, knob, rows)))
    }
}

async fn forecast(
    files: &ModelFiles,
    config: &RunConfig,
    adapter: Option<&AdapterConfig>,
    largest_buffer_bytes: u64,
) -> Result<Forecast> {
    let full = config.finetuning_type == FinetuningType::Full;
    let skeleton = ModelSkeleton::read(files, (full, BaseFormat::from(config)), largest_buffer_bytes).await?;
    let mut adapters = Adapters::default();
    // The numbers of each trained tensor.
    let mut trained: Vec<usize> = Vec::new();
    let mut known = true;
    if full {
        let parameters = skeleton.parameters.iter();
        trained.extend(parameters.map(|parameter| parameter.shape.iter().product::<usize>()));
    } else {
        let linears = skeleton.linears();
        let body = linears.len() - skeleton.linears_in_head();
        let mut paths: Vec<&str> = linears.iter().map(|linear| linear.path.as_str()).collect();
        let adapter = match adapter {
            Some(given) => given.clone(),
            None => {
                let wanted = adapter_config(config, &skeleton.info)?;
                skeleton.check_adapter_names(&wanted)?;
                wanted
            }
        };
        let adapter = skeleton.with_head(&adapter);
        if !adapter.target_modules.is_all_linear() {
            paths.extend(skeleton.embedding_paths());
        }
        let chosen = chosen_modules(&paths, &adapter)?;
        let mut ranks: BTreeMap<String, usize> = chosen.into_iter().map(|module| (module.path, module.r)).collect();
        for (i, linear) in linears.into_iter().enumerate() {
            if has_trained_copy(&linear.path, i >= body, &adapter) {
                trained.push(linear.inputs * linear.outputs);
                trained.extend(linear.bias.as_ref().map(|_| linear.outputs));
                adapters.whole.insert(linear.path.clone());
            } else if let Some(rank) = ranks.remove(&linear.path) {
                trained.extend([linear.inputs, linear.outputs].map(|side| rank.saturating_mul(side)));
                if adapter.use_dora {
                    trained.push(linear.outputs);
                }
                adapters.ranks.insert(linear.path.clone(), rank);
            }
        }
        // DoRA's norms and adapters on embeddings are not part of a dry run.
        known = !adapter.use_dora && !skeleton.embedding_paths().any(|path| ranks.contains_key(path));
    }
    let trained_parameters = trained.iter().sum::<usize>() as u64;
    let moments = |numbers: &usize| moments_bytes(*numbers, config.optim);
    let optimizer_bytes = trained.iter().map(moments).sum::<u64>();
    let adapter_bytes = if full { 0 } else { 4 * trained_parameters };
    let lasting_bytes = skeleton.info.weight_bytes + skeleton.table_bytes + adapter_bytes + optimizer_bytes;

    let ledger = MemoryLedger::default();
    let _lasting = ledger.hold(lasting_bytes);
    let limits = skeleton.limits();
    let longest = limits.cutoff(config.cutoff_len);
    let tokens = limits.padded(longest, length_step(longest, largest_buffer_bytes < u64::MAX));
    let (on_gpu, optim) = (largest_buffer_bytes < u64::MAX, config.optim);
    let groups = if on_gpu {
        group_sizes(&trained, optim)
    } else {
        Vec::new()
    };
    let places = GradientPlaces {
        bytes: F32 * groups.iter().sum::<usize>() as u64,
        has_place: Rc::new(move |bytes| on_gpu && is_grouped((bytes / F32) as usize, optim)),
    };
    let pass = |rows: usize, trains: bool| {
        let dry_run = DryRun::new(&ledger, &adapters, trains, trains && config.lora_dropout > 0.0);
        skeleton.dry_run(&dry_run, &skeleton.full_batch(rows, tokens)?);
        Some(dry_run)
    };
    let (mut largest_of_score, mut largest_of_step) = (None, None);
    let mut run = || {
        // The base model is scored before the first step.
        if config.val_size > 0.0 || config.validation_file.is_some() {
            drop(pass(config.per_device_eval_batch_size, false)?);
            largest_of_score = ledger.take_largest();
        }
        let mut gradients: Option<Vec<Buffer>> = None;
        let mut activation_bytes = 0;
        drop(ledger.take_work());
        let mut micro_batch = None;
        // From the second micro-batch on, all are alike.
        for _ in 0..config.gradient_accumulation_steps.min(2) {
            let before = ledger.in_use();
            let made;
            if config.gradient_checkpointing && skeleton.has_parts() {
                let batch = skeleton.full_batch(config.per_device_train_batch_size, tokens)?;
                let adapters = (&adapters, config.lora_dropout > 0.0);
                (activation_bytes, made) = skeleton.dry_run_in_parts(&ledger, adapters, &batch, &places);
            } else {
                let dry_run = pass(config.per_device_train_batch_size, true)?;
                activation_bytes = ledger.in_use() - before;
                made = dry_run.backward(&places);
            }
            gradients.get_or_insert(made);
            micro_batch.get_or_insert_with(|| ledger.take_work());
        }
        largest_of_step = ledger.take_largest();
        // The optimizer makes one tensor after the other anew, with its moments, and lets the old ones and the gradient go; on a
        // GPU a group of them at a time.
        drop(gradients);
        let mut left = trained_parameters;
        let is_alone = |numbers: &&usize| !on_gpu || !is_grouped(**numbers, optim);
        let alone: Vec<usize> = trained.iter().filter(is_alone).copied().collect();
        let mut updates = vec![F32; alone.len().div_ceil(SQUARES_AT_A_TIME) + groups.len()];
        for numbers in groups.iter().map(|numbers| *numbers as u64) {
            drop(ledger.hold(4 * (left + 3 * numbers)));
            updates.push(WRITTEN_A_WEIGHT * numbers);
            left -= numbers;
        }
        for numbers in &alone {
            drop(ledger.hold(4 * (left + *numbers as u64) + moments(numbers)));
            left -= *numbers as u64;
        }
        updates.extend(alone.iter().map(|&numbers| WRITTEN_A_WEIGHT * numbers as u64));
        let work = StepWork {
            micro_batch: micro_batch.unwrap_or_default(),
            micro_batches: config.gradient_accumulation_steps,
            updates,
        };
        Some(((activation_bytes, ledger.peak()), work))
    };
    let (bytes, work) = run().filter(|_| known).unzip();
    let (activation_bytes, peak_bytes) = bytes.unzip();
    Ok(Forecast {
        memory: MemoryEstimate {
            parameters: skeleton.info.parameters,
            base_bytes: skeleton.info.weight_bytes,
            trained_parameters,
            adapter_bytes,
            optimizer_bytes,
            gradient_bytes: 4 * trained_parameters,
            activation_bytes,
            peak_bytes,
        },
        work,
        largest_of_score,
        largest_of_step,
        tokens: (skeleton.info.vocab_size > 0).then_some(tokens),
    })
}
