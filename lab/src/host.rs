//! What the lab needs of the place that it is shown in: `public/lab_page.js`, in an iframe or inside another page.

use js_sys::{Array, Promise};
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// The object that `lab_page.js` hands over.
    pub type Host;

    /// Sends a message to the page around the lab; `fields` is an object.
    #[wasm_bindgen(method)]
    pub fn post(this: &Host, kind: &str, fields: &JsValue);

    /// Answers a call of that page with a value or a file.
    #[wasm_bindgen(method)]
    pub fn reply(this: &Host, id: f64, value: &JsValue);

    /// Answers a call with what went wrong.
    #[wasm_bindgen(method)]
    pub fn refuse(this: &Host, id: f64, message: &str);

    /// The origin of an address that is neither the lab's nor that of the page around it.
    #[wasm_bindgen(method)]
    pub fn foreign(this: &Host, address: &str) -> Option<String>;

    /// The text of a file beside the lab, as a promise.
    #[wasm_bindgen(method)]
    pub fn text(this: &Host, path: &str) -> Promise;

    /// Files to send with a command that names them: those that the lab has inside itself, or a promise of none where the
    /// engine fetches them.
    #[wasm_bindgen(method)]
    pub fn files(this: &Host, paths: Array) -> Promise;

    /// A worker with the engine, as a promise.
    #[wasm_bindgen(method)]
    pub fn worker(this: &Host) -> Promise;

    /// Becomes the one lab that trains; a promise of whether that is so. `take` ends another's turn.
    #[wasm_bindgen(method)]
    pub fn lock(this: &Host, take: bool) -> Promise;

    /// Lets others train.
    #[wasm_bindgen(method)]
    pub fn unlock(this: &Host);

    /// The address of the lab with this state.
    #[wasm_bindgen(method)]
    pub fn address(this: &Host, state: &str) -> String;

    /// Offers a text as a file.
    #[wasm_bindgen(method)]
    pub fn save(this: &Host, name: &str, text: &str);
}
