//! The figures that the specification promises beside size and loss: how fast the model is, how much
//! of the memory and of the machine it uses, and how far its activations are from those of the input.
//! `docs/figures.md` defines each with its unit.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::Config;
use crate::gguf::TensorSpec;
use crate::hardware::{Hardware, SpeedFloor, SpeedUp, Utilisation, Workload};
use crate::model::{Phase, Role, layer_part};
use crate::quantize::Record;
use crate::validate::{Alignment, Ceilings, LayerAlignment, MemoryUse, Speeds};

use super::numbers::bytes;
use super::{Run, TensorReport};

/// Layers that are named as the worst aligned.
const WORST: usize = 3;

/// What was seen of a finished model.
pub(crate) struct Seen {
    /// Speed against Q4_0, as the plan has it.
    pub against_q4_0: RelativeSpeed,
    /// Tokens a second on this machine, and what it can do; or why nobody looked.
    pub speeds: Result<SpeedsSeen, String>,
    /// How far activations moved; or why nobody looked.
    pub alignment: Result<Alignment, String>,
}

/// Tokens a second of both models on this machine.
pub(crate) struct SpeedsSeen {
    pub source: SpeedSource,
    pub input: Speeds,
    pub output: Speeds,
    pub ceilings: Ceilings,
}

/// The promised figures. What could not be had is among `left_out`, with the reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// How much faster the model is than the input, on this machine.
    pub speed_up: Option<SpeedFigure>,
    /// How fast it is on the machine that it is for, against the same model in Q4_0, reckoned by
    /// format.
    pub against_q4_0: RelativeSpeed,
    /// How much memory it takes.
    pub memory: Option<MemoryFigure>,
    /// How much it uses of this machine.
    pub hardware: Option<HardwareFigure>,
    /// How far its activations are from those of the input.
    pub alignment: Option<AlignmentFigure>,
    /// The figures that are not here.
    pub left_out: Vec<LeftOut>,
}

/// A figure that could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Its key.
    pub figure: &'static str,
    /// Why.
    pub reason: String,
}

/// Tokens a second, before and after.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeedFigure {
    /// Where they come from.
    pub source: SpeedSource,
    /// Whether this machine is of the kind that the model is for. Where it is not, they are told all
    /// the same, for this machine.
    pub on_target: bool,
    /// Of the input.
    pub input: Speeds,
    /// Of the quantized model.
    pub output: Speeds,
    /// Those of the quantized model over those of the input.
    pub ratio: SpeedUp,
}

/// Where speeds come from.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum SpeedSource {
    /// llama-bench measured them: medians of alternating runs.
    Measured {
        /// The program.
        #[serde(serialize_with = "super::lossy")]
        program: PathBuf,
        /// Runs of each model.
        rounds: usize,
        /// How far runs of one model lie apart at most, over the median; of several runs.
        spread: Option<f64>,
        /// The back ends of llama.cpp that it ran on.
        backends: String,
    },
    /// From what each matrix takes, and this machine's bandwidth and matrix rate.
    Estimated {
        /// Why nothing was measured.
        because: String,
    },
}

/// Speeds against those of the same model with all its matrices in Q4_0.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RelativeSpeed {
    /// Of generating a token.
    pub generation: f64,
    /// Of reading a prompt.
    pub prompt: f64,
    /// The floor that was asked for, if one was.
    #[serde(serialize_with = "as_flag")]
    pub asked: Option<SpeedFloor>,
}

fn as_flag<S: serde::Serializer>(floor: &Option<SpeedFloor>, to: S) -> Result<S::Ok, S::Error> {
    floor.map(|floor| floor.to_string()).serialize(to)
}

/// What llama.cpp allocates, in bytes, and its share of the memory that the model had to fit in.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MemoryFigure {
    /// What is allocated.
    #[serde(flatten)]
    pub bytes: MemoryUse,
    /// Weights, KV cache and compute buffers together.
    pub needed: u64,
    /// What llama.cpp's own log adds up to: `needed`, and the repacked copies.
    pub allocated: u64,
    /// `needed` over the memory of the machine.
    pub utilisation: f64,
}

/// What the model uses of this machine, and what there is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct HardwareFigure {
    /// What there is, as measured.
    pub ceilings: Ceilings,
    /// While tokens are generated.
    pub generation: Utilisation,
    /// While a prompt is read.
    pub prompt: Utilisation,
}

/// How far activations moved, and what is known of why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlignmentFigure {
    /// Layer by layer.
    #[serde(flatten)]
    pub alignment: Alignment,
    /// The layers that are worst aligned, the worst first.
    pub worst: Vec<Worst>,
}

/// A layer that is badly aligned.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Worst {
    /// Counted from 0.
    pub layer: usize,
    /// How far it moved.
    pub jensen_shannon: f64,
    /// Cosine to the stream of the input.
    pub cosine: f64,
    /// Squared error of its stream, as a share.
    pub error: f64,
    /// That of the stream that it began with: what came with the layers before.
    pub error_before: f64,
    /// Its tensors that were encoded, by format.
    pub formats: BTreeMap<&'static str, usize>,
    /// The one with the largest error.
    pub largest: Option<LargestError>,
}

/// The tensor of a layer with the largest error.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LargestError {
    /// Its name.
    pub tensor: String,
    /// What it does.
    pub role: Role,
    /// Its format.
    pub format: &'static str,
    /// Its squared error as a share.
    pub error: f64,
    /// Whether the error is that of what the tensor computes, as the search found it; else it is that
    /// of its weights.
    pub of_outputs: bool,
}

impl Figures {
    pub(super) fn of(run: &Run, tensors: &[TensorReport]) -> Figures {
        let mut left_out = Vec::new();
        let mut leave_out = |figure, reason: String| left_out.push(LeftOut { figure, reason });
        let Seen { against_q4_0, speeds, alignment } = &run.seen;
        let specs = run.plan.specs();
        let (mut speed_up, mut hardware) = (None, None);
        match speeds {
            Ok(seen) => {
                speed_up = Some(SpeedFigure::of(seen, run.config.hardware));
                hardware = Some(HardwareFigure::of(seen, &Workload::of(run.gguf, &specs)));
            }
            Err(reason) => {
                leave_out("speed_up", reason.clone());
                leave_out("hardware", reason.clone());
            }
        }
        let memory = memory(run, &specs).map_err(|reason| leave_out("memory", reason)).ok();
        let search = run.measured.search.as_ref();
        let alignment = alignment.clone().map_err(|reason| leave_out("alignment", reason)).ok();
        let alignment = alignment.map(|alignment| AlignmentFigure::of(alignment, tensors, search));
        let against_q4_0 = *against_q4_0;
        Figures { speed_up, against_q4_0, memory, hardware, alignment, left_out }
    }
}

impl Figures {
    /// That a model needs more than the memory it is for, if it does: the limit of a plan is on file
    /// and KV cache.
    pub(super) fn beyond_memory(&self, config: &Config) -> Option<String> {
        let memory = self.memory.filter(|memory| memory.utilisation > 1.0)?;
        Some(format!(
            "with the {} that llama.cpp computes in, the model needs {}, more than {}: allow that \
             much, or a smaller --context",
            bytes(memory.bytes.compute),
            bytes(memory.needed),
            config.memory()
        ))
    }
}

fn memory(run: &Run, specs: &[TensorSpec]) -> Result<MemoryFigure, String> {
    let bytes = MemoryUse::of(run.gguf, specs, run.config.hardware == Hardware::Cpu, run.context);
    let mut bytes = bytes.map_err(|reason| reason.to_string())?;
    if let Some(pack) = &run.pack {
        bytes.weights = pack.bytes;
    }
    let utilisation = bytes.utilisation(run.config.memory().bytes());
    let (needed, allocated) = (bytes.needed(), bytes.allocated());
    Ok(MemoryFigure { bytes, needed, allocated, utilisation })
}

impl SpeedFigure {
    fn of(seen: &SpeedsSeen, hardware: Hardware) -> SpeedFigure {
        let SpeedsSeen { source, input, output, .. } = seen;
        let on_target = match (hardware, source) {
            (Hardware::Cpu, SpeedSource::Estimated { .. }) => true,
            (Hardware::Cpu, SpeedSource::Measured { .. }) => true,
            (Hardware::Gpu, SpeedSource::Measured { backends, .. }) => has_gpu(backends),
            _ => false,
        };
        let ratio = SpeedUp::of(input, output);
        SpeedFigure { source: source.clone(), on_target, input: *input, output: *output, ratio }
    }
}

/// Whether any of llama.cpp's back ends, `CUDA,CPU` for example, is a graphics card's.
fn has_gpu(backends: &str) -> bool {
    ["cuda", "rocm", "vulkan", "metal", "mtl", "sycl", "musa", "opencl"]
        .iter()
        .any(|name| backends.to_ascii_lowercase().contains(name))
}

impl HardwareFigure {
    fn of(seen: &SpeedsSeen, work: &Workload) -> HardwareFigure {
        let ceilings = seen.ceilings;
        let of = |phase| Utilisation::of(work, &seen.output, &ceilings, phase);
        let (generation, prompt) = (of(Phase::Generation), of(Phase::Prompt));
        HardwareFigure { ceilings, generation, prompt }
    }
}

impl AlignmentFigure {
    fn of(
        alignment: Alignment,
        tensors: &[TensorReport],
        search: Option<&Record>,
    ) -> AlignmentFigure {
        let worst = alignment.worst(WORST).into_iter();
        let worst = worst.map(|layer| Worst::of(layer, &alignment, tensors, search)).collect();
        AlignmentFigure { alignment, worst }
    }
}

impl Worst {
    fn of(
        of: &LayerAlignment,
        alignment: &Alignment,
        tensors: &[TensorReport],
        search: Option<&Record>,
    ) -> Worst {
        let LayerAlignment { layer, jensen_shannon, cosine, error, .. } = *of;
        let is_here = |tensor: &&TensorReport| {
            let here = layer_part(&tensor.name).is_some_and(|(of, _)| of == layer);
            here && tensor.relative_error.is_some()
        };
        let here: Vec<&TensorReport> = tensors.iter().filter(is_here).collect();
        let mut formats = BTreeMap::new();
        here.iter().for_each(|tensor| *formats.entry(tensor.format).or_default() += 1);
        let errors = here.iter().filter_map(|tensor| LargestError::of(tensor, search));
        let before = layer.checked_sub(1).map(|before| alignment.layers[before].error);
        Worst {
            layer,
            jensen_shannon,
            cosine,
            error,
            error_before: before.unwrap_or(0.0),
            formats,
            largest: errors.max_by(|a, b| {
                // What a tensor computes says more than what it is.
                a.of_outputs.cmp(&b.of_outputs).then(a.error.total_cmp(&b.error))
            }),
        }
    }
}

impl LargestError {
    /// The error of a tensor, as far as it is known.
    fn of(tensor: &TensorReport, search: Option<&Record>) -> Option<LargestError> {
        let costs = search.into_iter().flat_map(|record| &record.sensitivities);
        let of_tensor = costs.filter(|costs| costs.tensor == tensor.name);
        let cost = of_tensor.flat_map(|costs| &costs.formats).find(|it| it.format == tensor.format);
        let (error, of_outputs) = match cost {
            Some(cost) => (cost.output_error, true),
            None => (tensor.relative_error?, false),
        };
        let (tensor, role, format) = (tensor.name.clone(), tensor.role, tensor.format);
        Some(LargestError { tensor, role, format, error, of_outputs })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::told;

    #[test]
    fn back_ends_tell_of_a_gpu() {
        assert!(has_gpu("CUDA") && has_gpu("Vulkan,CPU") && has_gpu("MTL,BLAS"));
        assert!(!has_gpu("CPU") && !has_gpu("BLAS") && !has_gpu(""));
    }

    fn layer(layer: usize, jensen_shannon: f64, error: f64) -> LayerAlignment {
        let (mean_drift, deviation_drift, cosine) = (0.0, 0.0, 1.0 - error);
        LayerAlignment { layer, mean_drift, deviation_drift, jensen_shannon, cosine, error }
    }

    fn tensor(name: &str, format: &'static str, relative_error: f64) -> TensorReport {
        TensorReport {
            name: name.into(),
            role: Role::of(name),
            kind: String::new(),
            shape: vec![32, 32],
            from: "F16",
            format,
            bytes: 1,
            note: None,
            relative_error: Some(relative_error),
            lost_rows: 0,
            first_lost_row: None,
        }
    }

    #[test]
    fn the_worst_layers_are_named_with_what_is_known_of_why() {
        let divergences = [1e-4, 9e-4, 2e-4, 5e-4];
        let layers = divergences.iter().enumerate();
        let layers = layers.map(|(i, &bits)| layer(i, bits, 1e-3 * (i + 1) as f64)).collect();
        let tensors = [
            tensor("blk.1.attn_q.weight", "Q4_K", 2e-3),
            tensor("blk.1.ffn_down.weight", "Q4_K", 7e-3),
            tensor("blk.1.ffn_up.weight", "Q6_K", 1e-4),
            tensor("blk.3.ffn_up.weight", "Q8_0", 1e-5),
        ];
        let alignment = Alignment { tokens: 10, layers };
        let figure = AlignmentFigure::of(alignment, &tensors, None);
        let worst: Vec<usize> = figure.worst.iter().map(|worst| worst.layer).collect();
        assert_eq!(worst, [1, 3, 2]);
        let first = &figure.worst[0];
        assert_eq!(first.formats, BTreeMap::from([("Q4_K", 2), ("Q6_K", 1)]));
        assert_eq!(first.error_before, 1e-3);
        let largest = first.largest.as_ref().unwrap();
        assert_eq!((largest.role, largest.error), (Role::FfnDown, 7e-3));
        assert!(figure.worst[2].largest.is_none());
        let lines = told::figures::worst(first);
        let told = [
            "layer 1: divergence 9.00e-4 bits, error 2.0e-3, 1.0e-3 before it",
            "  most by ffn down in Q4_K: 7.0e-3 of the square of its weights",
            "  Q4_K x 2, Q6_K x 1",
        ];
        assert_eq!(lines, told);
    }
}
