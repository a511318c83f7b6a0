//! Rows of preferences: a prompt with the better and the worse of two answers.

use super::examples::{Reader, Settings};
use super::form::{required, text};
use super::parse::{Record, listed};
use super::turns::{conversation_of, said, turns_of, with};
use super::value::Value;
use super::{Content, Dataset, Example};
use crate::chat::{ChatTemplate, Conversation};
use crate::error::{Error, Result};
use crate::host::Turns;
use crate::tokenizer::Tokenizer;
use lorakeet_i18n::messages::data as msg;
use serde_json::{Map, Value as Json};

impl Dataset {
    /// Whether the file has a better and a worse answer in each row.
    pub fn has_preferences(&self) -> bool {
        let keys = self.keys();
        ["chosen", "rejected"]
            .iter()
            .all(|name| keys.iter().any(|key| key == name))
    }

    /// Each row as an example: the chosen answer with the rejected one behind it, learnt from their first token on; no more
    /// than `most` of them. The rows behind those are only checked.
    ///
    /// Rows without a part of both answers within the cutoff are left out; how many is the second result.
    ///
    /// # Errors
    /// Other columns, a row without an answer, or with two that are the same.
    pub async fn preferences(
        &self,
        tokenizer: &Tokenizer,
        template: Option<&ChatTemplate>,
        settings: &Settings,
        most: usize,
        turns: &mut Turns<'_, '_>,
    ) -> Result<(Vec<Example>, usize)> {
        let located = |error: Error| error.file(&self.name);
        if !self.has_preferences() {
            let columns = listed(&self.columns);
            let error = Error::data(msg::NoPreferences { columns });
            return Err(located(error.remedy(msg::NamePreferences)));
        }
        let reader = Reader::new(tokenizer, template, settings)?;
        let (mut examples, mut dropped) = (Vec::new(), 0);
        let table = self.table()?;
        for (index, record) in table.records().enumerate() {
            turns.at(index, self.rows.len()).await?;
            let here = |error: Error| located(error.row(record.number));
            let contents = || -> Result<[Content; 2]> {
                if record.fields.get("chosen") == record.fields.get("rejected") {
                    let same = Error::data(msg::SameAsChosen).field("rejected");
                    return Err(same.remedy(msg::DeleteRow));
                }
                Ok([content(&record, "chosen")?, content(&record, "rejected")?])
            };
            let [chosen, rejected] = contents().map_err(here)?;
            if examples.len() == most {
                continue;
            }
            let read = |content: &Content| reader.example(record.number, content).map_err(here);
            let (Some(chosen), Some(rejected)) = (read(&chosen)?, read(&rejected)?) else {
                dropped += 1;
                continue;
            };
            examples.push(Example {
                others: vec![rejected],
                ..chosen
            });
        }
        if examples.is_empty() {
            let error = Error::data(msg::PreferencesBeyond).field("cutoff_len");
            return Err(located(error.remedy(msg::RaiseCutoff)));
        }
        Ok((examples, dropped))
    }
}

/// A prompt with the answer in `column`; either may be a conversation.
pub(super) fn content(record: &Record, column: &str) -> Result<Content> {
    let field = |name: &str| record.fields.get(name).filter(|value| !super::form::is_blank(value));
    let answer = field(column);
    if let (None | Some(Value::String(_)), None) = (field("prompt"), answer) {
        required(record, column)?;
    }
    let is_list = |value: Option<&Value>| value.is_some_and(Value::is_array);
    if !is_list(answer) && !is_list(field("prompt")) {
        let completion = required(record, column)?;
        return Ok(match field("prompt") {
            None => Content::Text(completion),
            Some(prompt) => Content::PromptCompletion {
                prompt: text(prompt).map_err(|error| error.field("prompt"))?,
                completion,
            },
        });
    }
    let turns = |name: &str, role: &str| -> Result<Vec<Map<String, Json>>> {
        match field(name) {
            None => Ok(Vec::new()),
            Some(list @ Value::Array(_)) => conversation_of(&turns_of(list), name),
            Some(value) => {
                let content = text(value).map_err(|error| error.field(name))?;
                Ok(vec![said(role, &content)])
            }
        }
    };
    let mut messages = turns("prompt", "user")?;
    messages.extend(turns(column, "assistant")?);
    if messages.last().is_none_or(|message| message["role"] != "assistant") {
        return Err(Error::data(msg::NoAnswerAtEnd).field(column));
    }
    Ok(Content::Messages(Box::new(Conversation {
        messages,
        ..with(record)?
    })))
}
