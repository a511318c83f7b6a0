//! A small static file server on loopback for the built page. It answers GET and HEAD for files inside one folder, and
//! knows nothing else of HTTP.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread::Builder;
use std::time::Duration;

const FIRST_PORT: u16 = 8080;
const PORTS_TRIED: u16 = 100;
const REQUEST_BYTES: u64 = 64 * 1024;
/// After a visitor who could not be received.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes the wished port, or the first free one from 8080 on.
pub fn listen(port: Option<u16>) -> Result<TcpListener> {
    if let Some(port) = port {
        return TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .with_context(|| format!("port {port} on 127.0.0.1 cannot be used; choose another with --port"));
    }
    (FIRST_PORT..FIRST_PORT + PORTS_TRIED)
        .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .with_context(|| format!("no port from {FIRST_PORT} on is free on 127.0.0.1; name one with --port"))
}

/// Answers every request, each on its own thread, as long as the program runs.
pub fn forever(listener: &TcpListener, folder: &Path) {
    for stream in listener.incoming() {
        let folder = folder.to_path_buf();
        // A visitor who hangs up early is no fault of the server's.
        let taken = stream.and_then(|stream| Builder::new().spawn(move || drop(answer(stream, &folder))));
        if let Err(error) = taken {
            eprintln!("a request could not be taken: {error}");
            // Where there are too many at once, some have to end first.
            std::thread::sleep(PAUSE);
        }
    }
}

fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut lines = BufReader::new((&stream).take(REQUEST_BYTES)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut words = request.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(method, "GET" | "HEAD") {
        return refuse(&mut stream, "405 Method Not Allowed");
    }
    let Some(path) = resolve(folder, target) else {
        return refuse(&mut stream, "404 Not Found");
    };
    let Ok(mut file) = File::open(&path) else {
        return refuse(&mut stream, "404 Not Found");
    };
    let bytes = file.metadata()?.len();
    let kind = media_type(&path);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let policy = policy(name, kind);
    // Modules of another site are loaded only where that site allows it.
    let allowed = if name == SHELL {
        "Access-Control-Allow-Origin: *\r\n"
    } else {
        ""
    };
    // The page is rebuilt under the same names, so nothing may be kept without asking again.
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {bytes}\r\nCache-Control: no-cache\r\n\
         X-Content-Type-Options: nosniff\r\nContent-Security-Policy: {policy}\r\n{allowed}Connection: close\r\n\r\n"
    )?;
    if method == "GET" {
        std::io::copy(&mut file, &mut stream)?;
    }
    Ok(())
}

fn refuse(stream: &mut TcpStream, status: &str) -> std::io::Result<()> {
    let length = status.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{status}"
    )
}

/// The file that a request's target names: never outside the folder, and `index.html` for a folder.
fn resolve(folder: &Path, target: &str) -> Option<PathBuf> {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let relative = decoded(path.strip_prefix('/')?)?;
    let relative = Path::new(&relative);
    if !relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)))
    {
        return None;
    }
    let path = folder.join(relative);
    Some(if path.is_dir() { path.join("index.html") } else { path })
}

/// Undoes percent-encoding; `None` where it is no text.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The widget's shell, which pages of other sites load, and the pages that they frame.
const SHELL: &str = "lab.js";
const FRAMED: [&str; 2] = ["embed.html", "index.html"];
/// The script that the engine's worker starts with.
const ENGINE: &str = "engine.js";

/// What a file may do, besides what the page says of itself: no page of another site may frame it, but for the two that are shared
/// as frames. A worker does not have its page's policy but the one that its script comes with: the engine takes code from beside
/// the page and from nowhere else, and may ask others only because a person may name a model of a hub, whose files lie on hosts
/// that the hub chooses. The page itself asks nobody.
fn policy(name: &str, kind: &str) -> &'static str {
    if FRAMED.contains(&name) {
        return "base-uri 'none'";
    }
    if name == ENGINE {
        return "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' https:; frame-ancestors 'none'";
    }
    match kind.starts_with("text/javascript") {
        true => "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; frame-ancestors 'none'",
        false => "frame-ancestors 'none'",
    }
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "txt" | "md" | "yaml" | "jsonl" | "csv" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_never_leaves_the_folder() {
        let folder = Path::new("/srv/page");
        for target in [
            "/../secret",
            "/a/../../secret",
            "/%2e%2e/secret",
            "//etc/passwd",
            "secret",
            "/a/%00%ff",
        ] {
            let path = resolve(folder, target);
            assert!(
                path.as_ref().is_none_or(|path| path.starts_with(folder)),
                "{target} → {path:?}"
            );
        }
        assert_eq!(resolve(folder, "/../secret"), None);
    }

    #[test]
    fn queries_are_dropped_and_names_are_decoded() {
        assert_eq!(
            resolve(Path::new("/p"), "/a%20b.js?v=1").unwrap(),
            Path::new("/p/a b.js")
        );
    }

    #[test]
    fn only_what_is_shared_as_a_frame_can_be_framed() {
        let is_framed = |name: &str, kind| !policy(name, kind).contains("frame-ancestors 'none'");
        assert!(is_framed("index.html", "text/html") && is_framed("embed.html", "text/html"));
        assert!(!is_framed("other.html", "text/html") && !is_framed("engine.js", "text/javascript"));
    }

    #[test]
    fn the_site_of_the_tests_sends_the_same_policies() {
        let site = include_str!("../../tests/src/site.rs");
        for (name, kind) in [
            ("index.html", "text/html"),
            ("a.css", "text/css"),
            ("a.js", "text/javascript"),
            ("engine.js", "text/javascript"),
        ] {
            let policy = policy(name, kind);
            assert!(site.contains(&format!("\"{policy}\"")), "{name}: {policy}");
        }
        let framed = FRAMED.map(|name| format!("\"{name}\""));
        assert!(framed.iter().all(|name| site.contains(name)), "{framed:?}");
    }

    #[test]
    fn a_file_is_served_with_its_type_and_length() {
        let folder = std::env::temp_dir().join(format!("lorakeet-serve-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("index.html"), "<p>hello</p>").unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn({
            let folder = folder.clone();
            move || answer(listener.accept().unwrap().0, &folder).unwrap()
        });
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        server.join().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(
            reply.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/html"),
            "{reply}"
        );
        assert!(
            reply.contains("Content-Security-Policy: base-uri 'none'\r\n"),
            "{reply}"
        );
        assert!(
            reply.contains("Content-Length: 12\r\n") && reply.ends_with("\r\n\r\n<p>hello</p>"),
            "{reply}"
        );
    }
}
