//! Keeps the output away from the input, by whatever name.

use std::io;
use std::path::Path;

use crate::Error;
use crate::gguf::Gguf;

/// Refuses an output that is one of the input's files: by name, or through a link.
pub fn refuse_input_as_output(gguf: &Gguf, output: &Path) -> Result<(), Error> {
    for input in gguf.paths() {
        if is_same(input, output).unwrap_or(false) {
            let (input, output) = (input.to_path_buf(), output.to_path_buf());
            return Err(Error::OutputIsInput { input, output });
        }
    }
    Ok(())
}

/// Whether two names stand for one existing file.
#[cfg(unix)]
fn is_same(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (a, b) = (a.metadata()?, b.metadata()?);
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// Whether two names stand for one existing file.
#[cfg(not(unix))]
fn is_same(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(a.canonicalize()? == b.canonicalize()?)
}
