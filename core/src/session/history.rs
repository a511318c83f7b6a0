//! The runs of the session's shelf as a person looks back on them: what they are called, and their curves.

use super::Session;
use super::runs;
use crate::error::{Error, Result};
use crate::host::Emit;
use crate::protocol::{Event, RunCurve, RunLabels, RunRecord};
use crate::store::{IndexedSink, Shelf, Source};
use crate::train::checkpoint;
use crate::train::record::{read_curve, read_record, write_record};
use lorakeet_i18n::messages::run as msg;
use std::rc::Rc;

impl Session {
    /// Gives a run a name and tags.
    ///
    /// # Errors
    /// They are too long or too many, the run is under way, there is none of that id, or storage refuses.
    pub(super) async fn label_run(&self, id: &str, labels: RunLabels, emit: &mut Emit<'_>) -> Result<()> {
        let labels = labels.checked()?;
        if let Some(shelf) = &self.shelf {
            label(shelf, id, labels).await?;
            // A browser gives the claim back a turn later; until then the run would be told of as under way.
            (self.host.yield_now)().await;
        }
        self.tell_runs(emit).await
    }

    /// Tells the curves of runs.
    ///
    /// # Errors
    /// An id is none, or storage refuses.
    pub(super) async fn tell_curves(&self, ids: Vec<String>, emit: &mut Emit<'_>) -> Result<()> {
        let mut curves = Vec::with_capacity(ids.len());
        for id in ids {
            let curve = match &self.shelf {
                Some(shelf) => curve(&IndexedSink::read(shelf, &runs::folder(&id)?).await?).await,
                None => RunCurve::default(),
            };
            curves.push((id, curve));
        }
        emit.event(Event::RunCurves { curves });
        Ok(())
    }
}

async fn label(shelf: &Rc<dyn Shelf>, id: &str, labels: RunLabels) -> Result<()> {
    let folder = runs::folder(id)?;
    // Whoever trains it writes its record.
    let claim = shelf.claim(&folder).await?;
    let _claim = claim.ok_or_else(|| Error::config(msg::RunIsUnderWay).remedy(msg::UseTheOtherTab))?;
    let record = read_record(&IndexedSink::read(shelf, &folder).await?).await?;
    let sink = IndexedSink::open(shelf.clone(), folder).await?;
    write_record(&sink, &RunRecord { labels, ..record }).await
}

/// The curve of a run by the files of its folder: that which was kept, else what its newest checkpoint says. Where neither can be
/// read there is none to show, and nothing else is wrong with the run.
pub(super) async fn curve(files: &[(String, Source)]) -> RunCurve {
    if let Ok(Some(curve)) = read_curve(files).await {
        return curve;
    }
    let newest = runs::steps(files).first().copied();
    let state = newest.and_then(|step| runs::checkpoint_state(files, step));
    match state {
        Some(state) => checkpoint::history(state).await.unwrap_or_default(),
        None => RunCurve::default(),
    }
}
