//! Adapters of llama.cpp and mlx-lm on a base: their modules by PEFT's paths, their scale as alpha/R, and the rows of B where PEFT
//! has them. The inverse of `export/adapters.rs`.

use super::HeadKind;
use super::registry::{gguf_form, heads, of_model_type};
use super::skeleton::ModelSkeleton;
use crate::config::TargetModules;
use crate::error::{Error, Result};
use crate::formats::adapter_files::{AdapterFiles, AdapterForm, AdapterModule};
use crate::formats::peft::{Adapter, AdapterConfig, Patterns, key_a, key_b};
use crate::formats::{Change, ModelFiles};
use crate::quant::BaseFormat;
use crate::store::Source;
use lorakeet_i18n::messages::formats as format_msg;
use lorakeet_i18n::messages::models as msg;
use std::collections::{BTreeMap, BTreeSet};

/// A module of the base that an adapter may be on.
struct Place {
    path: String,
    outputs: usize,
    inputs: usize,
    /// An embedding, whose inputs are tokens.
    is_table: bool,
    /// What is to be done to the rows of B.
    change: Change,
}

impl ModelFiles {
    /// Opens an adapter of PEFT, llama.cpp or mlx-lm for this base, in PEFT's meaning.
    ///
    /// # Errors
    /// The files are no adapter's, or it is not for this base.
    pub async fn open_adapter(&self, files: Vec<Source>) -> Result<Adapter> {
        self.on_base(AdapterFiles::open(files).await?).await
    }

    /// An opened adapter in PEFT's meaning on this base. PEFT's own is not compared with the base.
    ///
    /// # Errors
    /// It is not for this base, or the base cannot be read.
    pub async fn on_base(&self, adapter: AdapterFiles) -> Result<Adapter> {
        let other = match adapter {
            AdapterFiles::Peft(adapter) => return Ok(*adapter),
            AdapterFiles::Other(other) => other,
        };
        let skeleton = ModelSkeleton::read(self, (false, BaseFormat::AsStored), u64::MAX).await?;
        let places = places(self, &skeleton, &other.form)?;
        let writes_texts = matches!(
            skeleton.kind(),
            HeadKind::CausalLm | HeadKind::Seq2SeqLm | HeadKind::MaskedLm
        );
        let is_tied = writes_texts && !self.contains(&skeleton.stored(self, "lm_head.weight"));
        let table = skeleton.tables().next().map(|(path, _)| path.to_owned());
        let mut chosen: Vec<(&Place, AdapterModule)> = Vec::new();
        for module in other.modules {
            let a_name = format!("{}.lora_a", module.name);
            let Some(place) = places.get(&module.name) else {
                return Err(Error::format(msg::NoPlaceForTensor)
                    .field(a_name)
                    .remedy(msg::OnlyLoraIsRead));
            };
            check(&other.form, place, &module, skeleton.info.num_hidden_layers)?;
            if is_tied && table.as_ref() == Some(&place.path) {
                return Err(Error::model(msg::AdapterOnSharedTable)
                    .field(a_name)
                    .remedy(msg::MergeElsewhere));
            }
            chosen.push((place, module));
        }
        let architecture = of_model_type(&skeleton.info.model_type)?;
        let mut config = AdapterConfig {
            lora_dropout: other.dropout,
            base_model_name_or_path: other.base,
            fan_in_fan_out: architecture.fan_in_fan_out,
            use_dora: chosen.iter().any(|(_, module)| module.magnitude.is_some()),
            task_type: (skeleton.kind() == HeadKind::CausalLm).then(|| "CAUSAL_LM".to_owned()),
            ..AdapterConfig::default()
        };
        set_scales(&mut config, &chosen);
        config.target_modules = targets(&skeleton, &config, &chosen)?;
        let mut tensors = Vec::with_capacity(2 * chosen.len());
        for (place, module) in chosen {
            add(&mut tensors, place, module);
        }
        tensors.sort_by(|left, right| left.0.cmp(&right.0));
        Ok(Adapter { config, tensors })
    }
}

/// The modules of a base by the names that the adapter's form has for them.
fn places(files: &ModelFiles, skeleton: &ModelSkeleton, form: &AdapterForm) -> Result<BTreeMap<String, Place>> {
    let config = &files.config;
    let linears = skeleton.linears();
    let in_body = linears.len() - skeleton.linears_in_head();
    let linears = linears.into_iter().take(in_body);
    let linears = linears.map(|linear| (linear.path.as_str(), linear.outputs, linear.inputs, false));
    let tables = skeleton
        .tables()
        .map(|(path, [rows, columns])| (path, columns, rows, true));
    let mut places = BTreeMap::new();
    let mut add = |name: String, (path, outputs, inputs, is_table): (&str, usize, usize, bool), change: Change| {
        let path = path.to_owned();
        let place = Place {
            path,
            outputs,
            inputs,
            is_table,
            change,
        };
        places.insert(name, place);
    };
    let AdapterForm::Gguf { architecture } = form else {
        linears
            .chain(tables)
            .for_each(|module| add(module.0.to_owned(), module, Change::None));
        return Ok(places);
    };
    let base = of_model_type(&skeleton.info.model_type)?;
    let Some(form) = gguf_form(base, config)?.filter(|form| form.architecture == architecture) else {
        let (found, base) = (architecture, base.model_type);
        return Err(Error::model(msg::AdapterOfOtherArchitecture { found, base })
            .field("general.architecture")
            .remedy(msg::IsItOfThisModel));
    };
    let heads = heads(config);
    let is_gated = skeleton
        .linears()
        .iter()
        .any(|linear| linear.path.contains("DenseReluDense.wi_0"));
    for module in linears.chain(tables) {
        let weight = format!("{}.weight", module.0);
        let without_first = weight.split_once('.').map(|(_, rest)| rest);
        let mut names = [Some(weight.as_str()), without_first].into_iter().flatten();
        if let Some(name) = names.find_map(|name| form.gguf_name(name, is_gated)) {
            let change = (form.change)(&weight, 2, heads);
            add(name, module, change);
        }
    }
    Ok(places)
}

/// Refuses a module of other sizes than the base's, and one that mlx-lm would leave out.
fn check(form: &AdapterForm, place: &Place, module: &AdapterModule, layers: usize) -> Result<()> {
    let name = &module.name;
    let sizes = [
        ("lora_a", module.inputs(), place.inputs),
        ("lora_b", module.outputs(), place.outputs),
    ];
    for (part, found, needed) in sizes {
        if found != needed {
            let (shape, needed) = (format!("[{found}]"), format!("[{needed}]"));
            let error = Error::format(msg::OtherShape { shape, needed });
            return Err(error.field(format!("{name}.{part}")).remedy(msg::IsItOfThisModel));
        }
    }
    if place.is_table && module.magnitude.is_some() {
        let error = Error::format(msg::NoPlaceForTensor).field(format!("{name}.m"));
        return Err(error.remedy(msg::OnlyLoraIsRead));
    }
    if let Change::Unpermute { heads } = place.change {
        let rows = place.outputs;
        if heads
            .checked_mul(2)
            .is_none_or(|halves| halves == 0 || !rows.is_multiple_of(halves))
        {
            return Err(Error::model(format_msg::RowsAreNoHeads { rows, heads }).field(name));
        }
    }
    let AdapterForm::Mlx { num_layers, keys } = form else {
        return Ok(());
    };
    let has = |key: &str| keys.as_ref().is_none_or(|keys| keys.iter().any(|known| known == key));
    let in_layer = name
        .strip_prefix("model.layers.")
        .and_then(|rest| rest.split_once('.'))
        .and_then(|(layer, key)| Some((layer.parse::<usize>().ok()?, key)));
    let named = keys.is_some() && has(name);
    let first = num_layers.map_or(0, |count| layers.saturating_sub(count));
    let is_left_out = match in_layer {
        Some((layer, key)) => !named && (layer < first || !has(key)),
        None => !named,
    };
    match is_left_out {
        true => Err(Error::format(msg::LeftOutBySettings)
            .field(format!("{name}.lora_a"))
            .remedy(msg::CheckKeysAndLayers)),
        false => Ok(()),
    }
}

/// R and alpha: those of most modules, and of the others by their paths.
fn set_scales(config: &mut AdapterConfig, chosen: &[(&Place, AdapterModule)]) {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, module) in chosen {
        *counts.entry(module.rank).or_default() += 1;
    }
    let most = counts.into_iter().max_by_key(|(_, count)| *count);
    let usual = most.and_then(|(rank, _)| chosen.iter().find(|(_, module)| module.rank == rank));
    let Some((_, usual)) = usual else { return };
    (config.r, config.lora_alpha) = (usual.rank, usual.alpha);
    let (mut ranks, mut alphas) = (Vec::new(), Vec::new());
    for (place, module) in chosen {
        if module.rank != config.r {
            ranks.push((place.path.clone(), module.rank));
        }
        if module.alpha != config.lora_alpha {
            alphas.push((place.path.clone(), module.alpha));
        }
    }
    (config.rank_pattern, config.alpha_pattern) = (Patterns(ranks), Patterns(alphas));
}

/// The last names of the modules, where these choose no others; else their paths.
fn targets(
    skeleton: &ModelSkeleton,
    config: &AdapterConfig,
    chosen: &[(&Place, AdapterModule)],
) -> Result<TargetModules> {
    let paths: BTreeSet<&str> = chosen.iter().map(|(place, _)| place.path.as_str()).collect();
    let last = |path: &&str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let names: BTreeSet<String> = paths.iter().map(last).collect();
    let short = AdapterConfig {
        target_modules: TargetModules::Names(names.into_iter().collect()),
        ..config.clone()
    };
    let found = skeleton.chosen(&skeleton.with_head(&short))?;
    let found: BTreeSet<&str> = found.iter().map(|module| module.path.as_str()).collect();
    Ok(match found == paths {
        true => short.target_modules,
        false => TargetModules::Names(paths.into_iter().map(str::to_owned).collect()),
    })
}

/// The tensors of a module by PEFT's keys.
fn add(tensors: &mut Vec<(String, Vec<usize>, Vec<f32>)>, place: &Place, module: AdapterModule) {
    let Place { path, .. } = place;
    let (a, b) = match place.is_table {
        true => (
            format!("base_model.model.{path}.lora_embedding_A"),
            format!("base_model.model.{path}.lora_embedding_B"),
        ),
        false => (key_a(path), key_b(path)),
    };
    let (b_shape, rank) = ([place.outputs, module.rank], module.rank);
    let b_values = match place.change {
        change @ Change::Unpermute { .. } => change.apply(&b_shape, module.b),
        _ => module.b,
    };
    tensors.push((a, vec![rank, place.inputs], module.a));
    tensors.push((b, b_shape.to_vec(), b_values));
    if let Some(magnitude) = module.magnitude {
        let name = format!("base_model.model.{path}.lora_magnitude_vector");
        tensors.push((name, vec![place.outputs], magnitude));
    }
}
