//! axe-core, which checks accessibility in the web tests. It is taken from a Python package that carries it as it was
//! published, and is under the MPL-2.0: tests read it, nothing that is handed out contains it.

use crate::places::Places;
use crate::pypi::{ONLY_WHEEL, Package, check, remove, sha256};
use anyhow::{Context, Result};
use std::path::PathBuf;

const PACKAGE: Package = Package {
    name: "axe-playwright-python",
    version: "0.1.8",
    file: "axe_playwright_python-0.1.8-py3-none-any.whl",
    sha256: "fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8",
    megabytes: 1,
    choice: ONLY_WHEEL,
};
const MEMBER: &str = "axe_playwright_python/axe.min.js";
/// Version 4.12.1.
const SHA256: &str = "84494fec757e4710dc751c8d7a636e457f4532f08f85c86dc9070133fbff53bc";

/// axe-core's program, fetched on the first call.
pub fn program(places: &Places) -> Result<PathBuf> {
    let program = places.packages().join("axe.min.js");
    if program.is_file() && sha256(&program)? == SHA256 {
        return Ok(program);
    }
    let partial = PACKAGE.unpack(places)?;
    let unpacked = partial.join(MEMBER);
    check(&unpacked, SHA256)?;
    std::fs::rename(&unpacked, &program).with_context(|| format!("cannot write {}", program.display()))?;
    remove(&partial)?;
    Ok(program)
}
