//! A place to drop files on, with a picker for those who do not drag. Which of them belong together is the engine's matter.

use crate::state::PageState;
use js_sys::{Array, Promise};
use leptos::html::Input;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{DataTransfer, DragEvent, File};

// A dropped folder is one entry that cannot be read; its files are had by asking the entry for them. The entries have to be
// taken before the first wait, for the list is empty once the event is over. What a folder refuses is handed on as it came,
// and the engine says what is wrong with it.
#[wasm_bindgen(inline_js = "
export async function files_of(transfer) {
  const plain = [...transfer.files];
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return plain;
  const ask = (call) => new Promise((resolve, reject) => call(resolve, reject));
  const files = [];
  try {
    for (const entry of entries) {
      if (entry.isFile) files.push(await ask((ok, no) => entry.file(ok, no)));
      if (!entry.isDirectory) continue;
      const reader = entry.createReader();
      for (;;) {
        const some = await ask((ok, no) => reader.readEntries(ok, no));
        if (some.length === 0) break;
        for (const inner of some) if (inner.isFile) files.push(await ask((ok, no) => inner.file(ok, no)));
      }
    }
  } catch {
    return plain;
  }
  return files;
}
")]
extern "C" {
    /// The files of a drop, with those that lie in its folders (not in folders within them).
    fn files_of(transfer: &DataTransfer) -> Promise;
}

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
    /// Endings that the picker offers; all files where there are none.
    #[prop(optional)]
    accept: &'static str,
    /// Whether a folder can be picked, too.
    #[prop(optional)]
    folders: bool,
    /// While nothing may be changed.
    #[prop(into)]
    disabled: Signal<bool>,
    /// Receives the files.
    take: impl Fn(Vec<File>) + Copy + 'static,
) -> impl IntoView {
    let state = expect_context::<PageState>();
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
        if let (Some(dropped), false) = (event.data_transfer(), disabled.get_untracked()) {
            let files = JsFuture::from(files_of(&dropped));
            spawn_local(async move {
                if let Ok(files) = files.await {
                    give(&files, take);
                }
            });
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
        <div class="drop" role="group" aria-label=move || label.get() class:over=over on:dragenter=drag on:dragover=drag
            on:dragleave=move |_| over.set(false) on:drop=drop>
            <p class="drop-label">{label}</p>
            <p class="hint">{hint}</p>
            <p class="buttons">
                <label class="button" class:disabled=disabled>
                    <input type="file" class="unseen" node_ref=files data-testid=id accept=accept multiple=true
                        prop:disabled=disabled on:change=move |_| picked(files)/>
                    {state.text(|w| w.choose_files)}
                </label>
                {folders.then(|| view! {
                    <label class="button" class:disabled=disabled>
                        <input type="file" class="unseen" node_ref=folder prop:webkitdirectory=true prop:disabled=disabled
                            on:change=move |_| picked(folder)/>
                        {state.text(|w| w.choose_folder)}
                    </label>
                })}
            </p>
        </div>
    }
}

/// Hands on what is in a list of files, if anything.
fn give(list: &JsValue, take: impl Fn(Vec<File>)) {
    let files: Vec<File> = Array::from(list)
        .iter()
        .filter_map(|file| file.dyn_into().ok())
        .collect();
    if !files.is_empty() {
        take(files);
    }
}
