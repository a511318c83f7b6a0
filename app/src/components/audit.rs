//! What is wrong with the data, how much it matters, and what can be done about it by a press.

use super::advice::shown;
use super::notice::{sentence, worded};
use crate::conversation::Job;
use crate::i18n::audit::Severity;
use crate::state::PageState;
use leptos::html::Section;
use leptos::prelude::*;
use lorakeet_core::config::{Kind, MASK_WORDS, find};
use lorakeet_core::protocol::{AuditFinding, AuditKind, AuditPlace, AuditReport, AuditSetting};

/// The findings, and the rows that are left out.
#[component]
pub fn Audit() -> impl IntoView {
    let state = expect_context::<PageState>();
    let audit = state.audit;
    let is_busy = Memo::new(move |_| state.worker.job.get() == Some(Job::Audit));
    let dropped = Memo::new(move |_| state.settings.with(|config| config.drop_rows.clone()));
    let report = Memo::new(move |_| audit.report.get());
    let section = NodeRef::<Section>::new();
    // What is pressed goes with what it was for: the keyboard does not go astray.
    let done = Callback::new(move |()| {
        if let Some(section) = section.get_untracked() {
            let _ = section.focus();
        }
    });
    let start = move |_| {
        state.ask_audit(true);
        done.run(());
    };
    let is_there = move || {
        let is_set = audit.set.with(|set| !set.is_empty());
        let is_said =
            report.with(Option::is_some) || audit.problem.with(Option::is_some) || audit.waits.get() || is_set;
        is_said || is_busy.get() || dropped.with(|words| !words.is_empty())
    };
    let standing = move || match (is_busy.get(), report.get()) {
        (true, None) => state.words().audit.checking.to_owned(),
        (_, Some(report)) => summary(state, &report),
        (false, None) => String::new(),
    };
    let problem = move || {
        let error = audit.problem.get()?;
        let remedy = error.remedy.map(|remedy| worded(state, remedy));
        Some(view! {
            <p class="field-error" data-testid="audit-problem">
                {state.text(|w| w.audit.problem)} " " {sentence(state, error.what)} " " {remedy}
            </p>
        })
    };
    let findings = move || {
        let findings = report.get().map(|report| report.findings).unwrap_or_default();
        findings
            .into_iter()
            .map(|finding| finding_item(state, finding, done))
            .collect_view()
    };
    view! {
        <Show when=is_there>
            <section class="audit" data-testid="audit" aria-labelledby="audit-title" tabindex="-1" node_ref=section
                aria-busy=move || is_busy.get().to_string()>
                <h3 id="audit-title">{state.text(|w| w.audit.title)}</h3>
                <p role="status" data-testid="audit-summary">{standing}</p>
                <Show when=move || audit.waits.get()>
                    <p class="buttons">
                        <span class="hint">{state.text(|w| w.audit.many_rows)}</span>
                        <button type="button" data-testid="audit-now" prop:disabled=move || is_busy.get() || locked(state)
                            on:click=start>{state.text(|w| w.audit.start)}</button>
                    </p>
                </Show>
                {problem}
                {move || left_out(state, dropped.get(), report, done)}
                {move || settings(state, done)}
                <ul class="findings">{findings}</ul>
            </section>
        </Show>
    }
}

fn locked(state: PageState) -> bool {
    state.is_training()
}

/// How much a finding matters.
fn severity(finding: &AuditFinding) -> Severity {
    match finding.kind {
        AuditKind::EmptyRows
        | AuditKind::MissingLabels
        | AuditKind::ConflictingLabels
        | AuditKind::AllMasked
        | AuditKind::ExactLeakage => Severity::Error,
        _ if finding.serious => Severity::Warning,
        _ => Severity::Note,
    }
}

/// How many checks there were, and what they found.
fn summary(state: PageState, report: &AuditReport) -> String {
    let (words, checks) = (state.words().audit, AuditKind::ALL.len());
    if report.findings.is_empty() {
        return (words.fine)(checks);
    }
    let count = |wanted| {
        report
            .findings
            .iter()
            .filter(|finding| severity(finding) == wanted)
            .count()
    };
    (words.found)(checks, [Severity::Error, Severity::Warning, Severity::Note].map(count))
}

/// What is left out, with the way back.
fn left_out(
    state: PageState,
    words: Vec<String>,
    report: Memo<Option<AuditReport>>,
    done: Callback<()>,
) -> Option<AnyView> {
    if words.is_empty() {
        return None;
    }
    let items = words
        .into_iter()
        .filter_map(|word| AuditKind::named(&word))
        .map(|kind| {
            let text = move || {
                let words = state.words().audit;
                let rows: u64 = report.with(|report| {
                    let dropped = report.iter().flat_map(|report| &report.dropped);
                    dropped
                        .filter(|dropped| dropped.kind == kind)
                        .map(|dropped| dropped.count)
                        .sum()
                });
                (words.left_out)(rows, (words.kind)(kind))
            };
            let undo = move |_| {
                state.leave_out(kind, false);
                done.run(());
            };
            view! {
                <li class="buttons">
                    <span data-testid=format!("left-out-{}", kind.name())>{text}</span>
                    <button type="button" class="quiet" data-testid=format!("undo-{}", kind.name())
                        prop:disabled=move || locked(state)
                        on:click=undo>{state.text(|w| w.audit.undo)}</button>
                </li>
            }
        });
    let items = items.collect_view();
    let view = view! {
        <ul class="left-out">{items}</ul>
        <p class="hint">{state.text(|w| w.audit.file_stays)}</p>
        <p class="buttons">
            <button type="button" data-testid="download-kept-rows" prop:disabled=move || locked(state)
                on:click=move |_| state.download_kept_rows()>{state.text(|w| w.audit.download)}</button>
        </p>
    };
    Some(view.into_any())
}

/// The knobs that were set by a press, with the way back.
fn settings(state: PageState, done: Callback<()>) -> Option<AnyView> {
    let set = state.audit.set.get();
    if set.is_empty() {
        return None;
    }
    let items = set.into_iter().map(|(knob, before)| {
        let text = move || {
            let value = shown(state, &state.settings.value(knob));
            (state.words().audit.setting)(knob, &value, &shown(state, &before))
        };
        let undo = move |_| {
            state.undo_remedy(knob);
            done.run(());
        };
        view! {
            <li class="buttons">
                <span data-testid=format!("set-{knob}")>{text}</span>
                <button type="button" class="quiet" data-testid=format!("unset-{knob}") prop:disabled=move || locked(state)
                    on:click=undo>{state.text(|w| w.audit.undo)}</button>
            </li>
        }
    });
    let items = items.collect_view();
    Some(view! { <ul class="left-out">{items}</ul> }.into_any())
}

/// The button that has a run read placeholders for such personal data.
fn mask_button(state: PageState, kind: AuditKind, done: Callback<()>) -> AnyView {
    let press = move |_| {
        let mut words = untrack(|| state.settings.with(|config| config.mask_personal.clone()));
        if !words.iter().any(|word| word == kind.name()) {
            words.push(kind.name().to_owned());
        }
        state.set_as_remedy("mask_personal", words.into());
        done.run(());
    };
    let view = view! {
        <button type="button" data-testid=format!("mask-{}", kind.name()) prop:disabled=move || locked(state)
            on:click=press>{state.text(|w| w.audit.mask)}</button>
    };
    view.into_any()
}

/// The button that sets a knob as a finding's remedy.
fn setting_button(state: PageState, (kind, setting): (AuditKind, AuditSetting), done: Callback<()>) -> Option<AnyView> {
    let knob = find(&setting.knob)?.name;
    let value = setting.value;
    let (of_label, of_state) = (value.clone(), value.clone());
    let label = move || (state.words().advice.set_to)(knob, &shown(state, &of_label));
    let is_done = Memo::new(move |_| state.settings.value(knob) == of_state);
    let value = StoredValue::new(value);
    let press = move |_| {
        state.set_as_remedy(knob, value.get_value());
        done.run(());
    };
    let label = Signal::derive(label);
    let view = view! {
        <Show when=move || !is_done.get()>
            <button type="button" data-testid=format!("set-for-{}", kind.name()) prop:disabled=move || locked(state)
                on:click=press>{label}</button>
        </Show>
    };
    Some(view.into_any())
}

/// One finding: what, how many, what it does, and what to do.
fn finding_item(state: PageState, finding: AuditFinding, done: Callback<()>) -> AnyView {
    let weight = severity(&finding);
    let (name, mark) = match weight {
        Severity::Error => ("error", "✕"),
        Severity::Warning => ("warning", "▲"),
        Severity::Note => ("note", "ℹ"),
    };
    let kind = finding.kind;
    // What a press does here needs no flag of the command.
    let is_pressed = matches!(
        (kind, finding.drop_as),
        (AuditKind::EmptyRows | AuditKind::ExactDuplicates, Some(_))
            | (AuditKind::ExactLeakage, Some(AuditKind::ExactDuplicates))
    );
    let remedy = (!is_pressed).then(|| worded(state, finding.remedy));
    let button = finding.drop_as.map(|drop| {
        let is_done = Memo::new(move |_| state.settings.with(|config| config.drop_rows.iter().any(|word| word == drop.name())));
        let press = move |_| {
            state.leave_out(drop, true);
            done.run(());
        };
        view! {
            <Show when=move || !is_done.get()>
                <button type="button" data-testid=format!("leave-out-{}", kind.name()) prop:disabled=move || locked(state)
                    on:click=press>{state.text(|w| w.audit.leave_out)}</button>
            </Show>
        }
    });
    let mask = MASK_WORDS
        .contains(&kind.name())
        .then(|| mask_button(state, kind, done));
    let setting = finding
        .setting
        .and_then(|setting| setting_button(state, (kind, setting), done));
    let is_encoding = matches!(kind, AuditKind::Mojibake | AuditKind::ReplacementCharacters);
    let view = view! {
        <li class="finding" data-severity=name data-testid=format!("finding-{}", kind.name())>
            <p>
                <span class="severity"><span aria-hidden="true">{mark}</span> " " {move || (state.words().audit.severity)(weight)}</span>
                " " {worded(state, finding.what)}
            </p>
            <p class="hint">{worded(state, finding.effect)} " " {remedy}</p>
            <div class="buttons">{button} {mask} {setting} {is_encoding.then(|| encodings(state))}</div>
            {rows(state, finding.rows)}
        </li>
    };
    view.into_any()
}

/// The choice of the files' encoding.
fn encodings(state: PageState) -> Option<AnyView> {
    let knob = find("encoding")?;
    let Kind::Choice { words, .. } = knob.kind else {
        return None;
    };
    let text = Memo::new(move |_| state.settings.text(knob));
    let options = words.iter().map(|word| {
        view! { <option value=*word prop:selected=move || text.with(|text| text == word)>{*word}</option> }
    });
    let options = options.collect_view();
    let view = view! {
        <label class="inline-field">
            {state.text(|w| w.audit.encoding)} " "
            <select data-testid="audit-encoding" prop:disabled=move || locked(state)
                on:change=move |event| state.settings.set(knob, &event_target_value(&event))>
                <option value="" prop:selected=move || text.with(String::is_empty)>{state.text(|w| w.audit.encoding_found)}</option>
                {options}
            </select>
        </label>
    };
    Some(view.into_any())
}

/// The first rows of a finding.
fn rows(state: PageState, places: Vec<AuditPlace>) -> AnyView {
    let count = places.len();
    let row = move |place: AuditPlace| {
        let AuditPlace {
            row,
            in_validation,
            excerpt,
            like,
        } = place;
        let number = move || match in_validation {
            true => format!("{row} ({})", state.words().audit.of_validation),
            false => row.to_string(),
        };
        let like = like.map(|row| view! { <span class="hint">{move || (state.words().audit.like)(row)} " "</span> });
        view! {
            <tr>
                <td class="number-cell">{number}</td>
                <td class="wide-cell">{like} <code>{excerpt}</code></td>
            </tr>
        }
    };
    let rows = places.into_iter().map(row).collect_view();
    let view = view! {
        <details class="fold">
            <summary>{move || (state.words().audit.show_rows)(count)}</summary>
            <div class="table-scroll" role="group" tabindex="0" aria-label=state.text(|w| w.audit.text)>
                <table>
                    <thead><tr>
                        <th scope="col">{state.text(|w| w.audit.row)}</th>
                        <th scope="col">{state.text(|w| w.audit.text)}</th>
                    </tr></thead>
                    <tbody>{rows}</tbody>
                </table>
            </div>
        </details>
    };
    view.into_any()
}
