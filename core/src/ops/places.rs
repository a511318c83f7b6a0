//! Where gradients of parameters are made: on a GPU as slices of flat tensors, as the parameters are, so that nobody has to
//! gather them.

use super::dispatched::Ops;
use super::launch::{Places, resume_places, suspend_places};
use burn::{backend::Dispatch, tensor::Tensor};

/// Flat tensors for the gradients of one micro-batch, whose backward pass may come in parts.
pub(crate) struct GradientPlaces {
    open: Vec<Places>,
    tensors: Vec<Tensor<1>>,
}

impl GradientPlaces {
    /// Places for the gradients of parameters that are slices of one of `values`.
    pub(crate) fn of(values: impl Iterator<Item = Tensor<1>>) -> Self {
        let tensors =
            values.map(|values| Tensor::from_dispatch(Dispatch::open_gradient_places(values.into_dispatch())));
        let tensors = tensors.collect();
        let open = suspend_places();
        Self { open, tensors }
    }

    /// Runs a backward pass: the first gradient of a parameter that one of the engine's operations makes is made in its place,
    /// others elsewhere.
    pub(crate) fn within<T>(&mut self, pass: impl FnOnce() -> T) -> T {
        /// Also after a pass that fails they are this thread's no more.
        struct Open<'p>(&'p mut Vec<Places>);
        impl Drop for Open<'_> {
            fn drop(&mut self) {
                *self.0 = suspend_places();
            }
        }
        resume_places(std::mem::take(&mut self.open));
        let _open = Open(&mut self.open);
        pass()
    }

    /// The flat tensors. What no gradient was made in is arbitrary; [`is_slice`] tells.
    pub(crate) fn into_tensors(self) -> Vec<Tensor<1>> {
        self.tensors
    }
}

/// Whether x is the slice of `whole` that begins at number `start`.
pub(crate) fn is_slice(x: Tensor<1>, whole: Tensor<1>, start: usize) -> bool {
    Dispatch::is_slice(x.into_dispatch(), whole.into_dispatch(), start)
}
