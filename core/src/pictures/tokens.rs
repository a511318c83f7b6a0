//! The probability of each token of a text given those before it, p = exp(−loss), by the base model and with the adapter.

use super::{texts_of, tokens_of};
use crate::error::{Error, Result};
use crate::loaded_model::LoadedModel;
use crate::models::registry::{self, Kind};
use crate::models::{Leaves, TokenScore};
use crate::protocol::{Picture, TokenProbability};
use lorakeet_i18n::messages::pictures as msg;

pub(super) async fn draw(loaded: &LoadedModel, leaves: &Leaves, text: &str) -> Result<Picture> {
    let model = &loaded.model;
    if !model.predicts_next_token() {
        let error = Error::model(msg::PredictsNoToken {
            model: &model.info.model_type,
        });
        let names = registry::names_of(|row| row.kind == Kind::Decoder);
        return Err(error.remedy(msg::LoadDecoder { names }));
    }
    let ids = tokens_of(text, loaded)?;
    // After full training the base's weights are no longer there.
    let (is_base_there, is_tuned) = (!loaded.full, loaded.full || model.has_adapter());
    let base = match is_base_there {
        true => Some(model.score_tokens(leaves, &ids, false).await?),
        false => None,
    };
    let tuned = match is_tuned {
        true => Some(model.score_tokens(leaves, &ids, true).await?),
        false => None,
    };
    let now = tuned.as_ref().or(base.as_ref()).map_or(&[][..], Vec::as_slice);
    let tokenizer = loaded.tokenizer()?;
    let probability = |scores: &Option<Vec<TokenScore>>, place: usize| {
        let found = scores.as_ref().and_then(|all| all.get(place));
        found.map(|found| (-found.loss).exp())
    };
    let mut tokens = Vec::with_capacity(ids.len());
    for (at, text) in texts_of(&ids, tokenizer)?.into_iter().enumerate() {
        // The first token has nothing before it.
        let found = at.checked_sub(1).and_then(|place| Some((place, now.get(place)?)));
        let Some((place, found)) = found else {
            tokens.push(TokenProbability {
                text,
                base: None,
                tuned: None,
                likeliest: String::new(),
                likeliest_probability: 0.0,
            });
            continue;
        };
        // Decoded after the token before it, so that a leading space is kept.
        let behind = texts_of(&[ids[place], found.likeliest], tokenizer)?;
        tokens.push(TokenProbability {
            text,
            base: probability(&base, place),
            tuned: probability(&tuned, place),
            likeliest: behind.into_iter().next_back().unwrap_or_default(),
            likeliest_probability: (-found.likeliest_loss).exp(),
        });
    }
    Ok(Picture::Tokens { tokens })
}
