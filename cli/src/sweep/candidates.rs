//! The runs of a sweep in their folders, named after all that it tries.

use lorakeet_core::comparison::PLACES;
use lorakeet_core::config::{Resolved, Source, SweptKnob};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::protocol::RunRecord;
use lorakeet_core::store::sha256;
use lorakeet_core::sweep::{Halving, Variant, Variants, split_values};
use lorakeet_i18n::messages::tuning as msg;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Letters of a sweep's digest in the name of its folder.
const DIGEST_LETTERS: usize = 8;

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

impl Candidates {
    /// The combinations of the knobs `named`, as a run file has them, and `knobs` (`KNOB=VALUE,VALUE`) on the run `base`; `random` of
    /// them, where it is given, drawn by the run's seed. Of four or more the worse half is left behind on the way, unless `is_whole`.
    ///
    /// # Errors
    /// As [`Variants::of`]; a text that is not of that form.
    pub fn of(
        base: &Resolved,
        (named, knobs): (&[SweptKnob], &[String]),
        random: Option<usize>,
        is_whole: bool,
    ) -> Result<Self> {
        let named = named.iter().cloned().map(Ok);
        let knobs = knobs.iter().map(|text| parse(text));
        let swept = named.chain(knobs).collect::<Result<Vec<_>>>()?;
        let found = Variants::of(base, &swept, random, is_whole).map_err(|error| match error.field_name() {
            Some(_) => error,
            None if random == Some(0) => error.field("--random"),
            None => error.field("--knob"),
        })?;
        let Variants { knobs, all, halving } = found;
        let folder = Path::new(&base.config.output_dir).join(name(&all, halving));
        let width = all.len().to_string().len().max(2);
        let candidate = |(i, variant): (usize, Variant)| -> Result<Candidate> {
            let Variant { values, mut resolved } = variant;
            let name = format!("run-{:0width$}", i + 1);
            let own = folder.join(&name);
            resolved.overlay([("output_dir", own.display().to_string().as_str())], &Source::Flag)?;
            Ok(Candidate {
                name,
                folder: own,
                values,
                resolved,
            })
        };
        let all = all.into_iter().enumerate().map(candidate).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            folder,
            knobs,
            all,
            halving,
        })
    }
}

/// The name of a sweep's folder after all that it tries, so that the same command finds it again.
fn name(variants: &[Variant], halving: Halving) -> String {
    let settings = variants.iter().map(|variant| {
        let settings = RunRecord::settings_of(&variant.resolved.config).into_iter();
        let settings = settings.filter(|(name, _)| !PLACES.contains(&name.as_str()));
        settings.collect::<BTreeMap<String, Value>>()
    });
    let told = json!({ "settings": settings.collect::<Vec<_>>(), "halving": halving == Halving::Halves });
    let digest = sha256(told.to_string().as_bytes());
    let letters: String = digest.chars().take(DIGEST_LETTERS).collect();
    format!("sweep-{letters}")
}

/// `learning_rate=1e-4,3e-4`.
fn parse(text: &str) -> Result<SweptKnob> {
    let found = text.split_once('=').map(|(name, values)| (name, split_values(values)));
    match found.filter(|(_, values)| !values.iter().any(String::is_empty)) {
        Some((name, values)) => Ok((name.to_owned(), values)),
        None => {
            let got = format!("{text:?}");
            let error = Error::config(msg::KnobValues { got }).field("--knob");
            Err(error.remedy(msg::KnobsForExample))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(knobs: &[&str], random: Option<usize>) -> Result<Candidates> {
        let knobs: Vec<String> = knobs.iter().map(|knob| (*knob).to_owned()).collect();
        Candidates::of(&Resolved::default(), (&[], &knobs), random, false)
    }

    #[test]
    fn runs_lie_in_folders_under_the_sweep_s_and_that_has_the_name_of_what_is_tried() {
        let found = of(&["lr=1e-4,3e-4", "lora_r=4,8,16"], None).expect("a grid");
        assert_eq!(
            (found.all[0].name.as_str(), found.all[5].name.as_str()),
            ("run-01", "run-06")
        );
        let last = &found.all[5];
        assert!(found.halving == Halving::Halves && last.folder.starts_with(&found.folder));
        assert_eq!(Path::new(&last.resolved.config.output_dir), last.folder);
        let again = of(&["learning_rate=1e-4,3e-4", "r=4,8,16"], None).expect("a grid");
        assert_eq!(again.folder, found.folder);
        let drawn = of(&["lr=1e-4,3e-4", "lora_r=4,8,16"], Some(5)).expect("a sweep");
        assert!(drawn.all.len() == 5 && drawn.folder != found.folder);
    }

    #[test]
    fn what_is_wrong_on_the_command_line_is_said_of_its_flag() {
        for (knobs, random, field, what) in [
            (&["learning_rate"][..], None, "--knob", "KNOB=VALUE"),
            (&["learning_rate=1e-4,"], None, "--knob", "KNOB=VALUE"),
            (&["learning_rate=1e-4,-1"], None, "learning_rate", "above 0"),
            (&["learning_rate=1e-4,0.0001"], None, "--knob", "twice"),
            (&["lora_r=4,8"], Some(0), "--random", "1 combination"),
        ] {
            let error = of(knobs, random).err().unwrap_or_else(|| panic!("{knobs:?}"));
            assert_eq!(error.field_name(), Some(field), "{knobs:?}: {error}");
            assert!(error.to_string().contains(what), "{knobs:?}: {error}");
        }
    }
}
