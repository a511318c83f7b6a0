//! Sweeps that outlive the program: a folder `sweep-ID` each on the session's shelf, beside those of their runs. Its one file,
//! `sweep.json`, is the [`Sweep`]: what it tries and how far it has come.

use super::Session;
use super::runs;
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::protocol::{Event, RunState, StoredSweep, Sweep, SweepCommand};
use crate::store::{Claim, IndexedSink, Shelf, Sink, read_all};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::run as msg;
use std::rc::Rc;

/// What stands before the id in the name of a sweep's folder.
const SWEEP: &str = "sweep-";
/// The file in it.
const FILE: &str = "sweep.json";
/// The longest that is read.
const MOST_BYTES: u64 = 16 << 20;

/// The folder of the sweep that this session has under way.
pub(super) struct Held {
    folder: String,
    claim: Claim,
}

impl Session {
    /// Serves a request that concerns sweeps.
    ///
    /// # Errors
    /// The sweep is under way elsewhere, its id is none, or storage refuses.
    pub(super) async fn serve_sweep(&mut self, command: SweepCommand, emit: &mut Emit<'_>) -> Result<()> {
        let shelf = self.shelf.clone();
        let Some(shelf) = shelf else {
            emit.event(Event::Sweeps { sweeps: Vec::new() });
            return Ok(());
        };
        match command {
            SweepCommand::List => {}
            SweepCommand::Keep { sweep } => self.keep_sweep(&shelf, &sweep).await?,
            SweepCommand::Forget { id } => {
                let folder = runs::named(SWEEP, &id)?;
                let own = self.held.take_if(|held| held.folder == folder);
                let _claim = match own {
                    Some(held) => held.claim,
                    None => claim(&shelf, &folder).await?,
                };
                shelf.remove_folder(&folder).await?;
            }
        }
        // A browser gives a claim back a turn later; until then the sweep would be told of as under way.
        (self.host.yield_now)().await;
        let sweeps = self.sweeps(&shelf, emit).await?;
        emit.event(Event::Sweeps { sweeps });
        Ok(())
    }

    /// Takes a sweep's folder for this session alone, in place of another one.
    async fn hold(&mut self, shelf: &Rc<dyn Shelf>, folder: &str) -> Result<()> {
        if self.held.as_ref().is_some_and(|held| held.folder == folder) {
            return Ok(());
        }
        let claim = claim(shelf, folder).await?;
        let folder = folder.to_owned();
        self.held = Some(Held { folder, claim });
        Ok(())
    }

    async fn keep_sweep(&mut self, shelf: &Rc<dyn Shelf>, sweep: &Sweep) -> Result<()> {
        let folder = runs::named(SWEEP, &sweep.id)?;
        self.hold(shelf, &folder).await?;
        let unwritable = |what: serde_json::Error| Error::internal(common::At { place: FILE, what });
        let text = serde_json::to_string(sweep).map_err(unwritable)?;
        let sink = IndexedSink::open(shelf.clone(), folder).await?;
        sink.write(FILE, text.as_bytes()).await?;
        if sweep.state != RunState::Open {
            self.held = None;
        }
        Ok(())
    }

    /// All sweeps on the shelf, the newest first. What is wrong with those that cannot be read is told.
    async fn sweeps(&self, shelf: &Rc<dyn Shelf>, emit: &mut Emit<'_>) -> Result<Vec<StoredSweep>> {
        let mut claimed = shelf.claimed().await?;
        claimed.retain(|name| self.held.as_ref().is_none_or(|held| held.folder != *name));
        let mut sweeps = Vec::new();
        for name in shelf.folders().await?.iter().filter(|name| name.starts_with(SWEEP)) {
            let is_under_way = claimed.contains(name);
            match read(shelf, name).await {
                Ok(Some(sweep)) => sweeps.push(StoredSweep { sweep, is_under_way }),
                // It is being written for the first time, or its writing was cut off.
                Ok(None) => {}
                Err(_) if is_under_way => {}
                Err(error) => {
                    let (sweep, why) = (name.clone(), error.message());
                    emit.warn(msg::SweepUnreadable { sweep, why });
                }
            }
        }
        sweeps.sort_by(|a, b| b.sweep.started_ms.total_cmp(&a.sweep.started_ms));
        Ok(sweeps)
    }
}

async fn claim(shelf: &Rc<dyn Shelf>, folder: &str) -> Result<Claim> {
    let claim = shelf.claim(folder).await?;
    claim.ok_or_else(|| Error::config(msg::SweepIsUnderWay).remedy(msg::UseTheOtherTab))
}

/// What is written down in a sweep's folder; none where nothing is.
async fn read(shelf: &Rc<dyn Shelf>, folder: &str) -> Result<Option<Sweep>> {
    let files = IndexedSink::read(shelf, folder).await?;
    let Some((_, source)) = files.iter().find(|(path, _)| path == FILE) else {
        return Ok(None);
    };
    let bytes = read_all(source.as_ref(), MOST_BYTES).await?;
    let damaged = |error: serde_json::Error| Error::format(Message::verbatim(error.to_string())).file(FILE);
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// Removes what is written down of all sweeps but those under way.
///
/// # Errors
/// Storage refuses.
pub(super) async fn forget_all(shelf: &Rc<dyn Shelf>) -> Result<()> {
    let claimed = shelf.claimed().await?;
    for name in shelf.folders().await? {
        if name.starts_with(SWEEP) && !claimed.contains(&name) {
            shelf.remove_folder(&name).await?;
        }
    }
    Ok(())
}
