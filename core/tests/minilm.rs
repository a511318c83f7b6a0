//! all-MiniLM-L6-v2's tokenizer.json (BERT's word pieces) against the golden fixtures.
//!
//! Run by xtask (`--features real-models`), which fetches the model and names its folder in LORAKEET_MINILM.

mod common;

use common::{golden, json, numbers};
use lorakeet_core::tokenizer::Tokenizer;

fn tokenizer() -> Tokenizer {
    let folder = common::real_model("LORAKEET_MINILM", "the folder of all-MiniLM-L6-v2");
    Tokenizer::from_json(&std::fs::read(folder.join("tokenizer.json")).unwrap()).unwrap()
}

#[test]
fn every_golden_text_gives_the_same_tokens_and_comes_back() {
    let tokenizer = tokenizer();
    let cases = json(golden("F/bert_tokenizer/strings.json"));
    for case in cases.as_array().unwrap() {
        let text = case["text"].as_str().unwrap();
        let (ids, offsets) = tokenizer.encode_with_offsets(text, true).unwrap();
        assert_eq!(ids, numbers(&case["with_special"]["ids"]), "{text:?}");
        assert_eq!(
            tokenizer.encode(text, false).unwrap(),
            numbers(&case["plain"]["ids"]),
            "{text:?}"
        );
        let characters = |byte: usize| text[..byte].chars().count();
        for (offset, expected) in offsets.iter().zip(case["with_special"]["offsets"].as_array().unwrap()) {
            assert_eq!(
                vec![characters(offset.start) as u32, characters(offset.end) as u32],
                numbers(expected),
                "{text:?}"
            );
        }
        let plain = numbers(&case["plain"]["ids"]);
        assert_eq!(
            tokenizer.decode(&plain, false).unwrap(),
            case["decoded_plain"].as_str().unwrap()
        );
        assert_eq!(
            tokenizer.decode(&ids, true).unwrap(),
            case["decoded_skip_special"].as_str().unwrap()
        );
    }
}

#[test]
fn golden_pairs_give_the_same_tokens_and_segments() {
    let tokenizer = tokenizer();
    let pairs = json(golden("F/bert_tokenizer/pairs.json"));
    for case in pairs["pairs"].as_array().unwrap() {
        let (ids, segments) = tokenizer
            .encode_pair(case["a"].as_str().unwrap(), case["b"].as_str().unwrap())
            .unwrap();
        assert_eq!(ids, numbers(&case["ids"]));
        assert_eq!(segments, numbers(&case["type_ids"]));
    }
}
