//! What a person does on the page in most tests: sets knobs, presses Train, waits, and reads.

use crate::browser::{Page, selector};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Duration;

/// The engine, the bundled model and the data; compiling kernels on a software adapter takes its time.
pub const READY: Duration = Duration::from_secs(240);
/// A whole run on the software adapter.
pub const RUN: Duration = Duration::from_secs(480);
/// One reaction of the page or of the engine between two steps.
pub const REACTION: Duration = Duration::from_secs(60);
/// How far a number of a WebGPU run may be from that of the same run on the CPU: half of the last digit that the page
/// shows, and as much again for sums in another order.
pub const SAME: f64 = 1e-3;

/// Where the run stands.
pub const STATUS: &str = "document.querySelector('[data-testid=\"status\"]')?.dataset.phase";
/// The newest step, 0 before the first.
pub const STEP: &str = "(parseInt((document.querySelector('[data-testid=\"step\"]')?.textContent ?? '').replace(/\\D*\\/.*/, '')\
                    .replace(/[^0-9]/g, '')) || 0)";

impl Page {
    /// Sets a knob, which the page must take.
    ///
    /// # Errors
    /// It does not.
    pub async fn set_knob(&self, name: &str, value: &str) -> Result<()> {
        self.set_field(name, value).await?;
        let error = "return document.querySelector(`[data-testid=\"${arguments[0]}\"]`).getAttribute('aria-invalid')";
        let invalid = self.run(error, vec![json!(name)]).await?;
        ensure!(invalid.is_null(), "the page refuses {name} = {value}");
        Ok(())
    }

    /// Sets the knobs of a run that a software adapter ends in time: small batches, few texts to score.
    ///
    /// # Errors
    /// The page does not take one.
    pub async fn shorten(&self, max_steps: &str) -> Result<()> {
        for (knob, value) in [
            ("per_device_train_batch_size", "2"),
            ("cutoff_len", "64"),
            ("val_size", "16"),
            ("max_steps", max_steps),
        ] {
            self.set_knob(knob, value).await?;
        }
        Ok(())
    }

    /// Writes into a field that is read letter by letter, folded away or not.
    ///
    /// # Errors
    /// It is not there.
    pub async fn write(&self, testid: &str, text: &str) -> Result<()> {
        self.element(testid).await?;
        let script = "const field = document.querySelector(arguments[0]);\
                      field.value = arguments[1]; field.dispatchEvent(new Event('input', { bubbles: true }));";
        let arguments = vec![json!(selector(testid)), json!(text)];
        self.run(script, arguments).await.map(drop)
    }

    /// Presses something, folded away or not.
    ///
    /// # Errors
    /// It is not there.
    pub async fn press(&self, testid: &str) -> Result<()> {
        self.element(testid).await?;
        let script = "document.querySelector(arguments[0]).click()";
        self.run(script, vec![json!(selector(testid))]).await.map(drop)
    }

    /// The text of an element, folded away or not.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn content(&self, css: &str) -> Result<String> {
        let script = "return document.querySelector(arguments[0])?.textContent.trim() ?? ''";
        let text = self.run(script, vec![json!(css)]).await?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// What stands in a field.
    ///
    /// # Errors
    /// It is not there.
    pub async fn value(&self, testid: &str) -> Result<String> {
        self.element(testid).await?;
        let script = "return document.querySelector(arguments[0]).value";
        let value = self.run(script, vec![json!(selector(testid))]).await?;
        Ok(value.as_str().context("a field has a text")?.to_owned())
    }

    /// Asks the trained model, and gives the answers' names and values.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn ask(&self, text: &str, second: &str) -> Result<Vec<(String, f64)>> {
        self.run("document.getElementById('try').open = true", vec![]).await?;
        self.write("ask-text", text).await?;
        self.write("ask-second", second).await?;
        self.wait_enabled("ask", READY).await?;
        self.press("ask").await?;
        let there = "return !!document.querySelector('[data-testid=\"answers\"] [data-value]') \
                     && !document.querySelector('[data-testid=\"ask\"]').disabled";
        self.wait_until("the model answers", READY, there).await?;
        let script = "return [...document.querySelectorAll('[data-testid=\"answers\"] [data-value]')].map(value => \
                      [value.closest('tr, li').firstElementChild.textContent, Number(value.dataset.value)])";
        let answers = self.run(script, vec![]).await?;
        serde_json::from_value(answers).context("names and values")
    }

    /// Unfolds panels of pictures, which is when these are made.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn unfold_pictures(&self, kinds: &[&str]) -> Result<()> {
        self.run("document.querySelector('[data-testid=inside]').open = true", vec![])
            .await?;
        for kind in kinds {
            let script = "document.querySelector(arguments[0]).open = true";
            self.run(script, vec![json!(selector(&format!("inside-{kind}")))])
                .await?;
        }
        Ok(())
    }

    /// Presses a panel's button and waits for its picture; gives its sentence.
    ///
    /// # Errors
    /// None comes.
    pub async fn draw_picture(&self, kind: &str) -> Result<String> {
        self.wait_enabled(&format!("draw-{kind}"), REACTION).await?;
        self.press(&format!("draw-{kind}")).await?;
        self.picture(kind).await
    }

    /// The sentence of a panel's picture, which has an image or a row of tokens, and a table.
    ///
    /// # Errors
    /// None comes.
    pub async fn picture(&self, kind: &str) -> Result<String> {
        let frame = selector(&format!("picture-{kind}"));
        let script = format!(
            "const figure = document.querySelector('{frame} figure[data-picture={kind}]');\
             return figure?.querySelector('img[alt], .token-row') && figure.querySelector('table tbody tr')\
                 && figure.querySelector('figcaption').textContent"
        );
        let text = self.wait_until(&format!("{kind} is drawn"), REACTION, &script).await?;
        Ok(text.as_str().context("a text")?.to_owned())
    }

    /// Where the run stands.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn phase(&self) -> Result<String> {
        let phase = self.run(&format!("return {STATUS}"), vec![]).await?;
        Ok(phase.as_str().unwrap_or_default().to_string())
    }

    /// Presses Train and waits for the end, which must be a good one.
    ///
    /// # Errors
    /// It is none, or takes too long.
    pub async fn train_to_the_end(&self) -> Result<()> {
        self.train_within(RUN).await
    }

    /// The same of a run that may take so long.
    ///
    /// # Errors
    /// As of [`Page::train_to_the_end`].
    pub async fn train_within(&self, limit: Duration) -> Result<()> {
        self.wait_enabled("train", limit).await?;
        self.click("train").await?;
        let over = format!("return {STATUS} == 'done' || {STATUS} == 'failed'");
        self.wait_until("the run ends", limit, &over).await?;
        ensure!(
            self.phase().await? == "done",
            "the run failed: {}\n{}",
            self.text("error").await?,
            self.console()
        );
        Ok(())
    }

    /// The run file of the present settings.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn run_file(&self) -> Result<String> {
        let script = "return document.querySelector('[data-testid=\"run-file\"]').value";
        let text = self.run(script, vec![]).await?;
        Ok(text.as_str().context("the run file is a text")?.to_owned())
    }

    /// Nothing in the page or its worker broke off.
    ///
    /// # Errors
    /// Something did.
    pub fn no_panic(&self) -> Result<()> {
        let console = self.console();
        ensure!(!console.contains("panicked"), "{console}");
        Ok(())
    }
}

/// The files of a zip archive that stores them as they are.
///
/// # Errors
/// It is compressed, cut off or empty.
pub fn unpack(archive: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let number = |at: usize, bytes: usize| -> Result<usize> {
        let field = archive.get(at..at + bytes).context("the archive is cut off")?;
        Ok(field
            .iter()
            .rev()
            .fold(0, |value, byte| value << 8 | usize::from(*byte)))
    };
    let mut files = Vec::new();
    let mut at = 0;
    while archive.get(at..at + 4) == Some(b"PK\x03\x04") {
        ensure!(number(at + 8, 2)? == 0, "the archive is compressed");
        let (bytes, name, extra) = (number(at + 18, 4)?, number(at + 26, 2)?, number(at + 28, 2)?);
        let start = at + 30 + name + extra;
        let name = archive.get(at + 30..at + 30 + name).context("the archive is cut off")?;
        let content = archive.get(start..start + bytes).context("the archive is cut off")?;
        files.push((String::from_utf8(name.to_vec())?, content.to_vec()));
        at = start + bytes;
    }
    ensure!(!files.is_empty(), "the archive holds no file");
    Ok(files)
}
