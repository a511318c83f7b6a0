//! From files to weights on the device: one tensor at a time, its shape checked, frozen or trained.

mod config;
mod init;
mod tensors;

pub(crate) use config::MOST_HEAD_WIDTH;
pub(crate) use init::Init;
pub(crate) use tensors::Role;

use super::{
    HeadKind, Parameters, keys,
    names::{Prefix, Unread},
    pack,
    registry::Architecture,
    transfer::Uploads,
};
use crate::{
    device,
    error::Result,
    formats::{ModelFiles, TensorEntry},
    head_spec::HeadRecord,
    ops::PackedMatrix,
    quant::BaseFormat,
    random::Generator,
};
use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_i18n::Message;
use lorakeet_shaders::Packed;
use std::borrow::Cow;
use std::collections::HashSet;

pub(crate) struct Loader<'a> {
    files: &'a ModelFiles,
    /// Other names of config.json's keys.
    aliases: &'static [(&'static str, &'static str)],
    /// The prefix of the names of the files' tensors.
    prefix: Prefix,
    /// Names of the files' tensors that were read, as the files have them.
    read: HashSet<String>,
    notes: Vec<Message>,
    full: bool,
    base: BaseFormat,
    fresh: bool,
    /// Whether sizes are counted and nothing is read.
    skeleton: bool,
    generator: Generator,
    device: Device,
    largest_buffer_bytes: u64,
    progress: &'a mut dyn FnMut(u64, u64),
    total_bytes: u64,
    done_bytes: u64,
    weights: u64,
    weight_bytes: u64,
    initialised_bytes: u64,
    uploads: Uploads,
    table_bytes: u64,
    parameters: Parameters,
    task: HeadKind,
    inits_missing: bool,
    /// The run's head may have another number of outputs than the files' head, which it then replaces.
    replaces_head: bool,
}

/// The results of loading besides the layers.
pub(crate) struct Finished {
    /// The parameters of full training.
    pub(crate) parameters: Parameters,
    /// Number of weights.
    pub(crate) weights: u64,
    /// Their size on the device.
    pub(crate) weight_bytes: u64,
    /// The size of tables of constants on the device.
    pub(crate) table_bytes: u64,
    /// Notes on parts of the files without effect.
    pub(crate) notes: Vec<Message>,
    /// The prefix of the names of the files' tensors.
    pub(crate) prefix: Prefix,
    /// The files' tensors that were read, by their names there.
    pub(crate) read: HashSet<String>,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(
        files: &'a ModelFiles,
        (full, base): (bool, BaseFormat),
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
            skeleton: false,
            generator: Generator::new(seed, "init"),
            device: device.clone(),
            largest_buffer_bytes: device::largest_buffer_bytes(device),
            progress,
            total_bytes,
            done_bytes: 0,
            weights: 0,
            weight_bytes: 0,
            initialised_bytes: 0,
            uploads: Uploads::new(device),
            table_bytes: 0,
            parameters: Parameters::default(),
            task: HeadKind::CausalLm,
            inits_missing: false,
            replaces_head: files.head.is_some() || HeadRecord::is_in(&files.config),
        }
    }

    /// A loader that makes all layers without their numbers, as for a device with buffers of `largest_buffer_bytes`.
    pub(crate) fn skeleton(
        files: &'a ModelFiles,
        kind: (bool, BaseFormat),
        largest_buffer_bytes: u64,
        progress: &'a mut dyn FnMut(u64, u64),
    ) -> Self {
        Self {
            skeleton: true,
            largest_buffer_bytes,
            ..Self::new(files, kind, 0, &Device::flex(), progress)
        }
    }

    /// The kind of the model's head, as its architecture reads config.json.
    pub(crate) fn task(&self) -> HeadKind {
        self.task
    }

    pub(crate) fn set_task(&mut self, task: HeadKind) {
        self.task = task;
    }

    /// Sets the keys of `architecture`, and refuses those whose values are not supported.
    pub(super) fn set_architecture(&mut self, architecture: &Architecture) -> Result<()> {
        self.aliases = architecture.aliases;
        self.notes.extend(self.files.text_part.clone());
        self.notes.extend(self.files.torch_files.clone());
        let notes = keys::check(&self.files.config, architecture, self.fresh)?;
        self.notes.extend(notes);
        // What only some heads read is of its type whatever the head.
        self.architecture()?;
        self.object("id2label")?;
        self.optional_text("problem_type")?;
        self.token_id("pad_token_id")?;
        self.not_negative("initializer_range", 0.02)?;
        self.flag("tie_word_embeddings")?;
        Ok(())
    }

    /// Finds the files' prefix of the base's tensors, whose names here begin with `wanted`, by the tensor that ends in
    /// `anchor`.
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

    /// The results, when all is loaded.
    ///
    /// # Errors
    /// A tensor that was not read changes the meaning of one that was read.
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
            prefix,
            read,
        })
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// The largest buffer of the device, in bytes.
    pub(super) fn largest_buffer_bytes(&self) -> u64 {
        self.largest_buffer_bytes
    }

    pub(super) fn is_skeleton(&self) -> bool {
        self.skeleton
    }

    /// A matrix without its words, where only its sizes are wanted.
    pub(super) fn skeleton_of(&self, whole: Packed) -> Option<PackedMatrix> {
        let parts = pack::parts(whole, self).map(|(_, part)| part);
        self.skeleton
            .then(|| PackedMatrix::skeleton(parts, whole.columns, &self.tensor(Vec::new())))
    }

    fn tensor(&self, values: Vec<f32>) -> Tensor<1> {
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), &self.device)
    }

    /// A table of constants that `values` makes.
    pub(crate) fn table(&mut self, [rows, columns]: [usize; 2], values: impl FnOnce() -> Vec<f32>) -> Tensor<2> {
        self.table_bytes += 4 * (rows * columns) as u64;
        match self.skeleton {
            true => self.tensor(Vec::new()).reshape([0, columns]),
            false => self.tensor(values()).reshape([rows, columns]),
        }
    }

    pub(crate) fn note(&mut self, note: impl Into<Message>) {
        self.notes.push(note.into());
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.files.contains(&self.stored(name))
    }
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
