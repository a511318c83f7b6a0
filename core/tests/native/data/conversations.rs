//! Conversations, whoever wrote them.

use super::{parse, refusal};
use lorakeet_core::chat::Conversation;
use lorakeet_core::data::Content;

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
        Content::Messages(conversation) => *conversation,
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
    assert_eq!(error.field_name(), Some("conversations[1].content"));
    assert!(error.remedy.unwrap().english().contains("arguments"));
}

#[test]
fn weights_are_zero_or_one_and_of_answers() {
    let row = |user: &str, first: &str, last: &str| {
        format!(
            r#"{{"messages": [{{"role": "user", "content": "q"{user}}}, {{"role": "assistant", "content": "a"{first}}}, {{"role": "assistant", "content": "b"{last}}}]}}"#
        )
    };
    let read = conversation("a.jsonl", &row("", r#", "weight": 0"#, r#", "weight": 1"#));
    assert_eq!(read.learnt_answers(), [false, true]);
    for (text, field, words) in [
        (row("", r#", "weight": 0.5"#, ""), "messages[1].weight", "0.5"),
        (row("", "", r#", "weight": "0""#), "messages[2].weight", "only 0 and 1"),
        (row(r#", "weight": 0"#, "", ""), "messages[0].weight", "user"),
        (
            row("", r#", "weight": 0"#, r#", "weight": 0"#),
            "messages",
            "every answer",
        ),
    ] {
        let error = refusal("a.jsonl", text.as_bytes());
        assert_eq!(error.field_name(), Some(field), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
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
        assert_eq!(refusal("a.jsonl", row.as_bytes()).field_name(), Some(field), "{row}");
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
    assert_eq!((error.row, error.field_name()), (Some(1), Some("messages[0].content")));
    assert!(error.what.english().contains("'image_url'"), "{error}");
    let blank = r#"{"messages": [{"role": "assistant", "content": [{"type": "text", "text": " "}]}]}"#;
    assert!(
        refusal("a.jsonl", blank.as_bytes())
            .what
            .english()
            .contains("no answer")
    );
}
