//! Files that a person looks into, compares, or puts onto the loaded model as an adapter.

use super::number;
use crate::config::RunConfig;
use crate::error::Error;
use crate::task::Task;
use serde::{Deserialize, Serialize};

/// A request that concerns files beside those of a run. [`super::Command::Stop`] ends it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum FilesCommand {
    /// Tell what the files beside this command are and hold, from their headers: answered by [`FilesEvent::Inspected`].
    Inspect,
    /// Compare two adapters or two models, whose files travel beside this command: answered by [`FilesEvent::Compared`]. Where only
    /// one of two adapters is llama.cpp's, both are put on the loaded model for it.
    Compare {
        /// How many of the files are those of the first.
        first: usize,
    },
    /// Put the adapter beside this command onto the loaded model, in the place of any other: answered by [`FilesEvent::Adapter`]. A
    /// LoRA run goes on from it. Where it does not fit, the model is left without an adapter.
    Adapter,
    /// Score the loaded model, with its adapter if it has one, on the validation data, or on all of the data where there are none:
    /// answered by [`super::Event::FileScored`].
    Score {
        /// The settings that say how rows are read (task, columns, cutoff_len).
        config: Box<RunConfig>,
    },
}

/// What there is to hear of files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum FilesEvent {
    /// What files are and hold.
    Inspected(Box<InspectedFiles>),
    /// How far two adapters or models lie apart.
    Compared(Box<ComparedFiles>),
    /// An adapter is on the loaded model.
    Adapter(Box<LoadedAdapter>),
}

/// What files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A model in Hugging Face's layout.
    Model,
    /// A model as one GGUF file.
    Gguf,
    /// An adapter of PEFT.
    Adapter,
    /// An adapter of llama.cpp.
    GgufAdapter,
    /// An adapter of mlx-lm.
    MlxAdapter,
    /// Tensors without a description.
    Tensors,
}

impl FileKind {
    /// Its name: `gguf-adapter`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Gguf => "gguf",
            Self::Adapter => "adapter",
            Self::GgufAdapter => "gguf-adapter",
            Self::MlxAdapter => "mlx-adapter",
            Self::Tensors => "tensors",
        }
    }
}

/// What files are and hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InspectedFiles {
    /// What they are.
    pub kind: FileKind,
    /// What the files call the architecture: `model_type`, `general.architecture`.
    pub architecture: Option<String>,
    /// Numbers in all tensors.
    pub parameters: u64,
    /// Number formats by name.
    pub formats: Vec<FormatShare>,
    /// The adapter, where it is one that is read here.
    pub adapter: Option<AdapterOutline>,
    /// Why it is not.
    pub problem: Option<Error>,
    /// Settings and metadata by name, those with a short text.
    pub facts: Vec<(String, String)>,
    /// Tensors of one shape and storage whose names differ in numbers only, as one.
    pub groups: Vec<FileTensors>,
    /// Each tensor alone, sorted by name.
    pub tensors: Vec<FileTensors>,
    /// The files that this was read of.
    pub read: Vec<String>,
    /// Files that nothing was read of.
    pub others: Vec<String>,
}

/// What is stored in a number format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatShare {
    /// Its name: `BF16`.
    pub format: String,
    /// Tensors in it.
    pub tensors: usize,
    /// Numbers in them.
    pub elements: u64,
    /// What they take.
    pub bytes: u64,
}

/// A tensor of a file, or several that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileTensors {
    /// The name; of several with `*` for each number in it.
    pub name: String,
    /// How many there are.
    pub count: usize,
    /// The shape of each, row-major.
    pub shape: Vec<usize>,
    /// The number format of each.
    pub format: String,
    /// What they take together.
    pub bytes: u64,
}

/// What an adapter is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AdapterOutline {
    /// Modules that it is on.
    pub modules: usize,
    /// R, with the modules that have it.
    pub ranks: Vec<OfModules>,
    /// alpha; with rsLoRA alpha·√R, so that alpha/R is the scale.
    pub alphas: Vec<OfModules>,
    /// What products B·A are multiplied by, alpha/R.
    pub scales: Vec<OfModules>,
    /// The last names of its modules.
    pub targets: Vec<String>,
    /// Whether it has DoRA's magnitudes.
    pub has_magnitudes: bool,
    /// Tensors that are no low-rank matrices: modules saved whole.
    pub whole: Vec<String>,
    /// The base that it names.
    pub base: Option<String>,
}

/// A number that modules of an adapter have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfModules {
    /// The number.
    pub value: String,
    /// How many modules.
    pub modules: usize,
}

/// An adapter on the loaded model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadedAdapter {
    /// What wrote it.
    pub kind: FileKind,
    /// Its files.
    pub files: Vec<String>,
    /// What it is made of.
    pub outline: AdapterOutline,
    /// What the head answers that the model has now; none where it writes texts or makes vectors.
    pub head: Option<Task>,
    /// The names of its answers.
    pub labels: Vec<String>,
}

/// How far a part of the one lies from that of the other, in Frobenius norms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TensorChange {
    /// The tensor, the module or the layer.
    pub name: String,
    /// ‖B − A‖.
    #[serde(with = "number")]
    pub distance: f64,
    /// ‖A‖.
    #[serde(with = "number")]
    pub before: f64,
    /// ‖B‖.
    #[serde(with = "number")]
    pub after: f64,
}

impl TensorChange {
    /// ‖B − A‖ / ‖A‖; 0 where nothing changes, and no number where A is 0 and B is not.
    pub fn relative(&self) -> Option<f64> {
        match (self.distance, self.before) {
            (0.0, _) => Some(0.0),
            (_, 0.0) => None,
            (distance, before) => Some(distance / before),
        }
    }
}

/// Two adapters or two models, compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComparedFiles {
    /// Whether they are adapters, whose products s·B·A are compared, in place of models.
    pub are_adapters: bool,
    /// The files of both.
    pub files: [Vec<String>; 2],
    /// Whether nothing differs.
    pub is_same: bool,
    /// The sum over all tensors.
    pub total: TensorChange,
    /// Sums by layer, in the order of layers; what is in no layer first, without a name.
    pub layers: Vec<TensorChange>,
    /// Tensors, of adapters modules, those first that change most in relation to their size.
    pub tensors: Vec<TensorChange>,
    /// Names that the first alone has.
    pub only_a: Vec<String>,
    /// Names that the second alone has.
    pub only_b: Vec<String>,
    /// What both have and is not compared.
    pub uncompared: Vec<UncomparedTensor>,
}

/// A tensor of both that is not compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncomparedTensor {
    /// Its name.
    pub name: String,
    /// Its shapes, where these are not one.
    pub shapes: Option<[Vec<usize>; 2]>,
    /// Else its number format, which is not read here.
    pub format: Option<String>,
    /// Whether the bytes are the same ones then.
    pub is_same: bool,
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;

    #[test]
    fn a_comparison_is_asked_for_by_its_files_and_changes_are_in_relation_to_the_first() {
        let line = r#"{"type":"files","about":"compare","first":2}"#;
        let command = Command::Files(FilesCommand::Compare { first: 2 });
        assert_eq!(serde_json::to_string(&command).expect("it is written"), line);
        assert_eq!(serde_json::from_str::<Command>(line).expect("it is read"), command);
        let change = |before: f64, distance: f64| TensorChange {
            name: "q".to_owned(),
            distance,
            before,
            after: 1.0,
        };
        assert_eq!(change(0.0, 1.0).relative(), None);
        assert_eq!(change(0.0, 0.0).relative(), Some(0.0));
        assert_eq!(change(2.0, 1.0).relative(), Some(0.5));
    }
}
