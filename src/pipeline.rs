//! The program on one page: the stages in order, each one call into one room.

use std::path::PathBuf;
use std::time::Instant;

use crate::Error;
use crate::calibrate::Importance;
use crate::companion::{Companion, Mode, Request};
use crate::config::{Config, ConfigError, Effort, Strategy};
use crate::gguf::{Gguf, Metadata, OutputFile, OutputFolder};
use crate::hardware::Hardware;
use crate::hardware::tpu::{self, Layout};
use crate::input::open_model;
use crate::model::context_length;
use crate::progress::Progress;
use crate::quantize::{Encodings, Found, KeptFrom, Plan, Record, Searchable};
use crate::report::{Report, ReportFile, Stage};
use crate::threads;
use crate::work::{Foreign, Work, work_folder};

mod apart;
mod command;
mod family;
mod files;
mod make;
mod outputs;
mod provenance;
mod recipes;
mod seen;

use apart::refuse_same_files;
pub use family::{FamilyJob, Member, run_family};
use files::{Files, WRITTEN};
use make::Make;
use outputs::Outputs;
use provenance::{header, run_description};

/// What to do with which files.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The model to read; of a split one, the first shard.
    pub input: PathBuf,
    /// The model to write.
    pub output: PathBuf,
    /// OpenCog data that goes to a companion beside the output.
    pub opencog: Request,
    /// A text to measure the loss on too; it is never used to calibrate.
    pub eval_text: Option<PathBuf>,
    /// The llama-bench that measures how fast the model is; `None` for the one on the search path, if
    /// there is one and the effort is not fast.
    pub llama_bench: Option<PathBuf>,
    /// Where a report of what was done is written, if anywhere; an existing file is replaced.
    pub report: Option<ReportFile>,
    /// Whether llama.cpp's usual recipes are encoded and measured too, to compare.
    pub compare_recipes: bool,
    /// How the pack for a TPU is laid out; `None` for no pack, of which there is none for other
    /// hardware, either.
    pub tpu_layout: Option<Layout>,
    /// Whether an existing output is replaced.
    pub force: bool,
    /// Whether only the plan is made, and nothing written.
    pub dry_run: bool,
    /// Threads to work with; `None` for one on each core. The output does not depend on it.
    pub threads: Option<usize>,
}

impl Job {
    /// Quantizes `input` to the new file `output`, and nothing else.
    pub fn new(input: impl Into<PathBuf>, output: impl Into<PathBuf>) -> Job {
        Job {
            input: input.into(),
            output: output.into(),
            opencog: Request::default(),
            eval_text: None,
            llama_bench: None,
            report: None,
            compare_recipes: false,
            tpu_layout: Some(Layout::default()),
            force: false,
            dry_run: false,
            threads: None,
        }
    }

    /// The folder for a TPU and its layout, if there is to be one.
    pub fn pack(&self, config: &Config) -> Option<(PathBuf, Layout)> {
        let layout = self.tpu_layout.filter(|_| config.hardware == Hardware::Tpu)?;
        Some((tpu::pack_of(&self.output), layout))
    }

    /// Checks what can be checked without looking at files.
    pub fn validate(&self) -> Result<(), ConfigError> {
        threads::check(self.threads)
    }
}

/// Quantizes one model.
pub fn run(job: &Job, config: &Config, progress: &dyn Progress) -> Result<Report, Error> {
    config.validate()?;
    threads::pool(job.threads)?.install(|| quantize(job, config, progress))
}

fn quantize(job: &Job, config: &Config, progress: &dyn Progress) -> Result<Report, Error> {
    let mut clock = Clock::start();

    let gguf = open_model(&job.input)?;
    refuse_same_files(&gguf, job, config)?;
    let is_new = !work_folder(&job.output).exists();
    if is_new {
        OutputFile::check(&job.output, job.force)?;
    }
    if let Some((pack, _)) = job.pack(config) {
        if is_new {
            OutputFolder::check(&pack, job.force, tpu::is_of_pack)?;
        }
        tpu::check(&gguf).map_err(|e| Error::pack(&job.input, e))?;
    }
    // Before the model is worked on: what is broken is known at once, and the model names it.
    let mode = if job.dry_run { Mode::Dry } else { Mode::Write };
    let companion = Companion::beside(&gguf, &job.opencog, &job.output, mode, job.force)?;
    let doubt = Companion::doubt(&gguf, &job.opencog);
    let work = work(job, config, || {
        run_description(&gguf, config, context(config, gguf.metadata()), companion.as_ref())
    })?;
    let mut files = Files::begin(job, config, &work)?;
    clock.lap("open");

    let context = context(config, gguf.metadata());
    let header = header(&gguf, config, companion.as_ref()).map_err(|e| Error::output(&gguf, e))?;
    let searchable = Searchable::new(&gguf, config, header, context);
    let searchable = searchable.map_err(|e| Error::plan(&job.input, e))?;

    let outputs = Outputs::see(&gguf, config, job.eval_text.as_deref(), &work, progress)?;
    clock.lap("write text");

    let decide =
        Decide { job, config, gguf: &gguf, searchable: &searchable, work: &work, progress };
    let decided = match decide.with(outputs.as_ref().ok()) {
        // The same command would end in the same way: there is nothing to go on from.
        Err(error @ Error::Plan { .. }) => {
            let _ = work.finish(WRITTEN);
            return Err(error);
        }
        decided => decided?,
    };
    let make = Make {
        job,
        config,
        gguf: &gguf,
        header,
        outputs: &outputs,
        companion: companion.as_ref(),
        context,
        work: &work,
        searchable: &searchable,
        progress,
    };
    let mut report = make.model(decided, &mut files, clock)?;
    report.warnings.extend(doubt);
    let without_report = files.finish(&mut report, &work, companion)?;
    report.warnings.extend(without_report);
    if let Err(error) = work.finish(WRITTEN) {
        report.warnings.push(error.to_string());
    }
    Ok(report)
}

/// Where the state of the run is kept.
fn work(job: &Job, config: &Config, run: impl FnOnce() -> String) -> Result<Work, Error> {
    if job.dry_run || config.effort == Effort::Fast {
        return Ok(Work::Forgetful);
    }
    let foreign = if job.force { Foreign::Replace } else { Foreign::Refuse };
    Ok(Work::beside(&job.output, &run(), foreign)?)
}

/// What the choice of formats rests on.
struct Decide<'d, 'a> {
    job: &'d Job,
    config: &'d Config,
    gguf: &'a Gguf,
    searchable: &'d Searchable,
    work: &'d Work,
    progress: &'d dyn Progress,
}

/// The formats, and what is known of the tensors in them.
struct Decided {
    plan: Plan,
    /// Of the tensors that are encoded already.
    encodings: Encodings,
    importance: Importance,
    /// Formats that tensors are kept from.
    kept_from: Vec<KeptFrom>,
    search: Option<Record>,
    /// Why there was no search, if one was to be.
    unsearched: Option<String>,
}

impl From<Found> for Decided {
    fn from(Found { plan, encodings, kept_from, record }: Found) -> Decided {
        let (importance, search, unsearched) = (Importance::default(), Some(record), None);
        Decided { plan, encodings, importance, kept_from, search, unsearched }
    }
}

impl<'a> Decide<'_, 'a> {
    /// By a search where the model's outputs can be seen, else by its weights.
    fn with(&self, outputs: Option<&Outputs<'a>>) -> Result<Decided, Error> {
        let Decide { job, config, gguf, searchable, work, progress } = *self;
        let (mut importance, mut unsearched) = (Importance::default(), None);
        // What is not encoded needs no importance.
        if let Some(outputs) = outputs.filter(|_| searchable.is_any()) {
            if config.strategy == Strategy::Search {
                let found = outputs.search(gguf, config, searchable, work, progress);
                match found.map_err(|e| Error::search(&job.input, e))? {
                    Ok(found) => return Ok(found.into()),
                    Err(reason) => unsearched = Some(reason),
                }
            }
            importance = outputs.importance(progress).map_err(|e| Error::model(&job.input, e))?;
        }
        let of_input = |reason| Error::plan(&job.input, reason);
        let searchable = searchable.finite(gguf, config, &importance).map_err(of_input)?;
        let plan = searchable.best_by_role(gguf, config, &importance).map_err(of_input)?;
        debug_assert!(searchable.allows(&plan), "what was chosen is within the limits");
        let (encodings, kept_from) = (Encodings::new(), searchable.kept_from);
        Ok(Decided { plan, encodings, importance, kept_from, search: None, unsearched })
    }
}

/// The tokens that must fit in memory: as asked, else the model's own, of which few use more than
/// 4096.
fn context(config: &Config, metadata: &Metadata) -> u64 {
    config.context.unwrap_or_else(|| context_length(metadata).unwrap_or(4096).min(4096))
}

/// Times the stages.
struct Clock {
    since: Instant,
    stages: Vec<Stage>,
}

impl Clock {
    fn start() -> Clock {
        Clock { since: Instant::now(), stages: Vec::new() }
    }

    fn lap(&mut self, name: &'static str) {
        self.stages.push(Stage::new(name, self.since.elapsed()));
        self.since = Instant::now();
    }
}
