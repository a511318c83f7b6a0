//! The licence of a base model, as its files say it: never one that nobody named.
//!
//! Names are those of the hub's list of licences (`license:` of model cards); any other text is the name of an `other` licence.

use crate::formats::gguf;
use crate::store::Source;

/// What is looked at of a model card for its front matter.
const MOST_CARD_BYTES: u64 = 64 << 10;

/// The most letters of a licence that a person names.
const MOST_LETTERS: usize = 100;

/// The licences that huggingface.co knows by name.
const KNOWN: [&str; 79] = [
    "afl-3.0",
    "agpl-3.0",
    "apache-2.0",
    "apple-amlr",
    "apple-ascl",
    "artistic-2.0",
    "bigcode-openrail-m",
    "bigscience-bloom-rail-1.0",
    "bigscience-openrail-m",
    "bsd",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsd-3-clause-clear",
    "bsl-1.0",
    "c-uda",
    "cc",
    "cc-by-2.0",
    "cc-by-2.5",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-2.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-3.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0",
    "cc-by-nc-sa-3.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cc0-1.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "cdla-sharing-1.0",
    "creativeml-openrail-m",
    "deepfloyd-if-license",
    "ecl-2.0",
    "epl-1.0",
    "epl-2.0",
    "etalab-2.0",
    "eupl-1.1",
    "eupl-1.2",
    "fair-noncommercial-research-license",
    "gemma",
    "gfdl",
    "gpl",
    "gpl-2.0",
    "gpl-3.0",
    "grok2-community",
    "h-research",
    "intel-research",
    "isc",
    "lgpl",
    "lgpl-2.1",
    "lgpl-3.0",
    "lgpl-lr",
    "llama2",
    "llama3",
    "llama3.1",
    "llama3.2",
    "llama3.3",
    "llama4",
    "lppl-1.3c",
    "mit",
    "mpl-2.0",
    "ms-pl",
    "ncsa",
    "odbl",
    "odc-by",
    "ofl-1.1",
    "openmdw-1.0",
    "openrail",
    "openrail++",
    "osl-3.0",
    "pddl",
    "postgresql",
    "unlicense",
    "zlib",
];

/// A licence as model cards write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct License {
    /// A name of the hub's list, or `other`.
    pub id: String,
    /// Of another one, its name.
    pub name: Option<String>,
    /// Where its text is.
    pub link: Option<String>,
}

impl License {
    /// The licence of this name: of the hub's list, else another one. None where nothing is named, or `unknown`.
    pub fn named(name: &str) -> Option<Self> {
        let name: String = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let name: String = name.chars().take(MOST_LETTERS).collect();
        let small = name.to_lowercase();
        if ["", "unknown", "other", "none"].contains(&small.as_str()) {
            return None;
        }
        let is_known = KNOWN.contains(&small.as_str());
        Some(Self {
            id: if is_known { small } else { "other".to_owned() },
            name: (!is_known).then_some(name),
            link: None,
        })
    }

    /// Its name for people.
    pub(super) fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(&self.id)
    }

    /// What of it is in a model card's front matter, or in a GGUF file's metadata.
    fn of(id: Option<String>, name: Option<String>, link: Option<String>) -> Option<Self> {
        let is_other = name.is_some() || id.as_deref() == Some("other");
        let other = || Self {
            id: "other".to_owned(),
            name: name.clone(),
            link: None,
        };
        let found = id.as_deref().and_then(Self::named);
        let found = found.or_else(|| is_other.then(other))?;
        let name = found.name.map(|own| name.unwrap_or(own));
        Some(Self { name, link, ..found })
    }
}

/// The licence that a model's files name: the front matter of its README.md, else `general.license` of its GGUF file.
pub async fn license(files: &[Source]) -> Option<License> {
    if let Some(card) = files.iter().find(|file| file.name() == "README.md")
        && let Some(found) = of_card(card).await
    {
        return Some(found);
    }
    let is_gguf = |file: &&Source| file.name().to_ascii_lowercase().ends_with(".gguf");
    let header = gguf::read_header(files.iter().find(is_gguf)?).await.ok()?;
    let text = |key: &str| {
        let text = header.metadata.text(key)?.trim();
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    License::of(
        text("general.license"),
        text("general.license.name"),
        text("general.license.link"),
    )
}

async fn of_card(card: &Source) -> Option<License> {
    let length = card.len_bytes().min(MOST_CARD_BYTES) as usize;
    let bytes = card.read_at(0, length).await.ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let front = text.strip_prefix("---")?.split("\n---").next()?.to_owned();
    let value = |key: &str| {
        let line = front
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
        let value = line.trim().trim_matches(['"', '\'']);
        Some(value.to_owned()).filter(|value| !value.is_empty())
    };
    License::of(value("license"), value("license_name"), value("license_link"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_one_of_the_list_or_another_and_never_made_up() {
        let known = License::named(" Apache-2.0 ").expect("a licence");
        assert_eq!((known.id.as_str(), known.title()), ("apache-2.0", "apache-2.0"));
        let own = License::named("My Company\nLicence 1.0").expect("a licence");
        assert_eq!((own.id.as_str(), own.title()), ("other", "My Company Licence 1.0"));
        for nothing in ["", "  ", "unknown", "other"] {
            assert_eq!(License::named(nothing), None, "{nothing}");
        }
        assert!(KNOWN.is_sorted());
    }
}
