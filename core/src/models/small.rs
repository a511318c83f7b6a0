//! Small models for lessons, which start from fresh weights: multi-layer perceptrons, transformers over the patches of an image
//! or of a time series, recurrent networks.
//!
//! Their config.json has `model_type` small_mlp, small_vit, small_series, small_rnn, small_lstm or small_gru, and the keys
//! hidden_size (width), num_hidden_layers (depth), hidden_act (relu, gelu, silu, tanh, sigmoid) and hidden_dropout_prob. What
//! goes in is numbers ([`Batch::numbers`]) or, where there is a vocab_size, tokens. What stands on it is a head as on any other
//! model. Weights begin uniform in ±1/√in, as PyTorch's linears and recurrent cells do. (A transformer over text of any size is
//! a Llama or GPT-2 without weights.) Sizes that config.json leaves out are the data's and the run's: see [`fit`].

mod mlp;
mod patches;
mod recurrent;
mod sizes;

use super::{
    KvCache, Linear, Pass, Task, Weight,
    activation::Activation,
    head,
    load::{Loader, Role, Start},
    matrix::{Matrix, Stored},
    table::Table,
};
use crate::{
    config::SMALL_MODELS,
    data::Batch,
    error::{Error, Result},
    ops,
    random::mix,
};
use burn::tensor::{Device, Tensor, TensorData};
use mlp::Mlp;
use patches::Patches;
use recurrent::Recurrent;
pub(crate) use sizes::{check, fit};

/// The `model_type`s that are small models.
pub(crate) const KINDS: [&str; 6] = SMALL_MODELS;

pub(crate) struct Small {
    pub(crate) vocab: usize,
    pub(crate) width: usize,
    pub(crate) layers: usize,
    pub(crate) max_positions: usize,
    /// Share that is dropped behind each layer while training.
    pub(crate) dropout: f32,
    /// Where whole rows are judged, one state a row is what the head reads.
    pools: bool,
    input: Input,
    body: Body,
    /// The output matrix \[V, C\]; of a model that continues no texts a row that nothing reads.
    output: Matrix,
}

/// What goes in.
enum Input {
    /// Tokens, by their rows of the table.
    Tokens(Box<Table>),
    /// Numbers, so many a step: of a recurrent network a time step, else the whole row.
    Numbers(usize),
}

enum Body {
    Mlp(Mlp),
    Patches(Box<Patches>),
    Recurrent(Recurrent),
}

impl Small {
    pub(crate) async fn load(loader: &mut Loader<'_>, kind: &str) -> Result<Self> {
        let (width, layers) = (loader.size("hidden_size")?, loader.layers("num_hidden_layers")?);
        let dropout = loader.real("hidden_dropout_prob")?.unwrap_or(0.0);
        if !(0.0..1.0).contains(&dropout) {
            let what = format!("must be at least 0 and below 1, got {dropout}");
            return Err(Error::format(what).file("config.json").field("hidden_dropout_prob"));
        }
        let vocab = match kind {
            "small_vit" | "small_series" => None,
            _ => loader.optional_size("vocab_size")?,
        };
        let is_recurrent = matches!(kind, "small_rnn" | "small_lstm" | "small_gru");
        let continues = is_recurrent && loader.architecture()?.is_some_and(|name| name.ends_with("ForCausalLM"));
        loader.set_task(match continues {
            true => Task::CausalLm,
            false => head::task(loader, Task::SequenceClassification)?,
        });
        let pools = match loader.task() {
            Task::SequenceClassification => true,
            Task::TokenClassification if is_recurrent => false,
            Task::CausalLm if continues && vocab.is_some() => false,
            _ => {
                let what = format!("a {kind} model cannot do this task");
                return Err(Error::model(what).file("config.json").field("architectures"));
            }
        };
        let default = if is_recurrent { "tanh" } else { "relu" };
        let activation = Activation::named(&loader.text_or("hidden_act", default)?, "hidden_act")?;
        let input = match vocab {
            Some(vocab) => Input::Tokens(Box::new(
                Table::load(loader, "embeddings".into(), [vocab, width]).await?,
            )),
            None if kind == "small_vit" || kind == "small_series" => Input::Numbers(patches::numbers(loader, kind)?),
            None => Input::Numbers(loader.size("input_size")?),
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
        let body = match kind {
            "small_mlp" => Body::Mlp(Mlp::load(loader, shape).await?),
            "small_vit" | "small_series" => Body::Patches(Box::new(Patches::load(loader, kind, shape).await?)),
            _ => Body::Recurrent(Recurrent::load(loader, kind, shape).await?),
        };
        let untied = continues && !loader.flag_or("tie_word_embeddings", true)?;
        let output = match (&input, vocab) {
            (Input::Tokens(_), Some(vocab)) if untied => {
                let start = Start::Within((width as f64).sqrt().recip());
                loader
                    .matrix("lm_head.weight", [vocab, width], start, Role::Table)
                    .await?
            }
            (Input::Tokens(table), _) => table.matrix.clone(),
            (Input::Numbers(_), _) => Matrix {
                rows: 1,
                columns: width,
                stored: Stored::Dense(Weight::Frozen(Box::new(Tensor::zeros([width], loader.device())))),
            },
        };
        Ok(Self {
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
        })
    }

    /// The batch → what the head reads: one state a row \[B, C\] where whole rows are judged, else one a step \[B·T, C\].
    pub(crate) fn hidden(&self, pass: &Pass, batch: &Batch, device: &Device) -> Tensor<2> {
        let drops = Drops::new(pass, self.dropout);
        let rows = batch.rows;
        match &self.body {
            Body::Mlp(model) => model.hidden(self.rows(pass, batch, device), pass, &drops),
            Body::Patches(model) => model.hidden(self.steps(pass, batch, device), rows, pass, &drops),
            Body::Recurrent(model) => {
                let x = self.steps(pass, batch, device);
                let steps = x.dims()[0] / rows.max(1);
                let (hidden, _) = model.hidden(x, rows, vec![None; self.layers], pass, &drops);
                if !self.pools {
                    return hidden;
                }
                // The state behind the last step that is not padding.
                let last = |row: usize| {
                    let seen = batch.attention_mask.get(row * steps..(row + 1) * steps);
                    let last = seen.and_then(|mask| mask.iter().rposition(|&mask| mask != 0.0));
                    (row * steps + last.unwrap_or(steps - 1)) as i32
                };
                let places: Vec<i32> = (0..rows).map(last).collect();
                hidden.select(0, Tensor::from_data(TensorData::new(places, [rows]), device))
            }
        }
    }

    /// The states of one row's next tokens \[T, C\], after those that the cache has seen.
    pub(crate) fn next(&self, pass: &Pass, ids: Tensor<1>, cache: &mut KvCache) -> Tensor<2> {
        let (Input::Tokens(table), Body::Recurrent(model)) = (&self.input, &self.body) else {
            return Tensor::zeros([ids.dims()[0], self.width], &ids.device());
        };
        // A state \[1, C\] is kept as a key and a value of one token.
        let flat = |(h, c): (Tensor<4>, Tensor<4>)| (h.reshape([1, self.width]), c.reshape([1, self.width]));
        let states = (0..self.layers).map(|layer| cache.kept(layer).map(flat)).collect();
        let drops = Drops::new(pass, self.dropout);
        let (hidden, states) = model.hidden(table.gather(ids, pass), 1, states, pass, &drops);
        for (layer, (h, c)) in states.into_iter().enumerate() {
            let wide = |state: Tensor<2>| state.reshape([1, 1, 1, self.width]);
            cache.replace(layer, wide(h), wide(c));
        }
        hidden
    }

    /// Whether a row may have so many numbers.
    pub(crate) fn takes(&self, numbers: usize) -> bool {
        match (&self.input, &self.body) {
            (Input::Tokens(_), _) => numbers == 0,
            (Input::Numbers(step), Body::Recurrent(_)) => numbers > 0 && numbers.is_multiple_of(*step),
            (Input::Numbers(count), _) => numbers == *count,
        }
    }

    /// How many numbers a row has; of a recurrent network, a step.
    pub(crate) fn numbers(&self) -> Option<usize> {
        match self.input {
            Input::Tokens(_) => None,
            Input::Numbers(count) => Some(count),
        }
    }

    /// What goes in, one row of numbers for each step: \[B·T, in\], or \[B, in\] where there are no steps.
    fn steps(&self, pass: &Pass, batch: &Batch, device: &Device) -> Tensor<2> {
        match &self.input {
            Input::Tokens(table) => {
                let ids: Vec<f32> = batch.input_ids.iter().map(|&id| id as f32).collect();
                let count = ids.len();
                table.gather(Tensor::from_data(TensorData::new(ids, [count]), device), pass)
            }
            Input::Numbers(width) => {
                // What does not fill a step is filled up with zeros: as many steps for each row.
                let each = (batch.numbers.len() / batch.rows.max(1)).div_ceil(*width).max(1);
                let mut numbers = batch.numbers.clone();
                numbers.resize(batch.rows * each * width, 0.0);
                Tensor::from_data(TensorData::new(numbers, [batch.rows * each, *width]), device)
            }
        }
    }

    /// What goes in, one row of numbers for each row: of tokens the mean of those that are not padding \[B, in\].
    fn rows(&self, pass: &Pass, batch: &Batch, device: &Device) -> Tensor<2> {
        let x = self.steps(pass, batch, device);
        if matches!(self.input, Input::Numbers(_)) {
            return x;
        }
        let (rows, tokens, width) = (batch.rows, batch.tokens, self.width);
        let counts = batch
            .attention_mask
            .chunks(tokens)
            .map(|row| row.iter().sum::<f32>().max(1.0));
        let rows_of = batch.attention_mask.chunks(tokens).zip(counts);
        let weights: Vec<f32> = rows_of
            .flat_map(|(row, count)| row.iter().map(move |mask| mask / count))
            .collect();
        let weights = Tensor::<2>::from_data(TensorData::new(weights, [rows * tokens, 1]), device);
        // [B·T, C] → [B, C]
        (x * weights)
            .reshape([rows, tokens, width])
            .sum_dim(1)
            .reshape([rows, width])
    }

    /// The output matrix \[V, C\].
    pub(crate) fn head(&self) -> &Matrix {
        &self.output
    }

    pub(crate) fn tables(&self) -> Vec<&Table> {
        match &self.input {
            Input::Tokens(table) => vec![table],
            Input::Numbers(_) => Vec::new(),
        }
    }

    pub(crate) fn tables_mut(&mut self) -> Vec<&mut Table> {
        match &mut self.input {
            Input::Tokens(table) => vec![table],
            Input::Numbers(_) => Vec::new(),
        }
    }

    /// Recurrent cells are no linears: they are trained in full training only.
    pub(crate) fn linears(&self) -> Vec<&Linear> {
        match &self.body {
            Body::Mlp(model) => model.linears(),
            Body::Patches(model) => model.linears(),
            Body::Recurrent(_) => Vec::new(),
        }
    }

    pub(crate) fn linears_mut(&mut self) -> Vec<&mut Linear> {
        match &mut self.body {
            Body::Mlp(model) => model.linears_mut(),
            Body::Patches(model) => model.linears_mut(),
            Body::Recurrent(_) => Vec::new(),
        }
    }
}

/// Tokens or steps of a row where config.json does not say how many are too many.
const MOST_TOKENS: usize = 4096;

/// What all bodies are made from.
struct Shape {
    inputs: usize,
    width: usize,
    layers: usize,
    activation: Activation,
}

/// Dropout of one pass: each place drops other numbers.
struct Drops {
    p: f32,
    seed: Option<u64>,
}

impl Drops {
    fn new(pass: &Pass, p: f32) -> Self {
        let seed = pass.dropout_seed.filter(|_| p > 0.0);
        Self { p, seed }
    }

    fn apply(&self, x: Tensor<2>, place: usize) -> Tensor<2> {
        // Adapters have the numbers from 0.
        const FIRST_PLACE: u64 = 1 << 32;
        match self.seed {
            None => x,
            Some(seed) => ops::dropout(x, self.p, mix(seed, FIRST_PLACE + place as u64)),
        }
    }
}

/// A linear with bias, both uniform in ±1/√in.
async fn linear(loader: &mut Loader<'_>, path: String, inputs: usize, outputs: usize) -> Result<Linear> {
    let start = Start::Within((inputs as f64).sqrt().recip());
    let weight = format!("{path}.weight");
    let weight = loader.matrix(&weight, [outputs, inputs], start, Role::Linear).await?;
    let bias = Some(loader.weight(&format!("{path}.bias"), &[outputs], start).await?);
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
