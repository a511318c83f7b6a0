//! The adapter that a run starts from, beside what the run's settings say of adapters.

use crate::config::{FinetuningType, KNOBS, RunConfig, TargetModules};
use crate::error::{Error, Result};
use crate::formats::peft::AdapterConfig;
use lorakeet_i18n::messages::run as msg;
use lorakeet_i18n::{Field, Message};

/// Refuses an adapter beside the training of every weight, which would leave it out; gives what there is to say of settings of the
/// run that are other ones than the adapter's: those stay without effect.
///
/// # Errors
/// `finetuning_type` is `full`.
pub(super) fn check(config: &RunConfig, adapter: &AdapterConfig) -> Result<Option<Message>> {
    if config.finetuning_type == FinetuningType::Full {
        return Err(Error::config(msg::AdapterInFull)
            .field("finetuning_type")
            .remedy(msg::MergeOrTrainAdapter));
    }
    let is_chosen = |name: &str| {
        let knob = KNOBS.iter().find(|knob| knob.name == name);
        knob.is_some_and(|knob| knob.is_of_fresh_adapter() && config.get(name) != Some(knob.default()))
    };
    let others: Vec<&str> = others(config, adapter).filter(|name| is_chosen(name)).collect();
    Ok((!others.is_empty()).then(|| {
        let (settings, r, alpha) = (Field::list(others), adapter.r, adapter.lora_alpha);
        msg::AdapterKeepsItsOwn { settings, r, alpha }.into()
    }))
}

/// The settings that the adapter has otherwise.
fn others(config: &RunConfig, adapter: &AdapterConfig) -> impl Iterator<Item = &'static str> {
    let saved = match &config.modules_to_save {
        Some(TargetModules::Names(names)) => Some(names),
        _ => None,
    };
    let all = [
        ("lora_r", config.lora_r != adapter.r),
        ("lora_alpha", config.lora_alpha != adapter.lora_alpha),
        ("lora_dropout", config.lora_dropout != adapter.lora_dropout),
        ("target_modules", config.target_modules != adapter.target_modules),
        ("exclude_modules", config.exclude_modules != adapter.exclude_modules),
        (
            "layers_to_transform",
            config.layers_to_transform != adapter.layers_to_transform,
        ),
        ("rank_pattern", config.rank_pattern != adapter.rank_pattern.0),
        ("alpha_pattern", config.alpha_pattern != adapter.alpha_pattern.0),
        ("use_rslora", config.use_rslora != adapter.use_rslora),
        ("use_dora", config.use_dora != adapter.use_dora),
        (
            "modules_to_save",
            saved.is_some_and(|names| Some(names) != adapter.modules_to_save.as_ref()),
        ),
        (
            "trainable_token_indices",
            config.trainable_token_indices != adapter.trainable_token_indices,
        ),
    ];
    all.into_iter().filter(|(_, is_other)| *is_other).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Group;

    #[test]
    fn settings_that_the_adapter_has_otherwise_are_named_and_full_training_is_refused() {
        let adapter = AdapterConfig {
            r: 4,
            lora_alpha: 8.0,
            ..AdapterConfig::default()
        };
        // Nobody chose the defaults.
        assert_eq!(check(&RunConfig::default(), &adapter).expect("it may"), None);
        let config = RunConfig {
            lora_r: 16,
            lora_alpha: 8.0,
            use_dora: true,
            ..RunConfig::default()
        };
        let said = check(&config, &adapter).expect("it may").expect("a note").english();
        assert!(said.contains("lora_r, use_dora") && said.contains("rank 4"), "{said}");
        let full = RunConfig {
            finetuning_type: FinetuningType::Full,
            ..RunConfig::default()
        };
        let error = check(&full, &adapter).expect_err("it would be left out");
        assert_eq!(error.field_name(), Some("finetuning_type"));
    }

    #[test]
    fn every_setting_of_a_fresh_adapter_is_looked_at() {
        let other = AdapterConfig {
            lora_dropout: 0.3,
            target_modules: TargetModules::Names(vec!["q".into()]),
            ..AdapterConfig::default()
        };
        let of_table = KNOBS.iter().filter(|knob| knob.group == Group::Adapter);
        let of_table = of_table.filter(|knob| knob.is_of_fresh_adapter()).map(|knob| knob.name);
        let config = RunConfig {
            exclude_modules: Some(TargetModules::Pattern("a".into())),
            layers_to_transform: Some(vec![1]),
            rank_pattern: vec![("a".into(), 1)],
            alpha_pattern: vec![("a".into(), 1.0)],
            use_rslora: true,
            use_dora: true,
            modules_to_save: Some(TargetModules::Names(vec!["a".into()])),
            trainable_token_indices: Some(crate::config::TokenIndices::List(vec![1])),
            lora_r: 3,
            lora_alpha: 3.0,
            ..RunConfig::default()
        };
        assert!(others(&config, &other).eq(of_table));
    }
}
