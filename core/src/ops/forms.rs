//! What operations are told besides their tensors: shapes, scales, seeds.

use lorakeet_shaders as kernels;

/// How an adapter acts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoraForm {
    /// alpha / r, or alpha / √r.
    pub scale: f32,
    /// Share of the adapter's inputs that is dropped; 0 in evaluation.
    pub dropout: f32,
    /// Seed of this layer's mask in this micro-batch.
    pub seed: u64,
}

/// The matrix of a linear with an adapter, and how the adapter acts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptedForm {
    /// The matrix.
    pub base: BaseForm,
    /// The adapter.
    pub lora: LoraForm,
}

/// How a linear's matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum BaseForm {
    /// W \[out, in\], or \[in, out\] where `transposed`.
    Dense {
        /// As GPT-2's Conv1D stores it.
        transposed: bool,
    },
    /// Words.
    Packed(PackedForm),
}

/// Which keys a query sees, padding aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttentionMask {
    /// Itself and all before it.
    Causal,
    /// Itself and those before it, this many in all.
    SlidingWindow(usize),
    /// All.
    Full,
    /// Those at most this far away, on both sides.
    LocalWindow(usize),
}

/// How an attention makes its scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionScoring {
    /// What multiplies q·kᵀ.
    pub scale: f32,
    /// c of c·tanh(score / c); 0 for none.
    pub soft_cap: f32,
    /// Which keys count.
    pub mask: AttentionMask,
    /// Whether rows hold several examples, which do not see each other: the mask tells them apart ([`super::attention_by`]).
    pub segmented: bool,
}

/// Shapes of one attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionForm {
    /// B.
    pub batch: usize,
    /// K.
    pub kv_heads: usize,
    /// H / K.
    pub group: usize,
    /// Query tokens.
    pub queries: usize,
    /// Key tokens.
    pub keys: usize,
    /// D.
    pub head_dim: usize,
    /// How the scores are made.
    pub scoring: AttentionScoring,
}

/// How a loss over a vocabulary is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VocabularyForm {
    /// Multiplies the sum.
    pub scale: f32,
    /// c of c·tanh(logit / c); 0 for none.
    pub soft_cap: f32,
}

/// Which way one product with a packed matrix goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackedForm {
    /// The matrix.
    pub matrix: kernels::Packed,
    /// Whether sums go over its rows.
    pub across: bool,
}

impl PackedForm {
    /// The other way.
    pub(super) fn back(self) -> Self {
        Self {
            across: !self.across,
            ..self
        }
    }
}

/// Shapes of one rotation of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RopeForm {
    /// T.
    pub tokens: usize,
    /// H.
    pub heads: usize,
    /// K.
    pub kv_heads: usize,
    /// D.
    pub dim: usize,
}

/// One optimizer step's scalars: `torch.optim.AdamW`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Rate.
    pub lr: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε.
    pub eps: f64,
    /// λ.
    pub weight_decay: f64,
    /// 1 − β₁ᵗ.
    pub bias_correction1: f64,
    /// 1 − β₂ᵗ.
    pub bias_correction2: f64,
    /// Factor on the gradient (clipping).
    pub grad_scale: f64,
}

impl AdamWStep {
    pub(super) fn kernel(self, len: usize) -> kernels::AdamW {
        kernels::AdamW {
            len,
            lr: self.lr,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: self.weight_decay,
            bias_correction1: self.bias_correction1,
            bias_correction2: self.bias_correction2,
            grad_scale: self.grad_scale,
        }
    }
}
