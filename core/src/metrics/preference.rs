//! Which of two answers a model prefers.

use super::{check_rows, mean};
use crate::error::Result;

/// How a policy judges pairs of answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PreferenceScores {
    /// The share of pairs whose chosen answer has the higher reward; a tie is no preference.
    pub accuracy: f64,
    /// The mean of reward of chosen − reward of rejected.
    pub margin: f64,
}

/// DPO's implicit reward of each answer (Rafailov et al., 2023): β·(log p by the policy − log p by the reference).
///
/// # Errors
/// No rows, or not as many of one as of the other.
pub fn rewards(policy: &[f64], reference: &[f64], beta: f64) -> Result<Vec<f64>> {
    check_rows(policy.len(), reference.len())?;
    let pairs = policy.iter().zip(reference);
    Ok(pairs.map(|(policy, reference)| beta * (policy - reference)).collect())
}

/// How the rewards of chosen and rejected answers compare, pair by pair.
///
/// # Errors
/// No pairs, or not as many of one as of the other.
pub fn preference(chosen: &[f64], rejected: &[f64]) -> Result<PreferenceScores> {
    check_rows(chosen.len(), rejected.len())?;
    let pairs = || chosen.iter().zip(rejected);
    Ok(PreferenceScores {
        accuracy: mean(pairs().map(|(chosen, rejected)| f64::from(u8::from(chosen > rejected)))),
        margin: mean(pairs().map(|(chosen, rejected)| chosen - rejected)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_is_no_preference() {
        let scores = preference(&[1.0, 0.5, 2.0, -1.0], &[0.0, 0.5, 3.0, -2.0]).expect("pairs");
        assert_eq!(
            scores,
            PreferenceScores {
                accuracy: 0.5,
                margin: 0.25
            }
        );
        assert_eq!(rewards(&[-3.0], &[-5.0], 0.5), Ok(vec![1.0]));
        assert!(preference(&[], &[]).is_err());
    }
}
