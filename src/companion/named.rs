//! The companion that a model's metadata names: whether it is there, and as it was.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::gguf::{Gguf, Value};
use crate::sha256;

use super::companion_of;

/// The metadata key of a companion's name, which lies in the same folder.
pub(crate) const NAME_KEY: &str = "opencog.companion.name";

/// The metadata key of its SHA-256.
pub(crate) const SHA256_KEY: &str = "opencog.companion.sha256";

/// The companion that a model names.
#[derive(Debug)]
pub struct Named {
    /// Where it is, or should be.
    pub path: PathBuf,
    /// What became of it.
    pub state: State,
}

/// What became of a companion since its model was written.
#[derive(Debug)]
pub enum State {
    /// It has the hash that the model names.
    AsItWas,
    /// It has another hash.
    Changed,
    /// There is no such file.
    Missing,
    /// It cannot be read.
    Unreadable(io::Error),
}

/// The companion that a model names, if it does. All of it is read.
pub fn named(model: &Gguf) -> Option<Named> {
    let path = beside(model).or_else(|| by_name(model))?;
    let sha256 = text(model, SHA256_KEY)?;
    let state = match sha256::of_file(&path) {
        Ok(found) if found == sha256 => State::AsItWas,
        Ok(_) => State::Changed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => State::Missing,
        Err(error) => State::Unreadable(error),
    };
    Some(Named { path, state })
}

/// The companion that lies beside a model: by the model's own name, else by the one in its metadata,
/// as when the model was renamed alone.
pub(super) fn beside(model: &Gguf) -> Option<PathBuf> {
    let own = model.paths().next().map(companion_of);
    own.into_iter().chain(by_name(model)).find(|path| path.exists())
}

/// Where the companion should be that the metadata name. A name that leads to another folder is
/// none: files come from strangers.
fn by_name(model: &Gguf) -> Option<PathBuf> {
    let name = text(model, NAME_KEY).map(Path::new)?;
    let is_plain = name.file_name() == Some(name.as_os_str());
    let model = model.paths().next().filter(|_| is_plain)?;
    Some(model.with_file_name(name))
}

fn text<'a>(model: &'a Gguf, key: &str) -> Option<&'a str> {
    model.metadata().get(key).and_then(Value::as_str)
}

/// A line.
impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.path.display())?;
        match &self.state {
            State::AsItWas => write!(f, "as it was when the model was written"),
            State::Changed => write!(f, "changed since the model was written: its hash is another"),
            State::Missing => write!(f, "missing"),
            State::Unreadable(error) => write!(f, "cannot be read: {error}"),
        }
    }
}
