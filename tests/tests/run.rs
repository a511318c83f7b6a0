//! Whole runs through the front door: commands in, events out, on a model of a few thousand weights.

use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    finetune::{Control, Session},
    formats::{peft::Adapter, safetensors::write_f32},
    protocol::{Command, DeviceChoice, EvalInfo, Event, GenerateOptions, Prompt, RunSummary, StepInfo},
    random::Generator,
    store::{MemoryFile, MemorySink, Source},
    train::checkpoint::Checkpoint,
};
use lorakeet_tests::{golden::block_on, trajectory::HOST};
use serde_json::json;
use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

/// Letters that the tiny tokenizer knows, after its three special tokens.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyz .,\n";

fn file(name: &str, value: &serde_json::Value) -> Source {
    MemoryFile::source(name, value.to_string().into_bytes())
}

/// Weights of a Llama of 2 layers × 32, drawn once and for all.
fn weights() -> Source {
    let mut generator = Generator::new(1, "init");
    let mut tensors = Vec::new();
    let mut add = |name: String, shape: &[usize]| {
        let is_norm = name.contains("norm");
        let count = shape.iter().product();
        let values = (0..count)
            .map(|_| if is_norm { 1.0 } else { generator.normal() as f32 * 0.1 })
            .collect();
        tensors.push((name, shape.to_vec(), values));
    };
    add("model.embed_tokens.weight".into(), &[40, 32]);
    add("model.norm.weight".into(), &[32]);
    for layer in 0..2 {
        for (part, shape) in [
            ("input_layernorm", vec![32]),
            ("post_attention_layernorm", vec![32]),
            ("self_attn.q_proj", vec![32, 32]),
            ("self_attn.k_proj", vec![16, 32]),
            ("self_attn.v_proj", vec![16, 32]),
            ("self_attn.o_proj", vec![32, 32]),
            ("mlp.gate_proj", vec![64, 32]),
            ("mlp.up_proj", vec![64, 32]),
            ("mlp.down_proj", vec![32, 64]),
        ] {
            add(format!("model.layers.{layer}.{part}.weight"), &shape);
        }
    }
    MemoryFile::source("model.safetensors", write_f32(&tensors).expect("shapes fit"))
}

/// The model's files, and a tokenizer that makes a token of each letter.
fn model_files() -> Vec<Source> {
    let vocab: BTreeMap<String, usize> = ["<unk>", "<pad>", "</s>"]
        .into_iter()
        .map(str::to_owned)
        .chain(LETTERS.chars().map(String::from))
        .enumerate()
        .map(|(id, token)| (token, id))
        .collect();
    let special = |id: usize, content: &str| {
        json!({ "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": { "type": "Fuse" },
        "added_tokens": [special(0, "<unk>"), special(1, "<pad>"), special(2, "</s>")],
        "model": { "type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null,
                   "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocab, "merges": [] }
    });
    let config = json!({
        "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 128,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true, "eos_token_id": 2, "pad_token_id": 1,
        "hidden_act": "silu", "initializer_range": 0.1
    });
    let names = json!({ "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>" });
    vec![
        file("config.json", &config),
        file("tokenizer.json", &tokenizer),
        file("tokenizer_config.json", &names),
        weights(),
    ]
}

fn data_file() -> Source {
    let rows: String = (0..24)
        .map(|i| {
            let letter = char::from(b'a' + i % 26);
            let word: String = std::iter::repeat_n(letter, 3 + usize::from(i % 5)).collect();
            format!(
                "{}\n",
                json!({ "prompt": format!("say {letter}"), "completion": format!(" {word}.") })
            )
        })
        .collect();
    MemoryFile::source("rows.jsonl", rows.into_bytes())
}

fn config() -> RunConfig {
    RunConfig {
        model_name_or_path: "tiny".into(),
        train_file: "rows.jsonl".into(),
        output_dir: "out".into(),
        per_device_train_batch_size: 2,
        gradient_accumulation_steps: 2,
        learning_rate: 3e-2,
        lora_r: 4,
        lora_dropout: 0.1,
        val_size: 4.0,
        max_steps: 12,
        eval_steps: 4,
        save_steps: 5,
        cutoff_len: 32,
        ..RunConfig::default()
    }
}

/// A session with model and data, and what it said so far.
struct Desk {
    session: Session,
    control: Control,
    events: Vec<Event>,
    exported: BTreeMap<String, Vec<u8>>,
}

impl Desk {
    fn open() -> Self {
        let session = Session::new(HOST);
        let control = session.control();
        let mut desk = Self {
            session,
            control,
            events: Vec::new(),
            exported: BTreeMap::new(),
        };
        desk.ask(
            Command::Open {
                device: DeviceChoice::Cpu,
            },
            Vec::new(),
        );
        desk.ask(
            Command::LoadModel {
                files: Vec::new(),
                name: "tiny".into(),
            },
            model_files(),
        );
        desk.ask(
            Command::LoadData {
                file: "rows.jsonl".into(),
            },
            vec![data_file()],
        );
        desk
    }

    fn ask(&mut self, command: Command, files: Vec<Source>) {
        self.ask_and(command, files, &mut |_, _| ());
    }

    /// `watch` sees each event as it comes, with the handle that interrupts.
    fn ask_and(&mut self, command: Command, files: Vec<Source>, watch: &mut dyn FnMut(&Event, &Control)) {
        let Self {
            session,
            control,
            events,
            exported,
        } = self;
        block_on(session.handle(command, files, &mut |event, bytes| {
            watch(&event, control);
            if let (Event::File { name, .. }, Some(bytes)) = (&event, bytes) {
                exported.insert(name.clone(), bytes);
            }
            if !matches!(event, Event::Progress { .. }) {
                events.push(event);
            }
        }));
    }

    fn train(&mut self, config: RunConfig) {
        let command = Command::Train {
            config: Box::new(config),
            sample_prompt: Some("say a".into()),
        };
        self.ask(command, Vec::new());
    }

    fn steps(&self) -> Vec<StepInfo> {
        let steps = self.events.iter().filter_map(|event| match event {
            Event::Step(step) => Some(step.clone()),
            _ => None,
        });
        steps.collect()
    }

    /// What must be the same whenever a run is repeated: losses, rates and norms, to the bit.
    fn numbers(&self) -> Vec<(usize, u64, u64, u64)> {
        let bits = |step: StepInfo| {
            (
                step.step,
                step.loss.to_bits(),
                step.learning_rate.to_bits(),
                step.grad_norm.to_bits(),
            )
        };
        self.steps().into_iter().map(bits).collect()
    }

    fn evals(&self) -> Vec<EvalInfo> {
        let evals = self.events.iter().filter_map(|event| match event {
            Event::Eval(eval) => Some(eval.clone()),
            _ => None,
        });
        evals.collect()
    }

    fn summary(&self) -> RunSummary {
        match self.events.last() {
            Some(Event::Done(summary)) => summary.clone(),
            other => panic!("the run did not end well: {other:?}"),
        }
    }
}

#[test]
fn a_run_reports_scores_and_samples_in_order() {
    let mut desk = Desk::open();
    desk.train(RunConfig {
        learning_rate: 1e-2,
        lora_r: 16,
        lora_alpha: 32.0,
        max_steps: 40,
        eval_steps: 10,
        ..config()
    });
    let summary = desk.summary();
    assert!(summary.finished && summary.steps == 40);
    assert_eq!(
        desk.steps().iter().map(|step| step.step).collect::<Vec<_>>(),
        (1..=40).collect::<Vec<_>>()
    );
    assert_eq!(
        desk.evals().iter().map(|eval| eval.step).collect::<Vec<_>>(),
        [0, 10, 20, 30, 40]
    );
    let (before, after) = (
        summary.eval_loss_before.expect("scored"),
        summary.eval_loss_after.expect("scored"),
    );
    assert!(after < before - 0.1, "validation loss {before} -> {after}");
    assert_eq!(before, desk.evals()[0].loss);
    let first = desk
        .events
        .iter()
        .position(|event| matches!(event, Event::Step(_)))
        .expect("steps");
    let sampled_before = desk.events[..first]
        .iter()
        .any(|event| matches!(event, Event::Sample { step: 0, .. }));
    assert!(sampled_before, "the untouched model speaks first");
    assert!(
        desk.events
            .iter()
            .any(|event| matches!(event, Event::Sample { step: 40, .. })),
        "and the tuned one last"
    );
    let tokens: Vec<u64> = desk.steps().iter().map(|step| step.num_input_tokens_seen).collect();
    assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let run = |seed| {
        let mut desk = Desk::open();
        desk.train(RunConfig { seed, ..config() });
        desk.numbers()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

#[test]
fn resuming_gives_the_same_losses_as_never_stopping() {
    let mut whole = Desk::open();
    let sink = Rc::new(MemorySink::new());
    whole.session.sink = Some(sink.clone());
    whole.train(config());
    let files = sink.files();
    let saved: Vec<&str> = files
        .keys()
        .filter_map(|path| path.strip_prefix("checkpoint-5/"))
        .collect();
    assert_eq!(
        saved,
        [
            "adapter_config.json",
            "adapter_model.safetensors",
            "optimizer.safetensors",
            "trainer_state.json"
        ]
    );
    let sources: Vec<Source> = saved
        .iter()
        .map(|name| MemoryFile::source(*name, files[&format!("checkpoint-5/{name}")].clone()))
        .collect();

    let mut resumed = Desk::open();
    resumed.session.resume = Some(block_on(Checkpoint::open(&sources)).expect("a checkpoint"));
    resumed.train(config());
    assert_eq!(resumed.numbers(), whole.numbers()[5..], "steps 6 to 12");
    let (whole, resumed) = (whole.summary(), resumed.summary());
    assert_eq!(
        resumed, whole,
        "also the summary, but for the time, which stands still here"
    );
}

#[test]
fn a_pause_holds_the_run_and_changes_no_number() {
    let mut plain = Desk::open();
    plain.train(config());
    let mut paused = Desk::open();
    let waits = RefCell::new(0);
    let command = Command::Train {
        config: Box::new(config()),
        sample_prompt: None,
    };
    paused.ask_and(command, Vec::new(), &mut |event, control| match event {
        Event::Step(step) if step.step == 3 => control.pause(),
        Event::Paused { step } => {
            assert_eq!(*step, 3);
            *waits.borrow_mut() += 1;
            // While it holds, the engine still answers; its answer lets the run go on.
            let options = GenerateOptions {
                max_new_tokens: 2,
                ..Default::default()
            };
            let prompt = Prompt::Text("say".into());
            control.request(Command::Generate {
                id: 1,
                prompt,
                options,
                adapter: true,
            });
        }
        Event::Generated { .. } => control.resume(),
        _ => {}
    });
    assert_eq!(*waits.borrow(), 1);
    assert!(paused.events.iter().any(|event| matches!(event, Event::Resumed)));
    assert_eq!(paused.numbers(), plain.numbers());
}

#[test]
fn a_stop_keeps_what_was_learnt_and_the_next_run_starts_afresh() {
    let mut desk = Desk::open();
    let sink = Rc::new(MemorySink::new());
    desk.session.sink = Some(sink.clone());
    let command = Command::Train {
        config: Box::new(config()),
        sample_prompt: None,
    };
    desk.ask_and(command, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Step(step) if step.step == 3) {
            control.stop();
        }
    });
    let summary = desk.summary();
    assert!(!summary.finished);
    assert_eq!(summary.steps, 3);
    assert_ne!(summary.eval_loss_after, summary.eval_loss_before);
    assert!(sink.files().contains_key("adapter_model.safetensors"));
    assert!(
        sink.files().contains_key("checkpoint-3/optimizer.safetensors"),
        "so that it can go on"
    );

    desk.events.clear();
    desk.train(config());
    assert!(desk.summary().finished);
    let mut fresh = Desk::open();
    fresh.train(config());
    assert_eq!(desk.numbers(), fresh.numbers());
}

#[test]
fn an_exported_adapter_scores_the_same_after_loading() {
    let mut desk = Desk::open();
    desk.train(config());
    desk.ask(Command::ExportAdapter, Vec::new());
    let files = desk
        .exported
        .iter()
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let adapter = block_on(Adapter::open(files.collect())).expect("PEFT's two files");

    let score = |desk: &mut Desk| {
        block_on(desk.session.evaluate(&config(), &mut |_, _| ()))
            .expect("a score")
            .loss
    };
    let trained = score(&mut desk);
    let mut other = Desk::open();
    let untouched = score(&mut other);
    other.session.load_adapter(adapter).expect("it fits");
    assert_eq!(score(&mut other), trained);
    assert!(untouched > trained + 0.1, "{untouched} before, {trained} after");
}

#[test]
fn full_training_learns_and_its_folder_loads_as_a_model() {
    let mut desk = Desk::open();
    let full = RunConfig {
        finetuning_type: FinetuningType::Full,
        learning_rate: 3e-3,
        max_steps: 30,
        ..config()
    };
    desk.train(full);
    let summary = desk.summary();
    assert!(
        summary.eval_loss_after < summary.eval_loss_before.map(|loss| loss - 0.3),
        "{summary:?}"
    );
    desk.ask(Command::ExportAdapter, Vec::new());
    let names: Vec<&str> = desk.exported.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    let files = desk
        .exported
        .iter()
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()))
        .collect();

    let score = |desk: &mut Desk| {
        block_on(desk.session.evaluate(&config(), &mut |_, _| ()))
            .expect("a score")
            .loss
    };
    let trained = score(&mut desk);
    let mut other = Desk::open();
    other.ask(
        Command::LoadModel {
            files: Vec::new(),
            name: "trained".into(),
        },
        files,
    );
    assert_eq!(score(&mut other), trained);

    // A LoRA run on the same session reads the untouched model again.
    desk.train(config());
    assert!(desk.summary().finished);
}

#[test]
fn a_diverging_run_says_so_and_leaves_the_engine_usable() {
    let mut desk = Desk::open();
    desk.train(RunConfig {
        learning_rate: 1e30,
        max_grad_norm: 0.0,
        ..config()
    });
    let Some(Event::Failed(error)) = desk.events.last() else {
        panic!("it cannot end well: {:?}", desk.events.last())
    };
    assert_eq!(error.kind, lorakeet_core::error::Kind::Diverged);
    assert!(error.to_string().contains("learning_rate"), "{error}");
    desk.events.clear();
    desk.train(config());
    assert!(desk.summary().finished);
}

#[test]
fn what_is_missing_is_named() {
    let mut session = Session::new(HOST);
    let mut said = Vec::new();
    let command = Command::Train {
        config: Box::new(config()),
        sample_prompt: None,
    };
    block_on(session.handle(command, Vec::new(), &mut |event, _| said.push(event)));
    assert!(
        matches!(&said[..], [Event::Failed(error)] if error.what.contains("no model")),
        "{said:?}"
    );
    let mut desk = Desk::open();
    desk.ask(Command::ExportAdapter, Vec::new());
    assert!(
        matches!(desk.events.last(), Some(Event::Failed(error)) if error.remedy.as_deref() == Some("Train first."))
    );
}

#[test]
fn a_preview_shows_what_is_trained_on() {
    let mut desk = Desk::open();
    desk.ask(
        Command::Preview {
            config: Box::new(config()),
        },
        Vec::new(),
    );
    let Some(Event::Preview { examples }) = desk.events.last() else {
        panic!("{:?}", desk.events.last())
    };
    let text = |trained: bool| -> String {
        examples[0]
            .tokens
            .iter()
            .filter(|(_, t)| *t == trained)
            .map(|(text, _)| text.as_str())
            .collect()
    };
    assert_eq!(text(false).trim_end(), "say a");
    assert!(text(true).contains("aaa."), "{:?}", examples[0]);
}
