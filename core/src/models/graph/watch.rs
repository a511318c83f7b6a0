//! What goes into one layer's attention, for pictures of it.

use super::{Attention, TensorGraph};
use crate::ops::AttentionScoring;
use burn::tensor::Tensor;
use std::cell::{Cell, RefCell};

/// Keeps the inputs of one layer's attention during a pass: see [`TensorGraph::watching`].
pub(crate) struct AttentionWatch {
    layer: usize,
    /// Attentions so far.
    seen: Cell<usize>,
    kept: RefCell<Option<WatchedAttention>>,
}

/// q \[B·T, H·D\] and k \[B·T, K·D\], rotated if they are, a bias by distance \[2T − 1, H\], and how the scores are made.
pub(crate) struct WatchedAttention {
    pub(crate) q: Tensor<2>,
    pub(crate) k: Tensor<2>,
    pub(crate) bias: Option<Tensor<2>>,
    /// H and K.
    pub(crate) heads: [usize; 2],
    pub(crate) scoring: AttentionScoring,
}

impl AttentionWatch {
    /// Keeps the inputs of attention number `layer` of the pass, from 0.
    pub(crate) fn on(layer: usize) -> Self {
        Self {
            layer,
            seen: Cell::new(0),
            kept: RefCell::new(None),
        }
    }

    pub(super) fn see(&self, [q, k]: [&Tensor<2>; 2], of: &Attention<'_, TensorGraph<'_>>) {
        if self.seen.replace(self.seen.get() + 1) == self.layer {
            *self.kept.borrow_mut() = Some(WatchedAttention {
                q: q.clone(),
                k: k.clone(),
                bias: of.bias.cloned(),
                heads: of.heads,
                scoring: of.scoring,
            });
        }
    }

    /// The inputs that were kept; `None` where the pass had fewer attentions.
    pub(crate) fn kept(self) -> Option<WatchedAttention> {
        self.kept.into_inner()
    }
}
