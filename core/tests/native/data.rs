//! From a dropped file to batches of tokens.

use lorakeet_core::chat::Conversation;
use lorakeet_core::data::{Columns, Content, Dataset, Form, check_size};
use lorakeet_core::error::{Error, Kind};
use lorakeet_core::random::Generator;

fn parse(name: &str, text: &str) -> Dataset {
    Dataset::parse(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
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
    assert_eq!((data.form, data.rows.len()), (Form::Text, 1));
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
    assert!(refusal("a.txt", b"").what.contains("empty"));
    assert!(refusal("a.txt", b" \r\n\t\n").what.contains("white space"));
    assert!(refusal("a.csv", b"PK\x03\x04rest").what.contains("zip"));
    assert!(refusal("a.txt", b"GGUF\x03\0\0\0").what.contains("GGUF"));
    let nul = refusal("a.txt", b"one\ntwo\0");
    assert!(nul.what.contains("NUL byte in line 2"));
    let latin1 = refusal("a.txt", b"one\nna\xefve\n");
    assert!(latin1.what.contains("in line 2, is not UTF-8"));
    assert!(refusal("a.txt", b"\xff\xfea").what.contains("odd"));
    assert!(
        refusal("a.txt", b"\xff\xfe\x00\xd8a\0")
            .what
            .contains("half a character")
    );
    assert!(refusal("a.docx", b"text").remedy.unwrap().contains(".csv"));
    assert!(refusal("noending", b"text").remedy.unwrap().contains(".csv"));
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
fn conversations_get_the_roles_that_templates_know() {
    let line =
        r#"{"system": "Be brief.", "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}"#;
    let data = parse("a.jsonl", line);
    let Content::Messages(conversation) = &data.rows[0].content else {
        panic!("not a conversation")
    };
    let turns = conversation.messages.iter();
    let roles: Vec<_> = turns
        .map(|turn| (turn["role"].as_str().unwrap(), turn["content"].as_str().unwrap()))
        .collect();
    assert_eq!(roles, [("system", "Be brief."), ("user", "q"), ("assistant", "a")]);
}

/// The conversation of a file's first row.
fn conversation(name: &str, text: &str) -> Conversation {
    match parse(name, text).rows.swap_remove(0).content {
        Content::Messages(conversation) => conversation,
        other => panic!("not a conversation: {other:?}"),
    }
}

#[test]
fn calls_of_functions_become_the_assistants_calls() {
    let row = r#"[{"conversations": [{"from": "human", "value": "How warm is it in Bath?"},
        {"from": "function_call", "value": "{\"name\": \"warmth\", \"arguments\": {\"town\": \"Bath\"}}"},
        {"from": "observation", "value": "{\"degrees\": 17}"}, {"from": "gpt", "value": "Seventeen degrees."}],
        "tools": "[{\"name\": \"warmth\", \"parameters\": {}}]"}]"#;
    let read = conversation("a.json", row);
    let roles: Vec<&str> = (0..read.messages.len()).map(|message| read.role(message)).collect();
    assert_eq!(roles, ["user", "assistant", "tool", "assistant"]);
    let call = serde_json::json!([{"type": "function", "function": {"name": "warmth", "arguments": {"town": "Bath"}}}]);
    assert_eq!(read.messages[1]["tool_calls"], call);
    assert_eq!(read.text(2), r#"{"degrees": 17}"#);
    let tools = serde_json::json!([{"type": "function", "function": {"name": "warmth", "parameters": {}}}]);
    assert_eq!(read.tools, Some(tools));
    // Turns of one side in a row stay as they are; no tools are none.
    let row = r#"{"conversations": [{"from": "human", "value": "a"}, {"from": "human", "value": "b"},
        {"from": "gpt", "value": "c"}, {"from": "gpt", "value": "d"}], "tools": "[]"}"#;
    let read = conversation("a.jsonl", &row.replace('\n', ""));
    assert_eq!((read.messages.len(), read.tools), (4, None));
    let row =
        r#"{"conversations": [{"from": "human", "value": "a"}, {"from": "function_call", "value": "warmth(Bath)"}]}"#;
    let error = refusal("a.jsonl", row.as_bytes());
    assert_eq!(error.field.as_deref(), Some("conversations[1].content"));
    assert!(error.remedy.unwrap().contains("arguments"));
}

#[test]
fn messages_keep_all_their_keys_in_their_order() {
    let row = concat!(
        r#"{"messages": [{"role": "user", "content": "How warm?", "tool_calls": null}, "#,
        r#"{"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "#,
        r#""function": {"name": "warmth", "arguments": {"town": null}}}], "reasoning_content": "Ask."}, "#,
        r#"{"tool_call_id": "c1", "role": "tool", "name": "warmth", "content": 17}, "#,
        r#"{"role": "assistant", "content": "17."}], "tools": [{"type": "function", "function": {"name": "warmth"}}], "#,
        r#""chat_template_kwargs": {"enable_thinking": false}}"#
    );
    let read = conversation("a.jsonl", row);
    let shown = |message: usize| serde_json::to_string(&read.messages[message]).unwrap();
    assert_eq!(shown(0), r#"{"role":"user","content":"How warm?"}"#);
    assert_eq!(
        shown(1),
        r#"{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"warmth","arguments":{"town":null}}}],"reasoning_content":"Ask."}"#
    );
    assert_eq!(
        shown(2),
        r#"{"tool_call_id":"c1","role":"tool","name":"warmth","content":"17"}"#
    );
    assert_eq!(read.tools.unwrap()[0]["function"]["name"], "warmth");
    assert_eq!(read.names["enable_thinking"], false);
    for (row, field) in [
        (
            r#"{"messages": [{"role": "assistant", "content": null}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": null, "tool_calls": []}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"messages": [{"role": "user", "content": null, "tool_calls": [1]}]}"#,
            "messages[0].content",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": "a"}], "tools": "warmth"}"#,
            "tools",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": "a"}], "tools": [1]}"#,
            "tools",
        ),
        (
            r#"{"messages": [{"role": "assistant", "content": "a"}], "chat_template_kwargs": [1]}"#,
            "chat_template_kwargs",
        ),
    ] {
        assert_eq!(
            refusal("a.jsonl", row.as_bytes()).field.as_deref(),
            Some(field),
            "{row}"
        );
    }
}

#[test]
fn parts_of_texts_are_read_and_others_refused_by_their_type() {
    let row = concat!(
        r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "Where "}, {"type": "text", "text": "is she?"}]}, "#,
        r#"{"role": "assistant", "content": [{"type": "text", "text": "At Barton."}]}]}"#
    );
    let read = conversation("a.jsonl", row);
    assert_eq!(
        (read.text(0).as_str(), read.text(1).as_str()),
        ("Where is she?", "At Barton.")
    );
    assert!(read.messages[0]["content"].is_array());
    let row = concat!(
        r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}]}, "#,
        r#"{"role": "assistant", "content": "b"}]}"#
    );
    let error = refusal("a.jsonl", row.as_bytes());
    assert_eq!(
        (error.row, error.field.as_deref()),
        (Some(1), Some("messages[0].content"))
    );
    assert!(error.what.contains("'image_url'"), "{error}");
    let blank = r#"{"messages": [{"role": "assistant", "content": [{"type": "text", "text": " "}]}]}"#;
    assert!(refusal("a.jsonl", blank.as_bytes()).what.contains("no answer"));
}

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
    let notes = &data.text_notes;
    assert!(
        notes
            .iter()
            .any(|note| note.contains("'Frage'") && note.contains("'Antwort'"))
    );
    assert!(notes.contains(&"Not used: Quelle.".to_owned()), "{notes:?}");
    let error = refusal("a.jsonl", br#"{"frage": "q", "antwort": "a"}"#);
    assert!(error.what.contains("frage, antwort"));
}

#[test]
fn empty_rows_are_skipped_with_a_note() {
    let data = parse(
        "a.jsonl",
        "{\"text\": \"one\"}\n\n{\"text\": \"  \"}\n{\"text\": \"two\"}\n",
    );
    assert_eq!(data.rows.iter().map(|row| row.number).collect::<Vec<_>>(), [1, 4]);
    assert!(
        data.notes
            .contains(&"One empty line was skipped: number 2.".to_string()),
        "{:?}",
        data.notes
    );
    let of_texts = &data.text_notes;
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
            (error.row, error.field.as_deref()),
            (Some(*row), *field),
            "{content}: {error}"
        );
    }
}

#[test]
fn a_json_array_under_the_name_jsonl_is_pointed_out() {
    let error = refusal("a.jsonl", b"[\n{\"text\": \"x\"}\n]");
    assert!(error.remedy.unwrap().contains(".json"));
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

fn column(data: &Dataset, name: &str) -> Vec<String> {
    let others = data.columns.iter().filter(|other| !other.eq_ignore_ascii_case(name));
    let columns = Columns {
        texts: vec![name.to_owned()],
        labels: others.take(1).cloned().collect(),
        ..Columns::default()
    };
    let read = data.labelled(&columns).unwrap_or_else(|error| panic!("{error}"));
    read.rows.into_iter().map(|row| row.text).collect()
}

#[test]
fn columns_without_a_name_are_called_as_in_pandas_and_are_no_text_and_no_label() {
    // DataFrame.to_csv writes the index in front; a spreadsheet leaves separators behind.
    let pandas = parse("a.csv", ",text,label\n0,one,a\n1,two,b\n");
    assert_eq!(pandas.columns, ["Unnamed: 0", "text", "label"]);
    assert!(pandas.notes[0].contains("'Unnamed: 0'"), "{:?}", pandas.notes);
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
    assert_eq!(labelled.notes, ["The column 'Satz' is taken as the text."]);
    let numbers = parse("a.csv", ",x,y,label\n0,1,2,a\n1,3,4,b\n")
        .numeric(&Columns::default())
        .unwrap();
    assert_eq!(numbers.rows[1].numbers.to_vec(), [3.0, 4.0]);
}

#[test]
fn columns_of_one_name_are_told_apart_and_named() {
    let data = parse("a.csv", "text,Label,label,label.1,label\none,a,b,c,d\n");
    assert_eq!(data.columns, ["text", "Label", "label.2", "label.1", "label.3"]);
    let note = &data.notes[0];
    assert!(note.contains("'label.2', 'label.3'"), "{note}");
    assert_eq!(column(&data, "label.3"), ["d"]);
    let alike = parse("a.jsonl", "{\"Text\": \"x\"}\n{\"text\": \"y\"}\n");
    assert_eq!(alike.notes, ["'Text' and 'text' are taken for one column."]);
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
        data.notes[0].contains("Row 2") && data.notes[0].contains(".csv"),
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
    assert_eq!((error.row, error.field.as_deref()), (Some(3), Some("text")));
    assert!(
        error.what.contains("line 3") && error.what.contains("line 5"),
        "{error}"
    );
    let behind = refusal("a.csv", b"label,text\na,\"Bye\" said she\n");
    assert!(behind.what.contains("text follows:  said she"), "{behind}");
    let open = refusal("a.csv", b"label,text\na,x\nb,\"Hello\na,y\n");
    assert_eq!((open.row, open.field.as_deref()), (Some(3), Some("text")));
    assert!(open.what.contains("line 3 is never closed"), "{open}");
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
        short.notes,
        ["Row 2 and 1 more have fewer fields than the header; those that are missing are empty."]
    );
    let without_mark: Vec<u8> = rows.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(refusal("a.csv", &without_mark).remedy.unwrap().contains("UTF-8"));
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
        ranked.notes[0].contains("Row 2 has a query with more than 1000"),
        "{:?}",
        ranked.notes
    );
}

#[test]
fn errors_and_notes_name_no_more_columns_than_can_be_read() {
    let header: Vec<String> = (0..100_000).map(|column| format!("column{column}")).collect();
    let file = format!("{}\n{}\n", header.join(","), vec!["x"; header.len()].join(","));
    let data = parse("a.csv", &file);
    let error = data.labelled(&Columns::default()).unwrap_err();
    assert!(
        error.to_string().len() < 1000 && error.what.contains("99980 more"),
        "{error}"
    );
    assert!(data.text_notes.iter().all(|note| note.len() < 1000));
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
    assert_eq!(labelled.notes, ["Not used: id, remark."]);
    assert_eq!(data.text_notes, ["Not used: id, label, remark."]);
    let ranked = parse("a.csv", "query,document,grade,source\nq,d,1,s\n")
        .ranked()
        .unwrap();
    assert_eq!(ranked.notes, ["Not used: source."]);
    let words = parse("a.jsonl", r#"{"tokens": ["a"], "tags": ["x"], "id": 3}"#);
    assert_eq!(words.tagged(&Columns::default()).unwrap().notes, ["Not used: id."]);
    let chosen = Columns {
        texts: vec!["x".into()],
        labels: vec!["z".into()],
        ..Columns::default()
    };
    let numbers = parse("a.csv", "x,y,z\n1,2,a\n3,4,b\n").numeric(&chosen).unwrap();
    assert_eq!(numbers.notes, ["Not used: y."]);
}
