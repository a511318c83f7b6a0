//! A probe as the last layer of a model, with which the model answers as the probe does.

use super::probe::Probe;
use crate::calibration::sharpness;

/// The factor of answers where no rows judged them: two classes that a probe tells apart by 1 are then 98 to 2.
const UNJUDGED: f64 = 4.0;

/// Weights and biases of a linear layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearHead {
    /// [outputs, width], row by row.
    pub weight: Vec<f32>,
    /// One an output; all 0 of a probe without intercepts.
    pub bias: Vec<f32>,
}

impl LinearHead {
    /// Of a probe that learnt `classes`, one a row: its answers times one factor, by which the softmax of those to the rows that it
    /// was judged by fits their classes best. The largest stays the largest.
    pub fn of_classes(probe: &Probe, classes: &[usize]) -> Self {
        let judged = probe.judged().iter();
        let rows: Vec<_> = judged.map(|(row, answers)| (answers.clone(), classes[*row])).collect();
        let factor = sharpness(&rows).unwrap_or(UNJUDGED);
        Self::of(probe.linear().into_iter().map(|output| (factor, output)))
    }

    /// Of probes that learnt ½ where a label applies and −½ where it does not: their answers, each times such a factor of its own for
    /// the sigmoid. Their signs stay.
    pub fn of_labels(probes: &[Probe], applies: impl Fn(usize, usize) -> bool) -> Self {
        let outputs = probes.iter().enumerate().flat_map(|(label, probe)| {
            let judged = probe.judged().iter();
            let rows: Vec<_> = judged
                .map(|(row, answers)| (vec![0.0, answers[0]], usize::from(applies(*row, label))))
                .collect();
            let factor = sharpness(&rows).unwrap_or(UNJUDGED);
            probe.linear().into_iter().map(move |output| (factor, output))
        });
        Self::of(outputs)
    }

    /// Of probes that learnt numbers: their answers.
    pub fn of_numbers(probes: &[Probe]) -> Self {
        let outputs = probes.iter().flat_map(Probe::linear);
        Self::of(outputs.map(|output| (1.0, output)))
    }

    fn of(outputs: impl Iterator<Item = (f64, (f64, Vec<f64>))>) -> Self {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for (factor, (intercept, weights)) in outputs {
            weight.extend(weights.iter().map(|w| (factor * w) as f32));
            bias.push((factor * intercept) as f32);
        }
        Self { weight, bias }
    }
}

#[cfg(test)]
mod tests {
    use super::super::probe::Features;
    use super::*;
    use crate::random::Generator;

    const WIDTH: usize = 4;

    /// Rows of four numbers whose class is which of the first three is largest, and the rows.
    fn rows(count: usize) -> (Features, Vec<f32>, Vec<usize>) {
        let mut generator = Generator::new(11, "probe");
        let values: Vec<f32> = (0..count * WIDTH).map(|_| 5.0 + generator.normal() as f32).collect();
        let class = |row: &[f32]| (0..3).fold(0, |best, place| if row[place] > row[best] { place } else { best });
        let classes = values.chunks(WIDTH).map(class).collect();
        (Features::new(values.clone(), WIDTH).expect("rows"), values, classes)
    }

    /// What the layer gives for a row.
    fn outputs(head: &LinearHead, row: &[f32]) -> Vec<f32> {
        let of = |(weights, bias): (&[f32], &f32)| bias + weights.iter().zip(row).map(|(w, x)| w * x).sum::<f32>();
        head.weight.chunks(WIDTH).zip(&head.bias).map(of).collect()
    }

    #[test]
    fn a_head_answers_the_classes_of_its_probe_and_is_as_sure_as_it_may_be() {
        for count in [8, 200] {
            let (features, values, classes) = rows(count);
            for features in [features.clone(), features.through_origin()] {
                let probe = Probe::classes(&features, &classes, 3).expect("classes");
                let head = LinearHead::of_classes(&probe, &classes);
                let answered = values.chunks(WIDTH).map(|row| {
                    let logits = outputs(&head, row);
                    (0..3).fold(0, |best, place| if logits[place] > logits[best] { place } else { best })
                });
                assert_eq!(
                    answered.collect::<Vec<_>>(),
                    probe.predict_classes(&features).expect("rows")
                );
            }
        }
        // Most are right, so that the right class has most of the probability.
        let (features, values, classes) = rows(200);
        let head = LinearHead::of_classes(&Probe::classes(&features, &classes, 3).expect("classes"), &classes);
        let probability = |(row, class): (&[f32], &usize)| {
            let logits: Vec<f64> = outputs(&head, row).into_iter().map(f64::from).collect();
            logits[*class].exp() / logits.iter().map(|logit| logit.exp()).sum::<f64>()
        };
        let mean = values.chunks(WIDTH).zip(&classes).map(probability).sum::<f64>() / 200.0;
        assert!(mean > 0.7, "{mean}");
    }

    #[test]
    fn labels_apply_above_zero_and_numbers_are_the_probes() {
        let (features, values, classes) = rows(60);
        let applies = |row: usize, label: usize| classes[row] == label;
        let probes: Vec<Probe> = (0..2)
            .map(|label| {
                let targets: Vec<f64> = (0..60)
                    .map(|row| f64::from(u8::from(applies(row, label))) - 0.5)
                    .collect();
                Probe::numbers(&features, &targets).expect("targets")
            })
            .collect();
        let (labels, numbers) = (LinearHead::of_labels(&probes, applies), LinearHead::of_numbers(&probes));
        for (label, probe) in probes.iter().enumerate() {
            let answers = probe.predict(&features).expect("rows");
            for (row, answer) in values.chunks(WIDTH).zip(answers) {
                assert_eq!(outputs(&labels, row)[label] > 0.0, answer > 0.0);
                assert!(
                    (f64::from(outputs(&numbers, row)[label]) - answer).abs() < 1e-5,
                    "{answer}"
                );
            }
        }
    }
}
