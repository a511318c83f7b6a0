//! A forward and a backward pass in bytes: what each operation makes, what its backward pass keeps, and when it is let go; and
//! what there is to compute in them.
//!
//! [`DryRun`] is the second implementation of [`super::graph::Graph`], so that every model has a forecast by its forward pass
//! alone. Each of its operations mirrors the functions of that name in `ops::forward` and `ops::backward`, or burn's own: an
//! operation that keeps another state there says so here. Buffers are [`Buffer`]s: dropping the last clone gives the bytes
//! back, as with tensors, and an element-wise operation writes over an input that nobody else holds. The backward pass goes as
//! burn's does, from the deepest operation up, and lets a state go when its operation is done.
//!
//! Left out is what is below a thousandth of a run: masks, ids, losses, and the positions' part of rotary tables.

mod activations;
mod backward;
mod dry_run;
mod in_parts;
mod linears;
mod losses;

pub(crate) use dry_run::DryRun;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Bytes of a number.
const F32: u64 = 4;

/// Bytes in use, and the most that ever were.
#[derive(Debug, Clone, Default)]
pub(crate) struct MemoryLedger(Rc<Totals>);

#[derive(Debug, Default)]
struct Totals {
    in_use: Cell<u64>,
    peak: Cell<u64>,
    largest: RefCell<Option<LargestTensor>>,
    work: RefCell<Work>,
}

/// What the kernels of a pass do: a kernel for each buffer that is made or written over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Work {
    /// Multiplications and additions of matrix products.
    pub(crate) operations: u64,
    /// Bytes that each kernel writes.
    pub(crate) written: Vec<u64>,
}

/// The largest tensor that a pass makes: \[N, …\], which grows with rows and with tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LargestTensor {
    pub(crate) shape: Vec<usize>,
    pub(crate) bytes: u64,
}

impl MemoryLedger {
    pub(crate) fn in_use(&self) -> u64 {
        self.0.in_use.get()
    }

    pub(crate) fn peak(&self) -> u64 {
        self.0.peak.get()
    }

    /// Takes bytes until what is given is dropped.
    pub(crate) fn hold(&self, bytes: u64) -> Buffer {
        self.write(bytes);
        self.reserve(bytes)
    }

    /// The same where no kernel writes them yet.
    fn reserve(&self, bytes: u64) -> Buffer {
        let totals = &self.0;
        totals.in_use.set(totals.in_use.get() + bytes);
        totals.peak.set(totals.peak.get().max(totals.in_use.get()));
        let ledger = self.clone();
        Buffer(Rc::new(Allocation { bytes, ledger }))
    }

    /// Keeps a tensor of `shape` if it is the largest so far.
    fn note(&self, shape: &[usize]) {
        let bytes = bytes_of(shape);
        let mut largest = self.0.largest.borrow_mut();
        if largest.as_ref().is_none_or(|largest| largest.bytes < bytes) {
            let shape = shape.to_vec();
            *largest = Some(LargestTensor { shape, bytes });
        }
    }

    /// The largest tensor since the last call.
    pub(crate) fn take_largest(&self) -> Option<LargestTensor> {
        self.0.largest.take()
    }

    /// Notes a kernel that writes `bytes`.
    fn write(&self, bytes: u64) {
        if bytes > 0 {
            self.0.work.borrow_mut().written.push(bytes);
        }
    }

    /// Notes products of matrices \[rows, inner\] and \[inner, columns\].
    fn multiply(&self, products: usize, [rows, inner, columns]: [usize; 3]) {
        let sizes = [2, products, rows, inner, columns];
        let operations = sizes
            .iter()
            .fold(1u64, |product, size| product.saturating_mul(*size as u64));
        let work = &mut self.0.work.borrow_mut().operations;
        *work = work.saturating_add(operations);
    }

    /// What was done since the last call.
    pub(crate) fn take_work(&self) -> Work {
        self.0.work.take()
    }

    /// What a kernel makes: `bytes`, while copies of `copied` bytes, of inputs that are not contiguous, are alive.
    fn launch(&self, bytes: u64, copied: u64) -> Buffer {
        let _copies = self.hold(copied);
        self.hold(bytes)
    }

    /// What an element-wise operation makes of x: written over x where nobody else holds it.
    fn unary(&self, x: View) -> View {
        match x.is_reusable() {
            true => {
                self.write(x.bytes);
                x
            }
            false => View::whole(self.hold(x.bytes), x.bytes),
        }
    }

    /// Queries and keys rotated in one kernel.
    fn rotate(&self, all: [&View; 2]) -> [View; 2] {
        let _copies = self.hold(all.iter().map(|x| x.copied()).sum());
        all.map(|x| View::whole(self.hold(x.bytes), x.bytes))
    }

    /// The same of x and y of one shape: written over x, over y, or a buffer of its own.
    fn binary(&self, x: View, y: View) -> View {
        self.unary(if x.is_reusable() { x } else { y })
    }
}

/// A buffer on the device; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Buffer(Rc<Allocation>);

#[derive(Debug)]
struct Allocation {
    bytes: u64,
    ledger: MemoryLedger,
}

impl Drop for Allocation {
    fn drop(&mut self) {
        let totals = &self.ledger.0;
        totals.in_use.set(totals.in_use.get() - self.bytes);
    }
}

impl Buffer {
    fn bytes(&self) -> u64 {
        self.0.bytes
    }
}

/// Where the numbers of a tensor lie.
#[derive(Debug, Clone)]
struct View {
    buffer: Buffer,
    /// Its own size; its buffer may be a larger one's.
    bytes: u64,
    /// Whether a kernel has to copy it first.
    strided: bool,
}

impl View {
    fn whole(buffer: Buffer, bytes: u64) -> Self {
        Self {
            buffer,
            bytes,
            strided: false,
        }
    }

    fn copied(&self) -> u64 {
        if self.strided { self.bytes } else { 0 }
    }

    fn is_reusable(&self) -> bool {
        !self.strided && Rc::strong_count(&self.buffer.0) == 1
    }
}

/// A tensor of a dry run: its shape and its place, without a number in it.
#[derive(Debug, Clone)]
pub(crate) struct SymbolicTensor<const D: usize> {
    view: View,
    shape: [usize; D],
    node: Node,
}

/// Where a tensor stands in the graph that the backward pass goes along.
#[derive(Debug, Clone, Copy)]
struct Node {
    id: usize,
    depth: usize,
    tracked: bool,
}

/// Bytes of a tensor.
fn bytes_of(shape: &[usize]) -> u64 {
    F32 * shape.iter().map(|size| *size as u64).product::<u64>()
}

/// What is trained beside a frozen base.
#[derive(Debug, Default)]
pub(crate) struct Adapters {
    /// The ranks of adapters by their modules' paths.
    pub(crate) ranks: BTreeMap<String, usize>,
    /// The modules that are trained whole.
    pub(crate) whole: BTreeSet<String>,
}

/// The gradients that are made as slices of flat tensors.
#[derive(Clone)]
pub(crate) struct GradientPlaces {
    /// What those tensors take.
    pub(crate) bytes: u64,
    /// Whether a gradient of so many bytes is one of them.
    pub(crate) has_place: Rc<dyn Fn(u64) -> bool>,
}
