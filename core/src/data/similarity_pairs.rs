//! Pairs of texts and how alike they are: rows for a bi-encoder that is to put alike texts near to each other.

use super::frame::PairTemplate;
use super::{Example, LabelKind, LabelSet, Labelled, Target};
use crate::error::{Error, Result};
use crate::host::Turns;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::messages::data as msg;

/// Each of the first `most` rows as an example of two texts, each on its own, with their likeness on both. The rows behind
/// them are only checked.
///
/// # Errors
/// Rows that are no pairs; a label that is no number from −1 to 1, between which cosines lie; a `cutoff_len` that leaves no
/// room for text.
pub async fn similarity_examples(
    labelled: &Labelled,
    tokenizer: &Tokenizer,
    cutoff_len: usize,
    most: usize,
    turns: &mut Turns<'_, '_>,
) -> Result<Vec<Example>> {
    let frame = PairTemplate::of(tokenizer)?;
    let answer = LabelSet::new(LabelKind::Numbers, labelled.names(LabelKind::Numbers)?);
    let mut examples = Vec::with_capacity(most.min(labelled.rows.len()));
    let total = labelled.rows.len();
    for (index, row) in labelled.rows.iter().enumerate() {
        turns.at(index, total).await?;
        let here = |error: Error| error.file(&labelled.file).row(row.number);
        let Some(second) = &row.second else {
            return Err(here(Error::data(msg::OneTextForTwo)).remedy(msg::NamePair));
        };
        let likeness = labelled.targets(row, &answer)?;
        if let Some(outside) = likeness.iter().find(|value| !(-1.0..=1.0).contains(*value)) {
            let error = here(Error::data(msg::NoCosine { got: outside })).remedy(msg::DivideColumn);
            return Err(match labelled.labels.first() {
                Some(column) => error.field(column),
                None => error,
            });
        }
        if examples.len() == most {
            continue;
        }
        let read = |text: &str| {
            let example = frame.example(tokenizer, text, None, cutoff_len).map_err(here)?;
            Ok(Example {
                target: Target::Row(likeness.clone()),
                row: row.number,
                ..example
            })
        };
        examples.push(Example {
            others: vec![read(second)?],
            texts: vec![format!("{} | {second}", row.text)],
            ..read(&row.text)?
        });
    }
    Ok(examples)
}
