//! Pictures of a model: what a front end asks for and the plain numbers that it draws.
//!
//! A request goes with [`Command::Picture`] or, to be answered again and again during a run, in the `watch` of
//! [`Command::Train`]. `core/src/pictures/` computes them; the front end draws them.

#[cfg(doc)]
use super::Command;
use super::number;
use serde::{Deserialize, Serialize};

/// A picture to compute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum PictureRequest {
    /// The probability of each token of a text given those before it: base model and model with the adapter as it is now.
    Tokens {
        /// The text; the model's special tokens are added.
        text: String,
    },
    /// ΔW = s·B·A of one adapted module, reduced to at most cells × cells by the means of blocks.
    LoraUpdate {
        /// The module's path, or the end of one behind a dot: the first adapted module that ends so.
        module: String,
        /// Rows and columns of the picture at most, from 1 to 128.
        #[serde(default = "cells_of_update")]
        cells: usize,
    },
    /// Attention weights of one layer and head on a text.
    Attention {
        /// The text; the model's special tokens are added.
        text: String,
        /// The layer, from 0; of an encoder-decoder, of the encoder.
        layer: usize,
        /// The head, from 0.
        head: usize,
    },
    /// The loss of a model of two trained parameters over the plane of both, with the path of the optimizer. Of a run only.
    LossSurface {
        /// Rows and columns of the picture, from 1 to 128.
        #[serde(default = "cells_of_surface")]
        cells: usize,
    },
    /// The upper left corner of one weight matrix beside the same weights packed in `format` and decoded again.
    PackedWeights {
        /// The path of a linear, or the end of one behind a dot: the first linear that ends so.
        module: String,
        /// `nf4`, `fp4`, `int8`, `fp8_e4m3` or `fp8_e5m2`, with the scales that a run has by default.
        format: String,
        /// Rows and columns of the corner at most, from 1 to 128.
        #[serde(default = "cells_of_weights")]
        cells: usize,
    },
    /// The activations of the hidden units of a small MLP with one or two inputs, over the range of the inputs, and the output.
    Units {
        /// The hidden layer, from 0.
        #[serde(default)]
        layer: usize,
        /// Columns of the picture and, of two inputs, its rows, from 1 to 128.
        #[serde(default = "cells_of_units")]
        cells: usize,
    },
    /// How far every adapter has moved the weights that it is on, by layer and module, and in a run how large its gradients are.
    LayerUpdates {},
}

fn cells_of_update() -> usize {
    32
}

fn cells_of_surface() -> usize {
    33
}

fn cells_of_weights() -> usize {
    16
}

fn cells_of_units() -> usize {
    24
}

/// A picture as numbers; lists of cells are row-major.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Picture {
    /// The probability of each token of a text.
    Tokens {
        /// In the order of the text.
        tokens: Vec<TokenProbability>,
    },
    /// The update of one weight matrix by its adapter.
    LoraUpdate {
        /// The module's whole path.
        module: String,
        /// Rows of the picture: outputs, or blocks of neighbouring ones.
        rows: usize,
        /// Columns of the picture: inputs, or blocks of neighbouring ones.
        columns: usize,
        /// Outputs and inputs of W; of an embedding, its inputs are tokens.
        shape: (usize, usize),
        /// R.
        rank: usize,
        /// The means of ΔW over the blocks.
        #[serde(with = "number::list")]
        values: Vec<f32>,
        /// The largest |ΔW| before the means were taken.
        #[serde(with = "number")]
        largest: f64,
        /// ‖ΔW‖, the root of its sum of squares.
        #[serde(with = "number")]
        norm: f64,
        /// ‖W‖ of the base, for comparison.
        #[serde(with = "number")]
        weight_norm: f64,
    },
    /// The attention weights of one head of one layer.
    Attention {
        /// The layer, from 0.
        layer: usize,
        /// The head, from 0.
        head: usize,
        /// Layers of the model; of an encoder-decoder, of its encoder.
        layers: usize,
        /// Heads of the layer.
        heads: usize,
        /// The text's tokens.
        tokens: Vec<String>,
        /// T × T: row t holds the attention weights of token t, whose sum is 1.
        #[serde(with = "number::list")]
        weights: Vec<f32>,
    },
    /// The loss over the plane of two parameters.
    LossSurface {
        /// The parameters' names: along x, along y.
        names: (String, String),
        /// x of the first and of the last column.
        x: (f64, f64),
        /// y of the first and of the last row.
        y: (f64, f64),
        /// Columns.
        columns: usize,
        /// Rows.
        rows: usize,
        /// The mean loss of the training rows at each point.
        #[serde(with = "number::list")]
        losses: Vec<f32>,
        /// x, y and the loss at the start of the run and after each step.
        #[serde(with = "number::path")]
        path: Vec<(f64, f64, f64)>,
    },
    /// Weights beside their quantization.
    PackedWeights {
        /// The module's whole path.
        module: String,
        /// The format's name.
        format: String,
        /// Rows of the corner: outputs.
        rows: usize,
        /// Columns of the corner: inputs.
        columns: usize,
        /// The weights.
        #[serde(with = "number::list")]
        original: Vec<f32>,
        /// The same weights, packed and decoded.
        #[serde(with = "number::list")]
        decoded: Vec<f32>,
        /// The quantization levels of the first block, ascending.
        #[serde(with = "number::list")]
        levels: Vec<f32>,
        /// Over the whole matrix.
        #[serde(with = "number")]
        root_mean_square_error: f64,
        /// What the matrix takes as the model holds it, or in its file where the model holds it packed.
        original_bytes: u64,
        /// What it takes packed, scales included.
        packed_bytes: u64,
    },
    /// The activations of the units of a layer.
    Units {
        /// The hidden layer, from 0.
        layer: usize,
        /// Hidden layers of the model.
        layers: usize,
        /// The names of the inputs: one or two.
        inputs: Vec<String>,
        /// The first input in the first and in the last column, in the data's own units.
        x: (f64, f64),
        /// The second input in the first and in the last row.
        #[serde(default)]
        y: Option<(f64, f64)>,
        /// Columns.
        columns: usize,
        /// Rows: 1 where there is one input.
        rows: usize,
        /// The activation of each unit at each point.
        #[serde(with = "number::lists")]
        units: Vec<Vec<f32>>,
        /// Each output at each point: the probability of a class or a label, or a number in its own unit.
        #[serde(with = "number::lists")]
        output: Vec<Vec<f32>>,
    },
    /// The size of every adapter's update, by layer and module.
    LayerUpdates {
        /// The rows: the layers in their order, as modules' paths begin (`layers.0`); an empty text stands for modules outside
        /// of the layers.
        layers: Vec<String>,
        /// The columns: the modules of a layer, as paths go on (`self_attn.q_proj`).
        modules: Vec<String>,
        /// ‖ΔW‖ / ‖W‖ with ΔW = s·B·A, row-major; not a number where there is no adapter.
        #[serde(with = "number::list")]
        shares: Vec<f32>,
        /// ‖g‖ of the adapter's matrices together, before clipping, in the same order; empty outside of a run and before its first
        /// step that was looked at.
        #[serde(with = "number::list", default)]
        gradients: Vec<f32>,
        /// The step that they are of.
        #[serde(default)]
        gradient_step: Option<usize>,
    },
}

/// What a picture shows, asked for or drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureKind {
    /// How likely each token of a text is.
    Tokens,
    /// What an adapter changes in a weight.
    LoraUpdate,
    /// What one head of one layer attends to.
    Attention,
    /// The loss over two parameters.
    LossSurface,
    /// Weights beside the same in few bits.
    PackedWeights,
    /// What hidden units respond to.
    Units,
    /// How far adapters have moved the weights, by layer and module.
    LayerUpdates,
}

impl PictureKind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Tokens,
        Self::LoraUpdate,
        Self::Attention,
        Self::LossSurface,
        Self::PackedWeights,
        Self::Units,
        Self::LayerUpdates,
    ];

    /// Its name, which is `kind` in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::LoraUpdate => "lora_update",
            Self::Attention => "attention",
            Self::LossSurface => "loss_surface",
            Self::PackedWeights => "packed_weights",
            Self::Units => "units",
            Self::LayerUpdates => "layer_updates",
        }
    }
}

impl From<&PictureRequest> for PictureKind {
    fn from(request: &PictureRequest) -> Self {
        match request {
            PictureRequest::Tokens { .. } => Self::Tokens,
            PictureRequest::LoraUpdate { .. } => Self::LoraUpdate,
            PictureRequest::Attention { .. } => Self::Attention,
            PictureRequest::LossSurface { .. } => Self::LossSurface,
            PictureRequest::PackedWeights { .. } => Self::PackedWeights,
            PictureRequest::Units { .. } => Self::Units,
            PictureRequest::LayerUpdates {} => Self::LayerUpdates,
        }
    }
}

impl From<&Picture> for PictureKind {
    fn from(picture: &Picture) -> Self {
        match picture {
            Picture::Tokens { .. } => Self::Tokens,
            Picture::LoraUpdate { .. } => Self::LoraUpdate,
            Picture::Attention { .. } => Self::Attention,
            Picture::LossSurface { .. } => Self::LossSurface,
            Picture::PackedWeights { .. } => Self::PackedWeights,
            Picture::Units { .. } => Self::Units,
            Picture::LayerUpdates { .. } => Self::LayerUpdates,
        }
    }
}

/// A token of a text and its probability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenProbability {
    /// The token's text; joined they are the text.
    pub text: String,
    /// By the base model; `None` of the first token, which nothing precedes, and after full training.
    #[serde(with = "number::optional", default)]
    pub base: Option<f64>,
    /// By the trained model; `None` of the first token and without an adapter.
    #[serde(with = "number::optional", default)]
    pub tuned: Option<f64>,
    /// The likeliest token in this place, by the model as it is now; empty of the first token.
    pub likeliest: String,
    /// The probability of the likeliest token; 0 of the first token.
    #[serde(with = "number")]
    pub likeliest_probability: f64,
}
