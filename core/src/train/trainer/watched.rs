//! The pictures of a run under way: those that it was asked to watch, and those that are asked for meanwhile.

use super::Trainer;
use crate::error::Result;
use crate::host::Emit;
use crate::pictures::{self, Run, Scene};
use crate::protocol::{Event, Picture, PictureRequest};

impl Trainer<'_> {
    /// Draws what the run was asked to watch before its first step. A picture that cannot be drawn ends the run while there is
    /// nothing to lose.
    pub(super) async fn draw_first(&self, emit: &mut Emit<'_>) -> Result<()> {
        for request in &self.watch {
            self.draw(None, request, emit).await?;
        }
        Ok(())
    }

    /// Draws what the run was asked to watch, between steps or after the last one. A loss surface, which is about a thousand
    /// losses, is drawn after the last one only. A picture that fails is a warning and does not end the run.
    pub(crate) async fn draw_watched(&self, is_last: bool, emit: &mut Emit<'_>) {
        let is_due = |request: &&PictureRequest| is_last || !matches!(request, PictureRequest::LossSurface { .. });
        for request in self.watch.iter().filter(is_due) {
            if let Err(error) = self.draw(None, request, emit).await {
                emit.warn(error.message());
            }
        }
    }

    /// Draws one picture: the answer to the request `id`, or a watched one, which says at which step it was drawn.
    pub(super) async fn draw(&self, id: Option<u32>, request: &PictureRequest, emit: &mut Emit<'_>) -> Result<()> {
        let picture = self.picture(request, emit).await?;
        let step = match id {
            None => Some(self.progress.step),
            Some(_) => None,
        };
        emit.event(Event::Picture { id, step, picture });
        Ok(())
    }

    async fn picture(&self, request: &PictureRequest, emit: &Emit<'_>) -> Result<Picture> {
        if matches!(request, PictureRequest::LayerUpdates {}) {
            self.shows_gradients.set(true);
        }
        let run = Run {
            objective: &self.spec.objective,
            train: &self.train,
            path: &self.path,
            gradients: self.unread.norms.as_ref(),
        };
        let scene = Scene {
            examples: &self.train,
            run: Some(run),
            host: emit.host,
        };
        pictures::draw(request, self.model, &scene).await
    }
}
