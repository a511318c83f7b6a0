//! Runs in a frame that may be loaded anew, as by a move in the page: the page around the lab keeps what they have said, what is still
//! to be trained and the newest checkpoint, and hands it to the next frame, which goes on from there to the same numbers. Without
//! a checkpoint a run begins again, which gives the same numbers, too. No storage is needed.

use super::Lab;
use crate::document::now_ms;
use crate::events::{self, Heard};
use crate::json;
use crate::model::{OWN, Phase};
use crate::options;
use crate::record::RunRecord;
use crate::wire::{Ask, RunAsk};
use js_sys::{Array, ArrayBuffer, Object, Reflect};
use lorakeet_core::lesson::Measured;
use serde_json::{Map, Value, json};
use wasm_bindgen::prelude::*;
use web_sys::File;

/// Milliseconds of training between two checkpoints: what a move costs at most.
const CHECKPOINT_INTERVAL_MS: f64 = 5000.0;

/// The file of a checkpoint that comes last.
const LAST_FILE: &str = "manifest.json";

/// What a run has said: the engine's JSON, and its wording where it has one.
type Words = Vec<(String, Option<String>)>;

/// What is kept of the runs, for the page around the lab.
#[derive(Default)]
pub(super) struct KeptRuns {
    /// What each run has said, by its name. (Another type of map would be some kB of the lab's program.)
    said: Vec<(String, Words)>,
    /// The run under way.
    current: Option<RunAsk>,
    /// Its newest checkpoint.
    checkpoint: Option<RunCheckpoint>,
    /// Files of one that is on its way.
    arriving: Array,
    /// Whether one is asked for, and when the last one came, or the run began.
    is_asked: bool,
    came_ms: f64,
    /// Seconds that the run under way has trained elsewhere.
    seconds_before: f64,
    /// Whether the run under way went on from elsewhere.
    is_continued: bool,
    /// What another frame has left: all of it, and as files its checkpoint.
    left: Option<Left>,
    /// Where the next run goes on from.
    goes_on: Option<GoesOn>,
}

/// A checkpoint of the run under way.
struct RunCheckpoint {
    /// Objects with `name` and `bytes`.
    files: Array,
    /// How much of what the run has said is from before it.
    said: usize,
    /// Seconds of training before it.
    seconds: f64,
}

/// What another frame has left.
struct Left {
    kept: Value,
    /// Of its checkpoint, as in [`RunCheckpoint`].
    files: Array,
    /// Whether what was done is shown here; the runs that are to be trained wait for the engine.
    is_shown: bool,
}

/// Where a run goes on from.
pub(super) struct GoesOn {
    /// The checkpoint's, as in [`RunCheckpoint`]; none of a recorded run.
    files: Array,
    /// Whether it is to hold.
    pub(super) holds: bool,
}

impl GoesOn {
    /// The checkpoint's files as the engine takes them.
    pub(super) fn files(&self) -> Array {
        let file = |file: JsValue| {
            let name = Reflect::get(&file, &"name".into()).ok()?.as_string()?;
            let bytes = Reflect::get(&file, &"bytes".into()).ok()?;
            File::new_with_buffer_source_sequence(&Array::of1(&bytes), &name).ok()
        };
        self.files.iter().filter_map(file).collect()
    }
}

impl KeptRuns {
    /// Whether runs that another frame has begun are still to be trained.
    pub(super) fn has_left(&self) -> bool {
        self.left.as_ref().is_some_and(|left| left.is_shown)
    }

    /// A run begins: from its first step, or where another frame has left it. Gives what is known of that.
    pub(super) fn begin(&mut self, run: RunAsk, now_ms: f64) -> Option<GoesOn> {
        let goes_on = self.goes_on.take();
        self.is_continued = goes_on.is_some();
        if goes_on.is_none() {
            self.put(run.name.clone(), Vec::new());
            self.seconds_before = 0.0;
        }
        self.checkpoint = goes_on.as_ref().map(|goes_on| RunCheckpoint {
            files: goes_on.files.clone(),
            said: self.count(&run.name),
            seconds: self.seconds_before,
        });
        self.current = Some(run);
        (self.is_asked, self.came_ms) = (false, now_ms);
        self.arriving = Array::new();
        goes_on
    }

    /// Seconds that the run that begins has trained elsewhere.
    pub(super) fn seconds_before(&self) -> f64 {
        self.seconds_before
    }

    /// How much a run has said.
    pub(super) fn count(&self, name: &str) -> usize {
        let found = self.said.iter().find(|(known, _)| known == name);
        found.map_or(0, |(_, words)| words.len())
    }

    /// Keeps this of a run, and nothing else.
    fn put(&mut self, name: String, words: Words) {
        self.said.retain(|(known, _)| *known != name);
        self.said.push((name, words));
    }

    /// Keeps what a run has said, unless it was forgotten meanwhile.
    fn add(&mut self, name: &str, text: String, said: Option<String>) {
        let found = self.said.iter_mut().find(|(known, _)| known == name);
        if let Some((_, words)) = found {
            words.push((text, said));
        }
    }

    /// Whether a run that went on says once more what is known of it.
    pub(super) fn is_told_again(&self, heard: &Heard) -> bool {
        self.is_continued && matches!(heard, Heard::Measured(Measured::Started(_) | Measured::Baseline(_)))
    }

    /// Forgets the runs that another frame has left to be trained.
    pub(super) fn drop_left(&mut self) {
        (self.left, self.goes_on) = (None, None);
    }

    /// What the runs have said, as far as it counts: of one under way what is from before its checkpoint. A recorded one is shown
    /// on from where it is.
    fn runs(&self, current: Option<&str>, is_recorded: bool) -> Value {
        let of_run = |(name, said): &(String, Words)| {
            let upto = match current == Some(name.as_str()) && !is_recorded {
                true => self.checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.said),
                false => said.len(),
            };
            let said = said.iter().take(upto).map(|(text, said)| json!([text, said]));
            (name.clone(), said.collect())
        };
        Value::Object(self.said.iter().map(of_run).collect::<Map<_, _>>())
    }
}

impl Lab {
    /// Whether the page around the lab keeps its runs.
    pub(super) fn is_kept(&self) -> bool {
        self.model.borrow().options.is_set(options::KEEPS)
    }

    /// Keeps what a run has said.
    pub(super) fn keep_word(&self, name: &str, text: String, said: Option<String>) {
        if self.is_kept() {
            self.memory.borrow_mut().kept.add(name, text, said);
        }
    }

    /// Asks for a checkpoint where one is due: some time after the last one, and where the run holds.
    pub(super) fn ask_checkpoint(&self) {
        let current = self.model.borrow().current.clone();
        let Some(name) = current.filter(|_| self.is_kept() && !self.is_recorded()) else {
            return;
        };
        let holds = self.model.borrow().phase == Phase::Paused;
        let is_due = {
            let kept = &self.memory.borrow().kept;
            let is_new = kept.checkpoint.as_ref().is_none_or(|one| one.said < kept.count(&name));
            !kept.is_asked && is_new && (holds || now_ms() - kept.came_ms >= CHECKPOINT_INTERVAL_MS)
        };
        if is_due {
            self.memory.borrow_mut().kept.is_asked = true;
            self.command("hand_over");
        }
    }

    /// A file of a checkpoint has come; with the last one the checkpoint is whole.
    pub(super) fn take_checkpoint_file(&self, name: &str, bytes: Option<ArrayBuffer>) {
        let current = self.model.borrow().current.clone();
        let Some(run) = current else { return };
        {
            let mut memory = self.memory.borrow_mut();
            let seconds = (now_ms() - memory.began_ms) / 1000.0;
            let kept = &mut memory.kept;
            let file = Object::new();
            // A plain object takes every key.
            let _ = Reflect::set(&file, &"name".into(), &name.into());
            let _ = Reflect::set(&file, &"bytes".into(), &bytes.map_or(JsValue::NULL, JsValue::from));
            kept.arriving.push(&file);
            if name != LAST_FILE {
                return;
            }
            kept.checkpoint = Some(RunCheckpoint {
                files: std::mem::take(&mut kept.arriving),
                said: kept.count(&run),
                seconds,
            });
            (kept.is_asked, kept.came_ms) = (false, now_ms());
        }
        self.hand_over();
    }

    /// Tells the page around the lab what it is to keep.
    pub(super) fn hand_over(&self) {
        // What another frame has left is not to be replaced before it is shown.
        if !self.is_kept() || self.memory.borrow().kept.left.is_some() {
            return;
        }
        let run = {
            let (model, memory, wire) = (self.model.borrow(), self.memory.borrow(), self.wire.borrow());
            let kept = &memory.kept;
            let current = kept.current.as_ref().filter(|_| model.current.is_some());
            let waiting = wire.queue.iter().filter_map(|ask| match ask {
                Ask::Train(run) => Some(run),
                Ask::Command { .. } => None,
            });
            let asked = current.into_iter().chain(waiting).map(RunAsk::to_json);
            let is_recorded = wire.recording.is_some();
            let checkpoint = kept.checkpoint.as_ref().filter(|_| current.is_some());
            let run = json::to_js(&json!({
                "lesson": model.lesson.as_ref().map(|lesson| &lesson.id),
                "runs": kept.runs(current.map(|run| run.name.as_str()), is_recorded),
                "asked": asked.collect::<Vec<_>>(),
                "isUnderWay": current.is_some(),
                "isRecorded": is_recorded,
                "isOwn": memory.is_own,
                "holds": model.phase == Phase::Paused && !model.is_unseen,
                "secondsBefore": checkpoint.map_or(0.0, |checkpoint| checkpoint.seconds),
                "seconds": model.seconds,
                "rows": model.rows,
                "explanation": model.answers.explanation,
                "isExplained": model.answers.is_explained,
            }));
            let files = checkpoint
                .map(|checkpoint| checkpoint.files.clone())
                .unwrap_or_default();
            let _ = Reflect::set(&run, &"files".into(), &files);
            run
        };
        let fields = Object::new();
        let _ = Reflect::set(&fields, &"run".into(), &run);
        self.host.post("keep", &fields);
    }

    /// Goes on with what another frame has handed over.
    pub fn go_on(&self, run: &JsValue) {
        let files = Reflect::get(run, &"files".into()).ok();
        let files: Array = files.and_then(|files| files.dyn_into().ok()).unwrap_or_default();
        self.memory.borrow_mut().kept.left = Some(Left {
            kept: json::from_js(run),
            files,
            is_shown: false,
        });
        self.show_left();
    }

    /// Shows what was done in another frame, once the lesson is there.
    pub(super) fn show_left(&self) {
        let Some(lesson) = self.model.borrow().lesson.clone() else {
            return;
        };
        let left = {
            let kept = &mut self.memory.borrow_mut().kept;
            kept.left.take_if(|left| !left.is_shown)
        };
        let Some(mut left) = left.filter(|left| left.kept["lesson"] == *lesson.id) else {
            return;
        };
        let mut records = Vec::new();
        let known = |name: &String| name == OWN || lesson.runs.contains_key(name);
        for (name, said) in left.kept["runs"].as_object().into_iter().flatten() {
            if !known(name) {
                continue;
            }
            let mut record = RunRecord::default();
            let mut words = Vec::new();
            for word in said.as_array().into_iter().flatten() {
                let (text, said) = (
                    word[0].as_str().unwrap_or_default(),
                    word[1].as_str().map(str::to_owned),
                );
                match events::read(&json::parse(text)) {
                    Some(Heard::Failed(kind)) => {
                        record.fail(kind, said.as_deref().unwrap_or_default());
                    }
                    Some(heard) => record.take(heard, said.clone()),
                    None => {}
                }
                words.push((text.to_owned(), said));
            }
            self.memory.borrow_mut().kept.put(name.clone(), words);
            records.push((name.clone(), record));
        }
        let text = |key: &str| left.kept[key].as_str().map(str::to_owned);
        let (rows, explanation) = (text("rows"), text("explanation").unwrap_or_default());
        self.change(|model| {
            for (name, record) in records {
                model.runs.insert(name, record);
            }
            model.rows = rows;
            model.seconds = left.kept["seconds"].as_f64().unwrap_or(0.0);
            model.answers.explanation = explanation;
            model.answers.is_explained = left.kept["isExplained"] == true;
        });
        left.is_shown = true;
        if left.kept["asked"].as_array().is_some_and(|asked| !asked.is_empty()) {
            let mut memory = self.memory.borrow_mut();
            memory.is_own = left.kept["isOwn"] == true;
            memory.kept.left = Some(left);
        }
        self.settle();
    }

    /// Asks for the runs that another frame has left to be trained; whether there are any.
    pub(super) fn ask_left(&self) -> bool {
        let left = {
            let kept = &mut self.memory.borrow_mut().kept;
            kept.left.take_if(|left| left.is_shown)
        };
        let (Some(left), Some(lesson)) = (left, self.model.borrow().lesson.clone()) else {
            return false;
        };
        let is_recorded = self.is_recorded();
        let asked = left.kept["asked"].as_array().into_iter().flatten();
        let asked: Vec<RunAsk> = asked
            .filter_map(RunAsk::read)
            .filter(|run| lesson.runs.contains_key(&run.of))
            .collect();
        // One without a checkpoint begins again.
        let is_continued = match is_recorded {
            true => left.kept["isRecorded"] == true,
            false => left.files.length() > 0,
        };
        if left.kept["isUnderWay"] == true {
            let holds = left.kept["holds"] == true;
            let mut memory = self.memory.borrow_mut();
            memory.kept.seconds_before = left.kept["secondsBefore"].as_f64().unwrap_or(0.0);
            memory.kept.goes_on = is_continued.then(|| GoesOn {
                files: left.files.clone(),
                holds,
            });
        }
        for run in asked {
            self.ask_train(run);
        }
        self.next();
        true
    }
}
