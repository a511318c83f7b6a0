//! Groups of small tensors that a GPU updates in one launch: which tensors are in one, the tensors that hold a group's values,
//! moments and gradients, and how the parameters become slices of it.

use super::{AdamW, GradientSum, State, in_eight_bits};
use crate::config::Optimizer;
use crate::error::Result;
use crate::models::{Parameters, read};
use crate::ops::{self, GradientPlaces};
use burn::tensor::Tensor;
use std::collections::BTreeMap;
use std::ops::Range;

/// The elements of a tensor in a group are a multiple of this: it is then a slice of the group's that begins where a GPU's
/// binding may begin, and no copy.
const GROUPED_MULTIPLE: usize = 64;
/// A larger tensor is updated alone: a group exists twice while it is updated.
const MOST_GROUPED: usize = 1 << 18;
/// The most elements of a group.
const LARGEST_GROUP: usize = 1 << 20;

/// Tensors of one rate and decay that a GPU updates in one launch, since a launch costs the host more than the arithmetic of a
/// small tensor: their values one after the other, their moments, and in a step their gradients.
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    /// Until the parameters are slices of it, `None`.
    pub(super) values: Option<Tensor<1>>,
    pub(super) m: Tensor<1>,
    pub(super) v: Tensor<1>,
}

impl Group {
    /// A group of some of its members.
    fn part(&self, members: Vec<Member>) -> Self {
        let of = |flat: &Tensor<1>| Tensor::cat(members.iter().map(|member| member.of(flat)).collect(), 0);
        let (values, m, v) = (self.values.as_ref().map(of), of(&self.m), of(&self.v));
        let members = placed(members.iter().map(|member| (member.number, member.len)));
        Self { members, values, m, v }
    }
}

/// Where in its group a tensor is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    /// Its number among the parameters.
    pub(super) number: usize,
    start: usize,
    pub(super) len: usize,
}

impl Member {
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// Its part of one of the group's tensors.
    pub(super) fn of(&self, flat: &Tensor<1>) -> Tensor<1> {
        flat.clone().narrow(0, self.start, self.len)
    }
}

/// What a step begins with: the values of groups, by their places, that the parameters are no slices of yet.
pub(crate) struct Gathered(Vec<(usize, Tensor<1>)>);

impl Gathered {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The gradients of a group.
pub(super) struct FlatGradients {
    members: Vec<Member>,
    /// The group's values, of which the parameters are slices.
    values: Tensor<1>,
    pub(super) sum: Option<Tensor<1>>,
}

/// Whether a tensor of so many elements is updated with others.
pub(crate) fn is_grouped(elements: usize, optim: Optimizer) -> bool {
    elements > 0
        && elements.is_multiple_of(GROUPED_MULTIPLE)
        && elements <= MOST_GROUPED
        && !in_eight_bits(elements, optim)
}

/// Tensors, given by number and elements, one after the other.
fn placed(tensors: impl Iterator<Item = (usize, usize)>) -> Vec<Member> {
    let mut end = 0;
    let members = tensors.map(|(number, len)| {
        let start = end;
        end += len;
        Member { number, start, len }
    });
    members.collect()
}

/// Groups of tensors that are given by number, elements and what those of a group have in common.
pub(super) fn groups<K: Ord>(tensors: impl Iterator<Item = (usize, usize, K)>) -> Vec<Vec<Member>> {
    let mut all: BTreeMap<K, Vec<Vec<(usize, usize)>>> = BTreeMap::new();
    for (number, len, alike) in tensors {
        let groups = all.entry(alike).or_default();
        let fits =
            |group: &&mut Vec<(usize, usize)>| group.iter().map(|(_, len)| len).sum::<usize>() + len <= LARGEST_GROUP;
        match groups.last_mut().filter(fits) {
            Some(group) => group.push((number, len)),
            None => groups.push(vec![(number, len)]),
        }
    }
    all.into_values()
        .flatten()
        .map(|group| placed(group.into_iter()))
        .collect()
}

/// The elements of each group of tensors with so many elements, as far as they are grouped.
pub(crate) fn group_sizes(elements: &[usize], optim: Optimizer) -> Vec<usize> {
    let grouped = elements.iter().enumerate().filter(|(_, n)| is_grouped(**n, optim));
    let groups = groups(grouped.map(|(i, n)| (i, *n, ())));
    groups
        .iter()
        .map(|group| group.iter().map(|member| member.len).sum())
        .collect()
}

impl GradientSum {
    /// ‖g‖ of each tensor by its number, read at once; 0 where nothing depended on one.
    ///
    /// # Errors
    /// The device failed.
    pub(crate) async fn norms(&self) -> Result<Vec<f64>> {
        let single = self.single.iter().enumerate();
        let single = single.filter_map(|(number, gradient)| Some((number, gradient.clone()?)));
        let grouped = self.flat.iter().flat_map(|flat| {
            let of = move |member: &Member| Some((member.number, member.of(flat.sum.as_ref()?)));
            flat.members.iter().filter_map(of)
        });
        let squares = single.chain(grouped);
        let squares = squares.map(|(number, gradient)| (number, ops::sum_squares(gradient, 1)));
        let (numbers, squares): (Vec<usize>, Vec<Tensor<1>>) = squares.unzip();
        let mut norms = vec![0.0; self.single.len()];
        if squares.is_empty() {
            return Ok(norms);
        }
        for (number, square) in numbers.into_iter().zip(read(Tensor::cat(squares, 0)).await?) {
            norms[number] = f64::from(square).sqrt();
        }
        Ok(norms)
    }

    /// Where the gradients of the next micro-batch are made.
    pub(crate) fn places(&self) -> GradientPlaces {
        GradientPlaces::of(self.flat.iter().map(|flat| flat.values.clone()))
    }

    /// Takes the gradients of a group, of which most were made in `place`, from `single`; the group is no more where one lacks.
    pub(super) fn add_flat(
        &mut self,
        mut flat: FlatGradients,
        place: Tensor<1>,
        single: &mut BTreeMap<usize, Tensor<1>>,
    ) -> Option<FlatGradients> {
        if flat.members.iter().any(|member| !single.contains_key(&member.number)) {
            if let Some(sum) = flat.sum {
                for member in flat.members {
                    self.single[member.number] = Some(member.of(&sum));
                }
            }
            return None;
        }
        let mut elsewhere = Vec::new();
        for member in &flat.members {
            if let Some(gradient) = single.remove(&member.number)
                && !ops::is_slice(gradient.clone(), place.clone(), member.start)
            {
                elsewhere.push((member.range(), gradient));
            }
        }
        // Nobody else holds the place any more, so that these are written into it.
        let gradients = elsewhere
            .into_iter()
            .fold(place, |place, (range, gradient)| place.slice_assign([range], gradient));
        flat.sum = Some(match flat.sum {
            Some(sum) => sum + gradients,
            None => gradients,
        });
        Some(flat)
    }

    /// Whether something depended on tensor `number`.
    fn has(&self, number: usize) -> bool {
        let of_flat = |flat: &FlatGradients| flat.sum.is_some() && flat.members.iter().any(|m| m.number == number);
        self.single[number].is_some() || self.flat.iter().any(of_flat)
    }

    /// The sum of a group's gradients, in the group's order; `None` where one of them lacks.
    pub(super) fn take_flat(&mut self, members: &[Member]) -> Option<Tensor<1>> {
        if let Some(place) = self.flat.iter().position(|flat| flat.members == members) {
            return self.flat.swap_remove(place).sum;
        }
        if members.iter().any(|member| self.single[member.number].is_none()) {
            return None;
        }
        let of_members = members.iter().filter_map(|member| self.single[member.number].take());
        Some(Tensor::cat(of_members.collect(), 0))
    }
}

impl AdamW {
    /// Where a step's gradients are gathered. On a GPU the parameters become slices of their groups' values here, if they are
    /// not yet or somebody else set some.
    pub fn gradients(&mut self, parameters: &mut Parameters) -> GradientSum {
        let gathered = self.gather(parameters);
        self.begin(gathered, parameters)
    }

    /// The values that [`Self::begin`] takes; nothing is changed yet, so that the device can be asked first whether they are there.
    pub(crate) fn gather(&self, parameters: &Parameters) -> Gathered {
        let is_current = self.replaced == Some(parameters.replaced());
        let groups = self.groups.iter().enumerate();
        let due = groups.filter(|(_, group)| !is_current || group.values.is_none());
        let gathered = due.map(|(place, group)| {
            let numbers = group.members.iter().map(|member| member.number);
            let values = numbers.filter_map(|i| Some(parameters.iter().nth(i)?.value.clone()));
            (place, Tensor::cat(values.collect(), 0))
        });
        Gathered(gathered.collect())
    }

    /// [`Self::gradients`] with what was gathered.
    pub(crate) fn begin(&mut self, gathered: Gathered, parameters: &mut Parameters) -> GradientSum {
        self.take_values(gathered, parameters);
        let flat = self.groups.iter().filter_map(|group| {
            Some(FlatGradients {
                members: group.members.clone(),
                values: group.values.clone()?,
                sum: None,
            })
        });
        GradientSum {
            flat: flat.collect(),
            ..GradientSum::new(parameters.len())
        }
    }

    pub(super) fn take_values(&mut self, gathered: Gathered, parameters: &mut Parameters) {
        for (place, values) in gathered.0 {
            let group = &mut self.groups[place];
            for member in &group.members {
                parameters.update(member.number, member.of(&values));
            }
            group.values = Some(values);
        }
        self.replaced = Some(parameters.replaced());
    }

    /// Takes tensors without a gradient out of their groups, for good.
    pub(super) fn leave_out(&mut self, gradients: &GradientSum) {
        for group in std::mem::take(&mut self.groups) {
            let all = group.members.iter().cloned();
            let (members, alone): (Vec<Member>, Vec<Member>) = all.partition(|member| gradients.has(member.number));
            for member in &alone {
                let (m, v) = (member.of(&group.m), member.of(&group.v));
                self.states[member.number] = State::Floats { m, v };
            }
            match (members.is_empty(), alone.is_empty()) {
                (_, true) => self.groups.push(group),
                (true, false) => {}
                (false, false) => self.groups.push(group.part(members)),
            }
        }
    }

    /// The most elements that one launch updates.
    pub(crate) fn largest_update(&self, parameters: &Parameters) -> usize {
        let groups = self.groups.iter().map(|group| group.m.dims()[0]);
        let tensors = parameters.iter().map(|parameter| parameter.value.dims()[0]);
        groups.chain(tensors).max().unwrap_or(0)
    }
}
