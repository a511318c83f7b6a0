//! Records to rows: which columns mean what, decided once for a file; and every way in which a row can be wrong.

use super::parse::{Record, Records, Skipped, Table, kind};
use super::{Content, Form, Instruction, Row, labelled, numeric, preferred, tagged};
use crate::error::{Error, Result};
use crate::protocol::Message;
use serde_json::Value;

/// Pairs of columns that are a prompt and what should follow it.
const PAIRS: &[(&str, &str)] = &[
    ("prompt", "completion"),
    ("prompt", "response"),
    ("prompt", "output"),
    ("prompt", "answer"),
    ("question", "answer"),
    ("question", "response"),
    ("query", "response"),
    ("query", "answer"),
    ("input", "output"),
    ("source", "target"),
    ("document", "summary"),
    ("article", "highlights"),
    ("text", "summary"),
    ("query", "positive"),
    ("anchor", "positive"),
];

/// Names of the column that holds the answer of an `instruction`.
const OUTPUTS: &[&str] = &["output", "response", "completion", "answer"];

/// The columns in use.
enum Plan {
    Text(String),
    Conversation(String),
    Pair(String, String),
    Alpaca(String),
    /// A prompt with a better and a worse answer: the better one.
    Preferred,
    /// Words in a list.
    Words(String),
    /// Numbers, which are no texts.
    Numbers,
}

/// The form, the rows and the columns of a file.
pub(super) fn rows(records: &Records, notes: &mut Vec<String>) -> Result<(Form, Vec<Row>, Vec<String>)> {
    let table = match records {
        Records::Document(text) => {
            return Ok((
                Form::Text,
                vec![Row {
                    number: 1,
                    content: Content::Text(text.clone()),
                }],
                vec![],
            ));
        }
        Records::Table(table) => table,
    };
    let (form, plan) = plan(table, notes)?;
    if form == Form::Numbers {
        return Ok((form, Vec::new(), table.columns.clone()));
    }
    let used = plan.columns();
    let unused: Vec<&str> = table
        .columns
        .iter()
        .map(String::as_str)
        .filter(|name| !used.contains(&key(name)) && !labelled::names_labels(&key(name)))
        .collect();
    if !unused.is_empty() {
        notes.push(format!("Not used of texts to continue: {}.", unused.join(", ")));
    }
    let mut rows = Vec::with_capacity(table.rows.len());
    let mut skipped = Skipped::default();
    for record in &table.rows {
        let number = record.number;
        if used.iter().all(|column| record.fields.get(column).is_none_or(is_blank)) {
            skipped.push(number);
            continue;
        }
        let content = plan.content(record).map_err(|error| error.row(number))?;
        rows.push(Row { number, content });
    }
    skipped.note("empty row", notes);
    if rows.is_empty() {
        return Err(Error::data("every row is empty").remedy("Choose a file with text in its rows."));
    }
    Ok((form, rows, table.columns.clone()))
}

fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// Chooses the form by the columns' names; the order of the questions is the order of preference.
fn plan(table: &Table, notes: &mut Vec<String>) -> Result<(Form, Plan)> {
    let keys: Vec<String> = table.columns.iter().map(|name| key(name)).collect();
    let has = |name: &str| keys.iter().any(|key| key == name);
    if has("messages") {
        return Ok((Form::Messages, Plan::Conversation("messages".to_string())));
    }
    if has("conversations") {
        return Ok((Form::ShareGpt, Plan::Conversation("conversations".to_string())));
    }
    if has("instruction")
        && let Some(output) = OUTPUTS.iter().find(|name| has(name))
    {
        return Ok((Form::Alpaca, Plan::Alpaca(output.to_string())));
    }
    if let Some((prompt, completion)) = PAIRS.iter().find(|(prompt, completion)| has(prompt) && has(completion)) {
        return Ok((
            Form::PromptCompletion,
            Plan::Pair(prompt.to_string(), completion.to_string()),
        ));
    }
    if let Some(text) = ["text", "content"].iter().find(|name| has(name)) {
        return Ok((Form::Text, Plan::Text(text.to_string())));
    }
    if has("chosen") && has("rejected") {
        return Ok((Form::PromptCompletion, Plan::Preferred));
    }
    if let Some(words) = tagged::words(&keys) {
        return Ok((Form::Text, Plan::Words(words)));
    }
    // Files of other tasks: what a model that continues texts would learn from them.
    if let Some((prompt, completion)) = labelled::pair(&keys) {
        return Ok((Form::PromptCompletion, Plan::Pair(prompt, completion)));
    }
    if let Some(text) = labelled::text(&keys) {
        return Ok((Form::Text, Plan::Text(text)));
    }
    if numeric::holds_numbers(table) {
        return Ok((Form::Numbers, Plan::Numbers));
    }
    if table.ordered {
        match keys.as_slice() {
            [only] => {
                notes.push(format!("The column '{}' is taken as the text.", table.columns[0]));
                return Ok((Form::Text, Plan::Text(only.clone())));
            }
            [first, second, ..] => {
                notes.push(format!(
                    "No column has a known name: '{}' is taken as the prompt and '{}' as the completion.",
                    table.columns[0], table.columns[1]
                ));
                return Ok((Form::PromptCompletion, Plan::Pair(first.clone(), second.clone())));
            }
            [] => {}
        }
    }
    Err(
        Error::data(format!("no known columns among: {}", table.columns.join(", "))).remedy(
            "Name them text; or prompt and completion; or instruction, input and output; or messages (role, content); \
         or conversations (from, value). Numbers go into a list called values.",
        ),
    )
}

impl Plan {
    /// The columns in use, in small letters.
    fn columns(&self) -> Vec<String> {
        match self {
            Self::Text(text) => vec![text.clone()],
            Self::Conversation(list) => vec![list.clone(), "system".to_string()],
            Self::Pair(prompt, completion) => vec![prompt.clone(), completion.clone()],
            Self::Preferred => ["prompt", "chosen", "rejected"].map(String::from).into(),
            Self::Words(words) => vec![words.clone()],
            Self::Numbers => Vec::new(),
            Self::Alpaca(output) => {
                let mut columns: Vec<String> = ["system", "history", "instruction", "input"].map(String::from).into();
                columns.push(output.clone());
                columns
            }
        }
    }

    fn content(&self, record: &Record) -> Result<Content> {
        Ok(match self {
            Self::Text(text) => Content::Text(required(record, text)?),
            Self::Conversation(list) => Content::Messages(conversation(record, list)?),
            Self::Pair(prompt, completion) => Content::PromptCompletion {
                prompt: optional(record, prompt)?,
                completion: required(record, completion)?,
            },
            Self::Preferred => preferred::content(record, "chosen")?,
            Self::Words(words) => Content::Text(tagged::list(record, words)?.join(" ")),
            Self::Numbers => return Err(Error::internal("a row of numbers is no text")),
            Self::Alpaca(output) => Content::Instruction(Instruction {
                system: optional(record, "system")?,
                history: history(record)?,
                instruction: optional(record, "instruction")?,
                input: optional(record, "input")?,
                output: required(record, output)?,
            }),
        })
    }
}

/// A field's text; empty where it is missing or null. Numbers and truth values become text, lists and objects are
/// refused.
fn optional(record: &Record, field: &str) -> Result<String> {
    match record.fields.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(value) => text(value).map_err(|error| error.field(field)),
    }
}

/// A field's text that may not be blank.
pub(super) fn required(record: &Record, field: &str) -> Result<String> {
    let text = optional(record, field)?;
    if !text.trim().is_empty() {
        return Ok(text);
    }
    let what = if record.fields.contains_key(field) {
        "is empty"
    } else {
        "is missing"
    };
    Err(Error::data(what).field(field).remedy("Fill it in, or delete the row."))
}

pub(super) fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(Error::data(format!("must be a text, but is {}", kind(other)))
            .remedy("Conversations belong into a column named messages.")),
    }
}

/// Alpaca's `history`: a list of [question, answer].
fn history(record: &Record) -> Result<Vec<(String, String)>> {
    let wrong = || {
        Error::data("must be a list of pairs [question, answer]")
            .field("history")
            .remedy("Correct it, or leave it out.")
    };
    let rounds = match record.fields.get("history") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(Vec::new()),
        Some(value) => value.as_array().ok_or_else(wrong)?,
    };
    let round = |round: &Value| match round.as_array().map(Vec::as_slice) {
        Some([question, answer]) => Ok((text(question)?, text(answer)?)),
        _ => Err(wrong()),
    };
    rounds
        .iter()
        .map(|item| round(item).map_err(|error| error.field("history")))
        .collect()
}

/// The turns of `messages` or `conversations`; both pairs of names are accepted in both.
fn conversation(record: &Record, column: &str) -> Result<Vec<Message>> {
    let remedy = "It must be a list of turns, like [{\"role\": \"user\", \"content\": \"…\"}, …].";
    let parsed;
    let turns = match record.fields.get(column) {
        Some(Value::Array(turns)) => turns,
        // A table can hold a conversation only as JSON in a field.
        Some(Value::String(text)) => {
            parsed = serde_json::from_str::<Vec<Value>>(text).map_err(|_| {
                Error::data("is a text, not a list of turns")
                    .field(column)
                    .remedy(remedy)
            })?;
            &parsed
        }
        Some(other) => return Err(Error::data(format!("is {}", kind(other))).field(column).remedy(remedy)),
        None => return Err(Error::data("is missing").field(column).remedy(remedy)),
    };
    let mut messages = Vec::with_capacity(turns.len() + 1);
    let system = optional(record, "system")?;
    if !system.trim().is_empty() {
        messages.push(Message {
            role: "system".to_string(),
            content: system,
        });
    }
    messages.extend(conversation_of(turns, column)?);
    let answers = messages
        .iter()
        .any(|message| message.role == "assistant" && !message.content.trim().is_empty());
    if !answers {
        let error = Error::data("the conversation has no answer of the assistant").field(column);
        return Err(error.remedy("Add a turn with the role assistant, or delete the row."));
    }
    Ok(messages)
}

/// Turns of a conversation, from the list in `column`.
pub(super) fn conversation_of(turns: &[Value], column: &str) -> Result<Vec<Message>> {
    let remedy = "It must be a list of turns, like [{\"role\": \"user\", \"content\": \"…\"}, …].";
    let mut messages = Vec::with_capacity(turns.len());
    for (index, turn) in turns.iter().enumerate() {
        let place = |name: &str| format!("{column}[{index}].{name}");
        let find = |names: [&str; 2]| names.iter().find_map(|name| turn.get(name));
        let role = find(["role", "from"]).and_then(Value::as_str);
        let role = role.ok_or_else(|| Error::data("is missing").field(place("role")).remedy(remedy))?;
        let content = match find(["content", "value"]) {
            None | Some(Value::Null) => return Err(Error::data("is missing").field(place("content")).remedy(remedy)),
            Some(value) => text(value).map_err(|error| error.field(place("content")))?,
        };
        messages.push(Message {
            role: role_name(role).map_err(|error| error.field(place("role")))?,
            content,
        });
    }
    Ok(messages)
}

/// The role under the name that chat templates know.
fn role_name(role: &str) -> Result<String> {
    Ok(match role.trim().to_lowercase().as_str() {
        "user" | "human" => "user",
        "assistant" | "gpt" | "chatgpt" | "bing" | "bard" | "bot" | "model" => "assistant",
        "system" | "developer" => "system",
        "tool" | "function" | "observation" => "tool",
        _ => {
            return Err(Error::data(format!("the role '{role}' is unknown"))
                .remedy("Roles are system, user, assistant and tool (sharegpt: system, human, gpt, tool)."));
        }
    }
    .to_string())
}
