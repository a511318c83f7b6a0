//! What a checkpoint belongs to: the settings, the files and the rows of the run that wrote it. A run that goes on from it has
//! to have the same, or it would be neither the old run nor a new one.

use crate::config::{KNOBS, Knob, OnResume, RunConfig};
use crate::data::{Data, Example, RowDifference, RowMarks, Target};
use crate::error::{Error, Result};
use crate::formats::peft::Adapter;
use crate::host::Emit;
use crate::loaded_model::LoadedModel;
use crate::protocol::Stage;
use crate::store::hexadecimal;
pub use crate::store::{sha256, sha256_of};
use lorakeet_i18n::messages::run as msg;
use lorakeet_i18n::{Field, Message};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The inputs, by the knob that names each. `rows` are the tokens that came of it all.
const INPUTS: [&str; 5] = [MODEL, ADAPTER, TRAIN, VALIDATION, ROWS];
pub(crate) const MODEL: &str = "model_name_or_path";
const ADAPTER: &str = "adapter_name_or_path";
pub(crate) const TRAIN: &str = "train_file";
pub(crate) const VALIDATION: &str = "validation_file";
const ROWS: &str = "rows";

/// Settings and digests of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Each knob but for those of places, as JSON writes its value; as text, for readers of JSON change the last digit of numbers.
    settings: BTreeMap<String, String>,
    /// SHA-256 of each input, by [`INPUTS`].
    inputs: BTreeMap<String, String>,
    /// Whether that of the model is over all of its weights, and not over a sample of each.
    #[serde(default)]
    has_whole_model: bool,
    /// Marks of the rows of data, by the knobs that name them.
    #[serde(default)]
    marks: BTreeMap<String, RowMarks>,
}

/// What stands before the digest of a model of which samples were looked at.
const SAMPLED: &str = "sampled:";

/// Of how large a model every weight is looked at: a page takes seconds for a gigabyte.
pub(crate) const MOST_WHOLE_BYTES: u64 = if cfg!(target_arch = "wasm32") {
    1 << 30
} else {
    u64::MAX
};

impl Fingerprint {
    /// Of the settings alone.
    pub fn of(config: &RunConfig) -> Self {
        let compared = KNOBS.iter().filter(|knob| knob.on_resume != OnResume::Silent);
        let settings = compared.map(|knob| {
            let value = config.get(knob.name).unwrap_or_default();
            (knob.name.to_owned(), value.to_string())
        });
        Self {
            settings: settings.collect(),
            ..Self::default()
        }
    }

    /// SHA-256 of each input, by the knob that names it.
    pub fn inputs(&self) -> &BTreeMap<String, String> {
        &self.inputs
    }

    fn add(&mut self, input: &str, digest: String) {
        self.inputs.insert(input.to_owned(), digest);
    }

    /// Adds data by the digest of their file, and marks of their rows.
    pub(crate) fn add_data(&mut self, input: &str, data: Option<&Data>) {
        if let Some(data) = data {
            self.add(input, data.digest.clone());
            self.marks.insert(input.to_owned(), RowMarks::of(&data.rows));
        }
    }

    /// Adds the model: its config.json as it came, and every weight in the files' order; of one of more than `most` bytes, and
    /// where the run goes on from a checkpoint (`saved`) that has no more, a sample of each tensor, and says so.
    ///
    /// # Errors
    /// Its files cannot be read, or a stop is asked for.
    pub(crate) async fn add_model(
        &mut self,
        model: &LoadedModel,
        (most, saved): (u64, Option<&Self>),
        emit: &mut Emit<'_>,
    ) -> Result<()> {
        self.has_whole_model = saved.map_or(bytes_of(model) <= most, |saved| saved.has_whole_model);
        let digest = model_digest(model, self.has_whole_model, emit).await?;
        self.add(MODEL, digest);
        Ok(())
    }

    /// Adds the adapter that the run starts from, if there is one.
    ///
    /// # Errors
    /// Its numbers do not fill their shapes.
    pub fn add_adapter(&mut self, adapter: Option<&Adapter>) -> Result<()> {
        let Some(mut adapter) = adapter.cloned() else {
            return Ok(());
        };
        // Where its base lay is no part of it.
        adapter.config.base_model_name_or_path = None;
        let (config, tensors) = adapter.to_files()?;
        self.add(ADAPTER, sha256(&[config.as_bytes(), &tensors].concat()));
        Ok(())
    }

    /// Adds the tokens that are trained on and held out.
    pub fn add_rows(&mut self, parts: [&[Example]; 2]) {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update(part.len().to_le_bytes());
            part.iter().for_each(|example| add_tokens(&mut hasher, example));
        }
        self.add(ROWS, hexadecimal(hasher.finalize().as_slice()));
    }

    /// The value of a knob, as JSON writes it.
    pub(crate) fn setting(&self, knob: &str) -> Option<&str> {
        self.settings.get(knob).map(String::as_str)
    }

    /// Refuses to go on from a checkpoint of `saved` where this run is another one, but for the knob `but`; gives what else is said
    /// of it. `data` are the rows that are trained on, and those that are scored where they are in a file of their own.
    ///
    /// # Errors
    /// Every setting and every input that differs, by its name; of data the first row that does.
    pub(crate) fn check(&self, saved: &Self, but: Option<&str>, data: [Option<&Data>; 2]) -> Result<Option<Message>> {
        let then = |first, second| msg::Then { first, second }.into();
        let mut differences = Vec::new();
        let is_compared = |knob: &&Knob| knob.on_resume == OnResume::Refused && but != Some(knob.name);
        for knob in KNOBS.iter().filter(is_compared) {
            // A knob that the checkpoint does not know came later: the run had its default.
            let default = knob.default().to_string();
            let [was, is] = [saved, self].map(|one| one.settings.get(knob.name).unwrap_or(&default));
            if was != is {
                differences.push(Message::from(msg::SettingWas {
                    name: knob.name,
                    was: shown(was),
                    is: shown(is),
                }));
            }
        }
        let inputs: BTreeSet<&String> = saved.inputs.keys().chain(self.inputs.keys()).collect();
        for name in INPUTS
            .into_iter()
            .filter(|name| inputs.iter().any(|known| known == name))
        {
            // An older release did not say that it looked at samples.
            let [was, is] =
                [saved, self].map(|one| one.inputs.get(name).map(|digest| digest.trim_start_matches(SAMPLED)));
            match (was, is) {
                (was, is) if was == is => {}
                // Other rows are no news where something else explains them.
                _ if name == ROWS && !differences.is_empty() => {}
                _ if name == ROWS => differences.push(msg::OtherTokens.into()),
                (None, _) => differences.push(msg::WasNotGiven { name }.into()),
                (_, None) => differences.push(msg::WasGiven { name }.into()),
                _ => differences.push(match name {
                    MODEL => msg::OtherModel { name }.into(),
                    ADAPTER => msg::OtherAdapter { name }.into(),
                    _ => {
                        let data = if name == TRAIN { data[0] } else { data[1] };
                        let marks = saved.marks.get(name).zip(data);
                        match marks.map(|(marks, data)| marks.difference(&data.rows)) {
                            Some(difference) => {
                                let difference = in_words(difference);
                                msg::OtherDataAt { name, difference }.into()
                            }
                            None => msg::OtherData { name }.into(),
                        }
                    }
                }),
            }
        }
        let Some(differences) = differences.into_iter().reduce(then) else {
            return Ok(self.said(saved).into_iter().reduce(then).map(|differences| {
                let said = msg::ChangedOnTheWay { differences };
                said.into()
            }));
        };
        let error = Error::config(msg::OtherRun { differences }).field("resume_from_checkpoint");
        Err(error.remedy(msg::SetBack))
    }

    /// What changed that changes no step. An older release did not write it down.
    fn said(&self, saved: &Self) -> Vec<Message> {
        let said = KNOBS.iter().filter(|knob| knob.on_resume == OnResume::Said);
        let changed = said.filter_map(|knob| {
            let (was, is) = (saved.settings.get(knob.name)?, self.settings.get(knob.name)?);
            let (name, was, is) = (knob.name, was, is);
            (was != is).then(|| {
                msg::SettingWas {
                    name,
                    was: shown(was),
                    is: shown(is),
                }
                .into()
            })
        });
        changed.collect()
    }
}

/// Whether a model is that of a digest in a run's record.
///
/// # Errors
/// Its files cannot be read, or a stop is asked for.
pub(crate) async fn is_model(model: &LoadedModel, digest: &str, emit: &mut Emit<'_>) -> Result<bool> {
    if !digest.starts_with(SAMPLED) && model_digest(model, true, emit).await? == digest {
        return Ok(true);
    }
    // An older release did not say that it looked at samples.
    let sampled = model_digest(model, false, emit).await?;
    Ok(sampled.trim_start_matches(SAMPLED) == digest.trim_start_matches(SAMPLED))
}

fn bytes_of(model: &LoadedModel) -> u64 {
    model.files.entries().iter().map(|entry| entry.bytes).sum()
}

/// SHA-256 of a model's config.json and of its tensors, of all of them or of samples.
async fn model_digest(model: &LoadedModel, is_whole: bool, emit: &mut Emit<'_>) -> Result<String> {
    let config = model.head.config.to_string();
    if is_whole {
        return Ok(sha256(format!("{config}\n{}", weights(model, emit).await?).as_bytes()));
    }
    let mut hasher = Sha256::new();
    hasher.update(config);
    model.files.sample(&mut |bytes| hasher.update(bytes)).await?;
    Ok(format!("{SAMPLED}{}", hexadecimal(hasher.finalize().as_slice())))
}

/// SHA-256 of all tensors of a model; it is made once.
async fn weights(model: &LoadedModel, emit: &mut Emit<'_>) -> Result<String> {
    let known = model.digest.borrow().clone();
    if let Some(known) = known {
        return Ok(known);
    }
    let (mut hasher, mut done, total) = (Sha256::new(), 0, bytes_of(model));
    let take = async |bytes: &[u8]| {
        hasher.update(bytes);
        done += bytes.len() as u64;
        emit.progress(Stage::Check, done.min(total), total);
        emit.yield_or_stop(msg::StoppedPreparingRows).await
    };
    model.files.read_through(take).await?;
    let digest = hexadecimal(hasher.finalize().as_slice());
    *model.digest.borrow_mut() = Some(digest.clone());
    Ok(digest)
}

/// Where data differ, in words.
fn in_words(difference: RowDifference) -> Message {
    match difference {
        RowDifference::Row(row) => msg::RowDiffers { row }.into(),
        RowDifference::Between(first, last) => msg::RowsDiffer { first, last }.into(),
        RowDifference::Count { rows, were } => msg::RowCountWas { rows, were }.into(),
        RowDifference::None => msg::NoRowDiffers.into(),
    }
}

/// A value as an error tells it.
fn shown(value: &str) -> Field {
    match value {
        "null" => msg::NotGiven.into(),
        value => value.into(),
    }
}

/// Tokens, and what is learnt of them; numbers that were computed from them are left out.
fn add_tokens(hasher: &mut Sha256, example: &Example) {
    let labels = match &example.target {
        Target::Tokens(labels) | Target::Answer(labels) => labels.as_slice(),
        Target::NextTokens | Target::Row(_) => &[],
    };
    hasher.update(
        [example.input_ids.len(), labels.len(), example.others.len()]
            .map(usize::to_le_bytes)
            .concat(),
    );
    for id in example.input_ids.iter().chain(&example.token_type_ids) {
        hasher.update(id.to_le_bytes());
    }
    for label in example.labels.iter().chain(labels) {
        hasher.update(label.to_le_bytes());
    }
    for start in &example.starts {
        hasher.update((start.token as u64).to_le_bytes());
    }
    example.others.iter().for_each(|other| add_tokens(hasher, other));
}
