//! What was trained, on its way from the engine to the person: pieces go into files that the person chose (`export.js`), or
//! are put together by the browser for a download. No piece stays in this program.

use crate::download;
use crate::zip;
use js_sys::{Array, Promise, Reflect, Uint8Array};
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::protocol::{ExportCheck, ExportForm, ExportOption};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::page as msg;
use std::cell::RefCell;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, File};

/// The model card, which goes apart where the rest is one file.
pub const CARD: &str = "README.md";

#[wasm_bindgen(module = "/src/export.js")]
extern "C" {
    /// Whether the browser lets a person choose where files are written.
    #[wasm_bindgen(js_name = canPick)]
    pub fn can_pick() -> bool;
    /// Asks for it; to be called while a press is handled.
    fn pick(name: &str, is_file: bool) -> Promise;

    type Chosen;
    #[wasm_bindgen(method, getter)]
    fn name(this: &Chosen) -> String;
    #[wasm_bindgen(method)]
    fn take(this: &Chosen, path: &str, bytes: &Uint8Array, is_last: bool) -> Promise;
    #[wasm_bindgen(method)]
    fn settled(this: &Chosen) -> Promise;
    #[wasm_bindgen(method)]
    fn files(this: &Chosen) -> Promise;
    #[wasm_bindgen(method, js_name = giveUp)]
    fn give_up(this: &Chosen) -> Promise;
}

/// What an export is called, without an ending.
fn stem(form: ExportForm) -> &'static str {
    match form {
        ExportForm::Peft | ExportForm::GgufAdapter => "lorakeet-adapter",
        ExportForm::Merged => "lorakeet-merged",
        ExportForm::SentenceTransformers => "lorakeet-vectors",
        ExportForm::Gguf => "lorakeet-model",
        ExportForm::Mlx => "lorakeet-mlx",
    }
}

/// The name of a download.
fn file_name(form: ExportForm) -> String {
    let ending = if form.single_file().is_some() { "gguf" } else { "zip" };
    format!("{}.{ending}", stem(form))
}

fn refused(error: &JsValue) -> Error {
    let said = Reflect::get(error, &"message".into()).ok();
    let error = said.and_then(|said| said.as_string()).unwrap_or_default();
    Error::io(msg::NotWritten { error }).remedy(msg::WriteElsewhere)
}

/// Where an export goes.
pub enum Target {
    /// Into the browser's downloads.
    Download(RefCell<Download>),
    /// Into files that were chosen.
    Disk(Place),
}

/// Files that were chosen.
pub struct Place {
    chosen: Chosen,
    /// The one file that there is, unless it is a folder.
    single: Option<&'static str>,
}

/// What is put together for a download.
#[derive(Default)]
pub struct Download {
    /// The one file that it is; else it is an archive.
    single: Option<&'static str>,
    archive: zip::Archive,
    complete: Vec<Blob>,
    /// The complete files alone, to be read back.
    files: Vec<File>,
    /// The parts of the file that is not complete, their bytes and checksum.
    parts: Vec<Blob>,
    bytes: u64,
    checksum: u32,
}

impl Download {
    fn take(&mut self, path: &str, bytes: &Uint8Array, is_last: bool) -> Result<(), Error> {
        self.parts.push(blob(bytes)?);
        self.bytes += u64::from(bytes.length());
        if self.single.is_none() {
            self.checksum = zip::checksum(self.checksum, &bytes.to_vec());
        }
        if !is_last {
            return Ok(());
        }
        if self.single.is_none() {
            let header = self.archive.header(path, self.bytes, self.checksum);
            let header = header.ok_or_else(|| Error::io(msg::TooLargeForZip).file(path).remedy(msg::WriteElsewhere))?;
            self.complete.push(blob(&Uint8Array::from(&header[..]))?);
        }
        self.files.push(file(path, &self.parts)?);
        self.complete.append(&mut self.parts);
        (self.bytes, self.checksum) = (0, 0);
        Ok(())
    }

    fn end(&mut self, name: &str) -> Result<(), Error> {
        if self.single.is_none() {
            let end = std::mem::take(&mut self.archive).end();
            self.complete.push(blob(&Uint8Array::from(&end[..]))?);
        }
        let parts: Array = self.complete.iter().collect();
        let whole = Blob::new_with_blob_sequence(&parts).map_err(|error| refused(&error))?;
        download::save_blob(name, &whole);
        Ok(())
    }
}

/// Bytes in the browser's keeping, which moves them to the disk where they are many.
fn blob(bytes: &Uint8Array) -> Result<Blob, Error> {
    Blob::new_with_u8_array_sequence(&Array::of1(bytes)).map_err(|error| refused(&error))
}

/// A file of these parts, by its name without folders, in the browser's keeping like them.
fn file(path: &str, parts: &[Blob]) -> Result<File, Error> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let parts: Array = parts.iter().collect();
    File::new_with_blob_sequence(&parts, name).map_err(|error| refused(&error))
}

impl Target {
    fn single(&self) -> Option<&'static str> {
        match self {
            Self::Download(download) => download.borrow().single,
            Self::Disk(place) => place.single,
        }
    }

    /// Puts a piece away; gives the model card where it has no place beside the one file.
    ///
    /// # Errors
    /// The browser or the disk refuses.
    pub async fn take(&self, path: &str, bytes: &Uint8Array, is_last: bool) -> Result<Option<String>, Error> {
        if self.single().is_some_and(|file| file != path) {
            return Ok(Some(String::from_utf8_lossy(&bytes.to_vec()).into_owned()));
        }
        match self {
            Self::Download(download) => download.borrow_mut().take(path, bytes, is_last)?,
            Self::Disk(place) => {
                let taken = JsFuture::from(place.chosen.take(path, bytes, is_last)).await;
                taken.map_err(|error| refused(&error))?;
            }
        }
        Ok(None)
    }

    /// Completes once all pieces that came are put away, or refused.
    pub async fn settled(&self) {
        if let Self::Disk(place) = self {
            // It throws nothing.
            drop(JsFuture::from(place.chosen.settled()).await);
        }
    }

    /// The files that are complete, to be read back.
    ///
    /// # Errors
    /// The browser does not give them.
    pub async fn files(&self) -> Result<Vec<File>, Error> {
        match self {
            Self::Download(download) => Ok(download.borrow().files.clone()),
            Self::Disk(place) => {
                let files = JsFuture::from(place.chosen.files()).await;
                let files = Array::from(&files.map_err(|error| refused(&error))?);
                Ok(files.iter().filter_map(|file| file.dyn_into().ok()).collect())
            }
        }
    }

    /// Hands a download over, all of which is there.
    fn end(&self, form: ExportForm) -> Result<(), Error> {
        match self {
            Self::Download(download) => download.borrow_mut().end(&file_name(form)),
            Self::Disk(_) => Ok(()),
        }
    }
}

/// What came of an export.
#[derive(Clone)]
pub struct Taken {
    /// What it is called.
    pub name: String,
    /// The step whose weights it holds, and whether that is the best one.
    pub step: Option<(u64, bool)>,
    /// What there is to know.
    pub notes: Vec<Message>,
    /// What it is when it is read back.
    pub check: ExportCheck,
}

/// What is known of an export whose files are all there, before they are read back.
pub struct Written {
    /// The step whose weights it holds, and whether that is the best one.
    pub step: Option<(u64, bool)>,
    /// What there is to know.
    pub notes: Vec<Message>,
}

/// What can be exported, and what is on its way.
#[derive(Clone, Copy)]
pub struct Export {
    /// The forms, once the engine told of them.
    pub forms: RwSignal<Vec<ExportOption>>,
    /// Which of them is chosen.
    pub chosen: RwSignal<usize>,
    /// The licence that the person names for the model card.
    pub license: RwSignal<String>,
    /// What came of the last export.
    pub taken: RwSignal<Option<Taken>>,
    /// Its model card, where that goes apart.
    pub card: RwSignal<Option<String>>,
    /// Whether the files of the one under way are being read back.
    pub is_read_back: RwSignal<bool>,
    written: StoredValue<Option<Written>>,
    /// What is under way.
    pub wish: StoredValue<Option<ExportOption>>,
    /// Why the one under way cannot be put away.
    fault: StoredValue<Option<Error>>,
    target: StoredValue<Option<Rc<Target>>, LocalStorage>,
}

impl Export {
    /// Nothing yet.
    pub fn new() -> Self {
        Self {
            forms: RwSignal::new(Vec::new()),
            chosen: RwSignal::new(0),
            license: RwSignal::new(String::new()),
            taken: RwSignal::new(None),
            card: RwSignal::new(None),
            is_read_back: RwSignal::new(false),
            written: StoredValue::new(None),
            wish: StoredValue::new(None),
            fault: StoredValue::new(None),
            target: StoredValue::new_local(None),
        }
    }

    /// Forgets what was of another run.
    pub fn forget(self) {
        self.forms.set(Vec::new());
        self.taken.set(None);
        self.card.set(None);
        self.give_up();
    }

    /// Takes the forms; the first that is available is chosen, unless one is.
    pub fn hear(self, forms: Vec<ExportOption>) {
        let possible = |place: usize| forms.get(place).is_some_and(|option| option.problem.is_none());
        if !possible(self.chosen.get_untracked()) {
            self.chosen
                .set((0..forms.len()).find(|place| possible(*place)).unwrap_or(0));
        }
        self.forms.set(forms);
    }

    /// The chosen form, where it is available.
    pub fn option(self) -> Option<ExportOption> {
        let place = self.chosen.get();
        let option = self.forms.with(|forms| forms.get(place).cloned());
        option.filter(|option| option.problem.is_none())
    }

    /// Begins an export into the browser's downloads.
    pub fn begin_download(self, form: ExportForm) {
        let download = Download {
            single: form.single_file(),
            ..Download::default()
        };
        self.begin(Target::Download(RefCell::new(download)));
    }

    fn begin(self, target: Target) {
        self.taken.set(None);
        self.card.set(None);
        self.is_read_back.set(false);
        self.written.set_value(None);
        self.fault.set_value(None);
        self.target.set_value(Some(Rc::new(target)));
    }

    /// Asks the person where to, and begins an export there; `done` hears of it, or why there is none. Who asks for nothing after
    /// all gets none.
    pub fn pick(self, form: ExportForm, done: impl FnOnce(Result<(), Error>) + 'static) {
        let single = form.single_file();
        let asked = match single {
            Some(_) => pick(&file_name(form), true),
            None => pick(stem(form), false),
        };
        spawn_local(async move {
            match JsFuture::from(asked).await {
                Ok(chosen) => {
                    let chosen = chosen.unchecked_into();
                    self.begin(Target::Disk(Place { chosen, single }));
                    done(Ok(()));
                }
                Err(error) => {
                    let name = Reflect::get(&error, &"name".into())
                        .ok()
                        .and_then(|name| name.as_string());
                    if name.as_deref() != Some("AbortError") {
                        done(Err(refused(&error)));
                    }
                }
            }
        });
    }

    /// Where the export under way goes.
    pub fn target(self) -> Option<Rc<Target>> {
        self.target.get_value()
    }

    /// A piece could not be put away; whether it is the first.
    pub fn fail(self, error: Error) -> bool {
        let is_first = self.fault.with_value(Option::is_none);
        if is_first {
            self.fault.set_value(Some(error));
        }
        is_first
    }

    /// All pieces are there: gives their files, to be read back before they are handed over; none where nothing is under way any
    /// more.
    ///
    /// # Errors
    /// One of them could not be put away, or the browser refuses.
    pub async fn complete(self, written: Written) -> Result<Option<Vec<File>>, Error> {
        let Some(target) = self.target() else {
            return Ok(None);
        };
        target.settled().await;
        if let Some(error) = self.give_up_at_fault() {
            return Err(error);
        }
        let files = target.files().await?;
        // The engine may have gone away meanwhile.
        if self.target().is_none() {
            return Ok(None);
        }
        self.written.set_value(Some(written));
        self.is_read_back.set(true);
        Ok(Some(files))
    }

    /// They were read back: hands them over.
    ///
    /// # Errors
    /// The browser refuses.
    pub fn end(self, form: ExportForm, check: ExportCheck) -> Result<(), Error> {
        self.is_read_back.set(false);
        let Some(Written { step, notes }) = self.written.try_update_value(Option::take).flatten() else {
            return Ok(());
        };
        let Some(target) = self.target.try_update_value(Option::take).flatten() else {
            return Ok(());
        };
        target.end(form)?;
        let name = match &*target {
            Target::Disk(place) => place.chosen.name(),
            Target::Download(_) => file_name(form),
        };
        self.taken.set(Some(Taken {
            name,
            step,
            notes,
            check,
        }));
        Ok(())
    }

    fn give_up_at_fault(self) -> Option<Error> {
        match self.fault.with_value(Option::is_some) {
            true => self.give_up(),
            false => None,
        }
    }

    /// Takes away what is incomplete; gives why a piece could not be put away, where that is the reason.
    pub fn give_up(self) -> Option<Error> {
        self.is_read_back.set(false);
        self.written.set_value(None);
        if let Some(target) = self.target.try_update_value(Option::take).flatten()
            && let Target::Disk(place) = &*target
        {
            let removed = place.chosen.give_up();
            // It throws nothing.
            spawn_local(async move { drop(JsFuture::from(removed).await) });
        }
        self.fault.try_update_value(Option::take).flatten()
    }
}
