//! The losses that a dry run ends in.

use super::backward::Trained;
use super::dry_run::DryRun;
use super::{SymbolicTensor, bytes_of};
use crate::models::{Matrix, Stored};
use crate::ops::chunk_rows;

impl DryRun<'_> {
    /// The loss of hidden states \[N, C\] against a head \[V, C\], in chunks of tokens; keeps the gradients that it makes on
    /// the way, of x and of a head that is trained.
    pub(crate) fn vocabulary_loss(&self, x: SymbolicTensor<2>, head: &Matrix, caps: bool) {
        let (trained, parts) = match &head.stored {
            Stored::Dense(weight) => (Trained::from(weight), 1),
            Stored::Packed { matrix, .. } => (Trained(None), matrix.parts()),
        };
        let node = self.node(&[x.node], trained.is_some());
        let (width, rows) = (head.columns, x.shape[0]);
        let (mut done, mut pieces, mut dw) = (0, Vec::new(), None);
        while done < rows {
            let count = chunk_rows(head.rows).min(rows - done);
            done += count;
            let chunk_bytes = bytes_of(&[count, head.rows]);
            let gradients = usize::from(x.node.tracked) + usize::from(trained.is_some());
            self.ledger.multiply(1 + gradients, [count, width, head.rows]);
            // The columns of several parts are joined.
            let mut logits = self.ledger.launch(chunk_bytes, if parts > 1 { chunk_bytes } else { 0 });
            if caps {
                logits = self.ledger.hold(chunk_bytes);
            }
            if !node.tracked {
                continue;
            }
            let mut d_logits = self.ledger.hold(chunk_bytes);
            if caps {
                d_logits = self.ledger.hold(chunk_bytes);
            }
            drop(logits);
            if trained.is_some() {
                dw = Some(self.ledger.hold(bytes_of(&[head.rows, width])));
            }
            if x.node.tracked {
                pieces.push(self.ledger.hold(bytes_of(&[count, width])));
            }
            drop(d_logits);
        }
        let dx = match pieces.len() {
            0 => None,
            1 => pieces.pop(),
            _ => Some(self.ledger.hold(x.view.bytes)),
        };
        drop(pieces);
        let (x_node, x_bytes) = (x.node, x.view.bytes);
        self.record(node, move |backward, _dy| {
            if let Some(dx) = dx {
                backward.register(x_node, dx, x_bytes);
            }
            if let (Some(dw), Some(number)) = (dw, trained.0) {
                backward.given_weight(number, node.id, dw);
            }
        });
    }

    /// The loss of logits over classes, which are few; keeps their logarithms.
    pub(crate) fn class_loss(&self, logits: SymbolicTensor<2>) {
        let node = self.node(&[logits.node], false);
        let (inner, bytes) = (logits.node, logits.view.bytes);
        let kept = self.ledger.hold(bytes);
        self.record(node, move |backward, _dy| {
            let dx = backward.ledger.hold(bytes);
            backward.register(inner, dx, bytes);
            drop(kept);
        });
    }
}
