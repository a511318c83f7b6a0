//! From files to weights on the device: one tensor at a time, shape checked, frozen or trained as the run wants it.

use super::{
    Linear, Parameter, Parameters, Task, Weight, bitsandbytes, head, keys,
    matrix::{Matrix, Stored},
    names::{Prefix, Unread},
    pack,
};
use crate::{
    device,
    error::{Error, Kind, Result},
    formats::{ModelFiles, Storage, TensorEntry},
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
use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

/// What may wait for the device on the host while a model is loaded.
const MOST_UNSETTLED_BYTES: u64 = 32 << 20;
/// Bytes that are compared at a time.
const COMPARED_BYTES: usize = 1 << 20;

/// A width, a vocabulary, a number of classes at most: products of two fit 64 bits with room to spare.
const MOST_SIZE: usize = 1 << 24;
/// Classes of a head at most, where config.json gives their number without naming them.
const MOST_LABELS: usize = 1 << 16;
/// The width of an attention head at most: tables of angles are made of it before a tensor is seen.
pub(super) const MOST_HEAD_WIDTH: usize = 4096;
/// Layers at most.
const MOST_LAYERS: usize = 1024;
/// What fresh weights may take: more is a slip of the pen in config.json, not a model that is trained from nothing.
const MOST_DRAWN_BYTES: u64 = if cfg!(target_pointer_width = "32") {
    3 << 30
} else {
    16 << 30
};

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
    /// Other names of config.json's keys.
    aliases: &'static [(&'static str, &'static str)],
    /// What stands before the names of the files' tensors.
    prefix: Prefix,
    /// Names of the files' tensors that were read, as the files have them.
    read: HashSet<String>,
    notes: Vec<String>,
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
    drawn_bytes: u64,
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
    /// What of the files has no effect, in sentences.
    pub(crate) notes: Vec<String>,
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
            aliases: &[],
            prefix: Prefix::default(),
            read: HashSet::new(),
            notes: Vec::new(),
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
            drawn_bytes: 0,
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

    /// Learns the keys of the architecture `kind`, and refuses those whose values are not computed.
    pub(crate) fn set_kind(&mut self, kind: &str) -> Result<()> {
        self.aliases = keys::aliases(kind);
        self.notes.extend(keys::check(&self.files.config, kind, self.fresh)?);
        // What only some heads read is of its type whatever the head.
        self.architecture()?;
        self.object("id2label")?;
        self.optional_text("problem_type")?;
        self.token_id("pad_token_id")?;
        self.not_negative("initializer_range", 0.02)?;
        self.flag("tie_word_embeddings")?;
        Ok(())
    }

    /// Finds what stands before the names of the base's tensors, which are asked for with `wanted` before them, by the tensor
    /// that ends in `anchor`.
    ///
    /// # Errors
    /// There are two of that name.
    pub(crate) fn find_prefix(&mut self, wanted: &'static str, anchor: &str) -> Result<()> {
        let names = self.files.entries().iter().map(|entry| entry.name.as_str());
        self.prefix = Prefix::find(names, wanted, anchor).map_err(|error| error.file(&self.files.name))?;
        Ok(())
    }

    /// The name that the files have for the tensor `name`.
    fn stored<'n>(&self, name: &'n str) -> Cow<'n, str> {
        self.prefix.stored(name, |stored| self.files.contains(stored))
    }

    fn entry(&self, name: &str) -> Option<&TensorEntry> {
        self.files.entry(&self.stored(name))
    }

    /// What was loaded, once nothing more is.
    ///
    /// # Errors
    /// A tensor that was not read changes what one that was read means.
    pub(crate) fn finish(self) -> Result<Finished> {
        let Self {
            files,
            prefix,
            read,
            mut notes,
            parameters,
            weights,
            weight_bytes,
            table_bytes,
            ..
        } = self;
        let names = files.entries().iter().map(|entry| entry.name.as_str());
        let unread = Unread::of(names, &read, &prefix).map_err(|error| error.file(&files.name))?;
        notes.extend(unread.note());
        Ok(Finished {
            parameters,
            weights,
            weight_bytes,
            table_bytes,
            notes,
        })
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

    /// The value of a key, or of its other name; null is none.
    fn key(&self, key: &str) -> Option<&Value> {
        self.stated(key).filter(|value| !value.is_null())
    }

    /// The same with null.
    fn stated(&self, key: &str) -> Option<&Value> {
        let config = &self.files.config;
        let alias = || self.aliases.iter().find(|(_, known)| *known == key);
        config.get(key).or_else(|| config.get(alias()?.0))
    }

    /// Whether config.json has null for a key.
    pub(crate) fn is_null(&self, key: &str) -> bool {
        self.stated(key).is_some_and(Value::is_null)
    }

    /// A whole number of config.json.
    pub(crate) fn number(&self, key: &str) -> Result<usize> {
        self.optional_number(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_number(&self, key: &str) -> Result<Option<usize>> {
        self.limited(key, 1 << 30)
    }

    /// A whole number that is one of a tensor's sizes.
    pub(crate) fn size(&self, key: &str) -> Result<usize> {
        self.optional_size(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_size(&self, key: &str) -> Result<Option<usize>> {
        self.limited(key, MOST_SIZE)
    }

    /// A number of layers: each has tensors of its own, so that there are not more layers than tensors.
    pub(crate) fn layers(&self, key: &str) -> Result<usize> {
        self.optional_layers(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_layers(&self, key: &str) -> Result<Option<usize>> {
        let Some(layers) = self.limited(key, MOST_LAYERS)? else {
            return Ok(None);
        };
        let tensors = self.files.entries().len();
        if !self.fresh && layers > tensors {
            let what = format!("is {layers}, but the files have {tensors} tensors");
            return Err(wrong(key, what));
        }
        Ok(Some(layers))
    }

    /// How many heads divide `width`.
    pub(crate) fn heads(&self, key: &str, width: usize) -> Result<usize> {
        let heads = self.size(key)?;
        match heads <= width {
            true => Ok(heads),
            false => Err(wrong(
                key,
                format!("is {heads}, more than the width {width} that they divide"),
            )),
        }
    }

    /// The width of a head: what config.json says, else `otherwise`.
    pub(crate) fn head_width(&self, key: &str, otherwise: usize) -> Result<usize> {
        Ok(self.limited(key, MOST_HEAD_WIDTH)?.unwrap_or(otherwise))
    }

    /// Whether a number of layers or tokens is 0.
    pub(crate) fn is_zero(&self, key: &str) -> bool {
        self.key(key).and_then(Value::as_u64) == Some(0)
    }

    fn limited(&self, key: &str, most: usize) -> Result<Option<usize>> {
        let Some(value) = self.key(key) else {
            return Ok(None);
        };
        let number = value.as_u64().filter(|number| *number > 0);
        let shown = keys::bounded(value);
        let number = number.ok_or_else(|| wrong(key, format!("must be a positive whole number, got {shown}")))?;
        match usize::try_from(number) {
            Ok(number) if number <= most => Ok(Some(number)),
            _ => Err(wrong(key, format!("must be at most {most}, got {number}"))),
        }
    }

    /// The product of sizes that `key` is one of, itself a size.
    pub(crate) fn product(&self, key: &str, sizes: &[usize]) -> Result<usize> {
        let product = sizes
            .iter()
            .try_fold(1usize, |product, size| product.checked_mul(*size));
        let product = product.filter(|product| *product <= MOST_SIZE);
        product.ok_or_else(|| {
            let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
            wrong(
                key,
                format!(
                    "makes a matrix with a side of {}, which is too large",
                    sizes.join(" × ")
                ),
            )
        })
    }

    /// A number that is one in 32 bits, too.
    pub(crate) fn real(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.key(key) else {
            return Ok(None);
        };
        let number = value.as_f64().filter(|number| (*number as f32).is_finite());
        let shown = keys::bounded(value);
        number
            .ok_or_else(|| wrong(key, format!("must be a finite number, got {shown}")))
            .map(Some)
    }

    /// A number above 0.
    pub(crate) fn positive(&self, key: &str, otherwise: f64) -> Result<f64> {
        let number = self.real(key)?.unwrap_or(otherwise);
        match number as f32 > 0.0 {
            true => Ok(number),
            false => Err(wrong(key, format!("must be above 0, got {number}"))),
        }
    }

    /// A number of 0 or more, as the epsilon of a norm and the limit of a score are.
    pub(crate) fn not_negative(&self, key: &str, otherwise: f64) -> Result<f32> {
        let number = self.real(key)?.unwrap_or(otherwise) as f32;
        match number >= 0.0 {
            true => Ok(number),
            false => Err(wrong(key, format!("must be 0 or above, got {number}"))),
        }
    }

    pub(crate) fn flag(&self, key: &str) -> Result<bool> {
        self.flag_or(key, false)
    }

    pub(crate) fn flag_or(&self, key: &str, otherwise: bool) -> Result<bool> {
        match self.key(key) {
            None => Ok(otherwise),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(value) => Err(wrong(
                key,
                format!("must be true or false, got {}", keys::bounded(value)),
            )),
        }
    }

    /// What a run wrote of its head.
    pub(crate) fn run(&self) -> Option<&Value> {
        head::of_run(&self.files.config)
    }

    /// A token's number, which may be 0; a negative one is none.
    pub(crate) fn token_id(&self, key: &str) -> Result<Option<u32>> {
        let Some(value) = self.key(key) else {
            return Ok(None);
        };
        if value.as_i64().is_some_and(|id| id < 0) {
            return Ok(None);
        }
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.map(Some)
            .ok_or_else(|| wrong(key, format!("must be a token's number, got {}", keys::bounded(value))))
    }

    /// The class of transformers that the model was saved from.
    ///
    /// # Errors
    /// There are other things than names.
    pub(crate) fn architecture(&self) -> Result<Option<&str>> {
        let Some(value) = self.key("architectures") else {
            return Ok(None);
        };
        let names = value.as_array().map(|names| names.iter().map(Value::as_str));
        let names: Option<Vec<&str>> = names.and_then(Iterator::collect);
        let names = names.ok_or_else(|| {
            let shown = keys::bounded(value);
            wrong("architectures", format!("must be a list of names, got {shown}"))
        })?;
        Ok(names.first().copied())
    }

    /// How many labels a classifier has; 2 where config.json does not say, as in transformers.
    pub(crate) fn labels(&self) -> Result<usize> {
        let named = self
            .object("id2label")?
            .and_then(Value::as_object)
            .map(|labels| labels.len());
        match named.filter(|&count| count > 0) {
            Some(count) => Ok(count),
            None => Ok(self.limited("num_labels", MOST_LABELS)?.unwrap_or(2)),
        }
    }

    /// Which of `count` layers see a window only, by config.json's `layer_types`; `None` where it has no such list.
    pub(crate) fn sliding_layers(&self, count: usize) -> Result<Option<Vec<bool>>> {
        const KEY: &str = "layer_types";
        let Some(value) = self.key(KEY) else {
            return Ok(None);
        };
        let types = value.as_array();
        let types = types.ok_or_else(|| wrong(KEY, format!("must be a list, got {}", keys::bounded(value))))?;
        if types.len() != count {
            return Err(wrong(
                KEY,
                format!("names {} layers, the model has {count}", types.len()),
            ));
        }
        let slides = types.iter().map(|kind| match kind.as_str() {
            Some("full_attention") => Ok(false),
            Some("sliding_attention") => Ok(true),
            _ => {
                let shown = keys::bounded(kind);
                let what = format!("layers of the type {shown} are not supported for this architecture");
                Err(Error::model(what).file("config.json").field(KEY))
            }
        });
        slides.collect::<Result<_>>().map(Some)
    }

    /// Tokens that a layer with a window sees: `sliding_window`, else `otherwise`; null is no window.
    pub(crate) fn window(&self, otherwise: usize) -> Result<Option<usize>> {
        const KEY: &str = "sliding_window";
        match self.is_null(KEY) {
            true => Ok(None),
            false => Ok(Some(self.optional_number(KEY)?.unwrap_or(otherwise))),
        }
    }

    pub(crate) fn text(&self, key: &str) -> Result<String> {
        self.optional_text(key)?.ok_or_else(|| missing(key))
    }

    pub(crate) fn optional_text(&self, key: &str) -> Result<Option<String>> {
        match self.key(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value) => Err(wrong(key, format!("must be a name, got {}", keys::bounded(value)))),
        }
    }

    pub(crate) fn text_or(&self, key: &str, otherwise: &str) -> Result<String> {
        Ok(self.optional_text(key)?.unwrap_or_else(|| otherwise.to_owned()))
    }

    pub(crate) fn object(&self, key: &str) -> Result<Option<&Value>> {
        match self.key(key) {
            Some(value) if !value.is_object() => {
                Err(wrong(key, format!("must be an object, got {}", keys::bounded(value))))
            }
            other => Ok(other),
        }
    }

    pub(crate) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains(&self.stored(name))
    }

    /// Whether tensor `name` of `shape` starts fresh.
    fn is_drawn(&self, name: &str, shape: &[usize]) -> bool {
        let fits = || self.entry(name).is_some_and(|entry| entry.shape == shape);
        let lacks = || match self.replaces_head {
            true => !fits(),
            false => !self.has(name),
        };
        self.fresh || self.draws_what_lacks && lacks()
    }

    /// Whether the head's linear at `path` starts fresh.
    pub(crate) fn lacks(&self, path: &str) -> bool {
        self.fresh || !self.has(&format!("{path}.weight"))
    }

    /// Tensor `name` of `shape`.
    pub(crate) async fn weight(&mut self, name: &str, shape: &[usize], start: Start) -> Result<Weight> {
        let count = elements(name, shape)?;
        device::check_size(self.largest_buffer_bytes, name, 4 * count as u64)?;
        let is_drawn = self.is_drawn(name, shape);
        if is_drawn {
            self.check_drawn(name, count)?;
        }
        let values = if self.outline {
            if !is_drawn {
                self.check(name, shape)?;
            }
            Vec::new()
        } else if is_drawn {
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
        let stored = self.stored(name);
        let (_, values) = self.files.read_f32(&stored).await?;
        let bytes = self.files.entry(&stored).map_or(0, |entry| entry.bytes);
        self.advance(bytes);
        Ok(values)
    }

    /// Refuses a tensor that is missing or misshapen; what is not refused counts as read.
    pub(super) fn check(&mut self, name: &str, shape: &[usize]) -> Result<()> {
        let stored = self.stored(name).into_owned();
        let Some(entry) = self.files.entry(&stored) else {
            let error = Error::model("the model's files lack this tensor")
                .file(&self.files.name)
                .field(stored);
            return Err(error.remedy("Are all shards there, and does config.json belong to them?"));
        };
        if entry.shape != shape {
            let what = format!("has shape {:?}, config.json promises {shape:?}", entry.shape);
            return Err(Error::model(what).file(&self.files.name).field(stored));
        }
        self.read.insert(stored);
        Ok(())
    }

    /// Refuses to draw more than any model that starts fresh has.
    fn check_drawn(&mut self, name: &str, count: usize) -> Result<()> {
        self.drawn_bytes = self.drawn_bytes.saturating_add(4 * count as u64);
        if self.drawn_bytes <= MOST_DRAWN_BYTES {
            return Ok(());
        }
        let what = format!(
            "config.json asks for fresh weights of more than {} GiB",
            MOST_DRAWN_BYTES >> 30
        );
        Err(Error::new(Kind::OutOfMemory, what)
            .field(name)
            .remedy("Are its sizes the ones that were meant? Else add the model's weights."))
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
        let stored = self.stored(name).into_owned();
        let bytes = self.files.read_bytes(&stored).await?;
        self.read.insert(stored);
        self.advance(bytes.len() as u64);
        Ok(bytes)
    }

    /// Rows of a matrix as they are stored.
    pub(super) async fn rows(&mut self, name: &str, rows: Range<usize>) -> Result<Vec<u8>> {
        let bytes = self.files.read_rows(&self.stored(name), rows).await?;
        self.advance(bytes.len() as u64);
        Ok(bytes)
    }

    /// Rows of a matrix as numbers.
    pub(super) async fn numbers(&mut self, name: &str, rows: Range<usize>) -> Result<Vec<f32>> {
        let stored = self.stored(name);
        let matrix = self.files.stored_matrix(&stored)?;
        let numbers = self.files.read_rows_f32(&stored, rows).await?;
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
        elements(name, &shape)?;
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
        let storage = self.entry(name).map_or(Storage::F32, |entry| entry.storage);
        let flipped = self.files.stored_matrix(&self.stored(name))?.transposed;
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

    /// The output matrix `name` \[V, C\]; `None` where it is the embedding `table`: `tied` says whether config.json wants that.
    ///
    /// Where the files hold another than the embedding all the same, that one counts, as in transformers (`tie_weights`).
    pub(crate) async fn output(
        &mut self,
        name: &str,
        table: &str,
        shape: [usize; 2],
        tied: bool,
    ) -> Result<Option<Matrix>> {
        if tied && (self.fresh || !self.has(name)) {
            return Ok(None);
        }
        if tied && self.are_equal(name, table).await? {
            let stored = self.stored(name).into_owned();
            self.read.insert(stored);
            return Ok(None);
        }
        if tied {
            self.note(format!(
                "The files hold an output matrix, {name}, that differs from the embedding, although config.json shares \
                 the two (tie_word_embeddings): the files' own is computed with."
            ));
        }
        if !self.fresh && !self.draws_what_lacks && !self.has(name) {
            if self.architecture()?.is_some_and(|class| class.ends_with("Model")) {
                self.note(format!(
                    "The model was saved without an output matrix ({name}), as those for embeddings are: its embedding \
                     stands in where tokens are predicted. Classes and rankings do not need it."
                ));
                return Ok(None);
            }
            let what = "the model's files lack the output matrix, and config.json says that it is not the embedding";
            return Err(Error::model(what).file(&self.files.name).field(name).remedy(
                "Are all shards there? tie_word_embeddings: true in config.json makes it predict by its embedding.",
            ));
        }
        self.matrix(name, shape, Start::Normal, Role::Table).await.map(Some)
    }

    /// Whether two matrices are the same, byte by byte.
    async fn are_equal(&self, one: &str, other: &str) -> Result<bool> {
        let names = [self.stored(one), self.stored(other)];
        let [Some(left), Some(right)] = [&names[0], &names[1]].map(|name| self.files.entry(name)) else {
            return Ok(false);
        };
        if (&left.shape, left.storage) != (&right.shape, right.storage) || left.shape.len() != 2 {
            return Ok(false);
        }
        let matrix = self.files.stored_matrix(&names[0])?;
        let step = (COMPARED_BYTES / matrix.columns.max(1)).max(1);
        for start in (0..matrix.rows).step_by(step) {
            let rows = start..(start + step).min(matrix.rows);
            let left = self.files.read_rows(&names[0], rows.clone()).await?;
            if left != self.files.read_rows(&names[1], rows).await? {
                return Ok(false);
            }
        }
        Ok(true)
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

fn wrong(key: &str, what: String) -> Error {
    Error::format(what).file("config.json").field(key)
}

/// Numbers in a tensor of `shape`, if their bytes can be counted on this machine.
fn elements(name: &str, shape: &[usize]) -> Result<usize> {
    let count = shape.iter().try_fold(4usize, |bytes, size| bytes.checked_mul(*size));
    count
        .filter(|bytes| isize::try_from(*bytes).is_ok())
        .map(|bytes| bytes / 4)
        .ok_or_else(|| {
            let what = format!("of shape {shape:?} is too large for this machine");
            Error::new(Kind::OutOfMemory, what).field(name)
        })
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
