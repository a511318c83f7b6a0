//! How a row is laid out as text, and which parts of that text are answers.
//!
//! With a chat template every row but plain text becomes a conversation in the model's own layout. Without one:
//! - `prompt` and `completion` are joined as they stand, with a line break between them if neither brings white space;
//! - Alpaca's columns get the layout that the Alpaca project published (`### Instruction:` … `### Response:`);
//! - a conversation is written as `User: …` and `Assistant: …`, a line each; tools and calls of them as JSON.
//!
//! In these three every answer ends with the tokenizer's end-of-text token, so that the model learns to stop.

use super::turns::said;
use super::{Content, Instruction, Text};
use crate::chat::{ChatTemplate, Conversation, is_learnt};
use crate::error::Result;
use serde_json::{Map, Value};

/// A row as text.
pub(super) enum Layout {
    /// Text to be continued: all of it is trained on.
    Text(Text),
    /// Pieces that are tokenized one by one, so that a prompt has the same tokens here as when it stands alone.
    Pieces(Vec<Piece>),
    /// A conversation for the chat template.
    Chat(Conversation),
}

/// A piece of a row.
pub(super) struct Piece {
    /// Its text.
    pub text: String,
    /// Whether it is an answer: followed by the end-of-text token.
    pub answer: bool,
    /// Whether it may be trained on: an answer is, unless its message says otherwise; where prompts are learnt, they are, too.
    pub learnt: bool,
}

impl Piece {
    fn read(text: String) -> Self {
        Self {
            text,
            answer: false,
            learnt: true,
        }
    }

    fn answer(text: String) -> Self {
        Self {
            text,
            answer: true,
            learnt: true,
        }
    }
}

/// Lays a row out, for the chat template where there is one.
pub(super) fn layout(content: &Content, has_template: bool) -> Layout {
    match content {
        Content::Text(text) => Layout::Text(text.clone()),
        Content::Messages(messages) if has_template => Layout::Chat((**messages).clone()),
        Content::PromptCompletion { prompt, completion } if has_template => {
            let messages = vec![said("user", prompt), said("assistant", completion)];
            Layout::Chat(chat(messages))
        }
        Content::Instruction(row) if has_template => Layout::Chat(chat(instruction_messages(row))),
        Content::Messages(messages) => Layout::Pieces(messages_pieces(messages)),
        Content::PromptCompletion { prompt, completion } => {
            let joint = needs_line_break(prompt, completion);
            let prompt = if joint {
                format!("{prompt}\n")
            } else {
                prompt.to_string()
            };
            Layout::Pieces(vec![Piece::read(prompt), Piece::answer(completion.to_string())])
        }
        Content::Instruction(row) => Layout::Pieces(alpaca_pieces(row)),
    }
}

/// What stands in front of the row's last answer: a prompt to sample from that looks like the training data.
///
/// `None` for plain text, and where the template refuses the conversation.
pub fn prompt_text(content: &Content, template: Option<&ChatTemplate>) -> Result<Option<String>> {
    Ok(match layout(content, template.is_some()) {
        Layout::Text(_) => None,
        Layout::Pieces(pieces) => {
            let last = pieces.iter().rposition(|piece| piece.answer).unwrap_or(0);
            Some(pieces[..last].iter().map(|piece| piece.text.as_str()).collect())
        }
        Layout::Chat(conversation) => {
            let mut places = 0..conversation.messages.len();
            let last = places
                .rfind(|&place| conversation.role(place) == "assistant")
                .unwrap_or(0);
            match template {
                Some(template) => Some(template.lay_out(&conversation.before(last), true)?),
                None => None,
            }
        }
    })
}

fn chat(messages: Vec<Map<String, Value>>) -> Conversation {
    Conversation {
        messages,
        ..Conversation::default()
    }
}

fn needs_line_break(prompt: &str, completion: &str) -> bool {
    let ends_in_space = prompt.chars().next_back().is_none_or(char::is_whitespace);
    let starts_in_space = completion.chars().next().is_none_or(char::is_whitespace);
    !ends_in_space && !starts_in_space
}

fn instruction_messages(row: &Instruction) -> Vec<Map<String, Value>> {
    let mut messages = Vec::new();
    if !row.system.trim().is_empty() {
        messages.push(said("system", &row.system));
    }
    for (question, answer) in &row.history {
        messages.push(said("user", question));
        messages.push(said("assistant", answer));
    }
    let parts = [row.instruction.as_str(), row.input.as_str()];
    let asked: Vec<&str> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
    messages.push(said("user", &asked.join("\n")));
    messages.push(said("assistant", &row.output));
    messages
}

fn alpaca_pieces(row: &Instruction) -> Vec<Piece> {
    let with_input = !row.input.trim().is_empty();
    let opening = match (row.system.trim().is_empty(), with_input) {
        (false, _) => row.system.as_str(),
        (true, true) => {
            "Below is an instruction that describes a task, paired with an input that provides further context. \
             Write a response that appropriately completes the request."
        }
        (true, false) => {
            "Below is an instruction that describes a task. Write a response that appropriately completes the request."
        }
    };
    let mut pieces = Vec::new();
    let mut prompt = format!("{opening}\n\n");
    for (question, answer) in &row.history {
        prompt.push_str(&format!("### Instruction:\n{question}\n\n### Response:\n"));
        pieces.push(Piece::read(std::mem::take(&mut prompt)));
        pieces.push(Piece::answer(answer.to_string()));
        prompt.push_str("\n\n");
    }
    prompt.push_str(&format!("### Instruction:\n{}\n\n", row.instruction));
    if with_input {
        prompt.push_str(&format!("### Input:\n{}\n\n", row.input));
    }
    prompt.push_str("### Response:\n");
    pieces.push(Piece::read(prompt));
    pieces.push(Piece::answer(row.output.to_string()));
    pieces
}

fn messages_pieces(conversation: &Conversation) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut prompt = String::new();
    if let Some(tools) = &conversation.tools {
        prompt.push_str(&format!("Tools: {tools}\n\n"));
    }
    for (place, message) in conversation.messages.iter().enumerate() {
        let content = conversation.text(place);
        match conversation.role(place) {
            "assistant" => {
                prompt.push_str("Assistant: ");
                pieces.push(Piece::read(std::mem::take(&mut prompt)));
                let calls = ["tool_calls", "function_call"]
                    .iter()
                    .filter_map(|key| message.get(*key));
                let calls = calls.map(|calls| format!("Calls: {calls}"));
                let parts = Some(content).filter(|text| !text.is_empty()).into_iter().chain(calls);
                pieces.push(Piece {
                    learnt: is_learnt(message),
                    ..Piece::answer(parts.collect::<Vec<_>>().join("\n"))
                });
                prompt.push('\n');
            }
            "system" => prompt.push_str(&format!("{content}\n\n")),
            "tool" => prompt.push_str(&format!("Tool: {content}\n")),
            _ => prompt.push_str(&format!("User: {content}\n")),
        }
    }
    // A question that nobody answers stays unread: nothing after the last answer is trained on.
    pieces
}
