//! The names of a model's tensors in files: their common prefix, and the tensors that are not read.
//!
//! Architectures use transformers' names of a model with a head. A base model that was saved on its own has no first part
//! (`layers.0…` instead of `model.layers.0…`), and wrapped models have additional ones (`module.`, `_orig_mod.`). The text part
//! of a model of several has those of its place: `language_model.model.layers.0…` with transformers 4,
//! `model.language_model.layers.0…` with 5.

use super::keys::first_names;
use crate::error::{Error, Result};
use lorakeet_i18n::{Message, messages::models as msg};
use std::borrow::Cow;
use std::collections::HashSet;

/// Parts of prefixes that come from wrapping a model.
const WRAPPERS: [&str; 10] = [
    "model",
    "transformer",
    "bert",
    "roberta",
    "distilbert",
    "module",
    "_orig_mod",
    "base_model",
    "language_model",
    "text_model",
];

/// The prefixes of the names of a base's tensors.
#[derive(Debug, Default)]
pub(crate) struct Prefix {
    /// In transformers' names.
    wanted: &'static str,
    /// In the files.
    stored: String,
}

impl Prefix {
    /// The prefix of the one name among `names` that ends in `anchor`.
    ///
    /// # Errors
    /// There are two.
    pub(super) fn find<'a>(names: impl Iterator<Item = &'a str>, wanted: &'static str, anchor: &str) -> Result<Self> {
        let prefix_of = |name: &'a str| {
            let prefix = name.strip_suffix(anchor)?;
            (prefix.is_empty() || prefix.ends_with('.')).then_some(prefix)
        };
        let mut found = names.filter_map(prefix_of);
        match (found.next(), found.next()) {
            (Some(one), Some(other)) => Err(two_models(&format!("{one}{anchor}"), &format!("{other}{anchor}"))),
            (only, _) => Ok(Self {
                wanted,
                stored: only.unwrap_or(wanted).to_owned(),
            }),
        }
    }

    /// The files' name of the tensor `name`: of the base with their prefix, of a head with as much of the prefix as `exists`.
    pub(super) fn stored<'n>(&self, name: &'n str, exists: impl Fn(&str) -> bool) -> Cow<'n, str> {
        if let Some(part) = name.strip_prefix(self.wanted) {
            return match self.wanted == self.stored {
                true => Cow::Borrowed(name),
                false => Cow::Owned(format!("{}{part}", self.stored)),
            };
        }
        let mut candidates = self.starts().map(|before| format!("{before}{name}"));
        let found = candidates.find(|candidate| exists(candidate));
        found.map_or(Cow::Borrowed(name), Cow::Owned)
    }

    /// The inverse for a tensor of the base: the name that it is asked for by.
    pub(super) fn usual<'n>(&self, stored: &'n str) -> Cow<'n, str> {
        match stored.strip_prefix(self.stored.as_str()) {
            Some(part) if self.wanted != self.stored => Cow::Owned(format!("{}{part}", self.wanted)),
            _ => Cow::Borrowed(stored),
        }
    }

    /// The inverse for any tensor, of a head with as much of the prefix as it has.
    pub(super) fn alone<'n>(&self, stored: &'n str) -> Cow<'n, str> {
        if stored.starts_with(self.stored.as_str()) {
            return self.usual(stored);
        }
        Cow::Borrowed(
            self.starts()
                .find_map(|before| stored.strip_prefix(before))
                .unwrap_or(stored),
        )
    }

    /// The prefix with fewer and fewer of its parts.
    fn starts(&self) -> impl Iterator<Item = &str> {
        self.stored.rmatch_indices('.').map(|(dot, _)| &self.stored[..=dot])
    }
}

fn two_models(one: &str, other: &str) -> Error {
    let (one, other) = (first_names(&[one]), first_names(&[other]));
    Error::model(msg::TwoModels { one, other }).remedy(msg::KeepOneModel)
}

/// Tensors of the files that were not read.
pub(super) struct Unread<'a>(Vec<&'a str>);

impl<'a> Unread<'a> {
    /// Those of `names` that were not `read`, except constants and second names of tensors.
    ///
    /// # Errors
    /// One is the counterpart of a tensor that was read, under another prefix, or scales one.
    pub(super) fn of(names: impl Iterator<Item = &'a str>, read: &HashSet<String>, prefix: &Prefix) -> Result<Self> {
        let mut left = Vec::new();
        for name in names {
            if read.contains(name) || is_part(name, read) || is_idle(name) {
                continue;
            }
            if let Some(weight) = scaled(name, read) {
                let error = Error::model(msg::ScalesWeight { weight });
                return Err(error.field(name).remedy(msg::TakeOwnWeights));
            }
            if let Some(twin) = twin(name, read, prefix) {
                return Err(two_models(&twin, name));
            }
            left.push(name);
        }
        Ok(Self(left))
    }

    pub(super) fn note(&self) -> Option<Message> {
        let Self(names) = self;
        let shown = || {
            let names = first_names(names);
            msg::UnusedTensors { names }.into()
        };
        (!names.is_empty()).then(shown)
    }
}

/// Whether `name` is stored beside a matrix that bitsandbytes packed, as a part of it.
fn is_part(name: &str, read: &HashSet<String>) -> bool {
    let of_matrix = name.match_indices('.').any(|(dot, _)| read.contains(&name[..dot]));
    let beside = name.strip_suffix("SCB").or_else(|| name.strip_suffix("weight_format"));
    of_matrix || beside.is_some_and(|path| read.contains(&format!("{path}weight")))
}

/// Whether `name` is a constant that old checkpoints carry, a second name of a shared tensor, or the pooler of an encoder,
/// which only its classifiers read.
pub(crate) fn is_idle(name: &str) -> bool {
    const ENDS: [&str; 12] = [
        "position_ids",
        "embeddings.token_type_ids",
        "rotary_emb.inv_freq",
        ".attn.bias",
        ".attn.masked_bias",
        "encoder.embed_tokens.weight",
        "decoder.embed_tokens.weight",
        "EncDecAttention.relative_attention_bias.weight",
        "cls.predictions.decoder.bias",
        "lm_head.decoder.bias",
        "pooler.dense.weight",
        "pooler.dense.bias",
    ];
    ENDS.iter().any(|end| name.ends_with(end))
}

/// The weight that was read and that `name` scales: 8-bit floats, GPTQ and AWQ store so.
fn scaled(name: &str, read: &HashSet<String>) -> Option<String> {
    let (path, last) = name.rsplit_once('.')?;
    let scales = ["weight_scale", "weight_scale_inv", "scales", "qzeros", "weight_packed"].contains(&last);
    let weight = format!("{path}.weight");
    (scales && read.contains(&weight)).then_some(weight)
}

/// The tensor that was read instead of `name`, under another prefix.
fn twin(name: &str, read: &HashSet<String>, prefix: &Prefix) -> Option<String> {
    let mut rest = name;
    loop {
        let of_base = format!("{}{rest}", prefix.stored);
        let found = [of_base.as_str(), rest]
            .into_iter()
            .find(|other| *other != name && read.contains(*other));
        if let Some(found) = found {
            return Some(found.to_owned());
        }
        let (first, behind) = rest.split_once('.')?;
        if !WRAPPERS.contains(&first) {
            return None;
        }
        rest = behind;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(files: &[&str], wanted: &'static str, anchor: &str, name: &str) -> Result<String> {
        let prefix = Prefix::find(files.iter().copied(), wanted, anchor)?;
        Ok(prefix.stored(name, |name| files.contains(&name)).into_owned())
    }

    #[test]
    fn tensors_are_found_behind_any_prefix() {
        let of = |files: &[&str], name: &str| stored(files, "model.", "embed_tokens.weight", name).unwrap();
        let bare = ["embed_tokens.weight", "norm.weight", "lm_head.weight"];
        assert_eq!(of(&bare, "model.norm.weight"), "norm.weight");
        assert_eq!(of(&bare, "lm_head.weight"), "lm_head.weight");
        let prefix = Prefix::find(bare.into_iter(), "model.", "embed_tokens.weight").unwrap();
        assert_eq!(prefix.usual("norm.weight"), "model.norm.weight");
        let wrapped = ["module.model.embed_tokens.weight", "module.lm_head.weight"];
        assert_eq!(of(&wrapped, "model.norm.weight"), "module.model.norm.weight");
        assert_eq!(of(&wrapped, "lm_head.weight"), "module.lm_head.weight");
        let usual = ["model.embed_tokens.weight", "score.weight"];
        assert_eq!(of(&usual, "model.norm.weight"), "model.norm.weight");
        assert_eq!(of(&usual, "score.weight"), "score.weight");
        let encoder = ["roberta.embeddings.word_embeddings.weight"];
        let anchor = "embeddings.word_embeddings.weight";
        assert_eq!(stored(&encoder, "", anchor, "pooler.x").unwrap(), "roberta.pooler.x");
        assert_eq!(
            stored(&encoder, "bert.", anchor, "bert.pooler.x").unwrap(),
            "roberta.pooler.x"
        );
    }

    #[test]
    fn a_text_part_is_found_beside_other_parts_which_are_named() {
        let anchor = "embed_tokens.weight";
        for (inner, outer, head) in [
            ("language_model.model.", "", "language_model.lm_head.weight"),
            ("model.language_model.", "model.", "lm_head.weight"),
        ] {
            let base = ["embed_tokens.weight", "layers.0.self_attn.q_proj.weight"].map(|name| format!("{inner}{name}"));
            let others = [
                "vision_tower.vision_model.encoder.layers.0.self_attn.q_proj.weight",
                "vision_tower.vision_model.embeddings.patch_embedding.weight",
                "multi_modal_projector.mm_input_projection_weight",
            ];
            let others = others.map(|name| format!("{outer}{name}"));
            let names: Vec<&str> = base.iter().chain(&others).map(String::as_str).chain([head]).collect();
            let prefix = Prefix::find(names.iter().copied(), "model.", anchor).unwrap();
            let stored = |name| prefix.stored(name, |name| names.contains(&name)).into_owned();
            assert_eq!(stored("model.layers.0.self_attn.q_proj.weight"), base[1]);
            assert_eq!(stored("lm_head.weight"), head);
            assert_eq!(prefix.alone(&base[1]), "model.layers.0.self_attn.q_proj.weight");
            assert_eq!(prefix.alone(head), "lm_head.weight");
            let read: HashSet<String> = base.iter().cloned().chain([head.to_owned()]).collect();
            let note = Unread::of(names.iter().copied(), &read, &prefix).unwrap().note();
            let note = note.expect("there are others").english();
            assert!(others.iter().all(|name| note.contains(name)), "{note}");
        }
    }

    #[test]
    fn two_models_in_one_are_refused() {
        let both = ["model.embed_tokens.weight", "draft.embed_tokens.weight"];
        let error = stored(&both, "model.", "embed_tokens.weight", "x")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("model.embed_tokens.weight") && error.contains("draft."),
            "{error}"
        );
    }

    #[test]
    fn what_nothing_reads_is_named_and_a_second_copy_or_a_scale_refused() {
        let read: HashSet<String> = ["layers.0.w.weight", "head.weight"].map(str::to_owned).into();
        let prefix = Prefix {
            wanted: "model.",
            stored: String::new(),
        };
        let unread = |names: &[&'static str]| {
            let unread = Unread::of(names.iter().copied(), &read, &prefix);
            unread.map(|unread| unread.note().map(|note| note.english()).unwrap_or_default())
        };
        let known = [
            "layers.0.w.weight",
            "head.weight",
            "layers.0.w.weight.absmax",
            "layers.0.w.SCB",
        ];
        assert_eq!(unread(&known).unwrap(), "");
        assert_eq!(unread(&["embeddings.position_ids"]).unwrap(), "");
        assert!(unread(&["qa_outputs.bias"]).unwrap().contains("qa_outputs.bias"));
        for twin in [
            "model.layers.0.w.weight",
            "module.model.layers.0.w.weight",
            "module.head.weight",
        ] {
            assert!(unread(&[twin]).is_err(), "{twin}");
        }
        assert!(unread(&["tower.layers.0.w.weight"]).is_ok());
        assert!(
            unread(&["layers.0.w.weight_scale_inv"])
                .unwrap_err()
                .to_string()
                .contains("scales")
        );
    }
}
