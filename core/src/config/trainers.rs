//! Run files of other trainers: LLaMA-Factory, Axolotl and TRL. Each has a table of what its keys are called; what is known of a
//! key by no table stands in the trainer's own file.
//!
//! Writing, every knob stands in the file under its name there, or in a comment at its top ([`run_file_of`]); reading, a file is
//! recognised by keys that no other has, and its keys become those of this program ([`reading`]).

mod axolotl;
mod llama_factory;
pub(super) mod reading;
mod trl;

use super::knob::Knob;
use super::knobs::KNOBS;
use super::write::written;
use super::{Interval, RunConfig, SchedulerType};
use serde_json::Value;
use std::fmt::Write;

/// Another trainer whose run files are written and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trainer {
    /// LLaMA-Factory, whose file this program's follows.
    LlamaFactory,
    /// Axolotl.
    Axolotl,
    /// TRL's command, `trl sft`.
    Trl,
}

impl Trainer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::LlamaFactory, Self::Axolotl, Self::Trl];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::LlamaFactory => "LLaMA-Factory",
            Self::Axolotl => "Axolotl",
            Self::Trl => "TRL",
        }
    }

    /// How it is started on the file.
    fn command(self) -> &'static str {
        match self {
            Self::LlamaFactory => "llamafactory-cli train run.yaml",
            Self::Axolotl => "axolotl train run.yaml",
            Self::Trl => "trl sft --config run.yaml",
        }
    }

    /// What it calls a knob whose value it writes as this program does.
    fn key(self, knob: &'static str) -> Option<&'static str> {
        match self {
            Self::LlamaFactory => llama_factory::key(knob),
            Self::Axolotl => axolotl::key(knob),
            Self::Trl => trl::key(knob),
        }
    }
}

/// What the rows of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowForm {
    /// A column `text`.
    Texts,
    /// A column `messages` of `role` and `content`.
    Messages,
}

/// The files of rows beside a run file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowsFile {
    /// What their rows are.
    pub form: RowForm,
    /// The rows to train on.
    pub train: String,
    /// The rows held out, where they have a file of their own.
    pub validation: Option<String>,
}

/// A run file of another trainer.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFileOf {
    /// Its text.
    pub text: String,
    /// The knobs that it has.
    pub carried: Vec<&'static str>,
    /// Those that differ from their defaults and that it has no key for; they stand in a comment at its top.
    pub lost: Vec<&'static str>,
    /// Those that are not set or at their defaults and that it has no key for; they do as well.
    pub unset: Vec<&'static str>,
}

/// Lines of a file under way, and the knobs that they carry.
#[derive(Default)]
struct Lines {
    text: String,
    carried: Vec<&'static str>,
}

impl Lines {
    /// A line that carries `knobs`.
    fn add(&mut self, knobs: &[&'static str], key: &str, value: &Value) {
        let _ = writeln!(self.text, "{key}: {}", written(value));
        self.carried.extend(knobs);
    }

    /// A line as it stands.
    fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    /// Knobs whose values follow from lines that are there.
    fn carries(&mut self, knobs: &[&'static str]) {
        self.carried.extend(knobs);
    }
}

/// The run file of `config` for `trainer`, whose rows lie in `rows` beside it.
pub fn run_file_of(trainer: Trainer, config: &RunConfig, rows: &RowsFile) -> RunFileOf {
    let mut lines = Lines::default();
    match trainer {
        Trainer::LlamaFactory => llama_factory::own_lines(config, rows, &mut lines),
        Trainer::Axolotl => axolotl::own_lines(config, rows, &mut lines),
        Trainer::Trl => trl::own_lines(config, rows, &mut lines),
    }
    schedule(trainer, config, &mut lines);
    intervals(config, rows, &mut lines);
    for knob in KNOBS {
        let key = trainer.key(knob.name).filter(|_| !lines.carried.contains(&knob.name));
        let value = (knob.read)(config);
        if let Some(key) = key.filter(|_| is_set(&value)) {
            lines.add(&[knob.name], key, &value);
        }
    }
    let Lines { text, carried } = lines;
    let missing = |knob: &&'static Knob| !carried.contains(&knob.name);
    let changed: Vec<&str> = config.changed().into_iter().map(|(knob, _)| knob.name).collect();
    let (lost, unset): (Vec<&'static Knob>, Vec<&'static Knob>) = KNOBS
        .iter()
        .filter(missing)
        .partition(|knob| changed.contains(&knob.name));
    let mut head = format!("# A run of Lorakeet for {}: {}\n", trainer.name(), trainer.command());
    if !lost.is_empty() {
        let _ = writeln!(head, "# Settings without a key there, which have no effect:");
        for knob in &lost {
            let _ = writeln!(head, "#   {}: {}", knob.name, written(&(knob.read)(config)));
        }
    }
    if !unset.is_empty() {
        let _ = writeln!(head, "# Not set, or without a key there and at their defaults:");
        for names in unset.chunks(6) {
            let names: Vec<&str> = names.iter().map(|knob| knob.name).collect();
            let _ = writeln!(head, "#   {}", names.join(", "));
        }
    }
    RunFileOf {
        text: head + "\n" + &text,
        lost: lost.iter().map(|knob| knob.name).collect(),
        unset: unset.iter().map(|knob| knob.name).collect(),
        carried,
    }
}

/// Whether a value says anything.
fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}

/// The arguments of the schedule: one takes those that it has, and no others.
fn schedule(trainer: Trainer, config: &RunConfig, lines: &mut Lines) {
    let knobs: &[&'static str] = match config.lr_scheduler_type {
        SchedulerType::CosineWithRestarts => &["num_cycles"],
        SchedulerType::Polynomial => &["power", "lr_end"],
        _ => &[],
    };
    if !knobs.is_empty() {
        let value = |name: &&'static str| ((*name).to_owned(), config.get(name).unwrap_or_default());
        let arguments: Value = knobs.iter().map(value).collect();
        lines.add(knobs, "lr_scheduler_kwargs", &arguments);
    }
    // Axolotl takes one of the two; of the newest transformers, which TRL needs, steps below 1 are a ratio.
    let (ratio, steps) = ("warmup_ratio", "warmup_steps");
    let of_ratio = Value::from(config.warmup_ratio);
    let of_steps = Value::from(config.warmup_steps);
    match trainer {
        Trainer::LlamaFactory if config.warmup_steps == 0 => {
            lines.line("# Newer releases of transformers take warmup_ratio as warmup_steps below 1.");
        }
        Trainer::LlamaFactory => {}
        _ if config.warmup_steps > 0 => lines.add(&[steps, ratio], steps, &of_steps),
        Trainer::Axolotl => lines.add(&[ratio, steps], ratio, &of_ratio),
        Trainer::Trl => lines.add(&[ratio, steps], steps, &of_ratio),
    }
}

/// Every 0 steps is never here, and a mistake there; so are steps beside epochs, a share of the rows beside a file of rows held out,
/// and scores without any.
fn intervals(config: &RunConfig, rows: &RowsFile, lines: &mut Lines) {
    let has_scores = rows.validation.is_some() || config.val_size > 0.0;
    let pairs = [
        (
            "eval_strategy",
            "eval_steps",
            config.eval_strategy,
            config.eval_steps,
            has_scores,
        ),
        (
            "save_strategy",
            "save_steps",
            config.save_strategy,
            config.save_steps,
            true,
        ),
    ];
    for (strategy, steps, interval, every, can) in pairs {
        match interval {
            Interval::Steps if can && every > 0.0 => {}
            Interval::Epoch if can => lines.carries(&[steps]),
            _ => lines.add(&[strategy, steps], strategy, &Interval::No.name().into()),
        }
    }
    if rows.validation.is_some() {
        lines.carries(&["val_size"]);
    }
    if config.max_steps <= 0 {
        lines.carries(&["max_steps"]);
    }
    if config.early_stopping_patience == 0 {
        lines.carries(&["early_stopping_patience"]);
    }
}

/// The rows' knobs, which every trainer's own lines carry.
const ROWS: [&str; 2] = ["train_file", "validation_file"];
