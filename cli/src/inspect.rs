//! `lorakeet inspect` and `lorakeet diff`: what files are and hold, and how far two of a kind lie apart.

use crate::commands::{sources, unwritable};
use crate::hub;
use crate::json;
use crate::screen::{count, hand_out, hand_out_json, size};
use crate::{Diff, Inspect};
use lorakeet_core::error::{Error, Result};
use lorakeet_core::formats::ModelFiles;
use lorakeet_core::formats::diff::{Change, Difference, Uncompared};
use lorakeet_core::formats::inspect::{AdapterFacts, FileKind, Inspected, TensorGroup, inspect};
use lorakeet_core::host::Control;
use lorakeet_core::models::comparison::Side;
use lorakeet_core::protocol::Event;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// What a run writes beside its model or adapter.
const OF_RUN: [&str; 3] = ["run.json", "run.yaml", "trainer_state.json"];

/// Rows of a table that are shown without `--tensors`.
const MOST_ROWS: usize = 20;

/// Describes a file or a folder.
pub async fn run(wish: Inspect, is_json: bool, take: &mut dyn FnMut(&Event)) -> Result<ExitCode> {
    let path = hub::located(&wish.path, &Control::default(), take).await?.path;
    let place = path.display().to_string();
    let located = |error: Error| error.file(place.clone());
    let files = sources(&path)?;
    let found = inspect(&files).await.map_err(located)?;
    let is_run = files.iter().any(|file| OF_RUN.contains(&file.name()));
    match is_json {
        true => {
            let value = as_json(&found, &place, is_run);
            hand_out_json(&json::line(&value).map_err(unwritable)?)?;
        }
        false => hand_out(&as_text(&found, is_run, wish.tensors))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(found: &Inspected, place: &str, is_run: bool) -> Value {
    let formats = found.formats();
    let formats: serde_json::Map<String, Value> = formats
        .into_iter()
        .map(|(name, (tensors, elements, bytes))| {
            let of = json!({ "tensors": tensors, "elements": elements, "bytes": bytes });
            (name.to_owned(), of)
        })
        .collect();
    let tensors = found.tensors.iter().map(|tensor| {
        json!({
            "name": tensor.name, "shape": tensor.shape, "dtype": tensor.storage.name(), "bytes": tensor.bytes,
        })
    });
    let tensors: Vec<Value> = tensors.collect();
    let adapter = match &found.adapter {
        None => Value::Null,
        Some(Err(error)) => json!({ "error": error.to_string() }),
        Some(Ok(facts)) => {
            let pairs = |pairs: &[(f64, usize)], name: &str| -> Vec<Value> {
                let pair = |(number, modules): &(f64, usize)| json!({ name: number, "modules": modules });
                pairs.iter().map(pair).collect()
            };
            let ranks = facts.ranks.iter();
            let ranks: Vec<Value> = ranks
                .map(|(rank, modules)| json!({ "rank": rank, "modules": modules }))
                .collect();
            json!({
                "modules": facts.modules, "ranks": ranks, "alphas": pairs(&facts.alphas, "alpha"),
                "scales": pairs(&facts.scales, "scale"), "targets": facts.targets, "dora": facts.has_magnitudes,
                "whole": facts.whole, "base": facts.base,
            })
        }
    };
    let parameters = found.parameters();
    json!({
        "type": "inspected", "path": place, "kind": found.kind.name(), "run": is_run, "architecture": found.architecture,
        "parameters": parameters, "formats": formats, "adapter": adapter, "settings": found.settings,
        "metadata": found.metadata, "files": found.read, "other_files": found.others, "tensors": tensors,
    })
}

/// Lines of a name and a value.
struct Lines(String);

impl Lines {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        self.0.push_str(&format!("{name:<26}{}\n", value.as_ref()));
    }
}

fn kind(kind: FileKind) -> &'static str {
    match kind {
        FileKind::Model => "a model in Hugging Face's layout",
        FileKind::Gguf => "a model as a GGUF file",
        FileKind::Adapter => "an adapter of PEFT",
        FileKind::GgufAdapter => "an adapter of llama.cpp (GGUF)",
        FileKind::MlxAdapter => "an adapter of mlx-lm",
        FileKind::Tensors => "tensors without a config.json",
    }
}

fn as_text(found: &Inspected, is_run: bool, all: bool) -> String {
    let mut lines = Lines(String::new());
    let what = match is_run {
        true => format!(
            "{}, in the folder of a run (`lorakeet show` tells of it)",
            kind(found.kind)
        ),
        false => kind(found.kind).to_owned(),
    };
    lines.add("what it is", what);
    if let Some(architecture) = &found.architecture {
        lines.add("architecture", architecture);
    }
    lines.add("tensors", found.tensors.len().to_string());
    lines.add("parameters", count(found.parameters()));
    for (name, (tensors, elements, bytes)) in found.formats() {
        let value = format!("{}, {tensors} tensors of {} numbers", size(bytes), count(elements));
        lines.add(&format!("stored as {name}"), value);
    }
    match &found.adapter {
        Some(Ok(facts)) => adapter_lines(&mut lines, facts),
        Some(Err(error)) => lines.add("adapter", format!("is not read here: {error}")),
        None => {}
    }
    for (name, text) in found.facts() {
        lines.add(&name, text);
    }
    lines.add("files", found.read.join(", "));
    if !found.others.is_empty() {
        lines.add("other files", found.others.join(", "));
    }
    let Lines(mut text) = lines;
    text.push('\n');
    let shape = |shape: &[usize]| format!("{shape:?}");
    if all {
        for tensor in &found.tensors {
            let (shape, dtype) = (shape(&tensor.shape), tensor.storage.name());
            text.push_str(&format!(
                "{dtype:<6} {shape:<18} {:>10}  {}\n",
                size(tensor.bytes),
                tensor.name
            ));
        }
        return text;
    }
    for group in found.groups() {
        let TensorGroup {
            name,
            count,
            storage,
            bytes,
            ..
        } = &group;
        let (shape, dtype, bytes) = (shape(&group.shape), storage.name(), size(*bytes));
        text.push_str(&format!("{count:>5} × {dtype:<6} {shape:<18} {bytes:>10}  {name}\n"));
    }
    text
}

fn adapter_lines(lines: &mut Lines, facts: &AdapterFacts) {
    let several = |pairs: Vec<(String, usize)>| match pairs.as_slice() {
        [(only, _)] => only.clone(),
        pairs => {
            let pairs = pairs
                .iter()
                .map(|(value, modules)| format!("{value} ({modules} modules)"));
            pairs.collect::<Vec<_>>().join(", ")
        }
    };
    let numbers = |pairs: &[(f64, usize)]| -> Vec<(String, usize)> {
        pairs
            .iter()
            .map(|(value, modules)| (value.to_string(), *modules))
            .collect()
    };
    lines.add(
        "adapter on",
        format!("{} modules: {}", facts.modules, facts.targets.join(", ")),
    );
    let ranks = facts.ranks.iter();
    lines.add(
        "rank",
        several(ranks.map(|(rank, modules)| (rank.to_string(), *modules)).collect()),
    );
    lines.add("alpha", several(numbers(&facts.alphas)));
    lines.add("scale (alpha / rank)", several(numbers(&facts.scales)));
    if facts.has_magnitudes {
        lines.add("DoRA", "yes");
    }
    if !facts.whole.is_empty() {
        lines.add("saved whole", facts.whole.join(", "));
    }
    if let Some(base) = &facts.base {
        lines.add("base", base);
    }
}

/// Opens one side of a comparison; an adapter on `base`, where there is one.
async fn side(path: &Path, base: Option<&ModelFiles>, take: &mut dyn FnMut(&Event)) -> Result<Side> {
    let path = hub::located(path, &Control::default(), take).await?.path;
    let opened = Side::open(sources(&path)?, base).await;
    opened.map_err(|error| error.file(path.display().to_string()))
}

/// Compares two adapters or two models.
pub async fn diff(wish: Diff, is_json: bool, take: &mut dyn FnMut(&Event)) -> Result<ExitCode> {
    let base = match &wish.base {
        Some(base) => {
            let path = hub::located(base, &Control::default(), take).await?.path;
            Some(ModelFiles::open_path(&path).await?)
        }
        None => None,
    };
    let a = side(&wish.a, base.as_ref(), take).await?;
    let b = side(&wish.b, base.as_ref(), take).await?;
    let places = || format!("{}, {}", wish.a.display(), wish.b.display());
    let compared = a.compare(&b, &mut async |_, _| Ok(())).await;
    let (are_adapters, found) = compared.map_err(|error| error.file(places()))?;
    let kind = if are_adapters { "adapters" } else { "models" };
    match is_json {
        true => {
            let value = difference_as_json(&found, kind);
            hand_out_json(&json::line(&value).map_err(unwritable)?)?;
        }
        false => hand_out(&difference_as_text(&found, kind, wish.tensors))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn difference_as_json(found: &Difference, kind: &str) -> Value {
    let change = |change: &Change| {
        json!({
            "name": change.name, "distance": change.distance, "norm_a": change.before, "norm_b": change.after,
            "relative": change.relative(),
        })
    };
    let changes = |changes: &[Change]| -> Vec<Value> { changes.iter().map(change).collect() };
    let uncompared = found.uncompared.iter().map(|(name, why)| match why {
        Uncompared::Shapes([a, b]) => json!({ "name": name, "shapes": [a, b] }),
        Uncompared::NoFloats { storage, same } => {
            json!({ "name": name, "dtype": storage.name(), "same": same })
        }
    });
    let uncompared: Vec<Value> = uncompared.collect();
    json!({
        "type": "compared", "kind": kind, "same": found.is_none(), "total": change(&found.total()),
        "layers": changes(&found.layers), "tensors": changes(&found.tensors), "only_a": found.only_a,
        "only_b": found.only_b, "uncompared": uncompared,
    })
}

fn difference_as_text(found: &Difference, kind: &str, all: bool) -> String {
    let share = |change: &Change| match change.relative() {
        Some(share) => format!("{share:.4e}"),
        None => "from 0".to_owned(),
    };
    let row = |change: &Change, name: &str| {
        let (distance, before, after) = (change.distance, change.before, change.after);
        let share = share(change);
        format!("{share:>11} {distance:>11.4e} {before:>11.4e} {after:>11.4e}  {name}\n")
    };
    let heading = |what: &str| {
        let columns = ["‖B−A‖/‖A‖", "‖B−A‖", "‖A‖", "‖B‖"].map(|column| format!("{column:>11}"));
        format!("{}  {what}\n", columns.join(" "))
    };
    let of = match kind {
        "adapters" => "modules, by what they add to the base (s·B·A)",
        _ => "tensors",
    };
    let mut text = heading("");
    text.push_str(&row(&found.total(), &format!("all {} {of}", found.tensors.len())));
    text.push('\n');
    text.push_str(&heading("layer"));
    for layer in &found.layers {
        let name = if layer.name.is_empty() {
            "in no layer"
        } else {
            layer.name.as_str()
        };
        text.push_str(&row(layer, name));
    }
    text.push('\n');
    text.push_str(&heading("the largest changes first"));
    let most = if all { found.tensors.len() } else { MOST_ROWS };
    for change in found.tensors.iter().take(most) {
        text.push_str(&row(change, &change.name));
    }
    if found.tensors.len() > most {
        text.push_str(&format!("{} more with --tensors\n", found.tensors.len() - most));
    }
    for (side, names) in [("A", &found.only_a), ("B", &found.only_b)] {
        if !names.is_empty() {
            text.push_str(&format!("\nonly in {side}: {}\n", names.join(", ")));
        }
    }
    for (name, why) in &found.uncompared {
        let why = match why {
            Uncompared::Shapes([a, b]) => format!("shapes {a:?} and {b:?}"),
            Uncompared::NoFloats { storage, same: true } => format!("{storage}, the same bytes"),
            Uncompared::NoFloats { storage, same: false } => format!("{storage}, other bytes"),
        };
        text.push_str(&format!("\nnot compared: {name}: {why}\n"));
    }
    text
}
