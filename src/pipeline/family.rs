//! Several sizes of one model, from one text and one search.

use std::ffi::OsStr;
use std::path::Path;

use crate::Error;
use crate::config::{Config, ConfigError, Goal};
use crate::gguf::{OutputFile, OutputFolder};
use crate::input::open_model;
use crate::progress::Progress;
use crate::quantize::Searchable;
use crate::report::{FamilyReport, Report, ReportFormat};
use crate::threads;

use super::apart::refuse_same_files;
use super::files::{Files, WRITTEN};
use super::make::Make;
use super::outputs::Outputs;
use super::provenance::{header, run_description};
use super::{Clock, Job, command, context, work};

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
    /// If two sizes are the same.
    pub fn new(job: Job, members: Vec<Member>) -> Result<FamilyJob, ConfigError> {
        let twice = members.iter().enumerate().find(|(i, member)| {
            let is_same = |other: &Member| {
                other.name.eq_ignore_ascii_case(&member.name) || other.goal == member.goal
            };
            members[..*i].iter().any(is_same)
        });
        match twice {
            None => Ok(FamilyJob { job, members }),
            Some((_, Member { name, .. })) => Err(ConfigError {
                flag: "--sizes",
                value: name.clone(),
                expected: "stands in the list twice, and would be one file".into(),
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
    extension.is_some_and(|it| it == "gguf") || REPORTS.iter().any(|(file, _)| name == *file)
}

/// The files beside the models.
const REPORTS: [(&str, ReportFormat); 3] = [
    ("README.md", ReportFormat::Markdown),
    ("family.html", ReportFormat::Html),
    ("family.json", ReportFormat::Json),
];

/// Makes a family: the models and what is told of them, in a folder that appears whole or not at all.
pub fn run_family(
    job: &FamilyJob,
    config: &Config,
    progress: &dyn Progress,
) -> Result<FamilyReport, Error> {
    config.validate()?;
    threads::pool(job.job.threads)?.install(|| quantize_family(job, config, progress))
}

fn quantize_family(
    family: &FamilyJob,
    config: &Config,
    progress: &dyn Progress,
) -> Result<FamilyReport, Error> {
    let mut clock = Clock::start();
    let FamilyJob { job, members } = family;
    let gguf = open_model(&job.input)?;
    refuse_same_files(&gguf, job, config)?;
    let context = context(config, gguf.metadata());
    let names: Vec<&str> = members.iter().map(|member| &member.name[..]).collect();
    let work = work(job, config, || {
        let run = run_description(&gguf, config, context, None);
        format!("{run}, in the sizes {}", names.join(","))
    })?;
    let folder = match job.dry_run {
        true => OutputFolder::check(&job.output, job.force, is_of_family).map(|()| None)?,
        false => Some(OutputFolder::create(&job.output, job.force, is_of_family)?),
    };
    clock.lap("open");

    let configs: Vec<Config> = members.iter().map(|member| member.config(config)).collect();
    let headers = configs.iter().map(|config| header(&gguf, config, None));
    let headers = headers.collect::<Result<Vec<_>, _>>().map_err(|e| Error::output(&gguf, e))?;
    let flags: Vec<_> = configs.iter().zip(headers.iter().copied()).collect();
    let searchable = Searchable::of_sizes(&gguf, &flags, context);
    let searchable = searchable.map_err(|e| Error::plan(&job.input, e))?;
    let limits: Vec<(Config, Searchable)> = configs.iter().cloned().zip(searchable).collect();
    let outputs = Outputs::see(&gguf, config, job.eval_text.as_deref(), &work, progress)?;
    clock.lap("write text");

    let refused =
        |reason: &String| Error::Family { input: job.input.clone(), reason: reason.clone() };
    let seen = outputs.as_ref().map_err(refused)?;
    let found = seen.search_family(&gguf, &limits, &work, progress);
    let found = found.map_err(|e| Error::search(&job.input, e))?;
    let found = found.map_err(|reason| refused(&reason))?;
    clock.lap("search");

    let mut reports: Vec<Report> = Vec::new();
    for (((member, (config, searchable)), header), found) in
        members.iter().zip(&limits).zip(headers).zip(found)
    {
        let file = family.file(member);
        let job = Job {
            output: job.output.join(&file),
            // They are the same for all.
            compare_recipes: job.compare_recipes && reports.is_empty(),
            ..job.clone()
        };
        let make = Make {
            job: &job,
            config,
            gguf: &gguf,
            header,
            outputs: &outputs,
            companion: None,
            context,
            work: &work,
            searchable,
            progress,
        };
        let create = |folder: &OutputFolder| OutputFile::create(&folder.path().join(&file), false);
        let mut files = Files::of_model(folder.as_ref().map(create).transpose()?);
        let mut report = make.model(found.into(), &mut files, Clock::start())?;
        files.finish_model(&mut report)?;
        reports.push(report);
    }
    let report = FamilyReport {
        schema: 1,
        version: env!("CARGO_PKG_VERSION"),
        input: job.input.clone(),
        folder: job.output.clone(),
        command: command::of_family(job, &configs[0], &names),
        members: reports,
        stages: clock.stages,
    };
    if let Some(folder) = folder {
        for (name, format) in REPORTS {
            folder.add(name, |out| format.write(&report, out))?;
        }
        folder.commit()?;
    }
    // The models are there, and what was kept on the way is in nobody's way.
    let _ = work.finish(WRITTEN);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_model_and_size() {
        let file = |input: &str| {
            let member = Member { name: "4.5bpw".into(), goal: Goal::default() };
            let job = Job { input: input.into(), ..Job::new("in", "out") };
            FamilyJob::new(job, vec![member.clone()]).unwrap().file(&member)
        };
        assert_eq!(file("a/Model-1B-F16.gguf"), "Model-1B-4.5bpw.gguf");
        assert_eq!(file("model.bf16.gguf"), "model-4.5bpw.gguf");
        assert_eq!(file("f16.gguf"), "f16-4.5bpw.gguf");
        assert_eq!(file("half16.gguf"), "half16-4.5bpw.gguf");
    }
}
