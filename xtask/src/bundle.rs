//! The served folder: what `app/index.html` links with `data-trunk`, laid out as trunk would, without trunk.
//!
//! One list serves both: `trunk serve` reads it for those who have trunk, `cargo xtask demo` reads it here. Style sheets, icons
//! and the page's own code get a hash of their contents into their names, so that no browser keeps an old one; the worker
//! and what is copied keep theirs, for the page asks for them by name.

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use wasm_bindgen_cli_support::Bindgen;

/// The page's source, beside whose folder the linked files lie.
const INDEX: &str = "app/index.html";

/// One `<link data-trunk …>`.
#[derive(Debug, PartialEq, Eq)]
enum Link {
    /// `rel="css"` or `rel="icon"`: a file with a hash in its name, and a tag in the page.
    Hashed { rel: &'static str, file: String },
    /// `rel="rust" data-type="main"`: a program that the page starts.
    Main { program: String },
    /// `rel="rust" data-type="worker"`: a program that the page's code starts by its name.
    Worker { program: String },
    /// `rel="copy-file"` or `rel="copy-dir"`.
    Copied { path: String },
}

/// Lays the folder `dist` out anew, with the programs of the page from the folder `programs`.
///
/// # Errors
/// A link that is not understood, a file that is missing, a program that wasm-bindgen refuses. An older `dist` stays then.
pub fn lay_out(root: &Path, programs: &Path, dist: &Path) -> Result<()> {
    let index = root.join(INDEX);
    let page = std::fs::read_to_string(&index).with_context(|| format!("cannot read {}", index.display()))?;
    let beside = index.parent().context("the page has a folder")?;
    let next = dist.with_extension("part");
    if next.exists() {
        std::fs::remove_dir_all(&next).with_context(|| format!("cannot empty {}", next.display()))?;
    }
    std::fs::create_dir_all(&next).with_context(|| format!("cannot make {}", next.display()))?;
    let mut laid = String::with_capacity(page.len());
    for line in page.lines() {
        let tag = match link(line).with_context(|| format!("{INDEX}: {}", line.trim()))? {
            None => line.to_string(),
            Some(link) => place(&link, beside, programs, &next)?,
        };
        if !tag.is_empty() {
            laid.push_str(&tag);
            laid.push('\n');
        }
    }
    let path = next.join("index.html");
    std::fs::write(&path, with_script_hashes(&laid)?).with_context(|| format!("cannot write {}", path.display()))?;
    list_files(&next)?;
    if dist.exists() {
        std::fs::remove_dir_all(dist).with_context(|| format!("cannot replace {}", dist.display()))?;
    }
    std::fs::rename(&next, dist).with_context(|| format!("cannot make {}", dist.display()))
}

/// The service worker, and its lines that take the list of files.
const SERVICE_WORKER: &str = "sw.js";
const LIST: &str = "const FILES = null;\nconst VERSION = \"\";\n";

/// Tells the service worker of `dist` which files there are and what their contents are.
fn list_files(dist: &Path) -> Result<()> {
    let mut files = BTreeMap::new();
    for name in files_in(dist)? {
        let bytes = std::fs::read(dist.join(&name)).with_context(|| format!("cannot read {name}"))?;
        let contents = format!("sha256-{}", base64(&Sha256::digest(&bytes)));
        match name.as_str() {
            SERVICE_WORKER => {}
            // Some hosts answer the name with a redirect, which a browser does not take for a page.
            "index.html" => drop(files.insert("./".to_owned(), contents)),
            _ => drop(files.insert(name, contents)),
        }
    }
    let list = serde_json::to_string(&files)?;
    let path = dist.join(SERVICE_WORKER);
    let script = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if !script.contains(LIST) {
        bail!("{SERVICE_WORKER} has no place for the list of files: {LIST}");
    }
    let version = digest(list.as_bytes());
    let filled = script.replace(
        LIST,
        &format!("const FILES = {list};\nconst VERSION = \"{version}\";\n"),
    );
    std::fs::write(&path, filled).with_context(|| format!("cannot write {}", path.display()))
}

/// Makes the JavaScript beside a program in `folder`, under `name`, as `wasm-bindgen --target web` does.
pub fn bind(program: &Path, name: &str, folder: &Path) -> Result<()> {
    Bindgen::new()
        .input_path(program)
        .web(true)
        .and_then(|bindgen| {
            bindgen
                .typescript(false)
                .omit_default_module_path(false)
                .out_name(name)
                .generate(folder)
        })
        .with_context(|| format!("{} could not be bound to JavaScript", program.display()))?;
    let script = folder.join(format!("{name}.js"));
    let text = std::fs::read_to_string(&script).with_context(|| format!("cannot read {}", script.display()))?;
    std::fs::write(&script, trimmed(&text)).with_context(|| format!("cannot write {}", script.display()))
}

/// The scripts of the lab that are trimmed as those of wasm-bindgen are: what a pupil's page loads is to be small.
const TRIMMED: [&str; 2] = ["embed.js", "lab_page.js"];

/// A script without lines that are comments, and without indentation: a seventh of what wasm-bindgen writes, in brotli. None of its
/// texts goes over several lines.
fn trimmed(script: &str) -> String {
    let mut is_comment = false;
    let mut text = String::with_capacity(script.len());
    for line in script.lines().map(str::trim_start) {
        is_comment |= line.starts_with("/*");
        if is_comment {
            is_comment = !line.contains("*/");
        } else if !line.is_empty() && !line.starts_with("//") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// Has the page's Content-Security-Policy allow the scripts that stand in it, and no others, in place of all (`'unsafe-inline'`,
/// which stands in the source because trunk writes another script).
fn with_script_hashes(page: &str) -> Result<String> {
    const ANY: &str = "script-src 'self' 'unsafe-inline'";
    if page.matches(ANY).count() != 1 {
        bail!("{INDEX}: the Content-Security-Policy does not say {ANY}");
    }
    let mut allowed = "script-src 'self'".to_owned();
    for script in page.split("<script").skip(1) {
        let (_, text) = script.split_once('>').context("a script's tag does not end")?;
        let (text, _) = text.split_once("</script>").context("a script does not end")?;
        if text.is_empty() {
            continue;
        }
        allowed.push_str(&format!(" 'sha256-{}'", base64(&Sha256::digest(text.as_bytes()))));
    }
    Ok(page.replace(ANY, &allowed))
}

/// RFC 4648's base64.
pub fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, i| (bits << 8) | u32::from(*chunk.get(i).unwrap_or(&0)));
        for place in 0..4 {
            let letter = LETTERS[((bits >> (18 - 6 * place)) & 63) as usize];
            text.push(if place <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// Puts what a link names into `dist` and returns the tag that stands for it.
fn place(link: &Link, beside: &Path, programs: &Path, dist: &Path) -> Result<String> {
    Ok(match link {
        Link::Hashed { rel, file } => {
            let from = beside.join(file);
            let bytes = std::fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            let stem = from.file_stem().unwrap_or_default().to_string_lossy();
            let ending = from.extension().unwrap_or_default().to_string_lossy();
            let name = format!("{stem}-{}.{ending}", digest(&bytes));
            std::fs::write(dist.join(&name), bytes).with_context(|| format!("cannot write {name}"))?;
            format!("<link rel=\"{rel}\" href=\"./{name}\">")
        }
        Link::Main { program } => {
            let from = programs.join(format!("{program}.wasm"));
            let bytes = std::fs::read(&from).with_context(|| format!("cannot read {}", from.display()))?;
            let name = format!("{program}-{}", digest(&bytes));
            // Bound under its plain name, which is in the program once for each thing that it imports.
            bind(&from, program, dist)?;
            for ending in [".js", "_bg.wasm"] {
                let (plain, hashed) = (format!("{program}{ending}"), format!("{name}{ending}"));
                std::fs::rename(dist.join(&plain), dist.join(hashed))
                    .with_context(|| format!("cannot rename {plain}"))?;
            }
            let snippets: String = snippets(dist)?
                .iter()
                .map(|path| format!("<link rel=\"modulepreload\" href=\"./{path}\">\n"))
                .collect();
            format!(
                "<link rel=\"modulepreload\" href=\"./{name}.js\">\n\
                 {snippets}\
                 <link rel=\"preload\" href=\"./{name}_bg.wasm\" as=\"fetch\" type=\"application/wasm\" crossorigin>\n\
                 <script type=\"module\">\n\
                 import init from \"./{name}.js\";\n\
                 await init({{ module_or_path: \"./{name}_bg.wasm\" }});\n\
                 </script>"
            )
        }
        Link::Worker { program } => {
            bind(&programs.join(format!("{program}.wasm")), program, dist)?;
            String::new()
        }
        Link::Copied { path } => {
            let from = beside.join(path);
            let name = from.file_name().with_context(|| format!("{path} has no name"))?;
            copy(&from, &dist.join(name))?;
            String::new()
        }
    })
}

/// The JavaScript that a program brings along, as paths in `dist`.
fn snippets(dist: &Path) -> Result<Vec<String>> {
    let mut names = files_in(dist)?;
    names.retain(|name| name.starts_with("snippets/"));
    Ok(names)
}

/// Copies a file, or a folder with all in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let lost = || format!("{} cannot be copied to {}", from.display(), to.display());
    if !from.is_dir() {
        if TRIMMED.iter().any(|name| from.ends_with(name)) {
            let text = std::fs::read_to_string(from).with_context(lost)?;
            return std::fs::write(to, trimmed(&text)).with_context(lost);
        }
        return std::fs::copy(from, to).map(drop).with_context(lost);
    }
    std::fs::create_dir_all(to).with_context(lost)?;
    let entries: Vec<PathBuf> = std::fs::read_dir(from)
        .with_context(lost)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .with_context(lost)?;
    for entry in entries {
        let name = entry.file_name().with_context(lost)?;
        copy(&entry, &to.join(name))?;
    }
    Ok(())
}

/// The first 16 hexadecimal digits of the SHA-256.
fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes)[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Reads a line that is a link for trunk; `None` for every other line.
fn link(line: &str) -> Result<Option<Link>> {
    if !line.contains("data-trunk") {
        return Ok(None);
    }
    let attribute = |name: &str| {
        let start = line.find(&format!(" {name}=\""))? + name.len() + 3;
        let length = line[start..].find('"')?;
        Some(line[start..start + length].to_string())
    };
    let needed = |name: &str| attribute(name).with_context(|| format!("the link has no `{name}`"));
    let rel = needed("rel")?;
    Ok(Some(match rel.as_str() {
        "css" => Link::Hashed {
            rel: "stylesheet",
            file: needed("href")?,
        },
        "icon" => Link::Hashed {
            rel: "icon",
            file: needed("href")?,
        },
        "copy-file" | "copy-dir" => Link::Copied { path: needed("href")? },
        "rust" => {
            let program = needed("data-bin")?;
            match needed("data-type")?.as_str() {
                "main" => Link::Main { program },
                "worker" => Link::Worker { program },
                other => bail!("`data-type=\"{other}\"` is not known here"),
            }
        }
        other => bail!("`rel=\"{other}\"` is not known here"),
    }))
}

/// Holds two laid out folders equal in what they serve: the same files with the same contents, and a page that asks for the same
/// of them. Hashes in names may differ, and how the page is written.
///
/// # Errors
/// The files that only one has, or that differ.
pub fn compare(ours: &Path, theirs: &Path) -> Result<()> {
    let (ours, theirs) = (served(ours)?, served(theirs)?);
    let mut faults = Vec::new();
    for name in ours.keys().chain(theirs.keys()).collect::<BTreeSet<_>>() {
        match (ours.get(name), theirs.get(name)) {
            (Some(_), None) => faults.push(format!("{name}: only in ours")),
            (None, Some(_)) => faults.push(format!("{name}: only in theirs")),
            (Some(ours), Some(theirs)) if ours != theirs => faults.push(format!("{name}: differs")),
            _ => {}
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("the two pages differ:\n{}", faults.join("\n"))
    }
}

/// What a folder serves: contents by name, both without hashes; of the page itself what it asks for.
fn served(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for name in files_in(folder)? {
        let path = folder.join(&name);
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let bytes = match std::str::from_utf8(&bytes) {
            Ok(text) if name.ends_with(".html") => asked_for(text).into_bytes(),
            // Only ours has the list of files.
            Ok(text) if name == SERVICE_WORKER => {
                let others = text.lines().filter(|line| !line.starts_with("const "));
                others.collect::<Vec<_>>().join("\n").into_bytes()
            }
            // Only ours has the scripts trimmed.
            Ok(text) if name.ends_with(".js") => trimmed(&without_hashes(text)).into_bytes(),
            _ => bytes,
        };
        found.insert(without_hashes(&name), bytes);
    }
    Ok(found)
}

/// The paths of all files in a folder and in those within it, with `/` between their parts, sorted.
pub fn files_in(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(inner) = folders.pop() {
        let entries = std::fs::read_dir(&inner).with_context(|| format!("cannot read {}", inner.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder)?.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The files that a page names in quotes, one a line, in their order of names.
fn asked_for(page: &str) -> String {
    let names: BTreeSet<String> = page
        .split(['"', '\''])
        .filter(|word| word.starts_with("./"))
        .map(without_hashes)
        .collect();
    names.into_iter().collect::<Vec<_>>().join("\n")
}

/// A text without `-` and 12 to 16 hexadecimal digits, wherever a name goes on or ends behind them.
fn without_hashes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(dash) = rest.find('-') {
        let behind = &rest[dash + 1..];
        let digits = behind.bytes().take_while(u8::is_ascii_hexdigit).count();
        let is_hash = (12..=16).contains(&digits) && behind[digits..].starts_with(['.', '_']);
        kept.push_str(&rest[..dash]);
        rest = if is_hash { &behind[digits..] } else { behind };
        if !is_hash {
            kept.push('-');
        }
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_trimmed_of_comments_and_indentation_once() {
        let script = "/**\n * Of two lines.\n */\nexport class A {\n    // One line.\n    go() { return 1 / 2; } // Stays.\n\n    /** One. */\n}\n";
        let short = trimmed(script);
        assert_eq!(short, "export class A {\ngo() { return 1 / 2; } // Stays.\n}\n");
        assert_eq!(trimmed(&short), short);
    }

    #[test]
    fn links_are_read_and_other_lines_are_left() {
        assert_eq!(link("<title>Lorakeet</title>").unwrap(), None);
        assert_eq!(
            link(r#"<link data-trunk rel="css" href="../public/page.css">"#).unwrap(),
            Some(Link::Hashed {
                rel: "stylesheet",
                file: "../public/page.css".into()
            })
        );
        assert_eq!(
            link(r#"<link data-trunk rel="rust" href="Cargo.toml" data-bin="worker" data-type="worker">"#).unwrap(),
            Some(Link::Worker {
                program: "worker".into()
            })
        );
    }

    #[test]
    fn a_link_that_is_not_understood_is_refused_by_its_kind() {
        for line in [
            r#"<link data-trunk rel="sass" href="a.scss">"#,
            r#"<link data-trunk href="a.css">"#,
            r#"<link data-trunk rel="rust" data-bin="app" data-type="no">"#,
        ] {
            assert!(link(line).is_err(), "{line}");
        }
    }

    #[test]
    fn folders_are_compared_without_the_hashes_in_their_names() {
        let folder = std::env::temp_dir().join(format!("lorakeet-bundle-{}", std::process::id()));
        let lay = |name: &str, files: &[(&str, &str)]| {
            let folder = folder.join(name);
            std::fs::create_dir_all(&folder).unwrap();
            for (file, text) in files {
                std::fs::write(folder.join(file), text).unwrap();
            }
            folder
        };
        let ours = lay(
            "ours",
            &[
                ("index.html", "<script>import \"./app-0123456789abcdef.js\"</script>"),
                ("app-0123456789abcdef.js", "app-0123456789abcdef_bg.wasm"),
            ],
        );
        let theirs = lay(
            "theirs",
            &[
                (
                    "index.html",
                    "<script integrity>import './app-fedcba987654321.js'</script>",
                ),
                ("app-fedcba987654321.js", "app-fedcba987654321_bg.wasm"),
            ],
        );
        let other = lay("other", &[("index.html", "")]);
        compare(&ours, &theirs).unwrap();
        let error = compare(&ours, &other).unwrap_err().to_string();
        assert!(
            error.contains("app.js: only in ours") && error.contains("index.html: differs"),
            "{error}"
        );
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn the_policy_of_the_page_allows_its_own_scripts_alone() {
        let policy = "script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; style-src 'unsafe-inline'";
        let page =
            format!("<meta content=\"{policy}\">\n<script>\na()\n</script>\n<script type=\"module\">b</script>\n");
        let laid = with_script_hashes(&page).unwrap();
        let hash = |text: &str| base64(&Sha256::digest(text.as_bytes()));
        let want = format!(
            "script-src 'self' 'sha256-{}' 'sha256-{}' 'wasm-unsafe-eval'; style-src 'unsafe-inline'",
            hash("\na()\n"),
            hash("b")
        );
        assert!(laid.contains(&want), "{laid}");
        assert!(with_script_hashes("<script></script>").is_err());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        with_script_hashes(&std::fs::read_to_string(root.join(INDEX)).unwrap()).unwrap();
    }

    #[test]
    fn every_link_of_the_page_is_understood() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let page = std::fs::read_to_string(root.join(INDEX)).unwrap();
        let links = page.lines().filter_map(|line| link(line).unwrap()).count();
        assert_eq!(links, page.matches("data-trunk").count());
    }
}
