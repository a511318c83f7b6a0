//! What a press of a button or a change of a field does.

use super::Lab;
use crate::answers::Prediction;
use crate::document::{focus, value_of};
use crate::model::PARTS;
use crate::{options, view};
use lorakeet_core::lesson::decimal;
use serde_json::json;
use wasm_bindgen::prelude::*;
use web_sys::{Element, HtmlButtonElement};

impl Lab {
    /// A press or a change in the lab.
    pub(super) fn touched(&self, event: &web_sys::Event) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let element = target.and_then(|target| target.closest("[data-do]").ok().flatten());
        let Some(element) = element else { return };
        let is_field = !element.has_type::<HtmlButtonElement>();
        if is_field != (event.type_() == "change") {
            return;
        }
        let attribute = |name: &str| element.get_attribute(name).unwrap_or_default();
        let (action, of) = (attribute("data-do"), attribute("data-of"));
        match is_field {
            true if action == "slide" => {
                let stops = attribute("data-stops");
                let stop = value_of(&element)
                    .parse()
                    .ok()
                    .and_then(|place| stops.split(' ').nth(place));
                self.fill("set", of, stop.unwrap_or_default().to_owned());
            }
            true => self.fill(&action, of, value_of(&element)),
            false => self.press(&action, &of),
        }
    }

    fn fill(&self, action: &str, of: String, value: String) {
        // What stands in the field is not drawn again: its region's text stays as it was.
        self.change(|model| match action {
            "set" => drop(model.settings.insert(of, value)),
            "rows" => model.rows = Some(value),
            _ => {}
        });
        self.tell_state();
        self.hand_over();
    }

    fn press(&self, action: &str, of: &str) {
        match action {
            "show" => self.show(of.parse().unwrap_or(0)),
            "choose" => {
                self.change(|model| model.options.state.set(options::LESSON, Some(of)));
                self.fetch_lesson(&format!("lessons/{of}.json"));
                self.tell_state();
            }
            "fetch" => self.fetch_lesson(of),
            "start" => self.start(),
            "train" => self.train(false, false),
            "train-own" => self.train(true, false),
            "pause" => self.pause(),
            "resume" => self.resume(),
            "stop" => self.stop(),
            "take-over" => self.take_over(),
            "commit" => self.commit(of),
            "explain" => self.explain(),
            "save-answers" => self.save_answers(),
            "begin-again" => self.forget(),
            _ => {}
        }
    }

    fn commit(&self, name: &str) {
        let field = self.find(&format!("input[name={name}]:checked, input[name={name}][type=number]"));
        let Some(value) = field.map(|field| value_of(&field)).filter(|value| !value.is_empty()) else {
            // Nothing was chosen: to the first of the choices.
            let first = self.find(&format!("input[name={name}]"));
            return focus(first.as_ref());
        };
        let place = value.parse::<usize>().ok();
        match name {
            "before" => self.change(|model| model.answers.before = place),
            "after" => self.change(|model| model.answers.after = place),
            _ => self.predict(&value, place),
        }
        self.draw_now();
        focus(self.find("[data-region=foot] .primary").as_ref());
        self.tell_state();
    }

    /// Commits to a prediction: the value of a field, and the choice that it stands for.
    fn predict(&self, value: &str, place: Option<usize>) {
        let Some(lesson) = self.model.borrow().lesson.clone() else {
            return;
        };
        let language = self.model.borrow().language;
        let prediction = match &lesson.predict.number {
            Some(estimate) => {
                let number = decimal(value);
                number.map(|number| Prediction::Number(number / view::estimate_scale(&estimate.unit)))
            }
            None => place.map(Prediction::Choice),
        };
        self.change(|model| model.answers.predicted = prediction);
        let choice = place.and_then(|place| lesson.predict.choices.get(place));
        let answer = choice.map_or(value, |choice| choice.text.get(language));
        let question = lesson.predict.text.get(language);
        self.post("predict", &json!({ "question": question, "answer": answer }));
        self.settle();
    }

    fn explain(&self) {
        let Some(area) = self.find("textarea[name=explanation]") else {
            return;
        };
        let text = value_of(&area);
        if text.trim().is_empty() {
            return focus(Some(&area));
        }
        self.change(|model| {
            model.answers.explanation = text;
            model.answers.is_explained = true;
        });
        self.hand_over();
    }

    fn show(&self, part: usize) {
        self.change(|model| model.part = part.min(PARTS - 1));
        self.draw_now();
        focus(self.find("[data-focus=part]").as_ref());
        self.tell_part();
        self.tell_state();
    }

    pub(super) fn tell_part(&self) {
        let part = self.model.borrow().part + 1;
        self.post("lesson", &json!({ "part": part, "of": PARTS }));
    }

    pub(super) fn tell_state(&self) {
        let state = self.model.borrow().state_text();
        self.post("state", &json!({ "state": state }));
    }

    fn save_answers(&self) {
        let model = self.model.borrow();
        let id = model.lesson.as_ref().map_or("", |lesson| &lesson.id);
        // Spreadsheets take the mark in front as the sign of UTF-8.
        let text = format!("\u{feff}{}", model.answers_csv());
        self.host.save(&format!("answers-{id}.csv"), &text);
    }
}
