//! The page's end of the wire to the worker: commands and files out, events and bytes in.
//!
//! A message is an object with the JSON of one command or event under `message`; the browser's own `File` objects travel
//! under `files`, an exported file's bytes under `bytes`. `fatal` marks the worker's last words: after them only a new worker
//! answers.

use js_sys::{Array, ArrayBuffer, Object, Reflect};
use lorakeet_core::Error;
use lorakeet_core::protocol::{Command, Event};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::page as msg;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{File, MessageEvent, Worker, WorkerOptions, WorkerType};

/// The script that starts the engine, beside the page.
const SCRIPT: &str = "./engine.js";

/// What the wire brings.
pub enum Incoming {
    /// The engine speaks; bytes travel beside [`Event::File`].
    Event(Box<Event>, Option<ArrayBuffer>),
    /// The engine is gone and will not answer again.
    Fatal(Error),
}

/// A running worker. Dropping it ends the worker.
pub struct Client {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(web_sys::Event)>,
}

impl Client {
    /// Starts a worker; everything that it says goes to `receive`.
    ///
    /// # Errors
    /// The browser knows no module workers, or refuses to start one.
    pub fn start(receive: impl Fn(Incoming) + 'static) -> Result<Self, Error> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(SCRIPT, &options)
            .map_err(|_| Error::device(msg::NoModuleWorker).remedy(msg::CurrentBrowser))?;
        let receive = Rc::new(receive);
        let on_message = Closure::new({
            let receive = receive.clone();
            move |event: MessageEvent| receive(read(&event.data()))
        });
        let on_error = Closure::new(move |event: web_sys::Event| {
            event.prevent_default();
            // A script that could not be fetched is told by a plain event, which has no message.
            let message = Reflect::get(&event, &"message".into()).ok().and_then(|m| m.as_string());
            let what: Message = match message.filter(|message| !message.is_empty()) {
                Some(error) => msg::BrokeOff { error }.into(),
                None => msg::NotLoaded.into(),
            };
            receive(Incoming::Fatal(Error::internal(what)));
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        Ok(Self {
            worker,
            _on_message: on_message,
            _on_error: on_error,
        })
    }

    /// Sends a command, and the files that it names beside it.
    ///
    /// # Errors
    /// The browser refuses to pass the files on.
    pub fn send(&self, command: &Command, files: &[File]) -> Result<(), Error> {
        let text =
            serde_json::to_string(command).map_err(|error| Error::internal(Message::verbatim(error.to_string())))?;
        let message = Object::new();
        let refused = |_| Error::internal(msg::CommandNotPassed);
        Reflect::set(&message, &"message".into(), &text.into()).map_err(refused)?;
        Reflect::set(&message, &"files".into(), &files.iter().collect::<Array>()).map_err(refused)?;
        self.worker.post_message(&message).map_err(refused)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

fn read(data: &JsValue) -> Incoming {
    let field = |name: &str| Reflect::get(data, &name.into()).unwrap_or(JsValue::UNDEFINED);
    let Some(text) = field("message").as_string() else {
        return Incoming::Fatal(Error::internal(msg::NoText));
    };
    match serde_json::from_str(&text) {
        Ok(Event::Failed(error)) if field("fatal").is_truthy() => Incoming::Fatal(error),
        Ok(event) => Incoming::Event(Box::new(event), field("bytes").dyn_into().ok()),
        // A number that is not finite arrives as null, say: worth knowing, and no reason to give the engine up.
        Err(error) => {
            let message = msg::EventUnreadable { error }.into();
            Incoming::Event(Box::new(Event::Warning { message }), None)
        }
    }
}
