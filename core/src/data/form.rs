//! Records to rows: which columns mean what, decided once for a file; and every way in which a row can be wrong.

use super::parse::{Record, Records, Skipped, Table, key, kind, listed, note_unused};
use super::roles::{self, Guess};
use super::table::is_unnamed;
use super::text::Text;
use super::told::Told;
use super::turns::conversation;
use super::value::Value;
use super::{Content, Instruction, Row, Schema, labelled, numeric, preference, token_classification};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::data as msg;

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
    ("问题", "回答"),
    ("问题", "答案"),
    ("提示", "回答"),
    ("输入", "输出"),
];

/// Names of the column that holds the answer of an `instruction`.
const OUTPUTS: &[&str] = &["output", "response", "completion", "answer"];

/// The column of earlier rounds.
pub(super) const HISTORY: &str = "history";

/// Names of the column of a text to be continued.
const CORPUS_TEXTS: &[&str] = &["text", "content"];

/// Further names that decide a form, or belong to one.
const OTHERS: &[&str] = &[
    "instruction",
    "input",
    "system",
    "history",
    "messages",
    "conversations",
    "tools",
    "chosen",
    "rejected",
    "tokens",
];

/// Whether a column's name, in small letters, is one that decides a form.
pub(super) fn is_column_name(key: &str) -> bool {
    let is_of_pair = PAIRS
        .iter()
        .any(|(prompt, completion)| [prompt, completion].contains(&&key));
    let lists = [OUTPUTS, CORPUS_TEXTS, OTHERS];
    is_of_pair || lists.into_iter().any(|names| names.contains(&key)) || labelled::is_known(key)
}

/// The columns of an instruction and its answer; empty names are those of none.
struct Instructed {
    system: String,
    instruction: String,
    input: String,
    output: String,
    /// Whether [`HISTORY`] has earlier rounds; not where it is one of these.
    has_rounds: bool,
}

/// The columns in use.
enum Plan {
    Text(String),
    /// The text of a row that seems to have a label.
    Guessed(Guess),
    Conversation(String),
    Pair(String, String),
    Alpaca(Instructed),
    /// A prompt with a better and a worse answer: the better one.
    Preferred,
    /// Words in a list.
    Words(String),
    /// Numbers, which are no texts.
    Numbers,
}

/// A file's rows as texts to be continued or answered.
pub(super) struct Texts {
    pub form: Schema,
    /// None of numbers, and where there is a `problem`.
    pub rows: Vec<Row>,
    /// What is to be said where they are used so.
    pub notes: Vec<Message>,
    /// Why the rows, which may serve other tasks, are no such texts.
    pub problem: Option<Error>,
    /// The columns of a text and its label, where no name was known.
    pub guess: Option<Guess>,
    /// The columns in use, in small letters.
    pub columns: Vec<String>,
    /// Of these, the one that holds the answer, where there is one.
    pub answer: Option<String>,
    /// And the one of what the assistant is told about itself.
    pub system: Option<String>,
    /// Whether [`HISTORY`] has earlier rounds.
    pub has_rounds: bool,
}

/// The form and the rows of a file.
///
/// # Errors
/// Columns of which nothing is known; a row that is wrong, where the columns are none that other tasks use. With `is_lenient` both
/// are the `problem` of what is given back.
pub(super) fn texts(records: &Records, told: &Told, is_lenient: bool) -> Result<Texts> {
    let table = match records {
        Records::Document(text) => {
            return Ok(Texts {
                form: Schema::Text,
                rows: vec![Row {
                    number: 1,
                    content: Content::Text(text.clone()),
                }],
                notes: Vec::new(),
                problem: None,
                guess: None,
                columns: Vec::new(),
                answer: None,
                system: None,
                has_rounds: false,
            });
        }
        Records::Table(table) => table,
    };
    let mut notes = Vec::new();
    let given = given(table, told)?;
    let is_given = given.is_some();
    let (form, plan) = match given.map_or_else(|| plan(table, &mut notes), Ok) {
        Err(error) if is_lenient => {
            return Ok(Texts {
                form: Schema::Table,
                rows: Vec::new(),
                notes,
                problem: Some(error),
                guess: None,
                columns: table.columns().iter().map(|name| key(name)).collect(),
                answer: None,
                system: None,
                has_rounds: false,
            });
        }
        planned => planned?,
    };
    let guess = match &plan {
        Plan::Guessed(guess) => Some(guess.clone()),
        // A corpus has columns of all kinds beside its text.
        Plan::Text(text) if !is_given && !CORPUS_TEXTS.contains(&text.as_str()) => roles::by_name(table),
        _ => None,
    };
    let mut texts = Texts {
        form,
        rows: Vec::new(),
        notes,
        problem: None,
        guess,
        columns: plan.columns(),
        answer: plan.answer(),
        system: plan.system(),
        has_rounds: plan.has_rounds(),
    };
    if matches!(form, Schema::Numbers) {
        return Ok(texts);
    }
    match plan.rows(table, &mut texts.notes) {
        Ok(rows) => texts.rows = rows,
        Err(error) if is_lenient || form == Schema::Table || texts.guess.is_some() || serves_other_tasks(table) => {
            texts.problem = Some(error);
        }
        Err(error) => return Err(error),
    }
    Ok(texts)
}

/// Whether the columns have names by which tasks find what is to be answered.
fn serves_other_tasks(table: &Table) -> bool {
    let keys: Vec<String> = table.columns().iter().map(|name| key(name)).collect();
    let has = |name: &str| keys.iter().any(|key| key == name);
    labelled::label(&keys).is_some()
        || token_classification::words(&keys).is_some()
        || has("rejected")
        || has("positive")
}

pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The columns that a run names, if it does.
///
/// # Errors
/// A column that is not there or that is two things; a prompt without its answer.
fn given(table: &Table, told: &Told) -> Result<Option<(Schema, Plan)>> {
    let column = |name: &String, knob: &'static str| -> Result<String> {
        let known = table
            .columns()
            .iter()
            .map(|column| key(column))
            .find(|column| *column == key(name));
        known.ok_or_else(|| {
            let (column, columns) = (name, listed(table.columns()));
            let error = Error::data(msg::NoSuchColumn { column, columns }).field(name);
            error.remedy(msg::Correct { key: knob })
        })
    };
    let prompts = told.prompts.iter().map(|name| column(name, "prompt_columns"));
    let prompts = prompts.collect::<Result<Vec<_>>>()?;
    let system = told
        .system
        .as_ref()
        .map(|name| column(name, "system_column"))
        .transpose()?;
    let Some(completion) = &told.completion else {
        return match prompts.is_empty() && system.is_none() {
            true => Ok(None),
            false => Err(Error::config(msg::PromptWithoutCompletion).field("completion_column")),
        };
    };
    let completion = column(completion, "completion_column")?;
    let all: Vec<&String> = prompts.iter().chain(&system).chain([&completion]).collect();
    let twice = (1..all.len()).find(|place| all[..*place].contains(&all[*place]));
    if let Some(place) = twice {
        return Err(Error::config(msg::ColumnIsTwoThings).field(all[place]));
    }
    let has_rounds = !all.iter().any(|column| *column == HISTORY);
    Ok(Some(match (prompts.as_slice(), system) {
        ([], None) => (Schema::Text, Plan::Text(completion)),
        ([prompt], None) => (Schema::PromptCompletion, Plan::Pair(prompt.clone(), completion)),
        ([instruction, inputs @ ..], system) if inputs.len() < 2 => {
            let columns = Instructed {
                system: system.unwrap_or_default(),
                instruction: instruction.clone(),
                input: inputs.first().cloned().unwrap_or_default(),
                output: completion,
                has_rounds,
            };
            (Schema::Alpaca, Plan::Alpaca(columns))
        }
        (prompts, _) => {
            let got = prompts.len();
            return Err(Error::config(msg::NotOneOrTwoTexts { got }).field("prompt_columns"));
        }
    }))
}

/// Chooses the form by the columns' names; the order of the questions is the order of preference.
fn plan(table: &Table, notes: &mut Vec<Message>) -> Result<(Schema, Plan)> {
    let keys: Vec<String> = table.columns().iter().map(|name| key(name)).collect();
    let has = |name: &str| keys.iter().any(|key| key == name);
    if has("messages") {
        return Ok((Schema::Messages, Plan::Conversation("messages".to_string())));
    }
    if has("conversations") {
        return Ok((Schema::ShareGpt, Plan::Conversation("conversations".to_string())));
    }
    if has("instruction")
        && let Some(output) = OUTPUTS.iter().find(|name| has(name))
    {
        let columns = Instructed {
            system: "system".to_owned(),
            instruction: "instruction".to_owned(),
            input: "input".to_owned(),
            output: output.to_string(),
            has_rounds: true,
        };
        return Ok((Schema::Alpaca, Plan::Alpaca(columns)));
    }
    if let Some((prompt, completion)) = PAIRS.iter().find(|(prompt, completion)| has(prompt) && has(completion)) {
        return Ok((
            Schema::PromptCompletion,
            Plan::Pair(prompt.to_string(), completion.to_string()),
        ));
    }
    if let Some(text) = CORPUS_TEXTS.iter().find(|name| has(name)) {
        return Ok((Schema::Text, Plan::Text(text.to_string())));
    }
    if has("chosen") && has("rejected") {
        return Ok((Schema::PromptCompletion, Plan::Preferred));
    }
    if let Some(words) = token_classification::words(&keys) {
        return Ok((Schema::Text, Plan::Words(words)));
    }
    // Files of other tasks: what a model that continues texts would learn from them.
    if let Some((prompt, completion)) = labelled::pair(&keys) {
        return Ok((Schema::PromptCompletion, Plan::Pair(prompt, completion)));
    }
    if let Some(text) = labelled::text(&keys) {
        return Ok((Schema::Text, Plan::Text(text)));
    }
    if numeric::holds_numbers(table) {
        return Ok((Schema::Numbers, Plan::Numbers));
    }
    if let Some(guess) = roles::guess(table) {
        let column = table.columns().iter().find(|name| key(name) == guess.text);
        let column = column.unwrap_or(&guess.text);
        notes.push(msg::TakenAsText { column }.into());
        return Ok((Schema::Text, Plan::Guessed(guess)));
    }
    if table.ordered {
        let named = table.columns().iter().filter(|name| !is_unnamed(&key(name)));
        match named.collect::<Vec<_>>().as_slice() {
            [only] => {
                notes.push(msg::TakenAsText { column: only }.into());
                return Ok((Schema::Text, Plan::Text(key(only))));
            }
            [first, second, ..] => {
                let (prompt, completion) = (first, second);
                notes.push(msg::TakenAsPair { prompt, completion }.into());
                return Ok((Schema::Table, Plan::Pair(key(first), key(second))));
            }
            [] => {}
        }
    }
    let columns = listed(table.columns());
    Err(Error::data(msg::NoKnownColumns { columns }).remedy(msg::NameColumns))
}

impl Plan {
    fn rows(&self, table: &Table, notes: &mut Vec<Message>) -> Result<Vec<Row>> {
        let used = self.columns();
        note_unused(table.columns(), |key| used.contains(key), notes);
        let mut rows = Vec::with_capacity(table.len());
        let mut skipped = Skipped::default();
        for record in table.records() {
            let number = record.number;
            if used.iter().all(|column| record.fields.get(column).is_none_or(is_blank)) {
                skipped.push(number);
                continue;
            }
            let content = self.content(&record).map_err(|error| error.row(number))?;
            rows.push(Row { number, content });
        }
        skipped.note_rows(notes);
        if rows.is_empty() {
            return Err(Error::data(msg::EveryRowEmpty).remedy(msg::ChooseRowsOfText));
        }
        Ok(rows)
    }

    /// The columns in use, in small letters.
    fn columns(&self) -> Vec<String> {
        match self {
            Self::Text(text) | Self::Guessed(Guess { text, .. }) => vec![text.clone()],
            Self::Conversation(list) => {
                let further = ["system", "tools", "chat_template_kwargs"].map(String::from);
                [list.clone()].into_iter().chain(further).collect()
            }
            Self::Pair(prompt, completion) => vec![prompt.clone(), completion.clone()],
            Self::Preferred => ["prompt", "chosen", "rejected"].map(String::from).into(),
            Self::Words(words) => vec![words.clone()],
            Self::Numbers => Vec::new(),
            Self::Alpaca(columns) => {
                let Instructed {
                    system,
                    instruction,
                    input,
                    output,
                    has_rounds,
                } = columns;
                let columns = [
                    system.as_str(),
                    if *has_rounds { HISTORY } else { "" },
                    instruction.as_str(),
                    input.as_str(),
                    output.as_str(),
                ];
                let columns = columns.map(String::from).into_iter();
                columns.filter(|column| !column.is_empty()).collect()
            }
        }
    }

    /// The column of the answer to what stands in the others.
    fn answer(&self) -> Option<String> {
        match self {
            Self::Pair(_, completion) => Some(completion.clone()),
            Self::Alpaca(columns) => Some(columns.output.clone()),
            Self::Preferred => Some("chosen".to_owned()),
            Self::Text(_) | Self::Guessed(_) | Self::Conversation(_) | Self::Words(_) | Self::Numbers => None,
        }
    }

    /// The column of what the assistant is told about itself.
    fn system(&self) -> Option<String> {
        match self {
            Self::Alpaca(columns) => Some(columns.system.clone()).filter(|column| !column.is_empty()),
            _ => None,
        }
    }

    /// Whether there are earlier rounds in a column of their own.
    fn has_rounds(&self) -> bool {
        matches!(self, Self::Alpaca(columns) if columns.has_rounds)
    }

    fn content(&self, record: &Record) -> Result<Content> {
        Ok(match self {
            Self::Text(text) | Self::Guessed(Guess { text, .. }) => Content::Text(required(record, text)?),
            Self::Conversation(list) => Content::Messages(Box::new(conversation(record, list)?)),
            Self::Pair(prompt, completion) => Content::PromptCompletion {
                prompt: optional(record, prompt)?,
                completion: required(record, completion)?,
            },
            Self::Preferred => preference::content(record, "chosen")?,
            Self::Words(words) => Content::Text(token_classification::list(record, words)?.join(" ").into()),
            Self::Numbers => return Err(Error::internal(msg::NumbersAsText)),
            Self::Alpaca(columns) => Content::Instruction(Box::new(Instruction {
                system: optional(record, &columns.system)?,
                history: match columns.has_rounds {
                    true => history(record)?,
                    false => Vec::new(),
                },
                instruction: optional(record, &columns.instruction)?,
                input: optional(record, &columns.input)?,
                output: required(record, &columns.output)?,
            })),
        })
    }
}

/// A field's text; empty where it is missing or null. Numbers and truth values become text, lists and objects are
/// refused.
pub(super) fn optional(record: &Record, field: &str) -> Result<Text> {
    match record.fields.get(field) {
        None | Some(Value::Null) => Ok(Text::default()),
        Some(value) => text(value).map_err(|error| error.field(field)),
    }
}

/// A field's text that may not be blank.
pub(super) fn required(record: &Record, field: &str) -> Result<Text> {
    let text = optional(record, field)?;
    if !text.trim().is_empty() {
        return Ok(text);
    }
    let error = if record.fields.contains_key(field) {
        Error::data(msg::IsEmpty)
    } else {
        Error::data(common::IsMissing)
    };
    Err(error.field(field).remedy(msg::FillIn))
}

pub(super) fn text(value: &Value) -> Result<Text> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.as_ref().into()),
        Value::Bool(truth) => Ok(truth.to_string().into()),
        other => Err(Error::data(msg::NotText { kind: kind(other) }).remedy(msg::ConversationsElsewhere)),
    }
}

/// Alpaca's `history`: a list of [question, answer].
fn history(record: &Record) -> Result<Vec<(Text, Text)>> {
    let wrong = || Error::data(msg::NotPairs).field(HISTORY).remedy(msg::CorrectOrLeaveOut);
    let rounds = match record.fields.get(HISTORY) {
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
        .map(|item| round(item).map_err(|error| error.field(HISTORY)))
        .collect()
}
