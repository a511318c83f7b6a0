//! New keys and values behind those of a key-value cache.

use crate::Kernel;
use crate::launch::{by_element, info_words};

/// Two pairs of stretches, each pair as one: kept keys and new ones, kept values and new ones. Inputs kept keys \[kept\], new keys
/// \[added\], kept values \[kept\], new values \[added\]; outputs all keys and all values, \[kept + added\] each.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// Numbers that are there, of keys and of values.
    pub kept: usize,
    /// Numbers that come behind them.
    pub added: usize,
}

impl Append {
    /// Numbers of an output.
    fn len(&self) -> usize {
        self.kept + self.added
    }
}

impl Kernel for Append {
    by_element!("append", |kernel| kernel.len());

    fn info(&self) -> Vec<u32> {
        info_words(&[self.kept as u32, self.len() as u32])
    }

    fn input_lens(&self) -> Vec<usize> {
        [self.kept, self.added].repeat(2)
    }

    fn output_lens(&self) -> Vec<usize> {
        vec![self.len(); 2]
    }

    fn twin(&self, inputs: &[&[f32]], outputs: &mut [&mut [f32]]) {
        for (output, pair) in outputs.iter_mut().zip(inputs.chunks(2)) {
            let (kept, added) = output.split_at_mut(self.kept);
            kept.copy_from_slice(pair[0]);
            added.copy_from_slice(pair[1]);
        }
    }
}
