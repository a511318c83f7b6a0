//! Conversations in a row: the turns of `messages` or `conversations`, whoever wrote them, with the row's system prompt and tools.

use super::form::{is_blank, optional, text};
use super::parse::{Record, kind};
use super::value::Value;
use crate::chat::{Conversation, is_learnt};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::data as msg;
use serde_json::{Map, Value as Json, json};

/// The turns of `messages` or `conversations`, with the row's `system`, `tools` and `chat_template_kwargs`; both pairs of names
/// are accepted in both.
pub(super) fn conversation(record: &Record, column: &str) -> Result<Conversation> {
    let turns = match structured(record, column) {
        Ok(Some(Json::Array(turns))) => turns,
        Ok(None) => return Err(Error::data(common::IsMissing).field(column).remedy(msg::ListOfTurns)),
        Ok(Some(other)) => {
            let kind = json_kind(&other);
            return Err(Error::data(msg::Is { kind }).field(column).remedy(msg::ListOfTurns));
        }
        Err(_) => {
            let error = Error::data(msg::IsTextNotTurns).field(column);
            return Err(error.remedy(msg::ListOfTurns));
        }
    };
    let mut messages = Vec::with_capacity(turns.len() + 1);
    let system = optional(record, "system")?;
    if !system.trim().is_empty() {
        messages.push(said("system", &system));
    }
    messages.extend(conversation_of(&turns, column)?);
    if !messages.iter().any(is_answer) {
        let error = Error::data(msg::NoAnswerOfAssistant).field(column);
        return Err(error.remedy(msg::AddAnswer));
    }
    if !messages.iter().any(|message| is_answer(message) && is_learnt(message)) {
        let error = Error::data(msg::AllWeightsZero).field(column);
        return Err(error.remedy(msg::WeighOne));
    }
    Ok(Conversation {
        messages,
        ..with(record)?
    })
}

/// The turns in a list, as templates take them.
pub(super) fn turns_of(list: &Value) -> Vec<Json> {
    match list.to_json() {
        Json::Array(turns) => turns,
        _ => Vec::new(),
    }
}

/// What a row says of its conversation beside the turns.
pub(super) fn with(record: &Record) -> Result<Conversation> {
    Ok(Conversation {
        messages: Vec::new(),
        tools: tools(record)?,
        names: names(record)?,
    })
}

/// A message of plain text.
pub(super) fn said(role: &str, content: &str) -> Map<String, Json> {
    let pairs = [("role", role), ("content", content)];
    pairs
        .map(|(key, text)| (key.to_string(), json!(text)))
        .into_iter()
        .collect()
}

/// Whether a message is the assistant's and says or does something.
fn is_answer(message: &Map<String, Json>) -> bool {
    let is_blank_part = |part: &Json| part["text"].as_str().is_some_and(|text| text.trim().is_empty());
    let is_said = |(key, value): (&String, &Json)| match (key.as_str(), value) {
        ("role", _) => false,
        ("content", Json::Array(parts)) => !parts.iter().all(is_blank_part),
        _ => !is_blank_json(value),
    };
    message["role"] == "assistant" && message.iter().any(is_said)
}

/// A list or an object, or the JSON text of one, as tables have it; `None` where the field is empty.
fn structured(record: &Record, field: &str) -> Result<Option<Json>> {
    match record.fields.get(field) {
        None => Ok(None),
        Some(value) if is_blank(value) => Ok(None),
        Some(Value::String(text)) => {
            let read = serde_json::from_str::<Json>(text).ok();
            let read = read.filter(|value| value.is_array() || value.is_object());
            read.map(Some).ok_or_else(|| Error::data(msg::IsNoJson).field(field))
        }
        Some(value) => Ok(Some(value.to_json())),
    }
}

/// The functions that the assistant may call: a list, or its JSON text. A function that stands alone, as LLaMA-Factory's
/// data sets have it, becomes a tool as chat templates know it.
fn tools(record: &Record) -> Result<Option<Json>> {
    let wrong = || {
        let error = Error::data(msg::NotFunctions).field("tools");
        error.remedy(msg::WriteFunctions)
    };
    let tools = match structured(record, "tools").map_err(|_| wrong())? {
        None => return Ok(None),
        Some(Json::Array(tools)) => tools,
        Some(_) => return Err(wrong()),
    };
    let tool = |tool: Json| match &tool {
        Json::Object(function) if function.contains_key("name") && !function.contains_key("function") => {
            Ok(json!({"type": "function", "function": tool}))
        }
        Json::Object(_) => Ok(tool),
        _ => Err(wrong()),
    };
    let tools = tools.into_iter().map(tool).collect::<Result<Vec<_>>>()?;
    Ok(Some(tools).filter(|tools| !tools.is_empty()).map(Json::Array))
}

/// Further names for the chat template, like `enable_thinking`; TRL has them in this column.
fn names(record: &Record) -> Result<Map<String, Json>> {
    const FIELD: &str = "chat_template_kwargs";
    match structured(record, FIELD)? {
        None => Ok(Map::new()),
        Some(Json::Object(names)) => Ok(names),
        Some(other) => {
            let kind = json_kind(&other);
            let error = Error::data(msg::NotObject { kind }).field(FIELD);
            Err(error.remedy(msg::WriteNames))
        }
    }
}

/// Turns of a conversation, from the list in `column`, with all that they have: keys keep their order, and those that are null
/// are left out, since files of one schema have them in every turn.
pub(super) fn conversation_of(turns: &[Json], column: &str) -> Result<Vec<Map<String, Json>>> {
    turns
        .iter()
        .enumerate()
        .map(|(index, turn)| message(turn, &format!("{column}[{index}]")))
        .collect()
}

fn message(turn: &Json, place: &str) -> Result<Map<String, Json>> {
    let missing = |name: &str| {
        let error = Error::data(common::IsMissing).field(format!("{place}.{name}"));
        error.remedy(msg::ListOfTurns)
    };
    let turn = turn.as_object().ok_or_else(|| missing("role"))?;
    let named = |names: [&'static str; 2]| names.into_iter().find(|name| turn.contains_key(*name));
    let role_key = named(["role", "from"]).ok_or_else(|| missing("role"))?;
    let content_key = named(["content", "value"]);
    let role = turn[role_key].as_str().ok_or_else(|| missing("role"))?;
    let content = content_key.map_or(&Json::Null, |key| &turn[key]);
    if role.trim().eq_ignore_ascii_case("function_call") {
        return call(content, &format!("{place}.content"));
    }
    let role = role_name(role).map_err(|error| error.field(format!("{place}.role")))?;
    let mut message = Map::new();
    for (key, value) in turn {
        let (key, value) = match key.as_str() {
            key if key == role_key => ("role", json!(role)),
            key if Some(key) == content_key => {
                let content = content_of(value).map_err(|error| error.field(format!("{place}.content")))?;
                ("content", content)
            }
            _ if value.is_null() => continue,
            "weight" => {
                check_weight(value, &role).map_err(|error| error.field(format!("{place}.weight")))?;
                ("weight", value.clone())
            }
            key => (key, value.clone()),
        };
        message.insert(key.to_string(), value);
    }
    let calls = ["tool_calls", "function_call"]
        .iter()
        .any(|key| message.get(*key).is_some_and(|calls| !is_blank_json(calls)));
    if content.is_null() && !(calls && role == "assistant") {
        return Err(missing("content"));
    }
    // Templates ask for the key, whether or not there is something in it.
    message.entry("content").or_insert(Json::Null);
    Ok(message)
}

/// OpenAI's `weight` of a message: 0 of an answer that is read and not learnt.
fn check_weight(weight: &Json, role: &str) -> Result<()> {
    let value = weight.as_f64();
    if value != Some(0.0) && value != Some(1.0) {
        return Err(Error::data(msg::WeightNeitherZeroNorOne { got: weight }).remedy(msg::WeighZeroOrOne));
    }
    match role {
        "assistant" => Ok(()),
        role => Err(Error::data(msg::WeightOfOther { role }).remedy(msg::LeaveWeightOut)),
    }
}

/// What was said: a text, or parts of texts.
fn content_of(value: &Json) -> Result<Json> {
    let parts = match value {
        Json::Null => return Ok(Json::Null),
        Json::Array(parts) => parts,
        Json::Object(_) => {
            return Err(Error::data(msg::NotTextOrParts).remedy(msg::WriteParts));
        }
        value => return json_text(value).map(Json::String),
    };
    for (number, part) in (1..).zip(parts) {
        let kind = part["type"].as_str().unwrap_or("text");
        let has_text = part.is_string() || part["text"].is_string();
        if kind != "text" {
            return Err(Error::data(msg::PartOfOtherType { part: number, kind }).remedy(msg::WriteParts));
        }
        if !has_text {
            return Err(Error::data(msg::PartWithoutText { part: number }).remedy(msg::WriteParts));
        }
    }
    Ok(value.clone())
}

/// LLaMA-Factory's turn `function_call`: JSON of a function's name and arguments, or a list of such, as the assistant's calls.
fn call(content: &Json, place: &str) -> Result<Map<String, Json>> {
    let wrong = || {
        let error = Error::data(msg::NoFunctionCall).field(place);
        error.remedy(msg::WriteCall)
    };
    let read = match content {
        Json::String(text) => serde_json::from_str(text).map_err(|_| wrong())?,
        other => other.clone(),
    };
    let calls = match read {
        Json::Array(calls) => calls,
        one => vec![one],
    };
    let call = |call: &Json| match (call["name"].as_str(), call.get("arguments")) {
        (Some(name), Some(arguments)) => {
            Ok(json!({"type": "function", "function": {"name": name, "arguments": arguments}}))
        }
        _ => Err(wrong()),
    };
    let calls = calls.iter().map(call).collect::<Result<Vec<_>>>()?;
    if calls.is_empty() {
        return Err(wrong());
    }
    let mut message = said("assistant", "");
    message.insert("tool_calls".to_string(), Json::Array(calls));
    Ok(message)
}

/// What a JSON value is, with its article.
fn json_kind(value: &Json) -> Message {
    kind(&Value::from(value))
}

fn is_blank_json(value: &Json) -> bool {
    is_blank(&Value::from(value))
}

fn json_text(value: &Json) -> Result<String> {
    text(&Value::from(value)).map(String::from)
}

/// The role under the name that chat templates know.
fn role_name(role: &str) -> Result<String> {
    Ok(match role.trim().to_lowercase().as_str() {
        "user" | "human" => "user",
        "assistant" | "gpt" | "chatgpt" | "bing" | "bard" | "bot" | "model" => "assistant",
        "system" | "developer" => "system",
        "tool" | "function" | "observation" => "tool",
        _ => {
            return Err(Error::data(msg::UnknownRole { role }).remedy(msg::KnownRoles));
        }
    }
    .to_string())
}
