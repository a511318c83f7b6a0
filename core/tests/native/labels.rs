//! What label columns mean: classes, any number of labels, numbers, and classes of words.

use lorakeet_core::data::{Columns, Dataset, LabelKind, LabelSet, Labelled};
use lorakeet_core::error::Error;
use lorakeet_core::loss::IGNORE_INDEX;

fn read(name: &str, text: &str) -> Labelled {
    let data = Dataset::parse(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    data.labelled(&Columns::default())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// Rows of JSON with these labels.
fn rows(labels: &[&str]) -> Labelled {
    let row = |label: &&str| format!("{{\"text\": \"x\", \"labels\": {label}}}\n");
    read("a.jsonl", &labels.iter().map(row).collect::<String>())
}

/// Rows of a table with these labels, quoted.
fn cells(labels: &[&str]) -> Labelled {
    let row = |label: &&str| format!("x,\"{}\"\n", label.replace('"', "\"\""));
    read(
        "a.csv",
        &format!("text,labels\n{}", labels.iter().map(row).collect::<String>()),
    )
}

fn targets(labelled: &Labelled, answer: &LabelSet) -> Vec<Vec<f32>> {
    let of = |row| labelled.targets(row, answer).unwrap_or_else(|error| panic!("{error}"));
    labelled.rows.iter().map(of).collect()
}

fn fresh(labelled: &Labelled) -> LabelSet {
    let kind = labelled.kind().unwrap_or_else(|error| panic!("{error}"));
    LabelSet::new(kind, labelled.names(kind).unwrap_or_else(|error| panic!("{error}")))
}

fn refused(labelled: &Labelled, kind: LabelKind) -> Error {
    let error = labelled.names(kind).expect_err("the labels should be refused");
    assert!(
        error.row.is_some() && error.field.is_some() && error.remedy.is_some(),
        "{error}"
    );
    error
}

#[test]
fn lists_of_zeros_and_ones_have_a_place_for_each_label() {
    let wanted = [[1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
    for labelled in [
        rows(&["[1, 0, 1]", "[0, 0, 0]", "[0, 1, 0]"]),
        rows(&["[1.0, 0.0, 1.0]", "[0.0, 0.0, 0.0]", "[0.0, 1.0, 0.0]"]),
        rows(&["[true, false, true]", "[false, false, false]", "[false, true, false]"]),
        cells(&["[1, 0, 1]", "[0, 0, 0]", "[0, 1, 0]"]),
        cells(&["[1. 0. 1.]", "[0. 0. 0.]", "[0. 1. 0.]"]),
        cells(&["[True, False, True]", "[False, False, False]", "(False, True, False)"]),
    ] {
        let answer = fresh(&labelled);
        assert_eq!(answer.kind, LabelKind::Labels);
        assert_eq!(answer.names, ["LABEL_0", "LABEL_1", "LABEL_2"]);
        assert_eq!(targets(&labelled, &answer), wanted);
        // A head with names for as many outputs takes them as they are.
        let head = LabelSet::new(LabelKind::Labels, ["fast", "loud", "cheap"].map(String::from).into());
        assert_eq!(targets(&labelled, &head), wanted);
        let wider = LabelSet::new(LabelKind::Labels, ["a", "b", "c", "d"].map(String::from).into());
        let error = labelled.targets(&labelled.rows[0], &wider).unwrap_err();
        assert!(
            error.what.english().contains("3 places, and there are 4 labels"),
            "{error}"
        );
    }
    let uneven = refused(&rows(&["[1, 0, 1]", "[0, 1]"]), LabelKind::Labels);
    assert_eq!(uneven.row, Some(2));
    assert!(uneven.what.english().contains("2 places"), "{uneven}");
    assert_eq!(refused(&rows(&["[1, 0, 1]", "null"]), LabelKind::Labels).row, Some(2));
    // Other numbers are quantities, or the numbers of labels that apply.
    assert_eq!(rows(&["[0.5, 2]", "[1, 0]"]).kind(), Ok(LabelKind::Numbers));
    let numbers = rows(&["[0, 2]", "[1]", "[]"]);
    assert_eq!(fresh(&numbers).names, ["0", "1", "2"]);
    assert_eq!(targets(&numbers, &fresh(&numbers))[0], [1.0, 0.0, 1.0]);
}

#[test]
fn lists_that_a_table_holds_as_text_are_the_names_in_them() {
    for labelled in [
        cells(&["['fast', 'loud']", "['loud']", "[]", "['cheap, but good']"]),
        cells(&[r#"["fast", "loud"]"#, r#"["loud"]"#, "[]", r#"["cheap, but good"]"#]),
        cells(&["['fast' 'loud']", "['loud']", "", "{'cheap, but good'}"]),
    ] {
        let answer = fresh(&labelled);
        assert_eq!(
            (answer.kind, answer.names.join("|")),
            (LabelKind::Labels, "cheap, but good|fast|loud".into())
        );
        let wanted = [[0.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]];
        assert_eq!(targets(&labelled, &answer), wanted);
    }
    let broken = refused(&cells(&["['fast']", "[fast, loud]"]), LabelKind::Labels);
    assert_eq!((broken.row, broken.field_name()), (Some(3), Some("labels")));
    // Without another list beside it, it would be the name of a class.
    assert_eq!(refused(&cells(&["a", "[fast, loud]"]), LabelKind::Class).row, Some(3));
    assert_eq!(
        cells(&["[CLS]", "(b)"]).names(LabelKind::Class),
        Ok(vec!["(b)".into(), "[CLS]".into()])
    );
    let list = refused(&cells(&["a", "['b', 'c']"]), LabelKind::Class);
    assert!(
        list.what.english().contains("must be one class") && list.remedy.unwrap().english().contains("multi_label")
    );
    // Names with commas between are as they were.
    assert_eq!(
        cells(&["a, b", "c"]).names(LabelKind::Labels),
        Ok(["a", "b", "c"].map(String::from).into())
    );
}

#[test]
fn spellings_of_one_class_are_one_class_or_refused() {
    let one = rows(&["1", "\"1\"", "1.0", "\"0\"", "0.0", "-0.0", "\"1.0\""]);
    assert_eq!(fresh(&one).names, ["0", "1"]);
    let classes: Vec<f32> = targets(&one, &fresh(&one)).concat();
    assert_eq!(classes, [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
    let truth = refused(&rows(&["1", "\"1\"", "true", "\"0\""]), LabelKind::Class);
    assert_eq!((truth.row, truth.field_name()), (Some(3), Some("labels")));
    assert!(truth.what.english().contains("'1' and 'true'"), "{truth}");
    assert_eq!(
        refused(&rows(&["true", "\"True\"", "false"]), LabelKind::Class).row,
        Some(2)
    );
    // Texts in large and small letters may be different classes, and it is said.
    let note = lorakeet_core::data::note_of_alike(&["Spam".into(), "ham".into(), "spam".into()]);
    assert!(note.is_some_and(|note| note.english().contains("'Spam' and 'spam'")));
    // Digits of codes stay.
    assert_eq!(
        cells(&["01", "2e", "12345678901234567890123"])
            .names(LabelKind::Class)
            .unwrap()[1],
        "12345678901234567890123"
    );
}

#[test]
fn minus_one_hundred_is_no_class() {
    for (labelled, kind) in [
        (rows(&["1", "-100", "0"]), LabelKind::Class),
        (cells(&["1", "-100", "0"]), LabelKind::Class),
        (rows(&["1", "-100.0", "0"]), LabelKind::Class),
        (rows(&["[1, 0]", "[0, -100]"]), LabelKind::Labels),
    ] {
        let error = refused(&labelled, kind);
        assert!(error.what.english().contains("-100"), "{error}");
        assert!(labelled.check(kind).is_err());
    }
    // Nor are flags with it quantities.
    assert_eq!(rows(&["[1, 0]", "[0, -100]"]).kind(), Ok(LabelKind::Labels));
    // As a quantity it is one.
    let cold = rows(&["-100", "0.5"]);
    assert_eq!(targets(&cold, &fresh(&cold)), [[-100.0], [0.5]]);

    let tokens = "{\"tokens\": [\"a\", \"b\"], \"ner_tags\": [1, -100]}\n{\"tokens\": [\"c\"], \"ner_tags\": [0]}\n";
    let tagged = Dataset::parse("a.jsonl", tokens.as_bytes()).unwrap();
    let tagged = tagged.tagged(&Columns::default()).unwrap();
    assert_eq!(tagged.names(), Ok(vec!["0".into(), "1".into()]));
    let head = LabelSet::new(LabelKind::Tags, ["O", "B", "I"].map(String::from).into());
    assert_eq!(tagged.stranger(&head), None, "label ids are those of the head");
    assert_eq!(tagged.classes(&tagged.rows[0], &head), Ok(vec![1, IGNORE_INDEX]));
    let two = LabelSet::new(LabelKind::Tags, vec!["O".into()]);
    assert_eq!(tagged.stranger(&two).map(String::as_str), Some("1"));
}

#[test]
fn label_ids_are_outputs_of_a_head_whose_names_are_no_numbers() {
    let ids = rows(&["0", "1.0", "\"2\""]);
    let head = LabelSet::new(LabelKind::Class, ["bad", "fair", "good"].map(String::from).into());
    assert_eq!(targets(&ids, &head), [[0.0], [1.0], [2.0]]);
    let stars = LabelSet::new(LabelKind::Class, ["1", "2", "3"].map(String::from).into());
    assert_eq!(stars.place("3"), Some(2));
    assert!(ids.targets(&ids.rows[0], &stars).is_err());
    let truth = LabelSet::new(LabelKind::Class, ["False", "True"].map(String::from).into());
    assert_eq!(targets(&rows(&["true", "false"]), &truth), [[1.0], [0.0]]);
}

#[test]
fn targets_that_no_float_holds_say_so() {
    for label in ["1e300", "-1E400", "\"1e39\""] {
        let labelled = rows(&["0.5", label]);
        let answer = LabelSet::new(LabelKind::Numbers, vec!["labels".into()]);
        let error = labelled.targets(&labelled.rows[1], &answer).unwrap_err();
        assert!(
            error.what.english().contains("too large") && error.row == Some(2),
            "{error}"
        );
        assert!(error.remedy.unwrap().english().contains("another unit"));
    }
    let comma = cells(&["1,5", "2"]);
    let answer = LabelSet::new(LabelKind::Numbers, vec!["labels".into()]);
    let error = comma.targets(&comma.rows[0], &answer).unwrap_err();
    assert!(error.remedy.unwrap().english().contains("decimal point"));
}

#[test]
fn very_many_classes_are_refused_with_the_column() {
    let of = |labels: usize| {
        let labels: Vec<String> = (0..labels).map(|label| format!("\"id {label}\"")).collect();
        rows(&labels.iter().map(String::as_str).collect::<Vec<_>>())
    };
    assert_eq!(of(10_000).names(LabelKind::Class).map(|names| names.len()), Ok(10_000));
    let error = refused(&of(10_001), LabelKind::Class);
    assert!(error.what.english().contains("more than 10000 classes"), "{error}");
    assert_eq!(error.field_name(), Some("labels"));
    let flags = vec!["a|b"; 10];
    assert!(cells(&flags).names(LabelKind::Labels).is_ok());
}
