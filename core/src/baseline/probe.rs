//! What a frozen model's vectors know already: the nearest class mean, and a linear probe.

use crate::error::{Error, Result};
use lorakeet_i18n::messages::metrics as msg;

/// One vector a row, all of one width, finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    width: usize,
    values: Vec<f32>,
    /// Whether what is learnt of them is 0 where they are.
    through_origin: bool,
}

impl Features {
    /// Vectors of `width` numbers, row after row.
    ///
    /// # Errors
    /// No numbers, no whole rows, or a number that is not finite.
    pub fn new(values: Vec<f32>, width: usize) -> Result<Self> {
        if width == 0 || values.is_empty() || !values.len().is_multiple_of(width) {
            let numbers = values.len();
            return Err(Error::data(msg::NotRows { numbers, width }));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::data(msg::VectorNotFinite { got: values[at] }).row(at / width + 1));
        }
        Ok(Self {
            width,
            values,
            through_origin: false,
        })
    }

    /// The same for a linear without a bias: a probe of them has no intercept.
    #[must_use]
    pub fn through_origin(self) -> Self {
        Self {
            through_origin: true,
            ..self
        }
    }

    /// How many vectors, at least one.
    pub fn rows(&self) -> usize {
        self.values.len() / self.width
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..][..self.width]
    }

    fn check_rows(&self, found: usize) -> Result<()> {
        if found == self.rows() {
            return Ok(());
        }
        let (answers, vectors) = (found, self.rows());
        Err(Error::data(msg::AnswersForVectors { answers, vectors }))
    }

    fn check_width(&self, wanted: usize) -> Result<()> {
        if self.width == wanted {
            return Ok(());
        }
        let (width, learnt) = (self.width, wanted);
        Err(Error::data(msg::OtherWidthLearnt { width, learnt }))
    }
}

/// The class whose mean vector is nearest (Euclidean); of several, the lowest.
#[derive(Debug, Clone, PartialEq)]
pub struct NearestCentroid {
    /// Of each class that has rows, its number and its mean.
    means: Vec<(usize, Vec<f64>)>,
    width: usize,
}

impl NearestCentroid {
    /// The mean of each class's rows; a class without rows is never answered.
    ///
    /// # Errors
    /// Not one label a row.
    pub fn fit(features: &Features, labels: &[usize]) -> Result<Self> {
        features.check_rows(labels.len())?;
        let mut rows: Vec<usize> = (0..labels.len()).collect();
        rows.sort_by_key(|row| labels[*row]);
        let mean_of = |rows: &[usize]| {
            let mut mean = vec![0.0; features.width];
            for row in rows {
                let values = features.row(*row).iter();
                mean.iter_mut()
                    .zip(values)
                    .for_each(|(sum, value)| *sum += f64::from(*value) / rows.len() as f64);
            }
            (labels[rows[0]], mean)
        };
        Ok(Self {
            means: rows.chunk_by(|a, b| labels[*a] == labels[*b]).map(mean_of).collect(),
            width: features.width,
        })
    }

    /// A class for each row.
    ///
    /// # Errors
    /// Vectors of another width.
    pub fn predict(&self, features: &Features) -> Result<Vec<usize>> {
        features.check_width(self.width)?;
        let distance = |row: usize, mean: &[f64]| -> f64 {
            let parts = features.row(row).iter().zip(mean);
            parts.map(|(value, mean)| (f64::from(*value) - mean).powi(2)).sum()
        };
        let nearest = |row: usize| {
            let distances = self.means.iter().map(|(class, mean)| (distance(row, mean), *class));
            distances
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .map_or(0, |(_, class)| class)
        };
        Ok((0..features.rows()).map(nearest).collect())
    }
}

/// Penalties that are tried, from weak to strong; vectors are scaled to unit variance, so they mean the same everywhere.
const PENALTIES: [f64; 6] = [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0];
/// Every fifth row judges the penalties, where there are rows enough for that.
const HELD_OUT: usize = 5;
/// Rows times classes that are learnt at most: more is 128 MB.
const MOST_TARGETS: usize = 1 << 24;
/// The penalty where there are not.
const USUAL_PENALTY: f64 = 1.0;

/// Ridge regression (Hoerl and Kennard, 1970) on vectors: w = (XᵀX/n + λI)⁻¹·Xᵀy/n, X and y without their means, X at unit
/// variance.
///
/// λ is the one of a grid that predicts every fifth row best from the others, by squared error. Classes are regressed on as
/// indicators, 1 for rows of the class and 0 for others, and the largest output is the answer. The equation is solved by
/// Cholesky's method in f64, in the smaller of its two forms: the time grows with n·C·min(n, C), and with min(n, C)³.
///
/// Of vectors that go [through the origin](Features::through_origin) X and y keep their means, and X has a mean square of 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    means: Vec<f64>,
    /// 1 / standard deviation; 0 for numbers that never change.
    scales: Vec<f64>,
    /// An intercept and weights, width + 1, for each output.
    outputs: Vec<(f64, Vec<f64>)>,
    /// λ.
    penalty: f64,
    /// The rows that λ was chosen by, with what was answered to them by a probe of the others.
    judged: Vec<(usize, Vec<f64>)>,
}

impl Probe {
    /// Learns numbers, one a row.
    ///
    /// # Errors
    /// Not one finite number a row.
    pub fn numbers(features: &Features, targets: &[f64]) -> Result<Self> {
        Self::fit(features, vec![targets.to_vec()])
    }

    /// Learns classes, one a row, each below `classes`.
    ///
    /// # Errors
    /// Not one class a row, one that is not below `classes`, or more than 2²⁴ rows times classes.
    pub fn classes(features: &Features, labels: &[usize], classes: usize) -> Result<Self> {
        if labels.len().saturating_mul(classes) > MOST_TARGETS {
            let rows = labels.len();
            return Err(Error::data(msg::TooMuchForProbe { rows, classes }));
        }
        if let Some(row) = labels.iter().position(|label| *label >= classes) {
            let class = labels[row];
            return Err(Error::data(msg::ClassTooHigh { class, classes }).row(row + 1));
        }
        let of = |class| {
            labels
                .iter()
                .map(|label| f64::from(u8::from(*label == class)))
                .collect()
        };
        Self::fit(features, (0..classes).map(of).collect())
    }

    /// Which penalty was chosen.
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    /// The rows that the penalty was chosen by, with what was answered to them by a probe of the others; none where rows were few.
    pub fn judged(&self) -> &[(usize, Vec<f64>)] {
        &self.judged
    }

    /// An intercept and weights for vectors as they are, for each output.
    pub fn linear(&self) -> Vec<(f64, Vec<f64>)> {
        let of = |(intercept, weights): &(f64, Vec<f64>)| {
            let weights: Vec<f64> = weights.iter().zip(&self.scales).map(|(w, scale)| w * scale).collect();
            (intercept - dot(&weights, &self.means), weights)
        };
        self.outputs.iter().map(of).collect()
    }

    /// A number for each row, of a probe that learnt numbers.
    ///
    /// # Errors
    /// Vectors of another width.
    pub fn predict(&self, features: &Features) -> Result<Vec<f64>> {
        Ok(self.answers(features)?.into_iter().map(|answers| answers[0]).collect())
    }

    /// A class for each row, of a probe that learnt classes; of several with the largest output, the lowest.
    ///
    /// # Errors
    /// Vectors of another width.
    pub fn predict_classes(&self, features: &Features) -> Result<Vec<usize>> {
        let largest = |answers: Vec<f64>| {
            let answers = answers.into_iter().enumerate();
            // Of equal ones `max_by` takes the last.
            answers
                .rev()
                .max_by(|a, b| a.1.total_cmp(&b.1))
                .map_or(0, |(class, _)| class)
        };
        Ok(self.answers(features)?.into_iter().map(largest).collect())
    }

    fn answers(&self, features: &Features) -> Result<Vec<Vec<f64>>> {
        features.check_width(self.means.len())?;
        Ok((0..features.rows()).map(|row| self.answer(features, row)).collect())
    }

    fn answer(&self, features: &Features, row: usize) -> Vec<f64> {
        let scaled = scaled(features.row(row), &self.means, &self.scales);
        let answer = |(intercept, weights): &(f64, Vec<f64>)| intercept + dot(&scaled, weights);
        self.outputs.iter().map(answer).collect()
    }

    fn fit(features: &Features, targets: Vec<Vec<f64>>) -> Result<Self> {
        if targets.is_empty() {
            return Err(Error::data(msg::NoClassesToLearn));
        }
        for target in &targets {
            features.check_rows(target.len())?;
            if let Some(row) = target.iter().position(|value| !value.is_finite()) {
                return Err(Error::data(msg::TargetNotFinite { got: target[row] }).row(row + 1));
            }
        }
        let all: Vec<usize> = (0..features.rows()).collect();
        if all.len() < 2 * HELD_OUT {
            return System::new(features, &targets, &all).solved(USUAL_PENALTY);
        }
        let (held_out, kept): (Vec<usize>, Vec<usize>) = all.iter().partition(|row| *row % HELD_OUT == HELD_OUT - 1);
        let trial = System::new(features, &targets, &kept);
        let mut best = (f64::INFINITY, USUAL_PENALTY, Vec::new());
        for penalty in PENALTIES {
            let probe = trial.solved(penalty)?;
            let answers: Vec<_> = held_out
                .iter()
                .map(|row| (*row, probe.answer(features, *row)))
                .collect();
            let error = squared_error(&answers, &targets);
            if error < best.0 {
                best = (error, penalty, answers);
            }
        }
        let (_, penalty, judged) = best;
        let probe = System::new(features, &targets, &all).solved(penalty)?;
        Ok(Self { judged, ..probe })
    }
}

/// Over rows with what was answered to them.
fn squared_error(answers: &[(usize, Vec<f64>)], targets: &[Vec<f64>]) -> f64 {
    let mut sum = 0.0;
    for (row, answers) in answers {
        for (answer, target) in answers.iter().zip(targets) {
            sum += (answer - target[*row]).powi(2);
        }
    }
    sum
}

/// Rows that are learnt from, ready to be solved for any penalty.
struct System {
    means: Vec<f64>,
    scales: Vec<f64>,
    /// The rows, scaled.
    rows: Vec<Vec<f64>>,
    /// The mean of each output, and what its rows differ from it.
    targets: Vec<(f64, Vec<f64>)>,
    /// XᵀX/n, or XXᵀ/n where there are fewer rows than numbers in one.
    products: Vec<Vec<f64>>,
}

impl System {
    fn new(features: &Features, targets: &[Vec<f64>], rows: &[usize]) -> Self {
        let (count, width) = (rows.len() as f64, features.width);
        let (mut means, mut scales) = (vec![0.0; width], vec![0.0; width]);
        let centred = !features.through_origin;
        for row in rows.iter().filter(|_| centred) {
            means
                .iter_mut()
                .zip(features.row(*row))
                .for_each(|(sum, value)| *sum += f64::from(*value) / count);
        }
        for row in rows {
            let values = features.row(*row).iter().zip(&means);
            let squares = values.map(|(value, mean)| (f64::from(*value) - mean).powi(2) / count);
            scales.iter_mut().zip(squares).for_each(|(sum, square)| *sum += square);
        }
        for (scale, mean) in scales.iter_mut().zip(&means) {
            // What never changes differs from its mean by rounding at most.
            let changes = scale.sqrt() > 1e-12 * mean.abs();
            *scale = if changes { 1.0 / scale.sqrt() } else { 0.0 };
        }
        let scaled: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| scaled(features.row(*row), &means, &scales))
            .collect();
        let targets = targets.iter().map(|target| {
            let mean = match centred {
                true => rows.iter().map(|row| target[*row]).sum::<f64>() / count,
                false => 0.0,
            };
            (mean, rows.iter().map(|row| target[*row] - mean).collect())
        });
        let targets = targets.collect();
        let vectors = if scaled.len() < width {
            scaled.clone()
        } else {
            transposed(&scaled, width)
        };
        let product = |i: usize| (0..=i).map(|j| dot(&vectors[i], &vectors[j]) / count).collect();
        let products = (0..vectors.len()).map(product).collect();
        Self {
            means,
            scales,
            rows: scaled,
            targets,
            products,
        }
    }

    fn solved(&self, penalty: f64) -> Result<Probe> {
        let factor = cholesky(&self.products, penalty)?;
        let (count, width) = (self.rows.len() as f64, self.means.len());
        let outputs = self.targets.iter().map(|(mean, differences)| {
            let weights = if self.rows.len() < width {
                // w = Xᵀ·(XXᵀ/n + λI)⁻¹·y/n
                combined(&self.rows, &solve(&factor, differences), width, count)
            } else {
                solve(&factor, &combined(&self.rows, differences, width, count))
            };
            (*mean, weights)
        });
        Ok(Probe {
            means: self.means.clone(),
            scales: self.scales.clone(),
            outputs: outputs.collect(),
            penalty,
            judged: Vec::new(),
        })
    }
}

fn scaled(row: &[f32], means: &[f64], scales: &[f64]) -> Vec<f64> {
    let parts = row.iter().zip(means).zip(scales);
    parts
        .map(|((value, mean), scale)| (f64::from(*value) - mean) * scale)
        .collect()
}

fn transposed(rows: &[Vec<f64>], width: usize) -> Vec<Vec<f64>> {
    (0..width)
        .map(|column| rows.iter().map(|row| row[column]).collect())
        .collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Σ over rows of factor · row, over `count`.
fn combined(rows: &[Vec<f64>], factors: &[f64], width: usize, count: f64) -> Vec<f64> {
    let mut sum = vec![0.0; width];
    for (row, factor) in rows.iter().zip(factors) {
        sum.iter_mut()
            .zip(row)
            .for_each(|(sum, value)| *sum += factor * value / count);
    }
    sum
}

/// L of matrix + penalty·I = L·Lᵀ, both lower triangles, row by row.
fn cholesky(matrix: &[Vec<f64>], penalty: f64) -> Result<Vec<Vec<f64>>> {
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(matrix.len());
    for (i, source) in matrix.iter().enumerate() {
        let mut row = Vec::with_capacity(i + 1);
        for j in 0..i {
            let above: &[f64] = &factor[j];
            row.push((source[j] - dot(&row[..j], &above[..j])) / above[j]);
        }
        let rest = source[i] + penalty - dot(&row, &row);
        if rest.is_nan() || rest <= 0.0 {
            return Err(Error::internal(msg::EquationsNotPositive { place: i, rest }));
        }
        row.push(rest.sqrt());
        factor.push(row);
    }
    Ok(factor)
}

/// x of L·Lᵀ·x = b.
fn solve(factor: &[Vec<f64>], b: &[f64]) -> Vec<f64> {
    let mut x = Vec::with_capacity(b.len());
    for (row, b) in factor.iter().zip(b) {
        x.push((b - dot(row, &x)) / row[x.len()]);
    }
    for i in (0..x.len()).rev() {
        x[i] /= factor[i][i];
        let (before, here) = x.split_at_mut(i);
        before
            .iter_mut()
            .zip(&factor[i])
            .for_each(|(x, part)| *x -= here[0] * part);
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Generator;

    fn features(rows: &[&[f32]]) -> Features {
        Features::new(rows.concat(), rows[0].len()).expect("rows")
    }

    fn random(rows: usize, width: usize, generator: &mut Generator) -> Features {
        let values = (0..rows * width).map(|_| generator.normal() as f32).collect();
        Features::new(values, width).expect("rows")
    }

    #[test]
    fn the_nearest_mean_decides_and_a_class_without_rows_never_does() {
        let known = features(&[&[0.0, 0.0], &[2.0, 0.0], &[10.0, 10.0]]);
        let centroids = NearestCentroid::fit(&known, &[1, 1, 4]).expect("labels");
        let asked = features(&[&[1.0, 1.0], &[9.0, 9.0], &[5.5, 5.0]]);
        assert_eq!(centroids.predict(&asked), Ok(vec![1, 4, 1]));
        assert!(centroids.predict(&features(&[&[1.0]])).is_err());
        assert!(NearestCentroid::fit(&known, &[1]).is_err());
    }

    #[test]
    fn ridge_of_one_number_is_the_formula() {
        // x = ±1, y = ±3 + 5: w = 3 / (1 + λ), λ = 1 for so few rows.
        let probe = Probe::numbers(&features(&[&[-1.0], &[1.0]]), &[2.0, 8.0]).expect("targets");
        assert_eq!(probe.penalty(), USUAL_PENALTY);
        let answers = probe
            .predict(&features(&[&[-1.0], &[0.0], &[3.0]]))
            .expect("one number");
        for (found, wanted) in answers.iter().zip([3.5, 5.0, 9.5]) {
            assert!((found - wanted).abs() < 1e-12, "{found} instead of {wanted}");
        }
    }

    #[test]
    fn the_solution_solves_the_equations_in_both_forms() {
        let mut generator = Generator::new(6, "probe");
        for (rows, width) in [(9, 4), (4, 9), (7, 7), (1, 3), (3, 1)] {
            let features = random(rows, width, &mut generator);
            let targets: Vec<f64> = (0..rows).map(|_| generator.normal()).collect();
            let all: Vec<usize> = (0..rows).collect();
            let system = System::new(&features, &[targets], &all);
            let probe = system.solved(0.3).expect("positive");
            let (_, weights) = &probe.outputs[0];
            // Xᵀ(Xw − y)/n + λw = 0
            let left: Vec<f64> = system
                .rows
                .iter()
                .zip(&system.targets[0].1)
                .map(|(row, target)| dot(row, weights) - target)
                .collect();
            let gradient = combined(&system.rows, &left, width, rows as f64);
            for (gradient, weight) in gradient.iter().zip(weights) {
                assert!(
                    (gradient + 0.3 * weight).abs() < 1e-10,
                    "{rows}×{width}: {gradient} {weight}"
                );
            }
        }
    }

    #[test]
    fn a_linear_rule_is_found_in_numbers_and_in_classes() {
        let mut generator = Generator::new(7, "probe");
        let (known, asked) = (random(200, 6, &mut generator), random(50, 6, &mut generator));
        let rule = |features: &Features| -> Vec<f64> {
            let of = |row: &[f32]| 4.0 + 2.0 * f64::from(row[0]) - f64::from(row[3]);
            (0..features.rows()).map(|row| of(features.row(row))).collect()
        };
        let probe = Probe::numbers(&known, &rule(&known)).expect("targets");
        assert_eq!(probe.penalty(), PENALTIES[0]);
        let error = crate::metrics::regression::rmse(&rule(&asked), &probe.predict(&asked).expect("numbers"));
        assert!(error.clone().is_ok_and(|error| error < 0.01), "{error:?}");

        let classes = |features: &Features| -> Vec<usize> {
            let of = |row: &[f32]| (0..3).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap_or(0);
            (0..features.rows()).map(|row| of(features.row(row))).collect()
        };
        let probe = Probe::classes(&known, &classes(&known), 3).expect("labels");
        let answers = probe.predict_classes(&asked).expect("vectors");
        let right = answers.iter().zip(classes(&asked)).filter(|(a, b)| *a == b).count();
        assert!(right >= 45, "{right} of 50");
    }

    #[test]
    fn noise_gets_a_strong_penalty_and_constants_get_no_weight() {
        let mut generator = Generator::new(8, "probe");
        let noise: Vec<f64> = (0..60).map(|_| generator.normal()).collect();
        let probe = Probe::numbers(&random(60, 100, &mut generator), &noise).expect("targets");
        assert!(probe.penalty() >= 10.0, "{}", probe.penalty());
        let constant = Features::new([3.3, 0.1].repeat(12), 2).expect("rows");
        let probe = Probe::numbers(&constant, &[7.0; 12]).expect("targets");
        assert_eq!(probe.predict(&features(&[&[-40.0, 40.0]])), Ok(vec![7.0]));
    }

    #[test]
    fn a_probe_is_a_linear_of_the_vectors_as_they_are() {
        let mut generator = Generator::new(9, "probe");
        let (known, asked) = (random(40, 5, &mut generator), random(7, 5, &mut generator));
        let targets: Vec<f64> = (0..40).map(|_| 3.0 + generator.normal()).collect();
        for known in [known.clone(), known.through_origin()] {
            let has_bias = !known.through_origin;
            let probe = Probe::numbers(&known, &targets).expect("targets");
            let (bias, weights) = probe.linear().remove(0);
            assert_eq!(bias != 0.0, has_bias, "{bias}");
            for (row, answer) in probe.predict(&asked).expect("numbers").into_iter().enumerate() {
                let values: Vec<f64> = asked.row(row).iter().map(|value| f64::from(*value)).collect();
                let found = bias + dot(&values, &weights);
                assert!((found - answer).abs() < 1e-12, "{found} instead of {answer}");
            }
            let judged: Vec<usize> = probe.judged().iter().map(|(row, _)| *row).collect();
            assert_eq!(judged, [4, 9, 14, 19, 24, 29, 34, 39]);
        }
        let few = Probe::numbers(&asked, &targets[..7]).expect("targets");
        assert!(few.judged().is_empty());
    }

    #[test]
    fn input_that_cannot_be_learnt_from_is_refused() {
        assert!(Features::new(vec![1.0; 3], 2).is_err());
        assert!(Features::new(Vec::new(), 2).is_err());
        assert!(Features::new(vec![1.0, f32::INFINITY], 2).is_err());
        let known = features(&[&[0.0], &[1.0]]);
        assert!(Probe::numbers(&known, &[1.0]).is_err());
        assert!(Probe::numbers(&known, &[1.0, f64::NAN]).is_err());
        assert!(Probe::classes(&known, &[0, 2], 2).is_err());
        assert!(Probe::classes(&known, &[], 0).is_err());
        assert!(Probe::classes(&known, &[0, 1], usize::MAX).is_err());
    }
}
