//! A real browser, driven over WebDriver: it opens the built page with or without WebGPU, at a given size, and tells
//! what its console said when a wait runs out.
//!
//! Chromium's WebGPU runs on SwiftShader, its software adapter, so that the same tests run on machines without a GPU.

use crate::driver::{Browser, Driver};
use crate::gpu_shim::GpuShim;
use crate::memory;
use crate::site::{Site, dist};
use anyhow::{Context, Result, bail};
use fantoccini::elements::Element;
use fantoccini::wd::Capabilities;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
#[cfg(target_os = "linux")]
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// WebGPU on the software adapter. Where it has to look for a GL itself, Chromium gives up GL and WebGPU when the GPU process ends.
const WEBGPU: [&str; 5] = [
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--use-angle=swiftshader",
    "--enable-features=Vulkan",
    "--disable-gpu-sandbox",
];
/// WebGPU on the machine's own GPU, also where the browser does not know it for a good one.
const OWN_WEBGPU: [&str; 3] = [
    "--enable-unsafe-webgpu",
    "--enable-features=Vulkan",
    "--ignore-gpu-blocklist",
];
const NO_WEBGPU: [&str; 1] = ["--disable-blink-features=WebGPU"];
const QUIET: [&str; 7] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
const POLL: Duration = Duration::from_millis(100);
/// Windows cannot be made narrower than this; narrower pages are emulated.
const NARROWEST_WINDOW: u32 = 600;

/// How to open the page.
#[derive(Debug, Clone)]
pub struct Options {
    /// The browser.
    pub browser: Browser,
    /// Whether the browser has WebGPU.
    pub webgpu: bool,
    /// Whether that is the machine's own GPU, in place of the software adapter.
    pub hardware: bool,
    /// Width of the page in CSS pixels.
    pub width: u32,
    /// Height of the page in CSS pixels.
    pub height: u32,
    /// Files whose names start like this are missing from the server.
    pub missing: Vec<&'static str>,
    /// Flags that the browser is given besides.
    pub flags: Vec<&'static str>,
    /// Bytes that a site may store, in place of the browser's own limit: Firefox alone is told so; of Chromium see
    /// [`Page::limit_storage`].
    pub storage_bytes: Option<u64>,
    /// What stands behind the address; `?device=gpu` by default.
    pub query: String,
    /// What WebGPU is without in the page's worker; with a shim it can be counted and broken.
    pub gpu_shim: Option<GpuShim>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            browser: Browser::Chromium,
            webgpu: true,
            hardware: false,
            width: 1440,
            height: 900,
            missing: Vec::new(),
            flags: Vec::new(),
            storage_bytes: None,
            // Left to choose, the engine would take the CPU before a software adapter.
            query: "?device=gpu".into(),
            gpu_shim: None,
        }
    }
}

/// The open page with everything that it needs; dropping it ends the browser, also when a test panics.
#[derive(Debug)]
pub struct Page {
    /// The WebDriver session.
    pub client: Client,
    site: Option<Site>,
    // The browser ends before its folder goes.
    driver: Driver,
    folder: Folder,
}

impl Page {
    /// Serves the built page, starts a browser with an empty profile and opens it.
    ///
    /// # Errors
    /// The page is not built, or the browser does not start.
    pub async fn open(options: &Options) -> Result<Self> {
        let before_engine = options.gpu_shim.map(GpuShim::script).unwrap_or_default();
        let site = Site::start_with(&dist()?, &options.missing, &before_engine).await?;
        let url = format!("{}{}", site.url(), options.query);
        let mut page = Self::open_at(&url, options).await?;
        page.site = Some(site);
        Ok(page)
    }

    /// Starts a browser with an empty profile and opens an address that somebody else serves.
    ///
    /// # Errors
    /// The browser does not start, or the address does not open.
    pub async fn open_at(url: &str, options: &Options) -> Result<Self> {
        let folder = fresh_folder()?;
        let driver = Driver::start(options.browser, &folder.0, options.storage_bytes).await?;
        let mut builder = ClientBuilder::new(HttpConnector::new());
        builder.capabilities(capabilities(options, &folder.0)?);
        let client = builder.connect(&driver.url()).await.with_context(|| {
            format!(
                "the browser did not start; its log says:\n{}",
                driver.log_lines(|_| true)
            )
        })?;
        // Only Chromium emulates a size.
        if options.browser != Browser::Chromium {
            client.set_window_size(options.width, options.height).await?;
        }
        let page = Self {
            client,
            site: None,
            driver,
            folder,
        };
        page.client
            .goto(url)
            .await
            .with_context(|| format!("{url} did not open"))?;
        Ok(page)
    }

    /// The element with this `data-testid`, which must be there.
    ///
    /// # Errors
    /// It is not there.
    pub async fn element(&self, testid: &str) -> Result<Element> {
        let selector = selector(testid);
        let found = self.client.find(Locator::Css(&selector)).await;
        found.with_context(|| format!("the page has no element {selector}\n{}", self.console()))
    }

    /// Clicks an element, as a person does who scrolls until it is not under the page's bar.
    ///
    /// # Errors
    /// It is not there or covered.
    pub async fn click(&self, testid: &str) -> Result<()> {
        let scroll = "document.querySelector(arguments[0])?.scrollIntoView({ block: 'center', behavior: 'instant' })";
        self.run(scroll, vec![json!(selector(testid))]).await?;
        let mut clicked = self.element(testid).await?.click().await;
        // A list that was drawn anew has other elements of the same name.
        for _ in 0..3 {
            match &clicked {
                Err(error) if error.to_string().contains("stale element") => {
                    clicked = self.element(testid).await?.click().await;
                }
                _ => break,
            }
        }
        clicked.with_context(|| format!("{testid} cannot be clicked\n{}", self.console()))
    }

    /// The visible text of an element.
    ///
    /// # Errors
    /// It is not there.
    pub async fn text(&self, testid: &str) -> Result<String> {
        Ok(self.element(testid).await?.text().await?)
    }

    /// Whether an element is there and can be pressed.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn is_enabled(&self, testid: &str) -> Result<bool> {
        let script = "const e = document.querySelector(arguments[0]);\
            return !!e && !e.disabled && e.getAttribute('aria-disabled') !== 'true';";
        Ok(self.run(script, vec![json!(selector(testid))]).await? == json!(true))
    }

    /// Runs JavaScript in the page.
    ///
    /// # Errors
    /// It throws.
    pub async fn run(&self, script: &str, arguments: Vec<Value>) -> Result<Value> {
        let result = self.client.execute(script, arguments).await;
        result.with_context(|| format!("this script failed in the page: {script}\n{}", self.console()))
    }

    /// Changes a field as a person does, folded away or not: by its value and the event that tells of it.
    ///
    /// # Errors
    /// It is not there.
    pub async fn set_field(&self, testid: &str, value: &str) -> Result<()> {
        self.element(testid).await?;
        let script = "const field = document.querySelector(arguments[0]);\
                      field.value = arguments[1]; field.dispatchEvent(new Event('change', { bubbles: true }));";
        let arguments = vec![json!(selector(testid)), json!(value)];
        self.run(script, arguments).await.map(drop)
    }

    /// Resident memory of the browser by part (`renderer`, `gpu-process`, `browser`, …); empty where the system does not
    /// tell. The page's worker with its WebAssembly memory lives in the renderer, WebGPU's buffers in the GPU process, and on
    /// a software adapter they are all host memory.
    #[must_use]
    pub fn memory(&self) -> BTreeMap<String, u64> {
        let mut parts = BTreeMap::new();
        for process in memory::descendants(self.driver.process()) {
            if let Some(bytes) = memory::resident_bytes(process) {
                *parts.entry(memory::browser_part(process)).or_default() += bytes;
            }
        }
        parts
    }

    /// Waits until a script returns something that JavaScript takes for true, and returns that.
    ///
    /// # Errors
    /// The time is over: the error says what was waited for, what the script returned last, and what the console said.
    pub async fn wait_until(&self, what: &str, limit: Duration, script: &str) -> Result<Value> {
        let start = Instant::now();
        loop {
            let value = self.run(script, Vec::new()).await?;
            let truthy = match &value {
                Value::Null | Value::Bool(false) => false,
                Value::String(text) => !text.is_empty(),
                Value::Number(number) => number.as_f64() != Some(0.0),
                _ => true,
            };
            if truthy {
                return Ok(value);
            }
            if start.elapsed() > limit {
                let visible = self.run("return document.body.innerText", Vec::new()).await?;
                let visible: String = visible.as_str().unwrap_or_default().chars().take(2000).collect();
                let _ = self.screenshot("failure").await;
                bail!(
                    "the page shows:\n{visible}\n{}\nlast value: {value}\nwaited {} s in vain for: {what}",
                    self.console(),
                    limit.as_secs()
                );
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until an element is there and can be pressed.
    ///
    /// # Errors
    /// The time is over.
    pub async fn wait_enabled(&self, testid: &str, limit: Duration) -> Result<()> {
        let selector = selector(testid);
        let script = format!(
            "const e = document.querySelector('{selector}');\
             return !!e && !e.disabled && e.getAttribute('aria-disabled') !== 'true';"
        );
        self.wait_until(&format!("{testid} can be used"), limit, &script)
            .await
            .map(drop)
    }

    /// Gives files to the file input with this `data-testid`, as a person who picks or drops them would.
    ///
    /// # Errors
    /// The input or a file is missing.
    pub async fn upload(&self, testid: &str, files: &[&Path]) -> Result<()> {
        let mut names = Vec::new();
        for file in files {
            let absolute = file
                .canonicalize()
                .with_context(|| format!("{} is missing", file.display()))?;
            names.push(absolute.to_string_lossy().into_owned());
        }
        let input = self.element(testid).await?;
        input
            .send_keys(&names.join("\n"))
            .await
            .with_context(|| format!("{testid} takes no files"))
    }

    /// The first file that the page downloads whose name ends like this, complete.
    ///
    /// # Errors
    /// None arrives in time.
    pub async fn wait_for_download(&self, ending: &str, limit: Duration) -> Result<PathBuf> {
        let start = Instant::now();
        while start.elapsed() < limit {
            for entry in std::fs::read_dir(self.folder.0.join("downloads"))?.flatten() {
                // Chromium keeps the name with an empty file while it writes another, which then takes its place.
                let is_complete = entry.metadata().is_ok_and(|file| file.len() > 0);
                if is_complete && entry.file_name().to_string_lossy().ends_with(ending) {
                    return Ok(entry.path());
                }
            }
            tokio::time::sleep(POLL).await;
        }
        bail!(
            "no download that ends in {ending} came within {} s\n{}",
            limit.as_secs(),
            self.console()
        )
    }

    /// Writes what the window shows to `screenshots/NAME.png` in the target folder, and returns the path.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn screenshot(&self, name: &str) -> Result<PathBuf> {
        let path = screenshot_folder()?.join(format!("{name}.png"));
        let png = self.client.screenshot().await?;
        std::fs::write(&path, png).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// Screenshots of the whole page, one a window's height: `NAME-1.png`, `NAME-2.png`, at most six.
    ///
    /// # Errors
    /// A file cannot be written.
    pub async fn screenshots(&self, name: &str) -> Result<()> {
        for number in 1..=6 {
            let script = "window.scrollTo({ top: arguments[0] * innerHeight, behavior: 'instant' });\
                          return scrollY + innerHeight >= document.documentElement.scrollHeight - 1;";
            let last = self.run(script, vec![json!(number - 1)]).await?;
            self.screenshot(&format!("{name}-{number}")).await?;
            if last == json!(true) {
                break;
            }
        }
        Ok(())
    }

    /// What the page and its worker wrote to the console, and what the GPU process complained of.
    #[must_use]
    pub fn console(&self) -> String {
        let telling = [
            "CONSOLE",
            "ERROR:gpu",
            "dawn",
            "panicked",
            "console.",
            "JavaScript error",
        ];
        let lines = self
            .driver
            .log_lines(|line| telling.iter().any(|word| line.contains(word)));
        format!("the browser's console:\n{lines}")
    }

    /// The server of the page, where it is the page's own.
    pub(crate) fn site(&self) -> Option<&Site> {
        self.site.as_ref()
    }

    /// Host and port of what drives the browser.
    pub(crate) fn driver_address(&self) -> String {
        let url = self.driver.url();
        url.strip_prefix("http://").unwrap_or(&url).to_owned()
    }

    /// Kills the browser's GPU process, as a driver's crash does: every device in the page is lost.
    ///
    /// # Errors
    /// There is no such process in this browser.
    #[cfg(target_os = "linux")]
    pub fn end_gpu_process(&self) -> Result<()> {
        let processes = memory::descendants(self.driver.process());
        let gpu = processes
            .into_iter()
            .find(|process| memory::browser_part(*process) == "gpu-process");
        let gpu = gpu.context("the browser has no GPU process")?.to_string();
        let status = Command::new("kill").args(["-KILL", "--", &gpu]).status()?;
        if !status.success() {
            bail!("the GPU process {gpu} could not be ended");
        }
        Ok(())
    }

    /// Ends the browser in good order.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn close(self) -> Result<()> {
        self.client.clone().close().await.context("the browser did not close")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A profile that cannot be removed is left to the system's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The CSS selector of a `data-testid`.
#[must_use]
pub fn selector(testid: &str) -> String {
    format!("[data-testid=\"{testid}\"]")
}

fn capabilities(options: &Options, folder: &Path) -> Result<Capabilities> {
    let timeouts = json!({ "script": 60_000, "pageLoad": 60_000, "implicit": 0 });
    let wanted = match options.browser {
        Browser::Chromium => json!({ "browserName": "chrome", "goog:chromeOptions": of_chromium(options, folder)? }),
        Browser::Firefox => json!({}),
        Browser::WebKit => {
            let browser = json!({ "binary": Browser::mini_browser(), "args": ["--automation"] });
            json!({ "browserName": "MiniBrowser", "webkitgtk:browserOptions": browser })
        }
    };
    let Value::Object(mut wanted) = wanted else {
        bail!("capabilities are an object, not {wanted}")
    };
    wanted.insert("timeouts".into(), timeouts);
    Ok(wanted)
}

fn of_chromium(options: &Options, folder: &Path) -> Result<Value> {
    let downloads = folder.join("downloads");
    std::fs::create_dir_all(&downloads)?;
    let mut flags: Vec<String> = QUIET.iter().map(ToString::to_string).collect();
    let gpu: &[&str] = match (options.webgpu, options.hardware) {
        (true, false) => &WEBGPU,
        (true, true) => &OWN_WEBGPU,
        (false, _) => &NO_WEBGPU,
    };
    flags.extend(gpu.iter().chain(&options.flags).map(ToString::to_string));
    flags.push(format!("--user-data-dir={}", folder.join("profile").display()));
    flags.push(format!(
        "--window-size={},{}",
        options.width.max(NARROWEST_WINDOW),
        options.height
    ));
    let mut chrome = json!({
        "args": flags,
        "prefs": {
            "download.default_directory": downloads,
            "download.prompt_for_download": false,
            "profile.default_content_setting_values.automatic_downloads": 1,
        },
    });
    if let Some(binary) = std::env::var_os("LORAKEET_CHROMIUM") {
        chrome["binary"] = json!(binary.to_string_lossy());
    }
    // The window's frame takes part of its size; emulation gives the page exactly these pixels.
    let metrics = json!({ "width": options.width, "height": options.height, "pixelRatio": 1.0, "mobile": false });
    chrome["mobileEmulation"] = json!({ "deviceMetrics": metrics });
    Ok(chrome)
}

/// A folder of a browser's own for its profile, its downloads and its log; it goes with the browser.
#[derive(Debug)]
struct Folder(PathBuf);

fn fresh_folder() -> Result<Folder> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("lorakeet-browser-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    Ok(Folder(folder))
}

/// Where tests leave pictures, made where it is missing.
pub(crate) fn screenshot_folder() -> Result<PathBuf> {
    let folder = target_folder().join("screenshots");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Where builds go, as cargo was told.
fn target_folder() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), |dir| workspace.join(dir))
}
