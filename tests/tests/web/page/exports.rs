//! What was trained leaves the page in other programs' forms: as this program writes them natively.

use super::{bundled, gpus, shorten};
use anyhow::{Context, Result, ensure};
use lorakeet_core::config::RunConfig;
use lorakeet_core::export::{Form, RunRecord, SHARD_BYTES, Settings, Trained, export};
use lorakeet_core::formats::{ModelFiles, gguf, peft::Adapter, safetensors};
use lorakeet_core::protocol::{Command, DeviceChoice};
use lorakeet_core::quant::BaseFormat;
use lorakeet_core::store::{MemoryFile, MemorySink, Source};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::golden::block_on;
use lorakeet_tests::gpu_shim::GpuShim;
use lorakeet_tests::test_session::TestSession;
use lorakeet_tests::user_actions::{REACTION, READY, unpack};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

type Files = BTreeMap<String, Vec<u8>>;

/// A page on the CPU, where no kernels have to be compiled.
async fn on_cpu() -> Result<Page> {
    let page = Page::open(&Options {
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    Ok(page)
}

/// Chooses a form, downloads it, and gives the bytes of the download of this name.
async fn download(page: &Page, form: &str, name: &str) -> Result<Vec<u8>> {
    page.wait_enabled(&format!("export-{form}"), REACTION).await?;
    page.press(&format!("export-{form}")).await?;
    page.wait_enabled("download-adapter", REACTION).await?;
    page.click("download-adapter").await?;
    let path = page.wait_for_download(name, REACTION).await?;
    Ok(std::fs::read(path)?)
}

/// The same export of the downloaded adapter, made natively.
fn native(run_file: &str, adapter: &Files, form: Form) -> Result<Files> {
    let config = RunConfig::parse(run_file, "run.yaml")?.config;
    let (base, _) = bundled(&config)?;
    let files = adapter
        .iter()
        .map(|(name, bytes)| MemoryFile::source(name.clone(), bytes.clone()));
    let adapter = block_on(Adapter::open(files.collect()))?;
    let sink = MemorySink::new();
    let trained = Trained {
        base: block_on(ModelFiles::open(base.clone()))?,
        base_files: &base,
        adapter: Some(&adapter),
        head: None,
        record: &RunRecord::default(),
    };
    let settings = Settings {
        form,
        dtype: None,
        shard_bytes: SHARD_BYTES,
        base: BaseFormat::AsStored,
    };
    block_on(export(trained, settings, &sink, &mut |_, _| ()))?;
    Ok(sink.files())
}

/// Name, shape, bytes.
type Tensor = (String, Vec<usize>, Vec<u8>);

/// The tensors of a GGUF file.
fn tensors_of(file: &[u8]) -> Result<Vec<Tensor>> {
    let source: Source = MemoryFile::source("adapter.gguf", file.to_vec());
    let header = block_on(gguf::read_header(&source))?;
    let mut tensors = Vec::new();
    for tensor in header.tensors {
        let bytes = block_on(source.read_at(tensor.offset, tensor.bytes as usize))?;
        tensors.push((tensor.name, tensor.shape, bytes));
    }
    Ok(tensors)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_trained_is_downloaded_in_each_form_as_it_is_written_natively() -> Result<()> {
    let page = gpus::open(GpuShim::default()).await?;
    shorten(&page, "4").await?;
    page.train_to_the_end().await?;
    page.run("document.getElementById('export').open = true", vec![])
        .await?;
    page.wait_enabled("download-adapter", REACTION).await?;
    let peft: Files = unpack(&download(&page, "peft", "lorakeet-adapter.zip").await?)?
        .into_iter()
        .collect();
    let mlx: Files = unpack(&download(&page, "mlx", "lorakeet-mlx.zip").await?)?
        .into_iter()
        .collect();
    let adapter = download(&page, "gguf-adapter", "lorakeet-adapter.gguf").await?;
    let merged: Files = unpack(&download(&page, "merged", "lorakeet-merged.zip").await?)?
        .into_iter()
        .collect();
    page.wait_enabled("download-adapter", REACTION).await?;
    let done = page.content("[data-testid=\"export-done\"]").await?;
    ensure!(done.contains("lorakeet-merged.zip") && done.contains('4'), "{done}");
    let run_file = page.run_file().await?;
    tokio::task::spawn_blocking(move || -> Result<()> {
        let wanted = native(&run_file, &peft, Form::Mlx)?;
        let weights = mlx.get("adapters.safetensors").context("MLX's weights")?;
        let source: Source = MemoryFile::source("adapters.safetensors", weights.clone());
        ensure!(!block_on(safetensors::read_header(&source))?.is_empty());
        for name in ["adapters.safetensors", "adapter_config.json"] {
            ensure!(mlx.get(name) == wanted.get(name), "{name} is another one");
        }
        let wanted = native(&run_file, &peft, Form::GgufAdapter)?;
        let (found, wanted) = (tensors_of(&adapter)?, tensors_of(&wanted["adapter.gguf"])?);
        ensure!(
            !found.is_empty() && found == wanted,
            "the GGUF adapter has other tensors"
        );
        let wanted = native(&run_file, &peft, Form::Merged)?;
        ensure!(
            merged.get("model.safetensors") == wanted.get("model.safetensors"),
            "the merged model has other weights"
        );
        let card = String::from_utf8_lossy(merged.get("README.md").context("a model card")?).into_owned();
        ensure!(card.contains("after optimizer step 4"), "{card}");
        Ok(())
    })
    .await??;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_go_into_a_folder_that_was_chosen_and_none_is_left_of_an_export_that_was_refused() -> Result<()> {
    let page = on_cpu().await?;
    // In place of the system's dialog, and of the person in front of it: a folder in the private file system.
    let pick = "self.showDirectoryPicker = async () => {\
            if (self.dismisses) throw new DOMException('', 'AbortError');\
            return (await navigator.storage.getDirectory()).getDirectoryHandle('chosen', { create: true });\
        };";
    page.run(pick, vec![]).await?;
    shorten(&page, "2").await?;
    page.train_to_the_end().await?;
    page.run("document.getElementById('export').open = true", vec![])
        .await?;
    page.wait_enabled("download-adapter", REACTION).await?;
    page.press("export-mlx").await?;
    page.wait_enabled("save-export", REACTION).await?;
    page.run("self.dismisses = true", vec![]).await?;
    page.click("save-export").await?;
    page.wait_enabled("save-export", REACTION).await?;
    let names = "return (async () => {\
            const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen', { create: true });\
            const found = [];\
            for await (const [folder, handle] of root.entries())\
                for await (const name of handle.keys()) found.push(`${folder}/${name}`);\
            return found.sort().join(' ');\
        })()";
    ensure!(page.run(names, vec![]).await? == "", "nothing was chosen");
    page.run("self.dismisses = false", vec![]).await?;
    let wanted = ["lorakeet-mlx-2", "lorakeet-mlx"].map(|folder| {
        ["README.md", "adapter_config.json", "adapters.safetensors"]
            .map(|name| format!("{folder}/{name}"))
            .join(" ")
    });
    for wanted in [wanted[1].clone(), wanted.join(" ")] {
        page.wait_enabled("save-export", REACTION).await?;
        page.click("save-export").await?;
        let listed = names.replace(".join(' ')", &format!(".join(' ') === '{wanted}'"));
        page.wait_until("its files are there", REACTION, &listed).await?;
    }
    page.wait_enabled("save-export", REACTION).await?;
    page.element("export-done").await?;

    // A disk that is full.
    let full = "FileSystemWritableFileStream.prototype.write = async () => {\
        throw new DOMException('no room', 'QuotaExceededError') }";
    page.run(full, vec![]).await?;
    page.click("save-export").await?;
    let is_told = "return !!document.querySelector('[data-testid=\"error\"]')";
    page.wait_until("it is told", REACTION, is_told).await?;
    let told = page.text("error").await?;
    ensure!(told.contains("no room"), "{told}");
    let left = "return (async () => {\
            const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('chosen');\
            const found = [];\
            for await (const name of root.keys()) found.push(name);\
            return found.sort().join(' ') === 'lorakeet-mlx lorakeet-mlx-2';\
        })()";
    page.wait_until("nothing is left of it", REACTION, left).await?;
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_read_back_and_scored_before_it_is_downloaded() -> Result<()> {
    let page = gpus::open(GpuShim::default()).await?;
    shorten(&page, "4").await?;
    page.train_to_the_end().await?;
    page.run("document.getElementById('export').open = true", vec![])
        .await?;
    for (form, format, name, storage) in [
        ("gguf-adapter", None, "lorakeet-adapter.gguf", "F32"),
        ("gguf", Some("q8_0"), "lorakeet-model.gguf", "Q8_0"),
    ] {
        page.wait_enabled("download-adapter", REACTION).await?;
        page.press(&format!("export-{form}")).await?;
        if let Some(format) = format {
            page.set_field(&format!("export-format-{form}"), format).await?;
        }
        page.click("download-adapter").await?;
        // It is not offered before it was read back.
        let told = "return !!document.querySelector('[data-testid=\"export-check\"]')";
        page.wait_until("it is told what was read back", REACTION, told).await?;
        page.wait_for_download(name, REACTION).await?;
        let done = page.content("[data-testid=\"export-done\"]").await?;
        ensure!(done.contains("step 4, the last"), "{done}");
        let check = page.content("[data-testid=\"export-check\"]").await?;
        let is_read = check.contains("Read back:") && (check.contains(storage) || check.contains("as trained"));
        ensure!(is_read, "{check}");
        let score = page.content("[data-testid=\"export-score\"]").await?;
        ensure!(
            score.contains("16 validation rows") && score.contains("within"),
            "{score}"
        );
        let progress = "return !document.querySelector('[data-testid=\"export-progress\"]')";
        page.wait_until("nothing is under way", REACTION, progress).await?;
    }
    page.no_panic()?;
    page.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_cannot_hold_what_was_trained_says_why_and_what_to_export_instead() -> Result<()> {
    let page = on_cpu().await?;
    shorten(&page, "2").await?;
    page.set_knob("use_dora", "true").await?;
    page.train_to_the_end().await?;
    page.run("document.getElementById('export').open = true", vec![])
        .await?;
    page.wait_enabled("download-adapter", REACTION).await?;
    ensure!(
        !page.is_enabled("export-gguf-adapter").await?,
        "DoRA has no place there"
    );
    ensure!(page.is_enabled("export-mlx").await? && page.is_enabled("export-merged").await?);
    let choice = "return document.querySelector('[data-testid=\"export-gguf-adapter\"]').closest('div').textContent";
    let said = page.run(choice, vec![]).await?.to_string();
    ensure!(said.contains("DoRA") && said.contains("merged model"), "{said}");
    page.no_panic()?;
    page.close().await
}

/// The files of an adapter that a native run of one step trained by the page's own run file.
fn trained_natively(run_file: &str, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut config = RunConfig::parse(run_file, "run.yaml")?.config;
    config.max_steps = 1;
    let (model, data) = bundled(&config)?;
    let mut session = TestSession::with(DeviceChoice::Cpu, model, data);
    session.train(config);
    session.ask(Command::ExportAdapter, Vec::new());
    std::fs::create_dir_all(folder)?;
    let mut paths = Vec::new();
    for (name, bytes) in &session.exported {
        let path = folder.join(name);
        std::fs::write(&path, bytes)?;
        paths.push(path);
    }
    ensure!(paths.len() == 2, "{:?}", session.events.last());
    Ok(paths)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adapter_is_shown_scored_exported_and_looked_into_without_a_run() -> Result<()> {
    let page = Page::open(&Options {
        query: "?device=cpu".into(),
        ..Options::default()
    })
    .await?;
    page.wait_enabled("train", READY).await?;
    shorten(&page, "1").await?;
    let run_file = page.run_file().await?;
    let folder = std::env::temp_dir().join(format!("lorakeet-adapter-{}", std::process::id()));
    let place = folder.clone();
    let paths = tokio::task::spawn_blocking(move || trained_natively(&run_file, &place)).await??;
    let files: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    let rows = folder.join("rows.jsonl");
    std::fs::write(
        &rows,
        "{\"text\": \"Once upon a time there was a parrot.\"}\n".repeat(8),
    )?;
    page.upload("data-input", &[&rows]).await?;
    page.upload("adapter-input", &files).await?;
    let is_on = "return !!document.querySelector('[data-testid=\"adapter-facts\"]')";
    page.wait_until("the adapter is on the model", REACTION, is_on).await?;
    let facts = page.content("[data-testid=\"adapter-facts\"]").await?;
    ensure!(
        facts.contains("an adapter of PEFT") && facts.contains("modules:"),
        "{facts}"
    );
    page.wait_enabled("score-adapter", REACTION).await?;
    page.press("score-adapter").await?;
    let is_scored = "return !!document.querySelector('[data-testid=\"adapter\"] [data-testid=\"file-score\"]')";
    page.wait_until("it is scored", REACTION, is_scored).await?;

    page.run("document.getElementById('export').open = true", vec![])
        .await?;
    let adapter = download(&page, "gguf-adapter", "lorakeet-adapter.gguf").await?;
    ensure!(
        !tokio::task::spawn_blocking(move || tensors_of(&adapter))
            .await??
            .is_empty()
    );
    page.run("document.getElementById('files').open = true", vec![]).await?;
    page.wait_enabled("inspect-input", REACTION).await?;
    page.upload("inspect-input", &files).await?;
    let is_told = "return !!document.querySelector('[data-testid=\"inspected\"][data-kind=\"adapter\"]')";
    page.wait_until("it is told what they are", REACTION, is_told).await?;
    page.upload("compare-a", &files).await?;
    page.upload("compare-b", &files).await?;
    let is_same =
        "return document.querySelector('[data-testid=\"compared-total\"]')?.textContent === 'Nothing differs.'";
    page.wait_until("they are compared", REACTION, is_same).await?;
    page.screenshot("files").await?;
    std::fs::remove_dir_all(&folder)?;

    // Without it the model itself is what can be exported.
    page.press("remove-adapter").await?;
    page.wait_enabled("export-model", REACTION).await?;
    page.press("export-model").await?;
    let model = download(&page, "gguf", "lorakeet-model.gguf").await?;
    ensure!(
        !tokio::task::spawn_blocking(move || tensors_of(&model))
            .await??
            .is_empty()
    );
    page.no_panic()?;
    page.close().await
}
