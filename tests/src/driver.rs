//! Programs that drive a browser over WebDriver: chromedriver, WebKitWebDriver on a screen of its own, and Firefox itself behind
//! `marionette.rs`.

use crate::marionette::Marionette;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a driver is started before it counts as broken.
const STARTS: usize = 5;
/// How long a driver may take until it listens.
const START: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(50);
const CONSOLE_LINES: usize = 60;
/// Where Debian puts WebKitGTK's browser for tests.
const MINI_BROWSER: &str = "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser";

/// A browser's engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Browser {
    /// Chromium, with WebGPU on its software adapter where a test wants it.
    Chromium,
    /// Firefox ESR, headless.
    Firefox,
    /// WebKitGTK's MiniBrowser.
    WebKit,
}

impl Browser {
    /// The program that speaks WebDriver, or is spoken with in its place.
    fn program(self) -> std::ffi::OsString {
        let (variable, usual) = match self {
            Self::Chromium => ("LORAKEET_CHROMEDRIVER", "chromedriver"),
            Self::Firefox => ("LORAKEET_FIREFOX", "firefox-esr"),
            Self::WebKit => ("LORAKEET_WEBKITDRIVER", "WebKitWebDriver"),
        };
        std::env::var_os(variable).unwrap_or_else(|| usual.into())
    }

    /// The path of WebKitGTK's browser.
    pub(crate) fn mini_browser() -> String {
        std::env::var("LORAKEET_MINIBROWSER").unwrap_or_else(|_| MINI_BROWSER.into())
    }
}

/// A running driver with all that it needs; dropping it ends them and the browser.
#[derive(Debug)]
pub struct Driver {
    child: Child,
    /// The screen of a browser that cannot do without one.
    screen: Option<Child>,
    marionette: Option<Marionette>,
    port: u16,
    log: PathBuf,
}

/// What came of starting a driver.
enum Start {
    Listening(Driver),
    /// It ended before it listened; what it wrote.
    Ended(String),
}

impl Driver {
    /// Starts the driver of a browser on a free port; `folder` takes the browser's messages and its profile. `storage_bytes` is how
    /// much Firefox lets a site store.
    ///
    /// # Errors
    /// The driver cannot be started, or ended each time before it listened.
    pub async fn start(browser: Browser, folder: &Path, storage_bytes: Option<u64>) -> Result<Self> {
        let program = browser.program();
        let log = folder.join("browser.log");
        let mut driver = start_often(&program, || match browser {
            Browser::Chromium => Self::chromedriver(&program, &log),
            Browser::Firefox => Self::firefox(&program, &log, &folder.join("profile"), storage_bytes),
            Browser::WebKit => Self::webkit(&program, &log),
        })?;
        if browser == Browser::Firefox {
            let marionette = Marionette::connect(driver.port).await?;
            driver.port = marionette.port();
            driver.marionette = Some(marionette);
        }
        Ok(driver)
    }

    /// chromedriver takes a port that is free on IPv4 and ends when the same port is taken on IPv6.
    fn chromedriver(program: &OsStr, log: &Path) -> Result<Start> {
        let errors = log.with_extension("errors");
        let mut command = Command::new(program);
        command
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(File::create(&errors)?);
        // chromedriver hides what the browser says; the browser writes it to this file instead.
        File::create(log)?;
        command.env("CHROME_LOG_FILE", log);
        let mut driver = Self::spawn(command, log)?;
        let stdout = driver
            .child
            .stdout
            .take()
            .context("chromedriver has no output to read")?;
        let mut lines = BufReader::new(stdout).lines();
        let mut said = Vec::new();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, port)) = line.split_once("successfully on port ") {
                driver.port = port
                    .trim()
                    .trim_end_matches('.')
                    .parse()
                    .context("chromedriver's port is no number")?;
                break;
            }
            said.push(line);
        }
        if driver.port == 0 {
            said.push(last_lines(&errors, |_| true));
            return Ok(Start::Ended(said.join("\n")));
        }
        // A full pipe would stop chromedriver.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Start::Listening(driver))
    }

    /// Firefox writes the port of its Marionette into the profile.
    fn firefox(program: &OsStr, log: &Path, profile: &Path, storage_bytes: Option<u64>) -> Result<Start> {
        std::fs::create_dir_all(profile)?;
        let ready = profile.join("MarionetteActivePort");
        let _ = std::fs::remove_file(&ready);
        let downloads = log.with_file_name("downloads");
        let preferences = [
            ("marionette.port", "0".to_owned()),
            ("devtools.console.stdout.content", "true".into()),
            ("browser.download.folderList", "2".into()),
            ("browser.download.dir", format!("{downloads:?}")),
            ("app.update.disabledForTesting", "true".into()),
            ("browser.shell.checkDefaultBrowser", "false".into()),
            ("datareporting.policy.dataSubmissionEnabled", "false".into()),
            ("network.captive-portal-service.enabled", "false".into()),
            ("network.connectivity-service.enabled", "false".into()),
            // Tab reaches links and buttons wherever the system's setting says otherwise.
            ("accessibility.tabfocus", "7".into()),
        ];
        // In KiB for all sites together, of which each gets a fifth, 10 MiB at least.
        let limit = storage_bytes.map(|bytes| (bytes / 1024 * 5).to_string());
        let limit = limit.map(|limit| ("dom.quotaManager.temporaryStorage.fixedLimit", limit));
        let preferences = preferences.into_iter().chain(limit);
        let lines = preferences.map(|(name, value)| format!("user_pref(\"{name}\", {value});\n"));
        std::fs::write(profile.join("user.js"), lines.collect::<String>())?;
        let mut command = Command::new(program);
        command
            .args(["--headless", "--marionette", "--no-remote", "--profile"])
            .arg(profile);
        let output = File::create(log)?;
        command.stdout(output.try_clone()?).stderr(output);
        let driver = Self::spawn(command, log)?;
        let port = || std::fs::read_to_string(&ready).ok()?.trim().parse().ok();
        driver.wait_for_port(port)
    }

    /// WebKitGTK draws on a screen only; WebKitWebDriver has to be told its port.
    fn webkit(program: &OsStr, log: &Path) -> Result<Start> {
        let (screen, display) = screen()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut command = Command::new(program);
        command.arg(format!("--port={port}"));
        command
            .env("DISPLAY", format!(":{display}"))
            .env("LIBGL_ALWAYS_SOFTWARE", "1");
        command.env_remove("WAYLAND_DISPLAY");
        let output = File::create(log)?;
        command.stdout(output.try_clone()?).stderr(output);
        let mut driver = Self::spawn(command, log)?;
        driver.screen = Some(screen);
        driver.wait_for_port(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok().then_some(port))
    }

    /// In a group of its own, which the browser joins, so that both can be ended together.
    fn spawn(mut command: Command, log: &Path) -> Result<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt;
            command.process_group(0);
        }
        let child = command.stdin(Stdio::null()).spawn().with_context(|| {
            let program = command.get_program().to_string_lossy();
            format!("{program} cannot be started; `cargo xtask setup` installs it")
        })?;
        Ok(Self {
            child,
            screen: None,
            marionette: None,
            port: 0,
            log: log.to_path_buf(),
        })
    }

    /// Waits until the driver listens or has ended.
    fn wait_for_port(mut self, port: impl Fn() -> Option<u16>) -> Result<Start> {
        let start = Instant::now();
        while start.elapsed() < START {
            if let Some(port) = port() {
                self.port = port;
                return Ok(Start::Listening(self));
            }
            if self.child.try_wait()?.is_some() {
                break;
            }
            std::thread::sleep(POLL);
        }
        Ok(Start::Ended(last_lines(&self.log, |_| true)))
    }

    /// Where it takes WebDriver's commands.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The process that started the browser.
    #[must_use]
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The last lines of what the browser wrote, of those that someone wants to read.
    #[must_use]
    pub fn log_lines(&self, wanted: impl Fn(&str) -> bool) -> String {
        last_lines(&self.log, wanted)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            let group = format!("-{}", self.child.id());
            let _ = Command::new("kill")
                .args(["-KILL", "--", &group])
                .stderr(Stdio::null())
                .status();
        }
        for child in std::iter::once(&mut self.child).chain(&mut self.screen) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Starts a driver, and again where it ends before it listens.
fn start_often(program: &OsStr, start: impl Fn() -> Result<Start>) -> Result<Driver> {
    let mut said = String::new();
    for _ in 0..STARTS {
        match start()? {
            Start::Listening(driver) => return Ok(driver),
            Start::Ended(output) => said = output,
        }
    }
    bail!(
        "{} ended {STARTS} times before it listened; at last it wrote:\n{said}",
        program.to_string_lossy()
    )
}

/// A screen in memory, and its number.
fn screen() -> Result<(Child, String)> {
    let mut child = Command::new("Xvfb")
        .args(["-displayfd", "1", "-screen", "0", "1600x1200x24", "-nolisten", "tcp"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("Xvfb cannot be started; `cargo xtask test browsers` installs it")?;
    let stdout = child.stdout.take().context("Xvfb has no output to read")?;
    let mut display = String::new();
    BufReader::new(stdout).read_line(&mut display)?;
    match display.trim() {
        "" => bail!("Xvfb ended before it had a screen"),
        number => Ok((child, number.to_owned())),
    }
}

fn last_lines(log: &Path, wanted: impl Fn(&str) -> bool) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| wanted(line)).collect();
    lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program that writes why it ends, and on its `good`th start the line of a chromedriver that listens.
    fn stand_in(folder: &Path, good: usize) -> Result<PathBuf> {
        let path = folder.join("chromedriver");
        let script = format!(
            "#!/bin/sh\ncd \"$(dirname \"$0\")\" && echo >> starts\n\
             if [ \"$(wc -l < starts)\" -ge {good} ]; then\n\
             echo 'ChromeDriver was started successfully on port 4321.'; exec sleep 60\nfi\n\
             echo 'IPv6 port not available. Exiting...'; echo 'to stderr' >&2; exit 1\n"
        );
        std::fs::write(&path, script)?;
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755))?;
        Ok(path)
    }

    // One test: a script that is executed while another thread forks with it open for writing is "busy".
    #[test]
    fn a_chromedriver_that_ends_before_it_listens_is_started_again() -> Result<()> {
        let folder = std::env::temp_dir().join(format!("lorakeet-driver-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let (log, starts) = (folder.join("browser.log"), folder.join("starts"));
        let program = stand_in(&folder, 3)?;
        let start = || start_often(program.as_os_str(), || Driver::chromedriver(program.as_os_str(), &log));
        assert_eq!(start()?.url(), "http://127.0.0.1:4321");
        assert_eq!(std::fs::read_to_string(&starts)?.lines().count(), 3);

        std::fs::remove_file(&starts)?;
        stand_in(&folder, STARTS + 1)?;
        let error = start().err().context("it was taken for listening")?.to_string();
        assert!(error.contains("IPv6 port") && error.contains("to stderr"), "{error}");
        assert_eq!(std::fs::read_to_string(&starts)?.lines().count(), STARTS);
        std::fs::remove_dir_all(folder)?;
        Ok(())
    }
}
