//! What a sweep tries: the combinations of its knobs' values, each the settings of a run, all checked before the first one starts.

use super::Halving;
use crate::config::{InSweep, Resolved, RunConfig, Source, SweptKnob, find};
use crate::error::{Error, Result};
use crate::random::Generator;
use lorakeet_i18n::messages::tuning as msg;
use serde_json::Value;
use std::collections::BTreeSet;

/// The knob of the adapter that a run starts from.
const ADAPTER: &str = "adapter_name_or_path";

/// A run of a sweep.
#[derive(Debug, Clone)]
pub struct Variant {
    /// The values of the swept knobs, in their order.
    pub values: Vec<Value>,
    /// Its settings, but for where it lies and how it starts.
    pub resolved: Resolved,
}

/// All that a sweep tries.
#[derive(Debug, Clone)]
pub struct Variants {
    /// The swept knobs.
    pub knobs: Vec<&'static str>,
    /// The runs, in the order in which they are trained.
    pub all: Vec<Variant>,
    /// Whether runs are left behind on the way.
    pub halving: Halving,
}

/// A knob and its values, as they were written.
struct Swept {
    knob: &'static str,
    values: Vec<String>,
}

impl Variants {
    /// The most combinations of a sweep, those that are drawn from included.
    pub const MOST: usize = 10_000;

    /// The combinations of the knobs `swept` on the run `base`; `random` of them, where it is given, drawn by the run's seed. Of
    /// four or more the worse half is left behind on the way, unless `is_whole`.
    ///
    /// # Errors
    /// A run whose variants cannot be compared; no knob, one that is none or cannot be swept, a value that it does not take, values
    /// that do not go together, too many of them. What is wrong with one knob has that as its field.
    pub fn of(base: &Resolved, swept: &[SweptKnob], random: Option<usize>, is_whole: bool) -> Result<Self> {
        check_base(&base.config)?;
        let names_adapter = |(name, _): &SweptKnob| find(name.trim()).is_some_and(|knob| knob.name == ADAPTER);
        if base.config.adapter_name_or_path.is_some() || swept.iter().any(names_adapter) {
            check_adapter(swept)?;
        }
        if swept.is_empty() {
            return Err(Error::config(msg::NothingToSweep));
        }
        let swept = swept.iter().map(|(name, values)| checked(name, values));
        let swept = swept.collect::<Result<Vec<Swept>>>()?;
        if let Some(twice) = (1..swept.len()).find(|&i| swept[..i].iter().any(|other| other.knob == swept[i].knob)) {
            return Err(Error::config(msg::KnobTwice).field(swept[twice].knob));
        }
        let mut picks = grid(&swept)?;
        if random == Some(0) {
            return Err(Error::config(msg::NoneDrawn));
        }
        if let Some(count) = random.filter(|&count| count < picks.len()) {
            Generator::new(base.config.seed, "sweep").shuffle(&mut picks);
            picks.truncate(count);
        }
        let halving = Halving::of(picks.len(), is_whole);
        let mut all = Vec::with_capacity(picks.len());
        let mut seen = BTreeSet::new();
        for picks in &picks {
            let resolved = settings(base, &swept, picks, halving)?;
            let values = swept.iter().map(|swept| resolved.config.get(swept.knob));
            let values: Vec<Value> = values.map(Option::unwrap_or_default).collect();
            let value = values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if !seen.insert(value.clone()) {
                return Err(Error::config(msg::ValueTwice { value }));
            }
            all.push(Variant { values, resolved });
        }
        Ok(Self {
            knobs: swept.iter().map(|swept| swept.knob).collect(),
            all,
            halving,
        })
    }
}

/// Refuses knobs that say what a fresh adapter is: of runs that start from an adapter, which has its own, all would be the same.
///
/// # Errors
/// The first of them, as the field.
pub fn check_adapter(swept: &[SweptKnob]) -> Result<()> {
    let mut knobs = swept.iter().filter_map(|(name, _)| find(name.trim()));
    match knobs.find(|knob| knob.is_of_fresh_adapter()) {
        Some(knob) => Err(Error::config(msg::AdapterHasItsOwn)
            .field(knob.name)
            .remedy(msg::SweepWithoutAdapter)),
        None => Ok(()),
    }
}

/// Refuses a run whose variants cannot be compared.
fn check_base(config: &RunConfig) -> Result<()> {
    if config.resume_from_checkpoint.is_some() {
        let error = Error::config(msg::SweepGoesOn).field("resume_from_checkpoint");
        return Err(error.remedy(msg::TakeOutResume));
    }
    if config.val_size == 0.0 && config.validation_file.is_none() {
        return Err(Error::config(msg::SweepNeedsHeldOut)
            .field("val_size")
            .remedy(msg::SetValSize));
    }
    Ok(())
}

/// The settings of one combination.
fn settings(base: &Resolved, swept: &[Swept], picks: &[usize], halving: Halving) -> Result<Resolved> {
    let chosen = swept.iter().zip(picks);
    let chosen = chosen.map(|(swept, &pick)| (swept.knob, swept.values[pick].as_str()));
    let mut resolved = base.clone();
    resolved.overlay(chosen, &Source::Flag)?;
    // Another seed is to hold out the same rows.
    if base.config.data_seed.is_none() {
        resolved.overlay([("data_seed", base.config.seed.to_string().as_str())], &Source::Flag)?;
    }
    if halving == Halving::Halves {
        let scores = [("eval_strategy", "steps"), ("eval_steps", Halving::EVERY)];
        resolved.overlay(scores, &Source::Flag)?;
    }
    if base.config.save_total_limit.is_none() {
        resolved.overlay([("save_total_limit", "1")], &Source::Flag)?;
    }
    Ok(resolved)
}

/// A knob that can be swept, and values of which there is one at least.
fn checked(name: &str, values: &[String]) -> Result<Swept> {
    let name = name.trim();
    let empty = || Error::config(msg::NoSweptValue).field(name.to_owned());
    let Some(first) = values.first() else {
        return Err(empty());
    };
    let Some(knob) = find(name) else {
        // The run's own refusal names what was meant.
        let mut nowhere = Resolved::default();
        nowhere.overlay([(name, first.as_str())], &Source::Flag)?;
        return Err(empty());
    };
    if knob.in_sweep == InSweep::Refused {
        return Err(Error::config(msg::NotSwept).field(knob.name));
    }
    if values.iter().any(|value| value.trim().is_empty()) {
        return Err(Error::config(msg::NoSweptValue).field(knob.name));
    }
    Ok(Swept {
        knob: knob.name,
        values: values.to_vec(),
    })
}

/// The values of a knob in one text: its parts between commas that stand in no brackets, without spaces around them.
pub fn split_values(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0_usize;
    for letter in text.chars() {
        match letter {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if letter == ',' && depth == 0 {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// All combinations, the values of the last knob changing first: of each knob which value.
fn grid(swept: &[Swept]) -> Result<Vec<Vec<usize>>> {
    let counts = swept.iter().map(|swept| swept.values.len());
    let count = counts.clone().try_fold(1_usize, usize::checked_mul);
    let Some(count) = count.filter(|&count| count <= Variants::MOST) else {
        let error = Error::config(msg::TooManyCombinations { most: Variants::MOST });
        return Err(error.remedy(msg::TryFewer));
    };
    let picks = |mut place: usize| {
        let mut picks: Vec<usize> = Vec::new();
        for values in counts.clone().rev() {
            picks.push(place % values);
            place /= values;
        }
        picks.reverse();
        picks
    };
    Ok((0..count).map(picks).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(knobs: &[(&str, &str)], random: Option<usize>) -> Result<Variants> {
        let swept = knobs
            .iter()
            .map(|(knob, values)| ((*knob).to_owned(), split_values(values)));
        Variants::of(&Resolved::default(), &swept.collect::<Vec<_>>(), random, false)
    }

    fn values(found: &Variants) -> Vec<Vec<Value>> {
        found.all.iter().map(|run| run.values.clone()).collect()
    }

    #[test]
    fn what_says_where_a_run_is_or_what_is_held_out_is_refused() {
        let of_rows = [
            "val_size",
            "data_seed",
            "train_file",
            "cutoff_len",
            "loss",
            "metric_for_best_model",
        ];
        for name in crate::comparison::PLACES.iter().chain(&of_rows) {
            let error = of(&[(name, "1,2")], None).err().unwrap_or_else(|| panic!("{name}"));
            assert_eq!(error.field_name(), Some(*name));
            assert!(error.to_string().contains("cannot be swept"), "{name}: {error}");
        }
        assert!(of(&[("save_steps", "100,200")], None).is_ok(), "where it is asked for");
    }

    #[test]
    fn all_combinations_are_tried_once_in_order() {
        let found = of(&[("lr", "1e-4,3e-4"), ("lora_r", "4,8,16")], None).expect("a grid");
        assert_eq!(found.knobs, ["learning_rate", "lora_r"]);
        let told: Vec<String> = values(&found)
            .iter()
            .map(|own| format!("{} {}", own[0], own[1]))
            .collect();
        let all = ["0.0001 4", "0.0001 8", "0.0001 16", "0.0003 4", "0.0003 8", "0.0003 16"];
        assert_eq!(told, all);
        assert!(found.halving == Halving::Halves);
        // What follows from a knob follows in each run.
        assert_eq!(found.all[2].resolved.config.lora_alpha, 32.0);
    }

    #[test]
    fn settings_of_a_form_keep_what_was_set_in_it_and_let_the_rest_follow() {
        let swept = [("lora_r".to_owned(), split_values("4,32"))];
        let alphas = |lora_alpha: f64| -> Vec<f64> {
            let config = RunConfig {
                lora_r: 16,
                lora_alpha,
                ..RunConfig::default()
            };
            let found = Variants::of(&Resolved::of_config(config), &swept, None, false).expect("a sweep");
            found.all.iter().map(|run| run.resolved.config.lora_alpha).collect()
        };
        assert_eq!(alphas(32.0), [8.0, 64.0], "it was twice the rank and stays so");
        assert_eq!(alphas(20.0), [20.0, 20.0], "it was chosen");
    }

    #[test]
    fn values_of_a_run_file_are_not_split() {
        let pattern = r"(q|v)_proj(a,b)?";
        let named = [
            (
                "target_modules".to_owned(),
                vec![pattern.to_owned(), "all-linear".to_owned()],
            ),
            ("lora_r".to_owned(), vec!["4".to_owned(), "8".to_owned()]),
        ];
        let found = Variants::of(&Resolved::default(), &named, None, true).expect("a grid");
        assert_eq!(found.knobs, ["target_modules", "lora_r"]);
        let first: Vec<Value> = values(&found).into_iter().map(|mut own| own.remove(0)).collect();
        assert_eq!(first, [pattern, pattern, "all-linear", "all-linear"]);
    }

    #[test]
    fn some_of_them_are_drawn_by_the_seed() {
        let knobs = [("learning_rate", "1e-5,1e-4,1e-3,1e-2"), ("lora_r", "4,8,16,32")];
        let drawn = || values(&of(&knobs, Some(5)).expect("a sweep"));
        let one = drawn();
        assert_eq!((one.len(), &one), (5, &drawn()));
        let all = values(&of(&knobs, Some(100)).expect("all"));
        assert_eq!(all.len(), 16);
        assert!(one.iter().all(|one| all.contains(one)));
    }

    #[test]
    fn what_cannot_be_swept_is_refused_before_any_run() {
        for (knobs, field, what) in [
            (&[("learning_rate", "1e-4,")][..], Some("learning_rate"), "empty value"),
            (&[("learning_rate", "")], Some("learning_rate"), "empty value"),
            (&[("learning_rate", "1e-4,-1")], Some("learning_rate"), "above 0"),
            (&[("learning_rat", "1e-4")], Some("learning_rat"), "learning_rate"),
            (&[("val_size", "0.1,0.2")], Some("val_size"), "cannot be swept"),
            (&[("output_dir", "a,b")], Some("output_dir"), "cannot be swept"),
            (&[("lora_r", "4"), ("r", "8")], Some("lora_r"), "twice"),
            (&[("learning_rate", "1e-4,0.0001")], None, "twice"),
            (
                &[("lr_scheduler_type", "cosine,polynomial"), ("lr_end", "0.5")],
                Some("lr_end"),
                "",
            ),
            (&[], None, "no setting"),
        ] {
            let error = of(knobs, None).err().unwrap_or_else(|| panic!("{knobs:?}"));
            assert_eq!(error.field_name(), field, "{knobs:?}: {error}");
            assert!(error.to_string().contains(what), "{knobs:?}: {error}");
        }
        assert!(of(&[("lora_r", "4,8")], Some(0)).is_err());
        let many = (1..=101).map(|step| step.to_string()).collect::<Vec<_>>().join(",");
        let error = of(&[("max_steps", &many), ("warmup_steps", &many)], None);
        assert!(error.is_err_and(|error| error.to_string().contains("10000")));
    }

    #[test]
    fn settings_of_a_fresh_adapter_are_not_swept_where_there_is_one() {
        let base = Resolved::of_config(RunConfig {
            adapter_name_or_path: Some("adapter".into()),
            ..RunConfig::default()
        });
        let of =
            |knob: &str, values: &str| Variants::of(&base, &[(knob.to_owned(), split_values(values))], None, false);
        for (knob, values) in [
            ("r", "4,8"),
            ("lora_dropout", "0,0.1"),
            ("trainable_token_indices", "[1],[2]"),
        ] {
            let error = of(knob, values).expect_err(knob);
            assert!(error.to_string().contains("adapter"), "{error}");
            assert_eq!(error.field_name(), find(knob).map(|knob| knob.name));
        }
        for (knob, values) in [("learning_rate", "1e-4,1e-3"), ("loraplus_lr_ratio", "4,16")] {
            assert_eq!(of(knob, values).expect("a sweep").all.len(), 2);
        }
        let swept = [(ADAPTER, "a,b"), ("lora_r", "4,8")].map(|(knob, values)| (knob.to_owned(), split_values(values)));
        assert!(Variants::of(&Resolved::default(), &swept, None, false).is_err());
        assert!(Variants::of(&Resolved::default(), &swept[..1], None, false).is_ok());
    }

    #[test]
    fn what_decides_how_rows_are_read_and_scored_cannot_be_swept() {
        for knob in [
            "encoding",
            "header",
            "mask_personal",
            "predict_with_generate",
            "max_predict_samples",
        ] {
            assert!(
                find(knob).is_some_and(|knob| knob.in_sweep == InSweep::Refused),
                "{knob}"
            );
        }
    }

    #[test]
    fn lists_stand_in_brackets_and_seeds_hold_out_the_same_rows() {
        assert_eq!(
            split_values("[q_proj, v_proj],all-linear"),
            ["[q_proj, v_proj]", "all-linear"]
        );
        let found = of(&[("seed", "1,2")], None).expect("a sweep");
        let seeds: Vec<_> = found
            .all
            .iter()
            .map(|run| (run.resolved.config.seed, run.resolved.config.data_seed))
            .collect();
        assert_eq!(seeds, [(1, Some(42)), (2, Some(42))]);
        assert!(found.halving == Halving::None, "two runs are trained whole");
    }
}
