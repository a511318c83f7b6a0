//! The backward pass of linears that read the same rows ([`super::super::group`]).
//!
//! burn records operations of one output, so each linear of a group has a node of its own, and all of them share a [`Group`]. A
//! backward pass goes through them one after the other, before the node of the rows; the last has the gradients of all outputs at
//! hand and makes those of all inputs.

use super::super::forward::{column_sums, rows_width};
use super::super::group::{Member, adapted_group, group, in_a_row, outputs_of, pair_of, part};
use super::super::launch::{Launch, Output};
use super::super::products::{Product, product_and_low_rank};
use super::handed::{hand, take_so_far};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Shape, TensorMetadata};
use burn_autodiff::NodeId;
use burn_autodiff::checkpoint::base::Checkpointer;
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops as Node};
use lorakeet_shaders::{Add as MatMulAdd, LowRankBack, Operand};
use std::sync::{Arc, Mutex, PoisonError};

/// What the backward passes of a group of G share.
#[derive(Debug, Clone)]
pub(super) struct Group<B: Launch, const G: usize>(Arc<Mutex<Shared<B, G>>>);

#[derive(Debug)]
struct Shared<B: Launch, const G: usize> {
    x: FloatTensor<B>,
    members: [Member<B>; G],
    /// x · aᵀ of each, one after the other.
    h: FloatTensor<B>,
    /// Of each output, as they come.
    arrived: [Option<Arrived<B>>; G],
}

/// The gradient of an output, and the nodes of its a and b.
#[derive(Debug)]
struct Arrived<B: Launch> {
    dy: FloatTensor<B>,
    nodes: [Option<NodeId>; 2],
}

impl<B: Launch, const G: usize> Group<B, G> {
    /// The forward pass, with what its backward pass needs.
    pub(super) fn run(x: FloatTensor<B>, members: [Member<B>; G]) -> ([FloatTensor<B>; G], Self) {
        let (outputs, h) = adapted_group::<B, G>(&x, &members);
        (outputs, Self::of(x, h, members))
    }

    /// The same behind what has made x · aᵀ of each with x.
    pub(super) fn behind(x: FloatTensor<B>, h: FloatTensor<B>, members: [Member<B>; G]) -> ([FloatTensor<B>; G], Self) {
        let outputs = outputs_of::<B, G>(&x, &h, &members);
        (outputs, Self::of(x, h, members))
    }

    fn of(x: FloatTensor<B>, h: FloatTensor<B>, members: [Member<B>; G]) -> Self {
        let arrived = [const { None }; G];
        let shared = Shared { x, members, h, arrived };
        Self(Arc::new(Mutex::new(shared)))
    }
}

impl<B: Launch, const G: usize> Shared<B, G> {
    /// The gradients of all a, of all b, and of x · aᵀ, one after the other.
    fn adapters(&self, dys: &[FloatTensor<B>; G]) -> ([FloatTensor<B>; G], [FloatTensor<B>; G], FloatTensor<B>) {
        let (rows, inputs) = rows_width(&self.x.shape());
        let (dbs, dh) = self.second_matrices(dys, rows);
        let of_a = self.members.iter().map(|member| Product {
            m: member.rank(),
            n: inputs,
            k: rows,
            a_trans: true,
            b_trans: false,
            alpha: 1.0,
        });
        let of_a = group(of_a, [Operand::Row, Operand::One], false);
        let places = self.members.each_ref().map(|member| B::gradient_of(&member.a));
        let das = B::launch_to(of_a, vec![dh.clone(), self.x.clone()], places);
        (das, dbs, dh)
    }

    /// The gradients of all b, and of x · aᵀ: of two linears in one launch, of three, which would take more buffers than a launch
    /// may have, in two.
    fn second_matrices(&self, dys: &[FloatTensor<B>; G], rows: usize) -> ([FloatTensor<B>; G], FloatTensor<B>) {
        let members = || self.members.iter();
        let kernel = LowRankBack {
            rows,
            members: members().map(Member::low_rank).collect(),
        };
        if let ([one, other], true) = (self.members.as_slice(), kernel.has_short_sums()) {
            let bs = [one.b.clone(), other.b.clone()];
            let read = dys.iter().chain([&self.h]).chain(&bs).cloned().collect();
            let places = [
                B::gradient_of(&one.b),
                B::gradient_of(&other.b),
                Output::New(self.h.shape()),
            ];
            let [db, other_db, dh] = B::launch_to(kernel, read, places);
            if let Ok(dbs) = <[FloatTensor<B>; G]>::try_from(vec![db, other_db]) {
                return (dbs, dh);
            }
        }
        let of_b = members().map(|member| Product {
            m: member.outputs(),
            n: member.rank(),
            k: rows,
            a_trans: true,
            b_trans: false,
            alpha: member.form.lora.scale,
        });
        let of_b = group(of_b, [Operand::Each, Operand::Row], false);
        let places = self.members.each_ref().map(|member| B::gradient_of(&member.b));
        let read = dys.iter().chain([&self.h]).cloned().collect();
        let dbs = B::launch_to(of_b, read, places);
        let of_h = members().map(|member| Product {
            m: rows,
            n: member.rank(),
            k: member.outputs(),
            a_trans: false,
            b_trans: false,
            alpha: member.form.lora.scale,
        });
        let of_h = group(of_h, [Operand::Each, Operand::Each], true);
        let read = dys.iter().chain(members().map(|member| &member.b)).cloned().collect();
        (dbs, in_a_row::<B>(of_h, read))
    }
}

/// Of x, a and b of one linear of a group of G, and of its bias if it has one.
#[derive(Debug)]
pub(super) struct GroupBackward<const G: usize> {
    /// Its number.
    pub(super) member: usize,
}

/// N is 3, 4 where there is a bias.
impl<B: Launch, const G: usize, const N: usize> Backward<B, N> for GroupBackward<G> {
    type State = Group<B, G>;
    fn backward(self, ops: Node<Self::State, N>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dy = grads.consume::<B>(&ops.node);
        let mut parents = ops.parents.into_iter();
        let [of_x, of_a, of_b, of_bias] = std::array::from_fn(|_| parents.next().flatten());
        if let Some(node) = of_bias {
            grads.register::<B>(node.id, column_sums::<B>(dy.clone()));
        }
        let Group(shared) = ops.state;
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = [of_a.map(|node| node.id), of_b.map(|node| node.id)];
        shared.arrived[self.member] = Some(Arrived { dy, nodes });
        if shared.arrived.iter().any(Option::is_none) {
            return;
        }
        let arrived = shared.arrived.each_mut().map(Option::take);
        let nodes = arrived
            .each_ref()
            .map(|arrived| arrived.as_ref().map(|arrived| arrived.nodes));
        let dys: Vec<_> = arrived.into_iter().flatten().map(|arrived| arrived.dy).collect();
        let Ok(dys) = <[FloatTensor<B>; G]>::try_from(dys) else {
            return;
        };
        let (das, dbs, dh) = shared.adapters(&dys);
        for ((nodes, da), db) in nodes.into_iter().flatten().zip(das).zip(dbs) {
            for (node, gradient) in nodes.into_iter().zip([da, db]) {
                if let Some(node) = node {
                    grads.register::<B>(node, gradient);
                }
            }
        }
        let Some(node) = of_x else { return };
        let (rows, inputs) = rows_width(&shared.x.shape());
        let mut so_far = take_so_far!(B, grads, ops.node, node);
        let mut alone: Vec<FloatTensor<B>> = dys.into();
        // Its launch has no room for what there is so far.
        let pair = pair_of(rows, &shared.members, true).filter(|_| so_far.is_none());
        if let (Some(pair), [.., one, other]) = (pair, shared.members.as_slice()) {
            let mut read = alone.split_off(G - 2);
            read.extend([&one.w, &other.w, &dh, &one.a, &other.a].map(Clone::clone));
            let [sum] = B::launch(pair, read, [Shape::new([rows, inputs])]);
            so_far = Some(sum);
        }
        for (i, dy) in alone.into_iter().enumerate() {
            let Member { w, a, form, .. } = shared.members[i].clone();
            let addend = so_far.take().map(|sum| (sum, MatMulAdd::Full));
            let low = [part::<B>(&dh, rows, &shared.members, i), a];
            so_far = Some(product_and_low_rank::<B>(dy, w, addend, low, (form.base, 1.0), true));
        }
        if let Some(dx) = so_far {
            hand::<B>(grads, node.id, dx);
        }
    }
}
