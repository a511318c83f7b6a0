//! What the lab reads of the engine's events: a part of `lorakeet_core::protocol::Event`, taken field by field out of the JSON.
//! (Read by the protocol's own types, they would be a third of the lab's program.) A test holds each to the protocol.

#[cfg(test)]
mod tests;

use lorakeet_core::error::Kind;
use lorakeet_core::lesson::Measured;
use lorakeet_core::protocol::{
    Baseline, BaselineKind, Comparison, EvalInfo, Metric, ModelInfo, Picture, RunInfo, RunSummary, StepInfo,
    TokenProbability, Verdict,
};
use lorakeet_core::task::Task;
use serde_json::Value;

/// What the engine said, as far as the lab listens.
pub enum Heard {
    /// Its code is there.
    Ready,
    /// The device in use: whether it is a GPU, and its name.
    Device(bool, String),
    /// How much is loaded, of how much (0 where unknown).
    Progress(Loading),
    /// The data, or the validation data, is there.
    Data,
    /// Knobs that were asked for.
    Knobs(Vec<KnobField>),
    /// What a run measures: it goes to its results.
    Measured(Measured),
    /// The beginning continued.
    Sample(Sample),
    /// A picture, and the steps done.
    Picture(Option<usize>, Picture),
    /// What a run comes to.
    Report(Report),
    /// The run holds.
    Paused,
    /// The run goes on.
    Resumed,
    /// Something to know.
    Warning,
    /// What was asked for failed.
    Failed(Kind),
    /// A text that the page around the lab asked for.
    Generated(String),
    /// An exported file; its bytes are beside it.
    File(String),
    /// A piece of a file of an export; its bytes are beside it.
    Piece(String),
    /// All files of an export are complete.
    Exported,
    /// A file of a checkpoint; its bytes are beside it.
    CheckpointFile(String),
}

impl Heard {
    /// Whether it is what a run has come to, and is shown of it.
    pub fn is_of_run(&self) -> bool {
        matches!(
            self,
            Self::Measured(_) | Self::Sample(_) | Self::Picture(..) | Self::Report(_) | Self::Warning
        )
    }
}

/// How far the loading is.
pub struct Loading {
    /// `download`, `load_model`, …
    pub stage: String,
    /// Done.
    pub done: u64,
    /// Of so many.
    pub total: u64,
}

/// A knob as a field.
#[derive(Debug, Clone, PartialEq)]
pub struct KnobField {
    /// Its name in run files.
    pub name: String,
    /// On how to choose it, in the lab's language.
    pub guidance: String,
    /// The words that it takes; empty where it takes numbers or texts.
    pub choices: Vec<String>,
    /// What it counts, in the lab's language.
    pub unit: String,
    /// Which numbers it takes, where it takes plain ones.
    pub range: Option<KnobRange>,
}

/// The numbers that a knob takes.
#[derive(Debug, Clone, PartialEq)]
pub struct KnobRange {
    /// Smallest.
    pub min: f64,
    /// Largest.
    pub max: f64,
    /// Whether the smallest itself is refused.
    pub is_above: bool,
    /// Whether the largest itself is refused.
    pub is_below: bool,
    /// Whether it takes whole numbers alone.
    pub is_whole: bool,
}

/// The prompt continued.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Steps done.
    pub step: usize,
    /// The beginning.
    pub prompt: String,
    /// What the model added.
    pub text: String,
}

/// What a run comes to.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The metric by which it is judged.
    pub metric: String,
    /// Metrics of the tuned model.
    pub metrics: Vec<Metric>,
    /// Against the best baseline.
    pub comparison: Option<Comparison>,
    /// Better, worse, or neither.
    pub verdict: Option<Verdict>,
}

/// Reads an event; none where the lab has no use for it, or where it is none.
pub fn read(event: &Value) -> Option<Heard> {
    let of = Fields(event);
    Some(match event["type"].as_str()? {
        "ready" => Heard::Ready,
        "device" => Heard::Device(of.text("kind") == "gpu", of.text("name")),
        "progress" => Heard::Progress(Loading {
            stage: of.text("stage"),
            done: of.whole("done"),
            total: of.whole("total"),
        }),
        "data" | "validation" => Heard::Data,
        "knobs" => Heard::Knobs(of.list("knobs", |of| KnobField {
            name: of.text("name"),
            guidance: of.text("guidance"),
            choices: of.texts("choices"),
            unit: of.text("unit"),
            range: of.0["range"].is_object().then(|| {
                let range = &of.0["range"];
                KnobRange {
                    min: number(&range["min"]),
                    max: number(&range["max"]),
                    is_above: range["above"] == true,
                    is_below: range["below"] == true,
                    is_whole: range["whole"] == true,
                }
            }),
        })),
        "model" => Heard::Measured(Measured::Model(model(of))),
        "started" => Heard::Measured(Measured::Started(RunInfo {
            max_steps: of.size("max_steps"),
            train_examples: of.size("train_examples"),
            eval_examples: of.size("eval_examples"),
            trainable_parameters: of.whole("trainable_parameters"),
            all_parameters: of.whole("all_parameters"),
            task: Task::default(),
            loss: of.text("loss"),
        })),
        "step" => Heard::Measured(Measured::Step(StepInfo {
            step: of.size("step"),
            epoch: of.number("epoch"),
            loss: of.number("loss"),
            learning_rate: of.number("learning_rate"),
            grad_norm: of.number("grad_norm"),
            tokens_per_second: of.number("tokens_per_second"),
            num_input_tokens_seen: of.whole("num_input_tokens_seen"),
            eta_seconds: of.number("eta_seconds"),
            seconds: of.number("seconds"),
            device_bytes: None,
        })),
        "eval" => Heard::Measured(Measured::Eval(EvalInfo {
            step: of.size("step"),
            loss: of.number("loss"),
            perplexity: of.number("perplexity"),
            tokens: of.whole("tokens"),
            metrics: metrics(of),
        })),
        "baseline" => {
            let scores = of.list("scores", |of| {
                let name = of.text("kind");
                let kind = BaselineKind::ALL.into_iter().find(|kind| kind.name() == name);
                kind.map(|kind| Baseline {
                    kind,
                    name,
                    metrics: metrics(of),
                })
            });
            Heard::Measured(Measured::Baseline(scores.into_iter().flatten().collect()))
        }
        "done" => Heard::Measured(Measured::Done(RunSummary {
            finished: event["finished"] == true,
            steps: of.size("steps"),
            train_loss: of.number("train_loss"),
            eval_loss_before: of.optional("eval_loss_before"),
            eval_loss_after: of.optional("eval_loss_after"),
            seconds: of.number("seconds"),
        })),
        "sample" => Heard::Sample(Sample {
            step: of.size("step"),
            prompt: of.text("prompt"),
            text: of.text("text"),
        }),
        "picture" => Heard::Picture(
            event["step"].as_u64().map(|step| step as usize),
            picture(&event["picture"])?,
        ),
        "report" => Heard::Report(Report {
            metric: of.text("metric"),
            metrics: metrics(of),
            comparison: event["comparison"].is_object().then(|| {
                let of = Fields(&event["comparison"]);
                Comparison {
                    before: of.number("before"),
                    after: of.number("after"),
                    difference: of.number("difference"),
                    low: of.number("low"),
                    high: of.number("high"),
                    confidence: of.number("confidence"),
                    rows: of.size("rows"),
                }
            }),
            verdict: match of.text("verdict").as_str() {
                "better" => Some(Verdict::Better),
                "not_distinguishable" => Some(Verdict::NotDistinguishable),
                "worse" => Some(Verdict::Worse),
                _ => None,
            },
        }),
        "paused" => Heard::Paused,
        "resumed" => Heard::Resumed,
        "warning" => Heard::Warning,
        "failed" => Heard::Failed(match of.text("kind").as_str() {
            "file" => Kind::File,
            "device" => Kind::Device,
            "out_of_memory" => Kind::OutOfMemory,
            "diverged" => Kind::Diverged,
            "stopped" => Kind::Stopped,
            // Which of the others makes no difference here.
            _ => Kind::Data,
        }),
        "generated" => Heard::Generated(of.text("text")),
        "file" => Heard::File(of.text("name")),
        "export" => match event["about"].as_str()? {
            "piece" => Heard::Piece(of.text("path")),
            "done" => Heard::Exported,
            _ => return None,
        },
        "checkpoint_file" => Heard::CheckpointFile(of.text("name")),
        _ => return None,
    })
}

/// Of a model, its size in memory.
fn model(of: Fields) -> ModelInfo {
    ModelInfo {
        name: of.text("name"),
        model_type: of.text("model_type"),
        parameters: of.whole("parameters"),
        weight_bytes: of.whole("weight_bytes"),
        heap_bytes: None,
        formats: Vec::new(),
        vocab_size: of.size("vocab_size"),
        num_hidden_layers: of.size("num_hidden_layers"),
        num_attention_heads: of.size("num_attention_heads"),
        hidden_size: of.size("hidden_size"),
        max_position_embeddings: of.size("max_position_embeddings"),
        has_chat_template: false,
        has_thinking_switch: false,
        linear_modules: Vec::new(),
    }
}

fn metrics(of: Fields) -> Vec<Metric> {
    of.list("metrics", |of| Metric {
        name: of.text("name"),
        value: of.number("value"),
    })
}

fn picture(value: &Value) -> Option<Picture> {
    let of = Fields(value);
    Some(match value["kind"].as_str()? {
        "tokens" => Picture::Tokens {
            tokens: of.list("tokens", |of| TokenProbability {
                text: of.text("text"),
                base: of.optional("base"),
                tuned: of.optional("tuned"),
                likeliest: of.text("likeliest"),
                likeliest_probability: of.number("likeliest_probability"),
            }),
        },
        "lora_update" => Picture::LoraUpdate {
            module: of.text("module"),
            rows: of.size("rows"),
            columns: of.size("columns"),
            shape: (Fields(&value["shape"]).size(0), Fields(&value["shape"]).size(1)),
            rank: of.size("rank"),
            values: numbers(&value["values"]),
            largest: of.number("largest"),
            norm: of.number("norm"),
            weight_norm: of.number("weight_norm"),
        },
        "attention" => Picture::Attention {
            layer: of.size("layer"),
            head: of.size("head"),
            layers: of.size("layers"),
            heads: of.size("heads"),
            tokens: of.texts("tokens"),
            weights: numbers(&value["weights"]),
        },
        "loss_surface" => Picture::LossSurface {
            names: (Fields(&value["names"]).text(0), Fields(&value["names"]).text(1)),
            x: pair(&value["x"]),
            y: pair(&value["y"]),
            columns: of.size("columns"),
            rows: of.size("rows"),
            losses: numbers(&value["losses"]),
            path: of.list("path", |of| (of.number(0), of.number(1), of.number(2))),
        },
        "packed_weights" => Picture::PackedWeights {
            module: of.text("module"),
            format: of.text("format"),
            rows: of.size("rows"),
            columns: of.size("columns"),
            original: numbers(&value["original"]),
            decoded: numbers(&value["decoded"]),
            levels: numbers(&value["levels"]),
            root_mean_square_error: of.number("root_mean_square_error"),
            original_bytes: of.whole("original_bytes"),
            packed_bytes: of.whole("packed_bytes"),
        },
        "units" => Picture::Units {
            layer: of.size("layer"),
            layers: of.size("layers"),
            inputs: of.texts("inputs"),
            x: pair(&value["x"]),
            y: value["y"].is_array().then(|| pair(&value["y"])),
            columns: of.size("columns"),
            rows: of.size("rows"),
            units: all(&value["units"]).iter().map(numbers).collect(),
            output: all(&value["output"]).iter().map(numbers).collect(),
        },
        "layer_updates" => Picture::LayerUpdates {
            layers: of.texts("layers"),
            modules: of.texts("modules"),
            shares: numbers(&value["shares"]),
            gradients: numbers(&value["gradients"]),
            gradient_step: value["gradient_step"].as_u64().map(|step| step as usize),
        },
        _ => return None,
    })
}

fn pair(value: &Value) -> (f64, f64) {
    (number(&value[0]), number(&value[1]))
}

fn numbers(value: &Value) -> Vec<f32> {
    all(value).iter().map(|value| number(value) as f32).collect()
}

fn all(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// A number as the protocol writes it: those that are not finite are `nan`, `inf` and `-inf`.
fn number(value: &Value) -> f64 {
    match value {
        Value::String(text) => match text.as_str() {
            "inf" => f64::INFINITY,
            "-inf" => f64::NEG_INFINITY,
            _ => f64::NAN,
        },
        value => value.as_f64().unwrap_or(f64::NAN),
    }
}

/// The fields of an object, or the entries of a list; those that are not there are empty.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    fn text<I: serde_json::value::Index>(self, key: I) -> String {
        self.0[key].as_str().unwrap_or_default().to_owned()
    }
    fn texts(self, key: &str) -> Vec<String> {
        let texts = all(&self.0[key]).iter();
        texts.map(|text| text.as_str().unwrap_or_default().to_owned()).collect()
    }
    fn whole<I: serde_json::value::Index>(self, key: I) -> u64 {
        self.0[key].as_u64().unwrap_or(0)
    }
    fn size<I: serde_json::value::Index>(self, key: I) -> usize {
        self.whole(key) as usize
    }
    fn number<I: serde_json::value::Index>(self, key: I) -> f64 {
        number(&self.0[key])
    }
    fn optional(self, key: &str) -> Option<f64> {
        (!self.0[key].is_null()).then(|| self.number(key))
    }
    fn list<T>(self, key: &str, read: impl Fn(Self) -> T) -> Vec<T> {
        let items: &'a [Value] = all(&self.0[key]);
        items.iter().map(|item| read(Fields(item))).collect()
    }
}
