//! The engine on a real model: SmolLM2-135M-Instruct from its GGUF file (LORAKEET_SMOLLM2), on the CPU.

use burn::tensor::Tensor;
use lorakeet_core::{
    config::TargetModules,
    data::Batch,
    device,
    formats::{ModelFiles, peft::AdapterConfig},
    models::{Model, read},
    ops::{self, AdamWStep},
    protocol::DeviceChoice,
};
use lorakeet_tests::golden::block_on;
use std::path::PathBuf;

fn open() -> (ModelFiles, Model) {
    let path = std::env::var_os("LORAKEET_SMOLLM2").expect("LORAKEET_SMOLLM2 names the GGUF file");
    let files = block_on(ModelFiles::open_path(&PathBuf::from(path))).expect("the file opens");
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the CPU opens").0;
    let model = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("the model loads");
    (files, model)
}

#[test]
fn greedy_continuation_of_the_capital_of_france_is_paris() {
    let (files, model) = open();
    let tokenizer = files.tokenizer.as_ref().expect("the file holds a tokenizer");
    let ids = tokenizer
        .encode("The capital of France is", true)
        .expect("the text encodes");
    let (leaves, mut cache) = (model.parameters.plain(), model.new_cache());
    let mut next = ids;
    let mut answer = Vec::new();
    for _ in 0..2 {
        let logits = model.next_logits(&leaves, &next, &mut cache, true);
        let values = block_on(read(logits.flatten::<1>(0, 1))).expect("the device answers");
        let best = (0..values.len())
            .max_by(|&a, &b| values[a].total_cmp(&values[b]))
            .expect("a vocabulary");
        answer.push(best as u32);
        next = vec![best as u32];
    }
    assert_eq!(tokenizer.decode(&answer, true).expect("the tokens decode"), " Paris.");
}

#[test]
fn ten_lora_steps_on_one_sentence_lower_its_loss() {
    let (files, mut model) = open();
    let config = AdapterConfig {
        target_modules: TargetModules::Pattern("all-linear".into()),
        r: 8,
        lora_alpha: 16.0,
        ..AdapterConfig::default()
    };
    model.attach_lora(&config, 42).expect("it has linears");
    let tokenizer = files.tokenizer.as_ref().expect("the file holds a tokenizer");
    let text = "Parakeets are small slender parrots with long tails that live in flocks and eat seeds.";
    let input_ids = tokenizer.encode(text, true).expect("the text encodes");
    let tokens = input_ids.len();
    let batch = Batch {
        rows: 1,
        tokens,
        attention_mask: vec![1.0; tokens],
        labels: input_ids.iter().map(|&id| id as i32).collect(),
        input_ids,
        target_tokens: tokens - 1,
        input_tokens: tokens,
    };
    let mut moments: Vec<(Tensor<1>, Tensor<1>)> = model
        .parameters
        .iter()
        .map(|p| (p.value.zeros_like(), p.value.zeros_like()))
        .collect();
    let mut losses = Vec::new();
    for step in 1..=10 {
        let leaves = model.parameters.tracked();
        let loss = model.loss(&leaves, &batch, 1.0 / batch.target_tokens as f32, None);
        let grads = loss.backward();
        losses.push(block_on(read(loss.inner())).expect("the device answers")[0]);
        for (i, (m, v)) in moments.iter_mut().enumerate() {
            let gradient = leaves.grad(i, &grads).expect("every adapter gets a gradient");
            let form = AdamWStep {
                lr: 2e-3,
                beta1: 0.9,
                beta2: 0.999,
                eps: 1e-8,
                weight_decay: 0.0,
                bias_correction1: 1.0 - 0.9f64.powi(step),
                bias_correction2: 1.0 - 0.999f64.powi(step),
                grad_scale: 1.0,
            };
            let value = model
                .parameters
                .iter()
                .nth(i)
                .expect("as many as moments")
                .value
                .clone();
            let (p, new_m, new_v) = ops::adamw(value, gradient, m.clone(), v.clone(), form);
            model.parameters.set(i, p);
            (*m, *v) = (new_m, new_v);
        }
    }
    assert!(losses[9] < losses[0] - 0.5, "{losses:?}");
}
