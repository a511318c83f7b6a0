//! A run that outlives its page: saved as the page is left, offered when it is opened again, and gone on with.

use crate::browser::Page;
use crate::user_actions::{REACTION, READY, STATUS, STEP};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

/// The steps of the whole checkpoints that the indexes of the private file system name, as a promise.
const SAVED: &str = "(async () => {
    const found = new Set();
    const storage = await navigator.storage?.getDirectory?.();
    const root = await storage?.getDirectoryHandle('lorakeet').catch(() => null);
    if (!root) return [];
    for await (const [name, folder] of root.entries()) {
        if (!name.startsWith('run-')) continue;
        for (const slot of ['index-0.json', 'index-1.json']) {
            const file = await folder.getFileHandle(slot).then((handle) => handle.getFile()).catch(() => null);
            const text = await file?.text().catch(() => '');
            for (const [, step] of (text ?? '').matchAll(/checkpoint-([0-9]+)\\//g)) found.add(Number(step));
        }
    }
    return [...found];
})()";

/// Breaks a file of the newest checkpoint, by its name and `flip` or `cut`; gives the checkpoint's step.
const DAMAGE: &str = "const [name, way] = arguments;
    return (async () => {
        const root = await (await navigator.storage.getDirectory()).getDirectoryHandle('lorakeet');
        for await (const [folder, handle] of root.entries()) {
            if (!folder.startsWith('run-')) continue;
            let newest = { generation: 0, files: {} };
            for (const slot of ['index-0.json', 'index-1.json']) {
                const file = await handle.getFileHandle(slot).then((found) => found.getFile()).catch(() => null);
                const index = file && JSON.parse(JSON.parse(await file.text()).index);
                if (index && index.generation > newest.generation) newest = index;
            }
            const stepOf = (path) => Number(/^checkpoint-([0-9]+)\\//.exec(path)?.[1] ?? 0);
            const step = Math.max(0, ...Object.keys(newest.files).map(stepOf));
            const number = newest.files[`checkpoint-${step}/${name}`];
            if (number === undefined) throw new Error(`checkpoint-${step} has no ${name}`);
            const broken = await handle.getFileHandle(String(number));
            const bytes = new Uint8Array(await (await broken.getFile()).arrayBuffer());
            bytes[bytes.length >> 1] ^= 1;
            const writer = await broken.createWritable();
            await writer.write(way === 'cut' ? bytes.subarray(0, bytes.length >> 1) : bytes);
            await writer.close();
            return step;
        }
        throw new Error('no run is stored');
    })()";

/// Fills the browser's storage up to the last bytes, with files beside those of the page.
const FILL: &str = "return (async () => {
    const root = await navigator.storage.getDirectory();
    let number = 0;
    for (let size = 1 << 24; size >= 1 << 8; ) {
        const name = `filler-${number}`;
        try {
            const file = await root.getFileHandle(name, { create: true });
            const writer = await file.createWritable();
            await writer.write(new Uint8Array(size));
            await writer.close();
            number += 1;
        } catch (error) {
            await root.removeEntry(name).catch(() => {});
            if (error.name !== 'QuotaExceededError') throw error;
            size /= 2;
        }
    }
})()";

/// Removes these files.
const EMPTY: &str = "return (async () => {
    const root = await navigator.storage.getDirectory();
    for await (const name of root.keys()) if (name.startsWith('filler-')) await root.removeEntry(name);
})()";

/// Whether a run is offered that can be gone on with.
const IS_OFFERED: &str = "return !!document.querySelector('[data-testid=\"interrupted-run\"]')";

impl Page {
    /// The step that the page shows; 0 before the first.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn step(&self) -> Result<u64> {
        let step = self.run(&format!("return {STEP}"), Vec::new()).await?;
        step.as_u64().context("a step is a number")
    }

    /// Waits until the page shows this step or a later one of a run under way.
    ///
    /// # Errors
    /// The run does not get there.
    pub async fn wait_for_step(&self, step: u64) -> Result<()> {
        let reached = format!("return {STATUS} === 'running' && {STEP} >= {step}");
        self.wait_until(&format!("step {step}"), READY, &reached)
            .await
            .map(drop)
    }

    /// Whether the browser gives the page a place for runs, as the page tells it.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn has_store(&self) -> Result<bool> {
        let script = "return !document.querySelector('[data-testid=\"no-store\"]')";
        Ok(self.run(script, Vec::new()).await? == json!(true))
    }

    /// The step of the newest whole checkpoint that is stored; 0 where there is none.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn newest_saved(&self) -> Result<u64> {
        let script = format!("return ({SAVED}).then((steps) => Math.max(0, ...steps))");
        let step = self.run(&script, Vec::new()).await?;
        step.as_u64().context("a step is a number")
    }

    /// Tells the page that it is left, as a browser does before a tab is closed.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn tell_of_leaving(&self) -> Result<()> {
        let script = "window.dispatchEvent(new Event('pagehide'))";
        self.run(script, Vec::new()).await.map(drop)
    }

    /// Has the run under way save as the page is left, and gives the step of the checkpoint, a later one than `after`. The
    /// page stays.
    ///
    /// # Errors
    /// None is written in time.
    pub async fn save_by_leaving(&self, after: u64) -> Result<u64> {
        self.wait_for_step(after + 1).await?;
        self.tell_of_leaving().await?;
        let newer = format!("return ({SAVED}).then((steps) => Math.max(0, ...steps.filter((step) => step > {after})))");
        let step = self
            .wait_until("a newer checkpoint is written", REACTION, &newer)
            .await?;
        step.as_u64().context("a step is a number")
    }

    /// Waits until the page has noted something that contains these words.
    ///
    /// # Errors
    /// It has not.
    pub async fn wait_for_note(&self, words: &str) -> Result<()> {
        let script = format!(
            "return document.querySelector('[data-testid=\"notes\"]')?.textContent.includes({}) ?? false",
            json!(words)
        );
        self.wait_until(words, READY, &script).await.map(drop)
    }

    /// Fills all room that the browser lets the page have, which is little (see [`crate::browser::Options::storage_bytes`]), or
    /// gives it back.
    ///
    /// # Errors
    /// The browser stores nothing, or refuses otherwise than for want of room.
    pub async fn fill_storage(&self, is_full: bool) -> Result<()> {
        let script = if is_full { FILL } else { EMPTY };
        self.run(script, Vec::new()).await.map(drop)
    }

    /// Takes the room away from a run under way so many times, and gives it back. `set_full` does both. The run trains on, says
    /// once that it is not saved, keeps its last checkpoint, and is saved again when there is room; it goes on from there after the
    /// page was left.
    ///
    /// # Errors
    /// It does not.
    pub async fn train_on_without_room(
        &self,
        times: usize,
        set_full: impl AsyncFn(&Self, bool) -> Result<()>,
    ) -> Result<()> {
        let mut saved = self.save_by_leaving(0).await?;
        for time in 0..times {
            set_full(self, true).await?;
            let step = self.step().await?;
            self.tell_of_leaving().await?;
            // It is said once.
            if time == 0 {
                self.wait_for_note("would be lost with the page").await?;
                self.wait_for_note("storage is full").await?;
            }
            self.wait_for_step(step + 3).await?;
            let kept = self.newest_saved().await?;
            ensure!(kept >= saved, "of the checkpoint of step {saved} is left {kept}");
            set_full(self, false).await?;
            saved = self.save_by_leaving(kept).await?;
        }
        self.leave_and_come_back().await?;
        let from = self.go_on_with_offer().await?;
        ensure!(from >= saved, "it goes on from step {from}, saved was {saved}");
        Ok(())
    }

    /// The step of the run that the page offers to go on with.
    ///
    /// # Errors
    /// It offers none.
    pub async fn offered_step(&self) -> Result<u64> {
        self.wait_until("the run is offered", REACTION, IS_OFFERED).await?;
        let text = self.content("[data-testid=\"interrupted-run\"]").await?;
        step_in(&text).with_context(|| format!("no step is named: {text}"))
    }

    /// Whether a run is offered that can be gone on with.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn offers_a_run(&self) -> Result<bool> {
        Ok(self.run(IS_OFFERED, Vec::new()).await? == json!(true))
    }

    /// Goes on with the run that the page offers, and gives the step of its checkpoint.
    ///
    /// # Errors
    /// It offers none, or the run does not go on.
    pub async fn go_on_with_offer(&self) -> Result<u64> {
        let from = self.offered_step().await?;
        self.click("go-on").await?;
        self.wait_for_step(from + 1).await?;
        Ok(from)
    }

    /// Closes the tab and opens the page in another.
    ///
    /// # Errors
    /// The browser refuses, or the page does not get ready.
    pub async fn close_tab_and_open_another(&self) -> Result<()> {
        let address = self.client.current_url().await?;
        let opened = self.client.new_window(true).await?.handle;
        self.client.close_window().await?;
        self.client.switch_to_window(opened).await?;
        self.client.goto(address.as_str()).await?;
        self.wait_enabled("train", READY).await
    }

    /// Goes to an empty page and back.
    ///
    /// # Errors
    /// The browser refuses, or the page does not get ready.
    pub async fn leave_and_come_back(&self) -> Result<()> {
        let address = self.client.current_url().await?;
        self.client.goto("about:blank").await?;
        self.client.goto(address.as_str()).await?;
        self.wait_enabled("train", READY).await
    }

    /// Damages a file of the newest checkpoint, a bit or the second half of it (`flip`, `cut`), and gives the checkpoint's step.
    ///
    /// # Errors
    /// There is no such file.
    pub async fn damage_newest_checkpoint(&self, file: &str, way: &str) -> Result<u64> {
        let step: Value = self.run(DAMAGE, vec![json!(file), json!(way)]).await?;
        step.as_u64().context("a step is a number")
    }
}

/// The step in `…, saved at step 12 of 40.`
fn step_in(text: &str) -> Option<u64> {
    let (_, rest) = text.split_once("saved at step ")?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::step_in;

    #[test]
    fn the_step_of_an_offer_is_read() {
        let text = "A run was interrupted: the model, started today, saved at step 12 of 40. Continue the run";
        assert_eq!(step_in(text), Some(12));
        assert_eq!(step_in("no run"), None);
    }
}
