//! A sweep as it is written down: what it tries, what its runs say on the way, and what it comes to.

use super::{Halving, Progress, Standing, Turn, Variant, Variants};
use crate::config::{KNOBS, RunConfig, find};
use crate::error::{Error, Kind, Result};
use crate::protocol::{Event, Metric, RunLabels, RunState, Sweep, SweptRun, SweptRung, SweptScore};
use serde_json::Value;

/// Knobs that a sweep sets to compare its runs, and that are no part of what it found.
const OF_SWEEP: [&str; 4] = ["data_seed", "eval_strategy", "eval_steps", "save_total_limit"];

/// What a sweep makes of what its run says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The run goes on.
    Nothing,
    /// It has come as far as it was to come, and is to be stopped.
    Stop,
}

/// Where a run of a sweep stands, as a table shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Row {
    /// It has not begun.
    Waiting,
    /// It has begun and is to go on.
    Begun,
    /// It was left behind after so many parts.
    LeftBehind(usize),
    /// It is finished.
    Finished,
    /// It failed.
    Out,
}

/// The best run of a sweep, and what its lead is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Best {
    /// Which, by its place.
    pub run: usize,
    /// Runs that were scored.
    pub scored: usize,
    /// Rows on which they were.
    pub held_out: usize,
    /// Of the other finished runs how many have a score within its interval: what these rows cannot tell from it. None where there
    /// is no interval.
    pub alike: Option<usize>,
}

impl SweptRun {
    /// The runs of a sweep of these variants of `base`, none of which has begun.
    pub fn of(variants: &Variants, base: &RunConfig) -> Vec<Self> {
        let run = |variant: &Variant| {
            let changed = KNOBS.iter().filter_map(|knob| {
                let value = variant.resolved.config.get(knob.name)?;
                (base.get(knob.name).as_ref() != Some(&value)).then(|| (knob.name.to_owned(), value))
            });
            Self {
                values: variant.values.clone(),
                settings: changed.collect(),
                run: None,
                max_steps: None,
                step: 0,
                held_out: 0,
                rungs: Vec::new(),
                loss: None,
                score: None,
                is_finished: false,
                failure: None,
            }
        };
        variants.all.iter().map(run).collect()
    }

    fn progress(&self) -> Progress {
        Progress {
            losses: self.rungs.iter().map(|rung| (rung.parts, rung.loss)).collect(),
            is_out: self.failure.is_some(),
        }
    }

    fn standing(&self) -> Option<Standing> {
        self.loss.map(|loss| Standing {
            is_finished: self.is_finished,
            step: self.step,
            score: self.score.as_ref().map(|score| (score.metric.clone(), score.value)),
            loss: Some(loss),
        })
    }

    fn reach(&mut self, parts: usize, loss: f64) {
        if !self.rungs.iter().any(|rung| rung.parts == parts) {
            self.rungs.push(SweptRung { parts, loss });
        }
    }
}

impl Sweep {
    fn halving(&self) -> Halving {
        match self.halves {
            true => Halving::Halves,
            false => Halving::None,
        }
    }

    fn progress(&self) -> Vec<Progress> {
        self.runs.iter().map(SweptRun::progress).collect()
    }

    /// What is to be trained next; none once it is over.
    pub fn next(&self) -> Option<Turn> {
        self.halving().next(&self.progress())
    }

    /// Whether a turn is over: its run has come as far as it was to come, or is out.
    pub fn is_over(&self, turn: Turn) -> bool {
        let progress = self.runs.get(turn.run).map(SweptRun::progress);
        progress.is_none_or(|progress| progress.is_out || progress.loss_after(turn.parts).is_some())
    }

    /// Whether the time that it may take is over.
    pub fn is_out_of_time(&self) -> bool {
        self.budget_ms.is_some_and(|budget| self.spent_ms >= budget)
    }

    /// The base run's settings.
    ///
    /// # Errors
    /// A knob that is not known here, or has another type: another release wrote it.
    pub fn base(&self) -> Result<RunConfig> {
        let mut config = RunConfig::default();
        for (name, value) in &self.settings {
            config.set(name, value)?;
        }
        Ok(config)
    }

    /// The settings of a run.
    ///
    /// # Errors
    /// As [`Sweep::base`].
    pub fn config(&self, run: usize) -> Result<RunConfig> {
        let mut config = self.base()?;
        for (name, value) in self.runs.get(run).iter().flat_map(|run| &run.settings) {
            config.set(name, value)?;
        }
        Ok(config)
    }

    /// What a run has of its own among the settings: the swept knobs, and what follows from them.
    pub fn found(&self, run: usize) -> Vec<(&'static str, Value)> {
        let Some(run) = self.runs.get(run) else {
            return Vec::new();
        };
        let swept = self.knobs.iter().zip(&run.values);
        let follows = |name: &String| !self.knobs.contains(name) && !OF_SWEEP.contains(&name.as_str());
        let following = run.settings.iter().filter(|(name, _)| follows(name));
        let all = swept.chain(following);
        all.filter_map(|(name, value)| Some((find(name)?.name, value.clone())))
            .collect()
    }

    /// The word by which all of its runs are found.
    pub fn tag(&self) -> String {
        format!("sweep-{}", self.id.rsplit('-').next().unwrap_or(&self.id))
    }

    /// What a run is called among the stored ones: `sweep · learning_rate 0.0003 · lora_r 16`.
    pub fn labels(&self, run: usize) -> RunLabels {
        let mut name = "sweep".to_owned();
        let values = self.runs.get(run).map(|run| &run.values[..]).unwrap_or_default();
        for (knob, value) in self.knobs.iter().zip(values) {
            let value = match value {
                Value::String(text) => text.clone(),
                value => value.to_string(),
            };
            name.push_str(&format!(" · {knob} {value}"));
        }
        if name.chars().count() > RunLabels::MOST_CHARACTERS {
            name = name.chars().take(RunLabels::MOST_CHARACTERS - 1).chain(['…']).collect();
        }
        RunLabels {
            name: Some(name),
            tags: vec![self.tag()],
        }
    }

    /// Takes in what the run of a turn says. One that goes on says its scores so far anew: where it was cut off after it had come as
    /// far as it was to come, and before that was written down, it is to be stopped at once.
    pub fn hear(&mut self, turn: Turn, event: &Event) -> Heard {
        if let Event::Continued { evals, .. } = event {
            let mut heard = Heard::Nothing;
            for eval in evals {
                heard = self.hear(turn, &Event::Eval(eval.clone()));
            }
            return heard;
        }
        let rungs = self.halving().rungs();
        let Some(run) = self.runs.get_mut(turn.run) else {
            return Heard::Nothing;
        };
        match event {
            Event::Started(info) => (run.max_steps, run.held_out) = (Some(info.max_steps), info.eval_examples),
            // The base model's score is not the run's.
            Event::Eval(eval) if eval.step > 0 => {
                (run.step, run.loss) = (eval.step, Some(eval.loss));
                let steps = run.max_steps.unwrap_or(usize::MAX);
                let is_here = |parts: &&usize| eval.step < steps && Halving::step_after(**parts, steps) == eval.step;
                for parts in rungs.iter().filter(is_here) {
                    run.reach(*parts, eval.loss);
                }
                if (Halving::step_after(turn.parts, steps)..steps).contains(&eval.step) {
                    return Heard::Stop;
                }
            }
            Event::Report(report) => {
                let value = Metric::value_of(&report.metrics, &report.metric);
                run.score = value.map(|value| SweptScore {
                    metric: report.metric.clone(),
                    value,
                    interval: None,
                });
            }
            Event::Judgement(judgement) => {
                if let Some(score) = run.score.as_mut().filter(|score| score.metric == judgement.metric) {
                    score.interval = judgement.intervals.last().copied().flatten();
                }
            }
            Event::Done(summary) => {
                run.step = summary.steps;
                if summary.finished {
                    run.is_finished = true;
                    run.loss = summary.eval_loss_after.or(run.loss);
                    // One that its scores ended early has come to its end.
                    for parts in rungs {
                        if let Some(loss) = run.loss {
                            run.reach(*parts, loss);
                        }
                    }
                }
            }
            _ => {}
        }
        Heard::Nothing
    }

    /// Takes in that the run of a turn failed; whether the sweep goes on without it. It does where the run diverged, its memory did
    /// not suffice, or its settings were refused, unless none has done a step: then it is the sweep's own mistake.
    pub fn fail(&mut self, turn: Turn, error: &Error) -> bool {
        let has_begun = self.runs.iter().any(|run| run.step > 0);
        let goes_on = match error.kind {
            Kind::Diverged | Kind::OutOfMemory => true,
            Kind::Config => has_begun,
            _ => false,
        };
        if let Some(run) = self.runs.get_mut(turn.run).filter(|_| goes_on) {
            run.failure = Some(error.clone());
        }
        goes_on
    }

    /// Forgets the records of runs that are in the store no more: what is to go on begins anew. What they were scored with stays.
    pub fn keep_runs(&mut self, is_there: impl Fn(&str) -> bool) {
        for run in &mut self.runs {
            if run.run.as_ref().is_some_and(|id| !is_there(id)) {
                run.run = None;
            }
        }
    }

    /// Where its runs stand.
    pub fn rows(&self) -> Vec<Row> {
        let behind = self.halving().left_behind(&self.progress());
        let row = |(run, behind): (&SweptRun, Option<usize>)| match behind {
            _ if run.failure.is_some() => Row::Out,
            _ if run.is_finished => Row::Finished,
            Some(parts) => Row::LeftBehind(parts),
            None if run.run.is_some() || run.step > 0 => Row::Begun,
            None => Row::Waiting,
        };
        self.runs.iter().zip(behind).map(row).collect()
    }

    /// How many of its runs have nothing more to do.
    pub fn done(&self) -> usize {
        let is_done = |row: &&Row| !matches!(row, Row::Waiting | Row::Begun);
        self.rows().iter().filter(is_done).count()
    }

    /// Its runs by their places, the best first.
    pub fn order(&self) -> Vec<usize> {
        let standings: Vec<Option<Standing>> = self.runs.iter().map(SweptRun::standing).collect();
        let mut order: Vec<usize> = (0..self.runs.len()).collect();
        order.sort_by(|a, b| Standing::compare(standings[*a].as_ref(), standings[*b].as_ref()));
        order
    }

    /// The best of its finished runs.
    pub fn best(&self) -> Option<Best> {
        let place = self.order().into_iter().next()?;
        let run = self.runs.get(place).filter(|run| run.is_finished)?;
        let score = run.score.as_ref();
        let interval = score.and_then(|score| Some((&score.metric, score.interval?)));
        let others = self.runs.iter().enumerate().filter(|(other, _)| *other != place);
        let alike = interval.map(|(metric, interval)| {
            let is_alike = |(_, other): &(usize, &SweptRun)| {
                let score = other.score.as_ref().filter(|_| other.is_finished);
                score.is_some_and(|score| {
                    score.metric == *metric && (interval.low..=interval.high).contains(&score.value)
                })
            };
            others.filter(is_alike).count()
        });
        Some(Best {
            run: place,
            scored: self.runs.iter().filter(|run| run.loss.is_some()).count(),
            held_out: run.held_out,
            alike,
        })
    }

    /// Whether it can be gone on with: it was interrupted, stopped, or its time was over.
    pub fn can_go_on(&self) -> bool {
        self.state != RunState::Finished && self.next().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Resolved;
    use crate::protocol::{EvalInfo, Interval, Judgement, Report, RunInfo, RunInput, RunRecord, RunSummary};
    use crate::sweep::split_values;
    use crate::task::Task;
    use lorakeet_i18n::Message;

    fn sweep(values: &str) -> Sweep {
        let base = RunConfig::default();
        let swept = [
            ("learning_rate".to_owned(), split_values(values)),
            ("lora_r".to_owned(), vec!["16".to_owned()]),
        ];
        let variants = Variants::of(&Resolved::of_config(base.clone()), &swept, None, false).expect("a sweep");
        Sweep {
            id: "19ab-00ff".into(),
            started_ms: 1.0,
            knobs: variants.knobs.iter().map(|knob| (*knob).to_owned()).collect(),
            settings: RunRecord::settings_of(&base),
            halves: variants.halving == Halving::Halves,
            budget_ms: None,
            spent_ms: 0.0,
            state: RunState::Open,
            task: Task::Classification,
            model: RunInput::Bundled("model".into()),
            data: RunInput::Bundled("data".into()),
            validation: None,
            adapter: None,
            runs: SweptRun::of(&variants, &base),
        }
    }

    fn started(max_steps: usize) -> Event {
        Event::Started(RunInfo {
            max_steps,
            train_examples: 90,
            eval_examples: 40,
            trainable_parameters: 1,
            all_parameters: 2,
            task: Task::Classification,
            loss: String::new(),
        })
    }

    fn eval(step: usize, loss: f64) -> Event {
        Event::Eval(EvalInfo {
            step,
            loss,
            perplexity: loss.exp(),
            tokens: 40,
            metrics: Vec::new(),
        })
    }

    fn done(steps: usize, finished: bool, loss: f64) -> Event {
        Event::Done(RunSummary {
            finished,
            steps,
            train_loss: loss,
            eval_loss_before: Some(9.0),
            eval_loss_after: Some(loss),
            seconds: 1.0,
        })
    }

    fn report(accuracy: f64) -> Event {
        Event::Report(Box::new(Report {
            task: Task::Classification,
            metric: "accuracy".into(),
            metrics: vec![Metric {
                name: "accuracy".into(),
                value: accuracy,
            }],
            baselines: Vec::new(),
            against: String::new(),
            comparison: None,
            verdict: None,
            sentence: Message::verbatim(String::new()),
            labels: Vec::new(),
            confusion: Vec::new(),
            classes: Vec::new(),
            calibration: Vec::new(),
        }))
    }

    fn judgement(low: f64, high: f64) -> Event {
        Event::Judgement(Box::new(Judgement {
            metric: "accuracy".into(),
            intervals: vec![
                None,
                Some(Interval {
                    low,
                    high,
                    confidence: 0.95,
                }),
            ],
            ..Judgement::default()
        }))
    }

    /// Trains the sweep as runs of ten steps that say what runs say, with these losses; gives the turns.
    fn train(sweep: &mut Sweep, losses: &[f64]) -> Vec<(usize, usize)> {
        let mut turns = Vec::new();
        while let Some(turn) = sweep.next() {
            turns.push((turn.run, turn.parts));
            assert!(turns.len() < 100, "it never ends");
            let loss = losses[turn.run];
            assert_eq!(sweep.hear(turn, &started(10)), Heard::Nothing);
            assert_eq!(sweep.hear(turn, &eval(0, 9.0)), Heard::Nothing);
            let from = sweep.runs[turn.run].step;
            let last = [3, 6, 9].into_iter().filter(|step| *step > from).find(|step| {
                let heard = sweep.hear(turn, &eval(*step, loss));
                heard == Heard::Stop
            });
            let finished = last.is_none();
            for event in [
                report(1.0 - loss / 10.0),
                judgement(0.75, 0.95),
                done(last.unwrap_or(10), finished, loss),
            ] {
                assert_eq!(sweep.hear(turn, &event), Heard::Nothing);
            }
            assert!(sweep.is_over(turn));
        }
        turns
    }

    #[test]
    fn a_run_that_had_come_as_far_as_it_was_to_come_is_stopped_as_it_goes_on() {
        let past = |scores: &[(usize, f64)]| {
            let evals = scores.iter().filter_map(|(step, loss)| match eval(*step, *loss) {
                Event::Eval(eval) => Some(eval),
                _ => None,
            });
            Event::Continued {
                step: 3,
                steps: Vec::new(),
                evals: evals.collect(),
                samples: Vec::new(),
            }
        };
        let mut sweep = sweep("1e-5,1e-4,1e-3,1e-2");
        let turn = sweep.next().expect("a turn");
        sweep.hear(turn, &started(10));
        assert_eq!(sweep.hear(turn, &past(&[(0, 9.0)])), Heard::Nothing);
        assert!(!sweep.is_over(turn));
        assert_eq!(sweep.hear(turn, &past(&[(0, 9.0), (3, 4.0)])), Heard::Stop);
        assert!(sweep.is_over(turn));
        // Its next part begins where that one ended.
        let next = Turn { parts: 2, ..turn };
        assert_eq!(sweep.hear(next, &past(&[(0, 9.0), (3, 4.0)])), Heard::Nothing);
        assert_eq!(sweep.hear(next, &eval(6, 3.0)), Heard::Stop);
    }

    #[test]
    fn a_sweep_that_hears_its_runs_leaves_the_worse_half_behind_twice_and_names_the_best() {
        let mut sweep = sweep("1e-5,1e-4,1e-3,1e-2");
        assert!(sweep.halves && sweep.best().is_none() && sweep.can_go_on());
        let turns = train(&mut sweep, &[4.0, 1.0, 3.0, 2.0]);
        assert_eq!(turns, [(0, 1), (1, 1), (2, 1), (3, 1), (1, 2), (3, 2), (1, 4)]);
        let wanted = [
            Row::LeftBehind(1),
            Row::Finished,
            Row::LeftBehind(1),
            Row::LeftBehind(2),
        ];
        assert_eq!(sweep.rows(), wanted);
        assert_eq!(sweep.runs.iter().map(|run| run.step).collect::<Vec<_>>(), [3, 10, 3, 6]);
        assert_eq!(sweep.order(), [1, 3, 2, 0]);
        let best = Best {
            run: 1,
            scored: 4,
            held_out: 40,
            alike: Some(0),
        };
        assert_eq!(sweep.best(), Some(best));
        assert!(sweep.done() == 4 && !sweep.can_go_on());
    }

    #[test]
    fn what_the_rows_cannot_tell_from_the_best_is_counted() {
        let mut sweep = sweep("1e-5,1e-4,1e-3");
        assert!(!sweep.halves);
        assert_eq!(train(&mut sweep, &[4.0, 1.0, 2.0]), [(0, 4), (1, 4), (2, 4)]);
        // 0.9 with an interval from 0.75 on; 0.8 lies within, 0.6 does not.
        let best = sweep.best().expect("a best one");
        assert_eq!((best.run, best.alike), (1, Some(1)));
        for run in &mut sweep.runs {
            run.score = None;
        }
        // Without a metric the loss decides, and nothing is known of chance.
        let best = sweep.best().expect("a best one");
        assert_eq!((best.run, best.alike), (1, None));
    }

    #[test]
    fn what_diverges_is_out_and_what_never_began_ends_the_sweep() {
        let mut sweep = sweep("1e-5,1e-4");
        let error = |kind| Error::new(kind, Message::verbatim("so it is"));
        let first = sweep.next().expect("a first");
        assert!(!sweep.fail(first, &error(Kind::Config)) && !sweep.fail(first, &error(Kind::Device)));
        assert!(sweep.fail(first, &error(Kind::Diverged)) && sweep.is_over(first));
        let second = sweep.next().expect("a second");
        assert_eq!(second.run, 1);
        sweep.hear(second, &started(10));
        sweep.hear(second, &eval(3, 1.0));
        assert!(sweep.fail(second, &error(Kind::Config)));
        assert!(sweep.next().is_none() && sweep.best().is_none());
        assert_eq!(sweep.rows(), [Row::Out, Row::Out]);
    }

    #[test]
    fn a_run_has_its_own_settings_and_a_name_to_find_it_by() {
        let mut sweep = sweep("0.0003,0.001");
        let config = sweep.config(0).expect("settings");
        assert_eq!((config.learning_rate, config.lora_r), (0.0003, 16));
        assert_eq!(config.lora_alpha, 32.0, "it follows");
        assert_eq!(config.data_seed, Some(RunConfig::default().seed));
        let labels = sweep.labels(0);
        assert_eq!(labels.name.as_deref(), Some("sweep · learning_rate 0.0003 · lora_r 16"));
        assert_eq!(labels.tags, ["sweep-00ff"]);
        let names: Vec<&str> = sweep.found(0).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["learning_rate", "lora_r", "lora_alpha"]);
        sweep.knobs[0] = "x".repeat(90);
        let name = sweep.labels(0).checked().expect("it fits").name;
        assert!(name.is_some_and(|name| name.ends_with('…')));

        (sweep.runs[0].run, sweep.runs[1].run) = (Some("a".into()), Some("b".into()));
        sweep.keep_runs(|id| id == "b");
        assert!(sweep.runs[0].run.is_none() && sweep.runs[1].run.is_some());
        (sweep.budget_ms, sweep.spent_ms) = (Some(60_000.0), 59_999.0);
        assert!(!sweep.is_out_of_time());
        sweep.spent_ms = 60_000.0;
        assert!(sweep.is_out_of_time());
    }
}
