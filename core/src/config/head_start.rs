//! Settings of the head's start that do not go together.

use super::{HeadInit, RunConfig};
use crate::error::{Error, Result};
use lorakeet_i18n::messages::config as msg;

impl RunConfig {
    /// Whether a start from the probe is possible, and a run without steps makes sense.
    ///
    /// # Errors
    /// No steps where the head starts from random weights; a probe below a fresh hidden layer.
    pub(super) fn check_head_start(&self) -> Result<()> {
        if self.head_init == HeadInit::Random {
            return match self.max_steps {
                0 => {
                    let (allowed, got) = (msg::StepsOrNone, 0);
                    let error = Error::config(msg::MustBe { allowed, got }).field("max_steps");
                    Err(error.remedy(msg::ZeroStepsKeepProbe))
                }
                _ => Ok(()),
            };
        }
        match self.classifier_hidden_size {
            0 => Ok(()),
            size => {
                let error = Error::config(msg::ProbeBelowHiddenLayer { size }).field("head_init");
                Err(error.remedy(msg::ProbeWithoutHiddenLayer))
            }
        }
    }
}
