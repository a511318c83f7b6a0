//! What the lab shows, as HTML text: a head with the parts of the lesson, the part itself, and the way on.
//!
//! Each region is a text; `play.rs` puts it into the document where it has changed. An element with `data-do` is a button or a
//! field: a press or a change hands that word and the element's `data-of` or value to `play/press.rs`. Written as text
//! the lab takes a fifth of the bytes that components of the page's framework would take, and can be tested without a browser.

mod fields;
mod pictures;
mod slider;
#[cfg(test)]
mod tests;

use crate::answers::Prediction;
use crate::format;
use crate::model::{Device, Model, PARTS, Phase};
use crate::options;
use crate::pictures::{escaped, numbers};
use fields::fields;
use lorakeet_core::lesson::{Lesson, RunValue, Text};
use std::fmt::Write;

/// The regions in the order in which they stand; each has an element of its own.
pub const REGIONS: [&str; 10] = [
    "head", "problem", "part", "panel", "fields", "pictures", "values", "notes", "foot", "live",
];

/// The lab's theme, for its element.
pub fn theme(model: &Model) -> String {
    model.options.text(options::THEME).unwrap_or_else(|| "auto".into())
}

/// A region's HTML.
pub fn region(name: &str, model: &Model) -> String {
    let lesson = model.lesson.as_deref();
    match (name, lesson) {
        ("problem", _) => problem(model),
        ("live", _) => escaped(&model.live),
        ("part", None) => lessons(model),
        (_, None) => String::new(),
        ("head", Some(lesson)) => head(model, lesson),
        ("part", Some(lesson)) => part(model, lesson),
        ("panel", Some(_)) => panel(model),
        ("fields", Some(lesson)) => fields(model, lesson),
        ("pictures", Some(lesson)) => pictures::shown(model, lesson),
        ("values", Some(lesson)) => values(model, lesson),
        ("notes", Some(_)) => notes(model),
        ("foot", Some(_)) => foot(model),
        _ => String::new(),
    }
}

/// The level of the lab's own heading: the first in a document of its own, the second inside another's page.
fn level(model: &Model) -> u8 {
    if model.options.is_set(options::FRAMED) { 1 } else { 2 }
}

/// A button: what it does, of what, its label.
fn button(action: &str, of: &str, label: &str, class: &str, is_open: bool) -> String {
    let disabled = if is_open { "" } else { " disabled" };
    let (of, label) = (escaped(of), escaped(label));
    format!(
        "<button type=\"button\" class=\"{class}\" data-do=\"{action}\" data-of=\"{of}\"{disabled}>{label}</button>"
    )
}

/// A remark in small letters.
fn hint(text: &str) -> String {
    format!("<p class=\"hint\">{}</p>", escaped(text))
}

fn head(model: &Model, lesson: &Lesson) -> String {
    let words = model.words();
    let mut steps = String::new();
    for (place, name) in words.parts.iter().enumerate() {
        let current = if place == model.part {
            " aria-current=\"step\""
        } else {
            ""
        };
        // Parts that were reached can be shown again.
        let closed = if place > model.part { " disabled" } else { "" };
        let _ = write!(
            steps,
            "<li><button type=\"button\" class=\"part\" data-do=\"show\" data-of=\"{place}\"{current}{closed}>\
             <span>{}</span><span class=\"part-name\">{name}</span></button></li>",
            place + 1
        );
    }
    let (title, label) = (escaped(lesson.title.get(model.language)), words.parts_label);
    let here = (words.part_of)(model.part + 1, PARTS);
    let name = words.parts[model.part];
    let (level, below) = (level(model), level(model) + 1);
    format!(
        "<h{level} class=\"lab-title\">{title}</h{level}><nav aria-label=\"{label}\"><ol class=\"parts\">{steps}</ol></nav>\
         <h{below} class=\"part-here\" tabindex=\"-1\" data-focus=\"part\">{here} · {name}</h{below}>"
    )
}

fn foot(model: &Model) -> String {
    let words = model.words();
    let blocked = !model.can_go_on();
    let hint = match blocked && model.part < 2 {
        true => format!("<span class=\"hint\">{}</span>", words.answer_first),
        false => String::new(),
    };
    let (back, next) = (model.part.saturating_sub(1).to_string(), (model.part + 1).to_string());
    let on = match model.part + 1 < PARTS {
        true => button("show", &next, words.next, "primary", !blocked),
        false => String::new(),
    };
    format!("{}{on}{hint}", button("show", &back, words.back, "", model.part > 0))
}

fn problem(model: &Model) -> String {
    let words = model.words();
    let mut html = String::new();
    for (key, value) in &model.options.unusable {
        let _ = write!(
            html,
            "<p class=\"notice\">{}</p>",
            escaped(&(words.unusable)(key, value))
        );
    }
    // Where no lesson has a title, the first of these is the heading.
    let has_heading = model.lesson.is_some() || !model.lessons.is_empty();
    let title = |text: &str, is_heading: bool| {
        let tag = match is_heading {
            true => format!("h{}", level(model)),
            false => "p".to_owned(),
        };
        format!("<{tag} class=\"notice-title\">{text}</{tag}>")
    };
    if let Some((address, origin)) = &model.foreign {
        let asks = title(&escaped(&(words.foreign_file)(origin)), !has_heading);
        let fetch = button("fetch", address, words.fetch_it, "", true);
        let _ = write!(html, "<div class=\"notice\">{asks}<p>{fetch}</p></div>");
    }
    if let Some(problem) = &model.problem {
        let restart = match problem.restarts {
            true => format!("<p>{}</p>", button("start", "", words.restart, "", true)),
            false => String::new(),
        };
        let error = title(words.error, !has_heading && model.foreign.is_none());
        let _ = write!(
            html,
            "<div class=\"notice notice-error\" role=\"alert\">{error}<p class=\"notice-what\">{}</p>{restart}</div>",
            escaped(&problem.text),
        );
    }
    html
}

fn lessons(model: &Model) -> String {
    let words = model.words();
    if model.lessons.is_empty() {
        return String::new();
    }
    let mut items = String::new();
    for lesson in &model.lessons {
        let (title, minutes) = (
            escaped(lesson.title.get(model.language)),
            (words.minutes)(lesson.minutes),
        );
        let _ = write!(
            items,
            "<li><button type=\"button\" class=\"lesson\" data-do=\"choose\" data-of=\"{}\"><b>{title}</b> \
             <span class=\"hint\">{minutes}</span></button></li>",
            escaped(&lesson.id)
        );
    }
    let level = level(model);
    format!(
        "<h{level} class=\"lab-title\">{}</h{level}><ol class=\"lessons\">{items}</ol>",
        words.lessons
    )
}

fn part(model: &Model, lesson: &Lesson) -> String {
    match model.part {
        0 => {
            let idea = escaped(lesson.idea.get(model.language));
            format!(
                "<p class=\"idea\">{idea}</p>{}",
                question(model, lesson, "before", model.answers.before)
            )
        }
        1 => predict(model, lesson),
        2 => paragraphs(model, &lesson.train.text),
        3 => compare(model, lesson),
        4 => explain(model, lesson),
        5 => paragraphs(model, &lesson.break_it.text),
        _ => question_again(model, lesson),
    }
}

/// A text of a lesson: paragraphs, with `code` between backticks.
fn paragraphs(model: &Model, text: &Text) -> String {
    let mut html = String::from("<div class=\"lesson-text\">");
    for paragraph in text.paragraphs(model.language) {
        html += "<p>";
        for (place, piece) in paragraph.split('`').enumerate() {
            let safe = escaped(piece);
            let _ = match place % 2 {
                0 => write!(html, "{safe}"),
                _ => write!(html, "<code>{safe}</code>"),
            };
        }
        html += "</p>";
    }
    html + "</div>"
}

/// Radio buttons, and a button that commits to one of them.
fn choices(model: &Model, name: &str, legend: &str, texts: &[&str], committed: Option<usize>) -> String {
    let mut options = String::new();
    let fixed = if committed.is_some() { " disabled" } else { "" };
    for (place, text) in texts.iter().enumerate() {
        let checked = if committed == Some(place) { " checked" } else { "" };
        let _ = write!(
            options,
            "<label class=\"choice\"><input type=\"radio\" name=\"{name}\" value=\"{place}\"{checked}{fixed}><span>{}</span></label>",
            escaped(text)
        );
    }
    let end = commit(model, name, committed.is_some());
    format!("<fieldset class=\"choices\"><legend>{legend}</legend>{options}</fieldset>{end}")
}

fn commit(model: &Model, name: &str, is_done: bool) -> String {
    let words = model.words();
    match is_done {
        true => hint(words.committed),
        false => format!("<p>{}</p>", button("commit", name, words.commit, "primary", true)),
    }
}

fn question(model: &Model, lesson: &Lesson, name: &str, committed: Option<usize>) -> String {
    let texts: Vec<&str> = lesson
        .question
        .choices
        .iter()
        .map(|text| text.get(model.language))
        .collect();
    choices(
        model,
        name,
        &paragraphs(model, &lesson.question.text),
        &texts,
        committed,
    )
}

fn predict(model: &Model, lesson: &Lesson) -> String {
    let legend = paragraphs(model, &lesson.predict.text);
    let Some(estimate) = &lesson.predict.number else {
        let texts: Vec<&str> = lesson
            .predict
            .choices
            .iter()
            .map(|choice| choice.text.get(model.language))
            .collect();
        let place = match model.answers.predicted {
            Some(Prediction::Choice(place)) => Some(place),
            _ => None,
        };
        return choices(model, "predict", &legend, &texts, place);
    };
    let scale = estimate_scale(&estimate.unit);
    let (from, to, step) = (estimate.from * scale, estimate.to * scale, estimate.step * scale);
    let (value, fixed) = match model.answers.predicted {
        Some(Prediction::Number(number)) => ((number * scale).to_string(), " disabled"),
        _ => (String::new(), ""),
    };
    let (unit, end) = (escaped(&estimate.unit), commit(model, "predict", model.has_predicted()));
    format!(
        "<fieldset class=\"choices\"><legend>{legend}</legend><label class=\"estimate\">{} <input type=\"number\" \
         name=\"predict\" class=\"short\" min=\"{from}\" max=\"{to}\" step=\"{step}\" value=\"{value}\"{fixed}> {unit}</label></fieldset>{end}",
        model.words().your_prediction
    )
}

/// What a number is multiplied with where it is shown.
pub fn estimate_scale(unit: &str) -> f64 {
    if unit == "%" { 100.0 } else { 1.0 }
}

/// The buttons of training, the line that says where it stands, and the device.
fn panel(model: &Model) -> String {
    if !matches!(model.part, 2 | 5) {
        return String::new();
    }
    let words = model.words();
    let buttons = match model.phase {
        Phase::Training => button("pause", "", words.pause, "", true) + &button("stop", "", words.stop, "", true),
        Phase::Paused => {
            button("resume", "", words.resume, "primary", true) + &button("stop", "", words.stop, "", true)
        }
        Phase::Idle => button("start", "", words.train, "primary", true),
        _ => {
            let has_trained = model.part_runs().iter().any(|name| model.runs.contains_key(name));
            let label = if has_trained { words.train_again } else { words.train };
            button("train", "", label, "primary", model.can_train())
        }
    };
    let busy = match model.is_busy {
        true => format!(
            "<div class=\"notice\" role=\"alert\"><p>{}</p><p>{}</p></div>",
            words.busy_elsewhere,
            button("take-over", "", words.take_over, "", true)
        ),
        false => String::new(),
    };
    let note = model.device_note.as_deref().map(hint).unwrap_or_default();
    format!(
        "<div class=\"buttons\" part=\"toolbar\" role=\"group\">{buttons}</div><p class=\"lab-status\">{}</p>\
         <p class=\"hint\" data-device=\"{}\">{}</p>{note}{busy}",
        escaped(&status(model)),
        model.device.name(),
        escaped(&device(model)),
    )
}

fn device(model: &Model) -> String {
    let words = model.words();
    match &model.device {
        Device::Unknown => String::new(),
        Device::Gpu(name) => (words.on_gpu)(name),
        // The engine's own note says why it is the CPU.
        Device::Cpu if model.device_note.is_some() => words.on_cpu_asked.to_owned(),
        Device::Cpu if model.options.text(options::DEVICE).as_deref() == Some("cpu") => words.on_cpu_asked.to_owned(),
        Device::Cpu => words.on_cpu.to_owned(),
        Device::Recording(device, date) => {
            let is_asked = model.options.text(options::DEVICE).as_deref() == Some("replay");
            (words.recording)(device, date, is_asked)
        }
    }
}

fn status(model: &Model) -> String {
    let words = model.words();
    match (model.phase, &model.current) {
        (Phase::Idle, _) => words.idle.to_owned(),
        (Phase::Loading, _) => (words.loading)(format::percent(model.progress.0, model.progress.1)),
        (Phase::Predicting, _) => words.predict_first.to_owned(),
        (Phase::Ready, _) if !model.has_predicted() => words.predict_first.to_owned(),
        (Phase::Ready, _) => words.ready.to_owned(),
        (Phase::Paused, _) if model.is_unseen => words.paused_unseen.to_owned(),
        (Phase::Paused, _) => words.paused.to_owned(),
        (Phase::Training, None) => String::new(),
        (Phase::Training, Some(name)) => {
            let label = model.label(name);
            match model.runs.get(name) {
                Some(run) if run.newest().0 > 0 => (words.training)(&label, run.newest().0, run.max_steps),
                _ => (words.starting)(&label),
            }
        }
        (Phase::Done, _) => (words.done)(format!("{:.1} s", model.seconds)),
        (Phase::Failed, _) => words.error.to_owned(),
    }
}

fn compare(model: &Model, lesson: &Lesson) -> String {
    let words = model.words();
    let results = model.results();
    let is_trained = lesson
        .train
        .runs
        .iter()
        .all(|name| results.get(name).is_some_and(|run| run.is_over()));
    let choice = |place: usize| {
        let choice = lesson.predict.choices.get(place);
        choice.map_or("–", |choice| choice.text.get(model.language)).to_owned()
    };
    let unknown = || words.unknown.to_owned();
    let (prediction, happened, verdict) = match (model.answers.predicted, &lesson.predict.number) {
        (Some(Prediction::Number(number)), Some(estimate)) => {
            let run = results.get(&estimate.of.run);
            let value = run.and_then(|run| run.value(&estimate.of.value, estimate.of.at));
            let written = |value: f64| match estimate.unit.as_str() {
                "%" => format::share(value),
                unit => format!("{} {unit}", format::loss(value)),
            };
            (written(number), value.map_or_else(unknown, written), "")
        }
        (predicted, _) => {
            let place = match predicted {
                Some(Prediction::Choice(place)) => Some(place),
                _ => None,
            };
            let outcome = lesson.outcome(&results);
            let verdict = match outcome {
                _ if !is_trained => words.train_first,
                None => words.no_outcome,
                found if found == place => words.as_predicted,
                _ => words.not_as_predicted,
            };
            let happened = outcome.filter(|_| is_trained).map_or_else(unknown, choice);
            (place.map_or("–".to_owned(), choice), happened, verdict)
        }
    };
    let one = |name: &str, text: &str, attributes: &str| {
        format!("<div {attributes}><dt>{name}</dt><dd>{}</dd></div>", escaped(text))
    };
    format!(
        "{}<dl class=\"pair outcome\">{}{}</dl><p class=\"outcome-verdict\" role=\"status\">{verdict}</p>",
        paragraphs(model, &lesson.compare.text),
        one(
            words.your_prediction,
            &prediction,
            "class=\"sample\" part=\"prediction\""
        ),
        one(words.what_happened, &happened, "class=\"sample sample-now\""),
    )
}

fn explain(model: &Model, lesson: &Lesson) -> String {
    let words = model.words();
    let is_explained = model.answers.is_explained;
    let (fixed, end) = match is_explained {
        true => (" disabled", paragraphs(model, &lesson.explain.text)),
        false => (
            "",
            format!(
                "<p>{}</p>",
                button("explain", "", words.show_explanation, "primary", true)
            ),
        ),
    };
    format!(
        "<label class=\"field\"><span class=\"field-name\">{}</span><textarea rows=\"3\" name=\"explanation\"{fixed}>{}</textarea>\
         <span class=\"hint\">{}</span></label>{end}",
        words.own_words,
        escaped(&model.answers.explanation),
        words.own_words_hint,
    )
}

fn question_again(model: &Model, lesson: &Lesson) -> String {
    let words = model.words();
    let choice = |place: usize| {
        let choice = lesson.question.choices.get(place);
        choice.map_or("–", |text| text.get(model.language)).to_owned()
    };
    let form = question(model, lesson, "after", model.answers.after);
    let Some(after) = model.answers.after else { return form };
    let verdict = match after == lesson.question.answer {
        true => words.right.to_owned(),
        false => (words.wrong)(&choice(lesson.question.answer)),
    };
    let first = model
        .answers
        .before
        .map_or(String::new(), |place| (words.first_answer)(&choice(place)));
    format!(
        "{form}<p role=\"status\"><b>{}</b></p><p>{}</p>{}<p class=\"idea\">{}</p><p class=\"buttons\">{}{}</p>",
        escaped(&verdict),
        escaped(&first),
        paragraphs(model, &lesson.question.why),
        escaped(lesson.idea.get(model.language)),
        button("save-answers", "", words.save_answers, "primary", true),
        button("begin-again", "", words.begin_again, "", true),
    )
}

/// A table of measured values: a row a value.
fn values(model: &Model, lesson: &Lesson) -> String {
    let shown: &[RunValue] = match model.part {
        3 => &lesson.compare.show,
        5 => &lesson.break_it.show,
        _ => return String::new(),
    };
    if shown.is_empty() {
        return String::new();
    }
    let words = model.words();
    let results = model.results();
    let row = |value: &RunValue| {
        let run = results.get(&value.run);
        let number = match run.and_then(|run| run.value(&value.value, value.at)) {
            Some(number) if number.is_infinite() => words.diverged.to_owned(),
            Some(number) if number.fract() == 0.0 && number.abs() >= 10.0 => format::whole(number),
            Some(number) => format::loss(number),
            None => words.unknown.to_owned(),
        };
        let written = value.to_string();
        let name = written.split_once('.').map_or("", |(_, name)| name);
        vec![escaped(&model.label(&value.run)), escaped(&(words.value)(name)), number]
    };
    let rows: Vec<Vec<String>> = shown.iter().map(row).collect();
    let heads = [words.run, words.value_head, words.measured_head].map(str::to_owned);
    let table = numbers(words.measured, &heads, &rows);
    format!(
        "<div class=\"table-scroll\" tabindex=\"0\" role=\"group\" aria-label=\"{}\">{table}</div>",
        words.measured
    )
}

/// What the engine warned of.
fn notes(model: &Model) -> String {
    let notes = model.shown_notes();
    if !matches!(model.part, 2 | 5) || notes.is_empty() {
        return String::new();
    }
    let items: String = notes.iter().map(|note| format!("<li>{}</li>", escaped(note))).collect();
    format!(
        "<div class=\"notice\"><p class=\"notice-title\">{}</p><ul>{items}</ul></div>",
        model.words().notes
    )
}
