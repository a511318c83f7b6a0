//! Language models: stock checkpoints in, losses and logits out.
//!
//! [`Model`] is a frozen (or, in full training, trained) base of one architecture, the head of one task, and the adapters.
//! What is trained is in [`Parameters`], outside the layers: a forward pass takes [`Leaves`], which are those parameters
//! either tracked for gradients or plain, and layers refer to them by number. So evaluation, accumulation and the optimizer
//! do not depend on the model's structure.

mod activation;
mod adapters;
mod bert;
pub(crate) mod bitsandbytes;
mod body;
mod cache;
pub mod comparison;
mod embedding;
mod gemma;
mod gpt2;
pub(crate) mod graph;
pub(crate) mod head;
mod head_start;
mod insides;
mod keys;
mod limits;
mod linear;
mod llama;
mod load;
mod lora;
pub(crate) mod matrix;
pub(crate) mod memory;
mod modernbert;
mod names;
mod norm;
mod open;
mod other_adapters;
mod pack;
mod parameters;
pub(crate) mod parts;
pub mod registry;
mod rope;
mod skeleton;
pub(crate) mod small;
mod t5;
mod text_part;
mod token_rows;
mod transfer;
mod waits;

pub(crate) use adapters::has_trained_copy;
pub use cache::KvCache;
pub use head::{HeadKind, Problem};
pub(crate) use insides::{AttentionHead, LowRank, TokenScore};
pub use limits::Limits;
pub(crate) use linear::Linear;
pub(crate) use matrix::{Matrix, Stored};
pub(crate) use names::is_idle;
pub(crate) use parameters::Weight;
pub use parameters::{Leaves, Parameter, Parameters};
pub(crate) use skeleton::ModelSkeleton;
pub(crate) use token_rows::{TokenTarget, key_of as token_rows_key};
pub use transfer::{read, read_all};
pub(crate) use waits::Waits;

use crate::{
    data::{self, Batch},
    error::{Error, Result},
    formats::{ModelFiles, SentenceModules, TextPooling, peft::AdapterConfig},
    head_spec::OwnHead,
    loss::preference::answer_log_probabilities,
    ops::{VocabularyChunks, VocabularyForm},
    protocol::ModelInfo,
    quant::BaseFormat,
};
use activation::Activation;
use body::Body;
use burn::tensor::{Device, Int, Tensor, TensorData};
use graph::{Graph, TensorGraph, Tokens};
use head::{Head, Pooling};
use load::Loader;
use lorakeet_i18n::{Message, messages::models as msg};
use names::Prefix;
use std::borrow::Cow;
use token_rows::TokenRows;

/// The inputs of a forward pass besides tokens.
pub(crate) struct Pass<'a> {
    pub(crate) leaves: &'a Leaves,
    pub(crate) use_adapter: bool,
    /// Seed of this micro-batch's dropout; `None` in evaluation.
    pub(crate) dropout_seed: Option<u64>,
}

/// A language model with its trained parameters.
pub struct Model {
    /// The trained tensors.
    pub parameters: Parameters,
    /// Its name, architecture and sizes.
    pub info: ModelInfo,
    /// Notes on parts of its files without effect.
    pub notes: Vec<Message>,
    body: Box<dyn Body>,
    head: Head,
    /// How vectors of texts are made.
    text_pooling: TextPooling,
    /// The trained copy of the output matrix, where `modules_to_save` names it.
    trained_output: Option<Matrix>,
    /// Trained rows of the output matrix, where that is so: those of the embedding that it is, or its own.
    output_rows: Option<TokenRows>,
    task: HeadKind,
    adapter: Option<AdapterConfig>,
    device: Device,
    pad_token_id: u32,
    /// The prefix of the names of its files' tensors.
    prefix: Prefix,
}

impl Model {
    /// [`Self::load_base`] in the files' own format.
    ///
    /// # Errors
    /// As there.
    pub async fn load(
        files: &ModelFiles,
        full: bool,
        seed: u64,
        device: &Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        Self::load_base(files, (full, BaseFormat::AsStored), seed, device, progress).await
    }

    /// Reads a model onto the device, tensor by tensor, with its frozen linears in the format `base`. With `full` every
    /// weight is a parameter. Without weights in the files the model gets fresh ones from `seed` (normal with
    /// `initializer_range`, norms 1, biases 0).
    ///
    /// # Errors
    /// An architecture that is not supported, a missing or misshapen tensor, an unreadable file.
    pub async fn load_base(
        files: &ModelFiles,
        (full, base): (bool, BaseFormat),
        seed: u64,
        device: &Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        if files.entries().is_empty() {
            // The size of fresh weights is checked before the first is made.
            ModelSkeleton::read(files, (full, base), u64::MAX).await?;
        }
        let loader = Loader::new(files, (full, base), seed, device, progress);
        let ModelSkeleton {
            info,
            body,
            head,
            task,
            parameters,
            notes,
            prefix,
            ..
        } = ModelSkeleton::load(files, loader).await?;
        // Padding is masked and is no target: a pad token beyond the table, which many tokenizers add, is replaced by token 0.
        let pad_token_id = files.tokenizer.as_ref().and_then(|t| t.pad_token_id());
        let pad_token_id = pad_token_id.filter(|&id| (id as usize) < info.vocab_size).unwrap_or(0);
        Ok(Self {
            parameters,
            info,
            notes,
            body,
            head,
            text_pooling: files
                .sentence
                .as_ref()
                .map(SentenceModules::pooling)
                .unwrap_or_default(),
            trained_output: None,
            output_rows: None,
            task,
            adapter: None,
            device: device.clone(),
            pad_token_id,
            prefix,
        })
    }

    /// The id of padding; its positions are masked.
    pub fn pad_token_id(&self) -> u32 {
        self.pad_token_id
    }

    /// How vectors of texts are made.
    pub(crate) fn text_pooling(&self) -> TextPooling {
        self.text_pooling
    }

    /// Makes vectors of texts so.
    pub(crate) fn pool_texts_by(&mut self, pooling: TextPooling) {
        self.text_pooling = pooling;
    }

    /// The kind of its head.
    pub fn task(&self) -> HeadKind {
        self.task
    }

    /// The problem type of a classifier; `None` of other models.
    pub fn problem(&self) -> Option<Problem> {
        match &self.head {
            Head::Classifier(head) => Some(head.problem),
            _ => None,
        }
    }

    /// Outputs of a classifier's head; `None` of other models.
    pub fn labels(&self) -> Option<usize> {
        match &self.head {
            Head::Classifier(head) => Some(head.out.outputs),
            _ => None,
        }
    }

    /// Its head as Python builds it, where that is another than transformers' for the architecture; `activation` is its hidden layer's
    /// by its name.
    pub(crate) fn own_head(&self, activation: Option<String>) -> Option<OwnHead> {
        self.head.own(activation)
    }

    /// Its device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// `scale` · Σ of the losses of the batch's targets → \[1\]; 0 of a model without a head.
    ///
    /// Of vocabularies and classes it is the cross-entropy, in nats, of labels that are not −100 (shifted by one where the
    /// task is the next token); of any-of classes the binary cross-entropy; of numbers the squared error.
    ///
    /// # Errors
    /// Labels that do not fit a classifier's head.
    pub fn loss(&self, leaves: &Leaves, batch: &Batch, scale: f32, dropout_seed: Option<u64>) -> Result<Tensor<1>> {
        let pass = &Pass {
            leaves,
            use_adapter: true,
            dropout_seed,
        };
        let hidden = self.hidden(pass, batch);
        match &self.head {
            Head::Vocabulary | Head::MaskedLm(_) => {}
            Head::Classifier(head) => {
                let logits = head.logits(&self.graph(pass), hidden, batch);
                return head.loss(logits, batch, scale);
            }
            Head::None => return Ok(Tensor::zeros([1], &self.device)),
        }
        let (_, hidden, targets) = self.at_targets(hidden, batch);
        let form = VocabularyForm {
            scale,
            soft_cap: self.body.logit_cap(),
        };
        let Output { hidden, matrix, bias } = self.output(hidden, pass);
        let targets = numbers(targets, &self.device);
        Ok(matrix.vocabulary_loss(hidden, bias, targets, form, pass.leaves))
    }

    /// [`Model::loss`] on hidden states that are there (`leaves` of [`Leaves::behind`]), to be computed a chunk of rows at a time by
    /// [`VocabularyChunks::learn_next`]; `None` of models whose head is trained, or is none over a vocabulary.
    pub(crate) fn loss_in_chunks<'m>(
        &'m self,
        leaves: &'m Leaves,
        hidden: Tensor<2>,
        batch: &Batch,
    ) -> Option<VocabularyChunks<'m>> {
        let matrix = self.body.lm_head();
        let is_trained = self.trained_output.is_some() || self.output_rows.is_some() || !matrix.is_frozen();
        if !matches!(self.head, Head::Vocabulary) || is_trained {
            return None;
        }
        let (_, hidden, targets) = self.at_targets(hidden, batch);
        let targets = numbers(targets, &self.device);
        Some(matrix.in_chunks(hidden, None, targets, self.body.logit_cap(), leaves))
    }

    /// The score of each target token of the batch: what [`Model::loss`] adds up, for evaluation. Empty where the batch has no
    /// target, or the model no vocabulary.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn target_scores(
        &self,
        leaves: &Leaves,
        batch: &Batch,
        waits: &mut Waits,
    ) -> Result<Vec<TargetScore>> {
        if !matches!(self.head, Head::Vocabulary | Head::MaskedLm(_)) {
            return Ok(Vec::new());
        }
        let leaves = &self.through_layers(leaves, batch, true, waits).await?;
        let pass = &Pass {
            leaves,
            use_adapter: true,
            dropout_seed: None,
        };
        let hidden = self.hidden(pass, batch);
        let of_a_row = (hidden.dims()[0] / batch.rows.max(1)).max(1);
        let (places, hidden, targets) = self.at_targets(hidden, batch);
        let Output { hidden, matrix, bias } = self.output(hidden, pass);
        let on_device = numbers(targets.clone(), &self.device);
        let soft_cap = self.body.logit_cap();
        let mut chunks = matrix.in_chunks(hidden, bias, on_device, soft_cap, leaves);
        while chunks.score_next() {
            waits.after(&self.device, || chunks.newest()).await?;
        }
        let scores = read(Tensor::cat(chunks.scores().into(), 0)).await?;
        let (losses, largest) = scores.split_at(scores.len() / 2);
        let found = places.into_iter().zip(targets).zip(losses.iter().zip(largest));
        let counted = found.filter(|((_, target), _)| *target >= 0.0);
        let score = |((place, target), (loss, largest)): ((usize, f32), (&f32, &f32))| TargetScore {
            row: place / of_a_row,
            loss: *loss,
            hit: *largest == target,
        };
        Ok(counted.map(score).collect())
    }

    /// The hidden states that predict a target, their places among all of them, and the targets; all of them where none does.
    fn at_targets(&self, hidden: Tensor<2>, batch: &Batch) -> (Vec<usize>, Tensor<2>, Vec<f32>) {
        let (places, targets) = match &self.head {
            Head::Vocabulary if self.task == HeadKind::CausalLm => data::targets(batch),
            _ => data::unshifted_targets(batch),
        };
        if places.len() == hidden.dims()[0] {
            return (places, hidden, targets);
        }
        let chosen: Vec<i32> = places.iter().map(|&place| place as i32).collect();
        let chosen = Tensor::<1, Int>::from_data(TensorData::new(chosen, [places.len()]), &self.device);
        (places, hidden.select(0, chosen), targets)
    }

    /// Logits: of a vocabulary \[B·T, V\], for tests and small models, since training never holds them; of classes \[B, L\]
    /// or, where tokens are classified, \[B·T, L\]. Without a head, the hidden states \[B·T, C\].
    pub fn logits(&self, leaves: &Leaves, batch: &Batch) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed: None,
        };
        let hidden = self.hidden(&pass, batch);
        match &self.head {
            Head::Classifier(head) => head.logits(&self.graph(&pass), hidden, batch),
            Head::None => hidden,
            Head::Vocabulary | Head::MaskedLm(_) => self.vocabulary_logits(hidden, &pass),
        }
    }

    /// The logits of a classifier's head, with dropout where `dropout_seed` is given: \[B, L\], or \[B·T, L\] where tokens are
    /// classified; `None` of other models.
    pub(crate) fn class_logits(&self, leaves: &Leaves, batch: &Batch, dropout_seed: Option<u64>) -> Option<Tensor<2>> {
        let Head::Classifier(head) = &self.head else {
            return None;
        };
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed,
        };
        Some(head.logits(&self.graph(&pass), self.hidden(&pass, batch), batch))
    }

    /// The vector of each row, made of its last hidden states as the run or the files say, else their mean, padding left out →
    /// \[B, C\].
    pub(crate) fn vectors(
        &self,
        leaves: &Leaves,
        batch: &Batch,
        use_adapter: bool,
        dropout_seed: Option<u64>,
    ) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter,
            dropout_seed,
        };
        let hidden = self.hidden(&pass, batch);
        match &self.head {
            Head::Classifier(head) if head.pooling == Pooling::Done => hidden,
            _ => head::vectors_of_texts(&self.graph(&pass), hidden, batch, self.text_pooling),
        }
    }

    /// log p of each row's labels, summed over its tokens → \[B, 1\]; 0 of a row without any. Decoders only.
    pub(crate) fn answer_log_probs(
        &self,
        leaves: &Leaves,
        batch: &Batch,
        use_adapter: bool,
        dropout_seed: Option<u64>,
    ) -> Tensor<2> {
        let pass = &Pass {
            leaves,
            use_adapter,
            dropout_seed,
        };
        let hidden = self.hidden(pass, batch);
        let form = VocabularyForm {
            scale: 1.0,
            soft_cap: self.body.logit_cap(),
        };
        answer_log_probabilities(&hidden, &batch.labels, batch.tokens, |hidden, targets| {
            let Output { hidden, matrix, bias } = self.output(hidden, pass);
            matrix.vocabulary_loss(hidden, bias, targets, form, leaves)
        })
    }

    /// The last layer's hidden states \[B·T, C\], as the model's head reads them.
    pub fn hidden_states(&self, leaves: &Leaves, batch: &Batch, use_adapter: bool) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter,
            dropout_seed: None,
        };
        self.hidden(&pass, batch)
    }

    fn vocabulary_logits(&self, hidden: Tensor<2>, pass: &Pass) -> Tensor<2> {
        let Output { hidden, matrix, bias } = self.output(hidden, pass);
        let logits = matrix.multiply(hidden, bias, false, pass.leaves);
        match self.body.logit_cap() {
            cap if cap > 0.0 => Activation::Tanh.apply(logits / cap) * cap,
            _ => logits,
        }
    }

    /// The factors of the logits over the vocabulary.
    fn output(&self, hidden: Tensor<2>, pass: &Pass) -> Output<'_> {
        let matrix = match (&self.trained_output, &self.output_rows) {
            (Some(whole), _) if pass.use_adapter => Cow::Borrowed(whole),
            (_, Some(rows)) if pass.use_adapter => Cow::Owned(rows.composed(self.body.lm_head(), pass.leaves)),
            _ => Cow::Borrowed(self.body.lm_head()),
        };
        let Head::MaskedLm(head) = &self.head else {
            return Output {
                hidden,
                matrix,
                bias: None,
            };
        };
        Output {
            hidden: head.dense.forward(&self.graph(pass), hidden),
            matrix: head.weight.as_ref().map_or(matrix, Cow::Borrowed),
            bias: Some(head.bias.flat(pass.leaves)),
        }
    }

    /// Numbers of a row (of a recurrent network, of a step), where the inputs are not tokens.
    pub fn input_features(&self) -> Option<usize> {
        self.body.input_features()
    }

    /// Refuses a row of so many numbers where the model takes another number of them.
    ///
    /// # Errors
    /// It does.
    pub(crate) fn check_features(&self, numbers: usize) -> Result<()> {
        if self.body.takes(numbers) {
            return Ok(());
        }
        let error = match self.body.input_features() {
            Some(wanted) => Error::data(msg::OtherFeatures { numbers, wanted }),
            None => Error::data(msg::TextsWanted),
        };
        Err(error.remedy(msg::TakeDataOfModelsSize))
    }

    /// The largest share that its layers, which only small models do, and its head drop while training.
    pub fn dropout(&self) -> f32 {
        let layers = self.body.dropout();
        match &self.head {
            Head::Classifier(head) => layers.max(head.dropout),
            _ => layers,
        }
    }

    fn hidden(&self, pass: &Pass, batch: &Batch) -> Tensor<2> {
        if let Some(hidden) = pass.leaves.hidden() {
            return hidden;
        }
        self.body.hidden(&self.graph(pass), batch)
    }

    fn graph<'a>(&'a self, pass: &'a Pass) -> TensorGraph<'a> {
        TensorGraph::new(pass, &self.device)
    }

    /// An empty cache for one row.
    pub fn new_cache(&self) -> KvCache {
        let layers = vec![None; self.body.cached_pairs()];
        KvCache {
            layers,
            tokens: 0,
            max_tokens: self.limits().tokens,
        }
    }

    /// Whether it generates texts.
    pub fn generates(&self) -> bool {
        matches!(self.task, HeadKind::CausalLm | HeadKind::Seq2SeqLm)
    }

    /// Logits \[1, V\] of the token after `ids`, which follow the tokens in the cache; zeros of models that generate no text.
    /// With an empty cache `ids` are an encoder-decoder's input, later they are tokens of its answer.
    pub fn next_logits(&self, leaves: &Leaves, ids: &[u32], cache: &mut KvCache, use_adapter: bool) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter,
            dropout_seed: None,
        };
        let (tokens, seen) = (ids.len(), cache.tokens);
        // The encoder's input takes no positions of the answer, which begins with its own start token.
        let answered = match self.task {
            HeadKind::Seq2SeqLm if seen == 0 => 1,
            _ => tokens,
        };
        let g = &TensorGraph::with_cache(&pass, &self.device, cache);
        let ids = g.numbers(tokens, || ids.iter().map(|&id| id as f32).collect());
        let mask = g.mask([1, seen + tokens], || vec![1.0; seen + tokens]);
        let input = Tokens::new(ids, mask, [1, tokens], seen);
        let Some(hidden) = self.body.next(g, input) else {
            return Tensor::zeros([1, self.info.vocab_size], &self.device);
        };
        cache.tokens += answered;
        self.vocabulary_logits(hidden.narrow(0, answered - 1, 1), &pass)
    }
}

/// Notes on parts of a model's files without effect; reads their headers only.
///
/// # Errors
/// As [`Model::load`].
pub async fn notes(files: &ModelFiles) -> Result<Vec<Message>> {
    Ok(ModelSkeleton::read(files, (false, BaseFormat::AsStored), u64::MAX)
        .await?
        .notes)
}

/// The score of one target token.
pub(crate) struct TargetScore {
    /// The row of the batch that it is of.
    pub(crate) row: usize,
    /// Its cross-entropy, in nats.
    pub(crate) loss: f32,
    /// Whether no other token is likelier.
    pub(crate) hit: bool,
}

/// Logits over the vocabulary are hidden \[n, C\] · matrixᵀ \[V, C\] + bias \[V\].
struct Output<'a> {
    hidden: Tensor<2>,
    matrix: Cow<'a, Matrix>,
    bias: Option<Tensor<1>>,
}

/// Whole numbers, or a column of factors, on the device.
fn numbers(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
