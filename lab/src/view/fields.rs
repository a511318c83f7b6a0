//! The fields of a part's knobs and rows.

use super::{button, hint, slider};
use crate::events::KnobField;
use crate::model::Model;
use crate::options;
use crate::pictures::escaped;
use lorakeet_core::lesson::{BreakIt, Lesson};
use std::fmt::Write;

/// The slider of a knob, which says its value with its unit; what it stops at is in the element, for `play/press.rs`.
fn slide(knob: &KnobField, stops: &[String], text: &str) -> String {
    let place = slider::nearest(stops, text);
    let (Some(stop), last) = (stops.get(place), stops.len().saturating_sub(1)) else {
        return String::new();
    };
    let name = escaped(&knob.name);
    let value = escaped(format!("{stop} {}", knob.unit).trim_end());
    format!(
        "<input type=\"range\" class=\"slide\" data-do=\"slide\" data-of=\"{name}\" min=\"0\" max=\"{last}\" value=\"{place}\" \
         data-stops=\"{}\" aria-label=\"{name}\" aria-valuetext=\"{value}\">",
        stops.join(" ")
    )
}

/// The fields of a part's knobs and rows, and the button that trains with them.
pub(super) fn fields(model: &Model, lesson: &Lesson) -> String {
    let words = model.words();
    let (controls, runs) = match model.part {
        2 => (&lesson.train.controls, &lesson.train.runs),
        5 => (&lesson.break_it.controls, &lesson.break_it.runs),
        _ => return String::new(),
    };
    let known = model.controls();
    let names: Vec<&String> = controls.iter().filter(|name| known.contains(name)).collect();
    let has_rows = controls.iter().any(|name| name == BreakIt::DATA) && model.is_wanted(BreakIt::DATA);
    let (Some(run), false) = (
        runs.first().and_then(|name| lesson.runs.get(name)),
        names.is_empty() && !has_rows,
    ) else {
        return String::new();
    };
    let inside = if let Some(reason) = model.is_fixed() {
        hint(reason)
    } else if model.knobs.is_empty() && !names.is_empty() {
        hint(words.settings_later)
    } else {
        let mut html = String::from("<div class=\"knobs\">");
        for knob in model.knobs.iter().filter(|knob| names.contains(&&knob.name)) {
            let given = run.settings.get(&knob.name).map_or(String::new(), options::plain_text);
            let stops = slider::stops(knob, &given);
            let text = model.settings.get(&knob.name).cloned().unwrap_or(given);
            let name = escaped(&knob.name);
            let field = match knob.choices.is_empty() {
                true => format!(
                    "<input type=\"text\" class=\"short\" data-do=\"set\" data-of=\"{name}\" value=\"{}\">",
                    escaped(&text)
                ),
                false => {
                    let option = |choice: &String| {
                        let chosen = if *choice == text { " selected" } else { "" };
                        format!("<option{chosen}>{}</option>", escaped(choice))
                    };
                    let options: String = knob.choices.iter().map(option).collect();
                    format!("<select data-do=\"set\" data-of=\"{name}\">{options}</select>")
                }
            };
            let (guidance, unit) = (escaped(&knob.guidance), escaped(&knob.unit));
            let unit = match unit.is_empty() {
                true => unit,
                false => format!(" <span class=\"unit\">{unit}</span>"),
            };
            let slide = slide(knob, &stops, &text);
            let _ = write!(
                html,
                "<div class=\"knob\" part=\"knob\"><label><code>{name}</code>{unit} {field}</label>{slide}\
                 <span class=\"hint\">{guidance}</span></div>"
            );
        }
        html += "</div>";
        if has_rows {
            let given = model.given_rows.get(&run.data);
            let rows = model
                .rows
                .as_ref()
                .or(given)
                .map_or(String::new(), |rows| escaped(rows));
            let _ = write!(
                html,
                "<label class=\"field\"><span class=\"field-name\">{}</span><textarea rows=\"8\" data-do=\"rows\">{rows}</textarea>\
                 <span class=\"hint\">{}</span></label>",
                words.own_data, words.own_data_hint
            );
        }
        html
    };
    let is_open = model.can_train() && model.is_fixed().is_none();
    let train = button("train-own", "", words.train_own, "", is_open);
    format!(
        "<details class=\"fold\"><summary>{}</summary>{inside}<p>{train}</p></details>",
        words.settings
    )
}
