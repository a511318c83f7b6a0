//! Whole runs through the front door: commands in, events out, on a model of a few thousand weights.

use lorakeet_core::{
    config::{FinetuningType, Optimizer, RunConfig},
    error::Kind,
    formats::peft::Adapter,
    host::{Control, Host},
    protocol::{Command, Event, GenerateOptions, Prompt, Stage, StepInfo},
    store::{MemoryFile, MemorySink},
};
use lorakeet_tests::{
    golden::block_on,
    test_session::{HOST, TestSession, checkpoint, failure, find},
    tiny::config,
};
use safetensors::{Dtype, SafeTensors};
use std::{
    cell::RefCell,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

#[test]
fn a_run_reports_scores_and_samples_in_order() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        learning_rate: 1e-2,
        lora_r: 16,
        lora_alpha: 32.0,
        max_steps: 40,
        eval_steps: 10.0,
        ..config()
    });
    let summary = session.summary();
    assert!(summary.finished && summary.steps == 40);
    assert_eq!(
        session.steps().iter().map(|step| step.step).collect::<Vec<_>>(),
        (1..=40).collect::<Vec<_>>()
    );
    assert_eq!(
        session.evals().iter().map(|eval| eval.step).collect::<Vec<_>>(),
        [0, 10, 20, 30, 40]
    );
    let (before, after) = (
        summary.eval_loss_before.expect("scored"),
        summary.eval_loss_after.expect("scored"),
    );
    assert!(after < before - 0.1, "validation loss {before} -> {after}");
    assert_eq!(before, session.evals()[0].loss);
    let first = session
        .events
        .iter()
        .position(|event| matches!(event, Event::Step(_)))
        .expect("steps");
    let sampled_before = session.events[..first]
        .iter()
        .any(|event| matches!(event, Event::Sample { step: 0, .. }));
    assert!(sampled_before, "the base model speaks first");
    assert!(
        session
            .events
            .iter()
            .any(|event| matches!(event, Event::Sample { step: 40, .. })),
        "and the tuned one last"
    );
    let tokens: Vec<u64> = session.steps().iter().map(|step| step.num_input_tokens_seen).collect();
    assert!(tokens.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    let run = |seed| {
        let mut session = TestSession::open();
        session.train(RunConfig { seed, ..config() });
        session.numbers()
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}

/// Twelve steps with moments of eight bits, of tensors large enough to have them and of smaller ones.
fn eight_bits() -> RunConfig {
    RunConfig {
        optim: Optimizer::Adamw8bit,
        lora_r: 128,
        lora_alpha: 128.0,
        learning_rate: 3e-3,
        ..config()
    }
}

#[test]
fn resuming_with_moments_of_eight_bits_gives_the_same_losses_as_never_stopping() {
    let mut whole = TestSession::open();
    let sink = Rc::new(MemorySink::new());
    whole.inner.sink = Some(sink.clone());
    whole.train(eight_bits());
    let state = &sink.files()["checkpoint-5/optimizer.safetensors"];
    let state = SafeTensors::deserialize(state).expect("safetensors");
    let name = |part: &str| format!("base_model.model.model.layers.0.{part}.weight");
    let (large, small) = (name("mlp.down_proj.lora_A"), name("self_attn.k_proj.lora_B"));
    let found = |kind: &str, of: &str| state.tensor(&format!("{kind}.{of}")).ok();
    let codes = found("state1", &large).expect("codes of 128 × 64 weights");
    assert_eq!((codes.dtype(), codes.shape()), (Dtype::U8, &[128, 64][..]));
    assert_eq!(found("absmax2", &large).expect("scales").shape(), [32]);
    assert!(found("exp_avg", &large).is_none() && found("state1", &small).is_none());
    assert!(found("exp_avg_sq", &small).is_some(), "16 × 128 are fewer than 4096");

    let resume = |config: RunConfig| {
        let mut session = TestSession::open();
        session.inner.resume = Some(checkpoint(&sink, 5));
        session.train(config);
        session
    };
    let resumed = resume(eight_bits());
    assert_eq!(resumed.numbers(), whole.numbers()[5..], "steps 6 to 12");
    assert_eq!(resumed.summary(), whole.summary());

    let other = resume(RunConfig {
        optim: Optimizer::AdamwTorch,
        ..eight_bits()
    });
    let Some(Event::Failed(error)) = other.events.last() else {
        panic!("other bits cannot be gone on with: {:?}", other.events.last())
    };
    assert!(
        error.remedy.is_some() && error.what.english().contains("optim"),
        "{error}"
    );
}

#[test]
fn moments_of_eight_bits_train_nearly_as_those_of_32() {
    let trained = |optim| {
        let mut session = TestSession::open();
        session.train(RunConfig { optim, ..eight_bits() });
        let summary = session.summary();
        (
            summary.eval_loss_before.expect("scored"),
            summary.eval_loss_after.expect("scored"),
        )
    };
    let (before, floats) = trained(Optimizer::AdamwTorch);
    let (_, codes) = trained(Optimizer::Adamw8bit);
    let (learnt, lost) = (before - floats, codes - floats);
    assert!(
        learnt > 0.1 && lost != 0.0 && lost.abs() < learnt / 10.0,
        "{before} -> {floats}, {codes}"
    );
}

#[test]
fn resuming_gives_the_same_losses_as_never_stopping() {
    let mut whole = TestSession::open();
    let sink = Rc::new(MemorySink::new());
    whole.inner.sink = Some(sink.clone());
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
            "manifest.json",
            "optimizer.safetensors",
            "trainer_state.json"
        ]
    );
    let mut resumed = TestSession::open();
    resumed.inner.resume = Some(checkpoint(&sink, 5));
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
    let mut plain = TestSession::open();
    plain.train(config());
    let mut paused = TestSession::open();
    let waits = RefCell::new(0);
    let command = Command::Train {
        config: Box::new(config()),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
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
fn a_pause_takes_no_time_of_the_processor() {
    static TURNS: AtomicUsize = AtomicUsize::new(0);
    let host = Host {
        yield_now: || {
            TURNS.fetch_add(1, Ordering::SeqCst);
            Box::pin(std::future::ready(()))
        },
        ..HOST
    };
    for wish in [Control::resume as fn(&Control), Control::stop] {
        let mut session = TestSession::open_on(host);
        let (mut held, mut woken) = (0, None);
        let command = Command::Train {
            config: Box::new(config()),
            sample_prompt: None,
            watch: Vec::new(),
            keep: None,
        };
        session.ask_and(command, Vec::new(), &mut |event, control| match event {
            Event::Step(step) if step.step == 3 => control.pause(),
            Event::Paused { .. } => {
                held = TURNS.load(Ordering::SeqCst);
                let control = control.clone();
                std::thread::spawn(move || {
                    std::thread::sleep(Duration::from_millis(100));
                    wish(&control);
                });
            }
            Event::Resumed => woken = Some(TURNS.load(Ordering::SeqCst)),
            _ => {}
        });
        let woken = woken.expect("the run was held and went on");
        assert!(woken - held <= 2, "{} turns in 100 ms", woken - held);
    }
}

/// A host whose clock moves on by a second whenever it is asked.
fn ticking() -> Host {
    static SECONDS: AtomicUsize = AtomicUsize::new(0);
    Host {
        now_ms: || SECONDS.fetch_add(1, Ordering::SeqCst) as f64 * 1000.0,
        ..HOST
    }
}

#[test]
fn the_time_of_a_run_goes_on_from_its_checkpoint() {
    // A clock that no other test moves on.
    static SECONDS: AtomicUsize = AtomicUsize::new(0);
    let host = Host {
        now_ms: || SECONDS.fetch_add(1, Ordering::SeqCst) as f64 * 1000.0,
        ..HOST
    };
    let times = |steps: &[StepInfo]| -> Vec<f64> { steps.iter().map(|step| step.seconds).collect() };
    let mut first = TestSession::open_on(host);
    let sink = Rc::new(MemorySink::new());
    first.inner.sink = Some(sink.clone());
    first.train(config());
    let before = times(&first.steps());
    assert!(
        before[0] > 0.0 && before.is_sorted() && before[11] > before[0],
        "{before:?}"
    );

    let mut resumed = TestSession::open_on(host);
    resumed.inner.resume = Some(checkpoint(&sink, 5));
    resumed.train(config());
    let past = find(&resumed, |event| match event {
        Event::Continued { steps, .. } => Some(steps.clone()),
        _ => None,
    });
    assert_eq!(times(&past), before[..5]);
    let tokens: Vec<u64> = past.iter().map(|step| step.num_input_tokens_seen).collect();
    let wanted: Vec<u64> = first.steps().iter().map(|step| step.num_input_tokens_seen).collect();
    assert_eq!(tokens, wanted[..5]);
    let after = times(&resumed.steps());
    assert!(after[0] >= before[4] && after.is_sorted(), "{after:?} after {before:?}");
    assert!(
        after[0] - before[4] <= before[11],
        "{after:?}: the time between does not count"
    );
}

#[test]
fn a_stop_ends_the_reading_of_rows_and_not_the_run_after_it() {
    let mut session = TestSession::open_on(ticking());
    let command = || Command::Train {
        config: Box::new(config()),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    };
    let mut read = 0;
    session.ask_and(command(), Vec::new(), &mut |event, control| {
        if let Event::Progress {
            stage: Stage::Tokenize, ..
        } = event
        {
            read += 1;
            if read == 3 {
                control.stop();
            }
        }
    });
    assert_eq!(read, 3, "it goes on to read rows");
    assert_eq!(failure(&session).kind, Kind::Stopped);
    assert!(
        !session
            .events
            .iter()
            .any(|event| matches!(event, Event::Started(_) | Event::Done(_)))
    );

    // One that comes when nothing is under way is nobody's.
    session.ask(Command::Stop, Vec::new());
    session.events.clear();
    session.train(config());
    assert!(session.summary().finished);
}

#[test]
fn a_stop_keeps_what_was_learnt_and_the_next_run_starts_afresh() {
    let mut session = TestSession::open();
    let sink = Rc::new(MemorySink::new());
    session.inner.sink = Some(sink.clone());
    let command = Command::Train {
        config: Box::new(config()),
        sample_prompt: None,
        watch: Vec::new(),
        keep: None,
    };
    session.ask_and(command, Vec::new(), &mut |event, control| {
        if matches!(event, Event::Step(step) if step.step == 3) {
            control.stop();
        }
    });
    let summary = session.summary();
    assert!(!summary.finished);
    assert_eq!(summary.steps, 3);
    assert_ne!(summary.eval_loss_after, summary.eval_loss_before);
    assert!(sink.files().contains_key("adapter_model.safetensors"));
    assert!(
        sink.files().contains_key("checkpoint-3/optimizer.safetensors"),
        "so that it can go on"
    );

    session.events.clear();
    session.train(config());
    assert!(session.summary().finished);
    let mut fresh = TestSession::open();
    fresh.train(config());
    assert_eq!(session.numbers(), fresh.numbers());
}

#[test]
fn an_exported_adapter_scores_the_same_after_loading() {
    let mut session = TestSession::open();
    session.train(config());
    session.ask(Command::ExportAdapter, Vec::new());
    let files = session
        .exported
        .iter()
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let adapter = block_on(Adapter::open(files.collect())).expect("PEFT's two files");

    let score = |session: &mut TestSession| {
        block_on(session.inner.evaluate(&config(), &mut |_, _| ()))
            .expect("a score")
            .loss
    };
    let trained = score(&mut session);
    let mut other = TestSession::open();
    let untouched = score(&mut other);
    other.inner.load_adapter(adapter).expect("it fits");
    assert_eq!(score(&mut other), trained);
    assert!(untouched > trained + 0.1, "{untouched} before, {trained} after");
}

#[test]
fn full_training_learns_and_its_folder_loads_as_a_model() {
    let mut session = TestSession::open();
    let full = RunConfig {
        finetuning_type: FinetuningType::Full,
        learning_rate: 3e-3,
        max_steps: 30,
        ..config()
    };
    session.train(full);
    let summary = session.summary();
    assert!(
        summary.eval_loss_after < summary.eval_loss_before.map(|loss| loss - 0.3),
        "{summary:?}"
    );
    session.ask(Command::ExportAdapter, Vec::new());
    let names: Vec<&str> = session.exported.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "config.json",
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json"
        ]
    );
    let files = session
        .exported
        .iter()
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()))
        .collect();

    let score = |session: &mut TestSession| {
        block_on(session.inner.evaluate(&config(), &mut |_, _| ()))
            .expect("a score")
            .loss
    };
    let trained = score(&mut session);
    let mut other = TestSession::open();
    other.ask(
        Command::LoadModel {
            files: Vec::new(),
            name: "trained".into(),
            config: None,
        },
        files,
    );
    assert_eq!(score(&mut other), trained);

    // A LoRA run on the same session reads the base model again.
    session.train(config());
    assert!(session.summary().finished);
}

#[test]
fn a_diverging_run_says_so_and_leaves_the_engine_usable() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        learning_rate: 1e30,
        max_grad_norm: 0.0,
        ..config()
    });
    let Some(Event::Failed(error)) = session.events.last() else {
        panic!("it cannot end well: {:?}", session.events.last())
    };
    assert_eq!(error.kind, lorakeet_core::error::Kind::Diverged);
    assert!(error.to_string().contains("learning_rate"), "{error}");
    session.events.clear();
    session.train(config());
    assert!(session.summary().finished);
}

#[test]
fn what_is_missing_is_named() {
    let mut session = TestSession::empty();
    session.train(config());
    assert!(
        matches!(&session.events[..], [Event::Failed(error)] if error.what.english().contains("no model")),
        "{:?}",
        session.events
    );
    let mut session = TestSession::open();
    session.ask(Command::ExportAdapter, Vec::new());
    assert!(
        matches!(session.events.last(), Some(Event::Failed(error)) if error.to_string().ends_with(" Train first."))
    );
}

#[test]
fn a_preview_shows_what_is_trained_on() {
    let mut session = TestSession::open();
    session.ask(
        Command::Preview {
            config: Box::new(config()),
            after: 0,
        },
        Vec::new(),
    );
    let Some(Event::Preview { examples, .. }) = session.events.last() else {
        panic!("{:?}", session.events.last())
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
