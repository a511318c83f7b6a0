//! Whether all commands compile the same dependencies, and whether two clones can share what is compiled.

use crate::places::{PAGE_PACKAGE, Places, WASM_TARGET as TARGET};
use crate::process::capture;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The variable of `.cargo/config.toml` that tells clones apart.
const CLONE: &str = "LORAKEET_CLONE";

/// The native command whose units all others have to do with: `cargo xtask test`'s.
const TEST: [&str; 5] = ["test", "--release", "--lib", "--bins", "--test=*"];

/// Native commands of the README, of `cargo xtask bench` and of `cargo xtask pretrain`.
const OTHERS: [&[&str]; 3] = [
    &["build", "--release", "--bin=lorakeet"],
    &["bench", "--no-run"],
    &["build", "--release", "--examples"],
];

/// Every dependency that a command of the documents compiles is compiled by `cargo xtask test` with the same features and in
/// the same profile; for the browser, page and bench compile theirs as the page's worker does.
///
/// # Errors
/// The command and the dependencies that would be compiled again.
pub fn check_one_build(places: &Places) -> Result<()> {
    let tested = units(places, &TEST)?;
    for other in OTHERS {
        compare(other, &units(places, other)?, &tested)?;
    }
    let web = ["build", "--profile=web", "--target", TARGET, "--package", PAGE_PACKAGE];
    let web = |words: &[&'static str]| [web.as_slice(), words].concat();
    let worker = units(places, &web(&["--bin=worker", "--features=engine"]))?;
    for other in [web(&["--bin=app"]), web(&["--bin=bench", "--features=bench"])] {
        compare(&other, &units(places, &other)?, &worker)?;
    }
    Ok(())
}

fn compare(command: &[&str], units: &BTreeSet<String>, known: &BTreeSet<String>) -> Result<()> {
    let again: Vec<&str> = units.difference(known).map(String::as_str).collect();
    if again.is_empty() {
        return Ok(());
    }
    bail!(
        "`cargo {}` compiles what the others have compiled with other features or in another profile; name the missing \
         features in Cargo.toml:\n{}",
        command.join(" "),
        again.join("\n")
    )
}

/// What a cargo command compiles of other people's packages: name, version, features, optimisation.
fn units(places: &Places, words: &[&str]) -> Result<BTreeSet<String>> {
    let mut command = places.cargo(words[0]);
    command
        .args(&words[1..])
        .args(["--locked", "--unit-graph", "-Z", "unstable-options"])
        // The list is not stable yet; nothing is compiled here.
        .env("RUSTC_BOOTSTRAP", "1");
    let text = capture(&mut command)?;
    let graph: Value = serde_json::from_str(&text).context("cargo printed no unit graph")?;
    let units = graph["units"].as_array().context("cargo's unit graph has no units")?;
    Ok(units
        .iter()
        .filter(|unit| unit["pkg_id"].as_str().is_some_and(|id| !id.starts_with("path+")))
        .map(|unit| {
            format!(
                "{} {} {} {} {}",
                unit["pkg_id"]
                    .as_str()
                    .unwrap_or_default()
                    .rsplit('/')
                    .next()
                    .unwrap_or_default(),
                unit["target"]["kind"],
                unit["features"],
                unit["profile"]["opt_level"],
                unit["platform"]
            )
        })
        .collect())
}

/// Every package of the workspace is compiled anew where another clone compiled it last: its library reads [`CLONE`], or its
/// programs do where it has none; so does its build script.
///
/// # Errors
/// The sources that do not.
pub fn check_clone_variable(places: &Places) -> Result<()> {
    let mut faults = Vec::new();
    for package in places.own_packages()? {
        let targets = package["targets"].as_array().context("a package has targets")?;
        let has_library = targets.iter().any(|target| target["kind"][0] == "lib");
        for target in targets {
            let counts = match target["kind"][0].as_str() {
                Some("lib" | "custom-build") => true,
                Some("bin") => !has_library,
                _ => false,
            };
            let path = target["src_path"].as_str().context("a target has a source")?;
            if counts && !reads_clone(Path::new(path))? {
                faults.push(path.to_string());
            }
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!(
            "write `const _: Option<&str> = option_env!(\"{CLONE}\");` into\n{}",
            faults.join("\n")
        )
    }
}

fn reads_clone(path: &Path) -> Result<bool> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(text.contains(&format!("option_env!(\"{CLONE}\")")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_dependency_with_other_features_is_named() {
        let set = |unit: &str| BTreeSet::from([unit.to_string()]);
        assert!(compare(&["run"], &set("serde [\"std\"]"), &set("serde [\"std\"]")).is_ok());
        let error = compare(&["run"], &set("serde [\"rc\"]"), &set("serde [\"std\"]")).unwrap_err();
        assert!(error.to_string().contains("serde [\"rc\"]"), "{error}");
    }

    /// The way of `.cargo/config.toml`, tried on two small clones that share what is compiled.
    #[test]
    fn two_clones_run_their_own_sources_from_one_build() {
        let folder = std::env::temp_dir().join(format!("lorakeet-clones-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for clone in ["one", "two"] {
            write(
                &format!("{clone}/Cargo.toml"),
                "[package]\nname = \"who\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n",
            );
            write(
                &format!("{clone}/.cargo/config.toml"),
                &format!(
                    "[build]\nbuild-dir = \"../build\"\n[env]\n{CLONE} = {{ value = \"\", relative = true, force = true }}\n"
                ),
            );
            write(
                &format!("{clone}/src/main.rs"),
                &format!("const _: Option<&str> = option_env!(\"{CLONE}\");\nfn main() {{ print!(\"{clone}\") }}\n"),
            );
        }
        let run = |clone: &str| {
            let mut command = Command::new("cargo");
            command
                .current_dir(folder.join(clone))
                .args(["run", "--quiet", "--offline"]);
            for variable in ["CARGO_TARGET_DIR", "CARGO_BUILD_BUILD_DIR", CLONE] {
                command.env_remove(variable);
            }
            capture(&mut command).unwrap()
        };
        // The second time around neither source is newer than the last build.
        for clone in ["one", "two", "one", "two"] {
            assert_eq!(run(clone), clone);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
