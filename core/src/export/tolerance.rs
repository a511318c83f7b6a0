//! What the loss of an export may differ by from that of the run itself, and why it does.

use super::Form;
use crate::formats::Storage;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::export as msg;

/// Nats that a loss on held-out rows moves by where only the order of sums is another one.
const SUMS: f64 = 2e-3;

/// What numbers of a format lose: nats, of a loss of 1 nat.
fn tolerance(dtype: Option<Storage>, form: Form) -> f64 {
    let usual = match form {
        Form::Gguf => Storage::F16,
        Form::Peft | Form::Merged | Form::SentenceTransformers | Form::GgufAdapter | Form::Mlx => Storage::F32,
    };
    match dtype.unwrap_or(usual) {
        Storage::F16 => 5e-3,
        Storage::BF16 => 2e-2,
        Storage::Q8_0 => 2e-2,
        Storage::Q5K => 5e-2,
        Storage::Q4K => 1e-1,
        Storage::Q4_0 | Storage::Q4_1 => 2e-1,
        // A merged model without a format of its own has that of the base's files, which may have 16 bits.
        _ if matches!(form, Form::Merged | Form::SentenceTransformers) && dtype.is_none() => 2e-2,
        _ => SUMS,
    }
}

/// How far the loss of an export is expected to lie at most from the run's own, which is `wanted`.
pub fn expected_difference(wanted: f64, dtype: Option<Storage>, form: Form) -> f64 {
    tolerance(dtype, form) * wanted.abs().max(1.0)
}

/// What rounding to a format changes of a tensor at most, in relation to its size (‖w′ − w‖/‖w‖), and of each of its numbers
/// whatever that size: 16 bits hold no smaller ones, nor smaller scales of blocks. Of blocks it is about twice what they round of
/// numbers that are spread as weights are.
pub(super) fn rounding(storage: Storage) -> (f64, f64) {
    match storage {
        Storage::F16 => (1e-3, 3e-8),
        Storage::BF16 => (4e-3, 0.0),
        Storage::Q8_0 => (2.5e-2, 3e-5),
        Storage::Q6K => (5e-2, 3e-5),
        Storage::Q5_0 | Storage::Q5_1 | Storage::Q5K => (1e-1, 3e-5),
        Storage::Q4_0 | Storage::Q4_1 | Storage::Q4K => (2e-1, 3e-5),
        // Gemma's norms are written with 1 added.
        Storage::F32 | Storage::I64 | Storage::Other { .. } => (1e-6, 1.2e-7),
    }
}

/// Whether a loss of `found` is `wanted` but for what the format's numbers lose.
pub fn difference_is_small(wanted: f64, found: f64, dtype: Option<Storage>, form: Form) -> bool {
    (found - wanted).abs() <= expected_difference(wanted, dtype, form)
}

/// Why it may differ by more; `was_packed` where the run itself computed with fewer bits than the export's base has.
pub fn explanation(dtype: Option<Storage>, was_packed: bool) -> Message {
    match dtype {
        _ if was_packed => msg::DiffersByBase.into(),
        Some(dtype) if dtype.block_elements() > 1 => msg::DiffersByBlocks {
            dtype: super::name_of(dtype),
        }
        .into(),
        _ => msg::DiffersForNoReason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_bits_may_lose_more() {
        let small = |found, dtype| difference_is_small(2.0, found, Some(dtype), Form::Gguf);
        assert!(small(2.003, Storage::F32) && !small(2.01, Storage::F32));
        assert!(small(2.01, Storage::F16) && !small(2.1, Storage::F16));
        assert!(small(2.3, Storage::Q4_0) && !small(2.5, Storage::Q4_0));
        assert!(!small(f64::NAN, Storage::Q4_0));
    }
}
