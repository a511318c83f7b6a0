//! The model card: a README.md with what the hub's readers look for, and what is known of the run.

use super::bitsandbytes::Packing;
use super::license::License;
use super::merged::Merged;
use super::{Form, Settings, name_of};
use crate::config::HeadPooling;
use crate::formats::peft::{Adapter, AdapterConfig};
use crate::formats::{ModelFiles, Storage};
use crate::models::HeadKind;
use crate::models::registry::{Kind, of_model_type};
use crate::own_class::{self, CLASS_FILE};
use crate::task::Task;
use serde_json::Value;
use std::fmt::Write;

/// What is known of the run behind an export.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRecord {
    /// The base's name or path, as the run has it.
    pub base: Option<String>,
    /// The base's licence, where somebody named it.
    pub license: Option<License>,
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

/// What a card is about.
struct Subject<'a> {
    name: &'a str,
    architecture: &'a str,
    adapter: Option<&'a AdapterConfig>,
    settings: Settings,
    record: &'a RunRecord,
    /// What programs do with it, where that is known.
    pipeline: Option<&'static str>,
    /// Whether no class of transformers has its head.
    has_own_class: bool,
}

/// The card of an export.
pub(super) fn card(merged: &Merged<'_>, settings: Settings, record: &RunRecord) -> String {
    let is_small = merged.architecture.kind == Kind::Small;
    let by_task = record
        .task
        .and_then(|task| of_task(task, merged.kind == HeadKind::Seq2SeqLm));
    text(&Subject {
        name: &merged.files.name,
        architecture: merged.architecture.name,
        adapter: merged.settings.as_ref(),
        settings,
        record,
        pipeline: by_task.or(of_kind(merged.kind)).filter(|_| !is_small),
        has_own_class: matches!(merged.with_own_class(&merged.config), Ok(Some(_))),
    })
}

/// The card of a model whose linears are packed.
pub(super) fn packed_card(merged: &Merged<'_>, packing: Packing, record: &RunRecord) -> String {
    let name = merged.files.name.as_str();
    let base = record.base.as_deref().unwrap_or(name);
    let bits = match packing {
        Packing::Nf4 | Packing::Fp4 => "4-bit",
        Packing::Int8 => "8-bit",
    };
    let rows = [
        ("Base model", base),
        ("Architecture", merged.architecture.name),
        ("Licence of the base", license_of(record)),
        ("Number format", packing.name()),
    ];
    let mut text = format!(
        "---\nbase_model: {}\nbase_model_relation: quantized\nlibrary_name: transformers\n",
        quoted(base)
    );
    add_license(record, &mut text);
    let _ = write!(
        text,
        "tags:\n- lorakeet\n- bitsandbytes\n- {bits}\n---\n\n\
         # {} with linears in {}\n\nLoad the folder with `AutoModel…from_pretrained` of transformers, with bitsandbytes installed. \
         Embeddings, norms and heads have the number format of the base.\n\n| | |\n| --- | --- |\n",
        line(name),
        packing.name(),
    );
    for (what, value) in rows {
        let _ = writeln!(text, "| {what} | {} |", line(value));
    }
    text
}

/// The licence for people.
fn license_of(record: &RunRecord) -> &str {
    let unknown = "not known; check it before you publish these files, and name it above as `license:`";
    record.license.as_ref().map_or(unknown, License::title)
}

/// The licence in a front matter; nothing where nobody named one.
fn add_license(record: &RunRecord, text: &mut String) {
    let Some(license) = &record.license else { return };
    let _ = writeln!(text, "license: {}", quoted(&license.id));
    for (key, value) in [("license_name", &license.name), ("license_link", &license.link)] {
        if let Some(value) = value {
            let _ = writeln!(text, "{key}: {}", quoted(value));
        }
    }
}

/// The card of an adapter as it is.
pub(super) fn peft_card(
    base: &ModelFiles,
    (adapter, head): (&Adapter, Option<&Value>),
    settings: Settings,
    record: &RunRecord,
) -> String {
    let model_type = base.config["model_type"].as_str().unwrap_or_default();
    let architecture = of_model_type(model_type).ok();
    let of_adapter = || match adapter.config.task_type.as_deref()? {
        "CAUSAL_LM" => Some("text-generation"),
        "SEQ_2_SEQ_LM" => Some("text2text-generation"),
        "SEQ_CLS" => Some("text-classification"),
        "TOKEN_CLS" => Some("token-classification"),
        _ => None,
    };
    let by_task = record.task.and_then(|task| of_task(task, model_type == "t5"));
    let is_small = architecture.is_some_and(|found| found.kind == Kind::Small);
    text(&Subject {
        name: &base.name,
        architecture: architecture.map_or(model_type, |found| found.name),
        adapter: Some(&adapter.config),
        settings,
        record,
        pipeline: by_task.or_else(of_adapter).filter(|_| !is_small),
        has_own_class: head.is_some_and(|head| matches!(own_class::wrapped(head, |_| None), Ok(Some(_)))),
    })
}

/// The hub's name of what a model of this task is used for (`pipeline_tag`).
fn of_task(task: Task, has_decoder_apart: bool) -> Option<&'static str> {
    match task {
        Task::Generation if has_decoder_apart => Some("text2text-generation"),
        Task::Generation | Task::Preference => Some("text-generation"),
        Task::Classification | Task::MultiLabel | Task::Regression => Some("text-classification"),
        Task::TokenClassification => Some("token-classification"),
        Task::Ranking => Some("text-ranking"),
        Task::Embedding => Some("sentence-similarity"),
    }
}

/// The same, where nothing but the model's own head says it.
fn of_kind(kind: HeadKind) -> Option<&'static str> {
    match kind {
        HeadKind::CausalLm => Some("text-generation"),
        HeadKind::Seq2SeqLm => Some("text2text-generation"),
        HeadKind::SequenceClassification => Some("text-classification"),
        HeadKind::TokenClassification => Some("token-classification"),
        HeadKind::MaskedLm => Some("fill-mask"),
        HeadKind::Features => Some("feature-extraction"),
    }
}

impl Subject<'_> {
    /// The base's name.
    fn base(&self) -> &str {
        self.record.base.as_deref().unwrap_or(self.name)
    }

    /// Whether nothing was trained: a model in another form.
    fn is_converted(&self) -> bool {
        let record = self.record;
        self.adapter.is_none() && record.step.is_none() && record.settings.is_none() && record.task.is_none()
    }

    fn title(&self) -> String {
        let verb = if self.is_converted() { "converted" } else { "fine-tuned" };
        format!("{} {verb} with Lorakeet", line(self.name))
    }

    /// What the hub reads: huggingface_hub's `ModelCardData`.
    fn front_matter(&self) -> String {
        let (form, record) = (self.settings.form, self.record);
        let library = match form {
            Form::Peft => "peft",
            Form::Merged => "transformers",
            Form::SentenceTransformers => "sentence-transformers",
            Form::Gguf | Form::GgufAdapter => "llama.cpp",
            Form::Mlx => "mlx",
        };
        let mut tags = vec!["lorakeet"];
        tags.extend(match form {
            Form::SentenceTransformers => &["sentence-transformers", "sentence-similarity"][..],
            Form::Gguf | Form::GgufAdapter => &["gguf"],
            Form::Mlx => &["mlx"],
            Form::Peft | Form::Merged => &[],
        });
        if self.adapter.is_some() {
            tags.extend(["lora", if form.holds_base() { "merged" } else { "adapter" }]);
        }
        let relation = match (form.holds_base(), self.is_converted()) {
            (false, _) => Some("adapter"),
            (true, false) => Some("finetune"),
            (true, true) => {
                Some("quantized").filter(|_| self.settings.dtype.is_some_and(|dtype| dtype.block_elements() > 1))
            }
        };
        let mut text = format!("---\nbase_model: {}\n", quoted(self.base()));
        let mut field = |name: &str, value: &str| {
            let _ = writeln!(text, "{name}: {value}");
        };
        if let Some(relation) = relation {
            field("base_model_relation", relation);
        }
        field("library_name", library);
        add_license(record, &mut text);
        if let Some(pipeline) = self.pipeline {
            let _ = writeln!(text, "pipeline_tag: {pipeline}");
        }
        text.push_str("tags:\n");
        for tag in tags {
            let _ = writeln!(text, "- {tag}");
        }
        self.add_results(&mut text);
        text.push_str("---\n");
        text
    }

    /// Scores as the hub shows them (`model-index`), where the task is known.
    fn add_results(&self, text: &mut String) {
        let scores: Vec<_> = self
            .record
            .scores
            .iter()
            .filter(|(_, value)| value.is_finite())
            .collect();
        let (Some(pipeline), false) = (self.pipeline, scores.is_empty()) else {
            return;
        };
        let _ = write!(
            text,
            "model-index:\n- name: {}\n  results:\n  - task:\n      type: {pipeline}\n    dataset:\n      \
             name: held-out rows\n      type: local\n",
            quoted(&self.title())
        );
        // The one that was scored comes last.
        if let Some((_, digest)) = self.record.data.last() {
            let _ = writeln!(text, "      revision: {}", quoted(digest));
        }
        text.push_str("    metrics:\n");
        for (name, value) in scores {
            let name = quoted(name);
            let _ = writeln!(text, "    - type: {name}\n      name: {name}\n      value: {value}");
        }
    }
}

fn text(subject: &Subject<'_>) -> String {
    let (form, record) = (subject.settings.form, subject.record);
    let mut text = subject.front_matter();
    let _ = writeln!(text, "\n# {}\n", subject.title());
    let _ = writeln!(text, "{}\n", use_of(subject.settings));
    if subject.has_own_class {
        let _ = writeln!(text, "{}\n", use_of_own_class(form));
    }
    text.push_str("| | |\n| --- | --- |\n");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(text, "| {name} | {} |", line(value));
    };
    row("Base model", subject.base());
    row("Architecture", subject.architecture);
    row("Licence of the base", license_of(record));
    let numbers = match (subject.settings.dtype, form) {
        (Some(dtype), _) => name_of(dtype),
        (None, Form::Merged | Form::SentenceTransformers) => "as the base's files",
        (None, Form::Gguf) => name_of(Storage::F16),
        (None, Form::Peft | Form::GgufAdapter | Form::Mlx) => name_of(Storage::F32),
    };
    row("Number format", numbers);
    if let Some(adapter) = subject.adapter {
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
        None if subject.is_converted() => row("Weights", "of the base, in another form"),
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

/// The same of a head that no class of transformers has.
fn use_of_own_class(form: Form) -> String {
    let what = "transformers has no class with this head, which reads the mean of the tokens, has a hidden layer, or whose numbers \
                were scaled for training";
    match form {
        Form::Peft => format!(
            "{what}: PEFT puts the adapter and the head's weights on a class that computes something else. Export the run as a merged \
             model, which comes with a class of its own."
        ),
        _ => format!(
            "{what}: `{CLASS_FILE}` has it. Load the folder with `trust_remote_code=True`, as in \
             `pipeline(\"text-classification\", model=FOLDER, trust_remote_code=True)`; without it transformers refuses the folder."
        ),
    }
}

/// A text on one line of a table.
fn line(text: &str) -> String {
    text.replace(['\n', '\r', '|'], " ")
}

/// A YAML text.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
