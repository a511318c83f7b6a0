//! Texts as vectors: documents found for a query, and how alike two texts are.

use super::{bert, config, reloaded, scored, to_beat};
use lorakeet_core::{
    config::{HeadPooling, RunConfig},
    protocol::{DeviceChoice, Verdict},
    random::Generator,
    store::MemoryFile,
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::table,
    test_session::{TestSession, failure, metric, report, started},
    tiny,
};
use serde_json::json;

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
    let mut session = bert(data());
    session.train(RunConfig {
        val_size: 30.0,
        ..config()
    });
    assert!(session.summary().finished);
    let info = started(&session);
    assert_eq!((info.task, info.loss.as_str()), (Task::Embedding, "infonce"));
    let report = report(&session);
    let (ndcg, baseline) = (
        metric(&session.evals()[3], "ndcg_at_10"),
        to_beat(&report, "ndcg_at_10"),
    );
    assert!(ndcg > 0.7 && ndcg > baseline + 0.2, "{ndcg} over {baseline}");
    let names: Vec<&str> = report.baselines.iter().map(|baseline| baseline.name.as_str()).collect();
    assert_eq!(names, ["BM25", "base model"]);
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());
    let mut other = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), data());
    assert_eq!(scored(&mut session), scored(&mut other));

    let none = table(
        "query,document,grade",
        ["ab,cd,1".to_owned(), "ab,ef,many".to_owned()].into_iter(),
    );
    let mut session = bert(none);
    session.train(config());
    let error = failure(&session);
    let place = (error.file.as_deref(), error.row, error.field_name());
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
    let mut session = bert(data());
    session.train(of_pairs());
    assert!(session.summary().finished, "{:?}", session.events.last());
    let info = started(&session);
    assert_eq!((info.task, info.loss.as_str()), (Task::Embedding, "mse"));
    let report = report(&session);
    let names: Vec<&str> = report.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        (report.metric.as_str(), names.as_slice()),
        ("pearson", &["pearson", "spearman", "mse", "mae"][..])
    );
    let (pearson, baseline) = (metric(&session.evals()[3], "pearson"), to_beat(&report, "pearson"));
    assert!(pearson > 0.5 && pearson > baseline + 0.2, "{pearson} over {baseline}");
    assert_eq!(report.against, "base model");
    assert_eq!(report.verdict, Some(Verdict::Better), "{}", report.sentence.english());

    let rows = ["cd,hi,0.5".to_owned(), "cd,hi,4.5".to_owned()];
    let mut session = bert(table("sentence1,sentence2,score", rows.into_iter()));
    session.train(of_pairs());
    let error = failure(&session);
    let place = (error.file.as_deref(), error.row, error.field_name());
    assert_eq!(place, (Some("rows.csv"), Some(3), Some("score")), "{error}");
}

#[test]
fn vectors_are_pooled_as_the_models_folder_says() {
    let with = |pooling: Option<&str>, wanted: Option<HeadPooling>| {
        let mut files = tiny::bert_files();
        if let Some(mode) = pooling {
            let kinds = [
                ("", "Transformer"),
                ("1_Pooling", "Pooling"),
                ("2_Normalize", "Normalize"),
            ];
            let kind = |kind: &str| format!("sentence_transformers.models.{kind}");
            let list = kinds.map(|(path, name)| json!({ "path": path, "type": kind(name) }));
            let config = json!({ "pooling_mode": mode });
            files.push(MemoryFile::source("modules.json", json!(list).to_string().into_bytes()));
            files.push(MemoryFile::source("config.json", config.to_string().into_bytes()));
        }
        let rows = ["cde,hij,0.5", "cc,hh,1", "cdefg,c,0"].map(str::to_owned);
        let mut session = TestSession::with(
            DeviceChoice::Cpu,
            files,
            table("sentence1,sentence2,score", rows.into_iter()),
        );
        let of_pairs = RunConfig {
            task: Some(Task::Embedding),
            classifier_pooling: wanted,
            ..config()
        };
        let predicted = block_on(session.inner.predict(&of_pairs, &mut |_, _| ()));
        predicted.map(|(table, _)| table.rows)
    };
    let read = |pooling| with(pooling, None).expect("answers");
    let (plain, mean, cls, last) = (
        read(None),
        read(Some("mean")),
        read(Some("cls")),
        read(Some("lasttoken")),
    );
    assert_eq!(mean, plain);
    assert!(cls != mean && last != mean && cls != last, "{cls:?} {last:?} {mean:?}");
    // What the run sets comes first.
    for (mode, wanted, found) in [
        (Some("cls"), HeadPooling::Mean, &mean),
        (Some("weightedmean"), HeadPooling::Mean, &mean),
        (Some("mean"), HeadPooling::Cls, &cls),
        (None, HeadPooling::Cls, &cls),
    ] {
        assert_eq!(with(mode, Some(wanted)).as_ref(), Ok(found), "{mode:?}");
    }
    let error = with(Some("weightedmean"), None).expect_err("it is refused");
    assert_eq!(error.file.as_deref(), Some("1_Pooling/config.json"), "{error}");
    assert!(error.to_string().contains("weightedmean"), "{error}");
}
