//! The precision of a file: which numbers a weight in it may have been before it was rounded.

use half::{bf16, f16};

use crate::gguf::Format;

/// Whether weights in this format are numbers for themselves, not codes of a block.
pub fn is_full_precision(format: Format) -> bool {
    matches!(format, Format::F32 | Format::F16 | Format::BF16)
}

/// How weights are rounded in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    Single,
    Half,
    Brain,
}

impl Stored {
    pub fn of(format: Format) -> Stored {
        match format {
            Format::F32 => Stored::Single,
            Format::F16 => Stored::Half,
            Format::BF16 => Stored::Brain,
            format => panic!("{format} is not full precision"),
        }
    }

    pub fn round(self, x: f32) -> f32 {
        match self {
            Stored::Single => x,
            Stored::Half => f16::from_f32(x).to_f32(),
            Stored::Brain => bf16::from_f32(x).to_f32(),
        }
    }

    /// The numbers that are rounded to `x`, which is finite.
    pub fn range(self, x: f32) -> Range {
        const HAIR: f64 = 1e-12;
        let size = x.abs();
        let next = |by: i32| match self {
            Stored::Single => f32::from_bits(size.to_bits().saturating_add_signed(by)),
            Stored::Half => {
                let bits = f16::from_f32(size).to_bits();
                f16::from_bits(bits.saturating_add_signed(by as i16)).to_f32()
            }
            Stored::Brain => {
                let bits = bf16::from_f32(size).to_bits();
                bf16::from_bits(bits.saturating_add_signed(by as i16)).to_f32()
            }
        };
        let middle = |other: f32| 0.5 * (f64::from(size) + f64::from(other));
        let above = if next(1).is_finite() { middle(next(1)) } else { f64::from(size) };
        // A hair more, as what comes of it is rounded too: what it lets through is looked at again.
        let sized = Range { low: middle(next(-1)) * (1.0 - HAIR), high: above * (1.0 + HAIR) };
        if x < 0.0 { sized.negated() } else { sized }
    }
}

/// Numbers from `low` to `high`, both included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    pub low: f64,
    pub high: f64,
}

impl Range {
    /// Of all numbers.
    pub const ALL: Range = Range { low: f64::NEG_INFINITY, high: f64::INFINITY };

    pub fn is_empty(self) -> bool {
        self.low > self.high
    }

    pub fn middle(self) -> f64 {
        0.5 * (self.low + self.high)
    }

    pub fn negated(self) -> Range {
        Range { low: -self.high, high: -self.low }
    }

    pub fn and(self, other: Range) -> Range {
        Range { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    pub fn times(self, factor: f64) -> Range {
        let (a, b) = (self.low * factor, self.high * factor);
        Range { low: a.min(b), high: a.max(b) }
    }

    pub fn plus(self, by: f64) -> Range {
        Range { low: self.low + by, high: self.high + by }
    }

    pub fn minus(self, other: Range) -> Range {
        Range { low: self.low - other.high, high: self.high - other.low }
    }

    /// The F16 in it, if there are not too many to try: those of positive numbers, in order.
    pub fn halves(self) -> impl Iterator<Item = f32> + Clone {
        /// More than of any weight's own precision, unless it is lost in a minimum.
        const MOST: u16 = 64;
        const INFINITY: u16 = 0x7c00;
        let first = f16::from_f64(self.low.max(0.0)).to_bits();
        let bits = first..first.saturating_add(MOST).min(INFINITY);
        let within = move |half: &f32| (self.low..=self.high).contains(&f64::from(*half));
        bits.map(|bits| f16::from_bits(bits).to_f32()).filter(|&half| half > 0.0).filter(within)
    }
}
