//! The plan: role and format of every tensor.

use crate::block::SharedScale;
use crate::block::lattice::Fit;
use crate::calibrate::Importance;
use crate::config::Config;
use crate::gguf::{Format, Gguf, TensorInfo, TensorSpec};
use crate::hardware::Hardware;
use crate::model::{Kind, Overflow, Role};

use super::budget::{AlreadyQuantized, Fixed};
use super::candidate::{Candidate, How};
use super::choose::{Chosen, Groups};
use super::encode::EncodeError;
use super::options::{Kept, Options};
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
    /// What its blocks share, where they are encoded so.
    pub shared: Option<SharedScale>,
}

/// How a tensor comes to the output.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// Encoded in the format that was asked for, or chosen from all.
    Encoded,
    /// Encoded in another format than the one asked for, whose blocks do not divide its rows, or
    /// which does not hold its largest weights.
    InsteadOf(Format),
    /// Encoded in the format whose lattice its weights lie on.
    OnLattice(Fit),
    /// Copied: it is quantized already, and nothing asks for fewer bits.
    AlreadyQuantized,
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
        matches!(self, Choice::Encoded | Choice::InsteadOf(_) | Choice::OnLattice(_))
    }
}

impl From<How> for Choice {
    fn from(how: How) -> Choice {
        match how {
            How::Encoded => Choice::Encoded,
            How::InsteadOf(format) => Choice::InsteadOf(format),
            How::OnLattice(fit) => Choice::OnLattice(fit),
            How::Copied => Choice::AlreadyQuantized,
        }
    }
}

impl Planned {
    /// The format that it is encoded in, if it is, and how.
    pub(super) fn candidate(&self) -> Option<Candidate> {
        let how = match self.choice {
            Choice::Encoded => How::Encoded,
            Choice::InsteadOf(format) => How::InsteadOf(format),
            Choice::OnLattice(fit) => How::OnLattice(fit),
            _ => return None,
        };
        Some(Candidate { format: self.spec.format, shared: self.shared, how })
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to do.
    #[error("the model holds no tensor that can be quantized to the allowed formats")]
    NothingToQuantize,
    /// Nothing of the input is in full precision.
    #[error(
        "tensor {tensor} is already quantized, to {format}, and so is all else that could be; \
         quantize from the full-precision model, or let tensors get fewer bits, at a double loss, \
         with --allow-requantize"
    )]
    AlreadyQuantized {
        /// The first such tensor.
        tensor: String,
        /// What it is stored in.
        format: Format,
    },
    /// A weight that no allowed format can hold.
    #[error("{weight}, the widest that {allowed} allows; {}", able(*.could))]
    Beyond {
        /// The weight, and the widest of the allowed formats.
        weight: EncodeError,
        /// The flag that says which formats are allowed.
        allowed: String,
        /// The smallest format that could hold it, if any.
        could: Option<Format>,
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
    /// The input has what a TPU cannot multiply.
    #[error(
        "tensor {tensor} is kept in {format}, whose blocks share no scales as --hardware tpu needs \
         them to; quantize from a model that has it in full precision, or for another --hardware"
    )]
    OffGrid {
        /// The first such tensor.
        tensor: String,
        /// What it is stored in.
        format: Format,
    },
    /// Two tensors that are loaded as one cannot have the same format.
    #[error(
        "tensors {tensor} and {other} are loaded as one on a TPU, and need one format, but none \
         that is allowed holds both: allow more (--bits, --formats, --strategy search)"
    )]
    Apart {
        /// One of them.
        tensor: String,
        /// The other.
        other: String,
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
    /// A weight that is no number.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Which format could hold a weight.
fn able(could: Option<Format>) -> String {
    match could {
        Some(format) => format!("{format} could hold the tensor"),
        None => "no block format could hold the tensor".into(),
    }
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

/// The tensors, each with the format that was chosen for its group.
pub(super) fn planned(
    gguf: &Gguf,
    hardware: Hardware,
    options: &[Options],
    chosen: &Chosen,
) -> Vec<Planned> {
    let planned = |(tensor, options): (&TensorInfo, &Options)| {
        let kind = Kind::of(&hardware.loaded_as(&tensor.name));
        planned_with(tensor, options, || chosen[&(kind, options.candidates())])
    };
    gguf.tensors().iter().zip(options).map(planned).collect()
}

/// What becomes of a tensor that is encoded, if it is, in the candidate `chosen`.
pub(super) fn planned_with(
    tensor: &TensorInfo,
    options: &Options,
    chosen: impl FnOnce() -> Candidate,
) -> Planned {
    let as_it_is = |choice| (tensor.format, choice, None);
    let (format, choice, shared) = match options {
        Options::Kept(Kept::OnGrid) => (Format::F32, Choice::OnGrid, None),
        Options::Kept(Kept::Copied) => as_it_is(Choice::Copied),
        Options::Kept(Kept::CopiedForRows) => as_it_is(Choice::CopiedForRows),
        Options::Kept(Kept::AlreadyQuantized) => as_it_is(Choice::AlreadyQuantized),
        Options::Formats(_) => {
            let Candidate { format, shared, how } = chosen();
            (format, how.into(), shared)
        }
    };
    let spec = TensorSpec { format, ..tensor.spec() };
    Planned { spec, role: Role::of(&tensor.name), from: tensor.format, choice, shared }
}

/// The tensors that get the same format: of a kind, and of kinds that the hardware loads as one.
pub(super) fn groups<'a>(gguf: &'a Gguf, hardware: Hardware, options: &'a [Options]) -> Groups<'a> {
    let mut groups = Groups::new();
    for (tensor, options) in gguf.tensors().iter().zip(options) {
        if let Options::Formats(candidates) = options {
            let kind = Kind::of(&hardware.loaded_as(&tensor.name));
            let kind = groups.entry(kind).or_default();
            kind.entry(candidates).or_default().push(tensor);
        }
    }
    groups
}

/// What does not depend on the choice of formats; `kv_cache` in bytes.
pub(super) fn fixed_part(gguf: &Gguf, options: &[Options], header: Header, kv_cache: u64) -> Fixed {
    let mut fixed = Fixed {
        parameters: 0,
        quantized_parameters: 0,
        kept: Bytes::default(),
        already: AlreadyQuantized::default(),
        header,
        kv_cache,
    };
    for (tensor, options) in gguf.tensors().iter().zip(options) {
        fixed.parameters += tensor.elements();
        match options {
            Options::Formats(_) => fixed.quantized_parameters += tensor.elements(),
            Options::Kept(kept) => {
                fixed.kept += Bytes::of_tensor(tensor.bytes(), header.alignment);
                if *kept == Kept::AlreadyQuantized {
                    fixed.already.add(tensor);
                }
            }
        }
    }
    fixed
}
