//! The supported architectures, one row each: their names in config.json, transformers, PEFT and GGUF files, the tasks that
//! they can be trained for, and the function that loads them.
//!
//! A new architecture is one file beside this one, with its forward pass and its row, and one line in [`ARCHITECTURES`]. Every
//! list of supported architectures comes from here; those of README and the page are compared by `cargo xtask test lint`.

use super::{bert, body::Body, gemma, gpt2, head::Head, keys, llama, load::Loader, modernbert, small, t5};
use crate::{
    did_you_mean::nearest,
    error::{Error, Result},
    formats::{GgufForm, GgufModel, gguf_names::Heads},
    task::Task,
};
use lorakeet_i18n::{Field, messages::models as msg};
use serde_json::Value;
use std::pin::Pin;

/// The kind of an architecture, by the attention of its layers and what its weights start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Causal attention over one text: predicts its next token. With a head, also classes, numbers and embeddings.
    Decoder,
    /// Attention over one text in both directions: classes, numbers, embeddings, masked tokens.
    Encoder,
    /// An encoder of one text and a decoder of its answer.
    EncoderDecoder,
    /// A small model of this project, trained from fresh weights on tables, images, series or short texts.
    Small,
}

/// One architecture: its names in the files of others, what it can be used for, and the function that loads it.
#[derive(Clone, Copy)]
pub struct Architecture {
    /// `model_type` of config.json.
    pub model_type: &'static str,
    /// Its usual name, for README, page and messages.
    pub name: &'static str,
    /// Well-known models of this architecture under other names.
    pub models: &'static [&'static str],
    /// The start of its classes' names in transformers.
    pub class: &'static str,
    /// The class of transformers that it is of without a task's head; of small models, which are none of transformers', empty.
    pub plain_class: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// The tasks that it can be trained for.
    pub tasks: &'static [Task],
    /// The modules that PEFT puts adapters on where none are named
    /// (`TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING`); empty where it has none.
    pub lora_targets: &'static [&'static str],
    /// Whether its linears are stored \[in, out\], as PEFT writes it into an adapter's settings.
    pub fan_in_fan_out: bool,
    /// Sizes by their keys in config.json that transformers' configuration class has where the text part of a larger model
    /// leaves them out.
    pub defaults: &'static [(&'static str, u64)],
    /// Its form in GGUF files; `None` where those are not read.
    pub gguf: Option<GgufForm>,
    /// The keys of its config.json besides those of all architectures; of several tables with a key, the first counts.
    pub(super) keys: &'static [keys::Table],
    /// Its names of common keys, (common, own): `attribute_map` of its configuration class.
    pub(super) aliases: &'static [(&'static str, &'static str)],
    /// Reads its layers and the head of the task that config.json names.
    pub(super) build: for<'a, 'f> fn(&'a mut Loader<'f>) -> Built<'a>,
}

/// The layers and the head of a model, once they are read.
pub(super) type Built<'a> = Pin<Box<dyn Future<Output = Result<(Box<dyn Body>, Head)>> + 'a>>;

/// All architectures, in the order of lists that people read.
pub static ARCHITECTURES: [Architecture; 19] = [
    llama::LLAMA,
    llama::MISTRAL,
    llama::QWEN2,
    llama::QWEN3,
    gemma::GEMMA2,
    gemma::GEMMA3,
    gpt2::GPT2,
    bert::BERT,
    bert::ROBERTA,
    bert::XLM_ROBERTA,
    bert::DISTILBERT,
    modernbert::MODERNBERT,
    t5::T5,
    small::MLP,
    small::VIT,
    small::SERIES,
    small::RNN,
    small::LSTM,
    small::GRU,
];

/// The tasks of encoders: all that generate no text.
pub(super) const ENCODER_TASKS: &[Task] = &[
    Task::Classification,
    Task::MultiLabel,
    Task::TokenClassification,
    Task::Regression,
    Task::Ranking,
    Task::Embedding,
];

/// The future of an architecture's `load` as its row's `build` returns it.
pub(super) fn boxed<'a, B: Body + 'static>(load: impl Future<Output = Result<(B, Head)>> + 'a) -> Built<'a> {
    Box::pin(async move {
        let (body, head) = load.await?;
        Ok((Box::new(body) as Box<dyn Body>, head))
    })
}

/// The architecture of a `model_type`.
///
/// # Errors
/// It is not supported.
pub fn of_model_type(model_type: &str) -> Result<&'static Architecture> {
    let found = ARCHITECTURES.iter().find(|row| row.model_type == model_type);
    found.ok_or_else(|| {
        let names: Vec<&str> = ARCHITECTURES.iter().map(|row| row.model_type).collect();
        unknown(
            Error::model(msg::UnknownArchitecture {
                name: format!("{model_type:?}"),
            })
            .field("model_type"),
            model_type,
            &names,
        )
    })
}

/// The architecture of the text part, of the `model_type` `part`, of a model of another one.
///
/// # Errors
/// It is not supported.
pub(super) fn of_text_part(part: &Value, whole: &str) -> Result<&'static Architecture> {
    let rows = || ARCHITECTURES.iter().filter(|row| row.kind != Kind::Small);
    let found = rows().find(|row| *part == row.model_type);
    found.ok_or_else(|| {
        let names: Vec<&str> = rows().map(|row| row.model_type).collect();
        let (name, whole) = (keys::bounded(part), keys::shown(whole));
        let error = Error::model(msg::UnknownTextPart { name, whole }).file("config.json");
        let part = part.as_str().unwrap_or_default();
        unknown(error.field("text_config.model_type"), part, &names)
    })
}

/// The architecture that GGUF files call `name`.
///
/// # Errors
/// It is not supported.
pub fn of_gguf(name: &str) -> Result<GgufModel> {
    let forms = || ARCHITECTURES.iter().filter_map(|row| Some((row, row.gguf.as_ref()?)));
    let found = forms().find(|(_, form)| form.architecture == name);
    let model = found.map(|(row, form)| GgufModel {
        model_type: row.model_type,
        class: row.plain_class,
        form,
    });
    model.ok_or_else(|| {
        let names: Vec<&str> = forms().map(|(_, form)| form.architecture).collect();
        let what = msg::UnknownGgufArchitecture {
            name: format!("{name:?}"),
        };
        unknown(Error::model(what).field("general.architecture"), name, &names)
    })
}

/// How GGUF files hold a model of `architecture` with this config.json; `None` where they do not.
pub(crate) fn gguf_form(architecture: &'static Architecture, config: &Value) -> Result<Option<&'static GgufForm>> {
    let is_mistral = architecture.model_type == "mistral";
    match &architecture.gguf {
        Some(form) => Ok(Some(form)),
        // llama.cpp takes a Mistral whose layers see all tokens for a Llama.
        None if is_mistral && config["sliding_window"].is_null() => Ok(Some(of_gguf("llama")?.form)),
        None => Ok(None),
    }
}

/// Attention heads by config.json.
pub(crate) fn heads(config: &Value) -> Heads {
    let first = |keys: &[&str]| keys.iter().find_map(|key| config[*key].as_u64());
    let query = first(&["num_attention_heads", "n_head", "num_heads"]).unwrap_or(1) as usize;
    let key_value = first(&["num_key_value_heads"]).map_or(query, |heads| heads as usize);
    Heads { query, key_value }
}

/// The names of the architectures that can be trained for `task`.
pub(crate) fn names_for(task: Task) -> Field {
    names_of(|row| row.tasks.contains(&task))
}

/// The names of the architectures that `are` what is asked for.
pub(crate) fn names_of(are: impl Fn(&Architecture) -> bool) -> Field {
    Field::list(ARCHITECTURES.iter().filter(|row| are(row)).map(|row| row.name))
}

fn unknown(error: Error, name: &str, known: &[&str]) -> Error {
    let names = Field::list(known);
    match nearest(name, known.iter().copied()) {
        Some(near) => error.remedy(msg::SupportedNear { near, names }),
        None => error.remedy(msg::Supported { names }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SMALL_MODELS;
    use crate::models::small::Variant;
    use std::collections::HashSet;

    #[test]
    fn each_name_is_of_one_architecture() {
        let types: HashSet<&str> = ARCHITECTURES.iter().map(|row| row.model_type).collect();
        assert_eq!(types.len(), ARCHITECTURES.len());
        let gguf: Vec<&str> = ARCHITECTURES
            .iter()
            .filter_map(|row| Some(row.gguf?.architecture))
            .collect();
        assert_eq!(gguf.iter().collect::<HashSet<_>>().len(), gguf.len());
        let small = || ARCHITECTURES.iter().filter(|row| row.kind == Kind::Small);
        assert!(small().map(|row| row.model_type).eq(SMALL_MODELS));
        assert!(small().all(|row| Variant::named(row.model_type).is_some()));
        let others = || ARCHITECTURES.iter().filter(|row| row.kind != Kind::Small);
        let classes: HashSet<&str> = others().map(|row| row.plain_class).collect();
        assert_eq!(classes.len(), others().count());
    }

    #[test]
    fn an_unknown_architecture_is_refused_with_the_nearest_and_the_list() {
        let error = of_model_type("gpt_2").err().expect("it is none");
        let remedy = error.remedy.expect("a remedy").english();
        assert!(remedy.starts_with("Did you mean gpt2?"), "{remedy}");
        for row in &ARCHITECTURES {
            assert!(remedy.contains(row.model_type), "{remedy}");
        }
        let error = of_gguf("gemma").err().expect("it is none");
        let remedy = error.remedy.expect("a remedy").english();
        assert!(remedy.starts_with("Did you mean gemma2?"), "{remedy}");
        assert!(of_gguf("gemma3").is_ok_and(|model| model.model_type == "gemma3_text"));
    }

    #[test]
    fn gguf_names_map_to_hugging_faces() {
        let name = |architecture, name| of_gguf(architecture).unwrap().form.hugging_face_name(name);
        for (architecture, from, to) in [
            (
                "llama",
                "blk.12.attn_k.weight",
                "model.layers.12.self_attn.k_proj.weight",
            ),
            ("qwen2", "blk.0.attn_q.bias", "model.layers.0.self_attn.q_proj.bias"),
            ("gpt2", "blk.3.ffn_up.weight", "transformer.h.3.mlp.c_fc.weight"),
            ("gpt2", "output.weight", "lm_head.weight"),
            (
                "bert",
                "blk.1.layer_output_norm.bias",
                "encoder.layer.1.output.LayerNorm.bias",
            ),
            (
                "gemma3",
                "blk.2.ffn_norm.weight",
                "model.layers.2.pre_feedforward_layernorm.weight",
            ),
            (
                "t5",
                "dec.blk.0.cross_attn_o.weight",
                "decoder.block.0.layer.1.EncDecAttention.o.weight",
            ),
        ] {
            assert_eq!(name(architecture, from).as_deref(), Some(to));
        }
        assert_eq!(name("llama", "blk.0.ffn_gate_exps.weight"), None);
        assert_eq!(name("t5", "blk.0.attn_q.weight"), None);
    }
}
