//! Files of numbers: what every format gives, and what is refused with its place.

use super::{config, source, trained};
use lorakeet_core::{
    config::RunConfig,
    data::{Columns, Dataset, Shape},
    error::Error,
    protocol::{Command, Event},
    store::Source,
};
use lorakeet_i18n::Language;
use lorakeet_tests::{
    rows::{bars, idx},
    test_session::{TestSession, failure, started},
};
use serde_json::json;

fn read(name: &str, text: &str) -> Result<lorakeet_core::data::Labelled, Error> {
    Dataset::parse(name, text.as_bytes())?.numeric(&Columns::default())
}

#[test]
fn every_format_gives_rows_of_numbers_with_labels() {
    let numbers = |labelled: &lorakeet_core::data::Labelled, row: usize| labelled.rows[row].features.to_vec();
    let table = read("a.csv", "x;Label;y\n1;b;-2.5e1\n\n3;a;4\n").expect("a table");
    assert_eq!(
        (table.shape, table.texts.join(" ")),
        (Some(Shape::Columns(2)), "x y".into())
    );
    assert_eq!(
        (numbers(&table, 0), table.rows[1].values[0].to_json()),
        (vec![1.0, -25.0], json!("a"))
    );

    let ucr = read("a_TRAIN.tsv", "1\t0.5\t-0.5\n-1\t2\t3\n").expect("a series a row");
    assert_eq!(ucr.shape, Some(Shape::Series { steps: 2, channels: 1 }));
    assert_eq!(
        (numbers(&ucr, 1), ucr.rows[1].values[0].to_json()),
        (vec![2.0, 3.0], json!(-1))
    );

    let steps = r#"{"values": [[1, 2], [3, 4], [5, 6]], "label": 7}"#;
    let lists = read("a.jsonl", steps).expect("steps of two numbers");
    assert_eq!(lists.shape, Some(Shape::Series { steps: 3, channels: 2 }));
    assert_eq!(numbers(&lists, 0), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);

    let ts = read("a.ts", "@classLabel true x y\n@data\n1,2,3:4,5,6:x\n").expect("two channels");
    assert_eq!(ts.shape, Some(Shape::Series { steps: 3, channels: 2 }));
    assert_eq!(numbers(&ts, 0), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);

    let (images, labels) = (idx(&[2, 1, 2], &[0, 255, 51, 0]), idx(&[2], &[9, 3]));
    let images = Dataset::parse_images(("images", &images), ("labels", &labels)).expect("images");
    assert_eq!((images.info().rows, images.info().form.as_str()), (2, "numbers"));
    let images = images.numeric(&Columns::default()).expect("rows");
    assert_eq!(images.shape, Some(Shape::Image { height: 1, width: 2 }));
    assert_eq!(
        (numbers(&images, 1), images.rows[0].values[0].to_json()),
        (vec![0.2, 0.0], json!(9))
    );

    // Columns that the run names go in, and nothing else.
    let some = Dataset::parse("a.csv", b"id,x,y,kind\nfirst,1,2,a\nsecond,3,4,b\n").expect("a table");
    let columns = Columns {
        texts: vec!["y".into(), "X".into()],
        labels: vec!["kind".into()],
        ..Columns::default()
    };
    assert_eq!(numbers(&some.numeric(&columns).expect("rows"), 1), [4.0, 3.0]);
}

#[test]
fn what_is_no_row_of_numbers_is_refused_with_its_place() {
    for (name, text, row, field, what) in [
        ("a.csv", "x,y,label\n1,2,a\n3,?,b\n", Some(3), Some("y"), "missing"),
        (
            "a.csv",
            "x,y,label\n1,2,a\n3,tall,b\n",
            Some(3),
            Some("y"),
            "must be a number",
        ),
        ("a.csv", "x,y,label\n1,NaN,a\n3,4,b\n", Some(2), Some("y"), "finite"),
        ("a.csv", "x,y,label\n1,1e300,a\n3,4,b\n", Some(2), Some("y"), "finite"),
        ("a.tsv", "1\t2\t3\n1\t2\n", Some(2), None, "2 fields"),
        ("a.tsv", "1\t2\t3\n1\tinf\t2\n", Some(2), Some("column 2"), "finite"),
        (
            "a.jsonl",
            "{\"values\":[1,2],\"label\":1}\n{\"values\":[1],\"label\":2}",
            Some(2),
            Some("values"),
            "1 numbers",
        ),
        (
            "a.jsonl",
            "{\"values\":[1,\"x\"],\"label\":1}",
            Some(1),
            Some("values[1]"),
            "must be a number",
        ),
        (
            "a.jsonl",
            "{\"values\":[[1],[2,3]],\"label\":1}",
            Some(1),
            Some("values[1]"),
            "alike",
        ),
        (
            "a.jsonl",
            "{\"values\":[1],\"label\":1}\n{\"values\":[],\"label\":1}",
            Some(2),
            Some("values"),
            "empty",
        ),
        (
            "a.ts",
            "@classLabel true\n@data\n1,2:a\n1,?:b\n",
            Some(4),
            Some("channel 1, step 2"),
            "missing",
        ),
        (
            "a.ts",
            "@classLabel true\n@data\n1,2:a\n1,2,3:b\n",
            Some(4),
            None,
            "3 steps",
        ),
        ("a.ts", "@data\n1,2:1,2,3\n", Some(2), Some("channel 2"), "3 steps"),
        (
            "a.ts",
            "@timeStamps true\n@data\n",
            Some(1),
            Some("@timeStamps"),
            "time stamps",
        ),
        (
            "a.ts",
            "@classLabel true\n@data\n12\n",
            Some(3),
            Some("label"),
            "no label",
        ),
        ("a.ts", "@data\n# nothing\n", None, None, "no series"),
        ("a.ts", "1,2:a\n", Some(1), None, "before @data"),
        ("a.ts", "@problemName a\n", None, None, "no line @data"),
    ] {
        let error = read(name, text).expect_err(text);
        let told = error.field.as_ref().map(|field| field.text(Language::English));
        let place = (error.file.as_deref(), error.row, told.as_deref());
        assert_eq!(place, (Some(name), row, field), "{text}: {error}");
        assert!(error.what.english().contains(what), "{text}: {error}");
    }
    for (images, labels, what) in [
        (idx(&[2, 1, 2], &[0; 4]), idx(&[3], &[0; 3]), "3 labels for 2 images"),
        (idx(&[2, 1, 2], &[0; 3]), idx(&[2], &[0; 2]), "3 bytes"),
        (idx(&[0, 1, 2], &[]), idx(&[0], &[]), "nothing"),
        (vec![0, 0, 8, 3, 0, 0], idx(&[1], &[0]), "within its header"),
        (
            vec![0, 0, 13, 3, 0, 0, 0, 1],
            idx(&[1], &[0]),
            "begins with 00 00 0d 03",
        ),
        (idx(&[1 << 31, 1 << 31, 4], &[]), idx(&[1], &[0]), "0 bytes"),
        (b"PNG".to_vec(), idx(&[1], &[0]), "begins with"),
    ] {
        let error = Dataset::parse_images(("images", &images), ("labels", &labels)).expect_err(what);
        assert!(error.what.english().contains(what) && error.file.is_some(), "{error}");
    }
    assert!(Dataset::parse("labels", &idx(&[2], &[0, 1])).is_err());
    // Labels that are not there, and one that is missing.
    for (text, what) in [
        ("{\"values\":[1,2]}", "no column with labels"),
        (
            "{\"values\":[1,2],\"label\":1}\n{\"values\":[1,2],\"label\":2}\n{\"values\":[1,2],\"label\":null}",
            "label is missing",
        ),
        (
            "{\"values\":[1,2],\"label\":1}\n{\"values\":[1,2],\"label\":1}",
            "same class",
        ),
    ] {
        let session = trained("small_mlp", vec![source("a.jsonl", text)], |_| ());
        let error = failure(&session);
        assert!(
            error.what.english().contains(what) || what == "same class" && error.what.english().contains("every row"),
            "{error}"
        );
        assert_eq!(error.file.as_deref(), Some("a.jsonl"));
    }
}

#[test]
fn images_and_their_labels_are_two_files_in_either_order_and_one_alone_says_which_is_missing() {
    let load = |session: &mut TestSession, files: Vec<Source>| {
        let file = files[0].name().to_owned();
        session.ask(Command::LoadData { file }, files);
    };
    let validate = |session: &mut TestSession, files: Vec<Source>| {
        let file = Some(files[0].name().to_owned());
        session.ask(Command::LoadValidation { file }, files);
    };
    let reversed = |count: usize| bars(count).into_iter().rev().collect::<Vec<_>>();
    let mut session = TestSession::small("small_mlp", reversed(40));
    validate(&mut session, bars(12));
    let preview = Command::Preview {
        config: Box::new(config("small_mlp")),
        after: 0,
    };
    session.ask(preview.clone(), Vec::new());
    assert!(
        matches!(session.events.last(), Some(Event::Preview { outlook: Some(outlook), validation_problem: None, .. })
            if outlook.labels.iter().all(|(_, rows)| *rows == 20)),
        "{:?}",
        session.events.last()
    );
    session.train(RunConfig {
        max_steps: 2,
        ..config("small_mlp")
    });
    let run = started(&session);
    assert_eq!((run.train_examples, run.eval_examples), (40, 12));

    // Images of another size do not go with these, and the preview says so.
    let small = source("small-images-idx3-ubyte", idx(&[1, 1, 2], &[0, 255]));
    let labels = source("small-labels-idx1-ubyte", idx(&[1], &[1]));
    validate(&mut session, vec![labels, small]);
    session.ask(preview.clone(), Vec::new());
    assert!(
        matches!(session.events.last(), Some(Event::Preview { validation_problem: Some(error), .. })
            if error.file.as_deref() == Some("small-images-idx3-ubyte")),
        "{:?}",
        session.events.last()
    );

    let [images, labels] = [0, 1].map(|place| bars(40).remove(place));
    load(&mut session, vec![images.clone()]);
    session.ask(preview, Vec::new());
    let error = failure(&session);
    assert!(error.what.english().contains("without their labels"), "{error}");
    assert_eq!(error.file.as_deref(), Some("bars-images-idx3-ubyte"));
    assert!(
        error
            .remedy
            .as_ref()
            .is_some_and(|remedy| remedy.english().contains("bars-labels-idx1-ubyte")),
        "{error}"
    );
    load(&mut session, vec![labels.clone()]);
    let error = failure(&session);
    assert!(error.what.english().contains("images to which they belong"), "{error}");
    let [one, other] = ["a.csv", "b.csv"].map(|name| source(name, "x,y\n1,2\n"));
    load(&mut session, vec![one, other]);
    let error = failure(&session);
    assert!(error.what.english().contains("a.csv, b.csv"), "{error}");
    load(&mut session, vec![images.clone(), labels, images]);
    assert!(
        failure(&session).what.english().contains("3 files"),
        "{}",
        failure(&session)
    );
}
