//! Small models for lessons, which start from fresh weights: multi-layer perceptrons, transformers over the patches of an image
//! or of a time series, recurrent networks.
//!
//! Their config.json has `model_type` small_mlp, small_vit, small_series, small_rnn, small_lstm or small_gru, and the keys
//! hidden_size (width), num_hidden_layers (depth), hidden_act (relu, gelu, silu, tanh, sigmoid) and hidden_dropout_prob. The
//! inputs are numbers ([`Batch::numbers`]) or, with a vocab_size, tokens. The head is that of any other model. Weights start
//! uniform in ±1/√in, like PyTorch's linears and recurrent cells. (A transformer over text of any size is a Llama or GPT-2
//! without weights.) Sizes that config.json leaves out come from the run and the data: see [`fit`].

mod mlp;
mod patches;
mod recurrent;
mod sizes;

use super::{
    HeadKind, Linear, Weight,
    activation::Activation,
    body::{Body, Sizes, passes},
    embedding::Embedding,
    graph::{Graph, TensorGraph, Tokens},
    head::{self, Head},
    keys::Rule,
    load::{Init, Loader, Role},
    matrix::{Matrix, Stored},
    registry::{Architecture, Kind, boxed, of_model_type},
};
use crate::{
    data::Batch,
    error::{Error, Result},
    task::Task,
};
use burn::tensor::Tensor;
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::models as msg;
use mlp::Mlp;
use patches::{Cut, Patches};
use recurrent::{Cell, Recurrent};
pub(crate) use sizes::{check, fit};

/// On numbers; on texts it scores pairs, too.
pub(super) const MLP: Architecture = Architecture {
    model_type: Variant::Mlp.model_type(),
    name: "small_mlp",
    models: &[],
    class: "Small",
    plain_class: "",
    kind: Kind::Small,
    tasks: &[Task::Classification, Task::MultiLabel, Task::Regression, Task::Ranking],
    lora_targets: &[],
    fan_in_fan_out: false,
    keys: &[&[(
        Rule::Computed,
        "hidden_size num_hidden_layers hidden_act hidden_dropout_prob input_size num_channels image_size patch_size \
         context_length patch_length num_attention_heads intermediate_size max_position_embeddings",
    )]],
    aliases: &[],
    defaults: &[],
    gguf: None,
    build: |loader| boxed(Small::load(loader, Variant::Mlp)),
};

pub(super) const VIT: Architecture = Architecture {
    model_type: Variant::Vit.model_type(),
    name: "small_vit",
    build: |loader| boxed(Small::load(loader, Variant::Vit)),
    tasks: &[Task::Classification, Task::MultiLabel, Task::Regression],
    ..MLP
};

pub(super) const SERIES: Architecture = Architecture {
    model_type: Variant::Series.model_type(),
    name: "small_series",
    build: |loader| boxed(Small::load(loader, Variant::Series)),
    ..VIT
};

pub(super) const RNN: Architecture = Architecture {
    model_type: Variant::Rnn.model_type(),
    name: "small_rnn",
    build: |loader| boxed(Small::load(loader, Variant::Rnn)),
    tasks: &Task::ALL,
    ..MLP
};

pub(super) const LSTM: Architecture = Architecture {
    model_type: Variant::Lstm.model_type(),
    name: "small_lstm",
    build: |loader| boxed(Small::load(loader, Variant::Lstm)),
    ..RNN
};

pub(super) const GRU: Architecture = Architecture {
    model_type: Variant::Gru.model_type(),
    name: "small_gru",
    build: |loader| boxed(Small::load(loader, Variant::Gru)),
    ..RNN
};

/// The network of a small model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variant {
    Mlp,
    Vit,
    Series,
    Rnn,
    Lstm,
    Gru,
}

impl Variant {
    const ALL: [Self; 6] = [Self::Mlp, Self::Vit, Self::Series, Self::Rnn, Self::Lstm, Self::Gru];

    /// The variant of a `model_type`; `None` of other architectures.
    pub(crate) fn named(model_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|variant| variant.model_type() == model_type)
    }

    const fn model_type(self) -> &'static str {
        match self {
            Self::Mlp => "small_mlp",
            Self::Vit => "small_vit",
            Self::Series => "small_series",
            Self::Rnn => "small_rnn",
            Self::Lstm => "small_lstm",
            Self::Gru => "small_gru",
        }
    }

    /// Whether it is a transformer over patches, which takes numbers and no tokens.
    pub(crate) fn has_patches(self) -> bool {
        match self {
            Self::Vit | Self::Series => true,
            Self::Mlp | Self::Rnn | Self::Lstm | Self::Gru => false,
        }
    }

    fn is_recurrent(self) -> bool {
        match self {
            Self::Rnn | Self::Lstm | Self::Gru => true,
            Self::Mlp | Self::Vit | Self::Series => false,
        }
    }
}

pub(crate) struct Small {
    vocab: usize,
    width: usize,
    layers: usize,
    max_positions: usize,
    /// Dropout after each layer in training.
    dropout: f32,
    /// Whether the head reads one state a row.
    pools: bool,
    input: Input,
    body: Network,
    /// The output matrix \[V, C\]; of a model that generates no text a row that is not used.
    output: Matrix,
}

/// The inputs.
enum Input {
    /// Tokens, with their embedding.
    Tokens(Box<Embedding>),
    /// Numbers of a step: of a recurrent network a time step, else the whole row.
    Numbers(usize),
}

/// The network's settings in config.json besides its [`Shape`].
enum Plan {
    Mlp,
    Patches(Cut),
    Recurrent(Cell),
}

enum Network {
    Mlp(Mlp),
    Patches(Box<Patches>),
    Recurrent(Recurrent),
}

impl Small {
    /// The layers and the head of the task that config.json names.
    async fn load(loader: &mut Loader<'_>, variant: Variant) -> Result<(Self, Head)> {
        let width = loader.size("hidden_size")?;
        // A perceptron without hidden layers is a linear model.
        let layers = match variant == Variant::Mlp && loader.is_zero("num_hidden_layers") {
            true => 0,
            false => loader.layers("num_hidden_layers")?,
        };
        let dropout = loader.real("hidden_dropout_prob")?.unwrap_or(0.0);
        if !(0.0..1.0).contains(&dropout) {
            let error = Error::format(common::NotShare { got: dropout });
            return Err(error.file("config.json").field("hidden_dropout_prob"));
        }
        let vocab = match variant.has_patches() {
            true => None,
            false => loader.optional_size("vocab_size")?,
        };
        let is_recurrent = variant.is_recurrent();
        let continues = is_recurrent && loader.architecture()?.is_some_and(|name| name.ends_with("ForCausalLM"));
        loader.set_task(match continues {
            true => HeadKind::CausalLm,
            false => head::task(loader, HeadKind::SequenceClassification)?,
        });
        let pools = match loader.task() {
            HeadKind::SequenceClassification => true,
            HeadKind::TokenClassification if is_recurrent => false,
            HeadKind::CausalLm if continues && vocab.is_some() => false,
            _ => {
                let kind = variant.model_type();
                let tasks = Field::list(of_model_type(kind)?.tasks.iter().copied());
                let error = Error::model(msg::SmallCannotDoTask { kind }).remedy(msg::CanBeTrainedFor { tasks });
                return Err(error.file("config.json").field("architectures"));
            }
        };
        let default = if is_recurrent { "tanh" } else { "relu" };
        let activation = Activation::named(&loader.text_or("hidden_act", default)?, "hidden_act")?;
        let plan = match variant {
            Variant::Mlp => Plan::Mlp,
            Variant::Vit => Plan::Patches(Cut::of_image(loader)?),
            Variant::Series => Plan::Patches(Cut::of_series(loader)?),
            Variant::Rnn => Plan::Recurrent(Cell::Rnn),
            Variant::Lstm => Plan::Recurrent(Cell::Lstm),
            Variant::Gru => Plan::Recurrent(Cell::Gru),
        };
        let input = match (&plan, vocab) {
            (Plan::Patches(cut), _) => Input::Numbers(cut.numbers()),
            (Plan::Mlp | Plan::Recurrent(_), Some(vocab)) => Input::Tokens(Box::new(
                Embedding::load(loader, "embeddings".into(), [vocab, width]).await?,
            )),
            (Plan::Mlp | Plan::Recurrent(_), None) => Input::Numbers(loader.size("input_size")?),
        };
        let inputs = match &input {
            Input::Tokens(_) => width,
            Input::Numbers(count) => *count,
        };
        let shape = Shape {
            inputs,
            width,
            layers,
            activation,
        };
        let width = if layers == 0 { inputs } else { width };
        let body = match plan {
            Plan::Mlp => Network::Mlp(Mlp::load(loader, shape).await?),
            Plan::Patches(cut) => Network::Patches(Box::new(Patches::load(loader, cut, shape).await?)),
            Plan::Recurrent(cell) => Network::Recurrent(Recurrent::load(loader, cell, shape).await?),
        };
        let untied = continues && !loader.flag_or("tie_word_embeddings", true)?;
        let output = match (&input, vocab) {
            (Input::Tokens(_), Some(vocab)) if untied => {
                let init = Init::Within((width as f64).sqrt().recip());
                loader
                    .matrix("lm_head.weight", [vocab, width], init, Role::Table)
                    .await?
            }
            (Input::Tokens(table), _) => table.matrix.clone(),
            (Input::Numbers(_), _) => Matrix {
                rows: 1,
                columns: width,
                stored: Stored::Dense(Weight::Frozen(Box::new(Tensor::zeros([width], loader.device())))),
            },
        };
        let model = Self {
            vocab: vocab.unwrap_or(0),
            width,
            layers,
            max_positions: loader
                .optional_number("max_position_embeddings")?
                .unwrap_or(MOST_TOKENS),
            dropout: dropout as f32,
            pools,
            input,
            body,
            output,
        };
        let head = head::small_head(loader, width).await?;
        Ok((model, head))
    }
}

impl Body for Small {
    passes!();

    fn sizes(&self) -> Sizes {
        Sizes {
            vocab: self.vocab,
            width: self.width,
            layers: self.layers,
            heads: 0,
            max_positions: self.max_positions,
        }
    }

    /// The states of one row's next tokens \[T, C\], after those that the cache has seen.
    fn next<'a>(&self, g: &TensorGraph<'a>, input: Tokens<TensorGraph<'a>>) -> Option<Tensor<2>> {
        let (Input::Tokens(table), Network::Recurrent(model)) = (&self.input, &self.body) else {
            return None;
        };
        // A state \[1, C\] is kept as a key and a value of one token.
        let states = (0..self.layers).map(|layer| g.cached(layer)).collect();
        let x = g.embed(table, input.ids);
        let (hidden, states) = model.hidden(g, x, ([1, input.tokens], &[]), states, self.dropout);
        for (layer, (h, c)) in states.into_iter().enumerate() {
            g.replace_cached(layer, h, c);
        }
        Some(hidden)
    }

    /// The output matrix \[V, C\].
    fn lm_head(&self) -> &Matrix {
        &self.output
    }

    fn attention_layers(&self) -> usize {
        match &self.body {
            Network::Patches(_) => self.layers,
            Network::Mlp(_) | Network::Recurrent(_) => 0,
        }
    }

    /// Recurrent cells have no linears: they are trained in full training only.
    fn linears(&self) -> Vec<&Linear> {
        match &self.body {
            Network::Mlp(model) => model.linears(),
            Network::Patches(model) => model.linears(),
            Network::Recurrent(_) => Vec::new(),
        }
    }

    fn linears_mut(&mut self) -> Vec<&mut Linear> {
        match &mut self.body {
            Network::Mlp(model) => model.linears_mut(),
            Network::Patches(model) => model.linears_mut(),
            Network::Recurrent(_) => Vec::new(),
        }
    }

    fn embeddings(&self) -> Vec<&Embedding> {
        match &self.input {
            Input::Tokens(table) => vec![table],
            Input::Numbers(_) => Vec::new(),
        }
    }

    fn embeddings_mut(&mut self) -> Vec<&mut Embedding> {
        match &mut self.input {
            Input::Tokens(table) => vec![table],
            Input::Numbers(_) => Vec::new(),
        }
    }

    /// Whether a row may have so many numbers.
    fn takes(&self, numbers: usize) -> bool {
        match (&self.input, &self.body) {
            (Input::Tokens(_), _) => numbers == 0,
            (Input::Numbers(step), Network::Recurrent(_)) => numbers > 0 && numbers.is_multiple_of(*step),
            (Input::Numbers(count), Network::Mlp(_) | Network::Patches(_)) => numbers == *count,
        }
    }

    /// How many numbers a row has; of a recurrent network, a step.
    fn input_features(&self) -> Option<usize> {
        match self.input {
            Input::Tokens(_) => None,
            Input::Numbers(count) => Some(count),
        }
    }

    /// Whether a row has as many steps as the data have numbers.
    fn has_steps_of_numbers(&self) -> bool {
        matches!((&self.input, &self.body), (Input::Numbers(_), Network::Recurrent(_)))
    }

    fn hidden_layers(&self) -> Option<usize> {
        matches!(self.body, Network::Mlp(_)).then_some(self.layers)
    }

    fn units(&self, g: &TensorGraph<'_>, batch: &Batch, layer: usize) -> Option<Tensor<2>> {
        match &self.body {
            Network::Mlp(model) => (layer < self.layers).then(|| model.units(g, self.rows(g, batch), layer)),
            Network::Patches(_) | Network::Recurrent(_) => None,
        }
    }

    fn dropout(&self) -> f32 {
        self.dropout
    }
}

impl Small {
    /// The batch → the head's input: one state a row \[B, C\] where it pools, else one a step \[B·T, C\].
    fn forward<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        let rows = batch.rows;
        match &self.body {
            Network::Mlp(model) => model.hidden(g, self.rows(g, batch), self.dropout),
            Network::Patches(model) => model.hidden(g, batch, self.dropout),
            Network::Recurrent(model) => {
                let (x, steps) = (self.steps(g, batch), self.steps_of(batch));
                let (steps_of_rows, states) = (([rows, steps], &*batch.position_ids), vec![None; self.layers]);
                let (hidden, _) = model.hidden(g, x, steps_of_rows, states, self.dropout);
                if !self.pools {
                    return hidden;
                }
                // The state after the last step that is not padding.
                let last = |row: usize| {
                    let seen = batch.attention_mask.get(row * steps..(row + 1) * steps);
                    let last = seen.and_then(|mask| mask.iter().rposition(|&mask| mask != 0.0));
                    (row * steps + last.unwrap_or(steps - 1)) as i32
                };
                g.select(hidden, rows, || (0..rows).map(last).collect())
            }
        }
    }

    /// Steps of each row; 1 where there are none.
    fn steps_of(&self, batch: &Batch) -> usize {
        match &self.input {
            Input::Tokens(_) => batch.tokens,
            // The last step is padded with zeros; all rows have the same number of steps.
            Input::Numbers(width) if self.has_steps_of_numbers() => {
                (batch.features.len() / batch.rows.max(1)).div_ceil(*width).max(1)
            }
            Input::Numbers(_) => 1,
        }
    }

    /// The inputs, one row of numbers for each step: \[B·T, in\], or \[B, in\] where there are no steps.
    fn steps<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        let count = batch.rows * self.steps_of(batch);
        match &self.input {
            Input::Tokens(table) => {
                let ids = || batch.input_ids.iter().map(|&id| id as f32).collect();
                g.embed(table, g.numbers(count, ids))
            }
            Input::Numbers(width) => g.constant([count, *width], || {
                let mut numbers = batch.features.clone();
                numbers.resize(count * width, 0.0);
                numbers
            }),
        }
    }

    /// The inputs, one row of numbers for each row \[B, in\]: of tokens the mean of the embeddings, without padding.
    fn rows<G: Graph>(&self, g: &G, batch: &Batch) -> G::Rows {
        let x = self.steps(g, batch);
        match self.input {
            Input::Numbers(_) => x,
            Input::Tokens(_) => head::mean_of_tokens(g, x, batch),
        }
    }
}

/// Tokens or steps of a row at most, without max_position_embeddings in config.json.
const MOST_TOKENS: usize = 4096;

/// The sizes that all networks have.
struct Shape {
    inputs: usize,
    width: usize,
    layers: usize,
    activation: Activation,
}

/// The first of the layers' places in [`Graph::dropout`]: adapters have the numbers from 0.
const FIRST_PLACE: u64 = 1 << 32;

/// A linear with bias, both uniform in ±1/√in.
async fn linear(loader: &mut Loader<'_>, path: String, inputs: usize, outputs: usize) -> Result<Linear> {
    let init = Init::Within((inputs as f64).sqrt().recip());
    let weight = format!("{path}.weight");
    let weight = loader.matrix(&weight, [outputs, inputs], init, Role::Linear).await?;
    let bias = Some(loader.weight(&format!("{path}.bias"), &[outputs], init).await?);
    Ok(Linear {
        path,
        inputs,
        outputs,
        transposed: false,
        weight,
        bias,
        lora: None,
        whole: None,
    })
}
