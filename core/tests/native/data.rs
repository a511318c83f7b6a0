//! From a dropped file to batches of tokens.

mod columns;
mod conversations;
mod encodings;
mod incoming;
mod tables;

use lorakeet_core::data::{Content, Dataset, Schema, check_size};
use lorakeet_core::error::{Error, Kind};
use lorakeet_core::random::Generator;
use lorakeet_i18n::Message;
use tables::column;

fn parse(name: &str, text: &str) -> Dataset {
    Dataset::parse(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

/// Notes in English.
fn said(notes: &[Message]) -> Vec<String> {
    notes.iter().map(Message::english).collect()
}

fn refusal(name: &str, bytes: &[u8]) -> Error {
    let error = Dataset::parse(name, bytes).expect_err("the file should be refused");
    assert_eq!(error.kind, Kind::Data);
    assert_eq!(error.file.as_deref(), Some(name));
    assert!(error.remedy.is_some(), "{error} says no way out");
    error
}

fn pair(row: &Content) -> (&str, &str) {
    match row {
        Content::PromptCompletion { prompt, completion } => (prompt, completion),
        other => panic!("not a pair: {other:?}"),
    }
}

fn text(row: &Content) -> &str {
    match row {
        Content::Text(text) => text,
        other => panic!("not a text: {other:?}"),
    }
}

#[test]
fn a_text_file_is_one_document_with_its_paragraphs() {
    let data = parse("a.txt", "One.\r\n\r\nTwo 🦜.\rThree");
    assert_eq!((data.form, data.rows.len()), (Schema::Text, 1));
    assert_eq!(text(&data.rows[0].content), "One.\n\nTwo 🦜.\nThree");
    assert_eq!(data.info().form, "text");
}

#[test]
fn utf8_and_utf16_with_their_marks_read_the_same() {
    let content = "naïve 🦜\nsecond";
    let mut utf8 = vec![0xef, 0xbb, 0xbf];
    utf8.extend(content.as_bytes());
    let little = [0xfeff]
        .into_iter()
        .chain(content.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let big = [0xfeff]
        .into_iter()
        .chain(content.encode_utf16())
        .flat_map(u16::to_be_bytes)
        .collect();
    for bytes in [content.as_bytes().to_vec(), utf8, little, big] {
        let data = Dataset::parse("a.txt", &bytes).unwrap();
        assert_eq!(text(&data.rows[0].content), content);
    }
}

#[test]
fn files_that_are_not_text_are_refused_with_a_way_out() {
    assert!(refusal("a.txt", b"").what.english().contains("empty"));
    assert!(refusal("a.txt", b" \r\n\t\n").what.english().contains("white space"));
    assert!(refusal("a.csv", b"PK\x03\x04rest").what.english().contains("damaged"));
    assert!(refusal("a.txt", b"GGUF\x03\0\0\0").what.english().contains("GGUF"));
    let nul = refusal("a.txt", b"one\ntwo\0");
    assert!(nul.what.english().contains("NUL byte in line 2"));
    assert!(refusal("a.txt", b"\xff\xfea").what.english().contains("odd"));
    assert!(
        refusal("a.txt", b"\xff\xfe\x00\xd8a\0")
            .what
            .english()
            .contains("half a character")
    );
    assert!(refusal("a.docx", b"text").remedy.unwrap().english().contains(".csv"));
    assert!(refusal("noending", b"text").remedy.unwrap().english().contains(".csv"));
}

#[test]
fn a_file_of_five_gigabytes_is_refused_from_its_length() {
    let error = check_size("big.jsonl", 5_000_000_000).unwrap_err();
    assert!(error.to_string().contains("5.0 GB"), "{error}");
    assert!(check_size("small.jsonl", 5_000_000).is_ok());
    assert!(check_size("none.jsonl", 0).is_err());
}

#[test]
fn each_form_is_recognised_by_its_columns() {
    let cases = [
        ("a.jsonl", r#"{"text": "x"}"#, "text"),
        ("a.jsonl", r#"{"content": "x", "id": 3}"#, "text"),
        ("a.json", r#"["one", "two"]"#, "text"),
        (
            "a.jsonl",
            r#"{"instruction": "i", "input": "", "output": "o"}"#,
            "alpaca",
        ),
        (
            "a.json",
            r#"[{"instruction": "i", "output": "o", "history": [["q", "a"]], "system": "s"}]"#,
            "alpaca",
        ),
        (
            "a.jsonl",
            r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#,
            "messages",
        ),
        (
            "a.json",
            r#"[{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}]"#,
            "sharegpt",
        ),
        (
            "a.json",
            r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}"#,
            "messages",
        ),
        (
            "a.json",
            r#"{"version": 1, "data": [{"prompt": "p", "completion": "c"}]}"#,
            "prompt_completion",
        ),
        (
            "a.json",
            "{\"prompt\": \"p\", \"response\": 7}\n{\"prompt\": \"p\", \"response\": true}\n",
            "prompt_completion",
        ),
        ("a.csv", "Question,Answer\nq,a\n", "prompt_completion"),
        ("a.tsv", "prompt\toutput\np\to\n", "prompt_completion"),
        ("a.csv", "prompt;completion\np;c\n", "prompt_completion"),
        ("a.csv", "text\nhello\n", "text"),
    ];
    for (name, content, form) in cases {
        assert_eq!(parse(name, content).info().form, form, "{content}");
    }
}

#[test]
fn empty_rows_are_skipped_with_a_note() {
    let data = parse(
        "a.jsonl",
        "{\"text\": \"one\"}\n\n{\"text\": \"  \"}\n{\"text\": \"two\"}\n",
    );
    assert_eq!(data.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 4]);
    assert!(
        said(&data.notes).contains(&"One empty line was skipped: number 2.".to_string()),
        "{:?}",
        data.notes
    );
    let of_texts = said(&data.text_notes);
    assert!(
        of_texts.contains(&"One empty row was skipped: number 3.".to_string()),
        "{of_texts:?}"
    );
    refusal("a.jsonl", b"{\"text\": \"\"}\n");
    refusal("a.csv", b"prompt,completion\n");
    refusal("a.json", b"[]");
}

#[test]
fn a_bad_row_is_refused_with_its_number_and_field() {
    let cases: &[(&str, &str, usize, Option<&str>)] = &[
        ("a.jsonl", "{\"text\": \"x\"}\n{\"text\": \"x\"\n", 2, None),
        ("a.jsonl", "{\"text\": \"x\"}\n[1]\n", 2, None),
        (
            "a.jsonl",
            "{\"text\": \"x\"}\n{\"text\": {\"deep\": 1}}\n",
            2,
            Some("text"),
        ),
        (
            "a.jsonl",
            "{\"prompt\": \"p\", \"completion\": \"c\"}\n{\"prompt\": \"p\"}\n",
            2,
            Some("completion"),
        ),
        (
            "a.jsonl",
            "{\"prompt\": \"p\", \"completion\": \"c\"}\n{\"prompt\": \"p\", \"completion\": \" \"}\n",
            2,
            Some("completion"),
        ),
        ("a.json", r#"[{"text": "x"}, {"text": ["y"]}]"#, 2, Some("text")),
        ("a.json", "[{\"text\": \"x\"},\n{\"text\" 3}]", 2, None),
        ("a.jsonl", r#"{"messages": "hello"}"#, 1, Some("messages")),
        (
            "a.jsonl",
            r#"{"messages": [{"role": "user", "content": "q"}]}"#,
            1,
            Some("messages"),
        ),
        (
            "a.jsonl",
            r#"{"messages": [{"role": "wizard", "content": "q"}]}"#,
            1,
            Some("messages[0].role"),
        ),
        (
            "a.jsonl",
            r#"{"messages": [{"role": "user"}]}"#,
            1,
            Some("messages[0].content"),
        ),
        (
            "a.jsonl",
            r#"{"messages": [{"content": "x"}]}"#,
            1,
            Some("messages[0].role"),
        ),
        (
            "a.jsonl",
            r#"{"instruction": "i", "output": "o", "history": ["q"]}"#,
            1,
            Some("history"),
        ),
        ("a.csv", "prompt,completion\np,c\np,c,x\n", 3, None),
        ("a.csv", "prompt,completion\np,\n", 2, Some("completion")),
        ("a.csv", ",\np,c\n", 1, None),
        (
            "a.csv",
            "prompt,completion\np,\"c\nnever closed\n",
            2,
            Some("completion"),
        ),
        (
            "a.jsonl",
            "{\"text\": \"x\"}\n{\"text\": \"x\", \"text\": \"y\"}\n",
            2,
            Some("text"),
        ),
        (
            "a.jsonl",
            "{\"text\": \"x\"}\n{\"text\": \"x\", \"Text\": \"y\"}\n",
            2,
            Some("text"),
        ),
    ];
    for (name, content, row, field) in cases {
        let error = refusal(name, content.as_bytes());
        assert_eq!(
            (error.row, error.field_name()),
            (Some(*row), *field),
            "{content}: {error}"
        );
    }
}

#[test]
fn a_json_array_under_the_name_jsonl_is_pointed_out() {
    let error = refusal("a.jsonl", b"[\n{\"text\": \"x\"}\n]");
    assert!(error.remedy.unwrap().english().contains(".json"));
}

#[test]
fn hostile_bytes_never_panic() {
    let mut generator = Generator::new(7, "sample");
    let pieces = [
        "{",
        "}",
        "[",
        "]",
        "\"",
        ",",
        ":",
        "\n",
        "\r",
        "text",
        "prompt",
        "completion",
        "messages",
        "\u{feff}",
        "🦜",
        "\\u0000",
        "1e999",
        ";",
        "\t",
        "null",
    ];
    for round in 0..3000 {
        let mut bytes = Vec::new();
        for _ in 0..generator.below(24) {
            bytes.extend(pieces[generator.below(pieces.len())].as_bytes());
        }
        if generator.below(4) == 0 && !bytes.is_empty() {
            let at = generator.below(bytes.len());
            bytes[at] = generator.next_u64() as u8;
        }
        let name = ["a.txt", "a.jsonl", "a.json", "a.csv", "a.tsv"][round % 5];
        if let Ok(data) = Dataset::parse(name, &bytes) {
            assert!(data.info().rows > 0);
        }
    }
    let deep = "[".repeat(100_000);
    refusal("a.json", deep.as_bytes());
    refusal("a.jsonl", deep.as_bytes());
}

#[test]
fn rows_of_other_tasks_are_no_texts_and_are_read_all_the_same() {
    let lists = parse(
        "a.jsonl",
        r#"{"query": "q", "positive": ["one", "two"], "negative": ["three"]}"#,
    );
    let ranked = lists.ranked().unwrap();
    let documents = [
        ("one".to_owned(), 1.0),
        ("three".to_owned(), 0.0),
        ("two".to_owned(), 1.0),
    ];
    assert_eq!(ranked.queries[0].documents, documents);
    assert_eq!((lists.rows.len(), lists.info().rows), (0, 1));
    // The second column is blank, which matters to nobody who names others.
    let named = parse("a.csv", "code,remark,Message\n1,,one\n2,,two\n");
    assert_eq!(column(&named, "message"), ["one", "two"]);
}

#[test]
fn a_query_has_a_thousand_documents_at_most_the_best_of_them() {
    let mut file = String::from("query,document,grade\n");
    for document in 0..3000 {
        file.push_str(&format!("q,document {document},{}\n", document % 3));
    }
    let ranked = parse("a.csv", &file).ranked().unwrap();
    assert_eq!(ranked.queries[0].documents.len(), 1000);
    assert!(ranked.queries[0].documents.iter().all(|(_, grade)| *grade == 2.0));
    assert!(
        ranked.notes[0]
            .english()
            .contains("Row 2 has a query with more than 1000"),
        "{:?}",
        ranked.notes
    );
}
