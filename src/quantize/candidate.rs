//! A format that a tensor may get, and how it gets there.

use crate::block::SharedScale;
use crate::block::lattice::Fit;
use crate::gguf::Format;

/// A format that a tensor may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The format.
    pub format: Format,
    /// What its blocks share, if they are searched for.
    pub shared: Option<SharedScale>,
    /// How it gets there.
    pub how: How,
}

/// How a tensor gets into a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// By the best blocks that are found.
    Encoded,
    /// The same, where this format was asked for, which cannot hold the tensor: its blocks do not
    /// divide the rows, or its values do not reach as far.
    InsteadOf(Format),
    /// By the blocks that decode to its weights, which lie on the format's lattice.
    OnLattice(Fit),
    /// Not at all: it is stored so already.
    Copied,
}

impl Candidate {
    /// By the best blocks that are found.
    pub fn encoded(format: Format) -> Candidate {
        Candidate::by(How::Encoded, format)
    }

    /// In blocks of their own scales, in this way.
    pub fn by(how: How, format: Format) -> Candidate {
        Candidate { format, shared: None, how }
    }

    /// Whether its blocks are searched for: other blocks stand for their weights as they are, and
    /// neither compensation nor training has anything to make good.
    pub fn is_searched(self) -> bool {
        matches!(self.how, How::Encoded | How::InsteadOf(_))
    }
}
