//! Trained rows of an embedding, those of some tokens, beside a frozen rest (PEFT's `trainable_token_indices`).
//!
//! With T the tokens, row t of W is δₜ where t ∈ T, and what it was elsewhere. δ \[n, C\] starts as the base's rows and takes their
//! place: it is no difference. An output matrix that is the embedding has the same rows; one of its own has those that are named for
//! `lm_head`. Tensors are called `base_model.model.PATH.token_adapter.trainable_tokens_delta`.
//!
//! Only the rows that are looked up are put together for the inputs. For the logits of a shared matrix W is composed once a pass:
//! that takes V·C numbers, and twice as many in the backward pass.
//!
//! Reference: `tuners/trainable_tokens/layer.py` and `set_additional_trainable_modules` (`utils/other.py`) of huggingface/peft.

use super::adapters::OUTPUT;
use super::{Leaves, Matrix, Parameter, Parameters, Stored, Weight, load};
use crate::config::TokenIndices;
use crate::error::{Error, Result};
use crate::formats::peft::AdapterConfig;
use crate::ops;
use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_i18n::{Field, Message, messages::models as msg};

/// The knob, for errors.
const FIELD: &str = "trainable_token_indices";

/// PEFT's key of the trained rows of the table at `path`.
pub(crate) fn key_of(path: &str) -> String {
    format!("base_model.model.{path}.token_adapter.trainable_tokens_delta")
}

/// A table, rows of which are trained.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TokenTarget {
    /// The table's module, or `lm_head`.
    pub(crate) path: String,
    /// The rows, in the order of the adapter's tensor.
    pub(crate) ids: Vec<u32>,
}

/// What a model has that rows can be trained of.
pub(super) struct Tables<'a> {
    /// The embeddings with their rows; that of the tokens comes first.
    pub(super) tables: Vec<(&'a str, usize)>,
    /// Rows of the output matrix, where there is one whose rows can be trained.
    pub(super) output: Option<usize>,
    /// Whether that is the embedding of the tokens.
    pub(super) is_tied: bool,
    /// Whether a head with a bias of its own reads that embedding, as of masked language models.
    pub(super) is_masked: bool,
}

impl Tables<'_> {
    /// The tables that `config` trains rows of; `is_taken` says of a path that it is trained in another way as well.
    ///
    /// # Errors
    /// A module is not there or is trained in another way; a token is named twice or has no row; a shared matrix would get other rows
    /// as output than as embedding.
    pub(super) fn targets(&self, config: &AdapterConfig, is_taken: impl Fn(&str) -> bool) -> Result<Vec<TokenTarget>> {
        let named = match &config.trainable_token_indices {
            None => return Ok(Vec::new()),
            Some(TokenIndices::List(ids)) => {
                let table = self.tables.first().ok_or_else(|| wrong(msg::NoTokenTable))?;
                vec![(table.0.to_owned(), ids.clone())]
            }
            Some(TokenIndices::ByModule(modules)) => self.by_module(modules)?,
        };
        let mut targets: Vec<TokenTarget> = Vec::new();
        for (path, ids) in named {
            if targets.iter().any(|target| target.path == path) {
                return Err(wrong(msg::TableNamedTwice { module: path }));
            }
            targets.push(TokenTarget { path, ids });
        }
        let of_tokens = self.tables.first().map(|(path, _)| *path);
        let is_shared = |path: &str| self.is_tied && (path == OUTPUT || Some(path) == of_tokens);
        if let Some(output) = targets.iter().position(|target| self.is_tied && target.path == OUTPUT) {
            let of_table = targets.iter().find(|target| Some(target.path.as_str()) == of_tokens);
            if of_table.is_none_or(|table| table.ids != targets[output].ids) {
                return Err(wrong(msg::SharedOutputRows).remedy(msg::NameEmbeddingAlone));
            }
            // The rows of the embedding are those of the output.
            targets.remove(output);
        }
        for TokenTarget { path, ids } in &targets {
            if is_taken(path) || is_shared(path) && is_taken(OUTPUT) {
                let error = wrong(msg::RowsTrainedTwice { module: path });
                return Err(error.remedy(msg::NameItOnce));
            }
            if self.is_masked && Some(path.as_str()) == of_tokens {
                return Err(wrong(msg::MaskedOutputRows { module: path }));
            }
            self.check_ids(path, ids)?;
        }
        Ok(targets)
    }

    /// The tables that the names of `modules` are the ends of, as PEFT finds them.
    fn by_module(&self, modules: &[(String, Vec<u32>)]) -> Result<Vec<(String, Vec<u32>)>> {
        let output = self.output.map(|_| OUTPUT);
        let paths: Vec<&str> = self.tables.iter().map(|(path, _)| *path).chain(output).collect();
        let mut named = Vec::new();
        for (name, ids) in modules {
            let mut found = paths.iter().filter(|path| path.ends_with(name.as_str())).peekable();
            if found.peek().is_none() {
                let (name, names) = (format!("{name:?}"), Field::list(&paths));
                return Err(wrong(msg::NoSuchTable { name }).remedy(msg::ModelHas { names }));
            }
            named.extend(found.map(|path| ((*path).to_owned(), ids.clone())));
        }
        Ok(named)
    }

    fn check_ids(&self, path: &str, ids: &[u32]) -> Result<()> {
        let of_table = self.tables.iter().find(|(table, _)| *table == path);
        let rows = of_table.map(|(_, rows)| *rows).or(self.output).unwrap_or(0);
        let mut sorted = ids.to_vec();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(wrong(msg::TokenTwice { token: pair[0] }));
        }
        match sorted.last() {
            None => Err(wrong(msg::NoTokensNamed { module: path })),
            Some(&token) if token as usize >= rows => {
                let module = path;
                Err(wrong(msg::TokenBeyondTable { token, module, rows }))
            }
            Some(_) => Ok(()),
        }
    }
}

fn wrong(what: impl Into<Message>) -> Error {
    Error::config(what).field(FIELD)
}

/// Trained rows of a table.
#[derive(Debug, Clone)]
pub(crate) struct TokenRows {
    /// δ among the parameters.
    number: usize,
    /// n.
    count: usize,
    /// C.
    columns: usize,
    /// Of each row of the table \[V, 1\] its place in δ, counted from 1; 0 where it is not trained.
    places: Tensor<2>,
}

impl TokenRows {
    /// The rows `target` of `table`, as they are, as a parameter.
    pub(crate) fn fresh(table: &Matrix, target: &TokenTarget, parameters: &mut Parameters, device: &Device) -> Self {
        let (count, columns) = (target.ids.len(), table.columns);
        let ids: Vec<f32> = target.ids.iter().map(|id| *id as f32).collect();
        let rows = table.gather(
            Tensor::from_data(TensorData::new(ids, [count]), device),
            &Leaves::default(),
        );
        let name = key_of(&target.path);
        let number = parameters.push(Parameter {
            decay: load::decays(&name),
            value: rows.reshape([count * columns]),
            shape: vec![count, columns],
            name,
        });
        let mut places = vec![0.0f32; table.rows];
        for (place, id) in target.ids.iter().enumerate() {
            places[*id as usize] = (place + 1) as f32;
        }
        Self {
            number,
            count,
            columns,
            places: Tensor::from_data(TensorData::new(places, [table.rows, 1]), device),
        }
    }

    /// The rows of the table that `ids` \[m\] name, the trained ones in their places → \[m, C\].
    pub(crate) fn gather(&self, ids: Tensor<1>, table: &Matrix, leaves: &Leaves) -> Tensor<2> {
        let places = ops::embedding(ids.clone(), self.places.clone());
        self.put(table.gather(ids, leaves), places, leaves)
    }

    /// The whole table \[V, C\] with the trained rows in their places.
    pub(crate) fn composed(&self, table: &Matrix, leaves: &Leaves) -> Matrix {
        let (rows, columns) = (table.rows, table.columns);
        let compose = || {
            let base = table.unpacked(leaves).reshape([rows, columns]);
            self.put(base, self.places.clone(), leaves).reshape([rows * columns])
        };
        // Without gradients it is the same in all passes: for each token of a generated text, say.
        let value = match leaves.get(self.number).is_tracked() {
            true => compose(),
            false => leaves.keep(self.number, compose),
        };
        Matrix {
            rows,
            columns,
            stored: Stored::Dense(Weight::Frozen(Box::new(value))),
        }
    }

    /// `rows` \[m, C\] of the base with the trained ones in their places \[m, 1\]. At the strength k of adapters a trained row goes from
    /// the base's over this one to as far beyond.
    fn put(&self, rows: Tensor<2>, places: Tensor<2>, leaves: &Leaves) -> Tensor<2> {
        let [count, _] = places.dims();
        let trained = leaves.get(self.number).reshape([self.count, self.columns]);
        let weight = places.clone().clamp_max(1.0).mul_scalar(leaves.strength());
        // Of a row that is not trained any other stands in, with a weight of 0.
        let place = places.sub_scalar(1.0).clamp_min(0.0).reshape([count]);
        let kept = weight.clone().neg().add_scalar(1.0);
        rows * kept + ops::embedding(place, trained) * weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Generator;

    const ROWS: usize = 7;
    const COLUMNS: usize = 3;
    const IDS: [u32; 2] = [5, 2];

    fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
        let values = tensor.into_data().try_into_vec::<f32>().expect("f32");
        values.into_iter().map(f64::from).collect()
    }

    fn tensor(values: &[f64], device: &Device) -> Tensor<1> {
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        let count = values.len();
        Tensor::from_data(TensorData::new(values, [count]), device)
    }

    fn tables(is_tied: bool) -> Tables<'static> {
        Tables {
            tables: vec![("model.embed_tokens", 10), ("positions", 4)],
            output: Some(10),
            is_tied,
            is_masked: false,
        }
    }

    fn targets(is_tied: bool, wanted: TokenIndices) -> Result<Vec<TokenTarget>> {
        let config = AdapterConfig {
            trainable_token_indices: Some(wanted),
            ..AdapterConfig::default()
        };
        tables(is_tied).targets(&config, |path| path == "positions")
    }

    /// Σ wᵢ·yᵢ of the looked-up rows, and of their products with the composed table, by the formula.
    fn objective(base: &[f64], delta: &[f64], ids: &[usize], weights: &[f64]) -> f64 {
        let row = |id: usize| match IDS.iter().position(|trained| *trained as usize == id) {
            Some(place) => &delta[place * COLUMNS..][..COLUMNS],
            None => &base[id * COLUMNS..][..COLUMNS],
        };
        let mut sum = 0.0;
        for (i, id) in ids.iter().enumerate() {
            for v in 0..ROWS {
                let product: f64 = row(*id).iter().zip(row(v)).map(|(x, w)| x * w).sum();
                sum += weights[i * ROWS + v] * product;
            }
        }
        sum
    }

    #[test]
    fn rows_and_their_gradients_are_those_of_the_formula() {
        let device = Device::flex();
        let mut generator = Generator::new(3, "rows");
        let mut draw = |count: usize| -> Vec<f64> {
            let drawn = (0..count).map(|_| f64::from(generator.normal() as f32));
            drawn.collect()
        };
        let ids = [5usize, 0, 2, 5, 6];
        let (base, delta, weights) = (draw(ROWS * COLUMNS), draw(2 * COLUMNS), draw(ids.len() * ROWS));
        let table = Matrix {
            rows: ROWS,
            columns: COLUMNS,
            stored: Stored::Dense(Weight::Frozen(Box::new(tensor(&base, &device)))),
        };
        let target = TokenTarget {
            path: "embed_tokens".to_owned(),
            ids: IDS.to_vec(),
        };
        let mut parameters = Parameters::default();
        let rows = TokenRows::fresh(&table, &target, &mut parameters, &device);
        let looked_up: Vec<f64> = ids.iter().map(|id| *id as f64).collect();
        let look_up = |leaves: &Leaves| rows.gather(tensor(&looked_up, &device), &table, leaves);
        // It starts as the base.
        let plain = table.gather(tensor(&looked_up, &device), &Leaves::default());
        assert_eq!(values(look_up(&parameters.plain())), values(plain.clone()));

        parameters.set(0, tensor(&delta, &device));
        let leaves = parameters.tracked();
        let composed = rows.composed(&table, &leaves);
        let logits = composed.multiply(look_up(&leaves), None, false, &leaves);
        let weighed = (logits * tensor(&weights, &device).reshape([ids.len(), ROWS])).sum();
        let wanted = objective(&base, &delta, &ids, &weights);
        let found = values(weighed.clone())[0];
        assert!((found - wanted).abs() < 1e-4, "{found} instead of {wanted}");
        let found = values(leaves.grad(0, &weighed.backward()).expect("a gradient"));
        for (i, found) in found.iter().enumerate() {
            let moved = |by: f64| {
                let mut delta = delta.clone();
                delta[i] += by;
                objective(&base, &delta, &ids, &weights)
            };
            let wanted = (moved(1e-4) - moved(-1e-4)) / 2e-4;
            assert!((found - wanted).abs() < 1e-3, "d[{i}] is {found} instead of {wanted}");
        }
        // Without strength the base is left.
        let none = values(look_up(&parameters.plain().with_strength(0.0)));
        for (found, wanted) in none.iter().zip(values(plain)) {
            assert!((found - wanted).abs() < 1e-6, "{found} instead of {wanted}");
        }
    }

    #[test]
    fn tables_are_found_by_the_ends_of_their_names() {
        let list = targets(false, TokenIndices::List(vec![9, 0])).expect("the embedding");
        assert_eq!(list[0].path, "model.embed_tokens");
        let by_name = |tied: bool, names: &[(&str, &[u32])]| {
            let modules = names.iter().map(|(name, ids)| ((*name).to_owned(), ids.to_vec()));
            targets(tied, TokenIndices::ByModule(modules.collect()))
        };
        let both: [(&str, &[u32]); 2] = [("embed_tokens", &[1, 2]), ("lm_head", &[1, 2])];
        assert_eq!(by_name(false, &both).expect("two").len(), 2);
        // The rows of a shared matrix are trained once.
        assert_eq!(by_name(true, &both), targets(true, TokenIndices::List(vec![1, 2])));
        type Named<'a> = [(&'a str, &'a [u32])];
        let refused: [(bool, &Named); 8] = [
            (true, &[("lm_head", &[1])]),
            (true, &[("embed_tokens", &[1]), ("lm_head", &[2])]),
            (false, &[("wte", &[1])]),
            (false, &[("positions", &[1])]),
            (false, &[("embed_tokens", &[])]),
            (false, &[("embed_tokens", &[1, 3, 1])]),
            (false, &[("embed_tokens", &[10])]),
            (false, &[("embed_tokens", &[1]), ("model.embed_tokens", &[1])]),
        ];
        for (tied, names) in refused {
            let error = by_name(tied, names).expect_err("it is refused");
            assert_eq!(error.field_name(), Some(FIELD), "{error}");
        }
    }
}
