//! The audit of the data: asked for by itself, its remedies taken and undone; and any row looked at.

use super::PageState;
use crate::conversation::{Engine, Job};
use crate::loaded::DataSource;
use js_sys::{ArrayBuffer, Uint8Array};
use leptos::prelude::*;
use lorakeet_core::config::find;
use lorakeet_core::protocol::{AuditKind, Command};
use serde_json::Value;
use web_sys::File;

/// Of more rows, and of larger files, a person asks for the audit.
const MOST_ROWS: usize = 20_000;
const MOST_BYTES: f64 = 16e6;

/// The form of data that are not audited.
const NUMBERS: &str = "numbers";

impl PageState {
    /// Asks for an audit under the present settings; of much data only where a person wants it.
    pub fn ask_audit(self, is_wanted: bool) {
        self.worker.drop_waiting(Job::Audit);
        let rows = self.loaded.data.with_untracked(|data| {
            let of_texts = data.as_ref().filter(|data| data.form != NUMBERS);
            of_texts.map(|data| data.rows)
        });
        if rows.is_none() && !self.is_refused() {
            return self.audit.forget();
        }
        let Some(config) = self
            .config()
            .filter(|_| self.is_free() && !self.is_compact.get_untracked())
        else {
            return;
        };
        if (rows > Some(MOST_ROWS) || self.data_bytes() > MOST_BYTES) && !is_wanted {
            self.audit.forget();
            return self.audit.waits.set(true);
        }
        self.ask(Job::Audit, Command::Audit { config }, Vec::new());
    }

    /// Whether no run can use the data: none are there, and none are on their way. They are looked at most of all.
    fn is_refused(self) -> bool {
        let is_read = self.worker.engine.get_untracked() == Engine::Ready
            && self.worker.device.with_untracked(Option::is_some)
            && self.worker.job.get_untracked() != Some(Job::Data)
            && !self.worker.waits(Job::Data);
        is_read && self.loaded.data.with_untracked(Option::is_none)
    }

    /// Whether there are data that an audit can be of: those that it was asked of may have been put away meanwhile.
    pub(super) fn has_rows_to_audit(self) -> bool {
        self.loaded.data.with_untracked(Option::is_some) || self.is_refused()
    }

    /// Leaves rows with such a finding out of the run, or takes them in again.
    pub fn leave_out(self, kind: AuditKind, is_out: bool) {
        let mut words = untrack(|| self.settings.with(|config| config.drop_rows.clone()));
        words.retain(|word| word != kind.name());
        self.audit
            .pressed
            .update_value(|pressed| pressed.retain(|known| *known != kind));
        if is_out {
            words.push(kind.name().to_owned());
            self.audit.pressed.update_value(|pressed| pressed.push(kind));
        }
        self.set_names("drop_rows", &words);
        if self.loaded.data.with_untracked(Option::is_none) {
            self.worker.clear_error(&[Job::Data, Job::Preview, Job::Train]);
            self.load_data();
        }
    }

    /// Sets a knob as the remedy of a finding.
    pub fn set_as_remedy(self, knob: &'static str, value: Value) {
        let before = untrack(|| self.settings.value(knob));
        self.audit.set.update(|set| {
            // Of several presses the way back leads to what was there first.
            if !set.iter().any(|(known, _)| *known == knob) {
                set.push((knob, before));
            }
        });
        self.settings.put(&[(knob, value)]);
    }

    /// Sets a knob back to what it was before a press on a finding.
    pub fn undo_remedy(self, knob: &'static str) {
        let before = self.audit.set.with_untracked(|set| {
            let found = set.iter().find(|(known, _)| *known == knob);
            found.map(|(_, before)| before.clone())
        });
        self.audit.set.update(|set| set.retain(|(known, _)| *known != knob));
        if let Some(before) = before {
            self.settings.put(&[(knob, before)]);
        }
    }

    /// Other data have all their rows: what was pressed was about those before.
    pub(super) fn take_all_in(self) {
        let pressed = self.audit.pressed.get_value();
        self.audit.pressed.set_value(Vec::new());
        self.audit.set.set(Vec::new());
        self.audit.forget();
        if !pressed.is_empty() {
            let mut words = untrack(|| self.settings.with(|config| config.drop_rows.clone()));
            words.retain(|word| !pressed.iter().any(|kind| kind.name() == word));
            self.set_names("drop_rows", &words);
        }
    }

    /// All settings are others now: what was pressed and said of the data before has no way back any more.
    pub fn forget_pressed(self) {
        self.audit.pressed.set_value(Vec::new());
        self.audit.set.set(Vec::new());
        self.loaded.told_columns.set(false);
    }

    /// Sets a knob that is a list of names.
    fn set_names(self, knob: &str, names: &[String]) {
        if let Some(knob) = find(knob) {
            // A name may have a comma in it.
            let list: Value = names.iter().map(String::as_str).collect();
            self.settings.set(knob, &list.to_string());
        }
    }

    /// Asks for the rows that are left, as a file.
    pub fn download_kept_rows(self) {
        if let Some(config) = self.config().filter(|_| self.is_free()) {
            self.ask(Job::KeptRows, Command::KeptRows { config }, Vec::new());
        }
    }

    /// Shows the examples behind so many rows.
    pub fn show_rows(self, after: usize) {
        self.loaded.preview_after.set_value(after);
        self.ask_examples();
    }

    /// A file of rows, of which the engine gave the bytes.
    pub(super) fn save_kept_rows(self, name: &str, bytes: Option<ArrayBuffer>) {
        if let Some(bytes) = bytes {
            let bytes = Uint8Array::new(&bytes).to_vec();
            crate::download::save(name, &bytes, "application/jsonl");
            // An audit that failed leaves neither: then it is its problem that is shown, not that of the last download.
            if self.audit.report.with_untracked(Option::is_some) || self.audit.waits.get_untracked() {
                self.audit.problem.set(None);
            }
        }
    }

    fn data_bytes(self) -> f64 {
        self.loaded.data_source.with_untracked(|source| match source {
            DataSource::Bundled(_) => 0.0,
            DataSource::Own(files) => files.iter().map(|file: &File| file.size()).sum(),
        })
    }
}
