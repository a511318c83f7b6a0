//! The architectures that are read, one row each: what config.json, transformers' classes and GGUF files call them.
//!
//! Every list of supported architectures comes from [`ARCHITECTURES`], or `cargo xtask test lint` compares it. A new one is a row here, a file in
//! `models/` with its [`Family`], its keys in `models/keys.rs`, and, where GGUF has it, its names and metadata in
//! `formats/gguf_names.rs` and `formats/gguf_config.rs`: the compiler asks for each.

use crate::{
    config::SMALL_MODELS,
    did_you_mean::nearest,
    error::{Error, Result},
};
use lorakeet_i18n::{Field, messages::models as msg};

/// What an architecture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Predicts the next token; with heads of its own, classes, numbers and embeddings.
    Decoder,
    /// Reads whole texts: classes, numbers, embeddings, masked tokens.
    Encoder,
    /// Answers a text with another.
    EncoderDecoder,
    /// Starts from fresh weights: tables, images, series, short texts.
    Small,
}

/// The code in `models/` that computes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// `models/llama.rs`.
    Llama,
    /// `models/gemma.rs`.
    Gemma,
    /// `models/gpt2.rs`.
    Gpt2,
    /// `models/bert.rs`.
    Bert,
    /// `models/modernbert.rs`.
    ModernBert,
    /// `models/t5.rs`.
    T5,
    /// `models/small.rs`.
    Small,
}

/// One architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Architecture {
    /// `model_type` of config.json.
    pub model_type: &'static str,
    /// What people call it.
    pub name: &'static str,
    /// Well-known models of this architecture that have names of their own.
    pub models: &'static [&'static str],
    /// What it is.
    pub kind: Kind,
    /// What computes it.
    pub family: Family,
    /// What the names of transformers' classes begin with.
    pub class: &'static str,
    /// `general.architecture` of GGUF files, where those are read.
    pub gguf: Option<&'static str>,
}

/// All of them.
pub const ARCHITECTURES: [Architecture; 19] = [
    Architecture {
        models: &["SmolLM2"],
        gguf: Some("llama"),
        ..decoder("llama", "Llama", "Llama", Family::Llama)
    },
    decoder("mistral", "Mistral", "Mistral", Family::Llama),
    Architecture {
        gguf: Some("qwen2"),
        ..decoder("qwen2", "Qwen2", "Qwen2", Family::Llama)
    },
    Architecture {
        gguf: Some("qwen3"),
        ..decoder("qwen3", "Qwen3", "Qwen3", Family::Llama)
    },
    Architecture {
        gguf: Some("gemma2"),
        ..decoder("gemma2", "Gemma 2", "Gemma2", Family::Gemma)
    },
    Architecture {
        gguf: Some("gemma3"),
        ..decoder("gemma3_text", "Gemma 3", "Gemma3Text", Family::Gemma)
    },
    Architecture {
        gguf: Some("gpt2"),
        ..decoder("gpt2", "GPT-2", "GPT2", Family::Gpt2)
    },
    Architecture {
        models: &["MiniLM"],
        gguf: Some("bert"),
        ..encoder("bert", "BERT", "Bert", Family::Bert)
    },
    encoder("roberta", "RoBERTa", "Roberta", Family::Bert),
    encoder("xlm-roberta", "XLM-RoBERTa", "XLMRoberta", Family::Bert),
    encoder("distilbert", "DistilBERT", "DistilBert", Family::Bert),
    encoder("modernbert", "ModernBERT", "ModernBert", Family::ModernBert),
    Architecture {
        model_type: "t5",
        name: "T5",
        models: &["Flan-T5"],
        kind: Kind::EncoderDecoder,
        family: Family::T5,
        class: "T5",
        gguf: Some("t5"),
    },
    small(0),
    small(1),
    small(2),
    small(3),
    small(4),
    small(5),
];

const fn decoder(model_type: &'static str, name: &'static str, class: &'static str, family: Family) -> Architecture {
    Architecture {
        model_type,
        name,
        models: &[],
        kind: Kind::Decoder,
        family,
        class,
        gguf: None,
    }
}

const fn encoder(model_type: &'static str, name: &'static str, class: &'static str, family: Family) -> Architecture {
    Architecture {
        kind: Kind::Encoder,
        ..decoder(model_type, name, class, family)
    }
}

const fn small(number: usize) -> Architecture {
    Architecture {
        kind: Kind::Small,
        ..decoder(SMALL_MODELS[number], SMALL_MODELS[number], "Small", Family::Small)
    }
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

/// The architecture that GGUF files call `name`.
///
/// # Errors
/// It is not supported.
pub fn of_gguf(name: &str) -> Result<&'static Architecture> {
    let found = ARCHITECTURES.iter().find(|row| row.gguf == Some(name));
    found.ok_or_else(|| {
        let names: Vec<&str> = ARCHITECTURES.iter().filter_map(|row| row.gguf).collect();
        let what = msg::UnknownGgufArchitecture {
            name: format!("{name:?}"),
        };
        unknown(Error::model(what).field("general.architecture"), name, &names)
    })
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
    use std::collections::HashSet;

    #[test]
    fn each_name_is_of_one_architecture() {
        let types: HashSet<&str> = ARCHITECTURES.iter().map(|row| row.model_type).collect();
        assert_eq!(types.len(), ARCHITECTURES.len());
        let gguf: Vec<&str> = ARCHITECTURES.iter().filter_map(|row| row.gguf).collect();
        assert_eq!(gguf.iter().collect::<HashSet<_>>().len(), gguf.len());
        let small = ARCHITECTURES.iter().filter(|row| row.kind == Kind::Small);
        assert!(small.map(|row| row.model_type).eq(SMALL_MODELS));
    }

    #[test]
    fn an_unknown_architecture_is_refused_with_the_nearest_and_the_list() {
        let error = of_model_type("gpt_2").expect_err("it is none");
        let remedy = error.remedy.expect("a remedy").english();
        assert!(remedy.starts_with("Did you mean gpt2?"), "{remedy}");
        for row in ARCHITECTURES {
            assert!(remedy.contains(row.model_type), "{remedy}");
        }
        let error = of_gguf("gemma").expect_err("it is none");
        let remedy = error.remedy.expect("a remedy").english();
        assert!(remedy.starts_with("Did you mean gemma2?"), "{remedy}");
        assert!(of_gguf("gemma3").is_ok_and(|row| row.model_type == "gemma3_text"));
    }
}
