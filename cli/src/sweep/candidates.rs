//! What a sweep tries: the combinations of its knobs' values, each a run with a folder of its own, all checked before the first one
//! starts.

use super::Halving;
use lorakeet_core::comparison::PLACES;
use lorakeet_core::config::{Resolved, RunConfig, Source, SweptKnob, find};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::RunRecord;
use lorakeet_core::random::Generator;
use lorakeet_core::store::sha256;
use lorakeet_i18n::messages::tuning as msg;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The most combinations of a sweep, those that are drawn from included.
const MOST: usize = 10_000;
/// Letters of a sweep's digest in the name of its folder.
const DIGEST_LETTERS: usize = 8;

/// Knobs beside [`PLACES`] by which runs would not be compared on the same rows.
const HELD_OUT: [&str; 25] = [
    "model_name_or_path",
    "train_file",
    "validation_file",
    "val_size",
    "max_samples",
    "data_seed",
    "drop_rows",
    "mask_personal",
    "header",
    "prompt_columns",
    "completion_column",
    "system_column",
    "text_columns",
    "label_columns",
    "task",
    "problem_type",
    "scale_targets",
    "forecast_window",
    "cutoff_len",
    "packing",
    "completion_only_loss",
    "enable_thinking",
    "loss",
    "metric_for_best_model",
    "eval_strategy",
];

/// A run of a sweep.
pub struct Candidate {
    /// The name of its folder: `run-01`.
    pub name: String,
    pub folder: PathBuf,
    /// The values of the swept knobs, in the order of the command line.
    pub values: Vec<Value>,
    /// Its settings, but for how it starts.
    pub resolved: Resolved,
}

/// All that a sweep tries.
pub struct Candidates {
    /// The sweep's folder, under the run's output_dir.
    pub folder: PathBuf,
    /// The swept knobs.
    pub knobs: Vec<&'static str>,
    pub all: Vec<Candidate>,
    pub halving: Halving,
}

/// A knob and its values, as they were written.
struct Swept {
    knob: &'static str,
    values: Vec<String>,
}

impl Candidates {
    /// The combinations of the knobs `named`, as a run file has them, and `knobs` (`KNOB=VALUE,VALUE`) on the run `base`; `random` of
    /// them, where it is given, drawn by the run's seed. Of four or more the worse half is left behind on the way, unless `is_whole`.
    ///
    /// # Errors
    /// A knob that is none or cannot be swept, a value that it does not take, values that do not go together, too many of them.
    pub fn of(
        base: &Resolved,
        (named, knobs): (&[SweptKnob], &[String]),
        random: Option<usize>,
        is_whole: bool,
    ) -> Result<Self> {
        let named = named.iter().map(|(name, values)| swept(name, values.clone()));
        let knobs = knobs.iter().map(|text| parse(text));
        let swept = named.chain(knobs).collect::<Result<Vec<_>>>()?;
        if let Some(twice) = (1..swept.len()).find(|&i| swept[..i].iter().any(|other| other.knob == swept[i].knob)) {
            return Err(Error::config(msg::KnobTwice).field(swept[twice].knob));
        }
        let mut picks = grid(&swept)?;
        if random == Some(0) {
            return Err(Error::config(msg::NoneDrawn).field("--random"));
        }
        if let Some(count) = random.filter(|&count| count < picks.len()) {
            Generator::new(base.config.seed, "sweep").shuffle(&mut picks);
            picks.truncate(count);
        }
        let halving = match !is_whole && picks.len() >= Halving::FEWEST {
            true => Halving::Halves,
            false => Halving::None,
        };
        let mut settings = Vec::new();
        for picks in &picks {
            let chosen = swept.iter().zip(picks);
            let chosen: Vec<(&str, &str)> = chosen
                .map(|(swept, &pick)| (swept.knob, swept.values[pick].as_str()))
                .collect();
            let mut resolved = base.clone();
            resolved.overlay(chosen, &Source::Flag)?;
            // Another seed is to hold out the same rows.
            if base.config.data_seed.is_none() {
                resolved.overlay([("data_seed", base.config.seed.to_string().as_str())], &Source::Flag)?;
            }
            if halving == Halving::Halves {
                resolved.overlay(
                    [("eval_strategy", "steps"), ("eval_steps", Halving::EVERY)],
                    &Source::Flag,
                )?;
            }
            if base.config.save_total_limit.is_none() {
                resolved.overlay([("save_total_limit", "1")], &Source::Flag)?;
            }
            settings.push(resolved);
        }
        let values = |config: &RunConfig| -> Vec<Value> {
            let values = swept.iter().map(|swept| config.get(swept.knob).unwrap_or_default());
            values.collect()
        };
        let mut seen = BTreeSet::new();
        for resolved in &settings {
            let own = values(&resolved.config);
            let value = own.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            if !seen.insert(value.clone()) {
                return Err(Error::config(msg::ValueTwice { value }).field("--knob"));
            }
        }
        let folder = Path::new(&base.config.output_dir).join(name(&settings, halving));
        let width = settings.len().to_string().len().max(2);
        let mut all = Vec::new();
        for (i, mut resolved) in settings.into_iter().enumerate() {
            let name = format!("run-{:0width$}", i + 1);
            let own = folder.join(&name);
            resolved.overlay([("output_dir", own.display().to_string().as_str())], &Source::Flag)?;
            all.push(Candidate {
                values: values(&resolved.config),
                folder: own,
                name,
                resolved,
            });
        }
        Ok(Self {
            folder,
            knobs: swept.iter().map(|swept| swept.knob).collect(),
            all,
            halving,
        })
    }
}

/// The name of a sweep's folder after all that it tries, so that the same command finds it again.
fn name(settings: &[Resolved], halving: Halving) -> String {
    let settings = settings.iter().map(|resolved| {
        let settings = RunRecord::settings_of(&resolved.config).into_iter();
        let settings = settings.filter(|(name, _)| !PLACES.contains(&name.as_str()));
        settings.collect::<BTreeMap<String, Value>>()
    });
    let told = json!({ "settings": settings.collect::<Vec<_>>(), "halving": halving == Halving::Halves });
    let digest = sha256(told.to_string().as_bytes());
    let letters: String = digest.chars().take(DIGEST_LETTERS).collect();
    format!("sweep-{letters}")
}

/// `learning_rate=1e-4,3e-4`.
fn parse(text: &str) -> Result<Swept> {
    let (name, values) = text.split_once('=').ok_or_else(|| no_values(text))?;
    swept(name, split(values))
}

fn no_values(text: &str) -> Error {
    let got = format!("{text:?}");
    let error = Error::config(msg::KnobValues { got }).field("--knob");
    error.remedy(msg::KnobsForExample)
}

/// A knob with its values, of which there is one.
fn swept(name: &str, values: Vec<String>) -> Result<Swept> {
    let wrong = || no_values(&format!("{name}={}", values.join(",")));
    if values.iter().any(String::is_empty) {
        return Err(wrong());
    }
    let name = name.trim();
    let Some(knob) = find(name) else {
        // The run's own refusal names what was meant.
        let mut nowhere = Resolved::default();
        nowhere.overlay([(name, values[0].as_str())], &Source::Flag)?;
        return Err(wrong());
    };
    if PLACES.contains(&knob.name) || HELD_OUT.contains(&knob.name) {
        return Err(Error::config(msg::NotSwept).field(knob.name));
    }
    Ok(Swept {
        knob: knob.name,
        values,
    })
}

/// The parts between commas that stand in no brackets.
fn split(text: &str) -> Vec<String> {
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
    let Some(count) = count.filter(|&count| count <= MOST) else {
        let error = Error::config(msg::TooManyCombinations { most: MOST }).field("--knob");
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

    fn of(knobs: &[&str], random: Option<usize>) -> Result<Candidates> {
        let knobs: Vec<String> = knobs.iter().map(|knob| (*knob).to_owned()).collect();
        Candidates::of(&Resolved::default(), (&[], &knobs), random, false)
    }

    #[test]
    fn all_combinations_are_tried_once_in_order() {
        let found = of(&["lr=1e-4,3e-4", "lora_r=4,8,16"], None).expect("a grid");
        assert_eq!(found.knobs, ["learning_rate", "lora_r"]);
        let values: Vec<String> = found
            .all
            .iter()
            .map(|run| format!("{} {}", run.values[0], run.values[1]))
            .collect();
        let all = ["0.0001 4", "0.0001 8", "0.0001 16", "0.0003 4", "0.0003 8", "0.0003 16"];
        assert_eq!(values, all);
        assert_eq!(
            (found.all[0].name.as_str(), found.all[5].name.as_str()),
            ("run-01", "run-06")
        );
        assert!(found.halving == Halving::Halves && found.all[5].folder.starts_with(&found.folder));
        // What follows from a knob follows in each run.
        assert_eq!(found.all[2].resolved.config.lora_alpha, 32.0);
    }

    #[test]
    fn values_of_a_run_file_are_not_split() {
        let pattern = r"(q|v)_proj(a,b)?";
        let named = [(
            "target_modules".to_owned(),
            vec![pattern.to_owned(), "all-linear".to_owned()],
        )];
        let base = Resolved::default();
        let found = Candidates::of(&base, (&named, &["lora_r=4,8".to_owned()]), None, true).expect("a grid");
        assert_eq!(found.knobs, ["target_modules", "lora_r"]);
        let values: Vec<&Value> = found.all.iter().map(|run| &run.values[0]).collect();
        assert_eq!(values, [pattern, pattern, "all-linear", "all-linear"]);
    }

    #[test]
    fn some_of_them_are_drawn_by_the_seed_and_the_folder_has_their_name() {
        let knobs = ["learning_rate=1e-5,1e-4,1e-3,1e-2", "lora_r=4,8,16,32"];
        let drawn = || of(&knobs, Some(5)).expect("a sweep");
        let values =
            |found: &Candidates| -> Vec<Vec<Value>> { found.all.iter().map(|run| run.values.clone()).collect() };
        let (one, other) = (drawn(), drawn());
        assert_eq!(
            (one.all.len(), values(&one), &one.folder),
            (5, values(&other), &other.folder)
        );
        let all = of(&knobs, None).expect("a sweep");
        assert_ne!(all.folder, one.folder);
        assert_eq!(of(&knobs, Some(100)).expect("all").all.len(), 16);
        assert!(values(&one).iter().all(|one| values(&all).contains(one)));
    }

    #[test]
    fn what_cannot_be_swept_is_refused_before_any_run() {
        for (knobs, field, what) in [
            (&["learning_rate"][..], "--knob", "KNOB=VALUE"),
            (&["learning_rate=1e-4,"], "--knob", "KNOB=VALUE"),
            (&["learning_rate=1e-4,-1"], "learning_rate", "above 0"),
            (&["learning_rat=1e-4"], "learning_rat", "learning_rate"),
            (&["val_size=0.1,0.2"], "val_size", "cannot be swept"),
            (&["output_dir=a,b"], "output_dir", "cannot be swept"),
            (&["lora_r=4", "r=8"], "lora_r", "twice"),
            (&["learning_rate=1e-4,0.0001"], "--knob", "twice"),
            (&["lr_scheduler_type=cosine,polynomial", "lr_end=0.5"], "lr_end", ""),
        ] {
            let error = of(knobs, None).err().unwrap_or_else(|| panic!("{knobs:?}"));
            assert_eq!(error.field_name(), Some(field), "{knobs:?}: {error}");
            assert!(error.to_string().contains(what), "{knobs:?}: {error}");
        }
        assert!(of(&["lora_r=4,8"], Some(0)).is_err());
    }

    #[test]
    fn lists_stand_in_brackets_and_seeds_hold_out_the_same_rows() {
        assert_eq!(split("[q_proj, v_proj],all-linear"), ["[q_proj, v_proj]", "all-linear"]);
        let found = of(&["seed=1,2"], None).expect("a sweep");
        let seeds: Vec<_> = found
            .all
            .iter()
            .map(|run| (run.resolved.config.seed, run.resolved.config.data_seed))
            .collect();
        assert_eq!(seeds, [(1, Some(42)), (2, Some(42))]);
        assert!(found.halving == Halving::None, "two runs are trained whole");
    }
}
