//! What was trained, handed over in one of several forms: which there are, and files that come in pieces.

use super::number;
use crate::error::Error;
use lorakeet_i18n::Message;
use serde::{Deserialize, Serialize};

/// The most bytes of a file in one [`ExportEvent::Piece`].
pub const PIECE_BYTES: usize = 4 << 20;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportForm {
    /// The adapter as PEFT has it.
    Peft,
    /// The base with the adapter in its weights, in Hugging Face's layout.
    Merged,
    /// The same with modules for vectors of texts.
    SentenceTransformers,
    /// The merged model as one GGUF file.
    Gguf,
    /// The adapter alone for llama.cpp.
    GgufAdapter,
    /// The adapter alone for MLX.
    Mlx,
}

impl ExportForm {
    /// The file of [`Self::Gguf`].
    pub const GGUF_FILE: &'static str = "model.gguf";
    /// The file of [`Self::GgufAdapter`].
    pub const GGUF_ADAPTER_FILE: &'static str = "adapter.gguf";

    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Peft,
        Self::Merged,
        Self::SentenceTransformers,
        Self::Gguf,
        Self::GgufAdapter,
        Self::Mlx,
    ];

    /// Its name: `gguf-adapter`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Peft => "peft",
            Self::Merged => "merged",
            Self::SentenceTransformers => "sentence-transformers",
            Self::Gguf => "gguf",
            Self::GgufAdapter => "gguf-adapter",
            Self::Mlx => "mlx",
        }
    }

    /// Whether it holds the base, too.
    pub fn holds_base(self) -> bool {
        match self {
            Self::Merged | Self::SentenceTransformers | Self::Gguf => true,
            Self::Peft | Self::GgufAdapter | Self::Mlx => false,
        }
    }

    /// The one file that it comes to, beside which there is the model card alone; none of a folder.
    pub fn single_file(self) -> Option<&'static str> {
        match self {
            Self::Gguf => Some(Self::GGUF_FILE),
            Self::GgufAdapter => Some(Self::GGUF_ADAPTER_FILE),
            Self::Peft | Self::Merged | Self::SentenceTransformers | Self::Mlx => None,
        }
    }
}

/// A request that concerns exports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum ExportCommand {
    /// Tell in which forms what was trained can be exported, or the loaded model where nothing was: answered by
    /// [`ExportEvent::Forms`].
    Forms,
    /// Hand it over: answered by [`ExportEvent::Piece`]s, file after file, and one [`ExportEvent::Done`].
    Write {
        /// The form.
        form: ExportForm,
        /// The name of its number format; none takes the form's own.
        #[serde(default)]
        dtype: Option<String>,
        /// Whether the base's linears are rounded as the run rounded them ([`ExportOption::dequantized`]).
        #[serde(default)]
        dequantized: bool,
        /// The most pieces that may be on their way before the front end says [`ExportCommand::Taken`]; 0 for any number.
        #[serde(default)]
        ahead: u64,
        /// The licence to name in the model card: of the hub's list by its name, else another one. Without it, that of the base,
        /// where its files or its hub name one.
        #[serde(default)]
        license: Option<String>,
    },
    /// Read back the files of an export, which travel with this command: compare every tensor with what was meant to be in it, and
    /// score the run's validation rows with them. Answered by [`ExportEvent::Checked`]; files that cannot be read are a failure.
    Check {
        /// The form.
        form: ExportForm,
        /// As they were written.
        #[serde(default)]
        dtype: Option<String>,
        /// As they were written.
        #[serde(default)]
        dequantized: bool,
    },
    /// A piece was put away: the next one may come.
    Taken,
    /// End the export under way; what came of it is incomplete.
    Cancel,
}

/// What there is to hear of exports.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum ExportEvent {
    /// The forms, also those that are not available.
    Forms {
        /// One entry a form, of GGUF models one a number format.
        forms: Vec<ExportOption>,
    },
    /// A part of a file; its bytes travel beside the event. Files come one after the other, each from its start to its end.
    Piece {
        /// The file, relative, with `/` between folders.
        path: String,
        /// Where the part begins in it.
        offset: u64,
        /// Its size, at most [`PIECE_BYTES`].
        bytes: u64,
        /// Whether the file is complete with it.
        is_last: bool,
    },
    /// All files are complete.
    Done {
        /// The form.
        form: ExportForm,
        /// The optimizer step whose weights these are, where that is known.
        step: Option<u64>,
        /// Whether that is the step that scored best, in place of the last one.
        is_best: bool,
        /// What there is to know about the files.
        notes: Vec<Message>,
    },
    /// The files were read back.
    Checked {
        /// The form.
        form: ExportForm,
        /// What came of it.
        check: ExportCheck,
    },
}

/// What reading an export back came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportCheck {
    /// Its tensors beside what was meant to be in them.
    pub read_back: ReadBack,
    /// Its loss beside the run's own.
    pub score: Option<ExportScore>,
    /// Why it was not scored.
    pub not_scored: Option<Message>,
    /// What there is to say of a difference that is larger than expected.
    pub explanation: Option<Message>,
}

/// Tensors that were read back, compared with what was meant to be in them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReadBack {
    /// How many were compared; of an adapter, products of low-rank matrices and what was trained beside them.
    pub tensors: usize,
    /// ‖read − meant‖ / ‖meant‖ over all of them; none where that is no number.
    #[serde(default)]
    pub relative: Option<f64>,
    /// The one whose difference is the largest in relation to what its number format rounds.
    pub worst: Option<TensorError>,
}

impl ReadBack {
    /// Whether no tensor differs by more than its number format rounds.
    pub fn is_close(&self) -> bool {
        self.worst.as_ref().is_none_or(|worst| worst.relative <= worst.expected)
    }
}

/// How far a tensor lies from what was meant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorError {
    /// Its name.
    pub name: String,
    /// Its number format in the file: `Q4_0`.
    pub storage: String,
    /// ‖read − meant‖ / ‖meant‖.
    #[serde(with = "number")]
    pub relative: f64,
    /// The most that is expected of its number format.
    #[serde(with = "number")]
    pub expected: f64,
}

/// The loss of an export on the run's validation rows, beside that of the weights that the run left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportScore {
    /// Rows that both were scored on.
    pub rows: usize,
    /// Rows that the run holds out.
    pub held_out: usize,
    /// The loss of the weights that the run left.
    #[serde(with = "number")]
    pub loss_of_run: f64,
    /// The loss of what was read back.
    #[serde(with = "number")]
    pub loss_of_export: f64,
    /// How far they are expected to lie apart at most.
    #[serde(with = "number")]
    pub tolerance: f64,
}

impl ExportScore {
    /// Whether they lie no further apart than expected.
    pub fn is_close(&self) -> bool {
        (self.loss_of_export - self.loss_of_run).abs() <= self.tolerance
    }
}

/// A form in which what was trained could be exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportOption {
    /// The form.
    pub form: ExportForm,
    /// The name of its number format; none is the form's own.
    pub dtype: Option<String>,
    /// Whether the base in it has the numbers that the run computed with, which packed it, in place of those of its files.
    #[serde(default)]
    pub dequantized: bool,
    /// What its files take, within a few kilobytes.
    pub bytes: Option<u64>,
    /// Why it is not available.
    pub problem: Option<Error>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_written_as_it_is_named() {
        for form in ExportForm::ALL {
            let written = serde_json::to_string(&form).expect("it is written");
            assert_eq!(written, format!("\"{}\"", form.name()));
        }
    }
}
