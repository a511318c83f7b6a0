//! What the lab does: it opens a lesson, draws what has changed and keeps the phase. What a press of a button, a word of the
//! engine or a call of the page around it does is in the modules below.

mod calls;
mod engine;
mod hand_over;
mod press;
mod runs;
mod steps;

use crate::document::{at_next_frame, browser_language, put};
use crate::host::Host;
use crate::json;
use crate::model::{Device, Model, Phase, Problem};
use crate::options::{self, Options};
use crate::view;
use crate::wire::Wire;
use hand_over::KeptRuns;
use lorakeet_core::lesson::{Lesson, ListedLesson};
use serde_json::{Value, json};
use std::cell::RefCell;
use std::rc::Rc;
use steps::StepLimit;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Element, HtmlElement};

/// What is remembered besides what is shown.
#[derive(Default)]
struct Memory {
    /// The regions as they are in the document, in the order of [`view::REGIONS`].
    drawn: Vec<String>,
    is_frame_asked: bool,
    /// The lesson, or the list of them, that is being fetched.
    fetching: String,
    /// The engine's event on the loaded model, as text, for the results of the next run.
    model: Option<String>,
    began_ms: f64,
    spoke_ms: f64,
    exported: Vec<(String, Vec<u8>)>,
    /// Whether the recorded runs of the lesson that is being fetched are wanted.
    wants_recording: bool,
    /// Whether the turn to train was asked for and not answered yet.
    waits_for_turn: bool,
    /// Whether the last training that was asked for is with the pupil's own settings.
    is_own: bool,
    /// After which steps the run is to hold.
    step_limit: StepLimit,
    /// What the page around the lab keeps of the runs.
    kept: KeptRuns,
}

/// A lab that is shown.
#[derive(Clone)]
pub struct Lab {
    root: HtmlElement,
    host: Rc<Host>,
    model: Rc<RefCell<Model>>,
    wire: Rc<RefCell<Wire>>,
    memory: Rc<RefCell<Memory>>,
}

impl Lab {
    /// A lab in `root` with nothing loaded.
    pub fn new(root: HtmlElement, host: Host, options: &str) -> Self {
        let regions: String = view::REGIONS
            .iter()
            .map(|name| match *name {
                "live" => {
                    "<p class=\"unseen\" role=\"status\" aria-live=\"polite\" data-region=\"live\"></p>".to_owned()
                }
                name => format!("<div class=\"lab-{name}\" data-region=\"{name}\"></div>"),
            })
            .collect();
        root.set_inner_html(&regions);
        let memory = Memory {
            drawn: vec![String::new(); view::REGIONS.len()],
            ..Memory::default()
        };
        let lab = Self {
            root,
            host: Rc::new(host),
            model: Rc::new(RefCell::new(Model::new(
                Options::read(json::parse(options)),
                &browser_language(),
            ))),
            wire: Rc::default(),
            memory: Rc::new(RefCell::new(memory)),
        };
        for kind in ["click", "change"] {
            let heard = {
                let lab = lab.clone();
                Closure::<dyn FnMut(web_sys::Event)>::new(move |event: web_sys::Event| lab.touched(&event))
            };
            let _ = lab
                .root
                .add_event_listener_with_callback(kind, heard.as_ref().unchecked_ref());
            // It listens as long as the root is there.
            heard.forget();
        }
        lab.draw();
        lab
    }

    fn change<T>(&self, change: impl FnOnce(&mut Model) -> T) -> T {
        let changed = change(&mut self.model.borrow_mut());
        self.draw();
        changed
    }

    /// Has what changed put into the document at the next frame.
    fn draw(&self) {
        if std::mem::replace(&mut self.memory.borrow_mut().is_frame_asked, true) {
            return;
        }
        let lab = self.clone();
        at_next_frame(move || lab.draw_now());
    }

    fn draw_now(&self) {
        self.memory.borrow_mut().is_frame_asked = false;
        let model = self.model.borrow();
        let _ = self.root.set_attribute("data-theme", &view::theme(&model));
        let _ = self.root.set_attribute("data-phase", model.phase.name());
        let _ = self.root.set_attribute("lang", model.language.tag());
        for (place, name) in view::REGIONS.into_iter().enumerate() {
            let html = view::region(name, &model);
            if self.memory.borrow().drawn[place] == html {
                continue;
            }
            if let Some(element) = self.find(&format!("[data-region={name}]")) {
                put(&element, &html);
            }
            self.memory.borrow_mut().drawn[place] = html;
        }
    }

    fn find(&self, selector: &str) -> Option<Element> {
        self.root.query_selector(selector).ok().flatten()
    }

    /// Tells the page around the lab.
    fn post(&self, kind: &str, fields: &Value) {
        self.host.post(kind, &json::to_js(fields));
    }

    /// Fetches the lesson; starts the engine where Start was pressed before.
    pub fn open(&self) {
        let ((source, lesson), starts) = {
            let options = &self.model.borrow().options;
            (options.lesson(), options.is_set(options::START))
        };
        let is_name = |id: &String| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        match (source, lesson) {
            (Some(source), _) => match self.host.foreign(&source) {
                Some(origin) => self.change(|model| model.foreign = Some((source, origin))),
                None => self.fetch_lesson(&source),
            },
            (None, Some(id)) if is_name(&id) => self.fetch_lesson(&format!("lessons/{id}.json")),
            (None, id) => {
                let unusable = id.map(|id| (options::LESSON.to_owned(), id));
                self.change(|model| model.options.unusable.extend(unusable));
                self.fetch_lesson("lessons/index.json");
            }
        }
        if starts {
            self.start();
        }
    }

    /// Fetches a lesson, or the list of them.
    fn fetch_lesson(&self, path: &str) {
        let (lab, path) = (self.clone(), path.to_owned());
        self.memory.borrow_mut().fetching.clone_from(&path);
        spawn_local(async move {
            let text = lab.text(&path).await;
            if lab.memory.borrow().fetching != path {
                // Another one was chosen meanwhile.
                return;
            }
            let Some(text) = text else {
                let said = (lab.model.borrow().words().not_fetched)(&path);
                return lab.fail("network", said, false);
            };
            let value = json::parse(&text);
            if let Ok(lesson) = Lesson::read(&value) {
                lab.change(|model| model.set_lesson(lesson));
                lab.tell_part();
                lab.show_left();
                let wants_recording = std::mem::take(&mut lab.memory.borrow_mut().wants_recording);
                match wants_recording {
                    true => lab.open_recording(None),
                    false => lab.ask_first(),
                }
                lab.settle();
            } else if let Ok(list) = ListedLesson::list(&value) {
                lab.change(|model| model.lessons = list);
            } else {
                let said = (lab.model.borrow().words().not_a_lesson)(&path);
                lab.fail("bad-file", said, false);
            }
        });
    }

    async fn text(&self, path: &str) -> Option<String> {
        JsFuture::from(self.host.text(path)).await.ok()?.as_string()
    }

    /// New options of the page around the lab.
    pub fn set_options(&self, text: &str) {
        let next = Options::read(json::parse(text));
        let (starts, language) = {
            let model = self.model.borrow();
            // Every greeting says that Start was pressed; a lab that failed since is started by its own button.
            let starts = next.is_set(options::START) && !model.options.is_set(options::START);
            (starts, model.language)
        };
        let is_other = self.change(|model| model.set_options(next, &browser_language()));
        if self.model.borrow().language != language {
            self.speak();
        }
        if is_other {
            self.leave_lesson();
            self.open();
        } else if starts {
            self.start();
        }
    }

    /// Makes ready for another lesson, with the engine as it is.
    fn leave_lesson(&self) {
        self.stop();
        self.memory.borrow_mut().kept = KeptRuns::default();
        if self.wire.borrow_mut().recording.take().is_some() {
            self.memory.borrow_mut().wants_recording = true;
            return self.set_phase(Phase::Loading);
        }
        if self.model.borrow().phase == Phase::Failed {
            let is_there = self.wire.borrow().is_there();
            self.set_phase(if is_there { Phase::Ready } else { Phase::Idle });
        }
    }

    /// The lesson from the beginning, with the engine as it is and a model that nothing was trained into.
    fn forget(&self) {
        self.stop();
        self.memory.borrow_mut().kept = KeptRuns::default();
        self.change(Model::forget);
        self.wire.borrow_mut().loaded = Default::default();
        self.ask_first();
        self.settle();
        self.tell_state();
        self.hand_over();
    }

    /// Something went wrong that stops the lab, until it is started again where it can be.
    fn fail(&self, kind: &str, text: String, restarts: bool) {
        self.host.unlock();
        self.tell_problem(kind, text, restarts);
        self.set_phase(Phase::Failed);
    }

    fn tell_problem(&self, kind: &str, text: String, restarts: bool) {
        let advice = restarts.then(|| self.model.borrow().words().restart);
        let is_fatal = !restarts && !self.wire.borrow().is_there();
        self.post(
            "error",
            &json!({ "kind": kind, "message": text, "fatal": is_fatal, "advice": advice }),
        );
        self.change(|model| model.problem = Some(Problem { text, restarts }));
    }

    /// The phase that follows from what is there.
    fn settle(&self) {
        let phase = {
            let (model, wire) = (self.model.borrow(), self.wire.borrow());
            if matches!(model.phase, Phase::Idle | Phase::Failed)
                || model.device == Device::Unknown
                || wire.is_busy()
                || model.current.is_some()
                || !wire.is_there()
                || self.memory.borrow().waits_for_turn
            {
                return;
            }
            match () {
                () if !model.runs.is_empty() => Phase::Done,
                () if !model.has_predicted() && model.lesson.is_some() => Phase::Predicting,
                () => Phase::Ready,
            }
        };
        self.host.unlock();
        self.memory.borrow_mut().step_limit.lift();
        self.set_phase(phase);
        let (has_left, is_own) = {
            let memory = self.memory.borrow();
            (memory.kept.has_left(), memory.is_own)
        };
        if has_left && !self.model.borrow().is_busy {
            return self.train(is_own, false);
        }
        self.hand_over();
    }

    fn set_phase(&self, phase: Phase) {
        if self.model.borrow().phase == phase {
            return;
        }
        self.change(|model| model.phase = phase);
        let device = self.model.borrow().device.told();
        self.post("phase", &json!({ "phase": phase.name(), "device": device }));
    }
}
