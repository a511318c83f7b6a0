//! What WCAG 2.2 asks of a page that is shown, as far as a program can tell: axe-core's rules, no scrolling sideways, targets of
//! 24 pixels.

use crate::browser::Page;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// axe-core's violations of WCAG 2.2 AA, and of its rules on headings and landmarks, as lines of text: the rule, the element, what
/// is wrong with it. Of the page's previews, each of hundreds of tokens, it looks at the first.
const VIOLATIONS: &str = "const done = arguments[arguments.length - 1];\
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];\
    const more = ['target-size', 'heading-order', 'page-has-heading-one', 'landmark-unique', 'region'];\
    const rules = Object.fromEntries(more.map((rule) => [rule, { enabled: true }]));\
    const options = { runOnly: { type: 'tag', values: tags }, rules, resultTypes: ['violations'] };\
    axe.run({ exclude: ['.example ~ .example'] }, options).then(({ violations }) => done(violations.flatMap(({ id, nodes }) =>\
      nodes.map(({ target, failureSummary }) => `${id}: ${target.flat().join(' ')}: ${failureSummary}`))),\
      (error) => done([`axe-core failed: ${error.message}`]));";

/// Elements that reach beyond the right edge without a scroller of their own around them.
const WIDE: &str = "const wide = document.scrollingElement.scrollWidth > innerWidth;\
    const scrolls = (element) => element && (getComputedStyle(element).overflowX !== 'visible' || scrolls(element.parentElement));\
    return !wide ? [] : [document.scrollingElement.scrollWidth, ...[...document.querySelectorAll('body *')].filter((element) =>\
      element.getBoundingClientRect().right > innerWidth + 0.5 && !scrolls(element.parentElement))\
      .map((element) => `${element.localName}.${element.className}`).slice(0, 5)];";

/// What can be pressed and is smaller than 24 pixels; a field inside of its label is as large as that.
const SMALL: &str = "const targets = document.querySelectorAll('button, select, textarea, summary, input, [role=button], a[href]');\
    return [...targets].filter((target) => target.checkVisibility({ visibilityProperty: true }) && !target.closest('.unseen'))\
      .map((target) => [target, (target.closest('label') ?? target).getBoundingClientRect()])\
      .filter(([target, { width, height }]) => Math.min(width, height) < 24 && getComputedStyle(target).display !== 'inline')\
      .map(([target, { width, height }]) => `${target.outerHTML.slice(0, 100)}: ${width} x ${height}`);";

/// What has the focus and is under the bar that stays in sight, all of it: each field and button is focused in turn.
const UNDER_BAR: &str = "const bar = document.querySelector('.run-bar');\
    const targets = document.querySelectorAll('main button, main select, main textarea, main summary, main input, main a[href]');\
    const found = [];\
    for (const target of targets) {\
      if (target.disabled || !target.checkVisibility({ visibilityProperty: true }) || bar.contains(target)) continue;\
      target.focus();\
      const [one, over] = [(target.closest('label') ?? target).getBoundingClientRect(), bar.getBoundingClientRect()];\
      if (one.top >= over.top && one.bottom <= over.bottom) found.push(target.outerHTML.slice(0, 100));\
    }\
    document.activeElement.blur(); scrollTo(0, 0);\
    return found;";

/// Sets `data-theme` of the document and of the lab.
const THEME: &str =
    "for (const element of document.querySelectorAll(':root, .lab')) element.dataset.theme = arguments[0];";
const UNFOLD: &str = "window.unfolded = [...document.querySelectorAll('details:not([open])')];\
                      for (const fold of unfolded) fold.open = true;";
const FOLD: &str = "for (const fold of unfolded) fold.open = false;";

/// Light and dark.
pub const THEMES: [&str; 2] = ["light", "dark"];

impl Page {
    /// What of the page, as it is shown with everything unfolded, breaks a rule of axe-core in one of the themes, scrolls
    /// sideways, or is too small to be pressed. Transitions between the themes have to be off.
    ///
    /// # Errors
    /// axe-core is missing, or the browser does not answer.
    pub async fn accessibility_faults(&self, themes: &[&str]) -> Result<Vec<String>> {
        self.run(UNFOLD, Vec::new()).await?;
        let mut faults = self.layout_faults().await?;
        if self.run("return typeof axe", Vec::new()).await? == "undefined" {
            self.run(&axe_core()?, Vec::new()).await?;
        }
        for theme in themes {
            self.run(THEME, vec![json!(theme)]).await?;
            let found = self.client.execute_async(VIOLATIONS, Vec::new()).await?;
            faults.extend(lines(&found).map(|line| format!("{theme}: {line}")));
        }
        self.run(FOLD, Vec::new()).await?;
        Ok(faults)
    }

    /// What of the page is under the bar of a run while it has the focus.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn covered_by_bar(&self) -> Result<Vec<String>> {
        let found = self.run(UNDER_BAR, Vec::new()).await?;
        Ok(lines(&found)
            .map(|line| format!("under the bar while it has the focus: {line}"))
            .collect())
    }

    /// What makes the page scroll sideways, and what can be pressed and has not 24 pixels in both directions.
    ///
    /// # Errors
    /// The browser does not answer.
    async fn layout_faults(&self) -> Result<Vec<String>> {
        let wide = self.run(WIDE, Vec::new()).await?;
        let small = self.run(SMALL, Vec::new()).await?;
        let wide = lines(&wide).map(|line| format!("wider than the window: {line}"));
        Ok(wide
            .chain(lines(&small).map(|line| format!("too small to be pressed: {line}")))
            .collect())
    }
}

/// Faults by the place where they are; the same one counts once.
#[derive(Debug, Default)]
pub struct Faults(BTreeMap<String, Vec<String>>);

impl Faults {
    /// Keeps what was found at a place.
    pub fn add(&mut self, place: &str, found: Vec<String>) {
        for fault in found {
            self.0.entry(fault).or_default().push(place.to_owned());
        }
    }

    /// Holds that nothing was found.
    ///
    /// # Errors
    /// Something was; each fault is told with the places.
    pub fn none(self) -> Result<()> {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|(fault, places)| format!("{fault}\n    at {}", places.join(", ")))
            .collect();
        ensure!(lines.is_empty(), "{} faults:\n{}", lines.len(), lines.join("\n"));
        Ok(())
    }
}

/// axe-core's program: the file that `LORAKEET_AXE` names, which `cargo xtask test web` sets.
fn axe_core() -> Result<String> {
    let path = std::env::var_os("LORAKEET_AXE")
        .context("LORAKEET_AXE does not name axe-core; `cargo xtask test web` fetches it and runs this test")?;
    std::fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.to_string_lossy()))
}

/// A list of texts and numbers, one a line.
fn lines(list: &Value) -> impl Iterator<Item = String> {
    let all = list.as_array().into_iter().flatten();
    all.map(|line| line.as_str().map_or_else(|| line.to_string(), str::to_owned))
}
