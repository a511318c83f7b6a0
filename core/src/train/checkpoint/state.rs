//! The run's past, as transformers' `trainer_state.json` has it; what that has no place for stands under
//! `stateful_callbacks.Lorakeet`.

use crate::config::{Plan, RunConfig};
use crate::error::{Error, Result};
use crate::metrics::generation::{GeneratedAnswer, TextScore, TextScores};
use crate::protocol::Sign;
use crate::train::fingerprint::Fingerprint;
use crate::train::watchdog::Watchdog;
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::common;
use lorakeet_i18n::messages::run as msg;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The file.
pub(crate) const STATE: &str = "trainer_state.json";

/// The longest time of a run that is believed.
const MOST_SECONDS: f64 = 1e10;

/// What a run knows of its past; all that the next step depends on besides weights, moments, configuration and data.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// Optimizer steps done.
    pub step: usize,
    /// Target-weighted losses so far, summed over the steps.
    pub loss_sum: f64,
    /// Tokens seen, padding not counted.
    pub tokens_seen: u64,
    /// Seconds since the run began, without those in which it did not run.
    pub seconds: f64,
    /// Losses since the last report: their sum and number.
    pub since_last_log: (f64, usize),
    /// Validation loss of the base model.
    pub eval_loss_before: Option<f64>,
    /// Reports so far, as transformers logs them.
    pub log_history: Vec<BTreeMap<String, Value>>,
    /// The best score so far by the run's metric, and its step; where the best weights are kept.
    pub best: Option<(usize, f64)>,
    /// The best score so far by the run's metric, and how many scores since then were not better by enough, where that may
    /// end the run.
    pub patience: Option<(f64, usize)>,
    /// Of generation, how the base model did on each validation text.
    pub texts_before: Option<TextScores>,
    /// What the steps came to, as far as it shows whether the run goes wrong.
    pub watchdog: Watchdog,
}

/// The part of [`Progress`] that transformers has no place for, as it is written.
#[derive(Serialize, Deserialize)]
struct Own {
    step: usize,
    tokens_seen: u64,
    #[serde(default)]
    seconds: f64,
    loss_sum: Exact,
    unreported_sum: Exact,
    unreported_count: usize,
    eval_loss_before: Option<Exact>,
    #[serde(default)]
    best: Option<(usize, Exact)>,
    #[serde(default)]
    patience: Option<(Exact, usize)>,
    #[serde(default)]
    watchdog: OwnWatchdog,
    #[serde(default)]
    scores_before: Option<Vec<(Exact, u64, u64)>>,
    /// What the base model wrote: the right answer, its own.
    #[serde(default)]
    written_before: Vec<(String, String)>,
    /// Whose past this is.
    fingerprint: Fingerprint,
}

/// [`Watchdog`], as it is written.
#[derive(Default, Serialize, Deserialize)]
struct OwnWatchdog {
    start: Option<Exact>,
    seen: usize,
    history: Vec<(Exact, Exact)>,
    zeros: usize,
    told: Vec<Sign>,
}

impl From<&Watchdog> for OwnWatchdog {
    fn from(watchdog: &Watchdog) -> Self {
        let history = watchdog.history.iter();
        Self {
            start: watchdog.start.map(Exact::from),
            seen: watchdog.seen,
            history: history.map(|(loss, norm)| ((*loss).into(), (*norm).into())).collect(),
            zeros: watchdog.zeros,
            told: watchdog.told.clone(),
        }
    }
}

impl OwnWatchdog {
    fn read(self) -> Result<Watchdog> {
        let history = self.history.into_iter();
        Ok(Watchdog {
            start: self.start.map(|start| start.number()).transpose()?,
            seen: self.seen,
            history: history
                .map(|(loss, norm)| Ok((loss.number()?, norm.number()?)))
                .collect::<Result<_>>()?,
            zeros: self.zeros,
            told: self.told,
        })
    }
}

/// A number as text that reads back to the last bit, which JSON readers do not promise of numbers.
#[derive(Serialize, Deserialize)]
struct Exact(String);

impl From<f64> for Exact {
    fn from(number: f64) -> Self {
        Self(number.to_string())
    }
}

impl Exact {
    fn number(&self) -> Result<f64> {
        self.0.parse().map_err(|_| {
            Error::format(common::NotANumber {
                text: format!("{:?}", self.0),
            })
        })
    }
}

impl Progress {
    /// Appends a report: step, epoch, tokens, seconds to the millisecond and `numbers`.
    pub fn log(&mut self, epoch: f64, numbers: &[(&str, f64)]) {
        let seconds = (1000.0 * self.seconds).round() / 1000.0;
        let mut entry = BTreeMap::from([
            ("step".to_owned(), json!(self.step)),
            ("epoch".to_owned(), json!(epoch)),
            ("num_input_tokens_seen".to_owned(), json!(self.tokens_seen)),
            ("train_runtime".to_owned(), json!(seconds)),
        ]);
        entry.extend(numbers.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
        self.log_history.push(entry);
    }
}

/// transformers' `trainer_state.json`: sorted keys, two spaces.
pub(super) fn trainer_state(
    progress: &Progress,
    plan: &Plan,
    config: &RunConfig,
    fingerprint: &Fingerprint,
) -> Result<String> {
    let broken = |error: serde_json::Error| {
        Error::internal(common::At {
            place: STATE,
            what: error,
        })
    };
    let epoch = progress.step as f64 / plan.steps_per_epoch.max(1) as f64;
    let lowest = progress
        .log_history
        .iter()
        .filter_map(|entry| Some((entry.get("eval_loss")?.as_f64()?, entry.get("step")?.as_u64()?)))
        .min_by(|a, b| a.0.total_cmp(&b.0));
    let best = progress.best.map(|(step, score)| (score, step as u64)).or(lowest);
    let own = Own {
        step: progress.step,
        tokens_seen: progress.tokens_seen,
        seconds: progress.seconds,
        loss_sum: progress.loss_sum.into(),
        unreported_sum: progress.since_last_log.0.into(),
        unreported_count: progress.since_last_log.1,
        eval_loss_before: progress.eval_loss_before.map(Exact::from),
        best: progress.best.map(|(step, score)| (step, score.into())),
        patience: progress.patience.map(|(best, stale)| (best.into(), stale)),
        watchdog: (&progress.watchdog).into(),
        scores_before: progress.texts_before.as_ref().map(|before| {
            let texts = before.texts.iter();
            texts.map(|text| (text.loss.into(), text.hits, text.targets)).collect()
        }),
        written_before: progress
            .texts_before
            .iter()
            .flat_map(|before| &before.written)
            .map(|written| (written.reference.clone(), written.text.clone()))
            .collect(),
        fingerprint: fingerprint.clone(),
    };
    let own = serde_json::to_value(own).map_err(broken)?;
    let state: BTreeMap<&str, Value> = BTreeMap::from([
        ("best_global_step", json!(best.map(|best| best.1))),
        ("best_metric", json!(best.map(|best| best.0))),
        ("best_model_checkpoint", Value::Null),
        ("epoch", json!(epoch)),
        ("eval_steps", json!(plan.every(config.eval_steps))),
        ("global_step", json!(progress.step)),
        ("is_hyper_param_search", json!(false)),
        ("is_local_process_zero", json!(true)),
        ("is_world_process_zero", json!(true)),
        ("log_history", json!(progress.log_history)),
        ("logging_steps", json!(plan.every(config.logging_steps))),
        ("max_steps", json!(plan.max_steps)),
        ("num_input_tokens_seen", json!(progress.tokens_seen)),
        ("num_train_epochs", json!(config.num_train_epochs)),
        ("save_steps", json!(plan.every(config.save_steps))),
        ("stateful_callbacks", json!({ "Lorakeet": own })),
        ("total_flos", json!(0.0)),
        ("train_batch_size", json!(config.per_device_train_batch_size)),
        ("trial_name", Value::Null),
        ("trial_params", Value::Null),
    ]);
    serde_json::to_string_pretty(&state)
        .map(|text| text + "\n")
        .map_err(broken)
}

/// Past, fingerprint and length of a run, from its `trainer_state.json`.
pub(super) fn read_state(bytes: &[u8]) -> Result<(Progress, Fingerprint, usize)> {
    let unusable = |because: Message| Error::format(msg::NotState { because }).remedy(msg::NameOwnCheckpoint);
    let broken = |error: serde_json::Error| unusable(Message::verbatim(error.to_string()));
    let mut state: Value = serde_json::from_slice(bytes).map_err(broken)?;
    let own = state["stateful_callbacks"]["Lorakeet"].take();
    let own: Own = serde_json::from_value(own).map_err(broken)?;
    let count = |name: &str| {
        let number = state[name].as_u64().and_then(|number| usize::try_from(number).ok());
        number.ok_or_else(|| {
            let value = &state[name];
            unusable(msg::StateIs { name, value }.into())
        })
    };
    let (step, max_steps) = (count("global_step")?, count("max_steps")?);
    if step != own.step {
        return Err(unusable(
            msg::StepsDiffer {
                global_step: step,
                own: own.step,
            }
            .into(),
        ));
    }
    let progress = Progress {
        step,
        loss_sum: own.loss_sum.number()?,
        tokens_seen: own.tokens_seen,
        seconds: own.seconds.clamp(0.0, MOST_SECONDS),
        since_last_log: (own.unreported_sum.number()?, own.unreported_count),
        eval_loss_before: own.eval_loss_before.map(|loss| loss.number()).transpose()?,
        log_history: serde_json::from_value(state["log_history"].take()).map_err(broken)?,
        best: match own.best {
            Some((step, score)) => Some((step, score.number()?)),
            None => None,
        },
        patience: match own.patience {
            Some((best, stale)) => Some((best.number()?, stale)),
            None => None,
        },
        watchdog: own.watchdog.read()?,
        texts_before: match own.scores_before {
            Some(texts) => {
                let text = |(loss, hits, targets): (Exact, u64, u64)| {
                    let loss = loss.number()?;
                    Ok(TextScore { loss, hits, targets })
                };
                let written = own.written_before.into_iter();
                Some(TextScores {
                    texts: texts.into_iter().map(text).collect::<Result<_>>()?,
                    written: written
                        .map(|(reference, text)| GeneratedAnswer::new(reference, text))
                        .collect(),
                })
            }
            None => None,
        },
    };
    Ok((progress, own.fingerprint, max_steps))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_has_the_keys_of_transformers_in_order_and_reads_back() {
        let mut progress = Progress {
            step: 4,
            loss_sum: 0.1 + 0.2,
            tokens_seen: 512,
            seconds: 12.5,
            ..Default::default()
        };
        progress.log(0.5, &[("loss", 2.25), ("learning_rate", 1e-4), ("grad_norm", 1.5)]);
        progress.log(0.5, &[("eval_loss", 2.5)]);
        let config = RunConfig {
            save_steps: 0.25,
            ..RunConfig::default()
        };
        let plan = Plan {
            steps_per_epoch: 8,
            max_steps: 10,
            warmup_steps: 0,
        };
        let fingerprint = Fingerprint::of(&config);
        let text = trainer_state(&progress, &plan, &config, &fingerprint).expect("text");
        assert!(text.contains("\"epoch\": 0.5,"), "{text}");
        assert!(
            text.contains("\"save_steps\": 3,"),
            "a share of ten steps, in steps: {text}"
        );
        let keys: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("  \""))
            .filter_map(|line| line.split('"').next())
            .collect();
        let want = "best_global_step best_metric best_model_checkpoint epoch eval_steps global_step \
            is_hyper_param_search is_local_process_zero is_world_process_zero log_history logging_steps max_steps \
            num_input_tokens_seen num_train_epochs save_steps stateful_callbacks total_flos train_batch_size \
            trial_name trial_params";
        assert_eq!(keys, want.split_whitespace().collect::<Vec<_>>());
        assert_eq!(read_state(text.as_bytes()), Ok((progress, fingerprint, 10)));
        let torn = text.replace("\"global_step\": 4", "\"global_step\": 5");
        assert!(read_state(torn.as_bytes()).is_err(), "two counts of the same steps");
    }

    #[test]
    fn a_state_that_transformers_wrote_is_refused() {
        let error = read_state(b"{\"global_step\": 3, \"stateful_callbacks\": {}}").expect_err("ours is not there");
        assert!(error.remedy.is_some());
    }
}
