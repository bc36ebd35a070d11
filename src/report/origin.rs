//! What a model's metadata says of where it comes from.

use serde::Serialize;

use crate::gguf::{Array, Metadata, Value};

/// What the input's metadata says of the model: each as it stands there, where it does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Origin {
    /// What it is called.
    pub name: Option<String>,
    /// The repository that it was converted from: `owner/name` if it is one of Hugging Face, else
    /// an address.
    pub repository: Option<String>,
    /// Its license, as an SPDX expression or a name.
    pub license: Option<String>,
    /// The languages that it knows.
    pub languages: Vec<String>,
    /// Words that it is found by.
    pub tags: Vec<String>,
}

impl Origin {
    /// What this metadata says.
    pub(crate) fn of(metadata: &Metadata) -> Origin {
        let repository = string(metadata, "general.source.huggingface.repository")
            .or_else(|| string(metadata, "general.source.repo_url"))
            .or_else(|| string(metadata, "general.repo_url"));
        Origin {
            name: string(metadata, "general.name"),
            repository: repository.map(|address| short(&address).to_string()),
            license: string(metadata, "general.license"),
            languages: strings(metadata, "general.languages"),
            tags: strings(metadata, "general.tags"),
        }
    }
}

/// `owner/name` of a repository of Hugging Face; other addresses as they are.
fn short(address: &str) -> &str {
    let path = address.strip_prefix("https://huggingface.co/");
    let path = path.map(|path| path.trim_end_matches('/'));
    path.filter(|path| path.split('/').count() == 2).unwrap_or(address)
}

fn string(metadata: &Metadata, key: &str) -> Option<String> {
    match metadata.get(key)? {
        Value::String(text) => Some(text.to_string()).filter(|text| !text.trim().is_empty()),
        _ => None,
    }
}

fn strings(metadata: &Metadata, key: &str) -> Vec<String> {
    let lossy = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    match metadata.get(key) {
        Some(Value::Array(Array::String(texts))) => texts.iter().map(lossy).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_named_as_model_cards_name_them() {
        assert_eq!(short("https://huggingface.co/a/b"), "a/b");
        assert_eq!(short("https://huggingface.co/a/b/"), "a/b");
        assert_eq!(short("https://huggingface.co/a"), "https://huggingface.co/a");
        assert_eq!(short("https://example.com/a/b"), "https://example.com/a/b");
        assert_eq!(short("a/b"), "a/b");
    }

    #[test]
    fn only_what_is_there_is_told() {
        let mut metadata = Metadata::new();
        assert_eq!(Origin::of(&metadata), Origin::default());
        metadata.set("general.name", Value::U32(7));
        metadata.set("general.license", Value::string("mit"));
        let repository = Value::string("https://huggingface.co/o/n");
        metadata.set("general.repo_url", repository);
        metadata.set("general.tags", Value::Array(Array::String(["x"].iter().collect())));
        let origin = Origin::of(&metadata);
        assert_eq!((origin.name, origin.license.as_deref()), (None, Some("mit")));
        assert_eq!(
            (origin.repository.as_deref(), &origin.tags[..]),
            (Some("o/n"), &["x".into()][..])
        );
    }
}
