//! Keeps what a run writes away from what it reads, and apart, by whatever names.

use std::path::{Path, PathBuf};

use crate::Error;
use crate::companion::{Companion, companion_of};
use crate::config::Config;
use crate::gguf::{Gguf, folder_of};
use crate::report::ReportFile;
use crate::same_file::{is_same, refuse_same};

use super::Job;
use super::files::below_target;

/// Refuses an output, by either name that it may get, a companion or a report that is one of the
/// files to read, and a report that is an output: by name, through a link, or through a folder that
/// is one. A pack for a TPU is none of these, either, and no report lies in it.
pub fn refuse_same_files(gguf: &Gguf, job: &Job, config: &Config) -> Result<(), Error> {
    let carried = Companion::carried(gguf, &job.opencog);
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
