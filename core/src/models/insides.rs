//! A model's internals as plain numbers, for pictures: the probability of each token of a text, an adapter's matrices,
//! queries and keys of an attention head, rows of a weight matrix, hidden units of an MLP. Reading them does not change the
//! model.

use super::graph::{AttentionWatch, TensorGraph, WatchedAttention};
use super::lora::{Lora, Place};
use super::{HeadKind, Leaves, Linear, Matrix, Model, Output, Pass, Stored, numbers, read, read_all};
use crate::data::Batch;
use crate::error::{Error, Result};
use crate::formats::ModelFiles;
use crate::ops::{AttentionScoring, packed_embedding};
use burn::tensor::{Tensor, TensorData};
use lorakeet_i18n::messages::pictures as msg;
use std::borrow::Cow;
use std::ops::Range;

/// The score of one token of a text given those before it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TokenScore {
    /// −log p of the token, in nats.
    pub(crate) loss: f64,
    /// The likeliest token in its place.
    pub(crate) likeliest: u32,
    /// −log p of the likeliest token.
    pub(crate) likeliest_loss: f64,
}

/// An adapter's matrices: A \[R, in\], B \[out, R\]; it adds s·B·A to the weights.
pub(crate) struct LowRank {
    pub(crate) a: Vec<f32>,
    pub(crate) b: Vec<f32>,
    pub(crate) rank: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// s.
    pub(crate) scale: f64,
}

/// The inputs of one attention head: q and k \[T, D\] of one text, and the bias on its products by distance \[2T − 1\].
pub(crate) struct AttentionHead {
    pub(crate) q: Vec<f32>,
    pub(crate) k: Vec<f32>,
    pub(crate) bias: Option<Vec<f32>>,
    /// D.
    pub(crate) dim: usize,
    pub(crate) scoring: AttentionScoring,
}

impl Batch {
    /// One text without targets.
    pub(crate) fn of_text(ids: &[u32]) -> Self {
        Self {
            rows: 1,
            tokens: ids.len(),
            input_ids: ids.to_vec(),
            attention_mask: vec![1.0; ids.len()],
            input_tokens: ids.len(),
            ..Self::default()
        }
    }
}

impl Model {
    /// Whether it has an adapter.
    pub(crate) fn has_adapter(&self) -> bool {
        self.adapter.is_some()
    }

    /// Whether it is the base model without its adapter: it has one, and no trained copies of modules beside it.
    pub(crate) fn is_base_without_adapter(&self) -> bool {
        let saved = self
            .adapter
            .as_ref()
            .map(|config| config.modules_to_save.as_deref().unwrap_or_default());
        saved.is_some_and(<[String]>::is_empty)
    }

    /// Whether it predicts the next token of a text.
    pub(crate) fn predicts_next_token(&self) -> bool {
        self.task == HeadKind::CausalLm
    }

    /// The score of each token of a text but the first. No \[T, V\] matrix of logits is kept.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn score_tokens(
        &self,
        leaves: &Leaves,
        ids: &[u32],
        use_adapter: bool,
    ) -> Result<Vec<TokenScore>> {
        if ids.len() < 2 {
            return Ok(Vec::new());
        }
        let pass = &Pass {
            leaves,
            use_adapter,
            dropout_seed: None,
        };
        let hidden = self.hidden(pass, &Batch::of_text(ids));
        let count = ids.len() - 1;
        let Output { hidden, matrix, bias } = self.output(hidden.narrow(0, 0, count), pass);
        let cap = self.body.logit_cap();
        let scores = |targets| {
            let chunks = matrix.in_chunks(hidden.clone(), bias.clone(), targets, cap, leaves);
            chunks.scores()
        };
        let next = numbers(ids.iter().skip(1).map(|&id| id as f32).collect(), &self.device);
        let [losses, likeliest] = scores(next);
        let [least, _] = scores(likeliest.clone());
        let all = read(Tensor::cat(vec![losses, likeliest, least], 0)).await?;
        let of = |place: usize| TokenScore {
            loss: f64::from(all[place]),
            likeliest: all[count + place] as u32,
            likeliest_loss: f64::from(all[2 * count + place]),
        };
        Ok((0..count).map(of).collect())
    }

    /// The linears of the layers.
    pub(crate) fn body_linears(&self) -> Vec<&Linear> {
        self.body.linears()
    }

    /// The paths of the modules with an adapter, in the order of the layers; embeddings last.
    pub(crate) fn adapted_paths(&self) -> Vec<&str> {
        self.adapted().map(|(place, _)| place.path).collect()
    }

    /// ‖g‖ of each module with an adapter, in the order of [`Self::adapted_paths`]: of the gradients of A, B and DoRA's magnitude
    /// together. `norms` are those of the parameters, by their numbers.
    pub(crate) fn adapter_gradients(&self, norms: &[f64]) -> Vec<f64> {
        let of_module = |lora: &Lora| {
            let norms = lora.numbers().filter_map(|number| norms.get(number));
            norms.map(|norm| norm * norm).sum::<f64>().sqrt()
        };
        self.adapted().map(|(_, lora)| of_module(lora)).collect()
    }

    fn adapted(&self) -> impl Iterator<Item = (Place<'_>, &Lora)> {
        let linears = self.body.linears().into_iter().chain(self.head.linears());
        let linears = linears.map(|linear| (Place::from(linear), linear.lora.as_ref()));
        let tables = self.body.embeddings().into_iter();
        let tables = tables.map(|table| (Place::from(table), table.lora.as_ref()));
        linears.chain(tables).filter_map(|(place, lora)| Some((place, lora?)))
    }

    /// The matrices of the adapter on the module at `path`, and ‖W‖² of that module's own weights; `None` without an adapter
    /// there.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn adapter_on(&self, path: &str) -> Result<Option<(LowRank, f64)>> {
        let Some((place, lora)) = self.adapted().find(|(place, _)| place.path == path) else {
            return Ok(None);
        };
        let squares = read(place.weight.squares(place.transposed, &self.parameters.plain())).await?;
        let squares = squares.iter().map(|&square| f64::from(square)).sum();
        Ok(Some((lora.read(&self.parameters).await?, squares)))
    }

    /// The same of several modules, from one read of the device where they are small. Paths without an adapter are passed over;
    /// ‖W‖² is computed once.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn adapters_on(&self, paths: &[&str]) -> Result<Vec<(LowRank, f64)>> {
        let adapted = self.adapted().filter(|(place, _)| paths.contains(&place.path));
        let adapted: Vec<(Place<'_>, &Lora)> = adapted.collect();
        let leaves = self.parameters.plain();
        let numbers_of = |(place, lora): &(Place<'_>, &Lora)| {
            let is_known = lora.weight_squares().get().is_some();
            let squares = (!is_known).then(|| place.weight.squares(place.transposed, &leaves));
            lora.matrices(&self.parameters).into_iter().chain(squares)
        };
        let tensors: Vec<Tensor<1>> = adapted.iter().flat_map(numbers_of).collect();
        let mut numbers = read_all(tensors).await?.into_iter();
        let mut found = Vec::with_capacity(adapted.len());
        for (_, lora) in adapted {
            let (a, b) = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
            let squares = lora.weight_squares().get_or_init(|| {
                let squares = numbers.next().unwrap_or_default();
                squares.iter().map(|&square| f64::from(square)).sum()
            });
            found.push((lora.low_rank(a, b), *squares));
        }
        Ok(found)
    }

    /// Layers whose attention can be drawn; 0 of a model without attention.
    pub(crate) fn attention_layers(&self) -> usize {
        self.body.attention_layers()
    }

    /// The inputs of one layer's attention on a text, and its number of heads; `None` beyond the last layer.
    pub(crate) fn attention_of(&self, leaves: &Leaves, ids: &[u32], layer: usize) -> Option<(WatchedAttention, usize)> {
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed: None,
        };
        let watch = AttentionWatch::on(layer);
        // Only what `watch` keeps is needed.
        let graph = TensorGraph::watching(&pass, &self.device, &watch);
        let _ = self.body.hidden(&graph, &Batch::of_text(ids));
        let found = watch.kept()?;
        let [heads, _] = found.heads;
        Some((found, heads))
    }

    /// A hidden layer's activations \[n, C\] for rows of numbers, as C lists of n; empty of models other than MLPs.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn units(&self, leaves: &Leaves, batch: &Batch, layer: usize) -> Result<Vec<Vec<f32>>> {
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed: None,
        };
        match self.body.units(&self.graph(&pass), batch, layer) {
            Some(units) => columns(units).await,
            None => Ok(Vec::new()),
        }
    }

    /// The logits \[n, L\] of a classifier's head for rows of numbers, row-major, and L; `None` of other models.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn row_logits(&self, leaves: &Leaves, batch: &Batch) -> Result<Option<(Vec<f32>, usize)>> {
        let Some(logits) = self.class_logits(leaves, batch, None) else {
            return Ok(None);
        };
        let [rows, labels] = logits.dims();
        Ok(Some((read(logits.reshape([rows * labels])).await?, labels)))
    }

    /// Hidden layers of an MLP; `None` of other models.
    pub(crate) fn hidden_layers(&self) -> Option<usize> {
        self.body.hidden_layers()
    }

    /// The name of the tensor `name` in the files.
    pub(crate) fn stored_name<'n>(&self, name: &'n str, files: &ModelFiles) -> Cow<'n, str> {
        self.prefix.stored(name, |stored| files.contains(stored))
    }
}

impl WatchedAttention {
    /// The inputs of one head.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn head(&self, head: usize) -> Result<AttentionHead> {
        let [heads, shared] = self.heads;
        let ([queries, width], [keys, _]) = (self.q.dims(), self.k.dims());
        let (dim, of_group) = (width / heads.max(1), head / (heads / shared.max(1)).max(1));
        let part = async |tensor: &Tensor<2>, head: usize, columns: usize| {
            let [rows, _] = tensor.dims();
            let part = tensor.clone().slice([0..rows, head * columns..(head + 1) * columns]);
            read(part.reshape([rows * columns])).await
        };
        let (q, k) = (part(&self.q, head, dim).await?, part(&self.k, of_group, dim).await?);
        let bias = match &self.bias {
            Some(bias) => Some(part(bias, head, 1).await?),
            None => None,
        };
        if q.len() != queries * dim || k.len() != keys * dim || queries != keys {
            return Err(Error::internal(msg::AttentionCut));
        }
        Ok(AttentionHead {
            q,
            k,
            bias,
            dim,
            scoring: self.scoring,
        })
    }
}

impl Linear {
    /// Whether its matrix is stored on the device as \[in, out\].
    pub(crate) fn lies_transposed(&self) -> bool {
        match &self.weight.stored {
            Stored::Dense(_) => self.transposed,
            Stored::Packed { flipped, .. } => self.transposed != *flipped,
        }
    }
}

impl Matrix {
    /// Its size on the device.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.stored {
            Stored::Dense(_) => 4 * self.rows as u64 * self.columns as u64,
            Stored::Packed { matrix, .. } => matrix.bytes(),
        }
    }

    /// Rows of the matrix as it is stored on the device, as 32-bit floats on the host. Of a packed matrix only these are
    /// decoded.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn read_rows(&self, rows: Range<usize>, leaves: &Leaves) -> Result<Vec<f32>> {
        let numbers = match &self.stored {
            Stored::Dense(weight) => {
                let columns = self.columns;
                weight
                    .flat(leaves)
                    .narrow(0, rows.start * columns, rows.len() * columns)
            }
            Stored::Packed { matrix, .. } => {
                let (count, columns) = (rows.len(), matrix.columns());
                let ids: Vec<f32> = rows.map(|row| row as f32).collect();
                let ids = Tensor::from_data(TensorData::new(ids, [count]), &matrix.device());
                packed_embedding(ids, matrix).reshape([count * columns])
            }
        };
        read(numbers).await
    }
}

/// A matrix \[n, C\] as C lists.
async fn columns(matrix: Tensor<2>) -> Result<Vec<Vec<f32>>> {
    let [rows, width] = matrix.dims();
    let values = read(matrix.reshape([rows * width])).await?;
    let column = |column: usize| values.iter().skip(column).step_by(width.max(1)).copied().collect();
    Ok((0..width).map(column).collect())
}
