//! Rows that do not fit the task.

use super::{bert, config};
use lorakeet_core::{config::RunConfig, error::Error, task::Task};
use lorakeet_tests::{
    golden::block_on,
    rows::{classes, table},
    test_session::failure,
};

#[test]
fn bad_rows_are_named_by_file_row_and_field() {
    let refused = |header: &str, rows: &[&str], config: RunConfig| {
        let mut session = bert(table(header, rows.iter().map(ToString::to_string)));
        session.train(config);
        failure(&session)
    };
    let place = |error: &Error| (error.file.clone(), error.row, error.field.clone());
    let at = |row, field: &str| (Some("rows.csv".to_owned()), Some(row), Some(field.into()));

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
    assert!(one.what.english().contains("nothing to learn"), "{one}");
    let absent = RunConfig {
        label_columns: vec!["gold".into()],
        ..config()
    };
    let absent = refused("text,label", &["ab,x", "cd,y"], absent);
    assert_eq!(absent.field_name(), Some("gold"), "{absent}");

    // A class that was never seen in training.
    let mut session = bert(classes(40));
    let validation = table(
        "text,label",
        ["abcda,same".to_owned(), "abcdb,new".to_owned()].into_iter(),
    );
    block_on(session.inner.load_validation(vec![validation])).expect("rows");
    session.train(config());
    let error = failure(&session);
    assert_eq!(place(&error), at(3, "label"), "{error}");
    assert!(
        error.what.english().contains("'new'") && error.what.english().contains("other, same"),
        "{error}"
    );
}
