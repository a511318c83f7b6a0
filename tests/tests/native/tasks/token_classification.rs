//! A class for each word.

use super::{bert, config, lines, predictions, reloaded, scored, to_beat};
use lorakeet_core::{
    config::RunConfig,
    protocol::{Command, DeviceChoice},
    random::Generator,
    task::Task,
};
use lorakeet_tests::{
    golden::block_on,
    test_session::{TestSession, failure, metric, report, started},
    tiny,
};

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
    let mut session = bert(data());
    session.train(config());
    assert!(session.summary().finished);
    assert_eq!(started(&session).task, Task::TokenClassification);
    let evals = session.evals();
    assert_eq!(evals[0].tokens, 30 * 6, "one label a word, whatever its tokens");
    let (f1, baseline) = (metric(&evals[2], "f1_macro"), to_beat(&report(&session), "f1_macro"));
    assert!(f1 > 0.8 && f1 > baseline + 0.2, "{f1} over {baseline}");
    assert_eq!(predictions(&session).rows.len(), 180);

    let mut other = reloaded(&mut session, DeviceChoice::Cpu, tiny::bert_files(), data());
    let adapter = String::from_utf8(session.exported["adapter_config.json"].clone()).expect("text");
    assert!(adapter.contains("TOKEN_CLS"), "{adapter}");
    assert_eq!(scored(&mut session), scored(&mut other));
    // Words without classes are answered as those with classes are.
    let words = || serde_json::json!({ "tokens": ["ab", "ab", "cd"] });
    let answers = |session: &mut TestSession| {
        let unlabelled = lines([words()].into_iter());
        let file = unlabelled.name().to_owned();
        session.ask(Command::LoadData { file }, vec![unlabelled]);
        let (table, score) = block_on(session.inner.predict(&config(), &mut |_, _| ())).expect("answers");
        assert!(score.is_none());
        table.rows
    };
    let rows = answers(&mut other);
    assert_eq!(rows, answers(&mut session));
    let classes: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
    assert_eq!(classes.len(), 3, "{rows:?}");
    assert!(classes.iter().all(|class| ["O", "AGAIN"].contains(class)), "{rows:?}");

    let wrong = [
        serde_json::json!({ "tokens": ["ab", "cd"], "ner_tags": ["O", "AGAIN"] }),
        serde_json::json!({ "tokens": ["ab", "cd"], "ner_tags": ["O"] }),
    ];
    let mut session = bert(lines(wrong.into_iter()));
    session.train(config());
    let error = failure(&session);
    assert_eq!((error.row, error.field_name()), (Some(2), Some("ner_tags")), "{error}");
}

#[test]
fn words_to_be_scored_need_their_classes() {
    let row = || serde_json::json!({ "tokens": ["ab", "cd"], "tags": ["x", "y"] });
    let mut session = bert(lines((0..8).map(|_| row())));
    let words = lines([serde_json::json!({ "tokens": ["ab", "cd"] })].into_iter());
    let file = Some(words.name().to_owned());
    session.ask(Command::LoadValidation { file }, vec![words]);
    session.train(config());
    let error = failure(&session);
    assert!(error.what.english().contains("the words' classes"), "{error}");
}
