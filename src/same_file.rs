//! Keeps what is written away from what is read, and apart, by whatever names.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::gguf::folder_of;

/// Refuses an output or a report that is one of the files to read, and a report that is an output.
pub fn refuse_same(
    read: &[&Path],
    outputs: &[PathBuf],
    report: Option<&Path>,
) -> Result<(), Error> {
    for output in outputs {
        if let Some(input) = read.iter().find(|input| is_same(input, output)) {
            let (input, output) = (input.to_path_buf(), output.clone());
            return Err(Error::OutputIsInput { input, output });
        }
    }
    let Some(report) = report else { return Ok(()) };
    let mut others = read.iter().copied().chain(outputs.iter().map(PathBuf::as_path));
    match others.find(|file| is_same(file, report)) {
        Some(file) => Err(Error::ReportIsOther { report: report.into(), file: file.into() }),
        None => Ok(()),
    }
}

/// Whether two names stand for one file, or will when it is there.
pub fn is_same(a: &Path, b: &Path) -> bool {
    is_same_file(a, b).unwrap_or(false) || place(a).is_ok_and(|a| place(b).is_ok_and(|b| a == b))
}

/// The folder without links, and the name in it: where a file is written.
fn place(path: &Path) -> io::Result<(PathBuf, OsString)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok((folder_of(path).canonicalize()?, name.into()))
}

/// Whether two names stand for one existing file.
#[cfg(unix)]
fn is_same_file(a: &Path, b: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (a, b) = (a.metadata()?, b.metadata()?);
    Ok((a.dev(), a.ino()) == (b.dev(), b.ino()))
}

/// Whether two names stand for one existing file.
#[cfg(not(unix))]
fn is_same_file(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(a.canonicalize()? == b.canonicalize()?)
}
