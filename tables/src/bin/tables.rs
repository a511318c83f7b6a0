//! What opens spreadsheets, Parquet files and archives for the page: `public/tables_worker.js` loads it when there is one.

/// The file of these bytes, opened, as bytes again.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen::prelude::wasm_bindgen]
pub fn open_table(bytes: &[u8]) -> Vec<u8> {
    lorakeet_tables::open(bytes).to_bytes()
}

fn main() {}
