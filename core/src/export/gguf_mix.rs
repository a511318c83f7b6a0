//! The number format of each tensor of a GGUF file.
//!
//! Reference: `tensor_allows_quantization`, `llama_tensor_get_type_impl` and `tensor_type_fallback` of `src/llama-quant.cpp` in
//! ggml-org/llama.cpp. What llama.cpp calls Q4_K_M and Q5_K_M are mixes: most matrices are Q4_K or Q5_K; the output matrix, and
//! the values of attention and the last matrix of the MLP in some layers, are Q6_K.

use crate::formats::Storage;
use std::collections::HashSet;

/// The output matrix and the embedding.
pub(super) const OUTPUT: &str = "output.weight";
pub(super) const TABLE: &str = "token_embd.weight";

/// What tensors of a file are stored as.
pub(super) struct Mix {
    /// That of most; Q4_K and Q5_K stand for Q4_K_M and Q5_K_M.
    dtype: Storage,
    /// Whether the output matrix is the embedding.
    is_tied: bool,
    /// The tensors that are Q6_K in the mixes, besides the output matrix.
    more_bits: HashSet<String>,
    /// Whether the model is one of those of 80 layers that llama.cpp gives five bits for the values of attention, of which
    /// eight heads share each.
    has_few_values: bool,
}

impl Mix {
    /// Of a file with tensors of these `names` and a model of so many `layers`.
    pub(super) fn new(dtype: Storage, names: &[&str], layers: usize, has_few_values: bool) -> Self {
        let mut sorted = names.to_vec();
        sorted.sort_by_key(|name| (layer(name), *name));
        let of = |is_meant: fn(&str) -> bool| -> Vec<&str> {
            sorted.iter().copied().filter(|name| is_meant(name)).collect()
        };
        let (values, downs) = (of(is_value), of(is_down));
        let counts = [values.len(), layers];
        let mut more_bits = HashSet::new();
        for (names, count) in [values, downs].into_iter().zip(counts) {
            let chosen = names.into_iter().enumerate().filter(|(i, _)| uses_more_bits(*i, count));
            more_bits.extend(chosen.map(|(_, name)| name.to_owned()));
        }
        Self {
            dtype,
            is_tied: !names.contains(&OUTPUT),
            more_bits,
            has_few_values,
        }
    }

    /// How a tensor is stored. As llama.cpp's converter has it, vectors, positions and token types are F32, and rows that are no
    /// whole blocks F16, in the mixes a format of smaller blocks first. In four bits the output matrix has eight, as
    /// `llama-quantize` gives it more than the rest.
    pub(super) fn storage(&self, name: &str, shape: &[usize]) -> Storage {
        let [_, columns] = *shape else { return Storage::F32 };
        let is_plain = ["position_embd.", "token_types.", "attn_rel_b."]
            .iter()
            .any(|part| name.contains(part));
        if is_plain || !name.ends_with(".weight") || name.ends_with("_norm.weight") {
            return Storage::F32;
        }
        let is_output = name == OUTPUT || self.is_tied && name == TABLE;
        let wanted = match self.dtype {
            Storage::Q4_0 | Storage::Q4_1 if is_output => Storage::Q8_0,
            Storage::Q4K | Storage::Q5K if is_output || self.more_bits.contains(name) => Storage::Q6K,
            Storage::Q4K if self.has_few_values && is_value(name) => Storage::Q5K,
            dtype => dtype,
        };
        fitting(wanted, columns)
    }
}

/// The format, or where rows of so many `columns` are no whole blocks of it, one that they are.
fn fitting(storage: Storage, columns: usize) -> Storage {
    if columns.is_multiple_of(storage.block_elements()) {
        return storage;
    }
    match storage {
        Storage::Q4K => fitting(Storage::Q5_0, columns),
        Storage::Q5K => fitting(Storage::Q5_1, columns),
        Storage::Q6K => fitting(Storage::Q8_0, columns),
        _ => Storage::F16,
    }
}

/// Whether the `i`th of `count` layers has more bits: the first and the last eighth, and every third between them.
fn uses_more_bits(i: usize, count: usize) -> bool {
    let eighth = count / 8;
    i < eighth || i >= 7 * count / 8 || (i - eighth) % 3 == 2
}

/// Whether it is a matrix of values of attention.
fn is_value(name: &str) -> bool {
    ["attn_v.weight", "attn_qkv.weight", "attn_kv_b.weight"]
        .iter()
        .any(|part| name.contains(part))
}

/// Whether it is the last matrix of an MLP.
fn is_down(name: &str) -> bool {
    name.contains("ffn_down") && name.ends_with(".weight")
}

/// The layer that llama.cpp orders tensors by; those of encoders and decoders, whose names begin otherwise, come first.
fn layer(name: &str) -> Option<usize> {
    let (layer, _) = name.strip_prefix("blk.")?.split_once('.')?;
    layer.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layers whose matrix `part` has `storage`, in a model of so many layers.
    fn layers_with(dtype: Storage, part: &str, storage: Storage, layers: usize, has_few_values: bool) -> Vec<usize> {
        let parts = ["attn_q", "attn_qkv_norm", "attn_v", "ffn_up", "ffn_down"];
        let names: Vec<String> = (0..layers)
            .flat_map(|layer| parts.map(|part| format!("blk.{layer}.{part}.weight")))
            .chain([OUTPUT.to_owned(), TABLE.to_owned()])
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mix = Mix::new(dtype, &names, layers, has_few_values);
        assert_eq!(mix.storage(OUTPUT, &[1000, 512]), Storage::Q6K);
        assert_eq!(mix.storage(TABLE, &[1000, 512]), dtype);
        let name = |layer: &usize| format!("blk.{layer}.{part}.weight");
        let is_so = |layer: &usize| mix.storage(&name(layer), &[512, 512]) == storage;
        (0..layers).filter(is_so).collect()
    }

    #[test]
    fn mixes_have_six_bits_in_the_layers_of_llama_cpp() {
        let of_32 = [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31];
        let of_12 = [0, 3, 6, 9, 10, 11];
        for dtype in [Storage::Q4K, Storage::Q5K] {
            for part in ["attn_v", "ffn_down"] {
                assert_eq!(
                    layers_with(dtype, part, Storage::Q6K, 32, false),
                    of_32,
                    "{dtype} {part}"
                );
                assert_eq!(
                    layers_with(dtype, part, Storage::Q6K, 12, false),
                    of_12,
                    "{dtype} {part}"
                );
            }
            for part in ["attn_q", "ffn_up"] {
                assert_eq!(layers_with(dtype, part, dtype, 32, false).len(), 32, "{dtype} {part}");
            }
        }
        let few = layers_with(Storage::Q4K, "attn_v", Storage::Q5K, 80, true);
        let more = layers_with(Storage::Q4K, "attn_v", Storage::Q6K, 80, true);
        assert_eq!((few.len(), more.len()), (40, 40));
        assert!(layers_with(Storage::Q4K, "ffn_down", Storage::Q5K, 80, true).is_empty());
    }

    #[test]
    fn rows_that_are_no_whole_blocks_have_the_next_format() {
        let names = ["blk.0.attn_q.weight", "blk.0.ffn_down.weight", TABLE];
        for (dtype, small) in [(Storage::Q4K, Storage::Q5_0), (Storage::Q5K, Storage::Q5_1)] {
            let mix = Mix::new(dtype, &names, 1, false);
            assert_eq!(mix.storage(names[0], &[64, 64]), small);
            // The only layer is in the last eighth, and the embedding the output matrix.
            assert_eq!(mix.storage(names[1], &[64, 64]), Storage::Q8_0);
            assert_eq!(mix.storage(TABLE, &[64, 64]), Storage::Q8_0);
            assert_eq!(mix.storage(names[0], &[64, 48]), Storage::F16);
            assert_eq!(mix.storage("blk.0.attn_norm.weight", &[64]), Storage::F32);
            assert_eq!(mix.storage("token_types.weight", &[2, 256]), Storage::F32);
        }
    }
}
