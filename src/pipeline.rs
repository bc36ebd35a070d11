//! The program on one page: the stages in order, each one call into one room.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Error;
use crate::calibrate::Importance;
use crate::companion::{Companion, Request};
use crate::config::{Config, ConfigError, Effort, Strategy};
use crate::gguf::{Gguf, Metadata, OutputFile, OutputFolder, encoded_size};
use crate::hardware::Hardware;
use crate::hardware::tpu::{self, Layout};
use crate::input::open_model;
use crate::model::context_length;
use crate::outputs::{Outputs, TOO_LITTLE_TEXT};
use crate::progress::Progress;
use crate::provenance::{header, output_metadata, run_description};
use crate::quantize::{Encodings, Found, KeptFrom, Plan, Record, Searchable, store};
use crate::report::{Evaluation, Measured, PackReport, Report, Run, Stage, own};
use crate::same_file::refuse_same_files;
use crate::threads;
use crate::work::{Foreign, Work, work_folder};

mod files;

pub(crate) use files::below_target;
use files::{Files, WRITTEN};

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
    /// Where what was done is written as JSON, if anywhere; an existing file is replaced.
    pub report: Option<PathBuf>,
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
    let companion = Companion::beside(&gguf, job)?;
    let doubt = Companion::doubt(&gguf, job);
    let work = work(job, config, &gguf, companion.as_ref())?;
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
    let Decided { plan, encodings, importance, kept_from, search, unsearched } = decided;
    let metadata = output_metadata(gguf.metadata(), config, companion.as_ref(), &plan);
    debug_assert_eq!(
        Ok(header.file_with(plan.bytes(header.alignment))),
        encoded_size(&metadata, &plan.specs()),
        "limits were counted as the file will be"
    );
    clock.lap(if search.is_some() { "search" } else { "plan" });

    let (mut lost, mut pack) = (vec![None; plan.tensors.len()], None);
    // What is not written is not measured, and then the search has the last word.
    let mut evaluations = unsearched.clone().map_or(Ok(Vec::new()), Err);
    if let Some(output) = files.model.take() {
        let stored = store(&gguf, &plan, &metadata, &importance, &encodings, output, progress);
        let (output, measured) = stored.map_err(|e| Error::store(&job.input, e))?;
        clock.lap("encode and write");
        if let Some((folder, layout)) = &files.pack {
            pack = Some(write_pack(output.path(), job, folder, *layout)?);
            clock.lap("pack");
        }
        if let Ok(outputs) = &outputs {
            evaluations = outputs.measure(&job.input, output.path(), &job.output, progress)?;
            clock.lap("measure");
        }
        output.sync()?;
        clock.lap("sync to disk");
        (files.model, lost) = (Some(output), measured);
    }

    let (evaluations, overflow) = match evaluations {
        Ok(evaluations) => (evaluations, None),
        Err(reason) => (Vec::new(), Some(reason)),
    };
    let (unmeasured, unread, diversity) = match outputs {
        Ok(outputs) => {
            let short = (!outputs.has_own_text()).then(|| TOO_LITTLE_TEXT.to_string());
            (short.or(overflow), outputs.unread, Some(outputs.diversity))
        }
        Err(reason) => (Some(reason), None, None),
    };
    let missed = missed_target(config, &evaluations, search.as_ref(), unmeasured.as_deref());
    let written_to = if missed.is_some() { below_target(&job.output) } else { job.output.clone() };
    if let (Some(pack), Some(_)) = (&mut pack, &missed) {
        pack.folder = below_target(&pack.folder);
    }
    let measured = Measured { evaluations, diversity, search, unsearched, unmeasured, missed };
    let run = Run {
        job,
        written_to,
        config,
        gguf: &gguf,
        plan: &plan,
        metadata,
        opencog: companion.as_ref().map(|companion| companion.report.clone()),
        pack,
        context,
        lost,
        kept_from,
        measured,
        stages: clock.stages,
    };
    let mut report = Report::of(run);
    report.warnings.extend(unread);
    report.warnings.extend(doubt);
    report.warnings.extend(files.finish(&report, &work, companion)?);
    if let Err(error) = work.finish(WRITTEN) {
        report.warnings.push(error.to_string());
    }
    Ok(report)
}

/// Fills the pack with the model that was written to `model`.
fn write_pack(
    model: &Path,
    job: &Job,
    folder: &OutputFolder,
    layout: Layout,
) -> Result<PackReport, Error> {
    let gguf = Gguf::open(model)?;
    let bytes = tpu::write(&gguf, layout, folder);
    Ok(PackReport {
        folder: folder.target().into(),
        layout: layout.name(),
        bytes: bytes.map_err(|e| Error::pack(&job.input, e))?,
    })
}

/// Where the state of the run is kept.
fn work(
    job: &Job,
    config: &Config,
    gguf: &Gguf,
    companion: Option<&Companion>,
) -> Result<Work, Error> {
    if job.dry_run || config.effort == Effort::Fast {
        return Ok(Work::Forgetful);
    }
    let foreign = if job.force { Foreign::Replace } else { Foreign::Refuse };
    let run = run_description(gguf, config, context(config, gguf.metadata()), companion);
    Ok(Work::beside(&job.output, &run, foreign)?)
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
                    Ok(Found { plan, encodings, kept_from, record }) => {
                        let (search, unsearched) = (Some(record), None);
                        return Ok(Decided {
                            plan,
                            encodings,
                            importance,
                            kept_from,
                            search,
                            unsearched,
                        });
                    }
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

/// What was asked for and not reached, if anything. What could not be measured was not reached.
fn missed_target(
    config: &Config,
    evaluations: &[Evaluation],
    search: Option<&Record>,
    unmeasured: Option<&str>,
) -> Option<String> {
    if let (Some(accuracy), Some(reason)) = (config.accuracy, unmeasured) {
        return Some(format!("--accuracy {accuracy}: it could not be measured: {reason}"));
    }
    let allowed = config.allowed_degradation()?;
    let searched = || search.map(|record| 1.0 - (-record.measured_kld).exp());
    let found = own(evaluations).map(Evaluation::degradation_of_own_text).or_else(searched)?;
    (found > allowed).then(|| {
        let found = match found < 0.001 {
            true => format!("{found:.2e}"),
            false => format!("{found:.4}"),
        };
        let bound = search.and_then(|record| record.bound_by.as_ref());
        let bound = bound.map(|flag| format!(", and {flag} allows no more bits"));
        format!(
            "--accuracy {allowed}: the degradation on the model's own text is {found}{}; allow \
             that much, or more bytes",
            bound.unwrap_or_default()
        )
    })
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
