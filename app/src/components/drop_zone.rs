//! A place to drop files on, with a picker for those who do not drag.

use crate::state::Lab;
use leptos::html::Input;
use leptos::prelude::*;
use web_sys::{DragEvent, File, FileList};

/// A drop zone; the files that were dropped or picked go to `take`.
#[component]
pub fn DropZone(
    /// Test id of the picker.
    id: &'static str,
    /// What can be dropped.
    #[prop(into)]
    label: Signal<&'static str>,
    /// More on that.
    #[prop(into)]
    hint: Signal<&'static str>,
    /// Endings that the picker offers.
    accept: &'static str,
    /// Whether several files belong together; a folder can then be picked, too.
    #[prop(optional)]
    several: bool,
    /// While nothing may be changed.
    #[prop(into)]
    disabled: Signal<bool>,
    /// Receives the files.
    take: impl Fn(Vec<File>) + Copy + 'static,
) -> impl IntoView {
    let lab = expect_context::<Lab>();
    let over = RwSignal::new(false);
    let files = NodeRef::<Input>::new();
    let folder = NodeRef::<Input>::new();
    let drag = move |event: DragEvent| {
        event.prevent_default();
        over.set(!disabled.get_untracked());
    };
    let drop = move |event: DragEvent| {
        event.prevent_default();
        over.set(false);
        let dropped = event.data_transfer().and_then(|transfer| transfer.files());
        if let (Some(dropped), false) = (dropped, disabled.get_untracked()) {
            give(&dropped, take);
        }
    };
    let picked = move |input: NodeRef<Input>| {
        if let Some(input) = input.get_untracked() {
            if let Some(chosen) = input.files() {
                give(&chosen, take);
            }
            // So that choosing the same file again is a change again.
            input.set_value("");
        }
    };
    view! {
        <div class="drop" class:over=over on:dragenter=drag on:dragover=drag on:dragleave=move |_| over.set(false) on:drop=drop>
            <p class="drop-label">{label}</p>
            <p class="hint">{hint}</p>
            <p class="buttons">
                <label class="button" class:disabled=disabled>
                    <input type="file" class="unseen" node_ref=files data-testid=id accept=accept multiple=several
                        prop:disabled=disabled on:change=move |_| picked(files)/>
                    {lab.text(|w| w.choose_files)}
                </label>
                {several.then(|| view! {
                    <label class="button" class:disabled=disabled>
                        <input type="file" class="unseen" node_ref=folder prop:webkitdirectory=true prop:disabled=disabled
                            on:change=move |_| picked(folder)/>
                        {lab.text(|w| w.choose_folder)}
                    </label>
                })}
            </p>
        </div>
    }
}

fn give(list: &FileList, take: impl Fn(Vec<File>)) {
    let files: Vec<File> = (0..list.length()).filter_map(|index| list.get(index)).collect();
    if !files.is_empty() {
        take(files);
    }
}
