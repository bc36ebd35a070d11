//! The program on one page: the stages in order, each one call into one room.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::Error;
use crate::calibrate::Importance;
use crate::config::Config;
use crate::gguf::{Gguf, Metadata, OutputFile, encoded_size};
use crate::model::context_length;
use crate::outputs::Outputs;
use crate::progress::Progress;
use crate::provenance::{longest_plan_lines, output_metadata};
use crate::quantize::{Plan, plan, store};
use crate::report::{Evaluation, Measured, Report, Run, Stage, own};
use crate::same_file::refuse_input_as_output;

/// What to do with which files.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The model to read; of a split one, the first shard.
    pub input: PathBuf,
    /// The model to write.
    pub output: PathBuf,
    /// A text to measure the loss on too; it is never used to calibrate.
    pub eval_text: Option<PathBuf>,
    /// Whether an existing output is replaced.
    pub force: bool,
    /// Whether only the plan is made, and nothing written.
    pub dry_run: bool,
    /// Threads to work with; `None` for one on each core. The output does not depend on it.
    pub threads: Option<usize>,
}

/// Quantizes one model.
pub fn run(job: &Job, config: &Config, progress: &dyn Progress) -> Result<Report, Error> {
    config.validate()?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(job.threads.unwrap_or(0));
    pool.build().map_err(Error::Threads)?.install(|| quantize(job, config, progress))
}

fn quantize(job: &Job, config: &Config, progress: &dyn Progress) -> Result<Report, Error> {
    let mut clock = Clock::start();

    let gguf = Gguf::open(&job.input)?;
    refuse_input_as_output(&gguf, &job.output)?;
    // Begun before the work, so that an output that cannot be written is known at once.
    let create = || OutputFile::create(&job.output, job.force);
    let output = (!job.dry_run).then(create).transpose()?;
    clock.lap("open");

    let outputs = Outputs::see(&gguf, config, job.eval_text.as_deref(), progress)?;
    let unseen = Importance::default();
    let importance = outputs.as_ref().map_or(&unseen, |outputs| &outputs.importance);
    clock.lap("calibrate");

    let context = context(config, gguf.metadata());
    let overhead = largest_overhead(&gguf, config)?;
    let plan = plan(&gguf, config, importance, overhead, context);
    let plan = plan.map_err(|e| Error::plan(&job.input, e))?;
    let metadata = output_metadata(gguf.metadata(), config, &plan);
    clock.lap("plan");

    let mut errors = vec![None; plan.tensors.len()];
    let mut evaluations = Vec::new();
    let mut written_to = job.output.clone();
    if let Some(output) = output {
        let stored = store(&gguf, &plan, &metadata, importance, output, progress);
        let (output, measured) = stored.map_err(|e| Error::store(&job.input, e))?;
        errors = measured;
        clock.lap("encode and write");
        if let Ok(outputs) = &outputs {
            evaluations = outputs.measure(&job.input, output.path(), progress)?;
            clock.lap("measure");
        }
        if missed_target(config, &evaluations).is_some() {
            written_to = below_target(&job.output);
            output.commit_as(&written_to)?;
        } else {
            output.commit()?;
        }
        clock.lap("sync to disk");
    }

    let (unmeasured, diversity) = match outputs {
        Ok(outputs) => (None, Some(outputs.diversity)),
        Err(reason) => (Some(reason), None),
    };
    let missed = missed_target(config, &evaluations);
    let measured = Measured { evaluations, diversity, unmeasured, missed };
    let stages = clock.stages;
    let run = Run {
        job,
        written_to,
        config,
        gguf: &gguf,
        plan: &plan,
        metadata,
        context,
        errors,
        measured,
        stages,
    };
    Ok(Report::of(run))
}

/// What was asked for and not reached, if anything.
fn missed_target(config: &Config, evaluations: &[Evaluation]) -> Option<String> {
    let (allowed, own) = (config.allowed_degradation()?, own(evaluations)?);
    let found = own.degradation_of_own_text();
    (found > allowed).then(|| {
        format!(
            "--accuracy {allowed}: the degradation on the model's own text is {found:.4}; allow \
             that much, or more bytes"
        )
    })
}

/// Where a model is kept that misses a target: never under the name that a script would deploy.
fn below_target(output: &Path) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(".below-target");
    name.into()
}

/// The tokens that must fit in memory: as asked, else the model's own, of which few use more than
/// 4096.
fn context(config: &Config, metadata: &Metadata) -> u64 {
    config.context.unwrap_or_else(|| context_length(metadata).unwrap_or(4096).min(4096))
}

/// Bytes that the output takes beside its tensors, at most, whatever the plan.
fn largest_overhead(gguf: &Gguf, config: &Config) -> Result<u64, Error> {
    let specs: Vec<_> = gguf.tensors().iter().map(|tensor| tensor.spec()).collect();
    let metadata = output_metadata(gguf.metadata(), config, &Plan::default());
    let file = encoded_size(&metadata, &specs).map_err(|e| Error::output(gguf, e))?;
    let tensors: u64 = gguf.tensors().iter().map(|tensor| tensor.bytes()).sum();
    let padding = gguf.alignment() * specs.len() as u64;
    Ok(file - tensors + padding + longest_plan_lines(gguf))
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
