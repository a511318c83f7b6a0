//! Losses of a cross-encoder's scores: of single items, of pairs of items, and of whole lists.

use super::classification::{constant, log_softmax, softplus};
use crate::error::{Error, Result};
use burn::tensor::{Int, Tensor, TensorData};
use lorakeet_i18n::messages::metrics as msg;
use std::collections::HashMap;

/// The items of a batch: how relevant each is, and which list (query) it belongs to.
///
/// Items of a list need not be neighbours; lists are counted in the order in which they first appear.
#[derive(Debug, Clone, PartialEq)]
pub struct Lists {
    relevance: Vec<f32>,
    /// The items of each list, at least one.
    items: Vec<Vec<usize>>,
}

impl Lists {
    /// Items with these grades, item i in the list called `lists[i]`.
    ///
    /// # Errors
    /// Not as many names as grades, or a grade that is negative or not finite.
    pub fn new(relevance: Vec<f32>, lists: &[usize]) -> Result<Self> {
        if lists.len() != relevance.len() {
            let (grades, lists) = (relevance.len(), lists.len());
            return Err(Error::data(msg::GradesAndLists { grades, lists }));
        }
        if let Some(row) = relevance.iter().position(|grade| !(grade.is_finite() && *grade >= 0.0)) {
            return Err(Error::data(msg::GradeInvalid { got: relevance[row] }).row(row + 1));
        }
        let mut places = HashMap::new();
        let mut items: Vec<Vec<usize>> = Vec::new();
        for (item, list) in lists.iter().enumerate() {
            let place = *places.entry(list).or_insert(items.len());
            if place == items.len() {
                items.push(Vec::new());
            }
            items[place].push(item);
        }
        Ok(Self { relevance, items })
    }

    /// The grades, an item each.
    pub fn relevance(&self) -> &[f32] {
        &self.relevance
    }

    /// How many lists there are.
    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// How many lists have an item with a grade above 0: those that count in [`softmax`].
    pub fn with_relevant(&self) -> usize {
        self.items
            .iter()
            .filter(|items| self.grades(items).any(|grade| grade > 0.0))
            .count()
    }

    /// All pairs (better, worse) of items of one list whose grades differ.
    pub fn pairs(&self) -> Vec<(usize, usize)> {
        let better = |a: usize, b: usize| self.relevance[a] > self.relevance[b];
        let of_list = |items: &Vec<usize>| -> Vec<(usize, usize)> {
            let all = items.iter().flat_map(|a| items.iter().map(|b| (*a, *b)));
            all.filter(|(a, b)| better(*a, *b)).collect()
        };
        self.items.iter().flat_map(of_list).collect()
    }

    fn grades(&self, items: &[usize]) -> impl Iterator<Item = f64> {
        items.iter().map(|item| f64::from(self.relevance[*item]))
    }

    /// Scores \[items\] → \[lists, longest list\], short lists filled with what no softmax sees.
    fn grid(&self, scores: Tensor<1>) -> Tensor<2> {
        let (lists, longest) = (self.items.len(), self.longest());
        let mut places = vec![0; lists * longest];
        let mut padding = vec![-1e30; lists * longest];
        for (list, items) in self.items.iter().enumerate() {
            for (i, item) in items.iter().enumerate() {
                places[list * longest + i] = *item;
                padding[list * longest + i] = 0.0;
            }
        }
        let padding = constant(padding, [lists, longest], &scores.device());
        chosen(scores, &places).reshape([lists, longest]) + padding
    }

    fn longest(&self) -> usize {
        self.items.iter().map(Vec::len).max().unwrap_or(0)
    }

    /// −scale · Σ over lists and items of weight · log softmax(scores), the weights of a list made from its grades.
    fn against(&self, scores: Tensor<1>, weights: impl Fn(Vec<f64>) -> Vec<f64>, scale: f64) -> Result<Tensor<1>> {
        self.check(&scores)?;
        if self.items.is_empty() {
            return Ok(scores.sum());
        }
        let longest = self.longest();
        let mut coefficients = vec![0.0; self.items.len() * longest];
        for (row, items) in coefficients.chunks_mut(longest).zip(&self.items) {
            let weights = weights(self.grades(items).collect());
            row.iter_mut()
                .zip(weights)
                .for_each(|(place, weight)| *place = (scale * weight) as f32);
        }
        let coefficients = constant(coefficients, [self.items.len(), longest], &scores.device());
        Ok((log_softmax(self.grid(scores)) * coefficients).sum().neg())
    }

    fn check(&self, scores: &Tensor<1>) -> Result<()> {
        let [found] = scores.dims();
        if found == self.relevance.len() {
            return Ok(());
        }
        let (scores, items) = (found, self.relevance.len());
        Err(Error::data(msg::ScoresForItems { scores, items }))
    }
}

/// RankNet (Burges et al., 2005): scale · Σ over pairs (better, worse) of log(1 + exp(−σ·(s_better − s_worse))), scores
/// \[items\]. The mean is obtained with a scale of one over the pairs; see [`Lists::pairs`].
///
/// # Errors
/// A pair names an item that is not there.
pub fn ranknet(scores: Tensor<1>, pairs: &[(usize, usize)], sigma: f64, scale: f64) -> Result<Tensor<1>> {
    Ok(match differences(scores, pairs)? {
        Differences::None(nothing) => nothing,
        Differences::Of(difference) => softplus(difference * -sigma).sum() * scale,
    })
}

/// Margin ranking: scale · Σ over pairs (better, worse) of max(0, margin − (s_better − s_worse)), scores \[items\]. The
/// mean is obtained with a scale of one over the pairs.
///
/// # Errors
/// A pair names an item that is not there.
pub fn margin(scores: Tensor<1>, pairs: &[(usize, usize)], margin: f64, scale: f64) -> Result<Tensor<1>> {
    Ok(match differences(scores, pairs)? {
        Differences::None(nothing) => nothing,
        Differences::Of(difference) => (difference.neg() + margin).clamp_min(0.0).sum() * scale,
    })
}

/// ListNet, top-one (Cao et al., 2007): −scale · Σ over lists of Σ_j softmax(grades)_j · log softmax(scores)_j. The mean is
/// obtained with a scale of one over [`Lists::count`]; a list of one item is 0.
///
/// # Errors
/// Not as many scores as items.
pub fn listnet(scores: Tensor<1>, lists: &Lists, scale: f64) -> Result<Tensor<1>> {
    let softmax = |grades: Vec<f64>| {
        let most = grades.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = grades.iter().map(|grade| (grade - most).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    };
    lists.against(scores, softmax, scale)
}

/// Softmax cross-entropy: −scale · Σ over lists of Σ_j grade_j / Σ grades · log softmax(scores)_j. With one relevant item a
/// list it is −log softmax(scores) of that item. Lists without a grade above 0 do not count: the mean is obtained with a scale
/// of one over [`Lists::with_relevant`].
///
/// # Errors
/// Not as many scores as items.
pub fn softmax(scores: Tensor<1>, lists: &Lists, scale: f64) -> Result<Tensor<1>> {
    let shares = |grades: Vec<f64>| {
        let sum: f64 = grades.iter().sum();
        let share = |grade| if sum > 0.0 { grade / sum } else { 0.0 };
        grades.into_iter().map(share).collect()
    };
    lists.against(scores, shares, scale)
}

/// Scores of the better minus scores of the worse, \[pairs\]; a 0 that hangs on the scores where there are no pairs.
enum Differences {
    None(Tensor<1>),
    Of(Tensor<1>),
}

fn differences(scores: Tensor<1>, pairs: &[(usize, usize)]) -> Result<Differences> {
    let [items] = scores.dims();
    if let Some((a, b)) = pairs.iter().find(|(a, b)| *a.max(b) >= items) {
        return Err(Error::data(msg::PairOutside { a, b, items }));
    }
    if pairs.is_empty() {
        return Ok(Differences::None((scores * 0.0).sum()));
    }
    let (better, worse): (Vec<usize>, Vec<usize>) = pairs.iter().copied().unzip();
    Ok(Differences::Of(
        chosen(scores.clone(), &better) - chosen(scores, &worse),
    ))
}

/// The scores at `places`.
fn chosen(scores: Tensor<1>, places: &[usize]) -> Tensor<1> {
    let indices: Vec<i32> = places.iter().map(|place| *place as i32).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [places.len()]), &scores.device());
    scores.select(0, indices)
}
