//! What is said of rows before a run, and a file of rows of its own for validation.

use super::{bert, config, lines};
use lorakeet_core::{
    config::RunConfig,
    protocol::{ColumnRole, Command, DeviceChoice, Event, PreviewExample},
    store::{MemoryFile, Source},
    task::Task,
};
use lorakeet_tests::{
    rows::{classes, pairs_of_letters},
    test_session::{TestSession, failure, started},
    tiny,
};

#[test]
fn a_preview_says_which_task_was_found_and_how_many_rows_each_label_has() {
    let mut session = bert(classes(260));
    let preview = |session: &mut TestSession, config: RunConfig| {
        session.ask(
            Command::Preview {
                config: Box::new(config),
                after: 0,
            },
            Vec::new(),
        );
        match session.events.last() {
            Some(Event::Preview {
                examples,
                outlook,
                problem,
                ..
            }) => (examples.clone(), outlook.clone(), problem.clone()),
            other => panic!("no preview: {other:?}"),
        }
    };
    let (examples, outlook, problem) = preview(&mut session, config());
    let outlook = outlook.expect("a run can be made");
    assert!(problem.is_none());
    assert_eq!(
        (outlook.task, outlook.loss.as_str()),
        (Task::Classification, "cross_entropy")
    );
    assert_eq!(outlook.metric, "accuracy");
    assert!(
        outlook.notes[0].english().contains("a column 'label'"),
        "{:?}",
        outlook.notes
    );
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
    session.ask(
        Command::LoadData {
            file: "words.txt".into(),
        },
        vec![text],
    );
    let (examples, outlook, problem) = preview(&mut session, config());
    assert!(!examples.is_empty() && outlook.is_none());
    assert!(
        problem
            .expect("a reason")
            .what
            .english()
            .contains("does not predict the next token")
    );
}

/// What a preview shows, and the most rows of which tokens were made for it.
fn previewed(session: &mut TestSession, config: &RunConfig) -> (Event, u64) {
    let config = Box::new(config.clone());
    let mut most = 0;
    session.ask_and(Command::Preview { config, after: 0 }, Vec::new(), &mut |event, _| {
        if let Event::Progress { total, .. } = event {
            most = most.max(*total);
        }
    });
    (session.events.last().cloned().expect("an answer"), most)
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
    let mut session = bert(classes(ROWS));
    let (shown, tokenized) = previewed(&mut session, &config());
    assert_eq!((counted(&shown), tokenized), (ROWS as u64, 4));

    // Of the last word no token can be made: the preview does not look, the run does and leaves the row out.
    let row = |row: usize| match row {
        _ if row + 1 == ROWS => serde_json::json!({ "tokens": [""], "tags": ["x"] }),
        _ => serde_json::json!({ "tokens": ["ab", "cd"], "tags": ["x", "y"] }),
    };
    let mut session = bert(lines((0..ROWS).map(row)));
    let (shown, tokenized) = previewed(&mut session, &config());
    assert_eq!((counted(&shown), tokenized), (2 * ROWS as u64 - 1, 4));
    session.train(RunConfig {
        max_steps: 1,
        ..config()
    });
    let said = format!("Row {ROWS} has no word with a class that the model reads");
    let is_said = |event: &Event| matches!(event, Event::Warning { message } if message.english().contains(&said));
    assert!(session.events.iter().any(is_said), "{:?}", session.events.last());
}

/// A model that can do the task, with these rows.
fn suited(task: Task, data: Source) -> TestSession {
    match task {
        Task::Preference => TestSession::with(DeviceChoice::Cpu, tiny::model_files(), data),
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
            let mut session = suited(task, lines((0..rows).map(row)));
            let task = Some(task);
            match previewed(&mut session, &RunConfig { task, ..config() }).0 {
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
        let mut session = suited(task, lines(rows));
        let task = Some(task);
        match previewed(&mut session, &RunConfig { task, ..config() }).0 {
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
    let mut session = bert(classes(60));
    let config = || RunConfig {
        max_steps: 2,
        val_size: 10.0,
        ..config()
    };
    let give = |session: &mut TestSession, name: &str, text: &str| {
        let file = Some(name.to_owned());
        let source = MemoryFile::source(name, text.as_bytes().to_vec());
        session.ask(Command::LoadValidation { file }, vec![source]);
    };
    let split = |session: &mut TestSession| {
        session.train(config());
        (started(session).train_examples, started(session).eval_examples)
    };
    assert_eq!(split(&mut session), (50, 10));
    give(
        &mut session,
        "held.csv",
        "text,label\nabcda,same\nabcdb,other\nbcdeb,same\n",
    );
    let told = session.events.last().cloned();
    assert!(
        matches!(&told, Some(Event::Validation { data: Some(data) }) if data.name == "held.csv" && data.rows == 3),
        "{told:?}"
    );
    assert_eq!(split(&mut session), (60, 3));
    // Other training data leaves it where it is.
    let file = "rows.csv".to_owned();
    session.ask(Command::LoadData { file }, vec![classes(40)]);
    assert_eq!(split(&mut session), (40, 3));

    // What does not go with the training data is said by the preview already, with its file and row.
    let problem = |session: &mut TestSession| match previewed(session, &config()).0 {
        Event::Preview { validation_problem, .. } => validation_problem,
        other => panic!("no preview: {other:?}"),
    };
    assert_eq!(problem(&mut session), None);
    give(&mut session, "other.csv", "text,label\nabcda,same\nabcdb,new\n");
    let error = problem(&mut session).expect("a class that is not learnt");
    assert_eq!(
        (error.file.as_deref(), error.row),
        (Some("other.csv"), Some(3)),
        "{error}"
    );
    give(&mut session, "words.txt", "some words");
    let error = problem(&mut session).expect("a text has no labels");
    assert_eq!(error.file.as_deref(), Some("words.txt"), "{error}");

    // A file that cannot be read takes the old one's place, and leaves none.
    give(&mut session, "empty.csv", "");
    assert_eq!(failure(&session).file.as_deref(), Some("empty.csv"));
    assert_eq!(split(&mut session), (30, 10));
    give(&mut session, "held.csv", "text,label\nabcda,same\n");
    session.ask(Command::LoadValidation { file: None }, Vec::new());
    assert!(matches!(session.events.last(), Some(Event::Validation { data: None })));
    assert_eq!(split(&mut session), (30, 10));
}

/// Examples of a preview, how many rows come before them, and how many there are.
fn page(session: &mut TestSession, config: RunConfig, after: usize) -> (Vec<PreviewExample>, usize, usize) {
    let config = Box::new(config);
    session.ask(Command::Preview { config, after }, Vec::new());
    match session.events.last() {
        Some(Event::Preview {
            examples, after, total, ..
        }) => (examples.clone(), *after, *total),
        other => panic!("no preview: {other:?}"),
    }
}

#[test]
fn any_row_of_a_file_can_be_looked_at() {
    let mut session = bert(classes(30));
    let (first, ..) = page(&mut session, config(), 0);
    let (next, after, total) = page(&mut session, config(), 2);
    assert_eq!((after, total, next.len()), (2, 30, 4));
    assert_eq!(next[..2], first[2..]);
    let (last, after, _) = page(&mut session, config(), 28);
    assert_eq!((last.len(), after), (2, 28));
    // Behind the last row there is none: the last is shown.
    assert_eq!(page(&mut session, config(), 99).1, 29);

    let row = |row: u8| serde_json::json!({ "prompt": "say", "completion": format!("{} a", char::from(b'a' + row)) });
    let rows = lines((0..10).map(row));
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), rows);
    let (shown, after, total) = page(&mut session, config(), 8);
    assert_eq!((shown.len(), after, total), (2, 8, 10));
    assert_eq!((shown[0].row, shown[1].row), (9, 10));
}

#[test]
fn a_preview_shows_what_is_cut_off_and_rows_of_which_nothing_is_left_to_learn() {
    let rows = [
        serde_json::json!({ "prompt": "ab", "completion": "cdefghijklmn" }),
        serde_json::json!({ "prompt": "abcdefghijklmnop", "completion": "q" }),
        serde_json::json!({ "prompt": "ab", "completion": "c" }),
    ];
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), lines(rows.into_iter()));
    let config = RunConfig {
        cutoff_len: 8,
        ..config()
    };
    let (shown, ..) = page(&mut session, config, 0);
    let learnt = |example: &PreviewExample| example.tokens.iter().filter(|token| token.1).count();
    assert_eq!(shown.len(), 3);
    assert_eq!(shown[0].tokens.len(), 8);
    assert!(learnt(&shown[0]) > 0 && shown[0].cut > 0, "{:?}", shown[0]);
    let cut = shown[0].cut_tokens.concat();
    assert!(cut.contains("n") && !cut.contains('c'), "{cut}");
    assert_eq!((learnt(&shown[1]), shown[1].truncated), (0, true));
    assert_eq!((shown[2].cut, shown[2].truncated), (0, false));
    assert_eq!(learnt(&shown[2]), 2);
}

#[test]
fn a_preview_says_what_each_column_is_and_takes_another_choice() {
    let row = |row: usize| {
        let label = ["x", "y"][row % 2];
        serde_json::json!({ "text": "ab cd", "label": label, "note": "other words", "mood": label })
    };
    let mut session = bert(lines((0..12).map(row)));
    let roles = |session: &mut TestSession, config: RunConfig| {
        page(session, config, 0);
        match session.events.last() {
            Some(Event::Preview { columns, .. }) => {
                let columns = columns.iter().map(|of| (of.column.clone(), of.role));
                columns.collect::<std::collections::BTreeMap<_, _>>()
            }
            other => panic!("no preview: {other:?}"),
        }
    };
    let found = roles(&mut session, config());
    assert_eq!(found["text"], ColumnRole::Text);
    assert_eq!(found["label"], ColumnRole::Label);
    assert_eq!(
        (found["note"], found["mood"]),
        (ColumnRole::Ignored, ColumnRole::Ignored)
    );
    let chosen = RunConfig {
        text_columns: vec!["note".into(), "text".into()],
        label_columns: vec!["mood".into()],
        ..config()
    };
    let changed = roles(&mut session, chosen);
    assert_eq!(
        (changed["note"], changed["text"]),
        (ColumnRole::Text, ColumnRole::SecondText)
    );
    assert_eq!(
        (changed["mood"], changed["label"]),
        (ColumnRole::Label, ColumnRole::Ignored)
    );
}
