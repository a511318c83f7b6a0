//! What is handed out besides the folder: the npm package, and the lab as one file.

use crate::bundle::files_in;
use crate::files::Files;
use crate::phase::{Phase, Plan};
use crate::places::{PAGE_PACKAGE, Places, say};
use crate::{npm, one_file, page};
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// The parts of [`build`].
pub fn phases(places: &Places) -> Vec<Phase> {
    let mut phases = page::phases(places);
    phases.push(Phase::new("pack the npm package and the lab as one file", 10));
    phases
}

/// Builds the page and packs it; returns the page's folder.
pub fn build(places: &Places, plan: &mut Plan) -> Result<PathBuf> {
    let dist = page::build(places, plan)?;
    plan.run(|| make(places, &dist))?;
    Ok(dist)
}

/// Packs a built page into the folder `package` beside it. The same page gives the same bytes.
///
/// # Errors
/// A file that is missing, or a program that is not as the packer expects it.
fn make(places: &Places, dist: &Path) -> Result<()> {
    let files = read(dist)?;
    let of_workspace = workspace_package(places)?;
    let page = one_file::page(&places.root, &files)?;
    let (name, tarball) = npm::tarball(&places.root, &of_workspace, files)?;
    let folder = folder(dist);
    if folder.exists() {
        std::fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, bytes) in [(name.as_str(), tarball), (one_file::NAME, page.into_bytes())] {
        let path = folder.join(name);
        std::fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
        say(format!("{name}: {:.1} MB", bytes.len() as f64 / 1e6));
    }
    Ok(())
}

/// Where the packed files of a built page lie.
pub fn folder(dist: &Path) -> PathBuf {
    dist.with_file_name("package")
}

/// All files of a folder.
fn read(folder: &Path) -> Result<Files> {
    let mut files = Files::new();
    for path in files_in(folder)? {
        let bytes = std::fs::read(folder.join(&path)).with_context(|| format!("cannot read {path}"))?;
        files.insert(path, bytes);
    }
    Ok(files)
}

/// What cargo knows of the page's package; version, licence and repository are the workspace's.
fn workspace_package(places: &Places) -> Result<Value> {
    let mut packages = places.own_packages()?.into_iter();
    packages
        .find(|package| package["name"] == PAGE_PACKAGE)
        .with_context(|| format!("the workspace has no package {PAGE_PACKAGE}"))
}
