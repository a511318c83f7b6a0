//! What each form has a place for: the table at the top of `core/src/export/adapters.rs`, row by row. What a form cannot hold
//! exactly is refused with the way out.

use super::{adapter_of, config, files_of, random_adapter, settings, try_export};
use lorakeet_core::{export::Form, formats::peft::AdapterConfig};
use lorakeet_tests::golden::Case;

/// The forms of a decoder's export, in the order of the table.
const FORMS: [Form; 5] = [Form::Peft, Form::Merged, Form::Gguf, Form::GgufAdapter, Form::Mlx];

/// What `trained` is in each form: `None` where it is written, else a word of the reason.
fn holds(case: &Case, what: &str, trained: &AdapterConfig, wanted: [Option<&str>; 5]) {
    let (base, adapter) = (files_of(case), random_adapter(case, trained));
    for (form, wanted) in FORMS.into_iter().zip(wanted) {
        let found = try_export(&base, Some(&adapter), None, settings(form, None));
        let what = format!("{what} as {}", form.name());
        match (found, wanted) {
            (Ok(_), None) => {}
            (Err(error), Some(word)) => {
                let said = error.to_string();
                assert!(said.contains(word) && error.remedy.is_some(), "{what}: {said}");
            }
            (Ok(_), Some(word)) => panic!("{what} should be refused: {word}"),
            (Err(error), None) => panic!("{what}: {error}"),
        }
    }
}

#[test]
fn scales_and_ranks_of_all_kinds_have_a_place_in_every_form() {
    let case = Case::open("A/llama_untied");
    let mut patterns = config(&["q_proj", "up_proj"], &[]);
    patterns.rank_pattern.0.push(("up_proj".into(), 2));
    patterns.alpha_pattern.0.push(("q_proj".into(), 7.0));
    for use_rslora in [false, true] {
        for config in [config(&["q_proj", "up_proj"], &[]), patterns.clone()] {
            let config = AdapterConfig { use_rslora, ..config };
            holds(&case, "LoRA", &config, [None; 5]);
        }
    }
}

#[test]
fn magnitudes_of_dora_have_a_place_in_peft_and_mlx_and_are_merged_elsewhere() {
    let case = Case::open("A/llama_untied");
    let dora = |names: &[&str]| AdapterConfig {
        use_dora: true,
        ..config(names, &[])
    };
    let on_linears = [None, None, None, Some("DoRA"), None];
    holds(&case, "DoRA", &dora(&["q_proj", "down_proj"]), on_linears);
    let on_table = [None, None, None, Some("DoRA"), Some("DoRA")];
    holds(&case, "DoRA on an embedding", &dora(&["embed_tokens"]), on_table);
}

#[test]
fn what_was_trained_whole_has_a_place_in_peft_and_in_the_merged_model() {
    let case = Case::open("A/llama_untied");
    let is_whole = [None, None, None, Some("trained whole"), Some("trained whole")];
    for name in ["lm_head", "embed_tokens"] {
        holds(&case, name, &config(&["q_proj"], &[name]), is_whole);
    }
}

#[test]
fn an_adapter_on_an_embedding_has_a_place_unless_it_is_the_output_matrix_too() {
    let on_table = config(&["q_proj", "embed_tokens"], &[]);
    holds(&Case::open("A/llama_untied"), "an embedding", &on_table, [None; 5]);
    let is_shared = [None, None, None, Some("output matrix"), Some("output matrix")];
    holds(&Case::open("A/llama_tied"), "a shared embedding", &on_table, is_shared);
}

#[test]
fn a_head_for_classes_has_a_place_in_peft_and_in_the_merged_folder_alone() {
    let case = Case::open("A/bert_seqcls");
    let (base, adapter) = (files_of(&case), adapter_of(&case.below("adapters")[0]));
    for (form, word) in [
        (Form::Peft, None),
        (Form::Merged, None),
        (Form::Gguf, Some("head for classes")),
        (Form::GgufAdapter, Some("trained whole")),
        (Form::Mlx, Some("trained whole")),
    ] {
        match (try_export(&base, Some(&adapter), None, settings(form, None)), word) {
            (Ok(_), None) => {}
            (Err(error), Some(word)) => {
                let said = error.to_string();
                assert!(said.contains(word) && said.contains("merged model"), "{form:?}: {said}");
            }
            (found, word) => panic!("{form:?}: {:?}, wanted {word:?}", found.map(drop)),
        }
    }
}
