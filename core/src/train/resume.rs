//! What a run may change when it goes on from a checkpoint. The table of knobs says it of each
//! ([`OnResume`](crate::config::OnResume)): what changes a step that was done, or what the run learns, is refused, and so is all that
//! the table says nothing of. The length is refused where the steps done would have had other learning rates.

use super::schedule::Schedule;
use crate::config::{Plan, RunConfig};
use crate::error::{Error, Result};
use lorakeet_i18n::Message;
use lorakeet_i18n::messages::run as msg;

/// Whether a run that had `before` steps when it had done `done` of them may have those of `plan`: only if the steps done would
/// have had the same rates.
///
/// # Errors
/// Which schedule keeps it from that.
pub(super) fn check_length(config: &RunConfig, plan: &Plan, before: usize, done: usize) -> Result<Option<Message>> {
    // One that has done more than it is to have is refused elsewhere.
    if before == plan.max_steps || done > plan.max_steps {
        return Ok(None);
    }
    let old = Plan {
        max_steps: before,
        warmup_steps: config.planned_warmup(before),
        ..*plan
    };
    let [old, new] = [old, *plan].map(|plan| Schedule::new(config, &plan));
    let steps = plan.max_steps;
    if (0..done).all(|step| old.learning_rate(step) == new.learning_rate(step)) {
        return Ok(Some(msg::LengthChanged { steps, before }.into()));
    }
    let field = match config.max_steps > 0 {
        true => "max_steps",
        false => "num_train_epochs",
    };
    let schedule = config.lr_scheduler_type.name();
    let error = Error::config(msg::LengthChangesRates {
        steps,
        before,
        schedule,
    })
    .field(field);
    Err(error.remedy(msg::SetLengthBack { before }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SchedulerType;

    #[test]
    fn a_run_gets_longer_where_the_steps_done_have_the_same_rates() {
        let at = |kind, warmup_steps, done| {
            let config = RunConfig {
                lr_scheduler_type: kind,
                warmup_steps,
                warmup_ratio: 0.1,
                max_steps: 40,
                ..RunConfig::default()
            };
            check_length(&config, &config.plan(100), 20, done)
        };
        use SchedulerType::{Constant, ConstantWithWarmup, Cosine, InverseSqrt, Linear};
        for (kind, warmup_steps) in [(Constant, 0), (ConstantWithWarmup, 3), (InverseSqrt, 3)] {
            assert!(at(kind, warmup_steps, 20).expect("it may").is_some(), "{kind:?}");
        }
        for (kind, warmup_steps) in [(Cosine, 0), (Linear, 3), (ConstantWithWarmup, 0), (InverseSqrt, 0)] {
            let error = at(kind, warmup_steps, 10).expect_err("other rates");
            let text = error.to_string();
            assert!(
                text.contains(kind.name()) && text.contains("40") && text.contains("20"),
                "{text}"
            );
            assert_eq!(error.field_name(), Some("max_steps"));
        }
        // As long as nothing but the warm-up is done.
        assert!(at(Cosine, 3, 3).expect("it may").is_some());
        assert!(at(Cosine, 3, 41).expect("refused elsewhere").is_none());
    }
}
