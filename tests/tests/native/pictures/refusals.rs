//! Pictures that cannot be drawn: each is refused with the field that is wrong and what it may be.

use lorakeet_core::{
    protocol::{Command, DeviceChoice, Event, PictureRequest},
    store::MemoryFile,
};
use lorakeet_tests::{
    test_session::{TestSession, failure},
    tiny,
};

fn said(session: &mut TestSession, request: PictureRequest) -> String {
    session.ask(Command::Picture { id: 1, request }, Vec::new());
    failure(session).to_string()
}

fn tokens(text: &str) -> PictureRequest {
    PictureRequest::Tokens { text: text.into() }
}

fn attention(text: &str, layer: usize, head: usize) -> PictureRequest {
    let text = text.into();
    PictureRequest::Attention { text, layer, head }
}

fn update(module: &str, cells: usize) -> PictureRequest {
    let module = module.into();
    PictureRequest::LoraUpdate { module, cells }
}

fn packed(module: &str, format: &str, cells: usize) -> PictureRequest {
    let (module, format) = (module.into(), format.into());
    PictureRequest::PackedWeights { module, format, cells }
}

#[test]
fn a_request_that_is_wrong_is_refused_by_its_field() {
    let mut session = TestSession::open();
    session.train(tiny::config());
    let long = "say a. ".repeat(30);
    let cases = [
        (tokens("  \n"), "text", "Write a sentence"),
        (tokens(&long), "text", "210 tokens, 128 can be drawn"),
        (attention("", 0, 0), "text", "no tokens"),
        (attention(&long, 0, 0), "text", "128"),
        (attention("say", 2, 0), "layer", "from 0 to 1, got 2"),
        (attention("say", usize::MAX, 0), "layer", "from 0 to 1"),
        (attention("say", 0, 4), "head", "from 0 to 3, got 4"),
        (update("q_porj", 8), "module", "Did you mean q_proj?"),
        (update("lm_head", 8), "module", "self_attn.q_proj"),
        (update("", 8), "module", "It can be one of"),
        (update("q_proj", 0), "cells", "from 1 to 128, got 0"),
        (update("q_proj", 129), "cells", "from 1 to 128, got 129"),
        (packed("embed_tokens", "nf4", 8), "module", "q_proj"),
        (
            packed("q_proj", "nf5", 8),
            "format",
            "nf4, fp4, int8, fp8_e4m3, fp8_e5m2",
        ),
        (packed("q_proj", "nf4", usize::MAX), "cells", "from 1 to 128"),
        (PictureRequest::LossSurface { cells: 0 }, "cells", "from 1 to 128"),
        (
            PictureRequest::Units { layer: 0, cells: 1000 },
            "cells",
            "from 1 to 128",
        ),
    ];
    for (request, field, part) in cases {
        let shown = format!("{request:?}");
        let said = said(&mut session, request);
        assert_eq!(failure(&session).field_name(), Some(field), "{shown}: {said}");
        assert!(said.contains(part), "{shown}: {said}");
    }
    // It answers on.
    session.picture(tokens("say"));
}

#[test]
fn a_model_that_has_no_such_picture_says_what_has() {
    let mut llama = TestSession::open();
    for (request, parts) in [
        (update("q_proj", 8), ["no adapter", "finetuning_type: lora"]),
        (PictureRequest::LayerUpdates {}, ["no adapter", "finetuning_type: lora"]),
        (
            PictureRequest::LossSurface { cells: 9 },
            ["while a run is under way", "watch"],
        ),
        (
            PictureRequest::Units { layer: 0, cells: 9 },
            ["llama is no multi-layer perceptron", "small_mlp"],
        ),
    ] {
        let said = said(&mut llama, request);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let mut bert = TestSession::with(DeviceChoice::Cpu, tiny::bert_files(), tiny::data_file());
    let mut t5 = TestSession::with(DeviceChoice::Cpu, tiny::t5_files(), tiny::data_file());
    for (session, name) in [(&mut bert, "bert"), (&mut t5, "t5")] {
        let said = said(session, tokens("say"));
        assert!(
            said.contains(&format!("{name} does not predict")) && said.contains("Llama"),
            "{said}"
        );
    }

    let rows = "a,b,c,kind\n1,2,3,x\n4,5,6,y\n7,8,9,x\n";
    let data = || vec![MemoryFile::source("rows.csv", rows.as_bytes().to_vec())];
    let config = |model: &str| {
        let text = format!("model: {model}\ntrain_file: rows\n");
        lorakeet_core::config::RunConfig {
            max_steps: 1,
            val_size: 0.0,
            ..lorakeet_core::config::RunConfig::parse(&text, "run.yaml")
                .expect("a run file")
                .config
        }
    };
    for (model, request, parts) in [
        (
            "small_mlp",
            attention("say", 0, 0),
            ["small_mlp has no attention", "gemma2, gemma3_text, gpt2, bert"],
        ),
        (
            "small_lstm",
            attention("say", 0, 0),
            ["small_lstm has no attention", "t5"],
        ),
        (
            "small_series",
            attention("say", 0, 0),
            ["small_series has no attention", "llama"],
        ),
        ("small_mlp", tokens("say"), ["does not predict", "GPT-2"]),
        (
            "small_mlp",
            PictureRequest::Units { layer: 0, cells: 9 },
            ["takes 3 numbers", "text_columns"],
        ),
        (
            "small_lstm",
            PictureRequest::Units { layer: 0, cells: 9 },
            ["no multi-layer perceptron", "small_mlp"],
        ),
    ] {
        let mut session = TestSession::small(model, data());
        session.train(config(model));
        assert!(
            matches!(session.events.last(), Some(Event::Done(_))),
            "{model}: {:?}",
            session.events.last()
        );
        let said = said(&mut session, request);
        assert!(parts.iter().all(|part| said.contains(part)), "{model}: {said}");
    }
    let mut two = TestSession::small(
        "small_mlp",
        vec![MemoryFile::source("rows.csv", b"a,y\n1,2\n3,4\n5,7\n".to_vec())],
    );
    two.train(config("small_mlp"));
    let said = said(&mut two, PictureRequest::Units { layer: 2, cells: 9 });
    assert!(said.starts_with("layer: must be from 0 to 1, got 2"), "{said}");
}

#[test]
fn without_a_model_there_is_nothing_to_draw() {
    let said = said(&mut TestSession::empty(), PictureRequest::Units { layer: 0, cells: 9 });
    assert!(said.contains("no model"), "{said}");
}
