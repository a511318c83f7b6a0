//! Language models: stock checkpoints in, losses and logits out.
//!
//! [`Model`] is a frozen (or, in full training, trained) base of one architecture, the head of one task, and what is trained on top. What is
//! trained lives in [`Parameters`], outside the layers: a forward pass takes [`Leaves`], which are those parameters either
//! tracked for gradients or plain, and layers refer to them by number. So evaluation, accumulation and the optimizer never
//! touch the model's structure.

mod activation;
mod bert;
mod bitsandbytes;
mod gemma;
mod gpt2;
pub(crate) mod head;
mod llama;
mod load;
pub(crate) mod matrix;
mod modernbert;
mod norm;
mod pack;
mod rope;
mod small;
mod t5;
mod table;

pub use head::{Problem, Task};
pub(crate) use matrix::{Matrix, Stored};

use crate::{
    config::TargetModules,
    data::Batch,
    device,
    error::{Error, Result},
    estimate::{Flow, Walk},
    formats::{
        ModelFiles,
        peft::{Adapter, AdapterConfig, chosen_modules},
    },
    lora::{Lora, Place},
    ops::VocabularyForm,
    protocol::ModelInfo,
    quant::Base,
    random::Generator,
};
use activation::Activation;
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use head::{Classifier, ClassifierNames, Head, Pooling};
use load::{Finished, Loader};
use std::{cell::RefCell, collections::BTreeMap};
use table::Table;

/// One trained tensor.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name in the file that holds it: PEFT's for adapters, the checkpoint's for full training.
    pub name: String,
    /// Its shape there.
    pub shape: Vec<usize>,
    /// Whether weight decay acts on it.
    pub decay: bool,
    /// Its values, flat and untracked.
    pub value: Tensor<1>,
}

/// All trained tensors, in a fixed order.
#[derive(Debug, Clone, Default)]
pub struct Parameters {
    all: Vec<Parameter>,
}

impl Parameters {
    /// The parameters in order.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter> {
        self.all.iter()
    }
    /// How many tensors.
    pub fn len(&self) -> usize {
        self.all.len()
    }
    /// Whether nothing is trained.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }
    /// How many weights.
    pub fn weights(&self) -> u64 {
        self.all
            .iter()
            .map(|parameter| parameter.shape.iter().product::<usize>() as u64)
            .sum()
    }
    /// Replaces the values of number `i`.
    pub fn set(&mut self, i: usize, value: Tensor<1>) {
        self.all[i].value = value;
    }
    /// Adds a parameter and gives its number.
    pub fn push(&mut self, parameter: Parameter) -> usize {
        self.all.push(parameter);
        self.all.len() - 1
    }
    /// Leaves that gather gradients.
    pub fn tracked(&self) -> Leaves {
        let values = self.all.iter().map(|parameter| &parameter.value);
        Leaves::new(values.map(|value| value.clone().autodiff().require_grad()).collect())
    }
    /// Leaves for evaluation and generation.
    pub fn plain(&self) -> Leaves {
        Leaves::new(self.all.iter().map(|parameter| parameter.value.clone()).collect())
    }
}

/// The parameters as one forward pass sees them.
#[derive(Debug, Clone, Default)]
pub struct Leaves {
    values: Vec<Tensor<1>>,
    /// What follows from the parameters' values alone, by the number of one of them.
    kept: RefCell<BTreeMap<usize, Tensor<1>>>,
}

impl Leaves {
    fn new(values: Vec<Tensor<1>>) -> Self {
        let kept = RefCell::default();
        Self { values, kept }
    }
    /// Parameter `i`, flat.
    pub fn get(&self, i: usize) -> Tensor<1> {
        self.values[i].clone()
    }
    /// The gradient of parameter `i`, untracked; `None` where the loss does not depend on it.
    pub fn grad(&self, i: usize, grads: &Gradients) -> Option<Tensor<1>> {
        self.values[i].grad(grads)
    }
    /// What `compute` gives for parameter `i`, computed at the first call.
    pub(crate) fn keep(&self, i: usize, compute: impl FnOnce() -> Tensor<1>) -> Tensor<1> {
        if let Some(kept) = self.kept.borrow().get(&i) {
            return kept.clone();
        }
        let value = compute();
        self.kept.borrow_mut().insert(i, value.clone());
        value
    }
}

/// A tensor of the base: frozen, or number `i` of the parameters in full training.
#[derive(Debug, Clone)]
pub(crate) enum Weight {
    Frozen(Box<Tensor<1>>),
    Trained(usize),
}

impl Weight {
    pub(crate) fn flat(&self, leaves: &Leaves) -> Tensor<1> {
        match self {
            Self::Frozen(tensor) => tensor.as_ref().clone(),
            Self::Trained(i) => leaves.get(*i),
        }
    }

    pub(crate) fn matrix(&self, leaves: &Leaves, shape: [usize; 2]) -> Tensor<2> {
        self.flat(leaves).reshape(shape)
    }
}

/// A linear layer of the base with an adapter on it, perhaps.
#[derive(Debug)]
pub(crate) struct Linear {
    /// The module's path, such as `model.layers.0.self_attn.q_proj`.
    pub(crate) path: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Stored \[in, out\], as GPT-2's Conv1D does.
    pub(crate) transposed: bool,
    pub(crate) weight: Matrix,
    pub(crate) bias: Option<Weight>,
    pub(crate) lora: Option<Lora>,
    /// A trained copy that stands in for weight and bias while the adapter takes part (PEFT's `modules_to_save`).
    pub(crate) whole: Option<Whole>,
}

/// The trained copy of a linear, saved whole beside the adapter.
#[derive(Debug)]
pub(crate) struct Whole {
    weight: Matrix,
    bias: Option<Weight>,
}

impl Linear {
    /// y = x·Wᵀ + bias, with what its adapter makes of it ([`Lora::forward`]); x \[n, in\] → \[n, out\].
    pub(crate) fn forward(&self, x: Tensor<2>, pass: &Pass) -> Tensor<2> {
        let (weight, bias) = match &self.whole {
            Some(whole) if pass.use_adapter => (&whole.weight, &whole.bias),
            _ => (&self.weight, &self.bias),
        };
        let bias = bias.as_ref().map(|bias| bias.flat(pass.leaves));
        match &self.lora {
            Some(lora) if pass.use_adapter => lora.forward(x, self, bias, pass),
            _ => weight.multiply(x, bias, self.transposed, pass.leaves),
        }
    }

    /// Puts a trained copy of it among the parameters, under PEFT's name.
    fn copy_whole(&mut self, parameters: &mut Parameters) {
        let weight = copy_matrix(&self.weight, &self.path, parameters);
        let bias = self.bias.as_ref().map(|bias| {
            let value = bias.flat(&Leaves::default());
            push_copy(value, format!("{}.bias", self.path), vec![self.outputs], parameters)
        });
        self.whole = Some(Whole { weight, bias });
    }
}

/// A trained copy of a frozen matrix, saved whole under the module's `path`.
fn copy_matrix(matrix: &Matrix, path: &str, parameters: &mut Parameters) -> Matrix {
    let (rows, columns) = (matrix.rows, matrix.columns);
    let numbers = matrix.unpacked(&Leaves::default());
    let weight = push_copy(numbers, format!("{path}.weight"), vec![rows, columns], parameters);
    Matrix {
        stored: Stored::Dense(weight),
        rows,
        columns,
    }
}

fn push_copy(value: Tensor<1>, name: String, shape: Vec<usize>, parameters: &mut Parameters) -> Weight {
    let name = format!("base_model.model.{name}");
    Weight::Trained(parameters.push(Parameter {
        decay: load::decays(&name),
        value,
        name,
        shape,
    }))
}

/// What one forward pass is given besides tokens.
pub(crate) struct Pass<'a> {
    pub(crate) leaves: &'a Leaves,
    pub(crate) use_adapter: bool,
    /// Seed of this micro-batch's dropout; `None` in evaluation.
    pub(crate) dropout_seed: Option<u64>,
}

/// Tokens on the device: ids \[B·T\] and mask \[B, T\], with keys that a cache holds already.
pub(crate) struct Tokens {
    pub(crate) ids: Tensor<1>,
    pub(crate) mask: Tensor<2>,
    pub(crate) batch: usize,
    pub(crate) tokens: usize,
    /// Position of the first token.
    pub(crate) start: usize,
}

/// Keys and values of the tokens seen so far, a pair \[1, K, T, D\] for each layer; of an encoder-decoder, the decoder's, and then
/// those that it reads of the encoder.
#[derive(Debug, Clone, Default)]
pub struct KvCache {
    layers: Vec<Option<(Tensor<4>, Tensor<4>)>>,
    tokens: usize,
    max_tokens: usize,
}

impl KvCache {
    /// Tokens in the cache.
    pub fn len(&self) -> usize {
        self.tokens
    }
    /// Whether no token was seen.
    pub fn is_empty(&self) -> bool {
        self.tokens == 0
    }
    /// Tokens that the model has positions for.
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Appends a layer's new keys and values and gives all of them.
    pub(crate) fn extend(&mut self, layer: usize, k: Tensor<4>, v: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let slot = &mut self.layers[layer];
        let (k, v) = match slot.take() {
            None => (k, v),
            Some((old_k, old_v)) => (Tensor::cat(vec![old_k, k], 2), Tensor::cat(vec![old_v, v], 2)),
        };
        *slot = Some((k.clone(), v.clone()));
        (k, v)
    }

    /// Puts others in the place of a layer's keys and values.
    pub(crate) fn replace(&mut self, layer: usize, k: Tensor<4>, v: Tensor<4>) {
        self.layers[layer] = Some((k, v));
    }

    /// A layer's keys and values as they are.
    pub(crate) fn kept(&self, layer: usize) -> Option<(Tensor<4>, Tensor<4>)> {
        self.layers.get(layer)?.clone()
    }
}

/// Layers, head and what they take: a model, or the sizes of one.
pub(crate) struct Outline {
    pub(crate) info: ModelInfo,
    architecture: Architecture,
    head: Head,
    task: Task,
    pub(crate) parameters: Parameters,
    /// What tables of constants take on the device.
    pub(crate) table_bytes: u64,
}

impl Outline {
    /// What [`Model::load_base`] would make on a device with buffers of `largest_buffer_bytes`, without a number in it.
    pub(crate) async fn read(files: &ModelFiles, kind: (bool, Base), largest_buffer_bytes: u64) -> Result<Self> {
        let mut progress = |_, _| ();
        let loader = Loader::outline(files, kind, largest_buffer_bytes, &mut progress);
        Self::load(files, loader).await
    }

    async fn load(files: &ModelFiles, mut loader: Loader<'_>) -> Result<Self> {
        let model_type = loader.text("model_type")?;
        let (architecture, head) = match model_type.as_str() {
            "llama" | "mistral" | "qwen2" | "qwen3" => {
                loader.set_task(head::task(&loader, Task::CausalLm));
                let model = llama::Llama::load(&mut loader, &model_type).await?;
                let head = decoder_head(&mut loader, model.width, "score").await?;
                (Architecture::Llama(Box::new(model)), head)
            }
            "gpt2" => {
                loader.set_task(head::task(&loader, Task::CausalLm));
                let model = gpt2::Gpt2::load(&mut loader).await?;
                let head = decoder_head(&mut loader, model.width, "classifier").await?;
                (Architecture::Gpt2(Box::new(model)), head)
            }
            "gemma2" | "gemma3_text" => {
                loader.set_task(head::task(&loader, Task::CausalLm));
                let model = gemma::Gemma::load(&mut loader, &model_type).await?;
                let head = decoder_head(&mut loader, model.width, "score").await?;
                (Architecture::Gemma(Box::new(model)), head)
            }
            "t5" => {
                loader.set_task(Task::Seq2SeqLm);
                let model = t5::T5::load(&mut loader).await?;
                (Architecture::T5(Box::new(model)), Head::Vocabulary)
            }
            "bert" | "roberta" | "xlm-roberta" | "distilbert" => {
                loader.set_task(head::task(&loader, Task::Features));
                let (model, head) = bert::Bert::load(&mut loader, &model_type).await?;
                (Architecture::Bert(Box::new(model)), head)
            }
            "modernbert" => {
                loader.set_task(head::task(&loader, Task::Features));
                let (model, head) = modernbert::ModernBert::load(&mut loader).await?;
                (Architecture::ModernBert(Box::new(model)), head)
            }
            small if small::KINDS.contains(&small) => {
                let model = small::Small::load(&mut loader, small).await?;
                let head = small_head(&mut loader, model.width).await?;
                (Architecture::Small(Box::new(model)), head)
            }
            other => {
                return Err(Error::model(format!("the architecture {other:?} is not supported"))
                    .field("model_type")
                    .remedy(format!(
                        "Supported here: {}, {}.",
                        SUPPORTED.join(", "),
                        small::KINDS.join(", ")
                    )));
            }
        };
        let task = loader.task();
        let Finished {
            parameters,
            weights,
            weight_bytes,
            table_bytes,
        } = loader.finish();
        let linears = architecture.linears().into_iter().chain(head.linears());
        let linears: Vec<&str> = linears.map(|linear| linear.path.as_str()).collect();
        let info = ModelInfo {
            name: files.name.clone(),
            model_type,
            parameters: weights,
            weight_bytes,
            heap_bytes: None,
            formats: storage_bytes(files),
            vocab_size: architecture.vocab_size(),
            num_hidden_layers: architecture.layers(),
            hidden_size: architecture.width(),
            max_position_embeddings: architecture.max_positions(),
            has_chat_template: files.chat_template.is_some(),
            linear_modules: suffixes(&linears),
        };
        Ok(Self {
            info,
            architecture,
            head,
            task,
            parameters,
            table_bytes,
        })
    }

    /// The linears of layers and head.
    pub(crate) fn linears(&self) -> Vec<&Linear> {
        let mut linears = self.architecture.linears();
        linears.extend(self.head.linears());
        linears
    }

    /// How many of them are the head's, at the end.
    pub(crate) fn linears_in_head(&self) -> usize {
        self.head.linears().len()
    }

    /// The paths of the embeddings.
    pub(crate) fn table_paths(&self) -> impl Iterator<Item = &str> {
        self.architecture.tables().into_iter().map(|table| table.path.as_str())
    }

    /// `config` as [`Model::attach_lora`] takes it.
    pub(crate) fn with_head(&self, config: &AdapterConfig) -> AdapterConfig {
        with_head(self.task, &self.head, config)
    }

    /// The memory of [`Model::loss`]; `None` where it is not known.
    pub(crate) fn walk(&self, walk: &mut Walk) -> Option<()> {
        let hidden = self.architecture.walk(walk)?;
        let matrix = self.architecture.head();
        match &self.head {
            Head::Vocabulary => walk.vocabulary_loss(hidden, matrix, self.architecture.logit_cap() > 0.0),
            Head::MaskedLm(head) => {
                let hidden = head.dense.walk(walk, hidden);
                walk.vocabulary_loss(hidden, head.weight.as_ref().unwrap_or(matrix), false);
            }
            Head::Classifier(head) => head.walk(walk, hidden),
            Head::None => return None,
        }
        Some(())
    }
}

enum Architecture {
    Llama(Box<llama::Llama>),
    Gpt2(Box<gpt2::Gpt2>),
    Bert(Box<bert::Bert>),
    ModernBert(Box<modernbert::ModernBert>),
    Gemma(Box<gemma::Gemma>),
    T5(Box<t5::T5>),
    Small(Box<small::Small>),
}

/// A language model and what is trained on it.
pub struct Model {
    /// The trained tensors.
    pub parameters: Parameters,
    /// What it is.
    pub info: ModelInfo,
    architecture: Architecture,
    head: Head,
    /// The trained copy of the output matrix, where `modules_to_save` names it.
    whole_output: Option<Matrix>,
    task: Task,
    adapter: Option<AdapterConfig>,
    device: Device,
    pad_token_id: u32,
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
        Self::load_base(files, (full, Base::Own), seed, device, progress).await
    }

    /// Reads a model onto the device, tensor by tensor, with its frozen linears in the format `base`. `full` makes every weight a parameter; a folder without weights gives
    /// a model with fresh ones (normal with `initializer_range`, norms 1, biases 0), drawn from `seed`.
    ///
    /// # Errors
    /// An architecture that is not supported, a missing or misshapen tensor, an unreadable file.
    pub async fn load_base(
        files: &ModelFiles,
        (full, base): (bool, Base),
        seed: u64,
        device: &Device,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Self> {
        let loader = Loader::new(files, (full, base), seed, device, progress);
        let Outline {
            info,
            architecture,
            head,
            task,
            parameters,
            ..
        } = Outline::load(files, loader).await?;
        let pad_token_id = files.tokenizer.as_ref().and_then(|t| t.pad_token_id()).unwrap_or(0);
        Ok(Self {
            parameters,
            info,
            architecture,
            head,
            whole_output: None,
            task,
            adapter: None,
            device: device.clone(),
            pad_token_id,
        })
    }

    /// The id that fills rows up; its positions are masked, so any id would do.
    pub fn pad_token_id(&self) -> u32 {
        self.pad_token_id
    }

    /// What its head is made for.
    pub fn task(&self) -> Task {
        self.task
    }

    /// What the numbers of a classifier's rows are; `None` of other models.
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

    /// The device that it lives on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Puts fresh adapters on the linears that `config` chooses: A uniform in ±1/√in, B zero. What was trained before is dropped.
    ///
    /// A classifier's head is trained whole, as PEFT does by the names `classifier` and `score`.
    ///
    /// # Errors
    /// No linear matches, or the model is in full training.
    pub fn attach_lora(&mut self, config: &AdapterConfig, seed: u64) -> Result<()> {
        self.detach_lora()?;
        let config = &with_head(self.task, &self.head, config);
        self.check_modules(config)?;
        let linears = self.architecture.linears().into_iter().chain(self.head.linears());
        let mut paths: Vec<&str> = linears.map(|linear| linear.path.as_str()).collect();
        // all-linear means linears; names and patterns may mean embeddings too.
        if !config.target_modules.is_all_linear() {
            paths.extend(self.architecture.tables().iter().map(|table| table.path.as_str()));
        }
        let chosen = chosen_modules(&paths, config)?;
        let chosen: Vec<String> = chosen.into_iter().map(|module| module.path).collect();
        let mut generator = Generator::new(seed, "init");
        let in_head = self.head.linears().len();
        let mut linears = self.architecture.linears_mut();
        linears.extend(self.head.linears_mut());
        let body = linears.len() - in_head;
        for (i, linear) in linears.into_iter().enumerate() {
            if is_saved_whole(&linear.path, i >= body, config) {
                linear.copy_whole(&mut self.parameters);
            } else if chosen.contains(&linear.path) {
                let place = Place {
                    path: &linear.path,
                    weight: &linear.weight,
                    inputs: linear.inputs,
                    outputs: linear.outputs,
                    transposed: linear.transposed,
                    is_table: false,
                };
                let lora = Lora::fresh(place, config, &mut generator, &mut self.parameters, &self.device)?;
                linear.lora = Some(lora);
            }
        }
        for table in self.architecture.tables_mut() {
            if is_saved_whole(&table.path, false, config) {
                table.whole = Some(copy_matrix(&table.matrix, &table.path, &mut self.parameters));
            } else if chosen.contains(&table.path) {
                let place = Place {
                    path: &table.path,
                    weight: &table.matrix,
                    inputs: table.matrix.rows,
                    outputs: table.matrix.columns,
                    transposed: true,
                    is_table: true,
                };
                let lora = Lora::fresh(place, config, &mut generator, &mut self.parameters, &self.device)?;
                table.lora = Some(lora);
            }
        }
        if self.has_output() && is_saved_whole(OUTPUT, false, config) {
            self.whole_output = Some(copy_matrix(self.architecture.head(), OUTPUT, &mut self.parameters));
        }
        self.adapter = Some(config.clone());
        Ok(())
    }

    /// Whether it has an output matrix that can be trained beside an adapter.
    fn has_output(&self) -> bool {
        matches!(self.head, Head::Vocabulary)
    }

    /// Refuses names that ask for what this model has no place for.
    fn check_modules(&self, config: &AdapterConfig) -> Result<()> {
        if let TargetModules::Names(names) = &config.target_modules
            && names.iter().any(|name| name == OUTPUT)
        {
            let what = "low-rank adapters on the output matrix lm_head are not supported";
            let error = Error::config(what).field("target_modules");
            return Err(error.remedy("Name lm_head in modules_to_save, which trains all of it."));
        }
        let linears = self.architecture.linears().into_iter().map(|linear| &linear.path);
        let tables = self.architecture.tables().into_iter().map(|table| &table.path);
        let output = self.has_output().then_some(OUTPUT);
        let body: Vec<&str> = linears.chain(tables).map(String::as_str).chain(output).collect();
        let head = self.head.linears();
        for name in config.modules_to_save.as_deref().unwrap_or_default() {
            let found = body.iter().any(|path| path.ends_with(name.as_str()))
                || head
                    .iter()
                    .any(|linear| prefixes(&linear.path).any(|path| path.ends_with(name.as_str())));
            // PEFT adds both names to every classifier, whichever it has.
            if !found && !HEADS.contains(&name.as_str()) {
                let what = format!("{name:?} is no linear, embedding or head of this model");
                let names = suffixes(&body).join(", ");
                return Err(Error::config(what)
                    .field("modules_to_save")
                    .remedy(format!("It has: {names}.")));
            }
        }
        Ok(())
    }

    /// Takes the adapters off.
    ///
    /// # Errors
    /// The model is in full training.
    pub fn detach_lora(&mut self) -> Result<()> {
        if self.adapter.is_none() && !self.parameters.is_empty() {
            return Err(Error::config("a model in full training takes no adapter").field("finetuning_type"));
        }
        self.parameters = Parameters::default();
        self.adapter = None;
        for linear in self
            .architecture
            .linears_mut()
            .into_iter()
            .chain(self.head.linears_mut())
        {
            linear.lora = None;
            linear.whole = None;
        }
        for table in self.architecture.tables_mut() {
            table.lora = None;
            table.whole = None;
        }
        self.whole_output = None;
        Ok(())
    }

    /// Puts a saved adapter on.
    ///
    /// # Errors
    /// A tensor is missing, left over or misshapen for this model.
    pub fn load_adapter(&mut self, adapter: &Adapter) -> Result<()> {
        self.attach_lora(&adapter.config, 0)?;
        for i in 0..self.parameters.len() {
            let parameter = &self.parameters.all[i];
            let tensor = adapter.tensors.iter().find(|(name, ..)| *name == parameter.name);
            let Some((name, shape, values)) = tensor else {
                let error = Error::format("the adapter lacks this tensor").field(&parameter.name);
                return Err(error.remedy("Is it an adapter of this very model?"));
            };
            if *shape != parameter.shape {
                let what = format!("has shape {shape:?}, the model needs {:?}", parameter.shape);
                return Err(Error::format(what)
                    .field(name)
                    .remedy("Is it an adapter of this very model?"));
            }
            let value = Tensor::from_data(TensorData::new(values.clone(), [values.len()]), &self.device);
            self.parameters.set(i, value);
        }
        // PEFT writes the base's embedding beside the adapter on it; it is the one that is loaded already.
        let is_base = |name: &str| {
            let path = name.strip_prefix("base_model.model.").unwrap_or(name);
            let path = path.strip_suffix(".base_layer.weight");
            let mut tables = self.architecture.tables().into_iter();
            tables.any(|table| table.lora.is_some() && Some(table.path.as_str()) == path)
        };
        let known = |name: &String| is_base(name) || self.parameters.iter().any(|parameter| parameter.name == *name);
        if let Some((name, ..)) = adapter.tensors.iter().find(|(name, ..)| !known(name)) {
            let error = Error::format("the adapter has a tensor that this model has no place for").field(name);
            return Err(error.remedy("Only LoRA on linear layers is read; is it an adapter of this very model?"));
        }
        Ok(())
    }

    /// The adapter as PEFT stores it.
    ///
    /// # Errors
    /// There is none, or the device failed.
    pub async fn adapter(&self) -> Result<Adapter> {
        let config = self
            .adapter
            .clone()
            .ok_or_else(|| Error::config("the model has no adapter"))?;
        Ok(Adapter {
            config,
            tensors: self.trained().await?,
        })
    }

    /// Name, shape and values of everything trained.
    ///
    /// # Errors
    /// The device failed.
    pub async fn trained(&self) -> Result<Vec<(String, Vec<usize>, Vec<f32>)>> {
        let mut tensors = Vec::with_capacity(self.parameters.len());
        for parameter in self.parameters.iter() {
            tensors.push((
                parameter.name.clone(),
                parameter.shape.clone(),
                read(parameter.value.clone()).await?,
            ));
        }
        Ok(tensors)
    }

    /// `scale` · Σ of the losses of the batch's targets → \[1\]; 0 of a model without a head.
    ///
    /// Of vocabularies and classes it is the cross-entropy, in nats, of labels that are not −100 (shifted by one where the task is the
    /// next token); of any-of classes the binary cross-entropy; of numbers the squared error.
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
        let (rows, targets) = match &self.head {
            Head::Vocabulary if self.task == Task::CausalLm => crate::loss::targets(batch),
            Head::Vocabulary | Head::MaskedLm(_) => crate::loss::targets_in_place(batch),
            Head::Classifier(head) => return head.loss(head.logits(hidden, pass, batch), batch, scale),
            Head::None => return Ok(Tensor::zeros([1], &self.device)),
        };
        let targets = Tensor::from_data(TensorData::new(targets, [rows.len()]), &self.device);
        let hidden = if rows.len() == hidden.dims()[0] {
            hidden
        } else {
            let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
            let count = rows.len();
            hidden.select(
                0,
                Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &self.device),
            )
        };
        let form = VocabularyForm {
            scale,
            soft_cap: self.architecture.logit_cap(),
        };
        let Output { hidden, matrix, bias } = self.output(hidden, pass);
        Ok(matrix.vocabulary_loss(hidden, bias, targets, form, pass.leaves))
    }

    /// Logits: of a vocabulary \[B·T, V\], for tests and small models, since training never holds them; of classes \[B, L\] or, where
    /// tokens are classified, \[B·T, L\]. Without a head, the hidden states \[B·T, C\].
    pub fn logits(&self, leaves: &Leaves, batch: &Batch) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed: None,
        };
        let hidden = self.hidden(&pass, batch);
        match &self.head {
            Head::Classifier(head) => head.logits(hidden, &pass, batch),
            Head::None => hidden,
            Head::Vocabulary | Head::MaskedLm(_) => self.vocabulary_logits(hidden, &pass),
        }
    }

    /// What a classifier's head gives in training: logits \[B, L\], or \[B·T, L\] where tokens are classified; `None` of other
    /// models.
    pub(crate) fn class_logits(&self, leaves: &Leaves, batch: &Batch, dropout_seed: Option<u64>) -> Option<Tensor<2>> {
        let Head::Classifier(head) = &self.head else {
            return None;
        };
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed,
        };
        Some(head.logits(self.hidden(&pass, batch), &pass, batch))
    }

    /// The mean of each row's last hidden states, padding left out → \[B, C\].
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
            _ => head::mean_of_tokens(hidden, batch),
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
        let mut sums = Vec::with_capacity(batch.rows);
        for (row, labels) in batch.labels.chunks(batch.tokens).enumerate() {
            let counted = labels.iter().enumerate().skip(1).filter(|(_, label)| **label >= 0);
            let (places, targets): (Vec<i32>, Vec<f32>) = counted
                .map(|(t, &label)| ((row * batch.tokens + t - 1) as i32, label as f32))
                .unzip();
            if places.is_empty() {
                sums.push(Tensor::zeros([1], &self.device));
                continue;
            }
            let count = places.len();
            let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &self.device);
            let targets = Tensor::from_data(TensorData::new(targets, [count]), &self.device);
            let form = VocabularyForm {
                scale: 1.0,
                soft_cap: self.architecture.logit_cap(),
            };
            let Output { hidden, matrix, bias } = self.output(hidden.clone().select(0, places), pass);
            sums.push(matrix.vocabulary_loss(hidden, bias, targets, form, leaves).neg());
        }
        Tensor::cat(sums, 0).reshape([batch.rows, 1])
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
        match self.architecture.logit_cap() {
            cap if cap > 0.0 => Activation::Tanh.apply(logits / cap) * cap,
            _ => logits,
        }
    }

    /// What logits over the vocabulary are made of.
    fn output(&self, hidden: Tensor<2>, pass: &Pass) -> Output<'_> {
        let matrix = match &self.whole_output {
            Some(whole) if pass.use_adapter => whole,
            _ => self.architecture.head(),
        };
        let Head::MaskedLm(head) = &self.head else {
            return Output {
                hidden,
                matrix,
                bias: None,
            };
        };
        Output {
            hidden: head.dense.forward(hidden, pass),
            matrix: head.weight.as_ref().unwrap_or(matrix),
            bias: Some(head.bias.flat(pass.leaves)),
        }
    }

    /// How many numbers go into it for a row (of a recurrent network, for a step), where it takes no tokens.
    pub fn numbers(&self) -> Option<usize> {
        match &self.architecture {
            Architecture::Small(model) => model.numbers(),
            _ => None,
        }
    }

    /// Share that the base drops behind its layers while training; only small models do.
    pub fn dropout(&self) -> f32 {
        match &self.architecture {
            Architecture::Small(model) => model.dropout,
            _ => 0.0,
        }
    }

    fn hidden(&self, pass: &Pass, batch: &Batch) -> Tensor<2> {
        let (rows, tokens) = (batch.rows, batch.tokens);
        let ids = || numbers(batch.input_ids.iter().map(|&id| id as f32).collect(), &self.device);
        let mask = || numbers(batch.attention_mask.clone(), &self.device).reshape([rows, tokens]);
        let input = || Tokens {
            ids: ids(),
            mask: mask(),
            batch: rows,
            tokens,
            start: 0,
        };
        match &self.architecture {
            Architecture::Llama(model) => model.hidden(pass, input(), None),
            Architecture::Gpt2(model) => model.hidden(pass, input(), None),
            Architecture::Bert(model) => model.hidden(pass, ids(), mask(), batch),
            Architecture::ModernBert(model) => model.hidden(pass, ids(), mask()),
            Architecture::Gemma(model) => model.hidden(pass, input(), None),
            Architecture::T5(model) => model.hidden(pass, input(), batch),
            Architecture::Small(model) => model.hidden(pass, batch, &self.device),
        }
    }

    /// An empty cache for one row.
    pub fn new_cache(&self) -> KvCache {
        let layers = vec![None; self.architecture.kept_pairs()];
        KvCache {
            layers,
            tokens: 0,
            max_tokens: self.info.max_position_embeddings,
        }
    }

    /// Whether it continues or answers texts.
    pub fn generates(&self) -> bool {
        matches!(self.task, Task::CausalLm | Task::Seq2SeqLm)
    }

    /// Logits \[1, V\] of the token after `ids`, which follow what the cache holds; zeros where the model continues no texts. On an
    /// empty cache an encoder-decoder takes `ids` for what it answers, later for what was answered.
    pub fn next_logits(&self, leaves: &Leaves, ids: &[u32], cache: &mut KvCache, use_adapter: bool) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter,
            dropout_seed: None,
        };
        let (mut tokens, seen) = (ids.len(), cache.tokens);
        let values: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
        let input = Tokens {
            ids: Tensor::from_data(TensorData::new(values, [tokens]), &self.device),
            mask: Tensor::ones([1, seen + tokens], &self.device),
            batch: 1,
            tokens,
            start: seen,
        };
        let hidden = match &self.architecture {
            Architecture::Llama(model) => model.hidden(&pass, input, Some(cache)),
            Architecture::Gpt2(model) => model.hidden(&pass, input, Some(cache)),
            Architecture::Gemma(model) => model.hidden(&pass, input, Some(cache)),
            Architecture::T5(model) => {
                // What goes into the encoder takes no place in the answer, which begins with a token of its own.
                let answered = if cache.is_empty() { 1 } else { tokens };
                let hidden = model.next(&pass, input, cache);
                tokens = answered;
                hidden
            }
            Architecture::Small(model) => model.next(&pass, input.ids, cache),
            Architecture::Bert(_) | Architecture::ModernBert(_) => {
                return Tensor::zeros([1, self.info.vocab_size], &self.device);
            }
        };
        cache.tokens += tokens;
        self.vocabulary_logits(hidden.narrow(0, tokens - 1, 1), &pass)
    }
}

/// The `model_type`s that are read.
const SUPPORTED: [&str; 12] = [
    "llama",
    "mistral",
    "qwen2",
    "qwen3",
    "gpt2",
    "bert",
    "roberta",
    "distilbert",
    "modernbert",
    "gemma2",
    "gemma3_text",
    "t5",
];

/// The module of a decoder's output matrix.
const OUTPUT: &str = "lm_head";
/// Modules that PEFT saves whole in every classifier.
const HEADS: [&str; 2] = ["classifier", "score"];

/// Logits over the vocabulary are hidden \[n, C\] · matrixᵀ \[V, C\] + bias \[V\].
struct Output<'a> {
    hidden: Tensor<2>,
    matrix: &'a Matrix,
    bias: Option<Tensor<1>>,
}

/// The head of a decoder: its output matrix, or classes read from the last token (`score`, without bias) or from each (`of_tokens`).
async fn decoder_head(loader: &mut Loader<'_>, width: usize, of_tokens: &str) -> Result<Head> {
    let (pooling, out) = match loader.task() {
        Task::SequenceClassification => (Pooling::Last, "score"),
        Task::TokenClassification => (Pooling::None, of_tokens),
        _ => return Ok(Head::Vocabulary),
    };
    let names = ClassifierNames {
        dense: None,
        dense_bias: false,
        dense_norm: None,
        out,
        out_bias: pooling == Pooling::None,
    };
    let head = Classifier::load(loader, names, width, pooling).await?;
    Ok(Head::Classifier(Box::new(head)))
}

/// `config` with what PEFT adds for a classifier: its task type and the head among the modules saved whole.
fn with_head(task: Task, head: &Head, config: &AdapterConfig) -> AdapterConfig {
    let mut config = config.clone();
    let task_type = match task {
        Task::SequenceClassification => "SEQ_CLS",
        Task::TokenClassification => "TOKEN_CLS",
        Task::Seq2SeqLm => "SEQ_2_SEQ_LM",
        Task::Features => "FEATURE_EXTRACTION",
        Task::CausalLm | Task::MaskedLm => return config,
    };
    config.task_type = Some(task_type.into());
    if !matches!(head, Head::Classifier(_)) {
        return config;
    }
    let saved = config.modules_to_save.get_or_insert_default();
    let mut names = HEADS.map(str::to_owned).to_vec();
    // What was drawn with the head is not in the checkpoint, so it goes with the adapter.
    if let Head::Classifier(head) = head
        && let (true, Some(dense)) = (head.fresh_dense, &head.dense)
    {
        let path = &dense.linear.path;
        let short = path
            .rmatch_indices('.')
            .nth(1)
            .map_or(path.as_str(), |(dot, _)| &path[dot + 1..]);
        names.push(short.to_owned());
    }
    for name in names {
        if !saved.contains(&name) {
            saved.push(name);
        }
    }
    config
}

/// The head of a small model: classes or numbers of a row or of each step, or none but the output matrix.
async fn small_head(loader: &mut Loader<'_>, width: usize) -> Result<Head> {
    let pooling = match loader.task() {
        Task::SequenceClassification => Pooling::Done,
        Task::TokenClassification => Pooling::None,
        _ => return Ok(Head::Vocabulary),
    };
    let names = ClassifierNames {
        dense: None,
        dense_bias: false,
        dense_norm: None,
        out: "classifier",
        out_bias: true,
    };
    let head = Classifier::load(loader, names, width, pooling).await?;
    Ok(Head::Classifier(Box::new(head)))
}

/// PEFT's test for `modules_to_save`: the name of the module, or of a head that it is part of, ends with a name of the list
/// (DistilBERT's pre_classifier does end with classifier).
pub(crate) fn is_saved_whole(path: &str, in_head: bool, config: &AdapterConfig) -> bool {
    let saved = config.modules_to_save.as_deref().unwrap_or_default();
    let is_saved = |module: &str| saved.iter().any(|name| module.ends_with(name.as_str()));
    // Of a head all parts are linears. A whole layer has norms too, which are not trained beside an adapter.
    is_saved(path) || in_head && prefixes(path).any(is_saved)
}

/// The modules that a path goes through, itself included.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    let dots = path.match_indices('.').map(|(place, _)| &path[..place]);
    dots.chain([path])
}

/// Whole numbers, or a column of factors, on the device.
fn numbers(values: Vec<f32>, device: &Device) -> Tensor<1> {
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// Reads a flat tensor back.
///
/// # Errors
/// The device failed; the reason that the GPU gave, where it gave one.
pub async fn read(tensor: Tensor<1>) -> Result<Vec<f32>> {
    let data = tensor.into_data_async().await;
    if let Some(fault) = device::take_fault() {
        return Err(fault);
    }
    let data = data.map_err(|error| device::failure(&error.to_string()))?;
    data.try_into_vec::<f32>()
        .map_err(|error| Error::internal(format!("unexpected element type: {error:?}")))
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
fn suffixes(paths: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for path in paths {
        let suffix = path.rsplit('.').next().unwrap_or(path);
        if !found.iter().any(|known| known == suffix) {
            found.push(suffix.to_owned());
        }
    }
    found
}

impl Architecture {
    /// The memory of a pass through the layers; `None` where it is not known.
    fn walk(&self, walk: &mut Walk) -> Option<Flow> {
        match self {
            Self::Llama(model) => Some(model.walk(walk)),
            Self::Gpt2(model) => Some(model.walk(walk)),
            Self::Bert(model) => Some(model.walk(walk)),
            Self::Gemma(model) => Some(model.walk(walk)),
            Self::ModernBert(model) => Some(model.walk(walk)),
            // The length of T5's answers is the data's; small models are so in any case.
            Self::T5(_) | Self::Small(_) => None,
        }
    }
    fn head(&self) -> &Matrix {
        match self {
            Self::Small(model) => model.head(),
            Self::Llama(model) => model.head(),
            Self::Gpt2(model) => model.head(),
            Self::Bert(model) => model.embedding(),
            Self::ModernBert(model) => model.embedding(),
            Self::Gemma(model) => model.head(),
            Self::T5(model) => model.head(),
        }
    }
    fn linears(&self) -> Vec<&Linear> {
        match self {
            Self::Small(model) => model.linears(),
            Self::Llama(model) => model.linears(),
            Self::Gpt2(model) => model.linears(),
            Self::Bert(model) => model.linears(),
            Self::ModernBert(model) => model.linears(),
            Self::Gemma(model) => model.linears(),
            Self::T5(model) => model.linears(),
        }
    }
    fn linears_mut(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::Small(model) => model.linears_mut(),
            Self::Llama(model) => model.linears_mut(),
            Self::Gpt2(model) => model.linears_mut(),
            Self::Bert(model) => model.linears_mut(),
            Self::ModernBert(model) => model.linears_mut(),
            Self::Gemma(model) => model.linears_mut(),
            Self::T5(model) => model.linears_mut(),
        }
    }
    fn tables(&self) -> Vec<&Table> {
        match self {
            Self::Small(model) => model.tables(),
            Self::Llama(model) => model.tables(),
            Self::Gpt2(model) => model.tables(),
            Self::Bert(model) => model.tables(),
            Self::ModernBert(model) => model.tables(),
            Self::Gemma(model) => model.tables(),
            // Its stacks share one table, of which PEFT adapts one stack's copy: there is no telling which is meant.
            Self::T5(_) => Vec::new(),
        }
    }
    fn tables_mut(&mut self) -> Vec<&mut Table> {
        match self {
            Self::Small(model) => model.tables_mut(),
            Self::Llama(model) => model.tables_mut(),
            Self::Gpt2(model) => model.tables_mut(),
            Self::Bert(model) => model.tables_mut(),
            Self::ModernBert(model) => model.tables_mut(),
            Self::Gemma(model) => model.tables_mut(),
            Self::T5(_) => Vec::new(),
        }
    }
    fn layers(&self) -> usize {
        match self {
            Self::Small(model) => model.layers,
            Self::Llama(model) => model.layers.len(),
            Self::Gpt2(model) => model.layers.len(),
            Self::Bert(model) => model.layers.len(),
            Self::ModernBert(model) => model.layers.len(),
            Self::Gemma(model) => model.layers.len(),
            Self::T5(model) => model.layers(),
        }
    }
    /// Pairs of keys and values that a cache holds.
    fn kept_pairs(&self) -> usize {
        match self {
            Self::T5(model) => model.kept_pairs(),
            other => other.layers(),
        }
    }
    /// c of c·tanh(logit / c); 0 for none.
    fn logit_cap(&self) -> f32 {
        match self {
            Self::Gemma(model) => model.logit_cap,
            _ => 0.0,
        }
    }
    fn vocab_size(&self) -> usize {
        match self {
            Self::Small(model) => model.vocab,
            Self::Llama(model) => model.vocab,
            Self::Gpt2(model) => model.vocab,
            Self::Bert(model) => model.vocab,
            Self::ModernBert(model) => model.vocab,
            Self::Gemma(model) => model.vocab,
            Self::T5(model) => model.vocab,
        }
    }
    fn width(&self) -> usize {
        match self {
            Self::Small(model) => model.width,
            Self::Llama(model) => model.width,
            Self::Gpt2(model) => model.width,
            Self::Bert(model) => model.width,
            Self::ModernBert(model) => model.width,
            Self::Gemma(model) => model.width,
            Self::T5(model) => model.width,
        }
    }
    fn max_positions(&self) -> usize {
        match self {
            Self::Small(model) => model.max_positions,
            Self::Llama(model) => model.max_positions,
            Self::Gpt2(model) => model.max_positions,
            Self::Bert(model) => model.max_positions,
            Self::ModernBert(model) => model.max_positions,
            Self::Gemma(model) => model.max_positions,
            Self::T5(model) => model.max_positions,
        }
    }
}
