//! The lab's end of the wire to the engine: what is asked, one after the other, and what waits.

use crate::host::Host;
use crate::json;
use js_sys::{Array, Object, Reflect};
use serde_json::{Map, Value, json};
use std::collections::VecDeque;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Event, File, MessageEvent, Worker};

/// What the engine is asked.
pub enum Ask {
    /// Something that an event of this type ends.
    Command {
        /// The command.
        command: Value,
        /// The pupil's own file beside it.
        file: Option<File>,
        /// The type.
        ends: &'static str,
    },
    /// A run.
    Train(RunAsk),
}

/// A run that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct RunAsk {
    /// Its name: the lesson's, or that of a run with the pupil's settings.
    pub name: String,
    /// The lesson's run whose model and data it has.
    pub of: String,
    /// The pupil's own rows in place of that data.
    pub rows: Option<String>,
    /// The command.
    pub command: Value,
}

impl RunAsk {
    /// As it is handed over to the page around the lab.
    pub fn to_json(&self) -> Value {
        let Self {
            name,
            of,
            rows,
            command,
        } = self;
        json!({ "name": name, "of": of, "rows": rows, "command": command })
    }

    /// Reads it back: of its command what a lab asks of a run, and nothing else.
    pub fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        let asked = |key: &str| &value["command"][key];
        let (settings, prompt, watch) = (asked("settings"), asked("sample_prompt"), asked("watch"));
        Some(Self {
            name: text("name")?,
            of: text("of")?,
            rows: text("rows"),
            command: train(settings, prompt, watch),
        })
    }
}

/// The command of a run.
pub fn train(settings: &Value, prompt: &Value, watch: &Value) -> Value {
    json!({ "type": "train", "settings": settings, "sample_prompt": prompt, "watch": watch })
}

/// What hears the worker, and what hears that it broke.
type Listeners = (Closure<dyn FnMut(MessageEvent)>, Closure<dyn FnMut(Event)>);

/// What is loaded.
#[derive(Clone, Default)]
pub struct Loaded {
    /// The model, as lessons name it.
    pub model: String,
    /// The training data.
    pub data: String,
    /// The validation data.
    pub validation: Option<String>,
}

/// The worker, and what waits for it.
#[derive(Default)]
pub struct Wire {
    worker: Option<Worker>,
    /// They listen as long as the worker is there.
    listeners: Option<Listeners>,
    /// What is to be asked.
    pub queue: VecDeque<Ask>,
    /// What ends the command under way.
    pub awaited: Option<&'static str>,
    /// Calls of the page around the lab that wait for an event of a type, with their numbers.
    pub calls: Vec<(&'static str, f64)>,
    /// What was asked to be loaded last.
    pub loaded: Loaded,
    /// The recorded runs that take an engine's place, by name.
    pub recording: Option<Map<String, Value>>,
}

impl Wire {
    /// Listens to a worker.
    pub fn listen(
        &mut self,
        worker: Worker,
        heard: impl FnMut(MessageEvent) + 'static,
        mut broke: impl FnMut() + 'static,
    ) {
        let heard = Closure::new(heard);
        let broke = Closure::new(move |event: Event| {
            event.prevent_default();
            broke();
        });
        worker.set_onmessage(Some(heard.as_ref().unchecked_ref()));
        worker.set_onerror(Some(broke.as_ref().unchecked_ref()));
        self.worker = Some(worker);
        self.listeners = Some((heard, broke));
    }

    /// Whether there is something that runs are trained by or taken from.
    pub fn is_there(&self) -> bool {
        self.worker.is_some() || self.recording.is_some()
    }

    /// Whether something is asked or waits.
    pub fn is_busy(&self) -> bool {
        self.awaited.is_some() || !self.queue.is_empty()
    }

    /// Whether a run waits for its turn.
    pub fn has_run(&self) -> bool {
        self.queue.iter().any(|ask| matches!(ask, Ask::Train(_)))
    }

    /// The call that an event of this type answers.
    pub fn answered_call(&mut self, ends: &str) -> Option<f64> {
        let place = self.calls.iter().position(|(known, _)| *known == ends)?;
        Some(self.calls.remove(place).1)
    }

    /// The call that failed, where an error that ends no run is one's: the worker serves what was asked in turn, so that an
    /// error while something is loaded is not.
    pub fn failed_call(&mut self) -> Option<f64> {
        let is_alone = matches!(self.awaited, None | Some("done"));
        (is_alone && !self.calls.is_empty()).then(|| self.calls.remove(0).1)
    }

    /// Ends the worker, and forgets what it was asked; the calls that it does not answer any more. The listeners stay until the
    /// next worker: one of them may be what calls.
    pub fn end(&mut self) -> Vec<(&'static str, f64)> {
        if let Some(worker) = self.worker.take() {
            worker.set_onmessage(None);
            worker.set_onerror(None);
            worker.terminate();
        }
        self.recording = None;
        self.awaited = None;
        self.drop_waiting();
        self.loaded = Loaded::default();
        std::mem::take(&mut self.calls)
    }

    /// Forgets what waits to be asked, and with it what was to be loaded.
    pub fn drop_waiting(&mut self) {
        let loads = self.queue.iter().any(|ask| matches!(ask, Ask::Command { .. }));
        self.queue.clear();
        if loads {
            self.loaded = Loaded::default();
        }
    }

    /// Sends a command with these files; those that the lab has inside itself travel with the command that names them.
    pub fn send(&self, command: &Value, files: &Array, host: &Rc<Host>) {
        let Some(worker) = self.worker.clone() else { return };
        let message = Object::new();
        let _ = Reflect::set(&message, &"message".into(), &json::text(command).into());
        let _ = Reflect::set(&message, &"files".into(), files);
        let named = match (&command["files"], &command["file"]) {
            (Value::Array(names), _) => names.iter().filter_map(Value::as_str).map(JsValue::from).collect(),
            (_, Value::String(name)) => Array::of1(&name.as_str().into()),
            _ => Array::new(),
        };
        if files.length() == 0 && named.length() > 0 {
            let host = host.clone();
            return spawn_local(async move {
                if let Ok(files) = JsFuture::from(host.files(named)).await
                    && !files.is_falsy()
                {
                    let _ = Reflect::set(&message, &"files".into(), &files);
                }
                let _ = worker.post_message(&message);
            });
        }
        let _ = worker.post_message(&message);
    }

    /// Tells the engine the language of its words.
    pub fn speak(&self, language: &str) {
        let message = Object::new();
        let _ = Reflect::set(&message, &"language".into(), &language.into());
        if let Some(worker) = &self.worker {
            let _ = worker.post_message(&message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_as_it_was_handed_over_and_asks_for_nothing_else() {
        let settings = json!({ "max_steps": 4 });
        let run = RunAsk {
            name: "own".into(),
            of: "loss".into(),
            rows: Some("a\nb".into()),
            command: train(&settings, &json!("Once"), &json!([])),
        };
        assert_eq!(RunAsk::read(&run.to_json()), Some(run.clone()));
        let without = RunAsk {
            rows: None,
            ..run.clone()
        };
        assert_eq!(RunAsk::read(&without.to_json()), Some(without));
        let mut more = run.to_json();
        more["command"]["keep"] = json!({ "go_on": "first" });
        more["command"]["type"] = "hub".into();
        assert_eq!(RunAsk::read(&more), Some(run));
        assert_eq!(RunAsk::read(&json!({ "name": "own" })), None);
    }
}
