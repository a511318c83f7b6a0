//! The syntax of chat templates, from text to a tree: Jinja 2 with `trim_blocks`, `lstrip_blocks`, loop controls and
//! transformers' `{% generation %}`.
//!
//! A template comes from a stranger, and trees are walked by recursion: how long and how deep one may be is counted over
//! its tokens, before there is a tree. Reference: `lexer.py` and `parser.py` of pallets/jinja 3.1.

use super::Fault;
use std::sync::Arc;

/// The longest template; known ones have less than half of it.
const MOST_BYTES: usize = 64 << 10;
/// Tokens on the way from a tag to the innermost part of its expression; a comma starts anew.
const MOST_CHAINED: usize = 200;
/// Brackets in brackets.
const MOST_BRACKETS: usize = 24;
/// Blocks in blocks.
const MOST_BLOCKS: usize = 48;

type Parsed<T> = Result<T, Fault>;

/// A value that stands in the template.
#[derive(Debug, Clone)]
pub(super) enum Literal {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Text(Arc<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    FloorDivide,
    Remainder,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    NotIn,
}

/// Arguments of a call, a filter or a test.
#[derive(Debug, Clone, Default)]
pub(super) struct Arguments {
    pub places: Vec<Expression>,
    pub names: Vec<(Arc<str>, Expression)>,
}

#[derive(Debug, Clone)]
pub(super) enum Expression {
    Literal(Literal),
    Name(Arc<str>),
    List(Vec<Expression>),
    Tuple(Vec<Expression>),
    Dict(Vec<(Expression, Expression)>),
    Not(Box<Expression>),
    Negative(Box<Expression>),
    Positive(Box<Expression>),
    Arithmetic(Operator, Box<[Expression; 2]>),
    Concatenate(Vec<Expression>),
    Compare(Box<Expression>, Vec<(Comparison, Expression)>),
    And(Box<[Expression; 2]>),
    Or(Box<[Expression; 2]>),
    /// Condition, value, and the value otherwise.
    Choice(Box<(Expression, Expression, Option<Expression>)>),
    Attribute(Box<Expression>, Arc<str>),
    Item(Box<[Expression; 2]>),
    Slice(Box<(Expression, [Option<Expression>; 3])>),
    Call(Box<Expression>, Arguments),
    /// Without an expression, of a block.
    Filter(Option<Box<Expression>>, Arc<str>, Arguments),
    Test(Box<Expression>, Arc<str>, Arguments),
}

/// What is set.
#[derive(Debug, Clone)]
pub(super) enum Target {
    Name(Arc<str>),
    Names(Vec<Target>),
    Attribute(Arc<str>, Arc<str>),
}

/// A macro, or the body of a call block.
#[derive(Debug, Clone)]
pub(super) struct Macro {
    pub name: Arc<str>,
    pub parameters: Vec<(Arc<str>, Option<Expression>)>,
    pub body: Vec<Statement>,
}

#[derive(Debug, Clone)]
pub(super) struct For {
    pub target: Target,
    pub items: Expression,
    pub condition: Option<Expression>,
    pub body: Vec<Statement>,
    pub otherwise: Vec<Statement>,
}

#[derive(Debug, Clone)]
pub(super) enum Node {
    Text(Arc<str>),
    Print(Expression),
    For(Box<For>),
    /// Conditions with their bodies, then what is left.
    If(Vec<(Expression, Vec<Statement>)>, Vec<Statement>),
    Set(Target, Expression),
    /// With the filters, as an expression without its innermost value.
    SetBlock(Target, Option<Expression>, Vec<Statement>),
    Filter(Expression, Vec<Statement>),
    With(Vec<(Target, Expression)>, Vec<Statement>),
    /// The number of the macro.
    Macro(usize),
    /// A call with the number of the macro that it calls back.
    CallBlock(Expression, usize),
    Generation(Vec<Statement>),
    Break,
    Continue,
}

#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub line: usize,
    pub node: Node,
}

/// A template that has been read.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub body: Vec<Statement>,
    pub macros: Vec<Macro>,
    pub has_generation: bool,
    /// Whether it goes through the parts of a message's content.
    pub takes_parts: bool,
}

/// Reads a template.
///
/// # Errors
/// It is not Jinja, or longer or deeper than a template needs to be.
pub(super) fn parse(source: &str) -> Parsed<Tree> {
    if source.len() > MOST_BYTES {
        let what = format!(
            "has {} bytes; at most {MOST_BYTES} are read of a template",
            source.len()
        );
        return Err(Fault::new(what));
    }
    let mut parser = Parser {
        tokens: lex(source)?,
        at: 0,
        macros: Vec::new(),
        depth: 0,
        has_generation: false,
        contents: vec!["content".into()],
        takes_parts: false,
    };
    let body = parser.body(&[])?;
    Ok(Tree {
        body,
        macros: parser.macros,
        has_generation: parser.has_generation,
        takes_parts: parser.takes_parts,
    })
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Text(Arc<str>),
    PrintOpen,
    PrintClose,
    TagOpen,
    TagClose,
    Name(Arc<str>),
    String(Arc<str>),
    Int(i128),
    Float(f64),
    Sign(&'static str),
    End,
}

struct Token {
    kind: Kind,
    line: usize,
}

/// Longer ones first.
const SIGNS: [&str; 25] = [
    "//", "**", "==", "!=", "<=", ">=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", "<", ">", "=", ".",
    ":", "|", ",",
];

struct Lexer<'a> {
    source: &'a str,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
    /// Whether a line starts at `at`.
    starts_line: bool,
}

fn lex(source: &str) -> Parsed<Vec<Token>> {
    let source = source.replace("\r\n", "\n").replace('\r', "\n");
    let source = source.strip_suffix('\n').unwrap_or(&source);
    let mut lexer = Lexer {
        source,
        at: 0,
        line: 1,
        tokens: Vec::new(),
        starts_line: true,
    };
    while lexer.piece()? {}
    let line = lexer.line;
    lexer.tokens.push(Token { kind: Kind::End, line });
    Ok(lexer.tokens)
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn wrong<T>(&self, what: impl Into<String>) -> Parsed<T> {
        Err(Fault::new(what).line(self.line))
    }

    fn push(&mut self, kind: Kind) {
        self.tokens.push(Token { kind, line: self.line });
    }

    fn advance(&mut self, bytes: usize) {
        let passed = &self.source[self.at..self.at + bytes];
        self.line += passed.matches('\n').count();
        if let Some(last) = passed.chars().next_back() {
            self.starts_line = last == '\n';
        }
        self.at += bytes;
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.advance(rest.len() - rest.trim_start().len());
    }

    /// A text, with its end cut as the tag behind it asks.
    fn text(&mut self, length: usize, sign: Option<u8>, is_block: bool) {
        let source = self.source;
        let mut text = &source[self.at..self.at + length];
        if sign == Some(b'-') {
            text = text.trim_end();
        } else if sign != Some(b'+') && is_block {
            let line = text.rfind('\n').map_or(0, |at| at + 1);
            if (line > 0 || self.starts_line) && text[line..].trim().is_empty() {
                text = &text[..line];
            }
        }
        if !text.is_empty() {
            self.push(Kind::Text(text.into()));
        }
        self.advance(length);
    }

    /// Passes the closing sign of a tag: `length` bytes of it, then white space as it and `trim_blocks` ask.
    fn close(&mut self, length: usize, sign: Option<u8>, is_block: bool) {
        self.advance(length);
        if sign == Some(b'-') {
            self.skip_space();
        } else if sign != Some(b'+') && is_block && self.rest().starts_with('\n') {
            self.advance(1);
        }
    }

    /// One text and the tag behind it; `false` at the end.
    fn piece(&mut self) -> Parsed<bool> {
        let rest = self.rest();
        let opening = |at: &usize| matches!(rest.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#'));
        let found = rest.match_indices('{').map(|(at, _)| at).find(opening);
        let Some(found) = found else {
            self.text(rest.len(), Some(b'+'), false);
            return Ok(false);
        };
        let bytes = rest.as_bytes();
        let opener = bytes[found + 1];
        let sign = bytes.get(found + 2).copied().filter(|sign| b"+-".contains(sign));
        self.text(found, sign, opener != b'{');
        self.advance(2 + usize::from(sign.is_some()));
        match opener {
            b'#' => self.comment()?,
            b'%' if self.raw()? => {}
            b'%' => {
                self.push(Kind::TagOpen);
                self.tag(true)?;
            }
            _ => {
                self.push(Kind::PrintOpen);
                self.tag(false)?;
            }
        }
        Ok(true)
    }

    fn comment(&mut self) -> Parsed<()> {
        let rest = self.rest();
        let Some(end) = rest.find("#}") else {
            return self.wrong("a comment {# has no end");
        };
        let before = rest[..end].bytes().next_back();
        let sign = before.filter(|sign| b"+-".contains(sign));
        self.close(end + 2, sign, true);
        Ok(())
    }

    /// `raw %} … {% endraw %}`, if that is what comes.
    fn raw(&mut self) -> Parsed<bool> {
        let rest = self.rest();
        let Some(after) = rest.trim_start().strip_prefix("raw") else {
            return Ok(false);
        };
        let after = after.trim_start();
        let (length, sign) = match (after.starts_with("%}"), after.starts_with("-%}")) {
            (true, _) => (2, Some(b'+')),
            (_, true) => (3, Some(b'-')),
            _ => return Ok(false),
        };
        self.close(rest.len() - after.len() + length, sign, true);
        let rest = self.rest();
        for (at, _) in rest.match_indices("{%") {
            let inner = &rest[at + 2..];
            let open = inner.bytes().next().filter(|sign| b"+-".contains(sign));
            let inner = inner[usize::from(open.is_some())..].trim_start();
            let Some(end) = inner.strip_prefix("endraw").map(str::trim_start) else {
                continue;
            };
            let close = end.bytes().next().filter(|sign| b"+-".contains(sign));
            let Some(end) = end[usize::from(close.is_some())..].strip_prefix("%}") else {
                continue;
            };
            let tag = rest.len() - end.len() - at;
            self.text(at, open, true);
            self.close(tag, close, true);
            return Ok(true);
        }
        self.wrong("{% raw %} has no {% endraw %}")
    }

    /// The tokens of a tag, and how deep they lead.
    fn tag(&mut self, is_block: bool) -> Parsed<()> {
        let close = if is_block { "%}" } else { "}}" };
        // Of each open bracket, the tokens on the way to it.
        let mut open: Vec<(&str, usize)> = Vec::new();
        let mut chained = 0;
        loop {
            self.skip_space();
            let rest = self.rest();
            if open.is_empty() {
                let sign = rest
                    .bytes()
                    .next()
                    .filter(|sign| *sign == b'-' || is_block && *sign == b'+');
                let length = usize::from(sign.is_some());
                if rest[length..].starts_with(close) {
                    self.push(if is_block { Kind::TagClose } else { Kind::PrintClose });
                    self.close(length + 2, sign, is_block);
                    return Ok(());
                }
                if rest.starts_with(close) {
                    self.push(if is_block { Kind::TagClose } else { Kind::PrintClose });
                    self.close(2, None, is_block);
                    return Ok(());
                }
            }
            chained += 1;
            let kind = self.token()?;
            if let Kind::Sign(sign) = kind {
                match sign {
                    "(" | "[" | "{" => open.push((sign, chained)),
                    ")" | "]" | "}" => match open.pop() {
                        Some(("(", before)) if sign == ")" => chained = before + 1,
                        Some(("[", before)) if sign == "]" => chained = before + 1,
                        Some(("{", before)) if sign == "}" => chained = before + 1,
                        _ => return self.wrong(format!("'{sign}' closes no bracket")),
                    },
                    "," => chained = open.last().map_or(0, |(_, before)| *before),
                    _ => {}
                }
            }
            if chained > MOST_CHAINED || open.len() > MOST_BRACKETS {
                return self.wrong("has an expression that is far too long or too deep");
            }
            self.push(kind);
        }
    }

    fn token(&mut self) -> Parsed<Kind> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return self.wrong("a tag has no end");
        };
        if first == '"' || first == '\'' {
            return self.string(first);
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        if first == '_' || first.is_alphabetic() {
            let end = rest.find(|letter: char| letter != '_' && !letter.is_alphanumeric());
            let name = &rest[..end.unwrap_or(rest.len())];
            let (length, name) = (name.len(), name.into());
            self.advance(length);
            return Ok(Kind::Name(name));
        }
        match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            Some(sign) => {
                self.advance(sign.len());
                Ok(Kind::Sign(sign))
            }
            None => self.wrong(format!("{first:?} has no meaning in a tag")),
        }
    }

    fn number(&mut self) -> Parsed<Kind> {
        let rest = self.rest();
        let digits = |text: &str| {
            let end = text.find(|letter: char| letter != '_' && !letter.is_ascii_digit());
            end.unwrap_or(text.len())
        };
        let mut end = digits(rest);
        let mut is_whole = true;
        let starts_with_digit = |text: &str| text.bytes().next().is_some_and(|letter| letter.is_ascii_digit());
        if let Some(fraction) = rest[end..].strip_prefix('.').filter(|text| starts_with_digit(text)) {
            end += 1 + digits(fraction);
            is_whole = false;
        }
        if let Some(exponent) = rest[end..].strip_prefix(['e', 'E']) {
            let number = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if starts_with_digit(number) {
                end += 1 + exponent.len() - number.len() + digits(number);
                is_whole = false;
            }
        }
        let text = rest[..end].replace('_', "");
        let number = match is_whole {
            true => text.parse().map(Kind::Int).ok(),
            false => text.parse().map(Kind::Float).ok(),
        };
        let Some(number) = number else {
            return self.wrong(format!("{text} is too large"));
        };
        self.advance(end);
        Ok(number)
    }

    /// A text in quotes, with Python's escapes.
    fn string(&mut self, quote: char) -> Parsed<Kind> {
        let rest = self.rest();
        let mut text = String::new();
        let mut letters = rest[1..].char_indices();
        while let Some((at, letter)) = letters.next() {
            if letter == quote {
                self.advance(at + 2);
                return Ok(Kind::String(text.into()));
            }
            if letter != '\\' {
                text.push(letter);
                continue;
            }
            let Some((_, escape)) = letters.next() else { break };
            let plain = match escape {
                'n' => '\n',
                't' => '\t',
                'r' => '\r',
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'v' => '\u{b}',
                '\\' | '\'' | '"' => escape,
                '\n' => continue,
                'x' | 'u' | 'U' => {
                    let length = match escape {
                        'x' => 2,
                        'u' => 4,
                        _ => 8,
                    };
                    let digits: String = letters.by_ref().take(length).map(|(_, digit)| digit).collect();
                    let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == length);
                    match code.and_then(char::from_u32) {
                        Some(plain) => plain,
                        None => return self.wrong(format!("\\{escape}{digits} is no character")),
                    }
                }
                '0'..='7' => {
                    let mut code = escape.to_digit(8).unwrap_or_default();
                    for _ in 0..2 {
                        let next = letters.clone().next().and_then(|(_, letter)| letter.to_digit(8));
                        let Some(digit) = next else { break };
                        code = code * 8 + digit;
                        letters.next();
                    }
                    char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                }
                other => {
                    text.push('\\');
                    other
                }
            };
            text.push(plain);
        }
        self.wrong("a text in quotes has no end")
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    macros: Vec<Macro>,
    depth: usize,
    has_generation: bool,
    /// Names that a message's content was given.
    contents: Vec<Arc<str>>,
    takes_parts: bool,
}

impl Parser {
    fn kind(&self) -> &Kind {
        &self.tokens[self.at].kind
    }

    fn line(&self) -> usize {
        self.tokens[self.at].line
    }

    fn wrong<T>(&self, what: impl Into<String>) -> Parsed<T> {
        Err(Fault::new(what).line(self.line()))
    }

    fn next(&mut self) -> Kind {
        let kind = self.kind().clone();
        // The end stays.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        kind
    }

    fn takes(&mut self, kind: &Kind) -> bool {
        let is_next = self.kind() == kind;
        if is_next {
            self.next();
        }
        is_next
    }

    fn sign(&mut self, sign: &'static str) -> bool {
        self.takes(&Kind::Sign(sign))
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.kind(), Kind::Name(name) if &**name == word)
    }

    fn word(&mut self, word: &str) -> bool {
        let is_next = self.is_word(word);
        if is_next {
            self.next();
        }
        is_next
    }

    fn expect(&mut self, kind: &Kind) -> Parsed<()> {
        if self.takes(kind) {
            return Ok(());
        }
        let shown = |kind: &Kind| match kind {
            Kind::Sign(sign) => format!("'{sign}'"),
            Kind::Name(name) => format!("'{name}'"),
            Kind::TagClose => "the end of the tag".to_string(),
            Kind::PrintClose => "'}}'".to_string(),
            Kind::End => "the end of the template".to_string(),
            _ => "a value".to_string(),
        };
        self.wrong(format!("expected {}, found {}", shown(kind), shown(self.kind())))
    }

    fn name(&mut self) -> Parsed<Arc<str>> {
        match self.next() {
            Kind::Name(name) => Ok(name),
            _ => self.wrong("a name is missing"),
        }
    }

    /// Statements up to a tag of one of these names, which is left to the caller; without names, up to the end.
    fn body(&mut self, ends: &[&str]) -> Parsed<Vec<Statement>> {
        self.depth += 1;
        if self.depth > MOST_BLOCKS {
            return self.wrong("has blocks in blocks in far too many blocks");
        }
        let mut statements = Vec::new();
        loop {
            let line = self.line();
            let node = match self.next() {
                Kind::End if ends.is_empty() => break,
                Kind::End => return self.wrong(format!("{{% {} %}} is missing", ends[ends.len() - 1])),
                Kind::Text(text) => Node::Text(text),
                Kind::PrintOpen => {
                    let value = self.tuple(true)?;
                    self.expect(&Kind::PrintClose)?;
                    Node::Print(value)
                }
                _ => {
                    let Kind::Name(tag) = self.kind().clone() else {
                        return self.wrong("a tag has no name");
                    };
                    if ends.contains(&&*tag) {
                        break;
                    }
                    self.next();
                    self.statement(&tag)?
                }
            };
            statements.push(Statement { line, node });
        }
        self.depth -= 1;
        Ok(statements)
    }

    /// The rest of a block: its tag's end, its body and its closing tag.
    fn block(&mut self, end: &str) -> Parsed<Vec<Statement>> {
        self.expect(&Kind::TagClose)?;
        let body = self.body(&[end])?;
        self.next();
        self.expect(&Kind::TagClose)?;
        Ok(body)
    }

    fn statement(&mut self, tag: &str) -> Parsed<Node> {
        let node = match tag {
            "for" => return self.for_loop(),
            "if" => return self.conditions(),
            "set" => return self.set(),
            "macro" => {
                let name = self.name()?;
                self.expect(&Kind::Sign("("))?;
                let parameters = self.parameters()?;
                let body = self.block("endmacro")?;
                Node::Macro(self.keep(name, parameters, body))
            }
            "call" => {
                let parameters = match self.sign("(") {
                    true => self.parameters()?,
                    false => Vec::new(),
                };
                let call = self.expression()?;
                if !matches!(call, Expression::Call(..)) {
                    return self.wrong("{% call %} calls nothing");
                }
                let body = self.block("endcall")?;
                Node::CallBlock(call, self.keep("caller".into(), parameters, body))
            }
            "filter" => {
                let filters = self.filters(None, true)?;
                Node::Filter(filters, self.block("endfilter")?)
            }
            "with" => {
                let mut values = Vec::new();
                while *self.kind() != Kind::TagClose {
                    let target = self.target()?;
                    self.expect(&Kind::Sign("="))?;
                    values.push((target, self.expression()?));
                    self.sign(",");
                }
                Node::With(values, self.block("endwith")?)
            }
            "generation" => {
                self.has_generation = true;
                Node::Generation(self.block("endgeneration")?)
            }
            "break" | "continue" => {
                self.expect(&Kind::TagClose)?;
                match tag {
                    "break" => Node::Break,
                    _ => Node::Continue,
                }
            }
            "include" | "import" | "from" | "extends" | "block" => {
                return self.wrong(format!(
                    "{{% {tag} %}} reads other templates, which a chat template has none of"
                ));
            }
            other => return self.wrong(format!("{{% {other} %}} is unknown or stands where it has no meaning")),
        };
        Ok(node)
    }

    fn keep(&mut self, name: Arc<str>, parameters: Vec<(Arc<str>, Option<Expression>)>, body: Vec<Statement>) -> usize {
        self.macros.push(Macro { name, parameters, body });
        self.macros.len() - 1
    }

    /// The parameters of a macro, its opening bracket passed.
    fn parameters(&mut self) -> Parsed<Vec<(Arc<str>, Option<Expression>)>> {
        let mut parameters = Vec::new();
        while !self.sign(")") {
            let name = self.name()?;
            let default = match self.sign("=") {
                true => Some(self.expression()?),
                false => None,
            };
            parameters.push((name, default));
            if !self.sign(",") && *self.kind() != Kind::Sign(")") {
                return self.wrong("parameters stand without a comma between");
            }
        }
        Ok(parameters)
    }

    fn target(&mut self) -> Parsed<Target> {
        if self.sign("(") {
            let target = self.targets()?;
            self.expect(&Kind::Sign(")"))?;
            return Ok(target);
        }
        Ok(Target::Name(self.name()?))
    }

    fn targets(&mut self) -> Parsed<Target> {
        let first = self.target()?;
        if *self.kind() != Kind::Sign(",") {
            return Ok(first);
        }
        let mut targets = vec![first];
        while self.sign(",") && matches!(self.kind(), Kind::Name(_) | Kind::Sign("(")) && !self.is_word("in") {
            targets.push(self.target()?);
        }
        Ok(Target::Names(targets))
    }

    /// Whether an expression is a message's content, by its name.
    fn is_content(&self, expression: &Expression) -> bool {
        match expression {
            Expression::Name(name) => self.contents.contains(name),
            Expression::Attribute(_, name) => &**name == "content",
            Expression::Item(pair) => {
                matches!(&pair[1], Expression::Literal(Literal::Text(name)) if &**name == "content")
            }
            _ => false,
        }
    }

    fn for_loop(&mut self) -> Parsed<Node> {
        let target = self.targets()?;
        if !self.word("in") {
            return self.wrong("{% for %} has no 'in'");
        }
        let items = self.tuple(false)?;
        self.takes_parts |= self.is_content(&items);
        let condition = match self.word("if") {
            true => Some(self.expression()?),
            false => None,
        };
        if self.is_word("recursive") {
            return self.wrong("recursive loops are not supported");
        }
        self.expect(&Kind::TagClose)?;
        let body = self.body(&["else", "endfor"])?;
        let mut otherwise = Vec::new();
        if self.word("else") {
            otherwise = self.block("endfor")?;
        } else {
            self.next();
            self.expect(&Kind::TagClose)?;
        }
        Ok(Node::For(Box::new(For {
            target,
            items,
            condition,
            body,
            otherwise,
        })))
    }

    fn conditions(&mut self) -> Parsed<Node> {
        let mut cases = Vec::new();
        loop {
            let condition = self.tuple(false)?;
            self.expect(&Kind::TagClose)?;
            cases.push((condition, self.body(&["elif", "else", "endif"])?));
            if self.word("elif") {
                continue;
            }
            if self.word("else") {
                let otherwise = self.block("endif")?;
                return Ok(Node::If(cases, otherwise));
            }
            self.next();
            self.expect(&Kind::TagClose)?;
            return Ok(Node::If(cases, Vec::new()));
        }
    }

    fn set(&mut self) -> Parsed<Node> {
        let mut target = self.targets()?;
        if self.sign(".") {
            let Target::Name(name) = target else {
                return self.wrong("only attributes of a namespace can be set");
            };
            target = Target::Attribute(name, self.name()?);
        }
        if self.sign("=") {
            let value = self.tuple(true)?;
            self.expect(&Kind::TagClose)?;
            if let (Target::Name(name), true) = (&target, self.is_content(&value)) {
                self.contents.push(name.clone());
            }
            return Ok(Node::Set(target, value));
        }
        let filters = match *self.kind() {
            Kind::Sign("|") => Some(self.filters(None, false)?),
            _ => None,
        };
        Ok(Node::SetBlock(target, filters, self.block("endset")?))
    }

    /// Values with commas between are a tuple. Where a condition may follow, `if` is not a choice.
    fn tuple(&mut self, with_choice: bool) -> Parsed<Expression> {
        let one = |parser: &mut Self| match with_choice {
            true => parser.expression(),
            false => parser.or(),
        };
        let first = one(self)?;
        if *self.kind() != Kind::Sign(",") {
            return Ok(first);
        }
        let mut values = vec![first];
        while self.sign(",") {
            let ends = [Kind::TagClose, Kind::PrintClose, Kind::Sign(")"), Kind::Sign("]")];
            if ends.contains(self.kind()) {
                break;
            }
            values.push(one(self)?);
        }
        Ok(Expression::Tuple(values))
    }

    fn expression(&mut self) -> Parsed<Expression> {
        let mut value = self.or()?;
        while self.word("if") {
            let condition = self.or()?;
            let otherwise = match self.word("else") {
                true => Some(self.expression()?),
                false => None,
            };
            value = Expression::Choice(Box::new((condition, value, otherwise)));
        }
        Ok(value)
    }

    fn or(&mut self) -> Parsed<Expression> {
        let mut left = self.and()?;
        while self.word("or") {
            left = Expression::Or(Box::new([left, self.and()?]));
        }
        Ok(left)
    }

    fn and(&mut self) -> Parsed<Expression> {
        let mut left = self.not()?;
        while self.word("and") {
            left = Expression::And(Box::new([left, self.not()?]));
        }
        Ok(left)
    }

    fn not(&mut self) -> Parsed<Expression> {
        match self.word("not") {
            true => Ok(Expression::Not(Box::new(self.not()?))),
            false => self.compare(),
        }
    }

    fn compare(&mut self) -> Parsed<Expression> {
        let first = self.sum()?;
        let mut others = Vec::new();
        loop {
            let comparison = match self.kind() {
                Kind::Sign("==") => Comparison::Equal,
                Kind::Sign("!=") => Comparison::NotEqual,
                Kind::Sign("<") => Comparison::Less,
                Kind::Sign("<=") => Comparison::LessOrEqual,
                Kind::Sign(">") => Comparison::Greater,
                Kind::Sign(">=") => Comparison::GreaterOrEqual,
                Kind::Name(name) if &**name == "in" => Comparison::In,
                Kind::Name(name) if &**name == "not" => {
                    let after = self.tokens.get(self.at + 1).map(|token| &token.kind);
                    if !matches!(after, Some(Kind::Name(name)) if &**name == "in") {
                        break;
                    }
                    self.next();
                    Comparison::NotIn
                }
                _ => break,
            };
            self.next();
            others.push((comparison, self.sum()?));
        }
        Ok(match others.is_empty() {
            true => first,
            false => Expression::Compare(Box::new(first), others),
        })
    }

    /// Operands of one rank with their operators between, from left to right.
    fn chain(
        &mut self,
        operators: &[(&'static str, Operator)],
        operand: fn(&mut Self) -> Parsed<Expression>,
    ) -> Parsed<Expression> {
        let mut left = operand(self)?;
        while let Kind::Sign(sign) = self.kind()
            && let Some((_, operator)) = operators.iter().find(|(known, _)| known == sign)
        {
            self.next();
            left = Expression::Arithmetic(*operator, Box::new([left, operand(self)?]));
        }
        Ok(left)
    }

    fn sum(&mut self) -> Parsed<Expression> {
        self.chain(&[("+", Operator::Add), ("-", Operator::Subtract)], Self::concatenation)
    }

    fn concatenation(&mut self) -> Parsed<Expression> {
        let first = self.product()?;
        if *self.kind() != Kind::Sign("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.sign("~") {
            parts.push(self.product()?);
        }
        Ok(Expression::Concatenate(parts))
    }

    fn product(&mut self) -> Parsed<Expression> {
        let operators = [
            ("*", Operator::Multiply),
            ("/", Operator::Divide),
            ("//", Operator::FloorDivide),
            ("%", Operator::Remainder),
        ];
        self.chain(&operators, Self::power)
    }

    fn power(&mut self) -> Parsed<Expression> {
        self.chain(&[("**", Operator::Power)], |parser| parser.unary(true))
    }

    fn unary(&mut self, with_filters: bool) -> Parsed<Expression> {
        let value = if self.sign("-") {
            Expression::Negative(Box::new(self.unary(false)?))
        } else if self.sign("+") {
            Expression::Positive(Box::new(self.unary(false)?))
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        match with_filters {
            true => self.filters(Some(value), false),
            false => Ok(value),
        }
    }

    fn primary(&mut self) -> Parsed<Expression> {
        let literal = match self.next() {
            Kind::Name(name) => match &*name {
                "true" | "True" => Literal::Bool(true),
                "false" | "False" => Literal::Bool(false),
                "none" | "None" => Literal::None,
                _ => return Ok(Expression::Name(name)),
            },
            Kind::String(text) => {
                let Kind::String(_) = self.kind() else {
                    return Ok(Expression::Literal(Literal::Text(text)));
                };
                let mut whole = text.to_string();
                while let Kind::String(more) = self.kind().clone() {
                    self.next();
                    whole.push_str(&more);
                }
                Literal::Text(whole.into())
            }
            Kind::Int(number) => Literal::Int(number),
            Kind::Float(number) => Literal::Float(number),
            Kind::Sign("(") => {
                if self.sign(")") {
                    return Ok(Expression::Tuple(Vec::new()));
                }
                let value = self.tuple(true)?;
                self.expect(&Kind::Sign(")"))?;
                return Ok(value);
            }
            Kind::Sign("[") => {
                let mut items = Vec::new();
                while !self.sign("]") {
                    items.push(self.expression()?);
                    if !self.sign(",") && *self.kind() != Kind::Sign("]") {
                        return self.wrong("items of a list stand without a comma between");
                    }
                }
                return Ok(Expression::List(items));
            }
            Kind::Sign("{") => {
                let mut items = Vec::new();
                while !self.sign("}") {
                    let key = self.expression()?;
                    self.expect(&Kind::Sign(":"))?;
                    items.push((key, self.expression()?));
                    if !self.sign(",") && *self.kind() != Kind::Sign("}") {
                        return self.wrong("items of a dictionary stand without a comma between");
                    }
                }
                return Ok(Expression::Dict(items));
            }
            _ => return self.wrong("a value is missing"),
        };
        Ok(Expression::Literal(literal))
    }

    fn postfix(&mut self, mut value: Expression) -> Parsed<Expression> {
        loop {
            if self.sign(".") {
                value = match self.next() {
                    Kind::Name(name) => Expression::Attribute(Box::new(value), name),
                    Kind::Int(place) => Expression::Item(Box::new([value, Expression::Literal(Literal::Int(place))])),
                    _ => return self.wrong("a name is missing behind '.'"),
                };
            } else if self.sign("[") {
                value = self.subscript(value)?;
            } else if self.sign("(") {
                value = Expression::Call(Box::new(value), self.arguments()?);
            } else {
                return Ok(value);
            }
        }
    }

    fn subscript(&mut self, value: Expression) -> Parsed<Expression> {
        let mut bounds = [None, None, None];
        let mut place = 0;
        loop {
            if !matches!(self.kind(), Kind::Sign(":" | "]")) {
                bounds[place] = Some(self.expression()?);
            }
            if self.sign("]") {
                break;
            }
            place += 1;
            if place > 2 || !self.sign(":") {
                return self.wrong("expected ']'");
            }
        }
        match (place, bounds) {
            (0, [Some(key), ..]) => Ok(Expression::Item(Box::new([value, key]))),
            (0, _) => self.wrong("nothing stands between '[' and ']'"),
            (_, bounds) => Ok(Expression::Slice(Box::new((value, bounds)))),
        }
    }

    /// The arguments of a call, its opening bracket passed.
    fn arguments(&mut self) -> Parsed<Arguments> {
        let mut arguments = Arguments::default();
        while !self.sign(")") {
            let after = self.tokens.get(self.at + 1).map(|token| &token.kind);
            match (self.kind().clone(), after) {
                (Kind::Name(name), Some(Kind::Sign("="))) => {
                    self.next();
                    self.next();
                    arguments.names.push((name, self.expression()?));
                }
                (Kind::Sign("*" | "**"), _) => return self.wrong("arguments with * are not supported"),
                _ if !arguments.names.is_empty() => return self.wrong("an argument without a name follows one with"),
                _ => arguments.places.push(self.expression()?),
            }
            if !self.sign(",") && *self.kind() != Kind::Sign(")") {
                return self.wrong("arguments stand without a comma between");
            }
        }
        Ok(arguments)
    }

    fn dotted_name(&mut self) -> Parsed<Arc<str>> {
        let mut name = self.name()?;
        while self.sign(".") {
            name = format!("{name}.{}", self.name()?).into();
        }
        Ok(name)
    }

    /// The filters and tests of a value. Those of a block begin without a sign.
    fn filters(&mut self, value: Option<Expression>, mut begins: bool) -> Parsed<Expression> {
        let mut value = value.map(Box::new);
        loop {
            if std::mem::take(&mut begins) || self.sign("|") {
                let name = self.dotted_name()?;
                let arguments = match self.sign("(") {
                    true => self.arguments()?,
                    false => Arguments::default(),
                };
                value = Some(Box::new(Expression::Filter(value, name, arguments)));
                continue;
            }
            match value {
                Some(tested) if self.word("is") => value = Some(Box::new(self.test(tested)?)),
                Some(called) if self.sign("(") => {
                    value = Some(Box::new(Expression::Call(called, self.arguments()?)));
                }
                Some(value) => return Ok(*value),
                None => return self.wrong("a filter is missing"),
            }
        }
    }

    fn test(&mut self, value: Box<Expression>) -> Parsed<Expression> {
        let is_negated = self.word("not");
        let name = self.dotted_name()?;
        let takes_one = match self.kind() {
            Kind::Name(word) => !matches!(
                &**word,
                "else" | "or" | "and" | "is" | "if" | "in" | "not" | "recursive"
            ),
            Kind::String(_) | Kind::Int(_) | Kind::Float(_) | Kind::Sign("[" | "{") => true,
            _ => false,
        };
        let arguments = if self.sign("(") {
            self.arguments()?
        } else if takes_one {
            let argument = self.primary()?;
            Arguments {
                places: vec![self.postfix(argument)?],
                names: Vec::new(),
            }
        } else {
            Arguments::default()
        };
        let test = Expression::Test(value, name, arguments);
        Ok(match is_negated {
            true => Expression::Not(Box::new(test)),
            false => test,
        })
    }
}
