//! A model's layers and head, read from a checkpoint's configuration and tensors, or only their sizes.

use super::adapters::{adaptable, check_adapter_names, is_tied, token_targets, with_head};
use super::body::Body;
use super::head::Head;
use super::load::{Finished, Loader};
use super::names::Prefix;
use super::registry::of_model_type;
use super::{HeadKind, Limits, Linear, Parameters, TokenTarget};
use crate::chat::ChatTemplate;
use crate::data::Batch;
use crate::error::Result;
use crate::formats::ModelFiles;
use crate::formats::peft::{AdapterConfig, ChosenModule, chosen_modules};
use crate::head_spec::OwnHead;
use crate::models::memory::{DryRun, SymbolicTensor};
use crate::protocol::ModelInfo;
use crate::quant::BaseFormat;
use lorakeet_i18n::Message;
use std::borrow::Cow;
use std::collections::HashSet;

/// Layers and head with their sizes: a model, or its sizes alone.
pub(crate) struct ModelSkeleton {
    pub(crate) info: ModelInfo,
    pub(super) body: Box<dyn Body>,
    pub(super) head: Head,
    pub(super) task: HeadKind,
    pub(crate) parameters: Parameters,
    /// The size of tables of constants on the device.
    pub(crate) table_bytes: u64,
    /// Notes on parts of the files without effect.
    pub(super) notes: Vec<Message>,
    /// The prefix of the names of the files' tensors.
    pub(super) prefix: Prefix,
    /// The files' tensors that it is made of, by their names there.
    read: HashSet<String>,
}

impl ModelSkeleton {
    /// The result of [`Model::load_base`] on a device with buffers of `largest_buffer_bytes`, without its numbers.
    pub(crate) async fn read(files: &ModelFiles, kind: (bool, BaseFormat), largest_buffer_bytes: u64) -> Result<Self> {
        let mut progress = |_, _| ();
        let loader = Loader::skeleton(files, kind, largest_buffer_bytes, &mut progress);
        Self::load(files, loader).await
    }

    pub(super) async fn load(files: &ModelFiles, mut loader: Loader<'_>) -> Result<Self> {
        let row = of_model_type(&loader.text("model_type")?)?;
        loader.set_architecture(row)?;
        let (body, head) = (row.build)(&mut loader).await?;
        let task = loader.task();
        let Finished {
            parameters,
            weights,
            weight_bytes,
            table_bytes,
            notes,
            prefix,
            read,
        } = loader.finish()?;
        let linears = body.linears().into_iter().chain(head.linears());
        let linears: Vec<&str> = linears.map(|linear| linear.path.as_str()).collect();
        let sizes = body.sizes();
        let info = ModelInfo {
            name: files.name.clone(),
            model_type: row.model_type.to_owned(),
            parameters: weights,
            weight_bytes,
            heap_bytes: None,
            formats: storage_bytes(files),
            vocab_size: sizes.vocab,
            num_hidden_layers: sizes.layers,
            num_attention_heads: sizes.heads,
            hidden_size: sizes.width,
            max_position_embeddings: sizes.max_positions,
            has_chat_template: files.chat_template.is_some(),
            has_thinking_switch: files
                .chat_template
                .as_ref()
                .is_some_and(ChatTemplate::has_thinking_switch),
            linear_modules: suffixes(&linears),
        };
        Ok(Self {
            info,
            body,
            head,
            task,
            parameters,
            table_bytes,
            notes,
            prefix,
            read,
        })
    }

    /// The limits of the model's inputs.
    pub(crate) fn limits(&self) -> Limits {
        self.body.limits()
    }

    /// The linears of layers and head.
    pub(crate) fn linears(&self) -> Vec<&Linear> {
        let mut linears = self.body.linears();
        linears.extend(self.head.linears());
        linears
    }

    /// How many of them are the head's, at the end.
    pub(crate) fn linears_in_head(&self) -> usize {
        self.head.linears().len()
    }

    /// The paths of the embeddings.
    pub(crate) fn embedding_paths(&self) -> impl Iterator<Item = &str> {
        self.body.embeddings().into_iter().map(|table| table.path.as_str())
    }

    /// The paths of the embeddings with their sizes \[V, C\].
    pub(crate) fn tables(&self) -> impl Iterator<Item = (&str, [usize; 2])> {
        let tables = self.body.embeddings().into_iter();
        tables.map(|table| (table.path.as_str(), [table.matrix.rows, table.matrix.columns]))
    }

    /// What its head is made for.
    pub(crate) fn kind(&self) -> HeadKind {
        self.task
    }

    /// The name that the files have for the tensor `name`.
    pub(crate) fn stored<'n>(&self, files: &ModelFiles, name: &'n str) -> Cow<'n, str> {
        self.prefix.stored(name, |stored| files.contains(stored))
    }

    /// The name that transformers has, in a model with a head, for the tensor of the base that the files call `stored`.
    pub(crate) fn usual<'n>(&self, stored: &'n str) -> Cow<'n, str> {
        self.prefix.usual(stored)
    }

    /// The name that transformers has for a tensor of the base or of its head in a model of this part alone.
    pub(crate) fn name_alone<'n>(&self, stored: &'n str) -> Cow<'n, str> {
        self.prefix.alone(stored)
    }

    /// Whether the files' tensor `stored` is a part of it.
    pub(crate) fn reads(&self, stored: &str) -> bool {
        self.read.contains(stored)
    }

    /// Which linears and embeddings carry the adapter that `config` describes; `config` is [`ModelSkeleton::with_head`]'s.
    pub(crate) fn chosen(&self, config: &AdapterConfig) -> Result<Vec<ChosenModule>> {
        chosen_modules(&adaptable(self.body.as_ref(), &self.head, config), config)
    }

    /// The tables that rows are trained of, beside the `chosen` modules of the same `config`.
    pub(crate) fn token_targets(&self, config: &AdapterConfig, chosen: &[ChosenModule]) -> Result<Vec<TokenTarget>> {
        token_targets(self.body.as_ref(), &self.head, (config, chosen))
    }

    /// Whether the output matrix is the embedding of the tokens.
    pub(crate) fn is_tied(&self) -> bool {
        is_tied(self.body.as_ref())
    }

    /// [`Model::own_head`].
    pub(crate) fn own_head(&self, activation: Option<String>) -> Option<OwnHead> {
        self.head.own(activation)
    }

    /// `config` as [`Model::attach_lora`] takes it.
    pub(crate) fn with_head(&self, config: &AdapterConfig) -> AdapterConfig {
        with_head(self.task, &self.head, config)
    }

    /// [`Model::check_adapter_names`].
    pub(crate) fn check_adapter_names(&self, config: &AdapterConfig) -> Result<()> {
        check_adapter_names(self.task, self.body.as_ref(), &self.head, config)
    }

    /// A batch of `rows` of `tokens`, all of them targets, without its tokens: what a dry run is given. `None` where
    /// config.json does not say how large a batch's tensors are: of a recurrent network on numbers, whose steps are the
    /// data's, and without a head, where rows are several texts; and where they are larger than any device.
    pub(crate) fn full_batch(&self, rows: usize, tokens: usize) -> Option<Batch> {
        /// Of more tokens no device holds the hidden states.
        const MOST_TARGETS: usize = 1 << 24;
        let labels = match self.task {
            _ if matches!(self.head, Head::None) || self.body.has_steps_of_numbers() => return None,
            // The length of its answers.
            HeadKind::Seq2SeqLm => vec![0; rows.checked_mul(tokens).filter(|targets| *targets <= MOST_TARGETS)?],
            _ => Vec::new(),
        };
        Some(Batch {
            rows,
            tokens,
            labels,
            ..Batch::default()
        })
    }

    /// A pass through the model and the losses of its head, in bytes; see [`super::Model::loss`].
    pub(crate) fn dry_run(&self, dry_run: &DryRun, batch: &Batch) {
        let hidden = self.body.dry_run(dry_run, batch);
        self.losses(dry_run, hidden, batch);
    }

    /// The losses of the head on hidden states.
    pub(super) fn losses(&self, dry_run: &DryRun, hidden: SymbolicTensor<2>, batch: &Batch) {
        let matrix = self.body.lm_head();
        match &self.head {
            Head::Vocabulary => dry_run.vocabulary_loss(hidden, matrix, self.body.logit_cap() > 0.0),
            Head::MaskedLm(head) => {
                let hidden = head.dense.forward(dry_run, hidden);
                dry_run.vocabulary_loss(hidden, head.weight.as_ref().unwrap_or(matrix), false);
            }
            Head::Classifier(head) => dry_run.class_loss(head.logits(dry_run, hidden, batch)),
            Head::None => {}
        }
    }
}

/// Bytes of the files' tensors by storage type, largest first.
fn storage_bytes(files: &ModelFiles) -> Vec<(String, u64)> {
    let mut found: Vec<(String, u64)> = Vec::new();
    for entry in files.entries() {
        let name = entry.storage.name();
        match found.iter_mut().find(|(known, _)| *known == *name) {
            Some((_, bytes)) => *bytes += entry.bytes,
            None => found.push((name.to_string(), entry.bytes)),
        }
    }
    found.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    found
}

/// The distinct last parts of module paths, in order of appearance.
pub(super) fn suffixes(paths: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for path in paths {
        let suffix = path.rsplit('.').next().unwrap_or(path);
        if !found.iter().any(|known| known == suffix) {
            found.push(suffix.to_owned());
        }
    }
    found
}
