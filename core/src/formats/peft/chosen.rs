//! Which modules of a model carry an adapter, with which rank and scale.

use super::patterns::{Patterns, compile};
use super::{AdapterConfig, scaling};
use crate::config::TargetModules;
use crate::{Error, Result};
use lorakeet_i18n::messages::{common, formats as msg};
use lorakeet_i18n::{Field, Message};
use regex::Regex;

/// A module that carries an adapter.
#[derive(Debug, Clone, PartialEq)]
pub struct ChosenModule {
    /// Its path, as in the base model: `model.layers.0.self_attn.q_proj`.
    pub path: String,
    /// R.
    pub r: usize,
    /// s: what B·A is multiplied by.
    pub scaling: f64,
}

/// Which of `candidates` (paths of all linears) carry an adapter, with their rank and scale, in the order given.
///
/// # Errors
/// Nothing matches, or a pattern is not a regular expression.
pub fn chosen_modules(candidates: &[&str], config: &AdapterConfig) -> Result<Vec<ChosenModule>> {
    let targets = Matcher::new(&config.target_modules, "target_modules")?;
    let excluded = config.exclude_modules.as_ref();
    let excluded = excluded
        .map(|modules| Matcher::new(modules, "exclude_modules"))
        .transpose()?;
    let ranks = config.rank_pattern.compiled("rank_pattern")?;
    let alphas = config.alpha_pattern.compiled("alpha_pattern")?;
    let layers = config.layers_to_transform.as_ref().filter(|layers| !layers.is_empty());
    if layers.is_some() && matches!(targets, Matcher::Pattern(_)) {
        return Err(Error::config(msg::LayersWithPattern)
            .field("layers_to_transform")
            .remedy(msg::ListModulesOrPutLayers));
    }
    let lists = layer_lists(config)?;
    let in_layers =
        |path: &str| layers.is_none_or(|layers| layer_of(path, &lists).is_some_and(|layer| layers.contains(&layer)));
    let mut chosen = Vec::new();
    let mut left_out = 0;
    for path in candidates {
        let is_target = match &targets {
            Matcher::AllLinear => !is_head(path, config) && in_layers(path),
            // A path that is named in full is taken whatever its layer.
            Matcher::Names(names) if names.iter().any(|name| name == path) => true,
            other => other.matches(path) && in_layers(path),
        };
        if !is_target {
            continue;
        }
        if excluded.as_ref().is_some_and(|excluded| excluded.matches(path)) {
            left_out += 1;
            continue;
        }
        let r = ranks.value_of(path).unwrap_or(config.r);
        let alpha = alphas.value_of(path).unwrap_or(config.lora_alpha);
        chosen.push(ChosenModule {
            path: (*path).to_string(),
            r,
            scaling: scaling(r, alpha, config.use_rslora),
        });
    }
    if chosen.is_empty() {
        return Err(nothing_chosen(candidates, config, left_out));
    }
    Ok(chosen)
}

/// How `layers_pattern` finds a layer's number in a path: `.layers.3.`, or any name before a number where it is not given.
fn layer_lists(config: &AdapterConfig) -> Result<Vec<Regex>> {
    let lists = config.layers_pattern.clone().filter(|lists| !lists.is_empty());
    let lists = lists.unwrap_or_else(|| vec![r"[^.]*".to_string()]);
    let lists = lists
        .iter()
        .map(|list| compile(&format!(r"^.*\.(?:{list})\.(\d+)\."), list, "layers_pattern"));
    lists.collect()
}

fn layer_of(path: &str, lists: &[Regex]) -> Option<usize> {
    lists
        .iter()
        .find_map(|list| list.captures(path)?.get(1)?.as_str().parse().ok())
}

/// The last parts of paths, each once: `q_proj, v_proj`.
fn last_names<'a>(paths: &[&'a str]) -> Vec<&'a str> {
    let mut names: Vec<&str> = paths
        .iter()
        .map(|path| path.rsplit('.').next().unwrap_or(path))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Holds that all that a run's settings name is there: every name of `target_modules`, `exclude_modules`, `rank_pattern` and
/// `alpha_pattern`, and every layer of `layers_to_transform`. PEFT ignores what matches nothing; here it counts as a typing
/// error. For settings of a run, not for existing adapters: those may carry names of other models.
///
/// # Errors
/// The first that matches nothing, with the name that is nearest to it.
pub fn check_names(candidates: &[&str], config: &AdapterConfig) -> Result<()> {
    let nothing = |field: &str, written: &str, among: &[&str]| {
        let names = last_names(among);
        let near = crate::did_you_mean::nearest(written, names.iter().copied());
        let second = msg::ThereAre {
            names: Field::list(&names),
        };
        let remedy = match near {
            Some(name) => {
                let first = common::DidYouMean { name };
                common::Both { first, second }.into()
            }
            None => Message::from(second),
        };
        let written = format!("{written:?}");
        Error::config(msg::MatchesNone { written }).field(field).remedy(remedy)
    };
    let chosen = chosen_modules(candidates, config)?;
    for (field, modules) in [
        ("target_modules", Some(&config.target_modules)),
        ("exclude_modules", config.exclude_modules.as_ref()),
    ] {
        let written = match modules {
            None => Vec::new(),
            Some(TargetModules::Names(names)) => names.chunks(1).map(|name| (&name[0], Matcher::Names(name))).collect(),
            Some(all @ TargetModules::Pattern(pattern)) => vec![(pattern, Matcher::new(all, field)?)],
        };
        for (text, matcher) in written {
            if !candidates.iter().any(|path| matcher.matches(path)) {
                return Err(nothing(field, text, candidates));
            }
        }
    }
    let chosen: Vec<&str> = chosen.iter().map(|module| module.path.as_str()).collect();
    let ranks = config
        .rank_pattern
        .0
        .iter()
        .map(|(pattern, _)| ("rank_pattern", pattern));
    let alphas = config
        .alpha_pattern
        .0
        .iter()
        .map(|(pattern, _)| ("alpha_pattern", pattern));
    for (field, pattern) in ranks.chain(alphas) {
        let alone = Patterns(vec![(pattern.clone(), ())]).compiled(field)?;
        if !chosen.iter().any(|path| alone.value_of(path).is_some()) {
            return Err(nothing(field, pattern, &chosen));
        }
    }
    let targets = Matcher::new(&config.target_modules, "target_modules")?;
    let lists = layer_lists(config)?;
    let targeted = candidates.iter().filter(|path| targets.matches(path));
    for layer in config.layers_to_transform.iter().flatten() {
        if !targeted.clone().any(|path| layer_of(path, &lists) == Some(*layer)) {
            return Err(Error::config(msg::NoSuchLayer { layer })
                .field("layers_to_transform")
                .remedy(msg::LayersFromZero));
        }
    }
    Ok(())
}

/// Which paths a setting means.
enum Matcher<'a> {
    AllLinear,
    /// Paths that equal a name or end in `.` + a name.
    Names(&'a [String]),
    /// Paths that match from start to end.
    Pattern(Regex),
}

impl<'a> Matcher<'a> {
    fn new(modules: &'a TargetModules, field: &'static str) -> Result<Self> {
        Ok(match modules {
            all if all.is_all_linear() => Self::AllLinear,
            TargetModules::Pattern(pattern) => Self::Pattern(compile(&format!("^(?:{pattern})$"), pattern, field)?),
            TargetModules::Names(names) => Self::Names(names),
        })
    }
    fn matches(&self, path: &str) -> bool {
        match self {
            Self::AllLinear => true,
            Self::Names(names) => names.iter().any(|name| {
                let before = path.strip_suffix(name.as_str());
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }),
            Self::Pattern(pattern) => pattern.is_match(path),
        }
    }
}

/// `all-linear` spares the output embedding and, for classifiers, their head.
fn is_head(path: &str, config: &AdapterConfig) -> bool {
    let last = path.rsplit('.').next().unwrap_or(path);
    let is_classifier = matches!(config.task_type.as_deref(), Some("SEQ_CLS" | "TOKEN_CLS"));
    last == "lm_head" || (is_classifier && matches!(last, "score" | "classifier"))
}

fn nothing_chosen(candidates: &[&str], config: &AdapterConfig, left_out: usize) -> Error {
    let names = Field::list(last_names(candidates));
    let wanted = match &config.target_modules {
        TargetModules::Pattern(pattern) => format!("{pattern:?}"),
        TargetModules::Names(names) => format!("[{}]", names.join(", ")),
    };
    let error = if left_out > 0 {
        Error::config(msg::LeavesOutAll { wanted }).field("exclude_modules")
    } else if config.layers_to_transform.is_some() {
        Error::config(msg::NoModuleInLayers { wanted }).field("target_modules")
    } else {
        Error::config(msg::NoModule { wanted }).field("target_modules")
    };
    error.remedy(msg::ModelHas { names })
}
