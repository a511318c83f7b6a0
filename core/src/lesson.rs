//! Lessons as data: what a pupil is asked, which runs are trained, and what is worked out from them.
//!
//! A lesson is one JSON file, `public/lessons/ID.json`; `docs/lessons.md` tells authors what each field means. This
//! module has its types, what a run of it measured ([`RunResults`]), the conditions on it ([`Condition`]) and its
//! recorded runs ([`Recording`]). Showing and running it is a front end's part, and recording it a program's (`cargo
//! xtask record-lessons`); neither burn nor files are needed here.

mod check;
mod condition;
mod places;
mod read;
mod recording;
mod results;

pub use condition::{At, Comparison, Condition, Operand, RunValue, decimal};
pub use recording::Recording;
pub use results::{Measured, Results, RunResults};

use crate::config::{KNOBS, RunConfig, find};
use crate::did_you_mean::nearest;
use crate::error::{Error, Result};
use crate::protocol::{PictureKind, PictureRequest};
use lorakeet_i18n::messages::lesson as msg;
use lorakeet_i18n::messages::{common, config};
use lorakeet_i18n::{Field, Language, Message};
use places::Places;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The model that comes with the page, as lessons name it.
pub const BUNDLED_MODEL: &str = "model";

/// The version of the format.
pub const FORMAT: u32 = 1;

/// A lesson.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lesson {
    /// Where the schema lies, for editors.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// [`FORMAT`].
    pub format: u32,
    /// The name of its file.
    pub id: String,
    /// How long it takes a pupil.
    pub minutes: u32,
    /// Its title.
    pub title: Text,
    /// The one sentence that stays.
    pub idea: Text,
    /// What is asked before and after, the same both times.
    pub question: Question,
    /// What can be trained, by name.
    pub runs: BTreeMap<String, LessonRun>,
    /// What the pupil commits to before anything is trained.
    pub predict: Predict,
    /// What is trained then.
    pub train: Train,
    /// What stands beside the prediction.
    pub compare: Compare,
    /// Why it came out so.
    pub explain: Explain,
    /// What the pupil spoils, to see where the idea ends.
    pub break_it: BreakIt,
    /// The teacher's page, by its path in the repository.
    pub teacher: String,
}

/// A lesson in the list of lessons, `public/lessons/index.json`, which is in teaching order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ListedLesson {
    /// The name of its file.
    pub id: String,
    /// Its title.
    pub title: Text,
    /// How long it takes a pupil.
    pub minutes: u32,
}

/// Plain text in every language. An empty line divides paragraphs, backticks enclose `code`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// In English.
    pub en: String,
    /// In Simplified Chinese.
    pub zh: String,
}

impl Text {
    /// In a language.
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Chinese => &self.zh,
        }
    }

    /// Its paragraphs in a language.
    pub fn paragraphs(&self, language: Language) -> impl Iterator<Item = &str> {
        let paragraphs = self.get(language).split("\n\n").map(str::trim);
        paragraphs.filter(|paragraph| !paragraph.is_empty())
    }
}

/// A question with one right answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Question {
    /// What is asked.
    pub text: Text,
    /// The answers to choose from.
    pub choices: Vec<Text>,
    /// The right one, counted from 0.
    pub answer: usize,
    /// Why it is right; shown after the second time.
    pub why: Text,
}

/// A run of a lesson.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LessonRun {
    /// What it is called in pictures and tables.
    pub label: Text,
    /// [`BUNDLED_MODEL`], or the name of a small model that starts from fresh weights.
    pub model: String,
    /// Its training data, a path beside the page.
    pub data: String,
    /// Its validation data; without one a part of `data` is held out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validation: Option<String>,
    /// Knobs of run files, where they differ from a run file's defaults.
    pub settings: BTreeMap<String, Value>,
    /// What the model continues before, during and after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Pictures that the engine makes on the way, as [`LessonRun::requests`] reads them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub watch: Vec<Value>,
}

/// What the pupil commits to: one of `choices`, or a `number`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Predict {
    /// What is to be predicted.
    pub text: Text,
    /// The outcomes, of which one holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// A value that is to be estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<Estimate>,
}

/// A possible outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// What the pupil reads.
    pub text: Text,
    /// When it is what happened: all of these hold.
    pub when: Vec<Condition>,
}

/// A number that the pupil gives.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The value that it is compared with.
    pub of: RunValue,
    /// The least that can be given.
    pub from: f64,
    /// The most.
    pub to: f64,
    /// How finely.
    pub step: f64,
    /// What stands behind it; `%` shows 0.5 as 50 %.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
}

/// The runs that the pupil trains, one after the other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Train {
    /// What to look at.
    pub text: Text,
    /// Names of runs, in order.
    pub runs: Vec<String>,
    /// Knobs that the pupil can change.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<String>,
    /// What is shown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PartPicture>,
}

/// The outcome beside the prediction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compare {
    /// What to look at.
    pub text: Text,
    /// Values in a table.
    pub show: Vec<RunValue>,
}

/// The explanation, data first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explain {
    /// Shown once the pupil has written a sentence of their own.
    pub text: Text,
    /// What is shown beside it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pictures: Vec<PartPicture>,
}

/// Runs that go wrong, and what the pupil can change in them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BreakIt {
    /// What to try.
    pub text: Text,
    /// Names of runs, in order.
    pub runs: Vec<String>,
    /// Knobs that the pupil can change, and [`BreakIt::DATA`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<String>,
    /// Values in a table.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub show: Vec<RunValue>,
}

impl BreakIt {
    /// The control by which rows are edited or replaced by one's own.
    pub const DATA: &str = "data";
}

/// A picture of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PartPicture {
    /// What it shows.
    pub kind: PartPictureKind,
    /// Of which run; the loss is of all runs of the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

/// What a picture of a part shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartPictureKind {
    /// The loss curves of all runs of the part.
    Loss,
    /// The prompt continued before and after.
    Samples,
    /// Scores without training.
    Baselines,
    /// What the run comes to.
    Report,
    /// What the engine makes, because a run's `watch` asks for it; the others are made of a run's events.
    Watched(PictureKind),
}

impl PartPictureKind {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let of_events = [Self::Loss, Self::Samples, Self::Baselines, Self::Report];
        of_events.into_iter().chain(PictureKind::ALL.map(Self::Watched))
    }

    /// Its name in lessons.
    pub fn name(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Samples => "samples",
            Self::Baselines => "baselines",
            Self::Report => "report",
            Self::Watched(kind) => kind.name(),
        }
    }
}

impl Serialize for PartPictureKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl ListedLesson {
    /// The lessons of a list that is JSON.
    ///
    /// # Errors
    /// Fields that are unknown, missing, or of another type.
    pub fn list(value: &Value) -> Result<Vec<Self>> {
        read::listed(value)
    }
}

impl Lesson {
    /// The lesson of a JSON value. That it means something is not checked; [`Lesson::parse`] does that.
    ///
    /// # Errors
    /// Another version; fields that are unknown, missing, or of another type.
    pub fn read(value: &Value) -> Result<Self> {
        read::lesson(value)
    }

    /// Reads a lesson and checks it; `file` is for messages.
    ///
    /// # Errors
    /// Text that is no lesson, names that stand for nothing, conditions that cannot be read, settings that do not go
    /// together.
    pub fn parse(text: &str, file: &str) -> Result<Self> {
        let value: Value = serde_json::from_str(text).map_err(|error| places::from_json(&error).file(file))?;
        let places = Places::find(text).map_err(|error| error.file(file))?;
        let lesson = Self::read(&value).and_then(|lesson| check::check(&lesson).map(|()| lesson));
        lesson.map_err(|error| places.with_line(error).file(file))
    }

    /// Which of the predicted choices is what happened; none where values are missing yet, or not exactly one holds.
    pub fn outcome(&self, results: &Results) -> Option<usize> {
        let mut outcome = None;
        for (place, choice) in self.predict.choices.iter().enumerate() {
            if choice.holds(results)? && outcome.replace(place).is_some() {
                return None;
            }
        }
        outcome
    }

    /// All runs that are trained, each once, in the order in which they first come.
    pub fn order(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.train.runs.iter().chain(&self.break_it.runs) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }
}

impl Choice {
    /// Whether all its conditions hold; none where that is not known yet.
    pub fn holds(&self, results: &Results) -> Option<bool> {
        let mut all = Some(true);
        for condition in &self.when {
            match condition.holds(results) {
                Some(false) => return Some(false),
                Some(true) => {}
                None => all = None,
            }
        }
        all
    }
}

impl LessonRun {
    /// Its settings, on top of a run file's defaults: what follows from others (`lora_alpha` from `lora_r`) follows as
    /// it does there.
    ///
    /// # Errors
    /// A setting that is no knob, or has its own field here; values that are not possible, alone or together.
    pub fn config(&self) -> Result<RunConfig> {
        for key in self.settings.keys() {
            let knob = find(key).map(|knob| knob.name).unwrap_or_default();
            if let Some(field) = own_field(knob) {
                let error = Error::config(msg::HasOwnField { field }).field(key);
                return Err(error.remedy(msg::UseOwnField { field }));
            }
            if OF_FOLDERS.contains(&knob) {
                return Err(Error::config(msg::NotInLessons).field(key).remedy(config::TakeLineOut));
            }
        }
        RunConfig::from_settings(&self.settings_with_paths())
    }

    /// Its settings with the knobs that its own fields give.
    pub fn settings_with_paths(&self) -> Map<String, Value> {
        let mut settings: Map<String, Value> = self.settings.clone().into_iter().collect();
        let paths = [
            (MODEL, Some(&self.model)),
            (DATA, Some(&self.data)),
            (VALIDATION, self.validation.as_ref()),
        ];
        for (knob, path) in paths {
            settings.extend(path.map(|path| (knob.to_owned(), Value::from(path.as_str()))));
        }
        settings
    }

    /// The pictures that the engine makes on the way.
    ///
    /// # Errors
    /// A request that is none; its field is `watch[0]` or the like.
    pub fn requests(&self) -> Result<Vec<PictureRequest>> {
        let request = |(place, value): (usize, &Value)| {
            let request = serde_json::from_value(value.clone());
            request.map_err(|error| places::from_json(&error).field(format!("watch[{place}]")))
        };
        self.watch.iter().enumerate().map(request).collect()
    }
}

const MODEL: &str = "model_name_or_path";
const DATA: &str = "train_file";
const VALIDATION: &str = "validation_file";

/// Knobs for runs that have a folder of their own.
const OF_FOLDERS: [&str; 7] = [
    "adapter_name_or_path",
    "output_dir",
    "overwrite_output_dir",
    "resume_from_checkpoint",
    "save_strategy",
    "save_steps",
    "save_total_limit",
];

/// The knobs that the runs of lessons have: those of run files but for paths, which are fields of a run, and for what
/// is saved.
pub fn setting_names() -> impl Iterator<Item = &'static str> + Clone {
    let names = KNOBS.iter().map(|knob| knob.name);
    names.filter(|name| own_field(name).is_none() && !OF_FOLDERS.contains(name))
}

/// The field of a run that gives this knob.
fn own_field(knob: &str) -> Option<&'static str> {
    match knob {
        MODEL => Some("model"),
        DATA => Some("data"),
        VALIDATION => Some("validation"),
        _ => None,
    }
}

fn other_format(got: u32) -> Error {
    Error::config(msg::OtherFormat { got, known: FORMAT })
        .field("format")
        .remedy(msg::UseNewerVersion)
}

/// The remedy that names the nearest of `names`, else each of them once.
fn one_of<'a>(written: &str, names: impl Iterator<Item = &'a str> + Clone) -> Message {
    if let Some(name) = nearest(written, names.clone()) {
        return common::DidYouMean { name }.into();
    }
    let mut known: Vec<&str> = Vec::new();
    for name in names {
        if !known.contains(&name) {
            known.push(name);
        }
    }
    let names = Field::list(known);
    msg::NameOneOf { names }.into()
}
