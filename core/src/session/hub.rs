//! Models from a hub: looked at, fetched into the session's store or, without one, into memory, loaded and removed.

use super::Session;
use crate::config::RunConfig;
use crate::device;
use crate::error::{Error, Kind, Result};
use crate::estimate::estimate;
use crate::formats::ModelFiles;
use crate::host::Emit;
use crate::hub::{self, Chosen, Hub, HubId, MemoryPlace, Origin, Place, RemoteFile, Repository, ShelfPlace};
use crate::protocol::{Event, HubCommand, HubEvent, HubFile, HubListing, HubSource, MemoryEstimate, StoredModel};
use crate::quant::BaseFormat;
use crate::store::Source;
use lorakeet_i18n::messages::hub as msg;
use std::rc::Rc;

/// The largest model that goes to memory: it is there beside what is loaded of it.
const MOST_MEMORY_BYTES: u64 = 1 << 30;

/// A model that was fetched where there is no shelf.
pub(super) struct InMemory {
    model: StoredModel,
    name: String,
    sources: Vec<Source>,
    origin: Origin,
}

/// What a hub says of a model.
struct Found {
    hub: Rc<Hub>,
    repository: Rc<Repository>,
    chosen: Chosen,
    record: hub::Record,
}

impl Found {
    fn bytes(&self) -> u64 {
        self.chosen.files.iter().map(|file| file.bytes).sum()
    }
}

impl Session {
    pub(super) async fn serve_hub(&mut self, command: HubCommand, emit: &mut Emit<'_>) -> Result<()> {
        match command {
            HubCommand::Look { from, config } => {
                self.control.begin_download();
                self.look(&from, &config, emit).await
            }
            HubCommand::Download { from } => {
                self.control.begin_download();
                self.fetch_model(&from, emit).await
            }
            // Commands are served one after the other; what is under way hears of it by [`crate::host::Control`].
            HubCommand::Cancel => Ok(()),
            HubCommand::Models => self.tell_models(emit).await,
            HubCommand::Forget { folder } => {
                match &self.shelf {
                    Some(shelf) => hub::forget(shelf, &folder).await?,
                    None => self.in_memory.retain(|one| one.model.folder != folder),
                }
                self.tell_models(emit).await
            }
            HubCommand::Load { folder } => {
                let (name, sources, origin) = match &self.shelf {
                    Some(shelf) => hub::open(shelf, &folder).await?,
                    None => {
                        let found = self.in_memory.iter().find(|one| one.model.folder == folder);
                        let found = found.map(|one| (one.name.clone(), one.sources.clone(), one.origin.clone()));
                        found.ok_or_else(|| Error::config(msg::NotStored { folder }).remedy(msg::DownloadAnew))?
                    }
                };
                self.load_model(name, BaseFormat::default(), sources, emit).await?;
                self.origin = Some(origin);
                Ok(())
            }
        }
    }

    async fn find(&self, from: &HubSource) -> Result<Found> {
        let fetch = self.fetch.clone().ok_or_else(|| Error::internal(msg::NoNetwork))?;
        let id = HubId::parse(&from.name)?;
        let hub = Rc::new(Hub::new(
            fetch,
            &from.endpoint,
            from.token.clone(),
            self.control.clone(),
        )?);
        let repository = Rc::new(hub.repository(&id).await?);
        let chosen = hub::choose(&hub, &repository).await?;
        if chosen.is_adapter {
            let name = id.id;
            return Err(Error::model(msg::IsAdapter { name }).remedy(msg::NameItsBase));
        }
        let record = hub::Record {
            id: id.id,
            revision: id.revision,
            commit: repository.commit.clone(),
            endpoint: hub.endpoint().to_owned(),
            chosen: chosen.gguf.clone(),
            files: chosen.files.clone(),
            license: repository.license.clone(),
        };
        Ok(Found {
            hub,
            repository,
            chosen,
            record,
        })
    }

    /// How much of a model is in the store, and what it can still take where that is known.
    async fn room(&self, found: &Found) -> Result<(u64, Option<u64>)> {
        match &self.shelf {
            Some(shelf) => {
                let there = hub::there_bytes(shelf.as_ref(), &found.record.folder(), &found.chosen.files).await?;
                Ok((there, shelf.available_bytes().await))
            }
            None => Ok((0, Some(MOST_MEMORY_BYTES))),
        }
    }

    async fn look(&mut self, from: &HubSource, config: &RunConfig, emit: &mut Emit<'_>) -> Result<()> {
        let found = self.find(from).await?;
        let device = self.open_any(emit).await?.clone();
        let limit = device::largest_buffer_bytes(&device);
        let (memory, problem) = match weigh(&found, config, limit).await {
            Ok(memory) => (Some(memory), None),
            Err(error) if matches!(error.kind, Kind::File | Kind::Stopped) => return Err(error),
            Err(error) => (None, Some(error)),
        };
        let (there_bytes, free_bytes) = self.room(&found).await?;
        let Found { repository, chosen, .. } = found;
        emit.event(Event::Hub(HubEvent::Listing(Box::new(HubListing {
            id: repository.id.id.clone(),
            revision: repository.id.revision.clone(),
            commit: repository.commit.clone(),
            files: chosen.files,
            choices: chosen.choices,
            chosen: chosen.gguf,
            there_bytes,
            free_bytes,
            in_memory: self.shelf.is_none(),
            memory,
            available_bytes: device::available_bytes(&device),
            problem,
        }))));
        Ok(())
    }

    async fn fetch_model(&mut self, from: &HubSource, emit: &mut Emit<'_>) -> Result<()> {
        let found = self.find(from).await?;
        let (there, free) = self.room(&found).await?;
        let needed = found.bytes().saturating_sub(there);
        let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
        let folder = found.record.folder();
        let Some(shelf) = self.shelf.clone() else {
            if needed > MOST_MEMORY_BYTES {
                let (needed, most) = (megabytes(needed), megabytes(MOST_MEMORY_BYTES));
                return Err(Error::new(Kind::OutOfMemory, msg::TooLargeForMemory { needed, most })
                    .remedy(msg::SmallerOrWithStorage));
            }
            emit.warn(msg::ToMemory);
            return self.fetch_to_memory(found, emit).await;
        };
        if let Some(free) = free.filter(|free| needed > *free) {
            let (needed, free) = (megabytes(needed), free >> 20);
            return Err(Error::io(msg::NoRoom { needed, free }).remedy(msg::MakeRoom));
        }
        let claim = shelf.claim(&folder).await?;
        let _claim = claim.ok_or_else(|| Error::config(msg::IsBeingFetched).remedy(msg::WaitForOtherTab))?;
        let place = ShelfPlace::begin(shelf, &found.record).await?;
        hub::download(&found.hub, &found.repository, &found.chosen.files, &place, emit).await?;
        emit.event(Event::Hub(HubEvent::Downloaded { folder }));
        Ok(())
    }

    async fn fetch_to_memory(&mut self, found: Found, emit: &mut Emit<'_>) -> Result<()> {
        let folder = found.record.folder();
        let files: &[HubFile] = &found.chosen.files;
        if !self.in_memory.iter().any(|one| one.model.folder == folder) {
            let place = MemoryPlace::new();
            hub::download(&found.hub, &found.repository, files, &place, emit).await?;
            let mut sources = Vec::new();
            for file in files {
                sources.extend(place.whole(file).await?);
            }
            let bytes = found.bytes();
            let record = found.record;
            self.in_memory.push(InMemory {
                name: record.id.rsplit('/').next().unwrap_or(&record.id).to_owned(),
                sources,
                origin: Origin {
                    id: record.id.clone(),
                    license: record.license,
                },
                model: StoredModel {
                    folder: folder.clone(),
                    id: record.id,
                    revision: record.revision,
                    commit: record.commit,
                    chosen: record.chosen,
                    bytes,
                    there_bytes: bytes,
                    is_whole: true,
                    is_under_way: false,
                    written_ms: None,
                },
            });
        }
        emit.event(Event::Hub(HubEvent::Downloaded { folder }));
        Ok(())
    }

    async fn tell_models(&self, emit: &mut Emit<'_>) -> Result<()> {
        let models = match &self.shelf {
            Some(shelf) => {
                let (models, faults) = hub::models(shelf).await?;
                emit.warn_all(faults);
                models
            }
            None => self.in_memory.iter().map(|one| one.model.clone()).collect(),
        };
        emit.event(Event::Hub(HubEvent::Models { models }));
        Ok(())
    }
}

/// What a run on a model takes, from config.json and the headers of its weights, which are all that is read.
async fn weigh(found: &Found, config: &RunConfig, limit: u64) -> Result<MemoryEstimate> {
    const READ: [&str; 2] = ["config.json", "model.safetensors.index.json"];
    let is_read = |file: &&HubFile| {
        let path = file.path.as_str();
        READ.contains(&path) || path.ends_with(".safetensors") || path.to_ascii_lowercase().ends_with(".gguf")
    };
    let sources = found.chosen.files.iter().filter(is_read).map(|file| {
        let remote = RemoteFile::new(found.hub.clone(), found.repository.clone(), file.clone());
        Rc::new(remote) as Source
    });
    let files = ModelFiles::open(sources.collect()).await?;
    estimate(&files, config, None, limit).await
}
