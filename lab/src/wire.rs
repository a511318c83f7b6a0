//! The lab's end of the wire to the engine: what is asked, one after the other, and what waits.

use crate::host::Host;
use js_sys::{Array, Object, Reflect};
use serde_json::{Map, Value};
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
    Train {
        /// Its name in the lesson.
        name: String,
        /// The command.
        command: Value,
    },
}

/// What hears the worker, and what hears that it broke.
type Listeners = (Closure<dyn FnMut(MessageEvent)>, Closure<dyn FnMut(Event)>);

/// What is loaded: model, data, validation data.
pub type Loaded = (String, String, Option<String>);

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

    /// Ends the worker, and forgets what it was asked. The listeners stay until the next worker: one of them may be what calls.
    pub fn end(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.set_onmessage(None);
            worker.set_onerror(None);
            worker.terminate();
        }
        self.drop_waiting();
    }

    /// Forgets what it was asked.
    pub fn drop_waiting(&mut self) {
        self.queue.clear();
        self.awaited = None;
        self.loaded = Loaded::default();
    }

    /// Sends a command; files that the lab has inside itself travel with the command that names them.
    pub fn send(&self, command: &Value, file: Option<File>, host: &Rc<Host>) {
        let Some(worker) = self.worker.clone() else { return };
        let message = Object::new();
        let _ = Reflect::set(&message, &"message".into(), &command.to_string().into());
        let _ = Reflect::set(&message, &"files".into(), &Array::new());
        let named = match (&command["files"], &command["file"]) {
            (Value::Array(names), _) => names.iter().filter_map(Value::as_str).map(JsValue::from).collect(),
            (_, Value::String(name)) => Array::of1(&name.as_str().into()),
            _ => Array::new(),
        };
        if file.is_none() && named.length() > 0 {
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
        if let Some(file) = file {
            let _ = Reflect::set(&message, &"files".into(), &Array::of1(&file));
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
