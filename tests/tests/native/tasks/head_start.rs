//! `head_init: probe`: a run begins where the linear probe stands, goes on from there, or keeps the probe as it is.

use super::{bert, config, predictions, reloaded};
use lorakeet_core::{
    config::{FinetuningType, HeadInit, HeadPooling, RunConfig},
    protocol::{Baseline, BaselineKind, Command, DeviceChoice, Event, Report},
    store::{MemoryFile, MemorySink, Source},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::{classes, graded, pairs_of_letters, prices, table},
    test_session::{TestSession, checkpoint, failure, metric, report, value},
    tiny,
};
use safetensors::SafeTensors;
use serde_json::json;
use std::rc::Rc;

fn probe() -> RunConfig {
    RunConfig {
        head_init: HeadInit::Probe,
        max_steps: 2,
        ..config()
    }
}

/// Texts whose class is whether they have a c: the sum of their letters tells it.
fn with_c(rows: usize) -> Source {
    let name = |text: &str| if text.contains('c') { "with" } else { "without" };
    let rows = pairs_of_letters(rows).into_iter();
    table("text,label", rows.map(|(text, _)| format!("{text},{}", name(&text))))
}

/// Texts with a flag for each of three letters.
fn flags(rows: usize) -> Source {
    let row = |(text, _): (String, bool)| {
        let [a, c, g] = ["a", "c", "g"].map(|letter| u8::from(text.contains(letter)));
        format!("{text},{a},{c},{g}")
    };
    table("text,has a,has c,has g", pairs_of_letters(rows).into_iter().map(row))
}

fn of_labels() -> RunConfig {
    RunConfig {
        label_columns: ["has a", "has c", "has g"].map(str::to_owned).to_vec(),
        ..probe()
    }
}

fn of_prices() -> RunConfig {
    RunConfig {
        label_columns: vec!["price".into()],
        ..probe()
    }
}

fn of_probe(report: &Report) -> Baseline {
    let mut baselines = report.baselines.iter();
    let found = baselines.find(|baseline| baseline.kind == BaselineKind::LinearProbe);
    found.expect("a linear probe").clone()
}

fn notes(session: &TestSession) -> Vec<String> {
    let notes = session.events.iter().filter_map(|event| match event {
        Event::Warning { message } => Some(message.english()),
        _ => None,
    });
    notes.collect()
}

fn says(session: &TestSession, words: &str) -> bool {
    notes(session).iter().any(|note| note.contains(words))
}

#[test]
fn the_score_before_the_first_step_is_the_probes() {
    let cls = |config: RunConfig| RunConfig {
        classifier_pooling: Some(HeadPooling::Cls),
        ..config
    };
    type Files = fn() -> Vec<Source>;
    let cases: [(Files, Source, RunConfig, &[&str]); 7] = [
        (tiny::bert_files, with_c(260), probe(), &["accuracy", "f1_macro"]),
        (tiny::model_files, with_c(260), probe(), &["accuracy", "f1_macro"]),
        // The last token, by a linear without a bias.
        (tiny::model_files, with_c(260), cls(probe()), &["accuracy", "f1_macro"]),
        (tiny::bert_files, flags(260), of_labels(), &["f1_micro", "exact_match"]),
        (
            tiny::model_files,
            flags(260),
            cls(of_labels()),
            &["f1_micro", "exact_match"],
        ),
        (tiny::bert_files, prices(260), of_prices(), &["rmse"]),
        (tiny::model_files, prices(260), cls(of_prices()), &["rmse"]),
    ];
    for (files, data, config, names) in cases {
        let mut session = TestSession::with(DeviceChoice::Cpu, files(), data);
        session.train(config.clone());
        assert!(session.summary().finished);
        assert!(says(&session, "starts from a linear probe that was fitted to 200"));
        let (before, probe) = (session.evals()[0].clone(), of_probe(&report(&session)));
        for name in names {
            let (before, probe) = (metric(&before, name), value(&probe.metrics, name));
            let is_near = (before - probe).abs() <= 1e-3 * probe.abs();
            assert!(
                is_near,
                "{name} of {:?}: {before}, and the probe {probe}",
                config.label_columns
            );
        }
    }
}

#[test]
fn the_probe_is_as_sure_as_it_is_right() {
    let mut session = bert(with_c(260));
    session.train(probe());
    let start = session.evals()[0].clone();
    let mut other = bert(with_c(260));
    other.train(RunConfig {
        head_init: HeadInit::Random,
        ..probe()
    });
    assert!(metric(&start, "accuracy") > 0.75, "{start:?}");
    let random = other.evals()[0].clone();
    assert!(start.loss < 0.6 && start.loss < random.loss, "{start:?} {random:?}");
    assert!(metric(&start, "ece") < 0.2, "{start:?}");
}

#[test]
fn every_weight_is_trained_from_the_probe_too() {
    let mut session = bert(with_c(260));
    session.train(RunConfig {
        finetuning_type: FinetuningType::Full,
        learning_rate: 1e-4,
        ..probe()
    });
    assert!(session.summary().finished);
    let (before, probe) = (session.evals()[0].clone(), of_probe(&report(&session)));
    assert_eq!(metric(&before, "accuracy"), value(&probe.metrics, "accuracy"));
}

#[test]
fn a_run_that_goes_on_fits_no_head_and_has_the_same_numbers() {
    let config = || RunConfig {
        max_steps: 12,
        save_steps: 5.0,
        lora_dropout: 0.1,
        val_size: 20.0,
        ..probe()
    };
    let mut whole = bert(with_c(80));
    let sink = Rc::new(MemorySink::new());
    whole.inner.sink = Some(sink.clone());
    whole.train(config());
    let mut resumed = bert(with_c(80));
    resumed.inner.resume = Some(checkpoint(&sink, 5));
    resumed.train(config());
    assert_eq!(resumed.numbers(), whole.numbers()[5..], "steps 6 to 12");
    assert_eq!(resumed.summary(), whole.summary());
    assert_eq!(report(&resumed), report(&whole));
    assert!(says(&whole, "starts from a linear probe") && !says(&resumed, "starts from a linear probe"));

    // It is another run where the head began otherwise.
    let mut random = bert(with_c(80));
    random.inner.resume = Some(checkpoint(&sink, 5));
    random.train(RunConfig {
        head_init: HeadInit::Random,
        ..config()
    });
    assert!(failure(&random).to_string().contains("head_init"));
}

#[test]
fn without_steps_the_probe_is_the_model_that_is_exported_and_asked() {
    let kept = |kind: FinetuningType| RunConfig {
        max_steps: 0,
        finetuning_type: kind,
        ..probe()
    };
    let mut session = bert(with_c(260));
    let sink = Rc::new(MemorySink::new());
    session.inner.sink = Some(sink.clone());
    session.train(kept(FinetuningType::Lora));
    let summary = session.summary();
    assert!(summary.finished && summary.steps == 0 && session.steps().is_empty());
    let (report, predicted) = (report(&session), predictions(&session));
    let accuracy = value(&report.metrics, "accuracy");
    assert_eq!(accuracy, value(&of_probe(&report).metrics, "accuracy"));
    assert!(accuracy > 0.75 && predicted.rows.len() == 60, "{accuracy}");
    assert!(
        !report.sentence.english().contains("max_steps"),
        "{:?}",
        report.sentence
    );
    assert!(sink.files().contains_key("adapter_model.safetensors"));

    let score = |session: &mut TestSession| {
        block_on(session.inner.evaluate(&kept(FinetuningType::Lora), &mut |_, _| ())).expect("a score")
    };
    let mut other = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), with_c(260));
    let adapter = SafeTensors::deserialize(&session.exported["adapter_model.safetensors"]).expect("tensors");
    let head = adapter.tensor("base_model.model.classifier.weight").expect("the head");
    assert_eq!(head.shape(), [2, 32]);
    let again = score(&mut other);
    assert_eq!(score(&mut session), again);
    assert!(metric(&again, "accuracy") > 0.75);
    let rows = pairs_of_letters(20).into_iter();
    let mut asked = reloaded(
        &mut session,
        DeviceChoice::Cpu,
        tiny::bert_files(),
        table("text", rows.map(|(text, _)| text)),
    );
    let (answers, _) = block_on(asked.inner.predict(&config(), &mut |_, _| ())).expect("answers");
    let right = answers
        .rows
        .iter()
        .zip(pairs_of_letters(20))
        .filter(|(row, (text, _))| {
            let wanted = if text.contains('c') { "with" } else { "without" };
            row[2] == wanted
        });
    assert!(right.count() >= 15, "{answers:?}");

    // And improved on.
    other.train(RunConfig {
        max_steps: 2,
        ..config()
    });
    assert!(other.summary().finished);
    assert!(metric(&other.evals()[0], "accuracy") > 0.75, "it starts where it was");

    let mut whole = bert(with_c(260));
    whole.train(kept(FinetuningType::Full));
    whole.ask(Command::ExportAdapter, Vec::new());
    let files = whole.exported.iter();
    let files = files.map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let mut loaded = TestSession::with(DeviceChoice::Cpu, files.collect(), with_c(260));
    assert_eq!(score(&mut whole), score(&mut loaded));
}

#[test]
fn where_no_probe_can_be_had_the_start_is_refused_with_the_way_out() {
    let refused = |mut session: TestSession, config: RunConfig| {
        session.train(config);
        let error = failure(&session);
        assert_eq!(error.field_name(), Some("head_init"), "{error}");
        assert!(error.remedy.is_some(), "{error}");
        error.to_string()
    };
    let ranking = RunConfig {
        task: Some(Task::Ranking),
        ..probe()
    };
    assert!(refused(bert(graded(40)), ranking).contains("ranking"));
    let small = RunConfig {
        model_name_or_path: "small_mlp".into(),
        finetuning_type: FinetuningType::Full,
        ..probe()
    };
    let numbers = table("x,y,label", (0..80).map(|i| format!("{i},{},{}", i % 7, i % 2)));
    assert!(refused(TestSession::small("small_mlp", vec![numbers]), small).contains("random weights"));
    // This model has no pooler.
    let cls = RunConfig {
        classifier_pooling: Some(HeadPooling::Cls),
        ..probe()
    };
    assert!(refused(bert(with_c(80)), cls).contains("classifier_pooling: mean"));
    let mut session = bert(with_c(80));
    session.train(RunConfig {
        max_steps: 1,
        val_size: 10.0,
        ..config()
    });
    let own = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), with_c(80));
    assert!(refused(own, probe()).contains("trained head"));
    // Settings alone.
    let hidden = RunConfig {
        classifier_hidden_size: 8,
        ..probe()
    };
    assert_eq!(
        hidden.validate().expect_err("it is refused").field_name(),
        Some("head_init")
    );
    let no_steps = RunConfig {
        max_steps: 0,
        ..config()
    };
    let error = no_steps.validate().expect_err("it is refused");
    assert_eq!(error.field_name(), Some("max_steps"));
    assert!(error.to_string().contains("head_init: probe"), "{error}");
}

#[test]
fn a_run_that_the_probe_beats_says_how_to_take_the_probe() {
    // A head of random weights that hardly moves.
    let hardly = || RunConfig {
        max_steps: 1,
        learning_rate: 1e-9,
        ..config()
    };
    let mut session = bert(with_c(260));
    session.train(hardly());
    let said = report(&session).sentence.english();
    assert!(
        said.contains("head_init: probe") && said.contains("max_steps: 0"),
        "{said}"
    );
    assert!(!said.contains("classifier_pooling"), "{said}");
    let mut session = bert(with_c(260));
    session.train(RunConfig {
        classifier_pooling: Some(HeadPooling::Cls),
        ..hardly()
    });
    let said = report(&session).sentence.english();
    assert!(said.contains("classifier_pooling: mean"), "{said}");
    // Nothing of it where tuning is better.
    let mut session = bert(classes(260));
    session.train(config());
    let said = report(&session).sentence.english();
    assert!(!said.contains("head_init"), "{said}");
}

#[test]
fn the_head_on_a_sentence_encoder_reads_what_its_folder_says() {
    let with = |mode: Option<&str>, wanted: Option<HeadPooling>| {
        let mut files = tiny::bert_files();
        if let Some(mode) = mode {
            let kind = |path: &str, name: &str| {
                let kind = format!("sentence_transformers.models.{name}");
                json!({ "path": path, "type": kind })
            };
            let list = json!([kind("", "Transformer"), kind("1_Pooling", "Pooling")]);
            let config = json!({ "pooling_mode": mode });
            files.push(MemoryFile::source("modules.json", list.to_string().into_bytes()));
            files.push(MemoryFile::source("config.json", config.to_string().into_bytes()));
        }
        let mut session = TestSession::with(DeviceChoice::Cpu, files, with_c(80));
        session.train(RunConfig {
            max_steps: 1,
            val_size: 10.0,
            classifier_pooling: wanted,
            ..config()
        });
        assert!(session.summary().finished);
        let said = says(&session, "modules.json");
        session.ask(Command::ExportAdapter, Vec::new());
        let saved = String::from_utf8(session.exported["config.json"].clone()).expect("text");
        (said, saved.contains("\"classifier_pooling\": \"mean\""))
    };
    assert_eq!(with(Some("mean"), None), (true, true));
    assert_eq!(with(Some("mean"), Some(HeadPooling::Cls)), (false, false));
    assert_eq!(with(Some("mean"), Some(HeadPooling::Mean)), (false, true));
    // Of others the head is the architecture's.
    for mode in [None, Some("cls"), Some("weightedmean")] {
        assert!(!with(mode, None).1, "{mode:?}");
    }
}
