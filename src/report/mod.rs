//! What a run did, for people and for programs.

mod command;
pub mod document;
mod evaluation;
pub mod export;
mod family;
mod figures;
mod inspect;
pub(crate) mod numbers;
mod opencog;
mod origin;
mod recipes;
mod told;
mod validation;

pub use command::Command;
pub use document::Tell;
pub(crate) use evaluation::rounding_kld;
pub use evaluation::{Activations, Evaluation, EvaluationReport, TextSource, evaluation_table};
pub use export::text::{family_summary, summary};
pub use export::{ReportFile, ReportFormat, write_json};
pub use family::FamilyReport;
pub use figures::{
    AlignmentFigure, Figures, HardwareFigure, LargestError, LeftOut, MemoryFigure, RelativeSpeed,
    SpeedFigure, SpeedSource, Worst,
};
pub(crate) use figures::{Seen, SpeedsSeen};
pub use inspect::inspect;
pub use opencog::{
    AtomSpaceReport, DeclinedCodec, EcanReport, MettaReport, MosesReport, OpenCogReport,
    SkippedReport, Stats, TruthReport, TypeReport, opencog_summary,
};
pub use origin::Origin;
pub use recipes::{RecipeLosses, RecipeReport};
pub use validation::{DynamicsReport, EvolutionReport, LatencyReport, MiningReport, RecallReport};

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::block::SquaredError;
use crate::block::lattice::Fit;
use crate::calibrate::Diversity;
use crate::config::{Config, Effort};
use crate::gguf::{Gguf, Metadata, TensorSpec, encoded_size};
use crate::hardware::Memory;
use crate::hardware::tpu::Layout;
use crate::model::{
    Architecture, Kind, Part, Role, architecture_name, doubts, kv_cache_bytes, layer_part,
};
use crate::quantize::{Choice, KeptFrom, Lost, Plan, Planned, Record};

use numbers::bytes;

/// What a run did. Its fields are the JSON of `--report x.json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of this layout.
    pub schema: u32,
    /// The program's version.
    pub version: &'static str,
    /// The model that was read (of a split one, the first shard).
    #[serde(serialize_with = "lossy")]
    pub input: PathBuf,
    /// The model that was written, or would be.
    #[serde(serialize_with = "lossy")]
    pub output: PathBuf,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// The flags that decide the bytes.
    pub flags: String,
    /// The command that makes the same files again, for a POSIX shell: all flags but those that
    /// change no file.
    pub command: Command,
    /// The seed.
    pub seed: u64,
    /// The model's architecture, empty where it names none.
    pub architecture: String,
    /// What the input says of where it comes from.
    pub origin: Origin,
    /// The hash of the output, where it was written with `--report` or at `--effort standard` or
    /// `thorough`.
    pub output_sha256: Option<String>,
    /// The degradation that is allowed, where one is.
    pub allowed_degradation: Option<f64>,
    /// The numbers of the whole model.
    pub metrics: Metrics,
    /// Speed, memory, use of the machine, and alignment of activations.
    pub figures: Figures,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Formats that tensors are kept from, as llama.cpp's outputs could be NaN there.
    pub kept_from: Vec<KeptFrom>,
    /// What was asked for and not reached: the model is then kept under another name.
    pub missed: Option<String>,
    /// What was lost on outputs: on held-out text of the model's own first, then on the evaluation
    /// text. The JSON of each also has `along`: where in the text it was lost.
    #[serde(serialize_with = "evaluation::with_along")]
    pub evaluations: Vec<Evaluation>,
    /// Why nothing was measured on outputs of the model's own text, if nothing was. Formats were
    /// then chosen without a search, unless `search` tells of one: by errors of weights, which count
    /// by their inputs if the model could be run (`diversity`), or by the fixed table if that was
    /// asked for.
    pub unmeasured: Option<String>,
    /// How varied the text is that the model wrote.
    pub diversity: Option<Diversity>,
    /// How formats were searched for, where they were.
    pub search: Option<Record>,
    /// What llama.cpp's recipes would give, where that was asked for.
    pub recipes: Option<Vec<RecipeReport>>,
    /// What became of OpenCog data, where there is any.
    pub opencog: Option<OpenCogReport>,
    /// The pack for a TPU, if one was written.
    pub pack: Option<PackReport>,
    /// Seconds of each stage, in order.
    pub stages: Vec<Stage>,
    /// Every tensor, in the order of the file.
    pub tensors: Vec<TensorReport>,
}

/// Names need not be UTF-8, which JSON is: signs stand in place of what is not.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// The numbers of a whole model.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metrics {
    /// Weights of the model.
    pub parameters: u64,
    /// Bytes of the input file or files.
    pub input_bytes: u64,
    /// Bytes of the output file.
    pub output_bytes: u64,
    /// Bytes of its tensors.
    pub tensor_bytes: u64,
    /// Bits per weight, over all tensors.
    pub bpw: f64,
    /// `1 - tensor_bytes / (4 * parameters)`: against 32-bit floats.
    pub memory_reduction: f64,
    /// `1 - output_bytes / input_bytes`.
    pub file_reduction: f64,
    /// Bytes of the KV cache at `context` tokens in F16; `None` where the metadata does not tell.
    pub kv_cache_bytes: Option<u64>,
    /// The memory that the file and the KV cache had to fit in.
    pub memory: Memory,
    /// Tokens of context that `kv_cache_bytes` holds.
    pub context: u64,
    /// Squared error of the encoded tensors as a share of their squared norm; `None` in a dry run.
    pub relative_error: Option<f64>,
    /// Degradation on held-out text of the model's own, where it was measured.
    pub degradation: Option<f64>,
    /// Mean KL(full precision || quantized) on it, in nats per token.
    pub mean_kld: Option<f64>,
    /// Share of its positions at which both models find the same token the likeliest.
    pub same_top: Option<f64>,
}

/// A pack for a TPU.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PackReport {
    /// The folder.
    #[serde(serialize_with = "lossy")]
    pub folder: PathBuf,
    /// How it is laid out.
    pub layout: &'static str,
    /// Bytes of its files.
    pub bytes: u64,
}

impl PackReport {
    /// That it is larger than the model that it came of, if it is.
    fn inflated(&self, input: &Gguf) -> Option<String> {
        let before: u64 = input.tensors().iter().map(|tensor| tensor.bytes()).sum();
        (self.bytes > before).then(|| {
            format!(
                "the pack takes {} and the input {}: its layout has no quantized embedding; \
                 --tpu-layout {} has one",
                bytes(self.bytes),
                bytes(before),
                Layout::Qwix.name()
            )
        })
    }
}

/// How long a stage took.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Stage {
    /// What was done.
    pub name: &'static str,
    /// Wall time.
    pub seconds: f64,
}

impl Stage {
    /// A stage that took this long.
    pub fn new(name: &'static str, time: Duration) -> Stage {
        Stage { name, seconds: time.as_secs_f64() }
    }
}

/// What became of one tensor.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorReport {
    /// Its name.
    pub name: String,
    /// What it does.
    pub role: Role,
    /// What shares a line of the summary with it: the role, or the parts of its name.
    pub kind: String,
    /// Its dimensions, row length first.
    pub shape: Vec<u64>,
    /// Format in the input.
    pub from: &'static str,
    /// Format in the output.
    pub format: &'static str,
    /// Bytes in the output.
    pub bytes: u64,
    /// Why it has this format, where it is not simply the plan's choice.
    pub note: Option<String>,
    /// Squared error as a share of the squared norm, where the tensor was changed and written.
    pub relative_error: Option<f64>,
    /// Rows that are no better than zeros: with an error as large as their norm, or larger.
    pub lost_rows: usize,
    /// The first of them, counted from 0.
    pub first_lost_row: Option<usize>,
}

/// Everything a report is made from.
pub(crate) struct Run<'a> {
    /// The model that was read; of a split one, the first shard.
    pub input: &'a Path,
    /// Where the model is, or would be.
    pub written_to: PathBuf,
    /// Whether nothing is written.
    pub dry_run: bool,
    /// The command that makes the same files again.
    pub command: Command,
    pub config: &'a Config,
    pub gguf: &'a Gguf,
    pub plan: &'a Plan,
    /// Metadata of the output.
    pub metadata: Metadata,
    /// What became of OpenCog data.
    pub opencog: Option<OpenCogReport>,
    /// The pack for a TPU.
    pub pack: Option<PackReport>,
    /// Tokens of context that must fit in memory.
    pub context: u64,
    /// What each tensor lost, where it was changed and written.
    pub lost: Vec<Option<Lost>>,
    pub kept_from: Vec<KeptFrom>,
    pub measured: Measured,
    pub recipes: Option<Vec<RecipeReport>>,
    /// What figures are made from.
    pub seen: Seen,
    pub stages: Vec<Stage>,
}

/// What was measured on outputs.
pub(crate) struct Measured {
    pub evaluations: Vec<Evaluation>,
    pub diversity: Option<Diversity>,
    pub search: Option<Record>,
    /// Why there was no search, if one was to be.
    pub unsearched: Option<String>,
    /// Why nothing was measured, if nothing was.
    pub unmeasured: Option<String>,
    /// What was asked for and not reached.
    pub missed: Option<String>,
}

fn warnings(run: &Run) -> Vec<String> {
    let mut warnings = Vec::new();
    let Measured { unsearched, unmeasured, diversity, .. } = &run.measured;
    if let (true, Some(reason)) = (run.config.effort != Effort::Fast, unmeasured) {
        let decided = match (diversity, unsearched) {
            (None, _) => "formats are chosen by the weights alone, and ",
            (_, Some(_)) => "formats are chosen without a search by errors of weights, and ",
            _ => "",
        };
        warnings.push(format!("{decided}what was lost is not measured: {reason}"));
    } else if let Some(reason) = unsearched {
        let decided = "formats are chosen without a search by errors of weights";
        warnings.push(format!("{decided}: {reason}"));
    }
    let architecture = Architecture::of(architecture_name(run.gguf.metadata()));
    let fused = |name: &str| match Part::of(layer_part(name)?.1, architecture?) {
        Some(Part::Fused(fused)) => Some(fused),
        _ => None,
    };
    let learns = run.config.trains() && run.measured.search.is_some();
    let fused = run.gguf.tensors().iter().find_map(|tensor| fused(&tensor.name));
    if let Some(fused) = fused.filter(|_| learns) {
        let maps: Vec<&str> = fused.maps.iter().map(|map| map.name()).collect();
        warnings.push(format!(
            "training leaves {}.weight of each layer as it was rounded: {} learn only if they are \
             matrices of their own",
            fused.name,
            maps.join(", ")
        ));
    }
    if !run.plan.tensors.iter().any(|tensor| tensor.choice.is_encoded()) {
        let stay = "every tensor stays in the format that it has; --bits, --bpw, --size or \
                    --reduction ask for fewer bits";
        warnings.push(stay.to_string());
    }
    warnings.extend(doubts(run.gguf));
    // Where a limit was asked for, there would be no plan.
    if let Err(reason) = kv_cache_bytes(run.gguf.metadata(), run.gguf.tensors(), run.context) {
        let memory = run.config.memory();
        warnings.push(format!("{memory} holds the weights, but is not checked further: {reason}"));
    }
    warnings.extend(run.plan.warnings.iter().cloned());
    warnings.extend(lost_rows(run));
    warnings.extend(run.measured.diversity.as_ref().and_then(Diversity::collapse));
    warnings
}

/// What to tell of rows that are no better than zeros.
fn lost_rows(run: &Run) -> Option<String> {
    let tensors = run.plan.tensors.iter().zip(&run.lost);
    let mut lost =
        tensors.filter_map(|(tensor, lost)| Some((tensor, (*lost)?, lost.as_ref()?.first?)));
    let (tensor, Lost { rows, .. }, first) = lost.next()?;
    let (rows, tensors) =
        lost.fold((rows, 1), |(rows, tensors), (_, lost, _)| (rows + lost.rows, tensors + 1));
    let TensorSpec { name, format, .. } = &tensor.spec;
    let of = |n, what: &str| if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") };
    Some(format!(
        "{} of {} decode to zeros, or to more error than their weights have energy, first row \
         {first} of {name} in {format}: weights that small, or so far apart, may need another \
         format (--formats, --bits)",
        of(rows, "row"),
        of(tensors, "tensor"),
    ))
}

/// The evaluation on the model's own text.
pub(crate) fn own(evaluations: &[Evaluation]) -> Option<&Evaluation> {
    evaluations.iter().find(|evaluation| evaluation.text.is_own())
}

impl Report {
    pub(crate) fn of(run: Run) -> Report {
        let Run { config, gguf, plan, .. } = run;
        let tensors: Vec<TensorReport> =
            plan.tensors.iter().zip(&run.lost).map(TensorReport::of).collect();
        let figures = Figures::of(&run, &tensors);
        let mut warnings = warnings(&run);
        warnings.extend(figures.beyond_memory(config));
        warnings.extend(run.pack.as_ref().and_then(|pack| pack.inflated(gguf)));
        Report {
            schema: 1,
            version: env!("CARGO_PKG_VERSION"),
            input: run.input.into(),
            output: run.written_to.clone(),
            dry_run: run.dry_run,
            flags: config.to_string(),
            seed: config.seed,
            architecture: architecture_name(gguf.metadata()).to_string(),
            origin: Origin::of(gguf.metadata()),
            output_sha256: None,
            allowed_degradation: config.target().map(|target| target.degradation),
            metrics: Metrics::of(&run),
            figures,
            warnings,
            command: run.command,
            kept_from: run.kept_from,
            missed: run.measured.missed,
            evaluations: run.measured.evaluations,
            unmeasured: run.measured.unmeasured,
            diversity: run.measured.diversity,
            search: run.measured.search,
            recipes: run.recipes,
            opencog: run.opencog,
            pack: run.pack,
            stages: run.stages,
            tensors,
        }
    }

    /// The numbers of the whole model.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }
}

impl Metrics {
    fn of(run: &Run) -> Metrics {
        let specs = run.plan.specs();
        let parameters: u64 = specs.iter().map(|spec| spec.shape.elements()).sum();
        let tensor_bytes: u64 =
            specs.iter().filter_map(|spec| spec.format.bytes_of(spec.shape.elements())).sum();
        let input_bytes = run.gguf.file_bytes();
        // The writer has checked what this checks.
        let output_bytes = encoded_size(&run.metadata, &specs).unwrap_or(tensor_bytes);
        let mut lost = SquaredError::default();
        // Norms count by the square of gains about 1: beside them weights would be nothing.
        let encoded = run.plan.tensors.iter().map(|tensor| tensor.choice.is_encoded());
        let encoded = run.lost.iter().zip(encoded).filter(|(_, encoded)| *encoded);
        encoded.filter_map(|(tensor, _)| *tensor).for_each(|tensor| lost += tensor.error);
        let own = own(&run.measured.evaluations);
        Metrics {
            parameters,
            input_bytes,
            output_bytes,
            tensor_bytes,
            bpw: tensor_bytes as f64 * 8.0 / parameters as f64,
            memory_reduction: 1.0 - tensor_bytes as f64 / (4.0 * parameters as f64),
            file_reduction: 1.0 - output_bytes as f64 / input_bytes as f64,
            kv_cache_bytes: kv_cache_bytes(run.gguf.metadata(), run.gguf.tensors(), run.context)
                .ok(),
            memory: run.config.memory(),
            context: run.context,
            relative_error: (!run.dry_run).then(|| lost.relative()),
            degradation: own.map(Evaluation::degradation),
            mean_kld: own.map(|own| own.statistics.kld.value),
            same_top: own.map(|own| own.statistics.same_top.value),
        }
    }
}

impl TensorReport {
    fn of((planned, lost): (&Planned, &Option<Lost>)) -> TensorReport {
        let spec = &planned.spec;
        let row_len = spec.shape.row_len();
        let note = match planned.choice {
            Choice::Encoded | Choice::Copied => None,
            Choice::OnGrid => Some("norm moved to 256 even levels, stored in F32".to_string()),
            Choice::InsteadOf(asked) => Some(match asked.fits(row_len) {
                false => format!(
                    "{} instead of {asked}, whose blocks of {} do not divide rows of {row_len}",
                    spec.format,
                    asked.block_len()
                ),
                true => format!(
                    "{} instead of {asked}, which cannot hold weights or inputs so large",
                    spec.format
                ),
            }),
            Choice::OnLattice(Fit::Exact) => {
                Some(format!("on the lattice of {}, which holds all weights exactly", spec.format))
            }
            Choice::OnLattice(Fit::Near) => Some(format!(
                "on the lattice of {}, but for scales that are no F16: they were rounded to one",
                spec.format
            )),
            Choice::AlreadyQuantized => {
                Some(format!("already quantized to {}: kept as it is", spec.format))
            }
            Choice::CopiedForRows => {
                let format = spec.format;
                Some(format!("copied in {format}: no allowed format divides rows of {row_len}"))
            }
        };
        TensorReport {
            name: spec.name.clone(),
            role: planned.role,
            kind: Kind::of(&spec.name).to_string(),
            shape: spec.shape.dims().to_vec(),
            from: planned.from.name(),
            format: spec.format.name(),
            bytes: spec.format.bytes_of(spec.shape.elements()).unwrap_or(0),
            note,
            relative_error: lost.map(|lost| lost.error.relative()),
            lost_rows: lost.map_or(0, |lost| lost.rows),
            first_lost_row: lost.and_then(|lost| lost.first),
        }
    }
}
