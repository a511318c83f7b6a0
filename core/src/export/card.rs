//! The model card: a README.md with what the hub's readers look for, and what is known of the run.

use super::bitsandbytes::Packing;
use super::merged::Merged;
use super::{Form, Settings, name_of};
use crate::config::HeadPooling;
use crate::formats::peft::{Adapter, AdapterConfig};
use crate::formats::{ModelFiles, Storage};
use crate::models::registry::of_model_type;
use crate::task::Task;
use std::fmt::Write;

/// What is known of the run behind an export.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRecord {
    /// The base's name or path, as the run has it.
    pub base: Option<String>,
    /// The base's licence.
    pub license: Option<String>,
    /// What was learnt.
    pub task: Option<Task>,
    /// How the run pooled vectors of texts, where its settings say it (`classifier_pooling`).
    pub pooling: Option<HeadPooling>,
    /// Tokens of a row at most, as the run had it (`cutoff_len`).
    pub most_tokens: Option<usize>,
    /// The optimizer step whose weights these are.
    pub step: Option<u64>,
    /// Whether that step scored best, and others came after it.
    pub is_best: bool,
    /// Whether it is the last one of the run.
    pub is_last: bool,
    /// The settings of the run, as YAML.
    pub settings: Option<String>,
    /// Scores by their names: of what, value.
    pub scores: Vec<(String, f64)>,
    /// What was trained on: which part, and the SHA-256 of the file.
    pub data: Vec<(String, String)>,
}

/// The card of an export.
pub(super) fn card(merged: &Merged<'_>, settings: Settings, record: &RunRecord) -> String {
    let names = (merged.files.name.as_str(), merged.architecture.name);
    text(names, merged.settings.as_ref(), settings, record)
}

/// The card of a model whose linears are packed.
pub(super) fn packed_card(merged: &Merged<'_>, packing: Packing, record: &RunRecord) -> String {
    let name = merged.files.name.as_str();
    let base = record.base.as_deref().unwrap_or(name);
    let license = record.license.as_deref();
    let bits = match packing {
        Packing::Nf4 | Packing::Fp4 => "4-bit",
        Packing::Int8 => "8-bit",
    };
    let rows = [
        ("Base model", base),
        ("Architecture", merged.architecture.name),
        ("Licence of the base", license.unwrap_or(NO_LICENSE)),
        ("Number format", packing.name()),
    ];
    let mut text = format!(
        "---\nbase_model: {}\nlibrary_name: transformers\nlicense: {}\ntags:\n- lorakeet\n- bitsandbytes\n- {bits}\n---\n\n\
         # {} with linears in {}\n\nLoad the folder with `AutoModel…from_pretrained` of transformers, with bitsandbytes installed. \
         Embeddings, norms and heads have the number format of the base.\n\n| | |\n| --- | --- |\n",
        quoted(base),
        quoted(license.unwrap_or("other")),
        line(name),
        packing.name(),
    );
    for (what, value) in rows {
        let _ = writeln!(text, "| {what} | {} |", line(value));
    }
    text
}

/// What stands for a licence that is not known.
const NO_LICENSE: &str = "not known; check it before you publish these files";

/// The card of an adapter as it is.
pub(super) fn peft_card(base: &ModelFiles, adapter: &Adapter, settings: Settings, record: &RunRecord) -> String {
    let model_type = base.config["model_type"].as_str().unwrap_or_default();
    let architecture = of_model_type(model_type).map_or(model_type, |found| found.name);
    text((&base.name, architecture), Some(&adapter.config), settings, record)
}

fn text(
    (name, architecture): (&str, &str),
    adapter: Option<&AdapterConfig>,
    settings: Settings,
    record: &RunRecord,
) -> String {
    let form = settings.form;
    let base = record.base.as_deref().unwrap_or(name);
    let (library, tags): (&str, &[&str]) = match form {
        Form::Peft => ("peft", &["lora", "adapter"]),
        Form::Merged => ("transformers", &["lora", "merged"]),
        Form::SentenceTransformers => (
            "sentence-transformers",
            &["sentence-transformers", "sentence-similarity", "lora", "merged"],
        ),
        Form::Gguf => ("llama.cpp", &["gguf", "lora", "merged"]),
        Form::GgufAdapter => ("llama.cpp", &["gguf", "lora", "adapter"]),
        Form::Mlx => ("mlx", &["mlx", "lora", "adapter"]),
    };
    let license = record.license.as_deref().unwrap_or("other");
    let mut text = format!(
        "---\nbase_model: {}\nlibrary_name: {library}\nlicense: {}\ntags:\n- lorakeet\n",
        quoted(base),
        quoted(license)
    );
    for tag in tags {
        let _ = writeln!(text, "- {tag}");
    }
    let _ = writeln!(text, "---\n\n# {} fine-tuned with Lorakeet\n", line(name));
    let _ = writeln!(text, "{}\n", use_of(settings));
    text.push_str("| | |\n| --- | --- |\n");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "| {name} | {} |", line(value));
    };
    row("Base model", base);
    row("Architecture", architecture);
    row("Licence of the base", record.license.as_deref().unwrap_or(NO_LICENSE));
    let numbers = match (settings.dtype, form) {
        (Some(dtype), _) => name_of(dtype),
        (None, Form::Merged | Form::SentenceTransformers) => "as the base's files",
        (None, Form::Gguf) => name_of(Storage::F16),
        (None, Form::Peft | Form::GgufAdapter | Form::Mlx) => name_of(Storage::F32),
    };
    row("Number format", numbers);
    if let Some(adapter) = adapter {
        let kind = match (adapter.use_dora, adapter.use_rslora) {
            (true, _) => "DoRA",
            (false, true) => "rsLoRA",
            (false, false) => "LoRA",
        };
        row(
            "Adapter",
            &format!("{kind}, rank {}, alpha {}", adapter.r, adapter.lora_alpha),
        );
    }
    match record.step {
        Some(step) if record.is_best => row("Weights", &format!("after optimizer step {step}, which scored best")),
        Some(step) if record.is_last => row("Weights", &format!("after optimizer step {step}, the last")),
        Some(step) => row("Weights", &format!("after optimizer step {step}")),
        None => row("Weights", "of a step that the files do not name"),
    }
    for (part, digest) in &record.data {
        row(&format!("SHA-256 of {}", line(part)), digest);
    }
    if !record.scores.is_empty() {
        text.push_str("\n## Scores on held-out rows\n\n| score | value |\n| --- | --- |\n");
        for (name, value) in &record.scores {
            let _ = writeln!(text, "| {} | {value:.4} |", line(name));
        }
    }
    if let Some(settings) = &record.settings {
        let _ = write!(
            text,
            "\n## Settings of the run\n\n```yaml\n{}\n```\n",
            settings.trim_end().replace("```", "'''")
        );
    }
    text
}

/// How the files are used.
fn use_of(settings: Settings) -> String {
    match settings.form {
        Form::Peft => "An adapter for PEFT: `PeftModel.from_pretrained(base_model, FOLDER)`.".to_owned(),
        Form::Merged => {
            "A merged model: load the folder with `AutoModel…from_pretrained`, or with any program that reads \
                         safetensors in Hugging Face's layout."
                .to_owned()
        }
        Form::SentenceTransformers => {
            "A merged model that makes vectors of texts: `SentenceTransformer(FOLDER).encode(TEXTS)` of sentence-transformers."
                .to_owned()
        }
        Form::Gguf => format!("A merged model for llama.cpp: `llama-cli -m {}`.", Form::GGUF_FILE),
        Form::GgufAdapter => format!(
            "An adapter for llama.cpp, to be used with a GGUF file of the base model: `llama-cli -m BASE.gguf --lora {}`.",
            Form::GGUF_ADAPTER_FILE
        ),
        Form::Mlx => "An adapter for MLX: `mlx_lm.generate --model BASE --adapter-path FOLDER`.".to_owned(),
    }
}

/// A text on one line of a table.
fn line(text: &str) -> String {
    text.replace(['\n', '\r', '|'], " ")
}

/// A YAML text.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
