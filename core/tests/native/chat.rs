//! Chat templates: rendered as transformers renders them, and answers told from the rest.

use crate::common::{golden, json};
use lorakeet_core::chat::{ChatTemplate, Conversation, assistant_mask};
use lorakeet_core::protocol::ChatMessage;

const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + \
    '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

fn messages(turns: &[(&str, &str)]) -> Vec<ChatMessage> {
    let turn = |(role, content): &(&str, &str)| ChatMessage {
        role: (*role).into(),
        content: (*content).into(),
    };
    turns.iter().map(turn).collect()
}

fn template(source: &str) -> ChatTemplate {
    ChatTemplate::new(source, Some("<s>"), Some("</s>")).unwrap()
}

/// The texts that the template gives to the assistant.
fn answers(source: &str, turns: &[(&str, &str)]) -> Vec<String> {
    let rendered = template(source).apply_with_spans(&messages(turns)).unwrap();
    rendered
        .generation_spans
        .iter()
        .map(|span| rendered.text[span.clone()].to_string())
        .collect()
}

#[test]
fn golden_conversations_render_to_the_byte_with_and_without_marks() {
    let chats = json(golden("F/smollm2_tokenizer/chats.json"));
    for key in ["chat_template", "template_with_generation_marks"] {
        let template = template(chats[key].as_str().unwrap());
        for case in chats["conversations"].as_array().unwrap() {
            let messages: Vec<ChatMessage> = serde_json::from_value(case["messages"].clone()).unwrap();
            assert_eq!(
                template.apply(&messages, false).unwrap(),
                case["text"].as_str().unwrap(),
                "{key}"
            );
            let prompt = template.apply(&messages[..messages.len() - 1], true).unwrap();
            assert_eq!(
                prompt,
                case["text_without_last_answer_plus_generation_prompt"]
                    .as_str()
                    .unwrap(),
                "{key}"
            );
            let rendered = template.apply_with_spans(&messages).unwrap();
            let said: Vec<String> = messages
                .iter()
                .filter(|message| message.role == "assistant")
                .map(|message| format!("{}<|im_end|>", message.content))
                .collect();
            let found: Vec<&str> = rendered
                .generation_spans
                .iter()
                .map(|span| &rendered.text[span.clone()])
                .collect();
            assert_eq!(found, said, "{key}");
        }
    }
}

#[test]
fn an_answer_ends_with_its_end_of_turn_token() {
    let turns = [
        ("user", "Hi"),
        ("assistant", "Hello!\n"),
        ("user", "Bye"),
        ("assistant", ""),
    ];
    assert_eq!(answers(CHATML, &turns), ["Hello!\n<|im_end|>", "<|im_end|>"]);
}

#[test]
fn a_template_without_a_generation_prompt_and_with_trimming_works() {
    let llama2 = "{% for m in messages %}{% if m.role == 'user' %}{{ bos_token + '[INST] ' + m.content.strip() + ' [/INST]' }}\
        {% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}";
    let turns = [("user", " a "), ("assistant", " b "), ("user", "c"), ("assistant", "d")];
    assert_eq!(answers(llama2, &turns), [" b </s>", " d </s>"]);
}

#[test]
fn an_answer_with_a_thinking_block_in_the_last_turn_only_is_found_in_every_turn() {
    let thinking = "{% for m in messages %}{{ '<' + m.role + '>' }}{% if m.role == 'assistant' and loop.last %}\
        {{ '<think></think>' }}{% endif %}{{ m.content + '<end>\n' }}{% endfor %}\
        {% if add_generation_prompt %}{{ '<assistant>' }}{% endif %}";
    let turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")];
    assert_eq!(answers(thinking, &turns), ["b<end>", "<think></think>d<end>"]);
}

#[test]
fn answers_that_a_template_drops_are_an_error_with_a_way_out() {
    let dropping = "{% for m in messages %}{% if m.role == 'user' %}{{ m.content }}{% endif %}{% endfor %}";
    let error = template(dropping).apply_with_spans(&messages(&[("user", "a"), ("assistant", "b")]));
    assert!(error.unwrap_err().to_string().contains("completion_only_loss"));
}

#[test]
fn white_space_around_block_tags_follows_transformers_settings() {
    let source = "{% for m in messages %}\n    {% if true %}\n{{ m.content }}\n    {% endif %}\n{% endfor %}\n";
    assert_eq!(
        template(source)
            .apply(&messages(&[("user", "a"), ("user", "b")]), false)
            .unwrap(),
        "a\nb\n"
    );
    let marked =
        "{% for m in messages %}\n  {%- generation -%}\n {{ m.content }}\n  {%- endgeneration %}\n|{% endfor %}";
    assert_eq!(
        template(marked).apply(&messages(&[("assistant", "a")]), false).unwrap(),
        "a|"
    );
}

#[test]
fn a_template_refuses_with_its_own_words() {
    let source = "{{ raise_exception('roles must alternate') }}";
    let error = template(source)
        .apply(&messages(&[("user", "a")]), false)
        .unwrap_err()
        .to_string();
    assert!(error.contains("roles must alternate"), "{error}");
    assert!(
        ChatTemplate::new("{% for %}", None, None)
            .unwrap_err()
            .to_string()
            .contains("line 1")
    );
}

#[test]
fn json_is_written_as_python_writes_it() {
    let source = "{{ messages | tojson }}|{{ messages[0].content | tojson(ensure_ascii=False) }}";
    let text = template(source)
        .apply(&messages(&[("user", "<a & \"b\"> é \\u003c '")]), false)
        .unwrap();
    let content = r#""<a & \"b\"> é \\u003c '""#;
    assert_eq!(text, format!(r#"[{{"role": "user", "content": {content}}}]|{content}"#));
}

#[test]
fn pythons_string_methods_work() {
    let source = "{{ messages[0].content.split('</think>')[-1].lstrip('\n').startswith('x') }}{{ messages[0]['tools'] is defined }}\
        {% set ns = namespace(n=0) %}{% for m in messages[::-1] %}{% set ns.n = ns.n + 1 %}{% if ns.n == 1 %}{% continue %}\
        {% endif %}{{ m.role }}{% endfor %}";
    let text = template(source)
        .apply(&messages(&[("user", "</think>\nxy"), ("assistant", "b")]), false)
        .unwrap();
    assert_eq!(text.to_lowercase(), "truefalseuser");
}

#[test]
fn the_date_is_the_same_on_every_day() {
    let source = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y, %A %H:%M') }}{% else %}fixed{% endif %}";
    let template = template(source);
    assert!(template.asks_for_date());
    assert_eq!(template.apply(&[], false).unwrap(), "26 Jul 2024, Friday 00:00");
}

#[test]
fn a_template_that_does_not_end_is_stopped() {
    let endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = a * b %}{% endfor %}{% endfor %}";
    let error = template(endless).apply(&[], false).unwrap_err().to_string();
    assert!(error.contains("does not end"), "{error}");
    let recursive = "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}";
    assert!(template(recursive).apply(&[], false).is_err());
}

#[test]
fn tokens_that_touch_a_span_are_the_assistants() {
    let mask = assistant_mask(&[0..3, 3..5, 5..9, 9..10], std::slice::from_ref(&(4..9)));
    assert_eq!(mask, [false, true, true, false]);
}

#[test]
fn tokens_of_nothing_but_space_belong_to_the_span_that_they_end_in() {
    let mask = assistant_mask(&[4..4, 5..5, 9..9, 10..10], std::slice::from_ref(&(4..9)));
    assert_eq!(mask, [false, true, true, false]);
}

#[test]
fn a_template_is_told_whether_to_think_where_a_conversation_does_not_say_it() {
    let source = "{% for m in messages %}{{ m.content }}{% endfor %}\
                  {% if enable_thinking is defined and not enable_thinking %}<no>{% endif %}";
    let mut switch = template(source);
    let turns = messages(&[("user", "a")]);
    assert!(switch.has_thinking_switch() && !template(CHATML).has_thinking_switch());
    assert_eq!(switch.apply(&turns, true).unwrap(), "a");
    switch.enable_thinking(Some(false));
    assert_eq!(switch.apply(&turns, true).unwrap(), "a<no>");
    let mut said = Conversation::from(turns.as_slice());
    said.names.insert("enable_thinking".into(), true.into());
    assert_eq!(switch.lay_out(&said, true).unwrap(), "a", "the row's own word counts");
    assert!(!switch.is_told_in_vain());
    let mut plain = template(CHATML);
    plain.enable_thinking(Some(true));
    assert!(plain.is_told_in_vain());
}
