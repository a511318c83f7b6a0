//! Run files: every knob of a run, named as transformers and PEFT name it.
//!
//! The first stop on the main way. [`RunConfig::parse`] reads YAML or JSON, [`Resolved::overlay`] puts flags or URL
//! parameters on top, and what comes out is valid: everything behind it may rely on the ranges in [`KNOBS`]. The one table
//! there drives parsing, `lorakeet check`, flags, URL parameters and the page. Which modules a name matches is decided by
//! the models, and whether a path exists by whoever opens it.

mod check;
mod head_start;
mod knob;
mod knobs;
mod page_query;
mod plan;
mod read;
mod reasons;
mod setting;
#[cfg(not(target_arch = "wasm32"))]
mod sweep_file;
mod trainers;
mod unsupported_keys;
mod values;
mod wire;
mod write;

pub use check::named;
pub use knob::{Group, InScript, InSweep, Kind, Knob, OnResume, find};
pub use knobs::{KNOBS, RunConfig};
pub use page_query::PageQuery;
pub use plan::Plan;
pub use trainers::{RowForm, RowsFile, RunFileOf, Trainer, run_file_of};
pub use values::{
    DROP_WORDS, DivergenceAction, Encoding, FinetuningType, Fp8Format, Fp8Scale, HeadActivation, HeadInit, HeadPooling,
    Interval, MASK_WORDS, Optimizer, ProblemType, QuantType, ScaleInputs, SchedulerType, TargetModules, TokenIndices,
};

use crate::error::{Error, Result};
use crate::loss::WeightedSum;
use check::ParsedKey;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::common::{At, Both, Line};
use lorakeet_i18n::messages::config as msg;
use read::{Entry, Node};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A knob of a sweep and its values, each as a flag of a single one has it: lists in brackets.
pub type SweptKnob = (String, Vec<String>);

/// A run's settings, and where each came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The settings, valid alone and together.
    pub config: RunConfig,
    /// Where each knob's value came from, by its own name; a knob that is not in here has its default.
    pub sources: BTreeMap<&'static str, Source>,
    /// Sentences about keys that have no effect, and settings that do not go well together.
    pub warnings: Vec<Message>,
    /// Where LLaMA-Factory's data sets are listed: its key `dataset_dir`.
    pub dataset_dir: Option<String>,
    /// The warnings that stay whatever is put on top.
    notes: Vec<Message>,
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
    /// Run files of Axolotl and TRL are read as well, as far as their keys mean something here; LLaMA-Factory's keys are this
    /// program's. Paths may be missing: see [`RunConfig::require_paths`].
    ///
    /// # Errors
    /// Text that is neither, unknown or doubled keys, wrong types and impossible values; all of the file's errors are
    /// told in one, which points to the first (of very many, the first twenty).
    pub fn parse(text: &str, file_name: &str) -> Result<Resolved> {
        let file = (!file_name.is_empty()).then(|| file_name.to_owned());
        let entries = read::entries(text, file_name)?;
        let dataset_dir = trainers::reading::dataset_dir(&entries);
        let (entries, notes) = trainers::reading::translated(entries).map_err(|error| error.file(file_name))?;
        Self::of_entries(entries, notes, file).map(|resolved| Resolved {
            dataset_dir,
            ..resolved
        })
    }

    /// The settings of a JSON object, with what follows from them, as a run file with the same keys gives them.
    ///
    /// # Errors
    /// As [`RunConfig::parse`], without lines.
    pub fn from_settings(settings: &Map<String, Value>) -> Result<Self> {
        let entry = |(key, value): (&String, &Value)| Entry {
            key: key.clone(),
            line: 1,
            value: Node::from(value),
        };
        let resolved = Self::of_entries(settings.iter().map(entry).collect(), Vec::new(), None);
        resolved
            .map(|resolved| resolved.config)
            .map_err(|error| Error { row: None, ..error })
    }

    fn of_entries(entries: Vec<Entry>, notes: Vec<Message>, file: Option<String>) -> Result<Resolved> {
        let mut resolved = Resolved {
            file,
            notes,
            ..Resolved::default()
        };
        let mut errors = Vec::new();
        let mut given: BTreeMap<&'static str, (Value, String, usize)> = BTreeMap::new();
        let mut keys: BTreeMap<String, usize> = BTreeMap::new();
        for entry in entries {
            if errors.len() >= MOST_ERRORS {
                break;
            }
            let (key, line) = (entry.key, entry.line);
            if let Some(first) = keys.insert(key.clone(), line) {
                errors.push(Error::config(msg::GivenTwice { first }).field(&key).row(line));
                continue;
            }
            let sets = match check::meaning(&key, &entry.value) {
                Ok(ParsedKey::Sets(sets)) => sets,
                Ok(ParsedKey::Nothing(what)) => {
                    let place = Line { line };
                    resolved.notes.push(At { place, what }.into());
                    continue;
                }
                Err(error) => {
                    errors.push(error.row(line));
                    continue;
                }
            };
            for (knob, value) in sets {
                match given.get(knob.name) {
                    Some((other, spelling, first)) if *other != value => {
                        let differ = msg::ValuesDiffer {
                            knob: knob.name,
                            value: write::written(&value),
                            spelling,
                            line: first,
                            other: write::written(other),
                        };
                        let error = Error::config(differ).field(&key).row(line);
                        errors.push(error.remedy(common::KeepOne));
                    }
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
        let missing = |name| Error::config(msg::NeededByRun).field(name);
        if self.model_name_or_path.is_empty() {
            return Err(missing("model_name_or_path").remedy(msg::GiveModel));
        }
        if self.train_file.is_empty() {
            return Err(missing("train_file").remedy(msg::GiveTrainFile));
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
            let (rate, got) = (self.learning_rate, self.lr_end);
            return Err(Error::config(msg::LastRateTooHigh { rate, got }).field("lr_end"));
        }
        let packs = [
            ("quantization_bit", self.quantization_bit.is_some()),
            ("fp8", self.fp8.is_some()),
        ];
        for (field, set) in packs {
            if self.finetuning_type == FinetuningType::Full && set {
                return Err(Error::config(msg::PackedWeightsFull)
                    .field(field)
                    .remedy(msg::UseLora { field }));
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
            let of_labels = problem.task();
            return Err(Error::config(msg::TaskOfLabels { of_labels, task })
                .field("problem_type")
                .remedy(common::KeepOne));
        }
        check::audit_words(self)?;
        if self.quantization_bit.is_some() && self.fp8.is_some() {
            return Err(Error::config(msg::TwoFormats).field("fp8").remedy(msg::TakeOneOut));
        }
        self.check_head_start()
    }
}

impl Default for Resolved {
    /// What an empty run file gives.
    fn default() -> Self {
        Self {
            config: RunConfig::default(),
            sources: BTreeMap::new(),
            warnings: Vec::new(),
            dataset_dir: None,
            notes: Vec::new(),
            file: None,
        }
    }
}

impl Resolved {
    /// Settings as they were chosen in a form. What follows from others goes on to follow where it is as it would follow:
    /// `lora_alpha` where it is twice the rank.
    pub fn of_config(config: RunConfig) -> Self {
        let is_chosen = |knob: &&Knob| match knob.name {
            "lora_alpha" => config.lora_alpha != 2.0 * config.lora_r as f64,
            // Else it could follow from logging_steps.
            "eval_steps" => true,
            name => config.get(name) != Some(knob.default()),
        };
        let sources = KNOBS.iter().filter(is_chosen);
        Self {
            sources: sources.map(|knob| (knob.name, Source::Flag)).collect(),
            config,
            ..Self::default()
        }
    }

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
        let knob = find(name).ok_or_else(|| Error::internal(msg::NoKnob { name }))?;
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
            let line = match error.field_name().map(|name| self.source(name)) {
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
            self.warnings.push(msg::EvalStepsMissing.into());
        }
        Ok(())
    }

    /// Whether scoring by steps was asked for without saying every how many.
    fn follows_logging(&self) -> bool {
        self.is_given("eval_strategy") && self.config.eval_strategy == Interval::Steps && !self.is_given("eval_steps")
    }

    /// Sentences about knobs that were given and have no effect beside the others.
    fn ignored_settings(&self) -> Vec<Message> {
        use SchedulerType::{Constant, CosineWithRestarts, Polynomial};
        let config = &self.config;
        let schedule = config.lr_scheduler_type;
        let full = config.finetuning_type == FinetuningType::Full;
        let mut ignored: Vec<(&str, Message)> = Vec::new();
        if schedule != CosineWithRestarts {
            ignored.push(("num_cycles", msg::OnlyRestartsHaveWaves.into()));
        }
        if schedule != Polynomial {
            ignored.push(("power", msg::OnlyPolynomialHasPower.into()));
            ignored.push(("lr_end", msg::OnlyPolynomialHasLastRate.into()));
        }
        if schedule == Constant {
            let knobs = ["warmup_ratio", "warmup_steps"];
            ignored.extend(knobs.map(|name| (name, msg::ConstantHasNoWarmup.into())));
        } else if config.warmup_steps > 0 {
            ignored.push(("warmup_ratio", msg::ReplacedBy { name: "warmup_steps" }.into()));
        }
        if config.max_steps >= 0 {
            ignored.push(("num_train_epochs", msg::ReplacedBy { name: "max_steps" }.into()));
        }
        if config.validation_file.is_some() {
            let name = "validation_file";
            ignored.push(("val_size", msg::IsGiven { name }.into()));
        }
        for (interval, strategy, steps) in [
            (config.eval_strategy, "eval_strategy", "eval_steps"),
            (config.save_strategy, "save_strategy", "save_steps"),
            (config.logging_strategy, "logging_strategy", "logging_steps"),
        ] {
            if interval != Interval::Steps {
                ignored.push((steps, msg::IsNotSteps { strategy }.into()));
            }
        }
        if config.classifier_hidden_size == 0 {
            ignored.push(("classifier_activation", msg::NoHiddenLayer.into()));
        }
        let scores_on_the_way = match config.eval_strategy {
            Interval::Steps => config.eval_steps > 0.0,
            Interval::Epoch => true,
            Interval::No => false,
        };
        if !scores_on_the_way {
            ignored.push(("early_stopping_patience", msg::NotScoredOnTheWay.into()));
        }
        if config.early_stopping_patience == 0 {
            let name = "early_stopping_patience";
            ignored.push(("early_stopping_threshold", msg::IsNotGiven { name }.into()));
        }
        if config.loraplus_lr_ratio.is_none() {
            let name = "loraplus_lr_ratio";
            ignored.push(("loraplus_lr_embedding", msg::IsNotGiven { name }.into()));
        }
        if full {
            let adapters = KNOBS
                .iter()
                .filter(|knob| knob.group == Group::Adapter && knob.name != "finetuning_type");
            ignored.extend(adapters.map(|knob| (knob.name, msg::FullHasNoAdapters.into())));
        }
        let given = ignored.into_iter().filter(|(name, _)| self.is_given(name));
        given
            .map(|(what, reason)| msg::NoEffect { what, reason }.into())
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
        Some(kind) => kind.is_structured(),
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
    Err(Error::internal(msg::TableDisagrees { name: knob.name }))
}

/// The first error, with the others told behind its remedy.
fn all(errors: Vec<Error>) -> Result<()> {
    let mut errors = errors.into_iter();
    let Some(mut first) = errors.next() else {
        return Ok(());
    };
    let both = |first: Message, second: Message| -> Message { Both { first, second }.into() };
    let others = errors.map(|error| error.message()).reduce(both);
    let also = others.map(|errors| Message::from(msg::Also { errors }));
    first.remedy = first.remedy.into_iter().chain(also).reduce(both);
    Err(first)
}
