//! A lesson out of JSON values. Each error has the path to its value: `train.pictures[0].kind`.
//!
//! Read by hand and not by serde's derived readers: those would take a fifth of the bytes of the lab's program.

use super::{
    BreakIt, Choice, Compare, Condition, Estimate, Explain, FORMAT, Lesson, LessonRun, ListedLesson, PartPicture,
    PartPictureKind, Predict, Question, RunValue, Text, Train, other_format,
};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::lesson as msg;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A lesson; of another version only that is said.
pub(super) fn lesson(value: &Value) -> Result<Lesson> {
    if let Some(got) = value["format"].as_u64().filter(|got| *got != u64::from(FORMAT)) {
        return Err(other_format(got as u32));
    }
    let names = [
        "$schema", "format", "id", "minutes", "title", "idea", "question", "runs", "predict", "train", "compare",
        "explain", "break_it", "teacher",
    ];
    let root = Place::root(value);
    let of = root.fields(&names)?;
    Ok(Lesson {
        schema: of.optional("$schema", string)?,
        format: of.get("format", whole)? as u32,
        id: of.get("id", string)?,
        minutes: of.get("minutes", whole)? as u32,
        title: of.get("title", text)?,
        idea: of.get("idea", text)?,
        question: of.get("question", question)?,
        runs: of.get("runs", |place| place.map(run))?,
        predict: of.get("predict", predict)?,
        train: of.get("train", train)?,
        compare: of.get("compare", compare)?,
        explain: of.get("explain", explain)?,
        break_it: of.get("break_it", break_it)?,
        teacher: of.get("teacher", string)?,
    })
}

/// The list of lessons.
pub(super) fn listed(value: &Value) -> Result<Vec<ListedLesson>> {
    Place::root(value).list(|place| {
        let of = place.fields(&["id", "title", "minutes"])?;
        Ok(ListedLesson {
            id: of.get("id", string)?,
            title: of.get("title", text)?,
            minutes: of.get("minutes", whole)? as u32,
        })
    })
}

fn text(place: &Place) -> Result<Text> {
    let of = place.fields(&["en", "zh"])?;
    Ok(Text {
        en: of.get("en", string)?,
        zh: of.get("zh", string)?,
    })
}

fn question(place: &Place) -> Result<Question> {
    let of = place.fields(&["text", "choices", "answer", "why"])?;
    Ok(Question {
        text: of.get("text", text)?,
        choices: of.get("choices", |place| place.list(text))?,
        answer: of.get("answer", whole)? as usize,
        why: of.get("why", text)?,
    })
}

fn run(place: &Place) -> Result<LessonRun> {
    let names = ["label", "model", "data", "validation", "settings", "prompt", "watch"];
    let of = place.fields(&names)?;
    Ok(LessonRun {
        label: of.get("label", text)?,
        model: of.get("model", string)?,
        data: of.get("data", string)?,
        validation: of.optional("validation", string)?,
        settings: of
            .given("settings", |place| place.map(|place| Ok(place.value.clone())))?
            .unwrap_or_default(),
        prompt: of.optional("prompt", string)?,
        watch: of.list("watch", |place| Ok(place.value.clone()))?,
    })
}

fn predict(place: &Place) -> Result<Predict> {
    let of = place.fields(&["text", "choices", "number"])?;
    Ok(Predict {
        text: of.get("text", text)?,
        choices: of.list("choices", choice)?,
        number: of.optional("number", estimate)?,
    })
}

fn choice(place: &Place) -> Result<Choice> {
    let of = place.fields(&["text", "when"])?;
    Ok(Choice {
        text: of.get("text", text)?,
        when: of.get("when", |place| place.list(|place| place.parsed(Condition::parse)))?,
    })
}

fn estimate(place: &Place) -> Result<Estimate> {
    let of = place.fields(&["of", "from", "to", "step", "unit"])?;
    Ok(Estimate {
        of: of.get("of", run_value)?,
        from: of.get("from", number)?,
        to: of.get("to", number)?,
        step: of.get("step", number)?,
        unit: of.given("unit", string)?.unwrap_or_default(),
    })
}

fn train(place: &Place) -> Result<Train> {
    let of = place.fields(&["text", "runs", "controls", "pictures"])?;
    Ok(Train {
        text: of.get("text", text)?,
        runs: of.get("runs", |place| place.list(string))?,
        controls: of.list("controls", string)?,
        pictures: of.list("pictures", picture)?,
    })
}

fn compare(place: &Place) -> Result<Compare> {
    let of = place.fields(&["text", "show"])?;
    Ok(Compare {
        text: of.get("text", text)?,
        show: of.get("show", |place| place.list(run_value))?,
    })
}

fn explain(place: &Place) -> Result<Explain> {
    let of = place.fields(&["text", "pictures"])?;
    Ok(Explain {
        text: of.get("text", text)?,
        pictures: of.list("pictures", picture)?,
    })
}

fn break_it(place: &Place) -> Result<BreakIt> {
    let of = place.fields(&["text", "runs", "controls", "show"])?;
    Ok(BreakIt {
        text: of.get("text", text)?,
        runs: of.get("runs", |place| place.list(string))?,
        controls: of.list("controls", string)?,
        show: of.list("show", run_value)?,
    })
}

fn picture(place: &Place) -> Result<PartPicture> {
    let of = place.fields(&["kind", "run"])?;
    Ok(PartPicture {
        kind: of.get("kind", |place| {
            let name = string(place)?;
            let kind = PartPictureKind::all().find(|kind| kind.name() == name);
            kind.ok_or_else(|| {
                let names: Vec<&str> = PartPictureKind::all().map(PartPictureKind::name).collect();
                let names = names.join("`, `");
                place.refused(&format!("unknown variant `{name}`, expected one of `{names}`"))
            })
        })?,
        run: of.optional("run", string)?,
    })
}

fn run_value(place: &Place) -> Result<RunValue> {
    place.parsed(RunValue::parse)
}

fn string(place: &Place) -> Result<String> {
    let text = place.value.as_str().map(str::to_owned);
    text.ok_or_else(|| place.wrong_type("a string"))
}

/// A whole number from 0 that fits into 32 bits.
fn whole(place: &Place) -> Result<u64> {
    let number = place.value.as_u64().filter(|number| *number <= u64::from(u32::MAX));
    number.ok_or_else(|| place.wrong_type("a whole number"))
}

fn number(place: &Place) -> Result<f64> {
    place.value.as_f64().ok_or_else(|| place.wrong_type("a number"))
}

/// A value and the path to it.
struct Place<'a> {
    value: &'a Value,
    path: String,
}

impl<'a> Place<'a> {
    fn root(value: &'a Value) -> Self {
        let path = String::new();
        Self { value, path }
    }

    fn refused(&self, what: &str) -> Error {
        let error = Error::config(msg::NotUnderstood {
            error: Message::verbatim(what),
        });
        match self.path.is_empty() {
            true => error,
            false => error.field(&self.path),
        }
    }

    fn wrong_type(&self, expected: &str) -> Error {
        let got = match self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => format!("boolean `{value}`"),
            Value::Number(number) if number.is_f64() => {
                format!("floating point `{}`", number.as_f64().unwrap_or(f64::NAN))
            }
            Value::Number(number) => format!("integer `{}`", number.as_i64().unwrap_or(i64::MAX)),
            Value::String(text) => format!("string \"{text}\""),
            Value::Array(_) => "list".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        self.refused(&format!("invalid type: {got}, expected {expected}"))
    }

    /// A text that says something in a form of its own.
    fn parsed<T>(&self, parse: impl FnOnce(&str) -> Result<T>) -> Result<T> {
        parse(&string(self)?).map_err(|error| error.field(&self.path))
    }

    fn list<T>(&self, read: impl Fn(&Place) -> Result<T>) -> Result<Vec<T>> {
        let items = self.value.as_array().ok_or_else(|| self.wrong_type("a list"))?;
        let place = |(index, value)| Place {
            value,
            path: format!("{}[{index}]", self.path),
        };
        items.iter().enumerate().map(place).map(|place| read(&place)).collect()
    }

    fn object(&self) -> Result<&'a Map<String, Value>> {
        self.value.as_object().ok_or_else(|| self.wrong_type("an object"))
    }

    fn field(&self, name: &str, value: &'a Value) -> Place<'a> {
        let path = match self.path.is_empty() {
            true => name.to_owned(),
            false => format!("{}.{name}", self.path),
        };
        Place { value, path }
    }

    fn map<T>(&self, read: impl Fn(&Place) -> Result<T>) -> Result<BTreeMap<String, T>> {
        let mut map = BTreeMap::new();
        for (name, value) in self.object()? {
            map.insert(name.clone(), read(&self.field(name, value))?);
        }
        Ok(map)
    }

    /// The fields of an object that has no others than these.
    fn fields(&self, names: &[&str]) -> Result<Fields<'a, '_>> {
        let object = self.object()?;
        for (name, value) in object {
            if !names.contains(&name.as_str()) {
                let names = names.join("`, `");
                let what = format!("unknown field `{name}`, expected one of `{names}`");
                return Err(self.field(name, value).refused(&what));
            }
        }
        Ok(Fields { object, of: self })
    }
}

/// The fields of an object.
struct Fields<'a, 'b> {
    object: &'a Map<String, Value>,
    of: &'b Place<'a>,
}

impl Fields<'_, '_> {
    /// One that has to be there.
    fn get<T>(&self, name: &str, read: impl Fn(&Place) -> Result<T>) -> Result<T> {
        let missing = || self.of.refused(&format!("missing field `{name}`"));
        self.given(name, read)?.ok_or_else(missing)
    }

    /// One that may be left out.
    fn given<T>(&self, name: &str, read: impl Fn(&Place) -> Result<T>) -> Result<Option<T>> {
        let place = self.object.get(name).map(|value| self.of.field(name, value));
        place.map(|place| read(&place)).transpose()
    }

    /// One that may be left out or null.
    fn optional<T>(&self, name: &str, read: impl Fn(&Place) -> Result<T>) -> Result<Option<T>> {
        match self.object.get(name) {
            Some(Value::Null) => Ok(None),
            _ => self.given(name, read),
        }
    }

    /// A list, which is empty where it is left out.
    fn list<T>(&self, name: &str, read: impl Fn(&Place) -> Result<T>) -> Result<Vec<T>> {
        let list = self.given(name, |place| place.list(&read))?;
        Ok(list.unwrap_or_default())
    }
}
