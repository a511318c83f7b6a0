//! `lorakeet merge`, `quantize` and `convert` on the page's own model and an adapter of it.

use super::endurance::adapter;
use super::{FIRST, Place};
use serde_json::Value;
use std::path::Path;

/// The page's own model.
fn model() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public/model");
    path.display().to_string()
}

/// How far what a command wrote lies from what it was made of, as the command says.
fn difference(found: &Value) -> f64 {
    found["difference"].as_f64().unwrap_or_else(|| panic!("{found}"))
}

#[test]
fn a_model_is_quantized_and_compared_with_what_it_was() {
    let place = Place::new("quantize");
    let model = model();
    let mut shares = Vec::new();
    for format in ["Q8_0", "q4_0"] {
        let found = place.told(&["quantize", &model, "--to", format, "--output_dir", format]);
        shares.push(difference(&found));
        let file = format!("{format}/model.gguf");
        let found = place.told(&["inspect", &file]);
        assert_eq!(found["kind"], "gguf", "{found}");
        assert!(found.to_string().contains(&format.to_uppercase()), "{found}");
        let told = place.told(&["diff", &model, &file]);
        let of_diff = told["total"]["relative"].as_f64().expect("a number");
        assert!(
            (of_diff - shares[shares.len() - 1]).abs() < 1e-12,
            "{of_diff} {shares:?}"
        );
    }
    assert!(
        0.0 < shares[0] && shares[0] < shares[1] && shares[1] < 0.5,
        "{shares:?}"
    );

    let again = ["quantize", "Q8_0/model.gguf", "--to", "q4_1", "--output_dir", "again"];
    assert!(
        place
            .says(0, &again)
            .contains("Q8_0, so its numbers are rounded a second time")
    );
    let unknown = place.says(2, &["quantize", &model, "--to", "nf4", "--output_dir", "x"]);
    assert!(unknown.contains("nf4") && unknown.contains("q4_k_m"), "{unknown}");
    let quick = place.prints(&[
        "quantize",
        &model,
        "--to",
        "q8_0",
        "--no-check",
        "--output_dir",
        "quick",
    ]);
    assert!(
        quick.contains("wrote gguf to quick") && !quick.contains("compared"),
        "{quick}"
    );
    assert!(place.read("quick/model.gguf") == place.read("Q8_0/model.gguf"));
    let full = place.says(2, &["quantize", &model, "--to", "q8_0", "--output_dir", "quick"]);
    assert!(full.contains("holds"), "{full}");
}

#[test]
fn a_model_is_packed_for_bitsandbytes_and_read_as_it_stands() {
    let place = Place::new("quantize-bnb");
    let model = model();
    let mut shares = Vec::new();
    for format in ["bnb-int8", "BNB-NF4", "bnb-fp4"] {
        let found = place.told(&["quantize", &model, "--to", format, "--output_dir", format]);
        assert!(found["read_back"]["worst"]["relative"].as_f64() > Some(0.0), "{found}");
        shares.push(difference(&found));
        let config: Value = serde_json::from_slice(&place.read(&format!("{format}/config.json"))).expect("JSON");
        let is_eight = format.ends_with("int8");
        assert_eq!(config["quantization_config"]["load_in_8bit"], is_eight, "{config}");
        place.prints(&["generate", "Once", "--model", format, "--max-new-tokens", "2"]);
    }
    assert!(
        0.0 < shares[0] && shares[0] < shares[1] && shares[1] < shares[2] && shares[2] < 0.5,
        "{shares:?}"
    );
    let text = place.prints(&["quantize", &model, "--to", "bnb-nf4", "--output_dir", "text"]);
    assert!(
        text.contains("wrote NF4 to text") && text.contains("over all"),
        "{text}"
    );
    assert!(place.read("text/model.safetensors") == place.read("BNB-NF4/model.safetensors"));
    // Packed once more, it loses once more.
    let again = ["quantize", "bnb-int8", "--to", "bnb-nf4", "--output_dir", "again"];
    assert!(place.says(0, &again).contains("rounded a second time"));
    let full = place.says(2, &["quantize", &model, "--to", "bnb-fp4", "--output_dir", "text"]);
    assert!(full.contains("holds"), "{full}");
}

#[test]
fn a_model_goes_to_gguf_and_back_with_the_same_numbers() {
    let place = Place::new("convert-model");
    let model = model();
    let text = place.prints(&["convert", &model, "--to", "gguf", "--output_dir", "there"]);
    assert!(
        text.contains("wrote gguf to there") && text.contains("are the same"),
        "{text}"
    );
    let found = place.told(&["inspect", "there/model.gguf"]);
    assert!(found.to_string().contains("F16"), "{found}");
    let back = [
        "convert",
        "there/model.gguf",
        "--to",
        "safetensors",
        "--output_dir",
        "back",
    ];
    let found = place.told(&back);
    assert_eq!(
        (difference(&found), &found["form"]),
        (0.0, &"safetensors".into()),
        "{found}"
    );
    assert_eq!(place.told(&["diff", &model, "back"])["same"], true);

    // Numbers of few bits are written as what they stand for.
    place.says(0, &["quantize", &model, "--to", "q4_0", "--output_dir", "four"]);
    let found = place.told(&[
        "convert",
        "four/model.gguf",
        "--to",
        "safetensors",
        "--output_dir",
        "whole",
    ]);
    assert_eq!(difference(&found), 0.0, "{found}");

    for (words, said) in [
        (["there/model.gguf", "gguf"], "is a GGUF file already"),
        ([model.as_str(), "mlx"], "no adapter"),
    ] {
        let refused = place.says(2, &["convert", words[0], "--to", words[1], "--output_dir", "x"]);
        assert!(refused.contains(said), "{refused}");
    }
    let flag = ["convert", &model, "--to", "gguf", "--base", &model, "--output_dir", "x"];
    assert!(place.says(2, &flag).contains("--base"));
}

#[test]
fn an_adapter_is_merged_and_goes_through_every_form() {
    let place = Place::new("convert-adapter");
    let model = model();
    adapter(&place, 3);
    place.says(0, FIRST);
    let merged = place.prints(&["merge", "run.yaml", "--output_dir", "merged"]);
    assert!(
        merged.contains("exported merged to merged") && merged.contains("loss on held-out rows"),
        "{merged}"
    );
    place.says(
        0,
        &[
            "export",
            "out",
            "--to",
            "merged",
            "--no-check",
            "--output_dir",
            "exported",
        ],
    );
    assert!(place.read("merged/model.safetensors") == place.read("exported/model.safetensors"));

    let mut before = "out".to_owned();
    for (form, file) in [
        ("gguf-adapter", "adapter.gguf"),
        ("mlx", "adapters.safetensors"),
        ("peft", "adapter_model.safetensors"),
    ] {
        let words = ["convert", &before, "--to", form, "--base", &model, "--output_dir", form];
        let found = place.told(&words);
        assert!(difference(&found) < 1e-6, "{form}: {found}");
        place.read(&format!("{form}/{file}"));
        before = form.to_owned();
    }
    let whole = place.told(&["diff", "out", "peft"]);
    let share = whole["total"]["relative"].as_f64().expect("a number");
    assert!(share < 1e-6, "{whole}");

    for (words, said) in [
        (
            ["convert", "out", "--to", "gguf", "--output_dir", "x"],
            "lorakeet merge",
        ),
        (
            ["convert", "out", "--to", "safetensors", "--output_dir", "x"],
            "a whole model",
        ),
        (
            ["quantize", "out", "--to", "q8_0", "--output_dir", "x"],
            "Merge it first",
        ),
        (
            ["convert", "gguf-adapter", "--to", "mlx", "--output_dir", "x"],
            "Name the base model's files with --base",
        ),
    ] {
        let refused = place.says(2, &words);
        assert!(refused.contains(said), "{refused}");
    }
}
