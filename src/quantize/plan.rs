//! The plan: role and format of every tensor.

use crate::block;
use crate::calibrate::Importance;
use crate::config::{Config, Strategy};
use crate::gguf::{Format, Gguf, TensorInfo, TensorSpec};
use crate::model::{Overflow, Role, architecture_name, may_quantize};

use super::budget::Fixed;
use super::choose::{Candidate, Chosen, Groups};
use super::encode::EncodeError;
use super::fixed;
use super::searchable::Searchable;
use super::size::{Bytes, Header};

/// The format of every tensor, in the order of the file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// All tensors.
    pub tensors: Vec<Planned>,
    /// What the user should know: limits that gave way.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Name, format and shape of every tensor of the output.
    pub fn specs(&self) -> Vec<TensorSpec> {
        self.tensors.iter().map(|tensor| tensor.spec.clone()).collect()
    }
}

/// What becomes of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its name, its format in the output, its shape.
    pub spec: TensorSpec,
    /// What it does.
    pub role: Role,
    /// Its format in the input.
    pub from: Format,
    /// How it comes to the output.
    pub choice: Choice,
}

/// How a tensor comes to the output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// Encoded in the format that was asked for, or chosen from all.
    Encoded,
    /// Encoded in another format than the one asked for, whose blocks do not divide its rows.
    InsteadOf(Format),
    /// Norm whose values were moved to 256 levels.
    OnGrid,
    /// Copied: llama.cpp takes it in full precision only.
    Copied,
    /// Copied: the blocks of no allowed format divide its rows.
    CopiedForRows,
}

impl Choice {
    /// Whether the tensor is stored in a block format.
    pub fn is_encoded(self) -> bool {
        matches!(self, Choice::Encoded | Choice::InsteadOf(_))
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to do.
    #[error("the model holds no tensor that can be quantized to the allowed formats")]
    NothingToQuantize,
    /// The input is not in full precision.
    #[error(
        "tensor {tensor} is already quantized, to {format}; quantize from the full-precision model, \
         or accept the double loss with --allow-requantize"
    )]
    AlreadyQuantized {
        /// The first such tensor.
        tensor: String,
        /// What it is stored in.
        format: Format,
    },
    /// The input cannot be read.
    #[error("tensor {tensor} is stored in {format}, which cannot be decoded here")]
    Undecodable {
        /// The first such tensor.
        tensor: String,
        /// What it is stored in.
        format: Format,
    },
    /// The input has what the output must not have.
    #[error(
        "tensor {tensor} is kept in {format}, which is not among the formats that --portable keeps \
         to; quantize from a model that has it in full precision, or leave --portable out"
    )]
    Unportable {
        /// The first such tensor.
        tensor: String,
        /// What it is stored in.
        format: Format,
    },
    /// A limit cannot be met.
    #[error("{0}")]
    Unreachable(String),
    /// A tensor whose inputs llama.cpp cannot hold in any of its formats.
    #[error(
        "tensor {tensor} in {formats}: {overflow}: what it computes would be NaN; {}: allow one of \
         those (--formats, --bits, --strategy search)",
        .overflow.kept.way_out()
    )]
    Overflow {
        /// The tensor.
        tensor: String,
        /// Those that it may have.
        formats: String,
        /// What is too large.
        overflow: Overflow,
    },
    /// A weight that no format can hold.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// What may become of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Options {
    /// Not encoded.
    Kept(Kept),
    /// Encoded in one of these.
    Formats(Vec<Candidate>),
}

impl Options {
    /// The formats that it may be encoded in.
    pub(super) fn candidates(&self) -> &[Candidate] {
        match self {
            Options::Kept(_) => &[],
            Options::Formats(candidates) => candidates,
        }
    }
}

/// What happens to a tensor that is not encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kept {
    OnGrid,
    Copied,
    CopiedForRows,
}

/// Chooses the format of every tensor. `header` is what the file has beside the tensors, with the
/// flags of `config`; `context` the tokens that must fit in memory. Errors are weighted by
/// `importance` where it is known.
pub fn plan(
    gguf: &Gguf,
    config: &Config,
    importance: &Importance,
    header: Header,
    context: u64,
) -> Result<Plan, PlanError> {
    Searchable::new(gguf, config, header, context)?.best_by_role(gguf, config, importance)
}

/// The plan in which each group of tensors has its chosen format.
pub(super) fn plan_of(gguf: &Gguf, options: &[Options], chosen: Chosen) -> Plan {
    let Chosen { candidates: chosen, warnings } = chosen;
    let planned = |(tensor, options): (&TensorInfo, &Options)| {
        planned_with(tensor, options, || chosen[&(Role::of(&tensor.name), options.candidates())])
    };
    let tensors = gguf.tensors().iter().zip(options).map(planned).collect();
    Plan { tensors, warnings }
}

/// What becomes of a tensor that is encoded, if it is, in the candidate `chosen`.
pub(super) fn planned_with(
    tensor: &TensorInfo,
    options: &Options,
    chosen: impl FnOnce() -> Candidate,
) -> Planned {
    let (format, choice) = match options {
        Options::Kept(Kept::OnGrid) => (Format::F32, Choice::OnGrid),
        Options::Kept(Kept::Copied) => (tensor.format, Choice::Copied),
        Options::Kept(Kept::CopiedForRows) => (tensor.format, Choice::CopiedForRows),
        Options::Formats(_) => {
            let Candidate { format, instead_of } = chosen();
            (format, instead_of.map_or(Choice::Encoded, Choice::InsteadOf))
        }
    };
    let spec = TensorSpec { format, ..tensor.spec() };
    Planned { spec, role: Role::of(&tensor.name), from: tensor.format, choice }
}

pub(super) fn options_of_all(gguf: &Gguf, config: &Config) -> Result<Vec<Options>, PlanError> {
    gguf.tensors().iter().map(|tensor| options(gguf, tensor, config)).collect()
}

/// The tensors that get the same format.
pub(super) fn groups<'a>(gguf: &'a Gguf, options: &'a [Options]) -> Result<Groups<'a>, PlanError> {
    let mut groups = Groups::new();
    for (tensor, options) in gguf.tensors().iter().zip(options) {
        if let Options::Formats(candidates) = options {
            let role = groups.entry(Role::of(&tensor.name)).or_default();
            role.entry(candidates).or_default().push(tensor);
        }
    }
    match groups.is_empty() {
        true => Err(PlanError::NothingToQuantize),
        false => Ok(groups),
    }
}

/// The formats that a tensor may get.
fn options(gguf: &Gguf, tensor: &TensorInfo, config: &Config) -> Result<Options, PlanError> {
    let role = Role::of(&tensor.name);
    let full_precision = matches!(tensor.format, Format::F32 | Format::F16 | Format::BF16);
    if !may_quantize(architecture_name(gguf.metadata()), &tensor.name, &tensor.shape) {
        let on_grid = config.strategy == Strategy::Fixed
            && role == Role::Norm
            && tensor.format == Format::F32;
        return Ok(Options::Kept(if on_grid { Kept::OnGrid } else { Kept::Copied }));
    }
    if tensor.format.block_len() == 1 && !full_precision {
        return Ok(Options::Kept(Kept::Copied)); // integers
    }
    let name = || tensor.name.clone();
    if !block::can_decode(tensor.format) {
        return Err(PlanError::Undecodable { tensor: name(), format: tensor.format });
    }
    if !full_precision && !config.allow_requantize {
        return Err(PlanError::AlreadyQuantized { tensor: name(), format: tensor.format });
    }
    let formats = match config.strategy {
        Strategy::Fixed => {
            let row = fixed::row(role, config.portable);
            fitting([row.format], tensor.row_len(), |_| row.by_32)
        }
        Strategy::Search => {
            let listed = config.formats.is_some();
            let asked = config.palette();
            let fits = asked.iter().any(|format| format.fits(tensor.row_len()));
            if fits || !listed {
                let fits = |format: &Format| format.fits(tensor.row_len());
                let candidate = |format| Candidate { format, instead_of: None };
                asked.into_iter().filter(fits).map(candidate).collect()
            } else {
                fitting(asked, tensor.row_len(), |format| stand_in(config, format))
            }
        }
    };
    Ok(if formats.is_empty() {
        Options::Kept(Kept::CopiedForRows)
    } else {
        Options::Formats(formats)
    })
}

/// Each format, or its stand-in where it does not fit the rows; what fits in no way is left out.
fn fitting(
    formats: impl IntoIterator<Item = Format>,
    row_len: usize,
    stand_in: impl Fn(Format) -> Format,
) -> Vec<Candidate> {
    let candidate = |format: Format| match format.fits(row_len) {
        true => Candidate { format, instead_of: None },
        false => Candidate { format: stand_in(format), instead_of: Some(format) },
    };
    let fits = |candidate: &Candidate| candidate.format.fits(row_len);
    let mut candidates: Vec<Candidate> = formats.into_iter().map(candidate).filter(fits).collect();
    candidates.dedup_by_key(|candidate| candidate.format);
    candidates
}

/// The block-32 format that stands in for a block-256 one: of the bits allowed, the largest that is
/// no larger, else the smallest.
fn stand_in(config: &Config, format: Format) -> Format {
    let candidates: Vec<Format> = config.of_bits().filter(|f| f.block_len() == 32).collect();
    let no_larger = candidates.iter().filter(|candidate| candidate.bpw() <= format.bpw());
    // The palette is ordered by size, and of equal ones the first loses least.
    let best = no_larger.rev().max_by(|a, b| a.bpw().total_cmp(&b.bpw()));
    best.or(candidates.first()).copied().unwrap_or(format)
}

/// What does not depend on the choice of formats.
pub(super) fn fixed_part(gguf: &Gguf, options: &[Options], header: Header, kv_cache: u64) -> Fixed {
    let mut fixed =
        Fixed { parameters: 0, quantized_parameters: 0, kept: Bytes::default(), header, kv_cache };
    for (tensor, options) in gguf.tensors().iter().zip(options) {
        fixed.parameters += tensor.elements();
        match options {
            Options::Formats(_) => fixed.quantized_parameters += tensor.elements(),
            Options::Kept(_) => fixed.kept += Bytes::of_tensor(tensor.bytes(), header.alignment),
        }
    }
    fixed
}
