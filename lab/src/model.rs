//! What the lab knows: the lesson, what was answered, what runs, what went wrong. No browser is needed here; what is done with
//! it is `play.rs`, how it is shown is `view.rs`.

use crate::answers::{Answers, Prediction};
use crate::events::KnobField;
use crate::options::{self, Options};
use crate::record::RunRecord;
use crate::words::{LabWords, lab_words};
use lorakeet_core::lesson::{BreakIt, Lesson, ListedLesson, Results, decimal};
use lorakeet_i18n::Language;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Name of the run with the pupil's own settings.
pub const OWN: &str = "own";

/// Parts of a lesson.
pub const PARTS: usize = 7;

/// Where the lab stands; the names are those of the element's `phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Phase {
    /// Start was not pressed.
    #[default]
    Idle,
    /// Engine and model are on their way.
    Loading,
    /// It can train.
    Ready,
    /// It could train, and the pupil has not predicted yet.
    Predicting,
    /// It trains.
    Training,
    /// A run holds.
    Paused,
    /// The runs of a part are done.
    Done,
    /// Something went wrong.
    Failed,
}

impl Phase {
    /// Its name for the page around the lab.
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Loading => "loading",
            Self::Ready => "ready",
            Self::Predicting => "predicting",
            Self::Training => "training",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Failed => "error",
        }
    }
}

/// What trains.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Device {
    /// Not known yet.
    #[default]
    Unknown,
    /// A GPU by its name.
    Gpu(String),
    /// The CPU.
    Cpu,
    /// Recorded runs: their device, their date.
    Recording(String, String),
}

impl Device {
    /// What the page around the lab is told of it; nothing while it is not known.
    pub fn told(&self) -> Option<&'static str> {
        Some(self.name()).filter(|name| !name.is_empty())
    }

    /// Its name for the page around the lab, empty while it is not known.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Gpu(_) => "gpu",
            Self::Cpu => "cpu",
            Self::Recording(..) => "replay",
        }
    }
}

/// What went wrong, in words, and whether the engine can be started again.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// In the lab's language.
    pub text: String,
    /// Whether to offer a new start.
    pub restarts: bool,
}

/// Everything that the lab shows.
#[derive(Default)]
pub struct Model {
    /// Language of all words.
    pub language: Language,
    /// How it is shown.
    pub options: Options,
    /// The lesson.
    pub lesson: Option<Rc<Lesson>>,
    /// The lessons there are, where none was chosen.
    pub lessons: Vec<ListedLesson>,
    /// A lesson of another site, fetched after a click: its address, its origin.
    pub foreign: Option<(String, String)>,
    /// The part shown, from 0.
    pub part: usize,
    /// What was answered.
    pub answers: Answers,
    /// Where the lab stands.
    pub phase: Phase,
    /// What trains.
    pub device: Device,
    /// How far the loading is: done, of so many.
    pub progress: (u64, u64),
    /// The run under way.
    pub current: Option<String>,
    /// Whether the run was paused because the lab is out of view.
    pub is_unseen: bool,
    /// Whether another lab trains.
    pub is_busy: bool,
    /// What went wrong.
    pub problem: Option<Problem>,
    /// The fields of the part's knobs.
    pub knobs: Vec<KnobField>,
    /// What the pupil set.
    pub settings: BTreeMap<String, String>,
    /// The pupil's own rows.
    pub rows: Option<String>,
    /// Rows as they came, by the run's data file.
    pub given_rows: BTreeMap<String, String>,
    /// What the engine said of the device.
    pub device_note: Option<String>,
    /// What the engine warned of outside of runs.
    pub notes: Vec<String>,
    /// Spoken by screen readers.
    pub live: String,
    /// How long the last part's runs took.
    pub seconds: f64,
    /// The runs, by name.
    pub runs: BTreeMap<String, RunRecord>,
}

impl Model {
    /// A lab that is shown like this.
    pub fn new(options: Options, browser_language: &str) -> Self {
        let mut model = Self::default();
        model.set_options(options, browser_language);
        model
    }

    /// Is shown differently; whether that is another lesson. Without a state of their own the options leave the lab's as it is.
    pub fn set_options(&mut self, mut options: Options, browser_language: &str) -> bool {
        let before = self.options.lesson();
        let has_state = options.has_state();
        if !has_state {
            options.state = std::mem::take(&mut self.options.state);
        }
        let tag = options
            .text(options::LANGUAGE)
            .unwrap_or_else(|| browser_language.to_owned());
        self.language = Language::from_tag(&tag);
        self.options = options;
        let is_other = self.options.lesson() != before;
        if is_other {
            self.leave_lesson();
        }
        if has_state {
            self.take_state();
        }
        is_other
    }

    /// Takes part and answers out of the state; what cannot be used of them is named.
    fn take_state(&mut self) {
        let state = self.options.state.clone();
        let mut unusable = Vec::new();
        let mut read = |key: &str, fits: &dyn Fn(&str) -> bool| {
            let text = state.get(key)?.to_owned();
            if fits(&text) {
                return Some(text);
            }
            unusable.push((key.to_owned(), text));
            None
        };
        let is_place = |text: &str| text.parse::<usize>().is_ok();
        let is_part = |text: &str| text.parse::<usize>().is_ok_and(|part| (1..=PARTS).contains(&part));
        let part = read(options::PART, &is_part);
        let before = read(options::BEFORE, &is_place);
        let predicted = read(options::PREDICTED, &|text| prediction(text).is_some());
        let after = read(options::AFTER, &is_place);
        self.options.unusable.extend(unusable);
        let place = |text: Option<String>| text.and_then(|text| text.parse::<usize>().ok());
        self.part = place(part).map_or(0, |part| part - 1);
        self.answers.before = place(before);
        self.answers.predicted = predicted.and_then(|text| prediction(&text));
        self.answers.after = place(after);
        self.take_settings();
    }

    /// Takes what the state says of the lesson's knobs.
    fn take_settings(&mut self) {
        for name in self.controls() {
            if let Some(text) = self.options.state.get(&name) {
                self.settings.insert(name, text.to_owned());
            }
        }
    }

    /// Takes a lesson, and what the state says of its knobs.
    pub fn set_lesson(&mut self, lesson: Lesson) {
        self.lesson = Some(Rc::new(lesson));
        self.foreign = None;
        self.take_settings();
    }

    /// The words of the language in use.
    pub fn words(&self) -> &'static LabWords {
        lab_words(self.language)
    }

    /// What the engine warned of, in the runs of the shown part and otherwise; each once.
    pub fn shown_notes(&self) -> Vec<&str> {
        let own = OWN.to_owned();
        let runs = self.part_runs();
        let runs = runs.iter().chain([&own]).filter_map(|name| self.runs.get(name));
        let mut notes: Vec<&str> = Vec::new();
        for note in self.notes.iter().chain(runs.flat_map(|run| &run.notes)) {
            if !notes.contains(&note.as_str()) {
                notes.push(note);
            }
        }
        notes
    }

    /// What the runs measured.
    pub fn results(&self) -> Results {
        let of = |(name, run): (&String, &RunRecord)| (name.clone(), run.results.clone());
        self.runs.iter().map(of).collect()
    }

    /// What a run is called.
    pub fn label(&self, name: &str) -> String {
        if name == OWN {
            return self.words().own_run.to_owned();
        }
        let run = self.lesson.as_ref().and_then(|lesson| lesson.runs.get(name));
        run.map_or(name.to_owned(), |run| run.label.get(self.language).to_owned())
    }

    /// The knobs of the lesson's fields, as far as the page around the lab shows them.
    pub fn controls(&self) -> Vec<String> {
        let Some(lesson) = &self.lesson else { return Vec::new() };
        let all = lesson.train.controls.iter().chain(&lesson.break_it.controls);
        let mut names: Vec<String> = Vec::new();
        for name in all {
            if name != BreakIt::DATA && self.is_wanted(name) && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// Whether the page around the lab shows this field of the lesson.
    pub fn is_wanted(&self, name: &str) -> bool {
        let shown = self.options.controls();
        shown.is_none_or(|shown| shown.iter().any(|known| known == name))
    }

    /// Why settings and rows cannot be changed, where that is so.
    pub fn is_fixed(&self) -> Option<&'static str> {
        let words = self.words();
        if self.options.is_set(options::LOCKED) {
            return Some(words.settings_locked);
        }
        matches!(self.device, Device::Recording(..)).then_some(words.settings_recorded)
    }

    /// Whether a run can be started.
    pub fn can_train(&self) -> bool {
        self.has_predicted() && matches!(self.phase, Phase::Ready | Phase::Done)
    }

    /// Whether the pupil has committed to a prediction.
    pub fn has_predicted(&self) -> bool {
        self.answers.predicted.is_some()
    }

    /// Whether the part after this one can be shown.
    pub fn can_go_on(&self) -> bool {
        self.part + 1 < PARTS
            && match self.part {
                0 => self.answers.before.is_some(),
                1 => self.has_predicted(),
                _ => true,
            }
    }

    /// The names of the runs that the shown part trains.
    pub fn part_runs(&self) -> Vec<String> {
        let Some(lesson) = &self.lesson else { return Vec::new() };
        match self.part {
            5 => lesson.break_it.runs.clone(),
            _ => lesson.train.runs.clone(),
        }
    }

    /// The same for another lesson, which is not there yet.
    fn leave_lesson(&mut self) {
        self.forget();
        (self.lesson, self.foreign, self.problem) = (None, None, None);
        self.lessons.clear();
        self.knobs.clear();
        self.given_rows.clear();
    }

    /// Everything from the beginning.
    pub fn forget(&mut self) {
        self.part = 0;
        self.answers = Answers::default();
        self.settings.clear();
        self.rows = None;
        self.runs.clear();
        self.seconds = 0.0;
        self.notes.clear();
        self.live.clear();
    }

    /// The answers as a table for the teacher.
    pub fn answers_csv(&self) -> String {
        let Some(lesson) = &self.lesson else {
            return String::new();
        };
        self.answers.table(lesson, &self.results(), self.language).to_csv()
    }

    /// The state as a text: what the address said, with what the pupil did on top.
    pub fn state_text(&self) -> String {
        let mut state = self.options.state.clone();
        match (self.options.text(options::SOURCE), &self.lesson) {
            // A lesson of one's own is known by its address alone.
            (Some(source), _) => state.set(options::SOURCE, Some(&source)),
            (None, Some(lesson)) => state.set(options::LESSON, Some(&lesson.id)),
            (None, None) => {}
        }
        state.set(options::PART, Some(&(self.part + 1).to_string()));
        let predicted = self.answers.predicted.map(|prediction| match prediction {
            Prediction::Choice(place) => place.to_string(),
            Prediction::Number(number) => format!("={number}"),
        });
        for (key, value) in [
            (options::BEFORE, self.answers.before.map(|place| place.to_string())),
            (options::PREDICTED, predicted),
            (options::AFTER, self.answers.after.map(|place| place.to_string())),
        ] {
            state.set(key, value.as_deref());
        }
        for (knob, text) in &self.settings {
            state.set(knob, Some(text));
        }
        state.to_text().unwrap_or_default()
    }
}

fn prediction(text: &str) -> Option<Prediction> {
    match text.strip_prefix('=') {
        Some(number) => decimal(number).map(Prediction::Number),
        None => text.parse().ok().map(Prediction::Choice),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(options: &str) -> Model {
        Model::new(Options::parse(options), "en-GB")
    }

    #[test]
    fn a_state_is_written_as_it_was_read_with_what_nobody_here_knows() {
        let state = "lab=1&part=3&before=1&predicted=2&later=x";
        let model = model(&format!(r#"{{"state":"{state}"}}"#));
        assert_eq!((model.part, model.answers.before), (2, Some(1)));
        assert_eq!(model.answers.predicted, Some(Prediction::Choice(2)));
        assert_eq!(model.state_text(), state);
    }

    #[test]
    fn new_options_without_a_state_leave_the_lab_where_it_is() {
        let mut model = model(r#"{"state":"lab=1&part=4&before=0"}"#);
        model.part = 5;
        model.set_options(Options::parse(r#"{"theme":"dark","state":""}"#), "en");
        assert_eq!((model.part, model.answers.before), (5, Some(0)));
        model.set_options(Options::parse(r#"{"state":"lab=1&part=2"}"#), "en");
        assert_eq!((model.part, model.answers.before), (1, None));
    }

    #[test]
    fn only_another_lesson_begins_anew() {
        let mut model = model(r#"{"lesson":"loss","state":"lab=1&part=4&before=0"}"#);
        model.foreign = Some(("a".into(), "b".into()));
        let is_other = |model: &mut Model, text: &str| model.set_options(Options::parse(text), "en");
        assert!(!is_other(&mut model, r#"{"lesson":"loss","theme":"dark"}"#));
        assert!(!is_other(
            &mut model,
            r#"{"lesson":"loss","state":"lab=1&lesson=loss&part=3"}"#
        ));
        assert!(
            !is_other(&mut model, r#"{"theme":"light"}"#),
            "the state still names the lesson"
        );
        assert_eq!((model.part, model.foreign.is_some()), (2, true));
        assert!(is_other(&mut model, r#"{"state":"lab=1&lesson=lora&part=2"}"#));
        assert_eq!((model.part, model.foreign), (1, None));
    }

    #[test]
    fn a_part_that_there_is_none_of_is_named() {
        let model = model(r#"{"state":"lab=1&part=9&before=x"}"#);
        let named: Vec<&str> = model.options.unusable.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!((model.part, named), (0, vec!["part", "before"]));
    }

    #[test]
    fn the_way_on_is_open_once_the_part_is_answered() {
        let mut model = model("{}");
        assert!(!model.can_go_on());
        model.answers.before = Some(0);
        assert!(model.can_go_on());
        model.part = 1;
        assert!(!model.can_go_on());
        model.answers.predicted = Some(Prediction::Number(0.5));
        assert!(model.can_go_on());
        model.part = PARTS - 1;
        assert!(!model.can_go_on());
    }

    #[test]
    fn a_locked_lab_and_a_recording_cannot_be_changed() {
        let words = lab_words(Language::English);
        assert_eq!(model("{}").is_fixed(), None);
        assert_eq!(model(r#"{"locked":true}"#).is_fixed(), Some(words.settings_locked));
        let mut recorded = model("{}");
        recorded.device = Device::Recording("CPU".into(), "2026-01-01".into());
        assert_eq!(recorded.is_fixed(), Some(words.settings_recorded));
    }
}
