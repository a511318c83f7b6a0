//! Where a run holds by itself: after so many optimizer steps, as `step(count)` asks for.

/// The steps that were asked for, counted by the numbers that runs tell of theirs: of some runs only each tenth is told.
#[derive(Debug, Default)]
pub(super) struct StepLimit {
    /// Steps still to do; none where nobody counts.
    left: Option<u64>,
    /// The newest step that the run under way has told.
    told: usize,
}

impl StepLimit {
    /// So many steps from here on, in this run and in those after it.
    pub(super) fn ask(&mut self, steps: u64) {
        self.left = Some(steps);
    }

    /// Nobody counts any more.
    pub(super) fn lift(&mut self) {
        self.left = None;
    }

    /// A run begins; its steps are counted from 1.
    pub(super) fn begin_run(&mut self) {
        self.told = 0;
    }

    /// A run has told a step: whether it is to hold now.
    pub(super) fn is_reached(&mut self, step: usize) -> bool {
        let done = step.saturating_sub(std::mem::replace(&mut self.told, step));
        let left = self.left.map(|left| left.saturating_sub(done as u64));
        self.left = left.filter(|left| *left > 0);
        left == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_the_optimizer_are_counted_and_not_what_is_told_of_them() {
        let mut limit = StepLimit::default();
        limit.begin_run();
        limit.ask(20);
        let reached: Vec<bool> = [1, 10, 20, 30].map(|step| limit.is_reached(step)).into();
        assert_eq!(reached, [false, false, true, false]);
        limit.ask(1);
        assert!(
            limit.is_reached(40),
            "the next step that is told is the tenth from there"
        );
    }

    #[test]
    fn steps_are_counted_on_in_the_next_run() {
        let mut limit = StepLimit::default();
        limit.begin_run();
        limit.ask(3);
        assert!(!limit.is_reached(1) && !limit.is_reached(2));
        limit.begin_run();
        assert!(limit.is_reached(1));
    }

    #[test]
    fn a_run_goes_on_where_nobody_counts() {
        let mut limit = StepLimit::default();
        limit.begin_run();
        assert!(!limit.is_reached(5));
        limit.ask(2);
        limit.lift();
        assert!(!limit.is_reached(9));
    }
}
