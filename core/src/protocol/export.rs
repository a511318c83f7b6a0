//! What was trained, handed over in one of several forms: which there are, and files that come in pieces.

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
    /// Tell in which forms what was trained can be had: answered by [`ExportEvent::Forms`].
    Forms,
    /// Hand it over: answered by [`ExportEvent::Piece`]s, file after file, and one [`ExportEvent::Done`].
    Write {
        /// The form.
        form: ExportForm,
        /// The name of its number format; none takes the form's own.
        #[serde(default)]
        dtype: Option<String>,
        /// The most pieces that may be on their way before the front end says [`ExportCommand::Taken`]; 0 for any number.
        #[serde(default)]
        ahead: u64,
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
    /// The forms, also those that are not to be had.
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
}

/// A form in which what was trained could be had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExportOption {
    /// The form.
    pub form: ExportForm,
    /// The name of its number format; none is the form's own.
    pub dtype: Option<String>,
    /// What its files take, within a few kilobytes.
    pub bytes: Option<u64>,
    /// Why it is not to be had.
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
