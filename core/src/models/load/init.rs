//! Fresh weights: of a model without files, and of a head that the files lack.

use super::Loader;
use crate::error::{Error, Kind, Result};
use lorakeet_i18n::messages::models as msg;

/// What fresh weights may take: more is an error in config.json, not a model that is trained from nothing.
const MOST_INITIALISED_BYTES: u64 = if cfg!(target_pointer_width = "32") {
    3 << 30
} else {
    16 << 30
};

/// How a tensor starts where the files hold no weights.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Init {
    /// Normal with `initializer_range`.
    Normal,
    Ones,
    Zeros,
    /// Uniform in ± so much.
    Within(f64),
}

impl Loader<'_> {
    /// From here on, a tensor that the files lack starts fresh: what follows is the head of another task than theirs.
    pub(crate) fn init_missing(&mut self) {
        self.inits_missing = true;
    }

    /// Whether tensor `name` of `shape` starts fresh.
    pub(super) fn is_initialised(&self, name: &str, shape: &[usize]) -> bool {
        let fits = || self.entry(name).is_some_and(|entry| entry.shape == shape);
        let lacks = || match self.replaces_head {
            true => !fits(),
            false => !self.has(name),
        };
        self.fresh || self.inits_missing && lacks()
    }

    /// Whether the head's linear at `path` starts fresh.
    pub(crate) fn lacks(&self, path: &str) -> bool {
        self.fresh || !self.has(&format!("{path}.weight"))
    }

    /// Refuses to draw more than any model that starts fresh has.
    pub(super) fn check_initialised(&mut self, name: &str, count: usize) -> Result<()> {
        self.initialised_bytes = self.initialised_bytes.saturating_add(4 * count as u64);
        if self.initialised_bytes <= MOST_INITIALISED_BYTES {
            return Ok(());
        }
        let gib = MOST_INITIALISED_BYTES >> 30;
        Err(Error::new(Kind::OutOfMemory, msg::FreshWeightsTooLarge { gib })
            .field(name)
            .remedy(msg::AreSizesMeant))
    }

    pub(super) fn draw(&mut self, count: usize, init: Init) -> Result<Vec<f32>> {
        let deviation = self.real("initializer_range")?.unwrap_or(0.02);
        Ok(match init {
            Init::Ones => vec![1.0; count],
            Init::Zeros => vec![0.0; count],
            Init::Within(bound) => (0..count)
                .map(|_| ((self.generator.uniform() * 2.0 - 1.0) * bound) as f32)
                .collect(),
            Init::Normal => (0..count)
                .map(|_| (self.generator.normal() * deviation) as f32)
                .collect(),
        })
    }
}
