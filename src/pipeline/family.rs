//! Several sizes of one model, from one text and one search.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::calibrate::Importance;
use crate::config::{Config, ConfigError, Goal};
use crate::gguf::{Gguf, OutputFile, OutputFolder};
use crate::hardware::Hardware;
use crate::input::open_model;
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::provenance::header;
use crate::quantize::{Found, Header, Searchable};
use crate::report::{Family, Report};
use crate::same_file::refuse_same_files;
use crate::threads;
use crate::work::Work;

use super::files::{Files, WRITTEN};
use super::make::Make;
use super::{Clock, Decided, Job, context, work};

/// Which sizes to make of which model.
#[derive(Debug, Clone, PartialEq)]
pub struct FamilyJob {
    /// The model, and the folder that all files go to.
    job: Job,
    /// The sizes.
    pub members: Vec<Member>,
}

/// One size.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// As it was asked for, which is part of the file's name: `92MB`, `4.5bpw`.
    pub name: String,
    /// What it means.
    pub goal: Goal,
}

impl Member {
    /// The flags of a run of its own.
    pub fn config(&self, config: &Config) -> Config {
        Config { goal: self.goal, ..config.clone() }
    }
}

impl FamilyJob {
    /// Of a job whose output is the folder.
    ///
    /// # Errors
    /// If two sizes have one name.
    pub fn new(job: Job, members: Vec<Member>) -> Result<FamilyJob, ConfigError> {
        let twice = members.iter().enumerate().find(|(i, member)| {
            members[..*i].iter().any(|other| other.name.eq_ignore_ascii_case(&member.name))
        });
        match twice {
            None => Ok(FamilyJob { job, members }),
            Some((_, Member { name, .. })) => Err(ConfigError {
                flag: "--sizes",
                value: name.clone(),
                expected: "stands in the list twice, and would be one file",
            }),
        }
    }

    /// The folder that all files go to.
    pub fn folder(&self) -> &Path {
        &self.job.output
    }

    /// The file of a member: the model's name without what says that it is in full precision, and the
    /// size.
    fn file(&self, member: &Member) -> String {
        let stem = self.job.input.file_stem().unwrap_or_default().to_string_lossy();
        let lower = stem.to_ascii_lowercase();
        let precise = ["f32", "f16", "bf16"].into_iter().find_map(|precision| {
            let rest = lower.strip_suffix(precision)?;
            rest.strip_suffix(['-', '.', '_']).map(str::len)
        });
        format!("{}-{}.gguf", &stem[..precise.unwrap_or(stem.len())], member.name)
    }
}

/// What a folder of a family may hold, and be replaced.
fn is_of_family(name: &OsStr) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|it| it == "gguf") || FILES.iter().any(|file| name == *file)
}

/// The files beside the models.
const FILES: [&str; 3] = ["README.md", "family.html", "family.json"];

/// Makes a family.
pub fn run_family(
    job: &FamilyJob,
    config: &Config,
    progress: &dyn Progress,
) -> Result<Family, Error> {
    config.validate()?;
    threads::pool(job.job.threads)?.install(|| quantize_family(job, config, progress))
}

fn quantize_family(
    family: &FamilyJob,
    config: &Config,
    progress: &dyn Progress,
) -> Result<Family, Error> {
    let mut clock = Clock::start();
    let FamilyJob { job, members } = family;
    let gguf = open_model(&job.input)?;
    refuse_same_files(&gguf, job, config)?;
    let configs: Vec<Config> = members.iter().map(|member| member.config(config)).collect();
    let work = work(job, config, &gguf, None)?;
    let folder = match job.dry_run {
        true => OutputFolder::check(&job.output, job.force, is_of_family).map(|()| None)?,
        false => Some(OutputFolder::create(&job.output, job.force, is_of_family)?),
    };
    clock.lap("open");

    let context = context(config, gguf.metadata());
    let limits = configs.iter().map(|config| limits(job, config, &gguf, context));
    let limits: Vec<(Header, (Config, Searchable))> = limits.collect::<Result<_, _>>()?;
    let (headers, limits): (Vec<_>, Vec<_>) = limits.into_iter().unzip();
    let outputs = Outputs::see(&gguf, config, job.eval_text.as_deref(), &work, progress)?;
    clock.lap("write text");

    let refused = |reason| Error::family(&job.input, reason);
    let seen = outputs.as_ref().map_err(|reason| refused(reason.clone()))?;
    let found = seen.search_family(&gguf, &limits, &work, progress);
    let found = found.map_err(|e| Error::search(&job.input, e))?.map_err(refused)?;
    clock.lap("search");

    let mut reports = Vec::new();
    for (((member, (config, _)), header), found) in
        members.iter().zip(&limits).zip(headers).zip(found)
    {
        let file = family.file(member);
        let output = folder.as_ref().map(|folder| folder.path().join(&file));
        let output = output.map(|path| OutputFile::create(&path, false)).transpose()?;
        let job = Job { output: job.output.join(file), ..job.clone() };
        let make = Make {
            job: &job,
            config,
            gguf: &gguf,
            header,
            outputs: &outputs,
            companion: None,
            context,
            progress,
        };
        let mut files = Files::of_model(output);
        reports.push(make.model(Decided::of(found), &mut files, Clock::start())?);
        files.name_model()?;
    }
    let family = Family::of(reports, clock.stages);
    if let Some(folder) = folder {
        family.write(&folder)?;
        folder.commit()?;
    }
    finish(work, family)
}
