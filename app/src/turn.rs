//! One trainer at a time over all tabs and labs of this site, and a screen that stays on while it trains (`turn.js`).

use lorakeet_core::protocol::{RunRecord, StoredRun, Sweep};
use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/src/turn.js")]
extern "C" {
    #[wasm_bindgen(js_name = takeTurn)]
    async fn take_turn(steal: bool, lost: &JsValue) -> JsValue;
    /// Lets another tab train.
    #[wasm_bindgen(js_name = endTurn)]
    pub fn end();
    /// Whether the browser can keep the screen on.
    #[wasm_bindgen(js_name = canKeepAwake)]
    pub fn can_keep_awake() -> bool;
    /// Keeps the screen on, or lets it go off.
    #[wasm_bindgen(js_name = keepAwake)]
    pub fn keep_awake(wanted: bool);
}

/// What is started once it is this page's turn.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// A run with the settings of the page.
    Run,
    /// A stored run.
    Stored(Box<StoredRun>),
    /// A stored run that went wrong, from a checkpoint that was good, at this step or before it.
    Back(Box<RunRecord>, usize),
    /// A sweep, or one that goes on.
    Sweep(Box<Sweep>),
}

/// Whether it is this page's turn to train now; `steal` takes it from another tab, which then stops. `lost` is called when it is
/// taken from here.
pub async fn take(steal: bool, lost: impl FnOnce() + 'static) -> bool {
    let lost = Closure::once_into_js(lost);
    take_turn(steal, &lost).await.as_bool().unwrap_or(true)
}
