//! What differs between the runs that are compared: their settings and what they read; and how good they became by one of the former.

use super::lettered;
use crate::curves::Axis;
use crate::format;
use crate::settings::show;
use crate::state::PageState;
use crate::stored_runs::name_of;
use leptos::prelude::*;
use lorakeet_core::comparison::{Group, differing, differing_inputs, grouped};
use lorakeet_core::protocol::{RunRecord, StoredRun};
use serde_json::Value;
use std::fmt::Write;

/// Letters of a fingerprint that are shown.
const DIGEST_LETTERS: usize = 12;

/// The table: a column a run, and a row for each that differs, by its name.
#[derive(Clone, PartialEq, Default)]
struct Told {
    heads: Vec<String>,
    rows: Vec<(String, Vec<String>)>,
    /// The settings among them.
    settings: Vec<String>,
}

/// A setting's value in a cell.
fn cell(state: PageState, value: Option<&Value>) -> String {
    match value {
        None => state.words().history.no_setting.to_owned(),
        Some(Value::Null) => state.words().not_set.to_owned(),
        Some(value) => show(value),
    }
}

fn records(runs: &[StoredRun]) -> Vec<&RunRecord> {
    runs.iter().map(|run| &run.record).collect()
}

fn told(state: PageState) -> Told {
    let runs = state.compared();
    let records = records(&runs);
    let words = state.words();
    let mut rows: Vec<(String, Vec<String>)> = Vec::new();
    let names: [(&str, Vec<String>); 2] = [
        (
            words.model,
            records.iter().map(|record| name_of(&record.model)).collect(),
        ),
        (words.data, records.iter().map(|record| name_of(&record.data)).collect()),
    ];
    for (head, names) in names {
        if names.windows(2).any(|pair| pair[0] != pair[1]) {
            rows.push((head.to_owned(), names));
        }
    }
    let settings = differing(&records);
    for (name, values) in &settings {
        let cells = values.iter().map(|value| cell(state, value.as_ref()));
        rows.push((name.clone(), cells.collect()));
    }
    for (name, digests) in differing_inputs(&records) {
        let short = |digest: Option<String>| {
            let digest = digest.map(|digest| digest.chars().take(DIGEST_LETTERS).collect::<String>());
            digest.unwrap_or_else(|| words.history.no_setting.to_owned())
        };
        rows.push((
            (words.history.contents)(&name),
            digests.into_iter().map(short).collect(),
        ));
    }
    Told {
        heads: runs
            .iter()
            .enumerate()
            .map(|(place, run)| lettered(place, run))
            .collect(),
        settings: settings.into_iter().map(|(name, _)| name).collect(),
        rows,
    }
}

/// What differs, where there is something to compare with.
#[component]
pub fn Differences() -> impl IntoView {
    let state = expect_context::<PageState>();
    let told = Memo::new(move |_| told(state));
    let heads = move || {
        let heads =
            std::iter::once(state.words().history.setting.to_owned()).chain(told.with(|told| told.heads.clone()));
        heads.map(|head| view! { <th scope="col">{head}</th> }).collect_view()
    };
    let rows = move || {
        let row = |(name, cells): (String, Vec<String>)| {
            let cells = cells.into_iter().map(|cell| view! { <td>{cell}</td> }).collect_view();
            view! { <tr><th scope="row"><code>{name}</code></th>{cells}</tr> }
        };
        told.with(|told| told.rows.clone()).into_iter().map(row).collect_view()
    };
    let same = move || {
        told.with(|told| told.rows.is_empty())
            .then(|| state.words().history.same)
    };
    view! {
        <Show when=move || told.with(|told| told.heads.len() > 1)>
            <section class="result" data-testid="run-differences">
                <h3>{state.text(|w| w.history.differences)}</h3>
                <div class="table-scroll" tabindex="0" role="region" aria-label=state.text(|w| w.history.differences)>
                    <table class="run-differences">
                        <thead><tr>{heads}</tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
                <p class="hint">{same}</p>
                <Groups told/>
            </section>
        </Show>
    }
}

/// The groups by a setting: the metric, the groups, and how many runs have no score of it.
fn groups(state: PageState) -> (String, Vec<Group>, usize) {
    let (by, runs) = (state.history.by.get(), state.compared());
    let metric = runs.iter().find_map(|run| run.record.score.as_ref());
    let metric = metric.map(|score| score.metric.clone()).unwrap_or_default();
    let scored = records(&runs).into_iter().filter_map(|record| {
        let score = record.score.as_ref().filter(|score| score.metric == metric)?;
        Some((record, score.best))
    });
    let scored: Vec<(&RunRecord, f64)> = scored.filter(|(_, best)| best.is_finite()).collect();
    let left_out = runs.len() - scored.len();
    let groups = if by.is_empty() {
        Vec::new()
    } else {
        grouped(&by, &scored)
    };
    (metric, groups, left_out)
}

/// The scores of a group as dots, with a stroke at their mean, in a strip of 1000 × 100.
fn dots(group: &Group, axis: &Axis) -> (String, String) {
    let mut dots = String::new();
    for score in &group.scores {
        let _ = write!(dots, "M{:.1} 50h0", 1000.0 * axis.place(*score));
    }
    let mean = 1000.0 * axis.place(group.mean());
    (dots, format!("M{mean:.1} 10V90"))
}

/// The runs by the values of a setting that is chosen.
#[component]
fn Groups(told: Memo<Told>) -> impl IntoView {
    let state = expect_context::<PageState>();
    let by = state.history.by;
    let found = Memo::new(move |_| groups(state));
    let options = move || {
        let mut names = vec![String::new()];
        names.extend(told.with(|told| told.settings.clone()));
        let chosen = by.get_untracked();
        if !names.contains(&chosen) {
            names.push(chosen.clone());
        }
        let option = |name: String| {
            let is_it = name == chosen;
            let label = match name.is_empty() {
                true => state.words().history.ungrouped.to_owned(),
                false => name.clone(),
            };
            view! { <option value=name prop:selected=is_it>{label}</option> }
        };
        names.into_iter().map(option).collect_view()
    };
    let heads = move || {
        let heads = std::iter::once(by.get()).chain(state.words().history.group_columns.map(str::to_owned));
        heads.map(|head| view! { <th scope="col">{head}</th> }).collect_view()
    };
    let rows = move || {
        let groups = found.with(|found| found.1.clone());
        let axis = Axis::around(groups.iter().flat_map(|group| group.scores.iter().copied()), 4);
        let row = |group: Group| {
            let (dots, mean) = dots(&group, &axis);
            let scores: Vec<String> = group.scores.iter().map(|score| format::loss(*score)).collect();
            view! {
                <tr>
                    <th scope="row">{cell(state, group.value.as_ref())}</th>
                    <td class="number-cell">{group.scores.len()}</td>
                    <td class="number-cell">{format::loss(group.mean())}</td>
                    <td>
                        <svg class="dot-plot" viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">
                            <path class="dots" d=dots></path>
                            <path class="line-level" d=mean></path>
                        </svg>
                        <span class="hint">{scores.join(", ")}</span>
                    </td>
                </tr>
            }
        };
        groups.into_iter().map(row).collect_view()
    };
    let caption = move || found.with(|found| (state.words().history.groups)(&found.0));
    let left_out = move || {
        let text = found.with(|found| (state.words().history.left_out)(found.2, &found.0));
        found.with(|found| found.2 > 0).then_some(text)
    };
    let is_grouped = Memo::new(move |_| found.with(|found| !found.1.is_empty()));
    view! {
        <label class="field run-search">
            <span class="field-name">{state.text(|w| w.history.by)}</span>
            <select data-testid="group-by" on:change=move |event| by.set(event_target_value(&event))>{options}</select>
        </label>
        <Show when=move || is_grouped.get()>
            <div class="table-scroll" tabindex="0" role="region" aria-label=caption>
                <table data-testid="run-groups">
                    <caption>{caption}</caption>
                    <thead><tr>{heads}</tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            <p class="hint">{left_out}</p>
        </Show>
    }
}
