//! The data of `cargo xtask bench lessons`: Fashion-MNIST from its Debian package, time series of the UCR archive from sktime's
//! wheel, each file checked by its sum.

use crate::places::Places;
use crate::pypi::{ONLY_WHEEL, Package, remove};
use crate::texts::{Source, fetch};
use anyhow::{Context, Result};
use std::fs;
use std::io::Read;
use std::path::PathBuf;

const IMAGES: &str = "dataset-fashion-mnist";
const IMAGES_VERSION: &str = "0.0~git20200523.55506a9-1";
const IMAGES_FOLDER: &str = "usr/share/datasets/fashion-mnist";

/// Packed files and their sums.
const IMAGE_FILES: [(&str, &str); 4] = [
    (
        "train-images-idx3-ubyte",
        "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    ),
    (
        "train-labels-idx1-ubyte",
        "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
    ),
    (
        "t10k-images-idx3-ubyte",
        "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    ),
    (
        "t10k-labels-idx1-ubyte",
        "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    ),
];

const SKTIME: Package = Package {
    name: "sktime",
    version: "1.2.0",
    file: "sktime-1.2.0-py3-none-any.whl",
    sha256: "dbffc6731d2d683b668dceb5e2bbc5804bebc8446b4c580803a281684d90e4ae",
    megabytes: 8,
    choice: ONLY_WHEEL,
};
/// Series of the wheel, of which there is a file _TRAIN.ts and a file _TEST.ts.
const SERIES: [&str; 3] = ["GunPoint", "ItalyPowerDemand", "Tecator"];

/// The folder with all of it, fetched on the first call.
pub fn fetch_all(places: &Places) -> Result<PathBuf> {
    let folder = places.packages().join("lessons");
    let last = folder.join("Tecator_TEST.ts");
    if last.is_file() {
        return Ok(folder);
    }
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    for (name, sha256) in IMAGE_FILES {
        let packed = fetch(
            &places.packages(),
            &Source {
                package: IMAGES,
                version: IMAGES_VERSION,
                path: &format!("{IMAGES_FOLDER}/{name}.gz"),
                sha256,
            },
        )?;
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(packed.as_slice()).read_to_end(&mut bytes)?;
        let path = folder.join(name);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    // The wheel as a whole was checked.
    let unpacked = SKTIME.unpack(places)?;
    for name in SERIES {
        for part in ["TRAIN", "TEST"] {
            let file = format!("{name}_{part}.ts");
            let from = unpacked.join("sktime/datasets/data").join(name).join(&file);
            fs::copy(&from, folder.join(&file)).with_context(|| format!("{} cannot be copied", from.display()))?;
        }
    }
    remove(&unpacked)?;
    Ok(folder)
}
