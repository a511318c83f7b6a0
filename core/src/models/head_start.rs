//! The last layer of a classifier's head: what it reads, and weights to start it from.

use super::head::Head;
use super::{Leaves, Model, Pass};
use crate::baseline::linear_head::LinearHead;
use crate::data::Batch;
use crate::error::{Error, Result};
use burn::tensor::{Tensor, TensorData};
use lorakeet_i18n::messages::head as msg;

/// What the last layer of a head is for who fits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastLayer {
    pub(crate) has_bias: bool,
    /// Whether a layer before it has random weights.
    pub(crate) is_behind_fresh: bool,
}

impl Model {
    /// The last layer of its classifier's head.
    ///
    /// # Errors
    /// It has no such head.
    pub(crate) fn last_layer(&self) -> Result<LastLayer> {
        match &self.head {
            Head::Classifier(head) => Ok(LastLayer {
                has_bias: head.out.bias.is_some(),
                is_behind_fresh: head.hidden.is_some() || head.dense.is_some() && head.fresh_dense,
            }),
            _ => Err(Error::internal(msg::NoTrainedOutputs)),
        }
    }

    /// What the last layer of its head reads, with its adapter and without dropout: \[B, C\].
    ///
    /// # Errors
    /// It has no classifier's head.
    pub(crate) fn head_inputs(&self, leaves: &Leaves, batch: &Batch) -> Result<Tensor<2>> {
        let Head::Classifier(head) = &self.head else {
            return Err(Error::internal(msg::NoTrainedOutputs));
        };
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed: None,
        };
        let hidden = self.hidden(&pass, batch);
        Ok(head.inputs(&self.graph(&pass), hidden, batch))
    }

    /// Gives the last layer of its head these weights, and a bias where it has one.
    ///
    /// # Errors
    /// It has no classifier's head that is trained, or one of another size.
    pub(crate) fn set_last_layer(&mut self, given: &LinearHead) -> Result<()> {
        let wrong = || Error::internal(msg::NoTrainedOutputs);
        let Head::Classifier(head) = &self.head else {
            return Err(wrong());
        };
        let out = &head.out;
        if given.weight.len() != out.inputs * out.outputs || given.bias.len() != out.outputs {
            return Err(wrong());
        }
        let (weight, bias) = out.trained().ok_or_else(wrong)?;
        let device = self.device.clone();
        let tensor = |numbers: &[f32]| {
            let count = numbers.len();
            Tensor::<1>::from_data(TensorData::new(numbers.to_vec(), [count]), &device)
        };
        self.parameters.set(weight, tensor(&given.weight));
        if let Some(bias) = bias {
            self.parameters.set(bias, tensor(&given.bias));
        }
        Ok(())
    }
}
