//! What was decided becomes a model, which is measured and told of.

use std::path::Path;

use crate::Error;
use crate::companion::Companion;
use crate::config::Config;
use crate::gguf::{Gguf, OutputFolder, encoded_size};
use crate::hardware::tpu::{self, Layout};
use crate::outputs::{Outputs, TOO_LITTLE_TEXT};
use crate::progress::Progress;
use crate::provenance::output_metadata;
use crate::quantize::{Header, Plan, Record, Searchable, store};
use crate::recipes::Compared;
use crate::report::{Evaluation, Measured, PackReport, Report, Run, Seen, own};
use crate::validate::degradation_of;
use crate::work::Work;

use super::files::{Files, below_target};
use super::seen::Finished;
use super::{Clock, Decided, Job};

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

impl Make<'_, '_> {
    /// Writes the model and its pack, if they are to be written, and measures it.
    pub fn model(
        &self,
        decided: Decided,
        files: &mut Files,
        mut clock: Clock,
    ) -> Result<Report, Error> {
        let Make {
            job,
            config,
            gguf,
            header,
            outputs,
            companion,
            context,
            work,
            searchable,
            progress,
        } = *self;
        let Decided { plan, encodings, importance, kept_from, search, unsearched } = decided;
        let metadata = output_metadata(gguf.metadata(), config, companion, &plan);
        debug_assert_eq!(
            Ok(header.file_with(plan.bytes(header.alignment))),
            encoded_size(&metadata, &plan.specs()),
            "limits were counted as the file will be"
        );
        clock.lap(if search.is_some() { "search" } else { "plan" });

        let (mut lost, mut pack) = (vec![None; plan.tensors.len()], None);
        // What is not written is not measured, and then the search has the last word.
        let mut evaluations = unsearched.clone().map_or(Ok(Vec::new()), Err);
        let mut alignment = Err("nothing was written".to_string());
        if let Some(output) = files.model.take() {
            let stored = store(gguf, &plan, &metadata, &importance, &encodings, output, progress);
            let (output, measured) = stored.map_err(|e| Error::store(&job.input, e))?;
            clock.lap("encode and write");
            if let Some((folder, layout)) = &files.pack {
                pack = Some(write_pack(output.path(), job, folder, *layout)?);
                clock.lap("pack");
            }
            if let Ok(outputs) = &outputs {
                evaluations = outputs.measure(&job.input, output.path(), &job.output, progress)?;
                if evaluations.is_ok() {
                    alignment = outputs.align(output.path())?;
                }
                clock.lap("measure");
            }
            output.sync()?;
            clock.lap("sync to disk");
            (files.model, lost) = (Some(output), measured);
        }
        let mut warnings = Vec::new();
        let written = files.model.as_ref().map(|model| model.path());
        let finished = Finished { job, config, gguf, plan: &plan, written, progress };
        let speeds = finished.speeds(&mut warnings);
        let against_q4_0 = finished.against_q4_0(searchable);
        clock.lap("look at speed");

        let mut recipes = None;
        if let (true, Ok(outputs)) = (job.compare_recipes, outputs) {
            let compared = Compared { gguf, input: &job.input, outputs, work, progress };
            let metadata = |plan: &Plan| output_metadata(gguf.metadata(), config, companion, plan);
            recipes = Some(compared.recipes(metadata)?);
            clock.lap("compare recipes");
        }

        let (evaluations, overflow) = match evaluations {
            Ok(evaluations) => (evaluations, None),
            Err(reason) => (Vec::new(), Some(reason)),
        };
        let unaligned = overflow.as_ref().or(outputs.as_ref().err());
        alignment = alignment.map_err(|reason| unaligned.cloned().unwrap_or(reason));
        let (unmeasured, unread, diversity) = match outputs {
            Ok(outputs) => {
                let short = (!outputs.has_own_text()).then(|| TOO_LITTLE_TEXT.to_string());
                let Outputs { unread, diversity, .. } = outputs;
                (short.or(overflow), unread.clone(), Some(*diversity))
            }
            Err(reason) => (Some(reason.clone()), None, None),
        };
        let missed = missed_target(config, &evaluations, search.as_ref(), unmeasured.as_deref());
        let is_missed = missed.is_some();
        if let (Some(pack), true) = (&mut pack, is_missed) {
            pack.folder = below_target(&pack.folder);
        }
        let measured = Measured { evaluations, diversity, search, unsearched, unmeasured, missed };
        let mut report = Report::of(Run {
            job,
            written_to: if is_missed { below_target(&job.output) } else { job.output.clone() },
            config,
            gguf,
            plan: &plan,
            metadata,
            opencog: companion.map(|companion| companion.report.clone()),
            pack,
            context,
            lost,
            kept_from,
            measured,
            recipes,
            seen: Seen { against_q4_0, speeds, alignment },
            stages: clock.stages,
        });
        report.warnings.extend(warnings);
        report.warnings.extend(unread);
        Ok(report)
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
    let allowed = config.allowed_degradation()?;
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
