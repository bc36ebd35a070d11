//! 8-bit codes of truth values.
//!
//! Whatever the codec, a decoded value is looked up in a table of levels, so that one reader serves
//! all of them and a stored column can be read in place. Codecs differ in how the levels are laid:
//!
//! - [`Codec::Palette`]: the distinct pairs themselves, up to 256 of them; lossless.
//! - [`Codec::Uniform`], [`Codec::LogCount`], [`Codec::PerColumn`]: a byte for the strength and one
//!   for the confidence, under guards (below); what no level comes near enough is kept exactly, as
//!   an exception.
//! - [`Codec::PlainUniform`]: the specification's 8-bit uniform code, which guards nothing. It is
//!   there to be compared with.
//!
//! What a codec gave is coded so again, by the same codes: packing what was exported changes nothing
//! any more.
//!
//! The guards: exact 0, exact 1 and the default truth value (1, 0) stay what they are, nothing else
//! becomes one of them, what is outside of \[0, 1\] stays outside on its side, the tests of PLN's
//! deduction on a strength or a confidence of 0.99 have the same outcome, and no two values change
//! places. Errors are those that PLN sees: relative to the strength, and relative to the count that
//! the confidence stands for (see [`Quantity`]).

mod choose;
mod coded;
mod column;
mod damage;
mod fit;
mod laid;
mod lattice;
mod quantity;
#[cfg(test)]
mod tests;

pub use choose::{Codec, TOLERANCE, choose};
pub use coded::{Coded, Palette};
pub use column::{Column, MAX_LEVELS};
pub use damage::{ColumnDamage, Damage};
pub use quantity::Quantity;

/// Strength and confidence of a simple truth value, as stored: AtomSpace clamps neither.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// The strength (mean).
    pub strength: f64,
    /// The confidence.
    pub confidence: f64,
}

impl Truth {
    /// What an atom has that nothing was said of.
    pub const DEFAULT: Truth = Truth { strength: 1.0, confidence: 0.0 };

    /// The bits of both, by which values are told apart without loss.
    fn bits(self) -> (u64, u64) {
        (self.strength.to_bits(), self.confidence.to_bits())
    }
}
