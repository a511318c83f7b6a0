//! Losses of vectors: InfoNCE with the batch's other documents as negatives, and triplets.

use super::Distance;
use super::classification::cross_entropy;
use crate::error::{Error, Result};
use burn::tensor::Tensor;
use lorakeet_i18n::messages::metrics as msg;

/// The smallest length, squared, that a vector is divided by: 10⁻¹², as torch's `normalize` has it.
const SMALLEST_SQUARE: f64 = 1e-24;
/// What torch's `pairwise_distance` adds to each part of a difference.
const NUDGE: f64 = 1e-6;

/// InfoNCE (van den Oord et al., 2018) with in-batch negatives: queries and documents \[N, C\], document i belongs to query i.
///
/// scale · Σᵢ −log softmaxⱼ(cos(qᵢ, dⱼ) / τ)ᵢ, j over all documents and then all `negatives` \[N, C\] of the batch. With
/// `symmetric` it is the mean of this and of the same from each document over all queries. The mean is obtained with a scale of
/// 1 / N.
///
/// # Errors
/// Not as many documents as queries, or vectors of different widths.
pub fn info_nce(
    queries: Tensor<2>,
    documents: Tensor<2>,
    negatives: Option<Tensor<2>>,
    temperature: f64,
    symmetric: bool,
    scale: f64,
) -> Result<Tensor<1>> {
    check_shapes(&queries, &documents)?;
    let [rows, width] = queries.dims();
    if let Some(negatives) = &negatives {
        let [_, found] = negatives.dims();
        check_width(width, found)?;
    }
    let own: Vec<i32> = (0..rows).map(|row| row as i32).collect();
    let candidates = match negatives {
        Some(negatives) => Tensor::cat(vec![documents, negatives], 0),
        None => documents,
    };
    let of_queries = cosine_similarities(queries, candidates)? / temperature;
    if !symmetric {
        return cross_entropy(of_queries, &own, &[], 0.0, scale);
    }
    let of_documents = of_queries.clone().slice([0..rows, 0..rows]).transpose();
    let half = scale / 2.0;
    Ok(cross_entropy(of_queries, &own, &[], 0.0, half)? + cross_entropy(of_documents, &own, &[], 0.0, half)?)
}

/// cos(aᵢ, bⱼ) of each row of a \[N, C\] and each of b \[M, C\]: \[N, M\]. A vector of zeros is like none.
///
/// # Errors
/// Vectors of different widths.
pub fn cosine_similarities(a: Tensor<2>, b: Tensor<2>) -> Result<Tensor<2>> {
    check_width(a.dims()[1], b.dims()[1])?;
    Ok(normalized(a).matmul(normalized(b).transpose()))
}

/// cos(aᵢ, bᵢ) of rows that belong together, both \[N, C\]: \[N\]. A vector of zeros is like none.
///
/// # Errors
/// Vectors of different numbers or widths.
pub fn cosines_of_pairs(a: Tensor<2>, b: Tensor<2>) -> Result<Tensor<1>> {
    check_shapes(&a, &b)?;
    let [rows, _] = a.dims();
    Ok((normalized(a) * normalized(b)).sum_dim(1).reshape([rows]))
}

/// Triplet loss (Schroff et al., 2015): scale · Σᵢ max(0, d(aᵢ, pᵢ) − d(aᵢ, nᵢ) + margin), all \[N, C\]. The mean is obtained with a
/// scale of 1 / N.
///
/// # Errors
/// Anchors, positives and negatives of different shapes.
pub fn triplet(
    anchors: Tensor<2>,
    positives: Tensor<2>,
    negatives: Tensor<2>,
    margin: f64,
    distance: Distance,
    scale: f64,
) -> Result<Tensor<1>> {
    check_shapes(&anchors, &positives)?;
    check_shapes(&anchors, &negatives)?;
    let farther = match distance {
        Distance::Euclidean => lengths(anchors.clone() - positives + NUDGE) - lengths(anchors - negatives + NUDGE),
        Distance::Cosine => {
            let anchors = normalized(anchors);
            let cosines = |other| (anchors.clone() * normalized(other)).sum_dim(1);
            cosines(negatives) - cosines(positives)
        }
    };
    Ok((farther + margin).clamp_min(0.0).sum() * scale)
}

/// x / max(|x|, 10⁻¹²) of each row.
fn normalized(x: Tensor<2>) -> Tensor<2> {
    let lengths = lengths(x.clone());
    x / lengths
}

/// max(|x|, 10⁻¹²) of each row, \[N, C\] → \[N, 1\]. The square is bounded, not its root, whose gradient at 0 is no number.
fn lengths(x: Tensor<2>) -> Tensor<2> {
    (x.clone() * x).sum_dim(1).clamp_min(SMALLEST_SQUARE).sqrt()
}

fn check_shapes(a: &Tensor<2>, b: &Tensor<2>) -> Result<()> {
    let ([rows, width], [found, found_width]) = (a.dims(), b.dims());
    if rows != found {
        return Err(Error::data(msg::RowsAgainst { rows, found }));
    }
    check_width(width, found_width)
}

fn check_width(wanted: usize, found: usize) -> Result<()> {
    if wanted == found {
        return Ok(());
    }
    Err(Error::data(msg::WidthsDiffer { found, wanted }))
}
