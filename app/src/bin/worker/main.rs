//! The worker: the engine behind the page's messages.
//!
//! Commands are answered one after the other by a [`Session`]; pause, resume, stop and cancel reach a run under way at once,
//! because the engine yields between steps and this file's message handler runs in between. Files arrive as the browser's
//! `File` objects and are read in slices; the page's own model and texts are fetched from beside the page. Runs that outlive the
//! page are kept in the browser's private file system (`shelf.rs`), and so are models from a hub (`hub.rs`). `public/engine.js` loads this code, and sees to what even a
//! panic cannot report.

mod hub;
mod opening;
mod shelf;

use js_sys::{Array, ArrayBuffer, Function, Object, Promise, Reflect, Uint8Array, WebAssembly::Memory};
use lorakeet_core::Error;
use lorakeet_core::config::RunConfig;
use lorakeet_core::device;
use lorakeet_core::error::Kind;
use lorakeet_core::host::{Control, Host};
use lorakeet_core::protocol::{Command, Event, ExportCommand, HubCommand, ModelInfo, Stage};
use lorakeet_core::session::Session;
use lorakeet_core::store::{LocalFuture, MemoryFile, ReadAt, Source};
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::page as msg;
use lorakeet_i18n::{Language, Message};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::PanicHookInfo;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    Blob, DedicatedWorkerGlobalScope, File, MessageChannel, MessageEvent, ReadableStreamDefaultReader, Response, Url,
};

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

/// What a run may take on a phone, whose browser ends the page without a word at about 1.4 GB.
const PHONE_BYTES: u64 = 1 << 30;

/// Bytes between two reports of a download.
const REPORT_BYTES: u64 = 200_000;

fn main() {
    std::panic::set_hook(Box::new(last_words));
    if is_phone(&scope().navigator().user_agent().unwrap_or_default()) {
        device::limit_memory(PHONE_BYTES);
    }
    let mut session = Session::new(Host { now_ms, yield_now });
    session.fetch = Some(Rc::new(hub::BrowserFetch));
    // A lab may be in a frame that is loaded anew, and have no storage.
    session.hands_over = true;
    let queue = Rc::new(CommandQueue {
        control: session.control(),
        session: RefCell::new(Some(session)),
        waiting: RefCell::new(VecDeque::new()),
        trains: Cell::new(false),
        searches: Cell::new(false),
        is_shelf_open: Cell::new(false),
    });
    let receive = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| queue.receive(&event.data()));
    scope().set_onmessage(Some(receive.as_ref().unchecked_ref()));
    // It listens as long as the worker lives.
    receive.forget();
    post(&Event::Ready, None, false);
}

/// Whether a browser that calls itself so runs on a phone.
fn is_phone(user_agent: &str) -> bool {
    let has = |word| user_agent.contains(word);
    has("iPhone") || has("iPod") || has("Android") && has("Mobile")
}

/// Where commands arrive.
struct CommandQueue {
    control: Control,
    /// Away while a command is being answered.
    session: RefCell<Option<Session>>,
    waiting: RefCell<VecDeque<(Command, Vec<File>)>>,
    /// Whether a run is under way.
    trains: Cell<bool>,
    /// Whether a search for a learning rate is, or work on files that can be stopped as well.
    searches: Cell<bool>,
    /// Whether the private file system was asked for, which is done when it is needed.
    is_shelf_open: Cell<bool>,
}

impl CommandQueue {
    fn receive(self: &Rc<Self>, data: &JsValue) {
        let field = |name: &str| Reflect::get(data, &name.into()).unwrap_or(JsValue::UNDEFINED);
        // A front end that has no wordings of its own says which language it wants them in.
        if let Some(tag) = field("language").as_string() {
            return LANGUAGE.set(Some(Language::from_tag(&tag)));
        }
        let command = match read_command(&field("message").as_string().unwrap_or_default()) {
            Ok(command) => command,
            Err(error) => return post(&Event::Failed(error), None, false),
        };
        match command {
            Command::Pause => self.control.pause(),
            Command::Resume => self.control.resume(),
            // One that comes too late would end the next run.
            Command::Stop if !self.runs() => {}
            Command::Stop => self.control.stop(),
            Command::CancelGenerate => self.control.cancel_generate(),
            Command::CancelReading => self.control.cancel_reading(),
            Command::Hub(HubCommand::Cancel) => self.control.cancel_download(),
            Command::Export(ExportCommand::Cancel) => self.control.cancel_export(),
            Command::Export(ExportCommand::Taken) => self.control.piece_taken(),
            // In the middle of a run these are served between two steps, and in a pause.
            Command::Generate { .. }
            | Command::Picture { .. }
            | Command::ExportAdapter
            | Command::SaveRun
            | Command::HandOver
                if self.trains.get() =>
            {
                self.control.request(command);
            }
            // All that a run came to is written when it ends.
            Command::SaveRun | Command::HandOver => {}
            command => {
                let files = Array::from(&field("files"))
                    .iter()
                    .filter_map(|file| file.dyn_into().ok())
                    .collect();
                self.waiting.borrow_mut().push_back((command, files));
                if let Some(session) = self.session.borrow_mut().take() {
                    spawn_local(self.clone().answer(session));
                }
            }
        }
    }

    /// Whether a run, a search, the scoring of baselines or work on files is under way or waits for its turn.
    fn runs(&self) -> bool {
        let is_run = |(command, _): &(Command, Vec<File>)| {
            matches!(
                command,
                Command::Train { .. } | Command::FindRate { .. } | Command::Baselines { .. } | Command::Files(_)
            )
        };
        self.trains.get() || self.searches.get() || self.waiting.borrow().iter().any(is_run)
    }

    async fn answer(self: Rc<Self>, mut session: Session) {
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let Some((command, files)) = next else { break };
            match with_sources(command, files).await {
                Ok((command, sources)) => {
                    if needs_shelf(&command) && !self.is_shelf_open.replace(true) {
                        session.shelf = shelf::open().await;
                    }
                    let mut emit = |event: Event, bytes: Option<Vec<u8>>| post(&event, bytes, false);
                    self.trains.set(matches!(command, Command::Train { .. }));
                    self.searches.set(matches!(
                        command,
                        Command::FindRate { .. } | Command::Baselines { .. } | Command::Files(_)
                    ));
                    session.handle(command, sources, &mut emit).await;
                    self.trains.set(false);
                    self.searches.set(false);
                }
                Err(error) => post(&Event::Failed(error), None, false),
            }
        }
        *self.session.borrow_mut() = Some(session);
    }
}

/// Whether a command is about runs or models that outlive the page.
fn needs_shelf(command: &Command) -> bool {
    match command {
        Command::Train { keep, .. } => keep.is_some(),
        command => matches!(
            command,
            Command::Runs
                | Command::ForgetRun { .. }
                | Command::ForgetCopy { .. }
                | Command::LabelRun { .. }
                | Command::RunCurves { .. }
                | Command::OpenRun { .. }
                | Command::Sweep(_)
                | Command::Hub(_)
        ),
    }
}

/// Reads a command. A front end without the table of knobs gives `settings` in place of `config`: they are read as a run file
/// is, so that what is not given follows from what is.
fn read_command(text: &str) -> Result<Command, Error> {
    let unreadable = |error: serde_json::Error| Error::internal(msg::CommandUnreadable { error });
    let mut command: Value = serde_json::from_str(text).map_err(unreadable)?;
    if let Some(settings) = command.get("settings").and_then(Value::as_object) {
        let config = RunConfig::from_settings(settings)?;
        command["config"] = serde_json::to_value(config).map_err(unreadable)?;
    }
    serde_json::from_value(command).map_err(unreadable)
}

/// The words of an event for a front end that has none itself.
fn wording(event: &Event, language: Language) -> Option<String> {
    match event {
        Event::Failed(error) => Some(error.message().text(language)),
        Event::Warning { message } => Some(message.text(language)),
        Event::Device(device) => device.note.as_ref().map(|note| note.text(language)),
        _ => None,
    }
}

/// The files of a command: those that came along, else those that it names beside the page.
async fn with_sources(mut command: Command, files: Vec<File>) -> Result<(Command, Vec<Source>), Error> {
    let is_of_data = matches!(
        command,
        Command::LoadData { .. } | Command::ScoreFile { .. } | Command::LoadValidation { .. }
    );
    let names: Vec<&mut String> = match &mut command {
        Command::LoadModel { files, .. } => files.iter_mut().collect(),
        Command::LoadData { file } | Command::ScoreFile { file } => vec![file],
        Command::LoadValidation { file } => file.iter_mut().collect(),
        Command::Train { .. } | Command::Export(ExportCommand::Check { .. }) | Command::Files(_) => {
            return Ok((command, dropped(files)));
        }
        _ => return Ok((command, Vec::new())),
    };
    if !files.is_empty() {
        let sources = match is_of_data {
            true => opening::opened(files).await?,
            false => dropped(files),
        };
        return Ok((command, sources));
    }
    let mut sources = Vec::new();
    for name in names {
        let bytes = download(name).await?;
        // From here on it is known by its name without the folder.
        if let Some((_, last)) = name.rsplit_once('/') {
            *name = last.to_owned();
        }
        sources.push(Rc::new(MemoryFile::new(name.clone(), bytes)) as Source);
    }
    Ok((command, sources))
}

/// Files that came along.
fn dropped(files: Vec<File>) -> Vec<Source> {
    let source = |file: File| {
        Rc::new(DroppedFile {
            name: file.name(),
            file,
        }) as Source
    };
    files.into_iter().map(source).collect()
}

/// The address of a file that lies beside the page or in a folder there; `None` for any other: what is asked of other machines
/// is asked of a hub that a person named (`hub.rs`). The browser itself says where a name leads: it takes out tabs, and reads `%2e%2e` as two dots.
fn beside_the_page(path: &str) -> Option<String> {
    // A worker that was started from a blob has no folder of its own: engine.js knows where it lies.
    let own = Reflect::get(&js_sys::global(), &"engineAddress".into())
        .ok()?
        .as_string()?;
    let folder = Url::new_with_base(".", &own).ok()?.href();
    let file = Url::new_with_base(path, &own).ok()?.href();
    // The folder's address begins with its origin and ends with a slash.
    file.starts_with(&folder).then_some(file)
}

/// A file beside the page, with progress.
async fn download(path: &str) -> Result<Vec<u8>, Error> {
    let failed = |what: Message| Error::io(what).file(path).remedy(msg::CheckConnection);
    let address = beside_the_page(path).ok_or_else(|| Error::io(msg::NotOfPage).file(path))?;
    let response = JsFuture::from(scope().fetch_with_str(&address)).await;
    let response: Response = response
        .and_then(|response| response.dyn_into())
        .map_err(|_| failed(msg::NotFetched.into()))?;
    if !response.ok() {
        let status = response.status();
        return Err(failed(msg::ServerAnswered { status }.into()));
    }
    // With a content encoding the length is that of the packed bytes, which are not what the reader sees.
    let header = |name: &str| response.headers().get(name).ok().flatten();
    let total = match header("content-encoding") {
        Some(_) => 0,
        None => header("content-length")
            .and_then(|length| length.parse().ok())
            .unwrap_or(0),
    };
    let body = response.body().ok_or_else(|| failed(msg::NoContents.into()))?;
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    let mut reported = 0;
    loop {
        let chunk = JsFuture::from(reader.read())
            .await
            .map_err(|_| failed(msg::FetchBrokeOff.into()))?;
        let field = |name: &str| Reflect::get(&chunk, &name.into()).unwrap_or(JsValue::UNDEFINED);
        if field("done").is_truthy() {
            return Ok(bytes);
        }
        bytes.extend(Uint8Array::new(&field("value")).to_vec());
        let done = bytes.len() as u64;
        if done - reported >= REPORT_BYTES {
            reported = done;
            post(
                &Event::Progress {
                    stage: Stage::LoadModel,
                    done,
                    total,
                },
                None,
                false,
            );
        }
    }
}

/// What is read of a file at a time: the browser holds it once more until it collects its garbage.
const PIECE_BYTES: usize = 4 << 20;

/// What this worker's WebAssembly takes.
fn heap_bytes() -> u64 {
    let memory: Memory = wasm_bindgen::memory().unchecked_into();
    let buffer: ArrayBuffer = memory.buffer().unchecked_into();
    buffer.byte_length().into()
}

/// A file of the browser: one that the person dropped, or of the private file system. It stays on disk and is read in slices.
struct DroppedFile {
    name: String,
    file: File,
}

impl ReadAt for DroppedFile {
    fn name(&self) -> &str {
        &self.name
    }
    fn len_bytes(&self) -> u64 {
        self.file.size() as u64
    }
    fn read_at(&self, offset: u64, len: usize) -> LocalFuture<'_, lorakeet_core::Result<Vec<u8>>> {
        Box::pin(async move {
            let end = offset
                .checked_add(len as u64)
                .filter(|end| *end <= self.len_bytes())
                .ok_or_else(|| {
                    let what = common::EndsEarly {
                        end: self.len_bytes(),
                        wanted: len,
                        from: offset,
                    };
                    Error::format(what).file(&self.name).remedy(common::FileIncomplete)
                })?;
            let unreadable = |_: JsValue| Error::io(msg::FileGone).file(&self.name).remedy(msg::ChooseAgain);
            let blob: &Blob = self.file.unchecked_ref();
            let slice = blob
                .slice_with_f64_and_f64(offset as f64, end as f64)
                .map_err(unreadable)?;
            let mut bytes = vec![0; len];
            for (piece, target) in bytes.chunks_mut(PIECE_BYTES).enumerate() {
                let start = (piece * PIECE_BYTES) as f64;
                let end = start + target.len() as f64;
                let piece = slice.slice_with_f64_and_f64(start, end).map_err(unreadable)?;
                let buffer = JsFuture::from(piece.array_buffer()).await.map_err(unreadable)?;
                let piece = Uint8Array::new(&buffer);
                // A file that became shorter on the way.
                if piece.length() as usize != target.len() {
                    return Err(unreadable(JsValue::UNDEFINED));
                }
                piece.copy_to(target);
            }
            Ok(bytes)
        })
    }
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Sends an event to the page; the bytes are handed over, not copied.
fn post(event: &Event, bytes: Option<Vec<u8>>, fatal: bool) {
    let message = Object::new();
    let transfer = Array::new();
    let text = match event {
        Event::Model(info) => serde_json::to_string(&Event::Model(ModelInfo {
            heap_bytes: Some(heap_bytes()),
            ..info.clone()
        })),
        event => serde_json::to_string(event),
    };
    let text = text.unwrap_or_else(|error| {
        // serde_json refuses nothing that an event holds but numbers that are not finite inside keys, which there are none of.
        let message = msg::EventUnwritable { error }.into();
        serde_json::to_string(&Event::Warning { message }).unwrap_or_default()
    });
    let set = |name: &str, value: &JsValue| Reflect::set(&message, &name.into(), value);
    let mut complete = set("message", &text.into()).is_ok();
    if fatal {
        complete &= set("fatal", &JsValue::TRUE).is_ok();
    }
    if let Some(said) = LANGUAGE.get().and_then(|language| wording(event, language)) {
        complete &= set("said", &said.into()).is_ok();
    }
    if let Some(bytes) = bytes {
        let buffer: ArrayBuffer = Uint8Array::from(&bytes[..]).buffer();
        complete &= set("bytes", &buffer).is_ok();
        transfer.push(&buffer);
    }
    // A page that is gone hears nothing; there is nobody left to tell.
    if complete {
        let _ = scope().post_message_with_transfer(&message, &transfer);
    }
}

/// A panic's message to the page: what broke, in the words of whoever noticed, and of a kind that names a way out.
fn last_words(info: &PanicHookInfo) {
    console_error_panic_hook::hook(info);
    // What engine.js hears of the end that follows is no news.
    let _ = Reflect::set(&js_sys::global(), &"saidWhatBroke".into(), &JsValue::TRUE);
    let said = info.payload_as_str().unwrap_or("no reason was given");
    let first_line = said
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or(said);
    let lower = said.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let kind = if has(&["out of memory", "outofmemory", "memory allocation", "not enough memory"]) {
        Kind::OutOfMemory
    } else if has(&[
        "device lost",
        "device was lost",
        "device is lost",
        "no adapter",
        "adapter found",
    ]) {
        Kind::Device
    } else {
        Kind::Internal
    };
    let place = info
        .location()
        .map_or(String::new(), |place| format!(" ({}:{})", place.file(), place.line()));
    post(
        &Event::Failed(Error::new(kind, Message::verbatim(format!("{first_line}{place}")))),
        None,
        true,
    );
}

/// Milliseconds since the worker started.
fn now_ms() -> f64 {
    scope().performance().map_or(0.0, |performance| performance.now())
}

thread_local! {
    /// The language of words beside events, for a front end that has none itself.
    static LANGUAGE: Cell<Option<Language>> = const { Cell::new(None) };
    static TURNS: Option<Rc<MacrotaskQueue>> = MacrotaskQueue::new();
}

/// A way to let the worker's message queue run: a message to oneself is a task of its own behind those that wait.
/// (A timer would be held back by 4 ms after a few turns.)
struct MacrotaskQueue {
    channel: MessageChannel,
    waiting: RefCell<VecDeque<Function>>,
}

impl MacrotaskQueue {
    fn new() -> Option<Rc<Self>> {
        let turns = Rc::new(Self {
            channel: MessageChannel::new().ok()?,
            waiting: RefCell::new(VecDeque::new()),
        });
        let wake = Closure::<dyn FnMut()>::new({
            let turns = turns.clone();
            move || {
                let next = turns.waiting.borrow_mut().pop_front();
                if let Some(resolve) = next {
                    let _ = resolve.call0(&JsValue::NULL);
                }
            }
        });
        turns.channel.port1().set_onmessage(Some(wake.as_ref().unchecked_ref()));
        // It wakes as long as the worker lives.
        wake.forget();
        Some(turns)
    }
}

/// Completes after the messages that wait have been handled.
fn yield_now() -> LocalFuture<'static, ()> {
    Box::pin(async {
        let Some(turns) = TURNS.with(Clone::clone) else { return };
        let turn = Promise::new(&mut |resolve, _| turns.waiting.borrow_mut().push_back(resolve));
        if turns.channel.port2().post_message(&JsValue::NULL).is_ok() {
            let _ = JsFuture::from(turn).await;
        }
    })
}
