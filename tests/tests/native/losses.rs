//! Losses: their gradients against finite differences of their formulas in f64, how micro-batches add up, and what becomes of
//! batches in which little is left to learn from.

mod formulas;

use burn::tensor::{Device, Tensor, TensorData};
use formulas::{by_formula, cos};
use lorakeet_core::{
    Result, device,
    loss::{
        Compared, WeightedSum, classification, contrastive,
        ranking::{self, Lists},
        regression::{self, Penalty},
    },
    protocol::DeviceChoice,
    random::Generator,
};
use lorakeet_tests::golden::block_on;

fn open(choice: DeviceChoice) -> Device {
    block_on(device::open(choice)).expect("the device opens").0
}

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    block_on(tensor.into_data_async())
        .expect("the device answers")
        .try_into_vec()
        .expect("f32")
}

fn leaf<const D: usize>(values: &[f64], shape: [usize; D], device: &Device) -> Tensor<D> {
    let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
        .autodiff()
        .require_grad()
}

/// What a batch was, in f64: outputs that are perturbed, and targets that are not.
struct Batch {
    /// The shape of each output.
    shapes: Vec<[usize; 2]>,
    outputs: Vec<Vec<f64>>,
    labels: Vec<i32>,
    targets: Vec<f32>,
    lists: Lists,
    reference: [Vec<f32>; 2],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Classes,
    Labels,
    Numbers,
    Scores,
    Vectors,
    Answers,
}

impl Batch {
    /// A random batch of `rows` rows and `columns` columns; every shape is odd somewhere.
    fn draw(kind: Kind, rows: usize, columns: usize, generator: &mut Generator) -> Self {
        let shapes = match kind {
            Kind::Classes | Kind::Labels => vec![[rows, columns]],
            Kind::Numbers | Kind::Scores => vec![[rows, 1]],
            Kind::Vectors => vec![[rows, columns]; 3],
            Kind::Answers => vec![[rows, 1]; 2],
        };
        // As f32 sees them, so that both sides start from the same numbers.
        let mut draw =
            |count: usize| -> Vec<f64> { (0..count).map(|_| f64::from(generator.normal() as f32 * 1.5)).collect() };
        let outputs = shapes.iter().map(|[rows, columns]| draw(rows * columns)).collect();
        let reference = [draw(rows), draw(rows)].map(|part| part.iter().map(|value| *value as f32).collect());
        let labels = (0..rows)
            .map(|row| {
                if row % 4 == 3 {
                    -100
                } else {
                    generator.below(columns) as i32
                }
            })
            .collect();
        let targets = match kind {
            Kind::Labels => (0..rows * columns).map(|_| generator.below(2) as f32).collect(),
            _ => (0..rows).map(|_| generator.normal() as f32).collect(),
        };
        let grades = (0..rows).map(|_| generator.below(3) as f32).collect();
        let names: Vec<usize> = (0..rows).map(|row| row % 3).collect();
        let lists = Lists::new(grades, &names).expect("grades are from 0");
        Self {
            shapes,
            outputs,
            labels,
            targets,
            lists,
            reference,
            kind,
        }
    }

    fn compared(&self, leaves: &[Tensor<2>]) -> Compared<'_> {
        let flat = |i: usize| leaves[i].clone().reshape([self.shapes[i][0]]);
        match self.kind {
            Kind::Classes => Compared::Classes {
                logits: leaves[0].clone(),
                labels: (&self.labels).into(),
            },
            Kind::Labels => Compared::Labels {
                logits: leaves[0].clone(),
                targets: (&self.targets).into(),
            },
            Kind::Numbers => Compared::Numbers {
                predicted: flat(0),
                targets: (&self.targets).into(),
            },
            Kind::Scores => Compared::Scores {
                scores: flat(0),
                lists: self.lists.clone(),
            },
            Kind::Vectors => Compared::Vectors {
                queries: leaves[0].clone(),
                documents: leaves[1].clone(),
                negatives: Some(leaves[2].clone()),
            },
            Kind::Answers => Compared::Answers {
                policy: [flat(0), flat(1)],
                reference: self.reference.clone(),
            },
        }
    }

    fn row(&self, part: usize, row: usize) -> &[f64] {
        let width = self.shapes[part][1];
        &self.outputs[part][row * width..][..width]
    }
    fn rows(&self) -> usize {
        self.shapes[0][0]
    }
}

/// Every loss on every kind of output that it is made for, with knobs away from their defaults too.
const LOSSES: [(Kind, &[&str]); 6] = [
    (
        Kind::Classes,
        &[
            "cross_entropy",
            "cross_entropy(label_smoothing=0.2, class_weights=[1, 0.5, 0, 2, 3])",
            "focal(gamma=0)",
            "focal(gamma=0.5)",
            "focal(gamma=2, alpha=[1, 0.5, 2, 0.25, 3])",
            "mse",
            "mae",
            "huber(delta=0.3)",
            "smooth_l1(beta=0.3)",
            "0.7*focal(gamma=2) + 0.3*mse",
        ],
    ),
    (
        Kind::Labels,
        &[
            "bce",
            "bce(pos_weight=3)",
            "bce(pos_weight=[1, 2, 0.5, 3, 4])",
            "focal(gamma=0)",
            "focal(gamma=2, alpha=0.25)",
            "mse",
            "huber(delta=0.4)",
        ],
    ),
    (
        Kind::Numbers,
        &[
            "mse",
            "mae",
            "huber(delta=0.7)",
            "smooth_l1(beta=0.5)",
            "0.5*mse + 2*mae",
        ],
    ),
    (
        Kind::Scores,
        &[
            "ranknet(sigma=0.7)",
            "margin(margin=0.5)",
            "listnet",
            "softmax",
            "bce(pos_weight=2)",
            "mse",
            "ranknet + 0.2*listnet",
        ],
    ),
    (
        Kind::Vectors,
        &[
            "infonce(temperature=0.3)",
            "infonce(temperature=0.3, symmetric=true)",
            "triplet(margin=0.4)",
            "triplet(margin=0.4, distance=cosine)",
        ],
    ),
    (Kind::Answers, &["dpo(beta=0.3)", "dpo(beta=0.3, label_smoothing=0.2)"]),
];

fn gradients_are_finite_differences(choice: DeviceChoice, shapes: &[(usize, usize)]) {
    let device = open(choice);
    let mut generator = Generator::new(9, "losses");
    for (kind, losses) in LOSSES {
        for text in losses {
            for (rows, columns) in shapes {
                let sum = WeightedSum::parse(text).unwrap_or_else(|error| panic!("{error}"));
                let mut batch = Batch::draw(kind, *rows, *columns, &mut generator);
                let formula = |batch: &Batch| -> f64 {
                    sum.terms()
                        .iter()
                        .map(|term| term.weight * by_formula(&term.loss, batch))
                        .sum()
                };
                let leaves: Vec<Tensor<2>> = batch
                    .outputs
                    .iter()
                    .zip(&batch.shapes)
                    .map(|(values, shape)| leaf(values, *shape, &device))
                    .collect();
                let compared = batch.compared(&leaves);
                let counts = sum.counts(&compared).unwrap_or_else(|error| panic!("{error}"));
                let value = sum
                    .evaluate(&compared, &counts)
                    .unwrap_or_else(|error| panic!("{error}"));
                drop(compared);
                let gradients = value.backward();
                let (found, wanted) = (f64::from(values(value)[0]), formula(&batch));
                let close = |found: f64, wanted: f64| (found - wanted).abs() <= 2e-6 + 1e-5 * wanted.abs();
                assert!(
                    close(found, wanted),
                    "{text}, {rows}×{columns}: {found} instead of {wanted}"
                );
                for (part, leaf) in leaves.iter().enumerate() {
                    let found = match leaf.grad(&gradients) {
                        Some(gradient) => values(gradient),
                        None => vec![0.0; batch.outputs[part].len()],
                    };
                    for (i, found) in found.iter().enumerate() {
                        let (here, step) = (batch.outputs[part][i], 1e-5);
                        batch.outputs[part][i] = here + step;
                        let above = formula(&batch);
                        batch.outputs[part][i] = here - step;
                        let below = formula(&batch);
                        batch.outputs[part][i] = here;
                        let wanted = (above - below) / (2.0 * step);
                        assert!(
                            close(f64::from(*found), wanted),
                            "{text}, {rows}×{columns}: gradient {i} of {part} is {found} instead of {wanted}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_are_finite_differences_of_the_formulas_on_the_cpu() {
    gradients_are_finite_differences(DeviceChoice::Cpu, &[(7, 5), (1, 5), (13, 5), (2, 5)]);
}

#[test]
fn gradients_are_finite_differences_of_the_formulas_on_the_gpu() {
    gradients_are_finite_differences(DeviceChoice::Gpu, &[(7, 5)]);
}

#[test]
fn the_cosine_of_a_pair_has_the_gradient_of_its_formula() {
    let mut generator = Generator::new(31, "losses");
    let cases = [
        (DeviceChoice::Cpu, (1, 1)),
        (DeviceChoice::Cpu, (7, 5)),
        (DeviceChoice::Gpu, (3, 33)),
    ];
    for (choice, (rows, columns)) in cases {
        let device = open(choice);
        let mut draw = || -> Vec<f64> { (0..rows * columns).map(|_| generator.normal()).collect() };
        let mut both = [draw(), draw()];
        let targets: Vec<f32> = (0..rows).map(|row| row as f32 / rows as f32).collect();
        let formula = |both: &[Vec<f64>; 2]| -> f64 {
            let pairs = both[0].chunks(columns).zip(both[1].chunks(columns));
            let errors = pairs
                .zip(&targets)
                .map(|((a, b), target)| (cos(a, b) - f64::from(*target)).powi(2));
            errors.sum::<f64>() / rows as f64
        };
        let leaves = [0, 1].map(|part: usize| leaf(&both[part], [rows, columns], &device));
        let cosines = contrastive::cosines_of_pairs(leaves[0].clone(), leaves[1].clone()).expect("they are pairs");
        let value = regression::regression(cosines, &targets, Penalty::Square, 1.0 / rows as f64).expect("they fit");
        let gradients = value.backward();
        let close = |found: f64, wanted: f64| (found - wanted).abs() <= 2e-6 + 1e-5 * wanted.abs();
        let (found, wanted) = (f64::from(values(value)[0]), formula(&both));
        assert!(close(found, wanted), "{rows}×{columns}: {found} instead of {wanted}");
        for (part, leaf) in leaves.iter().enumerate() {
            let found = values(leaf.grad(&gradients).expect("a gradient"));
            for (i, found) in found.iter().enumerate() {
                let (here, step) = (both[part][i], 1e-5);
                both[part][i] = here + step;
                let above = formula(&both);
                both[part][i] = here - step;
                let wanted = (above - formula(&both)) / (2.0 * step);
                both[part][i] = here;
                assert!(
                    close(f64::from(*found), wanted),
                    "{rows}×{columns}: gradient {i} of {part} is {found} instead of {wanted}"
                );
            }
        }
    }
}

#[test]
fn micro_batches_add_up_to_the_large_batch() {
    let device = open(DeviceChoice::Cpu);
    let sum = WeightedSum::parse("cross_entropy(class_weights=[1, 2, 3, 4, 5]) + 0.5*focal + mse").expect("a loss");
    let batch = Batch::draw(Kind::Classes, 7, 5, &mut Generator::new(3, "losses"));
    let part = |rows: std::ops::Range<usize>| {
        let logits = leaf(
            &batch.outputs[0][rows.start * 5..rows.end * 5],
            [rows.len(), 5],
            &device,
        );
        Compared::Classes {
            logits,
            labels: batch.labels[rows].into(),
        }
    };
    let (whole, parts) = (part(0..7), [part(0..3), part(3..4), part(4..7)]);
    let counts = sum.counts(&whole).expect("it fits");
    let added = parts.iter().map(|part| sum.counts(part).expect("it fits"));
    let added = added.reduce(|a, b| a.iter().zip(b).map(|(a, b)| a + b).collect());
    assert_eq!(added, Some(counts.clone()));
    let value = |part: &Compared| values(sum.evaluate(part, &counts).expect("it fits"))[0];
    let difference = (value(&whole) - parts.iter().map(value).sum::<f32>()).abs();
    assert!(difference < 1e-5, "{difference}");
}

#[test]
fn a_batch_in_which_nothing_counts_gives_0_and_no_gradient() {
    let device = open(DeviceChoice::Cpu);
    for text in ["cross_entropy", "focal(gamma=0.5)", "mse"] {
        let sum = WeightedSum::parse(text).expect("a loss");
        let logits = leaf(&[1.0, -2.0, 3.0, 4.0], [2, 2], &device);
        let compared = Compared::Classes {
            logits: logits.clone(),
            labels: vec![-100, -100].into(),
        };
        let value = sum
            .evaluate(&compared, &sum.counts(&compared).expect("it fits"))
            .expect("it fits");
        let gradients = value.backward();
        assert_eq!(values(value), [0.0], "{text}");
        assert_eq!(values(logits.grad(&gradients).expect("a gradient")), [0.0; 4], "{text}");
    }
    for text in ["ranknet", "margin", "softmax"] {
        let sum = WeightedSum::parse(text).expect("a loss");
        let scores = leaf(&[1.0, -2.0], [2], &device);
        let lists = Lists::new(vec![0.0, 0.0], &[0, 0]).expect("grades");
        let compared = Compared::Scores {
            scores: scores.clone(),
            lists,
        };
        let value = sum
            .evaluate(&compared, &sum.counts(&compared).expect("it fits"))
            .expect("it fits");
        let gradients = value.backward();
        assert_eq!(values(value), [0.0], "{text}");
        assert_eq!(values(scores.grad(&gradients).expect("a gradient")), [0.0; 2], "{text}");
    }
}

#[test]
fn a_head_of_zeros_learns_and_extremes_stay_finite() {
    let device = open(DeviceChoice::Cpu);
    let grades = Lists::new(vec![1.0, 0.0], &[0, 0]).expect("grades");
    for (text, scores) in [
        ("ranknet", [0.0, 0.0]),
        ("ranknet", [-300.0, 300.0]),
        ("listnet", [0.0, 0.0]),
    ] {
        let sum = WeightedSum::parse(text).expect("a loss");
        let scores = leaf(&scores, [2], &device);
        let compared = Compared::Scores {
            scores: scores.clone(),
            lists: grades.clone(),
        };
        let value = sum
            .evaluate(&compared, &sum.counts(&compared).expect("it fits"))
            .expect("it fits");
        let gradient = values(scores.grad(&value.backward()).expect("a gradient"));
        assert!(gradient[0] < -0.1 && gradient[1] > 0.1, "{text}: {gradient:?}");
    }
    for text in [
        "focal(gamma=0)",
        "focal(gamma=0.1)",
        "focal(gamma=20)",
        "cross_entropy(label_smoothing=0.1)",
    ] {
        let sum = WeightedSum::parse(text).expect("a loss");
        for logits in [[500.0, -500.0], [-500.0, 500.0], [0.0, 0.0]] {
            let logits = leaf(&logits, [1, 2], &device);
            let compared = Compared::Classes {
                logits: logits.clone(),
                labels: vec![0].into(),
            };
            let value = sum.evaluate(&compared, &[1.0]).expect("it fits");
            let gradients = values(logits.grad(&value.backward()).expect("a gradient"));
            let all_finite = gradients.iter().chain(&values(value)).all(|value| value.is_finite());
            assert!(all_finite, "{text}: {gradients:?}");
        }
    }
    let zeros = [leaf(&[0.0; 3], [1, 3], &device), leaf(&[0.0; 3], [1, 3], &device)];
    let [query, document] = zeros.clone();
    let value = contrastive::info_nce(query, document, None, 0.05, true, 1.0).expect("shapes fit");
    let gradient = values(zeros[0].grad(&value.backward()).expect("a gradient"));
    assert!(gradient.iter().all(|value| value.is_finite()), "{gradient:?}");
}

#[test]
fn targets_that_fit_no_output_are_refused_in_words() {
    let device = open(DeviceChoice::Cpu);
    let logits = || leaf(&[0.0; 6], [2, 3], &device);
    let says = |result: Result<Tensor<1>>, words: &str| {
        let error = result.expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    };
    says(
        classification::cross_entropy(logits(), &[0, 3], &[], 0.0, 1.0),
        "row 2: label 3, and there are 3 classes",
    );
    says(
        classification::cross_entropy(logits(), &[0], &[], 0.0, 1.0),
        "1 labels for 2 rows",
    );
    says(classification::focal(logits(), &[0, -1], &[], 2.0, 1.0), "label -1");
    says(
        classification::bce(logits(), &[0.0; 5], &[], 1.0),
        "5 targets for 2 rows of 3 labels",
    );
    says(
        classification::bce(logits(), &[0.0, 0.0, 0.0, 0.0, 2.0, 0.0], &[], 1.0),
        "row 2: a target from 0 to 1",
    );
    let scores = || leaf(&[0.0; 2], [2], &device);
    says(
        ranking::ranknet(scores(), &[(0, 2)], 1.0, 1.0),
        "items 0 and 2, and there are 2",
    );
    says(
        regression::regression(scores(), &[0.0, f32::NAN], Penalty::Square, 1.0),
        "row 2: a target must be a finite",
    );
    let sum = WeightedSum::parse("triplet").expect("a loss");
    let compared = Compared::Vectors {
        queries: logits(),
        documents: logits(),
        negatives: None,
    };
    says(sum.evaluate(&compared, &[1.0]), "a triplet needs a negative");
}
