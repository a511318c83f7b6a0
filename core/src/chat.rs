//! Conversations as a model's own chat template lays them out, and which parts of the text the assistant said.
//!
//! Templates are Jinja as transformers runs it: `trim_blocks` and `lstrip_blocks` on, loop controls, Python's methods and
//! texts, `tojson` as `json.dumps` writes it, `raise_exception`, `strftime_now`, and `{% generation %}` around the assistant's
//! words. They come with models from anywhere, so all that a template may take is counted: its length and depth before it is
//! parsed, its steps, bytes and levels while it runs.

mod builtins;
mod date;
mod source;
mod texts;
mod watch;

pub use date::strftime;

use crate::protocol::ChatMessage;
use crate::{Error, Result};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::text as msg;
use lorakeet_i18n::{Field, Message};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, Value};
use serde_json::{Map, Value as Json};
use std::ops::Range;
use std::sync::Arc;
use texts::worded;
use watch::{Turn, WATCH, Watch, Writer};

/// What a template is called in errors and by minijinja.
const NAME: &str = "chat_template";
/// The name under which templates are told whether the assistant thinks first, as Qwen3's has it.
const THINKING: &str = "enable_thinking";
/// Marks around the assistant's words. Noncharacters of Unicode: no text has a use for them.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];
/// Predictions that are found by laying out each beginning of a conversation, where a template does not loop over its messages.
const MOST_PREFIXES: usize = 32;
/// Loops and macros in each other; each macro counts as five or more. A browser's stack of 1 MB has room for them.
const MOST_LEVELS: usize = 160;

/// A conversation as a data file or a person gives it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Conversation {
    /// Its messages with all their keys; each has a `role`.
    pub messages: Vec<Map<String, Json>>,
    /// The functions that the assistant may call, as JSON Schema.
    pub tools: Option<Json>,
    /// Further names that the template asks for, like `enable_thinking`.
    pub names: Map<String, Json>,
}

impl From<&[ChatMessage]> for Conversation {
    fn from(messages: &[ChatMessage]) -> Self {
        let message = |message: &ChatMessage| {
            let pairs = [("role", &message.role), ("content", &message.content)];
            Map::from_iter(pairs.map(|(key, value)| (key.to_string(), Json::String(value.clone()))))
        };
        Self {
            messages: messages.iter().map(message).collect(),
            ..Self::default()
        }
    }
}

impl Conversation {
    /// The role of a message.
    pub fn role(&self, message: usize) -> &str {
        self.messages[message]
            .get("role")
            .and_then(Json::as_str)
            .unwrap_or_default()
    }

    /// What was said in a message; parts are joined.
    pub fn text(&self, message: usize) -> String {
        match self.messages[message].get("content") {
            Some(Json::String(text)) => text.clone(),
            Some(Json::Array(parts)) => parts.iter().map(part_text).collect(),
            _ => String::new(),
        }
    }

    /// The conversation up to a message, without it.
    pub fn before(&self, message: usize) -> Self {
        Self {
            messages: self.messages[..message].to_vec(),
            tools: self.tools.clone(),
            names: self.names.clone(),
        }
    }

    /// Of each message of the assistant whether it is learnt.
    pub fn learnt_answers(&self) -> Vec<bool> {
        self.answers()
            .map(|message| is_learnt(&self.messages[message]))
            .collect()
    }

    /// The messages of the assistant.
    fn answers(&self) -> impl DoubleEndedIterator<Item = usize> {
        (0..self.messages.len()).filter(|message| self.role(*message) == "assistant")
    }
}

/// Whether a message is learnt where it is the assistant's: by OpenAI's `weight`, one of 0 is context alone.
pub fn is_learnt(message: &Map<String, Json>) -> bool {
    message.get("weight").and_then(Json::as_f64) != Some(0.0)
}

/// The text of a part of a message's content.
fn part_text(part: &Json) -> &str {
    part.as_str().or_else(|| part.get("text")?.as_str()).unwrap_or_default()
}

/// The values and the bytes of texts in JSON; marks are refused.
fn measure(json: &Json) -> Result<(u64, u64)> {
    let of_text = |text: &str| match text.contains(MARKS) {
        false => Ok((1, text.len() as u64)),
        true => Err(Error::data(msg::NoCharacters).remedy(msg::RemoveFromData)),
    };
    let (mut values, mut bytes) = (1, 0);
    let mut add = |(more_values, more_bytes): (u64, u64)| {
        values += more_values;
        bytes += more_bytes;
    };
    match json {
        Json::String(text) => add(of_text(text)?),
        Json::Array(items) => {
            for item in items {
                add(measure(item)?);
            }
        }
        Json::Object(items) => {
            for (key, item) in items {
                add(of_text(key)?);
                add(measure(item)?);
            }
        }
        _ => {}
    }
    Ok((values, bytes))
}

/// A chat template (Jinja, as Hugging Face's tokenizer_config.json carries it).
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
    has_generation: bool,
    /// Whether it goes through the parts of a message's content.
    takes_parts: bool,
    /// What it is told under [`THINKING`] where a conversation does not say it.
    enable_thinking: Option<bool>,
}

/// A conversation laid out, and which parts of it are the assistant's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// Byte ranges of `text` that the assistant said, each with the token that ends its turn.
    pub generation_spans: Vec<Range<usize>>,
}

impl ChatTemplate {
    /// A template; `bos_token` and `eos_token` are what it may refer to.
    ///
    /// # Errors
    /// It is not Jinja.
    pub fn new(source: &str, bos_token: Option<&str>, eos_token: Option<&str>) -> Result<Self> {
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        let syntax = syntax.map_err(|error| Error::internal(Message::verbatim(error.to_string())))?;
        let unreadable = |error: minijinja::Error| {
            describe(msg::UnreadableTemplate, &error, source).remedy(msg::UseAnotherOrPlainText)
        };
        let prepared = source::prepare(source, &syntax).map_err(unreadable)?;
        let mut environment = Environment::new();
        environment.set_syntax(syntax);
        environment.set_recursion_limit(MOST_LEVELS);
        builtins::register(&mut environment);
        environment
            .add_template_owned(NAME, prepared.source)
            .map_err(unreadable)?;
        Ok(Self {
            source: source.to_string(),
            environment,
            bos_token: bos_token.unwrap_or_default().to_string(),
            eos_token: eos_token.unwrap_or_default().to_string(),
            has_generation: prepared.has_generation,
            takes_parts: prepared.takes_parts,
            enable_thinking: None,
        })
    }

    /// Whether it asks whether the assistant is to think first: its text names `enable_thinking`.
    pub fn has_thinking_switch(&self) -> bool {
        self.source.contains(THINKING)
    }

    /// What it is told under `enable_thinking` from now on, where a conversation does not say it; none leaves it to the template.
    pub fn enable_thinking(&mut self, is_on: Option<bool>) {
        self.enable_thinking = is_on;
    }

    /// Whether it is told `enable_thinking`, and does not ask for it.
    pub fn is_told_in_vain(&self) -> bool {
        self.enable_thinking.is_some() && !self.has_thinking_switch()
    }

    /// Whether the template may write the date. `strftime_now` gives 26 July 2024, 0:00 UTC, on every day, so that a conversation
    /// always gives the same text.
    pub fn asks_for_date(&self) -> bool {
        self.source.contains("strftime_now")
    }

    /// The template's own text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The messages as text; `add_generation_prompt` opens the assistant's next turn.
    ///
    /// # Errors
    /// The template refuses the conversation, or does not end.
    pub fn apply(&self, messages: &[ChatMessage], add_generation_prompt: bool) -> Result<String> {
        self.lay_out(&messages.into(), add_generation_prompt)
    }

    /// [`ChatTemplate::lay_out_with_spans`] of plain messages.
    ///
    /// # Errors
    /// As there.
    pub fn apply_with_spans(&self, messages: &[ChatMessage]) -> Result<Rendered> {
        self.lay_out_with_spans(&messages.into())
    }

    /// The conversation as text; `add_generation_prompt` opens the assistant's next turn.
    ///
    /// # Errors
    /// The template refuses the conversation, or does not end.
    pub fn lay_out(&self, conversation: &Conversation, add_generation_prompt: bool) -> Result<String> {
        let (text, _) = self.render(conversation, add_generation_prompt)?;
        Ok(if self.has_generation {
            text.replace(MARKS, "")
        } else {
            text
        })
    }

    /// The conversation as text, with the spans that belong to the assistant's answers.
    ///
    /// A template that marks them with `{% generation %}` is believed. Otherwise an answer is what was written in the round of
    /// its message in a loop over the messages, without what opens it: the generation prompt, or what stands before its first
    /// words. It ends with the end-of-turn token, the white space after it left out.
    ///
    /// # Errors
    /// As [`ChatTemplate::lay_out`]; and the answers cannot be told from the rest.
    pub fn lay_out_with_spans(&self, conversation: &Conversation) -> Result<Rendered> {
        let (text, rounds) = self.render(conversation, false)?;
        if self.has_generation {
            return split_marks(&text);
        }
        let opening = self.opening(conversation);
        let mut generation_spans: Vec<Range<usize>> = Vec::new();
        for (place, message) in conversation.answers().enumerate() {
            let words = conversation.text(message);
            let span = match round(&rounds[message]) {
                Some(round) => answer(&text, round, opening.as_deref(), &words),
                None if place < MOST_PREFIXES => self.answer_behind_prefix(&text, conversation, message),
                None => None,
            };
            let after = generation_spans.last().map_or(0, |last| last.end);
            let span = span
                .filter(|span| after <= span.start)
                .ok_or_else(|| unclear(message))?;
            generation_spans.push(span);
        }
        Ok(Rendered { text, generation_spans })
    }

    /// What opens an answer: the generation prompt behind what stands before the first answer.
    fn opening(&self, conversation: &Conversation) -> Option<String> {
        const TRIES: usize = 3;
        conversation.answers().take(TRIES).find_map(|message| {
            let before = conversation.before(message);
            let [opened, closed] = [true, false].map(|opened| self.lay_out(&before, opened));
            Some(opened.ok()?.strip_prefix(&closed.ok()?)?.to_string())
        })
    }

    /// Where an answer stands in `text`, the whole conversation, by laying out its beginning.
    fn answer_behind_prefix(&self, text: &str, conversation: &Conversation, message: usize) -> Option<Range<usize>> {
        let words = conversation.text(message);
        let until = self.lay_out(&conversation.before(message + 1), false).ok()?;
        // Some templates open an answer in another way than their generation prompt does (a thinking block); there the
        // answer starts at its own words.
        [true, false].into_iter().find_map(|opened| {
            let prompt = self.lay_out(&conversation.before(message), opened).ok()?;
            let (rest, turn) = (text.strip_prefix(&prompt)?, until.strip_prefix(&prompt)?);
            let (here, in_turn) = (find_content(rest, &words)?, find_content(turn, &words)?);
            let ending = turn[in_turn.end..].trim_end();
            rest[here.end..].starts_with(ending).then_some(())?;
            let start = if opened { 0 } else { here.start };
            Some(prompt.len() + start..prompt.len() + here.end + ending.len())
        })
    }

    /// The text with its marks; and of each message, the parts that were written in its rounds of loops.
    fn render(
        &self,
        conversation: &Conversation,
        add_generation_prompt: bool,
    ) -> Result<(String, Vec<Vec<Range<usize>>>)> {
        let (mut values, mut bytes) = (0, 0);
        let mut add = |json: &Json| -> Result<()> {
            let (more_values, more_bytes) = measure(json)?;
            values += more_values;
            bytes += more_bytes;
            Ok(())
        };
        conversation
            .messages
            .iter()
            .flat_map(Map::values)
            .try_for_each(&mut add)?;
        conversation.tools.iter().try_for_each(&mut add)?;
        conversation.names.values().try_for_each(&mut add)?;
        let most_bytes = (64 << 10) + 16 * bytes as usize;
        let watch = Watch::new(conversation.messages.len(), most_bytes, 500 + 4 * values as usize);
        let watch = Value::from_object(watch);
        let noted: Arc<Watch> = watch
            .downcast_object()
            .ok_or_else(|| Error::internal(msg::NotItsOwnType))?;
        let mut environment = self.environment.clone();
        // A message of ordinary templates takes 100 to 500; each pays for 64 bytes, too.
        environment.set_fuel(Some(50_000 + 500 * values + bytes));
        let names = self.names(conversation, add_generation_prompt, &noted);
        let names = Value::from_pairs(names.into_iter().chain([(WATCH, watch)]));
        let template = environment
            .get_template(NAME)
            .map_err(|error| Error::internal(Message::verbatim(error.to_string())))?;
        match template.render_captured_to(names, Writer(noted.clone())) {
            Ok(_) => Ok(noted.take()),
            Err(error) if [ErrorKind::OutOfFuel, ErrorKind::WriteFailure].contains(&error.kind()) => {
                let error = Error::model(msg::TemplateDoesNotEnd).field(NAME);
                Err(error.remedy(msg::UseAnotherTemplate))
            }
            Err(error) => Err(describe(msg::RefusesConversation, &error, template.source()).remedy(msg::CheckRoles)),
        }
    }

    /// The names that transformers gives to a template.
    fn names<'a>(
        &'a self,
        conversation: &'a Conversation,
        add_generation_prompt: bool,
        watch: &Arc<Watch>,
    ) -> Vec<(&'a str, Value)> {
        let mut messages = Vec::with_capacity(conversation.messages.len());
        for (index, message) in conversation.messages.iter().enumerate() {
            let item = |(key, value): (&String, &Json)| match value {
                Json::Array(_) if key == "content" && !self.takes_parts => {
                    (key.clone(), conversation.text(index).into())
                }
                _ => (key.clone(), value_of(value)),
            };
            messages.push(Value::from_object(Turn {
                message: index,
                keys: Value::from_pairs(message.iter().map(item)),
                watch: watch.clone(),
            }));
        }
        let mut names = vec![
            ("messages", messages.into()),
            ("tools", conversation.tools.as_ref().map_or_else(|| ().into(), value_of)),
            ("documents", ().into()),
            ("add_generation_prompt", add_generation_prompt.into()),
            ("bos_token", self.bos_token.as_str().into()),
            ("eos_token", self.eos_token.as_str().into()),
        ];
        names.extend(
            conversation
                .names
                .iter()
                .map(|(name, value)| (name.as_str(), value_of(value))),
        );
        let is_said = conversation.names.contains_key(THINKING);
        let thinking = self.enable_thinking.filter(|_| !is_said);
        names.extend(thinking.map(|is_on| (THINKING, is_on.into())));
        names
    }
}

/// JSON as templates see it.
fn value_of(json: &Json) -> Value {
    match json {
        Json::Null => ().into(),
        Json::Bool(truth) => (*truth).into(),
        Json::Number(number) => match number.to_string().parse::<i128>() {
            Ok(whole) => whole.into(),
            Err(_) => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(value_of).collect::<Vec<_>>().into(),
        Json::Object(items) => Value::from_pairs(items.iter().map(|(key, value)| (key.as_str(), value_of(value)))),
    }
}

/// Takes the marks out of a text.
fn split_marks(marked: &str) -> Result<Rendered> {
    let mut text = String::with_capacity(marked.len());
    let mut generation_spans = Vec::new();
    let mut open = None;
    for piece in marked.split_inclusive(MARKS) {
        text.push_str(piece.trim_end_matches(MARKS));
        if piece.ends_with(MARKS[0]) && open.replace(text.len()).is_some() {
            return Err(Error::model(msg::NestedGeneration).field(NAME));
        }
        if piece.ends_with(MARKS[1]) {
            generation_spans.extend(open.take().map(|start| start..text.len()));
        }
    }
    Ok(Rendered { text, generation_spans })
}

/// The error for a refusal: in words of this program where it refused, else in minijinja's or the template's own.
fn describe(what: impl Into<Field>, error: &minijinja::Error, source: &str) -> Error {
    const MOST_SHOWN: usize = 500;
    let shown = |text: &str| text.chars().take(MOST_SHOWN).collect::<String>();
    let place = error.range().and_then(|range| source.get(range));
    let why = match (worded(error), place, error.detail()) {
        (Some(message), ..) => message.clone().into(),
        (None, Some(place), _) if error.kind() == ErrorKind::UndefinedError => {
            let place = shown(place);
            msg::UndefinedIn { place }.into()
        }
        (None, _, Some(detail)) => shown(detail).into(),
        (None, _, None) => Field::from(error.kind()),
    };
    let what = match error.line() {
        Some(line) => msg::InLine { what, line }.into(),
        None => what.into(),
    };
    Error::model(common::At { place: what, what: why }).field(NAME)
}

/// The one part of the text that was written for a message. Loops in loops write parts of the same round.
fn round(parts: &[Range<usize>]) -> Option<Range<usize>> {
    let whole = parts.iter().max_by_key(|part| part.len())?;
    let is_inside = |part: &Range<usize>| whole.start <= part.start && part.end <= whole.end;
    parts.iter().all(is_inside).then(|| whole.clone())
}

/// The answer in the round of its message: behind what opens it, up to the white space at the end.
fn answer(text: &str, round: Range<usize>, opening: Option<&str>, words: &str) -> Option<Range<usize>> {
    let turn = &text[round.clone()];
    // Templates drop the thoughts of earlier answers.
    let last_words = words.rsplit("</think>").next().unwrap_or_default();
    let found = || find_content(turn, words).or_else(|| find_content(turn, last_words));
    let start = match opening {
        Some(opening) if turn.starts_with(opening) => opening.len(),
        Some(opening) if words.trim().is_empty() => {
            let same = turn
                .bytes()
                .zip(opening.bytes())
                .take_while(|(left, right)| left == right);
            // Where both go on with another token that begins alike, the answer begins with that token.
            turn[..turn.floor_char_boundary(same.count())]
                .rfind(['>', ']', '\n', ' '])
                .map_or(0, |at| at + 1)
        }
        _ => found()?.start,
    };
    let words = find_content(&turn[start..], words).map_or(start, |words| start + words.end);
    let end = words + turn[words..].trim_end().len();
    Some(round.start + start..round.start + end)
}

/// The first place of `content` in `text`, else that of its trimmed form: many templates trim.
fn find_content(text: &str, content: &str) -> Option<Range<usize>> {
    let place = |content: &str| text.find(content).map(|start| start..start + content.len());
    place(content).or_else(|| place(content.trim()))
}

fn unclear(index: usize) -> Error {
    Error::data(msg::AnswerUnclear { message: index + 1 })
        .field(NAME)
        .remedy(msg::UseWholeOrMarks)
}

/// Which tokens the assistant said: those with a part in a span; one that reaches across its edge has, as in transformers.
/// `offsets` are [`Tokenizer::encode_with_offsets`](crate::tokenizer::Tokenizer::encode_with_offsets)'s.
///
/// Some tokenizers leave white space out of a token's range, so that of a token of nothing but space only the end is
/// left.
pub fn assistant_mask(offsets: &[Range<usize>], spans: &[Range<usize>]) -> Vec<bool> {
    let has_a_part = |token: &Range<usize>, span: &Range<usize>| {
        if token.is_empty() {
            span.start < token.end && token.end <= span.end
        } else {
            token.start < span.end && span.start < token.end
        }
    };
    let is_said = |token: &Range<usize>| spans.iter().any(|span| has_a_part(token, span));
    offsets.iter().map(is_said).collect()
}
