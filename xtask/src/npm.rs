//! The npm package `lorakeet`: the folder as it is served, with a manifest. `npm publish FILE` takes it.

use crate::files::{Files, gzip};
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use tar::{Builder, EntryType, Header};

const NAME: &str = "lorakeet";
/// The module, its types, and its description for tools.
const MODULE: &str = "lab.js";
const TYPES: &str = "lab.d.ts";
const ELEMENTS: &str = "custom-elements.json";
const MANIFEST: &str = "package.json";
/// Files of the workspace that a package has, too, and what they are called there.
const BESIDE: [(&str, &str); 4] = [
    ("docs/npm.md", "README.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
];
/// What npm gives every file of a package: 1985-10-26, 08:15 UTC.
const MODIFIED: u64 = 499_162_500;

/// The package of a built page, as the tarball's name and bytes.
pub fn tarball(root: &Path, of_workspace: &Value, mut files: Files) -> Result<(String, Vec<u8>)> {
    for (from, name) in BESIDE {
        let bytes = std::fs::read(root.join(from)).with_context(|| format!("cannot read {from}"))?;
        files.insert(name.to_owned(), bytes);
    }
    let manifest = manifest(of_workspace, &files)?;
    let name = format!("{NAME}-{}.tgz", manifest["version"].as_str().unwrap_or_default());
    let text = format!("{}\n", serde_json::to_string_pretty(&manifest)?);
    files.insert(MANIFEST.to_owned(), text.into_bytes());
    Ok((name, pack(&files)?))
}

/// The package's manifest. Its version, licence and repository are those of the workspace.
fn manifest(of_workspace: &Value, files: &Files) -> Result<Value> {
    for name in [MODULE, TYPES, ELEMENTS] {
        if !files.contains_key(name) {
            bail!("the npm package lacks {name}");
        }
    }
    let of_workspace = |key: &str| {
        of_workspace[key]
            .as_str()
            .with_context(|| format!("the workspace has no {key}"))
    };
    // Folders stand for all that is in them; npm adds manifest, README and licences itself.
    let top: BTreeSet<String> = files
        .keys()
        .filter(|path| BESIDE.iter().all(|(_, name)| name != path))
        .map(|path| match path.split_once('/') {
            Some((folder, _)) => format!("{folder}/"),
            None => path.clone(),
        })
        .collect();
    let module = json!({ "types": format!("./{TYPES}"), "default": format!("./{MODULE}") });
    let mut manifest = json!({
        "name": NAME,
        "version": of_workspace("version")?,
        "description": "Lessons in fine-tuning language models: the element <lorakeet-lab> trains in the reader's browser",
        "keywords": ["custom-element", "fine-tuning", "language-model", "lessons", "lora", "wasm", "webgpu"],
        "license": of_workspace("license")?,
        "type": "module",
        "main": format!("./{MODULE}"),
        "types": format!("./{TYPES}"),
        "exports": {
            ".": module,
            format!("./{MODULE}"): module,
            "./*": "./*",
        },
        "customElements": ELEMENTS,
        "sideEffects": [format!("./{MODULE}")],
        "files": top,
        "publishConfig": { "access": "public", "provenance": true },
    });
    // Provenance names it; a workspace that lies nowhere yet has none.
    if let (Ok(url), Some(fields)) = (of_workspace("repository"), manifest.as_object_mut()) {
        let mut repository = Map::new();
        repository.insert("type".into(), "git".into());
        repository.insert("url".into(), format!("git+{}.git", url.trim_end_matches(".git")).into());
        fields.insert("repository".into(), repository.into());
    }
    Ok(manifest)
}

/// A tarball as npm makes it, in the order of paths.
fn pack(files: &Files) -> Result<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = Header::new_ustar();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(MODIFIED);
        header.set_size(bytes.len() as u64);
        let name = format!("package/{path}");
        archive
            .append_data(&mut header, &name, bytes.as_slice())
            .with_context(|| format!("{name} cannot be packed"))?;
    }
    gzip(&archive.into_inner()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use std::io::Read;
    use std::path::PathBuf;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
    }

    fn of_workspace() -> Value {
        json!({ "version": env!("CARGO_PKG_VERSION"), "license": env!("CARGO_PKG_LICENSE"), "repository": null })
    }

    fn folder() -> Files {
        [
            "lab.js",
            "lab.d.ts",
            "custom-elements.json",
            "model/config.json",
            "lessons/data/a.csv",
        ]
        .map(|path| (path.to_owned(), path.as_bytes().to_vec()))
        .into()
    }

    fn unpacked(tarball: &[u8]) -> Vec<(String, Vec<u8>)> {
        let mut archive = tar::Archive::new(GzDecoder::new(tarball));
        let entries = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), MODIFIED);
            assert_eq!(entry.header().mode().unwrap(), 0o644);
            let name = entry.path().unwrap().to_str().unwrap().to_owned();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (name, bytes)
        });
        entries.collect()
    }

    #[test]
    fn the_tarball_has_the_folder_and_what_belongs_to_a_package_each_below_package() {
        let (name, tarball) = tarball(&root(), &of_workspace(), folder()).unwrap();
        assert_eq!(name, format!("lorakeet-{}.tgz", env!("CARGO_PKG_VERSION")));
        let entries = unpacked(&tarball);
        let names: Vec<&str> = entries.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "package/CHANGELOG.md",
                "package/LICENSE-APACHE",
                "package/LICENSE-MIT",
                "package/README.md",
                "package/custom-elements.json",
                "package/lab.d.ts",
                "package/lab.js",
                "package/lessons/data/a.csv",
                "package/model/config.json",
                "package/package.json",
            ]
        );
        let (_, licence) = &entries[2];
        assert_eq!(licence, &std::fs::read(root().join("LICENSE-MIT")).unwrap());
    }

    #[test]
    fn the_same_files_give_the_same_bytes() {
        let bytes = |files| tarball(&root(), &of_workspace(), files).unwrap().1;
        assert!(bytes(folder()) == bytes(folder()));
        let mut other = folder();
        other.insert("lab.js".into(), b"other".to_vec());
        assert!(bytes(folder()) != bytes(other));
    }

    #[test]
    fn the_manifest_names_files_that_exist_and_the_workspace_s_version() {
        let (_, tarball) = tarball(&root(), &of_workspace(), folder()).unwrap();
        let entries = unpacked(&tarball);
        let manifest: Value = serde_json::from_slice(&entries.last().unwrap().1).unwrap();
        assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(manifest["license"], env!("CARGO_PKG_LICENSE"));
        assert!(manifest.get("scripts").is_none() && manifest.get("repository").is_none());
        let exists = |path: &str| {
            let path = format!("package/{}", path.trim_start_matches("./"));
            entries
                .iter()
                .any(|(name, _)| *name == path || path.ends_with('/') && name.starts_with(&path))
        };
        let mut named: Vec<&str> = [
            &manifest["main"],
            &manifest["types"],
            &manifest["customElements"],
            &manifest["exports"]["."]["types"],
            &manifest["exports"]["."]["default"],
            &manifest["exports"]["./lab.js"]["default"],
        ]
        .map(|value| value.as_str().unwrap())
        .to_vec();
        for list in ["files", "sideEffects"] {
            named.extend(
                manifest[list]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|value| value.as_str().unwrap()),
            );
        }
        for path in named {
            assert!(exists(path), "{path}");
        }
    }

    #[test]
    fn a_repository_is_written_as_npm_compares_it() {
        let mut workspace = of_workspace();
        workspace["repository"] = "https://code.example.org/lorakeet".into();
        let manifest = manifest(&workspace, &folder()).unwrap();
        assert_eq!(
            manifest["repository"]["url"],
            "git+https://code.example.org/lorakeet.git"
        );
    }

    #[test]
    fn a_folder_without_types_is_refused() {
        let mut files = folder();
        files.remove("lab.d.ts");
        let error = tarball(&root(), &of_workspace(), files).unwrap_err().to_string();
        assert!(error.contains("lab.d.ts"), "{error}");
    }

    #[test]
    fn a_path_that_leaves_the_package_is_refused() {
        let mut files = folder();
        files.insert("../outside".into(), Vec::new());
        assert!(tarball(&root(), &of_workspace(), files).is_err());
    }
}
