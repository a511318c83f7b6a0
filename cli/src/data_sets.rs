//! Data sets by their names in LLaMA-Factory's dataset_info.json, where a run file of it names no path.

use crate::log::cannot_read;
use lorakeet_core::config::{Resolved, Source};
use lorakeet_core::error::{Error, Result};
use lorakeet_i18n::messages::command as msg;
use lorakeet_i18n::messages::config::{NameOneFile, SeveralDataSets};
use lorakeet_i18n::{Field, Message};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Where they are listed, and the folder of it where the run file names none.
const INFO: &str = "dataset_info.json";
const FOLDER: &str = "data";

/// Names that an error lists.
const SHOWN: usize = 12;

/// Puts the files of data sets in the place of their names.
///
/// # Errors
/// The list is there and does not have the name, or it has no file for it.
pub fn look_up(resolved: &mut Resolved) -> Result<()> {
    let folder = resolved.dataset_dir.clone().unwrap_or_else(|| FOLDER.to_owned());
    let info = Path::new(&folder).join(INFO);
    for (knob, key) in [("train_file", "dataset"), ("validation_file", "eval_dataset")] {
        let source = resolved.source(knob);
        let is_theirs = matches!(&source, Source::Alias { of, .. } if of == key);
        let name = resolved.config.get(knob);
        let Some(name) = name.as_ref().and_then(Value::as_str).filter(|_| is_theirs) else {
            continue;
        };
        if Path::new(name).exists() || !info.is_file() {
            continue;
        }
        let path = file_of(name, Path::new(&folder), &info).map_err(|error| error.field(key))?;
        resolved.overlay([(knob, path.as_str())], &source)?;
        let name = name.to_owned();
        let note: Message = msg::DataSetFound { name, path }.into();
        resolved.warnings.push(note);
    }
    Ok(())
}

/// The file that `info` has for a data set.
fn file_of(name: &str, folder: &Path, info: &Path) -> Result<String> {
    let text = fs::read_to_string(info).map_err(|error| cannot_read(info, &error))?;
    let located = |error: Error| error.file(info.display().to_string());
    let listed: Value =
        serde_json::from_str(&text).map_err(|error| located(Error::format(Message::verbatim(error.to_string()))))?;
    let described = listed.get(name).ok_or_else(|| {
        let found = name.split(',').count();
        if found > 1 {
            return located(Error::config(SeveralDataSets { found }).remedy(NameOneFile));
        }
        let known: Vec<&str> = listed
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        let names = Field::first(SHOWN, known.into_iter());
        located(Error::config(msg::NoSuchDataSet { name }).remedy(msg::DataSetsAre { names }))
    })?;
    match described["file_name"].as_str() {
        Some(file) => Ok(folder.join(file).display().to_string()),
        None => Err(located(
            Error::config(msg::DataSetElsewhere { name }).remedy(msg::FetchDataSet),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::config::RunConfig;

    #[test]
    fn a_data_set_is_found_by_its_name_and_an_unknown_one_is_refused_with_those_that_there_are() {
        let folder = std::env::temp_dir().join(format!("lorakeet-data-sets-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        let info = r#"{ "mine": { "file_name": "mine.json" }, "far": { "hf_hub_url": "org/far" } }"#;
        fs::write(folder.join(INFO), info).expect("it is written");
        let read = |name: &str| {
            let text = format!("dataset_dir: {}\ndataset: {name}\n", folder.display());
            let mut resolved = RunConfig::parse(&text, "run.yaml").expect("a run file");
            look_up(&mut resolved).map(|()| resolved)
        };
        let found = read("mine").expect("it is listed");
        assert_eq!(found.config.train_file, folder.join("mine.json").display().to_string());
        assert!(found.warnings.iter().any(|note| note.english().contains("mine.json")));
        for (name, words) in [("other", "mine"), ("far", "Download"), ("mine,far", "2 data sets")] {
            let error = read(name).expect_err(name).to_string();
            assert!(error.contains(words), "{error}");
        }
        fs::remove_dir_all(&folder).expect("it is removed");
    }
}
