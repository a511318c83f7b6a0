//! Every word of the page, in every language, as one struct: a language that misses a sentence does not compile.
//!
//! Two kinds of text live elsewhere, in all languages as well: the guidance beside a knob in the knob table of
//! `lorakeet_core::config`, and what the engine says in the crate `lorakeet_i18n`.

mod advice;
pub mod audit;
mod chart;
mod en;
mod export;
mod files;
mod history;
mod hub;
pub mod inside;
mod judge;
pub mod moments;
mod runs;
pub mod share;
mod storage;
mod sweep;
mod tasks;
mod zh;

use lorakeet_core::config::Group;
use lorakeet_core::error::Kind;
use lorakeet_core::protocol::DeviceChoice;
use std::fmt::Display;

pub use lorakeet_i18n::Language;

/// The page's words in a language.
pub fn words(language: Language) -> &'static Words {
    match language {
        Language::English => &en::WORDS,
        Language::Chinese => &zh::WORDS,
    }
}

/// In English so many of something whose name takes an s: `1 step`, `2 steps`.
fn counted<N: Display + Copy>(count: N, name: &str) -> String {
    match count.to_string().as_str() {
        "1" => format!("1 {name}"),
        count => format!("{count} {name}s"),
    }
}

/// A text in every language.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Localized {
    /// In English.
    pub english: &'static str,
    /// In Simplified Chinese.
    pub chinese: &'static str,
}

impl Localized {
    /// The text in a language.
    pub fn get(self, language: Language) -> &'static str {
        match language {
            Language::English => self.english,
            Language::Chinese => self.chinese,
        }
    }
}

/// The page's words. Fields that take numbers are functions, so that each language orders them as it likes.
pub struct Words {
    /// Under the name.
    pub tagline: &'static str,
    /// Label of the language switch.
    pub language: &'static str,
    /// Label of the theme switch.
    pub theme: &'static str,
    /// Theme of the system.
    pub theme_auto: &'static str,
    /// Light theme.
    pub theme_light: &'static str,
    /// Dark theme.
    pub theme_dark: &'static str,
    /// First stop of the Tab key.
    pub skip_to_train: &'static str,

    /// The button that opens the panel of links.
    pub share: &'static str,
    /// What is said about sharing.
    pub sharing: &'static share::ShareWords,
    /// A newer version of the page is stored and can be taken.
    pub newer_version: &'static str,
    /// The button that takes it.
    pub take_version: &'static str,
    /// Why it cannot be taken while another tab has the page open.
    pub version_elsewhere: &'static str,
    /// What is said about stored runs.
    pub runs: &'static runs::RunWords,
    /// What is said about stored runs side by side.
    pub history: &'static history::HistoryWords,
    /// What is said about what is stored in the browser.
    pub stored: &'static storage::StorageWords,
    /// What is said about exports.
    pub export: &'static export::ExportWords,
    /// What is said about files that are looked into or compared.
    pub files: &'static files::FileWords,
    /// What is said about judging the fine-tuned model.
    pub judge: &'static judge::JudgeWords,
    /// What is said about the course of a run.
    pub moments: &'static moments::MomentWords,
    /// What is said about models from a hub.
    pub hub: &'static hub::HubWords,
    /// What is said about settings that are recommended or unwise, and what a run takes.
    pub advice: &'static advice::AdviceWords,
    /// What is said about sweeps.
    pub sweep: &'static sweep::SweepWords,
    /// What is said about pictures.
    pub inside: &'static inside::InsideWords,
    /// Above what of a link cannot be used.
    pub link_problems: &'static str,

    /// The device line before the engine answers.
    pub device_unknown: &'static str,
    /// The switch between devices.
    pub device_switch: &'static str,
    /// A position of that switch.
    pub device_choice: fn(DeviceChoice) -> &'static str,
    /// In front of the device's name.
    pub device: &'static str,
    /// The CPU, said plainly.
    pub device_cpu: &'static str,
    /// The button that measures the device.
    pub measure: &'static str,
    /// It is being measured.
    pub measuring: &'static str,
    /// What was measured: GFLOP/s, GB/s, milliseconds of a read, microseconds of a launch.
    pub measured: fn([String; 4]) -> String,
    /// The engine's code is loading; share done in percent where known, and bytes so far.
    pub engine_loading: fn(Option<u64>, String) -> String,
    /// The engine's code starts.
    pub engine_starting: &'static str,
    /// The engine is gone.
    pub engine_failed: &'static str,
    /// What to do then.
    pub engine_failed_remedy: &'static str,
    /// The way out.
    pub restart_engine: &'static str,
    /// Button after a lost GPU.
    pub use_cpu: &'static str,

    /// What is said about the audit of data, columns and the preview of rows.
    pub audit: &'static audit::AuditWords,
    /// What is said about tasks and what runs come to.
    pub tasks: &'static tasks::TaskWords,

    /// Title of step 2.
    pub model: &'static str,
    /// Title of step 3.
    pub data: &'static str,
    /// Title of step 5.
    pub settings: &'static str,
    /// Title of step 6.
    pub train: &'static str,
    /// Title of step 8.
    pub try_it: &'static str,
    /// Title of step 9.
    pub export_title: &'static str,
    /// State of a step for screen readers: done.
    pub step_ready: &'static str,
    /// State of a step for screen readers: working.
    pub step_busy: &'static str,
    /// State of a step for screen readers: open.
    pub step_waiting: &'static str,
    /// State of a step for screen readers: failed.
    pub step_failed: &'static str,

    /// Nothing is loaded yet.
    pub model_none: &'static str,
    /// Files are being read; share done.
    pub model_loading: fn(Option<u64>) -> String,
    /// One line: parameters, memory.
    pub model_summary: fn(String, String, String) -> String,
    /// The choice that comes with the page.
    pub model_bundled: &'static str,
    /// What that model is.
    pub model_bundled_about: &'static str,
    /// Small models from fresh weights.
    pub model_small: &'static str,
    /// What they are for.
    pub model_small_about: &'static str,
    /// One of them, by its name.
    pub small_model: fn(&str) -> String,
    /// The drop zone.
    pub model_drop: &'static str,
    /// What can be dropped.
    pub model_drop_hint: &'static str,
    /// The picker.
    pub choose_files: &'static str,
    /// The folder picker.
    pub choose_folder: &'static str,
    /// Row heading.
    pub architecture: &'static str,
    /// Row heading.
    pub parameters: &'static str,
    /// Row heading.
    pub weights_memory: &'static str,
    /// Row heading: what the program takes itself.
    pub tab_memory: &'static str,
    /// Weights in memory: bytes, and bytes a parameter.
    pub weights_memory_value: fn(String, String) -> String,
    /// Row heading.
    pub storage: &'static str,
    /// Row heading.
    pub shape: &'static str,
    /// Layers and width.
    pub shape_value: fn(usize, usize) -> String,
    /// Row heading.
    pub vocabulary: &'static str,
    /// Row heading.
    pub longest_row: &'static str,
    /// A number of tokens.
    pub tokens: fn(String) -> String,
    /// Row heading.
    pub chat_template: &'static str,
    /// It has one.
    pub yes: &'static str,
    /// It has none.
    pub no: &'static str,

    /// Nothing is loaded yet.
    pub data_none: &'static str,
    /// Rows are being read.
    pub data_loading: &'static str,
    /// One line: rows and form.
    pub data_summary: fn(String, String) -> String,
    /// Names of the recognised forms.
    pub data_form: fn(&str) -> String,
    /// Heading of the bundled sets.
    pub data_bundled: &'static str,
    /// The drop zone.
    pub data_drop: &'static str,
    /// What can be dropped.
    pub data_drop_hint: &'static str,
    /// Heading of the place for a validation file.
    pub validation_file: &'static str,
    /// The drop zone.
    pub validation_drop: &'static str,
    /// What it is for.
    pub validation_hint: &'static str,
    /// What follows from the file that was given.
    pub validation_given: &'static str,
    /// It does not go with the training data.
    pub validation_problem: &'static str,
    /// A run file names one that the page does not have.
    pub validation_wanted: fn(&str) -> String,
    /// Takes a file away.
    pub remove: &'static str,
    /// At the knob val_size.
    pub val_size_idle: &'static str,
    /// Row heading.
    pub columns: &'static str,
    /// Source of a bundled set.
    pub source: &'static str,
    /// Heading of the examples.
    pub preview: &'static str,
    /// What the colours mean.
    pub preview_legend: &'static str,
    /// A token that is learnt from.
    pub preview_trained: &'static str,
    /// A token that is only read.
    pub preview_read: &'static str,
    /// No examples yet.
    pub preview_none: &'static str,
    /// Heading of one example.
    pub example: fn(usize) -> String,
    /// Number of tokens of an example, and how many are trained on.
    pub example_tokens: fn(usize, usize) -> String,
    /// It was cut.
    pub truncated: &'static str,

    /// What a run takes: the peak where it is known, the base, the base's bytes a parameter.
    pub memory: fn(Option<String>, String, String) -> String,
    /// The peak is above what the device can give.
    pub memory_too_much: fn(String) -> String,
    /// About how long a step takes on the device that was measured.
    pub step_time: fn(String) -> String,
    /// One line on the settings.
    pub settings_summary: fn(&str, Option<usize>, &str) -> String,
    /// Heading of a group of knobs.
    pub group: fn(Group) -> &'static str,
    /// The folded ones.
    pub more_settings: &'static str,
    /// Back to the start.
    pub reset_settings: &'static str,
    /// Default value of a knob.
    pub default_value: fn(&str) -> String,
    /// An empty optional field.
    pub not_set: &'static str,
    /// Heading of the run file.
    pub run_file: &'static str,
    /// What it is for.
    pub run_file_hint: &'static str,
    /// Copies it.
    pub copy: &'static str,
    /// After copying.
    pub copied: &'static str,
    /// Saves it.
    pub save_file: &'static str,
    /// Reads it from the box.
    pub apply: &'static str,
    /// Reads it from a file.
    pub import: &'static str,
    /// After reading it.
    pub applied: &'static str,

    /// The button.
    pub train_now: &'static str,
    /// The button after a run.
    pub train_again: &'static str,
    /// The button.
    pub pause: &'static str,
    /// The button.
    pub resume: &'static str,
    /// The button.
    pub stop: &'static str,
    /// Label of the sample's prompt.
    pub sample_prompt: &'static str,
    /// What it is for.
    pub sample_prompt_hint: &'static str,
    /// Status lines.
    pub status_loading: &'static str,
    /// Waiting for a model.
    pub status_need_model: &'static str,
    /// Waiting for data.
    pub status_need_data: &'static str,
    /// A setting is wrong.
    pub status_bad_settings: &'static str,
    /// Ready to train.
    pub status_ready: &'static str,
    /// The run was asked for.
    pub status_starting: &'static str,
    /// The run goes.
    pub status_running: &'static str,
    /// Validation is being scored.
    pub status_evaluating: &'static str,
    /// Steps wait for the GPU's kernels to be compiled.
    pub status_compiling: &'static str,
    /// How many of them were compiled so far, and how many there are; 0 where that is not known.
    pub status_compiled: fn(u64, u64) -> String,
    /// Pause was asked for.
    pub status_pausing: &'static str,
    /// The run holds at a step.
    pub status_paused: fn(usize) -> String,
    /// Stop was asked for.
    pub status_stopping: &'static str,
    /// The run is over: steps, wall time.
    pub status_done: fn(usize, String) -> String,
    /// The run was stopped: steps.
    pub status_stopped: fn(usize) -> String,
    /// The run failed.
    pub status_failed: &'static str,
    /// A text is being generated.
    pub status_generating: &'static str,
    /// Validation loss before and after.
    pub change: fn(String, String) -> String,
    /// Trained share of the weights.
    pub trainable: fn(String, String) -> String,
    /// Examples for training and validation.
    pub split: fn(usize, usize) -> String,

    /// A number of steps.
    pub steps: fn(i64) -> String,
    /// A number of epochs.
    pub epochs: fn(f64) -> String,
    /// Number.
    pub step: &'static str,
    /// Number.
    pub loss: &'static str,
    /// Number.
    pub validation_loss: &'static str,
    /// Number.
    pub learning_rate: &'static str,
    /// Number.
    pub grad_norm: &'static str,
    /// Number.
    pub speed: &'static str,
    /// Its unit.
    pub tokens_per_second: &'static str,
    /// Unit of the losses.
    pub nats: &'static str,
    /// Number.
    pub time_left: &'static str,
    /// Seconds, spelled.
    pub duration: fn(f64) -> String,

    /// Title of the chart.
    pub chart: &'static str,
    /// The chart while it is empty.
    pub chart_empty: &'static str,
    /// Legend.
    pub training: &'static str,
    /// Legend.
    pub validation: &'static str,
    /// The chart in one sentence for screen readers: steps, first loss, last loss, last validation loss.
    pub chart_summary: fn(usize, String, String, Option<String>) -> String,
    /// How the charts are looked at.
    pub charts: &'static chart::ChartWords,

    /// Heading of the changing text.
    pub samples: &'static str,
    /// Before training.
    pub before: &'static str,
    /// While training.
    pub now: fn(usize) -> String,
    /// After training.
    pub after: fn(usize) -> String,
    /// After training, while nothing was trained.
    pub afterwards: &'static str,
    /// No sample yet.
    pub sample_none: &'static str,
    /// No later sample yet.
    pub sample_waiting: &'static str,
    /// Label of the slider through the samples.
    pub sample_slider: &'static str,

    /// Label.
    pub prompt: &'static str,
    /// Label.
    pub temperature: &'static str,
    /// What it does.
    pub temperature_hint: &'static str,
    /// Label.
    pub top_p: &'static str,
    /// What it does.
    pub top_p_hint: &'static str,
    /// Label.
    pub max_tokens: &'static str,
    /// What it does.
    pub max_tokens_hint: &'static str,
    /// Label.
    pub as_chat: &'static str,
    /// The button.
    pub generate: &'static str,
    /// The button.
    pub cancel: &'static str,
    /// Pane.
    pub base_model: &'static str,
    /// Pane.
    pub tuned_model: &'static str,
    /// Empty pane.
    pub base_empty: &'static str,
    /// Empty pane before a run.
    pub tuned_empty: &'static str,
    /// Empty pane after a run.
    pub tuned_ready: &'static str,
    /// While a run goes.
    pub try_busy: &'static str,
    /// Summary while there is no model.
    pub try_none: &'static str,
    /// Summary.
    pub try_base_only: &'static str,
    /// Summary.
    pub try_both: &'static str,
    /// Tokens and speed.
    pub generated: fn(usize, String) -> String,

    /// Summary before there is an adapter.
    pub export_none: &'static str,
    /// Summary with one.
    pub export_ready: &'static str,

    /// Heading of an error, by kind.
    pub error_title: fn(Kind) -> &'static str,
    /// The way out where the error brings none, by kind.
    pub error_remedy: fn(Kind) -> &'static str,
    /// Between a name and what is said of it.
    pub colon: &'static str,
    /// Closes a message.
    pub dismiss: &'static str,
    /// A remark of the engine.
    pub note: &'static str,
    /// At the foot.
    pub privacy: &'static str,
    /// At the foot: where the bundled texts come from.
    pub credits: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spelled_with_units_that_fit() {
        assert_eq!((en::WORDS.duration)(7.4), "7 s");
        assert_eq!((en::WORDS.duration)(125.0), "2 min 05 s");
        assert_eq!((zh::WORDS.duration)(3725.0), "1 小时 02 分");
    }
}
