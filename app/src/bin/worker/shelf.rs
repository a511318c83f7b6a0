//! The browser's private file system as a [`Shelf`]: `public/shelf.js`, which `public/engine.js` loads when it is asked for.

use crate::DroppedFile;
use js_sys::{Array, Function};
use lorakeet_core::store::{Claim, LocalFuture, Pieces, Shelf, Source};
use lorakeet_core::{Error, Result};
use lorakeet_i18n::messages::page as msg;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::{DomException, File};

#[wasm_bindgen]
extern "C" {
    /// Of `public/engine.js`: throws where there is no such file system.
    #[wasm_bindgen(js_name = openShelf, catch)]
    async fn open_shelf() -> Result<JsValue, JsValue>;

    type Files;
    #[wasm_bindgen(method, catch)]
    async fn folders(this: &Files) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, js_name = removeFolder, catch)]
    async fn remove_folder(this: &Files, folder: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn files(this: &Files, folder: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn open(this: &Files, folder: &str, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn create(this: &Files, folder: &str, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, js_name = goOn, catch)]
    async fn go_on(this: &Files, folder: &str, name: &str, from: f64) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn remove(this: &Files, folder: &str, name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn available(this: &Files) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn written(this: &Files, folder: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn claim(this: &Files, folder: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method, catch)]
    async fn claimed(this: &Files) -> Result<JsValue, JsValue>;

    type Growing;
    #[wasm_bindgen(method, catch)]
    fn append(this: &Growing, bytes: &[u8]) -> Result<(), JsValue>;
    #[wasm_bindgen(method, catch)]
    fn finish(this: &Growing) -> Result<(), JsValue>;
    #[wasm_bindgen(method)]
    fn close(this: &Growing);
}

/// The private file system; `None` where the browser gives the page none.
pub async fn open() -> Option<Rc<dyn Shelf>> {
    let files: Files = open_shelf().await.ok()?.unchecked_into();
    Some(Rc::new(BrowserShelf(files)))
}

struct BrowserShelf(Files);

fn failed(error: &JsValue) -> Error {
    let exception: Option<&DomException> = error.dyn_ref();
    let name = exception.map(DomException::name).unwrap_or_default();
    if name == "QuotaExceededError" {
        return Error::io(msg::StorageFull).remedy(msg::RemoveStoredRuns);
    }
    let error = exception.map_or_else(
        || format!("{error:?}"),
        |exception| format!("{name}: {}", exception.message()),
    );
    Error::io(msg::StorageFailed { error }).remedy(msg::TryAgainLater)
}

fn names(answer: Result<JsValue, JsValue>) -> Result<Vec<String>> {
    let answer = answer.map_err(|error| failed(&error))?;
    Ok(Array::from(&answer)
        .iter()
        .filter_map(|name| name.as_string())
        .collect())
}

impl Shelf for BrowserShelf {
    fn folders(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        Box::pin(async move { names(self.0.folders().await) })
    }
    fn remove_folder<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let removed = self.0.remove_folder(folder).await;
            removed.map(drop).map_err(|error| failed(&error))
        })
    }
    fn files<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<Vec<String>>> {
        Box::pin(async move { names(self.0.files(folder).await) })
    }
    fn open<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<Source>> {
        Box::pin(async move {
            let opened = self.0.open(folder, name).await;
            let file: File = opened.map_err(|error| failed(&error).file(name))?.unchecked_into();
            let name = name.to_owned();
            Ok(Rc::new(DroppedFile { name, file }) as Source)
        })
    }
    fn create<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        Box::pin(async move {
            let created = self.0.create(folder, name).await;
            let file = created.map_err(|error| failed(&error).file(name))?;
            Ok(Box::new(BrowserFile(file.unchecked_into())) as Box<dyn Pieces>)
        })
    }
    fn go_on<'a>(&'a self, folder: &'a str, name: &'a str, from: u64) -> LocalFuture<'a, Result<Box<dyn Pieces + 'a>>> {
        Box::pin(async move {
            let opened = self.0.go_on(folder, name, from as f64).await;
            let file = opened.map_err(|error| failed(&error).file(name))?;
            Ok(Box::new(BrowserFile(file.unchecked_into())) as Box<dyn Pieces>)
        })
    }
    fn remove<'a>(&'a self, folder: &'a str, name: &'a str) -> LocalFuture<'a, Result<()>> {
        Box::pin(async move {
            let removed = self.0.remove(folder, name).await;
            removed.map(drop).map_err(|error| failed(&error).file(name))
        })
    }
    fn claim<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Result<Option<Claim>>> {
        Box::pin(async move {
            let claimed = self.0.claim(folder).await.map_err(|error| failed(&error))?;
            let release: Option<Function> = claimed.dyn_into().ok();
            Ok(release.map(|release| Box::new(Release(release)) as Claim))
        })
    }
    fn claimed(&self) -> LocalFuture<'_, Result<Vec<String>>> {
        Box::pin(async move { names(self.0.claimed().await) })
    }
    fn available_bytes(&self) -> LocalFuture<'_, Option<u64>> {
        Box::pin(async move { self.0.available().await.ok()?.as_f64().map(|bytes| bytes as u64) })
    }
    fn written_ms<'a>(&'a self, folder: &'a str) -> LocalFuture<'a, Option<u64>> {
        Box::pin(async move { self.0.written(folder).await.ok()?.as_f64().map(|moment| moment as u64) })
    }
}

/// Gives a claim back.
struct Release(Function);

impl Drop for Release {
    fn drop(&mut self) {
        // It throws nothing.
        let _ = self.0.call0(&JsValue::NULL);
    }
}

/// A file that grows; others may open it once it is closed.
struct BrowserFile(Growing);

impl Drop for BrowserFile {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Pieces for BrowserFile {
    fn append<'a>(&'a mut self, bytes: &'a [u8]) -> LocalFuture<'a, Result<()>> {
        let appended = self.0.append(bytes).map_err(|error| failed(&error));
        Box::pin(std::future::ready(appended))
    }
    fn finish(&mut self) -> LocalFuture<'_, Result<()>> {
        let finished = self.0.finish().map_err(|error| failed(&error));
        Box::pin(std::future::ready(finished))
    }
}
