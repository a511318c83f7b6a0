//! What a search for a learning rate found; `lorakeet_core::train::finder` makes it.

use super::number;
use lorakeet_i18n::Message;
use serde::{Deserialize, Serialize};

/// A step of a search.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RatePoint {
    /// From 1.
    pub step: usize,
    /// The rate that the step used.
    #[serde(with = "number")]
    pub learning_rate: f64,
    /// Mean loss a target token before the step's update.
    #[serde(with = "number")]
    pub loss: f64,
    /// The loss smoothed: a ← β·a + (1 − β)·loss, divided by 1 − βⁿ after n steps, with β = 0.8.
    #[serde(with = "number")]
    pub smoothed: f64,
}

/// By what a search ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SearchEnd {
    /// The smoothed loss rose above four times its lowest value.
    Exploded,
    /// The loss or the gradient's norm was no finite number at the rate after the last point's.
    NotFinite,
    /// The highest rate was reached.
    Range,
}

/// What a search found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RateSearch {
    /// Its steps in their order, rates growing.
    pub points: Vec<RatePoint>,
    /// By what it ended.
    pub end: SearchEnd,
    /// The rate at which the smoothed loss falls fastest over ln(rate); none where it did not fall clearly.
    pub steepest: Option<f64>,
    /// A tenth of the rate at which the smoothed loss is lowest; none where it did not fall clearly.
    pub tenth_of_minimum: Option<f64>,
    /// The lower of the two, in two digits.
    pub recommended: Option<f64>,
    /// Why this one, or why none.
    pub reason: Message,
}
