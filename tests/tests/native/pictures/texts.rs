//! Pictures of a text: how likely its tokens are, and what they attend to.

use super::{adapter_of, model_of, tiny_files, tiny_tensor};
use lorakeet_core::{
    config::{FinetuningType, RunConfig},
    data::Batch,
    formats::ModelFiles,
    models::{Model, read},
    protocol::{DeviceChoice, Event, Picture, PictureRequest, TokenProbability},
    store::{MemoryFile, Source},
};
use lorakeet_tests::{
    golden::block_on,
    test_session::{TestSession, find},
    tiny,
};
use serde_json::{Value, json};

const TEXT: &str = "say a. say c, say z.";

fn tokens_of(picture: &Picture) -> &[TokenProbability] {
    match picture {
        Picture::Tokens { tokens } => tokens,
        other => panic!("another picture: {other:?}"),
    }
}

fn tokens(session: &mut TestSession) -> Vec<TokenProbability> {
    let picture = session.picture(PictureRequest::Tokens { text: TEXT.into() });
    tokens_of(&picture).to_vec()
}

/// The tokens of the text in the model's own frame.
fn ids(files: &ModelFiles) -> Vec<u32> {
    let tokenizer = files.tokenizer.as_ref().expect("one");
    tokenizer.encode(TEXT, true).expect("letters")
}

/// The engine's own loss of one token of the text after those before it.
fn loss_of(model: &Model, ids: &[u32], at: usize) -> f64 {
    let mut labels = vec![-100; ids.len()];
    labels[at] = ids[at] as i32;
    let batch = Batch {
        rows: 1,
        tokens: ids.len(),
        input_ids: ids.to_vec(),
        attention_mask: vec![1.0; ids.len()],
        labels,
        target_tokens: 1,
        input_tokens: ids.len(),
        ..Batch::default()
    };
    let loss = model
        .loss(&model.parameters.plain(), &batch, 1.0, None)
        .expect("it has a head");
    f64::from(block_on(read(loss)).expect("the CPU answers")[0])
}

#[test]
fn a_token_is_as_likely_as_the_engine_s_own_loss_says() {
    let files = tiny_files();
    let ids = ids(&files);
    let mut session = TestSession::open();
    let before = tokens(&mut session);
    assert_eq!(before.len(), ids.len());
    let whole: String = before.iter().map(|token| token.text.as_str()).collect();
    assert_eq!(whole, TEXT);
    assert_eq!(
        (before[0].base, before[0].tuned, before[0].likeliest.as_str()),
        (None, None, "")
    );

    session.train(tiny::config());
    let after = tokens(&mut session);
    let base = model_of(&files, false);
    let mut tuned = model_of(&files, false);
    tuned.load_adapter(&adapter_of(&mut session)).expect("it fits");
    let mut moved = 0;
    for at in 1..ids.len() {
        let near = |found: Option<f64>, model: &Model, what: &str| {
            let (found, wanted) = (found.expect(what), (-loss_of(model, &ids, at)).exp());
            assert!(
                (found - wanted).abs() < 1e-5 * wanted.max(1e-3),
                "{what} {at}: {found} instead of {wanted}"
            );
        };
        near(before[at].base, &base, "before");
        assert_eq!(before[at].tuned, None, "there is no adapter");
        assert_eq!(after[at].base, before[at].base, "the base stays what it was");
        near(after[at].tuned, &tuned, "after");
        moved += usize::from((after[at].tuned.unwrap() - after[at].base.unwrap()).abs() > 0.01);
        let token = &after[at];
        assert!(token.likeliest_probability >= token.tuned.unwrap() - 1e-6, "{token:?}");
        assert!(!token.likeliest.is_empty());
        let is_it = token.likeliest == token.text;
        assert_eq!(
            is_it,
            (token.likeliest_probability - token.tuned.unwrap()).abs() < 1e-9,
            "{token:?}"
        );
    }
    assert!(moved > ids.len() / 2, "{moved} of {} tokens moved", ids.len());
}

#[test]
fn a_fresh_adapter_leaves_every_token_as_likely_as_it_was() {
    let mut session = TestSession::open();
    session.train_watching(tiny::config(), vec![PictureRequest::Tokens { text: TEXT.into() }]);
    let drawn = session.watched();
    let (step, first) = drawn.first().expect("a picture before the first step");
    assert_eq!(*step, 0);
    assert!(
        tokens_of(first).iter().all(|token| token.base == token.tuned),
        "{first:?}"
    );
    let (_, last) = drawn.last().expect("a picture at the end");
    assert!(tokens_of(last).iter().skip(1).any(|token| token.base != token.tuned));
}

#[test]
fn a_model_whose_every_weight_was_trained_has_no_base_any_more() {
    let mut session = TestSession::open();
    session.train(RunConfig {
        finetuning_type: FinetuningType::Full,
        learning_rate: 1e-3,
        ..tiny::config()
    });
    for token in tokens(&mut session).iter().skip(1) {
        assert!(token.base.is_none() && token.tuned.is_some(), "{token:?}");
    }
}

/// A model with fresh weights and the tiny model's tokenizer.
fn fresh(config: &Value) -> Vec<Source> {
    let is_other = |file: &Source| !matches!(file.name(), "config.json" | "model.safetensors");
    let config = MemoryFile::source("config.json", config.to_string().into_bytes());
    tiny::model_files()
        .into_iter()
        .filter(is_other)
        .chain([config])
        .collect()
}

struct Attention {
    layers: usize,
    heads: usize,
    tokens: Vec<String>,
    weights: Vec<f32>,
}

fn attention(session: &mut TestSession, layer: usize, head: usize) -> Attention {
    let text = TEXT.into();
    match session.picture(PictureRequest::Attention { text, layer, head }) {
        Picture::Attention {
            layers,
            heads,
            tokens,
            weights,
            ..
        } => Attention {
            layers,
            heads,
            tokens,
            weights,
        },
        other => panic!("another picture: {other:?}"),
    }
}

#[test]
fn what_a_token_attends_to_adds_up_to_1_and_in_a_decoder_comes_before_it() {
    let llama = |changes: Value| {
        let mut config = json!({ "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
            "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 40, "max_position_embeddings": 64,
            "initializer_range": 0.4, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "type_vocab_size": 1 });
        config
            .as_object_mut()
            .unwrap()
            .extend(changes.as_object().unwrap().clone());
        fresh(&config)
    };
    let decoders = [
        ("tiny llama", tiny::model_files(), 2),
        ("qwen3", llama(json!({ "model_type": "qwen3", "head_dim": 8 })), 3),
        ("qwen2", llama(json!({ "model_type": "qwen2" })), 3),
        (
            "gemma2",
            llama(json!({ "model_type": "gemma2", "head_dim": 8, "sliding_window": 4 })),
            3,
        ),
        (
            "gemma3",
            llama(json!({ "model_type": "gemma3_text", "head_dim": 8, "sliding_window": 4 })),
            3,
        ),
        ("gpt2", llama(json!({ "model_type": "gpt2" })), 3),
    ];
    let encoders = [
        ("tiny bert", tiny::bert_files(), 2),
        (
            "roberta",
            llama(json!({ "model_type": "roberta", "hidden_act": "gelu" })),
            3,
        ),
        (
            "distilbert",
            llama(json!({ "model_type": "distilbert", "activation": "gelu", "hidden_dim": 48 })),
            3,
        ),
        (
            "modernbert",
            llama(json!({ "model_type": "modernbert", "local_attention": 4 })),
            3,
        ),
        ("t5", tiny::t5_files(), 2),
    ];
    let all = decoders.into_iter().map(|case| (case, true));
    for ((name, files, layers), is_causal) in all.chain(encoders.into_iter().map(|case| (case, false))) {
        let mut session = TestSession::with(DeviceChoice::Cpu, files, tiny::data_file());
        let told = find(&session, |event| match event {
            Event::Model(model) => Some(model.num_attention_heads),
            _ => None,
        });
        assert_eq!(told, 4, "{name} tells its heads before one is drawn");
        let mut seen = Vec::new();
        for layer in 0..layers {
            for head in [0, 3] {
                let found = attention(&mut session, layer, head);
                assert_eq!((found.layers, found.heads), (layers, 4), "{name}");
                let tokens = found.tokens.len();
                assert_eq!(found.weights.len(), tokens * tokens, "{name}");
                for (query, row) in found.weights.chunks(tokens).enumerate() {
                    let sum: f64 = row.iter().map(|&weight| f64::from(weight)).sum();
                    assert!((sum - 1.0).abs() < 1e-5, "{name}, layer {layer}: row {query} is {sum}");
                    let later = row.iter().skip(query + 1).filter(|&&weight| weight > 0.0).count();
                    assert!(
                        !is_causal || later == 0,
                        "{name}, layer {layer}: row {query} sees the future"
                    );
                }
                let far = found.weights[tokens - 1];
                assert!(
                    is_causal || far > 0.0 || name == "modernbert",
                    "{name}: the first sees the last"
                );
                seen.push(found.weights);
            }
        }
        seen.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
        seen.dedup();
        assert_eq!(
            seen.len(),
            2 * layers,
            "{name}: each head and layer has a picture of its own"
        );
    }
    // The tokens of the frame are drawn, too.
    let mut session = TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), tiny::data_file());
    let tokens = attention(&mut session, 0, 0).tokens;
    assert_eq!(tokens.first().map(String::as_str), Some("[CLS]"));
    assert_eq!(tokens.last().map(String::as_str), Some("[SEP]"));
}

/// A matrix [out, in] times each row.
fn product(x: &[Vec<f64>], w: &[f32]) -> Vec<Vec<f64>> {
    let row = |x: &Vec<f64>| {
        let cells = w.chunks(x.len());
        cells
            .map(|w| w.iter().zip(x).map(|(w, x)| f64::from(*w) * x).sum())
            .collect()
    };
    x.iter().map(row).collect()
}

#[test]
fn attention_of_the_first_layer_is_the_formula_computed_plainly() {
    const DIM: usize = 8;
    let ids = ids(&tiny_files());
    let embedding = tiny_tensor("model.embed_tokens.weight");
    let normed: Vec<Vec<f64>> = ids
        .iter()
        .map(|&id| {
            let row: Vec<f64> = embedding[id as usize * 32..][..32]
                .iter()
                .map(|&x| f64::from(x))
                .collect();
            let mean = row.iter().map(|x| x * x).sum::<f64>() / 32.0;
            row.iter().map(|x| x / (mean + 1e-5).sqrt()).collect()
        })
        .collect();
    let rotated = |x: Vec<Vec<f64>>, head: usize| -> Vec<Vec<f64>> {
        let turn = |(t, row): (usize, &Vec<f64>)| {
            let (own, half) = (&row[head * DIM..][..DIM], DIM / 2);
            let angle = |i: usize| t as f64 * 10_000f64.powf(-2.0 * (i % half) as f64 / DIM as f64);
            let part = |i: usize| match i < half {
                true => own[i] * angle(i).cos() - own[i + half] * angle(i).sin(),
                false => own[i] * angle(i).cos() + own[i - half] * angle(i).sin(),
            };
            (0..DIM).map(part).collect()
        };
        x.iter().enumerate().map(turn).collect()
    };
    let of = |part: &str| {
        product(
            &normed,
            &tiny_tensor(&format!("model.layers.0.self_attn.{part}.weight")),
        )
    };
    let mut session = TestSession::open();
    for head in 0..4 {
        // Two heads share a key.
        let (q, k) = (rotated(of("q_proj"), head), rotated(of("k_proj"), head / 2));
        let found = attention(&mut session, 0, head).weights;
        for (t, found) in found.chunks(ids.len()).enumerate() {
            let score = |key: usize| {
                let product: f64 = q[t].iter().zip(&k[key]).map(|(q, k)| q * k).sum();
                (product / (DIM as f64).sqrt()).exp()
            };
            let sum: f64 = (0..=t).map(score).sum();
            for (key, found) in found.iter().enumerate() {
                let wanted = if key <= t { score(key) / sum } else { 0.0 };
                assert!(
                    (f64::from(*found) - wanted).abs() < 1e-5,
                    "head {head}, {t} on {key}: {found} {wanted}"
                );
            }
        }
    }
}

#[test]
fn attention_is_that_of_the_model_with_its_adapter() {
    let mut session = TestSession::open();
    let before = attention(&mut session, 0, 1).weights;
    session.train(tiny::config());
    assert_ne!(attention(&mut session, 0, 1).weights, before);
}
