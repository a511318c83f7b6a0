//! What templates find in place: jinja2's filters and tests, Python's methods of texts, lists and dictionaries, both kinds of
//! its formatting, and transformers' functions.

use super::run::{Given, Outcome, Renderer, undefined, unsuited};
use super::syntax::Operator;
use super::value::{JsonStyle, Named, Value, compare, float_text};
use super::{Cause, Fault, date};
use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

const TEXT_METHODS: [&str; 35] = [
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "rsplit",
    "splitlines",
    "join",
    "startswith",
    "endswith",
    "upper",
    "lower",
    "title",
    "capitalize",
    "swapcase",
    "replace",
    "find",
    "rfind",
    "index",
    "count",
    "format",
    "isdigit",
    "isdecimal",
    "isnumeric",
    "isalpha",
    "isalnum",
    "isspace",
    "isupper",
    "islower",
    "ljust",
    "rjust",
    "center",
    "zfill",
    "removeprefix",
    "removesuffix",
    "partition",
];
const LIST_METHODS: [&str; 9] = [
    "index", "count", "copy", "append", "extend", "insert", "pop", "remove", "sort",
];
const DICT_METHODS: [&str; 9] = [
    "items",
    "keys",
    "values",
    "get",
    "copy",
    "update",
    "pop",
    "setdefault",
    "clear",
];

pub(super) fn is_method(value: &Value, name: &str) -> bool {
    match value {
        Value::Text(_) => TEXT_METHODS.contains(&name),
        Value::List(_) => LIST_METHODS.contains(&name),
        Value::Dict(_) => DICT_METHODS.contains(&name),
        Value::Loop(_) => ["cycle", "changed"].contains(&name),
        _ => false,
    }
}

/// The width that a text is filled up to, where there is room.
fn width(value: &Value, room: usize) -> Result<usize, Fault> {
    let number = value.as_int().ok_or_else(|| unsuited("a width", value))?;
    let number = usize::try_from(number.max(0)).map_err(|_| Fault::endless())?;
    match number <= room {
        true => Ok(number),
        false => Err(Fault::endless()),
    }
}

/// `text` in the middle (`^`), left (`<`), right (`>`) or behind its sign (`=`) of `width` characters.
fn padded(text: &str, width: usize, fill: char, align: char) -> String {
    let missing = width.saturating_sub(text.chars().count());
    let fill = |count: usize| std::iter::repeat_n(fill, count).collect::<String>();
    let signs = if text.starts_with(['-', '+', ' ']) { 1 } else { 0 };
    match align {
        '<' => format!("{text}{}", fill(missing)),
        '^' => format!("{}{text}{}", fill(missing / 2), fill(missing - missing / 2)),
        '=' => format!("{}{}{}", &text[..signs], fill(missing), &text[signs..]),
        _ => format!("{}{text}", fill(missing)),
    }
}

/// `str.center`, which puts an odd space before a text of even width.
fn centered(text: &str, width: usize, fill: char) -> String {
    let length = text.chars().count();
    let missing = width.saturating_sub(length);
    let left = missing / 2 + (missing & width & 1);
    let text = padded(text, length + missing - left, fill, '<');
    padded(&text, width, fill, '>')
}

/// A number with C's conversions.
fn number_text(value: &Value, conversion: char, precision: Option<usize>) -> Result<String, Fault> {
    if precision.is_some_and(|precision| precision > 400) {
        return Err(Fault::endless());
    }
    let float = || value.as_float().ok_or_else(|| unsuited("a format of numbers", value));
    let whole = || match value {
        Value::Float(number) if number.is_finite() && number.abs() < 1e38 => Ok(number.trunc() as i128),
        other => other
            .as_int()
            .ok_or_else(|| unsuited("a format of whole numbers", value)),
    };
    let signed = |number: i128, digits: String| if number < 0 { format!("-{digits}") } else { digits };
    let scientific = |number: f64, precision: usize| {
        let text = format!("{number:.precision$e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let sign = if exponent < 0 { '-' } else { '+' };
        (format!("{digits}e{sign}{:02}", exponent.abs()), exponent)
    };
    let places = precision.unwrap_or(6);
    Ok(match conversion {
        'd' | 'i' | 'u' => whole()?.to_string(),
        'x' => signed(whole()?, format!("{:x}", whole()?.unsigned_abs())),
        'X' => signed(whole()?, format!("{:X}", whole()?.unsigned_abs())),
        'o' => signed(whole()?, format!("{:o}", whole()?.unsigned_abs())),
        'b' => signed(whole()?, format!("{:b}", whole()?.unsigned_abs())),
        _ if !float()?.is_finite() => float_text(float()?),
        'f' | 'F' => format!("{:.places$}", float()?),
        '%' => format!("{:.places$}%", float()? * 100.0),
        'e' => scientific(float()?, places).0,
        'E' => scientific(float()?, places).0.to_uppercase(),
        _ => {
            let places = places.max(1);
            let (text, exponent) = scientific(float()?, places - 1);
            let trimmed = |text: &str| match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                false => text.to_string(),
            };
            let text = match (-4..places as i32).contains(&exponent) {
                true => trimmed(&format!("{:.*}", (places as i32 - 1 - exponent) as usize, float()?)),
                false => {
                    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "+00"));
                    format!("{}e{exponent}", trimmed(digits))
                }
            };
            if conversion == 'G' { text.to_uppercase() } else { text }
        }
    })
}

/// A text up to a number of characters.
fn shortened(text: &str, most: Option<usize>) -> &str {
    let end = most.and_then(|most| text.char_indices().nth(most)).map(|(at, _)| at);
    &text[..end.unwrap_or(text.len())]
}

fn texts(value: Option<Value>, what: &str) -> Result<Option<Arc<str>>, Fault> {
    match value {
        None | Some(Value::None) => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text)),
        Some(other) => Err(unsuited(what, &other)),
    }
}

fn truth(value: Option<Value>, default: bool) -> bool {
    value.map_or(default, |value| value.is_true())
}

fn lowered(value: &Value) -> Value {
    match value {
        Value::Text(text) => Value::text(text.to_lowercase()),
        other => other.clone(),
    }
}

impl<'t> Renderer<'t> {
    /// Python's `form % values`.
    pub fn percent(&mut self, form: &str, values: &Value) -> Outcome {
        let mut places = match values {
            Value::List(list) if list.is_tuple => list.items.iter(),
            _ => std::slice::from_ref(values).iter(),
        };
        let mut used_names = false;
        let mut text = String::new();
        let mut rest = form;
        while let Some(at) = rest.find('%') {
            text.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let mut named = None;
            if let Some(inner) = rest.strip_prefix('(') {
                let Some((name, after)) = inner.split_once(')') else {
                    return Err(Fault::new("a format has '(' without ')'"));
                };
                let missing = || Fault::new(format!("a format asks for '{name}', which is not given"));
                named = Some(values.get(name).ok_or_else(missing)?);
                used_names = true;
                rest = after;
            }
            let flags = rest.len() - rest.trim_start_matches(['-', '+', ' ', '0', '#']).len();
            let (flags, after) = rest.split_at(flags);
            let digits = |text: &str| text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
            let (wide, after) = after.split_at(digits(after));
            let (precision, after) = match after.strip_prefix('.') {
                Some(after) => {
                    let (precision, after) = after.split_at(digits(after));
                    (Some(precision.parse().unwrap_or(0)), after)
                }
                None => (None, after),
            };
            let after = after.trim_start_matches(['l', 'h', 'L']);
            let Some(conversion) = after.chars().next() else {
                return Err(Fault::new("a format ends with '%'"));
            };
            rest = &after[conversion.len_utf8()..];
            if conversion == '%' {
                text.push('%');
                continue;
            }
            let short = || Fault::new("a format asks for more values than are given");
            let value = match named {
                Some(value) => value,
                None => places.next().ok_or_else(short)?.clone(),
            };
            let mut piece = match conversion {
                's' => shortened(&self.shown(&value)?, precision).to_string(),
                'r' | 'a' => {
                    let shown = self.written(|text| text.repr(&value))?;
                    shortened(&shown, precision).to_string()
                }
                'c' => self.shown(&value)?.to_string(),
                'd' | 'i' | 'u' | 'x' | 'X' | 'o' | 'f' | 'F' | 'e' | 'E' | 'g' | 'G' => {
                    let piece = number_text(&value, conversion, precision)?;
                    let sign = match (flags.contains('+'), flags.contains(' '), piece.starts_with('-')) {
                        (true, _, false) => "+",
                        (_, true, false) => " ",
                        _ => "",
                    };
                    format!("{sign}{piece}")
                }
                other => return Err(Fault::new(format!("'%{other}' is no format"))),
            };
            if !wide.is_empty() {
                let wide = wide
                    .parse()
                    .ok()
                    .filter(|wide| *wide <= self.room())
                    .ok_or_else(Fault::endless)?;
                let is_number = !matches!(conversion, 's' | 'r' | 'a' | 'c');
                let (fill, align) = match (flags.contains('-'), flags.contains('0') && is_number) {
                    (true, _) => (' ', '<'),
                    (_, true) => ('0', '='),
                    _ => (' ', '>'),
                };
                piece = padded(&piece, wide, fill, align);
            }
            self.pay(piece.len())?;
            text.push_str(&piece);
        }
        text.push_str(rest);
        if !used_names && places.next().is_some() && !matches!(values, Value::Dict(_)) {
            return Err(Fault::new("a format is given more values than it asks for"));
        }
        self.made(text)
    }

    /// Python's `form.format(…)`.
    fn braces(&mut self, form: &str, given: &Given) -> Outcome {
        let mut text = String::new();
        let mut next = 0;
        let mut rest = form;
        while let Some(at) = rest.find(['{', '}']) {
            text.push_str(&rest[..at]);
            let sign = &rest[at..=at];
            rest = &rest[at + 1..];
            if let Some(after) = rest.strip_prefix(sign) {
                text.push_str(sign);
                rest = after;
                continue;
            }
            let Some((field, after)) = rest.split_once('}').filter(|_| sign == "{") else {
                return Err(Fault::new("a format has a single brace"));
            };
            rest = after;
            let (field, specification) = field.split_once(':').unwrap_or((field, ""));
            let (field, conversion) = field.split_once('!').unwrap_or((field, ""));
            let end = field.find(['.', '[']).unwrap_or(field.len());
            let (name, path) = field.split_at(end);
            let value = match name.parse() {
                Ok(place) => given.places.get::<usize>(place),
                Err(_) if name.is_empty() => {
                    next += 1;
                    given.places.get(next - 1)
                }
                Err(_) => given
                    .names
                    .iter()
                    .find(|(known, _)| &**known == name)
                    .map(|(_, value)| value),
            };
            let missing = || Fault::new(format!("a format asks for '{name}', which is not given"));
            let mut value = value.ok_or_else(missing)?.clone();
            for part in path.split(['.', '[', ']']).filter(|part| !part.is_empty()) {
                let key = part.parse().map_or_else(|_| Value::text(part), Value::Int);
                value = self.item(&value, &key)?;
            }
            if conversion == "r" {
                value = Value::text(self.written(|text| text.repr(&value))?);
            }
            let piece = self.specified(&value, specification)?;
            self.pay(piece.len())?;
            text.push_str(&piece);
        }
        text.push_str(rest);
        self.made(text)
    }

    /// A value by Python's format specification: `[[fill]align][sign][0][width][,][.precision][type]`.
    fn specified(&mut self, value: &Value, specification: &str) -> Result<String, Fault> {
        let wrong = || Fault::new(format!("'{specification}' is no format"));
        let mut letters: Vec<char> = specification.chars().collect();
        let (mut fill, mut align) = (' ', None);
        let is_align = |letter: Option<&char>| letter.is_some_and(|letter| "<>^=".contains(*letter));
        if is_align(letters.get(1)) {
            (fill, align) = (letters[0], Some(letters[1]));
            letters.drain(..2);
        } else if is_align(letters.first()) {
            align = Some(letters.remove(0));
        }
        let rest: String = letters.into_iter().collect();
        let (sign, rest) = match rest.strip_prefix(['+', '-', ' ']) {
            Some(after) => (rest.chars().next(), after),
            None => (None, rest.as_str()),
        };
        let rest = match rest.strip_prefix('0') {
            Some(after) if align.is_none() => {
                (fill, align) = ('0', Some('='));
                after
            }
            _ => rest,
        };
        let digits = |text: &str| text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
        let (wide, rest) = rest.split_at(digits(rest));
        let rest = rest.strip_prefix(',').map_or((false, rest), |rest| (true, rest));
        let (has_commas, rest) = rest;
        let (precision, kind) = match rest.strip_prefix('.') {
            Some(after) => {
                let (precision, kind) = after.split_at(digits(after));
                (Some(precision.parse().map_err(|_| wrong())?), kind)
            }
            None => (None, rest),
        };
        let is_number = value.as_float().is_some() && !matches!((value, kind), (Value::Bool(_), ""));
        let mut text = match (kind, is_number) {
            ("" | "s", false) => shortened(&self.shown(value)?, precision).to_string(),
            ("", true) if precision.is_none() => self.shown(value)?.to_string(),
            ("", true) => number_text(value, 'g', precision)?,
            ("d" | "x" | "X" | "o" | "b" | "f" | "F" | "e" | "E" | "g" | "G" | "%", true) => {
                number_text(value, kind.chars().next().unwrap_or('d'), precision)?
            }
            _ => return Err(wrong()),
        };
        if has_commas {
            let start = usize::from(text.starts_with('-'));
            let end = text.find('.').unwrap_or(text.len());
            let mut at = end;
            while at > start + 3 {
                at -= 3;
                text.insert(at, ',');
            }
        }
        if let (Some(sign @ ('+' | ' ')), true) = (sign, is_number && !text.starts_with('-')) {
            text.insert(0, sign);
        }
        if wide.is_empty() {
            return Ok(text);
        }
        let wide = wide
            .parse()
            .ok()
            .filter(|wide| *wide <= self.room())
            .ok_or_else(Fault::endless)?;
        let align = align.unwrap_or(if is_number { '>' } else { '<' });
        Ok(padded(&text, wide, fill, align))
    }

    /// transformers' functions, and jinja2's.
    pub fn global(&mut self, name: &str, mut given: Given) -> Outcome {
        let value = match name {
            "raise_exception" => {
                let message = given.take(0, "message").unwrap_or(Value::None);
                let message = self.shown(&message)?;
                return Err(Fault {
                    cause: Cause::Raised,
                    ..Fault::new(&*message)
                });
            }
            "strftime_now" => {
                let form = texts(given.take(0, "format"), "strftime_now")?;
                let form = form.ok_or_else(|| Fault::new("strftime_now is given no format"))?;
                self.pay(form.len() * 16)?;
                Value::text(date::strftime(&form, self.now))
            }
            "range" => {
                let mut numbers = Vec::new();
                for value in &given.places {
                    numbers.push(value.as_int().ok_or_else(|| unsuited("range", value))?);
                }
                let (start, stop, step) = match numbers[..] {
                    [stop] => (0, stop, 1),
                    [start, stop] => (start, stop, 1),
                    [start, stop, step] if step != 0 => (start, stop, step),
                    _ => {
                        return Err(Fault::new(
                            "range takes one to three numbers, the last of which is not 0",
                        ));
                    }
                };
                let count = (stop.saturating_sub(start)).saturating_add(step - step.signum()) / step;
                let count = usize::try_from(count.max(0)).map_err(|_| Fault::endless())?;
                if count > self.room() / 32 {
                    return Err(Fault::endless());
                }
                return self.list((0..count as i128).map(|at| Value::Int(start + at * step)).collect());
            }
            "dict" => {
                let mut items = match given.take(0, "") {
                    None => Vec::new(),
                    Some(Value::Dict(dict)) => dict.items.clone(),
                    Some(other) => self.pairs(&other)?,
                };
                for (name, value) in given.names.drain(..) {
                    put(&mut items, Value::Text(name), value);
                }
                self.pay(items.len() * 64)?;
                Value::dict(items, None)?
            }
            _ => {
                let mut items = Named::new();
                if let Some(first) = given.take(0, "") {
                    for (key, value) in self.pairs(&first)? {
                        let key = texts(Some(key), "an attribute's name")?;
                        items.extend(key.map(|key| (key, value)));
                    }
                }
                items.append(&mut given.names);
                items.iter().try_for_each(|(_, value)| value.check_kept())?;
                Value::Namespace(Rc::new(RefCell::new(items)))
            }
        };
        given.finish(1)?;
        Ok(value)
    }

    /// The entries of a dictionary, or pairs in a list.
    fn pairs(&mut self, value: &Value) -> Result<Vec<(Value, Value)>, Fault> {
        if let Value::Dict(dict) = value {
            self.pay(dict.items.len() * 64)?;
            return Ok(dict.items.clone());
        }
        let mut pairs = Vec::new();
        for item in self.items(value)? {
            match &self.items(&item)?[..] {
                [key, value] => put(&mut pairs, key.clone(), value.clone()),
                _ => return Err(Fault::new("a dictionary is made of pairs")),
            }
            self.spend(pairs.len() as u64)?;
        }
        Ok(pairs)
    }

    /// Entries as tuples.
    fn tuples(&mut self, pairs: Vec<(Value, Value)>) -> Outcome {
        let pairs = pairs.into_iter().map(|(key, value)| self.tuple(vec![key, value]));
        let pairs = pairs.collect::<Result<_, _>>()?;
        self.list(pairs)
    }

    /// Calls a method.
    pub fn method(&mut self, value: &Value, name: &str, given: Given) -> Outcome {
        match value {
            Value::Text(text) => self.text_method(text, name, given),
            Value::Dict(_) => self.dict_method(value, name, given),
            Value::List(list) => self.list_method(&list.items, value, name, given),
            Value::Loop(state) if name == "cycle" => {
                let count = given.places.len().max(1);
                let chosen = given.places.get(state.index.get() % count);
                chosen.cloned().ok_or_else(|| Fault::new("loop.cycle is given nothing"))
            }
            Value::Loop(state) => {
                let now = self.tuple(given.places)?;
                let before = state.changed.replace(Some(now.clone()));
                let is_same = match &before {
                    Some(before) => self.equal(before, &now)?,
                    None => false,
                };
                Ok(Value::Bool(!is_same))
            }
            other => Err(unsuited(name, other)),
        }
    }

    fn dict_method(&mut self, value: &Value, name: &str, mut given: Given) -> Outcome {
        let pairs = self.pairs(value)?;
        let result = match name {
            "items" => self.tuples(pairs)?,
            "keys" => self.list(pairs.into_iter().map(|(key, _)| key).collect())?,
            "values" => self.list(pairs.into_iter().map(|(_, value)| value).collect())?,
            "copy" => value.clone(),
            "get" => {
                let key = given.take(0, "key").unwrap_or(Value::None);
                let default = given.take(1, "default").unwrap_or(Value::None);
                let mut pairs = pairs.into_iter();
                let found = pairs.find(|(known, _)| super::value::equals(known, &key));
                found.map_or(default, |(_, value)| value)
            }
            _ => return Err(unchangeable(name)),
        };
        given.finish(2)?;
        Ok(result)
    }

    fn list_method(&mut self, items: &[Value], value: &Value, name: &str, mut given: Given) -> Outcome {
        self.spend(value.size())?;
        let sought = given.take(0, "value").unwrap_or(Value::None);
        let is_sought = |item: &&Value| super::value::equals(item, &sought);
        match name {
            "index" => {
                let at = items.iter().position(|item| is_sought(&item));
                let at = at.ok_or_else(|| Fault::new("a list does not have the item whose index is asked for"))?;
                Ok(Value::Int(at as i128))
            }
            "count" => Ok(Value::Int(items.iter().filter(is_sought).count() as i128)),
            "copy" => Ok(value.clone()),
            _ => Err(unchangeable(name)),
        }
    }

    fn text_method(&mut self, text: &Arc<str>, name: &str, mut given: Given) -> Outcome {
        self.spend(1 + text.len() as u64 / 16)?;
        let most = |value: Option<Value>| match value {
            None | Some(Value::None) => Ok(usize::MAX),
            Some(value) => {
                let number = value.as_int().ok_or_else(|| unsuited("a count", &value))?;
                Ok(usize::try_from(number).unwrap_or(usize::MAX))
            }
        };
        let need = |found: Option<Arc<str>>| found.ok_or_else(|| Fault::new(format!("{name}() is given no text")));
        let is_all = |holds: fn(char) -> bool| Value::Bool(!text.is_empty() && text.chars().all(holds));
        let is_cased = |holds: fn(char) -> bool| {
            let mut cased = text
                .chars()
                .filter(|letter| letter.is_uppercase() || letter.is_lowercase())
                .peekable();
            Value::Bool(cased.peek().is_some() && cased.all(holds))
        };
        let result = match name {
            "strip" | "lstrip" | "rstrip" => {
                let letters = texts(given.take(0, "chars"), name)?;
                self.made(stripped(text, letters.as_deref(), name != "rstrip", name != "lstrip"))?
            }
            "split" | "rsplit" => {
                let separator = texts(given.take(0, "sep"), name)?;
                let most = most(given.take(1, "maxsplit"))?;
                let pieces = split(text, separator.as_deref(), most, name == "rsplit")?;
                self.pay(text.len())?;
                self.list(pieces.into_iter().map(Value::text).collect())?
            }
            "splitlines" => {
                let keeps = truth(given.take(0, "keepends"), false);
                self.pay(text.len())?;
                self.list(lines(text, keeps).into_iter().map(Value::text).collect())?
            }
            "join" => {
                let items = given.take(0, "iterable").unwrap_or(Value::None);
                let items = self.items(&items)?;
                if let Some(other) = items.iter().find(|item| item.as_text().is_none()) {
                    return Err(unsuited("join()", other));
                }
                self.joined(&items, text)?
            }
            "startswith" | "endswith" => {
                let sought = given.take(0, "prefix").unwrap_or(Value::None);
                let is_there = |part: &str| match name {
                    "startswith" => text.starts_with(part),
                    _ => text.ends_with(part),
                };
                let is_found = match &sought {
                    Value::Text(part) => is_there(part),
                    Value::List(parts) if parts.is_tuple => {
                        let mut parts = parts.items.iter().filter_map(Value::as_text);
                        parts.any(|part| is_there(part))
                    }
                    other => return Err(unsuited(&format!("{name}()"), other)),
                };
                Value::Bool(is_found)
            }
            "upper" => self.made(text.to_uppercase())?,
            "lower" => self.made(text.to_lowercase())?,
            "capitalize" => self.made(capitalized(text))?,
            "title" => self.made(titled(text, |letter| !letter.is_alphabetic()))?,
            "swapcase" => {
                let swap = |letter: char| match letter.is_uppercase() {
                    true => letter.to_lowercase().to_string(),
                    false => letter.to_uppercase().to_string(),
                };
                self.made(text.chars().map(swap).collect::<String>())?
            }
            "replace" => {
                let (old, new) = (texts(given.take(0, "old"), name)?, texts(given.take(1, "new"), name)?);
                let most = most(given.take(2, "count"))?;
                self.replaced(text, &need(old)?, &need(new)?, most)?
            }
            "find" | "rfind" | "index" => {
                let part = need(texts(given.take(0, "sub"), name)?)?;
                let at = match name {
                    "rfind" => text.rfind(&*part),
                    _ => text.find(&*part),
                };
                let at = at.map(|at| text[..at].chars().count() as i128);
                match (at, name) {
                    (None, "index") => {
                        return Err(Fault::new("a text does not have the part whose index is asked for"));
                    }
                    (at, _) => Value::Int(at.unwrap_or(-1)),
                }
            }
            "count" => {
                let part = need(texts(given.take(0, "sub"), name)?)?;
                Value::Int(text.matches(&*part).count() as i128)
            }
            "format" => return self.braces(text, &given),
            "isdigit" | "isdecimal" | "isnumeric" => is_all(char::is_numeric),
            "isalpha" => is_all(char::is_alphabetic),
            "isalnum" => is_all(char::is_alphanumeric),
            "isspace" => is_all(char::is_whitespace),
            "isupper" => is_cased(char::is_uppercase),
            "islower" => is_cased(char::is_lowercase),
            "ljust" | "rjust" | "center" | "zfill" => {
                let wide = given.take(0, "width").unwrap_or(Value::None);
                let wide = width(&wide, self.room() / 4)?;
                let fill = texts(given.take(1, "fillchar"), name)?;
                let fill = fill.and_then(|fill| fill.chars().next()).unwrap_or(' ');
                let text = match name {
                    "ljust" => padded(text, wide, fill, '<'),
                    "rjust" => padded(text, wide, fill, '>'),
                    "center" => centered(text, wide, fill),
                    _ => padded(text, wide, '0', '='),
                };
                self.made(text)?
            }
            "removeprefix" | "removesuffix" => {
                let part = need(texts(given.take(0, "prefix"), name)?)?;
                let rest = match name {
                    "removeprefix" => text.strip_prefix(&*part),
                    _ => text.strip_suffix(&*part),
                };
                self.made(rest.unwrap_or(text))?
            }
            _ => {
                let part = need(texts(given.take(0, "sep"), name)?)?;
                let parts = match text.split_once(&*part) {
                    Some((before, after)) => [before, &part, after],
                    None => [&**text, "", ""],
                };
                self.pay(text.len())?;
                self.tuple(parts.map(Value::text).into())?
            }
        };
        given.finish(3)?;
        Ok(result)
    }

    fn joined(&mut self, items: &[Value], separator: &str) -> Outcome {
        let text = self.written(|text| {
            items.iter().enumerate().try_for_each(|(index, item)| {
                text.push(if index > 0 { separator } else { "" })?;
                text.shown(item)
            })
        })?;
        Ok(Value::text(text))
    }

    fn replaced(&mut self, text: &str, old: &str, new: &str, most: usize) -> Outcome {
        self.spend(text.len() as u64 / 8)?;
        let found = text.matches(old).count().min(most);
        let bytes = found
            .checked_mul(new.len())
            .and_then(|more| more.checked_add(text.len()));
        self.pay(bytes.ok_or_else(Fault::endless)?)?;
        Ok(Value::text(text.replacen(old, new, most)))
    }

    /// A value's attribute by a path like `function.name`.
    fn path(&mut self, value: &Value, path: &Value) -> Outcome {
        let Some(path) = path.as_text() else {
            return self.item(value, path);
        };
        let mut value = value.clone();
        for part in path.split('.') {
            let key = part.parse().map_or_else(|_| Value::text(part), Value::Int);
            value = self.item(&value, &key)?;
        }
        Ok(value)
    }

    /// Items with what they are ordered by, in order; texts without regard to their case, unless that counts.
    fn sorted(&mut self, items: Vec<(Value, Value)>, counts_case: bool) -> Result<Vec<(Value, Value)>, Fault> {
        let size: u64 = items.iter().map(|(key, _)| key.size()).sum();
        self.spend(size.saturating_mul(u64::from(usize::BITS - items.len().leading_zeros())))?;
        let mut keyed: Vec<_> = items
            .into_iter()
            .map(|(key, item)| (if counts_case { key } else { lowered(&key) }, item))
            .collect();
        let mut wrong = None;
        keyed.sort_by(|left, right| {
            compare(&left.0, &right.0).unwrap_or_else(|fault| {
                wrong.get_or_insert(fault);
                Ordering::Equal
            })
        });
        match wrong {
            Some(fault) => Err(fault),
            None => Ok(keyed),
        }
    }

    /// Items with the attribute of each that is named, or themselves.
    fn keyed(&mut self, items: Vec<Value>, attribute: Option<Value>) -> Result<Vec<(Value, Value)>, Fault> {
        let attribute = attribute.filter(|attribute| !matches!(attribute, Value::None));
        let key = |item: Value| match &attribute {
            Some(path) => Ok((self.path(&item, path)?, item)),
            None => Ok((item.clone(), item)),
        };
        items.into_iter().map(key).collect()
    }

    /// Applies a filter.
    pub fn filter(&mut self, name: &str, value: Value, mut given: Given) -> Outcome {
        self.spend(1)?;
        let result = match name {
            "default" | "d" => {
                let default = given.take(0, "default_value").unwrap_or_else(|| Value::text(""));
                let is_missing = match truth(given.take(1, "boolean"), false) {
                    true => !value.is_true(),
                    false => matches!(value, Value::Undefined(_)),
                };
                if is_missing { default } else { value }
            }
            "tojson" => return self.json(&value, given),
            "string" | "safe" => Value::Text(self.shown(&value)?),
            "length" | "count" => Value::Int(match &value {
                Value::Undefined(_) => 0,
                Value::Text(text) => {
                    self.spend(text.len() as u64 / 16)?;
                    text.chars().count()
                }
                Value::List(list) => list.items.len(),
                Value::Dict(dict) => dict.items.len(),
                other => return Err(unsuited("length", other)),
            } as i128),
            "items" => match &value {
                Value::Undefined(_) => self.list(Vec::new())?,
                Value::Dict(_) => {
                    let pairs = self.pairs(&value)?;
                    self.tuples(pairs)?
                }
                other => return Err(unsuited("items", other)),
            },
            "list" => {
                let items = self.items(&value)?;
                self.list(items)?
            }
            "join" => {
                let separator = texts(given.take(0, "d"), name)?.unwrap_or_default();
                let mut items = self.items(&value)?;
                if let Some(path) = given.take(1, "attribute") {
                    items = self.keyed(items, Some(path))?.into_iter().map(|(key, _)| key).collect();
                }
                self.joined(&items, &separator)?
            }
            "first" | "last" => {
                let mut items = self.items(&value)?;
                let item = if name == "last" {
                    items.pop()
                } else {
                    items.into_iter().next()
                };
                item.unwrap_or_else(Value::undefined)
            }
            "reverse" => match &value {
                Value::Text(text) => self.made(text.chars().rev().collect::<String>())?,
                other => {
                    let mut items = self.items(other)?;
                    items.reverse();
                    self.list(items)?
                }
            },
            "sort" => {
                let is_reversed = truth(given.take(0, "reverse"), false);
                let counts_case = truth(given.take(1, "case_sensitive"), false);
                let items = self.items(&value)?;
                let items = self.keyed(items, given.take(2, "attribute"))?;
                let mut items = self.sorted(items, counts_case)?;
                if is_reversed {
                    // Equals keep their order, as Python's do.
                    items.reverse();
                    items = self.reversed_equals(items);
                }
                self.list(items.into_iter().map(|(_, item)| item).collect())?
            }
            "dictsort" => {
                let counts_case = truth(given.take(0, "case_sensitive"), false);
                let by_value = texts(given.take(1, "by"), name)?.is_some_and(|by| &*by == "value");
                let is_reversed = truth(given.take(2, "reverse"), false);
                let mut keyed = Vec::new();
                for (key, item) in self.pairs(&value)? {
                    let order = if by_value { item.clone() } else { key.clone() };
                    keyed.push((order, self.tuple(vec![key, item])?));
                }
                let mut items = self.sorted(keyed, counts_case)?;
                if is_reversed {
                    items.reverse();
                }
                self.list(items.into_iter().map(|(_, item)| item).collect())?
            }
            "unique" | "min" | "max" => {
                let counts_case = truth(given.take(0, "case_sensitive"), false);
                let items = self.items(&value)?;
                let items = self.keyed(items, given.take(1, "attribute"))?;
                self.chosen(name, items, counts_case)?
            }
            "sum" => {
                let items = self.items(&value)?;
                let items = self.keyed(items, given.take(0, "attribute"))?;
                let mut sum = given.take(1, "start").unwrap_or(Value::Int(0));
                for (item, _) in items {
                    sum = super::run::number(Operator::Add, &sum, &item)?;
                }
                sum
            }
            "map" => return self.mapped(&value, given),
            "select" | "reject" | "selectattr" | "rejectattr" => return self.selected(name, &value, given),
            "attr" => {
                let attribute = given.take(0, "name").unwrap_or(Value::None);
                match attribute.as_text() {
                    // Python's attributes, which the entries of a dictionary are not.
                    Some(_) if matches!(value, Value::Dict(_)) => Value::undefined(),
                    Some(name) => self.attribute(&value, name)?,
                    None => return Err(unsuited("attr", &attribute)),
                }
            }
            "batch" | "slice" => self.batches(name, &value, &mut given)?,
            "int" => {
                let default = given.take(0, "default").unwrap_or(Value::Int(0));
                let base = given.take(1, "base").and_then(|base| base.as_int()).unwrap_or(10);
                int(&value, base).unwrap_or(default)
            }
            "float" => {
                let default = given.take(0, "default").unwrap_or(Value::Float(0.0));
                let number = match &value {
                    Value::Text(text) => text.trim().replace('_', "").parse().ok(),
                    other => other.as_float(),
                };
                number.map_or(default, Value::Float)
            }
            "abs" => match (&value, value.as_int()) {
                (Value::Float(number), _) => Value::Float(number.abs()),
                (_, Some(number)) => Value::Int(number.saturating_abs()),
                _ => return Err(unsuited("abs", &value)),
            },
            "round" => round(&value, &mut given)?,
            _ => return self.text_filter(name, &value, given),
        };
        given.finish(3)?;
        Ok(result)
    }

    /// Puts equals, which a reversal turned, back into their order.
    fn reversed_equals(&self, items: Vec<(Value, Value)>) -> Vec<(Value, Value)> {
        let mut groups: Vec<Vec<(Value, Value)>> = Vec::new();
        for item in items {
            match groups.last_mut() {
                Some(group) if super::value::equals(&group[0].0, &item.0) => group.insert(0, item),
                _ => groups.push(vec![item]),
            }
        }
        groups.into_iter().flatten().collect()
    }

    fn chosen(&mut self, name: &str, items: Vec<(Value, Value)>, counts_case: bool) -> Outcome {
        let mut keys: Vec<Value> = Vec::new();
        let mut kept: Vec<Value> = Vec::new();
        for (key, item) in items {
            let key = if counts_case { key } else { lowered(&key) };
            self.spend(key.size() * (1 + keys.len() as u64))?;
            let is_kept = match (name, keys.first()) {
                ("unique", _) => !keys.iter().any(|known| super::value::equals(known, &key)),
                (_, None) => true,
                ("min", Some(best)) => compare(&key, best)?.is_lt(),
                (_, Some(best)) => compare(&key, best)?.is_gt(),
            };
            if is_kept && name != "unique" {
                keys.clear();
                kept.clear();
            }
            if is_kept {
                keys.push(key);
                kept.push(item);
            }
        }
        match name {
            "unique" => self.list(kept),
            _ => Ok(kept.pop().unwrap_or_else(Value::undefined)),
        }
    }

    fn mapped(&mut self, value: &Value, mut given: Given) -> Outcome {
        let items = self.items(value)?;
        let mut mapped = Vec::with_capacity(items.len());
        if let Some(path) = given.take(usize::MAX, "attribute") {
            let default = given.take(usize::MAX, "default");
            given.finish(0)?;
            for item in items {
                mapped.push(match (self.path(&item, &path)?, &default) {
                    (Value::Undefined(_), Some(default)) => default.clone(),
                    (found, _) => found,
                });
            }
            return self.list(mapped);
        }
        let filter = texts(given.take(0, "filter"), "map")?;
        let filter = filter.ok_or_else(|| Fault::new("map is given neither a filter nor an attribute"))?;
        for item in items {
            mapped.push(self.filter(&filter, item, rest_of(&given, 1))?);
        }
        self.list(mapped)
    }

    fn selected(&mut self, name: &str, value: &Value, mut given: Given) -> Outcome {
        let by_attribute = name.ends_with("attr");
        let wants = name.starts_with("select");
        let path = match by_attribute {
            true => given.take(0, "attribute"),
            false => None,
        };
        let first = usize::from(by_attribute);
        let test = texts(given.take(first, "test"), name)?;
        let mut chosen = Vec::new();
        for item in self.items(value)? {
            let tested = match &path {
                Some(path) => self.path(&item, path)?,
                None => item.clone(),
            };
            let holds = match &test {
                Some(test) => self.test(test, &tested, rest_of(&given, first + 1))?,
                None => tested.is_true(),
            };
            if holds == wants {
                chosen.push(item);
            }
        }
        self.list(chosen)
    }

    fn batches(&mut self, name: &str, value: &Value, given: &mut Given) -> Outcome {
        let items = self.items(value)?;
        let count = given.take(0, "linecount").and_then(|count| count.as_int());
        let count = count
            .and_then(|count| usize::try_from(count).ok())
            .filter(|count| *count > 0);
        let count = count.ok_or_else(|| Fault::new(format!("{name} takes a number above 0")))?;
        let fill = given.take(1, "fill_with").filter(|fill| !matches!(fill, Value::None));
        let mut groups = Vec::new();
        if name == "batch" {
            for group in items.chunks(count) {
                let mut group = group.to_vec();
                if let Some(fill) = &fill {
                    self.pay((count - group.len()).saturating_mul(32))?;
                    group.resize(count, fill.clone());
                }
                groups.push(self.list(group)?);
            }
            return self.list(groups);
        }
        self.pay(count.saturating_mul(64))?;
        let (each, longer) = (items.len() / count, items.len() % count);
        let mut at = 0;
        for index in 0..count {
            let length = each + usize::from(index < longer);
            let mut group = items[at..at + length].to_vec();
            at += length;
            if index >= longer && longer > 0 {
                group.extend(fill.clone());
            }
            groups.push(self.list(group)?);
        }
        self.list(groups)
    }

    /// transformers' `tojson`: `json.dumps(value, ensure_ascii=False, …)`.
    fn json(&mut self, value: &Value, mut given: Given) -> Outcome {
        const MOST_INDENT: i128 = 64;
        // transformers' order of arguments.
        let ensure_ascii = truth(given.take(0, "ensure_ascii"), false);
        let indent = match given.take(1, "indent") {
            None | Some(Value::None) => None,
            Some(Value::Text(text)) if text.len() <= MOST_INDENT as usize => Some(text.to_string()),
            Some(value) => match value.as_int() {
                Some(count) if count <= MOST_INDENT => Some(" ".repeat(count.max(0) as usize)),
                _ => return Err(Fault::new(format!("tojson takes an indent of at most {MOST_INDENT}"))),
            },
        };
        let separators = match given.take(2, "separators") {
            None | Some(Value::None) => {
                let comma = if indent.is_some() { "," } else { ", " };
                [comma.to_string(), ": ".to_string()]
            }
            Some(value) => match &self.items(&value)?[..] {
                [Value::Text(item), Value::Text(key)] => [item.to_string(), key.to_string()],
                _ => return Err(Fault::new("tojson takes two separators")),
            },
        };
        let sort_keys = truth(given.take(3, "sort_keys"), false);
        given.finish(4)?;
        let style = JsonStyle {
            indent,
            separators,
            ensure_ascii,
            sort_keys,
        };
        if let Value::Undefined(name) = value {
            return Err(undefined(name));
        }
        self.spend(value.size().min(1 << 32))?;
        Ok(Value::text(self.written(|text| text.json(value, &style, 0))?))
    }

    /// Filters of texts.
    fn text_filter(&mut self, name: &str, value: &Value, mut given: Given) -> Outcome {
        let text = self.shown(value)?;
        self.spend(text.len() as u64 / 16)?;
        let result = match name {
            "upper" => self.made(text.to_uppercase())?,
            "lower" => self.made(text.to_lowercase())?,
            "capitalize" => self.made(capitalized(&text))?,
            "title" => self.made(titled(&text, |letter| {
                letter.is_whitespace() || "-({[<".contains(letter)
            }))?,
            "trim" => {
                let letters = texts(given.take(0, "chars"), name)?;
                self.made(stripped(&text, letters.as_deref(), true, true))?
            }
            "replace" => {
                let (old, new) = (given.take(0, "old"), given.take(1, "new"));
                let old = self.shown(&old.unwrap_or_else(Value::undefined))?;
                let new = self.shown(&new.unwrap_or_else(Value::undefined))?;
                let most = given.take(2, "count").and_then(|count| count.as_int());
                let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
                self.replaced(&text, &old, &new, most)?
            }
            "indent" => {
                let unit = match given.take(0, "width") {
                    Some(Value::Text(unit)) => unit.to_string(),
                    None => " ".repeat(4),
                    Some(value) => " ".repeat(width(&value, self.room() / 4)?),
                };
                let (first, blank) = (given.take(1, "first"), given.take(2, "blank"));
                let (first, blank) = (truth(first, false), truth(blank, false));
                self.written(|written| {
                    // With a line end behind it, so that a last empty line counts.
                    for (index, line) in lines(&format!("{text}\n"), false).into_iter().enumerate() {
                        written.push(if index > 0 { "\n" } else { "" })?;
                        let is_indented = if index == 0 { first } else { blank || !line.is_empty() };
                        written.push(if is_indented { &unit } else { "" })?;
                        written.push(&line)?;
                    }
                    Ok(())
                })
                .map(Value::text)?
            }
            "center" => {
                let wide = given.take(0, "width").unwrap_or(Value::Int(80));
                let wide = width(&wide, self.room() / 4)?;
                self.made(centered(&text, wide, ' '))?
            }
            "wordcount" => Value::Int(text.split_whitespace().count() as i128),
            "format" => {
                let values = match given.names.is_empty() {
                    true => self.tuple(given.places)?,
                    false => {
                        let items = given.names.into_iter().map(|(name, value)| (Value::Text(name), value));
                        Value::dict(items.collect(), None)?
                    }
                };
                return self.percent(&text, &values);
            }
            "escape" | "e" | "forceescape" => {
                self.pay(text.len() * 5)?;
                let mut escaped = String::with_capacity(text.len());
                for letter in text.chars() {
                    match letter {
                        '&' => escaped.push_str("&amp;"),
                        '<' => escaped.push_str("&lt;"),
                        '>' => escaped.push_str("&gt;"),
                        '\'' => escaped.push_str("&#39;"),
                        '"' => escaped.push_str("&#34;"),
                        other => escaped.push(other),
                    }
                }
                Value::text(escaped)
            }
            other => return Err(Fault::new(format!("has a filter '{other}', which is not supported"))),
        };
        given.finish(3)?;
        Ok(result)
    }

    /// Whether a value passes a test.
    pub fn test(&mut self, name: &str, value: &Value, mut given: Given) -> Result<bool, Fault> {
        self.spend(1)?;
        let mut other = || {
            given
                .take(0, "other")
                .ok_or_else(|| Fault::new(format!("the test '{name}' needs a value")))
        };
        let rest = |value: &Value, by: &Value| super::run::number(Operator::Remainder, value, by);
        let is_cased = |is_upper: bool| {
            let text = value.as_text().ok_or_else(|| unsuited(name, value))?;
            let mut cased = text
                .chars()
                .filter(|letter| letter.is_uppercase() || letter.is_lowercase())
                .peekable();
            Ok(cased.peek().is_some() && cased.all(|letter| letter.is_uppercase() == is_upper))
        };
        Ok(match name {
            "defined" => !matches!(value, Value::Undefined(_)),
            "undefined" => matches!(value, Value::Undefined(_)),
            "none" => matches!(value, Value::None),
            "boolean" => matches!(value, Value::Bool(_)),
            "true" => matches!(value, Value::Bool(true)),
            "false" => matches!(value, Value::Bool(false)),
            "integer" => matches!(value, Value::Int(_)),
            "float" => matches!(value, Value::Float(_)),
            "number" => value.as_float().is_some(),
            "string" => matches!(value, Value::Text(_)),
            "mapping" => matches!(value, Value::Dict(_)),
            "sequence" => matches!(
                value,
                Value::Text(_) | Value::List(_) | Value::Dict(_) | Value::Undefined(_)
            ),
            "iterable" => matches!(
                value,
                Value::Text(_) | Value::List(_) | Value::Dict(_) | Value::Undefined(_) | Value::Loop(_)
            ),
            "callable" => matches!(value, Value::Callable(_)),
            "escaped" => false,
            "odd" => rest(value, &Value::Int(2))?.as_float() == Some(1.0),
            "even" => rest(value, &Value::Int(2))?.as_float() == Some(0.0),
            "divisibleby" => rest(value, &other()?)?.as_float() == Some(0.0),
            "upper" => is_cased(true)?,
            "lower" => is_cased(false)?,
            "eq" | "==" | "equalto" => {
                let other = other()?;
                self.equal(value, &other)?
            }
            "ne" | "!=" => {
                let other = other()?;
                !self.equal(value, &other)?
            }
            "sameas" => match (value, other()?) {
                (Value::None, Value::None) => true,
                (Value::Bool(left), Value::Bool(right)) => *left == right,
                (Value::Bool(_), _) | (_, Value::Bool(_)) => false,
                (left, right) => self.equal(left, &right)?,
            },
            "in" => {
                let other = other()?;
                self.contains(&other, value)?
            }
            "lt" | "lessthan" | "<" => compare(value, &other()?)?.is_lt(),
            "le" | "<=" => compare(value, &other()?)?.is_le(),
            "gt" | "greaterthan" | ">" => compare(value, &other()?)?.is_gt(),
            "ge" | ">=" => compare(value, &other()?)?.is_ge(),
            other => return Err(Fault::new(format!("has a test '{other}', which is not supported"))),
        })
    }
}

/// What is given behind the first `count` places.
fn rest_of(given: &Given, count: usize) -> Given {
    Given {
        places: given.places.iter().skip(count).cloned().collect(),
        names: given.names.clone(),
    }
}

fn put(items: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match items.iter_mut().find(|(known, _)| super::value::equals(known, &key)) {
        Some((_, old)) => *old = value,
        None => items.push((key, value)),
    }
}

fn unchangeable(name: &str) -> Fault {
    Fault::new(format!(
        "calls {name}(), which would change a value; transformers does not allow that either"
    ))
}

fn stripped<'a>(text: &'a str, letters: Option<&str>, at_start: bool, at_end: bool) -> &'a str {
    let is_cut = |letter: char| match letters {
        Some(letters) => letters.contains(letter),
        None => letter.is_whitespace(),
    };
    let text = if at_start {
        text.trim_start_matches(is_cut)
    } else {
        text
    };
    if at_end { text.trim_end_matches(is_cut) } else { text }
}

/// Python's `split` and `rsplit`.
fn split<'a>(text: &'a str, separator: Option<&str>, most: usize, from_end: bool) -> Result<Vec<&'a str>, Fault> {
    let pieces = most.saturating_add(1);
    if let Some(separator) = separator {
        if separator.is_empty() {
            return Err(Fault::new("a text is split at nothing"));
        }
        return Ok(match from_end {
            false => text.splitn(pieces, separator).collect(),
            true => {
                let mut parts: Vec<&str> = text.rsplitn(pieces, separator).collect();
                parts.reverse();
                parts
            }
        });
    }
    let mut parts = Vec::new();
    let mut rest = text;
    loop {
        rest = if from_end { rest.trim_end() } else { rest.trim_start() };
        let is_last = parts.len() == most;
        let cut = match from_end {
            false => rest.find(char::is_whitespace).filter(|_| !is_last),
            true => rest.rfind(char::is_whitespace).filter(|_| !is_last),
        };
        match cut {
            Some(at) if from_end => {
                let after = rest[at..].chars().next().map_or(at, |letter| at + letter.len_utf8());
                parts.push(&rest[after..]);
                rest = &rest[..at];
            }
            Some(at) => {
                parts.push(&rest[..at]);
                rest = &rest[at..];
            }
            None => {
                parts.extend(Some(rest).filter(|rest| !rest.is_empty()));
                break;
            }
        }
    }
    if from_end {
        parts.reverse();
    }
    Ok(parts)
}

/// Python's `splitlines`.
fn lines(text: &str, keeps_ends: bool) -> Vec<String> {
    let is_end = |letter: char| {
        matches!(
            letter,
            '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}'
        )
    };
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        if !is_end(letter) {
            line.push(letter);
            continue;
        }
        let is_pair = letter == '\r' && letters.next_if_eq(&'\n').is_some();
        if keeps_ends {
            line.push(letter);
            line.extend(Some('\n').filter(|_| is_pair));
        }
        lines.push(std::mem::take(&mut line));
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + &letters.as_str().to_lowercase()
}

/// Every word's first letter large and the others small.
fn titled(text: &str, is_between: impl Fn(char) -> bool) -> String {
    let mut titled = String::new();
    let mut begins = true;
    for letter in text.chars() {
        match begins {
            true => titled.extend(letter.to_uppercase()),
            false => titled.extend(letter.to_lowercase()),
        }
        begins = is_between(letter);
    }
    titled
}

/// jinja2's `int`.
fn int(value: &Value, base: i128) -> Option<Value> {
    match value {
        Value::Text(text) => {
            let digits = text.trim().replace('_', "");
            let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base))?;
            let whole = i128::from_str_radix(&digits, base).ok();
            // As jinja2 does, a text of a float is cut.
            let cut = || {
                digits
                    .parse()
                    .ok()
                    .filter(|number: &f64| number.is_finite() && number.abs() < 1e38)
            };
            whole
                .or_else(|| cut().map(|number| number.trunc() as i128))
                .map(Value::Int)
        }
        Value::Float(number) => (number.is_finite() && number.abs() < 1e38).then(|| Value::Int(number.trunc() as i128)),
        other => other.as_int().map(Value::Int),
    }
}

/// jinja2's `round`.
fn round(value: &Value, given: &mut Given) -> Outcome {
    let number = value.as_float().ok_or_else(|| unsuited("round", value))?;
    let places = given
        .take(0, "precision")
        .and_then(|places| places.as_int())
        .unwrap_or(0);
    let places = i32::try_from(places)
        .ok()
        .filter(|places| places.abs() <= 300)
        .ok_or_else(Fault::endless)?;
    let method = texts(given.take(1, "method"), "round")?;
    if let (None, 0.., Value::Int(_)) = (&method, places, value) {
        return Ok(value.clone());
    }
    let scale = 10f64.powi(places);
    Ok(Value::Float(match method.as_deref() {
        Some("ceil") => (number * scale).ceil() / scale,
        Some("floor") => (number * scale).floor() / scale,
        None | Some("common") => match usize::try_from(places) {
            // Rust writes the nearest decimal of the exact value, and of two that are as near the even one.
            Ok(places) => format!("{number:.places$}").parse().unwrap_or(number),
            Err(_) => (number * scale).round_ties_even() / scale,
        },
        Some(other) => return Err(Fault::new(format!("round has no method '{other}'"))),
    }))
}
