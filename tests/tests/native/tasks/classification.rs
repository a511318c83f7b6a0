//! Labels: one a text or several, of a text or of two, with everything that a run does with its scores.

use super::{bert, config, predictions, reloaded, scored, to_beat};
use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    protocol::{Command, DeviceChoice, Event, Verdict},
    store::{MemoryFile, MemorySink, Source},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::{classes, pairs_of_letters, table},
    test_session::{TestSession, checkpoint, failure, find, metric, report, started},
    tiny,
};
use std::rc::Rc;

#[test]
fn a_classifier_rises_above_every_baseline_and_its_adapter_scores_the_same_after_loading() {
    for (device, files) in [
        (DeviceChoice::Cpu, tiny::bert_files as fn() -> Vec<Source>),
        (DeviceChoice::Cpu, tiny::model_files),
        (DeviceChoice::Gpu, tiny::bert_files),
    ] {
        let mut session = TestSession::with(device, files(), classes(260));
        let sink = Rc::new(MemorySink::new());
        session.inner.sink = Some(sink.clone());
        session.train(config());
        assert!(session.summary().finished);
        let info = started(&session);
        assert_eq!((info.task, info.loss.as_str()), (Task::Classification, "cross_entropy"));
        let report = report(&session);
        let names: Vec<&str> = report.baselines.iter().map(|baseline| baseline.name.as_str()).collect();
        assert_eq!(names, ["majority class", "nearest centroid", "linear probe"]);
        let (accuracy, baseline) = (metric(&session.evals()[3], "accuracy"), to_beat(&report, "accuracy"));
        assert!(
            accuracy > 0.9 && accuracy > baseline + 0.15,
            "{accuracy} over {baseline}"
        );
        assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());
        assert_eq!(report.labels, ["other", "same"]);
        assert_eq!(report.confusion.iter().map(|(.., count)| count).sum::<u64>(), 60);
        assert!(!report.calibration.is_empty() && report.classes.len() == 2);

        // The worst errors come first, on the session and in the file.
        let table = predictions(&session);
        assert_eq!(table.rows.len(), 60);
        let written = String::from_utf8(sink.files()["predictions.csv"].clone()).expect("text");
        assert_eq!(written.lines().next(), Some(table.columns.join(",").as_str()));
        let of_label = |row: &Vec<String>| row[4].parse::<f64>().expect("a probability");
        assert!(
            table
                .rows
                .windows(2)
                .all(|pair| of_label(&pair[0]) <= of_label(&pair[1]))
        );

        // PEFT's files, with the head among the tensors and the labels' names beside them.
        let mut other = reloaded(&mut session, device, files(), classes(260));
        let adapter = String::from_utf8(session.exported["adapter_config.json"].clone()).expect("text");
        assert!(
            adapter.contains("SEQ_CLS") && adapter.contains("modules_to_save"),
            "{adapter}"
        );
        let again = scored(&mut other);
        assert_eq!(scored(&mut session), again);
        assert!(metric(&again, "accuracy") > 0.9);
    }
}

#[test]
fn an_adapter_answers_rows_without_labels() {
    let mut session = bert(classes(260));
    session.train(config());
    let rows = pairs_of_letters(20).into_iter();
    let unlabelled = table("text", rows.map(|(text, _)| text));
    let mut other = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), unlabelled);
    let (table, score) = block_on(other.inner.predict(&config(), &mut |_, _| ())).expect("answers");
    assert!(score.is_none() && table.rows.len() == 20);
    let right = table
        .rows
        .iter()
        .zip(pairs_of_letters(20))
        .filter(|(row, (text, same))| {
            assert_eq!(row.last(), Some(text), "rows stay in the file's order");
            (row[2] == "same") == *same
        });
    assert!(right.count() >= 18, "{table:?}");
}

#[test]
fn several_targets_and_several_labels_have_an_output_each() {
    let numbers = || {
        let rows = pairs_of_letters(160).into_iter();
        let count = |text: &str, letter: char| text.matches(letter).count() as f64;
        table(
            "text,x,y",
            rows.map(|(text, _)| format!("{text},{},{}", 100.0 * count(&text, 'c') + 0.5, -count(&text, 'a'))),
        )
    };
    let run = |columns: &[&str], data: Source, max_steps| {
        let mut session = bert(data);
        session.train(RunConfig {
            label_columns: columns.iter().map(ToString::to_string).collect(),
            max_steps,
            ..config()
        });
        assert!(session.summary().finished);
        session
    };
    let session = run(&["x", "y"], numbers(), 100);
    let evals = session.evals();
    let (before, after) = (metric(&evals[0], "r2"), metric(&evals[evals.len() - 1], "r2"));
    assert!(after > 0.5 && after > before, "{before} -> {after}");
    assert!(predictions(&session).columns.contains(&"residual y".to_owned()));

    let flags = |text: &str| ["a", "c", "g"].map(|letter| u8::from(text.contains(letter)));
    let rows = pairs_of_letters(160).into_iter().map(|(text, _)| {
        let [a, c, g] = flags(&text);
        format!("{text},{a},{c},{g}")
    });
    let session = run(&["has a", "has c", "has g"], table("text,has a,has c,has g", rows), 150);
    assert_eq!(
        (started(&session).task, started(&session).loss.as_str()),
        (Task::MultiLabel, "bce")
    );
    let report = report(&session);
    let usual = report.baselines[0].metrics[0].value;
    let evals = session.evals();
    let f1 = metric(&evals[evals.len() - 1], "f1_micro");
    assert!(f1 > 0.9 && f1 > usual, "{f1} over {usual}");

    let lists = pairs_of_letters(80).into_iter().map(|(text, _)| {
        let applying = ["a", "c", "g"].into_iter().filter(|letter| text.contains(letter));
        serde_json::json!({ "sentence": text, "labels": applying.collect::<Vec<_>>() }).to_string()
    });
    let lists = lists.collect::<Vec<_>>().join("\n").into_bytes();
    let mut session = bert(MemoryFile::source("rows.jsonl", lists));
    session.train(RunConfig {
        max_steps: 3,
        val_size: 10.0,
        ..config()
    });
    assert_eq!(started(&session).task, Task::MultiLabel);
    assert!(session.summary().finished);
}

#[test]
fn pairs_of_texts_are_read_together_and_told_apart() {
    // Whether the two texts share a letter: segments make the difference.
    let rows = pairs_of_letters(60).into_iter();
    let data = table(
        "sentence1,sentence2,label",
        rows.map(|(text, same)| format!("{},{},{}", &text[..2], &text[2..], u8::from(same))),
    );
    let mut session = bert(data);
    session.train(RunConfig {
        max_steps: 4,
        val_size: 10.0,
        ..config()
    });
    assert!(session.summary().finished);
    assert_eq!(report(&session).labels, ["0", "1"]);
    session.ask(
        Command::Preview {
            config: Box::new(config()),
            after: 0,
        },
        Vec::new(),
    );
    let shown = find(&session, |event| match event {
        Event::Preview { examples, .. } => Some(examples[0].clone()),
        _ => None,
    });
    let text: String = shown.tokens.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(text.matches("[SEP]").count(), 2, "{text}");
}

#[test]
fn a_classification_that_is_resumed_gives_the_same_as_one_that_never_stopped() {
    let config = || RunConfig {
        max_steps: 12,
        eval_steps: 3.0,
        save_steps: 5.0,
        lora_dropout: 0.1,
        load_best_model_at_end: true,
        metric_for_best_model: Some("eval_f1_macro".into()),
        val_size: 20.0,
        ..config()
    };
    let mut whole = bert(classes(80));
    let sink = Rc::new(MemorySink::new());
    whole.inner.sink = Some(sink.clone());
    whole.train(config());
    let mut resumed = bert(classes(80));
    resumed.inner.resume = Some(checkpoint(&sink, 5));
    resumed.train(config());
    assert_eq!(resumed.numbers(), whole.numbers()[5..], "steps 6 to 12");
    assert_eq!(resumed.summary(), whole.summary());
    assert_eq!(report(&resumed), report(&whole));
    assert_eq!(predictions(&resumed), predictions(&whole));
}

#[test]
fn the_weights_with_the_best_metric_are_the_ones_that_are_kept() {
    let mut session = bert(classes(120));
    session.train(RunConfig {
        max_steps: 40,
        eval_steps: 5.0,
        // Too high at the end to stay at the best.
        learning_rate: 5e-2,
        load_best_model_at_end: true,
        metric_for_best_model: Some("accuracy".into()),
        val_size: 40.0,
        ..config()
    });
    let best = session
        .evals()
        .iter()
        .map(|eval| metric(eval, "accuracy"))
        .fold(0.0, f64::max);
    let kept = report(&session)
        .metrics
        .iter()
        .find(|metric| metric.name == "accuracy")
        .map(|metric| metric.value);
    assert_eq!(kept, Some(best));
}

#[test]
fn a_sum_of_losses_is_trained_on_and_one_that_does_not_fit_is_refused() {
    let mut session = bert(classes(60));
    let with = |loss: &str| RunConfig {
        loss: Some(loss.into()),
        max_steps: 3,
        val_size: 10.0,
        ..config()
    };
    session.train(with("0.7*focal(gamma=1) + 0.3*mse"));
    assert!(session.summary().finished);
    assert_eq!(started(&session).loss, "0.7*focal(gamma=1) + 0.3*mse");
    session.train(with("ranknet"));
    let error = failure(&session);
    assert_eq!(error.field_name(), Some("loss"));
    assert!(error.what.english().contains("this is a classification run"), "{error}");
    session.train(with("cross_entropy(class_weights=[1, 2, 3])"));
    assert!(
        failure(&session).what.english().contains("3 numbers"),
        "{}",
        failure(&session)
    );
    session.train(RunConfig {
        metric_for_best_model: Some("acuracy".into()),
        loss: None,
        ..with("mse")
    });
    assert_eq!(
        failure(&session).remedy.map(|remedy| remedy.english()).as_deref(),
        Some("Did you mean accuracy?")
    );
}

#[test]
fn a_whole_classifier_is_trained_and_its_folder_loads_as_a_model() {
    let mut session = bert(classes(260));
    session.train(RunConfig {
        finetuning_type: FinetuningType::Full,
        learning_rate: 2e-3,
        ..config()
    });
    assert!(session.summary().finished);
    session.ask(Command::ExportAdapter, Vec::new());
    let files = session.exported.iter();
    let files = files.map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let mut other = TestSession::with(DeviceChoice::Cpu, files.collect(), classes(260));
    let score = scored(&mut other);
    assert_eq!(scored(&mut session), score);
    assert!(metric(&score, "accuracy") > 0.9, "{score:?}");
}

#[test]
fn classes_have_the_same_share_among_the_rows_held_out() {
    let rare = |i: usize| if i % 10 == 3 { "rare" } else { "usual" };
    let rows = (0..100).map(|i| format!("{},{}", ["abc", "cde", "efg"][i % 3], rare(i)));
    let mut session = bert(table("text,label", rows));
    session.train(RunConfig {
        max_steps: 1,
        val_size: 0.2,
        ..config()
    });
    let support = report(&session)
        .classes
        .iter()
        .map(|class| (class.label.clone(), class.support))
        .collect::<Vec<_>>();
    assert_eq!(support, [("rare".to_owned(), 2), ("usual".to_owned(), 18)]);

    // The first label that applies counts.
    let flags = |i: usize| match i % 10 {
        3 => "1,1",
        4..=6 => "0,1",
        _ => "0,0",
    };
    let rows = (0..100).map(|i| format!("abc,{}", flags(i)));
    let mut session = bert(table("text,x,y", rows));
    session.train(RunConfig {
        max_steps: 1,
        val_size: 0.2,
        task: Some(Task::MultiLabel),
        label_columns: vec!["x".into(), "y".into()],
        ..config()
    });
    let table = predictions(&session);
    let count = |labels: &str| table.rows.iter().filter(|row| row[1] == labels).count();
    assert_eq!([count("x|y"), count("y"), count("")], [2, 6, 12], "{table:?}");
}
