//! TRL's command `trl sft`: its script's arguments, SFTConfig (transformers' TrainingArguments and more) and ModelConfig in one file.

use super::{Lines, ROWS, RowForm, RowsFile};
use crate::config::{FinetuningType, RunConfig, TargetModules};
use serde_json::json;

/// Its name of a knob that has the same values there.
pub(super) fn key(knob: &'static str) -> Option<&'static str> {
    Some(match knob {
        "bnb_4bit_use_double_quant" => "use_bnb_nested_quant",
        "val_size" => "test_split_size",
        "cutoff_len" => "max_length",
        "modules_to_save" => "lora_modules_to_save",
        "model_name_or_path"
        | "bnb_4bit_quant_type"
        | "packing"
        | "data_seed"
        | "lora_r"
        | "lora_alpha"
        | "lora_dropout"
        | "use_rslora"
        | "use_dora"
        | "per_device_train_batch_size"
        | "per_device_eval_batch_size"
        | "gradient_accumulation_steps"
        | "gradient_checkpointing"
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
        | "lr_scheduler_type"
        | "output_dir"
        | "resume_from_checkpoint"
        | "logging_strategy"
        | "logging_steps"
        | "eval_strategy"
        | "eval_steps"
        | "save_strategy"
        | "save_steps"
        | "save_total_limit"
        | "metric_for_best_model"
        | "load_best_model_at_end" => knob,
        _ => return None,
    })
}

/// What it writes in another way.
pub(super) fn own_lines(config: &RunConfig, rows: &RowsFile, lines: &mut Lines) {
    match &rows.validation {
        None => {
            let sets = json!([{ "path": "json", "data_files": rows.train, "split": "train" }]);
            lines.add(&ROWS, "datasets", &sets);
        }
        // Several data sets of `datasets` are joined; a folder's files are its splits by their names.
        Some(_) => {
            lines.add(&ROWS, "dataset_name", &".".into());
            lines.line("dataset_train_split: train");
            lines.line("dataset_test_split: validation");
        }
    }
    if config.val_size == 0.0 {
        lines.carries(&["val_size"]);
    }
    let is_lora = config.finetuning_type == FinetuningType::Lora;
    lines.add(&["finetuning_type"], "use_peft", &is_lora.into());
    lines.carries(&["quantization_bit"]);
    lines.line(&format!("load_in_4bit: {}", config.quantization_bit == Some(4)));
    lines.line(&format!("load_in_8bit: {}", config.quantization_bit == Some(8)));
    // Its default is another; a run here computes in 32 bits.
    lines.line("bf16: false");
    let answers_only = match rows.form {
        RowForm::Texts => "completion_only_loss",
        RowForm::Messages => "assistant_only_loss",
    };
    lines.add(
        &["completion_only_loss"],
        answers_only,
        &config.completion_only_loss.into(),
    );
    let modules = match &config.target_modules {
        modules if modules.is_all_linear() => json!(["all-linear"]),
        TargetModules::Pattern(pattern) => json!(pattern),
        TargetModules::Names(names) => json!(names),
    };
    lines.add(&["target_modules"], "lora_target_modules", &modules);
}
