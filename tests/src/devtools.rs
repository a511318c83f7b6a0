//! Commands of the DevTools protocol, which chromedriver passes on to Chromium: what a page cannot do to itself.

use crate::browser::Page;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long chromedriver may take for a command.
const ANSWER: Duration = Duration::from_secs(60);

impl Page {
    /// Has Chromium carry out a command.
    ///
    /// # Errors
    /// The browser is another one, or refuses the command.
    pub async fn devtools(&self, command: &str, parameters: Value) -> Result<Value> {
        let session = self.client.session_id().await?.context("the browser has no session")?;
        let host = self.driver_address();
        let path = format!("/session/{session}/goog/cdp/execute");
        let body = json!({ "cmd": command, "params": parameters }).to_string();
        let answer = tokio::task::spawn_blocking(move || post(&host, &path, &body)).await?;
        answer.with_context(|| format!("{command} was not carried out"))
    }

    /// Gives the page's origin so much storage in place of what the browser gives it; `None` gives that again.
    ///
    /// # Errors
    /// As of [`Page::devtools`].
    pub async fn limit_storage(&self, bytes: Option<u64>) -> Result<()> {
        let origin = self.run("return location.origin", Vec::new()).await?;
        let parameters = match bytes {
            Some(bytes) => json!({ "origin": origin, "quotaSize": bytes }),
            None => json!({ "origin": origin }),
        };
        self.devtools("Storage.overrideQuotaForOrigin", parameters)
            .await
            .map(drop)
    }
}

/// The value that chromedriver answers a request with.
fn post(host: &str, path: &str, body: &str) -> Result<Value> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(ANSWER))?;
    let length = body.len();
    let kind = "application/json; charset=utf-8";
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )?;
    let mut answer = BufReader::new(stream);
    let mut status = String::new();
    answer.read_line(&mut status)?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        ensure!(answer.read_line(&mut line)? > 0, "the answer is cut off");
        if line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().context("Content-Length is a number")?;
        }
    }
    let mut bytes = vec![0; length];
    answer.read_exact(&mut bytes)?;
    let mut answer: Value = serde_json::from_slice(&bytes)?;
    ensure!(status.contains(" 200 "), "{}: {answer}", status.trim_end());
    Ok(answer["value"].take())
}
