//! What has to be on the machine before a command can do its work: each step says what it does, and what a person can do
//! where it fails.

use crate::places::{Places, say};
use crate::process::{capture, find};
use crate::{axe, models, packages, wasm};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A browser and the program that drives it.
#[derive(Debug, Clone)]
pub struct Browser {
    /// Chromium or Chrome.
    pub chromium: PathBuf,
    /// The chromedriver of the same major version.
    pub driver: PathBuf,
}

/// All of it, for `cargo xtask setup`.
pub fn everything(places: &Places) -> Result<()> {
    wasm::compiler()?;
    let browser = browser()?;
    say(format!(
        "browser: {} with {}",
        browser.chromium.display(),
        browser.driver.display()
    ));
    match vulkan()? {
        Some(driver) => say(format!("software Vulkan: {}", driver.display())),
        None => say("software Vulkan: this system's own driver is used"),
    }
    say(format!("axe-core: {}", axe::program(places)?.display()));
    say(format!("SmolLM2-135M-Instruct: {}", models::smollm2(places)?.display()));
    say(format!("all-MiniLM-L6-v2: {}", models::minilm(places)?.display()));
    Ok(())
}

/// Finds Chromium and chromedriver, or installs Debian's.
pub fn browser() -> Result<Browser> {
    if let Some(browser) = present_browser() {
        return Ok(browser);
    }
    let help = "Install Chromium or Chrome and the chromedriver of the same version, put both on PATH, or name them in \
                LORAKEET_CHROMIUM and LORAKEET_CHROMEDRIVER.";
    packages::install(&["chromium", "chromium-driver"], "testing the page in a browser", help)?;
    present_browser().with_context(|| format!("no Chromium with a chromedriver was found.\n{help}"))
}

fn present_browser() -> Option<Browser> {
    let chromium = named("LORAKEET_CHROMIUM").or_else(|| {
        [
            "chromium",
            "chromium-browser",
            "google-chrome",
            "google-chrome-stable",
            "chrome",
        ]
        .into_iter()
        .find_map(find)
    });
    let apple = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    let chromium = chromium.or_else(|| apple.is_file().then_some(apple))?;
    let driver = named("LORAKEET_CHROMEDRIVER").or_else(|| find("chromedriver"))?;
    Some(Browser { chromium, driver })
}

/// Firefox ESR and WebKitGTK with what drives them, for the tests in other browsers.
#[derive(Debug, Clone)]
pub struct OtherBrowsers {
    /// Firefox.
    pub firefox: PathBuf,
    /// WebKitWebDriver.
    pub webkit_driver: PathBuf,
    /// The browser that WebKitWebDriver starts.
    pub mini_browser: PathBuf,
}

/// Finds Firefox and WebKitGTK's browser, or installs Debian's.
pub fn other_browsers() -> Result<OtherBrowsers> {
    if let Some(browsers) = present_other_browsers() {
        return Ok(browsers);
    }
    let help = "Install Firefox, WebKitWebDriver with WebKitGTK's MiniBrowser, and Xvfb; or name the first three in \
                LORAKEET_FIREFOX, LORAKEET_WEBKITDRIVER and LORAKEET_MINIBROWSER.";
    let names = ["firefox-esr", "webkit2gtk-driver", "xvfb"];
    packages::install(&names, "testing the lab in other browsers", help)?;
    present_other_browsers().with_context(|| format!("Firefox, WebKitWebDriver or Xvfb was not found.\n{help}"))
}

fn present_other_browsers() -> Option<OtherBrowsers> {
    find("Xvfb")?;
    Some(OtherBrowsers {
        firefox: named("LORAKEET_FIREFOX").or_else(|| ["firefox-esr", "firefox"].into_iter().find_map(find))?,
        webkit_driver: named("LORAKEET_WEBKITDRIVER").or_else(|| find("WebKitWebDriver"))?,
        mini_browser: named("LORAKEET_MINIBROWSER").or_else(mini_browser)?,
    })
}

/// WebKitGTK's browser lies in a folder of the architecture's libraries.
fn mini_browser() -> Option<PathBuf> {
    let libraries = ["/usr/lib", "/usr/libexec", "/usr/lib64"];
    let folders = libraries.into_iter().flat_map(|folder| {
        let inside = std::fs::read_dir(folder).into_iter().flatten().flatten();
        std::iter::once(PathBuf::from(folder)).chain(inside.map(|entry| entry.path()))
    });
    let places =
        folders.flat_map(|folder| ["webkit2gtk-4.1", "webkitgtk-6.0", "webkit2gtk-4.0"].map(|name| folder.join(name)));
    places
        .map(|place| place.join("MiniBrowser"))
        .find(|path| path.is_file())
}

fn named(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_file())
}

/// The description file of Mesa's software Vulkan driver, installed if need be; `None` on systems other than Linux,
/// where tests run on the driver that is there.
pub fn vulkan() -> Result<Option<PathBuf>> {
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    if let Some(driver) = software_driver() {
        return Ok(Some(driver));
    }
    let help = "Install Mesa's Vulkan drivers and the Vulkan loader with this system's package manager.";
    packages::install(
        &["mesa-vulkan-drivers", "libvulkan1"],
        "testing the kernels on a software GPU",
        help,
    )?;
    let driver = software_driver()
        .with_context(|| format!("Mesa's software driver (lvp_icd) is not among the Vulkan drivers.\n{help}"))?;
    Ok(Some(driver))
}

fn software_driver() -> Option<PathBuf> {
    let loader =
        capture(Command::new("ldconfig").arg("-p")).or_else(|_| capture(Command::new("/sbin/ldconfig").arg("-p")));
    // Where ldconfig cannot be asked, a missing loader shows in the tests' own message.
    if loader.is_ok_and(|libraries| !libraries.contains("libvulkan.so.1")) {
        return None;
    }
    [
        "/usr/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
    ]
    .into_iter()
    .find_map(|dir| {
        let entries = std::fs::read_dir(Path::new(dir)).ok()?;
        entries.flatten().map(|entry| entry.path()).find(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("lvp_icd"))
        })
    })
}
