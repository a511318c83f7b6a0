//! Decoder language models: stock checkpoints in, losses and logits out.
//!
//! [`Model`] is a frozen (or, in full training, trained) base of one architecture plus what is trained on top of it. What is
//! trained lives in [`Parameters`], outside the layers: a forward pass takes [`Leaves`], which are those parameters either
//! tracked for gradients or plain, and layers refer to them by number. So evaluation, accumulation and the optimizer never
//! touch the model's structure.

mod bitsandbytes;
mod gpt2;
mod llama;
mod load;
pub(crate) mod matrix;
mod pack;

use crate::{
    data::Batch,
    device,
    error::{Error, Result},
    estimate::{Flow, Walk},
    formats::{
        ModelFiles,
        peft::{Adapter, AdapterConfig, chosen_modules},
    },
    lora::Lora,
    protocol::ModelInfo,
    quant::Base,
    random::Generator,
};
use burn::tensor::{Device, Gradients, Int, Tensor, TensorData};
use load::{Finished, Loader};
use matrix::Matrix;

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
        Leaves(
            self.all
                .iter()
                .map(|parameter| parameter.value.clone().autodiff().require_grad())
                .collect(),
        )
    }
    /// Leaves for evaluation and generation.
    pub fn plain(&self) -> Leaves {
        Leaves(self.all.iter().map(|parameter| parameter.value.clone()).collect())
    }
}

/// The parameters as one forward pass sees them.
#[derive(Debug, Clone)]
pub struct Leaves(Vec<Tensor<1>>);

impl Leaves {
    /// Parameter `i`, flat.
    pub fn get(&self, i: usize) -> Tensor<1> {
        self.0[i].clone()
    }
    /// The gradient of parameter `i`, untracked; `None` where the loss does not depend on it.
    pub fn grad(&self, i: usize, grads: &Gradients) -> Option<Tensor<1>> {
        self.0[i].grad(grads)
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
}

impl Linear {
    /// y = x·Wᵀ + bias + s·(drop(x)·Aᵀ)·Bᵀ; x \[n, in\] → \[n, out\].
    pub(crate) fn forward(&self, x: Tensor<2>, pass: &Pass) -> Tensor<2> {
        let bias = self.bias.as_ref().map(|bias| bias.flat(pass.leaves));
        let y = self.weight.multiply(x.clone(), bias, self.transposed, pass.leaves);
        match &self.lora {
            Some(lora) if pass.use_adapter => lora.forward(y, x, pass),
            _ => y,
        }
    }
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

/// Keys and values of the tokens seen so far, a pair \[1, K, T, D\] for each layer.
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
}

/// Layers and what they take: a model, or the sizes of one.
pub(crate) struct Outline {
    pub(crate) info: ModelInfo,
    pub(crate) decoder: Decoder,
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
        let decoder = match model_type.as_str() {
            "llama" | "mistral" | "qwen2" | "qwen3" => {
                Decoder::Llama(Box::new(llama::Llama::load(&mut loader, &model_type).await?))
            }
            "gpt2" => Decoder::Gpt2(Box::new(gpt2::Gpt2::load(&mut loader).await?)),
            other => {
                return Err(Error::model(format!("the architecture {other:?} is not supported"))
                    .field("model_type")
                    .remedy("Supported here: llama, mistral, qwen2, qwen3, gpt2."));
            }
        };
        let Finished {
            parameters,
            weights,
            weight_bytes,
            table_bytes,
        } = loader.finish();
        let linears: Vec<&str> = decoder.linears().iter().map(|linear| linear.path.as_str()).collect();
        let info = ModelInfo {
            name: files.name.clone(),
            model_type,
            parameters: weights,
            weight_bytes,
            formats: storage_bytes(files),
            vocab_size: decoder.vocab_size(),
            num_hidden_layers: decoder.layers(),
            hidden_size: decoder.width(),
            max_position_embeddings: decoder.max_positions(),
            has_chat_template: files.chat_template.is_some(),
            linear_modules: suffixes(&linears),
        };
        Ok(Self {
            info,
            decoder,
            parameters,
            table_bytes,
        })
    }
}

pub(crate) enum Decoder {
    Llama(Box<llama::Llama>),
    Gpt2(Box<gpt2::Gpt2>),
}

/// A causal language model and what is trained on it.
pub struct Model {
    /// The trained tensors.
    pub parameters: Parameters,
    /// What it is.
    pub info: ModelInfo,
    decoder: Decoder,
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
            decoder,
            parameters,
            ..
        } = Outline::load(files, loader).await?;
        let pad_token_id = files.tokenizer.as_ref().and_then(|t| t.pad_token_id()).unwrap_or(0);
        Ok(Self {
            parameters,
            info,
            decoder,
            adapter: None,
            device: device.clone(),
            pad_token_id,
        })
    }

    /// The id that fills rows up; its positions are masked, so any id would do.
    pub fn pad_token_id(&self) -> u32 {
        self.pad_token_id
    }

    /// The device that it lives on.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Puts fresh adapters on the linears that `config` chooses: A uniform in ±1/√in, B zero. What was trained before is dropped.
    ///
    /// # Errors
    /// No linear matches, or the model is in full training.
    pub fn attach_lora(&mut self, config: &AdapterConfig, seed: u64) -> Result<()> {
        self.detach_lora()?;
        let mut linears = self.decoder.linears_mut();
        let paths: Vec<&str> = linears.iter().map(|linear| linear.path.as_str()).collect();
        let chosen = chosen_modules(&paths, config)?;
        let mut generator = Generator::new(seed, "init");
        for linear in &mut linears {
            if chosen.iter().any(|module| module.path == linear.path) {
                let lora = Lora::fresh(linear, config, &mut generator, &mut self.parameters, &self.device)?;
                linear.lora = Some(lora);
            }
        }
        self.adapter = Some(config.clone());
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
        for linear in self.decoder.linears_mut() {
            linear.lora = None;
        }
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
        let known = |name: &String| self.parameters.iter().any(|parameter| parameter.name == *name);
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

    /// `scale` · Σ cross-entropy of the batch's target tokens (labels that are not −100, shifted by one), in nats → \[1\].
    pub fn loss(&self, leaves: &Leaves, batch: &Batch, scale: f32, dropout_seed: Option<u64>) -> Tensor<1> {
        self.loss_of(
            &Pass {
                leaves,
                use_adapter: true,
                dropout_seed,
            },
            batch,
            scale,
        )
    }

    /// The same without the adapter: the base model's loss.
    pub fn base_loss(&self, leaves: &Leaves, batch: &Batch, scale: f32) -> Tensor<1> {
        self.loss_of(
            &Pass {
                leaves,
                use_adapter: false,
                dropout_seed: None,
            },
            batch,
            scale,
        )
    }

    fn loss_of(&self, pass: &Pass, batch: &Batch, scale: f32) -> Tensor<1> {
        let hidden = self.hidden(pass, batch);
        let (rows, targets) = crate::loss::targets(batch);
        let targets = Tensor::from_data(TensorData::new(targets, [rows.len()]), &self.device);
        let hidden = if rows.len() == batch.rows * batch.tokens {
            hidden
        } else {
            let rows: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
            let count = rows.len();
            hidden.select(
                0,
                Tensor::<1, Int>::from_data(TensorData::new(rows, [count]), &self.device),
            )
        };
        self.decoder.head().vocabulary_loss(hidden, targets, scale, pass.leaves)
    }

    /// Logits of every token \[B·T, V\]; for tests and small models, since training never holds them.
    pub fn logits(&self, leaves: &Leaves, batch: &Batch) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter: true,
            dropout_seed: None,
        };
        let hidden = self.hidden(&pass, batch);
        self.decoder.head().multiply(hidden, None, false, leaves)
    }

    fn hidden(&self, pass: &Pass, batch: &Batch) -> Tensor<2> {
        let ids: Vec<f32> = batch.input_ids.iter().map(|&id| id as f32).collect();
        let (rows, tokens) = (batch.rows, batch.tokens);
        let input = Tokens {
            ids: Tensor::from_data(TensorData::new(ids, [rows * tokens]), &self.device),
            mask: Tensor::from_data(
                TensorData::new(batch.attention_mask.clone(), [rows, tokens]),
                &self.device,
            ),
            batch: rows,
            tokens,
            start: 0,
        };
        self.decoder.hidden(pass, input, None)
    }

    /// An empty cache for one row.
    pub fn new_cache(&self) -> KvCache {
        let layers = vec![None; self.decoder.layers()];
        KvCache {
            layers,
            tokens: 0,
            max_tokens: self.info.max_position_embeddings,
        }
    }

    /// Logits \[1, V\] of the token after `ids`, which follow what the cache holds.
    pub fn next_logits(&self, leaves: &Leaves, ids: &[u32], cache: &mut KvCache, use_adapter: bool) -> Tensor<2> {
        let pass = Pass {
            leaves,
            use_adapter,
            dropout_seed: None,
        };
        let (tokens, seen) = (ids.len(), cache.tokens);
        let values: Vec<f32> = ids.iter().map(|&id| id as f32).collect();
        let input = Tokens {
            ids: Tensor::from_data(TensorData::new(values, [tokens]), &self.device),
            mask: Tensor::ones([1, seen + tokens], &self.device),
            batch: 1,
            tokens,
            start: seen,
        };
        let hidden = self.decoder.hidden(&pass, input, Some(cache));
        cache.tokens += tokens;
        let last = hidden.narrow(0, tokens - 1, 1);
        self.decoder.head().multiply(last, None, false, leaves)
    }
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

impl Decoder {
    fn hidden(&self, pass: &Pass, input: Tokens, cache: Option<&mut KvCache>) -> Tensor<2> {
        match self {
            Self::Llama(model) => model.hidden(pass, input, cache),
            Self::Gpt2(model) => model.hidden(pass, input, cache),
        }
    }
    /// The memory of [`Self::hidden`].
    pub(crate) fn walk(&self, walk: &mut Walk) -> Flow {
        match self {
            Self::Llama(model) => model.walk(walk),
            Self::Gpt2(model) => model.walk(walk),
        }
    }
    pub(crate) fn head(&self) -> &Matrix {
        match self {
            Self::Llama(model) => model.head(),
            Self::Gpt2(model) => model.head(),
        }
    }
    pub(crate) fn linears(&self) -> Vec<&Linear> {
        match self {
            Self::Llama(model) => model.linears(),
            Self::Gpt2(model) => model.linears(),
        }
    }
    fn linears_mut(&mut self) -> Vec<&mut Linear> {
        match self {
            Self::Llama(model) => model.linears_mut(),
            Self::Gpt2(model) => model.linears_mut(),
        }
    }
    fn layers(&self) -> usize {
        match self {
            Self::Llama(model) => model.layers.len(),
            Self::Gpt2(model) => model.layers.len(),
        }
    }
    fn vocab_size(&self) -> usize {
        match self {
            Self::Llama(model) => model.vocab,
            Self::Gpt2(model) => model.vocab,
        }
    }
    fn width(&self) -> usize {
        match self {
            Self::Llama(model) => model.width,
            Self::Gpt2(model) => model.width,
        }
    }
    fn max_positions(&self) -> usize {
        match self {
            Self::Llama(model) => model.max_positions,
            Self::Gpt2(model) => model.max_positions,
        }
    }
}
