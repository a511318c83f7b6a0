//! `lorakeet inspect` and `lorakeet diff` on what a run leaves.

use super::{FIRST, Place};
use serde_json::Value;

impl Place {
    /// What the command says in JSON, where it ends well.
    pub(super) fn told(&self, words: &[&str]) -> Value {
        let text = self.prints(&[words, &["--json"]].concat());
        serde_json::from_str(&text).expect("JSON")
    }
}

#[test]
fn a_runs_model_is_described_and_compared_with_its_checkpoints() {
    let place = Place::new("inspect");
    place.run("train_file: rows.csv\noutput_dir: out\nmax_steps: 6\nsave_steps: 2\n");
    place.says(0, FIRST);
    let found = place.told(&["inspect", "out"]);
    assert_eq!(
        (&found["kind"], &found["run"]),
        (&"model".into(), &true.into()),
        "{found}"
    );
    assert_eq!(found["architecture"], "small_mlp");
    let tensors = found["tensors"].as_array().expect("a list");
    assert!(!tensors.is_empty() && tensors[0]["dtype"] == "F32", "{found}");
    let text = place.prints(&["inspect", "out", "--tensors"]);
    let name = tensors[0]["name"].as_str().expect("a name");
    for words in ["what it is", "small_mlp", "stored as F32", name] {
        assert!(text.contains(words), "{words}: {text}");
    }

    let same = place.told(&["diff", "out", "out"]);
    assert_eq!(
        (&same["same"], &same["kind"]),
        (&true.into(), &"models".into()),
        "{same}"
    );
    let checkpoint = &place.checkpoints()[0];
    let earlier = format!("out/{checkpoint}");
    let found = place.told(&["diff", &earlier, "out"]);
    assert_eq!(found["same"], false, "{found}");
    let shares: Vec<f64> = found["tensors"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|tensor| tensor["relative"].as_f64().unwrap_or(f64::INFINITY))
        .collect();
    assert!(shares[0] > 0.0 && shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
    let text = place.prints(&["diff", &earlier, "out"]);
    assert!(
        text.contains("‖B−A‖/‖A‖") && text.contains("largest changes first"),
        "{text}"
    );
}

#[test]
fn what_is_neither_a_model_nor_an_adapter_is_refused() {
    let place = Place::new("inspect-nothing");
    let said = place.says(1, &["inspect", "rows.csv"]);
    assert!(said.contains("rows.csv") && said.contains("GGUF"), "{said}");
    assert!(place.says(1, &["inspect", "none"]).contains("no such file"));
}
