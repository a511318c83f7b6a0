//! The activations that config.json can name.

use crate::{
    error::{Error, Result},
    ops,
};
use burn::tensor::{Tensor, activation};
use lorakeet_i18n::messages::models as msg;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x · Φ(x).
    Gelu,
    /// Its tanh form.
    GeluTanh,
    Relu,
    /// x / (1 + e⁻ˣ).
    Silu,
    /// 1 / (1 + e⁻ˣ).
    Sigmoid,
    Tanh,
}

impl Activation {
    /// The activation that transformers calls `name` (`ACT2FN` in activations.py); `field` is where config.json says so.
    pub(crate) fn named(name: &str, field: &str) -> Result<Self> {
        match name {
            "gelu" => Ok(Self::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Ok(Self::GeluTanh),
            "relu" => Ok(Self::Relu),
            "silu" | "swish" => Ok(Self::Silu),
            "sigmoid" => Ok(Self::Sigmoid),
            "tanh" => Ok(Self::Tanh),
            other => {
                let what = msg::UnknownActivation {
                    name: format!("{other:?}"),
                };
                Err(Error::model(what).file("config.json").field(field))
            }
        }
    }

    pub(crate) fn apply(self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Gelu => ops::gelu(x),
            Self::GeluTanh => ops::gelu_new(x),
            Self::Relu => activation::relu(x),
            Self::Silu => x.clone() * activation::sigmoid(x),
            Self::Sigmoid => activation::sigmoid(x),
            // tanh of large numbers is NaN on some drivers; at 10 it is 1.
            Self::Tanh => activation::tanh(x.clamp(-10.0, 10.0)),
        }
    }
}
