//! How far two adapters or two models lie apart: ‖B − A‖ beside ‖A‖ (Frobenius), by tensor and by layer.
//!
//! Of adapters the products s·B·A are compared, which is what they add to their base, so that adapters of different rank can be: with
//! s₁·B₁·A₁ and s₂·B₂·A₂, ⟨B₁A₁, B₂A₂⟩ = Σ (B₁ᵀB₂) ⊙ (A₁A₂ᵀ), sums of R₁·R₂ numbers; no product is made.

use super::adapter_files::{AdapterForm, AdapterModule, AdapterModules};
use super::{ModelFiles, Storage};
use crate::{Error, Result};
use lorakeet_i18n::messages::formats as msg;
use std::collections::BTreeMap;

pub use crate::protocol::TensorChange as Change;

/// Numbers of a tensor that are read at a time.
const CHUNK: usize = 1 << 20;

/// What changes are sorted by.
fn key(change: &Change) -> f64 {
    change
        .relative()
        .filter(|share| !share.is_nan())
        .unwrap_or(f64::INFINITY)
}

/// Why a tensor of both is not compared.
#[derive(Debug, Clone, PartialEq)]
pub enum Uncompared {
    /// The shapes are not one.
    Shapes([Vec<usize>; 2]),
    /// It holds no floats that are read here; whether the bytes are the same ones.
    NoFloats {
        /// How A stores it.
        storage: Storage,
        /// Whether both have the same bytes.
        same: bool,
    },
}

/// Two adapters or two models, compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Difference {
    /// Tensors, of adapters modules, those first that change most in relation to their size.
    pub tensors: Vec<Change>,
    /// Their sums by layer, in the order of layers, all others first.
    pub layers: Vec<Change>,
    /// Names that A alone has.
    pub only_a: Vec<String>,
    /// Names that B alone has.
    pub only_b: Vec<String>,
    /// What both have and is not compared.
    pub uncompared: Vec<(String, Uncompared)>,
}

impl Difference {
    /// The sum over all.
    pub fn total(&self) -> Change {
        sum("", self.tensors.iter())
    }

    /// Whether nothing differs.
    pub fn is_none(&self) -> bool {
        let same = |(_, why): &(String, Uncompared)| matches!(why, Uncompared::NoFloats { same: true, .. });
        self.only_a.is_empty()
            && self.only_b.is_empty()
            && self.uncompared.iter().all(same)
            && self.tensors.iter().all(|change| change.distance == 0.0)
    }

    /// Sums by layer and sorts.
    fn finish(mut self) -> Self {
        self.layers = by_layer(&self.tensors);
        self.tensors.sort_by(|left, right| {
            let by_size = key(right).total_cmp(&key(left));
            by_size.then_with(|| left.name.cmp(&right.name))
        });
        self
    }
}

/// Their sums by layer.
fn by_layer(changes: &[Change]) -> Vec<Change> {
    let mut layers: BTreeMap<(String, u64), Vec<&Change>> = BTreeMap::new();
    for change in changes {
        layers.entry(layer_of(&change.name)).or_default().push(change);
    }
    let name = |(list, layer): &(String, u64)| match list.is_empty() {
        true => String::new(),
        false => format!("{list}.{layer}"),
    };
    let sums = layers.iter();
    sums.map(|(key, changes)| sum(&name(key), changes.iter().copied()))
        .collect()
}

/// Norms of parts as one.
fn sum<'a>(name: &str, changes: impl Iterator<Item = &'a Change>) -> Change {
    let mut squares = [0.0; 3];
    for change in changes {
        for (square, norm) in squares.iter_mut().zip([change.distance, change.before, change.after]) {
            *square += norm * norm;
        }
    }
    let [distance, before, after] = squares.map(f64::sqrt);
    Change {
        name: name.to_owned(),
        distance,
        before,
        after,
    }
}

/// The list of layers and the layer that a tensor is in: `model.layers` and 3; of one that is in none an empty name.
fn layer_of(name: &str) -> (String, u64) {
    let mut at = 0;
    for part in name.split('.') {
        if let (Ok(layer), true) = (part.parse::<u64>(), at > 0) {
            return (name[..at - 1].to_owned(), layer);
        }
        at += part.len() + 1;
    }
    (String::new(), 0)
}

/// The names of both, and those that one of them has alone.
fn pairs<'a, T>(
    a: &'a BTreeMap<&str, T>,
    b: &'a BTreeMap<&str, T>,
    found: &mut Difference,
) -> Vec<(String, &'a T, &'a T)> {
    let mut both = Vec::new();
    for (name, one) in a {
        match b.get(*name) {
            Some(other) => both.push(((*name).to_owned(), one, other)),
            None => found.only_a.push((*name).to_owned()),
        }
    }
    let alone = b.keys().filter(|name| !a.contains_key(**name));
    found.only_b.extend(alone.map(|name| (*name).to_owned()));
    both
}

/// Compares two adapters of one base: what their modules add to it, with DoRA its magnitudes, and what is saved whole.
///
/// # Errors
/// One is llama.cpp's and the other is not, or is of another architecture: what their modules have in common is known with a base
/// only.
pub fn compare_adapters(a: &AdapterModules, b: &AdapterModules) -> Result<Difference> {
    if need_base(a, b) {
        return Err(Error::config(msg::OnlyOneIsGguf).remedy(msg::NameBaseOfBoth));
    }
    let mut found = Difference::default();
    fn by_name(adapter: &AdapterModules) -> BTreeMap<&str, &AdapterModule> {
        adapter
            .modules
            .iter()
            .map(|module| (module.name.as_str(), module))
            .collect()
    }
    for (name, one, other) in pairs(&by_name(a), &by_name(b), &mut found) {
        let shape = |module: &AdapterModule| vec![module.outputs(), module.inputs()];
        if shape(one) != shape(other) {
            let shapes = Uncompared::Shapes([shape(one), shape(other)]);
            found.uncompared.push((name, shapes));
            continue;
        }
        let magnitudes = (one.magnitude.as_deref(), other.magnitude.as_deref());
        let of_magnitudes = format!("{name}.magnitude");
        match magnitudes {
            (Some(one), Some(other)) => found.tensors.push(elementwise(of_magnitudes, one, other)),
            (Some(_), None) => found.only_a.push(of_magnitudes),
            (None, Some(_)) => found.only_b.push(of_magnitudes),
            (None, None) => {}
        }
        found.tensors.push(of_products(name, one, other));
    }
    fn whole(adapter: &AdapterModules) -> BTreeMap<&str, (&[usize], &[f32])> {
        let others = adapter.others.iter();
        others
            .map(|(name, shape, values)| (name.as_str(), (shape.as_slice(), values.as_slice())))
            .collect()
    }
    for (name, one, other) in pairs(&whole(a), &whole(b), &mut found) {
        if one.0 != other.0 {
            let shapes = Uncompared::Shapes([one.0.to_vec(), other.0.to_vec()]);
            found.uncompared.push((name, shapes));
            continue;
        }
        found.tensors.push(elementwise(name, one.1, other.1));
    }
    Ok(found.finish())
}

/// ‖s₂·B₂·A₂ − s₁·B₁·A₁‖ and both norms.
fn of_products(name: String, one: &AdapterModule, other: &AdapterModule) -> Change {
    let (before, after) = (inner(one, one), inner(other, other));
    let distance = before + after - 2.0 * inner(one, other);
    Change {
        name,
        // Rounding may leave a little less than nothing.
        distance: distance.max(0.0).sqrt(),
        before: before.max(0.0).sqrt(),
        after: after.max(0.0).sqrt(),
    }
}

/// ⟨s₁·B₁·A₁, s₂·B₂·A₂⟩.
fn inner(one: &AdapterModule, other: &AdapterModule) -> f64 {
    let (ranks, inputs) = ([one.rank.max(1), other.rank.max(1)], one.inputs().max(1));
    // B₁ᵀB₂ [R₁, R₂].
    let mut of_b = vec![0.0f64; ranks[0] * ranks[1]];
    for (left, right) in one.b.chunks_exact(ranks[0]).zip(other.b.chunks_exact(ranks[1])) {
        for (row, left) in of_b.chunks_exact_mut(ranks[1]).zip(left) {
            let left = f64::from(*left);
            row.iter_mut()
                .zip(right)
                .for_each(|(sum, right)| *sum += left * f64::from(*right));
        }
    }
    let mut total = 0.0;
    for (row, left) in of_b.chunks_exact(ranks[1]).zip(one.a.chunks_exact(inputs)) {
        for (of_b, right) in row.iter().zip(other.a.chunks_exact(inputs)) {
            let of_a: f64 = left.iter().zip(right).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            total += of_b * of_a;
        }
    }
    one.scale() * other.scale() * total
}

/// Sums of squares of the difference and of both.
#[derive(Default)]
struct Squares([f64; 3]);

impl Squares {
    fn add(&mut self, one: &[f32], other: &[f32]) {
        for (one, other) in one.iter().zip(other) {
            let (one, other) = (f64::from(*one), f64::from(*other));
            let parts = [other - one, one, other];
            self.0.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part * part);
        }
    }

    fn change(self, name: String) -> Change {
        let [distance, before, after] = self.0.map(f64::sqrt);
        Change {
            name,
            distance,
            before,
            after,
        }
    }
}

fn elementwise(name: String, one: &[f32], other: &[f32]) -> Change {
    let mut squares = Squares::default();
    squares.add(one, other);
    squares.change(name)
}

/// Compares two models tensor by tensor, under Hugging Face's names, a few rows at a time.
///
/// # Errors
/// A file cannot be read.
pub async fn compare_models(a: &ModelFiles, b: &ModelFiles) -> Result<Difference> {
    compare_models_in_turns(a, b, &mut async |_, _| Ok(())).await
}

/// The same; `turn` hears how many bytes of the first are through, and of how many, and may end it.
///
/// # Errors
/// As [`compare_models`]; what `turn` says.
pub async fn compare_models_in_turns(
    a: &ModelFiles,
    b: &ModelFiles,
    turn: &mut impl AsyncFnMut(u64, u64) -> Result<()>,
) -> Result<Difference> {
    let total = a.entries().iter().map(|entry| entry.bytes).sum();
    let mut done = 0;
    let mut found = Difference::default();
    fn names(files: &ModelFiles) -> BTreeMap<&str, &[usize]> {
        let entries = files.entries().iter();
        entries
            .map(|entry| (entry.name.as_str(), entry.shape.as_slice()))
            .collect()
    }
    for (name, one, other) in pairs(&names(a), &names(b), &mut found) {
        if one != other {
            let shapes = Uncompared::Shapes([one.to_vec(), other.to_vec()]);
            found.uncompared.push((name, shapes));
            continue;
        }
        let bytes = a.entry(&name).map_or(0, |entry| entry.bytes);
        let storages = [a, b].map(|files| files.entry(&name).map_or(Storage::F32, |entry| entry.storage));
        if storages.iter().all(Storage::is_readable) {
            let mut of_rows = async |share: f64| turn(done + (bytes as f64 * share) as u64, total).await;
            let squares = squares((a, b), &name, one, &mut of_rows).await?;
            done += bytes;
            found.tensors.push(squares.change(name));
            continue;
        }
        let same = storages[0] == storages[1] && a.read_bytes(&name).await? == b.read_bytes(&name).await?;
        let storage = match storages[0].is_readable() {
            true => storages[1],
            false => storages[0],
        };
        found.uncompared.push((name, Uncompared::NoFloats { storage, same }));
        done += bytes;
        turn(done, total).await?;
    }
    Ok(found.finish())
}

/// Whether the modules of two adapters have names in common with a base only, which [`compare_adapters`] refuses.
pub fn need_base(a: &AdapterModules, b: &AdapterModules) -> bool {
    gguf_architecture(a) != gguf_architecture(b)
}

/// The architecture of llama.cpp's adapters.
fn gguf_architecture(adapter: &AdapterModules) -> Option<&str> {
    match &adapter.form {
        AdapterForm::Gguf { architecture } => Some(architecture),
        AdapterForm::Peft | AdapterForm::Mlx { .. } => None,
    }
}

/// The sums of squares of a tensor of both, of this shape; `turn` hears which share of it is through.
async fn squares(
    (a, b): (&ModelFiles, &ModelFiles),
    name: &str,
    shape: &[usize],
    turn: &mut impl AsyncFnMut(f64) -> Result<()>,
) -> Result<Squares> {
    let mut squares = Squares::default();
    let by_rows = match shape {
        [_, _] => !a.stored_matrix(name)?.transposed && !b.stored_matrix(name)?.transposed,
        _ => false,
    };
    let (&[rows, columns], true) = (shape, by_rows) else {
        squares.add(&a.read_f32(name).await?.1, &b.read_f32(name).await?.1);
        turn(1.0).await?;
        return Ok(squares);
    };
    let step = (CHUNK / columns.max(1)).max(1);
    for start in (0..rows).step_by(step) {
        let end = (start + step).min(rows);
        let one = a.read_rows_f32(name, start..end).await?;
        squares.add(&one, &b.read_rows_f32(name, start..end).await?);
        turn(end as f64 / rows as f64).await?;
    }
    Ok(squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_found_in_names_of_all_kinds() {
        for (name, list, layer) in [
            ("model.layers.12.mlp.up_proj.weight", "model.layers", 12),
            ("decoder.block.0.layer.1.EncDecAttention.q", "decoder.block", 0),
            ("blk.3.attn_q.weight", "blk", 3),
            ("model.embed_tokens.weight", "", 0),
            ("0.weight", "", 0),
        ] {
            assert_eq!(layer_of(name), (list.to_owned(), layer));
        }
    }

    #[test]
    fn what_is_no_number_comes_first() {
        let change = |name: &str, distance: f64| Change {
            name: name.to_owned(),
            distance,
            before: 1.0,
            after: 1.0,
        };
        for none in [f64::NAN, -f64::NAN] {
            let tensors = vec![change("a", 0.5), change("b", none), change("c", 0.7)];
            let found = Difference {
                tensors,
                ..Difference::default()
            };
            let names: Vec<String> = found.finish().tensors.into_iter().map(|one| one.name).collect();
            assert_eq!(names, ["b", "c", "a"]);
        }
    }

    #[test]
    fn products_of_other_ranks_are_compared_without_being_made() {
        let module = |rank: usize, alpha: f64, a: &[f32], b: &[f32]| AdapterModule {
            name: "q".into(),
            rank,
            alpha,
            a: a.to_vec(),
            b: b.to_vec(),
            magnitude: None,
        };
        // s·B·A = 2·[[3], [4]]·[[1, 2]], and the same with a rank of 2 and s = 1.
        let one = module(1, 2.0, &[1.0, 2.0], &[3.0, 4.0]);
        let same = module(2, 2.0, &[2.0, 4.0, 0.0, 0.0], &[3.0, 7.0, 4.0, -1.0]);
        let change = of_products("q".into(), &one, &same);
        assert_eq!(change.distance, 0.0);
        assert!((change.before - 10.0 * 5.0f64.sqrt()).abs() < 1e-12, "{change:?}");
        // −s·B·A lies twice its norm away.
        let turned = module(1, -2.0, &[1.0, 2.0], &[3.0, 4.0]);
        let change = of_products("q".into(), &one, &turned);
        assert!((change.relative().unwrap_or(0.0) - 2.0).abs() < 1e-12, "{change:?}");
    }
}
