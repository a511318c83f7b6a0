//! Rows of numbers from file to prediction: what the readers take and refuse, what small models learn by their names alone, and
//! that what was saved answers the same.

mod readers;

use lorakeet_core::{
    config::{FinetuningType, RunConfig, ScaleInputs},
    protocol::{Command, DeviceChoice, EvalInfo, Event, PredictionTable, Verdict},
    random::Generator,
    store::{MemoryFile, MemorySink, Source},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::bars,
    test_session::{TestSession, checkpoint, failure, metric, report, started},
    tiny,
};
use serde_json::{Value, json};
use std::{fmt::Write, rc::Rc};

fn source(name: &str, text: impl Into<Vec<u8>>) -> Source {
    MemoryFile::source(name, text.into())
}

/// Two numbers around 5000 and 3 whose class is whether both are on one side of that: no line parts the classes.
fn corners(rows: usize, is_labelled: bool) -> Source {
    let mut generator = Generator::new(3, "rows");
    let mut text = String::from(if is_labelled {
        "height,width,kind\n"
    } else {
        "width,height\n"
    });
    for _ in 0..rows {
        let (a, b) = (generator.normal(), generator.normal());
        let kind = if a * b > 0.0 { "same" } else { "other" };
        let (height, width) = (5000.0 + 900.0 * a, 3.0 + 0.01 * b);
        let _ = match is_labelled {
            true => writeln!(text, "{height},{width},{kind}"),
            false => writeln!(text, "{width},{height}"),
        };
    }
    source("corners.csv", text)
}

fn is_same(rows: usize) -> Vec<bool> {
    let mut generator = Generator::new(3, "rows");
    (0..rows)
        .map(|_| generator.normal() * generator.normal() > 0.0)
        .collect()
}

/// Waves of any phase and level: does a tooth rise (up) or fall (down)?
fn waves(rows: usize) -> Source {
    let mut generator = Generator::new(5, "rows");
    let mut text = String::new();
    for row in 0..rows {
        let rises = row % 2 == 0;
        let (phase, level) = (generator.below(8), generator.normal());
        let tooth = |step: usize| {
            let part = ((step + phase) % 8) as f64 / 8.0;
            level + if rises { part } else { 1.0 - part }
        };
        let values: Vec<f64> = (0..24).map(tooth).collect();
        let label = if rises { "up" } else { "down" };
        let _ = writeln!(text, "{}", json!({ "values": values, "label": label }));
    }
    source("waves.jsonl", text)
}

/// Series of two channels whose target is the product of their levels, in sktime's format.
fn products(rows: usize) -> Source {
    let mut generator = Generator::new(6, "rows");
    let mut text = String::from("# a comment\n@problemName products\n@timeStamps false\n@targetlabel true\n@data\n");
    for _ in 0..rows {
        let (a, b) = (generator.normal(), generator.normal());
        let series = |level: f64| vec![format!("{level:.5}"); 3].join(",");
        let _ = writeln!(text, "{}:{}:{:.5}", series(a), series(b), 100.0 + 20.0 * a * b);
    }
    source("products.ts", text)
}

/// Full training of a small model, as naming it in a run file gives.
fn config(model: &str) -> RunConfig {
    let text = format!("model: {model}\ntrain_file: rows\nbatch_size: 16\naccumulation_steps: 1\n");
    let resolved = RunConfig::parse(&text, "run.yaml").expect("a run file");
    RunConfig {
        learning_rate: 1e-2,
        val_size: 80.0,
        max_steps: 200,
        save_steps: 0.0,
        per_device_eval_batch_size: 64,
        ..resolved.config
    }
}

fn trained(model: &str, data: Vec<Source>, change: impl FnOnce(&mut RunConfig)) -> TestSession {
    let mut session = TestSession::small(model, data);
    let mut config = config(model);
    change(&mut config);
    session.train(config);
    session
}

fn last(session: &TestSession, name: &str) -> f64 {
    metric(session.evals().last().expect("a score"), name)
}

/// The model that a run wrote, in a session of its own.
fn reloaded(session: &mut TestSession, data: Source) -> TestSession {
    session.ask(Command::ExportAdapter, Vec::new());
    let files = session.exported.iter();
    let files = files.map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    TestSession::with(DeviceChoice::Cpu, files.collect(), data)
}

fn scored(session: &mut TestSession) -> EvalInfo {
    block_on(session.inner.evaluate(&config("out"), &mut |_, _| ())).expect("a score")
}

fn answers(session: &mut TestSession) -> (PredictionTable, Option<EvalInfo>) {
    block_on(session.inner.predict(&config("out"), &mut |_, _| ())).expect("answers")
}

#[test]
fn a_perceptron_learns_what_no_line_parts_and_answers_the_same_after_loading() {
    let mut session = trained("small_mlp", vec![corners(400, true)], |_| ());
    assert!(session.summary().finished);
    let info = started(&session);
    assert_eq!((info.task, info.loss.as_str()), (Task::Classification, "cross_entropy"));
    assert_eq!(info.trainable_parameters, info.all_parameters);
    assert_eq!(info.all_parameters, 3 * 128 + 129 * 128 + 129 * 2);
    let report = report(&session);
    let names: Vec<&str> = report.baselines.iter().map(|baseline| baseline.name.as_str()).collect();
    assert_eq!(names, ["majority class", "nearest centroid", "linear probe"]);
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());
    assert_eq!(report.labels, ["other", "same"]);
    assert!(last(&session, "accuracy") > 0.9, "{:?}", session.evals());

    // Its folder holds what scales the columns, so that the same rows are scored the same.
    let mut other = reloaded(&mut session, corners(400, true));
    assert_eq!(scored(&mut other), scored(&mut session));
    assert!(metric(&scored(&mut other), "accuracy") > 0.9);
    let written: Value = serde_json::from_slice(&session.exported["config.json"]).expect("JSON");
    let run = &written["task_specific_params"]["lorakeet"];
    assert_eq!(run["input_columns"], json!(["height", "width"]));
    let mean = run["input_mean"][0].as_f64().expect("a mean");
    assert!((mean - 5000.0).abs() < 200.0, "{mean}");

    // Rows without labels, their columns in another order.
    let mut asked = reloaded(&mut session, corners(60, false));
    let (table, score) = answers(&mut asked);
    assert!(score.is_none() && table.rows.len() == 60);
    let right = table.rows.iter().zip(is_same(60));
    let right = right.filter(|(row, same)| (row[2] == "same") == *same).count();
    assert!(right >= 52, "{right} of 60");
}

#[test]
fn a_vision_transformer_tells_lying_bars_from_standing_ones() {
    let mut session = trained("small_vit", bars(400), |config| config.hidden_size = Some(32));
    assert!(last(&session, "accuracy") > 0.9, "{:?}", session.evals());
    session.ask(Command::ExportAdapter, Vec::new());
    let written: Value = serde_json::from_slice(&session.exported["config.json"]).expect("JSON");
    for (key, value) in [
        ("image_size", 8),
        ("patch_size", 2),
        ("hidden_size", 32),
        ("num_attention_heads", 4),
    ] {
        assert_eq!(written[key], value, "{key}");
    }
    assert_eq!(written["architectures"][0], "SmallForSequenceClassification");
    let (images, other) = (bars(400).remove(0), bars(100));
    // Images alone have no labels: they can be answered, and neither learnt nor scored.
    let mut unlabelled = reloaded(&mut session, images);
    assert_eq!(answers(&mut unlabelled).0.rows.len(), 400);
    let error = block_on(unlabelled.inner.evaluate(&config("out"), &mut |_, _| ())).expect_err("no labels");
    assert!(error.what.english().contains("without their labels"), "{error}");
    let mut session = TestSession::small("small_vit", vec![other[1].clone(), other[0].clone()]);
    session.train(RunConfig {
        max_steps: 1,
        val_size: 20.0,
        ..config("small_vit")
    });
    assert!(session.summary().finished, "labels may come first");
}

#[test]
fn series_are_told_apart_by_patches_and_by_recurrent_cells() {
    for model in ["small_series", "small_lstm", "small_gru", "small_rnn"] {
        let mut session = trained(model, vec![waves(320)], |config| {
            config.hidden_size = Some(24);
            config.max_steps = if model == "small_rnn" { 300 } else { 120 };
        });
        assert!(
            last(&session, "accuracy") > 0.9,
            "{model}: {:?}",
            session.evals().last()
        );
        let mut other = reloaded(&mut session, waves(100));
        assert!(metric(&scored(&mut other), "accuracy") > 0.9, "{model}");
    }
}

#[test]
fn a_regression_learns_numbers_and_gives_them_back_in_their_own_units() {
    let mut session = trained("small_mlp", vec![products(400)], |config| config.max_steps = 400);
    assert_eq!(started(&session).task, Task::Regression);
    let report = report(&session);
    let names: Vec<&str> = report.baselines.iter().map(|baseline| baseline.name.as_str()).collect();
    assert_eq!(names, ["mean of the training rows", "linear probe"]);
    assert!(last(&session, "r2") > 0.8, "{:?}", session.evals().last());
    let mut other = reloaded(&mut session, products(50));
    let (table, score) = answers(&mut other);
    assert!(metric(&score.expect("labels"), "r2") > 0.8);
    let predicted: f64 = table.rows[20][2].parse().expect("a number");
    assert!((predicted - 100.0).abs() < 90.0, "{predicted}");
}

#[test]
fn the_next_value_of_a_table_is_forecast_from_those_before_it() {
    // A wave with a period of seven steps on a rising line.
    let mut text = String::from("day,visits\n");
    for day in 0..210 {
        let season = [0.0, 5.0, 1.0, 8.0, -4.0, 2.0, -9.0][day % 7];
        let _ = writeln!(text, "{day},{}", 100.0 + 0.05 * day as f64 + season);
    }
    let data = || source("visits.csv", text.clone());
    let mut session = trained("small_mlp", vec![data()], |config| {
        (config.forecast_window, config.val_size) = (Some(7), 30.0);
        config.text_columns = vec!["visits".into()];
    });
    let info = started(&session);
    assert_eq!(
        (info.task, info.train_examples, info.eval_examples),
        (Task::Regression, 173, 30)
    );
    let report = report(&session);
    let names: Vec<&str> = report.baselines.iter().map(|baseline| baseline.name.as_str()).collect();
    assert_eq!(
        names,
        ["the last value again", "mean of the training rows", "linear probe"]
    );
    let rmse = last(&session, "rmse");
    let again = report.baselines[0].metrics.iter().find(|metric| metric.name == "rmse");
    let again = again.expect("a score").value;
    assert!(rmse < 1.5 && (8.0..12.0).contains(&again), "{rmse}, {again}");

    // The folder knows the window; what comes last is what was held out.
    let mut other = reloaded(&mut session, data());
    let (table, score) = answers(&mut other);
    assert_eq!(table.rows.len(), 203);
    assert!(metric(&score.expect("numbers"), "rmse") < 1.5);
    let rows = trained("small_mlp", vec![data()], |config| config.forecast_window = Some(500));
    assert_eq!(failure(&rows).field_name(), Some("forecast_window"));
    let rows = trained("small_mlp", vec![waves(100)], |config| config.forecast_window = Some(5));
    assert_eq!(failure(&rows).field_name(), Some("forecast_window"));
}

#[test]
fn texts_are_read_byte_by_byte_by_a_small_model_that_is_known_by_its_name() {
    let mut generator = Generator::new(7, "rows");
    let mut text = String::from("text,label\n");
    for row in 0..240 {
        let end = if row % 2 == 0 { "né" } else { "en" };
        let start: String = (0..4).map(|_| char::from(b'a' + generator.below(6) as u8)).collect();
        let _ = writeln!(text, "{start}{end},{}", row % 2);
    }
    let data = || source("words.csv", text.clone());
    for model in ["small_gru", "small_mlp"] {
        let mut session = trained(model, vec![data()], |config| {
            (config.hidden_size, config.max_steps) = (Some(24), 100);
        });
        assert!(last(&session, "accuracy") > 0.9, "{model}: {:?}", session.events.last());
        assert!(session.exported.is_empty());
        let mut other = reloaded(&mut session, data());
        assert!(session.exported.contains_key("tokenizer.json"));
        assert!(metric(&scored(&mut other), "accuracy") > 0.9);

        // The same session can go on with numbers.
        session.ask(Command::LoadData { file: "waves".into() }, vec![waves(100)]);
        session.train(RunConfig {
            max_steps: 2,
            ..config(model)
        });
        assert!(session.summary().finished);
    }
}

#[test]
fn a_run_goes_on_from_its_checkpoint_to_the_same_numbers() {
    let whole = trained("small_gru", vec![waves(120)], |config| {
        (config.max_steps, config.hidden_dropout_prob, config.hidden_size) = (12, Some(0.2), Some(8));
    });
    let sink = Rc::new(MemorySink::new());
    let mut session = TestSession::small("small_gru", vec![waves(120)]);
    session.inner.sink = Some(sink.clone());
    let config = RunConfig {
        max_steps: 12,
        save_steps: 5.0,
        hidden_dropout_prob: Some(0.2),
        hidden_size: Some(8),
        ..config("small_gru")
    };
    session.train(config.clone());
    let saved = checkpoint(&sink, 5);
    let mut resumed = TestSession::small("small_gru", vec![waves(120)]);
    resumed.inner.resume = Some(saved);
    resumed.train(config);
    assert_eq!(resumed.numbers(), whole.numbers()[5..]);
    let files = sink.files();
    assert!(files.contains_key("config.json") && files.contains_key("model.safetensors"));
}

#[test]
fn a_trained_model_goes_on_with_other_rows_and_keeps_its_sizes() {
    let mut session = trained("small_mlp", vec![corners(300, true)], |config| config.max_steps = 50);
    let before = last(&session, "accuracy");
    let mut other = reloaded(&mut session, corners(300, true));
    let resized = RunConfig {
        hidden_size: Some(16),
        ..config("out")
    };
    other.train(resized);
    assert_eq!(failure(&other).field_name(), Some("hidden_size"), "{}", failure(&other));
    let go_on = RunConfig {
        finetuning_type: FinetuningType::Full,
        max_steps: 50,
        ..config("out")
    };
    other.train(go_on.clone());
    let first = metric(&other.evals()[0], "accuracy");
    assert!((first - before).abs() < 0.05, "{first} goes on from {before}");

    // A LoRA on what was learnt is possible, on fresh weights it is refused.
    other.train(RunConfig {
        finetuning_type: FinetuningType::Lora,
        ..go_on.clone()
    });
    assert!(other.summary().finished);
    let mut fresh = TestSession::small("small_mlp", vec![corners(100, true)]);
    fresh.train(RunConfig {
        finetuning_type: FinetuningType::Lora,
        ..go_on
    });
    assert_eq!(failure(&fresh).field_name(), Some("finetuning_type"));
}

#[test]
fn a_folder_with_a_config_alone_is_a_small_model() {
    let model = json!({ "model_type": "small_lstm", "hidden_size": 12, "num_hidden_layers": 2, "input_size": 2 });
    let mut session = TestSession::with(
        DeviceChoice::Gpu,
        vec![source("config.json", model.to_string())],
        products(60),
    );
    let config = RunConfig {
        max_steps: 3,
        val_size: 10.0,
        scale_inputs: Some(ScaleInputs::None),
        ..config("small_lstm")
    };
    session.train(config.clone());
    assert!(session.summary().finished);
    let gates = |inputs: u64| 4 * 12 * (inputs + 12 + 2);
    assert_eq!(started(&session).all_parameters, gates(2) + gates(12) + 13);

    // One that does not fit the rows is refused before the first step, with both numbers.
    let model = json!({ "model_type": "small_mlp", "input_size": 7 });
    let mut session = TestSession::with(
        DeviceChoice::Cpu,
        vec![source("config.json", model.to_string())],
        products(60),
    );
    session.train(config);
    let error = failure(&session);
    assert!(
        error.what.english().contains("6 numbers") && error.what.english().contains('7'),
        "{error}"
    );
    assert!(error.file.as_deref() == Some("products.ts") && session.steps().is_empty());
}

#[test]
fn inputs_are_scaled_as_the_run_says() {
    for (how, shift) in [(ScaleInputs::Columns, 0.0), (ScaleInputs::None, 5000.0)] {
        let mut session = trained("small_mlp", vec![corners(100, true)], |config| {
            (config.max_steps, config.scale_inputs) = (1, Some(how));
        });
        let (table, _) = answers(&mut session);
        let text = table.rows[0].last().expect("the numbers");
        let first: f64 = text
            .split(' ')
            .next()
            .and_then(|number| number.parse().ok())
            .expect("a number");
        assert!((first - shift).abs() < shift * 0.6 + 4.0, "{how:?}: {text}");
    }
}

#[test]
fn text_models_and_models_of_numbers_refuse_each_others_files() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), waves(20));
    session.train(tiny::config());
    assert!(
        failure(&session).what.english().contains("numbers"),
        "{}",
        failure(&session)
    );
    let mut session = TestSession::small("small_series", vec![tiny::data_file()]);
    session.train(config("small_series"));
    let error = failure(&session);
    assert!(
        error.what.english().contains("must be a number") && error.row == Some(1),
        "{error}"
    );
    let mut session = TestSession::small("small_series", vec![source("a.txt", "A text.")]);
    session.train(config("small_series"));
    assert!(
        failure(&session).what.english().contains("a text"),
        "{}",
        failure(&session)
    );
    // A perceptron could read it, but has nothing to learn from it.
    let mut session = TestSession::small("small_mlp", vec![source("a.txt", "A text.")]);
    session.train(config("small_mlp"));
    assert!(
        failure(&session).what.english().contains("next token"),
        "{}",
        failure(&session)
    );
    // The preview says it before anything is trained, and shows the numbers of a file that can be learnt.
    let mut shown = |name: &str, text: &str| {
        let config = Box::new(config("small_mlp"));
        session.ask(Command::LoadData { file: name.into() }, vec![source(name, text)]);
        session.ask(Command::Preview { config, after: 0 }, Vec::new());
        session.events.last().cloned()
    };
    let broken = shown("a.csv", "x,y,label\n1,2,a\n3,tall,b\n");
    assert!(
        matches!(&broken, Some(Event::Failed(error)) if error.row == Some(3)),
        "{broken:?}"
    );
    let sound = shown("a.csv", "x,y,label\n1,2,a\n3,4,b\n");
    assert!(
        matches!(&sound, Some(Event::Preview { examples, .. }) if examples[1].tokens[0].0 == "3.0000 4.0000"),
        "{sound:?}"
    );
    let mut session = TestSession::small("small_vit", vec![waves(100)]);
    session.train(config("small_vit"));
    assert!(
        failure(&session).what.english().contains("no square"),
        "{}",
        failure(&session)
    );
    let mut session = TestSession::small("small_mlp", vec![waves(20)]);
    let error = block_on(session.inner.evaluate(&config("small_mlp"), &mut |_, _| ())).expect_err("untrained");
    assert!(error.what.english().contains("not been trained"), "{error}");
}

#[test]
fn a_small_models_name_sets_what_fresh_weights_need_unless_the_run_file_says_otherwise() {
    let parsed = |text: &str| RunConfig::parse(text, "run.yaml").expect("a run file");
    let config = parsed("model: small_gru\n").config;
    assert_eq!(
        (config.finetuning_type, config.learning_rate),
        (FinetuningType::Full, 1e-3)
    );
    let config = parsed("model: small_gru\nlr: 0.5\nfinetuning_type: lora\n").config;
    assert_eq!(
        (config.finetuning_type, config.learning_rate),
        (FinetuningType::Lora, 0.5)
    );
    // What is written down is read back, also where it is what other models begin with.
    for config in [
        config,
        RunConfig {
            learning_rate: RunConfig::default().learning_rate,
            ..parsed("model: small_gru\n").config
        },
    ] {
        assert_eq!(parsed(&config.to_yaml()).config, config);
    }
    let mut resolved = parsed("model: small_gru\n");
    let flag = lorakeet_core::config::Source::Flag;
    resolved.overlay([("model", "models/other")], &flag).expect("a flag");
    assert_eq!(resolved.config.finetuning_type, FinetuningType::Lora);
    assert_eq!(resolved.config.learning_rate, RunConfig::default().learning_rate);
}
