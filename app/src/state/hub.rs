//! Models from a hub: looked at, fetched, loaded and removed.

use super::PageState;
use crate::conversation::{Engine, Job};
use crate::hub;
use crate::loaded::ModelSource;
use crate::settings::Preset;
use crate::storage::Stored;
use leptos::prelude::*;
use lorakeet_core::protocol::{Command, HubCommand, HubEvent, HubSource, StoredModel};
use std::time::Duration;

/// How often it is looked whether a model is still being fetched in another tab.
const BETWEEN_LOOKS: Duration = Duration::from_secs(3);

impl PageState {
    /// Whether something of a hub's can be asked of the engine now.
    pub fn hub_is_free(self) -> bool {
        let is_idle = matches!(
            self.worker.job.get(),
            None | Some(
                Job::Preview | Job::Audit | Job::Estimate | Job::Advice | Job::Probe | Job::Forms | Job::HubModels
            )
        );
        self.worker.engine.get() == Engine::Ready && is_idle && !self.is_training()
    }

    /// Asks the hub what the model of this name is made of.
    pub fn look_at_hub(self, name: String) {
        let Some(config) = self.config() else { return };
        let from = self.hub.source(name);
        self.hub.listing.set(None);
        self.hub.asked.set(Some(from.clone()));
        self.worker.clear_error(&[Job::Hub]);
        self.ask_hub(Job::Hub, HubCommand::Look { from, config });
    }

    /// Fetches what was looked at.
    pub fn download(self) {
        if let Some(from) = self.hub.asked.get_untracked() {
            self.download_from(from);
        }
    }

    /// Goes on with a model that is not whole.
    pub fn download_on(self, model: &StoredModel) {
        self.download_from(self.hub.source(hub::exact_name(model)));
    }

    fn download_from(self, from: HubSource) {
        self.worker.clear_error(&[Job::Hub]);
        self.ask_to_persist();
        self.ask_hub(Job::Hub, HubCommand::Download { from });
    }

    /// Ends the look or the download under way.
    pub fn cancel_download(self) {
        self.send_now(&Command::Hub(HubCommand::Cancel));
    }

    /// Takes a model of the store.
    pub fn choose_stored(self, model: &StoredModel) {
        self.settings.start_for(Preset::Own);
        self.choose_model(ModelSource::Stored {
            folder: model.folder.clone(),
            id: model.id.clone(),
        });
    }

    pub(super) fn ask_models(self) {
        self.worker.drop_waiting(Job::HubModels);
        self.ask_hub(Job::HubModels, HubCommand::Models);
    }

    fn ask_models_when_free(self) {
        if self.is_free() && self.worker.engine.get_untracked() == Engine::Ready {
            self.ask_models();
        }
    }

    fn ask_hub(self, job: Job, command: HubCommand) {
        self.ask(job, Command::Hub(command), Vec::new());
    }

    pub(super) fn hear_of_hub(self, event: HubEvent) {
        match event {
            HubEvent::Listing(listing) => {
                self.hub.listing.set(Some(*listing));
                self.finish(Job::Hub);
            }
            HubEvent::Progress(progress) => self.hub.progress.set(Some(progress)),
            HubEvent::Downloaded { folder } => {
                self.hub.progress.set(None);
                self.hub.listing.set(None);
                self.hub.fetched.set_value(Some(folder));
                self.finish(Job::Hub);
                self.ask_models();
            }
            HubEvent::Models { models } => {
                // The worker of a page that was just closed holds its download a little longer.
                if models.iter().any(|model| model.is_under_way) {
                    set_timeout(move || self.ask_models_when_free(), BETWEEN_LOOKS);
                }
                self.hub.models.set(models);
                self.take_stock(Job::HubModels, |what| matches!(what, Stored::Model(_)));
                let fetched = self.hub.fetched.try_update_value(Option::take).flatten();
                let is_it = |model: &&StoredModel| Some(&model.folder) == fetched.as_ref();
                let fetched = self
                    .hub
                    .models
                    .with_untracked(|models| models.iter().find(is_it).cloned());
                if let Some(model) = fetched
                    && self.is_free()
                {
                    self.choose_stored(&model);
                }
            }
        }
    }
}
