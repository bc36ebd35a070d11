//! What may become of a tensor.

use crate::gguf::{Format, TensorInfo, TensorSpec};
use crate::model::Role;

use super::candidate::Candidate;
use super::plan::{Choice, Planned};

/// What may become of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub enum Options {
    /// Not encoded.
    Kept(Kept),
    /// Encoded in one of these, or left in the format that it has.
    Formats(Vec<Candidate>),
}

impl Options {
    /// The formats that it may get.
    pub fn candidates(&self) -> &[Candidate] {
        match self {
            Options::Kept(_) => &[],
            Options::Formats(candidates) => candidates,
        }
    }

    /// What becomes of a tensor with these options; if it is encoded, in the candidate `chosen`.
    pub fn planned(&self, tensor: &TensorInfo, chosen: impl FnOnce() -> Candidate) -> Planned {
        let as_it_is = |choice| (tensor.format, choice, None);
        let (format, choice, shared) = match self {
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
}

/// What happens to a tensor that is not encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kept {
    OnGrid,
    Copied,
    CopiedForRows,
    /// In blocks already.
    AlreadyQuantized,
}
