//! The plan: role and format of every tensor.

use std::collections::BTreeMap;

use crate::block::SharedScale;
use crate::block::lattice::Fit;
use crate::gguf::{Format, TensorSpec};
use crate::model::{Kind, Role};

use super::candidate::{Candidate, How};
use super::size::{Bytes, line, line_bytes};

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

    /// Bytes of the tensors, and what they add to a file with this alignment.
    pub fn bytes(&self, alignment: u64) -> Bytes {
        let tensors = self.tensors.iter().map(|tensor| {
            let bytes = tensor.spec.format.bytes_of(tensor.spec.shape.elements()).unwrap_or(0);
            Bytes::of_tensor(bytes, alignment)
        });
        let lines =
            self.counts().into_iter().map(|((kind, format), n)| line_bytes(&kind, format, n));
        tensors.chain(lines).sum()
    }

    /// One line for each kind and format that tensors are encoded in, as it stands in the file's
    /// metadata: `attention q: Q4_K x 30`.
    pub fn lines(&self) -> Vec<String> {
        self.counts().into_iter().map(|((kind, format), n)| line(&kind, format, n)).collect()
    }

    fn counts(&self) -> BTreeMap<(Kind, Format), usize> {
        let mut counts = BTreeMap::new();
        for tensor in self.tensors.iter().filter(|tensor| tensor.choice.is_encoded()) {
            *counts.entry((Kind::of(&tensor.spec.name), tensor.spec.format)).or_default() += 1;
        }
        counts
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
