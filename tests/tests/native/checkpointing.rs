//! `gradient_checkpointing`: the numbers of a run are those without it to the last bit, and it takes less memory.

use burn::tensor::Device;
use lorakeet_core::{
    config::{FinetuningType, RunConfig, TargetModules},
    data::Batch,
    device,
    estimate::estimate,
    formats::{ModelFiles, peft::AdapterConfig},
    host::{Control, Host},
    models::{Model, read},
    protocol::{Command, DeviceChoice, Event},
    quant::BaseFormat,
    store::{MemoryFile, Source},
    tasks::Objective,
    train::{
        optim::{AdamW, Moments},
        step::{StepSettings, train_step},
    },
};
use lorakeet_tests::{
    alone::alone,
    generated::Decoder,
    golden::block_on,
    test_session::{HOST, TestSession},
    tiny,
    trajectory::batch,
};
use serde_json::json;
use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

const SHAPE: Decoder = Decoder {
    layers: 4,
    width: 24,
    inner: 40,
    heads: 4,
    kv_heads: 2,
    vocab: 60,
    positions: 32,
};

const TOKENS: usize = 12;

/// Rows of which the second ends in padding; other ones for each `number`.
fn rows(number: usize) -> Batch {
    let ids: Vec<f64> = (0..2 * TOKENS)
        .map(|i| ((i * 37 + number * 11) % SHAPE.vocab) as f64)
        .collect();
    let seen = |i: usize| i < 2 * TOKENS - 3;
    let mask: Vec<f64> = (0..ids.len()).map(|i| if seen(i) { 1.0 } else { 0.0 }).collect();
    let labels: Vec<f64> = ids
        .iter()
        .enumerate()
        .map(|(i, id)| if seen(i) { *id } else { -100.0 })
        .collect();
    Batch {
        row_labels: vec![1.0, 0.0],
        ..batch(TOKENS, &ids, &mask, &labels)
    }
}

fn open(files: Vec<Source>) -> ModelFiles {
    block_on(ModelFiles::open(files)).expect("the files open")
}

/// Three steps of two micro-batches: losses and norms, the optimizer's means of the gradients after each, and the weights.
fn trained(files: &ModelFiles, config: &RunConfig, device: &Device) -> Vec<Vec<u32>> {
    let full = config.finetuning_type == FinetuningType::Full;
    let kind = (full, BaseFormat::from(config));
    let mut model = block_on(Model::load_base(files, kind, 3, device, &mut |_, _| ())).expect("it loads");
    if !full {
        let adapter = AdapterConfig {
            r: 3,
            lora_dropout: config.lora_dropout,
            use_dora: config.use_dora,
            target_modules: config.target_modules.clone(),
            ..AdapterConfig::default()
        };
        model.attach_lora(&adapter, 5).expect("the modules are there");
    }
    let mut optimizer = AdamW::new(&model.parameters, config);
    let mut numbers = Vec::new();
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
    for step in 1..=3 {
        let settings = StepSettings {
            step,
            learning_rate: 1e-2,
            max_grad_norm: 1.0,
            dropout_seed: (config.lora_dropout > 0.0).then_some(7),
            gradient_checkpointing: config.gradient_checkpointing,
        };
        let batches = [rows(2 * step), rows(2 * step + 1)];
        let objective = Objective::default();
        let taken = block_on(train_step(
            &mut model,
            &mut optimizer,
            &objective,
            &batches,
            settings,
            &HOST,
        ));
        let done = taken.expect("a step");
        numbers.push(bits(&[done.loss as f32, done.grad_norm as f32]));
        for moments in block_on(optimizer.moments()).expect("moments") {
            match moments {
                Moments::Floats { m, .. } => numbers.push(bits(&m)),
                Moments::EightBits { .. } => panic!("32 bits were asked for"),
            }
        }
    }
    for parameter in model.parameters.iter() {
        numbers.push(bits(&block_on(read(parameter.value.clone())).expect("weights")));
    }
    numbers
}

#[test]
fn the_numbers_are_those_without_it_to_the_last_bit() {
    let lora = RunConfig {
        target_modules: TargetModules::Pattern("all-linear".into()),
        lora_dropout: 0.0,
        ..RunConfig::default()
    };
    let dropping = RunConfig {
        lora_dropout: 0.2,
        ..lora.clone()
    };
    let packed = RunConfig {
        quantization_bit: Some(8),
        ..dropping.clone()
    };
    let full = RunConfig {
        finetuning_type: FinetuningType::Full,
        lora_dropout: 0.0,
        ..lora.clone()
    };
    let some = RunConfig {
        target_modules: TargetModules::Names(vec!["q_proj".into(), "embed_tokens".into()]),
        ..packed.clone()
    };
    let dora = RunConfig {
        use_dora: true,
        ..dropping.clone()
    };
    let llama = open(SHAPE.llama());
    let gpt2 = open(SHAPE.gpt2());
    let cases: Vec<(&str, &ModelFiles, RunConfig)> = vec![
        ("Llama", &llama, lora.clone()),
        ("Llama, packed, dropout", &llama, packed.clone()),
        ("Llama, two kinds of modules", &llama, some),
        ("Llama, DoRA", &llama, dora),
        ("Llama, all trained, tied embedding", &llama, full.clone()),
        ("GPT-2", &gpt2, dropping.clone()),
        ("GPT-2, all trained", &gpt2, full.clone()),
    ];
    let others = [
        ("BERT's classifier", SHAPE.bert("BertForSequenceClassification")),
        ("BERT", SHAPE.bert("BertForMaskedLM")),
        ("ModernBERT", SHAPE.modernbert("ModernBertForMaskedLM")),
        ("Gemma", SHAPE.gemma2()),
        ("T5", SHAPE.t5()),
    ];
    let of_others = others.iter().flat_map(|(name, files)| {
        let kinds = [lora.clone(), packed.clone(), full.clone()];
        kinds.map(|config| (*name, files, config))
    });
    let mut failed = Vec::new();
    for (name, files, config) in cases.into_iter().chain(of_others) {
        let checkpointing = RunConfig {
            gradient_checkpointing: true,
            ..config.clone()
        };
        let device = Device::flex();
        let [with, without] = [&checkpointing, &config].map(|config| trained(files, config, &device));
        assert_eq!(with.len(), without.len(), "{name}");
        let differ = with
            .iter()
            .zip(&without)
            .filter(|(with, without)| with != without)
            .count();
        if differ > 0 {
            let kind = (config.finetuning_type, config.quantization_bit, config.lora_dropout);
            failed.push(format!("{name} {kind:?}: {differ} of {} tensors differ", with.len()));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Where gradients are made in the places of groups, from several passes.
#[test]
fn on_a_gpu_gradients_are_those_without_it_and_those_of_a_cpu() {
    alone(|| {
        let (gpu, _) = block_on(device::open(DeviceChoice::Gpu)).expect("a Vulkan driver");
        // Matrices that are in groups, the tied embedding among them.
        let shape = Decoder {
            width: 32,
            inner: 64,
            vocab: 64,
            ..SHAPE
        };
        let full = RunConfig {
            finetuning_type: FinetuningType::Full,
            lora_dropout: 0.0,
            ..RunConfig::default()
        };
        let lora = RunConfig {
            finetuning_type: FinetuningType::Lora,
            target_modules: TargetModules::Pattern("all-linear".into()),
            ..full.clone()
        };
        for (name, files, config) in [
            ("Llama", open(shape.llama()), lora),
            ("Llama, all trained, tied embedding", open(shape.llama()), full.clone()),
            ("GPT-2, all trained", open(shape.gpt2()), full.clone()),
            ("T5, all trained", shape.t5(), full),
        ] {
            let checkpointing = RunConfig {
                gradient_checkpointing: true,
                ..config.clone()
            };
            let with = trained(&files, &checkpointing, &gpu);
            assert_eq!(with, trained(&files, &config, &gpu), "{name}");
            // Of the first step, after which small differences grow.
            let cpu = trained(&files, &config, &Device::flex());
            for (i, (gpu, cpu)) in with.iter().zip(&cpu).take(with.len() / 4).enumerate() {
                assert_eq!(gpu.len(), cpu.len(), "{name}, {i}");
                for (gpu, cpu) in gpu
                    .iter()
                    .zip(cpu)
                    .map(|(gpu, cpu)| (f32::from_bits(*gpu), f32::from_bits(*cpu)))
                {
                    assert!(
                        (gpu - cpu).abs() <= 1e-4 * (0.1 + cpu.abs()),
                        "{name}, {i}: {gpu} and {cpu}"
                    );
                }
            }
        }
    });
}

#[test]
fn a_whole_run_is_the_same_and_small_models_say_that_it_does_nothing() {
    let run = |gradient_checkpointing| {
        let mut session = TestSession::open();
        session.train(RunConfig {
            gradient_checkpointing,
            lora_dropout: 0.1,
            ..tiny::config()
        });
        assert!(session.summary().finished);
        session.numbers()
    };
    assert_eq!(run(true), run(false));

    let answers = ["a", "b", "c"].map(|letter| {
        json!({ "prompt": format!("say {letter}"), "chosen": format!(" {letter}."), "rejected": " z." }).to_string()
    });
    let run = |gradient_checkpointing| {
        let rows = [answers.join("\n"), answers.join("\n"), answers.join("\n")]
            .join("\n")
            .into_bytes();
        let data = MemoryFile::source("rows.jsonl", rows);
        let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), data);
        session.train(RunConfig {
            gradient_checkpointing,
            max_steps: 4,
            ..tiny::config()
        });
        assert!(session.summary().finished);
        session.numbers()
    };
    assert_eq!(run(true), run(false));

    let numbers: String = (0..12)
        .map(|i| format!("{},{},{}\n", i, 12 - i, ["x", "y"][i % 2]))
        .collect();
    let data = MemoryFile::source("rows.csv", format!("a,b,label\n{numbers}").into_bytes());
    let mut session = TestSession::small("small_mlp", vec![data]);
    session.train(RunConfig {
        gradient_checkpointing: true,
        finetuning_type: FinetuningType::Full,
        max_steps: 2,
        ..RunConfig::default()
    });
    assert!(session.summary().finished);
    let said = session.events.iter().any(|event| match event {
        Event::Warning { message } => message.english().contains("gradient_checkpointing has no effect"),
        _ => false,
    });
    assert!(said, "{:?}", session.events);
}

/// What the host of [`a_pause_and_a_stop_are_answered_between_layers`] does: turns that it gave, and at which one it interrupts.
static TURNS: AtomicUsize = AtomicUsize::new(0);
static INTERRUPTED_AT: AtomicUsize = AtomicUsize::new(usize::MAX);
type Interrupt = (Control, fn(&Control));
static INTERRUPT: Mutex<Option<Interrupt>> = Mutex::new(None);

fn take_turn() {
    let turn = TURNS.fetch_add(1, Ordering::SeqCst);
    if turn == INTERRUPTED_AT.load(Ordering::SeqCst)
        && let Ok(interrupt) = INTERRUPT.lock()
        && let Some((control, act)) = interrupt.as_ref()
    {
        act(control);
    }
}

#[test]
fn a_pause_and_a_stop_are_answered_between_layers() {
    const HOST_WITH_TURNS: Host = Host {
        yield_now: || {
            take_turn();
            Box::pin(std::future::ready(()))
        },
        ..HOST
    };
    let run = |act: fn(&Control)| {
        let mut session = TestSession::open_on(HOST_WITH_TURNS);
        *INTERRUPT.lock().expect("no test failed with it") = Some((session.control.clone(), act));
        INTERRUPTED_AT.store(usize::MAX, Ordering::SeqCst);
        let config = RunConfig {
            gradient_checkpointing: true,
            ..tiny::config()
        };
        let command = Command::Train {
            config: Box::new(config),
            sample_prompt: None,
            watch: Vec::new(),
            keep: None,
        };
        session.ask_and(command, Vec::new(), &mut |event, control| match event {
            // The turn before the step's first layer, and those of three parts of it.
            Event::Step(info) if info.step == 3 => {
                INTERRUPTED_AT.store(TURNS.load(Ordering::SeqCst) + 4, Ordering::SeqCst);
            }
            Event::Paused { .. } => control.resume(),
            _ => {}
        });
        session
    };
    let whole = run(|_| ());
    let paused = run(Control::pause);
    assert_eq!(paused.numbers(), whole.numbers());
    let place = |session: &TestSession, is: fn(&Event) -> bool| session.events.iter().position(is);
    let held = place(&paused, |event| matches!(event, Event::Paused { step: 3 })).expect("it paused");
    let next = place(&paused, |event| matches!(event, Event::Step(info) if info.step == 4));
    assert!(held < next.expect("it went on"), "in the middle of the fourth step");
    assert!(matches!(paused.events[held + 1], Event::Resumed));

    let stopped = run(Control::stop);
    assert_eq!(stopped.summary().steps, 3, "the fourth step was given up");
    assert!(!stopped.summary().finished);
    let before = whole.numbers().into_iter().take_while(|numbers| numbers.0 <= 3);
    assert_eq!(stopped.numbers(), before.collect::<Vec<_>>());
}

#[test]
fn long_rows_of_real_models_are_said_to_fit_a_gibibyte_and_memory_is_linear_in_tokens() {
    let smollm2 = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 576, "intermediate_size": 1536,
        "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
        "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 100_000.0, "tie_word_embeddings": true,
        "hidden_act": "silu"
    });
    let qwen = json!({
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "hidden_size": 896, "intermediate_size": 4864,
        "num_hidden_layers": 24, "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151_936,
        "max_position_embeddings": 32768, "rms_norm_eps": 1e-6, "rope_theta": 1_000_000.0, "tie_word_embeddings": true,
        "hidden_act": "silu"
    });
    for (name, config, tokens) in [("SmolLM2", smollm2, 2048), ("Qwen2.5-0.5B", qwen, 1024)] {
        let files = ModelFiles::from_config(name, config);
        let run = |cutoff_len, gradient_checkpointing| {
            let config = RunConfig {
                cutoff_len,
                gradient_checkpointing,
                per_device_train_batch_size: 1,
                gradient_accumulation_steps: 1,
                quantization_bit: Some(4),
                target_modules: TargetModules::Pattern("all-linear".into()),
                lora_dropout: 0.0,
                val_size: 0.0,
                ..RunConfig::default()
            };
            block_on(estimate(&files, &config, None, 1 << 30)).expect("an estimate")
        };
        let (with, without) = (run(tokens, true), run(tokens, false));
        let beside_base =
            |said: &lorakeet_core::protocol::MemoryEstimate| said.peak_bytes.expect("a peak") - said.base_bytes;
        let (least, most) = (beside_base(&with), beside_base(&without));
        println!(
            "{name}, {tokens} tokens: {} MiB beside the base, {} without",
            least >> 20,
            most >> 20
        );
        assert!(least <= 1 << 30, "{name}: {} MiB", least >> 20);
        assert!(2 * least < most, "{name}: {} of {} MiB", least >> 20, most >> 20);
        let kept = [tokens / 2, tokens].map(|tokens| run(tokens, true).activation_bytes.expect("activations"));
        let growth = kept[1] as f64 / kept[0] as f64;
        assert!((growth - 2.0).abs() < 0.1, "{name}: {growth}");
    }
}
