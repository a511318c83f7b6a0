//! Advice on settings: valid, without contradictions, and cautions where they belong.

use lorakeet_core::{
    advice::{Advice, Facts, ModelKind, advise, doubt_of_score},
    config::{FinetuningType, Fp8Format, HeadInit, HeadPooling, Interval, RunConfig, find},
    protocol::{BaselineKind, Command, DeviceChoice, Event},
    task::Task,
};
use lorakeet_i18n::Language;
use lorakeet_tests::{
    golden::block_on,
    rows,
    test_session::TestSession,
    tiny::{self, config},
};

/// A pretrained decoder and a thousand rows of 10 to 200 tokens.
fn facts() -> Facts {
    Facts {
        task: Task::Generation,
        model: ModelKind::Decoder,
        parameters: 135_000_000,
        rows: 1000,
        held_out: 100,
        lengths: (0..1000).map(|row| 10 + row * 190 / 999).collect(),
        most_tokens: 2048,
        compares_batch: false,
        takes_probe: false,
        available_bytes: None,
        peak_bytes: None,
        plain_peak_bytes: None,
    }
}

/// The tuning guide's reference run.
fn reference() -> RunConfig {
    let text = "per_device_train_batch_size: 1\ngradient_accumulation_steps: 2\nlearning_rate: 2e-4\nlr_scheduler_type: cosine\n\
                warmup_ratio: 0.1\nnum_train_epochs: 3.0\nlora_r: 16\nlora_alpha: 32\nlora_dropout: 0.05\nquantization_bit: 4\n";
    RunConfig::parse(text, "run.yaml").expect("a run file").config
}

fn cautioned(facts: &Facts, config: &RunConfig) -> Vec<&'static str> {
    let advice = advise(facts, config);
    advice.cautions.iter().map(|caution| caution.knob).collect()
}

fn with(advice: &Advice, config: &RunConfig) -> RunConfig {
    let mut config = config.clone();
    for one in &advice.settings {
        config
            .set(one.knob, &one.value)
            .unwrap_or_else(|error| panic!("{}: {error}", one.knob));
    }
    config.validate().expect("the settings go together");
    config
}

#[test]
fn the_reference_run_and_the_defaults_are_not_cautioned() {
    assert_eq!(cautioned(&facts(), &reference()), [""; 0]);
    assert_eq!(cautioned(&facts(), &RunConfig::default()), [""; 0]);
}

#[test]
fn each_unwise_combination_is_cautioned_once() {
    let usual = RunConfig::default();
    let few = Facts { rows: 60, ..facts() };
    let contrast = Facts {
        task: Task::Embedding,
        compares_batch: true,
        ..facts()
    };
    let preference = Facts {
        task: Task::Preference,
        ..facts()
    };
    let tight = Facts {
        available_bytes: Some(1 << 30),
        peak_bytes: Some(2 << 30),
        plain_peak_bytes: Some(2 << 30),
        ..facts()
    };
    let cases: [(&str, Facts, RunConfig, &str); 11] = [
        (
            "full tuning with a rate of adapters",
            facts(),
            RunConfig {
                finetuning_type: FinetuningType::Full,
                ..usual.clone()
            },
            "learning_rate",
        ),
        (
            "adapters with a rate of full tuning",
            facts(),
            RunConfig {
                learning_rate: 2e-5,
                ..usual.clone()
            },
            "learning_rate",
        ),
        (
            "a rate above the range",
            facts(),
            RunConfig {
                learning_rate: 2e-2,
                ..usual.clone()
            },
            "learning_rate",
        ),
        (
            "preferences at the rate of instructions",
            preference,
            usual.clone(),
            "learning_rate",
        ),
        (
            "one row and a contrastive loss",
            contrast,
            RunConfig {
                per_device_train_batch_size: 1,
                ..usual.clone()
            },
            "per_device_train_batch_size",
        ),
        (
            "a large rank for few rows",
            few.clone(),
            RunConfig {
                lora_r: 64,
                ..usual.clone()
            },
            "lora_r",
        ),
        (
            "more epochs than the data bear",
            facts(),
            RunConfig {
                num_train_epochs: 20.0,
                ..usual.clone()
            },
            "num_train_epochs",
        ),
        (
            "the same by steps",
            few,
            RunConfig {
                max_steps: 1000,
                ..usual.clone()
            },
            "max_steps",
        ),
        (
            "a cutoff that cuts a third of the rows",
            facts(),
            RunConfig {
                cutoff_len: 100,
                ..usual.clone()
            },
            "cutoff_len",
        ),
        (
            "more than the device has",
            tight,
            usual.clone(),
            "per_device_train_batch_size",
        ),
        ("nothing held out", Facts { held_out: 0, ..facts() }, usual, "val_size"),
    ];
    for (what, facts, config, knob) in cases {
        assert_eq!(cautioned(&facts, &config), [knob], "{what}");
    }
}

#[test]
fn passes_that_held_out_rows_end_are_not_cautioned() {
    let many = RunConfig {
        num_train_epochs: 20.0,
        eval_strategy: Interval::Epoch,
        load_best_model_at_end: true,
        ..RunConfig::default()
    };
    assert_eq!(cautioned(&facts(), &many), [""; 0]);
    // Without scores on the way nothing ends them.
    let blind = RunConfig {
        eval_strategy: Interval::No,
        ..many
    };
    assert_eq!(cautioned(&facts(), &blind), ["num_train_epochs"]);
}

#[test]
fn what_is_recommended_is_valid_and_cautions_nobody() {
    for task in Task::ALL {
        for model in [
            ModelKind::Decoder,
            ModelKind::Encoder,
            ModelKind::EncoderDecoder,
            ModelKind::Fresh,
        ] {
            for rows in [5, 60, 700, 20_000, 200_000] {
                for finetuning_type in [FinetuningType::Lora, FinetuningType::Full] {
                    let facts = Facts {
                        task,
                        model,
                        rows,
                        compares_batch: task == Task::Embedding,
                        ..facts()
                    };
                    let config = RunConfig {
                        finetuning_type,
                        ..RunConfig::default()
                    };
                    let advice = advise(&facts, &config);
                    let better = with(&advice, &config);
                    let again = advise(&facts, &better);
                    let place = format!("{task}, {model:?}, {rows} rows, {finetuning_type:?}");
                    assert!(again.cautions.is_empty(), "{place}: {:?}", again.cautions);
                    for one in &again.settings {
                        assert_eq!(one.value, one.current, "{place}: {}", one.knob);
                    }
                }
            }
        }
    }
}

/// The run with what is recommended, which goes together, and what is recommended for that, which is the same.
fn settled(facts: &Facts, config: &RunConfig, place: &str) -> (Advice, RunConfig) {
    config.validate().unwrap_or_else(|error| panic!("{place}: {error}"));
    let advice = advise(facts, config);
    let better = with(&advice, config);
    for one in advise(facts, &better).settings {
        assert_eq!(one.value, one.current, "{place}: {}", one.knob);
    }
    (advice, better)
}

#[test]
fn formats_of_the_base_go_with_what_is_recommended() {
    let formats = [
        (None, None),
        (Some(4), None),
        (Some(8), None),
        (None, Some(Fp8Format::E4m3)),
    ];
    for model in [
        ModelKind::Decoder,
        ModelKind::Encoder,
        ModelKind::EncoderDecoder,
        ModelKind::Fresh,
    ] {
        for (quantization_bit, fp8) in formats {
            for (peak, plain) in [(1, 1), (1, 4), (4, 4)] {
                let facts = Facts {
                    model,
                    available_bytes: Some(2 << 30),
                    peak_bytes: Some(peak << 30),
                    plain_peak_bytes: Some(plain << 30),
                    ..facts()
                };
                let config = RunConfig {
                    quantization_bit,
                    fp8,
                    ..RunConfig::default()
                };
                let place = format!("{model:?}, {quantization_bit:?}, {fp8:?}, {peak} of {plain} GiB");
                let (_, better) = settled(&facts, &config, &place);
                let found = (better.quantization_bit, better.fp8);
                let wanted = match (model, peak, plain) {
                    (ModelKind::Fresh, ..) => (None, None),
                    (_, 1, _) if fp8.is_some() => (None, fp8),
                    (_, _, 1) => (None, None),
                    _ => (Some(4), None),
                };
                assert_eq!(found, wanted, "{place}");
            }
        }
    }
}

#[test]
fn a_warm_up_in_steps_gives_way_to_the_ratio() {
    let config = RunConfig {
        warmup_steps: 300,
        ..RunConfig::default()
    };
    let (_, better) = settled(&facts(), &config, "warmup_steps");
    assert_eq!((better.warmup_steps, better.warmup_ratio), (0, 0.1));
    let (advice, _) = settled(&facts(), &RunConfig::default(), "none");
    assert!(advice.settings.iter().all(|one| one.knob != "warmup_steps"));
}

#[test]
fn a_new_head_on_an_encoder_with_few_rows_is_to_start_from_the_probe() {
    let few = Facts {
        task: Task::Classification,
        model: ModelKind::Encoder,
        rows: 210,
        takes_probe: true,
        ..facts()
    };
    let (_, better) = settled(&few, &RunConfig::default(), "few rows");
    assert_eq!(better.head_init, HeadInit::Probe);
    for facts in [
        Facts {
            rows: 5000,
            ..few.clone()
        },
        Facts {
            model: ModelKind::Decoder,
            ..few.clone()
        },
        Facts {
            takes_probe: false,
            ..few
        },
    ] {
        let (_, better) = settled(&facts, &RunConfig::default(), "no probe");
        assert_eq!(better.head_init, HeadInit::Random, "{facts:?}");
    }
}

#[test]
fn every_setting_has_three_sentences_in_both_languages() {
    let advice = advise(&facts(), &RunConfig::default());
    assert!(advice.settings.len() >= 12, "{:?}", advice.settings);
    let fresh = Facts {
        model: ModelKind::Fresh,
        ..facts()
    };
    let tight = Facts {
        available_bytes: Some(1),
        peak_bytes: Some(2),
        plain_peak_bytes: Some(2),
        ..facts()
    };
    let eighths = RunConfig {
        fp8: Some(Fp8Format::E4m3),
        warmup_steps: 3,
        ..RunConfig::default()
    };
    let probed = Facts {
        model: ModelKind::Encoder,
        rows: 50,
        takes_probe: true,
        ..facts()
    };
    let others = [
        advise(&fresh, &eighths),
        advise(&tight, &eighths),
        advise(&probed, &RunConfig::default()),
    ];
    for one in others.iter().chain([&advice]).flat_map(|advice| &advice.settings) {
        for message in [&one.reason, &one.evidence, &one.why_not] {
            let (english, chinese) = (message.text(Language::English), message.text(Language::Chinese));
            assert!(
                english.ends_with('.') && chinese.ends_with('。'),
                "{}: {english} {chinese}",
                one.knob
            );
            assert!(!english.contains('{') && !chinese.contains('{'), "{english} {chinese}");
        }
    }
}

#[test]
fn a_session_measures_the_rows_before_they_are_cut() {
    let mut session = TestSession::open();
    let measure = |session: &mut TestSession, config: &RunConfig| {
        block_on(session.inner.facts(config, &mut |_, _| ())).expect("facts")
    };
    let whole = measure(&mut session, &config());
    assert_eq!((whole.task, whole.model), (Task::Generation, ModelKind::Decoder));
    assert_eq!((whole.rows, whole.held_out, whole.lengths.len()), (20, 4, 20));
    assert!(
        whole.lengths.is_sorted() && whole.lengths[0] > 8 && whole.most_tokens == 128,
        "{whole:?}"
    );
    let short = RunConfig {
        cutoff_len: 8,
        ..config()
    };
    assert_eq!(measure(&mut session, &short).lengths, whole.lengths);
    assert!(cautioned(&whole, &short).contains(&"cutoff_len"));

    // Of packed rows there is no length; an encoder-decoder packs none.
    let packed = RunConfig {
        packing: Some(true),
        ..config()
    };
    assert!(measure(&mut session, &packed).lengths.is_empty());
    let pairs = (0..20_u8)
        .map(|i| char::from(b'a' + i % 6))
        .map(|last| format!("ax{last},{last}a"));
    let pairs = rows::table("source,target", pairs);
    let mut answers = TestSession::with(DeviceChoice::Cpu, tiny::t5_files(), pairs);
    let packed = RunConfig {
        finetuning_type: FinetuningType::Full,
        ..packed
    };
    let found = measure(&mut answers, &packed);
    assert_eq!((found.rows, found.lengths.len()), (16, 16));

    let mut encoder = TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), rows::classes(40));
    let found = measure(&mut encoder, &config());
    assert_eq!((found.task, found.model), (Task::Classification, ModelKind::Encoder));
    assert!(found.takes_probe && !whole.takes_probe);
    let cls = RunConfig {
        classifier_pooling: Some(HeadPooling::Cls),
        ..config()
    };
    assert!(!measure(&mut encoder, &cls).takes_probe);
    // Five letters between two tokens of the frame.
    assert_eq!((found.length_at(0.0), found.length_at(1.0)), (Some(7), Some(7)));

    let mut small = TestSession::small(
        "small_mlp",
        vec![rows::table(
            "a,b,label",
            (0..40).map(|i| format!("{i},{},{}", i * 7 % 11, i % 2)),
        )],
    );
    let fresh = RunConfig {
        finetuning_type: FinetuningType::Full,
        ..config()
    };
    let found = measure(&mut small, &fresh);
    assert_eq!((found.model, found.length_at(0.5)), (ModelKind::Fresh, None));
}

#[test]
fn a_way_out_that_is_one_value_ends_its_caution() {
    let usual = RunConfig::default;
    let few = Facts { rows: 60, ..facts() };
    let cases = [
        (
            facts(),
            RunConfig {
                learning_rate: 2e-5,
                ..usual()
            },
        ),
        (few.clone(), RunConfig { lora_r: 64, ..usual() }),
        (
            facts(),
            RunConfig {
                num_train_epochs: 20.0,
                ..usual()
            },
        ),
        (
            few,
            RunConfig {
                max_steps: 1000,
                ..usual()
            },
        ),
        (
            facts(),
            RunConfig {
                cutoff_len: 100,
                ..usual()
            },
        ),
    ];
    for (facts, mut config) in cases {
        let found = advise(&facts, &config).cautions;
        let [caution] = &found[..] else { panic!("{found:?}") };
        for knob in caution.others.iter().chain([&caution.knob]) {
            assert!(find(knob).is_some(), "{knob}");
        }
        let value = caution.way_out.clone().expect("one value");
        let shown = value.to_string();
        let remedy = caution.remedy.english();
        // 2e-4 is written so, and as 0.0002.
        assert!(remedy.contains(&shown) || remedy.contains("2e-4"), "{remedy}: {shown}");
        config.set(caution.knob, &value).expect("a value of the knob");
        let left = advise(&facts, &config).cautions;
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn too_few_rows_and_scores_that_are_had_already_are_doubts() {
    let doubts = |facts: &Facts| advise(facts, &RunConfig::default()).doubts.len();
    assert_eq!(doubts(&Facts { rows: 20, ..facts() }), 1);
    assert_eq!(doubts(&facts()), 0);
    // Of a packed text, rows are blocks.
    let packed = Facts {
        rows: 20,
        lengths: Vec::new(),
        ..facts()
    };
    assert_eq!(doubts(&packed), 0);
    let probe = || BaselineKind::LinearProbe.message();
    let doubt = doubt_of_score("accuracy", 0.99, probe()).expect("next to nothing to gain");
    assert!(doubt.what.english().contains("0.990"), "{doubt:?}");
    assert_eq!(doubt_of_score("accuracy", 0.9, probe()), None);
    assert_eq!(doubt_of_score("loss", 2.5, probe()), None, "less of it is better");
    assert_eq!(doubt_of_score("accuracy", f64::NAN, probe()), None);
}

/// What a front end is told that asks for advice by a command.
fn told(session: &mut TestSession, config: &RunConfig) -> (Advice, usize, usize) {
    let config = Box::new(config.clone());
    session.ask(Command::Advise { config }, Vec::new());
    let event = session.events.last().expect("an answer");
    // As it crosses a worker's boundary.
    let text = serde_json::to_string(event).expect("JSON");
    match serde_json::from_str(&text).expect("an event") {
        Event::Advice { advice, rows, held_out } => (*advice, rows, held_out),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_front_end_gets_the_command_s_advice_after_every_change() {
    let mut session = TestSession::open();
    for config in [
        config(),
        RunConfig { lora_r: 64, ..config() },
        RunConfig {
            val_size: 0.5,
            cutoff_len: 8,
            ..config()
        },
        RunConfig {
            val_size: 0.5,
            learning_rate: 2e-5,
            ..config()
        },
    ] {
        let (advice, rows, held_out) = told(&mut session, &config);
        let facts = block_on(TestSession::open().inner.facts(&config, &mut |_, _| ())).expect("facts");
        assert_eq!((rows, held_out), (facts.rows, facts.held_out));
        assert_eq!(advice, advise(&facts, &config));
    }
}

#[test]
fn of_large_data_a_part_is_looked_at_and_the_rows_are_counted_from_it() {
    let line = format!("{{\"prompt\": \"{}\", \"completion\": \"yes\"}}\n", "word ".repeat(12));
    let file = lorakeet_core::store::MemoryFile::source("rows.jsonl", line.repeat(30_000).into_bytes());
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file);
    let (_, rows, held_out) = told(&mut session, &RunConfig::default());
    assert!(
        rows.abs_diff(27_000) < 100 && held_out.abs_diff(3_000) < 20,
        "{rows} and {held_out}"
    );
}
