//! The engine: how it is started, what it is asked and what it says; the recorded runs that take its place.

use super::Lab;
use crate::bundled_model;
use crate::events::{self, Heard};
use crate::json;
use crate::model::{Device, OWN, Phase};
use crate::options;
use crate::record::RunRecord;
use crate::wire::{Ask, Loaded, RunAsk};
use js_sys::{Array, ArrayBuffer, Reflect};
use lorakeet_core::error::Kind;
use lorakeet_core::lesson::{BUNDLED_MODEL, BreakIt, LessonRun, Measured};
use serde_json::{Value, json};
use std::collections::VecDeque;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::File;

impl Lab {
    /// Loads the engine, where that was not done.
    pub(super) fn start(&self) {
        if !matches!(self.model.borrow().phase, Phase::Idle | Phase::Failed) {
            return;
        }
        self.end_engine();
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
        let calls = self.wire.borrow_mut().end();
        let ended = self.model.borrow().words().call_ended;
        for (_, id) in calls {
            self.host.refuse(id, ended);
        }
        self.memory.borrow_mut().model = None;
        self.change(|model| (model.current, model.device, model.device_note) = (None, Device::Unknown, None));
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
    pub(super) fn open_recording(&self, why: Option<String>) {
        self.end_engine();
        let lab = self.clone();
        spawn_local(async move {
            let lesson = lab.model.borrow().lesson.clone();
            let Some(lesson) = lesson else {
                if lab.model.borrow().problem.is_none() {
                    // Its lesson is still on its way.
                    lab.memory.borrow_mut().wants_recording = true;
                    lab.change(|model| model.notes.extend(why));
                }
                return;
            };
            let text = lab.text(&format!("lessons/{}.recording.json", lesson.id)).await;
            let recording = text.map_or(Value::Null, |text| json::parse(&text));
            let Some(runs) = recording["runs"].as_object() else {
                let no_engine = lab.model.borrow().words().no_engine;
                return lab.fail("blocked", why.unwrap_or_else(|| no_engine.to_owned()), true);
            };
            let text = |key: &str| recording[key].as_str().unwrap_or_default().to_owned();
            lab.change(|model| {
                model.device = Device::Recording(text("device"), text("date"));
                model.notes.extend(why);
            });
            lab.wire.borrow_mut().recording = Some(runs.clone());
            lab.set_phase(Phase::Ready);
            lab.settle();
        });
    }

    fn receive(&self, data: &JsValue) {
        let field = |name: &str| Reflect::get(data, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let mut event = json::parse(&field("message").as_string().unwrap_or_default());
        if let ("done", Some(seconds)) = (event["type"].as_str().unwrap_or_default(), event["seconds"].as_f64()) {
            event["seconds"] = (seconds + self.memory.borrow().kept.seconds_before()).into();
        }
        let said = field("said").as_string();
        let Some(heard) = events::read(&event).filter(|heard| !self.memory.borrow().kept.is_told_again(heard)) else {
            return;
        };
        if let Heard::Failed(kind) = heard {
            // What broke before the engine knew the language has no words yet.
            let said = said.unwrap_or_else(|| self.model.borrow().words().engine_stopped.to_owned());
            return self.hear_failure(kind, said, field("fatal").is_truthy());
        }
        if let Heard::Measured(Measured::Model(_)) = &heard {
            self.memory.borrow_mut().model = Some(json::text(&event));
        }
        let running = self.model.borrow().current.clone();
        if let Some(name) = running.filter(|_| heard.is_of_run() && self.is_kept()) {
            self.keep_word(&name, json::text(&event), said.clone());
        }
        self.hear(heard, said, field("bytes").dyn_into().ok());
    }

    fn hear(&self, heard: Heard, said: Option<String>, bytes: Option<ArrayBuffer>) {
        match heard {
            Heard::Ready => self.open_device(),
            Heard::Device(is_gpu, name) => {
                self.change(|model| {
                    model.device = if is_gpu { Device::Gpu(name) } else { Device::Cpu };
                    model.device_note = said;
                });
                self.ask_first();
                self.answered("device");
            }
            Heard::Progress(loading) => {
                self.change(|model| model.progress = (loading.done, loading.total));
                let total = Some(loading.total).filter(|total| *total > 0);
                let (what, loaded) = (loading.stage, loading.done);
                self.post("progress", &json!({ "what": what, "loaded": loaded, "total": total }));
            }
            Heard::Data => self.answered("data"),
            Heard::Knobs(knobs) => {
                self.change(|model| model.knobs = knobs);
                self.answered("knobs");
            }
            Heard::Measured(event @ Measured::Model(_)) => {
                // Of a run that reads the model again, in fewer bits, it is the run's.
                self.take(Heard::Measured(event), None);
                self.answered("model");
            }
            Heard::Paused => {
                self.set_phase(Phase::Paused);
                self.ask_checkpoint();
                self.hand_over();
            }
            Heard::Resumed => {
                self.set_phase(Phase::Training);
                self.hand_over();
            }
            Heard::Piece(path) => self.keep_piece(path, bytes),
            Heard::Exported => self.finish_export(),
            Heard::CheckpointFile(name) => self.take_checkpoint_file(&name, bytes),
            Heard::Generated(text) => self.keep_text(&text),
            Heard::File(name) => self.keep_file(name, bytes),
            heard => self.take(heard, said),
        }
    }

    /// What a run says, of the engine or of a recording.
    fn take(&self, heard: Heard, said: Option<String>) {
        let Some(name) = self.model.borrow().current.clone() else {
            if let Heard::Warning = heard {
                self.change(|model| model.notes.extend(said));
            }
            return;
        };
        let step = match &heard {
            Heard::Measured(Measured::Step(step)) => Some(step.clone()),
            _ => None,
        };
        let is_over = matches!(heard, Heard::Measured(Measured::Done(_)));
        self.change(|model| {
            if let Some(run) = model.runs.get_mut(&name) {
                run.take(heard, said);
            }
        });
        if let Some(step) = step {
            self.tell_step(&name, &step);
            self.keep_caps(step.step);
            self.ask_checkpoint();
            let holds = self.memory.borrow_mut().step_limit.is_reached(step.step);
            if holds {
                self.pause();
            }
        }
        if is_over {
            self.tell_done(&name);
            self.change(|model| model.current = None);
            self.answered("done");
        }
    }

    fn hear_failure(&self, kind: Kind, said: String, is_fatal: bool) {
        let is_of_run = matches!(kind, Kind::Device | Kind::OutOfMemory | Kind::Diverged | Kind::Stopped);
        let call = match is_fatal || is_of_run {
            true => None,
            false => self.wire.borrow_mut().failed_call(),
        };
        if let Some(id) = call {
            self.memory.borrow_mut().exported.clear();
            return self.host.refuse(id, &said);
        }
        let running = self.change(|model| model.current.take());
        let is_result = self.change(|model| {
            let run = running.as_ref().and_then(|name| model.runs.get_mut(name));
            run.is_some_and(|run| run.fail(kind, &said))
        });
        if let Some(name) = running.filter(|_| is_result) {
            let diverged = json!({ "type": "failed", "kind": "diverged" });
            self.keep_word(&name, json::text(&diverged), Some(said));
            return self.answered("done");
        }
        let is_loading = self.model.borrow().phase == Phase::Loading;
        {
            let mut wire = self.wire.borrow_mut();
            wire.drop_waiting();
            (wire.awaited, wire.loaded) = (None, Loaded::default());
        }
        if kind == Kind::Stopped {
            return self.settle();
        }
        let name = match kind {
            Kind::Device => "lost",
            Kind::OutOfMemory => "out-of-memory",
            Kind::File => "network",
            _ => "bad-file",
        };
        if is_fatal || kind == Kind::Device {
            self.end_engine();
            if is_loading && kind == Kind::Device {
                self.tell_no_device(&said);
            }
            // A place where the engine cannot run at all is what recorded runs are for.
            return match is_loading {
                true => self.open_recording(Some(said)),
                false => self.fail(name, said, true),
            };
        }
        if kind == Kind::OutOfMemory || self.model.borrow().device == Device::Unknown {
            return self.fail(name, said, true);
        }
        // A wrong setting, rows that cannot be read: the engine is as it was.
        self.tell_problem(name, said, false);
        self.settle();
    }

    /// Tells the page around the lab that there is no device to train on; the lab itself shows recorded runs, and says why.
    fn tell_no_device(&self, message: &str) {
        let wished = self.model.borrow().options.text(options::DEVICE);
        let kind = if wished.as_deref() == Some("gpu") {
            "no-webgpu"
        } else {
            "lost"
        };
        self.post(
            "error",
            &json!({ "kind": kind, "message": message, "fatal": false, "advice": null }),
        );
    }

    fn open_device(&self) {
        let wished = self.model.borrow().options.text(options::DEVICE);
        self.speak();
        self.ask(
            json!({ "type": "open", "device": wished.as_deref().unwrap_or("auto") }),
            None,
            "device",
        );
    }

    /// Has the engine speak the lab's language.
    pub(super) fn speak(&self) {
        self.wire.borrow().speak(self.model.borrow().language.tag());
        self.ask_knobs();
    }

    fn ask_knobs(&self) {
        let (controls, language) = {
            let model = self.model.borrow();
            match model.device {
                Device::Gpu(_) | Device::Cpu => (model.controls(), model.language.tag()),
                _ => return,
            }
        };
        if !controls.is_empty() {
            let command = json!({ "type": "knobs", "names": controls, "language": language });
            self.ask(command, None, "knobs");
        }
    }

    /// The model of the first run, and the knobs, are loaded while the pupil reads.
    pub(super) fn ask_first(&self) {
        let lesson = match self.model.borrow().device {
            Device::Gpu(_) | Device::Cpu => self.model.borrow().lesson.clone(),
            _ => None,
        };
        let Some(lesson) = lesson else { return };
        let run = |names: &[String]| names.first().and_then(|name| lesson.runs.get(name));
        if let Some(run) = run(&lesson.train.runs) {
            self.ask_loaded(run, None);
        }
        self.ask_knobs();
        let has_rows = lesson.break_it.controls.iter().any(|name| name == BreakIt::DATA);
        if let (Some(run), true) = (run(&lesson.break_it.runs), has_rows) {
            let (lab, data) = (self.clone(), run.data.clone());
            spawn_local(async move {
                if let Some(text) = lab.text(&data).await {
                    lab.change(|model| drop(model.given_rows.insert(data, text)));
                }
            });
        }
    }

    pub(super) fn ask_loaded(&self, run: &LessonRun, rows: Option<String>) {
        let Loaded {
            model,
            data: known,
            validation,
        } = self.wire.borrow().loaded.clone();
        if model != run.model {
            let files = match run.model == BUNDLED_MODEL {
                true => &bundled_model::MODEL_FILES[..],
                false => &[],
            };
            let command = json!({ "type": "load_model", "files": files, "name": run.model });
            self.ask(command, None, "model");
        }
        let data = match &rows {
            None => run.data.clone(),
            Some(_) => format!("{OWN}-{}", run.data.rsplit('/').next().unwrap_or_default()),
        };
        if known != data || rows.is_some() {
            let file = rows.and_then(|rows| File::new_with_str_sequence(&Array::of1(&rows.into()), &data).ok());
            self.ask(json!({ "type": "load_data", "file": data }), file, "data");
        }
        if validation != run.validation {
            let command = json!({ "type": "load_validation", "file": run.validation });
            self.ask(command, None, "data");
        }
        self.wire.borrow_mut().loaded = Loaded {
            model: run.model.clone(),
            data,
            validation: run.validation.clone(),
        };
    }

    fn ask(&self, command: Value, file: Option<File>, ends: &'static str) {
        let ask = Ask::Command { command, file, ends };
        self.wire.borrow_mut().queue.push_back(ask);
        self.next();
    }

    /// What is awaited has come, if this is it.
    pub(super) fn answered(&self, what: &str) {
        if self.wire.borrow().awaited != Some(what) {
            return;
        }
        self.wire.borrow_mut().awaited = None;
        self.next();
        self.settle();
    }

    /// Asks what waits, where nothing is asked.
    pub(super) fn next(&self) {
        if self.wire.borrow().awaited.is_some() {
            return;
        }
        let next = self.wire.borrow_mut().queue.pop_front();
        match next {
            None => {}
            Some(Ask::Command { command, file, ends }) => {
                self.wire.borrow_mut().awaited = Some(ends);
                let files = file.into_iter().collect();
                self.wire.borrow().send(&command, &files, &self.host);
            }
            Some(Ask::Train(run)) => {
                self.wire.borrow_mut().awaited = Some("done");
                self.begin(run);
            }
        }
    }

    /// Begins a run whose model and data are loaded, or goes on with one.
    fn begin(&self, run: RunAsk) {
        let (name, command) = (run.name.clone(), run.command.clone());
        let (goes_on, model) = {
            let mut memory = self.memory.borrow_mut();
            let now_ms = crate::document::now_ms();
            let goes_on = memory.kept.begin(run, now_ms);
            memory.began_ms = now_ms - 1000.0 * memory.kept.seconds_before();
            memory.step_limit.begin_run();
            (goes_on, memory.model.clone())
        };
        if goes_on.is_none() {
            let mut record = RunRecord::default();
            if let Some(text) = model {
                if let Some(Heard::Measured(model)) = events::read(&json::parse(&text)) {
                    record.results.take(&model);
                }
                self.keep_word(&name, text, None);
            }
            self.change(|model| model.runs.insert(name.clone(), record));
        }
        self.change(|model| model.current = Some(name.clone()));
        self.set_phase(Phase::Training);
        let recorded = self.wire.borrow().recording.as_ref().map(|runs| match runs.get(&name) {
            Some(Value::Array(events)) => {
                let shown = self.memory.borrow().kept.count(&name);
                events.iter().skip(shown).cloned().collect()
            }
            _ => VecDeque::new(),
        });
        let holds = goes_on.as_ref().is_some_and(|goes_on| goes_on.holds);
        match recorded {
            Some(events) => self.replay(name, events),
            None => {
                let files = goes_on.map(|goes_on| goes_on.files()).unwrap_or_default();
                self.wire.borrow().send(&command, &files, &self.host);
            }
        }
        self.hand_over();
        if holds {
            self.pause();
        }
    }

    /// Shows a recorded run, faster than it was trained.
    fn replay(&self, name: String, mut events: VecDeque<Value>) {
        let lab = self.clone();
        crate::document::repeat(move || {
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
                heard => {
                    // Each counts, so that another frame goes on with the next one.
                    lab.keep_word(&name, json::text(&event), None);
                    if let Some(heard) = heard {
                        lab.take(heard, None);
                    }
                }
            }
            false
        });
    }

    pub(super) fn command(&self, kind: &str) {
        self.wire
            .borrow()
            .send(&json!({ "type": kind }), &Array::new(), &self.host);
    }

    pub(super) fn is_recorded(&self) -> bool {
        self.wire.borrow().recording.is_some()
    }
}
