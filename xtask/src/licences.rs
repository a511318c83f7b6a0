//! Dependencies: their licences against `deny.toml`, their sources, and their pins.
//!
//! `deny.toml` is cargo-deny's file. Building cargo-deny takes longer than all the rest of this stage, so the same rules
//! are read here over `cargo tree`, whose list (unlike that of `cargo metadata`) leaves out what no feature turns on.

use crate::places::{FUZZ_MANIFEST, MANIFEST, Places};
use crate::process::capture;
use anyhow::{Context, Result, bail};

/// Every registry dependency of a member, and of the fuzz targets, is pinned to one version.
pub fn check_pins(places: &Places) -> Result<()> {
    let mut loose = Vec::new();
    for package in [places.own_packages()?, places.packages_of(FUZZ_MANIFEST)?].concat() {
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let requirement = dependency["req"].as_str().unwrap_or_default();
            if dependency["path"].is_null() && !requirement.starts_with('=') {
                loose.push(format!(
                    "{} needs {} {requirement}",
                    package["name"], dependency["name"]
                ));
            }
        }
    }
    if loose.is_empty() {
        Ok(())
    } else {
        bail!("write =x.y.z where these leave the version open:\n{}", loose.join("\n"))
    }
}

/// Every dependency has an allowed licence and comes from the registry, once.
pub fn check_licences(places: &Places) -> Result<()> {
    let path = places.root.join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let rules = Rules::read(&text)?;
    let mut tree = String::new();
    for manifest in [MANIFEST, FUZZ_MANIFEST] {
        let mut command = places.cargo("tree");
        command.args(["--manifest-path", manifest, "--locked", "--workspace", "--all-features"]);
        command.args(["--edges", "normal,build,dev", "--target", "all"]);
        tree.push_str(&capture(command.args(["--prefix", "none", "--format", "{p}|{l}"]))?);
    }
    // A package that was listed before stands there again with a star.
    let mut lines: Vec<String> = tree
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.replace(" (*)", ""))
        .collect();
    lines.sort_unstable();
    lines.dedup();
    let own = format!("({}", places.root.display());
    let faults: Vec<String> = lines
        .iter()
        .filter(|line| !line.contains(&own))
        .filter_map(|line| rules.fault(line))
        .collect();
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("{}\n(deny.toml says what is allowed and why)", faults.join("\n"))
    }
}

/// What `deny.toml` allows.
struct Rules {
    allowed: Vec<String>,
    /// Crate and licence.
    exceptions: Vec<(String, String)>,
}

impl Rules {
    /// Reads the section `[licenses]`: `allow = [...]`, and one line for each of the `exceptions`.
    fn read(text: &str) -> Result<Self> {
        let section = text.lines().skip_while(|line| line.trim() != "[licenses]").skip(1);
        let section = section.take_while(|line| !line.starts_with('['));
        let section: Vec<&str> = section.filter(|line| !line.trim_start().starts_with('#')).collect();
        let list = section.iter().skip_while(|line| !line.starts_with("allow = ["));
        let mut allowed = Vec::new();
        for line in list {
            allowed.extend(quoted(line));
            if line.trim_end().ends_with(']') {
                break;
            }
        }
        if allowed.is_empty() {
            bail!("deny.toml has no `allow = [...]` in its section [licenses]");
        }
        let mut exceptions = Vec::new();
        for line in section.iter().filter(|line| line.contains("crate = ")) {
            let (before, after) = line.split_once("crate = ").unwrap_or((line, ""));
            let name = quoted(after)
                .into_iter()
                .next()
                .context("an exception in deny.toml names no crate")?;
            exceptions.extend(quoted(before).into_iter().map(|licence| (name.clone(), licence)));
        }
        Ok(Self { allowed, exceptions })
    }

    /// What is wrong with a line `name vVERSION (remark)|LICENCE`.
    fn fault(&self, line: &str) -> Option<String> {
        let (package, licence) = line.rsplit_once('|').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        if let Some((_, remark)) = package.split_once('(')
            && !remark.starts_with("proc-macro")
        {
            return Some(format!("{package} does not come from the registry"));
        }
        let fits = |one: &str| {
            self.allowed.iter().any(|allowed| allowed == one)
                || self
                    .exceptions
                    .iter()
                    .any(|(owner, allowed)| owner == name && allowed == one)
        };
        match satisfied(licence, &fits) {
            Some(true) => None,
            Some(false) => Some(format!("{package} has the licence `{licence}`, which is not allowed")),
            None => Some(format!("{package} has a licence that cannot be read: `{licence}`")),
        }
    }
}

fn quoted(line: &str) -> Vec<String> {
    line.split('"').skip(1).step_by(2).map(String::from).collect()
}

/// Whether an SPDX expression can be satisfied; `None` where it is none. A `/` is an old spelling of OR.
fn satisfied(expression: &str, fits: &dyn Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let result = any(&mut words, fits)?;
    words.next().is_none().then_some(result)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any(words: &mut Words, fits: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = all(words, fits)?;
    while words.next_if_eq(&"OR").is_some() {
        result |= all(words, fits)?;
    }
    Some(result)
}

fn all(words: &mut Words, fits: &dyn Fn(&str) -> bool) -> Option<bool> {
    let mut result = one(words, fits)?;
    while words.next_if_eq(&"AND").is_some() {
        result &= one(words, fits)?;
    }
    Some(result)
}

fn one(words: &mut Words, fits: &dyn Fn(&str) -> bool) -> Option<bool> {
    match words.next()? {
        "(" => {
            let result = any(words, fits)?;
            (words.next() == Some(")")).then_some(result)
        }
        ")" | "OR" | "AND" | "WITH" => None,
        name if words.next_if_eq(&"WITH").is_some() => Some(fits(&format!("{name} WITH {}", words.next()?))),
        name => Some(fits(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DENY: &str = "[licenses]\nallow = [\n  \"MIT\", # usual\n  \"Apache-2.0 WITH LLVM-exception\",\n]\n\
                        exceptions = [\n  { allow = [\"MPL-2.0\"], crate = \"colored\" },\n]\n[bans]\n";

    #[test]
    fn expressions_are_read_with_their_brackets_and_exceptions() {
        let mit = |name: &str| name == "MIT";
        assert_eq!(satisfied("MIT OR GPL-3.0", &mit), Some(true));
        assert_eq!(satisfied("GPL-3.0/MIT", &mit), Some(true));
        assert_eq!(satisfied("(MIT OR GPL-3.0) AND NCSA", &mit), Some(false));
        assert_eq!(satisfied("Apache-2.0 WITH LLVM-exception", &mit), Some(false));
        assert_eq!(satisfied("", &mit), None);
        assert_eq!(satisfied("MIT OR", &mit), None);
        assert_eq!(satisfied("(MIT", &mit), None);
    }

    #[test]
    fn an_exception_holds_for_its_crate_only() {
        let rules = Rules::read(DENY).unwrap();
        assert_eq!(rules.fault("colored v3.1.1|MPL-2.0"), None);
        assert!(rules.fault("other v1.0.0|MPL-2.0").unwrap().contains("not allowed"));
        assert_eq!(rules.fault("derive v1.0.0 (proc-macro)|MIT"), None);
    }

    #[test]
    fn a_dependency_from_a_repository_is_refused() {
        let rules = Rules::read(DENY).unwrap();
        let fault = rules
            .fault("thing v1.0.0 (https://example.org/thing.git#abc)|MIT")
            .unwrap();
        assert!(fault.contains("registry"), "{fault}");
    }
}
