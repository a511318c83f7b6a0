//! That a run does what its knobs say: one test a key that no other test holds, through the front door and on the tiny model.

use lorakeet_core::{
    config::{Fp8Format, Fp8Scale, Interval, RunConfig, SchedulerType, TargetModules, TokenIndices},
    formats::{ModelFiles, peft::Adapter},
    protocol::{Command, DeviceChoice, Event, RunInfo, StepInfo},
    store::{LocalFuture, MemoryFile, MemorySink, Sink, Source},
};
use lorakeet_i18n::Message;
use lorakeet_tests::{
    golden::block_on,
    test_session::{TestSession, checkpoint},
    tiny,
};
use std::{collections::BTreeSet, rc::Rc};

/// A few steps without scores and checkpoints, with what `change` sets.
fn config(change: impl FnOnce(&mut RunConfig)) -> RunConfig {
    let mut config = RunConfig {
        max_steps: 4,
        eval_steps: 0.0,
        save_steps: 0.0,
        ..tiny::config()
    };
    change(&mut config);
    config
}

fn run(change: impl FnOnce(&mut RunConfig)) -> TestSession {
    let mut session = TestSession::open();
    session.train(config(change));
    assert!(session.summary().finished);
    session
}

fn names(names: &[&str]) -> TargetModules {
    TargetModules::Names(names.iter().map(ToString::to_string).collect())
}

fn started(session: &TestSession) -> &RunInfo {
    let info = session.events.iter().find_map(|event| match event {
        Event::Started(info) => Some(info),
        _ => None,
    });
    info.expect("a run started")
}

/// What the run warned of in these words.
fn warnings(session: &TestSession, words: &str) -> Vec<String> {
    let messages = session.events.iter().filter_map(|event| match event {
        Event::Warning { message } if message.english().contains(words) => Some(message.english()),
        _ => None,
    });
    messages.collect()
}

fn column<T>(session: &TestSession, value: impl Fn(&StepInfo) -> T) -> Vec<T> {
    session.steps().iter().map(value).collect()
}

/// The adapter as a person would get it.
fn adapter(session: &mut TestSession) -> Adapter {
    session.ask(Command::ExportAdapter, Vec::new());
    let files = session.exported.iter();
    let files = files.map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    block_on(Adapter::open(files.collect())).expect("PEFT's two files")
}

/// The modules that carry it, with their ranks: `layers.0.mlp.up_proj 4`.
fn carriers(adapter: &Adapter) -> BTreeSet<String> {
    let carrier = |(name, shape, _): &(String, Vec<usize>, Vec<f32>)| {
        let path = name.strip_prefix("base_model.model.model.")?;
        Some(format!("{} {}", path.strip_suffix(".lora_A.weight")?, shape[0]))
    };
    adapter.tensors.iter().filter_map(carrier).collect()
}

#[test]
fn excluded_modules_get_no_adapter() {
    let adapter = adapter(&mut run(|config| {
        config.exclude_modules = Some(names(&["down_proj", "layers.1.self_attn.q_proj"]));
    }));
    let carriers = carriers(&adapter);
    assert_eq!(carriers.len(), 2 * 7 - 3, "{carriers:?}");
    assert!(!carriers.iter().any(|path| path.contains("down_proj")));
    assert!(carriers.contains("layers.0.self_attn.q_proj 4") && !carriers.contains("layers.1.self_attn.q_proj 4"));
    assert_eq!(
        adapter.config.exclude_modules,
        Some(names(&["down_proj", "layers.1.self_attn.q_proj"]))
    );
}

#[test]
fn default_modules_are_those_that_peft_adapts_where_none_are_named() {
    let adapter = adapter(&mut run(|config| {
        config.target_modules = TargetModules::Pattern("default".into())
    }));
    let carriers = carriers(&adapter);
    let expected = [
        "0.self_attn.q_proj",
        "0.self_attn.v_proj",
        "1.self_attn.q_proj",
        "1.self_attn.v_proj",
    ];
    assert!(
        carriers.iter().eq(&expected.map(|path| format!("layers.{path} 4"))),
        "{carriers:?}"
    );
    assert_eq!(adapter.config.target_modules, names(&["q_proj", "v_proj"]));
}

#[test]
fn only_the_chosen_layers_get_adapters_whether_modules_are_named_or_not() {
    let all = adapter(&mut run(|config| config.layers_to_transform = Some(vec![1])));
    assert_eq!(carriers(&all).len(), 7);
    assert!(
        carriers(&all).iter().all(|path| path.starts_with("layers.1.")),
        "{:?}",
        carriers(&all)
    );
    // PEFT refuses layers_to_transform beside the text all-linear.
    assert!(matches!(&all.config.target_modules, TargetModules::Names(names) if names.len() == 7));
    assert_eq!(all.config.layers_to_transform, Some(vec![1]));

    let named = adapter(&mut run(|config| {
        config.layers_to_transform = Some(vec![0]);
        config.target_modules = names(&["q_proj", "v_proj"]);
    }));
    let want = ["layers.0.self_attn.q_proj 4", "layers.0.self_attn.v_proj 4"];
    assert_eq!(carriers(&named), want.map(String::from).into());

    let mut session = TestSession::open();
    session.train(config(|config| config.layers_to_transform = Some(vec![7])));
    let refused = session.events.last();
    assert!(
        matches!(refused, Some(Event::Failed(error)) if error.to_string().contains("layers")),
        "{refused:?}"
    );
}

#[test]
fn the_first_pattern_that_matches_gives_a_module_its_rank_and_its_alpha() {
    let mut session = run(|config| {
        // In alphabetical order the last would be the first.
        config.rank_pattern = vec![
            ("q_proj".into(), 2),
            ("layers.0.mlp.up_proj".into(), 3),
            (".*_proj".into(), 1),
        ];
        config.alpha_pattern = vec![("q_proj".into(), 5.0), (".*_proj".into(), 2.5)];
    });
    let written = adapter(&mut session);
    let carried = carriers(&written);
    for carrier in [
        "layers.0.self_attn.q_proj 2",
        "layers.1.self_attn.q_proj 2",
        "layers.0.mlp.up_proj 3",
        "layers.1.mlp.up_proj 1",
        "layers.1.self_attn.o_proj 1",
    ] {
        assert!(carried.contains(carrier), "{carrier} is not among {carried:?}");
    }
    // The files keep the order, so that whoever reads them comes to the same ranks and scales.
    assert_eq!(written.config.rank_of("model.layers.0.mlp.up_proj"), Ok(3));
    assert_eq!(written.config.alpha_of("model.layers.0.self_attn.q_proj"), Ok(5.0));
    let score = |session: &mut TestSession| block_on(session.inner.evaluate(&tiny::config(), &mut |_, _| ()));
    let mut other = TestSession::open();
    other.inner.load_adapter(written).expect("it fits");
    assert_eq!(score(&mut other), score(&mut session));

    // A pattern for everything is the same as the plain knob.
    let patterns = run(|config| {
        config.rank_pattern = vec![(".*".into(), 2)];
        config.alpha_pattern = vec![(".*".into(), 24.0)];
    });
    let plain = run(|config| (config.lora_r, config.lora_alpha) = (2, 24.0));
    assert_eq!(patterns.numbers(), plain.numbers());
    assert_ne!(
        plain.numbers(),
        run(|config| config.lora_r = 2).numbers(),
        "alpha counts"
    );
}

#[test]
fn rows_of_some_tokens_are_trained_and_all_others_stay() {
    let wanted = TokenIndices::List(vec![4, 20, 39]);
    let rows = |config: &mut RunConfig| config.trainable_token_indices = Some(wanted.clone());
    let mut session = run(rows);
    let trained = adapter(&mut session);
    let key = "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta";
    let (shape, after) = trained.tensor(key).expect("trained rows");
    assert_eq!(shape, [3, 32]);
    let base = block_on(ModelFiles::open(tiny::model_files())).expect("the model");
    let table = block_on(base.read_f32("model.embed_tokens.weight")).expect("a table").1;
    let before = |id: usize| &table[id * 32..][..32];
    let moved = |place: usize, id: usize| {
        let pairs = after[place * 32..][..32].iter().zip(before(id));
        pairs
            .map(|(after, before)| (after - before).abs())
            .fold(0.0f32, f32::max)
    };
    // Letters of the rows are learnt as inputs and as targets; a token that no row has is pushed away as a target alone.
    for (place, id) in [(0, 4), (1, 20), (2, 39)] {
        assert!(moved(place, id) > 1e-6, "row {id} did not move");
    }
    let score = |session: &mut TestSession| block_on(session.inner.evaluate(&tiny::config(), &mut |_, _| ()));
    let mut other = TestSession::open();
    other.inner.load_adapter(trained).expect("it fits");
    assert_eq!(score(&mut other), score(&mut session));
    // What is computed anew, layer by layer, has the same gradients.
    let whole = run(|config| {
        rows(config);
        config.lora_dropout = 0.0;
    });
    let in_parts = run(|config| {
        rows(config);
        (config.lora_dropout, config.gradient_checkpointing) = (0.0, true);
    });
    assert_eq!(whole.numbers(), in_parts.numbers());
    assert_ne!(
        whole.numbers(),
        run(|config| config.lora_dropout = 0.0).numbers(),
        "rows count"
    );

    let mut session = TestSession::open();
    session.train(config(|config| {
        config.trainable_token_indices = Some(TokenIndices::List(vec![40]))
    }));
    let refused = session.events.last();
    assert!(
        matches!(refused, Some(Event::Failed(error)) if error.field_name() == Some("trainable_token_indices")),
        "{refused:?}"
    );
}

#[test]
fn max_samples_takes_the_first_examples_only() {
    let first_ten = run(|config| (config.max_samples, config.val_size) = (Some(10), 0.0));
    assert_eq!(started(&first_ten).train_examples, 10);
    let mut ten = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), tiny::rows(10));
    ten.train(config(|config| config.val_size = 0.0));
    assert_eq!(first_ten.numbers(), ten.numbers());
    // They are divided after that.
    let divided = run(|config| (config.max_samples, config.val_size) = (Some(10), 4.0));
    let info = started(&divided);
    assert_eq!((info.train_examples, info.eval_examples), (6, 4));
}

#[test]
fn dropout_acts_while_training_and_not_while_scoring() {
    let run = |dropout: f64, seed: u64| {
        let mut session = run(|config| (config.lora_dropout, config.seed, config.data_seed) = (dropout, seed, Some(1)));
        let scores = block_on(session.inner.evaluate(&tiny::config(), &mut |_, _| ())).expect("a score");
        let again = block_on(session.inner.evaluate(&tiny::config(), &mut |_, _| ())).expect("a score");
        assert_eq!(scores, again, "scoring drops nothing");
        session
    };
    let (without, with) = (run(0.0, 42), run(0.5, 42));
    assert_eq!(without.numbers(), run(0.0, 42).numbers());
    assert_eq!(with.numbers(), run(0.5, 42).numbers());
    assert_eq!(without.evals()[0], with.evals()[0], "the base model");
    // A fresh adapter adds nothing whatever it drops, but what it learns depends on it.
    assert_eq!(without.steps()[0].loss, with.steps()[0].loss);
    assert_ne!(without.steps()[0].grad_norm, with.steps()[0].grad_norm);
}

#[test]
fn validation_is_scored_at_its_steps_at_epochs_or_at_the_ends_only() {
    let scored = |change: fn(&mut RunConfig)| {
        let session = run(|config| {
            config.max_steps = 12;
            change(config);
        });
        session.evals().iter().map(|eval| eval.step).collect::<Vec<_>>()
    };
    assert_eq!(scored(|config| config.eval_steps = 5.0), [0, 5, 10, 12]);
    assert_eq!(scored(|config| config.eval_steps = 0.0), [0, 12]);
    // 20 examples, 4 a step.
    assert_eq!(scored(|config| config.eval_strategy = Interval::Epoch), [0, 5, 10, 12]);
    let never = |config: &mut RunConfig| (config.eval_strategy, config.eval_steps) = (Interval::No, 5.0);
    assert_eq!(scored(never), [0, 12]);
    assert_eq!(scored(|config| config.val_size = 0.0), [0; 0]);
}

#[test]
fn a_report_every_so_many_steps_gives_the_mean_loss_since_the_last() {
    let every = run(|config| config.max_steps = 12);
    let seldom = run(|config| (config.max_steps, config.logging_steps) = (12, 5.0));
    assert_eq!(column(&seldom, |step| step.step), [5, 10, 12]);
    let losses = column(&every, |step| step.loss);
    for (report, part) in seldom
        .steps()
        .iter()
        .zip([&losses[0..5], &losses[5..10], &losses[10..12]])
    {
        let mean = part.iter().sum::<f64>() / part.len() as f64;
        assert!(
            (report.loss - mean).abs() < 1e-12,
            "{} at step {}",
            report.loss,
            report.step
        );
    }
    assert_eq!(
        every.steps()[11].learning_rate,
        seldom.steps()[2].learning_rate,
        "all else is the last step's own"
    );
    let epochs = run(|config| (config.max_steps, config.logging_strategy) = (12, Interval::Epoch));
    assert_eq!(column(&epochs, |step| step.step), [5, 10, 12]);
    let never = run(|config| config.logging_strategy = Interval::No);
    assert!(never.steps().is_empty());
}

#[test]
fn checkpoints_come_at_their_steps_and_the_oldest_beyond_the_limit_go() {
    let train = |sink: Rc<dyn Sink>, change: fn(&mut RunConfig)| {
        let mut session = TestSession::open();
        session.inner.sink = Some(sink);
        session.train(config(|config| {
            config.max_steps = 9;
            config.save_steps = 2.0;
            change(config);
        }));
        assert!(session.summary().finished);
        let saved = session.events.iter().filter_map(|event| match event {
            Event::Checkpoint { step, path } => Some((*step, path.clone())),
            _ => None,
        });
        (saved.collect::<Vec<_>>(), warnings(&session, "cannot be removed").len())
    };
    let sink = Rc::new(MemorySink::new());
    let (saved, warnings) = train(sink.clone(), |_| ());
    let paths = [2, 4, 6, 8].map(|step| (step, format!("out/checkpoint-{step}")));
    assert_eq!((saved.as_slice(), warnings), (&paths[..], 0));
    assert_eq!(folders(&sink).len(), 4, "without a limit all stay");

    // An interrupted run left checkpoint-1; checkpoint-99 and what is no checkpoint are another's.
    let sink = Rc::new(MemorySink::new());
    for old in [
        "checkpoint-1/a",
        "checkpoint-99/a",
        "checkpoint-best/a",
        "notes/checkpoint-1",
    ] {
        block_on(sink.write(old, b"old")).expect("it is written");
    }
    let (saved, warnings) = train(sink.clone(), |config| config.save_total_limit = Some(2));
    assert_eq!((saved.as_slice(), warnings), (&paths[..], 0), "all were saved");
    assert_eq!(
        folders(&sink),
        [
            "checkpoint-6",
            "checkpoint-8",
            "checkpoint-99",
            "checkpoint-best",
            "notes"
        ]
    );
    assert!(sink.files().contains_key("checkpoint-8/optimizer.safetensors"));

    // A place that keeps what it has is no reason to end a run.
    let (saved, warnings) = train(Rc::new(Stubborn(MemorySink::new())), |config| {
        config.save_total_limit = Some(2)
    });
    assert_eq!((saved.as_slice(), warnings), (&paths[..], 2));
}

fn folders(sink: &MemorySink) -> Vec<String> {
    let mut folders = block_on(sink.folders()).expect("they are listed");
    folders.sort();
    folders
}

/// A place from which nothing can be removed.
struct Stubborn(MemorySink);

impl Sink for Stubborn {
    fn write<'a>(&'a self, path: &'a str, bytes: &'a [u8]) -> LocalFuture<'a, lorakeet_core::Result<()>> {
        self.0.write(path, bytes)
    }
    fn folders(&self) -> LocalFuture<'_, lorakeet_core::Result<Vec<String>>> {
        self.0.folders()
    }
    fn remove_folder<'a>(&'a self, path: &'a str) -> LocalFuture<'a, lorakeet_core::Result<()>> {
        Box::pin(async move {
            Err(lorakeet_core::Error::io(Message::verbatim("cannot be removed: permission denied")).file(path))
        })
    }
    fn rename_folder<'a>(&'a self, from: &'a str, to: &'a str) -> LocalFuture<'a, lorakeet_core::Result<()>> {
        self.0.rename_folder(from, to)
    }
}

#[test]
fn the_data_seed_decides_split_and_order_and_the_seed_the_rest() {
    let run = |seed: u64, data_seed: Option<u64>| run(|config| (config.seed, config.data_seed) = (seed, data_seed));
    // Rows have different lengths, so the tokens seen tell their order; the base model's score tells the split.
    let data = |session: &TestSession| {
        (
            column(session, |step| step.num_input_tokens_seen),
            session.evals()[0].clone(),
        )
    };
    let (a, b) = (run(1, Some(5)), run(2, Some(5)));
    assert_eq!(data(&a), data(&b));
    assert_ne!(
        a.numbers(),
        b.numbers(),
        "another adapter to begin with, and other dropout"
    );
    let c = run(1, Some(6));
    assert_ne!(data(&a), data(&c));
    assert_eq!(
        run(5, None).numbers(),
        run(5, Some(5)).numbers(),
        "not given, it is the seed"
    );
}

#[test]
fn warmup_steps_replace_the_ratio() {
    let rates = |change: fn(&mut RunConfig)| {
        let session = run(|config| {
            config.lr_scheduler_type = SchedulerType::ConstantWithWarmup;
            config.learning_rate = 1e-3;
            config.max_steps = 8;
            change(config);
        });
        column(&session, |step| step.learning_rate)
    };
    let quarters = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0].map(|part| part * 1e-3);
    assert_eq!(
        rates(|config| (config.warmup_steps, config.warmup_ratio) = (4, 0.25)),
        quarters
    );
    assert_eq!(rates(|config| config.warmup_ratio = 0.5), quarters);
    assert_eq!(rates(|config| config.warmup_ratio = 0.0), [1e-3; 8]);
}

#[test]
fn max_steps_replace_the_epochs() {
    let steps = |max_steps: i64, epochs: f64| {
        let session = run(|config| (config.max_steps, config.num_train_epochs) = (max_steps, epochs));
        assert_eq!(started(&session).max_steps, session.steps().len());
        (session.steps().len(), session.steps().last().expect("steps").epoch)
    };
    // 20 examples, 4 a step.
    assert_eq!(steps(-1, 2.0), (10, 2.0));
    assert_eq!(steps(-1, 0.5), (3, 0.6));
    assert_eq!(steps(7, 2.0), (7, 1.4));
}

#[test]
fn a_packed_base_takes_less_and_learns_alike() {
    let trained = |set: fn(&mut RunConfig)| {
        let session = run(|config| {
            config.lora_dropout = 0.0;
            set(config);
        });
        let mut models = session.events.iter().rev().filter_map(|event| match event {
            Event::Model(model) => Some(model.weight_bytes),
            _ => None,
        });
        let bytes = models.next().expect("a model");
        (bytes, session.steps().last().expect("steps").loss)
    };
    let (dense_bytes, dense_loss) = trained(|_| ());
    for (format, most, set) in [
        (
            "nf4",
            0.55,
            (|config| config.quantization_bit = Some(4)) as fn(&mut RunConfig),
        ),
        ("int8", 0.65, |config| config.quantization_bit = Some(8)),
        ("e4m3", 0.65, |config| config.fp8 = Some(Fp8Format::E4m3)),
        ("e5m2 in blocks", 0.65, |config| {
            config.fp8 = Some(Fp8Format::E5m2);
            config.fp8_scale = Fp8Scale::Block;
        }),
    ] {
        let (bytes, loss) = trained(set);
        assert!(
            (bytes as f64) < most * dense_bytes as f64,
            "{format} takes {bytes} of {dense_bytes} bytes"
        );
        assert!(
            loss != dense_loss && (loss - dense_loss).abs() < 0.3,
            "{format} ends at a loss of {loss}, the dense base at {dense_loss}"
        );
    }
}

#[test]
fn the_files_of_a_run_on_a_folder_are_kept_to_the_limit_too() {
    let folder = std::env::temp_dir().join(format!("lorakeet-knobs-{}", std::process::id()));
    let sink: Rc<dyn Sink> = Rc::new(lorakeet_core::store::DirectorySink::new(&folder));
    let mut session = TestSession::open();
    session.inner.sink = Some(sink.clone());
    session.train(config(|config| {
        (config.save_steps, config.save_total_limit) = (1.0, Some(1))
    }));
    assert!(session.summary().finished);
    assert_eq!(block_on(sink.folders()), Ok(vec!["checkpoint-4".to_owned()]));
    let files: Vec<Source> = std::fs::read_dir(folder.join("checkpoint-4"))
        .expect("it is there")
        .map(|entry| lorakeet_core::store::DiskFile::source(entry.expect("a file").path()).expect("it opens"))
        .collect();
    block_on(lorakeet_core::train::checkpoint::Checkpoint::open(&files)).expect("a run can go on from it");
    std::fs::remove_dir_all(&folder).expect("it is removed");
}

#[test]
fn a_run_ends_early_where_its_scores_get_no_better() {
    let early = |change: fn(&mut RunConfig)| {
        config(|config| {
            (config.max_steps, config.eval_steps, config.early_stopping_patience) = (12, 2.0, 2);
            (config.lora_dropout, config.val_size, config.learning_rate) = (0.0, 6.0, 3e-3);
            change(config);
        })
    };
    let steps = |config: RunConfig| {
        let mut session = TestSession::open();
        session.train(config);
        (
            session.summary().finished,
            session.summary().steps,
            warnings(&session, "ends early").len(),
        )
    };
    // It learns as long as it runs.
    assert_eq!(steps(early(|_| ())), (true, 12, 0));
    // The base model's score is the first; the two after it do not count as better.
    assert_eq!(
        steps(early(|config| config.early_stopping_threshold = 100.0)),
        (true, 4, 1)
    );
    assert_eq!(
        steps(early(|config| (
            config.learning_rate,
            config.early_stopping_threshold
        ) = (1e-9, 1e-3))),
        (true, 4, 1)
    );
    let patient = |config: &mut RunConfig| {
        (config.early_stopping_patience, config.early_stopping_threshold) = (4, 100.0);
        config.save_steps = 3.0;
    };
    assert_eq!(steps(early(patient)), (true, 8, 1));

    // A run that goes on remembers how patient it was.
    let mut whole = TestSession::open();
    let sink = Rc::new(MemorySink::new());
    whole.inner.sink = Some(sink.clone());
    whole.train(early(patient));
    let mut resumed = TestSession::open();
    resumed.inner.resume = Some(checkpoint(&sink, 6));
    resumed.train(early(patient));
    assert_eq!(resumed.summary(), whole.summary());
    assert_eq!(resumed.numbers(), whole.numbers()[6..]);
}
