//! Texts that go on: what is compared with the base model, and answers written before and after.

use super::{config, predictions};
use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    data::{Dataset, PaddingSide, Settings, collate},
    device,
    formats::ModelFiles,
    models::{Model, read},
    protocol::{Baseline, Command, DeviceChoice, Event, Verdict},
    store::{MemoryFile, MemorySink, Source, read_all},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::classes,
    test_session::{TestSession, checkpoint, examples, failure, find, metric, report, started, value},
    tiny,
};
use std::rc::Rc;

#[test]
fn a_text_beside_a_label_can_still_be_trained_on_as_text() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), classes(40));
    session.train(RunConfig {
        task: Some(Task::Generation),
        max_steps: 2,
        val_size: 1.0,
        ..config()
    });
    assert!(session.summary().finished, "{:?}", session.events.last());
    assert_eq!(started(&session).task, Task::Generation);
}

fn baselines(session: &TestSession) -> Vec<Baseline> {
    find(session, |event| match event {
        Event::Baseline { scores } => Some(scores.clone()),
        _ => None,
    })
}

#[test]
fn a_run_on_texts_is_compared_with_the_base_model() {
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
        let mut session = TestSession::with(device, files(), tiny::rows(60));
        let sink = Rc::new(MemorySink::new());
        session.inner.sink = Some(sink.clone());
        session.train(config());
        let (summary, report) = (session.summary(), report(&session));
        let comparison = report.comparison.expect("two scores");
        assert_eq!((report.task, report.metric.as_str()), (Task::Generation, "loss"));
        assert_eq!(comparison.rows, 12);
        let near = |a: f64, b: Option<f64>| (a - b.expect("a loss")).abs() < 1e-9;
        assert!(near(comparison.before, summary.eval_loss_before), "{comparison:?}");
        assert!(near(comparison.after, summary.eval_loss_after), "{comparison:?}");
        assert!(comparison.low <= comparison.difference && comparison.difference <= comparison.high);
        assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());
        assert_eq!(report.baselines, baselines(&session));
        assert_eq!(report.against, "base model");
        let names = report.metrics.iter().map(|metric| metric.name.as_str());
        assert_eq!(names.collect::<Vec<_>>(), ["loss", "perplexity", "token_accuracy"]);
        let perplexity = format!(
            "perplexity {:.2} against {:.2}",
            comparison.after.exp(),
            comparison.before.exp()
        );
        let start = "Significant improvement over the base model: ";
        assert!(
            report.sentence.english().starts_with(&format!("{start}{perplexity}")),
            "{}",
            report.sentence.english()
        );

        // A run that goes on says the same at its end.
        let mut resumed = TestSession::with(device, files(), tiny::rows(60));
        resumed.inner.resume = Some(checkpoint(&sink, 12));
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
        let mut session = TestSession::with(device, files(), questions());
        let sink = Rc::new(MemorySink::new());
        session.inner.sink = Some(sink.clone());
        session.train(config());
        let report = report(&session);
        let names: Vec<&str> = report.metrics.iter().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names, ["loss", "perplexity", "token_accuracy", "rouge_l", "chrf"]);
        for name in ["token_accuracy", "rouge_l", "chrf"] {
            let before = value(&report.baselines[0].metrics, name);
            assert!(before < 0.6, "{name} before: {before}");
            assert_eq!(value(&report.metrics, name), 1.0, "{name} {:?}", predictions(&session));
        }
        let comparison = report.comparison.expect("two scores");
        assert_eq!((report.metric.as_str(), comparison.rows), ("rouge_l", 12));
        assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());
        let table = predictions(&session);
        assert_eq!(table.columns, ["row", "label", "prediction", "rouge_l", "text"]);
        assert_eq!(table.rows.len(), 12);
        assert_eq!(table.rows[0][2].trim(), "cd ef");
        assert!(table.rows[0][4].starts_with("say "), "{table:?}");
        assert_eq!(sink.files()["predictions.csv"], table.to_csv().into_bytes());

        // A run that goes on knows what was written before it.
        let mut resumed = TestSession::with(device, files(), questions());
        resumed.inner.resume = Some(checkpoint(&sink, 20));
        resumed.train(config());
        assert_eq!(self::report(&resumed), report);
    }
}

#[test]
fn every_row_is_answered_in_writing_where_rows_are_predicted() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), questions());
    let config = RunConfig {
        max_predict_samples: None,
        max_new_tokens: 4,
        ..tiny::config()
    };
    let (table, info) = block_on(session.inner.predict(&config, &mut |_, _| ())).expect("answers");
    assert_eq!(table.rows.len(), 40);
    assert!(table.rows.iter().all(|row| row[2].chars().count() <= 4), "{table:?}");
    let info = info.expect("the answers are known");
    assert!(metric(&info, "chrf") < 0.5 && info.loss > 1.0, "{info:?}");
}

#[test]
fn who_asks_for_written_answers_is_told_what_they_need() {
    let refused = |data: Source, config: RunConfig| {
        let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), data);
        session.train(config);
        failure(&session)
    };
    let metric = RunConfig {
        predict_with_generate: false,
        metric_for_best_model: Some("eval_chrf".into()),
        ..writing()
    };
    let error = refused(questions(), metric);
    assert_eq!(error.field_name(), Some("metric_for_best_model"));
    assert!(
        error
            .remedy
            .expect("a way out")
            .english()
            .contains("predict_with_generate: true")
    );
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
        assert_eq!(refused(data, config).field_name(), Some("predict_with_generate"));
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
        let mut session = TestSession::with(choice, tiny::model_files(), tiny::rows(30));
        // A few steps, so that some tokens are foretold.
        session.train(config.clone());
        session.ask(Command::ExportAdapter, Vec::new());
        let scored = block_on(session.inner.evaluate(&config, &mut |_, _| ())).expect("a score");

        let files = std::mem::take(&mut session.exported).into_iter();
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
