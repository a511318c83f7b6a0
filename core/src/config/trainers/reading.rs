//! Reading run files of Axolotl and TRL: a file is recognised by keys that no other has, and each key becomes one of this program,
//! is named in a note, or is an error with the way out. LLaMA-Factory's keys are read as they stand: this program's follow them.

use super::Trainer;
use crate::config::check::{as_flag, as_number, as_whole_number, is_null, must_be};
use crate::config::knob;
use crate::config::knobs::KNOBS;
use crate::config::read::{Entry, Node};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common::{At, Line, TrueOrFalse};
use lorakeet_i18n::messages::config as msg;

/// The keys of a file, as this program calls them, and what there is to say about them.
pub(in crate::config) fn translated(entries: Vec<Entry>) -> Result<(Vec<Entry>, Vec<Message>)> {
    let Some(trainer) = recognised(&entries) else {
        return Ok((entries, Vec::new()));
    };
    let program = trainer.name();
    let mut translation = Translation {
        trainer,
        entries: Vec::with_capacity(entries.len()),
        notes: vec![msg::FileOfTrainer { program }.into()],
    };
    let given = |key: &str| entries.iter().any(|entry| entry.key == key);
    let rounds = entries.iter().find(|entry| entry.key == "num_epochs");
    let rounds = rounds.and_then(|entry| as_number(&entry.value)).unwrap_or(1.0);
    // Without an adapter these two train every weight.
    let (switch, is_full) = match trainer {
        Trainer::Axolotl => ("adapter", !given("adapter")),
        _ => ("use_peft", !given("use_peft")),
    };
    if is_full && !given("finetuning_type") {
        translation
            .notes
            .push(msg::FullWithoutSwitch { program, switch }.into());
        translation.add("finetuning_type", 1, Node::Plain("full".into()));
    }
    if trainer == Trainer::Trl && !given("test_split_size") && !given("dataset_test_split") {
        translation.add("val_size", 1, Node::Plain("0".into()));
    }
    let of_folder = |entry: &Entry| matches!(text(&entry.value), Some("." | "./"));
    let is_folder = entries
        .iter()
        .any(|entry| entry.key == "dataset_name" && of_folder(entry));
    for entry in entries {
        let line = entry.line;
        translation
            .take(entry, rounds, is_folder)
            .map_err(|error| error.row(line))?;
    }
    Ok((translation.entries, translation.notes))
}

/// The folder in which LLaMA-Factory's data sets are listed.
pub(in crate::config) fn dataset_dir(entries: &[Entry]) -> Option<String> {
    let entry = entries.iter().find(|entry| entry.key == "dataset_dir")?;
    text(&entry.value).map(str::to_owned)
}

/// Whose file it is, by keys that only one of them has. `datasets` is both Axolotl's and TRL's.
fn recognised(entries: &[Entry]) -> Option<Trainer> {
    let has = |keys: &[&str]| entries.iter().any(|entry| keys.contains(&entry.key.as_str()));
    let has_adapter = || {
        let of_kind = |entry: &Entry| entry.key == "adapter" && matches!(text(&entry.value), Some("lora" | "qlora"));
        entries.iter().any(of_kind)
    };
    let of_axolotl = [
        "lora_target_linear",
        "lora_model_dir",
        "val_set_size",
        "evals_per_epoch",
        "saves_per_epoch",
        "dataset_prepared_path",
        "train_on_inputs",
        "test_datasets",
    ];
    let of_trl = [
        "use_peft",
        "dataset_name",
        "dataset_train_split",
        "dataset_test_split",
        "test_split_size",
        "use_bnb_nested_quant",
    ];
    if has(&of_axolotl) || has_adapter() || has(&["datasets"]) && has(&["base_model"]) {
        Some(Trainer::Axolotl)
    } else if has(&of_trl) || has(&["datasets"]) {
        Some(Trainer::Trl)
    } else {
        None
    }
}

struct Translation {
    trainer: Trainer,
    entries: Vec<Entry>,
    notes: Vec<Message>,
}

impl Translation {
    fn add(&mut self, key: &str, line: usize, value: Node) {
        let key = key.to_owned();
        self.entries.push(Entry { key, line, value });
    }

    /// A note that a key changes nothing, and why.
    fn note(&mut self, key: &str, line: usize, reason: impl Into<Message>) {
        let (what, reason) = (key.to_owned(), reason.into());
        let what = msg::NoEffect { what, reason };
        let place = Line { line };
        self.notes.push(At { place, what }.into());
    }

    fn take(&mut self, entry: Entry, rounds: f64, is_folder: bool) -> Result<()> {
        let Entry { key, line, value } = entry;
        let of_axolotl = self.trainer == Trainer::Axolotl;
        match key.as_str() {
            "datasets" => self.data_set(&key, "train_file", line, &value)?,
            "test_datasets" if of_axolotl => self.data_set(&key, "validation_file", line, &value)?,
            "dataset_name" if !of_axolotl && is_folder => {
                self.add("train_file", line, Node::Quoted("train.jsonl".into()));
            }
            "dataset_test_split" if !of_axolotl && is_folder && text(&value) == Some("validation") => {
                self.add("validation_file", line, Node::Quoted("validation.jsonl".into()));
            }
            // No steps and no share of them either.
            "warmup_steps" if !of_axolotl && as_number(&value) == Some(0.0) => {
                self.add("warmup_steps", line, value);
                self.add("warmup_ratio", line, Node::Plain("0".into()));
            }
            "adapter" if of_axolotl => self.kind_of_adapter(line, &value)?,
            "use_peft" if !of_axolotl => {
                let is_lora = flag(&key, &value)?;
                let kind = if is_lora { "lora" } else { "full" };
                self.add("finetuning_type", line, Node::Plain(kind.into()));
            }
            "lora_target_linear" if of_axolotl => {
                if flag(&key, &value)? {
                    self.add("target_modules", line, Node::Plain("all-linear".into()));
                }
            }
            "bnb_config_kwargs" if of_axolotl => match value {
                Node::Map(items) => {
                    for (name, value) in items {
                        self.add(&name, line, value);
                    }
                }
                value => self.add(&key, line, value),
            },
            "evals_per_epoch" | "saves_per_epoch" if of_axolotl => self.times_per_epoch(&key, line, &value, rounds)?,
            "special_tokens" if of_axolotl && only_padding(&value) => self.note(&key, line, msg::OwnPadding),
            name => match (renamed(self.trainer, name), without_effect(self.trainer, name)) {
                (Some(name), _) => self.add(name, line, value),
                (None, Some(reason)) => self.note(name, line, reason),
                (None, None) => self.add(name, line, value),
            },
        }
        Ok(())
    }

    /// The file of a list of one data set; what else is said of it is named.
    fn data_set(&mut self, key: &str, knob: &str, line: usize, value: &Node) -> Result<()> {
        let refused = |what: Message| Error::config(what).field(key).remedy(msg::NameOneFile);
        let items = match value {
            Node::List(items) => items,
            _ => return Err(refused(msg::NotDataSets.into())),
        };
        let [Node::Map(of_set)] = items.as_slice() else {
            let found = items.len();
            return Err(refused(msg::SeveralDataSets { found }.into()));
        };
        let find = |name: &str| of_set.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        // Files within a data set are one, or a list of one.
        let file = find("data_files").or_else(|| find("path"));
        let file = match file {
            Some(Node::List(files)) if files.len() == 1 => files.first().and_then(text),
            Some(file) => text(file),
            None => None,
        };
        let file = file.ok_or_else(|| refused(msg::NotDataSets.into()))?.to_owned();
        self.add(knob, line, Node::Quoted(file));
        for (name, _) in of_set
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "path" | "data_files"))
        {
            self.note(&format!("{key}.{name}"), line, msg::ColumnsByForm);
        }
        Ok(())
    }

    /// `lora` and `qlora`, whose bits are said by a key of their own; nothing is full training.
    fn kind_of_adapter(&mut self, line: usize, value: &Node) -> Result<()> {
        let kind = match text(value) {
            Some("lora" | "qlora") => "lora",
            _ if is_null(value) => "full",
            found => {
                let found = found.unwrap_or_default().to_owned();
                let error = Error::config(msg::NoSuchAdapterKind { found }).field("adapter");
                return Err(error.remedy(msg::LoraOrQlora));
            }
        };
        self.add("finetuning_type", line, Node::Plain(kind.into()));
        Ok(())
    }

    /// Every so often in an epoch: a share of the run, which has so many epochs.
    fn times_per_epoch(&mut self, key: &str, line: usize, value: &Node, rounds: f64) -> Result<()> {
        let (strategy, steps) = match key {
            "evals_per_epoch" => ("eval_strategy", "eval_steps"),
            _ => ("save_strategy", "save_steps"),
        };
        let times = as_whole_number(value).filter(|times| *times >= 0);
        let times = times.ok_or_else(|| Error::config(msg::NotTimesPerEpoch).field(key))?;
        match times {
            0 => self.add(strategy, line, Node::Plain("no".into())),
            1 => self.add(strategy, line, Node::Plain("epoch".into())),
            times => {
                let share = 1.0 / (times as f64 * rounds);
                // At least one a step is each step.
                let share = if share < 1.0 { share } else { 1.0 };
                self.add(steps, line, Node::Plain(share.to_string()));
            }
        }
        Ok(())
    }
}

/// What this program calls the key, where it does not know it as it stands.
fn renamed(trainer: Trainer, key: &str) -> Option<&'static str> {
    match (trainer, key) {
        (Trainer::Axolotl, "train_on_inputs") => Some("train_on_prompt"),
        (Trainer::Trl, "dataset_name") => Some("train_file"),
        _ if knob::find(key).is_some() => None,
        _ => {
            let knob = KNOBS.iter().find(|knob| trainer.key(knob.name) == Some(key));
            knob.map(|knob| knob.name)
        }
    }
}

/// Why a key of theirs changes nothing here; keys of transformers are known elsewhere.
fn without_effect(trainer: Trainer, key: &str) -> Option<Message> {
    let of_axolotl = trainer == Trainer::Axolotl;
    Some(match key {
        "flash_attention"
        | "sdp_attention"
        | "xformers_attention"
        | "eager_attention"
        | "flex_attention"
        | "strict"
        | "is_llama_derived_model"
        | "lora_mlp_kernel"
        | "lora_qkv_kernel"
        | "lora_o_kernel"
            if of_axolotl =>
        {
            msg::OneDevice.into()
        }
        "model_type" | "tokenizer_type" | "tokenizer_use_fast" | "tokenizer_legacy" if of_axolotl => {
            msg::ReadFromModel.into()
        }
        "pad_to_sequence_len" | "eval_sample_packing" if of_axolotl => msg::ChangesMemoryOnly.into(),
        "dataset_prepared_path" | "dataset_processes" | "shuffle_merged_datasets" if of_axolotl => {
            msg::NoWorkersNoCache.into()
        }
        "debug" if of_axolotl => msg::AlwaysReported.into(),
        "chat_template" | "chat_template_path" => msg::OwnChatTemplate.into(),
        key if of_axolotl
            && ["wandb_", "mlflow_", "comet_"]
                .iter()
                .any(|start| key.starts_with(start)) =>
        {
            msg::ReportsToOwnLog.into()
        }
        "dataset_train_split" | "dataset_test_split" | "dataset_config" | "dataset_text_field" if !of_axolotl => {
            msg::ColumnsByForm.into()
        }
        "lora_task_type" if !of_axolotl => msg::FollowsFromTask.into(),
        "activation_offloading" if !of_axolotl => msg::ChangesMemoryOnly.into(),
        _ => return None,
    })
}

/// Whether nothing but the padding token is named, which no loss depends on.
fn only_padding(value: &Node) -> bool {
    match value {
        Node::Map(items) => items.iter().all(|(name, _)| name == "pad_token"),
        value => is_null(value),
    }
}

fn flag(key: &str, value: &Node) -> Result<bool> {
    as_flag(value).ok_or_else(|| must_be(TrueOrFalse, value).field(key))
}

fn text(value: &Node) -> Option<&str> {
    match value {
        Node::Plain(_) if is_null(value) => None,
        Node::Plain(text) | Node::Quoted(text) => Some(text.trim()),
        Node::List(_) | Node::Map(_) => None,
    }
}
