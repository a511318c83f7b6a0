//! The engine on a real encoder, all-MiniLM-L6-v2 (the folder that LORAKEET_MINILM names): sentence embeddings against
//! transformers (golden group F), on the CPU and on software Vulkan.

use lorakeet_core::{
    device,
    formats::ModelFiles,
    models::{HeadKind, Model, read},
    protocol::DeviceChoice,
};
use lorakeet_tests::{
    golden::{Case, block_on, number, worst_difference},
    trajectory::batch,
};
use std::path::PathBuf;

/// The mean of the tokens' hidden states, of length 1.
fn embeddings(hidden: &[f32], mask: &[f32], tokens: usize) -> Vec<f32> {
    let width = hidden.len() / mask.len();
    let rows = hidden.chunks(tokens * width).zip(mask.chunks(tokens));
    rows.flat_map(|(hidden, mask)| {
        let sum = |c: usize| -> f32 { hidden.chunks(width).zip(mask).map(|(h, m)| h[c] * m).sum() };
        let mean: Vec<f32> = (0..width).map(|c| sum(c) / mask.iter().sum::<f32>()).collect();
        let length = mean.iter().map(|v| v * v).sum::<f32>().sqrt();
        mean.into_iter().map(move |v| v / length)
    })
    .collect()
}

#[test]
fn sentence_embeddings_match_the_reference() {
    let path = PathBuf::from(std::env::var_os("LORAKEET_MINILM").expect("LORAKEET_MINILM names the model's folder"));
    // A small folder leaves the case out.
    let Some(case) = Case::all("F").into_iter().find(|case| case.name == "F/minilm_model") else {
        return;
    };
    let (inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    let ids = &inputs["input_ids"];
    let ignored = vec![-100.0; ids.values.len()];
    let batch = batch(ids.shape[1], &ids.values, &inputs["attention_mask"].values, &ignored);
    for (choice, factor) in [(DeviceChoice::Cpu, 1.0), (DeviceChoice::Gpu, 4.0)] {
        let device = block_on(device::open(choice)).expect("the device opens").0;
        let files = block_on(ModelFiles::open_path(&path)).expect("the model's files open");
        let model = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("the model loads");
        assert_eq!(model.task(), HeadKind::Features);
        let hidden = model.hidden_states(&model.parameters.plain(), &batch, false);
        let hidden = block_on(read(hidden.reshape([-1]))).expect("the device answers");
        let found = embeddings(&hidden, &batch.attention_mask, batch.tokens);
        let worst = worst_difference(&found, &expected["embedding"].values);
        let tolerance = number(&case.json["tolerance"]["embedding_abs"]) * factor;
        assert!(worst <= tolerance, "{choice:?}: embeddings differ by {worst:e}");
    }
}
