//! What files are and hold, and how far two adapters or models lie apart, as facts and tables.

use super::notice::ErrorBox;
use crate::format;
use crate::state::PageState;
use leptos::prelude::*;
use lorakeet_core::protocol::{
    AdapterOutline, ComparedFiles, FileTensors, InspectedFiles, OfModules, TensorChange, UncomparedTensor,
};

/// Rows of a table at most: a page with tens of thousands of them cannot be scrolled.
const MOST_ROWS: usize = 300;

/// A fact under its name.
fn fact(
    name: impl Fn() -> &'static str + Send + Sync + 'static,
    value: impl Fn() -> String + Send + Sync + 'static,
) -> AnyView {
    view! { <div><dt>{name}</dt><dd>{value}</dd></div> }.into_any()
}

/// The facts of an adapter, as parts of a list of facts.
pub fn adapter_facts(state: PageState, outline: AdapterOutline) -> AnyView {
    let several = move |all: Vec<OfModules>| {
        move || match &all[..] {
            [only] => only.value.clone(),
            all => {
                let words = state.words().files;
                let all = all.iter().map(|one| (words.of_modules)(&one.value, one.modules));
                all.collect::<Vec<_>>().join(", ")
            }
        }
    };
    let (modules, targets) = (outline.modules, outline.targets.join(", "));
    let whole = outline.whole.join(", ");
    view! {
        {fact(state.text(|w| w.files.adapter_facts[0]), move || (state.words().files.modules)(modules, &targets))}
        {fact(state.text(|w| w.files.adapter_facts[1]), several(outline.ranks))}
        {fact(state.text(|w| w.files.adapter_facts[2]), several(outline.alphas))}
        {fact(state.text(|w| w.files.adapter_facts[3]), several(outline.scales))}
        {outline.has_magnitudes.then(|| fact(state.text(|w| w.files.adapter_facts[4]), move || state.words().yes.to_owned()))}
        {(!whole.is_empty()).then(|| fact(state.text(|w| w.files.adapter_facts[5]), move || whole.clone()))}
        {outline.base.map(|base| fact(state.text(|w| w.files.adapter_facts[6]), move || base.clone()))}
    }
    .into_any()
}

/// What files are and hold.
#[component]
pub fn Inspected(
    /// What was found.
    found: InspectedFiles,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let InspectedFiles {
        kind,
        architecture,
        parameters,
        formats,
        adapter,
        problem,
        facts,
        groups,
        tensors,
        read,
        others,
    } = found;
    let count = tensors.len();
    let stored = move || {
        let words = state.words().files;
        let formats = formats.iter().map(|share| {
            let (numbers, bytes) = (format::count(share.elements), format::bytes(share.bytes));
            (words.stored_as)(&share.format, share.tensors, &numbers, &bytes)
        });
        formats.collect::<Vec<_>>().join("; ")
    };
    let (read, others) = (read.join(", "), others.join(", "));
    let said = facts.into_iter();
    let said = said.map(|(name, value)| view! { <div><dt>{name}</dt><dd>{value}</dd></div> }.into_any());
    let said = said.collect_view();
    let is_each = RwSignal::new(false);
    let choose = move |event| is_each.set(event_target_checked(&event));
    let (tensors, groups) = (StoredValue::new(tensors), StoredValue::new(groups));
    let rows = move || {
        let list = if is_each.get() { tensors } else { groups };
        list.with_value(|list| list.iter().take(MOST_ROWS).map(tensor_row).collect_view())
    };
    let left = move || {
        let list = if is_each.get() { tensors } else { groups };
        more(state, list.with_value(Vec::len).saturating_sub(MOST_ROWS))
    };
    let heads = (0..5).map(|column| {
        let class = if column == 1 || column == 4 { "number-cell" } else { "" };
        view! { <th scope="col" class=class>{move || state.words().files.tensor_columns[column]}</th> }
    });
    let heads = heads.collect_view();
    view! {
        <div class="result" data-testid="inspected" data-kind=kind.name()>
            <dl class="facts">
                {fact(state.text(|w| w.files.facts[0]), move || (state.words().files.kind)(kind).to_owned())}
                {architecture.map(|name| fact(state.text(|w| w.architecture), move || name.clone()))}
                {fact(state.text(|w| w.parameters), move || format::count(parameters))}
                {fact(state.text(|w| w.files.facts[1]), move || count.to_string())}
                {fact(state.text(|w| w.files.facts[2]), stored)}
                {adapter.map(|outline| adapter_facts(state, outline))}
                {fact(state.text(|w| w.files.facts[3]), move || read.clone())}
                {(!others.is_empty()).then(|| fact(state.text(|w| w.files.facts[4]), move || others.clone()))}
            </dl>
            {problem.map(|error| view! { <ErrorBox error/> })}
            <details class="fold">
                <summary>{state.text(|w| w.files.said)}</summary>
                <dl class="facts" data-testid="inspected-said">{said}</dl>
            </details>
            <details class="fold" open=true>
                <summary>{move || (state.words().files.tensors)(count)}</summary>
                <label class="check">
                    <input type="checkbox" data-testid="each-tensor" on:change=choose/>
                    <span>{state.text(|w| w.files.each)}</span>
                </label>
                <div class="table-scroll" tabindex="0" role="region" aria-label=move || (state.words().files.tensors)(count)>
                    <table data-testid="inspected-tensors">
                        <thead><tr>{heads}</tr></thead>
                        <tbody>{rows}</tbody>
                    </table>
                </div>
                {left}
            </details>
        </div>
    }
    .into_any()
}

/// That so many rows are not shown, where there are any.
fn more(state: PageState, left: usize) -> Option<AnyView> {
    (left > 0).then(|| view! { <p class="hint">{move || (state.words().files.more)(left)}</p> }.into_any())
}

fn tensor_row(tensor: &FileTensors) -> AnyView {
    let shape = format!("{:?}", tensor.shape);
    view! {
        <tr>
            <td><code>{tensor.name.clone()}</code></td>
            <td class="number-cell">{tensor.count}</td>
            <td>{shape}</td>
            <td>{tensor.format.clone()}</td>
            <td class="number-cell">{format::bytes(tensor.bytes)}</td>
        </tr>
    }
    .into_any()
}

/// ‖B−A‖/‖A‖ in words.
fn relative(state: PageState, change: &TensorChange) -> String {
    match change.relative() {
        Some(relative) => format::small(relative),
        None => state.words().files.from_zero.to_owned(),
    }
}

/// How far two adapters or models lie apart.
#[component]
pub fn Compared(
    /// What was found.
    found: ComparedFiles,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let ComparedFiles {
        are_adapters,
        is_same,
        total,
        layers,
        tensors,
        only_a,
        only_b,
        uncompared,
        files,
    } = found;
    let [a, b] = files.map(|names| names.join(", "));
    let sum = move || {
        let words = state.words().files;
        if is_same {
            return words.same.to_owned();
        }
        let [distance, before, after] = [total.distance, total.before, total.after].map(format::small);
        (words.total)(&relative(state, &total), &distance, [&before, &after])
    };
    let only = [("A", only_a), ("B", only_b)]
        .into_iter()
        .filter(|(_, names)| !names.is_empty());
    let only = only.map(|(side, names)| {
        let names = names.join(", ");
        view! { <p class="hint">{move || (state.words().files.only_in)(side, &names)}</p> }
    });
    let only = only.collect_view();
    let left = uncompared.len().saturating_sub(MOST_ROWS);
    let uncompared = uncompared.into_iter().take(MOST_ROWS);
    let uncompared = uncompared.map(|tensor| view! { <p class="hint">{move || why_not(state, &tensor)}</p> });
    let uncompared = uncompared.collect_view();
    let of = if are_adapters { 1 } else { 2 };
    view! {
        <div class="result" data-testid="compared">
            <p class="hint">{format!("A: {a} · B: {b}")}</p>
            <p role="status" data-testid="compared-total">{sum}</p>
            {only}
            {uncompared}
            {more(state, left)}
            <Changes table=0 changes=layers testid="compared-layers"/>
            <Changes table=of changes=tensors testid="compared-tensors"/>
        </div>
    }
    .into_any()
}

fn why_not(state: PageState, tensor: &UncomparedTensor) -> String {
    let words = state.words().files;
    match &tensor.shapes {
        Some([a, b]) => (words.other_shapes)(&tensor.name, &format!("{a:?}"), &format!("{b:?}")),
        None => {
            let format = tensor.format.as_deref().unwrap_or_default();
            (words.no_floats)(&tensor.name, format, tensor.is_same)
        }
    }
}

/// Changes as a table.
#[component]
fn Changes(
    /// Which of the tables it is: layers, modules, tensors.
    table: usize,
    /// The rows.
    changes: Vec<TensorChange>,
    /// Its test id.
    testid: &'static str,
) -> impl IntoView {
    let state = expect_context::<PageState>();
    let left = changes.len().saturating_sub(MOST_ROWS);
    let is_empty = changes.is_empty();
    let row = move |change: TensorChange| {
        let name = change.name.clone();
        let name = move || match name.is_empty() {
            true => state.words().files.no_layer.to_owned(),
            false => name.clone(),
        };
        let numbers = [change.distance, change.before, change.after].map(format::small);
        let numbers = numbers.map(|number| view! { <td class="number-cell">{number}</td> });
        view! {
            <tr>
                <td><code>{name}</code></td>
                <td class="number-cell">{move || relative(state, &change)}</td>
                {numbers.into_iter().collect_view()}
            </tr>
        }
        .into_any()
    };
    let rows = changes.into_iter().take(MOST_ROWS).map(row).collect_view();
    let heads = ["‖B−A‖/‖A‖", "‖B−A‖", "‖A‖", "‖B‖"];
    let heads = heads.map(|head| view! { <th scope="col" class="number-cell">{head}</th> });
    (!is_empty).then(|| {
        view! {
            <div class="table-scroll" tabindex="0" role="region" aria-label=move || state.words().files.by[table]>
                <table data-testid=testid>
                    <caption>{move || state.words().files.by[table]}</caption>
                    <thead>
                        <tr>
                            <th scope="col">{move || state.words().files.part[table]}</th>
                            {heads.into_iter().collect_view()}
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
            {more(state, left)}
        }
        .into_any()
    })
}
