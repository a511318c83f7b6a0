//! Pictures that explain: what was chosen for each, whether the next run draws it on its way, and what the engine drew.

use crate::loaded::Loaded;
use crate::report::writes;
use crate::settings::Settings;
use leptos::prelude::*;
use lorakeet_core::config::{FinetuningType, TargetModules};
use lorakeet_core::protocol::{Picture, PictureKind, PictureRequest};
use lorakeet_core::task::Task;

/// Rows and columns of the picture of an update, of a surface, of weights and of units, at most.
const CELLS: [usize; 4] = [32, 33, 16, 24];

/// What pictures are made of.
#[derive(Clone, Copy)]
pub struct Subject {
    /// The model.
    pub loaded: Loaded,
    /// The knobs.
    pub settings: Settings,
    /// The task of the run.
    pub task: Task,
    /// The text that is continued while training.
    pub sample_prompt: RwSignal<String>,
}

/// The formats of weights in few bits.
pub const FORMATS: [&str; 5] = ["nf4", "fp4", "int8", "fp8_e4m3", "fp8_e5m2"];

/// Whether it is of a text.
pub fn has_text(kind: PictureKind) -> bool {
    matches!(kind, PictureKind::Tokens | PictureKind::Attention)
}

/// Whether it is of a module.
pub fn has_module(kind: PictureKind) -> bool {
    matches!(kind, PictureKind::LoraUpdate | PictureKind::PackedWeights)
}

/// Whether it is of what a run trained.
pub fn needs_adapter(kind: PictureKind) -> bool {
    matches!(kind, PictureKind::LoraUpdate | PictureKind::LayerUpdates)
}

/// Whether it is of a layer.
pub fn has_layer(kind: PictureKind) -> bool {
    matches!(kind, PictureKind::Attention | PictureKind::Units)
}

/// Whether it can change during a run.
pub fn can_follow(kind: PictureKind) -> bool {
    kind != PictureKind::PackedWeights
}

/// Whether it can be drawn outside of a run.
pub fn can_be_asked(kind: PictureKind) -> bool {
    kind != PictureKind::LossSurface
}

/// One picture: what was chosen for it, and what was drawn.
#[derive(Clone, Copy)]
pub struct Panel {
    /// What it shows.
    pub kind: PictureKind,
    /// Whether the next run draws it before the first step, on the way and at the end.
    pub follows: RwSignal<bool>,
    /// The text or the module; the page's suggestion where nothing was written.
    pub own_text: RwSignal<Option<String>>,
    /// From 0.
    pub layer: RwSignal<usize>,
    /// From 0.
    pub head: RwSignal<usize>,
    /// Of [`FORMATS`].
    pub format: RwSignal<&'static str>,
    /// What was drawn, with the step of the run; oldest first.
    pub drawn: RwSignal<Vec<(Option<usize>, Picture)>>,
}

/// All pictures.
#[derive(Clone, Copy)]
pub struct Pictures {
    panels: [Panel; 7],
    /// The one that was asked for last.
    pub asked: RwSignal<Option<PictureKind>>,
}

impl Pictures {
    /// None drawn, none wanted.
    pub fn new() -> Self {
        let panel = |kind| Panel {
            kind,
            follows: RwSignal::new(false),
            own_text: RwSignal::new(None),
            layer: RwSignal::new(0),
            head: RwSignal::new(0),
            format: RwSignal::new(FORMATS[0]),
            drawn: RwSignal::new(Vec::new()),
        };
        Self {
            panels: PictureKind::ALL.map(panel),
            asked: RwSignal::new(None),
        }
    }

    /// The panel of a picture; they stand in the order of `PictureKind::ALL`, which is that of the kinds.
    pub fn panel(self, kind: PictureKind) -> Panel {
        self.panels[kind as usize]
    }

    /// Forgets what was drawn; what was chosen stays.
    pub fn forget(self) {
        self.asked.set(None);
        self.panels.iter().for_each(|panel| panel.drawn.set(Vec::new()));
    }

    /// Another model is loaded: its layers and modules have other names.
    pub fn forget_model(self) {
        self.forget();
        for panel in self.panels {
            panel.layer.set(0);
            panel.head.set(0);
            if has_module(panel.kind) {
                panel.own_text.set(None);
            }
        }
    }

    /// Takes a picture: those of a run stay, one that was asked for replaces the one before.
    pub fn take(self, step: Option<usize>, picture: Picture) {
        let panel = self.panel(PictureKind::from(&picture));
        panel.drawn.update(|drawn| {
            // One of each step, and one that was asked for.
            drawn.retain(|(drawn, _)| *drawn != step);
            drawn.push((step, picture));
        });
    }

    /// What the next run is to draw on its way.
    pub fn watched(self, subject: Subject) -> Vec<PictureRequest> {
        let wanted = self.panels.into_iter().filter(|panel| panel.follows.get());
        let applicable = wanted.filter(|panel| can_follow(panel.kind) && applies(subject, panel.kind));
        applicable.map(|panel| panel.request(subject)).collect()
    }
}

impl Panel {
    /// The text or the module of the picture.
    pub fn text(self, subject: Subject) -> String {
        self.own_text.get().unwrap_or_else(|| match has_module(self.kind) {
            true => suggested_module(subject),
            false => subject.sample_prompt.get(),
        })
    }

    /// The picture that is wanted.
    pub fn request(self, subject: Subject) -> PictureRequest {
        let [of_update, of_surface, of_weights, of_units] = CELLS;
        let (text, layer) = (self.text(subject), self.layer.get());
        match self.kind {
            PictureKind::Tokens => PictureRequest::Tokens { text },
            PictureKind::LoraUpdate => PictureRequest::LoraUpdate {
                module: text,
                cells: of_update,
            },
            PictureKind::Attention => PictureRequest::Attention {
                text,
                layer,
                head: self.head.get(),
            },
            PictureKind::LossSurface => PictureRequest::LossSurface { cells: of_surface },
            PictureKind::PackedWeights => PictureRequest::PackedWeights {
                module: text,
                format: self.format.get().to_owned(),
                cells: of_weights,
            },
            PictureKind::Units => PictureRequest::Units { layer, cells: of_units },
            PictureKind::LayerUpdates => PictureRequest::LayerUpdates {},
        }
    }
}

/// The first module that a run puts an adapter on.
fn suggested_module(subject: Subject) -> String {
    let chosen = subject.settings.with(|config| match &config.target_modules {
        TargetModules::Names(names) => names.first().cloned(),
        TargetModules::Pattern(_) => None,
    });
    let of_model = || {
        subject
            .loaded
            .model
            .with(|model| model.as_ref().and_then(|model| model.linear_modules.first().cloned()))
    };
    chosen.or_else(of_model).unwrap_or_default()
}

/// Whether the picture can be made of a model like the loaded one, under the present settings.
pub fn applies(subject: Subject, kind: PictureKind) -> bool {
    let model_type = subject
        .loaded
        .model
        .with(|model| model.as_ref().map(|model| model.model_type.clone()));
    let Some(model_type) = model_type else { return false };
    let is_small = model_type.starts_with("small_");
    match kind {
        PictureKind::Tokens => !is_small && model_type != "t5" && writes(subject.task),
        PictureKind::LoraUpdate | PictureKind::LayerUpdates => subject
            .settings
            .with(|config| config.finetuning_type == FinetuningType::Lora),
        PictureKind::Attention => !is_small,
        PictureKind::LossSurface => {
            model_type == "small_mlp" && subject.settings.with(|config| config.num_hidden_layers == Some(0))
        }
        PictureKind::PackedWeights => subject
            .loaded
            .model
            .with(|model| model.as_ref().is_some_and(|model| !model.linear_modules.is_empty())),
        PictureKind::Units => {
            model_type == "small_mlp" && subject.settings.with(|config| config.num_hidden_layers != Some(0))
        }
    }
}
