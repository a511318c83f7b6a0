//! From rows to tokens, labels and batches.

mod batches;
mod packed;

use crate::common::examples;
use lorakeet_core::chat::ChatTemplate;
use lorakeet_core::data::{Dataset, Example, Settings, preview, prompt_text};
use lorakeet_core::error::Kind;
use lorakeet_core::loss::IGNORE_INDEX;
use lorakeet_core::random::Generator;
use lorakeet_core::tokenizer::Tokenizer;
use lorakeet_i18n::Message;

fn parse(name: &str, text: &str) -> Dataset {
    Dataset::parse(name, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

const CHATML: &str = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] \
                      + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}\
                      {{ '<|im_start|>assistant\n' }}{% endif %}";

/// A byte-level tokenizer with a token a byte, a few merges, GPT-2's way of cutting words, and three special tokens.
fn tokenizer() -> Tokenizer {
    let mut spare = 0x100;
    let mut names = Vec::new();
    for byte in 0..=255_u8 {
        let shown = matches!(byte, b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff);
        let name = if shown {
            char::from(byte)
        } else {
            char::from_u32(spare).unwrap()
        };
        spare += u32::from(!shown);
        names.push(name.to_string());
    }
    let merges = [
        ("t", "h"),
        ("th", "e"),
        ("Ġ", "the"),
        ("a", "n"),
        ("an", "d"),
        ("Ġ", "and"),
        ("Ċ", "Ċ"),
    ];
    let mut vocabulary: Vec<String> = names;
    vocabulary.extend(merges.iter().map(|(left, right)| format!("{left}{right}")));
    let specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"];
    let added: Vec<serde_json::Value> = specials
        .iter()
        .enumerate()
        .map(|(at, content)| {
            serde_json::json!({"id": vocabulary.len() + at, "content": content, "special": true, "normalized": false,
                "single_word": false, "lstrip": false, "rstrip": false})
        })
        .collect();
    let vocabulary: serde_json::Map<String, serde_json::Value> = vocabulary
        .into_iter()
        .enumerate()
        .map(|(id, token)| (token, id.into()))
        .collect();
    let merges: Vec<String> = merges.iter().map(|(left, right)| format!("{left} {right}")).collect();
    let byte_level = |prefix: bool| serde_json::json!({"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true});
    let json = serde_json::json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added, "normalizer": null,
        "pre_tokenizer": byte_level(false), "post_processor": null, "decoder": byte_level(true),
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": merges},
    });
    let mut tokenizer = Tokenizer::from_json(json.to_string().as_bytes()).unwrap();
    tokenizer
        .name_special_tokens(&serde_json::json!({"eos_token": "<|endoftext|>"}))
        .unwrap();
    tokenizer
}

fn settings(cutoff_len: usize, packing: bool) -> Settings {
    Settings {
        cutoff_len,
        packing,
        max_samples: None,
        completion_only_loss: true,
        add_eos: true,
    }
}

fn made(data: &Dataset, template: Option<&ChatTemplate>, settings: &Settings) -> (Vec<Example>, Vec<String>) {
    let made =
        examples(data, &tokenizer(), template, settings, &mut |_, _| {}).unwrap_or_else(|error| panic!("{error}"));
    (made.items, made.notes.iter().map(Message::english).collect())
}

/// The text of the tokens that are trained on.
fn learnt(example: &Example) -> String {
    let ids: Vec<u32> = example
        .labels
        .iter()
        .filter(|&&label| label != IGNORE_INDEX)
        .map(|&label| label as u32)
        .collect();
    tokenizer().decode(&ids, false).unwrap()
}

fn whole(example: &Example) -> String {
    tokenizer().decode(&example.input_ids, false).unwrap()
}

fn chatml() -> ChatTemplate {
    ChatTemplate::new(CHATML, None, Some("<|im_end|>")).unwrap()
}

#[test]
fn a_completion_is_learnt_with_its_end_and_the_prompt_is_not() {
    let data = parse(
        "a.jsonl",
        r#"{"prompt": "Name a bird 🦆:", "completion": " the parakeet 🦜"}"#,
    );
    let (items, _) = made(&data, None, &settings(256, false));
    assert_eq!(whole(&items[0]), "Name a bird 🦆: the parakeet 🦜<|endoftext|>");
    assert_eq!(learnt(&items[0]), " the parakeet 🦜<|endoftext|>");
    let all = Settings {
        completion_only_loss: false,
        ..settings(256, false)
    };
    assert_eq!(learnt(&made(&data, None, &all).0[0]), whole(&items[0]));
}

#[test]
fn a_line_break_parts_a_prompt_from_a_completion_that_would_stick_to_it() {
    let data = parse("a.csv", "question,answer\nWho?,Me\n");
    let (items, _) = made(&data, None, &settings(256, false));
    assert_eq!(
        (whole(&items[0]).as_str(), learnt(&items[0]).as_str()),
        ("Who?\nMe<|endoftext|>", "Me<|endoftext|>")
    );
    assert_eq!(prompt_text(&data.rows[0].content, None).unwrap().unwrap(), "Who?\n");
}

#[test]
fn alpaca_rows_get_the_published_layout_and_only_answers_are_learnt() {
    let line = r#"{"instruction": "Add.", "input": "1 and 2", "output": "3", "history": [["Hi", "Hello"]]}"#;
    let (items, notes) = made(&parse("a.jsonl", line), None, &settings(600, false));
    let text = whole(&items[0]);
    assert!(text.starts_with("Below is an instruction that describes a task, paired with an input"));
    assert!(
        text.ends_with("### Instruction:\nAdd.\n\n### Input:\n1 and 2\n\n### Response:\n3<|endoftext|>"),
        "{text}"
    );
    assert_eq!(learnt(&items[0]), "Hello<|endoftext|>3<|endoftext|>");
    assert!(notes.iter().any(|note| note.contains("no chat template")));
}

#[test]
fn conversations_without_a_template_are_written_as_lines() {
    let line = r#"{"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]}"#;
    let (items, _) = made(&parse("a.json", line), None, &settings(256, false));
    assert_eq!(
        whole(&items[0]),
        "S\n\nUser: q\nAssistant: a<|endoftext|>\nUser: r\nAssistant: b<|endoftext|>"
    );
    assert_eq!(learnt(&items[0]), "a<|endoftext|>b<|endoftext|>");
}

#[test]
fn a_chat_template_lays_out_every_form_and_answers_end_with_their_turn() {
    let template = chatml();
    let rows = [
        r#"{"prompt": "q 🦆", "completion": " a 🦜"}"#,
        r#"{"instruction": "q", "input": "🦆", "output": " a 🦜"}"#,
        r#"{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": " a 🦜"}, {"role": "user", "content": "x"}]}"#,
    ];
    for row in rows {
        let data = parse("a.jsonl", row);
        let (items, _) = made(&data, Some(&template), &settings(256, false));
        assert!(
            whole(&items[0]).starts_with("<|im_start|>user\nq"),
            "{}",
            whole(&items[0])
        );
        assert_eq!(learnt(&items[0]), " a 🦜<|im_end|>", "{row}");
        let prompt = prompt_text(&data.rows[0].content, Some(&template)).unwrap().unwrap();
        assert!(prompt.ends_with("<|im_end|>\n<|im_start|>assistant\n"), "{prompt}");
        assert!(whole(&items[0]).starts_with(&prompt));
    }
}

#[test]
fn labels_never_stand_outside_answers() {
    let mut generator = Generator::new(13, "sample");
    let words = ["the", " and", "🦜", "\n", " ", "x", "é", "\n\n", "Assistant: ", "."];
    let mut say = |mark: char| -> String {
        let words: String = (0..generator.below(8))
            .map(|_| words[generator.below(words.len())])
            .collect();
        format!("{mark}{words}{mark}")
    };
    let template = chatml();
    for round in 0..60 {
        // Everything that is not an answer is marked with Q, and answers with A: no Q may be learnt, and every A must.
        let mut turns = vec![serde_json::json!({"role": "system", "content": say('Q')})];
        let rounds = 1 + round % 3;
        for _ in 0..rounds {
            turns.push(serde_json::json!({"role": "user", "content": say('Q')}));
            turns.push(serde_json::json!({"role": "assistant", "content": say('A')}));
        }
        let row = serde_json::json!({"messages": turns}).to_string();
        let data = parse("a.jsonl", &row);
        for template in [Some(&template), None] {
            let (items, _) = made(&data, template, &settings(4096, false));
            let learnt = learnt(&items[0]);
            assert!(
                !learnt.contains('Q') && !learnt.contains("system") && !learnt.contains("user"),
                "{learnt:?}"
            );
            // "Assistant: " may be said, too, but each answer brings exactly two marks of its own besides.
            let marks = learnt.matches('A').count() - learnt.matches("Assistant").count();
            assert_eq!(marks, 2 * rounds, "{learnt:?}");
        }
    }
}

#[test]
fn truncation_keeps_the_start_and_says_so() {
    let data = parse(
        "a.jsonl",
        "{\"prompt\": \"12345\", \"completion\": \" 789012345\"}\n{\"prompt\": \"1\", \"completion\": \"2\"}\n",
    );
    let (items, notes) = made(&data, None, &settings(8, false));
    assert_eq!(whole(&items[0]), "12345 78");
    assert_eq!((items[0].truncated, items[1].truncated), (true, false));
    assert!(
        notes
            .iter()
            .any(|note| note.contains("Cut at 8 tokens: 1 of 2 rows; the longest has 16")),
        "{notes:?}"
    );
}

#[test]
fn a_row_without_anything_left_to_learn_is_dropped_with_a_note() {
    let data = parse(
        "a.jsonl",
        "{\"prompt\": \"1\", \"completion\": \"2\"}\n{\"prompt\": \"12345678\", \"completion\": \" 9\"}\n",
    );
    let (items, notes) = made(&data, None, &settings(8, false));
    assert_eq!(items.iter().map(|item| item.row).collect::<Vec<_>>(), [1]);
    assert!(
        notes
            .iter()
            .any(|note| note.contains("within cutoff_len: 1") && note.contains("row 2")),
        "{notes:?}"
    );
}

#[test]
fn data_in_which_every_token_is_masked_is_refused_with_what_to_raise() {
    let data = parse(
        "a.jsonl",
        "{\"prompt\": \"12345678\", \"completion\": \" 9\"}\n{\"prompt\": \"1234567890\", \"completion\": \" 9\"}\n",
    );
    let error = examples(&data, &tokenizer(), None, &settings(8, false), &mut |_, _| {}).unwrap_err();
    assert_eq!(error.field_name(), Some("cutoff_len"));
    assert!(error.to_string().contains("above 9"), "{error}");
    let error = examples(&data, &tokenizer(), None, &settings(1, false), &mut |_, _| {}).unwrap_err();
    assert_eq!(error.kind, Kind::Config);
}

#[test]
fn a_long_text_cut_into_pieces_has_the_tokens_of_the_whole() {
    let mut generator = Generator::new(19, "sample");
    let words = ["the", " and", "🦜", "\n", "  ", " the", "é", "\n\n", "and ", "."];
    let text: String = (0..60_000).map(|_| words[generator.below(words.len())]).collect();
    assert!(text.len() > 150_000);
    let data = parse("a.txt", &text);
    let whole = Settings {
        add_eos: false,
        ..settings(1 << 30, true)
    };
    let (items, _) = made(&data, None, &whole);
    assert_eq!(items[0].input_ids, tokenizer().encode(&text, false).unwrap());
}

#[test]
fn progress_counts_the_rows() {
    let data = parse("a.jsonl", "{\"text\": \"12\"}\n{\"text\": \"34\"}\n");
    let mut seen = Vec::new();
    examples(&data, &tokenizer(), None, &settings(8, false), &mut |done, total| {
        seen.push((done, total))
    })
    .unwrap();
    assert_eq!(seen, [(0, 2), (1, 2), (2, 2)]);
}

#[test]
fn a_preview_reads_as_the_text_and_marks_what_is_learnt() {
    let data = parse("a.jsonl", r#"{"prompt": "Say\nthe", "completion": " and 🦜."}"#);
    let (items, _) = made(&data, None, &settings(256, false));
    let shown = preview(&items[0], &tokenizer()).unwrap();
    assert_eq!(shown.tokens.len(), items[0].input_ids.len());
    let text: String = shown.tokens.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(text, "Say\nthe and 🦜.<|endoftext|>");
    let learnt = shown.tokens.iter().filter(|(_, trained)| *trained);
    let learnt: String = learnt.map(|(text, _)| text.as_str()).collect();
    assert_eq!(learnt, " and 🦜.<|endoftext|>");
    assert!(shown.tokens.iter().any(|(text, _)| text == " and"));
}

#[test]
fn a_preview_of_bytes_that_are_no_text_ends() {
    let ids: Vec<u32> = (128..256).chain(0..40).collect();
    let labels = ids.iter().map(|&id| id as i32).collect();
    let example = Example {
        input_ids: ids,
        labels,
        row: 1,
        truncated: true,
        ..Example::default()
    };
    let shown = preview(&example, &tokenizer()).unwrap();
    assert_eq!((shown.tokens.len(), shown.truncated), (168, true));
    let text: String = shown.tokens.iter().map(|(text, _)| text.as_str()).collect();
    assert!(
        text.starts_with("<0x80><0x81>") && text.ends_with("\u{1e}\u{1f} !\"#$%&'"),
        "{text}"
    );
    assert!(!text.contains('\u{fffd}'), "{text}");
}

#[test]
fn a_call_is_learnt_and_its_result_is_not() {
    let source = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}{{ m.content or '' }}{% for call in m.tool_calls or [] %}\
                  {{ call.function | tojson }}{% endfor %}{{ '<|im_end|>\n' }}{% endfor %}\
                  {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
    let template = ChatTemplate::new(source, None, Some("<|im_end|>")).unwrap();
    let row = concat!(
        r#"{"messages": [{"role": "user", "content": "How warm?"}, {"role": "assistant", "content": null, "tool_calls": "#,
        r#"[{"type": "function", "function": {"name": "warmth", "arguments": {"town": "Bath"}}}]}, "#,
        r#"{"role": "tool", "content": "17"}, {"role": "assistant", "content": "Warm."}]}"#
    );
    let data = parse("a.jsonl", row);
    let learnt = |template: Option<&ChatTemplate>| -> String {
        let (items, _) = made(&data, template, &settings(512, false));
        let shown = preview(&items[0], &tokenizer()).unwrap();
        let learnt = shown.tokens.iter().filter(|(_, trained)| *trained);
        learnt.map(|(text, _)| text.as_str()).collect()
    };
    assert_eq!(
        learnt(Some(&template)),
        r#"{"name": "warmth", "arguments": {"town": "Bath"}}<|im_end|>Warm.<|im_end|>"#
    );
    // Without a template calls are JSON, too.
    let plain = learnt(None);
    assert!(
        plain.starts_with("Calls: [{") && plain.ends_with("Warm.<|endoftext|>"),
        "{plain}"
    );
    let date = ChatTemplate::new(
        "{{ strftime_now('%Y') }}{% for m in messages %}{{ m.content }}{% endfor %}",
        None,
        None,
    );
    let (_, notes) = made(
        &data,
        Some(&date.unwrap()),
        &Settings {
            completion_only_loss: false,
            ..settings(512, false)
        },
    );
    assert!(notes.iter().any(|note| note.contains("26 July 2024")), "{notes:?}");
}

#[test]
fn a_preview_shows_characters_of_several_bytes_whole() {
    let data = parse(
        "a.jsonl",
        "{\"prompt\": \"你好\", \"completion\": \" 世界 🙂 à \u{fffd}!\"}",
    );
    let (items, _) = made(&data, None, &settings(256, false));
    let shown = preview(&items[0], &tokenizer()).unwrap();
    assert_eq!(shown.tokens.len(), items[0].input_ids.len());
    let texts: Vec<&str> = shown.tokens.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(texts.concat(), "你好 世界 🙂 à \u{fffd}!<|endoftext|>");
    assert!(texts.contains(&"你") && texts.contains(&"🙂"), "{texts:?}");
    // Cut within a character: its bytes are shown, not a sign that stands for none.
    let cut = Example {
        input_ids: items[0].input_ids[..2].to_vec(),
        labels: items[0].labels[..2].to_vec(),
        ..items[0].clone()
    };
    let shown = preview(&cut, &tokenizer()).unwrap();
    let text: String = shown.tokens.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(text, "<0xE4><0xBD>");
}

#[test]
fn everything_is_learnt_where_that_is_asked_for() {
    let all = Settings {
        completion_only_loss: false,
        ..settings(256, false)
    };
    // Nobody can tell where this template puts an answer, but all of it can be trained on.
    let odd = ChatTemplate::new(
        "{{ messages | map(attribute='content') | join('.') | upper }}.",
        None,
        None,
    )
    .unwrap();
    let data = parse("a.jsonl", r#"{"prompt": "the", "completion": "and"}"#);
    assert_eq!(learnt(&made(&data, Some(&odd), &all).0[0]), "THE.AND.");
    assert!(examples(&data, &tokenizer(), Some(&odd), &settings(256, false), &mut |_, _| {}).is_err());
    // Here it is what is written for the message, whatever becomes of its words.
    let upper = ChatTemplate::new(
        "{% for m in messages %}{{ m.content | upper }}.{% endfor %}",
        None,
        None,
    )
    .unwrap();
    assert_eq!(learnt(&made(&data, Some(&upper), &settings(256, false)).0[0]), "AND.");
    assert!(learnt(&made(&data, Some(&chatml()), &all).0[0]).starts_with("<|im_start|>user\nthe"));
}

#[test]
fn an_answer_of_weight_zero_is_read_and_not_learnt() {
    let row = r#"{"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "First.", "weight": 0},
        {"role": "user", "content": "Two?"}, {"role": "assistant", "content": "Second."}]}"#;
    let data = parse("a.jsonl", &row.replace('\n', ""));
    let template = chatml();
    for template in [None, Some(&template)] {
        let of = |completion_only_loss| {
            let settings = Settings {
                completion_only_loss,
                ..settings(200, false)
            };
            let (items, _) = made(&data, template, &settings);
            assert!(whole(&items[0]).contains("First."), "it is there to be read");
            learnt(&items[0])
        };
        let answers = of(true);
        assert!(
            answers.contains("Second.") && !answers.contains("First.") && !answers.contains("Two?"),
            "{answers}"
        );
        let all = of(false);
        assert!(
            all.contains("Second.") && all.contains("Two?") && !all.contains("First."),
            "{all}"
        );
    }
    let error = lorakeet_core::data::plain_rows(&data).expect_err("others would learn it");
    assert_eq!((error.row, error.field_name()), (Some(1), Some("weight")));
}
