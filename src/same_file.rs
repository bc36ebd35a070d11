//! Keeps what is written away from what is read, and apart, by whatever names.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::companion::{Companion, companion_of};
use crate::config::Config;
use crate::gguf::{Gguf, folder_of};
use crate::pipeline::{Job, below_target};
use crate::report::ReportFile;

/// Refuses an output, by either name that it may get, a companion or a report that is one of the
/// files to read, and a report that is an output: by name, through a link, or through a folder that
/// is one. A pack for a TPU is none of these, either, and no report lies in it.
pub fn refuse_same_files(gguf: &Gguf, job: &Job, config: &Config) -> Result<(), Error> {
    let carried = Companion::carried(gguf, job);
    let opencog = job.opencog.inputs().chain(carried.as_deref());
    let read: Vec<&Path> = gguf.paths().chain(job.eval_text.as_deref()).chain(opencog).collect();
    let mut outputs = vec![job.output.clone(), below_target(&job.output)];
    if carried.is_some() || job.opencog.inputs().next().is_some() {
        outputs.push(companion_of(&job.output));
    }
    let report = job.report.as_ref().map(ReportFile::path);
    refuse_same(&read, &outputs, report)?;
    match job.pack(config) {
        Some((pack, _)) => refuse_same_as_pack(pack, &read, &outputs, report),
        None => Ok(()),
    }
}

/// Refuses a pack that is one of the other files, or in which one of them lies.
fn refuse_same_as_pack(
    pack: PathBuf,
    read: &[&Path],
    outputs: &[PathBuf],
    report: Option<&Path>,
) -> Result<(), Error> {
    let others = read.iter().copied().chain(outputs.iter().map(PathBuf::as_path));
    for pack in [pack.clone(), below_target(&pack)] {
        let clashes = |file: &&Path| is_same(file, &pack) || is_same(folder_of(file), &pack);
        if let Some(file) = others.clone().chain(report).find(clashes) {
            return Err(Error::PackIsOther { pack, file: file.into() });
        }
    }
    Ok(())
}

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
fn is_same(a: &Path, b: &Path) -> bool {
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
