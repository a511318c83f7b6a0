//! Conversations as a model's own chat template lays them out, and which parts of the text the assistant said.
//!
//! Templates are Jinja as transformers runs it: `trim_blocks` and `lstrip_blocks` on, Python's string methods, `tojson`
//! without HTML escapes, `raise_exception`, and `{% generation %}` around the assistant's words. They come with models
//! from anywhere, so a template that does not end runs out of fuel.

use crate::protocol::Message;
use crate::{Error, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, ErrorKind, State};
use std::ops::Range;

/// Instructions of the template's machine; a long conversation takes some thousands.
const FUEL: u64 = 2_000_000;
/// The name under which the environment holds the template.
const NAME: &str = "chat_template";
/// What `{% generation %}` is rewritten to call; no template defines a function of this name.
const GENERATION: &str = "lorakeet_generation";
/// Marks around the assistant's words. Noncharacters of Unicode: no text has a use for them.
const MARKS: [char; 2] = ['\u{fdd0}', '\u{fdd1}'];

/// A chat template (Jinja, as Hugging Face's tokenizer_config.json carries it).
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    source: String,
    environment: Environment<'static>,
    bos_token: String,
    eos_token: String,
    has_generation_blocks: bool,
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
        let mut environment = Environment::new();
        let mut syntax = SyntaxConfig::builder();
        let syntax = syntax.trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(|error| Error::internal(error.to_string()))?);
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function(GENERATION, mark);
        environment.add_filter("tojson", to_json);
        let (rewritten, has_generation_blocks) = rewrite_generation_blocks(source);
        environment.add_template_owned(NAME, rewritten).map_err(|error| {
            describe("is not a template that can be read", &error)
                .remedy("Use another chat_template, or plain text instead of conversations.")
        })?;
        Ok(Self {
            source: source.to_string(),
            environment,
            bos_token: bos_token.unwrap_or_default().to_string(),
            eos_token: eos_token.unwrap_or_default().to_string(),
            has_generation_blocks,
        })
    }

    /// Lets the template ask for the date (`strftime_now`), as seconds since 1970. Without this the function is not
    /// defined, templates fall back to a fixed date, and the same conversation gives the same text on every day.
    pub fn set_now(&mut self, unix_seconds: i64) {
        self.environment
            .add_function("strftime_now", move |format: &str| strftime(format, unix_seconds));
    }

    /// The template's own text.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The conversation as text; `add_generation_prompt` opens the assistant's next turn.
    ///
    /// # Errors
    /// The template refuses the conversation, or does not end.
    pub fn apply(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        let text = self.render(messages, add_generation_prompt)?;
        Ok(if self.has_generation_blocks {
            text.replace(MARKS, "")
        } else {
            text
        })
    }

    /// The conversation as text, with the spans that belong to the assistant's answers.
    ///
    /// A template that marks them with `{% generation %}` is believed. Otherwise an answer starts where the
    /// conversation before it, rendered with a generation prompt, ends; and it ends with the end-of-turn token, the
    /// white space after it left out.
    ///
    /// # Errors
    /// As [`ChatTemplate::apply`]; and the answers cannot be told from the rest.
    pub fn apply_with_spans(&self, messages: &[Message]) -> Result<Rendered> {
        let rendered = self.render(messages, false)?;
        if self.has_generation_blocks {
            return split_marks(&rendered);
        }
        let text = rendered;
        let mut generation_spans = Vec::new();
        for (index, message) in messages.iter().enumerate() {
            if message.role == "assistant" {
                let span = self.answer_span(&text, messages, index)?;
                let after_the_last = generation_spans
                    .last()
                    .is_none_or(|last: &Range<usize>| last.end <= span.start);
                if !after_the_last {
                    return Err(unclear(index));
                }
                generation_spans.push(span);
            }
        }
        Ok(Rendered { text, generation_spans })
    }

    /// Where the answer `messages[index]` stands in `text`, the whole conversation.
    fn answer_span(&self, text: &str, messages: &[Message], index: usize) -> Result<Range<usize>> {
        let content = messages[index].content.as_str();
        let until = self.render(&messages[..=index], false)?;
        // Some templates open an answer in another way than their generation prompt does (a thinking block); there the
        // answer starts at its own words.
        let prompts = [true, false].map(|opened| self.render(&messages[..index], opened));
        for (prompt, is_opened) in prompts.into_iter().zip([true, false]) {
            let Ok(prompt) = prompt else { continue };
            let (Some(rest), Some(turn)) = (text.strip_prefix(&prompt), until.strip_prefix(&prompt)) else {
                continue;
            };
            let (Some(words), Some(words_in_turn)) = (find_content(rest, content), find_content(turn, content)) else {
                continue;
            };
            let ending = turn[words_in_turn.end..].trim_end();
            if !rest[words.end..].starts_with(ending) {
                continue;
            }
            let start = if is_opened { 0 } else { words.start };
            return Ok(prompt.len() + start..prompt.len() + words.end + ending.len());
        }
        Err(unclear(index))
    }

    fn render(&self, messages: &[Message], add_generation_prompt: bool) -> Result<String> {
        if messages.iter().any(|message| message.content.contains(MARKS)) {
            return Err(
                Error::data("a message contains U+FDD0 or U+FDD1, which are not characters")
                    .remedy("Remove them from the data."),
            );
        }
        let turns: Vec<Value> = messages.iter().map(turn).collect();
        let context = minijinja::context! {
            messages => turns,
            add_generation_prompt => add_generation_prompt,
            bos_token => self.bos_token.as_str(),
            eos_token => self.eos_token.as_str(),
        };
        let template = self.environment.get_template(NAME);
        let rendered = template.and_then(|template| template.render(context));
        rendered.map_err(|error| match error.kind() {
            ErrorKind::OutOfFuel => Error::model("does not end, or takes far too many steps")
                .field(NAME)
                .remedy("Use another chat_template."),
            _ => describe("refuses the conversation", &error).remedy(
                "Check the roles and their order (most templates want user and assistant in turns), or use another template.",
            ),
        })
    }
}

/// One message as templates see it.
fn turn(message: &Message) -> Value {
    // Pairs keep their order, which `tojson` shows.
    Value::from_pairs([("role", &message.role), ("content", &message.content)])
}

/// The first place of `content` in `text`, else that of its trimmed form: many templates trim.
fn find_content(text: &str, content: &str) -> Option<Range<usize>> {
    let place = |content: &str| text.find(content).map(|start| start..start + content.len());
    place(content).or_else(|| place(content.trim()))
}

fn unclear(index: usize) -> Error {
    Error::data(format!(
        "message {} is the assistant's, but where it stands in the laid-out conversation cannot be told",
        index + 1
    ))
    .field(NAME)
    .remedy(
        "Train on the whole conversation (completion_only_loss: false), or use a template with {% generation %} marks.",
    )
}

fn describe(what: &str, error: &minijinja::Error) -> Error {
    let why = error.detail().map_or_else(|| error.kind().to_string(), str::to_string);
    let line = error.line().map_or(String::new(), |line| format!(" (line {line})"));
    Error::model(format!("{what}{line}: {why}")).field(NAME)
}

/// Takes the marks out of a rendered text.
fn split_marks(marked: &str) -> Result<Rendered> {
    let mut text = String::with_capacity(marked.len());
    let mut generation_spans = Vec::new();
    let mut open = None;
    for character in marked.chars() {
        if character == MARKS[0] {
            open = Some(text.len());
        } else if character == MARKS[1] {
            let start = open.take();
            generation_spans.extend(start.map(|start| start..text.len()));
        } else {
            text.push(character);
        }
    }
    if open.is_some() {
        return Err(Error::model("has nested {% generation %} blocks").field(NAME));
    }
    Ok(Rendered { text, generation_spans })
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

/// `{% generation %}` is transformers' own tag; the same block as a call of [`mark`] keeps its rules for white space.
fn rewrite_generation_blocks(source: &str) -> (String, bool) {
    let mut rewritten = String::with_capacity(source.len());
    let mut rest = source;
    let mut found = false;
    while let Some(start) = rest.find("{%") {
        let Some(end) = rest[start + 2..].find("%}").map(|length| start + 2 + length) else {
            break;
        };
        let inner = &rest[start + 2..end];
        let word = inner.trim_matches(|character: char| character.is_whitespace() || matches!(character, '-' | '+'));
        let replacement = match word {
            "generation" => Some(format!(" call {GENERATION}() ")),
            "endgeneration" => Some(" endcall ".to_string()),
            _ => None,
        };
        rewritten.push_str(&rest[..start + 2]);
        let Some(replacement) = replacement else {
            // A tag's text may hold `{%` or `%}` in a string; going on right behind its start finds no false tag names.
            rest = &rest[start + 2..];
            continue;
        };
        found = true;
        let sign = |at_end: bool| {
            let trimmed = inner.trim();
            let sign = if at_end {
                trimmed.chars().last()
            } else {
                trimmed.chars().next()
            };
            sign.filter(|sign| matches!(sign, '-' | '+'))
                .map_or(String::new(), String::from)
        };
        rewritten.push_str(&format!("{}{replacement}{}", sign(false), sign(true)));
        rest = &rest[end..];
    }
    rewritten.push_str(rest);
    (rewritten, found)
}

/// The body of a `{% generation %}` block between marks.
fn mark(state: &mut State, arguments: Kwargs) -> Result<String, minijinja::Error> {
    let body: Value = arguments.get("caller")?;
    let body = body.call(state, &[])?;
    Ok(format!("{}{body}{}", MARKS[0], MARKS[1]))
}

fn raise_exception(message: &str) -> Result<Value, minijinja::Error> {
    Err(minijinja::Error::new(ErrorKind::InvalidOperation, message.to_string()))
}

/// transformers' `tojson`: `json.dumps(value, ensure_ascii=False, indent=indent)`. The built-in filter writes the same,
/// but escapes what HTML could trip over; those escapes are taken back.
fn to_json(value: &Value, arguments: Kwargs) -> Result<String, minijinja::Error> {
    let indent: Option<Value> = arguments.get("indent")?;
    for ignored in ["ensure_ascii", "separators", "sort_keys"] {
        arguments.get::<Option<Value>>(ignored)?;
    }
    arguments.assert_all_used()?;
    let escaped = minijinja::filters::tojson(value, indent, Kwargs::from_iter(Vec::<(String, Value)>::new()))?;
    let escaped = escaped.as_str().unwrap_or_default();
    let mut plain = String::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let code = rest.get(at..at + 6);
        let character = match code {
            Some("\\u003c") => Some('<'),
            Some("\\u003e") => Some('>'),
            Some("\\u0026") => Some('&'),
            Some("\\u0027") => Some('\''),
            _ => None,
        };
        if let Some(character) = character {
            plain.push(character);
            rest = &rest[at + 6..];
        } else {
            // Every other escape keeps its backslash and the (single-byte) sign after it.
            let end = (at + 2).min(rest.len());
            plain.push_str(&rest[at..end]);
            rest = &rest[end..];
        }
    }
    plain.push_str(rest);
    Ok(plain)
}

/// The date at `unix_seconds` (UTC) in C's notation, as far as templates use it.
fn strftime(format: &str, unix_seconds: i64) -> String {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    const DAYS: [&str; 7] = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    let (days, seconds) = (unix_seconds.div_euclid(86400), unix_seconds.rem_euclid(86400));
    let (year, month, day) = civil_date(days);
    // 1970-01-01 was a Thursday.
    let weekday = DAYS[(days + 3).rem_euclid(7) as usize];
    let month_name = MONTHS[(month - 1) as usize];
    let mut text = String::new();
    let mut signs = format.chars();
    while let Some(sign) = signs.next() {
        if sign != '%' {
            text.push(sign);
            continue;
        }
        match signs.next() {
            Some('d') => text.push_str(&format!("{day:02}")),
            Some('m') => text.push_str(&format!("{month:02}")),
            Some('Y') => text.push_str(&year.to_string()),
            Some('y') => text.push_str(&format!("{:02}", year.rem_euclid(100))),
            Some('B') => text.push_str(month_name),
            Some('b') => text.push_str(&month_name[..3]),
            Some('A') => text.push_str(weekday),
            Some('a') => text.push_str(&weekday[..3]),
            Some('H') => text.push_str(&format!("{:02}", seconds / 3600)),
            Some('M') => text.push_str(&format!("{:02}", seconds / 60 % 60)),
            Some('S') => text.push_str(&format!("{:02}", seconds % 60)),
            Some('F') => text.push_str(&format!("{year}-{month:02}-{day:02}")),
            Some(other) => text.extend(['%', other]),
            None => text.push('%'),
        }
    }
    text
}

/// Year, month (1–12) and day of the day `days` after 1970-01-01, in the Gregorian calendar.
fn civil_date(days: i64) -> (i64, i64, i64) {
    let is_leap = |year: i64| (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    // Whole cycles of 400 years (146097 days) first, so that the walk over years is short.
    let (mut year, mut rest) = (1970 + days.div_euclid(146097) * 400, days.rem_euclid(146097));
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if rest < length {
            break;
        }
        rest -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    for (month, length) in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        .into_iter()
        .enumerate()
    {
        if rest < length {
            return (year, month as i64 + 1, rest + 1);
        }
        rest -= length;
    }
    (year, 12, 31)
}
