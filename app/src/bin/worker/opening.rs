//! Data files that have to be opened before they are read: `public/engine.js` loads what opens them (`tables/`) when there is one.

use crate::DroppedFile;
use lorakeet_core::data::{check_size, is_packed};
use lorakeet_core::store::{ReadAt, Source};
use lorakeet_core::{Error, Result};
use lorakeet_i18n::messages::page as msg;
use lorakeet_i18n::messages::tables::SaveAgain;
use std::rc::Rc;
use wasm_bindgen::prelude::*;
use web_sys::File;

#[wasm_bindgen]
extern "C" {
    /// Of `public/engine.js`: the opened file, under the same name.
    #[wasm_bindgen(js_name = openTable, catch)]
    async fn open_table(file: &File) -> Result<JsValue, JsValue>;
}

/// The files as they are read: those that have to be, opened.
///
/// # Errors
/// A file that is gone or too large; what opens files cannot be loaded, or broke off.
pub async fn opened(files: Vec<File>) -> Result<Vec<Source>> {
    let mut sources = Vec::with_capacity(files.len());
    for file in files {
        let mut source = DroppedFile {
            name: file.name(),
            file,
        };
        let start = source.read_at(0, source.len_bytes().min(4) as usize).await?;
        if is_packed(&start) {
            check_size(&source.name, source.len_bytes())?;
            source.file = open(&source).await?;
        }
        sources.push(Rc::new(source) as Source);
    }
    Ok(sources)
}

async fn open(source: &DroppedFile) -> Result<File> {
    let failed = |error: JsValue| {
        let error = error.as_string().unwrap_or_default();
        let error = Error::data(msg::NotOpened { error }).file(&source.name);
        error.remedy(SaveAgain)
    };
    let opened = open_table(&source.file).await.map_err(failed)?;
    opened.dyn_into().map_err(failed)
}
