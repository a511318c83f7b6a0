//! What a run may change when it goes on from a checkpoint: every knob stands in one of these lists, and a new one fails a test until
//! it does. What changes a step that was done, or what the run learns, is refused; the length is, too, where the steps done would
//! have had other learning rates; the rest is said.

use super::schedule::Schedule;
use crate::config::{Plan, RunConfig};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;

/// What it means that a knob has another value when a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It would be another run.
    Refused,
    /// The run gets another length.
    Length,
    /// What is reported, scored and saved changes, and no step: it is said.
    Said,
    /// Where files lie. What they hold is compared instead.
    Silent,
}

/// [`Change::Silent`].
const SILENT: [&str; 7] = [
    "model_name_or_path",
    "adapter_name_or_path",
    "train_file",
    "validation_file",
    "output_dir",
    "overwrite_output_dir",
    "resume_from_checkpoint",
];

/// [`Change::Length`].
const LENGTH: [&str; 2] = ["num_train_epochs", "max_steps"];

/// [`Change::Said`].
const SAID: [&str; 12] = [
    "per_device_eval_batch_size",
    "gradient_checkpointing",
    "logging_strategy",
    "logging_steps",
    "eval_strategy",
    "eval_steps",
    "save_strategy",
    "save_steps",
    "divergence",
    "early_stopping_patience",
    "early_stopping_threshold",
    "save_total_limit",
];

/// [`Change::Refused`].
const REFUSED: [&str; 70] = [
    "quantization_bit",
    "bnb_4bit_quant_type",
    "bnb_4bit_use_double_quant",
    "fp8",
    "fp8_scale",
    "hidden_size",
    "num_hidden_layers",
    "hidden_act",
    "hidden_dropout_prob",
    "patch_size",
    "classifier_pooling",
    "classifier_hidden_size",
    "classifier_activation",
    "classifier_dropout",
    "head_init",
    "task",
    "problem_type",
    "scale_targets",
    "scale_inputs",
    "encoding",
    "drop_rows",
    "header",
    "prompt_columns",
    "completion_column",
    "system_column",
    "text_columns",
    "label_columns",
    "forecast_window",
    "val_size",
    "max_samples",
    "cutoff_len",
    "packing",
    "completion_only_loss",
    "data_seed",
    "finetuning_type",
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "use_dora",
    "loraplus_lr_ratio",
    "loraplus_lr_embedding",
    "modules_to_save",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "learning_rate",
    "loss",
    "optim",
    "weight_decay",
    "adam_beta1",
    "adam_beta2",
    "adam_epsilon",
    "max_grad_norm",
    "seed",
    "lr_scheduler_type",
    "warmup_ratio",
    "warmup_steps",
    "num_cycles",
    "power",
    "lr_end",
    "predict_with_generate",
    "max_predict_samples",
    "max_new_tokens",
    "metric_for_best_model",
    "load_best_model_at_end",
];

/// What it means that this knob changes; none where it stands in no list, which [`Change::Refused`] is meant to be then.
pub fn change_of(knob: &str) -> Option<Change> {
    let lists: [(&[&str], Change); 4] = [
        (&SILENT, Change::Silent),
        (&LENGTH, Change::Length),
        (&SAID, Change::Said),
        (&REFUSED, Change::Refused),
    ];
    let mut lists = lists.into_iter();
    lists.find(|(names, _)| names.contains(&knob)).map(|(_, change)| change)
}

/// Whether a run that had `before` steps when it had done `done` of them may have those of `plan`: only if the steps done would
/// have had the same rates.
///
/// # Errors
/// Which schedule keeps it from that.
pub(super) fn check_length(config: &RunConfig, plan: &Plan, before: usize, done: usize) -> Result<Option<Message>> {
    // One that has done more than it is to have is refused elsewhere.
    if before == plan.max_steps || done > plan.max_steps {
        return Ok(None);
    }
    let old = Plan {
        max_steps: before,
        warmup_steps: config.planned_warmup(before),
        ..*plan
    };
    let [old, new] = [old, *plan].map(|plan| Schedule::new(config, &plan));
    let steps = plan.max_steps;
    if (0..done).all(|step| old.learning_rate(step) == new.learning_rate(step)) {
        return Ok(Some(msg::LengthChanged { steps, before }.into()));
    }
    let field = match config.max_steps > 0 {
        true => "max_steps",
        false => "num_train_epochs",
    };
    let schedule = config.lr_scheduler_type.name();
    let error = Error::config(msg::LengthChangesRates {
        steps,
        before,
        schedule,
    })
    .field(field);
    Err(error.remedy(msg::SetLengthBack { before }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{KNOBS, SchedulerType};
    use std::collections::BTreeSet;

    #[test]
    fn every_knob_stands_in_one_list() {
        let listed: Vec<&str> = [&SILENT[..], &LENGTH, &SAID, &REFUSED].concat();
        let once: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(once.len(), listed.len(), "a knob stands in two lists");
        let known: BTreeSet<&str> = KNOBS.iter().map(|knob| knob.name).collect();
        let (missing, unknown) = (&known - &once, &once - &known);
        assert!(
            missing.is_empty(),
            "may a run change these when it goes on? {missing:?}"
        );
        assert!(unknown.is_empty(), "these are no knobs: {unknown:?}");
    }

    #[test]
    fn a_run_gets_longer_where_the_steps_done_have_the_same_rates() {
        let at = |kind, warmup_steps, done| {
            let config = RunConfig {
                lr_scheduler_type: kind,
                warmup_steps,
                warmup_ratio: 0.1,
                max_steps: 40,
                ..RunConfig::default()
            };
            check_length(&config, &config.plan(100), 20, done)
        };
        use SchedulerType::{Constant, ConstantWithWarmup, Cosine, InverseSqrt, Linear};
        for (kind, warmup_steps) in [(Constant, 0), (ConstantWithWarmup, 3), (InverseSqrt, 3)] {
            assert!(at(kind, warmup_steps, 20).expect("it may").is_some(), "{kind:?}");
        }
        for (kind, warmup_steps) in [(Cosine, 0), (Linear, 3), (ConstantWithWarmup, 0), (InverseSqrt, 0)] {
            let error = at(kind, warmup_steps, 10).expect_err("other rates");
            let text = error.to_string();
            assert!(
                text.contains(kind.name()) && text.contains("40") && text.contains("20"),
                "{text}"
            );
            assert_eq!(error.field_name(), Some("max_steps"));
        }
        // As long as nothing but the warm-up is done.
        assert!(at(Cosine, 3, 3).expect("it may").is_some());
        assert!(at(Cosine, 3, 41).expect("refused elsewhere").is_none());
    }
}
