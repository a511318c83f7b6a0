//! What the engine says, while it loads and while it trains.

use super::audit::AuditReport;
use super::baselines::MeasuredBaselines;
use super::export::ExportEvent;
use super::files::FilesEvent;
use super::hub::HubEvent;
use super::judgement::{FileScore, Judgement};
use super::kept_run::{RunSample, StoredCopy, StoredRun};
use super::knob_info::KnobInfo;
use super::number;
use super::picture::Picture;
use super::preview::{ColumnUse, PreviewExample, RunPreview};
use super::rate::RateSearch;
use super::report::{Baseline, EvalInfo, PredictionTable, Report, TextPrediction};
use super::run_curve::RunCurve;
use super::run_outcome::OpenedRun;
use super::run_report::ReportForm;
use super::sweep::StoredSweep;
use crate::advice::Advice;
use crate::error::Error;
use crate::task::Task;
use lorakeet_i18n::Message;
use serde::{Deserialize, Serialize};

/// What the engine says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The worker's code is there and listens.
    Ready,
    /// The device in use.
    Device(DeviceInfo),
    /// What was measured on it.
    Probe(Probe),
    /// Long work under way.
    Progress {
        /// What is being done.
        stage: Stage,
        /// How much is done.
        done: u64,
        /// Of how much; 0 where unknown.
        total: u64,
    },
    /// The model is loaded.
    Model(ModelInfo),
    /// The data is loaded.
    Data(DataInfo),
    /// The validation data is loaded, or taken away.
    Validation {
        /// What was loaded.
        data: Option<DataInfo>,
    },
    /// Examples, token by token.
    Preview {
        /// One entry an example.
        examples: Vec<PreviewExample>,
        /// How many rows of the data come before the first of them.
        #[serde(default)]
        after: usize,
        /// How many rows there are to show.
        #[serde(default)]
        total: usize,
        /// What the columns of a table are to the run, in the file's order.
        #[serde(default)]
        columns: Vec<ColumnUse>,
        /// What a run would do with them.
        #[serde(default)]
        outlook: Option<RunPreview>,
        /// Why there can be no run on this model and this data.
        #[serde(default)]
        problem: Option<Error>,
        /// Why the validation data cannot be scored in it.
        #[serde(default)]
        validation_problem: Option<Error>,
    },
    /// What an audit of data found.
    Audit(Box<AuditReport>),
    /// Knobs as fields; names that are no knob's are left out.
    Knobs {
        /// In the order in which they were asked for.
        knobs: Vec<KnobInfo>,
    },
    /// What a run would take.
    Estimate {
        /// Its memory.
        memory: MemoryEstimate,
        /// The most that the device can give, where that is known.
        available_bytes: Option<u64>,
        /// About how long one of its steps takes, where the device was measured and the run's work is known.
        #[serde(default)]
        seconds_per_step: Option<f64>,
        /// What the last run on this model and device tells of it; `seconds_per_step` is scaled by that run then.
        #[serde(default)]
        learnt: Option<Learnt>,
    },
    /// What is recommended for a run, and what is unwise in its settings.
    Advice {
        /// With reasons.
        advice: Box<Advice>,
        /// Rows that the run would train on; of packed texts, blocks.
        rows: usize,
        /// Rows that it would hold out.
        held_out: usize,
    },
    /// What a search for a learning rate found.
    Rate(Box<RateSearch>),
    /// The run starts.
    Started(RunInfo),
    /// An optimizer step is done.
    Step(StepInfo),
    /// The validation split was scored.
    Eval(EvalInfo),
    /// A continuation of the sample prompt.
    Sample {
        /// Optimizer steps done; 0 is the base model.
        step: usize,
        /// The prompt.
        prompt: String,
        /// The continuation.
        text: String,
    },
    /// The run holds.
    Paused {
        /// Optimizer steps done.
        step: usize,
    },
    /// The run goes on.
    Resumed,
    /// The adapter was saved.
    Checkpoint {
        /// Optimizer steps done.
        step: usize,
        /// Where.
        path: String,
    },
    /// The device's memory was full in the middle of a step, which is taken again with fewer rows at a time.
    Halved {
        /// The step.
        step: usize,
        /// Rows at a time from now on.
        rows: usize,
        /// How many times so many, for one step.
        batches: usize,
    },
    /// The run goes wrong; a warning or the run's end says it in words.
    Diverging(Divergence),
    /// A run goes on from a checkpoint: what it had said until then.
    Continued {
        /// Optimizer steps done.
        step: usize,
        /// The steps that were reported; speed and memory are not written down and are 0.
        steps: Vec<StepInfo>,
        /// The scores.
        evals: Vec<EvalInfo>,
        /// What the model wrote, the oldest first.
        #[serde(default)]
        samples: Vec<RunSample>,
    },
    /// The runs in the session's store, the newest first.
    Runs {
        /// One entry a run.
        runs: Vec<StoredRun>,
        /// The copies of files that they need, and those that nobody needs any more.
        #[serde(default)]
        copies: Vec<StoredCopy>,
        /// Whether there is a store at all: without one nothing outlives the program, and no run can be gone on with.
        #[serde(default)]
        has_store: bool,
        /// Whether a run is left out because it was being written elsewhere: to be asked for again.
        #[serde(default)]
        is_partial: bool,
    },
    /// The curves of runs in the session's store.
    RunCurves {
        /// One entry for each that was asked for, by its id; an empty one where nothing was kept of it.
        curves: Vec<(String, RunCurve)>,
    },
    /// A run of the session's store that has ended, opened again.
    RunOpened(Box<OpenedRun>),
    /// The sweeps in the session's store, the newest first.
    Sweeps {
        /// One entry a sweep.
        sweeps: Vec<StoredSweep>,
    },
    /// Models from a hub, and those that were fetched.
    Hub(HubEvent),
    /// Scores without training: the scores to beat.
    Baseline {
        /// One entry a way.
        scores: Vec<Baseline>,
    },
    /// What those that were asked for before a run say about tuning.
    BaselinesMeasured(Box<MeasuredBaselines>),
    /// The trained model compared with the baselines.
    Report(Box<Report>),
    /// Row by row what the model answers, the worst errors first.
    Predictions(PredictionTable),
    /// A closer look at these answers; after them, where there are any.
    Judgement(Box<Judgement>),
    /// A run's report as a file of its own.
    ReportFile {
        /// Its form.
        form: ReportForm,
        /// All of it.
        text: String,
    },
    /// Files that were looked into or compared, and adapters that no run here trained.
    Files(FilesEvent),
    /// What the trained model comes to on another file.
    FileScored(Box<FileScore>),
    /// What the model answers to texts that were given to it.
    Predicted {
        /// What kind of answers these are.
        task: Task,
        /// The strength of the adapter in them.
        #[serde(default = "super::command::full_strength")]
        strength: f64,
        /// One entry a text, or of token classification a token; of rankings and embeddings a document, the best first.
        answers: Vec<TextPrediction>,
    },
    /// The run is over.
    Done(RunSummary),
    /// A piece of a generated text.
    Token {
        /// The request's number.
        id: u32,
        /// Text to append.
        text: String,
    },
    /// A generated text is complete.
    Generated {
        /// The request's number.
        id: u32,
        /// All of it.
        text: String,
        /// Tokens generated.
        tokens: usize,
        /// Speed.
        #[serde(with = "number")]
        tokens_per_second: f64,
    },
    /// A picture.
    Picture {
        /// The request's number; `None` of a picture that the run was asked to watch.
        id: Option<u32>,
        /// Of a watched picture, optimizer steps done.
        step: Option<usize>,
        /// Its numbers.
        picture: Picture,
    },
    /// A file to offer for download; its bytes travel beside the event.
    File {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// A file of the checkpoint that was asked for with [`Command::HandOver`](super::Command::HandOver); its bytes travel beside the
    /// event.
    CheckpointFile {
        /// Its name in the checkpoint's folder.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// What was trained, in one of several forms.
    Export(ExportEvent),
    /// Something to know that stops nothing.
    Warning {
        /// What.
        message: Message,
    },
    /// What was asked for failed; the engine listens on.
    Failed(Error),
}

/// What long work is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The worker's code is on its way (bytes).
    Download,
    /// Model tensors are read and sent to the device (bytes).
    LoadModel,
    /// A data file is read (bytes).
    ReadData,
    /// Rows are tokenized (rows).
    Tokenize,
    /// What a run reads is looked through, to know it again (bytes).
    Check,
    /// The person's files are copied into the store of a run that is kept (bytes).
    Copy,
    /// The validation split is scored (batches).
    Evaluate,
    /// What was trained is handed over (bytes of weights).
    Export,
    /// The GPU's kernels are compiled before the first step of a run (kernels). Where a later step needs others, how many there will
    /// be is not known, and the total is 0 (kernels since the run's start). When they are ready, the total is what is done.
    Compile,
}

/// The device in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// `gpu` or `cpu`.
    pub kind: DeviceKind,
    /// The adapter's name.
    pub name: String,
    /// WebGPU, Vulkan, Metal, DX12 or CPU.
    pub backend: String,
    /// Largest buffer that may be bound.
    pub max_binding_bytes: u64,
    /// A plain sentence on what to expect: why it is the CPU, that the adapter is a software one.
    pub note: Option<Message>,
}

/// What a device does, as `lorakeet_core::probe` measures it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// Billions of operations a second in a square product of matrices of f32.
    pub gflops: f64,
    /// Billions of bytes a second, read and written, in a sum of two tensors.
    pub gbytes_per_s: f64,
    /// Milliseconds from asking for four bytes to having them.
    pub await_ms: f64,
    /// Microseconds for each of many launches of a kernel with next to nothing to do.
    pub launch_us: f64,
}

/// GPU or CPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceKind {
    /// A wgpu adapter.
    Gpu,
    /// burn's Flex.
    Cpu,
}

/// A loaded model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// What it is called.
    pub name: String,
    /// As config.json has it: `llama`, `gpt2`, `bert`, `t5` and the like.
    pub model_type: String,
    /// Weights, tied ones counted once.
    pub parameters: u64,
    /// What they take on the device.
    pub weight_bytes: u64,
    /// What the program that holds the engine takes itself once the model is loaded, where that is known: the memory of a
    /// WebAssembly worker, which never shrinks, so that its peak is in it.
    #[serde(default)]
    pub heap_bytes: Option<u64>,
    /// The storage types in its files, with their share of the parameters' bytes: `[("Q4_1", 90123456)]`.
    pub formats: Vec<(String, u64)>,
    /// V.
    pub vocab_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads of a layer; 0 of the small models, whose attention is not drawn.
    #[serde(default)]
    pub num_attention_heads: usize,
    /// C.
    pub hidden_size: usize,
    /// Longest row that it knows positions for.
    pub max_position_embeddings: usize,
    /// Whether it brings a chat template.
    pub has_chat_template: bool,
    /// Whether that asks for `enable_thinking`.
    #[serde(default)]
    pub has_thinking_switch: bool,
    /// Names of the linears that adapters can go on, shortened to their suffixes.
    pub linear_modules: Vec<String>,
}

/// What a run will take on the device, in bytes; `lorakeet_core::estimate` says what is counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemoryEstimate {
    /// Weights of the base, tied ones counted once.
    pub parameters: u64,
    /// What they take.
    pub base_bytes: u64,
    /// Weights that are trained.
    pub trained_parameters: u64,
    /// What those of adapters and of heads trained whole take, on top of the base.
    pub adapter_bytes: u64,
    /// AdamW's moments.
    pub optimizer_bytes: u64,
    /// The gradients of all that is trained.
    pub gradient_bytes: u64,
    /// What the backward pass of a micro-batch keeps, where that is known.
    pub activation_bytes: Option<u64>,
    /// The most at any time of a step. It is less than the sum, because not all of them are there at once, or more by what
    /// lives inside an operation. Not known of every run: `lorakeet_core::estimate` says of which.
    pub peak_bytes: Option<u64>,
}

/// What a forecast has from the last run on the same model and device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Learnt {
    /// Steps of that run that were measured.
    pub steps: usize,
    /// The peak, scaled by what that run held, where the device tells.
    pub peak_bytes: Option<u64>,
}

impl MemoryEstimate {
    /// Bytes of the base for each of its weights.
    pub fn bytes_per_parameter(&self) -> f64 {
        bytes_per_parameter(self.base_bytes, self.parameters)
    }
    /// Whether it is known to take more than `available` bytes.
    pub fn is_above(&self, available: u64) -> bool {
        self.peak_bytes.is_some_and(|peak| peak > available)
    }
}

impl ModelInfo {
    /// Bytes on the device for each weight.
    pub fn bytes_per_parameter(&self) -> f64 {
        bytes_per_parameter(self.weight_bytes, self.parameters)
    }
}

fn bytes_per_parameter(bytes: u64, parameters: u64) -> f64 {
    bytes as f64 / parameters.max(1) as f64
}

/// Loaded data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataInfo {
    /// File name.
    pub name: String,
    /// Recognised form: `text`, `alpaca`, `messages`, `sharegpt`, `prompt_completion`, `numbers`; `table` where no column has a
    /// known name.
    pub form: String,
    /// Rows.
    pub rows: usize,
    /// Columns or keys found.
    pub columns: Vec<String>,
    /// The sheets of a workbook, of which one is read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sheets: Vec<String>,
    /// Things worth knowing (skipped empty rows, repaired encodings).
    pub notes: Vec<Message>,
}

/// A run that starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Optimizer steps planned.
    pub max_steps: usize,
    /// Examples to train on.
    pub train_examples: usize,
    /// Examples held out.
    pub eval_examples: usize,
    /// Weights that are trained.
    pub trainable_parameters: u64,
    /// All weights.
    pub all_parameters: u64,
    /// What is learnt.
    #[serde(default)]
    pub task: Task,
    /// What is made small, as a run file writes it.
    #[serde(default)]
    pub loss: String,
}

/// One optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepInfo {
    /// From 1.
    pub step: usize,
    /// Fraction of epochs done.
    #[serde(with = "number")]
    pub epoch: f64,
    /// Mean loss a target token, in nats.
    #[serde(with = "number")]
    pub loss: f64,
    /// The rate that this step used.
    #[serde(with = "number")]
    pub learning_rate: f64,
    /// Global norm before clipping.
    #[serde(with = "number")]
    pub grad_norm: f64,
    /// Tokens put through the model a second, padding not counted; no number as long as all steps had kernels to compile.
    #[serde(with = "number")]
    pub tokens_per_second: f64,
    /// Tokens seen so far, padding not counted.
    pub num_input_tokens_seen: u64,
    /// Estimated time to the end; no number where the speed is none.
    #[serde(with = "number")]
    pub eta_seconds: f64,
    /// Seconds since the run began by then, without those in which it did not run; no number where that was not kept.
    #[serde(with = "number", default = "number::unknown")]
    pub seconds: f64,
    /// Device memory in use, where the device tells.
    pub device_bytes: Option<u64>,
}

/// By what it shows that a run goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    /// The loss left its range and stays above what the run began with.
    LossRose,
    /// The gradient is many times its usual size, and the loss is above what the run began with.
    GradientExploded,
    /// The gradient has been exactly 0 for many steps.
    GradientVanished,
    /// The loss or the gradient's norm is no number.
    NotFinite,
}

/// A run that goes wrong, and what to try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// By what it shows.
    pub sign: Sign,
    /// The step at which it was noticed.
    pub step: usize,
    /// The step with which it began.
    pub since: usize,
    /// The rows of that step, by their numbers in the data.
    pub rows: Vec<usize>,
    /// The newest checkpoint from before it, by its step.
    pub checkpoint: Option<usize>,
    /// A learning rate to try: a third of the run's.
    #[serde(with = "number")]
    pub learning_rate: f64,
    /// Whether the run ends by it.
    pub ends_run: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// `true` where all steps were done or the scores ended the run early, `false` where it was stopped.
    pub finished: bool,
    /// Optimizer steps done.
    pub steps: usize,
    /// Mean training loss over the run.
    #[serde(with = "number")]
    pub train_loss: f64,
    /// Validation loss of the base model.
    #[serde(with = "number::optional", default)]
    pub eval_loss_before: Option<f64>,
    /// Validation loss at the end.
    #[serde(with = "number::optional", default)]
    pub eval_loss_after: Option<f64>,
    /// Wall time.
    #[serde(with = "number")]
    pub seconds: f64,
}
