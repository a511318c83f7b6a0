//! Rows of an encoder-decoder: a text that goes in, and the text that is to come out.

use super::examples::{Example, Settings, SpecialTokens, Target};
use super::layout::{Layout, layout};
use super::long_text::encode_long;
use super::{Content, Dataset};
use crate::error::{Error, Result};
use crate::host::Turns;
use crate::loss::IGNORE_INDEX;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::messages::data as msg;

/// Tokenizes every row: all in front of its last answer goes in, that answer comes out; both keep their starts and end with
/// the tokenizer's own end.
///
/// # Errors
/// A row that is one text without an answer; a tokenizer without an end of text.
pub async fn seq2seq_examples(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    settings: &Settings,
    turns: &mut Turns<'_, '_>,
) -> Result<Vec<Example>> {
    dataset.check_texts()?;
    let specials = SpecialTokens::of(tokenizer)?;
    let end = match (specials.after.as_slice(), tokenizer.eos_token_ids()) {
        ([], [end, ..]) => vec![*end],
        (after, _) => after.to_vec(),
    };
    let mut examples = Vec::with_capacity(dataset.rows.len());
    for (index, row) in dataset.rows.iter().enumerate() {
        turns.at(index, dataset.rows.len()).await?;
        let Some((source, target)) = parts(&row.content) else {
            let error = Error::data(msg::OneTextForAnswer).file(&dataset.name).row(row.number);
            return Err(error.remedy(msg::GiveTwoColumns));
        };
        let cut = |text: &str, frame: usize| -> Result<(Vec<u32>, bool)> {
            let mut ids = encode_long(tokenizer, text)?;
            let room = settings.cutoff_len.saturating_sub(frame).max(1);
            let truncated = ids.len() > room;
            ids.truncate(room);
            Ok((ids, truncated))
        };
        let (source, source_cut) = cut(&source, specials.before.len() + specials.after.len())?;
        let (target, target_cut) = cut(&target, end.len())?;
        let input_ids = [&specials.before[..], &source, &specials.after].concat();
        let answer = [&target[..], &end].concat();
        examples.push(Example {
            labels: vec![IGNORE_INDEX; input_ids.len()],
            input_ids,
            row: row.number,
            truncated: source_cut || target_cut,
            target: Target::Answer(answer.into_iter().map(|id| id as i32).collect()),
            ..Example::default()
        });
    }
    turns.at(dataset.rows.len(), dataset.rows.len()).await?;
    Ok(examples)
}

/// What goes in, and what comes out.
fn parts(content: &Content) -> Option<(String, String)> {
    if let Content::PromptCompletion { prompt, completion } = content {
        return Some((prompt.to_string(), completion.to_string()));
    }
    let Layout::Pieces(pieces) = layout(content, false) else {
        return None;
    };
    let last = pieces.iter().rposition(|piece| piece.answer)?;
    let source = pieces[..last].iter().map(|piece| piece.text.as_str()).collect();
    Some((source, pieces[last].text.clone()))
}
