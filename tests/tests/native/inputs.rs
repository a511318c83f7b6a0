//! Labels, heads and tables as a whole run reads them: what is used is what is said, and nothing is replaced in silence.

use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    protocol::{Command, DeviceChoice, Event, PredictionTable},
    store::{MemoryFile, Source, read_all},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    test_session::{TestSession, find, report, started},
    tiny,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Two steps, which is enough to see what they are on.
fn config() -> RunConfig {
    RunConfig {
        model_name_or_path: "tiny".into(),
        train_file: "rows.csv".into(),
        output_dir: "out".into(),
        per_device_train_batch_size: 4,
        per_device_eval_batch_size: 8,
        gradient_accumulation_steps: 1,
        learning_rate: 1e-2,
        lora_r: 4,
        lora_dropout: 0.0,
        val_size: 4.0,
        max_steps: 2,
        eval_steps: 0.0,
        save_steps: 0.0,
        cutoff_len: 32,
        ..RunConfig::default()
    }
}

fn file(name: &str, text: &str) -> Source {
    MemoryFile::source(name, text.as_bytes().to_vec())
}

/// Twelve rows of JSON, whose labels are these in turn.
fn rows(labels: &[Value]) -> Source {
    let row = |(row, label): (usize, &Value)| {
        let letter = char::from(b'a' + row as u8);
        format!("{}\n", json!({ "text": format!("row {letter}"), "labels": label }))
    };
    let text: String = labels.iter().cycle().take(12).enumerate().map(row).collect();
    file("rows.jsonl", &text)
}

fn bert(data: Source) -> TestSession {
    TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), data)
}

/// What a run said of itself.
fn notes(session: &TestSession) -> Vec<String> {
    let notes = session.events.iter().filter_map(|event| match event {
        Event::Warning { message } => Some(message.english()),
        _ => None,
    });
    notes.collect()
}

fn written(session: &mut TestSession, name: &str) -> Value {
    session.ask(Command::ExportAdapter, Vec::new());
    serde_json::from_slice(&session.exported[name]).expect("JSON")
}

/// The labels that a run's head has, in order.
fn learnt(session: &mut TestSession) -> Vec<String> {
    let config = written(session, "config.json");
    let names = config["id2label"].as_object().expect("names");
    (0..names.len())
        .map(|label| names[&label.to_string()].as_str().expect("a name").to_owned())
        .collect()
}

/// A session on the model that full training of `session` comes to, on other data; `change` sees its config.json.
fn trained(labels: &[Value], task: Option<Task>, data: Source, change: impl Fn(&mut Value)) -> TestSession {
    let mut session = bert(rows(labels));
    session.train(RunConfig {
        finetuning_type: FinetuningType::Full,
        task,
        ..config()
    });
    session.summary();
    session.ask(Command::ExportAdapter, Vec::new());
    let files = session.exported.iter().map(|(name, bytes)| match name.as_str() {
        "config.json" => {
            let mut config: Value = serde_json::from_slice(bytes).expect("JSON");
            // As a model of somebody else's has it.
            config["task_specific_params"] = Value::Null;
            change(&mut config);
            MemoryFile::source("config.json", config.to_string().into_bytes())
        }
        name => MemoryFile::source(name, bytes.clone()),
    });
    let mut files: Vec<Source> = files.collect();
    let has = |files: &[Source], name: &str| files.iter().any(|file| file.name() == name);
    for source in tiny::bert_files() {
        if !has(&files, source.name()) {
            files.push(source);
        }
    }
    TestSession::with(DeviceChoice::Cpu, files, data)
}

fn names(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| json!(name)).collect()
}

#[test]
fn rows_of_zeros_and_ones_are_learnt_label_by_label_and_keep_a_trained_head() {
    let vectors = [json!([1.0, 0.0, 1.0]), json!([0.0, 0.0, 0.0]), json!([0.0, 1.0, 0.0])];
    let mut session = bert(rows(&vectors));
    session.train(config());
    assert_eq!(started(&session).task, Task::MultiLabel);
    assert_eq!(learnt(&mut session), ["LABEL_0", "LABEL_1", "LABEL_2"]);

    // The head of a model that was trained on names takes them by their places, whatever it was trained for.
    let head = [json!(["fast", "loud"]), json!(["cheap"])];
    for task in [None, Some(Task::MultiLabel)] {
        let mut session = trained(&head, None, rows(&vectors), |_| ());
        session.train(RunConfig { task, ..config() });
        session.summary();
        assert_eq!(learnt(&mut session), ["cheap", "fast", "loud"]);
        assert!(
            !notes(&session).iter().any(|note| note.contains("head")),
            "{:?}",
            notes(&session)
        );
    }
    let single = names(&["a", "b", "c"]);
    let mut session = trained(&single, None, rows(&vectors), |_| ());
    session.train(RunConfig {
        task: Some(Task::MultiLabel),
        ..config()
    });
    session.summary();
    assert_eq!(learnt(&mut session), ["a", "b", "c"]);
    // Names that config.json leaves out are those of transformers.
    let mut session = trained(&single, None, rows(&vectors), |config| {
        config["id2label"] = Value::Null;
        config["num_labels"] = json!(3);
        config["problem_type"] = json!("multi_label_classification");
    });
    session.train(config());
    session.summary();
    assert_eq!(learnt(&mut session), ["LABEL_0", "LABEL_1", "LABEL_2"]);
    assert!(
        !notes(&session).iter().any(|note| note.contains("head")),
        "{:?}",
        notes(&session)
    );
}

#[test]
fn a_trained_head_that_does_not_go_with_the_data_is_replaced_with_a_word_on_why() {
    let head = names(&["a", "b", "c"]);
    let cases = [
        (names(&["a", "x"]), None, "'x' is not among the trained ones: a, b, c"),
        (
            vec![json!([1, 0]), json!([0, 1])],
            Some(Task::MultiLabel),
            "2 places, and there are 3 labels",
        ),
        (
            vec![json!(0.5), json!(1.5)],
            Some(Task::Regression),
            "it is one for classification",
        ),
    ];
    for (labels, task, because) in cases {
        let mut session = trained(&head, None, rows(&labels), |_| ());
        session.train(RunConfig { task, ..config() });
        session.summary();
        let notes = notes(&session);
        let said = notes
            .iter()
            .any(|note| note.contains(because) && note.contains("A new one"));
        assert!(said, "{because}: {notes:?}");
    }
    // Its own ids are its own names.
    let mut session = trained(&head, None, rows(&[json!(0), json!(2), json!(1)]), |_| ());
    session.train(config());
    session.summary();
    assert_eq!(learnt(&mut session), ["a", "b", "c"]);
    assert!(
        !notes(&session).iter().any(|note| note.contains("head")),
        "{:?}",
        notes(&session)
    );
}

fn tokens(rows: &[Value]) -> Source {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    file("words.jsonl", &text)
}

/// A tokenizer that drops a letter, as many drop zero-width spaces.
fn dropping(files: Vec<Source>) -> Vec<Source> {
    let change = |source: Source| {
        if source.name() != "tokenizer.json" {
            return source;
        }
        let bytes = block_on(read_all(source.as_ref(), 1 << 20)).expect("a file");
        let mut tokenizer: Value = serde_json::from_slice(&bytes).expect("JSON");
        tokenizer["normalizer"] = json!({ "type": "Replace", "pattern": { "String": "\u{200b}" }, "content": "" });
        MemoryFile::source("tokenizer.json", tokenizer.to_string().into_bytes())
    };
    files.into_iter().map(change).collect()
}

#[test]
fn every_word_has_a_row_in_the_table_and_words_without_a_class_teach_nothing() {
    let row = |words: &[&str], tags: Value| json!({ "tokens": words, "ner_tags": tags });
    let data = [
        row(&["alice", "met", "\u{200b}", "bob", "in"], json!([1, 0, 0, -100, 0])),
        row(&["bob", "lives", "in", "rome"], json!([1, 0, 0, 2])),
        row(&["rome"], json!([-100])),
    ];
    let data = || {
        let rows: Vec<Value> = data.iter().cycle().take(12).cloned().collect();
        tokens(&rows)
    };
    let mut session = TestSession::with(DeviceChoice::Cpu, dropping(tiny::bert_files()), data());
    session.train(config());
    session.summary();
    assert_eq!(learnt(&mut session), ["0", "1", "2"], "-100 is no class");
    let notes = notes(&session);
    assert!(
        notes
            .iter()
            .any(|note| note.contains("Row 3 and 3 more have no word with a class")),
        "{notes:?}"
    );
    assert!(
        notes.iter().any(|note| note.contains("the model reads no token")),
        "{notes:?}"
    );

    let (table, score) = block_on(session.inner.predict(&config(), &mut |_, _| ())).expect("answers");
    assert!(score.is_some());
    assert_eq!(table.rows.len(), 4 * (5 + 4 + 1));
    let place = |name: &str| {
        table
            .columns
            .iter()
            .position(|column| column == name)
            .expect("a column")
    };
    let (word, label, prediction, text) = (place("word"), place("label"), place("prediction"), place("text"));
    let find = |row: &str, at: &str| {
        let found = table.rows.iter().find(|fields| fields[0] == row && fields[word] == at);
        found.unwrap_or_else(|| panic!("no word {at} of row {row}"))
    };
    let unread = find("1", "3");
    assert_eq!(
        (
            unread[label].as_str(),
            unread[prediction].as_str(),
            unread[text].as_str()
        ),
        ("0", "", "\u{200b}")
    );
    let unmarked = find("1", "4");
    assert_eq!(
        (
            unmarked[label].as_str(),
            unmarked[prediction].as_str(),
            unmarked[text].as_str()
        ),
        ("", "", "bob")
    );
    let last = find("1", "5");
    assert_eq!((last[label].as_str(), last[text].as_str()), ("0", "in"));
    assert!(!last[prediction].is_empty());
    assert_eq!(find("3", "1")[label], "");
}

#[test]
fn notes_on_columns_are_of_the_task_that_the_run_has() {
    let lines: String = (0..12)
        .map(|row| format!("{row},text {row},{}\n", ["a", "b"][row % 2]))
        .collect();
    let data = || file("rows.csv", &format!(",Message,Kind\n{lines}"));
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), data());
    let info = find(&session, |event| match event {
        Event::Data(info) => Some(info.clone()),
        _ => None,
    });
    assert_eq!((info.form.as_str(), info.notes.len()), ("table", 1), "{info:?}");
    session.train(config());
    assert_eq!(started(&session).task, Task::Generation);
    let of_texts = |session: &TestSession| {
        notes(session)
            .iter()
            .any(|note| note.contains("'Message' is taken as the prompt"))
    };
    assert!(of_texts(&session), "{:?}", notes(&session));

    // A run that names the label wants it answered, also of a model that continues texts.
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), data());
    session.train(RunConfig {
        label_columns: vec!["Kind".into()],
        ..config()
    });
    assert_eq!(started(&session).task, Task::Classification);
    assert!(!of_texts(&session), "{:?}", notes(&session));
    assert!(
        notes(&session)
            .iter()
            .any(|note| note == "The column 'Message' is taken as the text."),
        "{:?}",
        notes(&session)
    );
    assert_eq!(report(&session).labels, ["a", "b"]);
}

#[test]
fn predictions_of_a_label_column_that_the_run_names_are_scored() {
    let lines: String = (0..12)
        .map(|row| format!("text {row},{}\n", ["a", "=b"][row % 2]))
        .collect();
    let config = RunConfig {
        label_columns: vec!["Kind".into()],
        ..config()
    };
    let mut session = bert(file("rows.csv", &format!("Message,Kind\n{lines}")));
    session.train(config.clone());
    session.summary();
    let (table, score) = block_on(session.inner.predict(&config, &mut |_, _| ())).expect("answers");
    assert!(score.is_some() && table.rows.len() == 12);
    let csv = PredictionTable::to_csv(&table);
    assert!(csv.contains(",'=b,") && !csv.contains(",=b"), "{csv}");
}

#[test]
fn a_baseline_that_cannot_be_had_is_a_note() {
    // As many classes as rows: their product is more than a probe takes.
    let lines: String = (0..4300).map(|row| format!("{row},{},c{row}\n", row % 7)).collect();
    let mut session = TestSession::small("small_mlp", vec![file("rows.csv", &format!("x,y,label\n{lines}"))]);
    session.train(RunConfig {
        finetuning_type: FinetuningType::Full,
        model_name_or_path: "small_mlp".into(),
        ..config()
    });
    session.summary();
    let notes = notes(&session);
    assert!(
        notes
            .iter()
            .any(|note| note.contains("no linear probe to compare with: 4296 rows")),
        "{notes:?}"
    );
    let baselines: Vec<String> = report(&session).baselines.into_iter().map(|one| one.name).collect();
    assert_eq!(baselines, ["majority class", "nearest centroid"]);
    let counted: BTreeMap<(usize, usize), u64> = report(&session)
        .confusion
        .into_iter()
        .map(|(truth, answer, count)| ((truth, answer), count))
        .collect();
    assert_eq!(counted.values().sum::<u64>(), 4);
}
