//! Passes that compute nothing, so that a GPU's kernels can be compiled before they are needed: which kernels a pass launches
//! follows from shapes alone, and so do their sources.
//!
//! In a rehearsal the engine's kernels are noted instead of launched ([`super::launch`]), and what would have been computed is
//! arbitrary. burn's own operations between them are launched as ever: they are few and cheap, and compiled by that. Each noted
//! kernel is then compiled by a launch on no workgroups, whose number the GPU reads from a buffer. (The runtime passes over
//! launches whose number is known to be 0, and its own dry run would drop the launches of other threads, too.)
//!
//! A rehearsal is its thread's.

use burn_cubecl::cubecl::{
    CubeCount, CubeKernel,
    client::Client,
    prelude::KernelId,
    server::{KernelArguments, MetadataBindingInfo},
};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::sync::{LazyLock, Mutex};

/// Bytes that a binding of a launch on no workgroups has, and a multiple of which it begins at: the coarsest alignment that
/// WebGPU's limits allow an adapter (`minStorageBufferOffsetAlignment`).
const BINDING_BYTES: u64 = 256;

/// The engine's kernels that this process has compiled, or begun to.
static COMPILED: LazyLock<Mutex<HashSet<KernelId>>> = LazyLock::new(Mutex::default);

thread_local! {
    /// What the rehearsal has noted that this thread is in.
    static UNDER_WAY: RefCell<Option<Noted>> = const { RefCell::new(None) };
}

/// The kernels that passes ask for and that are not compiled yet.
#[derive(Default)]
pub(crate) struct Rehearsal {
    noted: Noted,
}

#[derive(Default)]
struct Noted {
    known: HashSet<KernelId>,
    left: VecDeque<Uncompiled>,
}

/// A kernel, and what a launch of it is given.
struct Uncompiled {
    client: Client,
    kernel: Box<dyn CubeKernel>,
    /// Inputs and outputs.
    buffers: usize,
    /// Its uniform's words.
    info: Vec<u64>,
}

impl Rehearsal {
    /// Runs a pass whose kernels are noted. What it gives is arbitrary, but for its shapes.
    pub(crate) fn within<T>(&mut self, pass: impl FnOnce() -> T) -> T {
        /// Also after a pass that fails this thread computes again.
        struct UnderWay<'n>(&'n mut Noted);
        impl Drop for UnderWay<'_> {
            fn drop(&mut self) {
                *self.0 = UNDER_WAY.take().unwrap_or_default();
            }
        }
        UNDER_WAY.set(Some(std::mem::take(&mut self.noted)));
        let _under_way = UnderWay(&mut self.noted);
        pass()
    }

    /// How many kernels were noted and are not compiled.
    pub(crate) fn left(&self) -> usize {
        self.noted.left.len()
    }

    /// Has the next of them compiled, `count` at most; they are when something is read after that.
    pub(crate) fn compile(&mut self, count: usize) {
        let count = count.min(self.left());
        self.noted.left.drain(..count).for_each(Uncompiled::compile);
    }
}

impl Uncompiled {
    fn compile(self) {
        let Self {
            client,
            kernel,
            buffers,
            info,
        } = self;
        let all = BINDING_BYTES * buffers as u64;
        let bindings = client.empty(all as usize);
        let mut arguments = KernelArguments::new();
        for start in (0..all).step_by(BINDING_BYTES as usize) {
            let binding = bindings.clone().offset_start(start);
            let binding = binding.offset_end(all - start - BINDING_BYTES);
            arguments = arguments.with_buffer(binding.binding());
        }
        arguments.info = MetadataBindingInfo::custom(info);
        let no_workgroups = client.create_from_slice(&[0; 12]);
        client.launch(kernel, CubeCount::Dynamic(no_workgroups.binding()), arguments);
    }
}

/// Whether this thread is in a rehearsal.
pub(super) fn is_under_way() -> bool {
    UNDER_WAY.with_borrow(Option::is_some)
}

/// Notes a kernel with so many inputs and outputs, if it is not compiled nor noted before.
pub(super) fn note(client: &Client, kernel: Box<dyn CubeKernel>, buffers: usize, info: Vec<u64>) {
    let id = kernel.id();
    if COMPILED.lock().is_ok_and(|compiled| compiled.contains(&id)) {
        return;
    }
    UNDER_WAY.with_borrow_mut(|noted| {
        if let Some(noted) = noted
            && noted.known.insert(id)
        {
            noted.left.push_back(Uncompiled {
                client: client.clone(),
                kernel,
                buffers,
                info,
            });
        }
    });
}

/// The runtime has asked for the source of this kernel.
pub(super) fn note_compiled(id: KernelId) {
    if let Ok(mut compiled) = COMPILED.lock() {
        compiled.insert(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn a_thread_computes_again_after_a_rehearsal_even_one_that_fails() {
        let mut rehearsal = Rehearsal::default();
        assert!(!is_under_way());
        assert!(rehearsal.within(is_under_way));
        assert!(!rehearsal.within(|| std::thread::spawn(is_under_way).join().expect("it ends")));
        let fails = || assert!(!is_under_way(), "a pass that fails");
        let failed = catch_unwind(AssertUnwindSafe(|| rehearsal.within(fails)));
        assert!(failed.is_err() && !is_under_way());
        assert!(rehearsal.within(is_under_way) && !is_under_way());
    }
}
