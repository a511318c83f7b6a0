//! The pictures of a run under way: those that it was asked to watch, and those that are asked for meanwhile.

use super::Trainer;
use crate::error::Result;
use crate::host::Emit;
use crate::pictures::{self, Run, Scene};
use crate::protocol::{Event, Picture, PictureRequest};

impl Trainer<'_> {
    /// Draws what the run was asked to watch, between steps: but a surface, which is a thousand losses.
    pub(crate) async fn draw_watched(&self, emit: &mut Emit<'_>) {
        let is_quick = |request: &&PictureRequest| !matches!(request, PictureRequest::LossSurface { .. });
        for request in self.watch.iter().filter(is_quick) {
            self.draw_or_warn(request, emit).await;
        }
    }

    /// Draws all of it before the first step: what cannot be drawn is refused before there is anything to lose.
    pub(super) async fn draw_first(&self, emit: &mut Emit<'_>) -> Result<()> {
        for request in &self.watch {
            self.draw(request, emit).await?;
        }
        Ok(())
    }

    /// Draws all of it when the last step is done.
    pub(super) async fn draw_last(&self, emit: &mut Emit<'_>) {
        for request in &self.watch {
            self.draw_or_warn(request, emit).await;
        }
    }

    /// A picture that fails is no reason to end a run.
    async fn draw_or_warn(&self, request: &PictureRequest, emit: &mut Emit<'_>) {
        if let Err(error) = self.draw(request, emit).await {
            emit.warn(error.message());
        }
    }

    async fn draw(&self, request: &PictureRequest, emit: &mut Emit<'_>) -> Result<()> {
        let picture = self.picture(request, emit).await?;
        emit.event(Event::Picture {
            id: None,
            step: Some(self.progress.step),
            picture,
        });
        Ok(())
    }

    /// Answers a picture that was asked for meanwhile.
    pub(super) async fn answer_picture(&self, id: u32, request: &PictureRequest, emit: &mut Emit<'_>) -> Result<()> {
        let picture = self.picture(request, emit).await?;
        emit.event(Event::Picture {
            id: Some(id),
            step: None,
            picture,
        });
        Ok(())
    }

    async fn picture(&self, request: &PictureRequest, emit: &Emit<'_>) -> Result<Picture> {
        let run = Run {
            objective: &self.spec.objective,
            train: &self.train,
            path: &self.path,
        };
        let scene = Scene {
            examples: &self.train,
            run: Some(run),
            host: emit.host,
        };
        pictures::draw(request, self.model, &scene).await
    }
}
