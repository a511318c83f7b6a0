//! SmolLM2-135M-Instruct's GGUF file: tokenizer, chat template and weights against the golden fixtures.
//!
//! Run by xtask, which fetches the file and names it in LORAKEET_SMOLLM2.

use crate::common::{golden, json, now, numbers};
use half::f16;
use lorakeet_core::chat::assistant_mask;
use lorakeet_core::formats::{ModelFiles, Storage};
use lorakeet_core::protocol::ChatMessage;
use sha2::{Digest, Sha256};

fn model() -> ModelFiles {
    let path = crate::common::real_model("LORAKEET_SMOLLM2", "the path of SmolLM2-135M-Instruct.Q4_1.gguf");
    now(ModelFiles::open_path(path)).unwrap()
}

#[test]
fn every_golden_text_gives_the_same_tokens_and_comes_back() {
    let model = model();
    let tokenizer = model.tokenizer.as_ref().unwrap();
    assert_eq!(
        (tokenizer.vocab_size(), tokenizer.eos_token().as_deref()),
        (49152, Some("<|im_end|>"))
    );
    let cases = json(golden("F/smollm2_tokenizer/strings.json"));
    let cases = cases.as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let text = case["text"].as_str().unwrap();
        let (ids, offsets) = tokenizer.encode_with_offsets(text, false).unwrap();
        assert_eq!(ids, numbers(&case["plain"]["ids"]), "{text:?}");
        assert_eq!(
            tokenizer.encode(text, true).unwrap(),
            numbers(&case["with_special"]["ids"]),
            "{text:?}"
        );
        // The fixture counts characters, this engine bytes.
        let characters = |byte: usize| text[..byte].chars().count();
        for (offset, expected) in offsets.iter().zip(case["plain"]["offsets"].as_array().unwrap()) {
            assert_eq!(
                vec![characters(offset.start) as u32, characters(offset.end) as u32],
                numbers(expected),
                "{text:?}"
            );
        }
        let tokens: Vec<String> = ids.iter().map(|id| tokenizer.token_text(*id).unwrap()).collect();
        assert_eq!(serde_json::json!(tokens), case["plain"]["tokens"]);
        let expected = case["decoded_plain"].as_str().unwrap();
        assert_eq!(tokenizer.decode(&ids, false).unwrap(), expected);
        assert_eq!(
            tokenizer.decode(&ids, true).unwrap(),
            case["decoded_skip_special"].as_str().unwrap()
        );
        let mut stream = tokenizer.stream_decoder(false);
        let mut streamed = String::new();
        for id in &ids {
            let piece = stream.push(*id).unwrap().unwrap_or_default();
            assert!(!piece.contains('\u{fffd}') || expected.contains('\u{fffd}'), "{text:?}");
            streamed.push_str(&piece);
        }
        streamed.extend(stream.finish().unwrap());
        assert_eq!(streamed, expected);
    }
}

#[test]
fn golden_conversations_give_the_same_tokens_and_masks() {
    let model = model();
    let (tokenizer, template) = (model.tokenizer.as_ref().unwrap(), model.chat_template.as_ref().unwrap());
    let chats = json(golden("F/smollm2_tokenizer/chats.json"));
    assert_eq!(template.source(), chats["chat_template"].as_str().unwrap());
    for case in chats["conversations"].as_array().unwrap() {
        let messages: Vec<ChatMessage> = serde_json::from_value(case["messages"].clone()).unwrap();
        let rendered = template.apply_with_spans(&messages).unwrap();
        assert_eq!(rendered.text, case["text"].as_str().unwrap());
        let (ids, offsets) = tokenizer.encode_with_offsets(&rendered.text, false).unwrap();
        assert_eq!(ids, numbers(&case["ids"]));
        let mask = assistant_mask(&offsets, &rendered.generation_spans);
        let mask: Vec<u32> = mask.into_iter().map(u32::from).collect();
        assert_eq!(mask, numbers(&case["assistant_mask"]));
    }
}

#[test]
fn the_weights_are_those_of_the_golden_checkpoint_to_the_bit() {
    let model = model();
    let case = json(golden("F/smollm2_model/case.json"));
    assert_eq!(model.entries().len(), 272);
    assert!(model.entries().iter().any(|entry| entry.storage == Storage::Q4_1));
    // The golden checkpoint is this file in 16 bits under Hugging Face's names, so its hash can be computed here.
    let mut tensors = Vec::new();
    for entry in model.entries() {
        let (shape, values) = now(model.read_f32(&entry.name)).unwrap();
        let bytes: Vec<u8> = values
            .into_iter()
            .flat_map(|value| f16::from_f32(value).to_le_bytes())
            .collect();
        tensors.push((entry.name.clone(), shape, bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F16, shape.clone(), bytes);
        (name.as_str(), view.unwrap())
    });
    let metadata = [("format".to_string(), "pt".to_string())].into();
    let file = safetensors::serialize(views, Some(metadata)).unwrap();
    let hash: String = Sha256::digest(&file).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, case["model"]["sha256"]["model.safetensors"].as_str().unwrap());
}

#[test]
fn the_config_is_hugging_faces() {
    let config = model().config;
    for (key, value) in [
        ("model_type", "\"llama\""),
        ("hidden_size", "576"),
        ("num_hidden_layers", "30"),
        ("num_attention_heads", "9"),
        ("num_key_value_heads", "3"),
        ("head_dim", "64"),
        ("intermediate_size", "1536"),
        ("rms_norm_eps", "0.00001"),
        ("rope_theta", "100000.0"),
        ("vocab_size", "49152"),
        ("max_position_embeddings", "8192"),
        ("tie_word_embeddings", "true"),
    ] {
        assert_eq!(config[key].to_string(), value, "{key}");
    }
}
