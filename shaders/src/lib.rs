//! Lorakeet's GPU kernels: one WGSL file a kernel, and beside it, under the same name, its CPU twin.
//!
//! A kernel is a value that knows its shapes ([`Kernel`]): the WGSL source of its variant, the words that the source reads as
//! `info`, how many workgroups to launch, how long its outputs are, and the twin that computes the same on the CPU. The
//! engine launches the source on a GPU and calls the twin on a CPU; tests hold the two together on random shapes.
//!
//! Conventions of every source: entry point `main`, group 0; bindings 0.. are the inputs, then the outputs, all
//! `var<storage, read_write> name: array<f32>` (the launcher's buffers are slices of shared ones, which must not be bound both
//! read-only and writable), then `var<uniform> info: array<vec4<u32>, K>`. All tensors are contiguous, row-major, f32.
//! [`AdamW8bit`]'s state is words of codes that travel as the bits of floats; its source binds them as `array<u32>`. So are
//! packed matrices, which a source with f16 binds as `array<vec4<f16>>`.
//! Shapes travel in `info`, never in the source, so that a new shape costs no compilation.

mod adamw;
mod adamw_8bit;
mod append;
mod attention;
mod axpy;
mod clip;
mod cross_entropy;
mod dropout;
mod embedding;
mod gelu;
mod gelu_new;
mod launch;
mod layer_norm;
mod low_rank;
mod low_rank_back;
mod math;
mod matmul;
mod matmul_group;
mod packed;
mod product_parts;
mod rms_norm;
mod rope;
mod rows_down;
mod scaled_sum;
mod silu_mul;
mod soft_cap;
mod sum_of_parts;

pub use adamw::{AdamW, SumSquares, SumSquaresOfSeven};
pub use adamw_8bit::{AdamW8bit, Codes};
pub use append::Append;
pub use attention::{Attention, AttentionNotes, AttentionOfBias, AttentionOfKeys, AttentionOfQueries, CachedAttention};
pub use axpy::Axpy;
pub use clip::{Clip, ClippedAdamW, ClippedAdamW8bit, VERDICT};
pub use cross_entropy::{CrossEntropy, CrossEntropyBackward};
pub use dropout::Dropout;
pub use embedding::{EmbeddingBackward, EmbeddingGather};
pub use gelu::{Gelu, GeluBackward};
pub use gelu_new::{GeluNew, GeluNewBackward};
pub use launch::Cut;
pub use layer_norm::{LayerNorm, LayerNormBackward, LayerNormWeightBackward};
pub use low_rank::LowRank;
pub use low_rank_back::{LowRankBack, LowRankMember};
pub use matmul::{Add, MatMul};
pub use matmul_group::{MatMulGroup, Operand};
pub use packed::{Format, Packed, PackedGather, PackedMatMul, PackedPair, Planes, decode};
pub use product_parts::{PartsOf, ProductParts, SplitProduct};
pub use rms_norm::{RmsNorm, RmsNormBackward, RmsNormWeightBackward};
pub use rope::Rope;
pub use rows_down::{RowsDown, RowsOf};
pub use scaled_sum::ScaledSum;
pub use silu_mul::{SiluMul, SiluMulBackward};
pub use soft_cap::{SoftCap, SoftCapBackward};
pub use sum_of_parts::SumOfParts;

// The cases name the crate as other crates do.
#[cfg(test)]
extern crate self as lorakeet_shaders;
#[cfg(test)]
#[path = "../tests/native/cases/mod.rs"]
mod test_cases;

use std::fmt::Debug;

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

/// What the source is tuned for; chosen by the engine from the adapter, not by trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// A software adapter (lavapipe, SwiftShader): barriers and workgroup memory cost more than they save.
    Software,
    /// A real GPU.
    Gpu {
        /// Whether its subgroups may be used, which have 32 invocations or more: sums without workgroup memory and barriers.
        /// Texts for them are for native drivers: a browser wants an `enable` that naga does not read.
        subgroups: bool,
        /// Whether sources may have numbers of 16 bits (WebGPU's `shader-f16`): half the workgroup memory of [`PackedMatMul`] for
        /// matrices that are stored so.
        f16: bool,
    },
}

/// One launch: a kernel with its shapes.
pub trait Kernel: Debug + Send + Sync + 'static {
    /// Names the source: two values with the same key have the same [`Kernel::wgsl`].
    fn key(&self, tier: Tier) -> String;
    /// The complete WGSL source.
    fn wgsl(&self, tier: Tier) -> String;
    /// The source's workgroup size.
    fn workgroup_size(&self, tier: Tier) -> [u32; 3];
    /// How many workgroups to launch; no dimension above 65535.
    fn workgroups(&self, tier: Tier) -> [u32; 3];
    /// The words of `info`; a multiple of four; floats as their bits.
    fn info(&self) -> Vec<u32>;
    /// How its workgroups are launched some at a time, where they can be.
    fn cut(&self, _tier: Tier) -> Option<Cut> {
        None
    }
    /// The same as two launches, where that has more of a GPU work: which depends on shapes and `tier` alone.
    fn split(&self, _tier: Tier) -> Option<SplitProduct> {
        None
    }
    /// Elements of each input.
    fn input_lens(&self) -> Vec<usize>;
    /// Elements of each output.
    fn output_lens(&self) -> Vec<usize>;
    /// Multiplications and additions, where there are many to a number that is read or written.
    fn products(&self) -> u64 {
        0
    }
    /// About how long it takes, in operations: those of [`Kernel::products`], and 16 for each number that is read or written.
    fn operations(&self) -> u64 {
        let numbers = self.input_lens().into_iter().chain(self.output_lens());
        self.products().saturating_add(16 * numbers.sum::<usize>() as u64)
    }
    /// Computes the outputs on the CPU. `inputs` and `outputs` have the lengths above; outputs come zeroed.
    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]);
}
