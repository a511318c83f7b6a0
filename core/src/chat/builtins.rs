//! What templates find in place besides minijinja's own: transformers' functions, Python's texts, and filters and methods that
//! take no more memory than there is fuel for.

use super::MARKS;
use super::date::strftime;
use super::source::{CONCATENATE, GENERATION, KEEP, KEEP_IN, PERCENT, ROUND};
use super::texts::{Bounded, MOST_LEVELS, Style, argument, entries, wrong};
use super::watch::{Turn, WATCH, Watch};
use lorakeet_i18n::messages::text as msg;
use minijinja::formatting::{FormatStyle, format};
use minijinja::value::{Kwargs, Rest, Tuple, ValueKind, ValueOrKwargs, from_args};
use minijinja::{Environment, Error, ErrorKind, State, Value};
use minijinja_contrib::pycompat;
use std::sync::Arc;

/// What `strftime_now` formats, in seconds since 1970: 26 July 2024, the default date of Llama's templates.
const NOW: i64 = 1_721_952_000;
/// Bytes that one fuel pays for, as minijinja counts.
const FUEL_BYTES: u64 = 64;

type Outcome = Result<Value, Error>;

pub(super) fn register(environment: &mut Environment) {
    environment.set_unknown_method_callback(method);
    environment.remove_global("debug");
    environment.set_formatter(|out, state, value| {
        let written = match value.as_str() {
            Some(text) => out.write_str(text),
            None => out.write_str(&text_of(state, value)?),
        };
        written.map_err(Error::from)
    });
    environment.add_function("raise_exception", raise_exception);
    environment.add_function(GENERATION, mark);
    environment.add_function(ROUND, note_round);
    environment.add_function("strftime_now", |form: &str| strftime(form, NOW));
    // minijinja's own, with arguments as Python writes them.
    environment.add_filter("lorakeet_printf", minijinja::filters::format);
    environment.add_filter(
        "format",
        |state: &mut State, form: Value, values: Rest<ValueOrKwargs>| printf(state, form, &values_of(values)),
    );
    environment.add_filter(PERCENT, percent);
    environment.add_filter(CONCATENATE, |state: &State, first: &Value, others: Rest<Value>| {
        written(state, |text| {
            text.shown(first)?;
            others.iter().try_for_each(|value| text.shown(value))
        })
    });
    environment.add_filter(KEEP, |state: &State, value: Value| keep(state, value, false));
    environment.add_filter(KEEP_IN, |state: &State, value: Value| keep(state, value, true));
    environment.add_filter(
        "tojson",
        |state: &State, value: &Value, places: Rest<Value>, names: Kwargs| {
            let style = Style::json(&places, &names)?;
            written(state, |text| text.value(value, &style, 0))
        },
    );
    for name in ["string", "safe"] {
        environment.add_filter(name, |state: &State, value: &Value| match value.as_str() {
            Some(_) => Ok(value.clone()),
            None => text_of(state, value).map(Value::from),
        });
    }
    environment.add_filter("pprint", |state: &State, value: &Value| {
        written(state, |text| text.value(value, &Style::default(), 0))
    });
    environment.add_filter("join", |state: &State, items: &Value, between: Option<&Value>| {
        let between = between.map_or(Ok(String::new()), |between| text_of(state, between))?;
        joined(state, items, &between, false)
    });
    environment.add_filter("indent", indent);
    // What can hold one value many times is counted as a whole.
    environment.add_filter("lorakeet_map", minijinja::filters::map);
    environment.add_filter("lorakeet_batch", minijinja::filters::batch);
    environment.add_filter("lorakeet_slice", minijinja::filters::slice);
    environment.add_filter("lorakeet_zip", minijinja::filters::zip);
    for name in ["map", "batch", "slice", "zip"] {
        environment.add_filter(name, move |state: &mut State, given: Rest<ValueOrKwargs>| {
            let made = state.apply_filter(&format!("lorakeet_{name}"), &values_of(given))?;
            keep(state, made, false)
        });
    }
    environment.add_test("callable", |value: &Value| value.kind() == ValueKind::Plain);
}

/// The bytes that there is fuel for.
fn room(state: &State) -> usize {
    let fuel = state.fuel_levels().map_or(0, |(_, remaining)| remaining);
    usize::try_from(fuel.saturating_mul(FUEL_BYTES)).unwrap_or(usize::MAX)
}

/// Refuses what there is no room for.
fn afford(state: &State, bytes: u64) -> Result<(), Error> {
    match usize::try_from(bytes).is_ok_and(|bytes| bytes <= room(state)) {
        true => state.consume_fuel(bytes / FUEL_BYTES),
        false => Err(ErrorKind::OutOfFuel.into()),
    }
}

/// A text that is written with what room there is.
fn written(state: &State, write: impl FnOnce(&mut Bounded) -> Result<(), Error>) -> Outcome {
    let mut bounded = Bounded::new(room(state));
    write(&mut bounded)?;
    Ok(Value::from(bounded.text))
}

/// Python's `str`.
fn text_of(state: &State, value: &Value) -> Result<String, Error> {
    let mut bounded = Bounded::new(room(state));
    bounded.shown(value)?;
    Ok(bounded.text)
}

fn values_of(given: Rest<ValueOrKwargs>) -> Vec<Value> {
    given.0.into_iter().map(ValueOrKwargs::into_value).collect()
}

/// jinja2's `indent(width=4, first=False, blank=False)`.
fn indent(state: &State, text: &str, places: Rest<Value>, names: Kwargs) -> Outcome {
    let argument = |place, name| argument(&places, &names, place, name);
    let unit = match argument(0, "width")? {
        None => " ".repeat(4),
        Some(width) => match (width.as_str(), width.as_usize()) {
            (Some(unit), _) => unit.to_string(),
            (_, Some(count)) if count <= room(state) => " ".repeat(count),
            _ => return Err(ErrorKind::OutOfFuel.into()),
        },
    };
    let is_true = |value: Option<Value>| value.is_some_and(|value| value.is_true());
    let (first, blank) = (is_true(argument(1, "first")?), is_true(argument(2, "blank")?));
    names.assert_all_used()?;
    written(state, |written| {
        // With a line end behind it, so that a last empty line counts.
        for (index, line) in format!("{text}\n").lines().enumerate() {
            written.push(if index > 0 { "\n" } else { "" })?;
            let is_indented = if index == 0 { first } else { blank || !line.is_empty() };
            written.push(if is_indented { &unit } else { "" })?;
            written.push(line)?;
        }
        Ok(())
    })
}

fn raise_exception(state: &State, message: &Value) -> Outcome {
    Err(Error::new(ErrorKind::InvalidOperation, text_of(state, message)?))
}

/// The body of a `{% generation %}` block between marks.
fn mark(state: &mut State, names: Kwargs) -> Outcome {
    let body: Value = names.get("caller")?;
    let body = body.call(state, &[])?;
    let body = body.as_str().unwrap_or_default();
    written(state, |text| {
        let marks = MARKS.map(String::from);
        [&marks[0], body, &marks[1]].iter().try_for_each(|part| text.push(part))
    })
}

fn watch(state: &State) -> Result<Arc<Watch>, Error> {
    let watch = state.lookup(WATCH).and_then(|watch| watch.downcast_object());
    watch.ok_or_else(|| wrong(msg::TakesName { name: WATCH }))
}

fn note_round(state: &State, number: usize, value: Option<&Value>) -> Result<(), Error> {
    watch(state)?.note(number, value);
    Ok(())
}

/// A value for a name: whole, neither deep nor endless, so that it can be compared and dropped. Namespaces may have names, but
/// not be in something, not even themselves.
fn keep(state: &State, value: Value, is_inside: bool) -> Outcome {
    let most = watch(state)?.most_values;
    let mut left = most;
    let is_whole = count(&value, &mut left, usize::from(is_inside))?;
    state.consume_fuel((most - left) as u64 / 16)?;
    if is_whole { Ok(value) } else { made(&value) }
}

/// Counts a value and those in it. Whether it is whole: minijinja makes some lists only when they are asked for, out of others
/// that they hold.
fn count(value: &Value, left: &mut usize, level: usize) -> Result<bool, Error> {
    *left = left.checked_sub(1).ok_or(ErrorKind::OutOfFuel)?;
    let Some(object) = value.as_object() else {
        return Ok(true);
    };
    if level > MOST_LEVELS {
        return Err(wrong(msg::EndlessValue));
    }
    if level > 0 && object.type_name().ends_with("::Namespace") {
        return Err(wrong(msg::NestedNamespace));
    }
    let mut is_whole = value.kind() != ValueKind::Iterable;
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => {
            for item in value.try_iter()?.checked() {
                is_whole &= count(&item?, left, level + 1)?;
            }
        }
        ValueKind::Map => {
            for (key, item) in entries(value) {
                is_whole &= count(&key, left, level + 1)? & count(&item, left, level + 1)?;
            }
        }
        _ => {}
    }
    Ok(is_whole)
}

/// A value with all that is in it made.
fn made(value: &Value) -> Outcome {
    Ok(match value.kind() {
        // Messages have nothing else in them, and are to be known again.
        _ if value.downcast_object_ref::<Turn>().is_some() => value.clone(),
        ValueKind::Seq | ValueKind::Iterable => {
            let items = value.try_iter()?.checked().map(|item| made(&item?));
            let items = items.collect::<Result<Vec<_>, _>>()?;
            if value.is_tuple() {
                Tuple::from(items).into()
            } else {
                items.into()
            }
        }
        ValueKind::Map => {
            let items = entries(value).map(|(key, item)| Ok((key, made(&item)?)));
            Value::from_pairs(items.collect::<Result<Vec<_>, Error>>()?)
        }
        _ => value.clone(),
    })
}

/// Python's `%`.
fn percent(state: &mut State, left: Value, right: Value) -> Outcome {
    if left.as_str().is_some() {
        let values = match right.downcast_object_ref::<Tuple>() {
            Some(tuple) => tuple.to_vec(),
            None => vec![right],
        };
        return printf(state, left, &values);
    }
    let remainder = state.env().compile_expression("left % right")?;
    remainder.eval(Value::from_pairs([("left", left), ("right", right)]))
}

/// What is to be formatted, with Python's texts of all but texts and numbers; refused where the result may be too long. `widest`
/// is what the form fills a value up to.
fn format_values(state: &State, form: &str, values: &[Value], widest: usize) -> Result<Vec<Value>, Error> {
    let mut longest = widest;
    let mut given = Vec::with_capacity(values.len());
    for value in values {
        let text = text_of(state, value)?;
        longest = longest.saturating_add(text.len());
        let is_named = value.kind() == ValueKind::Map && (value.is_kwargs() || form.contains("%("));
        let is_plain = matches!(value.kind(), ValueKind::Number | ValueKind::String);
        given.push(if is_named || is_plain {
            value.clone()
        } else {
            text.into()
        });
    }
    let places = form.matches(['%', '{']).count();
    match places.saturating_mul(longest).saturating_add(form.len()) <= room(state) {
        true => Ok(given),
        false => Err(ErrorKind::OutOfFuel.into()),
    }
}

/// The largest number in the specifications of `str.format`'s fields.
fn widest(form: &str) -> usize {
    let form = form.replace("{{", "");
    let fields = form
        .split('{')
        .skip(1)
        .filter_map(|field| field.split('}').next()?.split_once(':'));
    let numbers = fields.flat_map(|(_, field)| field.split(|letter: char| !letter.is_ascii_digit()));
    let widths = numbers
        .filter(|digits| !digits.is_empty())
        .map(|digits| digits.parse().unwrap_or(usize::MAX));
    widths.max().unwrap_or(0)
}

/// Python's `form % values`, by minijinja's filter, which has fuel for widths.
fn printf(state: &mut State, form: Value, values: &[Value]) -> Outcome {
    let mut given = format_values(state, form.as_str().unwrap_or_default(), values, 0)?;
    given.insert(0, form);
    state.apply_filter("lorakeet_printf", &given)
}

fn joined(state: &State, items: &Value, between: &str, takes_texts: bool) -> Outcome {
    let items = items.try_iter()?.checked();
    written(state, |text| {
        for (index, item) in items.enumerate() {
            let item = item?;
            if takes_texts && item.as_str().is_none() {
                return Err(wrong(msg::JoinsNoText { kind: item.kind() }));
            }
            text.push(if index > 0 { between } else { "" })?;
            text.shown(&item)?;
        }
        Ok(())
    })
}

/// Python's methods: those that can take much memory, and those that minijinja's crate has not.
fn method(state: &mut State, value: &Value, name: &str, arguments: &[Value]) -> Outcome {
    let Some(text) = value.as_str() else {
        return pycompat::unknown_method_callback(state, value, name, arguments);
    };
    // A list has three words for an item, and grows by doubling.
    const ITEM_BYTES: u64 = 48;
    let part = || Ok::<_, Error>(from_args::<(&str,)>(arguments)?.0);
    match name {
        "join" => joined(state, from_args::<(&Value,)>(arguments)?.0, text, true),
        "format" => {
            let values = format_values(state, text, arguments, widest(text))?;
            format(FormatStyle::StrFormat, text, &values).map(Value::from)
        }
        "split" | "rsplit" | "splitlines" => {
            let separator = arguments.first().and_then(|first| first.as_str());
            let pieces = match separator {
                Some(separator) if name != "splitlines" => text.matches(separator).count(),
                _ => text.matches(char::is_whitespace).count(),
            };
            afford(state, (pieces as u64 + 1).saturating_mul(ITEM_BYTES))?;
            match (name, separator, arguments.get(1).and_then(Value::as_usize)) {
                (_, Some(""), _) => Err(wrong(msg::SplitsAtNothing)),
                ("rsplit", Some(separator), Some(most)) => {
                    let mut pieces: Vec<Value> = text
                        .rsplitn(most.saturating_add(1), separator)
                        .map(Value::from)
                        .collect();
                    pieces.reverse();
                    Ok(pieces.into())
                }
                ("rsplit", ..) => pycompat::unknown_method_callback(state, value, "split", arguments),
                _ => pycompat::unknown_method_callback(state, value, name, arguments),
            }
        }
        "removeprefix" => Ok(text.strip_prefix(part()?).unwrap_or(text).into()),
        "removesuffix" => Ok(text.strip_suffix(part()?).unwrap_or(text).into()),
        _ => pycompat::unknown_method_callback(state, value, name, arguments),
    }
}
