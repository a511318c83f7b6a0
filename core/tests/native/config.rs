//! Run files: what loads, what is refused and in which words, and that table, struct, text and flags agree.

mod plans;

use lorakeet_core::Error;
use lorakeet_core::config::{
    FinetuningType, Interval, KNOBS, Optimizer, Resolved, RunConfig, SchedulerType, Source, TargetModules, TokenIndices,
};
use serde_json::{Value, json};

/// The reference run as it stands.
const REFERENCE: &str = "\
per_device_train_batch_size: 1
gradient_accumulation_steps: 2
learning_rate: 2e-4
lr_scheduler_type: cosine
warmup_ratio: 0.1
num_train_epochs: 3.0
lora_r: 16
lora_alpha: 32
lora_dropout: 0.05
quantization_bit: 4
";

fn parse(text: &str) -> Resolved {
    RunConfig::parse(text, "run.yaml").unwrap_or_else(|error| panic!("{text}\n{error}"))
}

fn refused(text: &str) -> Error {
    match RunConfig::parse(text, "run.yaml") {
        Ok(resolved) => panic!("accepted: {text}\n{:?}", resolved.config),
        Err(error) => error,
    }
}

fn assert_reference(config: &RunConfig) {
    assert_eq!(config.per_device_train_batch_size, 1);
    assert_eq!(config.gradient_accumulation_steps, 2);
    assert_eq!(config.learning_rate, 2e-4);
    assert_eq!(config.lr_scheduler_type, SchedulerType::Cosine);
    assert_eq!(config.warmup_ratio, 0.1);
    assert_eq!(config.num_train_epochs, 3.0);
    assert_eq!(config.lora_r, 16);
    assert_eq!(config.lora_alpha, 32.0);
    assert_eq!(config.lora_dropout, 0.05);
    assert_eq!(config.quantization_bit, Some(4));
}

#[test]
fn the_reference_run_loads_as_it_stands() {
    let resolved = parse(REFERENCE);
    assert_reference(&resolved.config);
    assert!(resolved.warnings.is_empty(), "{:?}", resolved.warnings);
    assert_eq!(resolved.source("lora_r"), Source::File { line: 7 });
    assert_eq!(resolved.source("seed"), Source::Default);
}

#[test]
fn what_stands_in_quotes_is_taken_where_it_is_exactly_a_value() {
    let config = parse(
        "learning_rate: '2e-5'\nnum_train_epochs: \"1\"\nlora_r: \"4\"\npacking: \"False\"\nload_best_model_at_end: 'true'\n\
         layers_to_transform: \"0, 2\"\nrank_pattern: {q_proj: '2'}\noutput_dir: \"7\"",
    )
    .config;
    assert_eq!(
        (config.learning_rate, config.num_train_epochs, config.lora_r),
        (2e-5, 1.0, 4)
    );
    assert_eq!((config.packing, config.load_best_model_at_end), (Some(false), true));
    assert_eq!(config.layers_to_transform, Some(vec![0, 2]));
    assert_eq!(config.rank_pattern, [("q_proj".to_owned(), 2)]);
    // A text stays one.
    assert_eq!(config.output_dir, "7");
    let json = RunConfig::parse(r#"{"lora_r": "4", "packing": "true"}"#, "run.json")
        .unwrap()
        .config;
    assert_eq!((json.lora_r, json.packing), (4, Some(true)));
    for line in ["lora_r: \"four\"", "lora_r: \"4 5\"", "packing: \"\""] {
        refused(line);
    }
}

#[test]
fn the_reference_run_loads_with_windows_line_ends_a_bom_comments_and_quotes() {
    assert_reference(&parse(&format!("\u{feff}{}", REFERENCE.replace('\n', "\r\n"))).config);
    assert_reference(
        &parse(&format!(
            "# ours\n---\n{}",
            REFERENCE.replace('\n', "   # as advised\n\n")
        ))
        .config,
    );
    assert_reference(&parse(&REFERENCE.replace(": cosine", ": \"cosine\"").replace("2e-4", "'2e-4'")).config);
    assert_reference(&parse(&format!("{{{}}}", REFERENCE.trim().replace('\n', ", "))).config);
    let json = r#"{"per_device_train_batch_size": 1, "gradient_accumulation_steps": 2, "learning_rate": 2e-4,
        "lr_scheduler_type": "cosine", "warmup_ratio": 0.1, "num_train_epochs": 3.0, "lora_r": 16, "lora_alpha": 32,
        "lora_dropout": 0.05, "quantization_bit": 4}"#;
    assert_reference(&parse(json).config);
    let resolved = RunConfig::parse(json, "run.json").expect("loads");
    assert_reference(&resolved.config);
    assert_eq!(resolved.source("lora_r"), Source::File { line: 2 });
    assert_eq!(resolved.source("lora_dropout"), Source::File { line: 3 });
}

#[test]
fn a_llama_factory_file_loads_and_its_other_keys_are_explained() {
    let resolved = parse(
        "### model\nmodel_name_or_path: models/llama\ntrust_remote_code: true\n\n### method\nstage: sft\ndo_train: true\n\
         finetuning_type: lora\nlora_rank: 8\nlora_target: q_proj,v_proj\n\n### dataset\ndataset: identity.json\n\
         template: llama3\ncutoff_len: 2048\nmax_samples: 1000\noverwrite_cache: true\npreprocessing_num_workers: 16\n\
         dataloader_num_workers: 4\n\n### output\noutput_dir: saves/llama\nlogging_steps: 10\nsave_steps: 500\n\
         plot_loss: true\noverwrite_output_dir: true\nsave_only_model: false\nreport_to: none\n\n### train\n\
         per_device_train_batch_size: 1\ngradient_accumulation_steps: 8\nlearning_rate: 1.0e-4\nnum_train_epochs: 3.0\n\
         lr_scheduler_type: cosine\nwarmup_ratio: 0.1\nbf16: true\nddp_timeout: 180000000\n\
         resume_from_checkpoint: null\n\n### eval\nval_size: 0.1\nper_device_eval_batch_size: 1\n\
         eval_strategy: steps\neval_steps: 500\n",
    );
    let config = &resolved.config;
    assert_eq!(config.lora_r, 8);
    assert_eq!(config.lora_alpha, 16.0);
    assert_eq!(config.learning_rate, 1e-4);
    assert_eq!(config.train_file, "identity.json");
    assert_eq!(
        config.target_modules,
        TargetModules::Names(vec!["q_proj".into(), "v_proj".into()])
    );
    assert_eq!(
        resolved.source("lora_r"),
        Source::Alias {
            of: "lora_rank".into(),
            line: 9
        }
    );
    assert_eq!(resolved.warnings.len(), 12, "{:#?}", resolved.warnings);
    assert!(config.overwrite_output_dir && config.resume_from_checkpoint.is_none());
    let template = "line 14: template has no effect: the model's own chat template is used";
    assert!(
        resolved.warnings.iter().any(|warning| warning.english() == template),
        "{:#?}",
        resolved.warnings
    );
    config.require_paths().expect("both paths are given");
}

#[test]
fn numbers_are_read_as_people_mean_them() {
    for (text, number) in [
        ("2e-4", 2e-4),
        ("2E-4", 2e-4),
        ("1.0e-4", 1e-4),
        (".5", 0.5),
        ("1.", 1.0),
        ("+1e-3", 1e-3),
    ] {
        assert_eq!(
            parse(&format!("learning_rate: {text}")).config.learning_rate,
            number,
            "{text}"
        );
    }
    for (text, number) in [("1_000", 1000), ("1000", 1000), ("1e3", 1000), ("1000.0", 1000)] {
        assert_eq!(parse(&format!("max_steps: {text}")).config.max_steps, number, "{text}");
    }
    for (text, flag) in [
        ("true", true),
        ("True", true),
        ("yes", true),
        ("on", true),
        ("false", false),
        ("off", false),
    ] {
        assert_eq!(parse(&format!("packing: {text}")).config.packing, Some(flag), "{text}");
    }
    assert_eq!(parse("output_dir: 2024").config.output_dir, "2024");
    assert_eq!(parse("output_dir: runs/a b").config.output_dir, "runs/a b");
    assert_eq!(parse(r"train_file: C:\data\a.csv").config.train_file, r"C:\data\a.csv");
    assert_eq!(parse("train_file: 数据.jsonl").config.train_file, "数据.jsonl");
    assert_eq!(parse("eval_strategy: no").config.eval_strategy, Interval::No);
    assert_eq!(parse("seed: 9007199254740991").config.seed, 9_007_199_254_740_991);
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_its_neighbour() {
    let error = refused("lora_r: 8\nlora_alhpa: 32\n");
    assert_eq!((error.row, error.field_name()), (Some(2), Some("lora_alhpa")));
    assert_eq!(
        error.to_string(),
        "run.yaml, line 2, lora_alhpa: there is no such key, got 32. Did you mean lora_alpha?"
    );
    for (typed, meant) in [
        ("learning-rate", "learning_rate"),
        ("Learning_Rate", "learning_rate"),
        ("warmup_ration", "warmup_ratio"),
        ("num_epoch", "num_epochs"),
        ("gradient_acumulation_step", "gradient_accumulation_steps"),
        ("lora_ranks", "lora_rank"),
    ] {
        let remedy = refused(&format!("{typed}: 1")).remedy.map(|remedy| remedy.english());
        assert_eq!(remedy, Some(format!("Did you mean {meant}?")), "{typed}");
    }
    assert!(
        !refused("colour_of_parakeet: green")
            .remedy
            .is_some_and(|remedy| remedy.english().contains("Did you mean"))
    );
}

#[test]
fn impossible_values_are_refused_with_key_value_and_what_is_allowed() {
    const RANK: &str = "must be a whole number from 1 to 4096";
    const RATE: &str = "must be a number above 0 and at most 1";
    const DROPOUT: &str = "must be a number of at least 0 and below 1";
    const WARMUP: &str = "must be a whole number from 0, or a share of the run above 0 and below 1";
    const TARGETS: &str = "must be all-linear, a list of module names, or one pattern";
    const RANKS: &str = "must be whole numbers from 1 by module pattern, as in {q_proj: 8}";
    for (line, allowed, got) in [
        ("lora_r: 0", RANK, "0"),
        ("lora_rank: 0", RANK, "0"),
        ("lora_r: 8.5", RANK, "8.5"),
        ("lora_r: sixteen", RANK, "sixteen"),
        ("lora_r: \"16x\"", RANK, "\"16x\""),
        ("lora_r: true", RANK, "true"),
        ("lora_r: [16]", RANK, "[16]"),
        ("lora_r:", RANK, "nothing"),
        ("lora_alpha: 0", "must be a number above 0 and at most 1000000", "0"),
        ("lora_dropout: 1", DROPOUT, "1"),
        ("lora_dropout: 1.5", DROPOUT, "1.5"),
        ("lora_dropout: -0.1", DROPOUT, "-0.1"),
        ("learning_rate: -1e-4", RATE, "-1e-4"),
        ("learning_rate: 0", RATE, "0"),
        ("learning_rate: .nan", RATE, ".nan"),
        ("learning_rate: nan", RATE, "nan"),
        ("learning_rate: .inf", RATE, ".inf"),
        ("learning_rate: 1e999", RATE, "1e999"),
        ("learning_rate: 0x10", RATE, "0x10"),
        ("learning_rate: {}", RATE, "{}"),
        ("max_grad_norm: -1", "must be a number of at least 0", "-1"),
        (
            "per_device_train_batch_size: 0",
            "must be a whole number from 1 to 65536",
            "0",
        ),
        (
            "gradient_accumulation_steps: 0",
            "must be a whole number from 1 to 65536",
            "0",
        ),
        (
            "warmup_ratio: 1.1",
            "must be a number of at least 0 and at most 1",
            "1.1",
        ),
        ("warmup_steps: -3", WARMUP, "-3"),
        ("warmup_steps: 2.5", WARMUP, "2.5"),
        (
            "eval_steps: -10",
            "must be a whole number from 0, or a share of the run above 0 and below 1",
            "-10",
        ),
        (
            "save_steps: 2.5",
            "must be a whole number from 0, or a share of the run above 0 and below 1",
            "2.5",
        ),
        (
            "logging_steps: 0",
            "must be a whole number from 1, or a share of the run above 0 and below 1",
            "0",
        ),
        ("max_steps: 0", "must be a whole number from 1, or -1 for none", "0"),
        (
            "val_size: 2.5",
            "must be a share of at least 0 and below 1, or a whole number from 1",
            "2.5",
        ),
        ("quantization_bit: 3", "must be one of 4, 8", "3"),
        ("packing: 1", "must be true or false", "1"),
        ("packing: \"truly\"", "must be true or false", "\"truly\""),
        (
            "optim: lion_32bit",
            "must be one of adamw_torch, adamw_8bit",
            "lion_32bit",
        ),
        ("finetuning_type: freeze", "must be one of lora, full", "freeze"),
        ("target_modules: []", TARGETS, "an empty list"),
        ("target_modules: \"\"", TARGETS, "\"\""),
        ("target_modules: [q_proj, \"\"]", TARGETS, "[q_proj, \"\"]"),
        ("output_dir:", "must be text", "nothing"),
        ("rank_pattern: {q_proj: 0}", RANKS, "{q_proj: 0}"),
        (
            "lr_scheduler_kwargs: {min_lr: 0}",
            "takes num_cycles, power, lr_end",
            "min_lr: 0",
        ),
    ] {
        let error = refused(&format!("seed: 1\n{line}\n"));
        assert_eq!(error.what.english(), format!("{allowed}, got {got}"), "{line}");
        assert_eq!(error.row, Some(2), "{line}");
        assert_eq!(error.field_name(), line.split(':').next(), "{line}");
        assert_eq!(error.file.as_deref(), Some("run.yaml"), "{line}");
    }
    let error = refused("lr_scheduler_type: warmup_stable_decay");
    assert!(error.what.english().contains("cosine_with_restarts"), "{error}");
}

#[test]
fn all_errors_of_a_file_are_told_at_once() {
    let text = refused("lora_r: 0\nlora_drop: 0.1\nlearning_rate: fast\n").to_string();
    for part in [
        "line 1, lora_r",
        "line 2, lora_drop",
        "Did you mean lora_dropout?",
        "line 3, learning_rate",
        "got fast",
    ] {
        assert!(text.contains(part), "{part} is missing in: {text}");
    }
}

#[test]
fn a_key_may_stand_once_and_its_aliases_must_agree() {
    let error = refused("lora_r: 8\nseed: 1\nlora_r: 8\n");
    assert_eq!(error.row, Some(3));
    assert_eq!(error.what.english(), "appears here a second time, after line 1");
    assert_eq!(
        refused(r#"{"lora_r": 8, "lora_r": 16}"#).what.english(),
        "appears here a second time, after line 1"
    );
    let error = refused("lora_rank: 8\nlora_r: 16\n");
    assert_eq!(
        error.what.english(),
        "gives lora_r the value 16, but lora_rank in line 1 gives it 8"
    );
    assert_eq!(parse("lora_rank: 8\nlora_r: 8\n").config.lora_r, 8);
    assert_eq!(refused("load_in_4bit: true\nquantization_bit: 8").row, Some(2));
}

#[test]
fn settings_that_exclude_each_other_are_refused() {
    let error = refused("lr_scheduler_type: polynomial\nlr_end: 1e-3\nlearning_rate: 1e-4\n");
    assert_eq!((error.field_name(), error.row), (Some("lr_end"), Some(2)));
    let error = refused("finetuning_type: full\nquantization_bit: 4\n");
    assert_eq!((error.field_name(), error.row), (Some("quantization_bit"), Some(2)));
}

#[test]
fn what_is_not_there_is_refused_and_what_does_not_matter_is_said() {
    for line in [
        "label_smoothing_factor: 0.1",
        "pissa_init: true",
        "neftune_noise_alpha: 5",
        "bias: all",
        "target_parameters: [w]",
        "stage: dpo",
        "do_train: false",
        "group_by_length: true",
    ] {
        let error = refused(line);
        assert_eq!(error.field_name(), line.split(':').next(), "{line}");
        assert!(error.what.english().contains("got "), "{line}: {error}");
    }
    for line in [
        "label_smoothing_factor: 0.0",
        "pissa_init: false",
        "bias: none",
        "target_parameters: null",
        "bf16: true",
        "stage: sft",
        "do_train: true",
        "report_to: [tensorboard]",
        "num_cycles: 2",
        "lr_scheduler_type: constant\nwarmup_ratio: 0.1",
        "warmup_steps: 10\nwarmup_ratio: 0.1",
        "max_steps: 10\nnum_train_epochs: 1",
        "finetuning_type: full\nuse_rslora: true",
        "eval_strategy: epoch\neval_steps: 10",
    ] {
        let warnings = parse(line).warnings;
        assert_eq!(warnings.len(), 1, "{line}: {warnings:?}");
        assert!(
            warnings[0].english().contains("has no effect: "),
            "{line}: {warnings:?}"
        );
    }
}

#[test]
fn tokens_are_a_list_or_lists_by_module() {
    let tokens = |text: &str| {
        parse(&format!("trainable_token_indices: {text}"))
            .config
            .trainable_token_indices
    };
    assert_eq!(tokens("null"), None);
    for list in ["[5, 50000]", "5, 50000"] {
        assert_eq!(tokens(list), Some(TokenIndices::List(vec![5, 50_000])), "{list}");
    }
    let by_module = TokenIndices::ByModule(vec![("wte".to_owned(), vec![7]), ("lm_head".to_owned(), vec![1, 2])]);
    assert_eq!(tokens("{wte: 7, lm_head: [1, 2]}"), Some(by_module.clone()));
    let mut config = RunConfig::default();
    config
        .set_text("trainable_token_indices", "{wte: [7], lm_head: [1, 2]}")
        .expect("a map");
    assert_eq!(config.trainable_token_indices, Some(by_module));
    for wrong in ["[]", "{}", "[-1]", "[a]", "[4294967296]", "{wte: []}", "{wte: {a: 1}}"] {
        let error = refused(&format!("trainable_token_indices: {wrong}"));
        assert_eq!(error.field_name(), Some("trainable_token_indices"), "{wrong}: {error}");
    }
}

#[test]
fn related_keys_mean_what_they_mean_elsewhere() {
    assert_eq!(parse("load_in_4bit: true").config.quantization_bit, Some(4));
    assert_eq!(
        parse("load_in_8bit: true\nload_in_4bit: false").config.quantization_bit,
        Some(8)
    );
    assert!(!parse("train_on_prompt: true").config.completion_only_loss);
    assert_eq!(parse("neat_packing: true").config.packing, Some(true));
    assert_eq!(parse("packing: true\nneat_packing: true").config.packing, Some(true));
    assert_eq!(parse("packing: true\npacking_strategy: bfd").config.packing, Some(true));
    let leaking = parse("packing: true\nneat_packing: false");
    assert_eq!(leaking.config.packing, Some(true));
    let says = |word: &str| leaking.warnings.iter().any(|note| note.english().contains(word));
    assert!(says("never see each other"), "{:?}", leaking.warnings);
    for (line, word) in [
        ("neat_packing: true", "gives it false"),
        ("packing_strategy: wrapped", "never see each other"),
    ] {
        let error = refused(&format!("packing: false\n{line}"));
        assert!(error.to_string().contains(word), "{error}");
    }
    assert_eq!(parse("warmup_steps: 0.03").config.warmup_ratio, 0.03);
    assert_eq!(parse("num_warmup_steps: 0.03").config.warmup_ratio, 0.03);
    assert_eq!(parse("warmup_steps: 0").config.warmup_ratio, 0.0);
    assert_eq!(parse("warmup_steps: 0\nwarmup_ratio: 0.2").config.warmup_ratio, 0.2);
    let resolved = parse("lora_r: 32");
    assert_eq!(resolved.config.lora_alpha, 64.0);
    assert_eq!(resolved.source("lora_alpha"), Source::Derived { from: "lora_r" });
    assert_eq!(parse("eval_strategy: steps\nlogging_steps: 10").config.eval_steps, 10.0);
    assert_eq!(parse("eval_strategy: steps").warnings.len(), 1);
    let config = parse("lr_scheduler_type: cosine_with_restarts\nlr_scheduler_kwargs:\n  num_cycles: 3\n").config;
    assert_eq!(config.num_cycles, 3.0);
    assert_eq!(
        parse("lora_target: all").config.target_modules,
        TargetModules::Pattern("all-linear".into())
    );
    assert_eq!(
        parse("lora_target: default").config.target_modules,
        TargetModules::Pattern("default".into())
    );
    let pattern = r".*\.(q|v)_proj";
    let config = parse(&format!("target_modules: '{pattern}'")).config;
    assert_eq!(config.target_modules, TargetModules::Pattern(pattern.into()));
    let config = parse("target_modules:\n- q_proj\n").config;
    assert_eq!(config.target_modules, TargetModules::Names(vec!["q_proj".into()]));
    let config =
        parse("rank_pattern: {q_proj: 4, v_proj: 2}\nlayers_to_transform: [0, 5]\noptim: adamw_torch_fused").config;
    assert_eq!(
        config.rank_pattern,
        [("q_proj".to_owned(), 4), ("v_proj".to_owned(), 2)]
    );
    assert_eq!(config.layers_to_transform, Some(vec![0, 5]));
    for word in ["adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit"] {
        let config = parse(&format!("optim: {word}")).config;
        assert_eq!(config.optim, Optimizer::Adamw8bit, "{word}");
        assert_eq!(config.get("optim"), Some("adamw_8bit".into()));
    }
}

#[test]
fn broken_files_are_refused_with_a_line() {
    for (text, line) in [
        ("lora_r: 8\n\tseed: 1\n", 2),
        ("lora_r 8\n", 1),
        ("- lora_r: 8\n", 1),
        ("lora_r: 8\n---\nlora_r: 9\n", 2),
        ("lora_r: &a 8\nlora_alpha: *a\n", 1),
        ("lora_r: !!int 8\n", 1),
        ("target_modules: [q_proj\nseed: 1\n", 2),
        ("{\"lora_r\": 8,\n \"seed\": }", 2),
        ("output_dir: \"a\nseed: 1\n", 2),
    ] {
        let error = refused(text);
        assert!(error.row.is_some_and(|row| row.abs_diff(line) <= 1), "{text}: {error}");
    }
    assert_eq!(
        RunConfig::parse("{'lora_r': 8}", "run.json").expect_err("quotes").row,
        Some(1)
    );
    for text in ["", "\n\n", "# nothing\n", "---\n", "{}"] {
        assert_eq!(parse(text).config, RunConfig::default(), "{text:?}");
    }
}

#[test]
fn a_written_file_holds_what_differs_in_table_order() {
    let mut resolved = parse(REFERENCE);
    let flags = [
        ("output", "runs/1 st"),
        ("target_modules", "q_proj,v_proj"),
        ("lr", "1e-5"),
        ("save_total_limit", "3"),
    ];
    resolved.overlay(flags, &Source::Flag).expect("valid");
    assert_eq!(
        resolved.config.to_yaml(),
        "quantization_bit: 4\nlora_r: 16\nlora_alpha: 32\ntarget_modules: [q_proj, v_proj]\n\
         per_device_train_batch_size: 1\ngradient_accumulation_steps: 2\nlearning_rate: 1.0e-5\n\
         output_dir: \"runs/1 st\"\nsave_total_limit: 3\n"
    );
    assert_eq!(resolved.source("learning_rate"), Source::Flag);
}

#[test]
fn flags_lie_on_top_of_the_file_and_a_wrong_one_changes_nothing() {
    let mut resolved = parse(REFERENCE);
    let before = resolved.clone();
    let error = resolved
        .overlay([("lora_r", "4"), ("lora_dropout", "2")], &Source::Flag)
        .expect_err("dropout 2");
    assert_eq!(error.field_name(), Some("lora_dropout"));
    assert_eq!(resolved, before);
    resolved.overlay([("lora_r", "4")], &Source::Flag).expect("valid");
    assert_eq!((resolved.config.lora_r, resolved.config.lora_alpha), (4, 32.0));
    let mut resolved = parse("seed: 1");
    resolved.overlay([("lora_r", "4")], &Source::Flag).expect("valid");
    assert_eq!(resolved.config.lora_alpha, 8.0);
}

#[test]
fn get_and_set_take_aliases_and_check() {
    let mut config = RunConfig::default();
    config.set("lora_rank", &json!(4)).expect("valid");
    assert_eq!(config.get("r"), Some(json!(4)));
    config.set_text("exclude_modules", "[lm_head, k_proj]").expect("valid");
    assert_eq!(config.get("exclude_modules"), Some(json!(["lm_head", "k_proj"])));
    config.set_text("target_modules", "[qv]_proj").expect("a pattern");
    assert_eq!(config.target_modules, TargetModules::Pattern("[qv]_proj".into()));
    config.set_text("layers_to_transform", "0,1").expect("valid");
    assert_eq!(config.layers_to_transform, Some(vec![0, 1]));
    config.set_text("quantization_bit", "4").expect("valid");
    assert_eq!(config.get("quantization_bit"), Some(json!(4)));
    config.set("quantization_bit", &Value::Null).expect("null is none");
    config.set("finetuning_type", &json!("full")).expect("valid");
    assert_eq!(config.finetuning_type, FinetuningType::Full);
    assert_eq!(
        config.set("lora_r", &json!(0)).expect_err("0").field_name(),
        Some("lora_r")
    );
    assert_eq!(
        config.set("nonsense", &json!(0)).expect_err("unknown").field_name(),
        Some("nonsense")
    );
    assert_eq!(config.get("nonsense"), None);
    assert_eq!(config.lora_r, 4);
    assert!(serde_json::from_str::<RunConfig>(r#"{"lora_r": 0}"#).is_err());
}

#[test]
fn check_shows_every_key_with_value_source_and_meaning_within_100_columns() {
    let mut resolved = parse(&format!(
        "{REFERENCE}lr_scheduler: cosine\nbatch_size: 1\nbf16: true\nlr_end: 1e-6\n"
    ));
    let long = "/a/rather/long/path/to/some/data/file.jsonl";
    resolved
        .overlay([("seed", "7"), ("train_file", long)], &Source::Flag)
        .expect("valid");
    let text = resolved.explain();
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert_eq!(line, line.trim_end());
    }
    for knob in KNOBS {
        let start = format!("  {} ", knob.name);
        assert_eq!(
            text.lines().filter(|line| line.starts_with(&start)).count(),
            1,
            "{}",
            knob.name
        );
    }
    let row = text
        .lines()
        .find(|line| line.starts_with("  learning_rate "))
        .expect("a row");
    assert_eq!(
        row.split_whitespace().take(4).collect::<Vec<_>>(),
        ["learning_rate", "2.0e-4", "line", "3"]
    );
    assert!(text.contains("bf16 has no effect") && text.contains(long), "{text}");
    println!("{text}");
}
