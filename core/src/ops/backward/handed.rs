//! Gradients on their way: where a tensor has one already, the kernel that makes the next adds it, and no launch is spent on
//! their sum.

use super::super::launch::Launch;
use burn::backend::tensor::FloatTensor;
use burn_autodiff::NodeId;
use burn_autodiff::grads::Gradients;
use std::{cell::RefCell, collections::VecDeque};

/// Nodes that are remembered. A residual stream's gradient waits for those of a layer; one that is forgotten is added as
/// burn adds it.
const REMEMBERED: usize = 32;

thread_local! {
    /// The last nodes that were handed a gradient by [`hand`].
    static HANDED: RefCell<VecDeque<NodeId>> = const { RefCell::new(VecDeque::new()) };
}

/// Hands `gradient` to a node.
pub(super) fn hand<B: Launch>(grads: &mut Gradients, node: NodeId, gradient: FloatTensor<B>) {
    HANDED.with_borrow_mut(|handed| {
        if handed.len() == REMEMBERED {
            handed.pop_front();
        }
        handed.push_back(node);
    });
    grads.register::<B>(node, gradient);
}

/// Whether [`hand`] gave `node` a gradient, as far as that is remembered.
pub(super) fn was_handed(node: NodeId) -> bool {
    HANDED.with_borrow(|handed| handed.contains(&node))
}

/// Takes the gradient that `$parent` was handed so far, for a kernel that adds it and hands the sum on. `$node` is an operation's
/// own: a parent that is required as it is keeps no gradient that is taken, which those of leaves do.
macro_rules! take_so_far {
    ($B:ident, $grads:expr, $node:expr, $parent:expr) => {
        ($parent.requirement == $node.requirement && $crate::ops::backward::handed::was_handed($parent.id))
            .then(|| $grads.consume::<$B>(&$parent))
    };
}
pub(super) use take_so_far;
