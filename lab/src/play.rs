//! What a press of a button, a word of the engine or a call of the page around the lab does.

use crate::answers::Prediction;
use crate::events::{self, Heard};
use crate::host::Host;
use crate::model::{Device, Model, OWN, Phase, Problem};
use crate::options::{self, Options};
use crate::record::RunRecord;
use crate::view;
use crate::wire::{Ask, Wire};
use crate::{bundled_model, format, zip};
use js_sys::{Array, ArrayBuffer, Reflect, Uint8Array};
use lorakeet_core::error::Kind;
use lorakeet_core::lesson::{At, BUNDLED_MODEL, Lesson, LessonRun, ListedLesson, RunResults};
use lorakeet_core::protocol::{Event, StepInfo};
use serde_json::{Map, Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, Element, File, HtmlElement, HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement, Window};

/// Milliseconds between two step messages to the page around the lab.
const STEP_INTERVAL_MS: f64 = 100.0;
/// Milliseconds between two lines for screen readers.
const LIVE_INTERVAL_MS: f64 = 5000.0;
/// Milliseconds between two events of a recording.
const REPLAY_INTERVAL_MS: i32 = 16;

/// What is remembered besides what is shown.
#[derive(Default)]
struct Memory {
    /// The regions as they are in the document.
    drawn: BTreeMap<&'static str, String>,
    is_frame_asked: bool,
    /// The engine's event on the loaded model, for the results of the next run.
    model: Option<Event>,
    began_ms: f64,
    told_ms: f64,
    spoke_ms: f64,
    exported: Vec<(String, Vec<u8>)>,
    /// Whether the recorded runs of the lesson that is being fetched are wanted.
    wants_recording: bool,
    /// Steps until the run is to hold, where only some were asked for.
    steps_left: Option<u64>,
    export_call: Option<f64>,
    text_call: Option<f64>,
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
        let lab = Self {
            root,
            host: Rc::new(host),
            model: Rc::new(RefCell::new(Model::new(Options::parse(options), &browser_language()))),
            wire: Rc::default(),
            memory: Rc::default(),
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
        let drawn = Closure::once_into_js(move || lab.draw_now());
        let _ = window().request_animation_frame(drawn.unchecked_ref());
    }

    fn draw_now(&self) {
        self.memory.borrow_mut().is_frame_asked = false;
        let model = self.model.borrow();
        let _ = self.root.set_attribute("data-theme", &view::theme(&model));
        let _ = self.root.set_attribute("data-phase", model.phase.name());
        let _ = self.root.set_attribute("lang", model.language.tag());
        for name in view::REGIONS {
            let html = view::region(name, &model);
            if self.memory.borrow().drawn.get(name) == Some(&html) {
                continue;
            }
            if let Some(element) = self.find(&format!("[data-region={name}]")) {
                put(&element, &html);
            }
            self.memory.borrow_mut().drawn.insert(name, html);
        }
    }

    fn find(&self, selector: &str) -> Option<Element> {
        self.root.query_selector(selector).ok().flatten()
    }

    /// Tells the page around the lab.
    fn post(&self, kind: &str, fields: &Value) {
        self.host.post(kind, &fields.to_string());
    }

    /// Fetches the lesson; starts the engine where Start was pressed before.
    pub fn open(&self) {
        let (source, lesson, starts) = {
            let options = &self.model.borrow().options;
            let starts = options.is_set(options::START);
            (options.text(options::SOURCE), options.text(options::LESSON), starts)
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
        spawn_local(async move {
            let Some(text) = lab.text(&path).await else {
                let said = (lab.model.borrow().words().not_fetched)(&path);
                return lab.fail("network", said, false);
            };
            if let Ok(lesson) = serde_json::from_str::<Lesson>(&text) {
                lab.change(|model| model.set_lesson(lesson));
                lab.tell_part();
                let wants_recording = std::mem::take(&mut lab.memory.borrow_mut().wants_recording);
                match wants_recording {
                    true => lab.open_recording(None),
                    false => lab.ask_first(),
                }
                lab.settle();
            } else if let Ok(list) = serde_json::from_str::<Vec<ListedLesson>>(&text) {
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
        let next = Options::parse(text);
        let starts = next.is_set(options::START);
        let is_other = self.change(|model| {
            let name = |options: &Options| (options.text(options::LESSON), options.text(options::SOURCE));
            let before = name(&model.options);
            let next_name = name(&next);
            let chosen_here = before.0.is_none() && model.lesson.is_some();
            model.set_options(next, &browser_language());
            before != next_name && !(chosen_here && next_name == (None, None))
        });
        if is_other {
            self.forget();
            self.open();
        } else if starts {
            self.start();
        }
    }

    /// Everything from the beginning, with the engine as it is.
    fn forget(&self) {
        self.stop();
        self.change(Model::forget);
        self.settle();
        self.tell_state();
    }

    /// Loads the engine, where that was not done.
    fn start(&self) {
        if !matches!(self.model.borrow().phase, Phase::Idle | Phase::Failed) {
            return;
        }
        self.change(|model| model.problem = None);
        self.set_phase(Phase::Loading);
        let wished = self.model.borrow().options.text(options::DEVICE);
        if wished.as_deref() == Some("replay") {
            return self.open_recording(None);
        }
        let lab = self.clone();
        spawn_local(async move {
            match JsFuture::from(lab.host.worker()).await {
                Ok(worker) => {
                    let (hears, loses) = (lab.clone(), lab.clone());
                    let heard = move |event: web_sys::MessageEvent| hears.receive(&event.data());
                    let broke = move || loses.lose_engine();
                    lab.wire.borrow_mut().listen(worker.unchecked_into(), heard, broke);
                }
                Err(_) => lab.open_recording(None),
            }
        });
    }

    /// Ends the worker, and takes the lab out of its root.
    pub fn end(&self) {
        self.end_engine();
        self.root.set_inner_html("");
    }

    fn end_engine(&self) {
        self.host.unlock();
        self.wire.borrow_mut().end();
        self.memory.borrow_mut().model = None;
        self.change(|model| model.current = None);
    }

    fn lose_engine(&self) {
        let is_loading = self.model.borrow().phase == Phase::Loading;
        self.end_engine();
        match is_loading {
            true => self.open_recording(None),
            false => {
                let said = self.model.borrow().words().engine_stopped.to_owned();
                self.fail("lost", said, true);
            }
        }
    }

    /// Takes the lesson's recorded runs in place of an engine; `why` there is none.
    fn open_recording(&self, why: Option<String>) {
        self.end_engine();
        let lab = self.clone();
        spawn_local(async move {
            let id = lab.model.borrow().lesson.as_ref().map(|lesson| lesson.id.clone());
            let text = match id {
                Some(id) => lab.text(&format!("lessons/{id}.recording.json")).await,
                None => None,
            };
            let recording: Option<Map<String, Value>> = text.and_then(|text| serde_json::from_str(&text).ok());
            if lab.model.borrow().lesson.is_none() && lab.model.borrow().problem.is_none() {
                // Its lesson is still on its way.
                lab.memory.borrow_mut().wants_recording = true;
                return;
            }
            let Some(recording) = recording else {
                let no_engine = lab.model.borrow().words().no_engine;
                return lab.fail("blocked", why.unwrap_or_else(|| no_engine.to_owned()), true);
            };
            let text = |key: &str| {
                recording
                    .get(key)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            lab.change(|model| model.device = Device::Recording(text("device"), text("date")));
            lab.wire.borrow_mut().recording = recording.get("runs").and_then(|runs| runs.as_object().cloned());
            lab.set_phase(Phase::Ready);
            lab.settle();
        });
    }

    fn receive(&self, data: &JsValue) {
        let field = |name: &str| Reflect::get(data, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let text = field("message").as_string().unwrap_or_default();
        let said = field("said").as_string();
        match serde_json::from_str(&text).ok().and_then(|event| events::read(&event)) {
            Some(Heard::Failed(kind)) => {
                // What broke before the engine knew the language has no words yet.
                let said = said.unwrap_or_else(|| self.model.borrow().words().engine_stopped.to_owned());
                self.hear_failure(kind, said, field("fatal").is_truthy());
            }
            Some(heard) => self.hear(heard, said, field("bytes").dyn_into().ok()),
            None => {}
        }
    }

    fn hear(&self, heard: Heard, said: Option<String>, bytes: Option<ArrayBuffer>) {
        match heard {
            Heard::Ready => self.open_device(),
            Heard::Device(is_gpu, name) => {
                self.change(|model| model.device = if is_gpu { Device::Gpu(name) } else { Device::Cpu });
                self.ask_first();
                self.answered("device");
            }
            Heard::Progress(loading) => {
                self.change(|model| model.progress = (loading.done, loading.total));
                let (what, loaded, total) = (loading.stage, loading.done, loading.total);
                self.post("progress", &json!({ "what": what, "loaded": loaded, "total": total }));
            }
            Heard::Data => self.answered("data"),
            Heard::Knobs(knobs) => {
                self.change(|model| model.knobs = knobs);
                self.answered("knobs");
            }
            Heard::Measured(event @ Event::Model(_)) => {
                self.memory.borrow_mut().model = Some(event);
                self.answered("model");
            }
            Heard::Paused => self.set_phase(Phase::Paused),
            Heard::Resumed => self.set_phase(Phase::Training),
            Heard::Generated(text) => {
                let call = self.memory.borrow_mut().text_call.take();
                if let Some(id) = call {
                    self.host.reply(id, &json!(text).to_string(), None);
                }
                self.answered("generated");
            }
            Heard::File(name) => self.keep_file(name, bytes),
            heard => self.take(heard, said),
        }
    }

    /// What a run says, of the engine or of a recording.
    fn take(&self, heard: Heard, said: Option<String>) {
        let Some(name) = self.model.borrow().current.clone() else {
            return;
        };
        let step = match &heard {
            Heard::Measured(Event::Step(step)) => Some(step.clone()),
            _ => None,
        };
        let is_over = matches!(heard, Heard::Measured(Event::Done(_)));
        self.change(|model| {
            if let Some(run) = model.runs.get_mut(&name) {
                run.take(heard, said);
            }
        });
        if let Some(step) = step {
            self.tell_step(&name, &step);
            self.keep_cap();
            self.count_step();
        }
        if is_over {
            self.tell_done(&name);
            self.change(|model| model.current = None);
            self.answered("done");
        }
    }

    fn hear_failure(&self, kind: Kind, said: String, is_fatal: bool) {
        let call = {
            let mut memory = self.memory.borrow_mut();
            memory.text_call.take().or(memory.export_call.take())
        };
        if let Some(id) = call {
            self.host.refuse(id, &said);
            return self.answered_any();
        }
        let is_result = self.change(|model| {
            let running = model.current.take();
            let run = running.and_then(|name| model.runs.get_mut(&name));
            run.is_some_and(|run| run.fail(kind))
        });
        if is_result {
            return self.answered_any();
        }
        let is_loading = self.model.borrow().phase == Phase::Loading;
        self.wire.borrow_mut().drop_waiting();
        if kind == Kind::Stopped {
            return self.settle();
        }
        if is_fatal || kind == Kind::Device {
            self.end_engine();
            // A place where the engine cannot be had at all is what recorded runs are for.
            if is_loading {
                return self.open_recording(Some(said));
            }
        }
        let kind = match kind {
            Kind::Device => "lost",
            Kind::OutOfMemory => "out-of-memory",
            _ => "bad-file",
        };
        self.fail(kind, said, true);
    }

    fn fail(&self, kind: &str, text: String, restarts: bool) {
        self.host.unlock();
        let advice = self.model.borrow().words().restart;
        self.post(
            "error",
            &json!({ "kind": kind, "message": text, "fatal": !restarts, "advice": advice }),
        );
        self.change(|model| model.problem = Some(Problem { text, restarts }));
        self.set_phase(Phase::Failed);
    }

    fn open_device(&self) {
        let (language, wished) = {
            let model = self.model.borrow();
            (model.language.tag(), model.options.text(options::DEVICE))
        };
        let known = wished.as_deref().filter(|device| ["gpu", "cpu"].contains(device));
        let device = known.unwrap_or("auto");
        self.wire.borrow().speak(language);
        self.ask(json!({ "type": "open", "device": device }), None, "device");
    }

    /// The model of the first run, and the knobs, are loaded while the pupil reads.
    fn ask_first(&self) {
        let (lesson, controls, language, has_device) = {
            let model = self.model.borrow();
            (
                model.lesson.clone(),
                model.controls(),
                model.language.tag(),
                model.device.name(),
            )
        };
        let (Some(lesson), "gpu" | "cpu") = (lesson, has_device) else {
            return;
        };
        if let Some(run) = lesson.train.runs.first().and_then(|name| lesson.runs.get(name)) {
            self.ask_loaded(run, None);
        }
        if !controls.is_empty() {
            let command = json!({ "type": "knobs", "names": controls, "language": language });
            self.ask(command, None, "knobs");
        }
        let has_rows = lesson
            .break_it
            .controls
            .iter()
            .any(|name| name == lorakeet_core::lesson::BreakIt::DATA);
        let data = lesson
            .break_it
            .runs
            .first()
            .and_then(|name| lesson.runs.get(name))
            .map(|run| run.data.clone());
        if let (Some(data), true) = (data, has_rows) {
            let lab = self.clone();
            spawn_local(async move {
                if let Some(text) = lab.text(&data).await {
                    lab.change(|model| drop(model.given_rows.insert(data, text)));
                }
            });
        }
    }

    fn ask_loaded(&self, run: &LessonRun, rows: Option<String>) {
        let loaded = self.wire.borrow().loaded.clone();
        if loaded.0 != run.model {
            let files = if run.model == BUNDLED_MODEL {
                &bundled_model::MODEL_FILES[..]
            } else {
                &[]
            };
            self.ask(
                json!({ "type": "load_model", "files": files, "name": run.model }),
                None,
                "model",
            );
        }
        let data = match &rows {
            None => run.data.clone(),
            Some(_) => format!("{OWN}-{}", run.data.rsplit('/').next().unwrap_or_default()),
        };
        if loaded.1 != data || rows.is_some() {
            let file = rows.and_then(|rows| File::new_with_str_sequence(&Array::of1(&rows.into()), &data).ok());
            self.ask(json!({ "type": "load_data", "file": data }), file, "data");
        }
        if loaded.2 != run.validation {
            self.ask(
                json!({ "type": "load_validation", "file": run.validation }),
                None,
                "data",
            );
        }
        self.wire.borrow_mut().loaded = (run.model.clone(), data, run.validation.clone());
    }

    /// Trains the runs of the part that is shown, one after the other.
    fn train_part(&self) {
        let names = self.model.borrow().part_runs();
        let lab = self.clone();
        self.take_turn(false, move || {
            let Some(lesson) = lab.model.borrow().lesson.clone() else {
                return;
            };
            lab.change(|model| model.seconds = 0.0);
            for name in names {
                if let Some(run) = lesson.runs.get(&name) {
                    lab.ask_run(name, run, BTreeMap::new(), None);
                }
            }
        });
    }

    /// Trains the first run of the part with the pupil's settings and rows.
    fn train_own(&self) {
        let first = self.model.borrow().part_runs().into_iter().next();
        let lab = self.clone();
        self.take_turn(false, move || {
            let (lesson, settings, rows) = {
                let model = lab.model.borrow();
                (model.lesson.clone(), model.settings.clone(), model.rows.clone())
            };
            let run = lesson
                .as_ref()
                .zip(first)
                .and_then(|(lesson, name)| lesson.runs.get(&name));
            if let Some(run) = run {
                lab.change(|model| model.seconds = 0.0);
                lab.ask_run(OWN.into(), run, settings, rows);
            }
        });
    }

    fn ask_run(&self, name: String, run: &LessonRun, changed: BTreeMap<String, String>, rows: Option<String>) {
        if self.wire.borrow().recording.is_none() {
            self.ask_loaded(run, rows);
        }
        let mut config: Map<String, Value> = run.settings.clone().into_iter().collect();
        config.insert("model_name_or_path".into(), json!(run.model));
        config.insert("train_file".into(), json!(run.data));
        if let Some(validation) = &run.validation {
            config.insert("validation_file".into(), json!(validation));
        }
        let (cap, seed) = {
            let options = &self.model.borrow().options;
            (options.number(options::MAX_STEPS), options.number(options::SEED))
        };
        let planned = config.get("max_steps").and_then(Value::as_u64);
        if let Some(cap) = cap.filter(|cap| planned.is_none_or(|planned| planned > *cap)) {
            config.insert("max_steps".into(), json!(cap));
        }
        if let Some(seed) = seed {
            config.insert("seed".into(), json!(seed));
        }
        for (knob, text) in changed {
            // As a run file would read it: a number, a word, or nothing.
            let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
            config.insert(knob, value);
        }
        let command = json!({ "type": "train", "settings": config, "sample_prompt": run.prompt, "watch": run.watch });
        self.wire.borrow_mut().queue.push_back(Ask::Train { name, command });
        self.next();
    }

    /// Does something once this lab is the one that trains.
    fn take_turn(&self, takes: bool, then: impl FnOnce() + 'static) {
        // Recorded runs take nobody's processor.
        if self.is_recorded() {
            return then();
        }
        let lab = self.clone();
        spawn_local(async move {
            let is_mine = JsFuture::from(lab.host.lock(takes))
                .await
                .is_ok_and(|mine| mine.is_truthy());
            lab.change(|model| model.is_busy = !is_mine);
            if is_mine {
                then();
            }
        });
    }

    /// Another lab trains now.
    pub fn lose_turn(&self) {
        self.stop();
        self.change(|model| {
            model.live = model.words().taken_over.into();
            model.is_busy = true;
        });
    }

    fn ask(&self, command: Value, file: Option<File>, ends: &'static str) {
        let ask = Ask::Command { command, file, ends };
        self.wire.borrow_mut().queue.push_back(ask);
        self.next();
    }

    fn answered(&self, what: &'static str) {
        if self.wire.borrow().awaited == Some(what) {
            self.answered_any();
        }
    }

    fn answered_any(&self) {
        self.wire.borrow_mut().awaited = None;
        self.next();
        self.settle();
    }

    /// Asks what waits, where nothing is asked.
    fn next(&self) {
        if self.wire.borrow().awaited.is_some() {
            return;
        }
        let next = self.wire.borrow_mut().queue.pop_front();
        match next {
            None => {}
            Some(Ask::Command { command, file, ends }) => {
                self.wire.borrow_mut().awaited = Some(ends);
                self.wire.borrow().send(&command, file, &self.host);
            }
            Some(Ask::Train { name, command }) => {
                self.wire.borrow_mut().awaited = Some("done");
                let mut run = RunRecord::default();
                {
                    let mut memory = self.memory.borrow_mut();
                    memory.began_ms = now_ms();
                    if let Some(model) = &memory.model {
                        run.results.take(model);
                    }
                }
                self.change(|model| {
                    model.runs.insert(name.clone(), run);
                    model.current = Some(name.clone());
                });
                self.set_phase(Phase::Training);
                let recorded = self
                    .wire
                    .borrow()
                    .recording
                    .as_ref()
                    .map(|runs| runs.get(&name).cloned());
                match recorded {
                    Some(events) => self.replay(
                        name,
                        events
                            .and_then(|events| events.as_array().cloned())
                            .unwrap_or_default()
                            .into(),
                    ),
                    None => self.wire.borrow().send(&command, None, &self.host),
                }
            }
        }
    }

    /// Shows a recorded run, faster than it was trained.
    fn replay(&self, name: String, mut events: VecDeque<Value>) {
        let lab = self.clone();
        repeat(move || {
            // It is over, or was stopped, and the next one may have begun.
            if lab.model.borrow().current.as_ref() != Some(&name) {
                return true;
            }
            if lab.model.borrow().phase == Phase::Paused {
                return false;
            }
            let Some(event) = events.pop_front() else {
                lab.change(|model| model.current = None);
                lab.answered("done");
                return true;
            };
            match events::read(&event) {
                Some(Heard::Failed(kind)) => lab.hear_failure(kind, String::new(), false),
                Some(heard) => lab.take(heard, None),
                None => {}
            }
            false
        });
    }

    fn command(&self, kind: &str) {
        self.wire.borrow().send(&json!({ "type": kind }), None, &self.host);
    }

    fn is_recorded(&self) -> bool {
        self.wire.borrow().recording.is_some()
    }

    fn pause(&self) {
        match self.is_recorded() {
            true => self.set_phase(Phase::Paused),
            false => self.command("pause"),
        }
    }

    fn resume(&self) {
        self.change(|model| model.is_unseen = false);
        match self.is_recorded() {
            true => self.set_phase(Phase::Training),
            false => self.command("resume"),
        }
    }

    /// Ends the run, and drops those that wait.
    fn stop(&self) {
        if self.model.borrow().current.is_none() {
            return;
        }
        self.wire.borrow_mut().queue.clear();
        match self.is_recorded() {
            true => {
                self.change(|model| model.current = None);
                self.answered_any();
            }
            false => self.command("stop"),
        }
    }

    /// Out of view for long, or in view again.
    pub fn set_seen(&self, is_seen: bool) {
        let (phase, was_unseen, runs_on) = {
            let model = self.model.borrow();
            let runs_on = model.options.text(options::OFFSCREEN).as_deref() == Some("run");
            (model.phase, model.is_unseen, runs_on)
        };
        if !is_seen && phase == Phase::Training && !runs_on {
            self.change(|model| model.is_unseen = true);
            self.pause();
        } else if is_seen && phase == Phase::Paused && was_unseen {
            self.resume();
        }
    }

    /// The cap on a run's time.
    fn keep_cap(&self) {
        let cap = self.model.borrow().options.number(options::MAX_SECONDS);
        let began = self.memory.borrow().began_ms;
        if cap.is_some_and(|cap| now_ms() - began > 1000.0 * cap as f64) {
            self.command("stop");
        }
    }

    /// Holds the run after the last of the steps that were asked for.
    fn count_step(&self) {
        let mut memory = self.memory.borrow_mut();
        let left = memory.steps_left.map(|left| left.saturating_sub(1));
        memory.steps_left = left.filter(|left| *left > 0);
        drop(memory);
        if left == Some(0) {
            self.pause();
        }
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
        self.set_phase(phase);
    }

    fn set_phase(&self, phase: Phase) {
        if self.model.borrow().phase == phase {
            return;
        }
        self.change(|model| model.phase = phase);
        let device = self.model.borrow().device.name();
        self.post("phase", &json!({ "phase": phase.name(), "device": device }));
    }

    /// A press or a change in the lab.
    fn touched(&self, event: &web_sys::Event) {
        let target = event.target().and_then(|target| target.dyn_into::<Element>().ok());
        let element = target.and_then(|target| target.closest("[data-do]").ok().flatten());
        let Some(element) = element else { return };
        let is_field = !element.has_type::<web_sys::HtmlButtonElement>();
        if is_field != (event.type_() == "change") {
            return;
        }
        let attribute = |name: &str| element.get_attribute(name).unwrap_or_default();
        let (action, of) = (attribute("data-do"), attribute("data-of"));
        match is_field {
            true => self.fill(&action, &of, value_of(&element)),
            false => self.press(&action, &of),
        }
    }

    fn fill(&self, action: &str, of: &str, value: String) {
        // What stands in the field is not drawn again: its region's text stays as it was.
        let mut model = self.model.borrow_mut();
        match action {
            "set" => drop(model.settings.insert(of.to_owned(), value)),
            "rows" => model.rows = Some(value),
            _ => return,
        }
        drop(model);
        self.draw();
        self.tell_state();
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
            "train" => self.train_part(),
            "train-own" => self.train_own(),
            "pause" => self.pause(),
            "resume" => self.resume(),
            "stop" => self.stop(),
            "take-over" => self.take_turn(true, || {}),
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
            _ => {
                let (question, answer) = self.change(|model| {
                    let lesson = model.lesson.clone();
                    let number = lesson.as_ref().and_then(|lesson| lesson.predict.number.as_ref());
                    let prediction = match number {
                        Some(estimate) => {
                            let number = value.parse::<f64>().ok();
                            number.map(|number| Prediction::Number(number / view::estimate_scale(&estimate.unit)))
                        }
                        None => place.map(Prediction::Choice),
                    };
                    model.answers.predicted = prediction;
                    let question = lesson
                        .as_ref()
                        .map(|lesson| lesson.predict.text.get(model.language).to_owned());
                    let choice = place.and_then(|place| lesson.as_ref()?.predict.choices.get(place));
                    let answer = choice.map_or(value.clone(), |choice| choice.text.get(model.language).to_owned());
                    (question, answer)
                });
                self.post("predict", &json!({ "question": question, "answer": answer }));
                self.settle();
            }
        }
        self.draw_now();
        focus(self.find("[data-region=foot] .primary").as_ref());
        self.tell_state();
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
    }

    fn show(&self, part: usize) {
        self.change(|model| model.part = part.min(crate::model::PARTS - 1));
        self.draw_now();
        focus(self.find("[data-focus=part]").as_ref());
        self.tell_part();
        self.tell_state();
    }

    fn tell_part(&self) {
        let part = self.model.borrow().part + 1;
        self.post("lesson", &json!({ "part": part, "of": crate::model::PARTS }));
    }

    fn tell_state(&self) {
        let state = self.model.borrow().state_text();
        self.post("state", &json!({ "state": state }));
    }

    fn save_answers(&self) {
        let model = self.model.borrow();
        let id = model
            .lesson
            .as_ref()
            .map(|lesson| lesson.id.clone())
            .unwrap_or_default();
        // Spreadsheets take the mark in front as the sign of UTF-8.
        let text = format!("\u{feff}{}", model.answers_csv());
        self.host.save(&format!("answers-{id}.csv"), &text);
    }

    fn tell_step(&self, name: &str, step: &StepInfo) {
        let now = now_ms();
        let (tells, speaks) = {
            let mut memory = self.memory.borrow_mut();
            let (tells, speaks) = (
                now - memory.told_ms >= STEP_INTERVAL_MS,
                now - memory.spoke_ms >= LIVE_INTERVAL_MS,
            );
            if tells {
                memory.told_ms = now;
            }
            if speaks {
                memory.spoke_ms = now;
            }
            (tells, speaks)
        };
        if tells {
            let (lr, speed) = (step.learning_rate, step.tokens_per_second);
            let told = json!({ "step": step.step, "loss": step.loss, "lr": lr, "tokensPerSecond": speed, "run": name });
            self.post("step", &told);
        }
        if speaks {
            self.change(|model| {
                let label = model.label(name);
                let words = model.words();
                if let Some(run) = model.runs.get(name) {
                    model.live = (words.live)(&label, step.step, run.max_steps, format::loss(step.loss), run.falls());
                }
            });
        }
    }

    fn tell_done(&self, name: &str) {
        let report = self.change(|model| {
            let run = model.runs.get(name).map(|run| &run.results);
            let value = |what: &str, at: At| run.and_then(|run| run.value(what, at));
            let seconds = value("seconds", At::End);
            let report = json!({
                "run": name,
                "evalLossBefore": value("eval_loss", At::Start),
                "evalLossAfter": value("eval_loss", At::End),
                "steps": value("steps", At::End),
                "seconds": seconds,
            });
            model.seconds += seconds.unwrap_or(0.0);
            report
        });
        self.post("done", &json!({ "report": report }));
    }

    fn keep_file(&self, name: String, bytes: Option<ArrayBuffer>) {
        let bytes = bytes
            .map(|buffer| Uint8Array::new(&buffer).to_vec())
            .unwrap_or_default();
        let is_last = name.ends_with(".safetensors");
        let call = {
            let mut memory = self.memory.borrow_mut();
            memory.exported.push((name, bytes));
            if !is_last {
                return;
            }
            let files = std::mem::take(&mut memory.exported);
            memory.export_call.take().map(|id| (id, zip::pack(&files)))
        };
        if let Some((id, packed)) = call {
            let blob = Blob::new_with_u8_array_sequence(&Array::of1(&Uint8Array::from(&packed[..])));
            self.host.reply(id, "null", blob.ok());
        }
        self.answered("file");
    }

    /// A method of the element.
    pub fn call(&self, id: f64, method: &str, arguments: &str) {
        let arguments: Vec<Value> = serde_json::from_str(arguments).unwrap_or_default();
        let first = || arguments.first().and_then(Value::as_str).unwrap_or_default().to_owned();
        match method {
            "start" => {
                let phase = self.model.borrow().phase;
                match phase {
                    Phase::Idle | Phase::Failed => self.start(),
                    Phase::Paused => self.resume(),
                    Phase::Ready | Phase::Done => self.train_part(),
                    _ => {}
                }
            }
            "pause" => self.pause(),
            "step" => {
                let count = arguments.first().and_then(Value::as_u64).unwrap_or(1).max(1);
                self.memory.borrow_mut().steps_left = Some(count);
                let phase = self.model.borrow().phase;
                match phase {
                    Phase::Paused => self.resume(),
                    Phase::Ready | Phase::Done => self.train_part(),
                    _ => {}
                }
            }
            "toURL" => {
                let state = self.model.borrow().state_text();
                return self.host.reply(id, &json!(self.host.address(&state)).to_string(), None);
            }
            "destroy" => self.end(),
            "reset" => {
                let seed = arguments
                    .first()
                    .and_then(|options| options.get("seed"))
                    .and_then(Value::as_u64);
                if let Some(seed) = seed {
                    self.change(|model| model.options.state.set(options::SEED, Some(&seed.to_string())));
                }
                self.forget();
            }
            "setKnob" => {
                let (can_change, refusal) = {
                    let model = self.model.borrow();
                    (model.can_change(), model.words().settings_fixed)
                };
                if !can_change {
                    return self.host.refuse(id, refusal);
                }
                let value = arguments.get(1).map_or(String::new(), |value| {
                    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
                });
                self.change(|model| drop(model.settings.insert(first(), value)));
                self.tell_state();
            }
            "predict" => {
                self.memory.borrow_mut().text_call = Some(id);
                let (prompt, options) = (json!({ "text": first() }), json!({ "max_new_tokens": 48 }));
                let command =
                    json!({ "type": "generate", "id": 1, "prompt": prompt, "options": options, "adapter": true });
                return self.ask(command, None, "generated");
            }
            "exportAdapter" if matches!(first().as_str(), "" | "peft") => {
                self.memory.borrow_mut().export_call = Some(id);
                return self.ask(json!({ "type": "export_adapter" }), None, "file");
            }
            "exportAdapter" => {
                return self
                    .host
                    .refuse(id, &format!("exportAdapter writes \"peft\", not \"{}\"", first()));
            }
            "exportAnswers" => {
                let text = self.model.borrow().answers_csv();
                let blob = Blob::new_with_str_sequence(&Array::of1(&text.into()));
                return self.host.reply(id, "null", blob.ok());
            }
            other => return self.host.refuse(id, &format!("there is no method {other}")),
        }
        self.host.reply(id, "null", None);
    }

    /// A property of the element.
    pub fn get(&self, id: f64, what: &str) {
        let model = self.model.borrow();
        let value = match what {
            "state" => json!(model.state_text()),
            "phase" => json!(model.phase.name()),
            "device" => json!(model.device.name()),
            "metrics" | "report" => {
                const NAMES: [&str; 7] = [
                    "loss",
                    "eval_loss",
                    "perplexity",
                    "accuracy",
                    "steps",
                    "seconds",
                    "diverged",
                ];
                let of = |results: &RunResults| -> Map<String, Value> {
                    let known = |name: &&str| Some(((*name).to_owned(), json!(results.value(name, At::End)?)));
                    NAMES.iter().filter_map(known).collect()
                };
                let all: Map<String, Value> = model
                    .results()
                    .iter()
                    .map(|(name, run)| (name.clone(), of(run).into()))
                    .collect();
                all.into()
            }
            other => return self.host.refuse(id, &format!("there is no property {other}")),
        };
        self.host.reply(id, &value.to_string(), None);
    }
}

/// Puts HTML into an element; what was unfolded in it stays so, and what had the focus gets it back.
fn put(element: &Element, html: &str) {
    let opened = |element: &Element| {
        let all = element.query_selector_all("details").ok();
        let places = all
            .into_iter()
            .flat_map(|all| (0..all.length()).filter_map(move |place| all.item(place)));
        places
            .filter_map(|node| node.dyn_into::<Element>().ok())
            .collect::<Vec<_>>()
    };
    let open: Vec<bool> = opened(element)
        .iter()
        .map(|details| details.has_attribute("open"))
        .collect();
    let focused = element.query_selector(":focus").ok().flatten();
    let key = focused.map(|focused| {
        let attribute = |name: &str| focused.get_attribute(name).unwrap_or_default();
        (attribute("data-do"), attribute("data-of"))
    });
    element.set_inner_html(html);
    for (details, _) in opened(element).iter().zip(&open).filter(|(_, open)| **open) {
        let _ = details.set_attribute("open", "");
    }
    if let Some((action, of)) = key.filter(|(action, _)| !action.is_empty()) {
        let same = format!("[data-do=\"{action}\"][data-of=\"{of}\"]:not(:disabled)");
        let found = element.query_selector(&same).ok().flatten();
        // A button that turned into others: the first of them.
        let found = found.or_else(|| element.query_selector("button:not(:disabled)").ok().flatten());
        focus(found.as_ref());
    }
}

fn focus(element: Option<&Element>) {
    if let Some(element) = element.and_then(|element| element.dyn_ref::<HtmlElement>()) {
        let _ = element.focus();
    }
}

fn value_of(element: &Element) -> String {
    if let Some(input) = element.dyn_ref::<HtmlInputElement>() {
        return input.value();
    }
    if let Some(area) = element.dyn_ref::<HtmlTextAreaElement>() {
        return area.value();
    }
    element
        .dyn_ref::<HtmlSelectElement>()
        .map_or(String::new(), HtmlSelectElement::value)
}

fn window() -> Window {
    js_sys::global().unchecked_into()
}

fn browser_language() -> String {
    window().navigator().language().unwrap_or_default()
}

fn now_ms() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}

/// Calls `step` some 60 times a second, until it says that it is done.
fn repeat(mut step: impl FnMut() -> bool + 'static) {
    let next = Closure::once_into_js(move || {
        if !step() {
            repeat(step);
        }
    });
    let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(next.unchecked_ref(), REPLAY_INTERVAL_MS);
}
