//! The product's own step, optimizer and schedule over given batches: what tests against the reference's trajectories
//! share.

use crate::golden::{Case, block_on, number};
use crate::test_session::HOST;
use lorakeet_core::{
    config::{RunConfig, SchedulerType},
    data::Batch,
    models::Model,
    tasks::Objective,
    train::{
        optim::AdamW,
        schedule::Schedule,
        step::{StepResult, StepSettings, train_step},
    },
};
use serde_json::Value;

/// A batch as the reference's files hold it: ids, mask and unshifted labels, a row after the other.
pub fn batch(tokens: usize, input_ids: &[f64], attention_mask: &[f64], labels: &[f64]) -> Batch {
    let labels: Vec<i32> = labels.iter().map(|&label| label as i32).collect();
    let is_target = |label: &&i32| **label != -100;
    Batch {
        rows: labels.len() / tokens,
        tokens,
        input_ids: input_ids.iter().map(|&id| id as u32).collect(),
        attention_mask: attention_mask.iter().map(|&value| value as f32).collect(),
        target_tokens: labels
            .chunks(tokens)
            .map(|row| row[1..].iter().filter(is_target).count())
            .sum(),
        input_tokens: attention_mask.iter().filter(|&&value| value != 0.0).count(),
        labels,
        ..Batch::default()
    }
}

/// The names of the tensors that make a batch, in the order in which [`batch_of`] takes them.
pub const PARTS: [&str; 4] = ["input_ids", "attention_mask", "token_type_ids", "labels"];

/// All rows of a case's inputs.
///
/// # Panics
/// If the inputs cannot be read.
pub fn whole_batch(case: &Case) -> Batch {
    let inputs = case.tensors("inputs.safetensors");
    let part = |name: &str| inputs.get(name).map_or(&[][..], |tensor| &tensor.values);
    batch_of(case.kind(), inputs["input_ids"].shape[1], PARTS.map(part))
}

/// The tokens of the batch's longest row that are no padding.
pub fn longest_row(batch: &Batch) -> Vec<u32> {
    let rows = batch
        .input_ids
        .chunks(batch.tokens)
        .zip(batch.attention_mask.chunks(batch.tokens));
    let real = rows.map(|(ids, mask)| {
        let real = ids.iter().zip(mask).filter(|(_, mask)| **mask == 1.0);
        real.map(|(id, _)| *id).collect::<Vec<u32>>()
    });
    real.max_by_key(Vec::len).unwrap_or_default()
}

/// 1 for each of `count` outputs that means something, or for each token of the batch, where padding's outputs mean nothing.
pub fn meaningful(case: &Case, batch: &Batch, count: usize) -> Vec<f32> {
    match case.json["compare_logits_where"].as_str() {
        Some("attention_mask == 1") => batch.attention_mask.clone(),
        _ => vec![1.0; count],
    }
}

/// A batch of a case of any `kind`: `labels` are of tokens, of rows, or an encoder-decoder's answers; `token_type_ids` may be none.
///
/// # Panics
/// If the kind is none that cases have.
pub fn batch_of(kind: &str, tokens: usize, [input_ids, attention_mask, token_type_ids, labels]: [&[f64]; 4]) -> Batch {
    if kind == "causal" {
        return batch(tokens, input_ids, attention_mask, labels);
    }
    let unlabelled = vec![-100.0; input_ids.len()];
    let batch = Batch {
        token_type_ids: token_type_ids.iter().map(|&id| id as u32).collect(),
        ..batch(tokens, input_ids, attention_mask, &unlabelled)
    };
    match kind {
        "seqcls" | "multilabel" | "regression" => Batch {
            labels: Vec::new(),
            row_labels: labels.iter().map(|&label| label as f32).collect(),
            target_tokens: labels.len(),
            ..batch
        },
        "tokcls" | "mlm" | "seq2seq" => Batch {
            labels: labels.iter().map(|&label| label as i32).collect(),
            target_tokens: labels.iter().filter(|&&label| label != -100.0).count(),
            ..batch
        },
        other => panic!("another kind: {other:?}"),
    }
}

/// The schedule that transformers knows by this name, or that `get_NAME_schedule_with_warmup` makes.
///
/// # Panics
/// If it is none.
pub fn scheduler(name: &Value) -> SchedulerType {
    let name = name.as_str().unwrap_or_default();
    let name = name
        .trim_start_matches("get_")
        .trim_end_matches("_schedule_with_warmup");
    serde_json::from_value(name.into()).unwrap_or_else(|error| panic!("another schedule, {name:?}: {error}"))
}

/// AdamW as a case's `optimizer` describes it; schedule and clipping stand elsewhere in each kind of case.
pub fn optimizer(described: &Value) -> RunConfig {
    RunConfig {
        learning_rate: number(&described["lr"]),
        adam_beta1: number(&described["betas"][0]),
        adam_beta2: number(&described["betas"][1]),
        adam_epsilon: number(&described["eps"]),
        weight_decay: number(&described["weight_decay"]),
        ..RunConfig::default()
    }
}

/// Takes the `max_steps` optimizer steps of `config`, without dropout: step s (from 0) on the micro-batches `batches(s)`.
/// `each` is shown every step: its number, what it was done with, what it did, and the model after it.
///
/// # Panics
/// If a step fails.
pub fn take_steps(
    model: &mut Model,
    config: &RunConfig,
    batches: impl Fn(usize) -> Vec<Batch>,
    mut each: impl FnMut(usize, StepSettings, StepResult, &Model),
) {
    let plan = config.plan(1);
    let schedule = Schedule::new(config, &plan);
    let mut optimizer = AdamW::new(&model.parameters, config);
    for step in 0..plan.max_steps {
        let settings = StepSettings {
            step: step + 1,
            learning_rate: schedule.learning_rate(step),
            max_grad_norm: config.max_grad_norm,
            dropout_seed: None,
            gradient_checkpointing: config.gradient_checkpointing,
        };
        let taken = block_on(train_step(
            model,
            &mut optimizer,
            &Objective::default(),
            &batches(step),
            settings,
            &HOST,
        ));
        let done = taken.unwrap_or_else(|error| panic!("step {step}: {error}"));
        each(step, settings, done, model);
    }
}
