//! The loss over a vocabulary with its gradients, chunk by chunk of tokens, so that no logits are kept.

use super::dispatched::Ops;
use super::forms::VocabularyForm;
use super::forward::{column_sums, launch_one, rows_width};
use super::launch::Launch;
use super::products::{Product, linear_dx};
use burn::backend::{Backend, Shape, TensorMetadata, tensor::FloatTensor};
use lorakeet_shaders as kernels;
use lorakeet_shaders::Add as MatMulAdd;

/// Logits that are held at a time, about: 32 MiB of them.
const LOGITS: usize = 8 << 20;
/// Rows of a product's tile on a GPU: fewer leave a part of it idle, and read the matrix as often.
const TILE_ROWS: usize = 64;
/// Logits that every binding holds: WebGPU's floor for it is 128 MiB.
const MOST_LOGITS: usize = 32 << 20;

/// Tokens whose logits are held at a time: about 32 MiB of them, in whole tiles of rows as far as a binding of 128 MiB holds them.
///
/// From the shape alone: the gradient of a matrix that is trained is summed chunk by chunk, and a run's numbers depend on nothing
/// that was measured. A chunk whose products take longer than a launch may is several launches
/// ([`device::most_operations`](crate::device::most_operations)).
pub(crate) fn chunk_rows(vocab: usize) -> usize {
    let vocab = vocab.max(1);
    let tiles = (LOGITS / vocab).max(1).next_multiple_of(TILE_ROWS);
    tiles.min(MOST_LOGITS / vocab).max(1)
}

pub(super) struct VocabularyLoss<B: Backend> {
    pub(super) loss: FloatTensor<B>,
    pub(super) dx: Option<FloatTensor<B>>,
    pub(super) dw: Option<FloatTensor<B>>,
    pub(super) dbias: Option<FloatTensor<B>>,
}

/// Which gradients a vocabulary loss is asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NeedsGrad {
    pub(super) dx: bool,
    pub(super) dw: bool,
    pub(super) dbias: bool,
}

/// The loss and, where wanted, its gradients in one pass over chunks of tokens.
pub(super) fn vocabulary_loss<B: Launch>(
    x: FloatTensor<B>,
    w: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    targets: FloatTensor<B>,
    form: VocabularyForm,
    needs: NeedsGrad,
) -> VocabularyLoss<B> {
    let ((rows, width), vocab) = (rows_width(&x.shape()), w.shape()[0]);
    let VocabularyForm { scale, soft_cap } = form;
    let mut losses = Vec::new();
    let mut dxs = Vec::new();
    let mut dw: Option<FloatTensor<B>> = None;
    let mut dbias: Option<FloatTensor<B>> = None;
    let chunk = chunk_rows(vocab);
    for start in (0..rows).step_by(chunk) {
        let end = (start + chunk).min(rows);
        let n = end - start;
        let part = |tensor: FloatTensor<B>| {
            if n == rows {
                tensor
            } else {
                B::float_slice(tensor, &[(start..end).into()])
            }
        };
        let (x_part, t_part) = (part(x.clone()), part(targets.clone()));
        let product = Product {
            m: n,
            n: vocab,
            k: width,
            a_trans: false,
            b_trans: true,
            alpha: 1.0,
        };
        let shape = Shape::new([n, vocab]);
        let logits = match &bias {
            None => product.run::<B>(x_part.clone(), w.clone()),
            Some(bias) => launch_one::<B>(
                product.kernel(MatMulAdd::Row),
                vec![x_part.clone(), w.clone(), bias.clone()],
                shape.clone(),
            ),
        };
        let cap = (soft_cap > 0.0).then(|| logit_cap(n * vocab, soft_cap));
        let logits = match &cap {
            None => logits,
            Some(cap) => launch_one::<B>(cap.clone(), vec![logits], shape.clone()),
        };
        losses.push(launch_one::<B>(
            kernels::CrossEntropy { rows: n, vocab },
            vec![logits.clone(), t_part.clone()],
            Shape::new([n]),
        ));
        if !needs.dx && !needs.dw && !needs.dbias {
            continue;
        }
        let kernel = kernels::CrossEntropyBackward { rows: n, vocab, scale };
        // The logits go before anything else is made.
        let dlogits = match &cap {
            None => launch_one::<B>(kernel, vec![logits, t_part], shape),
            Some(cap) => {
                let of_capped = launch_one::<B>(kernel, vec![logits.clone(), t_part], shape.clone());
                launch_one::<B>(cap.backward(), vec![logits, of_capped], shape)
            }
        };
        if needs.dbias {
            let part = column_sums::<B>(dlogits.clone());
            dbias = Some(match dbias.take() {
                None => part,
                Some(sum) => B::float_add(sum, part),
            });
        }
        if needs.dw {
            let product = Product {
                m: vocab,
                n: width,
                k: n,
                a_trans: true,
                b_trans: false,
                alpha: 1.0,
            };
            let shape = Shape::new([vocab, width]);
            dw = Some(match dw.take() {
                None => product.run::<B>(dlogits.clone(), x_part),
                Some(sum) => launch_one::<B>(
                    product.kernel(MatMulAdd::Full),
                    vec![dlogits.clone(), x_part, sum],
                    shape,
                ),
            });
        }
        if needs.dx {
            dxs.push(linear_dx::<B>(dlogits, w.clone(), None, false));
        }
    }
    let losses = if losses.len() == 1 {
        losses.remove(0)
    } else {
        B::float_cat(losses, 0)
    };
    let loss = <B as Ops>::scaled_sum(losses, scale);
    let dx = match dxs.len() {
        0 => None,
        1 => dxs.pop(),
        _ => Some(B::float_cat(dxs, 0)),
    };
    VocabularyLoss { loss, dx, dw, dbias }
}

/// cap · tanh(x / cap) of `len` logits.
pub(super) fn logit_cap(len: usize, cap: f32) -> kernels::SoftCap {
    kernels::SoftCap { len, scale: 1.0, cap }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_whole_tiles_of_logits_that_a_binding_holds() {
        for vocab in [2, 256, 3072, 32_000, 49_152, 151_936, 262_144, 400_000] {
            let rows = chunk_rows(vocab);
            assert!(rows.is_multiple_of(TILE_ROWS), "{vocab}: {rows}");
            assert!(
                rows * vocab <= MOST_LOGITS && rows * vocab >= LOGITS.min(TILE_ROWS * vocab),
                "{vocab}: {rows}"
            );
        }
        // No tile of these fits.
        for vocab in [600_000, 20_000_000] {
            assert_eq!(chunk_rows(vocab), MOST_LOGITS / vocab);
        }
        assert_eq!([chunk_rows(0), chunk_rows(usize::MAX)].map(|rows| rows > 0), [true; 2]);
    }
}
