//! What a folder of sentence-transformers says beside its model: how the vectors of tokens become one vector of a text.
//!
//! `modules.json` lists the modules that a text goes through; each has its settings in a config.json in a folder of its own. Read are
//! a pooling by the first token, the mean or the last token, and a normalization to length 1.
//!
//! Reference: `base/model.py` and `sentence_transformer/modules/pooling.py` of huggingface/sentence-transformers.

use super::files::{base_name, read_json};
use crate::config::HeadPooling;
use crate::store::Source;
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use lorakeet_i18n::{Field, Message};
use serde_json::{Value, json};

/// The list of modules.
pub const MODULES: &str = "modules.json";
/// Every module's settings, the model's own among them.
const CONFIG: &str = "config.json";
/// What the names of modules' types begin with.
const LIBRARY: &str = "sentence_transformers.";

/// Flags of older files, and what newer ones call the same.
const FLAGS: [(&str, &str); 6] = [
    ("pooling_mode_cls_token", "cls"),
    ("pooling_mode_max_tokens", "max"),
    ("pooling_mode_mean_tokens", "mean"),
    ("pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens"),
    ("pooling_mode_weightedmean_tokens", "weightedmean"),
    ("pooling_mode_lasttoken", "lasttoken"),
];

/// How a text's vector is made of those of its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TextPooling {
    /// That of the first token.
    Cls,
    /// Their mean.
    #[default]
    Mean,
    /// That of the last token.
    Last,
}

impl TextPooling {
    /// Its name in sentence-transformers: `lasttoken`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cls => "cls",
            Self::Mean => "mean",
            Self::Last => "lasttoken",
        }
    }

    /// That which a run's `classifier_pooling` means: cls of a decoder is its last token, the only one that has seen the text.
    pub fn of_run(wanted: HeadPooling, is_encoder: bool) -> Self {
        match wanted {
            HeadPooling::Mean => Self::Mean,
            HeadPooling::Cls if is_encoder => Self::Cls,
            HeadPooling::Cls => Self::Last,
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Cls, Self::Mean, Self::Last]
            .into_iter()
            .find(|pooling| pooling.name() == name)
    }
}

/// The modules of a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct SentenceModules {
    /// modules.json.
    list: Value,
    /// The folder of the pooling, where there is one, and its config.json, where it is among the files.
    pooling: Option<(String, Option<Value>)>,
    /// Modules that are not read, by their types.
    unread: Vec<String>,
}

impl SentenceModules {
    /// Reads modules.json; `pooling` is the config.json of the pooling.
    ///
    /// # Errors
    /// It is no list of modules.
    pub(super) fn read(list: Value, pooling: Option<Value>) -> Result<Self> {
        let wrong = || Error::format(msg::NoListOfModules).file(MODULES);
        let (mut folder, mut unread) = (None, Vec::new());
        for module in list.as_array().ok_or_else(wrong)? {
            let kind = module["type"].as_str().ok_or_else(wrong)?;
            let known = kind.strip_prefix(LIBRARY).and_then(|kind| kind.rsplit('.').next());
            match known {
                Some("Transformer" | "Normalize") => {}
                Some("Pooling") if folder.is_none() => {
                    folder = Some(module["path"].as_str().unwrap_or_default().to_owned());
                }
                _ => unread.push(kind.to_owned()),
            }
        }
        Ok(Self {
            list,
            pooling: folder.map(|folder| (folder, pooling)),
            unread,
        })
    }

    /// The pooling that its config.json names; `None` where there is no such file.
    fn mode(&self) -> Option<String> {
        let (_, config) = self.pooling.as_ref()?;
        let config = config.as_ref()?;
        let modes: Vec<&str> = match &config["pooling_mode"] {
            Value::String(mode) => vec![mode.as_str()],
            Value::Array(modes) => modes.iter().filter_map(Value::as_str).collect(),
            _ => {
                let is_set = |(flag, _): &&(&str, &str)| config[*flag] == json!(true);
                FLAGS.iter().filter(is_set).map(|(_, mode)| *mode).collect()
            }
        };
        match modes.as_slice() {
            [] => Some(TextPooling::default().name().to_owned()),
            modes => Some(modes.join(", ")),
        }
    }

    /// How a text's vector is made: by the mean where that is not said, or not computed here.
    pub fn pooling(&self) -> TextPooling {
        self.said().unwrap_or_default()
    }

    /// How a text's vector is made, where that is said and computed here.
    pub fn said(&self) -> Option<TextPooling> {
        TextPooling::named(&self.mode()?)
    }

    /// Refuses modules that vectors of this program would be without; the note says how vectors are pooled, where that is not by
    /// the mean, or what is not known of it. A pooling that a run sets is not asked for here: `is_set`.
    ///
    /// # Errors
    /// A module or a pooling that is not computed here.
    pub fn check(&self, is_set: bool) -> Result<Option<Message>> {
        if !self.unread.is_empty() {
            let modules = Field::list(&self.unread);
            let error = Error::model(msg::ModulesNotRead { modules }).file(MODULES);
            return Err(error.remedy(msg::WithoutModules));
        }
        let Some((folder, config)) = self.pooling.as_ref().filter(|_| !is_set) else {
            return Ok(None);
        };
        let file = format!("{folder}/{CONFIG}");
        let Some(mode) = self.mode().filter(|_| config.is_some()) else {
            return Ok(Some(msg::PoolingUnknown { file }.into()));
        };
        match TextPooling::named(&mode) {
            Some(TextPooling::Mean) => Ok(None),
            Some(_) => Ok(Some(msg::PoolsBy { mode, file }.into())),
            None => {
                let error = Error::model(msg::PoolingNotRead { mode }).file(file);
                Err(error.remedy(msg::SetPooling))
            }
        }
    }

    /// The files again, for a folder with the same modules; none where it would lack one of them.
    pub fn files(&self) -> Vec<(String, Value)> {
        match &self.pooling {
            Some((folder, Some(config))) if self.unread.is_empty() => vec![
                (MODULES.to_owned(), self.list.clone()),
                (format!("{folder}/{CONFIG}"), config.clone()),
            ],
            _ => Vec::new(),
        }
    }
}

/// The files of a folder whose vectors have `width` numbers, are pooled so and have length 1.
pub fn files(pooling: TextPooling, width: usize) -> Vec<(String, Value)> {
    let module = |number: usize, path: &str, kind: &str| {
        let kind = format!("{LIBRARY}models.{kind}");
        json!({ "idx": number, "name": number.to_string(), "path": path, "type": kind })
    };
    let list = json!([
        module(0, "", "Transformer"),
        module(1, "1_Pooling", "Pooling"),
        module(2, "2_Normalize", "Normalize"),
    ]);
    let mut config = json!({ "word_embedding_dimension": width, "include_prompt": true });
    for (flag, mode) in FLAGS {
        config[flag] = json!(mode == pooling.name());
    }
    vec![
        (MODULES.to_owned(), list),
        (format!("1_Pooling/{CONFIG}"), config),
        (format!("2_Normalize/{CONFIG}"), json!({})),
    ]
}

/// Where several of a set's files are called config.json, takes out those of modules; one that has a `model_type` is the model's.
/// Gives the other files, and the pooling's.
///
/// # Errors
/// One of them is not JSON.
pub(super) async fn take_modules(files: Vec<Source>) -> Result<(Vec<Source>, Option<Value>)> {
    let is_config = |file: &&Source| base_name(file.name()) == CONFIG;
    if files.iter().filter(is_config).count() < 2 {
        return Ok((files, None));
    }
    let (mut left, mut modules, mut pooling) = (Vec::new(), Vec::new(), None);
    for file in files {
        if base_name(file.name()) != CONFIG {
            left.push(file);
            continue;
        }
        let config = read_json(file.as_ref()).await?;
        match config["model_type"].is_null() {
            true => {
                let is_pooling =
                    config["pooling_mode"] != Value::Null || FLAGS.iter().any(|(flag, _)| !config[*flag].is_null());
                pooling = pooling.or(is_pooling.then_some(config));
                modules.push(file);
            }
            false => left.push(file),
        }
    }
    // None of them is surely the model's: what is wrong with them is said where they are read.
    if !left.iter().any(|file| base_name(file.name()) == CONFIG) {
        left.append(&mut modules);
        pooling = None;
    }
    Ok((left, pooling))
}

/// Of the folders that a folder's modules.json names, the config.json of each; none where there is no such list.
#[cfg(not(target_arch = "wasm32"))]
pub fn module_files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    /// A longer list is none.
    const MOST_BYTES: u64 = 1 << 20;
    let path = folder.join(MODULES);
    let is_small = std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() <= MOST_BYTES);
    let text = is_small.then(|| std::fs::read(&path).ok()).flatten();
    let list: Value = text
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let names = list
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|module| module["path"].as_str());
    // A name, and no way out of the folder.
    let is_name = |name: &&str| !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', ':']);
    let files = names.filter(is_name).map(|name| folder.join(name).join(CONFIG));
    files.filter(|file| file.is_file()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(kinds: &[&str]) -> Value {
        let module = |(i, kind): (usize, &&str)| json!({ "idx": i, "name": i.to_string(), "path": format!("{i}"), "type": kind });
        kinds.iter().enumerate().map(module).collect()
    }

    const USUAL: [&str; 3] = [
        "sentence_transformers.models.Transformer",
        "sentence_transformers.sentence_transformer.modules.pooling.Pooling",
        "sentence_transformers.models.Normalize",
    ];

    #[test]
    fn older_and_newer_files_name_the_same_poolings() {
        for (config, pooling) in [
            (
                json!({ "pooling_mode_cls_token": true, "pooling_mode_mean_tokens": false }),
                TextPooling::Cls,
            ),
            (
                json!({ "pooling_mode": "lasttoken", "embedding_dimension": 8 }),
                TextPooling::Last,
            ),
            (json!({ "pooling_mode": ["mean"] }), TextPooling::Mean),
            (json!({ "pooling_mode_max_tokens": false }), TextPooling::Mean),
        ] {
            let read = SentenceModules::read(list(&USUAL), Some(config.clone())).unwrap();
            assert_eq!(read.pooling(), pooling, "{config}");
            assert_eq!(
                read.check(false).unwrap().is_some(),
                pooling != TextPooling::Mean,
                "{config}"
            );
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for pooling in [TextPooling::Cls, TextPooling::Mean, TextPooling::Last] {
            let written = files(pooling, 8);
            let (list, config) = (written[0].1.clone(), written[1].1.clone());
            let read = SentenceModules::read(list, Some(config)).unwrap();
            assert_eq!(read.pooling(), pooling);
            assert_eq!(read.files(), written[..2]);
        }
    }

    #[test]
    fn what_is_not_computed_is_refused_by_name() {
        let dense = [&USUAL[..2], &["sentence_transformers.models.Dense"]].concat();
        let error = SentenceModules::read(list(&dense), None)
            .unwrap()
            .check(false)
            .unwrap_err();
        assert!(error.to_string().contains("models.Dense"), "{error}");
        for modes in [json!("max"), json!(["mean", "max"])] {
            let read = SentenceModules::read(list(&USUAL), Some(json!({ "pooling_mode": modes }))).unwrap();
            let error = read.check(false).unwrap_err().to_string();
            assert!(error.contains("max") && error.contains("1/config.json"), "{error}");
        }
        assert!(
            SentenceModules::read(list(&USUAL), None)
                .unwrap()
                .check(false)
                .unwrap()
                .is_some()
        );
        assert!(SentenceModules::read(json!({}), None).is_err());
        assert!(SentenceModules::read(json!([{ "path": "" }]), None).is_err());
    }
}
