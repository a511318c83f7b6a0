//! The head that a run puts on a base, as a value. A task's decisions make it, [`crate::formats::ModelFiles`] hands it to the
//! loader, and `HeadSpec::write` puts it into config.json when files are exported; `HeadRecord::read` finds there what
//! transformers has no place for.

use crate::config::HeadPooling;
use crate::data::{Columns, InputScaling, Scaling};
use crate::error::{Error, Result};
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::head as msg;
use serde_json::{Map, Value, json};

/// What a model is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadKind {
    /// The next token.
    CausalLm,
    /// Tokens that were masked out.
    MaskedLm,
    /// An answer to a text.
    Seq2SeqLm,
    /// Classes or numbers of a row.
    SequenceClassification,
    /// A class of each token.
    TokenClassification,
    /// Hidden states: an encoder without a head.
    Features,
}

/// What a row's numbers are, by config.json's `problem_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// Numbers; the loss is the squared error.
    Regression,
    /// One class of several; cross-entropy.
    SingleLabel,
    /// Any of the classes; binary cross-entropy with logits.
    MultiLabel,
}

impl Problem {
    const ALL: [Self; 3] = [Self::Regression, Self::SingleLabel, Self::MultiLabel];

    /// As config.json has it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Regression => "regression",
            Self::SingleLabel => "single_label_classification",
            Self::MultiLabel => "multi_label_classification",
        }
    }

    /// The problem of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|problem| problem.name() == name)
    }
}

/// The head that a run puts on a base.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct HeadSpec {
    /// Classes of rows or of tokens, or none: the base alone.
    pub(crate) kind: HeadKind,
    /// The names of its outputs by number.
    pub(crate) labels: Vec<String>,
    /// What the outputs are, where transformers has a word for it.
    pub(crate) problem: Option<Problem>,
    /// What transformers has no place for.
    pub(crate) record: HeadRecord,
}

/// What a run knows of its head and transformers has no place for: config.json's `task_specific_params.lorakeet`.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct HeadRecord {
    /// What was learnt.
    pub(crate) task: Option<Task>,
    /// What stands in front of its outputs.
    pub(crate) layers: HeadLayers,
    /// Of a regression, how its targets were scaled.
    pub(crate) targets: Scaling,
    /// Of a model that takes numbers, what they are.
    pub(crate) numbers: Option<NumberInputs>,
}

/// What a run makes of the heads that are put on a base: a hidden layer and dropout before the outputs.
///
/// y = out(drop(act(hidden(drop(x))))), without a hidden layer y = out(drop(x)); x is what transformers' head of the
/// architecture reads its classes from, or the mean of a row's tokens.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct HeadLayers {
    /// What x is; not given, as the architecture's head has it.
    pub(crate) pooling: Option<HeadPooling>,
    /// Width of the hidden layer; 0 for none.
    pub(crate) hidden_size: usize,
    /// The activation behind it by its name in transformers, or `none`.
    pub(crate) activation: Option<String>,
    /// Share of the inputs of both linears that is dropped while training.
    pub(crate) dropout: f64,
}

/// A head of a run's own, as Python builds it in the script for a cluster and beside a merged model: y = out(drop(act(hidden(drop(x))))).
#[derive(Debug, Clone, PartialEq)]
pub struct OwnHead {
    /// The module of transformers that it takes the place of: `classifier` or `score`.
    pub module: String,
    /// Whether x is the mean of a row's tokens, and not what the architecture's head reads.
    pub is_mean: bool,
    /// Whether the architecture's dense layer, of the row's first token, is a part of the module.
    pub has_dense: bool,
    /// Width of the hidden layer; 0 for none.
    pub hidden_size: usize,
    /// The activation behind it by its name in transformers; `None` for none.
    pub activation: Option<String>,
    /// Share of the inputs of both linears that is dropped while training.
    pub dropout: f64,
    /// The last linear's name in the module; empty where the module is that linear.
    pub out: String,
    /// Whether it has a bias.
    pub out_bias: bool,
}

/// The columns that a model of numbers was trained on, and how they were scaled.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct NumberInputs {
    pub(crate) columns: Columns,
    pub(crate) scaling: InputScaling,
}

/// Where config.json keeps a [`HeadRecord`], and its keys there.
const RUN_KEY: &str = "lorakeet";
pub(crate) const POOLING: &str = "classifier_pooling";
pub(crate) const HIDDEN_SIZE: &str = "classifier_hidden_size";
pub(crate) const ACTIVATION: &str = "classifier_activation";
pub(crate) const DROPOUT: &str = "classifier_dropout";
/// The width of a hidden layer at most.
const MOST_HIDDEN: u64 = 1 << 16;

impl OwnHead {
    /// It as those files read it.
    pub fn to_json(&self) -> Value {
        json!({
            "module": self.module,
            "mean": self.is_mean,
            "dense": self.has_dense,
            "hidden_size": self.hidden_size,
            "activation": self.activation,
            "dropout": self.dropout,
            "out": self.out,
            "bias": self.out_bias,
        })
    }
}

impl HeadSpec {
    /// config.json of a model whose class in transformers begins with `class` (`Bert`), with this head on it.
    pub(crate) fn write(&self, config: &mut Value, class: &str) {
        config["architectures"] = match self.kind {
            HeadKind::TokenClassification => json!([format!("{class}ForTokenClassification")]),
            HeadKind::SequenceClassification => json!([format!("{class}ForSequenceClassification")]),
            _ => json!([format!("{class}Model")]),
        };
        if self.labels.is_empty() {
            return;
        }
        let labels = || self.labels.iter().enumerate();
        config["id2label"] = labels().map(|(i, name)| (i.to_string(), json!(name))).collect();
        config["label2id"] = labels().map(|(i, name)| (name.clone(), json!(i))).collect();
        config["problem_type"] = json!(self.problem.map(Problem::name));
        if !config["task_specific_params"].is_object() {
            config["task_specific_params"] = json!({});
        }
        config["task_specific_params"][RUN_KEY] = self.record.write();
    }
}

impl HeadRecord {
    /// Whether config.json has one.
    pub(crate) fn is_in(config: &Value) -> bool {
        of_run(config).is_some()
    }

    /// The one of config.json; `None` where no run of this program wrote it.
    ///
    /// # Errors
    /// A key of [`HeadLayers`] with a value that it cannot have.
    pub(crate) fn read(config: &Value) -> Result<Option<Self>> {
        let Some(run) = of_run(config) else {
            return Ok(None);
        };
        let list = |key: &str| run[key].as_array().into_iter().flatten();
        let numbers = |key| list(key).filter_map(Value::as_f64);
        let pairs = |means, deviations| numbers(means).zip(numbers(deviations)).collect();
        let texts = |key| list(key).filter_map(Value::as_str).map(str::to_owned).collect();
        let task = run["task"].as_str();
        Ok(Some(Self {
            task: task.and_then(|name| Task::ALL.into_iter().find(|task| task.name() == name)),
            layers: HeadLayers::read(run)?,
            targets: Scaling(pairs("target_mean", "target_std")),
            numbers: run["scale_inputs"].as_str().map(|scaling| NumberInputs {
                columns: Columns {
                    texts: texts("input_columns"),
                    labels: texts("label_columns"),
                    window: run["forecast_window"].as_u64().map(|rows| rows as usize),
                },
                scaling: match scaling {
                    "columns" => InputScaling::Columns(pairs("input_mean", "input_std")),
                    "rows" => InputScaling::Rows(run["input_channels"].as_u64().unwrap_or(1) as usize),
                    _ => InputScaling::Plain,
                },
            }),
        }))
    }

    fn write(&self) -> Value {
        let mut run = Map::new();
        let mut add = |key: &str, value: Value| drop(run.insert(key.to_owned(), value));
        let columns = |pairs: &[(f64, f64)]| -> (Vec<f64>, Vec<f64>) { pairs.iter().copied().unzip() };
        if let Some(task) = self.task {
            add("task", json!(task.name()));
        }
        if !self.targets.0.is_empty() {
            let (means, deviations) = columns(&self.targets.0);
            add("target_mean", json!(means));
            add("target_std", json!(deviations));
        }
        if let Some(numbers) = &self.numbers {
            add("input_columns", json!(numbers.columns.texts));
            add("label_columns", json!(numbers.columns.labels));
            if let Some(window) = numbers.columns.window {
                add("forecast_window", json!(window));
            }
            match &numbers.scaling {
                InputScaling::Plain => add("scale_inputs", json!("none")),
                InputScaling::Rows(channels) => {
                    add("scale_inputs", json!("rows"));
                    add("input_channels", json!(channels));
                }
                InputScaling::Columns(pairs) => {
                    let (means, deviations) = columns(pairs);
                    add("scale_inputs", json!("columns"));
                    add("input_mean", json!(means));
                    add("input_std", json!(deviations));
                }
            }
        }
        let layers = &self.layers;
        if let Some(pooling) = layers.pooling {
            add(POOLING, json!(pooling.name()));
        }
        if layers.hidden_size > 0 {
            add(HIDDEN_SIZE, json!(layers.hidden_size));
            add(ACTIVATION, json!(layers.activation));
        }
        if layers.dropout > 0.0 {
            add(DROPOUT, json!(layers.dropout));
        }
        Value::Object(run)
    }
}

impl HeadLayers {
    fn read(run: &Value) -> Result<Self> {
        let wrong = |key: &str, wanted: Message| {
            let got = &run[key];
            Error::format(msg::MustBe { wanted, got })
                .file("config.json")
                .field(key)
        };
        let given = |key: &str| Some(&run[key]).filter(|value| !value.is_null());
        let pooling = given(POOLING).map(|name| {
            let known = [HeadPooling::Cls, HeadPooling::Mean].into_iter();
            let named = known.clone().find(|pooling| Some(pooling.name()) == name.as_str());
            named.ok_or_else(|| wrong(POOLING, msg::ClsOrMean.into()))
        });
        let hidden_size = given(HIDDEN_SIZE).map(|size| {
            let size = size.as_u64().filter(|size| *size <= MOST_HIDDEN);
            size.ok_or_else(|| wrong(HIDDEN_SIZE, msg::Width.into()))
        });
        let activation = given(ACTIVATION).map(|name| {
            let name = name.as_str().map(str::to_owned);
            name.ok_or_else(|| wrong(ACTIVATION, msg::Name.into()))
        });
        let dropout = given(DROPOUT).map(|share| {
            let share = share.as_f64().filter(|share| (0.0..1.0).contains(share));
            share.ok_or_else(|| wrong(DROPOUT, msg::ShareBelowOne.into()))
        });
        Ok(Self {
            pooling: pooling.transpose()?,
            hidden_size: hidden_size.transpose()?.unwrap_or(0) as usize,
            activation: activation.transpose()?,
            dropout: dropout.transpose()?.unwrap_or(0.0),
        })
    }
}

/// What a run wrote of its head into config.json.
fn of_run(config: &Value) -> Option<&Value> {
    config.get("task_specific_params")?.get(RUN_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let record = HeadRecord {
            task: Some(Task::Regression),
            layers: HeadLayers {
                pooling: Some(HeadPooling::Mean),
                hidden_size: 8,
                activation: Some("tanh".to_owned()),
                dropout: 0.25,
            },
            targets: Scaling(vec![(1.5, 2.0), (0.0, 1.0)]),
            numbers: Some(NumberInputs {
                columns: Columns {
                    texts: vec!["a".to_owned(), "b".to_owned()],
                    labels: vec!["y".to_owned(), "z".to_owned()],
                    window: Some(3),
                },
                scaling: InputScaling::Columns(vec![(0.5, 1.0), (2.0, 4.0)]),
            }),
        };
        for scaling in [
            InputScaling::Plain,
            InputScaling::Rows(2),
            InputScaling::Columns(vec![(0.5, 1.0)]),
        ] {
            let mut record = record.clone();
            if let Some(numbers) = &mut record.numbers {
                numbers.scaling = scaling;
            }
            let spec = HeadSpec {
                kind: HeadKind::SequenceClassification,
                labels: vec!["y".to_owned(), "z".to_owned()],
                problem: Some(Problem::Regression),
                record: record.clone(),
            };
            let mut config = json!({ "model_type": "bert", "task_specific_params": { "other": 1 } });
            spec.write(&mut config, "Bert");
            assert_eq!(config["architectures"], json!(["BertForSequenceClassification"]));
            assert_eq!(config["id2label"], json!({ "0": "y", "1": "z" }));
            assert_eq!(config["problem_type"], "regression");
            assert_eq!(config["task_specific_params"]["other"], 1);
            assert_eq!(HeadRecord::read(&config), Ok(Some(record)));
        }
        assert_eq!(HeadRecord::read(&json!({ "model_type": "bert" })), Ok(None));
    }
}
