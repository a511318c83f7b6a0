//! Linear layers of a dry run: the base's product, and with it or behind it the adapter's.

use super::backward::Trained;
use super::dry_run::{DryRun, product_gradients};
use super::{Node, SymbolicTensor, View, bytes_of};
use crate::models::{Linear, Stored};
use crate::ops::PackedForm;
use lorakeet_shaders::{Format, Packed, PackedPair};
use std::{cell::RefCell, rc::Rc};

type Rows = SymbolicTensor<2>;

/// Whether the products of the last two that go backward are one launch, as the ops' `pair_of` has it.
fn is_pair(rows: usize, linears: &[&Linear], sizes: &[[usize; 3]]) -> bool {
    let ([.., one, other], [.., sizes_of_one, sizes_of_other]) = (linears, sizes) else {
        return false;
    };
    let form = |linear: &Linear| match &linear.weight.stored {
        Stored::Packed { matrix, flipped } => {
            let PackedForm { matrix, across } = matrix.form_in_one(linear.transposed != *flipped)?;
            Some((matrix, across))
        }
        Stored::Dense(_) => {
            let matrix = Packed {
                format: Format::F32,
                rows: linear.weight.rows,
                columns: linear.weight.columns,
            };
            Some((matrix, linear.transposed))
        }
    };
    let Some((matrix, across)) = form(one).filter(|own| form(other).is_some_and(|other| *own == other)) else {
        return false;
    };
    let [.., rank] = *sizes_of_one;
    let pair = PackedPair {
        m: rows,
        matrix,
        across: !across,
        sums: true,
        rank,
        scale: 1.0,
        low_start: 0,
        low_len: 2 * rows * rank,
    };
    sizes_of_one == sizes_of_other && pair.suits()
}

impl DryRun<'_> {
    /// A product with the base: a dense matrix and one that is trained whole keep x, a packed one nothing.
    pub(super) fn base_product(&self, linear: &Linear, x: &Rows) -> Rows {
        let weight = Trained::from(&linear.weight);
        let bias = linear.bias.as_ref().map_or(Trained(None), Trained::from);
        let whole = self.adapters.whole.contains(&linear.path);
        let node = self.node(&[x.node], whole || weight.is_some() || bias.is_some());
        let weight_bytes = bytes_of(&[linear.inputs, linear.outputs]);
        let bias_bytes = bytes_of(&[linear.outputs]);
        let has_bias = linear.bias.is_some();
        let dense = whole || matches!(linear.weight.stored, Stored::Dense(_));
        let (kept, x_node, x_bytes) = (dense.then(|| x.view.clone()), x.node, x.view.bytes);
        let sizes = [x.shape[0], linear.inputs, linear.outputs];
        self.ledger.multiply(1, sizes);
        self.record(node, move |backward, dy| {
            backward
                .ledger
                .multiply(product_gradients(x_node, whole || weight.is_some()), sizes);
            backward.weight(weight, node.id, weight_bytes);
            backward.weight(bias, node.id, bias_bytes);
            if whole {
                backward.adapter(weight_bytes, 0);
                if has_bias {
                    backward.adapter(bias_bytes, 0);
                }
            }
            if x_node.tracked {
                let dx = backward.ledger.launch(x_bytes, dy.copied());
                backward.register_sum(x_node, dx, x_bytes);
            }
            drop(kept);
        });
        self.made(node, [x.shape[0], linear.outputs], x.view.copied())
    }

    /// Whether a linear and its adapter are one launch: not where the matrix lies in several buffers.
    pub(super) fn is_one_launch(&self, linear: &Linear) -> bool {
        match &linear.weight.stored {
            Stored::Dense(_) => true,
            Stored::Packed { matrix, .. } => matrix.parts() == 1,
        }
    }

    /// A product with the base and its adapter's in one, and perhaps rows that they are added to; keeps x and drop(x)·Aᵀ \[N, R\].
    pub(super) fn adapted(&self, onto: Option<Rows>, linear: &Linear, x: Rows, rank: usize) -> Rows {
        let onto_node = onto.as_ref().map(|rows| rows.node);
        let inner: Vec<Node> = [x.node].into_iter().chain(onto_node).collect();
        let node = self.node(&inner, true);
        let (weight, bias) = (
            Trained::from(&linear.weight),
            linear.bias.as_ref().map_or(Trained(None), Trained::from),
        );
        let ([rows, inputs], outputs) = (x.shape, linear.outputs);
        let (drops, h_bytes) = (self.drops, bytes_of(&[rows, rank]));
        let h = self.ledger.launch(h_bytes, if drops { x.view.bytes } else { 0 });
        let (a_bytes, b_bytes) = (bytes_of(&[rank, inputs]), bytes_of(&[rank, outputs]));
        let (used, copied, kept, x_node) = (h.clone(), x.view.copied(), x.view, x.node);
        let (whole, into, out_of) = ([rows, inputs, outputs], [rows, inputs, rank], [rows, rank, outputs]);
        for sizes in [whole, into, out_of] {
            self.ledger.multiply(1, sizes);
        }
        self.record(node, move |backward, dy| {
            let ledger = backward.ledger.clone();
            ledger.multiply(product_gradients(x_node, weight.is_some()), whole);
            ledger.multiply(product_gradients(x_node, true), into);
            ledger.multiply(2, out_of);
            if let Some(node) = onto_node {
                backward.pass(node, dy.clone());
            }
            backward.weight(bias, node.id, bytes_of(&[outputs]));
            backward.weight(weight, node.id, bytes_of(&[inputs, outputs]));
            let dropped = if drops { kept.bytes } else { 0 };
            // Made in one launch.
            backward.adapter(b_bytes, 0);
            let dh = ledger.hold(h_bytes);
            drop(h);
            backward.adapter(a_bytes, dropped);
            let bytes = kept.bytes;
            drop(kept);
            if x_node.tracked {
                let _low = ledger.hold(dropped);
                let dx = ledger.launch(bytes, dy.copied());
                match drops {
                    true => backward.register(x_node, dx, bytes),
                    false => backward.register_sum(x_node, dx, bytes),
                }
            }
            drop((dh, dy));
        });
        let output = self.made(node, [rows, outputs], copied);
        drop((used, onto));
        output
    }

    /// Linears of the same x, whose adapters' products are made together: the backward step of the last makes the gradients of
    /// all. `None` where they are made one by one.
    pub(super) fn together<const N: usize>(&self, linears: [&Linear; N], x: &Rows) -> Option<[Rows; N]> {
        let rank = |linear: &Linear| {
            let is_frozen = !Trained::from(&linear.weight).is_some() && !self.adapters.whole.contains(&linear.path);
            let rank = self.adapters.ranks.get(&linear.path)?;
            (is_frozen && !self.drops && self.is_one_launch(linear)).then_some(*rank)
        };
        let sizes = linears
            .iter()
            .map(|linear| rank(linear).map(|rank| [linear.inputs, linear.outputs, rank]))
            .collect::<Option<Vec<_>>>()?;
        let rows = x.shape[0];
        let of_all = |bytes: fn(usize, [usize; 3]) -> u64| sizes.iter().map(|sizes| bytes(rows, *sizes)).sum::<u64>();
        let h_bytes = of_all(|rows, [.., rank]| bytes_of(&[rows, rank]));
        let h = self.ledger.launch(h_bytes, x.view.copied());
        let arrived = Rc::new(RefCell::new(Vec::new()));
        let (x_node, x_bytes) = (x.node, x.view.bytes);
        let paired = is_pair(rows, &linears, &sizes);
        let outputs = linears.map(|linear| {
            let node = self.node(&[x_node], true);
            let (h, kept, arrived, sizes) = (h.clone(), x.view.clone(), Rc::clone(&arrived), sizes.clone());
            self.record(node, move |backward, dy| {
                arrived.borrow_mut().push(dy);
                if arrived.borrow().len() < N {
                    return;
                }
                let dys = arrived.take();
                let ledger = backward.ledger.clone();
                for [inputs, outputs, rank] in &sizes {
                    ledger.multiply(product_gradients(x_node, false), [rows, *inputs, *outputs]);
                    ledger.multiply(product_gradients(x_node, true), [rows, *inputs, *rank]);
                    ledger.multiply(2, [rows, *rank, *outputs]);
                    backward.adapter(bytes_of(&[*rank, *outputs]), 0);
                }
                let dh = ledger.hold(h_bytes);
                for [inputs, _, rank] in &sizes {
                    backward.adapter(bytes_of(&[*rank, *inputs]), 0);
                }
                drop(h);
                if x_node.tracked {
                    let mut launches: Vec<Vec<View>> = dys.into_iter().map(|dy| vec![dy]).collect();
                    if paired {
                        let last = launches.split_off(N - 2).concat();
                        launches.insert(0, last);
                    }
                    for dys in launches {
                        let dx = ledger.launch(x_bytes, dys.iter().map(View::copied).sum());
                        backward.register_sum(x_node, dx, x_bytes);
                    }
                }
                drop((dh, kept));
            });
            self.made(node, [rows, linear.outputs], 0)
        });
        for [inputs, outputs, rank] in sizes {
            for sizes in [[rows, inputs, outputs], [rows, inputs, rank], [rows, rank, outputs]] {
                self.ledger.multiply(1, sizes);
            }
        }
        Some(outputs)
    }

    /// What an adapter adds to y; keeps x and drop(x)·Aᵀ \[N, R\].
    pub(super) fn low_rank(&self, y: Rows, x: Rows, rank: usize) -> Rows {
        let node = self.node(&[y.node, x.node], true);
        let ([rows, inputs], [_, outputs]) = (x.shape, y.shape);
        let (drops, h_bytes) = (self.drops, bytes_of(&[rows, rank]));
        let h = self.ledger.launch(h_bytes, if drops { x.view.bytes } else { 0 });
        let (a_bytes, b_bytes) = (bytes_of(&[rank, inputs]), bytes_of(&[rank, outputs]));
        let (used, y_node, kept, x_node) = (h.clone(), y.node, x.view, x.node);
        let (into, out_of) = ([rows, inputs, rank], [rows, rank, outputs]);
        self.ledger.multiply(1, into);
        self.ledger.multiply(1, out_of);
        self.record(node, move |backward, dy| {
            let ledger = backward.ledger.clone();
            ledger.multiply(product_gradients(x_node, true), into);
            ledger.multiply(2, out_of);
            let dropped = if drops { kept.bytes } else { 0 };
            backward.adapter(b_bytes, 0);
            let dh = ledger.hold(h_bytes);
            drop(h);
            backward.adapter(a_bytes, dropped);
            if x_node.tracked {
                let dx = ledger.hold(kept.bytes);
                drop(dh);
                let dx = if drops { ledger.hold(kept.bytes) } else { dx };
                backward.register(x_node, dx, kept.bytes);
            }
            backward.pass(y_node, dy);
            drop(kept);
        });
        let output = self.made(node, y.shape, 0);
        drop(used);
        output
    }
}
