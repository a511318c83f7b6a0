//! What front ends say to the engine.

#[cfg(doc)]
use super::Event;
use super::export::ExportCommand;
use super::files::FilesCommand;
use super::hub::HubCommand;
use super::kept_run::{Keep, RunLabels};
use super::picture::PictureRequest;
use super::run_report::ReportRequest;
use super::sweep::SweepCommand;
use crate::config::RunConfig;
use serde::{Deserialize, Serialize};

/// A front end's request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Choose a device and report it: answered by [`Event::Device`].
    Open {
        /// `auto` takes the GPU where there is one, else the CPU.
        device: DeviceChoice,
    },
    /// Measure the device, which takes about half a second: answered by [`Event::Probe`].
    Probe,
    /// Load the model whose files travel with this command (a GGUF file, or config.json + safetensors + tokenizer.json).
    LoadModel {
        /// File names, in the order of the files beside the command; native front ends give paths instead.
        files: Vec<String>,
        /// What to call it.
        name: String,
        /// The run that it is for: `quantization_bit` or `fp8` packs it on the way. Without one it keeps its file's format,
        /// and is read again where a run wants another.
        #[serde(default)]
        config: Option<Box<RunConfig>>,
    },
    /// Load the training data in the one file beside this command, or in two: images in the IDX format and their labels.
    LoadData {
        /// File name; its ending decides the format.
        file: String,
    },
    /// Load validation data in the same way, to be scored instead of a part of the training data: answered by
    /// [`Event::Validation`].
    LoadValidation {
        /// File name; none takes the validation data away again, and a part of the training data is held out.
        file: Option<String>,
    },
    /// Data files that are loaded after this are read as a run with these settings reads them (encoding, drop_rows), until it is
    /// said otherwise. A run's own settings go before it: its data are read again where they were read otherwise, which is told by
    /// another [`Event::Data`].
    ReadAs {
        /// The settings.
        config: Box<RunConfig>,
    },
    /// Show a few examples as the model will see them: answered by [`Event::Preview`].
    Preview {
        /// The settings that shape examples (cutoff_len, packing, columns).
        config: Box<RunConfig>,
        /// How many rows of the data come before the first one shown.
        #[serde(default)]
        after: usize,
    },
    /// Audit data: the file beside this command, with the validation file behind it where there is one, else the files of the loaded
    /// data, whether or not a run can use them. Lengths are in tokens of the loaded model, where one is loaded. Answered by
    /// [`Event::Audit`].
    Audit {
        /// The settings that shape examples (cutoff_len, val_size, columns, encoding, drop_rows).
        config: Box<RunConfig>,
    },
    /// Hand over the rows of the loaded data that `drop_rows` leaves, as lines of JSON with all columns: answered by
    /// [`Event::File`].
    KeptRows {
        /// The settings that say which rows these are (columns, encoding, drop_rows).
        config: Box<RunConfig>,
    },
    /// Tell what a run on the loaded model would take: answered by [`Event::Estimate`].
    Estimate {
        /// Every knob.
        config: Box<RunConfig>,
    },
    /// Tell what is recommended for a run on the loaded model and data, and what is unwise in its settings: answered by
    /// [`Event::Advice`]. Of large files a part is looked at.
    Advise {
        /// Every knob.
        config: Box<RunConfig>,
    },
    /// Score the baselines on the rows that a run with these settings holds out, as that run does: answered by its
    /// [`Event::Baseline`]s and an [`Event::BaselinesMeasured`]. The model has the weights afterwards from which the run would start.
    Baselines {
        /// Every knob.
        config: Box<RunConfig>,
    },
    /// Search for a learning rate of a run on the loaded model and data, in steps of the run itself: each is told as an
    /// [`Event::Step`], the outcome as [`Event::Rate`]. The model has the weights afterwards from which the run would start.
    FindRate {
        /// Every knob.
        config: Box<RunConfig>,
    },
    /// Answer texts with the loaded model's head, as a run trained it: answered by [`Event::Predicted`].
    Predict {
        /// Every knob; `task` says which answers are wanted.
        config: Box<RunConfig>,
        /// Each text alone, or with the one that it is read together with. Of rankings and embeddings: the query first, then
        /// its documents.
        texts: Vec<Vec<String>>,
        /// The strength of the adapter, from 0 (without it) over 1 (as it was trained) to 2.
        #[serde(default = "full_strength")]
        strength: f64,
    },
    /// Files that are looked into or compared, and adapters that no run here trained.
    Files(FilesCommand),
    /// Write a run's report as a file of its own: answered by [`Event::ReportFile`].
    WriteReport(Box<ReportRequest>),
    /// Score what the last run trained on the file beside this command, which is read as that run's data were, and what there is to
    /// beat on the same rows: answered by [`Event::FileScored`].
    ScoreFile {
        /// File name; its ending decides the format.
        file: String,
    },
    /// Start a run on the loaded model and data; where the files of an [`Event::CheckpointFile`] each travel with this command, it
    /// goes on from that checkpoint.
    Train {
        /// Every knob.
        config: Box<RunConfig>,
        /// Text to continue before, during and after, so that the change can be read.
        sample_prompt: Option<String>,
        /// Pictures to draw before the first step, whenever a sample is written and at the end, each as an
        /// [`Event::Picture`] without a request's number. A loss surface is drawn at the start and at the end only.
        #[serde(default)]
        watch: Vec<PictureRequest>,
        /// Keep the run in the session's store, or go on with one that is kept there. Where the store cannot take it, the run is
        /// told of by a [`Event::Warning`] and trains all the same.
        #[serde(default)]
        keep: Option<Keep>,
    },
    /// Tell which runs the session's store keeps: answered by [`Event::Runs`].
    Runs,
    /// Remove a run from the store, with copies of files that no other run needs: answered by [`Event::Runs`].
    ForgetRun {
        /// Its id; none removes all of them, and what is written down of sweeps.
        id: Option<String>,
    },
    /// Remove a copy of a file from the store; a run that needs it can go on once the file was chosen again: answered by
    /// [`Event::Runs`].
    ForgetCopy {
        /// What it is called in the store.
        copy: String,
    },
    /// Give a run of the store a name and tags, in place of those that it has; not while it is under way. Answered by
    /// [`Event::Runs`].
    LabelRun {
        /// Its id.
        id: String,
        /// The name and the tags.
        labels: RunLabels,
    },
    /// Tell the curves of runs of the store: answered by [`Event::RunCurves`].
    RunCurves {
        /// Their ids.
        ids: Vec<String>,
    },
    /// Open a run of the store that has ended: answered by [`Event::RunOpened`].
    OpenRun {
        /// Its id.
        id: String,
        /// Whether the loaded model is that of the run and is to have the weights that the run left.
        weights: bool,
    },
    /// Sweeps of the store: answered by [`Event::Sweeps`].
    Sweep(SweepCommand),
    /// Models from a hub, and those that were fetched.
    Hub(HubCommand),
    /// Write a checkpoint of a kept run after the step under way; nothing where none is under way.
    SaveRun,
    /// Hand the checkpoint of the run under way over to the front end, after the step under way: answered by
    /// [`Event::CheckpointFile`]s, `manifest.json` last. Nothing before the first step, and where no run is under way.
    HandOver,
    /// Hold the run after the step under way.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End the run after the step under way; the adapter so far is kept. A search for a learning rate, or the scoring of baselines, ends
    /// without an outcome.
    Stop,
    /// Continue a prompt; answered by [`Event::Token`]s and one [`Event::Generated`].
    Generate {
        /// The front end's number for this request.
        id: u32,
        /// The text or the conversation.
        prompt: Prompt,
        /// Sampling settings.
        options: GenerateOptions,
        /// Whether the adapter takes part; `false` gives the base model.
        adapter: bool,
    },
    /// Stop generating.
    CancelGenerate,
    /// End the reading of a data file that is under way, which fails then.
    CancelReading,
    /// Tell of knobs what a front end without their table needs to show them as fields: answered by [`Event::Knobs`].
    Knobs {
        /// Their names.
        names: Vec<String>,
        /// The tag of the language in which to tell it.
        language: String,
    },
    /// Compute a picture of the loaded model as it is now: answered by [`Event::Picture`].
    Picture {
        /// The front end's number for this request.
        id: u32,
        /// Which picture.
        request: PictureRequest,
    },
    /// Hand over the adapter as PEFT's two files: answered by [`Event::File`]s, the weights last.
    ExportAdapter,
    /// What was trained, in one of several forms; not in the middle of a run.
    Export(ExportCommand),
}

/// Which device to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceChoice {
    /// The GPU where there is one, else the CPU.
    #[default]
    Auto,
    /// The GPU, or an error.
    Gpu,
    /// The CPU.
    Cpu,
}

/// What to continue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Plain text, continued as it stands.
    Text(String),
    /// A conversation, laid out by the model's own chat template.
    Messages(Vec<ChatMessage>),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChatMessage {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// transformers' GenerationConfig names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerateOptions {
    /// Tokens to add at most.
    pub max_new_tokens: usize,
    /// `false` is greedy.
    pub do_sample: bool,
    /// Above 0; below 1 sharpens, above 1 flattens.
    pub temperature: f64,
    /// Keep the k likeliest; 0 keeps all.
    pub top_k: usize,
    /// Keep the likeliest whose probabilities sum to this.
    pub top_p: f64,
    /// Seed of the sampler.
    pub seed: u64,
    /// Texts that end the generation.
    pub stop: Vec<String>,
    /// The strength of the adapter, from 0 (without it) over 1 (as it was trained) to 2; no name of transformers.
    pub adapter_strength: f64,
}

/// An adapter as it was trained.
pub(super) fn full_strength() -> f64 {
    1.0
}

impl Default for GenerateOptions {
    fn default() -> Self {
        Self {
            max_new_tokens: 64,
            do_sample: false,
            temperature: 1.0,
            top_k: 50,
            top_p: 1.0,
            seed: 42,
            stop: Vec::new(),
            adapter_strength: full_strength(),
        }
    }
}
