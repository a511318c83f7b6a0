//! Files into the page and out of it, in the same way in every browser. No driver drags files, some set none, and each browser
//! keeps downloads elsewhere: so the page gets the event of a drop or of a choice, and what it hands out is taken from it.

use crate::browser::{Page, selector};
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::time::Duration;

/// A file's name and bytes.
pub type NamedBytes = (String, Vec<u8>);

/// Where the page's server has the files meanwhile.
const FOLDER: &str = "given";

/// Makes files of what the server has, and hands them to an element: as a drop on it, or as its choice.
const GIVE: &str = "const [css, folder, names, isDrop, done] = arguments;\
    const fetched = names.map(async (name, place) => {\
        const answer = await fetch(`${folder}/${place}`, { cache: 'no-store' });\
        if (!answer.ok) throw new Error(`${name}: ${answer.status}`);\
        return new File([await answer.blob()], name);\
    });\
    Promise.all(fetched).then((files) => {\
        const element = document.querySelector(css);\
        if (!element) throw new Error(`the page has no ${css}`);\
        if (isDrop) {\
            const event = new Event('drop', { bubbles: true, cancelable: true });\
            event.dataTransfer = { files, items: [] };\
            element.dispatchEvent(event);\
        } else {\
            const transfer = new DataTransfer();\
            for (const file of files) transfer.items.add(file);\
            element.files = transfer.files;\
            element.dispatchEvent(new Event('change', { bubbles: true }));\
        }\
        done('');\
    }).catch((error) => done(String(error)));";

/// Keeps what is handed out for download, by its name.
const KEEP: &str = "if (!window.handedOut) {\
    window.handedOut = {};\
    const blobs = {}, make = URL.createObjectURL;\
    URL.createObjectURL = (blob) => { const address = make.call(URL, blob); blobs[address] = blob; return address; };\
    HTMLAnchorElement.prototype.click = function () {\
        if (this.download && blobs[this.href]) window.handedOut[this.download] = blobs[this.href];\
        else HTMLElement.prototype.click.call(this);\
    };\
}";

/// A part of it in hexadecimal digits.
const READ: &str = "const [name, start, end, done] = arguments;\
    const digits = (bytes) => [...new Uint8Array(bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');\
    window.handedOut[name].slice(start, end).arrayBuffer().then((bytes) => done(digits(bytes)), (error) => done(String(error)));";

/// Bytes that are read at once.
const PART: usize = 1 << 20;

impl Page {
    /// Drops files on an element, as a person drags them there.
    ///
    /// # Errors
    /// It is not there.
    pub async fn drop_files(&self, css: &str, files: Vec<NamedBytes>) -> Result<()> {
        self.give(css, files, true).await
    }

    /// Chooses files in a file input.
    ///
    /// # Errors
    /// It is not there.
    pub async fn choose_files(&self, testid: &str, files: Vec<NamedBytes>) -> Result<()> {
        self.give(&selector(testid), files, false).await
    }

    async fn give(&self, css: &str, files: Vec<NamedBytes>, is_drop: bool) -> Result<()> {
        let site = self.site().context("the page is somebody else's")?;
        let mut names = Vec::new();
        for (place, (name, bytes)) in files.into_iter().enumerate() {
            site.serve(format!("/{FOLDER}/{place}"), bytes);
            names.push(name);
        }
        let arguments = vec![json!(css), json!(FOLDER), json!(names), json!(is_drop)];
        let problem = self.client.execute_async(GIVE, arguments).await;
        site.serve_folder_alone();
        match problem?.as_str() {
            Some("") => Ok(()),
            problem => bail!("{names:?} cannot be given to {css}: {problem:?}\n{}", self.console()),
        }
    }

    /// Keeps what the page hands out from now on in place of downloading it, until the page is loaded anew.
    ///
    /// # Errors
    /// The browser does not answer.
    pub async fn keep_downloads(&self) -> Result<()> {
        self.run(KEEP, vec![]).await.map(drop)
    }

    /// What the page handed out under this name, after [`Page::keep_downloads`].
    ///
    /// # Errors
    /// Nothing of that name comes in time.
    pub async fn handed_out(&self, name: &str, limit: Duration) -> Result<Vec<u8>> {
        let size = format!("return window.handedOut[{}]?.size", json!(name));
        let size = self.wait_until(&format!("{name} is handed out"), limit, &size).await?;
        let size = usize::try_from(size.as_u64().context("a size is a number")?)?;
        let mut bytes = Vec::with_capacity(size);
        for start in (0..size).step_by(PART) {
            let end = (start + PART).min(size);
            let arguments = vec![json!(name), json!(start), json!(end)];
            let digits = self.client.execute_async(READ, arguments).await?;
            let part = digits.as_str().and_then(of_hexadecimal);
            bytes.extend(part.with_context(|| format!("{name} cannot be read: {digits}"))?);
        }
        ensure!(
            bytes.len() == size,
            "{name} has {} bytes instead of {size}",
            bytes.len()
        );
        let forget = "delete window.handedOut[arguments[0]]";
        self.run(forget, vec![json!(name)]).await?;
        Ok(bytes)
    }
}

/// The bytes that hexadecimal digits stand for, two each.
fn of_hexadecimal(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::of_hexadecimal;

    #[test]
    fn digits_are_read_in_pairs() {
        assert_eq!(of_hexadecimal("00ff1a"), Some(vec![0, 255, 26]));
        assert_eq!(of_hexadecimal("Error"), None);
    }
}
