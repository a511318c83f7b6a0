//! Typed texts, which a trained model is asked about.

use super::{bert, config};
use lorakeet_core::{
    config::RunConfig,
    protocol::{Command, Event, Metric},
    task::Task,
};
use lorakeet_tests::{
    rows::{classes, graded, pairs_of_letters, table},
    test_session::{TestSession, failure},
};

/// What the trained model answers to texts, value by value.
fn asked(session: &mut TestSession, config: RunConfig, texts: &[&[&str]]) -> Vec<(String, Vec<(String, f64)>)> {
    let texts = texts
        .iter()
        .map(|texts| texts.iter().map(ToString::to_string).collect());
    let command = Command::Predict {
        config: Box::new(config),
        texts: texts.collect(),
        strength: 1.0,
    };
    session.ask(command, Vec::new());
    let Some(Event::Predicted { answers, .. }) = session.events.last() else {
        panic!("no answer: {:?}", session.events.last())
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
    let mut session = bert(classes(260));
    session.train(config());
    let answers = asked(
        &mut session,
        of(Task::Classification),
        &[&["acdea"], &["  "], &["afgcb"]],
    );
    let best: Vec<(&str, &str)> = answers
        .iter()
        .map(|(text, values)| (text.as_str(), values[0].0.as_str()))
        .collect();
    assert_eq!(best, [("acdea", "same"), ("afgcb", "other")]);
    for (_, values) in &answers {
        assert!((values.iter().map(|value| value.1).sum::<f64>() - 1.0).abs() < 1e-6 && values[0].1 > 0.5);
    }
    session.ask(
        Command::Predict {
            config: Box::new(of(Task::Classification)),
            texts: vec![vec![" ".into()]],
            strength: 1.0,
        },
        Vec::new(),
    );
    assert!(
        failure(&session).what.english().contains("no text"),
        "{}",
        failure(&session)
    );

    let mut session = bert(graded(160));
    session.train(RunConfig {
        max_steps: 300,
        eval_steps: 0.0,
        val_size: 20.0,
        ..config()
    });
    let answers = asked(&mut session, of(Task::Ranking), &[&["acde", "bcd", "acd", "bfg"]]);
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
    let mut session = bert(data);
    session.train(price.clone());
    let asked = asked(
        &mut session,
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
