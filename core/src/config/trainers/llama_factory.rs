//! LLaMA-Factory: `stage: sft` on conversations, `stage: pt` on texts. dataset_info.json beside the run file names each file of rows
//! by itself, so that the run file names files, too.

use super::{Lines, ROWS, RowForm, RowsFile};
use crate::config::{RunConfig, TargetModules};
use serde_json::Value;

/// Its name of a knob that has the same values there.
pub(super) fn key(knob: &'static str) -> Option<&'static str> {
    Some(match knob {
        "bnb_4bit_quant_type" => "quantization_type",
        "bnb_4bit_use_double_quant" => "double_quantization",
        "lora_r" => "lora_rank",
        "early_stopping_patience" => "early_stopping_steps",
        "model_name_or_path"
        | "adapter_name_or_path"
        | "quantization_bit"
        | "val_size"
        | "max_samples"
        | "cutoff_len"
        | "packing"
        | "enable_thinking"
        | "finetuning_type"
        | "lora_alpha"
        | "lora_dropout"
        | "use_rslora"
        | "use_dora"
        | "loraplus_lr_ratio"
        | "loraplus_lr_embedding"
        | "per_device_train_batch_size"
        | "per_device_eval_batch_size"
        | "gradient_accumulation_steps"
        | "learning_rate"
        | "num_train_epochs"
        | "max_steps"
        | "optim"
        | "weight_decay"
        | "adam_beta1"
        | "adam_beta2"
        | "adam_epsilon"
        | "max_grad_norm"
        | "seed"
        | "data_seed"
        | "lr_scheduler_type"
        | "warmup_ratio"
        | "warmup_steps"
        | "output_dir"
        | "overwrite_output_dir"
        | "resume_from_checkpoint"
        | "logging_strategy"
        | "logging_steps"
        | "eval_strategy"
        | "eval_steps"
        | "save_strategy"
        | "save_steps"
        | "save_total_limit"
        | "predict_with_generate"
        | "max_new_tokens"
        | "metric_for_best_model"
        | "load_best_model_at_end" => knob,
        _ => return None,
    })
}

/// What it writes in another way.
pub(super) fn own_lines(config: &RunConfig, rows: &RowsFile, lines: &mut Lines) {
    lines.line(match rows.form {
        RowForm::Texts => "stage: pt",
        RowForm::Messages => "stage: sft",
    });
    lines.line("do_train: true");
    lines.add(&ROWS, "dataset", &rows.train.as_str().into());
    lines.line("dataset_dir: .");
    if let Some(validation) = &rows.validation {
        lines.add(&[], "eval_dataset", &validation.as_str().into());
    }
    let trains_on_prompt = !config.completion_only_loss;
    lines.add(&["completion_only_loss"], "train_on_prompt", &trains_on_prompt.into());
    lines.add(&["target_modules"], "lora_target", &modules(&config.target_modules));
    if let Some(saved) = &config.modules_to_save {
        lines.add(&["modules_to_save"], "additional_target", &modules(saved));
    }
    // Without it, packed conversations see each other there.
    if config.packing == Some(true) && rows.form == RowForm::Messages {
        lines.line("neat_packing: true");
    }
    // It recomputes activations unless it is told not to.
    let is_off = !config.gradient_checkpointing;
    lines.add(&["gradient_checkpointing"], "gradient_checkpointing", &(!is_off).into());
    lines.line(&format!("disable_gradient_checkpointing: {is_off}"));
}

/// Modules as one text with commas between; `all` is every linear.
fn modules(modules: &TargetModules) -> Value {
    match modules {
        modules if modules.is_all_linear() => "all".into(),
        TargetModules::Pattern(pattern) => pattern.as_str().into(),
        TargetModules::Names(names) => names.join(",").into(),
    }
}
