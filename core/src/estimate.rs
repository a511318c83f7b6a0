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
//!   is N·(4·C + 2·H·D + 2·K·D + 3·I + Σ R) numbers, I the width of the MLP, N = B·T; for one of GPT-2
//!   N·(8·C + 2·I + Σ R). A packed linear without an adapter keeps nothing, a dense one its input.
//! - working: what lives inside one operation; the largest are a chunk of logits and its gradient (2 · 32 MiB at most),
//!   the probabilities of attention (3 · B·H·T² numbers in the backward pass), and the gradients of the MLP (3·N·I).
//!
//! The last three do not peak together, so they are not added up: the model's own forward pass and its backward pass run once
//! with sizes instead of tensors (`models/memory.rs`). Rows are taken to be as long as `cutoff_len`, answers of an
//! encoder-decoder too, and all of their tokens to be targets: shorter texts take less.
//!
//! Without a head, with adapters on embeddings or with DoRA, and of a recurrent network on numbers, the last two and the peak
//! are not told.
//!
//! Left out are what the allocator reserves beyond what is in use, sampling, and whatever other programs hold.

use crate::{
    config::{FinetuningType, RunConfig},
    error::Result,
    formats::{
        ModelFiles,
        peft::{AdapterConfig, chosen_modules},
    },
    loaded_model::adapter_config,
    models::{
        ModelSkeleton, has_trained_copy,
        memory::{Adapters, Buffer, DryRun, MemoryLedger},
    },
    protocol::MemoryEstimate,
    quant::BaseFormat,
    tasks::PAD_TO_MULTIPLE_OF,
    train::optim::moments_bytes,
};
use std::collections::BTreeMap;

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
    let tokens = limits.padded(limits.cutoff(config.cutoff_len), PAD_TO_MULTIPLE_OF);
    let pass = |rows: usize, trains: bool| {
        let dry_run = DryRun::new(&ledger, &adapters, trains, trains && config.lora_dropout > 0.0);
        skeleton.dry_run(&dry_run, &skeleton.full_batch(rows, tokens)?);
        Some(dry_run)
    };
    let run = || {
        if !known {
            return None;
        }
        // The base model is scored before the first step.
        if config.val_size > 0.0 || config.validation_file.is_some() {
            drop(pass(config.per_device_eval_batch_size, false)?);
        }
        let mut gradients: Option<Vec<Buffer>> = None;
        let mut activation_bytes = 0;
        // From the second micro-batch on, all are alike.
        for _ in 0..config.gradient_accumulation_steps.min(2) {
            let before = ledger.in_use();
            let dry_run = pass(config.per_device_train_batch_size, true)?;
            activation_bytes = ledger.in_use() - before;
            let made = dry_run.backward();
            gradients.get_or_insert(made);
        }
        // The optimizer makes one tensor after the other anew, with its moments, and lets the old ones and the gradient go.
        drop(gradients);
        let mut left = trained_parameters;
        for numbers in &trained {
            drop(ledger.hold(4 * (left + *numbers as u64) + moments(numbers)));
            left -= *numbers as u64;
        }
        Some((activation_bytes, ledger.peak()))
    };
    let (activation_bytes, peak_bytes) = run().unzip();
    Ok(MemoryEstimate {
        parameters: skeleton.info.parameters,
        base_bytes: skeleton.info.weight_bytes,
        trained_parameters,
        adapter_bytes,
        optimizer_bytes,
        gradient_bytes: 4 * trained_parameters,
        activation_bytes,
        peak_bytes,
    })
}
