//! A run as a script for a cluster: the rows of each step, the weights that it starts from, and what it refuses.

use lorakeet_core::{
    config::{FinetuningType, HeadActivation, HeadPooling, RunConfig},
    data::order,
    export::cluster::{PreparedRun, write_script},
    protocol::DeviceChoice,
    store::{MemoryFile, MemorySink},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows,
    test_session::{TestSession, checkpoint},
    tiny::{self, config},
};
use serde_json::Value;
use std::{collections::BTreeMap, rc::Rc};

/// Six steps over a little more than one epoch's rows at most, without dropout.
fn short() -> RunConfig {
    RunConfig {
        max_steps: 6,
        save_steps: 2.0,
        lora_dropout: 0.0,
        ..config()
    }
}

fn prepared(session: &mut TestSession, config: &RunConfig) -> lorakeet_core::Result<PreparedRun> {
    block_on(session.inner.prepared_run(config, &mut |_, _| ()))
}

fn written(run: &PreparedRun) -> BTreeMap<String, Vec<u8>> {
    let sink = MemorySink::new();
    block_on(write_script(run, &sink)).expect("memory takes everything");
    sink.files()
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

fn lines(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    text.lines().map(|line| json(line.as_bytes())).collect()
}

#[test]
fn the_script_visits_the_rows_of_the_run_in_its_order() {
    let config = short();
    let run = prepared(&mut TestSession::open(), &config).expect("a run");
    let files = written(&run);
    let rows = lines(&files["rows.jsonl"]);
    assert_eq!(rows.len(), run.train.len());
    for (row, example) in rows.iter().zip(&run.train) {
        assert_eq!(row["input_ids"], serde_json::json!(example.input_ids));
        assert_eq!(row["labels"], serde_json::json!(example.labels));
    }
    assert_eq!(lines(&files["eval.jsonl"]).len(), run.held_out.len());
    let steps = json(&files["order.json"])["steps"].as_array().expect("a list").clone();
    assert_eq!(steps.len(), 6);
    let visited: Vec<u64> = steps
        .iter()
        .flat_map(|step| step.as_array().into_iter().flatten())
        .flat_map(|batch| batch.as_array().into_iter().flatten())
        .filter_map(Value::as_u64)
        .collect();
    let of_epochs = (0..visited.len() / rows.len() + 1).flat_map(|epoch| order(rows.len(), config.seed, epoch));
    let expected: Vec<u64> = of_epochs.map(|row| row as u64).take(visited.len()).collect();
    assert_eq!(visited, expected);
    let most = config.per_device_train_batch_size;
    let first = steps[0].as_array().expect("micro-batches");
    assert_eq!(
        first.len(),
        config.gradient_accumulation_steps.min(rows.len().div_ceil(most))
    );
    let settings = json(&files["train_config.json"]);
    assert_eq!(settings["kind"], "causal_lm");
    assert_eq!(settings["max_steps"], 6);
    assert_eq!(settings["save_steps"], 2);
    assert!(files.contains_key("adapter/adapter_model.safetensors"));
    assert!(!files.contains_key("adapter/optimizer.safetensors"), "no step is done");
    assert_eq!(json(&files["adapter/trainer_state.json"])["global_step"], 0);
    let readme = String::from_utf8(files["README.md"].clone()).expect("UTF-8");
    for words in ["torchrun --nproc-per-node", "accelerate launch train.py"] {
        assert!(readme.contains(words), "{readme}");
    }
    assert!(!readme.contains('{'), "every place is filled: {readme}");
}

#[test]
fn packed_rows_say_where_their_examples_begin() {
    let config = RunConfig {
        packing: Some(true),
        ..short()
    };
    let run = prepared(&mut TestSession::open(), &config).expect("a run");
    assert!(run.train.iter().any(|example| !example.starts.is_empty()));
    let files = written(&run);
    for (row, example) in lines(&files["rows.jsonl"]).iter().zip(&run.train) {
        let starts: Vec<usize> = example.starts.iter().map(|start| start.token).collect();
        match starts.as_slice() {
            [] => assert!(row.get("starts").is_none(), "{row}"),
            starts => assert_eq!(row["starts"], serde_json::json!(starts)),
        }
        for start in starts {
            assert_eq!(row["labels"][start], -100, "{row}");
        }
    }
}

#[test]
fn a_script_from_a_checkpoint_has_its_weights_and_moments() {
    let sink = Rc::new(MemorySink::new());
    let mut session = TestSession::open();
    session.inner.sink = Some(sink.clone());
    session.train(short());
    let mut session = TestSession::open();
    session.inner.resume = Some(checkpoint(&sink, 2));
    let run = prepared(&mut session, &short()).expect("a run that goes on");
    let (files, saved) = (written(&run), sink.files());
    for name in ["adapter_model.safetensors", "optimizer.safetensors"] {
        assert!(
            files[&format!("adapter/{name}")] == saved[&format!("checkpoint-2/{name}")],
            "{name}"
        );
    }
    assert_eq!(json(&files["adapter/trainer_state.json"])["global_step"], 2);
    let mut session = TestSession::open();
    session.inner.resume = Some(checkpoint(&sink, 2));
    let other = RunConfig { seed: 7, ..short() };
    let error = prepared(&mut session, &other).expect_err("another run's").to_string();
    assert!(error.contains("seed"), "{error}");
}

#[test]
fn a_classifier_has_classes_and_what_the_script_does_not_train_is_refused_with_a_way_out() {
    let open = || TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), rows::classes(40));
    let run = prepared(&mut open(), &short()).expect("a run");
    let files = written(&run);
    assert_eq!(json(&files["train_config.json"])["kind"], "sequence_classification");
    let classes = run.labels.len() as u64;
    assert_eq!(classes, 2);
    for row in lines(&files["rows.jsonl"]) {
        assert!(row["label"].as_u64().is_some_and(|label| label < classes), "{row}");
    }
    type Change = fn(&mut RunConfig);
    let changes: [(&str, Change); 4] = [
        ("token_classification and regression", |config| {
            config.task = Some(Task::Ranking)
        }),
        ("token_classification and regression", |config| {
            config.task = Some(Task::Embedding)
        }),
        ("token_classification and regression", |config| {
            config.task = Some(Task::Preference);
        }),
        ("finetuning_type: lora", |config| {
            config.finetuning_type = FinetuningType::Full
        }),
    ];
    for (way_out, change) in changes {
        let mut config = short();
        change(&mut config);
        let error = prepared(&mut open(), &config).expect_err(way_out).to_string();
        assert!(error.contains(way_out), "{error}");
    }
}

#[test]
fn a_head_of_the_runs_own_and_every_term_of_its_loss_are_in_the_script() {
    let open = || TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), rows::classes(40));
    let config = RunConfig {
        loss: Some("0.7*focal(gamma=1.5, alpha=[1, 2]) + 0.3*huber(delta=0.5)".into()),
        classifier_hidden_size: 8,
        classifier_activation: HeadActivation::Relu,
        classifier_dropout: 0.25,
        classifier_pooling: Some(HeadPooling::Mean),
        ..short()
    };
    let files = written(&prepared(&mut open(), &config).expect("a run"));
    let settings = json(&files["train_config.json"]);
    assert_eq!(settings["answers"], "classes");
    let terms = serde_json::json!([
        { "loss": "focal", "gamma": 1.5, "alpha": [1.0, 2.0], "weight": 0.7 },
        { "loss": "huber", "delta": 0.5, "weight": 0.3 },
    ]);
    assert_eq!(settings["terms"], terms);
    let head = serde_json::json!({
        "module": "classifier", "mean": true, "dense": false, "hidden_size": 8, "activation": "relu", "dropout": 0.25,
        "out": "out", "bias": true,
    });
    assert_eq!(settings["head"], head);
    let plain = written(&prepared(&mut open(), &short()).expect("a run"));
    assert!(json(&plain["train_config.json"])["head"].is_null());
    assert!(String::from_utf8_lossy(&files["README.md"]).contains("put_head"));
}

#[test]
fn numbers_and_tags_are_rows_of_the_script() {
    let config = RunConfig {
        task: Some(Task::Regression),
        label_columns: vec!["price".into()],
        loss: Some("smooth_l1(beta=0.5)".into()),
        ..short()
    };
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), rows::prices(30));
    let run = prepared(&mut session, &config).expect("a run");
    let files = written(&run);
    let settings = json(&files["train_config.json"]);
    assert_eq!(
        (&settings["kind"], &settings["answers"]),
        (&"sequence_classification".into(), &"numbers".into())
    );
    let targets: Vec<f64> = lines(&files["rows.jsonl"])
        .iter()
        .map(|row| row["targets"][0].as_f64().expect("a number"))
        .collect();
    assert_eq!(targets.len(), run.train.len());
    // They are standardised.
    let mean = targets.iter().sum::<f64>() / targets.len() as f64;
    assert!(
        mean.abs() < 1e-3 && targets.iter().any(|target| *target < 0.0),
        "{targets:?}"
    );

    let tagged = (0..12).map(|i| {
        format!(
            "{{\"tokens\": [\"ab\", \"c\"], \"tags\": [\"O\", \"{}\"]}}\n",
            ["A", "B"][i % 2]
        )
    });
    let data = MemoryFile::source("tags.jsonl", tagged.collect::<String>().into_bytes());
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), data);
    let run = prepared(&mut session, &short()).expect("a run");
    let files = written(&run);
    assert_eq!(json(&files["train_config.json"])["kind"], "token_classification");
    for row in lines(&files["rows.jsonl"]) {
        let (ids, labels) = (row["input_ids"].as_array(), row["labels"].as_array());
        assert_eq!(ids.map(Vec::len), labels.map(Vec::len), "{row}");
    }
}
