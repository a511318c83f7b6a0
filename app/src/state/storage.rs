//! What is stored is removed: with a way back for a while, for good, all at once; and what the browser says of its room.

use super::PageState;
use crate::conversation::Job;
use crate::storage::{Stored, UNDO, room};
use leptos::prelude::*;
use lorakeet_core::protocol::{Command, HubCommand};
use wasm_bindgen_futures::spawn_local;

impl PageState {
    /// Removes something that is stored, after a while in which that can be undone.
    pub fn forget(self, what: Stored) {
        self.storage.leaving.update(|leaving| leaving.push(what.clone()));
        set_timeout(move || self.forget_now(&what), UNDO);
    }

    /// Takes back that it is removed.
    pub fn keep(self, what: &Stored) {
        self.storage
            .leaving
            .update(|leaving| leaving.retain(|other| other != what));
    }

    fn forget_now(self, what: &Stored) {
        if !self.storage.leaving.with_untracked(|leaving| leaving.contains(what)) {
            return;
        }
        self.storage.going.update(|going| going.push(what.clone()));
        self.keep(what);
        let command = match what.clone() {
            Stored::Run(id) => Command::ForgetRun { id: Some(id) },
            Stored::File(copy) => Command::ForgetCopy { copy },
            Stored::Model(folder) => Command::Hub(HubCommand::Forget { folder }),
        };
        self.ask(Job::Forget, command, Vec::new());
    }

    /// The page is left: what is to be removed is removed.
    pub(super) fn forget_leaving(self) {
        for what in self.storage.leaving.get_untracked() {
            self.forget_now(&what);
        }
    }

    /// Removes all that is stored and not in use.
    pub fn free_all(self) {
        self.storage.leaving.set(Vec::new());
        self.ask(Job::Forget, Command::ForgetRun { id: None }, Vec::new());
        if !self.sweep.is_going.get_untracked() {
            self.sweep.shown.set(None);
        }
        let models = self.hub.models.get_untracked();
        for model in models.into_iter().filter(|model| !model.is_under_way) {
            let folder = model.folder;
            self.ask(Job::Forget, Command::Hub(HubCommand::Forget { folder }), Vec::new());
        }
    }

    /// The engine told what is stored, as it was asked or after it removed something; `is_told` says of what.
    pub(super) fn take_stock(self, usual: Job, is_told: fn(&Stored) -> bool) {
        let job = match self.worker.job.get_untracked() {
            Some(job @ (Job::Forget | Job::Label)) => job,
            _ => usual,
        };
        if !self.worker.waits(Job::Forget) {
            self.storage.going.update(|going| going.retain(|what| !is_told(what)));
        }
        self.finish(job);
        spawn_local(async move { self.storage.room.set(room(false).await) });
    }

    /// Asks the browser not to clear what is stored when the disk gets full: at an act that stores, never before. What it answers is
    /// shown, and changes nothing.
    pub(super) fn ask_to_persist(self) {
        spawn_local(async move { self.storage.room.set(room(true).await) });
    }
}
