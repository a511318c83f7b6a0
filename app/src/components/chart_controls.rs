//! How the charts of the run are drawn: smoothing, what lies across, the axis of the losses, the way back to the whole run.

use crate::chart_view::{ChartView, MOST_SMOOTHING};
use crate::curves::Measure;
use crate::format;
use crate::state::PageState;
use leptos::prelude::*;

/// A slider, a choice, a switch and a button.
#[component]
pub fn ChartControls(
    /// How the charts are looked at.
    chart: ChartView,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let smooth = move |event| {
        let beta = event_target_value(&event).parse().unwrap_or(0.0_f64);
        chart.smoothing.set(beta.clamp(0.0, MOST_SMOOTHING));
    };
    let choose = move |event| {
        let name = event_target_value(&event);
        let known = Measure::ALL.into_iter().find(|measure| measure.name() == name);
        chart.choose(known.unwrap_or_default());
    };
    let options = Measure::ALL.map(|measure| {
        let is_missing = move || {
            state.training.frame.track();
            !state.training.run.with_value(|run| run.curves.has(measure))
        };
        view! {
            <option value=measure.name() prop:selected=move || chart.look.get().measure == measure prop:disabled=is_missing>
                {move || (state.words().charts.measure)(measure)}
            </option>
        }
    });
    view! {
        <div class="chart-controls">
            <label class="chart-smoothing">
                <span>{move || state.words().charts.smoothing} " " <span>{move || format::hundredths(chart.smoothing.get())}</span></span>
                <input type="range" min="0" max=MOST_SMOOTHING.to_string() step="0.01" data-testid="chart-smoothing"
                    prop:value=move || chart.smoothing.get().to_string() on:input=smooth/>
            </label>
            <label class="check">
                <span>{move || state.words().charts.across}</span>
                <select data-testid="chart-across" on:change=choose>{options}</select>
            </label>
            <label class="check">
                <input type="checkbox" data-testid="chart-log" prop:checked=chart.is_log
                    on:change=move |event| chart.is_log.set(event_target_checked(&event))/>
                {move || state.words().charts.log}
            </label>
            <button type="button" data-testid="chart-whole" prop:disabled=move || chart.window.get().is_none()
                on:click=move |_| chart.show_all()>{move || state.words().charts.show_all}</button>
        </div>
    }
    .into_any()
}
