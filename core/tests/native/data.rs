//! From a dropped file to batches of tokens.

use lorakeet_core::chat::Conversation;
use lorakeet_core::data::{Content, Dataset, Form, check_size};
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
    assert!(nul.what.contains("NUL") && nul.row == Some(2));
    let latin1 = refusal("a.txt", b"one\nna\xefve\n");
    assert!(latin1.what.contains("UTF-8") && latin1.row == Some(2));
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
    assert!(
        data.notes
            .iter()
            .any(|note| note.contains("'Frage'") && note.contains("'Antwort'"))
    );
    assert!(
        data.notes
            .iter()
            .any(|note| note.contains("Not used of texts to continue: Quelle"))
    );
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
    assert!(
        data.notes.contains(&"One empty row was skipped: number 3.".to_string()),
        "{:?}",
        data.notes
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
        ("a.csv", "prompt,prompt\np,c\n", 1, Some("prompt")),
        ("a.csv", "prompt,\np,c\n", 1, None),
        ("a.csv", "prompt,completion\np,\"c\nnever closed\n", 2, None),
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
            assert!(!data.rows.is_empty());
        }
    }
    let deep = "[".repeat(100_000);
    refusal("a.json", deep.as_bytes());
    refusal("a.jsonl", deep.as_bytes());
}
