//! What `cutoff_len` cuts off an example, for a person to see.

use crate::data::{self, Example};
use crate::error::Result;
use crate::protocol::PreviewExample;
use crate::tokenizer::Tokenizer;

/// Rows are looked at up to so many tokens.
pub(super) const MOST_TOKENS: usize = 1 << 20;

/// Tokens that are shown of what is cut off.
const SHOWN: usize = 64;

/// Tokens in front of them: some tokenizers drop the space of a text's first word.
const CONTEXT: usize = 8;

/// The start of an example of texts, as a run keeps it.
pub(super) fn cut_off(whole: &Example, cutoff: usize) -> Example {
    let kept = whole.input_ids.len().min(cutoff);
    Example {
        input_ids: whole.input_ids[..kept].to_vec(),
        labels: whole.labels[..kept].to_vec(),
        row: whole.row,
        truncated: whole.input_ids.len() > cutoff,
        ..Example::default()
    }
}

/// An example as a front end shows it, with the tokens that `whole`, the same example uncut, has more. A token that the tokenizer puts
/// at the end of every text stays there.
///
/// # Errors
/// The tokenizer does not know an id.
pub(super) fn with_cut(kept: &Example, whole: Option<&Example>, tokenizer: &Tokenizer) -> Result<PreviewExample> {
    let shown = data::preview(kept, tokenizer)?;
    let longer = whole.filter(|whole| kept.truncated && whole.input_ids.len() > kept.input_ids.len());
    let Some(whole) = longer else {
        return Ok(shown);
    };
    let cut = whole.input_ids.len() - kept.input_ids.len();
    let pairs = kept.input_ids.iter().zip(&whole.input_ids);
    let same = pairs.take_while(|(kept, whole)| kept == whole).count();
    let (start, end) = (same.saturating_sub(CONTEXT), same + cut.min(SHOWN));
    let ids = whole.input_ids[start..end].to_vec();
    let part = Example {
        labels: ids.iter().map(|&id| id as i32).collect(),
        input_ids: ids,
        ..Example::default()
    };
    let tokens = data::preview(&part, tokenizer)?.tokens.into_iter();
    Ok(PreviewExample {
        cut,
        cut_tokens: tokens.skip(same - start).map(|(text, _)| text).collect(),
        ..shown
    })
}
