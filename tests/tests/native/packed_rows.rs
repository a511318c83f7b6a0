//! Packed rows: their examples do not see each other, and a run on them is the run on the same examples in rows of their own, on the
//! CPU and on software Vulkan.

use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_core::{
    config::{FinetuningType, RunConfig, TargetModules},
    data::{Batch, Example, PaddingSide, Start, collate},
    device,
    formats::{ModelFiles, peft::AdapterConfig},
    loss::IGNORE_INDEX,
    models::{Model, read},
    protocol::{DeviceChoice, Event},
    random::Generator,
    store::{MemoryFile, MemorySink},
};
use lorakeet_tests::{
    golden::block_on,
    rows,
    test_session::{TestSession, checkpoint},
    tiny,
    trajectory::take_steps,
};
use serde_json::{Value, json};
use std::rc::Rc;

const VOCAB: usize = 60;

/// Decoders of every kind of positions and masks: rotary and learned ones, full attention and windows, caps.
fn decoders() -> [(&'static str, Value); 5] {
    let sizes = |own: Value| {
        let mut config = json!({
            "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 3, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 6, "vocab_size": VOCAB, "max_position_embeddings": 64,
            "initializer_range": 0.2
        });
        for (key, value) in own.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
        config
    };
    [
        ("Llama", sizes(json!({ "model_type": "llama" }))),
        (
            "Mistral",
            sizes(json!({ "model_type": "mistral", "sliding_window": 4 })),
        ),
        (
            "Gemma 2",
            sizes(json!({ "model_type": "gemma2", "sliding_window": 6, "query_pre_attn_scalar": 6 })),
        ),
        (
            "Gemma 3",
            sizes(json!({
                "model_type": "gemma3_text", "sliding_window": 5, "sliding_window_pattern": 2,
                "query_pre_attn_scalar": 6
            })),
        ),
        (
            "GPT-2",
            json!({
                "model_type": "gpt2", "n_embd": 24, "n_inner": 40, "n_layer": 3, "n_head": 4, "vocab_size": VOCAB,
                "n_positions": 64, "initializer_range": 0.2
            }),
        ),
    ]
}

/// Recurrent networks, whose states begin anew at each example.
fn recurrent() -> [(&'static str, Value); 3] {
    ["small_rnn", "small_lstm", "small_gru"].map(|kind| {
        let config = json!({
            "model_type": kind, "architectures": ["SmallForCausalLM"], "hidden_size": 8, "num_hidden_layers": 2,
            "vocab_size": VOCAB, "initializer_range": 0.5
        });
        (kind, config)
    })
}

fn devices() -> [Device; 2] {
    [DeviceChoice::Cpu, DeviceChoice::Gpu].map(|choice| block_on(device::open(choice)).expect("the device opens").0)
}

/// A fresh model with adapters whose matrices are both other than zero, so that both have gradients; with `full` of all weights.
fn model(config: &Value, full: bool, device: &Device) -> Model {
    let files = ModelFiles::from_config("fresh", config.clone());
    let loaded = block_on(Model::load(&files, full, 3, device, &mut |_, _| ()));
    let mut model = loaded.unwrap_or_else(|error| panic!("{config}: {error}"));
    if full {
        return model;
    }
    let adapter = AdapterConfig {
        r: 3,
        target_modules: TargetModules::Pattern("all-linear".into()),
        ..AdapterConfig::default()
    };
    model.attach_lora(&adapter, 5).expect("the modules are there");
    let mut generator = Generator::new(7, "adapter");
    let counts: Vec<usize> = model
        .parameters
        .iter()
        .map(|parameter| parameter.shape.iter().product())
        .collect();
    for (i, count) in counts.into_iter().enumerate() {
        let values: Vec<f32> = (0..count).map(|_| generator.normal() as f32 * 0.2).collect();
        let values = Tensor::from_data(TensorData::new(values, [count]), device);
        model.parameters.set(i, values);
    }
    model
}

/// A packed row of examples of these lengths, of which longer ones begin with a prompt.
fn packed_row(lengths: &[usize], generator: &mut Generator) -> Example {
    let mut row = Example {
        row: 1,
        ..Example::default()
    };
    for (number, &length) in lengths.iter().enumerate() {
        let token = row.input_ids.len();
        if number > 0 {
            row.starts.push(Start { token, row: number + 1 });
        }
        for place in 0..length {
            let id = generator.below(VOCAB) as u32;
            let is_learnt = place > 0 && (length < 6 || place > 2);
            row.input_ids.push(id);
            row.labels.push(if is_learnt { id as i32 } else { IGNORE_INDEX });
        }
    }
    row
}

/// Rows of several examples and of one, full and with padding behind.
fn packed_rows() -> Vec<Example> {
    let mut generator = Generator::new(11, "rows");
    let lengths: [&[usize]; 3] = [&[7, 13, 2, 19], &[38], &[4, 9, 11]];
    lengths
        .into_iter()
        .map(|lengths| packed_row(lengths, &mut generator))
        .collect()
}

fn batch(rows: &[Example]) -> Batch {
    let rows: Vec<&Example> = rows.iter().collect();
    collate(&rows, 0, PaddingSide::Right, |longest| longest.next_multiple_of(8))
}

fn apart(rows: &[Example]) -> Vec<Example> {
    rows.iter().flat_map(Example::apart).collect()
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = block_on(tensor.into_data_async()).expect("the device answers");
    data.try_into_vec().expect("f32")
}

/// The mean loss of the batch's targets, and its gradients by the names of what is trained.
fn loss_and_gradients(model: &Model, batch: &Batch) -> (f32, Vec<(String, Vec<f32>)>) {
    let leaves = model.parameters.tracked();
    let scale = 1.0 / batch.target_tokens as f32;
    let loss = model.loss(&leaves, batch, scale, None).expect("labels that fit");
    let gradients = loss.backward();
    let of_each = model.parameters.iter().enumerate().map(|(i, parameter)| {
        let gradient = leaves.grad(i, &gradients);
        (parameter.name.clone(), gradient.map(values).unwrap_or_default())
    });
    let of_each = of_each.collect();
    (values(loss)[0], of_each)
}

#[test]
fn loss_and_gradients_of_packed_rows_are_those_of_their_examples_apart() {
    let packed = packed_rows();
    let (together, single) = (batch(&packed), batch(&apart(&packed)));
    assert_eq!(together.target_tokens, single.target_tokens);
    let leaking = Batch {
        position_ids: Vec::new(),
        ..together.clone()
    };
    let decoders = decoders().map(|(name, config)| (name, config, false));
    let recurrent = recurrent().map(|(name, config)| (name, config, true));
    for device in devices() {
        for (name, config, full) in decoders.iter().chain(&recurrent) {
            let model = model(config, *full, &device);
            let (found, of_packed) = loss_and_gradients(&model, &together);
            let (wanted, of_single) = loss_and_gradients(&model, &single);
            assert!(
                (found - wanted).abs() <= 1e-5 * wanted,
                "{name}: {found}, apart {wanted}"
            );
            let mut largest = 0f32;
            for ((parameter, found), (_, wanted)) in of_packed.iter().zip(&of_single) {
                assert_eq!(found.len(), wanted.len(), "{name}: {parameter}");
                for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                    largest = largest.max(wanted.abs());
                    assert!(
                        (found - wanted).abs() <= 1e-5 * (1.0 + wanted.abs()),
                        "{name}: {parameter} at {i} is {found}, apart {wanted}"
                    );
                }
            }
            assert!(largest > 1e-2, "{name}: the gradients are too small to tell");
            // Rows that are not told apart give another loss: that of a recurrent network with fresh weights differs least.
            let (leaked, _) = loss_and_gradients(&model, &leaking);
            assert!(
                (leaked - wanted).abs() > 5e-5 * wanted,
                "{name}: {leaked}, apart {wanted}"
            );
        }
    }
}

#[test]
fn a_token_of_one_example_changes_no_logit_of_another_to_the_last_bit() {
    let packed = packed_rows();
    let before = batch(&packed);
    let row = &packed[0];
    let starts: Vec<usize> = std::iter::once(0)
        .chain(row.starts.iter().map(|start| start.token))
        .chain([row.input_ids.len()])
        .collect();
    let decoders = decoders().map(|(name, config)| (name, config, false));
    let recurrent = recurrent().map(|(name, config)| (name, config, true));
    for device in devices() {
        for (name, config, full) in decoders.iter().chain(&recurrent) {
            let model = model(config, *full, &device);
            let leaves = model.parameters.plain();
            let logits = |batch: &Batch| values(model.logits(&leaves, batch));
            let were = logits(&before);
            for example in starts.windows(2) {
                let mut after = before.clone();
                after.input_ids[example[0]] = (after.input_ids[example[0]] + 1) % VOCAB as u32;
                let are = logits(&after);
                let differ = |token: usize| {
                    let of_token = token * VOCAB..(token + 1) * VOCAB;
                    were[of_token.clone()] != are[of_token]
                };
                let texts = (0..before.attention_mask.len()).filter(|&token| before.attention_mask[token] != 0.0);
                let changed: Vec<usize> = texts.filter(|&token| differ(token)).collect();
                let own = example[0]..example[1];
                assert!(changed.contains(&own.start), "{name}: the changed token is not read");
                assert!(
                    changed.iter().all(|token| own.contains(token)),
                    "{name}: {own:?} changes {changed:?}"
                );
            }
        }
    }
}

#[test]
fn packed_rows_layer_by_layer_are_those_at_once_to_the_last_bit() {
    let rows = batch(&packed_rows());
    for device in devices() {
        for (name, config) in decoders() {
            let trained = |gradient_checkpointing| {
                let mut model = model(&config, false, &device);
                let run = RunConfig {
                    gradient_checkpointing,
                    max_steps: 2,
                    learning_rate: 1e-2,
                    ..RunConfig::default()
                };
                let mut numbers = Vec::new();
                take_steps(
                    &mut model,
                    &run,
                    |_| vec![rows.clone()],
                    |_, _, done, _| numbers.push((done.loss.to_bits(), done.grad_norm.to_bits())),
                );
                let weights = model.parameters.iter().map(|parameter| {
                    let values = block_on(read(parameter.value.clone())).expect("weights");
                    values.into_iter().map(f32::to_bits).collect::<Vec<u32>>()
                });
                let weights: Vec<Vec<u32>> = weights.collect();
                (numbers, weights)
            };
            assert!(trained(true) == trained(false), "{name}");
        }
    }
}

/// All rows in each step, without dropout.
fn whole(packing: bool) -> RunConfig {
    RunConfig {
        packing: Some(packing),
        per_device_train_batch_size: 64,
        gradient_accumulation_steps: 1,
        lora_dropout: 0.0,
        val_size: 0.0,
        max_steps: 1,
        ..tiny::config()
    }
}

#[test]
fn a_run_on_packed_rows_has_the_loss_of_the_run_on_their_examples() {
    let texts: String = (0..9u8)
        .map(|i| {
            let text = format!("{} and {}.", "no ".repeat(1 + usize::from(i) % 4), char::from(b'a' + i));
            format!("{}\n", json!({ "text": text }))
        })
        .collect();
    let texts = MemoryFile::source("rows.jsonl", texts.into_bytes());
    for data in [tiny::data_file(), texts] {
        let [packed, apart] = [true, false].map(|packing| {
            let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), data.clone());
            session.train(whole(packing));
            assert!(session.summary().finished);
            session.steps().remove(0)
        });
        let close = |found: f64, wanted: f64| (found - wanted).abs() <= 1e-5 * wanted.abs();
        assert!(close(packed.loss, apart.loss), "{} and {}", packed.loss, apart.loss);
        assert!(
            (packed.grad_norm - apart.grad_norm).abs() <= 1e-4 * apart.grad_norm,
            "{} and {}",
            packed.grad_norm,
            apart.grad_norm
        );
    }
}

#[test]
fn a_packed_run_that_goes_on_is_the_one_that_never_stopped() {
    let config = RunConfig {
        packing: Some(true),
        max_steps: 6,
        save_steps: 2.0,
        ..tiny::config()
    };
    let sink = Rc::new(MemorySink::new());
    let mut session = TestSession::open();
    session.inner.sink = Some(sink.clone());
    session.train(config.clone());
    assert!(session.summary().finished);
    let unbroken = session.numbers();
    let mut session = TestSession::open();
    session.inner.resume = Some(checkpoint(&sink, 4));
    session.train(config);
    assert!(session.summary().finished);
    assert_eq!(session.numbers(), unbroken[4..]);
}

#[test]
fn where_rows_are_not_packed_a_run_says_so() {
    let run = RunConfig {
        packing: Some(true),
        max_steps: 1,
        ..tiny::config()
    };
    let said = |session: &TestSession| {
        session.events.iter().any(|event| match event {
            Event::Warning { message } => message.english().contains("packing has no effect"),
            _ => false,
        })
    };
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), rows::classes(24));
    session.train(run.clone());
    assert!(said(&session), "{:?}", session.events);
    let numbers: String = (0..12)
        .map(|i| format!("{},{},{}\n", i, 12 - i, ["x", "y"][i % 2]))
        .collect();
    let data = MemoryFile::source("rows.csv", format!("a,b,label\n{numbers}").into_bytes());
    let mut session = TestSession::small("small_mlp", vec![data]);
    session.train(RunConfig {
        packing: Some(true),
        finetuning_type: FinetuningType::Full,
        max_steps: 1,
        ..RunConfig::default()
    });
    assert!(said(&session), "{:?}", session.events);
    let mut session = TestSession::open();
    session.train(run);
    assert!(!said(&session), "{:?}", session.events);
}
