//! The audit and the encoding of data as a front end asks for them.

use lorakeet_core::{
    config::{Encoding, RunConfig},
    protocol::{AuditKind, AuditReport, Command, DeviceChoice, Event},
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    test_session::{TestSession, failure, find},
    tiny,
};

/// The positions of the tiny model.
const MOST_TOKENS: usize = 128;

fn file(name: &str, bytes: &[u8]) -> Source {
    MemoryFile::source(name, bytes.to_vec())
}

fn config() -> RunConfig {
    RunConfig {
        val_size: 0.0,
        cutoff_len: 32,
        ..RunConfig::default()
    }
}

fn report(session: &TestSession) -> AuditReport {
    find(session, |event| match event {
        Event::Audit(report) => Some((**report).clone()),
        _ => None,
    })
}

fn audited(data: &[u8], files: Vec<Source>) -> AuditReport {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file("rows.csv", data));
    let config = Box::new(config());
    session.ask(Command::Audit { config }, files);
    report(&session)
}

#[test]
fn an_audit_is_of_the_loaded_data_in_tokens_of_the_model_or_of_files_beside_it() {
    let long = "ab ".repeat(100);
    let data = format!("text,label\none,a\ntwo,b\n{long},a\n");
    let of_data = audited(data.as_bytes(), Vec::new());
    let found = of_data.finding(AuditKind::TooLong).expect("it is found");
    let what = found.what.english();
    assert_eq!((found.rows[0].row, found.count), (4, 1));
    assert!(what.contains("(32 tokens)") && !what.contains("Estimated"), "{what}");
    // Three rows bear none that is cut; the model has positions for so many tokens.
    let setting = found.setting.as_ref().expect("a length is proposed");
    assert_eq!(
        (setting.knob.as_str(), &setting.value),
        ("cutoff_len", &MOST_TOKENS.into())
    );

    // Also of rows that a run refuses, which cannot be loaded.
    let refused = file("pairs.csv", b"prompt,completion\na,\nb,c\n");
    let held = file("held.csv", b"prompt,completion\nb,c\n");
    let of_files = audited(data.as_bytes(), vec![refused, held]);
    assert_eq!(
        (of_files.name.as_str(), of_files.rows, of_files.held_out),
        ("pairs.csv", 2, 1)
    );
    assert!(
        of_files.finding(AuditKind::EmptyRows).is_some(),
        "{:?}",
        of_files.findings
    );
    assert!(
        of_files.finding(AuditKind::ExactLeakage).is_some(),
        "{:?}",
        of_files.findings
    );
}

#[test]
fn data_are_read_again_where_a_run_names_another_encoding() {
    let rows = b"text,label\nna\xefve,a\ncaf\xe9s,b\n";
    let preview = |encoding| {
        let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file("rows.csv", rows));
        let config = Box::new(RunConfig { encoding, ..config() });
        session.ask(Command::Preview { config, after: 0 }, Vec::new());
        session
    };
    let error = failure(&preview(Some(Encoding::Utf8)));
    assert!(error.to_string().contains("line 2, is not UTF-8"), "{error}");
    find(&preview(Some(Encoding::Cp1252)), |event| {
        matches!(event, Event::Preview { .. }).then_some(())
    });
    // What is said before data are loaded holds for them.
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file("rows.csv", rows));
    let config = Box::new(RunConfig {
        encoding: Some(Encoding::Utf8),
        ..config()
    });
    session.ask(Command::ReadAs { config }, Vec::new());
    let load = Command::LoadData {
        file: "rows.csv".into(),
    };
    session.ask(load, vec![file("rows.csv", rows)]);
    assert!(failure(&session).to_string().contains("is not UTF-8"));
}

#[test]
fn the_encoding_of_a_run_is_not_that_of_data_which_are_loaded_later() {
    let plain = "text,label\none,a\ntwo,b\n";
    let chinese = "文本,label\n这部电影真的很好看,a\n不好看,b\n";
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file("a.csv", plain.as_bytes()));
    let preview = |encoding| Command::Preview {
        config: Box::new(RunConfig { encoding, ..config() }),
        after: 0,
    };
    session.ask(preview(Some(Encoding::Gb18030)), Vec::new());
    find(&session, |event| matches!(event, Event::Preview { .. }).then_some(()));
    let load = Command::LoadData { file: "b.csv".into() };
    session.ask(load, vec![file("b.csv", chinese.as_bytes())]);
    let read = |session: &TestSession| {
        find(session, |event| match event {
            Event::Data(info) => Some((info.name.clone(), info.columns.clone())),
            _ => None,
        })
    };
    let wanted = ("b.csv".to_owned(), vec!["文本".to_owned(), "label".to_owned()]);
    assert_eq!(read(&session), wanted);
    session.ask(preview(None), Vec::new());
    assert!(
        matches!(session.events.last(), Some(Event::Preview { .. })),
        "{:?}",
        session.events.last()
    );
    // A validation file alone of another encoding than the run's is read again, the data are not.
    session.ask(preview(Some(Encoding::Utf8)), Vec::new());
    let load = Command::LoadValidation {
        file: Some("held.csv".into()),
    };
    session.ask(
        load,
        vec![file(
            "held.csv",
            b"\xce\xc4\xb1\xbe,label\n\xb2\xbb\xba\xc3\xbf\xb4,a\n",
        )],
    );
    session.ask(preview(Some(Encoding::Utf8)), Vec::new());
    assert!(failure(&session).to_string().contains("is not UTF-8"));
}

fn dropping(words: &[&str]) -> Box<RunConfig> {
    Box::new(RunConfig {
        drop_rows: words.iter().map(|word| (*word).to_owned()).collect(),
        ..config()
    })
}

/// Rows of the loaded data, as they were told last.
fn rows(session: &TestSession) -> usize {
    find(session, |event| match event {
        Event::Data(info) => Some(info.rows),
        _ => None,
    })
}

const PAIRS: &[u8] = b"prompt,completion\nsay a,aaa.\nsay b,bbb.\nsay a,aaa.\nsay c,ccc.\nsay d,ddd.\nsay e,eee.\n";

#[test]
fn rows_that_a_run_leaves_out_are_in_neither_its_preview_nor_its_audit_nor_its_steps() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file("rows.csv", PAIRS));
    let total = |session: &TestSession| match session.events.last() {
        Some(Event::Preview { total, .. }) => *total,
        other => panic!("no preview: {other:?}"),
    };
    for (words, left) in [(&["exact_duplicates"][..], 5), (&[][..], 6)] {
        let config = dropping(words);
        let after = 0;
        session.ask(Command::Preview { config, after }, Vec::new());
        assert_eq!((total(&session), rows(&session)), (left, left));
    }
    let config = dropping(&["exact_duplicates"]);
    session.ask(Command::Audit { config }, Vec::new());
    let report = report(&session);
    assert!(
        report.finding(AuditKind::ExactDuplicates).is_none(),
        "{:?}",
        report.findings
    );
    let dropped: Vec<_> = report
        .dropped
        .iter()
        .map(|dropped| (dropped.kind, dropped.count))
        .collect();
    assert_eq!((dropped, report.rows), (vec![(AuditKind::ExactDuplicates, 1)], 5));

    let mut config = *dropping(&["exact_duplicates"]);
    config.max_steps = 1;
    session.train(config);
    let trained = find(&session, |event| match event {
        Event::Started(info) => Some(info.train_examples),
        _ => None,
    });
    assert_eq!(trained, 5);

    let config = dropping(&["exact_duplicates"]);
    session.ask(Command::KeptRows { config }, Vec::new());
    let kept = String::from_utf8(session.exported["rows.clean.jsonl"].clone()).expect("UTF-8");
    assert_eq!(kept.lines().count(), 5);
    assert!(kept.starts_with(r#"{"prompt":"say a","completion":"aaa."}"#), "{kept}");
}

#[test]
fn a_file_that_is_refused_is_audited_and_read_without_what_is_wrong() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file("rows.csv", PAIRS));
    let broken = || vec![file("broken.csv", b"prompt,completion\na,b\nc,\nd,e\n")];
    let load = || Command::LoadData {
        file: "broken.csv".into(),
    };
    session.ask(load(), broken());
    assert_eq!(failure(&session).row, Some(3));
    let config = dropping(&[]);
    session.ask(Command::Audit { config }, Vec::new());
    let found = report(&session);
    let empty = found.finding(AuditKind::EmptyRows).expect("it is found");
    assert_eq!((empty.rows[0].row, empty.drop_as), (3, Some(AuditKind::EmptyRows)));
    let config = dropping(&["empty_rows"]);
    session.ask(Command::ReadAs { config }, Vec::new());
    session.ask(load(), broken());
    assert_eq!(rows(&session), 2);
}

#[test]
fn held_out_rows_that_leak_are_left_out_once_the_training_rows_are_known() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file("rows.csv", PAIRS));
    let held = file("held.csv", b"prompt,completion\nsay b,bbb.\nsay f,fff.\n");
    let load = Command::LoadValidation {
        file: Some("held.csv".into()),
    };
    session.ask(load, vec![held]);
    let left = |session: &TestSession| {
        find(session, |event| match event {
            Event::Validation { data } => data.as_ref().map(|data| data.rows),
            _ => None,
        })
    };
    assert_eq!(left(&session), 2);
    let ask = |session: &mut TestSession| {
        let (config, after) = (dropping(&["exact_leakage"]), 0);
        session.ask(Command::Preview { config, after }, Vec::new());
    };
    ask(&mut session);
    assert_eq!(left(&session), 1);
    // Beside other training rows it does not leak.
    let load = Command::LoadData {
        file: "other.csv".into(),
    };
    session.ask(
        load,
        vec![file("other.csv", b"prompt,completion\nsay x,xxx.\nsay y,yyy.\n")],
    );
    ask(&mut session);
    assert_eq!(left(&session), 2);
}

#[test]
fn a_validation_file_that_is_refused_is_none_that_is_audited() {
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::model_files(), file("rows.csv", PAIRS));
    let load = |session: &mut TestSession, rows: &[u8]| {
        let load = Command::LoadValidation {
            file: Some("held.csv".into()),
        };
        session.ask(load, vec![file("held.csv", rows)]);
    };
    let held_out = |session: &mut TestSession| {
        let config = dropping(&[]);
        session.ask(Command::Audit { config }, Vec::new());
        report(session).held_out
    };
    load(&mut session, b"prompt,completion\nsay f,fff.\n");
    assert_eq!(held_out(&mut session), 1);
    load(&mut session, b"prompt,completion\nsay f,fff.\nsay g,\n");
    assert_eq!(failure(&session).row, Some(3));
    assert_eq!(held_out(&mut session), 0);
}
