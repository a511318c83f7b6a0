//! What is done to a template's source before minijinja parses it: how long and how deep it is gets counted, and what minijinja
//! has not, or not as Python has it, becomes calls of this program's own filters and functions.
//!
//! minijinja's parser, compiler and trees recurse over expressions without a limit, and a template comes from a stranger;
//! so the counting is done over tokens, which need no stack.

use super::texts::refusal;
use lorakeet_i18n::Field;
use lorakeet_i18n::messages::text as msg;
use minijinja::machinery::{Token, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};
use std::ops::Range;

/// The longest template; known ones have less than half of it.
const MOST_BYTES: usize = 64 << 10;
/// Tokens on the way from a tag to the innermost part of its expression; a comma starts anew.
const MOST_CHAINED: usize = 200;
/// Brackets in brackets.
const MOST_BRACKETS: usize = 24;
/// Blocks in blocks; `elif` is a block in `if`.
const MOST_BLOCKS: usize = 48;

/// Python's `%`.
pub(super) const PERCENT: &str = "lorakeet_percent";
/// Python's texts, joined by `~`.
pub(super) const CONCATENATE: &str = "lorakeet_concatenate";
/// What every value goes through that gets a name.
pub(super) const KEEP: &str = "lorakeet_keep";
/// What every value goes through that a namespace gets.
pub(super) const KEEP_IN: &str = "lorakeet_keep_in";
/// What `{% generation %}` calls.
pub(super) const GENERATION: &str = "lorakeet_generation";
/// Notes that a round of a loop begins, or that the loop ends.
pub(super) const ROUND: &str = "lorakeet_round";

/// A template for minijinja.
pub(super) struct Prepared {
    pub source: String,
    pub has_generation: bool,
    /// Whether it goes through the parts of a message's content.
    pub takes_parts: bool,
}

struct Piece<'s> {
    token: Token<'s>,
    at: Range<usize>,
    line: usize,
}

impl<'s> Piece<'s> {
    fn name(&self) -> Option<&'s str> {
        match self.token {
            Token::Ident(name) => Some(name),
            _ => None,
        }
    }

    fn opens(&self) -> bool {
        matches!(self.token, Token::ParenOpen | Token::BracketOpen | Token::BraceOpen)
    }

    fn closes(&self) -> bool {
        matches!(self.token, Token::ParenClose | Token::BracketClose | Token::BraceClose)
    }

    /// Whether a value may end here, so that a sign behind it has two sides.
    fn ends_value(&self) -> bool {
        match self.token {
            Token::Ident(name) => !is_keyword(name),
            Token::Str(_) | Token::String(_) | Token::Int(_) | Token::Int128(_) | Token::Float(_) => true,
            _ => self.closes(),
        }
    }
}

fn is_keyword(name: &str) -> bool {
    ["if", "else", "and", "or", "not", "in", "is", "recursive"].contains(&name)
}

fn wrong(what: impl Into<Field>, line: usize) -> Error {
    refusal(ErrorKind::SyntaxError, msg::InLine { what, line })
}

/// Reads a template's tokens and writes what minijinja is to parse.
pub(super) fn prepare(source: &str, syntax: &SyntaxConfig) -> Result<Prepared, Error> {
    if source.len() > MOST_BYTES {
        let (bytes, most) = (source.len(), MOST_BYTES);
        return Err(refusal(ErrorKind::SyntaxError, msg::TemplateTooLong { bytes, most }));
    }
    let mut pieces = Vec::new();
    for token in tokenize(source, false, syntax.clone()) {
        let (token, span) = token?;
        pieces.push(Piece {
            token,
            at: span.start_offset as usize..span.end_offset as usize,
            line: usize::from(span.start_line),
        });
    }
    let mut writer = Writer {
        edits: Vec::new(),
        blocks: Vec::new(),
        loops: 0,
        has_generation: false,
        takes_parts: false,
    };
    writer.keep_lines_of_raw(source, &pieces);
    let mut rest = &pieces[..];
    while let Some(first) = rest.first() {
        let is_end = |piece: &Piece| match first.token {
            Token::VariableStart => matches!(piece.token, Token::VariableEnd),
            Token::BlockStart => matches!(piece.token, Token::BlockEnd),
            _ => true,
        };
        let end = rest.iter().position(is_end).unwrap_or(rest.len() - 1);
        let (tag, after) = rest.split_at(end + 1);
        if let [_, inner @ .., last] = tag {
            let is_tag = matches!(first.token, Token::BlockStart);
            writer.expression(inner, is_tag)?;
            if is_tag {
                writer.tag(inner, last)?;
            }
        }
        rest = after;
    }
    Ok(Prepared {
        source: edited(source, writer.edits),
        has_generation: writer.has_generation,
        takes_parts: writer.takes_parts,
    })
}

/// Text in place of a part of the source.
type Edit = (Range<usize>, String);

fn edited(source: &str, mut edits: Vec<Edit>) -> String {
    // What is put in goes before what is replaced at the same place; the sort keeps the order of the rest.
    edits.sort_by_key(|(at, _)| (at.start, !at.is_empty()));
    let mut text = String::with_capacity(source.len() + source.len() / 4);
    let mut done = 0;
    for (at, new) in edits {
        text.push_str(&source[done..at.start]);
        text.push_str(&new);
        done = at.end;
    }
    text + &source[done..]
}

/// The operators of one level of brackets that are being rewritten.
#[derive(Default)]
struct Level {
    /// Tokens on the way to this level's bracket.
    chained: usize,
    /// Where the current chain of `*`, `/` and `%` begins.
    product: Option<usize>,
    /// Where the current chain of `~` begins.
    joint: Option<usize>,
    /// What closes the call for a `%` or `*`.
    closing: Option<String>,
    /// Whether the call for a chain of `~` is still open.
    in_joint: bool,
}

struct Writer<'s> {
    edits: Vec<Edit>,
    /// The open blocks: their tag, how many levels they are, and the number of a loop.
    blocks: Vec<(&'s str, usize, Option<usize>)>,
    loops: usize,
    has_generation: bool,
    takes_parts: bool,
}

impl<'s> Writer<'s> {
    fn put(&mut self, at: usize, text: &str) {
        self.edits.push((at..at, text.to_string()));
    }

    /// jinja2 keeps the line end behind `{% raw %}`, whose insides are one token here.
    fn keep_lines_of_raw(&mut self, source: &str, pieces: &[Piece]) {
        let mut end = 0;
        for piece in pieces {
            let before = source[end..piece.at.start].trim_end_matches(['\r', '\n']);
            if matches!(piece.token, Token::TemplateData(_))
                && let Some(tag) = before.strip_suffix("%}")
                && let Some(start) = tag.trim_end().strip_suffix("raw")
                && start.trim_end().ends_with(['%', '+', '-'])
            {
                self.put(end + tag.len(), "+");
            }
            end = piece.at.end;
        }
    }

    /// Counts an expression's tokens and brackets, and rewrites its `%` and `~`.
    fn expression(&mut self, pieces: &[Piece<'s>], is_tag: bool) -> Result<(), Error> {
        let mut levels = vec![Level::default()];
        let mut chained = 0;
        let mut is_tuple = false;
        let mut before: Option<&Piece> = None;
        for (index, piece) in pieces.iter().enumerate() {
            chained += 1;
            let end = before.map_or(piece.at.start, |before| before.at.end);
            let follows_value = before.is_some_and(Piece::ends_value);
            let follows = |name: &str| before.is_some_and(|before| before.name() == Some(name));
            let is_plain_name = before.is_some_and(|before| matches!(before.token, Token::Dot | Token::Pipe));
            let deepest = levels.len();
            let Some(level) = levels.last_mut() else { break };
            match &piece.token {
                Token::Mod if follows_value => {
                    self.close_call(level, end);
                    self.put(level.product.unwrap_or(end), "(");
                    self.edits.push((piece.at.clone(), format!(")|{PERCENT}(")));
                    level.closing = Some(")".to_string());
                }
                Token::Mul if follows_value => {
                    self.close_call(level, end);
                    self.put(level.product.unwrap_or(end), "(");
                    level.closing = Some(format!(")|{KEEP}"));
                }
                Token::Div | Token::FloorDiv if follows_value => self.close_call(level, end),
                Token::Tilde if follows_value => {
                    self.close_call(level, end);
                    level.product = None;
                    if !level.in_joint {
                        self.put(level.joint.unwrap_or(end), "(");
                    }
                    let call = if level.in_joint {
                        ",".to_string()
                    } else {
                        format!(")|{CONCATENATE}(")
                    };
                    self.edits.push((piece.at.clone(), call));
                    level.in_joint = true;
                }
                Token::Plus | Token::Minus if follows_value => self.end(level, end),
                Token::Comma => {
                    self.end(level, end);
                    chained = level.chained;
                    is_tuple |= !is_tag && deepest == 1;
                }
                Token::Colon | Token::Assign | Token::Eq | Token::Ne => self.end(level, end),
                Token::Gt | Token::Gte | Token::Lt | Token::Lte => self.end(level, end),
                // The name of a tag; words of tests belong to what is tested.
                Token::Ident(_) if is_tag && index == 0 => {}
                Token::Ident("not") if follows("is") => {}
                Token::Ident("in") if follows("is") => {}
                Token::Ident("is") => {}
                Token::Ident(name) if is_keyword(name) && !is_plain_name => self.end(level, end),
                _ if piece.closes() => {
                    self.end(level, end);
                    let closed = levels.pop();
                    chained = closed.map_or(0, |closed| closed.chained + 1);
                    if levels.is_empty() {
                        return Err(wrong(msg::UnopenedBracket, piece.line));
                    }
                }
                _ => {
                    level.product.get_or_insert(piece.at.start);
                    level.joint.get_or_insert(piece.at.start);
                    if piece.opens() {
                        levels.push(Level {
                            chained,
                            ..Level::default()
                        });
                    }
                }
            }
            if chained > MOST_CHAINED || levels.len() > MOST_BRACKETS {
                return Err(wrong(msg::ExpressionTooLong, piece.line));
            }
            before = Some(piece);
        }
        if let (Some(level), Some(before)) = (levels.first_mut(), before) {
            self.end(level, before.at.end);
        }
        if let ([first, ..], [.., last], true) = (pieces, pieces, is_tuple) {
            self.put(first.at.start, "(");
            self.put(last.at.end, ")");
        }
        Ok(())
    }

    fn close_call(&mut self, level: &mut Level, at: usize) {
        if let Some(closing) = level.closing.take() {
            self.put(at, &closing);
        }
    }

    /// Ends the operands at a place.
    fn end(&mut self, level: &mut Level, at: usize) {
        self.close_call(level, at);
        if std::mem::take(&mut level.in_joint) {
            self.put(at, ")");
        }
        (level.product, level.joint) = (None, None);
    }

    /// Counts blocks, and rewrites the tags that give names, loop and generate.
    fn tag(&mut self, inner: &[Piece<'s>], last: &Piece) -> Result<(), Error> {
        let Some((first, rest)) = inner.split_first() else {
            return Ok(());
        };
        let Some(tag) = first.name() else { return Ok(()) };
        match tag {
            "include" | "import" | "from" | "extends" | "block" => {
                return Err(wrong(msg::UselessTag { tag }, first.line));
            }
            "generation" | "endgeneration" => {
                self.has_generation = true;
                let call = if tag == "generation" {
                    format!("call {GENERATION}()")
                } else {
                    "endcall".to_string()
                };
                self.edits.push((first.at.clone(), call));
            }
            "set" => self.set(rest),
            _ => {}
        }
        let is_inline = tag == "set" && rest.iter().any(|piece| matches!(piece.token, Token::Assign));
        let names = bound_names(tag, rest);
        for name in &names {
            self.put(last.at.start, &format!(" %}}{{% set {name} = {name}|{KEEP} "));
        }
        match tag {
            "for" => {
                self.loops += 1;
                if let [name] = names[..] {
                    self.note_round(&format!("{}, {name}", self.loops), last);
                }
                self.takes_parts |= goes_through_parts(rest);
                self.blocks.push((tag, 1, Some(self.loops)));
            }
            "elif" => {
                if let Some(block) = self.blocks.last_mut() {
                    block.1 += 1;
                }
            }
            "if" | "macro" | "call" | "filter" | "with" | "autoescape" | "generation" | "set" if !is_inline => {
                self.blocks.push((tag, 1, None));
            }
            _ if tag.starts_with("end") => {
                if let Some((_, _, Some(number))) = self.blocks.pop() {
                    self.note_round(&number.to_string(), last);
                }
            }
            _ => {}
        }
        let depth: usize = self.blocks.iter().map(|(_, levels, _)| levels).sum();
        match depth <= MOST_BLOCKS {
            true => Ok(()),
            false => Err(wrong(msg::BlocksTooDeep, first.line)),
        }
    }

    /// A call of [`ROUND`] in a tag of its own behind a tag, which leaves to that the signs for white space.
    fn note_round(&mut self, arguments: &str, last: &Piece) {
        self.put(
            last.at.start,
            &format!(" %}}{{% set lorakeet_noted = {ROUND}({arguments}) "),
        );
    }

    /// `{% set name = … %}`.
    fn set(&mut self, rest: &[Piece<'s>]) {
        let mut parts = rest.splitn(2, |piece| matches!(piece.token, Token::Assign));
        if let (Some(target), Some([start, ..]), Some(end)) = (parts.next(), parts.next(), rest.last()) {
            let is_attribute = target.iter().any(|piece| matches!(piece.token, Token::Dot));
            self.put(start.at.start, "(");
            self.put(end.at.end, &format!(")|{}", if is_attribute { KEEP_IN } else { KEEP }));
        }
    }
}

/// Whether a loop goes through a message's content.
fn goes_through_parts(rest: &[Piece]) -> bool {
    let items = rest
        .split(|piece| piece.name() == Some("in"))
        .nth(1)
        .unwrap_or_default();
    let items = items
        .split(|piece| piece.name() == Some("if"))
        .next()
        .unwrap_or_default();
    let last = items.iter().rfind(|piece| !piece.closes());
    last.is_some_and(|last| matches!(last.token, Token::Ident("content") | Token::Str("content")))
}

/// The names that a tag gives to values: a loop's targets, parameters, and those of `{% with %}`.
fn bound_names<'s>(tag: &str, rest: &[Piece<'s>]) -> Vec<&'s str> {
    let mut names = Vec::new();
    let mut depth = 0;
    for (index, piece) in rest.iter().enumerate() {
        depth += usize::from(piece.opens());
        depth -= usize::from(piece.closes()).min(depth);
        let Some(name) = piece.name() else { continue };
        let before = index.checked_sub(1).map(|before| &rest[before].token);
        let begins = matches!(before, None | Some(Token::Comma | Token::ParenOpen));
        match tag {
            "for" if name == "in" => break,
            "for" => names.push(name),
            "macro" if depth == 1 && begins => names.push(name),
            // Parameters stand before what is called.
            "call" if depth == 1 && begins && matches!(rest[0].token, Token::ParenOpen) => names.push(name),
            "call" if depth == 0 => break,
            "with" if depth == 0 && begins => names.push(name),
            _ => {}
        }
    }
    names
}
