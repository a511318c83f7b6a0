//! Models and data of one's own: chosen, dropped, refused, and as large as they come.

use super::{gpus, loss, shorten, step};
use anyhow::{Context, Result, ensure};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::file_site::FileSite;
use lorakeet_tests::gpu_shim::{GpuCounts, GpuShim};
use lorakeet_tests::packed::{cells, workbook};
use lorakeet_tests::site::dist;
use lorakeet_tests::user_actions::{REACTION, READY, STATUS};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where no kernels have to be compiled.
fn on_cpu() -> Options {
    Options {
        query: "?device=cpu".into(),
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_and_a_table_of_ones_own_are_trained_on() -> Result<()> {
    let page = Page::open(&on_cpu()).await?;
    page.wait_enabled("train", READY).await?;
    let public = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public");
    let folder = [
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "model.safetensors",
    ]
    .map(|name| public.join("model").join(name));
    page.upload("model-input", &folder.each_ref().map(|path| path.as_path()))
        .await?;
    own_model(&page).await?;
    let table = std::env::temp_dir().join(format!("lorakeet-table-{}.csv", std::process::id()));
    let rows: String = (0..40)
        .map(|i| format!("\"Say {i}, please\",\"It is {i} 🦜\"\r\n"))
        .collect();
    std::fs::write(&table, format!("prompt,completion\r\n{rows}"))?;
    page.upload("data-input", &[&table]).await?;
    page.wait_until(
        "the table is read",
        REACTION,
        "return document.querySelector('#data .step-summary').textContent.includes('40 rows')",
    )
    .await?;
    std::fs::remove_file(&table)?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "3").await?;
    page.train_to_the_end().await?;
    ensure!(step(&page).await? == 3);
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spreadsheet_is_trained_on_and_what_opens_it_is_not_fetched_before() -> Result<()> {
    let site = FileSite::start().await?;
    site.serve_folder("", &dist()?)?;
    let options = Options {
        webgpu: false,
        ..Options::default()
    };
    let page = Page::open_at(&format!("{}/?device=cpu", site.origin()), &options).await?;
    page.wait_enabled("train", READY).await?;
    let is_kept = "return !!navigator.serviceWorker.controller";
    page.wait_until("the page is kept", READY, is_kept).await?;
    let is_fetched = || site.requests().iter().any(|path| path.contains("/tables"));
    ensure!(!is_fetched(), "what opens spreadsheets was fetched unasked");

    let numbers: Vec<String> = (0..40).map(|number| format!("It is {number}")).collect();
    let pairs: Vec<[&str; 2]> = numbers.iter().map(|number| [number.as_str(), "Say a number"]).collect();
    let mut rows: Vec<&[&str]> = vec![&["reply", "request"]];
    rows.extend(pairs.iter().map(|pair| pair.as_slice()));
    let book = std::env::temp_dir().join(format!("lorakeet-book-{}.xlsx", std::process::id()));
    let first = cells(&[&["reply", "request"], &["It was one", "Say"], &["It was two", "Say"]]);
    std::fs::write(&book, workbook(&[("Old", first), ("Numbers", cells(&rows))])?)?;
    page.upload("data-input", &[&book]).await?;
    let is_first = "return !!document.querySelector('[data-testid=\"sheet\"]')";
    page.wait_until("the first of two sheets is read", REACTION, is_first)
        .await?;
    ensure!(is_fetched(), "what opens spreadsheets was not fetched");
    let other = "const field = document.querySelector('[data-testid=\"sheet\"]');
        field.value = 'Numbers'; field.dispatchEvent(new Event('change', { bubbles: true }))";
    page.run(other, Vec::new()).await?;
    let is_read = "return document.querySelector('#data .step-summary').textContent.includes('40 rows')";
    page.wait_until("the other sheet is read", REACTION, is_read).await?;

    // The second column asks and the first answers.
    let choose = "document.getElementById('data').open = true;
        const field = document.querySelector(`[data-testid=\"role-reply\"]`);
        field.value = 'completion'; field.dispatchEvent(new Event('change', { bubbles: true }))";
    page.wait_enabled("role-reply", REACTION).await?;
    page.run(choose, Vec::new()).await?;
    let is_taken = "return document.querySelector('[data-testid=\"role-reply\"]').value === 'completion'
        && document.querySelector('[data-testid=\"role-request\"]').value === 'prompt'";
    page.wait_until("the roles are taken", REACTION, is_taken).await?;
    let is_shown = "const text = document.querySelector('[data-testid=\"preview\"] .tokens')?.textContent ?? '';
        const [request, reply] = ['Say a number', 'It is'].map((words) => text.indexOf(words));
        return request >= 0 && request < reply";
    page.wait_until("the examples follow", REACTION, is_shown).await?;
    std::fs::remove_file(&book)?;
    shorten(&page, "2").await?;
    page.train_to_the_end().await?;
    ensure!(step(&page).await? == 2);
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_the_reading_of_rows_and_is_no_error() -> Result<()> {
    let page = Page::open(&on_cpu()).await?;
    page.wait_enabled("train", READY).await?;
    let file = std::env::temp_dir().join(format!("lorakeet-many-rows-{}.jsonl", std::process::id()));
    let row = "{\"text\": \"A row of a few words, said again and again.\"}\n";
    std::fs::write(&file, row.repeat(200_000))?;
    page.upload("data-input", &[&file]).await?;
    let read = "return document.querySelector('#data .step-summary').textContent.includes('200')";
    page.wait_until("the rows are read", READY, read).await?;
    std::fs::remove_file(&file)?;
    page.wait_enabled("train", READY).await?;
    // Stop is pressed half a second after Train, while rows become tokens.
    let script = "const press = (name) => document.querySelector(`[data-testid=\"${name}\"]`).click();\
                  press('train'); setTimeout(() => press('stop'), 500);";
    page.run(script, vec![]).await?;
    page.wait_until(
        "the run is called off",
        REACTION,
        &format!("return {STATUS} == 'ready'"),
    )
    .await?;
    ensure!(
        page.run("return document.querySelector('[data-testid=\"error\"]')", vec![])
            .await?
            .is_null()
    );

    let file = std::env::temp_dir().join(format!("lorakeet-few-rows-{}.jsonl", std::process::id()));
    std::fs::write(&file, row.repeat(400))?;
    page.upload("data-input", &[&file]).await?;
    let read = "return document.querySelector('#data .step-summary').textContent.includes('400')";
    page.wait_until("the new rows are read", REACTION, read).await?;
    std::fs::remove_file(&file)?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "2").await?;
    page.train_to_the_end().await?;
    ensure!(step(&page).await? == 2);
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_folder_is_read_as_the_files_in_it() -> Result<()> {
    let page = Page::open(&on_cpu()).await?;
    page.wait_enabled("train", READY).await?;
    // WebDriver drags no folders: the page is given what a browser's drop of one looks like, with the page's own model in it
    // and a folder within.
    let drop = "const done = arguments[0];\
        const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];\
        Promise.all(names.map(async (name) => new File([await (await fetch('model/' + name)).blob()], name))).then((files) => {\
            const inner = files.map((file) => ({ isFile: true, file: (ok) => ok(file) }));\
            const batches = [inner.slice(0, 3), [...inner.slice(3), { isDirectory: true }], []];\
            const folder = { isDirectory: true, createReader: () => ({ readEntries: (ok) => ok(batches.shift()) }) };\
            const event = new Event('drop', { bubbles: true, cancelable: true });\
            event.dataTransfer = { files: [new File([], 'folder')], items: [{ webkitGetAsEntry: () => folder }] };\
            document.querySelector('#model .drop').dispatchEvent(event);\
            done(true);\
        });";
    page.client.execute_async(drop, vec![]).await?;
    own_model(&page).await?;
    page.no_panic()?;
    page.close().await
}

/// What is sent to the GPU at once at most; it is waited for after twice as much.
const PIECE_BYTES: u64 = 2 << 20;
/// What may be sent besides: tables of angles, and the numbers of a wait.
const SMALL_BYTES: u64 = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn smollm2_dropped_into_the_page_trains_three_steps() -> Result<()> {
    let model = smollm2()?;
    let page = gpus::open(GpuShim::default()).await?;
    page.upload("model-input", &[&model]).await?;
    let loaded = "return /llama/.test(document.querySelector('[data-testid=\"model-facts\"]')?.textContent ?? '') \
                  && document.querySelector('#model .step-summary').textContent.includes('SmolLM2')";
    page.wait_until("SmolLM2 is loaded", READY, loaded).await?;
    let between = page.gpu().await?.between;
    let most = |bytes: fn(&GpuCounts) -> u64| between.iter().map(bytes).max().unwrap_or(0);
    let (piece, unsettled) = (most(|counts| counts.most_written), most(|counts| counts.bytes_written));
    println!(
        "at most {piece} bytes at once, {unsettled} without a wait, {} waits",
        between.len()
    );
    ensure!(piece <= PIECE_BYTES && unsettled <= 2 * PIECE_BYTES + SMALL_BYTES);
    for (knob, value) in [("max_steps", "3"), ("cutoff_len", "32"), ("val_size", "0")] {
        page.set_knob(knob, value).await?;
    }
    page.wait_enabled("train", READY).await?;
    page.train_to_the_end().await?;
    ensure!(step(&page).await? == 3);
    println!("loss {} at {} tokens/s", loss(&page).await?, page.text("speed").await?);
    page.no_panic()?;
    page.close().await
}

/// What the worker's WebAssembly may take to load a large model.
const HEAP_BYTES: u64 = 300_000_000;

/// What the renderer may grow by meanwhile: that heap, and what the browser holds on the way from the file and to the GPU
/// process.
const RENDERER_BYTES: u64 = 1_000_000_000;

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_model_of_a_gigabyte_and_a_half_passes_through_a_small_heap() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("lorakeet-large-{}", std::process::id()));
    let files = large_model(&folder)?;
    let page = Page::open(&Options::default()).await?;
    page.wait_enabled("train", READY).await?;
    let renderer = |page: &Page| page.memory().get("renderer").copied().unwrap_or_default();
    let (before, mut peak) = (renderer(&page), 0);
    let paths: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    page.upload("model-input", &paths).await?;
    let loaded = "return !document.querySelector('[data-testid=\"model-bundled\"]').checked \
                  && /llama/.test(document.querySelector('[data-testid=\"model-facts\"]')?.textContent ?? '')";
    let start = std::time::Instant::now();
    while page.run(loaded, vec![]).await? != json!(true) {
        peak = peak.max(renderer(&page));
        ensure!(
            start.elapsed() < READY
                && page
                    .run("return !!document.querySelector('[data-testid=\"error\"]')", vec![])
                    .await?
                    != json!(true),
            "the model is not loaded: {}\n{}",
            page.text("error").await.unwrap_or_default(),
            page.console()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let heap = "return Number(document.querySelector('[data-testid=\"heap\"]').dataset.bytes)";
    let heap = page.run(heap, vec![]).await?.as_u64().context("the heap is a number")?;
    println!(
        "a model of 1.5 GB was loaded in {:.1?}; the worker's heap takes {} MB, the renderer grew by {} MB",
        start.elapsed(),
        heap / 1_000_000,
        peak.saturating_sub(before) / 1_000_000
    );
    std::fs::remove_dir_all(folder)?;
    ensure!(heap < HEAP_BYTES, "the worker's heap takes {heap} bytes");
    ensure!(
        peak.saturating_sub(before) < RENDERER_BYTES,
        "the renderer grew from {before} to {peak} bytes"
    );
    page.no_panic()?;
    page.close().await
}

/// A Llama of 1.5 GB in 16 bits, all zeros: a file with a hole takes no space on the disk.
fn large_model(folder: &Path) -> Result<Vec<PathBuf>> {
    let (width, inner, vocab, layers) = (2048, 8192, 32_000, 10);
    std::fs::create_dir_all(folder)?;
    let mut header = serde_json::Map::new();
    let mut end = 0;
    let mut add = |name: String, shape: Vec<usize>| {
        let start = end;
        end += 2 * shape.iter().product::<usize>();
        header.insert(
            name,
            json!({ "dtype": "BF16", "shape": shape, "data_offsets": [start, end] }),
        );
    };
    add("model.embed_tokens.weight".into(), vec![vocab, width]);
    add("model.norm.weight".into(), vec![width]);
    for layer in 0..layers {
        for (part, shape) in [
            ("input_layernorm", vec![width]),
            ("post_attention_layernorm", vec![width]),
            ("self_attn.q_proj", vec![width, width]),
            ("self_attn.k_proj", vec![width, width]),
            ("self_attn.v_proj", vec![width, width]),
            ("self_attn.o_proj", vec![width, width]),
            ("mlp.gate_proj", vec![inner, width]),
            ("mlp.up_proj", vec![inner, width]),
            ("mlp.down_proj", vec![width, inner]),
        ] {
            add(format!("model.layers.{layer}.{part}.weight"), shape);
        }
    }
    let mut header = Value::Object(header).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let config = json!({
        "model_type": "llama", "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": layers,
        "num_attention_heads": 16, "num_key_value_heads": 16, "vocab_size": vocab, "max_position_embeddings": 2048,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": true, "hidden_act": "silu"
    });
    let paths = ["config.json", "model.safetensors", "tokenizer.json"].map(|name| folder.join(name));
    std::fs::write(&paths[0], config.to_string())?;
    // Without a tokenizer the page would show an error once the model is there, for it has no preview.
    let public = Path::new(env!("CARGO_MANIFEST_DIR")).join("../public");
    std::fs::copy(public.join("model/tokenizer.json"), &paths[2])?;
    let mut file = std::fs::File::create(&paths[1])?;
    std::io::Write::write_all(&mut file, &(header.len() as u64).to_le_bytes())?;
    std::io::Write::write_all(&mut file, &header)?;
    file.set_len(8 + header.len() as u64 + end as u64)?;
    Ok(paths.into())
}

/// Waits until a model of the person's own is loaded in place of the page's.
async fn own_model(page: &Page) -> Result<()> {
    let script = "return !document.querySelector('[data-testid=\"model-bundled\"]').checked \
                  && /llama/.test(document.querySelector('[data-testid=\"model-facts\"]')?.textContent ?? '')";
    page.wait_until("the own model is loaded", REACTION, script)
        .await
        .map(drop)
}

pub(super) fn smollm2() -> Result<PathBuf> {
    let model = std::env::var_os("LORAKEET_SMOLLM2").map(PathBuf::from);
    model.context("LORAKEET_SMOLLM2 does not name the GGUF file; `cargo xtask test web` fetches it")
}
