//! Where settings do not go well together, or with the model and the data.

use super::{Caution, Facts, ModelKind};
use crate::config::{FinetuningType, Interval, RunConfig};
use crate::task::Task;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::advice as msg;
use serde_json::Value;

/// From here on a rate is one of adapters, and below it one of full fine-tuning.
const LEAST_LORA_RATE: f64 = 1e-4;
const MOST_FULL_RATE: f64 = 4e-5;
/// The upper end of usual rates, and that of preferences.
const MOST_RATE: f64 = 5e-3;
const MOST_PREFERENCE_RATE: f64 = 5e-5;
/// Fewer rows of a batch leave little to compare.
const LEAST_CONTRAST_ROWS: usize = 8;
/// The largest rank below so many rows.
const MOST_RANK: [(usize, usize); 3] = [(200, 16), (1_000, 32), (10_000, 128)];
/// The most passes below so many rows, and of more of them.
const MOST_EPOCHS: [(usize, usize); 2] = [(1_000, 10), (10_000, 6)];
const MOST_EPOCHS_OF_MANY: usize = 4;

/// All of them, in the order of the settings.
pub(super) fn of(facts: &Facts, config: &RunConfig) -> Vec<Caution> {
    let all = [
        rate(facts, config),
        batch(facts, config),
        rank(facts, config),
        epochs(facts, config),
        cutoff(facts, config),
        memory(facts),
        held_out(facts),
    ];
    all.into_iter().flatten().collect()
}

fn caution(knob: &'static str, what: impl Into<Message>, remedy: impl Into<Message>) -> Option<Caution> {
    Some(Caution {
        knob,
        others: Vec::new(),
        what: what.into(),
        remedy: remedy.into(),
        way_out: None,
    })
}

impl Caution {
    /// With other knobs that have a part in it.
    fn beside(self, others: &[&'static str]) -> Self {
        Self {
            others: others.to_vec(),
            ..self
        }
    }

    /// With the value that is the way out.
    fn by(self, value: impl Into<Value>) -> Self {
        Self {
            way_out: Some(value.into()),
            ..self
        }
    }
}

fn rate(facts: &Facts, config: &RunConfig) -> Option<Caution> {
    if facts.model == ModelKind::Fresh {
        return None;
    }
    let (knob, kind, value) = ("learning_rate", config.finetuning_type, config.learning_rate);
    let shown = |rate: f64| format!("{rate:e}");
    let usual = facts.rate(kind);
    let (rate, better) = (shown(value), shown(usual));
    let found = match kind {
        FinetuningType::Full if value >= LEAST_LORA_RATE => {
            caution(knob, msg::FullAtLoraRate { rate }, msg::TakeFullRate { rate: better })
        }
        _ if facts.task == Task::Preference && value > MOST_PREFERENCE_RATE => {
            caution(knob, msg::PreferenceAtHighRate { rate }, msg::SetRate { rate: better })
        }
        FinetuningType::Lora if value > MOST_RATE => {
            caution(knob, msg::RateAboveRange { rate }, msg::SetRate { rate: better })
        }
        FinetuningType::Lora if facts.task != Task::Preference && value < MOST_FULL_RATE => {
            caution(knob, msg::LoraAtFullRate { rate }, msg::SetRate { rate: better })
        }
        _ => None,
    };
    found.map(|found| found.beside(&["finetuning_type"]).by(usual))
}

fn batch(facts: &Facts, config: &RunConfig) -> Option<Caution> {
    let rows = config.per_device_train_batch_size;
    let least = LEAST_CONTRAST_ROWS.min(facts.rows);
    if !facts.compares_batch || rows >= least {
        return None;
    }
    let what: Message = match rows {
        1 => msg::NothingToContrast.into(),
        rows => msg::LittleToContrast { rows }.into(),
    };
    let rows = super::CONTRAST_ROWS.min(facts.rows);
    let found = caution("per_device_train_batch_size", what, msg::RaiseBatch { rows });
    found.map(|found| found.beside(&["gradient_accumulation_steps"]).by(rows))
}

fn rank(facts: &Facts, config: &RunConfig) -> Option<Caution> {
    let (_, most) = MOST_RANK.iter().find(|(rows, _)| facts.rows < *rows)?;
    let is_large = config.finetuning_type == FinetuningType::Lora && config.lora_r > *most;
    let (r, rows) = (config.lora_r, facts.rows);
    let better = facts.rank();
    if !is_large {
        return None;
    }
    let found = caution("lora_r", msg::RankForFewRows { r, rows }, msg::SetRank { r: better });
    found.map(|found| found.by(better))
}

fn epochs(facts: &Facts, config: &RunConfig) -> Option<Caution> {
    let plan = config.plan(facts.rows);
    let epochs = match config.max_steps >= 0 {
        true => plan.max_steps as f64 / plan.steps_per_epoch as f64,
        false => config.num_train_epochs,
    };
    let most = MOST_EPOCHS.iter().find(|(rows, _)| facts.rows < *rows);
    let most = most.map_or(MOST_EPOCHS_OF_MANY, |(_, most)| *most);
    let is_scored = match config.eval_strategy {
        Interval::Steps => config.eval_steps > 0.0,
        Interval::Epoch => true,
        Interval::No => false,
    };
    let is_guarded =
        is_scored && facts.held_out > 0 && (config.load_best_model_at_end || config.early_stopping_patience > 0);
    if facts.model == ModelKind::Fresh || epochs <= most as f64 || is_guarded {
        return None;
    }
    let (rows, better) = (facts.rows, facts.epochs());
    let epochs = format!("{epochs:.1}").trim_end_matches(".0").to_owned();
    let what = msg::EpochsAboveData { epochs, rows, most };
    let guards = ["eval_strategy", "load_best_model_at_end", "early_stopping_patience"];
    // Where the run counts its steps, epochs have no effect.
    let found = if config.max_steps > 0 {
        let steps = better * plan.steps_per_epoch;
        caution("max_steps", what, msg::FewerSteps { steps }).map(|found| found.by(steps))
    } else {
        caution("num_train_epochs", what, msg::FewerEpochs { epochs: better }).map(|found| found.by(better))
    };
    found.map(|found| found.beside(&guards))
}

fn cutoff(facts: &Facts, config: &RunConfig) -> Option<Caution> {
    let tokens = config.cutoff_len.min(facts.most_tokens);
    let rows = facts.lengths.len();
    let cut = rows - facts.lengths.partition_point(|&length| length <= tokens);
    if cut == 0 || 3 * cut < rows {
        return None;
    }
    let knob = "cutoff_len";
    match facts.cutoff().filter(|&cutoff| cutoff > tokens) {
        Some(better) => {
            let remedy = msg::RaiseCutoffTo { tokens: better };
            caution(knob, msg::CutoffCuts { tokens, cut, rows }, remedy).map(|found| found.by(better))
        }
        None => caution(knob, msg::CutoffOfModelCuts { tokens, cut, rows }, msg::SplitRows),
    }
}

fn memory(facts: &Facts) -> Option<Caution> {
    let (needed, available) = facts.peak_bytes.zip(facts.available_bytes)?;
    let knob = "per_device_train_batch_size";
    if needed <= available {
        return None;
    }
    let (needed, available) = (needed >> 20, available >> 20);
    let found = caution(knob, msg::RunAboveMemory { needed, available }, msg::TakeLess);
    found.map(|found| found.beside(&["gradient_checkpointing", "quantization_bit", "cutoff_len"]))
}

fn held_out(facts: &Facts) -> Option<Caution> {
    match facts.held_out {
        0 => caution("val_size", msg::NoHeldOut, msg::SetHeldOut).map(|found| found.by(0.1)),
        _ => None,
    }
}
