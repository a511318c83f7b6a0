//! Run files: every knob of a run, named as transformers and PEFT name it.
//!
//! The first stop on the main way. [`RunConfig::parse`] reads YAML or JSON, [`Resolved::overlay`] puts flags or URL
//! parameters on top, and what comes out is valid: everything behind it may rely on the ranges in [`KNOBS`]. The one table
//! there drives parsing, `lorakeet check`, flags, URL parameters and the page. Which modules a name matches is decided by
//! the models, and whether a path exists by whoever opens it.

mod check;
mod knob;
mod knobs;
mod plan;
mod read;
mod setting;
mod unsupported_keys;
mod values;
mod write;

pub use knob::{Group, Kind, Knob, find};
pub use knobs::{KNOBS, RunConfig};
pub use plan::Plan;
pub use values::{
    FinetuningType, Fp8Format, Fp8Scale, HeadActivation, HeadPooling, Interval, Optimizer, ProblemType, QuantType,
    ScaleInputs, SchedulerType, TargetModules,
};

use crate::error::{Error, Result};
use crate::loss::WeightedSum;
use check::ParsedKey;
use read::Node;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeMap};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A run's settings, and where each came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings, valid alone and together.
    pub config: RunConfig,
    /// Where each knob's value came from, by its own name; a knob that is not in here has its default.
    pub sources: BTreeMap<&'static str, Source>,
    /// Sentences about keys that have no effect, and settings that do not go well together.
    pub warnings: Vec<String>,
    /// The warnings that stay whatever is put on top.
    notes: Vec<String>,
    /// What to call the file in errors.
    file: Option<String>,
}

/// The small models that a run can name instead of a folder; they start from fresh weights and take their sizes from the data.
pub const SMALL_MODELS: [&str; 6] = [
    "small_mlp",
    "small_vit",
    "small_series",
    "small_rnn",
    "small_lstm",
    "small_gru",
];

/// The learning rate of fresh weights where none is given.
const FRESH_LEARNING_RATE: f64 = 1e-3;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It was not given.
    Default,
    /// It was not given, and follows from another knob's value.
    Derived {
        /// That knob.
        from: &'static str,
    },
    /// The run file.
    File {
        /// From 1.
        line: usize,
    },
    /// The run file, under another spelling.
    Alias {
        /// The spelling used.
        of: String,
        /// From 1.
        line: usize,
    },
    /// A flag of the command.
    Flag,
    /// A parameter of the page's address.
    Url,
}

impl RunConfig {
    /// The longest run file that is read.
    pub const MOST_BYTES: usize = read::MOST_BYTES;

    /// Reads a run file, YAML or JSON; `file_name` is for messages, and its ending `.json` says JSON (so does a `{` in front).
    ///
    /// Paths may be missing: see [`RunConfig::require_paths`].
    ///
    /// # Errors
    /// Text that is neither, unknown or doubled keys, wrong types and impossible values; all of the file's errors are
    /// told in one, which points to the first (of very many, the first twenty).
    pub fn parse(text: &str, file_name: &str) -> Result<Resolved> {
        let mut resolved = Resolved {
            file: (!file_name.is_empty()).then(|| file_name.to_owned()),
            ..Resolved::default()
        };
        let mut errors = Vec::new();
        let mut given: BTreeMap<&'static str, (Value, String, usize)> = BTreeMap::new();
        let mut keys: BTreeMap<String, usize> = BTreeMap::new();
        for entry in read::entries(text, file_name)? {
            if errors.len() >= MOST_ERRORS {
                break;
            }
            let (key, line) = (entry.key, entry.line);
            if let Some(first) = keys.insert(key.clone(), line) {
                errors.push(
                    Error::config(format!("stands here a second time, after line {first}"))
                        .field(&key)
                        .row(line),
                );
                continue;
            }
            let sets = match check::meaning(&key, &entry.value) {
                Ok(ParsedKey::Sets(sets)) => sets,
                Ok(ParsedKey::Nothing(warning)) => {
                    resolved.notes.push(format!("line {line}: {warning}"));
                    continue;
                }
                Err(error) => {
                    errors.push(error.row(line));
                    continue;
                }
            };
            for (knob, value) in sets {
                match given.get(knob.name) {
                    Some((other, spelling, first)) if *other != value => errors.push(
                        Error::config(format!(
                            "gives {} the value {}, but {spelling} in line {first} gives it {}",
                            knob.name,
                            write::written(&value),
                            write::written(other)
                        ))
                        .field(&key)
                        .row(line)
                        .remedy("Keep one of the two."),
                    ),
                    Some(_) => {}
                    None => {
                        given.insert(knob.name, (value, key.clone(), line));
                    }
                }
            }
        }
        for (name, (value, key, line)) in given {
            let source = if key == name {
                Source::File { line }
            } else {
                Source::Alias { of: key, line }
            };
            if let Err(error) = resolved.put(name, value, source) {
                errors.push(error.row(line));
            }
        }
        if let Err(error) = all(errors) {
            return Err(match &resolved.file {
                Some(file) => error.file(file),
                None => error,
            });
        }
        resolved.settle()?;
        Ok(resolved)
    }

    /// The value of a knob, by its name or an alias; null where it is not given, `None` where there is no such knob.
    pub fn get(&self, key: &str) -> Option<Value> {
        find(key).map(|knob| (knob.read)(self))
    }

    /// Sets a knob, by its name or an alias, to a JSON value.
    ///
    /// # Errors
    /// An unknown key, a wrong type, an impossible value. How settings go together is checked by [`RunConfig::validate`].
    pub fn set(&mut self, key: &str, value: &Value) -> Result<()> {
        for (knob, value) in setting(key, &Node::from(value))? {
            assign(self, knob, value)?;
        }
        Ok(())
    }

    /// Sets a knob from text, as a flag, a URL parameter or a text field gives it: lists as `a,b`, maps as `{a: 1}`.
    ///
    /// # Errors
    /// As [`RunConfig::set`].
    pub fn set_text(&mut self, key: &str, text: &str) -> Result<()> {
        for (knob, value) in setting(key, &text_node(key, text))? {
            assign(self, knob, value)?;
        }
        Ok(())
    }

    /// The knobs whose values differ from their defaults, in table order. `lora_alpha` goes along with a changed `lora_r`,
    /// because a file that gives r alone means alpha = 2r; of a small model known by name the defaults are its own.
    pub fn changed(&self) -> Vec<(&'static Knob, Value)> {
        let mut default = Self::default();
        if SMALL_MODELS.contains(&self.model_name_or_path.as_str()) {
            default.finetuning_type = FinetuningType::Full;
            default.learning_rate = FRESH_LEARNING_RATE;
        }
        let knobs = KNOBS.iter().map(|knob| (knob, (knob.read)(self)));
        knobs
            .filter(|(knob, value)| {
                *value != (knob.read)(&default) || (knob.name == "lora_alpha" && self.lora_r != default.lora_r)
            })
            .collect()
    }

    /// A run file that [`RunConfig::parse`] reads back to the same settings: only what differs from the defaults, in table
    /// order. PyYAML reads the same values from it.
    pub fn to_yaml(&self) -> String {
        write::yaml(self)
    }

    /// Whether model and training data are given.
    ///
    /// # Errors
    /// Names what is missing.
    pub fn require_paths(&self) -> Result<()> {
        for (name, path, example) in [
            (
                "model_name_or_path",
                &self.model_name_or_path,
                "a folder with config.json and safetensors, a GGUF file, or a small model's name such as small_mlp",
            ),
            ("train_file", &self.train_file, "a csv, tsv, jsonl, json or txt file"),
        ] {
            if path.is_empty() {
                return Err(Error::config("is not given, and a run needs it")
                    .field(name)
                    .remedy(format!("Give {example}.")));
            }
        }
        Ok(())
    }

    /// Whether every value is possible and all go together; settings from [`RunConfig::parse`] and [`Resolved::overlay`] do.
    ///
    /// # Errors
    /// The first that does not.
    pub fn validate(&self) -> Result<()> {
        for knob in KNOBS {
            let value = (knob.read)(self);
            let not_given = matches!(&value, Value::String(text) if text.is_empty() && knob.kind.is_text())
                || matches!(&value, Value::Object(map) if map.is_empty());
            if !not_given {
                check::value(knob, &Node::from(&value)).map_err(|error| error.field(knob.name))?;
            }
        }
        if self.lr_scheduler_type == SchedulerType::Polynomial && self.lr_end >= self.learning_rate {
            let rate = self.learning_rate;
            return Err(
                Error::config(format!("must be below learning_rate ({rate}), got {}", self.lr_end)).field("lr_end"),
            );
        }
        let packs = [
            ("quantization_bit", self.quantization_bit.is_some()),
            ("fp8", self.fp8.is_some()),
        ];
        for (field, set) in packs {
            if self.finetuning_type == FinetuningType::Full && set {
                return Err(Error::config(
                    "cannot be trained with finetuning_type full: packed weights stay as they are",
                )
                .field(field)
                .remedy(format!("Use finetuning_type lora, or take {field} out.")));
            }
        }
        if let Some(loss) = &self.loss {
            let loss = WeightedSum::parse(loss)?;
            if let Some(task) = self.task {
                loss.check(task, None)?;
            }
        }
        if let (Some(task), Some(problem)) = (self.task, self.problem_type)
            && task != problem.task()
        {
            return Err(Error::config(format!(
                "says that labels are for {}, and task says {task}",
                problem.task()
            ))
            .field("problem_type")
            .remedy("Keep one of the two."));
        }
        if self.quantization_bit.is_some() && self.fp8.is_some() {
            return Err(
                Error::config("the base is held in one format, and quantization_bit names another")
                    .field("fp8")
                    .remedy("Take one of the two out."),
            );
        }
        Ok(())
    }
}

impl Default for Resolved {
    /// What an empty run file gives.
    fn default() -> Self {
        Self {
            config: RunConfig::default(),
            sources: BTreeMap::new(),
            warnings: Vec::new(),
            notes: Vec::new(),
            file: None,
        }
    }
}

impl Resolved {
    /// Where a knob's value came from.
    pub fn source(&self, name: &str) -> Source {
        self.sources.get(name).cloned().unwrap_or(Source::Default)
    }

    /// Puts flags or URL parameters on top of what is there: names (or aliases) with their values as text.
    ///
    /// # Errors
    /// As [`RunConfig::parse`]; the settings are then as they were.
    pub fn overlay<'a>(
        &mut self,
        settings: impl IntoIterator<Item = (&'a str, &'a str)>,
        source: &Source,
    ) -> Result<()> {
        let mut next = self.clone();
        let mut errors = Vec::new();
        for (key, text) in settings {
            match setting(key, &text_node(key, text)) {
                Ok(sets) => {
                    for (knob, value) in sets {
                        next.put(knob.name, value, source.clone())?;
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        all(errors)?;
        next.settle()?;
        *self = next;
        Ok(())
    }

    /// The text of `lorakeet check`: every key, its value, where it came from and what it does, in groups; then the warnings.
    pub fn explain(&self) -> String {
        write::explanation(self)
    }

    fn put(&mut self, name: &'static str, value: Value, source: Source) -> Result<()> {
        let knob = find(name).ok_or_else(|| Error::internal(format!("no knob {name}")))?;
        assign(&mut self.config, knob, value)?;
        self.sources.insert(name, source);
        Ok(())
    }

    fn is_given(&self, name: &str) -> bool {
        !matches!(self.source(name), Source::Default | Source::Derived { .. })
    }

    /// Fills in what follows from other knobs, checks that all go together, and renews the warnings.
    fn settle(&mut self) -> Result<()> {
        if self.is_given("lora_r") && !self.is_given("lora_alpha") {
            self.config.lora_alpha = 2.0 * self.config.lora_r as f64;
            self.sources.insert("lora_alpha", Source::Derived { from: "lora_r" });
        }
        let derived = Source::Derived {
            from: "model_name_or_path",
        };
        // Another model's may be what was derived before.
        if self.source("finetuning_type") == derived {
            self.config.finetuning_type = FinetuningType::default();
            self.sources.remove("finetuning_type");
        }
        if self.source("learning_rate") == derived {
            self.config.learning_rate = RunConfig::default().learning_rate;
            self.sources.remove("learning_rate");
        }
        if SMALL_MODELS.contains(&self.config.model_name_or_path.as_str()) {
            if !self.is_given("finetuning_type") {
                self.config.finetuning_type = FinetuningType::Full;
                self.sources.insert("finetuning_type", derived.clone());
            }
            if !self.is_given("learning_rate") {
                self.config.learning_rate = FRESH_LEARNING_RATE;
                self.sources.insert("learning_rate", derived);
            }
        }
        // Zero warm-up steps, asked for, mean none, and not the share that is used where nothing is said.
        if self.is_given("warmup_steps") && self.config.warmup_steps == 0 && !self.is_given("warmup_ratio") {
            self.config.warmup_ratio = 0.0;
            self.sources
                .insert("warmup_ratio", Source::Derived { from: "warmup_steps" });
        }
        // transformers' rule for an eval_strategy of steps that does not say how many.
        if self.follows_logging() && self.is_given("logging_steps") {
            self.config.eval_steps = self.config.logging_steps;
            self.sources
                .insert("eval_steps", Source::Derived { from: "logging_steps" });
        }
        self.config.validate().map_err(|error| {
            let line = match error.field.as_deref().map(|name| self.source(name)) {
                Some(Source::File { line } | Source::Alias { line, .. }) => Some(line),
                _ => None,
            };
            match (line, &self.file) {
                (Some(line), Some(file)) => error.row(line).file(file),
                (Some(line), None) => error.row(line),
                _ => error,
            }
        })?;
        self.warnings = self.notes.clone();
        self.warnings.extend(self.ignored_settings());
        if self.follows_logging() && self.config.eval_steps == 0.0 {
            let warning =
                "eval_strategy steps without eval_steps scores the validation split before and after the run only";
            self.warnings.push(warning.into());
        }
        Ok(())
    }

    /// Whether scoring by steps was asked for without saying every how many.
    fn follows_logging(&self) -> bool {
        self.is_given("eval_strategy") && self.config.eval_strategy == Interval::Steps && !self.is_given("eval_steps")
    }

    /// Sentences about knobs that were given and have no effect beside the others.
    fn ignored_settings(&self) -> Vec<String> {
        use SchedulerType::{Constant, CosineWithRestarts, Polynomial};
        let config = &self.config;
        let schedule = config.lr_scheduler_type;
        let full = config.finetuning_type == FinetuningType::Full;
        let mut ignored: Vec<(&str, &str)> = Vec::new();
        if schedule != CosineWithRestarts {
            ignored.push(("num_cycles", "only lr_scheduler_type cosine_with_restarts has waves"));
        }
        if schedule != Polynomial {
            ignored.push(("power", "only lr_scheduler_type polynomial has a power"));
            ignored.push(("lr_end", "only lr_scheduler_type polynomial has a last rate"));
        }
        if schedule == Constant {
            let reason = "lr_scheduler_type constant has no warm-up (constant_with_warmup has)";
            ignored.extend([("warmup_ratio", reason), ("warmup_steps", reason)]);
        } else if config.warmup_steps > 0 {
            ignored.push(("warmup_ratio", "warmup_steps replaces it"));
        }
        if config.max_steps > 0 {
            ignored.push(("num_train_epochs", "max_steps replaces it"));
        }
        if config.validation_file.is_some() {
            ignored.push(("val_size", "validation_file is given"));
        }
        for (strategy, name, steps) in [
            (config.eval_strategy, "eval_strategy", "eval_steps"),
            (config.save_strategy, "save_strategy", "save_steps"),
            (config.logging_strategy, "logging_strategy", "logging_steps"),
        ] {
            match (strategy, name) {
                (Interval::Steps, _) => {}
                (_, "eval_strategy") => ignored.push((steps, "eval_strategy is not steps")),
                (_, "save_strategy") => ignored.push((steps, "save_strategy is not steps")),
                _ => ignored.push((steps, "logging_strategy is not steps")),
            }
        }
        if config.classifier_hidden_size == 0 {
            ignored.push((
                "classifier_activation",
                "the head has no hidden layer (classifier_hidden_size is 0)",
            ));
        }
        let scores_on_the_way = match config.eval_strategy {
            Interval::Steps => config.eval_steps > 0.0,
            Interval::Epoch => true,
            Interval::No => false,
        };
        if !scores_on_the_way {
            let reason = "the run is not scored on its way (eval_strategy, eval_steps)";
            ignored.push(("early_stopping_patience", reason));
        }
        if config.early_stopping_patience == 0 {
            ignored.push(("early_stopping_threshold", "early_stopping_patience is not given"));
        }
        if config.loraplus_lr_ratio.is_none() {
            ignored.push(("loraplus_lr_embedding", "loraplus_lr_ratio is not given"));
        }
        if full {
            let adapters = KNOBS
                .iter()
                .filter(|knob| knob.group == Group::Adapter && knob.name != "finetuning_type");
            ignored.extend(adapters.map(|knob| (knob.name, "finetuning_type full has no adapters")));
        }
        let given = ignored.into_iter().filter(|(name, _)| self.is_given(name));
        given
            .map(|(name, reason)| format!("{name} has no effect: {reason}"))
            .collect()
    }
}

/// So many errors are told at once; a file with more is no run file.
const MOST_ERRORS: usize = 20;

/// What a key from outside a file sets.
fn setting(key: &str, node: &Node) -> Result<Vec<(&'static Knob, Value)>> {
    match check::meaning(key, node)? {
        ParsedKey::Sets(sets) => Ok(sets),
        ParsedKey::Nothing(_) => Ok(Vec::new()),
    }
}

/// Text from a flag or an address; brackets are read as YAML's.
fn text_node(key: &str, text: &str) -> Node {
    let structured = match find(key).map(|knob| knob.kind) {
        // A file may be called null; one without a name is not given.
        Some(kind) if kind.is_text() && !text.is_empty() => return Node::Quoted(text.to_owned()),
        Some(Kind::Modules | Kind::ModuleNames | Kind::List | Kind::Names | Kind::Patterns { .. }) => true,
        Some(_) => false,
        None => key == "lr_scheduler_kwargs",
    };
    if structured && text.trim_start().starts_with(['[', '{']) {
        // `[qv]_proj` is a pattern and no list.
        if let Ok(node) = read::flow_value(text) {
            return node;
        }
    }
    Node::Plain(text.to_owned())
}

fn assign(config: &mut RunConfig, knob: &Knob, value: Value) -> Result<()> {
    if (knob.write)(config, value) {
        return Ok(());
    }
    Err(Error::internal(format!(
        "the table and the field of {} disagree",
        knob.name
    )))
}

/// The first error, with the others told behind it.
fn all(errors: Vec<Error>) -> Result<()> {
    let mut errors = errors.into_iter();
    let Some(mut first) = errors.next() else {
        return Ok(());
    };
    let more: Vec<String> = errors.map(|error| error.to_string()).collect();
    if !more.is_empty() {
        let remedy = first
            .remedy
            .take()
            .map(|remedy| format!(" ({})", remedy.trim_end_matches('.')))
            .unwrap_or_default();
        first.what = format!("{}{remedy}. Also: {}", first.what, more.join(" "));
    }
    Err(first)
}

impl Serialize for RunConfig {
    /// One entry a knob, in table order.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(KNOBS.len()))?;
        for knob in KNOBS {
            map.serialize_entry(knob.name, &(knob.read)(self))?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RunConfig {
    /// As [`RunConfig::set`] for each entry, then [`RunConfig::validate`]: what crosses the worker's boundary is valid.
    /// Missing knobs have their defaults.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut config = Self::default();
        for (key, value) in Map::deserialize(deserializer)? {
            let knob = find(&key);
            // A path that is not given is written as empty text, which no file may give.
            if value.as_str() == Some("") && knob.is_some_and(|knob| knob.kind.is_text()) {
                continue;
            }
            config.set(&key, &value).map_err(de::Error::custom)?;
        }
        config.validate().map_err(de::Error::custom)?;
        Ok(config)
    }
}
