//! The lab: one lesson in a frame of 280 pixels or more. It is the page of `<lorakeet-lab>`.
//!
//! `public/lab_page.js` shows it and is its [`host::Host`]. A pupil walks through seven parts: [`model`] is what the lab knows,
//! [`view`] what it shows, as HTML text, [`play`] what a press, a word of the engine or a call of the page around it does. The
//! engine is the page's own, in a worker; where it cannot run, the lesson's recorded runs take its place. The program is small
//! (`xtask/src/page.rs` has the limit) because it uses no framework, reads the engine's events in part ([`events`]) and leaves
//! knobs and wordings to the engine. Pictures ([`pictures`]), curves and the way numbers are written are the full page's, too.

pub mod answers;
pub mod bundled_model;
pub mod curves;
pub mod events;
pub mod format;
pub mod host;
pub mod model;
pub mod options;
pub mod pictures;
pub mod play;
pub mod record;
pub mod view;
mod wire;
pub mod words;
pub mod zip;

use host::Host;
use play::Lab;
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
