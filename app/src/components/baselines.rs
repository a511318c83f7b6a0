//! Step 4: the scores to beat, there before the first step.

use super::scores::{Scores, Way};
use super::step::{Step, StepStatus};
use crate::format;
use crate::report::value;
use crate::run::Phase;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{Baseline, BaselineKind};
use lorakeet_core::task::is_lower_better;

/// The step of what there is to beat; it is filled at the start of a run.
#[component]
pub fn BaselineStep() -> impl IntoView {
    let state = expect_context::<PageState>();
    let outcome = state.training.outcome;
    let is_empty = Memo::new(move |_| known(state).is_empty());
    let is_starting = Memo::new(move |_| state.training.phase.with(|phase| *phase == Phase::Starting));
    let best = Memo::new(move |_| {
        let of_report = outcome
            .report
            .with(|report| report.as_ref().map(|report| report.metric.clone()));
        let of_settings = || {
            let outlook = state.loaded.outlook;
            outlook.with(|outlook| outlook.as_ref().map(|outlook| outlook.metric.clone()))
        };
        let metric = of_report.or_else(of_settings)?;
        best(&metric, &known(state)).map(|(kind, value)| (metric, kind, value))
    });
    let summary = Signal::derive(move || {
        let words = state.words().moments;
        match best.get() {
            Some((metric, kind, value)) => {
                let way = kind.message().text(state.language.get());
                (words.to_beat)(&metric, &format::loss(value), &way)
            }
            None if is_starting.get() => words.baseline_busy.to_owned(),
            None => words.baseline_none.to_owned(),
        }
    });
    let standing = Signal::derive(move || match is_empty.get() {
        false => StepStatus::Ready,
        true if is_starting.get() => StepStatus::Busy,
        true => StepStatus::Waiting,
    });
    view! {
        <Step number=4 id="baseline" title=Signal::derive(state.text(|w| w.moments.baseline)) summary standing>
            <Baselines/>
        </Step>
    }
}

/// The baselines, as long as the data are those that they were scored on.
fn known(state: PageState) -> Vec<Baseline> {
    let training = state.training;
    let is_old = training.outcome.is_of_other_data.get() && training.shared.with(Option::is_none);
    if is_old {
        Vec::new()
    } else {
        training.outcome.baselines.get()
    }
}

/// The best value of a metric among the baselines, and what has it.
fn best(metric: &str, baselines: &[Baseline]) -> Option<(BaselineKind, f64)> {
    let values = baselines
        .iter()
        .filter_map(|one| Some((one.kind, value(&one.metrics, metric)?)));
    let sign = if is_lower_better(metric) { -1.0 } else { 1.0 };
    values
        .filter(|(_, value)| value.is_finite())
        .max_by(|one, other| (sign * one.1).total_cmp(&(sign * other.1)))
}

/// What can be had without training.
#[component]
pub fn Baselines() -> impl IntoView {
    let state = expect_context::<PageState>();
    let empty = Memo::new(move |_| known(state).is_empty());
    let ways = Signal::derive(move || ways(state, known(state)));
    let judged = Signal::derive(move || {
        state
            .loaded
            .outlook
            .with(|outlook| outlook.as_ref().map(|outlook| outlook.metric.clone()))
    });
    view! {
        <section class="result" data-testid="baselines">
            <h3>{state.text(|w| w.tasks.baselines)}</h3>
            <p class="hint">{state.text(|w| w.tasks.baselines_hint)}</p>
            <Show when=move || !empty.get()
                fallback=move || view! { <p class="waiting">{state.text(|w| w.tasks.baselines_waiting)}</p> }>
                <Scores caption=Signal::derive(state.text(|w| w.tasks.metrics)) ways judged/>
            </Show>
        </section>
    }
}

/// The ways to answer without training, in words.
pub fn ways(state: PageState, baselines: Vec<Baseline>) -> Vec<Way> {
    let language = state.language.get();
    let way = |baseline: Baseline| (baseline.kind.message().text(language), baseline.metrics, false);
    baselines.into_iter().map(way).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lorakeet_core::protocol::Metric;

    #[test]
    fn the_score_to_beat_is_the_highest_and_of_a_loss_the_lowest() {
        let baseline = |kind: BaselineKind, accuracy: f64, loss: f64| Baseline {
            kind,
            name: kind.name().to_owned(),
            metrics: [("accuracy", accuracy), ("loss", loss)]
                .map(|(name, value)| Metric {
                    name: name.to_owned(),
                    value,
                })
                .to_vec(),
        };
        let baselines = [
            baseline(BaselineKind::MajorityClass, 0.5, f64::NAN),
            baseline(BaselineKind::LinearProbe, 0.9, 0.4),
            baseline(BaselineKind::NearestCentroid, 0.8, 0.3),
        ];
        assert_eq!(best("accuracy", &baselines), Some((BaselineKind::LinearProbe, 0.9)));
        assert_eq!(best("loss", &baselines), Some((BaselineKind::NearestCentroid, 0.3)));
        assert_eq!(best("r2", &baselines), None);
    }
}
