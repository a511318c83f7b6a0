//! The lab's program: nothing happens until `public/lab_page.js` asks it to show a lab.

use lorakeet_lab::host::Host;
use lorakeet_lab::play::Lab;
use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;

/// A lab that is shown.
#[wasm_bindgen]
pub struct LabHandle {
    lab: Lab,
}

/// Shows a lab in `root`; `options` is a JSON object by the names of attributes.
#[wasm_bindgen]
pub fn mount_lab(root: HtmlElement, host: Host, options: &str) -> LabHandle {
    let lab = Lab::new(root, host, options);
    lab.open();
    LabHandle { lab }
}

#[wasm_bindgen]
impl LabHandle {
    /// The page around it has new options: the JSON object as at first.
    pub fn set_options(&self, options: &str) {
        self.lab.set_options(options);
    }

    /// A method of the element by its name, with the JSON array of its arguments; answered through the host.
    pub fn call(&self, id: f64, method: &str, arguments: &str) {
        self.lab.call(id, method, arguments);
    }

    /// A property of the element by its name; answered through the host.
    pub fn get(&self, id: f64, what: &str) {
        self.lab.get(id, what);
    }

    /// What the page around it has kept of the runs of another frame: the lab goes on with them.
    pub fn go_on(&self, kept: &JsValue) {
        self.lab.go_on(kept);
    }

    /// The lab is out of view for long, or in view again.
    pub fn set_seen(&self, is_seen: bool) {
        self.lab.set_seen(is_seen);
    }

    /// Another lab has taken the turn to train.
    pub fn lose_turn(&self) {
        self.lab.lose_turn();
    }

    /// Ends the worker and takes the lab out of its root.
    pub fn destroy(&self) {
        self.lab.end();
    }
}

/// The clone that this was compiled in: another one's build is not taken for this one's (`.cargo/config.toml`).
const _: Option<&str> = option_env!("LORAKEET_CLONE");

fn main() {}
