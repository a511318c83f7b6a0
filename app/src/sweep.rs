//! A sweep as the page knows it: what a person chose to try, the sweep that is shown, and the run of it that is under way.

use crate::settings::{Settings, show};
use crate::storage::Stored;
use leptos::prelude::*;
use lorakeet_core::config::{FinetuningType, InSweep, KNOBS, Knob, Resolved, RunConfig, SweptKnob};
use lorakeet_core::error::Error;
use lorakeet_core::protocol::{RunState, StoredSweep, Sweep};
use lorakeet_core::sweep::{Halving, Turn, Variants, check_adapter, split_values};
use web_sys::File;

/// Runs of a sweep in the page at most.
pub const MOST_RUNS: usize = 64;
/// Milliseconds of a minute.
const MINUTE: f64 = 60_000.0;

/// A knob with the values to try, as they stand in their field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The knob.
    pub knob: String,
    /// Its values, between commas.
    pub values: String,
}

/// What a sweep would be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook {
    /// Its runs.
    pub runs: usize,
    /// Whether the worse half of them is left behind on the way.
    pub halves: bool,
    /// What all of them train, in steps of the form's run; not known before the rows are.
    pub steps: Option<f64>,
}

/// What keeps a sweep from being started.
#[derive(Debug, Clone, PartialEq)]
pub enum Obstacle {
    /// The settings or the values.
    Wrong(Error),
    /// There are so many combinations.
    TooMany(usize),
    /// The number of runs to draw, or the minutes, are no number.
    NoNumber,
}

/// The sweep of the page.
#[derive(Clone, Copy)]
pub struct Sweeps {
    /// What the person chose to try; what is proposed, where that is none.
    chosen: RwSignal<Option<Vec<Choice>>>,
    /// How many combinations are drawn; empty for all.
    pub draws: RwSignal<String>,
    /// Minutes that it may take; empty for as many as it takes.
    pub minutes: RwSignal<String>,
    /// Whether hopeless runs are ended early.
    pub halves: RwSignal<bool>,
    /// The sweep that is shown: under way, interrupted, or over.
    pub shown: RwSignal<Option<Sweep>>,
    /// Whether it is under way here.
    pub is_going: RwSignal<bool>,
    /// Whether it is known which sweeps are stored.
    pub is_told: RwSignal<bool>,
    /// Whether another tab has one under way.
    pub is_elsewhere: RwSignal<bool>,
    /// The run that is heard.
    pub turn: RwSignal<Option<Turn>>,
    /// The run whose settings were taken for the form.
    pub taken: RwSignal<Option<usize>>,
    /// The files of the adapter that its runs start from; empty where they start from a fresh one.
    adapter_files: RwSignal<Vec<File>, LocalStorage>,
    /// When its time was counted last.
    counted_ms: StoredValue<f64>,
}

impl Sweeps {
    /// None yet; `adapter_files` are those that are chosen.
    pub fn new(adapter_files: RwSignal<Vec<File>, LocalStorage>) -> Self {
        Self {
            adapter_files,
            chosen: RwSignal::new(None),
            draws: RwSignal::new(String::new()),
            minutes: RwSignal::new(String::new()),
            halves: RwSignal::new(true),
            shown: RwSignal::new(None),
            is_going: RwSignal::new(false),
            is_told: RwSignal::new(false),
            is_elsewhere: RwSignal::new(false),
            turn: RwSignal::new(None),
            taken: RwSignal::new(None),
            counted_ms: StoredValue::new(0.0),
        }
    }

    /// What is to be tried: as the person chose, else what suits the settings.
    pub fn choices(self, settings: Settings) -> Vec<Choice> {
        let is_fresh = !self.has_adapter();
        let proposed = || settings.with(|config| proposed(config, is_fresh));
        self.chosen.get().unwrap_or_else(proposed)
    }

    /// Whether its runs start from an adapter.
    fn has_adapter(self) -> bool {
        self.adapter_files.with(|files| !files.is_empty())
    }

    /// Changes that.
    pub fn change(self, settings: Settings, change: impl FnOnce(&mut Vec<Choice>)) {
        let mut choices = untrack(|| self.choices(settings));
        change(&mut choices);
        self.chosen.set(Some(choices));
    }

    /// All that a sweep of these choices tries on the run `config`.
    ///
    /// # Errors
    /// What keeps it from being started.
    pub fn variants(self, settings: Settings, config: RunConfig, keeps: bool) -> Result<Variants, Obstacle> {
        let draws = self.draws.get();
        let random: Option<usize> = match draws.trim() {
            "" => None,
            text => Some(text.parse().ok().filter(|count| *count > 0).ok_or(Obstacle::NoNumber)?),
        };
        self.budget_ms()?;
        let swept = self.choices(settings).into_iter();
        let swept: Vec<SweptKnob> = swept
            .map(|choice| (choice.knob, split_values(&choice.values)))
            .collect();
        let all = swept.iter().map(|(_, values)| values.len());
        let all = all.fold(1_usize, usize::saturating_mul);
        let runs = random.unwrap_or(all).min(all);
        if runs > MOST_RUNS {
            return Err(Obstacle::TooMany(runs));
        }
        if self.has_adapter() {
            check_adapter(&swept).map_err(Obstacle::Wrong)?;
        }
        // A run goes on from what was stored of it; without a store each is trained whole.
        let is_whole = !keeps || !self.halves.get();
        Variants::of(&Resolved::of_config(config), &swept, random, is_whole).map_err(Obstacle::Wrong)
    }

    /// Milliseconds that it may take; none for as many as it takes.
    ///
    /// # Errors
    /// It is no number.
    pub fn budget_ms(self) -> Result<Option<f64>, Obstacle> {
        let minutes = self.minutes.get();
        match minutes.trim() {
            "" => Ok(None),
            text => match text.parse::<f64>() {
                Ok(minutes) if minutes > 0.0 && minutes.is_finite() => Ok(Some(MINUTE * minutes)),
                _ => Err(Obstacle::NoNumber),
            },
        }
    }

    /// What the sweep would be; `rows` is what a run trains on.
    ///
    /// # Errors
    /// As [`Sweeps::variants`].
    pub fn outlook(
        self,
        settings: Settings,
        config: &RunConfig,
        keeps: bool,
        rows: Option<usize>,
    ) -> Result<Outlook, Obstacle> {
        let variants = self.variants(settings, config.clone(), keeps)?;
        let runs = variants.all.len();
        let configs = variants.all.iter().map(|variant| &variant.resolved.config);
        let share = variants.halving.whole_runs(runs) / runs.max(1) as f64;
        Ok(Outlook {
            runs,
            halves: variants.halving == Halving::Halves,
            steps: rows.map(|rows| share * steps(configs, config, rows)),
        })
    }

    /// Takes what the engine told of the store's sweeps; whether one is under way in another tab.
    pub fn told(self, sweeps: Vec<StoredSweep>) -> bool {
        let is_elsewhere = sweeps.iter().any(|stored| stored.is_under_way);
        self.is_elsewhere.set(is_elsewhere);
        self.is_told.set(true);
        let newest = sweeps.into_iter().find(|stored| !stored.is_under_way);
        if let Some(stored) = newest
            && !self.is_going.get_untracked()
            && self.shown.with_untracked(Option::is_none)
        {
            self.shown.set(Some(stored.sweep));
        }
        is_elsewhere
    }

    /// The sweep that was interrupted and can be gone on with.
    pub fn interrupted(self) -> Option<Sweep> {
        let is_it = |sweep: &&Sweep| sweep.state == RunState::Open && sweep.can_go_on();
        let shown = self.shown.get();
        shown.as_ref().filter(is_it).filter(|_| !self.is_going.get()).cloned()
    }

    /// Whether a stored run is one that the sweep goes on with by itself.
    pub fn owns(self, stored: &Stored) -> bool {
        let Stored::Run(id) = stored else { return false };
        self.shown.with(|sweep| {
            let sweep = sweep.as_ref().filter(|sweep| sweep.can_go_on());
            sweep.is_some_and(|sweep| sweep.runs.iter().any(|run| run.run.as_ref() == Some(id)))
        })
    }

    /// Counts the time until now, on the page's clock; not that since it was counted last where the run was held meanwhile.
    pub fn count(self, now_ms: f64, was_held: bool) {
        let spent = now_ms - self.counted_ms.get_value();
        self.counted_ms.set_value(now_ms);
        if !was_held && spent > 0.0 {
            // Nothing that is shown changes by it.
            self.shown.update_untracked(|sweep| {
                if let Some(sweep) = sweep {
                    sweep.spent_ms += spent;
                }
            });
        }
    }
}

/// The knobs that a person can choose to try.
pub fn knobs() -> impl Iterator<Item = &'static Knob> {
    KNOBS.iter().filter(|knob| knob.in_sweep == InSweep::Tried)
}

/// What suits the settings: a third of the learning rate, itself and three times as much, and of a fresh adapter the rank and twice
/// that.
fn proposed(config: &RunConfig, is_fresh: bool) -> Vec<Choice> {
    let rates = [1.0 / 3.0, 1.0, 3.0].map(|factor| two_digits(factor * config.learning_rate).min(1.0));
    let mut choices = vec![Choice {
        knob: "learning_rate".to_owned(),
        values: rates.map(|rate| show(&rate.into())).join(", "),
    }];
    if is_fresh && config.finetuning_type == FinetuningType::Lora {
        let ranks = [config.lora_r, 2 * config.lora_r];
        choices.push(Choice {
            knob: "lora_r".to_owned(),
            values: ranks.map(|rank| rank.to_string()).join(", "),
        });
    }
    choices
}

/// A number in two significant digits, as it is written and read.
fn two_digits(value: f64) -> f64 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// The steps of all these runs over so many rows, in steps of the run `base`: one of twice the batch counts twice.
fn steps<'a>(configs: impl Iterator<Item = &'a RunConfig>, base: &RunConfig, rows: usize) -> f64 {
    let batch =
        |config: &RunConfig| (config.per_device_train_batch_size.min(rows) * config.gradient_accumulation_steps) as f64;
    let of_run = |config: &RunConfig| config.plan(rows).max_steps as f64 * batch(config) / batch(base).max(1.0);
    configs.map(of_run).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_proposed_are_round_values_around_the_settings() {
        let config = RunConfig {
            learning_rate: 2e-4,
            lora_r: 8,
            ..RunConfig::default()
        };
        let choice = |knob: &str, values: &str| Choice {
            knob: knob.to_owned(),
            values: values.to_owned(),
        };
        let wanted = [
            choice("learning_rate", "0.000067, 0.0002, 0.0006"),
            choice("lora_r", "8, 16"),
        ];
        let written = proposed(&config, true);
        let numbers = |values: &str| -> Vec<f64> {
            let values = split_values(values).into_iter();
            values.map(|value| value.parse().expect("a number")).collect()
        };
        assert_eq!(numbers(&written[0].values), numbers(&wanted[0].values));
        assert_eq!(written[1], wanted[1]);
        assert_eq!(proposed(&config, false), written[..1]);
        let full = RunConfig {
            finetuning_type: FinetuningType::Full,
            learning_rate: 0.9,
            ..config
        };
        let written = proposed(&full, true);
        assert_eq!((written.len(), numbers(&written[0].values)), (1, vec![0.3, 0.9, 1.0]));
    }

    #[test]
    fn the_time_of_runs_is_counted_in_steps_of_the_form_s() {
        let base = RunConfig {
            per_device_train_batch_size: 4,
            gradient_accumulation_steps: 1,
            max_steps: 10,
            ..RunConfig::default()
        };
        let larger = RunConfig {
            per_device_train_batch_size: 8,
            ..base.clone()
        };
        let longer = RunConfig {
            max_steps: 30,
            ..base.clone()
        };
        assert_eq!(steps([&base, &larger, &longer].into_iter(), &base, 100), 60.0);
    }

    #[test]
    fn every_knob_that_is_proposed_can_be_chosen() {
        for choice in proposed(&RunConfig::default(), true) {
            assert!(knobs().any(|knob| knob.name == choice.knob), "{choice:?}");
        }
        assert!(knobs().all(|knob| !["val_size", "output_dir", "save_steps"].contains(&knob.name)));
    }
}
