//! What a run file comes to: steps, folders, paths.

use super::{REFERENCE, parse};
use lorakeet_core::config::{Interval, Plan, RunConfig};

#[test]
fn paths_are_required_only_to_run() {
    let error = parse(REFERENCE).config.require_paths().expect_err("no model");
    assert_eq!(error.field_name(), Some("model_name_or_path"));
    let error = parse("model: a.gguf").config.require_paths().expect_err("no data");
    assert_eq!(error.field_name(), Some("train_file"));
}

#[test]
fn steps_are_counted_as_the_reference_counts_them() {
    let mut config = parse(REFERENCE).config;
    // 10 rows, batch 1, accumulation 2: 5 a pass, 15 in all, of which ⌈1.5⌉ warm up.
    let plan = config.plan(10);
    assert_eq!((plan.steps_per_epoch, plan.max_steps, plan.warmup_steps), (5, 15, 2));
    config.per_device_train_batch_size = 4;
    // 11 rows are 3 batches, the last of 3 rows; 2 steps, the last of 1 batch.
    assert_eq!(config.plan(11).steps_per_epoch, 2);
    assert_eq!(config.plan(11).max_steps, 6);
    config.num_train_epochs = 0.5;
    assert_eq!(config.plan(11).max_steps, 1);
    config.num_train_epochs = 1.2;
    assert_eq!(config.plan(11).max_steps, 3);
    assert_eq!(config.plan(0).max_steps, 2);
    config.max_steps = 100;
    let plan = config.plan(11);
    assert_eq!((plan.max_steps, plan.warmup_steps), (100, 10));
    config.warmup_steps = 7;
    assert_eq!(config.planned_warmup(100), 7);
    // The probe is kept as it is.
    let kept = parse("head_init: probe\nmax_steps: 0\nnum_train_epochs: 2");
    assert_eq!(kept.config.plan(11).max_steps, 0);
    assert_eq!(kept.warnings.len(), 1, "{:?}", kept.warnings);
    config.eval_strategy = Interval::Epoch;
    assert!(config.evaluates_at(2, &plan) && !config.evaluates_at(3, &plan));
    config.save_steps = 0.0;
    assert!(!config.saves_at(100, &plan) && config.logs_at(1, &plan) && !config.logs_at(0, &plan));
}

#[test]
fn steps_below_one_are_a_share_of_the_run() {
    let at = |text: &str, due: fn(&RunConfig, usize, &Plan) -> bool| {
        let config = parse(text).config;
        let plan = config.plan(8);
        (1..=plan.max_steps)
            .filter(|step| due(&config, *step, &plan))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        at("max_steps: 8\neval_steps: 0.25", RunConfig::evaluates_at),
        [2, 4, 6, 8]
    );
    // As transformers, the share is rounded up: 2.5 steps are 3.
    assert_eq!(at("max_steps: 10\nsave_steps: 0.25", RunConfig::saves_at), [3, 6, 9]);
    assert_eq!(at("max_steps: 10\nlogging_steps: 0.5", RunConfig::logs_at), [5, 10]);
    assert_eq!(
        at("max_steps: 3\neval_steps: 0.001", RunConfig::evaluates_at),
        [1, 2, 3]
    );
    assert_eq!(at("max_steps: 3\neval_steps: 1", RunConfig::evaluates_at), [1, 2, 3]);
    assert_eq!(at("max_steps: 3\neval_steps: 1.0", RunConfig::evaluates_at), [1, 2, 3]);
    assert!(at("max_steps: 3\neval_steps: 0", RunConfig::evaluates_at).is_empty());
    // A share of logging_steps passes on where transformers' rule does so.
    let config = parse("eval_strategy: steps\nlogging_steps: 0.1").config;
    assert_eq!(config.eval_steps, 0.1);
    assert!(parse(&config.to_yaml()).config == config, "{}", config.to_yaml());
}

#[test]
fn a_run_goes_on_from_a_folder_or_from_the_newest() {
    let wanted = |value: &str| {
        let config = parse(&format!("resume_from_checkpoint: {value}")).config;
        assert_eq!(parse(&config.to_yaml()).config, config, "{}", config.to_yaml());
        config.resume_from_checkpoint
    };
    for value in ["true", "True", "'true'", "yes"] {
        assert_eq!(wanted(value).as_deref(), Some("true"), "{value}");
    }
    for value in ["false", "null", "no", "\"False\""] {
        assert_eq!(wanted(value), None, "{value}");
    }
    assert_eq!(wanted("out/checkpoint-5").as_deref(), Some("out/checkpoint-5"));
}
