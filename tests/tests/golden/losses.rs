//! Losses and their gradients against torch (golden group B), on the CPU and on software Vulkan.

use burn::tensor::{Device, Tensor, TensorData};
use lorakeet_core::{
    Result, device,
    loss::{
        Distance,
        classification::{self, counted, weight_of},
        contrastive,
        preference::{self, answer_log_probabilities},
        ranking::{self, Lists},
        regression::{self, Penalty},
    },
    metrics::preference::rewards,
    ops::{VocabularyForm, vocabulary_loss},
    protocol::DeviceChoice,
};
use lorakeet_tests::golden::{Case, Golden, block_on, number, words};
use serde_json::Value;
use std::collections::HashMap;

fn open(choice: DeviceChoice) -> Device {
    block_on(device::open(choice)).expect("the device opens").0
}

/// A GPU sums in another order, and its exp and log are approximations, so it gets four times the reference's tolerance.
fn factor(choice: DeviceChoice) -> f64 {
    if choice == DeviceChoice::Cpu { 1.0 } else { 4.0 }
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

/// One subcase: its numbers, and the leaves that it was computed from.
struct Subcase<'a> {
    name: &'a str,
    json: &'a Value,
    inputs: &'a HashMap<String, Golden>,
    expected: &'a HashMap<String, Golden>,
    device: &'a Device,
    leaves: Vec<(String, Tensor<1>)>,
}

impl<'a> Subcase<'a> {
    fn floats(&self, name: &str) -> Vec<f32> {
        self.inputs[name].values.iter().map(|value| *value as f32).collect()
    }
    fn labels(&self, name: &str) -> Vec<i32> {
        self.inputs[name].values.iter().map(|value| *value as i32).collect()
    }
    /// Whether the subcase is computed from the input.
    fn has(&self, name: &str) -> bool {
        words(&self.json["inputs"]).any(|input| input == name)
    }
    /// The subcase's one input that is called so or `name_…`.
    fn named(&self, name: &str) -> &'a str {
        let rest = |input: &&str| {
            input
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        let found = words(&self.json["inputs"]).find(rest);
        found.unwrap_or_else(|| panic!("{}: no {name} among its inputs", self.name))
    }
    /// A list of weights, if the subcase has it.
    fn list(&self, name: &str) -> Vec<f64> {
        if self.has(name) {
            self.inputs[name].values.clone()
        } else {
            Vec::new()
        }
    }
    /// Pairs of places.
    fn pairs(of: &Golden) -> Vec<(usize, usize)> {
        let places = of.values.as_chunks::<2>().0.iter();
        places.map(|[a, b]| (*a as usize, *b as usize)).collect()
    }
    fn knob(&self, name: &str) -> f64 {
        number(&self.json[name])
    }
    fn knob_or(&self, name: &str, usual: f64) -> f64 {
        self.json[name].as_f64().unwrap_or(usual)
    }
    /// A flat leaf, and its shape.
    fn flat(&mut self, name: &str) -> (Tensor<1>, Vec<usize>) {
        let input = &self.inputs[name];
        let tensor = leaf(&input.values, [input.values.len()], self.device);
        self.leaves.push((name.into(), tensor.clone()));
        (tensor, input.shape.clone())
    }
    fn matrix(&mut self, name: &str) -> Tensor<2> {
        let (tensor, shape) = self.flat(name);
        let columns = *shape.last().expect("a shape");
        let rows = tensor.dims()[0] / columns;
        tensor.reshape([rows, columns])
    }
}

/// Computes each subcase of `family` with `loss`, and compares value and gradients.
fn check(choice: DeviceChoice, family: &str, loss: fn(&mut Subcase) -> Result<Tensor<1>>) {
    let device = open(choice);
    let case = Case::open(&format!("B/{family}"));
    let (inputs, expected) = (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    let allowed = |part: &str, wanted: f64| {
        let bound = f64::from(case.tolerance(&format!("{part}_abs")));
        (bound + f64::from(case.tolerance(&format!("{part}_rel"))) * wanted.abs()) * factor(choice)
    };
    for (name, json) in case.json["subcases"].as_object().expect("subcases") {
        let mut subcase = Subcase {
            name,
            json,
            inputs: &inputs,
            expected: &expected,
            device: &device,
            leaves: Vec::new(),
        };
        let value = loss(&mut subcase).unwrap_or_else(|error| panic!("{family}/{name}: {error}"));
        let gradients = value.backward();
        let found = f64::from(values(value)[0]);
        let wanted = expected[&format!("{name}.loss")].values[0];
        let difference = (found - wanted).abs();
        assert!(
            difference <= allowed("loss", wanted),
            "{family}/{name}: {found} instead of {wanted}"
        );
        for leaf in words(&json["gradients"]) {
            let (_, tensor) = subcase.leaves.iter().find(|(name, _)| name == leaf).expect("a leaf");
            let found = values(tensor.grad(&gradients).expect("it has a gradient"));
            let wanted = &expected[&format!("{name}.grad.{leaf}")].values;
            assert_eq!(found.len(), wanted.len());
            for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                let difference = (f64::from(*found) - wanted).abs();
                assert!(
                    difference <= allowed("grad", *wanted),
                    "{family}/{name}: gradient {i} of {leaf} is {found} instead of {wanted}"
                );
            }
        }
    }
}

fn cross_entropy(case: &mut Subcase) -> Result<Tensor<1>> {
    let logits = case.matrix(case.named("logits"));
    let labels = case.labels(case.named("labels"));
    let (weights, smoothing) = (case.list("class_weights"), case.knob_or("label_smoothing", 0.0));
    let scale = 1.0 / weight_of(&labels, &weights);
    classification::cross_entropy(logits, &labels, &weights, smoothing, scale)
}

fn focal(case: &mut Subcase) -> Result<Tensor<1>> {
    let gamma = case.knob("gamma");
    if case.has("binary_logits") {
        let (logits, _) = case.flat("binary_logits");
        let rows = logits.dims()[0];
        let alpha: Vec<f64> = case.json["alpha"].as_f64().into_iter().collect();
        let targets = case.floats("binary_targets");
        return classification::focal_of_labels(logits.reshape([rows, 1]), &targets, &alpha, gamma, 1.0 / rows as f64);
    }
    let logits = case.matrix(case.named("logits"));
    let labels = case.labels("labels");
    classification::focal(logits, &labels, &case.list("alpha"), gamma, 1.0 / counted(&labels))
}

fn bce(case: &mut Subcase) -> Result<Tensor<1>> {
    let logits = case.matrix(case.named("logits"));
    let targets = case.floats("targets");
    classification::bce(logits, &targets, &case.list("pos_weight"), 1.0 / targets.len() as f64)
}

fn regression(case: &mut Subcase) -> Result<Tensor<1>> {
    let (predicted, _) = case.flat("pred");
    let targets = case.floats("target");
    let rho = match case.name {
        name if name.starts_with("mse") => Penalty::Square,
        name if name.starts_with("mae") => Penalty::Magnitude,
        name if name.starts_with("huber") => Penalty::Huber(case.knob("delta")),
        _ => Penalty::SmoothL1(case.knob("beta")),
    };
    regression::regression(predicted, &targets, rho, 1.0 / targets.len() as f64)
}

fn ranking_pairs(case: &mut Subcase) -> Result<Tensor<1>> {
    let (scores, _) = case.flat("scores");
    let pairs = if case.has("relevance") {
        let groups: Vec<usize> = case.labels("group").iter().map(|group| *group as usize).collect();
        let mut pairs = Lists::new(case.floats("relevance"), &groups)?.pairs();
        let mut wanted = Subcase::pairs(&case.expected["derived_pairs"]);
        // In which order, the rule leaves open.
        pairs.sort();
        wanted.sort();
        assert_eq!(pairs, wanted, "{}: the reference's derived pairs", case.name);
        pairs
    } else {
        Subcase::pairs(&case.inputs["pairs"])
    };
    let scale = 1.0 / pairs.len() as f64;
    match case.json["sigma"].as_f64() {
        Some(sigma) => ranking::ranknet(scores, &pairs, sigma, scale),
        None => ranking::margin(scores, &pairs, case.knob("margin"), scale),
    }
}

fn ranking_listwise(case: &mut Subcase) -> Result<Tensor<1>> {
    let (scores, shape) = case.flat("scores");
    let (mask, mut relevance) = (case.labels("mask"), case.floats("relevance"));
    if case.has("positive") {
        relevance = vec![0.0; mask.len()];
        for (list, positive) in case.labels("positive").iter().enumerate() {
            relevance[list * shape[1] + *positive as usize] = 1.0;
        }
    }
    // The reference pads lists; ours are as long as they are.
    let real: Vec<usize> = (0..mask.len()).filter(|i| mask[*i] == 1).collect();
    let grades = real.iter().map(|i| relevance[*i]).collect();
    let names: Vec<usize> = real.iter().map(|i| i / shape[1]).collect();
    let lists = Lists::new(grades, &names)?;
    let places: Vec<i32> = real.iter().map(|i| *i as i32).collect();
    let places = Tensor::from_data(TensorData::new(places, [real.len()]), &scores.device());
    let scores = scores.select(0, places);
    match case.name {
        name if name.starts_with("listnet") => ranking::listnet(scores, &lists, 1.0 / lists.count() as f64),
        _ => ranking::softmax(scores, &lists, 1.0 / lists.with_relevant() as f64),
    }
}

fn contrastive(case: &mut Subcase) -> Result<Tensor<1>> {
    let (queries, documents) = (case.matrix("query"), case.matrix("document"));
    let negatives = case.has("negative").then(|| case.matrix("negative"));
    let (rows, symmetric) = (queries.dims()[0], case.name.starts_with("symmetric"));
    let temperature = case.knob("temperature");
    contrastive::info_nce(queries, documents, negatives, temperature, symmetric, 1.0 / rows as f64)
}

fn triplet(case: &mut Subcase) -> Result<Tensor<1>> {
    let (anchors, positives, negatives) = (case.matrix("anchor"), case.matrix("positive"), case.matrix("negative"));
    let distance = match case.name.starts_with("cosine") {
        true => Distance::Cosine,
        false => Distance::Euclidean,
    };
    let scale = 1.0 / anchors.dims()[0] as f64;
    contrastive::triplet(anchors, positives, negatives, case.knob("margin"), distance, scale)
}

/// The log-probabilities of answers from logits [B, T, V], as a run computes them from hidden states: here an identity matrix
/// makes the logits of themselves.
fn log_probabilities(logits: Tensor<3>, labels: &[i32]) -> Tensor<1> {
    let [rows, tokens, vocabulary] = logits.dims();
    let form = VocabularyForm {
        scale: 1.0,
        soft_cap: 0.0,
    };
    let identity = Tensor::eye(vocabulary, &logits.device());
    let loss_of = |logits, targets| vocabulary_loss(logits, identity.clone(), None, targets, form);
    let hidden = logits.reshape([rows * tokens, vocabulary]);
    answer_log_probabilities(&hidden, labels, tokens, loss_of).reshape([rows])
}

fn dpo(case: &mut Subcase) -> Result<Tensor<1>> {
    let (beta, smoothing) = (case.knob("beta"), case.knob_or("label_smoothing", 0.0));
    if case.has("policy_logits") {
        let (logits, shape) = case.flat("policy_logits");
        let shape: [usize; 3] = shape.try_into().expect("three axes");
        let labels = case.labels("labels");
        let policy = log_probabilities(logits.reshape(shape), &labels);
        let reference = leaf(&case.inputs["reference_logits"].values, shape, case.device);
        let reference = values(log_probabilities(reference, &labels).inner());
        let pairs = shape[0] / 2;
        let halves = [policy.clone().narrow(0, 0, pairs), policy.narrow(0, pairs, pairs)];
        let reference = [&reference[..pairs], &reference[pairs..]];
        return preference::dpo(halves, reference, beta, smoothing, 1.0 / pairs as f64);
    }
    let policy = [case.flat("policy_chosen").0, case.flat("policy_rejected").0];
    let (chosen, rejected) = (case.floats("reference_chosen"), case.floats("reference_rejected"));
    let scale = 1.0 / chosen.len() as f64;
    preference::dpo(policy, [&chosen, &rejected], beta, smoothing, scale)
}

/// What the reference wrote down on the way to its losses.
fn similarities_and_log_probabilities_match(choice: DeviceChoice) {
    let device = open(choice);
    let parts = |case: &Case| (case.tensors("inputs.safetensors"), case.tensors("expected.safetensors"));
    let check = |case: &Case, what: &str, found: Vec<f64>, wanted: &Golden| {
        assert_eq!(found.len(), wanted.values.len(), "{what}");
        for (found, wanted) in found.iter().zip(&wanted.values) {
            let bound = f64::from(case.tolerance("loss_abs")) + f64::from(case.tolerance("loss_rel")) * wanted.abs();
            let bound = bound * factor(choice);
            assert!((found - wanted).abs() <= bound, "{what}: {found} instead of {wanted}");
        }
    };
    let wide = |tensor: Vec<f32>| tensor.into_iter().map(f64::from).collect::<Vec<f64>>();

    let case = Case::open("B/contrastive");
    let (inputs, expected) = parts(&case);
    let matrix = |name: &str| {
        let shape: [usize; 2] = inputs[name].shape.clone().try_into().expect("two axes");
        leaf(&inputs[name].values, shape, &device)
    };
    let similarities = contrastive::cosine_similarities(matrix("query"), matrix("document")).expect("one width");
    let similarities = wide(values(similarities));
    let mut compared = 0;
    for (name, wanted) in expected.iter().filter(|(name, _)| name.ends_with(".similarity")) {
        check(&case, name, similarities.clone(), wanted);
        compared += 1;
    }
    assert!(compared > 0, "the reference wrote similarities down");

    let case = Case::open("B/dpo");
    let (inputs, expected) = parts(&case);
    let labels: Vec<i32> = inputs["labels"].values.iter().map(|label| *label as i32).collect();
    let mut compared = [0; 2];
    for side in ["policy", "reference"] {
        let logits = &inputs[&format!("{side}_logits")];
        let shape: [usize; 3] = logits.shape.clone().try_into().expect("three axes");
        let found = log_probabilities(leaf(&logits.values, shape, &device), &labels);
        let found = wide(values(found));
        let wanted = expected
            .iter()
            .filter(|(name, _)| name.ends_with(&format!(".{side}_logps")));
        for (name, wanted) in wanted {
            check(&case, name, found.clone(), wanted);
            compared[0] += 1;
        }
    }
    for (name, json) in case.json["subcases"].as_object().expect("subcases") {
        for side in ["chosen", "rejected"] {
            let Some(wanted) = expected.get(&format!("{name}.reward_{side}")) else {
                continue;
            };
            let of = |who: &str| inputs[&format!("{who}_{side}")].values.as_slice();
            let found = rewards(of("policy"), of("reference"), number(&json["beta"])).expect("as many");
            check(&case, name, found, wanted);
            compared[1] += 1;
        }
    }
    assert!(!compared.contains(&0), "the reference wrote {compared:?} down");
}

fn every_family_matches(choice: DeviceChoice) {
    check(choice, "cross_entropy", cross_entropy);
    check(choice, "token_classification", cross_entropy);
    check(choice, "focal", focal);
    check(choice, "bce_multilabel", bce);
    check(choice, "regression", regression);
    check(choice, "ranking_pairs", ranking_pairs);
    check(choice, "ranking_listwise", ranking_listwise);
    check(choice, "contrastive", contrastive);
    check(choice, "triplet", triplet);
    check(choice, "dpo", dpo);
}

#[test]
fn losses_and_gradients_match_the_reference_on_the_cpu() {
    every_family_matches(DeviceChoice::Cpu);
}

#[test]
fn losses_and_gradients_match_the_reference_on_the_gpu() {
    every_family_matches(DeviceChoice::Gpu);
}

#[test]
fn similarities_log_probabilities_and_rewards_match_the_reference() {
    similarities_and_log_probabilities_match(DeviceChoice::Cpu);
    similarities_and_log_probabilities_match(DeviceChoice::Gpu);
}
