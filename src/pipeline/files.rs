//! The files that a run makes: none has its name before all of them are on the disk.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::companion::Companion;
use crate::config::{Config, Effort};
use crate::gguf::{self, OutputFile, OutputFolder};
use crate::hardware::tpu::{self, Layout};
use crate::report::{Report, ReportFile};
use crate::sha256;
use crate::work::{Work, WorkError};

use super::Job;

/// What the state of a run has once nothing is left to do but to give files their names: the hash of
/// the model.
pub const WRITTEN: &str = "written";

/// The files, under names that nobody knows yet.
pub struct Files {
    /// None in a dry run.
    pub model: Option<OutputFile>,
    /// The pack, if the model is for a TPU; none in a dry run.
    pub pack: Option<(OutputFolder, Layout)>,
    /// Where one was asked for.
    report: Option<(ReportFile, OutputFile)>,
}

impl Files {
    /// Begins them before the work, so that a file that cannot be written is known at once.
    pub fn begin(job: &Job, config: &Config, work: &Work) -> Result<Files, Error> {
        // A run that was killed as it gave the model its name made what is there.
        let force = job.force || is_made(work, &job.output);
        let model = match job.dry_run {
            true => OutputFile::check(&job.output, force).map(|()| None)?,
            false => Some(OutputFile::create(&job.output, force)?),
        };
        let measured = config.target().is_some() && config.effort != Effort::Fast;
        let may_miss = measured || config.accuracy.is_some();
        if may_miss {
            OutputFile::check_name(&below_target(&job.output))?;
        }
        let pack = pack(job, config, work, may_miss)?;
        let begin = |report: &ReportFile| Ok::<_, Error>((report.clone(), report.begin()?));
        let report = job.report.as_ref().map(begin).transpose()?;
        Ok(Files { model, pack, report })
    }

    /// A model alone; none in a dry run.
    pub fn of_model(model: Option<OutputFile>) -> Files {
        Files { model, pack: None, report: None }
    }

    /// Gives a model alone the name that it was begun with, whatever the report calls it.
    pub fn finish_model(self, report: &mut Report) -> Result<(), Error> {
        let Some(model) = self.model else { return Ok(()) };
        report.output_sha256 = Some(hash(&model)?);
        Ok(model.commit()?)
    }

    /// Writes the report, and gives all files their names; the companion too. What is returned is
    /// what went wrong when the model was complete already.
    pub fn finish(
        self,
        report: &mut Report,
        work: &Work,
        companion: Option<Companion>,
    ) -> Result<Option<String>, Error> {
        let Files { model, pack, report: mut report_file } = self;
        let is_hashed = report_file.is_some() || matches!(work, Work::Folder { .. });
        if let Some(model) = model.as_ref().filter(|_| is_hashed) {
            report.output_sha256 = Some(hash(model)?);
        }
        if let Some((to, file)) = &mut report_file {
            to.store(report, file)?;
        }
        if let (Some(hash), Work::Folder { .. }) = (&report.output_sha256, work) {
            work.remember(WRITTEN, || Ok::<_, WorkError>(hash.clone()))?;
        }
        // What may still fail is a change of names, and once the model has its own, the run has done
        // its work.
        let is_complete = model.is_some();
        let name_model = || match model {
            Some(model) if model.target() != report.output => model.commit_as(&report.output),
            model => model.map_or(Ok(()), OutputFile::commit),
        };
        let name_pack = || match pack {
            Some((pack, _)) => commit_before(pack, report, name_model),
            None => name_model(),
        };
        match companion {
            Some(companion) => companion.commit_before(name_pack)?,
            None => name_pack()?,
        }
        match report_file.map_or(Ok(()), |(_, file)| file.commit()) {
            Err(error) if is_complete => Ok(Some(without_report(error))),
            named => Ok(named.map(|()| None)?),
        }
    }
}

fn hash(model: &OutputFile) -> Result<String, Error> {
    let failed = |e| Error::file(model.path(), "cannot read it again", e);
    sha256::of_file(model.path()).map_err(failed)
}

/// Begins the pack, if there is to be one; in a dry run it is only checked that there can be.
fn pack(
    job: &Job,
    config: &Config,
    work: &Work,
    may_miss: bool,
) -> Result<Option<(OutputFolder, Layout)>, Error> {
    let Some((target, layout)) = job.pack(config) else { return Ok(None) };
    if may_miss {
        OutputFolder::check(&below_target(&target), true, tpu::is_of_pack)?;
    }
    // A run of this command that was killed as it gave its outputs their names made what is there.
    let force = job.force || work.recall::<String>(WRITTEN).is_some();
    Ok(match job.dry_run {
        true => OutputFolder::check(&target, force, tpu::is_of_pack).map(|()| None)?,
        false => Some((OutputFolder::create(&target, force, tpu::is_of_pack)?, layout)),
    })
}

/// Gives the pack its name and then the model its own; if that fails, a pack that is new is deleted
/// again.
fn commit_before(
    pack: OutputFolder,
    report: &Report,
    model: impl FnOnce() -> Result<(), gguf::Error>,
) -> Result<(), gguf::Error> {
    let target = match report.missed {
        Some(_) => below_target(pack.target()),
        None => pack.target().to_path_buf(),
    };
    let is_new = target.symlink_metadata().is_err();
    match report.missed {
        Some(_) => pack.commit_as(&target)?,
        None => pack.commit()?,
    }
    model().inspect_err(|_| {
        if is_new {
            let _ = fs::remove_dir_all(&target);
        }
    })
}

/// Whether what is there is the model that an earlier run of this command made, which was killed
/// before it could say so.
fn is_made(work: &Work, output: &Path) -> bool {
    let hash: Option<String> = work.recall(WRITTEN);
    hash.is_some() && sha256::of_file(output).ok() == hash
}

fn without_report(error: gguf::Error) -> String {
    let reason = std::error::Error::source(&error).map(|reason| format!(": {reason}"));
    format!("the model is complete, but not its report: {error}{}", reason.unwrap_or_default())
}

/// Where a model is kept that misses a target: never under the name that a script would deploy.
pub fn below_target(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".below-target");
    name.into()
}
