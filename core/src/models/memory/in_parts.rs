//! A pass in parts, in bytes: what [`crate::models::parts::PassInParts`] does with tensors.

use super::backward::{Gradients, OpenPlaces};
use super::dry_run::DryRun;
use super::{Adapters, Buffer, GradientPlaces, MemoryLedger, Node, SymbolicTensor, View};
use crate::data::Batch;
use crate::models::ModelSkeleton;
use crate::models::parts::{Part, Shared};
use std::collections::BTreeMap;

type SharedSizes = Shared<SymbolicTensor<2>>;

/// What several parts read: made by which, and what of its gradient is there.
struct KeptShared {
    tensor: SharedSizes,
    made_by: usize,
    gradient: Option<View>,
}

/// The node of the input number `number` of a part. Nodes of operations count up from 1.
fn leaf(number: usize) -> Node {
    Node {
        id: usize::MAX - number,
        depth: 1,
        tracked: true,
    }
}

/// The node of a tensor without a gradient.
const CONSTANT: Node = Node {
    id: 0,
    depth: 0,
    tracked: false,
};

/// `tensor` as input number `number` of a part.
fn input(tensor: &SharedSizes, number: usize, wanted: bool) -> SharedSizes {
    let node = if wanted && tensor.trained {
        leaf(number)
    } else {
        CONSTANT
    };
    let value = SymbolicTensor {
        node,
        ..tensor.value.clone()
    };
    Shared { value, ..*tensor }
}

impl ModelSkeleton {
    /// Whether its passes can be cut between layers.
    pub(crate) fn has_parts(&self) -> bool {
        self.body.cuts() > 0
    }

    /// A micro-batch forward and backward in parts: the bytes that are kept between both, and the gradients.
    pub(crate) fn dry_run_in_parts(
        &self,
        ledger: &MemoryLedger,
        (adapters, drops): (&Adapters, bool),
        batch: &Batch,
        places: &GradientPlaces,
    ) -> (u64, Vec<Buffer>) {
        let (before, cuts) = (ledger.in_use(), self.body.cuts());
        let mut inputs: Vec<SymbolicTensor<2>> = Vec::with_capacity(cuts);
        let mut shared: Vec<KeptShared> = Vec::new();
        let given = |shared: &[KeptShared], wanted: bool| {
            let tensors = shared.iter().enumerate();
            tensors.map(|(i, kept)| input(&kept.tensor, i + 1, wanted)).collect()
        };
        for made_by in 0..cuts {
            let x = inputs.last().map(|x| SymbolicTensor {
                node: CONSTANT,
                ..x.clone()
            });
            let part = Part::new(made_by, x, given(&shared, false));
            let dry_run = DryRun::new(ledger, adapters, false, drops).of_part(&part);
            drop(self.body.dry_run(&dry_run, batch));
            let (output, all) = part.take_outputs();
            inputs.extend(output);
            let made = all.into_iter().skip(shared.len()).map(|tensor| KeptShared {
                tensor,
                made_by,
                gradient: None,
            });
            shared.extend(made);
        }
        let as_leaf = |x: SymbolicTensor<2>| SymbolicTensor { node: leaf(0), ..x };
        let x = inputs.pop().map(as_leaf);
        let part = Part::new(cuts, x, given(&shared, false));
        let dry_run = DryRun::new(ledger, adapters, true, drops).of_part(&part);
        let hidden = self.body.dry_run(&dry_run, batch);
        self.losses(&dry_run, hidden, batch);
        let kept_bytes = ledger.in_use() - before;
        let places = OpenPlaces::new(ledger, places);
        let Gradients {
            inputs: mut of_inputs,
            adapters: mut of_adapters,
            weights,
        } = dry_run.backward_from(Vec::new(), &places);
        drop(part);
        // The gradients of a tensor that several parts use become one at the end.
        let mut of_weights = vec![weights];
        let mut gradient = of_inputs.remove(&leaf(0).id);
        drop(of_inputs);
        while let Some(dy) = gradient.take() {
            let number = inputs.len();
            let x = inputs.pop().map(as_leaf);
            let made_before = shared.iter().take_while(|kept| kept.made_by < number).count();
            let of_this_part = shared.split_off(made_before);
            let part = Part::new(number, x, given(&shared, true));
            let dry_run = DryRun::new(ledger, adapters, true, drops).of_part(&part);
            drop(self.body.dry_run(&dry_run, batch));
            let (output, all) = part.take_outputs();
            let mut roots: Vec<(Node, View)> = output.map(|output| (output.node, dy)).into_iter().collect();
            for (made, kept) in all.iter().skip(made_before).zip(of_this_part) {
                roots.extend(kept.gradient.map(|gradient| (made.value.node, gradient)));
            }
            drop(all);
            let mut found = dry_run.backward_from(roots, &places);
            drop(part);
            gradient = found.inputs.remove(&leaf(0).id);
            for (i, kept) in shared.iter_mut().enumerate() {
                let next = found.inputs.remove(&leaf(i + 1).id);
                kept.gradient = match (kept.gradient.take(), next) {
                    (Some(sum), Some(next)) => Some(ledger.binary(sum, next)),
                    (sum, next) => sum.or(next),
                };
            }
            of_adapters.append(&mut found.adapters);
            of_weights.push(found.weights);
        }
        let of_weights: BTreeMap<usize, Buffer> = of_weights.into_iter().flatten().collect();
        let left = places.left(of_adapters.into_iter().chain(of_weights.into_values()));
        (kept_bytes, left)
    }
}
