//! Exports: which forms there are, and the way of their pieces.

use super::PageState;
use crate::conversation::Job;
use crate::export::Written;
use js_sys::{ArrayBuffer, Uint8Array};
use leptos::prelude::*;
use lorakeet_core::Error;
use lorakeet_core::protocol::{Command, ExportCommand, ExportEvent, ExportOption};
use wasm_bindgen_futures::spawn_local;
use web_sys::File;

/// Pieces that may be on their way to the disk.
const AHEAD: u64 = 4;

impl PageState {
    /// Asks in which forms what was trained can be exported.
    pub(super) fn ask_forms(self) {
        if self.training.has_adapter.get_untracked() {
            self.worker.drop_waiting(Job::Forms);
            self.ask(Job::Forms, Command::Export(ExportCommand::Forms), Vec::new());
        }
    }

    /// Asks in which forms the loaded model can be exported, of which nothing was trained.
    pub fn ask_forms_of_model(self) {
        self.worker.clear_error(&[Job::Export, Job::Forms]);
        self.worker.drop_waiting(Job::Forms);
        self.ask(Job::Forms, Command::Export(ExportCommand::Forms), Vec::new());
    }

    /// Downloads the chosen form.
    pub fn download_export(self) {
        if let Some(option) = untrack(|| self.training.export.option()) {
            self.worker.clear_error(&[Job::Export, Job::Forms]);
            self.training.export.begin_download(option.form);
            self.write_export(option);
        }
    }

    /// Has the chosen form written to where the person says.
    pub fn save_export(self) {
        if let Some(option) = untrack(|| self.training.export.option()) {
            self.worker.clear_error(&[Job::Export, Job::Forms]);
            let form = option.form;
            let begin = move |picked: Result<(), Error>| match picked {
                Ok(()) => self.write_export(option),
                Err(error) => self.worker.error.set(Some((Job::Export, error))),
            };
            self.training.export.pick(form, begin);
        }
    }

    fn write_export(self, option: ExportOption) {
        self.training.export.wish.set_value(Some(option.clone()));
        let command = ExportCommand::Write {
            form: option.form,
            dtype: option.dtype,
            dequantized: option.dequantized,
            ahead: AHEAD,
            license: Some(self.training.export.license.get_untracked()).filter(|name| !name.trim().is_empty()),
        };
        self.ask(Job::Export, Command::Export(command), Vec::new());
    }

    /// Has the files of the export under way read back, as a part of the same job.
    async fn read_back(self, written: Written) {
        let export = self.training.export;
        let asked = match export.complete(written).await {
            Ok(Some(files)) => self.ask_check(&files),
            Ok(None) => return self.finish(Job::Export),
            Err(error) => Err(error),
        };
        if let Err(error) = asked {
            export.give_up();
            self.worker.error.set(Some((Job::Export, error)));
            self.finish(Job::Export);
        }
    }

    fn ask_check(self, files: &[File]) -> Result<(), Error> {
        let Some(option) = self.training.export.wish.get_value() else {
            return Ok(());
        };
        let command = ExportCommand::Check {
            form: option.form,
            dtype: option.dtype,
            dequantized: option.dequantized,
        };
        self.worker.send(&Command::Export(command), files)
    }

    /// Ends the export under way.
    pub fn cancel_export(self) {
        self.send_now(&Command::Export(ExportCommand::Cancel));
    }

    pub(super) fn hear_of_export(self, event: ExportEvent, bytes: Option<ArrayBuffer>) {
        let export = self.training.export;
        match event {
            ExportEvent::Forms { forms } => {
                export.hear(forms);
                self.finish(Job::Forms);
            }
            ExportEvent::Piece { path, is_last, .. } => {
                // Another model was chosen meanwhile: who waits for the pieces to be taken would wait for ever.
                let Some(target) = export.target() else {
                    return self.cancel_export();
                };
                let bytes = bytes.map_or_else(|| Uint8Array::new_with_length(0), |bytes| Uint8Array::new(&bytes));
                spawn_local(async move {
                    match target.take(&path, &bytes, is_last).await {
                        Ok(None) => {}
                        Ok(Some(card)) => export.card.set(Some(card)),
                        Err(error) => {
                            if export.fail(error) {
                                self.cancel_export();
                            }
                            return;
                        }
                    }
                    if export.target().is_some() {
                        self.send_now(&Command::Export(ExportCommand::Taken));
                    } else if self.worker.job.get_untracked() == Some(Job::Export) {
                        // As above; an engine that went away has no job.
                        self.cancel_export();
                    }
                });
            }
            ExportEvent::Done {
                step, is_best, notes, ..
            } => {
                let step = step.map(|step| (step, is_best));
                spawn_local(self.read_back(Written { step, notes }));
            }
            ExportEvent::Checked { form, check } => {
                if let Err(error) = export.end(form, check) {
                    self.worker.error.set(Some((Job::Export, error)));
                }
                self.finish(Job::Export);
            }
        }
    }
}
