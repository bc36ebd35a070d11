//! Models split over several files: `name-00001-of-00003.gguf` and so on.
//!
//! llama.cpp's rules: each shard says which it is (`split.no`, from 0), of how many
//! (`split.count`) and how many tensors all have together (`split.tensors.count`). The metadata of
//! the model is that of the first.

use std::path::{Path, PathBuf};

use super::error::Error;
use super::metadata::Metadata;
use super::value::Value;

/// The most shards: their number has five digits in the files' names.
const MAX_SHARDS: u64 = 99_999;

/// What the first shard says of the whole.
pub(super) struct Split {
    pub count: usize,
    tensors: Option<u64>,
    first: PathBuf,
    stem: String,
}

impl Split {
    /// The split that the file at `path` is the first shard of; `None` where it is a whole model.
    pub fn of(path: &Path, metadata: &Metadata) -> Result<Option<Split>, Error> {
        let count = number(path, metadata, "split.count")?.unwrap_or(1);
        if count <= 1 {
            return Ok(None);
        }
        if count > MAX_SHARDS {
            let fault = format!("`split.count` is {count}, and {MAX_SHARDS} is the most");
            return Err(Error::format(path, fault));
        }
        let no = number(path, metadata, "split.no")?.unwrap_or(0);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let stem = stem_of(&name, no + 1, count);
        if no != 0 {
            let first = stem.map_or("the first shard".into(), |stem| shard_name(stem, 1, count));
            let what = format!("it is shard {} of {count}; open {first} instead", no + 1);
            return Err(Error::unsupported(path, what));
        }
        let Some(stem) = stem else {
            let expected = shard_name("NAME", 1, count);
            let what = format!(
                "it is shard 1 of {count}, and the others can't be found unless it is \
                 named {expected}; rename it back"
            );
            return Err(Error::unsupported(path, what));
        };
        let tensors = number(path, metadata, "split.tensors.count")?;
        let (first, stem) = (path.into(), stem.into());
        Ok(Some(Split { count: count as usize, tensors, first, stem }))
    }

    /// Where shard `no` (from 0) lies: beside the first.
    pub fn path(&self, no: usize) -> PathBuf {
        self.first.with_file_name(shard_name(&self.stem, no as u64 + 1, self.count as u64))
    }

    /// An error unless the file at `path` says that it is shard `no` of as many.
    pub fn check_member(&self, path: &Path, no: usize, metadata: &Metadata) -> Result<(), Error> {
        for (key, expected) in [("split.no", no), ("split.count", self.count)] {
            let found = number(path, metadata, key)?;
            if found != Some(expected as u64) {
                let found = found.map_or("missing".into(), |n| n.to_string());
                return Err(Error::format(
                    path,
                    format!(
                        "`{key}` is {found}, expected {expected}; is it a shard of this model?"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// An error unless the shards have as many tensors as the first one says.
    pub fn check_tensors(&self, found: usize) -> Result<(), Error> {
        match self.tensors {
            Some(expected) if expected != found as u64 => Err(Error::format(
                &self.first,
                format!("`split.tensors.count` is {expected}, and the shards have {found} tensors"),
            )),
            _ => Ok(()),
        }
    }
}

fn number(path: &Path, metadata: &Metadata, key: &str) -> Result<Option<u64>, Error> {
    let Some(value) = metadata.get(key) else { return Ok(None) };
    let fault = || Error::format(path, format!("`{key}` is {value}, expected a number"));
    Value::as_u64(value).ok_or_else(fault).map(Some)
}

fn shard_name(stem: &str, number: u64, count: u64) -> String {
    format!("{stem}-{number:05}-of-{count:05}.gguf")
}

/// What stands before the numbers in the name of shard `number` (from 1) of `count`.
fn stem_of(name: &str, number: u64, count: u64) -> Option<&str> {
    name.strip_suffix(&shard_name("", number, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata(entries: &[(&str, u16)]) -> Metadata {
        let mut metadata = Metadata::new();
        entries.iter().for_each(|&(key, n)| metadata.set(key, Value::U16(n)));
        metadata
    }

    #[test]
    fn names_are_llama_cpps() {
        assert_eq!(shard_name("m", 2, 12), "m-00002-of-00012.gguf");
        assert_eq!(stem_of("a-b-00002-of-00012.gguf", 2, 12), Some("a-b"));
        assert_eq!(stem_of("a-b.gguf", 2, 12), None);
    }

    #[test]
    fn a_later_shard_names_the_first() {
        let path = Path::new("in/m-00002-of-00003.gguf");
        let found = Split::of(path, &metadata(&[("split.no", 1), ("split.count", 3)]));
        let error = found.err().unwrap().to_string();
        assert!(error.contains("shard 2 of 3; open m-00001-of-00003.gguf"), "{error}");
    }

    #[test]
    fn the_others_lie_beside_the_first() {
        let path = Path::new("in/m-00001-of-00002.gguf");
        let split = Split::of(path, &metadata(&[("split.no", 0), ("split.count", 2)]));
        let split = split.unwrap().unwrap();
        assert_eq!(split.path(1), Path::new("in/m-00002-of-00002.gguf"));
        let stranger = metadata(&[("split.no", 1), ("split.count", 7)]);
        let error = split.check_member(path, 1, &stranger).unwrap_err().to_string();
        assert!(error.contains("`split.count` is 7, expected 2"), "{error}");
    }

    #[test]
    fn a_renamed_shard_says_so() {
        let found = Split::of(Path::new("m.gguf"), &metadata(&[("split.count", 2)]));
        let error = found.err().unwrap().to_string();
        assert!(error.contains("NAME-00001-of-00002.gguf"), "{error}");
        assert!(
            Split::of(Path::new("m.gguf"), &metadata(&[("split.count", 1)])).unwrap().is_none()
        );
    }
}
