//! Rows of texts as other trainers read them: a text to be continued, or a conversation.

use super::layout::{Layout, layout};
use super::{Content, Dataset, Row};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::data::{LeaveWeightOut, NothingToTrain, WeightsStayHere};
use serde_json::{Map, Value, json};

/// Each row as `{"text": …}` or `{"messages": […]}`, with `tools` and `chat_template_kwargs` where it has some; all rows of a file are of one kind.
///
/// # Errors
/// A file without texts; messages with a weight of 0, which other trainers would learn.
pub fn plain_rows(dataset: &Dataset) -> Result<Vec<Map<String, Value>>> {
    dataset.check_texts()?;
    if dataset.rows.is_empty() {
        return Err(Error::data(NothingToTrain).file(&dataset.name));
    }
    let is_weighed = |row: &&Row| match &row.content {
        Content::Messages(conversation) => conversation.learnt_answers().contains(&false),
        _ => false,
    };
    if let Some(row) = dataset.rows.iter().find(is_weighed) {
        let error = Error::data(WeightsStayHere).file(&dataset.name).row(row.number);
        return Err(error.field("weight").remedy(LeaveWeightOut));
    }
    Ok(dataset
        .rows
        .iter()
        .map(|row| plain(layout(&row.content, true)))
        .collect())
}

fn plain(layout: Layout) -> Map<String, Value> {
    let mut row = Map::new();
    match layout {
        Layout::Text(text) => drop(row.insert("text".to_owned(), json!(text.as_str()))),
        Layout::Pieces(pieces) => {
            let text: String = pieces.into_iter().map(|piece| piece.text).collect();
            row.insert("text".to_owned(), json!(text));
        }
        Layout::Chat(conversation) => {
            row.insert("messages".to_owned(), json!(conversation.messages));
            row.extend(conversation.tools.map(|tools| ("tools".to_owned(), tools)));
            if !conversation.names.is_empty() {
                row.insert("chat_template_kwargs".to_owned(), json!(conversation.names));
            }
        }
    }
    row
}
