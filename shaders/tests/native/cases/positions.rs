//! Rotations, and keys and values that are appended to those of a cache.

use super::{Case, LENGTHS, Noise, case};
use lorakeet_shaders::{Append, Rope};

/// Heads and widths, even and odd, both ways; stretches of all lengths behind others.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (rows, tokens, heads, kv_heads, dim) in [
        (1, 1, 1, 1, 2),
        (10, 5, 3, 1, 6),
        (51, 17, 2, 2, 64),
        (33, 33, 5, 2, 10),
    ] {
        for inverse in [false, true] {
            let kernel = Rope {
                rows,
                tokens,
                heads,
                kv_heads,
                dim,
                inverse,
            };
            let mut rope = case(kernel, 3.0, 1e-5);
            let angles = Noise(3).values(rope.inputs[2].len(), 3.0);
            rope.inputs[2] = angles.iter().map(|angle| angle.cos()).collect();
            rope.inputs[3] = angles.iter().map(|angle| angle.sin()).collect();
            cases.push(rope);
        }
    }
    // What is copied is the same to the last bit.
    for (kept, added) in LENGTHS.into_iter().zip(LENGTHS.into_iter().rev()) {
        cases.push(case(Append { kept, added }, 1.0, 0.0));
    }
    cases
}
