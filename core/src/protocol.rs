//! What front ends say to the engine and what it says back: one enum in, one enum out.
//!
//! The page, the widget and the command all drive the engine through these types and nothing else. They travel as JSON
//! (`lorakeet train --json` prints the events one a line; the page's worker posts them), except for bulk bytes: dropped files
//! go to the worker as the browser's own `File` objects beside the command that names them, and an exported file's bytes come
//! back as a buffer beside the event that names it. Nothing here needs burn.

use crate::config::RunConfig;
use crate::error::Error;
use crate::task::Task;
use serde::{Deserialize, Serialize};

/// A front end's wish.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Command {
    /// Choose a device and report it: answered by [`Event::Device`].
    Open {
        /// `auto` takes the GPU where there is one, else the CPU.
        device: DeviceChoice,
    },
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
    /// Show the first examples as the model will see them: answered by [`Event::Preview`].
    Preview {
        /// The settings that shape examples (cutoff_len, packing, columns).
        config: Box<RunConfig>,
    },
    /// Tell what a run on the loaded model would take: answered by [`Event::Estimate`].
    Estimate {
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
    },
    /// Start a run on the loaded model and data.
    Train {
        /// Every knob.
        config: Box<RunConfig>,
        /// Text to continue before, during and after, so that the change can be read.
        sample_prompt: Option<String>,
    },
    /// Hold the run after the step under way.
    Pause,
    /// Go on after a pause.
    Resume,
    /// End the run after the step under way; the adapter so far is kept.
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
    /// Hand over the adapter as PEFT's two files: answered by [`Event::File`]s, the weights last.
    ExportAdapter,
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
    Messages(Vec<Message>),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
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
        }
    }
}

/// What the engine says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// The worker's code is there and listens.
    Ready,
    /// The device in use.
    Device(DeviceInfo),
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
    /// The first examples, token by token.
    Preview {
        /// One entry an example.
        examples: Vec<PreviewExample>,
        /// What a run would do with them.
        #[serde(default)]
        outlook: Option<Outlook>,
        /// Why there can be no run on this model and this data.
        #[serde(default)]
        problem: Option<Error>,
        /// Why the validation data cannot be scored in it.
        #[serde(default)]
        validation_problem: Option<Error>,
    },
    /// What a run would take.
    Estimate {
        /// Its memory.
        memory: MemoryEstimate,
        /// The most that the device can give, where that is known.
        available_bytes: Option<u64>,
    },
    /// The run starts.
    Started(RunInfo),
    /// An optimizer step is done.
    Step(StepInfo),
    /// The validation split was scored.
    Eval(EvalInfo),
    /// A continuation of the sample prompt.
    Sample {
        /// Optimizer steps done; 0 is the untouched model.
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
    /// What can be had without training: the scores to beat.
    Baseline {
        /// One entry a way.
        scores: Vec<Baseline>,
    },
    /// What the training bought over that.
    Report(Box<Report>),
    /// Row by row what the model answers, the worst errors first.
    Predictions(Predictions),
    /// What the model answers to texts that were given to it.
    Predicted {
        /// What kind of answers these are.
        task: Task,
        /// One entry a text, or of token classification a token; of rankings and embeddings a document, the best first.
        answers: Vec<Answered>,
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
    /// A file to offer for download; its bytes travel beside the event.
    File {
        /// Its name.
        name: String,
        /// Its size.
        bytes: u64,
    },
    /// Something to know that stops nothing.
    Warning {
        /// A sentence.
        message: String,
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
    /// Rows are tokenized (rows).
    Tokenize,
    /// The validation split is scored (batches).
    Evaluate,
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
    pub note: Option<String>,
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
    /// C.
    pub hidden_size: usize,
    /// Longest row that it knows positions for.
    pub max_position_embeddings: usize,
    /// Whether it brings a chat template.
    pub has_chat_template: bool,
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
    /// lives inside an operation. Not known of every architecture.
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
    /// Things worth knowing (skipped empty rows, repaired encodings).
    pub notes: Vec<String>,
}

/// One example as the model will see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PreviewExample {
    /// Tokens in order: text, and whether it is trained on.
    pub tokens: Vec<(String, bool)>,
    /// Whether the row was cut at cutoff_len.
    pub truncated: bool,
    /// What is to be answered to the row; empty where the tokens themselves are learnt.
    #[serde(default)]
    pub label: String,
}

/// What a run on the loaded model and data would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outlook {
    /// What is learnt.
    pub task: Task,
    /// What is made small, as a run file writes it.
    pub loss: String,
    /// The metric by which the run is judged.
    pub metric: String,
    /// What was decided without being asked for, and why.
    pub notes: Vec<String>,
    /// Rows of each label, the most frequent first; of words with classes, words.
    pub labels: Vec<(String, u64)>,
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
    /// Tokens put through the model a second, padding not counted.
    #[serde(with = "number")]
    pub tokens_per_second: f64,
    /// Tokens seen so far, padding not counted.
    pub num_input_tokens_seen: u64,
    /// Estimated time to the end.
    #[serde(with = "number")]
    pub eta_seconds: f64,
    /// Device memory in use, where the device tells.
    pub device_bytes: Option<u64>,
}

/// A score of the validation split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvalInfo {
    /// Optimizer steps done; 0 is the untouched model.
    pub step: usize,
    /// Mean loss a target token, in nats.
    #[serde(with = "number")]
    pub loss: f64,
    /// exp(loss).
    #[serde(with = "number")]
    pub perplexity: f64,
    /// Target tokens scored; of other tasks than generation, labels.
    pub tokens: u64,
    /// The task's own metrics, without those above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
}

/// A score by its name, such as `accuracy`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Its name in run files.
    pub name: String,
    /// Its value; not a number where it has none for these rows.
    #[serde(with = "number")]
    pub value: f64,
}

/// Scores that need no training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// How the answers came about: `majority class`, `linear probe`.
    pub name: String,
    /// The task's metrics of them.
    pub metrics: Vec<Metric>,
}

/// What a run comes to on the validation rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was learnt.
    pub task: Task,
    /// The metric by which it is judged.
    pub metric: String,
    /// Metrics of the tuned model.
    pub metrics: Vec<Metric>,
    /// The scores to beat.
    pub baselines: Vec<Baseline>,
    /// The best of them by `metric`.
    pub against: String,
    /// The tuned model against it; none where the metric has no value for these rows.
    pub comparison: Option<Comparison>,
    /// Better, worse, or not to be told from chance.
    pub verdict: Option<Verdict>,
    /// What that means, in a sentence or two.
    pub sentence: String,
    /// The classes by number; empty of other tasks.
    #[serde(default)]
    pub labels: Vec<String>,
    /// How often each class was taken for each: right class, answer, rows; pairs that do not occur are left out.
    #[serde(default)]
    pub confusion: Vec<(usize, usize, u64)>,
    /// Precision, recall and F1 of each class.
    #[serde(default)]
    pub classes: Vec<ClassRow>,
    /// Whether the model is right as often as it is certain; bounds between which it never is are left out.
    #[serde(default)]
    pub calibration: Vec<CalibrationBin>,
}

/// One class's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassRow {
    /// Its name.
    pub label: String,
    /// Of the rows answered with it, the share for which it is right.
    pub precision: f64,
    /// Of the rows for which it is right, the share answered with it.
    pub recall: f64,
    /// Their harmonic mean.
    pub f1: f64,
    /// Rows for which it is right.
    pub support: u64,
}

/// The answers whose certainty lies between two bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower bound.
    pub from: f64,
    /// Upper bound.
    pub to: f64,
    /// How many.
    pub count: usize,
    /// Their mean certainty.
    #[serde(with = "number")]
    pub confidence: f64,
    /// The share of them that is right.
    #[serde(with = "number")]
    pub accuracy: f64,
}

/// What the model answers to a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The text.
    pub text: String,
    /// Probabilities of labels, the largest first; numbers by their targets' names; or the score of a document.
    pub values: Vec<Metric>,
}

/// A table of answers, the worst errors first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Predictions {
    /// The columns' names.
    pub columns: Vec<String>,
    /// A field for each column.
    pub rows: Vec<Vec<String>>,
}

impl Predictions {
    /// The table as csv (RFC 4180, lines ended by a line feed), the columns' names in the first line.
    ///
    /// A field that a spreadsheet would take for a formula, because it begins with `=`, `+`, `-`, `@`, a tab or a carriage return
    /// and is no number, gets a `'` in front, which spreadsheets take as the mark of a text (OWASP, "CSV Injection"): texts,
    /// labels and what a model writes come from strangers.
    pub fn to_csv(&self) -> String {
        let mut writer = csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
        for row in [&self.columns].into_iter().chain(&self.rows) {
            // A writer to memory refuses nothing but rows of other lengths, which a flexible one takes.
            drop(writer.write_record(row.iter().map(|field| as_text(field).into_owned())));
        }
        String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
    }
}

/// The field so that no spreadsheet computes it.
fn as_text(field: &str) -> std::borrow::Cow<'_, str> {
    let is_number = || field.parse::<f64>().is_ok_and(f64::is_finite);
    match field.starts_with(['=', '+', '-', '@', '\t', '\r']) && !is_number() {
        true => format!("'{field}").into(),
        false => field.into(),
    }
}

/// Two scores of the same rows, and the interval of their difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The score to beat.
    pub before: f64,
    /// The other score.
    pub after: f64,
    /// after − before.
    pub difference: f64,
    /// Lower end of the interval of the difference.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Its confidence.
    pub confidence: f64,
    /// Rows scored.
    pub rows: usize,
}

/// What a comparison comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The whole interval is on the better side of 0.
    Better,
    /// 0 is in the interval, or there are fewer than ten rows.
    NotDistinguishable,
    /// The whole interval is on the worse side of 0.
    Worse,
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
    /// Validation loss of the untouched model.
    #[serde(with = "number::optional", default)]
    pub eval_loss_before: Option<f64>,
    /// Validation loss at the end.
    #[serde(with = "number::optional", default)]
    pub eval_loss_after: Option<f64>,
    /// Wall time.
    #[serde(with = "number")]
    pub seconds: f64,
}

/// Numbers that may be none: JSON knows only finite ones, and serde_json would write the others as null, which it then
/// refuses to read. They are written as `"nan"`, `"inf"` and `"-inf"`, which Python's `float` reads as well.
mod number {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Written {
        Finite(f64),
        Other(Other),
    }

    #[derive(Serialize, Deserialize)]
    enum Other {
        #[serde(rename = "nan")]
        NotANumber,
        #[serde(rename = "inf")]
        Infinite,
        #[serde(rename = "-inf")]
        NegativeInfinite,
    }

    impl From<f64> for Written {
        fn from(number: f64) -> Self {
            if number.is_finite() {
                Self::Finite(number)
            } else if number.is_nan() {
                Self::Other(Other::NotANumber)
            } else if number > 0.0 {
                Self::Other(Other::Infinite)
            } else {
                Self::Other(Other::NegativeInfinite)
            }
        }
    }

    impl From<Written> for f64 {
        fn from(written: Written) -> Self {
            match written {
                Written::Finite(number) => number,
                Written::Other(Other::NotANumber) => Self::NAN,
                Written::Other(Other::Infinite) => Self::INFINITY,
                Written::Other(Other::NegativeInfinite) => Self::NEG_INFINITY,
            }
        }
    }

    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Written::from(*number).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Written::deserialize(deserializer).map(f64::from)
    }

    /// The same for a number that may be missing.
    pub mod optional {
        use super::Written;
        use serde::{Deserialize, Deserializer, Serialize, Serializer};

        pub fn serialize<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
            number.map(Written::from).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
            Ok(Option::<Written>::deserialize(deserializer)?.map(f64::from))
        }
    }
}
