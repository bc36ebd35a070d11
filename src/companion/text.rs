//! A text of atoms that is opened once, as a pipe must be: what it begins with is looked at, and
//! read again with the rest.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use crate::Error;

use super::language::{HEAD, Language};

/// A text of atoms, or what was taken for one.
#[derive(Debug)]
pub(super) struct Text<'a> {
    pub path: &'a Path,
    /// What it begins with: all of it, or as much as is looked at.
    head: Vec<u8>,
    rest: File,
}

impl<'a> Text<'a> {
    /// Opens it.
    ///
    /// # Errors
    /// It cannot be read, or it is a GGUF.
    pub fn open(path: &'a Path) -> Result<Text<'a>, Error> {
        let mut rest = File::open(path).map_err(|e| Error::file(path, "cannot open it", e))?;
        let mut head = Vec::new();
        let read = rest.by_ref().take(HEAD as u64).read_to_end(&mut head);
        read.map_err(|e| Error::file(path, "cannot read it", e))?;
        if head.starts_with(b"GGUF") {
            let fault = "expected a text of atoms, found a GGUF; `opencog export` writes that of a \
                         companion";
            return Err(Error::opencog(path, fault));
        }
        Ok(Text { path, head, rest })
    }

    /// Its language. `has_aliases` tells that it is Scheme with words of its own.
    ///
    /// # Errors
    /// Its name says one language and what stands in it the other.
    pub fn language(&self, has_aliases: bool) -> Result<Language, Error> {
        Language::of(self.path, &self.head, has_aliases)
    }

    /// All of it, from its beginning.
    pub fn into_reader(self) -> io::Chain<Cursor<Vec<u8>>, File> {
        Cursor::new(self.head).chain(self.rest)
    }
}
