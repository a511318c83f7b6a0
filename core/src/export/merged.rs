//! A base with an adapter in its weights, tensor by tensor: W + s·B·A, with DoRA m/‖W + s·B·A‖ ⊙ (W + s·B·A), and what was
//! trained whole in the place of the base's (PEFT's `merge_and_unload`). `reader.rs` computes the numbers.

use super::license::License;
use crate::error::{Error, Result};
use crate::formats::peft::{Adapter, AdapterConfig, ChosenModule, key_a, key_b};
use crate::formats::{ModelFiles, Storage};
use crate::head_spec::HeadRecord;
use crate::models::registry::{Architecture, of_model_type};
use crate::models::{HeadKind, ModelSkeleton, bitsandbytes, has_trained_copy, is_idle, token_rows_key};
use crate::own_class;
use crate::quant::BaseFormat;
use lorakeet_i18n::messages::{export as msg, models};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The module of a decoder's output matrix, and its tensor.
const OUTPUT: &str = "lm_head";
const OUTPUT_WEIGHT: &str = "lm_head.weight";

/// What PEFT puts before the names of all modules.
const PEFT_PREFIX: &str = "base_model.model.";

/// First parts of the names of heads, which a base that is saved alone does not have: those that another head replaces, and
/// ModernBERT's, a part of which all its heads share.
const HEAD_NAMES: [&str; 9] = [
    "classifier",
    "score",
    "lm_head",
    "cls",
    "pre_classifier",
    "vocab_projector",
    "vocab_transform",
    "vocab_layer_norm",
    SHARED_HEAD,
];
const SHARED_HEAD: &str = "head";

/// A base and an adapter as one model.
pub(crate) struct Merged<'a> {
    pub(crate) files: ModelFiles,
    pub(crate) adapter: Option<&'a Adapter>,
    /// The adapter's settings with what PEFT adds for a classifier.
    pub(crate) settings: Option<AdapterConfig>,
    pub(crate) architecture: &'static Architecture,
    /// config.json.
    pub(crate) config: Value,
    /// Sorted by name.
    pub(crate) tensors: Vec<MergedTensor>,
    pub(crate) kind: HeadKind,
    /// Whether the output matrix is the embedding.
    pub(crate) is_tied: bool,
    /// The same of the base, before the adapter.
    pub(crate) base_is_tied: bool,
    /// Layers of the model.
    pub(crate) layers: usize,
    /// The base's licence, where somebody named it.
    pub(super) license: Option<License>,
    /// What the base's linears are rounded to when they are read.
    pub(crate) rounding: BaseFormat,
    /// The base's matrices that bitsandbytes packed, with their shapes: they are unpacked when they are read.
    pub(super) packed: BTreeMap<String, [usize; 2]>,
    skeleton: ModelSkeleton,
}

/// A tensor of the merged model.
pub(crate) struct MergedTensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// How the base stores it; F32 of what the base lacks.
    pub(crate) storage: Storage,
    /// The base's tensor, if there is one.
    pub(super) stored: Option<String>,
    pub(crate) change: Change,
    /// Of a linear of the layers: whether it is stored \[in, out\].
    pub(super) linear: Option<bool>,
}

/// What training made of a tensor.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// Nothing.
    None,
    /// A low-rank sum.
    LowRank(LowRank),
    /// Another tensor: its number in the adapter.
    Whole(usize),
    /// Some rows of an embedding.
    Rows(NewRows),
}

/// Rows that take the place of the base's.
#[derive(Debug, Clone)]
pub(crate) struct NewRows {
    /// The number of the adapter's tensor \[n, C\].
    pub(crate) number: usize,
    /// Of each of its rows that of the embedding.
    pub(crate) ids: Vec<u32>,
}

/// A low-rank adapter on a matrix: numbers of its tensors in the adapter's file.
#[derive(Debug, Clone)]
pub(crate) struct LowRank {
    /// The module's path.
    pub(crate) path: String,
    /// A \[R, in\].
    pub(crate) a: usize,
    /// B \[out, R\].
    pub(crate) b: usize,
    /// DoRA's m \[out\].
    pub(crate) magnitude: Option<usize>,
    pub(crate) rank: usize,
    /// s.
    pub(crate) scale: f64,
    /// Whether the matrix is stored \[in, out\], as of Conv1D and embeddings.
    pub(crate) transposed: bool,
    /// Whether it is an embedding.
    pub(crate) is_table: bool,
}

/// The tensors of an adapter by name, and which of them have found their place.
struct AdapterTensors<'a> {
    adapter: &'a Adapter,
    by_name: BTreeMap<&'a str, usize>,
    used: BTreeSet<usize>,
}

impl<'a> AdapterTensors<'a> {
    fn new(adapter: &'a Adapter) -> Self {
        let names = adapter.tensors.iter().enumerate();
        Self {
            by_name: names.map(|(i, (name, ..))| (name.as_str(), i)).collect(),
            adapter,
            used: BTreeSet::new(),
        }
    }

    /// The number of the tensor `name`, which must have `shape`.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<usize> {
        let lacks = || {
            Error::format(models::AdapterLacksTensor)
                .field(name)
                .remedy(models::IsItOfThisModel)
        };
        let i = self.by_name.get(name).copied().ok_or_else(lacks)?;
        let found = &self.adapter.tensors[i].1;
        if found != shape {
            let (shape, needed) = (format!("{found:?}"), format!("{shape:?}"));
            let error = Error::format(models::OtherShape { shape, needed }).field(name);
            return Err(error.remedy(models::IsItOfThisModel));
        }
        self.used.insert(i);
        Ok(i)
    }

    /// Refuses a head that the model has no place for: it is described in a file of its own.
    fn check_head(&self, kind: HeadKind) -> Result<()> {
        let is_classifier = matches!(kind, HeadKind::SequenceClassification | HeadKind::TokenClassification);
        let is_head = |name: &&str| {
            let first = name.strip_prefix(PEFT_PREFIX).and_then(|name| name.split('.').next());
            matches!(first, Some("classifier" | "score"))
        };
        match self.by_name.keys().copied().find(is_head).filter(|_| !is_classifier) {
            Some(name) => Err(Error::format(models::NoPlaceForTensor)
                .field(name)
                .remedy(msg::HeadNeedsConfig)),
            None => Ok(()),
        }
    }

    /// Refuses tensors without a place, but for the copy of the base's embedding that PEFT writes beside an adapter on it.
    fn check_left(&self) -> Result<()> {
        let is_left = |(name, i): &(&&str, &usize)| !self.used.contains(*i) && !name.ends_with(".base_layer.weight");
        match self.by_name.iter().find(is_left) {
            Some((name, _)) => {
                let error = Error::format(models::NoPlaceForTensor).field(*name);
                Err(error.remedy(models::OnlyLoraIsRead))
            }
            None => Ok(()),
        }
    }
}

impl<'a> Merged<'a> {
    /// A base and an adapter, with the head that `head`, the adapter's config.json, describes.
    ///
    /// # Errors
    /// They do not go together, or the base's packed matrices have no shapes.
    pub(crate) async fn new(mut files: ModelFiles, adapter: Option<&'a Adapter>, head: Option<&Value>) -> Result<Self> {
        if files.entries().is_empty() {
            return Err(Error::model(msg::NoBaseWeights).file(&files.name).remedy(msg::NameBase));
        }
        let packed = bitsandbytes::shapes(&files).await?;
        if let (Some(config), false) = (files.config.as_object_mut(), packed.is_empty()) {
            config.remove("quantization_config");
        }
        let new_head = head.filter(|head| HeadRecord::is_in(head));
        if let Some(head) = new_head {
            take_head(&mut files.config, head);
        }
        let skeleton = ModelSkeleton::read(&files, (false, BaseFormat::AsStored), u64::MAX).await?;
        let architecture = of_model_type(&skeleton.info.model_type)?;
        let mut merged = Self {
            config: files.config.clone(),
            settings: adapter.map(|adapter| skeleton.with_head(&adapter.config)),
            kind: skeleton.kind(),
            is_tied: false,
            base_is_tied: false,
            layers: skeleton.info.num_hidden_layers,
            license: None,
            rounding: BaseFormat::AsStored,
            packed,
            files,
            adapter,
            architecture,
            tensors: Vec::new(),
            skeleton,
        };
        let changes = merged.changes()?;
        merged.lay_out(changes, new_head.is_some())?;
        Ok(merged)
    }

    /// What the adapter does, by the base's name of the tensor (of one that it lacks, by transformers'), with its shape.
    fn changes(&self) -> Result<BTreeMap<String, (Vec<usize>, Change)>> {
        let mut changes = BTreeMap::new();
        let (Some(adapter), Some(config)) = (self.adapter, &self.settings) else {
            return Ok(changes);
        };
        let skeleton = &self.skeleton;
        let mut tensors = AdapterTensors::new(adapter);
        tensors.check_head(self.kind)?;
        let chosen = skeleton.chosen(config)?;
        let rows_of = skeleton.token_targets(config, &chosen)?;
        let chosen: BTreeMap<&str, &ChosenModule> =
            chosen.iter().map(|module| (module.path.as_str(), module)).collect();
        let linears = skeleton.linears();
        let body = linears.len() - skeleton.linears_in_head();
        let mut set = |name: String, shape: Vec<usize>, change: Change| {
            changes.insert(skeleton.stored(&self.files, &name).into_owned(), (shape, change));
        };
        for (i, linear) in linears.into_iter().enumerate() {
            let (path, sizes) = (linear.path.as_str(), [linear.outputs, linear.inputs]);
            let shape = match linear.transposed {
                true => vec![sizes[1], sizes[0]],
                false => sizes.to_vec(),
            };
            let weight = format!("{path}.weight");
            if has_trained_copy(path, i >= body, config) {
                let number = tensors.take(&format!("{PEFT_PREFIX}{weight}"), &shape)?;
                set(weight, shape, Change::Whole(number));
                if linear.bias.is_some() {
                    let (bias, shape) = (format!("{path}.bias"), vec![linear.outputs]);
                    let number = tensors.take(&format!("{PEFT_PREFIX}{bias}"), &shape)?;
                    set(bias, shape, Change::Whole(number));
                }
            } else if let Some(module) = chosen.get(path) {
                let keys = [key_a(path), key_b(path)];
                let low_rank = low_rank(&mut tensors, module, (sizes, keys), linear.transposed, config)?;
                set(weight, shape, Change::LowRank(low_rank));
            }
        }
        for (path, [rows, columns]) in skeleton.tables() {
            let (weight, shape) = (format!("{path}.weight"), vec![rows, columns]);
            if has_trained_copy(path, false, config) {
                let number = tensors.take(&format!("{PEFT_PREFIX}{weight}"), &shape)?;
                set(weight, shape, Change::Whole(number));
            } else if let Some(module) = chosen.get(path) {
                let keys = ["A", "B"].map(|part| format!("{PEFT_PREFIX}{path}.lora_embedding_{part}"));
                let mut low_rank = low_rank(&mut tensors, module, ([columns, rows], keys), true, config)?;
                low_rank.is_table = true;
                set(weight, shape, Change::LowRank(low_rank));
            }
        }
        for target in rows_of {
            let sizes = skeleton.tables().find(|(path, _)| *path == target.path);
            let sizes = sizes.map(|(_, sizes)| sizes);
            let [rows, columns] = sizes.unwrap_or([skeleton.info.vocab_size, skeleton.info.hidden_size]);
            let number = tensors.take(&token_rows_key(&target.path), &[target.ids.len(), columns])?;
            let (ids, weight) = (target.ids, format!("{}.weight", target.path));
            // A matrix that the files have twice, and that counts as one, changes in both places.
            let is_shared = skeleton.is_tied() && skeleton.tables().next().is_some_and(|(path, _)| path == target.path);
            let output = skeleton.stored(&self.files, OUTPUT_WEIGHT);
            if is_shared && self.kind == HeadKind::CausalLm && self.files.contains(&output) {
                let change = Change::Rows(NewRows {
                    number,
                    ids: ids.clone(),
                });
                set(OUTPUT_WEIGHT.to_owned(), vec![rows, columns], change);
            }
            set(weight, vec![rows, columns], Change::Rows(NewRows { number, ids }));
        }
        let is_decoder = matches!(self.kind, HeadKind::CausalLm | HeadKind::Seq2SeqLm);
        if is_decoder && has_trained_copy(OUTPUT, false, config) {
            let shape = vec![skeleton.info.vocab_size, skeleton.info.hidden_size];
            let number = tensors.take(&format!("{PEFT_PREFIX}{OUTPUT_WEIGHT}"), &shape)?;
            set(OUTPUT_WEIGHT.to_owned(), shape, Change::Whole(number));
        }
        tensors.check_left()?;
        Ok(changes)
    }

    /// The tensors of the merged model; `has_new_head` where the adapter brings a head that the base lacks.
    fn lay_out(&mut self, mut changes: BTreeMap<String, (Vec<usize>, Change)>, has_new_head: bool) -> Result<()> {
        let files = &self.files;
        let output = self.skeleton.stored(files, OUTPUT_WEIGHT).into_owned();
        let writes_texts = !matches!(
            self.kind,
            HeadKind::SequenceClassification | HeadKind::TokenClassification | HeadKind::Features
        );
        self.base_is_tied = writes_texts && !files.contains(&output);
        self.is_tied = self.base_is_tied;
        let table = self
            .skeleton
            .tables()
            .next()
            .map(|(path, shape)| (format!("{path}.weight"), shape));
        let table = table.map(|(name, shape)| (self.skeleton.stored(files, &name).into_owned(), shape));
        // Trained rows are those of a shared output matrix as well.
        let parts = |name: &str| {
            changes
                .get(name)
                .is_some_and(|(_, change)| !matches!(change, Change::Rows(_)))
        };
        let table_changes = table.as_ref().is_some_and(|(name, _)| parts(name));
        let output_changes = parts(&output);
        // PEFT leaves an output matrix that is shared with the embedding as the base has it.
        if writes_texts && (table_changes || output_changes) {
            if self.kind != HeadKind::CausalLm && self.is_tied {
                let error = Error::model(msg::SharedEmbedding).field(OUTPUT);
                return Err(error.remedy(msg::WithoutEmbedding));
            }
            self.config["tie_word_embeddings"] = json!(false);
            if let (Some((name, shape)), true) = (table, self.is_tied && !output_changes) {
                let storage = files.entry(&name).map_or(Storage::F32, |entry| entry.storage);
                self.tensors.push(MergedTensor {
                    name: output.clone(),
                    shape: shape.to_vec(),
                    storage,
                    stored: Some(name),
                    change: Change::None,
                    linear: None,
                });
            }
            self.is_tied = false;
        }
        let linears = self.skeleton.linears();
        let body = linears.len() - self.skeleton.linears_in_head();
        let is_turned: BTreeMap<String, bool> = linears[..body]
            .iter()
            .map(|linear| {
                let name = format!("{}.weight", linear.path);
                (self.skeleton.stored(files, &name).into_owned(), linear.transposed)
            })
            .collect();
        let is_part = files.text_part.is_some();
        for entry in files.entries() {
            if is_part && !self.skeleton.reads(&entry.name) {
                // Of another part.
                continue;
            }
            if bitsandbytes::belongs_to(&self.packed, &entry.name) {
                // It says how another one is packed.
                continue;
            }
            let linear = is_turned.get(&entry.name).copied();
            let (stored_shape, storage) = match self.packed.get(&entry.name) {
                // bitsandbytes packs the transpose of a Conv1D.
                Some([outputs, inputs]) if linear == Some(true) => (vec![*inputs, *outputs], Storage::F16),
                Some(shape) => (shape.to_vec(), Storage::F16),
                None => (entry.shape.clone(), entry.storage),
            };
            let first = entry.name.split('.').next().unwrap_or_default();
            let is_head = HEAD_NAMES.contains(&first);
            if has_new_head && is_head && first != SHARED_HEAD && !changes.contains_key(&entry.name) {
                // The head of another task, which nothing reads any more.
                continue;
            }
            let (shape, change) = changes
                .remove(&entry.name)
                .unwrap_or((stored_shape.clone(), Change::None));
            if shape != stored_shape && !matches!(change, Change::Whole(_)) {
                let (shape, needed) = (format!("{stored_shape:?}"), format!("{shape:?}"));
                return Err(Error::model(models::OtherShape { shape, needed }).field(&entry.name));
            }
            let name = match (is_head, is_part, has_new_head) {
                (false, true, _) => self.skeleton.name_alone(&entry.name).into_owned(),
                (false, false, true) => self.skeleton.usual(&entry.name).into_owned(),
                _ => entry.name.clone(),
            };
            self.tensors.push(MergedTensor {
                name,
                shape,
                storage,
                stored: Some(entry.name.clone()),
                change,
                linear,
            });
        }
        for (name, (shape, change)) in changes {
            if matches!(change, Change::LowRank(_) | Change::Rows(_)) {
                let error = Error::model(models::MissingTensor).file(&files.name).field(name);
                return Err(error.remedy(models::AreAllShardsThere));
            }
            self.tensors.push(MergedTensor {
                name,
                shape,
                storage: Storage::F32,
                stored: None,
                change,
                linear: None,
            });
        }
        self.tensors.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(())
    }

    /// `config`, made of [`Merged::config`], with the class that has the model's head, where transformers has none for it.
    ///
    /// # Errors
    /// What a run wrote of its head is broken.
    pub(crate) fn with_own_class(&self, config: &Value) -> Result<Option<Value>> {
        own_class::wrapped(config, |activation| self.skeleton.own_head(activation))
    }

    /// Whether a run that packs its base would pack this tensor: a linear that the files have as floats.
    pub(super) fn is_rounded(&self, tensor: &MergedTensor) -> bool {
        let is_float = matches!(tensor.storage, Storage::F32 | Storage::F16 | Storage::BF16);
        let is_packed = tensor
            .stored
            .as_ref()
            .is_some_and(|name| self.packed.contains_key(name));
        tensor.linear.is_some() && is_float && !is_packed
    }

    /// C.
    pub(crate) fn width(&self) -> usize {
        self.skeleton.info.hidden_size
    }

    /// Tokens of a row at most.
    pub(crate) fn most_tokens(&self) -> usize {
        self.skeleton.limits().tokens
    }

    /// Whether a tensor means nothing to a reader: constants of old checkpoints, second names of shared tensors.
    pub(crate) fn is_idle(&self, tensor: &MergedTensor) -> bool {
        is_idle(&tensor.name)
    }

    /// The name that transformers has for a tensor.
    pub(crate) fn usual_name(&self, tensor: &MergedTensor) -> String {
        let first = tensor.name.split('.').next().unwrap_or_default();
        match HEAD_NAMES.contains(&first) || self.files.text_part.is_some() {
            true => tensor.name.clone(),
            false => self.skeleton.usual(&tensor.name).into_owned(),
        }
    }

    /// The low-rank adapters, with the tensor that each is on.
    pub(crate) fn low_ranks(&self) -> impl Iterator<Item = (&MergedTensor, &LowRank)> {
        self.tensors.iter().filter_map(|tensor| match &tensor.change {
            Change::LowRank(low_rank) => Some((tensor, low_rank)),
            _ => None,
        })
    }

    /// The numbers of an adapter's tensor.
    pub(crate) fn adapter_values(&self, number: usize) -> &[f32] {
        self.adapter.map_or(&[], |adapter| &adapter.tensors[number].2)
    }

    /// The bytes of a tensor that is no float, as the base has them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) async fn stored_bytes(&self, tensor: &MergedTensor) -> Result<Vec<u8>> {
        match &tensor.stored {
            Some(name) => self.files.read_bytes(name).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Numbers of an adapter on a matrix of \[out, in\] = `sizes`.
fn low_rank(
    tensors: &mut AdapterTensors<'_>,
    module: &ChosenModule,
    ([outputs, inputs], [a, b]): ([usize; 2], [String; 2]),
    transposed: bool,
    config: &AdapterConfig,
) -> Result<LowRank> {
    let magnitude = format!("{PEFT_PREFIX}{}.lora_magnitude_vector", module.path);
    Ok(LowRank {
        path: module.path.clone(),
        a: tensors.take(&a, &[module.r, inputs])?,
        b: tensors.take(&b, &[outputs, module.r])?,
        magnitude: match config.use_dora {
            true => Some(tensors.take(&magnitude, &[outputs])?),
            false => None,
        },
        rank: module.r,
        scale: module.scaling,
        transposed,
        is_table: false,
    })
}

/// Puts the head that an adapter was saved with into config.json.
fn take_head(config: &mut Value, head: &Value) {
    for key in [
        "architectures",
        "id2label",
        "label2id",
        "problem_type",
        "task_specific_params",
    ] {
        match &head[key] {
            Value::Null => drop(config.as_object_mut().and_then(|config| config.remove(key))),
            value => config[key] = value.clone(),
        }
    }
}
