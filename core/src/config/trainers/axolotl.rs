//! Axolotl: rows as a data set of the type `chat_template`, or of `completion` where they are texts.

use super::{Lines, ROWS, RowForm, RowsFile};
use crate::config::{FinetuningType, RunConfig, TargetModules};
use serde_json::{Value, json};

/// Its name of a knob that has the same values there.
pub(super) fn key(knob: &'static str) -> Option<&'static str> {
    Some(match knob {
        "model_name_or_path" => "base_model",
        "adapter_name_or_path" => "lora_model_dir",
        "val_size" => "val_set_size",
        "cutoff_len" => "sequence_len",
        "packing" => "sample_packing",
        "layers_to_transform" => "peft_layers_to_transform",
        "use_rslora" => "peft_use_rslora",
        "use_dora" => "peft_use_dora",
        "modules_to_save" => "lora_modules_to_save",
        "per_device_train_batch_size" => "micro_batch_size",
        "per_device_eval_batch_size" => "eval_batch_size",
        "num_train_epochs" => "num_epochs",
        "optim" => "optimizer",
        "lr_scheduler_type" => "lr_scheduler",
        "lora_r"
        | "lora_alpha"
        | "lora_dropout"
        | "loraplus_lr_ratio"
        | "loraplus_lr_embedding"
        | "gradient_accumulation_steps"
        | "gradient_checkpointing"
        | "learning_rate"
        | "max_steps"
        | "weight_decay"
        | "adam_beta1"
        | "adam_beta2"
        | "adam_epsilon"
        | "max_grad_norm"
        | "seed"
        | "output_dir"
        | "resume_from_checkpoint"
        | "logging_steps"
        | "eval_strategy"
        | "eval_steps"
        | "save_strategy"
        | "save_steps"
        | "save_total_limit"
        | "metric_for_best_model"
        | "load_best_model_at_end"
        | "early_stopping_patience" => knob,
        _ => return None,
    })
}

/// What it writes in another way.
pub(super) fn own_lines(config: &RunConfig, rows: &RowsFile, lines: &mut Lines) {
    lines.add(&ROWS, "datasets", &data_set(&rows.train, rows.form));
    if let Some(validation) = &rows.validation {
        lines.add(&[], "test_datasets", &data_set(validation, rows.form));
    }
    let is_lora = config.finetuning_type == FinetuningType::Lora;
    lines.carries(&["finetuning_type", "quantization_bit"]);
    match (is_lora, config.quantization_bit) {
        (true, Some(4)) => lines.line("adapter: qlora"),
        (true, _) => lines.line("adapter: lora"),
        (false, _) => lines.line("adapter: null"),
    }
    lines.line(&format!("load_in_4bit: {}", config.quantization_bit == Some(4)));
    lines.line(&format!("load_in_8bit: {}", config.quantization_bit == Some(8)));
    // Its default is another; a run here computes in 32 bits.
    lines.line("bf16: false");
    let kinds = ["bnb_4bit_quant_type", "bnb_4bit_use_double_quant"];
    let values: Value = kinds
        .iter()
        .map(|name| ((*name).to_owned(), config.get(name).unwrap_or_default()))
        .collect();
    lines.add(&kinds, "bnb_config_kwargs", &values);
    let trains_on_inputs = !config.completion_only_loss;
    lines.add(&["completion_only_loss"], "train_on_inputs", &trains_on_inputs.into());
    match &config.target_modules {
        modules if modules.is_all_linear() => lines.add(&["target_modules"], "lora_target_linear", &true.into()),
        TargetModules::Pattern(pattern) => {
            lines.add(&["target_modules"], "lora_target_modules", &pattern.as_str().into());
        }
        TargetModules::Names(names) => lines.add(&["target_modules"], "lora_target_modules", &json!(names)),
    }
}

/// A list of one data set in a file beside the run file.
fn data_set(file: &str, form: RowForm) -> Value {
    match form {
        RowForm::Texts => json!([{ "path": file, "ds_type": "json", "type": "completion", "field": "text" }]),
        RowForm::Messages => {
            json!([{ "path": file, "ds_type": "json", "type": "chat_template", "field_messages": "messages" }])
        }
    }
}
