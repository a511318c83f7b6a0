//! AdamW over a model's trainable tensors, and the gradients that one step gathers for it.
//!
//! Loshchilov and Hutter 2019 (arXiv 1711.05101), as `torch.optim.AdamW` computes it; the norm is global over all gradients,
//! as `torch.nn.utils.clip_grad_norm_` takes it. With `optim: adamw_8bit` the moments of large tensors are block-wise codes of
//! eight bits, as in bitsandbytes' `AdamW8bit` (Dettmers et al. 2021, arXiv 2110.02861). Which tensors decay is the model's
//! knowledge ([`Parameter::decay`]).
//!
//! [`Parameter::decay`]: crate::models::Parameter::decay

mod groups;

pub(crate) use groups::{group_sizes, is_grouped};

use crate::config::{FinetuningType, Optimizer, RunConfig};
use crate::device;
use crate::error::{Error, Result};
use crate::models::{Leaves, Parameter, Parameters, read, read_all};
use crate::ops::{self, AdamWStep, GradientPlaces};
use crate::quant::{Block, Blockwise, Map};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use groups::{FlatGradients, Group, groups};
use lorakeet_i18n::messages::run as msg;
use lorakeet_shaders::{AdamW8bit, Codes};
use std::collections::BTreeMap;

/// The sums of the gradients of a step's micro-batches, of each trainable tensor.
pub struct GradientSum {
    /// Of the tensors that are in no group, by number; `None` where nothing depended on one.
    single: Vec<Option<Tensor<1>>>,
    /// Of the optimizer's groups, each as one tensor.
    flat: Vec<FlatGradients>,
}

/// Stretches of a group's gradients whose squares are summed apart, and added up on the host.
const STRETCHES: usize = 64;

impl GradientSum {
    /// Nothing gathered yet for `parameters` tensors, none of them in a group; see [`AdamW::gradients`].
    pub fn new(parameters: usize) -> Self {
        Self {
            single: (0..parameters).map(|_| None).collect(),
            flat: Vec::new(),
        }
    }

    /// Goes back from `loss` and adds the gradients of `leaves`.
    pub fn add(&mut self, leaves: &Leaves, loss: Tensor<1>) {
        let mut places = self.places();
        let gradients = places.within(|| ops::backward(&loss));
        drop(loss);
        self.add_passes(leaves, places, [gradients]);
    }

    /// Adds the gradients that a micro-batch's backward passes, run within `places`, left at `leaves`. What several passes left at
    /// one is added up first, in the order of the passes.
    pub(crate) fn add_passes(
        &mut self,
        leaves: &Leaves,
        places: GradientPlaces,
        passes: impl IntoIterator<Item = Gradients>,
    ) {
        let mut single: BTreeMap<usize, Tensor<1>> = BTreeMap::new();
        for mut gradients in passes {
            for i in 0..self.single.len() {
                let Some(gradient) = leaves.take_grad(i, &mut gradients) else {
                    continue;
                };
                let sum = match single.remove(&i) {
                    Some(sum) => sum + gradient,
                    None => gradient,
                };
                single.insert(i, sum);
            }
        }
        let mut left = Vec::with_capacity(self.flat.len());
        for (flat, place) in std::mem::take(&mut self.flat).into_iter().zip(places.into_tensors()) {
            left.extend(self.add_flat(flat, place, &mut single));
        }
        self.flat = left;
        for (i, gradient) in single {
            let sum = &mut self.single[i];
            *sum = Some(match sum.take() {
                Some(sum) => sum + gradient,
                None => gradient,
            });
        }
    }

    /// Numbers that add up to Σ g² of all tensors, left on the device so that one read fetches them all. Each launch and each
    /// tensor that is read costs the host as much, however small it is: so tensors alone are taken seven at a time.
    pub fn sums_of_squares(&self) -> Vec<Tensor<1>> {
        let gradients: Vec<Tensor<1>> = self.single.iter().flatten().cloned().collect();
        let (sevens, rest) = gradients.as_chunks::<7>();
        let of_flat = self.flat.iter().filter_map(|flat| flat.sum.clone());
        let of_flat = of_flat.map(|sum| ops::sum_squares(sum, STRETCHES));
        let of_sevens = sevens.iter().map(|seven| ops::sum_squares_of_seven(seven.clone()));
        let of_rest = rest.iter().map(|gradient| ops::sum_squares(gradient.clone(), 1));
        of_flat.chain(of_sevens).chain(of_rest).collect()
    }
}

/// What a step multiplies its gradients by.
enum Scale {
    /// This.
    Known(f64),
    /// What [`ops::clip_factor`] found, on the device.
    Found(Box<Tensor<1>>),
}

impl Scale {
    fn adamw(&self, [p, g, m, v]: [Tensor<1>; 4], step: AdamWStep) -> (Tensor<1>, Tensor<1>, Tensor<1>) {
        match self {
            Self::Known(grad_scale) => {
                let grad_scale = *grad_scale;
                ops::adamw(p, g, m, v, AdamWStep { grad_scale, ..step })
            }
            Self::Found(scales) => ops::clipped_adamw([p, g, m, v], scales.as_ref().clone(), step),
        }
    }

    fn adamw_8bit(&self, [p, g, words, tables]: [Tensor<1>; 4], step: AdamWStep) -> (Tensor<1>, Tensor<1>) {
        match self {
            Self::Known(grad_scale) => {
                let grad_scale = *grad_scale;
                ops::adamw_8bit(p, g, words, tables, AdamWStep { grad_scale, ..step })
            }
            Self::Found(scales) => ops::clipped_adamw_8bit([p, g, words, tables], scales.as_ref().clone(), step),
        }
    }
}

/// A tensor with fewer elements keeps moments of 32 bits, whatever the run asks for: bitsandbytes' `min_8bit_size`.
pub const FEWEST_FOR_EIGHT_BITS: usize = 4096;

/// AdamW's two moments of every trainable tensor, and how many steps they have seen.
pub struct AdamW {
    beta1: f64,
    beta2: f64,
    eps: f64,
    weight_decay: f64,
    steps: usize,
    /// How many times the run's rate each tensor learns at.
    rates: Vec<f64>,
    states: Vec<State>,
    groups: Vec<Group>,
    /// What [`Parameters::replaced`] said when the groups took their values.
    replaced: Option<u64>,
}

/// The moments of one trainable tensor on the device, flat.
enum State {
    Floats {
        m: Tensor<1>,
        v: Tensor<1>,
    },
    /// In one of the optimizer's groups.
    Grouped {
        elements: usize,
    },
    /// The words of [`AdamW8bit`], and the values of their codes, which all tensors share.
    EightBits {
        words: Tensor<1>,
        tables: Tensor<1>,
        elements: usize,
    },
}

/// The moments of one trainable tensor on the host.
#[derive(Debug, Clone, PartialEq)]
pub enum Moments {
    /// In 32 bits.
    Floats {
        /// Means of the gradients.
        m: Vec<f32>,
        /// Means of their squares.
        v: Vec<f32>,
    },
    /// In 8 bits, in blocks of 256.
    EightBits {
        /// Means of the gradients, over the signed map.
        m: Blockwise,
        /// Means of their squares, over the unsigned map.
        v: Blockwise,
    },
}

/// Whether a tensor of so many elements has moments of eight bits.
fn in_eight_bits(elements: usize, optim: Optimizer) -> bool {
    optim == Optimizer::Adamw8bit && elements >= FEWEST_FOR_EIGHT_BITS
}

/// What the moments of a tensor take on the device, but for the values of codes that all tensors share (2 kB).
pub(crate) fn moments_bytes(elements: usize, optim: Optimizer) -> u64 {
    let words = match in_eight_bits(elements, optim) {
        true => AdamW8bit::state_len(elements),
        false => 2 * elements,
    };
    4 * words as u64
}

impl AdamW {
    /// Moments of zero for `parameters`, with the run's β, ε, decay and bits.
    pub fn new(parameters: &Parameters, config: &RunConfig) -> Self {
        let zeros = |length: usize, like: &Tensor<1>| Tensor::zeros([length], &like.device());
        let mut shared: Option<Tensor<1>> = None;
        let mut states = Vec::with_capacity(parameters.len());
        for parameter in parameters.iter() {
            let value = &parameter.value;
            let elements = value.dims()[0];
            states.push(if in_eight_bits(elements, config.optim) {
                State::EightBits {
                    words: zeros(AdamW8bit::state_len(elements), value),
                    tables: shared.get_or_insert_with(|| tables(&value.device())).clone(),
                    elements,
                }
            } else if device::is_gpu(&value.device()) && is_grouped(elements, config.optim) {
                State::Grouped { elements }
            } else {
                State::Floats {
                    m: zeros(elements, value),
                    v: zeros(elements, value),
                }
            });
        }
        let mut optimizer = Self {
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            eps: config.adam_epsilon,
            weight_decay: config.weight_decay,
            steps: 0,
            rates: parameters.iter().map(|parameter| rate(parameter, config)).collect(),
            states,
            groups: Vec::new(),
            replaced: None,
        };
        let grouped = optimizer.states.iter().zip(parameters.iter()).enumerate();
        let grouped = grouped.filter_map(|(i, (state, parameter))| match state {
            State::Grouped { elements } => Some((i, *elements, (optimizer.rates[i].to_bits(), parameter.decay))),
            State::Floats { .. } | State::EightBits { .. } => None,
        });
        for members in groups(grouped) {
            let elements = members.iter().map(|member| member.len).sum();
            if let Some(first) = parameters.iter().nth(members[0].number) {
                let (m, v) = (zeros(elements, &first.value), zeros(elements, &first.value));
                let values = None;
                optimizer.groups.push(Group { members, values, m, v });
            }
        }
        optimizer
    }

    /// One step at the rate `lr` (times the tensor's own, with LoRA+) with the gradients times `gradient_scale` (the clipping):
    /// p ← p·(1 − lr·λ); m, v ← their moving averages; p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε), t from 1.
    ///
    /// A tensor without a gradient stays as it is, decay included.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: GradientSum, lr: f64, gradient_scale: f64) {
        self.update(parameters, gradients, lr, &Scale::Known(gradient_scale));
    }

    /// The same with the factor that is the last number but one of `found`, what [`ops::clip_factor`] gave; nothing changes on the
    /// device where its last number says that the steps have come to an end.
    pub(crate) fn step_clipped(
        &mut self,
        parameters: &mut Parameters,
        gradients: GradientSum,
        lr: f64,
        found: Tensor<1>,
    ) {
        self.update(parameters, gradients, lr, &Scale::Found(Box::new(found)));
    }

    fn update(&mut self, parameters: &mut Parameters, mut gradients: GradientSum, lr: f64, scale: &Scale) {
        self.steps += 1;
        let t = self.steps as f64;
        let decays: Vec<bool> = parameters.iter().map(|parameter| parameter.decay).collect();
        let (beta1, beta2, eps, weight_decay) = (self.beta1, self.beta2, self.eps, self.weight_decay);
        let rates = self.rates.clone();
        let step_of = |i: usize| AdamWStep {
            lr: lr * rates[i],
            beta1,
            beta2,
            eps,
            weight_decay: if decays[i] { weight_decay } else { 0.0 },
            bias_correction1: 1.0 - beta1.powf(t),
            bias_correction2: 1.0 - beta2.powf(t),
            grad_scale: 1.0,
        };
        let gathered = self.gather(parameters);
        self.take_values(gathered, parameters);
        self.leave_out(&gradients);
        for group in &mut self.groups {
            let (Some(values), Some(gradient)) = (group.values.take(), gradients.take_flat(&group.members)) else {
                continue;
            };
            let step = step_of(group.members[0].number);
            let (values, m, v) = scale.adamw([values, gradient, group.m.clone(), group.v.clone()], step);
            for member in &group.members {
                parameters.update(member.number, member.of(&values));
            }
            (group.values, group.m, group.v) = (Some(values), m, v);
        }
        for (i, gradient) in gradients.single.into_iter().enumerate() {
            let (Some(gradient), Some(parameter)) = (gradient, parameters.iter().nth(i)) else {
                continue;
            };
            let value = parameter.value.clone();
            let value = match &mut self.states[i] {
                State::Floats { m, v } => {
                    let (value, new_m, new_v) = scale.adamw([value, gradient, m.clone(), v.clone()], step_of(i));
                    (*m, *v) = (new_m, new_v);
                    value
                }
                State::EightBits { words, tables, .. } => {
                    let state = [value, gradient, words.clone(), tables.clone()];
                    let (value, updated) = scale.adamw_8bit(state, step_of(i));
                    *words = updated;
                    value
                }
                // Updated above.
                State::Grouped { .. } => value,
            };
            parameters.update(i, value);
        }
    }

    /// Asks for the kernels of [`Self::step_clipped`], whose sources are the same whatever a tensor's length: on tensors of a few
    /// numbers, which nobody reads.
    pub(crate) fn rehearse(&self, found: Tensor<1>) {
        let device = found.device();
        let zeros = |length: usize| Tensor::<1>::zeros([length], &device);
        let scale = Scale::Found(Box::new(found));
        let step = AdamWStep {
            lr: 0.0,
            beta1: self.beta1,
            beta2: self.beta2,
            eps: self.eps,
            weight_decay: 0.0,
            bias_correction1: 1.0,
            bias_correction2: 1.0,
            grad_scale: 1.0,
        };
        let in_floats = |state: &State| !matches!(state, State::EightBits { .. });
        if self.states.iter().any(in_floats) {
            drop(scale.adamw([1; 4].map(zeros), step));
        }
        let tables = self.states.iter().find_map(|state| match state {
            State::EightBits { tables, .. } => Some(tables.clone()),
            State::Floats { .. } | State::Grouped { .. } => None,
        });
        if let Some(tables) = tables {
            let words = zeros(AdamW8bit::state_len(1));
            drop(scale.adamw_8bit([zeros(1), zeros(1), words, tables], step));
        }
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Reads the moments back, in the parameters' order.
    ///
    /// # Errors
    /// A lost device; a scale of 8-bit moments that is not finite.
    pub async fn moments(&self) -> Result<Vec<Moments>> {
        let of_groups = self.groups.iter().map(|group| [&group.m, &group.v]);
        let alone = self.states.iter().filter_map(|state| match state {
            State::Floats { m, v } => Some([m, v]),
            State::Grouped { .. } | State::EightBits { .. } => None,
        });
        let floats = read_all(of_groups.chain(alone).flatten().cloned()).await?;
        let mut floats = floats.into_iter();
        let mut next = || [floats.next().unwrap_or_default(), floats.next().unwrap_or_default()];
        let mut grouped = BTreeMap::new();
        for group in &self.groups {
            let moments = next();
            for member in &group.members {
                let [m, v] = moments.each_ref().map(|moment| moment[member.range()].to_vec());
                grouped.insert(member.number, Moments::Floats { m, v });
            }
        }
        let mut all = Vec::with_capacity(self.states.len());
        for (i, state) in self.states.iter().enumerate() {
            all.push(match state {
                State::Floats { .. } => {
                    let [m, v] = next();
                    Moments::Floats { m, v }
                }
                State::Grouped { .. } => match grouped.remove(&i) {
                    Some(moments) => moments,
                    None => return Err(Error::internal(msg::OtherOptimizer)),
                },
                // Words are no numbers: a copy of one as such may change its bits.
                State::EightBits { words, elements, .. } => {
                    let (m, v) = AdamW8bit::unpack(&read(words.clone()).await?, *elements);
                    let blockwise = |map, (codes, absmax): Codes| Blockwise::new(map, Block::Of256, codes, absmax);
                    Moments::EightBits {
                        m: blockwise(Map::Signed, m)?,
                        v: blockwise(Map::Unsigned, v)?,
                    }
                }
            });
        }
        Ok(all)
    }

    /// Takes up moments that [`AdamW::moments`] gave after `steps` steps.
    ///
    /// # Errors
    /// Moments of another model or of other bits: their number, a length or a kind differs.
    pub fn restore(&mut self, steps: usize, moments: Vec<Moments>, device: &Device) -> Result<()> {
        let fits = |(own, saved): (&State, &Moments)| match (own, saved) {
            (State::Floats { m: own, .. }, Moments::Floats { m, v }) => [m.len(), v.len()] == [own.dims()[0]; 2],
            (State::Grouped { elements }, Moments::Floats { m, v }) => [m.len(), v.len()] == [*elements; 2],
            (State::EightBits { elements, .. }, Moments::EightBits { m, v }) => {
                [m.codes().len(), v.codes().len()] == [*elements; 2]
                    && [m.map(), v.map()] == [Map::Signed, Map::Unsigned]
                    && [m.block(), v.block()] == [Block::Of256; 2]
            }
            _ => false,
        };
        if moments.len() != self.states.len() || !self.states.iter().zip(&moments).all(fits) {
            return Err(Error::format(msg::OtherOptimizer).remedy(msg::ResumeSameFile));
        }
        let tensor = |values: Vec<f32>| {
            let length = values.len();
            Tensor::from_data(TensorData::new(values, [length]), device)
        };
        self.steps = steps;
        let mut grouped: BTreeMap<usize, [Vec<f32>; 2]> = BTreeMap::new();
        for (i, (own, saved)) in self.states.iter_mut().zip(moments).enumerate() {
            match (own, saved) {
                (own @ State::Floats { .. }, Moments::Floats { m, v }) => {
                    let (m, v) = (tensor(m), tensor(v));
                    *own = State::Floats { m, v };
                }
                (State::Grouped { .. }, Moments::Floats { m, v }) => {
                    grouped.insert(i, [m, v]);
                }
                (State::EightBits { words, .. }, Moments::EightBits { m, v }) => {
                    let codes = |moment: Blockwise| (moment.codes().to_vec(), moment.absmax().to_vec());
                    *words = tensor(AdamW8bit::pack(&codes(m), &codes(v)));
                }
                // Refused above.
                _ => {}
            }
        }
        for group in &mut self.groups {
            let of_members = group.members.iter().filter_map(|member| grouped.remove(&member.number));
            let (m, v): (Vec<Vec<f32>>, Vec<Vec<f32>>) = of_members.map(|[m, v]| (m, v)).unzip();
            (group.m, group.v) = (tensor(m.concat()), tensor(v.concat()));
        }
        Ok(())
    }
}

/// How many times the run's rate a tensor learns at. 1, but with LoRA+ (Hayou et al. 2024, arXiv 2402.12354), in the groups of
/// PEFT's `create_loraplus_optimizer`: adapters of embeddings at a rate of their own, B and vectors at the ratio.
fn rate(parameter: &Parameter, config: &RunConfig) -> f64 {
    match config.loraplus_lr_ratio {
        Some(_) if parameter.name.contains("lora_embedding_") => config.loraplus_lr_embedding / config.learning_rate,
        Some(ratio)
            if config.finetuning_type == FinetuningType::Lora
                && (parameter.name.contains("lora_B") || parameter.shape.len() == 1) =>
        {
            ratio
        }
        _ => 1.0,
    }
}

/// The values of the codes of both moments, as [`ops::adamw_8bit`] wants them.
fn tables(device: &Device) -> Tensor<1> {
    let values = [Map::Signed.table().as_slice(), Map::Unsigned.table()].concat();
    let length = values.len();
    Tensor::from_data(TensorData::new(values, [length]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first step of AdamW moves each weight by the rate, whatever its gradient's size.
    #[test]
    fn b_learns_as_many_times_faster_than_a_as_the_ratio_says() {
        let device = Device::flex();
        let ones = |count: usize| Tensor::<1>::ones([count], &device);
        let names: [(&str, &[usize], f32); 6] = [
            ("base_model.model.q.lora_A.weight", &[2, 3], 1e-3),
            ("base_model.model.q.lora_B.weight", &[3, 2], 16e-3),
            ("base_model.model.q.lora_magnitude_vector", &[3], 16e-3),
            ("base_model.model.embed.lora_embedding_B", &[3, 2], 1e-4),
            ("base_model.model.score.weight", &[2, 3], 1e-3),
            ("base_model.model.score.bias", &[2], 16e-3),
        ];
        let mut parameters = Parameters::default();
        for (name, shape, _) in names {
            parameters.push(Parameter {
                name: name.into(),
                shape: shape.to_vec(),
                decay: false,
                value: ones(shape.iter().product()),
            });
        }
        let config = RunConfig {
            loraplus_lr_ratio: Some(16.0),
            loraplus_lr_embedding: 1e-4,
            learning_rate: 1e-3,
            ..RunConfig::default()
        };
        let gradients = GradientSum {
            single: parameters.iter().map(|p| Some(p.value.clone() * 0.3)).collect(),
            flat: Vec::new(),
        };
        AdamW::new(&parameters, &config).step(&mut parameters, gradients, 1e-3, 1.0);
        for (parameter, (name, _, moved)) in parameters.iter().zip(names) {
            let value = parameter.value.clone().into_data().try_into_vec::<f32>().expect("f32");
            assert!((1.0 - value[0] - moved).abs() < 1e-6, "{name}: {value:?}");
        }
    }
}
