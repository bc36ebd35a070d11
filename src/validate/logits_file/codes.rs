//! A row of logits as 16-bit codes and back, as llama-perplexity does it.

use pulp::{Simd, WithSimd};

use crate::model::softmax::{Extent, exp_sum};
use crate::simd::Level;

/// How far below the likeliest token logarithms are told apart, in nats.
pub const RANGE: f32 = 16.0;

/// The largest code.
const TOP: f32 = 65535.0;

/// What codes stand for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Scale {
    /// From a code to the next.
    pub step: f32,
    /// What code 0 stands for: a logarithm of a probability.
    pub min: f32,
}

/// Codes of the logarithms of the probabilities of `row`, whose ends are `extent`.
///
/// In F32, and step by step as in llama-perplexity, so that its files and ours are the same but for
/// rare codes next to each other.
pub(super) fn encode(row: &[f32], extent: Extent, codes: &mut [u16]) -> Scale {
    let low = extent.low.max(extent.high - RANGE);
    let log_sum = exp_sum(row, extent.high).ln() as f32;
    let scale = Scale { step: (extent.high - low) / TOP, min: low - extent.high - log_sum };
    if scale.step > 0.0 {
        Level::widest().run(Codes { row, low, inverse: 1.0 / scale.step, codes });
    } else {
        codes.fill(0);
    }
    scale
}

struct Codes<'a> {
    row: &'a [f32],
    low: f32,
    inverse: f32,
    codes: &'a mut [u16],
}

impl WithSimd for Codes<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        /// Added to a smaller number, it leaves the nearest integer in the low bits.
        const TO_INTEGER: f32 = 12_582_912.0;
        for (code, &x) in self.codes.iter_mut().zip(self.row) {
            let above = self.inverse * (x - self.low);
            let above = if above > 0.0 { above } else { 0.0 };
            // The range itself may be rounded a little past the last code.
            let above = if above < TOP { above } else { TOP };
            *code = (above + TO_INTEGER).to_bits() as u16;
        }
    }
}

/// The logarithm that each code stands for.
pub(super) fn decode(codes: &[u8], scale: Scale, out: &mut [f32]) {
    for (out, code) in out.iter_mut().zip(codes.as_chunks().0) {
        *out = scale.step * f32::from(u16::from_le_bytes(*code)) + scale.min;
    }
}
