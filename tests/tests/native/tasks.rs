//! Every task from rows to metrics to prediction, on models of a few thousand weights: what is learnt, what it is compared
//! with, and what is said where it cannot be.

use lorakeet_core::{
    config::{FinetuningType, HeadActivation, HeadPooling, RunConfig},
    data::{Dataset, PaddingSide, Settings, collate},
    device,
    error::Error,
    formats::ModelFiles,
    models::{Model, read},
    protocol::{Baseline, Command, DeviceChoice, EvalInfo, Event, Metric, Predictions, Report, Verdict},
    random::Generator,
    store::{MemoryFile, MemorySink, Source, read_all},
    task::Task,
};
use lorakeet_tests::{
    desk::{Desk, checkpoint, examples, failure, find, metric, report, started, value},
    golden::block_on,
    rows::{classes, graded, pairs_of_letters, prices, table},
    tiny,
};
use safetensors::SafeTensors;
use std::rc::Rc;

/// 150 steps of LoRA that learn it.
fn config() -> RunConfig {
    RunConfig {
        model_name_or_path: "tiny".into(),
        train_file: "rows.csv".into(),
        output_dir: "out".into(),
        per_device_train_batch_size: 8,
        per_device_eval_batch_size: 16,
        gradient_accumulation_steps: 2,
        learning_rate: 1e-2,
        lora_r: 16,
        lora_alpha: 32.0,
        lora_dropout: 0.0,
        val_size: 60.0,
        max_steps: 150,
        eval_steps: 50.0,
        save_steps: 0.0,
        cutoff_len: 32,
        ..RunConfig::default()
    }
}

fn bert(data: Source) -> Desk {
    Desk::with(DeviceChoice::Cpu, tiny::bert_files(), data)
}

fn predictions(desk: &Desk) -> Predictions {
    find(desk, |event| match event {
        Event::Predictions(table) => Some(table.clone()),
        _ => None,
    })
}

/// The best baseline's value of a metric where more is better.
fn to_beat(report: &Report, name: &str) -> f64 {
    let values = report.baselines.iter().flat_map(|baseline| &baseline.metrics);
    values
        .filter(|metric| metric.name == name)
        .map(|metric| metric.value)
        .fold(f64::NEG_INFINITY, f64::max)
}

/// What was exported, in another session on the same model.
fn reloaded(desk: &mut Desk, device: DeviceChoice, model: Vec<Source>, data: Source) -> Desk {
    desk.ask(Command::ExportAdapter, Vec::new());
    let files = desk.exported.iter();
    let files = files.map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let mut other = Desk::with(device, model, data);
    block_on(other.session.load_adapter_files(files.collect(), &mut |_, _| ())).expect("the adapter loads");
    other
}

fn scored(desk: &mut Desk) -> EvalInfo {
    block_on(desk.session.evaluate(&config(), &mut |_, _| ())).expect("a score")
}

#[test]
fn a_classifier_rises_above_every_baseline_and_its_adapter_scores_the_same_after_loading() {
    for (device, files) in [
        (DeviceChoice::Cpu, tiny::bert_files as fn() -> Vec<Source>),
        (DeviceChoice::Cpu, tiny::model_files),
        (DeviceChoice::Gpu, tiny::bert_files),
    ] {
        let mut desk = Desk::with(device, files(), classes(260));
        let sink = Rc::new(MemorySink::new());
        desk.session.sink = Some(sink.clone());
        desk.train(config());
        assert!(desk.summary().finished);
        let info = started(&desk);
        assert_eq!((info.task, info.loss.as_str()), (Task::Classification, "cross_entropy"));
        let report = report(&desk);
        let names: Vec<&str> = report.baselines.iter().map(|baseline| baseline.name.as_str()).collect();
        assert_eq!(names, ["majority class", "nearest centroid", "linear probe"]);
        let (accuracy, baseline) = (metric(&desk.evals()[3], "accuracy"), to_beat(&report, "accuracy"));
        assert!(
            accuracy > 0.9 && accuracy > baseline + 0.15,
            "{accuracy} over {baseline}"
        );
        assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence);
        assert_eq!(report.labels, ["other", "same"]);
        assert_eq!(report.confusion.iter().map(|(.., count)| count).sum::<u64>(), 60);
        assert!(!report.calibration.is_empty() && report.classes.len() == 2);

        // The worst errors come first, on the desk and in the file.
        let table = predictions(&desk);
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
        let mut other = reloaded(&mut desk, device, files(), classes(260));
        let adapter = String::from_utf8(desk.exported["adapter_config.json"].clone()).expect("text");
        assert!(
            adapter.contains("SEQ_CLS") && adapter.contains("modules_to_save"),
            "{adapter}"
        );
        let again = scored(&mut other);
        assert_eq!(scored(&mut desk), again);
        assert!(metric(&again, "accuracy") > 0.9);
    }
}

#[test]
fn an_adapter_answers_rows_without_labels() {
    let mut desk = bert(classes(260));
    desk.train(config());
    let rows = pairs_of_letters(20).into_iter();
    let unlabelled = table("text", rows.map(|(text, _)| text));
    let mut other = reloaded(&mut desk, DeviceChoice::Cpu, tiny::bert_files(), unlabelled);
    let (table, score) = block_on(other.session.predict(&config(), &mut |_, _| ())).expect("answers");
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
fn a_regression_is_learnt_in_the_units_of_its_targets_scaled_or_not() {
    let price = RunConfig {
        label_columns: vec!["Price".into()],
        ..config()
    };
    let mut desk = bert(prices(260));
    desk.train(price.clone());
    assert_eq!(started(&desk).task, Task::Regression);
    let report = report(&desk);
    let (r2, baseline) = (metric(&desk.evals()[3], "r2"), to_beat(&report, "r2"));
    assert!(r2 > 0.8 && r2 > baseline + 0.3, "{r2} over {baseline}");
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence);
    let (rmse, mse) = (metric(&desk.evals()[3], "rmse"), metric(&desk.evals()[3], "mse"));
    assert!(
        (rmse * rmse / mse - 1.0).abs() < 1e-9 && rmse < 100.0,
        "in the unit of the targets: {rmse}"
    );
    let first: f64 = predictions(&desk).rows[0][1].parse().expect("the target");
    assert!(first >= 500.0, "{first}");

    let mut other = reloaded(&mut desk, DeviceChoice::Cpu, tiny::bert_files(), prices(260));
    let score = |desk: &mut Desk| block_on(desk.session.evaluate(&price, &mut |_, _| ())).expect("a score");
    assert_eq!(score(&mut desk), score(&mut other));

    // Without scaling a head that starts at 0 is far off.
    let mut unscaled = bert(prices(260));
    unscaled.train(RunConfig {
        scale_targets: false,
        ..price
    });
    assert!(metric(&unscaled.evals()[0], "r2") < -1.0);
    assert!(unscaled.summary().finished);
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
        let mut desk = bert(data);
        desk.train(RunConfig {
            label_columns: columns.iter().map(ToString::to_string).collect(),
            max_steps,
            ..config()
        });
        assert!(desk.summary().finished);
        desk
    };
    let desk = run(&["x", "y"], numbers(), 100);
    let evals = desk.evals();
    let (before, after) = (metric(&evals[0], "r2"), metric(&evals[evals.len() - 1], "r2"));
    assert!(after > 0.5 && after > before, "{before} -> {after}");
    assert!(predictions(&desk).columns.contains(&"residual y".to_owned()));

    let flags = |text: &str| ["a", "c", "g"].map(|letter| u8::from(text.contains(letter)));
    let rows = pairs_of_letters(160).into_iter().map(|(text, _)| {
        let [a, c, g] = flags(&text);
        format!("{text},{a},{c},{g}")
    });
    let desk = run(&["has a", "has c", "has g"], table("text,has a,has c,has g", rows), 150);
    assert_eq!(
        (started(&desk).task, started(&desk).loss.as_str()),
        (Task::MultiLabel, "bce")
    );
    let report = report(&desk);
    let usual = report.baselines[0].metrics[0].value;
    let evals = desk.evals();
    let f1 = metric(&evals[evals.len() - 1], "f1_micro");
    assert!(f1 > 0.9 && f1 > usual, "{f1} over {usual}");

    let lists = pairs_of_letters(80).into_iter().map(|(text, _)| {
        let applying = ["a", "c", "g"].into_iter().filter(|letter| text.contains(letter));
        serde_json::json!({ "sentence": text, "labels": applying.collect::<Vec<_>>() }).to_string()
    });
    let lists = lists.collect::<Vec<_>>().join("\n").into_bytes();
    let mut desk = bert(MemoryFile::source("rows.jsonl", lists));
    desk.train(RunConfig {
        max_steps: 3,
        val_size: 10.0,
        ..config()
    });
    assert_eq!(started(&desk).task, Task::MultiLabel);
    assert!(desk.summary().finished);
}

#[test]
fn pairs_of_texts_are_read_together_and_told_apart() {
    // Whether the two texts share a letter: segments make the difference.
    let rows = pairs_of_letters(60).into_iter();
    let data = table(
        "sentence1,sentence2,label",
        rows.map(|(text, same)| format!("{},{},{}", &text[..2], &text[2..], u8::from(same))),
    );
    let mut desk = bert(data);
    desk.train(RunConfig {
        max_steps: 4,
        val_size: 10.0,
        ..config()
    });
    assert!(desk.summary().finished);
    assert_eq!(report(&desk).labels, ["0", "1"]);
    desk.ask(
        Command::Preview {
            config: Box::new(config()),
        },
        Vec::new(),
    );
    let shown = find(&desk, |event| match event {
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
    whole.session.sink = Some(sink.clone());
    whole.train(config());
    let mut resumed = bert(classes(80));
    resumed.session.resume = Some(checkpoint(&sink, 5));
    resumed.train(config());
    assert_eq!(resumed.numbers(), whole.numbers()[5..], "steps 6 to 12");
    assert_eq!(resumed.summary(), whole.summary());
    assert_eq!(report(&resumed), report(&whole));
    assert_eq!(predictions(&resumed), predictions(&whole));
}

#[test]
fn the_weights_with_the_best_metric_are_the_ones_that_are_kept() {
    let mut desk = bert(classes(120));
    desk.train(RunConfig {
        max_steps: 40,
        eval_steps: 5.0,
        // Too high at the end to stay at the best.
        learning_rate: 5e-2,
        load_best_model_at_end: true,
        metric_for_best_model: Some("accuracy".into()),
        val_size: 40.0,
        ..config()
    });
    let best = desk
        .evals()
        .iter()
        .map(|eval| metric(eval, "accuracy"))
        .fold(0.0, f64::max);
    let kept = report(&desk)
        .metrics
        .iter()
        .find(|metric| metric.name == "accuracy")
        .map(|metric| metric.value);
    assert_eq!(kept, Some(best));
}

#[test]
fn a_sum_of_losses_is_trained_on_and_one_that_does_not_fit_is_refused() {
    let mut desk = bert(classes(60));
    let with = |loss: &str| RunConfig {
        loss: Some(loss.into()),
        max_steps: 3,
        val_size: 10.0,
        ..config()
    };
    desk.train(with("0.7*focal(gamma=1) + 0.3*mse"));
    assert!(desk.summary().finished);
    assert_eq!(started(&desk).loss, "0.7*focal(gamma=1) + 0.3*mse");
    desk.train(with("ranknet"));
    let error = failure(&desk);
    assert_eq!(error.field.as_deref(), Some("loss"));
    assert!(error.what.contains("this is a classification run"), "{error}");
    desk.train(with("cross_entropy(class_weights=[1, 2, 3])"));
    assert!(failure(&desk).what.contains("3 numbers"), "{}", failure(&desk));
    desk.train(RunConfig {
        metric_for_best_model: Some("acuracy".into()),
        loss: None,
        ..with("mse")
    });
    assert_eq!(failure(&desk).remedy.as_deref(), Some("Did you mean accuracy?"));
}

#[test]
fn a_whole_classifier_is_trained_and_its_folder_loads_as_a_model() {
    let mut desk = bert(classes(260));
    desk.train(RunConfig {
        finetuning_type: FinetuningType::Full,
        learning_rate: 2e-3,
        ..config()
    });
    assert!(desk.summary().finished);
    desk.ask(Command::ExportAdapter, Vec::new());
    let files = desk.exported.iter();
    let files = files.map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let mut other = Desk::with(DeviceChoice::Cpu, files.collect(), classes(260));
    let score = scored(&mut other);
    assert_eq!(scored(&mut desk), score);
    assert!(metric(&score, "accuracy") > 0.9, "{score:?}");
}

#[test]
fn bad_rows_are_named_by_file_row_and_field() {
    let refused = |header: &str, rows: &[&str], config: RunConfig| {
        let mut desk = bert(table(header, rows.iter().map(ToString::to_string)));
        desk.train(config);
        failure(&desk)
    };
    let place = |error: &Error| (error.file.clone(), error.row, error.field.clone());
    let at = |row, field: &str| (Some("rows.csv".to_owned()), Some(row), Some(field.to_owned()));

    let missing = refused("text,label", &["ab,x", "cd,", "ef,y"], config());
    assert_eq!(place(&missing), at(3, "label"), "{missing}");
    let empty = refused("text,label", &["ab,x", ",y"], config());
    assert_eq!(place(&empty), at(3, "text"), "{empty}");
    let numbers = RunConfig {
        task: Some(Task::Regression),
        ..config()
    };
    let word = refused("text,label", &["ab,1", "cd,2", "ef,many"], numbers);
    assert_eq!(place(&word), at(4, "label"), "{word}");
    let flags = RunConfig {
        task: Some(Task::MultiLabel),
        label_columns: vec!["x".into(), "y".into()],
        ..config()
    };
    let flag = refused("text,x,y", &["ab,0,1", "cd,1,2"], flags);
    assert_eq!(place(&flag), at(3, "y"), "{flag}");
    let one = refused("text,label", &["ab,x", "cd,x"], config());
    assert!(one.what.contains("nothing to learn"), "{one}");
    let absent = RunConfig {
        label_columns: vec!["gold".into()],
        ..config()
    };
    let absent = refused("text,label", &["ab,x", "cd,y"], absent);
    assert_eq!(absent.field.as_deref(), Some("gold"), "{absent}");

    // A class that was never seen in training.
    let mut desk = bert(classes(40));
    let validation = table(
        "text,label",
        ["abcda,same".to_owned(), "abcdb,new".to_owned()].into_iter(),
    );
    block_on(desk.session.load_validation(vec![validation])).expect("rows");
    desk.train(config());
    let error = failure(&desk);
    assert_eq!(place(&error), at(3, "label"), "{error}");
    assert!(
        error.what.contains("'new'") && error.what.contains("other, same"),
        "{error}"
    );
}

#[test]
fn a_text_beside_a_label_can_still_be_trained_on_as_text() {
    let mut desk = Desk::with(DeviceChoice::Cpu, tiny::model_files(), classes(40));
    desk.train(RunConfig {
        task: Some(Task::Generation),
        max_steps: 2,
        val_size: 1.0,
        ..config()
    });
    assert!(desk.summary().finished, "{:?}", desk.events.last());
    assert_eq!(started(&desk).task, Task::Generation);
}

/// One JSON object a line.
fn lines(rows: impl Iterator<Item = serde_json::Value>) -> Source {
    let rows: Vec<String> = rows.map(|row| row.to_string()).collect();
    MemoryFile::source("rows.jsonl", rows.join("\n").into_bytes())
}

#[test]
fn words_have_classes_on_their_first_tokens() {
    // A word's class is that of the word in front of it, too: nothing that the word itself tells.
    let data = || {
        let mut generator = Generator::new(9, "words");
        let rows = (0..120).map(move |_| {
            let words: Vec<&str> = (0..6).map(|_| ["ab", "cd", "ef"][generator.below(3)]).collect();
            let tag = |at: usize| {
                if at > 0 && words[at] == words[at - 1] {
                    "AGAIN"
                } else {
                    "O"
                }
            };
            let tags: Vec<&str> = (0..words.len()).map(tag).collect();
            serde_json::json!({ "tokens": words, "ner_tags": tags })
        });
        lines(rows)
    };
    let config = || RunConfig {
        max_steps: 200,
        eval_steps: 100.0,
        val_size: 30.0,
        ..config()
    };
    let mut desk = bert(data());
    desk.train(config());
    assert!(desk.summary().finished);
    assert_eq!(started(&desk).task, Task::TokenClassification);
    let evals = desk.evals();
    assert_eq!(evals[0].tokens, 30 * 6, "one label a word, whatever its tokens");
    let (f1, baseline) = (metric(&evals[2], "f1_macro"), to_beat(&report(&desk), "f1_macro"));
    assert!(f1 > 0.8 && f1 > baseline + 0.2, "{f1} over {baseline}");
    assert_eq!(predictions(&desk).rows.len(), 180);

    let mut other = reloaded(&mut desk, DeviceChoice::Cpu, tiny::bert_files(), data());
    let adapter = String::from_utf8(desk.exported["adapter_config.json"].clone()).expect("text");
    assert!(adapter.contains("TOKEN_CLS"), "{adapter}");
    assert_eq!(scored(&mut desk), scored(&mut other));
    let unlabelled = lines([serde_json::json!({ "tokens": ["ab", "ab", "cd"] })].into_iter());
    let file = unlabelled.name().to_owned();
    other.ask(Command::LoadData { file }, vec![unlabelled]);
    let (table, score) = block_on(other.session.predict(&config(), &mut |_, _| ())).expect("answers");
    assert!(score.is_none());
    let answers: Vec<&str> = table.rows.iter().map(|row| row[2].as_str()).collect();
    assert_eq!(answers, ["O", "AGAIN", "O"], "{table:?}");

    let wrong = [
        serde_json::json!({ "tokens": ["ab", "cd"], "ner_tags": ["O", "AGAIN"] }),
        serde_json::json!({ "tokens": ["ab", "cd"], "ner_tags": ["O"] }),
    ];
    let mut desk = bert(lines(wrong.into_iter()));
    desk.train(config());
    let error = failure(&desk);
    assert_eq!(
        (error.row, error.field.as_deref()),
        (Some(2), Some("ner_tags")),
        "{error}"
    );
}

#[test]
fn an_encoder_decoder_learns_to_answer_a_text_with_another() {
    let mut generator = Generator::new(11, "rows");
    let rows = (0..80).map(|_| {
        let mut letter = |of: &[u8]| char::from(of[generator.below(of.len())]);
        let (first, last) = (letter(b"abc"), letter(b"def"));
        format!("{first}x{last},{last}{first}")
    });
    let mut desk = Desk::with(DeviceChoice::Cpu, tiny::t5_files(), table("source,target", rows));
    let command = Command::Train {
        config: Box::new(RunConfig {
            finetuning_type: FinetuningType::Full,
            learning_rate: 5e-3,
            max_steps: 200,
            eval_steps: 0.0,
            val_size: 10.0,
            ..config()
        }),
        sample_prompt: Some("axe".into()),
    };
    desk.ask(command, Vec::new());
    assert_eq!(started(&desk).task, Task::Generation);
    let summary = desk.summary();
    let (before, after) = (
        summary.eval_loss_before.expect("scored"),
        summary.eval_loss_after.expect("scored"),
    );
    assert!(after < 0.3 && after < before - 1.0, "{before} -> {after}");
    let sample = find(&desk, |event| match event {
        Event::Sample { text, .. } => Some(text.clone()),
        _ => None,
    });
    assert!(sample.starts_with("ea"), "{sample:?}");

    // A text alone is nothing that such a model answers.
    let alone = table("text", ["ab".to_owned()].into_iter());
    let mut desk = Desk::with(DeviceChoice::Cpu, tiny::t5_files(), alone);
    desk.train(config());
    let error = failure(&desk);
    assert_eq!(
        (error.file.as_deref(), error.row),
        (Some("rows.csv"), Some(2)),
        "{error}"
    );
}

#[test]
fn a_cross_encoder_ranks_by_points_by_pairs_and_by_lists() {
    for (loss, device) in [
        ("bce", DeviceChoice::Cpu),
        ("ranknet", DeviceChoice::Cpu),
        ("margin", DeviceChoice::Cpu),
        ("listnet", DeviceChoice::Cpu),
    ] {
        let mut desk = Desk::with(device, tiny::bert_files(), graded(160));
        let ranking = || RunConfig {
            loss: Some(loss.into()),
            val_size: 40.0,
            max_steps: 300,
            eval_steps: 100.0,
            ..config()
        };
        desk.train(ranking());
        assert!(desk.summary().finished);
        assert_eq!(started(&desk).task, Task::Ranking);
        let report = report(&desk);
        let evals = desk.evals();
        let (ndcg, words) = (metric(&evals[3], "ndcg_at_10"), to_beat(&report, "ndcg_at_10"));
        assert_eq!(report.against, "BM25");
        assert!(ndcg > 0.95 && ndcg > words + 0.1, "{loss}: {ndcg} over {words}");
        assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence);
        let table = predictions(&desk);
        assert_eq!((table.rows.len(), table.columns[1].as_str()), (40, "ndcg_at_10"));
        let mut other = reloaded(&mut desk, device, tiny::bert_files(), graded(160));
        let score = |desk: &mut Desk| block_on(desk.session.evaluate(&ranking(), &mut |_, _| ())).expect("a score");
        assert_eq!(score(&mut desk), score(&mut other));
    }
}

#[test]
fn a_bi_encoder_finds_what_shares_no_word_with_the_query() {
    let data = || {
        let mut generator = Generator::new(17, "rows");
        let rows = (0..120).map(move |_| {
            let places: Vec<usize> = (0..3).map(|_| generator.below(5)).collect();
            let word = |letters: &[u8]| -> String { places.iter().map(|&at| char::from(letters[at])).collect() };
            format!("{},{}", word(b"cdefg"), word(b"hijkl"))
        });
        table("query,positive", rows)
    };
    let mut desk = bert(data());
    desk.train(RunConfig {
        val_size: 30.0,
        ..config()
    });
    assert!(desk.summary().finished);
    let info = started(&desk);
    assert_eq!((info.task, info.loss.as_str()), (Task::Embedding, "infonce"));
    let report = report(&desk);
    let (ndcg, baseline) = (metric(&desk.evals()[3], "ndcg_at_10"), to_beat(&report, "ndcg_at_10"));
    assert!(ndcg > 0.7 && ndcg > baseline + 0.2, "{ndcg} over {baseline}");
    let names: Vec<&str> = report.baselines.iter().map(|baseline| baseline.name.as_str()).collect();
    assert_eq!(names, ["BM25", "untouched model"]);
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence);
    let mut other = reloaded(&mut desk, DeviceChoice::Cpu, tiny::bert_files(), data());
    assert_eq!(scored(&mut desk), scored(&mut other));

    let none = table(
        "query,document,grade",
        ["ab,cd,1".to_owned(), "ab,ef,many".to_owned()].into_iter(),
    );
    let mut desk = bert(none);
    desk.train(config());
    let error = failure(&desk);
    let place = (error.file.as_deref(), error.row, error.field.as_deref());
    assert_eq!(place, (Some("rows.csv"), Some(3), Some("grade")), "{error}");
}

#[test]
fn a_bi_encoder_learns_how_alike_two_texts_are() {
    let data = || {
        let mut generator = Generator::new(23, "rows");
        let rows = (0..400).map(move |_| {
            // Alike are texts of letters with the same place in two alphabets that share none.
            let places: Vec<usize> = (0..3).map(|_| generator.below(5)).collect();
            let other: Vec<usize> = places
                .iter()
                .map(|&at| {
                    if generator.below(2) == 0 {
                        at
                    } else {
                        generator.below(5)
                    }
                })
                .collect();
            let same = places.iter().zip(&other).filter(|(a, b)| a == b).count();
            let word = |places: &[usize], letters: &[u8]| -> String {
                places.iter().map(|&at| char::from(letters[at])).collect()
            };
            format!(
                "{},{},{:.3}",
                word(&places, b"cdefg"),
                word(&other, b"hijkl"),
                same as f64 / 3.0
            )
        });
        table("sentence1,sentence2,score", rows)
    };
    let of_pairs = || RunConfig {
        task: Some(Task::Embedding),
        val_size: 100.0,
        ..config()
    };
    let mut desk = bert(data());
    desk.train(of_pairs());
    assert!(desk.summary().finished, "{:?}", desk.events.last());
    let info = started(&desk);
    assert_eq!((info.task, info.loss.as_str()), (Task::Embedding, "mse"));
    let report = report(&desk);
    let names: Vec<&str> = report.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        (report.metric.as_str(), names.as_slice()),
        ("pearson", &["pearson", "spearman", "mse", "mae"][..])
    );
    let (pearson, baseline) = (metric(&desk.evals()[3], "pearson"), to_beat(&report, "pearson"));
    assert!(pearson > 0.5 && pearson > baseline + 0.2, "{pearson} over {baseline}");
    assert_eq!(report.against, "untouched model");
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence);

    let rows = ["cd,hi,0.5".to_owned(), "cd,hi,4.5".to_owned()];
    let mut desk = bert(table("sentence1,sentence2,score", rows.into_iter()));
    desk.train(of_pairs());
    let error = failure(&desk);
    let place = (error.file.as_deref(), error.row, error.field.as_deref());
    assert_eq!(place, (Some("rows.csv"), Some(3), Some("score")), "{error}");
}

/// Prompts that name a letter; the chosen answer says it, the rejected one another.
fn preferences() -> Source {
    let mut generator = Generator::new(19, "rows");
    let rows = (0..80).map(|_| {
        let letters = ["a", "b", "c", "d"];
        let right = generator.below(4);
        let wrong = (right + 1 + generator.below(3)) % 4;
        let said = |letter: usize| format!(" {}.", letters[letter].repeat(3));
        serde_json::json!({ "prompt": format!("say {}", letters[right]), "chosen": said(right), "rejected": said(wrong) })
    });
    lines(rows.collect::<Vec<_>>().into_iter())
}

#[test]
fn dpo_prefers_what_was_chosen_and_starts_from_the_model_itself() {
    let config = || RunConfig {
        learning_rate: 5e-3,
        max_steps: 80,
        eval_steps: 40.0,
        val_size: 20.0,
        ..config()
    };
    for (kind, device) in [
        (FinetuningType::Lora, DeviceChoice::Cpu),
        (FinetuningType::Lora, DeviceChoice::Gpu),
        (FinetuningType::Full, DeviceChoice::Cpu),
    ] {
        let mut desk = Desk::with(device, tiny::model_files(), preferences());
        desk.train(RunConfig {
            finetuning_type: kind,
            learning_rate: if kind == FinetuningType::Full { 1e-3 } else { 5e-3 },
            ..config()
        });
        assert!(desk.summary().finished);
        let info = started(&desk);
        assert_eq!((info.task, info.loss.as_str()), (Task::Preference, "dpo"));
        let evals = desk.evals();
        // Untouched, policy and reference are one: -log sigma(0).
        assert!(
            (evals[0].loss - std::f64::consts::LN_2).abs() < 1e-4,
            "{}",
            evals[0].loss
        );
        assert!(metric(&evals[0], "reward_margin").abs() < 1e-4);
        let (accuracy, margin) = (
            metric(&evals[2], "preference_accuracy"),
            metric(&evals[2], "reward_margin"),
        );
        let before = to_beat(&report(&desk), "preference_accuracy");
        assert!(
            accuracy > 0.9 && accuracy > before + 0.2 && margin > 0.1,
            "{accuracy} over {before}, {margin}"
        );
    }

    let rows = [
        serde_json::json!({ "prompt": "say a", "chosen": "a", "rejected": "b" }),
        serde_json::json!({ "prompt": "say b", "chosen": "b" }),
    ];
    let mut desk = Desk::with(DeviceChoice::Cpu, tiny::model_files(), lines(rows.into_iter()));
    desk.train(config());
    let error = failure(&desk);
    let place = (error.file.as_deref(), error.row, error.field.as_deref());
    assert_eq!(place, (Some("rows.jsonl"), Some(2), Some("rejected")), "{error}");
}

/// A run whose fresh head has a hidden layer.
fn with_hidden(size: usize, activation: HeadActivation) -> RunConfig {
    RunConfig {
        classifier_hidden_size: size,
        classifier_activation: activation,
        ..config()
    }
}

#[test]
fn a_head_with_a_hidden_layer_is_trained_saved_and_trained_on() {
    for files in [tiny::bert_files as fn() -> Vec<Source>, tiny::model_files] {
        let run = |dropout: f64| {
            let mut desk = Desk::with(DeviceChoice::Cpu, files(), classes(260));
            desk.train(RunConfig {
                classifier_dropout: dropout,
                ..with_hidden(24, HeadActivation::Tanh)
            });
            assert!(desk.summary().finished);
            desk
        };
        let mut desk = run(0.1);
        assert_eq!(desk.numbers(), run(0.1).numbers(), "one seed, one run");
        assert_ne!(desk.numbers(), run(0.0).numbers(), "dropout acts");
        let accuracy = metric(desk.evals().last().expect("a score"), "accuracy");
        assert!(accuracy > 0.9, "{accuracy}");

        let mut other = reloaded(&mut desk, DeviceChoice::Cpu, files(), classes(260));
        let adapter = SafeTensors::deserialize(&desk.exported["adapter_model.safetensors"]).expect("tensors");
        let head = ["classifier", "score"].into_iter().find_map(|head| {
            let layer = |part: &str| adapter.tensor(&format!("base_model.model.{head}.{part}"));
            Some([
                layer("hidden.weight").ok()?.shape().to_vec(),
                layer("out.weight").ok()?.shape().to_vec(),
            ])
        });
        assert_eq!(head, Some([vec![24, 32], vec![2, 24]]), "{:?}", adapter.names());
        let saved = String::from_utf8(desk.exported["adapter_config.json"].clone()).expect("text");
        assert!(saved.contains("modules_to_save"), "{saved}");
        assert_eq!(scored(&mut desk), scored(&mut other));
        let (table, _) = block_on(other.session.predict(&config(), &mut |_, _| ())).expect("answers");
        assert_eq!(table.rows.len(), 260);

        // The head that the adapter brought is trained on as it is, and is not given another form.
        let short = |size, activation| RunConfig {
            max_steps: 2,
            ..with_hidden(size, activation)
        };
        other.train(RunConfig {
            classifier_pooling: Some(HeadPooling::Mean),
            ..short(0, HeadActivation::Tanh)
        });
        let error = failure(&other);
        assert_eq!(error.field.as_deref(), Some("classifier_pooling"), "{error}");
        for (size, activation, key) in [
            (8, HeadActivation::Tanh, "classifier_hidden_size"),
            (24, HeadActivation::Relu, "classifier_activation"),
        ] {
            other.train(short(size, activation));
            let error = failure(&other);
            assert_eq!(error.field.as_deref(), Some(key), "{error}");
            assert!(error.to_string().contains("brings a head"), "{error}");
        }
        for size in [0, 24] {
            other.train(short(size, HeadActivation::Tanh));
            assert!(other.summary().finished);
            let evals = other.evals();
            assert!(
                metric(&evals[evals.len() - 2], "accuracy") > 0.9,
                "it starts where it was"
            );
        }
    }
}

#[test]
fn a_head_on_the_mean_of_the_tokens_is_trained_and_loaded_again() {
    for files in [tiny::bert_files as fn() -> Vec<Source>, tiny::model_files] {
        let mut desk = Desk::with(DeviceChoice::Cpu, files(), classes(260));
        desk.train(RunConfig {
            classifier_pooling: Some(HeadPooling::Mean),
            ..config()
        });
        assert!(desk.summary().finished);
        let accuracy = metric(desk.evals().last().expect("a score"), "accuracy");
        assert!(accuracy > 0.8, "{accuracy}");
        let mut other = reloaded(&mut desk, DeviceChoice::Cpu, files(), classes(260));
        assert_eq!(scored(&mut desk), scored(&mut other));
        // It is trained on as it is.
        other.train(RunConfig {
            max_steps: 2,
            ..config()
        });
        assert!(other.summary().finished);
        assert!(metric(&other.evals()[0], "accuracy") > 0.8, "it starts where it was");
    }
}

#[test]
fn a_head_that_a_model_brings_takes_dropout_but_no_hidden_layer() {
    let mut desk = bert(classes(100));
    desk.train(RunConfig {
        max_steps: 2,
        ..config()
    });
    let mut own = reloaded(&mut desk, DeviceChoice::Cpu, tiny::bert_files(), classes(100));
    own.train(RunConfig {
        max_steps: 2,
        ..with_hidden(8, HeadActivation::Relu)
    });
    let error = failure(&own);
    assert_eq!(error.field.as_deref(), Some("classifier_hidden_size"), "{error}");
    assert!(error.to_string().contains("no hidden layer"), "{error}");
    let mut run = |dropout: f64| {
        let mut own = reloaded(&mut desk, DeviceChoice::Cpu, tiny::bert_files(), classes(100));
        own.train(RunConfig {
            max_steps: 2,
            classifier_dropout: dropout,
            ..config()
        });
        own.numbers()
    };
    let (without, with) = (run(0.0), run(0.3));
    assert_eq!(without.len(), 2);
    assert_ne!(without, with);
}

#[test]
fn a_run_with_a_hidden_layer_goes_on_from_its_checkpoint() {
    let config = || RunConfig {
        max_steps: 6,
        save_steps: 3.0,
        classifier_dropout: 0.2,
        val_size: 20.0,
        ..with_hidden(6, HeadActivation::Silu)
    };
    let mut whole = bert(classes(80));
    let sink = Rc::new(MemorySink::new());
    whole.session.sink = Some(sink.clone());
    whole.train(config());
    let mut resumed = bert(classes(80));
    resumed.session.resume = Some(checkpoint(&sink, 3));
    resumed.train(config());
    assert_eq!(resumed.numbers(), whole.numbers()[3..], "steps 4 to 6");
    assert_eq!(resumed.summary(), whole.summary());
}

#[test]
fn regressions_rankings_and_taggers_take_a_hidden_layer_too() {
    let short = || RunConfig {
        max_steps: 3,
        val_size: 10.0,
        ..with_hidden(6, HeadActivation::Gelu)
    };
    let numbers = pairs_of_letters(40).into_iter();
    let numbers = table(
        "text,price",
        numbers.enumerate().map(|(i, (text, _))| format!("{text},{i}.5")),
    );
    let lists = (0..40).map(|i| format!("{{\"query\":\"say {i}\",\"positive\":\"abc\",\"negative\":\"cde\"}}\n"));
    let lists = MemoryFile::source("rows.jsonl", lists.collect::<String>().into_bytes());
    let tags = (0..40).map(|_| "{\"tokens\":[\"ab\",\"cd\"],\"ner_tags\":[\"A\",\"B\"]}\n");
    let tags = MemoryFile::source("rows.jsonl", tags.collect::<String>().into_bytes());
    for (data, task, labels) in [
        (numbers, Task::Regression, vec!["price".to_owned()]),
        (lists, Task::Ranking, Vec::new()),
        (tags, Task::TokenClassification, Vec::new()),
    ] {
        let mut desk = bert(data);
        desk.train(RunConfig {
            task: Some(task),
            label_columns: labels,
            ..short()
        });
        assert!(desk.summary().finished, "{task}");
        desk.ask(Command::ExportAdapter, Vec::new());
        let adapter = SafeTensors::deserialize(&desk.exported["adapter_model.safetensors"]).expect("tensors");
        let layer = adapter.tensor("base_model.model.classifier.hidden.weight");
        assert_eq!(layer.expect("a hidden layer").shape(), [6, 32], "{task}");
    }
    let mut texts = Desk::open();
    texts.train(RunConfig {
        max_steps: 1,
        val_size: 4.0,
        ..with_hidden(6, HeadActivation::Gelu)
    });
    let said =
        |event: &Event| matches!(event, Event::Warning { message } if message.contains("classifier_hidden_size"));
    assert!(texts.summary().finished && texts.events.iter().any(said));
}

#[test]
fn classes_have_the_same_share_among_the_rows_held_out() {
    let rare = |i: usize| if i % 10 == 3 { "rare" } else { "usual" };
    let rows = (0..100).map(|i| format!("{},{}", ["abc", "cde", "efg"][i % 3], rare(i)));
    let mut desk = bert(table("text,label", rows));
    desk.train(RunConfig {
        max_steps: 1,
        val_size: 0.2,
        ..config()
    });
    let support = report(&desk)
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
    let mut desk = bert(table("text,x,y", rows));
    desk.train(RunConfig {
        max_steps: 1,
        val_size: 0.2,
        task: Some(Task::MultiLabel),
        label_columns: vec!["x".into(), "y".into()],
        ..config()
    });
    let table = predictions(&desk);
    let count = |labels: &str| table.rows.iter().filter(|row| row[1] == labels).count();
    assert_eq!([count("x|y"), count("y"), count("")], [2, 6, 12], "{table:?}");
}

fn baselines(desk: &Desk) -> Vec<Baseline> {
    find(desk, |event| match event {
        Event::Baseline { scores } => Some(scores.clone()),
        _ => None,
    })
}

#[test]
fn a_run_on_texts_is_compared_with_the_untouched_model() {
    for (device, files) in [
        (DeviceChoice::Cpu, tiny::model_files as fn() -> Vec<Source>),
        (DeviceChoice::Gpu, tiny::model_files),
    ] {
        let config = || RunConfig {
            max_steps: 30,
            eval_steps: 10.0,
            save_steps: 12.0,
            lora_dropout: 0.0,
            val_size: 12.0,
            per_device_eval_batch_size: 5,
            ..tiny::config()
        };
        let mut desk = Desk::with(device, files(), tiny::rows(60));
        let sink = Rc::new(MemorySink::new());
        desk.session.sink = Some(sink.clone());
        desk.train(config());
        let (summary, report) = (desk.summary(), report(&desk));
        let comparison = report.comparison.expect("two scores");
        assert_eq!((report.task, report.metric.as_str()), (Task::Generation, "loss"));
        assert_eq!(comparison.rows, 12);
        let near = |a: f64, b: Option<f64>| (a - b.expect("a loss")).abs() < 1e-9;
        assert!(near(comparison.before, summary.eval_loss_before), "{comparison:?}");
        assert!(near(comparison.after, summary.eval_loss_after), "{comparison:?}");
        assert!(comparison.low <= comparison.difference && comparison.difference <= comparison.high);
        assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence);
        assert_eq!(report.baselines, baselines(&desk));
        assert_eq!(report.against, "untouched model");
        let names = report.metrics.iter().map(|metric| metric.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["loss", "perplexity", "token_accuracy"]);
        let perplexity = format!(
            "perplexity {:.2} against {:.2}",
            comparison.after.exp(),
            comparison.before.exp()
        );
        let start = "The training bought something over the untouched model: ";
        assert!(
            report.sentence.starts_with(&format!("{start}{perplexity}")),
            "{}",
            report.sentence
        );

        // A run that goes on says the same at its end.
        let mut resumed = Desk::with(device, files(), tiny::rows(60));
        resumed.session.resume = Some(checkpoint(&sink, 12));
        resumed.train(config());
        assert_eq!(self::report(&resumed), report);
        assert_eq!(baselines(&resumed), report.baselines);
    }
}

/// Forty questions with one answer.
fn questions() -> Source {
    let rows = (0..40).map(|i| {
        format!(
            "{{\"prompt\":\"say {}\",\"completion\":\" cd ef\"}}\n",
            &"abcdefgh"[i % 8..]
        )
    });
    MemoryFile::source("rows.jsonl", rows.collect::<String>().into_bytes())
}

fn writing() -> RunConfig {
    RunConfig {
        finetuning_type: FinetuningType::Full,
        max_steps: 40,
        save_steps: 20.0,
        eval_steps: 20.0,
        val_size: 14.0,
        predict_with_generate: true,
        max_predict_samples: Some(12),
        max_new_tokens: 9,
        ..tiny::config()
    }
}

#[test]
fn answers_are_written_before_and_after_and_compared_with_the_right_ones() {
    for (device, files) in [
        (DeviceChoice::Cpu, tiny::model_files as fn() -> Vec<Source>),
        (DeviceChoice::Gpu, tiny::model_files),
        (DeviceChoice::Cpu, tiny::t5_files),
    ] {
        let config = || RunConfig {
            metric_for_best_model: Some("rouge_l".into()),
            ..writing()
        };
        let mut desk = Desk::with(device, files(), questions());
        let sink = Rc::new(MemorySink::new());
        desk.session.sink = Some(sink.clone());
        desk.train(config());
        let report = report(&desk);
        let names: Vec<&str> = report.metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["loss", "perplexity", "token_accuracy", "rouge_l", "chrf"]);
        for name in ["token_accuracy", "rouge_l", "chrf"] {
            let before = value(&report.baselines[0].metrics, name);
            assert!(before < 0.6, "{name} before: {before}");
            assert_eq!(value(&report.metrics, name), 1.0, "{name} {:?}", predictions(&desk));
        }
        let comparison = report.comparison.expect("two scores");
        assert_eq!((report.metric.as_str(), comparison.rows), ("rouge_l", 12));
        assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence);
        let table = predictions(&desk);
        assert_eq!(table.columns, ["row", "label", "prediction", "rouge_l", "text"]);
        assert_eq!(table.rows.len(), 12);
        assert_eq!(table.rows[0][2].trim(), "cd ef");
        assert!(table.rows[0][4].starts_with("say "), "{table:?}");
        assert_eq!(sink.files()["predictions.csv"], table.to_csv().into_bytes());

        // A run that goes on knows what was written before it.
        let mut resumed = Desk::with(device, files(), questions());
        resumed.session.resume = Some(checkpoint(&sink, 20));
        resumed.train(config());
        assert_eq!(self::report(&resumed), report);
    }
}

#[test]
fn every_row_is_answered_in_writing_where_rows_are_predicted() {
    let mut desk = Desk::with(DeviceChoice::Cpu, tiny::model_files(), questions());
    let config = RunConfig {
        max_predict_samples: None,
        max_new_tokens: 4,
        ..tiny::config()
    };
    let (table, info) = block_on(desk.session.predict(&config, &mut |_, _| ())).expect("answers");
    assert_eq!(table.rows.len(), 40);
    assert!(table.rows.iter().all(|row| row[2].chars().count() <= 4), "{table:?}");
    let info = info.expect("the answers are known");
    assert!(metric(&info, "chrf") < 0.5 && info.loss > 1.0, "{info:?}");
}

#[test]
fn who_asks_for_written_answers_is_told_what_they_need() {
    let refused = |data: Source, config: RunConfig| {
        let mut desk = Desk::with(DeviceChoice::Cpu, tiny::model_files(), data);
        desk.train(config);
        failure(&desk)
    };
    let metric = RunConfig {
        predict_with_generate: false,
        metric_for_best_model: Some("eval_chrf".into()),
        ..writing()
    };
    let error = refused(questions(), metric);
    assert_eq!(error.field.as_deref(), Some("metric_for_best_model"));
    assert!(error.remedy.expect("a way out").contains("predict_with_generate: true"));
    let text = MemoryFile::source(
        "text.txt",
        "a text that is learnt from its start. ".repeat(400).into_bytes(),
    );
    for (data, config) in [
        (text, writing()),
        (
            questions(),
            RunConfig {
                cutoff_len: 8,
                ..writing()
            },
        ),
    ] {
        assert_eq!(refused(data, config).field.as_deref(), Some("predict_with_generate"));
    }
}

#[test]
fn the_token_accuracy_is_the_share_of_targets_with_the_largest_logit() {
    for choice in [DeviceChoice::Cpu, DeviceChoice::Gpu] {
        let config = RunConfig {
            finetuning_type: FinetuningType::Full,
            val_size: 0.0,
            per_device_eval_batch_size: 4,
            ..tiny::config()
        };
        let mut desk = Desk::with(choice, tiny::model_files(), tiny::rows(30));
        // A few steps, so that some tokens are foretold.
        desk.train(config.clone());
        desk.ask(Command::ExportAdapter, Vec::new());
        let scored = block_on(desk.session.evaluate(&config, &mut |_, _| ())).expect("a score");

        let files = std::mem::take(&mut desk.exported).into_iter();
        let files = files
            .map(|(name, bytes)| MemoryFile::source(name, bytes) as Source)
            .chain(
                tiny::model_files()
                    .into_iter()
                    .filter(|file| file.name().starts_with("tokenizer")),
            );
        let files = block_on(ModelFiles::open(files.collect())).expect("the trained model");
        let (device, _) = block_on(device::open(choice)).expect("a device");
        let model = block_on(Model::load(&files, false, 0, &device, &mut |_, _| ())).expect("the trained model");
        let rows = block_on(read_all(tiny::rows(30).as_ref(), 1 << 20)).expect("in memory");
        let dataset = Dataset::parse("rows.jsonl", &rows).expect("rows");
        let (settings, tokenizer) = (
            Settings::new(&config, &dataset, config.cutoff_len),
            files.tokenizer.as_ref().expect("a tokenizer"),
        );
        let examples = examples(&dataset, tokenizer, &settings).expect("examples");
        let (mut hits, mut targets) = (0, 0);
        for example in &examples.items {
            let batch = collate(&[example], 1, PaddingSide::Right, |longest| longest.next_multiple_of(8));
            let logits = model.logits(&model.parameters.plain(), &batch);
            let [_, width] = logits.dims();
            let logits = block_on(read(logits.flatten(0, 1))).expect("logits");
            let largest = |row: &[f32]| {
                (0..width)
                    .max_by(|a, b| row[*a].total_cmp(&row[*b]))
                    .map(|place| place as i32)
            };
            for (row, label) in logits.chunks(width).zip(batch.labels.iter().skip(1)) {
                targets += u64::from(*label >= 0);
                hits += u64::from(*label >= 0 && largest(row) == Some(*label));
            }
        }
        assert_eq!(scored.tokens, targets);
        assert_eq!(metric(&scored, "token_accuracy"), hits as f64 / targets as f64);
        assert!(0 < hits && hits < targets, "{hits} of {targets}");
    }
}

#[test]
fn answers_of_an_encoder_decoder_are_compared_too_and_no_rows_are_no_report() {
    let rows = (0..40).map(|i| format!("{{\"prompt\":\"ab {i}\",\"completion\":\"cde\"}}\n"));
    let rows = || MemoryFile::source("rows.jsonl", rows.clone().collect::<String>().into_bytes());
    let config = |val_size| RunConfig {
        finetuning_type: FinetuningType::Full,
        max_steps: 20,
        val_size,
        ..tiny::config()
    };
    let mut desk = Desk::with(DeviceChoice::Cpu, tiny::t5_files(), rows());
    desk.train(config(12.0));
    let report = report(&desk);
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence);
    let mut desk = Desk::with(DeviceChoice::Cpu, tiny::t5_files(), rows());
    desk.train(config(0.0));
    assert!(desk.summary().finished);
    let is_report = |event: &Event| matches!(event, Event::Report(_) | Event::Baseline { .. });
    assert!(!desk.events.iter().any(is_report));
}

/// What the trained model answers to texts, value by value.
fn asked(desk: &mut Desk, config: RunConfig, texts: &[&[&str]]) -> Vec<(String, Vec<(String, f64)>)> {
    let texts = texts
        .iter()
        .map(|texts| texts.iter().map(ToString::to_string).collect());
    let command = Command::Predict {
        config: Box::new(config),
        texts: texts.collect(),
    };
    desk.ask(command, Vec::new());
    let Some(Event::Predicted { answers, .. }) = desk.events.last() else {
        panic!("no answer: {:?}", desk.events.last())
    };
    let values = |values: &[Metric]| values.iter().map(|value| (value.name.clone(), value.value)).collect();
    answers
        .iter()
        .map(|one| (one.text.clone(), values(&one.values)))
        .collect()
}

#[test]
fn typed_texts_are_answered_as_rows_are() {
    let of = |task| RunConfig {
        task: Some(task),
        // Columns of the file that was trained on are none of typed texts.
        text_columns: vec!["text".into()],
        ..config()
    };
    let mut desk = bert(classes(260));
    desk.train(config());
    let answers = asked(&mut desk, of(Task::Classification), &[&["acdea"], &["  "], &["afgcb"]]);
    let best: Vec<(&str, &str)> = answers
        .iter()
        .map(|(text, values)| (text.as_str(), values[0].0.as_str()))
        .collect();
    assert_eq!(best, [("acdea", "same"), ("afgcb", "other")]);
    for (_, values) in &answers {
        assert!((values.iter().map(|value| value.1).sum::<f64>() - 1.0).abs() < 1e-6 && values[0].1 > 0.5);
    }
    desk.ask(
        Command::Predict {
            config: Box::new(of(Task::Classification)),
            texts: vec![vec![" ".into()]],
        },
        Vec::new(),
    );
    assert!(failure(&desk).what.contains("no text"), "{}", failure(&desk));

    let mut desk = bert(graded(160));
    desk.train(RunConfig {
        max_steps: 300,
        eval_steps: 0.0,
        val_size: 20.0,
        ..config()
    });
    let answers = asked(&mut desk, of(Task::Ranking), &[&["acde", "bcd", "acd", "bfg"]]);
    assert_eq!((answers.len(), answers[0].0.as_str()), (3, "acd"), "{answers:?}");
    assert!(answers[0].1[0].1 > answers[1].1[0].1 && answers[1].1[0].1 >= answers[2].1[0].1);

    let rows = pairs_of_letters(160).into_iter();
    let data = table(
        "text,price",
        rows.map(|(text, same)| format!("{text},{}.5", 100 + 400 * u32::from(same))),
    );
    let price = RunConfig {
        label_columns: vec!["price".into()],
        ..config()
    };
    let mut desk = bert(data);
    desk.train(price.clone());
    let asked = asked(
        &mut desk,
        RunConfig {
            task: Some(Task::Regression),
            ..price
        },
        &[&["acdea"], &["afgcb"]],
    );
    let value = |at: usize| asked[at].1[0].1;
    assert_eq!(asked[0].1[0].0, "price");
    assert!(
        value(0) > 350.0 && value(1) < 250.0,
        "in the unit of the targets: {asked:?}"
    );
}

#[test]
fn a_preview_says_which_task_was_found_and_how_many_rows_each_label_has() {
    let mut desk = bert(classes(260));
    let preview = |desk: &mut Desk, config: RunConfig| {
        desk.ask(
            Command::Preview {
                config: Box::new(config),
            },
            Vec::new(),
        );
        match desk.events.last() {
            Some(Event::Preview {
                examples,
                outlook,
                problem,
                ..
            }) => (examples.clone(), outlook.clone(), problem.clone()),
            other => panic!("no preview: {other:?}"),
        }
    };
    let (examples, outlook, problem) = preview(&mut desk, config());
    let outlook = outlook.expect("a run can be made");
    assert!(problem.is_none());
    assert_eq!(
        (outlook.task, outlook.loss.as_str()),
        (Task::Classification, "cross_entropy")
    );
    assert_eq!(outlook.metric, "accuracy");
    assert!(outlook.notes[0].contains("a column 'label'"), "{:?}", outlook.notes);
    assert_eq!(outlook.labels.iter().map(|(_, rows)| rows).sum::<u64>(), 260);
    assert!(outlook.labels[0].1 >= outlook.labels[1].1);
    let (first, same) = &pairs_of_letters(1)[0];
    assert_eq!(examples[0].label, if *same { "same" } else { "other" });
    assert!(
        examples[0]
            .tokens
            .iter()
            .any(|(token, _)| first.contains(token.as_str()))
    );

    // An encoder cannot be trained to continue texts: the preview says so, and still shows what there is.
    let text = MemoryFile::source("words.txt", b"some words and more".to_vec());
    desk.ask(
        Command::LoadData {
            file: "words.txt".into(),
        },
        vec![text],
    );
    let (examples, outlook, problem) = preview(&mut desk, config());
    assert!(!examples.is_empty() && outlook.is_none());
    assert!(
        problem
            .expect("a reason")
            .what
            .contains("does not predict the next token")
    );
}

/// What a preview shows, and the most rows of which tokens were made for it.
fn previewed(desk: &mut Desk, config: &RunConfig) -> (Event, u64) {
    let config = Box::new(config.clone());
    let mut most = 0;
    desk.ask_and(Command::Preview { config }, Vec::new(), &mut |event, _| {
        if let Event::Progress { total, .. } = event {
            most = most.max(*total);
        }
    });
    (desk.events.last().cloned().expect("an answer"), most)
}

#[test]
fn a_preview_of_twenty_thousand_rows_makes_tokens_of_four_and_counts_the_labels_of_all() {
    const ROWS: usize = 20_000;
    let counted = |event: &Event| match event {
        Event::Preview {
            outlook: Some(outlook),
            examples,
            ..
        } if examples.len() == 4 => outlook.labels.iter().map(|(_, rows)| rows).sum::<u64>(),
        other => panic!("no preview: {other:?}"),
    };
    let mut desk = bert(classes(ROWS));
    let (shown, tokenized) = previewed(&mut desk, &config());
    assert_eq!((counted(&shown), tokenized), (ROWS as u64, 4));

    // Of the last word no token can be made: the preview does not look, the run does and leaves the row out.
    let row = |row: usize| match row {
        _ if row + 1 == ROWS => serde_json::json!({ "tokens": [""], "tags": ["x"] }),
        _ => serde_json::json!({ "tokens": ["ab", "cd"], "tags": ["x", "y"] }),
    };
    let mut desk = bert(lines((0..ROWS).map(row)));
    let (shown, tokenized) = previewed(&mut desk, &config());
    assert_eq!((counted(&shown), tokenized), (2 * ROWS as u64 - 1, 4));
    desk.train(RunConfig {
        max_steps: 1,
        ..config()
    });
    let said = format!("Row {ROWS} has no word with a class that the model reads");
    let is_said = |event: &Event| matches!(event, Event::Warning { message } if message.contains(&said));
    assert!(desk.events.iter().any(is_said), "{:?}", desk.events.last());
}

/// A model that can do the task, with these rows.
fn suited(task: Task, data: Source) -> Desk {
    match task {
        Task::Preference => Desk::with(DeviceChoice::Cpu, tiny::model_files(), data),
        _ => bert(data),
    }
}

#[test]
fn the_preview_of_a_long_file_is_that_of_its_start_whatever_the_task() {
    let letter = |row: usize| char::from(b'a' + (row % 20) as u8);
    let labelled = |row: usize| serde_json::json!({ "text": format!("ab{}", letter(row)), "label": letter(row % 2) });
    let several =
        |row: usize| serde_json::json!({ "text": format!("ab{}", letter(row)), "label": [letter(row % 2), "z"] });
    let tagged = |row: usize| serde_json::json!({ "tokens": ["ab", letter(row)], "tags": ["x", letter(row % 2)] });
    let priced = |row: usize| serde_json::json!({ "text": format!("ab{}", letter(row)), "score": row as f64 + 0.5 });
    let ranked = |row: usize| {
        let (query, grade) = (letter(row / 2), row % 2);
        serde_json::json!({ "query": query, "document": format!("d{}", letter(row)), "grade": grade })
    };
    // Every other query has no document that belongs to it.
    let found = |row: usize| serde_json::json!({ "query": letter(row), "document": "ab", "grade": row % 2 });
    let preferred = |row: usize| {
        let prompt = if row == 0 { "ab".repeat(40) } else { "ab".into() };
        serde_json::json!({ "prompt": prompt, "chosen": letter(row), "rejected": letter(row + 1) })
    };
    let alike = |row: usize| {
        let likeness = row as f64 / 64.0;
        serde_json::json!({ "sentence1": letter(row), "sentence2": "ab", "score": likeness })
    };
    let tasks: [(Task, &dyn Fn(usize) -> serde_json::Value); 8] = [
        (Task::Classification, &labelled),
        (Task::MultiLabel, &several),
        (Task::TokenClassification, &tagged),
        (Task::Regression, &priced),
        (Task::Ranking, &ranked),
        (Task::Embedding, &found),
        (Task::Embedding, &alike),
        (Task::Preference, &preferred),
    ];
    for (task, row) in tasks {
        let shown = |rows: usize| {
            let mut desk = suited(task, lines((0..rows).map(row)));
            let task = Some(task);
            match previewed(&mut desk, &RunConfig { task, ..config() }).0 {
                Event::Preview {
                    examples,
                    outlook: Some(outlook),
                    ..
                } => (examples, outlook.labels),
                other => panic!("{task:?}: {other:?}"),
            }
        };
        let ((start, few), (long, many)) = (shown(10), shown(60));
        assert_eq!((start.len(), &start), (4, &long), "{task:?}");
        let all = |labels: &[(String, u64)]| labels.iter().map(|(_, rows)| rows).sum::<u64>();
        assert_eq!(all(&many), 6 * all(&few), "{task:?}");
    }
}

#[test]
fn a_preview_finds_what_is_wrong_with_a_row_far_behind_those_that_it_shows() {
    const ROWS: usize = 40;
    let failed = |task: Task, good: serde_json::Value, bad: serde_json::Value| {
        let rows = (0..ROWS).map(|row| if row + 1 == ROWS { bad.clone() } else { good.clone() });
        let mut desk = suited(task, lines(rows));
        let task = Some(task);
        match previewed(&mut desk, &RunConfig { task, ..config() }).0 {
            Event::Failed(error) => assert_eq!(error.row, Some(ROWS), "{error}"),
            other => panic!("no error: {other:?}"),
        }
    };
    let preferred = |rejected: &str| serde_json::json!({ "prompt": "a", "chosen": "b", "rejected": rejected });
    failed(Task::Preference, preferred("c"), preferred("b"));
    let alike = |likeness: f64| serde_json::json!({ "sentence1": "a", "sentence2": "b", "score": likeness });
    failed(Task::Embedding, alike(0.5), alike(2.0));
    let priced = |price: &str| serde_json::json!({ "text": "a", "score": price });
    failed(Task::Regression, priced("1.5"), priced("many"));
}

#[test]
fn a_validation_file_is_scored_in_place_of_a_split_until_it_is_taken_away() {
    let mut desk = bert(classes(60));
    let config = || RunConfig {
        max_steps: 2,
        val_size: 10.0,
        ..config()
    };
    let give = |desk: &mut Desk, name: &str, text: &str| {
        let file = Some(name.to_owned());
        let source = MemoryFile::source(name, text.as_bytes().to_vec());
        desk.ask(Command::LoadValidation { file }, vec![source]);
    };
    let split = |desk: &mut Desk| {
        desk.train(config());
        (started(desk).train_examples, started(desk).eval_examples)
    };
    assert_eq!(split(&mut desk), (50, 10));
    give(
        &mut desk,
        "held.csv",
        "text,label\nabcda,same\nabcdb,other\nbcdeb,same\n",
    );
    let told = desk.events.last().cloned();
    assert!(
        matches!(&told, Some(Event::Validation { data: Some(data) }) if data.name == "held.csv" && data.rows == 3),
        "{told:?}"
    );
    assert_eq!(split(&mut desk), (60, 3));
    // Other training data leaves it where it is.
    let file = "rows.csv".to_owned();
    desk.ask(Command::LoadData { file }, vec![classes(40)]);
    assert_eq!(split(&mut desk), (40, 3));

    // What does not go with the training data is said by the preview already, with its file and row.
    let problem = |desk: &mut Desk| match previewed(desk, &config()).0 {
        Event::Preview { validation_problem, .. } => validation_problem,
        other => panic!("no preview: {other:?}"),
    };
    assert_eq!(problem(&mut desk), None);
    give(&mut desk, "other.csv", "text,label\nabcda,same\nabcdb,new\n");
    let error = problem(&mut desk).expect("a class that is not learnt");
    assert_eq!(
        (error.file.as_deref(), error.row),
        (Some("other.csv"), Some(3)),
        "{error}"
    );
    give(&mut desk, "words.txt", "some words");
    let error = problem(&mut desk).expect("a text has no labels");
    assert_eq!(error.file.as_deref(), Some("words.txt"), "{error}");

    // A file that cannot be read takes the old one's place, and leaves none.
    give(&mut desk, "empty.csv", "");
    assert_eq!(failure(&desk).file.as_deref(), Some("empty.csv"));
    assert_eq!(split(&mut desk), (30, 10));
    give(&mut desk, "held.csv", "text,label\nabcda,same\n");
    desk.ask(Command::LoadValidation { file: None }, Vec::new());
    assert!(matches!(desk.events.last(), Some(Event::Validation { data: None })));
    assert_eq!(split(&mut desk), (30, 10));
}

#[test]
fn words_to_be_scored_need_their_classes() {
    let row = || serde_json::json!({ "tokens": ["ab", "cd"], "tags": ["x", "y"] });
    let mut desk = bert(lines((0..8).map(|_| row())));
    let words = lines([serde_json::json!({ "tokens": ["ab", "cd"] })].into_iter());
    let file = Some(words.name().to_owned());
    desk.ask(Command::LoadValidation { file }, vec![words]);
    desk.train(config());
    let error = failure(&desk);
    assert!(error.what.contains("the words' classes"), "{error}");
}
