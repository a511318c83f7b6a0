//! What a head may have between the model and its outputs: a hidden layer, dropout, the mean of the tokens.

use super::{bert, config, reloaded, scored};
use lorakeet_core::{
    config::{HeadActivation, HeadPooling, RunConfig},
    protocol::{Command, DeviceChoice, Event},
    store::{MemoryFile, MemorySink, Source},
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    rows::{classes, pairs_of_letters, table},
    test_session::{TestSession, checkpoint, failure, metric},
    tiny,
};
use safetensors::SafeTensors;
use std::rc::Rc;

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
        let run = |seed: u64, dropout: f64| {
            let mut session = TestSession::with(DeviceChoice::Cpu, files(), classes(260));
            session.train(RunConfig {
                seed,
                classifier_dropout: dropout,
                ..with_hidden(24, HeadActivation::Tanh)
            });
            assert!(session.summary().finished);
            session
        };
        let mut session = run(42, 0.1);
        assert_eq!(session.numbers(), run(42, 0.1).numbers(), "one seed, one run");
        assert_ne!(session.numbers(), run(42, 0.0).numbers(), "dropout acts");
        // That two letters are the same is not found from every start, and CPUs add in different orders.
        let learns = |session: &TestSession| metric(session.evals().last().expect("a score"), "accuracy") > 0.9;
        let mut seeds = 43..48;
        while !learns(&session) {
            session = run(seeds.next().expect("a start from which it is found"), 0.1);
        }

        let mut other = reloaded(&mut session, DeviceChoice::Cpu, files(), classes(260));
        let adapter = SafeTensors::deserialize(&session.exported["adapter_model.safetensors"]).expect("tensors");
        let head = ["classifier", "score"].into_iter().find_map(|head| {
            let layer = |part: &str| adapter.tensor(&format!("base_model.model.{head}.{part}"));
            Some([
                layer("hidden.weight").ok()?.shape().to_vec(),
                layer("out.weight").ok()?.shape().to_vec(),
            ])
        });
        assert_eq!(head, Some([vec![24, 32], vec![2, 24]]), "{:?}", adapter.names());
        let saved = String::from_utf8(session.exported["adapter_config.json"].clone()).expect("text");
        assert!(saved.contains("modules_to_save"), "{saved}");
        assert_eq!(scored(&mut session), scored(&mut other));
        let (table, _) = block_on(other.inner.predict(&config(), &mut |_, _| ())).expect("answers");
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
        assert_eq!(error.field_name(), Some("classifier_pooling"), "{error}");
        for (size, activation, key) in [
            (8, HeadActivation::Tanh, "classifier_hidden_size"),
            (24, HeadActivation::Relu, "classifier_activation"),
        ] {
            other.train(short(size, activation));
            let error = failure(&other);
            assert_eq!(error.field_name(), Some(key), "{error}");
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
        let mut session = TestSession::with(DeviceChoice::Cpu, files(), classes(260));
        session.train(RunConfig {
            classifier_pooling: Some(HeadPooling::Mean),
            ..config()
        });
        assert!(session.summary().finished);
        let accuracy = metric(session.evals().last().expect("a score"), "accuracy");
        assert!(accuracy > 0.8, "{accuracy}");
        let mut other = reloaded(&mut session, DeviceChoice::Cpu, files(), classes(260));
        assert_eq!(scored(&mut session), scored(&mut other));
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
    let mut session = bert(classes(100));
    session.train(RunConfig {
        max_steps: 2,
        ..config()
    });
    let mut own = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), classes(100));
    own.train(RunConfig {
        max_steps: 2,
        ..with_hidden(8, HeadActivation::Relu)
    });
    let error = failure(&own);
    assert_eq!(error.field_name(), Some("classifier_hidden_size"), "{error}");
    assert!(error.to_string().contains("no hidden layer"), "{error}");
    let mut run = |dropout: f64| {
        let mut own = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), classes(100));
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
    whole.inner.sink = Some(sink.clone());
    whole.train(config());
    let mut resumed = bert(classes(80));
    resumed.inner.resume = Some(checkpoint(&sink, 3));
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
        let mut session = bert(data);
        session.train(RunConfig {
            task: Some(task),
            label_columns: labels,
            ..short()
        });
        assert!(session.summary().finished, "{task}");
        session.ask(Command::ExportAdapter, Vec::new());
        let adapter = SafeTensors::deserialize(&session.exported["adapter_model.safetensors"]).expect("tensors");
        let layer = adapter.tensor("base_model.model.classifier.hidden.weight");
        assert_eq!(layer.expect("a hidden layer").shape(), [6, 32], "{task}");
    }
    let mut texts = TestSession::open();
    texts.train(RunConfig {
        max_steps: 1,
        val_size: 4.0,
        ..with_hidden(6, HeadActivation::Gelu)
    });
    let said = |event: &Event| matches!(event, Event::Warning { message } if message.english().contains("classifier_hidden_size"));
    assert!(texts.summary().finished && texts.events.iter().any(said));
}
