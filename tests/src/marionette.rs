//! WebDriver in front of Firefox, as geckodriver does it: requests over HTTP become commands of Marionette, Firefox's own
//! protocol. Of WebDriver it has what tests use.
//!
//! A Marionette message is `LENGTH:JSON`; a command is `[0, id, name, parameters]`, its answer `[1, id, error, result]`.

use anyhow::{Context, Result, bail, ensure};
use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::task::{JoinHandle, spawn_blocking};

/// The largest request that is read.
const REQUEST_BYTES: usize = 16 << 20;

/// The server of WebDriver; it ends when dropped.
#[derive(Debug)]
pub struct Marionette {
    port: u16,
    task: JoinHandle<()>,
}

impl Marionette {
    /// Connects with a Firefox that listens on a port, and serves WebDriver on another.
    ///
    /// # Errors
    /// Nobody listens there, or it does not speak Marionette.
    pub async fn connect(firefox: u16) -> Result<Self> {
        let connection = Arc::new(Mutex::new(Connection::open(firefox)?));
        let router = Router::new().fallback(move |request: Request| answer(Arc::clone(&connection), request));
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                eprintln!("WebDriver for Firefox ended: {error}");
            }
        });
        Ok(Self { port, task })
    }

    /// The port of WebDriver.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Marionette {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Debug)]
struct Connection {
    stream: BufReader<TcpStream>,
    id: u64,
}

impl Connection {
    fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).context("Firefox does not listen")?;
        let stream = BufReader::new(stream);
        let mut connection = Self { stream, id: 0 };
        let greeting = connection.read()?;
        ensure!(greeting["marionetteProtocol"] == 3, "Firefox greets with {greeting}");
        Ok(connection)
    }

    fn read(&mut self) -> Result<Value> {
        let mut length = Vec::new();
        self.stream.read_until(b':', &mut length)?;
        let digits = std::str::from_utf8(&length)?.trim_end_matches(':');
        let mut bytes = vec![0; digits.parse().with_context(|| format!("Firefox sent `{digits}`"))?];
        self.stream.read_exact(&mut bytes)?;
        Ok(serde_json::from_slice(&bytes)?)
    }

    /// The result of a command, or the error that Firefox told.
    fn call(&mut self, name: &str, parameters: &Value) -> Result<Result<Value, Value>> {
        self.id += 1;
        let message = json!([0, self.id, name, parameters]).to_string();
        write!(self.stream.get_mut(), "{}:{message}", message.len())?;
        let mut answer = self.read()?;
        ensure!(answer[1] == self.id, "Firefox answered another command: {answer}");
        let (error, result) = (answer[2].take(), answer[3].take());
        Ok(if error.is_null() { Ok(result) } else { Err(error) })
    }
}

async fn answer(connection: Arc<Mutex<Connection>>, request: Request) -> Response {
    let told = async move {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let body = to_bytes(request.into_body(), REQUEST_BYTES).await?;
        let body = if body.is_empty() {
            json!({})
        } else {
            serde_json::from_slice(&body)?
        };
        let (name, parameters) = command(&method, &path, body)?;
        let call = move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            connection.call(name, &parameters)
        };
        spawn_blocking(call).await?
    };
    let (status, value) = match told.await {
        // Most results are wrapped already.
        Ok(Ok(mut result)) => match result.get_mut("value") {
            Some(value) => (StatusCode::OK, value.take()),
            None => (StatusCode::OK, result),
        },
        Ok(Err(error)) => (StatusCode::INTERNAL_SERVER_ERROR, error),
        Err(error) => {
            let error = json!({ "error": "unknown error", "message": format!("{error:#}"), "stacktrace": "" });
            (StatusCode::INTERNAL_SERVER_ERROR, error)
        }
    };
    let kind = [(header::CONTENT_TYPE, "application/json; charset=utf-8")];
    (status, kind, json!({ "value": value }).to_string()).into_response()
}

/// A request of WebDriver as a command of Marionette.
fn command(method: &Method, path: &str, mut body: Value) -> Result<(&'static str, Value)> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let of_session = parts.get(2..).unwrap_or_default();
    let name = match (method.as_str(), of_session) {
        ("POST", []) if parts == ["session"] => {
            // fantoccini names Chromium's options whatever the browser is.
            if let Some(wanted) = body["capabilities"]["alwaysMatch"].as_object_mut() {
                wanted.remove("goog:chromeOptions");
            }
            "WebDriver:NewSession"
        }
        ("DELETE", []) => "WebDriver:DeleteSession",
        ("POST", ["url"]) => "WebDriver:Navigate",
        ("GET", ["url"]) => "WebDriver:GetCurrentURL",
        ("POST", ["element"]) => "WebDriver:FindElement",
        ("POST", ["execute", "sync"]) => "WebDriver:ExecuteScript",
        ("POST", ["execute", "async"]) => "WebDriver:ExecuteAsyncScript",
        ("POST", ["actions"]) => "WebDriver:PerformActions",
        ("POST", ["window", "rect"]) => {
            if let Some(sides) = body.as_object_mut() {
                sides.retain(|_, side| !side.is_null());
            }
            "WebDriver:SetWindowRect"
        }
        ("POST", ["frame", "parent"]) => "WebDriver:SwitchToParentFrame",
        ("GET", ["screenshot"]) => {
            body = json!({ "id": null, "full": false });
            "WebDriver:TakeScreenshot"
        }
        ("POST", ["frame"]) => {
            let element = body["id"].as_object().and_then(|element| element.values().next());
            if let Some(element) = element {
                body = json!({ "element": element });
            }
            "WebDriver:SwitchToFrame"
        }
        (_, ["element", id, rest @ ..]) => {
            body["id"] = json!(id);
            match (method.as_str(), rest) {
                ("POST", ["click"]) => "WebDriver:ElementClick",
                ("POST", ["value"]) => "WebDriver:ElementSendKeys",
                ("GET", ["text"]) => "WebDriver:GetElementText",
                ("GET", ["shadow"]) => "WebDriver:GetShadowRoot",
                _ => bail!("{method} {path} is none of the commands that are passed on"),
            }
        }
        ("POST", ["shadow", id, "element"]) => {
            body["shadowRoot"] = json!(id);
            "WebDriver:FindElementFromShadowRoot"
        }
        _ => bail!("{method} {path} is none of the commands that are passed on"),
    };
    Ok((name, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_become_commands_with_the_ids_of_their_paths() {
        let (name, body) = command(&Method::POST, "/session/s/element/e1/value", json!({ "text": "a" })).unwrap();
        assert_eq!(
            (name, body),
            ("WebDriver:ElementSendKeys", json!({ "text": "a", "id": "e1" }))
        );
        let wanted = json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": {}, "timeouts": {} } } });
        let (name, body) = command(&Method::POST, "/session", wanted).unwrap();
        assert_eq!(name, "WebDriver:NewSession");
        assert_eq!(body, json!({ "capabilities": { "alwaysMatch": { "timeouts": {} } } }));
        let error = command(&Method::GET, "/session/s/cookie", json!({})).unwrap_err();
        assert!(error.to_string().contains("/session/s/cookie"), "{error}");
    }
}
