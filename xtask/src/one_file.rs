//! The lab as one file of HTML: `public/one_file/` with the folder's files inside, for a computer without a network or a server.
//!
//! `public/one_file/start.js` takes the files out again. What a page of `file:` cannot have is changed here: its workers are
//! no modules and load nothing, so the engine's two scripts become one that is sent its WebAssembly.

use crate::bundle::base64;
use crate::files::{Files, gzip, text};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::path::Path;

/// Its name.
pub const NAME: &str = "lorakeet-lab.html";

const SOURCES: &str = "public/one_file";
/// Style sheets of the folder, in order; those of the file's own come behind them.
const SHEETS: [&str; 3] = ["tokens.css", "parts.css", "lab.css"];
/// Files of the folder that the lab needs as they are.
const PROGRAM: [&str; 4] = ["lab_page.js", "lesson.js", "lesson_bg.wasm", "worker_bg.wasm"];
/// The engine's worker, and the JavaScript of its WebAssembly.
const ENGINE: &str = "engine.js";
const GLUE: &str = "worker.js";
/// What the worker does for its GPU runtime.
const WEBGPU: &str = "webgpu.js";
/// Letters of an element.
const PART_BYTES: usize = 1 << 20;
const LESSONS: &str = "lessons/";
const MODEL: [&str; 4] = [
    "model/config.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "model/model.safetensors",
];

/// The text of the file, of the files of a built page and of `public/one_file/` in the workspace.
///
/// # Errors
/// A file that is missing, or JavaScript that is not as it has to be to be changed.
pub fn page(root: &Path, files: &Files) -> Result<String> {
    let own = |name: &str| {
        let path = format!("{SOURCES}/{name}");
        std::fs::read_to_string(root.join(&path)).with_context(|| format!("cannot read {path}"))
    };
    let mut style = String::new();
    for name in SHEETS {
        style.push_str(text(files, name)?);
    }
    style.push_str(&own("start.css")?);
    let script = own("start.js")?;
    for (what, text) in [("style", &style), ("script", &script)] {
        if text.to_ascii_lowercase().contains(&format!("</{what}")) {
            bail!("a {what} of the file ends early");
        }
    }
    let hash = |text: &str| format!("'sha256-{}'", base64(&Sha256::digest(text)));
    let policy = format!(
        "default-src 'none'; script-src {} blob: 'wasm-unsafe-eval'; worker-src blob:; connect-src blob:; style-src {}; \
         img-src data: blob:; base-uri 'none'; form-action 'none'",
        hash(&script),
        hash(&style)
    );
    let (index, packed) = archive(files, &own(ENGINE)?)?;
    // WebKit takes half a minute for an element of 12 MB.
    let mut parts = String::new();
    for part in packed.as_bytes().chunks(PART_BYTES) {
        parts.push_str("<script type=\"text/plain\" class=\"files\">");
        parts.push_str(std::str::from_utf8(part)?);
        parts.push_str("</script>\n");
    }
    fill(
        &own("page.html")?,
        &[
            ("policy", &policy),
            ("icon", &base64(text(files, "icon.svg")?.as_bytes())),
            ("style", &style),
            ("index", &index),
            ("files", &parts),
            ("script", &script),
        ],
    )
}

/// Puts texts in the places `{name}` of a template, each of which has to be there once.
fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut filled = String::new();
    let mut rest = template;
    for (name, value) in values {
        let (before, behind) = rest
            .split_once(&format!("{{{name}}}"))
            .with_context(|| format!("the page has no place {{{name}}}, or not in this order"))?;
        filled.push_str(before);
        filled.push_str(value);
        rest = behind;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// What the lab needs of the folder, with the engine's worker in its frame: the list of paths and bytes as JSON, and the contents
/// as gzip in base64.
fn archive(files: &Files, frame: &str) -> Result<(String, String)> {
    let mut inside = Files::new();
    for path in PROGRAM.into_iter().chain(MODEL) {
        inside.insert(path.into(), text_or_bytes(files, path)?.to_vec());
    }
    for path in ["lab_page.js", "lesson.js"] {
        if let Some(name) = imported(text(files, path)?) {
            bail!("{path} imports {name}, which has no address in one file");
        }
    }
    inside.insert(
        ENGINE.into(),
        classic(frame, text(files, ENGINE)?, text(files, GLUE)?, text(files, WEBGPU)?)?.into_bytes(),
    );
    for (path, bytes) in files.iter().filter(|(path, _)| path.starts_with(LESSONS)) {
        // The schema and the notes on sources are for authors.
        if path.ends_with(".schema.json") || path.ends_with(".md") {
            continue;
        }
        if path.ends_with(".json") && !path.ends_with(".recording.json") {
            let lesson: Value = serde_json::from_slice(bytes).with_context(|| format!("{path} is no JSON"))?;
            for name in named_files(&lesson) {
                inside.insert(name.clone(), text_or_bytes(files, &name)?.to_vec());
            }
        }
        inside.insert(path.clone(), bytes.clone());
    }
    let index: Vec<(&String, usize)> = inside.iter().map(|(path, bytes)| (path, bytes.len())).collect();
    let index = serde_json::to_string(&index)?;
    let whole = inside.into_values().collect::<Vec<_>>().concat();
    Ok((index, base64(&gzip(&whole)?)))
}

fn text_or_bytes<'a>(files: &'a Files, path: &str) -> Result<&'a [u8]> {
    files
        .get(path)
        .map(Vec::as_slice)
        .with_context(|| format!("{path} is missing"))
}

/// The data files that a lesson names, wherever they stand in it.
fn named_files(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) if text.starts_with("data/") || text.starts_with("lessons/data/") => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(named_files).collect(),
        Value::Object(fields) => fields.values().flat_map(named_files).collect(),
        _ => Vec::new(),
    }
}

/// What a module imports by a relative name, if anything.
fn imported(module: &str) -> Option<&str> {
    let line = module
        .lines()
        .find(|line| line.starts_with("import ") || line.contains("import(\"."))?;
    Some(line.split(['"', '\'']).nth(1).unwrap_or(line))
}

/// The engine's worker as one script that is no module: `frame` with the three in their places.
fn classic(frame: &str, engine: &str, glue: &str, webgpu: &str) -> Result<String> {
    const EXPORT: &str = "export { initSync, __wbg_init as default };";
    const LOADED: &str = "import(\"./worker.js\"),\n    fetch(new URL(\"./worker_bg.wasm\", import.meta.url)),\n    import(\"./webgpu.js\"),";
    // A lab keeps no runs.
    const SHELF: &str = "(await import(\"./shelf.js\")).openShelf()";
    const NO_SHELF: &str = "Promise.reject(new Error(\"there is no storage here\"))";
    const HUB: &str = "(await import(\"./hub.js\")).ask(...request)";
    const NO_HUB: &str = "Promise.reject(new Error(`there is no network here: ${request[0]}`))";
    for (name, module) in [(GLUE, glue), (WEBGPU, webgpu)] {
        if let Some(imported) = imported(module) {
            bail!("{name} imports {imported}, which has no address in one file");
        }
    }
    let glue = once(glue, EXPORT, "return { default: __wbg_init };", GLUE)?;
    let engine = once(engine, LOADED, "glue,\n    program,", ENGINE)?;
    let engine = once(&engine, SHELF, NO_SHELF, ENGINE)?;
    let engine = once(&engine, HUB, NO_HUB, ENGINE)?;
    let mut script = frame.to_owned();
    let parts = [
        (GLUE, "/* glue */", glue.as_str()),
        (WEBGPU, "/* webgpu */", webgpu),
        (ENGINE, "/* engine */", engine.as_str()),
    ];
    for (name, place, module) in parts {
        let text = module.replace("import.meta.url", "self.location.href");
        if text.contains("import.meta") || text.lines().any(|line| line.starts_with("export ")) {
            bail!("{name} is still a module");
        }
        script = once(&script, place, &text, "the frame of the engine's worker")?;
    }
    Ok(script)
}

/// Replaces what stands in a text exactly once.
fn once(text: &str, old: &str, new: &str, name: &str) -> Result<String> {
    match text.matches(old).count() {
        1 => Ok(text.replacen(old, new, 1)),
        count => bail!("{name} has {count} times `{old}`, not once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;
    use std::path::PathBuf;

    const GLUED: &str = "let wasm;\nconst at = import.meta.url;\nexport { initSync, __wbg_init as default };\n";

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
    }

    /// The folder as it would be served, with stubs for what is compiled.
    fn folder() -> Files {
        let public = root().join("public");
        let mut files = Files::new();
        for path in crate::bundle::files_in(&public).unwrap() {
            files.insert(path.clone(), std::fs::read(public.join(&path)).unwrap());
        }
        files.insert("worker.js".into(), GLUED.into());
        files.insert("lesson.js".into(), "export { initSync, __wbg_init as default };".into());
        for name in ["worker_bg.wasm", "lesson_bg.wasm", "model/model.safetensors"] {
            files.insert(name.into(), b"\0asm\x01\0\0\0".to_vec());
        }
        files
    }

    fn between<'a>(text: &'a str, before: &str, behind: &str) -> &'a str {
        text.split_once(before).unwrap().1.split_once(behind).unwrap().0
    }

    fn decoded(text: &str) -> Vec<u8> {
        let value = |letter: u8| match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' => 62,
            _ => 63,
        };
        let mut bytes = Vec::new();
        for four in text.trim_end_matches('=').as_bytes().chunks(4) {
            let bits = four
                .iter()
                .fold(0_u32, |bits, letter| (bits << 6) | u32::from(value(*letter)));
            let bits = bits << (6 * (4 - four.len()));
            bytes.extend(&bits.to_be_bytes()[1..four.len()]);
        }
        bytes
    }

    #[test]
    fn what_is_inside_comes_out_again() {
        let files = folder();
        let page = page(&root(), &files).unwrap();
        let index: Vec<(String, usize)> = serde_json::from_str(between(&page, "id=\"index\">", "</script>")).unwrap();
        let mut whole = Vec::new();
        let parts = page.split("class=\"files\">").skip(1);
        let packed: String = parts.map(|part| part.split_once('<').unwrap().0).collect();
        let packed = decoded(&packed);
        GzDecoder::new(packed.as_slice()).read_to_end(&mut whole).unwrap();
        assert_eq!(whole.len(), index.iter().map(|(_, bytes)| bytes).sum::<usize>());
        let mut start = 0;
        for (path, bytes) in &index {
            let inside = &whole[start..start + bytes];
            start += bytes;
            assert!(path == ENGINE || inside == files[path].as_slice(), "{path}");
        }
        let has = |path: &str| index.iter().any(|(inside, _)| inside == path);
        for path in [
            "lessons/index.json",
            "lessons/loss.json",
            "lessons/loss.recording.json",
            "data/austen.txt",
        ] {
            assert!(has(path), "{path}");
        }
        assert!(!has("lab.js") && !has("lessons/lesson.schema.json"));
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let page = page(&root(), &folder()).unwrap();
        let policy = between(&page, "Content-Security-Policy\" content=\"", "\"");
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        assert!(
            !policy.contains("http") && !policy.contains("'unsafe-inline'"),
            "{policy}"
        );
        for wish in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.contains(wish), "{wish}");
        }
        assert_eq!(page.matches("<link").count(), 1);
        assert!(page.contains("<link rel=\"icon\" href=\"data:"));
        let script = between(&page, "<script type=\"module\">", "</script>");
        assert!(policy.contains(&base64(&Sha256::digest(script))));
    }

    #[test]
    fn the_same_folder_gives_the_same_file() {
        assert!(page(&root(), &folder()).unwrap() == page(&root(), &folder()).unwrap());
    }

    #[test]
    fn the_engine_s_worker_is_one_script() {
        let read = |path: &str| std::fs::read_to_string(root().join("public").join(path)).unwrap();
        let (frame, engine, webgpu) = (read("one_file/engine.js"), read("engine.js"), read("webgpu.js"));
        let script = classic(&frame, &engine, GLUED, &webgpu).unwrap();
        assert!(!script.contains("import(") && !script.contains("import.meta") && !script.contains("export {"));
        for part in ["let wasm;", "timestamp-query", "page.CodeNotLoaded"] {
            assert!(script.contains(part), "{part}");
        }
        for (frame, engine, glue) in [
            (&*frame, &*engine, "let wasm;"),
            (
                &frame,
                &engine,
                &format!("import {{ a }} from './snippets/a.js';\n{GLUED}"),
            ),
            (&frame, "fetch()", GLUED),
            ("/* glue */", &engine, GLUED),
        ] {
            assert!(classic(frame, engine, glue, &webgpu).is_err(), "{glue}");
        }
    }

    #[test]
    fn a_file_that_a_lesson_names_has_to_be_there() {
        let mut files = folder();
        files.remove("data/austen.txt");
        let error = page(&root(), &files).unwrap_err().to_string();
        assert!(error.contains("data/austen.txt"), "{error}");
    }

    #[test]
    fn a_place_that_the_page_lacks_is_named() {
        assert_eq!(fill("a {b} c {d}", &[("b", "{d}"), ("d", "e")]).unwrap(), "a {d} c e");
        assert!(fill("a", &[("b", "")]).unwrap_err().to_string().contains("{b}"));
    }
}
