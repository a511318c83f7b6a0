//! What adapters of low rank put into launches of their own.

use super::{Case, case};
use lorakeet_shaders::{LowRankBack, LowRankMember};

/// All of them.
pub fn all() -> Vec<Case> {
    backward()
}

/// Gradients of one adapter and of two of different sizes, by every text.
fn backward() -> Vec<Case> {
    let mut cases = Vec::new();
    for rows in [1, 3, 6, 40, 150] {
        for (outputs, rank) in [(3, 2), (40, 8), (130, 20)] {
            let scale = 0.5;
            let one = LowRankMember { outputs, rank, scale };
            let other = LowRankMember {
                outputs: outputs + 5,
                rank: rank + 1,
                scale: 1.5,
            };
            for members in [vec![one], vec![one, other]] {
                cases.push(case(LowRankBack { rows, members }, 1.0, 2e-5));
            }
        }
    }
    cases
}
