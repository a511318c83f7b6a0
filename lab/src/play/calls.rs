//! What the page around the lab asks for: methods and properties of the element, answered through the host.

use super::Lab;
use crate::model::Phase;
use crate::{json, options, zip};
use js_sys::{Array, ArrayBuffer, Uint8Array};
use lorakeet_core::lesson::{At, RunResults};
use serde_json::{Map, Value, json};
use wasm_bindgen::JsValue;
use web_sys::Blob;

/// The most tokens that `predict` adds to a text.
const PREDICTED_TOKENS: u32 = 48;

impl Lab {
    /// A method of the element.
    pub fn call(&self, id: f64, method: &str, arguments: &str) {
        let arguments = json::parse(arguments);
        let first = || arguments[0].as_str().unwrap_or_default().to_owned();
        let phase = self.model.borrow().phase;
        match method {
            "start" => match phase {
                Phase::Idle | Phase::Failed => self.start(),
                Phase::Paused => self.resume(),
                _ => self.train(false, false),
            },
            "pause" => self.pause(),
            "step" => {
                let count = arguments[0].as_u64().unwrap_or(1).max(1);
                if phase == Phase::Paused || self.model.borrow().can_train() {
                    self.memory.borrow_mut().step_limit.ask(count);
                }
                match phase {
                    Phase::Paused => self.resume(),
                    _ => self.train(false, false),
                }
            }
            "toURL" => {
                let state = self.model.borrow().state_text();
                return self.host.reply(id, &self.host.address(&state).into());
            }
            "destroy" => self.end(),
            "reset" => {
                if let Some(seed) = arguments[0]["seed"].as_u64() {
                    self.change(|model| model.options.state.set(options::SEED, Some(&seed.to_string())));
                }
                self.forget();
            }
            "setKnob" => {
                if let Some(reason) = self.model.borrow().is_fixed() {
                    return self.host.refuse(id, reason);
                }
                let value = match &arguments[1] {
                    value @ (Value::Array(_) | Value::Object(_)) => json::text(value),
                    value => options::plain_text(value),
                };
                let knob = options::knob_name(&first());
                self.change(|model| drop(model.settings.insert(knob, value)));
                self.tell_state();
            }
            "predict" => {
                let (prompt, options) = (
                    json!({ "text": first() }),
                    json!({ "max_new_tokens": PREDICTED_TOKENS }),
                );
                let command =
                    json!({ "type": "generate", "id": 1, "prompt": prompt, "options": options, "adapter": true });
                return self.ask_for(id, "generated", &command);
            }
            "exportAdapter" if matches!(first().as_str(), "" | "peft") => {
                return self.ask_for(id, "file", &json!({ "type": "export_adapter" }));
            }
            "exportAdapter" if first() == "gguf" => {
                let command = json!({ "type": "export", "about": "write", "form": "gguf-adapter" });
                return self.ask_for(id, "export", &command);
            }
            "exportAdapter" => {
                let said = format!("exportAdapter writes \"peft\" or \"gguf\", not \"{}\"", first());
                return self.host.refuse(id, &said);
            }
            "exportAnswers" => {
                let text = self.model.borrow().answers_csv();
                let blob = Blob::new_with_str_sequence(&Array::of1(&text.into())).map(JsValue::from);
                return self.host.reply(id, &blob.unwrap_or(JsValue::NULL));
            }
            other => return self.host.refuse(id, &format!("there is no method {other}")),
        }
        self.host.reply(id, &JsValue::NULL);
    }

    /// Asks the engine for something that a call waits for. It is served at once, also within a run; an export in GGUF's format is
    /// served after it.
    fn ask_for(&self, id: f64, ends: &'static str, command: &Value) {
        let refusal = {
            let (model, wire) = (self.model.borrow(), self.wire.borrow());
            let words = model.words();
            match model.phase {
                _ if wire.recording.is_some() => Some(words.no_model),
                Phase::Idle | Phase::Loading | Phase::Failed => Some(words.not_loaded),
                _ if wire.calls.iter().any(|(known, _)| *known == ends) => Some(words.call_open),
                _ => None,
            }
        };
        if let Some(refusal) = refusal {
            return self.host.refuse(id, refusal);
        }
        self.wire.borrow_mut().calls.push((ends, id));
        self.wire.borrow().send(command, &Array::new(), &self.host);
    }

    /// The text that a call waits for.
    pub(super) fn keep_text(&self, text: &str) {
        let call = self.wire.borrow_mut().answered_call("generated");
        if let Some(id) = call {
            self.host.reply(id, &text.into());
        }
    }

    /// A file of the adapter; the last one, its weights, ends the call that waits for both.
    pub(super) fn keep_file(&self, name: String, bytes: Option<ArrayBuffer>) {
        let bytes = bytes.map(|buffer| Uint8Array::new(&buffer).to_vec());
        let is_last = name.ends_with(".safetensors");
        let files = {
            let mut memory = self.memory.borrow_mut();
            memory.exported.push((name, bytes.unwrap_or_default()));
            if !is_last {
                return;
            }
            std::mem::take(&mut memory.exported)
        };
        let call = self.wire.borrow_mut().answered_call("file");
        if let Some(id) = call {
            self.reply_file(id, &zip::pack(&files));
        }
    }

    /// A piece of a file of an export; files come one after the other.
    pub(super) fn keep_piece(&self, path: String, bytes: Option<ArrayBuffer>) {
        let bytes = bytes
            .map(|buffer| Uint8Array::new(&buffer).to_vec())
            .unwrap_or_default();
        let exported = &mut self.memory.borrow_mut().exported;
        match exported.last_mut() {
            Some((known, content)) if *known == path => content.extend(bytes),
            _ => exported.push((path, bytes)),
        }
    }

    /// The export is complete: its GGUF file answers the call that waits for it.
    pub(super) fn finish_export(&self) {
        let files = std::mem::take(&mut self.memory.borrow_mut().exported);
        let call = self.wire.borrow_mut().answered_call("export");
        let file = files.into_iter().find(|(path, _)| path.ends_with(".gguf"));
        if let Some(id) = call {
            self.reply_file(id, &file.map(|(_, bytes)| bytes).unwrap_or_default());
        }
    }

    fn reply_file(&self, id: f64, bytes: &[u8]) {
        let bytes = Uint8Array::from(bytes);
        let blob = Blob::new_with_u8_array_sequence(&Array::of1(&bytes)).map(JsValue::from);
        self.host.reply(id, &blob.unwrap_or(JsValue::NULL));
    }

    /// A property of the element.
    pub fn get(&self, id: f64, what: &str) {
        let model = self.model.borrow();
        let value = match what {
            "state" => json!(model.state_text()),
            "phase" => json!(model.phase.name()),
            "device" => json!(model.device.told()),
            "metrics" => {
                let run = |(name, run): (&String, &crate::record::RunRecord)| (name.clone(), metrics(&run.results));
                Value::Object(model.runs.iter().map(run).collect())
            }
            other => {
                let said = format!("get takes state, phase, device or metrics, not {other}");
                return self.host.refuse(id, &said);
            }
        };
        self.host.reply(id, &json::to_js(&value));
    }
}

/// What a run has measured at its end.
fn metrics(results: &RunResults) -> Value {
    const NAMES: [&str; 7] = [
        "loss",
        "eval_loss",
        "perplexity",
        "accuracy",
        "steps",
        "seconds",
        "diverged",
    ];
    let known = |name: &str| Some((name.to_owned(), json!(results.value(name, At::End)?)));
    Value::Object(NAMES.into_iter().filter_map(known).collect::<Map<_, _>>())
}
