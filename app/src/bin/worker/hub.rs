//! The browser's network for models from a hub: `public/hub.js`, which `public/engine.js` loads when it is asked for.

use js_sys::{Array, Uint8Array};
use lorakeet_core::hub::{Body, Fetch, Reply, Request, Unreachable};
use lorakeet_core::store::LocalFuture;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    /// Of `public/engine.js`.
    #[wasm_bindgen(js_name = askHub, catch)]
    async fn ask_hub(address: &str, range: Option<String>, token: Option<String>) -> Result<JsValue, JsValue>;
    /// The same.
    #[wasm_bindgen(js_name = letPass, catch)]
    async fn let_pass(ms: u32) -> Result<JsValue, JsValue>;

    type Answer;
    #[wasm_bindgen(method, getter)]
    fn status(this: &Answer) -> u16;
    #[wasm_bindgen(method, getter)]
    fn url(this: &Answer) -> String;
    #[wasm_bindgen(method, getter)]
    fn headers(this: &Answer) -> Array;
    #[wasm_bindgen(method, catch)]
    async fn read(this: &Answer) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(method)]
    fn cancel(this: &Answer);
}

/// Requests by the browser's `fetch`.
pub struct BrowserFetch;

fn unreachable(error: &JsValue) -> Unreachable {
    let error: Option<&js_sys::Error> = error.dyn_ref();
    Unreachable(error.map_or_else(|| "no reason was given".to_owned(), |error| error.message().into()))
}

impl Fetch for BrowserFetch {
    fn get<'a>(&'a self, request: &'a Request) -> LocalFuture<'a, Result<Reply, Unreachable>> {
        Box::pin(async move {
            let range = request.range.as_ref();
            let range = range.map(|range| format!("bytes={}-{}", range.start, range.end.saturating_sub(1)));
            let token = request.token.as_ref().map(|token| token.0.trim().to_owned());
            let answer = ask_hub(&request.url, range, token).await;
            let answer: Answer = answer.map_err(|error| unreachable(&error))?.unchecked_into();
            let texts: Vec<String> = answer.headers().iter().filter_map(|text| text.as_string()).collect();
            let headers = texts
                .chunks_exact(2)
                .map(|pair| (pair[0].to_ascii_lowercase(), pair[1].clone()));
            Ok(Reply {
                status: answer.status(),
                url: answer.url(),
                headers: headers.collect(),
                body: Box::new(BrowserBody(answer)),
            })
        })
    }
    fn wait(&self, ms: u32) -> LocalFuture<'_, ()> {
        // It throws nothing.
        Box::pin(async move { drop(let_pass(ms).await) })
    }
}

/// What comes; ended when it is dropped.
struct BrowserBody(Answer);

impl Drop for BrowserBody {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Body for BrowserBody {
    fn next(&mut self) -> LocalFuture<'_, Result<Option<Vec<u8>>, Unreachable>> {
        Box::pin(async move {
            let read = self.0.read().await.map_err(|error| unreachable(&error))?;
            let bytes: Option<Uint8Array> = read.dyn_into().ok();
            Ok(bytes.map(|bytes| bytes.to_vec()))
        })
    }
}
