//! Rows with labels as examples: the texts of a row in the frame of tokens that the model knows.

use super::examples::SpecialTokens;
use super::labelled::Labelled;
use super::labels::LabelSet;
use super::long_text::encode_long;
use super::{Example, Target};
use crate::error::{Error, Result};
use crate::host::Turns;
use crate::loss::IGNORE_INDEX;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::messages::data as msg;

/// Tokenizes rows and puts their labels on them; a row keeps the start of its texts, of a pair the longer one is cut first.
///
/// Numbers are as the file has them: [`Scaling`](super::Scaling) comes later. Without `answer` the labels are not read: the
/// rows are to be answered.
///
/// # Errors
/// As [`Labelled::targets`]; a `cutoff_len` that leaves no room for text.
pub async fn labelled_examples(
    labelled: &Labelled,
    answer: Option<&LabelSet>,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
    turns: &mut Turns<'_, '_>,
) -> Result<Vec<Example>> {
    let frame = PairTemplate::of(tokenizer)?;
    let total = labelled.rows.len();
    let mut examples = Vec::with_capacity(labelled.rows.len());
    for (index, row) in labelled.rows.iter().enumerate() {
        turns.at(index, total).await?;
        let mut example = frame
            .example(tokenizer, &row.text, row.second.as_deref(), cutoff_len)
            .map_err(|error| error.file(&labelled.file).row(row.number))?;
        example.row = row.number;
        if let Some(answer) = answer {
            example.target = Target::Row(labelled.targets(row, answer)?);
        }
        examples.push(example);
    }
    turns.at(total, total).await?;
    Ok(examples)
}

/// What a tokenizer puts around one text, and around and between two.
pub(super) struct PairTemplate {
    alone: SpecialTokens,
    before: Vec<u32>,
    between: Vec<u32>,
    after: Vec<u32>,
    /// Segments of what is in front of the second text, and from there on.
    types: (u32, u32),
}

impl PairTemplate {
    pub(super) fn of(tokenizer: &Tokenizer) -> Result<Self> {
        let alone = SpecialTokens::of(tokenizer)?;
        let (ids, types) = tokenizer.encode_pair("a", "b")?;
        let (a, b) = (tokenizer.encode("a", false)?, tokenizer.encode("b", false)?);
        let find = |text: &[u32], from: usize| {
            let rest = ids.get(from..).unwrap_or_default();
            rest.windows(text.len().max(1))
                .position(|window| window == text)
                .map(|at| from + at)
        };
        let places = find(&a, 0).and_then(|first| Some((first, find(&b, first + a.len())?)));
        let (before, between, after, types) = match places {
            Some((first, second)) => (
                ids[..first].to_vec(),
                ids[first + a.len()..second].to_vec(),
                ids[second + b.len()..].to_vec(),
                (types[first], types[second]),
            ),
            None => (alone.before.clone(), Vec::new(), alone.after.clone(), (0, 0)),
        };
        // A decoder's tokenizer has nothing between two texts: a line break tells them apart.
        let between = if between.is_empty() {
            tokenizer.encode("\n", false)?
        } else {
            between
        };
        Ok(Self {
            alone,
            before,
            between,
            after,
            types,
        })
    }

    /// One text, or two, as the model reads them, cut at `cutoff_len` tokens.
    pub(super) fn example(
        &self,
        tokenizer: &Tokenizer,
        first: &str,
        second: Option<&str>,
        cutoff_len: usize,
    ) -> Result<Example> {
        let mut a = encode_long(tokenizer, first)?;
        let mut b = second.map(|text| encode_long(tokenizer, text)).transpose()?;
        let frame = match &b {
            None => self.alone.before.len() + self.alone.after.len(),
            Some(_) => self.before.len() + self.between.len() + self.after.len(),
        };
        let room = cutoff_len.saturating_sub(frame);
        if room < 1 + usize::from(b.is_some()) {
            let error = Error::data(msg::NoRoomForText { cutoff_len, own: frame });
            return Err(error.field("cutoff_len").remedy(msg::RaiseIt));
        }
        let whole = a.len() + b.as_ref().map_or(0, Vec::len);
        if let Some(b) = &mut b {
            // The longer text gives way until both fit.
            let (short, half) = (a.len().min(b.len()), room / 2);
            let kept = room - short.min(half);
            let (a_kept, b_kept) = match (short <= half, a.len() >= b.len()) {
                (true, true) => (kept, short),
                (true, false) => (short, kept),
                (false, _) => (room - half, half),
            };
            a.truncate(a_kept);
            b.truncate(b_kept);
        } else {
            a.truncate(room);
        }
        let truncated = a.len() + b.as_ref().map_or(0, Vec::len) < whole;
        let mut example = Example {
            truncated,
            ..Example::default()
        };
        match b {
            None => example.input_ids = [&self.alone.before[..], &a, &self.alone.after].concat(),
            Some(b) => {
                let front = [&self.before[..], &a, &self.between].concat();
                let back = [&b[..], &self.after].concat();
                let (of_first, of_second) = self.types;
                if of_first != of_second {
                    example.token_type_ids = vec![of_first; front.len()];
                    example.token_type_ids.resize(front.len() + back.len(), of_second);
                }
                example.input_ids = [front, back].concat();
            }
        }
        example.labels = vec![IGNORE_INDEX; example.input_ids.len()];
        Ok(example)
    }
}
