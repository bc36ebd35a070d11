//! What was decided becomes a model, which is measured and told of.

use std::path::Path;

use crate::Error;
use crate::companion::Companion;
use crate::config::Config;
use crate::gguf::{Gguf, Metadata, OutputFolder, encoded_size};
use crate::hardware::tpu::{self, Layout};
use crate::model::kv_cache_bytes;
use crate::progress::Progress;
use crate::quantize::{Header, Lost, Plan, Record, Searchable, store};
use crate::report::numbers::bytes;
use crate::report::{Evaluation, Measured, PackReport, RecipeReport, Report, Run, Seen, own};
use crate::validate::{Alignment, degradation_of};
use crate::work::Work;

use super::files::{Files, below_target};
use super::outputs::{Outputs, TOO_LITTLE_TEXT};
use super::provenance::output_metadata;
use super::recipes::Compared;
use super::seen::Finished;
use super::{Clock, Decided, Job, command};

/// What a model is made of, beside what was decided.
pub struct Make<'m, 'a> {
    pub job: &'m Job,
    pub config: &'m Config,
    pub gguf: &'a Gguf,
    /// What the file has beside the tensors, before there is a plan.
    pub header: Header,
    pub outputs: &'m Result<Outputs<'a>, String>,
    pub companion: Option<&'m Companion>,
    /// Tokens that must fit in memory.
    pub context: u64,
    pub work: &'m Work,
    /// What may become of the tensors.
    pub searchable: &'m Searchable,
    pub progress: &'m dyn Progress,
}

/// What came of the model on the disk.
struct Written {
    /// Of each tensor, if it was encoded.
    lost: Vec<Option<Lost>>,
    pack: Option<PackReport>,
    /// On held-out text; or why nothing was measured.
    evaluations: Result<Vec<Evaluation>, String>,
    /// The same of activations.
    alignment: Result<Alignment, String>,
}

impl Written {
    /// Of a dry run. What is not written is not measured, and then the search has the last word.
    fn nothing(decided: &Decided) -> Written {
        Written {
            lost: vec![None; decided.plan.tensors.len()],
            pack: None,
            evaluations: decided.unsearched.clone().map_or(Ok(Vec::new()), Err),
            alignment: Err("nothing was written".into()),
        }
    }
}

impl Make<'_, '_> {
    /// Writes the model and its pack, if they are to be written, and measures it.
    pub fn model(
        &self,
        decided: Decided,
        files: &mut Files,
        mut clock: Clock,
    ) -> Result<Report, Error> {
        let Make { job, config, gguf, companion, context, searchable, progress, .. } = *self;
        let plan = &decided.plan;
        let metadata = self.metadata(plan);
        debug_assert_eq!(
            Ok(self.header.file_with(plan.bytes(self.header.alignment))),
            encoded_size(&metadata, &plan.specs()),
            "limits were counted as the file will be"
        );
        clock.lap(if decided.search.is_some() { "search" } else { "plan" });
        let mut told = match files.model.is_some() {
            true => self.write(&decided, &metadata, files, &mut clock)?,
            false => Written::nothing(&decided),
        };

        let written = files.model.as_ref().map(|model| model.path());
        let finished = Finished { job, config, gguf, plan, written, progress };
        let mut warnings = Vec::new();
        let speeds = finished.speeds(&mut warnings);
        let against_q4_0 = finished.against_q4_0(searchable);
        clock.lap("look at speed");
        let recipes = self.recipes(&mut clock)?;

        if let (Err(_), Some(reason)) = (&told.alignment, self.unseen(&told.evaluations)) {
            told.alignment = Err(reason);
        }
        let alignment = told.alignment;
        let Decided { plan, kept_from, search, unsearched, .. } = decided;
        let mut measured = self.measured(told.evaluations, search, unsearched);
        let mut pack = told.pack;
        let beyond_memory = pack.as_ref().and_then(|pack| self.beyond_memory(pack));
        measured.missed = measured.missed.or(beyond_memory);
        let is_missed = measured.missed.is_some();
        if let (Some(pack), true) = (&mut pack, is_missed) {
            pack.folder = below_target(&pack.folder);
        }
        let mut report = Report::of(Run {
            input: &job.input,
            written_to: if is_missed { below_target(&job.output) } else { job.output.clone() },
            dry_run: job.dry_run,
            command: command::of_run(job, config),
            config,
            gguf,
            plan: &plan,
            metadata,
            opencog: companion.map(|companion| companion.report.clone()),
            pack,
            context,
            lost: told.lost,
            kept_from,
            measured,
            recipes,
            seen: Seen { against_q4_0, speeds, alignment },
            stages: clock.stages,
        });
        report.warnings.extend(warnings);
        report.warnings.extend(self.outputs.as_ref().ok().and_then(|it| it.unread.clone()));
        Ok(report)
    }

    fn metadata(&self, plan: &Plan) -> Metadata {
        output_metadata(self.gguf.metadata(), self.config, self.companion, plan)
    }

    /// Writes the model to its file and into its pack, and measures what is in the file.
    fn write(
        &self,
        decided: &Decided,
        metadata: &Metadata,
        files: &mut Files,
        clock: &mut Clock,
    ) -> Result<Written, Error> {
        let Make { job, gguf, progress, .. } = *self;
        let Decided { plan, encodings, importance, .. } = decided;
        let mut told = Written::nothing(decided);
        let Some(output) = files.model.take() else { return Ok(told) };
        let stored = store(gguf, plan, metadata, importance, encodings, output, progress);
        let (output, lost) = stored.map_err(|e| Error::store(&job.input, e))?;
        told.lost = lost;
        clock.lap("encode and write");
        if let Some((folder, layout)) = &files.pack {
            told.pack = Some(write_pack(output.path(), job, folder, *layout)?);
            clock.lap("pack");
        }
        if let Ok(outputs) = self.outputs {
            told.evaluations = outputs.measure(&job.input, output.path(), &job.output, progress)?;
            if told.evaluations.is_ok() {
                told.alignment = outputs.align(output.path())?;
            }
            clock.lap("measure");
        }
        output.sync()?;
        clock.lap("sync to disk");
        files.model = Some(output);
        Ok(told)
    }

    /// What llama-quantize's recipes lose, if that is asked for.
    fn recipes(&self, clock: &mut Clock) -> Result<Option<Vec<RecipeReport>>, Error> {
        let Make { job, gguf, outputs, work, progress, .. } = *self;
        let (true, Ok(outputs)) = (job.compare_recipes, outputs) else { return Ok(None) };
        let compared = Compared { gguf, input: &job.input, outputs, work, progress };
        let recipes = compared.recipes(|plan| self.metadata(plan))?;
        clock.lap("compare recipes");
        Ok(Some(recipes))
    }

    /// That a pack does not fit in the memory that was asked for, if it does not: plans are made by
    /// the bytes of the file, and a pack may hold the embedding in more.
    fn beyond_memory(&self, pack: &PackReport) -> Option<String> {
        let memory = self.config.memory?;
        let kv_cache = kv_cache_bytes(self.gguf.metadata(), self.gguf.tensors(), self.context);
        let needed = pack.bytes.saturating_add(kv_cache.unwrap_or(0));
        (needed > self.config.memory().bytes()).then(|| {
            format!(
                "--memory {memory}: the pack and its KV cache take {}; allow that much, a smaller \
                 --context, or another --tpu-layout",
                bytes(needed)
            )
        })
    }

    /// Why outputs could not be looked at, if they could not.
    fn unseen(&self, evaluations: &Result<Vec<Evaluation>, String>) -> Option<String> {
        evaluations.as_ref().err().or(self.outputs.as_ref().err()).cloned()
    }

    /// What was measured, and whether it is what was asked for.
    fn measured(
        &self,
        evaluations: Result<Vec<Evaluation>, String>,
        search: Option<Record>,
        unsearched: Option<String>,
    ) -> Measured {
        let overflow = evaluations.as_ref().err().cloned();
        let evaluations = evaluations.unwrap_or_default();
        let (unmeasured, diversity) = match self.outputs {
            Ok(outputs) => {
                let short = (!outputs.has_own_text()).then(|| TOO_LITTLE_TEXT.to_string());
                (short.or(overflow), Some(outputs.diversity))
            }
            Err(reason) => (Some(reason.clone()), None),
        };
        let missed =
            missed_target(self.config, &evaluations, search.as_ref(), unmeasured.as_deref());
        Measured { evaluations, diversity, search, unsearched, unmeasured, missed }
    }
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
    let allowed = config.target()?.degradation;
    let searched = || search.map(|record| degradation_of(record.measured_kld));
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
