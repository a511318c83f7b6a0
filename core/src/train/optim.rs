//! AdamW over a model's trainable tensors, and the gradients that one step gathers for it.
//!
//! Loshchilov and Hutter 2019 (arXiv 1711.05101), as `torch.optim.AdamW` computes it; the norm is global over all gradients,
//! as `torch.nn.utils.clip_grad_norm_` takes it. With `optim: adamw_8bit` the moments of large tensors are block-wise codes of
//! eight bits, as in bitsandbytes' `AdamW8bit` (Dettmers et al. 2021, arXiv 2110.02861). Which tensors decay is the model's
//! knowledge ([`Parameter::decay`]).
//!
//! [`Parameter::decay`]: crate::models::Parameter::decay

use crate::config::{FinetuningType, Optimizer, RunConfig};
use crate::device;
use crate::error::{Error, Result};
use crate::models::{Leaves, Parameter, Parameters, read};
use crate::ops::{self, AdamWStep};
use crate::quant::{Block, Blockwise, Map};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use lorakeet_i18n::messages::run as msg;
use lorakeet_shaders::{AdamW8bit, Codes};
use std::collections::BTreeMap;
use std::ops::Range;

/// The sums of the gradients of a step's micro-batches, one a trainable tensor; `None` where nothing depended on it.
pub struct GradientSum(Vec<Option<Tensor<1>>>);

impl GradientSum {
    /// Nothing gathered yet for `parameters` tensors.
    pub fn new(parameters: usize) -> Self {
        Self((0..parameters).map(|_| None).collect())
    }

    /// Adds the gradients that a backward pass left at `leaves`.
    pub fn add(&mut self, leaves: &Leaves, gradients: &Gradients) {
        for (i, sum) in self.0.iter_mut().enumerate() {
            if let Some(gradient) = leaves.grad(i, gradients) {
                *sum = Some(match sum.take() {
                    Some(sum) => sum + gradient,
                    None => gradient,
                });
            }
        }
    }

    /// Adds the sums of other passes.
    pub(crate) fn merge(&mut self, other: Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum = match (sum.take(), more) {
                (Some(sum), Some(more)) => Some(sum + more),
                (sum, more) => sum.or(more),
            };
        }
    }

    /// Σ g² of the gathered tensors, in their order, left on the device so that one read fetches them all. Seven at a time, in
    /// one tensor: each launch and each tensor that is read costs the host as much, however small it is.
    pub fn sums_of_squares(&self) -> Vec<Tensor<1>> {
        let gradients: Vec<Tensor<1>> = self.0.iter().flatten().cloned().collect();
        let (sevens, rest) = gradients.as_chunks::<7>();
        let of_sevens = sevens.iter().map(|seven| ops::sum_squares_of_seven(seven.clone()));
        let of_rest = rest.iter().map(|gradient| ops::sum_squares(gradient.clone()));
        of_sevens.chain(of_rest).collect()
    }
}

/// min(1, max_norm / (norm + 1e-6)); 1 where `max_norm` is 0, which does not clip.
pub fn clip_scale(norm: f64, max_norm: f64) -> f64 {
    if max_norm > 0.0 {
        (max_norm / (norm + 1e-6)).min(1.0)
    } else {
        1.0
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
    replaced: u64,
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

/// Tensors that one launch updates, as long as all of them have gradients: on a GPU, where a launch costs the host more
/// than the arithmetic of a small tensor.
const GROUP: usize = 4;
/// The elements of a tensor in a group are a multiple of this: its values are then a slice of the group's that begins where a
/// GPU's binding may begin, and no copy.
const GROUPED_MULTIPLE: usize = 64;
/// A larger tensor is updated alone: a group exists twice while it is updated.
const MOST_GROUPED: usize = 1 << 18;

/// Four tensors: their values one after the other, and m and v of one after the other. Values are apart from moments, since the
/// parameters hold them longer than the optimizer lives.
struct Group {
    members: [usize; GROUP],
    lens: [usize; GROUP],
    values: Tensor<1>,
    moments: Tensor<1>,
}

impl Group {
    /// Elements of the members before number `k`.
    fn start(&self, k: usize) -> usize {
        self.lens[..k].iter().sum()
    }

    fn value(&self, k: usize) -> Tensor<1> {
        self.values.clone().narrow(0, self.start(k), self.lens[k])
    }

    /// Where m and v of member `k` lie.
    fn moments_of(&self, k: usize) -> [Range<usize>; 2] {
        let (start, len) = (2 * self.start(k), self.lens[k]);
        [start..start + len, start + len..start + 2 * len]
    }

    /// Takes the members' values anew.
    fn take_values(&mut self, parameters: &Parameters) {
        let members = self.members.iter().filter_map(|&i| parameters.iter().nth(i));
        self.values = Tensor::cat(members.map(|parameter| parameter.value.clone()).collect(), 0);
    }
}

/// Which of tensors with these numbers of elements are updated together, by their places: neighbours in the order of lengths, so
/// that most groups are alike. Those with moments of eight bits are in none.
pub(crate) fn groups(elements: &[usize], optim: Optimizer) -> Vec<[usize; GROUP]> {
    let fits = |n: usize| n > 0 && n.is_multiple_of(GROUPED_MULTIPLE) && n <= MOST_GROUPED && !in_eight_bits(n, optim);
    let mut places: Vec<usize> = (0..elements.len()).filter(|&i| fits(elements[i])).collect();
    places.sort_by_key(|&i| elements[i]);
    places.as_chunks::<GROUP>().0.to_vec()
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
            } else {
                State::Floats {
                    m: zeros(elements, value),
                    v: zeros(elements, value),
                }
            });
        }
        Self {
            beta1: config.adam_beta1,
            beta2: config.adam_beta2,
            eps: config.adam_epsilon,
            weight_decay: config.weight_decay,
            steps: 0,
            rates: parameters.iter().map(|parameter| rate(parameter, config)).collect(),
            states,
            groups: Vec::new(),
            replaced: parameters.replaced(),
        }
    }

    /// Makes groups of the tensors that stand alone, where `gradients` has a gradient for each; refreshes the values of those
    /// that there are where somebody else set some.
    fn group(&mut self, parameters: &Parameters, gradients: &[Option<Tensor<1>>]) {
        if self.replaced != parameters.replaced() {
            self.replaced = parameters.replaced();
            self.groups.iter_mut().for_each(|group| group.take_values(parameters));
        }
        let on_gpu = parameters
            .iter()
            .next()
            .is_some_and(|p| device::is_gpu(&p.value.device()));
        if !on_gpu || !self.groups.is_empty() {
            return;
        }
        let values: Vec<&Tensor<1>> = parameters.iter().map(|parameter| &parameter.value).collect();
        let alone = |i: usize| match (&self.states[i], &gradients[i]) {
            (State::Floats { .. }, Some(_)) => values[i].dims()[0],
            _ => 0,
        };
        let elements: Vec<usize> = (0..values.len()).map(alone).collect();
        // Whose moments have eight bits is known by their states.
        for members in groups(&elements, Optimizer::AdamwTorch) {
            let mut moments = Vec::with_capacity(2 * GROUP);
            for i in members {
                let grouped = State::Grouped { elements: elements[i] };
                if let State::Floats { m, v } = std::mem::replace(&mut self.states[i], grouped) {
                    moments.extend([m, v]);
                }
            }
            self.groups.push(Group {
                members,
                lens: members.map(|i| elements[i]),
                values: Tensor::cat(members.map(|i| values[i].clone()).to_vec(), 0),
                moments: Tensor::cat(moments, 0),
            });
        }
    }

    /// Takes group number `place` apart.
    fn ungroup(&mut self, place: usize) {
        let group = self.groups.swap_remove(place);
        for (k, i) in group.members.into_iter().enumerate() {
            let [m, v] = group.moments_of(k).map(|range| group.moments.clone().slice([range]));
            self.states[i] = State::Floats { m, v };
        }
    }

    /// One step at the rate `lr` (times the tensor's own, with LoRA+) with the gradients times `gradient_scale` (the clipping):
    /// p ← p·(1 − lr·λ); m, v ← their moving averages; p ← p − lr/(1 − β₁ᵗ) · m / (√v/√(1 − β₂ᵗ) + ε), t from 1.
    ///
    /// A tensor without a gradient stays as it is, decay included.
    pub fn step(&mut self, parameters: &mut Parameters, gradients: GradientSum, lr: f64, gradient_scale: f64) {
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
            grad_scale: gradient_scale,
        };
        let mut gradients = gradients.0;
        let lacks_one = |group: &Group| group.members.iter().any(|&i| gradients[i].is_none());
        while let Some(place) = self.groups.iter().position(lacks_one) {
            self.ungroup(place);
        }
        self.group(parameters, &gradients);
        for group in &mut self.groups {
            let of_group: Vec<Tensor<1>> = group.members.iter().filter_map(|&i| gradients[i].take()).collect();
            let Ok(of_group) = <[Tensor<1>; GROUP]>::try_from(of_group) else {
                continue;
            };
            let (values, moments) = (group.values.clone(), group.moments.clone());
            let updated = ops::adamw_of_four(values, moments, of_group, group.members.map(step_of));
            (group.values, group.moments) = updated;
            for (k, i) in group.members.into_iter().enumerate() {
                parameters.update(i, group.value(k));
            }
        }
        for (i, gradient) in gradients.into_iter().enumerate() {
            let (Some(gradient), Some(parameter)) = (gradient, parameters.iter().nth(i)) else {
                continue;
            };
            let value = parameter.value.clone();
            let value = match &mut self.states[i] {
                State::Floats { m, v } => {
                    let (value, new_m, new_v) = ops::adamw(value, gradient, m.clone(), v.clone(), step_of(i));
                    (*m, *v) = (new_m, new_v);
                    value
                }
                State::EightBits { words, tables, .. } => {
                    let (value, updated) = ops::adamw_8bit(value, gradient, words.clone(), tables.clone(), step_of(i));
                    *words = updated;
                    value
                }
                // Updated above.
                State::Grouped { .. } => value,
            };
            parameters.update(i, value);
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
        let mut all = Vec::with_capacity(self.states.len());
        let mut grouped = BTreeMap::new();
        for group in &self.groups {
            let moments = read(group.moments.clone()).await?;
            for (k, i) in group.members.into_iter().enumerate() {
                let [m, v] = group.moments_of(k).map(|range| moments[range].to_vec());
                grouped.insert(i, Moments::Floats { m, v });
            }
        }
        for (i, state) in self.states.iter().enumerate() {
            all.push(match state {
                State::Floats { m, v } => Moments::Floats {
                    m: read(m.clone()).await?,
                    v: read(v.clone()).await?,
                },
                State::Grouped { .. } => match grouped.remove(&i) {
                    Some(moments) => moments,
                    None => return Err(Error::internal(msg::OtherOptimizer)),
                },
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
        // The next step makes groups of what was restored.
        self.groups.clear();
        for (own, saved) in self.states.iter_mut().zip(moments) {
            match (own, saved) {
                (own @ (State::Floats { .. } | State::Grouped { .. }), Moments::Floats { m, v }) => {
                    let (m, v) = (tensor(m), tensor(v));
                    *own = State::Floats { m, v };
                }
                (State::EightBits { words, .. }, Moments::EightBits { m, v }) => {
                    let codes = |moment: Blockwise| (moment.codes().to_vec(), moment.absmax().to_vec());
                    *words = tensor(AdamW8bit::pack(&codes(m), &codes(v)));
                }
                // Refused above.
                _ => {}
            }
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

    #[test]
    fn clipping_leaves_small_gradients_alone() {
        assert_eq!(clip_scale(0.5, 1.0), 1.0);
        assert_eq!(clip_scale(100.0, 0.0), 1.0, "0 does not clip");
        assert!((clip_scale(4.0, 1.0) - 1.0 / 4.000001).abs() < 1e-15);
    }

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
        let gradients = GradientSum(parameters.iter().map(|p| Some(p.value.clone() * 0.3)).collect());
        AdamW::new(&parameters, &config).step(&mut parameters, gradients, 1e-3, 1.0);
        for (parameter, (name, _, moved)) in parameters.iter().zip(names) {
            let value = parameter.value.clone().into_data().try_into_vec::<f32>().expect("f32");
            assert!((1.0 - value[0] - moved).abs() < 1e-6, "{name}: {value:?}");
        }
    }
}
