//! Runs that outlive the program: what is written down of each, and how a front end asks for them.

use super::report::BaselineKind;
use super::{RunSummary, number};
use crate::config::{KNOBS, RunConfig};
use crate::error::{Error, Result};
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The folder of a store with copies of the person's files; each has the name that [`InputFile::copy`] gives.
pub const COPIES: &str = "inputs";

/// What a run is made of, as far as it is needed to begin it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Names the run in its store: letters, digits and hyphens.
    pub id: String,
    /// When it was started: milliseconds since 1970 in UTC.
    #[serde(with = "number")]
    pub started_ms: f64,
    /// Every knob, by its name: [`RunRecord::config`] reads them.
    pub settings: Map<String, Value>,
    /// What it learns.
    pub task: Task,
    /// What the model continues while it trains.
    pub sample_prompt: Option<String>,
    /// The model.
    pub model: RunInput,
    /// The training data.
    pub data: RunInput,
    /// The validation data, where it is in files of its own.
    pub validation: Option<RunInput>,
    /// The adapter that it starts from, where it starts from one.
    #[serde(default)]
    pub adapter: Option<RunInput>,
    /// Where the run stands.
    #[serde(default)]
    pub state: RunState,
    /// What it came to, once it has ended.
    #[serde(default)]
    pub summary: Option<RunSummary>,
    /// The optimizer steps that it is to have; not known before its rows are.
    #[serde(default)]
    pub max_steps: Option<usize>,
    /// SHA-256 of what it read, by the knob that names each: of the model its config.json and every weight (of one too large
    /// for that, `sampled:` and the digest of a sample of each tensor), of a data file every byte, as `rows` the tokens that it
    /// trains on and holds out, in their order.
    #[serde(default)]
    pub inputs: BTreeMap<String, String>,
    /// What it failed by, where it did.
    #[serde(default)]
    pub failure: Option<Error>,
    /// What the model wrote on the way, the oldest first.
    #[serde(default)]
    pub samples: Vec<RunSample>,
    /// What was noted on the way, the oldest first, each once.
    #[serde(default)]
    pub notes: Vec<Message>,
    /// Where the run went back to a checkpoint because it went wrong, and at which rate it went on; the oldest first.
    #[serde(default)]
    pub rate_changes: Vec<RateChange>,
    /// How good it became by the metric that judges it; none before its first score.
    #[serde(default)]
    pub score: Option<RunScore>,
    /// What the person calls it, and its tags.
    #[serde(default)]
    pub labels: RunLabels,
}

/// What a person calls a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RunLabels {
    /// Its name; none where it was given none.
    #[serde(default)]
    pub name: Option<String>,
    /// Words to find it by, each once, in the order in which they were given.
    #[serde(default)]
    pub tags: Vec<String>,
}

impl RunLabels {
    /// The most characters of a name or a tag.
    pub const MOST_CHARACTERS: usize = 80;
    /// The most tags of a run.
    pub const MOST_TAGS: usize = 20;

    /// Without spaces around names and tags, without empty ones, and without tags that are there already.
    ///
    /// # Errors
    /// A name or a tag is too long, or there are too many tags.
    pub fn checked(self) -> Result<Self> {
        let name = self.name.map(|name| name.trim().to_owned());
        let mut labels = Self {
            name: name.filter(|name| !name.is_empty()),
            tags: Vec::new(),
        };
        for tag in self.tags {
            let tag = tag.trim();
            if !tag.is_empty() && !labels.tags.iter().any(|known| known == tag) {
                labels.tags.push(tag.to_owned());
            }
        }
        let (most, tags) = (Self::MOST_CHARACTERS, Self::MOST_TAGS);
        if labels
            .name
            .iter()
            .chain(&labels.tags)
            .any(|text| text.chars().count() > most)
        {
            return Err(Error::config(msg::LabelTooLong { most }).remedy(msg::ShortenLabel));
        }
        match labels.tags.len() > tags {
            true => Err(Error::config(msg::TooManyTags { tags }).remedy(msg::RemoveATag)),
            false => Ok(labels),
        }
    }
}

/// How good a run became on its held-out rows, by the metric that judges it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunScore {
    /// The metric.
    pub metric: String,
    /// Its best value of all scores after the first step.
    #[serde(with = "number")]
    pub best: f64,
    /// The step of that score.
    pub step: usize,
    /// The best score without training; none where nothing was scored before.
    #[serde(with = "number::optional", default)]
    pub baseline: Option<f64>,
    /// How that comes about.
    #[serde(default)]
    pub against: Option<BaselineKind>,
}

/// What the model wrote at some step of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunSample {
    /// Optimizer steps done; 0 is the base model.
    pub step: usize,
    /// What it was given.
    pub prompt: String,
    /// What it added.
    pub text: String,
}

/// That a run went back to a checkpoint and on from there at another learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RateChange {
    /// The checkpoint's step.
    pub step: usize,
    /// `learning_rate` before.
    #[serde(with = "number")]
    pub before: f64,
    /// `learning_rate` of the steps after the checkpoint's.
    #[serde(with = "number")]
    pub learning_rate: f64,
}

impl RunRecord {
    /// One that begins with these settings: nothing has come of it yet.
    pub fn begun(
        (id, started_ms): (String, f64),
        (config, task): (&RunConfig, Task),
        [model, data]: [RunInput; 2],
    ) -> Self {
        Self {
            id,
            started_ms,
            settings: Self::settings_of(config),
            task,
            sample_prompt: None,
            model,
            data,
            validation: None,
            adapter: None,
            state: RunState::Open,
            summary: None,
            max_steps: None,
            inputs: BTreeMap::new(),
            failure: None,
            samples: Vec::new(),
            notes: Vec::new(),
            rate_changes: Vec::new(),
            score: None,
            labels: RunLabels::default(),
        }
    }

    /// Every knob of `config`, as a record has them.
    pub fn settings_of(config: &RunConfig) -> Map<String, Value> {
        let knobs = KNOBS
            .iter()
            .filter_map(|knob| Some((knob.name.to_owned(), config.get(knob.name)?)));
        knobs.collect()
    }

    /// The settings.
    ///
    /// # Errors
    /// A knob that is not known here, or has another type: another release wrote the record.
    pub fn config(&self) -> Result<RunConfig> {
        let mut config = RunConfig::default();
        for (name, value) in &self.settings {
            config.set(name, value)?;
        }
        Ok(config)
    }
}

/// Where a run gets its model or its data from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunInput {
    /// What the front end brings along, by its name.
    Bundled(String),
    /// The person's own files.
    Files(Vec<InputFile>),
}

/// A file of the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputFile {
    /// Its name.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// What it is called in the store, where a copy is kept there.
    #[serde(default)]
    pub copy: Option<String>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// It was begun, and nobody ended it: it is under way, or was interrupted.
    #[default]
    Open,
    /// The person stopped it.
    Stopped,
    /// All its steps are done, or its scores ended it.
    Finished,
}

/// A run in the store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredRun {
    /// What it is.
    pub record: RunRecord,
    /// The step of its newest checkpoint; none where there is none yet.
    pub step: Option<usize>,
    /// The steps that it was to have.
    pub max_steps: usize,
    /// What its own files take in the store.
    pub bytes: u64,
    /// Whether it is under way, here or in another tab.
    pub is_under_way: bool,
    /// Its training loss in a few points, for a small picture; empty where its curve was not kept.
    #[serde(with = "number::list", default)]
    pub sparkline: Vec<f32>,
}

/// A copy of a file of the person in the store, for the runs that were trained on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredCopy {
    /// What it is called in the store.
    pub copy: String,
    /// The file's own name; none where no run needs the copy that can be read.
    pub name: Option<String>,
    /// Its length.
    pub bytes: u64,
    /// How many runs need it.
    pub runs: usize,
    /// When the newest of them was started: milliseconds since 1970 in UTC.
    #[serde(with = "number::optional", default)]
    pub started_ms: Option<f64>,
}

/// Whether and how a run is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// A new run, with checkpoints as time goes by.
    New(Box<RunRecord>),
    /// The kept run of this id goes on from its newest checkpoint that is whole.
    GoOn(String),
    /// The kept run of this id, which went wrong, goes back to its newest checkpoint that is whole and not after `step`, and on
    /// from there at the learning rate of the settings that come with this, which is lower. Its later checkpoints are removed.
    GoBack {
        /// Which run.
        id: String,
        /// The last step that was good.
        step: usize,
    },
}
