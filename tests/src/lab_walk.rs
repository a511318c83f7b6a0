//! A walk through a lesson of the lab, as a learner does it who has a keyboard and nothing else.

use crate::browser::Page;
use crate::site::dist;
use anyhow::{Context, Result, bail, ensure};
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use serde_json::{Value, json};
use std::fmt::{self, Display, Formatter};
use std::time::{Duration, Instant};

/// A change in the lab without training.
const REACTION: Duration = Duration::from_secs(30);
/// The runs of a part, on a slow machine.
const RUNS: Duration = Duration::from_secs(240);
/// The lab or an error is shown.
pub const OPENED: &str = "return !!document.querySelector('.part-here, .lesson, .notice-error')";
const PHASE: &str = "document.querySelector('.lab').dataset.phase";

const TAB: char = '\u{e004}';
/// The key, as the driver takes it.
pub const ENTER: char = '\u{e007}';
/// More than there are places that take the focus in any part.
const TABS: usize = 150;

/// A moment of the walk at which the lab stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// The part, from 0.
    pub part: usize,
    /// Whether what the part asks for was done.
    pub is_done: bool,
}

impl Display for Stop {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        write!(f, "part {}{}", self.part + 1, if self.is_done { ", done" } else { "" })
    }
}

/// What a walk measured.
#[derive(Debug, Clone, Copy, Default)]
pub struct Walked {
    /// From the press on Train to the end of the part's runs.
    pub train: Duration,
    /// The same in the part that breaks it.
    pub break_it: Duration,
}

impl Page {
    /// Presses a key and lets it go, whatever has the focus.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn press_key(&self, key: char) -> Result<()> {
        let keys = KeyActions::new("keyboard".into())
            .then(KeyAction::Down { value: key })
            .then(KeyAction::Up { value: key });
        self.client.perform_actions(keys).await.context("a key was not pressed")
    }

    /// Goes on with the Tab key until an element has the focus.
    ///
    /// # Errors
    /// The Tab key does not come to it.
    pub async fn tab_to(&self, css: &str) -> Result<()> {
        let focused = format!("return !!document.activeElement?.matches({})", json!(css));
        for _ in 0..TABS {
            if self.run(&focused, Vec::new()).await? == json!(true) {
                return Ok(());
            }
            self.press_key(TAB).await?;
        }
        bail!("the Tab key does not come to {css}\n{}", self.console())
    }

    /// Goes to an element with the Tab key and presses Enter.
    ///
    /// # Errors
    /// The Tab key does not come to it.
    pub async fn tab_to_and_press(&self, css: &str) -> Result<()> {
        self.tab_to(css).await?;
        self.press_key(ENTER).await
    }

    async fn wait_in_lab(&self, what: &str, script: &str) -> Result<Value> {
        self.wait_until(what, REACTION, script).await
    }

    /// Chooses the first answer, or writes a number, and commits to it; whether it was a number.
    async fn answer_in_lab(&self, name: &str) -> Result<bool> {
        self.tab_to(&format!("input[name={name}]")).await?;
        let is_number = "return document.activeElement.type === 'number'";
        let is_number = self.run(is_number, Vec::new()).await? == json!(true);
        self.press_key(if is_number { '1' } else { ' ' }).await?;
        self.tab_to_and_press("[data-do=commit]").await?;
        let kept = format!("return document.querySelector('input[name={name}]').disabled");
        self.wait_in_lab("the answer is kept", &kept).await?;
        Ok(is_number)
    }

    /// Goes to the next part, which takes the focus.
    async fn go_to_part(&self, part: usize) -> Result<()> {
        self.tab_to_and_press("[data-region=foot] .primary").await?;
        let shown = format!("return document.querySelector('[aria-current]')?.dataset.of === '{part}'");
        self.wait_in_lab("the next part is shown", &shown).await?;
        let focused = "return document.activeElement.matches('[data-focus=part]')";
        ensure!(
            self.run(focused, Vec::new()).await? == json!(true),
            "part {} has no focus",
            part + 1
        );
        Ok(())
    }

    /// Trains the runs of the part that is shown.
    ///
    /// # Errors
    /// They fail, or a picture of theirs is missing.
    pub async fn train_in_lab(&self) -> Result<Duration> {
        let ready = "return !!document.querySelector('[data-do=train]:not(:disabled)')";
        self.wait_until("Train can be pressed", RUNS, ready).await?;
        self.tab_to("[data-do=train]").await?;
        let watch = format!(
            "window.phases = []; new MutationObserver(() => window.phases.push({PHASE}))\
             .observe(document.querySelector('.lab'), {{ attributes: true, attributeFilter: ['data-phase'] }})"
        );
        self.run(&watch, Vec::new()).await?;
        let start = Instant::now();
        self.press_key(ENTER).await?;
        let over = "return window.phases.includes('training') && ['done', 'error'].includes(window.phases.at(-1))";
        self.wait_until("the runs are over", RUNS, over).await?;
        let took = start.elapsed();
        let phase = self.run(&format!("return {PHASE}"), Vec::new()).await?;
        let shown = self.run("return document.body.innerText", Vec::new()).await?;
        ensure!(
            phase == "done",
            "the runs ended in {phase}: {shown}\n{}",
            self.console()
        );
        let waiting = "return document.querySelectorAll('[data-region=pictures] .waiting').length";
        ensure!(
            self.run(waiting, Vec::new()).await? == 0,
            "a picture is missing: {shown}"
        );
        Ok(took)
    }

    /// Question, prediction, training and comparison of the lesson that is shown.
    ///
    /// # Errors
    /// A part cannot be done by keyboard, the training fails, or `look` does.
    pub async fn walk_to_the_comparison(&self, look: &mut impl AsyncFnMut(Stop) -> Result<()>) -> Result<Duration> {
        let stop = |part, is_done| Stop { part, is_done };
        look(stop(0, false)).await?;
        self.answer_in_lab("before").await?;
        look(stop(0, true)).await?;
        self.go_to_part(1).await?;
        look(stop(1, false)).await?;
        let is_number = self.answer_in_lab("predict").await?;
        look(stop(1, true)).await?;
        self.go_to_part(2).await?;
        look(stop(2, false)).await?;
        let train = self.train_in_lab().await?;
        look(stop(2, true)).await?;
        self.go_to_part(3).await?;
        let values = "return document.querySelectorAll('[data-region=values] td').length";
        let values = self.run(values, Vec::new()).await?;
        ensure!(values.as_u64() > Some(1), "nothing was measured");
        let verdict = "return document.querySelector('.outcome-verdict').innerText.trim() !== ''";
        ensure!(
            is_number || self.run(verdict, Vec::new()).await? == json!(true),
            "there is no verdict on the prediction"
        );
        look(stop(3, true)).await?;
        Ok(train)
    }

    /// All seven parts of the lesson that is shown.
    ///
    /// # Errors
    /// As those of [`Page::walk_to_the_comparison`].
    pub async fn walk_lesson(&self, mut look: impl AsyncFnMut(Stop) -> Result<()>) -> Result<Walked> {
        let stop = |part, is_done| Stop { part, is_done };
        let train = self.walk_to_the_comparison(&mut look).await?;
        self.go_to_part(4).await?;
        look(stop(4, false)).await?;
        self.tab_to("textarea[name=explanation]").await?;
        self.press_key('a').await?;
        self.tab_to_and_press("[data-do=explain]").await?;
        let explained = "return !!document.querySelector('[data-region=part] .lesson-text')";
        self.wait_in_lab("the explanation is shown", explained).await?;
        look(stop(4, true)).await?;
        self.go_to_part(5).await?;
        look(stop(5, false)).await?;
        let break_it = self.train_in_lab().await?;
        look(stop(5, true)).await?;
        self.go_to_part(6).await?;
        look(stop(6, false)).await?;
        self.answer_in_lab("after").await?;
        let saved = "return !!document.querySelector('[data-do=save-answers]')";
        self.wait_in_lab("the answers can be saved", saved).await?;
        look(stop(6, true)).await?;
        Ok(Walked { train, break_it })
    }
}

/// The ids of the bundled lessons, in order.
///
/// # Errors
/// The page is not built.
pub fn lessons() -> Result<Vec<String>> {
    let list = std::fs::read_to_string(dist()?.join("lessons/index.json"))?;
    let list: Value = serde_json::from_str(&list)?;
    let ids = list.as_array().into_iter().flatten();
    Ok(ids
        .filter_map(|lesson| lesson["id"].as_str().map(str::to_owned))
        .collect())
}
