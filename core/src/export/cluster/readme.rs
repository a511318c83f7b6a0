//! README.md beside the script: how it is started, what lies where, and what differs from the run in this program.

use super::PreparedRun;
use crate::config::{FinetuningType, Optimizer};
use std::fmt::Write;

const TEXT: &str = include_str!("readme.md");

/// The text; `left` are the knobs that the script does not have.
pub(super) fn of_script(run: &PreparedRun, left: &[&str]) -> String {
    let config = &run.config;
    let goes_on = match run.first_step {
        0 => "trains an adapter from the first step of its run on".to_owned(),
        step => format!("goes on with a run from optimizer step {step} on"),
    };
    let gguf = match run.is_gguf {
        true => {
            " It is a GGUF file, which transformers cannot train on as it is: write it as a folder with \
             `lorakeet export FILE.gguf --to merged --dtype float32 --output_dir base`, and name that with `--model base`."
        }
        false => "",
    };
    let rows = config.per_device_train_batch_size * config.gradient_accumulation_steps;
    let moments = match &run.optimizer {
        Some(_) => ", with AdamW's moments and the number of the step",
        None => "",
    };
    let values = [
        ("goes_on", goes_on),
        ("model", config.model_name_or_path.clone()),
        ("gguf", gguf.to_owned()),
        ("steps", run.plan.max_steps.to_string()),
        ("rows", rows.to_string()),
        ("examples", run.train.len().to_string()),
        ("held_out", run.held_out.len().to_string()),
        ("moments", moments.to_owned()),
        ("differences", differences(run, left)),
    ];
    let mut text = TEXT.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), &value);
    }
    text
}

/// One line for each difference.
fn differences(run: &PreparedRun, left: &[&str]) -> String {
    let config = &run.config;
    let mut text = String::new();
    let mut line = |words: &str| {
        let _ = writeln!(text, "- {words}");
    };
    if config.lora_dropout > 0.0 || run.head.as_ref().is_some_and(|head| head.dropout > 0.0) {
        line(
            "Dropout draws other masks, so losses agree in their course and not in their digits; with `lora_dropout: 0` (and \
             `classifier_dropout: 0`) they do.",
        );
    }
    if run.first_step > 0 && run.optimizer.is_none() {
        line("AdamW's moments start from zero: 8-bit ones are not carried over. The first steps may be rougher.");
    }
    if config.optim == Optimizer::Adamw8bit {
        line("Checkpoints of the script hold no moments of eight bits.");
    }
    if config.quantization_bit == Some(8) {
        line("bitsandbytes rounds the inputs of its 8-bit linears as well, which Lorakeet does not.");
    }
    if config.finetuning_type == FinetuningType::Lora && config.fp8.is_some() {
        line("The base is not rounded to 8-bit floats: `fp8` has no counterpart here.");
    }
    if run.head.is_some() {
        line(
            "The head has another shape than transformers' for the architecture: the script builds it, and whoever loads the adapter \
             has to do so, too (`put_head` in train.py).",
        );
    }
    if run.task == crate::task::Task::Regression && config.scale_targets {
        line("Targets in the rows are standardised, as the run has them: what the model answers is to be scaled back.");
    }
    line("Numbers are rounded otherwise: sums are added up in another order.");
    for knob in left {
        line(&format!("`{knob}` is not carried over."));
    }
    text
}
