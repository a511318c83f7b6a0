//! What the estimate of a run's memory promises: the base to the byte, and more for more. How near the peak is to what a
//! device counts is held in `memory_estimate`.

use lorakeet_core::{
    config::{FinetuningType, Fp8Format, Fp8Scale, Optimizer, QuantType, RunConfig, TargetModules},
    device,
    error::Kind,
    estimate::estimate,
    formats::{ModelFiles, peft::AdapterConfig},
    models::Model,
    protocol::{Command, DeviceChoice, Event, MemoryEstimate},
    quant::BaseFormat,
    store::Source,
};
use lorakeet_tests::{generated::Decoder, golden::block_on, test_session::TestSession};

const SHAPE: Decoder = Decoder {
    layers: 2,
    width: 72,
    inner: 200,
    heads: 6,
    kv_heads: 2,
    vocab: 300,
    positions: 64,
};

fn said(files: Vec<Source>, config: &RunConfig) -> MemoryEstimate {
    said_of(&block_on(ModelFiles::open(files)).expect("the files open"), config)
}

fn said_of(files: &ModelFiles, config: &RunConfig) -> MemoryEstimate {
    block_on(estimate(files, config, None, u64::MAX)).expect("an estimate")
}

/// Every format that a run can ask for.
fn packed_runs() -> Vec<RunConfig> {
    let run = RunConfig::default;
    let mut runs = vec![
        run(),
        RunConfig {
            quantization_bit: Some(8),
            ..run()
        },
    ];
    for bnb_4bit_quant_type in [QuantType::Nf4, QuantType::Fp4] {
        for bnb_4bit_use_double_quant in [false, true] {
            runs.push(RunConfig {
                quantization_bit: Some(4),
                bnb_4bit_quant_type,
                bnb_4bit_use_double_quant,
                ..run()
            });
        }
    }
    for fp8 in [Fp8Format::E4m3, Fp8Format::E5m2] {
        for fp8_scale in [Fp8Scale::Tensor, Fp8Scale::Row, Fp8Scale::Block] {
            runs.push(RunConfig {
                fp8: Some(fp8),
                fp8_scale,
                ..run()
            });
        }
    }
    runs
}

#[test]
fn the_base_takes_what_is_said_to_the_byte() {
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the CPU opens").0;
    for config in packed_runs() {
        for (name, files) in [("llama", SHAPE.llama()), ("gpt2", SHAPE.gpt2())] {
            for full in [false, true] {
                let finetuning_type = match full {
                    true => FinetuningType::Full,
                    false => FinetuningType::Lora,
                };
                let config = RunConfig {
                    finetuning_type,
                    ..config.clone()
                };
                let base = BaseFormat::from(&config);
                let said = said(files.clone(), &config);
                let files = block_on(ModelFiles::open(files.clone())).expect("the files open");
                let model = block_on(Model::load_base(&files, (full, base), 0, &device, &mut |_, _| ()));
                let info = model.expect("it loads").info;
                let what = format!("{name}, {base:?}, all trained: {full}");
                assert_eq!(said.base_bytes, info.weight_bytes, "{what}");
                assert_eq!(said.parameters, info.parameters, "{what}");
                assert_eq!(said.bytes_per_parameter(), info.bytes_per_parameter(), "{what}");
            }
        }
    }
}

#[test]
fn every_architecture_has_a_base_and_all_with_a_head_have_a_peak() {
    let device = block_on(device::open(DeviceChoice::Cpu)).expect("the CPU opens").0;
    for (name, files, has_peak) in [
        ("BERT", SHAPE.bert("BertForMaskedLM"), true),
        ("BERT's classifier", SHAPE.bert("BertForSequenceClassification"), true),
        ("BERT's tagger", SHAPE.bert("BertForTokenClassification"), true),
        ("BERT without a head", SHAPE.bert("BertModel"), false),
        ("ModernBERT", SHAPE.modernbert("ModernBertForMaskedLM"), true),
        ("Gemma", SHAPE.gemma2(), true),
        ("T5", SHAPE.t5(), true),
    ] {
        for finetuning_type in [FinetuningType::Lora, FinetuningType::Full] {
            let full = finetuning_type == FinetuningType::Full;
            let config = RunConfig {
                finetuning_type,
                target_modules: TargetModules::Pattern("all-linear".into()),
                ..RunConfig::default()
            };
            let said = said_of(&files, &config);
            let loaded = block_on(Model::load_base(
                &files,
                (full, BaseFormat::AsStored),
                0,
                &device,
                &mut |_, _| (),
            ));
            let mut model = loaded.expect("it loads");
            assert_eq!(said.base_bytes, model.info.weight_bytes, "{name}, all trained: {full}");
            if !full {
                let adapter = AdapterConfig {
                    r: config.lora_r,
                    target_modules: config.target_modules.clone(),
                    ..AdapterConfig::default()
                };
                model.attach_lora(&adapter, 0).expect("the modules are there");
            }
            assert_eq!(
                said.trained_parameters,
                model.parameters.weights(),
                "{name}, all trained: {full}"
            );
            assert_eq!(said.peak_bytes.is_some(), has_peak, "{name}");
            assert_eq!(said.activation_bytes.is_some(), has_peak, "{name}");
        }
    }
}

#[test]
fn moments_of_eight_bits_take_a_quarter() {
    let wide = Decoder { width: 288, ..SHAPE };
    let with = |optim| {
        let config = RunConfig {
            finetuning_type: FinetuningType::Full,
            optim,
            ..RunConfig::default()
        };
        said(wide.llama(), &config).optimizer_bytes as f64
    };
    let share = with(Optimizer::Adamw8bit) / with(Optimizer::AdamwTorch);
    assert!((0.25..0.28).contains(&share), "{share}");
}

#[test]
fn a_model_that_starts_from_fresh_weights_is_told_like_one_that_has_them() {
    let config = RunConfig {
        finetuning_type: FinetuningType::Full,
        ..RunConfig::default()
    };
    let stored = block_on(ModelFiles::open(SHAPE.llama())).expect("the files open");
    let fresh = ModelFiles::from_config("fresh", stored.config.clone());
    let of = |files: &ModelFiles| block_on(estimate(files, &config, None, u64::MAX)).expect("an estimate");
    assert_eq!(of(&fresh), of(&stored));
}

#[test]
fn more_of_anything_never_takes_less() {
    let start = RunConfig {
        cutoff_len: 16,
        per_device_train_batch_size: 1,
        gradient_accumulation_steps: 1,
        lora_r: 2,
        lora_dropout: 0.0,
        val_size: 0.0,
        target_modules: TargetModules::Names(vec!["q_proj".into()]),
        ..RunConfig::default()
    };
    let peak = |config: &RunConfig| {
        said(SHAPE.llama(), config)
            .peak_bytes
            .expect("a decoder's peak is known")
    };
    let grows = |what: &str, runs: Vec<RunConfig>| {
        let peaks: Vec<u64> = runs.iter().map(peak).collect();
        assert!(peaks.is_sorted(), "{what}: {peaks:?}");
        assert!(peaks[0] < peaks[peaks.len() - 1], "{what}: {peaks:?}");
    };
    let runs = |change: &dyn Fn(&mut RunConfig, usize)| {
        let with = |value: usize| {
            let mut config = start.clone();
            change(&mut config, value);
            config
        };
        (1..=6).map(with).collect::<Vec<_>>()
    };
    grows("rows", runs(&|config, n| config.per_device_train_batch_size = n));
    grows("tokens", runs(&|config, n| config.cutoff_len = 8 * n));
    grows("ranks", runs(&|config, n| config.lora_r = 4 * n));
    grows("modules", {
        let names = ["q_proj", "k_proj", "v_proj", "gate_proj", "up_proj", "down_proj"];
        runs(&|config, n| {
            config.target_modules = TargetModules::Names(names[..n].iter().map(|n| (*n).into()).collect())
        })
    });
    grows("rows that are scored", {
        runs(&|config, n| {
            config.val_size = 0.1;
            config.per_device_eval_batch_size = 4 * n;
        })
    });
    let accumulated = |config: RunConfig| RunConfig {
        gradient_accumulation_steps: 2,
        ..config
    };
    grows("micro-batches", vec![start.clone(), accumulated(start.clone())]);
    let full = RunConfig {
        finetuning_type: FinetuningType::Full,
        ..start.clone()
    };
    grows("what is trained", vec![start, full.clone(), accumulated(full)]);
}

#[test]
fn texts_beyond_the_models_positions_take_no_more() {
    let of = |cutoff_len| {
        let config = RunConfig {
            cutoff_len,
            ..RunConfig::default()
        };
        said(SHAPE.llama(), &config)
    };
    assert_eq!(of(SHAPE.positions), of(4096));
}

#[test]
fn what_keeps_a_run_from_starting_keeps_it_from_being_estimated() {
    let config = RunConfig {
        target_modules: TargetModules::Names(vec!["nothing".into()]),
        ..RunConfig::default()
    };
    let files = block_on(ModelFiles::open(SHAPE.llama())).expect("the files open");
    let error = block_on(estimate(&files, &config, None, u64::MAX)).expect_err("no such module");
    assert_eq!(error.kind, Kind::Config);
    assert_eq!(error.field_name(), Some("target_modules"));
}

#[test]
fn names_of_an_adapter_that_match_nothing_keep_a_run_from_being_estimated() {
    let refused = |change: &dyn Fn(&mut RunConfig)| {
        let mut config = RunConfig::default();
        change(&mut config);
        let files = block_on(ModelFiles::open(SHAPE.llama())).expect("the files open");
        block_on(estimate(&files, &config, None, u64::MAX)).expect_err("a name matches nothing")
    };
    let names = |names: &[&str]| TargetModules::Names(names.iter().map(|name| (*name).to_owned()).collect());
    for (field, error) in [
        (
            "target_modules",
            refused(&|config| config.target_modules = names(&["q_proj", "qq_proj"])),
        ),
        (
            "target_modules",
            refused(&|config| config.target_modules = names(&["q_proj", "lm_head"])),
        ),
        (
            "rank_pattern",
            refused(&|config| config.rank_pattern = vec![("q_porj".into(), 4)]),
        ),
        (
            "alpha_pattern",
            refused(&|config| config.alpha_pattern = vec![("q_porj".into(), 4.0)]),
        ),
        (
            "modules_to_save",
            refused(&|config| config.modules_to_save = Some(names(&["embeddings"]))),
        ),
    ] {
        assert_eq!(error.field_name(), Some(field), "{error}");
    }
}

#[test]
fn a_session_tells_what_a_run_on_its_model_takes() {
    let mut session = TestSession::open();
    let config = lorakeet_tests::tiny::config();
    let command = Command::Estimate {
        config: Box::new(config.clone()),
    };
    session.ask(command, Vec::new());
    let Some(Event::Estimate { memory, .. }) = session.events.last() else {
        panic!("no estimate: {:?}", session.events.last());
    };
    assert_eq!(*memory, said(lorakeet_tests::tiny::model_files(), &config));
}
