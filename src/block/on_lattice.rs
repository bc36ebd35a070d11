//! A block whose weights may lie on the lattice of its format.

use super::stored::Stored;
use crate::gguf::Format;

/// How near the blocks of a lattice come to the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fit {
    /// They decode to the weights themselves, in the precision of the file.
    Exact,
    /// The codes are those of the weights, whose scales are no F16: each is off by 2^-11 at most,
    /// and by half a step of the file's precision.
    Near,
}

/// A block to fill.
pub(super) struct Block<'b> {
    pub format: Format,
    /// How the file rounds weights.
    pub stored: Stored,
    /// The weights.
    pub x: &'b [f32],
    pub bytes: &'b mut [u8],
}
