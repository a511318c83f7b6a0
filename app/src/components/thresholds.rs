//! The decision threshold of a classifier: what it makes of the rows held out, what that costs, and which one is kept.

use super::scatter_plot::{ScatterPlot, share_axis};
use crate::curves::Line;
use crate::format;
use crate::judging::{KeptThreshold, rows_of};
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::metrics::threshold::{Costs, Counts, Cuts};
use lorakeet_core::protocol::{DecisionKind, Decisions};
use lorakeet_lab::pictures::path;
use web_sys::Event;

/// Points of the curves.
const POINTS: usize = 100;
/// Rows of their table.
const TABLE: usize = 10;

/// What stands where there is no one number.
const NONE: &str = "–";

/// What is chosen here.
#[derive(Clone, Copy)]
struct Chosen {
    kind: DecisionKind,
    /// The place of the positive class of two.
    positive: RwSignal<usize>,
    /// The label whose threshold is moved; none for all of them.
    label: RwSignal<Option<usize>>,
    /// One threshold; of labels one each.
    values: RwSignal<Vec<f64>>,
    /// Costs of a false positive and of a false negative, as they are written.
    costs: [RwSignal<String>; 2],
    /// The rows by probability, of each label.
    cuts: Memo<Vec<Cuts>>,
    /// The same of all labels together.
    pooled: Memo<Cuts>,
}

impl Chosen {
    fn new(decisions: Decisions) -> Self {
        let (kind, width) = (decisions.kind, decisions.width());
        let start = if kind == DecisionKind::Reject { 0.0 } else { 0.5 };
        let (positive, decisions) = (RwSignal::new(1), StoredValue::new(decisions));
        let cut =
            move |label| decisions.with_value(|found| Cuts::new(rows_of(found, label, positive.get()).into_iter()));
        Self {
            kind,
            positive,
            label: RwSignal::new(None),
            values: RwSignal::new(vec![start; width]),
            costs: [RwSignal::new("1".to_owned()), RwSignal::new("1".to_owned())],
            cuts: Memo::new(move |_| (0..width).map(|label| cut(Some(label))).collect()),
            pooled: Memo::new(move |_| cut(None)),
        }
    }

    /// The threshold that the slider shows; none where it is of several labels, whose thresholds differ.
    fn value(self) -> Option<f64> {
        let label = self.label.get();
        self.values.with(|values| shown(values, label))
    }

    fn set(self, value: f64) {
        let label = self.label.get_untracked();
        let value = value.clamp(0.0, 1.0);
        self.values.update(|values| match label {
            None => values.fill(value),
            Some(label) => values.iter_mut().skip(label).take(1).for_each(|one| *one = value),
        });
    }

    /// What the thresholds make of the rows of the label, or of all of them.
    fn counts(self) -> Counts {
        let label = self.label.get();
        self.cuts.with(|cuts| {
            let values = self.values.get();
            let of = cuts.iter().zip(values).enumerate();
            let chosen = of.filter(|(place, _)| label.is_none_or(|label| label == *place));
            chosen.fold(Counts::default(), |sum, (_, (cuts, value))| sum.plus(cuts.at(value)))
        })
    }

    /// The costs, where both are numbers from 0.
    fn costs(self) -> Option<Costs> {
        let [false_positive, false_negative] = self.costs.map(|text| text.with(|text| cost(text)));
        Some(Costs {
            false_positive: false_positive?,
            false_negative: false_negative?,
        })
    }

    /// Takes the cheapest threshold of what is chosen.
    fn take_cheapest(self) {
        let Some(costs) = untrack(|| self.costs()) else {
            return;
        };
        let best = match self.label.get_untracked() {
            None => self.pooled.with_untracked(|cuts| cuts.cheapest(self.kind, costs)),
            Some(label) => self
                .cuts
                .with_untracked(|cuts| cuts.get(label).and_then(|cuts| cuts.cheapest(self.kind, costs))),
        };
        if let Some(best) = best {
            self.set(best);
        }
    }

    /// Takes the cheapest threshold of each label.
    fn take_cheapest_of_each(self) {
        let Some(costs) = untrack(|| self.costs()) else {
            return;
        };
        let best = self.cuts.with_untracked(|cuts| {
            let best = cuts.iter().map(|cuts| cuts.cheapest(self.kind, costs).unwrap_or(0.5));
            best.collect::<Vec<f64>>()
        });
        self.values.set(best);
    }
}

/// The threshold of a label, or of all of them where they have one.
fn shown(values: &[f64], label: Option<usize>) -> Option<f64> {
    let first = *values.get(label.unwrap_or(0))?;
    let is_one = label.is_some() || values.iter().all(|value| *value == first);
    is_one.then_some(first)
}

/// A cost that was written down.
fn cost(text: &str) -> Option<f64> {
    let value = text.trim().parse::<f64>().ok()?;
    (value.is_finite() && value >= 0.0).then_some(value)
}

/// The thresholds of the last run, where its task has any.
#[component]
pub fn Thresholds() -> impl IntoView {
    let state = expect_context::<PageState>();
    let judgement = state.training.outcome.judgement;
    let decisions =
        Memo::new(move |_| judgement.with(|found| found.as_ref().and_then(|found| found.decisions.clone())));
    move || decisions.get().map(|decisions| view! { <Panel decisions/> })
}

#[component]
fn Panel(
    /// The run's.
    decisions: Decisions,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let names = decisions.names.clone();
    let chosen = Chosen::new(decisions);
    let kind = chosen.kind;
    let is_labels = kind == DecisionKind::Labels;
    let kept = state.training.outcome.kept;
    let keep = {
        let names = names.clone();
        move |_| {
            kept.set(Some(KeptThreshold {
                kind,
                names: names.clone(),
                positive: chosen.positive.get_untracked(),
                values: chosen.values.get_untracked(),
            }));
        }
    };
    let keeps = Memo::new(move |_| kept.with(|kept| kept.as_ref().map(KeptThreshold::text)));
    let told = move || keeps.get().map(|text| (state.words().judge.kept)(&text));
    let no_cost = Memo::new(move |_| chosen.costs().is_none());
    view! {
        <section class="result" data-testid="thresholds">
            <h3>{state.text(|w| w.judge.thresholds)}</h3>
            <p class="hint">{move || (state.words().judge.thresholds_hint)(kind)}</p>
            <div class="sampling">
                <Scope names chosen/>
                <Slider chosen/>
                <CostField chosen place=0/>
                <CostField chosen place=1/>
            </div>
            <p class="buttons">
                <button type="button" data-testid="cheapest-threshold" prop:disabled=no_cost
                    on:click=move |_| chosen.take_cheapest()>{state.text(|w| w.judge.cheapest)}</button>
                {is_labels.then(|| view! {
                    <button type="button" data-testid="cheapest-of-each" prop:disabled=no_cost
                        on:click=move |_| chosen.take_cheapest_of_each()>{state.text(|w| w.judge.cheapest_of_each)}</button>
                })}
                <button type="button" data-testid="keep-threshold" on:click=keep>{state.text(|w| w.judge.keep)}</button>
                <Show when=move || keeps.with(Option::is_some)>
                    <button type="button" class="quiet" data-testid="drop-threshold" on:click=move |_| kept.set(None)>
                        {state.text(|w| w.judge.drop)}
                    </button>
                </Show>
            </p>
            <p class="hint" role="status" data-testid="threshold-kept">{told}</p>
            <Outcome chosen/>
            <Curves chosen/>
        </section>
    }
    .into_any()
}

/// The positive class, or the label whose threshold is moved.
#[component]
fn Scope(
    /// The classes or labels.
    names: Vec<String>,
    /// What is chosen.
    chosen: Chosen,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let options = |names: Vec<String>| {
        let option = |(place, name): (usize, String)| {
            let is_chosen = move || chosen.positive.get() == place;
            view! { <option value=place.to_string() prop:selected=move || chosen.kind == DecisionKind::Binary && is_chosen()>{name}</option> }
        };
        names.into_iter().enumerate().map(option).collect_view()
    };
    match chosen.kind {
        DecisionKind::Reject => ().into_any(),
        DecisionKind::Binary => view! {
            <label class="field">
                <span class="field-name">{state.text(|w| w.judge.positive)}</span>
                <select data-testid="positive-class"
                    on:change=move |event| chosen.positive.set(event_target_value(&event).parse().unwrap_or(1))>
                    {options(names)}
                </select>
            </label>
        }
        .into_any(),
        DecisionKind::Labels => view! {
            <label class="field">
                <span class="field-name">{state.text(|w| w.judge.threshold_of)}</span>
                <select data-testid="threshold-of" on:change=move |event| chosen.label.set(event_target_value(&event).parse().ok())>
                    <option value="">{state.text(|w| w.judge.all_labels)}</option>
                    {options(names)}
                </select>
            </label>
        }
        .into_any(),
    }
}

/// The threshold as a slider and as a number.
#[component]
fn Slider(
    /// What is chosen.
    chosen: Chosen,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let slide = move |event: Event| {
        if let Ok(value) = event_target_value(&event).parse::<f64>() {
            chosen.set(value);
        }
    };
    let is_bad = RwSignal::new(false);
    Effect::new(move || {
        // Whatever was written before: another threshold stands there now.
        chosen.values.track();
        chosen.label.track();
        is_bad.set(false);
    });
    let write = move |event: Event| {
        let value = event_target_value(&event).trim().parse::<f64>();
        let value = value.ok().filter(|value| (0.0..=1.0).contains(value));
        is_bad.set(value.is_none());
        if let Some(value) = value {
            chosen.set(value);
        }
    };
    let value = move || {
        chosen
            .value()
            .map_or_else(|| NONE.to_owned(), |value| value.to_string())
    };
    // A slider stands somewhere: it is said that there is no one value.
    let place = move || chosen.value().unwrap_or(0.5).to_string();
    let spoken = move || chosen.value().is_none().then_some(NONE);
    view! {
        <div class="field threshold">
            <label class="slider">
                <span class="field-name">{state.text(|w| w.judge.threshold)}</span>
                <input type="range" min="0" max="1" step="0.01" data-testid="threshold-slider" aria-valuetext=spoken
                    prop:value=place on:input=slide/>
            </label>
            <input type="text" inputmode="decimal" class="short" data-testid="threshold" aria-label=state.text(|w| w.judge.threshold)
                aria-invalid=move || is_bad.get().then_some("true") prop:value=value on:change=write/>
            <Show when=move || is_bad.get()><span class="field-error">{state.text(|w| w.judge.bad_threshold)}</span></Show>
        </div>
    }
    .into_any()
}

/// What a mistake costs.
#[component]
fn CostField(
    /// What is chosen.
    chosen: Chosen,
    /// Of a false positive (0) or of a false negative (1).
    place: usize,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let text = chosen.costs[place];
    let label = move || {
        let words = state.words().judge;
        if place == 0 {
            (words.cost_positive)(chosen.kind)
        } else {
            (words.cost_negative)(chosen.kind)
        }
    };
    let is_bad = Memo::new(move |_| text.with(|text| cost(text).is_none()));
    let id = ["cost-false-positive", "cost-false-negative"][place];
    view! {
        <label class="field">
            <span class="field-name">{label}</span>
            <input type="text" inputmode="decimal" class="short" data-testid=id prop:value=text
                aria-invalid=move || is_bad.get().then_some("true") on:change=move |event| text.set(event_target_value(&event))/>
            <Show when=move || is_bad.get()><span class="field-error">{state.text(|w| w.judge.bad_cost)}</span></Show>
        </label>
    }
    .into_any()
}

/// What the threshold makes of the rows.
#[component]
fn Outcome(
    /// What is chosen.
    chosen: Chosen,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let counts = Memo::new(move |_| chosen.counts());
    let value = move |place: usize| {
        let counts = counts.get();
        let whole = |count: u64| format::whole(count as f64);
        match place {
            0 => whole(counts.true_positives),
            1 => whole(counts.false_positives),
            2 => whole(counts.false_negatives),
            3 => whole(counts.true_negatives),
            4 => format::loss(counts.precision()),
            5 => format::loss(counts.recall()),
            6 => format::loss(counts.f1()),
            _ => chosen
                .costs()
                .map_or(NONE.to_owned(), |costs| format::loss(counts.cost(chosen.kind, costs))),
        }
    };
    let number = |place: usize| {
        view! {
            <div class="number">
                <dt>{move || (state.words().judge.counts)(chosen.kind)[place]}</dt>
                <dd data-testid=format!("threshold-{place}")>{move || value(place)}</dd>
            </div>
        }
    };
    view! { <dl class="numbers" data-testid="threshold-counts">{(0..8).map(number).collect_view()}</dl> }.into_any()
}

/// Precision, recall and F1 by threshold.
#[component]
fn Curves(
    /// What is chosen.
    chosen: Chosen,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let points = move |count: usize| -> Vec<(f64, Counts)> {
        let at = |cuts: &Cuts| -> Vec<(f64, Counts)> {
            let thresholds = (0..=count).map(|point| point as f64 / count as f64);
            thresholds.map(|threshold| (threshold, cuts.at(threshold))).collect()
        };
        match chosen.label.get() {
            None => chosen.pooled.with(at),
            Some(label) => chosen.cuts.with(|cuts| cuts.get(label).map(at).unwrap_or_default()),
        }
    };
    let line = move |value: fn(&Counts) -> f64| {
        let (axis, points) = (share_axis(), points(POINTS));
        let line: Line = points
            .iter()
            .map(|(threshold, counts)| (*threshold, value(counts)))
            .collect();
        path(&line, &axis, &axis)
    };
    let here = move || {
        let value = chosen.value();
        value
            .map(|value| format!("M{0:.1} 0V1000", 1000.0 * value))
            .unwrap_or_default()
    };
    let rows = move || {
        let row = |(threshold, counts): (f64, Counts)| {
            let cells = [counts.precision(), counts.recall(), counts.f1()];
            let cells = cells.map(|value| view! { <td class="number-cell">{format::loss(value)}</td> });
            view! { <tr><th scope="row">{format!("{threshold:.1}")}</th>{cells}</tr> }
        };
        points(TABLE).into_iter().map(row).collect_view()
    };
    let column = move |place: usize| move || (state.words().judge.counts)(chosen.kind)[place];
    view! {
        <figure class="chart" data-testid="threshold-curves">
            <figcaption><span class="chart-title">{state.text(|w| w.judge.curve)}</span></figcaption>
            <ScatterPlot rows=share_axis() columns=share_axis() across=Signal::derive(state.text(|w| w.judge.threshold))
                upwards=Signal::derive(|| "") spoken=Signal::derive(move || state.words().judge.curve.to_owned())>
                <path class="line-level" d=here></path>
                <path class="line-train" d=move || line(Counts::precision)></path>
                <path class="line-eval" d=move || line(Counts::recall)></path>
                <path class="line-f1" d=move || line(Counts::f1)></path>
            </ScatterPlot>
            <details class="fold">
                <summary>{state.text(|w| w.tasks.as_table)}</summary>
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{state.text(|w| w.judge.threshold)}</th>
                            {[4, 5, 6].map(|place| view! { <th scope="col" class="number-cell">{column(place)}</th> })}
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </details>
        </figure>
    }
    .into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_that_differ_are_not_shown_as_one() {
        assert_eq!(shown(&[0.5, 0.5], None), Some(0.5));
        assert_eq!(shown(&[0.5, 0.25], None), None);
        assert_eq!(shown(&[0.5, 0.25], Some(1)), Some(0.25));
    }

    #[test]
    fn a_cost_is_a_number_from_zero() {
        let costs = ["2.5", " 0 ", "-1", "dear", "inf", ""].map(cost);
        assert_eq!(costs, [Some(2.5), Some(0.0), None, None, None, None]);
    }
}
