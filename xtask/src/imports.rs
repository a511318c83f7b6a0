//! Which module imports which, from the paths that `use` and expressions name: no two modules of a package may need each
//! other, directly or around a corner, so that each can be read without those above it.

use anyhow::{Context, Result, bail};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// The packages that are held to it, and how many components of a path make a module here.
const PACKAGES: [(&str, usize); 4] = [("app", 2), ("core", 1), ("lab", 1), ("xtask", 1)];

/// A module's path below the package's root.
type Module = Vec<String>;
/// What each module imports.
type Imports = BTreeMap<Module, BTreeSet<Module>>;

/// No package has a circle of imports.
pub fn check(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    for (package, depth) in PACKAGES {
        let files = read(&root.join(package).join("src"))?;
        faults.extend(
            circles(&imports(&files, depth))
                .iter()
                .map(|circle| format!("{package}: {circle}")),
        );
    }
    if faults.is_empty() {
        Ok(())
    } else {
        bail!("these modules import each other:\n{}", faults.join("\n"))
    }
}

/// The modules of a folder of sources and their text; programs of their own are left out.
fn read(source: &Path) -> Result<Vec<(Module, String)>> {
    let mut files = Vec::new();
    let mut folders = vec![(source.to_path_buf(), Module::new())];
    while let Some((folder, module)) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "bin" {
                    folders.push((path, [module.as_slice(), &[name]].concat()));
                }
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
                let own = match name.as_str() {
                    "lib" | "main" | "mod" => module.clone(),
                    _ => [module.as_slice(), &[name]].concat(),
                };
                files.push((own, text));
            }
        }
    }
    Ok(files)
}

fn imports(files: &[(Module, String)], depth: usize) -> Imports {
    let modules: BTreeSet<&Module> = files.iter().map(|(module, _)| module).collect();
    let mut found = Imports::new();
    for (module, text) in files.iter().filter(|(module, _)| !module.is_empty()) {
        let own: Module = module.iter().take(depth).cloned().collect();
        for path in paths(module, text) {
            // The longest part of the path that is a module.
            let lengths = (1..=path.len()).rev();
            let target = lengths
                .map(|length| &path[..length])
                .find(|part| modules.contains(&part.to_vec()));
            let Some(target) = target.map(|target| target[..target.len().min(depth)].to_vec()) else {
                continue;
            };
            if !target.starts_with(&own) && !own.starts_with(&target) {
                found.entry(own.clone()).or_default().insert(target);
            }
        }
    }
    found
}

/// The paths that a file of `module` names by `crate::` and `super::`, without its tests and comments.
fn paths(module: &Module, text: &str) -> Vec<Module> {
    let code = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    let code: Vec<&str> = code.filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let mut found = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        names(&code[at + "crate::".len()..], &Module::new(), &mut found);
    }
    let mut rest = code.as_str();
    while let Some(at) = rest.find("super::") {
        let mut base = module.clone();
        rest = &rest[at..];
        while let Some(after) = rest.strip_prefix("super::") {
            base.pop();
            rest = after;
        }
        names(rest, &base, &mut found);
    }
    found
}

/// The paths at the start of `text`, one or a group in braces, with `base` in front.
fn names<'t>(text: &'t str, base: &Module, found: &mut Vec<Module>) -> &'t str {
    let mut path = base.clone();
    let mut rest = text.trim_start();
    loop {
        if let Some(mut group) = rest.strip_prefix('{') {
            loop {
                group = group.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
                match group.strip_prefix('}') {
                    Some(after) => return after,
                    None if group.is_empty() => return group,
                    None => {
                        let after = names(group, &path, found);
                        // What is no path, `*` or `as name`, is passed over.
                        let end = after.find([',', '}', '{']).unwrap_or(after.len());
                        group = &after[end..];
                    }
                }
            }
        }
        let end = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        if end == 0 {
            return rest;
        }
        path.push(rest[..end].to_owned());
        rest = &rest[end..];
        match rest.strip_prefix("::") {
            Some(after) => rest = after.trim_start(),
            None => {
                found.push(path);
                return rest;
            }
        }
    }
}

/// The shortest circle through each module that is on one, each circle once.
fn circles(imports: &Imports) -> Vec<String> {
    let mut told = BTreeSet::new();
    let mut found = Vec::new();
    for start in imports.keys() {
        let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
        let mut waiting = VecDeque::from([start]);
        while let Some(module) = waiting.pop_front() {
            for next in imports.get(module).into_iter().flatten() {
                if next == start {
                    let mut circle = vec![module];
                    while let Some(before) = came_from.get(circle[circle.len() - 1]) {
                        circle.push(before);
                    }
                    circle.reverse();
                    let mut sorted = circle.clone();
                    sorted.sort();
                    if told.insert(sorted) {
                        let names = circle.iter().chain([&start]).map(|module| module.join("::"));
                        found.push(names.collect::<Vec<_>>().join(" → "));
                    }
                    waiting.clear();
                    break;
                }
                if next != start && !came_from.contains_key(next) {
                    came_from.insert(next, module);
                    waiting.push_back(next);
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str) -> Module {
        path.split("::").map(str::to_owned).collect()
    }

    fn graph(files: &[(&str, &str)], depth: usize) -> Vec<String> {
        let files: Vec<(Module, String)> = files
            .iter()
            .map(|(path, text)| (module(path), (*text).to_owned()))
            .collect();
        circles(&imports(&files, depth))
    }

    #[test]
    fn a_circle_is_told_once_with_its_way() {
        let files = [
            ("a", "use crate::b::X;"),
            ("b", "use crate::{\n    c::{Y, Z},\n    d,\n};"),
            ("c", "fn f() { crate::a::g() }"),
            ("d", ""),
        ];
        assert_eq!(graph(&files, 1), ["a → b → c → a"]);
    }

    #[test]
    fn tests_comments_and_a_module_s_own_parts_make_no_circle() {
        let files = [
            ("a", "use crate::b::X;\n#[cfg(test)]\nmod tests { use crate::c::Y; }"),
            ("b", "// crate::a is above\nuse super::Error;"),
            ("c", "use crate::a;"),
            ("c::d", "use super::Y;"),
        ];
        assert!(graph(&files, 2).is_empty());
    }

    #[test]
    fn files_of_a_folder_are_modules_where_they_are_asked_for() {
        let files = [
            ("a", ""),
            ("a::x", "use super::y::Y;"),
            ("a::y", "use crate::a::x::{self};"),
        ];
        assert_eq!(graph(&files, 2), ["a::x → a::y → a::x"]);
        assert!(graph(&files, 1).is_empty());
    }
}
