//! Tables: csv and tsv as spreadsheets and pandas write them, and the names of their columns.

use super::{pair, parse, refusal, said};
use lorakeet_core::data::{Columns, Dataset};

#[test]
fn quoted_fields_keep_commas_quotes_and_line_breaks() {
    let data = parse(
        "a.csv",
        "prompt,completion\r\n\"a, \"\"b\"\"\r\nc\",\"🦜\r\n\r\nd\"\r\nlast,one",
    );
    assert_eq!(data.rows.len(), 2);
    assert_eq!(pair(&data.rows[0].content), ("a, \"b\"\nc", "🦜\n\nd"));
    assert_eq!((data.rows[0].number, data.rows[1].number), (2, 3));
}

#[test]
fn unknown_columns_of_a_table_are_taken_as_pairs_with_a_note() {
    let data = parse("a.csv", "Frage,Antwort,Quelle\nq,a,s\n");
    assert_eq!(pair(&data.rows[0].content), ("q", "a"));
    // What is said of texts is said where they are learnt, and nowhere else.
    assert!(
        data.notes.is_empty() && data.info().form == "table",
        "{:?}",
        data.info()
    );
    let notes = said(&data.text_notes);
    assert!(
        notes
            .iter()
            .any(|note| note.contains("'Frage'") && note.contains("'Antwort'"))
    );
    assert!(notes.contains(&"Not used: Quelle.".to_owned()), "{notes:?}");
    let error = refusal("a.jsonl", br#"{"frage": "q", "antwort": "a"}"#);
    assert!(error.what.english().contains("frage, antwort"));
}

pub(super) fn column(data: &Dataset, name: &str) -> Vec<String> {
    let others = data.columns.iter().filter(|other| !other.eq_ignore_ascii_case(name));
    let columns = Columns {
        texts: vec![name.to_owned()],
        labels: others.take(1).cloned().collect(),
        ..Columns::default()
    };
    let read = data.labelled(&columns).unwrap_or_else(|error| panic!("{error}"));
    read.rows.into_iter().map(|row| row.text.into()).collect()
}

#[test]
fn columns_without_a_name_are_called_as_in_pandas_and_are_no_text_and_no_label() {
    // DataFrame.to_csv writes the index in front; a spreadsheet leaves separators behind.
    let pandas = parse("a.csv", ",text,label\n0,one,a\n1,two,b\n");
    assert_eq!(pandas.columns, ["Unnamed: 0", "text", "label"]);
    assert!(pandas.notes[0].english().contains("'Unnamed: 0'"), "{:?}", pandas.notes);
    assert_eq!(column(&pandas, "Unnamed: 0"), ["0", "1"]);
    let excel = parse("a.csv", "text,label,,\none,a,,\ntwo,b,,\n");
    assert_eq!(excel.columns, ["text", "label", "Unnamed: 2", "Unnamed: 3"]);
    let short = parse("a.csv", "text,label,,\none,a\ntwo,b,,,\n");
    assert_eq!(column(&short, "text"), ["one", "two"]);

    // Of unknown names the index is neither the prompt nor the text, also after it was saved twice.
    let unknown = parse("a.csv", ",Unnamed: 0,Frage,Antwort\n0,5,q,a\n");
    assert_eq!(pair(&unknown.rows[0].content), ("q", "a"));
    let labelled = parse("a.csv", ",Satz,Category\n0,one,a\n1,two,b\n")
        .labelled(&Columns::default())
        .unwrap();
    assert_eq!(
        (labelled.texts, labelled.labels),
        (vec!["satz".to_owned()], vec!["category".to_owned()])
    );
    assert_eq!(said(&labelled.notes), ["The column 'Satz' is taken as the text."]);
    let numbers = parse("a.csv", ",x,y,label\n0,1,2,a\n1,3,4,b\n")
        .numeric(&Columns::default())
        .unwrap();
    assert_eq!(numbers.rows[1].features.to_vec(), [3.0, 4.0]);
}

#[test]
fn columns_of_one_name_are_told_apart_and_named() {
    let data = parse("a.csv", "text,Label,label,label.1,label\none,a,b,c,d\n");
    assert_eq!(data.columns, ["text", "Label", "label.2", "label.1", "label.3"]);
    let note = data.notes[0].english();
    assert!(note.contains("'label.2', 'label.3'"), "{note}");
    assert_eq!(column(&data, "label.3"), ["d"]);
    let alike = parse("a.jsonl", "{\"Text\": \"x\"}\n{\"text\": \"y\"}\n");
    assert_eq!(said(&alike.notes), ["'Text' and 'text' are taken for one column."]);
    assert_eq!(column(&alike, "text"), ["x", "y"]);
}

#[test]
fn tab_separated_values_know_no_quotes() {
    let data = parse(
        "a.tsv",
        "label\ttext\na\tplain one\nb\t\"Hello, said he, and went\na\t\"Bye\" said she\nb\t5' 9\" tall\n",
    );
    let texts = [
        "plain one",
        "\"Hello, said he, and went",
        "\"Bye\" said she",
        "5' 9\" tall",
    ];
    assert_eq!(column(&data, "text"), texts);
    assert!(data.notes.is_empty(), "{:?}", data.notes);
    // A program that quotes there all the same is not overheard; under the name .csv its quotes are read.
    let quoted = "label\ttext\na\t\"said \"\"no\"\"\"\n";
    let data = parse("a.tsv", quoted);
    assert_eq!(column(&data, "text"), ["\"said \"\"no\"\"\""]);
    assert!(
        data.notes[0].english().contains("Row 2") && data.notes[0].english().contains(".csv"),
        "{:?}",
        data.notes
    );
    assert_eq!(column(&parse("a.csv", quoted), "text"), ["said \"no\""]);
}

#[test]
fn a_quote_is_closed_where_its_field_ends_or_the_row_is_named() {
    // Four rows would be one.
    let swallow = "label,text\na,plain\nb,\"Hello said he\na,plain two\na,she answered \"no\"\nb,last\n";
    let error = refusal("a.csv", swallow.as_bytes());
    assert_eq!((error.row, error.field_name()), (Some(3), Some("text")));
    assert!(
        error.what.english().contains("line 3") && error.what.english().contains("line 5"),
        "{error}"
    );
    let behind = refusal("a.csv", b"label,text\na,\"Bye\" said she\n");
    assert!(behind.what.english().contains("text follows:  said she"), "{behind}");
    let open = refusal("a.csv", b"label,text\na,x\nb,\"Hello\na,y\n");
    assert_eq!((open.row, open.field_name()), (Some(3), Some("text")));
    assert!(open.what.english().contains("line 3 is never closed"), "{open}");
    // A quote within a text that does not begin with one is a letter.
    assert_eq!(
        column(&parse("a.csv", "text,n\n5' 9\" tall,1\n"), "text"),
        ["5' 9\" tall"]
    );
}

#[test]
fn what_spreadsheets_write_is_read_as_it_is() {
    let rows = "text;label\r\n\"a; b\";x\r\n\"two\r\nlines\";y\r\n";
    let utf16: Vec<u8> = [0xfeff]
        .into_iter()
        .chain(rows.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let files = [
        [b"\xef\xbb\xbf", rows.as_bytes()].concat(),
        format!("sep=;\r\n{rows}").into_bytes(),
        rows.replace(';', "\t").replace("a\t b", "a; b").into_bytes(),
        utf16,
        rows.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        rows.encode_utf16().flat_map(u16::to_be_bytes).collect(),
    ];
    for file in files {
        let data = Dataset::parse("a.csv", &file).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(column(&data, "text"), ["a; b", "two\nlines"]);
        assert_eq!(column(&data, "label"), ["x", "y"]);
    }
    // More semicolons than commas; commas alone are the usual.
    let german = parse("a.csv", "Text;Wert, in Euro;Label\n1,5;2,5;x\n");
    assert_eq!(german.columns, ["Text", "Wert, in Euro", "Label"]);
    // A spreadsheet leaves separators out where the last cells of many rows are empty.
    let short = parse("a.csv", "text,label,remark\none,a\ntwo,b,x\nthree,c\n");
    assert_eq!(column(&short, "label"), ["a", "b", "c"]);
    assert_eq!(
        said(&short.notes),
        ["Row 2 and 1 more have fewer fields than the header; those that are missing are empty."]
    );
}

#[test]
fn a_number_keeps_the_text_that_the_file_has() {
    let data = parse(
        "a.jsonl",
        "{\"prompt\": 12345678901234567890123, \"completion\": 1.0}\n{\"prompt\": 1e3, \"completion\": 0.10}\n\
         {\"prompt\": true, \"completion\": 9007199254740993}\n{\"prompt\": -0.0, \"completion\": 1E400}\n",
    );
    let pairs: Vec<(&str, &str)> = data.rows.iter().map(|row| pair(&row.content)).collect();
    let wanted = [
        ("12345678901234567890123", "1.0"),
        ("1e3", "0.10"),
        ("true", "9007199254740993"),
        ("-0.0", "1E400"),
    ];
    assert_eq!(pairs, wanted);
}

#[test]
fn errors_and_notes_name_no_more_columns_than_can_be_read() {
    let header: Vec<String> = (0..100_000).map(|column| format!("column{column}")).collect();
    let file = format!("{}\n{}\n", header.join(","), vec!["x"; header.len()].join(","));
    let data = parse("a.csv", &file);
    let error = data.labelled(&Columns::default()).unwrap_err();
    assert!(
        error.to_string().len() < 1000 && error.what.english().contains("99980 more"),
        "{error}"
    );
    assert!(said(&data.text_notes).iter().all(|note| note.len() < 1000));
    let missing = Columns {
        texts: vec!["text".into()],
        ..Columns::default()
    };
    assert!(data.labelled(&missing).unwrap_err().to_string().len() < 1000);
}

#[test]
fn columns_that_a_task_does_not_use_are_named_in_its_notes() {
    let data = parse("a.csv", ",id,text,label,remark\n0,7,one,a,x\n1,8,two,b,y\n");
    let labelled = data.labelled(&Columns::default()).unwrap();
    assert_eq!(said(&labelled.notes), ["Not used: id, remark."]);
    assert_eq!(said(&data.text_notes), ["Not used: id, label, remark."]);
    let ranked = parse("a.csv", "query,document,grade,source\nq,d,1,s\n")
        .ranked()
        .unwrap();
    assert_eq!(said(&ranked.notes), ["Not used: source."]);
    let words = parse("a.jsonl", r#"{"tokens": ["a"], "tags": ["x"], "id": 3}"#);
    assert_eq!(
        said(&words.tagged(&Columns::default()).unwrap().notes),
        ["Not used: id."]
    );
    let chosen = Columns {
        texts: vec!["x".into()],
        labels: vec!["z".into()],
        ..Columns::default()
    };
    let numbers = parse("a.csv", "x,y,z\n1,2,a\n3,4,b\n").numeric(&chosen).unwrap();
    assert_eq!(said(&numbers.notes), ["Not used: y."]);
}
