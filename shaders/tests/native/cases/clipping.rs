//! Steps whose gradients are clipped by a factor on the device.

use super::{Case, LENGTHS, case, eight_bits};
use lorakeet_shaders::{AdamW, Clip, ClippedAdamW, ClippedAdamW8bit};

/// The factor that clips, and steps that read it: one of a norm that is clipped, one of none, one after the end.
pub fn in_floats() -> Vec<Case> {
    let mut cases = Vec::new();
    for (losses, squares, last) in [(1, 1, 2), (2, 64, 5), (3, 200, 205)] {
        for (max_norm, ended) in [(0.1, 0.0), (1e3, 0.0), (0.0, 0.0), (1.0, 1.0)] {
            let kernel = Clip {
                losses,
                squares,
                last,
                max_norm,
            };
            let mut case = case(kernel, 1.0, 1e-5);
            case.inputs[1].iter_mut().for_each(|square| *square = square.abs());
            case.inputs[2][last - 1] = ended;
            cases.push(case);
        }
    }
    for len in LENGTHS {
        for ended in [0.0, 1.0] {
            let step = AdamW::step(len, 3, 1e-2, (0.9, 0.999), 1e-8, 0.1);
            let mut case = case(ClippedAdamW { step, scales: 5 }, 1.0, 1e-5);
            case.inputs[3].iter_mut().for_each(|v| *v = v.abs());
            case.inputs[4] = vec![7.0, 8.0, 9.0, 0.3, ended];
            cases.push(case);
        }
    }
    cases
}

/// The cases of [`eight_bits`] with their factor in a buffer, beside them; of each the second is after the end.
pub fn in_eight_bits() -> Vec<(Case, [Case; 2])> {
    let clipped = |plain: &Case, ended: f32| {
        let (len, grad_scale) = match format!("{:?}", plain.kernel).contains("grad_scale: 0.3") {
            true => (plain.inputs[0].len(), 0.3),
            false => (plain.inputs[0].len(), 1.0),
        };
        let step = AdamW::step(len, 3, 1e-2, (0.9, 0.999), 1e-8, 0.1);
        Case {
            kernel: Box::new(ClippedAdamW8bit { step, scales: 3 }),
            inputs: [plain.inputs.clone(), vec![vec![7.0, grad_scale, ended]]].concat(),
            tolerance: plain.tolerance,
        }
    };
    let with = |plain: Case| {
        let both = [0.0, 1.0].map(|ended| clipped(&plain, ended));
        (plain, both)
    };
    eight_bits().into_iter().map(with).collect()
}

/// Every case.
pub fn all() -> Vec<Case> {
    let in_eight_bits = in_eight_bits().into_iter().flat_map(|(_, both)| both);
    in_floats().into_iter().chain(in_eight_bits).collect()
}
