//! A lesson: files given to the page and to a native run, and what both of them come to.

use anyhow::{Context, Result, ensure};
use lorakeet_core::config::RunConfig;
use lorakeet_core::protocol::{DeviceChoice, EvalInfo, Event, PredictionTable, Report};
use lorakeet_core::store::{Source, read_all};
use lorakeet_tests::browser::{Options, Page};
use lorakeet_tests::test_session::TestSession;
use lorakeet_tests::user_actions::{REACTION, READY, SAME};
use std::path::{Path, PathBuf};

/// Notes which step the page showed when the scores to beat appeared.
pub(super) const WATCH_BASELINES: &str = "const seen = () => { if (window.stepOfBaselines === undefined \
    && document.querySelector('[data-testid=\"baselines\"] tbody tr')) \
    window.stepOfBaselines = document.querySelector('[data-testid=\"step\"]').textContent; };\
    new MutationObserver(seen).observe(document.body, { childList: true, subtree: true });";

/// Files on the disk, as a person has them; removed in the end.
pub(super) struct Files {
    pub(super) folder: PathBuf,
    pub(super) paths: Vec<PathBuf>,
}

impl Files {
    pub(super) async fn of(name: &str, sources: Vec<Source>) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("lorakeet-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let mut paths = Vec::new();
        for source in sources {
            let path = folder.join(source.name());
            std::fs::write(&path, read_all(source.as_ref(), 1 << 24).await?)?;
            paths.push(path);
        }
        Ok(Self { folder, paths })
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // What cannot be removed is left to the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A page with a lesson's files in it. They stay on the disk as long: a run reads the model again for its head.
pub(super) struct Taught {
    pub(super) page: Page,
    pub(super) _files: [Files; 2],
}

impl std::ops::Deref for Taught {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}

/// A task's model and data.
#[derive(Clone, Copy)]
pub(super) struct Lesson {
    pub(super) name: &'static str,
    pub(super) model: fn() -> Vec<Source>,
    pub(super) data: fn() -> Source,
    pub(super) knobs: &'static [(&'static str, &'static str)],
}

/// What every lesson sets: LoRA that learns in few and small steps.
const KNOBS: [(&str, &str); 9] = [
    ("per_device_train_batch_size", "8"),
    ("per_device_eval_batch_size", "16"),
    ("gradient_accumulation_steps", "2"),
    ("learning_rate", "1e-2"),
    ("lora_r", "16"),
    ("lora_alpha", "32"),
    ("lora_dropout", "0"),
    ("cutoff_len", "32"),
    ("logging_steps", "1"),
];

impl Lesson {
    /// The page with the lesson's files in it and its knobs set.
    pub(super) async fn open(&self, options: &Options) -> Result<Taught> {
        let model = Files::of(&format!("{}-model", self.name), (self.model)()).await?;
        let data = Files::of(&format!("{}-data", self.name), vec![(self.data)()]).await?;
        let page = Page::open(options).await?;
        page.wait_enabled("train", READY).await?;
        let paths: Vec<&Path> = model.paths.iter().map(PathBuf::as_path).collect();
        page.upload("model-input", &paths).await?;
        page.wait_until(
            "the own model is loaded",
            REACTION,
            "return !document.querySelector('[data-testid=\"model-bundled\"]').checked \
             && !!document.querySelector('[data-testid=\"model-facts\"]')",
        )
        .await?;
        page.upload("data-input", &[&data.paths[0]]).await?;
        let name = data.paths[0]
            .file_name()
            .context("a name")?
            .to_string_lossy()
            .into_owned();
        let read = format!("return document.querySelector('#data .step-summary').textContent.includes('{name}: ')");
        page.wait_until("the data is read", REACTION, &read).await?;
        for (knob, value) in KNOBS.iter().chain(self.knobs) {
            page.set_knob(knob, value).await?;
        }
        let plan = "return !document.querySelector('[data-testid=\"task-problem\"]') \
                    && document.querySelector('[data-testid=\"train\"]')?.disabled === false \
                    && document.querySelector('[data-testid=\"preview\"] .example') \
                    && document.querySelector('[data-testid=\"task-plan\"]').textContent";
        page.wait_until("the task is found", REACTION, plan).await?;
        Ok(Taught {
            page,
            _files: [model, data],
        })
    }

    /// The same run natively on the CPU, by the page's run file.
    pub(super) async fn natively(self, run_file: String) -> Result<Native> {
        let run = move || -> Result<Native> {
            let config = RunConfig::parse(&run_file, "run.yaml")?.config;
            let mut session = TestSession::with(DeviceChoice::Cpu, (self.model)(), (self.data)());
            session.train(config);
            Native::of(session)
        };
        tokio::task::spawn_blocking(run).await?
    }
}

/// What a native run came to.
pub(super) struct Native {
    pub(super) first: EvalInfo,
    pub(super) last: EvalInfo,
    pub(super) report: Option<Report>,
    pub(super) predictions: PredictionTable,
}

impl Native {
    pub(super) fn of(session: TestSession) -> Result<Self> {
        let evals = session.evals();
        let mut native = Self {
            last: evals
                .last()
                .cloned()
                .with_context(|| format!("no score: {:?}", session.events))?,
            first: evals[0].clone(),
            report: None,
            predictions: PredictionTable::default(),
        };
        for event in session.events {
            match event {
                Event::Report(report) => native.report = Some(*report),
                Event::Predictions(table) => native.predictions = table,
                _ => {}
            }
        }
        Ok(native)
    }
}

pub(super) fn on_cpu(width: u32) -> Options {
    Options {
        webgpu: false,
        width,
        query: "?device=cpu".into(),
        ..Options::default()
    }
}

/// The page's report has the native run's scores, those to beat and those of the tuned model.
pub(super) async fn same_report(page: &Page, native: &Native) -> Result<()> {
    let report = native.report.as_ref().context("the native run has a report")?;
    let script = "return [...document.querySelectorAll('[data-testid=\"report\"] table')[0].querySelectorAll('tbody tr')]\
                  .map(row => [...row.querySelectorAll('td')].map(cell => [cell.dataset.metric, cell.textContent]))";
    let shown = page.run(script, vec![]).await?;
    let shown = shown.as_array().context("rows")?;
    let ways = report.baselines.iter().map(|baseline| &baseline.metrics);
    let ways: Vec<_> = ways.chain([&report.metrics]).collect();
    ensure!(shown.len() == ways.len(), "{shown:?} instead of {ways:?}");
    let mut furthest: f64 = 0.0;
    for (row, metrics) in shown.iter().zip(&ways) {
        for metric in metrics.iter() {
            let cells = row.as_array().context("cells")?;
            let cell = cells.iter().find(|cell| cell[0] == metric.name.as_str());
            let text = cell.and_then(|cell| cell[1].as_str()).context("a cell")?;
            let Ok(value) = text.parse::<f64>() else {
                ensure!(metric.value.is_nan(), "{} is {text} on the page", metric.name);
                continue;
            };
            // Large numbers are shown with fewer decimals.
            let unit = metric.value.abs().max(1.0);
            furthest = furthest.max((value - metric.value).abs() / unit);
            ensure!(
                (value - metric.value).abs() < SAME * unit,
                "{} is {text} on the page and {} natively",
                metric.name,
                metric.value
            );
        }
    }
    let sentence = page.content("[data-testid=\"report-sentence\"]").await?;
    println!("furthest from the native run: {furthest:.1e}; {sentence}");
    ensure!(
        sentence.contains("confidence") && sentence.contains(&report.metric),
        "{sentence}"
    );
    Ok(())
}

/// The downloaded table; its rows are those of the native run.
pub(super) async fn downloaded(page: &Page, native: &Native) -> Result<Vec<Vec<String>>> {
    page.press("download-predictions").await?;
    let file = page.wait_for_download("predictions.csv", REACTION).await?;
    let text = std::fs::read_to_string(file)?;
    let mut rows: Vec<Vec<String>> = text
        .lines()
        .map(|line| line.split(',').map(str::to_owned).collect())
        .collect();
    ensure!(
        !rows.is_empty() && rows.remove(0) == native.predictions.columns,
        "{text}"
    );
    let numbers = |rows: &[Vec<String>]| {
        let mut numbers: Vec<String> = rows.iter().map(|row| row[0].clone()).collect();
        numbers.sort();
        numbers
    };
    ensure!(
        numbers(&rows) == numbers(&native.predictions.rows),
        "other rows: {text}"
    );
    Ok(rows)
}

pub(super) fn number(field: &str) -> f64 {
    field.parse().unwrap_or(f64::NAN)
}

/// Nothing of the page is cut off on a screen of this width, with everything unfolded.
pub(super) async fn fits(page: &Page, width: u64) -> Result<()> {
    page.run(
        "document.querySelectorAll('details').forEach(fold => fold.open = true)",
        vec![],
    )
    .await?;
    let wide = page.run("return document.documentElement.scrollWidth", vec![]).await?;
    ensure!(
        wide.as_u64().is_some_and(|wide| wide <= width),
        "the page is {wide} wide on {width}"
    );
    Ok(())
}
