//! From files to weights on the device: one tensor at a time, shape checked, frozen or trained as the run wants it.

use super::{
    Linear, Parameter, Parameters, Task, Weight, bitsandbytes, head,
    matrix::{Matrix, Stored},
    pack,
};
use crate::{
    device,
    error::{Error, Result},
    formats::{ModelFiles, Storage},
    ops::PackedMatrix,
    quant::{
        Base,
        packing::{PackedWords, own_format},
    },
    random::Generator,
};
use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_shaders::{Format, Packed};
use serde_json::Value;
use std::ops::Range;

/// What may wait for the device on the host while a model is loaded.
const MOST_UNSETTLED_BYTES: u64 = 32 << 20;

/// What a matrix is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A linear, which a run may want quantised.
    Linear,
    /// A linear that is stored \[in, out\].
    Conv1d,
    /// An embedding or a vocabulary's output matrix, which keeps its file's format.
    Table,
    /// A linear of a task's head, which is always dense: adapters save it whole.
    Head,
}

/// How a tensor starts where the files hold no weights.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// Normal with `initializer_range`.
    Normal,
    Ones,
    Zeros,
    /// Uniform in ± so much.
    Within(f64),
}

pub(crate) struct Loader<'a> {
    files: &'a ModelFiles,
    full: bool,
    base: Base,
    fresh: bool,
    /// Whether everything is counted and nothing read.
    outline: bool,
    generator: Generator,
    device: Device,
    largest_buffer_bytes: u64,
    progress: &'a mut dyn FnMut(u64, u64),
    total_bytes: u64,
    done_bytes: u64,
    weights: u64,
    weight_bytes: u64,
    unsettled_bytes: u64,
    table_bytes: u64,
    parameters: Parameters,
    task: Task,
    draws_what_lacks: bool,
    /// A head of another number of outputs than the files' takes their place: a run's own labels.
    replaces_head: bool,
}

/// What was loaded besides the layers.
pub(crate) struct Finished {
    /// What full training trains.
    pub(crate) parameters: Parameters,
    /// Weights.
    pub(crate) weights: u64,
    /// What they take on the device.
    pub(crate) weight_bytes: u64,
    /// What tables of constants take there besides.
    pub(crate) table_bytes: u64,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        files: &'a ModelFiles,
        (full, base): (bool, Base),
        seed: u64,
        device: &Device,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        let total_bytes = files.entries().iter().map(|entry| entry.bytes).sum();
        Self {
            files,
            full,
            base,
            fresh: files.entries().is_empty(),
            outline: false,
            generator: Generator::new(seed, "init"),
            device: device.clone(),
            largest_buffer_bytes: device::largest_buffer_bytes(device),
            progress,
            total_bytes,
            done_bytes: 0,
            weights: 0,
            weight_bytes: 0,
            unsettled_bytes: 0,
            table_bytes: 0,
            parameters: Parameters::default(),
            task: Task::CausalLm,
            draws_what_lacks: false,
            replaces_head: head::of_run(&files.config).is_some(),
        }
    }

    /// One that makes all layers without a number in them, as for a device with buffers of `largest_buffer_bytes`.
    pub(crate) fn outline(
        files: &'a ModelFiles,
        kind: (bool, Base),
        largest_buffer_bytes: u64,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        Self {
            outline: true,
            largest_buffer_bytes,
            ..Self::new(files, kind, 0, &Device::flex(), progress)
        }
    }

    /// What the model is made for, as its architecture reads config.json.
    pub(crate) fn task(&self) -> Task {
        self.task
    }

    pub(crate) fn set_task(&mut self, task: Task) {
        self.task = task;
    }

    /// From here on, a tensor that the files lack starts fresh: what follows is the head of another task than theirs.
    pub(crate) fn draw_what_lacks(&mut self) {
        self.draws_what_lacks = true;
    }

    pub(crate) fn finish(self) -> Finished {
        let Self {
            parameters,
            weights,
            weight_bytes,
            table_bytes,
            ..
        } = self;
        Finished {
            parameters,
            weights,
            weight_bytes,
            table_bytes,
        }
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The most bytes that a kernel can be given in one buffer.
    pub(super) fn largest_buffer_bytes(&self) -> u64 {
        self.largest_buffer_bytes
    }

    pub(super) fn is_outline(&self) -> bool {
        self.outline
    }

    /// A matrix without its words, where only its sizes are wanted.
    pub(super) fn outline_of(&self, whole: Packed) -> Option<PackedMatrix> {
        let parts = pack::parts(whole, self).map(|(_, part)| part);
        self.outline
            .then(|| PackedMatrix::outline(parts, whole.columns, &self.tensor(Vec::new())))
    }

    fn tensor(&self, values: Vec<f32>) -> Tensor<1> {
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), &self.device)
    }

    /// A table of constants that `values` makes.
    pub(crate) fn table(&mut self, [rows, columns]: [usize; 2], values: impl FnOnce() -> Vec<f32>) -> Tensor<2> {
        self.table_bytes += 4 * (rows * columns) as u64;
        match self.outline {
            true => self.tensor(Vec::new()).reshape([0, columns]),
            false => self.tensor(values()).reshape([rows, columns]),
        }
    }

    fn key(&self, key: &str) -> Option<&Value> {
        self.files.config.get(key).filter(|value| !value.is_null())
    }

    /// A whole number of config.json.
    pub(crate) fn number(&self, key: &str) -> Result<usize> {
        self.optional_number(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_number(&self, key: &str) -> Result<Option<usize>> {
        match self.key(key) {
            None => Ok(None),
            Some(value) => match value.as_u64() {
                Some(number) if (1..=1 << 30).contains(&number) => Ok(Some(number as usize)),
                _ => Err(Error::format(format!("must be a positive whole number, got {value}"))
                    .file("config.json")
                    .field(key)),
            },
        }
    }

    pub(crate) fn real(&self, key: &str) -> Result<Option<f64>> {
        match self.key(key) {
            None => Ok(None),
            Some(value) => {
                let wrong = || {
                    Error::format(format!("must be a number, got {value}"))
                        .file("config.json")
                        .field(key)
                };
                value.as_f64().ok_or_else(wrong).map(Some)
            }
        }
    }

    pub(crate) fn flag(&self, key: &str) -> bool {
        self.flag_or(key, false)
    }

    pub(crate) fn flag_or(&self, key: &str, otherwise: bool) -> bool {
        self.key(key).and_then(Value::as_bool).unwrap_or(otherwise)
    }

    /// What a run wrote of its head.
    pub(crate) fn run(&self) -> Option<&Value> {
        head::of_run(&self.files.config)
    }

    /// A token's number, which may be 0.
    pub(crate) fn token_id(&self, key: &str) -> Option<u32> {
        self.key(key)
            .and_then(Value::as_u64)
            .and_then(|id| u32::try_from(id).ok())
    }

    /// The class of transformers that the model was saved from.
    pub(crate) fn architecture(&self) -> Option<&str> {
        self.key("architectures")?.as_array()?.first()?.as_str()
    }

    /// How many labels a classifier has; 2 where config.json does not say, as in transformers.
    pub(crate) fn labels(&self) -> Result<usize> {
        let named = self
            .object("id2label")
            .and_then(Value::as_object)
            .map(|labels| labels.len());
        match named.filter(|&count| count > 0) {
            Some(count) => Ok(count),
            None => Ok(self.optional_number("num_labels")?.unwrap_or(2)),
        }
    }

    /// Which of `count` layers config.json's `layer_types` calls `kind`; `None` where it has no such list.
    pub(crate) fn layers_named(&self, kind: &str, count: usize) -> Result<Option<Vec<bool>>> {
        let Some(types) = self.key("layer_types").and_then(Value::as_array) else {
            return Ok(None);
        };
        if types.len() != count {
            let what = format!("names {} layers, the model has {count}", types.len());
            return Err(Error::format(what).file("config.json").field("layer_types"));
        }
        Ok(Some(types.iter().map(|name| name.as_str() == Some(kind)).collect()))
    }

    pub(crate) fn text(&self, key: &str) -> Result<String> {
        let text = self.key(key).and_then(Value::as_str);
        text.map(str::to_owned).ok_or_else(|| missing(key))
    }

    pub(crate) fn object(&self, key: &str) -> Option<&Value> {
        self.key(key).filter(|value| value.is_object())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains(name)
    }

    /// Whether tensor `name` of `shape` starts fresh.
    fn is_drawn(&self, name: &str, shape: &[usize]) -> bool {
        let fits = || self.files.entry(name).is_some_and(|entry| entry.shape == shape);
        let lacks = || match self.replaces_head {
            true => !fits(),
            false => !self.files.contains(name),
        };
        self.fresh || self.draws_what_lacks && lacks()
    }

    /// Whether the head's linear at `path` starts fresh.
    pub(crate) fn lacks(&self, path: &str) -> bool {
        self.fresh || !self.files.contains(&format!("{path}.weight"))
    }

    /// Tensor `name` of `shape`.
    pub(crate) async fn weight(&mut self, name: &str, shape: &[usize], start: Start) -> Result<Weight> {
        let count: usize = shape.iter().product();
        device::check_size(self.largest_buffer_bytes, name, 4 * count as u64)?;
        let values = if self.outline {
            if !self.is_drawn(name, shape) {
                self.check(name, shape)?;
            }
            Vec::new()
        } else if self.is_drawn(name, shape) {
            self.draw(count, start)?
        } else {
            self.read(name, shape).await?
        };
        self.weights += count as u64;
        self.weight_bytes += 4 * count as u64;
        let tensor = self.tensor(values);
        if !self.outline {
            self.settle(4 * count as u64).await?;
        }
        if !self.full {
            return Ok(Weight::Frozen(Box::new(tensor)));
        }
        let parameter = Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
            decay: decays(name),
            value: tensor,
        };
        Ok(Weight::Trained(self.parameters.push(parameter)))
    }

    async fn read(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>> {
        self.check(name, shape)?;
        let (_, values) = self.files.read_f32(name).await?;
        let bytes = self.files.entry(name).map_or(0, |entry| entry.bytes);
        self.advance(bytes);
        Ok(values)
    }

    /// Refuses a tensor that is missing or misshapen.
    pub(super) fn check(&self, name: &str, shape: &[usize]) -> Result<()> {
        let Some(entry) = self.files.entry(name) else {
            let error = Error::model("the model's files lack this tensor")
                .file(&self.files.name)
                .field(name);
            return Err(error.remedy("Are all shards there, and does config.json belong to them?"));
        };
        if entry.shape != shape {
            let what = format!("has shape {:?}, config.json promises {shape:?}", entry.shape);
            return Err(Error::model(what).file(&self.files.name).field(name));
        }
        Ok(())
    }

    /// Puts the next rows of a matrix on the device.
    pub(super) async fn put(&mut self, matrix: &mut PackedMatrix, part: PackedWords) -> Result<()> {
        let bytes = 4 * part.words.len() as u64;
        matrix.push(part, &self.device);
        self.settle(bytes).await
    }

    /// Waits until the device has taken what was sent to it, every so many bytes: uploads that only queue up are on the host
    /// until then, in a browser twice.
    async fn settle(&mut self, bytes: u64) -> Result<()> {
        self.unsettled_bytes += bytes;
        if self.unsettled_bytes >= MOST_UNSETTLED_BYTES {
            self.unsettled_bytes = 0;
            super::read(Tensor::zeros([1], &self.device)).await?;
        }
        Ok(())
    }

    fn advance(&mut self, bytes: u64) {
        self.done_bytes += bytes;
        (self.progress)(self.done_bytes.min(self.total_bytes), self.total_bytes);
    }

    /// A small tensor as it is stored.
    pub(super) async fn bytes(&mut self, name: &str) -> Result<Vec<u8>> {
        let bytes = self.files.read_bytes(name).await?;
        self.advance(bytes.len() as u64);
        Ok(bytes)
    }

    /// Rows of a matrix as they are stored.
    pub(super) async fn rows(&mut self, name: &str, rows: Range<usize>) -> Result<Vec<u8>> {
        let bytes = self.files.read_rows(name, rows).await?;
        self.advance(bytes.len() as u64);
        Ok(bytes)
    }

    /// Rows of a matrix as numbers.
    pub(super) async fn numbers(&mut self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        let matrix = self.files.stored_matrix(name)?;
        let numbers = self.files.read_rows_f32(name, rows).await?;
        let blocks = numbers.len() / matrix.storage.block_elements();
        self.advance((blocks * matrix.storage.block_bytes()) as u64);
        Ok(numbers)
    }

    /// Matrix `name` of `shape`: packed where its file or the run packs it, dense else.
    pub(crate) async fn matrix(
        &mut self,
        name: &str,
        [rows, columns]: [usize; 2],
        start: Start,
        role: Role,
    ) -> Result<Matrix> {
        let stored = match self.packed(name, [rows, columns], role).await? {
            Some(packed) => packed,
            None => Stored::Dense(self.weight(name, &[rows, columns], start).await?),
        };
        Ok(Matrix { rows, columns, stored })
    }

    /// The matrix, packed; `None` where it is to be dense.
    async fn packed(&mut self, name: &str, shape: [usize; 2], role: Role) -> Result<Option<Stored>> {
        if self.full || self.is_drawn(name, &shape) {
            return Ok(None);
        }
        if let Some(matrix) = bitsandbytes::read(self, name, shape).await? {
            return Ok(Some(self.hold(matrix, false)));
        }
        if role == Role::Head {
            return Ok(None);
        }
        self.check(name, &shape)?;
        let storage = self.files.entry(name).map_or(Storage::F32, |entry| entry.storage);
        let flipped = self.files.stored_matrix(name)?.transposed;
        let [rows, columns] = if flipped { [shape[1], shape[0]] } else { shape };
        let source = pack::Source {
            name,
            storage,
            rows,
            columns,
            numbers: None,
        };
        let own = own_format(storage);
        // What came quantised is not quantised again.
        let floats = matches!(own, None | Some(Format::F16 | Format::Bf16));
        let is_linear = matches!(role, Role::Linear | Role::Conv1d);
        if is_linear && floats && self.base != Base::Own {
            // bitsandbytes quantises Conv1D's weights as [out, in].
            let turn = role == Role::Conv1d && !flipped;
            let source = if turn { source.turn(self).await? } else { source };
            let packed = pack::encoded(self, &source, self.base).await?;
            return Ok(packed.map(|matrix| self.hold(matrix, turn || flipped)));
        }
        let too_large = 4 * (rows * columns) as u64 > self.largest_buffer_bytes;
        let format = match own {
            Some(format) => format,
            None if too_large && storage == Storage::F32 => Format::F32,
            None => return Ok(None),
        };
        let matrix = pack::own(self, &source, format).await?;
        Ok(Some(self.hold(matrix, flipped)))
    }

    fn hold(&mut self, matrix: PackedMatrix, flipped: bool) -> Stored {
        self.weights += (matrix.rows() * matrix.columns()) as u64;
        self.weight_bytes += matrix.bytes();
        Stored::Packed { matrix, flipped }
    }

    fn draw(&mut self, count: usize, start: Start) -> Result<Vec<f32>> {
        let deviation = self.real("initializer_range")?.unwrap_or(0.02);
        Ok(match start {
            Start::Ones => vec![1.0; count],
            Start::Zeros => vec![0.0; count],
            Start::Within(bound) => (0..count)
                .map(|_| ((self.generator.uniform() * 2.0 - 1.0) * bound) as f32)
                .collect(),
            Start::Normal => (0..count)
                .map(|_| (self.generator.normal() * deviation) as f32)
                .collect(),
        })
    }

    /// A linear at `path`, with a bias where `bias`.
    pub(crate) async fn linear(
        &mut self,
        path: String,
        inputs: usize,
        outputs: usize,
        bias: bool,
        transposed: bool,
    ) -> Result<Linear> {
        let shape = if transposed {
            [inputs, outputs]
        } else {
            [outputs, inputs]
        };
        let role = match (self.draws_what_lacks, transposed) {
            (true, _) => Role::Head,
            (false, true) => Role::Conv1d,
            (false, false) => Role::Linear,
        };
        let weight = self
            .matrix(&format!("{path}.weight"), shape, Start::Normal, role)
            .await?;
        let bias = match bias {
            true => Some(self.weight(&format!("{path}.bias"), &[outputs], Start::Zeros).await?),
            false => None,
        };
        Ok(Linear {
            path,
            inputs,
            outputs,
            transposed,
            weight,
            bias,
            lora: None,
            whole: None,
        })
    }
}

fn missing(key: &str) -> Error {
    Error::format("this key is missing").file("config.json").field(key)
}

/// transformers' rule (Trainer.get_decay_parameter_names): biases and norms do not decay.
pub(super) fn decays(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_norm = |part: &str| {
        part.contains("layernorm")
            || part.contains("rmsnorm")
            || part == "norm"
            || part.ends_with("_norm")
            || part.starts_with("ln_")
    };
    !name.contains("bias") && !name.split('.').any(is_norm)
}

#[cfg(test)]
mod tests {
    use super::decays;

    #[test]
    fn biases_and_norms_do_not_decay() {
        for name in [
            "model.norm.weight",
            "model.layers.0.input_layernorm.weight",
            "model.layers.0.self_attn.q_norm.weight",
            "transformer.h.0.ln_1.weight",
            "transformer.h.0.attn.c_attn.bias",
        ] {
            assert!(!decays(name), "{name}");
        }
        for name in ["model.embed_tokens.weight", "model.layers.0.mlp.up_proj.weight"] {
            assert!(decays(name), "{name}");
        }
    }
}
