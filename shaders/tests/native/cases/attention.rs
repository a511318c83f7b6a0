//! Attentions.

use super::{Case, Noise, case, twin};
use lorakeet_shaders::{
    Attention, AttentionNotes, AttentionOfBias, AttentionOfKeys, AttentionOfQueries, CachedAttention, Kernel,
};

/// Attention forward and backward.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for form in forms() {
        cases.extend(cases_of(&form));
    }
    cases.extend(of_tokens());
    cases
}

/// Attentions of a token that is generated: few and many heads, more keys than a workgroup has invocations, windows, caps.
fn of_tokens() -> impl Iterator<Item = Case> {
    let forms = [
        (1, 1, 1, 8, 0, 0.0),
        (5, 3, 5, 16, 0, 1.5),
        (1, 2, 33, 64, 0, 0.0),
        (2, 3, 300, 24, 100, 0.0),
        (1, 3, 600, 80, 0, 2.0),
        (2, 1, 7, 128, 4, 0.0),
    ];
    forms.into_iter().map(|(kv_heads, group, kept, dim, window, cap)| {
        let kernel = CachedAttention {
            kv_heads,
            group,
            kept,
            dim,
            window,
            scale: 2.0 / (dim as f32).sqrt(),
            cap,
        };
        assert!(kernel.suits(), "{kernel:?}");
        case(kernel, 1.0, 2e-5)
    })
}

/// Attentions of even and odd widths of heads, sizes and groups, with every kind of mask; some capped, some biased.
pub fn forms() -> Vec<Attention> {
    let mut forms = Vec::new();
    for (i, (batch, kv_heads, group, queries, keys, dim, offset, window)) in [
        (1, 1, 1, 1, 1, 1, 0, 0),
        (2, 3, 1, 5, 5, 5, 0, 0),
        (2, 2, 3, 17, 17, 8, 0, 4),
        // One query after many keys.
        (3, 1, 2, 1, 33, 16, 32, 0),
        (1, 2, 4, 1, 300, 64, 299, 100),
        (2, 1, 2, 7, 130, 33, 123, 65),
        (1, 2, 1, 33, 63, 80, 63, 0),
        // Both sides: all keys, and those within 4 of the query.
        (2, 2, 1, 17, 17, 96, 17, 0),
        (2, 1, 2, 33, 33, 12, 4, 9),
        (1, 3, 3, 40, 300, 64, 260, 0),
        (1, 1, 1, 66, 66, 128, 0, 0),
        (1, 1, 2, 35, 70, 256, 35, 0),
        (1, 2, 1, 20, 20, 260, 0, 7),
        // More keys than are seen, and more queries than see any.
        (1, 2, 1, 70, 20, 20, 20, 0),
        (1, 1, 1, 40, 9, 4, 0, 3),
        // Tiles of 64 rows.
        (2, 32, 1, 130, 70, 4, 70, 0),
        (2, 32, 1, 100, 100, 6, 0, 0),
    ]
    .into_iter()
    .enumerate()
    {
        forms.push(Attention {
            batch,
            kv_heads,
            group,
            queries,
            keys,
            dim,
            offset,
            window,
            scale: 2.0 / (dim as f32).sqrt(),
            cap: if i % 3 == 2 { 1.5 } else { 0.0 },
            biased: i % 2 == 1,
            segmented: false,
        });
    }
    forms.extend(of_segments());
    forms
}

/// Attentions of rows that hold several sequences: causal, in windows, and on both sides.
fn of_segments() -> impl Iterator<Item = Attention> {
    let forms = [
        (1, 1, 1, 1, 3, 0, 0),
        (2, 2, 3, 17, 8, 0, 0),
        (2, 1, 2, 70, 33, 0, 9),
        (1, 2, 1, 130, 64, 0, 0),
        (3, 1, 2, 33, 80, 0, 12),
        (1, 1, 2, 40, 256, 0, 0),
        (1, 1, 1, 75, 260, 0, 30),
        (2, 2, 2, 67, 12, 67, 0),
        (2, 1, 1, 50, 20, 5, 11),
        // Tiles of 64 rows.
        (2, 32, 1, 150, 6, 0, 0),
    ];
    let form = |(i, (batch, kv_heads, group, tokens, dim, offset, window)): (usize, _)| Attention {
        batch,
        kv_heads,
        group,
        queries: tokens,
        keys: tokens,
        dim,
        offset,
        window,
        scale: 2.0 / (dim as f32).sqrt(),
        cap: if i % 3 == 2 { 1.5 } else { 0.0 },
        biased: i % 4 == 3,
        segmented: true,
    };
    forms.into_iter().enumerate().map(form)
}

/// The mask of rows of several sequences, of any lengths: the first row is padded on the left, the others on the right.
fn segments(form: &Attention) -> Vec<f32> {
    let mut noise = Noise(17);
    let padding = if form.keys > 4 { 3 } else { 0 };
    let rows = (0..form.batch).flat_map(|row| {
        let padded = match row {
            0 => 0..padding,
            _ => form.keys - padding..form.keys,
        };
        let mut start = if row == 0 { padding } else { 0 };
        let number = |token: usize| {
            if padded.contains(&token) {
                return 0.0;
            }
            if noise.value() > 0.8 {
                start = token;
            }
            (start + 1) as f32
        };
        (0..form.keys).map(number).collect::<Vec<f32>>()
    });
    rows.collect()
}

/// What an attention's forward pass is given. The first example is padded on the left so that its first rows may see nothing, the
/// others here and there; where rows are segmented, as [`segments`] has it.
pub fn inputs(form: &Attention) -> Vec<Vec<f32>> {
    let mut inputs = case(form.clone(), 1.0, 0.0).inputs;
    if form.segmented {
        inputs[3] = segments(form);
        return inputs;
    }
    let mut noise = Noise(11);
    for (place, mask) in inputs[3].iter_mut().enumerate() {
        let hidden = if place < form.keys {
            form.keys > 1 && place < 2
        } else {
            noise.value() > 0.5
        };
        *mask = if hidden { 0.0 } else { 1.0 };
    }
    inputs
}

/// What its backward kernels are given besides: the forward pass's inputs, and the gradient of its output.
pub fn backward_inputs(form: &Attention, inputs: &[Vec<f32>], dout: &[f32]) -> [Vec<Vec<f32>>; 2] {
    let [out, logs]: [Vec<f32>; 2] = twin(form, inputs).try_into().expect("two outputs");
    let of_notes = vec![out, dout.to_vec(), logs, inputs[3].clone()];
    let notes = twin(&AttentionNotes(form.clone()), &of_notes).remove(0);
    let mut backward = inputs[..3].to_vec();
    backward.extend([dout.to_vec(), notes]);
    backward.extend(inputs.get(4).cloned());
    [of_notes, backward]
}

fn cases_of(form: &Attention) -> Vec<Case> {
    let inputs = inputs(form);
    let dout = Noise(13).values(inputs[0].len(), 1.0);
    let [of_notes, backward] = backward_inputs(form, &inputs, &dout);
    let of = |kernel: Box<dyn Kernel>, inputs: &[Vec<f32>]| Case {
        kernel,
        inputs: inputs.to_vec(),
        tolerance: 2e-5,
    };
    let mut cases = vec![
        of(Box::new(form.clone()), &inputs),
        of(Box::new(AttentionNotes(form.clone())), &of_notes),
        of(Box::new(AttentionOfQueries(form.clone())), &backward),
        of(Box::new(AttentionOfKeys(form.clone())), &backward),
    ];
    if form.biased {
        cases.push(of(Box::new(AttentionOfBias(form.clone())), &backward));
    }
    cases
}
